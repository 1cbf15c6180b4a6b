//! The gateway's own authority for client certificates: short-lived, one person each, for logins to databases.
//!
//! Invariants: its key is made here, kept sealed with the access store (so gateways that share a store share it), and never
//! leaves this process; a certificate is minted in the engine before it is signed, and is worth nothing once the engine does
//! not know its serial number; none of them may sign another (`CA:FALSE`, and the authority's path length is zero).
//! Deliberately absent: revocation lists (the serial number is looked up at every login), certificates for servers.

use access::{AccessError, Engine, Minted};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PublicKeyData, SanType, SerialNumber, SignatureAlgorithm,
};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use time::OffsetDateTime;
use zeroize::Zeroizing;

/// Name of the secret in the store.
const SECRET: &str = "client certificate authority";
/// Common name of the authority.
const NAME: &str = "Tidegate client certificates";
/// Certificates are valid from a little before they are made, for clocks that differ. Seconds.
const EARLIER_SECONDS: i64 = 60;
/// What precedes the point in the `SubjectPublicKeyInfo` of a P-256 key (RFC 5480).
const P256: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce,
    0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// Bytes of such a point, uncompressed.
const POINT_BYTES: usize = 65;

/// The authority.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    certificate: CertificateDer<'static>,
}

impl std::fmt::Debug for Authority {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Authority")
    }
}

/// A person's public key: P-256.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; POINT_BYTES]);

impl PublicKey {
    /// From PEM (`BEGIN PUBLIC KEY`), as `openssl ec -pubout` writes it.
    #[must_use]
    pub fn from_pem(pem: &str) -> Option<Self> {
        let body = pem.trim().strip_prefix("-----BEGIN PUBLIC KEY-----")?.strip_suffix("-----END PUBLIC KEY-----")?;
        let packed: String = body.split_ascii_whitespace().collect();
        let der = STANDARD.decode(packed).ok()?;
        let point: [u8; POINT_BYTES] = der.strip_prefix(&P256)?.try_into().ok()?;
        // 4: uncompressed. Whether it is on the curve is checked by whoever uses it; another point is of use to nobody.
        (point[0] == 4).then_some(Self(point))
    }
}

impl PublicKeyData for PublicKey {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

/// A fresh serial number: 128 random bits, positive and without leading zero bytes, in hexadecimal.
///
/// # Errors
/// No randomness.
pub fn serial() -> Result<String, AccessError> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(|_| AccessError::Unavailable("no randomness".to_owned()))?;
    random[0] = random[0] & 0x3f | 0x40;
    Ok(access::hex(&random))
}

fn broken(error: &rcgen::Error) -> AccessError {
    AccessError::Unavailable(format!("certificates cannot be made: {error}"))
}

fn common_name(name: &str) -> DistinguishedName {
    let mut all = DistinguishedName::new();
    all.push(DnType::CommonName, name);
    all
}

impl Authority {
    /// The store's authority; it is made if there is none.
    ///
    /// # Errors
    /// The store or its key fails.
    pub fn open(engine: &Engine) -> Result<Self, AccessError> {
        let make = || Ok(Zeroizing::new(KeyPair::generate().map_err(|e| broken(&e))?.serialize_der()));
        let secret = engine.shared_secret(SECRET, make)?;
        let der = PrivatePkcs8KeyDer::from(secret.as_slice());
        let key =
            KeyPair::from_pkcs8_der_and_sign_algo(&der, &rcgen::PKCS_ECDSA_P256_SHA256).map_err(|e| broken(&e))?;
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = common_name(NAME);
        parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let certificate = parameters.self_signed(&key).map_err(|e| broken(&e))?.der().clone();
        Ok(Self { issuer: Issuer::new(parameters, key), certificate })
    }

