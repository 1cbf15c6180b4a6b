//! The hash trees of RFC 6962: over the records of a block and over the block headers of a node.
//!
//! Invariants: memory is one hash per level; nothing recurses over data. Verification of proofs follows RFC 9162,
//! sections 2.1.3.2 and 2.1.4.2. Deliberately not here: files.

use sha2::{Digest, Sha256};

/// SHA-256.
pub(crate) type Hash = [u8; 32];

/// Hash of a node's leaf: a block header.
#[must_use]
pub(crate) fn leaf(entry: &[u8]) -> Hash {
    Sha256::new_with_prefix([0]).chain_update(entry).finalize().into()
}

/// Hash of a record as a leaf of its block.
#[must_use]
pub(crate) fn record_leaf(sequence: u64, record: &[u8]) -> Hash {
    let mut head = [0; 13];
    head[1..9].copy_from_slice(&sequence.to_le_bytes());
    head[9..].copy_from_slice(&(record.len() as u32).to_le_bytes());
    Sha256::new_with_prefix(head).chain_update(record).finalize().into()
}

/// Hash of an inner node.
#[must_use]
pub(crate) fn node(left: &Hash, right: &Hash) -> Hash {
    let mut bytes = [1; 65];
    bytes[1..33].copy_from_slice(left);
    bytes[33..].copy_from_slice(right);
    Sha256::digest(bytes).into()
}

/// Root of no leaves.
#[must_use]
pub(crate) fn empty() -> Hash {
    Sha256::digest([]).into()
}

/// A tree that leaves are added to; only the complete subtrees on its right edge are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frontier {
    edge: Vec<Hash>,
    size: u64,
}

impl Frontier {
    /// Adds a leaf.
    pub(crate) fn add(&mut self, leaf: Hash) {
        let mut hash = leaf;
        // Each trailing 1 of the size is a complete subtree that the new one joins.
        for _ in 0..self.size.trailing_ones() {
            let Some(left) = self.edge.pop() else { break };
            hash = node(&left, &hash);
        }
        self.edge.push(hash);
        self.size += 1;
    }

    /// Leaves so far.
    #[must_use]
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Root over the leaves so far.
    #[must_use]
    pub(crate) fn root(&self) -> Hash {
        let mut from_right = self.edge.iter().rev();
        let Some(&last) = from_right.next() else { return empty() };
        from_right.fold(last, |right, left| node(left, &right))
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        self.edge.clear();
        self.size = 0;
    }
}

/// Root over a list of leaves.
#[must_use]
pub(crate) fn root(leaves: &[Hash]) -> Hash {
    let mut tree = Frontier::default();
    leaves.iter().for_each(|&leaf| tree.add(leaf));
    tree.root()
}

/// Largest power of two below `size`, which is at least 2.
fn split(size: u64) -> u64 {
    1 << (63 - (size - 1).leading_zeros())
}

/// Inclusion proof of leaf `index`, nearest sibling first. `range(from, to)` gives the root over leaves.
pub(crate) fn inclusion<E>(
    index: u64,
    size: u64,
    range: &mut dyn FnMut(u64, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let (mut from, mut to) = (0, size);
    let mut path = Vec::new();
    while to - from > 1 {
        let middle = from + split(to - from);
        if index < middle {
            path.push(range(middle, to)?);
            to = middle;
        } else {
            path.push(range(from, middle)?);
            from = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Root that an inclusion proof leads to (RFC 9162 section 2.1.3.2); `None` if it cannot be one.
#[must_use]
pub(crate) fn included(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Option<Hash> {
    if index >= size {
        return None;
    }
    let (mut at, mut last, mut hash) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return None;
        }
        if at & 1 == 1 || at == last {
            hash = node(sibling, &hash);
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            hash = node(&hash, sibling);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    (last == 0).then_some(hash)
}

/// Proof that a tree of `new` leaves continues one of `old` leaves, lowest hash first; empty for equal sizes and `old` 0.
pub(crate) fn consistency<E>(
    old: u64,
    new: u64,
    range: &mut dyn FnMut(u64, u64) -> Result<Hash, E>,
) -> Result<Vec<Hash>, E> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let (mut from, mut to) = (0, new);
    while to != old {
        let middle = from + split(to - from);
        if old <= middle {
            proof.push(range(middle, to)?);
            to = middle;
        } else {
            proof.push(range(from, middle)?);
            from = middle;
        }
    }
    if from != 0 {
        proof.push(range(from, to)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Does a consistency proof lead from one root to the other (RFC 9162 section 2.1.4.2)?
#[must_use]
pub(crate) fn continues(old: (u64, Hash), new: (u64, Hash), proof: &[Hash]) -> bool {
    if old.0 == 0 || old.0 >= new.0 {
        let same = if old.0 == 0 { old.1 == empty() } else { old == new };
        return same && proof.is_empty();
    }
    let mut hashes = proof.iter();
    let (mut at, mut last) = (old.0 - 1, new.0 - 1);
    while at & 1 == 1 {
        (at, last) = (at >> 1, last >> 1);
    }
    // A complete tree is its own first hash.
    let first = if old.0.is_power_of_two() { Some(&old.1) } else { hashes.next() };
    let Some(&first) = first else { return false };
    let (mut left, mut right) = (first, first);
    for hash in hashes {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            (left, right) = (node(hash, &left), node(hash, &right));
            while at & 1 == 0 && at != 0 {
                (at, last) = (at >> 1, last >> 1);
            }
        } else {
            right = node(&right, hash);
        }
        (at, last) = (at >> 1, last >> 1);
    }
    last == 0 && left == old.1 && right == new.1
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of RFC 6962 section 2.1, taken literally.
    fn by_definition(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty(),
            [one] => *one,
            many => {
                let k = split(many.len() as u64) as usize;
                node(&by_definition(&many[..k]), &by_definition(&many[k..]))
            }
        }
    }

    #[test]
    fn roots_and_proofs_hold_for_every_small_tree() {
        let leaves: Vec<Hash> = (0..70u8).map(|n| leaf(&[n])).collect();
        for size in 0..=leaves.len() {
            let some = &leaves[..size];
            let whole = root(some);
            assert_eq!(whole, by_definition(some));
            for index in 0..size {
                let mut range = |from: u64, to: u64| Ok::<_, ()>(root(&some[from as usize..to as usize]));
                let path = inclusion(index as u64, size as u64, &mut range).unwrap();
                assert_eq!(included(some[index], index as u64, size as u64, &path), Some(whole));
                assert_ne!(included(leaf(b"x"), index as u64, size as u64, &path), Some(whole));
                if size > 1 {
                    assert_eq!(included(some[index], index as u64, size as u64, &path[1..]), None);
                    let other = (index as u64 + 1) % size as u64;
                    assert_ne!(included(some[index], other, size as u64, &path), Some(whole));
                }
            }
            for old in 0..=size {
                let mut range = |from: u64, to: u64| Ok::<_, ()>(root(&some[from as usize..to as usize]));
                let proof = consistency(old as u64, size as u64, &mut range).unwrap();
                let (before, now) = ((old as u64, root(&some[..old])), (size as u64, whole));
                assert!(continues(before, now, &proof), "{old} to {size}");
                assert!(!continues((before.0, leaf(b"x")), now, &proof));
                // Nothing is a beginning of anything.
                assert_eq!(continues(before, (now.0, leaf(b"x")), &proof), old == 0);
                if let Some((_, shorter)) = proof.split_last() {
                    assert!(!continues(before, now, shorter));
                }
            }
        }
    }
}
