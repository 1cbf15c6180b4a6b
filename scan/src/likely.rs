//! Which digits are worth a look: a few comparisons that let go of doses, vital signs and laboratory values.
//!
//! It looks at the run of digits, what follows and the byte before, and may say yes too often but never no to a digit that
//! [`crate::shapes`] would make a hit of; a test holds it to that with every shape. Deliberately absent: context words.

use crate::detector::Detector;
use crate::find::Shapes;

/// What the shapes of a set need to be looked at for, worked out once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    dates: bool,
    ages: bool,
    addresses: bool,
    codes: bool,
    plates: bool,
}

impl Wanted {
    pub(crate) fn of(shapes: Shapes) -> Self {
        Self {
            dates: shapes.has(Detector::Date),
            ages: shapes.has(Detector::Age),
            addresses: shapes.has(Detector::Address),
            plates: shapes.has(Detector::Plate),
            codes: shapes.any(&[
                Detector::Mrn,
                Detector::Plan,
                Detector::Dea,
                Detector::Mbi,
                Detector::Account,
                Detector::Iban,
                Detector::Vin,
                Detector::Plate,
                Detector::Device,
                Detector::License,
                Detector::Code,
            ]),
        }
    }
}

#[inline]
fn at(text: &[u8], i: usize) -> u8 {
    text.get(i).copied().unwrap_or(0)
}

#[inline]
fn digit(text: &[u8], i: usize) -> bool {
    at(text, i).is_ascii_digit()
}

/// Whether the run of digits that begins at `start` may belong to a shape.
#[inline]
pub(crate) fn likely(wanted: Wanted, text: &[u8], start: usize) -> bool {
    let mut end = start + 1;
    while digit(text, end) {
        end += 1;
        if end - start == 4 {
            return true;
        }
    }
    let before = if start == 0 { b' ' } else { at(text, start - 1) };
    if matches!(before, b'+' | b'(' | b'%') || before >= 0x80 {
        return true;
    }
    let after = at(text, end);
    // A sign of the date in East Asia, or degrees.
    if after >= 0x80 {
        return true;
    }
    if !after.is_ascii_alphanumeric() && grouped(text, start, end) {
        return true;
    }
    let inside = before.is_ascii_alphanumeric()
        || after.is_ascii_alphanumeric()
        || matches!(before, b'-' | b'_')
        || matches!(after, b'-' | b'_');
    if wanted.codes
        && (inside && token(wanted.plates, text, start, end)
            || after == b' '
                && (before == b' ' || before == b':')
                && end - start == 3
                && at(text, end + 1).is_ascii_uppercase())
    {
        return true;
    }
    let len = end - start;
    if wanted.ages
        && (len == 2 && at(text, start) == b'9' || len == 3 && at(text, start) == b'1')
        && !matches!(after, b'%')
    {
        return true;
    }
    if wanted.addresses && (after == b' ' || after.is_ascii_alphabetic()) && capital_follows(text, end) {
        return true;
    }
    wanted.dates && len <= 2 && (month_before(text, start) || month_after(text, end))
}

/// More groups follow: three of any length, or two that have six digits or are two numbers with a slash.
#[inline]
fn grouped(text: &[u8], start: usize, end: usize) -> bool {
    let mut to = end;
    let mut total = end - start;
    for groups in 1..4 {
        let mut next = to;
        // `) `, `) (`, ` - `
        while next < to + 3 && matches!(at(text, next), b'-' | b' ' | b'.' | b'/' | b')' | b'(') {
            next += 1;
        }
        if next == to || !digit(text, next) {
            return false;
        }
        let separator = at(text, to);
        to = next;
        while digit(text, to) && to - next < 8 {
            to += 1;
        }
        total += to - next;
        if groups >= 2 || total >= 6 || (groups == 1 && separator == b'/') {
            return true;
        }
    }
    false
}

