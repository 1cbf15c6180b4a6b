//! A small model of PostgreSQL's side: it reads what reaches it and answers as the manual's message flow has it.
//!
//! What a text does follows from its first word, its shape from its length, so that a prepared statement keeps its shape.
//! Protected columns hold the canary, and so do errors and notices raised while statements run. It deliberately knows no
//! SQL.

use std::collections::{BTreeMap, VecDeque};

use postgres::frame;

use crate::canary::{self, CANARY, TABLE};

/// The model.
#[derive(Debug, Default)]
pub(crate) struct Server {
    input: VecDeque<u8>,
    prepared: BTreeMap<Vec<u8>, Vec<u8>>,
    portals: BTreeMap<Vec<u8>, Portal>,
    /// After an error: ignore everything to Sync.
    failed: bool,
    copying: Option<Copying>,
    /// It ended the connection.
    closed: bool,
    in_transaction: bool,
    /// A statement that reads what is protected ran since the last ReadyForQuery.
    ran: bool,
}

#[derive(Clone, Debug)]
struct Portal {
    text: Vec<u8>,
    formats: Vec<u8>,
    left: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Copying {
    Simple,
    Extended,
}

/// What a text does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Does {
    Rows,
    Nothing,
    Begin,
    End,
    CopyIn,
    CopyOut,
    Command,
    Error,
}

fn does(text: &[u8]) -> Does {
    let text = text.trim_ascii();
    match text {
        b"" => Does::Nothing,
        _ if text.starts_with(b"select") => Does::Rows,
        _ if text.starts_with(b"begin") => Does::Begin,
        _ if text.starts_with(b"commit") => Does::End,
        _ if text.starts_with(b"copy") && text.ends_with(b"stdin") => Does::CopyIn,
        _ if text.starts_with(b"copy") => Does::CopyOut,
        _ if text.starts_with(b"tidegate") => Does::Error,
        _ => Does::Command,
    }
}

/// Columns of a text's result: (table, attribute) each.
fn shape(text: &[u8]) -> Vec<(u32, i16)> {
    let table = if canary::reads(text) { TABLE } else { 0 };
    let count = 1 + text.len() % 5;
    (1_i16..).take(count).map(|i| (if i == 4 { 0 } else { table }, i)).collect()
}

const fn rows(choice: u8) -> usize {
    match choice % 8 {
        0 => 0,
        1 => 1,
        2..=4 => 3,
        5 => 50,
        6 => 300,
        _ => 2000,
    }
}

