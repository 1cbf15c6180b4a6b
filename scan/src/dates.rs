//! Calendar arithmetic and the shapes in which dates are written, shared by the redactions and the free-text scanner.
//!
//! Everything here is total: no panic and no overflow for any input. Deliberately absent: time zones, and names of months
//! in languages other than English.

/// Days from 1970-01-01 to 2000-01-01, where PostgreSQL's binary dates begin.
const EPOCH: i64 = 10_957;
/// Microseconds of a day.
pub const DAY: i64 = 86_400_000_000;

/// Days since 2000-01-01 of a proleptic Gregorian date; years before 1 as 0, -1, …
pub const fn days(year: i64, month: i64, day: i64) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    era * 146_097 + doe - 719_468 - EPOCH
}

/// The date that a number of days since 2000-01-01 falls on: year (0, -1, … before 1), month, day.
pub const fn civil(days_since_2000: i64) -> (i64, i64, i64) {
    let z = days_since_2000 + EPOCH + 719_468;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    // Days of the year count from 1 March: 306 and later are January and February of the next year.
    let month = (5 * doy + 2) / 153;
    let day = doy - (153 * month + 2) / 5 + 1;
    let year = yoe + era * 400 + if doy >= 306 { 1 } else { 0 };
    (year, if month < 10 { month + 3 } else { month - 9 }, day)
}

/// The year that a number of days since 2000-01-01 falls in.
pub const fn year_of(days_since_2000: i64) -> i64 {
    civil(days_since_2000).0
}

/// Whether year, month and day name a day.
pub const fn is_day(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let last = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return false,
    };
    day >= 1 && day <= last
}

/// Leading ASCII digits of `text`, at most nine of them, as a number and how many there are (all of them).
pub fn number(text: &[u8]) -> (u32, usize) {
    let len = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let n = text.iter().take(len.min(9)).fold(0u32, |n, b| n * 10 + u32::from(b - b'0'));
    (n, len)
}

const MONTHS: [&str; 12] = [
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
];

/// The month (1 to 12) that `word` names, whole or by its first three letters (and `sept`), in any case.
pub fn month(word: &[u8]) -> Option<u32> {
    let short: [u8; 3] = word.first_chunk::<3>()?.map(|b| b.to_ascii_lowercase());
    let at = match &short {
        b"jan" => 0,
        b"feb" => 1,
        b"mar" => 2,
        b"apr" => 3,
        b"may" => 4,
        b"jun" => 5,
        b"jul" => 6,
        b"aug" => 7,
        b"sep" => 8,
        b"oct" => 9,
        b"nov" => 10,
        b"dec" => 11,
        _ => return None,
    };
    let full = MONTHS.get(at).is_some_and(|m| word.eq_ignore_ascii_case(m.as_bytes()));
    let named = word.len() == 3 || full || (at == 8 && word.eq_ignore_ascii_case(b"sept"));
    if named { u32::try_from(at + 1).ok() } else { None }
}

/// A date found in text, and the length of what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// Four-digit year, if it was written with four digits.
    pub year: Option<u32>,
    /// Bytes read.
    pub len: usize,
    /// Day, month and year are all there.
    pub complete: bool,
}

/// Reads a numeric date at the start of `text`: `y-m-d`, `m/d/y`, `d.m.y` with one kind of separator.
pub fn numeric(text: &[u8]) -> Option<Found> {
    let (a, la) = number(text);
    let separator = *text.get(la)?;
    if !matches!(separator, b'-' | b'/' | b'.') {
        return None;
    }
    let rest = text.get(la + 1..)?;
    let (b, lb) = number(rest);
    if rest.get(lb) != Some(&separator) {
        return None;
    }
    let (c, lc) = number(rest.get(lb + 1..)?);
    let len = la + lb + lc + 2;
    if text.get(len).is_some_and(u8::is_ascii_digit) {
        return None;
    }
    let short = |n: usize| n == 1 || n == 2;
    if la == 4 && short(lb) && short(lc) {
        let plausible = (1000..=2999).contains(&a) && (is_day(a, b, c) || is_day(a, c, b));
        return plausible.then_some(Found { year: Some(a), len, complete: true });
    }
    if short(la) && short(lb) && (lc == 4 || (lc == 2 && separator != b'.')) {
        // Two-digit years: a leap year is assumed, so that 29 February is never missed.
        let year = if lc == 4 { c } else { 2000 };
        let plausible = (1000..=2999).contains(&year) && (is_day(year, a, b) || is_day(year, b, a));
        return plausible.then_some(Found { year: (lc == 4).then_some(c), len, complete: true });
    }
    None
}

