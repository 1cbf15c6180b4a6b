//! What happened, in order, as bytes: kind (1), nanoseconds since the event before (varint), then by kind.
//!
//! ```text
//! 1 bytes    length (varint), bytes that the client was sent
//! 2 digest   length (varint), digest (32) of so many bytes that the client was sent
//! 3 started  statement (varint)
//! 4 refused  statement (varint)
//! 5 ended    statement (varint)
//! 6 end      reason (1): 1 closed, 2 cap, 3 disk
//! ```

use crate::bytes::{VARINT_BYTES_MAX, put_varint, varint};
use std::fmt;

const BYTES: u8 = 1;
const DIGEST: u8 = 2;
const STARTED: u8 = 3;
const REFUSED: u8 = 4;
const ENDED: u8 = 5;
const END: u8 = 6;

/// Why a recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    /// The session ended.
    Closed,
    /// It reached its cap.
    Cap,
    /// The disk failed.
    Disk,
}

impl EndReason {
    /// The word in the log.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Cap => "cap",
            Self::Disk => "disk",
        }
    }

    const fn number(self) -> u8 {
        match self {
            Self::Closed => 1,
            Self::Cap => 2,
            Self::Disk => 3,
        }
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The client was sent these bytes.
    Bytes(&'a [u8]),
    /// The client was sent so many bytes with this digest.
    Digest {
        /// How many.
        bytes: u64,
        /// [`batch_digest`] of them.
        digest: [u8; 32],
    },
    /// A statement was forwarded.
    Started {
        /// Its number in the session.
        statement: u64,
    },
    /// A statement was refused.
    Refused {
        /// Its number in the session.
        statement: u64,
    },
    /// All of a statement's answer is behind.
    Ended {
        /// Its number in the session.
        statement: u64,
    },
    /// Nothing follows.
    End(EndReason),
}

/// What an event takes at most beside the bytes it carries.
const EVENT_BYTES_MAX: usize = 1 + VARINT_BYTES_MAX + VARINT_BYTES_MAX + 32;

/// Digest of what a client was sent, as it is sent: BLAKE3, keyed.
#[derive(Clone, Debug)]
pub struct Batch {
    hasher: blake3::Hasher,
    bytes: u64,
}

impl Batch {
    /// Nothing yet.
    #[must_use]
    pub fn new(key: &[u8; 32]) -> Self {
        Self { hasher: blake3::Hasher::new_keyed(key), bytes: 0 }
    }

    /// More of it.
    pub fn update(&mut self, bytes: &[u8]) {
        self.hasher.update(bytes);
        self.bytes += bytes.len() as u64;
    }

    /// Bytes so far.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The event of all so far, if there was anything; the next one begins.
    pub fn finish(&mut self) -> Option<Event<'static>> {
        let event = Event::Digest { bytes: self.bytes, digest: *self.hasher.finalize().as_bytes() };
        let any = self.bytes > 0;
        self.hasher.reset();
        self.bytes = 0;
        any.then_some(event)
    }
}

/// Collects the events of one chunk.
#[derive(Debug, Default)]
pub struct Builder {
    plain: Vec<u8>,
    first_ns: u64,
    last_ns: u64,
    statements: Option<(u64, u64)>,
}

impl Builder {
    /// One that has room for a whole chunk at once.
    #[must_use]
    pub fn roomy() -> Self {
        Self { plain: Vec::with_capacity(super::PLAIN_BYTES_MAX), ..Self::default() }
    }

    /// Nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.plain.is_empty()
    }

    /// Bytes in it.
    #[must_use]
    pub fn len(&self) -> usize {
        self.plain.len()
    }

    /// How many more bytes of an answer fit.
    #[must_use]
    pub fn room(&self) -> usize {
        super::PLAIN_BYTES_MAX.saturating_sub(self.plain.len() + EVENT_BYTES_MAX)
    }

    /// What is in it.
    #[must_use]
    pub fn plain(&self) -> &[u8] {
        &self.plain
    }

    /// When its first and last event were, nanoseconds since the recording began.
    #[must_use]
    pub fn times_ns(&self) -> (u64, u64) {
        (self.first_ns, self.last_ns)
    }

    /// First and last statement that it says something about, zeros for none.
    #[must_use]
    pub fn statements(&self) -> (u64, u64) {
        self.statements.unwrap_or_default()
    }

    fn open(&mut self, kind: u8, at_ns: u64) {
        if self.plain.is_empty() {
            (self.first_ns, self.last_ns) = (at_ns, at_ns);
        }
        let at_ns = at_ns.max(self.last_ns);
        self.plain.push(kind);
        put_varint(&mut self.plain, at_ns - self.last_ns);
        self.last_ns = at_ns;
    }

    fn statement(&mut self, kind: u8, at_ns: u64, statement: u64) {
        self.open(kind, at_ns);
        put_varint(&mut self.plain, statement);
        let (first, last) = self.statements.unwrap_or((statement, statement));
        self.statements = Some((first.min(statement), last.max(statement)));
    }

    /// Adds an event, `at_ns` nanoseconds after the recording began. False, and nothing is added, when it has no room:
    /// then the chunk is full.
    pub fn push(&mut self, at_ns: u64, event: Event<'_>) -> bool {
        let carried = if let Event::Bytes(bytes) = event { bytes.len() } else { 0 };
        if self.plain.len() + EVENT_BYTES_MAX + carried > super::PLAIN_BYTES_MAX {
            return false;
        }
        match event {
            Event::Bytes(bytes) => {
                self.open(BYTES, at_ns);
                put_varint(&mut self.plain, bytes.len() as u64);
                self.plain.extend_from_slice(bytes);
            }
            Event::Digest { bytes, digest } => {
                self.open(DIGEST, at_ns);
                put_varint(&mut self.plain, bytes);
                self.plain.extend_from_slice(&digest);
            }
            Event::Started { statement } => self.statement(STARTED, at_ns, statement),
            Event::Refused { statement } => self.statement(REFUSED, at_ns, statement),
            Event::Ended { statement } => self.statement(ENDED, at_ns, statement),
            Event::End(reason) => {
                self.open(END, at_ns);
                self.plain.push(reason.number());
            }
        }
        true
    }

    /// Empties it, for the next chunk; keeps its memory.
    pub fn clear(&mut self) {
        self.plain.clear();
        self.statements = None;
    }
}

