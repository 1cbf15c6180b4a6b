//! Reads the headers of one core's blocks, each once, in order.
//!
//! A header is taken only when its block is durable: the gateway says up to where, or, for a core that nobody speaks for,
//! the whole block is checked and its file synced first. It must continue the one before it, so that what is taken is the
//! log that a verifier would accept. Nothing is written.

use crate::error::Error;
use audit::{
    BlockHeader,
    block::{ALIGN_BYTES, HEADER_BYTES, decode_block, header_hash},
    segment::{HEADER_PAGE_BYTES, core_directory, segment_name, segments_of},
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

/// Headers of small blocks are read so many bytes of the file at a time.
const READ_BYTES_MAX: usize = 64 << 10;

/// Is shown whole blocks.
pub(crate) type Look<'a> = &'a mut dyn FnMut(&[u8]);

/// A header as it stands on the disk.
pub(crate) type Header = [u8; HEADER_BYTES];

/// The cores that have a folder in one of these directories, ascending.
pub(crate) fn cores(roots: &[PathBuf]) -> Result<Vec<u16>, Error> {
    let mut found = Vec::new();
    for root in roots {
        for entry in listing(root)? {
            let core: Option<u16> =
                entry.to_str().and_then(|name| name.strip_prefix("core-")).and_then(|core| core.parse().ok());
            found.extend(core);
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn listing(folder: &Path) -> Result<Vec<std::ffi::OsString>, Error> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(Error::at(folder))?,
    };
    entries.map(|entry| entry.map(|e| e.file_name())).collect::<Result<_, _>>().map_err(Error::at(folder))
}

/// A core's segments by the number of their first block, ascending; of two with one number the log goes on in the second.
pub(crate) fn segments(folders: &[PathBuf]) -> Result<Vec<(u64, PathBuf)>, Error> {
    let place = folders.first().map(PathBuf::as_path).unwrap_or_else(|| Path::new("."));
    segments_of(folders.iter().cloned()).map_err(Error::at(place))
}

/// Segments that are looked at for one block: both directories may hold a copy, and hold it again where a disk keeps
/// failing.
const COPIES: usize = 4;

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    position: u64,
    /// The file was synced up to this many of its blocks.
    synced: bool,
    /// Bytes of the file that were read together, and where they begin.
    read: (u64, Vec<u8>),
    /// The last block was so long that few such are read at a time.
    large: bool,
}

impl Open {
    const fn new(path: PathBuf, file: File, position: u64) -> Self {
        Self { path, file, position, synced: false, read: (0, Vec::new()), large: false }
    }

    /// The 256 bytes at the position; `None` at the end of the file. From there on at least `durable` bytes are durable
    /// until the round ends, and may be read at once.
    fn header(&mut self, durable: u64) -> io::Result<Option<Header>> {
        if let Some(header) = self.held(0) {
            return Ok(Some(header));
        }
        let (start, bytes) = &mut self.read;
        if durable < 2 * ALIGN_BYTES as u64 {
            return read_header(&self.file, self.position);
        }
        bytes.resize(usize::try_from(durable).map_or(READ_BYTES_MAX, |durable| durable.min(READ_BYTES_MAX)), 0);
        *start = self.position;
        let filled = self.file.read_at(bytes, self.position).unwrap_or(0);
        bytes.truncate(filled);
        match bytes.first_chunk().copied() {
            Some(header) => Ok(Some(header)),
            // What cannot be read together may be read alone, or says why not.
            None => read_header(&self.file, self.position),
        }
    }

    /// 256 bytes so far behind the position, if they were read already.
    fn held(&self, behind: usize) -> Option<Header> {
        let (start, bytes) = &self.read;
        let place = usize::try_from(self.position.checked_sub(*start)?).ok()?;
        bytes.get(place + behind..)?.first_chunk().copied()
    }

    /// What was read is looked at no more: what comes next may not have been there.
    fn forget(&mut self) {
        self.synced = false;
        self.read.1.clear();
    }
}

/// Opens a segment that may be written meanwhile.
fn open(path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(Error::at(path))?;
    // Pages that the kernel read ahead of the last block would be in the way of the next one, which goes past the page cache
    // and would have to drop them first. A file system that takes no advice reads as it likes.
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random);
    Ok(file)
}

