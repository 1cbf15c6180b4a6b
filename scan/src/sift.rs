//! The first pass over texts: blocks of 64 bytes in which there is a byte that a shape could be noticed by.
//!
//! Digits, `@`, points and colons with something behind them, and hyphens three apart where hardware addresses are looked for.
//! Blocks that have one are listed without a branch on each, because whether 64 bytes of prose have a digit in them is guessed
//! wrong as often as not. By the widest registers that the processor has (see [`crate::planes`]); tests compare all with a loop
//! over bytes. Deliberately absent: which of these bytes are worth a look.

use std::ops::Range;

use wide::u8x16;

use crate::planes::{BLOCK, View};

/// A block of a field in which there are bytes that could matter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sifted {
    pub(crate) field: u32,
    /// Its number in the field.
    pub(crate) block: u32,
    /// Which of its bytes could matter.
    pub(crate) bytes: u64,
}

/// How far fields were sifted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) field: usize,
    /// Blocks of the field.
    pub(crate) block: usize,
    /// The field has characters that are not ASCII: it was not listed, as far as it was looked at this time.
    pub(crate) foreign: bool,
}

/// What is looked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wish {
    /// Hyphens too.
    pub(crate) macs: bool,
    /// Characters that are not ASCII end the pass.
    pub(crate) foreign: bool,
}

/// The few planes that the pass needs.
#[derive(Clone, Copy, Default)]
pub(crate) struct Few {
    /// Digits and `@`.
    pub(crate) sure: u64,
    /// Points and colons.
    pub(crate) stops: u64,
    pub(crate) blanks: u64,
    pub(crate) dashes: u64,
    pub(crate) high: u64,
}

