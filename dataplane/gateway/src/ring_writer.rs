//! One core's audit writer: takes records, makes blocks durable, wakes who waits for them.
//!
//! Invariants: one block is on its way to the disk at a time, and the next forms meanwhile; a sequence number is
//! reported durable only after `fdatasync`; a block whose write failed stays in memory, unchanged, and is written again
//! to a fresh segment, so that no record is lost while the process lives; while the disk fails, nothing that would let
//! a statement go on is accepted. An idle core has no timer. Locking and recovery are not here: `audit::open` does them
//! before executors start.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::future::{Future, poll_fn};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::key_slots::KeySlots;
use audit::record::{Clock, Record, Recorded, SessionId};
use audit::segment::{self, HEADER_PAGE_BYTES, SEGMENT_BYTES_DEFAULT, SegmentHeader};
use audit::{CoreStart, Ring, StatementId};
use glommio::io::{DmaFile, OpenOptions};
use glommio::timer::Timer;

/// Records nobody waits for are written after this time at the latest (plus a commit).
const AGE_MAX: Duration = Duration::from_millis(50);
/// So many bytes are written without waiting for anything.
const PENDING_BYTES_MAX: usize = 256 << 10;
/// Wait between attempts while the disk fails.
const RETRY: Duration = Duration::from_millis(500);
/// Attempts that an orderly end makes on a failing disk before it gives up.
const CLOSE_ATTEMPTS: u32 = 10;
/// A block buffer that grew beyond this for one long statement is given back.
const BLOCK_BUFFER_KEPT: usize = 1 << 20;
/// Below this a ring could not hold one statement of the usual limit.
const RING_BYTES_MIN: usize = 64 << 10;

/// Why a record was not taken, or will not become durable soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditError {
    /// The ring is full: the disk is slower than the statements.
    Full,
    /// The disk fails; it is tried again.
    Disk(io::ErrorKind),
    /// The log was closed.
    Closed,
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the audit log has no room: its disk is too slow"),
            Self::Disk(kind) => write!(f, "the audit log cannot be written: {kind}"),
            Self::Closed => f.write_str("the audit log is closed"),
        }
    }
}

impl std::error::Error for AuditError {}

/// Where a fault can be injected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultPoint {
    /// Making the next segment ready.
    Prepare,
    /// Writing this block.
    Write(u64),
    /// Syncing this block, after it was written.
    Sync(u64),
    /// Writing the wrapped keys that must be on disk before this block.
    Keys(u64),
}

/// Answers with the error that a point is to fail with.
pub type Faults = Rc<dyn Fn(FaultPoint) -> Option<io::ErrorKind>>;

/// How a core's log is written.
#[derive(Clone)]
pub struct WriterOptions {
    /// Size of a segment; a longer block gets a longer one.
    pub segment_bytes: u64,
    /// Memory for records that are not durable yet.
    pub ring_bytes: usize,
    /// Bytes of one session's wrapped keys, as [`CoreAudit::append_keys`] is given them; 0 for none.
    pub slot_bytes: usize,
    /// Write through the page cache even where direct writes work.
    pub buffered: bool,
    /// Kept at the number of the block that becomes durable next, for other threads.
    pub durable_blocks: Arc<AtomicU64>,
    /// Faults for tests.
    pub faults: Option<Faults>,
}

impl Default for WriterOptions {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            ring_bytes: 8 << 20,
            slot_bytes: 0,
            buffered: false,
            durable_blocks: Arc::default(),
            faults: None,
        }
    }
}

/// Counters of one core's log, for metrics and `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditStatus {
    /// Last record appended.
    pub last_sequence: u64,
    /// Last record on disk.
    pub durable_sequence: u64,
    /// Bytes of the ring in use.
    pub ring_used: usize,
    /// Bytes of the ring.
    pub ring_bytes: usize,
    /// Blocks written.
    pub blocks: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Microseconds that the last commit took.
    pub last_commit_us: u64,
    /// Errors of the disk.
    pub errors: u64,
    /// The disk fails now.
    pub failing: bool,
    /// Writes go through the page cache.
    pub buffered: bool,
}

