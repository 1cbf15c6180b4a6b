//! The kernel's side: submissions, completions, and the memory that the kernel reads and writes.
//!
//! The one file with unsafe code. What keeps it sound: every operation names its descriptor and its memory by ownership, and
//! both stay in the table of operations until its last completion was seen, whatever becomes of whoever asked; a completion
//! finds its operation by a key that goes stale; a provided buffer is either the kernel's or a [`Taken`]'s, never both;
//! a ring that ends cancels what is under way, waits for it, and leaks the memory of what does not answer. Deliberately
//! absent: what completions mean.
#![allow(unsafe_code)]

use crate::refused::{RingError, refused};
use crate::table::{Key, Table};
use io_uring::types::{BufRingEntry, Fd, FsyncFlags, SubmitArgs, Timespec};
use io_uring::{IoUring, cqueue, opcode, squeue};
use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::ops::Deref;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// Entries of the submission queue.
const SUBMISSIONS: u32 = 512;
/// Entries of the completion queue: what arrives between two looks. More is kept by the kernel (IORING_FEAT_NODROP).
const COMPLETIONS: u32 = 4096;
/// The group of the provided buffers.
const GROUP: u16 = 0;
/// What needs no answer.
const NOBODY: u64 = u64::MAX;
/// Alignment of memory for files and of the buffer ring: a page, enough for any device.
const ALIGNMENT: usize = 4096;
/// Were a send not to complete in the call that submits it, that call would keep others waiting for it: once, and not
/// for longer than this. Much shorter, and the processor's timer is set anew for every wait, which costs a virtual machine
/// more than all else in it.
const PROMPT_LIMIT: Duration = Duration::from_millis(50);
/// What is under way when a ring ends may take this long to be cancelled.
const END_LIMIT: Duration = Duration::from_secs(5);

/// Memory of our own with an alignment, zeroed.
#[derive(Debug)]
struct Pages {
    start: NonNull<u8>,
    layout: Layout,
}

impl Pages {
    fn new(bytes: usize) -> Self {
        let bytes = bytes.max(1).next_multiple_of(ALIGNMENT);
        let Ok(layout) = Layout::from_size_align(bytes, ALIGNMENT) else {
            handle_alloc_error(Layout::new::<u8>());
        };
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc_zeroed(layout) };
        Self { start: NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout)), layout }
    }

    fn bytes(&self) -> usize {
        self.layout.size()
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        // SAFETY: allocated with this layout, and freed once.
        unsafe { dealloc(self.start.as_ptr(), self.layout) }
    }
}

/// Memory for direct writes: aligned, and a multiple of the alignment long.
#[derive(Debug)]
pub struct AlignedBuffer {
    pages: Pages,
    length: usize,
}

impl AlignedBuffer {
    /// Zeros.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { pages: Pages::new(bytes), length: bytes }
    }

    /// Bytes that it can have.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.pages.bytes()
    }

    /// Makes it shorter or longer; what it had stays as it was.
    ///
    /// # Panics
    /// Beyond its capacity.
    pub fn set_len(&mut self, bytes: usize) {
        assert!(bytes <= self.pages.bytes(), "an aligned buffer cannot grow");
        self.length = bytes;
    }
}

impl Deref for AlignedBuffer {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: `length` is at most the size of the allocation, which is initialised from the start.
        unsafe { std::slice::from_raw_parts(self.pages.start.as_ptr(), self.length) }
    }
}

impl std::ops::DerefMut for AlignedBuffer {
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as above, and we are borrowed alone.
        unsafe { std::slice::from_raw_parts_mut(self.pages.start.as_ptr(), self.length) }
    }
}

/// Provided buffers of one ring, and the ring by which the kernel is given them (io_uring_register_buf_ring(3)).
#[derive(Debug)]
pub(crate) struct Pool {
    entries: Pages,
    memory: Pages,
    count: u16,
    each: usize,
    /// Entries ever offered; the kernel takes them in order.
    tail: Cell<u16>,
    /// Buffers that are the kernel's.
    offered: Cell<u16>,
}

impl Pool {
    /// `count` is a power of two, at most 2¹⁵.
    fn new(count: u16, each: usize) -> Rc<Self> {
        debug_assert!(count.is_power_of_two());
        let pool = Self {
            entries: Pages::new(usize::from(count) * size_of::<BufRingEntry>()),
            memory: Pages::new(usize::from(count) * each),
            count,
            each,
            tail: Cell::new(0),
            offered: Cell::new(0),
        };
        for index in 0..count {
            pool.offer(index);
        }
        Rc::new(pool)
    }

