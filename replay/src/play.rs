//! Playing a recording: statements, rows as a table, errors and notices, in the time they took or faster.
//!
//! Invariant: whatever was recorded, nothing of it can move the cursor, change colours or pretend to be a line of ours.

use crate::frames::{Column, Frames, Message};
use crate::keyring::KeyError;
use crate::log::SessionLog;
use crate::recording::{Damage, Piece, Recording};
use crate::values::cell;
use audit::render::{hex, printable};
use sealing::SessionKey;
use sealing::recording::{EndReason, Event, Events};
use serde_json::{Value, json};
use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

/// Characters of a value in a table, unless all of it is wanted.
const CELL_CHARACTERS: usize = 60;
/// Rows whose widths are looked at together.
const ROWS_TOGETHER: usize = 100;
/// Bytes of rows that wait for the others of their table.
const ROWS_BYTES_MAX: usize = 1 << 20;
const MS_NS: u64 = 1_000_000;

/// How fast.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// So many times as fast as it happened.
    Times(f64),
    /// A statement at a time.
    Step,
    /// At once.
    Fast,
}

/// Where a recording is played.
pub trait Stage {
    /// Lets time pass.
    fn wait(&mut self, time: Duration);
    /// Asks whether to go on; only for [`Pace::Step`].
    ///
    /// # Errors
    /// Nobody answers.
    fn step(&mut self) -> io::Result<()>;
    /// Takes text.
    fn out(&mut self) -> &mut dyn Write;
}

/// Why playing ended early.
#[derive(Debug)]
pub enum PlayError {
    /// The recording cannot be read.
    Read(io::Error),
    /// The output cannot be written, or nobody answers.
    Stage(io::Error),
}

impl fmt::Display for PlayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "the recording cannot be read: {error}"),
            Self::Stage(error) => write!(f, "output: {error}"),
        }
    }
}

impl std::error::Error for PlayError {}

/// A replay under way.
pub struct Player<'a> {
    session: &'a SessionLog,
    key: &'a Result<SessionKey, KeyError>,
    pace: Pace,
    /// Longer pauses are cut to this.
    pub pause_max: Option<Duration>,
    /// Events as JSON, one per line.
    pub json: bool,
    /// Values in full, however long.
    pub full: bool,
    frames: Frames,
    columns: Vec<Column>,
    copying: Option<bool>,
    rows: Vec<Vec<Option<Vec<u8>>>>,
    rows_bytes: usize,
    widths: Vec<usize>,
    shown_rows: u64,
    at_ns: u64,
    /// Bytes are passed over until a boundary is known.
    lost: bool,
    committed: bool,
    gaps: u64,
}

impl fmt::Debug for Player<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Player").field("pace", &self.pace).finish_non_exhaustive()
    }
}

type Outcome = Result<(), PlayError>;

impl<'a> Player<'a> {
    /// Of a session whose statements are there.
    #[must_use]
    pub fn new(session: &'a SessionLog, key: &'a Result<SessionKey, KeyError>, pace: Pace) -> Self {
        Self {
            session,
            key,
            pace,
            pause_max: None,
            json: false,
            full: false,
            frames: Frames::default(),
            columns: Vec::new(),
            copying: None,
            rows: Vec::new(),
            rows_bytes: 0,
            widths: Vec::new(),
            shown_rows: 0,
            at_ns: 0,
            lost: false,
            committed: true,
            gaps: 0,
        }
    }

