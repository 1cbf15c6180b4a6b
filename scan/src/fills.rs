//! Short values of ASCII filled where they lie, a column of them at a time.
//!
//! A value is changed as a window of a fixed size, without a branch for its length: what lies in the window behind the value
//! is written back as it was. The windows are worked on by the widest registers that the processor has (see
//! [`crate::planes`]). Everything that does not fit is left and said to be left; a test compares with a loop over bytes.
//! Deliberately absent: characters that are not ASCII, and values longer than a window.

use wide::u8x16;

use crate::planes::Level;

/// Values that are filled in one call, at most.
pub const FILLED_MAX: usize = 64;
/// Bytes of a small window.
pub(crate) const SMALL: usize = 32;
/// Bytes of a large one.
pub(crate) const LARGE: usize = 64;

/// What is not filled of a value: so many bytes at its beginning, or at its end. Of a value that would be kept whole, nothing
/// is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unfilled {
    first: u32,
    last: u32,
}

impl Unfilled {
    /// So many bytes at its beginning.
    #[must_use]
    pub const fn first(bytes: u32) -> Self {
        Self { first: bytes, last: 0 }
    }

    /// So many bytes at its end.
    #[must_use]
    pub const fn last(bytes: u32) -> Self {
        Self { first: 0, last: bytes }
    }

    /// From where to where a value of `len` bytes is filled.
    #[inline(always)]
    const fn range(self, len: u32) -> (u32, u32) {
        (if self.first < len { self.first } else { 0 }, if self.last < len { len - self.last } else { len })
    }
}

/// Fills values of `bytes`, each given by its first byte and its length, and says by bits which of them it left as they were:
/// those that are not ASCII, that are longer than a window, or whose window does not lie in `bytes`; and all from the
/// [`FILLED_MAX`]th on, which have no bit.
#[inline]
pub fn fill_short(bytes: &mut [u8], values: impl Iterator<Item = (u32, u32)>, unfilled: Unfilled, fill: u8) -> u64 {
    Level::best().fill(bytes, values, unfilled, fill)
}

/// See [`fill_short`]. `small` and `large` fill a part of a window if so many of its first bytes are ASCII, and say whether
/// they are: of `(window, length, from, to)`.
#[inline(always)]
pub(crate) fn fill_by(
    bytes: &mut [u8],
    values: impl Iterator<Item = (u32, u32)>,
    unfilled: Unfilled,
    small: impl Fn(&mut [u8; SMALL], u32, u32, u32) -> bool,
    large: impl Fn(&mut [u8; LARGE], u32, u32, u32) -> bool,
) -> u64 {
    // Compiled for each, because half of the work on a value is what is not filled of it.
    match unfilled {
        Unfilled { first: 0, last: 0 } => each(bytes, values, Unfilled::default(), small, large),
        Unfilled { first: 0, last } => each(bytes, values, Unfilled::last(last), small, large),
        Unfilled { first, .. } => each(bytes, values, Unfilled::first(first), small, large),
    }
}

#[inline(always)]
fn each(
    bytes: &mut [u8],
    values: impl Iterator<Item = (u32, u32)>,
    unfilled: Unfilled,
    small: impl Fn(&mut [u8; SMALL], u32, u32, u32) -> bool,
    large: impl Fn(&mut [u8; LARGE], u32, u32, u32) -> bool,
) -> u64 {
    let mut left = 0;
    for (n, (start, len)) in values.take(FILLED_MAX).enumerate() {
        let (from, to) = unfilled.range(len);
        let behind = bytes.get_mut(start as usize..);
        let filled = if len as usize <= SMALL {
            behind.and_then(<[u8]>::first_chunk_mut).is_some_and(|window| small(window, len, from, to))
        } else if len as usize <= LARGE {
            behind.and_then(<[u8]>::first_chunk_mut).is_some_and(|window| large(window, len, from, to))
        } else {
            false
        };
        if !filled {
            left |= 1 << n;
        }
    }
    left
}

