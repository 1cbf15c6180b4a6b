//! The shapes of identifiers in prose: given a trigger, decides whether it begins (or lies in) one, and how far it reaches.
//!
//! Every function looks at a bounded neighbourhood of its position and is total. They prefer to find too much: where a
//! shape is ambiguous, a context word before it decides, and a checksum is never required of a value written in groups.
//! Deliberately absent: checks that a number is issued, a domain exists, or a date is in the past.

use std::net::Ipv6Addr;

use crate::dates;
use crate::detector::Detector;
use crate::find::{Hit, Shapes};

/// Digits in groups, as they are read from a position on.
struct Groups {
    count: usize,
    start: [usize; 6],
    len: [usize; 6],
    /// Separator after the group, in a canonical form: `-`, ` `, `.`, `/`, `)`, `(`.
    separator: [u8; 6],
}

impl Groups {
    fn read(text: &[u8], at: usize) -> Self {
        let mut groups = Self { count: 0, start: [0; 6], len: [0; 6], separator: [0; 6] };
        let mut at = at;
        for i in 0..6 {
            let len = digits(text, at);
            groups.start[i] = at;
            groups.len[i] = len;
            groups.count = i + 1;
            let Some((separator, width)) = separator(text, at + len) else { break };
            if !text.get(at + len + width).is_some_and(u8::is_ascii_digit) {
                break;
            }
            groups.separator[i] = separator;
            at += len + width;
        }
        groups
    }

    fn end(&self, groups: usize) -> usize {
        groups.checked_sub(1).map_or(0, |i| self.start[i] + self.len[i])
    }

    /// The first groups have these lengths, and what follows them is not a further group with the same separator.
    fn is(&self, lens: &[usize]) -> bool {
        let n = lens.len();
        self.count >= n
            && self.len.iter().zip(lens).all(|(have, want)| have == want)
            && (self.count == n
                || self.separator[n - 1] == b' '
                || self.separator[n - 1] != self.separator[n.saturating_sub(2)])
    }

    /// The separators between the first `n` groups are all `one`.
    fn by(&self, n: usize, one: u8) -> bool {
        self.separator.iter().take(n.saturating_sub(1)).all(|s| *s == one)
    }
}

fn digits(text: &[u8], at: usize) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|b| b.is_ascii_digit()).take(40).count()
}

/// A separator between groups of digits and how many bytes it takes.
fn separator(text: &[u8], at: usize) -> Option<(u8, usize)> {
    match text.get(at..)? {
        [b')', b' ', ..] => Some((b')', 2)),
        [b')', b'-', ..] => Some((b')', 2)),
        [b')', ..] => Some((b')', 1)),
        [b' ', b'(', ..] | [b'-', b'(', ..] => Some((b'(', 2)),
        [b'(', ..] => Some((b'(', 1)),
        [b' ', b'-', b' ', ..] => Some((b'-', 3)),
        // Non-breaking hyphen, figure dash, en dash; no-break space.
        [0xe2, 0x80, 0x90..=0x93, ..] => Some((b'-', 3)),
        [0xc2, 0xa0, ..] => Some((b' ', 2)),
        [s @ (b'-' | b' ' | b'.' | b'/'), ..] => Some((*s, 1)),
        _ => None,
    }
}

/// One of `words` (lower case) stands as the beginning of a word in the `reach` bytes before `at`.
fn context(text: &[u8], at: usize, reach: usize, words: &[&str]) -> bool {
    let mut lower = [0u8; 48];
    let from = at.saturating_sub(reach.min(lower.len()));
    let Some(before) = text.get(from..at) else { return false };
    let Some(window) = lower.get_mut(..before.len()) else { return false };
    window.copy_from_slice(before);
    window.make_ascii_lowercase();
    words.iter().any(|w| {
        let w = w.as_bytes();
        window.windows(w.len()).enumerate().any(|(i, part)| {
            let edge = match i.checked_sub(1) {
                Some(left) => window.get(left).copied(),
                None => from.checked_sub(1).and_then(|l| text.get(l)).copied(),
            };
            part == w && !edge.is_some_and(|b| b.is_ascii_alphabetic())
        })
    })
}

