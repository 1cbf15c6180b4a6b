//! Which digits are worth a look: a few comparisons that let go of doses, vital signs and laboratory values.
//!
//! It looks at the run of digits, what follows and the byte before, and may say yes too often but never no to a digit that
//! [`crate::shapes`] would make a hit of; a test holds it to that with every shape. Bytes are first sorted by a table, so
//! that the usual case is two look-ups and one branch. Deliberately absent: verification.

use wide::u8x16;

use crate::context;
use crate::detector::Detector;
use crate::find::Shapes;
use crate::shapes;

/// What the shapes of a set need to be looked at for, worked out once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    dates: bool,
    ages: bool,
    addresses: bool,
    codes: bool,
    plates: bool,
    /// Tokens in capitals with a single digit: plates, bank identifier codes.
    capitals: bool,
}

impl Wanted {
    #[inline]
    pub(crate) fn of(shapes: Shapes) -> Self {
        Self {
            dates: shapes.has(Detector::Date),
            ages: shapes.has(Detector::Age),
            addresses: shapes.has(Detector::Address),
            plates: shapes.has(Detector::Plate),
            capitals: shapes.meets(Shapes::of(&[Detector::Plate, Detector::Account, Detector::Iban])),
            codes: shapes.meets(Shapes::CODES),
        }
    }
}

/// A digit after it is worth a look.
const LEADS: u8 = 1;
/// May stand between groups of digits.
const PARTS: u8 = 1 << 1;
/// Of a token: letters, hyphen, low line.
const TOKEN: u8 = 1 << 2;
/// Not ASCII: a sign of a date, or degrees.
const HIGH: u8 = 1 << 3;
const UPPER: u8 = 1 << 4;
const DIGIT: u8 = 1 << 5;
const LOWER: u8 = 1 << 6;
/// Between a month and a number.
const GAP: u8 = 1 << 7;

static CLASS: [u8; 256] = {
    let mut class = [0u8; 256];
    let mut i = 0;
    while i < 256 {
        let b = i as u8;
        class[i] = match b {
            b'+' | b'%' => LEADS,
            b'(' => LEADS | PARTS,
            b')' => PARTS,
            b' ' | b'.' | b'/' => PARTS | GAP,
            b',' => GAP,
            b'-' => PARTS | GAP | TOKEN,
            b'_' => TOKEN,
            b'0'..=b'9' => TOKEN | DIGIT,
            b'A'..=b'Z' => TOKEN | UPPER,
            b'a'..=b'z' => TOKEN | LOWER,
            0x80..=0xff => HIGH,
            _ => 0,
        };
        i += 1;
    }
    class
};

#[inline(always)]
fn at(text: &[u8], i: usize) -> u8 {
    text.get(i).copied().unwrap_or(0)
}

#[inline(always)]
fn class(text: &[u8], i: usize) -> u8 {
    CLASS[usize::from(at(text, i))]
}

/// Whether the run of digits that begins at `start` may belong to a shape; `known` of its digits have been counted.
#[inline(never)]
pub(crate) fn likely(wanted: Wanted, text: &[u8], start: usize, known: usize) -> bool {
    let mut end = start + known;
    while class(text, end) & DIGIT != 0 {
        end += 1;
        if end - start >= 4 {
            return true;
        }
    }
    let before = if start == 0 { 0 } else { class(text, start - 1) };
    let after = class(text, end);
    if (before & (LEADS | HIGH)) | (after & HIGH) != 0 {
        return true;
    }
    if after & PARTS != 0 && class(text, end + 1) & (DIGIT | PARTS) != 0 && grouped(wanted, text, start, end) {
        return true;
    }
    let len = end - start;
    if wanted.codes
        && ((before | after) & TOKEN != 0 && token(wanted, text, start, end)
            || wanted.plates && len == 3 && at(text, end) == b' ' && class(text, end + 1) & UPPER != 0)
    {
        return true;
    }
    if wanted.ages
        && (len == 2 && at(text, start) == b'9' || len == 3 && at(text, start) <= b'1')
        && aged(text, start, end)
    {
        return true;
    }
    if wanted.addresses
        && before & (UPPER | LOWER) == 0
        && (at(text, end) == b' ' || after & (UPPER | LOWER) != 0)
        && capital_follows(text, end)
    {
        return true;
    }
    // A month stands before the number, or after it and an ordinal's letters.
    wanted.dates
        && len <= 2
        && (before & GAP != 0 && month_before(text, start)
            || after & (GAP | LOWER | UPPER) != 0 && month_after(text, end))
}

