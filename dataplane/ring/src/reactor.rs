//! What a core waits for: operations of the ring, timers, other threads.
//!
//! Invariants: sends that are queued leave with the next system call, in one piece per socket; a timer costs no operation;
//! completions are taken out before anybody is told, so whoever is told may ask for more. Deliberately absent: tasks.

use crate::file::Finished;
use crate::helper::Helper;
use crate::net::Arrivals;
use crate::raw::{AlignedBuffer, Completion, Operation, Ring};
use crate::refused::{RingError, refused};
use crate::socket::State as SocketState;
use crate::table::Key;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Longest wait when there is no timer.
const IDLE_WAIT: Duration = Duration::from_secs(3600);
/// Buffers of sends that are kept for reuse.
const SPARE_SENDS: usize = 64;
/// Aligned memory that is kept for reuse, bytes.
const SPARE_ALIGNED_BYTES: usize = 4 << 20;

thread_local! {
    static CURRENT: RefCell<Option<Rc<Reactor>>> = const { RefCell::new(None) };
}

/// Whose a completion is.
#[derive(Clone)]
pub(crate) enum Target {
    Receive(Rc<SocketState>),
    Send(Rc<SocketState>),
    Readable(Rc<SocketState>),
    Writable(Rc<SocketState>),
    Accept(Rc<Arrivals>),
    Finished(Rc<Finished>),
    Bell,
}

enum Timer {
    Wake(Waker),
    /// A socket that was dropped with bytes to send has had its time.
    Linger(Weak<SocketState>),
}

/// What a core has open and under way, for tests and operators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Tasks that have not ended, the main one included.
    pub tasks: usize,
    /// Tasks that ended by a panic.
    pub panics: u64,
    /// Operations under way, the core's own bell included.
    pub operations: usize,
    /// Provided buffers that the kernel has.
    pub buffers_offered: usize,
    /// Timers that wait.
    pub timers: usize,
    /// Sockets that are dropped and still send.
    pub lingering: usize,
    /// Calls of io_uring_enter.
    pub turns: u64,
    /// Times that a receive found no provided buffer.
    pub starved: u64,
}

pub(crate) struct Reactor {
    ring: RefCell<Ring<Target>>,
    bell: Rc<OwnedFd>,
    timers: RefCell<BTreeMap<(Instant, u64), Timer>>,
    next_timer: Cell<u64>,
    /// Sockets with bytes to send that are not submitted.
    dirty: RefCell<Vec<Rc<SocketState>>>,
    completions: RefCell<Vec<Completion<Target>>>,
    spare_sends: RefCell<Vec<Vec<u8>>>,
    spare_aligned: RefCell<Vec<AlignedBuffer>>,
    pub(crate) lingering: Cell<usize>,
    pub(crate) starved: Cell<u64>,
    turns: Cell<u64>,
    pub(crate) helper: Helper,
    pub(crate) spawner: RefCell<Option<Weak<crate::tasks::Tasks>>>,
}

/// Whether this machine's kernel has what the driver needs.
///
/// # Errors
/// What is missing, and what to do about it.
pub fn supported() -> Result<(), RingError> {
    let other = |error: io::Error| refused(&error);
    let mut ring = Ring::<()>::new(8, 64)?;
    let (ours, theirs) = UnixStream::pair().map_err(other)?;
    ring.push(Operation::Receive(Rc::new(ours.into())), ());
    ring.enter(None).map_err(other)?;
    io::Write::write_all(&mut &theirs, b"works").map_err(other)?;
    let mut completions = Vec::new();
    let until = Instant::now() + Duration::from_secs(5);
    while completions.is_empty() && Instant::now() < until {
        ring.enter(Some(Duration::from_millis(100))).map_err(other)?;
        ring.reap(&mut completions);
    }
    match completions.first() {
        Some(Completion { result: 5, more: true, .. }) => Ok(()),
        _ => Err(RingError::lacks("this kernel's io_uring has no multishot receive (Linux 6.0 is needed)".to_owned())),
    }
}

