//! Delivery to one place: tried again with the same id, so that a receiver can tell, until it says it has it.
//!
//! Redirects are not followed, answers are not read, no proxy is taken from the environment. What is not taken after the last
//! attempt is given up and logged; the log of audit does not depend on it.

use super::egress::{Egress, Guarded};
use super::message::Message;
use super::signature::{ID, SIGNATURE, Secrets, TIMESTAMP};
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use url::Url;
use zeroize::Zeroizing;

/// Pauses before attempts after the first.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
    Duration::from_secs(900),
];
/// Longest attempt.
const ATTEMPT: Duration = Duration::from_secs(10);

/// What the receiver understands.
#[derive(Clone, Debug)]
pub enum Form {
    /// An incoming webhook of Slack's form: the address is the secret.
    Slack,
    /// JSON with a signature.
    Signed(Secrets),
}

/// A place that is told.
#[derive(Clone)]
pub struct Channel {
    name: String,
    address: Arc<Zeroizing<String>>,
    form: Form,
    agent: Agent,
    pauses: Vec<Duration>,
}

impl std::fmt::Debug for Channel {
    // An address may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Channel").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Channel {
    /// `https://…`; `http://` only where `egress` names the networks. `roots` are the authorities trusted, DER.
    ///
    /// # Errors
    /// The address cannot be used. The text holds no address.
    pub fn new(
        name: &str,
        address: &str,
        form: Form,
        egress: Egress,
        plain: bool,
        roots: &[Vec<u8>],
    ) -> Result<Self, String> {
        let url = Url::parse(address).map_err(|_| format!("{name}: its address is not a URL"))?;
        if url.scheme() != "https" && !(plain && url.scheme() == "http") {
            return Err(format!("{name}: its address must begin with https://"));
        }
        if !url.username().is_empty() || url.password().is_some() || url.host().is_none() {
            return Err(format!("{name}: its address must have a host, and no user or password"));
        }
        let roots: Vec<Certificate<'static>> = roots.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::from(roots))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let config = Agent::config_builder()
            .tls_config(tls)
            .proxy(None)
            .http_status_as_error(false)
            .max_redirects(0)
            .max_idle_connections(0)
            .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")))
            .timeout_global(Some(ATTEMPT))
            .build();
        let agent = Agent::with_parts(config, DefaultConnector::default(), Guarded::new(egress));
        Ok(Self {
            name: name.to_owned(),
            address: Arc::new(Zeroizing::new(address.to_owned())),
            form,
            agent,
            pauses: PAUSES.to_vec(),
        })
    }

    /// With other pauses before attempts after the first.
    #[must_use]
    pub fn with_pauses(mut self, pauses: Vec<Duration>) -> Self {
        self.pauses = pauses;
        self
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn pauses(&self) -> &[Duration] {
        &self.pauses
    }

    /// One attempt.
    pub(super) fn attempt(&self, message: &Message, id: &str, origin: &str, now_s: u64) -> Result<(), String> {
        let request = self.agent.post(self.address.as_str()).header("content-type", "application/json");
        let answer = match &self.form {
            Form::Slack => request.send(message.slack(origin)),
            Form::Signed(secrets) => {
                let body = message.generic(origin);
                request
                    .header(ID, id)
                    .header(TIMESTAMP, now_s.to_string())
                    .header(SIGNATURE, secrets.sign(id, now_s, body.as_bytes()))
                    .send(body)
            }
        };
        match answer {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(format!("status {}", answer.status().as_u16())),
            // What the library says can hold the address.
            Err(ureq::Error::Timeout(_)) => Err("no answer in time".to_owned()),
            Err(ureq::Error::HostNotFound) => Err("its name leads to no address that may be reached".to_owned()),
            Err(ureq::Error::Rustls(error)) => Err(format!("TLS: {error}")),
            Err(_) => Err("no connection".to_owned()),
        }
    }
}
