//! Running a core.

use crate::reactor::{Reactor, current};
use crate::tasks::Tasks;
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::{Pin, pin};
use std::rc::{Rc, Weak};
use std::task::{Context, Poll};
use std::thread::Result as Caught;
use std::time::{Duration, Instant};

/// Tasks that run before the ring is looked at again.
const TASKS_PER_TURN: usize = 256;
/// Sockets that were dropped with bytes to send may go on for so long after the main task has ended.
const LAST_BYTES: Duration = Duration::from_secs(1);

/// Settings of an executor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Provided buffers; a power of two, at most 2¹⁵.
    pub buffers: u16,
    /// Bytes of each.
    pub buffer_bytes: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { buffers: 256, buffer_bytes: 8 << 10 }
    }
}

/// Runs `main` on an executor of this thread; tasks that have not ended by then are dropped.
///
/// # Errors
/// No ring can be made, or it has failed.
///
/// # Panics
/// If `main` does.
pub fn run<T: 'static>(main: impl Future<Output = T> + 'static) -> io::Result<T> {
    run_with(Options::default(), main)
}

/// The same, with settings.
///
/// # Errors
/// No ring can be made, or it has failed.
///
/// # Panics
/// If `main` does.
pub fn run_with<T: 'static>(options: Options, main: impl Future<Output = T> + 'static) -> io::Result<T> {
    let (reactor, bell) = Reactor::new(options.buffers, options.buffer_bytes)?;
    let tasks = Rc::new(Tasks::new(bell));
    let _reactor = reactor.enter();
    let _tasks = tasks.enter();
    *reactor.spawner.borrow_mut() = Some(Rc::downgrade(&tasks));
    let result = Rc::new(RefCell::new(None));
    let told = Rc::clone(&result);
    tasks.add(Box::pin(async move {
        let caught = Guarded(Box::pin(main)).await;
        *told.borrow_mut() = Some(caught);
    }));
    let done = loop {
        tasks.run(TASKS_PER_TURN);
        if let Some(result) = result.borrow_mut().take() {
            break Ok(result);
        }
        if let Err(error) = reactor.turn(!tasks.any_ready()) {
            break Err(error);
        }
    };
    tasks.clear();
    let until = Instant::now() + LAST_BYTES;
    if done.is_ok() {
        let mut timer = pin!(crate::reactor::sleep(LAST_BYTES));
        let _ = timer.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
        while reactor.lingering.get() > 0 && Instant::now() < until && reactor.turn(true).is_ok() {}
    }
    match done? {
        Ok(value) => Ok(value),
        Err(panic) => resume_unwind(panic),
    }
}

/// Runs a task to its end on this core.
///
/// # Panics
/// Outside of an executor.
pub fn spawn(task: impl Future<Output = ()> + 'static) {
    let tasks = current().spawner.borrow().as_ref().and_then(Weak::upgrade);
    // Without tasks the executor is ending, and the task with it.
    if let Some(tasks) = tasks {
        tasks.add(Box::pin(task));
    }
}

/// Calls this on the core whenever a task that was spawned ends by a panic. The others go on, and may wait for it for ever:
/// what that means is for whoever runs them to say.
///
/// # Panics
/// Outside of an executor.
pub fn on_panic(hook: impl Fn() + 'static) {
    let tasks = current().spawner.borrow().as_ref().and_then(Weak::upgrade);
    if let Some(tasks) = tasks {
        tasks.on_panic(Rc::new(hook));
    }
}

/// A future whose panic is its result.
struct Guarded<T>(Pin<Box<dyn Future<Output = T>>>);

impl<T> Future for Guarded<T> {
    type Output = Caught<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Caught<T>> {
        match catch_unwind(AssertUnwindSafe(|| self.0.as_mut().poll(cx))) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
            Err(panic) => Poll::Ready(Err(panic)),
        }
    }
}

/// Keeps this thread on one processor.
///
/// # Errors
/// There is no such processor, or the thread may not use it.
pub fn pin(processor: usize) -> io::Result<()> {
    let mut set = rustix::thread::CpuSet::new();
    if processor >= rustix::thread::CpuSet::MAX_CPU {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    set.set(processor);
    rustix::thread::sched_setaffinity(None, &set).map_err(io::Error::from)
}
