//! Segment files: names, header pages, and what stands at a position, read through a window.
//!
//! Invariants: files are only read; memory is one window ([`WINDOW`] bytes) or one block, whichever is longer. A file
//! that grows while it is read is read as far as it went when it was opened.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::block::{Block, Fault, HEADER, Header, PAGE, take};
use crate::merkle::Frontier;

/// Bytes read at a time.
pub(crate) const WINDOW: usize = 1 << 20;
/// Link to the directory that is written while the disk of this one fails.
const SPARE: &str = "spare";
/// Where a segment's first block stands.
pub(crate) const FIRST: u64 = PAGE as u64;

/// A header page's fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// Node.
    pub(crate) node: [u8; 16],
    /// Core.
    pub(crate) core: u16,
    /// Cores that write in this epoch.
    pub(crate) cores: u16,
    /// Epoch.
    pub(crate) epoch: u32,
    /// Nonce of the epoch.
    pub(crate) nonce: [u8; 16],
    /// Size of the file, bytes.
    pub(crate) size: u64,
}

impl Page {
    /// Checks a header page: `None` if any byte is not what it must be.
    #[must_use]
    pub(crate) fn parse(bytes: &[u8; PAGE]) -> Option<Self> {
        let sum = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&bytes[..12]), &[0; 4]), &bytes[16..]);
        let known = bytes.starts_with(b"TGAUDSG1\x01\0\0\0") && take(bytes, 12) == sum.to_le_bytes();
        let empty = bytes[64..].iter().all(|&byte| byte == 0);
        (known && empty).then(|| Self {
            node: take(bytes, 16),
            core: u16::from_le_bytes(take(bytes, 32)),
            cores: u16::from_le_bytes(take(bytes, 34)),
            epoch: u32::from_le_bytes(take(bytes, 36)),
            nonce: take(bytes, 40),
            size: u64::from_le_bytes(take(bytes, 56)),
        })
    }
}

/// Folder of a core.
#[must_use]
pub(crate) fn folder(directory: &Path, core: u16) -> PathBuf {
    directory.join(format!("core-{core:02}"))
}

/// Folder of a core in the spare directory.
#[must_use]
pub(crate) fn spare_folder(directory: &Path, core: u16) -> PathBuf {
    folder(&directory.join(SPARE), core)
}

