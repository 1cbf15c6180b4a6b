//! What the end-to-end tests stand on: real servers, the real gateway program, real clients, and a client of our own that
//! speaks the protocol byte by byte.
//!
//! Invariants: everything listens on loopback at ports the system chose, lives in one temporary folder, and is stopped by
//! process id when its value is dropped or the test process ends in any way. Nothing here imports the gateway's crates: the
//! tests see what an operator sees. It deliberately decides nothing: expectations are written in the tests.

#![allow(clippy::unwrap_used, reason = "a test harness fails by panicking")]

pub mod browser;
pub mod canary;
pub mod certificates;
pub mod clients;
pub mod disk;
pub mod endpoint;
pub mod folder;
pub mod gateway;
pub mod hostile;
pub mod ports;
pub mod process;
pub mod programs;
pub mod provider;
pub mod receivers;
pub mod reconcile;
pub mod rules;
pub mod saml;
pub mod server;
pub mod tls;
pub mod visitor;
pub mod wire;