/// Reads a date that begins with a day: `5 Jan 1952`, `05-JAN-52`, `5th of January, 1952`.
pub fn day_first(text: &[u8]) -> Option<Found> {
    let (day, digits) = number(text);
    if !(1..=31).contains(&day) || digits > 2 {
        return None;
    }
    let mut at = digits + ordinal(text.get(digits..)?);
    at += gap(text.get(at..)?);
    if text.get(at..at + 3).is_some_and(|w| w.eq_ignore_ascii_case(b"of ")) {
        at += 3;
    }
    if let Some(found) = abroad(text, at) {
        return Some(found);
    }
    let word = letters(text.get(at..)?);
    month(text.get(at..at + word)?)?;
    at += word;
    // `13MAY1952`
    let (year, year_digits) = number(text.get(at..)?);
    if year_digits == 4 && (1000..=2999).contains(&year) {
        return Some(Found { year: Some(year), len: at + 4, complete: true });
    }
    if word == 3 && at <= 5 && year_digits == 2 && !text.get(at + 2).is_some_and(u8::is_ascii_alphanumeric) {
        return Some(Found { year: None, len: at + 2, complete: true });
    }
    Some(with_year(text, at, true))
}

/// Months of other languages that differ from English, without accents: Spanish, Portuguese, French, Italian, German.
const MONTHS_ABROAD: &[&str] = &[
    "enero",
    "febrero",
    "marzo",
    "abril",
    "mayo",
    "junio",
    "julio",
    "agosto",
    "septiembre",
    "setiembre",
    "octubre",
    "noviembre",
    "diciembre",
    "janeiro",
    "fevereiro",
    "maio",
    "junho",
    "julho",
    "setembro",
    "outubro",
    "novembro",
    "dezembro",
    "janvier",
    "mars",
    "avril",
    "mai",
    "juin",
    "juillet",
    "septembre",
    "octobre",
    "novembre",
    "gennaio",
    "febbraio",
    "aprile",
    "maggio",
    "giugno",
    "luglio",
    "settembre",
    "ottobre",
    "dicembre",
    "januar",
    "februar",
    "juni",
    "juli",
    "oktober",
    "dezember",
    "marz",
    "fevrier",
    "aout",
    "decembre",
    "marco",
];

/// `5 de mayo de 1952` and the like from the month at `at` on; the year is required.
fn abroad(text: &[u8], mut at: usize) -> Option<Found> {
    if text.get(at..at + 3)?.eq_ignore_ascii_case(b"de ") {
        at += 3;
    }
    let mut folded = [0u8; 12];
    let mut len = 0;
    while let Some(&b) = text.get(at) {
        let letter = match b {
            b'a'..=b'z' | b'A'..=b'Z' => b.to_ascii_lowercase(),
            // Latin letters with accents: e, u, a, c are those that months have.
            0xc3 => match text.get(at + 1)? | 0x20 {
                0xa8..=0xab => b'e',
                0xb9..=0xbc => b'u',
                0xa0..=0xa5 => b'a',
                0xa7 => b'c',
                _ => return None,
            },
            _ => break,
        };
        *folded.get_mut(len)? = letter;
        len += 1;
        at += if b == 0xc3 { 2 } else { 1 };
    }
    let word = folded.get(..len)?;
    MONTHS_ABROAD.iter().find(|m| m.as_bytes() == word)?;
    at += gap(text.get(at..)?);
    for of in [&b"de "[..], b"del "] {
        if text.get(at..at + of.len())?.eq_ignore_ascii_case(of) {
            at += of.len();
        }
    }
    let (year, digits) = number(text.get(at..)?);
    (digits == 4 && (1000..=2999).contains(&year)).then_some(Found { year: Some(year), len: at + 4, complete: true })
}

