//! CopyData from the database, masked row by row (manual: COPY Operations; COPY, File Formats).
//!
//! ```text
//! text, CSV   one row, its line break included, is one CopyData; a header line is one of its own
//! binary      signature │ flags │ extension, then tuples, then -1; each CopyData ends where a tuple, or all of it, ends
//! ```
//!
//! Invariants: fields are found by the format's own rules and there are as many as the plan is wide, or it is a fault and
//! nothing of the row passes; a planned field is read, redacted and written again by those rules; NULL stays NULL. A row
//! longer than the largest buffer streams: its planned fields are filled at their length, never buffered.
//! Deliberately absent: COPY data from the client, which passes as it is.

use super::Formats;
use super::copy_giant::Giant;
use super::walk::{Framing, Walk};
use crate::frame::HEADER_BYTES;
use contract::{CopyFormat, Fault, Format, Lane, Quoted, Redacted, Redactor};

pub(super) const MALFORMED: Fault = Fault::upstream("COPY data from the database is not as its statement says");
/// Rows are rewritten in batches of about this size before the pump gets a turn.
pub(super) const BATCH_BYTES: usize = 256 << 10;
/// What binary data begins with, before flags and the length of an extension.
pub(super) const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";

/// A plan for the rows of one COPY.
pub(super) struct Planned<R> {
    /// Which statement of the text.
    pub(super) part: usize,
    pub(super) plan: R,
    pub(super) format: CopyFormat,
    /// Names of the columns.
    pub(super) names: Vec<Vec<u8>>,
}

/// A COPY whose rows are arriving.
pub(super) struct Copying<R> {
    planned: Planned<R>,
    /// The header line, or the binary signature, is behind.
    begun: bool,
    /// The end of binary data is behind.
    ended: bool,
    giant: Option<Giant>,
    /// A field as a value.
    plain: Vec<u8>,
}

/// Bytes of the whole CopyData frames at the front of `input`, up to `max` and the rest of the last.
pub(super) fn batch(input: &[u8], max: usize) -> usize {
    let mut taken = 0;
    while taken < max {
        let next = input.get(taken..).unwrap_or_default();
        let whole = next.first() == Some(&b'd')
            && next.len() >= HEADER_BYTES
            && (HEADER_BYTES..=next.len()).contains(&frame_at(next, 0));
        if !whole {
            break;
        }
        taken += frame_at(next, 0);
    }
    taken
}

/// Rows of such a batch in a format in which each has a frame of its own.
pub(super) fn frames(batch: &[u8]) -> u64 {
    let (mut at, mut frames) = (0, 0);
    while at < batch.len() {
        at += frame_at(batch, at);
        frames += 1;
    }
    frames
}

/// What was found in the frames of one batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    /// Rows, and what goes on lies there.
    There,
    /// Rows that have to be written again.
    Resized,
    /// Something that is read frame by frame; nothing was changed.
    Odd,
}

/// What a batch did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Batch {
    pub(super) rows: u64,
    pub(super) bytes: u64,
}

impl<R: Redactor> Copying<R> {
    /// Begins with the body of the CopyOutResponse: overall format, number of columns, format of each. `None` if it sends
    /// other columns than the plan is for.
    pub(super) fn new(planned: Planned<R>, response: &[u8]) -> Result<Option<Self>, Fault> {
        if planned.plan.planned().is_empty() {
            return Ok(Some(Self { planned, begun: true, ended: true, giant: None, plain: Vec::new() }));
        }
        let code = u8::from(planned.format == CopyFormat::Binary);
        let Some((&overall, rest)) = response.split_first() else { return Err(MALFORMED) };
        let Some((count, formats)) = rest.split_first_chunk::<2>() else { return Err(MALFORMED) };
        let columns = usize::from(u16::from_be_bytes(*count));
        let same = formats.len() == 2 * columns && formats.chunks_exact(2).all(|f| f == [0, code]);
        if overall != code || !same {
            return Err(MALFORMED);
        }
        if columns != planned.plan.width() {
            return Ok(None);
        }
        let begun = match &planned.format {
            CopyFormat::Text { header, .. } | CopyFormat::Csv { header, .. } => !header,
            CopyFormat::Binary => false,
        };
        Ok(Some(Self { planned, begun, ended: false, giant: None, plain: Vec::new() }))
    }

