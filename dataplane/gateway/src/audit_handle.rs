//! The running gateway's audit log, as other threads see it.
//!
//! Invariants: records are appended by core 0 alone, in the order they were posted; what is read here are numbers that
//! only grow. Deliberately absent: reading the log, and anything that would make a session wait.

use crate::Shared;
use crate::core::Message;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::time::Duration;

/// A way to the audit log of a running gateway, for threads of the control side. Clones are cheap, and do not keep the
/// gateway alive.
#[derive(Clone, Debug)]
pub struct AuditHandle {
    pub(crate) shared: Arc<Shared>,
}

impl AuditHandle {
    /// Posts an administrative record to core 0, which appends it as soon as its log takes it. False for records that
    /// sessions write, and when too many wait already.
    #[must_use]
    pub fn append(&self, body: audit::Body) -> bool {
        let first = self.shared.mailboxes.first();
        body.is_administrative() && first.is_some_and(|mailbox| mailbox.post(Message::Append(Box::new(body), None)))
    }

    /// The same, and waits until the record is durable. False if that takes longer than `limit`: what the record is about
    /// must not happen then, although the log may yet say that it was about to. Blocks: not for cores.
    #[must_use]
    pub fn append_durable(&self, body: audit::Body, limit: Duration) -> bool {
        let (tell, told) = sync_channel(1);
        let first = self.shared.mailboxes.first();
        body.is_administrative()
            && first.is_some_and(|mailbox| mailbox.post(Message::Append(Box::new(body), Some(tell))))
            && told.recv_timeout(limit).is_ok()
    }

    /// For each core, the number of the block that becomes durable next: all blocks before it are on disk.
    #[must_use]
    pub fn durable_blocks(&self) -> Vec<(u16, u64)> {
        let cores = self.shared.durable_blocks.iter().zip(0..);
        cores.map(|(next, core)| (core, next.load(Ordering::Acquire))).collect()
    }

    /// Says whether the log's checkpoints have been unsigned for too long. While they are, no new session is admitted.
    pub fn set_unsigned_too_long(&self, too_long: bool) {
        self.shared.unsigned_too_long.store(too_long, Ordering::Relaxed);
    }
}
