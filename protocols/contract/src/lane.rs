//! One direction of a session: the pipe bytes arrive in, and the ordered list of what goes out to the other side.
//!
//! ```text
//!   buffer  |  (sent)  | settled, not sent | arrived, not settled |  free  |
//!           0        sent               settled                 filled    len
//! ```
//!
//! `sent <= settled <= filled` always holds. Settled bytes are described by runs: `Pass(n)` sends the next n bytes of the
//! pipe, `Skip(n)` drops them, `Put(n)` sends n bytes of scratch. Neighbours merge, so a thousand untouched rows leave as
//! one run; a small run next to scratch is copied into it, so that a conversation of small frames is one write.
//!
//! A lane can be *held*: then output leaves only as far as [`Lane::release`] says, counted in bytes of output from the
//! lane's beginning. A pipe that is full of held output is set aside with its runs, and a fresh one takes its place, up to
//! a limit; so the other peer is read on while somebody decides.
//!
//! Deliberately absent: sockets. The pump takes [`Lane::chunk`], writes it, and says [`Lane::written`].

use std::collections::VecDeque;

/// Buffer of a conversation of small frames, in bytes.
pub const BUFFER_SMALL_BYTES: usize = 16 << 10;
/// Buffer of a streaming result, in bytes: the size decides the cost of bulk reads.
pub const BUFFER_LARGE_BYTES: usize = 256 << 10;
/// Scratch beyond this, and beyond the pipe's size, is set aside with its pipe while it is held.
const PARK_SCRATCH_BYTES: usize = 64 << 10;
/// A run up to this size is copied next to scratch instead of being a write of its own.
const RUN_COPY_BYTES_MAX: usize = 4 << 10;
/// Buffers of each size kept for reuse on one core.
const POOL_MAX: usize = 64;
/// Scratch kept for reuse on one core, and how large one may be, in bytes: a turn's rows and what they grow by.
const SCRATCH_POOL_MAX: usize = 16;
const SCRATCH_BYTES_MAX: usize = 4 * BUFFER_LARGE_BYTES;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Run {
    Pass(usize),
    Skip(usize),
    Put(usize),
}

/// Buffers of one core: a session holds one only while bytes are in it.
#[derive(Debug, Default)]
pub struct Buffers {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
    /// Scratch of results that are written again, empty.
    scratch: Vec<Vec<u8>>,
    /// Scratch of everything else, empty.
    jotters: Vec<Vec<u8>>,
}

impl Buffers {
    fn take(&mut self, bytes: usize) -> Vec<u8> {
        let (pool, size) = match bytes {
            0..=BUFFER_SMALL_BYTES => (&mut self.small, BUFFER_SMALL_BYTES),
            _ if bytes <= BUFFER_LARGE_BYTES => (&mut self.large, BUFFER_LARGE_BYTES),
            _ => return vec![0; bytes],
        };
        pool.pop().unwrap_or_else(|| vec![0; size])
    }

    fn give_scratch(&mut self, mut scratch: Vec<u8>) {
        let (pool, most) = match scratch.capacity() {
            0..BUFFER_SMALL_BYTES => (&mut self.jotters, POOL_MAX),
            BUFFER_SMALL_BYTES..=SCRATCH_BYTES_MAX => (&mut self.scratch, SCRATCH_POOL_MAX),
            _ => return,
        };
        if pool.len() < most {
            scratch.clear();
            pool.push(scratch);
        }
    }

    fn give(&mut self, buffer: Vec<u8>) {
        let pool = match buffer.len() {
            BUFFER_SMALL_BYTES => &mut self.small,
            BUFFER_LARGE_BYTES => &mut self.large,
            _ => return,
        };
        if pool.len() < POOL_MAX {
            pool.push(buffer);
        }
    }
}

/// What to write next.
#[derive(Debug, PartialEq, Eq)]
pub enum Chunk<'a> {
    /// Nothing is queued.
    Empty,
    /// These bytes, in one piece.
    Bytes(&'a [u8]),
}