/// Bytes before a number of prose that are looked at, the blank included,
const BEFORE: usize = 17;
/// and all of them.
const AROUND: usize = BEFORE + MOST + 5;
/// Digits of a number of prose, at most.
const MOST: usize = 3;

/// Whether `len` digits at `start` are a number of prose, which no shape has: between blanks before a small letter
/// (`in 10 days`), or with a unit of two or three (`25mg`). Says no to most, but where it says yes, [`likely`] says no.
#[inline]
pub(crate) fn is_prose(wanted: Wanted, text: &[u8], start: usize, len: usize) -> bool {
    let around = start.checked_sub(BEFORE).and_then(|from| text.get(from..)).and_then(<[u8]>::first_chunk::<AROUND>);
    let (Some(around), 1..=MOST) = (around, len) else { return false };
    let byte = |i: usize| around.get(i).copied().unwrap_or(0);
    let end = BEFORE + len;
    let [a, b, c, d] = [byte(end), byte(end + 1), byte(end + 2), byte(end + 3)];
    let small = |b: u8| b.is_ascii_lowercase();
    let ends = |b: u8| CLASS[usize::from(b)] & (TOKEN | HIGH) == 0;
    let spaced = (a == b' ') & small(b);
    let unit = small(a) & small(b) & (ends(c) | small(c) & ends(d));
    let digit = |i: usize| byte(BEFORE + i).is_ascii_digit();
    let digits = digit(0) & (digit(1) | (len < 2)) & (digit(2) | (len < 3));
    if !(digits & (byte(BEFORE - 1) == b' ') & (spaced | unit)) {
        return false;
    }
    let first = byte(BEFORE);
    let old = wanted.ages & ((len == 2) & (first == b'9') | (len == 3) & (first <= b'1'));
    // `5 of May`, `5 de mayo`, `5th`; and what begins with three letters as a month does.
    let of = |pair: (u8, u8)| matches!(pair, (b'o', b'f') | (b'd', b'e'));
    let joins = spaced & (d == b' ') & of((b, c)) | unit & (of((a, b)) | matches!(b, b't' | b'd' | b'h'));
    let behind = may_begin_month(if spaced { [b, c, d] } else { [a, b, c] });
    let day = wanted.dates & (len <= 2) & (joins | behind | month_ends(around));
    !(old | day)
}

/// Before the number of [`is_prose`] stands a word that may begin as a month does.
#[inline(always)]
fn month_ends(around: &[u8; AROUND]) -> bool {
    const WORD: usize = BEFORE - 1;
    let Some(word) = around.first_chunk::<WORD>() else { return true };
    let letters = (u8x16::new(*word) | u8x16::splat(0x20)) - u8x16::splat(b'a');
    let letters = letters.min(u8x16::splat(25)).simd_eq(letters).to_bitmask();
    let gap = usize::from(CLASS[usize::from(word[WORD - 1])] & GAP != 0);
    let len = ((letters << (16 + gap)).leading_ones() as usize).min(LONGEST);
    let letter = |i: usize| word.get((WORD - gap).wrapping_sub(len) + i).copied().unwrap_or(0);
    (len >= 3) & may_begin_month([letter(0), letter(1), letter(2)])
}

/// Whether three bytes may be the first letters of a month: too often, never too seldom. A byte that is not ASCII may be one.
#[inline(always)]
fn may_begin_month([a, b, c]: [u8; 3]) -> bool {
    let letter = |b: u8| LETTERS[usize::from(b & 31)];
    let high = (b | c) >= 0x80;
    high | ((letter(a) & letter(b) >> 8 & letter(c) >> 16) & 0xff != 0)
}

