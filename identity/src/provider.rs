//! One configured issuer at work: its discovery document, its keys, and validation with both.
//!
//! Keys are fetched when first needed, again when they are old, and when a token names one that is not there; that last
//! reason has a budget, so that invented names cost the provider nothing. Old keys serve for a while when the provider does
//! not answer, and then no longer. One request at a time.

use crate::{
    KEYS_BYTES_MAX,
    fault::{Error, Fault},
    issuer::{Issuer, KeySource, check_address, loopback},
    jose::Compact,
    json,
    keys::KeySet,
    validate::{self, Expect, Validated},
    web::Web,
};
use serde_json::{Map, Value};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
    time::{Duration, Instant},
};

/// Largest discovery document.
const METADATA_BYTES_MAX: usize = 128 << 10;

/// When keys and documents are fetched again.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// How long what was fetched serves without asking again.
    pub fresh: Duration,
    /// How long it serves while the provider does not answer.
    pub stale_max: Duration,
    /// Fetches for unknown keys that may follow each other at once.
    pub burst: u32,
    /// How long until one more may follow; and between attempts that fail.
    pub interval: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            fresh: Duration::from_secs(10 * 60),
            stale_max: Duration::from_secs(60 * 60),
            burst: 3,
            interval: Duration::from_secs(30),
        }
    }
}

/// What a discovery document says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Where its keys are.
    pub keys: String,
    /// Where people sign in.
    pub authorization: Option<String>,
    /// Where tokens are had.
    pub token: Option<String>,
    /// Where the device grant begins.
    pub device: Option<String>,
    /// Where claims are asked for.
    pub userinfo: Option<String>,
    /// Whether its answers name it (RFC 9207).
    pub names_itself: bool,
    /// Whether a client's secret goes into the form instead of the header.
    pub secret_in_form: bool,
}

/// An issuer at work.
#[derive(Debug)]
pub struct Provider {
    issuer: Issuer,
    web: Web,
    pace: Pace,
    metadata: Kept<Metadata>,
    keys: Kept<KeySet>,
}

/// Something fetched, and when it may be fetched again.
#[derive(Debug)]
struct Kept<T> {
    held: RwLock<Option<(Arc<T>, Instant)>>,
    budget: Mutex<Budget>,
}

#[derive(Debug)]
struct Budget {
    left: u32,
    since: Instant,
    failed: Option<(Instant, Error)>,
}

impl<T> Kept<T> {
    fn new(pace: Pace) -> Self {
        let budget = Budget { left: pace.burst, since: Instant::now(), failed: None };
        Self { held: RwLock::new(None), budget: Mutex::new(budget) }
    }

    fn held(&self) -> Option<(Arc<T>, Duration)> {
        let held = self.held.read().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().map(|(value, at)| (Arc::clone(value), at.elapsed()))
    }

    /// What is held, fetched first if it is missing or old.
    fn get(&self, pace: Pace, fetch: impl FnOnce() -> Result<T, Error>) -> Result<Arc<T>, Error> {
        let usable = match self.held() {
            Some((value, age)) if age < pace.fresh => return Ok(value),
            Some((value, age)) if age < pace.stale_max => Some(value),
            _ => None,
        };
        let mut budget = match (&usable, self.budget.try_lock()) {
            (_, Ok(budget)) => budget,
            // Somebody is asking already.
            (Some(value), Err(_)) => return Ok(Arc::clone(value)),
            (None, Err(_)) => lock(&self.budget),
        };
        if let Some((value, age)) = self.held()
            && age < pace.fresh
        {
            return Ok(value);
        }
        if let Some((at, error)) = &budget.failed
            && at.elapsed() < pace.interval.min(Duration::from_secs(5))
        {
            return usable.ok_or_else(|| error.clone());
        }
        match self.fetch(&mut budget, fetch) {
            Ok(value) => Ok(value),
            Err(error) => usable.ok_or(error),
        }
    }

    /// Fetches again because what is held does not know something, if the budget allows.
    fn again(&self, pace: Pace, seen: &Arc<T>, fetch: impl FnOnce() -> Result<T, Error>) -> Option<Arc<T>> {
        let mut budget = lock(&self.budget);
        if let Some((value, _)) = self.held()
            && !Arc::ptr_eq(&value, seen)
        {
            return Some(value);
        }
        let interval = pace.interval.max(Duration::from_millis(1));
        let earned = u32::try_from(budget.since.elapsed().as_millis() / interval.as_millis()).unwrap_or(u32::MAX);
        if earned > 0 {
            budget.left = budget.left.saturating_add(earned).min(pace.burst);
            budget.since = Instant::now();
        }
        budget.left = budget.left.checked_sub(1)?;
        self.fetch(&mut budget, fetch).ok()
    }

