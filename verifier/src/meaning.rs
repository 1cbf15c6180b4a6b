//! What records of one core mean together: statements, releases, recordings, heartbeats.
//!
//! Memory is what is under way: open statements (at most [`OPEN_MAX`]), open sessions, and for each session with sealed
//! fields or a recording what the log commits to. Deliberately not here: the order of blocks, files.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::hex;
use crate::merkle::Hash;
use crate::report::Code;
use crate::scan::{Act, Event, Open, Outcome, Recorded, Sid, What};

/// A statement of a session.
pub(crate) type Statement = (Sid, u64);

/// Statements under way at once. A gateway has at most one for each of its sessions.
const OPEN_MAX: usize = 1 << 20;
/// Intervals without a heartbeat that are silence.
const SILENT_INTERVALS: u64 = 3;

/// An act on the log, where and when.
#[derive(Clone, Debug)]
pub(crate) struct Acted {
    pub(crate) core: u16,
    pub(crate) block: u64,
    pub(crate) sequence: u64,
    pub(crate) wall_ns: u64,
    pub(crate) act: Act,
}

/// A session that has a key: what holds ask for.
#[derive(Clone, Debug)]
pub(crate) struct About {
    pub(crate) person: Box<str>,
    pub(crate) role: Box<str>,
    pub(crate) target: Box<str>,
    /// Wall clock of its beginning and its end, as far as that is recorded, nanoseconds.
    pub(crate) span: (u64, u64),
}

/// What the log commits to beside itself.
#[derive(Debug, Default)]
pub(crate) struct Beside {
    /// Sessions with a key.
    pub(crate) sessions: BTreeMap<Sid, About>,
    /// Commitment to a session's key.
    pub(crate) commitments: BTreeMap<Sid, Hash>,
    /// All that is said about a session's recording, in order.
    pub(crate) recordings: BTreeMap<Sid, Vec<Recorded>>,
}

impl Beside {
    pub(crate) fn merge(&mut self, other: Self) {
        self.sessions.extend(other.sessions);
        self.commitments.extend(other.commitments);
        self.recordings.extend(other.recordings);
    }
}

/// A statement under way.
#[derive(Debug, Default)]
struct Under {
    releases: u64,
    rows: u64,
}

/// State of one core.
#[derive(Debug, Default)]
pub(crate) struct Meaning {
    open: HashMap<Statement, Under>,
    overflow: bool,
    /// Sessions that are open.
    sessions: HashSet<Sid>,
    /// Mode of each target, as last recorded in this epoch.
    modes: HashMap<Box<str>, Box<str>>,
    beside: Beside,
    acts: Vec<Acted>,
    beat: Option<Beat>,
    /// A silence that the account of an outage may still explain: it can come behind the first heartbeat.
    silence: Option<String>,
}

/// The last sign of life in an epoch.
#[derive(Clone, Copy, Debug)]
struct Beat {
    mono_ns: u64,
    interval_s: u64,
    explained: bool,
}

impl Beat {
    /// Was it silent until this moment?
    fn silence(&self, mono_ns: u64) -> Option<String> {
        let limit = self.interval_s.saturating_mul(SILENT_INTERVALS * 1_000_000_000);
        let since = mono_ns.saturating_sub(self.mono_ns);
        (self.interval_s > 0 && !self.explained && since > limit).then(|| {
            format!("no heartbeat for {} s, and one was due every {} s", since / 1_000_000_000, self.interval_s)
        })
    }
}

pub(crate) fn name((session, statement): &Statement) -> String {
    format!("statement {statement} of session {}", hex::text(session))
}

impl Meaning {
    /// An epoch begins: sessions of the one before are gone. Says if that ended in silence.
    pub(crate) fn epoch_begins(&mut self, mono_ns: u64, last: Option<(u64, u64)>) -> Option<String> {
        self.sessions.clear();
        self.modes.clear();
        let silence = self.silent_until(last);
        self.beat = Some(Beat { mono_ns, interval_s: 0, explained: false });
        silence
    }

    /// The log ends here. Says if it ended in silence.
    pub(crate) fn finish(&mut self, last: Option<(u64, u64)>) -> Option<String> {
        self.silent_until(last)
    }

    fn silent_until(&mut self, last: Option<(u64, u64)>) -> Option<String> {
        self.silence.take().or_else(|| self.beat?.silence(last?.1))
    }

    /// Statements without result, acts, and what is committed to.
    pub(crate) fn take(&mut self) -> (Vec<Statement>, Vec<Acted>, Beside) {
        let open = std::mem::take(&mut self.open).into_keys().collect();
        (open, std::mem::take(&mut self.acts), std::mem::take(&mut self.beside))
    }

