//! Files of wrapped keys, `keys-EEEEEEEE.tgkeys`: a header page, then slots of one size, one per session. A slot can be
//! overwritten with zeros, which ends the session's key for good; nothing else in the log depends on the file.
//!
//! ```text
//! page   0 "TGKEYS01"  8 u16 version 1  10 u16 zero  12 u32 CRC32C of the page with these four bytes zero
//!       16 node (16)  32 u16 core  34 u16 zero  36 u32 epoch  40 u32 bytes of a slot  44 zeros to 512
//! slot   0 "TGKS"  4 u32 CRC32C of bytes 8 to the end  8 u16 wraps  10 u16 zero  12 u32 zero
//!       16 session (16)  32 commitment (32)  64 wraps of 96 bytes  zeros to the end
//! ```

use crate::bytes::{array, put, u16_at, u32_at};
use crate::session_key::{OpenError, SessionKey};
use crate::wrap::{WRAP_BYTES, Wrap, unwrap};
use crate::{Identity, RecipientId};
use std::fmt;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// Bytes of the header page, and what slots are multiples of: a sector, so that erasing one touches no other.
pub const PAGE_BYTES: usize = 512;
/// Recipients that a slot can have.
pub const RECIPIENTS_MAX: usize = 64;

const MAGIC: &[u8; 8] = b"TGKEYS01";
const SLOT_MAGIC: &[u8; 4] = b"TGKS";
const VERSION: u16 = 1;
const WRAPS_AT: usize = 64;

/// Bytes of a slot with so many wraps.
#[must_use]
pub const fn slot_bytes(recipients: usize) -> usize {
    (WRAPS_AT + recipients * WRAP_BYTES).next_multiple_of(PAGE_BYTES)
}

/// Whose keys a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileHeader {
    /// Node, as in the segments.
    pub node: [u8; 16],
    /// Core.
    pub core: u16,
    /// Epoch.
    pub epoch: u32,
    /// Bytes of each slot.
    pub slot_bytes: u32,
}

impl FileHeader {
    /// The page.
    #[must_use]
    pub fn encode(&self) -> [u8; PAGE_BYTES] {
        let mut page = [0; PAGE_BYTES];
        put(&mut page, 0, MAGIC);
        put(&mut page, 8, &VERSION.to_le_bytes());
        put(&mut page, 16, &self.node);
        put(&mut page, 32, &self.core.to_le_bytes());
        put(&mut page, 36, &self.epoch.to_le_bytes());
        put(&mut page, 40, &self.slot_bytes.to_le_bytes());
        let crc = crc32c::crc32c(&page);
        put(&mut page, 12, &crc.to_le_bytes());
        page
    }

    /// Reads a page.
    #[must_use]
    pub fn decode(page: &[u8; PAGE_BYTES]) -> Option<Self> {
        let header = Self {
            node: array(page, 16)?,
            core: u16_at(page, 32)?,
            epoch: u32_at(page, 36)?,
            slot_bytes: u32_at(page, 40)?,
        };
        let size = header.slot_bytes as usize;
        let sound = size > 0 && size.is_multiple_of(PAGE_BYTES) && size <= slot_bytes(RECIPIENTS_MAX);
        // Every byte of a good page follows from its fields.
        (sound && header.encode() == *page).then_some(header)
    }
}

/// The keys of one session for all recipients.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slot {
    /// Session.
    pub session: [u8; 16],
    /// Its key's commitment.
    pub commitment: [u8; 32],
    /// One per recipient.
    pub wraps: Vec<Wrap>,
}

impl Slot {
    /// The slot's bytes; `None` if there are more wraps than it has room for.
    #[must_use]
    pub fn encode(&self, bytes: usize) -> Option<Vec<u8>> {
        if self.wraps.len() > RECIPIENTS_MAX || WRAPS_AT + self.wraps.len() * WRAP_BYTES > bytes {
            return None;
        }
        let mut out = vec![0; bytes];
        put(&mut out, 0, SLOT_MAGIC);
        put(&mut out, 8, &(self.wraps.len() as u16).to_le_bytes());
        put(&mut out, 16, &self.session);
        put(&mut out, 32, &self.commitment);
        for (index, wrap) in self.wraps.iter().enumerate() {
            put(&mut out, WRAPS_AT + index * WRAP_BYTES, &wrap.encode());
        }
        let crc = crc32c::crc32c(&out[8..]);
        put(&mut out, 4, &crc.to_le_bytes());
        Some(out)
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let count = usize::from(u16_at(bytes, 8)?);
        if count > RECIPIENTS_MAX {
            return None;
        }
        let wraps = bytes.get(WRAPS_AT..)?.get(..count * WRAP_BYTES)?;
        let slot = Self {
            session: array(bytes, 16)?,
            commitment: array(bytes, 32)?,
            wraps: wraps.chunks_exact(WRAP_BYTES).map_while(Wrap::decode).collect(),
        };
        (slot.encode(bytes.len())? == bytes).then_some(slot)
    }

