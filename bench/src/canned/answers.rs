//! What a real server answered, kept.
//!
//! A statement is known by the text before its first parameter, so that `… where aid = $1` also stands for
//! `… where aid = 4711`. A long answer is kept as a block of its first rows, which is sent again until there are as many
//! rows as wanted.

use std::rc::Rc;

use bytes::BytesMut;
use postgres::{frame, scram::Verifier};
use postgres_protocol::{IsNull, message::frontend};

use crate::{
    failure::{Doing, Result},
    wire::{Client, Login, error_text},
};

/// Rows of a block. About 6.5 MB of the harness's rows: more than a processor keeps in its nearer caches.
pub const BLOCK_ROWS: u64 = 20_000;
/// An answer of more rows than this is a bulk read.
const SMALL_ROWS: u64 = 1_000;

/// A reply in one format.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    /// RowDescription or CopyOutResponse.
    pub(crate) shape: Vec<u8>,
    pub(crate) rows: Rc<[u8]>,
    pub(crate) times: u64,
    /// CopyDone, CommandComplete.
    pub(crate) end: Vec<u8>,
}

#[derive(Debug)]
struct Known {
    before: String,
    exact: bool,
    simple: Option<Reply>,
    /// ParameterDescription and RowDescription.
    described: Option<Vec<u8>>,
    text: Option<Reply>,
    binary: Option<Reply>,
}

/// The statements that are answered, and where answers come from.
#[derive(Debug)]
pub struct Answers {
    upstream: Login,
    rows: u64,
    known: Vec<Known>,
    /// ParameterStatus frames of the real server.
    pub(crate) parameters: Vec<u8>,
    /// Clients must know this password; without, everybody is let in.
    pub(crate) verifier: Option<Verifier>,
}

impl Answers {
    /// Answers to `statements`, long ones with `rows` rows.
    ///
    /// # Errors
    /// The real server cannot be reached.
    pub fn new(upstream: Login, statements: &[String], rows: u64, verifier: Option<Verifier>) -> Result<Self> {
        let client = Client::login(&upstream)?;
        let known = statements.iter().map(|text| {
            let before = text.split('$').next().unwrap_or_default();
            Known {
                before: before.to_owned(),
                exact: before.len() == text.len(),
                simple: None,
                described: None,
                text: None,
                binary: None,
            }
        });
        Ok(Self { upstream, rows, known: known.collect(), parameters: client.parameters, verifier })
    }

    /// Which statement a text is, if it is a known one.
    pub(crate) fn find(&self, text: &[u8]) -> Option<usize> {
        let text = text.trim_ascii_end();
        let text = text.strip_suffix(b";").unwrap_or(text).trim_ascii();
        self.known.iter().position(|known| {
            let before = known.before.as_bytes();
            if known.exact { text == before } else { text.starts_with(before) }
        })
    }

    /// A session on the real server.
    pub(crate) fn relay(&self, database: &str) -> Result<Client> {
        Client::login(&self.upstream.on(database))
    }

    /// The answer to a simple query.
    pub(crate) fn simple(&mut self, which: usize, text: &[u8]) -> Result<&Reply> {
        if self.known[which].simple.is_none() {
            let mut out = BytesMut::new();
            frontend::query(std::str::from_utf8(text).doing("read a statement")?, &mut out).doing("write a query")?;
            let reply = self.capture(&out)?.reply(self.rows)?;
            self.known[which].simple = Some(reply);
        }
        self.known[which].simple.as_ref().ok_or_else(|| "no answer".into())
    }

    /// ParameterDescription and RowDescription.
    pub(crate) fn described(&mut self, which: usize, text: &[u8]) -> Result<&[u8]> {
        self.prepare(which, text)?;
        self.known[which].described.as_deref().ok_or_else(|| "no description".into())
    }

    /// The answer to an execution.
    pub(crate) fn extended(&mut self, which: usize, text: &[u8], binary: bool) -> Result<&Reply> {
        self.prepare(which, text)?;
        let known = &self.known[which];
        if binary { known.binary.as_ref() } else { known.text.as_ref() }.ok_or_else(|| "no answer".into())
    }

    fn prepare(&mut self, which: usize, text: &[u8]) -> Result<()> {
        if self.known[which].described.is_some() {
            return Ok(());
        }
        let text = std::str::from_utf8(text).doing("read a statement")?;
        let mut out = BytesMut::new();
        frontend::parse("", text, [], &mut out).doing("write a statement")?;
        frontend::describe(b'S', "", &mut out).doing("write a statement")?;
        frontend::sync(&mut out);
        let shape = self.capture(&out)?;
        let replies = [0, 1].map(|format| {
            let mut out = BytesMut::new();
            frontend::parse("", text, [], &mut out).doing("write a statement")?;
            let ones = std::iter::repeat_n((), shape.parameters);
            let value = |(), out: &mut BytesMut| {
                out.extend_from_slice(b"1");
                Ok(IsNull::No)
            };
            frontend::bind("", "", [], ones, value, [format], &mut out).map_err(|_| "cannot write a statement")?;
            frontend::describe(b'P', "", &mut out).doing("write a statement")?;
            frontend::execute("", 0, &mut out).doing("write a statement")?;
            frontend::sync(&mut out);
            self.capture(&out)?.reply(self.rows)
        });
        let [text, binary] = replies;
        let known = &mut self.known[which];
        (known.text, known.binary) = (Some(text?), Some(binary?));
        known.described = Some([shape.types, shape.shape].concat());
        Ok(())
    }

    /// Sends frames to the real server and sorts what comes back.
    fn capture(&self, request: &[u8]) -> Result<Captured> {
        let mut client = Client::login(&self.upstream)?;
        client.send(request)?;
        let mut captured = Captured::default();
        loop {
            let (tag, body) = client.frame()?;
            let put = |out: &mut Vec<u8>| frame::write(out, tag, |b| b.extend_from_slice(&body));
            match tag {
                b't' => {
                    let count = body.first_chunk::<2>().map_or(0, |count| u16::from_be_bytes(*count));
                    captured.parameters = usize::from(count);
                    put(&mut captured.types);
                }
                b'T' | b'H' | b'n' => put(&mut captured.shape),
                b'D' | b'd' => {
                    captured.copy = tag == b'd';
                    captured.all += 1;
                    if captured.all <= BLOCK_ROWS {
                        put(&mut captured.rows);
                    }
                }
                b'c' | b'C' => put(&mut captured.end),
                b'E' => return Err(format!("a statement to be answered fails: {}", error_text(&body)).into()),
                b'Z' => return Ok(captured),
                _ => {}
            }
        }
    }
}

#[derive(Debug, Default)]
struct Captured {
    parameters: usize,
    types: Vec<u8>,
    shape: Vec<u8>,
    rows: Vec<u8>,
    /// Rows that came, kept or not.
    all: u64,
    copy: bool,
    end: Vec<u8>,
}

impl Captured {
    fn reply(self, wanted: u64) -> Result<Reply> {
        if self.all <= SMALL_ROWS {
            return Ok(Reply { shape: self.shape, rows: self.rows.into(), times: 1, end: self.end });
        }
        let block = self.all.min(BLOCK_ROWS);
        let times = (wanted / block).max(1);
        let mut end = Vec::new();
        if self.copy {
            frame::write(&mut end, b'c', |_| ());
        }
        let tag = format!("{} {}", if self.copy { "COPY" } else { "SELECT" }, block * times);
        frame::write(&mut end, b'C', |b| frame::text(b, tag.as_bytes()));
        Ok(Reply { shape: self.shape, rows: self.rows.into(), times, end })
    }
}
