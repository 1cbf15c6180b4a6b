//! Arrays, redacted element by element.
//!
//! Invariants: dimensions, bounds and NULL elements are kept; whatever is not exactly the form the server writes gives
//! `None`, and then nothing of the value may be used. Both forms of one array go through the same elements in the same
//! order. Deliberately absent: what becomes of an element (the caller says).

use crate::free_text::Scanner;
use crate::redact::{Format, Redacted, grown_max};

/// Most dimensions the server allows.
const DIMENSIONS_MAX: i32 = 6;
/// OIDs from here on are not the server's own: types that extensions and users made.
const FIRST_USER_OID: u32 = 16_384;

/// What becomes of one element.
pub(crate) trait Element {
    /// Redacts one element that is not NULL into `out`, which is cleared first.
    fn redact(&self, format: Format, value: &[u8], out: &mut Vec<u8>) -> Redacted;
}

impl Element for Scanner {
    fn redact(&self, format: Format, value: &[u8], out: &mut Vec<u8>) -> Redacted {
        self.apply(format, value, out)
    }
}

/// Appends the redacted form of an array of `element_oid`; `None` if it is malformed.
pub(crate) fn redact(
    element: &dyn Element,
    element_oid: u32,
    format: Format,
    value: &[u8],
    out: &mut Vec<u8>,
) -> Option<()> {
    match format {
        Format::Text => text(element, value, out),
        Format::Binary => binary(element, element_oid, value, out),
    }
}

/// ```text
/// i32 dimensions │ i32 has NULLs │ u32 element type │ dimensions × (i32 size, i32 lower bound) │ i32 length, bytes │ …
/// ```
fn binary(element: &dyn Element, element_oid: u32, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let word = |at: usize| value.get(at..at + 4)?.try_into().ok().map(i32::from_be_bytes);
    let dimensions = word(0)?;
    let of = word(8)?.cast_unsigned();
    if !(0..=DIMENSIONS_MAX).contains(&dimensions) || !(of == element_oid || of >= FIRST_USER_OID) {
        return None;
    }
    let mut at = 12;
    let mut elements: u64 = u64::from(dimensions > 0);
    for _ in 0..dimensions {
        elements = elements.checked_mul(u64::try_from(word(at)?).ok()?)?;
        word(at + 4)?;
        at += 8;
    }
    let begin = out.len();
    out.extend_from_slice(value.get(..at)?);
    let mut nulls = word(4)? != 0;
    let mut redacted = Vec::new();
    let most = grown_max(value);
    for _ in 0..elements {
        let length = word(at)?;
        at += 4;
        if out.len() > most {
            return None;
        }
        if length == -1 {
            nulls = true;
            out.extend_from_slice(&length.to_be_bytes());
            continue;
        }
        let end = at.checked_add(usize::try_from(length).ok()?)?;
        let one = value.get(at..end)?;
        at = end;
        let new = match element.redact(Format::Binary, one, &mut redacted) {
            Redacted::Keep => one,
            Redacted::Scratch => &redacted,
            Redacted::Null => {
                nulls = true;
                out.extend_from_slice(&(-1i32).to_be_bytes());
                continue;
            }
        };
        out.extend_from_slice(&i32::try_from(new.len()).ok()?.to_be_bytes());
        out.extend_from_slice(new);
    }
    out.get_mut(begin + 4..begin + 8)?.copy_from_slice(&i32::from(nulls).to_be_bytes());
    (at == value.len()).then_some(())
}

/// `{1,NULL,"a \"b\""}`, nested, perhaps with bounds in front: `[0:1]={…}`.
fn text(element: &dyn Element, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
    let mut at = 0;
    if value.first() == Some(&b'[') {
        at = memchr::memchr(b'=', value)? + 1;
        let bounds = value.get(..at)?;
        if !bounds.iter().all(|b| matches!(b, b'[' | b']' | b':' | b'-' | b'+' | b'=' | b'0'..=b'9')) {
            return None;
        }
        out.extend_from_slice(bounds);
    }
    let mut depth = 0u32;
    let mut plain = Vec::new();
    let mut redacted = Vec::new();
    // An element, or a nested array, may begin here.
    let mut open = true;
    let most = grown_max(value);
    loop {
        if out.len() > most {
            return None;
        }
        match *value.get(at)? {
            b'{' if open => {
                depth += 1;
                out.push(b'{');
                at += 1;
            }
            b'}' if depth > 0 => {
                depth -= 1;
                out.push(b'}');
                at += 1;
                open = false;
                if depth == 0 {
                    break;
                }
            }
            b',' if depth > 0 && !open => {
                out.push(b',');
                at += 1;
                open = true;
            }
            _ if depth == 0 || !open => return None,
            first => {
                let begin = at;
                plain.clear();
                at = if first == b'"' { quoted(value, at, &mut plain)? } else { bare(value, at, &mut plain)? };
                let raw = value.get(begin..at)?;
                open = false;
                if first != b'"' && plain.eq_ignore_ascii_case(b"null") {
                    out.extend_from_slice(raw);
                    continue;
                }
                match element.redact(Format::Text, &plain, &mut redacted) {
                    Redacted::Keep => out.extend_from_slice(raw),
                    Redacted::Null => out.extend_from_slice(b"NULL"),
                    Redacted::Scratch => write_element(&redacted, out),
                }
            }
        }
    }
    (at == value.len()).then_some(())
}

/// Reads a quoted element; the position after it.
fn quoted(value: &[u8], begin: usize, plain: &mut Vec<u8>) -> Option<usize> {
    let mut at = begin + 1;
    loop {
        match *value.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => {
                plain.push(*value.get(at + 1)?);
                at += 2;
            }
            other => {
                plain.push(other);
                at += 1;
            }
        }
    }
}

/// Reads an element without quotes; the position after it.
fn bare(value: &[u8], begin: usize, plain: &mut Vec<u8>) -> Option<usize> {
    let rest = value.get(begin..)?;
    let len = rest.iter().position(|b| matches!(b, b',' | b'{' | b'}' | b'"' | b'\\'))?;
    let stop = rest.get(len)?;
    if len == 0 || !matches!(stop, b',' | b'}') {
        return None;
    }
    plain.extend_from_slice(rest.get(..len)?);
    Some(begin + len)
}

/// As the server writes an element: in quotes where it could be read as something else.
fn write_element(value: &[u8], out: &mut Vec<u8>) {
    let special = |b: &u8| matches!(b, b'"' | b'\\' | b'{' | b'}' | b',' | b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c);
    if !value.is_empty() && !value.eq_ignore_ascii_case(b"null") && !value.iter().any(special) {
        out.extend_from_slice(value);
        return;
    }
    out.push(b'"');
    for byte in value {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
}
