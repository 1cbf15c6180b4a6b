//! The other side of the scale: ordinary statements that must work unchanged for an analyst over a database where a third of
//! the columns are protected.
//!
//! Every case runs against the server and through the gateway, by simple and extended query, in text and in binary, and the
//! two conversations are compared frame by frame: columns, rows, tags and SQLSTATEs are the same, protected columns have
//! exactly the form the rules say. It deliberately knows nothing of how the gateway decides, and it never repeats a case
//! until it passes: what does not work is in [`exceptions`] with its reason, or it fails.

#![allow(clippy::unwrap_used, reason = "a test harness fails by panicking")]

pub mod case;
pub mod compare;
pub mod exceptions;
pub mod mask;
pub mod place;
pub mod report;
pub mod run;
pub mod tools;
