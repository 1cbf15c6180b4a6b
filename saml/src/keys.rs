//! Keys: the identity provider's, from the certificate that was configured, and our own for requests.
//!
//! Of a certificate only the public key is used: it is pinned by configuration, so neither its issuer nor its dates say
//! anything. RSA of 2048 to 8192 bits, P-256 and P-384.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use ring::{rand::SystemRandom, rsa, signature};
use zeroize::Zeroizing;

const RSA_ENCRYPTION: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];

/// A key or certificate that cannot be used, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidKey(pub &'static str);

impl std::fmt::Display for InvalidKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidKey {}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
}

/// The pinned certificate of an identity provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    der: Vec<u8>,
    kind: Kind,
    key: Vec<u8>,
}

impl Certificate {
    /// From DER (RFC 5280 4.1).
    ///
    /// # Errors
    /// Not a certificate, or a key that cannot be used.
    pub fn from_der(der: &[u8]) -> Result<Self, InvalidKey> {
        const MALFORMED: InvalidKey = InvalidKey("not an X.509 certificate in DER");
        let (certificate, after) = take(der, 0x30).ok_or(MALFORMED)?;
        let (tbs, _) = take(certificate, 0x30).filter(|_| after.is_empty()).ok_or(MALFORMED)?;
        // version (only from v2 on), serial, signature, issuer, validity, subject, then the key.
        let rest = take(tbs, 0xa0).map_or(tbs, |(_, rest)| rest);
        let rest = [0x02, 0x30, 0x30, 0x30, 0x30].iter().try_fold(rest, |rest, tag| Some(take(rest, *tag)?.1));
        let (info, _) = rest.and_then(|rest| take(rest, 0x30)).ok_or(MALFORMED)?;
        let (algorithm, rest) = take(info, 0x30).ok_or(MALFORMED)?;
        let (bits, rest) = take(rest, 0x03).ok_or(MALFORMED)?;
        let (oid, parameters) = take(algorithm, 0x06).ok_or(MALFORMED)?;
        let (0, key) = bits.split_first().map(|(unused, key)| (*unused, key)).ok_or(MALFORMED)? else {
            return Err(MALFORMED);
        };
        let curve = take(parameters, 0x06).map(|(curve, _)| curve);
        let kind = match (oid, curve) {
            (RSA_ENCRYPTION, _) => Kind::Rsa,
            (EC_PUBLIC_KEY, Some(P256)) => Kind::P256,
            (EC_PUBLIC_KEY, Some(P384)) => Kind::P384,
            _ => return Err(InvalidKey("the certificate's key is neither RSA nor P-256 nor P-384")),
        };
        if !rest.is_empty() {
            return Err(MALFORMED);
        }
        Ok(Self { der: der.to_vec(), kind, key: key.to_vec() })
    }

    /// Every certificate of a PEM file.
    ///
    /// # Errors
    /// There is none, or one that cannot be used.
    pub fn from_pem(pem: &str) -> Result<Vec<Self>, InvalidKey> {
        let all: Result<Vec<_>, _> = sections(pem, "CERTIFICATE").map(|der| Self::from_der(&der?)).collect();
        all.and_then(|all| if all.is_empty() { Err(InvalidKey("no certificate in this PEM file")) } else { Ok(all) })
    }

    /// The certificate in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// Checks a signature by its algorithm's identifier (RFC 6931).
    pub(crate) fn verifies(&self, algorithm: &str, message: &[u8], signature: &[u8]) -> bool {
        let Some(name) = algorithm.strip_prefix("http://www.w3.org/2001/04/xmldsig-more#") else { return false };
        let algorithm: &dyn VerificationAlgorithm = match (name, self.kind) {
            ("rsa-sha256", Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA256,
            ("rsa-sha384", Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA384,
            ("rsa-sha512", Kind::Rsa) => &RSA_PKCS1_2048_8192_SHA512,
            ("ecdsa-sha256", Kind::P256) => &ECDSA_P256_SHA256_FIXED,
            ("ecdsa-sha384", Kind::P384) => &ECDSA_P384_SHA384_FIXED,
            _ => return false,
        };
        UnparsedPublicKey::new(algorithm, &self.key).verify(message, signature).is_ok()
    }
}

/// One DER value of this tag: its contents and what follows.
fn take(input: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&[found, first], rest) = input.split_first_chunk::<2>()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81 => (usize::from(*rest.first()?), &rest[1..]),
        0x82 => (usize::from(u16::from_be_bytes(*rest.first_chunk::<2>()?)), &rest[2..]),
        _ => return None,
    };
    rest.split_at_checked(length)
}

