//! Tiles (C2SP `tlog-tiles`): 256 hashes of one level in one file, bundles of entries, and the growing edge of a tree.
//!
//! A tile's hash number i at level L is the root over 256^L leaves. Full tiles never change; the right-most tile of a level
//! is partial and known by its width. [`Edge`] is all that appending needs: the partial tiles.

use crate::{
    hash::{Hash, decimal},
    tree::Subtrees,
};
use std::fmt;

/// Hashes in a full tile.
pub const TILE_WIDTH: u64 = 256;
/// Highest level; 256^8 leaves do not fit 64 bits.
const LEVEL_MAX: u8 = 7;
/// Longest entry of a bundle.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Coordinates of a tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tile {
    /// Level.
    pub level: u8,
    /// Index in the level.
    pub index: u64,
    /// Hashes in it, 1 to 256.
    pub width: u16,
}

/// What is not a tile's path, a tile's contents or a bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the path or the contents of a tile")
    }
}

impl std::error::Error for Malformed {}

impl Tile {
    /// The tile of this level and index in a tree of `size` leaves; `None` if the tree has none.
    #[must_use]
    pub fn of(level: u8, index: u64, size: u64) -> Option<Self> {
        let hashes = size.checked_shr(8 * u32::from(level)).filter(|_| level <= LEVEL_MAX)?;
        let width = hashes.saturating_sub(index.checked_mul(TILE_WIDTH)?).min(TILE_WIDTH);
        if width == 0 { None } else { Some(Self { level, index, width: u16::try_from(width).ok()? }) }
    }

    /// Whether it will never change.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width as u64 == TILE_WIDTH
    }

    /// `tile/<level>/<index>[.p/<width>]`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("tile/{}/{}", self.level, self.tail())
    }

    /// `tile/entries/<index>[.p/<width>]`: the bundle with the entries below this tile of level 0.
    #[must_use]
    pub fn entries_path(&self) -> String {
        format!("tile/entries/{}", self.tail())
    }

    fn tail(&self) -> String {
        let mut text = format!("{:03}", self.index % 1000);
        let mut rest = self.index / 1000;
        while rest > 0 {
            text = format!("x{:03}/{text}", rest % 1000);
            rest /= 1000;
        }
        if !self.is_full() {
            text.push_str(&format!(".p/{}", self.width));
        }
        text
    }

    /// Reads what [`Self::path`] writes.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(path: &str) -> Result<Self, Malformed> {
        // Level, seven groups of three digits, width.
        if path.len() > 64 {
            return Err(Malformed);
        }
        let rest = path.strip_prefix("tile/").ok_or(Malformed)?;
        let (level, rest) = rest.split_once('/').ok_or(Malformed)?;
        let (rest, width) = match rest.split_once(".p/") {
            None => (rest, TILE_WIDTH),
            Some((rest, width)) => (rest, decimal(width).ok_or(Malformed)?),
        };
        let mut index = 0u64;
        for group in rest.split('/') {
            let digits = group.strip_prefix('x').unwrap_or(group);
            if digits.len() != 3 || !digits.bytes().all(|b| b.is_ascii_digit()) {
                return Err(Malformed);
            }
            let number: u64 = digits.parse().map_err(|_| Malformed)?;
            index = index.checked_mul(1000).and_then(|i| i.checked_add(number)).ok_or(Malformed)?;
        }
        let tile = Self {
            level: decimal(level).and_then(|l| u8::try_from(l).ok()).filter(|l| *l <= 63).ok_or(Malformed)?,
            index,
            width: u16::try_from(width).ok().filter(|w| (1..=256).contains(w)).ok_or(Malformed)?,
        };
        // Leading groups, places of the `x` and a spelled-out full width are all found by writing it again.
        if tile.path() == path { Ok(tile) } else { Err(Malformed) }
    }

    /// The hashes of this tile from its file.
    ///
    /// # Errors
    /// The file has another length.
    pub fn hashes(&self, bytes: &[u8]) -> Result<Vec<Hash>, Malformed> {
        let (hashes, rest) = bytes.as_chunks::<32>();
        if hashes.len() != usize::from(self.width) || !rest.is_empty() {
            return Err(Malformed);
        }
        Ok(hashes.iter().map(|hash| Hash(*hash)).collect())
    }
}

/// The file of a tile with these hashes.
#[must_use]
pub fn tile_bytes(hashes: &[Hash]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| hash.0).collect()
}