/// A full pipe whose output is held, set aside.
#[derive(Debug)]
struct Parked {
    buffer: Vec<u8>,
    sent: usize,
    runs: VecDeque<Run>,
    scratch: Vec<u8>,
    scratch_sent: usize,
}

impl Parked {
    fn bytes(&self) -> usize {
        self.buffer.len() + self.scratch.len()
    }

    fn is_sent(&mut self) -> bool {
        while let Some(Run::Skip(n)) = self.runs.front().copied() {
            self.sent += n;
            self.runs.pop_front();
        }
        self.runs.is_empty()
    }
}

/// State of a lane whose output is held.
#[derive(Debug, Default)]
struct Hold {
    /// Bytes of output that may leave, and that have left, since the lane was held.
    released: u64,
    sent: u64,
    /// Bytes of output since then, in all.
    queued: u64,
    /// Oldest first.
    parked: VecDeque<Parked>,
    parked_bytes: usize,
    parked_bytes_max: usize,
    /// Buffers to be given back.
    spare: Vec<Vec<u8>>,
}

/// One direction: bytes from one peer, output to the other.
#[derive(Debug)]
pub struct Lane {
    buffer: Vec<u8>,
    sent: usize,
    settled: usize,
    filled: usize,
    runs: VecDeque<Run>,
    scratch: Vec<u8>,
    scratch_sent: usize,
    /// The last read filled the buffer: the next buffer is a large one.
    streaming: bool,
    /// And much of the stream is written again, so the next scratch is a large one too.
    rewriting: bool,
    /// Size the pipe must have to hold the frame at its front.
    wanted: usize,
    /// Largest buffer.
    bytes_max: usize,
    hold: Option<Box<Hold>>,
}

