//! Signed notes (C2SP `signed-note`) with Ed25519 signatures (type 0x01) and timestamped cosignatures (type 0x04, C2SP
//! `tlog-cosignature`), and their keys.
//!
//! Invariants: a note's text is believed only through [`Note::verify`]; a signature by a known key that fails makes the
//! whole note fail. Private keys are cleared when dropped and shown by nothing but [`SigningKey::private_text`].

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use sha2::{Digest as _, Sha256};
use std::fmt::{self, Write as _};
use zeroize::{Zeroize as _, Zeroizing};

/// Longest note that is read.
pub const NOTE_BYTES_MAX: usize = 256 << 10;
/// Most signatures of a note.
pub const SIGNATURES_MAX: usize = 64;
/// Longest name of a key.
pub const NAME_BYTES_MAX: usize = 255;
const MARK: &str = "\u{2014} ";
const PRIVATE: &str = "PRIVATE+KEY+";

/// What is wrong with a note or a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteError {
    /// Not a signed note.
    Malformed,
    /// Not a key in its text form.
    Key,
    /// A kind of key that is not used here.
    KeyKind,
    /// The key's id is not that of its name and bytes.
    KeyId,
    /// A signature by a known key does not hold.
    Forged,
    /// No signature by a known key.
    Unsigned,
}

impl fmt::Display for NoteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Malformed => "not a signed note",
            Self::Key => "not a key: it reads name+id+base64",
            Self::KeyKind => "the key is neither for Ed25519 (1) nor for cosignatures (4)",
            Self::KeyId => "the key's id does not belong to its name and bytes",
            Self::Forged => "a signature by a known key does not hold",
            Self::Unsigned => "no signature by a known key",
        })
    }
}

impl std::error::Error for NoteError {}

/// What a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// The text itself: logs.
    Log = 1,
    /// `cosignature/v1`, a time and the text: witnesses.
    Witness = 4,
}

impl KeyKind {
    fn of(byte: u8) -> Result<Self, NoteError> {
        match byte {
            1 => Ok(Self::Log),
            4 => Ok(Self::Witness),
            _ => Err(NoteError::KeyKind),
        }
    }
}

/// Whether a key may have this name: not empty, no white space, no plus, no control characters.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let bad = |c: char| c.is_whitespace() || c.is_control() || c == '+';
    !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.contains(bad)
}

fn key_id(name: &str, kind: KeyKind, public: &[u8; 32]) -> u32 {
    let digest = Sha256::new_with_prefix(name).chain_update([b'\n', kind as u8]).chain_update(public).finalize();
    u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
}

fn hex_id(text: &str) -> Option<u32> {
    let plain = text.len() == 8 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    if plain { u32::from_str_radix(text, 16).ok() } else { None }
}

/// Splits `name+id+base64`.
fn parts(text: &str) -> Result<(&str, u32, Zeroizing<Vec<u8>>), NoteError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(NoteError::Key);
    };
    let id = hex_id(id).ok_or(NoteError::Key)?;
    if !is_name(name) || key.len() > 64 {
        return Err(NoteError::Key);
    }
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(key).map_err(|_| NoteError::Key)?);
    Ok((name, id, bytes))
}

/// A key to verify with.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct VerifierKey {
    name: String,
    id: u32,
    kind: KeyKind,
    public: [u8; 32],
}

impl VerifierKey {
    /// A key by its parts; `None` if the name may not be.
    #[must_use]
    pub fn new(name: &str, kind: KeyKind, public: [u8; 32]) -> Option<Self> {
        is_name(name).then(|| Self { name: name.to_owned(), id: key_id(name, kind, &public), kind, public })
    }

    /// Reads `name+id+base64(kind ‖ public key)`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let (name, id, bytes) = parts(text)?;
        let (kind, public) = bytes.split_first().ok_or(NoteError::Key)?;
        let kind = KeyKind::of(*kind)?;
        let public = public.try_into().map_err(|_| NoteError::Key)?;
        let key = Self::new(name, kind, public).ok_or(NoteError::Key)?;
        if key.id == id { Ok(key) } else { Err(NoteError::KeyId) }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its id, a short hash of name and key.
    #[must_use]
    pub const fn id(&self) -> u32 {
        self.id
    }