fn byte(text: &[u8], at: usize, back: usize) -> Option<u8> {
    at.checked_sub(back).and_then(|i| text.get(i)).copied()
}

/// Looks at the trigger at `at` with every shape of the set.
pub(crate) fn verify(shapes: Shapes, text: &[u8], at: usize, hits: &mut Vec<Hit>) {
    let mut add = |start: usize, end: usize, detector: Detector| hits.push(Hit { start, end, detector });
    match text.get(at) {
        Some(b'@') => {
            if shapes.has(Detector::Email)
                && let Some((start, end)) = email(text, at, 1)
            {
                add(start, end, Detector::Email);
            }
            return;
        }
        Some(b':') => {
            if shapes.has(Detector::Url)
                && let Some(hit) = url(text, at)
            {
                add(hit.start, hit.end, Detector::Url);
            } else if shapes.has(Detector::Ip)
                && let Some((start, end)) = ipv6(text, at)
            {
                add(start, end, Detector::Ip);
            }
            return;
        }
        _ => {}
    }
    let previous = byte(text, at, 1);
    if shapes.has(Detector::Email)
        && previous == Some(b'%')
        && text.get(at..at + 2) == Some(b"40")
        && let Some((start, end)) = email(text, at - 1, 3)
    {
        add(start, end, Detector::Email);
    }
    // In the middle of a longer number: `3` of `1.3`, whose first digit was looked at already.
    let middle = matches!(previous, Some(b'-' | b'.' | b'/')) && byte(text, at, 2).is_some_and(|b| b.is_ascii_digit());
    let in_word = previous.is_some_and(|b| b.is_ascii_alphanumeric() || b == b'_');
    let groups = Groups::read(text, at);
    let mut dated = false;
    if shapes.has(Detector::Date)
        && let Some((start, end)) = date(text, at, middle, in_word)
    {
        dated = true;
        add(start, end, Detector::Date);
    }
    if shapes.has(Detector::Ip)
        && !middle
        && !in_word
        && let Some(end) = ipv4(text, &groups)
    {
        return add(at, end, Detector::Ip);
    }
    if shapes.has(Detector::Ssn)
        && let Some((start, end)) = ssn(text, at, &groups, middle || in_word)
    {
        add(start, end, Detector::Ssn);
    }
    if shapes.has(Detector::Card)
        && !middle
        && !in_word
        && let Some(end) = card(text, at, &groups)
    {
        add(at, end, Detector::Card);
    }
    if shapes.has(Detector::Phone)
        && !dated
        && let Some((start, end)) = phone(text, at, &groups, middle || in_word)
    {
        add(start, end, Detector::Phone);
    }
    if shapes.has(Detector::Mrn)
        && !dated
        && let Some((start, end)) = record(text, at, RECORD_WORDS)
    {
        add(start, end, Detector::Mrn);
    }
    if shapes.has(Detector::Plan)
        && !dated
        && let Some((start, end)) = record(text, at, PLAN_WORDS)
    {
        add(start, end, Detector::Plan);
    }
    if shapes.has(Detector::Address)
        && !middle
        && !in_word
        && let Some(end) = address(text, at)
    {
        add(at, end, Detector::Address);
    }
    if shapes.has(Detector::Zip)
        && !middle
        && !in_word
        && let Some(end) = zip(text, at, &groups)
    {
        add(at, end, Detector::Zip);
    }
    if shapes.has(Detector::Age)
        && !middle
        && !in_word
        && let Some(end) = age(text, at)
    {
        add(at, end, Detector::Age);
    }
}

const DATE_WORDS: &[&str] = &[
    "on ", "date", "dob", "born", "since ", "until ", "from ", "through ", "admit", "discharg", "d/c", "seen ", "due ",
    "by ",
];

