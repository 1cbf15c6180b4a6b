//! Aho-Corasick over byte classes: built offline, carried in the bundle as flat little-endian tables, walked here.
//!
//! Invariants, established once by [`Automaton::read`]: every class is below the stride, every transition names a state,
//! every match list lies inside the entries, every entry names a pattern. The walk is safe code with ordinary bounds checks.
//! Reports every occurrence (overlapping ones too), ASCII case-insensitively; whole-word checks are [`whole_word`].
//! Deliberately absent: regular expressions, and any building at run time.

use std::ops::ControlFlow;

use aho_corasick::automaton::Automaton as _;
use aho_corasick::nfa::noncontiguous;
use aho_corasick::{Anchored, MatchKind};

/// Largest table that [`Automaton::build`] makes, in transitions: 64 MiB of bundle.
const TRANSITIONS_MAX: usize = 1 << 24;

/// The fixed part of the encoding: six counts and the class of every byte.
const HEAD: usize = 6 * 4 + 256;

/// A compiled set of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Automaton {
    classes: Box<[u8]>,
    /// Stride is `1 << shift`.
    shift: u32,
    start: u32,
    /// States below this have matches.
    matching: u32,
    table: Vec<u32>,
    /// `offsets[s]..offsets[s + 1]` of `entries` are the patterns that end in matching state `s`.
    offsets: Vec<u32>,
    entries: Vec<u32>,
    lengths: Vec<u32>,
}

/// Why a set of words cannot be compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLarge {
    /// More transitions than fit in a bundle.
    Transitions,
    /// The builder refused.
    Patterns,
}

impl Automaton {
    /// Compiles `patterns`; empty ones never match.
    pub fn build<P: AsRef<[u8]>>(patterns: &[P]) -> Result<Self, TooLarge> {
        let nfa = noncontiguous::Builder::new()
            .match_kind(MatchKind::Standard)
            .ascii_case_insensitive(true)
            .prefilter(false)
            .build(patterns)
            .map_err(|_| TooLarge::Patterns)?;
        let (classes, representatives) = byte_classes(patterns);
        let shift = representatives.len().next_power_of_two().trailing_zeros();
        let start = nfa.start_state(Anchored::No).map_err(|_| TooLarge::Patterns)?;

        // Breadth first over the states that can be reached, then renumbered so that matching states come first.
        let mut seen = std::collections::HashMap::new();
        let mut order = vec![start];
        seen.insert(start, 0usize);
        let mut rows: Vec<usize> = Vec::new();
        let mut next = 0;
        while let Some(&state) = order.get(next) {
            next += 1;
            for &byte in &representatives {
                let to = nfa.next_state(Anchored::No, state, byte);
                let fresh = order.len();
                let id = *seen.entry(to).or_insert(fresh);
                if id == fresh {
                    order.push(to);
                    if (order.len() << shift) > TRANSITIONS_MAX {
                        return Err(TooLarge::Transitions);
                    }
                }
                rows.push(id);
            }
        }
        let ends: Vec<Vec<u32>> = order
            .iter()
            .map(|&s| {
                let n = if nfa.is_match(s) { nfa.match_len(s) } else { 0 };
                (0..n)
                    .map(|i| nfa.match_pattern(s, i))
                    .filter(|p| nfa.pattern_len(*p) > 0)
                    .map(|p| p.as_u32())
                    .collect()
            })
            .collect();
        let mut renumbered: Vec<usize> = (0..order.len()).collect();
        renumbered.sort_by_key(|&i| ends[i].is_empty());
        let mut number = vec![0u32; order.len()];
        for (new, &old) in renumbered.iter().enumerate() {
            number[old] = u32::try_from(new).map_err(|_| TooLarge::Transitions)?;
        }
        let width = representatives.len();
        let start_id = number.first().copied().unwrap_or(0);
        let mut table = vec![start_id; order.len() << shift];
        let mut offsets = vec![0u32];
        let mut entries: Vec<u32> = Vec::new();
        for (new, &old) in renumbered.iter().enumerate() {
            for (c, &to) in rows[old * width..(old + 1) * width].iter().enumerate() {
                table[(new << shift) | c] = number[to];
            }
            if !ends[old].is_empty() {
                entries.extend(&ends[old]);
                offsets.push(u32::try_from(entries.len()).map_err(|_| TooLarge::Transitions)?);
            }
        }
        let lengths = patterns
            .iter()
            .map(|p| u32::try_from(p.as_ref().len()).map_err(|_| TooLarge::Patterns))
            .collect::<Result<_, _>>()?;
        let matching = u32::try_from(offsets.len() - 1).map_err(|_| TooLarge::Transitions)?;
        Ok(Self { classes, shift, start: start_id, matching, table, offsets, entries, lengths })
    }

