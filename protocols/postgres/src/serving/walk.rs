//! Rows of one shape, many at a time: fields first, then values, and last, where a length changed, the rows again.
//!
//! ```text
//!   frames   'D' len ──▶ 'D' len ──▶ …             up to ROWS_MAX whole ones
//!   fields   n │ len value │ len value │ …          every row from its own beginning, so that rows overlap in the processor
//!   values   column by column: Redactor::redact_batch
//!   rewrite  only if some value is not as long as it was
//! ```
//!
//! Invariants: a row has as many columns as its plan is wide and its planned values lie in its frame, or nothing of the batch
//! passes; every position is one in the batch. Deliberately absent: a look at what is behind the last planned value, lanes, and rows longer than a buffer.

use super::Formats;
use crate::frame::HEADER_BYTES;
use contract::{Fate, Fault, Field, Redactor, Values};
use std::ops::Range;
use wide::u8x16;

const MALFORMED: Fault = Fault::upstream("malformed DataRow from the database");
const OTHER_WIDTH: Fault = Fault::upstream("a row has another number of columns than its description");
/// Rows of one batch,
const ROWS_MAX: usize = 64;
/// and their bytes, the last one's not counted: what the first pass has read is still in the first cache in the second.
const BYTES_MAX: usize = 24 << 10;

/// Where the rows of one batch lie. Its memory is kept from batch to batch.
#[derive(Debug, Default)]
pub(super) struct Walk {
    /// Ends of the frames.
    ends: Vec<u32>,
    /// For each column how far the place of its value is from that of the next planned one: nothing, or a stride.
    steps: Vec<u32>,
    /// For each planned column how many others stand between it and the one before.
    hops: Vec<u32>,
    /// Most rows of a batch, which is also how many places of fields a column has.
    stride: usize,
    /// Columns of a row.
    width: u16,
    /// Columns up to the last planned one.
    wanted: usize,
    /// Planned columns.
    planned: usize,
    /// Planned columns of the batch in which some value is no longer as long as it was, one bit each; those from the 64th on
    /// count as such.
    resized: u64,
    /// Values by planned column, then by row; one more column for what is behind the last planned one.
    fields: Vec<Field>,
    /// Of the batch, where rows are lines.
    marks: Vec<Marks>,
    /// New values.
    aside: Vec<u8>,
    scratch: Vec<u8>,
}

impl Walk {
    /// Whole frames of this tag at the front of `input`, one batch of them; where they end.
    #[inline]
    pub(super) fn frames(&mut self, input: &[u8], tag: u8) -> usize {
        self.ends.clear();
        let mut at = 0;
        while at < BYTES_MAX
            && self.ends.len() < self.stride
            && let Some(&[t, a, b, c, d]) = input[at..].first_chunk::<HEADER_BYTES>()
        {
            let next = at + 1 + u32::from_be_bytes([a, b, c, d]) as usize;
            if t != tag || next > input.len() || next < at + HEADER_BYTES {
                break;
            }
            let Ok(end) = u32::try_from(next) else { break };
            self.ends.push(end);
            at = next;
        }
        at
    }

    /// Rows of the batch.
    pub(super) fn rows(&self) -> usize {
        self.ends.len()
    }

    /// Bytes of the batch.
    pub(super) fn len(&self) -> usize {
        self.ends.last().map_or(0, |end| *end as usize)
    }

