//! Samples that nobody could choose: indices from the auditor's nonce and the root of the log.
//!
//! `HKDF-SHA-256(salt = root, input = nonce, info = "tidegate/sample/v1")` gives eight bytes per draw, big-endian; a draw
//! of at least the largest multiple of the population is skipped, the rest modulo the population is the index; an index
//! drawn before is skipped. Whoever has the headers and the nonce gets the same sample.

use std::collections::BTreeSet;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Most records of a sample: what one expansion of HKDF can give, with room for draws that are skipped.
pub const SAMPLE_MAX: usize = 500;

fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { return [0; 32] };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// The output of HKDF (RFC 5869) in blocks of 32 bytes, at most 255.
fn hkdf(salt: &[u8], input: &[u8], info: &[u8]) -> impl Iterator<Item = [u8; 32]> {
    let key = mac(salt, &[input]);
    let info = info.to_vec();
    let mut previous: Option<[u8; 32]> = None;
    (1..=255u8).map(move |count| {
        let block = mac(&key, &[previous.as_ref().map_or(&[][..], |p| &p[..]), &info, &[count]]);
        previous = Some(block);
        block
    })
}

/// Indices of a sample, ascending; all of a population that is not larger.
#[must_use]
pub fn indices(nonce: &[u8], root: &[u8; 32], population: u64, count: usize) -> Vec<u64> {
    let count = count.min(SAMPLE_MAX);
    if population <= count as u64 {
        return (0..population).collect();
    }
    let limit = u64::MAX - (u64::MAX % population + 1) % population;
    let mut drawn = BTreeSet::new();
    for block in hkdf(root, nonce, b"tidegate/sample/v1") {
        for draw in block.chunks_exact(8) {
            let draw = draw.iter().fold(0u64, |number, byte| number << 8 | u64::from(*byte));
            if drawn.len() < count && draw <= limit {
                drawn.insert(draw % population);
            }
        }
    }
    drawn.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit::render::hex;

    #[test]
    fn hkdf_is_that_of_rfc_5869() {
        // Test case 1.
        let salt: Vec<u8> = (0..=12).collect();
        let info: Vec<u8> = (0xf0..=0xf9).collect();
        let out: Vec<u8> = hkdf(&salt, &[0x0b; 22], &info).take(2).flatten().collect();
        assert_eq!(
            hex(&out[..42]),
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
        );
    }

    #[test]
    fn samples_are_the_same_for_everybody_and_different_for_each_nonce() {
        let one = indices(b"n1", &[1; 32], 1_000_000, 25);
        assert_eq!(one.len(), 25);
        assert_eq!(one, indices(b"n1", &[1; 32], 1_000_000, 25));
        assert_ne!(one, indices(b"n2", &[1; 32], 1_000_000, 25));
        assert_ne!(one, indices(b"n1", &[2; 32], 1_000_000, 25));
        assert!(one.iter().all(|index| *index < 1_000_000));
        assert_eq!(indices(b"n", &[1; 32], 3, 25), [0, 1, 2]);
        assert!(indices(b"n", &[1; 32], 0, 25).is_empty());
        assert_eq!(indices(b"n", &[1; 32], u64::MAX, 500).len(), 500);
    }
}
