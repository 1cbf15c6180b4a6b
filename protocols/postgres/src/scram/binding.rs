//! `tls-server-end-point` (RFC 5929, section 4): the hash of a certificate by the hash of its signature algorithm.
//!
//! Reads just enough DER: `Certificate ::= SEQUENCE { tbsCertificate, signatureAlgorithm SEQUENCE { OID, .. }, .. }`.
//! Deliberately absent: any judgement about the certificate; TLS has made it.

use sha2::{Digest as _, Sha224, Sha256, Sha384, Sha512};

/// The hash, or `None` where the binding is undefined (Ed25519, unknown algorithms) or the bytes are no certificate. Without
/// one, PLUS is not offered and not used.
#[must_use]
pub fn end_point_hash(certificate_der: &[u8]) -> Option<Vec<u8>> {
    let (certificate, _) = take(certificate_der, SEQUENCE)?;
    let (_tbs, after) = take(certificate, SEQUENCE)?;
    let (algorithm, _) = take(after, SEQUENCE)?;
    let (oid, parameters) = take(algorithm, OBJECT_IDENTIFIER)?;
    Some(match hash_of(oid, parameters)? {
        Hash::Sha224 => Sha224::digest(certificate_der).to_vec(),
        Hash::Sha256 => Sha256::digest(certificate_der).to_vec(),
        Hash::Sha384 => Sha384::digest(certificate_der).to_vec(),
        Hash::Sha512 => Sha512::digest(certificate_der).to_vec(),
    })
}

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// `[0]` in RSASSA-PSS-params: hashAlgorithm.
const CONTEXT_0: u8 = 0xa0;

enum Hash {
    Sha224,
    Sha256,
    Sha384,
    Sha512,
}

/// MD5 and SHA-1 are replaced by SHA-256, as the RFC demands.
fn hash_of(oid: &[u8], parameters: &[u8]) -> Option<Hash> {
    // 1.2.840.113549.1.1: PKCS #1. 1.2.840.10045.4: ECDSA.
    const PKCS1: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
    const ECDSA: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04];
    // 2.16.840.1.101.3.4.2: SHA-2.
    const SHA2: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02];
    if let Some(rest) = oid.strip_prefix(PKCS1) {
        return match rest {
            [4 | 5 | 11] => Some(Hash::Sha256),
            [12] => Some(Hash::Sha384),
            [13] => Some(Hash::Sha512),
            [14] => Some(Hash::Sha224),
            [10] => {
                let (parameters, _) = take(parameters, SEQUENCE)?;
                // An absent hashAlgorithm is SHA-1, hence SHA-256.
                let Some((hash, _)) = take(parameters, CONTEXT_0) else {
                    return Some(Hash::Sha256);
                };
                let (hash, _) = take(hash, SEQUENCE)?;
                let (hash, _) = take(hash, OBJECT_IDENTIFIER)?;
                match hash.strip_prefix(SHA2)? {
                    [1] => Some(Hash::Sha256),
                    [2] => Some(Hash::Sha384),
                    [3] => Some(Hash::Sha512),
                    [4] => Some(Hash::Sha224),
                    _ => None,
                }
            }
            _ => None,
        };
    }
    match oid.strip_prefix(ECDSA)? {
        [1] | [3, 2] => Some(Hash::Sha256),
        [3, 1] => Some(Hash::Sha224),
        [3, 3] => Some(Hash::Sha384),
        [3, 4] => Some(Hash::Sha512),
        _ => None,
    }
}

/// Content of the element with this tag at the front, and what follows it.
fn take(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = der.split_first()?;
    let (&first, rest) = rest.split_first()?;
    if found != tag {
        return None;
    }
    let (length, rest) = match first {
        0..0x80 => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0usize, |n, d| n << 8 | usize::from(*d)), rest)
        }
        // Indefinite or absurd.
        0x80 | 0x85.. => return None,
    };
    rest.split_at_checked(length)
}
