//! Sessions of the log, and what their clients were sent.
//!
//! That somebody looks is recorded at the desk before anything is returned. Answers are shown as the client saw them, which
//! is masked; texts and answers that are sealed stay so: the gateway holds no private key.

use super::Gate;
use ::access::hex;
use audit::record::{Actor, Record};
use audit::render::printable;
use console::world::{Answer, Found, Recorded, Replay, Replayed, Search, Viewer};
use replay::{Frames, KeyRing, Message, Piece, Recording, SessionLog, Wanted, cell};
use sealing::recording::{Event, Events};
use std::collections::BTreeMap;

/// Statements of one page.
const STATEMENTS_MAX: usize = 500;
/// Rows that are shown of one answer.
const ROWS_MAX: usize = 200;
/// Bytes of rows that are shown of one session.
const BYTES_MAX: usize = 4 << 20;
const SECOND_NS: u64 = 1_000_000_000;

fn recorded(gate: &Gate, session: &SessionLog) -> Recorded {
    Recorded {
        session: hex(&session.id.0),
        user: gate.handle_of(&session.issuer, &session.user),
        role: session.role.clone(),
        target: session.target.clone(),
        source: session.source.clone(),
        application: session.application.clone(),
        opened_s: session.opened_ns / SECOND_NS,
        closed: session.closed.as_ref().map(|(at_ns, why)| (at_ns / SECOND_NS, why.clone())),
        forwarded: session.forwarded,
        refused: session.refused,
        rows: session.rows,
        bytes: session.bytes,
        recording: session.recording.clone(),
    }
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn moment(at_s: u64) -> Option<u64> {
    (at_s > 0).then_some(at_s.saturating_mul(SECOND_NS))
}

pub(super) fn search(gate: &Gate, search: &Search) -> Result<Found, String> {
    let wanted = Wanted {
        session: some(&search.session),
        user: None,
        target: some(&search.target),
        since_ns: moment(search.since_s),
        until_ns: moment(search.until_s),
    };
    let by_text = !search.text.is_empty();
    let (found, damage) = replay::sessions(&gate.audit, &wanted, by_text).map_err(|error| error.to_string())?;
    let says = |session: &SessionLog| {
        session.statements.values().any(|statement| match &statement.text {
            replay::Text::Plain(text) => {
                String::from_utf8_lossy(text).to_lowercase().contains(&search.text.to_lowercase())
            }
            replay::Text::None | replay::Text::Sealed(_) => false,
        })
    };
    let of_user = |session: &SessionLog| {
        search.user.is_empty()
            || session.user == search.user
            || gate.handle_of(&session.issuer, &session.user) == search.user
    };
    let fits = |session: &&SessionLog| {
        of_user(session) && (!search.refused || session.refused > 0) && (!by_text || says(session))
    };
    let mut sessions: Vec<&SessionLog> = found.iter().filter(fits).collect();
    sessions.sort_by_key(|session| std::cmp::Reverse(session.opened_ns));
    let more = sessions.len() > search.limit;
    sessions.truncate(search.limit);
    let sessions = sessions.into_iter().map(|session| recorded(gate, session)).collect();
    Ok(Found { sessions, more, damage })
}

pub(super) fn replay(gate: &Gate, session: &str, viewer: &Viewer) -> Result<Replay, String> {
    let id = super::parse_session(session).ok_or("a session is named by 32 hexadecimal digits")?;
    let actor = Actor { issuer: &viewer.who.issuer, subject: &viewer.who.subject, role: "" };
    let detail = format!("recording and texts, in the console from {}", viewer.source);
    let record = Record::ReplayView { session: id, actor, reason: &viewer.reason, detail: &detail };
    evidence::person::record(&gate.audit, &[record])
        .map_err(|error| format!("not shown, because it cannot be recorded: {error}"))?;
    let wanted = Wanted { session: Some(session.to_owned()), ..Wanted::default() };
    let (mut found, mut notes) = replay::sessions(&gate.audit, &wanted, true).map_err(|error| error.to_string())?;
    let log = found.pop().ok_or("there is no such session in this log")?;
    let mut answers = answers(gate, &log, &mut notes);
    let none = Err(replay::KeyError::NoIdentity);
    let statement = |(&number, of): (&u64, &replay::Statement)| {
        let (text, sealed) = match of.text.open(number, &none) {
            Ok(text) => (text.map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default(), false),
            Err(_) => (String::new(), true),
        };
        Replayed {
            statement: number,
            at_ns: of.wall_ns,
            text,
            sealed,
            refused: of.refused.clone(),
            outcome: of.outcome.clone(),
            rows: of.rows,
            duration_us: of.duration_us,
            masked: of.masked.iter().map(|m| (m.column.clone(), m.method.clone())).collect(),
            answer: answers.remove(&number),
        }
    };
    let statements: Vec<Replayed> = log.statements.iter().take(STATEMENTS_MAX).map(statement).collect();
    let more = log.statements.len() > STATEMENTS_MAX;
    Ok(Replay { session: recorded(gate, &log), statements, more, notes })
}

/// Rows by statement, of a recording that is not sealed.
fn answers(gate: &Gate, log: &SessionLog, notes: &mut Vec<String>) -> BTreeMap<u64, Answer> {
    let mut answers = BTreeMap::new();
    if log.recording.is_empty() {
        notes.push("what was returned was not recorded, only how much".to_owned());
        return answers;
    }
    if log.commitment != [0; 32] {
        notes.push(
            "texts and answers of this session are sealed: `tidegate replay` opens them with a recipient's key"
                .to_owned(),
        );
        return answers;
    }
    let key = KeyRing::open(&gate.audit, Vec::new()).ok().and_then(|ring| ring.key(log.id, &log.commitment).ok());
    let mut recording = match Recording::open(&gate.audit, log, key.as_ref()) {
        Ok(recording) => recording,
        Err(error) => {
            notes.push(error.to_string());
            return answers;
        }
    };
    let mut reader = Reader::default();
    loop {
        match recording.next(key.as_ref()) {
            Ok(Some(Piece::Chunk(chunk, committed))) => {
                if !committed && !reader.told {
                    reader.told = true;
                    notes.push("the log does not commit to the end of this recording yet".to_owned());
                }
                for event in Events::new(&chunk.plain, chunk.first_ns) {
                    match event {
                        Ok((_, event)) => reader.event(&event, &mut answers),
                        Err(error) => notes.push(format!("chunk {}: {error}", chunk.header.number)),
                    }
                }
            }
            Ok(Some(Piece::Gap(damage))) => {
                notes.push(damage.to_string());
                reader.frames.restart();
            }
            Ok(None) => break,
            Err(error) => {
                notes.push(format!("the recording cannot be read: {error}"));
                break;
            }
        }
    }
    notes.extend(recording.damage.iter().map(ToString::to_string));
    if reader.bytes > BYTES_MAX {
        notes.push("the rows are too many for a page: `tidegate replay` shows all of them".to_owned());
    }
    answers
}

/// Turns what was sent into tables.
#[derive(Default)]
struct Reader {
    frames: Frames,
    columns: Vec<replay::Column>,
    statement: u64,
    bytes: usize,
    told: bool,
}

impl Reader {
    fn event(&mut self, event: &Event<'_>, answers: &mut BTreeMap<u64, Answer>) {
        match event {
            Event::Started { statement } | Event::Refused { statement } => self.statement = *statement,
            Event::Bytes(bytes) => {
                let mut messages = Vec::new();
                self.frames.push(bytes, |message| messages.push(message));
                for message in messages {
                    self.message(message, answers);
                }
            }
            Event::Ended { .. } | Event::Digest { .. } | Event::End(_) => {}
        }
    }

    fn message(&mut self, message: Message, answers: &mut BTreeMap<u64, Answer>) {
        match message {
            Message::Columns(columns) => {
                let answer = answers.entry(self.statement).or_default();
                answer.columns = columns.iter().map(|column| printable(&column.name)).collect();
                self.columns = columns;
            }
            Message::Row(row) => {
                let answer = answers.entry(self.statement).or_default();
                self.bytes += row.iter().flatten().map(Vec::len).sum::<usize>();
                if answer.rows.len() >= ROWS_MAX || self.bytes > BYTES_MAX {
                    answer.left_out += 1;
                    return;
                }
                let shown = |(at, value): (usize, Option<Vec<u8>>)| {
                    let column = self.columns.get(at);
                    let (oid, binary) = column.map_or((0, false), |column| (column.type_oid, column.binary));
                    value.map(|value| cell(&value, oid, binary))
                };
                answer.rows.push(row.into_iter().enumerate().map(shown).collect());
            }
            _ => {}
        }
    }
}
