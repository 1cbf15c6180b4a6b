//! What vouches for the audit log outside of this machine, over blocking sockets and files.
//!
//! Deliberately absent: the data path. Nothing here is called by a session, and nothing here keeps one waiting.

pub mod http;
pub mod s3;
