//! The audit log: records, blocks, the per-core ring, segment files, recovery, the reader and the verifier.
//!
//! Encoding, hashing and chaining are pure: time and randomness are arguments. [`open`] (lock, recovery) and the
//! readers use plain blocking files and belong before or beside the executors. Writing blocks is [`writer`], on a
//! machine that somebody else brings. Byte layout: `docs/audit-format.md` and `audit.cddl`. Not here yet: encryption, signed checkpoints.

pub mod block;
mod body;
mod cbor;
pub mod cli;
mod decode;
pub mod desk;
mod encode;
mod lend;
pub mod merkle;
pub mod record;
mod recover;
pub mod render;
mod ring;
pub mod segment;
mod show;
pub mod time;
pub mod writer;

pub use block::{Block, BlockError, BlockHeader, decode_block};
pub use body::{
    Body, OwnedAccess, OwnedActor, OwnedApproval, OwnedClear, OwnedCredential, OwnedMasked, OwnedRecord, TYPE_NAMES,
};
pub use cli::{EXIT_CANNOT_VERIFY, EXIT_CLEAN, EXIT_FINDINGS};
pub use decode::{DecodeError, decode_record};
pub use encode::{RECORD_BYTES_MAX, RECORD_VERSION, encode_record};
pub use recover::{
    CRASH, Code, CoreStart, Opened, RECOVERED, RecoverError, Recovered, StatementId, UNKNOWN_CRASH, open,
    open_with_spare, recover,
};
pub use ring::{Full, Ring, Sealed, announces};
pub use segment::DirectoryLock;
pub use show::{Entry, Filter, Show, ShowError, show};

/// Entry points for fuzzing: total functions over bytes.
pub mod fuzzing {
    pub use crate::block::decode_block;
    pub use crate::decode::decode_record;
    use crate::segment::SegmentHeader;

    /// Decodes a block and then each of its records; true if all of it is good.
    #[must_use]
    pub fn decode_all(bytes: &[u8]) -> bool {
        decode_block(bytes).is_ok_and(|block| block.records().all(|(_, record)| decode_record(record).is_ok()))
    }

    /// Decodes a segment's header page; true if it is good.
    #[must_use]
    pub fn decode_header_page(bytes: &[u8]) -> bool {
        bytes.first_chunk().is_some_and(|page| SegmentHeader::decode(page).is_some())
    }
}
