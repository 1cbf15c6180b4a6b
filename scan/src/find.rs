//! One pass over a text: triggers first, verification at each of them.
//!
//! The pass looks for first digits, `@`, `:`, inner points and hyphens three apart by bit planes; each trigger is verified
//! once, looking at a bounded neighbourhood, so the work is linear in the text whatever it contains. A text with a character
//! that is not ASCII is folded first. Deliberately absent: word lists, and what becomes of a hit.

use crate::detector::Detector;
use crate::likely::{Wanted, dull, likely};
use crate::planes::{self, BLOCK, Planes};
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
    pub const fn of(detectors: &[Detector]) -> Self {
        let mut set = 0;
        let mut i = 0;
        while i < detectors.len() {
            set |= Self::bit(detectors[i]);
            i += 1;
        }
        Self(set)
    }

    /// Whether a detector is in both sets.
    #[must_use]
    pub const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
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
        if planes.foreign && stop == Stop::AtForeign {
            return false;
        }
        let dashes = if visit.macs { planes::dashes(block) } else { 0 };
        visit.block(base, planes, dashes, hits);
        base += BLOCK;
    }
    if rest.is_empty() {
        return true;
    }
    // The last block: the last 64 bytes with those left out that were seen, or a short text filled up.
    let mut short = [0u8; BLOCK];
    let (block, seen) = match text.last_chunk::<BLOCK>() {
        Some(last) => (last, BLOCK - rest.len()),
        None => {
            if let Some(head) = short.get_mut(..rest.len()) {
                head.copy_from_slice(rest);
            }
            (&short, 0)
        }
    };
    let mut planes = Planes::of(block);
    if planes.foreign && stop == Stop::AtForeign {
        return false;
    }
    let dashes = if visit.macs { planes::dashes(block) } else { 0 };
    planes.digits >>= seen;
    planes.signs >>= seen;
    visit.block(base, planes, dashes >> seen, hits);
    true
}

/// A walk through one text.
struct Visit<'a> {
    shapes: Shapes,
    wanted: Wanted,
    text: &'a [u8],
    signs: u64,
    macs: bool,
    /// Nothing before this is looked at again.
    done: usize,
    /// The last byte of the block before was a digit.
    digit: u64,
}

impl<'a> Visit<'a> {
    #[inline]
    fn new(shapes: Shapes, text: &'a [u8]) -> Self {
        const SIGNS: Shapes =
            Shapes::of(&[Detector::Email, Detector::Url, Detector::Ip, Detector::Mac, Detector::Code]);
        let signs = if shapes.meets(SIGNS) { u64::MAX } else { 0 };
        let macs = shapes.has(Detector::Mac);
        Self { shapes, wanted: Wanted::of(shapes), text, signs, macs, done: 0, digit: 0 }
    }

    #[inline(always)]
    fn block(&mut self, base: usize, planes: Planes, dashes: u64, hits: &mut Vec<Hit>) {
        let firsts = planes.digits & !((planes.digits << 1) | self.digit);
        self.digit = planes.digits >> (BLOCK - 1);
        // Hyphens three apart, as in hardware addresses; the last three bits depend on the next block.
        let dashes = dashes & ((dashes >> 3) | (0b111 << (BLOCK - 3)));
        let mut triggers = firsts | (planes.signs & self.signs) | dashes;
        while triggers != 0 {
            let bit = triggers.trailing_zeros();
            triggers &= triggers - 1;
            let at = base + bit as usize;
            if at < self.done {
                continue;
            }
            if firsts >> bit & 1 == 1 {
                let run = (planes.digits >> bit).trailing_ones() as usize;
                // Four digits are worth a look whatever is round them; a run to the end of the block may go on.
                let worth =
                    run >= 4 || !dull(self.wanted, self.text, at, run) && likely(self.wanted, self.text, at, run);
                if worth {
                    self.look(at, hits);
                }
            } else {
                self.sign(at, hits);
            }
        }
    }

    #[inline]
    fn sign(&mut self, at: usize, hits: &mut Vec<Hit>) {
        let byte = |i: usize| self.text.get(i).copied().unwrap_or(b' ');
        let (before, after) = (byte(at.wrapping_sub(1)), byte(at + 1));
        let hit = match byte(at) {
            // Not the end of a sentence, nor a decimal point.
            b'.' => {
                let letter = after.is_ascii_alphabetic() || (before.is_ascii_alphabetic() && after.is_ascii_digit());
                let urls = self.shapes.has(Detector::Url) && letter && before.is_ascii_alphanumeric();
                let macs = self.macs && byte(at + 5) == b'.';
                if urls || macs { shapes::host(self.text, at, macs, urls) } else { None }
            }
            b'-' if byte(at + 3) == b'-' => shapes::mac_by_dashes(self.text, at),
            b'@' => return self.look(at, hits),
            // `://`, or a colon between hexadecimal digits or colons.
            b':' if after == b'/'
                || ((after.is_ascii_hexdigit() || after == b':') && !before.is_ascii_whitespace())
                || after == b':' =>
            {
                return self.look(at, hits);
            }
            _ => None,
        };
        if let Some(hit) = hit {
            self.done = hit.end;
            hits.push(hit);
        }
    }

    #[inline(never)]
    fn look(&mut self, at: usize, hits: &mut Vec<Hit>) {
        let before = hits.len();
        shapes::verify(self.shapes, self.text, at, hits);
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
