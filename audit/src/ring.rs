//! The per-core ring: records wait here, encoded, until the block that holds them is durable.
//!
//! Invariants: `head <= sealed <= tail`, `tail - head <= capacity`; a record never straddles the end of the buffer;
//! sequence numbers have no gap; space is released only by [`Ring::durable`], so a failing disk loses nothing while
//! the process lives. Nothing here knows of disks, clocks or tasks, and appending never allocates.

use std::collections::VecDeque;
use std::fmt;

use crate::block::{self, BlockHeader, FLAG_AFTER_CRASH, FLAG_LAST, HEADER_BYTES, PAYLOAD_BYTES_USUAL};
use crate::body::Body;
use crate::decode;
use crate::encode::{self, RECORD_BYTES_MAX, kind};
use crate::merkle;
use crate::record::{Clock, Record, Recorded};

/// Length that marks the unused end of the buffer.
const GAP: u32 = u32::MAX;

/// Records that only report what already happened may use the last eighth of the ring; those that ask to go on may
/// not, so that a full ring still takes the ends of what it let begin.
const RESERVE_SHARE: u64 = 8;

/// The ring has no room, or its epoch has ended. An ordinary result: the action does not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Full;

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the audit ring has no room")
    }
}

impl std::error::Error for Full {}

/// A block ready to be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Sequence number of its last record: what to hand to [`Ring::durable`] once it is on disk.
    pub last_sequence: u64,
    /// Number of the block.
    pub block_seq: u64,
    /// Bytes appended to the output, a multiple of 4,096.
    pub bytes: usize,
}

#[derive(Debug)]
struct Flight {
    last_sequence: u64,
    end: u64,
}

/// Records of one core between append and durability.
pub struct Ring {
    identity: BlockHeader,
    buffer: Vec<u8>,
    /// Positions count up for ever; the place in the buffer is the position modulo the capacity.
    head: u64,
    sealed: u64,
    tail: u64,
    next_sequence: u64,
    sealed_sequence: u64,
    durable_sequence: u64,
    flights: VecDeque<Flight>,
    pending_bytes: usize,
    pending_since: Option<Clock>,
    ended: bool,
    tree: merkle::Tree,
}

impl fmt::Debug for Ring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ring")
            .field("core", &self.identity.core)
            .field("next_sequence", &self.next_sequence)
            .field("durable_sequence", &self.durable_sequence)
            .field("pending_bytes", &self.pending_bytes)
            .finish_non_exhaustive()
    }
}

/// Must the action that this record announces wait for it? The others report what is already past.
#[must_use]
pub fn announces(record: &Record<'_>) -> bool {
    matches!(record, Record::SessionOpen { .. } | Record::Intent { .. } | Record::PolicyLoad { .. })
}

impl Ring {
    /// An empty ring at the given place of a core's log. Sequence numbers start at 1 (a zero is taken as 1).
    #[must_use]
    pub fn new(
        node: [u8; 16],
        core: u16,
        epoch: u32,
        epoch_nonce: [u8; 16],
        previous_header: [u8; 32],
        next_record_seq: u64,
        capacity_bytes: usize,
    ) -> Self {
        let next_sequence = next_record_seq.max(1);
        Self {
            identity: BlockHeader { node, core, epoch, epoch_nonce, previous: previous_header, ..Default::default() },
            // Zeroed lazily by the kernel: an unused ring costs address space only.
            buffer: vec![0; capacity_bytes],
            head: 0,
            sealed: 0,
            tail: 0,
            next_sequence,
            sealed_sequence: next_sequence - 1,
            durable_sequence: next_sequence - 1,
            flights: VecDeque::new(),
            pending_bytes: 0,
            pending_since: None,
            ended: false,
            tree: merkle::Tree::default(),
        }
    }

