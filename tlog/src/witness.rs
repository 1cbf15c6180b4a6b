//! Messages between a log and a witness (C2SP `tlog-witness`, `add-checkpoint`), and the witness' judgement.
//!
//! The judgement is pure: what the witness knows and the request in, a verdict out. Whoever calls it makes the new state
//! durable before the verdict leaves, one request of a log at a time.

use crate::{
    checkpoint::Checkpoint,
    hash::{Hash, decimal},
    note::{Note, NoteError, Signature, VerifierKey},
    tree::verify_consistency,
};
use std::fmt;

/// Most lines of a consistency proof in a request.
const PROOF_LINES_MAX: usize = 63;
/// Longest request.
pub const REQUEST_BYTES_MAX: usize = 64 << 10;
/// Media type of the answer that tells the size the witness knows.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// A request: here is a larger tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddCheckpoint {
    /// Size that the witness cosigned last, as far as the log knows.
    pub old: u64,
    /// From that size to the checkpoint's.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub note: Note,
}

/// The request is malformed: answer 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadRequest;

impl fmt::Display for BadRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a request to add a checkpoint")
    }
}

impl std::error::Error for BadRequest {}

impl AddCheckpoint {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// Anything that [`fmt::Display`] would not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadRequest> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(BadRequest);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| BadRequest)?;
        let (head, note) = text.split_once("\n\n").ok_or(BadRequest)?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| line.strip_prefix("old ")).and_then(decimal).ok_or(BadRequest)?;
        let proof: Vec<Hash> =
            lines.take(PROOF_LINES_MAX + 1).map(Hash::parse).collect::<Option<_>>().ok_or(BadRequest)?;
        if proof.len() > PROOF_LINES_MAX {
            return Err(BadRequest);
        }
        Ok(Self { old, proof, note: Note::parse(note.as_bytes()).map_err(|_| BadRequest)? })
    }
}

impl fmt::Display for AddCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        self.proof.iter().try_for_each(|hash| writeln!(f, "{hash}"))?;
        write!(f, "\n{}", self.note)
    }
}

/// The witness' answer to a request. The status codes are those of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// 200: remember this checkpoint, then cosign it.
    Cosign(Checkpoint),
    /// 400: the old size is larger than the checkpoint's.
    BadRequest,
    /// 403: no signature by a trusted key, or one that does not hold.
    Forbidden,
    /// 404: an origin that nobody configured.
    Unknown,
    /// 409: the witness knows another size.
    Conflict(u64),
    /// 422: the proof does not hold, or the same size has another root.
    Unprocessable,
}

/// Judges a request. `keys` are those trusted for the request's origin, `latest` what was cosigned last for it.
#[must_use]
pub fn judge(request: &AddCheckpoint, keys: &[VerifierKey], latest: Option<(u64, Hash)>) -> Verdict {
    let Ok(checkpoint) = Checkpoint::parse(request.note.text()) else {
        return Verdict::BadRequest;
    };
    if keys.is_empty() {
        return Verdict::Unknown;
    }
    if request.note.verify(keys).is_err() {
        return Verdict::Forbidden;
    }
    if request.old > checkpoint.size {
        return Verdict::BadRequest;
    }
    let (size, root) = latest.unwrap_or_else(|| (0, Hash::empty()));
    if request.old != size {
        return Verdict::Conflict(size);
    }
    match verify_consistency((size, root), (checkpoint.size, checkpoint.root), &request.proof) {
        Ok(()) => Verdict::Cosign(checkpoint),
        Err(_) => Verdict::Unprocessable,
    }
}

/// The cosignatures by known keys in the body of a 200 answer, with their times. Lines of unknown keys are ignored.
///
/// # Errors
/// As [`Note::verify`].
pub fn cosignatures(text: &str, body: &str, keys: &[VerifierKey]) -> Result<Vec<(Signature, u64)>, NoteError> {
    let answer = Note::new(text.to_owned(), Signature::parse_lines(body)?)?;
    let good = answer.verify(keys)?;
    Ok(good.into_iter().filter_map(|v| Some((v.signature.clone(), v.time?))).collect())
}

/// The size in the body of a 409 answer.
#[must_use]
pub fn conflict_size(body: &str) -> Option<u64> {
    body.strip_suffix('\n').and_then(decimal)
}