/// Where reading of a core's log has come to.
#[derive(Debug)]
pub(crate) struct CoreReader {
    core: u16,
    folders: Vec<PathBuf>,
    next: u64,
    previous: [u8; 32],
    open: Option<Open>,
    /// The block that was read whole last.
    block: Vec<u8>,
}

impl CoreReader {
    /// From the beginning of the core's log.
    pub(crate) fn new(roots: &[PathBuf], core: u16) -> Self {
        let folders = roots.iter().map(|root| core_directory(root, core)).collect();
        Self { core, folders, next: 0, previous: [0; 32], open: None, block: Vec::new() }
    }

    /// Blocks taken so far.
    pub(crate) const fn next_block(&self) -> u64 {
        self.next
    }

    /// Takes a header that was read elsewhere.
    ///
    /// # Errors
    /// It does not continue this core's log.
    pub(crate) fn follow(&mut self, bytes: &Header) -> Result<(), String> {
        let header = BlockHeader::decode(bytes).map_err(|e| e.to_string())?;
        if !self.continues(&header) {
            return Err(format!(
                "block {} of core {} does not follow block {}",
                header.block_seq, self.core, self.next
            ));
        }
        self.next += 1;
        self.previous = header_hash(bytes);
        Ok(())
    }

    const fn is_mine(&self, header: &BlockHeader) -> bool {
        header.core == self.core && header.block_seq == self.next
    }

    fn continues(&self, header: &BlockHeader) -> bool {
        self.is_mine(header) && header.previous == self.previous
    }

    /// Checks that the log still holds the last block that was taken, and goes on behind it.
    pub(crate) fn locate(&mut self) -> Result<(), Error> {
        let Some(last) = self.next.checked_sub(1) else { return Ok(()) };
        let core = self.core;
        let gone = |what: &str| {
            Error::Disagree(format!(
                "the tree holds block {last} of core {core}, {what}: the audit directory was rolled back or damaged"
            ))
        };
        let all = segments(&self.folders)?;
        let mut found = false;
        for (_, path) in all.into_iter().rev().filter(|(first, _)| *first <= last).take(COPIES) {
            let file = open(&path)?;
            let Some((position, bytes, header)) = stands(&file, last).map_err(Error::at(&path))? else { continue };
            found = true;
            if header_hash(&bytes) == self.previous {
                let position = position + header.block_bytes() as u64;
                self.open = Some(Open::new(path, file, position));
                return Ok(());
            }
        }
        Err(gone(if found { "but the log has another block in its place" } else { "which the log does not hold" }))
    }

    /// The next header, if its block is durable. `limit` is the number of the first block that is not; without one, the
    /// block itself is looked at. Whole blocks are given to `look` where that is wanted.
    pub(crate) fn take(&mut self, limit: Option<u64>, look: Option<Look<'_>>) -> Result<Option<Header>, Error> {
        if limit.is_some_and(|limit| self.next >= limit) {
            return Ok(None);
        }
        // Every block is at least so long.
        let durable = limit.map_or(0, |limit| limit.saturating_sub(self.next).saturating_mul(ALIGN_BYTES as u64));
        let Some((bytes, header)) = self.peek(limit.is_none() || look.is_some(), durable)? else {
            if limit.is_some() {
                let (core, next) = (self.core, self.next);
                return Err(Error::Disagree(format!("block {next} of core {core} is durable, but not in the log")));
            }
            return Ok(None);
        };
        let Some(open) = &mut self.open else { return Ok(None) };
        if limit.is_none() && !open.synced {
            // What was read may so far be in the page cache alone.
            open.file.sync_data().map_err(Error::at(&open.path))?;
            open.synced = true;
        }
        if let Some(look) = look {
            look(&self.block);
        }
        open.position += header.block_bytes() as u64;
        open.large = header.block_bytes() > READ_BYTES_MAX / 4;
        self.next += 1;
        self.previous = header_hash(&bytes);
        Ok(Some(bytes))
    }

    /// To be called before each round: what was synced then says nothing about what came since.
    pub(crate) fn new_round(&mut self) {
        if let Some(open) = &mut self.open {
            open.forget();
        }
    }

