//! Places: street addresses with what follows them, postal codes, coordinates.
//!
//! Deliberately absent: place names on their own.

use crate::context::{Context, say};

use super::byte;
use super::groups::{Groups, digits};

/// Last words of street names, as written out and as the postal service abbreviates them.
const STREET_WORDS: &[&[u8]] = &[
    b"street",
    b"st",
    b"avenue",
    b"ave",
    b"road",
    b"rd",
    b"lane",
    b"ln",
    b"drive",
    b"dr",
    b"boulevard",
    b"blvd",
    b"court",
    b"ct",
    b"way",
    b"place",
    b"pl",
    b"terrace",
    b"ter",
    b"circle",
    b"cir",
    b"parkway",
    b"pkwy",
    b"highway",
    b"hwy",
    b"square",
    b"sq",
    b"trail",
    b"trl",
];
/// Words of a street name before its last one.
const STREET_NAME_WORDS_MAX: usize = 4;

/// A street address from its house number on: number, one to four words that begin with a capital or a digit, a street
/// word; and the flat, city, state and postal code where they follow.
pub(super) fn address(text: &[u8], at: usize, context: &mut impl FnMut() -> Context) -> Option<usize> {
    let number = digits(text, at);
    if !(1..=6).contains(&number) {
        return None;
    }
    let mut end = at + number;
    // 12B Oak Street
    end += usize::from(text.get(end).is_some_and(u8::is_ascii_alphabetic));
    for words in 0..=STREET_NAME_WORDS_MAX {
        let rest = text.get(end..)?;
        let blanks = rest.iter().take(3).take_while(|b| **b == b' ').count();
        let word = rest.get(blanks..).unwrap_or_default();
        let len = word.iter().take(25).take_while(|b| b.is_ascii_alphanumeric() || **b == b'\'' || **b >= 0x80).count();
        let word = word.get(..len).unwrap_or_default();
        if blanks == 0 || len == 0 {
            return None;
        }
        let begin = end + blanks;
        end = begin + len;
        if words > 0 && STREET_WORDS.iter().any(|s| word.eq_ignore_ascii_case(s)) {
            // `12 Lead ECG ST`, `2 Head CT`: abbreviations in capitals are words of medicine too.
            let shouted = len <= 3 && word.iter().all(u8::is_ascii_uppercase);
            let sure = number >= 3 && text.get(at..end).is_some_and(|t| !t.iter().any(u8::is_ascii_lowercase));
            if shouted && !sure && !context().says(say::HOME) {
                return None;
            }
            return Some(locality(text, end));
        }
        let named = word.first().is_some_and(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b >= 0x80);
        if !named {
            return None;
        }
        end += usize::from(text.get(end) == Some(&b'.'));
    }
    None
}

/// What belongs to a street address that ends at `end`: `., Apt 4B, New York, NY 10001`.
fn locality(text: &[u8], end: usize) -> usize {
    const FLATS: &[&[u8]] = &[b"apt", b"apartment", b"suite", b"ste", b"unit", b"fl", b"floor", b"room", b"rm", b"#"];
    let gap = |at: usize| {
        text.get(at..).unwrap_or_default().iter().take(3).take_while(|b| matches!(b, b' ' | b',' | b'.')).count()
    };
    let word = |at: usize| {
        text.get(at..)
            .unwrap_or_default()
            .iter()
            .take(25)
            .take_while(|b| b.is_ascii_alphabetic() || **b >= 0x80 || **b == b'\'')
            .count()
    };
    let mut best = end;
    let mut at = end + gap(end);
    let flat = if text.get(at) == Some(&b'#') { 1 } else { word(at) };
    if text.get(at..at + flat).is_some_and(|w| FLATS.iter().any(|f| w.eq_ignore_ascii_case(f))) {
        let value = at + flat + gap(at + flat) + usize::from(text.get(at + flat + 1) == Some(&b'#'));
        let len = text
            .get(value..)
            .unwrap_or_default()
            .iter()
            .take(6)
            .take_while(|b| b.is_ascii_alphanumeric() || **b == b'-')
            .count();
        if len > 0 {
            best = value + len;
            at = best + gap(best);
        }
    }
    // One to four words, then a state and perhaps a postal code.
    for _ in 0..4 {
        let len = word(at);
        let capital = text.get(at).is_some_and(|b| b.is_ascii_uppercase() || *b >= 0x80);
        if len == 0 || !capital {
            break;
        }
        let next = at + len + gap(at + len);
        if text.get(at + len..next) == Some(b"") {
            break;
        }
        let code = text.get(next..next + 2).unwrap_or_default();
        let ends = !text.get(next + 2).is_some_and(u8::is_ascii_alphabetic);
        if ends && STATES.as_chunks::<2>().0.iter().any(|s| s == code) {
            let zip = next + 2 + gap(next + 2);
            best = match digits(text, zip) {
                5 if text.get(zip + 5) == Some(&b'-') && digits(text, zip + 6) == 4 => zip + 10,
                5 => zip + 5,
                _ => next + 2,
            };
            break;
        }
        at = next;
    }
    best
}

