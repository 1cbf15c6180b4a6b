//! Recordings: a header page, then chunks that chain each other by hash. Byte layout: `docs/recording-format.md`.
//!
//! Invariants: chunks begin at multiples of 4,096 bytes; a chunk's hash covers its header, what is stored, and the hash
//! before it; an encrypted chunk opens only behind the chunks that it was written behind.

mod chunk;
mod event;
mod header;

pub use chunk::{
    CHUNK_HEADER_BYTES, Chunk, ChunkError, ChunkHeader, PLAIN_BYTES_MAX, Reader, Writer, chunk_hash, file_bytes,
};
pub use event::{Builder, EndReason, Event, EventError, Events, batch_digest};
pub use header::{HEADER_PAGE_BYTES, Header, HeaderError};

/// Chunks begin at multiples of this many bytes.
pub const ALIGNMENT: usize = 4096;
