//! What is sealed at rest: AES-256-GCM under a key that is kept outside of the data directory.
//!
//! Invariants: a fresh random nonce each time, written in front; the context (what the bytes are, and whose) is
//! authenticated, so sealed bytes cannot be moved to another place. Key files hold 64 hexadecimal digits, mode 0600.

use crate::engine::{AccessError, hex};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

/// Seals and opens.
pub struct AtRest {
    key: LessSafeKey,
}

impl std::fmt::Debug for AtRest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("AtRest")
    }
}

impl AtRest {
    /// From 32 bytes.
    ///
    /// # Errors
    /// Never for 32 bytes.
    pub fn new(key: &[u8; 32]) -> Result<Self, AccessError> {
        let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| AccessError::Sealed)?;
        Ok(Self { key: LessSafeKey::new(key) })
    }

    /// Reads the key file; makes one, readable by its owner only, if there is none.
    ///
    /// # Errors
    /// It cannot be read or made, holds no key, or others may read it.
    pub fn open_file(path: &Path) -> io::Result<Self> {
        let wrong = |what: String| io::Error::new(io::ErrorKind::InvalidData, what);
        let mut text = String::new();
        match File::open(path) {
            Ok(mut file) => {
                if file.metadata()?.permissions().mode() & 0o077 != 0 {
                    return Err(wrong(format!("{} may be read by others: chmod 600 it", path.display())));
                }
                io::Read::by_ref(&mut file).take(4096).read_to_string(&mut text)?;
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let mut key = [0; 32];
                getrandom::fill(&mut key).map_err(|error| io::Error::other(error.to_string()))?;
                text = hex(&key);
                let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
                file.write_all(text.as_bytes())?;
                file.write_all(b"\n")?;
                file.sync_all()?;
            }
            Err(error) => return Err(error),
        }
        let digits = text.trim().as_bytes();
        let mut key = [0; 32];
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let whole = digits.len() == 64
            && key.iter_mut().zip(digits.chunks_exact(2)).all(|(out, pair)| match (digit(pair[0]), digit(pair[1])) {
                (Some(high), Some(low)) => {
                    *out = high << 4 | low;
                    true
                }
                _ => false,
            });
        if !whole {
            return Err(wrong(format!("{} does not hold 64 hexadecimal digits", path.display())));
        }
        Self::new(&key).map_err(|_| wrong("the key cannot be used".to_owned()))
    }

    /// Seals; base64.
    ///
    /// # Errors
    /// No randomness.
    pub fn seal(&self, context: &str, plain: &[u8]) -> Result<String, AccessError> {
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| AccessError::Sealed)?;
        let mut bytes = plain.to_vec();
        self.key
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(context.as_bytes()), &mut bytes)
            .map_err(|_| AccessError::Sealed)?;
        let mut all = nonce.to_vec();
        all.append(&mut bytes);
        Ok(STANDARD.encode(all))
    }

    /// Opens.
    ///
    /// # Errors
    /// Not sealed under this key for this context.
    pub fn open(&self, context: &str, sealed: &str) -> Result<Vec<u8>, AccessError> {
        let all = STANDARD.decode(sealed).map_err(|_| AccessError::Sealed)?;
        let (nonce, bytes) = all.split_first_chunk::<NONCE_LEN>().ok_or(AccessError::Sealed)?;
        let mut bytes = bytes.to_vec();
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let plain = self
            .key
            .open_in_place(nonce, Aad::from(context.as_bytes()), &mut bytes)
            .map_err(|_| AccessError::Sealed)?;
        Ok(plain.to_vec())
    }
}
