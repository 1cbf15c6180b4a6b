//! A blocking HTTP client for requests to few, known servers.
//!
//! TLS by rustls with `ring`; trusts the authorities of one file, or those of the system. Redirects are not followed (a
//! signature belongs to one address), every wait ends, and no answer is read beyond the limit its caller states.

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::{path::Path, sync::Arc, time::Duration};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{Certificate, RootCerts, TlsConfig},
};

/// How long a name may take to resolve and a connection to open.
const CONNECT: Duration = Duration::from_secs(5);

/// A client whose requests take at most `limit` each.
///
/// # Errors
/// The file of authorities is unreadable or holds no certificate.
pub fn client(authorities: Option<&Path>, limit: Duration) -> Result<Agent, String> {
    let roots: Vec<Certificate<'static>> = match authorities {
        Some(file) => from_file(file)?,
        // Half of the system's store is better than none; a server outside of it fails by name.
        None => rustls_native_certs::load_native_certs().certs.iter().map(owned).collect(),
    };
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Ok(Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .http_status_as_error(false)
        .max_redirects(0)
        .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT))
        .timeout_global(Some(limit))
        .build()
        .new_agent())
}

fn owned(der: &CertificateDer<'_>) -> Certificate<'static> {
    Certificate::from_der(der).to_owned()
}

fn from_file(file: &Path) -> Result<Vec<Certificate<'static>>, String> {
    let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", file.display());
    let found = CertificateDer::pem_file_iter(file).map_err(|e| wrong(&e))?;
    let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|e| wrong(&e))?;
    if found.is_empty() {
        return Err(wrong(&"holds no certificate"));
    }
    Ok(found.iter().map(owned).collect())
}

/// The body of an answer.
///
/// # Errors
/// It is longer than `most` bytes, or the connection broke.
pub fn body(answer: &mut Response<Body>, most: u64) -> Result<Vec<u8>, String> {
    answer.body_mut().with_config().limit(most).read_to_vec().map_err(|e| describe(&e))
}

/// An error in words that hold no address: a signed address is a secret for as long as it is valid.
#[must_use]
pub fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "its name cannot be resolved".to_owned(),
        ureq::Error::Rustls(error) => format!("TLS: {error}"),
        ureq::Error::BodyExceedsLimit(most) => format!("the answer is longer than {most} bytes"),
        ureq::Error::BadUri(_) => "its address is malformed".to_owned(),
        other => other.to_string(),
    }
}
