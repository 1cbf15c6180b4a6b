//! The audit log: records, blocks, the per-core ring, the reader and the verifier.
//!
//! Pure: encoding, hashing and chaining take time and randomness as arguments. Writing to disk is the
//! gateway's ring writer, through its driver.

pub mod record;