fn date(text: &[u8], at: usize, middle: bool, in_word: bool) -> Option<(usize, usize)> {
    let rest = text.get(at..)?;
    if !middle
        && !in_word
        && let Some(found) = dates::numeric(rest)
    {
        let end = at + found.len;
        // A fourth part makes it something else (an address, a version).
        let longer =
            matches!(text.get(end), Some(b'.' | b'-' | b'/')) && text.get(end + 1).is_some_and(u8::is_ascii_digit);
        return (!longer).then(|| (at, end + dates::clock(text.get(end..).unwrap_or_default())));
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
    if let Some(found) = dates::day_first(rest) {
        let digits_after = rest.get(found.len).is_some_and(u8::is_ascii_alphanumeric);
        let word = rest.iter().position(u8::is_ascii_alphabetic).and_then(|i| rest.get(i..)).unwrap_or_default();
        let word = if word.len() > 3 && word.get(2) == Some(&b' ') { word.get(3..).unwrap_or_default() } else { word };
        let capital = word.first().is_some_and(u8::is_ascii_uppercase);
        let ordinal = rest.iter().find(|b| !b.is_ascii_digit()).is_some_and(u8::is_ascii_alphabetic);
        if !digits_after && (found.year.is_some() || capital || ordinal || found.len > 8) {
            return Some((at, at + found.len));
        }
    }
    let groups = Groups::read(text, at);
    let (a, _) = dates::number(rest);
    let (b, _) = dates::number(text.get(groups.start[1]..).unwrap_or_default());
    let slash = groups.count == 2 && groups.separator[0] == b'/';
    if slash && groups.len[0] <= 2 && (1..=12).contains(&a) {
        if groups.len[1] == 4 && (1900..=2099).contains(&b) {
            return Some((at, groups.end(2)));
        }
        if groups.len[1] <= 2 && (1..=31).contains(&b) && context(text, at, 12, DATE_WORDS) {
            return Some((at, groups.end(2)));
        }
    }
    // `19520521`
    let compact = groups.count == 1 && groups.len[0] == 8 && context(text, at, 16, &["dob", "date", "born", "birth"]);
    let valid = dates::is_day(a_year(rest), two(rest, 4), two(rest, 6)) && (1850..=2099).contains(&a_year(rest));
    (compact && valid).then(|| (at, groups.end(1)))
}

fn a_year(text: &[u8]) -> u32 {
    dates::number(text.get(..4).unwrap_or_default()).0
}

fn two(text: &[u8], at: usize) -> u32 {
    dates::number(text.get(at..at + 2).unwrap_or_default()).0
}

const SSN_WORDS: &[&str] =
    &["ssn", "ss#", "ss #", "ss no", "social", "soc sec", "soc. sec", "tin", "itin", "tax id", "taxpayer"];

fn ssn(text: &[u8], at: usize, groups: &Groups, joined: bool) -> Option<(usize, usize)> {
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
    let known = || context(text, at, 40, SSN_WORDS);
    if groups.is(&[3, 2, 4]) && [b'-', b' ', b'.'].iter().any(|s| groups.by(3, *s)) {
        let (area, _) = dates::number(text.get(at..)?);
        let (group, _) = dates::number(text.get(groups.start[1]..)?);
        let (serial, _) = dates::number(text.get(groups.start[2]..)?);
        let issued = area != 0 && area != 666 && group != 0 && serial != 0;
        return (issued || known()).then(|| (at, groups.end(3)));
    }
    (groups.len[0] == 9 && known()).then(|| (at, groups.end(1)))
}

const CARD_WORDS: &[&str] = &["card", "visa", "mastercard", "amex", "credit", "debit", "cc ", "cc#", "cc:", "pan"];

fn card(text: &[u8], at: usize, groups: &Groups) -> Option<usize> {
    let brand = matches!(text.get(at), Some(b'2'..=b'6'));
    if groups.count >= 3 && (groups.by(3, b' ') || groups.by(3, b'-')) {
        if brand && groups.is(&[4, 6, 5]) {
            return Some(groups.end(3));
        }
        if groups.count >= 4 && groups.len.iter().take(3).all(|n| *n == 4) && (1..=4).contains(&groups.len[3]) {
            let same = groups.separator[2] == groups.separator[0];
            let more = groups.count >= 5 && groups.separator[3] == groups.separator[0] && groups.len[4] <= 3;
            return same.then(|| groups.end(if more { 5 } else { 4 }));
        }
    }
    let run = text.get(at..at + groups.len[0])?;
    if !(13..=19).contains(&run.len()) {
        return None;
    }
    ((brand && luhn(run)) || context(text, at, 32, CARD_WORDS)).then(|| at + run.len())
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(i, b)| {
            let d = u32::from(b.wrapping_sub(b'0'));
            let doubled = if i % 2 == 1 { 2 * d } else { d };
            if doubled > 9 { doubled - 9 } else { doubled }
        })
        .sum();
    sum.is_multiple_of(10)
}

