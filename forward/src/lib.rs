//! Forwarders: durable records of the log, sent on to other systems.
//!
//! Each forwarder is one blocking thread that reads the log's files like anyone else; the log is the buffer, so a
//! receiver that is stuck costs the gateway nothing. A record is sent at least once, and always under the same id.
//! Deliberately absent: anything that could drop a record, and statement texts unless the configuration asks for them.

mod covered;
pub mod cursor;
pub mod event;
mod http;
mod tail;
pub mod to;
mod window;
mod worker;

use std::fmt;
use std::path::PathBuf;

pub use http::Url;
pub use worker::{Board, Running, State, Status, start};

/// One forwarder.
#[derive(Clone)]
pub struct Forwarder {
    /// Name: of its cursor, its thread and its status.
    pub name: String,
    /// Statement texts leave too.
    pub include_text: bool,
    /// Receiver.
    pub to: To,
}

/// Receivers.
#[derive(Clone)]
pub enum To {
    /// Syslog over TLS.
    Syslog(to::syslog::Syslog),
    /// OpenTelemetry logs.
    Otlp(to::otlp::Otlp),
    /// Splunk.
    Hec(to::hec::Hec),
    /// Webhook.
    Webhook(to::webhook::Webhook),
    /// Object store.
    S3(to::s3::S3),
}

impl To {
    /// Kind, as the configuration names it.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Syslog(_) => "syslog",
            Self::Otlp(_) => "otlp",
            Self::Hec(_) => "hec",
            Self::Webhook(_) => "webhook",
            Self::S3(_) => "s3",
        }
    }

    /// Where, without anything secret.
    #[must_use]
    pub fn place(&self) -> String {
        match self {
            Self::Syslog(to) => format!("{}:{}", to.host, to.port),
            Self::S3(to) => format!("{}/{}", to.store.bucket, to.store.prefix),
            Self::Otlp(to::otlp::Otlp { url, .. })
            | Self::Hec(to::hec::Hec { url, .. })
            | Self::Webhook(to::webhook::Webhook { url, .. }) => format!("{}:{}", url.host, url.port),
        }
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Tokens and keys are in the receivers' settings.
        write!(f, "{} {} {}", self.name, self.to.kind(), self.to.place())
    }
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Audit directory.
    pub directory: PathBuf,
    /// Name of the log in events.
    pub origin: String,
    /// Forwarders.
    pub forwarders: Vec<Forwarder>,
    /// End each forwarder when it has sent what there is.
    pub once: bool,
}
