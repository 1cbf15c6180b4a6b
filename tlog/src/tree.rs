//! Roots and proofs of RFC 6962, section 2.1, and their checks by RFC 9162, sections 2.1.3.2 and 2.1.4.2.
//!
//! Proofs are made from hashes of complete subtrees, which whoever stores the tree gives. Checks take nothing but the
//! proof; every size and index is possible input and none makes them panic or run longer than the proof.

use crate::hash::Hash;
use std::fmt;

/// Longest proof of a tree whose size fits 64 bits.
pub const PROOF_HASHES_MAX: usize = 64;

/// Hashes of complete subtrees.
pub trait Subtrees {
    /// Why a hash is not to be had.
    type Error;

    /// Root over the leaves from `index << level` up to `(index + 1) << level`, which the tree has.
    ///
    /// # Errors
    /// The storage's.
    fn subtree(&self, level: u8, index: u64) -> Result<Hash, Self::Error>;
}

/// The largest power of two below `n`, which is at least 2.
fn split(n: u64) -> u64 {
    1 << (63 - (n - 1).leading_zeros())
}

/// Root over the leaves `low..high`; `low` is a multiple of every power of two below their number, as in all ranges of the
/// recursion of RFC 6962.
fn range<S: Subtrees>(subtrees: &S, low: u64, high: u64) -> Result<Hash, S::Error> {
    // From the left, the complete subtrees of a range get smaller: collect them, then fold from the right.
    let mut peaks = Vec::new();
    let mut at = low;
    while at < high {
        let left = high - at;
        let level = 63 - left.leading_zeros();
        peaks.push(subtrees.subtree(u8::try_from(level).unwrap_or(63), at >> level)?);
        at += 1 << level;
    }
    let mut peaks = peaks.into_iter().rev();
    let last = peaks.next().unwrap_or_else(Hash::empty);
    Ok(peaks.fold(last, |right, left| Hash::node(&left, &right)))
}

/// Root over the first `size` leaves.
///
/// # Errors
/// The storage's.
pub fn root<S: Subtrees>(subtrees: &S, size: u64) -> Result<Hash, S::Error> {
    range(subtrees, 0, size)
}

/// Proof that leaf `index` is in the tree of `size` leaves, from the leaf's sibling upwards; empty if it is not.
///
/// # Errors
/// The storage's.
pub fn inclusion<S: Subtrees>(subtrees: &S, index: u64, size: u64) -> Result<Vec<Hash>, S::Error> {
    let mut path = Vec::new();
    if index >= size {
        return Ok(path);
    }
    let (mut low, mut high) = (0, size);
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            path.push(range(subtrees, middle, high)?);
            high = middle;
        } else {
            path.push(range(subtrees, low, middle)?);
            low = middle;
        }
    }
    path.reverse();
    Ok(path)
}

/// Proof that the tree of `new` leaves continues the tree of `old` leaves; empty for equal sizes, for `old` 0, and where
/// `old` is larger.
///
/// # Errors
/// The storage's.
pub fn consistency<S: Subtrees>(subtrees: &S, old: u64, new: u64) -> Result<Vec<Hash>, S::Error> {
    let mut proof = Vec::new();
    if old == 0 || old >= new {
        return Ok(proof);
    }
    let (mut low, mut high) = (0, new);
    while old != high {
        let middle = low + split(high - low);
        if old <= middle {
            proof.push(range(subtrees, middle, high)?);
            high = middle;
        } else {
            proof.push(range(subtrees, low, middle)?);
            low = middle;
        }
    }
    // The old tree itself is known to whoever checks.
    if low != 0 {
        proof.push(range(subtrees, low, high)?);
    }
    proof.reverse();
    Ok(proof)
}

/// A proof does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disproved;

impl fmt::Display for Disproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the proof does not hold")
    }
}

impl std::error::Error for Disproved {}

/// The root that a proof of inclusion leads to.
///
/// # Errors
/// The proof's length does not fit index and size.
pub fn root_by_inclusion(leaf: Hash, index: u64, size: u64, path: &[Hash]) -> Result<Hash, Disproved> {
    if index >= size {
        return Err(Disproved);
    }
    let (mut number, mut last, mut root) = (index, size - 1, leaf);
    for sibling in path {
        if last == 0 {
            return Err(Disproved);
        }
        if number & 1 == 1 || number == last {
            root = Hash::node(sibling, &root);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            root = Hash::node(&root, sibling);
        }
        number >>= 1;
        last >>= 1;
    }
    if last == 0 { Ok(root) } else { Err(Disproved) }
}

/// Checks that a leaf is in a tree.
///
/// # Errors
/// It is not proved.
pub fn verify_inclusion(leaf: Hash, index: u64, size: u64, root: Hash, path: &[Hash]) -> Result<(), Disproved> {
    if root_by_inclusion(leaf, index, size, path)? == root { Ok(()) } else { Err(Disproved) }
}

/// Checks that the tree `new` continues the tree `old`. Every tree continues the empty one, by an empty proof.
///
/// # Errors
/// It is not proved.
pub fn verify_consistency(old: (u64, Hash), new: (u64, Hash), proof: &[Hash]) -> Result<(), Disproved> {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    let holds = |condition: bool| if condition { Ok(()) } else { Err(Disproved) };
    if (old_size == 0 && old_root != Hash::empty()) || (new_size == 0 && new_root != Hash::empty()) {
        return Err(Disproved);
    }
    if old_size >= new_size || old_size == 0 {
        return holds(proof.is_empty() && (old_size == 0 || old == new));
    }
    // If the old tree is complete, it is itself the first subtree.
    let (first, rest) = if old_size.is_power_of_two() {
        (old_root, proof)
    } else {
        let (first, rest) = proof.split_first().ok_or(Disproved)?;
        (*first, rest)
    };
    let (mut number, mut last) = (old_size - 1, new_size - 1);
    while number & 1 == 1 {
        number >>= 1;
        last >>= 1;
    }
    let (mut from_old, mut from_new) = (first, first);
    for hash in rest {
        if last == 0 {
            return Err(Disproved);
        }
        if number & 1 == 1 || number == last {
            from_old = Hash::node(hash, &from_old);
            from_new = Hash::node(hash, &from_new);
            while number & 1 == 0 && number != 0 {
                number >>= 1;
                last >>= 1;
            }
        } else {
            from_new = Hash::node(&from_new, hash);
        }
        number >>= 1;
        last >>= 1;
    }
    holds(last == 0 && from_old == old_root && from_new == new_root)
}
