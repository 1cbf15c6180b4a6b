//! A chunk: header, stored bytes, zeros to a multiple of 4,096.
//!
//! ```text
//!  0 "TGCK"  4 u16 flags: 1 zstd, 2 encrypted  6 u16 zero  8 u64 number, from 1
//! 16 u32 stored bytes  20 u32 plain bytes  24 u64 first, 32 u64 last event, nanoseconds since the recording began
//! 40 u64 first, 48 u64 last statement, zeros for none  56 u32 CRC32C of bytes 0 to 55  60 u32 zero
//! ```
//!
//! Hash = BLAKE3(hash before ‖ header (64) ‖ stored bytes); the hash before the first chunk is BLAKE3(header page).
//! Encryption: AES-256-GCM under HKDF(session key, "recording"), nonce = zeros (4) ‖ number (8, big-endian),
//! aad = hash before ‖ header.

use super::ALIGNMENT;
use super::event::Builder;
use super::header::{HEADER_PAGE_BYTES, Header};
use crate::bytes::{put, u16_at, u32_at, u64_at};
use crate::session_key::{SessionKey, TAG_BYTES, aes};
use ring::aead::{Aad, LessSafeKey, Nonce};
use std::fmt;
use std::io;

/// Bytes of a chunk's header.
pub const CHUNK_HEADER_BYTES: usize = 64;
/// Most bytes that a chunk holds before compression and encryption.
pub const PLAIN_BYTES_MAX: usize = 256 << 10;

const MAGIC: &[u8; 4] = b"TGCK";
const ZSTD: u16 = 1;
const ENCRYPTED: u16 = 2;
const LEVEL: i32 = 3;

/// Bytes in the file of a chunk that stores so many.
#[must_use]
pub const fn file_bytes(stored: usize) -> usize {
    (CHUNK_HEADER_BYTES + stored).next_multiple_of(ALIGNMENT)
}

/// Why a chunk cannot be read. Reading on needs the chunks before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    /// There are no more bytes, or only zeros.
    End,
    /// The file ends inside of it.
    Cut,
    /// Its header is not one, or not the next.
    Header,
    /// Its bytes do not decrypt: they were changed, or the key is not theirs.
    Sealed,
    /// It is encrypted and there is no key.
    NoKey,
    /// Its bytes do not decompress to what it says.
    Compression,
    /// Bytes behind it are not zero.
    Padding,
}

impl fmt::Display for ChunkError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "the recording ends here",
            Self::Cut => "the file ends inside of the chunk",
            Self::Header => "the chunk's header is damaged, or it is not the next chunk",
            Self::Sealed => "the chunk does not decrypt: it was changed, or the key is not its own",
            Self::NoKey => "the chunk is encrypted and there is no key for it",
            Self::Compression => "the chunk does not decompress",
            Self::Padding => "bytes behind the chunk are not zero",
        })
    }
}

impl std::error::Error for ChunkError {}

/// A chunk's header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChunkHeader {
    /// Number, from 1.
    pub number: u64,
    /// Its bytes are compressed.
    pub compressed: bool,
    /// Its bytes are encrypted.
    pub encrypted: bool,
    /// Bytes stored.
    pub stored: u32,
    /// Bytes before compression and encryption.
    pub plain: u32,
    /// First event, nanoseconds since the recording began.
    pub first_ns: u64,
    /// Last event.
    pub last_ns: u64,
    /// First and last statement it says something about, zeros for none.
    pub statements: (u64, u64),
}