/// The length of a date with the signs for year, month and day of China, Japan or Korea.
pub fn east_asian(text: &[u8]) -> Option<usize> {
    const SIGNS: [[&str; 3]; 2] = [["\u{5e74}", "\u{6708}", "\u{65e5}"], ["\u{b144}", "\u{c6d4}", "\u{c77c}"]];
    let (year, digits) = number(text);
    if digits != 4 || !(1000..=2999).contains(&year) || text.get(4)? < &0x80 {
        return None;
    }
    let signs = SIGNS.iter().find(|s| text.get(4..).is_some_and(|t| t.starts_with(s[0].as_bytes())))?;
    let mut at = 4 + signs[0].len();
    for sign in signs.iter().skip(1) {
        let blank = usize::from(text.get(at) == Some(&b' '));
        let digits = number(text.get(at + blank..)?).1;
        if !(1..=2).contains(&digits) || !text.get(at + blank + digits..)?.starts_with(sign.as_bytes()) {
            break;
        }
        at += blank + digits + sign.len();
    }
    Some(at)
}

/// Reads a date that begins with a month: `January 5, 1952`, `Jan. 5th`, `March 1952`.
pub fn month_first(text: &[u8]) -> Option<Found> {
    let word = letters(text);
    month(text.get(..word)?)?;
    let mut at = word;
    at += gap(text.get(at..)?);
    let (n, digits) = number(text.get(at..)?);
    if digits == 4 && (1000..=2999).contains(&n) {
        return Some(Found { year: Some(n), len: at + 4, complete: false });
    }
    if !(1..=31).contains(&n) || digits > 2 {
        return None;
    }
    at += digits;
    at += ordinal(text.get(at..)?);
    Some(with_year(text, at, true))
}

/// What a clock time after a date takes: `T14:05:00.5Z`, ` 14:05:00+02`.
pub fn clock(text: &[u8]) -> usize {
    let Some(b'T' | b't' | b' ') = text.first() else { return 0 };
    let (hour, h) = number(text.get(1..).unwrap_or_default());
    let minutes = text.get(1 + h..).unwrap_or_default();
    if !(1..=2).contains(&h) || hour > 24 || minutes.first() != Some(&b':') || number(&minutes[1..]).1 != 2 {
        return 0;
    }
    let mut at = 1 + h + 3;
    if text.get(at) == Some(&b':') && number(text.get(at + 1..).unwrap_or_default()).1 == 2 {
        at += 3;
        if text.get(at) == Some(&b'.') {
            at += 1 + number(text.get(at + 1..).unwrap_or_default()).1;
        }
    }
    match text.get(at) {
        Some(b'Z' | b'z') => at + 1,
        Some(b'+' | b'-') => {
            let zone = |at: usize| number(text.get(at..).unwrap_or_default()).1;
            let mut end = at + 1;
            let hours = zone(end);
            if hours != 2 && hours != 4 {
                return at;
            }
            end += hours;
            while text.get(end) == Some(&b':') && zone(end + 1) == 2 {
                end += 3;
            }
            end
        }
        _ => at,
    }
}

/// The year of a text that is a date and nothing else.
pub fn year_of_text(text: &[u8]) -> Option<u32> {
    let text = text.trim_ascii();
    let (n, digits) = number(text);
    if digits == 4 && text.len() == 4 {
        return Some(n);
    }
    let found = numeric(text).or_else(|| day_first(text)).or_else(|| month_first(text))?;
    let rest = text.get(found.len..)?;
    let rest = rest.get(clock(rest)..)?;
    if rest.is_empty() { found.year } else { None }
}