const PHONE_WORDS: &[&str] = &[
    "phone", "tel", "call", "cell", "mobile", "fax", "contact", "ph:", "ph ", "ph.", "pager", "reach", "dial", "text",
];

fn phone(text: &[u8], at: usize, groups: &Groups, joined: bool) -> Option<(usize, usize)> {
    let previous = byte(text, at, 1);
    let plus = previous == Some(b'+');
    let known = || context(text, at, 28, PHONE_WORDS);
    let area = |i: usize| matches!(text.get(groups.start[i]), Some(b'2'..=b'9'));
    let open = previous == Some(b'(');
    let done = |start: usize, end: usize| Some((start, end + extension(text, end)));
    if joined && !open {
        return None;
    }
    let start = if plus || open { at - 1 } else { at };
    let split = |i: usize| matches!(groups.separator[i], b'-' | b' ' | b'.' | b'/' | b')');
    // Country code 1.
    if groups.len[0] == 1
        && text.get(at) == Some(&b'1')
        && groups.count >= 4
        && groups.len[1..4] == [3, 3, 4]
        && split(1)
        && split(2)
    {
        return done(start, groups.end(4));
    }
    if plus {
        return international(groups).and_then(|end| done(start, end));
    }
    if groups.count >= 3 && groups.len[..3] == [3, 3, 4] && split(0) && split(1) {
        let closed = open && groups.separator[0] == b')';
        let further = groups.count > 3 && groups.separator[2] == b'-';
        if (closed || area(0) || known()) && !further {
            return done(if closed { start } else { at }, groups.end(3));
        }
        return None;
    }
    // `(415)5550100` and `415-5550100`.
    if groups.count >= 2 && groups.len[..2] == [3, 7] && split(0) && (open || known()) {
        return done(start, groups.end(2));
    }
    let run = groups.len[0];
    let national = (run == 10 && area(0)) || (run == 11 && text.get(at) == Some(&b'1'));
    if national && known() {
        return done(at, groups.end(1));
    }
    let local = groups.count >= 2 && groups.len[..2] == [3, 4] && matches!(groups.separator[0], b'-' | b'.' | b' ');
    let alone = groups.count == 2 || groups.separator[1] == b' ';
    if local && alone && known() {
        return done(at, groups.end(2));
    }
    None
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
        if total >= 8 {
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
        .is_some_and(|w| [&b"x"[..], b"ext", b"extension"].iter().any(|e| w.eq_ignore_ascii_case(e)));
    if !named {
        return 0;
    }
    let gap =
        word.get(letters..).unwrap_or_default().iter().take(2).take_while(|b| matches!(b, b' ' | b'.' | b':')).count();
    match digits(word, letters + gap) {
        n @ 1..=6 => blanks + letters + gap + n,
        _ => 0,
    }
}

fn ipv4(text: &[u8], groups: &Groups) -> Option<usize> {
    let octet =
        |i: usize| groups.len[i] <= 3 && dates::number(text.get(groups.start[i]..).unwrap_or_default()).0 <= 255;
    let four = groups.count >= 4 && groups.by(4, b'.') && (0..4).all(octet);
    let longer = groups.count > 4 && groups.separator[3] == b'.';
    (four && !longer).then(|| groups.end(4))
}

const RECORD_WORDS: &[&str] = &[
    "mrn",
    "mr#",
    "mr #",
    "mr no",
    "med rec",
    "medical rec",
    "chart",
    "patient id",
    "patient no",
    "patient num",
    "patient #",
    "pt id",
    "pt no",
    "pt #",
    "record no",
    "record num",
    "record #",
    "record id",
    "hospital no",
    "hospital num",
    "unit no",
    "acct",
    "account",
];

const PLAN_WORDS: &[&str] = &[
    "insurance",
    "insured",
    "member",
    "subscriber",
    "beneficiary",
    "medicaid",
    "medicare",
    "health plan",
    "plan no",
    "plan num",
    "plan id",
    "plan #",
    "policy no",
    "policy num",
    "policy id",
    "policy #",
    "policyholder",
    "group no",
    "group num",
    "group id",
    "group #",
];

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
/// word.
fn address(text: &[u8], at: usize) -> Option<usize> {
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
            return Some(end);
        }
        let named = word.first().is_some_and(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || *b >= 0x80);
        if !named {
            return None;
        }
        end += usize::from(text.get(end) == Some(&b'.'));
    }
    None
}

