//! A CopyData frame longer than the largest buffer, on its way through.
//!
//! Invariants: the frame keeps its length, so every byte of a planned field that could be data becomes fill; field
//! boundaries and NULL stay. A step looks at most one byte, or one word for NULL, ahead of what it settles.
//! Deliberately absent: redaction by rule, which needs the whole value.

use super::copy_rows::{MALFORMED, binary_header};
use crate::frame::HEADER_BYTES;
use contract::{CopyFormat, Fault, Lane, Redactor};

/// Where in the frame the next byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// Before the tag.
    Frame,
    /// Before the binary signature.
    Signature,
    /// Before the number of fields of a tuple.
    Count,
    /// Before the length of a field.
    Length,
    /// In a binary value of so many bytes more.
    Value { left: usize, fill: bool },
    /// Before a field of a line.
    Field,
    /// In a field of a line.
    Inside { fill: bool, quoted: bool },
    /// After a field of a line.
    After,
}

/// How far it is.
#[derive(Debug)]
pub(super) struct Giant {
    /// Bytes of the frame not settled yet.
    left: usize,
    at: At,
    /// Fields begun, of the present row.
    column: usize,
    format: CopyFormat,
    signature: bool,
    ended: bool,
}

impl Giant {
    pub(super) fn new(len: usize, format: &CopyFormat, signature: bool) -> Self {
        Self { left: len, at: At::Frame, column: 0, format: format.clone(), signature, ended: false }
    }

