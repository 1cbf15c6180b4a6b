//! Sets of public keys (RFC 7517), and signatures checked with them.
//!
//! A key fits an algorithm by its own type and curve, never by what a token says alone; where the set names an algorithm for
//! it, only that one. Symmetric keys and keys for encryption are passed over, so a set never makes a signature possible that
//! needs no private key.

use crate::{KEYS_BYTES_MAX, algorithm::Algorithm, fault::Fault, json};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::signature::{self, UnparsedPublicKey, VerificationAlgorithm};
use serde_json::{Map, Value};

/// Most keys of a set.
const KEYS_MAX: usize = 128;

/// The public keys of an issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySet(Vec<Key>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Key {
    kid: Option<String>,
    algorithm: Option<Algorithm>,
    material: Material,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Material {
    Rsa { n: Vec<u8>, e: Vec<u8> },
    P256(Vec<u8>),
    P384(Vec<u8>),
    Ed25519(Vec<u8>),
}

impl KeySet {
    /// Reads a set. Keys that cannot check a signature are passed over.
    ///
    /// # Errors
    /// It is not a set, or larger than its limits.
    pub fn parse(bytes: &[u8]) -> Result<Self, Fault> {
        if bytes.len() > KEYS_BYTES_MAX {
            return Err(Fault::TooLarge);
        }
        let set = json::object(bytes)?;
        let Some(Value::Array(list)) = set.get("keys") else {
            return Err(Fault::Json);
        };
        if list.len() > KEYS_MAX {
            return Err(Fault::TooLarge);
        }
        Ok(Self(list.iter().filter_map(|key| Key::read(key.as_object()?)).collect()))
    }

    /// How many keys there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks a signature with the one key of this name that fits; without a name, with the one key that fits.
    pub(crate) fn verify(
        &self,
        kid: Option<&str>,
        algorithm: Algorithm,
        signed: &[u8],
        signature: &[u8],
    ) -> Result<(), Fault> {
        let fits = |key: &&Key| kid.is_none_or(|kid| key.kid.as_deref() == Some(kid)) && key.fits(algorithm);
        let mut fitting = self.0.iter().filter(fits);
        let key = fitting.next().ok_or(Fault::Key)?;
        if fitting.next().is_some() {
            return Err(Fault::AmbiguousKey);
        }
        key.verify(algorithm, signed, signature)
    }
}

impl Key {
    fn read(key: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| key.get(name).and_then(Value::as_str);
        // SPIFFE's bundles mark the keys of tokens with a use of their own (JWT-SVID, section 4).
        if key.contains_key("use") && !matches!(text("use"), Some("sig" | "jwt-svid")) {
            return None;
        }
        if let Some(operations) = key.get("key_ops")
            && !operations.as_array().is_some_and(|all| all.iter().any(|one| one == "verify"))
        {
            return None;
        }
        let algorithm = match key.get("alg") {
            None => None,
            Some(name) => Some(Algorithm::parse(name.as_str()?)?),
        };
        let kid = match key.get("kid") {
            None => None,
            Some(kid) => Some(kid.as_str()?.to_owned()),
        };
        let bytes = |name: &str| BASE64.decode(text(name)?).ok();
        let point = |len: usize| {
            let (x, y) = (bytes("x")?, bytes("y")?);
            let mut point = vec![4];
            point.extend(&x);
            point.extend(&y);
            (x.len() == len && y.len() == len).then_some(point)
        };
        let material = match (text("kty")?, text("crv")) {
            ("RSA", _) => Material::Rsa { n: unsigned(bytes("n")?), e: unsigned(bytes("e")?) },
            ("EC", Some("P-256")) => Material::P256(point(32)?),
            ("EC", Some("P-384")) => Material::P384(point(48)?),
            ("OKP", Some("Ed25519")) => Material::Ed25519(bytes("x").filter(|x| x.len() == 32)?),
            _ => return None,
        };
        Some(Self { kid, algorithm, material })
    }