    fn start_of(&self, index: u16) -> *mut u8 {
        debug_assert!(index < self.count);
        // SAFETY: the memory has `count` buffers of `each` bytes.
        unsafe { self.memory.start.as_ptr().add(usize::from(index) * self.each) }
    }

    /// Gives a buffer to the kernel. The caller has it, and nobody else.
    fn offer(&self, index: u16) {
        let tail = self.tail.get();
        let base = self.entries.start.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the index is masked into the allocation. The entry is not one that the kernel may look at: there are as
        // many entries as buffers, and this buffer is not offered. The fields written leave the tail alone, which lies in
        // the last two bytes of the first entry.
        unsafe {
            let entry = &mut *base.add(usize::from(tail & (self.count - 1)));
            entry.set_addr(self.start_of(index) as u64);
            entry.set_len(u32::try_from(self.each).unwrap_or(0));
            entry.set_bid(index);
        }
        let next = tail.wrapping_add(1);
        self.tail.set(next);
        self.offered.set(self.offered.get() + 1);
        // SAFETY: `tail` gives the address of the tail field inside of the allocation, aligned to two bytes; the kernel
        // only reads it. Release: the entry is seen before the tail that covers it.
        unsafe { AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()).store(next, Ordering::Release) };
    }

    /// A buffer that the kernel has filled. The caller has it from the kernel, which has it no more.
    fn take(self: &Rc<Self>, index: u16, bytes: usize) -> Option<Taken> {
        if index >= self.count || bytes > self.each {
            return None;
        }
        self.offered.set(self.offered.get().saturating_sub(1));
        Some(Taken { pool: Rc::clone(self), index, bytes })
    }

    /// Buffers that are the kernel's.
    pub(crate) fn offered(&self) -> usize {
        usize::from(self.offered.get())
    }
}

/// A provided buffer with bytes in it. It goes back to the kernel when it is dropped.
#[derive(Debug)]
pub(crate) struct Taken {
    pool: Rc<Pool>,
    index: u16,
    bytes: usize,
}

impl Taken {
    /// More than half of the buffers are taken.
    pub(crate) fn are_few(&self) -> bool {
        self.pool.offered.get() < self.pool.count / 2
    }
}

impl Deref for Taken {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        // SAFETY: the kernel gave the buffer away, so nobody writes it until it is offered again, which is when `self` is
        // gone; `bytes` is at most its size.
        unsafe { std::slice::from_raw_parts(self.pool.start_of(self.index), self.bytes) }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.pool.offer(self.index);
    }
}

/// Something to do.
#[derive(Debug)]
pub(crate) enum Operation {
    /// Receive into provided buffers until it is cancelled, fails, or nothing more comes.
    Receive(Rc<OwnedFd>),
    /// Send what the socket takes at once.
    Send(Rc<OwnedFd>, Vec<u8>),
    /// Accept connections until it is cancelled or fails.
    Accept(Rc<OwnedFd>),
    /// Connect.
    Connect(Rc<OwnedFd>, Box<socket2::SockAddr>),
    /// Wait once for one of these events (poll(2)).
    Poll(Rc<OwnedFd>, u32),
    /// Write to a file; the bytes are durable at the completion if so wished (RWF_DSYNC).
    Write(Rc<OwnedFd>, AlignedBuffer, u64, bool),
    /// Make a file's bytes durable (fdatasync(2)).
    Sync(Rc<OwnedFd>),
}

/// What an operation leaves behind.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Nothing but its result.
    Plain,
    /// Bytes were received.
    Received(Taken),
    /// The bytes that were to be sent.
    Sent(Vec<u8>),
    /// A connection was accepted.
    Accepted(OwnedFd),
    /// The memory that was to be written.
    Written(AlignedBuffer),
}

/// A completion.
#[derive(Debug)]
pub(crate) struct Completion<T> {
    /// Whose it is.
    pub(crate) target: T,
    /// As of the system call; a negative error number.
    pub(crate) result: i32,
    /// Others follow.
    pub(crate) more: bool,
    pub(crate) outcome: Outcome,
}

/// An operation under way.
struct UnderWay<T> {
    target: T,
    operation: Operation,
}

