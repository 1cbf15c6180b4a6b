//! Fills, and first days of years, done where a value lies: all the values of a column in a batch of rows, without a copy
//! of any.
//!
//! Only for values that are ASCII and fills of one byte: then characters are bytes and the length stays; and for dates as
//! the server writes those of our time. Everything else is [`crate::redact`]'s, and tests compare the two. Short values are
//! filled by two stores that overlap, at a length the compiler knows; a call for each would cost more than the fill.
//! Deliberately absent: finding the values.

use crate::redact::Keep;

/// Fills what is not kept of `value`; `false`, and nothing is changed, if it is not ASCII.
#[inline]
pub(crate) fn mask(value: &mut [u8], keep: Keep, fill: u8) -> bool {
    if !is_ascii(value) {
        return false;
    }
    let len = value.len();
    // What would be kept whole is filled.
    let filled = match keep {
        Keep::First(n) if usize::from(n) < len => value.get_mut(usize::from(n)..),
        Keep::Last(n) if usize::from(n) < len => value.get_mut(..len - usize::from(n)),
        Keep::None | Keep::First(_) | Keep::Last(_) => Some(value),
    };
    if let Some(filled) = filled {
        write(filled, fill);
    }
    true
}

const HIGH: u128 = u128::from_ne_bytes([0x80; 16]);

/// Every byte is ASCII.
#[inline]
pub(crate) fn is_ascii(value: &[u8]) -> bool {
    if let (Some(head), Some(tail)) = (value.first_chunk::<16>(), value.last_chunk::<16>()) {
        let mut all = u128::from_ne_bytes(*head) | u128::from_ne_bytes(*tail);
        if value.len() > 32 {
            for part in value.as_chunks::<16>().0 {
                all |= u128::from_ne_bytes(*part);
            }
        }
        return all & HIGH == 0;
    }
    if let (Some(head), Some(tail)) = (value.first_chunk::<8>(), value.last_chunk::<8>()) {
        return (u64::from_ne_bytes(*head) | u64::from_ne_bytes(*tail)) & HIGH as u64 == 0;
    }
    if let (Some(head), Some(tail)) = (value.first_chunk::<4>(), value.last_chunk::<4>()) {
        return (u32::from_ne_bytes(*head) | u32::from_ne_bytes(*tail)) & HIGH as u32 == 0;
    }
    value.iter().all(u8::is_ascii)
}

/// Writes `fill` over all of it.
#[inline]
pub(crate) fn write(value: &mut [u8], fill: u8) {
    if value.len() > 32 {
        value.fill(fill);
    } else if let Some(head) = value.first_chunk_mut::<16>() {
        *head = [fill; 16];
        if let Some(tail) = value.last_chunk_mut::<16>() {
            *tail = [fill; 16];
        }
    } else if let Some(head) = value.first_chunk_mut::<8>() {
        *head = [fill; 8];
        if let Some(tail) = value.last_chunk_mut::<8>() {
            *tail = [fill; 8];
        }
    } else if let Some(head) = value.first_chunk_mut::<4>() {
        *head = [fill; 4];
        if let Some(tail) = value.last_chunk_mut::<4>() {
            *tail = [fill; 4];
        }
    } else {
        for byte in value {
            *byte = fill;
        }
    }
}

/// Days of each month that every year has.
const DAYS: [u8; 13] = [0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];

/// Makes a date of a four-digit year (`1952-05-21`), or the moment of one without a fraction in UTC or without a zone, the
/// first day of its year; `false`, and nothing is changed, if it needs a closer look.
#[inline]
pub(crate) fn year(value: &mut [u8], clock: Clock) -> bool {
    let Some((date, rest)) = value.split_first_chunk_mut::<10>() else { return false };
    let early = match (clock, &*rest) {
        (Clock::None, []) => true,
        (Clock::Local, clock) | (Clock::Utc, [clock @ .., b'+', b'0', b'0']) => is_clock(clock),
        (Clock::None | Clock::Utc, _) => false,
    };
    if !early || !is_date(date) {
        return false;
    }
    let [.., m, n, _, d, e] = date;
    [*m, *n, *d, *e] = *b"0101";
    if let Some(clock) = rest.first_chunk_mut() {
        *clock = *b" 00:00:00";
    }
    true
}

/// What stands behind a date.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clock {
    /// Nothing.
    None,
    /// The time of day.
    Local,
    /// The time of day in UTC.
    Utc,
}

/// The number that two digits are.
#[inline(always)]
const fn two(tens: u8, ones: u8) -> u8 {
    (tens & 15) * 10 + (ones & 15)
}

