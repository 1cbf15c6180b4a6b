//! Dates and ages in prose: the forms of [`crate::dates`], and what decides where a form alone is ambiguous.
//!
//! Deliberately absent: times of day without a date, years alone, and ages up to 89.

use crate::context::{Context, say};
use crate::dates;

use super::byte;
use super::groups::Groups;

/// A date that begins at the digit `at`, or whose month stands before it.
pub(super) fn date(
    text: &[u8],
    at: usize,
    middle: bool,
    in_word: bool,
    groups: &Groups,
    context: &mut impl FnMut() -> Context,
) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    let letter = byte(text, at, 1).is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    // Three groups with one sign between them, the first a day, a month or a year.
    let three = groups.count >= 3 && groups.separator[0] == groups.separator[1] && matches!(groups.len[0], 1 | 2 | 4);
    if three
        && !middle
        && (!in_word || letter)
        && let Some(found) = dates::numeric(rest)
    {
        let end = at + found.len;
        // A fourth part makes it something else (an address, a version).
        let longer =
            matches!(text.get(end), Some(b'.' | b'-' | b'/')) && text.get(end + 1).is_some_and(u8::is_ascii_digit);
        let year_first = groups.len[0] == 4;
        // `5-10-15 minutes`
        let series = groups.separator[0] == b'-' && !year_first && groups.len[2] == 2 && groups.len[..2] != [2, 2];
        if longer || (in_word && !year_first) || (series && context().near & (say::DAY | say::BIRTH) == 0) {
            return None;
        }
        return Some((at, end + dates::clock(text.get(end..).unwrap_or_default())));
    }
    if groups.len[0] == 4
        && let Some(len) = dates::east_asian(rest)
    {
        return Some((at, at + len));
    }
    // `Jan 5`, `January 5, 1952`, `March 1952`: the word is before the digits.
    let before = text.get(at.saturating_sub(14)..at)?;
    let skipped = before.iter().rev().take(2).take_while(|b| matches!(b, b' ' | b'.' | b',' | b'-' | b'/')).count();
    let word_end = before.len() - skipped;
    let word = before.get(..word_end)?.iter().rev().take_while(|b| b.is_ascii_alphabetic()).count();
    let start = at - skipped - word;
    if word >= 3
        && skipped > 0
        && let Some(found) = text.get(start..).and_then(dates::month_first)
    {
        // `may 2` and `march 4` are also verbs: without a year the month is capitalised.
        let capital = text.get(start).is_some_and(u8::is_ascii_uppercase);
        let digits_after = text.get(start + found.len).is_some_and(u8::is_ascii_digit);
        if (found.year.is_some() || capital) && !digits_after {
            return Some((start, start + found.len));
        }
    }
    if middle || in_word {
        return None;
    }
    if groups.len[0] <= 2
        && let Some(found) = dates::day_first(rest)
    {
        let digits_after = rest.get(found.len).is_some_and(u8::is_ascii_alphanumeric);
        let word = rest.iter().position(u8::is_ascii_alphabetic).and_then(|i| rest.get(i..)).unwrap_or_default();
        let word = if word.len() > 3 && word.get(2) == Some(&b' ') { word.get(3..).unwrap_or_default() } else { word };
        let capital = word.first().is_some_and(u8::is_ascii_uppercase);
        let ordinal = rest.iter().find(|b| !b.is_ascii_digit()).is_some_and(u8::is_ascii_alphabetic);
        if !digits_after && (found.year.is_some() || capital || ordinal || found.len > 8) {
            return Some((at, at + found.len));
        }
    }
    let number = |i: usize| dates::number(text.get(groups.start[i]..).unwrap_or_default()).0;
    let (a, b) = if groups.count == 2 || groups.count == 3 { (number(0), number(1)) } else { (0, 0) };
    let near = |bits: u64, context: &mut dyn FnMut() -> Context| context().near & bits != 0;
    if groups.count == 2 && groups.separator[0] == b'/' && groups.len[0] <= 2 && (1..=31).contains(&a) {
        if groups.len[1] == 4 && a <= 12 && (1900..=2099).contains(&b) {
            return Some((at, groups.end(2)));
        }
        let day = groups.len[1] <= 2 && dates::is_day(2000, a, b) && !part_of(text, groups.end(2));
        // `from 1/2`, `by 3/4`: fractions as often as days.
        let fraction = near(say::FROM, context) && b <= 10 && groups.len[1] == 1;
        let told = b > 12 && context().tells(say::DAY | say::BIRTH);
        // `05/21`: measures are not written with a leading zero.
        let padded = rest.first() == Some(&b'0') && groups.len[..2] == [2, 2] && b > 12;
        if day && (padded || told || !fraction && near(say::DAY | say::BIRTH, context)) {
            return Some((at, groups.end(2)));
        }
    }
    // `21.5.21`
    if groups.count == 3 && groups.by(3, b'.') && groups.len[0] <= 2 && groups.len[1] <= 2 && groups.len[2] == 2 {
        let dayed = dates::is_day(2000, b, a) || dates::is_day(2000, a, b);
        if dayed && context().tells(say::DAY | say::BIRTH) {
            return Some((at, groups.end(3)));
        }
    }
    // `2021-05`, `05-2021`
    if groups.count == 2 && matches!(groups.separator[0], b'-' | b'.') {
        let month = match groups.len[..2] {
            [4, 2] => (1900..=2099).contains(&a) && (1..=12).contains(&b),
            [1 | 2, 4] => (1900..=2099).contains(&b) && (1..=12).contains(&a),
            _ => false,
        };
        if month && near(say::DAY | say::BIRTH, context) {
            return Some((at, groups.end(2)));
        }
    }
    // `19520521`, `19520521T101500Z`
    let compact = groups.len[0] == 8 && (groups.count == 1 || groups.separator[0] == b' ');
    let valid = || dates::is_day(a_year(rest), two(rest, 4), two(rest, 6)) && (1900..=2099).contains(&a_year(rest));
    (compact && valid()).then(|| {
        let clock = rest.get(8..).unwrap_or_default();
        let digits = clock.get(1..).unwrap_or_default().iter().take(7).take_while(|b| b.is_ascii_digit()).count();
        let zone = usize::from(clock.get(1 + digits) == Some(&b'Z'));
        let timed = clock.first() == Some(&b'T') && matches!(digits, 4 | 6);
        (at, at + 8 + if timed { 1 + digits + zone } else { 0 })
    })
}

