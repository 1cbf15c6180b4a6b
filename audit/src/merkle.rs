//! The hash tree of RFC 6962 section 2.1 over the records of one block.
//!
//! A leaf is `SHA-256(0x00 || sequence || length || record bytes)`, little-endian integers of 8 and 4 bytes; a node is
//! `SHA-256(0x01 || left || right)`. The hash covers the bytes as stored, so that contents can later be encrypted, and
//! destroyed, without touching the tree.

use sha2::{Digest, Sha256};

/// Hash of one record at its place.
#[must_use]
pub fn leaf(sequence: u64, record: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    let mut head = [0u8; 13];
    head[1..9].copy_from_slice(&sequence.to_le_bytes());
    // A record is far shorter than 4 GiB; the length in the frame is the same 32 bits.
    head[9..13].copy_from_slice(&(record.len() as u32).to_le_bytes());
    hash.update(head);
    hash.update(record);
    hash.finalize().into()
}

fn node(left: &[u8; 32], right: &[u8; 32]) -> [u8; 32] {
    let mut bytes = [1u8; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// Root of a growing list of leaves; memory is one hash per level.
#[derive(Debug, Default)]
pub struct Tree {
    /// Roots of complete subtrees, largest first; their sizes are the bits of `leaves`.
    peaks: Vec<[u8; 32]>,
    leaves: u64,
}

impl Tree {
    /// Adds a leaf.
    pub fn push(&mut self, leaf: [u8; 32]) {
        let mut top = leaf;
        let mut full = self.leaves;
        while full & 1 == 1 {
            if let Some(left) = self.peaks.pop() {
                top = node(&left, &top);
            }
            full >>= 1;
        }
        self.peaks.push(top);
        self.leaves += 1;
    }

    /// The root; of no leaves, the hash of nothing. Starts over.
    pub fn finish(&mut self) -> [u8; 32] {
        self.leaves = 0;
        let Some(mut root) = self.peaks.pop() else { return Sha256::digest([]).into() };
        while let Some(left) = self.peaks.pop() {
            root = node(&left, &root);
        }
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recursive definition, word for word: split at the largest power of two smaller than n.
    fn definition(leaves: &[[u8; 32]]) -> [u8; 32] {
        match leaves {
            [] => Sha256::digest([]).into(),
            [only] => *only,
            _ => {
                let half = leaves.len().next_power_of_two() / 2;
                node(&definition(&leaves[..half]), &definition(&leaves[half..]))
            }
        }
    }

    #[test]
    fn the_root_is_the_one_of_the_definition() {
        let leaves: Vec<_> = (0..70u64).map(|n| leaf(n, &n.to_le_bytes())).collect();
        let mut tree = Tree::default();
        for count in 0..leaves.len() {
            leaves[..count].iter().for_each(|leaf| tree.push(*leaf));
            assert_eq!(tree.finish(), definition(&leaves[..count]), "{count} leaves");
        }
    }

    #[test]
    fn leaves_bind_their_place_and_length() {
        assert_ne!(leaf(1, b"x"), leaf(2, b"x"));
        assert_ne!(leaf(1, b""), leaf(1, b"\0"));
    }
}
