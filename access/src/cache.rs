//! The store's entries as maps, kept up to date by the feed, and what changes in them means for sessions.
//!
//! Reads never touch the store. Invariant: an entry is applied once, in the order of versions; what ended is told as
//! [`News`] when the change is applied, on every gateway that shares the store.

use crate::model::{AccessGrant, Minted, Person, Request, Review, SignIn, Who};
use crate::store::Entry;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};

/// Kinds of entries.
pub(crate) mod kind {
    pub(crate) const PERSON: &str = "person";
    pub(crate) const HANDLE: &str = "handle";
    pub(crate) const SIGN_IN: &str = "sign_in";
    pub(crate) const MINTED: &str = "minted";
    pub(crate) const GRANT: &str = "grant";
    pub(crate) const REQUEST: &str = "request";
    pub(crate) const ONCE: &str = "once";
    pub(crate) const REVIEW: &str = "review";
    pub(crate) const SECRET: &str = "secret";
}

/// Something that sessions must be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Sessions that match end: every field that is there must match.
    Cut {
        /// Whose.
        who: Option<Who>,
        /// Role given by this grant.
        grant: Option<String>,
        /// Logged in with this credential.
        credential: Option<String>,
        /// `revoked`, `removed`, `suspended`, `signed_out`.
        reason: &'static str,
    },
    /// A request changed.
    Request(Box<Request>),
    /// Somebody took a role in an emergency, or its review is overdue. Told on the gateway where it happened only.
    Emergency(Box<Review>),
}

/// Who logs in under a name, and with which verifier or certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoginOf {
    /// Who.
    pub person: Person,
    /// What was minted.
    pub minted: Minted,
    /// Roles given for a time, not ended.
    pub grants: Vec<AccessGrant>,
}

/// A decoded entry and its version.
pub(crate) type Kept<T> = (u64, T);

#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(crate) version: u64,
    pub(crate) people: HashMap<Who, Kept<Person>>,
    pub(crate) handles: HashMap<String, Kept<Who>>,
    pub(crate) sign_ins: HashMap<String, Kept<SignIn>>,
    pub(crate) minted: HashMap<String, Kept<Minted>>,
    pub(crate) grants: BTreeMap<String, Kept<AccessGrant>>,
    pub(crate) requests: BTreeMap<String, Kept<Request>>,
    pub(crate) once: HashMap<String, Kept<u64>>,
    pub(crate) reviews: BTreeMap<String, Kept<Review>>,
    /// Sealed secrets that all gateways share, by name.
    pub(crate) secrets: HashMap<String, Kept<String>>,
    /// Ids of minted credentials by person.
    pub(crate) minted_of: HashMap<Who, Vec<String>>,
    /// Ids of minted certificates by serial number.
    pub(crate) serials: HashMap<String, String>,
}

fn read<T: DeserializeOwned>(entry: &Entry) -> Option<T> {
    let body = entry.body.as_deref()?;
    match serde_json::from_slice(body) {
        Ok(value) => Some(value),
        Err(error) => {
            tracing::error!(kind = entry.kind, id = entry.id, %error, "an entry of the access store cannot be read");
            None
        }
    }
}

/// Id of a person's entry.
pub(crate) fn person_id(who: &Who) -> String {
    serde_json::to_string(&[&who.issuer, &who.subject]).unwrap_or_default()
}

impl Cache {
    /// Applies an entry; adds what sessions must be told.
    pub(crate) fn apply(&mut self, entry: &Entry, news: &mut Vec<News>) {
        if entry.version <= self.version {
            return;
        }
        self.version = entry.version;
        let cut = |who, grant, credential, reason| News::Cut { who, grant, credential, reason };
        match entry.kind.as_str() {
            kind::PERSON => {
                let Some(person) = read::<Person>(entry) else { return };
                let who = person.who.clone();
                let old = self.people.insert(who.clone(), (entry.version, person));
                let now = &self.people[&who].1;
                if let Some((_, old)) = old {
                    if now.suspended && !old.suspended {
                        news.push(cut(Some(who), None, None, "suspended"));
                    } else if old.groups.iter().any(|group| !now.groups.contains(group)) {
                        news.push(cut(Some(who), None, None, "removed"));
                    }
                }
            }
            kind::HANDLE => match read::<Who>(entry) {
                Some(who) => drop(self.handles.insert(entry.id.clone(), (entry.version, who))),
                None => drop(self.handles.remove(&entry.id)),
            },
            kind::SIGN_IN => match read::<SignIn>(entry) {
                Some(sign_in) => drop(self.sign_ins.insert(entry.id.clone(), (entry.version, sign_in))),
                None => drop(self.sign_ins.remove(&entry.id)),
            },
            kind::MINTED => match read::<Minted>(entry) {
                Some(minted) => {
                    if !minted.serial.is_empty() {
                        self.serials.insert(minted.serial.clone(), minted.id.clone());
                    }
                    let of = self.minted_of.entry(minted.who.clone()).or_default();
                    if !of.contains(&minted.id) {
                        of.push(minted.id.clone());
                    }
                    self.minted.insert(entry.id.clone(), (entry.version, minted));
                }
                None => {
                    if let Some((_, minted)) = self.minted.remove(&entry.id) {
                        self.serials.remove(&minted.serial);
                        if let Some(of) = self.minted_of.get_mut(&minted.who) {
                            of.retain(|id| *id != minted.id);
                        }
                        news.push(cut(None, None, Some(minted.id), "revoked"));
                    }
                }
            },
            kind::GRANT => match read::<AccessGrant>(entry) {
                Some(grant) => {
                    let ended = grant.ended.is_some();
                    let old = self.grants.insert(entry.id.clone(), (entry.version, grant));
                    if ended && old.is_some_and(|(_, old)| old.ended.is_none()) {
                        news.push(cut(None, Some(entry.id.clone()), None, "revoked"));
                    }
                }
                None => drop(self.grants.remove(&entry.id)),
            },
            kind::REQUEST => match read::<Request>(entry) {
                Some(request) => {
                    news.push(News::Request(Box::new(request.clone())));
                    self.requests.insert(entry.id.clone(), (entry.version, request));
                }
                None => drop(self.requests.remove(&entry.id)),
            },
            kind::SECRET => match read::<String>(entry) {
                Some(sealed) => drop(self.secrets.insert(entry.id.clone(), (entry.version, sealed))),
                None => drop(self.secrets.remove(&entry.id)),
            },
            kind::REVIEW => match read::<Review>(entry) {
                Some(review) => drop(self.reviews.insert(entry.id.clone(), (entry.version, review))),
                None => drop(self.reviews.remove(&entry.id)),
            },
            kind::ONCE => match read::<u64>(entry) {
                Some(until_s) => drop(self.once.insert(entry.id.clone(), (entry.version, until_s))),
                None => drop(self.once.remove(&entry.id)),
            },
            _ => {}
        }
    }

    /// Grants of a person that hold now.
    pub(crate) fn grants_of(&self, who: &Who, now_s: u64) -> Vec<AccessGrant> {
        let groups = self.people.get(who).map(|(_, person)| person.groups.as_slice()).unwrap_or_default();
        let holds = |grant: &&AccessGrant| {
            let of_group = grant.groups.is_empty() || grant.groups.iter().any(|g| g == "*" || groups.contains(g));
            grant.who == *who && grant.ended.is_none() && grant.from_s <= now_s && now_s < grant.until_s && of_group
        };
        self.grants.values().map(|(_, grant)| grant).filter(holds).cloned().collect()
    }
}
