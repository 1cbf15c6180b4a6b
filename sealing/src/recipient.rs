//! Who may read: X25519 key pairs, and their files of one line each.
//!
//! ```text
//! tidegate-recipient-1 <public key, base64> <name>
//! tidegate-identity-1 <private key, base64> <name>
//! ```

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hpke::kem::X25519HkdfSha256;
use hpke::{Deserializable as _, Kem, Serializable as _};
use ring::digest::{SHA256, digest};
use std::fmt;
use zeroize::Zeroizing;

const PUBLIC: &str = "tidegate-recipient-1";
const PRIVATE: &str = "tidegate-identity-1";
/// Longest name, in bytes.
const NAME_BYTES_MAX: usize = 128;

pub(crate) type PublicKey = <X25519HkdfSha256 as Kem>::PublicKey;
pub(crate) type PrivateKey = <X25519HkdfSha256 as Kem>::PrivateKey;

/// Short name of a public key in wraps: the first 16 bytes of its SHA-256.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecipientId(pub [u8; 16]);

impl RecipientId {
    fn of(public: &[u8]) -> Self {
        let hash = digest(&SHA256, public);
        Self(crate::bytes::array(hash.as_ref(), 0).unwrap_or_default())
    }
}

/// Why a line is not a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineError {
    /// It begins with another word.
    NotAKey,
    /// It is a private key where a public one is expected.
    IsPrivate,
    /// It is a public key where a private one is expected.
    IsPublic,
    /// The key is not 32 bytes in base64, or is one that no exchange may use.
    BadKey,
    /// The name is missing, too long, or holds characters that are not printed.
    BadName,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotAKey => {
                "not a key: a line `tidegate-recipient-1 KEY NAME` (or `tidegate-identity-1 …`) is expected"
            }
            Self::IsPrivate => {
                "a private key where a public one is expected; make one with `tidegate keys public FILE`"
            }
            Self::IsPublic => "a public key where the private one is expected",
            Self::BadKey => "the key is not 32 bytes in base64",
            Self::BadName => {
                "the name behind the key is missing, longer than 128 bytes, or holds unprintable characters"
            }
        })
    }
}

impl std::error::Error for LineError {}

/// Somebody who can open what is sealed: a public key with a name for people.
#[derive(Clone)]
pub struct Recipient {
    pub(crate) key: PublicKey,
    id: RecipientId,
    name: String,
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recipient").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.key.to_bytes() == other.key.to_bytes()
    }
}

impl Eq for Recipient {}

impl Recipient {
    fn new(key: PublicKey, name: String) -> Self {
        Self { id: RecipientId::of(&key.to_bytes()), key, name }
    }

    /// Reads the line of a public key file; empty lines and lines that begin with `#` may stand around it.
    ///
    /// # Errors
    /// What is wrong with it; never the key.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let (word, key, name) = split(text)?;
        match word {
            PUBLIC => {}
            PRIVATE => return Err(LineError::IsPrivate),
            _ => return Err(LineError::NotAKey),
        }
        let key = PublicKey::from_bytes(&*key).map_err(|_| LineError::BadKey)?;
        Ok(Self::new(key, name))
    }

    /// The line of its file, with a line end.
    #[must_use]
    pub fn line(&self) -> String {
        format!("{PUBLIC} {} {}\n", STANDARD.encode(self.key.to_bytes()), self.name)
    }

    /// What wraps call it.
    #[must_use]
    pub fn id(&self) -> RecipientId {
        self.id
    }

    /// Name for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

/// A private key.
pub struct Identity {
    pub(crate) key: PrivateKey,
    recipient: Recipient,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("recipient", &self.recipient).finish_non_exhaustive()
    }
}

impl Identity {
    /// The key pair that follows from 32 random bytes (RFC 9180, `DeriveKeyPair`).
    ///
    /// # Errors
    /// The name cannot be written into a line.
    pub fn new(seed: &[u8; 32], name: &str) -> Result<Self, LineError> {
        check_name(name)?;
        let (key, public) = X25519HkdfSha256::derive_keypair(seed);
        Ok(Self { key, recipient: Recipient::new(public, name.to_owned()) })
    }