fn letters(text: &[u8]) -> usize {
    text.iter().take(10).take_while(|b| b.is_ascii_alphabetic()).count()
}

fn ordinal(text: &[u8]) -> usize {
    let found = text.get(..2).is_some_and(|w| [b"st", b"nd", b"rd", b"th"].iter().any(|o| w.eq_ignore_ascii_case(*o)));
    if found && !text.get(2).is_some_and(u8::is_ascii_alphanumeric) { 2 } else { 0 }
}

/// Up to three of blank, full stop, comma, hyphen and slash between the parts of a written date.
fn gap(text: &[u8]) -> usize {
    text.iter().take(3).take_while(|b| matches!(b, b' ' | b'.' | b',' | b'-' | b'/')).count()
}

fn with_year(text: &[u8], at: usize, has_day: bool) -> Found {
    let short = Found { year: None, len: at, complete: false };
    let Some(rest) = text.get(at..) else { return short };
    let skipped = gap(rest);
    let (n, digits) = number(rest.get(skipped..).unwrap_or_default());
    let apostrophe = rest.first() == Some(&b'\'');
    if skipped > 0 && digits == 4 && (1000..=2999).contains(&n) {
        return Found { year: Some(n), len: at + skipped + 4, complete: has_day };
    }
    let joined = matches!(rest.first(), Some(b'-' | b'/'));
    if joined && digits == 2 {
        return Found { year: None, len: at + skipped + 2, complete: has_day };
    }
    if apostrophe && number(rest.get(1..).unwrap_or_default()).1 == 2 {
        return Found { year: None, len: at + 3, complete: has_day };
    }
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_years_agree() {
        assert_eq!(days(2000, 1, 1), 0);
        assert_eq!(days(1970, 1, 1), -10_957);
        assert_eq!(days(2024, 2, 29), 8_825);
        for year in -4800..10_000 {
            let first = days(year, 1, 1);
            assert_eq!((year_of(first - 1), year_of(first), year_of(days(year, 12, 31))), (year - 1, year, year));
            assert_eq!(year_of(days(year, 2, 28)), year);
            assert_eq!(year_of(days(year, 3, 1)), year);
            for (month, day) in [(1, 1), (2, 28), (3, 1), (7, 31), (12, 31)] {
                assert_eq!(civil(days(year, month, day)), (year, month, day));
            }
        }
    }

    #[test]
    fn months_are_named_whole_or_by_three_letters() {
        for (at, name) in (1..).zip(MONTHS) {
            for word in [name.to_owned(), name.to_uppercase(), name[..3].to_owned()] {
                assert_eq!(month(word.as_bytes()), Some(at), "{word}");
                for no in [format!("{word}s"), format!("x{word}"), word[..2].to_owned()] {
                    assert_eq!(month(no.as_bytes()), None, "{no}");
                }
            }
        }
        assert_eq!((month(b"SEPT"), month(b"octo"), month(b"janu"), month(b"")), (Some(9), None, None, None));
    }

    #[test]
    fn years_of_texts() {
        for (text, year) in [
            ("1952-05-21", Some(1952)),
            ("1952-05-21T10:00:00Z", Some(1952)),
            ("1952-05-21 10:00:00.123+02:00", Some(1952)),
            ("5/21/1952", Some(1952)),
            ("21.05.1952", Some(1952)),
            ("21 May 1952", Some(1952)),
            ("21-MAY-1952", Some(1952)),
            ("May 21, 1952", Some(1952)),
            ("5th of January, 1952", Some(1952)),
            ("March 1952", Some(1952)),
            (" 1952 ", Some(1952)),
            ("21-MAY-52", None),
            ("5/21/52", None),
            ("1952-13-41", None),
            ("1952-05-21 and more", None),
            ("unknown", None),
            ("", None),
            ("19520521", None),
            ("May", None),
        ] {
            assert_eq!(year_of_text(text.as_bytes()), year, "{text}");
        }
    }
}