    /// Number of the first block this ring seals (0 without this call).
    #[must_use]
    pub fn starting_at_block(mut self, next_block_seq: u64) -> Self {
        self.identity.block_seq = next_block_seq;
        self
    }

    fn capacity(&self) -> u64 {
        self.buffer.len() as u64
    }

    fn place(&self, position: u64) -> usize {
        position.checked_rem(self.capacity()).map_or(0, |place| place as usize)
    }

    /// Appends a record.
    ///
    /// # Errors
    /// [`Full`] when there is no room for it, now or ever, or after an epoch end.
    pub fn append(&mut self, clock: Clock, record: &Record<'_>) -> Result<Recorded, Full> {
        if self.ended {
            return Err(Full);
        }
        if self.head == self.tail {
            // Empty: start over, so that the longest record fits.
            (self.head, self.sealed, self.tail) = (0, 0, 0);
        }
        let free = self.capacity() - (self.tail - self.head);
        let place = self.place(self.tail);
        let to_end = (self.buffer.len() - place).min(free as usize);
        let reserve = if announces(record) { self.capacity() / RESERVE_SHARE } else { 0 };
        let (start, length) = match self.encode_at(place, to_end, clock, record) {
            Some(length) => (self.tail, length),
            // Not before the end of the buffer: leave a gap there and try its beginning.
            None if place + to_end == self.buffer.len() && free as usize > to_end => {
                let room = free as usize - to_end;
                let length = self.encode_at(0, room, clock, record).ok_or(Full)?;
                (self.tail + to_end as u64, length)
            }
            None => return Err(Full),
        };
        let end = start + 4 + length as u64;
        if length > RECORD_BYTES_MAX || end - self.head + reserve > self.capacity() {
            return Err(Full);
        }
        if start != self.tail
            && let Some(mark) = self.buffer.get_mut(place..place + 4)
        {
            mark.copy_from_slice(&GAP.to_le_bytes());
        }
        let at = if start == self.tail { place } else { 0 };
        self.buffer[at..at + 4].copy_from_slice(&(length as u32).to_le_bytes());
        self.tail = end;
        self.pending_bytes += 4 + length;
        self.pending_since.get_or_insert(clock);
        self.ended = matches!(record, Record::EpochEnd);
        let sequence = self.next_sequence;
        self.next_sequence += 1;
        Ok(Recorded { sequence })
    }

    /// Stands for a record that is left out on purpose, as a measuring run does. The log holds nothing of it.
    ///
    /// # Errors
    /// [`Full`] after an epoch end.
    pub fn leave_out(&self) -> Result<Recorded, Full> {
        if self.ended { Err(Full) } else { Ok(Recorded { sequence: self.durable_sequence }) }
    }

    /// Encodes behind the place of the length; commits nothing.
    fn encode_at(&mut self, place: usize, room: usize, clock: Clock, record: &Record<'_>) -> Option<usize> {
        let slot = self.buffer.get_mut(place..place + room)?.get_mut(4..)?;
        encode::encode_record(slot, self.next_sequence, clock, record)
    }