    /// Appends the encoding.
    pub fn write(&self, out: &mut Vec<u8>) {
        let states = self.table.len() >> self.shift;
        for n in [
            states,
            1 << self.shift,
            self.start as usize,
            self.matching as usize,
            self.entries.len(),
            self.lengths.len(),
        ] {
            out.extend(u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
        }
        out.extend(&*self.classes);
        for list in [&self.table, &self.offsets, &self.entries, &self.lengths] {
            out.extend(list.iter().flat_map(|n| n.to_le_bytes()));
        }
    }

    /// Reads and checks one encoding; returns it and what follows. Allocates no more than the bytes it was given.
    pub fn read(bytes: &[u8]) -> Result<(Self, &[u8]), &'static str> {
        const SHORT: &str = "an automaton is cut short";
        let (head, mut rest) = bytes.split_at_checked(HEAD).ok_or(SHORT)?;
        let (counts, classes) = head.split_at(6 * 4);
        let mut counts = words(counts);
        let mut count = || counts.next().unwrap_or(0);
        let (states, stride, start, matching, entries, patterns) =
            (count(), count(), count(), count(), count(), count());
        if !stride.is_power_of_two() || stride > 256 {
            return Err("an automaton's stride is not a power of two up to 256");
        }
        let shift = stride.trailing_zeros();
        let transitions = u64::from(states) << shift;
        if start >= states || matching > states || transitions > TRANSITIONS_MAX as u64 {
            return Err("an automaton's states are out of range");
        }
        let mut take = |n: u64| -> Result<Vec<u32>, &'static str> {
            let bytes = usize::try_from(n.checked_mul(4).ok_or(SHORT)?).map_err(|_| SHORT)?;
            let (list, after) = rest.split_at_checked(bytes).ok_or(SHORT)?;
            rest = after;
            Ok(words(list).collect())
        };
        let table = take(transitions)?;
        let offsets = take(u64::from(matching) + 1)?;
        let entries = take(u64::from(entries))?;
        let lengths = take(u64::from(patterns))?;
        if classes.iter().any(|c| u32::from(*c) >= stride) {
            return Err("an automaton's byte class is out of range");
        }
        if table.iter().any(|s| *s >= states) {
            return Err("an automaton's transition leads nowhere");
        }
        let ordered = offsets.windows(2).all(|w| w.first() <= w.last());
        if !ordered || offsets.first() != Some(&0) || offsets.last().map(|n| *n as usize) != Some(entries.len()) {
            return Err("an automaton's match lists are out of order");
        }
        if entries.iter().any(|p| *p >= patterns) {
            return Err("an automaton's match names no pattern");
        }
        Ok((Self { classes: classes.into(), shift, start, matching, table, offsets, entries, lengths }, rest))
    }

    /// Lengths of the patterns in bytes, to compare with the model the automaton is meant to be of.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// Calls `found(pattern, end)` for every occurrence, in order of their ends, until it breaks.
    #[inline]
    pub fn for_each(&self, hay: &[u8], mut found: impl FnMut(usize, usize) -> ControlFlow<()>) {
        if self.lengths.is_empty() {
            return;
        }
        let classes: &[u8; 256] = match (&*self.classes).try_into() {
            Ok(c) => c,
            Err(_) => return,
        };
        let mut state = self.start;
        for (i, byte) in hay.iter().enumerate() {
            let at = ((state as usize) << self.shift) | usize::from(classes[usize::from(*byte)]);
            state = self.table[at];
            if state < self.matching {
                let s = state as usize;
                for p in &self.entries[self.offsets[s] as usize..self.offsets[s + 1] as usize] {
                    if found(*p as usize, i + 1).is_break() {
                        return;
                    }
                }
            }
        }
    }

    /// Whole-word occurrences as `(pattern, start, end)`.
    #[inline]
    pub fn whole_words(&self, hay: &[u8], mut found: impl FnMut(usize, usize, usize) -> ControlFlow<()>) {
        self.for_each(hay, |p, end| {
            let start = end.saturating_sub(self.lengths.get(p).map_or(0, |n| *n as usize));
            if whole_word(hay, start, end) { found(p, start, end) } else { ControlFlow::Continue(()) }
        });
    }
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u32> {
    bytes.chunks_exact(4).map(|c| c.iter().rev().fold(0, |n, b| (n << 8) | u32::from(*b)))
}