impl ChunkHeader {
    /// Its bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; CHUNK_HEADER_BYTES] {
        let mut out = [0; CHUNK_HEADER_BYTES];
        let flags = if self.compressed { ZSTD } else { 0 } | if self.encrypted { ENCRYPTED } else { 0 };
        put(&mut out, 0, MAGIC);
        put(&mut out, 4, &flags.to_le_bytes());
        put(&mut out, 8, &self.number.to_le_bytes());
        put(&mut out, 16, &self.stored.to_le_bytes());
        put(&mut out, 20, &self.plain.to_le_bytes());
        put(&mut out, 24, &self.first_ns.to_le_bytes());
        put(&mut out, 32, &self.last_ns.to_le_bytes());
        put(&mut out, 40, &self.statements.0.to_le_bytes());
        put(&mut out, 48, &self.statements.1.to_le_bytes());
        let crc = crc32c::crc32c(&out[..56]);
        put(&mut out, 56, &crc.to_le_bytes());
        out
    }

    /// Reads it; `None` if it is damaged or out of bounds.
    #[must_use]
    pub fn decode(bytes: &[u8; CHUNK_HEADER_BYTES]) -> Option<Self> {
        let flags = u16_at(bytes, 4)?;
        let header = Self {
            number: u64_at(bytes, 8)?,
            compressed: flags & ZSTD != 0,
            encrypted: flags & ENCRYPTED != 0,
            stored: u32_at(bytes, 16)?,
            plain: u32_at(bytes, 20)?,
            first_ns: u64_at(bytes, 24)?,
            last_ns: u64_at(bytes, 32)?,
            statements: (u64_at(bytes, 40)?, u64_at(bytes, 48)?),
        };
        let bounded = header.plain as usize <= PLAIN_BYTES_MAX && header.stored as usize <= PLAIN_BYTES_MAX + TAG_BYTES;
        (bounded && header.first_ns <= header.last_ns && header.encode() == *bytes).then_some(header)
    }
}

/// Bytes that BLAKE3 takes side by side at best: 16 of its chunks of 1 KiB.
const WIDE: usize = 16 << 10;

/// Hash of a chunk, given the one before it.
#[must_use]
pub fn chunk_hash(before: &[u8; 32], header: &[u8], stored: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let apart = before.len() + header.len();
    // Fed piece by piece, BLAKE3 takes 1, 1, 2, 4 and 8 KiB before it is as wide as it can be; so the front is put
    // together first.
    match WIDE.checked_sub(apart).and_then(|rest| stored.split_at_checked(rest)) {
        Some((first, rest)) => {
            let mut front = [0; WIDE];
            front[..before.len()].copy_from_slice(before);
            front[before.len()..apart].copy_from_slice(header);
            front[apart..].copy_from_slice(first);
            hasher.update(&front).update(rest);
        }
        None => {
            hasher.update(before).update(header).update(stored);
        }
    }
    *hasher.finalize().as_bytes()
}

fn nonce(number: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&number.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}

fn aad(before: &[u8; 32], header: &[u8; CHUNK_HEADER_BYTES]) -> [u8; 32 + CHUNK_HEADER_BYTES] {
    let mut aad = [0; 32 + CHUNK_HEADER_BYTES];
    aad[..32].copy_from_slice(before);
    aad[32..].copy_from_slice(header);
    aad
}

fn page_hash(page: &[u8; HEADER_PAGE_BYTES]) -> [u8; 32] {
    *blake3::hash(page).as_bytes()
}

/// Makes the chunks of one recording.
pub struct Writer {
    key: Option<LessSafeKey>,
    hash: [u8; 32],
    number: u64,
}

/// Makes chunks smaller. Takes about a megabyte, so recordings share one.
pub struct Compressor(zstd::bulk::Compressor<'static>);

impl Compressor {
    /// A new one.
    ///
    /// # Errors
    /// No memory.
    pub fn new() -> io::Result<Self> {
        zstd::bulk::Compressor::new(LEVEL).map(Self)
    }
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Compressor")
    }
}

impl fmt::Debug for Writer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Writer {
    /// Begins a recording: the key must be there if, and only if, the header says that it is encrypted.
    ///
    /// # Errors
    /// A key that is missing or too much.
    pub fn new(header: &Header, key: Option<&SessionKey>) -> io::Result<Self> {
        if key.is_some() != header.encrypted {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Self { key: key.map(|key| aes(&key.recording())), hash: page_hash(&header.encode()), number: 0 })
    }

