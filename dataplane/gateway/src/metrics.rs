//! Counters and latency histograms of one core. Written by that core alone; read by whoever asks.

use hdrhistogram::Histogram;
use session::Stage;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

/// Longest duration kept in nanoseconds (100 s); longer ones count as this.
const DURATION_NS_MAX: u64 = 100_000_000_000;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters of one core.
        #[derive(Debug, Default)]
        pub(crate) struct Counters { $(pub(crate) $name: AtomicU64,)* }

        /// Counters at one moment.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub struct Counts { $($(#[$doc])* pub $name: u64,)* }

        impl Counters {
            pub(crate) fn read(&self) -> Counts {
                Counts { $($name: self.$name.load(Ordering::Relaxed),)* }
            }
        }

        impl Counts {
            /// Every counter with its name.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Connections accepted.
    connections,
    /// Sessions open now (gauge).
    sessions_open,
    /// Sessions that were admitted.
    sessions,
    /// Logins that failed.
    logins_failed,
    /// Connections turned away by a limit.
    rejected,
    /// Statements forwarded.
    statements,
    /// Statements refused.
    refusals,
    /// Rows returned.
    rows,
    /// Results with masked columns.
    masked_results,
    /// Bytes read from clients.
    bytes_in,
    /// Bytes written to clients.
    bytes_out,
    /// Cancel requests that matched a session.
    cancels,
    /// Sessions that took a connection which another had left.
    connections_reused,
    /// Connections that a session has left and that are being cleaned for another (gauge).
    connections_cleaning,
    /// Conversations ended by a protocol fault.
    faults,
    /// Panics caught.
    panics,
    /// The core has ended because a task of it panicked (gauge).
    core_failed,
    /// Records that the log could not take.
    unrecorded,
    /// Statements refused because their record was not taken, or not in time.
    audit_given_up,
    /// Blocks of the audit log written.
    audit_blocks,
    /// Bytes of the audit log written.
    audit_bytes,
    /// Microseconds that commits of the audit log took.
    audit_commit_us,
    /// Errors of the audit log's disk.
    audit_disk_errors,
    /// Bytes of records that are not durable yet (gauge).
    audit_ring_used_bytes,
    /// What the audit log can take: 0 everything, 1 no new sessions, 2 nothing more from clients (gauge).
    audit_pressure,
    /// The audit log is written to the spare directory (gauge).
    audit_on_spare,
    /// Facts found in the cache.
    facts_cached,
    /// Texts analysed.
    facts_analysed,
}

/// What a session waits for outside of its statements' own stages.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// From accepting a connection to its session, the connection to the database included.
    Login,
    /// That connection: made, or one that was kept.
    Dial,
    /// Output that no durable record covered yet.
    Held,
    /// Output that the client's socket did not take.
    Write,
}

/// Everything measured on one core.
#[derive(Debug)]
pub(crate) struct CoreMetrics {
    pub(crate) counters: Counters,
    stages: [Mutex<Histogram<u64>>; 7],
}

impl CoreMetrics {
    pub(crate) fn new() -> Self {
        Self { counters: Counters::default(), stages: std::array::from_fn(|_| Mutex::new(histogram())) }
    }

    pub(crate) fn measure(&self, stage: Stage, ns: u64) {
        self.record(index(stage), ns);
    }

    pub(crate) fn waited(&self, wait: Wait, ns: u64) {
        self.record(place(wait), ns);
    }

    fn record(&self, index: usize, ns: u64) {
        // Uncontended but while somebody reads the histograms.
        if let Ok(mut histogram) = self.stages[index].lock() {
            histogram.saturating_record(ns.clamp(1, DURATION_NS_MAX));
        }
    }

    pub(crate) fn read(&self) -> CoreSnapshot {
        let read = |index: usize| self.stages[index].lock().map_or_else(|_| histogram(), |h| h.clone());
        CoreSnapshot {
            counts: self.counters.read(),
            stages: vec![
                ("decide", read(index(Stage::Decide))),
                ("durable", read(index(Stage::Durable))),
                ("upstream", read(index(Stage::Upstream))),
                ("held", read(place(Wait::Held))),
                ("write", read(place(Wait::Write))),
                ("login", read(place(Wait::Login))),
                ("dial", read(place(Wait::Dial))),
            ],
        }
    }
}

fn index(stage: Stage) -> usize {
    match stage {
        Stage::Decide => 0,
        Stage::Durable => 1,
        Stage::Upstream => 2,
    }
}

/// Behind the stages of statements.
fn place(wait: Wait) -> usize {
    match wait {
        Wait::Held => 3,
        Wait::Write => 4,
        Wait::Login => 5,
        Wait::Dial => 6,
    }
}

#[expect(clippy::unwrap_used, reason = "constant, valid bounds")]
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, DURATION_NS_MAX, 2).unwrap()
}

/// One core at one moment.
#[derive(Clone, Debug)]
pub struct CoreSnapshot {
    /// Counters.
    pub counts: Counts,
    /// Durations in nanoseconds per stage.
    pub stages: Vec<(&'static str, Histogram<u64>)>,
}

/// All cores at one moment.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    /// In core order.
    pub cores: Vec<CoreSnapshot>,
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed) + n, Ordering::Relaxed);
}

pub(crate) fn subtract(counter: &AtomicU64, n: u64) {
    counter.store(counter.load(Ordering::Relaxed).saturating_sub(n), Ordering::Relaxed);
}
