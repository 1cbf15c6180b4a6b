//! Access in the program: configuration, the engine, and the way between its decisions and the cores.
//!
//! ```text
//!   cores ──Event::Ask──▶ Asks (workers) ──▶ engine ──▶ store
//!     ▲──Answer, Cut───────┘      ▲──────News──────────────┘
//! ```
//!
//! Invariants: questions of one session are answered in their order, by one worker; without the section `access:` nobody
//! but the users file can log in and every question is refused. Deliberately absent: the rules, which are the engine's.

mod asks;
mod console;
mod credentials;
mod directory;
mod issuers;
mod notices;
mod saml;
mod settings;
mod start;
mod world;

pub use asks::Asks;
pub use console::{Served, Vouchers, serve_console};
pub(crate) use credentials::read as read_credentials;
pub use credentials::{CredentialSettings, Issuer, PerSession, of_target as credentials_of};
pub use directory::People;
pub(crate) use issuers::read as read_identity;
pub use issuers::{IdentitySettings, Written};
pub use settings::{AccessSettings, ConsoleSettings, StoreSource};
pub(crate) use settings::{access as read_access, console as read_console};
pub use start::{LateJournal, Running, host_name, policy_of, start};
pub use world::{Gate, InForce, Reached};