    /// Opens the session's key with any of the identities. `commitment` is the one in the log: the file itself proves
    /// nothing.
    ///
    /// # Errors
    /// None of them can; or the key is not the one that the log commits to.
    pub fn open(&self, identities: &[Identity], commitment: &[u8; 32]) -> Result<SessionKey, OpenError> {
        if self.commitment != *commitment {
            return Err(OpenError::Commitment);
        }
        let mut error = OpenError::Wrap;
        for identity in identities {
            for wrap in self.wraps.iter().filter(|wrap| wrap.recipient == identity.recipient().id()) {
                match unwrap(wrap, identity, self.session, commitment) {
                    Ok(key) => return Ok(key),
                    Err(other) => error = other,
                }
            }
        }
        Err(error)
    }

    /// Whom it is wrapped for.
    pub fn recipients(&self) -> impl Iterator<Item = RecipientId> {
        self.wraps.iter().map(|wrap| wrap.recipient)
    }
}

/// What a slot holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Zeros: the key was destroyed.
    Erased,
    /// A key.
    Key(Slot),
    /// Something else, or a slot that was not written to its end.
    Damaged,
}

/// Why a file cannot be read as one of wrapped keys.
#[derive(Debug)]
pub enum SlotsError {
    /// Its header page is not one.
    NotKeys,
    /// Reading or writing failed.
    Io(io::Error),
}

impl fmt::Display for SlotsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotKeys => f.write_str("not a file of wrapped keys, or its header is damaged"),
            Self::Io(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for SlotsError {}

impl From<io::Error> for SlotsError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

fn found(bytes: &[u8]) -> Found {
    if bytes.iter().all(|byte| *byte == 0) {
        return Found::Erased;
    }
    Slot::decode(bytes).map_or(Found::Damaged, Found::Key)
}

/// The slots of a file in memory, with their places.
#[derive(Debug)]
pub struct Slots<'a> {
    header: FileHeader,
    rest: &'a [u8],
    at: u64,
}

impl<'a> Slots<'a> {
    /// Begins to read.
    ///
    /// # Errors
    /// The header page.
    pub fn read(bytes: &'a [u8]) -> Result<Self, SlotsError> {
        let (page, rest) = bytes.split_first_chunk::<PAGE_BYTES>().ok_or(SlotsError::NotKeys)?;
        let header = FileHeader::decode(page).ok_or(SlotsError::NotKeys)?;
        Ok(Self { header, rest, at: PAGE_BYTES as u64 })
    }

    /// Whose keys they are.
    #[must_use]
    pub fn header(&self) -> FileHeader {
        self.header
    }
}

impl Iterator for Slots<'_> {
    type Item = (u64, Found);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let size = (self.header.slot_bytes as usize).min(self.rest.len());
        let (slot, rest) = self.rest.split_at(size);
        let at = self.at;
        self.rest = rest;
        self.at += size as u64;
        let whole = size == self.header.slot_bytes as usize;
        Some((at, if whole { found(slot) } else { Found::Damaged }))
    }
}

