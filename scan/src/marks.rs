//! Marks: which bytes of a window are worth a look, worked out from its bit planes for 64 bytes at a time.
//!
//! A mark may be there for nothing, but none is missing where [`crate::likely`] says yes or a sign begins a shape; tests hold
//! it to that, and hits are the same with every digit and sign marked. Marks are good between [`BEHIND`] bytes after the
//! window's beginning and [`AHEAD`] bytes before its end; windows overlap by so much. Deliberately absent: verification.

use crate::detector::Detector;
use crate::find::Shapes;
use crate::planes::{LANES, Planes, class};

/// Bytes before a marked one that marks depend on.
pub(crate) const BEHIND: usize = 13;
/// Bytes after a marked one that marks depend on.
pub(crate) const AHEAD: usize = 13;

/// Which shapes' marks are wanted, as masks of all bits or none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub(crate) signs: u64,
    urls: u64,
    pub(crate) macs: u64,
    dates: u64,
    ages: u64,
    addresses: u64,
    codes: u64,
    plates: u64,
    capitals: u64,
}

impl Reach {
    pub(crate) const fn of(shapes: Shapes) -> Self {
        const fn all(is: bool) -> u64 {
            if is { u64::MAX } else { 0 }
        }
        const SIGNS: Shapes =
            Shapes::of(&[Detector::Email, Detector::Url, Detector::Ip, Detector::Mac, Detector::Code]);
        Self {
            signs: all(shapes.meets(SIGNS)),
            urls: all(shapes.has(Detector::Url)),
            macs: all(shapes.has(Detector::Mac)),
            dates: all(shapes.has(Detector::Date)),
            ages: all(shapes.has(Detector::Age)),
            addresses: all(shapes.has(Detector::Address)),
            codes: all(shapes.meets(Shapes::CODES)),
            plates: all(shapes.has(Detector::Plate)),
            capitals: all(shapes.meets(Shapes::of(&[Detector::Plate, Detector::Account, Detector::Iban]))),
        }
    }
}

/// What is marked in eight windows; bit `i` is byte `i`. A byte outside of a window is never marked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks {
    /// First digits that stand as they do in numbers and codes.
    pub(crate) numbers: [u64; LANES],
    /// First digits near which a month may stand, and nothing else.
    pub(crate) days: [u64; LANES],
    pub(crate) signs: [u64; LANES],
}

/// Works out the marks of eight windows from the planes of their blocks, of which each window leaves out the first `shifts`
/// bytes and keeps those of `insides`.
#[inline(always)]
pub(crate) fn mark(planes: &Planes, shifts: &[u64; LANES], insides: &[u64; LANES], reach: &Reach, marks: &mut Marks) {
    for lane in 0..LANES {
        let of = |class: usize| (planes[class][lane] >> (shifts[lane] % 64)) & insides[lane];
        (marks.numbers[lane], marks.days[lane], marks.signs[lane]) = mark_one(of, reach);
    }
}

