//! Bind, walked as it arrives (manual: Message Formats, Bind), so that a parameter of a gigabyte streams.
//!
//! ```text
//! portal\0 statement\0  i16 n, n × i16 format  i16 m, m × (i32 length, bytes)  i16 r, r × i16 result format
//! └──── prefix, whole in the buffer ────┘└────────────── walked, passed on as it comes ────────────────────┘
//! ```
//!
//! A frame that is here as a whole, as nearly all are, is read at once instead ([`Said::read`]).
//!
//! Invariant: the walk ends exactly at the frame's end, or it is a fault; result formats are known when it ends; both ways
//! find the same in the same frame.

use super::{Formats, Portal, Prepared, Shared};
use contract::{Fault, Format, Judge, Lane, Reader};
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
    pub(super) rest: Walk,
}

/// What is behind its names, as it arrives.
#[derive(Debug)]
pub(super) struct Walk {
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

impl Walk {
    /// `left` bytes are behind the names.
    pub(super) fn new(left: usize, columns_max: usize, keeping: &Keeping) -> Self {
        let keep_max = keeping.room();
        let kept = Rc::clone(&keeping.kept);
        let inputs = (keeping.each_max > 0).then(Vec::new);
        let (part, digest, values) = (Part::FormatCount, None, None);
        Self { part, left, columns_max, digest, values, keep_max, kept, inputs }
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

    /// What the complete frame says.
    pub(super) fn said(self) -> Said {
        let formats = match self.part {
            Part::Result(Format::Binary) => Formats::Binary,
            Part::Results { list, .. } if !list.is_empty() => Formats::Each(list.into()),
            _ => Formats::Text,
        };
        let parameters = self.digest.map(|d| d.finalize().into());
        let values = self.values.map(|values| Kept::new(values, self.kept));
        Said { formats, parameters, values, inputs: self.inputs.map(Vec::into_boxed_slice) }
    }
}

/// What a Bind says behind its names.
#[derive(Debug)]
pub(super) struct Said {
    /// Of the result.
    formats: Formats,
    /// SHA-256 over every value, its length first, if there are any.
    parameters: Option<[u8; 32]>,
    /// The same bytes, if they are kept.
    values: Option<Kept>,
    /// Formats of the parameters, if they are kept.
    inputs: Option<Box<[u8]>>,
}

impl Said {
    /// Reads what is behind the names of a frame that is here as a whole.
    pub(super) fn read(bytes: &[u8], columns_max: usize, keeping: &Keeping) -> Result<Self, Fault> {
        let mut r = Reader::new(bytes);
        let inputs = r.counted(2).ok_or(MALFORMED)?;
        let inputs = (keeping.each_max > 0 && inputs.len() <= 2 * INPUTS_MAX)
            .then(|| inputs.chunks_exact(2).map(|code| u8::from(code != [0, 0])).collect());
        let count = r.i16().ok_or(MALFORMED)?.cast_unsigned();
        let start = r.position();
        for _ in 0..count {
            match r.i32().ok_or(MALFORMED)? {
                -1 => {}
                length => {
                    let length = usize::try_from(length).map_err(|_| MALFORMED)?;
                    r.take(length).ok_or(MALFORMED)?;
                }
            }
        }
        let given = bytes.get(start..r.position()).unwrap_or_default();
        let parameters = (count > 0).then(|| Sha256::digest(given).into());
        let room = keeping.room();
        let values =
            (count > 0 && room > 0 && given.len() <= room).then(|| Kept::new(given.to_vec(), Rc::clone(&keeping.kept)));
        let codes = r.counted(2).filter(|_| r.rest().is_empty()).ok_or(MALFORMED)?;
        let formats = match codes {
            [] => Formats::Text,
            _ if codes.len() / 2 > columns_max => return Err(MALFORMED),
            [0, 0] => Formats::Text,
            [0, 1] => Formats::Binary,
            _ => {
                let format = |code: &[u8]| match code {
                    [0, 0] => Ok(Format::Text),
                    [0, 1] => Ok(Format::Binary),
                    _ => Err(MALFORMED),
                };
                let list: Vec<Format> = codes.chunks_exact(2).map(format).collect::<Result<_, _>>()?;
                Formats::Each(list.into())
            }
        };
        Ok(Self { formats, parameters, values, inputs })
    }

