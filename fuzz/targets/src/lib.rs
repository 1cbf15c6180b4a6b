//! Bodies of the fuzz targets, as plain functions: libFuzzer calls them with what it invents, an ordinary test calls them
//! with every file of the committed corpora.
//!
//! A body panics when an invariant is broken and returns otherwise. The two halves of a conversation are driven by
//! operations (frames of either side, raw bytes, partial reads and writes, verdicts), not by bytes alone: see [`ops`].
//! Deliberately absent: time, randomness, files.

mod canary;
mod client;
mod conversation;
mod documents;
mod judge;
pub mod ops;
pub mod seeds;
mod server;

pub use conversation::{downstream, upstream};
pub use documents::{audit_reader, bundle, lineage, rules, saml, tlog, token};

/// A fuzz target: panics on a defect.
pub type Target = fn(&[u8]);

/// Every target by name.
pub const TARGETS: &[(&str, Target)] = &[
    ("downstream", downstream),
    ("upstream", upstream),
    ("bundle", bundle),
    ("rules", rules),
    ("audit_reader", audit_reader),
    ("lineage", lineage),
    ("tlog", tlog),
    ("token", token),
    ("saml", saml),
];