    /// Plays all of it; the number of places that could not be read.
    ///
    /// # Errors
    /// The recording or the output.
    pub fn play(mut self, recording: &mut Recording, stage: &mut dyn Stage) -> Result<u64, PlayError> {
        for damage in &recording.damage {
            self.say(stage, "!!", "damage", damage.to_string())?;
        }
        while let Some(piece) = recording.next(self.key.as_ref().ok()).map_err(PlayError::Read)? {
            match piece {
                Piece::Chunk(chunk, committed) => {
                    if self.committed && !committed {
                        let text = format!("the log does not commit to chunk {} and what follows", chunk.header.number);
                        self.say(stage, "!!", "uncommitted", text)?;
                    }
                    self.committed = committed;
                    for event in Events::new(&chunk.plain, chunk.first_ns) {
                        match event {
                            Ok((at_ns, event)) => self.event(stage, at_ns, event)?,
                            Err(error) => self.gap(stage, &format!("chunk {}: {error}", chunk.header.number))?,
                        }
                    }
                }
                Piece::Gap(damage) => self.missing(stage, &damage)?,
            }
        }
        self.flush_rows(stage)?;
        if recording.end.is_empty() {
            let text = "the recording ends without an end: the session is under way, or the gateway crashed";
            self.say(stage, "--", "open", text.to_owned())?;
        }
        stage.out().flush().map_err(PlayError::Stage)?;
        Ok(self.gaps)
    }

    fn missing(&mut self, stage: &mut dyn Stage, damage: &Damage) -> Outcome {
        self.gap(stage, &damage.to_string())
    }

    fn gap(&mut self, stage: &mut dyn Stage, text: &str) -> Outcome {
        self.flush_rows(stage)?;
        self.frames.restart();
        self.lost = true;
        self.gaps += 1;
        self.say(stage, "!!", "gap", format!("cannot be read: {text}"))
    }

    /// A line of ours.
    fn say(&mut self, stage: &mut dyn Stage, mark: &str, kind: &str, text: String) -> Outcome {
        if self.json {
            return self.emit(stage, json!({ "type": kind, "text": text }));
        }
        let at = clock(self.at_ns);
        writeln!(stage.out(), "{mark} {at} {}", printable(text.as_bytes())).map_err(PlayError::Stage)
    }

    fn emit(&self, stage: &mut dyn Stage, mut value: Value) -> Outcome {
        value["at_ms"] = json!(self.at_ns / MS_NS);
        // A JSON writer escapes control characters, but not those that reorder text.
        let line = escape(&value.to_string());
        writeln!(stage.out(), "{line}").map_err(PlayError::Stage)
    }

    fn event(&mut self, stage: &mut dyn Stage, at_ns: u64, event: Event<'_>) -> Outcome {
        self.pass(stage, at_ns)?;
        match event {
            Event::Bytes(_) if self.lost => Ok(()),
            Event::Bytes(bytes) => {
                let mut messages = Vec::new();
                self.frames.push(bytes, |message| messages.push(message));
                messages.into_iter().try_for_each(|message| self.message(stage, message))
            }
            Event::Digest { bytes, digest } => {
                self.say(stage, "  ", "digest", format!("{bytes} bytes were sent, digest {}", hex(&digest)))
            }
            Event::Started { statement } => self.statement(stage, statement, false),
            Event::Refused { statement } => self.statement(stage, statement, true),
            Event::Ended { .. } => {
                // All of an answer is behind: frames begin here.
                if std::mem::take(&mut self.lost) {
                    self.frames.restart();
                }
                self.flush_rows(stage)
            }
            Event::End(reason) => {
                self.flush_rows(stage)?;
                let text = match reason {
                    EndReason::Closed => {
                        let why = self.session.closed.as_ref().map(|(_, why)| why.as_str()).unwrap_or_default();
                        format!("the session ended {why}")
                    }
                    EndReason::Cap => "the recording reached its cap and ends here".to_owned(),
                    EndReason::Disk => "the recording could not be written any more and ends here".to_owned(),
                };
                self.say(stage, "--", "end", text)
            }
        }
    }

    /// Lets the time pass that passed then.
    fn pass(&mut self, stage: &mut dyn Stage, at_ns: u64) -> Outcome {
        let pause = Duration::from_nanos(at_ns.saturating_sub(self.at_ns));
        if let Pace::Times(times) = self.pace {
            let pause = self.pause_max.map_or(pause, |most| pause.min(most)).div_f64(times.max(0.001));
            if pause > Duration::from_millis(1) {
                self.flush_rows(stage)?;
                stage.out().flush().map_err(PlayError::Stage)?;
                stage.wait(pause);
            }
        }
        self.at_ns = self.at_ns.max(at_ns);
        Ok(())
    }

