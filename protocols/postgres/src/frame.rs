//! Frames of the PostgreSQL protocol 3.x: `tag: u8, length: i32 (itself included), body` (manual: Message Formats).
//!
//! Invariant: a length that cannot be true is a fault at the header; nothing is allocated for it.

use contract::{Fault, Peer};

/// Longest frame either side may send in bytes, without the tag: what the server itself allocates at most (1 GiB − 1).
pub const FRAME_BYTES_MAX: usize = 0x3fff_ffff;
/// Tag and length.
pub const HEADER_BYTES: usize = 5;

/// The header of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Message type.
    pub tag: u8,
    /// Bytes of the whole frame, tag included.
    pub len: usize,
}

/// Reads a header; `None` until five bytes are there.
pub fn header(input: &[u8], side: Peer) -> Result<Option<Header>, Fault> {
    let Some(&[tag, a, b, c, d]) = input.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if !(4..=FRAME_BYTES_MAX).contains(&length) {
        return Err(Fault { side, state: "08P01", reason: "invalid frame length" });
    }
    Ok(Some(Header { tag, len: length + 1 }))
}

/// Appends a frame whose body is written by `body`.
pub fn write(out: &mut Vec<u8>, tag: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.push(tag);
    write_untagged(out, body);
}

/// Appends a frame without tag (startup packets).
pub fn write_untagged(out: &mut Vec<u8>, body: impl FnOnce(&mut Vec<u8>)) {
    let at = out.len();
    out.extend_from_slice(&[0; 4]);
    body(out);
    let length = u32::try_from(out.len() - at).unwrap_or(u32::MAX);
    out[at..at + 4].copy_from_slice(&length.to_be_bytes());
}

/// Appends a NUL-terminated string; interior NULs end it early.
pub fn text(out: &mut Vec<u8>, value: &[u8]) {
    let end = memchr::memchr(0, value).unwrap_or(value.len());
    out.extend_from_slice(&value[..end]);
    out.push(0);
}
