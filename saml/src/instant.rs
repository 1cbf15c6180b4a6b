//! Times of SAML (`xs:dateTime` in UTC, SAML core 1.3.3) as seconds since 1970.
//!
//! Only the form that the standard asks for, `2026-11-22T18:10:11Z` with an optional fraction, is read.

use crate::Refused;

const MALFORMED: Refused = Refused("a malformed time");

/// Seconds since 1970; a fraction is dropped.
pub(crate) fn parse(text: &str) -> Result<i64, Refused> {
    let text = text.strip_suffix('Z').ok_or(MALFORMED)?;
    let whole = match text.split_once('.') {
        None => text,
        Some((whole, fraction)) if digits(fraction, 1, 9) => whole,
        Some(_) => return Err(MALFORMED),
    };
    let bytes = whole.as_bytes();
    if bytes.len() != 19 || [4, 7].iter().any(|i| bytes[*i] != b'-') || bytes[10] != b'T' {
        return Err(MALFORMED);
    }
    if [13, 16].iter().any(|i| bytes[*i] != b':') {
        return Err(MALFORMED);
    }
    let part = |from: usize, to: usize| -> Result<i64, Refused> {
        let part = whole.get(from..to).ok_or(MALFORMED)?;
        if digits(part, to - from, to - from) { part.parse().map_err(|_| MALFORMED) } else { Err(MALFORMED) }
    };
    let (year, month, day) = (part(0, 4)?, part(5, 7)?, part(8, 10)?);
    let (hour, minute, second) = (part(11, 13)?, part(14, 16)?, part(17, 19)?);
    let days = days_of(year, month).ok_or(MALFORMED)?;
    if !(1..=days).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return Err(MALFORMED);
    }
    Ok((days_before(year, month) + day - 1) * 86_400 + hour * 3_600 + minute * 60 + second)
}

/// The form that [`parse`] reads.
pub(crate) fn format(seconds: i64) -> String {
    let (mut days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    let mut year = 1970;
    while days < 0 {
        year -= 1;
        days += year_days(year);
    }
    while days >= year_days(year) {
        days -= year_days(year);
        year += 1;
    }
    let mut month = 1;
    while let Some(n) = days_of(year, month).filter(|n| days >= *n) {
        days -= n;
        month += 1;
    }
    let (hour, minute, second) = (rest / 3_600, rest / 60 % 60, rest % 60);
    format!("{year:04}-{month:02}-{:02}T{hour:02}:{minute:02}:{second:02}Z", days + 1)
}

fn digits(text: &str, min: usize, max: usize) -> bool {
    (min..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

fn year_days(year: i64) -> i64 {
    365 + i64::from(is_leap(year))
}

fn days_of(year: i64, month: i64) -> Option<i64> {
    Some(match month {
        2 => 28 + i64::from(is_leap(year)),
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    })
}

/// Days from 1970-01-01 to the first of this month.
fn days_before(year: i64, month: i64) -> i64 {
    let before = year - 1;
    let leaps = |y: i64| y.div_euclid(4) - y.div_euclid(100) + y.div_euclid(400);
    let years = (year - 1970) * 365 + leaps(before) - leaps(1969);
    years + (1..month).filter_map(|m| days_of(year, m)).sum::<i64>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn reads_and_refuses() {
        assert_eq!(parse("1970-01-01T00:00:00Z"), Ok(0));
        assert_eq!(parse("2026-11-22T18:10:11Z"), Ok(1_795_371_011));
        assert_eq!(parse("2000-02-29T23:59:59.999Z"), Ok(951_868_799));
        for bad in [
            "",
            "Z",
            "2026-11-22T18:10:11",
            "2026-11-22T18:10:11+00:00",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-01-01T24:00:00Z",
            "2026-01-01T00:00:60Z",
            "2026-01-01 00:00:00Z",
            "2026-01-01T00:00:00.Z",
            "+026-01-01T00:00:00Z",
            "2026-01-01T00:00:00.1234567890Z",
            "2026-1-1T00:00:00Z",
            "\u{e9}026-01-01T00:00:0Z",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(seconds in 0i64..253_402_300_800) {
            prop_assert_eq!(parse(&format(seconds)), Ok(seconds));
        }

        #[test]
        fn any_text(text in "\\PC{0,40}") {
            let _ = parse(&text);
        }
    }
}
