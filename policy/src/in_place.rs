//! Fills, done where a value lies: all the values of a column in a batch of rows, without a copy of any.
//!
//! Only for values that are ASCII and fills of one byte: then characters are bytes and the length stays. Everything else is
//! [`crate::redact::mask`]'s, and a test compares the two. Short values are filled by two stores that overlap, at a length
//! the compiler knows; a call for each would cost more than the fill. Deliberately absent: finding the values.

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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::{self, Filler};
    use proptest::prelude::*;

    proptest! {
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
}