/// The ring of one core. It stays on the thread that made it.
pub(crate) struct Ring<T> {
    ring: IoUring,
    operations: Table<UnderWay<T>>,
    pool: Rc<Pool>,
    /// What the submission queue had no room for.
    backlog: VecDeque<squeue::Entry>,
    /// Sends that are queued or under way. They do not wait for room (MSG_DONTWAIT), so the call that submits them
    /// completes them.
    sends: usize,
    /// That has been so.
    prompt: bool,
}

impl<T: Clone> Ring<T> {
    /// A ring with `buffers` (a power of two) of so many bytes.
    ///
    /// # Errors
    /// The kernel is too old, forbids it, or has no memory for it.
    pub(crate) fn new(buffers: u16, bytes: usize) -> Result<Self, RingError> {
        let ring = make()?;
        if !ring.params().is_feature_ext_arg() || !ring.params().is_feature_nodrop() {
            return Err(too_old("timeouts of io_uring_enter", "5.11"));
        }
        let pool = Pool::new(buffers, bytes);
        // SAFETY: the entries are aligned to a page, stay where they are, and live in `pool`, which is freed after the
        // registration has ended (Drop), or never.
        let registered = unsafe {
            let entries = pool.entries.start.as_ptr() as u64;
            ring.submitter().register_buf_ring_with_flags(entries, buffers, GROUP, 0)
        };
        registered.map_err(|error| match error.raw_os_error() {
            Some(libc::EINVAL) => too_old("buffer rings", "5.19"),
            _ => refused(&error),
        })?;
        Ok(Self { ring, operations: Table::default(), pool, backlog: VecDeque::new(), sends: 0, prompt: true })
    }

    /// The provided buffers.
    pub(crate) fn pool(&self) -> &Rc<Pool> {
        &self.pool
    }

    /// Operations under way.
    pub(crate) fn under_way(&self) -> usize {
        self.operations.len()
    }

    /// Queues an operation; its completions are the target's. It begins with the next [`Ring::enter`].
    pub(crate) fn push(&mut self, operation: Operation, target: T) -> Key {
        self.sends += usize::from(matches!(operation, Operation::Send(..)));
        let key = self.operations.insert(UnderWay { target, operation });
        if let Some(under_way) = self.operations.get(key) {
            let entry = entry(&under_way.operation).user_data(key.number());
            self.queue(entry);
        }
        key
    }

    /// Queues the cancellation of an operation, which completes all the same.
    pub(crate) fn cancel(&mut self, key: Key) {
        if self.operations.get(key).is_some() {
            let entry = opcode::AsyncCancel::new(key.number()).build();
            self.queue(entry.user_data(NOBODY).flags(squeue::Flags::SKIP_SUCCESS));
        }
    }

    fn queue(&mut self, entry: squeue::Entry) {
        // SAFETY: what the entry names by address or number belongs to its operation, which stays in the table until its
        // last completion; a cancellation names nothing.
        if !self.backlog.is_empty() || unsafe { self.ring.submission().push(&entry) }.is_err() {
            self.backlog.push_back(entry);
        }
    }

    /// Moves what had no room into the submission queue, as far as it has some now.
    fn refill(&mut self) {
        let mut queue = self.ring.submission();
        while let Some(entry) = self.backlog.front() {
            // SAFETY: as in `queue`.
            if unsafe { queue.push(entry) }.is_err() {
                break;
            }
            self.backlog.pop_front();
        }
    }

    /// Submits everything queued and, with a limit, waits for something to complete beside what completes at once.
    /// Does nothing if there is nothing to do.
    ///
    /// # Errors
    /// Those of io_uring_enter(2) that are no reason to just go on.
    pub(crate) fn enter(&mut self, wait: Option<Duration>) -> io::Result<()> {
        while !self.backlog.is_empty() {
            let before = self.backlog.len();
            go_on(self.ring.submit())?;
            self.refill();
            if self.backlog.len() == before {
                // The kernel takes nothing more now: completions are looked at, and tasks go on, before it is asked again.
                return Ok(());
            }
        }
        match wait {
            // What has completed already is looked at first.
            Some(limit) if self.ring.completion().is_empty() => {
                let immediate = if self.prompt { self.sends } else { 0 };
                let limit = if immediate > 0 { limit.min(PROMPT_LIMIT) } else { limit };
                let time = Timespec::new().sec(limit.as_secs()).nsec(limit.subsec_nanos());
                let arguments = SubmitArgs::new().timespec(&time);
                go_on(self.ring.submitter().submit_with_args(1 + immediate, &arguments))
            }
            _ => {
                let queue = self.ring.submission();
                let (idle, work) = (queue.is_empty(), queue.taskrun() || queue.cq_overflow());
                drop(queue);
                if idle && !work { Ok(()) } else { go_on(self.ring.submit()) }
            }
        }
    }

