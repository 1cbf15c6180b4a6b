//! Rows of one shape, many at a time: frames first, then fields, then values, and last, where a length changed, the rows
//! again.
//!
//! ```text
//!   frames   'D' len ──▶ 'D' len ──▶ …             up to ROWS_MAX whole ones
//!   fields   n │ len value │ len value │ …          every row from its own beginning, so that rows overlap in the processor
//!   values   column by column: Redactor::redact_batch
//!   rewrite  only if some value is not as long as it was
//! ```
//!
//! Invariants: a row has as many columns as its plan is wide and ends where its frame ends, or nothing of the batch passes;
//! every position is one in the batch. Deliberately absent: lanes, and rows longer than a buffer.

use super::Formats;
use crate::frame::HEADER_BYTES;
use contract::{Fate, Fault, Field, Redactor, Values};
use std::ops::Range;

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
    /// For each column how far the place of its value is from that of the next planned one: nothing, or all rows.
    steps: Vec<u32>,
    /// Planned columns.
    planned: usize,
    /// Values by planned column, then by row; one more column for what is behind the last planned one.
    fields: Vec<Field>,
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
            && self.ends.len() < ROWS_MAX
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

    /// Finds the planned fields of the rows in `batch`, whose frames were found.
    fn find<R: Redactor>(&mut self, batch: &[u8], plan: &R) -> Result<(), Fault> {
        let (rows, planned) = (self.ends.len(), plan.planned());
        let width = u16::try_from(plan.width()).map_err(|_| OTHER_WIDTH)?;
        self.steps.clear();
        self.steps.resize(usize::from(width), 0);
        for column in planned {
            let step = self.steps.get_mut(usize::from(*column)).ok_or(OTHER_WIDTH)?;
            *step = rows as u32;
        }
        self.planned = planned.len();
        let places = (planned.len() + 1) * rows;
        if self.fields.len() < places {
            self.fields.resize(places, Field::default());
        }
        let fields = &mut self.fields[..places];
        let mut begin = 0;
        for (row, end) in self.ends.iter().enumerate() {
            let end = *end as usize;
            let frame = batch.get(begin + HEADER_BYTES..end).ok_or(MALFORMED)?;
            begin = end;
            let Some((count, mut rest)) = frame.split_first_chunk::<2>() else { return Err(OTHER_WIDTH) };
            if u16::from_be_bytes(*count) != width {
                return Err(OTHER_WIDTH);
            }
            let mut place = row;
            for step in &self.steps {
                let Some((length, behind)) = rest.split_first_chunk::<4>() else { return Err(MALFORMED) };
                let length = u32::from_be_bytes(*length);
                // Written for every column; one that is not planned is overwritten by the next that is.
                if let Some(field) = fields.get_mut(place) {
                    *field = Field::new((end - behind.len()) as u32, length);
                }
                place += *step as usize;
                // One comparison for NULL and for what is too long.
                rest = match behind.get(length as usize..) {
                    Some(rest) => rest,
                    None if length == u32::MAX => behind,
                    None => return Err(MALFORMED),
                };
            }
            if !rest.is_empty() {
                return Err(MALFORMED);
            }
        }
        Ok(())
    }

    /// Redacts the rows in `batch`, whose frames were found; whether they have to be written again.
    pub(super) fn redact<R: Redactor>(&mut self, batch: &mut [u8], plan: &R, formats: &Formats) -> Result<bool, Fault> {
        self.find(batch, plan)?;
        self.aside.clear();
        let rows = self.ends.len().max(1);
        let mut resized = false;
        for ((i, column), fields) in plan.planned().iter().enumerate().zip(self.fields.chunks_exact_mut(rows)) {
            let mut values = Values::new(batch, fields, &mut self.aside, &mut self.scratch);
            plan.redact_batch(i, formats.of(usize::from(*column)), &mut values);
            resized |= values.resized();
        }
        Ok(resized)
    }

    /// Writes the rows of the batch at `base` of `input` again, changed values in their new lengths.
    pub(super) fn rewrite<S: Sink>(&self, input: &mut [u8], base: usize, sink: &mut S) -> Result<(), Fault> {
        let rows = self.ends.len();
        let (mut kept, mut begin) = (base, base);
        for (row, end) in self.ends.iter().enumerate() {
            let end = base + *end as usize;
            // Where the row begins in the output, once something before it is known.
            let mut header = None;
            let mut grown = 0i64;
            for planned in 0..self.planned {
                let Some(field) = self.fields.get(planned * rows + row) else { return Err(MALFORMED) };
                let new = match field.fate() {
                    Fate::There => continue,
                    Fate::Null => None,
                    Fate::Aside(range) => Some(self.aside.get(range).ok_or(MALFORMED)?),
                };
                let old = field.range();
                let (at, next) = (base + old.start - 4, base + old.end);
                sink.keep(input, kept..at);
                header.get_or_insert_with(|| sink.len() - (at - begin));
                // One that grows although the plan says it cannot would run over bytes not read yet: NULL.
                let new = new.filter(|new| sink.has_room(new.len() + 4, next));
                let length = new.and_then(|new| i32::try_from(new.len()).ok());
                let new = length.and(new).unwrap_or_default();
                sink.put(input, &length.unwrap_or(-1).to_be_bytes());
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
        if self.fields.capacity() * size_of::<Field>() > KEPT_BYTES || self.aside.capacity() > KEPT_BYTES {
            *self = Self::default();
        }
    }
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