    /// Compiles the plan for batches of at most so many bytes, of rows that are at least so long.
    ///
    /// # Errors
    /// The plan is for columns that its rows do not have.
    pub(super) fn begin<R: Redactor>(&mut self, plan: &R, bytes: usize, row_bytes_min: usize) -> Result<(), Fault> {
        let (width, planned) = (plan.width(), plan.planned());
        self.width = u16::try_from(width).map_err(|_| OTHER_WIDTH)?;
        self.stride = (bytes / row_bytes_min.max(1) + 1).min(ROWS_MAX);
        self.planned = planned.len();
        self.wanted = planned.last().map_or(0, |last| usize::from(*last) + 1);
        self.steps.clear();
        self.steps.resize(width, 0);
        self.hops.clear();
        self.ends.reserve(self.stride);
        let mut next = 0;
        for column in planned {
            self.hops.push(u32::from(column.checked_sub(next).ok_or(OTHER_WIDTH)?));
            next = column.saturating_add(1);
            *self.steps.get_mut(usize::from(*column)).ok_or(OTHER_WIDTH)? = self.stride as u32;
        }
        let places = (planned.len() + 1) * self.stride;
        if self.fields.len() < places {
            self.fields.resize(places, Field::default());
        }
        Ok(())
    }

    /// Finds a batch of whole rows of this tag at the front of `input`, and their planned fields; where they end. What is
    /// behind the last planned value of a row is looked at only if it has to be `exact`.
    ///
    /// # Errors
    /// A row is not as its plan says.
    #[inline]
    pub(super) fn find(&mut self, input: &[u8], tag: u8, exact: bool) -> Result<usize, Fault> {
        self.ends.clear();
        u32::try_from(input.len()).map_err(|_| MALFORMED)?;
        let (stride, hops, fields) = (self.stride, self.hops.as_slice(), self.fields.as_mut_slice());
        let wanted = u64::from(tag) << 56 | u64::from(self.width) << 8;
        let mut at = 0;
        for row in 0..stride {
            if at >= BYTES_MAX {
                break;
            }
            let rest = input.get(at..).unwrap_or_default();
            // Tag, length and number of columns in one load, and the first and the last in one comparison.
            let Some(header) = rest.first_chunk::<8>().map(|header| u64::from_be_bytes(*header)) else {
                other(rest, tag)?;
                break;
            };
            let end = at + 1 + (header >> 24) as u32 as usize;
            let (true, Some(mut rest)) = (header & HEADER == wanted, input.get(at + HEADER_BYTES + 2..end)) else {
                other(rest, tag)?;
                break;
            };
            let mut place = row;
            for hop in hops {
                for _ in 0..*hop {
                    rest = value(rest)?.1;
                }
                let begin = end - rest.len() + 4;
                let (length, behind) = value(rest)?;
                if let Some(field) = fields.get_mut(place) {
                    *field = Field::new(begin as u32, length);
                }
                place += stride;
                rest = behind;
            }
            if exact {
                for _ in self.wanted..self.steps.len() {
                    rest = value(rest)?.1;
                }
                if !rest.is_empty() {
                    return Err(MALFORMED);
                }
            }
            self.ends.push(end as u32);
            at = end;
        }
        Ok(at)
    }

    /// Finds the planned fields of lines, one in each of the frames in `batch`, which were found: fields between delimiters, escapes after a
    /// backslash. `false` if some line needs a closer look: a planned value with an escape in it, a delimiter behind a
    /// backslash, another number of fields, or no line.
    pub(super) fn find_in_lines(&mut self, batch: &[u8], delimiter: u8, null: &[u8]) -> bool {
        self.marks.clear();
        let (blocks, tail) = batch.as_chunks::<BLOCK>();
        let mut last = [0; BLOCK];
        if let Some(head) = last.get_mut(..tail.len()) {
            head.copy_from_slice(tail);
        }
        self.marks.extend(blocks.iter().chain([&last]).map(|block| Marks::of(block, delimiter)));
        let fields = self.fields.as_mut_slice();
        let mut begin = 0;
        for (row, end) in self.ends.iter().enumerate() {
            let end = *end as usize;
            let Some(frame) = batch.get(begin..end) else { return false };
            let Some((b'\n', line)) = frame.get(HEADER_BYTES..).and_then(<[u8]>::split_last) else { return false };
            // The line break of the line itself is the only one.
            let (start, stop) = (begin + HEADER_BYTES, end - 1);
            begin = end;
            let odd = marks(&self.marks, |m| m.odd, start, stop).next().is_some();
            if odd && !is_plain_but_for_values(line, delimiter) {
                return false;
            }
            let mut ends = marks(&self.marks, |m| m.delimiters, start, stop);
            let (mut place, mut at) = (row, start);
            for column in 0..self.steps.len() {
                let next = match ends.next() {
                    Some(next) if column + 1 < self.steps.len() => next,
                    None if column + 1 == self.steps.len() => stop,
                    _ => return false,
                };
                if let (Some(step @ 1..), Some(field)) = (self.steps.get(column), fields.get_mut(place)) {
                    let value = batch.get(at..next).unwrap_or_default();
                    *field = match value == null {
                        true => Field::null(at as u32),
                        false if odd && memchr::memchr(b'\\', value).is_some() => return false,
                        false => Field::new(at as u32, (next - at) as u32),
                    };
                    place += *step as usize;
                }
                at = next + 1;
            }
        }
        true
    }

