//! A block: a 256-byte header, records, a trailer, zeros up to a multiple of 4,096 bytes. One block is one commit.
//!
//! Invariants: every byte of a block is determined by its fields (reserved bytes and padding are zero and checked), so
//! a change of any byte is noticed; the header binds the header before it and, by the records' root, every record.
//! Nothing here reads or writes files.

use std::fmt;

use sha2::{Digest, Sha256};

use crate::merkle;

/// Size of a header.
pub const HEADER_BYTES: usize = 256;
/// Size of a trailer.
pub const TRAILER_BYTES: usize = 16;
/// Blocks start and end at multiples of this.
pub const ALIGN_BYTES: usize = 4096;
/// Records are gathered into one block up to this many bytes; a single longer record makes a longer block.
pub const PAYLOAD_BYTES_USUAL: usize = 256 << 10;
/// Largest payload a reader accepts: one record of the largest size and its length.
pub const PAYLOAD_BYTES_MAX: usize = crate::encode::RECORD_BYTES_MAX + 4;

const MAGIC: [u8; 8] = *b"TGAUDBK1";
const TRAILER_MAGIC: [u8; 4] = *b"TGBE";
const VERSION: u16 = 1;

/// The last block of its epoch: it ends with an epoch-end record.
pub const FLAG_LAST: u16 = 1;
/// The first block of an epoch that follows one without an orderly end.
pub const FLAG_AFTER_CRASH: u16 = 2;
const FLAGS_KNOWN: u16 = FLAG_LAST | FLAG_AFTER_CRASH;

/// Why bytes are not a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockError {
    /// Fewer bytes than the block has.
    Truncated,
    /// Not the magic of a block.
    Magic,
    /// A format version this program does not know.
    Version(u16),
    /// The header's checksum does not match.
    HeaderChecksum,
    /// Reserved bytes or unknown flags are set, or padding is not zero.
    Reserved,
    /// A length that cannot be.
    Length,
    /// The payload's checksum does not match.
    PayloadChecksum,
    /// The payload does not divide into the stated number of records.
    Framing,
    /// The trailer is damaged or belongs to another block.
    Trailer,
    /// The records are not those that the header binds.
    Root,
}

impl fmt::Display for BlockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the block ends early"),
            Self::Magic => f.write_str("no block starts here"),
            Self::Version(version) => write!(f, "block version {version} is unknown to this program"),
            Self::HeaderChecksum => f.write_str("the header's checksum does not match"),
            Self::Reserved => f.write_str("reserved bytes are not zero"),
            Self::Length => f.write_str("the header states an impossible length"),
            Self::PayloadChecksum => f.write_str("the records' checksum does not match"),
            Self::Framing => f.write_str("the records do not fill the block as the header states"),
            Self::Trailer => f.write_str("the trailer does not match"),
            Self::Root => f.write_str("the records are not those that the header binds"),
        }
    }
}

impl std::error::Error for BlockError {}

/// What a header says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BlockHeader {
    /// [`FLAG_LAST`], [`FLAG_AFTER_CRASH`].
    pub flags: u16,
    /// Node the log belongs to.
    pub node: [u8; 16],
    /// Core.
    pub core: u16,
    /// Class of the log, zero for now.
    pub class: u16,
    /// Epoch: one run of the gateway.
    pub epoch: u32,
    /// Number of the block on its core, gap-free from 0 for the life of the log.
    pub block_seq: u64,
    /// Sequence number of the first record.
    pub first_record_seq: u64,
    /// Records in the block, at least one.
    pub records: u32,
    /// Bytes of the payload.
    pub payload_len: u32,
    /// Wall clock of the first and last record.
    pub wall_ns: [u64; 2],
    /// CLOCK_BOOTTIME of the first and last record.
    pub mono_ns: [u64; 2],
    /// Hybrid logical clock when the block was sealed: milliseconds shifted left by 16, plus a counter.
    pub hlc: u64,
    /// Bound of the wall clock's error, zero when not measured.
    pub clock_error_ns: u64,
    /// Hash of the header before this one on the same core; zeros for the first.
    pub previous: [u8; 32],
    /// Root of the tree over the records.
    pub root: [u8; 32],
    /// Random for each core and epoch; nothing outside the log knows it, so no record's contents can pose as a block.
    pub epoch_nonce: [u8; 16],
    /// CRC32C of the payload.
    pub payload_crc: u32,
}

struct Cursor<'a> {
    bytes: &'a mut [u8; HEADER_BYTES],
    at: usize,
}

impl Cursor<'_> {
    fn put(&mut self, value: &[u8]) {
        self.bytes[self.at..self.at + value.len()].copy_from_slice(value);
        self.at += value.len();
    }
}

fn array<const N: usize>(bytes: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

/// CRC32C over everything but the four bytes that hold it.
fn header_crc(bytes: &[u8; HEADER_BYTES]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &bytes[16..])
}

