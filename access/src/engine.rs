//! The engine: every rule about people, in one place, whoever asks.
//!
//! Operations read the cache, write the store by compare-and-set, pull the feed, and record. Blocking: for threads that may
//! wait, never for a core; [`Engine::login`] and [`Engine::certificate`] only read the cache. Invariants: a refused act is
//! recorded too; nothing is answered before the store has it. Votes and approvals are in [`crate::votes`].

use crate::cache::{Cache, LoginOf, News, kind, person_id};
use crate::clock::Clock;
use crate::model::{AccessGrant, Minted, Person, Policy, SignIn, Who};
use crate::sealed::AtRest;
use crate::store::{Store, StoreError};
use audit::{Body, OwnedAccess, OwnedActor};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;
use zeroize::Zeroizing;

/// A sign-in lasts this long, seconds.
const SIGN_IN_S: u64 = 8 * 3600;
/// Names that mean something else where people log in.
const RESERVED: &[&str] = &["token", "oauth"];
/// Live credentials of one person.
/// A login tries all of them, which is a microsecond each.
const MINTED_OF_ONE: usize = 128;
/// What is over is kept this long, seconds, for people to look at.
const KEPT_S: u64 = 24 * 3600;
/// A person that was seen so recently, seconds, is not written again for that alone.
const SEEN_S: u64 = 60;
/// Attempts of a change that others get in between.
pub(crate) const ATTEMPTS: usize = 8;

/// Where records go.
pub trait Journal: Send + Sync {
    /// Takes a record, which is durable when this returns true; false if the log does not take it, or not in time.
    fn append(&self, body: Body) -> bool;
}

/// Why something was not done. The text is for the person who asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccessError {
    /// Not signed in, or not any more.
    SignedOut,
    /// There is no such thing, or not for this person.
    NotFound,
    /// It may not be done by this person; the text says why.
    Forbidden(&'static str),
    /// What was asked makes no sense; the text says why.
    Invalid(String),
    /// Too much at a time.
    TooMany(&'static str),
    /// It needs an authenticator's signature.
    StepUp,
    /// Somebody else was faster, or it is over.
    Over(String),
    /// The store or the log does not take it.
    Unavailable(String),
    /// Sealing or opening failed.
    Sealed,
}

impl std::fmt::Display for AccessError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::SignedOut => f.write_str("not signed in, or the sign-in has ended"),
            Self::NotFound => f.write_str("there is no such thing"),
            Self::Forbidden(why) | Self::TooMany(why) => f.write_str(why),
            Self::Invalid(why) | Self::Over(why) => f.write_str(why),
            Self::StepUp => f.write_str("this vote needs your security key or passkey: vote in the console"),
            Self::Unavailable(why) => write!(f, "not possible now: {why}"),
            Self::Sealed => f.write_str("what was sealed at rest cannot be opened with this key"),
        }
    }
}

impl std::error::Error for AccessError {}

impl From<StoreError> for AccessError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Conflict => Self::Over("somebody else changed it at the same time; look again".to_owned()),
            StoreError::Unavailable(why) => Self::Unavailable(why),
        }
    }
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}

/// `TG-` and eight characters that people can read out.
///
/// # Errors
/// No randomness.
pub fn request_id() -> Result<String, AccessError> {
    const DIGITS: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    let mut random = [0; 8];
    getrandom::fill(&mut random).map_err(|_| AccessError::Unavailable("no randomness".to_owned()))?;
    let tail: String = random.iter().map(|byte| char::from(DIGITS[usize::from(byte & 31)])).collect();
    Ok(format!("TG-{tail}"))
}

/// A secret of 256 bits.
pub(crate) fn secret() -> Result<String, AccessError> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|_| AccessError::Unavailable("no randomness".to_owned()))?;
    Ok(URL_SAFE_NO_PAD.encode(random))
}

pub(crate) fn actor(who: &Who) -> OwnedActor {
    OwnedActor { issuer: who.issuer.clone(), subject: who.subject.clone(), role: String::new() }
}