    /// A portal that was never run.
    pub(super) fn portal<J: Judge>(self, prepared: Shared<Prepared<J>>, cycle: u64) -> Portal<J> {
        let Self { formats, parameters, values, inputs } = self;
        let shape = prepared.shape.borrow().clone();
        Portal { started: Cell::new(false), prepared, shape, formats, parameters, values, inputs, cycle }
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

impl Keeping {
    /// Bytes of the next Bind that are kept.
    fn room(&self) -> usize {
        self.each_max.min(self.all_max.saturating_sub(self.kept.get()))
    }
}

/// A portal's parameters, counted while they are kept.
#[derive(Debug)]
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Formats, parameters, their values, their formats, and what is kept while they are there.
    type Found = (Option<Vec<Format>>, bool, Option<[u8; 32]>, Option<Vec<u8>>, Option<Vec<u8>>, usize);

    fn found(said: Said, keeping: &Keeping) -> Found {
        let kept = keeping.kept.get();
        let binary = matches!(said.formats, Formats::Binary);
        let each = if let Formats::Each(list) = said.formats { Some(list.to_vec()) } else { None };
        let values = said.values.as_ref().map(|kept| kept.values.to_vec());
        (each, binary, said.parameters, values, said.inputs.map(Vec::from), kept)
    }

    /// The frame walked in pieces of these sizes, in turn; what passes must be the frame.
    fn walked(bytes: &[u8], pieces: &[usize], columns_max: usize, keeping: &Keeping) -> Option<Found> {
        let mut buffers = contract::Buffers::default();
        let mut lane = Lane::new(1 << 20);
        let mut walk = Walk::new(bytes.len(), columns_max, keeping);
        let (mut rest, mut sizes, mut passed) = (bytes, pieces.iter().cycle(), 0);
        loop {
            let n = sizes.next().map_or(1, |n| *n).min(rest.len());
            lane.slot(&mut buffers)[..n].copy_from_slice(&rest[..n]);
            lane.received(n);
            rest = &rest[n..];
            let before = lane.input().len();
            let complete = walk.walk(&mut lane).ok()?;
            passed += before - lane.input().len();
            if complete {
                assert_eq!((passed, rest.len()), (bytes.len(), 0));
                return Some(found(walk.said(), keeping));
            }
            assert!(!rest.is_empty(), "a frame that is here as a whole is complete or a fault");
            while let contract::Chunk::Bytes(chunk) = lane.chunk() {
                let n = chunk.len();
                lane.written(n);
            }
        }
    }

    fn number(n: usize) -> impl Strategy<Value = Vec<u8>> {
        Just(u16::try_from(n).unwrap_or(u16::MAX).to_be_bytes().to_vec())
    }

    fn codes() -> impl Strategy<Value = Vec<u8>> {
        let code = prop_oneof![8 => 0_u16..2, 1 => any::<u16>()];
        prop::collection::vec(code, 0..5).prop_flat_map(|codes| {
            let bytes: Vec<u8> = codes.iter().flat_map(|code| code.to_be_bytes()).collect();
            number(codes.len()).prop_map(move |count| [count, bytes.clone()].concat())
        })
    }

    fn values() -> impl Strategy<Value = Vec<u8>> {
        let length = |value: &Option<Vec<u8>>| value.as_ref().map_or(-1_i32, |v| i32::try_from(v.len()).unwrap_or(-1));
        let value = prop::option::of(prop::collection::vec(any::<u8>(), 0..20));
        prop::collection::vec(value, 0..5).prop_flat_map(move |values| {
            let pieces =
                values.iter().map(|v| [&length(v).to_be_bytes()[..], v.as_deref().unwrap_or_default()].concat());
            let bytes: Vec<u8> = pieces.flatten().collect();
            number(values.len()).prop_map(move |count| [count, bytes.clone()].concat())
        })
    }

    /// Mostly well made, sometimes with a byte that is another one, one too many, or with an end that comes early.
    fn frame() -> impl Strategy<Value = Vec<u8>> {
        let change = prop_oneof![
            6 => Just(None),
            2 => (any::<prop::sample::Index>(), any::<u8>()).prop_map(Some),
        ];
        let length = prop_oneof![6 => Just(0_i8), 1 => Just(-1_i8), 1 => Just(1_i8)];
        (codes(), values(), codes(), change, length).prop_map(|(inputs, values, results, change, length)| {
            let mut bytes = [inputs, values, results].concat();
            if let Some((at, byte)) = change {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            match length {
                -1 => drop(bytes.pop()),
                1 => bytes.push(0),
                _ => {}
            }
            bytes
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_whole_frame_says_what_the_walk_finds(
            bytes in frame(),
            pieces in prop::collection::vec(1_usize..40, 1..4),
            columns_max in 0_usize..5,
            each_max in prop_oneof![Just(0_usize), 1_usize..60],
            all_max in 0_usize..80,
        ) {
            let keeping = || Keeping { each_max, all_max, kept: Rc::new(Cell::new(7)) };
            let (one, other, whole) = (keeping(), keeping(), keeping());
            let said = Said::read(&bytes, columns_max, &one).ok().map(|said| found(said, &one));
            prop_assert_eq!(&said, &walked(&bytes, &pieces, columns_max, &other));
            prop_assert_eq!(&said, &walked(&bytes, &[usize::MAX], columns_max, &whole));
            prop_assert_eq!((one.kept.get(), other.kept.get()), (7, 7), "what was kept is let go");
        }
    }

    #[test]
    fn formats_of_parameters_are_kept_up_to_a_number_of_them() {
        for (count, kept) in [(INPUTS_MAX, true), (INPUTS_MAX + 1, false)] {
            let bytes = [&u16::try_from(count).unwrap().to_be_bytes()[..], &vec![1; 2 * count], &[0, 0, 0, 0]].concat();
            let keeping = Keeping { each_max: 1, all_max: 1, kept: Rc::default() };
            let said = Said::read(&bytes, 9, &keeping).map(|said| found(said, &keeping)).unwrap();
            assert_eq!((said.4.is_some(), Some(said)), (kept, walked(&bytes, &[1000], 9, &keeping)));
        }
    }
}