/// Class of every byte (upper case as lower case) and a byte of each class; class 0 is every byte in no pattern.
fn byte_classes<P: AsRef<[u8]>>(patterns: &[P]) -> (Box<[u8]>, Vec<u8>) {
    let mut used = [false; 256];
    for b in patterns.iter().flat_map(|p| p.as_ref()) {
        used[usize::from(b.to_ascii_lowercase())] = true;
    }
    let mut classes = vec![0u8; 256];
    let mut representatives = Vec::new();
    // At least 26 bytes are never in the table on their own (upper-case letters), so class 0 always has a member.
    if let Some(other) = (0..=255u8).find(|b| !used[usize::from(b.to_ascii_lowercase())]) {
        representatives.push(other);
    } else {
        representatives.push(0);
    }
    for b in 0..=255u8 {
        if used[usize::from(b)] && !b.is_ascii_uppercase() {
            classes[usize::from(b)] = u8::try_from(representatives.len()).unwrap_or(u8::MAX);
            representatives.push(b);
        }
    }
    for b in b'A'..=b'Z' {
        classes[usize::from(b)] = classes[usize::from(b.to_ascii_lowercase())];
    }
    (classes.into(), representatives)
}

/// A byte that continues a word: ASCII letters and digits, `_`, and every byte of a non-ASCII character.
#[inline]
pub const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

/// `hay[start..end]` neither continues a word to its left nor to its right. An edge that is itself no word byte needs no
/// boundary (`#mrn` is found after a letter).
#[inline]
pub fn whole_word(hay: &[u8], start: usize, end: usize) -> bool {
    let at = |i: usize| hay.get(i).copied().is_some_and(is_word);
    let left = start.checked_sub(1).is_some_and(at) && at(start);
    let right = at(end) && end.checked_sub(1).is_some_and(at);
    !left && !right
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(a: &Automaton, hay: &[u8]) -> Vec<(usize, usize)> {
        let mut all = Vec::new();
        a.for_each(hay, |p, end| {
            all.push((p, end));
            ControlFlow::Continue(())
        });
        all.sort_unstable();
        all
    }

    fn round_trip(a: &Automaton) -> Automaton {
        let mut bytes = Vec::new();
        a.write(&mut bytes);
        bytes.push(7);
        let (back, rest) = Automaton::read(&bytes).unwrap();
        assert_eq!(rest, [7]);
        assert_eq!(back, *a);
        back
    }

    proptest! {
        #[test]
        fn agrees_with_the_library(
            patterns in proptest::collection::vec("[abAB \u{e9}]{1,4}", 0..8),
            hay in "[abcABC \u{e9}]{0,60}",
        ) {
            let ours = round_trip(&Automaton::build(&patterns).unwrap());
            let theirs = aho_corasick::AhoCorasick::builder().ascii_case_insensitive(true).build(&patterns).unwrap();
            let mut want: Vec<_> =
                theirs.find_overlapping_iter(hay.as_bytes()).map(|m| (m.pattern().as_usize(), m.end())).collect();
            want.sort_unstable();
            prop_assert_eq!(found(&ours, hay.as_bytes()), want);
        }

        #[test]
        fn damaged_tables_never_panic(at: proptest::sample::Index, with in any::<u8>(), hay in "[a-z]{0,40}") {
            let mut bytes = Vec::new();
            Automaton::build(&["drop", "table", "able", "x"]).unwrap().write(&mut bytes);
            let at = at.index(bytes.len());
            bytes[at] = with;
            if let Ok((a, _)) = Automaton::read(&bytes) {
                a.whole_words(hay.as_bytes(), |_, _, _| ControlFlow::Continue(()));
            }
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            let _ = Automaton::read(&bytes);
        }
    }

    #[test]
    fn whole_words_only() {
        let a = Automaton::build(&["drop", "#mrn"]).unwrap();
        let count = |hay: &str| {
            let mut n = 0;
            a.whole_words(hay.as_bytes(), |_, _, _| {
                n += 1;
                ControlFlow::Continue(())
            });
            n
        };
        assert_eq!(count("DROP table"), 1);
        assert_eq!(count("airdrop dropped drop_it édrop"), 0);
        assert_eq!(count("x#mrn (drop)"), 2);
    }

    #[test]
    fn every_byte_in_the_patterns() {
        let all: Vec<u8> = (0..=255).collect();
        let a = round_trip(&Automaton::build(std::slice::from_ref(&all)).unwrap());
        assert_eq!(found(&a, &all), [(0, 256)]);
    }

    #[test]
    fn cut_short_at_every_byte() {
        let mut bytes = Vec::new();
        Automaton::build(&["ssn", "mrn"]).unwrap().write(&mut bytes);
        for n in 0..bytes.len() {
            assert!(Automaton::read(&bytes[..n]).is_err(), "{n}");
        }
    }
}