/// What follows says that two numbers are a part or a measure of something.
fn part_of(text: &[u8], at: usize) -> bool {
    const WORDS: &[&[u8]] = &[
        b"inch",
        b"inches",
        b"tablet",
        b"tab",
        b"tablets",
        b"strength",
        b"of",
        b"cup",
        b"systolic",
        b"murmur",
        b"mm",
        b"cm",
        b"mg",
        b"scale",
    ];
    let rest = text.get(at..).unwrap_or_default();
    let blank = rest.iter().take(1).take_while(|b| matches!(b, b' ' | b'-')).count();
    let word = rest.get(blank..).unwrap_or_default();
    let len = word.iter().take(9).take_while(|b| b.is_ascii_alphabetic()).count();
    matches!(rest.first(), Some(b'%' | b'"'))
        || word.get(..len).is_some_and(|w| WORDS.iter().any(|k| w.eq_ignore_ascii_case(k)))
}

fn a_year(text: &[u8]) -> u32 {
    dates::number(text.get(..4).unwrap_or_default()).0
}

fn two(text: &[u8], at: usize) -> u32 {
    dates::number(text.get(at..at + 2).unwrap_or_default()).0
}

/// An age over 89; only its digits are the hit.
pub(super) fn age(text: &[u8], at: usize, context: &mut impl FnMut() -> Context) -> Option<usize> {
    let (years, len) = dates::number(text.get(at..)?);
    if !(90..=130).contains(&years) || len > 3 {
        return None;
    }
    let after = text.get(at + len..).unwrap_or_default();
    let gap = after.iter().take(1).take_while(|b| matches!(b, b' ' | b'-')).count();
    let mut word = [0u8; 4];
    for (to, from) in word.iter_mut().zip(after.get(gap..).unwrap_or_default()) {
        *to = from.to_ascii_lowercase();
    }
    let unit = match word {
        [b'y', b'e', b'a', b'r'] | [b'y', b'r', ..] | [b'y', b'/', b'o', _] | [b'y', b'.', b'o', _] => true,
        [b'y', b'o', next, _] => !next.is_ascii_alphabetic(),
        [b'y', next, ..] => !next.is_ascii_alphabetic(),
        _ => false,
    };
    let unit_ends = !after.first().is_some_and(|b| matches!(b, b'%' | b'/' | b'.')) || unit;
    (unit || (unit_ends && context().tells(say::AGE))).then_some(at + len)
}
