//! The files of a tree (C2SP `tlog-tiles`): tiles of 256 hashes, bundles of entries.
//!
//! A partial tile may be missing if a wider one of the same place exists, since that holds the same hashes first. Memory
//! is one tile and one bundle.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::merkle::{self, Hash};
use crate::segment;

/// Hashes of a full tile.
pub(crate) const WIDTH: u64 = 256;
/// Longest file read: a bundle of 256 headers with their lengths, and much more than that.
const FILE_MAX: u64 = 1 << 20;

/// Why a tile cannot be used.
#[derive(Debug)]
pub(crate) enum Unusable {
    /// No file holds it.
    Missing,
    /// Its file is empty.
    Empty,
    /// Its file is shorter or longer than it must be, or does not divide into entries.
    Length { longer: bool },
    /// The file system.
    Io(io::Error),
}

/// `kind` is a level or `entries`.
fn path(tree: &Path, kind: &str, index: u64) -> PathBuf {
    let mut groups = vec![format!("{:03}", index % 1000)];
    let mut rest = index / 1000;
    while rest > 0 {
        groups.push(format!("x{:03}", rest % 1000));
        rest /= 1000;
    }
    let mut path = tree.join("tile").join(kind);
    path.extend(groups.iter().rev());
    path
}

impl Unusable {
    /// In words, for this tile.
    pub(crate) fn words(&self) -> String {
        match self {
            Self::Missing | Self::Empty => "a tile of the tree is missing".to_owned(),
            Self::Length { .. } => "a tile of the tree has a wrong length".to_owned(),
            Self::Io(error) => format!("the tree: {error}"),
        }
    }
}

/// Name of a tile, as findings show it.
pub(crate) fn name(kind: &str, index: u64) -> String {
    path(Path::new("tlog"), kind, index).display().to_string()
}

/// The file's bytes, and how many hashes or entries it should have. A partial tile may give way to a wider one while it is
/// looked for.
fn read(tree: &Path, kind: &str, index: u64, width: u64) -> Result<(Vec<u8>, u64), Unusable> {
    let mut outcome = read_once(tree, kind, index, width);
    for _ in 0..3 {
        let gone = matches!(&outcome, Err(Unusable::Io(error)) if error.kind() == io::ErrorKind::NotFound);
        if width == WIDTH || !(gone || matches!(outcome, Err(Unusable::Missing))) {
            break;
        }
        outcome = read_once(tree, kind, index, width);
    }
    outcome
}

fn read_once(tree: &Path, kind: &str, index: u64, width: u64) -> Result<(Vec<u8>, u64), Unusable> {
    let full = path(tree, kind, index);
    let mut candidates = vec![(full.clone(), WIDTH)];
    if width < WIDTH {
        let mut folder = full.into_os_string();
        folder.push(".p");
        let folder = PathBuf::from(folder);
        candidates.push((folder.join(width.to_string()), width));
        let mut wider: Vec<(PathBuf, u64)> = match fs::read_dir(&folder) {
            Ok(entries) => entries
                .filter_map(|entry| {
                    let entry = entry.ok()?;
                    let found = crate::note::decimal(entry.file_name().to_str()?)?;
                    (found > width && found < WIDTH).then(|| (entry.path(), found))
                })
                .collect(),
            Err(_) => Vec::new(),
        };
        wider.sort_unstable_by_key(|(_, width)| *width);
        candidates.extend(wider);
    }
    for (path, width) in candidates {
        match fs::metadata(&path) {
            Ok(metadata) if metadata.len() > FILE_MAX => return Err(Unusable::Length { longer: true }),
            Ok(metadata) if metadata.len() == 0 => return Err(Unusable::Empty),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Unusable::Io(error)),
        }
        return segment::bytes_of(&path).map(|bytes| (bytes, width)).map_err(Unusable::Io);
    }
    Err(Unusable::Missing)
}

/// The first `width` hashes of a tile.
pub(crate) fn hashes(tree: &Path, level: u32, index: u64, width: u64) -> Result<Vec<Hash>, Unusable> {
    let (bytes, has) = read(tree, &level.to_string(), index, width)?;
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() as u64 != has || !rest.is_empty() {
        return Err(Unusable::Length { longer: bytes.len() as u64 > has * 32 });
    }
    Ok(hashes[..width as usize].to_vec())
}

/// The first `width` entries of a bundle.
pub(crate) fn entries(tree: &Path, index: u64, width: u64) -> Result<Vec<Vec<u8>>, Unusable> {
    let (bytes, has) = read(tree, "entries", index, width)?;
    let mut rest = bytes.as_slice();
    let mut entries = Vec::new();
    for _ in 0..has {
        let (length, behind) = rest.split_first_chunk().ok_or(Unusable::Length { longer: false })?;
        let (entry, behind) = behind
            .split_at_checked(usize::from(u16::from_be_bytes(*length)))
            .ok_or(Unusable::Length { longer: false })?;
        entries.push(entry.to_vec());
        rest = behind;
    }
    if !rest.is_empty() {
        return Err(Unusable::Length { longer: true });
    }
    entries.truncate(width as usize);
    Ok(entries)
}

/// Root over the leaves from `from` to before `to`, out of tiles of all levels.
pub(crate) fn range(tree: &Path, from: u64, to: u64) -> Result<Hash, Unusable> {
    let count = to.saturating_sub(from);
    if count == 0 {
        return Ok(merkle::empty());
    }
    if count.is_power_of_two() && from.is_multiple_of(count) {
        let height = count.trailing_zeros();
        let level = height / 8;
        let (first, hashes) = (from >> (8 * level), 1u64 << (height - 8 * level));
        // A whole tile's root may be one hash of a level that has no tile yet: it is always in the level below.
        let at = first % WIDTH;
        if let Ok(found) = self::hashes(tree, level, first / WIDTH, at + hashes) {
            return Ok(merkle::root(&found[at as usize..]));
        }
        let below = self::hashes(tree, level.saturating_sub(1), first, WIDTH)?;
        return Ok(merkle::root(&below));
    }
    let half = 1 << (63 - (count - 1).leading_zeros());
    Ok(merkle::node(&range(tree, from, from + half)?, &range(tree, from + half, to)?))
}
