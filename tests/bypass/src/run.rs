//! One variant in one form against one server: a fresh session, everything that came back, and what is in it.
//!
//! Whatever a variant does is undone: it runs in a transaction that is rolled back, or makes only what ends with its session.
//! A login that fails is not a success of whoever is judged: it is told apart and reported.

use crate::{
    Result,
    client::{Client, Login, NoSession},
    infer,
    names::Names,
    recover::{Care, Finder, day_number, iso_date},
    truth::Truth,
    way::{Forms, How, Talk, Variant},
};
use tests::wire::{Frame, bind, describe, execute, parse, query, sync};

/// How a statement is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Form {
    /// Simple query, text.
    SimpleText,
    /// Simple query, binary by a cursor or COPY.
    SimpleBinary,
    /// Extended query, text.
    ExtendedText,
    /// Extended query, binary.
    ExtendedBinary,
}

/// All of them, in the order of reports.
pub const FORMS: [Form; 4] = [Form::SimpleText, Form::SimpleBinary, Form::ExtendedText, Form::ExtendedBinary];

impl Form {
    /// For tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SimpleText => "simple text",
            Self::SimpleBinary => "simple binary",
            Self::ExtendedText => "extended text",
            Self::ExtendedBinary => "extended binary",
        }
    }
}

/// What a variant in a form came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was tried; characters recovered, and the SQLSTATE of the first error.
    Tried {
        /// Characters of protected data.
        characters: u64,
        /// First error.
        error: Option<String>,
    },
    /// It has no such form, or names something that is not here.
    Absent,
    /// It could not be tried.
    Failed(String),
}

impl Outcome {
    /// Characters recovered.
    #[must_use]
    pub fn characters(&self) -> u64 {
        match self {
            Self::Tried { characters, .. } => *characters,
            Self::Absent | Self::Failed(_) => 0,
        }
    }
}

/// What is judged and by what.
#[derive(Debug)]
pub struct Judge<'a> {
    /// Names for templates.
    pub names: &'a Names,
    /// Protected values.
    pub truth: &'a Truth,
    /// The search for them.
    pub finder: &'a Finder,
}

/// A session that says statements in forms.
#[derive(Debug)]
pub struct Session {
    client: Client,
    /// All that came back.
    pub heard: Vec<Frame>,
    keep: bool,
    /// Whether a transaction is open, as the peer last said.
    inside: bool,
    cursors: u32,
}

impl Session {
    /// Logs in.
    ///
    /// # Errors
    /// There is no session.
    pub fn open(login: &Login) -> Result<Self, NoSession> {
        let mut client = Client::login(login)?;
        let heard = std::mem::take(&mut client.greeting);
        Ok(Self { client, heard, keep: true, inside: false, cursors: 0 })
    }

    /// Says a statement and returns the answer.
    ///
    /// # Errors
    /// The connection fails.
    pub fn say(&mut self, statement: &str, form: Form) -> Result<Vec<Frame>> {
        let bytes = match form {
            Form::SimpleText => query(statement),
            Form::SimpleBinary => query(&self.binary(statement).unwrap_or_else(|| statement.to_owned())),
            Form::ExtendedText => extended(statement, 0),
            Form::ExtendedBinary => extended(statement, 1),
        };
        let mut frames = self.client.ask(&bytes)?;
        // A cursor's own transaction that failed; one that the variant opened is its own affair.
        let before = self.inside;
        self.inside = inside(&frames);
        if self.inside && !before && bytes != query(statement) && matches!(form, Form::SimpleBinary) {
            frames.extend(self.client.ask(&query("rollback"))?);
            self.inside = false;
        }
        if self.keep || self.heard.len() < 100 {
            self.heard.extend(frames.iter().cloned());
        }
        Ok(frames)
    }

    /// Says a statement, in a transaction of its own that is rolled back.
    ///
    /// # Errors
    /// The connection fails.
    pub fn say_wrapped(&mut self, statement: &str, form: Form, wrapped: bool) -> Result<Vec<Frame>> {
        if !wrapped {
            return self.say(statement, form);
        }
        self.begin()?;
        let frames = self.say(statement, form);
        self.rollback()?;
        frames
    }

