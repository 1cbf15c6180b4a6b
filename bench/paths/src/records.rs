//! Records as a busy gateway writes them, and a ring to put them into.

use audit::Ring;
use audit::record::{Clock, Record, SessionId};

/// When all of it happens: a constant, so that every record of a kind has the same length.
pub const CLOCK: Clock = Clock { wall_ns: 1_795_335_274_123_456_789, mono_ns: 123_456_789_012 };

/// A new ring of so many bytes, whose first record is the number `first`.
#[must_use]
pub fn ring(first: u64, bytes: usize) -> Ring {
    Ring::new([1; 16], 0, 1, [2; 16], [0; 32], first, bytes)
}

/// The intent of a statement of about a hundred bytes.
#[must_use]
pub const fn intent(statement: u64) -> Record<'static> {
    Record::Intent {
        session: SessionId([7; 16]),
        statement,
        text: b"SELECT id, name, ssn, birth_date, note FROM clinic.patients WHERE mrn = $1 ORDER BY id LIMIT 100",
        via: "execute",
        fingerprint: 0x1234_5678_9abc_def0,
        effects: 5,
        bundle: [3; 32],
        catalog_epoch: 4,
        parameters: Some([9; 32]),
        row_limit: 0,
        sealed_text: &[],
        tables: &[],
        sealed_parameters: &[],
    }
}
