//! One pass over a text: triggers first, verification at each of them.
//!
//! The pass looks for first digits, `@`, `:`, inner points and hyphens three apart by bit planes; each trigger is verified
//! once, looking at a bounded neighbourhood, so the work is linear in the text whatever it contains. A text with a character
//! that is not ASCII is folded first. Deliberately absent: word lists, and what becomes of a hit.

use crate::detector::Detector;
use crate::likely::{Wanted, likely};
use crate::planes::{BLOCK, Planes};
use crate::{shapes, unicode};

/// Something found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hit {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What found it.
    pub detector: Detector,
}

/// A set of built-in shapes; word lists are apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shapes(u32);

impl Shapes {
    const fn bit(detector: Detector) -> u32 {
        match detector {
            Detector::Ssn => 1 << 0,
            Detector::Mrn => 1 << 1,
            Detector::Phone => 1 << 2,
            Detector::Email => 1 << 3,
            Detector::Card => 1 << 4,
            Detector::Date => 1 << 5,
            Detector::Age => 1 << 6,
            Detector::Ip => 1 << 7,
            Detector::Url => 1 << 8,
            Detector::Zip => 1 << 9,
            Detector::Plan => 1 << 10,
            Detector::Address => 1 << 11,
            Detector::Npi => 1 << 12,
            Detector::Dea => 1 << 13,
            Detector::Mbi => 1 << 14,
            Detector::Account => 1 << 15,
            Detector::Iban => 1 << 16,
            Detector::Vin => 1 << 17,
            Detector::Plate => 1 << 18,
            Detector::Device => 1 << 19,
            Detector::Mac => 1 << 20,
            Detector::License => 1 << 21,
            Detector::Code => 1 << 22,
            Detector::Words(_) => 0,
        }
    }

    /// The built-in ones of `detectors`.
    #[must_use]
    pub fn of(detectors: &[Detector]) -> Self {
        Self(detectors.iter().fold(0, |set, d| set | Self::bit(*d)))
    }

    /// Whether one of `detectors` is in the set.
    #[must_use]
    pub fn any(self, detectors: &[Detector]) -> bool {
        detectors.iter().any(|d| self.has(*d))
    }

    /// Whether `detector` is in the set.
    #[must_use]
    pub const fn has(self, detector: Detector) -> bool {
        self.0 & Self::bit(detector) != 0
    }
}

/// Finds what the built-in shapes among `detectors` match, in order of position, overlaps united. Word lists are ignored
/// here: they need a bundle.
pub fn find(detectors: &[Detector], text: &[u8]) -> Vec<Hit> {
    let mut hits = Vec::new();
    collect(Shapes::of(detectors), text, &mut hits);
    unite(&mut hits);
    hits
}

/// Adds what the set finds in `text`, unsorted and not united.
pub fn collect(shapes: Shapes, text: &[u8], hits: &mut Vec<Hit>) {
    if shapes.0 == 0 {
        return;
    }
    let before = hits.len();
    if walk(shapes, text, hits, Stop::AtForeign) {
        return;
    }
    hits.truncate(before);
    match unicode::fold(text) {
        None => {
            walk(shapes, text, hits, Stop::Never);
        }
        Some(folded) => {
            walk(shapes, &folded.text, hits, Stop::Never);
            for hit in hits.iter_mut().skip(before) {
                (hit.start, hit.end) = folded.origin(text, hit.start, hit.end);
            }
        }
    }
}

/// Whether a walk ends at the first character that is not ASCII.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stop {
    AtForeign,
    Never,
}

/// Goes through `text` by planes of 64 bytes and looks at the triggers in them; false if it was stopped.
fn walk(shapes: Shapes, text: &[u8], hits: &mut Vec<Hit>, stop: Stop) -> bool {
    let mut visit = Visit::new(shapes, text);
    let (blocks, rest) = text.as_chunks::<BLOCK>();
    let mut base = 0;
    for block in blocks {
        let planes = Planes::of(block);
        if stop == Stop::AtForeign && planes.high != 0 {
            return false;
        }
        visit.block(base, planes, hits);
        base += BLOCK;
    }
    if !rest.is_empty() {
        let mut block = [0u8; BLOCK];
        block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        let planes = Planes::of(&block);
        if stop == Stop::AtForeign && planes.high != 0 {
            return false;
        }
        visit.block(base, planes, hits);
    }
    true
}

/// A walk through one text.
struct Visit<'a> {
    shapes: Shapes,
    wanted: Wanted,
    text: &'a [u8],
    signs: u64,
    points: u64,
    dashes: u64,
    /// Nothing before this is looked at again.
    done: usize,
    /// The last byte of the block before was a digit.
    digit: u64,
}

impl<'a> Visit<'a> {
    fn new(shapes: Shapes, text: &'a [u8]) -> Self {
        let all = |wanted: bool| if wanted { u64::MAX } else { 0 };
        Self {
            shapes,
            wanted: Wanted::of(shapes),
            text,
            signs: all(shapes.any(&[Detector::Email, Detector::Url, Detector::Ip, Detector::Mac, Detector::Code])),
            points: all(shapes.any(&[Detector::Url, Detector::Mac])),
            dashes: all(shapes.has(Detector::Mac)),
            done: 0,
            digit: 0,
        }
    }

    #[inline]
    fn block(&mut self, base: usize, planes: Planes, hits: &mut Vec<Hit>) {
        let firsts = planes.digits & !((planes.digits << 1) | self.digit);
        self.digit = planes.digits >> (BLOCK - 1);
        // Hyphens three apart, as in hardware addresses; the last three bits depend on the next block.
        let dashes = planes.dashes & ((planes.dashes >> 3) | (0b111 << (BLOCK - 3))) & self.dashes;
        let mut triggers = firsts | (planes.signs & self.signs) | (planes.points & self.points) | dashes;
        while triggers != 0 {
            let at = base + triggers.trailing_zeros() as usize;
            triggers &= triggers - 1;
            if at >= self.done {
                self.trigger(at, hits);
            }
        }
    }

    #[inline]
    fn trigger(&mut self, at: usize, hits: &mut Vec<Hit>) {
        let before = hits.len();
        match self.text.get(at) {
            Some(b'@' | b':') => shapes::verify(self.shapes, self.text, at, hits),
            Some(b'.') => {
                // The end of a sentence, a decimal.
                if self.text.get(at + 1).is_some_and(u8::is_ascii_alphanumeric) {
                    let (macs, urls) = (self.shapes.has(Detector::Mac), self.shapes.has(Detector::Url));
                    hits.extend(shapes::host(self.text, at, macs, urls));
                }
            }
            Some(b'-') => {
                if self.text.get(at + 3) == Some(&b'-') {
                    hits.extend(shapes::mac_by_dashes(self.text, at));
                }
            }
            _ => {
                if likely(self.wanted, self.text, at) {
                    shapes::verify(self.shapes, self.text, at, hits);
                }
            }
        }
        if let Some(end) = hits.get(before..).unwrap_or_default().iter().map(|h| h.end).max() {
            self.done = end;
        }
    }
}

/// Sorts and unites overlapping hits; the one that begins first gives its name.
pub fn unite(hits: &mut Vec<Hit>) {
    hits.sort_by_key(|h| (h.start, usize::MAX - h.end));
    hits.dedup_by(|next, kept| {
        let overlap = next.start < kept.end;
        if overlap {
            kept.end = kept.end.max(next.end);
        }
        overlap
    });
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;
