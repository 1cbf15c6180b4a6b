//! Where it is kept: entries by kind and id, each with a version, changed only by who knows the version.
//!
//! One interface, two stores: [`crate::embedded`] for one gateway, [`crate::shared`] (PostgreSQL) for several. Invariants:
//! `put` is a compare-and-set; versions of a store only grow, so a reader that asks for what is newer than the last it saw
//! misses nothing; what `put` returned is durable. Blocking: never called on a core.

use std::time::Duration;

/// An entry as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Kind.
    pub kind: String,
    /// Id.
    pub id: String,
    /// Version, ascending over the whole store.
    pub version: u64,
    /// JSON; `None` for an entry that was removed.
    pub body: Option<Vec<u8>>,
}

/// Why the store did not do something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoreError {
    /// The entry is not at the version that was expected.
    Conflict,
    /// The store cannot be reached or fails; the text is for operators.
    Unavailable(String),
}

impl std::fmt::Display for StoreError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Conflict => f.write_str("the entry was changed by somebody else"),
            Self::Unavailable(why) => write!(f, "the access store is not available: {why}"),
        }
    }
}

impl std::error::Error for StoreError {}

/// A store.
pub trait Store: Send + Sync + std::fmt::Debug {
    /// Changes an entry that is at `expected` (0: that does not exist); returns its new version. `None` removes it.
    ///
    /// # Errors
    /// It is at another version, or the store fails.
    fn put(&self, kind: &str, id: &str, expected: u64, body: Option<&[u8]>) -> Result<u64, StoreError>;

    /// Entries with a version above `since`, ascending by version.
    ///
    /// # Errors
    /// The store fails.
    fn changes(&self, since: u64) -> Result<Vec<Entry>, StoreError>;

    /// Returns when there may be changes by somebody else, or after `limit`.
    fn wait(&self, limit: Duration);
}