    /// Takes the completions that are there.
    pub(crate) fn reap(&mut self, into: &mut Vec<Completion<T>>) {
        let Self { ring, operations, pool, sends, .. } = self;
        for entry in ring.completion() {
            let (number, result, flags) = (entry.user_data(), entry.result(), entry.flags());
            let key = Key::of_number(number);
            let more = cqueue::more(flags);
            let Some(under_way) = operations.get(key) else {
                debug_assert!(number == NOBODY, "a completion of nothing");
                continue;
            };
            let taken = match under_way.operation {
                // The kernel says which buffer it has filled.
                Operation::Receive(_) => {
                    let bytes = usize::try_from(result).unwrap_or(0);
                    cqueue::buffer_select(flags).and_then(|index| pool.take(index, bytes)).map(Outcome::Received)
                }
                Operation::Accept(_) if result >= 0 => {
                    // SAFETY: the kernel has just made this descriptor for us, and tells of it once.
                    Some(Outcome::Accepted(unsafe { OwnedFd::from_raw_fd(result) }))
                }
                _ => None,
            };
            if more {
                let target = under_way.target.clone();
                into.push(Completion { target, result, more, outcome: taken.unwrap_or(Outcome::Plain) });
            } else if let Some(UnderWay { target, operation }) = operations.remove(key) {
                let left = match operation {
                    Operation::Send(_, bytes) => {
                        *sends -= 1;
                        Outcome::Sent(bytes)
                    }
                    Operation::Write(_, buffer, ..) => Outcome::Written(buffer),
                    _ => Outcome::Plain,
                };
                into.push(Completion { target, result, more, outcome: taken.unwrap_or(left) });
            }
        }
        if self.sends > 0 && self.backlog.is_empty() && self.ring.submission().is_empty() {
            self.prompt = false;
        }
    }
}

impl<T> Drop for Ring<T> {
    fn drop(&mut self) {
        let until = Instant::now() + END_LIMIT;
        for key in self.operations.keys() {
            let entry = opcode::AsyncCancel::new(key.number()).build().user_data(NOBODY);
            self.backlog.push_back(entry.flags(squeue::Flags::SKIP_SUCCESS));
        }
        while self.operations.len() > 0 && Instant::now() < until {
            {
                let mut queue = self.ring.submission();
                while let Some(entry) = self.backlog.front() {
                    // SAFETY: as in `queue`: what it names is in the table, which outlives this loop.
                    if unsafe { queue.push(entry) }.is_err() {
                        break;
                    }
                    self.backlog.pop_front();
                }
            }
            let time = Timespec::new().nsec(10_000_000);
            if go_on(self.ring.submitter().submit_with_args(1, &SubmitArgs::new().timespec(&time))).is_err() {
                break;
            }
            for entry in self.ring.completion() {
                let (key, result) = (Key::of_number(entry.user_data()), entry.result());
                let accepts = self.operations.get(key).is_some_and(|o| matches!(o.operation, Operation::Accept(_)));
                if accepts && result >= 0 {
                    // SAFETY: as in `reap`.
                    drop(unsafe { OwnedFd::from_raw_fd(result) });
                }
                if !cqueue::more(entry.flags()) {
                    self.operations.remove(key);
                }
            }
        }
        let unregistered = self.ring.submitter().unregister_buf_ring(GROUP).is_ok();
        if self.operations.len() > 0 || !unregistered {
            // The kernel may still use this memory: it is never freed.
            std::mem::forget(std::mem::take(&mut self.operations));
            std::mem::forget(Rc::clone(&self.pool));
        }
    }
}

/// The entry of an operation. What it names by address lies on the heap and does not move with the operation.
fn entry(operation: &Operation) -> squeue::Entry {
    let of = |fd: &Rc<OwnedFd>| Fd(fd.as_raw_fd());
    let length = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    match operation {
        Operation::Receive(fd) => opcode::RecvMulti::new(of(fd), GROUP).build(),
        Operation::Send(fd, bytes) => opcode::Send::new(of(fd), bytes.as_ptr(), length(bytes.len()))
            .flags(libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT)
            .build(),
        Operation::Accept(fd) => opcode::AcceptMulti::new(of(fd)).flags(libc::SOCK_CLOEXEC).build(),
        Operation::Connect(fd, address) => opcode::Connect::new(of(fd), address.as_ptr().cast(), address.len()).build(),
        Operation::Poll(fd, events) => opcode::PollAdd::new(of(fd), *events).build(),
        Operation::Write(fd, buffer, position, durable) => {
            opcode::Write::new(of(fd), buffer.as_ptr(), length(buffer.len()))
                .offset(*position)
                .rw_flags(if *durable { libc::RWF_DSYNC } else { 0 })
                .build()
        }
        Operation::Sync(fd) => opcode::Fsync::new(of(fd)).flags(FsyncFlags::DATASYNC).build(),
    }
}

