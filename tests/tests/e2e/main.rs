//! End-to-end tests: the gateway program, a real PostgreSQL, real clients.

mod drivers;
mod identity;
mod plain;
mod transparency;