    /// Nothing is changed in its rows.
    pub(super) fn is_clear(&self) -> bool {
        self.planned.plan.planned().is_empty()
    }

    /// Handles the CopyData frame of `len` bytes at the front of `up`, and whole ones behind it within the first `max`
    /// bytes; `None` for more bytes.
    pub(super) fn step(
        &mut self,
        up: &mut Lane,
        len: usize,
        max: usize,
        walk: &mut Walk,
        scratch: &mut Vec<u8>,
    ) -> Result<Option<Batch>, Fault> {
        if self.giant.is_none() && up.input().len() < len {
            if len <= up.capacity_max() {
                up.want(len);
                return Ok(None);
            }
            let header = !self.begun;
            if header && self.planned.format != CopyFormat::Binary {
                return Err(MALFORMED); // a line of names is never as long
            }
            self.giant = Some(Giant::new(len, &self.planned.format, header));
            self.begun = true;
        }
        if let Some(giant) = &mut self.giant {
            let before = up.input().len();
            let complete = giant.step(up, &self.planned.plan)?;
            let taken = (before - up.input().len()) as u64;
            if complete {
                self.ended |= giant.ended();
                self.giant = None;
            }
            let rows = u64::from(complete);
            return Ok((complete || taken > 0).then_some(Batch { rows, bytes: taken }));
        }
        let end = up.input().len().min(max);
        let mut rows = 0;
        let (mut read, mut rest) = (0, None);
        let width = self.planned.plan.width();
        walk.begin(&self.planned.plan, end.min(BATCH_BYTES), HEADER_BYTES + width)?;
        let input = &mut up.input_mut()[..end];
        while read < BATCH_BYTES {
            let (taken, found) = self.walk(&mut input[read..], walk);
            if taken == 0 {
                break;
            }
            if found != Found::There {
                rest = Some(found);
                break;
            }
            rows += walk.rows() as u64;
            read += taken;
        }
        if read == 0 && rest.is_none() {
            return Err(MALFORMED);
        }
        up.pass(read);
        let Some(mut found) = rest else { return Ok(Some(Batch { rows, bytes: read as u64 })) };
        // The rest of the turn is written elsewhere, all of it, so that it leaves in one piece.
        let first = walk.len();
        let more = batch(&up.input()[..end - read], BATCH_BYTES.saturating_sub(read).max(first));
        up.replace(more, |input, out| {
            let (mut at, mut taken) = (0, first);
            while at < more {
                let frames = input.get_mut(at..at + taken).filter(|f| !f.is_empty()).ok_or(MALFORMED)?;
                match found {
                    Found::There => out.extend_from_slice(frames),
                    Found::Resized => self.rewrite(input, at, walk, out)?,
                    Found::Odd => {
                        let mut frame = 0;
                        while frame < taken {
                            let len = frame_at(frames, frame);
                            rows += self.frame(&frames[frame + HEADER_BYTES..frame + len], scratch, out)?;
                            frame += len;
                        }
                    }
                }
                if found != Found::Odd {
                    rows += walk.rows() as u64;
                }
                at += taken;
                (taken, found) = self.walk(&mut input[at..], walk);
            }
            Ok::<(), Fault>(())
        })?;
        Ok(Some(Batch { rows, bytes: (read + more) as u64 }))
    }

