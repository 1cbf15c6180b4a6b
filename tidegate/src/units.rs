//! Sizes and durations as people write them: `16MiB`, `500ms`.
//!
//! A number without a unit is refused, because half of the readers would guess wrong; only zero needs none.

use std::time::Duration;

/// Reads a size in bytes.
///
/// # Errors
/// What is wrong and how it is written.
pub fn bytes(text: &str) -> Result<u64, String> {
    let (number, unit) = split(text);
    let factor: u64 = match unit {
        "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "" if number == "0" => 1,
        "" => return Err(format!("`{text}` has no unit; write for instance {text}KiB or {text}B")),
        _ => return Err(format!("`{text}` is not a size; write a whole number with B, KiB, MiB or GiB")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a size; write for instance 16MiB"))?;
    number.checked_mul(factor).ok_or_else(|| format!("`{text}` is too large"))
}

/// Reads a duration.
///
/// # Errors
/// What is wrong and how it is written.
pub fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = split(text);
    let milliseconds: u64 = match unit {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == "0" => 1,
        "" => return Err(format!("`{text}` has no unit; write for instance {text}s")),
        _ => return Err(format!("`{text}` is not a duration; write a whole number with ms, s, m, h or d")),
    };
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is not a duration; write for instance 10s"))?;
    number.checked_mul(milliseconds).map(Duration::from_millis).ok_or_else(|| format!("`{text}` is too long"))
}

fn split(text: &str) -> (&str, &str) {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(end);
    (number, unit.trim_start())
}

/// Writes a size with the largest unit that divides it.
#[must_use]
pub fn show_bytes(bytes: u64) -> String {
    for (shift, unit) in [(30, "GiB"), (20, "MiB"), (10, "KiB")] {
        if bytes != 0 && bytes.trailing_zeros() >= shift {
            return format!("{}{unit}", bytes >> shift);
        }
    }
    format!("{bytes}B")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_need_binary_units() {
        assert_eq!(bytes("16MiB"), Ok(16 << 20));
        assert_eq!(bytes("256 KiB"), Ok(256 << 10));
        assert_eq!(bytes("0"), Ok(0));
        assert_eq!(bytes("7B"), Ok(7));
        for wrong in
            ["16", "16MB", "16mib", "-1MiB", "1.5MiB", "", "MiB", "18446744073709551615GiB", "99999999999999999999B"]
        {
            assert!(bytes(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_need_units() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("1500ms"), Ok(Duration::from_millis(1500)));
        assert_eq!(duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for wrong in ["10", "10 sec", "-1s", "1.5s", "", "s", "99999999999999999999s", "18446744073709551615d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn shown_sizes_read_back() {
        for size in [0, 1, 1023, 1024, 1536, 16 << 20, 3 << 30, u64::MAX] {
            assert_eq!(bytes(&show_bytes(size)), Ok(size));
        }
    }
}
