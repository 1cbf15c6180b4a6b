//! End-to-end tests: the gateway program, a real PostgreSQL, real clients.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod accounts;
mod approvals;
mod audit;
mod bad_input;
mod blocking;
mod bound;
mod budgets;
mod compiler;
mod console;
mod copy;
mod drivers;
mod durable;
mod evidence_pack;
mod executors;
mod exports;
mod forwarding;
mod grants;
mod handed_on;
mod hostile_server;
mod identity;
mod lifecycle;
mod limits;
mod login;
mod masking;
mod modes;
mod notary;
mod operations;
mod plain;
mod proofs;
mod reached;
mod recordings;
mod refused_rings;
mod reuse;
mod saml;
mod secrets;
mod signin;
mod stalls;
mod texts;
mod tls;
mod transparency;
mod typed;
mod values;
mod verify;
mod ways_out;