    /// The next header, durable or not: in the file that is open, in the one that begins with it, or, where a disk failed
    /// and a block was written again, behind that copy. A `whole` block is read and must hold. So many bytes are durable
    /// from the next block on.
    fn peek(&mut self, whole: bool, durable: u64) -> Result<Option<(Header, BlockHeader)>, Error> {
        let next = self.next;
        let begins = || {
            let name = segment_name(next);
            self.folders.iter().any(|folder| folder.join(&name).is_file())
        };
        // What begins another segment was written again there, and what stands here may be cut off, or never acknowledged.
        // That is so of the last block of a segment alone: behind a failure nothing more is written to it.
        let other = !self.is_followed() && begins();
        if !other && let Some(found) = self.here(whole, durable)? {
            return Ok(Some(found));
        }
        let candidates = segments(&self.folders)?.into_iter().rev().filter(|(first, _)| *first <= next).take(COPIES);
        for (_, path) in candidates {
            if self.open.as_ref().is_some_and(|open| open.path == path) {
                continue;
            }
            let file = open(&path)?;
            let Some((position, ..)) = stands(&file, next).map_err(Error::at(&path))? else { continue };
            let before = self.open.replace(Open::new(path, file, position));
            match self.here(whole, durable)? {
                Some(found) => return Ok(Some(found)),
                None => self.open = before,
            }
        }
        self.here(whole, durable)
    }

    /// Whether the next block and one that continues it are among the bytes that were read already.
    fn is_followed(&self) -> bool {
        let Some(open) = &self.open else { return false };
        let Some((bytes, header)) = open.held(0).and_then(|bytes| Some((bytes, BlockHeader::decode(&bytes).ok()?)))
        else {
            return false;
        };
        let after = open.held(header.block_bytes()).and_then(|bytes| BlockHeader::decode(&bytes).ok());
        let follows = |after: BlockHeader| {
            let numbers = (after.core, after.epoch, after.block_seq) == (header.core, header.epoch, self.next + 1);
            numbers && after.previous == header_hash(&bytes)
        };
        self.continues(&header) && after.is_some_and(follows)
    }

    /// The next header, if it stands where the open file is read.
    fn here(&mut self, whole: bool, durable: u64) -> Result<Option<(Header, BlockHeader)>, Error> {
        let Some(open) = &mut self.open else { return Ok(None) };
        // Of large blocks each header is read alone.
        let durable = if open.large { 0 } else { durable };
        let bytes = open.header(durable).map_err(Error::at(&open.path))?;
        let found = bytes.and_then(|bytes| Some((bytes, BlockHeader::decode(&bytes).ok()?)));
        let Some((bytes, header)) = found.filter(|(_, header)| self.is_mine(header)) else { return Ok(None) };
        let Some(open) = &self.open else { return Ok(None) };
        if whole {
            self.block.resize(header.block_bytes(), 0);
            match open.file.read_exact_at(&mut self.block, open.position) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                outcome => outcome.map_err(Error::at(&open.path))?,
            }
            if decode_block(&self.block).is_err() {
                return Ok(None);
            }
        }
        if self.continues(&header) {
            return Ok(Some((bytes, header)));
        }
        let (core, next) = (self.core, self.next);
        Err(Error::Disagree(format!("block {next} of core {core} does not carry the hash of the block before it")))
    }
}

/// Where a block stands in a segment, by the headers before it.
fn stands(file: &File, block: u64) -> io::Result<Option<(u64, Header, BlockHeader)>> {
    let mut position = HEADER_PAGE_BYTES;
    while let Some(bytes) = read_header(file, position)?
        && let Ok(header) = BlockHeader::decode(&bytes)
    {
        if header.block_seq == block {
            return Ok(Some((position, bytes, header)));
        }
        position += header.block_bytes() as u64;
    }
    Ok(None)
}

/// 256 bytes, or nothing at the end of the file.
fn read_header(file: &File, position: u64) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER_BYTES];
    match file.read_exact_at(&mut bytes, position) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        outcome => outcome.map(|()| Some(bytes)),
    }
}
