//! Values as text that is safe to print: text as it is with escapes neutralised, binary values of the common types as
//! PostgreSQL would write them, everything else in hexadecimal.

use audit::render::{hex, printable};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Microseconds of a day.
const DAY_US: i64 = 86_400_000_000;
/// Days from 1970 to 2000, where PostgreSQL's dates begin.
const DAYS_TO_2000: i64 = 10_957;

/// A value as text.
#[must_use]
pub fn cell(value: &[u8], type_oid: u32, binary: bool) -> String {
    if !binary {
        return printable(value);
    }
    of_binary(value, type_oid).unwrap_or_else(|| format!("\\x{}", hex(value)))
}

fn array<const N: usize>(value: &[u8]) -> Option<[u8; N]> {
    value.try_into().ok()
}

fn of_binary(value: &[u8], type_oid: u32) -> Option<String> {
    Some(match type_oid {
        16 => match value {
            [0] => "f".to_owned(),
            [_] => "t".to_owned(),
            _ => return None,
        },
        18 | 19 | 25 | 114 | 142 | 705 | 1042 | 1043 | 2275 => printable(value),
        20 => i64::from_be_bytes(array(value)?).to_string(),
        21 => i16::from_be_bytes(array(value)?).to_string(),
        23 => i32::from_be_bytes(array(value)?).to_string(),
        26 => u32::from_be_bytes(array(value)?).to_string(),
        700 => f32::from_be_bytes(array(value)?).to_string(),
        701 => f64::from_be_bytes(array(value)?).to_string(),
        869 | 650 => inet(value)?,
        1082 => date(i64::from(i32::from_be_bytes(array(value)?)))?,
        1083 => time(i64::from_be_bytes(array(value)?)),
        1114 => timestamp(i64::from_be_bytes(array(value)?))?,
        1184 => timestamp(i64::from_be_bytes(array(value)?))? + "+00",
        1700 => numeric(value)?,
        2950 => {
            let hex = hex(&array::<16>(value)?);
            format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
        }
        3802 => printable(value.strip_prefix(&[1])?),
        _ => return None,
    })
}

fn inet(value: &[u8]) -> Option<String> {
    let (head, address) = value.split_first_chunk::<4>()?;
    let (text, full) = match address.len() {
        4 => (Ipv4Addr::from(array::<4>(address)?).to_string(), 32),
        16 => (Ipv6Addr::from(array::<16>(address)?).to_string(), 128),
        _ => return None,
    };
    Some(if head[1] == full && head[2] == 0 { text } else { format!("{text}/{}", head[1]) })
}

/// Days since 2000.
fn date(days: i64) -> Option<String> {
    match i32::try_from(days) {
        Ok(i32::MAX) => return Some("infinity".to_owned()),
        Ok(i32::MIN) => return Some("-infinity".to_owned()),
        _ => {}
    }
    // Civil from days, counted from a first of March; eras of 400 years.
    let days = days.checked_add(DAYS_TO_2000 + 719_468)?;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + year + i64::from(month <= 2);
    Some(if year > 0 {
        format!("{year:04}-{month:02}-{day:02}")
    } else {
        format!("{:04}-{month:02}-{day:02} BC", 1 - year)
    })
}

fn time(us: i64) -> String {
    let (seconds, fraction) = (us.div_euclid(1_000_000), us.rem_euclid(1_000_000));
    let clock = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    match fraction {
        0 => clock,
        fraction => format!("{clock}.{}", format!("{fraction:06}").trim_end_matches('0')),
    }
}

fn timestamp(us: i64) -> Option<String> {
    match us {
        i64::MAX => Some("infinity".to_owned()),
        i64::MIN => Some("-infinity".to_owned()),
        us => Some(format!("{} {}", date(us.div_euclid(DAY_US))?, time(us.rem_euclid(DAY_US)))),
    }
}