/// For each letter the groups of months, one bit each, whose first it is; from bit 8 on whose second, from bit 16 on whose
/// third.
static LETTERS: [u32; 32] = {
    let mut letters = [0u32; 32];
    let mut i = 0;
    while i < MONTHS.len() {
        // Months that begin alike are in a group.
        let group = (MONTHS[i][0] as u32 + MONTHS[i][1] as u32) % 8;
        let mut place = 0;
        while place < 3 {
            letters[(MONTHS[i][place] & 31) as usize] |= 1 << (group + 8 * place as u32);
            place += 1;
        }
        i += 1;
    }
    letters
};

/// More groups follow: three of any length, or two that have six digits or may be a day.
#[inline]
fn grouped(wanted: Wanted, text: &[u8], start: usize, end: usize) -> bool {
    let mut to = end;
    let mut total = end - start;
    let mut slashed = None;
    for groups in 1..4 {
        let mut next = to;
        // `) `, `) (`, ` - `
        while next < to + 3 && class(text, next) & PARTS != 0 {
            next += 1;
        }
        if next == to || class(text, next) & DIGIT == 0 {
            return wanted.dates && slashed.is_some_and(|next| day(text, start, end, next, to));
        }
        slashed = (groups == 1 && at(text, to) == b'/').then_some(next);
        to = next;
        while class(text, to) & DIGIT != 0 && to - next < 8 {
            to += 1;
        }
        total += to - next;
        if groups >= 2 || total >= 6 {
            return true;
        }
    }
    false
}

/// `3/14` after a word that says so, or where the second number is too large for a scale.
fn day(text: &[u8], start: usize, end: usize, next: usize, to: usize) -> bool {
    let value = |from: usize, to: usize| {
        text.get(from..to).unwrap_or_default().iter().fold(0u32, |n, b| n * 10 + u32::from(b - b'0'))
    };
    // `5/2021`
    if to - next == 4 {
        return true;
    }
    let (a, b) = (value(start, end), value(next, to));
    a <= 31 && b <= 31 && (b > 12 || context::day_before(text, start))
}

/// Years follow the number, or something before it may say that it is an age.
fn aged(text: &[u8], start: usize, end: usize) -> bool {
    let gap = usize::from(matches!(at(text, end), b' ' | b'-'));
    if at(text, end + gap) | 0x20 == b'y' {
        return true;
    }
    if matches!(at(text, end), b'%' | b'/' | b'.') {
        return false;
    }
    // 90 to 130.
    let (first, second) = (at(text, start), at(text, start + 1));
    if end - start == 3 && !(first == b'1' && second <= b'3' || first == b'0' && second == b'9') {
        return false;
    }
    // All of it, without an early end, so that many bytes are compared at once.
    let before = text.get(start.saturating_sub(context::REACH + 1)..start).unwrap_or_default();
    let after = before.get(1..).unwrap_or_default();
    before.iter().zip(after).fold(false, |said, (a, g)| said | (a | 0x20 == b'a') & (g | 0x20 == b'g') | (*a >= 0x80))
}

/// The digits are part of a token with three digits or more among five characters or more, or all capitals.
#[inline]
fn token(wanted: Wanted, text: &[u8], start: usize, end: usize) -> bool {
    let mut from = start;
    while from > 0 && start - from < 40 && class(text, from - 1) & TOKEN != 0 {
        from -= 1;
    }
    let mut to = end;
    let mut digits = end - start;
    let mut seen = if from < start { UPPER } else { 0 };
    let head = text.get(from..start).unwrap_or_default();
    let mut letters = head.iter().any(u8::is_ascii_alphabetic);
    let mut joints = head.iter().filter(|b| matches!(b, b'-' | b'_')).count();
    let mut small = false;
    while to - end < 40 {
        let c = class(text, to);
        if c & TOKEN == 0 {
            break;
        }
        letters |= c & (UPPER | LOWER) != 0;
        seen |= c & (UPPER | DIGIT);
        // A hyphen or a low line.
        let joint = c & (UPPER | LOWER | DIGIT) == 0;
        seen |= if joint { UPPER } else { 0 };
        joints += usize::from(joint);
        small |= c & LOWER != 0;
        digits += usize::from(c & DIGIT != 0);
        to += 1;
    }
    // `300mg`
    if seen == 0 {
        return false;
    }
    digits += head.iter().filter(|b| b.is_ascii_digit()).count();
    digits >= if letters { if to - from >= 6 { 1 } else { 3 } } else { 5 } && to - from >= 5
        || wanted.capitals
            && !small
            && !head.iter().any(u8::is_ascii_lowercase)
            && (letters && to - from >= 4 + joints || !letters && class(text, to + 1) & UPPER != 0)
            && capitals(wanted, text, start)
}

