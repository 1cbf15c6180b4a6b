//! Bind, walked as it arrives (manual: Message Formats, Bind), so that a parameter of a gigabyte streams.
//!
//! ```text
//! portal\0 statement\0  i16 n, n × i16 format  i16 m, m × (i32 length, bytes)  i16 r, r × i16 result format
//! └──── prefix, whole in the buffer ────┘└────────────── walked, passed on as it comes ────────────────────┘
//! ```
//!
//! Invariant: the walk ends exactly at the frame's end, or it is a fault; result formats are known when it ends.

use super::{Formats, Portal, Prepared, Shared};
use contract::{Fault, Format, Judge, Lane};
use sha2::{Digest as _, Sha256};
use std::cell::Cell;
use std::rc::Rc;

const MALFORMED: Fault = Fault::downstream("invalid message format in Bind");

/// Formats of parameters that are kept.
const INPUTS_MAX: usize = 4096;

#[derive(Debug)]
enum Part {
    FormatCount,
    Formats(usize),
    ValueCount,
    Length(usize),
    Value {
        left: usize,
        more: usize,
    },
    ResultCount,
    /// The one format of all columns.
    Result(Format),
    Results {
        left: usize,
        list: Vec<Format>,
    },
    End,
}

/// A Bind whose names are known and whose values are arriving.
pub(super) struct BindWalk<J: Judge> {
    pub(super) name: Vec<u8>,
    pub(super) prepared: Shared<Prepared<J>>,
    part: Part,
    /// Bytes of the frame not walked yet.
    left: usize,
    columns_max: usize,
    /// Over every value, its length first, as the frame has them.
    digest: Option<Sha256>,
    /// The same bytes, while they are at most `keep_max`.
    values: Option<Vec<u8>>,
    keep_max: usize,
    kept: Rc<Cell<usize>>,
    /// Formats of the parameters, one byte each, while they are kept.
    inputs: Option<Vec<u8>>,
}

impl<J: Judge> BindWalk<J> {
    pub(super) fn new(
        name: Vec<u8>,
        prepared: Shared<Prepared<J>>,
        left: usize,
        columns_max: usize,
        keeping: &Keeping,
    ) -> Self {
        let keep_max = keeping.each_max.min(keeping.all_max.saturating_sub(keeping.kept.get()));
        let kept = Rc::clone(&keeping.kept);
        let inputs = (keeping.each_max > 0).then(Vec::new);
        let (part, digest, values) = (Part::FormatCount, None, None);
        Self { name, prepared, part, left, columns_max, digest, values, keep_max, kept, inputs }
    }

