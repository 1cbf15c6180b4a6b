//! Which bytes of an answer may leave: the part of the durability contract that concerns the client.
//!
//! ```text
//!   output of the lane   | left | released: a durable record covers it | marked: its record is appended | not marked |
//! ```
//!
//! Invariants, for a session in strict mode: output leaves only behind a mark whose record is durable; rows of a
//! statement that has not ended are marked only with a `RELEASE` that counts them; the statement's `RESULT` counts as
//! its last release. One mark waits for the disk at a time while rows stream: the next batch grows meanwhile, so a
//! slow disk makes few large releases and a fast one many small ones.

use crate::durability::Durability;
use crate::host::{Host, Unrecorded};
use audit::record::{Record, Recorded, SessionId};
use contract::{Flow, Lane};
use std::cell::Cell;
use std::collections::VecDeque;

/// Output that may be set aside while it waits for its record, in bytes.
const HELD_BYTES_MAX: usize = 1 << 20;

/// Appends a session's records and keeps the number of the last one.
#[derive(Debug)]
pub(crate) struct Book {
    pub(crate) mode: Durability,
    last: Cell<u64>,
    /// A record of what has already happened was not taken: nothing more may be covered.
    broken: Cell<bool>,
}

impl Book {
    pub(crate) fn new(mode: Durability) -> Self {
        Self { mode, last: Cell::new(0), broken: Cell::new(false) }
    }

    /// Appends a record of this session. A target whose log is off leaves out what only concerns statements that run.
    pub(crate) fn write<H: Host>(&self, host: &H, record: &Record<'_>) -> Result<Recorded, Unrecorded> {
        let about_runs = matches!(record, Record::Intent { .. } | Record::Result { .. } | Record::Observe { .. });
        if self.mode == Durability::Off && about_runs {
            return host.leave_out(record);
        }
        let recorded = host.record(record).inspect_err(|_| {
            // A statement whose intent or approval is not taken does not run; everything else is about what did.
            let broken = !matches!(record, Record::Intent { .. } | Record::Approval(_));
            self.broken.set(self.broken.get() || broken);
        })?;
        self.last.set(recorded.sequence());
        Ok(recorded)
    }

    /// The same, and never left out.
    pub(crate) fn insist<H: Host>(&self, host: &H, record: &Record<'_>) -> Result<Recorded, Unrecorded> {
        let recorded = host.record(record)?;
        self.last.set(recorded.sequence());
        Ok(recorded)
    }

    /// The last record of the session.
    pub(crate) fn last(&self) -> u64 {
        self.last.get()
    }
}

/// Up to where output is covered, and by which record.
#[derive(Clone, Copy, Debug)]
struct Mark {
    position: u64,
    sequence: u64,
    since_ns: u64,
    /// It is between two frames.
    whole: bool,
}

/// What was released of the statement whose rows come now.
#[derive(Clone, Copy, Debug, Default)]
struct Released {
    flow: Flow,
    /// Releases so far.
    number: u64,
}

/// The gate of a session in strict mode.
#[derive(Debug)]
pub(crate) struct Gate {
    marks: VecDeque<Mark>,
    marked: u64,
    released: Released,
    /// What has been let go ends between two frames.
    whole: bool,
    /// The log could not take a statement in time, and the client is told so without a record: what is queued may leave
    /// as long as this is the session's last record.
    excused: Option<u64>,
}

impl Gate {
    /// Holds a lane's output; what is in it waits for the session's first record.
    pub(crate) fn new(up: &mut Lane) -> Self {
        up.hold(HELD_BYTES_MAX);
        Self { marks: VecDeque::new(), marked: 0, released: Released::default(), whole: true, excused: None }
    }

    /// Lets go what durable records cover.
    pub(crate) fn open<H: Host>(&mut self, host: &H, up: &mut Lane) {
        while let Some(mark) = self.marks.front().copied() {
            if !host.is_durable(mark.sequence) {
                return;
            }
            up.release(mark.position);
            self.whole = mark.whole;
            self.marks.pop_front();
        }
    }

    /// Everything queued so far is covered by the session's last record.
    pub(crate) fn mark(&mut self, up: &mut Lane, book: &Book, whole: bool, now_ns: u64) {
        let position = up.queued();
        if self.excused == Some(book.last()) {
            (self.marked, self.whole) = (position, whole);
            up.release(position);
            return;
        }
        self.excused = None;
        if position == self.marked || book.broken.get() {
            return;
        }
        self.marked = position;
        match self.marks.back_mut() {
            Some(mark) if mark.sequence == book.last() => (mark.position, mark.whole) = (position, whole),
            _ => self.marks.push_back(Mark { position, sequence: book.last(), since_ns: now_ns, whole }),
        }
    }

    /// Covers what is queued, with a release if rows of an unfinished statement are in it. While an earlier mark waits
    /// for the disk, rows gather for the next release.
    pub(crate) fn cover<H: Host>(
        &mut self,
        host: &H,
        book: &Book,
        session: SessionId,
        up: &mut Lane,
        flow: Option<Flow>,
        whole: bool,
    ) -> Result<(), Unrecorded> {
        if up.queued() == self.marked {
            return Ok(());
        }
        if let Some(flow) = flow.filter(|flow| self.is_ahead(flow)) {
            self.excused = None;
            if !self.marks.is_empty() {
                return Ok(());
            }
            let same = flow.number == self.released.flow.number;
            let number = if same { self.released.number + 1 } else { 1 };
            let Flow { number: statement, rows, bytes } = flow;
            book.write(host, &Record::Release { session, statement, number, rows, bytes, digest: [0; 32] })
                .map(drop)?;
            self.released = Released { flow, number };
        }
        self.mark(up, book, whole, host.now_ns());
        Ok(())
    }

    /// A statement is refused because the log does not take it: the refusal holds nothing of the database's, and leaves
    /// without a record, unless something before it waits for one.
    pub(crate) fn excuse(&mut self, up: &Lane, book: &Book) {
        if self.marks.is_empty() && up.queued() == self.marked {
            self.excused = Some(book.last());
        }
    }

    /// Rows or bytes of this statement are not covered yet.
    fn is_ahead(&self, flow: &Flow) -> bool {
        let before = &self.released.flow;
        let (rows, bytes) = if before.number == flow.number { (before.rows, before.bytes) } else { (0, 0) };
        flow.rows > rows || flow.bytes > bytes
    }

    /// The record that output waits for, and since when.
    pub(crate) fn waits_for(&self) -> Option<(u64, u64)> {
        self.marks.front().map(|mark| (mark.sequence, mark.since_ns))
    }

    /// The record that the last of the output waits for.
    pub(crate) fn last(&self) -> Option<u64> {
        self.marks.back().map(|mark| mark.sequence)
    }

    /// Drops what no durable record covers. True if what has left ends between two frames, so that a last word may
    /// follow.
    pub(crate) fn shut(&mut self, up: &mut Lane) -> bool {
        self.marks.clear();
        up.drop_held();
        self.marked = up.queued();
        self.whole
    }
}