impl Reactor {
    /// With `buffers` (a power of two) provided buffers of so many bytes.
    pub(crate) fn new(buffers: u16, bytes: usize) -> io::Result<(Rc<Self>, UnixStream)> {
        let ring = Ring::new(buffers, bytes)?;
        let (bell, ringer) = UnixStream::pair()?;
        bell.set_nonblocking(true)?;
        ringer.set_nonblocking(true)?;
        let reactor = Rc::new(Self {
            ring: RefCell::new(ring),
            bell: Rc::new(bell.into()),
            timers: RefCell::default(),
            next_timer: Cell::new(0),
            dirty: RefCell::default(),
            completions: RefCell::default(),
            spare_sends: RefCell::default(),
            spare_aligned: RefCell::default(),
            lingering: Cell::new(0),
            starved: Cell::new(0),
            turns: Cell::new(0),
            helper: Helper::default(),
            spawner: RefCell::default(),
        });
        reactor.listen();
        Ok((reactor, ringer))
    }

    fn listen(&self) {
        self.push(Operation::Poll(Rc::clone(&self.bell), libc::POLLIN as u32), Target::Bell);
    }

    pub(crate) fn push(&self, operation: Operation, target: Target) -> Key {
        self.ring.borrow_mut().push(operation, target)
    }

    pub(crate) fn cancel(&self, key: Key) {
        self.ring.borrow_mut().cancel(key);
    }

    /// This socket has something to send.
    pub(crate) fn soil(&self, socket: &Rc<SocketState>) {
        self.dirty.borrow_mut().push(Rc::clone(socket));
    }

    /// An empty buffer to collect what is to be sent.
    pub(crate) fn send_buffer(&self) -> Vec<u8> {
        self.spare_sends.borrow_mut().pop().unwrap_or_default()
    }

    /// Takes one back.
    pub(crate) fn keep_send_buffer(&self, mut buffer: Vec<u8>) {
        let mut spare = self.spare_sends.borrow_mut();
        if spare.len() < SPARE_SENDS && buffer.capacity() <= 2 * crate::socket::SEND_BYTES_MAX {
            buffer.clear();
            spare.push(buffer);
        }
    }

    /// Aligned memory of this length; what it holds is left over from before.
    pub(crate) fn aligned(&self, bytes: usize) -> AlignedBuffer {
        let mut spare = self.spare_aligned.borrow_mut();
        if let Some(index) = spare.iter().position(|buffer| buffer.capacity() >= bytes) {
            let mut buffer = spare.swap_remove(index);
            buffer.set_len(bytes);
            return buffer;
        }
        drop(spare);
        AlignedBuffer::new(bytes)
    }

    /// Takes some back.
    pub(crate) fn keep_aligned(&self, buffer: AlignedBuffer) {
        let mut spare = self.spare_aligned.borrow_mut();
        let held: usize = spare.iter().map(AlignedBuffer::capacity).sum();
        if held + buffer.capacity() <= SPARE_ALIGNED_BYTES {
            spare.push(buffer);
        }
    }

    fn add_timer(&self, at: Instant, timer: Timer) -> (Instant, u64) {
        let key = (at, self.next_timer.get());
        self.next_timer.set(key.1 + 1);
        self.timers.borrow_mut().insert(key, timer);
        key
    }

    /// Ends what a dropped socket still sends, later.
    pub(crate) fn linger(&self, socket: &Rc<SocketState>, limit: Duration) {
        self.add_timer(Instant::now() + limit, Timer::Linger(Rc::downgrade(socket)));
    }

    /// One turn: submits what is wanted, waits if `wait` says so, and tells whoever waited.
    pub(crate) fn turn(self: &Rc<Self>, wait: bool) -> io::Result<()> {
        let mut dirty = self.dirty.take();
        dirty.drain(..).for_each(|socket| socket.submit(self));
        if self.dirty.borrow().is_empty() {
            // Its memory serves again.
            *self.dirty.borrow_mut() = dirty;
        }
        let limit = match self.timers.borrow().keys().next() {
            _ if !wait => None,
            None => Some(IDLE_WAIT),
            Some((at, _)) => Some(at.saturating_duration_since(Instant::now())),
        };
        let mut completions = self.completions.take();
        {
            let mut ring = self.ring.borrow_mut();
            ring.enter(limit)?;
            ring.reap(&mut completions);
        }
        self.turns.set(self.turns.get() + 1);
        completions.drain(..).for_each(|completion| self.tell(completion));
        *self.completions.borrow_mut() = completions;
        self.fire();
        Ok(())
    }