    /// What clients' certificates are checked against.
    #[must_use]
    pub const fn certificate(&self) -> &CertificateDer<'static> {
        &self.certificate
    }

    /// The certificate of something minted with a serial number, for the holder of this key; PEM.
    ///
    /// # Errors
    /// It was not minted for a certificate, or signing fails.
    pub fn issue(&self, minted: &Minted, handle: &str, key: &PublicKey, now_s: u64) -> Result<String, AccessError> {
        let pairs = minted.serial.as_bytes().chunks(2);
        let digits = pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap_or(""), 16).ok());
        let serial: Vec<u8> = digits.collect::<Option<_>>().ok_or(AccessError::NotFound)?;
        let moment = |seconds: u64, earlier: i64| {
            let seconds = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_sub(earlier);
            OffsetDateTime::from_unix_timestamp(seconds)
                .map_err(|_| AccessError::Invalid("a time out of range".to_owned()))
        };
        let mut parameters = CertificateParams::default();
        parameters.serial_number = Some(SerialNumber::from(serial));
        parameters.distinguished_name = common_name(handle);
        let name = format!("urn:tidegate:person:{handle}").try_into().map_err(|e| broken(&e))?;
        parameters.subject_alt_names = vec![SanType::URI(name)];
        parameters.not_before = moment(now_s, EARLIER_SECONDS)?;
        parameters.not_after = moment(minted.until_s, 0)?;
        parameters.is_ca = IsCa::ExplicitNoCa;
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        Ok(parameters.signed_by(key, &self.issuer).map_err(|e| broken(&e))?.pem())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use access::{Arrival, AtRest, Embedded, Journal, Policy, Who};
    use rustls::RootCertStore;
    use rustls::pki_types::pem::PemObject as _;
    use rustls::pki_types::{SubjectPublicKeyInfoDer, UnixTime};
    use rustls::server::{WebPkiClientVerifier, danger::ClientCertVerifier};
    use std::sync::Arc;
    use std::time::Duration;

    struct Nowhere;

    impl Journal for Nowhere {
        fn append(&self, _: audit::Body) -> bool {
            true
        }
    }

    fn engine(folder: &std::path::Path) -> Engine {
        let store = Arc::new(Embedded::open(&folder.join("access.redb")).unwrap());
        let sealed = AtRest::new(&[7; 32]).unwrap();
        Engine::new(store, Arc::new(Nowhere), sealed, "node".into(), Policy::default(), Box::new(|_| {})).unwrap()
    }

    fn minted(engine: &Engine, seconds: u64) -> (Minted, String) {
        let who = Who { issuer: "https://id.example".into(), subject: "ana".into() };
        let arrival = Arrival {
            who: &who,
            name: "Ana",
            handles: &["ana".into()],
            groups: &[],
            how: "oidc",
            source: "127.0.0.1",
            until_s: None,
            issued_s: None,
        };
        let (sign_in, person, _) = engine.sign_in(&arrival).unwrap();
        (engine.mint(&sign_in, "", &serial().unwrap(), "", "", seconds).unwrap(), person.handle)
    }

    fn verifier(authority: &Authority) -> Arc<dyn ClientCertVerifier> {
        let mut roots = RootCertStore::empty();
        roots.add(authority.certificate().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap()
    }

    fn fits(authority: &Authority, leaf: &CertificateDer<'_>, above: &[CertificateDer<'_>], at: u64) -> bool {
        let at = UnixTime::since_unix_epoch(Duration::from_secs(at));
        verifier(authority).verify_client_cert(leaf, above, at).is_ok()
    }

    #[test]
    fn certificates_are_of_one_person_for_a_time_and_sign_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let engine = engine(folder.path());
        let authority = Authority::open(&engine).unwrap();
        let now = engine.clock().now_s();
        let (minted, handle) = minted(&engine, 300);
        let pair = KeyPair::generate().unwrap();
        let key = PublicKey::from_pem(&pair.public_key_pem()).unwrap();
        let pem = authority.issue(&minted, &handle, &key, now).unwrap();
        let leaf = CertificateDer::from_pem_slice(pem.as_bytes()).unwrap();
        assert!(fits(&authority, &leaf, &[], now));
        assert!(!fits(&authority, &leaf, &[], now + 301), "over");
        assert!(!fits(&authority, &leaf, &[], now - 120), "not yet");
        let key_of = webpki_key(&leaf);
        assert_eq!(key_of.as_ref(), pair.subject_public_key_info());
        assert_eq!(engine.certificate(&minted.serial).unwrap().person.handle, "ana");

        // A certificate is no authority: what its key signs is worth nothing.
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = common_name("root");
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        let mut of_leaf = CertificateParams::default();
        of_leaf.distinguished_name = common_name(&handle);
        let other = KeyPair::generate().unwrap();
        let forged = parameters.signed_by(&other, &Issuer::new(of_leaf, pair)).unwrap();
        assert!(!fits(&authority, forged.der(), std::slice::from_ref(&leaf), now));
        let stranger = parameters.self_signed(&other).unwrap();
        assert!(!fits(&authority, stranger.der(), &[], now));
    }

    fn webpki_key(leaf: &CertificateDer<'_>) -> SubjectPublicKeyInfoDer<'static> {
        rustls::server::ParsedCertificate::try_from(leaf).unwrap().subject_public_key_info().into_owned()
    }

    #[test]
    fn gateways_of_one_store_have_one_authority_and_its_key_is_sealed() {
        let folder = tempfile::tempdir().unwrap();
        let first = {
            let engine = engine(folder.path());
            Authority::open(&engine).unwrap().issuer.key().serialize_der()
        };
        let engine = engine(folder.path());
        let again = Authority::open(&engine).unwrap();
        assert_eq!(again.issuer.key().serialize_der(), first);
        drop(engine);
        let file = std::fs::read(folder.path().join("access.redb")).unwrap();
        let text = STANDARD.encode(&first);
        assert!(!file.windows(32).any(|w| w == &first[36..68] || w == &text.as_bytes()[..32]));
    }

    #[test]
    fn only_keys_of_the_one_kind_are_taken() {
        let pem = KeyPair::generate().unwrap().public_key_pem();
        assert!(PublicKey::from_pem(&pem).is_some());
        let other = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap().public_key_pem();
        for bad in ["", "-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----", &other, &pem.replace("M", "N")] {
            assert_eq!(PublicKey::from_pem(bad), None);
        }
    }
}