#[derive(Clone, Copy)]
struct Failure {
    kind: io::ErrorKind,
    since: Clock,
    attempts: u32,
}

struct State {
    ring: Ring,
    /// Wrapped keys that go to disk before the next block.
    keys: Vec<u8>,
    /// Who waits for which record, ascending.
    waiters: VecDeque<(u64, Waker)>,
    /// Highest record that somebody waits for.
    wanted: u64,
    flusher: Option<Waker>,
    failure: Option<Failure>,
    /// Statements of a crashed epoch, still to be closed.
    in_doubt: VecDeque<StatementId>,
    /// The account of the crash, appended behind them.
    account: Option<String>,
    /// Gone once the record of an orderly end is in the ring.
    end_wanted: bool,
    closing: bool,
    ended: Option<Result<(), AuditError>>,
    closers: Vec<Waker>,
}

/// A core's audit log.
pub struct CoreAudit {
    state: RefCell<State>,
    status: Cell<AuditStatus>,
    start: CoreStart,
    first_sequence: u64,
    options: WriterOptions,
    /// Sessions and statements refused because of the log since it last worked.
    refused: (Cell<u64>, Cell<u64>),
}

impl CoreAudit {
    /// Begins the epoch in memory; [`CoreAudit::run`] must be spawned (and detached) for anything to reach the disk.
    ///
    /// # Errors
    /// The ring cannot even hold the epoch's first record.
    pub fn new(mut start: CoreStart, build: &str, options: WriterOptions) -> Result<Rc<Self>, AuditError> {
        options.durable_blocks.store(start.next_block_seq, Ordering::Release);
        let mut ring = Ring::new(
            start.node,
            start.core,
            start.epoch,
            start.epoch_nonce,
            start.previous_header,
            start.next_record_seq,
            options.ring_bytes.max(RING_BYTES_MIN),
        )
        .starting_at_block(start.next_block_seq);
        let first = Record::EpochStart {
            build,
            previous: start.previous_header,
            clean: start.clean,
            torn_bytes: start.torn_bytes,
        };
        let first_sequence = ring.append(Clock::now(), &first).map_err(|_| AuditError::Full)?.sequence();
        let in_doubt: VecDeque<_> = std::mem::take(&mut start.in_doubt).into();
        let account =
            (!start.clean).then(|| format!("{} statements in doubt, {} torn bytes", in_doubt.len(), start.torn_bytes));
        let state = State {
            ring,
            keys: Vec::new(),
            waiters: VecDeque::new(),
            wanted: first_sequence,
            flusher: None,
            failure: None,
            in_doubt,
            account,
            end_wanted: false,
            closing: false,
            ended: None,
            closers: Vec::new(),
        };
        let status = AuditStatus { buffered: options.buffered, ..AuditStatus::default() };
        Ok(Rc::new(Self {
            state: RefCell::new(state),
            status: Cell::new(status),
            start,
            first_sequence,
            options,
            refused: Default::default(),
        }))
    }

    /// Appends a record, stamped now.
    ///
    /// # Errors
    /// No room, a closed log, or, for records that let something go on, a failing disk.
    pub fn append(&self, record: &Record<'_>) -> Result<Recorded, AuditError> {
        let mut state = self.state.borrow_mut();
        if state.closing {
            return Err(AuditError::Closed);
        }
        if let Some(failure) = state.failure.filter(|_| audit::announces(record)) {
            return Err(AuditError::Disk(failure.kind));
        }
        let idle = state.ring.pending_bytes() == 0;
        let recorded = state.ring.append(Clock::now(), record).map_err(|_| AuditError::Full)?;
        // The flusher sleeps without a timer while nothing is pending, and with one until there is much.
        let flusher = if idle || state.ring.pending_bytes() >= PENDING_BYTES_MAX { state.flusher.take() } else { None };
        drop(state);
        if let Some(flusher) = flusher {
            flusher.wake();
        }
        Ok(recorded)
    }