    fn begin(&mut self) -> Result<()> {
        let answer = self.client.ask(&query("begin"))?;
        self.inside = inside(&answer);
        self.heard.extend(answer);
        Ok(())
    }

    fn rollback(&mut self) -> Result<()> {
        let answer = self.client.ask(&query("rollback"))?;
        self.inside = inside(&answer);
        self.heard.extend(answer);
        Ok(())
    }

    /// The statement so that a simple query has binary results; `None` where there is no such way.
    fn binary(&mut self, statement: &str) -> Option<String> {
        let kind = binary_kind(statement)?;
        self.cursors += 1;
        let name = format!("tg_binary_{}", self.cursors);
        Some(match (kind, self.inside) {
            (Binary::Cursor, true) => format!("declare {name} binary cursor for {statement}; fetch all from {name}"),
            (Binary::Cursor, false) => {
                format!("begin; declare {name} binary cursor for {statement}; fetch all from {name}; commit")
            }
            (Binary::Copy, _) => format!("copy ({statement}) to stdout with (format binary)"),
        })
    }
}

fn inside(frames: &[Frame]) -> bool {
    frames.last().is_some_and(|frame| frame.tag == b'Z' && frame.body != b"I")
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    Cursor,
    Copy,
}

fn binary_kind(statement: &str) -> Option<Binary> {
    let text = statement.trim_start().to_ascii_lowercase();
    let first = text.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if text.contains(';') || text.contains(" into ") && first == "select" {
        return None;
    }
    match first {
        "select" | "table" | "values" | "with" if !text.contains(" returning ") => Some(Binary::Cursor),
        "insert" | "update" | "delete" | "with" if text.contains(" returning ") => Some(Binary::Copy),
        _ => None,
    }
}

fn extended(statement: &str, format: u16) -> Vec<u8> {
    [parse("", statement), bind("", "", &[], format), describe(b'P', ""), execute("", 0), sync()].concat()
}

/// Whether a variant has this form.
#[must_use]
pub fn has_form(variant: &Variant, form: Form) -> bool {
    match variant.forms {
        Forms::Once => form == Form::SimpleText,
        Forms::Simple => matches!(form, Form::SimpleText | Form::SimpleBinary) && convertible(variant, form),
        Forms::Text => matches!(form, Form::SimpleText | Form::ExtendedText),
        Forms::Formats => matches!(form, Form::ExtendedText | Form::ExtendedBinary),
        Forms::All => convertible(variant, form),
    }
}

fn convertible(variant: &Variant, form: Form) -> bool {
    form != Form::SimpleBinary
        || match &variant.how {
            How::Statements(list) | How::Days(list, _) => list.iter().any(|text| binary_kind(text).is_some()),
            How::Oracle(oracle) => binary_kind(&oracle.ask).is_some(),
            How::Protocol(_) => false,
        }
}

/// Tries a variant in a form.
#[must_use]
pub fn attempt(judge: &Judge<'_>, login: &Login, variant: &Variant, form: Form) -> Outcome {
    if !has_form(variant, form) {
        return Outcome::Absent;
    }
    match attempt_in(judge, login, variant, form) {
        Ok(outcome) => outcome,
        Err(why) => Outcome::Failed(why),
    }
}

