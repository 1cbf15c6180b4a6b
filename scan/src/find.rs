//! One pass over texts: what could matter first, then marks, then verification at each of them.
//!
//! Digits and signs are sifted out of blocks of 64 bytes; windows round them, eight at a time and of any field, are marked by
//! bit planes; each mark is verified once, looking at a bounded neighbourhood, so the work is linear in the text whatever it
//! contains. A text with a character that is not ASCII is folded first. Deliberately absent: word lists, and what becomes of
//! a hit.

use std::ops::Range;

use crate::detector::Detector;
use crate::likely::{Wanted, is_prose, likely};
use crate::marks::{AHEAD, BEHIND, Marks, Reach};
use crate::planes::{BLOCK, LANES, Level, View, Window};
use crate::sift::{Progress, Sifted, Wish};
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
    /// What has letters and digits in no order of its own; NPIs are digits alone.
    pub(crate) const CODES: Self = Self::of(&[
        Detector::Mrn,
        Detector::Plan,
        Detector::Dea,
        Detector::Mbi,
        Detector::Account,
        Detector::Iban,
        Detector::Vin,
        Detector::Plate,
        Detector::Device,
        Detector::License,
        Detector::Code,
    ]);

    /// These and this one.
    pub(crate) const fn with(self, detector: Detector) -> Self {
        Self(self.0 | Self::bit(detector))
    }

    /// These but not this one.
    pub(crate) const fn without(self, detector: Detector) -> Self {
        Self(self.0 & !Self::bit(detector))
    }

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

/// Adds what the set finds in one text to `hits`, unsorted and not united.
pub fn collect(shapes: Shapes, text: &[u8], hits: &mut Vec<Hit>) {
    walk(Level::best(), shapes, text, hits, Fold::Yes);
}

/// Looks at many fields of one buffer together, which costs less than one after the other: the planes of several short fields
/// are worked on at once. For every field with something in it, in order, `found` is given its place in `fields` and its hits,
/// united and in order, counted from the field's beginning. `hits` is room to work in, so that nothing is allocated for a
/// field; what was in it is lost. A field that is not inside the buffer counts as empty.
pub fn batch(
    shapes: Shapes,
    buffer: &[u8],
    fields: &[Range<usize>],
    hits: &mut Vec<Hit>,
    mut found: impl FnMut(usize, &[Hit]),
) {
    hits.clear();
    sweep(Level::best(), shapes, buffer, fields, hits, Fold::Yes, |field, hits| {
        unite(hits);
        found(field, hits);
        hits.clear();
    });
}

/// Whether a field with characters that are not ASCII is folded first.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fold {
    Yes,
    No,
}

/// Puts windows on the bytes that were sifted out of the block that begins at `begin` of `text`, but for numbers of prose:
/// `each` is given where a window begins in the text and which of its bytes count. Before `next` all bytes have been in a
/// window.
#[inline(always)]
fn each_window(
    wanted: Wanted,
    text: &[u8],
    begin: usize,
    sifted: u64,
    next: &mut usize,
    mut each: impl FnMut(usize, u64),
) {
    let mut bits = sifted;
    while bits != 0 {
        if *next > begin {
            bits = if *next - begin < BLOCK { bits & (u64::MAX << (*next - begin)) } else { 0 };
            if bits == 0 {
                break;
            }
        }
        let low = bits.trailing_zeros();
        let first = begin + low as usize;
        if is_prose(wanted, text, first, (bits >> low).trailing_ones() as usize) {
            bits &= bits.wrapping_add(1 << low);
            continue;
        }
        let base = first.saturating_sub(BEHIND);
        let whole = text.len() - base <= BLOCK;
        let own = u64::MAX << (first - base);
        *next = base + if whole { BLOCK } else { BLOCK - AHEAD };
        each(base, if whole { own } else { own & (u64::MAX >> AHEAD) });
    }
}

/// Longest text whose windows are marked one by one.
const FEW_BYTES: usize = 8 * BLOCK;