    /// Stands for a record that is left out on purpose; the log holds nothing of it.
    ///
    /// # Errors
    /// The log is closed.
    pub fn leave_out(&self) -> Result<Recorded, AuditError> {
        let state = self.state.borrow();
        if state.closing {
            return Err(AuditError::Closed);
        }
        state.ring.leave_out().map_err(|_| AuditError::Closed)
    }

    /// Counts a statement that was refused because of the log, for the account of an outage.
    pub fn refused_statement(&self) {
        self.refused.1.set(self.refused.1.get() + 1);
    }

    /// Takes the wrapped keys of a session whose first record follows: they will be durable before it is.
    pub fn append_keys(&self, slot: &[u8]) {
        self.state.borrow_mut().keys.extend_from_slice(slot);
    }

    /// Node, core and epoch of this log.
    #[must_use]
    pub fn identity(&self) -> ([u8; 16], u16, u32) {
        (self.start.node, self.start.core, self.start.epoch)
    }

    /// Is this record on disk?
    #[must_use]
    pub fn is_durable(&self, sequence: u64) -> bool {
        self.state.borrow().ring.durable_sequence() >= sequence
    }

    /// Ready when the record is on disk, or an error while the disk fails. Asking makes the flusher write at once.
    pub fn poll_durable(&self, cx: &mut Context<'_>, sequence: u64) -> Poll<Result<(), AuditError>> {
        let mut state = self.state.borrow_mut();
        if state.ring.durable_sequence() >= sequence {
            return Poll::Ready(Ok(()));
        }
        if let Some(failure) = state.failure {
            return Poll::Ready(Err(AuditError::Disk(failure.kind)));
        }
        if state.ended.is_some() || sequence > state.ring.last_sequence() {
            return Poll::Ready(Err(AuditError::Closed));
        }
        // Sequence numbers ascend, so the newest waiter almost always belongs at the end.
        let from = state.waiters.partition_point(|(waiting, _)| *waiting < sequence);
        let to = state.waiters.partition_point(|(waiting, _)| *waiting <= sequence);
        if !state.waiters.range(from..to).any(|(_, waker)| waker.will_wake(cx.waker())) {
            state.waiters.insert(to, (sequence, cx.waker().clone()));
        }
        state.wanted = state.wanted.max(sequence);
        let flusher = if sequence > state.ring.sealed_sequence() { state.flusher.take() } else { None };
        drop(state);
        if let Some(flusher) = flusher {
            flusher.wake();
        }
        Poll::Pending
    }

    /// Waits until the record is on disk.
    ///
    /// # Errors
    /// As [`CoreAudit::poll_durable`].
    pub async fn durable(&self, sequence: u64) -> Result<(), AuditError> {
        poll_fn(|cx| self.poll_durable(cx, sequence)).await
    }

    /// Waits until the epoch's first record is on disk: only then may the core accept connections.
    ///
    /// # Errors
    /// The disk fails.
    pub async fn started(&self) -> Result<(), AuditError> {
        self.durable(self.first_sequence).await
    }

    /// Counters.
    #[must_use]
    pub fn status(&self) -> AuditStatus {
        let state = self.state.borrow();
        let (ring_used, ring_bytes) = state.ring.fill();
        AuditStatus {
            last_sequence: state.ring.last_sequence(),
            durable_sequence: state.ring.durable_sequence(),
            ring_used,
            ring_bytes,
            failing: state.failure.is_some(),
            ..self.status.get()
        }
    }

    /// Begins the orderly end: no further record is taken, the epoch's end is written, [`CoreAudit::run`] ends.
    pub fn close(&self) {
        let mut state = self.state.borrow_mut();
        if !state.closing {
            state.closing = true;
            state.end_wanted = true;
        }
        let flusher = state.flusher.take();
        drop(state);
        if let Some(flusher) = flusher {
            flusher.wake();
        }
    }

