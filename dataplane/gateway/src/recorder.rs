//! Recording what a session's client is sent: collected on the session's core as the socket takes it, written by a task
//! of its own.
//!
//! Invariants: what is recorded is what left, byte for byte, after masking; at most [`QUEUE_MAX`] full chunks wait for the
//! disk beside those being written, then the session stops sending; a session that sends nothing keeps no buffers; the
//! log's REC_SEG speaks only of what was synced; every end has a reason.
//! Deliberately absent: frames (bytes are bytes here), reading back.

mod file;

use crate::core::{Handle, Signal};
use crate::driver;
use crate::ring_writer::CoreAudit;
use crate::settings::{Onward, Recording, RecordingMode};
use audit::record::{Clock, Record, SessionId};
use file::{Committed, RecordingFile};
use futures_lite::future::poll_fn;
use sealing::SessionKey;
use sealing::recording::{Batch, Builder, Compressor, EndReason, Event, Header, Writer};
use session::{Mark, Moment};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Full chunks that go to the disk with one write while much is sent: for a file that grows, the write costs more than
/// its bytes do.
const WRITE_CHUNKS: usize = 4;
/// Full chunks that wait for the disk before the session stops sending.
const QUEUE_MAX: usize = WRITE_CHUNKS + 1;
/// What was sent reaches the disk after this time at the latest (nanoseconds, plus a tick).
const AGE_MAX_NS: u64 = 500_000_000;
/// The log commits to a recording after so many new bytes of it,
const SEGMENT_BYTES: u64 = 64 << 20;
/// or when so much time has passed since.
const SEGMENT_AGE_NS: u64 = 60_000_000_000;
/// Bytes that one digest covers at most.
const BATCH_BYTES_MAX: u64 = 1 << 20;
/// Attempts, and the wait between them, to put a record into a log that has no room.
const RECORD_ATTEMPTS: u32 = 100;
const RECORD_RETRY: Duration = Duration::from_millis(50);

/// What the recordings of a core share.
pub(crate) struct Studio {
    /// The audit directory.
    pub(crate) directory: PathBuf,
    pub(crate) audit: Rc<CoreAudit>,
    /// Where the time of every core begins.
    pub(crate) began: Instant,
    compressor: RefCell<Option<Compressor>>,
}

impl Studio {
    pub(crate) fn new(directory: PathBuf, audit: Rc<CoreAudit>, began: Instant) -> Rc<Self> {
        Rc::new(Self { directory, audit, began, compressor: RefCell::default() })
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// The core's compressor; a new one when it is in use.
    fn compressor(&self) -> io::Result<Compressor> {
        self.compressor.borrow_mut().take().map_or_else(Compressor::new, Ok)
    }

    fn give_back(&self, compressor: Compressor) {
        *self.compressor.borrow_mut() = Some(compressor);
    }
}

/// The recording of one session.
pub(crate) struct Recorder {
    studio: Rc<Studio>,
    handle: Weak<Handle>,
    session: SessionId,
    policy: Recording,
    began_ns: u64,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    /// The chunk that is being filled.
    open: Builder,
    open_since_ns: u64,
    /// Full ones, oldest first.
    queue: VecDeque<Builder>,
    /// Empty ones, for what is sent next.
    spare: Vec<Builder>,
    /// A chunk was filled since the last look.
    busy: bool,
    /// In place of bytes, where only digests are kept.
    batch: Option<Batch>,
    /// Bytes that left.
    sent: u64,
    /// Moments with the number of bytes that must have left before them.
    marks: VecDeque<(u64, Moment)>,
    /// Bytes that the file has, and those that it will have at most of the chunks being written.
    expected_bytes: u64,
    /// Not here while the task works with it.
    file: Option<Box<RecordingFile>>,
    working: bool,
    /// What waits goes to the disk although it is not much.
    due: bool,
    /// Something was written that the log does not speak of yet, since.
    uncommitted_since_ns: Option<u64>,
    commit_wanted: bool,
    /// The cap is reached and the session is being ended.
    stopping: bool,
    /// Nothing more is taken, for this reason.
    ended: Option<EndReason>,
    /// And all of it is written, or never will be.
    finished: bool,
    session: Option<Waker>,
    closer: Option<Waker>,
}

impl Recorder {
    /// Begins; nothing is on disk before something was sent.
    ///
    /// # Errors
    /// The header and the key do not fit together.
    pub(crate) fn new(
        studio: Rc<Studio>,
        handle: &Rc<Handle>,
        policy: Recording,
        key: Option<&SessionKey>,
    ) -> io::Result<Rc<Self>> {
        let (node, core, epoch) = studio.audit.identity();
        let clock = Clock::now();
        let digests = policy.mode == RecordingMode::Digest;
        let header = Header {
            session: handle.id.0,
            node,
            core,
            epoch,
            wall_ns: clock.wall_ns,
            mono_ns: clock.mono_ns,
            commitment: key.map_or([0; 32], SessionKey::commitment),
            encrypted: key.is_some(),
            digests,
        };
        let batch = digests.then(|| Batch::new(&key.map_or_else(Default::default, SessionKey::digests)));
        let file = Some(Box::new(RecordingFile::new(&studio.directory, header, key)?));
        let state = State { file, batch, expected_bytes: file::HEADER_BYTES, ..State::default() };
        let (handle, session, began_ns) = (Rc::downgrade(handle), handle.id, studio.now_ns());
        Ok(Rc::new(Self { studio, handle, session, policy, began_ns, state: RefCell::new(state) }))
    }

