//! Somebody whose identity a provider has vouched for, on the way to a sign-in.

use crate::{Peer, State, failure::Failure};
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
    /// `oidc`, `saml`, `device`, `token`, `workload`; with who acts, if somebody does.
    pub how: String,
    /// The proof is worth something until then, seconds since 1970.
    pub until_s: Option<u64>,
}

impl Arrived {
    /// Somebody with this token.
    #[must_use]
    pub fn of(validated: &Validated, how: &str) -> Self {
        let names = &validated.names;
        let handles = [&names.handle, &names.email].into_iter().flatten().chain([&validated.subject]).cloned();
        let name = names.display.as_ref().or(names.handle.as_ref()).unwrap_or(&validated.subject).clone();
        let acting: Vec<&str> = validated.actors.iter().map(|actor| actor.subject.as_str()).collect();
        let how = if acting.is_empty() { how.to_owned() } else { format!("{how}, by {}", acting.join(", by ")) };
        Self {
            who: Who { issuer: validated.issuer.clone(), subject: validated.subject.clone() },
            name,
            handles: handles.collect(),
            groups: validated.groups.clone(),
            how,
            until_s: None,
        }
    }

    /// Somebody who presented this token: for as long as it holds, or so many seconds.
    #[must_use]
    pub fn presented(validated: &Validated, seconds: Option<u64>, now: u64) -> Self {
        let how = if validated.kind == IssuerKind::Workload { "workload" } else { "token" };
        Self { until_s: Some(seconds.map_or(validated.expires, |seconds| now + seconds)), ..Self::of(validated, how) }
    }

    /// Makes a sign-in of it. Waits for the store.
    ///
    /// # Errors
    /// Suspended, or the store or the log does not take it.
    pub(super) fn welcome(&self, state: &State, peer: Peer) -> Result<(SignIn, Person, String), Failure> {
        Ok(state.engine.sign_in(&Arrival {
            who: &self.who,
            name: &self.name,
            handles: &self.handles,
            groups: &self.groups,
            how: &self.how,
            source: &peer.to_string(),
            until_s: self.until_s,
        })?)
    }
}

/// Records that somebody did not get in. Who it would have been is known only after a signature held.
pub(super) fn turned_away(state: &State, issuer: &str, peer: Peer, why: &str) {
    let who = Who { issuer: issuer.to_owned(), subject: String::new() };
    state.engine.refused("sign_in_failed", &who, &peer.to_string(), why.to_owned());
}
