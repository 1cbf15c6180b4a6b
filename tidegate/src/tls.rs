//! TLS for both sides: certificate files in, rustls configurations out.
//!
//! Always the `ring` provider, named explicitly; there is no process-wide default. TLS 1.2 and 1.3. The four modes to the
//! upstream have libpq's names: `require` encrypts without knowing to whom (also with a `ca`, unlike libpq),
//! `verify-ca` checks the chain, `verify-full` also the name. Errors name files, never key material.

use policy::model::UpstreamTls;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, ServerConfig, SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem, pem::PemObject as _},
    server::{ParsedCertificate, WebPkiClientVerifier},
};
use std::{path::Path, sync::Arc};

/// The application protocol of direct TLS. A client that offers none, as on the SSLRequest path, is accepted by rustls;
/// one that offers only others is not.
pub const ALPN: &[u8] = b"postgresql";

/// TLS for clients.
#[derive(Clone, Debug)]
pub struct Downstream {
    /// For rustls.
    pub config: Arc<ServerConfig>,
    /// For channel binding; `None` where it is undefined for the certificate (Ed25519), and PLUS is not offered.
    pub end_point_hash: Option<Vec<u8>>,
}

/// Reads certificate chain and key for clients.
///
/// # Errors
/// What is wrong with which file.
pub fn downstream(certificate: &Path, key: &Path) -> Result<Downstream, String> {
    let chain = certificates(certificate)?;
    let hash = chain.first().and_then(|c| postgres::scram::end_point_hash(c));
    let builder = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS: {e}"))?;
    let mut config = builder
        .with_no_client_auth()
        .with_single_cert(chain, private_key(key)?)
        .map_err(|e| pair_error(certificate, key, &e))?;
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Downstream { config: Arc::new(config), end_point_hash: hash })
}

/// The same for clients that may show a certificate of this authority. One that does not is asked for something else; one
/// that shows a certificate of anybody else's is refused in the handshake.
///
/// # Errors
/// The authority's certificate cannot be used.
pub fn with_clients_of(
    config: &ServerConfig,
    authority: &CertificateDer<'static>,
) -> Result<Arc<ServerConfig>, String> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.clone()).map_err(|e| format!("the authority of client certificates: {e}"))?;
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
        .allow_unauthenticated()
        .build()
        .map_err(|e| format!("the authority of client certificates: {e}"))?;
    let mut with = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS: {e}"))?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::clone(&config.cert_resolver));
    with.alpn_protocols.clone_from(&config.alpn_protocols);
    Ok(Arc::new(with))
}

/// The configuration for an upstream, `None` where it is not encrypted.
///
/// # Errors
/// What is wrong with which file.
pub fn upstream(
    mode: UpstreamTls,
    ca: Option<&Path>,
    client: Option<(&Path, &Path)>,
) -> Result<Option<Arc<ClientConfig>>, String> {
    let check = match (mode, ca) {
        (UpstreamTls::Disable, _) => return Ok(None),
        (UpstreamTls::Require, _) => Check::Nothing,
        (UpstreamTls::VerifyCa, ca) => Check::Chain(roots(ca)?),
        (UpstreamTls::VerifyFull, ca) => {
            let builder = client_builder()?.with_root_certificates(roots(ca)?);
            return with_client(builder, client).map(Some);
        }
    };
    let verifier = Arc::new(Partial { check, provider: provider() });
    let builder = client_builder()?.dangerous().with_custom_certificate_verifier(verifier);
    with_client(builder, client).map(Some)
}

/// The configuration of a client that is not a database's: chain and name are checked.
///
/// # Errors
/// What is wrong with which file.
pub fn client(ca: Option<&Path>, client: Option<(&Path, &Path)>) -> Result<Arc<ClientConfig>, String> {
    let config = with_client(client_builder()?.with_root_certificates(roots(ca)?), client)?;
    let mut config = Arc::unwrap_or_clone(config);
    config.alpn_protocols.clear();
    Ok(Arc::new(config))
}

/// The name a certificate must have for this host.
///
/// # Errors
/// The host is neither an IP address nor a DNS name.
pub fn server_name(host: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(host.to_owned()).map_err(|_| format!("`{host}` is neither a DNS name nor an IP address"))
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

fn client_builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>, String> {
    ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(|e| format!("TLS: {e}"))
}

fn with_client(
    builder: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    client: Option<(&Path, &Path)>,
) -> Result<Arc<ClientConfig>, String> {
    let mut config = match client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(certificates(certificate)?, private_key(key)?)
            .map_err(|e| pair_error(certificate, key, &e))?,
    };
    config.alpn_protocols = vec![ALPN.to_vec()];
    Ok(Arc::new(config))
}

fn roots(ca: Option<&Path>) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    match ca {
        Some(path) => {
            for certificate in certificates(path)? {
                roots.add(certificate).map_err(|e| format!("{} holds no usable authority: {e}", path.display()))?;
            }
        }
        None => {
            let (added, _) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if added == 0 {
                return Err("this system has no certificate authorities (Debian: package ca-certificates); or name a \
                            file with `ca`"
                    .to_owned());
            }
        }
    }
    Ok(Arc::new(roots))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, String> {
    let wrong = |e: pem::Error| pem_error(path, "certificate", &e);
    let chain = CertificateDer::pem_file_iter(path).map_err(wrong)?.collect::<Result<Vec<_>, _>>().map_err(wrong)?;
    if chain.is_empty() {
        return Err(pem_error(path, "certificate", &pem::Error::NoItemsFound));
    }
    Ok(chain)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, String> {
    let text = std::fs::read(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
    let text = zeroize::Zeroizing::new(text);
    if text.windows(b"ENCRYPTED".len()).any(|w| w == b"ENCRYPTED") {
        return Err(format!("{} is protected by a passphrase; store the key without one", path.display()));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|e| pem_error(path, "private key", &e))
}

fn pem_error(path: &Path, what: &str, error: &pem::Error) -> String {
    match error {
        pem::Error::Io(error) => format!("{} cannot be read: {error}", path.display()),
        pem::Error::NoItemsFound => format!("{} holds no {what} in PEM form", path.display()),
        _ => format!("{} is damaged: it is not PEM", path.display()),
    }
}

fn pair_error(certificate: &Path, key: &Path, error: &rustls::Error) -> String {
    let (certificate, key) = (certificate.display(), key.display());
    match error {
        rustls::Error::InconsistentKeys(_) => format!("{key} is not the key of {certificate}"),
        rustls::Error::InvalidCertificate(_) => format!("{certificate} is not a usable certificate: {error}"),
        _ => format!("{certificate} and {key} cannot be used: {error}"),
    }
}

/// Checks less than rustls would. Signatures of the handshake are always checked, so the peer has the certificate's key.
#[derive(Debug)]
struct Partial {
    check: Check,
    provider: Arc<CryptoProvider>,
}

#[derive(Debug)]
enum Check {
    Nothing,
    Chain(Arc<RootCertStore>),
}

impl ServerCertVerifier for Partial {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Check::Chain(roots) = &self.check {
            let certificate = ParsedCertificate::try_from(end_entity)
                .map_err(|_| rustls::Error::InvalidCertificate(CertificateError::BadEncoding))?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&certificate, roots, intermediates, now, algorithms)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests;
