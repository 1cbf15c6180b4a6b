//! The first page of a recording.

use crate::bytes::{array, put, u16_at, u32_at, u64_at};
use std::fmt;

/// Bytes of the page.
pub const HEADER_PAGE_BYTES: usize = 4096;

const MAGIC: &[u8; 8] = b"TGRECV01";
const VERSION: u16 = 1;
const ENCRYPTED: u16 = 1;
const DIGESTS: u16 = 2;

/// Why a page is not the first of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderError {
    /// Another kind of file.
    NotARecording,
    /// A version that this program does not read.
    Version(u16),
    /// Its checksum or a reserved place is wrong.
    Damaged,
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecording => f.write_str("not a recording"),
            Self::Version(version) => write!(f, "a recording of version {version}, which this program does not read"),
            Self::Damaged => f.write_str("the header of the recording is damaged"),
        }
    }
}

impl std::error::Error for HeaderError {}

/// What a recording is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// Session.
    pub session: [u8; 16],
    /// Node whose log commits to it.
    pub node: [u8; 16],
    /// Core of that log.
    pub core: u16,
    /// Epoch of that log.
    pub epoch: u32,
    /// Wall clock when it began, nanoseconds since 1970.
    pub wall_ns: u64,
    /// CLOCK_BOOTTIME when it began, nanoseconds.
    pub mono_ns: u64,
    /// Commitment of the session's key; zeros when there is none.
    pub commitment: [u8; 32],
    /// Chunks are encrypted.
    pub encrypted: bool,
    /// It holds digests of what was sent, not what was sent.
    pub digests: bool,
}

impl Header {
    /// The page.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_PAGE_BYTES] {
        let mut page = [0; HEADER_PAGE_BYTES];
        let flags = if self.encrypted { ENCRYPTED } else { 0 } | if self.digests { DIGESTS } else { 0 };
        put(&mut page, 0, MAGIC);
        put(&mut page, 8, &VERSION.to_le_bytes());
        put(&mut page, 10, &flags.to_le_bytes());
        put(&mut page, 16, &self.session);
        put(&mut page, 32, &self.node);
        put(&mut page, 48, &self.core.to_le_bytes());
        put(&mut page, 52, &self.epoch.to_le_bytes());
        put(&mut page, 56, &self.wall_ns.to_le_bytes());
        put(&mut page, 64, &self.mono_ns.to_le_bytes());
        put(&mut page, 72, &self.commitment);
        let crc = crc32c::crc32c(&page);
        put(&mut page, 12, &crc.to_le_bytes());
        page
    }

    /// Reads a page.
    ///
    /// # Errors
    /// It is not one, or was changed.
    pub fn decode(page: &[u8; HEADER_PAGE_BYTES]) -> Result<Self, HeaderError> {
        if !page.starts_with(MAGIC) {
            return Err(HeaderError::NotARecording);
        }
        let version = u16_at(page, 8).unwrap_or(0);
        if version != VERSION {
            return Err(HeaderError::Version(version));
        }
        Self::fields(page).filter(|header| header.encode() == *page).ok_or(HeaderError::Damaged)
    }

    fn fields(page: &[u8]) -> Option<Self> {
        let flags = u16_at(page, 10)?;
        Some(Self {
            session: array(page, 16)?,
            node: array(page, 32)?,
            core: u16_at(page, 48)?,
            epoch: u32_at(page, 52)?,
            wall_ns: u64_at(page, 56)?,
            mono_ns: u64_at(page, 64)?,
            commitment: array(page, 72)?,
            encrypted: flags & ENCRYPTED != 0,
            digests: flags & DIGESTS != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_of_the_page_counts() {
        let header = Header {
            session: [1; 16],
            node: [2; 16],
            core: 3,
            epoch: 4,
            wall_ns: 5,
            mono_ns: 6,
            commitment: [7; 32],
            encrypted: true,
            digests: false,
        };
        let page = header.encode();
        assert_eq!(Header::decode(&page), Ok(header));
        for at in 0..page.len() {
            let mut changed = page;
            changed[at] ^= 0x10;
            assert!(Header::decode(&changed).is_err(), "byte {at}");
        }
    }
}