    fn tell(self: &Rc<Self>, completion: Completion<Target>) {
        let Completion { target, result, more, outcome } = completion;
        match target {
            Target::Receive(socket) => socket.received(self, result, more, outcome),
            Target::Send(socket) => socket.sent(self, result, outcome),
            Target::Readable(socket) => socket.readable(self),
            Target::Writable(socket) => socket.writable(self),
            Target::Accept(arrivals) => arrivals.arrived(result, more, outcome),
            Target::Finished(finished) => finished.finish(result, outcome),
            Target::Bell => {
                // Those who rang have said what for elsewhere.
                let mut rings = [0; 64];
                let _ = rustix::net::recv(&self.bell, &mut rings, rustix::net::RecvFlags::DONTWAIT);
                self.listen();
            }
        }
    }

    fn fire(self: &Rc<Self>) {
        if self.timers.borrow().is_empty() {
            return;
        }
        let now = Instant::now();
        loop {
            let due = {
                let mut timers = self.timers.borrow_mut();
                match timers.first_entry() {
                    Some(first) if first.key().0 <= now => first.remove(),
                    _ => break,
                }
            };
            match due {
                Timer::Wake(waker) => waker.wake(),
                Timer::Linger(socket) => {
                    if let Some(socket) = socket.upgrade() {
                        socket.give_up(self);
                    }
                }
            }
        }
    }

    /// Makes this the reactor of the thread.
    pub(crate) fn enter(self: &Rc<Self>) -> Entered {
        CURRENT.with(|current| *current.borrow_mut() = Some(Rc::clone(self)));
        Entered
    }

    fn counts(&self) -> Counts {
        let ring = self.ring.borrow();
        let tasks = self.spawner.borrow().as_ref().and_then(Weak::upgrade);
        Counts {
            tasks: tasks.as_ref().map_or(0, |tasks| tasks.len()),
            panics: tasks.as_ref().map_or(0, |tasks| tasks.panics()),
            operations: ring.under_way(),
            buffers_offered: ring.pool().offered(),
            timers: self.timers.borrow().len(),
            lingering: self.lingering.get(),
            turns: self.turns.get(),
            starved: self.starved.get(),
        }
    }
}

/// Takes the reactor from the thread when its executor ends.
pub(crate) struct Entered;

impl Drop for Entered {
    fn drop(&mut self) {
        let _ = CURRENT.try_with(|current| current.borrow_mut().take());
    }
}

/// The reactor of this thread.
///
/// # Panics
/// Outside of an executor.
pub(crate) fn current() -> Rc<Reactor> {
    let current = CURRENT.with(|current| current.borrow().clone());
    current.unwrap_or_else(|| panic!("there is no executor on this thread"))
}

/// What the executor of this thread has open and under way.
///
/// # Panics
/// Outside of an executor.
#[must_use]
pub fn counts() -> Counts {
    current().counts()
}

/// Waits for this long.
///
/// # Panics
/// Outside of an executor.
pub fn sleep(duration: Duration) -> impl Future<Output = ()> {
    let now = Instant::now();
    let at = now.checked_add(duration).unwrap_or(now + IDLE_WAIT * 24 * 365);
    Sleep { reactor: current(), at, timer: None }
}

struct Sleep {
    reactor: Rc<Reactor>,
    at: Instant,
    timer: Option<(Instant, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        let timer = match self.timer {
            Some(timer) if self.reactor.timers.borrow().contains_key(&timer) => {
                self.reactor.timers.borrow_mut().insert(timer, Timer::Wake(cx.waker().clone()));
                timer
            }
            _ => self.reactor.add_timer(self.at, Timer::Wake(cx.waker().clone())),
        };
        self.timer = Some(timer);
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.reactor.timers.borrow_mut().remove(&timer);
        }
    }
}