    fn statement(&mut self, stage: &mut dyn Stage, number: u64, refused: bool) -> Outcome {
        self.flush_rows(stage)?;
        if self.pace == Pace::Step {
            stage.out().flush().map_err(PlayError::Stage)?;
            stage.step().map_err(PlayError::Stage)?;
        }
        let known = self.session.statements.get(&number);
        let text = known.map(|statement| statement.text.open(number, self.key));
        let text = match text {
            Some(Ok(Some(text))) => printable(&text),
            Some(Ok(None)) | None => "[the log has no text]".to_owned(),
            Some(Err(error)) => format!("[sealed: {error}]"),
        };
        let rule = known.and_then(|statement| statement.refused.as_ref());
        let masked: Vec<String> = known
            .map(|statement| statement.masked.iter().map(|m| format!("{}:{}", m.column, m.method)).collect())
            .unwrap_or_default();
        if self.json {
            let kind = if refused { "refused" } else { "statement" };
            let mut value = json!({ "type": kind, "statement": number, "text": text, "masked": masked });
            if let Some((code, rule)) = rule {
                value["code"] = json!(code);
                value["rule"] = json!(rule);
            }
            return self.emit(stage, value);
        }
        let verdict = match rule {
            Some((code, rule)) if refused => format!(" REFUSED {code} by {rule}:"),
            _ => String::new(),
        };
        self.say(stage, ">>", "statement", String::new()).and_then(|()| {
            let mut line = format!("   #{number}{} {text}\n", printable(verdict.as_bytes()));
            if !masked.is_empty() {
                line.push_str(&format!("   masked: {}\n", printable(masked.join(", ").as_bytes())));
            }
            stage.out().write_all(line.as_bytes()).map_err(PlayError::Stage)
        })
    }

    fn message(&mut self, stage: &mut dyn Stage, message: Message) -> Outcome {
        match message {
            Message::Columns(columns) => {
                self.flush_rows(stage)?;
                self.begin(columns);
                Ok(())
            }
            Message::Row(row) => {
                self.rows_bytes += row.iter().flatten().map(Vec::len).sum::<usize>() + 32;
                self.rows.push(row);
                if self.rows.len() >= ROWS_TOGETHER || self.rows_bytes >= ROWS_BYTES_MAX {
                    return self.flush_rows(stage);
                }
                Ok(())
            }
            Message::CopyOut { binary } => {
                self.copying = Some(binary);
                Ok(())
            }
            Message::CopyData(data) => self.copy(stage, &data),
            Message::Complete(tag) => {
                self.flush_rows(stage)?;
                self.copying = None;
                // Rows of a statement that was described before come without their columns.
                self.begin(Vec::new());
                self.say(stage, "  ", "complete", printable(&tag))
            }
            Message::Suspended => self.say(stage, "  ", "suspended", "(more rows wait)".to_owned()),
            Message::Empty => self.say(stage, "  ", "complete", "(empty statement)".to_owned()),
            Message::Error(notice) => {
                self.flush_rows(stage)?;
                self.copying = None;
                self.say(stage, "  ", "error", notice.line())
            }
            Message::Notice(notice) => self.say(stage, "  ", "notice", notice.line()),
            Message::Notification(channel, payload) => {
                let text = format!("{}: {}", printable(&channel), printable(&payload));
                self.say(stage, "  ", "notification", text)
            }
            Message::TooLong(_, bytes) => {
                self.flush_rows(stage)?;
                self.say(stage, "  ", "long", format!("(a row of {bytes} bytes, not shown)"))
            }
            Message::Broken => self.gap(stage, "the stream does not consist of frames"),
            Message::Ready(_) | Message::Other(_) => Ok(()),
        }
    }

    fn begin(&mut self, columns: Vec<Column>) {
        self.columns = columns;
        self.widths.clear();
        self.shown_rows = 0;
    }

    fn copy(&mut self, stage: &mut dyn Stage, data: &[u8]) -> Outcome {
        let text = if self.copying == Some(true) {
            format!("\\x{}", hex(data))
        } else {
            printable(data.strip_suffix(b"\n").unwrap_or(data))
        };
        let text = if self.full { text } else { cut(text) };
        if self.json {
            return self.emit(stage, json!({ "type": "copy", "text": text }));
        }
        writeln!(stage.out(), "   {text}").map_err(PlayError::Stage)
    }