    /// Looks at the values of the batch after they were redacted: one that is `special` is kept aside as `write` writes it.
    /// Whether there was one.
    pub(super) fn escape(
        &mut self,
        batch: &[u8],
        special: impl Fn(&[u8]) -> bool,
        write: impl Fn(&[u8], &mut Vec<u8>),
    ) -> bool {
        let mut any = false;
        let columns = self.fields.chunks_exact_mut(self.stride.max(1)).take(self.planned);
        for (planned, fields) in columns.enumerate() {
            for field in fields.iter_mut().take(self.ends.len()).filter(|f| !f.is_null()) {
                let value = match field.fate() {
                    Fate::Null => continue,
                    Fate::There => batch.get(field.range()).unwrap_or_default(),
                    Fate::Aside(range) => self.aside.get(range).unwrap_or_default(),
                };
                if special(value) {
                    self.scratch.clear();
                    write(value, &mut self.scratch);
                    field.set_aside(&self.scratch, &mut self.aside);
                    self.resized |= bit(planned);
                    any = true;
                }
            }
        }
        any
    }

    /// Redacts the rows in `batch`, whose fields were found; whether they have to be written again.
    pub(super) fn redact<R: Redactor>(&mut self, batch: &mut [u8], plan: &R, formats: &Formats) -> bool {
        self.aside.clear();
        let rows = self.ends.len();
        self.resized = 0;
        let mut resized = false;
        let columns = self.fields.chunks_exact_mut(self.stride.max(1));
        for ((i, column), fields) in plan.planned().iter().enumerate().zip(columns) {
            let Some(fields) = fields.get_mut(..rows) else { continue };
            let mut values = Values::new(batch, fields, &mut self.aside, &mut self.scratch);
            plan.redact_batch(i, formats.of(usize::from(*column)), &mut values);
            if values.resized() {
                resized = true;
                self.resized |= bit(i);
            }
        }
        resized
    }