/// Overwrites the slots of the wanted sessions with zeros, in place; which sessions those were. The caller syncs the
/// file, and knows whether its storage really overwrites (a copy-on-write file system or a snapshot does not).
///
/// # Errors
/// The header page, or reading and writing; slots before the place of the error are erased.
pub fn erase<F: Read + Write + Seek>(
    file: &mut F,
    wanted: &mut dyn FnMut(&[u8; 16]) -> bool,
) -> Result<Vec<[u8; 16]>, SlotsError> {
    let mut page = [0; PAGE_BYTES];
    file.seek(SeekFrom::Start(0))?;
    file.read_exact(&mut page)?;
    let header = FileHeader::decode(&page).ok_or(SlotsError::NotKeys)?;
    let mut slot = vec![0; header.slot_bytes as usize];
    let mut at = PAGE_BYTES as u64;
    let mut erased = Vec::new();
    loop {
        file.seek(SeekFrom::Start(at))?;
        match file.read_exact(&mut slot) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(erased),
            Err(error) => return Err(error.into()),
        }
        // A damaged slot may still hold a key somebody can repair: its session decides too.
        let session: Option<[u8; 16]> = array(&slot, 16);
        if let Some(session) = session.filter(|_| slot.iter().any(|byte| *byte != 0))
            && wanted(&session)
        {
            slot.fill(0);
            file.seek(SeekFrom::Start(at))?;
            file.write_all(&slot)?;
            erased.push(session);
        }
        at += u64::from(header.slot_bytes);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;
    use crate::wrap::wrap;
    use proptest::prelude::*;
    use std::io::Cursor;
    use zeroize::Zeroizing;

    const SIZE: usize = slot_bytes(2);

    fn slot(session: u8, who: &[Identity]) -> Slot {
        let key = SessionKey::new([session; 16], Zeroizing::new([session; 32]));
        let wraps = who.iter().map(|i| wrap(&key, i.recipient(), Zeroizing::new([session; 32])).unwrap()).collect();
        Slot { session: [session; 16], commitment: key.commitment(), wraps }
    }

    fn file(sessions: &[u8], who: &[Identity]) -> Vec<u8> {
        let header = FileHeader { node: [3; 16], core: 1, epoch: 9, slot_bytes: SIZE as u32 };
        let mut bytes = header.encode().to_vec();
        for session in sessions {
            bytes.extend(slot(*session, who).encode(SIZE).unwrap());
        }
        bytes
    }

    fn people() -> Vec<Identity> {
        [(1, "ana"), (2, "ben")].map(|(seed, name)| Identity::new(&[seed; 32], name).unwrap()).into()
    }

    #[test]
    fn a_file_is_read_back_and_every_recipient_opens_it() {
        let people = people();
        let bytes = file(&[7, 8], &people);
        let slots = Slots::read(&bytes).unwrap();
        assert_eq!(slots.header().epoch, 9);
        let all: Vec<_> = slots.collect();
        assert_eq!(all.len(), 2);
        for ((at, found), session) in all.iter().zip([7u8, 8]) {
            let Found::Key(slot) = found else { panic!("{found:?} at {at}") };
            for one in &people {
                let identities = std::slice::from_ref(one);
                assert_eq!(slot.open(identities, &slot.commitment).unwrap().session(), [session; 16]);
                assert_eq!(slot.open(identities, &[1; 32]).unwrap_err(), OpenError::Commitment);
            }
            let eve = [Identity::new(&[5; 32], "eve").unwrap()];
            assert_eq!(slot.open(&eve, &slot.commitment).unwrap_err(), OpenError::Wrap);
        }
    }

    #[test]
    fn an_erased_slot_is_zeros_and_its_neighbours_stay() {
        let people = people();
        let mut cursor = Cursor::new(file(&[7, 8, 9], &people));
        assert_eq!(erase(&mut cursor, &mut |session| session[0] == 8).unwrap(), [[8; 16]]);
        assert!(erase(&mut cursor, &mut |session| session[0] == 8).unwrap().is_empty());
        let bytes = cursor.into_inner();
        let all: Vec<_> = Slots::read(&bytes).unwrap().map(|(_, found)| found).collect();
        assert!(
            matches!(&all[..], [Found::Key(a), Found::Erased, Found::Key(b)] if a.session == [7; 16] && b.session == [9; 16])
        );
        let before = file(&[7, 8, 9], &people);
        assert_eq!(bytes[..PAGE_BYTES + SIZE], before[..PAGE_BYTES + SIZE]);
        assert_eq!(bytes[PAGE_BYTES + 2 * SIZE..], before[PAGE_BYTES + 2 * SIZE..]);
    }

    #[test]
    fn a_torn_or_changed_slot_is_damaged() {
        let good = file(&[7], &people());
        for at in PAGE_BYTES..good.len() {
            let mut changed = good.clone();
            changed[at] ^= 1;
            let found = Slots::read(&changed).unwrap().next().unwrap().1;
            assert_eq!(found, Found::Damaged, "byte {at}");
        }
        let short = &good[..good.len() - 1];
        assert_eq!(Slots::read(short).unwrap().next().unwrap().1, Found::Damaged);
        assert!(erase(&mut Cursor::new(short.to_vec()), &mut |_| true).unwrap().is_empty());
        for at in 0..PAGE_BYTES {
            let mut changed = good.clone();
            changed[at] ^= 1;
            assert!(Slots::read(&changed).is_err(), "byte {at}");
        }
    }

    #[test]
    fn there_is_room_for_those_it_was_made_for() {
        assert_eq!(slot_bytes(1), 512);
        assert_eq!(slot_bytes(4), 512);
        assert_eq!(slot_bytes(5), 1024);
        let people: Vec<_> = (1..=5).map(|seed| Identity::new(&[seed; 32], "x").unwrap()).collect();
        assert!(slot(1, &people).encode(slot_bytes(4)).is_none());
        assert!(slot(1, &people).encode(slot_bytes(5)).is_some());
    }

    proptest! {
        #[test]
        fn any_bytes_may_be_read(bytes in proptest::collection::vec(any::<u8>(), 0..2000), page: bool) {
            let mut all = if page { file(&[], &[]) } else { Vec::new() };
            all.extend(bytes);
            let _ = crate::fuzzing::read_slots(&all);
            let _ = erase(&mut Cursor::new(all), &mut |_| true);
        }
    }
}
