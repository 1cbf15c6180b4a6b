//! A client, a database and a judge around one protocol value; frames of both sides.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use contract::{
    Admitted, Ask, BUFFER_LARGE_BYTES, Buffers, Chunk, Column, CopyFormat, CopyOut, Done, Fault, Format, Judge, Lane,
    Limits, Quoted, Redacted, Redactor, Refusal, Serving as _, Step, Verdict, Via,
};
use postgres::Serve;
use std::cell::Cell;
use std::rc::Rc;

#[derive(Debug)]
pub struct Double;

#[derive(Clone, Debug)]
pub struct Mask {
    pub width: usize,
    pub planned: Vec<u16>,
    pub with: Option<&'static [u8]>,
}

impl Redactor for Mask {
    fn width(&self) -> usize {
        self.width
    }
    fn planned(&self) -> &[u16] {
        &self.planned
    }
    fn redact(&self, _: usize, _: Format, _: &[u8], scratch: &mut Vec<u8>) -> Redacted {
        match self.with {
            None => Redacted::Null,
            Some(bytes) => {
                scratch.clear();
                scratch.extend_from_slice(bytes);
                Redacted::Scratch
            }
        }
    }
    fn grows(&self) -> bool {
        self.with.is_some()
    }
}

impl Judge for Double {
    type Token = Rc<str>;
    type Plan = Mask;
    fn guarded(token: &Rc<str>) -> bool {
        token.contains("secret")
    }
    fn needs_shape(token: &Rc<str>) -> bool {
        !token.contains("allow-all")
    }
    fn moves_names(token: &Rc<str>) -> bool {
        token.starts_with("create")
    }
    fn copies_in(token: &Rc<str>) -> bool {
        token.starts_with("copy") && !token.contains("to stdout")
    }
    fn copies_out(token: &Rc<str>) -> Option<Rc<[CopyOut]>> {
        let mut format = match token.split_once(" to stdout ")?.1.trim_end_matches(" header") {
            "text" => CopyFormat::Text { delimiter: b'\t', null: b"\\N".to_vec(), header: false },
            "binary" => CopyFormat::Binary,
            _ => CopyFormat::Csv {
                delimiter: b',',
                quote: b'"',
                escape: b'"',
                null: Vec::new(),
                header: false,
                quoted: Quoted::Columns(Vec::new()),
            },
        };
        if let CopyFormat::Text { header, .. } | CopyFormat::Csv { header, .. } = &mut format {
            *header = token.ends_with("header");
        }
        Some([CopyOut { part: 0, shape: "select shape".into(), format }].into())
    }
    fn changes_names(token: &Rc<str>) -> bool {
        token.starts_with("deallocate")
    }
    fn metered(token: &Rc<str>) -> bool {
        token.contains("counted")
    }
    fn admit(_: &Rc<str>, _: usize, sizes: &mut dyn Iterator<Item = u64>) -> Admitted {
        LEFT.with(|left| {
            let mut admitted = Admitted::default();
            for bytes in sizes {
                if left.get() == 0 {
                    admitted.cut = Some(Refusal { code: "TG2016", position: None, ..refusal() });
                    break;
                }
                left.set(left.get() - 1);
                admitted.rows += 1;
                admitted.bytes += bytes;
            }
            admitted
        })
    }
}

thread_local! {
    /// Rows that counted statements may still return.
    pub static LEFT: Cell<u64> = const { Cell::new(0) };
}

/// Both ends of a conversation around one protocol value.
pub struct Talk {
    pub serve: Serve<Double>,
    pub down: Lane,
    pub up: Lane,
    pub buffers: Buffers,
    pub to_database: Vec<u8>,
    pub to_client: Vec<u8>,
    pub done: Vec<Done<Double>>,
    pub grow: bool,
    /// The database answers what was not sent to it yet, so that its frames are looked at one by one.
    pub hasty: bool,
    pub fault: Option<Fault>,
    pub goodbye: bool,
}