/// The digits are part of a token with three digits or more among five characters or more, or that may be a plate.
#[inline]
fn token(plates: bool, text: &[u8], start: usize, end: usize) -> bool {
    let part = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    let mut from = start;
    while from > 0 && start - from < 40 && part(at(text, from - 1)) {
        from -= 1;
    }
    let mut to = end;
    while to - end < 40 && part(at(text, to)) {
        to += 1;
    }
    let all = text.get(from..to).unwrap_or_default();
    let digits = all.iter().filter(|b| b.is_ascii_digit()).count();
    digits >= 3 && all.len() >= 5 || plates && all.len() >= 4 && !all.iter().any(u8::is_ascii_lowercase)
}

#[inline]
fn capital_follows(text: &[u8], end: usize) -> bool {
    let mut i = end + usize::from(at(text, end).is_ascii_alphabetic());
    let from = i;
    while i < from + 3 && at(text, i) == b' ' {
        i += 1;
    }
    let b = at(text, i);
    i > from && (b.is_ascii_uppercase() || b.is_ascii_digit() || b >= 0x80)
}

/// Three letters, in lower case, as a number.
const fn three(letters: [u8; 3]) -> u32 {
    (letters[0] as u32 | 0x20) << 16 | (letters[1] as u32 | 0x20) << 8 | (letters[2] as u32 | 0x20)
}

/// The first three letters of the months, in English and then elsewhere.
const MONTHS: [u32; 26] = [
    three(*b"jan"),
    three(*b"feb"),
    three(*b"mar"),
    three(*b"apr"),
    three(*b"may"),
    three(*b"jun"),
    three(*b"jul"),
    three(*b"aug"),
    three(*b"sep"),
    three(*b"oct"),
    three(*b"nov"),
    three(*b"dec"),
    three(*b"ene"),
    three(*b"abr"),
    three(*b"ago"),
    three(*b"set"),
    three(*b"dic"),
    three(*b"fev"),
    three(*b"mai"),
    three(*b"out"),
    three(*b"dez"),
    three(*b"avr"),
    three(*b"jui"),
    three(*b"gen"),
    three(*b"ott"),
    three(*b"okt"),
];
/// Italian months that begin otherwise.
const MORE_MONTHS: [u32; 4] = [three(*b"mag"), three(*b"giu"), three(*b"lug"), three(*b"aou")];

fn is_month(key: u32) -> bool {
    MONTHS.contains(&key) || MORE_MONTHS.contains(&key)
}

#[inline]
fn month_before(text: &[u8], start: usize) -> bool {
    let mut end = start;
    while end > 0 && start - end < 2 && matches!(at(text, end - 1), b' ' | b'.' | b',' | b'-' | b'/') {
        end -= 1;
    }
    let mut from = end;
    while from > 0 && end - from < 10 && at(text, from - 1).is_ascii_alphabetic() {
        from -= 1;
    }
    end < start && end - from >= 3 && is_month(three([at(text, from), at(text, from + 1), at(text, from + 2)]))
}

#[inline]
fn month_after(text: &[u8], end: usize) -> bool {
    let mut i = end;
    // An ordinal: `5th`, `1st`.
    if matches!(at(text, i) | 0x20, b's' | b'n' | b'r' | b't') && matches!(at(text, i + 1) | 0x20, b't' | b'd' | b'h') {
        i += 2;
    }
    let from = i;
    while i < from + 3 && matches!(at(text, i), b' ' | b'.' | b',' | b'-' | b'/') {
        i += 1;
    }
    // `of`, `de`
    if matches!((at(text, i) | 0x20, at(text, i + 1) | 0x20, at(text, i + 2)), (b'o', b'f', b' ') | (b'd', b'e', b' '))
    {
        i += 3;
    }
    if !at(text, i).is_ascii_alphabetic() {
        return false;
    }
    // Accents: f\u{e9}v, ao\u{fb}, d\u{e9}c, m\u{e4}r.
    at(text, i + 1) >= 0x80
        || at(text, i + 2) >= 0x80
        || is_month(three([at(text, i), at(text, i + 1), at(text, i + 2)]))
}