/// Waits that were interrupted or ran out of time are over; a queue that is full for now is tried again.
fn go_on(result: io::Result<usize>) -> io::Result<()> {
    match result {
        Ok(_) => Ok(()),
        Err(error) => match error.raw_os_error() {
            Some(libc::EINTR | libc::ETIME | libc::EBUSY | libc::EAGAIN) => Ok(()),
            _ => Err(error),
        },
    }
}

/// A ring with the flags that cost least, or with fewer.
fn make() -> Result<IoUring, RingError> {
    let mut last = None;
    for step in 0..3 {
        let mut builder = IoUring::builder();
        builder.dontfork().setup_cqsize(COMPLETIONS).setup_clamp();
        if step < 2 {
            builder.setup_submit_all().setup_taskrun_flag();
        }
        match step {
            // Linux 6.1: completions are made when we wait for them, by us.
            0 => builder.setup_single_issuer().setup_defer_taskrun(),
            1 => builder.setup_coop_taskrun(),
            _ => &mut builder,
        };
        match builder.build(SUBMISSIONS) {
            Ok(ring) => return Ok(ring),
            Err(error) => last = Some(error),
        }
        if last.as_ref().is_some_and(|error: &io::Error| error.raw_os_error() != Some(libc::EINVAL)) {
            break;
        }
    }
    match last {
        Some(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            Err(too_old("rings as they are set up here", "5.11"))
        }
        Some(error) => Err(refused(&error)),
        None => Err(refused(&io::ErrorKind::Unsupported.into())),
    }
}