    /// What it signs.
    #[must_use]
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether a signature line claims to be by this key.
    #[must_use]
    pub fn claims(&self, signature: &Signature) -> bool {
        signature.id == self.id && signature.name == self.name
    }

    /// Checks a signature over a text. A cosignature gives its time, seconds since 1970.
    ///
    /// # Errors
    /// [`NoteError::Forged`].
    pub fn verify(&self, text: &str, signature: &Signature) -> Result<Option<u64>, NoteError> {
        let key = UnparsedPublicKey::new(&ED25519, self.public);
        let check = |message: &[u8], bytes: &[u8]| key.verify(message, bytes).map_err(|_| NoteError::Forged);
        match self.kind {
            KeyKind::Log => check(text.as_bytes(), &signature.bytes).map(|()| None),
            KeyKind::Witness => {
                let (time, bytes) = signature.bytes.split_first_chunk::<8>().ok_or(NoteError::Forged)?;
                let time = u64::from_be_bytes(*time);
                // A time of zero is a cosignature without the claim of being the newest; nobody asks for those here.
                if time == 0 || i64::try_from(time).is_err() {
                    return Err(NoteError::Forged);
                }
                check(cosigned(text, time).as_bytes(), bytes).map(|()| Some(time))
            }
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = vec![self.kind as u8];
        bytes.extend_from_slice(&self.public);
        write!(f, "{}+{:08x}+{}", self.name, self.id, BASE64_STANDARD.encode(bytes))
    }
}

/// The message of a cosignature.
fn cosigned(text: &str, time: u64) -> String {
    format!("cosignature/v1\ntime {time}\n{text}")
}

/// A key to sign with.
pub struct SigningKey {
    seed: Zeroizing<[u8; 32]>,
    pair: Ed25519KeyPair,
    verifier: VerifierKey,
}

impl SigningKey {
    /// The key that grows from 32 random bytes.
    ///
    /// # Errors
    /// [`NoteError::Key`] if the name may not be.
    pub fn from_seed(name: &str, kind: KeyKind, seed: &[u8; 32]) -> Result<Self, NoteError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| NoteError::Key)?;
        let public = pair.public_key().as_ref().try_into().map_err(|_| NoteError::Key)?;
        let verifier = VerifierKey::new(name, kind, public).ok_or(NoteError::Key)?;
        Ok(Self { seed: Zeroizing::new(*seed), pair, verifier })
    }

    /// Reads `PRIVATE+KEY+name+id+base64(kind ‖ seed)`, the form of Go's `note` package.
    ///
    /// # Errors
    /// What is wrong with it; never its bytes.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let (name, id, bytes) = parts(text.strip_prefix(PRIVATE).ok_or(NoteError::Key)?)?;
        let (kind, seed) = bytes.split_first().ok_or(NoteError::Key)?;
        let kind = KeyKind::of(*kind)?;
        let seed = <&[u8; 32]>::try_from(seed).map_err(|_| NoteError::Key)?;
        let key = Self::from_seed(name, kind, seed)?;
        if key.verifier.id == id { Ok(key) } else { Err(NoteError::KeyId) }
    }

    /// The secret in the form that [`Self::parse`] reads.
    #[must_use]
    pub fn private_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new([0; 33]);
        bytes[0] = self.verifier.kind as u8;
        bytes[1..].copy_from_slice(&self.seed[..]);
        let mut encoded = BASE64_STANDARD.encode(bytes.as_slice());
        let text = format!("{PRIVATE}{}+{:08x}+{encoded}", self.verifier.name, self.verifier.id);
        encoded.zeroize();
        Zeroizing::new(text)
    }

    /// The public half.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// Signs a text; a witness' key signs it together with the time (seconds since 1970).
    #[must_use]
    pub fn sign(&self, text: &str, time: u64) -> Signature {
        let bytes = match self.verifier.kind {
            KeyKind::Log => self.pair.sign(text.as_bytes()).as_ref().to_vec(),
            KeyKind::Witness => {
                let mut bytes = time.to_be_bytes().to_vec();
                bytes.extend_from_slice(self.pair.sign(cosigned(text, time).as_bytes()).as_ref());
                bytes
            }
        };
        Signature { name: self.verifier.name.clone(), id: self.verifier.id, bytes }
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.verifier)
    }
}

