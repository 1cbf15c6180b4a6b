//! Constants of rule files as values of a column's type, in text and in binary.
//!
//! Invariants: both forms denote the same value, and the server would take either; what is no value of the type gives
//! `None`. Deliberately absent: types of users and extensions, time zones by name, negative intervals.

use std::net::IpAddr;

use crate::byte_values::Bytes;
use crate::numeric::Numeric;
use crate::pg_types::{is_multirange, is_range, oid};
use crate::redact::{Format, Kind};
use scan::dates;

/// Last year that a `timestamp` holds.
const TIMESTAMP_YEAR_MAX: u32 = 294_276;
/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// Year, month and day as they are written.
pub(crate) type Written = (u32, u32, u32);
/// A value in both forms.
pub(crate) type Both = (Vec<u8>, Vec<u8>);

/// The constant as a value of the type: text, binary.
pub(crate) fn constant(text: &str, type_oid: u32) -> Option<Both> {
    let bytes = text.as_bytes();
    if bytes.contains(&0) {
        return None;
    }
    let same = |valid: bool| valid.then(|| (bytes.to_vec(), bytes.to_vec()));
    let plain = text.trim();
    match type_oid {
        oid::BOOL => match plain.to_ascii_lowercase().as_str() {
            "true" | "t" => Some((b"t".to_vec(), vec![1])),
            "false" | "f" => Some((b"f".to_vec(), vec![0])),
            _ => None,
        },
        oid::INT2 => plain.parse().ok().map(|n: i16| (n.to_string().into(), n.to_be_bytes().into())),
        oid::INT4 => plain.parse().ok().map(|n: i32| (n.to_string().into(), n.to_be_bytes().into())),
        oid::INT8 => plain.parse().ok().map(|n: i64| (n.to_string().into(), n.to_be_bytes().into())),
        oid::FLOAT4 => {
            let n = plain.parse().ok().filter(|n: &f32| n.is_finite())?;
            Some((plain.into(), n.to_be_bytes().into()))
        }
        oid::FLOAT8 => {
            let n = plain.parse().ok().filter(|n: &f64| n.is_finite())?;
            Some((plain.into(), n.to_be_bytes().into()))
        }
        oid::NUMERIC => {
            let n = Numeric::parse(plain.as_bytes())?;
            let mut binary = Vec::new();
            n.write(&mut binary);
            Some((n.text(), binary))
        }
        oid::DATE => {
            let (days, rest) = date(plain.as_bytes())?;
            rest.is_empty().then_some(())?;
            Some((plain.into(), i32::try_from(days).ok()?.to_be_bytes().into()))
        }
        oid::TIMESTAMP | oid::TIMESTAMPTZ => timestamp(plain.as_bytes(), type_oid == oid::TIMESTAMPTZ),
        oid::TIME => {
            let (micros, rest) = time(plain.as_bytes())?;
            rest.is_empty().then(|| (clock(micros).into(), micros.to_be_bytes().into()))
        }
        oid::TIMETZ => {
            let (micros, rest) = time(plain.as_bytes())?;
            let east = zone(rest)?;
            let binary = [&micros.to_be_bytes()[..], &i32::try_from(-east).ok()?.to_be_bytes()].concat();
            Some((format!("{}{}", clock(micros), written_zone(east)).into(), binary))
        }
        oid::INTERVAL => interval(plain),
        oid::UUID | oid::BYTEA | oid::MACADDR | oid::MACADDR8 => {
            let form = Bytes::of(type_oid)?;
            let content = match form.read(Format::Text, plain.as_bytes()) {
                None if form == Bytes::Bytea && !bytes.contains(&b'\\') => bytes.to_vec(),
                read => read?,
            };
            let mut written = Vec::new();
            form.write(Format::Text, &content, &mut written);
            Some((written, content))
        }
        oid::INET | oid::CIDR => network(plain, type_oid == oid::CIDR),
        _ if is_range(type_oid) => (plain == "empty").then(|| (b"empty".to_vec(), vec![1])),
        _ if is_multirange(type_oid) => (plain == "{}").then(|| (b"{}".to_vec(), vec![0; 4])),
        _ => match Kind::of(type_oid) {
            Kind::Text | Kind::Padded => same(true),
            Kind::Char => same(bytes.len() == 1),
            Kind::Xml => same(!text.contains(['<', '&'])),
            Kind::Json => same(is_json(text)),
            Kind::Jsonb if is_json(text) => Some((bytes.to_vec(), [&[1][..], bytes].concat())),
            Kind::Jsonb | Kind::Other => None,
        },
    }
}

