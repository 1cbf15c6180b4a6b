//! A recording's file, checked against what the log commits to, then read chunk by chunk.
//!
//! Invariant: a chunk is called committed only if the chain of hashes up to a REC_SEG of the log contains it.

use crate::log::{Segment, SessionLog};
use sealing::SessionKey;
use sealing::recording::{
    CHUNK_HEADER_BYTES, Chunk, ChunkError, FOLDER, HEADER_PAGE_BYTES, Header, HeaderError, Reader, day, file_bytes,
    file_name,
};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

const DAY_NS: u64 = 86_400_000_000_000;
/// Most bytes that a chunk takes in the file.
const CHUNK_BYTES_MAX: usize = file_bytes(sealing::recording::PLAIN_BYTES_MAX + 64);

/// Why a recording cannot be read at all.
#[derive(Debug)]
pub enum RecordingError {
    /// The session was not recorded.
    NotRecorded,
    /// The log speaks of it, and there is no file.
    Missing(PathBuf),
    /// There is no file, and the log speaks of none: nothing was sent, or it was lost in a crash.
    Nothing,
    /// The file system failed.
    Io(PathBuf, io::Error),
    /// The first page is not one of a recording.
    Header(PathBuf, HeaderError),
    /// It is the recording of another session, or of another key.
    Other(PathBuf),
}

impl fmt::Display for RecordingError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRecorded => f.write_str("the answers of this session were not recorded"),
            Self::Missing(path) => {
                write!(f, "{}: the log commits to this recording, and it is missing", path.display())
            }
            Self::Nothing => f.write_str("there is no recording, and the log does not speak of one"),
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Header(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Other(path) => write!(f, "{}: not the recording of this session", path.display()),
        }
    }
}

impl std::error::Error for RecordingError {}

/// A range of chunks that is not what the log commits to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// First chunk that may be wrong.
    pub from: u64,
    /// Last one.
    pub to: u64,
    /// Byte in the file from which on it could not be followed, or of its beginning.
    pub position: u64,
    /// What was found.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chunks {} to {}, at byte {}: {}", self.from, self.to, self.position, self.what)
    }
}

/// What stands next in a recording.
#[derive(Debug)]
pub enum Piece {
    /// A chunk, and whether the log commits to it.
    Chunk(Chunk, bool),
    /// Chunks that cannot be read; what follows, if anything, does not join what was before.
    Gap(Damage),
}

/// A recording.
#[derive(Debug)]
pub struct Recording {
    /// Its first page.
    pub header: Header,
    /// What is wrong with it, in order.
    pub damage: Vec<Damage>,
    /// Chunks that the log does not commit to, behind those it does.
    pub uncommitted: u64,
    /// Why it ended, as the log says; empty if it does not.
    pub end: String,
    /// Its file.
    pub path: PathBuf,
    file: File,
    page: Box<[u8; HEADER_PAGE_BYTES]>,
    segments: Vec<Segment>,
    reader: Reader,
    position: u64,
    over: bool,
}

impl Recording {
    /// Finds the recording of a session and checks its hashes.
    ///
    /// # Errors
    /// There is none, or it is not one.
    pub fn open(directory: &Path, session: &SessionLog, key: Option<&SessionKey>) -> Result<Self, RecordingError> {
        if session.recording.is_empty() {
            return Err(RecordingError::NotRecorded);
        }
        let (path, file) = find(directory, session)?;
        let failed = |error| RecordingError::Io(path.clone(), error);
        let mut page = Box::new([0; HEADER_PAGE_BYTES]);
        file.read_exact_at(&mut page[..], 0).map_err(failed)?;
        let header = Header::decode(&page).map_err(|error| RecordingError::Header(path.clone(), error))?;
        if header.session != session.id.0 || header.commitment != session.commitment || header.core != session.core {
            return Err(RecordingError::Other(path));
        }
        let mut segments: Vec<Segment> = session.segments.iter().filter(|s| s.chunks > 0).cloned().collect();
        segments.dedup_by_key(|segment| segment.chunks);
        let reader = Reader::new(&header, &page, key);
        let end = session.segments.last().map(|segment| segment.reason.clone()).unwrap_or_default();
        let mut recording = Self {
            header,
            damage: Vec::new(),
            uncommitted: 0,
            end,
            file,
            page,
            segments,
            reader,
            position: HEADER_PAGE_BYTES as u64,
            over: false,
            path: path.clone(),
        };
        recording.check().map_err(failed)?;
        Ok(recording)
    }