    /// Waits for the end that [`CoreAudit::close`] began.
    ///
    /// # Errors
    /// The disk failed to the end: records that were never acknowledged as durable are lost with the process.
    pub async fn closed(&self) -> Result<(), AuditError> {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            if let Some(ended) = state.ended {
                return Poll::Ready(ended);
            }
            if !state.closers.iter().any(|waker| waker.will_wake(cx.waker())) {
                state.closers.push(cx.waker().clone());
            }
            Poll::Pending
        })
        .await
    }

    /// The flusher. Spawn it on the core's executor and detach it; it ends after [`CoreAudit::close`].
    pub async fn run(self: Rc<Self>) {
        let mut disk = Disk::new(self.start.clone(), self.options.clone());
        let mut block = Vec::new();
        let ended = loop {
            if !self.work().await {
                break Ok(());
            }
            if let Err(error) = self.flush(&mut disk, &mut block).await {
                break Err(error);
            }
        };
        disk.finish().await;
        let (waiters, closers) = {
            let mut state = self.state.borrow_mut();
            state.ended = Some(ended);
            state.closing = true;
            (std::mem::take(&mut state.waiters), std::mem::take(&mut state.closers))
        };
        waiters.into_iter().for_each(|(_, waker)| waker.wake());
        closers.into_iter().for_each(Waker::wake);
    }

    /// Waits until a block is due; `false` when there will be none any more.
    async fn work(&self) -> bool {
        let mut timer: Option<Timer> = None;
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            state.append_owed();
            let pending = state.ring.pending_bytes();
            if pending == 0 {
                if state.closing && !state.end_wanted {
                    return Poll::Ready(false);
                }
                timer = None;
            } else {
                if pending >= PENDING_BYTES_MAX || state.closing || state.wanted > state.ring.sealed_sequence() {
                    return Poll::Ready(true);
                }
                if Pin::new(timer.get_or_insert_with(|| Timer::new(AGE_MAX))).poll(cx).is_ready() {
                    return Poll::Ready(true);
                }
            }
            state.flusher = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Makes one block durable, however often that has to be tried.
    async fn flush(&self, disk: &mut Disk, block: &mut Vec<u8>) -> Result<(), AuditError> {
        block.clear();
        let now = Clock::now();
        let (sealed, mut keys) = {
            let mut state = self.state.borrow_mut();
            let Some(sealed) = state.ring.seal(now, block) else { return Ok(()) };
            (sealed, std::mem::take(&mut state.keys))
        };
        while let Err(error) = disk.commit(block, &mut keys, sealed.block_seq).await {
            let give_up = self.failed(error.kind());
            disk.abandon().await;
            if give_up {
                return Err(AuditError::Disk(error.kind()));
            }
            Timer::new(RETRY).await;
        }
        let mut status = self.status.get();
        status.blocks += 1;
        status.bytes += block.len() as u64;
        status.last_commit_us = Clock::now().mono_ns.saturating_sub(now.mono_ns) / 1000;
        status.buffered = disk.is_buffered();
        self.status.set(status);
        if block.capacity() > BLOCK_BUFFER_KEPT {
            *block = Vec::new();
        }
        let woken = {
            let mut state = self.state.borrow_mut();
            state.ring.durable(sealed.last_sequence);
            self.options.durable_blocks.store(sealed.block_seq + 1, Ordering::Release);
            state.repaired(now);
            let count = state.waiters.partition_point(|(waiting, _)| *waiting <= sealed.last_sequence);
            state.waiters.drain(..count).collect::<Vec<_>>()
        };
        woken.into_iter().for_each(|(_, waker)| waker.wake());
        Ok(())
    }

    /// Notes an error of the disk and tells everybody who waits. True if an orderly end should stop trying.
    fn failed(&self, kind: io::ErrorKind) -> bool {
        let mut status = self.status.get();
        status.errors += 1;
        self.status.set(status);
        let (waiters, give_up) = {
            let mut state = self.state.borrow_mut();
            let (since, attempts) =
                state.failure.map_or_else(|| (Clock::now(), 0), |failure| (failure.since, failure.attempts));
            state.failure = Some(Failure { kind, since, attempts: attempts + 1 });
            (std::mem::take(&mut state.waiters), state.closing && attempts + 1 >= CLOSE_ATTEMPTS)
        };
        waiters.into_iter().for_each(|(_, waker)| waker.wake());
        give_up
    }
}

