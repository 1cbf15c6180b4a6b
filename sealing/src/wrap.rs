//! A session's key for one recipient: HPKE, base mode (RFC 9180), DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM;
//! info `tidegate/dek-wrap/v1`, aad = session (16) ‖ commitment (32).

use crate::recipient::{Identity, Recipient, RecipientId};
use crate::session_key::{DEK_BYTES, OpenError, SessionKey};
use hpke::aead::AesGcm256;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::{
    Deserializable as _, Kem, OpModeR, OpModeS, Serializable as _, single_shot_open, single_shot_seal_with_rng,
};
use rand_core::{Infallible, TryCryptoRng, TryRng};
use zeroize::Zeroizing;

const INFO: &[u8] = b"tidegate/dek-wrap/v1";
/// Bytes of a wrap: recipient (16), encapsulated key (32), sealed key (32 + 16).
pub const WRAP_BYTES: usize = 16 + 32 + SEALED_BYTES;
const SEALED_BYTES: usize = DEK_BYTES + 16;

/// A session's key, wrapped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrap {
    /// Whom it is for.
    pub recipient: RecipientId,
    pub(crate) encapsulated: [u8; 32],
    pub(crate) sealed: [u8; SEALED_BYTES],
}

impl Wrap {
    pub(crate) fn encode(&self) -> [u8; WRAP_BYTES] {
        let mut out = [0; WRAP_BYTES];
        out[..16].copy_from_slice(&self.recipient.0);
        out[16..48].copy_from_slice(&self.encapsulated);
        out[48..].copy_from_slice(&self.sealed);
        out
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let recipient = RecipientId(crate::bytes::array(bytes, 0)?);
        Some(Self { recipient, encapsulated: crate::bytes::array(bytes, 16)?, sealed: crate::bytes::array(bytes, 48)? })
    }
}

/// The caller's random bytes, given out once. HPKE asks for 32 (the ephemeral key's seed).
struct Seed(Zeroizing<[u8; 32]>, usize);

impl TryRng for Seed {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, out: &mut [u8]) -> Result<(), Infallible> {
        let rest = self.0.get(self.1..).unwrap_or_default();
        assert!(out.len() <= rest.len(), "randomness is never used twice");
        out.copy_from_slice(&rest[..out.len()]);
        self.1 += out.len();
        Ok(())
    }
}

impl TryCryptoRng for Seed {}

fn aad(session: &[u8; 16], commitment: &[u8; 32]) -> [u8; 48] {
    let mut aad = [0; 48];
    aad[..16].copy_from_slice(session);
    aad[16..].copy_from_slice(commitment);
    aad
}

/// Wraps a session's key for a recipient. `seed` is 32 random bytes that are used for nothing else. Takes about 0.1 ms.
///
/// # Errors
/// The recipient's key is one that X25519 does not allow.
pub fn wrap(key: &SessionKey, recipient: &Recipient, seed: Zeroizing<[u8; 32]>) -> Result<Wrap, OpenError> {
    let aad = aad(&key.session(), &key.commitment());
    let (encapsulated, sealed) = single_shot_seal_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeS::Base,
        &recipient.key,
        INFO,
        key.dek(),
        &aad,
        &mut Seed(seed, 0),
    )
    .map_err(|_| OpenError::Wrap)?;
    let sealed = sealed.try_into().map_err(|_| OpenError::Wrap)?;
    Ok(Wrap { recipient: recipient.id(), encapsulated: encapsulated.to_bytes().into(), sealed })
}

/// Opens a wrap and checks what is in it against the commitment.
///
/// # Errors
/// It is for somebody else, was changed, or holds another key.
pub fn unwrap(
    wrap: &Wrap,
    identity: &Identity,
    session: [u8; 16],
    commitment: &[u8; 32],
) -> Result<SessionKey, OpenError> {
    type Encapsulated = <X25519HkdfSha256 as Kem>::EncappedKey;
    if wrap.recipient != identity.recipient().id() {
        return Err(OpenError::Wrap);
    }
    let encapsulated = Encapsulated::from_bytes(&wrap.encapsulated).map_err(|_| OpenError::Wrap)?;
    let aad = aad(&session, commitment);
    let opened = single_shot_open::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
        &OpModeR::Base,
        &identity.key,
        &encapsulated,
        INFO,
        &wrap.sealed,
        &aad,
    );
    let opened = Zeroizing::new(opened.map_err(|_| OpenError::Wrap)?);
    let dek = <[u8; DEK_BYTES]>::try_from(opened.as_slice()).map_err(|_| OpenError::Wrap)?;
    SessionKey::committed(session, Zeroizing::new(dek), commitment)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    fn key() -> SessionKey {
        SessionKey::new([5; 16], Zeroizing::new([6; 32]))
    }

    #[test]
    fn only_its_recipient_opens_a_wrap() {
        let (ana, eve) = (Identity::new(&[1; 32], "ana").unwrap(), Identity::new(&[2; 32], "eve").unwrap());
        let key = key();
        let wrapped = wrap(&key, ana.recipient(), Zeroizing::new([9; 32])).unwrap();
        assert_eq!(Wrap::decode(&wrapped.encode()).unwrap(), wrapped);
        let opened = unwrap(&wrapped, &ana, [5; 16], &key.commitment()).unwrap();
        assert_eq!(opened.dek(), key.dek());
        assert_eq!(unwrap(&wrapped, &eve, [5; 16], &key.commitment()).unwrap_err(), OpenError::Wrap);
        let as_eve = Wrap { recipient: eve.recipient().id(), ..wrapped };
        assert_eq!(unwrap(&as_eve, &eve, [5; 16], &key.commitment()).unwrap_err(), OpenError::Wrap);
        assert_eq!(unwrap(&wrapped, &ana, [4; 16], &key.commitment()).unwrap_err(), OpenError::Wrap);
        assert_eq!(unwrap(&wrapped, &ana, [5; 16], &[0; 32]).unwrap_err(), OpenError::Wrap);
    }

    #[test]
    fn a_wrap_of_another_key_under_this_commitment_is_refused() {
        // Whoever wraps chooses the additional data too, so the commitment itself must be checked.
        let ana = Identity::new(&[1; 32], "ana").unwrap();
        let claimed = key().commitment();
        let other = [7; DEK_BYTES];
        let (encapsulated, sealed) = single_shot_seal_with_rng::<AesGcm256, HkdfSha256, X25519HkdfSha256>(
            &OpModeS::Base,
            &ana.recipient().key,
            INFO,
            &other,
            &aad(&[5; 16], &claimed),
            &mut Seed(Zeroizing::new([9; 32]), 0),
        )
        .unwrap();
        let forged = Wrap {
            recipient: ana.recipient().id(),
            encapsulated: encapsulated.to_bytes().into(),
            sealed: sealed.try_into().unwrap(),
        };
        assert_eq!(unwrap(&forged, &ana, [5; 16], &claimed).unwrap_err(), OpenError::Commitment);
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let ana = Identity::new(&[1; 32], "ana").unwrap();
        let bytes = wrap(&key(), ana.recipient(), Zeroizing::new([9; 32])).unwrap().encode();
        for at in 0..bytes.len() {
            let mut changed = bytes;
            changed[at] ^= 0x40;
            let changed = Wrap::decode(&changed).unwrap();
            assert!(unwrap(&changed, &ana, [5; 16], &key().commitment()).is_err(), "byte {at}");
        }
    }
}
