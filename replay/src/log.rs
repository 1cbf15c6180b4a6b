//! Sessions as the log tells of them: opened, stated, answered, recorded, closed.

use crate::keyring::KeyError;
use audit::record::SessionId;
use audit::{Body, Filter, OwnedMasked, ShowError};
use sealing::{SessionKey, field};
use std::collections::{BTreeMap, HashMap};
use std::path::Path;

/// A statement's text as the log has it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Text {
    /// The log has none.
    #[default]
    None,
    /// As it came.
    Plain(Vec<u8>),
    /// Sealed.
    Sealed(Vec<u8>),
}

impl Text {
    /// From the two fields of a record.
    #[must_use]
    pub fn of(plain: Vec<u8>, sealed: Vec<u8>) -> Self {
        match (plain.is_empty(), sealed.is_empty()) {
            (_, false) => Self::Sealed(sealed),
            (false, true) => Self::Plain(plain),
            (true, true) => Self::None,
        }
    }

    /// The text, opened if need be; `None` where the log has none.
    ///
    /// # Errors
    /// It does not open, or there is no key.
    pub fn open(&self, statement: u64, key: &Result<SessionKey, KeyError>) -> Result<Option<Vec<u8>>, KeyError> {
        match (self, key) {
            (Self::None, _) => Ok(None),
            (Self::Plain(text), _) => Ok(Some(text.clone())),
            (Self::Sealed(sealed), Ok(key)) => {
                key.open(statement, field::TEXT, sealed).map(Some).map_err(KeyError::Open)
            }
            (Self::Sealed(_), Err(error)) => Err(*error),
        }
    }
}

/// A statement of a session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Statement {
    /// When it was recorded, nanoseconds since 1970.
    pub wall_ns: u64,
    /// Its text.
    pub text: Text,
    /// Its parameters, sealed; empty for none.
    pub sealed_parameters: Vec<u8>,
    /// It was forwarded.
    pub forwarded: bool,
    /// Code and rule of its refusal.
    pub refused: Option<(String, String)>,
    /// How it ended: the word of its result, empty while there is none.
    pub outcome: String,
    /// SQLSTATE of its end.
    pub sqlstate: [u8; 5],
    /// Rows returned.
    pub rows: u64,
    /// Bytes returned.
    pub bytes: u64,
    /// Microseconds it took.
    pub duration_us: u64,
    /// Columns that were masked.
    pub masked: Vec<OwnedMasked>,
}

/// What a REC_SEG commits to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Its number, from 1.
    pub number: u64,
    /// Chunks so far.
    pub chunks: u64,
    /// Bytes of the file so far.
    pub bytes: u64,
    /// Why the recording ends with it, or empty.
    pub reason: String,
    /// Hash of its last chunk.
    pub hash: [u8; 32],
}

/// A session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionLog {
    /// Its id.
    pub id: SessionId,
    /// Core whose log has it.
    pub core: u16,
    /// When it began, nanoseconds since 1970.
    pub opened_ns: u64,
    /// When it ended, and why.
    pub closed: Option<(u64, String)>,
    /// Issuer of the identity.
    pub issuer: String,
    /// Who: subject there.
    pub user: String,
    /// As what.
    pub role: String,
    /// Target.
    pub target: String,
    /// Peer address.
    pub source: String,
    /// Application name as sent.
    pub application: String,
    /// How its answers are recorded: `digest`, `rows`, or empty.
    pub recording: String,
    /// Commitment to its key, zeros for none.
    pub commitment: [u8; 32],
    /// Bundle it began under.
    pub bundle: [u8; 32],
    /// Statements forwarded.
    pub forwarded: u64,
    /// Statements refused.
    pub refused: u64,
    /// Rows returned.
    pub rows: u64,
    /// Bytes returned.
    pub bytes: u64,
    /// Its statements by number, where they were asked for.
    pub statements: BTreeMap<u64, Statement>,
    /// What the log commits to of its recording.
    pub segments: Vec<Segment>,
}