#[inline(always)]
fn is_date(date: &[u8; 10]) -> bool {
    let [y, e, a, r, _, m, n, _, d, f] = *date;
    let digits = [y, e, a, r, m, n, d, f].iter().fold(true, |all, b| all & b.is_ascii_digit());
    let days = DAYS.get(usize::from(two(m, n))).copied().unwrap_or(0);
    let day = two(d, f);
    digits & (date[4] == b'-') & (date[7] == b'-') & ([y, e, a, r] != *b"0000") & (day >= 1) & (day <= days)
}

/// ` 14:30:59`
#[inline(always)]
fn is_clock(text: &[u8]) -> bool {
    let Ok([b' ', h, o, b':', m, i, b':', s, e]) = <[u8; 9]>::try_from(text) else { return false };
    let digits = [h, o, m, i, s, e].iter().fold(true, |all, b| all & b.is_ascii_digit());
    digits & (two(h, o) < 24) & (two(m, i) < 60) & (two(s, e) < 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Redaction;
    use crate::pg_types::oid;
    use crate::redact::{self, Filler, Format, Redacted, Step};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_first_day_in_place_is_what_the_closer_look_makes(
            text in prop_oneof![
                "[0-9]{4}-[01][0-9]-[0-3][0-9]( [0-2][0-9]:[0-6][0-9]:[0-6][0-9])?([+-]0[0-9])?( BC|[.]5|[0-9])?",
                "(19|20)[0-9]{2}-0[1-9]-[12][0-9]( [01][0-9]:[0-5][0-9]:[0-5][0-9])?([+]00)?",
                "[0-9: +-]{10,22}",
                "[0-9-]{10}",
            ],
            around in any::<u8>(),
        ) {
            let kinds = [(Clock::None, oid::DATE), (Clock::Local, oid::TIMESTAMP), (Clock::Utc, oid::TIMESTAMPTZ)];
            for (clock, type_oid) in kinds {
                let step = Step::prepare(&Redaction::Year, type_oid, None).unwrap();
                let mut written = Vec::new();
                let redacted = step.apply(Format::Text, text.as_bytes(), &mut written);
                let mut there = [&[around], text.as_bytes(), &[around]].concat();
                let end = there.len() - 1;
                if year(&mut there[1..end], clock) {
                    prop_assert_eq!(redacted, Redacted::Scratch);
                    prop_assert_eq!(&there[1..end], written.as_slice());
                } else {
                    prop_assert_eq!(&there[1..end], text.as_bytes());
                }
                prop_assert_eq!((there[0], there[end]), (around, around));
            }
        }

        #[test]
        fn in_place_is_what_the_copy_is(
            text in prop_oneof!["[ -~]{0,80}", "[ -é]{0,40}"],
            around in any::<u8>(),
            (keep, n) in (0..3, 0u16..90),
        ) {
            let keep = [Keep::None, Keep::First(n), Keep::Last(n)][keep as usize];
            let mut copied = Vec::new();
            redact::mask(text.as_bytes(), keep, Filler::new('*'), &mut copied);
            let mut there = [&[around], text.as_bytes(), &[around]].concat();
            let end = there.len() - 1;
            let done = mask(&mut there[1..end], keep, b'*');
            prop_assert_eq!(done, text.is_ascii());
            let expected = if done { copied } else { text.into_bytes() };
            prop_assert_eq!(&there[1..end], expected.as_slice());
            prop_assert_eq!((there[0], there[end]), (around, around));
        }
    }

    #[test]
    fn usual_dates_are_changed_in_place() {
        for (clock, text, first) in [
            (Clock::None, "1952-05-31", "1952-01-01"),
            (Clock::Local, "2024-02-28 23:59:59", "2024-01-01 00:00:00"),
            (Clock::Utc, "2024-12-01 00:00:01+00", "2024-01-01 00:00:00+00"),
        ] {
            let mut there = text.as_bytes().to_vec();
            assert!(year(&mut there, clock), "{text}");
            assert_eq!(there, first.as_bytes());
        }
        for (clock, text) in [
            (Clock::None, "1951-02-29"),
            (Clock::None, "0000-01-02"),
            (Clock::None, "1952-05-21 12:00:00"),
            (Clock::Local, "1952-05-21"),
            (Clock::Local, "1952-05-21 12:00:00.5"),
            (Clock::Utc, "1952-05-21 12:00:00+01"),
        ] {
            assert!(!year(&mut text.as_bytes().to_vec(), clock), "{text}");
        }
    }
}
