//! DataRow: walked, counted, and redacted by plan (manual: Message Formats, DataRow and RowDescription).
//!
//! ```text
//! before  'D' len │ n │ 4 "1234" │ 11 "123-45-6789" │ 5 "Klein" │
//! after   'D' len'│ n │ 4 "1234" │ -1               │ 5 "Klein" │     write cursor ≤ read cursor: same buffer
//! ```
//!
//! Three ways: nothing planned, the frames pass as one run; otherwise values are changed where they lie, and rows in which
//! one became shorter are moved together there; from the first row in which one grew, rows are written to scratch for the
//! rest of the turn. A row longer than the
//! largest buffer streams: its planned values are replaced by fill of the same length, never buffered.

use super::Formats;
use super::walk::{Framing, InPlace, Sink as _, Walk};
use crate::frame::HEADER_BYTES;
use contract::{Column, Fault, Format, Lane, Reader, Redactor};

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

/// Redacts the complete rows within the first `max` bytes of `up`, a turn's worth of them, and settles them.
pub(super) fn redact<R: Redactor>(
    up: &mut Lane,
    max: usize,
    plan: &R,
    formats: &Formats,
    walk: &mut Walk,
) -> Result<Batch, Fault> {
    let mut done = Batch::default();
    let (mut read, mut write, mut grows) = (0, 0, false);
    let len = max.min(up.input().len());
    walk.begin(plan, len.min(BATCH_BYTES), HEADER_BYTES + 2 + 4 * plan.width())?;
    let input = &mut up.input_mut()[..len];
    while read < BATCH_BYTES {
        let taken = walk.find(&input[read..], b'D', false)?;
        if taken == 0 {
            break;
        }
        let end = read + taken;
        let resized = walk.redact(&mut input[read..end], plan, formats);
        if resized && plan.grows() {
            grows = true;
            break;
        }
        let mut sink = InPlace(write);
        if resized {
            walk.rewrite(input, read, &mut sink, Framing::Lengths)?;
        } else {
            sink.keep(input, read..end);
        }
        write = sink.0;
        done.rows += walk.rows() as u64;
        read = end;
    }
    if grows {
        // The rest is written elsewhere, all of it, so that it leaves in one piece.
        let more =
            limited(&input[read..], run(&input[read..]).0.min(BATCH_BYTES.saturating_sub(read).max(walk.len()))).0;
        up.pass(write);
        up.skip(read - write);
        up.replace(more, |input, out| {
            let mut at = 0;
            while at < more {
                let taken = if at == 0 { walk.len() } else { walk.find(&input[at..], b'D', false)? };
                let batch = input.get_mut(at..at + taken).filter(|batch| !batch.is_empty()).ok_or(MALFORMED)?;
                let resized = at == 0 || walk.redact(batch, plan, formats);
                if resized {
                    walk.rewrite(input, at, out, Framing::Lengths)?;
                } else {
                    out.extend_from_slice(batch);
                }
                done.rows += walk.rows() as u64;
                at += taken;
            }
            Ok::<(), Fault>(())
        })?;
        done.bytes = (read + more) as u64;
        return Ok(done);
    }
    up.pass(write);
    up.skip(read - write);
    done.bytes = read as u64;
    Ok(done)
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