    /// Shows the rows that have arrived.
    fn flush_rows(&mut self, stage: &mut dyn Stage) -> Outcome {
        let rows = std::mem::take(&mut self.rows);
        self.rows_bytes = 0;
        let header = self.shown_rows == 0 && self.widths.is_empty() && !self.columns.is_empty();
        if rows.is_empty() {
            return Ok(());
        }
        let names: Vec<String> = self.columns.iter().map(|column| printable(&column.name)).collect();
        let cells: Vec<Vec<Option<String>>> = rows.iter().map(|row| self.cells(row)).collect();
        self.shown_rows += cells.len() as u64;
        if self.json {
            for row in &cells {
                self.emit(stage, json!({ "type": "row", "columns": names, "values": row }))?;
            }
            return Ok(());
        }
        let width = |text: &Option<String>| text.as_ref().map_or(4, |text| text.chars().count());
        for row in &cells {
            self.widths.resize(self.widths.len().max(row.len()), 1);
            for (widest, cell) in self.widths.iter_mut().zip(row) {
                *widest = (*widest).max(width(cell));
            }
        }
        let mut text = String::new();
        if header {
            for (widest, name) in self.widths.iter_mut().zip(&names) {
                *widest = (*widest).max(name.chars().count());
            }
            line(&mut text, &self.widths, names.iter().map(String::as_str), " | ");
            let rules: Vec<String> = self.widths.iter().map(|width| "-".repeat(*width)).collect();
            line(&mut text, &self.widths, rules.iter().map(String::as_str), "-+-");
        }
        for row in &cells {
            line(&mut text, &self.widths, row.iter().map(|cell| cell.as_deref().unwrap_or("NULL")), " | ");
        }
        stage.out().write_all(text.as_bytes()).map_err(PlayError::Stage)
    }

    fn cells(&self, row: &[Option<Vec<u8>>]) -> Vec<Option<String>> {
        let unknown = Column::default();
        let cells = row.iter().enumerate().map(|(i, value)| {
            let column = self.columns.get(i).filter(|_| self.columns.len() == row.len()).unwrap_or(&unknown);
            // A description at Describe says nothing of formats; bytes that are not text are binary.
            let binary = column.binary || value.as_ref().is_some_and(|v| looks_binary(v, column.type_oid));
            let text = value.as_ref().map(|value| cell(value, column.type_oid, binary));
            text.map(|text| if self.full { text } else { cut(text) })
        });
        cells.collect()
    }
}

/// Numbers, dates and the like hold no control characters as text.
fn looks_binary(value: &[u8], type_oid: u32) -> bool {
    let textual = matches!(type_oid, 0 | 18 | 19 | 25 | 114 | 142 | 705 | 1042 | 1043 | 2275);
    !textual && value.iter().any(|byte| *byte < 0x20 || *byte >= 0x7f)
}

fn cut(text: String) -> String {
    match text.char_indices().nth(CELL_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn line<'t>(out: &mut String, widths: &[usize], cells: impl Iterator<Item = &'t str>, between: &str) {
    out.push_str("   ");
    for (i, (cell, width)) in cells.zip(widths).enumerate() {
        if i > 0 {
            out.push_str(between);
        }
        out.push_str(cell);
        out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
    }
    while out.ends_with(' ') {
        out.pop();
    }
    out.push('\n');
}

fn clock(ns: u64) -> String {
    let ms = ns / MS_NS;
    format!("{:02}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// Characters that reorder or hide text, as JSON escapes.
fn escape(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        let shown = printable(c.encode_utf8(&mut [0; 4]).as_bytes());
        if c.is_ascii() || shown.chars().eq([c]) {
            out.push(c);
        } else {
            c.encode_utf16(&mut [0; 2]).iter().for_each(|unit| out.push_str(&format!("\\u{unit:04x}")));
        }
    }
    out
}
