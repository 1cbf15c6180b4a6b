//! Numbers with a grouping of their own: social security, payment card, telephone, IPv4.
//!
//! Deliberately absent: which prefixes and area codes are in use.

use crate::context::{Context, say};
use crate::dates;

use super::byte;
use super::groups::{Groups, digits};

pub(super) fn ssn(
    text: &[u8],
    at: usize,
    groups: &Groups,
    joined: bool,
    context: &mut impl FnMut() -> Context,
) -> Option<(usize, usize)> {
    // `xxx-xx-1234`: the last four are still an identifier.
    if groups.len[0] == 4
        && let Some(start) = at.checked_sub(7)
        && let Some(hidden) = text.get(start..at)
        && hidden
            .iter()
            .zip(b"xxx-xx-")
            .all(|(b, p)| if *p == b'-' { b == p } else { matches!(b, b'x' | b'X' | b'*' | b'#') })
    {
        return Some((start, groups.end(1)));
    }
    if joined {
        return None;
    }
    let parts = |n: usize| (0..n).map(|i| text.get(groups.start[i]..groups.end(i + 1)).unwrap_or_default());
    if groups.is(&[3, 2, 4]) && [b'-', b' ', b'.', b'/'].iter().any(|s| groups.by(3, *s)) {
        let [area, group, serial] = [0, 1, 2].map(|i| dates::number(text.get(groups.start[i]..).unwrap_or_default()).0);
        let issued = area != 0 && area != 666 && group != 0 && serial != 0;
        return (issued || context().says(say::SSN)).then(|| (at, groups.end(3)));
    }
    let alone = |end: usize| !text.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    // One of the hyphens is missing: 078-051120.
    if groups.count == 2 && groups.by(2, b'-') && matches!(groups.len[..2], [3, 6] | [5, 4]) {
        let end = groups.end(2);
        let zip = groups.len[0] == 5;
        return (alone(end) && (!zip || context().says(say::SSN))).then_some((at, end));
    }
    if groups.len[0] != 9 || groups.count > 1 && groups.separator[0] != b' ' {
        return (groups.len[0] == 4 && groups.count == 1 && last_four(text, at, context)).then(|| (at, groups.end(1)));
    }
    let all = parts(1).next()?;
    let issued = !all.starts_with(b"000")
        && !all.starts_with(b"666")
        && all.get(3..5) != Some(b"00")
        && !all.ends_with(b"0000")
        && all.windows(2).any(|w| w.first() != w.last());
    let bare = alone(groups.end(1)) && !matches!(byte(text, at, 1), Some(b'$' | b'#'));
    ((issued && bare) || context().says(say::SSN)).then(|| (at, groups.end(1)))
}

/// `SSN ending in 1234`
fn last_four(text: &[u8], at: usize, context: &mut impl FnMut() -> Context) -> bool {
    !text.get(at + 4).is_some_and(u8::is_ascii_alphanumeric) && context().tells(say::SSN)
}

pub(super) fn card(text: &[u8], at: usize, groups: &Groups, context: &mut impl FnMut() -> Context) -> Option<usize> {
    let brand = matches!(text.get(at), Some(b'2'..=b'6'));
    if groups.count >= 3 && [b' ', b'-', b'.'].iter().any(|s| groups.by(3, *s)) {
        if brand && (groups.is(&[4, 6, 5]) || groups.is(&[4, 6, 4])) {
            return Some(groups.end(3));
        }
        if groups.count >= 4 && groups.len.iter().take(3).all(|n| *n == 4) && (1..=4).contains(&groups.len[3]) {
            let same = groups.separator[2] == groups.separator[0];
            let more = groups.count >= 5 && groups.separator[3] == groups.separator[0] && groups.len[4] <= 3;
            return same.then(|| groups.end(if more { 5 } else { 4 }));
        }
        // 1234 5678 9012, unless these are times of day.
        if groups.is(&[4, 4, 4]) && !(0..3).all(|i| clock(text.get(groups.start[i]..).unwrap_or_default())) {
            return Some(groups.end(3));
        }
    }
    let run = text.get(at..at + groups.len[0])?;
    // `card ending in 1234`
    if run.len() == 4 && groups.count == 1 && !text.get(at + 4).is_some_and(u8::is_ascii_alphanumeric) {
        return context().tells(say::CARD).then_some(at + 4);
    }
    if !(12..=19).contains(&run.len()) {
        return None;
    }
    (luhn(run) || context().says(say::CARD)).then(|| at + run.len())
}

