//! The bundle file: the same bytes for the same rules, and a clear refusal of everything else.

mod fixture;

use fixture::model;
use policy::model::{Detector, Pattern, Redaction};
use policy::{BuildError, Bundle, LoadError};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

const HEADER: usize = 56;

fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let digest = Sha256::digest(&bytes[HEADER..]);
    let length = (bytes.len() - HEADER) as u64;
    bytes[16..24].copy_from_slice(&length.to_le_bytes());
    bytes[24..HEADER].copy_from_slice(&digest);
    bytes
}

#[test]
fn round_trip_and_determinism() {
    let bytes = Bundle::encode(&model()).unwrap();
    assert_eq!(bytes, Bundle::encode(&model()).unwrap());
    let bundle = Bundle::load(&bytes).unwrap();
    assert_eq!(*bundle.model(), model());
    assert_eq!(bundle.digest().as_slice(), Sha256::digest(&bytes[HEADER..]).as_slice());
    let empty = Bundle::encode(&policy::Model::default()).unwrap();
    assert_eq!(*Bundle::load(&empty).unwrap().model(), policy::Model::default());
}

#[test]
fn a_list_of_150_000_words_fits_and_is_checked() {
    let syllables = ["ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru"];
    let word = |n: usize| (0..6).rev().map(|i| syllables[n / 10usize.pow(i) % 10]).collect::<String>();
    let mut large = model();
    large.word_lists[0].words = (0..150_000).map(word).collect();
    let bytes = Bundle::encode(&large).unwrap();
    let content: usize = large.word_lists[0].words.iter().map(|w| w.len()).sum();
    // Twice the words themselves (the model has them, too), and 24 bytes each of tables.
    assert!(bytes.len() < 2 * content + 150_000 * 24, "{}", bytes.len());
    assert_eq!(*Bundle::load(&bytes).unwrap().model(), large);
    // The tables of one list with the words of another.
    let mut other = large.clone();
    other.word_lists[0].words[7] = "xxxxxxxxxxxx".into();
    let (old, new) = (postcard::to_allocvec(&large).unwrap(), postcard::to_allocvec(&other).unwrap());
    assert_eq!(old.len(), new.len());
    let mut mixed = bytes;
    mixed[HEADER + 8..HEADER + 8 + new.len()].copy_from_slice(&new);
    assert!(matches!(Bundle::load(&sealed(mixed)), Err(LoadError::Inconsistent(_))));
}

#[test]
fn every_truncation_is_named() {
    let bytes = Bundle::encode(&model()).unwrap();
    assert_eq!(Bundle::load(&[]).unwrap_err(), LoadError::NotABundle);
    for n in 1..bytes.len() {
        assert!(matches!(Bundle::load(&bytes[..n]), Err(LoadError::Truncated { .. })), "{n}");
    }
}

#[test]
fn every_flipped_byte_is_noticed() {
    let bytes = Bundle::encode(&model()).unwrap();
    for at in 0..bytes.len() {
        let mut altered = bytes.clone();
        altered[at] ^= 0x10;
        let error = Bundle::load(&altered).unwrap_err();
        let right = match at {
            0..8 => error == LoadError::NotABundle,
            8..12 => matches!(error, LoadError::Newer { known: 3, .. }),
            16..24 => matches!(error, LoadError::Truncated { .. } | LoadError::Altered),
            _ => error == LoadError::Altered,
        };
        assert!(right, "byte {at}: {error}");
    }
    let mut longer = bytes;
    longer.push(0);
    assert_eq!(Bundle::load(&longer).unwrap_err(), LoadError::Altered);
}

#[test]
fn messages_tell_the_cases_apart() {
    assert!(LoadError::NotABundle.to_string().contains("not a Tidegate bundle"));
    assert!(LoadError::Truncated { expected: 9, found: 3 }.to_string().contains("truncated: 3 of 9"));
    assert!(LoadError::Altered.to_string().contains("altered"));
    assert!(LoadError::Newer { found: 4, known: 1 }.to_string().contains("format 4"));
}

#[test]
fn contradictions_are_refused_at_both_ends() {
    type Break = fn(&mut policy::Model);
    let breaks: [Break; 8] = [
        |m| m.roles[0].treatment.push(0),
        |m| m.roles[0].treatment[0] = 99,
        |m| m.bindings[0].class = Some(99),
        |m| m.classes[0].detectors.push(Detector::Words(9)),
        |m| m.redactions[0] = Redaction::Token { key: "k".into(), length: 65 },
        |m| m.blocks[0].words.push(String::new()),
        |m| m.blocks[0].patterns.push(Pattern { expression: "(abc".into(), literal: "abc".into() }),
        |m| m.classes[0].name.clear(),
    ];
    for (i, change) in breaks.iter().enumerate() {
        let mut broken = model();
        change(&mut broken);
        assert!(matches!(Bundle::encode(&broken), Err(BuildError::Inconsistent(_))), "{i}");
        // The same contradiction in a file whose hash is right.
        let good = Bundle::encode(&model()).unwrap();
        let old = postcard::to_allocvec(&model()).unwrap();
        let tables = postcard::to_allocvec(&broken).unwrap();
        let mut bytes = good[..HEADER].to_vec();
        bytes.extend((tables.len() as u64).to_le_bytes());
        bytes.extend(&tables);
        bytes.extend(&good[HEADER + 8 + old.len()..]);
        assert!(matches!(Bundle::load(&sealed(bytes)), Err(LoadError::Inconsistent(_))), "{i}");
    }
}

proptest! {
    #[test]
    fn arbitrary_content_never_panics(content in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut bytes = Bundle::encode(&policy::Model::default()).unwrap()[..HEADER].to_vec();
        bytes.extend(&content);
        let _ = Bundle::load(&content);
        let _ = Bundle::load(&sealed(bytes));
    }

    #[test]
    fn damage_behind_a_right_hash_never_panics(at in any::<prop::sample::Index>(), with in any::<u8>()) {
        let mut bytes = Bundle::encode(&model()).unwrap();
        let at = HEADER + at.index(bytes.len() - HEADER);
        bytes[at] = with;
        let _ = Bundle::load(&sealed(bytes));
    }
}
