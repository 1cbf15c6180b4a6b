//! DataRow: walked, counted, and redacted by plan (manual: Message Formats, DataRow and RowDescription).
//!
//! ```text
//! before  'D' len │ n │ 4 "1234" │ 11 "123-45-6789" │ 5 "Klein" │
//! after   'D' len'│ n │ 4 "1234" │ -1               │ 5 "Klein" │     write cursor ≤ read cursor: same buffer
//! ```
//!
//! Three ways, chosen by the plan: nothing planned, the frames pass as one run; replacements that keep or shorten, the
//! rows are compacted where they lie; replacements that may grow, the rows are written to scratch. A row longer than the
//! largest buffer streams: its planned values are replaced by fill of the same length, never buffered.

use super::Formats;
use crate::frame::HEADER_BYTES;
use contract::{Column, Fault, Format, Lane, Reader, Redacted, Redactor};

const MALFORMED: Fault = Fault::upstream("malformed DataRow from the database");
/// Rows are rewritten in batches of about this size before the pump gets a turn.
const BATCH_BYTES: usize = 256 << 10;

/// What a batch of rows did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

/// Reads a RowDescription body.
pub(super) fn description(body: &[u8]) -> Result<(Vec<Column>, Formats), Fault> {
    const MALFORMED: Fault = Fault::upstream("malformed RowDescription from the database");
    let mut r = Reader::new(body);
    let count = usize::from(r.i16().ok_or(MALFORMED)?.cast_unsigned());
    if count > 1664 * 2 {
        return Err(MALFORMED);
    }
    let mut columns = Vec::with_capacity(count);
    let mut formats = Vec::with_capacity(count);
    for _ in 0..count {
        let name = r.text().ok_or(MALFORMED)?.to_vec();
        let table = r.u32().ok_or(MALFORMED)?;
        let attribute = r.i16().ok_or(MALFORMED)?;
        let type_oid = r.u32().ok_or(MALFORMED)?;
        r.take(6).ok_or(MALFORMED)?;
        formats.push(match r.i16().ok_or(MALFORMED)? {
            0 => Format::Text,
            1 => Format::Binary,
            _ => return Err(MALFORMED),
        });
        columns.push(Column { name, table, attribute, type_oid });
    }
    if !r.rest().is_empty() {
        return Err(MALFORMED);
    }
    let formats = if formats.contains(&Format::Binary) { Formats::Each(formats.into()) } else { Formats::Text };
    Ok((columns, formats))
}

/// Complete DataRow frames at the front of `input`: their bytes and number.
pub(super) fn run(input: &[u8]) -> (usize, u64) {
    let (mut at, mut rows) = (0, 0);
    while let Some(&[b'D', a, b, c, d]) = input[at..].first_chunk::<HEADER_BYTES>() {
        let next = at + 1 + u32::from_be_bytes([a, b, c, d]) as usize;
        if next > input.len() || next < at + HEADER_BYTES {
            break;
        }
        at = next;
        rows += 1;
    }
    (at, rows)
}

/// Bytes of the complete rows at the front of `input` that make one batch.
pub(super) fn batch(input: &[u8]) -> usize {
    let (len, _) = run(input);
    limited(input, len.min(BATCH_BYTES)).0
}

/// Sizes of the complete rows in `input`.
pub(super) fn sizes(input: &[u8]) -> impl Iterator<Item = u64> + '_ {
    let mut at = 0;
    std::iter::from_fn(move || {
        (at < input.len()).then(|| {
            let len = frame_at(input, at);
            at += len;
            len as u64
        })
    })
}