fn clock(text: &[u8]) -> bool {
    let (n, _) = dates::number(text.get(..4).unwrap_or_default());
    n <= 2400 && n % 100 < 60
}

/// The sum of Luhn: every second digit from the right doubled, its digits added.
pub(super) fn luhn(digits: &[u8]) -> bool {
    luhn_sum(digits).is_multiple_of(10)
}

fn luhn_sum(digits: &[u8]) -> u32 {
    digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let d = u32::from(b.wrapping_sub(b'0'));
            let doubled = if i % 2 == 1 { 2 * d } else { d };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum()
}

/// Ten digits that are a national provider identifier: 1 or 2 first, and Luhn over `80840` and them (which adds 24).
pub(super) fn is_npi(all: &[u8]) -> bool {
    matches!(all.first(), Some(b'1' | b'2')) && (luhn_sum(all) + 24).is_multiple_of(10)
}

pub(super) fn phone(
    text: &[u8],
    at: usize,
    groups: &Groups,
    joined: bool,
    context: &mut impl FnMut() -> Context,
) -> Option<(usize, usize)> {
    let previous = byte(text, at, 1);
    let plus = previous == Some(b'+');
    let area = |i: usize| matches!(text.get(groups.start[i]), Some(b'2'..=b'9'));
    let open = previous == Some(b'(');
    let done = |start: usize, end: usize| {
        let end = end + extension(text, end);
        (!text.get(end).is_some_and(u8::is_ascii_alphanumeric)).then_some((start, end))
    };
    let split = |i: usize| matches!(groups.separator[i], b'-' | b' ' | b'.' | b'/' | b')' | b'(');
    let further = |n: usize| groups.count > n && matches!(groups.separator[n - 1], b'-' | b'.');
    let national = |i: usize| {
        groups.count >= i + 3 && groups.len[i..i + 3] == [3, 3, 4] && split(i) && split(i + 1) && !further(i + 3)
    };
    let begins_short = groups.count >= 4 && groups.is(&[3, 3, 2, 2]) && groups.by(4, groups.separator[0]);
    if joined && !open {
        // `one is415-555-0132`: the shape is long enough to stand against a word.
        let letter = previous.is_some_and(|b| b.is_ascii_lowercase());
        return if letter && national(0) && groups.by(3, b'-') { done(at, groups.end(3)) } else { None };
    }
    let start = if plus || open { at - 1 } else { at };
    // `+1`, `(+1)`
    let start = if plus && byte(text, at, 2) == Some(b'(') && groups.separator[0] == b')' { start - 1 } else { start };
    // Country code 1.
    if groups.len[0] == 1 && text.get(at) == Some(&b'1') && national(1) && split(0) {
        return done(start, groups.end(4));
    }
    if plus || (text.get(at..at + 2) == Some(b"00") && (3..=5).contains(&groups.len[0]) && groups.count > 2) {
        return international(groups).and_then(|end| done(start, end));
    }
    if national(0) {
        let closed = open && groups.separator[0] == b')';
        if closed || area(0) || context().says(say::PHONE) {
            return done(if closed { start - country_code(text, start) } else { at }, groups.end(3));
        }
        return None;
    }
    // 532 123 45 67
    if begins_short && area(0) && matches!(groups.separator[0], b' ' | b'.' | b'-') {
        return done(at, groups.end(4));
    }
    // A country code without its sign: 63 917 123 4567, 91-415-555-0132.
    if groups.len[0] <= 3 && groups.len[0] >= 1 && national(1) && groups.by(4, groups.separator[0]) && area(0) {
        return done(at, groups.end(4));
    }
    // `(415)5550100` and `415-5550100`.
    if groups.count >= 2 && groups.len[..2] == [3, 7] && split(0) && (open || context().says(say::PHONE)) {
        return done(if open { start } else { at }, groups.end(2));
    }
    let run = groups.len[0];
    if ((run == 10 && area(0)) || (run == 11 && text.get(at) == Some(&b'1'))) && context().says(say::PHONE) {
        return done(at, groups.end(1));
    }
    if let Some(end) = trunk(text, at, groups, open, context) {
        return done(if open { start } else { at }, end);
    }
    let local = groups.count >= 2 && groups.len[..2] == [3, 4] && matches!(groups.separator[0], b'-' | b'.' | b' ');
    let alone = groups.count == 2 || groups.separator[1] == b' ';
    if local && alone && context().says(say::PHONE) {
        return done(at, groups.end(2));
    }
    // Any grouping after a word for it.
    if groups.count >= 2 && !context().tells(say::MEASURE) && context().tells(say::PHONE) {
        return international(groups).and_then(|end| done(start, end));
    }
    None
}

