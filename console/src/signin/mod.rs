//! Signing in: people by a browser or another device, services by a token, and what they get for databases.
//!
//! ```text
//!  command line              browser                        provider
//!  login/start ─▶ address ─▶ /login ─▶ /login/oidc/NAME ──▶ sign-in page
//!      ▲                                                        │
//!      │ loopback, one-time code ◀── /signin/oidc/callback ◀────┘
//!  login/finish (code + verifier) ─▶ token of the console
//! ```
//!
//! Invariants: one attempt, one state, used once, and only by the browser that it was given to; a code works once, for a
//! minute, for whoever knows the verifier; what comes back to a command line goes to its own loopback address and what comes
//! back to a page goes to a path of this console, nowhere else; a token of the console is seen once and kept as a hash;
//! passwords are kept as verifiers. Every end of an attempt is recorded. Deliberately absent: who may do what (the engine),
//! the look of pages.

mod api;
mod arrived;
mod attempts;
mod browser;
mod certificates;
mod cookies;
mod device;
mod limits;
mod mint;
mod problem;
mod remembered;
mod saml;

pub use arrived::Arrived;
pub use cookies::session_token;
pub use limits::Source;
pub use mint::{password, verifier};
pub use problem::Problem;
pub use saml::{Attributes, Saml, SamlWay};

use access::Engine;
use attempts::Attempts;
use axum::Router;
use identity::Providers;
use limits::Limits;
use std::sync::Arc;
use url::Url;

/// Where clients of databases connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Names of targets, which are the names of databases there.
    pub targets: Vec<String>,
    /// Whether it has TLS.
    pub tls: bool,
}

/// Another way to sign in, which other code serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherWay {
    /// Name to show.
    pub name: String,
    /// Path of this console where it begins; gets the query of `/login`.
    pub path: String,
}

/// What signing in needs.
#[derive(Debug)]
pub struct Settings {
    /// Address of the console as browsers know it: scheme, host, port.
    pub url: Url,
    /// Where clients of databases connect to.
    pub gate: Gate,
    /// Other ways to sign in.
    pub others: Vec<OtherWay>,
    /// SAML, if there are providers of it.
    pub saml: Option<Saml>,
    /// Who makes certificates for logins to databases, if somebody does.
    pub authority: Option<Arc<crate::Authority>>,
}

/// All that happens at the door.
#[derive(Debug)]
pub struct Desk {
    engine: Arc<Engine>,
    providers: Providers,
    settings: Settings,
    attempts: Attempts,
    limits: Limits,
}

impl Desk {
    /// Asks no provider yet.
    #[must_use]
    pub fn new(engine: Arc<Engine>, providers: Providers, settings: Settings) -> Arc<Self> {
        Arc::new(Self { engine, providers, settings, attempts: Attempts::default(), limits: Limits::default() })
    }

    /// Who may do what.
    #[must_use]
    pub const fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    /// Address of the console as browsers know it.
    #[must_use]
    pub const fn url(&self) -> &Url {
        &self.settings.url
    }

    /// One failed try from this address; an error if there were too many.
    pub(crate) fn failed_from(&self, source: Source) -> Result<(), Problem> {
        self.limits.spend(source)
    }

    /// Whether browsers reach it by TLS.
    fn secure(&self) -> bool {
        self.settings.url.scheme() == "https"
    }

    /// An address of this console.
    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.settings.url.as_str().trim_end_matches('/'))
    }
}

/// All routes of signing in. Requests carry a [`Source`] as extension, put there by the server.
pub fn routes(desk: Arc<Desk>) -> Router {
    browser::routes()
        .merge(saml::routes())
        .merge(certificates::routes())
        .merge(api::routes())
        .merge(device::routes())
        .with_state(desk)
}

/// Seconds since 1970 by the system's clock, which is what providers' times are compared with.
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Runs what waits for the store or a provider on a thread that may wait.
async fn waiting<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_| Err(Problem::broken()))
}
