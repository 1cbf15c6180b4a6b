//! Reads the headers of one core's blocks, each once, in order.
//!
//! A header is taken only when its block is durable: the gateway says up to where, or, for a core that nobody speaks for,
//! the whole block is checked and its file synced first. It must continue the one before it, so that what is taken is the
//! log that a verifier would accept. Nothing is written.

use crate::error::Error;
use audit::{
    BlockHeader,
    block::{HEADER_BYTES, decode_block, header_hash},
    segment::{HEADER_PAGE_BYTES, core_directory},
};
use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

const EXTENSION: &str = "tgseg";

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

/// A core's segments by the number of their first block, ascending.
pub(crate) fn segments(folders: &[PathBuf]) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut found = Vec::new();
    for folder in folders {
        for name in listing(folder)? {
            let path = folder.join(name);
            let stem = path.file_stem().and_then(|s| s.to_str()).filter(|s| s.len() == 16);
            let first = stem.and_then(|stem| u64::from_str_radix(stem, 16).ok());
            if path.extension().is_some_and(|e| e == EXTENSION)
                && let Some(first) = first
            {
                found.push((first, path));
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[derive(Debug)]
struct Open {
    path: PathBuf,
    file: File,
    position: u64,
    /// The file was synced up to this many of its blocks.
    synced: bool,
}

/// Where reading of a core's log has come to.
#[derive(Debug)]
pub(crate) struct CoreReader {
    core: u16,
    folders: Vec<PathBuf>,
    next: u64,
    previous: [u8; 32],
    open: Option<Open>,
}

impl CoreReader {
    /// From the beginning of the core's log.
    pub(crate) fn new(roots: &[PathBuf], core: u16) -> Self {
        let folders = roots.iter().map(|root| core_directory(root, core)).collect();
        Self { core, folders, next: 0, previous: [0; 32], open: None }
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
        let Some((_, path)) = all.into_iter().rev().find(|(first, _)| *first <= last) else {
            return Err(gone("which the log does not hold"));
        };
        let file = File::open(&path).map_err(Error::at(&path))?;
        let mut position = HEADER_PAGE_BYTES;
        loop {
            let bytes = read_header(&file, position).map_err(Error::at(&path))?;
            let Some((bytes, header)) = bytes.and_then(|b| Some((b, BlockHeader::decode(&b).ok()?))) else {
                return Err(gone("which the log does not hold"));
            };
            position += header.block_bytes() as u64;
            if header.block_seq == last {
                if header_hash(&bytes) != self.previous {
                    return Err(gone("but the log has another block in its place"));
                }
                self.open = Some(Open { path, file, position, synced: false });
                return Ok(());
            }
        }
    }

    /// The next header, if its block is durable. `limit` is the number of the first block that is not; without one, the
    /// block itself is looked at. Whole blocks are given to `look` where that is wanted.
    pub(crate) fn take(&mut self, limit: Option<u64>, look: Option<Look<'_>>) -> Result<Option<Header>, Error> {
        if limit.is_some_and(|limit| self.next >= limit) {
            return Ok(None);
        }
        let Some((bytes, header)) = self.peek()? else {
            if limit.is_some() {
                let (core, next) = (self.core, self.next);
                return Err(Error::Disagree(format!("block {next} of core {core} is durable, but not in the log")));
            }
            return Ok(None);
        };
        let Some(open) = &mut self.open else { return Ok(None) };
        if limit.is_none() || look.is_some() {
            let mut block = vec![0; header.block_bytes()];
            match open.file.read_exact_at(&mut block, open.position) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
                outcome => outcome.map_err(Error::at(&open.path))?,
            }
            if decode_block(&block).is_err() {
                return Ok(None);
            }
            if limit.is_none() && !open.synced {
                // What was read may so far be in the page cache alone.
                open.file.sync_data().map_err(Error::at(&open.path))?;
                open.synced = true;
            }
            if let Some(look) = look {
                look(&block);
            }
        }
        open.position += header.block_bytes() as u64;
        self.next += 1;
        self.previous = header_hash(&bytes);
        Ok(Some(bytes))
    }

    /// To be called before each round: what was synced then says nothing about what came since.
    pub(crate) const fn new_round(&mut self) {
        if let Some(open) = &mut self.open {
            open.synced = false;
        }
    }

    /// The next header, durable or not, in the file that is open or the one that follows it.
    fn peek(&mut self) -> Result<Option<(Header, BlockHeader)>, Error> {
        for _ in 0..2 {
            if let Some(open) = &self.open {
                let bytes = read_header(&open.file, open.position).map_err(Error::at(&open.path))?;
                let found = bytes.and_then(|bytes| Some((bytes, BlockHeader::decode(&bytes).ok()?)));
                if let Some((bytes, header)) = found.filter(|(_, header)| self.is_mine(header)) {
                    if self.continues(&header) {
                        return Ok(Some((bytes, header)));
                    }
                    let (core, next) = (self.core, self.next);
                    return Err(Error::Disagree(format!(
                        "block {next} of core {core} does not carry the hash of the block before it"
                    )));
                }
            }
            let name = audit::segment::segment_name(self.next);
            let Some(path) = self.folders.iter().map(|f| f.join(&name)).find(|path| path.is_file()) else {
                return Ok(None);
            };
            if self.open.as_ref().is_some_and(|open| open.path == path) {
                return Ok(None);
            }
            let file = File::open(&path).map_err(Error::at(&path))?;
            self.open = Some(Open { path, file, position: HEADER_PAGE_BYTES, synced: false });
        }
        Ok(None)
    }
}

/// 256 bytes, or nothing at the end of the file.
fn read_header(file: &File, position: u64) -> io::Result<Option<Header>> {
    let mut bytes = [0; HEADER_BYTES];
    match file.read_exact_at(&mut bytes, position) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        outcome => outcome.map(|()| Some(bytes)),
    }
}