/// Whether the constant is JSON that stands for a whole document, not for a leaf of one.
pub(crate) fn is_document(text: &str) -> bool {
    is_json(text) && !text.trim_start().starts_with(|c: char| c.is_ascii_digit() || c == '-')
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// `YYYY-MM-DD` (four to six digits of year): the numbers, and what follows. The day is not checked against the month.
pub(crate) fn iso(text: &[u8]) -> Option<(Written, &[u8])> {
    let (year, y) = dates::number(text);
    let (month, m) = dates::number(text.get(y + 1..)?);
    let (day, d) = dates::number(text.get(y + 4..)?);
    let dashes = text.get(y) == Some(&b'-') && text.get(y + 3) == Some(&b'-');
    let valid = dashes && (4..=6).contains(&y) && m == 2 && d == 2 && year > 0;
    valid.then_some(((year, month, day), text.get(y + 6..)?))
}

/// A date of our era as days since 2000-01-01, and what follows.
fn date(text: &[u8]) -> Option<(i64, &[u8])> {
    let ((year, month, day), rest) = iso(text)?;
    dates::is_day(year, month, day).then_some(())?;
    Some((dates::days(i64::from(year), i64::from(month), i64::from(day)), rest))
}

/// `HH:MM[:SS[.ffffff]]` as microseconds, and what follows.
pub(crate) fn time(text: &[u8]) -> Option<(i64, &[u8])> {
    let (hour, h) = dates::number(text);
    let (minute, m) = dates::number(text.get(3..)?);
    if h != 2 || m != 2 || text.get(2) != Some(&b':') || hour > 23 || minute > 59 {
        return None;
    }
    let mut micros = i64::from(hour) * HOUR + i64::from(minute) * (HOUR / 60);
    let mut rest = text.get(5..)?;
    if rest.first() == Some(&b':') {
        let (second, s) = dates::number(rest.get(1..)?);
        if s != 2 || second > 59 {
            return None;
        }
        micros += i64::from(second) * 1_000_000;
        rest = rest.get(3..)?;
        if rest.first() == Some(&b'.') {
            let (fraction, f) = dates::number(rest.get(1..)?);
            if !(1..=6).contains(&f) {
                return None;
            }
            micros += i64::from(fraction) * 10i64.pow(u32::try_from(6 - f).ok()?);
            rest = rest.get(1 + f..)?;
        }
    }
    Some((micros, rest))
}

/// Seconds east of UTC of `Z`, `±HH`, `±HH:MM`, `±HH:MM:SS`; nothing is UTC.
pub(crate) fn zone(text: &[u8]) -> Option<i64> {
    let (sign, text) = match text.split_first() {
        None => return Some(0),
        Some((b'Z' | b'z', rest)) => return rest.is_empty().then_some(0),
        Some((b'+', rest)) => (1, rest),
        Some((b'-', rest)) => (-1, rest),
        Some(_) => return None,
    };
    let mut seconds = 0;
    let mut parts = text.split(|b| *b == b':');
    for (unit, most) in [(3600, 15), (60, 59), (1, 59)] {
        let Some(part) = parts.next() else { break };
        let (n, len) = dates::number(part);
        if len != 2 || part.len() != 2 || n > most {
            return None;
        }
        seconds += i64::from(n) * unit;
    }
    parts.next().is_none().then_some(sign * seconds)
}

fn written_zone(east: i64) -> String {
    let (sign, all) = if east < 0 { ('-', -east) } else { ('+', east) };
    let (hours, minutes, seconds) = (all / 3600, all / 60 % 60, all % 60);
    match (minutes, seconds) {
        (0, 0) => format!("{sign}{hours:02}"),
        (_, 0) => format!("{sign}{hours:02}:{minutes:02}"),
        _ => format!("{sign}{hours:02}:{minutes:02}:{seconds:02}"),
    }
}

fn clock(micros: i64) -> String {
    let (seconds, fraction) = (micros / 1_000_000, micros % 1_000_000);
    let mut text = format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    if fraction > 0 {
        text.push_str(format!(".{fraction:06}").trim_end_matches('0'));
    }
    text
}

/// A date, or a date and a time; in UTC where there is a zone.
fn timestamp(text: &[u8], zoned: bool) -> Option<Both> {
    let (days, rest) = date(text)?;
    let (micros, rest) = match rest.split_first() {
        None => (0, rest),
        Some((b' ' | b'T' | b't', rest)) => time(rest)?,
        Some(_) => return None,
    };
    let east = if zoned { zone(rest)? } else { rest.is_empty().then_some(0)? };
    let all = days.checked_mul(dates::DAY)?.checked_add(micros - east * 1_000_000)?;
    let (year, month, day) = dates::civil(all.div_euclid(dates::DAY));
    if !(1..=i64::from(TIMESTAMP_YEAR_MAX)).contains(&year) {
        return None;
    }
    let suffix = if zoned { "+00" } else { "" };
    let clock = clock(all.rem_euclid(dates::DAY));
    Some((format!("{year:04}-{month:02}-{day:02} {clock}{suffix}").into(), all.to_be_bytes().into()))
}

/// `1 year 2 mons 3 days 04:05:06`, each part once, or `0`.
fn interval(text: &str) -> Option<Both> {
    let (mut months, mut days, mut micros) = (0i32, 0i32, 0i64);
    let mut words = text.split_ascii_whitespace().peekable();
    words.peek()?;
    if text != "0" {
        while let Some(word) = words.next() {
            if word.contains(':') {
                let (clock, rest) = time(word.as_bytes())?;
                rest.is_empty().then_some(())?;
                micros = micros.checked_add(clock)?;
                continue;
            }
            let n: i32 = word.parse().ok().filter(|n| *n >= 0)?;
            let time = |unit: i64| i64::from(n).checked_mul(unit);
            match words.next()?.trim_end_matches('s') {
                "year" => months = months.checked_add(n.checked_mul(12)?)?,
                "mon" | "month" => months = months.checked_add(n)?,
                "week" => days = days.checked_add(n.checked_mul(7)?)?,
                "day" => days = days.checked_add(n)?,
                "hour" => micros = micros.checked_add(time(HOUR)?)?,
                "minute" | "min" => micros = micros.checked_add(time(HOUR / 60)?)?,
                "second" | "sec" => micros = micros.checked_add(time(1_000_000)?)?,
                _ => return None,
            }
        }
    }
    let mut parts = Vec::new();
    for (n, unit) in [(months / 12, "year"), (months % 12, "mon"), (days, "day")] {
        if n != 0 {
            parts.push(format!("{n} {unit}{}", if n == 1 { "" } else { "s" }));
        }
    }
    if micros != 0 || parts.is_empty() {
        parts.push(clock(micros));
    }
    let binary = [&micros.to_be_bytes()[..], &days.to_be_bytes(), &months.to_be_bytes()].concat();
    Some((parts.join(" ").into(), binary))
}

/// An address, perhaps with a mask length.
fn network(text: &str, cidr: bool) -> Option<Both> {
    const FAMILY_4: u8 = 2;
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse::<u8>().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let (family, content) = match address {
        IpAddr::V4(a) => (FAMILY_4, a.octets().to_vec()),
        IpAddr::V6(a) => (FAMILY_4 + 1, a.octets().to_vec()),
    };
    let most = u8::try_from(content.len() * 8).ok()?;
    let bits = bits.unwrap_or(most);
    let host = |i: usize| content.get(i / 8).is_some_and(|b| b >> (7 - i % 8) & 1 == 1);
    if bits > most || (cidr && (usize::from(bits)..usize::from(most)).any(host)) {
        return None;
    }
    let written = if cidr || bits < most { format!("{address}/{bits}") } else { address.to_string() };
    let size = u8::try_from(content.len()).ok()?;
    Some((written.into(), [&[family, bits, u8::from(cidr), size][..], &content].concat()))
}
