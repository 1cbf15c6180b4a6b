//! Bit planes: for every class of bytes, which of the 64 bytes of a window are in it, one bit each.
//!
//! Planes of eight windows lie side by side, so that what is worked out from them is worked out for eight at a time. They are
//! taken by the widest registers that the processor has, found out once: AVX-512 or AVX2 on x86-64 (see [`crate::wide_planes`]),
//! and everywhere the 16-byte registers of the target (SSE2, NEON) through the `wide` crate. All are compared with a loop over
//! bytes. Deliberately absent: what the planes mean.

use std::ops::Range;
use std::sync::OnceLock;

use wide::u8x16;

use crate::fills::{Unfilled, fill_narrow};
use crate::marks::{Marks, Reach, mark, mark_one};
use crate::sift::{self, Progress, Sifted, Wish, last_by, sift_by};

/// Bytes of a window.
pub(crate) const BLOCK: usize = 64;

/// Windows that are worked on together.
pub(crate) const LANES: usize = 8;

/// The classes, in the order of their planes.
pub(crate) mod class {
    pub(crate) const DIGIT: usize = 0;
    pub(crate) const UPPER: usize = 1;
    pub(crate) const LOWER: usize = 2;
    pub(crate) const HIGH: usize = 3;
    /// The single bytes of [`super::SINGLE`] follow.
    pub(crate) const SINGLES: usize = 4;
    pub(crate) const BLANK: usize = 4;
    pub(crate) const POINT: usize = 5;
    pub(crate) const SLASH: usize = 6;
    pub(crate) const DASH: usize = 7;
    pub(crate) const COMMA: usize = 8;
    pub(crate) const OPEN: usize = 9;
    pub(crate) const CLOSE: usize = 10;
    pub(crate) const PLUS: usize = 11;
    pub(crate) const PERCENT: usize = 12;
    pub(crate) const LINE: usize = 13;
    pub(crate) const AT: usize = 14;
    pub(crate) const COLON: usize = 15;
    pub(crate) const ZERO: usize = 16;
    pub(crate) const ONE: usize = 17;
    pub(crate) const NINE: usize = 18;
    /// A month may begin here: see [`super::Triples`].
    pub(crate) const MONTH: usize = 19;
    pub(crate) const COUNT: usize = 20;
}

/// Bytes that are classes of their own.
pub(crate) const SINGLE: [u8; class::MONTH - class::SINGLES] = *b" ./-,()+%_@:019";

/// How months begin, in English and elsewhere, three letters each, in eight groups. What is found is any first, second and
/// third letter of one group, and a few signs: too many, never too few.
const MONTHS: [&[&[u8; 3]]; 8] = [
    &[b"jan", b"jun", b"jul", b"jui"],
    &[b"mar", b"may", b"mai", b"mag"],
    &[b"feb", b"fev"],
    &[b"sep", b"set", b"nov"],
    &[b"apr", b"abr", b"avr"],
    &[b"ago", b"aug", b"aou", b"giu", b"lug"],
    &[b"oct", b"out", b"ott", b"okt"],
    &[b"gen", b"ene", b"dec", b"dez", b"dic"],
];

/// Groups (one bit each) in which a byte with this lower or upper half is the first, second or third letter.
pub(crate) struct Triples {
    pub(crate) low: [[u8; 16]; 3],
    pub(crate) high: [[u8; 16]; 3],
}

pub(crate) static TRIPLES: Triples = {
    let mut all = Triples { low: [[0; 16]; 3], high: [[0; 16]; 3] };
    let mut group = 0;
    while group < MONTHS.len() {
        let mut month = 0;
        while month < MONTHS[group].len() {
            let mut place = 0;
            while place < 3 {
                let letter = MONTHS[group][month][place];
                all.low[place][(letter & 15) as usize] |= 1 << group;
                all.high[place][(letter >> 4) as usize] |= 1 << group;
                all.high[place][(letter >> 4) as usize - 2] |= 1 << group;
                place += 1;
            }
            month += 1;
        }
        group += 1;
    }
    all
};

