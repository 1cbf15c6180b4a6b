//! Time that nobody sets back: Unix time at the start, and what has passed since on a clock that only goes on.
//!
//! Deadlines are compared with this clock, so setting the machine's wall clock while the gateway runs neither lengthens nor
//! shortens anything. Deliberately absent: time from the network.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The clock of an engine.
#[derive(Debug)]
pub struct Clock {
    began_ns: u64,
    began: Instant,
    /// Added in tests.
    ahead_ns: AtomicU64,
}

impl Default for Clock {
    fn default() -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let began_ns = u64::try_from(since.as_nanos()).unwrap_or(u64::MAX / 2);
        Self { began_ns, began: Instant::now(), ahead_ns: AtomicU64::new(0) }
    }
}

impl Clock {
    /// Nanoseconds since 1970.
    #[must_use]
    pub fn now_ns(&self) -> u64 {
        let passed = u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(0);
        self.began_ns + passed + self.ahead_ns.load(Ordering::Relaxed)
    }

    /// Seconds since 1970.
    #[must_use]
    pub fn now_s(&self) -> u64 {
        self.now_ns() / 1_000_000_000
    }

    /// Lets time pass.
    pub fn advance_s(&self, seconds: u64) {
        self.ahead_ns.fetch_add(seconds * 1_000_000_000, Ordering::Relaxed);
    }
}