/// A signature line: `— name base64(id ‖ signature)`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Name of the key.
    pub name: String,
    /// Id of the key.
    pub id: u32,
    /// The signature, by the key's kind.
    pub bytes: Vec<u8>,
}

impl Signature {
    /// Reads a line without its end.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(line: &str) -> Result<Self, NoteError> {
        let (name, encoded) =
            line.strip_prefix(MARK).and_then(|rest| rest.split_once(' ')).ok_or(NoteError::Malformed)?;
        let bytes = BASE64_STANDARD.decode(encoded).map_err(|_| NoteError::Malformed)?;
        let (id, bytes) = bytes.split_first_chunk::<4>().ok_or(NoteError::Malformed)?;
        if !is_name(name) || bytes.is_empty() {
            return Err(NoteError::Malformed);
        }
        Ok(Self { name: name.to_owned(), id: u32::from_be_bytes(*id), bytes: bytes.to_vec() })
    }

    /// Reads lines, each with its end; at most [`SIGNATURES_MAX`].
    ///
    /// # Errors
    /// [`NoteError::Malformed`], also for none.
    pub fn parse_lines(lines: &str) -> Result<Vec<Self>, NoteError> {
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Malformed)?;
        let mut found = Vec::new();
        for line in lines.split('\n') {
            if found.len() == SIGNATURES_MAX {
                return Err(NoteError::Malformed);
            }
            found.push(Self::parse(line)?);
        }
        Ok(found)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = self.id.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.bytes);
        write!(f, "{MARK}{} {}", self.name, BASE64_STANDARD.encode(bytes))
    }
}

/// A text and signatures of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<Signature>,
}

/// A signature that holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified<'a> {
    /// The key.
    pub key: &'a VerifierKey,
    /// The signature line.
    pub signature: &'a Signature,
    /// Time of a cosignature, seconds since 1970.
    pub time: Option<u64>,
}

impl Note {
    /// A note of a text and at least one signature.
    ///
    /// # Errors
    /// [`NoteError::Malformed`]: the text does not end with a line end, or has control characters; or too many signatures.
    pub fn new(text: String, signatures: Vec<Signature>) -> Result<Self, NoteError> {
        let bad = |c: char| c < ' ' && c != '\n';
        if !text.ends_with('\n') || text.contains(bad) || signatures.is_empty() || signatures.len() > SIGNATURES_MAX {
            return Err(NoteError::Malformed);
        }
        Ok(Self { text, signatures })
    }

    /// Reads a note.
    ///
    /// # Errors
    /// [`NoteError::Malformed`].
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::Malformed);
        }
        let whole = std::str::from_utf8(bytes).map_err(|_| NoteError::Malformed)?;
        let (text, signatures) = whole.rsplit_once("\n\n").ok_or(NoteError::Malformed)?;
        Self::new(format!("{text}\n"), Signature::parse_lines(signatures)?)
    }

    /// The text, with its last line end. Nobody has vouched for it until [`Self::verify`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signatures, checked or not.
    #[must_use]
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// Adds signatures that are not there yet.
    ///
    /// # Errors
    /// [`NoteError::Malformed`]: there would be more than [`SIGNATURES_MAX`].
    pub fn add(&mut self, signatures: impl IntoIterator<Item = Signature>) -> Result<(), NoteError> {
        for signature in signatures {
            if self.signatures.contains(&signature) {
                continue;
            }
            if self.signatures.len() == SIGNATURES_MAX {
                return Err(NoteError::Malformed);
            }
            self.signatures.push(signature);
        }
        Ok(())
    }

    /// The signatures by these keys, all of which hold, at least one. Others are ignored.
    ///
    /// # Errors
    /// [`NoteError::Forged`], [`NoteError::Unsigned`].
    pub fn verify<'a>(&'a self, keys: &'a [VerifierKey]) -> Result<Vec<Verified<'a>>, NoteError> {
        let mut good = Vec::new();
        for signature in &self.signatures {
            for key in keys.iter().filter(|key| key.claims(signature)) {
                good.push(Verified { key, signature, time: key.verify(&self.text, signature)? });
            }
        }
        if good.is_empty() { Err(NoteError::Unsigned) } else { Ok(good) }
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        f.write_char('\n')?;
        self.signatures.iter().try_for_each(|signature| writeln!(f, "{signature}"))
    }
}
