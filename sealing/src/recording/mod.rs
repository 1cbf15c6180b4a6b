//! Recordings: a header page, then chunks that chain each other by hash. Byte layout: `docs/recording-format.md`.
//!
//! Invariants: chunks begin at multiples of 4,096 bytes; a chunk's hash covers its header, what is stored, and the hash
//! before it; an encrypted chunk opens only behind the chunks that it was written behind.

mod chunk;
mod event;
mod header;

pub use chunk::{
    CHUNK_HEADER_BYTES, Chunk, ChunkError, ChunkHeader, Compressor, PLAIN_BYTES_MAX, Reader, Writer, chunk_hash,
    file_bytes,
};
pub use event::{Batch, Builder, EndReason, Event, EventError, Events};
pub use header::{HEADER_PAGE_BYTES, Header, HeaderError};

/// Chunks begin at multiples of this many bytes.
pub const ALIGNMENT: usize = 4096;

/// Folder of the audit directory that recordings are in.
pub const FOLDER: &str = "recordings";

/// Name of the day, UTC, that a moment is in (nanoseconds since 1970): the folder of recordings that begin then.
#[must_use]
pub fn day(wall_ns: u64) -> String {
    // Days to civil: https://howardhinnant.github.io/date_algorithms.html, for days since 1970.
    let days = wall_ns / 86_400_000_000_000 + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    format!("{:04}-{month:02}-{day:02}", era * 400 + year + u64::from(month <= 2))
}

/// Name of a session's recording in the folder of its day.
#[must_use]
pub fn file_name(session: &[u8; 16]) -> String {
    let mut name: String = session.iter().map(|byte| format!("{byte:02x}")).collect();
    name.push_str(".tgrec");
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_of_the_calendar() {
        const DAY: u64 = 86_400_000_000_000;
        for (days, name) in [(0, "1970-01-01"), (59, "1970-03-01"), (11_016, "2000-02-29"), (20_779, "2026-11-22")] {
            assert_eq!(day(days * DAY), name);
            assert_eq!(day(days * DAY + DAY - 1), name);
        }
        assert_eq!(day(20_779 * DAY + DAY), "2026-11-23");
    }

    #[test]
    fn a_batch_ends_where_it_is_told_to() {
        let mut batch = Batch::new(&[1; 32]);
        assert_eq!(batch.finish(), None);
        batch.update(b"some ");
        batch.update(b"rows");
        let event = batch.finish();
        assert!(matches!(event, Some(Event::Digest { bytes: 9, .. })));
        batch.update(b"some rows");
        assert_eq!(batch.finish(), event);
        let mut other = Batch::new(&[2; 32]);
        other.update(b"some rows");
        assert_ne!(other.finish(), event);
    }
}
