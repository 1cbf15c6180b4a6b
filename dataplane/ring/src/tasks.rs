//! Tasks and what is ready to run.
//!
//! Invariants: a task is queued at most once; the key of a task that has ended wakes nobody; a waker may be used on any
//! thread, and on its own core costs one exchange of a flag; a panic ends its task alone. A task that wakes itself while it
//! runs has had its share: it is put behind all that is ready. Deliberately absent: when they run.

use crate::table::{Key, Table};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::future::Future;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

thread_local! {
    /// What is ready on the executor that runs on this thread.
    static LOCAL: RefCell<Option<Rc<Ready>>> = const { RefCell::new(None) };
}

type Work = Pin<Box<dyn Future<Output = ()>>>;

/// What is ready on a core.
#[derive(Debug)]
struct Ready {
    core: u64,
    now: RefCell<VecDeque<Key>>,
    /// Tasks that have had their share and want more.
    later: RefCell<VecDeque<Key>>,
    running: Cell<Option<Key>>,
}

/// What other threads see of a core.
#[derive(Debug)]
struct Outside {
    core: u64,
    woken: Mutex<Vec<Key>>,
    any: AtomicBool,
    bell: UnixStream,
}

impl Outside {
    fn woken(&self) -> MutexGuard<'_, Vec<Key>> {
        // Nothing panics while it is held.
        self.woken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct TaskWaker {
    key: Key,
    queued: AtomicBool,
    outside: Arc<Outside>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.queued.swap(true, Ordering::AcqRel) {
            return;
        }
        // A thread that is ending has no executor any more.
        let local = LOCAL.try_with(|local| {
            let local = local.borrow();
            let Some(ready) = local.as_ref().filter(|ready| ready.core == self.outside.core) else { return false };
            let queue = if ready.running.get() == Some(self.key) { &ready.later } else { &ready.now };
            queue.borrow_mut().push_back(self.key);
            true
        });
        if !local.unwrap_or(false) {
            self.outside.woken().push(self.key);
            if !self.outside.any.swap(true, Ordering::AcqRel) {
                // A full wire is rung already; a wire without another end has nobody to wake.
                let _ = (&self.outside.bell).write(&[1]);
            }
        }
    }
}

struct Task {
    /// Neither is here while it runs.
    work: Option<Work>,
    waker: Option<(Arc<TaskWaker>, Waker)>,
}

/// The tasks of one core.
pub(crate) struct Tasks {
    tasks: RefCell<Table<Task>>,
    ready: Rc<Ready>,
    outside: Arc<Outside>,
    panics: Cell<u64>,
    /// Told of each.
    on_panic: RefCell<Option<Rc<dyn Fn()>>>,
}

/// Takes the queues from the thread when the executor ends.
pub(crate) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = LOCAL.try_with(|local| local.borrow_mut().take());
    }
}

impl Tasks {
    /// No tasks; `bell` is written to when another thread wakes one.
    pub(crate) fn new(bell: UnixStream) -> Self {
        static CORES: AtomicU64 = AtomicU64::new(0);
        let core = CORES.fetch_add(1, Ordering::Relaxed);
        let ready = Ready { core, now: RefCell::default(), later: RefCell::default(), running: Cell::new(None) };
        let outside = Outside { core, woken: Mutex::default(), any: AtomicBool::new(false), bell };
        Self {
            tasks: RefCell::default(),
            ready: Rc::new(ready),
            outside: Arc::new(outside),
            panics: Cell::new(0),
            on_panic: RefCell::default(),
        }
    }

    /// Makes this thread the tasks' own.
    pub(crate) fn enter(&self) -> Entered {
        LOCAL.with(|local| *local.borrow_mut() = Some(Rc::clone(&self.ready)));
        Entered
    }

    /// Adds a task, ready to run.
    pub(crate) fn add(&self, work: Work) -> Key {
        let mut tasks = self.tasks.borrow_mut();
        let key = tasks.insert(Task { work: Some(work), waker: None });
        let queued = AtomicBool::new(true);
        let waker = Arc::new(TaskWaker { key, queued, outside: Arc::clone(&self.outside) });
        if let Some(task) = tasks.get_mut(key) {
            task.waker = Some((Arc::clone(&waker), Waker::from(waker)));
        }
        self.ready.now.borrow_mut().push_back(key);
        key
    }