/// Bytes that are not events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventError;

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a chunk's events cannot be read")
    }
}

impl std::error::Error for EventError {}

/// The events of a chunk with their times, nanoseconds since the recording began. Ends behind the first error.
#[derive(Debug)]
pub struct Events<'a> {
    rest: &'a [u8],
    at_ns: u64,
}

impl<'a> Events<'a> {
    /// Of a chunk's plain bytes, whose first event is at `first_ns`.
    #[must_use]
    pub fn new(plain: &'a [u8], first_ns: u64) -> Self {
        Self { rest: plain, at_ns: first_ns }
    }

    fn number(&mut self) -> Option<u64> {
        let (value, length) = varint(self.rest)?;
        self.rest = self.rest.get(length..)?;
        Some(value)
    }

    fn event(&mut self) -> Option<(u64, Event<'a>)> {
        let (kind, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.at_ns = self.at_ns.checked_add(self.number()?)?;
        let event = match *kind {
            BYTES => {
                let length = usize::try_from(self.number()?).ok()?;
                let (bytes, rest) = self.rest.split_at_checked(length)?;
                self.rest = rest;
                Event::Bytes(bytes)
            }
            DIGEST => {
                let bytes = self.number()?;
                let (digest, rest) = self.rest.split_first_chunk::<32>()?;
                self.rest = rest;
                Event::Digest { bytes, digest: *digest }
            }
            STARTED => Event::Started { statement: self.number()? },
            REFUSED => Event::Refused { statement: self.number()? },
            ENDED => Event::Ended { statement: self.number()? },
            END => {
                let (reason, rest) = self.rest.split_first()?;
                self.rest = rest;
                Event::End(match *reason {
                    1 => EndReason::Closed,
                    2 => EndReason::Cap,
                    3 => EndReason::Disk,
                    _ => return None,
                })
            }
            _ => return None,
        };
        Some((self.at_ns, event))
    }
}

impl<'a> Iterator for Events<'a> {
    type Item = Result<(u64, Event<'a>), EventError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let event = self.event();
        if event.is_none() {
            self.rest = &[];
        }
        Some(event.ok_or(EventError))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;
    use proptest::prelude::*;

    fn events() -> impl Strategy<Value = Vec<(u64, u8, u64, Vec<u8>)>> {
        proptest::collection::vec(
            (0u64..1 << 40, 0u8..6, any::<u64>(), proptest::collection::vec(any::<u8>(), 0..50)),
            0..40,
        )
    }

    fn event(kind: u8, number: u64, bytes: &[u8]) -> Event<'_> {
        match kind {
            0 => Event::Bytes(bytes),
            1 => Event::Digest { bytes: number, digest: [number as u8; 32] },
            2 => Event::Started { statement: number },
            3 => Event::Refused { statement: number },
            4 => Event::Ended { statement: number },
            _ => Event::End([EndReason::Closed, EndReason::Cap, EndReason::Disk][(number % 3) as usize]),
        }
    }

    proptest! {
        #[test]
        fn events_are_read_back(steps in events()) {
            let mut builder = Builder::default();
            let (mut now, mut expected) = (0, Vec::new());
            for (step, kind, number, bytes) in &steps {
                now += step;
                prop_assert!(builder.push(now, event(*kind, *number, bytes)));
                expected.push((now, event(*kind, *number, bytes)));
            }
            let first = builder.times_ns().0;
            let found: Vec<_> = Events::new(builder.plain(), first).map(Result::unwrap).collect();
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn any_bytes_may_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(Events::new(&bytes, u64::MAX - 5).count() <= bytes.len());
        }
    }

    #[test]
    fn a_full_chunk_takes_nothing_more() {
        let mut builder = Builder::default();
        let room = builder.room();
        assert!(!builder.push(0, Event::Bytes(&vec![0; room + 1])));
        assert!(builder.is_empty());
        assert!(builder.push(0, Event::Bytes(&vec![0; room])));
        assert!(builder.len() <= crate::recording::PLAIN_BYTES_MAX);
        assert!(!builder.push(1, Event::Ended { statement: 1 }));
    }

    #[test]
    fn a_clock_that_stands_still_or_steps_back_is_taken_as_standing() {
        let mut builder = Builder::default();
        assert!(builder.push(50, Event::Started { statement: 3 }) && builder.push(40, Event::Ended { statement: 2 }));
        assert_eq!(builder.times_ns(), (50, 50));
        assert_eq!(builder.statements(), (2, 3));
    }
}