impl Server {
    /// Bytes that reached it.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        self.input.extend(bytes);
    }

    /// Answers the next frame; `None` when there is no complete one.
    pub(crate) fn answer(&mut self, choice: u8) -> Option<Vec<u8>> {
        if self.closed {
            return None;
        }
        let input = self.input.make_contiguous();
        let &[tag, a, b, c, d] = input.first_chunk::<5>()?;
        let len = (u32::from_be_bytes([a, b, c, d]) as usize).checked_add(1)?;
        if input.len() < len || len < 5 {
            return None;
        }
        let body = input[5..len].to_vec();
        self.input.drain(..len);
        let mut out = Vec::new();
        if let Some(how) = self.copying {
            self.copy_in(how, tag, &mut out);
            return Some(out);
        }
        if self.failed && tag != b'S' {
            return Some(out);
        }
        self.frame(tag, &body, choice, &mut out);
        Some(out)
    }

    fn frame(&mut self, tag: u8, body: &[u8], choice: u8, out: &mut Vec<u8>) {
        let mut strings = body.split(|b| *b == 0);
        let mut string = || strings.next().unwrap_or_default().to_vec();
        match tag {
            b'Q' => self.simple(&string(), choice, out),
            b'P' => {
                let (name, text) = (string(), string());
                if does(&text) == Does::Error || choice == 255 {
                    return self.fail(out, false);
                }
                self.prepared.insert(name, text);
                frame::write(out, b'1', |_| ());
            }
            b'B' => {
                let (portal, name) = (string(), string());
                let Some(text) = self.prepared.get(&name).cloned() else { return self.fail(out, false) };
                let formats = result_formats(&body[(portal.len() + name.len() + 2).min(body.len())..]);
                let left = rows(choice);
                self.portals.insert(portal, Portal { text, formats, left });
                frame::write(out, b'2', |_| ());
            }
            b'D' => self.describe(body, out),
            b'E' => self.execute(&string(), choice, out),
            b'C' => {
                let name = body.get(1..).unwrap_or_default();
                let name = name.strip_suffix(&[0]).unwrap_or(name);
                match body.first() {
                    Some(b'S') => drop(self.prepared.remove(name)),
                    _ => drop(self.portals.remove(name)),
                }
                frame::write(out, b'3', |_| ());
            }
            b'S' => {
                if choice == 254 {
                    error(out, secret(self.ran));
                }
                self.ready(out);
            }
            // Flush, and COPY data that comes too late.
            _ => {}
        }
    }

    fn ready(&mut self, out: &mut Vec<u8>) {
        self.failed = false;
        self.ran = false;
        if !self.in_transaction {
            self.portals.clear();
        }
        let status = if self.in_transaction { b'T' } else { b'I' };
        frame::write(out, b'Z', |b| b.push(status));
    }

    /// An error; what is protected is in it if a statement that reads it was running.
    fn fail(&mut self, out: &mut Vec<u8>, reading: bool) {
        error(out, secret(reading));
        self.failed = true;
    }

    fn simple(&mut self, text: &[u8], choice: u8, out: &mut Vec<u8>) {
        if text.starts_with(b"tidegate") {
            error(out, b"syntax error");
            return self.ready(out);
        }
        let reads = canary::reads(text);
        self.ran |= reads;
        if does(text) == Does::Nothing {
            frame::write(out, b'I', |_| ());
            return self.ready(out);
        }
        for part in text.split(|b| *b == b';') {
            if choice & 0xc0 == 0xc0 {
                error(out, secret(reads));
                return self.ready(out);
            }
            match does(part) {
                Does::Rows => {
                    description(out, part, &[]);
                    data(out, part, &[], rows(choice));
                    complete(out, b"SELECT 1");
                }
                Does::CopyIn => {
                    frame::write(out, b'G', |b| b.extend([0, 0, 0]));
                    self.copying = Some(Copying::Simple);
                    return;
                }
                Does::CopyOut => copy_out(out),
                Does::Begin | Does::End => {
                    self.in_transaction = does(part) == Does::Begin;
                    complete(out, b"BEGIN");
                }
                Does::Nothing | Does::Command | Does::Error => {
                    if choice & 0x80 != 0 {
                        notice(out, reads);
                    }
                    complete(out, b"INSERT 0 1");
                }
            }
        }
        self.ready(out);
    }

    fn describe(&mut self, body: &[u8], out: &mut Vec<u8>) {
        let name = body.get(1..).unwrap_or_default();
        let name = name.strip_suffix(&[0]).unwrap_or(name);
        let (text, formats) = match body.first() {
            Some(b'S') => {
                let Some(text) = self.prepared.get(name).cloned() else { return self.fail(out, false) };
                frame::write(out, b't', |b| b.extend([0, 0]));
                (text, Vec::new())
            }
            _ => {
                let Some(portal) = self.portals.get(name).cloned() else { return self.fail(out, false) };
                (portal.text, portal.formats)
            }
        };
        match does(&text) {
            Does::Rows => description(out, &text, &formats),
            _ => frame::write(out, b'n', |_| ()),
        }
    }

    fn execute(&mut self, name: &[u8], choice: u8, out: &mut Vec<u8>) {
        let Some(portal) = self.portals.get_mut(name) else { return self.fail(out, false) };
        let reads = canary::reads(&portal.text);
        self.ran |= reads;
        if choice & 0xc0 == 0xc0 {
            return self.fail(out, reads);
        }
        match does(&portal.text) {
            Does::Rows => {
                let now = portal.left.min(if choice & 0x20 != 0 { 1 } else { usize::MAX });
                portal.left -= now;
                let left = portal.left;
                data(out, &portal.text, &portal.formats, now);
                if choice & 0x80 != 0 {
                    notice(out, reads);
                }
                match left {
                    0 => complete(out, b"SELECT 1"),
                    _ => frame::write(out, b's', |_| ()),
                }
            }
            Does::Nothing => frame::write(out, b'I', |_| ()),
            Does::CopyIn => {
                frame::write(out, b'G', |b| b.extend([0, 0, 0]));
                self.copying = Some(Copying::Extended);
            }
            Does::CopyOut => copy_out(out),
            Does::Begin | Does::End => {
                self.in_transaction = does(&portal.text) == Does::Begin;
                complete(out, b"BEGIN");
            }
            Does::Command | Does::Error => complete(out, b"INSERT 0 1"),
        }
    }

    fn copy_in(&mut self, how: Copying, tag: u8, out: &mut Vec<u8>) {
        match tag {
            b'd' | b'H' | b'S' => return,
            b'c' => complete(out, b"COPY 1"),
            b'f' => error(out, secret(false)),
            // It has not read the rest of that message: it cannot go on.
            _ => {
                frame::write(out, b'E', |b| fields(b, b"FATAL", secret(false)));
                self.closed = true;
                return;
            }
        }
        self.copying = None;
        match (how, tag) {
            (Copying::Simple, _) => self.ready(out),
            (Copying::Extended, b'c') => {}
            (Copying::Extended, _) => self.failed = true,
        }
    }
}

