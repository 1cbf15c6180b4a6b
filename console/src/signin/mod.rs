//! Signing in: people by a browser or another device, services by a token, and what they get for databases.
//!
//! ```text
//!  command line              browser                        provider
//!  login/start ─▶ address ─▶ /signin ─▶ /signin/with/NAME ─▶ sign-in page
//!      ▲                                                        │
//!      │ loopback, one-time code ◀── /signin/oidc/callback ◀────┘
//!  login/finish (code + verifier) ─▶ token of the console
//! ```
//!
//! Invariants: one attempt, one state, used once, and only by the browser that it was given to; a code works once, for a
//! minute, for whoever knows the verifier; what comes back to a command line goes to its own loopback address and what comes
//! back to a page goes to a path of this console, nowhere else; a token of the console is seen once and kept as a hash;
//! passwords are kept as verifiers; every end of an attempt is recorded. What counts as an attempt is limited by address;
//! only what a provider posts may come from another site's page, and it is checked by its own means. Deliberately absent:
//! who may do what (the engine), the look of pages.

mod api;
mod arrived;
mod attempts;
mod browser;
mod device;
mod mint;
mod remembered;

pub use arrived::Arrived;
pub use attempts::{Purpose, Waiting};
pub use browser::{Wanted, arrive};
pub use mint::{password, verifier};

use crate::failure::Failure;
use crate::state::Shared;
use attempts::Attempts;
use axum::Router;
use axum::http::{Method, StatusCode};
use identity::Providers;

/// A way to sign in that other code serves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// What the button says.
    pub name: String,
    /// Path of this site that begins it; the query of `/signin` is added.
    pub href: String,
}

/// Ways to sign in.
#[derive(Debug, Default)]
pub struct SignIn {
    providers: Providers,
    others: Vec<Way>,
    attempts: Attempts,
}

impl SignIn {
    /// With these providers and other ways. Asks no provider yet.
    #[must_use]
    pub fn new(providers: Providers, others: Vec<Way>) -> Self {
        Self { providers, others, attempts: Attempts::default() }
    }

    /// The trusted issuers.
    #[must_use]
    pub const fn providers(&self) -> &Providers {
        &self.providers
    }

    /// What the page offers.
    #[must_use]
    pub fn ways(&self) -> Vec<Way> {
        let own = self.providers.people().map(|provider| {
            let name = provider.issuer().name.clone();
            Way { href: format!("/signin/with/{name}"), name }
        });
        own.chain(self.others.iter().cloned()).collect()
    }
}

/// Routes of browsers; those of the API are in the API's table.
pub fn router() -> Router<Shared> {
    browser::router()
}

/// Is it an attempt to prove who one is? Asking whether somebody has finished elsewhere is none.
pub(crate) fn is_attempt(method: &Method, path: &str) -> bool {
    let asks = path == "/api/v1/login/device/poll";
    path.starts_with("/signin/") || (*method == Method::POST && path.starts_with("/api/v1/login/") && !asks)
}

/// May pages of other sites post to it? Providers do, with what they signed.
pub(crate) fn takes_from_elsewhere(path: &str) -> bool {
    path == "/signin/saml/acs"
}

/// Verbs of the API: `/login/…`, `/logout`, `/credentials`.
pub(crate) fn verbs() -> &'static [crate::api::Verb] {
    api::VERBS
}

impl From<identity::Error> for Failure {
    fn from(error: identity::Error) -> Self {
        let (status, code) = match &error {
            identity::Error::Provider { .. } => (StatusCode::BAD_GATEWAY, "provider"),
            identity::Error::NoRandomness => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            identity::Error::Unconfigured(_) => (StatusCode::BAD_REQUEST, "unconfigured"),
            identity::Error::Token(fault) => (StatusCode::UNAUTHORIZED, fault.name()),
            identity::Error::Refused(_) => (StatusCode::UNAUTHORIZED, "refused"),
            identity::Error::Answer(_) => (StatusCode::UNAUTHORIZED, "answer"),
        };
        Self::new(status, code, error.to_string())
    }
}

/// Seconds since 1970 by the system's clock, which is what providers' times are compared with.
fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
