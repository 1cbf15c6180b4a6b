//! SAML 2.0 sign-in by a strict subset: what is verified and what is read are the same bytes.
//!
//! A response is accepted only if it has the one shape that identity providers send and nothing else: one `Response`, one
//! `Assertion`, a signature that is a direct child of what is consumed, over that element and no other. Claims are read from
//! a second parse of the canonical bytes that were signed, never from the document that arrived.
//!
//! Deliberately absent: encryption, artifacts, logout, XPath and XSLT transforms, DTDs, keys taken from the document, any
//! network. [`helper::check`] runs the check in a process of its own, which can do nothing but read, compute and write.

mod c14n;
mod dsig;
pub mod helper;
mod instant;
mod keys;
pub mod metadata;
pub mod request;
mod response;
mod sandbox;
pub mod xml;

pub use c14n::canonical;
pub use keys::{Certificate, InvalidKey, SigningKey};
pub use response::{Accepted, Expected, check};
pub use sandbox::confine;

/// Longest response accepted in bytes, after base64.
pub const RESPONSE_BYTES_MAX: usize = 256 << 10;
/// Tolerance of times in seconds, for clocks that differ.
pub const SKEW_SECONDS: i64 = 60;

/// Why a document is refused. Never holds bytes of the document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused(pub &'static str);

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Refused {}