    /// Turns what is pending into one block at the end of `out`: as many records as fit the usual size, at least one.
    /// May be called again while earlier blocks are still on their way to the disk.
    pub fn seal(&mut self, now: Clock, out: &mut Vec<u8>) -> Option<Sealed> {
        let start = out.len();
        let mut position = self.sealed;
        let mut header =
            BlockHeader { flags: 0, records: 0, first_record_seq: self.sealed_sequence + 1, ..self.identity };
        // Where the first and the last record are.
        let mut ends = None;
        out.resize(start + HEADER_BYTES, 0);
        while position < self.tail {
            let place = self.place(position);
            let Some(length) = self.buffer.get(place..place + 4).and_then(|bytes| bytes.first_chunk::<4>()) else {
                position += (self.buffer.len() - place) as u64;
                continue;
            };
            let length = u32::from_le_bytes(*length);
            if length == GAP {
                position += (self.buffer.len() - place) as u64;
                continue;
            }
            let framed = &self.buffer[place..place + 4 + length as usize];
            if header.records > 0 && out.len() - start - HEADER_BYTES + framed.len() > PAYLOAD_BYTES_USUAL {
                break;
            }
            let record = &framed[4..];
            match encode::short_number(record) {
                kind::EPOCH_END => header.flags |= FLAG_LAST,
                kind::EPOCH_START if follows_a_crash(record) => header.flags |= FLAG_AFTER_CRASH,
                _ => {}
            }
            ends.get_or_insert((place, place)).1 = place;
            self.tree.push(merkle::leaf(header.first_record_seq + u64::from(header.records), record));
            out.extend_from_slice(framed);
            header.records += 1;
            position += framed.len() as u64;
        }
        if header.records == 0 {
            out.truncate(start);
            return None;
        }
        if let Some((first, last)) = ends {
            let time = |place: usize| {
                // The ring wrote these bytes itself; a record without a readable head would be dated now.
                self.buffer.get(place + 4..).and_then(|record| decode::time(record).ok()).unwrap_or(now)
            };
            let (first, last) = (time(first), time(last));
            (header.wall_ns, header.mono_ns) = ([first.wall_ns, last.wall_ns], [first.mono_ns, last.mono_ns]);
        }
        let payload = &out[start + HEADER_BYTES..];
        header.payload_len = payload.len() as u32;
        header.payload_crc = crc32c::crc32c(payload);
        header.root = self.tree.finish();
        header.hlc = ((now.wall_ns / 1_000_000) << 16).max(self.identity.hlc + 1);
        let encoded = header.encode();
        out[start..start + HEADER_BYTES].copy_from_slice(&encoded);
        out.extend_from_slice(&block::trailer(header.block_seq));
        out.resize(start + header.block_bytes(), 0);

        self.pending_bytes -= header.payload_len as usize;
        self.pending_since = (self.pending_bytes > 0).then_some(now);
        self.sealed = position;
        self.sealed_sequence += u64::from(header.records);
        self.identity.previous = block::header_hash(&encoded);
        self.identity.block_seq += 1;
        self.identity.hlc = header.hlc;
        self.flights.push_back(Flight { last_sequence: self.sealed_sequence, end: position });
        Some(Sealed { last_sequence: self.sealed_sequence, block_seq: header.block_seq, bytes: header.block_bytes() })
    }

    /// Everything up to and including this record is on disk. Releases the blocks that end there or before.
    pub fn durable(&mut self, last_sequence: u64) {
        while let Some(flight) = self.flights.pop_front_if(|flight| flight.last_sequence <= last_sequence) {
            self.head = flight.end;
            self.durable_sequence = flight.last_sequence;
        }
    }

    /// The epoch's end was appended: nothing more is taken.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        self.ended
    }

    /// Last record known to be on disk.
    #[must_use]
    pub fn durable_sequence(&self) -> u64 {
        self.durable_sequence
    }

    /// Last record that is in a block.
    #[must_use]
    pub fn sealed_sequence(&self) -> u64 {
        self.sealed_sequence
    }

    /// Last record appended.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        self.next_sequence - 1
    }

    /// Bytes that no block holds yet.
    #[must_use]
    pub fn pending_bytes(&self) -> usize {
        self.pending_bytes
    }

    /// When the oldest record that no block holds was appended (or the block before it was sealed).
    #[must_use]
    pub fn pending_since(&self) -> Option<Clock> {
        self.pending_since
    }

    /// Bytes in use and bytes in all.
    #[must_use]
    pub fn fill(&self) -> (usize, usize) {
        ((self.tail - self.head) as usize, self.buffer.len())
    }
}

fn follows_a_crash(record: &[u8]) -> bool {
    matches!(decode::decode_record(record).map(|record| record.body), Ok(Body::EpochStart { clean: false, .. }))
}
