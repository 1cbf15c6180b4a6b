//! One core's audit writer: takes records, makes blocks durable, wakes who waits for them.
//!
//! Invariants: one block is on its way to the disk at a time, and the next forms meanwhile; a sequence number is
//! reported durable only after a sync; a block whose write failed stays in memory, unchanged, and is written again to a
//! fresh segment, in the spare directory if there is one, so that no record is lost while the process lives; while the
//! disk fails for longer than moments, nothing that would let a statement go on is accepted; an outage is in the log
//! once it is over. The machine is a [`Device`]; locking and recovery are not here: [`crate::open`] does them before.

mod device;
mod disk;
mod gather;
mod status;

pub use device::{Device, KeyPlace};
pub use status::{AuditStatus, Pressure};

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::record::{Clock, Record, Recorded, SessionId};
use crate::recover::{CRASH, CoreStart, RECOVERED, StatementId, UNKNOWN_CRASH};
use crate::ring::{Full, Ring, announces};
use crate::segment::SEGMENT_BYTES_DEFAULT;
use disk::{Disk, Space};
use gather::Gathering;

/// Records nobody waits for are written after this time at the latest (plus a commit).
const AGE_MAX: Duration = Duration::from_millis(50);
/// So many bytes are written without waiting for anything.
const PENDING_BYTES_MAX: usize = 256 << 10;
/// Wait between attempts while the disk fails.
const RETRY: Duration = Duration::from_millis(500);
/// The disk may fail for so long before statements are refused; they wait meanwhile.
const GRACE: Duration = Duration::from_secs(1);
/// A commit that takes longer keeps new sessions out.
const SLOW: Duration = Duration::from_secs(2);
/// Attempts that an orderly end makes on a failing disk before it gives up.
const CLOSE_ATTEMPTS: u32 = 10;
/// A block buffer that grew beyond this for one long statement is given back.
const BLOCK_BUFFER_KEPT: usize = 1 << 20;
/// Below this a ring could not hold one statement of the usual limit.
const RING_BYTES_MIN: usize = 64 << 10;
/// So long the wall clock is not looked at again; its step is noticed that much later at most.
const LOOK_NS: u64 = 1_000_000;
/// Change of the wall clock against the monotonic one that is a step.
const STEP_NS: i128 = 100_000_000;

/// Why a record was not taken, or will not become durable.
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
    /// Making a segment ready.
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
    /// How often the log says that the core is alive; zero is never.
    pub heartbeat: Duration,
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
            heartbeat: Duration::ZERO,
            durable_blocks: Arc::default(),
            faults: None,
        }
    }
}

#[derive(Clone, Copy)]
struct Failure {
    kind: io::ErrorKind,
    since: Clock,
    attempts: u32,
}

/// A time in which the log could not take everything.
#[derive(Clone, Copy)]
struct Outage {
    since: Clock,
    reason: &'static str,
}

/// When what is pending is old enough.
type Timer = Pin<Box<dyn Future<Output = ()>>>;

