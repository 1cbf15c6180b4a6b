//! What is constant for a session.

use crate::durability::Durability;
use crate::settings::Startup;
use audit::record::SessionId;
use sealing::SessionKey;
use std::rc::Rc;

/// What is constant for a session, for its records.
#[derive(Clone, Debug)]
pub struct SessionInfo {
    /// Session id.
    pub id: SessionId,
    /// Peer address.
    pub source: String,
    /// TLS of the downstream, or empty.
    pub tls: String,
    /// Issuer of the identity.
    pub issuer: String,
    /// Subject there.
    pub subject: String,
    /// Name it logged in with.
    pub user: String,
    /// Application name.
    pub application: String,
    /// Index of the target.
    pub target: usize,
    /// Target's name.
    pub target_name: String,
    /// Database upstream.
    pub database: String,
    /// Account upstream.
    pub account: String,
    /// What statements and answers wait for.
    pub mode: Durability,
    /// Nanoseconds that something waits for its record before it fails.
    pub wait_max_ns: u64,
    /// What the client asked for when it began.
    pub startup: Startup,
    /// Purpose that was stated, or of the grant that gave the role.
    pub purpose: String,
    /// Nanoseconds that a statement waits for approval before it fails.
    pub hold_max_ns: u64,
    /// Nanoseconds between two notices meanwhile.
    pub hold_notice_ns: u64,
    /// What texts and parameters are sealed with; `None` records them as they are.
    pub key: Option<Rc<SessionKey>>,
    /// How its answers are recorded: `digest`, `rows`, or empty for not at all.
    pub recording: &'static str,
}