    fn fits(&self, algorithm: Algorithm) -> bool {
        let by_type = matches!(
            (&self.material, algorithm),
            (Material::Rsa { .. }, Algorithm::Rs256 | Algorithm::Ps256)
                | (Material::P256(_), Algorithm::Es256)
                | (Material::P384(_), Algorithm::Es384)
                | (Material::Ed25519(_), Algorithm::EdDsa)
        );
        by_type && self.algorithm.is_none_or(|own| own == algorithm)
    }

    fn verify(&self, algorithm: Algorithm, signed: &[u8], signature: &[u8]) -> Result<(), Fault> {
        let plain = |scheme: &'static dyn VerificationAlgorithm, key: &[u8]| {
            UnparsedPublicKey::new(scheme, key).verify(signed, signature)
        };
        let checked = match (&self.material, algorithm) {
            (Material::Rsa { n, e }, Algorithm::Rs256) => signature::RsaPublicKeyComponents { n, e }.verify(
                &signature::RSA_PKCS1_2048_8192_SHA256,
                signed,
                signature,
            ),
            (Material::Rsa { n, e }, Algorithm::Ps256) => signature::RsaPublicKeyComponents { n, e }.verify(
                &signature::RSA_PSS_2048_8192_SHA256,
                signed,
                signature,
            ),
            (Material::P256(point), Algorithm::Es256) => plain(&signature::ECDSA_P256_SHA256_FIXED, point),
            (Material::P384(point), Algorithm::Es384) => plain(&signature::ECDSA_P384_SHA384_FIXED, point),
            (Material::Ed25519(key), Algorithm::EdDsa) => plain(&signature::ED25519, key),
            _ => return Err(Fault::Key),
        };
        checked.map_err(|_| Fault::Signature)
    }
}

/// A big-endian number without leading zeros, which some sets have and `ring` refuses.
fn unsigned(mut bytes: Vec<u8>) -> Vec<u8> {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    bytes.drain(..zeros);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_that_cannot_check_signatures_are_passed_over() {
        let point = BASE64.encode([1; 32]);
        for key in [
            r#"{"kty":"oct","k":"c2VjcmV0"}"#.to_owned(),
            r#"{"kty":"RSA","n":"AQAB"}"#.to_owned(),
            format!(r#"{{"kty":"EC","crv":"P-256","x":"{point}","y":"AA"}}"#),
            format!(r#"{{"kty":"EC","crv":"secp256k1","x":"{point}","y":"{point}"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{point}","use":"enc"}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{point}","key_ops":["encrypt"]}}"#),
            format!(r#"{{"kty":"OKP","crv":"Ed25519","x":"{point}","alg":"HS256"}}"#),
            format!(r#"{{"kty":"OKP","crv":"X25519","x":"{point}"}}"#),
            "7".to_owned(),
        ] {
            let set = KeySet::parse(format!(r#"{{"keys":[{key}]}}"#).as_bytes()).unwrap();
            assert!(set.is_empty(), "{key}");
        }
        let good = format!(r#"{{"keys":[{{"kty":"OKP","crv":"Ed25519","x":"{point}","use":"sig"}}]}}"#);
        assert_eq!(KeySet::parse(good.as_bytes()).unwrap().len(), 1);
    }

    #[test]
    fn sets_are_bounded_and_strict() {
        assert_eq!(KeySet::parse(&vec![b' '; 10 << 20]), Err(Fault::TooLarge));
        assert_eq!(KeySet::parse(br#"{"keys":[],"keys":[]}"#), Err(Fault::Duplicate));
        assert_eq!(KeySet::parse(b"[]"), Err(Fault::Json));
        assert_eq!(KeySet::parse(b"{}"), Err(Fault::Json));
        let many = format!(r#"{{"keys":[{}]}}"#, vec!["{}"; 129].join(","));
        assert_eq!(KeySet::parse(many.as_bytes()), Err(Fault::TooLarge));
    }
}
