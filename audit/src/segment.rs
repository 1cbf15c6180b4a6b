//! Segment files: `<dir>/core-NN/<first block, 16 hex digits>.tgseg`, a header page and then blocks, zeros to the end.
//!
//! Invariants: a segment is filled with zeros and synced under another name before it gets its own, so a file under a
//! segment's name always has its full size and header page; blocks are only ever appended; sectors that hold durable
//! data are never written again. Blocking std file calls: use from a thread that may block.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::block::ALIGN_BYTES;

/// Size of the header page; the first block follows it.
pub const HEADER_PAGE_BYTES: u64 = ALIGN_BYTES as u64;
/// Usual size of a segment.
pub const SEGMENT_BYTES_DEFAULT: u64 = 16 << 20;

/// Zeros written at once.
const ZEROS_BYTES: usize = 1 << 20;

const MAGIC: [u8; 8] = *b"TGAUDSG1";
const VERSION: u16 = 1;
const EXTENSION: &str = "tgseg";
pub(crate) const PREPARED: &str = "next.prepared";
const PREPARED_EXTENSION: &str = "prepared";
/// Name of the link to the spare directory.
pub(crate) const SPARE: &str = "spare";
pub(crate) const LOCK: &str = "lock";
/// Folder for bytes that were never acknowledged.
const QUARANTINE: &str = "quarantine";

/// What the header page says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Node the log belongs to.
    pub node: [u8; 16],
    /// Core.
    pub core: u16,
    /// Cores that write in this epoch.
    pub cores: u16,
    /// Epoch.
    pub epoch: u32,
    /// Nonce of the epoch on this core, as in every block.
    pub epoch_nonce: [u8; 16],
    /// Size of the file.
    pub segment_bytes: u64,
}

impl SegmentHeader {
    /// The header page.
    #[must_use]
    pub fn encode(&self) -> [u8; ALIGN_BYTES] {
        let mut page = [0; ALIGN_BYTES];
        page[..8].copy_from_slice(&MAGIC);
        page[8..10].copy_from_slice(&VERSION.to_le_bytes());
        page[16..32].copy_from_slice(&self.node);
        page[32..34].copy_from_slice(&self.core.to_le_bytes());
        page[34..36].copy_from_slice(&self.cores.to_le_bytes());
        page[36..40].copy_from_slice(&self.epoch.to_le_bytes());
        page[40..56].copy_from_slice(&self.epoch_nonce);
        page[56..64].copy_from_slice(&self.segment_bytes.to_le_bytes());
        let crc = crc32c::crc32c(&page);
        page[12..16].copy_from_slice(&crc.to_le_bytes());
        page
    }

    /// Reads a header page; `None` for anything that [`SegmentHeader::encode`] would not have written.
    #[must_use]
    pub fn decode(page: &[u8; ALIGN_BYTES]) -> Option<Self> {
        fn array<const N: usize>(page: &[u8; ALIGN_BYTES], at: usize) -> [u8; N] {
            let mut out = [0; N];
            out.copy_from_slice(&page[at..at + N]);
            out
        }
        let header = Self {
            node: array(page, 16),
            core: u16::from_le_bytes(array(page, 32)),
            cores: u16::from_le_bytes(array(page, 34)),
            epoch: u32::from_le_bytes(array(page, 36)),
            epoch_nonce: array(page, 40),
            segment_bytes: u64::from_le_bytes(array(page, 56)),
        };
        // Every byte is determined by the fields, so comparing is the whole check.
        (header.encode() == *page).then_some(header)
    }
}

/// Folder of a core's segments.
#[must_use]
pub fn core_directory(directory: &Path, core: u16) -> PathBuf {
    directory.join(format!("core-{core:02}"))
}

/// Name of the segment that starts with this block.
#[must_use]
pub fn segment_name(first_block: u64) -> String {
    format!("{first_block:016x}.{EXTENSION}")
}