/// Redacts the complete rows within the first `max` bytes of `up` and settles them.
pub(super) fn redact<R: Redactor>(
    up: &mut Lane,
    max: usize,
    plan: &R,
    formats: &Formats,
    scratch: &mut Vec<u8>,
) -> Result<Batch, Fault> {
    let (len, rows) = run(&up.input()[..max.min(up.input().len())]);
    if rows == 0 {
        return Ok(Batch::default());
    }
    if plan.grows() {
        let (taken, rows) = limited(up.input(), len.min(BATCH_BYTES));
        up.replace(taken, |input, out| {
            let mut at = 0;
            while at < taken {
                let frame = frame_at(input, at);
                copy_row(&input[at..at + frame], plan, formats, scratch, out)?;
                at += frame;
            }
            Ok::<(), Fault>(())
        })?;
        return Ok(Batch { rows, bytes: taken as u64 });
    }
    let input = &mut up.input_mut()[..len];
    let (mut read, mut write) = (0, 0);
    while read < len {
        let frame = frame_at(input, read);
        write = compact_row(input, read, frame, write, plan, formats, scratch)?;
        read += frame;
    }
    up.pass(write);
    up.skip(len - write);
    Ok(Batch { rows, bytes: len as u64 })
}

/// Whole frames within `max` bytes, at least one.
fn limited(input: &[u8], max: usize) -> (usize, u64) {
    let (mut at, mut rows) = (0, 0);
    while at < max {
        at += frame_at(input, at);
        rows += 1;
    }
    (at, rows)
}

/// Length of the frame at `at`, which `run` found complete.
fn frame_at(input: &[u8], at: usize) -> usize {
    1 + u32::from_be_bytes([input[at + 1], input[at + 2], input[at + 3], input[at + 4]]) as usize
}

fn i32_at(input: &[u8], at: usize) -> Option<i32> {
    input.get(at..at + 4).map(|b| i32::from_be_bytes([b[0], b[1], b[2], b[3]]))
}

fn width(frame: &[u8]) -> Option<usize> {
    frame.get(HEADER_BYTES..HEADER_BYTES + 2).map(|b| usize::from(u16::from_be_bytes([b[0], b[1]])))
}