/// A record that the writer owes the log.
enum Owed {
    Result(StatementId),
    Close(SessionId),
    /// The account of a crash.
    Account(String),
    Mode(Pressure, &'static str),
    Gap {
        reason: &'static str,
        duration_us: u64,
        sessions: u64,
        statements: u64,
    },
    End,
}

struct State {
    ring: Ring,
    /// Wrapped keys that go to disk before the next block.
    keys: Vec<u8>,
    /// Who waits for which record, ascending.
    waiters: VecDeque<(u64, Waker)>,
    /// Highest record that somebody waits for.
    wanted: u64,
    gathering: Gathering,
    flusher: Option<Waker>,
    /// The flusher wakes by itself before the next record is too old.
    timed: bool,
    failure: Option<Failure>,
    space: Space,
    /// The commit under way, and whether it takes too long.
    flight: Option<Clock>,
    slow: bool,
    outage: Option<Outage>,
    /// The pressure that the log knows of.
    said: Pressure,
    /// Sessions and statements refused in this outage.
    refused: (u64, u64),
    owed: VecDeque<Owed>,
    /// Both clocks when they were last read together.
    looked: Option<Clock>,
    last_beat: Option<Clock>,
    closing: bool,
    ended: Option<Result<(), AuditError>>,
    closers: Vec<Waker>,
}

/// A core's audit log.
pub struct CoreAudit<D: Device> {
    state: RefCell<State>,
    status: Cell<AuditStatus>,
    device: Rc<D>,
    start: CoreStart,
    first_sequence: u64,
    options: WriterOptions,
    /// Kept by the disk.
    space: Rc<Cell<Space>>,
}

impl<D: Device> CoreAudit<D> {
    /// Begins the epoch in memory; [`CoreAudit::run`] must be spawned (and detached) for anything to reach the disk.
    ///
    /// # Errors
    /// The ring cannot even hold the epoch's first record.
    pub fn new(device: D, mut start: CoreStart, build: &str, options: WriterOptions) -> Result<Rc<Self>, AuditError> {
        options.durable_blocks.store(start.next_block_seq, Ordering::Release);
        let ring = Ring::new(
            start.node,
            start.core,
            start.epoch,
            start.epoch_nonce,
            start.previous_header,
            start.next_record_seq,
            options.ring_bytes.max(RING_BYTES_MIN),
        )
        .starting_at_block(start.next_block_seq);
        let (in_doubt, sessions) = (std::mem::take(&mut start.in_doubt), std::mem::take(&mut start.open_sessions));
        let account = format!(
            "{} statements in doubt, {} sessions open, {} torn bytes",
            in_doubt.len(),
            sessions.len(),
            start.torn_bytes
        );
        let mut owed: VecDeque<Owed> = in_doubt.into_iter().map(Owed::Result).collect();
        owed.extend(sessions.into_iter().map(Owed::Close));
        owed.extend((!start.clean).then_some(Owed::Account(account)));
        let mut state = State {
            keys: Vec::new(),
            ring,
            waiters: VecDeque::new(),
            wanted: 0,
            gathering: Gathering::default(),
            flusher: None,
            timed: false,
            failure: None,
            space: Space::default(),
            flight: None,
            slow: false,
            outage: None,
            said: Pressure::Normal,
            refused: (0, 0),
            owed,
            looked: None,
            last_beat: None,
            closing: false,
            ended: None,
            closers: Vec::new(),
        };
        let first = Record::EpochStart {
            build,
            previous: start.previous_header,
            clean: start.clean,
            torn_bytes: start.torn_bytes,
        };
        let first_sequence = state.put(&device, &first).map_err(|_| AuditError::Full)?.sequence();
        state.wanted = first_sequence;
        let status = AuditStatus { buffered: device.is_buffered(), ..AuditStatus::default() };
        let (state, status, device) = (RefCell::new(state), Cell::new(status), Rc::new(device));
        Ok(Rc::new(Self { state, status, device, start, first_sequence, options, space: Rc::default() }))
    }

