//! Pure paths as plain functions: what benchmarks time, what instruction counters count, what allocation tests watch.
//!
//! Invariants: no sockets, no files; the same work in every run, so that instructions can be compared between revisions.
//! Deliberately absent: timing and judging, which are the callers'.

pub mod clinic;
pub mod decision;
pub mod statement;