    /// One record, at a core and block.
    pub(crate) fn event(
        &mut self,
        (core, block): (u16, u64),
        event: Event,
        closed_for_others: &mut Vec<(Statement, u16)>,
        find: &mut dyn FnMut(Code, String),
    ) {
        let sequence = event.sequence;
        let mut wrong = |what: String| find(Code::Sem, format!("record {sequence}: {what}"));
        match event.what {
            What::Intent { session, statement } => {
                let statement = (session, statement);
                if self.open.len() >= OPEN_MAX {
                    if !std::mem::replace(&mut self.overflow, true) {
                        wrong(format!("more than {OPEN_MAX} statements are under way"));
                    }
                } else if self.open.insert(statement, Under::default()).is_some() {
                    wrong(format!("{} begins twice", name(&statement)));
                }
            }
            What::Result { session, statement, rows, outcome } => {
                let statement = (session, statement);
                match self.open.remove(&statement) {
                    Some(under) => {
                        // A result is a statement's last release, durable before the last bytes leave: it may have more rows
                        // than those before it, not fewer.
                        if outcome == Outcome::Ok && under.rows > rows {
                            wrong(format!("{} released {} rows and has {rows}", name(&statement), under.rows));
                        }
                    }
                    None if outcome == Outcome::UnknownCrash => closed_for_others.push((statement, core)),
                    None if self.overflow => {}
                    None => wrong(format!("{} has a result before its intent", name(&statement))),
                }
            }
            What::Release { session, statement, number, rows } => {
                let statement = (session, statement);
                match self.open.get_mut(&statement) {
                    Some(under) => {
                        if number != under.releases + 1 {
                            wrong(format!("{} has release {number} after {}", name(&statement), under.releases));
                        } else if rows < under.rows {
                            wrong(format!("{} has released {rows} rows after {}", name(&statement), under.rows));
                        }
                        (under.releases, under.rows) = (number, rows);
                    }
                    None if self.overflow => {}
                    None => wrong(format!("{} releases rows and is not under way", name(&statement))),
                }
            }
            What::Open(open) => self.opened(*open, event.wall_ns, &mut wrong),
            What::Mode(mode) => {
                let (target, mode) = *mode;
                self.modes.insert(target, mode);
            }
            What::Close { session } => {
                self.sessions.remove(&session);
                if let Some(about) = self.beside.sessions.get_mut(&session) {
                    about.span.1 = event.wall_ns;
                }
            }
            What::Recorded(now) => self.recorded(*now, &mut wrong),
            What::Heartbeat { interval } => {
                if let Some(what) = self.silence.take() {
                    find(Code::Gapq, what);
                }
                let silence = self.beat.and_then(|beat| beat.silence(event.mono_ns));
                self.silence = silence.map(|what| format!("record {sequence}: {what}"));
                self.beat = Some(Beat { mono_ns: event.mono_ns, interval_s: interval, explained: false });
            }
            What::Outage => {
                self.silence = None;
                if let Some(beat) = &mut self.beat {
                    beat.explained = true;
                }
            }
            What::Act(act) => {
                self.acts.push(Acted { core, block, sequence, wall_ns: event.wall_ns, act: *act });
            }
            What::Start { .. } | What::End | What::Wrong(..) => {}
        }
    }

    fn opened(&mut self, open: Open, wall_ns: u64, wrong: &mut dyn FnMut(String)) {
        let Open { session, target, mode, commitment, person, role } = open;
        let id = hex::text(&session);
        if let Some(known) = self.modes.get(&target).filter(|known| !mode.is_empty() && **known != mode) {
            wrong(format!("session {id} opens in mode {mode}, and its target's mode is {known}"));
        }
        if !self.sessions.insert(session) {
            wrong(format!("session {id} opens twice"));
        }
        if let Some(commitment) = commitment {
            self.beside.commitments.insert(session, commitment);
            self.beside.sessions.insert(session, About { person, role, target, span: (wall_ns, wall_ns) });
        }
    }

    fn recorded(&mut self, now: Recorded, wrong: &mut dyn FnMut(String)) {
        let id = hex::text(&now.session);
        let all = self.beside.recordings.entry(now.session).or_default();
        let (segment, chunks, bytes) = all.last().map_or((0, 0, 0), |last| (last.segment, last.chunks, last.bytes));
        if all.last().is_some_and(|last| last.ends) {
            wrong(format!("the recording of session {id} goes on after its end"));
        } else if now.segment != segment + 1 {
            wrong(format!("the recording of session {id} has segment {} after {segment}", now.segment));
        } else if now.chunks < chunks || now.bytes < bytes {
            wrong(format!("the recording of session {id} becomes shorter"));
        }
        all.push(now);
    }
}