fn result_formats(rest: &[u8]) -> Vec<u8> {
    let u16_at = |at: usize| rest.get(at..at + 2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])));
    let read = || -> Option<Vec<u8>> {
        let mut at = 2 + 2 * u16_at(0)?;
        let values = u16_at(at)?;
        at += 2;
        for _ in 0..values {
            let len = rest.get(at..at + 4)?;
            let len = i32::from_be_bytes([len[0], len[1], len[2], len[3]]);
            at += 4 + usize::try_from(len).unwrap_or(0);
        }
        let count = u16_at(at)?;
        (0..count).map(|i| u8::try_from(u16_at(at + 2 + 2 * i)?).ok()).collect()
    };
    read().unwrap_or_default()
}

fn format_of(formats: &[u8], column: usize) -> u8 {
    match formats {
        [] => 0,
        [all] => *all,
        each => each.get(column).copied().unwrap_or(0),
    }
}

fn description(out: &mut Vec<u8>, text: &[u8], formats: &[u8]) {
    let columns = shape(text);
    frame::write(out, b'T', |b| {
        b.extend(u16::try_from(columns.len()).unwrap_or(0).to_be_bytes());
        for (i, (table, attribute)) in columns.iter().enumerate() {
            b.extend(b"column\0");
            b.extend(table.to_be_bytes());
            b.extend(attribute.to_be_bytes());
            b.extend(25_u32.to_be_bytes());
            b.extend((-1_i16).to_be_bytes());
            b.extend((-1_i32).to_be_bytes());
            b.extend(u16::from(format_of(formats, i)).to_be_bytes());
        }
    });
}

fn data(out: &mut Vec<u8>, text: &[u8], _formats: &[u8], rows: usize) {
    let columns = shape(text);
    for row in 0..rows {
        frame::write(out, b'D', |b| {
            b.extend(u16::try_from(columns.len()).unwrap_or(0).to_be_bytes());
            for (table, attribute) in &columns {
                let value: &[u8] = match (canary::protected(*table, *attribute), row % 7) {
                    (_, 6) => {
                        b.extend((-1_i32).to_be_bytes());
                        continue;
                    }
                    (true, _) => CANARY,
                    (false, 5) => b"",
                    (false, _) => b"a plain value",
                };
                b.extend(u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
                b.extend(value);
            }
        });
    }
}

fn copy_out(out: &mut Vec<u8>) {
    frame::write(out, b'H', |b| b.extend([0, 0, 0]));
    frame::write(out, b'd', |b| b.extend(CANARY));
    frame::write(out, b'c', |_| ());
    complete(out, b"COPY 1");
}

fn complete(out: &mut Vec<u8>, tag: &[u8]) {
    frame::write(out, b'C', |b| frame::text(b, tag));
}

fn error(out: &mut Vec<u8>, message: &[u8]) {
    frame::write(out, b'E', |b| fields(b, b"ERROR", message));
}

fn notice(out: &mut Vec<u8>, reading: bool) {
    frame::write(out, b'N', |b| fields(b, b"WARNING", secret(reading)));
}

const fn secret(reading: bool) -> &'static [u8] {
    if reading { CANARY } else { b"nothing of interest" }
}

fn fields(b: &mut Vec<u8>, severity: &[u8], message: &[u8]) {
    for (field, value) in [(b'S', severity), (b'V', severity), (b'C', b"22P02"), (b'M', message), (b'D', message)] {
        b.push(field);
        frame::text(b, value);
    }
    b.push(0);
}