/// Groups of four decimal digits: count, weight, sign, scale, then the groups.
fn numeric(value: &[u8]) -> Option<String> {
    let (head, groups) = value.split_first_chunk::<8>()?;
    let field = |i: usize| u16::from_be_bytes([head[2 * i], head[2 * i + 1]]);
    let (count, weight, sign, scale) = (usize::from(field(0)), i32::from(field(1).cast_signed()), field(2), field(3));
    match sign {
        0xc000 => return Some("NaN".to_owned()),
        0xd000 => return Some("Infinity".to_owned()),
        0xf000 => return Some("-Infinity".to_owned()),
        0 | 0x4000 => {}
        _ => return None,
    }
    if groups.len() != 2 * count || count > 32_768 || scale > 16_383 {
        return None;
    }
    let group = |at: i32| {
        let at = usize::try_from(weight - at).ok()?;
        groups.get(2 * at..2 * at + 2).map(|b| u16::from_be_bytes([b[0], b[1]]))
    };
    let mut out = String::new();
    for at in (0..=weight.max(0)).rev() {
        out.push_str(&format!("{:04}", group(at).unwrap_or(0)));
    }
    let whole = out.trim_start_matches('0');
    let mut out = if whole.is_empty() { "0".to_owned() } else { whole.to_owned() };
    if scale > 0 {
        let mut fraction = String::new();
        for at in 1..=i32::from(scale).div_euclid(4) + 1 {
            fraction.push_str(&format!("{:04}", group(-at).unwrap_or(0)));
        }
        fraction.truncate(usize::from(scale));
        out = format!("{out}.{fraction}");
    }
    Some(if sign == 0x4000 { format!("-{out}") } else { out })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn binary_values_read_as_the_server_writes_them() {
        // Bytes as the send functions of the types make them; text as their output functions do.
        for (oid, bytes, text) in [
            (16, &b"\x01"[..], "t"),
            (23, b"\xff\xff\xff\xfe", "-2"),
            (20, b"\0\0\0\x01\0\0\0\0", "4294967296"),
            (701, b"\x3f\xf8\0\0\0\0\0\0", "1.5"),
            (1082, b"\0\0\0\0", "2000-01-01"),
            (1082, b"\0\0\x26\x5e", "2026-11-22"),
            (1082, b"\xff\xff\xff\xff", "1999-12-31"),
            (1114, b"\0\0\0\0\0\x0f\x42\x41", "2000-01-01 00:00:01.000001"),
            (1184, b"\xff\xff\xff\xff\xff\xff\xff\xff", "1999-12-31 23:59:59.999999+00"),
            (1700, b"\0\x02\0\0\0\0\0\x02\0\x0c\x13\xec", "12.51"),
            (1700, b"\0\x01\xff\xff\x40\0\0\x03\x0b\xb8", "-0.300"),
            (1700, b"\0\x01\0\x01\0\0\0\0\0\x07", "70000"),
            (1700, b"\0\0\0\0\xc0\0\0\0", "NaN"),
            (869, b"\x02\x20\0\x04\x0a\0\0\x07", "10.0.0.7"),
            (650, b"\x02\x08\x01\x04\x0a\0\0\0", "10.0.0.0/8"),
            (
                2950,
                b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f",
                "00010203-0405-0607-0809-0a0b0c0d0e0f",
            ),
            (3802, b"\x01{\"a\": 1}", "{\"a\": 1}"),
            (17, b"\xde\xad", "\\xdead"),
            (23, b"\x01", "\\x01"),
        ] {
            assert_eq!(cell(bytes, oid, true), text, "type {oid}");
        }
    }

    #[test]
    fn escapes_are_neutralised_in_every_form() {
        for (oid, binary) in [(25, false), (25, true), (114, true), (9999, false), (9999, true)] {
            let shown = cell(b"\x1b]0;owned\x07\r\n\xe2\x80\xae", oid, binary);
            assert!(!shown.chars().any(|c| c.is_control() || c == '\u{202e}'), "{oid} {binary}: {shown:?}");
        }
    }

    proptest! {
        #[test]
        fn any_value_may_be_shown(value in proptest::collection::vec(any::<u8>(), 0..40), oid in prop::sample::select(vec![16u32, 20, 21, 23, 26, 700, 701, 869, 1082, 1083, 1114, 1184, 1700, 2950, 3802, 25])) {
            let shown = cell(&value, oid, true);
            prop_assert!(!shown.chars().any(char::is_control));
        }
    }
}