    fn now_ns(&self) -> u64 {
        self.studio.now_ns().saturating_sub(self.began_ns)
    }

    /// May the session send more? If not, it is woken when it may.
    pub(crate) fn has_room(&self, cx: &Context<'_>) -> bool {
        let mut state = self.state.borrow_mut();
        if state.queue.len() < QUEUE_MAX || state.ended.is_some() {
            return true;
        }
        state.session = Some(cx.waker().clone());
        false
    }

    /// The socket took these bytes.
    pub(crate) fn sent(self: &Rc<Self>, bytes: &[u8]) {
        let now = self.now_ns();
        let mut guard = self.state.borrow_mut();
        let state = &mut *guard;
        if state.ended.is_some() {
            return;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let before = state.marks.front().map_or(u64::MAX, |(at, _)| at.saturating_sub(state.sent));
            let (now_sent, later) = rest.split_at(usize::try_from(before).unwrap_or(usize::MAX).min(rest.len()));
            state.put(now, now_sent);
            state.sent += now_sent.len() as u64;
            rest = later;
            while let Some((_, moment)) = state.marks.pop_front_if(|(at, _)| *at <= state.sent) {
                state.note(now, moment);
            }
        }
        let full = state.queue.len() >= WRITE_CHUNKS;
        let reached = self.policy.cap_bytes > 0 && state.pending_bytes() >= self.policy.cap_bytes && !state.stopping;
        if reached && self.policy.on_cap == Onward::Spill {
            state.end(now, EndReason::Cap);
        }
        state.stopping |= reached;
        drop(guard);
        if reached && self.policy.on_cap == Onward::Stop {
            self.stop_session("recording_cap");
        }
        if full || reached {
            self.start();
        }
    }

    /// A moment in the session.
    pub(crate) fn mark(&self, mark: Mark) {
        let now = self.now_ns();
        let mut state = self.state.borrow_mut();
        if state.ended.is_some() {
            return;
        }
        let at = state.sent + mark.unsent;
        if mark.unsent == 0 && state.marks.is_empty() {
            state.note(now, mark.moment);
        } else {
            state.marks.push_back((at, mark.moment));
        }
    }

