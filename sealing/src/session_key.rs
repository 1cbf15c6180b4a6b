//! The key of one session, and fields sealed under it.
//!
//! ```text
//! sealed field = nonce (12) ‖ AES-256-GCM(HKDF(key, "fields"), nonce, field, aad) ‖ tag (16)
//! nonce        = count of the fields this session sealed before (8, big-endian) ‖ number of the field (4, big-endian)
//! aad          = session (16) ‖ statement (8, big-endian) ‖ number of the field (4, big-endian)
//! ```
//!
//! The nonce counts and does not follow from the statement: a statement can have an intent and a refusal, with different
//! texts. AES-GCM does not commit to its key, so a key is checked against its commitment first.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{Context, SHA256};
use ring::hkdf::{HKDF_SHA256, KeyType, Salt};
use ring::hmac;
use std::cell::Cell;
use std::fmt;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Bytes of a session's key.
pub const DEK_BYTES: usize = 32;
/// Bytes of an AES-GCM tag.
pub(crate) const TAG_BYTES: usize = 16;

/// Numbers of sealed fields, as in `audit.cddl`.
pub mod field {
    /// Text of a statement.
    pub const TEXT: u32 = 64;
    /// Parameters of a statement.
    pub const PARAMETERS: u32 = 66;
}

/// Why something does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenError {
    /// The key does not match the commitment.
    Commitment,
    /// The wrap is for somebody else, or was changed.
    Wrap,
    /// The sealed bytes are too short, were changed, or belong to another place.
    Sealed,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Commitment => "the key is not the one that the session committed to",
            Self::Wrap => "the wrapped key does not open with this identity",
            Self::Sealed => "the sealed bytes do not open: they were changed, or belong elsewhere",
        })
    }
}

impl std::error::Error for OpenError {}

/// What a session's first record says about its key: SHA-256("dek-commit/v1" ‖ key).
#[must_use]
pub fn commitment(dek: &[u8; DEK_BYTES]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    context.update(b"dek-commit/v1");
    context.update(dek);
    crate::bytes::array(context.finish().as_ref(), 0).unwrap_or_default()
}

struct Derived;

impl KeyType for Derived {
    fn len(&self) -> usize {
        32
    }
}

/// HKDF-SHA256 without salt (RFC 5869), 32 bytes.
fn derive(dek: &[u8; DEK_BYTES], purpose: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut out = Zeroizing::new([0; 32]);
    let info = [purpose];
    let expanded = Salt::new(HKDF_SHA256, &[]).extract(dek).expand(&info, Derived).map(|okm| okm.fill(&mut *out));
    // 32 bytes are always within what HKDF gives; a key of zeros must not be the answer to anything else.
    assert!(matches!(expanded, Ok(Ok(()))), "HKDF gives 32 bytes");
    out
}

pub(crate) fn aes(key: &[u8; 32]) -> LessSafeKey {
    match UnboundKey::new(&AES_256_GCM, key) {
        Ok(key) => LessSafeKey::new(key),
        Err(_) => unreachable!("AES-256 takes 32 bytes"),
    }
}

/// A session's key with what follows from it. The key itself is wiped when this is dropped; the expanded AES and HMAC
/// states live in `ring`, which frees them without wiping.
pub struct SessionKey {
    session: [u8; 16],
    dek: Zeroizing<[u8; DEK_BYTES]>,
    fields: LessSafeKey,
    parameters: hmac::Key,
    sealed: Cell<u64>,
}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionKey").field("sealed", &self.sealed).finish_non_exhaustive()
    }
}

impl SessionKey {
    /// From 32 random bytes, for the session that they were drawn for.
    #[must_use]
    pub fn new(session: [u8; 16], dek: Zeroizing<[u8; DEK_BYTES]>) -> Self {
        Self {
            session,
            fields: aes(&derive(&dek, b"fields")),
            parameters: hmac::Key::new(hmac::HMAC_SHA256, &*derive(&dek, b"parameters")),
            dek,
            sealed: Cell::new(0),
        }
    }

    /// A key that was unwrapped, for reading.
    ///
    /// # Errors
    /// It does not match the commitment.
    pub fn committed(
        session: [u8; 16],
        dek: Zeroizing<[u8; DEK_BYTES]>,
        committed: &[u8; 32],
    ) -> Result<Self, OpenError> {
        if commitment(&dek).ct_eq(committed).into() { Ok(Self::new(session, dek)) } else { Err(OpenError::Commitment) }
    }

    /// Its commitment.
    #[must_use]
    pub fn commitment(&self) -> [u8; 32] {
        commitment(&self.dek)
    }

    /// The session.
    #[must_use]
    pub fn session(&self) -> [u8; 16] {
        self.session
    }

    pub(crate) fn dek(&self) -> &[u8; DEK_BYTES] {
        &self.dek
    }

    fn aad(&self, statement: u64, field: u32) -> [u8; 28] {
        let mut aad = [0; 28];
        aad[..16].copy_from_slice(&self.session);
        aad[16..24].copy_from_slice(&statement.to_be_bytes());
        aad[24..].copy_from_slice(&field.to_be_bytes());
        aad
    }

