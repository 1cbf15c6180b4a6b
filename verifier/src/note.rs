//! Signed notes and checkpoints (C2SP `signed-note`, `tlog-checkpoint`, `tlog-cosignature`): Ed25519 only.
//!
//! Invariants: parsing accepts one spelling, is bounded ([`NOTE_MAX`], [`SIGNATURES_MAX`]) and never panics. A signature by
//! a known key that does not hold makes the whole note fail, whatever the others say. Signatures are verified strictly
//! (no small-order keys, no malleable encodings). Deliberately not here: signing, other algorithms.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature as Ed25519, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::hex;
use crate::merkle::Hash;

/// Longest note, bytes.
pub(crate) const NOTE_MAX: usize = 1 << 20;
/// Signatures of one note.
const SIGNATURES_MAX: usize = 100;
/// Algorithm byte of a log's signature, and of a witness's.
const LOG: u8 = 1;
const WITNESS: u8 = 4;

/// A public key with its name: `name+id+key` as in C2SP `signed-note`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: String,
    id: [u8; 4],
    algorithm: u8,
    key: [u8; 32],
}

impl VerifierKey {
    /// Reads a verifier key.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err("a verifier key is NAME+ID+KEY".to_owned());
        };
        if !is_name(name) {
            return Err("the key's name is empty or has spaces".to_owned());
        }
        let id: [u8; 4] = hex::array(id)
            .filter(|_| !id.bytes().any(|digit| digit.is_ascii_uppercase()))
            .ok_or_else(|| format!("the id of key {name} is not eight hexadecimal digits"))?;
        let bytes = STANDARD.decode(key).map_err(|_| format!("key {name} is not in base64"))?;
        let Some((&algorithm @ (LOG | WITNESS), key)) = bytes.split_first() else {
            return Err(format!("key {name} is for an algorithm that is not known here"));
        };
        let key: [u8; 32] = key.try_into().map_err(|_| format!("key {name} does not have 32 bytes"))?;
        VerifyingKey::from_bytes(&key).map_err(|_| format!("key {name} is no Ed25519 key"))?;
        let made = Self::new(name, algorithm, key);
        if made.id != id {
            return Err(format!("the id of key {name} is not that of its contents"));
        }
        Ok(made)
    }

    fn new(name: &str, algorithm: u8, key: [u8; 32]) -> Self {
        let digest = Sha256::new_with_prefix(name).chain_update([b'\n', algorithm]).chain_update(key).finalize();
        let mut id = [0; 4];
        id.copy_from_slice(&digest[..4]);
        Self { name: name.to_owned(), id, algorithm, key }
    }

    /// Its name: the log's origin, or the witness.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id, eight digits.
    #[must_use]
    pub fn id(&self) -> String {
        hex::text(&self.id)
    }

    /// Name and id, as findings show it.
    #[must_use]
    pub fn label(&self) -> String {
        format!("{}+{}", self.name, self.id())
    }

    /// The key itself.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.key
    }

    /// Is it a witness's?
    #[must_use]
    pub fn is_witness(&self) -> bool {
        self.algorithm == WITNESS
    }

    /// Do two different keys answer to the same name and id?
    #[must_use]
    pub fn collides(&self, other: &Self) -> bool {
        self.name == other.name && self.id == other.id && self != other
    }

    /// Does the signature of a text hold? For a witness: at this time.
    fn check(&self, text: &str, signature: &[u8]) -> Option<u64> {
        let key = VerifyingKey::from_bytes(&self.key).ok()?;
        let holds = |message: &[u8], bytes: &[u8]| {
            let signature = Ed25519::from_bytes(bytes.try_into().ok()?);
            key.verify_strict(message, &signature).ok()
        };
        if self.algorithm == LOG {
            return holds(text.as_bytes(), signature).map(|()| 0);
        }
        let (time, bytes) = signature.split_first_chunk::<8>()?;
        let time = u64::from_be_bytes(*time);
        holds(format!("cosignature/v1\ntime {time}\n{text}").as_bytes(), bytes).map(|()| time)
    }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '+')
}

/// One signature line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) id: [u8; 4],
    bytes: Vec<u8>,
}

impl Line {
    /// Reads `— name base64`.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (name, encoded) = line.strip_prefix("— ")?.split_once(' ')?;
        let bytes = STANDARD.decode(encoded).ok()?;
        let (id, bytes) = bytes.split_first_chunk::<4>()?;
        (is_name(name) && !bytes.is_empty()).then(|| Self { name: name.to_owned(), id: *id, bytes: bytes.to_vec() })
    }

    /// Is it, by name and id, of this key?
    pub(crate) fn is_of(&self, key: &VerifierKey) -> bool {
        self.name == key.name && self.id == key.id
    }

    /// Does it hold for the text by this key? A witness's time is in seconds since 1970, a log's is 0.
    pub(crate) fn holds(&self, text: &str, key: &VerifierKey) -> Option<u64> {
        key.check(text, &self.bytes)
    }
}

/// A text and the signatures below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    /// With the line end of its last line.
    pub(crate) text: String,
    pub(crate) lines: Vec<Line>,
}

impl Note {
    /// Reads a note.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > NOTE_MAX {
            return Err("the note is too long".to_owned());
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| "the note is not UTF-8".to_owned())?;
        if whole.chars().any(|c| c != '\n' && c < ' ') {
            return Err("the note has control characters".to_owned());
        }
        let at = whole.rfind("\n\n").ok_or("the note has no signatures")?;
        let (text, lines) = (&whole[..=at], &whole[at + 2..]);
        let lines = lines.strip_suffix('\n').ok_or("the note's last line does not end")?;
        let lines: Option<Vec<_>> = lines.split('\n').take(SIGNATURES_MAX + 1).map(Line::parse).collect();
        let lines = lines.ok_or("a signature line of the note is malformed")?;
        if lines.len() > SIGNATURES_MAX {
            return Err("the note has too many signatures".to_owned());
        }
        Ok(Self { text: text.to_owned(), lines })
    }

    /// The keys whose signatures hold, with their times; those of unknown keys are passed over.
    pub(crate) fn signers<'k>(
        &self,
        keys: impl Iterator<Item = &'k VerifierKey> + Clone,
    ) -> Result<Vec<(&'k VerifierKey, u64)>, String> {
        let mut found: Vec<(&VerifierKey, u64)> = Vec::new();
        for line in &self.lines {
            for key in keys.clone().filter(|key| line.is_of(key)) {
                let time = line
                    .holds(&self.text, key)
                    .ok_or_else(|| format!("the signature of {} does not hold", key.label()))?;
                if !found.iter().any(|(known, _)| *known == key) {
                    found.push((key, time));
                }
            }
        }
        Ok(found)
    }
}

/// The head of a log's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

impl Checkpoint {
    /// Reads the text of a note.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.strip_suffix('\n').unwrap_or(text).split('\n');
        let origin = lines.next().filter(|line| !line.is_empty()).ok_or("the checkpoint has no origin")?;
        let size = lines.next().and_then(decimal).ok_or("the checkpoint's size is not a number")?;
        let root = lines
            .next()
            .and_then(|line| STANDARD.decode(line).ok())
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or("the checkpoint's root is not a hash")?;
        if lines.any(str::is_empty) {
            return Err("the checkpoint has an empty line".to_owned());
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

/// A number without sign and leading zeros.
pub(crate) fn decimal(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    (digits && (text == "0" || !text.starts_with('0'))).then(|| text.parse().ok()).flatten()
}

/// Bytes as notes write them.
pub(crate) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Bytes from how notes write them.
pub(crate) fn unbase64(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}
