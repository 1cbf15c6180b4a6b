//! Signing in: the endpoints that providers and the command line come back to.
//!
//! Invariants: a path that counts as an attempt is limited by address; only what a provider posts may come from another
//! site's page, and it is checked by its own means.

use crate::state::Shared;
use axum::Router;
use axum::http::Method;

/// A way to sign in, as the page offers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    /// What the button says.
    pub name: String,
    /// Path of this site that begins it; `next` is added.
    pub href: String,
}

/// Ways to sign in.
#[derive(Debug, Default)]
pub struct SignIn {
    ways: Vec<Way>,
}

impl SignIn {
    /// With these.
    #[must_use]
    pub const fn new(ways: Vec<Way>) -> Self {
        Self { ways }
    }

    /// What the page offers.
    #[must_use]
    pub fn ways(&self) -> &[Way] {
        &self.ways
    }
}

/// Routes of browsers; those of the API are in the API's table.
pub fn router() -> Router<Shared> {
    Router::new()
}

/// Is it an attempt to prove who one is?
pub(crate) fn is_attempt(method: &Method, path: &str) -> bool {
    path.starts_with("/signin/") || (*method == Method::POST && path.starts_with("/api/v1/login/"))
}

/// May pages of other sites post to it? Providers do, with what they signed.
pub(crate) fn takes_from_elsewhere(path: &str) -> bool {
    path == "/signin/saml/acs"
}

/// Verbs of the API: `/login/…`.
pub(crate) fn verbs() -> &'static [crate::api::Verb] {
    &[]
}