    /// Bytes at a place, as many as a chunk can have and the file still has.
    fn read(&self, position: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        buffer.resize(CHUNK_HEADER_BYTES, 0);
        let mut length = read_at(&self.file, buffer, position)?;
        buffer.truncate(length);
        let stored = buffer.get(16..20).and_then(|b| b.first_chunk::<4>()).map_or(0, |b| u32::from_le_bytes(*b));
        let wanted = file_bytes(stored as usize).min(CHUNK_BYTES_MAX);
        if length == CHUNK_HEADER_BYTES && wanted > length {
            buffer.resize(wanted, 0);
            length += read_at(&self.file, &mut buffer[CHUNK_HEADER_BYTES..], position + CHUNK_HEADER_BYTES as u64)?;
            buffer.truncate(length);
        }
        Ok(())
    }

    /// Follows the hashes from beginning to end.
    fn check(&mut self) -> io::Result<()> {
        let mut reader = Reader::new(&self.header, &self.page, None);
        let mut position = HEADER_PAGE_BYTES as u64;
        let mut buffer = Vec::new();
        for index in 0..self.segments.len() {
            let segment = self.segments[index].clone();
            let (from, began) = (reader.chunks() + 1, position);
            let mut wrong = None;
            while reader.chunks() < segment.chunks {
                self.read(position, &mut buffer)?;
                match reader.skip(&buffer) {
                    Ok((_, bytes)) => position += bytes as u64,
                    Err(error) => {
                        wrong = Some(said(error));
                        break;
                    }
                }
            }
            if wrong.is_none() && (position != segment.bytes || reader.hash() != segment.hash) {
                wrong = Some("they do not have the hash that the log commits to".to_owned());
                position = began;
            }
            if let Some(what) = wrong {
                self.damage.push(Damage { from, to: segment.chunks, position, what });
                // What follows is joined to what the log says, so it can still be checked.
                reader = Reader::resume(&self.header, segment.chunks, segment.hash, None);
                position = segment.bytes;
            }
        }
        let committed = reader.chunks();
        loop {
            self.read(position, &mut buffer)?;
            match reader.skip(&buffer) {
                Ok((_, bytes)) => position += bytes as u64,
                Err(_) => break,
            }
        }
        self.uncommitted = reader.chunks() - committed;
        if self.uncommitted > 0 && !self.end.is_empty() {
            let (from, to) = (committed + 1, reader.chunks());
            let what = "chunks behind the end that the log states".to_owned();
            self.damage.push(Damage { from, to, position, what });
        }
        Ok(())
    }

    /// The next piece; `None` at the end.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn next(&mut self, key: Option<&SessionKey>) -> io::Result<Option<Piece>> {
        if self.over {
            return Ok(None);
        }
        let mut buffer = Vec::new();
        self.read(self.position, &mut buffer)?;
        let number = self.reader.chunks() + 1;
        let segment = self.segments.iter().find(|segment| number <= segment.chunks).cloned();
        match self.reader.next(&buffer) {
            Ok(chunk) => {
                self.position += chunk.file_bytes as u64;
                let sound = |damage: &Damage| !(damage.from..=damage.to).contains(&number);
                let committed = segment.is_some() && self.damage.iter().all(sound);
                Ok(Some(Piece::Chunk(chunk, committed)))
            }
            Err(ChunkError::End) if segment.is_none() => {
                self.over = true;
                Ok(None)
            }
            Err(error) => {
                let position = self.position;
                let to = match &segment {
                    Some(segment) => {
                        self.reader = Reader::resume(&self.header, segment.chunks, segment.hash, key);
                        self.position = segment.bytes;
                        segment.chunks
                    }
                    None => {
                        self.over = true;
                        number
                    }
                };
                Ok(Some(Piece::Gap(Damage { from: number, to, position, what: said(error) })))
            }
        }
    }
}

fn said(error: ChunkError) -> String {
    match error {
        ChunkError::End | ChunkError::Cut => "the file ends before".to_owned(),
        other => other.to_string(),
    }
}

fn read_at(file: &File, buffer: &mut [u8], position: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match file.read_at(&mut buffer[read..], position + read as u64) {
            Ok(0) => break,
            Ok(n) => read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

/// The file's day is that of its own clock reading, which is a moment before the log's.
fn find(directory: &Path, session: &SessionLog) -> Result<(PathBuf, File), RecordingError> {
    let folder = directory.join(FOLDER);
    let name = file_name(&session.id.0);
    let path = |at: u64| folder.join(day(at)).join(&name);
    let usual = path(session.opened_ns);
    for at in [session.opened_ns, session.opened_ns.saturating_sub(DAY_NS), session.opened_ns + DAY_NS] {
        match File::open(path(at)) {
            Ok(file) => return Ok((path(at), file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(RecordingError::Io(path(at), error)),
        }
    }
    let committed = session.segments.iter().any(|segment| segment.chunks > 0);
    Err(if committed { RecordingError::Missing(usual) } else { RecordingError::Nothing })
}
