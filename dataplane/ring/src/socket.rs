//! A connected stream socket.
//!
//! Receiving: while little arrives, by a multishot receive into the core's provided buffers, which the reader copies out and
//! gives back at once. A stream of which much arrives between two reads is read directly into the reader's memory, in large
//! pieces, and what is not read stays in the kernel; so is one that found no provided buffer. It changes back when pieces
//! become small. Sending: small pieces are collected and leave together with the next
//! system call of the core; large ones go directly from the writer's memory.
//!
//! Invariants: bytes keep their order through every change; the end and errors come after all bytes before them; at most
//! [`QUEUE_MAX`] pieces and what one look of the kernel adds wait for a reader, at most [`SEND_BYTES_MAX`] bytes beside
//! those under way wait to be sent; however many readers stall, half of the core's provided buffers are never kept by
//! them: what comes when fewer are left is copied out at once; the descriptor is closed when the last operation that names
//! it has ended; of a socket that was cut off nothing leaves that the kernel did not have. Deliberately absent: time
//! limits of reads and writes, half-closed writing.

use crate::raw::{Operation, Outcome, Taken};
use crate::reactor::{Reactor, Target, current};
use crate::table::Key;
use rustix::io::Errno;
use rustix::net::{RecvFlags, recv};
use socket2::SockRef;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::ops::Deref;
use std::os::fd::OwnedFd;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Pieces that wait for a reader before it is to read directly.
const QUEUE_MAX: usize = 8;
/// A direct read that leaves the socket empty with less than this makes it one of small pieces again.
const DIRECT_BYTES_MIN: usize = 16 << 10;
/// Bytes to be sent that are collected.
pub(crate) const SEND_BYTES_MAX: usize = 32 << 10;
/// A piece of at least this many bytes is sent from where it is.
const DIRECT_SEND_BYTES_MIN: usize = 16 << 10;
/// What a dropped socket still has to send is given this long.
const LINGER: Duration = Duration::from_secs(2);
/// Flags of direct sends.
const SEND_FLAGS: i32 = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;

/// How bytes are received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Receiving {
    /// Not at all, until somebody reads.
    Idle,
    /// Into provided buffers.
    Armed(Key),
    /// Until the cancellation is answered; directly afterwards.
    Stopping,
    /// By the reader; there may be something.
    Direct,
    /// By the reader, when the socket is readable.
    Drained,
    /// The same, and the wait for that is under way.
    Waiting(Key),
}

/// What was received and waits for its reader.
#[derive(Debug)]
enum Piece {
    /// In one of the core's buffers, which others lack meanwhile.
    Shared(Taken),
    /// In memory of its own, from when those were few.
    Own(Box<[u8]>),
}

impl Deref for Piece {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Shared(taken) => taken,
            Self::Own(bytes) => bytes,
        }
    }
}

#[derive(Debug)]
struct Inner {
    receiving: Receiving,
    queue: VecDeque<Piece>,
    /// Bytes of the first piece that were read.
    read: usize,
    /// After the queue: the end, or an error number.
    end: Option<i32>,
    reader: Option<Waker>,

    /// To be sent.
    next: Vec<u8>,
    /// It is known to the reactor.
    dirty: bool,
    /// A send is under way.
    sending: Option<Key>,
    /// The socket takes nothing now; the wait for room, once it is under way.
    full: bool,
    room: Option<Key>,
    failed: Option<i32>,
    writer: Option<Waker>,

    dropped: bool,
    lingers: bool,
}

/// A socket, as its operations see it.
pub(crate) struct State {
    fd: Rc<OwnedFd>,
    inner: RefCell<Inner>,
}

/// A connected stream socket of this core.
pub struct Socket {
    reactor: Rc<Reactor>,
    state: Rc<State>,
}

impl std::fmt::Debug for Socket {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Socket").field("fd", &self.state.fd).finish_non_exhaustive()
    }
}

