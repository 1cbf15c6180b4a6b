//! What people ask of the log and take away from it: queries, exports, retention, reports and the evidence pack.
//!
//! Reads what `audit` wrote; answers are derived, and each names the records it came from. Acts of people on the log are
//! records of the desk. Deliberately absent: verification, which is the business of the verifier, and any network.

pub mod acts;
pub mod cli;
pub mod export;
pub mod headers;
pub mod join;
pub mod keys;
pub mod origin;
pub mod pack;
pub mod person;
pub mod query;
pub mod report;
pub mod retention;
pub mod row;
pub mod sample;
pub mod table;
pub mod unseal;
