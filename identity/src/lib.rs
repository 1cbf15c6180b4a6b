//! Tokens of identity providers, validated, and the flows that get them.
//!
//! A [`Provider`] is one configured issuer: its discovery document, its keys and its rules. It turns a token into a
//! [`Validated`] identity, which is (issuer, subject) and nothing else; names and e-mail addresses are only for people to
//! read. Invariants: the algorithm comes from the issuer's list and must fit the key; a key comes from the issuer that was
//! pinned by configuration and never from what a token says; nothing in a token causes a request to a place that it names;
//! every document that is read has a size limit, and JSON with a member twice is refused. A [`Fault`] never holds a byte of
//! the token. Everything blocks: callers on an async runtime use a blocking thread. Deliberately absent: symmetric
//! signatures, encrypted tokens, sessions, and what an identity may do.

mod algorithm;
mod claims;
mod fault;
pub mod flow;
mod issuer;
mod jose;
mod json;
mod keys;
mod provider;
mod providers;
mod replay;
mod rule;
mod secret;
mod signer;
mod validate;
mod web;

pub use algorithm::Algorithm;
pub use fault::{Error, Fault};
pub use issuer::{ClientAuth, Groups, Issuer, IssuerKind, KeySource, TokenType};
pub use keys::KeySet;
pub use provider::{Metadata, Pace, Provider};
pub use providers::Providers;
pub use replay::Replay;
pub use rule::{Pattern, Rule};
pub use secret::Secret;
pub use signer::Signer;
pub use validate::{Actor, Expect, Names, Validated, validate};

/// Largest token, in bytes.
pub const TOKEN_BYTES_MAX: usize = 16 << 10;
/// Largest set of keys, in bytes.
pub const KEYS_BYTES_MAX: usize = 256 << 10;
/// How far clocks may be apart, in seconds.
pub const SKEW_SECONDS: u64 = 60;

/// Entrances for fuzzing; not for use.
#[doc(hidden)]
pub mod fuzzing {
    /// Reads a token; whether it is well formed.
    #[must_use]
    pub fn token(bytes: &[u8]) -> bool {
        std::str::from_utf8(bytes).is_ok_and(|text| crate::jose::Compact::parse(text).is_ok())
    }

    /// Reads a set of keys; whether it is one.
    #[must_use]
    pub fn keys(bytes: &[u8]) -> bool {
        crate::KeySet::parse(bytes).is_ok()
    }

    /// Reads a document as this crate does; whether it is JSON without a member twice.
    #[must_use]
    pub fn json(bytes: &[u8]) -> bool {
        crate::json::parse(bytes).is_ok()
    }
}