impl State {
    /// Records that the writer itself owes: the account of a crash, then the epoch's end.
    fn append_owed(&mut self) {
        let now = Clock::now();
        while let Some((session, statement)) = self.in_doubt.front().copied() {
            let result = Record::Result {
                session,
                statement,
                outcome: audit::UNKNOWN_CRASH,
                sqlstate: *b"00000",
                rows: 0,
                bytes: 0,
                duration_us: 0,
                masked: &[],
                clear: &[],
            };
            if self.ring.append(now, &result).is_err() {
                return;
            }
            self.in_doubt.pop_front();
        }
        if let Some(account) = &self.account {
            let alarm = Record::Alarm { session: SessionId([0; 16]), kind: audit::RECOVERED, detail: account };
            if self.ring.append(now, &alarm).is_err() {
                return;
            }
            self.account = None;
        }
        if self.end_wanted && self.ring.append(now, &Record::EpochEnd).is_ok() {
            self.end_wanted = false;
        }
    }

    /// The disk works again: says in the log for how long it did not.
    fn repaired(&mut self, now: Clock) {
        let Some(failure) = self.failure.take() else { return };
        let outage_ms = Clock::now().mono_ns.saturating_sub(failure.since.mono_ns) / 1_000_000;
        let detail = format!("{outage_ms} ms, {} attempts failed, 0 records lost: {}", failure.attempts, failure.kind);
        let alarm = Record::Alarm { session: SessionId([0; 16]), kind: "audit_outage", detail: &detail };
        // Without room the outage stays visible in the counters and in the times of the records around it.
        let _ = self.ring.append(now, &alarm);
    }
}

/// Where blocks go.
enum Sink {
    /// Past the page cache.
    Direct(DmaFile),
    /// Through it, where the file system refuses direct writes.
    Buffered(Arc<File>),
}

struct Current {
    sink: Sink,
    position: u64,
    bytes: u64,
}

/// The segment made ready in the background.
#[derive(Default)]
struct Ahead {
    ready: Option<io::Result<PathBuf>>,
    under_way: bool,
    waker: Option<Waker>,
}

struct Disk {
    start: CoreStart,
    options: WriterOptions,
    current: Option<Current>,
    ahead: Rc<RefCell<Ahead>>,
    keys: KeySlots,
    buffered: bool,
}

impl Disk {
    fn new(start: CoreStart, options: WriterOptions) -> Self {
        let buffered = options.buffered;
        let keys = KeySlots::new(start.node, start.core, start.epoch, options.slot_bytes);
        Self { start, options, current: None, ahead: Rc::default(), keys, buffered }
    }

    fn is_buffered(&self) -> bool {
        self.buffered
    }

    fn fault(&self, point: FaultPoint) -> io::Result<()> {
        match self.options.faults.as_ref().and_then(|faults| faults(point)) {
            Some(kind) => Err(kind.into()),
            None => Ok(()),
        }
    }

    /// Writes a block behind the last one and syncs it; before that, the keys of sessions that begin in it, which are
    /// taken once they are on disk.
    async fn commit(&mut self, block: &[u8], keys: &mut Vec<u8>, block_seq: u64) -> io::Result<()> {
        if !keys.is_empty() {
            self.fault(FaultPoint::Keys(block_seq))?;
            self.keys.write(&self.start.directory, keys).await?;
            keys.clear();
        }
        let length = block.len() as u64;
        if self.current.as_ref().is_none_or(|current| current.position + length > current.bytes) {
            self.next_segment(block_seq, length).await?;
        }
        let (write, sync) = (self.fault(FaultPoint::Write(block_seq)), self.fault(FaultPoint::Sync(block_seq)));
        let Some(current) = self.current.as_mut() else { return Err(io::ErrorKind::NotFound.into()) };
        write?;
        match &current.sink {
            Sink::Direct(file) => {
                let mut buffer = file.alloc_dma_buffer(block.len());
                buffer.as_bytes_mut().copy_from_slice(block);
                let written = file.write_at(buffer, current.position).await?;
                if written != block.len() {
                    return Err(io::ErrorKind::WriteZero.into());
                }
                sync?;
                file.fdatasync().await?;
            }
            Sink::Buffered(file) => {
                let (file, block, position) = (Arc::clone(file), block.to_vec(), current.position);
                blocking(move || {
                    file.write_all_at(&block, position)?;
                    file.sync_data()
                })
                .await?;
                sync?;
            }
        }
        current.position += length;
        Ok(())
    }