fn too_old(what: &str, version: &str) -> RingError {
    RingError::lacks(format!("this kernel's io_uring has no {what} (Linux {version}; 6.0 is needed in all)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn aligned_memory_is_aligned_and_zero() {
        let large = if cfg!(miri) { 4098 } else { 100_000 };
        for bytes in [0, 1, 511, 4096, 4097, large] {
            let mut buffer = AlignedBuffer::new(bytes);
            assert_eq!(buffer.as_ptr() as usize % ALIGNMENT, 0);
            assert_eq!((buffer.len(), buffer.iter().all(|&b| b == 0)), (bytes, true));
            buffer.fill(7);
            let capacity = buffer.capacity();
            buffer.set_len(capacity);
            assert!(buffer[..bytes].iter().all(|&b| b == 7) && buffer[bytes..].iter().all(|&b| b == 0));
        }
    }

    #[test]
    #[should_panic(expected = "cannot grow")]
    fn aligned_memory_does_not_grow() {
        AlignedBuffer::new(10).set_len(ALIGNMENT + 1);
    }

    #[test]
    fn sends_complete_in_the_call_that_submits_them_and_nobody_waits_twice_for_one_that_does_not() {
        // Miri knows no ring.
        if cfg!(miri) {
            return;
        }
        let mut ring = Ring::<usize>::new(8, 64).unwrap();
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let ours = Rc::new(OwnedFd::from(ours));
        let mut reaped = Vec::new();
        // The last of them finds no room.
        let sizes = [1, 4 << 20, 4 << 20];
        for (i, bytes) in sizes.into_iter().enumerate() {
            ring.push(Operation::Send(Rc::clone(&ours), vec![0; bytes]), i);
        }
        ring.enter(None).unwrap();
        ring.reap(&mut reaped);
        let results: Vec<_> = reaped.drain(..).map(|done| (done.target, done.result)).collect();
        assert!(matches!(results[..], [(0, 1), (1, 1..), (2, r)] if r == -libc::EAGAIN), "{results:?}");
        assert_eq!((ring.sends, ring.prompt), (0, true));
        // One that never answers.
        ring.sends += 1;
        ring.push(Operation::Poll(Rc::new(theirs.into()), libc::POLLIN as u32), 3);
        for prompt in [true, false] {
            assert_eq!(ring.prompt, prompt);
            ring.enter(Some(Duration::from_secs(3600))).unwrap();
            ring.reap(&mut reaped);
            assert_eq!((reaped.pop().map(|done| done.target), ring.prompt), (Some(3), false));
            ring.push(Operation::Poll(Rc::clone(&ours), libc::POLLHUP as u32), 3);
        }
    }

    /// What the kernel does with the ring of buffers: takes the oldest.
    fn kernel_takes(pool: &Rc<Pool>, head: &Cell<u16>, content: &[u8]) -> Option<Taken> {
        let base = pool.entries.start.as_ptr().cast::<BufRingEntry>();
        // SAFETY: the entries and their tail are initialised, and nobody writes them meanwhile.
        let (tail, entry) = unsafe {
            let tail = AtomicU16::from_ptr(BufRingEntry::tail(base).cast_mut()).load(Ordering::Acquire);
            (tail, &*base.add(usize::from(head.get() & (pool.count - 1))))
        };
        if head.get() == tail {
            return None;
        }
        head.set(head.get().wrapping_add(1));
        let index = entry.bid();
        assert_eq!((entry.addr(), entry.len() as usize), (pool.start_of(index) as u64, pool.each));
        // SAFETY: the buffer is the kernel's, whose part we play.
        unsafe { std::ptr::copy_nonoverlapping(content.as_ptr(), pool.start_of(index), content.len()) };
        pool.take(index, content.len())
    }

    #[test]
    fn a_buffer_is_the_kernels_or_ours() {
        let pool = Pool::new(4, 64);
        let head = Cell::new(0);
        // Past the point where the 16 bits of the tail begin again.
        let rounds = if cfg!(miri) { 40 } else { 70_000 };
        let mut held = VecDeque::new();
        for round in 0..rounds {
            let content = [round as u8; 64];
            let taken = kernel_takes(&pool, &head, &content[..round % 65]).unwrap();
            assert_eq!(&*taken, &content[..round % 65]);
            held.push_back((taken, round));
            if held.len() == 4 {
                assert!(kernel_takes(&pool, &head, b"").is_none(), "all of them are held");
                assert_eq!(pool.offered(), 0);
            }
            if held.len() > round % 4 {
                for (taken, round) in held.drain(..1 + round % held.len()) {
                    assert!(taken.iter().all(|&b| b == round as u8));
                }
            }
        }
        held.clear();
        assert_eq!(pool.offered(), 4);
        assert!(pool.take(4, 0).is_none() && pool.take(0, 65).is_none(), "what the kernel cannot mean");
    }

    #[test]
    fn more_operations_than_the_queues_hold_all_begin_and_all_end_once() {
        const MANY: usize = 3 * COMPLETIONS as usize;
        // There is no kernel to ask.
        if cfg!(miri) {
            return;
        }
        let mut ring = Ring::<usize>::new(8, 64).unwrap();
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        let fd = Rc::new(OwnedFd::from(ours));
        let wait = |n| (Operation::Poll(Rc::clone(&fd), libc::POLLIN as u32), n);
        let keys: Vec<Key> = (0..MANY).map(wait).map(|(operation, n)| ring.push(operation, n)).collect();
        ring.enter(None).unwrap();
        let mut done = Vec::new();
        ring.reap(&mut done);
        assert!(done.is_empty() && ring.backlog.is_empty());
        // Each ends once, though more end at a time than there is room to tell of, and though all are asked to twice.
        keys.iter().chain(&keys).for_each(|key| ring.cancel(*key));
        let mut seen = vec![false; MANY];
        let until = Instant::now() + Duration::from_secs(20);
        while (ring.under_way() > 0 || !ring.backlog.is_empty()) && Instant::now() < until {
            ring.enter(Some(Duration::from_millis(10))).unwrap();
            ring.reap(&mut done);
            for completion in done.drain(..) {
                assert_eq!((completion.result, completion.more), (-libc::ECANCELED, false));
                assert!(!std::mem::replace(&mut seen[completion.target], true), "told twice");
            }
        }
        assert!(seen.iter().all(|seen| *seen));
        // Whose keys are stale is asked nothing any more.
        ring.cancel(keys[0]);
        assert!(ring.backlog.is_empty() && ring.ring.submission().is_empty());
        assert_eq!(Rc::strong_count(&fd), 1, "nothing holds the descriptor");
    }

    #[test]
    fn what_is_taken_outlives_its_ring() {
        let pool = Pool::new(2, 16);
        let taken = kernel_takes(&pool, &Cell::new(0), b"later").unwrap();
        drop(pool);
        assert_eq!(&*taken, b"later");
    }
}
