//! All configured issuers.

use crate::{
    fault::{Error, Fault},
    issuer::{Issuer, IssuerKind},
    jose::Compact,
    provider::{Pace, Provider},
    validate::{Expect, Validated, domain_of},
};
use std::sync::Arc;

/// The issuers that are trusted, each with its own rules.
#[derive(Clone, Debug, Default)]
pub struct Providers(Vec<Arc<Provider>>);

impl Providers {
    /// Takes them all; asks nothing yet.
    ///
    /// # Errors
    /// What is wrong, with the issuer's name in front.
    pub fn new(issuers: Vec<Issuer>, pace: Pace) -> Result<Self, Vec<String>> {
        let mut problems = Vec::new();
        let mut providers: Vec<Arc<Provider>> = Vec::new();
        for issuer in issuers {
            let name = issuer.name.clone();
            if providers.iter().any(|p| p.issuer().name == name) {
                problems.push(format!("issuer {name} is there twice"));
            }
            if providers.iter().any(|p| p.issuer().url == issuer.url) {
                problems.push(format!("issuer {name}: its `url` is that of another one"));
            }
            match Provider::paced(issuer, pace) {
                Ok(provider) => providers.push(Arc::new(provider)),
                Err(why) => problems.push(format!("issuer {name}: {why}")),
            }
        }
        if problems.is_empty() { Ok(Self(providers)) } else { Err(problems) }
    }

    /// All of them, in their order.
    #[must_use]
    pub fn all(&self) -> &[Arc<Provider>] {
        &self.0
    }

    /// The one of this short name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<&Arc<Provider>> {
        self.0.iter().find(|p| p.issuer().name == name)
    }

    /// The one with this issuer.
    #[must_use]
    pub fn of_issuer(&self, url: &str) -> Option<&Arc<Provider>> {
        self.0.iter().find(|p| p.issuer().url == url)
    }

    /// Those where people sign in.
    pub fn people(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.0.iter().filter(|p| p.issuer().kind == IssuerKind::People)
    }

    /// Validates a token that somebody presents, by the rules of the issuer it claims to be of.
    ///
    /// # Errors
    /// Why it is refused, or that the issuer's keys cannot be had.
    pub fn presented(&self, token: &str, now: u64) -> Result<Validated, Error> {
        let parsed = Compact::parse(token)?;
        let provider = match crate::claims::text(&parsed.claims, "iss")? {
            Some(issuer) => self.of_issuer(issuer),
            None => match domain_of(&parsed.claims)? {
                Some(domain) => self.0.iter().find(|p| p.issuer().trust_domain() == Some(domain)),
                None => None,
            },
        };
        let provider = provider.ok_or(Fault::Issuer)?;
        // Sign-in alone is what an issuer without audiences is for.
        if provider.issuer().audiences.is_empty() {
            return Err(Fault::Audience.into());
        }
        provider.validate(token, Expect::Presented, now)
    }
}