    /// Chunks made so far.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.number
    }

    /// Hash of the last one.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// Room that a chunk of these events can need.
    #[must_use]
    pub fn bytes_max(events: &Builder) -> usize {
        file_bytes(events.len() + TAG_BYTES)
    }

    /// Makes the next chunk of the events, in front of `out`, which has room for [`Writer::bytes_max`] bytes. How many
    /// bytes of it belong into the file.
    ///
    /// # Errors
    /// `out` is too short.
    pub fn seal(&mut self, events: &Builder, compressor: Option<&mut Compressor>, out: &mut [u8]) -> io::Result<usize> {
        let plain = events.plain();
        if out.len() < Self::bytes_max(events) || plain.len() > PLAIN_BYTES_MAX {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let (head, rest) = out.split_at_mut(CHUNK_HEADER_BYTES);
        let body = &mut rest[..plain.len()];
        // What does not become shorter is stored as it is.
        let compressed = compressor.and_then(|c| c.0.compress_to_buffer(plain, body).ok());
        let length = compressed.unwrap_or(plain.len());
        if compressed.is_none() {
            body.copy_from_slice(plain);
        }
        let stored = length + if self.key.is_some() { TAG_BYTES } else { 0 };
        let (first_ns, last_ns) = events.times_ns();
        let header = ChunkHeader {
            number: self.number + 1,
            compressed: compressed.is_some(),
            encrypted: self.key.is_some(),
            stored: stored as u32,
            plain: plain.len() as u32,
            first_ns,
            last_ns,
            statements: events.statements(),
        };
        let encoded = header.encode();
        head.copy_from_slice(&encoded);
        if let Some(key) = &self.key {
            let aad = Aad::from(aad(&self.hash, &encoded));
            let body = &mut rest[..length];
            let tag = key.seal_in_place_separate_tag(nonce(header.number), aad, body);
            let tag = tag.map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
            rest[length..stored].copy_from_slice(tag.as_ref());
        }
        self.hash = chunk_hash(&self.hash, &encoded, &rest[..stored]);
        self.number = header.number;
        let bytes = file_bytes(stored);
        rest[stored..bytes - CHUNK_HEADER_BYTES].fill(0);
        Ok(bytes)
    }
}

/// A chunk that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chunk {
    /// Its header.
    pub header: ChunkHeader,
    /// Its hash, as the log commits to it.
    pub hash: [u8; 32],
    /// Its events.
    pub plain: Vec<u8>,
    /// Time of its first event, for [`super::Events::new`].
    pub first_ns: u64,
    /// Bytes that it takes in the file.
    pub file_bytes: usize,
}

/// Reads the chunks of one recording in order.
pub struct Reader {
    key: Option<LessSafeKey>,
    hash: [u8; 32],
    number: u64,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("number", &self.number).finish_non_exhaustive()
    }
}

impl Reader {
    /// Begins behind the header page.
    #[must_use]
    pub fn new(header: &Header, page: &[u8; HEADER_PAGE_BYTES], key: Option<&SessionKey>) -> Self {
        let key = key.filter(|_| header.encrypted).map(|key| aes(&key.recording()));
        Self { key, hash: page_hash(page), number: 0 }
    }

    /// Goes on behind a chunk whose number and hash are known from the log.
    #[must_use]
    pub fn resume(header: &Header, number: u64, hash: [u8; 32], key: Option<&SessionKey>) -> Self {
        let key = key.filter(|_| header.encrypted).map(|key| aes(&key.recording()));
        Self { key, hash, number }
    }

    /// Chunks read so far.
    #[must_use]
    pub fn chunks(&self) -> u64 {
        self.number
    }

    /// Hash of the last one.
    #[must_use]
    pub fn hash(&self) -> [u8; 32] {
        self.hash
    }

    /// The header in front of `bytes` if it is the next chunk's, and how many bytes the chunk takes.
    ///
    /// # Errors
    /// As [`Reader::next`], without looking behind the header.
    pub fn peek(&self, bytes: &[u8]) -> Result<(ChunkHeader, usize), ChunkError> {
        let Some(head) = bytes.first_chunk::<CHUNK_HEADER_BYTES>() else {
            return Err(if bytes.iter().all(|byte| *byte == 0) { ChunkError::End } else { ChunkError::Cut });
        };
        if *head == [0; CHUNK_HEADER_BYTES] {
            return Err(ChunkError::End);
        }
        let header = ChunkHeader::decode(head).filter(|header| header.number == self.number + 1);
        let header = header.ok_or(ChunkError::Header)?;
        Ok((header, file_bytes(header.stored as usize)))
    }

    /// Hash of the chunk in front of `bytes`, without opening it.
    ///
    /// # Errors
    /// As [`Reader::next`].
    pub fn skip(&mut self, bytes: &[u8]) -> Result<(ChunkHeader, usize), ChunkError> {
        let (header, length) = self.peek(bytes)?;
        let chunk = bytes.get(..length).ok_or(ChunkError::Cut)?;
        let (stored, padding) = chunk[CHUNK_HEADER_BYTES..].split_at(header.stored as usize);
        if padding.iter().any(|byte| *byte != 0) {
            return Err(ChunkError::Padding);
        }
        self.hash = chunk_hash(&self.hash, &chunk[..CHUNK_HEADER_BYTES], stored);
        self.number = header.number;
        Ok((header, length))
    }

