//! The gateway's or a service's own key: assertions that prove a client (`private_key_jwt`, RFC 7523).

use crate::{algorithm::Algorithm, fault::Error, secret::Secret};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use ring::{
    rand::SystemRandom,
    signature::{self, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair},
};
use rustls::pki_types::{PrivateKeyDer, pem::PemObject as _};
use std::fmt;

/// How long an assertion is valid, in seconds.
const ASSERTION_SECONDS: u64 = 60;

/// A private key that signs tokens.
pub struct Signer {
    key: Key,
    algorithm: Algorithm,
    kid: Option<String>,
}

enum Key {
    Rsa(Box<RsaKeyPair>),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({})", self.algorithm.name())
    }
}

impl Signer {
    /// Reads a private key in PEM: RSA, P-256, P-384 or Ed25519. An RSA key signs RS256.
    ///
    /// # Errors
    /// It is not such a key; the text does not hold any of it.
    pub fn from_pem(pem: &[u8], kid: Option<String>) -> Result<Self, &'static str> {
        let der = PrivateKeyDer::from_pem_slice(pem).map_err(|_| "it is not a private key in PEM")?;
        let (key, algorithm) = match &der {
            PrivateKeyDer::Pkcs1(der) => {
                let key = RsaKeyPair::from_der(der.secret_pkcs1_der()).map_err(|_| "the RSA key is malformed")?;
                (Key::Rsa(Box::new(key)), Algorithm::Rs256)
            }
            PrivateKeyDer::Pkcs8(der) => {
                let der = der.secret_pkcs8_der();
                let random = SystemRandom::new();
                let p256 = &signature::ECDSA_P256_SHA256_FIXED_SIGNING;
                let p384 = &signature::ECDSA_P384_SHA384_FIXED_SIGNING;
                if let Ok(key) = RsaKeyPair::from_pkcs8(der) {
                    (Key::Rsa(Box::new(key)), Algorithm::Rs256)
                } else if let Ok(key) = EcdsaKeyPair::from_pkcs8(p256, der, &random) {
                    (Key::Ecdsa(key), Algorithm::Es256)
                } else if let Ok(key) = EcdsaKeyPair::from_pkcs8(p384, der, &random) {
                    (Key::Ecdsa(key), Algorithm::Es384)
                } else if let Ok(key) = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der) {
                    (Key::Ed25519(key), Algorithm::EdDsa)
                } else {
                    return Err("the key is not RSA (2048 bits or more), P-256, P-384 or Ed25519");
                }
            }
            _ => return Err("the key has to be in PKCS #8 form: openssl pkcs8 -topk8 -nodes"),
        };
        Ok(Self { key, algorithm, kid })
    }

    /// An RSA key signs PS256 from now on; other keys have one algorithm.
    #[must_use]
    pub fn with_pss(mut self) -> Self {
        if matches!(self.key, Key::Rsa(_)) {
            self.algorithm = Algorithm::Ps256;
        }
        self
    }

    /// The algorithm it signs with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The public half as a set of one key, for the provider's configuration.
    #[must_use]
    pub fn public_set(&self) -> serde_json::Value {
        let mut key = match &self.key {
            Key::Rsa(pair) => {
                let public: ring::rsa::PublicKeyComponents<Vec<u8>> = pair.public().into();
                serde_json::json!({"kty": "RSA", "n": BASE64.encode(public.n), "e": BASE64.encode(public.e)})
            }
            Key::Ecdsa(pair) => {
                let point = pair.public_key().as_ref().get(1..).unwrap_or_default();
                let (x, y) = point.split_at(point.len() / 2);
                let curve = if self.algorithm == Algorithm::Es384 { "P-384" } else { "P-256" };
                serde_json::json!({"kty": "EC", "crv": curve, "x": BASE64.encode(x), "y": BASE64.encode(y)})
            }
            Key::Ed25519(pair) => {
                serde_json::json!({"kty": "OKP", "crv": "Ed25519", "x": BASE64.encode(pair.public_key().as_ref())})
            }
        };
        key["use"] = "sig".into();
        key["alg"] = self.algorithm.name().into();
        if let Some(kid) = &self.kid {
            key["kid"] = kid.as_str().into();
        }
        serde_json::json!({ "keys": [key] })
    }

    /// Signs claims under this type.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn sign(&self, typ: &str, claims: &serde_json::Value) -> Result<Secret, Error> {
        let mut header = serde_json::json!({"alg": self.algorithm.name(), "typ": typ});
        if let Some(kid) = &self.kid {
            header["kid"] = kid.as_str().into();
        }
        let signed = format!("{}.{}", BASE64.encode(header.to_string()), BASE64.encode(claims.to_string()));
        let random = SystemRandom::new();
        let signature = match &self.key {
            Key::Rsa(pair) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                let padding: &dyn signature::RsaEncoding = match self.algorithm {
                    Algorithm::Ps256 => &signature::RSA_PSS_SHA256,
                    _ => &signature::RSA_PKCS1_SHA256,
                };
                pair.sign(padding, &random, signed.as_bytes(), &mut signature).map_err(|_| Error::NoRandomness)?;
                signature
            }
            Key::Ecdsa(pair) => {
                let signature = pair.sign(&random, signed.as_bytes()).map_err(|_| Error::NoRandomness)?;
                signature.as_ref().to_vec()
            }
            Key::Ed25519(pair) => pair.sign(signed.as_bytes()).as_ref().to_vec(),
        };
        Ok(Secret::new(format!("{signed}.{}", BASE64.encode(signature))))
    }

    /// An assertion of this client for this audience at this time (seconds since 1970), valid for a minute.
    ///
    /// # Errors
    /// There is no randomness.
    pub fn assertion(&self, client: &str, audience: &str, now: u64) -> Result<Secret, Error> {
        let id = Secret::random()?;
        let claims = serde_json::json!({
            "iss": client, "sub": client, "aud": audience, "jti": id.expose(),
            "iat": now, "exp": now + ASSERTION_SECONDS,
        });
        self.sign("JWT", &claims)
    }
}