impl SessionLog {
    fn new(id: SessionId, core: u16, wall_ns: u64, body: &Body) -> Option<Self> {
        let Body::SessionOpen { actor, source, application, target, bundle, recording, key, .. } = body else {
            return None;
        };
        Some(Self {
            id,
            core,
            opened_ns: wall_ns,
            closed: None,
            issuer: actor.issuer.clone(),
            user: actor.subject.clone(),
            role: actor.role.clone(),
            target: target.clone(),
            source: source.clone(),
            application: application.clone(),
            recording: recording.clone(),
            commitment: *key,
            bundle: *bundle,
            forwarded: 0,
            refused: 0,
            rows: 0,
            bytes: 0,
            statements: BTreeMap::new(),
            segments: Vec::new(),
        })
    }

    /// A record about it.
    fn take(&mut self, wall_ns: u64, body: Body, statements: bool) {
        match body {
            Body::Intent { statement, text, sealed_text, sealed_parameters, .. } => {
                self.forwarded += 1;
                if statements {
                    let of = self.statements.entry(statement).or_default();
                    of.wall_ns = wall_ns;
                    of.text = Text::of(text, sealed_text);
                    of.sealed_parameters = sealed_parameters;
                    of.forwarded = true;
                }
            }
            Body::Block { statement, text, sealed_text, code, rule, .. } => {
                self.refused += 1;
                if statements {
                    let of = self.statements.entry(statement).or_default();
                    if of.text == Text::None {
                        of.text = Text::of(text, sealed_text);
                    }
                    of.wall_ns = wall_ns;
                    of.refused = Some((code, rule));
                }
            }
            Body::Result { statement, outcome, sqlstate, rows, bytes, duration_us, masked, .. } => {
                self.rows += rows;
                self.bytes += bytes;
                if statements && let Some(of) = self.statements.get_mut(&statement) {
                    (of.outcome, of.sqlstate, of.rows, of.bytes) = (outcome, sqlstate, rows, bytes);
                    (of.duration_us, of.masked) = (duration_us, masked);
                }
            }
            Body::RecordingSegment { number, chunks, bytes, reason, digest, .. } => {
                self.segments.push(Segment { number, chunks, bytes, reason, hash: digest });
            }
            Body::SessionClose { reason, .. } => self.closed = Some((wall_ns, reason)),
            _ => {}
        }
    }
}

/// Which sessions are wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// Start of the id in hexadecimal.
    pub session: Option<String>,
    /// Subject.
    pub user: Option<String>,
    /// Target name.
    pub target: Option<String>,
    /// Not over before this (nanoseconds since 1970).
    pub since_ns: Option<u64>,
    /// Not begun after this.
    pub until_ns: Option<u64>,
}

/// The wanted sessions in the order of their beginnings, and the damaged places that were stepped over. With `statements`
/// each with its statements; without, memory grows with the number of sessions alone.
///
/// # Errors
/// The log cannot be read.
pub fn sessions(
    directory: &Path,
    wanted: &Wanted,
    statements: bool,
) -> Result<(Vec<SessionLog>, Vec<String>), ShowError> {
    // A session that began earlier may still be wanted, so only its end limits what is read.
    let filter = Filter {
        session: wanted.session.clone(),
        user: wanted.user.clone(),
        target: wanted.target.clone(),
        ..Filter::default()
    };
    let mut found: Vec<SessionLog> = Vec::new();
    let mut places: HashMap<SessionId, usize> = HashMap::new();
    let mut damage = Vec::new();
    for item in audit::show(directory, filter)? {
        let entry = match item {
            Ok(entry) => entry,
            Err(error) => {
                damage.push(error.to_string());
                continue;
            }
        };
        let (wall_ns, body) = (entry.record.clock.wall_ns, entry.record.body);
        let Some(id) = body.session() else { continue };
        if let Some(session) = SessionLog::new(id, entry.core, wall_ns, &body) {
            if wanted.until_ns.is_none_or(|until| wall_ns <= until) {
                places.insert(id, found.len());
                found.push(session);
            }
        } else if let Some(session) = places.get(&id).and_then(|place| found.get_mut(*place)) {
            session.take(wall_ns, body, statements);
        }
    }
    if let Some(since) = wanted.since_ns {
        found.retain(|session| session.closed.as_ref().is_none_or(|(closed, _)| *closed >= since));
    }
    Ok((found, damage))
}