impl Talk {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        Self {
            serve: Serve::new(limits, Rc::new(|channel: &[u8]| channel == b"open")),
            down: Lane::new(limits.buffer_bytes_max),
            up: Lane::new(limits.buffer_bytes_max),
            buffers: Buffers::default(),
            to_database: Vec::new(),
            to_client: Vec::new(),
            done: Vec::new(),
            grow: false,
            hasty: false,
            fault: None,
            goodbye: false,
        }
    }

    pub fn client(&mut self, bytes: &[u8]) {
        self.feed(bytes, true);
    }

    pub fn database(&mut self, bytes: &[u8]) {
        self.feed(bytes, false);
    }

    pub fn feed(&mut self, mut bytes: &[u8], from_client: bool) {
        while !bytes.is_empty() && self.fault.is_none() {
            let lane = if from_client { &mut self.down } else { &mut self.up };
            let slot = lane.slot(&mut self.buffers);
            let n = slot.len().min(bytes.len());
            if n == 0 {
                // The pipe is full of frames that are blocked: a socket would hold the rest back.
                return;
            }
            slot[..n].copy_from_slice(&bytes[..n]);
            lane.received(n);
            bytes = &bytes[n..];
            if let Err(fault) = self.advance() {
                self.fault = Some(fault);
            }
            let memory = self.down.memory() + self.up.memory();
            assert!(memory <= 6 * BUFFER_LARGE_BYTES, "memory is bounded: {memory}");
        }
    }

    /// As a session does, and its core after it: where neither side is blocked, another turn has to be for nothing.
    pub fn advance(&mut self) -> Result<(), Fault> {
        loop {
            let (moved, blocked) = self.turn()?;
            if !blocked && !self.hasty {
                assert_eq!(self.turn()?, (false, false), "a turn more does something though no bytes came");
                return Ok(());
            }
            if !moved {
                return Ok(());
            }
        }
    }

    /// Each side as far as it goes, then everything that is queued leaves; whether something moved, and a side is blocked.
    fn turn(&mut self) -> Result<(bool, bool), Fault> {
        let (mut moved, mut blocked) = (false, false);
        loop {
            match self.serve.upstream(&mut self.up, &mut self.down)? {
                Step::NeedMore => break,
                Step::Blocked => {
                    blocked = true;
                    break;
                }
                Step::Settled => {}
                Step::Done(done) => self.done.push(done),
                Step::Columns { token, .. } => {
                    let columns = self.serve.columns(&self.up)?;
                    let plan = self.plan(&token, &columns);
                    self.serve.plan(&mut self.up, &mut self.down, plan)?;
                }
                Step::Ask(_) | Step::Goodbye => panic!("not an upstream step"),
            }
            moved = true;
            if self.hasty {
                break;
            }
        }
        while !self.goodbye {
            match self.serve.downstream(&mut self.down, &mut self.up)? {
                Step::NeedMore => break,
                Step::Blocked => {
                    blocked = true;
                    break;
                }
                Step::Settled => {}
                Step::Goodbye => self.goodbye = true,
                Step::Ask(ask) => {
                    let verdict = self.judge(&ask);
                    self.serve.resolve(&mut self.down, &mut self.up, verdict)?;
                }
                Step::Columns { .. } | Step::Done(_) => panic!("not a downstream step"),
            }
            moved = true;
        }
        blocked |= self.serve.has_ended();
        let left = self.to_database.len() + self.to_client.len();
        Self::write(&mut self.down, &mut self.to_database);
        Self::write(&mut self.up, &mut self.to_client);
        Ok((moved || self.to_database.len() + self.to_client.len() > left, blocked))
    }

    pub fn write(lane: &mut Lane, to: &mut Vec<u8>) {
        loop {
            let Chunk::Bytes(bytes) = lane.chunk() else { return };
            let n = bytes.len();
            to.extend_from_slice(bytes);
            lane.written(n);
        }
    }

    pub fn judge(&self, ask: &Ask<Double>) -> Verdict<Double> {
        let text: Rc<str> = match ask {
            Ask::Text(_) => String::from_utf8_lossy(self.serve.text(&self.down)).into(),
            Ask::TextTooLong(_) => return Verdict::Refuse(refusal()),
            Ask::Execute { token, .. } => Rc::clone(token),
        };
        if text.contains("gibberish") {
            return Verdict::Explain(refusal());
        }
        if text.contains("forbidden") {
            return Verdict::Refuse(refusal());
        }
        let number = u64::from(!matches!(ask, Ask::Text(Via::Prepare)));
        Verdict::Forward { token: text, number, now_ns: 1 }
    }

    pub fn plan(&self, token: &str, columns: &[Column]) -> Result<Mask, Refusal> {
        if token.contains("shapeless") {
            return Err(refusal());
        }
        let planned = if token.contains("secret") { vec![1] } else { vec![] };
        Ok(Mask { width: columns.len(), planned, with: self.grow.then_some(&b"a much longer replacement"[..]) })
    }
}