    /// Redacts the frames of one batch at the front of `input`, if each of them is one row and nothing in it needs a closer
    /// look. Their bytes, and what was found.
    fn walk(&self, input: &mut [u8], walk: &mut Walk) -> (usize, Found) {
        let Planned { plan, format, .. } = &self.planned;
        let found = |resized| if resized { Found::Resized } else { Found::There };
        let rows = self.begun && !self.ended;
        // The end of binary data is in a frame of its own, and a frame may have several rows.
        if rows
            && *format == CopyFormat::Binary
            && let Ok(taken) = walk.find(input, b'd', true)
        {
            return (taken, found(walk.redact(&mut input[..taken], plan, &Formats::Binary)));
        }
        let taken = walk.frames(input, b'd');
        let frames = &mut input[..taken];
        match format {
            CopyFormat::Text { delimiter, null, .. } if rows && walk.find_in_lines(frames, *delimiter, null) => {
                let resized = walk.redact(frames, plan, &Formats::Text);
                let special = |value: &[u8]| has_special(value, *delimiter);
                let escaped = walk.escape(frames, special, |value, out| write_text(value, *delimiter, out));
                (taken, found(resized | escaped))
            }
            _ => (taken, Found::Odd),
        }
    }

    /// Appends the rows of one batch at `at` of `input`, with what became of their values.
    fn rewrite(&self, input: &mut [u8], at: usize, walk: &Walk, out: &mut Vec<u8>) -> Result<(), Fault> {
        let framing = match &self.planned.format {
            CopyFormat::Text { null, .. } | CopyFormat::Csv { null, .. } => Framing::Bare(null),
            CopyFormat::Binary => Framing::Lengths,
        };
        walk.rewrite(input, at, out, framing)
    }

    /// A frame is half sent.
    pub(super) fn is_within_frame(&self) -> bool {
        self.giant.is_some()
    }

    /// The database says that was all.
    pub(super) fn finish(&self) -> Result<(), Fault> {
        let complete = self.ended || self.planned.format != CopyFormat::Binary;
        if complete && self.giant.is_none() { Ok(()) } else { Err(MALFORMED) }
    }

