//! Moments and spans, in words. Machine-readable beside them, so that a script can count down.

use maud::{Markup, html};

fn utc(s: u64) -> String {
    i64::try_from(s)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
        .map_or_else(|| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

fn rfc3339(s: u64) -> String {
    i64::try_from(s)
        .ok()
        .and_then(|s| jiff::Timestamp::from_second(s).ok())
        .map_or_else(String::new, |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}

/// A span of seconds.
pub(super) fn span(s: u64) -> String {
    match s {
        0..60 => format!("{s} s"),
        60..5_400 => format!("{} min", s.div_ceil(60)),
        5_400..172_800 => match (s / 3600, s % 3600 / 60) {
            (hours, 0) => format!("{hours} h"),
            (hours, minutes) => format!("{hours} h {minutes} min"),
        },
        _ => format!("{} days", s / 86_400),
    }
}

/// A moment in the past.
pub(super) fn ago(s: u64, now_s: u64) -> Markup {
    html! { time datetime=(rfc3339(s)) title=(utc(s)) { (span(now_s.saturating_sub(s))) " ago" } }
}

/// A moment to come; counts down.
pub(super) fn left(s: u64, now_s: u64) -> Markup {
    html! {
        time datetime=(rfc3339(s)) title=(utc(s)) data-until=(s) {
            @if s > now_s { "in " (span(s - now_s)) } @else { "over" }
        }
    }
}

/// A moment, exactly.
pub(super) fn exact(s: u64) -> Markup {
    html! { time datetime=(rfc3339(s)) { (utc(s)) } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_read_as_people_say_them() {
        for (s, text) in
            [(0, "0 s"), (61, "2 min"), (3600, "60 min"), (7200, "2 h"), (9000, "2 h 30 min"), (200_000, "2 days")]
        {
            assert_eq!(span(s), text);
        }
        assert_eq!(utc(1_800_000_000), "2027-01-15 08:00:00 UTC");
        assert_eq!(utc(u64::MAX), "?");
    }
}
