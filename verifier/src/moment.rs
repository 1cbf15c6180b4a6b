//! Times as people read them (RFC 3339, UTC).

/// A time in nanoseconds since 1970 with this many digits of the second's fraction.
#[must_use]
pub(crate) fn text(ns: u64, digits: usize) -> String {
    let (seconds, fraction) = (ns / 1_000_000_000, ns % 1_000_000_000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Years of 400 begin on 1 March, so that the leap day is the last of its year.
    let shifted = days + 719_468;
    let (cycle, day) = (shifted / 146_097, shifted % 146_097);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let of_month = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = cycle * 400 + year + carry;
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    let mut out = format!("{year:04}-{month:02}-{of_month:02}T{hour:02}:{minute:02}:{second:02}");
    if digits > 0 {
        out.push('.');
        out.push_str(&format!("{fraction:09}")[..digits.min(9)]);
    }
    out.push('Z');
    out
}

/// Reads what [`text`] writes, and a day by itself; nanoseconds since 1970.
#[must_use]
pub(crate) fn parse(text: &str) -> Option<u64> {
    let (day, clock) = match text.split_once('T') {
        Some((day, clock)) => (day, clock.strip_suffix('Z')?),
        None => (text, "00:00:00"),
    };
    let numbers = |text: &str, separator: char| -> Option<Vec<u64>> {
        text.split(separator).map(|part| part.bytes().all(|b| b.is_ascii_digit()).then(|| part.parse().ok())?).collect()
    };
    let [year, month, day]: [u64; 3] = numbers(day, '-')?.try_into().ok()?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let [hour, minute, second]: [u64; 3] = numbers(clock, ':')?.try_into().ok()?;
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) || fraction.len() > 9 {
        return None;
    }
    let (years, months) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * years + years / 4 - years / 100 + years / 400 + (153 * months + 2) / 5 + day - 1 - 719_468;
    let seconds = days * 86_400 + hour * 3600 + minute * 60 + second;
    let fraction: u64 = format!("{fraction:0<9}").parse().ok()?;
    seconds.checked_mul(1_000_000_000)?.checked_add(fraction)
}

#[cfg(test)]
mod tests {
    #[test]
    fn known_moments() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_709_251_199, "2024-02-29T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(super::text(seconds * 1_000_000_000, 0), text);
            assert_eq!(super::parse(text), Some(seconds * 1_000_000_000));
        }
        assert_eq!(super::parse("2023-11-14T22:13:20.123Z"), Some(1_700_000_000_123_000_000));
        assert_eq!(super::parse("2023-11-14"), Some(1_699_920_000_000_000_000));
        for text in ["", "2023", "2023-13-01", "2023-11-14T22", "2023-11-14T22:13:20", "2023-1x-14", "99999-01-01"] {
            assert_eq!(super::parse(text), None, "{text}");
        }
        assert_eq!(super::text(1_700_000_000_123_456_789, 3), "2023-11-14T22:13:20.123Z");
    }
}