    fn fetch(
        &self,
        budget: &mut MutexGuard<'_, Budget>,
        fetch: impl FnOnce() -> Result<T, Error>,
    ) -> Result<Arc<T>, Error> {
        match fetch() {
            Ok(value) => {
                let value = Arc::new(value);
                let mut held = self.held.write().unwrap_or_else(PoisonError::into_inner);
                *held = Some((Arc::clone(&value), Instant::now()));
                budget.failed = None;
                Ok(value)
            }
            Err(error) => {
                budget.failed = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Provider {
    /// Asks nothing yet.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(issuer: Issuer) -> Result<Self, String> {
        Self::paced(issuer, Pace::default())
    }

    /// With another pace.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn paced(issuer: Issuer, pace: Pace) -> Result<Self, String> {
        let problems = issuer.problems();
        if !problems.is_empty() {
            return Err(problems.join("; "));
        }
        let web = Web::new(issuer.authorities.as_deref())?;
        Ok(Self { issuer, web, pace, metadata: Kept::new(pace), keys: Kept::new(pace) })
    }

    /// Its configuration.
    #[must_use]
    pub const fn issuer(&self) -> &Issuer {
        &self.issuer
    }

    pub(crate) const fn web(&self) -> &Web {
        &self.web
    }

    /// Its discovery document.
    ///
    /// # Errors
    /// It cannot be had, or is not that of this issuer.
    pub fn metadata(&self) -> Result<Arc<Metadata>, Error> {
        self.metadata.get(self.pace, || self.discover())
    }

    /// Validates a token at this time (seconds since 1970).
    ///
    /// # Errors
    /// Why it is refused, or that the keys cannot be had.
    pub fn validate(&self, token: &str, expect: Expect<'_>, now: u64) -> Result<Validated, Error> {
        let token = Compact::parse(token)?;
        // Nobody makes the provider answer for a token that would be refused anyway.
        if !self.issuer.algorithms.contains(&token.algorithm) {
            return Err(Fault::Algorithm.into());
        }
        let keys = self.keys.get(self.pace, || self.fetch_keys())?;
        match validate::check(&self.issuer, &keys, &token, expect, now) {
            // Without a name, the only sign of a new key is that the old one did not sign.
            Err(fault) if fault == Fault::Key || (fault == Fault::Signature && token.kid.is_none()) => {
                let Some(keys) = self.keys.again(self.pace, &keys, || self.fetch_keys()) else {
                    return Err(fault.into());
                };
                Ok(validate::check(&self.issuer, &keys, &token, expect, now)?)
            }
            other => Ok(other?),
        }
    }

    fn discover(&self) -> Result<Metadata, Error> {
        const WHAT: &str = "its discovery document";
        if self.issuer.trust_domain().is_some() {
            return Err(Error::Unconfigured("a trust domain has no discovery document"));
        }
        let address = format!("{}/.well-known/openid-configuration", self.issuer.url.trim_end_matches('/'));
        let body = self.web.document(WHAT, &address, METADATA_BYTES_MAX)?;
        let document = json::object(&body).map_err(|_| Error::provider(WHAT, "it is not JSON"))?;
        // OpenID Connect Discovery, section 4.3: identical, or it may be somebody else's document.
        if document.get("issuer").and_then(Value::as_str) != Some(self.issuer.url.as_str()) {
            return Err(Error::provider(WHAT, "it is that of another issuer"));
        }
        read_metadata(&document, loopback(&self.issuer.url)).map_err(|why| Error::provider(WHAT, why))
    }

    fn fetch_keys(&self) -> Result<KeySet, Error> {
        const WHAT: &str = "its keys";
        let bytes = match &self.issuer.keys {
            KeySource::Discovery => self.web.document(WHAT, &self.metadata()?.keys, KEYS_BYTES_MAX)?,
            KeySource::Url(url) => self.web.document(WHAT, url, KEYS_BYTES_MAX)?,
            KeySource::File(path) => {
                use std::io::Read as _;
                let mut bytes = Vec::new();
                let file = std::fs::File::open(path).map_err(|e| Error::provider(WHAT, e.kind().to_string()))?;
                let read = file.take(KEYS_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
                read.map_err(|e| Error::provider(WHAT, e.kind().to_string()))?;
                bytes.into()
            }
        };
        let keys = KeySet::parse(&bytes).map_err(|fault| Error::provider(WHAT, fault.name()))?;
        if keys.is_empty() {
            return Err(Error::provider(WHAT, "none of them can check a signature"));
        }
        Ok(keys)
    }
}

fn read_metadata(document: &Map<String, Value>, plain: bool) -> Result<Metadata, &'static str> {
    let address = |name: &str| match document.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(url)) => {
            check_address(url, plain)?;
            Ok(Some(url.clone()))
        }
        Some(_) => Err("an address in it is not text"),
    };
    let methods = document.get("token_endpoint_auth_methods_supported").and_then(Value::as_array);
    let offers = |name: &str| methods.is_some_and(|all| all.iter().any(|one| one == name));
    Ok(Metadata {
        keys: address("jwks_uri")?.ok_or("it names no keys")?,
        authorization: address("authorization_endpoint")?,
        token: address("token_endpoint")?,
        device: address("device_authorization_endpoint")?,
        userinfo: address("userinfo_endpoint")?,
        names_itself: document.get("authorization_response_iss_parameter_supported") == Some(&Value::Bool(true)),
        secret_in_form: offers("client_secret_post") && !offers("client_secret_basic"),
    })
}

#[cfg(test)]
mod tests;
