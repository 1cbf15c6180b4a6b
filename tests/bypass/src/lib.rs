//! The score: every known way round a mask, tried against anything that speaks PostgreSQL's protocol, and the number of
//! characters of protected data that came out.
//!
//! The catalogue is data; a run takes each way in up to four forms (simple or extended query, text or binary results), each
//! in a session of its own that leaves nothing behind, and searches all bytes that reached the client for protected values
//! in every known encoding, or reconstructs them character by character from what can be observed. Beside it stands a
//! generator of random statements that is judged by the same search. It deliberately knows nothing of how a gateway works:
//! no crate of the gateway is imported, and a refusal is worth no more than any other answer without protected data.

pub mod catalogue;
pub mod client;
pub mod drivers;
pub mod ground;
pub mod infer;
pub mod names;
pub mod random;
pub mod recover;
pub mod report;
pub mod run;
pub mod statement;
pub mod truth;
pub mod way;

/// An error in words; never holds a protected value.
pub type Result<T, E = String> = std::result::Result<T, E>;
