//! Wall-clock times as RFC 3339 text in UTC, and back; the current time for those who stamp records.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::record::Clock;

const DAY_SECONDS: u64 = 86_400;

impl Clock {
    /// The time now. For callers at the edge; everything else takes a clock as an argument.
    #[must_use]
    pub fn now() -> Self {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { wall_ns: u64::try_from(wall.as_nanos()).unwrap_or(u64::MAX), mono_ns: Self::mono_now_ns() }
    }

    /// CLOCK_BOOTTIME now (clock_gettime(2)), in nanoseconds.
    #[must_use]
    pub fn mono_now_ns() -> u64 {
        let boot = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let seconds = u64::try_from(boot.tv_sec).unwrap_or(0);
        let nanos = u64::try_from(boot.tv_nsec).unwrap_or(0);
        seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
    }
}

/// Year, month, day of a day count since 1970-01-01 (proleptic Gregorian; counted from a first of March, so that the
/// leap day is a year's last).
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let shifted_year = if month <= 2 { year.checked_sub(1)? } else { year };
    let (era, year_of_era) = (shifted_year / 400, shifted_year % 400);
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    (era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year).checked_sub(719_468)
}

/// `2026-11-22T08:14:34.123456Z` with that many digits of a second (at most 9).
#[must_use]
pub fn format(wall_ns: u64, digits: usize) -> String {
    let (seconds, nanos) = (wall_ns / 1_000_000_000, wall_ns % 1_000_000_000);
    let (year, month, day) = date(seconds / DAY_SECONDS);
    let clock = seconds % DAY_SECONDS;
    let mut fraction = format!("{nanos:09}");
    fraction.truncate(digits);
    let dot = if fraction.is_empty() { "" } else { "." };
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}{dot}{fraction}Z",
        clock / 3600,
        clock / 60 % 60,
        clock % 60
    )
}

/// Reads a time: `2026-11-22`, `2026-11-22T08:14[:34[.123]][Z]` (UTC; a space may stand for the T), or a time before
/// `now` such as `90s`, `15m`, `2h`, `7d`.
#[must_use]
pub fn parse(text: &str, now_ns: u64) -> Option<u64> {
    let relative = [('s', 1), ('m', 60), ('h', 3600), ('d', DAY_SECONDS)];
    if let Some((count, unit)) = relative.iter().find_map(|(letter, unit)| Some((text.strip_suffix(*letter)?, *unit))) {
        let seconds = digits(count)?.checked_mul(unit)?;
        return Some(now_ns.saturating_sub(seconds.checked_mul(1_000_000_000)?));
    }
    let (date, clock) = match text.split_once(['T', 't', ' ']) {
        Some((date, clock)) => (date, clock.strip_suffix(['Z', 'z']).unwrap_or(clock)),
        None => (text, "00:00"),
    };
    let mut parts = date.split('-');
    let (year, month, day) = (digits(parts.next()?)?, digits(parts.next()?)?, digits(parts.next()?)?);
    if parts.next().is_some() || year > 9999 || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let mut parts = clock.split(':');
    let (hour, minute, second) = (digits(parts.next()?)?, digits(parts.next()?)?, parts.next().unwrap_or("0"));
    let (second, fraction) = second.split_once('.').unwrap_or((second, "0"));
    if parts.next().is_some() || hour > 23 || minute > 59 || fraction.len() > 9 {
        return None;
    }
    let second = digits(second).filter(|second| *second <= 60)?;
    let nanos = digits(fraction)? * 10u64.pow(9 - fraction.len() as u32);
    let seconds = days(year, month, day)? * DAY_SECONDS + hour * 3600 + minute * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn digits(text: &str) -> Option<u64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) { None } else { text.parse().ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_back_as_they_were_written() {
        for (ns, text) in [
            (0, "1970-01-01T00:00:00.000000000Z"),
            (951_782_400_000_000_000, "2000-02-29T00:00:00.000000000Z"),
            (1_795_335_274_123_456_789, "2026-11-22T08:14:34.123456789Z"),
            (4_107_542_399_999_999_999, "2100-02-28T23:59:59.999999999Z"),
            (4_107_542_400_000_000_000, "2100-03-01T00:00:00.000000000Z"),
        ] {
            assert_eq!(format(ns, 9), text);
            assert_eq!(parse(text, 0), Some(ns));
        }
        assert_eq!(format(1_795_335_274_123_456_789, 0), "2026-11-22T08:14:34Z");
        for day in 0..200_000 {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), Some(day));
        }
    }

    #[test]
    fn short_and_relative_forms() {
        let now = 1_795_335_274_000_000_000;
        assert_eq!(parse("15m", now), Some(now - 900_000_000_000));
        assert_eq!(parse("2026-11-22", now), parse("2026-11-22T00:00:00Z", now));
        assert_eq!(parse("2026-11-22 08:14", now), parse("2026-11-22T08:14:00.0Z", now));
        for bad in
            ["", "m", "-5m", "2026-13-01", "2026-11-22T25:00", "yesterday", "2026-11-22T08:14:34.1234567890", "1-2-3-4"]
        {
            assert_eq!(parse(bad, now), None, "{bad}");
        }
    }

    #[test]
    fn the_clocks_run() {
        let (first, second) = (Clock::now(), Clock::now());
        assert!(first.wall_ns > 1_700_000_000_000_000_000);
        assert!(first.mono_ns > 0);
        assert!(second.mono_ns >= first.mono_ns);
    }
}