/// Bytes of `+1 ` before `at`.
fn country_code(text: &[u8], at: usize) -> usize {
    let before = text.get(at.saturating_sub(5)..at).unwrap_or_default();
    let blank = usize::from(before.last() == Some(&b' '));
    let digits = before.iter().rev().skip(blank).take(3).take_while(|b| b.is_ascii_digit()).count();
    let plus = before.len().checked_sub(blank + digits + 1).and_then(|i| before.get(i)) == Some(&b'+');
    if plus && digits > 0 { blank + digits + 1 } else { 0 }
}

/// A national number with the trunk prefix 0, in two to six groups, nine to twelve digits: 0532 123 45 67, (020) 7946 0958.
fn trunk(text: &[u8], at: usize, groups: &Groups, open: bool, context: &mut impl FnMut() -> Context) -> Option<usize> {
    if text.get(at) != Some(&b'0') || groups.count < 2 || groups.is(&[3, 2, 4]) {
        return None;
    }
    let mut total = 0;
    let mut count = 0;
    while count < groups.count.min(6) {
        total += groups.len[count];
        count += 1;
        let separator = groups.separator[count - 1];
        if total > 12 || separator == b'/' && count > 1 {
            break;
        }
    }
    let lens = groups.len.get(..count)?;
    if text.get(groups.end(count)).is_some_and(u8::is_ascii_alphanumeric) {
        return None;
    }
    let longest = lens.iter().max().copied().unwrap_or(0);
    let times =
        lens.iter().all(|n| *n == 4) && (0..count).all(|i| clock(text.get(groups.start[i]..).unwrap_or_default()));
    // 0 stands alone, or begins an area code.
    let shape = (9..=12).contains(&total) && longest >= 3 && longest <= 8 && !times && groups.separator[0] != b'.'
        || (9..=12).contains(&total) && longest >= 3 && groups.by(count, b'.') && count >= 3;
    (shape && (open || count >= 3 || lens.first().is_some_and(|n| *n >= 2))
        || (total >= 9 && context().tells(say::PHONE)))
    .then(|| groups.end(count))
}

/// After a `+`: 8 to 15 digits in all, in groups that a person would write.
fn international(groups: &Groups) -> Option<usize> {
    let mut total = 0;
    let mut best = None;
    for i in 0..groups.count {
        total += groups.len[i];
        if total > 15 {
            break;
        }
        if total >= 7 {
            best = Some(groups.end(i + 1));
        }
        if groups.separator[i] == b'/' {
            break;
        }
    }
    best
}

fn extension(text: &[u8], at: usize) -> usize {
    let rest = text.get(at..).unwrap_or_default();
    let blanks = rest.iter().take(2).take_while(|b| matches!(b, b' ' | b',')).count();
    let word = rest.get(blanks..).unwrap_or_default();
    let letters = word.iter().take(9).take_while(|b| b.is_ascii_alphabetic()).count();
    let named = word
        .get(..letters)
        .is_some_and(|w| [&b"x"[..], b"ext", b"extension", b"extn"].iter().any(|e| w.eq_ignore_ascii_case(e)));
    if !named {
        return 0;
    }
    let gap = word
        .get(letters..)
        .unwrap_or_default()
        .iter()
        .take(2)
        .take_while(|b| matches!(b, b' ' | b'.' | b':' | b'#'))
        .count();
    match digits(word, letters + gap) {
        n @ 1..=6 => blanks + letters + gap + n,
        _ => 0,
    }
}

pub(super) fn ipv4(text: &[u8], groups: &Groups) -> Option<usize> {
    let octet =
        |i: usize| groups.len[i] <= 3 && dates::number(text.get(groups.start[i]..).unwrap_or_default()).0 <= 255;
    let four = groups.count >= 4 && groups.by(4, b'.') && (0..4).all(octet);
    let longer = groups.count > 4 && groups.separator[3] == b'.';
    if !four || longer {
        return None;
    }
    // A network's length: /24.
    let end = groups.end(4);
    let network = groups.count > 4 && groups.separator[3] == b'/' && groups.len[4] <= 2;
    Some(if network { groups.end(5) } else { end })
}
