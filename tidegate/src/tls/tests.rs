//! Handshakes in memory between the configurations made from files: every mode against good, foreign and misnamed
//! certificates.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ClientConnection, ServerConnection};
use std::path::PathBuf;

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    /// An authority, a certificate for `db.example` by it, and an authority that signed nothing.
    fn new() -> Self {
        let files = Self { folder: tempfile::tempdir().unwrap() };
        let authority = authority();
        let key = KeyPair::generate().unwrap();
        let leaf = CertificateParams::new(["db.example".to_owned()]).unwrap().signed_by(&key, &authority).unwrap();
        files.write("ca.crt", &authority.pem());
        files.write("other-ca.crt", &self::authority().pem());
        files.write("server.crt", &leaf.pem());
        files.write("server.key", &key.serialize_pem());
        files.write("other.key", &KeyPair::generate().unwrap().serialize_pem());
        files
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn downstream(&self) -> Downstream {
        downstream(&self.path("server.crt"), &self.path("server.key")).unwrap()
    }
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Carries bytes both ways until both are done.
fn shake(client: &mut ClientConnection, server: &mut ServerConnection) -> Result<(), rustls::Error> {
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets()?;
        }
        bytes.clear();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets()?;
        }
        if !client.is_handshaking() && !server.is_handshaking() {
            return Ok(());
        }
    }
    panic!("the handshake does not end");
}

fn connect(files: &Files, mode: UpstreamTls, ca: Option<&str>, host: &str) -> Result<(), rustls::Error> {
    let ca = ca.map(|name| files.path(name));
    let config = upstream(mode, ca.as_deref(), None).unwrap().unwrap();
    let mut client = ClientConnection::new(config, server_name(host).unwrap()).unwrap();
    let mut server = ServerConnection::new(files.downstream().config).unwrap();
    shake(&mut client, &mut server)?;
    assert_eq!(server.alpn_protocol(), Some(ALPN));
    Ok(())
}

#[test]
fn each_mode_accepts_and_refuses_what_its_name_says() {
    let files = Files::new();
    let (right, wrong) = (Some("ca.crt"), Some("other-ca.crt"));
    for (mode, ca, host, accepted) in [
        (UpstreamTls::Require, None, "other.example", true),
        (UpstreamTls::Require, wrong, "other.example", true),
        (UpstreamTls::VerifyCa, right, "other.example", true),
        (UpstreamTls::VerifyCa, right, "127.0.0.1", true),
        (UpstreamTls::VerifyCa, wrong, "db.example", false),
        (UpstreamTls::VerifyFull, right, "db.example", true),
        (UpstreamTls::VerifyFull, right, "other.example", false),
        (UpstreamTls::VerifyFull, right, "127.0.0.1", false),
        (UpstreamTls::VerifyFull, wrong, "db.example", false),
    ] {
        let outcome = connect(&files, mode, ca, host);
        assert_eq!(outcome.is_ok(), accepted, "{mode:?} {ca:?} {host}: {outcome:?}");
    }
    assert!(upstream(UpstreamTls::Disable, None, None).unwrap().is_none());
}

#[test]
fn expired_certificate_is_refused_where_the_chain_is_checked() {
    let files = Files::new();
    let authority = authority();
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::new(["db.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2001, 1, 1);
    files.write("ca.crt", &authority.pem());
    files.write("server.crt", &params.signed_by(&key, &authority).unwrap().pem());
    files.write("server.key", &key.serialize_pem());
    assert!(connect(&files, UpstreamTls::Require, None, "db.example").is_ok());
    assert!(connect(&files, UpstreamTls::VerifyCa, Some("ca.crt"), "db.example").is_err());
    assert!(connect(&files, UpstreamTls::VerifyFull, Some("ca.crt"), "db.example").is_err());
}

#[test]
fn application_protocol_is_optional_but_not_arbitrary() {
    let files = Files::new();
    for (offered, accepted) in [(vec![], true), (vec![ALPN.to_vec()], true), (vec![b"h2".to_vec()], false)] {
        let config = upstream(UpstreamTls::Require, None, None).unwrap().unwrap();
        let mut config = Arc::unwrap_or_clone(config);
        config.alpn_protocols = offered.clone();
        let mut client = ClientConnection::new(Arc::new(config), server_name("db.example").unwrap()).unwrap();
        let mut server = ServerConnection::new(files.downstream().config).unwrap();
        assert_eq!(shake(&mut client, &mut server).is_ok(), accepted, "{offered:?}");
    }
}

#[test]
fn both_versions_are_spoken() {
    let files = Files::new();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let verifier = Arc::new(Partial { check: Check::Nothing, provider: provider() });
        let config = ClientConfig::builder_with_provider(provider())
            .with_protocol_versions(&[version])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_no_client_auth();
        let mut client = ClientConnection::new(Arc::new(config), server_name("db.example").unwrap()).unwrap();
        let mut server = ServerConnection::new(files.downstream().config).unwrap();
        shake(&mut client, &mut server).unwrap();
        assert_eq!(server.protocol_version(), Some(version.version));
    }
}

#[test]
fn client_certificate_is_presented() {
    let files = Files::new();
    let pair = (files.path("server.crt"), files.path("server.key"));
    let config =
        upstream(UpstreamTls::VerifyFull, Some(&files.path("ca.crt")), Some((&pair.0, &pair.1))).unwrap().unwrap();
    let roots = roots(Some(&files.path("ca.crt"))).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider()).build().unwrap();
    let server = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(certificates(&pair.0).unwrap(), private_key(&pair.1).unwrap())
        .unwrap();
    let mut client = ClientConnection::new(config, server_name("db.example").unwrap()).unwrap();
    let mut server = ServerConnection::new(Arc::new(server)).unwrap();
    shake(&mut client, &mut server).unwrap();
    assert!(server.peer_certificates().is_some());
}

#[test]
fn binding_hash_is_the_leafs() {
    use sha2::Digest as _;
    let files = Files::new();
    let leaf = certificates(&files.path("server.crt")).unwrap();
    assert_eq!(files.downstream().end_point_hash, Some(sha2::Sha256::digest(&leaf[0]).to_vec()));

    let key = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
    let own = CertificateParams::new(["db.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    files.write("server.crt", &own.pem());
    files.write("server.key", &key.serialize_pem());
    assert_eq!(files.downstream().end_point_hash, None);
}

#[test]
fn unusable_files_are_named_with_the_reason() {
    let files = Files::new();
    files.write("empty", "");
    files.write("damaged", "-----BEGIN CERTIFICATE-----\n!!!\n-----END CERTIFICATE-----\n");
    files.write("rubbish", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    files.write("locked", "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    for (certificate, key, expected) in [
        ("absent", "server.key", "cannot be read"),
        ("server.crt", "absent", "cannot be read"),
        ("empty", "server.key", "holds no certificate"),
        ("server.key", "server.key", "holds no certificate"),
        ("server.crt", "server.crt", "holds no private key"),
        ("server.crt", "locked", "passphrase"),
        ("damaged", "server.key", "is damaged"),
        ("rubbish", "server.key", "rubbish"),
        ("server.crt", "other.key", "is not the key of"),
    ] {
        let error = downstream(&files.path(certificate), &files.path(key)).unwrap_err();
        assert!(error.contains(expected), "{certificate} {key}: {error}");
    }
    let error = upstream(UpstreamTls::VerifyFull, Some(&files.path("rubbish")), None).unwrap_err();
    assert!(error.contains("rubbish"), "{error}");
    assert!(server_name("not a host").is_err());
}