/// The cores with a folder, here or in the spare directory, ascending.
///
/// # Errors
/// The directory cannot be read.
pub(crate) fn cores(directory: &Path) -> io::Result<Vec<u16>> {
    let mut found = Vec::new();
    let spare = directory.join(SPARE);
    for place in [Some(directory), Some(spare.as_path()).filter(|spare| spare.is_dir())].into_iter().flatten() {
        for entry in fs::read_dir(place)? {
            let name = entry?.file_name();
            let Some(number) = name.to_str().and_then(|name| name.strip_prefix("core-")) else { continue };
            if let Ok(core) = number.parse::<u16>()
                && folder(directory, core).file_name() == Some(&name)
            {
                found.push(core);
            }
        }
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// A core's segments, ascending: number of the first block by name, and path. Those in the spare directory, which is on
/// another disk and linked as `spare`, are among them.
///
/// Of two with one number, the one with fewer blocks is what a failing disk left; it comes first, or not at all when it
/// holds no block. With one block in each, the second is the one in which a write was begun behind it: a segment whose
/// first block failed is written no more.
///
/// # Errors
/// A folder cannot be read, or a segment's name is not one.
pub(crate) fn segments(folder: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    list(folder, &mut found)?;
    if let (Some(directory), Some(name)) = (folder.parent(), folder.file_name()) {
        list(&directory.join(SPARE).join(name), &mut found)?;
    }
    found.sort_unstable();
    let twice = |at: usize| {
        let same = |other: Option<&(u64, PathBuf)>| other.is_some_and(|(first, _)| *first == found[at].0);
        same(at.checked_sub(1).and_then(|before| found.get(before))) || same(found.get(at + 1))
    };
    let mut ordered = Vec::with_capacity(found.len());
    for (at, (first, path)) in found.iter().enumerate() {
        let blocks = if twice(at) { first_blocks(path)? } else { 1 };
        ordered.push((*first, blocks, path.clone()));
    }
    // Both have one block. Looking for a cut-off write means reading all of a file, so only then.
    let mut lone: HashMap<u64, usize> = HashMap::new();
    for (first, ..) in ordered.iter().filter(|(_, blocks, _)| *blocks == 1) {
        *lone.entry(*first).or_default() += 1;
    }
    let is_tie = |at: &usize| ordered[*at].1 == 1 && lone[&ordered[*at].0] > 1;
    let ties: Vec<usize> = (0..ordered.len()).filter(is_tie).collect();
    for at in ties {
        if begun_behind_first(&ordered[at].2)? {
            ordered[at].1 = 2;
        }
    }
    ordered.sort_unstable();
    let empty = |at: usize| ordered[at].1 == 0 && ordered.get(at + 1).is_some_and(|next| next.0 == ordered[at].0);
    let kept: Vec<bool> = (0..ordered.len()).map(|at| !empty(at)).collect();
    Ok(ordered.into_iter().zip(kept).filter(|(_, keep)| *keep).map(|((first, _, path), _)| (first, path)).collect())
}

/// Good blocks at a segment's beginning, counted up to two.
fn first_blocks(path: &Path) -> io::Result<u8> {
    let mut segment = Segment::open(path)?;
    let mut position = FIRST;
    for blocks in 0..2 {
        let Place::Block(header) = segment.place(position)? else { return Ok(blocks) };
        position += header.size() as u64;
    }
    Ok(2)
}

/// Does a segment hold bytes other than zero behind its first block?
fn begun_behind_first(path: &Path) -> io::Result<bool> {
    let mut segment = Segment::open(path)?;
    match segment.place(FIRST)? {
        Place::Block(header) => {
            let end = FIRST + header.size() as u64;
            Ok(segment.data_end(end)? > end)
        }
        Place::Zeros | Place::Bad { .. } | Place::End => Ok(false),
    }
}

fn list(folder: &Path, found: &mut Vec<(u64, PathBuf)>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "tgseg") {
            continue;
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        match u64::from_str_radix(stem, 16) {
            Ok(first) if format!("{first:016x}") == stem => found.push((first, path)),
            _ => return Err(io::Error::other(format!("{} is not named like a segment", path.display()))),
        }
    }
    Ok(())
}

/// What stands at a position.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Place {
    /// A good block.
    Block(Header),
    /// A page of zeros.
    Zeros,
    /// Neither; `torn`: a whole sector of it is zeros, as an unfinished write leaves.
    Bad {
        /// What is wrong.
        fault: Fault,
        /// It can be a write that a crash cut off.
        torn: bool,
    },
    /// The file has no page here.
    End,
}

/// An open segment.
#[derive(Debug)]
pub(crate) struct Segment {
    file: File,
    /// Size of the file when it was opened.
    pub(crate) size: u64,
    /// Header page, if it holds.
    pub(crate) page: Option<Page>,
    window: Vec<u8>,
    from: u64,
    tree: Frontier,
}