/// The cores that have a folder, ascending. A directory that does not exist has none.
pub fn cores(directory: &Path) -> io::Result<Vec<u16>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries?,
    };
    for entry in entries {
        let name = entry?.file_name();
        if let Some(core) = name.to_str().and_then(|name| name.strip_prefix("core-")).and_then(|core| core.parse().ok())
        {
            found.push(core);
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Opens a segment for reading that may be written meanwhile.
///
/// Pages that the kernel read ahead of the last block would be in the way of the next one, which goes past the page cache and
/// would have to drop them first. A file system that takes no advice (`posix_fadvise(2)`) reads as it likes.
///
/// # Errors
/// It cannot be opened.
pub fn open_live(path: &Path) -> io::Result<File> {
    let file = File::open(path)?;
    let _ = rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random);
    Ok(file)
}

/// A core's segments: number of the first block by name, and path; ascending. Those in the spare directory are among
/// them. Of two with one number the first is what a failing disk left: no block, or a copy of the other's first. An
/// unfinished write behind a block is where the log went on.
pub fn segments(core_directory: &Path) -> io::Result<Vec<(u64, PathBuf)>> {
    let spare = match (core_directory.parent(), core_directory.file_name()) {
        (Some(directory), Some(name)) => Some(directory.join(SPARE).join(name)),
        _ => None,
    };
    segments_of([Some(core_directory.to_owned()), spare].into_iter().flatten())
}

/// [`segments`], where the core's folders are known: in the directory, and in the spare one if there is one.
///
/// # Errors
/// A folder cannot be read, or a file is named like no segment. A folder that does not exist is empty.
pub fn segments_of(folders: impl IntoIterator<Item = PathBuf>) -> io::Result<Vec<(u64, PathBuf)>> {
    let mut found = Vec::new();
    for folder in folders {
        list(&folder, &mut found)?;
    }
    found.sort_unstable();
    let again = |pair: &[(u64, PathBuf)]| matches!(pair, [(a, _), (b, _)] if a == b);
    if !found.windows(2).any(again) {
        return Ok(found);
    }
    let mut counted = Vec::with_capacity(found.len());
    for (first, path) in found {
        counted.push((first, first_blocks(&path)?, path));
    }
    for at in 0..counted.len() {
        let (first, blocks, path) = &counted[at];
        let tied = |(f, b, p): &(u64, u8, PathBuf)| (f, b) == (first, blocks) && p != path;
        if *blocks == 1 && counted.iter().any(tied) && goes_on(path)? {
            counted[at].1 = 2;
        }
    }
    counted.sort_unstable();
    let best = |first: u64| counted.iter().filter(|(f, ..)| *f == first).map(|(_, blocks, _)| *blocks).max();
    let kept = counted.iter().filter(|(first, blocks, _)| *blocks > 0 || best(*first) == Some(0));
    Ok(kept.map(|(first, _, path)| (*first, path.clone())).collect())
}

/// Good blocks at the beginning of a segment, counted up to two.
fn first_blocks(path: &Path) -> io::Result<u8> {
    let mut reader = SegmentReader::open(path)?;
    let (mut position, mut blocks) = (HEADER_PAGE_BYTES, 0);
    while blocks < 2
        && let Slot::Block(block) = reader.slot(position)?
    {
        position += block.header.block_bytes() as u64;
        blocks += 1;
    }
    Ok(blocks)
}

/// Is there anything behind a segment's first block?
fn goes_on(path: &Path) -> io::Result<bool> {
    let mut reader = SegmentReader::open(path)?;
    let Slot::Block(block) = reader.slot(HEADER_PAGE_BYTES)? else { return Ok(false) };
    let position = HEADER_PAGE_BYTES + block.header.block_bytes() as u64;
    Ok(reader.data_end(position)? > position)
}

fn list(folder: &Path, found: &mut Vec<(u64, PathBuf)>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != EXTENSION) {
            continue;
        }
        let first = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| stem.len() == 16);
        match first.and_then(|stem| u64::from_str_radix(stem, 16).ok()) {
            Some(first) => found.push((first, path)),
            None => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} is not named like a segment", path.display()),
                ));
            }
        }
    }
    Ok(())
}

/// Removes segments that were made ready and never used.
pub(crate) fn remove_prepared(core_directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(core_directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == PREPARED_EXTENSION) {
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

/// Makes the link by which readers find the spare directory; the directory exists.
pub(crate) fn link_spare(directory: &Path, spare: &Path) -> io::Result<()> {
    let link = directory.join(SPARE);
    let spare = fs::canonicalize(spare)?;
    if fs::symlink_metadata(&link).is_ok() {
        if fs::canonicalize(&link).is_ok_and(|known| known == spare) {
            return Ok(());
        }
        let used = cores(&link)?;
        let mut segments = Vec::new();
        for core in used {
            list(&core_directory(&link, core), &mut segments)?;
        }
        if !segments.is_empty() || !link.is_symlink() {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                format!("{} holds a part of this log; move its segments into the directory first", link.display()),
            ));
        }
        fs::remove_file(&link)?;
    }
    std::os::unix::fs::symlink(&spare, &link)?;
    sync_directory(directory)
}

/// Makes names in a folder durable.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Creates the core's folder if it is missing, durably.
///
/// # Errors
/// The file system's.
pub fn create_core_directory(path: &Path) -> io::Result<()> {
    if !path.is_dir() {
        // Statements are in here: for the gateway's user alone, unless the operator says otherwise.
        fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(parent.unwrap_or_else(|| Path::new(".")))?;
    }
    Ok(())
}

/// Writes a segment's header page and zeros, synced, under a name that readers do not look at.
///
/// # Errors
/// The file system's; a partial file is removed.
pub fn prepare(core_directory: &Path, header: &SegmentHeader) -> io::Result<PathBuf> {
    prepare_as(core_directory, "next", header)
}

