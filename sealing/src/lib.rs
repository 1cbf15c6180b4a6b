//! What the gateway may write and not read back: keys of sessions, fields sealed under them, their wraps to the
//! recipients, and the chunks of recordings.
//!
//! Invariants: a session's key opens nothing of another session; a key that does not match its commitment is refused
//! before anything is decrypted; no nonce is used twice under one key; every decoder is total and its memory bounded.
//!
//! Deliberately absent: files, clocks, randomness (seeds and times are arguments). Formats: `docs/sealed-fields.md`,
//! `docs/recording-format.md`.

mod bytes;
mod recipient;
pub mod recording;
mod session_key;
pub mod slots;
mod wrap;

pub use recipient::{Identity, LineError, Recipient, RecipientId};
pub use session_key::{DEK_BYTES, OpenError, SessionKey, commitment, field};
pub use wrap::{WRAP_BYTES, Wrap, unwrap, wrap};

/// Entry points for fuzzing: total functions over bytes.
pub mod fuzzing {
    use crate::recording::{Event, Events, HEADER_PAGE_BYTES, Header, Reader};
    use crate::{Identity, Recipient, slots};

    /// Reads a file of wrapped keys; true if all of it is good.
    #[must_use]
    pub fn read_slots(bytes: &[u8]) -> bool {
        slots::Slots::read(bytes).is_ok_and(|mut slots| slots.all(|(_, slot)| !matches!(slot, slots::Found::Damaged)))
    }

    /// Reads an unencrypted recording to its end; how many events it holds.
    #[must_use]
    pub fn read_recording(bytes: &[u8]) -> usize {
        let Some((page, mut rest)) = bytes.split_first_chunk::<HEADER_PAGE_BYTES>() else { return 0 };
        let Ok(header) = Header::decode(page) else { return 0 };
        let mut reader = Reader::new(&header, page, None);
        let mut events = 0;
        while let Ok(chunk) = reader.next(rest) {
            events += Events::new(&chunk.plain, chunk.first_ns).take_while(Result::is_ok).count();
            rest = rest.get(chunk.file_bytes..).unwrap_or_default();
        }
        events
    }

    /// Reads events; true if all of it is good.
    #[must_use]
    pub fn read_events(bytes: &[u8]) -> bool {
        Events::new(bytes, 0).all(|event| matches!(event, Ok((_, Event::Bytes(_) | Event::Ended { .. } | _))))
    }

    /// Reads a line of a key file in both ways; true if either is good.
    #[must_use]
    pub fn read_line(text: &str) -> bool {
        Recipient::parse(text).is_ok() || Identity::parse(text).is_ok()
    }
}