    /// Walks what has arrived and passes it; true when the frame is complete.
    pub(super) fn walk(&mut self, down: &mut Lane) -> Result<bool, Fault> {
        let input = down.input();
        let available = input.len().min(self.left);
        let input = &input[..available];
        let mut at = 0;
        let i16_at = |at: usize| input.get(at..at + 2).map(|b| i16::from_be_bytes([b[0], b[1]]));
        let end = self.left;
        loop {
            let next = match &mut self.part {
                Part::FormatCount | Part::ValueCount | Part::ResultCount => {
                    let Some(count) = i16_at(at) else { break };
                    let count = usize::from(count.cast_unsigned());
                    at += 2;
                    match self.part {
                        Part::FormatCount => Part::Formats(count),
                        Part::ValueCount => {
                            if count > 0 {
                                self.digest = Some(Sha256::new());
                                self.values = (self.keep_max > 0).then(Vec::new);
                            }
                            Part::Length(count)
                        }
                        _ => Part::Results { left: count, list: Vec::new() },
                    }
                }
                Part::Formats(0) => Part::ValueCount,
                Part::Formats(left) => {
                    let Some(code) = i16_at(at) else { break };
                    match &mut self.inputs {
                        Some(inputs) if inputs.len() < INPUTS_MAX => inputs.push(u8::from(code != 0)),
                        inputs => *inputs = None,
                    }
                    at += 2;
                    Part::Formats(*left - 1)
                }
                Part::Length(0) => Part::ResultCount,
                Part::Length(more) => {
                    let Some(length) = input.get(at..at + 4) else { break };
                    if let Some(digest) = &mut self.digest {
                        digest.update(length);
                    }
                    keep(&mut self.values, self.keep_max, length);
                    let length = i32::from_be_bytes([length[0], length[1], length[2], length[3]]);
                    at += 4;
                    let left = match length {
                        -1 => 0,
                        n => usize::try_from(n).map_err(|_| MALFORMED)?,
                    };
                    if left > end - at {
                        return Err(MALFORMED);
                    }
                    Part::Value { left, more: *more - 1 }
                }
                Part::Value { left: 0, more } => Part::Length(*more),
                Part::Value { left, more } => {
                    let step = (*left).min(input.len() - at);
                    if step == 0 {
                        break;
                    }
                    if let Some(digest) = &mut self.digest {
                        digest.update(&input[at..at + step]);
                    }
                    keep(&mut self.values, self.keep_max, &input[at..at + step]);
                    at += step;
                    Part::Value { left: *left - step, more: *more }
                }
                Part::Results { left: 0, .. } => Part::End,
                Part::Results { left, list } => {
                    let Some(code) = i16_at(at) else { break };
                    at += 2;
                    if list.len() >= self.columns_max {
                        return Err(MALFORMED);
                    }
                    let format = match code {
                        0 => Format::Text,
                        1 => Format::Binary,
                        _ => return Err(MALFORMED),
                    };
                    *left -= 1;
                    if *left == 0 && list.is_empty() {
                        self.part = Part::Result(format);
                        break;
                    }
                    list.push(format);
                    if *left > 0 {
                        continue;
                    }
                    // The list stays where it is for `formats`.
                    break;
                }
                Part::Result(_) | Part::End => break,
            };
            self.part = next;
            if matches!(self.part, Part::End) {
                break;
            }
        }
        down.pass(at);
        self.left -= at;
        let complete = matches!(self.part, Part::End | Part::Result(_) | Part::Results { left: 0, .. });
        if complete && self.left > 0 {
            return Err(MALFORMED);
        }
        if !complete && self.left == 0 {
            return Err(MALFORMED);
        }
        if !complete && available == end {
            // Everything is here and the walk still wants more than the frame has.
            return Err(MALFORMED);
        }
        Ok(complete)
    }

    pub(super) fn portal(self, cycle: u64) -> (Vec<u8>, Portal<J>) {
        let formats = match self.part {
            Part::Result(Format::Binary) => Formats::Binary,
            Part::Results { list, .. } if !list.is_empty() => Formats::Each(list.into()),
            _ => Formats::Text,
        };
        let parameters = self.digest.map(|d| d.finalize().into());
        let values = self.values.map(|values| Kept::new(values, self.kept));
        let shape = self.prepared.shape.borrow().clone();
        let (started, inputs) = (Cell::new(false), self.inputs.map(Vec::into_boxed_slice));
        (self.name, Portal { started, prepared: self.prepared, shape, formats, parameters, values, inputs, cycle })
    }
}

/// How much of parameters a session keeps.
#[derive(Debug, Default)]
pub(super) struct Keeping {
    /// Bytes of one Bind; more are not kept. Zero keeps none.
    pub(super) each_max: usize,
    /// Bytes of all portals together.
    pub(super) all_max: usize,
    /// Bytes kept now.
    pub(super) kept: Rc<Cell<usize>>,
}

/// A portal's parameters, counted while they are kept.
pub(super) struct Kept {
    pub(super) values: Rc<[u8]>,
    total: Rc<Cell<usize>>,
}

impl Kept {
    fn new(values: Vec<u8>, total: Rc<Cell<usize>>) -> Self {
        total.set(total.get() + values.len());
        Self { values: values.into(), total }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.total.set(self.total.get().saturating_sub(self.values.len()));
    }
}

/// Keeps more of the values, or none at all once they are too long together.
fn keep(values: &mut Option<Vec<u8>>, most: usize, bytes: &[u8]) {
    if let Some(kept) = values {
        if kept.len() + bytes.len() > most {
            *values = None;
        } else {
            kept.extend_from_slice(bytes);
        }
    }
}