/// Looks at one text.
fn walk(level: Level, shapes: Shapes, text: &[u8], hits: &mut Vec<Hit>, fold: Fold) {
    if text.len() > FEW_BYTES {
        return sweep(level, shapes, text, std::slice::from_ref(&(0..text.len())), hits, fold, none);
    }
    if shapes.0 == 0 {
        return;
    }
    let reach = Reach::of(shapes);
    let mut short = [0u8; BLOCK];
    let view = View::of(text, &mut short);
    let mut list = [Sifted::default(); FEW_BYTES / BLOCK];
    let wish = Wish { macs: reach.macs != 0, foreign: fold == Fold::Yes };
    let mut progress = Progress::default();
    let count = level.sift(&view, std::slice::from_ref(&(0..text.len())), wish, &mut progress, &mut list);
    if progress.foreign {
        return folded(level, shapes, text, hits);
    }
    let wanted = Wanted::of(shapes);
    let mut visit = Visit::new(shapes, wanted, 0, text, hits.len());
    let mut next = 0;
    for Sifted { block, bytes, .. } in list.get(..count).unwrap_or_default() {
        each_window(wanted, text, *block as usize * BLOCK, *bytes, &mut next, |base, own| {
            let (numbers, days, signs) = level.mark(&view.window(base, text.len() - base), &reach);
            visit.window(base, numbers & own, days & own, signs & own, hits);
        });
    }
}

/// Which part of which field a lane's window is on.
#[derive(Clone, Copy, Default)]
struct Place {
    field: usize,
    /// Where the window begins in the field.
    base: usize,
    /// Bytes of the window whose marks count.
    own: u64,
}

/// Sifted blocks that are kept at most before windows are put on them.
const SIFTED: usize = 128;

/// Goes through the fields twice: bytes that could matter first, then windows on these, by marks. `found` is called after
/// each field that has hits; what it leaves in `hits` stays.
fn sweep(
    level: Level,
    shapes: Shapes,
    buffer: &[u8],
    fields: &[Range<usize>],
    hits: &mut Vec<Hit>,
    fold: Fold,
    found: impl FnMut(usize, &mut Vec<Hit>),
) {
    if shapes.0 == 0 {
        return;
    }
    let reach = Reach::of(shapes);
    let mut short = [0u8; BLOCK];
    let view = View::of(buffer, &mut short);
    let visits = Visits { level, shapes, wanted: Wanted::of(shapes), buffer, fields, found, hits, visit: None };
    let windows = [view.window(0, 0); LANES];
    let mut sweep =
        Sweep { level, reach, visits, view, windows, places: Default::default(), lanes: 0, field: 0, next: 0 };
    let mut list = [Sifted::default(); SIFTED];
    let wish = Wish { macs: reach.macs != 0, foreign: fold == Fold::Yes };
    let mut progress = Progress::default();
    while progress.field < fields.len() {
        let count = level.sift(&view, fields, wish, &mut progress, &mut list);
        sweep.look(list.get(..count).unwrap_or_default());
        if progress.foreign {
            sweep.flush();
            sweep.visits.foreign(progress.field);
            progress = Progress { field: progress.field + 1, ..Progress::default() };
        }
    }
    sweep.flush();
    sweep.visits.leave();
}

/// Windows that wait until there are enough of them.
struct Sweep<'a, F> {
    level: Level,
    reach: Reach,
    visits: Visits<'a, F>,
    view: View<'a>,
    windows: [Window<'a>; LANES],
    places: [Place; LANES],
    lanes: usize,
    /// Where the last window lies, and how far bytes have been in one.
    field: u32,
    next: usize,
}

impl<'a, F: FnMut(usize, &mut Vec<Hit>)> Sweep<'a, F> {
    /// Puts windows on sifted blocks.
    #[inline]
    fn look(&mut self, sifted: &[Sifted]) {
        for Sifted { field, block, bytes } in sifted {
            let mut next = if *field == self.field { self.next } else { 0 };
            let field = *field as usize;
            let start = self.visits.fields.get(field).map_or(0, |range| range.start);
            let text = self.visits.text(field);
            each_window(self.visits.wanted, text, *block as usize * BLOCK, *bytes, &mut next, |base, own| {
                self.push(self.view.window(start + base, text.len() - base), Place { field, base, own });
            });
            (self.field, self.next) = (field as u32, next);
        }
    }

