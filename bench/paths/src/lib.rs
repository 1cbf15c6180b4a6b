//! Pure paths as plain functions: what benchmarks time, what the instruction gate counts, what allocation tests watch.
//!
//! Invariants: no sockets, no files; the same work in every run, so that instructions can be compared between revisions.
//! Deliberately absent: timing and judging, which are the callers'.

pub mod clinic;
pub mod database;
pub mod host;
mod paths;
pub mod records;
pub mod rules;
pub mod statement;
pub mod talk;

pub use paths::{PATHS, Path, Step};