    /// The end of binary data was in it.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    fn pass(&mut self, up: &mut Lane, n: usize) {
        up.pass(n);
        self.left -= n;
    }

    /// Settles what has arrived; true when the frame is complete.
    pub(super) fn step<R: Redactor>(&mut self, up: &mut Lane, plan: &R) -> Result<bool, Fault> {
        if self.at == At::Frame {
            if up.input().len() < HEADER_BYTES {
                return Ok(false);
            }
            self.pass(up, HEADER_BYTES);
            self.at = match self.format {
                CopyFormat::Binary if self.signature => At::Signature,
                CopyFormat::Binary => At::Count,
                CopyFormat::Text { .. } | CopyFormat::Csv { .. } => At::Field,
            };
        }
        match self.format {
            CopyFormat::Binary => self.binary(up, plan),
            CopyFormat::Text { .. } | CopyFormat::Csv { .. } => self.line(up, plan),
        }
    }

    fn planned<R: Redactor>(&self, plan: &R) -> bool {
        u16::try_from(self.column).is_ok_and(|column| plan.planned().contains(&column))
    }

    fn binary<R: Redactor>(&mut self, up: &mut Lane, plan: &R) -> Result<bool, Fault> {
        loop {
            let here = up.input().len().min(self.left);
            let input = &up.input()[..here];
            let wants = |n: usize| if self.left < n { Err(MALFORMED) } else { Ok(false) };
            match self.at {
                At::Signature => match binary_header(input).ok_or(MALFORMED)? {
                    None => return if here == self.left { Err(MALFORMED) } else { Ok(false) },
                    Some(len) => {
                        self.pass(up, len);
                        self.at = At::Count;
                    }
                },
                At::Count if self.left == 0 => return Ok(true),
                At::Count => {
                    let Some(&[a, b]) = input.first_chunk::<2>() else { return wants(2) };
                    match i16::from_be_bytes([a, b]) {
                        -1 if self.left == 2 => self.ended = true,
                        n if usize::try_from(n) == Ok(plan.width()) && n > 0 => {
                            self.column = 0;
                            self.at = At::Length;
                        }
                        _ => return Err(MALFORMED),
                    }
                    self.pass(up, 2);
                }
                At::Length if self.column == plan.width() => self.at = At::Count,
                At::Length => {
                    let Some(length) = input.first_chunk::<4>() else { return wants(4) };
                    let left = match i32::from_be_bytes(*length) {
                        -1 => 0,
                        n => usize::try_from(n).map_err(|_| MALFORMED)?,
                    };
                    if left > self.left - 4 {
                        return Err(MALFORMED);
                    }
                    let fill = self.planned(plan);
                    self.pass(up, 4);
                    self.column += 1;
                    self.at = At::Value { left, fill };
                }
                At::Value { left: 0, .. } => self.at = At::Length,
                At::Value { left, fill } => {
                    let n = left.min(here);
                    if n == 0 {
                        return Ok(false);
                    }
                    if fill {
                        up.input_mut()[..n].fill(0);
                    }
                    self.pass(up, n);
                    self.at = At::Value { left: left - n, fill };
                }
                At::Frame | At::Field | At::Inside { .. } | At::After => return Err(MALFORMED),
            }
        }
    }

    fn line<R: Redactor>(&mut self, up: &mut Lane, plan: &R) -> Result<bool, Fault> {
        let (delimiter, null, quotes) = match &self.format {
            CopyFormat::Text { delimiter, null, .. } => (*delimiter, null.clone(), None),
            CopyFormat::Csv { delimiter, null, quote, escape, .. } => {
                (*delimiter, null.clone(), Some((*quote, *escape)))
            }
            CopyFormat::Binary => return Err(MALFORMED),
        };
        let (quote, escape) = quotes.unwrap_or((b'\\', b'\\'));
        let free = |b: &&u8| ![delimiter, quote, escape].contains(*b);
        let filler = b"*#xX".iter().find(free).copied().unwrap_or(b'*');
        loop {
            let here = up.input().len().min(self.left);
            let last = here == self.left;
            let input = &up.input()[..here];
            match self.at {
                At::Field => {
                    // Enough to tell NULL from a value that begins like it.
                    if here <= null.len() && !last {
                        return Ok(false);
                    }
                    let behind = input.get(null.len()).copied();
                    let end = behind == Some(delimiter) || (behind == Some(b'\n') && self.left == null.len() + 1);
                    let is_null = input.starts_with(&null) && end;
                    let fill = self.planned(plan) && !is_null;
                    self.column += 1;
                    let quoted = quotes.is_some() && input.first() == Some(&quote);
                    if quoted {
                        self.pass(up, 1);
                    }
                    self.at = At::Inside { fill, quoted };
                }
                At::Inside { fill, quoted } => {
                    let (mut n, mut over) = (0, false);
                    let bytes = &mut up.input_mut()[..here];
                    while n < here {
                        let pair = match quotes {
                            None => bytes[n] == b'\\',
                            Some(_) => {
                                quoted
                                    && bytes[n] == escape
                                    && bytes.get(n + 1).is_some_and(|next| *next == quote || *next == escape)
                            }
                        };
                        let needs_next = bytes[n] == escape && (quotes.is_none() || quoted);
                        if needs_next && n + 1 == here && !last {
                            break;
                        }
                        let end = if quoted {
                            bytes[n] == quote && !pair
                        } else {
                            !pair && (bytes[n] == delimiter || (last && n + 1 == here))
                        };
                        if end {
                            over = true;
                            break;
                        }
                        if !quoted && bytes[n] == b'\n' {
                            return Err(MALFORMED);
                        }
                        let taken = 1 + usize::from(pair);
                        let Some(some) = bytes.get_mut(n..n + taken) else { return Err(MALFORMED) };
                        if fill {
                            some.fill(filler);
                        }
                        n += taken;
                    }
                    let waits = n == 0 && !over;
                    if over {
                        n += usize::from(quoted);
                        self.at = At::After;
                    }
                    self.pass(up, n);
                    if waits {
                        return if last { Err(MALFORMED) } else { Ok(false) };
                    }
                }
                At::After => match input.first() {
                    None => return if last { Err(MALFORMED) } else { Ok(false) },
                    Some(b'\n') if self.left == 1 => {
                        if self.column != plan.width() {
                            return Err(MALFORMED);
                        }
                        self.pass(up, 1);
                        return Ok(true);
                    }
                    Some(b) if *b == delimiter && self.column < plan.width() => {
                        self.pass(up, 1);
                        self.at = At::Field;
                    }
                    Some(_) => return Err(MALFORMED),
                },
                At::Frame | At::Signature | At::Count | At::Length | At::Value { .. } => return Err(MALFORMED),
            }
        }
    }
}