impl Lane {
    /// An empty lane that holds no memory.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            buffer: Vec::new(),
            sent: 0,
            settled: 0,
            filled: 0,
            runs: VecDeque::new(),
            scratch: Vec::new(),
            scratch_sent: 0,
            streaming: false,
            rewriting: false,
            wanted: 0,
            bytes_max,
            hold: None,
        }
    }

    fn check(&self) {
        debug_assert!(self.sent <= self.settled);
        debug_assert!(self.settled <= self.filled);
        debug_assert!(self.filled <= self.buffer.len());
    }

    // ---- the pump's side ------------------------------------------------------------------------------------------

    /// Room to receive into; empty when the pipe is full. Takes a buffer from the pool if the lane has none. The buffer
    /// grows only when it is full of bytes that really arrived: a length field alone costs nothing.
    pub fn slot(&mut self, buffers: &mut Buffers) -> &mut [u8] {
        self.park(buffers);
        if self.scratch.capacity() == 0 {
            let large = self.streaming && self.rewriting;
            let pool = if large { &mut buffers.scratch } else { &mut buffers.jotters };
            self.scratch = pool.pop().unwrap_or_default();
        }
        if self.buffer.is_empty() {
            self.buffer = buffers.take(if self.streaming { BUFFER_LARGE_BYTES } else { BUFFER_SMALL_BYTES });
        } else if self.sent == self.settled {
            let live = self.filled - self.settled;
            let len = self.buffer.len();
            let target = if live == len && self.wanted > len {
                self.wanted.min(len * 4).max(BUFFER_LARGE_BYTES.min(self.wanted))
            } else if self.streaming {
                len.max(BUFFER_LARGE_BYTES)
            } else {
                len
            };
            if target > len {
                let mut larger = buffers.take(target);
                larger[..live].copy_from_slice(&self.buffer[self.settled..self.filled]);
                buffers.give(std::mem::replace(&mut self.buffer, larger));
            } else if self.sent > 0 {
                self.buffer.copy_within(self.settled..self.filled, 0);
            }
            (self.sent, self.settled, self.filled) = (0, 0, live);
        }
        self.check();
        &mut self.buffer[self.filled..]
    }

    /// Sets a pipe aside that is full of output which may not leave yet.
    fn park(&mut self, buffers: &mut Buffers) {
        let Some(hold) = &mut self.hold else { return };
        for buffer in hold.spare.drain(..) {
            buffers.give(buffer);
        }
        let len = self.buffer.len();
        let (output, free) = (self.settled - self.sent, len - self.filled);
        let scratch = self.scratch.len() - self.scratch_sent;
        // Worth it only if it makes room: there is much output, and little space for more.
        let full = (free < len / 4 && output + scratch >= len / 2) || scratch > len.max(PARK_SCRATCH_BYTES);
        while let Some(Run::Skip(n)) = self.runs.front().copied() {
            self.sent += n;
            self.runs.pop_front();
        }
        if !full || self.runs.is_empty() || hold.parked_bytes + len + self.scratch.len() > hold.parked_bytes_max {
            return;
        }
        let live = self.filled - self.settled;
        let size = if self.streaming { len.max(BUFFER_LARGE_BYTES) } else { len };
        let mut fresh = buffers.take(size);
        fresh[..live].copy_from_slice(&self.buffer[self.settled..self.filled]);
        let parked = Parked {
            buffer: std::mem::replace(&mut self.buffer, fresh),
            sent: self.sent,
            runs: std::mem::take(&mut self.runs),
            scratch: std::mem::take(&mut self.scratch),
            scratch_sent: std::mem::take(&mut self.scratch_sent),
        };
        hold.parked_bytes += parked.bytes();
        hold.parked.push_back(parked);
        (self.sent, self.settled, self.filled) = (0, 0, live);
    }

    /// `n` bytes were received into the slot.
    pub fn received(&mut self, n: usize) {
        self.filled += n;
        let full = self.filled == self.buffer.len();
        if full {
            self.streaming = true;
        } else if n < BUFFER_SMALL_BYTES / 2 {
            self.streaming = false;
            self.rewriting = false;
        }
        self.check();
    }

    /// Gives the buffer back if nothing is in it.
    pub fn rest(&mut self, buffers: &mut Buffers) {
        if let Some(hold) = &mut self.hold {
            for buffer in hold.spare.drain(..) {
                buffers.give(buffer);
            }
        }
        if self.filled == self.sent && !self.buffer.is_empty() {
            (self.sent, self.settled, self.filled) = (0, 0, 0);
            buffers.give(std::mem::take(&mut self.buffer));
        }
        if self.runs.is_empty() && self.scratch.capacity() > 0 {
            buffers.give_scratch(std::mem::take(&mut self.scratch));
            self.scratch_sent = 0;
        }
    }

    /// What to write next, in one piece.
    pub fn chunk(&mut self) -> Chunk<'_> {
        while let Some(Run::Skip(n)) = self.runs.front().copied() {
            self.sent += n;
            self.runs.pop_front();
        }
        let mut room = usize::MAX;
        if let Some(hold) = &self.hold {
            room = usize::try_from(hold.released.saturating_sub(hold.sent)).unwrap_or(usize::MAX);
            if room == 0 {
                return Chunk::Empty;
            }
            if let Some(Parked { buffer, sent, runs, scratch, scratch_sent }) = hold.parked.front() {
                return piece(runs, buffer, *sent, scratch, *scratch_sent, room);
            }
        }
        piece(&self.runs, &self.buffer, self.sent, &self.scratch, self.scratch_sent, room)
    }

    /// `n` bytes of the chunk were written.
    pub fn written(&mut self, n: usize) {
        if let Some(hold) = &mut self.hold {
            hold.sent += n as u64;
            debug_assert!(hold.sent <= hold.released);
            if let Some(front) = hold.parked.front_mut() {
                match front.runs.front_mut() {
                    Some(Run::Pass(left)) => {
                        *left -= n;
                        front.sent += n;
                    }
                    Some(Run::Put(left)) => {
                        *left -= n;
                        front.scratch_sent += n;
                    }
                    Some(Run::Skip(_)) | None => debug_assert!(n == 0),
                }
                if matches!(front.runs.front(), Some(Run::Pass(0) | Run::Put(0))) {
                    front.runs.pop_front();
                }
                hold.finish_front();
                return;
            }
        }
        match self.runs.front_mut() {
            Some(Run::Pass(left)) => {
                debug_assert!(n <= *left);
                *left -= n;
                self.sent += n;
            }
            Some(Run::Put(left)) => {
                debug_assert!(n <= *left);
                *left -= n;
                self.scratch_sent += n;
            }
            Some(Run::Skip(_)) | None => debug_assert!(n == 0),
        }
        if matches!(self.runs.front(), Some(Run::Pass(0) | Run::Put(0))) {
            self.runs.pop_front();
        }
        while let Some(Run::Skip(n)) = self.runs.front().copied() {
            self.sent += n;
            self.runs.pop_front();
        }
        if self.runs.is_empty() {
            self.scratch.clear();
            self.scratch_sent = 0;
        }
        self.check();
    }

    /// Something waits to be written, now or when it is released.
    #[must_use]
    pub fn has_output(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| !hold.parked.is_empty())
            || self.runs.iter().any(|r| !matches!(r, Run::Skip(_)))
    }

    /// Something waits for the socket alone.
    #[must_use]
    pub fn can_write(&self) -> bool {
        self.hold.as_ref().is_none_or(|hold| hold.released > hold.sent) && self.has_output()
    }

    /// From now on output leaves only as far as it is released; what is queued already counts as the first of it. Pipes
    /// full of held output are set aside up to this many bytes.
    pub fn hold(&mut self, parked_bytes_max: usize) {
        if self.hold.is_none() {
            let bytes = self.runs.iter().map(|run| if let Run::Skip(_) = run { 0 } else { run.bytes() as u64 });
            let queued = bytes.sum();
            self.hold = Some(Box::new(Hold { queued, parked_bytes_max, ..Hold::default() }));
        }
    }

    /// Bytes of output queued since the lane was held, those that have left included.
    #[must_use]
    pub fn queued(&self) -> u64 {
        self.hold.as_ref().map_or(0, |hold| hold.queued)
    }

    /// Output up to here, counted as [`Lane::queued`] counts, may leave.
    pub fn release(&mut self, to: u64) {
        if let Some(hold) = &mut self.hold {
            hold.released = hold.released.max(to);
        }
    }

    /// Some output is not released.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.hold.as_ref().is_some_and(|hold| hold.queued > hold.released)
    }

    /// Drops output that is not released.
    pub fn drop_held(&mut self) {
        let Some(hold) = &mut self.hold else { return };
        let mut room = usize::try_from(hold.released.saturating_sub(hold.sent)).unwrap_or(usize::MAX);
        for parked in &mut hold.parked {
            keep(&mut parked.runs, &mut room);
        }
        hold.finish_front();
        keep(&mut self.runs, &mut room);
        hold.queued = hold.queued.min(hold.released);
        let puts = self.runs.iter().map(|run| if let Run::Put(n) = run { *n } else { 0 }).sum::<usize>();
        self.scratch.truncate(self.scratch_sent + puts);
        self.check();
    }

    /// Bytes of output that have not left.
    #[must_use]
    pub fn unsent(&self) -> u64 {
        let parked = self.hold.iter().flat_map(|hold| &hold.parked).flat_map(|parked| &parked.runs);
        let bytes = parked.chain(&self.runs).map(|run| match run {
            Run::Skip(_) => 0,
            Run::Pass(n) | Run::Put(n) => *n as u64,
        });
        bytes.sum()
    }

    /// Bytes of scratch waiting to be written.
    #[must_use]
    pub fn scratch_queued(&self) -> usize {
        self.scratch.len() - self.scratch_sent
    }

    /// Bytes of memory held by this lane.
    #[must_use]
    pub fn memory(&self) -> usize {
        let parked = self.hold.as_ref().map_or(0, |hold| hold.parked_bytes);
        self.buffer.len() + self.scratch.capacity() + parked
    }

    /// Drops what is queued and what arrived; for a conversation that is over.
    pub fn discard(&mut self) {
        if let Some(hold) = &mut self.hold {
            hold.spare.extend(hold.parked.drain(..).map(|parked| parked.buffer));
            hold.parked_bytes = 0;
            hold.queued = hold.sent;
        }
        self.runs.clear();
        self.scratch.clear();
        self.scratch_sent = 0;
        self.sent = self.filled;
        self.settled = self.filled;
    }

    // ---- the protocol's side --------------------------------------------------------------------------------------

    /// What has arrived and is not settled.
    #[must_use]
    pub fn input(&self) -> &[u8] {
        &self.buffer[self.settled..self.filled]
    }

    /// The same, to be changed in place before it is settled.
    pub fn input_mut(&mut self) -> &mut [u8] {
        &mut self.buffer[self.settled..self.filled]
    }

    /// The frame at the front needs this many bytes before it can be settled.
    pub fn want(&mut self, bytes: usize) {
        self.wanted = bytes;
    }

    /// Size of the present buffer; a frame longer than [`Lane::capacity_max`] must stream.
    #[must_use]
    pub fn capacity_max(&self) -> usize {
        self.bytes_max
    }

    /// Settles the next `n` bytes: they go on unchanged.
    pub fn pass(&mut self, n: usize) {
        debug_assert!(n <= self.filled - self.settled);
        if n == 0 {
            return;
        }
        self.wanted = 0;
        if let Some(Run::Pass(m)) = self.runs.back_mut() {
            *m += n;
            self.settled += n;
            self.count(n);
            return;
        }
        if n <= RUN_COPY_BYTES_MAX && self.ends_with_put() {
            self.scratch.extend_from_slice(&self.buffer[self.settled..self.settled + n]);
            self.settled += n;
            self.push_put(n);
            self.push_skip(n);
            return;
        }
        self.settled += n;
        self.count(n);
        self.runs.push_back(Run::Pass(n));
    }

    /// Settles the next `n` bytes: they end here.
    pub fn skip(&mut self, n: usize) {
        debug_assert!(n <= self.filled - self.settled);
        if n == 0 {
            return;
        }
        self.wanted = 0;
        self.settled += n;
        if self.runs.is_empty() {
            self.sent += n;
        } else {
            self.push_skip(n);
        }
        self.check();
    }

    /// Queues bytes of our own.
    pub fn put(&mut self, bytes: &[u8]) {
        self.put_with(|scratch| scratch.extend_from_slice(bytes));
    }

    /// Queues bytes of our own, written by `write` at the end of scratch.
    pub fn put_with(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.absorb();
        let before = self.scratch.len();
        write(&mut self.scratch);
        let n = self.scratch.len() - before;
        if n > 0 {
            self.push_put(n);
        }
    }

    /// Settles the next `n` bytes: `write` sees them, may change them, and appends what goes on instead.
    ///
    /// # Errors
    /// Those of `write`; then nothing is settled, and nothing of what it wrote goes on.
    pub fn replace<E>(
        &mut self,
        n: usize,
        write: impl FnOnce(&mut [u8], &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.absorb();
        let before = self.scratch.len();
        if let Err(error) = write(&mut self.buffer[self.settled..self.settled + n], &mut self.scratch) {
            self.scratch.truncate(before);
            return Err(error);
        }
        let put = self.scratch.len() - before;
        self.rewriting |= put > BUFFER_SMALL_BYTES;
        if put > 0 {
            self.push_put(put);
        }
        self.skip(n);
        Ok(())
    }

    /// A lone small run in front of scratch becomes scratch, so that both leave in one write.
    fn absorb(&mut self) {
        if let [Run::Pass(n)] = *self.runs.make_contiguous() {
            // The run's bytes start at `sent`: it is the only one.
            if n <= RUN_COPY_BYTES_MAX {
                self.runs.clear();
                self.scratch.extend_from_slice(&self.buffer[self.sent..self.sent + n]);
                self.sent += n;
                if let Some(hold) = &mut self.hold {
                    hold.queued -= n as u64;
                }
                self.push_put(n);
            }
        }
    }

    fn count(&mut self, n: usize) {
        if let Some(hold) = &mut self.hold {
            hold.queued += n as u64;
        }
    }

    fn ends_with_put(&self) -> bool {
        match self.runs.back() {
            Some(Run::Put(_)) => true,
            Some(Run::Skip(_)) => {
                self.runs.len() >= 2 && matches!(self.runs.get(self.runs.len() - 2), Some(Run::Put(_)))
            }
            Some(Run::Pass(_)) | None => false,
        }
    }

    /// Adjacent puts merge even across skips, which do not care about order relative to scratch.
    fn push_put(&mut self, n: usize) {
        self.count(n);
        let len = self.runs.len();
        if let Some(Run::Put(m)) = self.runs.back_mut() {
            *m += n;
            return;
        }
        if len >= 2
            && matches!(self.runs.back(), Some(Run::Skip(_)))
            && let Some(Run::Put(m)) = self.runs.get_mut(len - 2)
        {
            *m += n;
            return;
        }
        self.runs.push_back(Run::Put(n));
    }

    fn push_skip(&mut self, n: usize) {
        match self.runs.back_mut() {
            Some(Run::Skip(m)) => *m += n,
            _ => self.runs.push_back(Run::Skip(n)),
        }
    }

    /// Settled everything that arrived.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.settled == self.filled
    }
}