/// The same, when several are made ready: under a name of its own.
///
/// # Errors
/// As [`prepare`].
pub fn prepare_as(core_directory: &Path, name: &str, header: &SegmentHeader) -> io::Result<PathBuf> {
    let path = core_directory.join(format!("{name}.{PREPARED_EXTENSION}"));
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let write = || -> io::Result<()> {
        let mut file = create_private(&path)?;
        file.write_all(&header.encode())?;
        zero_fill(&path, &file, HEADER_PAGE_BYTES, header.segment_bytes)?;
        file.sync_all()
    };
    write().inspect_err(|_| {
        // Best effort: the next attempt removes it too.
        let _ = fs::remove_file(&path);
    })?;
    Ok(path)
}

/// Zeros from `from` to `to`, past the page cache where the file system lets us: what is written there later goes past it
/// too, and would have to throw the zeros out first.
fn zero_fill(path: &Path, file: &File, from: u64, to: u64) -> io::Result<()> {
    let memory = vec![0u8; ZEROS_BYTES + ALIGN_BYTES];
    let zeros = &memory[memory.as_ptr().align_offset(ALIGN_BYTES).min(ALIGN_BYTES)..][..ZEROS_BYTES];
    let mut direct =
        File::options().write(true).custom_flags(rustix::fs::OFlags::DIRECT.bits().cast_signed()).open(path).ok();
    let mut at = from;
    while at < to {
        let piece = &zeros[..(to - at).min(ZEROS_BYTES as u64) as usize];
        let written = match &direct {
            Some(direct) => direct.write_all_at(piece, at),
            None => file.write_all_at(piece, at),
        };
        match written {
            // The file opens so and is not written so, or its end is not aligned.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput && direct.take().is_some() => {}
            written => {
                written?;
                at += piece.len() as u64;
            }
        }
    }
    Ok(())
}

/// Gives a prepared segment its name, durably. A file that already has the name is one whose first block could not be
/// written: it holds nothing acknowledged and goes to quarantine.
///
/// # Errors
/// The file system's.
pub fn publish(prepared: &Path, first_block: u64) -> io::Result<PathBuf> {
    let folder = prepared.parent().unwrap_or_else(|| Path::new("."));
    let path = folder.join(segment_name(first_block));
    if fs::symlink_metadata(&path).is_ok() {
        set_aside(&path)?;
    }
    fs::rename(prepared, &path)?;
    sync_directory(folder)?;
    Ok(path)
}

/// Moves a segment that holds no acknowledged block out of the way.
pub(crate) fn set_aside(path: &Path) -> io::Result<PathBuf> {
    let (folder, name) = (path.parent().unwrap_or_else(|| Path::new(".")), path.file_name().unwrap_or_default());
    let quarantine = folder.join(QUARANTINE);
    create_core_directory(&quarantine)?;
    let target = unused(&quarantine, &name.to_string_lossy());
    fs::rename(path, &target)?;
    sync_directory(&quarantine)?;
    sync_directory(folder)?;
    Ok(target)
}

/// Copies the bytes of a torn tail to quarantine.
pub(crate) fn keep_tail(path: &Path, position: u64, bytes: u64) -> io::Result<PathBuf> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let quarantine = folder.join(QUARANTINE);
    create_core_directory(&quarantine)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy();
    let target = unused(&quarantine, &format!("{stem}-{position:x}.torn"));
    let source = File::open(path)?;
    let mut out = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target)?;
    let mut buffer = vec![0u8; 1 << 20];
    let (mut at, mut left) = (position, bytes);
    while left > 0 {
        let piece = left.min(buffer.len() as u64) as usize;
        let count = source.read_at(&mut buffer[..piece], at)?;
        if count == 0 {
            break;
        }
        out.write_all(&buffer[..count])?;
        at += count as u64;
        left -= count as u64;
    }
    out.sync_all()?;
    sync_directory(&quarantine)?;
    Ok(target)
}

fn unused(folder: &Path, name: &str) -> PathBuf {
    let mut candidates = (0u32..).map(|n| if n == 0 { folder.join(name) } else { folder.join(format!("{name}.{n}")) });
    candidates.find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| folder.join(name))
}

/// The exclusive right to write in an audit directory, held while this value lives (and by the kernel's account, while
/// the process does).
#[derive(Debug)]
pub struct DirectoryLock {
    files: Vec<File>,
}

impl DirectoryLock {
    /// One lock for two directories.
    pub(crate) fn join(&mut self, other: Self) {
        self.files.extend(other.files);
    }

