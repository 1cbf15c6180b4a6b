//! The PostgreSQL protocol 3.x (3.0, and 3.2 by negotiation), complete in itself: frames, login on both sides, simple and
//! extended query, COPY, cancel, errors.
//!
//! Sources: PostgreSQL manual, chapter "Frontend/Backend Protocol" (Message Flow, Message Formats), RFC 5802/7677 for SCRAM.
//!
//! Invariants: the closed world of tags is written out in `serving`; an unlisted frame is a fault; what reaches the
//! database is either the client's own frame, unchanged, or one of three of ours (Describe, a poisoned Parse, a poisoned
//! Query). A refused statement becomes a poisoned one: the database itself reports an error, in order, with its own
//! transaction rules, and that error is replaced by the refusal. So both sides always agree on the transaction's state.
//!
//! Deliberately absent: policy, identities, sockets, replication, the function-call fast path.

pub mod cleaning;
pub mod dialing;
pub mod faults;
pub mod frame;
pub mod greeting;
pub mod md5;
pub mod oauthbearer;
pub mod scram;
pub mod serving;

pub use cleaning::Cleaning;
pub use dialing::{Dial, DialSettings};
pub use greeting::{Greet, TlsOffer};
pub use serving::Serve;