/// Contents of the PEM sections of one label.
fn sections<'a>(pem: &'a str, label: &'a str) -> impl Iterator<Item = Result<Zeroizing<Vec<u8>>, InvalidKey>> + 'a {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut rest = pem;
    std::iter::from_fn(move || {
        let body = &rest[rest.find(&begin)? + begin.len()..];
        let Some(length) = body.find(&end) else {
            rest = "";
            return Some(Err(InvalidKey("a PEM section does not end")));
        };
        rest = &body[length..];
        let packed: Zeroizing<String> = Zeroizing::new(body[..length].split_ascii_whitespace().collect());
        Some(STANDARD.decode(&*packed).map(Zeroizing::new).map_err(|_| InvalidKey("a PEM section is not base64")))
    })
}

/// Our own RSA key, for requests.
pub struct SigningKey(rsa::KeyPair);

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey")
    }
}

impl SigningKey {
    /// From PEM, PKCS#8 or PKCS#1.
    ///
    /// # Errors
    /// Not an RSA key of at least 2048 bits.
    pub fn from_pem(pem: &str) -> Result<Self, InvalidKey> {
        const UNFIT: InvalidKey = InvalidKey("not an RSA key of 2048 to 4096 bits in PEM");
        let pkcs8 = sections(pem, "PRIVATE KEY").next();
        let pkcs1 = sections(pem, "RSA PRIVATE KEY").next();
        let pair = match (pkcs8, pkcs1) {
            (Some(der), _) => rsa::KeyPair::from_pkcs8(&der?),
            (None, Some(der)) => rsa::KeyPair::from_der(&der?),
            (None, None) => return Err(UNFIT),
        };
        pair.map(Self).map_err(|_| UNFIT)
    }

    /// Its public half is that of this certificate.
    #[must_use]
    pub fn is_of(&self, certificate: &Certificate) -> bool {
        certificate.kind == Kind::Rsa && certificate.key == self.0.public().as_ref()
    }

    /// PKCS#1 v1.5 with SHA-256.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, InvalidKey> {
        let mut out = vec![0; self.0.public().modulus_len()];
        self.0
            .sign(&signature::RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut out)
            .map_err(|_| InvalidKey("signing failed"))?;
        Ok(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn certificate() -> Vec<u8> {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::new(vec!["idp".to_owned()]).unwrap().self_signed(&key).unwrap().der().to_vec()
    }

    #[test]
    fn the_key_of_a_certificate_is_found() {
        let key = rcgen::KeyPair::generate().unwrap();
        let made = rcgen::CertificateParams::new(vec!["idp".to_owned()]).unwrap().self_signed(&key).unwrap();
        let found = &Certificate::from_pem(&made.pem()).unwrap()[0];
        assert_eq!((found.kind, found.der()), (Kind::P256, made.der().as_ref()));
        assert!(rcgen::PublicKeyData::der_bytes(&key) == found.key);
        assert_eq!(Certificate::from_pem("").unwrap_err(), InvalidKey("no certificate in this PEM file"));
        assert!(Certificate::from_pem("-----BEGIN CERTIFICATE-----\nAAAA").is_err());
    }

    proptest! {
        #[test]
        fn a_damaged_certificate_is_refused_or_read(at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
            let mut der = certificate();
            let (at, cut) = (at.index(der.len()), cut.index(der.len()));
            der[at] = byte;
            let _ = Certificate::from_der(&der);
            let _ = Certificate::from_der(&der[..cut]);
        }
    }
}