    /// Called now and then: what is old enough goes to disk, and into the log.
    pub(crate) fn tick(self: &Rc<Self>) {
        let now = self.now_ns();
        let mut state = self.state.borrow_mut();
        if state.ended.is_some() {
            return;
        }
        if !state.open.is_empty() && now.saturating_sub(state.open_since_ns) >= AGE_MAX_NS {
            state.rotate();
        }
        if !std::mem::take(&mut state.busy) {
            state.spare = Vec::new();
        }
        state.commit_wanted |= state.uncommitted_since_ns.is_some_and(|since| now - since >= SEGMENT_AGE_NS);
        state.due = !state.queue.is_empty();
        let work = state.due || state.commit_wanted;
        drop(state);
        if work {
            self.start();
        }
    }

    /// The session is over: waits until everything is on disk and the log says so.
    pub(crate) async fn close(self: &Rc<Self>) {
        let now = self.now_ns();
        {
            let mut state = self.state.borrow_mut();
            let reason = if state.stopping { EndReason::Cap } else { EndReason::Closed };
            if state.ended.is_none() {
                state.end(now, reason);
            }
        }
        self.start();
        poll_fn(|cx| {
            let mut state = self.state.borrow_mut();
            if state.finished {
                return Poll::Ready(());
            }
            state.closer = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn stop_session(&self, reason: &'static str) {
        if let Some(handle) = self.handle.upgrade() {
            handle.signal.set(Some(Signal::Kill(reason)));
            handle.wake();
        }
    }

    /// Makes sure that the task works.
    fn start(self: &Rc<Self>) {
        let mut state = self.state.borrow_mut();
        if state.working || state.finished {
            return;
        }
        let Some(file) = state.file.take() else { return };
        state.working = true;
        drop(state);
        driver::spawn(Rc::clone(self).work(file));
    }

    async fn work(self: Rc<Self>, mut file: Box<RecordingFile>) {
        loop {
            let (chunks, last, session) = {
                let mut state = self.state.borrow_mut();
                // Less than that waits for more, but not for long.
                let enough = state.queue.len() >= WRITE_CHUNKS || state.ended.is_some();
                let due = std::mem::take(&mut state.due) || enough;
                let count = if due { state.queue.len().min(WRITE_CHUNKS) } else { 0 };
                let chunks: Vec<Builder> = state.queue.drain(..count).collect();
                state.expected_bytes += chunks.iter().map(|chunk| Writer::bytes_max(chunk) as u64).sum::<u64>();
                let last = state.ended.filter(|_| chunks.is_empty());
                if chunks.is_empty() && last.is_none() && !state.commit_wanted {
                    state.working = false;
                    state.file = Some(file);
                    return;
                }
                (chunks, last, state.session.take())
            };
            // There is room while these are written.
            session.into_iter().for_each(Waker::wake);
            let done = self.step(&mut file, chunks, last).await;
            if let Err(error) = &done {
                tracing::error!(%error, "a session's recording cannot be written");
                self.commit(file.committed(), EndReason::Disk.word(), &mut file).await;
            }
            let woken = {
                let mut state = self.state.borrow_mut();
                if done.is_err() {
                    state.ended = Some(EndReason::Disk);
                    state.queue.clear();
                    state.open = Builder::default();
                    state.spare = Vec::new();
                }
                state.finished = done.is_err() || last.is_some();
                let closer = if state.finished { state.closer.take() } else { None };
                [state.session.take(), closer]
            };
            woken.into_iter().flatten().for_each(Waker::wake);
            if done.is_err() && self.policy.on_error == Onward::Stop {
                self.stop_session("recording_failed");
            }
            if done.is_err() || last.is_some() {
                file.close().await;
                return;
            }
        }
    }

    /// Writes chunks, or ends the recording, and tells the log when it is time.
    async fn step(&self, file: &mut RecordingFile, chunks: Vec<Builder>, last: Option<EndReason>) -> io::Result<()> {
        if !chunks.is_empty() {
            let compressor = if self.policy.compress { Some(self.studio.compressor()?) } else { None };
            let (sealed, chunks, compressor) = file.seal(chunks, compressor).await?;
            if let Some(compressor) = compressor {
                self.studio.give_back(compressor);
            }
            self.state.borrow_mut().reuse(chunks);
            file.write(sealed).await?;
            let now = self.now_ns();
            let mut state = self.state.borrow_mut();
            state.expected_bytes = file.bytes();
            state.uncommitted_since_ns.get_or_insert(now);
            state.commit_wanted |= file.uncommitted_bytes() >= SEGMENT_BYTES;
        }
        let wanted = std::mem::take(&mut self.state.borrow_mut().commit_wanted);
        if !wanted && last.is_none() {
            return Ok(());
        }
        self.state.borrow_mut().uncommitted_since_ns = None;
        let Some(synced) = file.sync().await? else { return Ok(()) };
        self.commit(synced, last.map_or("", EndReason::word), file).await;
        Ok(())
    }

    /// Tells the log. A log without room is tried again; one that is closed takes nothing any more.
    async fn commit(&self, synced: Committed, reason: &'static str, file: &mut RecordingFile) {
        let Committed { chunks, bytes, statement, digest } = synced;
        let number = file.next_segment();
        let record =
            Record::RecordingSegment { session: self.session, number, chunks, bytes, statement, reason, digest };
        for _ in 0..RECORD_ATTEMPTS {
            if self.studio.audit.append(&record).is_ok() {
                return;
            }
            driver::sleep(RECORD_RETRY).await;
        }
        tracing::error!("the audit log did not take the record of a recording");
    }
}

impl State {
    /// Bytes the file has, and will have at most with what waits.
    fn pending_bytes(&self) -> u64 {
        let queued: usize = self.queue.iter().map(Builder::len).sum();
        self.expected_bytes + (queued + self.open.len()) as u64
    }

    /// Adds bytes or their digest.
    fn put(&mut self, now_ns: u64, bytes: &[u8]) {
        if let Some(batch) = &mut self.batch {
            batch.update(bytes);
            if batch.bytes() >= BATCH_BYTES_MAX {
                self.digest(now_ns);
            }
            return;
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(self.open.room().min(rest.len()));
            rest = later;
            if now.is_empty() {
                self.rotate_full();
            } else {
                self.event(now_ns, Event::Bytes(now));
            }
        }
    }

    fn digest(&mut self, now_ns: u64) {
        if let Some(event) = self.batch.as_mut().and_then(Batch::finish) {
            self.event(now_ns, event);
        }
    }

    fn note(&mut self, now_ns: u64, moment: Moment) {
        let event = match moment {
            Moment::Started(statement) => Event::Started { statement },
            Moment::Refused(statement) => Event::Refused { statement },
            Moment::Ended(statement) => {
                self.digest(now_ns);
                Event::Ended { statement }
            }
        };
        self.event(now_ns, event);
    }

    fn event(&mut self, now_ns: u64, event: Event<'_>) {
        if self.open.is_empty() {
            self.open_since_ns = now_ns;
        }
        if !self.open.push(now_ns, event) {
            self.rotate_full();
            self.open_since_ns = now_ns;
            let pushed = self.open.push(now_ns, event);
            debug_assert!(pushed, "an event fits into an empty chunk");
        }
    }

    /// The open chunk is full: another one takes what follows.
    fn rotate_full(&mut self) {
        self.busy = true;
        let next = self.spare.pop().unwrap_or_else(Builder::roomy);
        self.queue.push_back(std::mem::replace(&mut self.open, next));
    }

    /// The open chunk is old, or the last.
    fn rotate(&mut self) {
        self.queue.push_back(std::mem::take(&mut self.open));
    }

    /// Chunks were written; their memory serves again while there is much to write.
    fn reuse(&mut self, chunks: Vec<Builder>) {
        if self.busy {
            self.spare.extend(chunks.into_iter().map(|mut chunk| {
                chunk.clear();
                chunk
            }));
            self.spare.truncate(WRITE_CHUNKS);
        }
    }

    fn end(&mut self, now_ns: u64, reason: EndReason) {
        for (_, moment) in std::mem::take(&mut self.marks) {
            self.note(now_ns, moment);
        }
        self.digest(now_ns);
        self.event(now_ns, Event::End(reason));
        self.rotate();
        self.ended = Some(reason);
    }
}