    /// Reads the line of a private key file.
    ///
    /// # Errors
    /// What is wrong with it; never the key.
    pub fn parse(text: &str) -> Result<Self, LineError> {
        let (word, key, name) = split(text)?;
        match word {
            PRIVATE => {}
            PUBLIC => return Err(LineError::IsPublic),
            _ => return Err(LineError::NotAKey),
        }
        let key = PrivateKey::from_bytes(&*key).map_err(|_| LineError::BadKey)?;
        let public = X25519HkdfSha256::sk_to_pk(&key);
        Ok(Self { key, recipient: Recipient::new(public, name) })
    }

    /// The line of its file, with a line end. The file must be readable by its owner alone.
    #[must_use]
    pub fn line(&self) -> Zeroizing<String> {
        let bytes = Zeroizing::new(<[u8; 32]>::from(self.key.to_bytes()));
        let key = Zeroizing::new(STANDARD.encode(*bytes));
        Zeroizing::new(format!("{PRIVATE} {} {}\n", key.as_str(), self.recipient.name))
    }

    /// Its public half.
    #[must_use]
    pub fn recipient(&self) -> &Recipient {
        &self.recipient
    }
}

fn check_name(name: &str) -> Result<(), LineError> {
    let fits = !name.is_empty() && name.len() <= NAME_BYTES_MAX && name.trim() == name;
    if fits && !name.chars().any(char::is_control) { Ok(()) } else { Err(LineError::BadName) }
}

/// Word, key and name of the only line.
fn split(text: &str) -> Result<(&str, Zeroizing<[u8; 32]>, String), LineError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else { return Err(LineError::NotAKey) };
    let (word, rest) = line.split_once(' ').ok_or(LineError::NotAKey)?;
    if word != PUBLIC && word != PRIVATE {
        return Err(LineError::NotAKey);
    }
    let (key, name) = rest.trim_start().split_once(' ').ok_or(LineError::BadName)?;
    let name = name.trim_start();
    check_name(name)?;
    let decoded = Zeroizing::new(STANDARD.decode(key).map_err(|_| LineError::BadKey)?);
    let key = <[u8; 32]>::try_from(decoded.as_slice()).map_err(|_| LineError::BadKey)?;
    Ok((word, Zeroizing::new(key), name.to_owned()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn lines_are_read_back() {
        let identity = Identity::new(&[7; 32], "ana of audit").unwrap();
        let again = Identity::parse(&identity.line()).unwrap();
        assert_eq!(again.recipient(), identity.recipient());
        assert_eq!(again.recipient().name(), "ana of audit");
        let public = Recipient::parse(&format!("# who\n\n{}", identity.recipient().line())).unwrap();
        assert_eq!(public.id(), identity.recipient().id());
        assert_ne!(Identity::new(&[8; 32], "x").unwrap().recipient().id(), public.id());
    }

    #[test]
    fn wrong_lines_say_what_is_wrong_and_never_the_key() {
        let identity = Identity::new(&[7; 32], "ana").unwrap();
        assert_eq!(Recipient::parse(&identity.line()).unwrap_err(), LineError::IsPrivate);
        assert_eq!(Identity::parse(&identity.recipient().line()).unwrap_err(), LineError::IsPublic);
        for (text, error) in [
            ("", LineError::NotAKey),
            ("ssh-ed25519 AAAA x", LineError::NotAKey),
            ("tidegate-recipient-1 AAAA ana", LineError::BadKey),
            ("tidegate-recipient-1 AAAA", LineError::BadName),
        ] {
            assert_eq!(Recipient::parse(text).unwrap_err(), error, "{text}");
        }
        let two = format!("{0}{0}", identity.recipient().line());
        assert_eq!(Recipient::parse(&two).unwrap_err(), LineError::NotAKey);
        assert_eq!(Identity::new(&[1; 32], "a\nb").unwrap_err(), LineError::BadName);
        assert!(!format!("{identity:?}").contains(identity.line().split(' ').nth(1).unwrap()));
    }
}