/// Somebody who proved who they are.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// Who.
    pub who: &'a Who,
    /// Name to show.
    pub name: &'a str,
    /// Names to use in databases, best first; what is taken by somebody else gets a suffix.
    pub handles: &'a [String],
    /// Groups.
    pub groups: &'a [String],
    /// `oidc`, `saml`, `device`, `token`, ...
    pub how: &'a str,
    /// Address it came from.
    pub source: &'a str,
    /// The proof is worth something until then, Unix seconds.
    pub until_s: Option<u64>,
    /// When the proof was made, Unix seconds; now if absent.
    pub issued_s: Option<u64>,
}

/// Who may do what, for how long.
pub struct Engine {
    store: Arc<dyn Store>,
    journal: Arc<dyn Journal>,
    told: Box<dyn Fn(&News) + Send + Sync>,
    pub(crate) clock: Clock,
    pub(crate) sealed: AtRest,
    pub(crate) node: String,
    policy: RwLock<Arc<Policy>>,
    cache: RwLock<Cache>,
    /// Held while the feed is applied, so that it is applied once.
    pulling: Mutex<()>,
    /// Held while a statement looks for a request of its own, so that identical ones wait for one.
    pub(crate) holding: Mutex<()>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("store", &self.store).field("node", &self.node).finish_non_exhaustive()
    }
}