impl Hold {
    /// Lets the oldest pipes go of which everything was sent.
    fn finish_front(&mut self) {
        while let Some(done) = self.parked.pop_front_if(Parked::is_sent) {
            self.parked_bytes -= done.bytes();
            self.spare.push(done.buffer);
        }
    }
}

/// What the first run says, at most `room` bytes of it. Skips were stepped over.
fn piece<'a>(
    runs: &VecDeque<Run>,
    buffer: &'a [u8],
    sent: usize,
    scratch: &'a [u8],
    scratch_sent: usize,
    room: usize,
) -> Chunk<'a> {
    match runs.front().copied() {
        Some(Run::Pass(n)) => Chunk::Bytes(&buffer[sent..sent + n.min(room)]),
        Some(Run::Put(n)) => Chunk::Bytes(&scratch[scratch_sent..scratch_sent + n.min(room)]),
        Some(Run::Skip(_)) | None => Chunk::Empty,
    }
}

/// Turns everything but the next `room` bytes of output into nothing.
fn keep(runs: &mut VecDeque<Run>, room: &mut usize) {
    let mut kept = VecDeque::with_capacity(runs.len());
    for run in runs.drain(..) {
        match run {
            Run::Skip(_) => kept.push_back(run),
            Run::Pass(n) => {
                let now = n.min(*room);
                *room -= now;
                kept.extend([Run::Pass(now), Run::Skip(n - now)].into_iter().filter(|r| !r.is_empty()));
            }
            Run::Put(n) => {
                let now = n.min(*room);
                *room -= now;
                kept.extend([Run::Put(now)].into_iter().filter(|r| !r.is_empty()));
            }
        }
    }
    *runs = kept;
}

impl Run {
    fn bytes(self) -> usize {
        let (Self::Pass(n) | Self::Skip(n) | Self::Put(n)) = self;
        n
    }

    fn is_empty(self) -> bool {
        self.bytes() == 0
    }
}