    /// Writes the rows of the batch at `base` of `input` again, changed values in their new lengths.
    pub(super) fn rewrite<S: Sink>(
        &self,
        input: &mut [u8],
        base: usize,
        sink: &mut S,
        framing: Framing<'_>,
    ) -> Result<(), Fault> {
        let (mut kept, mut begin) = (base, base);
        for (row, end) in self.ends.iter().enumerate() {
            let end = base + *end as usize;
            // Where the row begins in the output, once something before it is known.
            let mut header = None;
            let mut grown = 0i64;
            let (mut some, mut beyond) = (self.resized, BITS);
            loop {
                let planned = if some != 0 {
                    let first = some.trailing_zeros() as usize;
                    some &= some - 1;
                    first
                } else if beyond < self.planned {
                    beyond += 1;
                    beyond - 1
                } else {
                    break;
                };
                let Some(field) = self.fields.get(planned * self.stride + row) else { return Err(MALFORMED) };
                let new = match field.fate() {
                    Fate::There => continue,
                    Fate::Null => None,
                    Fate::Aside(range) => Some(self.aside.get(range).ok_or(MALFORMED)?),
                };
                let old = field.range();
                let next = base + old.end;
                let at = base + old.start - framing.bytes();
                sink.keep(input, kept..at);
                header.get_or_insert_with(|| sink.len() - (at - begin));
                let new = match framing {
                    Framing::Bare(null) => new.unwrap_or(null),
                    Framing::Lengths => {
                        // One that grows although the plan says it cannot would run over bytes not read yet: NULL.
                        let new = new.filter(|new| sink.has_room(new.len() + 4, next));
                        let length = new.and_then(|new| i32::try_from(new.len()).ok());
                        sink.put(input, &length.unwrap_or(-1).to_be_bytes());
                        length.and(new).unwrap_or_default()
                    }
                };
                sink.put(input, new);
                grown += new.len() as i64 - old.len() as i64;
                kept = next;
            }
            if let Some(header) = header {
                let length = u32::try_from((end - begin - 1) as i64 + grown).map_err(|_| MALFORMED)?;
                sink.patch(input, header + 1, length.to_be_bytes());
            }
            begin = end;
        }
        sink.keep(input, kept..begin);
        Ok(())
    }

    /// Lets memory go that large batches took.
    pub(super) fn rest(&mut self) {
        const KEPT_BYTES: usize = 1 << 10;
        let fields = self.fields.capacity() * size_of::<Field>();
        let others = [self.aside.capacity(), self.scratch.capacity(), self.marks.capacity() * size_of::<Marks>()];
        if fields > KEPT_BYTES || others.iter().any(|bytes| *bytes > KEPT_BYTES) {
            *self = Self::default();
        }
    }
}

/// Columns that have a bit.
const BITS: usize = u64::BITS as usize;

/// The bit of a planned column; none of those that have none.
#[inline(always)]
fn bit(planned: usize) -> u64 {
    if planned < BITS { 1 << planned } else { 0 }
}

/// Of the first eight bytes of a frame, tag and number of columns.
const HEADER: u64 = 0xff00_0000_00ff_ff00;

/// The length of the value that begins there, and what is behind the value.
#[inline(always)]
fn value(rest: &[u8]) -> Result<(u32, &[u8]), Fault> {
    let Some((length, behind)) = rest.split_first_chunk::<4>() else { return Err(MALFORMED) };
    let length = u32::from_be_bytes(*length);
    // One comparison for NULL and for what is too long.
    match behind.get(length as usize..) {
        Some(behind) => Ok((length, behind)),
        None if length == u32::MAX => Ok((length, behind)),
        None => Err(MALFORMED),
    }
}

/// What begins there is not a whole row of this tag; if it is a whole frame of it, it is wrong.
#[cold]
fn other(rest: &[u8], tag: u8) -> Result<(), Fault> {
    let whole = rest.first_chunk::<HEADER_BYTES>().is_some_and(|&[t, a, b, c, d]| {
        let end = 1 + u32::from_be_bytes([a, b, c, d]) as usize;
        t == tag && (HEADER_BYTES..=rest.len()).contains(&end)
    });
    if whole { Err(OTHER_WIDTH) } else { Ok(()) }
}

/// What a value is written in.
#[derive(Clone, Copy, Debug)]
pub(super) enum Framing<'a> {
    /// Its length before it, and NULL is a length.
    Lengths,
    /// Nothing, and NULL is this word. Only for a sink that is not the input.
    Bare(&'a [u8]),
}

impl Framing<'_> {
    const fn bytes(self) -> usize {
        match self {
            Self::Lengths => 4,
            Self::Bare(_) => 0,
        }
    }
}

/// Bytes that are looked at together.
const BLOCK: usize = 64;

/// Which bytes of a block matter, one bit each.
#[derive(Clone, Copy, Debug, Default)]
struct Marks {
    delimiters: u64,
    /// Backslashes and line breaks.
    odd: u64,
}