/// Planes of eight windows: `planes[class][window]`; bit `i` is byte `i`.
pub(crate) type Planes = [[u64; LANES]; class::COUNT];

/// A window on a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window<'a> {
    pub(crate) block: &'a [u8; BLOCK],
    /// Bytes of the block before the window begins.
    pub(crate) shift: u32,
    /// Bytes of the window that belong to the text.
    pub(crate) inside: u64,
}

/// A buffer that can be read in blocks from any place on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View<'a> {
    buffer: &'a [u8],
    /// The last block, and where it begins.
    end: &'a [u8; BLOCK],
    from: usize,
}

impl<'a> View<'a> {
    /// `short` is room for a buffer that is shorter than a block.
    pub(crate) fn of(buffer: &'a [u8], short: &'a mut [u8; BLOCK]) -> Self {
        if let Some(end) = buffer.last_chunk::<BLOCK>() {
            return Self { buffer, end, from: buffer.len() - BLOCK };
        }
        if let Some(head) = short.get_mut(..buffer.len()) {
            head.copy_from_slice(buffer);
        }
        Self { buffer, end: short, from: 0 }
    }

    /// A text of the buffer; nothing of one that does not lie in it.
    #[inline(always)]
    pub(crate) fn text(&self, range: &Range<usize>) -> &'a [u8] {
        self.buffer.get(range.clone()).unwrap_or_default()
    }

    /// The window that begins at `at`, of a text of which `left` bytes are left there.
    #[inline(always)]
    pub(crate) fn window(&self, at: usize, left: usize) -> Window<'a> {
        let inside = if left >= BLOCK { u64::MAX } else { (1 << left) - 1 };
        match self.buffer.get(at..).and_then(|rest| rest.first_chunk::<BLOCK>()) {
            Some(block) => Window { block, shift: 0, inside },
            None => Window { block: self.end, shift: (at - self.from) as u32 % 64, inside },
        }
    }
}

/// Most words whose places are kept at a time, a power of two; a block begins 32 at most.
pub(crate) const SOME: usize = BLOCK;

/// Where words begin and end, as far as has been looked.
#[derive(Clone, Debug)]
pub(crate) struct Words {
    pub(crate) starts: [usize; SOME],
    pub(crate) ends: [usize; SOME],
    begun: usize,
    /// Words that have ended.
    pub(crate) ended: usize,
    /// The last byte looked at was one of a word.
    open: u64,
    /// Bytes looked at.
    base: usize,
}

impl Words {
    pub(crate) const fn new() -> Self {
        Self { starts: [0; SOME], ends: [0; SOME], begun: 0, ended: 0, open: 0, base: 0 }
    }

    /// Forgets the words that have ended.
    #[inline(always)]
    const fn next(&mut self) {
        self.starts[0] = self.starts[self.ended % SOME];
        self.begun -= self.ended;
        self.ended = 0;
    }
}

/// Finds the next words of a text, some at a time; false if there are no more.
#[inline(always)]
pub(crate) fn words_by(hay: &[u8], words: &mut Words, word_bytes: impl Fn(&[u8; BLOCK]) -> u64) -> bool {
    if words.base >= hay.len() {
        return false;
    }
    words.next();
    let rest = hay.get(words.base..).unwrap_or_default();
    let (blocks, rest) = rest.as_chunks::<BLOCK>();
    for block in blocks {
        place(words, word_bytes(block), BLOCK);
        if words.begun > SOME - BLOCK / 2 {
            break;
        }
    }
    if words.begun <= SOME - BLOCK / 2 && !rest.is_empty() {
        let mut filled = [0u8; BLOCK];
        let bits = match hay.last_chunk::<BLOCK>() {
            Some(last) => word_bytes(last) >> (BLOCK - rest.len()),
            None => {
                if let Some(head) = filled.get_mut(..rest.len()) {
                    head.copy_from_slice(rest);
                }
                word_bytes(&filled)
            }
        };
        place(words, bits, rest.len());
    }
    // The end of the text ends a word.
    if words.base >= hay.len() && words.begun > words.ended {
        words.ends[words.ended % SOME] = hay.len();
        words.ended += 1;
    }
    true
}

