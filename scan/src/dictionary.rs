//! A large set of words and phrases as a hash table behind a filter of bits.
//!
//! Encoding, all integers little-endian u32: number of keys n, number of slots s (a power of two), most words in a phrase,
//! bytes of text t; then t bytes of text padded to nothing, n ends of keys in it, n flags (one byte each), s slots (0 or a key
//! plus one, linear probing). A key is an entry, or the first word of a longer entry, or both. Invariants, established by
//! [`Dictionary::read`]: every slot names a key, every key lies in the text and is found by its own hash. About 25 bytes a
//! word. Deliberately absent: anything that is not a whole word.

use crate::automaton::{TooLarge, is_word};
use crate::planes::{Level, Words};

/// Most keys.
const KEYS_MAX: usize = 1 << 21;
/// Most bytes of all keys together.
const TEXT_BYTES_MAX: usize = 1 << 26;
/// Longest key, in bytes.
const KEY_BYTES_MAX: usize = 255;
/// Most words of a phrase.
const PHRASE_WORDS_MAX: usize = 12;
/// Most bytes between two words of a phrase.
const GAP_BYTES_MAX: usize = 3;
const SHORT: &str = "a dictionary is cut short";

/// The key is an entry.
const ENTRY: u8 = 1;
/// A longer entry begins with the key.
const BEGINS: u8 = 2;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Dictionary {
    text: Box<[u8]>,
    ends: Box<[u32]>,
    flags: Box<[u8]>,
    slots: Box<[u32]>,
    phrase_words: usize,
    /// Part of the hash of what is in each slot, 0 if nothing is: looked at before the slot.
    tags: Box<[u8]>,
    /// Two bits of one number for every key, a power of two of numbers: small enough for a cache near the core.
    filter: Box<[u64]>,
}

