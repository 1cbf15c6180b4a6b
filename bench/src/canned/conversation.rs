//! The server's side of one session: login, and an answer for each frame.
//!
//! Frames are answered in order; a batch with a statement that is not known goes on to the real server from there to its
//! Sync. What poolers say to clean a session up (SET, RESET, DISCARD, DEALLOCATE) is agreed to.

use std::collections::HashMap;

use postgres::{
    frame,
    scram::{self, Mechanism},
};

use super::{Answers, Output};
use crate::{
    failure::{Doing, Result},
    wire::Client,
};

const PROTOCOL_3: u32 = 3 << 16;
const CANCEL: u32 = 80_877_102;
const TLS: u32 = 80_877_103;
const GSS: u32 = 80_877_104;

enum Phase {
    Startup,
    /// AuthenticationSASL is out.
    First(Box<scram::Server>),
    /// The server's first message is out.
    Final(Box<scram::Server>),
    Open,
}

#[derive(Clone, Debug)]
struct Portal {
    statement: usize,
    text: Vec<u8>,
    binary: bool,
}

/// One session.
pub(crate) struct Conversation {
    id: u32,
    phase: Phase,
    input: Vec<u8>,
    pub(crate) out: Output,
    database: String,
    /// By name: which of the known statements, and its text.
    statements: HashMap<Vec<u8>, (usize, Vec<u8>)>,
    portals: HashMap<Vec<u8>, Portal>,
    relay: Option<Client>,
    /// Frames for the real server whose batch is not complete.
    batch: Vec<u8>,
    /// Replies that the batch will have, each ending one frame of it.
    owed: usize,
    /// The real server has frames of a batch and not its Sync.
    unsynced: bool,
    status: u8,
}

/// Reads fields of a body.
#[derive(Debug)]
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or("a frame is too short")?;
        self.0 = rest;
        Ok(taken)
    }

    fn text(&mut self) -> Result<&'a [u8]> {
        let end = self.0.iter().position(|b| *b == 0).ok_or("a text in a frame has no end")?;
        let text = self.take(end)?;
        self.take(1)?;
        Ok(text)
    }

    fn u16(&mut self) -> Result<usize> {
        let bytes = self.take(2)?;
        Ok(usize::from(bytes[0]) << 8 | usize::from(bytes[1]))
    }
}

impl Conversation {
    pub(crate) fn new(id: u32) -> Self {
        Self {
            id,
            phase: Phase::Startup,
            input: Vec::new(),
            out: Output::default(),
            database: String::new(),
            statements: HashMap::new(),
            portals: HashMap::new(),
            relay: None,
            batch: Vec::new(),
            owed: 0,
            unsynced: false,
            status: b'I',
        }
    }

    /// Takes bytes and queues what they are answered with. False: the session is over.
    pub(crate) fn input(&mut self, bytes: &[u8], answers: &mut Answers) -> Result<bool> {
        self.input.extend_from_slice(bytes);
        let input = std::mem::take(&mut self.input);
        let mut rest = &input[..];
        let mut open = true;
        while open {
            let header = if matches!(self.phase, Phase::Startup) { 0 } else { 1 };
            let Some(length) = rest.get(header..header + 4).and_then(|l| l.first_chunk::<4>()) else { break };
            let length = u32::from_be_bytes(*length) as usize;
            if length < 4 {
                return Err("a frame of an impossible length".into());
            }
            let Some((whole, after)) = rest.split_at_checked(header + length) else { break };
            let body = &whole[header + 4..];
            open = match header {
                0 => self.startup(body, answers)?,
                _ => self.frame(whole[0], body, answers)?,
            };
            rest = after;
        }
        // Idle sessions keep nothing.
        self.input = if rest.is_empty() { Vec::new() } else { rest.to_vec() };
        Ok(open)
    }

    fn put(&mut self, tag: u8, body: &[u8]) {
        frame::write(self.out.bytes(), tag, |b| b.extend_from_slice(body));
    }

    fn startup(&mut self, body: &[u8], answers: &Answers) -> Result<bool> {
        let mut fields = Fields(body);
        let code = fields.take(4)?;
        match u32::from_be_bytes([code[0], code[1], code[2], code[3]]) {
            TLS | GSS => {
                self.out.bytes().push(b'N');
                return Ok(true);
            }
            CANCEL => return Ok(false),
            PROTOCOL_3 => {}
            _ => return Err("a startup frame of an unknown version".into()),
        }
        loop {
            let name = fields.text()?;
            if name.is_empty() {
                break;
            }
            let value = fields.text()?;
            if name == b"database" || name == b"user" && self.database.is_empty() {
                self.database = String::from_utf8_lossy(value).into_owned();
            }
        }
        match &answers.verifier {
            Some(verifier) => {
                let mut nonce = [0; 18];
                getrandom::fill(&mut nonce).doing("draw a nonce")?;
                self.phase = Phase::First(Box::new(scram::Server::new(verifier.clone(), nonce, None)));
                self.put(b'R', &[&[0, 0, 0, 10], Mechanism::list(false)].concat());
            }
            None => self.welcome(answers),
        }
        Ok(true)
    }