/// Adds the words of one block, of which `len` bytes are of the text.
#[inline(always)]
fn place(words: &mut Words, bits: u64, len: usize) {
    let shifted = (bits << 1) | words.open;
    let (mut starts, mut ends) = (bits & !shifted, !bits & shifted);
    if len < BLOCK {
        ends &= (1 << len) - 1;
    }
    words.open = bits >> (BLOCK - 1);
    while starts != 0 {
        words.starts[words.begun % SOME] = words.base + starts.trailing_zeros() as usize;
        words.begun += 1;
        starts &= starts - 1;
    }
    while ends != 0 {
        words.ends[words.ended % SOME] = words.base + ends.trailing_zeros() as usize;
        words.ended += 1;
        ends &= ends - 1;
    }
    words.base += len;
}

/// How planes are taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// 16-byte registers as the target has them.
    Narrow,
    #[cfg(target_arch = "x86_64")]
    Wide(crate::wide_planes::Wide),
}

impl Level {
    /// The fastest of this machine.
    #[inline]
    pub(crate) fn best() -> Self {
        static BEST: OnceLock<Level> = OnceLock::new();
        *BEST.get_or_init(|| Self::all().next().unwrap_or(Self::Narrow))
    }

    /// All that this machine has, the fastest first.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        #[cfg(target_arch = "x86_64")]
        let wide = crate::wide_planes::Wide::all().map(Self::Wide);
        #[cfg(not(target_arch = "x86_64"))]
        let wide = std::iter::empty();
        wide.chain([Self::Narrow])
    }

    /// See [`sift_by`].
    #[inline]
    pub(crate) fn sift(
        self,
        view: &View<'_>,
        fields: &[Range<usize>],
        wish: Wish,
        progress: &mut Progress,
        list: &mut [Sifted],
    ) -> usize {
        match self {
            Self::Narrow => sift_by(view, fields, wish, progress, list, sift::narrow, |view, at, rest| {
                last_by(view, at, rest, sift::narrow)
            }),
            #[cfg(target_arch = "x86_64")]
            Self::Wide(wide) => wide.sift(view, fields, wish, progress, list),
        }
    }

    /// See [`words_by`].
    #[inline]
    pub(crate) fn words(self, hay: &[u8], words: &mut Words) -> bool {
        match self {
            Self::Narrow => words_by(hay, words, word_bytes),
            #[cfg(target_arch = "x86_64")]
            Self::Wide(wide) => wide.words(hay, words),
        }
    }

    /// See [`crate::fills::fill_short`].
    #[inline]
    pub(crate) fn fill(
        self,
        bytes: &mut [u8],
        values: impl Iterator<Item = (u32, u32)>,
        unfilled: Unfilled,
        fill: u8,
    ) -> u64 {
        match self {
            Self::Narrow => fill_narrow(bytes, values, unfilled, fill),
            #[cfg(target_arch = "x86_64")]
            Self::Wide(wide) => wide.fill(bytes, values, unfilled, fill),
        }
    }

    /// The marks of one window: numbers, days and signs.
    #[inline]
    pub(crate) fn mark(self, window: &Window<'_>, reach: &Reach) -> (u64, u64, u64) {
        match self {
            Self::Narrow => mark_by(window, reach, narrow),
            #[cfg(target_arch = "x86_64")]
            Self::Wide(wide) => wide.mark(window, reach),
        }
    }

    /// Marks what is worth a look in up to eight windows; what is said of lanes without one means nothing.
    #[inline]
    pub(crate) fn marks(self, windows: &[Window<'_>], reach: &Reach, marks: &mut Marks) {
        match self {
            Self::Narrow => marks_by(windows, reach, marks, narrow),
            #[cfg(target_arch = "x86_64")]
            Self::Wide(wide) => wide.marks(windows, reach, marks),
        }
    }
}