/// Rewrites the row at `read` to `write <= read` in the same buffer; returns the end of what was written.
fn compact_row<R: Redactor>(
    input: &mut [u8],
    read: usize,
    len: usize,
    write: usize,
    plan: &R,
    formats: &Formats,
    scratch: &mut Vec<u8>,
) -> Result<usize, Fault> {
    let end = read + len;
    if width(&input[read..end]) != Some(plan.width()) {
        return Err(Fault::upstream("a row has another number of columns than its description"));
    }
    let mut kept = read; // start of bytes not yet moved
    let mut to = write;
    let mut at = read + HEADER_BYTES + 2;
    let mut column = 0usize;
    for (i, index) in plan.planned().iter().enumerate() {
        let index = usize::from(*index);
        while column < index {
            at = after(input, at, end)?;
            column += 1;
        }
        let next = after(input, at, end)?;
        column += 1;
        if next == at + 4 && i32_at(input, at) == Some(-1) {
            at = next;
            continue;
        }
        let value = at + 4..next;
        let replacement = match plan.redact(i, formats.of(index), &input[value.clone()], scratch) {
            Redacted::Keep => {
                at = next;
                continue;
            }
            // A replacement that grows although the plan says it cannot would run over bytes not read yet.
            Redacted::Scratch if scratch.len() <= value.len() => Some(scratch.as_slice()),
            Redacted::Scratch | Redacted::Null => None,
        };
        to = shift(input, kept..at, to);
        let length = replacement.map_or(-1, |r| i32::try_from(r.len()).unwrap_or(-1));
        input[to..to + 4].copy_from_slice(&length.to_be_bytes());
        to += 4;
        if let Some(r) = replacement {
            input[to..to + r.len()].copy_from_slice(r);
            to += r.len();
        }
        kept = next;
        at = next;
    }
    while column < plan.width() {
        at = after(input, at, end)?;
        column += 1;
    }
    if at != end {
        return Err(MALFORMED);
    }
    to = shift(input, kept..end, to);
    let length = u32::try_from(to - write - 1).map_err(|_| MALFORMED)?;
    input[write + 1..write + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(to)
}

/// Moves a stretch to `to`, if it is not there already.
fn shift(input: &mut [u8], from: std::ops::Range<usize>, to: usize) -> usize {
    let len = from.len();
    if from.start != to {
        input.copy_within(from, to);
    }
    to + len
}

/// Position after the value at `at`.
fn after(input: &[u8], at: usize, end: usize) -> Result<usize, Fault> {
    let length = i32_at(&input[..end], at).ok_or(MALFORMED)?;
    let start = at + 4;
    match length {
        -1 => Ok(start),
        n => {
            let n = usize::try_from(n).map_err(|_| MALFORMED)?;
            if n > end - start { Err(MALFORMED) } else { Ok(start + n) }
        }
    }
}

/// Appends the redacted row to `out`.
fn copy_row<R: Redactor>(
    frame: &[u8],
    plan: &R,
    formats: &Formats,
    scratch: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Fault> {
    if width(frame) != Some(plan.width()) {
        return Err(Fault::upstream("a row has another number of columns than its description"));
    }
    let begin = out.len();
    let end = frame.len();
    let (mut kept, mut at, mut column) = (0, HEADER_BYTES + 2, 0usize);
    for (i, index) in plan.planned().iter().enumerate() {
        let index = usize::from(*index);
        while column < index {
            at = after(frame, at, end)?;
            column += 1;
        }
        let next = after(frame, at, end)?;
        column += 1;
        if i32_at(frame, at) == Some(-1) {
            at = next;
            continue;
        }
        let redacted = plan.redact(i, formats.of(index), &frame[at + 4..next], scratch);
        if redacted != Redacted::Keep {
            out.extend_from_slice(&frame[kept..at]);
            if redacted == Redacted::Null {
                out.extend_from_slice(&(-1i32).to_be_bytes());
            } else {
                let length = i32::try_from(scratch.len()).map_err(|_| MALFORMED)?;
                out.extend_from_slice(&length.to_be_bytes());
                out.extend_from_slice(scratch);
            }
            kept = next;
        }
        at = next;
    }
    while column < plan.width() {
        at = after(frame, at, end)?;
        column += 1;
    }
    if at != end {
        return Err(MALFORMED);
    }
    out.extend_from_slice(&frame[kept..]);
    let length = u32::try_from(out.len() - begin - 1).map_err(|_| MALFORMED)?;
    out[begin + 1..begin + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(())
}

/// A row longer than the largest buffer, on its way through.
#[derive(Debug)]
pub(super) struct Giant {
    /// Bytes of the frame not settled yet.
    left: usize,
    columns: usize,
    column: usize,
    /// Bytes of the present value not settled yet.
    value: usize,
    /// The present value is replaced by this byte.
    fill: Option<u8>,
    header_done: bool,
}

impl Giant {
    pub(super) fn new(len: usize) -> Self {
        Self { left: len, columns: 0, column: 0, value: 0, fill: None, header_done: false }
    }

    /// Settles what has arrived; true when the row is complete.
    pub(super) fn step<R: Redactor>(&mut self, up: &mut Lane, plan: &R, formats: &Formats) -> Result<bool, Fault> {
        if !self.header_done {
            if up.input().len() < HEADER_BYTES + 2 {
                return Ok(false);
            }
            self.columns = width(up.input()).unwrap_or(0);
            if self.columns != plan.width() {
                return Err(Fault::upstream("a row has another number of columns than its description"));
            }
            up.pass(HEADER_BYTES + 2);
            self.left -= HEADER_BYTES + 2;
            self.header_done = true;
        }
        loop {
            if self.value > 0 {
                let n = self.value.min(up.input().len());
                if n == 0 {
                    return Ok(false);
                }
                if let Some(fill) = self.fill {
                    up.input_mut()[..n].fill(fill);
                }
                up.pass(n);
                self.value -= n;
                self.left -= n;
                continue;
            }
            if self.column == self.columns {
                return if self.left == 0 { Ok(true) } else { Err(MALFORMED) };
            }
            let Some(length) = i32_at(up.input(), 0) else { return Ok(false) };
            if self.left < 4 {
                return Err(MALFORMED);
            }
            self.value = if length == -1 { 0 } else { usize::try_from(length).map_err(|_| MALFORMED)? };
            if self.value > self.left - 4 {
                return Err(MALFORMED);
            }
            let index = u16::try_from(self.column).map_err(|_| MALFORMED)?;
            self.fill = plan.planned().contains(&index).then(|| match formats.of(self.column) {
                Format::Text => b'*',
                Format::Binary => 0,
            });
            up.pass(4);
            self.left -= 4;
            self.column += 1;
        }
    }
}
