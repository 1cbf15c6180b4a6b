//! One pass over a text: triggers first, verification at each of them.
//!
//! The pass looks for the first digit of a run, `@` and `:` and skips everything else in blocks; each trigger is verified
//! once, looking at a bounded neighbourhood, so the work is linear in the text whatever it contains. Deliberately absent:
//! word lists (see [`crate::Automaton`]), and what becomes of a hit.

use crate::detector::Detector;
use crate::shapes;

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
    if text.is_ascii() {
        return ascii(shapes, text, hits);
    }
    match crate::unicode::fold(text) {
        None => ascii(shapes, text, hits),
        Some(folded) => {
            let before = hits.len();
            ascii(shapes, &folded.text, hits);
            for hit in hits.iter_mut().skip(before) {
                (hit.start, hit.end) = folded.origin(text, hit.start, hit.end);
            }
        }
    }
}

fn ascii(shapes: Shapes, text: &[u8], hits: &mut Vec<Hit>) {
    let urls = shapes.has(Detector::Url);
    let macs = shapes.has(Detector::Mac);
    let mut done = 0;
    let mut previous_digit = false;
    for (at, b) in text.iter().enumerate() {
        let digit = b.is_ascii_digit();
        let first = digit && !previous_digit;
        previous_digit = digit;
        if at < done {
            continue;
        }
        let before = hits.len();
        match b {
            b'@' | b':' => shapes::verify(shapes, text, at, hits),
            _ if first => shapes::verify(shapes, text, at, hits),
            b'.' if urls || macs => hits.extend(shapes::host(text, at, macs, urls)),
            b'-' if macs && text.get(at + 3) == Some(&b'-') => hits.extend(shapes::mac_by_dashes(text, at)),
            _ => continue,
        }
        if let Some(end) = hits.get(before..).unwrap_or_default().iter().map(|h| h.end).max() {
            done = end;
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
