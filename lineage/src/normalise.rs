//! Statement texts with their literals taken out: cache keys and fingerprints.
//!
//! [`normalise`] is for keys: it gives up on whatever it is not sure of, and keeps every other byte, so that two texts of
//! equal normal form differ in nothing but the values of plain numbers and plain strings. [`fingerprint`] is for reports:
//! it never gives up, drops comments, and puts no literal of any kind into the hash.

use crate::lex::{Lexer, Token, continues_word};

/// What stands for a number and for a string. They differ, since `interval 1` and `interval '1'` do.
const NUMBER: u8 = b'?';
const STRING: &[u8] = b"'?'";

/// Writes the normal form of `text` to `out` (cleared first) and returns its hash.
///
/// Numbers become `?` and strings `'?'`. `None` when the text holds a comment, a backslash, a prefixed or dollar-quoted
/// literal, a number glued to something else, or does not end well.
pub fn normalise(text: &[u8], out: &mut Vec<u8>) -> Option<u64> {
    out.clear();
    let mut kept = 0;
    let mut at = 0;
    // The byte before `at` belongs to a word, parameter or number.
    let mut glued = false;
    while let Some(&byte) = text.get(at) {
        match CLASS[byte as usize] {
            Class::Plain => {
                glued = false;
                at += 1;
            }
            Class::Word => {
                glued = true;
                at += 1;
                while text.get(at).is_some_and(|b| matches!(CLASS[*b as usize], Class::Word | Class::Digit)) {
                    at += 1;
                }
            }
            Class::Digit if glued => at += 1,
            Class::Digit => {
                let start = if at > 0 && text[at - 1] == b'.' { at - 1 } else { at };
                if start < at && start > 0 && !matches!(text[start - 1], b' ' | b'(' | b',' | b'=' | b'\n' | b'\t') {
                    return None;
                }
                let end = number_end(text, at)?;
                out.extend_from_slice(&text[kept..start]);
                out.push(NUMBER);
                at = end;
                kept = end;
            }
            Class::Apostrophe => {
                if glued || prefixed(text, at) {
                    return None;
                }
                let end = string_end(text, at)?;
                out.extend_from_slice(&text[kept..at]);
                out.extend_from_slice(STRING);
                at = end;
                kept = end;
            }
            Class::Quote => {
                if glued || prefixed(text, at) {
                    return None;
                }
                at = quoted_end(text, at)?;
            }
            Class::Doubtful => match (byte, text.get(at + 1)) {
                (b'-', Some(b'-')) | (b'/', Some(b'*')) | (b'\\' | 0, _) => return None,
                (b'$', Some(b'0'..=b'9')) if !glued => {
                    at += 1;
                    while text.get(at).is_some_and(u8::is_ascii_digit) {
                        at += 1;
                    }
                    if text.get(at).is_some_and(|b| continues_word(*b)) {
                        return None;
                    }
                }
                (b'$', _) if !glued => return None,
                (b'$', _) => at += 1,
                _ => {
                    glued = false;
                    at += 1;
                }
            },
        }
    }
    out.extend_from_slice(&text[kept..]);
    Some(hash(out))
}

/// `U&"…"`, whose meaning depends on a string literal after it.
fn prefixed(text: &[u8], quote: usize) -> bool {
    quote > 0 && text[quote - 1] == b'&'
}

#[derive(Clone, Copy)]
enum Class {
    Plain,
    Word,
    Digit,
    Apostrophe,
    Quote,
    Doubtful,
}

static CLASS: [Class; 256] = {
    let mut table = [Class::Plain; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "the loop ends at 256")]
        let b = byte as u8;
        table[byte] = match b {
            b'0'..=b'9' => Class::Digit,
            b'\'' => Class::Apostrophe,
            b'"' => Class::Quote,
            b'-' | b'/' | b'\\' | b'$' | 0 => Class::Doubtful,
            _ if crate::lex::starts_word(b) => Class::Word,
            _ => Class::Plain,
        };
        byte += 1;
    }
    table
};

/// `1`, `1.5`, `1e-5`; `None` for anything with more to it.
fn number_end(text: &[u8], start: usize) -> Option<usize> {
    let digits = |mut at: usize| {
        while text.get(at).is_some_and(u8::is_ascii_digit) {
            at += 1;
        }
        at
    };
    let mut at = digits(start);
    if text.get(at) == Some(&b'.') {
        at = digits(at + 1);
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let sign = usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        if !text.get(at + 1 + sign)?.is_ascii_digit() {
            return None;
        }
        at = digits(at + 1 + sign);
    }
    match text.get(at) {
        Some(b'.' | b'"' | b'\'') => None,
        Some(b) if continues_word(*b) => None,
        _ => Some(at),
    }
}

/// After the closing apostrophe; doubled ones are inside. No backslashes.
fn string_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match text.get(at)? {
            b'\'' if text.get(at + 1) == Some(&b'\'') => at += 2,
            b'\'' => break,
            b'\\' | 0 => return None,
            _ => at += 1,
        }
    }
    match text.get(at + 1) {
        Some(b) if continues_word(*b) || *b == b'"' => None,
        _ => Some(at + 1),
    }
}

/// After the closing quote of an identifier.
fn quoted_end(text: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        match text.get(at)? {
            b'"' if text.get(at + 1) == Some(&b'"') => at += 2,
            b'"' => break,
            b'\\' | 0 => return None,
            _ => at += 1,
        }
    }
    match text.get(at + 1) {
        Some(b) if continues_word(*b) || *b == b'\'' => None,
        _ => Some(at + 1),
    }
}

/// Stable hash of a statement with literals and comments taken out.
#[must_use]
pub fn fingerprint(text: &[u8]) -> u64 {
    let mut form = Vec::with_capacity(text.len());
    for (token, start, end) in Lexer::new(text) {
        match token {
            Token::Space | Token::Comment => {
                if form.last().is_some_and(|b| *b != b' ') {
                    form.push(b' ');
                }
            }
            Token::Text | Token::OtherText => form.extend_from_slice(STRING),
            Token::Number => form.push(NUMBER),
            Token::Word | Token::Quoted | Token::Parameter | Token::Mark(_) => {
                form.extend_from_slice(&text[start..end])
            }
        }
    }
    hash(form.trim_ascii_end())
}

/// A stable 64-bit hash. Equality of texts is never concluded from it.
pub(crate) fn hash(bytes: &[u8]) -> u64 {
    const SEED: u64 = 0x9e37_79b9_7f4a_7c15;
    const STEP: u64 = 0xd6e8_feb8_6659_fd93;
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let (low, high) = (product as u64, (product >> 64) as u64);
        low ^ high
    };
    let mut state = SEED ^ bytes.len() as u64;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        state = fold(state ^ u64::from_le_bytes(*word), STEP).wrapping_add(SEED);
    }
    let mut last = [0u8; 8];
    last[..rest.len()].copy_from_slice(rest);
    state = fold(state ^ u64::from_le_bytes(last), STEP);
    fold(state ^ SEED, STEP)
}