fn attempt_in(judge: &Judge<'_>, login: &Login, variant: &Variant, form: Form) -> Result<Outcome> {
    let mut session = match Session::open(login) {
        Ok(session) => session,
        Err(NoSession::Refused(frames)) => {
            let said = frames.iter().find(|frame| frame.tag == b'E').and_then(|frame| frame.field(b'M'));
            return Err(format!("login refused: {}", said.unwrap_or_default()));
        }
        Err(NoSession::Failed(why)) => return Err(why),
    };
    match &variant.how {
        How::Statements(list) | How::Days(list, _) => {
            let Some(list) = list.iter().map(|text| judge.names.fill(text)).collect::<Option<Vec<_>>>() else {
                return Ok(Outcome::Absent);
            };
            // What was heard before the connection broke counts.
            let ended = statements(&mut session, &list, variant.wrapped, form);
            let outcome = heard(judge, variant, &session.heard);
            match (&outcome, ended) {
                (Outcome::Tried { characters: 0, .. }, Err(why)) if !why.starts_with("send") => Err(why),
                _ => Ok(outcome),
            }
        }
        How::Oracle(oracle) => {
            session.keep = false;
            match infer::recover(oracle, &mut session, judge.names, judge.truth, form, variant.wrapped)? {
                Some((characters, _)) => Ok(Outcome::Tried { characters, error: first_error(&session.heard) }),
                None => Ok(Outcome::Absent),
            }
        }
        How::Protocol(conversation) => {
            let format = u16::from(form == Form::ExtendedBinary);
            let Session { client, heard: greeting, .. } = session;
            let mut talk = Talk { client, names: judge.names, login, format, heard: greeting };
            let ended = conversation(&mut talk);
            let outcome = heard(judge, variant, &talk.heard);
            match ended {
                Err(why) if why == "does not apply here" => Ok(Outcome::Absent),
                _ => Ok(outcome),
            }
        }
    }
}

fn statements(session: &mut Session, list: &[String], wrapped: bool, form: Form) -> Result<()> {
    if wrapped {
        session.begin()?;
    }
    for statement in list {
        session.say(statement, form)?;
    }
    if wrapped {
        session.rollback()?;
    }
    // Notifications come before the next answer ends.
    session.say("", Form::SimpleText).map(drop)
}

fn first_error(frames: &[Frame]) -> Option<String> {
    frames.iter().find(|frame| frame.tag == b'E').and_then(|frame| frame.field(b'C'))
}

fn heard(judge: &Judge<'_>, variant: &Variant, frames: &[Frame]) -> Outcome {
    let mut found = judge.finder.in_frames(frames, Care::Any);
    if variant.pieces {
        found.extend(judge.finder.in_pieces(frames, Care::Any));
    }
    if let How::Days(_, since) = &variant.how {
        found.extend(judge.finder.find(counted(frames, since).as_bytes(), Care::Any));
    }
    Outcome::Tried { characters: judge.finder.characters(&found), error: first_error(frames) }
}

/// Numbers in rows as the dates so many days after `since`.
fn counted(frames: &[Frame], since: &str) -> String {
    let start = day_number(since).unwrap_or(0);
    let mut text = String::new();
    for row in frames.iter().filter(|frame| frame.tag == b'D') {
        for value in crate::client::values(row).into_iter().flatten() {
            let number = std::str::from_utf8(value).ok().and_then(|text| text.parse::<f64>().ok()).map(|n| n as i64);
            let binary = value.try_into().ok().map(|bytes| i64::from(i32::from_be_bytes(bytes)));
            for days in [number, binary].into_iter().flatten().filter(|days| days.abs() < 1_000_000) {
                text.push_str(&iso_date(start + days));
                text.push('\n');
            }
        }
    }
    text
}

/// Tries every variant in every form it has, with so many sessions at a time.
///
/// `login` says where a variant is tried, by whether it wants an operator's rights; `done` hears of each variant that ended.
pub fn all(
    judge: &Judge<'_>,
    ways: &[crate::way::Way],
    login: &(dyn Fn(bool) -> Login + Sync),
    sessions: usize,
    done: &(dyn Fn(&str, &str) + Sync),
) -> Vec<crate::report::Entry> {
    use std::sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    };
    let work: Vec<_> = ways.iter().flat_map(|way| way.variants.iter().map(move |variant| (way.id, variant))).collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..sessions.max(1) {
            scope.spawn(|| {
                while let Some((id, variant)) = work.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let place = login(variant.privileged);
                    for form in FORMS {
                        let outcome = attempt(judge, &place, variant, form);
                        if outcome != Outcome::Absent
                            && let Ok(mut results) = results.lock()
                        {
                            results.push(crate::report::Entry { id, variant: variant.name, form, outcome });
                        }
                    }
                    done(id, variant.name);
                }
            });
        }
    });
    let mut entries = results.into_inner().unwrap_or_default();
    entries.sort_by_key(|entry| (entry.id, entry.variant, entry.form));
    entries
}
