//! Lists of words of any length: an automaton for a few, a dictionary for many.
//!
//! A list is divided the same way whenever it is compiled or loaded: up to [`FEW`] words go into one automaton; of more, those
//! that begin or end with a sign go there and the rest into a [`Dictionary`]. Both find whole words, ASCII case-insensitively.
//! Deliberately absent: stemming, and words that are nearly in the list.

use std::ops::ControlFlow;

use crate::automaton::{Automaton, TooLarge, is_word};
use crate::dictionary::Dictionary;

/// Most words of a list that is an automaton altogether.
pub const FEW: usize = 256;

/// A compiled list of words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    few: Automaton,
    many: Option<Dictionary>,
}

/// The words of the automaton, and those of the dictionary.
fn divide<'w>(words: &[&'w str]) -> (Vec<&'w str>, Vec<&'w str>) {
    if words.len() <= FEW {
        return (words.to_vec(), Vec::new());
    }
    let plain = |w: &str| w.bytes().next().is_some_and(is_word) && w.bytes().next_back().is_some_and(is_word);
    words.iter().partition(|w| !plain(w))
}

impl Words {
    /// Compiles `words`; they are in lower case. An empty one is never found.
    ///
    /// # Errors
    /// More or longer words than a bundle takes.
    pub fn build(words: &[&str]) -> Result<Self, TooLarge> {
        let (few, many) = divide(words);
        let many = if many.is_empty() { None } else { Some(Dictionary::build(&many)?) };
        Ok(Self { few: Automaton::build(&few)?, many })
    }

    /// Appends the encoding: the automaton, then 0, or 1 and the dictionary.
    pub fn write(&self, out: &mut Vec<u8>) {
        self.few.write(out);
        out.extend(u32::from(self.many.is_some()).to_le_bytes());
        if let Some(many) = &self.many {
            many.write(out);
        }
    }

    /// Reads and checks one encoding of exactly `words`; returns it and what follows. Memory is linear in the bytes given.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read<'b>(bytes: &'b [u8], words: &[&str]) -> Result<(Self, &'b [u8]), &'static str> {
        let (few, rest) = Automaton::read(bytes)?;
        let (tag, mut rest) = rest.split_first_chunk::<4>().ok_or("a word list is cut short")?;
        let (expected_few, expected_many) = divide(words);
        let same = few.lengths().len() == expected_few.len()
            && few.lengths().iter().zip(&expected_few).all(|(n, w)| usize::try_from(*n) == Ok(w.len()));
        let many = match u32::from_le_bytes(*tag) {
            0 => None,
            1 => {
                let (many, after) = Dictionary::read(rest)?;
                rest = after;
                Some(many)
            }
            _ => return Err("a word list is of an unknown kind"),
        };
        let entries = many.iter().flat_map(Dictionary::entries);
        if !same || !entries.eq(expected_many.iter().map(|w| w.as_bytes())) {
            return Err("a word list was compiled from other words");
        }
        Ok((Self { few, many }, rest))
    }

    /// Calls `found(start, end)` for every whole word of the list in `hay`; overlapping ones too, in no certain order.
    pub fn for_each(&self, hay: &[u8], mut found: impl FnMut(usize, usize)) {
        self.few.whole_words(hay, |_, start, end| {
            found(start, end);
            ControlFlow::Continue(())
        });
        if let Some(many) = &self.many {
            many.for_each(hay, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(words: &Words, hay: &str) -> Vec<String> {
        let mut all = Vec::new();
        words.for_each(hay.as_bytes(), |s, e| all.push(hay[s..e].to_owned()));
        all.sort();
        all
    }

    /// A long list with `wanted` in it.
    fn list(wanted: &[&str]) -> Vec<String> {
        let mut all: Vec<String> = (0..1_000).map(|i| format!("filler{i}word")).collect();
        all.extend(wanted.iter().map(|w| (*w).to_owned()));
        all.sort();
        all
    }

    fn compiled(list: &[String]) -> Words {
        let texts: Vec<&str> = list.iter().map(String::as_str).collect();
        let words = Words::build(&texts).unwrap();
        let mut bytes = Vec::new();
        words.write(&mut bytes);
        bytes.push(9);
        let (back, rest) = Words::read(&bytes, &texts).unwrap();
        assert_eq!((rest, &back), (&[9u8][..], &words));
        for n in 0..bytes.len() - 1 {
            if n % 97 == 0 {
                assert!(Words::read(&bytes[..n], &texts).is_err(), "cut at {n}");
            }
        }
        assert!(Words::read(&bytes, &texts[1..]).is_err());
        back
    }

    #[test]
    fn words_and_phrases_of_a_long_list() {
        let words =
            compiled(&list(&["o'brien", "smith", "st. mary's hospital", "st. mary's", "müller", "x", "(unit)"]));
        for (hay, want) in [
            ("Mr. SMITH and Smithson; smith_x blacksmith", vec!["SMITH"]),
            ("at St. Mary's Hospital, with O'Brien", vec!["O'Brien", "St. Mary's", "St. Mary's Hospital"]),
            ("St. Mary is not in it, müller is", vec!["müller"]),
            ("x(unit)", vec!["(unit)", "x"]),
            ("filler7word filler7words", vec!["filler7word"]),
            ("", vec![]),
        ] {
            assert_eq!(found(&words, hay), want, "{hay}");
        }
        let long = format!("{}smith{}", "a ".repeat(60), " b".repeat(60));
        assert_eq!(found(&words, &long), ["smith"]);
        let far = format!("{} smith", "w".repeat(500));
        assert_eq!(found(&words, &far), ["smith"]);
    }

    proptest! {
        #[test]
        fn many_words_are_found_as_few_are(
            wanted in proptest::collection::vec("[a-c]{1,3}( [a-c]{1,2})?", 1..6),
            hay in "([a-cA-C]{1,3}[ .,]{1,2}){0,30}",
        ) {
            let mut wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
            wanted.sort_unstable();
            wanted.dedup();
            let few = Words::build(&wanted).unwrap();
            prop_assert!(few.many.is_none());
            let many = compiled(&list(&wanted));
            prop_assert!(many.many.is_some());
            prop_assert_eq!(found(&few, &hay), found(&many, &hay));
        }

        #[test]
        fn damage_is_refused_or_harmless(at in any::<prop::sample::Index>(), with in any::<u8>(), hay in "[a-z ]{0,80}") {
            let list = list(&["smith", "st. mary's"]);
            let texts: Vec<&str> = list.iter().map(String::as_str).collect();
            let mut bytes = Vec::new();
            Words::build(&texts).unwrap().write(&mut bytes);
            let at = at.index(bytes.len());
            bytes[at] = with;
            if let Ok((words, _)) = Words::read(&bytes, &texts) {
                words.for_each(hay.as_bytes(), |s, e| assert!(s < e && e <= hay.len()));
            }
        }
    }
}