/// Degrees of latitude and longitude: `40.7128° N, 74.0060° W`, `40.7128, -74.0060`.
pub(super) fn coordinates(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let (first, marked) = degrees(text, at, 90)?;
    let mut next = first;
    next += text.get(next..)?.iter().take(2).take_while(|b| matches!(b, b',' | b' ' | b'/' | b';')).count();
    let minus = usize::from(matches!(text.get(next), Some(b'-' | b'+')));
    let sign = usize::from(matches!(at.checked_sub(1).and_then(|i| text.get(i)), Some(b'-' | b'+')));
    match degrees(text, next + minus, 180) {
        Some((second, _)) if next > first => Some((at - sign, second)),
        _ if marked => Some((at - sign, first)),
        _ => None,
    }
}

/// One number of degrees with at least three decimals; where it ends, and whether a quarter of the sky follows.
fn degrees(text: &[u8], at: usize, most: u32) -> Option<(usize, bool)> {
    let whole = digits(text, at);
    if !(1..=3).contains(&whole) || text.get(at + whole) != Some(&b'.') {
        return None;
    }
    let value = crate::dates::number(text.get(at..)?).0;
    let decimals = digits(text, at + whole + 1);
    if value > most || !(3..=10).contains(&decimals) {
        return None;
    }
    let plain = at + whole + 1 + decimals;
    let mut end = plain;
    if text.get(end..end + 2) == Some("\u{b0}".as_bytes()) {
        end += 2;
    }
    let signed = end > plain;
    let blank = usize::from(text.get(end) == Some(&b' '));
    let quarter = matches!(text.get(end + blank), Some(b'N' | b'S' | b'E' | b'W'))
        && !text.get(end + blank + 1).is_some_and(u8::is_ascii_alphanumeric);
    if quarter {
        return Some((end + blank + 1, true));
    }
    // Without marks: four decimals, or it is a measurement.
    (signed || decimals >= 4).then_some((end, false))
}

/// Postal abbreviations of states, territories and military areas.
const STATES: &[u8] = b"ALAKAZARCACOCTDEDCFLGAHIIDILINIAKSKYLAMEMDMAMIMNMSMOMTNENVNHNJNMNYNCNDOHOKORPARISCSDTNTXUTVTVAWAWVWIWYPRGUVIASMPAAAEAP";

pub(super) fn zip(text: &[u8], at: usize, groups: &Groups, context: &mut impl FnMut() -> Context) -> Option<usize> {
    if groups.len[0] != 5 {
        return None;
    }
    let blanks =
        text.get(at.saturating_sub(3)..at)?.iter().rev().take_while(|b| matches!(b, b' ' | b',' | b'.')).count();
    let edge = at - blanks;
    let code = edge.checked_sub(2).and_then(|i| text.get(i..edge)).unwrap_or_default();
    let alone = !byte(text, edge, 3).is_some_and(|b| b.is_ascii_alphanumeric());
    let state = blanks > 0 && alone && STATES.chunks_exact(2).any(|s| s == code);
    if !state && !context().tells(say::ZIP) {
        return None;
    }
    let plus_four = groups.count >= 2 && groups.separator[0] == b'-' && groups.len[1] == 4;
    Some(groups.end(if plus_four { 2 } else { 1 }))
}