/// The marks of one window: numbers, days and signs.
#[inline(always)]
pub(crate) fn mark_one(of: impl Fn(usize) -> u64, reach: &Reach) -> (u64, u64, u64) {
    let (d, u, l, high) = (of(class::DIGIT), of(class::UPPER), of(class::LOWER), of(class::HIGH));
    let (blank, point, slash, dash) = (of(class::BLANK), of(class::POINT), of(class::SLASH), of(class::DASH));
    let (open, colon, percent) = (of(class::OPEN), of(class::COLON), of(class::PERCENT));
    let letters = u | l;
    let parts = blank | point | slash | dash | open | of(class::CLOSE);
    let gap = blank | point | slash | dash | of(class::COMMA);
    let token = d | letters | dash | of(class::LINE);

    // Runs of one, two, three and more digits, by their first.
    let first = d & !(d << 1);
    let one = first & !(d >> 1);
    let more = first & (d >> 1);
    let two = more & !(d >> 2);
    let triple = more & (d >> 2);
    let three = triple & !(d >> 3);
    let long = triple & (d >> 3);
    // What is true of the last digit, said of the first.
    let at_end = |x: u64| (one & x) | (two & (x >> 1)) | (three & (x >> 2));
    let last = d & !(d >> 1);

    let mut numbers = long | (first & ((of(class::PLUS) | open | percent | high) << 1)) | at_end(high >> 1);

    // Groups: up to three separators after the last digit lead to a first digit of `x`.
    let leads = |x: u64| last & (parts >> 1) & ((x >> 2) | ((parts >> 2) & ((x >> 3) | ((parts >> 3) & (x >> 4)))));
    let linked = leads(first);
    // Three groups, or a second one of three digits or more.
    numbers |= at_end(leads(triple | at_end(linked)));
    // `3/14`, not `120/80`.
    numbers |= (one | two | (three & of(class::ZERO))) & at_end(linked & (slash >> 1)) & reach.dates;

    // Tokens of five bytes with a letter, or of six; not `300mg`.
    let pairs = token & (token >> 1);
    let fours = pairs & (pairs >> 2);
    let fives = fours & (token >> 4);
    let sixes = fours & (pairs >> 4);
    let spread5 = |x: u64| {
        let x = x | (x << 1);
        x | (x << 2)
    };
    let in_five = spread5(fives) | (fives << 4);
    let in_six = spread5(sixes) | (sixes << 4) | (sixes << 5);
    let lettered = {
        let x = letters | (letters << 1) | (letters >> 1);
        let x = x | (x << 2) | (x >> 2);
        x | (letters << 4) | (letters >> 4)
    };
    let ends = !token;
    let small = (l >> 1) & ((ends >> 2) | ((l >> 2) & ((ends >> 3) | ((l >> 3) & (ends >> 4)))));
    let unit = at_end(last & small) & !(token << 1);
    // In capitals four will do.
    let capitals = token & !l;
    let capital_pairs = capitals & (capitals >> 1);
    let in_four = spread5(capital_pairs & (capital_pairs >> 2)) & reach.capitals;
    numbers |= first & !unit & (in_six | (in_five & lettered) | in_four) & reach.codes;
    numbers |= three & (blank >> 3) & (u >> 4) & reach.plates;

    numbers |= ((two & of(class::NINE)) | (three & (of(class::ZERO) | of(class::ONE))))
        & !at_end((percent | point | slash) >> 1)
        & reach.ages;

    // `12 Oak`, `12B Oak`
    let named = u | d | high;
    let after = (blank >> 1) & ((named >> 2) | ((blank >> 2) & ((named >> 3) | ((blank >> 3) & (named >> 4)))));
    let alone = first & !((letters | of(class::LINE)) << 1);
    numbers |= alone & at_end(after | ((letters >> 1) & (after >> 1))) & reach.addresses;

    // `May 5`: a word that begins as a month does, and one or two bytes of a gap.
    let month = of(class::MONTH) | (letters & ((high >> 1) | (high >> 2)));
    let word_ends = ((month & letters & !(letters << 1)).wrapping_add(letters)) & !letters & gap;
    let before = (gap << 1) & ((word_ends << 1) | (word_ends << 2));
    // `5May`, `5th of May`, `5 de mayo`.
    let behind = {
        let of_month = month | (letters & (letters >> 1) & (blank >> 2) & (month >> 3));
        let spaced =
            of_month | (gap & ((of_month >> 1) | ((gap >> 1) & ((of_month >> 2) | ((gap >> 2) & (of_month >> 3))))));
        at_end((spaced >> 1) | ((letters >> 1) & (letters >> 2) & (spaced >> 3)))
    };
    let days = (one | two) & (before | behind) & reach.dates;

    // Not the end of a sentence, nor a decimal point.
    let words = letters | d;
    let host = (words << 1) & ((letters >> 1) | ((letters << 1) & (d >> 1))) & reach.urls;
    let signs = (of(class::AT) | (point & host)) & reach.signs
            | point & (point >> 5) & reach.macs
            // `://`, or between hexadecimal digits or colons.
            | colon & reach.signs & ((slash >> 1) | (colon >> 1) | ((words >> 1) & !(blank << 1)))
            | dash & (dash >> 3) & reach.macs;

    (numbers, days & !numbers, signs)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Any set of shapes.
    pub(crate) fn reach() -> impl Strategy<Value = Reach> {
        proptest::sample::subsequence(Detector::SHAPES, 0..=Detector::SHAPES.len())
            .prop_map(|detectors| Reach::of(Shapes::of(&detectors)))
    }
}