    /// Tasks that have not ended.
    pub(crate) fn len(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Tasks that ended by a panic.
    pub(crate) fn panics(&self) -> u64 {
        self.panics.get()
    }

    /// Calls this whenever a task ends by a panic.
    pub(crate) fn on_panic(&self, hook: Rc<dyn Fn()>) {
        *self.on_panic.borrow_mut() = Some(hook);
    }

    fn panicked(&self) {
        self.panics.set(self.panics.get() + 1);
        let hook = self.on_panic.borrow().clone();
        hook.into_iter().for_each(|hook| hook());
    }

    /// Takes over what other threads have woken.
    fn take_woken(&self) {
        if self.outside.any.load(Ordering::Relaxed) && self.outside.any.swap(false, Ordering::AcqRel) {
            self.ready.now.borrow_mut().extend(self.outside.woken().drain(..));
        }
    }

    /// Something wants to run.
    pub(crate) fn any_ready(&self) -> bool {
        self.take_woken();
        !self.ready.now.borrow().is_empty() || !self.ready.later.borrow().is_empty()
    }

    /// Runs what is ready now, at most so many, and then one of those that have had their share already.
    pub(crate) fn run(&self, most: usize) {
        self.take_woken();
        let count = self.ready.now.borrow().len().min(most);
        for _ in 0..count {
            let Some(key) = self.ready.now.borrow_mut().pop_front() else { break };
            self.run_one(key);
        }
        let later = self.ready.later.borrow_mut().pop_front();
        later.into_iter().for_each(|key| self.run_one(key));
    }

    fn run_one(&self, key: Key) {
        // Both are the task's again afterwards: a clone of the waker would be four exchanges with other cores.
        let (mut work, (flag, waker)) = {
            let mut tasks = self.tasks.borrow_mut();
            let Some(task) = tasks.get_mut(key) else { return };
            let (Some(work), Some(waker)) = (task.work.take(), task.waker.take()) else { return };
            (work, waker)
        };
        // An exchange, not a store: whoever finds it still set relies on this poll to see what was done before.
        flag.queued.swap(false, Ordering::AcqRel);
        self.ready.running.set(Some(key));
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(&mut Context::from_waker(&waker))));
        self.ready.running.set(None);
        match polled {
            Ok(Poll::Pending) => {
                if let Some(task) = self.tasks.borrow_mut().get_mut(key) {
                    (task.work, task.waker) = (Some(work), Some((flag, waker)));
                }
            }
            Ok(Poll::Ready(())) => self.end(key, work),
            Err(_) => {
                self.end(key, work);
                self.panicked();
            }
        }
    }

    fn end(&self, key: Key, work: Work) {
        let task = self.tasks.borrow_mut().remove(key);
        // What a task leaves may wake and spawn others, and may panic.
        if catch_unwind(AssertUnwindSafe(|| drop((work, task)))).is_err() {
            self.panicked();
        }
    }

    /// Drops every task.
    pub(crate) fn clear(&self) {
        loop {
            // A task that is dropped may spawn another.
            let keys = self.tasks.borrow().keys();
            if keys.is_empty() {
                break;
            }
            for key in keys {
                let task = self.tasks.borrow_mut().remove(key);
                if catch_unwind(AssertUnwindSafe(|| drop(task))).is_err() {
                    self.panics.set(self.panics.get() + 1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;

    fn tasks() -> (Tasks, UnixStream) {
        let (bell, end) = UnixStream::pair().unwrap();
        // Miri knows no ioctl, and its few rings fit.
        if !cfg!(miri) {
            bell.set_nonblocking(true).unwrap();
        }
        (Tasks::new(bell), end)
    }

    #[test]
    fn a_task_that_wants_more_goes_behind_the_others() {
        let (tasks, _end) = tasks();
        let _entered = tasks.enter();
        let order = Rc::new(RefCell::new(String::new()));
        for (name, shares) in [('a', 3), ('b', 1), ('c', 2)] {
            let (order, mut left) = (Rc::clone(&order), shares);
            tasks.add(Box::pin(poll_fn(move |cx| {
                order.borrow_mut().push(name);
                left -= 1;
                if left == 0 {
                    return Poll::Ready(());
                }
                // Twice is once.
                cx.waker().wake_by_ref();
                cx.waker().wake_by_ref();
                Poll::Pending
            })));
        }
        while tasks.any_ready() {
            tasks.run(usize::MAX);
        }
        // The first turn runs all three and one more share of the first that had its own.
        assert_eq!((order.borrow().as_str(), tasks.len()), ("abcaca", 0));
    }

    #[test]
    fn a_panic_ends_its_task_alone_and_a_stale_waker_wakes_nobody() {
        let (tasks, _end) = tasks();
        let _entered = tasks.enter();
        let kept: Rc<RefCell<Option<Waker>>> = Rc::default();
        let keep = Rc::clone(&kept);
        tasks.add(Box::pin(poll_fn(move |cx| {
            *keep.borrow_mut() = Some(cx.waker().clone());
            panic!("expected by a test");
        })));
        tasks.run(usize::MAX);
        assert_eq!((tasks.len(), tasks.panics()), (0, 1));
        let ran = Rc::new(Cell::new(0));
        let count = Rc::clone(&ran);
        tasks.add(Box::pin(poll_fn(move |_| {
            count.set(count.get() + 1);
            Poll::Pending
        })));
        tasks.run(usize::MAX);
        kept.borrow().as_ref().unwrap().wake_by_ref();
        tasks.run(usize::MAX);
        assert_eq!(ran.get(), 1, "the new task lives where the old one did");
        tasks.clear();
        assert_eq!(tasks.len(), 0);
    }

    #[test]
    fn other_threads_wake_and_ring() {
        let (tasks, end) = tasks();
        let _entered = tasks.enter();
        let turns = Rc::new(Cell::new(0));
        let (sender, receiver) = std::sync::mpsc::channel::<Waker>();
        let thread = std::thread::spawn(move || receiver.into_iter().for_each(Waker::wake));
        let count = Rc::clone(&turns);
        tasks.add(Box::pin(poll_fn(move |cx| {
            count.set(count.get() + 1);
            let _ = sender.send(cx.waker().clone());
            Poll::Pending
        })));
        let rounds = if cfg!(miri) { 10 } else { 1000 };
        while turns.get() < rounds {
            tasks.run(usize::MAX);
        }
        // Nor does it read from a socket pair.
        if !cfg!(miri) {
            let mut rings = [0; 64];
            assert!(std::io::Read::read(&mut &end, &mut rings).unwrap() > 0);
        }
        tasks.clear();
        thread.join().unwrap();
    }
}