/// A record number after a context word: up to six letters and hyphens, then at least four digits.
fn record(text: &[u8], at: usize, words: &[&str]) -> Option<(usize, usize)> {
    let prefix = text.get(at.saturating_sub(6)..at)?;
    let letters = prefix.iter().rev().take_while(|b| b.is_ascii_alphabetic() || matches!(b, b'-' | b'_')).count();
    let letters =
        if prefix.get(prefix.len() - letters..).is_some_and(|p| p.starts_with(b"-")) { letters - 1 } else { letters };
    let mut start = at - letters;
    if byte(text, start, 1).is_some_and(|b| b.is_ascii_alphanumeric()) {
        if letters > 0 {
            return None;
        }
        start = at;
    }
    let mut end = at;
    let mut numeric = 0;
    while let Some(b) = text.get(end) {
        let joins = *b == b'-' && text.get(end + 1).is_some_and(u8::is_ascii_digit);
        if !(b.is_ascii_alphanumeric() || joins) || end - start >= 40 {
            break;
        }
        numeric += usize::from(b.is_ascii_digit());
        end += 1;
    }
    let own =
        text.get(start..at).is_some_and(|p| p.len() >= 3 && p.get(..3).is_some_and(|p| p.eq_ignore_ascii_case(b"mrn")));
    ((4..=16).contains(&numeric) && (own || context(text, start, 24, words))).then_some((start, end))
}

/// Postal abbreviations of states, territories and military areas.
const STATES: &[u8] = b"ALAKAZARCACOCTDEDCFLGAHIIDILINIAKSKYLAMEMDMAMIMNMSMOMTNENVNHNJNMNYNCNDOHOKORPARISCSDTNTXUTVTVAWAWVWIWYPRGUVIASMPAAAEAP";

fn zip(text: &[u8], at: usize, groups: &Groups) -> Option<usize> {
    if groups.len[0] != 5 {
        return None;
    }
    let blanks =
        text.get(at.saturating_sub(3)..at)?.iter().rev().take_while(|b| matches!(b, b' ' | b',' | b'.')).count();
    let edge = at - blanks;
    let code = edge.checked_sub(2).and_then(|i| text.get(i..edge)).unwrap_or_default();
    let alone = !byte(text, edge, 3).is_some_and(|b| b.is_ascii_alphanumeric());
    let state = blanks > 0 && alone && STATES.chunks_exact(2).any(|s| s == code);
    if !state && !context(text, at, 18, &["zip", "postal", "postcode"]) {
        return None;
    }
    let plus_four = groups.count >= 2 && groups.separator[0] == b'-' && groups.len[1] == 4;
    Some(groups.end(if plus_four { 2 } else { 1 }))
}

/// An age over 89; only its digits are the hit.
fn age(text: &[u8], at: usize) -> Option<usize> {
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
    (unit || (unit_ends && context(text, at, 9, &["age ", "age:", "aged", "age of", "age="]))).then_some(at + len)
}

