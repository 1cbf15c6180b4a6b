//! The shell on each core: listener, pump, dial, TLS, timers, ring writer, and the driver.
//!
//! Invariants: only `driver` names a runtime; a session lives and dies on
//! one core; cores share the settings, the rules (replaced whole, by message) and the mailboxes, nothing else on the path
//! of a statement.
//!
//! Deliberately absent: configuration files, signals, name resolution, HTTP; the program brings them.

pub mod access;
mod audit_handle;
mod conversation;
mod core;
mod driver;
mod ending;
mod exchange;
mod failing;
mod holds;
mod key_slots;
mod metrics;
#[cfg(test)]
mod played;
mod proof;
mod recorder;
pub mod ring_writer;
mod settings;
mod spares;
mod start;
mod tls;
mod upstream;

pub use audit_handle::AuditHandle;
pub use contract::Discovery;
pub use driver::Driver;
pub use metrics::{CoreSnapshot, Counts, Metrics};
pub use session::Durability;
pub use settings::{
    Credentials, DownstreamTls, DuplicateUser, Limits, Onward, Recording, RecordingMode, Recordings, Reuse, Rules,
    Secret, Settings, TargetSettings, Tokens, UpstreamTls, User, Users,
};
pub use start::{Gateway, Outcome, StartError, Status, start};

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

/// Something the control side should know.
#[derive(Debug)]
pub enum Event {
    /// A statement that changes the catalog of this target ended.
    CatalogChanged {
        /// Index of the target.
        target: usize,
    },
    /// A session asks.
    Ask(Box<access::Ask>),
}

/// What cores share.
pub(crate) struct Shared {
    pub(crate) events: Box<dyn Fn(Event) + Send + Sync>,
    pub(crate) mailboxes: Vec<core::Mailbox>,
    /// What identities have taken lately.
    pub(crate) ledger: Arc<policy::ledger::Ledger>,
    /// Where every core's time begins.
    pub(crate) began: Instant,
    /// Number of the block that becomes durable next, per core.
    pub(crate) durable_blocks: Vec<Arc<AtomicU64>>,
    /// The log's checkpoints have been unsigned for too long: no new sessions.
    pub(crate) unsigned_too_long: AtomicBool,
    /// Nanoseconds since 1970 when every core's time began.
    pub(crate) began_unix_ns: u64,
    /// The sessions that run.
    pub(crate) live: access::LiveSessions,
    seats: Arc<AtomicUsize>,
    users: Arc<Mutex<HashMap<String, usize>>>,
}

/// One connection's place among those the process may have.
pub(crate) struct Seat(Arc<AtomicUsize>);

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One session's place among those its user may have.
pub(crate) struct UserSeat {
    users: Arc<Mutex<HashMap<String, usize>>>,
    name: String,
}

impl Drop for UserSeat {
    fn drop(&mut self) {
        if let Ok(mut users) = self.users.lock()
            && let Some(count) = users.get_mut(&self.name)
        {
            *count -= 1;
            if *count == 0 {
                users.remove(&self.name);
            }
        }
    }
}

impl Shared {
    pub(crate) fn sit(&self, max: usize) -> Option<Seat> {
        let seat = Seat(Arc::clone(&self.seats));
        (self.seats.fetch_add(1, Ordering::Relaxed) < max).then_some(seat)
    }

    pub(crate) fn seat(&self, name: &str, max: usize) -> Option<UserSeat> {
        let mut users = self.users.lock().ok()?;
        let count = users.entry(name.to_owned()).or_insert(0);
        if *count >= max {
            return None;
        }
        *count += 1;
        Some(UserSeat { users: Arc::clone(&self.users), name: name.to_owned() })
    }
}
