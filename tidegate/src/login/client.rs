//! The console's API, as the command line asks it: JSON over TLS, by the token of a sign-in.
//!
//! Without TLS only on this machine. No redirects, no proxy from the environment, bounded answers and waits.

use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;
use std::{fmt, path::Path, process::ExitCode, sync::Arc, time::Duration};
use ureq::{
    Agent, Body,
    http::Response,
    tls::{Certificate, RootCerts, TlsConfig},
};
use url::{Host, Url};
use zeroize::{Zeroize as _, Zeroizing};

/// Largest answer.
const ANSWER_BYTES_MAX: u64 = 4 << 20;
/// Longest request; the console may ask a provider meanwhile.
const REQUEST: Duration = Duration::from_secs(30);

/// Why a command did not do what it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CliError {
    /// For the person, in words.
    Failed(String),
    /// Nobody is signed in here, or no longer.
    SignedOut,
    /// The console refuses: its status, stable word and sentence.
    Refused(u16, String, String),
}

impl CliError {
    /// For the person, in words.
    #[must_use]
    pub fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// Prints it, if there is one, and gives the exit code: 0 done, 1 failed, 3 not signed in.
    #[must_use]
    pub fn told(outcome: Result<(), Self>) -> ExitCode {
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::from(if error == Self::SignedOut { 3 } else { 1 })
            }
        }
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text) | Self::Refused(_, _, text) => f.write_str(text),
            Self::SignedOut => f.write_str("not signed in, or no longer: tidegate login https://HOST[:PORT]"),
        }
    }
}

impl std::error::Error for CliError {}

/// An answer, whose texts are cleared when it is dropped.
#[derive(Debug)]
pub struct Answer(Value);

impl std::ops::Deref for Answer {
    type Target = Value;

    fn deref(&self) -> &Value {
        &self.0
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        fn clear(value: &mut Value) {
            match value {
                Value::String(text) => text.zeroize(),
                Value::Array(list) => list.iter_mut().for_each(clear),
                Value::Object(map) => map.values_mut().for_each(clear),
                _ => {}
            }
        }
        clear(&mut self.0);
    }
}

