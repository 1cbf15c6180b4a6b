//! Copies the log to an object store where nobody can delete it before its time: sealed segments, tiles, checkpoints.
//!
//! A checkpoint is copied last, when everything it covers has been: tiles down to the partial ones, so that the copy can
//! be verified by itself, and of the segments those that are complete. The cursor is written after the store has
//! acknowledged; after a crash something may be sent twice, never not at all.

use crate::{
    error::Error,
    files::{self, Keep},
    headers, history,
    s3::{self, LockUntil, Store},
    sequencer::{Folders, Published},
};
use audit::{
    BlockHeader,
    block::{FLAG_LAST, HEADER_BYTES},
    segment::{HEADER_PAGE_BYTES, core_directory},
};
use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    fs::File,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::Duration,
};
use tlog::{Tile, tile::TILE_WIDTH};

const CURSOR_BYTES_MAX: u64 = 1 << 20;

/// Why a copy was not made.
#[derive(Debug)]
pub enum AnchorError {
    /// Here.
    Local(Error),
    /// There.
    Store(s3::Error),
}

impl fmt::Display for AnchorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(error) => error.fmt(f),
            Self::Store(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for AnchorError {}

impl From<Error> for AnchorError {
    fn from(error: Error) -> Self {
        Self::Local(error)
    }
}

impl From<s3::Error> for AnchorError {
    fn from(error: s3::Error) -> Self {
        Self::Store(error)
    }
}

/// What the store has acknowledged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cursor {
    /// Size of the last checkpoint; full tiles and bundles up to there are copied.
    size: u64,
    /// Per core, the first block that no copied segment holds.
    cores: BTreeMap<u16, u64>,
}

impl Cursor {
    fn read(path: &Path) -> Result<Self, Error> {
        let Some(bytes) = files::read(path, CURSOR_BYTES_MAX).map_err(Error::at(path))? else {
            return Ok(Self::default());
        };
        let malformed =
            || Error::Disagree(format!("{} is malformed; without it everything is copied anew", path.display()));
        let text = String::from_utf8(bytes).map_err(|_| malformed())?;
        let mut cursor = Self::default();
        for line in text.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            match words.as_slice() {
                ["size", size] => cursor.size = size.parse().map_err(|_| malformed())?,
                ["core", core, next] => {
                    let (core, next) = (core.parse().map_err(|_| malformed())?, next.parse().map_err(|_| malformed())?);
                    cursor.cores.insert(core, next);
                }
                _ => return Err(malformed()),
            }
        }
        Ok(cursor)
    }

    fn write(&self, path: &Path) -> Result<(), Error> {
        let mut text = format!("size {}\n", self.size);
        for (core, next) in &self.cores {
            let _infallible = writeln!(text, "core {core} {next}");
        }
        files::replace(path, text.as_bytes(), Keep::Durably).map_err(Error::at(path))
    }
}

/// What was anchored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchored {
    /// Size of the checkpoint.
    pub size: u64,
    /// Root.
    pub root: [u8; 32],
    /// Bucket and key of the checkpoint.
    pub place: String,
    /// Segments copied this time.
    pub segments: usize,
}

/// Copies a node's log.
#[derive(Debug)]
pub struct Anchor {
    store: Store,
    folders: Folders,
    retention: Duration,
    cursor: Cursor,
}

impl Anchor {
    /// Goes on where the last one stopped.
    ///
    /// # Errors
    /// The cursor is unreadable.
    pub fn open(store: Store, folders: &Folders, retention: Duration) -> Result<Self, Error> {
        let cursor = Cursor::read(&cursor_path(folders))?;
        Ok(Self { store, folders: folders.clone(), retention, cursor })
    }

    /// Copies what is not there yet, up to this checkpoint; `None` if it is there already. `covered` tells for each core
    /// how many of its blocks the checkpoint covers; `now` is in seconds since 1970.
    ///
    /// # Errors
    /// What was copied stays copied, and the next attempt goes on from there.
    pub fn copy(
        &mut self,
        published: &Published,
        covered: &BTreeMap<u16, u64>,
        now: u64,
    ) -> Result<Option<Anchored>, AnchorError> {
        let size = published.checkpoint.size;
        if size == 0 || size <= self.cursor.size {
            return Ok(None);
        }
        let folder = self.folders.tlog().join("anchors");
        files::make_folder(&folder).map_err(Error::at(&folder))?;
        let lock = LockUntil { seconds: now.saturating_add(self.retention.as_secs()) };
        let segments = self.segments(covered, lock)?;
        self.tiles(size, lock)?;
        let tlog = self.folders.tlog();
        self.store.put_file("tlog/keys", &tlog.join("keys"), Some(lock))?;
        let name = history::name(size);
        let cosigned = tlog.join("cosignatures").join(&name);
        if cosigned.is_file() {
            self.store.put_file(&format!("tlog/cosignatures/{name}"), &cosigned, Some(lock))?;
        }
        let note = published.note.to_string();
        let stored = self.store.put(&format!("tlog/checkpoints/{name}"), note.as_bytes(), Some(lock))?;
        self.store.put("tlog/checkpoint", note.as_bytes(), Some(lock))?;
        let place = format!("{}/{}", self.store.bucket(), stored.key);
        let receipt = format!(
            "object_lock {place}\nversion {}\nlocked until {}\n",
            stored.version.as_deref().unwrap_or("-"),
            lock.seconds
        );
        let path = folder.join(&name);
        files::replace(&path, receipt.as_bytes(), Keep::Derived).map_err(Error::at(&path))?;
        self.cursor.size = size;
        self.cursor.write(&cursor_path(&self.folders))?;
        Ok(Some(Anchored { size, root: published.checkpoint.root.0, place, segments }))
    }