    fn welcome(&mut self, answers: &Answers) {
        self.phase = Phase::Open;
        self.put(b'R', &[0, 0, 0, 0]);
        self.out.bytes().extend_from_slice(&answers.parameters);
        let key = [self.id.wrapping_add(1).to_be_bytes(), [7; 4]].concat();
        self.put(b'K', &key);
        self.put(b'Z', b"I");
    }

    fn password(&mut self, body: &[u8], answers: &Answers) -> Result<()> {
        match std::mem::replace(&mut self.phase, Phase::Startup) {
            Phase::First(mut server) => {
                let mut fields = Fields(body);
                let mechanism = fields.text()?;
                fields.take(4)?;
                let reply = server.client_first(mechanism, fields.0).doing("let a client in")?;
                self.put(b'R', &[&[0, 0, 0, 11], &reply[..]].concat());
                self.phase = Phase::Final(server);
            }
            Phase::Final(mut server) => {
                let reply = server.client_final(body).doing("let a client in")?;
                self.put(b'R', &[&[0, 0, 0, 12], &reply[..]].concat());
                self.welcome(answers);
            }
            _ => return Err("a password that was not asked for".into()),
        }
        Ok(())
    }

    fn frame(&mut self, tag: u8, body: &[u8], answers: &mut Answers) -> Result<bool> {
        if !matches!(self.phase, Phase::Open) {
            self.password(body, answers)?;
            return Ok(true);
        }
        if tag == b'X' {
            return Ok(false);
        }
        let theirs = !self.batch.is_empty() || self.unsynced && tag == b'S';
        if theirs || !self.known(tag, body, answers)? {
            self.pass_on(tag, body, answers)?;
        }
        Ok(true)
    }

