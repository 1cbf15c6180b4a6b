//! What a core's log says of itself to metrics, `status` and whoever lets sessions in. Values alone: who sets them is the
//! writer.

/// What the log can take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pressure {
    /// Everything.
    #[default]
    Normal,
    /// No new sessions: the ring fills, the disk fails, or no space can be made ready.
    RefusingSessions,
    /// Nothing more is read from clients: the ring is almost full.
    Stalled,
}

impl Pressure {
    /// The word in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::RefusingSessions => "refusing_sessions",
            Self::Stalled => "stalled",
        }
    }
}

/// Counters of one core's log, for metrics and `status`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AuditStatus {
    /// Last record appended.
    pub last_sequence: u64,
    /// Last record on disk.
    pub durable_sequence: u64,
    /// Bytes of the ring in use.
    pub ring_used: usize,
    /// Bytes of the ring.
    pub ring_bytes: usize,
    /// Blocks written.
    pub blocks: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Microseconds that the last commit took.
    pub last_commit_us: u64,
    /// Microseconds that all commits took.
    pub commits_us: u64,
    /// Errors of the disk.
    pub errors: u64,
    /// The disk fails now.
    pub failing: bool,
    /// The spare directory is written.
    pub spare: bool,
    /// Writes go through the page cache.
    pub buffered: bool,
    /// What the log can take.
    pub pressure: Pressure,
}