/// A short token in capitals with the digits at `start` begins an account's number, `GB82`, or is a plate.
fn capitals(wanted: Wanted, text: &[u8], start: usize) -> bool {
    let country = start >= 2 && class(text, start - 2) & class(text, start - 1) & UPPER != 0;
    country && class(text, start + 1) & DIGIT != 0 || wanted.plates && shapes::is_plate(text, start)
}

#[inline]
fn capital_follows(text: &[u8], end: usize) -> bool {
    let mut i = end + usize::from(at(text, end).is_ascii_alphabetic());
    let from = i;
    while i < from + 3 && at(text, i) == b' ' {
        i += 1;
    }
    i > from && class(text, i) & (UPPER | DIGIT | HIGH) != 0
}

/// Three letters, in lower case, as a number.
#[inline(always)]
const fn three(letters: [u8; 3]) -> u32 {
    (letters[0] as u32 | 0x20) << 16 | (letters[1] as u32 | 0x20) << 8 | (letters[2] as u32 | 0x20)
}

/// How months begin, in English and elsewhere.
const MONTHS: &[&[u8; 3]] = &[
    b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec", b"ene", b"abr",
    b"ago", b"set", b"dic", b"fev", b"mai", b"out", b"dez", b"avr", b"jui", b"gen", b"ott", b"okt", b"mag", b"giu",
    b"lug", b"aou",
];

const SLOTS: usize = 256;

#[inline(always)]
const fn slot(key: u32) -> usize {
    (key.wrapping_mul(0x9e37_79b1) >> 24) as usize % SLOTS
}

/// Open addressing, 0 for nothing.
static BEGINNINGS: [u32; SLOTS] = {
    let mut table = [0u32; SLOTS];
    let mut i = 0;
    while i < MONTHS.len() {
        let key = three(*MONTHS[i]);
        let mut at = slot(key);
        while table[at] != 0 {
            at = (at + 1) % SLOTS;
        }
        table[at] = key;
        i += 1;
    }
    table
};

#[inline(always)]
fn is_month(key: u32) -> bool {
    let mut at = slot(key);
    loop {
        match BEGINNINGS[at] {
            0 => return false,
            k if k == key => return true,
            _ => at = (at + 1) % SLOTS,
        }
    }
}

#[inline]
fn month_before(text: &[u8], start: usize) -> bool {
    let mut end = start - 1;
    if end > 0 && class(text, end - 1) & GAP != 0 {
        end -= 1;
    }
    let mut from = end;
    while from > 0 && end - from < LONGEST && class(text, from - 1) & (UPPER | LOWER) != 0 {
        from -= 1;
    }
    end - from >= 3 && is_month(three([at(text, from), at(text, from + 1), at(text, from + 2)]))
}

/// Letters before a number in which a month's name is looked for.
const LONGEST: usize = 10;

#[inline]
fn month_after(text: &[u8], end: usize) -> bool {
    let mut i = end;
    // An ordinal: `5th`, `1st`.
    if matches!(at(text, i) | 0x20, b's' | b'n' | b'r' | b't') && matches!(at(text, i + 1) | 0x20, b't' | b'd' | b'h') {
        i += 2;
    }
    let from = i;
    while i < from + 3 && class(text, i) & GAP != 0 {
        i += 1;
    }
    // `of`, `de`
    if at(text, i + 2) == b' ' && matches!((at(text, i) | 0x20, at(text, i + 1) | 0x20), (b'o', b'f') | (b'd', b'e')) {
        i += 3;
    }
    let third = class(text, i + 1) | class(text, i + 2);
    class(text, i) & (UPPER | LOWER) != 0
        // Accents: fév, aoû, déc, mär.
        && (third & HIGH != 0 || is_month(three([at(text, i), at(text, i + 1), at(text, i + 2)])))
}
