//! A transparency log as values: Merkle tree (RFC 6962 and 9162), tiles, signed notes, checkpoints, proofs and witness
//! messages in the forms that C2SP publishes (`tlog-tiles`, `signed-note`, `tlog-checkpoint`, `tlog-cosignature`,
//! `tlog-witness`, `tlog-proof`).
//!
//! Invariants: no clock, file or socket; parsing accepts exactly what formatting writes, is bounded and never panics;
//! SHA-256 and Ed25519 alone. Deliberately absent: storage and transport (crate `notary`), ML-DSA, sub-tree cosignatures.

pub mod checkpoint;
pub mod hash;
pub mod note;
pub mod proof;
pub mod tile;
pub mod tree;
pub mod witness;

pub use checkpoint::Checkpoint;
pub use hash::Hash;
pub use note::{Note, Signature, SigningKey, VerifierKey};
pub use proof::InclusionProof;
pub use tile::{Edge, Tile};

/// Entry points for fuzzing: total functions over bytes. Each says whether the bytes were accepted, and panics if what was
/// accepted is not written back as the same bytes.
pub mod fuzzing {
    use crate::{Checkpoint, InclusionProof, Note, Tile, VerifierKey, tile, witness};

    /// A signed note, and the checkpoint in it.
    pub fn note(bytes: &[u8]) -> bool {
        let Ok(note) = Note::parse(bytes) else { return false };
        assert_eq!(note.to_string().as_bytes(), bytes);
        if let Ok(checkpoint) = Checkpoint::parse(note.text()) {
            assert_eq!(checkpoint.to_string(), note.text());
        }
        true
    }

    /// A request to a witness.
    pub fn add_checkpoint(bytes: &[u8]) -> bool {
        let Ok(request) = witness::AddCheckpoint::parse(bytes) else { return false };
        assert_eq!(request.to_string().as_bytes(), bytes);
        true
    }

    /// A proof of inclusion.
    pub fn proof(bytes: &[u8]) -> bool {
        let Ok(proof) = InclusionProof::parse(bytes) else { return false };
        assert_eq!(proof.to_string().as_bytes(), bytes);
        true
    }

    /// A tile's path, a verifier key, or a bundle of entries.
    pub fn small(bytes: &[u8]) -> bool {
        let bundle = tile::entries(bytes).map(|entries| tile::bundle(entries.iter().copied()));
        if let Ok(bundle) = &bundle {
            assert_eq!(bundle.as_deref(), Ok(bytes));
        }
        let Ok(text) = std::str::from_utf8(bytes) else { return bundle.is_ok() };
        let tile = Tile::parse(text);
        if let Ok(tile) = tile {
            assert_eq!(tile.path(), text);
        }
        let key = VerifierKey::parse(text);
        if let Ok(key) = &key {
            assert_eq!(key.to_string(), text);
        }
        bundle.is_ok() || tile.is_ok() || key.is_ok()
    }
}
