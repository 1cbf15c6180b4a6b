//! Reading and checking the audit log: a second implementation, written from `docs/audit-format.md` and `audit.cddl`.
//!
//! Shares no code with what writes the log, so that a fault in one does not hide in the other. Offline: needs the files
//! and, for signatures, public keys. Invariants: files are only read; any bytes are safe to read; what cannot be checked
//! is a finding or an error, never passed over. Deliberately not here: showing records, decrypting, repairing.

mod anchors;
mod approvals;
mod beside;
mod block;
mod cbor;
mod chain;
mod check;
pub mod cli;
mod clock;
mod cursor;
pub mod hex;
mod meaning;
mod merkle;
mod moment;
mod note;
mod proof;
mod purge;
mod record;
mod registry;
mod report;
mod scan;
mod segment;
mod tiles;
mod tree;
mod trust;
mod verify;

pub use check::{Outcome, check, consistency};
pub use note::VerifierKey;
pub use proof::{Wanted, prove};
pub use report::{
    Code, CoreReport, EXIT_CANNOT_VERIFY, EXIT_CLEAN, EXIT_FINDINGS, FINDINGS_MAX, Finding, Head, LogReport, Place,
    Report, TreeReport,
};
pub use trust::{Node, Trust, WitnessPolicy};
pub use verify::{Options, verify, verify_against, verify_logs};

/// The core whose log holds what people did with the log, written by the command-line tools.
pub const DESK: u16 = u16::MAX;

/// Entry points for fuzzing: total functions over bytes.
pub mod fuzzing {
    use crate::block::{Block, PAGE};
    use crate::merkle::Frontier;
    use crate::record::Record;
    use crate::segment::Page;

    /// Checks a block and each of its records; true if all of it is good.
    #[must_use]
    pub fn block(bytes: &[u8]) -> bool {
        Block::parse(bytes, &mut Frontier::default())
            .is_ok_and(|block| block.records().all(|record| Record::parse(record).is_ok()))
    }

    /// Checks one record.
    #[must_use]
    pub fn record(bytes: &[u8]) -> bool {
        Record::parse(bytes).is_ok()
    }

    /// Checks a segment's header page.
    #[must_use]
    pub fn header_page(bytes: &[u8]) -> bool {
        bytes.first_chunk::<PAGE>().is_some_and(|page| Page::parse(page).is_some())
    }
}
