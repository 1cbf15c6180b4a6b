//! Proofs of inclusion as text (C2SP `tlog-proof`): index, path and a checkpoint with its signatures, in one small file
//! that can be checked anywhere.

use crate::{
    checkpoint::Checkpoint,
    hash::{Hash, decimal},
    note::{Note, NoteError, VerifierKey},
    tree::{PROOF_HASHES_MAX, verify_inclusion},
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use std::fmt;

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// Longest proof that is read, extra data included.
pub const PROOF_BYTES_MAX: usize = 16 << 20;

/// A proof that an entry is in a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    /// Data that the application needs and that the proof does not vouch for.
    pub extra: Option<Vec<u8>>,
    /// Number of the entry, from 0.
    pub index: u64,
    /// From the leaf's sibling upwards.
    pub path: Vec<Hash>,
    /// The signed checkpoint.
    pub note: Note,
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofError {
    /// Not a proof in its text form.
    Malformed,
    /// The checkpoint is not that of the origin, or its signatures do not hold.
    Checkpoint(NoteError),
    /// The path does not lead from the leaf to the root.
    Path,
}

impl fmt::Display for ProofError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("not a proof of inclusion"),
            Self::Checkpoint(error) => write!(f, "the proof's checkpoint: {error}"),
            Self::Path => f.write_str("the entry is not in the tree of the checkpoint"),
        }
    }
}

impl std::error::Error for ProofError {}

impl InclusionProof {
    /// Reads a proof.
    ///
    /// # Errors
    /// [`ProofError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        let bad = ProofError::Malformed;
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(bad);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| bad)?;
        let (head, note) = text.split_once("\n\n").ok_or(bad)?;
        let mut lines = head.split('\n').peekable();
        if lines.next() != Some(FIRST_LINE) {
            return Err(bad);
        }
        let extra = match lines.peek().and_then(|line| line.strip_prefix("extra ")) {
            None => None,
            Some(encoded) => {
                lines.next();
                Some(BASE64_STANDARD.decode(encoded).map_err(|_| bad)?)
            }
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index ")).and_then(decimal).ok_or(bad)?;
        let path: Vec<Hash> = lines.take(PROOF_HASHES_MAX + 1).map(Hash::parse).collect::<Option<_>>().ok_or(bad)?;
        if path.len() > PROOF_HASHES_MAX {
            return Err(bad);
        }
        Ok(Self { extra, index, path, note: Note::parse(note.as_bytes()).map_err(|_| bad)? })
    }

    /// Checks the proof for an entry: one of `keys` has signed the checkpoint of this origin, and the entry is in its tree.
    /// Cosignatures by further `keys` are checked too.
    ///
    /// # Errors
    /// Why it proves nothing.
    pub fn verify(&self, entry: &[u8], origin: &str, keys: &[VerifierKey]) -> Result<Checkpoint, ProofError> {
        let signed = self.note.verify(keys).map_err(ProofError::Checkpoint)?;
        let checkpoint =
            Checkpoint::parse(self.note.text()).map_err(|_| ProofError::Checkpoint(NoteError::Malformed))?;
        // A witness alone does not speak for the log.
        let by_log = signed.iter().any(|v| v.time.is_none() && v.key.name() == origin);
        if !by_log || checkpoint.origin != origin {
            return Err(ProofError::Checkpoint(NoteError::Unsigned));
        }
        verify_inclusion(Hash::leaf(entry), self.index, checkpoint.size, checkpoint.root, &self.path)
            .map_err(|_| ProofError::Path)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{FIRST_LINE}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", BASE64_STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        self.path.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}
