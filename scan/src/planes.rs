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
    /// `@` and `:`.
    pub(crate) signs: u64,
    /// `.`
    pub(crate) points: u64,
    /// `-`
    pub(crate) dashes: u64,
    /// Not ASCII.
    pub(crate) high: u64,
}

impl Planes {
    /// The planes of a block.
    #[inline]
    pub(crate) fn of(block: &[u8; BLOCK]) -> Self {
        let splat = |b: u8| u8x16::new([b; 16]);
        let (zero, ten) = (splat(b'0'), splat(10));
        let (at, colon, point, dash) = (splat(b'@'), splat(b':'), splat(b'.'), splat(b'-'));
        let bits = |mask: u8x16, i: usize| u64::from(mask.to_bitmask()) << (16 * i);
        let mut planes = Self::default();
        for (i, part) in block.as_chunks::<16>().0.iter().enumerate() {
            let bytes = u8x16::new(*part);
            planes.digits |= bits((bytes - zero).simd_lt(ten), i);
            planes.signs |= bits(bytes.simd_eq(at) | bytes.simd_eq(colon), i);
            planes.points |= bits(bytes.simd_eq(point), i);
            planes.dashes |= bits(bytes.simd_eq(dash), i);
            planes.high |= bits(bytes, i);
        }
        planes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn by_bytes(block: &[u8; BLOCK]) -> Planes {
        let plane =
            |is: fn(u8) -> bool| block.iter().enumerate().fold(0, |bits, (i, b)| bits | (u64::from(is(*b)) << i));
        Planes {
            digits: plane(|b| b.is_ascii_digit()),
            signs: plane(|b| matches!(b, b'@' | b':')),
            points: plane(|b| b == b'.'),
            dashes: plane(|b| b == b'-'),
            high: plane(|b| b >= 0x80),
        }
    }

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=255u8 {
            let block = [byte; BLOCK];
            assert_eq!(Planes::of(&block), by_bytes(&block), "{byte}");
        }
    }

    proptest! {
        #[test]
        fn planes_agree_with_the_bytes(bytes in proptest::collection::vec(any::<u8>(), BLOCK)) {
            let block: [u8; BLOCK] = bytes.try_into().unwrap();
            prop_assert_eq!(Planes::of(&block), by_bytes(&block));
        }
    }
}