    /// Takes the lock; `None` if another process holds it.
    ///
    /// # Errors
    /// The file system's.
    pub fn take(directory: &Path) -> io::Result<Option<Self>> {
        create_core_directory(directory)?;
        let path = directory.join(LOCK);
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { files: vec![file] })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Does some process hold the lock? Takes nothing.
    #[must_use]
    pub fn is_held(directory: &Path) -> bool {
        File::open(directory.join(LOCK))
            .is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
    }
}

/// Reads the blocks of one segment by position.
#[derive(Debug)]
pub(crate) struct SegmentReader {
    file: File,
    /// Size of the file as it was when it was opened.
    pub(crate) bytes: u64,
    /// Header page, if it is a good one.
    pub(crate) header: Option<SegmentHeader>,
    buffer: Vec<u8>,
}

/// What stands at a position. Short-lived, one at a time: its size does not matter.
#[allow(clippy::large_enum_variant)]
#[derive(Debug)]
pub(crate) enum Slot<'a> {
    /// A good block.
    Block(crate::block::Block<'a>),
    /// A page of zeros.
    Zeros,
    /// Neither; the error of the block check.
    Bad(crate::block::BlockError),
    /// The file has no further page.
    End,
}

impl SegmentReader {
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let bytes = file.metadata()?.len();
        let mut page = [0; ALIGN_BYTES];
        let header = if bytes >= HEADER_PAGE_BYTES && file.read_exact_at(&mut page, 0).is_ok() {
            SegmentHeader::decode(&page)
        } else {
            None
        };
        Ok(Self { file, bytes, header, buffer: Vec::new() })
    }

    fn read(&mut self, position: u64, want: usize) -> io::Result<&[u8]> {
        let have = want.min(usize::try_from(self.bytes.saturating_sub(position)).unwrap_or(usize::MAX));
        self.buffer.resize(have, 0);
        self.file.read_exact_at(&mut self.buffer, position)?;
        Ok(&self.buffer)
    }

    pub(crate) fn slot(&mut self, position: u64) -> io::Result<Slot<'_>> {
        use crate::block::{BlockError, BlockHeader, HEADER_BYTES, decode_block};
        if position >= self.bytes {
            return Ok(Slot::End);
        }
        let page = self.read(position, ALIGN_BYTES)?;
        if page.iter().all(|&byte| byte == 0) {
            return Ok(Slot::Zeros);
        }
        let header = match page.first_chunk::<HEADER_BYTES>().ok_or(BlockError::Truncated).and_then(BlockHeader::decode)
        {
            Ok(header) => header,
            Err(error) => return Ok(Slot::Bad(error)),
        };
        let whole = self.read(position, header.block_bytes())?;
        match decode_block(whole) {
            Ok(block) => Ok(Slot::Block(block)),
            Err(error) => Ok(Slot::Bad(error)),
        }
    }

    /// One past the last byte from `position` on that is not zero.
    pub(crate) fn data_end(&mut self, position: u64) -> io::Result<u64> {
        let (mut at, mut end) = (position, position);
        while at < self.bytes {
            let piece = self.read(at, 1 << 20)?;
            let length = piece.len() as u64;
            if let Some(last) = piece.iter().rposition(|&byte| byte != 0) {
                end = at + last as u64 + 1;
            }
            at += length;
        }
        Ok(end)
    }

    /// The first good block of this segment's epoch and at or after `position`, if there is one.
    pub(crate) fn next_block(&mut self, position: u64) -> io::Result<Option<u64>> {
        let mine = self.header;
        let mut at = position;
        loop {
            match self.slot(at)? {
                Slot::End => return Ok(None),
                Slot::Block(block)
                    if mine.is_none_or(|mine| {
                        (mine.node, mine.core, mine.epoch, mine.epoch_nonce)
                            == (block.header.node, block.header.core, block.header.epoch, block.header.epoch_nonce)
                    }) =>
                {
                    return Ok(Some(at));
                }
                _ => at += ALIGN_BYTES as u64,
            }
        }
    }
}
/// A new file that only its owner may read.
pub(crate) fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_prepared_segment_is_its_header_and_zeros() {
        // Where direct writes work, where they may not, and a size that they cannot write.
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap()];
        for folder in &folders {
            for segment_bytes in
                [HEADER_PAGE_BYTES, 3 * HEADER_PAGE_BYTES, (2 << 20) + HEADER_PAGE_BYTES, (1 << 20) + 5000]
            {
                let header =
                    SegmentHeader { node: [1; 16], core: 2, cores: 3, epoch: 4, epoch_nonce: [5; 16], segment_bytes };
                let path = prepare(folder.path(), &header).unwrap();
                let bytes = fs::read(&path).unwrap();
                assert_eq!(bytes.len() as u64, segment_bytes);
                let (page, rest) = bytes.split_first_chunk().unwrap();
                assert_eq!(SegmentHeader::decode(page), Some(header));
                assert!(rest.iter().all(|byte| *byte == 0));
            }
        }
    }
}
