//! JSON documents, redacted leaf by leaf.
//!
//! Invariants: keys, order, white space and nesting are kept; every string and number is redacted as text, `true` and
//! `false` become `null`; a document that is not exactly JSON gives `None`, and then nothing of it may be used. No
//! recursion: depth costs one byte a level. Deliberately absent: looking at what keys say.

use crate::redact::{Format, Redacted, Step, grown_max};

/// What may stand next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Value,
    /// A value, or the end of an array that has just begun.
    ValueOrEnd,
    Key,
    /// A key, or the end of an object that has just begun.
    KeyOrEnd,
    Colon,
    CommaOrEnd,
}

/// Appends `json` with its leaves changed by `leaf`, a step for text.
pub(crate) fn redact(leaf: &Step, json: &[u8], out: &mut Vec<u8>) -> Option<()> {
    std::str::from_utf8(json).ok()?;
    let mut open: Vec<u8> = Vec::new();
    let mut next = Next::Value;
    let (mut at, mut plain, mut redacted) = (0, Vec::new(), Vec::new());
    let most = grown_max(json);
    loop {
        if out.len() > most {
            return None;
        }
        let blank = json.get(at..)?.iter().take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r')).count();
        out.extend_from_slice(json.get(at..at + blank)?);
        at += blank;
        if next == Next::CommaOrEnd && open.is_empty() {
            break;
        }
        let byte = *json.get(at)?;
        let value = matches!(next, Next::Value | Next::ValueOrEnd);
        match byte {
            b'{' | b'[' if value => {
                open.push(byte);
                next = if byte == b'{' { Next::KeyOrEnd } else { Next::ValueOrEnd };
            }
            b'}' if matches!(next, Next::KeyOrEnd | Next::CommaOrEnd) && open.last() == Some(&b'{') => {
                open.pop();
                next = Next::CommaOrEnd;
            }
            b']' if matches!(next, Next::ValueOrEnd | Next::CommaOrEnd) && open.last() == Some(&b'[') => {
                open.pop();
                next = Next::CommaOrEnd;
            }
            b',' if next == Next::CommaOrEnd => {
                next = if open.last() == Some(&b'{') { Next::Key } else { Next::Value };
            }
            b':' if next == Next::Colon => next = Next::Value,
            b'"' if matches!(next, Next::Key | Next::KeyOrEnd) => {
                let end = string(json, at, &mut plain)?;
                out.extend_from_slice(json.get(at..end)?);
                at = end;
                next = Next::Colon;
                continue;
            }
            b'"' if value => {
                let end = string(json, at, &mut plain)?;
                match leaf.apply(Format::Text, &plain, &mut redacted) {
                    Redacted::Keep => out.extend_from_slice(json.get(at..end)?),
                    Redacted::Null => out.extend_from_slice(b"null"),
                    Redacted::Scratch => write_string(&redacted, out),
                }
                at = end;
                next = Next::CommaOrEnd;
                continue;
            }
            b'-' | b'0'..=b'9' if value => {
                let end = at + number(json.get(at..)?)?;
                let digits = json.get(at..end)?;
                match leaf.apply(Format::Text, digits, &mut redacted) {
                    Redacted::Keep => out.extend_from_slice(digits),
                    Redacted::Null => out.extend_from_slice(b"null"),
                    Redacted::Scratch if number(&redacted) == Some(redacted.len()) => out.extend_from_slice(&redacted),
                    Redacted::Scratch => write_string(&redacted, out),
                }
                at = end;
                next = Next::CommaOrEnd;
                continue;
            }
            b't' | b'f' | b'n' if value => {
                let rest = json.get(at..)?;
                let word = [&b"true"[..], b"false", b"null"].into_iter().find(|w| rest.starts_with(w))?;
                out.extend_from_slice(b"null");
                at += word.len();
                next = Next::CommaOrEnd;
                continue;
            }
            _ => return None,
        }
        out.push(byte);
        at += 1;
    }
    (at == json.len()).then_some(())
}

/// Length of the number at the start of `text`.
fn number(text: &[u8]) -> Option<usize> {
    let digits = |from: usize| text.get(from..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).count();
    let mut at = usize::from(text.first() == Some(&b'-'));
    let whole = digits(at);
    if whole == 0 || (whole > 1 && text.get(at) == Some(&b'0')) {
        return None;
    }
    at += whole;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(at + 1);
        if fraction == 0 {
            return None;
        }
        at += 1 + fraction;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(at + 1 + sign);
        if exponent == 0 {
            return None;
        }
        at += 1 + sign + exponent;
    }
    Some(at)
}

/// Decodes the string that begins at `begin`; the position after it. A lone surrogate becomes U+FFFD.
fn string(json: &[u8], begin: usize, plain: &mut Vec<u8>) -> Option<usize> {
    plain.clear();
    let mut at = begin + 1;
    let unit = |at: usize| {
        let hex = json.get(at..at + 4)?;
        hex.iter().try_fold(0u32, |n, b| Some(n << 4 | char::from(*b).to_digit(16)?))
    };
    loop {
        let byte = *json.get(at)?;
        at += 1;
        match byte {
            b'"' => return Some(at),
            0..0x20 => return None,
            b'\\' => {
                let escape = *json.get(at)?;
                at += 1;
                plain.push(match escape {
                    b'"' | b'\\' | b'/' => escape,
                    b'b' => 8,
                    b'f' => 12,
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'u' => {
                        let mut code = unit(at)?;
                        at += 4;
                        if (0xd800..0xdc00).contains(&code) && json.get(at..at + 2) == Some(b"\\u") {
                            let low = unit(at + 2)?;
                            if (0xdc00..0xe000).contains(&low) {
                                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                                at += 6;
                            }
                        }
                        let character = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                        plain.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                        continue;
                    }
                    _ => return None,
                });
            }
            other => plain.push(other),
        }
    }
}

/// Appends `text` as a JSON string.
fn write_string(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            // Not as the escape of NUL, which jsonb does not take.
            0 => out.push(b'*'),
            1..0x20 => crate::redact::append(out, format_args!("\\u{byte:04x}")),
            _ => out.push(*byte),
        }
    }
    out.push(b'"');
}