/// Lists blocks of `fields` from where `progress` is, until the list is full, a field with foreign characters is met, or there
/// are no more fields. Returns how many it listed. `last` gives the planes of less than a block, at a place of the buffer:
/// nothing is behind it.
#[inline(always)]
pub(crate) fn sift_by(
    view: &View<'_>,
    fields: &[Range<usize>],
    wish: Wish,
    progress: &mut Progress,
    list: &mut [Sifted],
    few: impl Fn(&[u8; BLOCK]) -> Few,
    last: impl Fn(&View<'_>, usize, &[u8]) -> Few,
) -> usize {
    // Without hyphens their planes are not even taken.
    if wish.macs {
        sift::<true>(view, fields, wish, progress, list, few, last)
    } else {
        sift::<false>(view, fields, wish, progress, list, few, last)
    }
}

#[inline(always)]
fn sift<const MACS: bool>(
    view: &View<'_>,
    fields: &[Range<usize>],
    wish: Wish,
    progress: &mut Progress,
    list: &mut [Sifted],
    few: impl Fn(&[u8; BLOCK]) -> Few,
    last: impl Fn(&View<'_>, usize, &[u8]) -> Few,
) -> usize {
    let pick = |few: &Few| {
        let dashes = if MACS { few.dashes & ((few.dashes >> 3) | (0b111 << (BLOCK - 3))) } else { 0 };
        few.sure | (few.stops & !(few.blanks >> 1)) | dashes
    };
    let mut count = 0;
    progress.foreign = false;
    while let Some(range) = fields.get(progress.field) {
        let (before, mut foreign, mut full) = (count, 0, false);
        let text = view.text(range);
        let (blocks, rest) = text.as_chunks::<BLOCK>();
        let mut place = Sifted { field: progress.field as u32, block: progress.block as u32, bytes: 0 };
        for block in blocks.get(progress.block..).unwrap_or_default() {
            let Some(slot) = list.get_mut(count) else {
                full = true;
                break;
            };
            let few = few(block);
            place.bytes = pick(&few);
            *slot = place;
            count += usize::from(place.bytes != 0);
            place.block += 1;
            foreign |= few.high;
        }
        if !full && !rest.is_empty() {
            match list.get_mut(count) {
                None => full = true,
                Some(slot) => {
                    let few = last(view, range.start + blocks.len() * BLOCK, rest);
                    place.bytes = pick(&few);
                    *slot = place;
                    count += usize::from(place.bytes != 0);
                    foreign |= few.high;
                }
            }
        }
        if foreign != 0 && wish.foreign {
            progress.foreign = true;
            return before;
        }
        if full {
            progress.block = place.block as usize;
            return count;
        }
        progress.field += 1;
        progress.block = 0;
    }
    count
}

/// The planes of less than a block, from a block that it is a part of.
#[inline(always)]
pub(crate) fn last_by(view: &View<'_>, at: usize, rest: &[u8], few: impl Fn(&[u8; BLOCK]) -> Few) -> Few {
    let window = view.window(at, rest.len());
    let few = few(window.block);
    let cut = |plane: u64| (plane >> window.shift) & window.inside;
    Few {
        sure: cut(few.sure),
        stops: cut(few.stops),
        blanks: (few.blanks >> window.shift) | !window.inside,
        dashes: cut(few.dashes),
        high: cut(few.high),
    }
}

/// The planes by the registers that every processor of the target has.
#[inline(always)]
pub(crate) fn narrow(block: &[u8; BLOCK]) -> Few {
    let splat = |b: u8| u8x16::new([b; 16]);
    let mut few = Few::default();
    for (i, part) in block.as_chunks::<16>().0.iter().enumerate() {
        let bytes = u8x16::new(*part);
        let bits = |mask: u8x16| u64::from(mask.to_bitmask()) << (16 * i);
        let above = bytes - splat(b'0');
        few.sure |= bits(above.min(splat(9)).simd_eq(above) | bytes.simd_eq(splat(b'@')));
        few.stops |= bits(bytes.simd_eq(splat(b'.')) | bytes.simd_eq(splat(b':')));
        few.blanks |= bits(bytes.simd_eq(splat(b' ')));
        few.dashes |= bits(bytes.simd_eq(splat(b'-')));
        few.high |= bits(bytes);
    }
    few
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::planes::Level;
    use proptest::prelude::*;

    /// The blocks of a text that should be listed.
    fn by_bytes(field: usize, text: &[u8], macs: bool) -> Vec<Sifted> {
        let byte = |i: usize| text.get(i).copied().unwrap_or(b' ');
        let kept = |i: usize| match byte(i) {
            b'0'..=b'9' | b'@' => true,
            b'.' | b':' => byte(i + 1) != b' ' || i % BLOCK == BLOCK - 1,
            b'-' => macs && (byte(i + 3) == b'-' || i % BLOCK >= BLOCK - 3),
            _ => false,
        };
        let blocks = (0..text.len().div_ceil(BLOCK)).map(|block| {
            let all = (block * BLOCK..text.len()).take(BLOCK);
            let bytes = all.filter(|i| kept(*i)).fold(0, |bits, i| bits | 1 << (i % BLOCK));
            Sifted { field: field as u32, block: block as u32, bytes }
        });
        blocks.filter(|sifted| sifted.bytes != 0).collect()
    }

    proptest! {
        /// What is left out cannot matter, wherever the fields lie in their buffer and however long the list is.
        #[test]
        fn every_level_sifts_the_same(
            texts in proptest::collection::vec("([0-9]|[a-z ]{1,20}|[.:@-]|[0-9a-f]{2}-|, ){0,60}\u{e9}?", 0..8),
            gap in 0usize..70,
            macs in any::<bool>(),
            foreign in any::<bool>(),
            room in 1usize..40,
        ) {
            let mut buffer = Vec::new();
            let mut fields = Vec::new();
            for text in &texts {
                buffer.extend(vec![b'7'; gap]);
                fields.push(buffer.len()..buffer.len() + text.len());
                buffer.extend_from_slice(text.as_bytes());
            }
            buffer.extend(vec![0xff; gap]);
            // One that does not lie there.
            fields.push(buffer.len() - buffer.len().min(1)..buffer.len() + 5);
            let want: Vec<Sifted> = (texts.iter().enumerate())
                .filter(|(_, text)| !foreign || text.is_ascii())
                .flat_map(|(field, text)| by_bytes(field, text.as_bytes(), macs))
                .collect();
            let strange: Vec<usize> =
                (0..texts.len()).filter(|field| foreign && !texts[*field].is_ascii()).collect();
            for level in Level::all() {
                let mut short = [0; BLOCK];
                let view = View::of(&buffer, &mut short);
                let (mut have, mut met) = (Vec::new(), Vec::new());
                let mut progress = Progress::default();
                let mut list = vec![Sifted::default(); room];
                let wish = Wish { macs, foreign };
                while progress.field < fields.len() {
                    let count = level.sift(&view, &fields, wish, &mut progress, &mut list);
                    have.extend_from_slice(&list[..count]);
                    if progress.foreign {
                        met.push(progress.field);
                        have.retain(|sifted: &Sifted| sifted.field as usize != progress.field);
                        progress = Progress { field: progress.field + 1, ..Progress::default() };
                    }
                }
                prop_assert_eq!(&have, &want, "{:?}", level);
                prop_assert_eq!(&met, &strange, "{:?}", level);
            }
        }
    }
}