    /// Appends the masked frame; the rows in it.
    fn frame(&mut self, body: &[u8], scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<u64, Fault> {
        let begin = out.len();
        out.extend_from_slice(&[b'd', 0, 0, 0, 0]);
        let rows = match &self.planned.format {
            CopyFormat::Binary => self.tuples(body, scratch, out)?,
            CopyFormat::Text { .. } | CopyFormat::Csv { .. } => {
                let line = body.strip_suffix(b"\n").ok_or(MALFORMED)?;
                let rows = u64::from(self.begun);
                if self.begun {
                    self.line(line, scratch, out)?;
                } else {
                    self.header(line)?;
                    self.begun = true;
                    out.extend_from_slice(line);
                }
                out.push(b'\n');
                rows
            }
        };
        let length = u32::try_from(out.len() - begin - 1).map_err(|_| MALFORMED)?;
        out[begin + 1..begin + HEADER_BYTES].copy_from_slice(&length.to_be_bytes());
        Ok(rows)
    }

    /// The first line must be the names, not values.
    fn header(&mut self, line: &[u8]) -> Result<(), Fault> {
        let mut at = 0;
        for (i, name) in self.planned.names.iter().enumerate() {
            at = separated(line, at, i, &self.planned.format)?;
            let field = Field::read(line, at, &self.planned.format, &mut self.plain)?;
            let value = if field.plain { &line[at..field.end] } else { &self.plain[..] };
            if value != name {
                return Err(MALFORMED);
            }
            at = field.end;
        }
        if at == line.len() { Ok(()) } else { Err(MALFORMED) }
    }

    /// A line of text format in which nothing is escaped: every delimiter is one.
    fn plain_line(&self, line: &[u8], delimiter: u8, scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Fault> {
        let Planned { plan, format, .. } = &self.planned;
        let mut delimiters = memchr::memchr_iter(delimiter, line);
        let (mut kept, mut begin, mut seen) = (0, 0, 0);
        for (i, index) in plan.planned().iter().enumerate() {
            while seen < usize::from(*index) {
                begin = delimiters.next().ok_or(MALFORMED)? + 1;
                seen += 1;
            }
            let end = match delimiters.next() {
                Some(at) => {
                    seen += 1;
                    at
                }
                None => line.len(),
            };
            let value = line.get(begin..end).ok_or(MALFORMED)?;
            let redacted = if matches!(format, CopyFormat::Text { null, .. } if value == null.as_slice()) {
                Redacted::Keep
            } else {
                plan.redact(i, Format::Text, value, scratch)
            };
            if redacted != Redacted::Keep {
                out.extend_from_slice(&line[kept..begin]);
                kept = end;
                write_field((redacted == Redacted::Scratch).then_some(&scratch[..]), format, b"", out);
            }
            begin = end + 1;
        }
        if seen + delimiters.count() + 1 != plan.width() {
            return Err(MALFORMED);
        }
        out.extend_from_slice(&line[kept..]);
        Ok(())
    }

    fn line(&mut self, line: &[u8], scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<(), Fault> {
        if let CopyFormat::Text { delimiter, .. } = self.planned.format
            && memchr::memchr2(b'\\', b'\n', line).is_none()
        {
            return self.plain_line(line, delimiter, scratch, out);
        }
        let Planned { plan, format, names, .. } = &self.planned;
        let (mut kept, mut at) = (0, 0);
        let mut planned = plan.planned().iter().enumerate().peekable();
        for column in 0..plan.width() {
            at = separated(line, at, column, format)?;
            let begin = at;
            let field = Field::read(line, at, format, &mut self.plain)?;
            at = field.end;
            let Some((i, _)) = planned.next_if(|(_, index)| usize::from(**index) == column) else { continue };
            if field.null {
                continue;
            }
            let value = if field.plain { &line[begin..at] } else { &self.plain[..] };
            let redacted = plan.redact(i, Format::Text, value, scratch);
            if redacted == Redacted::Keep {
                continue;
            }
            out.extend_from_slice(&line[kept..begin]);
            kept = at;
            let new = (redacted == Redacted::Scratch).then_some(&scratch[..]);
            write_field(new, format, names.get(column).map_or(&[][..], Vec::as_slice), out);
        }
        if at != line.len() || planned.peek().is_some() {
            return Err(MALFORMED);
        }
        out.extend_from_slice(&line[kept..]);
        Ok(())
    }

    fn tuples(&mut self, body: &[u8], scratch: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<u64, Fault> {
        let Planned { plan, .. } = &self.planned;
        let mut at = 0;
        if !self.begun {
            at = binary_header(body).ok_or(MALFORMED)?.ok_or(MALFORMED)?;
            self.begun = true;
        }
        let (mut kept, mut rows) = (0, 0);
        while at < body.len() {
            if self.ended {
                return Err(MALFORMED);
            }
            let count = body.get(at..at + 2).map(|b| i16::from_be_bytes([b[0], b[1]])).ok_or(MALFORMED)?;
            at += 2;
            if count == -1 {
                self.ended = true;
                continue;
            }
            if usize::try_from(count) != Ok(plan.width()) {
                return Err(MALFORMED);
            }
            rows += 1;
            let mut planned = plan.planned().iter().enumerate().peekable();
            for column in 0..plan.width() {
                let begin = at;
                let length = body.get(at..at + 4).map(|b| i32::from_be_bytes([b[0], b[1], b[2], b[3]]));
                at += 4;
                let value = match length.ok_or(MALFORMED)? {
                    -1 => None,
                    n => {
                        let end = usize::try_from(n).ok().and_then(|n| at.checked_add(n)).ok_or(MALFORMED)?;
                        let value = body.get(at..end).ok_or(MALFORMED)?;
                        at = end;
                        Some(value)
                    }
                };
                let index = planned.next_if(|(_, index)| usize::from(**index) == column);
                let (Some((i, _)), Some(value)) = (index, value) else { continue };
                let redacted = plan.redact(i, Format::Binary, value, scratch);
                if redacted == Redacted::Keep {
                    continue;
                }
                out.extend_from_slice(&body[kept..begin]);
                kept = at;
                if redacted == Redacted::Null {
                    out.extend_from_slice(&(-1i32).to_be_bytes());
                } else {
                    out.extend_from_slice(&i32::try_from(scratch.len()).map_err(|_| MALFORMED)?.to_be_bytes());
                    out.extend_from_slice(scratch);
                }
            }
        }
        out.extend_from_slice(&body[kept..]);
        Ok(rows)
    }
}

/// Length of the binary header at the start of `body`; `Some(None)` while it is not all there.
pub(super) fn binary_header(body: &[u8]) -> Option<Option<usize>> {
    const FIXED: usize = SIGNATURE.len() + 8;
    let here = body.len().min(SIGNATURE.len());
    if body[..here] != SIGNATURE[..here] {
        return None;
    }
    let Some(rest) = body.get(SIGNATURE.len()..FIXED) else { return Some(None) };
    // Flags of the upper half change how the data is read.
    if rest[..2] != [0, 0] {
        return None;
    }
    let extension = u32::from_be_bytes([rest[4], rest[5], rest[6], rest[7]]) as usize;
    // The server writes none.
    if extension == 0 { Some(Some(FIXED)) } else { None }
}

/// Length of the frame at `at`, whose header is there.
fn frame_at(input: &[u8], at: usize) -> usize {
    1 + u32::from_be_bytes([input[at + 1], input[at + 2], input[at + 3], input[at + 4]]) as usize
}

/// Steps over the delimiter before every field but the first.
fn separated(line: &[u8], at: usize, column: usize, format: &CopyFormat) -> Result<usize, Fault> {
    let (CopyFormat::Text { delimiter, .. } | CopyFormat::Csv { delimiter, .. }) = format else {
        return Err(MALFORMED);
    };
    match column {
        0 => Ok(at),
        _ if line.get(at) == Some(delimiter) => Ok(at + 1),
        _ => Err(MALFORMED),
    }
}

/// A field of a line.
struct Field {
    end: usize,
    null: bool,
    /// The bytes of the line are the value; otherwise it was written to the buffer.
    plain: bool,
}

impl Field {
    /// Reads the field that begins at `begin`.
    fn read(line: &[u8], begin: usize, format: &CopyFormat, value: &mut Vec<u8>) -> Result<Self, Fault> {
        let rest = line.get(begin..).ok_or(MALFORMED)?;
        let (len, plain, null) = match format {
            CopyFormat::Text { delimiter, null, .. } => {
                let (len, plain) = text_field(rest, *delimiter, null, value)?;
                (len, plain, &rest[..len] == null.as_slice())
            }
            CopyFormat::Csv { quote, escape, .. } if rest.first() == Some(quote) => {
                (csv_quoted(rest, *quote, *escape, value)?, false, false)
            }
            CopyFormat::Csv { delimiter, quote, null, .. } => {
                let len = memchr::memchr(*delimiter, rest).unwrap_or(rest.len());
                let field = &rest[..len];
                if memchr::memchr3(*quote, b'\n', b'\r', field).is_some() {
                    return Err(MALFORMED);
                }
                (len, true, field == null.as_slice())
            }
            CopyFormat::Binary => return Err(MALFORMED),
        };
        Ok(Self { end: begin + len, null, plain })
    }
}

/// The field of text format at the start of `rest`: its length, and whether it is written as the value is.
fn text_field(rest: &[u8], delimiter: u8, null: &[u8], value: &mut Vec<u8>) -> Result<(usize, bool), Fault> {
    if rest.strip_prefix(null).is_some_and(|behind| behind.first().is_none_or(|b| *b == delimiter)) {
        return Ok((null.len(), true));
    }
    value.clear();
    let (mut at, mut kept) = (0, 0);
    while let Some(found) = memchr::memchr3(delimiter, b'\\', b'\n', &rest[at..]) {
        at += found;
        match rest[at] {
            b'\\' => {
                let meant = match *rest.get(at + 1).ok_or(MALFORMED)? {
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'v' => 11,
                    b'\\' => b'\\',
                    d if d == delimiter => d,
                    _ => return Err(MALFORMED),
                };
                value.extend_from_slice(&rest[kept..at]);
                value.push(meant);
                at += 2;
                kept = at;
            }
            b'\n' => return Err(MALFORMED),
            _ => {
                if kept > 0 {
                    value.extend_from_slice(&rest[kept..at]);
                }
                return Ok((at, kept == 0));
            }
        }
    }
    if kept > 0 {
        value.extend_from_slice(&rest[kept..]);
    }
    Ok((rest.len(), kept == 0))
}

/// The quoted field of CSV at the start of `rest`: its length.
fn csv_quoted(rest: &[u8], quote: u8, escape: u8, value: &mut Vec<u8>) -> Result<usize, Fault> {
    value.clear();
    let mut at = 1;
    loop {
        let found = memchr::memchr2(quote, escape, &rest[at..]).ok_or(MALFORMED)?;
        value.extend_from_slice(&rest[at..at + found]);
        at += found;
        match rest.get(at + 1) {
            Some(next) if rest[at] == escape && (*next == quote || *next == escape) => {
                value.push(*next);
                at += 2;
            }
            _ if rest[at] == quote => return Ok(at + 1),
            _ => {
                value.push(rest[at]);
                at += 1;
            }
        }
    }
}

/// Appends a field as the server would write it; `None` is NULL.
fn write_field(value: Option<&[u8]>, format: &CopyFormat, name: &[u8], out: &mut Vec<u8>) {
    match format {
        CopyFormat::Text { delimiter, null, .. } => match value {
            None => out.extend_from_slice(null),
            Some(value) => write_text(value, *delimiter, out),
        },
        CopyFormat::Csv { delimiter, quote, escape, null, quoted, .. } => match value {
            None => out.extend_from_slice(null),
            Some(value) => {
                let special = |b: u8| (b == *delimiter) | (b == *quote) | (b == b'\n') | (b == b'\r');
                let special = value.iter().fold(0u8, |any, b| any | u8::from(special(*b))) != 0;
                let needed = special || value == null.as_slice() || value == b"\\.";
                if needed || Quoted::has(quoted, name) {
                    out.push(*quote);
                    for byte in value {
                        if byte == quote || byte == escape {
                            out.push(*escape);
                        }
                        out.push(*byte);
                    }
                    out.push(*quote);
                } else {
                    out.extend_from_slice(value);
                }
            }
        },
        CopyFormat::Binary => debug_assert!(false, "tuples are written where they are read"),
    }
}

/// A value of text format that is not written as it is: eight bytes at a time, the last ones twice.
fn has_special(value: &[u8], delimiter: u8) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    let delimiters = ONES * u64::from(delimiter);
    let backslashes = ONES * u64::from(b'\\');
    // The high bit of some byte is set if there is a byte below `n`, which is 128 at most.
    let below = |word: u64, n: u8| word.wrapping_sub(ONES * u64::from(n)) & !word;
    let special =
        |word: u64| (below(word, b' ') | below(word ^ delimiters, 1) | below(word ^ backslashes, 1)) & HIGH != 0;
    if let Some(last) = value.last_chunk::<8>() {
        let (words, _) = value.as_chunks::<8>();
        let all = words.iter().fold(false, |any, word| any | special(u64::from_ne_bytes(*word)));
        return all | special(u64::from_ne_bytes(*last));
    }
    value.iter().any(|b| *b < b' ' || *b == b'\\' || *b == delimiter)
}

fn write_text(value: &[u8], delimiter: u8, out: &mut Vec<u8>) {
    if !has_special(value, delimiter) {
        out.extend_from_slice(value);
        return;
    }
    for byte in value {
        let letter = match *byte {
            8 => b'b',
            12 => b'f',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            11 => b'v',
            b'\\' => b'\\',
            d if d == delimiter => d,
            plain => {
                out.push(plain);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', letter]);
    }
}

#[cfg(test)]
mod tests {
    use super::has_special;

    #[test]
    fn every_special_byte_is_seen_in_every_place() {
        for delimiter in *b"\t,|*" {
            for len in 0..40 {
                assert!(!has_special(&vec![b'a'; len], delimiter));
                assert!(!has_special(&vec![0xff; len], delimiter));
                for at in 0..len {
                    for byte in 0..=255u8 {
                        let mut value = vec![b'~'; len];
                        value[at] = byte;
                        let special = byte < b' ' || byte == b'\\' || byte == delimiter;
                        assert_eq!(has_special(&value, delimiter), special, "{byte} at {at} of {len}");
                    }
                }
            }
        }
    }
}