pub fn refusal() -> Refusal {
    Refusal { code: "TG1001", rule: "r".into(), message: "no".into(), hint: Some("ask".into()), position: Some(0) }
}

pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    out.extend_from_slice(&u32::try_from(body.len() + 4).unwrap().to_be_bytes());
    out.extend_from_slice(body);
    out
}

pub fn query(text: &str) -> Vec<u8> {
    frame(b'Q', &[text.as_bytes(), b"\0"].concat())
}

pub fn parse(name: &str, text: &str) -> Vec<u8> {
    frame(b'P', &[name.as_bytes(), b"\0", text.as_bytes(), b"\0\0\0"].concat())
}

pub fn bind(portal: &str, name: &str) -> Vec<u8> {
    frame(
        b'B',
        &[portal.as_bytes(), b"\0", name.as_bytes(), b"\0", &[0, 0, 0, 1, 0, 0, 0, 3], b"abc", &[0, 0]].concat(),
    )
}

pub fn execute(portal: &str) -> Vec<u8> {
    frame(b'E', &[portal.as_bytes(), b"\0\0\0\0\0"].concat())
}

pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    frame(b'D', &[&[kind], name.as_bytes(), b"\0"].concat())
}

pub fn sync() -> Vec<u8> {
    frame(b'S', b"")
}

pub fn description(names: &[&str]) -> Vec<u8> {
    let mut body = u16::try_from(names.len()).unwrap().to_be_bytes().to_vec();
    for (i, name) in names.iter().enumerate() {
        body.extend_from_slice(name.as_bytes());
        body.push(0);
        body.extend_from_slice(&16_384u32.to_be_bytes());
        body.extend_from_slice(&u16::try_from(i + 1).unwrap().to_be_bytes());
        body.extend_from_slice(&25u32.to_be_bytes());
        body.extend_from_slice(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
    }
    frame(b'T', &body)
}

pub fn row(values: &[Option<&[u8]>]) -> Vec<u8> {
    let mut body = u16::try_from(values.len()).unwrap().to_be_bytes().to_vec();
    for value in values {
        match value {
            None => body.extend_from_slice(&(-1i32).to_be_bytes()),
            Some(v) => {
                body.extend_from_slice(&u32::try_from(v.len()).unwrap().to_be_bytes());
                body.extend_from_slice(v);
            }
        }
    }
    frame(b'D', &body)
}

pub fn complete(tag: &str) -> Vec<u8> {
    frame(b'C', &[tag.as_bytes(), b"\0"].concat())
}

pub fn ready(status: u8) -> Vec<u8> {
    frame(b'Z', &[status])
}

pub fn error(state: &str, message: &str) -> Vec<u8> {
    frame(b'E', format!("SERROR\0VERROR\0C{state}\0M{message}\0DKey (ssn)=(123-45-6789) exists.\0\0").as_bytes())
}

pub fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|w| w == needle)
}

pub fn tags(bytes: &[u8]) -> String {
    let (mut at, mut tags) = (0, String::new());
    while at < bytes.len() {
        tags.push(char::from(bytes[at]));
        at += 1 + u32::from_be_bytes(bytes[at + 1..at + 5].try_into().unwrap()) as usize;
    }
    assert_eq!(at, bytes.len(), "whole frames");
    tags
}
