//! The program `tidegate`: configuration, users, TLS files, and the glue between gateway and control thread.
//!
//! Everything that can be checked before a socket is opened is checked by [`prepare`], for `serve`, `check-config` and
//! reload alike. Deliberately absent: protocols and policy; this crate names them only to pass values on.

pub mod access;
pub mod access_cli;
pub mod bench;
pub mod board;
pub mod config;
pub mod forwarders;
pub mod keys;
pub mod login;
pub mod metrics;
pub mod prepare;
pub mod problems;
pub mod process;
pub mod recordings;
pub mod replays;
pub mod secrets;
pub mod secrets_cli;
pub mod serve;
pub mod status;
pub mod tls;
pub mod units;
pub mod users;
pub mod vault;
pub mod vouch;
pub mod world;
pub mod yaml;
