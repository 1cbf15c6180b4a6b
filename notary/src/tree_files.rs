//! The tree of a node in files: `tile/entries` holds the headers in their order, `tile/<level>` what is computed of them.
//!
//! Invariants: an entry is durable before a checkpoint that covers it is signed; tiles can be made again from the entries,
//! so they are not synced, and what a crash left of them is written again. Full files never change.

use crate::{
    error::Error,
    files::{self, Keep},
    headers::{CoreReader, Header},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};
use tlog::{
    Edge, Hash, Tile,
    tile::{self, Malformed, ReadTile, TILE_WIDTH},
};

/// Bytes of a full bundle of headers.
const BUNDLE_BYTES_MAX: u64 = TILE_WIDTH * (2 + 256);
const TILE_BYTES_MAX: u64 = TILE_WIDTH * 32;

/// Reads a tree's tiles from their files. A partial tile that was removed is the beginning of the full one.
#[derive(Clone, Debug)]
pub struct TileFiles {
    /// The folder `tlog`.
    pub folder: PathBuf,
}

impl From<Malformed> for Error {
    fn from(_: Malformed) -> Self {
        Self::Disagree("a file of the tree has another length than it should have".to_owned())
    }
}

impl ReadTile for TileFiles {
    type Error = Error;

    fn read(&self, tile: Tile) -> Result<Vec<Hash>, Error> {
        let full = Tile { width: TILE_WIDTH as u16, ..tile };
        for candidate in [tile, full] {
            let path = self.folder.join(candidate.path());
            if let Some(bytes) = files::read(&path, TILE_BYTES_MAX).map_err(Error::at(&path))? {
                let mut hashes = candidate.hashes(&bytes)?;
                hashes.truncate(usize::from(tile.width));
                return Ok(hashes);
            }
        }
        Err(Error::Disagree(format!("{} is missing from the tree", tile.path())))
    }
}

/// The growing tree and its files.
#[derive(Debug)]
pub(crate) struct Tree {
    folder: PathBuf,
    edge: Edge,
    /// Headers of the partial bundle.
    tail: Vec<Header>,
    /// Leaves whose headers are in durable files.
    written: u64,
    /// Files to write: those that were filled since the last write.
    full: Vec<(String, Vec<u8>)>,
    filled: Vec<Tile>,
}

/// What loading found besides the tree.
pub(crate) struct Loaded {
    pub(crate) tree: Tree,
    pub(crate) readers: BTreeMap<u16, CoreReader>,
    /// Roots at the sizes that were asked for, as far as the tree reaches.
    pub(crate) roots: BTreeMap<u64, Hash>,
}

impl Tree {
    /// Reads the tree from its entries and checks that they are chains of headers, one for each core, and that the tiles
    /// are those of the entries. Tiles that a crash took are written again.
    pub(crate) fn load(folder: &Path, roots: &[PathBuf], sizes: &BTreeSet<u64>) -> Result<Loaded, Error> {
        let mut tree = Self {
            folder: folder.to_owned(),
            edge: Edge::default(),
            tail: Vec::new(),
            written: 0,
            full: Vec::new(),
            filled: Vec::new(),
        };
        let mut readers: BTreeMap<u16, CoreReader> = BTreeMap::new();
        let mut found = BTreeMap::new();
        let mut note = |edge: &Edge| {
            if sizes.contains(&edge.size()) {
                found.insert(edge.size(), edge.root());
            }
        };
        note(&tree.edge);
        for index in 0.. {
            let Some((tile, bytes)) = bundle_file(folder, index)? else { break };
            let place = || tile.entries_path();
            let entries = tile::entries(&bytes).ok().filter(|e| e.len() == usize::from(tile.width));
            let entries =
                entries.ok_or_else(|| Error::Disagree(format!("{} does not hold {} entries", place(), tile.width)))?;
            for entry in entries {
                let header: Header = entry
                    .try_into()
                    .map_err(|_| Error::Disagree(format!("{} holds something that is no header", place())))?;
                let core = u16::from_le_bytes([header[32], header[33]]);
                let reader = readers.entry(core).or_insert_with(|| CoreReader::new(roots, core));
                reader.follow(&header).map_err(|e| Error::Disagree(format!("{}: {e}", place())))?;
                tree.push(&header)?;
                note(&tree.edge);
            }
            tree.written = tree.edge.size();
            // They are files already.
            tree.full.retain(|(path, _)| !path.starts_with("tile/entries/"));
            tree.check_tiles()?;
            if !tile.is_full() {
                break;
            }
        }
        let partial: Vec<(String, Vec<u8>)> = tree.partial_tiles();
        tree.check_files(partial)?;
        for reader in readers.values_mut() {
            reader.locate()?;
        }
        Ok(Loaded { tree, readers, roots: found })
    }

    /// Compares the tiles that were just filled with their files.
    fn check_tiles(&mut self) -> Result<(), Error> {
        let full = std::mem::take(&mut self.full);
        self.filled.clear();
        self.check_files(full)
    }