/// From place `SMALL - n` on, a window whose first `n` bytes are all ones.
const FIRST: [u8; 2 * SMALL] = {
    let mut masks = [0; 2 * SMALL];
    let mut at = 0;
    while at < SMALL {
        masks[at] = 0xff;
        at += 1;
    }
    masks
};

/// The two halves of a window whose first `n` bytes are all ones.
#[inline(always)]
fn first(n: u32) -> [u8x16; 2] {
    let from = SMALL - (n as usize).min(SMALL);
    halves(FIRST.get(from..).and_then(<[u8]>::first_chunk).unwrap_or(&[0; SMALL]))
}

#[inline(always)]
fn halves(window: &[u8; SMALL]) -> [u8x16; 2] {
    let [a, b] = std::array::from_fn(|i| window.as_chunks::<16>().0.get(i).copied().unwrap_or_default());
    [u8x16::new(a), u8x16::new(b)]
}

/// A small window, by the registers that every processor of the target has.
#[inline(always)]
fn narrow(window: &mut [u8; SMALL], len: u32, from: u32, to: u32, fill: u8x16) -> bool {
    let bytes = halves(window);
    let value = first(len);
    if ((bytes[0] & value[0]) | (bytes[1] & value[1])).to_bitmask() != 0 {
        return false;
    }
    let (before, until) = (first(from), first(to));
    for (i, part) in window.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let filled = until[i] & !before[i];
        *part = ((bytes[i] & !filled) | (fill & filled)).to_array();
    }
    true
}

/// See [`fill_short`].
pub(crate) fn fill_narrow(
    bytes: &mut [u8],
    values: impl Iterator<Item = (u32, u32)>,
    unfilled: Unfilled,
    fill: u8,
) -> u64 {
    let fills = u8x16::new([fill; 16]);
    let small = |window: &mut _, len, from, to| narrow(window, len, from, to, fills);
    fill_by(bytes, values, unfilled, small, |_, _, _, _| false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// What is filled is filled as a loop over its bytes would fill it, and nothing else is touched.
        #[test]
        fn every_level_fills_what_it_should(
            texts in proptest::collection::vec(prop_oneof!["[ -~]{0,40}", "[ -~]{0,80}", "[a-c\u{e9}]{0,30}"], 0..80),
            gap in 0usize..5,
            behind in 0usize..70,
            unfilled in (any::<bool>(), 0u32..70).prop_map(|(first, n)| match first {
                true => Unfilled::first(n),
                false => Unfilled::last(n),
            }),
        ) {
            let (mut bytes, mut values) = (Vec::new(), Vec::new());
            for text in &texts {
                bytes.extend(vec![0xff; gap]);
                values.push((bytes.len() as u32, text.len() as u32));
                bytes.extend_from_slice(text.as_bytes());
            }
            bytes.extend(vec![0xff; behind]);
            // One that does not lie there.
            values.push((bytes.len() as u32 + 7, 3));
            for level in Level::all() {
                let mut have = bytes.clone();
                let left = level.fill(&mut have, values.iter().copied(), unfilled, b'*');
                let mut want = bytes.clone();
                for (n, (text, (start, len))) in texts.iter().zip(&values).enumerate().take(FILLED_MAX) {
                    let (start, len) = (*start as usize, *len as usize);
                    let was_left = left >> n & 1 == 1;
                    let window = if len <= SMALL { SMALL } else { LARGE };
                    let fits = len <= LARGE && start + window <= bytes.len();
                    let may_leave = !fits || !text.is_ascii() || (level == Level::Narrow && len > SMALL);
                    prop_assert_eq!(was_left, may_leave, "{:?} {:?}", level, text);
                    if !was_left {
                        let (first, last) = (unfilled.first as usize, unfilled.last as usize);
                        for i in 0..len {
                            let kept = first < len && i < first || last < len && i >= len - last;
                            if !kept {
                                want[start + i] = b'*';
                            }
                        }
                    }
                }
                let beyond = values.len() - 1;
                prop_assert!(beyond >= FILLED_MAX || left >> beyond & 1 == 1);
                prop_assert_eq!(&have, &want, "{:?}", level);
            }
        }
    }
}