    fn segments(&mut self, covered: &BTreeMap<u16, u64>, lock: LockUntil) -> Result<usize, AnchorError> {
        let roots = self.folders.roots();
        let mut count = 0;
        for core in headers::cores(&roots)? {
            let folders: Vec<PathBuf> = roots.iter().map(|root| core_directory(root, core)).collect();
            let mut all = headers::segments(&folders)?;
            // What begins another segment too was written again there; one name is for one object.
            all.reverse();
            all.dedup_by_key(|(first, _)| *first);
            all.reverse();
            let covered = covered.get(&core).copied().unwrap_or(0);
            for (n, (first, path)) in all.iter().enumerate() {
                let done = self.cursor.cores.get(&core).copied().unwrap_or(0);
                if *first < done {
                    continue;
                }
                // Complete: another one follows, or it ends with the end of an epoch.
                let end = match all.get(n + 1) {
                    Some((next, _)) => Some(*next),
                    None => closed_end(path).map_err(Error::at(path))?,
                };
                let Some(end) = end.filter(|end| *end <= covered && *end > *first) else { break };
                let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default();
                self.store.put_file(&format!("core-{core:02}/{name}"), path, Some(lock))?;
                self.cursor.cores.insert(core, end);
                self.cursor.write(&cursor_path(&self.folders))?;
                count += 1;
            }
        }
        Ok(count)
    }

    fn tiles(&self, size: u64, lock: LockUntil) -> Result<(), AnchorError> {
        let before = self.cursor.size;
        for level in 0..8u8 {
            let first = before.checked_shr(8 * (u32::from(level) + 1)).unwrap_or(0);
            for index in first.. {
                let Some(tile) = Tile::of(level, index, size) else { break };
                // What did not change since the last checkpoint is there.
                if Tile::of(level, index, before) != Some(tile) {
                    self.tile(tile, tile.path(), 32, lock)?;
                    if level == 0 {
                        self.tile(tile, tile.entries_path(), 2 + HEADER_BYTES as u64, lock)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Copies a tile or bundle; a partial one may meanwhile be the beginning of a full one.
    fn tile(&self, tile: Tile, name: String, entry: u64, lock: LockUntil) -> Result<(), AnchorError> {
        let tlog = self.folders.tlog();
        let path = tlog.join(&name);
        let full = tlog.join(name.split(".p/").next().unwrap_or_default());
        let most = TILE_WIDTH * entry;
        let bytes = match files::read(&path, most).map_err(Error::at(&path))? {
            Some(bytes) => Some(bytes),
            None => files::read(&full, most).map_err(Error::at(&full))?,
        };
        let length = usize::from(tile.width) * entry as usize;
        let bytes = bytes.as_deref().and_then(|bytes| bytes.get(..length));
        let bytes = bytes.ok_or_else(|| Error::Disagree(format!("{} is missing or too short", path.display())))?;
        self.store.put(&format!("tlog/{name}"), bytes, Some(lock))?;
        Ok(())
    }
}

fn cursor_path(folders: &Folders) -> PathBuf {
    folders.tlog().join("anchors").join("cursor")
}

/// The number behind the last block of a segment that ends with the end of its epoch.
fn closed_end(path: &Path) -> std::io::Result<Option<u64>> {
    let file = File::open(path)?;
    let (mut position, mut end) = (HEADER_PAGE_BYTES, None);
    let mut bytes = [0; HEADER_BYTES];
    while file.read_exact_at(&mut bytes, position).is_ok() {
        let Ok(header) = BlockHeader::decode(&bytes) else { break };
        end = (header.flags & FLAG_LAST != 0).then_some(header.block_seq + 1);
        position += header.block_bytes() as u64;
    }
    Ok(end)
}