    fn check_files(&self, expected: Vec<(String, Vec<u8>)>) -> Result<(), Error> {
        for (name, bytes) in expected {
            let path = self.folder.join(&name);
            let there = files::read(&path, TILE_BYTES_MAX).map_err(Error::at(&path))?.unwrap_or_default();
            if there == bytes {
                continue;
            }
            // Short, or zeros: a crash took it before it reached the disk.
            if there.len() < bytes.len() || there.iter().all(|byte| *byte == 0) {
                make_parent(&path)?;
                files::replace(&path, &bytes, Keep::Bytes).map_err(Error::at(&path))?;
            } else {
                return Err(Error::Disagree(format!("{} is not the tile of the entries below it", path.display())));
            }
        }
        Ok(())
    }

    fn partial_tiles(&self) -> Vec<(String, Vec<u8>)> {
        self.edge.partial().map(|(tile, hashes)| (tile.path(), tile::tile_bytes(hashes))).collect()
    }

    pub(crate) const fn size(&self) -> u64 {
        self.edge.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.edge.root()
    }

    pub(crate) fn files(&self) -> TileFiles {
        TileFiles { folder: self.folder.clone() }
    }

    /// Appends a header; nothing is written yet.
    pub(crate) fn push(&mut self, header: &Header) -> Result<(), Error> {
        self.tail.push(*header);
        let (full, filled) = (&mut self.full, &mut self.filled);
        self.edge.push(Hash::leaf(header), |tile, hashes| {
            full.push((tile.path(), tile::tile_bytes(hashes)));
            filled.push(tile);
        });
        if self.tail.len() as u64 == TILE_WIDTH {
            let index = self.edge.size() / TILE_WIDTH - 1;
            let tile = Tile { level: 0, index, width: TILE_WIDTH as u16 };
            let bytes = tile::bundle(self.tail.iter().map(<[u8; 256]>::as_slice))?;
            self.full.push((tile.entries_path(), bytes));
            self.tail.clear();
        }
        Ok(())
    }

    /// Writes what was appended. The entries are durable when this returns.
    pub(crate) fn write(&mut self) -> Result<(), Error> {
        if self.written == self.edge.size() {
            return Ok(());
        }
        let mut files = self.full.clone();
        if let Some(tile) = Tile::of(0, self.edge.size() / TILE_WIDTH, self.edge.size()) {
            files.push((tile.entries_path(), tile::bundle(self.tail.iter().map(<[u8; 256]>::as_slice))?));
        }
        files.extend(self.partial_tiles());
        let mut folders = BTreeSet::new();
        for (name, bytes) in &files {
            let path = self.folder.join(name);
            make_parent(&path)?;
            let entries = name.starts_with("tile/entries/");
            let keep = if entries { Keep::Bytes } else { Keep::Derived };
            files::replace(&path, bytes, keep).map_err(Error::at(&path))?;
            folders.extend(path.parent().filter(|_| entries).map(Path::to_owned));
        }
        for folder in folders {
            files::sync_folder(&folder).map_err(Error::at(&folder))?;
        }
        self.full.clear();
        self.written = self.edge.size();
        Ok(())
    }

    /// Removes the partial files of tiles that are full. Only after a checkpoint that needs none of them.
    pub(crate) fn remove_partial(&mut self) {
        for tile in std::mem::take(&mut self.filled) {
            let paths = [Some(tile.path()), (tile.level == 0).then(|| tile.entries_path())];
            for path in paths.into_iter().flatten() {
                // They take space and do no harm: the next start does not look at them.
                let _there_or_not = fs::remove_dir_all(self.folder.join(format!("{path}.p")));
            }
        }
    }
}

fn make_parent(path: &Path) -> Result<(), Error> {
    path.parent().map_or(Ok(()), |folder| files::make_folder(folder).map_err(Error::at(folder)))
}

/// The full bundle of this index, or the widest partial one.
fn bundle_file(folder: &Path, index: u64) -> Result<Option<(Tile, Vec<u8>)>, Error> {
    let read = |tile: Tile| {
        let path = folder.join(tile.entries_path());
        let bytes = files::read(&path, BUNDLE_BYTES_MAX).map_err(Error::at(&path))?;
        Ok(bytes.map(|bytes| (tile, bytes)))
    };
    let full = Tile { level: 0, index, width: TILE_WIDTH as u16 };
    if let Some(found) = read(full)? {
        return Ok(Some(found));
    }
    let partial = folder.join(format!("{}.p", full.entries_path()));
    let mut widths = Vec::new();
    match fs::read_dir(&partial) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        entries => {
            for entry in entries.map_err(Error::at(&partial))? {
                let name = entry.map_err(Error::at(&partial))?.file_name();
                widths.extend(name.to_str().and_then(|n| n.parse::<u16>().ok()).filter(|w| (1..256).contains(w)));
            }
        }
    }
    match widths.into_iter().max() {
        None => Ok(None),
        Some(width) => read(Tile { level: 0, index, width }),
    }
}
