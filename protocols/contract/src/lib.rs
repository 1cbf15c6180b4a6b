//! The nouns of every protocol, and the traits a protocol implements.
//!
//! A protocol is a value without IO: bytes lie in a [`Lane`]'s pipe, the protocol says what becomes of them
//! (`pass`, `skip`, `put`), and whatever needs a decision is *held* until the session answers.
//!
//! Invariants: peer bytes never appear in a [`Fault`]; time and randomness are arguments; a frame is settled exactly once.
//!
//! Deliberately absent: policy, identities, sockets, clocks, logging.

mod copy;
mod fault;
mod lane;
mod limits;
mod protocol;
mod reader;
mod values;

pub use copy::{CopyFormat, CopyOut, Quoted};
pub use fault::{Fault, Peer};
pub use lane::{BUFFER_LARGE_BYTES, BUFFER_SMALL_BYTES, Buffers, Chunk, Lane};
pub use limits::Limits;
pub use protocol::{
    Admitted, Ask, Challenge, Column, Dialing, Dialled, Discovery, Done, Flow, Format, Given, Greeted, Greeting, Judge,
    LoginRequest, Outcome, Plans, Redacted, Redactor, Refusal, Rejudge, Replanned, Serving, Shows, Step, Token,
    Verdict, Via,
};
pub use reader::Reader;
pub use values::{Fate, Field, MANY, Values};
