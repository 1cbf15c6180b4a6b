//! Bit planes, and fills of short values, by the wide registers of x86-64 processors that have them.
//!
//! The only file of the crate with `unsafe`: a value of [`Wide`] can be had from [`Wide::all`] alone, which asks the processor,
//! so that a call through it never meets an instruction that is not there; blocks are read through references to whole arrays.
//! Deliberately absent: what the planes mean, and other processors, for which the `wide` crate is wide enough.
#![allow(unsafe_code)]

use std::ops::Range;

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _bzhi_u32, _bzhi_u64, _mm_loadu_si128, _mm256_add_epi8, _mm256_alignr_epi8,
    _mm256_and_si256, _mm256_andnot_si256, _mm256_blendv_epi8, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8,
    _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_mask_blend_epi8, _mm256_movemask_epi8, _mm256_movepi8_mask,
    _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8,
    _mm256_srli_epi16, _mm256_storeu_si256, _mm512_alignr_epi8, _mm512_alignr_epi64, _mm512_and_si512,
    _mm512_broadcast_i32x4, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask, _mm512_loadu_si512, _mm512_mask_blend_epi8,
    _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_or_si512, _mm512_set1_epi8, _mm512_setzero_si512,
    _mm512_shuffle_epi8, _mm512_srli_epi16, _mm512_storeu_si512, _mm512_sub_epi8, _mm512_test_epi8_mask,
};

use crate::fills::{LARGE, SMALL, Unfilled, fill_by};
use crate::marks::{Marks, Reach};
use crate::planes::{BLOCK, SINGLE, TRIPLES, View, Window, Words, class, mark_by, marks_by, words_by};
use crate::sift::{Few, Progress, Sifted, Wish, last_by, sift_by};

/// Registers wider than those that every processor of this kind has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wide(Registers);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Registers {
    Avx512,
    Avx2,
}