    /// Answers a frame, if it is about something known.
    fn known(&mut self, tag: u8, body: &[u8], answers: &mut Answers) -> Result<bool> {
        let mut fields = Fields(body);
        match tag {
            b'Q' => {
                let text = fields.text()?;
                if let Some(which) = answers.find(text) {
                    let reply = answers.simple(which, text)?;
                    self.out.bytes().extend_from_slice(&reply.shape);
                    self.out.rows(&reply.rows, reply.times);
                    self.out.bytes().extend_from_slice(&reply.end);
                } else if text.trim_ascii().is_empty() {
                    self.put(b'I', b"");
                } else if !self.agree(text) {
                    return Ok(false);
                }
                self.put(b'Z', &[self.status]);
            }
            b'P' => {
                let (name, text) = (fields.text()?, fields.text()?);
                let Some(which) = answers.find(text) else {
                    self.statements.remove(name);
                    return Ok(false);
                };
                self.statements.insert(name.to_vec(), (which, text.to_vec()));
                self.put(b'1', b"");
            }
            b'B' => {
                let (portal, name) = (fields.text()?, fields.text()?);
                let Some((statement, text)) = self.statements.get(name).cloned() else {
                    self.portals.remove(portal);
                    return Ok(false);
                };
                let formats = fields.u16()?;
                fields.take(formats * 2)?;
                for _ in 0..fields.u16()? {
                    let length = fields.take(4)?;
                    let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
                    fields.take(usize::try_from(length).unwrap_or(0))?;
                }
                let results = fields.u16()?;
                let binary = results > 0 && fields.u16()? == 1;
                self.portals.insert(portal.to_vec(), Portal { statement, text, binary });
                self.put(b'2', b"");
            }
            b'D' => {
                let (kind, name) = (fields.take(1)?, fields.text()?);
                if kind == b"S" {
                    let Some((which, text)) = self.statements.get(name) else { return Ok(false) };
                    self.out.bytes().extend_from_slice(answers.described(*which, text)?);
                } else {
                    let Some(portal) = self.portals.get(name) else { return Ok(false) };
                    let reply = answers.extended(portal.statement, &portal.text, portal.binary)?;
                    self.out.bytes().extend_from_slice(&reply.shape);
                }
            }
            b'E' => {
                let Some(portal) = self.portals.get(fields.text()?) else { return Ok(false) };
                let reply = answers.extended(portal.statement, &portal.text, portal.binary)?;
                self.out.rows(&reply.rows, reply.times);
                self.out.bytes().extend_from_slice(&reply.end);
            }
            b'C' => {
                let (kind, name) = (fields.take(1)?, fields.text()?);
                let ours = match kind {
                    b"S" => self.statements.remove(name).is_some(),
                    _ => self.portals.remove(name).is_some(),
                };
                if !ours && self.relay.is_some() {
                    return Ok(false);
                }
                self.put(b'3', b"");
            }
            b'H' => {}
            b'S' => {
                self.portals.clear();
                self.put(b'Z', &[self.status]);
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Agrees to statements that only set the session up or clean it; several may come in one text.
    fn agree(&mut self, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text).into_owned();
        let parts: Vec<&str> = text.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
        let word = |part: &str| part.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if !parts.iter().all(|part| matches!(word(part).as_str(), "SET" | "RESET" | "DISCARD" | "DEALLOCATE")) {
            return false;
        }
        for part in parts {
            let word = word(part);
            if word == "DEALLOCATE" || word == "DISCARD" {
                self.statements.clear();
            }
            if let Some((name, value)) = setting(part) {
                // Poolers keep what the server reports; one that is not told would set it again and again.
                self.put(b'S', &[name.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
            }
            let done = match word.as_str() {
                "DISCARD" | "DEALLOCATE" => format!("{word} ALL\0"),
                _ => format!("{word}\0"),
            };
            self.put(b'C', done.as_bytes());
        }
        true
    }

    /// Gives a frame to the real server, and fetches its answers when it will give them.
    fn pass_on(&mut self, tag: u8, body: &[u8], answers: &Answers) -> Result<()> {
        frame::write(&mut self.batch, tag, |b| b.extend_from_slice(body));
        self.owed += usize::from(matches!(tag, b'P' | b'B' | b'D' | b'E' | b'C'));
        let until_ready = match tag {
            b'Q' | b'S' => true,
            b'H' => false,
            _ => return Ok(()),
        };
        if self.relay.is_none() {
            self.relay = Some(answers.relay(&self.database)?);
        }
        let Some(relay) = &mut self.relay else { return Ok(()) };
        relay.send(&self.batch)?;
        self.batch.clear();
        let mut owed = std::mem::take(&mut self.owed);
        self.unsynced = !until_ready;
        while until_ready || owed > 0 {
            let (tag, body) = relay.frame()?;
            frame::write(self.out.bytes(), tag, |b| b.extend_from_slice(&body));
            match tag {
                b'Z' => {
                    self.status = body.first().copied().unwrap_or(b'I');
                    break;
                }
                b'G' => return Err("COPY to the server is not something this server relays".into()),
                // After an error nothing comes before the client's Sync.
                b'E' if !until_ready => break,
                b'1' | b'2' | b'3' | b'T' | b'n' | b'C' | b'I' | b's' => owed = owed.saturating_sub(1),
                _ => {}
            }
        }
        Ok(())
    }
}

/// Name and value of a SET whose value servers report.
fn setting(text: &str) -> Option<(&'static str, String)> {
    const REPORTED: &[&str] = &[
        "application_name",
        "client_encoding",
        "DateStyle",
        "TimeZone",
        "standard_conforming_strings",
        "IntervalStyle",
    ];
    let rest = text.get(..4).filter(|word| word.eq_ignore_ascii_case("set ")).map(|_| &text[4..])?;
    let (name, value) = match rest.split_once('=') {
        Some(parts) => parts,
        None => rest.split_once(" TO ").or_else(|| rest.split_once(" to "))?,
    };
    let name = name.trim().trim_start_matches("SESSION ").trim_matches('"');
    let known = REPORTED.iter().find(|known| known.eq_ignore_ascii_case(name))?;
    Some((known, value.trim().trim_matches('\'').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_servers_report_are_reported() {
        let some = |name, value: &str| Some((name, value.to_owned()));
        assert_eq!(setting("SET application_name='load'"), some("application_name", "load"));
        assert_eq!(setting("set datestyle to 'ISO, MDY'"), some("DateStyle", "ISO, MDY"));
        assert_eq!(setting("SET work_mem = '1MB'"), None);
        assert_eq!(setting("RESET application_name"), None);
    }

    #[test]
    fn what_cleans_a_session_is_agreed_to_and_nothing_else() {
        let mut conversation = Conversation::new(1);
        assert!(conversation.agree(b"SET client_encoding = 'UTF8'; DISCARD ALL;"));
        let out = std::mem::take(conversation.out.bytes());
        assert!(out.ends_with(b"C\0\0\0\x10DISCARD ALL\0"), "{:?}", String::from_utf8_lossy(&out));
        assert!(out.starts_with(b"S"));
        assert!(!conversation.agree(b"set x = 1; select 1"));
        assert!(!conversation.agree(b"select 1"));
    }
}
