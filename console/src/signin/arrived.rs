//! Somebody whose identity a provider has vouched for, on the way to a sign-in.

use super::{Desk, Problem, limits::Source};
use access::{Arrival, Person, SignIn, Who};
use identity::{IssuerKind, Validated};

/// Who arrived, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// Who.
    pub who: Who,
    /// Name to show.
    pub name: String,
    /// Names for databases, best first.
    pub handles: Vec<String>,
    /// Groups.
    pub groups: Vec<String>,
    /// `oidc`, `saml`, `device`, `token`; with the one who acts, if somebody does.
    pub how: String,
    /// The proof is worth something until then, seconds since 1970.
    pub until_s: Option<u64>,
    /// When it was made, seconds since 1970; now if absent.
    pub issued_s: Option<u64>,
}

impl Arrived {
    /// Somebody with this token.
    pub(super) fn of(validated: &Validated, how: &str) -> Self {
        let names = &validated.names;
        let handles: Vec<String> =
            [&names.handle, &names.email].into_iter().flatten().chain([&validated.subject]).cloned().collect();
        let name = names.display.as_ref().or(names.handle.as_ref()).unwrap_or(&validated.subject).clone();
        let acting: Vec<&str> = validated.actors.iter().map(|actor| actor.subject.as_str()).collect();
        let how = if acting.is_empty() { how.to_owned() } else { format!("{how}, by {}", acting.join(", by ")) };
        Self {
            who: Who { issuer: validated.issuer.clone(), subject: validated.subject.clone() },
            name,
            handles,
            groups: validated.groups.clone(),
            how,
            until_s: None,
            issued_s: validated.issued,
        }
    }

    /// Somebody who presented this token.
    pub(super) fn presented(validated: &Validated, seconds: Option<u64>, now: u64) -> Self {
        let how = if validated.kind == IssuerKind::Workload { "workload" } else { "token" };
        Self { until_s: Some(seconds.map_or(validated.expires, |seconds| now + seconds)), ..Self::of(validated, how) }
    }
}

impl Desk {
    /// Makes a sign-in of an arrival: waits for the store.
    ///
    /// # Errors
    /// Suspended, or the store or the log does not take it.
    pub(super) fn welcome(&self, arrived: &Arrived, source: Source) -> Result<(SignIn, Person, String), Problem> {
        Ok(self.engine.sign_in(&Arrival {
            who: &arrived.who,
            name: &arrived.name,
            handles: &arrived.handles,
            groups: &arrived.groups,
            how: &arrived.how,
            source: &source.0.to_string(),
            until_s: arrived.until_s,
            issued_s: arrived.issued_s,
        })?)
    }

    /// Records that somebody did not get in. Who it would have been is known only after the signature held.
    pub(super) fn turned_away(&self, issuer: &str, source: Source, error: &identity::Error) {
        self.turned_away_for(issuer, source, error.name());
    }

    /// The same, for this reason.
    pub(super) fn turned_away_for(&self, issuer: &str, source: Source, why: &str) {
        let who = Who { issuer: issuer.to_owned(), subject: String::new() };
        self.engine.refused("sign_in_failed", &who, &source.0.to_string(), why.to_owned());
    }
}