    /// Appends a record, stamped now.
    ///
    /// # Errors
    /// No room, a closed log, or, for records that let something go on, a disk that has failed for more than moments or
    /// has no more space.
    pub fn append(&self, record: &Record<'_>) -> Result<Recorded, AuditError> {
        let mut state = self.state.borrow_mut();
        if state.closing {
            return Err(AuditError::Closed);
        }
        if announces(record) {
            if let Some(failure) = state.failure
                && elapsed(failure.since, self.device.now()) > GRACE
            {
                return Err(AuditError::Disk(failure.kind));
            }
            if state.space.reserve {
                return Err(AuditError::Disk(state.space.failing.unwrap_or(io::ErrorKind::StorageFull)));
            }
        }
        let idle = state.ring.pending_bytes() == 0;
        let recorded = state.put(&*self.device, record).map_err(|_| AuditError::Full)?;
        // The flusher sleeps until there is much, or its timer ends: it is told of the first record if it has none.
        let much = state.ring.pending_bytes() >= PENDING_BYTES_MAX;
        let flusher = if (idle && !state.timed) || much { state.flusher.take() } else { None };
        drop(state);
        flusher.into_iter().for_each(Waker::wake);
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

    /// Counts a session that was turned away because of the log, for the account of the outage.
    pub fn refused_session(&self) {
        self.state.borrow_mut().refused.0 += 1;
    }

    /// The same of a statement.
    pub fn refused_statement(&self) {
        self.state.borrow_mut().refused.1 += 1;
    }

    /// What the log can take now.
    #[must_use]
    pub fn pressure(&self) -> Pressure {
        self.state.borrow().pressure()
    }

    /// What is due without a record of anybody's: the heartbeat, and what is to be said of the log itself. Call it
    /// about every half second.
    pub fn tick(&self) {
        let now = self.device.now();
        let mut state = self.state.borrow_mut();
        if state.closing {
            return;
        }
        let interval = self.options.heartbeat;
        if !interval.is_zero() && state.last_beat.is_none_or(|last| elapsed(last, now) >= interval) {
            let interval_s = interval.as_secs().max(1);
            // Without room the outage says why there was none.
            if state.put(&*self.device, &Record::Heartbeat { interval_s }).is_ok() {
                state.last_beat = Some(now);
            }
        }
        state.space = self.space.get();
        state.look(now);
        let flusher = state.flusher.take();
        drop(state);
        flusher.into_iter().for_each(Waker::wake);
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

    /// Ready when the record is on disk. Asking makes the flusher write at once. While the disk fails, nobody is told:
    /// how long to wait is the caller's to say.
    pub fn poll_durable(&self, cx: &mut Context<'_>, sequence: u64) -> Poll<Result<(), AuditError>> {
        let mut state = self.state.borrow_mut();
        if state.ring.durable_sequence() >= sequence {
            return Poll::Ready(Ok(()));
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
        let complete = state.gathering.is_back(cx.waker());
        let flusher = if complete && sequence > state.ring.sealed_sequence() { state.flusher.take() } else { None };
        drop(state);
        flusher.into_iter().for_each(Waker::wake);
        Poll::Pending
    }

    /// Wakes the caller when the log takes more than it does now.
    pub fn poll_relief(&self, cx: &mut Context<'_>) {
        let last = self.state.borrow().ring.sealed_sequence().max(1);
        let _ = self.poll_durable(cx, last);
    }

    /// Waits until the record is on disk.
    ///
    /// # Errors
    /// The log ended before.
    pub async fn durable(&self, sequence: u64) -> Result<(), AuditError> {
        poll_fn(|cx| self.poll_durable(cx, sequence)).await
    }

    /// Waits until the epoch's first record is on disk: only then may the core accept connections.
    ///
    /// # Errors
    /// The disk fails, and the spare too.
    pub async fn started(&self) -> Result<(), AuditError> {
        let homes = 1 + self.start.spare.iter().count();
        poll_fn(|cx| {
            let failure = self.state.borrow().failure;
            if let Some(failure) = failure.filter(|failure| failure.attempts as usize >= homes) {
                return Poll::Ready(Err(AuditError::Disk(failure.kind)));
            }
            self.poll_durable(cx, self.first_sequence)
        })
        .await
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
            spare: state.space.spare,
            pressure: state.pressure(),
            ..self.status.get()
        }
    }

    /// Begins the orderly end: no further record is taken, the epoch's end is written, [`CoreAudit::run`] ends.
    pub fn close(&self) {
        let mut state = self.state.borrow_mut();
        if !state.closing {
            state.closing = true;
            state.look(self.device.now());
            state.owed.push_back(Owed::End);
        }
        let flusher = state.flusher.take();
        drop(state);
        flusher.into_iter().for_each(Waker::wake);
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
        let mut disk =
            Disk::new(Rc::clone(&self.device), self.start.clone(), self.options.clone(), Rc::clone(&self.space));
        let (mut block, mut timer, mut gathering) = (Vec::new(), None, None);
        let ended = loop {
            if !self.work(&mut timer, &mut gathering).await {
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

    /// Waits until a block is due; `false` when there will be none any more. The timer outlives the wait: where blocks are
    /// asked for all the time, a new one for each would be the larger part of the work.
    async fn work(&self, timer: &mut Option<Timer>, gathering: &mut Option<Timer>) -> bool {
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            state.append_owed(&*self.device);
            let pending = state.ring.pending_bytes();
            if pending == 0 && state.closing && state.owed.is_empty() {
                return Poll::Ready(false);
            }
            let asked = state.closing || state.wanted > state.ring.sealed_sequence();
            let full = pending >= PENDING_BYTES_MAX;
            if full || (pending > 0 && asked) {
                let waiting = state.waiters.len();
                let at_once = full || state.closing;
                let left = if at_once { 0 } else { state.gathering.left_ns(|| self.device.mono_ns(), waiting) };
                if left > 0 {
                    let left = Duration::from_nanos(left);
                    let timer = gathering.get_or_insert_with(|| Box::pin(self.device.sleep(left)));
                    if timer.as_mut().poll(cx).is_pending() {
                        state.flusher = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                }
                // However it ended, the next one begins with a time of its own.
                *gathering = None;
                state.gathering.over(waiting);
                return Poll::Ready(true);
            }
            if timer.as_mut().is_some_and(|timer| timer.as_mut().poll(cx).is_ready()) {
                *timer = None;
            }
            if let (None, Some(since)) = (&timer, state.ring.pending_since()) {
                let left = AGE_MAX.saturating_sub(elapsed(since, self.device.now()));
                let mut next: Timer = Box::pin(self.device.sleep(left));
                if left.is_zero() || next.as_mut().poll(cx).is_ready() {
                    return Poll::Ready(true);
                }
                *timer = Some(next);
            }
            state.timed = timer.is_some();
            state.flusher = Some(cx.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// Makes one block durable, however often that has to be tried.
    async fn flush(&self, disk: &mut Disk<D>, block: &mut Vec<u8>) -> Result<(), AuditError> {
        block.clear();
        let now = self.device.now();
        let (sealed, mut keys) = {
            let mut state = self.state.borrow_mut();
            let Some(sealed) = state.ring.seal(now, block) else { return Ok(()) };
            state.flight = Some(now);
            (sealed, std::mem::take(&mut state.keys))
        };
        let mut tries = 0;
        while let Err(error) = disk.commit(block, &mut keys, sealed.block_seq).await {
            let give_up = self.failed(error.kind());
            disk.abandon().await;
            if give_up {
                return Err(AuditError::Disk(error.kind()));
            }
            tries += 1;
            if tries % disk.homes() == 0 {
                self.device.sleep(RETRY).await;
            }
        }
        let mut status = self.status.get();
        status.blocks += 1;
        status.bytes += block.len() as u64;
        let took_ns = self.device.now().mono_ns.saturating_sub(now.mono_ns);
        status.last_commit_us = took_ns / 1000;
        status.commits_us += status.last_commit_us;
        status.buffered = self.device.is_buffered();
        self.status.set(status);
        if block.capacity() > BLOCK_BUFFER_KEPT {
            *block = Vec::new();
        }
        let woken = {
            let mut state = self.state.borrow_mut();
            state.ring.durable(sealed.last_sequence);
            self.options.durable_blocks.store(sealed.block_seq + 1, Ordering::Release);
            state.space = self.space.get();
            (state.failure, state.flight) = (None, None);
            state.look(self.device.now());
            let count = state.waiters.partition_point(|(waiting, _)| *waiting <= sealed.last_sequence);
            let woken: Vec<Waker> = state.waiters.drain(..count).map(|(_, waker)| waker).collect();
            state.gathering.woke(took_ns, &woken);
            woken
        };
        woken.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Notes an error of the disk. True if an orderly end should stop trying.
    fn failed(&self, kind: io::ErrorKind) -> bool {
        let mut status = self.status.get();
        status.errors += 1;
        self.status.set(status);
        let now = self.device.now();
        let (waiters, give_up) = {
            let mut state = self.state.borrow_mut();
            let (since, attempts) = state.failure.map_or((now, 0), |failure| (failure.since, failure.attempts));
            state.failure = Some(Failure { kind, since, attempts: attempts + 1 });
            let reason = reason(kind);
            state.outage.get_or_insert(Outage { since: now, reason });
            // Who waits is woken to look at how long it has waited.
            (std::mem::take(&mut state.waiters), state.closing && attempts + 1 >= CLOSE_ATTEMPTS)
        };
        waiters.into_iter().for_each(|(_, waker)| waker.wake());
        give_up
    }
}

/// Why the log could not take everything, in the words of records.
fn reason(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => "enospc",
        _ => "eio",
    }
}

fn elapsed(since: Clock, now: Clock) -> Duration {
    Duration::from_nanos(now.mono_ns.saturating_sub(since.mono_ns))
}

impl State {
    /// Appends, after a record of the wall clock's step if it made one.
    fn put<D: Device>(&mut self, device: &D, record: &Record<'_>) -> Result<Recorded, Full> {
        let mono_ns = device.mono_ns();
        let now = match self.looked {
            // Between looks the wall clock goes as the monotonic one does.
            Some(looked) if mono_ns.saturating_sub(looked.mono_ns) < LOOK_NS => {
                let since = mono_ns.saturating_sub(looked.mono_ns);
                Clock { wall_ns: looked.wall_ns.saturating_add(since), mono_ns: looked.mono_ns + since }
            }
            looked => self.look_at_clocks(device, looked)?,
        };
        self.ring.append(now, record)
    }

    /// Reads both clocks, and records the wall clock's step if it made one since the last look.
    fn look_at_clocks<D: Device>(&mut self, device: &D, before: Option<Clock>) -> Result<Clock, Full> {
        let difference = |clock: Clock| i128::from(clock.wall_ns) - i128::from(clock.mono_ns);
        let mut now = device.now();
        if let Some(before) = before {
            let step = |now| difference(now) - difference(before);
            let mut looks = 0;
            // Between the two clocks the reader may have been put to sleep: look again before believing it.
            while step(now).abs() > STEP_NS && looks < 3 {
                now = device.now();
                looks += 1;
            }
            if step(now).abs() > STEP_NS {
                let step_ns = i64::try_from(step(now)).unwrap_or(i64::MAX);
                self.ring.append(now, &Record::ClockStep { step_ns }).map(drop)?;
            }
        }
        self.looked = Some(now);
        Ok(now)
    }

    /// Records that the writer itself owes.
    fn append_owed<D: Device>(&mut self, device: &D) {
        while let Some(owed) = self.owed.pop_front() {
            if matches!(owed, Owed::End) {
                // Nothing can be said behind it: what came before is on the disk first, and an outage is told.
                let told = self.outage.is_none() && self.owed.is_empty();
                if self.ring.pending_bytes() > 0 || !told {
                    self.tell_outage(device.now());
                    self.owed.push_back(owed);
                    if self.ring.pending_bytes() > 0 {
                        return;
                    }
                    continue;
                }
            }
            if self.put_owed(device, &owed).is_err() {
                self.owed.push_front(owed);
                return;
            }
        }
    }

    fn put_owed<D: Device>(&mut self, device: &D, owed: &Owed) -> Result<(), Full> {
        let recorded = match *owed {
            Owed::Result((session, statement)) => {
                let result = Record::Result {
                    session,
                    statement,
                    outcome: UNKNOWN_CRASH,
                    sqlstate: *b"00000",
                    rows: 0,
                    bytes: 0,
                    duration_us: 0,
                    masked: &[],
                    clear: &[],
                };
                self.put(device, &result)
            }
            Owed::Close(session) => {
                self.put(device, &Record::SessionClose { session, reason: CRASH, statements: 0, bytes: 0 })
            }
            Owed::Account(ref detail) => {
                self.put(device, &Record::Alarm { session: SessionId([0; 16]), kind: RECOVERED, detail })
            }
            Owed::Mode(pressure, reason) => {
                self.put(device, &Record::LogMode { target: "", mode: pressure.word(), reason })
            }
            Owed::Gap { reason, duration_us, sessions, statements } => {
                self.put(device, &Record::Gap { reason, duration_us, lost: 0, sessions, statements })
            }
            Owed::End => self.put(device, &Record::EpochEnd),
        };
        recorded.map(drop)
    }

    fn pressure(&self) -> Pressure {
        let (used, capacity) = self.ring.fill();
        if used > capacity / 10 * 9 {
            Pressure::Stalled
        } else if used > capacity / 4 * 3 || self.slow || self.failure.is_some() || self.space.failing.is_some() {
            Pressure::RefusingSessions
        } else {
            Pressure::Normal
        }
    }

    /// Looks at what the log can take, and owes it a word when that changed or an outage is over.
    fn look(&mut self, now: Clock) {
        if self.ring.is_ended() {
            return;
        }
        self.slow = self.flight.is_some_and(|since| elapsed(since, now) > SLOW);
        let pressure = self.pressure();
        let cause = match (self.failure, self.space.failing) {
            (Some(failure), _) => reason(failure.kind),
            (None, Some(kind)) => reason(kind),
            (None, None) => "slow",
        };
        if pressure != Pressure::Normal {
            self.outage.get_or_insert(Outage { since: now, reason: cause });
        }
        if pressure != self.said {
            let why = if pressure == Pressure::Normal { self.outage.map_or(cause, |o| o.reason) } else { cause };
            self.owed.push_back(Owed::Mode(pressure, why));
            self.said = pressure;
        }
        if pressure == Pressure::Normal {
            self.tell_outage(now);
        }
    }

    /// Owes the account of the outage, if there is one.
    fn tell_outage(&mut self, now: Clock) {
        if let Some(outage) = self.outage.take() {
            let duration_us = u64::try_from(elapsed(outage.since, now).as_micros()).unwrap_or(u64::MAX);
            let (sessions, statements) = std::mem::take(&mut self.refused);
            self.owed.push_back(Owed::Gap { reason: outage.reason, duration_us, sessions, statements });
        }
    }
}
