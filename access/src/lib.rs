//! Who may do what, for how long: sign-ins, minted credentials, requests, votes, grants, and what ends them.
//!
//! ```text
//!   console, command line, sessions ─▶ Engine: the rules ─▶ Store: compare-and-set ─▶ feed ─▶ cache ─▶ News
//!                                                 └─▶ Journal: records
//! ```
//!
//! Invariants: every rule is in [`Engine`], whoever asks; nobody votes on what they asked for, whatever they are; an
//! approval is used once, by compare-and-set; time comes from a clock that nobody sets back; a store that fails refuses.
//! Deliberately absent: HTTP, tokens of identity providers (see `identity`), SQL of targets, masking.

mod break_glass;
mod cache;
mod clock;
mod embedded;
mod engine;
mod model;
mod people;
mod sealed;
mod shared;
mod store;
mod votes;

pub use break_glass::{EMERGENCY_MAX_S, REVIEW_WITHIN_S, REVIEWS};
pub use cache::{LoginOf, News};
pub use clock::Clock;
pub use embedded::Embedded;
pub use engine::{AccessError, Arrival, Engine, Journal, hex, request_id};
pub use model::{
    AccessGrant, Minted, Person, Policy, Request, Requestable, Review, Reviewed, Said, SignIn, State, StatementWanted,
    Vote, Wanted, Who,
};
pub use sealed::AtRest;
pub use shared::Shared;
pub use store::{Entry, Store, StoreError};
pub use votes::{Ballot, HoldOutcome, Holding};