/// Takes the planes of a window's block and works out the marks.
#[inline(always)]
pub(crate) fn mark_by(
    window: &Window<'_>,
    reach: &Reach,
    planes_of: impl Fn(&[u8; BLOCK]) -> [u64; class::COUNT],
) -> (u64, u64, u64) {
    let block = planes_of(window.block);
    mark_one(|class| (block[class] >> (window.shift % 64)) & window.inside, reach)
}

/// Takes the planes of the windows' blocks and works out the marks.
#[inline(always)]
pub(crate) fn marks_by(
    windows: &[Window<'_>],
    reach: &Reach,
    marks: &mut Marks,
    planes_of: impl Fn(&[u8; BLOCK]) -> [u64; class::COUNT],
) {
    let mut planes: Planes = [[0; LANES]; class::COUNT];
    let (mut shifts, mut insides) = ([0u64; LANES], [0u64; LANES]);
    for (lane, window) in windows.iter().enumerate().take(LANES) {
        let block = planes_of(window.block);
        for (to, from) in planes.iter_mut().zip(&block) {
            to[lane] = *from;
        }
        shifts[lane] = u64::from(window.shift);
        insides[lane] = window.inside;
    }
    mark(&planes, &shifts, &insides, reach, marks);
}

/// The planes of one block.
#[inline]
pub(crate) fn narrow(block: &[u8; BLOCK]) -> [u64; class::COUNT] {
    let splat = |b: u8| u8x16::new([b; 16]);
    let (zero, nine, big, small, last) = (splat(b'0'), splat(9), splat(b'A'), splat(b'a'), splat(25));
    let mut planes = [0u64; class::COUNT];
    for (i, part) in block.as_chunks::<16>().0.iter().enumerate() {
        let bytes = u8x16::new(*part);
        let mut add = |class: usize, mask: u8x16| planes[class] |= u64::from(mask.to_bitmask()) << (16 * i);
        let within = |from: u8x16, most: u8x16| {
            let above = bytes - from;
            above.min(most).simd_eq(above)
        };
        add(class::DIGIT, within(zero, nine));
        add(class::UPPER, within(big, last));
        add(class::LOWER, within(small, last));
        add(class::HIGH, bytes);
        for (k, single) in SINGLE.iter().enumerate() {
            add(class::SINGLES + k, bytes.simd_eq(splat(*single)));
        }
    }
    planes[class::MONTH] = narrow_months(block);
    planes
}

fn narrow_months(block: &[u8; BLOCK]) -> u64 {
    let half = u8x16::new([15; 16]);
    // Groups of every byte as a first, second and third letter; nothing follows the last.
    let mut groups = [[0u8; BLOCK + 2]; 3];
    for (place, groups) in groups.iter_mut().enumerate() {
        let (low, high) = (u8x16::new(TRIPLES.low[place]), u8x16::new(TRIPLES.high[place]));
        let parts = block.as_chunks::<16>().0;
        for (part, groups) in parts.iter().zip(groups.as_chunks_mut::<16>().0) {
            let bytes = u8x16::new(*part);
            let upper = u8x16::new(part.map(|b| b >> 4));
            *groups = (low.shuffle(bytes & half) & high.shuffle(upper)).to_array();
        }
    }
    let mut plane = 0;
    for i in 0..BLOCK {
        plane |= u64::from(groups[0][i] & groups[1][i + 1] & groups[2][i + 2] != 0) << i;
    }
    plane
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
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) fn by_bytes(block: &[u8; BLOCK]) -> [u64; class::COUNT] {
        let plane =
            |is: &dyn Fn(u8) -> bool| block.iter().enumerate().fold(0, |bits, (i, b)| bits | (u64::from(is(*b)) << i));
        let mut planes = [0; class::COUNT];
        planes[class::DIGIT] = plane(&|b| b.is_ascii_digit());
        planes[class::UPPER] = plane(&|b| b.is_ascii_uppercase());
        planes[class::LOWER] = plane(&|b| b.is_ascii_lowercase());
        planes[class::HIGH] = plane(&|b| !b.is_ascii());
        for (k, single) in SINGLE.iter().enumerate() {
            planes[class::SINGLES + k] = plane(&|b| b == *single);
        }
        let group = |i: usize, place: usize| {
            let b = block.get(i + place).copied().unwrap_or(0xff);
            TRIPLES.low[place][usize::from(b & 15)] & TRIPLES.high[place][usize::from(b >> 4)]
        };
        for i in 0..BLOCK {
            planes[class::MONTH] |= u64::from(group(i, 0) & group(i, 1) & group(i, 2) != 0) << i;
        }
        assert_eq!(word_bytes(block), plane(&crate::automaton::is_word));
        planes
    }

    #[test]
    fn every_byte_in_every_place() {
        for byte in 0..=255u8 {
            let block = [byte; BLOCK];
            assert_eq!(narrow(&block), by_bytes(&block), "{byte}");
        }
    }

    proptest! {
        #[test]
        fn planes_agree_with_the_bytes(bytes in proptest::collection::vec(any::<u8>(), BLOCK)) {
            let block: [u8; BLOCK] = bytes.try_into().unwrap();
            prop_assert_eq!(narrow(&block), by_bytes(&block));
        }

        #[test]
        fn months_are_where_their_letters_are(text in "([a-zA-Z]{1,3}|(jan|FEB|Mar|okt|aou|set|dic) |.){64}") {
            let block: &[u8; BLOCK] = text.as_bytes().first_chunk().unwrap();
            let plane = narrow(block)[class::MONTH];
            prop_assert_eq!(plane, by_bytes(block)[class::MONTH]);
            for (i, three) in block.windows(3).enumerate() {
                let is = MONTHS.iter().any(|group| group.iter().any(|m| m.eq_ignore_ascii_case(three)));
                prop_assert!(!is || plane >> i & 1 == 1);
            }
        }

        /// Every way of taking planes marks the same, whatever the window.
        #[test]
        fn every_level_marks_the_same(
            texts in proptest::collection::vec(("[0-9 ./:@()+xXA-Ja-y%,_\u{e9}-]{64,80}", 0u32..64, 0u32..64), 1..=LANES),
            reach in crate::marks::tests::reach(),
        ) {
            let windows: Vec<Window<'_>> = texts
                .iter()
                .map(|(text, shift, outside)| Window {
                    block: text.as_bytes().first_chunk().unwrap(),
                    shift: *shift,
                    inside: u64::MAX >> outside,
                })
                .collect();
            let mut want = Marks::default();
            marks_by(&windows, &reach, &mut want, by_bytes);
            for level in Level::all() {
                let mut have = Marks::default();
                level.marks(&windows, &reach, &mut have);
                prop_assert_eq!(&have, &want, "{:?}", level);
                for (lane, window) in windows.iter().enumerate() {
                    let want = (want.numbers[lane], want.days[lane], want.signs[lane]);
                    prop_assert_eq!(level.mark(window, &reach), want, "{:?}", level);
                }
            }
        }

        /// Words begin and end where their bytes do, a few or many of them.
        #[test]
        fn every_level_finds_the_same_words(text in "([a-z0-9_]{1,9}|[ ,.-]{1,2}|\u{e9}|[a-z]{60,130}|(a ){100}){0,20}") {
            let text = text.as_bytes();
            let is = |i: usize| text.get(i).copied().is_some_and(crate::automaton::is_word);
            let edges = (0..=text.len()).filter(|i| is(*i) != i.checked_sub(1).is_some_and(is)).collect::<Vec<_>>();
            for level in Level::all() {
                let mut words = Words::new();
                let mut have = Vec::new();
                while level.words(text, &mut words) {
                    for i in 0..words.ended {
                        have.extend([words.starts[i], words.ends[i]]);
                    }
                }
                prop_assert_eq!(&have, &edges, "{:?}", level);
            }
        }
    }
}
