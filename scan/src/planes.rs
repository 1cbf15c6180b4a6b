//! Bit planes: which bytes of a block of 64 are digits, signs or not ASCII, one bit each.
//!
//! Sixteen bytes at a time in vector registers where the target has them (SSE2 on x86-64, NEON on AArch64), in ordinary ones
//! elsewhere; the `wide` crate keeps that without `unsafe` here, and a test compares with a loop over bytes. Deliberately
//! absent: what the planes mean, and choosing wider registers at run time.

use wide::u8x16;

/// Bytes of a block.
pub(crate) const BLOCK: usize = 64;

/// The planes of one block; bit `i` is byte `i`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Planes {
    /// `0` to `9`.
    pub(crate) digits: u64,
    /// `@`, `:` and `.`.
    pub(crate) signs: u64,
    /// Some byte is not ASCII.
    pub(crate) foreign: bool,
}

impl Planes {
    /// The planes of a block.
    #[inline(always)]
    pub(crate) fn of(block: &[u8; BLOCK]) -> Self {
        let splat = |b: u8| u8x16::new([b; 16]);
        let (zero, nine) = (splat(b'0'), splat(9));
        let (at, colon, point) = (splat(b'@'), splat(b':'), splat(b'.'));
        let bits = |mask: u8x16, i: usize| u64::from(mask.to_bitmask()) << (16 * i);
        let mut planes = Self::default();
        let mut all = splat(0);
        for (i, part) in block.as_chunks::<16>().0.iter().enumerate() {
            let bytes = u8x16::new(*part);
            let above = bytes - zero;
            planes.digits |= bits(above.min(nine).simd_eq(above), i);
            planes.signs |= bits(bytes.simd_eq(at) | bytes.simd_eq(colon) | bytes.simd_eq(point), i);
            all |= bytes;
        }
        planes.foreign = all.to_bitmask() != 0;
        planes
    }
}

/// `-`, one bit a byte.
#[inline]
pub(crate) fn dashes(block: &[u8; BLOCK]) -> u64 {
    let dash = u8x16::new([b'-'; 16]);
    block
        .as_chunks::<16>()
        .0
        .iter()
        .enumerate()
        .fold(0, |bits, (i, part)| bits | (u64::from(u8x16::new(*part).simd_eq(dash).to_bitmask()) << (16 * i)))
}

/// Bytes of words: letters, digits, the low line and everything that is not ASCII.
#[inline]
pub(crate) fn word_bytes(block: &[u8; BLOCK]) -> u64 {
    let splat = |b: u8| u8x16::new([b; 16]);
    let (zero, nine, a, z, case, line, high) =
        (splat(b'0'), splat(9), splat(b'a'), splat(25), splat(0x20), splat(b'_'), splat(0x80));
    block.as_chunks::<16>().0.iter().enumerate().fold(0, |bits, (i, part)| {
        let bytes = u8x16::new(*part);
        let (digit, letter) = (bytes - zero, (bytes | case) - a);
        let words = digit.min(nine).simd_eq(digit)
            | letter.min(z).simd_eq(letter)
            | bytes.simd_eq(line)
            | bytes.max(high).simd_eq(bytes);
        bits | (u64::from(words.to_bitmask()) << (16 * i))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_bytes(block: &[u8; BLOCK]) -> (Planes, u64) {
        let plane =
            |is: fn(u8) -> bool| block.iter().enumerate().fold(0, |bits, (i, b)| bits | (u64::from(is(*b)) << i));
        let planes = Planes {
            digits: plane(|b| b.is_ascii_digit()),
            signs: plane(|b| matches!(b, b'@' | b':' | b'.')),
            foreign: !block.is_ascii(),
        };
        assert_eq!(word_bytes(block), plane(crate::automaton::is_word));
        (planes, plane(|b| b == b'-'))
    }

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=255u8 {
            let block = [byte; BLOCK];
            assert_eq!((Planes::of(&block), dashes(&block)), by_bytes(&block), "{byte}");
        }
    }

    proptest! {
        #[test]
        fn planes_agree_with_the_bytes(bytes in proptest::collection::vec(any::<u8>(), BLOCK)) {
            let block: [u8; BLOCK] = bytes.try_into().unwrap();
            prop_assert_eq!((Planes::of(&block), dashes(&block)), by_bytes(&block));
        }
    }
}