    /// Reads the chunk in front of `bytes`.
    ///
    /// # Errors
    /// What is wrong with it; reading can go on only behind a chunk that is whole.
    pub fn next(&mut self, bytes: &[u8]) -> Result<Chunk, ChunkError> {
        let before = self.hash;
        let (header, length) = self.peek(bytes)?;
        if header.encrypted && self.key.is_none() {
            return Err(ChunkError::NoKey);
        }
        self.skip(bytes)?;
        let encoded = header.encode();
        let mut stored = bytes[CHUNK_HEADER_BYTES..CHUNK_HEADER_BYTES + header.stored as usize].to_vec();
        if let Some(key) = self.key.as_ref().filter(|_| header.encrypted) {
            let aad = Aad::from(aad(&before, &encoded));
            let opened = key.open_in_place(nonce(header.number), aad, &mut stored);
            let length = opened.map_err(|_| ChunkError::Sealed)?.len();
            stored.truncate(length);
        }
        let plain = if header.compressed {
            zstd::bulk::decompress(&stored, header.plain as usize).map_err(|_| ChunkError::Compression)?
        } else {
            stored
        };
        if plain.len() != header.plain as usize {
            return Err(ChunkError::Compression);
        }
        Ok(Chunk { header, hash: self.hash, plain, first_ns: header.first_ns, file_bytes: length })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::super::{Event, Events};
    use super::*;
    use proptest::prelude::*;
    use zeroize::Zeroizing;

    fn key(dek: u8) -> SessionKey {
        SessionKey::new([1; 16], Zeroizing::new([dek; 32]))
    }

    fn header(encrypted: bool) -> Header {
        Header { session: [1; 16], commitment: key(2).commitment(), encrypted, ..Header::default() }
    }

    /// A file of one chunk per list of texts, and the hash of the last chunk.
    fn file(texts: &[Vec<u8>], encrypted: bool, compress: bool) -> (Vec<u8>, [u8; 32]) {
        let header = header(encrypted);
        let key = encrypted.then(|| key(2));
        let mut writer = Writer::new(&header, key.as_ref()).unwrap();
        let mut compressor = compress.then(|| Compressor::new().unwrap());
        let mut bytes = header.encode().to_vec();
        for (at, text) in texts.iter().enumerate() {
            let mut events = Builder::default();
            assert!(events.push(at as u64 * 10, Event::Started { statement: at as u64 }));
            assert!(events.push(at as u64 * 10 + 1, Event::Bytes(text)));
            let mut out = vec![0xaa; Writer::bytes_max(&events)];
            let length = writer.seal(&events, compressor.as_mut(), &mut out).unwrap();
            bytes.extend_from_slice(&out[..length]);
        }
        (bytes, writer.hash())
    }

    fn texts_of(bytes: &[u8], key: Option<&SessionKey>) -> (Vec<Vec<u8>>, [u8; 32], ChunkError) {
        let page = bytes.first_chunk().unwrap();
        let header = Header::decode(page).unwrap();
        let mut reader = Reader::new(&header, page, key);
        let mut rest = &bytes[HEADER_PAGE_BYTES..];
        let mut texts = Vec::new();
        loop {
            match reader.next(rest) {
                Ok(chunk) => {
                    for (_, event) in Events::new(&chunk.plain, chunk.first_ns).map_while(Result::ok) {
                        if let Event::Bytes(text) = event {
                            texts.push(text.to_vec());
                        }
                    }
                    rest = &rest[chunk.file_bytes..];
                }
                Err(error) => return (texts, reader.hash(), error),
            }
        }
    }

    #[test]
    fn a_changed_byte_ends_the_recording_there() {
        let texts: Vec<Vec<u8>> = (0..3).map(|i| format!("row {i} of a short answer").into_bytes()).collect();
        for encrypted in [true, false] {
            let (good, hash) = file(&texts, encrypted, false);
            let opened = encrypted.then(|| key(2));
            assert_eq!(texts_of(&good, opened.as_ref()), (texts.clone(), hash, ChunkError::End));
            let second = HEADER_PAGE_BYTES + ALIGNMENT;
            for at in second..second + ALIGNMENT {
                let mut changed = good.clone();
                changed[at] ^= 4;
                let (read, found, error) = texts_of(&changed, opened.as_ref());
                assert!(!encrypted || error != ChunkError::End, "byte {at}");
                // Without a key, a change inside of the events is told by the hash in the log only.
                if error == ChunkError::End {
                    assert_ne!(found, hash, "byte {at}");
                } else {
                    assert_eq!(read, texts[..1], "byte {at}");
                }
            }
        }
    }

    #[test]
    fn chunks_of_another_place_or_recording_do_not_open() {
        let texts: Vec<Vec<u8>> = (0..3).map(|i| vec![i; 20]).collect();
        let (good, _) = file(&texts, true, false);
        let chunk = |i: usize| HEADER_PAGE_BYTES + i * ALIGNMENT..HEADER_PAGE_BYTES + (i + 1) * ALIGNMENT;
        let mut swapped = good.clone();
        swapped.copy_within(chunk(2), chunk(1).start);
        assert_eq!(texts_of(&swapped, Some(&key(2))).2, ChunkError::Header);
        let (other, _) = file(&[vec![9; 20], vec![9; 20]], true, false);
        let mut mixed = good;
        mixed[chunk(1)].copy_from_slice(&other[chunk(1)]);
        assert_eq!(texts_of(&mixed, Some(&key(2))).2, ChunkError::Sealed);
        assert_eq!(texts_of(&mixed, Some(&key(3))).2, ChunkError::Sealed);
        assert_eq!(texts_of(&mixed, None).2, ChunkError::NoKey);
    }

    #[test]
    fn nothing_readable_is_stored_encrypted() {
        let secret = b"MRN-1234567 Margarethe".to_vec();
        let (bytes, _) = file(std::slice::from_ref(&secret), true, false);
        assert!(!bytes.windows(11).any(|w| secret.windows(11).any(|s| s == w)));
        let (bytes, _) = file(std::slice::from_ref(&secret), false, false);
        assert!(bytes.windows(secret.len()).any(|w| w == secret));
    }

    #[test]
    fn a_writer_needs_the_key_that_its_header_promises() {
        assert!(Writer::new(&header(true), None).is_err());
        assert!(Writer::new(&header(false), Some(&key(1))).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_hash_is_the_one_of_all_bytes_in_a_row(
            before: [u8; 32], header in proptest::collection::vec(any::<u8>(), 0..80),
            length in prop_oneof![0usize..100, 16_200usize..16_500, 0usize..PLAIN_BYTES_MAX], seed: u8,
        ) {
            let stored: Vec<u8> = (0..length).map(|at| (at >> 8) as u8 ^ at as u8 ^ seed).collect();
            let whole = [&before[..], &header, &stored].concat();
            prop_assert_eq!(chunk_hash(&before, &header, &stored), *blake3::hash(&whole).as_bytes());
        }

        #[test]
        fn recordings_are_read_back(
            texts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..5000), 1..5),
            encrypted: bool, compress: bool, cut: prop::sample::Index,
        ) {
            let (bytes, hash) = file(&texts, encrypted, compress);
            let key = encrypted.then(|| key(2));
            let (read, found, error) = texts_of(&bytes, key.as_ref());
            prop_assert_eq!((&read, found, error), (&texts, hash, ChunkError::End));
            // A file that was cut off anywhere behind its header gives what came before the cut.
            let end = HEADER_PAGE_BYTES + cut.index(bytes.len() - HEADER_PAGE_BYTES);
            let (read, _, _) = texts_of(&bytes[..end], key.as_ref());
            prop_assert!(texts.starts_with(&read));
        }

        #[test]
        fn any_bytes_may_be_read(tail in proptest::collection::vec(any::<u8>(), 0..600), flags in 0u16..4, stored in 0u32..600) {
            let head = ChunkHeader { number: 1, compressed: flags & 1 != 0, stored, plain: stored * 3, ..ChunkHeader::default() };
            let mut bytes = header(false).encode().to_vec();
            bytes.extend_from_slice(&head.encode());
            bytes.extend_from_slice(&tail);
            bytes.resize(HEADER_PAGE_BYTES + file_bytes(stored as usize), 0);
            let _ = crate::fuzzing::read_recording(&bytes);
        }
    }
}