    /// Seals a field of a statement's record.
    #[must_use]
    pub fn seal(&self, statement: u64, field: u32, plain: &[u8]) -> Vec<u8> {
        let count = self.sealed.get();
        self.sealed.set(count + 1);
        let mut nonce = [0; NONCE_LEN];
        nonce[..8].copy_from_slice(&count.to_be_bytes());
        nonce[8..].copy_from_slice(&field.to_be_bytes());
        let mut out = Vec::with_capacity(NONCE_LEN + plain.len() + TAG_BYTES);
        out.extend_from_slice(&nonce);
        out.extend_from_slice(plain);
        let aad = Aad::from(self.aad(statement, field));
        let body = &mut out[NONCE_LEN..];
        match self.fields.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, body) {
            Ok(tag) => out.extend_from_slice(tag.as_ref()),
            // Only a text of 64 GiB is too long for AES-GCM. Nothing of it may be stored in clear.
            Err(_) => out.clear(),
        }
        out
    }

    /// Opens a sealed field.
    ///
    /// # Errors
    /// It was changed, or belongs to another session, statement or field.
    pub fn open(&self, statement: u64, field: u32, sealed: &[u8]) -> Result<Vec<u8>, OpenError> {
        let (nonce, body) = sealed.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Sealed)?;
        let mut plain = body.to_vec();
        let aad = Aad::from(self.aad(statement, field));
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let length = self.fields.open_in_place(nonce, aad, &mut plain).map_err(|_| OpenError::Sealed)?.len();
        plain.truncate(length);
        Ok(plain)
    }

    /// Keyed digest of a statement's parameters: HMAC-SHA256 under HKDF(key, "parameters") of their SHA-256, so that a
    /// short parameter cannot be found by trying.
    #[must_use]
    pub fn parameters_digest(&self, digest: &[u8; 32]) -> [u8; 32] {
        crate::bytes::array(hmac::sign(&self.parameters, digest).as_ref(), 0).unwrap_or_default()
    }

    /// Key of the session's recording.
    pub(crate) fn recording(&self) -> Zeroizing<[u8; 32]> {
        derive(&self.dek, b"recording")
    }

    /// Key of the digests in its recording, where those stand for what was sent.
    #[must_use]
    pub fn digests(&self) -> Zeroizing<[u8; 32]> {
        derive(&self.dek, b"digest")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    fn key(session: u8, dek: u8) -> SessionKey {
        SessionKey::new([session; 16], Zeroizing::new([dek; 32]))
    }

    #[test]
    fn derived_keys_are_those_of_rfc_5869() {
        // Section 2: extract is an HMAC under a key of 32 zeros, the first 32 bytes are one more over info and 1.
        let derived = derive(&[7; 32], b"fields");
        let zeros = hmac::Key::new(hmac::HMAC_SHA256, &[0; 32]);
        let extracted = hmac::sign(&zeros, &[7; 32]);
        let expanded = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, extracted.as_ref()), b"fields\x01");
        assert_eq!(derived.as_slice(), expanded.as_ref());
    }

    #[test]
    fn a_key_that_is_not_the_committed_one_is_refused() {
        let good = key(1, 2).commitment();
        assert!(SessionKey::committed([1; 16], Zeroizing::new([2; 32]), &good).is_ok());
        let wrong = SessionKey::committed([1; 16], Zeroizing::new([3; 32]), &good);
        assert_eq!(wrong.unwrap_err(), OpenError::Commitment);
    }

    #[test]
    fn the_same_field_sealed_twice_has_another_nonce() {
        let key = key(1, 2);
        let nonces: HashSet<Vec<u8>> = (0..100).map(|_| key.seal(5, field::TEXT, b"select 1")[..12].to_vec()).collect();
        assert_eq!(nonces.len(), 100);
    }

    #[test]
    fn digests_of_parameters_need_the_key() {
        assert_ne!(key(1, 2).parameters_digest(&[9; 32]), key(1, 3).parameters_digest(&[9; 32]));
        assert_eq!(key(1, 2).parameters_digest(&[9; 32]), key(4, 2).parameters_digest(&[9; 32]));
    }

    proptest! {
        #[test]
        fn what_is_sealed_opens_in_its_place_only(
            text in proptest::collection::vec(any::<u8>(), 0..300), statement: u64, flip: prop::sample::Index,
        ) {
            let writer = key(1, 2);
            let sealed = writer.seal(statement, field::TEXT, &text);
            let reader = key(1, 2);
            prop_assert_eq!(reader.open(statement, field::TEXT, &sealed).unwrap(), text);
            for other in [key(1, 3), key(2, 2)] {
                prop_assert_eq!(other.open(statement, field::TEXT, &sealed).unwrap_err(), OpenError::Sealed);
            }
            prop_assert!(reader.open(statement.wrapping_add(1), field::TEXT, &sealed).is_err());
            prop_assert!(reader.open(statement, field::PARAMETERS, &sealed).is_err());
            let mut changed = sealed;
            let at = flip.index(changed.len());
            changed[at] ^= 1;
            prop_assert!(reader.open(statement, field::TEXT, &changed).is_err());
        }

        #[test]
        fn anything_may_be_opened(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            prop_assert!(key(1, 2).open(1, field::TEXT, &bytes).is_err());
        }
    }
}
