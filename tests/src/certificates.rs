//! A throw-away certificate authority with one server certificate for `localhost` and 127.0.0.1 and client certificates.
//! Made anew by every test process; nothing is valid anywhere else.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};
use std::sync::OnceLock;

/// A certificate and its key, PEM.
#[derive(Clone, Debug)]
pub struct Pair {
    /// Certificate.
    pub certificate: String,
    /// Private key.
    pub key: String,
}

/// The authority and what it signed.
#[derive(Debug)]
pub struct Authority {
    /// Certificate of the authority, PEM.
    pub certificate: String,
    /// For servers on loopback.
    pub server: Pair,
    /// For the server name `elsewhere.example`: trusted, but not for loopback.
    pub elsewhere: Pair,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority of this test process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Authority> = OnceLock::new();
        SHARED.get_or_init(Self::new)
    }

    /// A new authority that nobody trusts yet.
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "throw-away test authority");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate().unwrap();
        let certificate = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let server = sign(&issuer, "localhost", &["localhost", "127.0.0.1"]);
        let elsewhere = sign(&issuer, "elsewhere.example", &["elsewhere.example"]);
        Self { certificate, server, elsewhere, issuer }
    }

    /// A client certificate with this common name.
    pub fn client(&self, name: &str) -> Pair {
        sign(&self.issuer, name, &[])
    }
}

impl Default for Authority {
    fn default() -> Self {
        Self::new()
    }
}

fn sign(issuer: &Issuer<'_, KeyPair>, name: &str, hosts: &[&str]) -> Pair {
    let mut params = CertificateParams::new(hosts.iter().map(ToString::to_string).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, issuer).unwrap().pem();
    Pair { certificate, key: key.serialize_pem() }
}
