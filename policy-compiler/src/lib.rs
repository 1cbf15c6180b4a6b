//! The offline half of policy: rule files and catalog snapshots in, one bundle out, and everything a person wants to know
//! before it is in force.
//!
//! * [`load`] reads and checks rule files and reports every mistake at once;
//! * [`resolve`] binds them to catalog snapshots; the bundle is the runtime's own encoding of the model;
//! * [`explain`], [`testing`], [`diff`], [`coverage`], [`init`] answer questions about rules;
//! * [`snapshot`] fetches a catalog from a live target; the gateway uses it too.
//!
//! What a rule means at run time is decided by the crate `policy` alone: nothing here re-implements it.

pub mod build;
pub mod bundle;
pub mod coverage;
mod detect;
pub mod diagnostic;
pub mod diff;
pub mod engine;
pub mod explain;
pub mod init;
pub mod library;
mod pattern;
mod read;
pub mod redaction;
pub mod resolve;
pub mod sampling;
pub mod schema;
pub mod selector;
pub mod snapshot;
pub mod source;
pub mod suspicion;
pub mod testing;
pub mod words;
mod yaml;

pub use build::{Rules, load, load_str};
pub use diagnostic::{Diagnostic, Paint, Report, Severity};
pub use resolve::Catalogs;
pub use source::{Place, Source, Sources};
