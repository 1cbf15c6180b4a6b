//! What a session needs from the core it lives on.

use crate::shelf::Shelf;
use audit::record::{Record, Recorded};
use lineage::{Facts, NotUnderstood};
use std::rc::Rc;
use std::sync::Arc;

/// The log cannot take a record now: what it was about must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unrecorded;

/// A user of the gateway.
#[derive(Clone, Debug)]
pub struct User<V> {
    /// What the proof is checked with; for an unknown user a verifier that always fails at the end.
    pub verifier: V,
    /// Who it is, one for each secret that the verifier knows; empty for an unknown user.
    pub proven: Vec<Proven>,
}

/// Who somebody is, once the proof holds, and for how long that is worth something.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proven {
    /// The identity.
    pub identity: policy::Identity,
    /// Name in databases and in what people read.
    pub user: String,
    /// Roles given for a time.
    pub grants: Vec<Granted>,
    /// Sessions end then, Unix nanoseconds; 0 for no end.
    pub until_ns: u64,
    /// What was shown: `password`, `minted`, `token`, `oauthbearer`, `certificate`.
    pub how: String,
    /// Id of what was shown, if it has one.
    pub credential: String,
    /// Purpose or ticket that was stated.
    pub purpose: String,
    /// The only target it is good for; empty for all.
    pub only_target: String,
}

/// A role given for a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Granted {
    /// Id of the grant.
    pub id: String,
    /// Name of the target.
    pub target: String,
    /// Role.
    pub role: String,
    /// Until when, Unix nanoseconds.
    pub until_ns: u64,
    /// Purpose it was given for.
    pub purpose: String,
    /// Taken in an emergency: its sessions are recorded, whatever the configuration says.
    pub emergency: bool,
}

impl Proven {
    /// A user of the configuration.
    #[must_use]
    pub fn local(user: &str, groups: Vec<String>) -> Self {
        let identity =
            policy::Identity { issuer: "local".to_owned(), subject: user.to_owned(), groups, granted: Vec::new() };
        Self { identity, user: user.to_owned(), how: "password".to_owned(), ..Self::default() }
    }
}

/// Stages whose durations are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Understanding and deciding a statement.
    Decide,
    /// From recording an intent to its being durable.
    Durable,
    /// From forwarding a statement to its end.
    Upstream,
}

/// The core a session lives on. Shared by its sessions, so every method takes `&self`.
pub trait Host {
    /// Monotonic nanoseconds, the same on every core.
    fn now_ns(&self) -> u64;
    /// Nanoseconds since 1970 that do not jump when somebody sets the clock.
    fn unix_ns(&self) -> u64;
    /// Random bytes, for the name of a request. `None` if there are none.
    fn random(&self) -> Option<[u8; 5]>;
    /// Appends a record.
    ///
    /// # Errors
    /// The log is full or broken.
    fn record(&self, record: &Record<'_>) -> Result<Recorded, Unrecorded>;
    /// Leaves a record out, for a target whose log is off.
    ///
    /// # Errors
    /// The log is broken: nothing goes on then, recorded or not.
    fn leave_out(&self, record: &Record<'_>) -> Result<Recorded, Unrecorded>;
    /// A statement was refused because the log did not take its record, or not in time.
    fn given_up(&self);
    /// The record with this sequence number will survive a crash.
    fn is_durable(&self, sequence: u64) -> bool;
    /// Facts of a text, from the core's cache.
    ///
    /// # Errors
    /// The text is not in the grammar.
    fn facts(&self, text: &str) -> Result<Arc<Facts>, NotUnderstood>;
    /// Judgements that sessions with this grant share; without this, every session has its own.
    fn shelf(&self, _grant: &policy::Grant) -> Rc<Shelf> {
        Rc::default()
    }
    /// Rules and catalog in force for a target.
    fn epoch(&self, target: usize) -> Arc<policy::Epoch>;
    /// A statement that changes the catalog ended.
    fn catalog_changed(&self, target: usize);
    /// What identities have taken lately; one for the process.
    fn ledger(&self) -> &Arc<policy::ledger::Ledger>;
    /// A duration was measured.
    fn measure(&self, stage: Stage, ns: u64);
}
