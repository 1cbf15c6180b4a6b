//! The console and the API behind it: pages for people, sign-in, JSON for programs.
//!
//! ```text
//!   browser, command line ─TLS─▶ serve ─▶ guard ─▶ pages · signin · api ─▶ access::Engine: the rules
//!                                                                 └─▶ World: what the gateway knows and does
//! ```
//!
//! Invariants: everything is on a thread and a runtime of its own, so no core ever waits for it; every rule about people is
//! the engine's; nothing that a client, a provider or a database wrote reaches a page unescaped, and no page runs a script
//! that is not embedded here. Deliberately absent: state of its own but for attempts counted in memory, and any rule about
//! who may do what.

pub mod api;
mod assets;
mod authority;
mod failure;
mod guard;
pub mod notify;
mod pages;
mod serve;
pub mod signin;
mod speak;
mod state;
pub mod webauthn;
pub mod world;

pub use authority::{Authority, PublicKey, serial};
pub use failure::Failure;
pub use serve::{Running, Settings, start};
pub use state::{Shared, State, local_path};
pub use world::World;
