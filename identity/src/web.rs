//! Requests to a provider: addresses of its configuration and of its discovery document, never of a token.
//!
//! TLS by rustls with `ring`. Redirects are not followed, every wait ends, no proxy is taken from the environment, and no
//! answer is read beyond its limit. Errors hold neither addresses nor content, because both can carry codes.

use crate::{fault::Error, secret::Secret};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use std::{path::Path, sync::Arc, time::Duration};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{Certificate, RootCerts, TlsConfig},
};
use zeroize::Zeroizing;

/// How long a name may take to resolve and a connection to open.
const CONNECT: Duration = Duration::from_secs(5);
/// Longest request.
const REQUEST: Duration = Duration::from_secs(10);

/// A client for one provider.
#[derive(Clone, Debug)]
pub(crate) struct Web(Agent);

/// An answer with its status.
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) body: Zeroizing<Vec<u8>>,
}

impl Web {
    pub(crate) fn new(authorities: Option<&Path>) -> Result<Self, String> {
        let owned = |der: &CertificateDer<'_>| Certificate::from_der(der).to_owned();
        let roots: Vec<Certificate<'static>> = match authorities {
            Some(file) => {
                let wrong = |why: &dyn std::fmt::Display| format!("{}: {why}", file.display());
                let found = CertificateDer::pem_file_iter(file).map_err(|e| wrong(&e))?;
                let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|e| wrong(&e))?;
                if found.is_empty() {
                    return Err(wrong(&"holds no certificate"));
                }
                found.iter().map(owned).collect()
            }
            None => rustls_native_certs::load_native_certs().certs.iter().map(owned).collect(),
        };
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        Ok(Self(
            Agent::config_builder()
                .tls_config(tls)
                .proxy(None)
                .http_status_as_error(false)
                .max_redirects(0)
                .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
                .timeout_connect(Some(CONNECT))
                .timeout_global(Some(REQUEST))
                .build()
                .new_agent(),
        ))
    }

    /// Asks for a JSON document; anything but status 200 is an error.
    pub(crate) fn document(&self, what: &'static str, url: &str, most: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
        let answer = self.0.get(url).header("accept", "application/json").call();
        let answer = read(what, answer, most)?;
        if answer.status == 200 { Ok(answer.body) } else { Err(status(what, answer.status)) }
    }

    /// Asks with an access token.
    pub(crate) fn with_token(
        &self,
        what: &'static str,
        url: &str,
        token: &Secret,
        most: usize,
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let bearer = Zeroizing::new(format!("Bearer {}", token.expose()));
        let request = self.0.get(url).header("accept", "application/json").header("authorization", &*bearer);
        let answer = read(what, request.call(), most)?;
        if answer.status == 200 { Ok(answer.body) } else { Err(status(what, answer.status)) }
    }

    /// Sends a form.
    pub(crate) fn form(
        &self,
        what: &'static str,
        url: &str,
        fields: &[(&str, &str)],
        authorization: Option<&str>,
        most: usize,
    ) -> Result<Answered, Error> {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in fields {
            body.append_pair(name, value);
        }
        let body = Zeroizing::new(body.finish());
        let mut request = self
            .0
            .post(url)
            .header("accept", "application/json")
            .header("content-type", "application/x-www-form-urlencoded");
        if let Some(value) = authorization {
            request = request.header("authorization", value);
        }
        read(what, request.send(body.as_bytes()), most)
    }
}

pub(crate) fn status(what: &'static str, status: u16) -> Error {
    Error::provider(what, format!("status {status}"))
}

fn read(what: &'static str, answer: Result<Response<Body>, ureq::Error>, most: usize) -> Result<Answered, Error> {
    let mut answer = answer.map_err(|e| Error::provider(what, describe(&e)))?;
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(most as u64).read_to_vec();
    let body = body.map_err(|e| Error::provider(what, describe(&e)))?;
    Ok(Answered { status, body: Zeroizing::new(body) })
}

/// An error in words of our own: what the library says can hold an address with a code in it.
fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => format!("no connection ({})", error.kind()),
        ureq::Error::ConnectionFailed => "no connection".to_owned(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "its name cannot be resolved".to_owned(),
        ureq::Error::Rustls(error) => format!("TLS: {error}"),
        ureq::Error::BodyExceedsLimit(most) => format!("the answer is longer than {most} bytes"),
        _ => "the answer is not one of HTTP".to_owned(),
    }
}