impl From<OwnedFd> for Socket {
    fn from(fd: OwnedFd) -> Self {
        Self::adopt(current(), Rc::new(fd))
    }
}

impl Socket {
    pub(crate) fn adopt(reactor: Rc<Reactor>, fd: Rc<OwnedFd>) -> Self {
        let inner = Inner {
            receiving: Receiving::Idle,
            queue: VecDeque::new(),
            read: 0,
            end: None,
            reader: None,
            next: Vec::new(),
            dirty: false,
            sending: None,
            full: false,
            room: None,
            failed: None,
            writer: None,
            dropped: false,
            lingers: false,
        };
        Self { reactor, state: Rc::new(State { fd, inner: RefCell::new(inner) }) }
    }

    /// The descriptor, for options and addresses.
    #[must_use]
    pub fn descriptor(&self) -> &OwnedFd {
        &self.state.fd
    }

    /// What cuts it off; the socket is not kept by it.
    #[must_use]
    pub fn knife(&self) -> Knife {
        Knife(Rc::downgrade(&self.state))
    }

    /// Whether a read is worth trying; if not, the task is woken when it is. Costs no system call.
    pub fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut inner = self.state.inner.borrow_mut();
        if !inner.queue.is_empty() || inner.end.is_some() || inner.receiving == Receiving::Direct {
            return Poll::Ready(());
        }
        self.state.arm(&mut inner, &self.reactor);
        keep(&mut inner.reader, cx);
        Poll::Pending
    }

    /// Bytes, the end or an error have arrived that no read has seen. Asks the kernel where nothing tells us by itself: a
    /// read that is pending says only that somebody is told later.
    #[must_use]
    pub fn has_arrived(&self) -> bool {
        let inner = self.state.inner.borrow();
        if !inner.queue.is_empty() || inner.end.is_some() {
            return true;
        }
        let mut byte = [0u8; 1];
        let peeked = recv(&self.state.fd, &mut byte, RecvFlags::DONTWAIT | RecvFlags::PEEK);
        !matches!(peeked, Err(Errno::AGAIN | Errno::INTR))
    }

    /// Reads; 0 is the end (of a buffer that is not empty).
    pub fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut guard = self.state.inner.borrow_mut();
        let inner = &mut *guard;
        if buffer.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut filled = 0;
        while let Some(taken) = inner.queue.front() {
            let rest = taken.get(inner.read..).unwrap_or_default();
            let n = rest.len().min(buffer.len() - filled);
            buffer[filled..filled + n].copy_from_slice(&rest[..n]);
            filled += n;
            if n < rest.len() {
                inner.read += n;
                break;
            }
            inner.read = 0;
            inner.queue.pop_front();
        }
        if filled > 0 {
            if inner.queue.is_empty() && inner.queue.capacity() > QUEUE_MAX {
                // A session that idles again keeps no memory of a flood.
                inner.queue = VecDeque::new();
            }
            return Poll::Ready(Ok(filled));
        }
        match inner.end {
            Some(0) => return Poll::Ready(Ok(0)),
            Some(error) => return Poll::Ready(Err(io::Error::from_raw_os_error(error))),
            None => {}
        }
        while inner.receiving == Receiving::Direct {
            match recv(&self.state.fd, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((0, _)) => {
                    inner.end = Some(0);
                    return Poll::Ready(Ok(0));
                }
                Ok((n, _)) => {
                    if n < buffer.len() {
                        let bulk = n >= DIRECT_BYTES_MIN;
                        inner.receiving = if bulk { Receiving::Drained } else { Receiving::Idle };
                    }
                    return Poll::Ready(Ok(n));
                }
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => inner.receiving = Receiving::Drained,
                Err(error) => {
                    inner.end = Some(error.raw_os_error());
                    return Poll::Ready(Err(error.into()));
                }
            }
        }
        self.state.arm(inner, &self.reactor);
        keep(&mut inner.reader, cx);
        Poll::Pending
    }

    /// Writes. What was taken is on its way, or fails a later write; [`Socket::poll_flush`] tells when it has left.
    pub fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut guard = self.state.inner.borrow_mut();
        let inner = &mut *guard;
        if let Some(error) = inner.failed {
            return Poll::Ready(Err(io::Error::from_raw_os_error(error)));
        }
        if bytes.is_empty() {
            return Poll::Ready(Ok(0));
        }
        if bytes.len() >= DIRECT_SEND_BYTES_MIN && inner.sending.is_none() && !inner.full {
            match self.state.send(inner, bytes) {
                Ok(0) => {}
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(e) => {
                    inner.failed = Some(e.raw_os_error().unwrap_or(libc::EIO));
                    return Poll::Ready(Err(e));
                }
            }
        }
        let room = SEND_BYTES_MAX.saturating_sub(inner.next.len());
        let large = bytes.len() >= DIRECT_SEND_BYTES_MIN;
        if large || inner.full || room == 0 {
            self.state.wait_for_room(inner, &self.reactor);
            keep(&mut inner.writer, cx);
            return Poll::Pending;
        }
        let n = bytes.len().min(room);
        if inner.next.capacity() == 0 {
            inner.next = self.reactor.send_buffer();
        }
        inner.next.extend_from_slice(&bytes[..n]);
        self.state.soil(inner, &self.reactor);
        Poll::Ready(Ok(n))
    }

    /// Waits until everything written has been given to the kernel.
    pub fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut inner = self.state.inner.borrow_mut();
        if let Some(error) = inner.failed {
            return Poll::Ready(Err(io::Error::from_raw_os_error(error)));
        }
        if inner.next.is_empty() && inner.sending.is_none() {
            return Poll::Ready(Ok(()));
        }
        keep(&mut inner.writer, cx);
        Poll::Pending
    }
}