    #[inline]
    fn push(&mut self, window: Window<'a>, place: Place) {
        if let Some(slot) = self.windows.get_mut(self.lanes) {
            *slot = window;
        }
        if let Some(slot) = self.places.get_mut(self.lanes) {
            *slot = place;
        }
        self.lanes += 1;
        if self.lanes >= LANES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        let lanes = std::mem::take(&mut self.lanes);
        let Some(windows) = self.windows.get(..lanes) else { return };
        if windows.is_empty() {
            return;
        }
        let mut marks = Marks::default();
        self.level.marks(windows, &self.reach, &mut marks);
        for (lane, place) in self.places.iter().enumerate().take(lanes) {
            let of = |plane: &[u64; LANES]| plane[lane] & place.own;
            let (numbers, days, signs) = (of(&marks.numbers), of(&marks.days), of(&marks.signs));
            if numbers | days | signs != 0 {
                self.visits.window(*place, numbers, days, signs);
            }
        }
    }
}

/// Fields at which there is something to look at, one after the other.
struct Visits<'a, F> {
    level: Level,
    shapes: Shapes,
    wanted: Wanted,
    buffer: &'a [u8],
    fields: &'a [Range<usize>],
    found: F,
    hits: &'a mut Vec<Hit>,
    visit: Option<Visit<'a>>,
}

impl<'a, F: FnMut(usize, &mut Vec<Hit>)> Visits<'a, F> {
    #[inline]
    fn text(&self, field: usize) -> &'a [u8] {
        self.fields.get(field).and_then(|range| self.buffer.get(range.clone())).unwrap_or_default()
    }

    fn enter(&mut self, field: usize) -> Option<&mut Visit<'a>> {
        if self.visit.as_ref().is_none_or(|v| v.field != field) {
            self.leave();
            let text = self.text(field);
            self.visit = Some(Visit::new(self.shapes, self.wanted, field, text, self.hits.len()));
        }
        self.visit.as_mut()
    }

    fn window(&mut self, place: Place, numbers: u64, days: u64, signs: u64) {
        if self.enter(place.field).is_some()
            && let Some(visit) = &mut self.visit
        {
            visit.window(place.base, numbers, days, signs, self.hits);
        }
    }

    /// Begins the field again, with characters that read like ASCII written as it.
    fn foreign(&mut self, field: usize) {
        let Some(visit) = self.enter(field) else { return };
        let (text, before) = (visit.text, visit.before);
        self.hits.truncate(before);
        folded(self.level, self.shapes, text, self.hits);
        self.leave();
    }

    /// Ends the visit of a field.
    fn leave(&mut self) {
        if let Some(visit) = self.visit.take()
            && self.hits.len() > visit.before
        {
            (self.found)(visit.field, self.hits);
        }
    }
}

/// Looks at a text with characters that are not ASCII.
fn folded(level: Level, shapes: Shapes, text: &[u8], hits: &mut Vec<Hit>) {
    match unicode::fold(text) {
        None => walk(level, shapes, text, hits, Fold::No),
        Some(folded) => {
            let before = hits.len();
            walk(level, shapes, &folded.text, hits, Fold::No);
            for hit in hits.iter_mut().skip(before) {
                (hit.start, hit.end) = folded.origin(text, hit.start, hit.end);
            }
        }
    }
}

fn none(_: usize, _: &mut Vec<Hit>) {}

/// A visit of one text.
struct Visit<'a> {
    shapes: Shapes,
    wanted: Wanted,
    field: usize,
    text: &'a [u8],
    /// Hits that were there before.
    before: usize,
    macs: bool,
    /// Nothing before this is looked at again.
    done: usize,
}

impl<'a> Visit<'a> {
    #[inline]
    fn new(shapes: Shapes, wanted: Wanted, field: usize, text: &'a [u8], before: usize) -> Self {
        let macs = shapes.has(Detector::Mac);
        Self { shapes, wanted, field, text, before, macs, done: 0 }
    }

    #[inline]
    fn window(&mut self, base: usize, numbers: u64, days: u64, signs: u64, hits: &mut Vec<Hit>) {
        let firsts = numbers | days;
        let mut marks = firsts | signs;
        while marks != 0 {
            let bit = marks.trailing_zeros();
            marks &= marks - 1;
            let at = base + bit as usize;
            if at < self.done {
                continue;
            }
            if firsts >> bit & 1 == 1 {
                if likely(self.wanted, self.text, at, 1) {
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
            b':' if matches!(after, b'/' | b':') || after.is_ascii_hexdigit() && !before.is_ascii_whitespace() => {
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