impl Engine {
    /// Reads the store. `told` hears of what sessions must be told, on the thread that noticed; it returns at once.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn new(
        store: Arc<dyn Store>,
        journal: Arc<dyn Journal>,
        sealed: AtRest,
        node: String,
        policy: Policy,
        told: Box<dyn Fn(&News) + Send + Sync>,
    ) -> Result<Self, AccessError> {
        let engine = Self {
            store,
            journal,
            told,
            clock: Clock::default(),
            sealed,
            node,
            policy: RwLock::new(Arc::new(policy)),
            cache: RwLock::default(),
            pulling: Mutex::default(),
            holding: Mutex::default(),
        };
        engine.pull()?;
        Ok(engine)
    }

    /// The engine's clock.
    #[must_use]
    pub const fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Sealing at rest.
    #[must_use]
    pub const fn sealed(&self) -> &AtRest {
        &self.sealed
    }

    /// Name of this gateway among those that share the store.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// The rules in force.
    #[must_use]
    pub fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// New rules.
    pub fn set_policy(&self, policy: Policy) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policy);
    }

    pub(crate) fn cache(&self) -> RwLockReadGuard<'_, Cache> {
        self.cache.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies what changed in the store, and tells.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn pull(&self) -> Result<(), AccessError> {
        let pulling: MutexGuard<'_, ()> = self.pulling.lock().unwrap_or_else(PoisonError::into_inner);
        let since = self.cache().version;
        let entries = self.store.changes(since)?;
        let mut news = Vec::new();
        if !entries.is_empty() {
            let mut cache = self.cache.write().unwrap_or_else(PoisonError::into_inner);
            for entry in &entries {
                cache.apply(entry, &mut news);
            }
        }
        drop(pulling);
        // What was so when this gateway started is nobody's news.
        if since > 0 {
            news.iter().for_each(|news| (self.told)(news));
        }
        Ok(())
    }

    /// Follows the store until `stop` says so; for a thread of its own.
    pub fn follow(&self, stop: &dyn Fn() -> bool) {
        let mut failing = false;
        while !stop() {
            self.store.wait(Duration::from_millis(250));
            let pulled = self.pull().and_then(|()| self.tidy());
            if let Err(error) = &pulled
                && !failing
            {
                tracing::error!("the access store cannot be followed: {error}");
            }
            failing = pulled.is_err();
        }
    }

    /// Changes an entry; the body is serialised.
    pub(crate) fn put<T: Serialize>(
        &self,
        kind: &str,
        id: &str,
        expected: u64,
        value: Option<&T>,
    ) -> Result<(), AccessError> {
        let body = value.map(serde_json::to_vec).transpose().map_err(|e| AccessError::Unavailable(e.to_string()))?;
        self.store.put(kind, id, expected, body.as_deref())?;
        self.pull()
    }

    /// Tells who listens on this gateway.
    pub(crate) fn tell(&self, news: &News) {
        (self.told)(news);
    }

    /// Appends a record.
    ///
    /// # Errors
    /// The log does not take it: what it is about must not happen.
    pub fn record(&self, access: OwnedAccess) -> Result<(), AccessError> {
        self.append(Body::Access(Box::new(access)))
    }

    pub(crate) fn append(&self, body: Body) -> Result<(), AccessError> {
        if self.journal.append(body) {
            return Ok(());
        }
        Err(AccessError::Unavailable("the audit log takes no records".to_owned()))
    }

    /// Records that something was tried and not done.
    pub fn refused(&self, kind: &str, who: &Who, source: &str, detail: String) {
        let access = OwnedAccess {
            kind: kind.to_owned(),
            actor: actor(who),
            source: source.to_owned(),
            detail,
            ..OwnedAccess::default()
        };
        // Nothing happened, so nothing depends on the record.
        let _told = self.record(access);
    }

    /// Is one of these groups, or `*`, among the person's?
    #[must_use]
    pub fn is_member(person: &Person, groups: &[String]) -> bool {
        groups.iter().any(|group| group == "*" || person.groups.contains(group))
    }

    /// May this person end other people's sessions, grants and credentials?
    #[must_use]
    pub fn is_admin(&self, person: &Person) -> bool {
        Self::is_member(person, &self.policy().admins)
    }

    /// May this person look at everything?
    #[must_use]
    pub fn is_auditor(&self, person: &Person) -> bool {
        self.is_admin(person) || Self::is_member(person, &self.policy().auditors)
    }

    /// Somebody proved who they are: updates the person and gives the token of a sign-in.
    ///
    /// # Errors
    /// The person is suspended, or the store or log does not take it.
    pub fn sign_in(&self, arrival: &Arrival<'_>) -> Result<(SignIn, Person, String), AccessError> {
        let Arrival { who, name, handles, groups, how, source, until_s, issued_s } = *arrival;
        let person = self.meet(who, name, handles, (groups, issued_s))?;
        if person.suspended {
            self.refused("sign_in_failed", who, source, "suspended".to_owned());
            return Err(AccessError::Forbidden("this account is suspended"));
        }
        let token = secret()?;
        let now_s = self.clock.now_s();
        let until_s = until_s.map_or(now_s + SIGN_IN_S, |until| until.min(now_s + SIGN_IN_S));
        let sign_in = SignIn {
            id: hex(&Sha256::digest(token.as_bytes())),
            who: who.clone(),
            how: how.to_owned(),
            source: source.to_owned(),
            from_s: now_s,
            until_s,
            csrf: secret()?,
        };
        self.record(OwnedAccess {
            kind: "sign_in".to_owned(),
            actor: actor(who),
            user: person.handle.clone(),
            source: source.to_owned(),
            id: short(&sign_in.id),
            detail: how.to_owned(),
            until_ns: until_s * 1_000_000_000,
            ..OwnedAccess::default()
        })?;
        self.put(kind::SIGN_IN, &sign_in.id, 0, Some(&sign_in))?;
        Ok((sign_in, person, token))
    }

    /// Keeps what is known of a person up to date. What an older proof says of groups changes nothing: it would bring back
    /// what was taken since.
    fn meet(
        &self,
        who: &Who,
        name: &str,
        handles: &[String],
        (groups, issued_s): (&[String], Option<u64>),
    ) -> Result<Person, AccessError> {
        let now_s = self.clock.now_s();
        let issued_s = issued_s.unwrap_or(now_s).min(now_s);
        for _ in 0..ATTEMPTS {
            let known = self.cache().people.get(who).cloned();
            let (version, mut person) = match known {
                Some((version, person)) => (version, person),
                None => {
                    let mut salt = [0; 16];
                    getrandom::fill(&mut salt).map_err(|_| AccessError::Unavailable("no randomness".to_owned()))?;
                    let handle = self.claim(who, handles)?;
                    (0, Person { who: who.clone(), handle, salt: STANDARD.encode(salt), ..Person::default() })
                }
            };
            let before = (person.name.clone(), person.groups.clone());
            if issued_s >= person.groups_at_s {
                (person.name, person.groups) = (name.to_owned(), groups.to_vec());
                person.groups_at_s = issued_s;
            }
            if version > 0 && before == (person.name.clone(), person.groups.clone()) && now_s < person.seen_s + SEEN_S {
                // Nothing new: many logins a second need not be as many writes.
                return Ok(person);
            }
            person.seen_s = now_s;
            match self.put(kind::PERSON, &person_id(who), version, Some(&person)) {
                Ok(()) => return Ok(person),
                Err(AccessError::Over(_)) => self.pull()?,
                Err(error) => return Err(error),
            }
        }
        Err(AccessError::Unavailable("the store is busy".to_owned()))
    }

    /// Takes the first free of these names for a person.
    fn claim(&self, who: &Who, handles: &[String]) -> Result<String, AccessError> {
        let digest = hex(&Sha256::digest(format!("{}\0{}", who.issuer, who.subject).as_bytes()));
        let short = &digest[..6];
        let plain = handles.iter().map(|handle| tidy_handle(handle)).find(|handle| !handle.is_empty());
        let plain = plain.unwrap_or_else(|| format!("user-{short}"));
        for handle in [plain.clone(), format!("{plain}-{short}"), format!("user-{}", &digest[..16])] {
            if RESERVED.contains(&handle.as_str()) {
                continue;
            }
            // Lost against another arrival, the name may now be of this very account: it is looked at again.
            for _ in 0..2 {
                match self.cache().handles.get(&handle) {
                    Some((_, of)) if of == who => return Ok(handle),
                    Some(_) => break,
                    None => {}
                }
                match self.put(kind::HANDLE, &handle, 0, Some(who)) {
                    Ok(()) => return Ok(handle),
                    Err(AccessError::Over(_)) => self.pull()?,
                    Err(error) => return Err(error),
                }
            }
        }
        Err(AccessError::Invalid("no name is free for this account".to_owned()))
    }

    /// The sign-in with this token, and whose it is.
    ///
    /// # Errors
    /// There is none, it has ended, or the person is suspended.
    pub fn authenticate(&self, token: &str) -> Result<(SignIn, Person), AccessError> {
        if token.len() > 128 {
            return Err(AccessError::SignedOut);
        }
        let id = hex(&Sha256::digest(token.as_bytes()));
        let cache = self.cache();
        // Looked up by a hash, so how long the comparison takes says nothing about tokens.
        let (_, sign_in) = cache.sign_ins.get(&id).ok_or(AccessError::SignedOut)?;
        let (_, person) = cache.people.get(&sign_in.who).ok_or(AccessError::SignedOut)?;
        if sign_in.until_s <= self.clock.now_s() || person.suspended {
            return Err(AccessError::SignedOut);
        }
        Ok((sign_in.clone(), person.clone()))
    }

    /// Ends a sign-in, what was minted by it, and the sessions that use that.
    ///
    /// # Errors
    /// The store or log does not take it.
    pub fn sign_out(&self, sign_in: &SignIn) -> Result<(), AccessError> {
        self.record(OwnedAccess {
            kind: "sign_out".to_owned(),
            actor: actor(&sign_in.who),
            id: short(&sign_in.id),
            source: sign_in.source.clone(),
            ..OwnedAccess::default()
        })?;
        let ids: Vec<String> = {
            let cache = self.cache();
            cache.minted.values().filter(|(_, m)| m.sign_in == sign_in.id).map(|(_, m)| m.id.clone()).collect()
        };
        for id in ids {
            self.remove_minted(&id)?;
        }
        let version = self.cache().sign_ins.get(&sign_in.id).map_or(0, |(version, _)| *version);
        self.put::<SignIn>(kind::SIGN_IN, &sign_in.id, version, None)
    }

    /// A credential for databases: a password, known by its verifier, or a certificate, known by its serial number.
    ///
    /// # Errors
    /// Too many, or the store or log does not take it.
    pub fn mint(
        &self,
        sign_in: &SignIn,
        verifier: &str,
        serial: &str,
        target: &str,
        purpose: &str,
        seconds: u64,
    ) -> Result<Minted, AccessError> {
        let policy = self.policy();
        if purpose.trim().is_empty() && policy.purpose_needed(target) {
            let all = policy.purpose_targets.join(", ");
            return Err(AccessError::Invalid(format!("say what for: {all} needs a purpose")));
        }
        let now_s = self.clock.now_s();
        let until_s = (now_s + seconds.clamp(1, policy.minted_max_s)).min(sign_in.until_s);
        let handle = {
            let cache = self.cache();
            let of = cache.minted_of.get(&sign_in.who).map_or(0, Vec::len);
            if of >= MINTED_OF_ONE {
                drop(cache);
                return Err(AccessError::TooMany("too many credentials of yours are alive: log out first"));
            }
            cache.people.get(&sign_in.who).map(|(_, p)| p.handle.clone()).ok_or(AccessError::SignedOut)?
        };
        let minted = Minted {
            id: request_id()?.replace("TG-", "TC-"),
            who: sign_in.who.clone(),
            sign_in: sign_in.id.clone(),
            verifier: verifier.to_owned(),
            serial: serial.to_owned(),
            target: target.to_owned(),
            purpose: purpose.to_owned(),
            until_s,
        };
        self.record(OwnedAccess {
            kind: "mint".to_owned(),
            actor: actor(&sign_in.who),
            user: handle,
            source: sign_in.source.clone(),
            id: minted.id.clone(),
            target: target.to_owned(),
            reason: purpose.to_owned(),
            detail: if serial.is_empty() { "password".to_owned() } else { format!("certificate {serial}") },
            until_ns: until_s * 1_000_000_000,
            ..OwnedAccess::default()
        })?;
        self.put(kind::MINTED, &minted.id, 0, Some(&minted))?;
        Ok(minted)
    }

    fn remove_minted(&self, id: &str) -> Result<(), AccessError> {
        let version = self.cache().minted.get(id).map(|(version, _)| *version);
        match version {
            Some(version) => self.put::<Minted>(kind::MINTED, id, version, None),
            None => Ok(()),
        }
    }

    /// Who may log in to databases under this name: every live password, newest last. Does not wait.
    #[must_use]
    pub fn login(&self, user: &str) -> Vec<LoginOf> {
        let cache = self.cache();
        let Some((_, who)) = cache.handles.get(user) else { return Vec::new() };
        let ids = cache.minted_of.get(who).map(Vec::as_slice).unwrap_or_default();
        ids.iter().filter_map(|id| self.usable(&cache, id)).filter(|of| !of.minted.verifier.is_empty()).collect()
    }

    /// Whose client certificate has this serial number. Does not wait.
    #[must_use]
    pub fn certificate(&self, serial: &str) -> Option<LoginOf> {
        let cache = self.cache();
        cache.serials.get(serial).and_then(|id| self.usable(&cache, id))
    }

    fn usable(&self, cache: &Cache, id: &str) -> Option<LoginOf> {
        let now_s = self.clock.now_s();
        let (_, minted) = cache.minted.get(id)?;
        let (_, person) = cache.people.get(&minted.who)?;
        // A sign-in that has ended takes with it what another gateway was making by it.
        cache.sign_ins.get(&minted.sign_in)?;
        if minted.until_s <= now_s || person.suspended {
            return None;
        }
        let grants = cache.grants_of(&minted.who, now_s);
        Some(LoginOf { person: person.clone(), minted: minted.clone(), grants })
    }

    /// Somebody who shows a provider's token at a database: kept up to date, with the grants that hold.
    ///
    /// # Errors
    /// Suspended, or the store does not take it.
    pub fn shown(
        &self,
        who: &Who,
        name: &str,
        handles: &[String],
        groups: &[String],
        issued_s: Option<u64>,
    ) -> Result<(Person, Vec<AccessGrant>), AccessError> {
        let person = self.meet(who, name, handles, (groups, issued_s))?;
        if person.suspended {
            return Err(AccessError::Forbidden("this account is suspended"));
        }
        let grants = self.cache().grants_of(who, self.clock.now_s());
        Ok((person, grants))
    }

    /// Remembers a one-time value (a token's id, an assertion's id) until then; false if it was seen before.
    ///
    /// # Errors
    /// The store does not take it: the value must not be accepted.
    pub fn once(&self, what: &str, until_s: u64) -> Result<bool, AccessError> {
        let id = hex(&Sha256::digest(what.as_bytes()));
        match self.put(kind::ONCE, &id, 0, Some(&until_s)) {
            Ok(()) => Ok(true),
            Err(AccessError::Over(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// A secret that all gateways of this store share, kept sealed; `make` makes it when there is none yet.
    ///
    /// # Errors
    /// The store does not take it, or what is there is sealed under another key.
    pub fn shared_secret(
        &self,
        name: &str,
        make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, AccessError>,
    ) -> Result<Zeroizing<Vec<u8>>, AccessError> {
        let context = format!("secret {name}");
        let known = || self.cache().secrets.get(name).map(|(_, sealed)| sealed.clone());
        if known().is_none() {
            let sealed = self.sealed.seal(&context, &make()?)?;
            match self.put(kind::SECRET, name, 0, Some(&sealed)) {
                Ok(()) => {}
                // Another gateway was first: its secret is everybody's.
                Err(AccessError::Over(_)) => self.pull()?,
                Err(error) => return Err(error),
            }
        }
        let sealed = known().ok_or_else(|| AccessError::Unavailable("the store is busy".to_owned()))?;
        Ok(Zeroizing::new(self.sealed.open(&context, &sealed)?))
    }

    /// Grants that have not ended; of one person, or all.
    #[must_use]
    pub fn grants(&self, who: Option<&Who>) -> Vec<AccessGrant> {
        let now_s = self.clock.now_s();
        let cache = self.cache();
        let holds = |grant: &&AccessGrant| grant.ended.is_none() && grant.until_s > now_s;
        let of = |grant: &&AccessGrant| who.is_none_or(|who| grant.who == *who);
        cache.grants.values().map(|(_, grant)| grant).filter(holds).filter(of).cloned().collect()
    }

    /// Live credentials; of one person, or all.
    #[must_use]
    pub fn minted(&self, who: Option<&Who>) -> Vec<Minted> {
        let now_s = self.clock.now_s();
        let cache = self.cache();
        let of = |minted: &&Minted| minted.until_s > now_s && who.is_none_or(|who| minted.who == *who);
        cache.minted.values().map(|(_, minted)| minted).filter(of).cloned().collect()
    }

    /// Ends a grant or a credential before its time; one's own, or anybody's as an administrator. Sessions go with it.
    ///
    /// # Errors
    /// There is none, it is somebody else's, or not taken.
    pub fn revoke(&self, by: &Person, id: &str, reason: &str) -> Result<(), AccessError> {
        let grant = self.cache().grants.get(id).cloned();
        let minted = self.cache().minted.get(id).cloned();
        let of = grant.as_ref().map(|(_, grant)| &grant.who).or_else(|| minted.as_ref().map(|(_, minted)| &minted.who));
        let of = of.ok_or(AccessError::NotFound)?.clone();
        if of != by.who {
            self.needs_admin(by, "revoke")?;
        }
        self.record(OwnedAccess {
            kind: "end".to_owned(),
            actor: actor(&by.who),
            about: actor(&of),
            id: id.to_owned(),
            reason: reason.to_owned(),
            detail: "revoked".to_owned(),
            ..OwnedAccess::default()
        })?;
        match grant {
            Some((_, grant)) if grant.ended.is_some() => Err(AccessError::Over("it has ended already".to_owned())),
            Some((version, mut grant)) => {
                grant.ended = Some("revoked".to_owned());
                self.put(kind::GRANT, id, version, Some(&grant))
            }
            None => self.remove_minted(id),
        }
    }

    /// Ends what has passed its time and forgets what is long over.
    ///
    /// # Errors
    /// The store or log does not take it; it is tried again.
    pub fn tidy(&self) -> Result<(), AccessError> {
        let now_s = self.clock.now_s();
        let (sign_ins, minted, once, ended, gone) = {
            let cache = self.cache();
            let sign_ins: Vec<_> = cache.sign_ins.iter().filter(|(_, (_, s))| s.until_s <= now_s).map(key).collect();
            let minted: Vec<_> = cache.minted.iter().filter(|(_, (_, m))| m.until_s <= now_s).map(key).collect();
            let once: Vec<_> = cache.once.iter().filter(|(_, (_, until))| *until <= now_s).map(key).collect();
            let over = |grant: &AccessGrant| grant.until_s <= now_s && grant.ended.is_none();
            let ended: Vec<_> = cache.grants.values().filter(|(_, grant)| over(grant)).cloned().collect();
            let gone = |grant: &AccessGrant| grant.ended.is_some() && grant.until_s + KEPT_S <= now_s;
            let gone: Vec<_> = cache.grants.iter().filter(|(_, (_, grant))| gone(grant)).map(key).collect();
            (sign_ins, minted, once, ended, gone)
        };
        for (version, mut grant) in ended {
            grant.ended = Some("expired".to_owned());
            self.if_first(self.put(kind::GRANT, &grant.id.clone(), version, Some(&grant)), || {
                self.record(OwnedAccess {
                    kind: "end".to_owned(),
                    about: actor(&grant.who),
                    id: grant.id.clone(),
                    target: grant.target.clone(),
                    detail: "expired".to_owned(),
                    ..OwnedAccess::default()
                })
            })?;
        }
        for (of, list) in [(kind::SIGN_IN, sign_ins), (kind::MINTED, minted), (kind::ONCE, once), (kind::GRANT, gone)] {
            for (id, version) in list {
                self.if_first(self.put::<()>(of, &id, version, None), || Ok(()))?;
            }
        }
        self.tidy_reviews(now_s, KEPT_S)?;
        self.tidy_requests(now_s, KEPT_S)
    }

    /// Goes on when this gateway was the one that made a change; another one may have been faster.
    pub(crate) fn if_first(
        &self,
        done: Result<(), AccessError>,
        then: impl FnOnce() -> Result<(), AccessError>,
    ) -> Result<(), AccessError> {
        match done {
            Ok(()) => then(),
            Err(AccessError::Over(_)) => self.pull(),
            Err(error) => Err(error),
        }
    }
}

fn key<T>((id, (version, _)): (&String, &(u64, T))) -> (String, u64) {
    (id.clone(), *version)
}

/// Enough of a sign-in's id to find it in the log.
fn short(id: &str) -> String {
    id.chars().take(16).collect()
}

/// A name as databases take it: lower case, letters, digits, `.`, `_`, `-`, at most 40 characters; of an e-mail address
/// what is before the `@`.
fn tidy_handle(text: &str) -> String {
    let before = text.split('@').next().unwrap_or_default();
    let kept = before.chars().flat_map(char::to_lowercase).filter(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c));
    kept.take(40).collect::<String>().trim_matches(['.', '-', '_']).to_owned()
}