/// A bundle: each entry behind its length in two bytes, big-endian.
///
/// # Errors
/// An entry is longer than [`ENTRY_BYTES_MAX`].
pub fn bundle<'a>(entries: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<u8>, Malformed> {
    let mut bytes = Vec::new();
    for entry in entries {
        bytes.extend_from_slice(&u16::try_from(entry.len()).map_err(|_| Malformed)?.to_be_bytes());
        bytes.extend_from_slice(entry);
    }
    Ok(bytes)
}

/// The entries of a bundle, at most 256.
///
/// # Errors
/// It ends within an entry, or has more.
pub fn entries(mut bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
    let mut found = Vec::new();
    while let Some((length, rest)) = bytes.split_first_chunk::<2>() {
        if found.len() as u64 == TILE_WIDTH {
            return Err(Malformed);
        }
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*length))).ok_or(Malformed)?;
        found.push(entry);
        bytes = rest;
    }
    if bytes.is_empty() { Ok(found) } else { Err(Malformed) }
}

/// The right edge of a tree that grows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edge {
    size: u64,
    /// The partial tile of each level, lowest first; each holds less than [`TILE_WIDTH`] hashes.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// Leaves so far.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf. Each tile that it fills is given to `full` once.
    pub fn push(&mut self, leaf: Hash, mut full: impl FnMut(Tile, &[Hash])) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0.. {
            if self.levels.len() == level {
                self.levels.push(Vec::with_capacity(TILE_WIDTH as usize));
            }
            let hashes = &mut self.levels[level];
            hashes.push(hash);
            if hashes.len() < TILE_WIDTH as usize {
                return;
            }
            let level = level as u8;
            let index = (self.size >> (8 * (u32::from(level) + 1))) - 1;
            full(Tile { level, index, width: TILE_WIDTH as u16 }, hashes);
            hash = complete(hashes);
            hashes.clear();
        }
    }

    /// The partial tiles, lowest level first; none for a level whose tiles are all full.
    pub fn partial(&self) -> impl Iterator<Item = (Tile, &[Hash])> {
        self.levels.iter().zip(0u8..).filter(|(hashes, _)| !hashes.is_empty()).map(|(hashes, level)| {
            let index = self.size >> (8 * (u32::from(level) + 1));
            (Tile { level, index, width: hashes.len() as u16 }, hashes.as_slice())
        })
    }

    /// Root over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for hashes in &self.levels {
            let mut rest = hashes.as_slice();
            // The complete subtrees of a partial tile, smallest (right-most) first.
            while !rest.is_empty() {
                let width = 1 << rest.len().trailing_zeros();
                let (before, subtree) = rest.split_at(rest.len() - width);
                let left = complete(subtree);
                root = Some(root.map_or(left, |right| Hash::node(&left, &right)));
                rest = before;
            }
        }
        root.unwrap_or_else(Hash::empty)
    }
}

/// Root over a power of two of hashes.
fn complete(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Hash::empty(),
        [one] => *one,
        [left, right] => Hash::node(left, right),
        _ => {
            let (left, right) = hashes.split_at(hashes.len() / 2);
            Hash::node(&complete(left), &complete(right))
        }
    }
}

/// Reads tiles from where they are stored.
pub trait ReadTile {
    /// Why a tile is not to be had.
    type Error: From<Malformed>;

    /// The hashes of a tile, as many as its width.
    ///
    /// # Errors
    /// The storage's.
    fn read(&self, tile: Tile) -> Result<Vec<Hash>, Self::Error>;
}

/// Subtrees of a tree of a known size by its tiles. What the storage gives is believed: whoever takes a proof checks it.
#[derive(Debug)]
pub struct Tiled<'a, R> {
    /// Where the tiles are.
    pub reader: &'a R,
    /// Leaves of the tree.
    pub size: u64,
}

impl<R: ReadTile> Subtrees for Tiled<'_, R> {
    type Error = R::Error;

    fn subtree(&self, level: u8, index: u64) -> Result<Hash, R::Error> {
        let (tile_level, inner) = (level / 8, level % 8);
        let first = index << inner;
        let tile = Tile::of(tile_level, first / TILE_WIDTH, self.size).ok_or(Malformed)?;
        let hashes = self.reader.read(tile)?;
        let at = (first % TILE_WIDTH) as usize;
        Ok(complete(hashes.get(at..at + (1 << inner)).ok_or(Malformed)?))
    }
}