impl Segment {
    /// Opens a segment and reads its header page.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = open(path)?;
        let size = file.metadata()?.len();
        let mut segment = Self { file, size, page: None, window: Vec::new(), from: 0, tree: Frontier::default() };
        segment.page = segment.bytes(0, PAGE)?.first_chunk().and_then(Page::parse);
        Ok(segment)
    }

    /// Up to `length` bytes from a position on; fewer only at the end of the file.
    fn bytes(&mut self, position: u64, length: usize) -> io::Result<&[u8]> {
        let length = length.min(usize::try_from(self.size.saturating_sub(position)).unwrap_or(usize::MAX));
        let have = self.from + self.window.len() as u64;
        if position < self.from || position + length as u64 > have {
            let left = usize::try_from(self.size - position.min(self.size)).unwrap_or(usize::MAX);
            self.window.resize(length.max(WINDOW).min(left), 0);
            self.from = position;
            if let Err(error) = self.file.read_exact_at(&mut self.window, position) {
                self.window.clear();
                return Err(error);
            }
        }
        let at = (position - self.from) as usize;
        Ok(self.window.get(at..at + length).unwrap_or_default())
    }

    /// Forgets what was read, so that it is read again.
    pub(crate) fn refresh(&mut self) {
        self.window.clear();
    }

    /// Checks what stands at a position.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn place(&mut self, position: u64) -> io::Result<Place> {
        if position >= self.size {
            return Ok(Place::End);
        }
        let page = self.bytes(position, PAGE)?;
        if page.iter().all(|&byte| byte == 0) {
            return Ok(Place::Zeros);
        }
        let short = page.len() < PAGE;
        let header = match page.first_chunk::<HEADER>().ok_or(Fault::Cut).and_then(Header::parse) {
            Ok(header) => header,
            Err(fault) => return Ok(Place::Bad { fault, torn: short || has_empty_sector(page) }),
        };
        let mut tree = std::mem::take(&mut self.tree);
        let bytes = self.bytes(position, header.size())?;
        let outcome = Block::parse(bytes, &mut tree).map(|_| ());
        let written = (HEADER + header.payload as usize).min(bytes.len());
        let torn = outcome.is_err() && (bytes.len() < header.size() || has_empty_sector(&bytes[..written]));
        self.tree = tree;
        Ok(match outcome {
            Ok(()) => Place::Block(header),
            Err(fault) => Place::Bad { fault, torn },
        })
    }

    /// Header at a position, without a look at the records; `None` if there is none.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn header(&mut self, position: u64) -> io::Result<Option<(Header, [u8; HEADER])>> {
        let mut head = [0; HEADER];
        if position + HEADER as u64 > self.size {
            return Ok(None);
        }
        self.file.read_exact_at(&mut head, position)?;
        Ok(Header::parse(&head).ok().map(|header| (header, head)))
    }

    /// The good block that [`Segment::place`] found at this position.
    ///
    /// # Errors
    /// The file system's, or the block has changed since.
    pub(crate) fn block(&mut self, position: u64, header: &Header) -> io::Result<BlockBytes<'_>> {
        let bytes = self.bytes(position, header.size())?;
        let (head, rest) = bytes.split_first_chunk().ok_or(io::ErrorKind::UnexpectedEof)?;
        let payload = rest.get(..header.payload as usize).ok_or(io::ErrorKind::UnexpectedEof)?;
        Ok(BlockBytes { head, payload })
    }

    /// End of the last byte from a position on that is not zero.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn data_end(&mut self, position: u64) -> io::Result<u64> {
        let (mut at, mut end) = (position, position);
        while at < self.size {
            let piece = self.bytes(at, WINDOW)?;
            if let Some(last) = piece.iter().rposition(|&byte| byte != 0) {
                end = at + last as u64 + 1;
            }
            at += piece.len() as u64;
        }
        Ok(end)
    }

    /// The first good block of this segment's epoch from a position on.
    ///
    /// # Errors
    /// The file system's.
    pub(crate) fn next_block(&mut self, position: u64) -> io::Result<Option<u64>> {
        let mut at = position;
        loop {
            match self.place(at)? {
                Place::End => return Ok(None),
                // A nonce that nothing outside the log knows keeps a statement's text from posing as a block.
                Place::Block(found)
                    if self.page.is_none_or(|page| {
                        (page.node, page.core, page.epoch, page.nonce)
                            == (found.node, found.core, found.epoch, found.nonce)
                    }) =>
                {
                    return Ok(Some(at));
                }
                _ => at += PAGE as u64,
            }
        }
    }
}

/// Bytes of a block that was found good.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BlockBytes<'a> {
    /// Header.
    pub(crate) head: &'a [u8; HEADER],
    /// Records with their lengths.
    pub(crate) payload: &'a [u8],
}

/// Disks write sectors of at least 512 bytes whole or not at all.
fn has_empty_sector(bytes: &[u8]) -> bool {
    bytes.chunks(512).any(|sector| sector.iter().all(|&byte| byte == 0))
}

/// Opens a file of a log. A pipe there would be waited for without end, and a folder has no bytes: neither is part of a log.
///
/// # Errors
/// The file system's, with the path; it is no regular file.
pub(crate) fn open(path: &Path) -> io::Result<File> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    if !fs::metadata(path).map_err(named)?.is_file() {
        return Err(named(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file")));
    }
    File::open(path).map_err(named)
}

/// The bytes of a small file of a log; whoever asks has looked at its size.
///
/// # Errors
/// As [`open`].
pub(crate) fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Does another process hold the directory's lock, so that the log may grow while it is read?
#[must_use]
pub(crate) fn is_live(directory: &Path) -> bool {
    let held = |path: PathBuf| {
        open(&path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
    };
    held(directory.join("lock")) || held(folder(directory, crate::DESK).join("lock"))
}