    /// After an error nothing more is written to the segment: what the kernel did with it is unknown.
    async fn abandon(&mut self) {
        if let Some(Current { sink: Sink::Direct(file), .. }) = self.current.take() {
            // Whatever closing says, the file is not used again.
            let _ = file.close().await;
        }
    }

    async fn next_segment(&mut self, block_seq: u64, length: u64) -> io::Result<()> {
        self.abandon().await;
        let bytes = self.options.segment_bytes.max(HEADER_PAGE_BYTES + length).next_multiple_of(HEADER_PAGE_BYTES);
        let ready = self.take_ahead().await;
        let prepared = match ready {
            Some(Ok(path)) if bytes == self.usual_bytes() => path,
            // Too small for this block, failed, or never begun.
            _ => {
                self.fault(FaultPoint::Prepare)?;
                let (folder, header) = (self.start.directory.clone(), self.header(bytes));
                blocking(move || segment::prepare(&folder, &header)).await?
            }
        };
        let path = blocking(move || segment::publish(&prepared, block_seq)).await?;
        let sink = self.open(&path).await?;
        self.current = Some(Current { sink, position: HEADER_PAGE_BYTES, bytes });
        self.prepare_ahead();
        Ok(())
    }

    fn usual_bytes(&self) -> u64 {
        self.options.segment_bytes.max(2 * HEADER_PAGE_BYTES).next_multiple_of(HEADER_PAGE_BYTES)
    }

    fn header(&self, segment_bytes: u64) -> SegmentHeader {
        let CoreStart { node, core, cores, epoch, epoch_nonce, .. } = self.start;
        SegmentHeader { node, core, cores, epoch, epoch_nonce, segment_bytes }
    }

    async fn open(&mut self, path: &Path) -> io::Result<Sink> {
        if !self.buffered {
            // Write-only and existing: glommio probes the first file of a thread by reading it.
            match OpenOptions::new().write(true).dma_open(path).await.map_err(io::Error::from) {
                Ok(file) => return Ok(Sink::Direct(file)),
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                    self.buffered = true;
                }
                Err(error) => return Err(error),
            }
        }
        let path = path.to_owned();
        let file = blocking(move || File::options().write(true).open(path)).await?;
        Ok(Sink::Buffered(Arc::new(file)))
    }

    /// Makes the next segment ready while this one fills.
    fn prepare_ahead(&mut self) {
        if self.fault(FaultPoint::Prepare).is_err() {
            return;
        }
        let (folder, header) = (self.start.directory.clone(), self.header(self.usual_bytes()));
        let ahead = Rc::clone(&self.ahead);
        ahead.borrow_mut().under_way = true;
        glommio::spawn_local(async move {
            let ready = blocking(move || segment::prepare(&folder, &header)).await;
            let waker = {
                let mut ahead = ahead.borrow_mut();
                ahead.ready = Some(ready);
                ahead.under_way = false;
                ahead.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        })
        .detach();
    }

    /// What was made ready, after waiting for it if it is under way.
    async fn take_ahead(&self) -> Option<io::Result<PathBuf>> {
        poll_fn(|cx| {
            let mut ahead = self.ahead.borrow_mut();
            if ahead.under_way {
                ahead.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            Poll::Ready(ahead.ready.take())
        })
        .await
    }

    /// Closes the segment and removes the one that was made ready and is not needed.
    async fn finish(&mut self) {
        self.abandon().await;
        if let Some(Ok(path)) = self.take_ahead().await {
            // Left-over space is taken over by the next epoch; removing it is a courtesy.
            let _ = blocking(move || std::fs::remove_file(path)).await;
        }
    }
}

/// Runs file calls that have no asynchronous form on the executor's helper thread.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> io::Result<R> + Send + 'static) -> io::Result<R> {
    glommio::executor().spawn_blocking(work).await
}
