//! Blocks as `docs/audit-format.md` describes them: header, records, trailer, zeros to the next multiple of 4,096.
//!
//! Invariants: a block is accepted only if each of its bytes is what its fields say it must be. Nothing is copied or
//! allocated. Deliberately not here: files, what records mean.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::merkle::{self, Frontier, Hash};
use crate::record::RECORD_MAX;

/// Unit of a segment.
pub(crate) const PAGE: usize = 4096;
/// Bytes of a header.
pub(crate) const HEADER: usize = 256;
/// Bytes of a trailer.
pub(crate) const TRAILER: usize = 16;
/// Longest payload: one record of the greatest length.
const PAYLOAD_MAX: usize = RECORD_MAX + 4;
/// The last block of its epoch.
pub(crate) const LAST: u16 = 1;
/// The first block after an epoch without an orderly end.
pub(crate) const AFTER_CRASH: u16 = 2;

/// What is wrong with a block's bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The file ends within the block.
    Cut,
    /// The header does not begin like one.
    Magic,
    /// A version of the format that this verifier does not know.
    Version(u16),
    /// The header's checksum.
    HeaderSum,
    /// Bytes or flags that must be zero.
    Reserved,
    /// A length that no block has.
    Length,
    /// The records' checksum.
    PayloadSum,
    /// The records do not fill the payload.
    Framing,
    /// The trailer.
    Trailer,
    /// The hash tree over the records.
    Root,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "the file ends inside the block",
            Self::Magic => "no block begins here",
            Self::Version(version) => return write!(f, "the block has format version {version}"),
            Self::HeaderSum => "the header's checksum does not match",
            Self::Reserved => "bytes that must be zero are not",
            Self::Length => "a length in the header cannot be",
            Self::PayloadSum => "the records' checksum does not match",
            Self::Framing => "the records do not fill the block as the header states",
            Self::Trailer => "the trailer does not match",
            Self::Root => "the records are not those that the header binds",
        })
    }
}

/// Little-endian integers and arrays out of a header or page.
pub(crate) fn take<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    if let Some(found) = bytes.get(at..at + N) {
        out.copy_from_slice(found);
    }
    out
}

/// A header's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// [`LAST`] and [`AFTER_CRASH`].
    pub(crate) flags: u16,
    /// Node.
    pub(crate) node: [u8; 16],
    /// Core.
    pub(crate) core: u16,
    /// Epoch.
    pub(crate) epoch: u32,
    /// Number on this core, from 0.
    pub(crate) number: u64,
    /// Sequence of the first record, from 1.
    pub(crate) first_record: u64,
    /// Records.
    pub(crate) records: u32,
    /// Bytes of the records with their lengths.
    pub(crate) payload: u32,
    /// Wall clock of the first and last record, nanoseconds.
    pub(crate) wall_ns: [u64; 2],
    /// CLOCK_BOOTTIME of the first and last record, nanoseconds.
    pub(crate) mono_ns: [u64; 2],
    /// Hash of the header before this one.
    pub(crate) previous: Hash,
    /// Root over the records.
    pub(crate) root: Hash,
    /// Nonce of the epoch.
    pub(crate) nonce: [u8; 16],
    payload_sum: u32,
}

impl Header {
    /// Checks a header.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(bytes: &[u8; HEADER]) -> Result<Self, Fault> {
        if !bytes.starts_with(b"TGAUDBK1") {
            return Err(Fault::Magic);
        }
        let sum = crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..]);
        if take(bytes, 12) != sum.to_le_bytes() {
            return Err(Fault::HeaderSum);
        }
        let half = |at| u16::from_le_bytes(take(bytes, at));
        let word = |at| u32::from_le_bytes(take(bytes, at));
        let long = |at| u64::from_le_bytes(take(bytes, at));
        match half(8) {
            1 => {}
            other => return Err(Fault::Version(other)),
        }
        let header = Self {
            flags: half(10),
            node: take(bytes, 16),
            core: half(32),
            epoch: word(36),
            number: long(40),
            first_record: long(48),
            records: word(56),
            payload: word(60),
            wall_ns: [long(64), long(72)],
            mono_ns: [long(80), long(88)],
            previous: take(bytes, 112),
            root: take(bytes, 144),
            nonce: take(bytes, 176),
            payload_sum: word(192),
        };
        // The class at 34 is reserved too: there is only one.
        let reserved = half(34) != 0 || bytes[196..].iter().any(|&byte| byte != 0);
        if reserved || header.flags & !(LAST | AFTER_CRASH) != 0 {
            return Err(Fault::Reserved);
        }
        let payload = header.payload as usize;
        let records = header.records as usize;
        if records == 0 || payload > PAYLOAD_MAX || payload / 5 < records {
            return Err(Fault::Length);
        }
        Ok(header)
    }

    /// Bytes of the block on disk.
    #[must_use]
    pub(crate) fn size(&self) -> usize {
        (HEADER + self.payload as usize + TRAILER).next_multiple_of(PAGE)
    }

    /// Sequence of the record that follows this block's last.
    #[must_use]
    pub(crate) fn next_record(&self) -> u64 {
        self.first_record.wrapping_add(u64::from(self.records))
    }
}

/// The hash that the next header carries.
#[must_use]
pub(crate) fn header_hash(bytes: &[u8; HEADER]) -> Hash {
    Sha256::digest(bytes).into()
}

/// A block, all of whose bytes hold. What its records say is not looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Block<'a> {
    payload: &'a [u8],
}

impl<'a> Block<'a> {
    /// Checks one block; `bytes` may go on behind it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(bytes: &'a [u8], tree: &mut Frontier) -> Result<Self, Fault> {
        let head = bytes.first_chunk::<HEADER>().ok_or(Fault::Cut)?;
        let header = Header::parse(head)?;
        let bytes = bytes.get(..header.size()).ok_or(Fault::Cut)?;
        let (payload, end) = bytes[HEADER..].split_at(header.payload as usize);
        if crc32c::crc32c(payload) != header.payload_sum {
            return Err(Fault::PayloadSum);
        }
        let (trailer, zeros) = end.split_at(TRAILER);
        let sum = crc32c::crc32c(&trailer[..12]).to_le_bytes();
        if !trailer.starts_with(b"TGBE") || trailer[4..12] != header.number.to_le_bytes() || trailer[12..] != sum {
            return Err(Fault::Trailer);
        }
        if zeros.iter().any(|&byte| byte != 0) {
            return Err(Fault::Reserved);
        }
        tree.clear();
        let mut records = Records { rest: payload };
        for record in records.by_ref() {
            tree.add(merkle::record_leaf(header.first_record.wrapping_add(tree.size()), record));
        }
        if !records.rest.is_empty() || tree.size() != u64::from(header.records) {
            return Err(Fault::Framing);
        }
        if tree.root() != header.root {
            return Err(Fault::Root);
        }
        Ok(Self { payload })
    }

    /// The records' bytes, in order.
    #[must_use]
    pub(crate) fn records(&self) -> Records<'a> {
        Records::of(self.payload)
    }
}

/// The records of a payload.
#[derive(Clone, Debug)]
pub(crate) struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Records<'a> {
    /// Of a payload that was found good.
    #[must_use]
    pub(crate) fn of(payload: &'a [u8]) -> Self {
        Self { rest: payload }
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.rest = rest;
        Some(record)
    }
}