impl Marks {
    #[inline(always)]
    fn of(block: &[u8; BLOCK], delimiter: u8) -> Self {
        let splat = |b: u8| u8x16::new([b; 16]);
        let (delimiter, backslash, line) = (splat(delimiter), splat(b'\\'), splat(b'\n'));
        let bits = |mask: u8x16, i: usize| u64::from(mask.to_bitmask()) << (16 * i);
        let mut marks = Self::default();
        for (i, part) in block.as_chunks::<16>().0.iter().enumerate() {
            let bytes = u8x16::new(*part);
            marks.delimiters |= bits(bytes.simd_eq(delimiter), i);
            marks.odd |= bits(bytes.simd_eq(backslash) | bytes.simd_eq(line), i);
        }
        marks
    }
}

/// Places of the marks from `start` to `stop`.
#[inline(always)]
fn marks(all: &[Marks], which: impl Fn(&Marks) -> u64, start: usize, stop: usize) -> impl Iterator<Item = usize> {
    let mut block = start / BLOCK;
    let mut bits = all.get(block).map_or(0, &which) & (u64::MAX << (start % BLOCK));
    std::iter::from_fn(move || {
        while bits == 0 {
            block += 1;
            if block * BLOCK >= stop {
                return None;
            }
            bits = all.get(block).map_or(0, &which);
        }
        let at = block * BLOCK + bits.trailing_zeros() as usize;
        bits &= bits - 1;
        (at < stop).then_some(at)
    })
}

/// A line in which every delimiter is one, though values may have escapes: none stands behind a backslash, nor does the end.
fn is_plain_but_for_values(line: &[u8], delimiter: u8) -> bool {
    memchr::memchr(b'\n', line).is_none()
        && memchr::memchr_iter(b'\\', line).all(|at| line.get(at + 1).is_some_and(|next| *next != delimiter))
}

/// Where rows are written to.
pub(super) trait Sink {
    /// Appends bytes of the input.
    fn keep(&mut self, input: &mut [u8], from: Range<usize>);
    /// Appends other bytes.
    fn put(&mut self, input: &mut [u8], bytes: &[u8]);
    /// How much was written.
    fn len(&self) -> usize;
    /// Writes over what was written.
    fn patch(&mut self, input: &mut [u8], at: usize, bytes: [u8; 4]);
    /// So many bytes may be put now that input before `next` is read.
    fn has_room(&self, bytes: usize, next: usize) -> bool;
}

/// The input itself: the write cursor never passes the read cursor.
pub(super) struct InPlace(pub(super) usize);

impl Sink for InPlace {
    #[inline]
    fn keep(&mut self, input: &mut [u8], from: Range<usize>) {
        let len = from.len();
        if from.start != self.0 {
            input.copy_within(from, self.0);
        }
        self.0 += len;
    }

    #[inline]
    fn put(&mut self, input: &mut [u8], bytes: &[u8]) {
        input[self.0..self.0 + bytes.len()].copy_from_slice(bytes);
        self.0 += bytes.len();
    }

    fn len(&self) -> usize {
        self.0
    }

    fn patch(&mut self, input: &mut [u8], at: usize, bytes: [u8; 4]) {
        input[at..at + 4].copy_from_slice(&bytes);
    }

    fn has_room(&self, bytes: usize, next: usize) -> bool {
        self.0 + bytes <= next
    }
}

/// Other memory.
impl Sink for Vec<u8> {
    #[inline]
    fn keep(&mut self, input: &mut [u8], from: Range<usize>) {
        self.extend_from_slice(&input[from]);
    }

    #[inline]
    fn put(&mut self, _: &mut [u8], bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }

    fn len(&self) -> usize {
        self.len()
    }

    fn patch(&mut self, _: &mut [u8], at: usize, bytes: [u8; 4]) {
        self[at..at + 4].copy_from_slice(&bytes);
    }

    fn has_room(&self, _: usize, _: usize) -> bool {
        true
    }
}