impl Wide {
    /// Those of this machine, the widest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let bits =
            is_x86_feature_detected!("popcnt") && is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
        let avx512 = bits
            && is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vl");
        let avx2 = bits && is_x86_feature_detected!("avx2");
        [(avx512, Registers::Avx512), (avx2, Registers::Avx2)]
            .into_iter()
            .filter(|(there, _)| *there)
            .map(|(_, registers)| Self(registers))
    }

    /// The first pass over texts.
    #[inline]
    pub(crate) fn sift(
        self,
        view: &View<'_>,
        fields: &[Range<usize>],
        wish: Wish,
        progress: &mut Progress,
        list: &mut [Sifted],
    ) -> usize {
        match self.0 {
            // SAFETY: the value says that the processor has AVX-512 F, BW and VL, BMI and POPCNT.
            Registers::Avx512 => unsafe { sift_avx512(view, fields, wish, progress, list) },
            // SAFETY: the value says that the processor has AVX2, BMI and POPCNT.
            Registers::Avx2 => unsafe { sift_avx2(view, fields, wish, progress, list) },
        }
    }

    /// The next words of a text.
    #[inline]
    pub(crate) fn words(self, hay: &[u8], words: &mut Words) -> bool {
        match self.0 {
            // SAFETY: the value says that the processor has AVX-512 F, BW and VL, BMI and POPCNT.
            Registers::Avx512 => unsafe { words_avx512(hay, words) },
            // SAFETY: the value says that the processor has AVX2, BMI and POPCNT.
            Registers::Avx2 => unsafe { words_avx2(hay, words) },
        }
    }

    /// Short values of a column, filled.
    #[inline]
    pub(crate) fn fill(
        self,
        bytes: &mut [u8],
        values: impl Iterator<Item = (u32, u32)>,
        unfilled: Unfilled,
        fill: u8,
    ) -> u64 {
        match self.0 {
            // SAFETY: the value says that the processor has AVX-512 F, BW and VL, BMI and POPCNT.
            Registers::Avx512 => unsafe { fill_avx512(bytes, values, unfilled, fill) },
            // SAFETY: the value says that the processor has AVX2, BMI and POPCNT.
            Registers::Avx2 => unsafe { fill_avx2(bytes, values, unfilled, fill) },
        }
    }

    /// The marks of one window.
    #[inline]
    pub(crate) fn mark(self, window: &Window<'_>, reach: &Reach) -> (u64, u64, u64) {
        match self.0 {
            // SAFETY: the value says that the processor has AVX-512 F, BW and VL, BMI and POPCNT.
            Registers::Avx512 => unsafe { mark_avx512(window, reach) },
            // SAFETY: the value says that the processor has AVX2, BMI and POPCNT.
            Registers::Avx2 => unsafe { mark_avx2(window, reach) },
        }
    }

    /// Marks what is worth a look in up to eight windows.
    #[inline]
    pub(crate) fn marks(self, windows: &[Window<'_>], reach: &Reach, marks: &mut Marks) {
        match self.0 {
            // SAFETY: the value says that the processor has AVX-512 F, BW and VL, BMI and POPCNT.
            Registers::Avx512 => unsafe { marks_avx512(windows, reach, marks) },
            // SAFETY: the value says that the processor has AVX2, BMI and POPCNT.
            Registers::Avx2 => unsafe { marks_avx2(windows, reach, marks) },
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt")]
fn marks_avx512(windows: &[Window<'_>], reach: &Reach, marks: &mut Marks) {
    marks_by(windows, reach, marks, |block| avx512(block));
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt")]
fn mark_avx512(window: &Window<'_>, reach: &Reach) -> (u64, u64, u64) {
    mark_by(window, reach, |block| avx512(block))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt")]
#[inline]
fn avx512(block: &[u8; BLOCK]) -> [u64; class::COUNT] {
    // SAFETY: an array of 64 bytes is readable in whole; the load needs no alignment.
    let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast::<__m512i>()) };
    let splat = |b: u8| _mm512_set1_epi8(b.cast_signed());
    let within = |from: u8, count: u8| _mm512_cmplt_epu8_mask(_mm512_sub_epi8(bytes, splat(from)), splat(count));
    let mut planes = [0; class::COUNT];
    planes[class::DIGIT] = within(b'0', 10);
    planes[class::UPPER] = within(b'A', 26);
    planes[class::LOWER] = within(b'a', 26);
    planes[class::HIGH] = _mm512_movepi8_mask(bytes);
    for (plane, single) in planes[class::SINGLES..].iter_mut().zip(SINGLE) {
        *plane = _mm512_cmpeq_epi8_mask(bytes, splat(single));
    }
    let half = splat(15);
    let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), half);
    let lower = _mm512_and_si512(bytes, half);
    let groups = |place: usize| {
        let wide = |table: &[u8; 16]| _mm512_broadcast_i32x4(narrow(table));
        let low = _mm512_shuffle_epi8(wide(&TRIPLES.low[place]), lower);
        _mm512_and_si512(low, _mm512_shuffle_epi8(wide(&TRIPLES.high[place]), upper))
    };
    // The quarter after each quarter, and nothing after the last.
    let quarter = |x: __m512i| _mm512_alignr_epi64::<2>(_mm512_setzero_si512(), x);
    let (second, third) = (groups(1), groups(2));
    let second = _mm512_alignr_epi8::<1>(quarter(second), second);
    let third = _mm512_alignr_epi8::<2>(quarter(third), third);
    planes[class::MONTH] = _mm512_test_epi8_mask(_mm512_and_si512(groups(0), second), third);
    planes
}

#[target_feature(enable = "sse2")]
#[inline]
fn narrow(table: &[u8; 16]) -> __m128i {
    // SAFETY: an array of 16 bytes is readable in whole; the load needs no alignment.
    unsafe { _mm_loadu_si128(table.as_ptr().cast::<__m128i>()) }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt")]
fn sift_avx512(
    view: &View<'_>,
    fields: &[Range<usize>],
    wish: Wish,
    progress: &mut Progress,
    list: &mut [Sifted],
) -> usize {
    let few = |bytes: __m512i| {
        let is = |b: u8| _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(b.cast_signed()));
        let above = _mm512_sub_epi8(bytes, _mm512_set1_epi8(b'0'.cast_signed()));
        Few {
            sure: _mm512_cmplt_epu8_mask(above, _mm512_set1_epi8(10)) | is(b'@'),
            stops: is(b'.') | is(b':'),
            blanks: is(b' '),
            dashes: is(b'-'),
            high: _mm512_movepi8_mask(bytes),
        }
    };
    let whole = |block: &[u8; BLOCK]| {
        // SAFETY: an array of 64 bytes is readable in whole; the load needs no alignment.
        few(unsafe { _mm512_loadu_si512(block.as_ptr().cast::<__m512i>()) })
    };
    let last = |_: &View<'_>, _: usize, rest: &[u8]| {
        let inside = _bzhi_u64(u64::MAX, rest.len().min(BLOCK) as u32);
        // SAFETY: only as many bytes are read as the slice has; the load needs no alignment.
        let few = few(unsafe { _mm512_maskz_loadu_epi8(inside, rest.as_ptr().cast::<i8>()) });
        Few { blanks: few.blanks | !inside, ..few }
    };
    sift_by(view, fields, wish, progress, list, whole, last)
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn marks_avx2(windows: &[Window<'_>], reach: &Reach, marks: &mut Marks) {
    marks_by(windows, reach, marks, |block| avx2(block));
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn mark_avx2(window: &Window<'_>, reach: &Reach) -> (u64, u64, u64) {
    mark_by(window, reach, |block| avx2(block))
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
#[inline]
fn avx2(block: &[u8; BLOCK]) -> [u64; class::COUNT] {
    let (halves, _) = block.as_chunks::<32>();
    let mut planes = [0; class::COUNT];
    for (i, half) in halves.iter().enumerate() {
        // SAFETY: an array of 32 bytes is readable in whole; the load needs no alignment.
        let bytes = unsafe { _mm256_loadu_si256(half.as_ptr().cast::<__m256i>()) };
        let splat = |b: u8| _mm256_set1_epi8(b.cast_signed());
        let bits = |mask: __m256i| u64::from(_mm256_movemask_epi8(mask).cast_unsigned()) << (32 * i);
        // Moved so that the range begins at the least signed number.
        let within = |from: u8, count: u8| {
            let moved = _mm256_add_epi8(bytes, splat(0x80u8.wrapping_sub(from)));
            bits(_mm256_cmpgt_epi8(splat(0x80u8.wrapping_add(count)), moved))
        };
        planes[class::DIGIT] |= within(b'0', 10);
        planes[class::UPPER] |= within(b'A', 26);
        planes[class::LOWER] |= within(b'a', 26);
        planes[class::HIGH] |= bits(bytes);
        for (plane, single) in planes[class::SINGLES..].iter_mut().zip(SINGLE) {
            *plane |= bits(_mm256_cmpeq_epi8(bytes, splat(single)));
        }
    }
    let (mut seconds, mut thirds) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for (i, half) in halves.iter().enumerate().rev() {
        // SAFETY: as above.
        let bytes = unsafe { _mm256_loadu_si256(half.as_ptr().cast::<__m256i>()) };
        let low = _mm256_set1_epi8(15);
        let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), low);
        let lower = _mm256_and_si256(bytes, low);
        let groups = |place: usize| {
            let wide = |table: &[u8; 16]| _mm256_broadcastsi128_si256(narrow(table));
            let low = _mm256_shuffle_epi8(wide(&TRIPLES.low[place]), lower);
            _mm256_and_si256(low, _mm256_shuffle_epi8(wide(&TRIPLES.high[place]), upper))
        };
        let (second, third) = (groups(1), groups(2));
        // The quarter after each quarter: from this half, and from the one behind it.
        let next = |x: __m256i, behind: __m256i| _mm256_permute2x128_si256::<0x21>(x, behind);
        let shifted = _mm256_and_si256(
            _mm256_alignr_epi8::<1>(next(second, seconds), second),
            _mm256_alignr_epi8::<2>(next(third, thirds), third),
        );
        let found = _mm256_and_si256(groups(0), shifted);
        let none = _mm256_movemask_epi8(_mm256_cmpeq_epi8(found, _mm256_setzero_si256())).cast_unsigned();
        planes[class::MONTH] |= u64::from(!none) << (32 * i);
        (seconds, thirds) = (second, third);
    }
    planes
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn sift_avx2(
    view: &View<'_>,
    fields: &[Range<usize>],
    wish: Wish,
    progress: &mut Progress,
    list: &mut [Sifted],
) -> usize {
    let few = |block: &[u8; BLOCK]| {
        let mut few = Few::default();
        for (i, half) in block.as_chunks::<32>().0.iter().enumerate() {
            // SAFETY: an array of 32 bytes is readable in whole; the load needs no alignment.
            let bytes = unsafe { _mm256_loadu_si256(half.as_ptr().cast::<__m256i>()) };
            let splat = |b: u8| _mm256_set1_epi8(b.cast_signed());
            let bits = |mask: __m256i| u64::from(_mm256_movemask_epi8(mask).cast_unsigned()) << (32 * i);
            let is = |b: u8| _mm256_cmpeq_epi8(bytes, splat(b));
            let moved = _mm256_add_epi8(bytes, splat(0x80u8.wrapping_sub(b'0')));
            let digits = _mm256_cmpgt_epi8(splat(0x80u8.wrapping_add(10)), moved);
            few.sure |= bits(_mm256_or_si256(digits, is(b'@')));
            few.stops |= bits(_mm256_or_si256(is(b'.'), is(b':')));
            few.blanks |= bits(is(b' '));
            few.dashes |= bits(is(b'-'));
            few.high |= bits(bytes);
        }
        few
    };
    sift_by(view, fields, wish, progress, list, few, |view, at, rest| last_by(view, at, rest, few))
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt")]
fn words_avx512(hay: &[u8], words: &mut Words) -> bool {
    words_by(hay, words, |block| {
        // SAFETY: an array of 64 bytes is readable in whole; the load needs no alignment.
        let bytes = unsafe { _mm512_loadu_si512(block.as_ptr().cast::<__m512i>()) };
        let splat = |b: u8| _mm512_set1_epi8(b.cast_signed());
        let within =
            |x: __m512i, from: u8, count: u8| _mm512_cmplt_epu8_mask(_mm512_sub_epi8(x, splat(from)), splat(count));
        within(_mm512_or_si512(bytes, splat(0x20)), b'a', 26)
            | within(bytes, b'0', 10)
            | _mm512_cmpeq_epi8_mask(bytes, splat(b'_'))
            | _mm512_movepi8_mask(bytes)
    })
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn words_avx2(hay: &[u8], words: &mut Words) -> bool {
    words_by(hay, words, |block| {
        let mut all = 0;
        for (i, half) in block.as_chunks::<32>().0.iter().enumerate() {
            // SAFETY: an array of 32 bytes is readable in whole; the load needs no alignment.
            let bytes = unsafe { _mm256_loadu_si256(half.as_ptr().cast::<__m256i>()) };
            let splat = |b: u8| _mm256_set1_epi8(b.cast_signed());
            let within = |x: __m256i, from: u8, count: u8| {
                let moved = _mm256_add_epi8(x, splat(0x80u8.wrapping_sub(from)));
                _mm256_cmpgt_epi8(splat(0x80u8.wrapping_add(count)), moved)
            };
            let letters = within(_mm256_or_si256(bytes, splat(0x20)), b'a', 26);
            let others = _mm256_or_si256(within(bytes, b'0', 10), _mm256_cmpeq_epi8(bytes, splat(b'_')));
            let words = _mm256_or_si256(_mm256_or_si256(letters, others), bytes);
            all |= u64::from(_mm256_movemask_epi8(words).cast_unsigned()) << (32 * i);
        }
        all
    })
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,bmi1,bmi2,popcnt")]
fn fill_avx512(bytes: &mut [u8], values: impl Iterator<Item = (u32, u32)>, unfilled: Unfilled, fill: u8) -> u64 {
    let (short, long) = (_mm256_set1_epi8(fill.cast_signed()), _mm512_set1_epi8(fill.cast_signed()));
    let small = |window: &mut [u8; SMALL], len, from, to| {
        let place = window.as_mut_ptr().cast::<__m256i>();
        let first = |n| _bzhi_u32(u32::MAX, n);
        // SAFETY: an array of 32 bytes is readable in whole; the load needs no alignment.
        let bytes = unsafe { _mm256_loadu_si256(place) };
        if _mm256_movepi8_mask(bytes) & first(len) != 0 {
            return false;
        }
        let filled = _mm256_mask_blend_epi8(first(to) & !first(from), bytes, short);
        // SAFETY: the array is ours to write in whole; the store needs no alignment.
        unsafe { _mm256_storeu_si256(place, filled) };
        true
    };
    let large = |window: &mut [u8; LARGE], len, from, to| {
        let place = window.as_mut_ptr().cast::<__m512i>();
        let first = |n| _bzhi_u64(u64::MAX, n);
        // SAFETY: an array of 64 bytes is readable in whole; the load needs no alignment.
        let bytes = unsafe { _mm512_loadu_si512(place) };
        if _mm512_movepi8_mask(bytes) & first(len) != 0 {
            return false;
        }
        let filled = _mm512_mask_blend_epi8(first(to) & !first(from), bytes, long);
        // SAFETY: the array is ours to write in whole; the store needs no alignment.
        unsafe { _mm512_storeu_si512(place, filled) };
        true
    };
    fill_by(bytes, values, unfilled, small, large)
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn fill_avx2(bytes: &mut [u8], values: impl Iterator<Item = (u32, u32)>, unfilled: Unfilled, fill: u8) -> u64 {
    let fills = _mm256_set1_epi8(fill.cast_signed());
    // SAFETY: an array of 32 bytes is readable in whole; the load needs no alignment.
    let places = unsafe { _mm256_loadu_si256(PLACES.as_ptr().cast::<__m256i>()) };
    // Ones in the first `n` bytes, where `n` is at most 32.
    let first = |n: u32| _mm256_cmpgt_epi8(_mm256_set1_epi8(n as i8), places);
    let foreign = |bytes, len| _mm256_movemask_epi8(_mm256_and_si256(bytes, first(len)));
    let blended = |bytes, from, to| _mm256_blendv_epi8(bytes, fills, _mm256_andnot_si256(first(from), first(to)));
    let small = |window: &mut [u8; SMALL], len, from, to| {
        let place = window.as_mut_ptr().cast::<__m256i>();
        // SAFETY: an array of 32 bytes is readable in whole; the load needs no alignment.
        let bytes = unsafe { _mm256_loadu_si256(place) };
        if foreign(bytes, len) != 0 {
            return false;
        }
        // SAFETY: the array is ours to write in whole; the store needs no alignment.
        unsafe { _mm256_storeu_si256(place, blended(bytes, from, to)) };
        true
    };
    let large = |window: &mut [u8; LARGE], len: u32, from: u32, to: u32| {
        let [low, high] = [0, 1].map(|half| {
            let place = window.as_ptr().cast::<__m256i>();
            // SAFETY: an array of 64 bytes has two halves of 32; the load needs no alignment.
            unsafe { _mm256_loadu_si256(place.add(half)) }
        });
        let (before, behind) = (|n: u32| n.min(32), |n: u32| n.saturating_sub(32));
        if foreign(low, before(len)) | foreign(high, behind(len)) != 0 {
            return false;
        }
        let place = window.as_mut_ptr().cast::<__m256i>();
        // SAFETY: the array is ours to write in whole, and has two halves of 32; the store needs no alignment.
        unsafe {
            _mm256_storeu_si256(place, blended(low, before(from), before(to)));
            _mm256_storeu_si256(place.add(1), blended(high, behind(from), behind(to)));
        }
        true
    };
    fill_by(bytes, values, unfilled, small, large)
}

/// The place of each byte of a half block.
const PLACES: [u8; 32] = {
    let mut places = [0; 32];
    let mut at = 0;
    while at < 32 {
        places[at] = at as u8;
        at += 1;
    }
    places
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planes::tests::by_bytes;
    use proptest::prelude::*;

    fn agrees(block: &[u8; BLOCK]) {
        for wide in Wide::all() {
            let have = match wide.0 {
                // SAFETY: the value says that the processor has the registers.
                Registers::Avx512 => unsafe { avx512(block) },
                // SAFETY: as above.
                Registers::Avx2 => unsafe { avx2(block) },
            };
            assert_eq!(have, by_bytes(block), "{wide:?}");
        }
    }

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=255u8 {
            agrees(&[byte; BLOCK]);
        }
    }

    proptest! {
        #[test]
        fn planes_agree_with_the_bytes(bytes in proptest::collection::vec(any::<u8>(), BLOCK)) {
            agrees(&bytes.try_into().unwrap());
        }
    }
}
