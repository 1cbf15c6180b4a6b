//! Who vouches for the audit log: settings of checkpoints, witnesses and copies; the notary beside a running gateway; the
//! commands of signers, witnesses and keys.
//!
//! Invariants: a gateway does not start on a log that a witness or signer knows to be longer, unless somebody says that
//! the loss is accepted, which is then recorded; once it runs, nothing here keeps a session waiting.

pub mod cli;
pub mod settings;
pub mod start;

pub use settings::Settings;