/// A console.
pub struct Client {
    agent: Agent,
    url: String,
    bearer: Option<Zeroizing<String>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Client {
    /// The console at this address; trusts the authorities of one file, or those of the system.
    ///
    /// # Errors
    /// The address is not one of a console, or the file is unreadable.
    pub fn new(url: &str, ca: Option<&Path>, token: Option<&str>) -> Result<Self, CliError> {
        let wrong = |why: &str| CliError::failed(format!("`{url}`: {why}"));
        let parsed = Url::parse(url).map_err(|_| wrong("not an address; write https://HOST[:PORT]"))?;
        let local = match parsed.host() {
            Some(Host::Ipv4(ip)) => ip.is_loopback(),
            Some(Host::Ipv6(ip)) => ip.is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        match parsed.scheme() {
            "https" => {}
            "http" if local => {}
            _ => return Err(wrong("a console is reached by https://")),
        }
        if parsed.path() != "/" || parsed.query().is_some() || !parsed.username().is_empty() {
            return Err(wrong("write https://HOST[:PORT] and nothing else"));
        }
        let owned = |der: &CertificateDer<'_>| Certificate::from_der(der).to_owned();
        let roots: Vec<Certificate<'static>> = match ca {
            Some(file) => {
                let wrong = |why: &dyn fmt::Display| CliError::failed(format!("{}: {why}", file.display()));
                let found = CertificateDer::pem_file_iter(file).map_err(|e| wrong(&e))?;
                let found: Vec<_> = found.collect::<Result<_, _>>().map_err(|e| wrong(&e))?;
                found.iter().map(owned).collect()
            }
            None => rustls_native_certs::load_native_certs().certs.iter().map(owned).collect(),
        };
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_global(Some(REQUEST))
            .build()
            .new_agent();
        let bearer = token.map(|token| Zeroizing::new(format!("Bearer {token}")));
        Ok(Self { agent, url: url.trim_end_matches('/').to_owned(), bearer })
    }

    /// Asks with GET; `path` is under `/api/v1/`.
    ///
    /// # Errors
    /// The console refuses or cannot be reached.
    pub fn get(&self, path: &str) -> Result<Answer, CliError> {
        let mut request = self.agent.get(self.at(path));
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer.as_str());
        }
        self.read(request.call())
    }

    /// Asks with POST.
    ///
    /// # Errors
    /// The console refuses or cannot be reached.
    pub fn post(&self, path: &str, body: &Value) -> Result<Answer, CliError> {
        let mut request = self.agent.post(self.at(path)).header("content-type", "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer.as_str());
        }
        let body = Zeroizing::new(body.to_string());
        self.read(request.send(body.as_bytes()))
    }

    /// Asks with DELETE.
    ///
    /// # Errors
    /// The console refuses or cannot be reached.
    pub fn delete(&self, path: &str, body: &Value) -> Result<Answer, CliError> {
        let mut request = self.agent.delete(self.at(path)).header("content-type", "application/json");
        if let Some(bearer) = &self.bearer {
            request = request.header("authorization", bearer.as_str());
        }
        let body = Zeroizing::new(body.to_string());
        self.read(request.force_send_body().send(body.as_bytes()))
    }

    fn at(&self, path: &str) -> String {
        format!("{}/api/v1/{path}", self.url)
    }

    fn read(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Answer, CliError> {
        let mut answer = answer.map_err(|e| CliError::failed(format!("{}: {}", self.url, describe(&e))))?;
        let status = answer.status().as_u16();
        let bytes = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        let bytes = Zeroizing::new(bytes.map_err(|e| CliError::failed(format!("{}: {}", self.url, describe(&e))))?);
        let value: Option<Value> =
            if bytes.is_empty() { Some(Value::Null) } else { serde_json::from_slice(&bytes).ok() };
        let strange = || CliError::failed(format!("{}: status {status}; is that a gateway's console?", self.url));
        let value = value.ok_or_else(strange)?;
        if (200..300).contains(&status) {
            return Ok(Answer(value));
        }
        let text = |names: [&str; 2]| names.iter().find_map(|name| value[*name].as_str()).map(visible);
        let code = text(["code", "error"]).ok_or_else(strange)?;
        if matches!(code.as_str(), "signed_out" | "signed-out") {
            return Err(CliError::SignedOut);
        }
        let says = text(["detail", "message"]).unwrap_or_else(|| code.clone());
        Err(CliError::Refused(status, code, says))
    }
}

/// A text of the console's as a terminal may show it.
fn visible(text: &str) -> String {
    text.chars().take(1000).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn describe(error: &ureq::Error) -> String {
    match error {
        ureq::Error::Io(error) => error.to_string(),
        ureq::Error::Timeout(_) => "no answer in time".to_owned(),
        ureq::Error::HostNotFound => "its name cannot be resolved".to_owned(),
        ureq::Error::ConnectionFailed => "nobody listens there".to_owned(),
        ureq::Error::Rustls(error) => format!("TLS: {error} (trust its authority with --ca FILE)"),
        ureq::Error::BodyExceedsLimit(most) => format!("the answer is longer than {most} bytes"),
        _ => "the answer is not one of HTTP".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_console_is_reached_by_tls_or_on_this_machine() {
        for good in
            ["https://gate.example.com", "https://gate.example.com:8443/", "http://127.0.0.1:80", "http://[::1]"]
        {
            assert!(Client::new(good, None, None).is_ok(), "{good}");
        }
        for bad in [
            "http://gate.example.com",
            "gate.example.com",
            "https://a:b@c",
            "https://c/path",
            "https://c/?x",
            "ftp://c",
        ] {
            assert!(Client::new(bad, None, None).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_a_console_says_cannot_steer_the_terminal() {
        assert_eq!(visible("a\u{1b}[31mb\n"), "a [31mb ");
    }

    #[test]
    fn no_token_is_shown() {
        let client = Client::new("https://c", None, Some("t0ken")).unwrap();
        assert!(!format!("{client:?}").contains("t0ken"));
    }
}