/// Cuts a socket off, whoever has it.
#[derive(Debug)]
pub struct Knife(Weak<State>);

impl Knife {
    /// The connection is reset: what was written and not given to the kernel is gone, and what the kernel had and the peer
    /// did not acknowledge is with it. Reads and writes fail from now on.
    pub fn cut(&self) {
        if let Some(state) = self.0.upgrade() {
            state.cut();
        }
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        let mut guard = self.state.inner.borrow_mut();
        let inner = &mut *guard;
        inner.dropped = true;
        inner.queue.clear();
        let wakers = (inner.reader.take(), inner.writer.take());
        if let Receiving::Armed(key) | Receiving::Waiting(key) = inner.receiving {
            self.reactor.cancel(key);
        }
        inner.receiving = Receiving::Stopping;
        if inner.failed.is_none() && (!inner.next.is_empty() || inner.sending.is_some()) {
            inner.lingers = true;
            self.reactor.lingering.set(self.reactor.lingering.get() + 1);
            self.reactor.linger(&self.state, LINGER);
        } else if let Some(key) = inner.room {
            self.reactor.cancel(key);
        }
        drop(guard);
        drop(wakers);
    }
}

fn keep(place: &mut Option<Waker>, cx: &Context<'_>) {
    match place {
        Some(waker) => waker.clone_from(cx.waker()),
        None => *place = Some(cx.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

impl State {
    /// Begins to wait for bytes.
    fn arm(self: &Rc<Self>, inner: &mut Inner, reactor: &Reactor) {
        match inner.receiving {
            Receiving::Idle => {
                let key = reactor.push(Operation::Receive(Rc::clone(&self.fd)), Target::Receive(Rc::clone(self)));
                inner.receiving = Receiving::Armed(key);
            }
            Receiving::Drained => {
                let poll = Operation::Poll(Rc::clone(&self.fd), (libc::POLLIN | libc::POLLRDHUP) as u32);
                inner.receiving = Receiving::Waiting(reactor.push(poll, Target::Readable(Rc::clone(self))));
            }
            Receiving::Armed(_) | Receiving::Stopping | Receiving::Direct | Receiving::Waiting(_) => {}
        }
    }

    /// A completion of the multishot receive.
    pub(crate) fn received(self: &Rc<Self>, reactor: &Reactor, result: i32, more: bool, outcome: Outcome) {
        let mut guard = self.inner.borrow_mut();
        let inner = &mut *guard;
        // Nothing follows an end: what still comes after a cut is nobody's.
        if inner.dropped || inner.end.is_some() {
            return;
        }
        if let Outcome::Received(taken) = outcome
            && !taken.is_empty()
        {
            // The buffer goes back where it is needed by others that have readers.
            let piece = if taken.are_few() { Piece::Own((*taken).into()) } else { Piece::Shared(taken) };
            inner.queue.push_back(piece);
        }
        if more {
            if let Receiving::Armed(key) = inner.receiving
                && inner.queue.len() >= QUEUE_MAX
            {
                reactor.cancel(key);
                inner.receiving = Receiving::Stopping;
            }
        } else {
            let stopped = inner.receiving == Receiving::Stopping;
            match result {
                0 => inner.end = Some(0),
                1.. if !stopped => inner.receiving = Receiving::Idle,
                1.. => inner.receiving = Receiving::Direct,
                _ => match -result {
                    libc::ECANCELED => inner.receiving = Receiving::Direct,
                    libc::ENOBUFS => {
                        reactor.starved.set(reactor.starved.get() + 1);
                        inner.receiving = Receiving::Direct;
                    }
                    libc::EINTR | libc::EAGAIN => inner.receiving = Receiving::Idle,
                    error => inner.end = Some(error),
                },
            }
        }
        let reader = inner.reader.take();
        drop(guard);
        wake(reader);
    }

    /// The wait for something to read has ended.
    pub(crate) fn readable(&self, _: &Reactor) {
        let mut inner = self.inner.borrow_mut();
        if inner.dropped {
            return;
        }
        inner.receiving = Receiving::Direct;
        let reader = inner.reader.take();
        drop(inner);
        wake(reader);
    }

    /// Sends what is collected and `bytes` at once, as far as the socket takes it; how many of `bytes`.
    fn send(self: &Rc<Self>, inner: &mut Inner, bytes: &[u8]) -> io::Result<usize> {
        let socket = SockRef::from(&*self.fd);
        loop {
            let sent = if inner.next.is_empty() {
                socket.send_with_flags(bytes, SEND_FLAGS)
            } else {
                socket.send_vectored_with_flags(&[IoSlice::new(&inner.next), IoSlice::new(bytes)], SEND_FLAGS)
            };
            let sent = match sent {
                Ok(sent) => sent,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => 0,
                Err(e) => return Err(e),
            };
            let before = inner.next.len().min(sent);
            inner.full = sent < inner.next.len() + bytes.len();
            inner.next.drain(..before);
            return Ok(sent - before);
        }
    }

    /// Tells the reactor that there is something to send, if it can be sent.
    fn soil(self: &Rc<Self>, inner: &mut Inner, reactor: &Reactor) {
        if !inner.dirty && inner.sending.is_none() && !inner.full && !inner.next.is_empty() {
            inner.dirty = true;
            reactor.soil(self);
        }
    }

    fn wait_for_room(self: &Rc<Self>, inner: &mut Inner, reactor: &Reactor) {
        if inner.full && inner.room.is_none() {
            let poll = Operation::Poll(Rc::clone(&self.fd), libc::POLLOUT as u32);
            inner.room = Some(reactor.push(poll, Target::Writable(Rc::clone(self))));
        }
    }

    /// Queues the send of what is collected.
    pub(crate) fn submit(self: &Rc<Self>, reactor: &Reactor) {
        let mut guard = self.inner.borrow_mut();
        let inner = &mut *guard;
        inner.dirty = false;
        if inner.sending.is_some() || inner.next.is_empty() || inner.failed.is_some() {
            // One that was dropped and then cut off has nothing more to linger for.
            self.settle(inner, reactor);
            return;
        }
        if inner.full {
            self.wait_for_room(inner, reactor);
            return;
        }
        let bytes = std::mem::take(&mut inner.next);
        inner.sending = Some(reactor.push(Operation::Send(Rc::clone(&self.fd), bytes), Target::Send(Rc::clone(self))));
    }

    /// A send has ended.
    pub(crate) fn sent(self: &Rc<Self>, reactor: &Reactor, result: i32, outcome: Outcome) {
        let mut guard = self.inner.borrow_mut();
        let inner = &mut *guard;
        inner.sending = None;
        let Outcome::Sent(mut bytes) = outcome else { return };
        match usize::try_from(result) {
            Ok(sent) if sent >= bytes.len() => {}
            Ok(sent) => {
                bytes.drain(..sent);
                inner.full = true;
            }
            Err(_) if matches!(-result, libc::EAGAIN | libc::EINTR) => inner.full = true,
            Err(_) => {
                inner.failed = Some(-result);
                inner.next = Vec::new();
                bytes.clear();
            }
        }
        if inner.failed.is_some() {
            // Given up or cut off meanwhile: the rest leaves no more.
            bytes.clear();
        }
        if inner.full && !bytes.is_empty() {
            // What was not taken stays in front.
            bytes.append(&mut inner.next);
            std::mem::swap(&mut inner.next, &mut bytes);
            self.wait_for_room(inner, reactor);
        }
        reactor.keep_send_buffer(bytes);
        self.soil(inner, reactor);
        self.settle(inner, reactor);
        let writer = inner.writer.take();
        drop(guard);
        wake(writer);
    }

    /// The socket takes something again, or never will.
    pub(crate) fn writable(self: &Rc<Self>, reactor: &Reactor) {
        let mut guard = self.inner.borrow_mut();
        let inner = &mut *guard;
        (inner.room, inner.full) = (None, false);
        self.soil(inner, reactor);
        self.settle(inner, reactor);
        let writer = inner.writer.take();
        drop(guard);
        wake(writer);
    }

    /// A dropped socket with nothing more to send lingers no more.
    fn settle(&self, inner: &mut Inner, reactor: &Reactor) {
        let over = inner.failed.is_some() || (inner.next.is_empty() && inner.sending.is_none());
        if inner.lingers && over {
            inner.lingers = false;
            reactor.lingering.set(reactor.lingering.get() - 1);
        }
    }

    /// See [`Knife::cut`].
    fn cut(&self) {
        let mut inner = self.inner.borrow_mut();
        inner.next = Vec::new();
        inner.failed.get_or_insert(libc::ECONNABORTED);
        if inner.end.is_none() {
            (inner.end, inner.read) = (Some(libc::ECONNABORTED), 0);
            inner.queue.clear();
        }
        let wakers = (inner.reader.take(), inner.writer.take());
        drop(inner);
        // A send that the kernel was not told of yet fails by this; closing alone would let it, and all before it, pass.
        if rustix::net::connect_unspec(&self.fd).is_err() {
            // No TCP: a wire of this machine.
            let _ = rustix::net::shutdown(&self.fd, rustix::net::Shutdown::Both);
        }
        wake(wakers.0);
        wake(wakers.1);
    }

    /// A dropped socket has had its time.
    pub(crate) fn give_up(&self, reactor: &Reactor) {
        let mut guard = self.inner.borrow_mut();
        let inner = &mut *guard;
        if inner.lingers {
            inner.failed = Some(libc::ETIMEDOUT);
            inner.next = Vec::new();
            inner.sending.iter().chain(&inner.room).for_each(|key| reactor.cancel(*key));
            self.settle(inner, reactor);
        }
    }
}