impl BlockHeader {
    /// The 256 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        let mut cursor = Cursor { bytes: &mut bytes, at: 0 };
        cursor.put(&MAGIC);
        cursor.put(&VERSION.to_le_bytes());
        cursor.put(&self.flags.to_le_bytes());
        cursor.put(&[0; 4]);
        cursor.put(&self.node);
        cursor.put(&self.core.to_le_bytes());
        cursor.put(&self.class.to_le_bytes());
        cursor.put(&self.epoch.to_le_bytes());
        cursor.put(&self.block_seq.to_le_bytes());
        cursor.put(&self.first_record_seq.to_le_bytes());
        cursor.put(&self.records.to_le_bytes());
        cursor.put(&self.payload_len.to_le_bytes());
        for value in self.wall_ns.iter().chain(&self.mono_ns).chain([&self.hlc, &self.clock_error_ns]) {
            cursor.put(&value.to_le_bytes());
        }
        cursor.put(&self.previous);
        cursor.put(&self.root);
        cursor.put(&self.epoch_nonce);
        cursor.put(&self.payload_crc.to_le_bytes());
        debug_assert_eq!(cursor.at, 196);
        let crc = header_crc(&bytes);
        bytes[12..16].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Reads and checks a header.
    ///
    /// # Errors
    /// Anything that [`BlockHeader::encode`] would not have written.
    pub fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, BlockError> {
        if bytes[..8] != MAGIC {
            return Err(BlockError::Magic);
        }
        if u32::from_le_bytes(array(bytes, 12)) != header_crc(bytes) {
            return Err(BlockError::HeaderChecksum);
        }
        let version = u16::from_le_bytes(array(bytes, 8));
        if version != VERSION {
            return Err(BlockError::Version(version));
        }
        let long = |at| u64::from_le_bytes(array(bytes, at));
        let word = |at| u32::from_le_bytes(array(bytes, at));
        let short = |at| u16::from_le_bytes(array(bytes, at));
        let header = Self {
            flags: short(10),
            node: array(bytes, 16),
            core: short(32),
            class: short(34),
            epoch: word(36),
            block_seq: long(40),
            first_record_seq: long(48),
            records: word(56),
            payload_len: word(60),
            wall_ns: [long(64), long(72)],
            mono_ns: [long(80), long(88)],
            hlc: long(96),
            clock_error_ns: long(104),
            previous: array(bytes, 112),
            root: array(bytes, 144),
            epoch_nonce: array(bytes, 176),
            payload_crc: word(192),
        };
        if header.flags & !FLAGS_KNOWN != 0 || bytes[196..].iter().any(|&byte| byte != 0) {
            return Err(BlockError::Reserved);
        }
        let payload = header.payload_len as usize;
        // Each record takes its length and at least one byte.
        if header.records == 0 || payload > PAYLOAD_BYTES_MAX || (header.records as usize).saturating_mul(5) > payload {
            return Err(BlockError::Length);
        }
        Ok(header)
    }

    /// Bytes of the whole block on disk.
    #[must_use]
    pub fn block_bytes(&self) -> usize {
        block_bytes(self.payload_len as usize)
    }
}

/// Bytes of a block with a payload of this length.
#[must_use]
pub fn block_bytes(payload_len: usize) -> usize {
    (HEADER_BYTES + payload_len + TRAILER_BYTES).next_multiple_of(ALIGN_BYTES)
}

/// The hash that the next header carries.
#[must_use]
pub fn header_hash(header: &[u8; HEADER_BYTES]) -> [u8; 32] {
    Sha256::digest(header).into()
}

/// The trailer of a block.
#[must_use]
pub fn trailer(block_seq: u64) -> [u8; TRAILER_BYTES] {
    let mut bytes = [0; TRAILER_BYTES];
    bytes[..4].copy_from_slice(&TRAILER_MAGIC);
    bytes[4..12].copy_from_slice(&block_seq.to_le_bytes());
    let crc = crc32c::crc32c(&bytes[..12]);
    bytes[12..].copy_from_slice(&crc.to_le_bytes());
    bytes
}

/// A block whose every byte was checked, except that its records are not decoded yet.
#[derive(Clone, Copy, Debug)]
pub struct Block<'a> {
    /// What the header says.
    pub header: BlockHeader,
    /// Hash of the header.
    pub hash: [u8; 32],
    payload: &'a [u8],
}

impl<'a> Block<'a> {
    /// The records with their sequence numbers.
    pub fn records(&self) -> impl Iterator<Item = (u64, &'a [u8])> + use<'a> {
        let first = self.header.first_record_seq;
        Records { rest: self.payload }.zip(0u64..).map(move |(record, n)| (first.wrapping_add(n), record))
    }
}

struct Records<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let (length, rest) = self.rest.split_first_chunk::<4>()?;
        let (record, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        self.rest = rest;
        Some(record)
    }
}

/// Checks one block at the start of `bytes`; what follows it is not looked at.
///
/// # Errors
/// The first thing found wrong, cheapest check first.
pub fn decode_block(bytes: &[u8]) -> Result<Block<'_>, BlockError> {
    let head = bytes.first_chunk::<HEADER_BYTES>().ok_or(BlockError::Truncated)?;
    let header = BlockHeader::decode(head)?;
    let whole = bytes.get(..header.block_bytes()).ok_or(BlockError::Truncated)?;
    let end = HEADER_BYTES + header.payload_len as usize;
    let payload = &whole[HEADER_BYTES..end];
    if crc32c::crc32c(payload) != header.payload_crc {
        return Err(BlockError::PayloadChecksum);
    }
    if whole[end..end + TRAILER_BYTES] != trailer(header.block_seq) {
        return Err(BlockError::Trailer);
    }
    if whole[end + TRAILER_BYTES..].iter().any(|&byte| byte != 0) {
        return Err(BlockError::Reserved);
    }
    let mut tree = merkle::Tree::default();
    let mut records = Records { rest: payload };
    let mut count = 0u64;
    for record in records.by_ref() {
        tree.push(merkle::leaf(header.first_record_seq.wrapping_add(count), record));
        count += 1;
    }
    if !records.rest.is_empty() || count != u64::from(header.records) {
        return Err(BlockError::Framing);
    }
    if tree.finish() != header.root {
        return Err(BlockError::Root);
    }
    Ok(Block { header, hash: header_hash(head), payload })
}