/// A mail address round the sign at `at`, which takes `width` bytes (`@` or `%40`).
fn email(text: &[u8], at: usize, width: usize) -> Option<(usize, usize)> {
    let local = text
        .get(at.saturating_sub(64)..at)?
        .iter()
        .rev()
        .take_while(|b| {
            b.is_ascii_alphanumeric() || b"._%+-'=&!#$*?^`{|}~".contains(b) && **b != b'=' && **b != b'&' || **b >= 0x80
        })
        .count();
    let mut start = at - local;
    // Do not begin in the middle of a character or with a quote.
    while text.get(start).is_some_and(|b| b & 0xc0 == 0x80 || matches!(b, b'\'' | b'`' | b'{' | b'|' | b'?' | b'.')) {
        start += 1;
    }
    if start >= at {
        return None;
    }
    let domain = text.get(at + width..).unwrap_or_default();
    let mut len = domain
        .iter()
        .take(253)
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-') || **b >= 0x80)
        .count();
    while matches!(domain.get(len.wrapping_sub(1)), Some(b'.' | b'-')) {
        len -= 1;
    }
    let dot = domain.get(..len)?.iter().rposition(|b| *b == b'.')?;
    let top = domain.get(dot + 1..len)?;
    let named =
        top.len() >= 2 && top.iter().all(|b| b.is_ascii_alphabetic() || *b == b'-' || *b >= 0x80 || b.is_ascii_digit());
    (dot > 0 && named && top.first().is_some_and(|b| !b.is_ascii_digit()))
        .then_some((start, at + width + whole_characters(domain, len)))
}

/// `len`, extended to the end of the character that it cuts.
fn whole_characters(text: &[u8], len: usize) -> usize {
    len + text.get(len..).unwrap_or_default().iter().take(3).take_while(|b| **b & 0xc0 == 0x80).count()
}

/// `scheme://…` round the colon at `at`.
fn url(text: &[u8], at: usize) -> Option<Hit> {
    if text.get(at + 1..at + 3) != Some(b"//") {
        return None;
    }
    let scheme = text
        .get(at.saturating_sub(16)..at)?
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
        .count();
    if scheme < 2 {
        return None;
    }
    let hit = url_from(text, at - scheme)?;
    (hit.end > at + 3).then_some(hit)
}

/// A URL from `start` to the first byte that cannot be in one, without the punctuation of the sentence it stands in.
pub(crate) fn url_from(text: &[u8], start: usize) -> Option<Hit> {
    if start.checked_sub(1).and_then(|i| text.get(i)).is_some_and(u8::is_ascii_alphanumeric)
        && text.get(start) == Some(&b'w')
    {
        return None;
    }
    let rest = text.get(start..)?;
    let mut len =
        rest.iter().take_while(|b| **b > b' ' && !matches!(b, b'"' | b'<' | b'>' | b'`' | b'|' | b'\\')).count();
    while matches!(rest.get(len.wrapping_sub(1)), Some(b'.' | b',' | b';' | b':' | b'!' | b'?' | b')' | b']' | b'\'')) {
        len -= 1;
    }
    (len > 4).then_some(Hit { start, end: start + len, detector: Detector::Url })
}

fn ipv6(text: &[u8], at: usize) -> Option<(usize, usize)> {
    let part = |b: &u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
    let before = text.get(at.saturating_sub(40)..at)?.iter().rev().take_while(|b| part(b)).count();
    let after = text.get(at..)?.iter().take(46).take_while(|b| part(b)).count();
    let (start, mut end) = (at - before, at + after);
    if end > start && text.get(end - 1) == Some(&b'.') {
        end -= 1;
    }
    let edge = |i: Option<usize>| i.and_then(|i| text.get(i)).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
    if edge(start.checked_sub(1)) || edge(Some(end)) {
        return None;
    }
    let token = std::str::from_utf8(text.get(start..end)?).ok()?;
    let hex = token.bytes().filter(u8::is_ascii_hexdigit).count();
    (hex > 0 && token.parse::<Ipv6Addr>().is_ok()).then_some((start, end))
}