/// Mixes eight bytes at a time; letters of either case are one.
#[inline]
fn hash(word: &[u8]) -> u64 {
    const CASE: u64 = 0x2020_2020_2020_2020;
    let mut h = word.len() as u64;
    let (eights, rest) = word.as_chunks::<8>();
    for eight in eights {
        h = (h.rotate_left(23) ^ (u64::from_le_bytes(*eight) | CASE)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    let last = rest.iter().rev().fold(0u64, |n, b| (n << 8) | u64::from(b | 0x20));
    h = (h.rotate_left(23) ^ last).wrapping_mul(0xd6e8_feb8_6659_fd93);
    h ^ (h >> 29)
}

const fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8 | 1
}

/// Which number of a filter of `1 + mask` a hash is in, and its bits there.
#[inline]
const fn filtered(hash: u64, mask: usize) -> (usize, u64) {
    ((hash >> 16) as usize & mask, 1 << (hash & 63) | 1 << ((hash >> 6) & 63))
}

/// The first `n` bytes of eight; of none for 0.
static HEADS: [u64; 9] = {
    let mut heads = [u64::MAX; 9];
    let mut n = 0;
    while n < 8 {
        heads[n] = (1 << (8 * n)) - 1;
        n += 1;
    }
    heads
};

/// [`hash`] of the first `len` bytes, up to fifteen, of sixteen: without a loop.
#[inline]
fn short_hash(bytes: &[u8; 16], len: usize) -> u64 {
    const CASE: u64 = 0x2020_2020_2020_2020;
    let [low, high] = [0, 1].map(|i| bytes.as_chunks::<8>().0.get(i).map_or(0, |b| u64::from_le_bytes(*b)) | CASE);
    let (h, last) = if len < 8 {
        (len as u64, low & HEADS[len & 7])
    } else {
        let h = (len as u64).rotate_left(23) ^ low;
        (h.wrapping_mul(0x9e37_79b9_7f4a_7c15), high & HEADS[(len - 8) & 7])
    };
    let h = (h.rotate_left(23) ^ last).wrapping_mul(0xd6e8_feb8_6659_fd93);
    h ^ (h >> 29)
}

/// The first word of an entry that has more than one.
fn first_word(entry: &str) -> Option<&str> {
    let end = entry.bytes().position(|b| !is_word(b))?;
    entry.get(..end)
}

fn words_of(entry: &str) -> usize {
    entry.as_bytes().split(|b| !is_word(*b)).filter(|w| !w.is_empty()).count()
}

impl Dictionary {
    /// Compiles entries in lower case, each beginning and ending with a byte of a word.
    pub(crate) fn build(entries: &[&str]) -> Result<Self, TooLarge> {
        let mut keys: Vec<(&str, u8)> = entries.iter().map(|e| (*e, ENTRY)).collect();
        let mut firsts: Vec<&str> = entries.iter().filter_map(|e| first_word(e)).collect();
        firsts.sort_unstable();
        firsts.dedup();
        let mut at = std::collections::HashMap::new();
        for (i, e) in entries.iter().enumerate() {
            at.insert(*e, i);
        }
        for first in firsts {
            match at.get(first).and_then(|i| keys.get_mut(*i)) {
                Some(key) => key.1 |= BEGINS,
                None => keys.push((first, BEGINS)),
            }
        }
        let bytes: usize = keys.iter().map(|(k, _)| k.len()).sum();
        let too_long = |e: &&str| {
            let gaps = e.as_bytes().split(|b| is_word(*b)).any(|gap| gap.len() > GAP_BYTES_MAX);
            e.len() > KEY_BYTES_MAX || words_of(e) > PHRASE_WORDS_MAX || gaps
        };
        if keys.len() > KEYS_MAX || bytes > TEXT_BYTES_MAX || entries.iter().any(too_long) {
            return Err(TooLarge::Patterns);
        }
        let mut text = Vec::with_capacity(bytes);
        let mut ends = Vec::with_capacity(keys.len());
        let mut slots = vec![0u32; (2 * keys.len()).next_power_of_two().max(2)];
        let mask = slots.len() - 1;
        for (i, (key, _)) in keys.iter().enumerate() {
            text.extend_from_slice(key.as_bytes());
            ends.push(u32::try_from(text.len()).map_err(|_| TooLarge::Patterns)?);
            let mut slot = hash(key.as_bytes()) as usize & mask;
            while slots[slot] != 0 {
                slot = (slot + 1) & mask;
            }
            slots[slot] = u32::try_from(i + 1).map_err(|_| TooLarge::Patterns)?;
        }
        let flags = keys.iter().map(|(_, f)| *f).collect();
        let phrase_words = entries.iter().map(|e| words_of(e)).max().unwrap_or(1);
        Ok(Self::filtered(text.into(), ends.into(), flags, slots.into(), phrase_words))
    }

    /// Adds what is worked out when it is loaded.
    fn filtered(text: Box<[u8]>, ends: Box<[u32]>, flags: Box<[u8]>, slots: Box<[u32]>, phrase_words: usize) -> Self {
        // Eight bits and more for a key, and four million at most.
        let slots_of_filter = (4 * slots.len()).min(1 << 22);
        let mut made = Self {
            text,
            ends,
            flags,
            tags: vec![0; slots.len()].into(),
            slots,
            phrase_words,
            filter: vec![0; (slots_of_filter / 64).max(1)].into(),
        };
        for slot in 0..made.slots.len() {
            if let Some(key) = made.slots[slot].checked_sub(1) {
                let hash = hash(made.key(key as usize));
                made.tags[slot] = tag(hash);
                let (at, bits) = filtered(hash, made.filter.len() - 1);
                made.filter[at] |= bits;
            }
        }
        made
    }

    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        for n in [self.ends.len(), self.slots.len(), self.phrase_words, self.text.len()] {
            out.extend(u32::try_from(n).unwrap_or(u32::MAX).to_le_bytes());
        }
        out.extend_from_slice(&self.text);
        out.extend(self.ends.iter().flat_map(|n| n.to_le_bytes()));
        out.extend_from_slice(&self.flags);
        out.extend(self.slots.iter().flat_map(|n| n.to_le_bytes()));
    }

    pub(crate) fn read(bytes: &[u8]) -> Result<(Self, &[u8]), &'static str> {
        let (head, mut rest) = bytes.split_first_chunk::<16>().ok_or(SHORT)?;
        let mut counts = head.as_chunks::<4>().0.iter().map(|c| u32::from_le_bytes(*c) as usize);
        let mut count = || counts.next().unwrap_or(0);
        let (keys, slots, phrase_words, text) = (count(), count(), count(), count());
        if !slots.is_power_of_two()
            || keys > KEYS_MAX
            || slots < 2 * keys
            || slots > 4 * KEYS_MAX
            || text > TEXT_BYTES_MAX
        {
            return Err("a dictionary's sizes are out of range");
        }
        if phrase_words > PHRASE_WORDS_MAX {
            return Err("a dictionary's phrases are too long");
        }
        let mut take = |n: usize| -> Result<&[u8], &'static str> {
            let (part, after) = rest.split_at_checked(n).ok_or(SHORT)?;
            rest = after;
            Ok(part)
        };
        let numbers =
            |part: &[u8]| part.as_chunks::<4>().0.iter().map(|c| u32::from_le_bytes(*c)).collect::<Box<[u32]>>();
        let text: Box<[u8]> = take(text)?.into();
        let ends = numbers(take(4 * keys)?);
        let flags: Box<[u8]> = take(keys)?.into();
        let slots = numbers(take(4 * slots)?);
        let ordered = ends.is_sorted() && ends.last().is_none_or(|e| *e as usize == text.len());
        if !ordered || flags.iter().any(|f| !(1..=3).contains(f)) || slots.iter().any(|s| *s as usize > keys) {
            return Err("a dictionary's tables are out of range");
        }
        // With a slot of its own for every key, half of the slots are empty and every search ends.
        if slots.iter().filter(|s| **s != 0).count() != keys {
            return Err("a dictionary's slots are wrong");
        }
        let made = Self::filtered(text, ends, flags, slots, phrase_words);
        let found = |k: usize| made.find(made.key(k)) == Some(k);
        if !(0..keys).all(|k| !made.key(k).is_empty() && found(k)) {
            return Err("a dictionary's words cannot be found in it");
        }
        Ok((made, rest))
    }

    /// The entries, in the order in which they were given.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len()).filter(|k| self.flags.get(*k).is_some_and(|f| f & ENTRY != 0)).map(|k| self.key(k))
    }

    #[inline]
    fn key(&self, k: usize) -> &[u8] {
        let start = k.checked_sub(1).and_then(|i| self.ends.get(i)).map_or(0, |e| *e as usize);
        let end = self.ends.get(k).map_or(0, |e| *e as usize);
        self.text.get(start..end).unwrap_or_default()
    }

    /// The key that `word` is, in any case.
    #[inline]
    fn find(&self, word: &[u8]) -> Option<usize> {
        let h = hash(word);
        let mask = self.slots.len() - 1;
        let mut slot = h as usize & mask;
        loop {
            match self.tags[slot] {
                0 => return None,
                t if t == tag(h) => {
                    let k = (self.slots[slot] as usize).checked_sub(1)?;
                    if self.key(k).eq_ignore_ascii_case(word) {
                        return Some(k);
                    }
                }
                _ => {}
            }
            slot = (slot + 1) & mask;
        }
    }

    /// Calls `found(start, end)` for every entry.
    pub(crate) fn for_each(&self, hay: &[u8], mut found: impl FnMut(usize, usize)) {
        // Where words begin and end is worked out for some at a time: the loop over them then has nothing to wait for.
        let mut words = Words::new();
        while Level::best().words(hay, &mut words) {
            self.some(hay, &words, &mut found);
        }
    }

    #[inline]
    fn some(&self, hay: &[u8], words: &Words, found: &mut impl FnMut(usize, usize)) {
        let mask = self.filter.len() - 1;
        for (start, end) in words.starts.iter().zip(&words.ends).take(words.ended) {
            let len = end - start;
            let hash = match hay.get(*start..).and_then(|rest| rest.first_chunk::<16>()) {
                Some(bytes) if len < 16 => short_hash(bytes, len),
                _ => hash(hay.get(*start..*end).unwrap_or_default()),
            };
            let (at, bits) = filtered(hash, mask);
            if self.filter[at] & bits == bits && len <= KEY_BYTES_MAX {
                self.word(hay, *start, *end, found);
            }
        }
    }

    #[inline(never)]
    fn word(&self, hay: &[u8], start: usize, end: usize, found: &mut impl FnMut(usize, usize)) {
        let Some(word) = hay.get(start..end) else { return };
        let Some(key) = self.find(word) else { return };
        let flags = self.flags.get(key).copied().unwrap_or(0);
        if flags & ENTRY != 0 {
            found(start, end);
        }
        if flags & BEGINS != 0 {
            self.phrase(hay, start, end, found);
        }
    }

    /// Entries of several words that begin at `start`; the first word ends at `end`.
    fn phrase(&self, hay: &[u8], start: usize, end: usize, found: &mut impl FnMut(usize, usize)) {
        let mut end = end;
        for _ in 1..self.phrase_words {
            let rest = hay.get(end..).unwrap_or_default();
            let gap = rest.iter().take(GAP_BYTES_MAX + 1).take_while(|b| !is_word(**b)).count();
            let len = rest.iter().skip(gap).take(KEY_BYTES_MAX).take_while(|b| is_word(**b)).count();
            end += gap + len;
            let Some(phrase) = hay.get(start..end) else { return };
            if gap > GAP_BYTES_MAX || len == 0 || phrase.len() > KEY_BYTES_MAX {
                return;
            }
            if self.find(phrase).is_some_and(|k| self.flags.get(k).is_some_and(|f| f & ENTRY != 0)) {
                found(start, end);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn short_words_have_the_same_hash(bytes in any::<[u8; 16]>(), len in 0usize..16) {
            prop_assert_eq!(short_hash(&bytes, len), hash(&bytes[..len]));
        }

        /// Every word is found at any place of a text, by its end and far from it.
        #[test]
        fn every_entry_passes_the_filter(
            words in proptest::collection::btree_set("[a-z]{1,30}", 1..40), before in 0usize..70, after in 0usize..30,
        ) {
            let entries: Vec<&str> = words.iter().map(String::as_str).collect();
            let dictionary = Dictionary::build(&entries).unwrap();
            for entry in entries {
                let hay = format!("{}{}{}", " ".repeat(before), entry.to_uppercase(), "-".repeat(after));
                let mut found = Vec::new();
                dictionary.for_each(hay.as_bytes(), |start, end| found.push((start, end)));
                prop_assert_eq!(found, [(before, before + entry.len())]);
            }
        }
    }
}
