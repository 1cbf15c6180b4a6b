//! The tree over a node's block headers: tiles against headers, root against signed checkpoints, keys against rotations.
//!
//! Leaves are read once, in order; each must be the next header of exactly one core. Invariants: nothing is believed
//! because a file says so: every hash is computed again, every level compared. Memory is one tile for each level, one
//! cursor for each core, and the older checkpoints.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::anchors::{self, Walls};
use crate::cursor::{Cursor, Found};
use crate::merkle::{self, Frontier, Hash};
use crate::note::{Checkpoint, NOTE_MAX, Note, VerifierKey, decimal};
use crate::report::{Code, Finding, Place, Report, TreeReport};
use crate::scan::Act;
use crate::segment;
use crate::tiles::{self, Unusable, WIDTH};
use crate::trust::WitnessPolicy;

/// Older checkpoints that are read from the tree's own folder; hourly ones of a hundred years.
const OLDER_MAX: usize = 1 << 20;
/// Findings of one kind that are named one by one.
const NAMED: u64 = 3;

/// A signed checkpoint and where it came from.
#[derive(Clone, Debug)]
pub(crate) struct Signed {
    /// As findings name it.
    pub(crate) file: String,
    pub(crate) note: Note,
    pub(crate) head: Checkpoint,
    /// The bytes, as text.
    pub(crate) whole: String,
    /// It stands among the cosigned ones.
    pub(crate) witnessed: bool,
    /// Kept by whoever verifies, or another copy of the log: the log must contain it.
    pub(crate) kept: bool,
}

impl Signed {
    pub(crate) fn parse(file: &str, bytes: &[u8], kept: bool) -> Result<Self, String> {
        let note = Note::parse(bytes)?;
        let head = Checkpoint::parse(&note.text)?;
        let whole = String::from_utf8_lossy(bytes).into_owned();
        let witnessed = file.contains("tlog/cosignatures/");
        Ok(Self { file: file.to_owned(), note, head, whole, witnessed, kept })
    }
}

/// A line of `tlog/keys`.
#[derive(Clone, Debug)]
pub(crate) struct KeyLine {
    pub(crate) from: u64,
    pub(crate) key: VerifierKey,
}

/// What is in the tree's folder beside the tiles. Read before the log is, so that the log has at least what the tree has.
#[derive(Debug, Default)]
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    pub(crate) current: Option<Signed>,
    pub(crate) keys: Vec<KeyLine>,
    pub(crate) older: Vec<Signed>,
    pub(crate) findings: Vec<(Code, Place, String)>,
    /// There is something of a tree.
    pub(crate) exists: bool,
}

/// What the tree is checked with.
pub(crate) struct Against<'a> {
    /// Keys that whoever verifies trusts.
    pub(crate) keys: &'a [VerifierKey],
    /// Witnesses' keys.
    pub(crate) witnesses: &'a [VerifierKey],
    /// Checkpoints that were kept elsewhere.
    pub(crate) kept: &'a [Signed],
    /// Acts on the log.
    pub(crate) acts: &'a [crate::meaning::Acted],
    /// Witnesses that must have seen the log.
    pub(crate) policy: Option<&'a WitnessPolicy>,
    /// How often somebody elsewhere must have seen it, seconds.
    pub(crate) anchor_max_age_s: Option<u64>,
    /// Wall clock of the log's last record, nanoseconds.
    pub(crate) last_wall_ns: u64,
}

impl Folder {
    /// Reads checkpoints and keys.
    pub(crate) fn read(directory: &Path) -> io::Result<Self> {
        let path = directory.join("tlog");
        let mut folder = Self { exists: path.is_dir(), ..Self::default() };
        if folder.exists {
            match signed(&path.join("checkpoint"), "tlog/checkpoint") {
                Ok(Some(Ok(found))) => folder.current = Some(found),
                Ok(Some(Err(why))) => folder.find(Code::Key, "tlog/checkpoint", why),
                Ok(None) => {}
                Err(error) => return Err(error),
            }
            folder.read_keys(&path.join("keys"))?;
            let mut names = Vec::new();
            walk(&path.join("checkpoints"), &mut names)?;
            walk(&path.join("cosignatures"), &mut names)?;
            names.sort();
            for path in names.into_iter().take(OLDER_MAX) {
                let name = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
                match signed(&path, &name)? {
                    Some(Ok(found)) => folder.older.push(found),
                    Some(Err(why)) => folder.find(Code::Key, &name, why),
                    None => {}
                }
            }
            folder.older.sort_by_key(|signed| signed.head.size);
            folder.promote();
        }
        folder.path = path;
        Ok(folder)
    }

    /// A checkpoint has its place among the others before it is the newest: a crash, or a reader at the wrong moment, may
    /// find it only there.
    fn promote(&mut self) {
        let keys: Vec<VerifierKey> = self.keys.iter().map(|line| line.key.clone()).collect();
        let size = self.current.as_ref().map_or(0, |current| current.head.size);
        let origin = self.current.as_ref().map(|current| current.head.origin.clone());
        let Some(newest) = self.older.last().filter(|newest| newest.head.size > size) else { return };
        let ours = origin.is_some_and(|origin| origin == newest.head.origin);
        if ours && newest.note.signers(keys.iter()).is_ok_and(|signers| !signers.is_empty()) {
            self.older.extend(self.current.take());
            self.older.sort_by_key(|signed| signed.head.size);
            self.current = self.older.pop();
        }
    }

    fn find(&mut self, code: Code, file: &str, what: impl Into<String>) {
        self.findings.push((code, Place::file(file), what.into()));
    }

    fn read_keys(&mut self, path: &Path) -> io::Result<()> {
        let Some(bytes) = small_file(path)? else { return Ok(()) };
        let Ok(text) = String::from_utf8(bytes) else {
            self.find(Code::Key, "tlog/keys", "the file is not text");
            return Ok(());
        };
        for (line, number) in text.lines().zip(1..) {
            let Some((from, key)) = line.split_once(' ') else {
                self.find(Code::Key, "tlog/keys", format!("line {number} is not a tree size and a key"));
                continue;
            };
            match (decimal(from), VerifierKey::parse(key)) {
                (Some(from), Ok(key)) => self.keys.push(KeyLine { from, key }),
                (None, _) => self.find(Code::Key, "tlog/keys", format!("line {number} has no tree size")),
                (_, Err(why)) => self.find(Code::Key, "tlog/keys", format!("line {number}: {why}")),
            }
        }
        if text.is_empty() {
            self.find(Code::Key, "tlog/keys", "the file is empty");
        }
        let ascending = self.keys.windows(2).all(|pair| pair[0].from < pair[1].from);
        if !ascending || self.keys.first().is_some_and(|line| line.from != 0) {
            self.find(Code::Key, "tlog/keys", "the keys' tree sizes do not ascend from 0");
        }
        let collide = |n: usize| self.keys[..n].iter().any(|line| line.key.collides(&self.keys[n].key));
        if (0..self.keys.len()).any(collide) {
            self.find(Code::Key, "tlog/keys", "two keys have the same name and id");
        }
        if !text.is_empty() && !text.ends_with('\n') {
            self.find(Code::Key, "tlog/keys", "the last line does not end");
        }
        Ok(())
    }
}

fn walk(folder: &Path, names: &mut Vec<PathBuf>) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), names)?;
        } else if entry.file_name().to_str().is_none_or(|name| !name.starts_with('.') && !name.ends_with(".tmp")) {
            names.push(entry.path());
        }
    }
    Ok(())
}

fn small_file(path: &Path) -> io::Result<Option<Vec<u8>>> {
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
        Ok(metadata) if metadata.len() > NOTE_MAX as u64 => {
            Err(io::Error::other(format!("{} is too long", path.display())))
        }
        Ok(_) => segment::bytes_of(path).map(Some),
    }
}

fn signed(path: &Path, name: &str) -> io::Result<Option<Result<Signed, String>>> {
    Ok(small_file(path)?.map(|bytes| Signed::parse(name, &bytes, false)))
}

/// What a leaf of the tree and the header that should be it have to do with each other, counted.
#[derive(Default)]
struct Differences {
    counts: BTreeMap<(Code, u16), (u64, String)>,
}

impl Differences {
    fn add(&mut self, code: Code, core: u16, what: impl FnOnce() -> String) {
        let slot = self.counts.entry((code, core)).or_default();
        slot.0 += 1;
        if slot.0 <= NAMED {
            let separator = if slot.1.is_empty() { "" } else { "; " };
            slot.1 = format!("{}{separator}{}", slot.1, what());
        }
    }
}

struct Check<'a> {
    log: usize,
    report: &'a mut Report,
    path: &'a Path,
    differences: Differences,
    /// A tile or bundle does not hold by itself.
    tiles_wrong: bool,
    /// Tiles of hashes that are not there, or empty. They are not synced, since they follow from the entries.
    tiles_lost: u64,
}

impl Check<'_> {
    fn find(&mut self, code: Code, file: impl Into<String>, what: impl Into<String>) {
        self.report.add(Finding { code, log: self.log, place: Place::file(file), what: what.into() });
    }

    fn unusable(&mut self, kind: &str, index: u64, why: Unusable) -> io::Result<()> {
        if kind != "entries" && matches!(why, Unusable::Missing | Unusable::Empty) {
            self.tiles_lost += 1;
            return Ok(());
        }
        let (code, what) = match why {
            Unusable::Empty => (Code::Trunc, "the tile is empty"),
            Unusable::Missing => (Code::Del, "the tile is missing"),
            Unusable::Length { longer: false } => (Code::Trunc, "the tile is cut off"),
            Unusable::Length { longer: true } => (Code::Ins, "the tile is longer than it can be"),
            Unusable::Io(error) => return Err(error),
        };
        self.tiles_wrong = true;
        self.find(code, tiles::name(kind, index), what);
        Ok(())
    }
}

/// Roots that were asked for, and places of blocks in the tree.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    /// Root by size.
    pub(crate) roots: BTreeMap<u64, Hash>,
    /// Earliest and latest wall clock of the blocks between two sizes that were asked for, by the second.
    pub(crate) walls: Walls,
    /// Leaf of a block that was asked for, by core and number.
    pub(crate) leaves: BTreeMap<(u16, u64), u64>,
    /// Leaves that could be read.
    pub(crate) size: u64,
    /// Blocks of the log that are no leaf.
    pub(crate) beyond: u64,
}

/// Checks the tree of a log.
pub(crate) fn check(
    log: usize,
    folder: &mut Folder,
    lists: &[(u16, Vec<(u64, PathBuf)>)],
    against: &Against<'_>,
    report: &mut Report,
) -> io::Result<()> {
    for (code, place, what) in folder.findings.drain(..) {
        report.add(Finding { code, log, place, what });
    }
    let mut check = Check {
        log,
        report,
        path: &folder.path,
        differences: Differences::default(),
        tiles_wrong: false,
        tiles_lost: 0,
    };
    let Some(current) = &folder.current else {
        return no_checkpoint(&mut check, folder, against);
    };
    let mut sizes: BTreeSet<u64> = folder.older.iter().chain(against.kept).map(|signed| signed.head.size).collect();
    sizes.insert(current.head.size);
    sizes.retain(|&size| size <= current.head.size);
    let asked: BTreeSet<(u16, u64)> = against
        .acts
        .iter()
        .filter(|acted| matches!(acted.act, Act::Rotate { .. }))
        .map(|acted| (acted.core, acted.block))
        .collect();
    let walked = walk_leaves(&mut check, current.head.size, &sizes, &asked, lists)?;

    if check.tiles_lost > 0 {
        let what =
            format!("{} tiles of hashes are missing, which a start computes again from the entries", check.tiles_lost);
        check.report.notes.push(what);
    }
    let mut tree = TreeReport {
        origin: current.head.origin.clone(),
        size: current.head.size,
        root: current.head.root,
        beyond: walked.beyond,
        ..TreeReport::default()
    };
    roots(&mut check, current, &folder.older, against.kept, &walked, &mut tree);
    keys(&mut check, folder, current, against, &walked, &mut tree);
    let seen = anchors::seen(folder.older.iter().chain(against.kept).chain([current]), against.witnesses);
    tree.cosigned = anchors::newest(&seen).into_iter().map(|(name, (size, time))| (name, size, time)).collect();
    let mut find = |code, file: &str, what: String| check.find(code, file, what);
    anchors::times(&seen, &walked.walls, &mut find);
    anchors::policy(&seen, against.policy, against.anchor_max_age_s, against.acts, against.last_wall_ns, &mut find);
    if let Some(report) = check.report.logs.get_mut(log) {
        report.tree = Some(tree);
    }
    Ok(())
}

fn no_checkpoint(check: &mut Check<'_>, folder: &Folder, against: &Against<'_>) -> io::Result<()> {
    let anchored = against.acts.iter().any(|acted| matches!(acted.act, Act::Anchor { .. } | Act::Rotate { .. }));
    let malformed = check.report.findings.iter().any(|f| f.log == check.log && f.place.file == "tlog/checkpoint");
    for kept in against.kept {
        let what = format!("a tree of {} blocks is known to have existed, and there is no checkpoint", kept.head.size);
        check.find(Code::Trunc, kept.file.clone(), what);
    }
    if malformed {
        return Ok(());
    }
    if !folder.older.is_empty() || anchored {
        check.find(Code::Trunc, "tlog/checkpoint", "the log was signed once, and its checkpoint is gone");
    } else if !against.keys.is_empty() {
        check.find(Code::Key, "tlog/checkpoint", "a key was given, and nothing is signed");
    }
    Ok(())
}

/// Goes over all leaves once.
fn walk_leaves(
    check: &mut Check<'_>,
    size: u64,
    sizes: &BTreeSet<u64>,
    asked: &BTreeSet<(u16, u64)>,
    lists: &[(u16, Vec<(u64, PathBuf)>)],
) -> io::Result<Walked> {
    let mut cursors = Vec::with_capacity(lists.len());
    for (core, segments) in lists {
        cursors.push(Cursor::new(*core, segments)?);
    }
    let mut walked = Walked::default();
    let mut frontier = Frontier::default();
    let mut wall = (u64::MAX, 0);
    // Hashes of the tile of each level above the lowest that is being filled.
    let mut upper: Vec<Vec<Hash>> = Vec::new();
    if sizes.contains(&0) {
        walked.roots.insert(0, merkle::empty());
    }
    for index in 0..size.div_ceil(WIDTH) {
        let width = (size - index * WIDTH).min(WIDTH);
        let entries = match tiles::entries(check.path, index, width) {
            Ok(entries) => entries,
            Err(why) => {
                check.unusable("entries", index, why)?;
                Vec::new()
            }
        };
        let hashes = match tiles::hashes(check.path, 0, index, width) {
            Ok(hashes) => hashes,
            Err(why) => {
                check.unusable("0", index, why)?;
                if entries.len() as u64 != width {
                    // Without both nothing is known of these leaves, and of nothing behind them.
                    return Ok(walked);
                }
                entries.iter().map(|entry| merkle::leaf(entry)).collect()
            }
        };
        let mut hashes = hashes;
        for (number, leaf) in (index * WIDTH..).zip(&mut hashes) {
            let entry = entries.get((number - index * WIDTH) as usize).map(Vec::as_slice);
            let other = entry.map(merkle::leaf).filter(|other| other != leaf);
            if other.is_some() {
                check.tiles_wrong = true;
                let what = format!("entry {number} is not what leaf {number} is the hash of");
                check.find(Code::Hdr, tiles::name("entries", index), what);
            }
            // Either of the two may be damaged: the one that is a header of the log is the good one.
            match next_header(&mut cursors, &[*leaf, other.unwrap_or(*leaf)])? {
                Some(Placed { core, block, leaf: good, wall_ns: [first, last] }) => {
                    *leaf = good;
                    wall = (wall.0.min(first), wall.1.max(last));
                    if asked.contains(&(core, block)) {
                        walked.leaves.insert((core, block), number);
                    }
                }
                None => unplaced(check, &mut cursors, number, *leaf, entry)?,
            }
            frontier.add(*leaf);
            if sizes.contains(&frontier.size()) {
                walked.roots.insert(frontier.size(), frontier.root());
                walked.walls.insert(frontier.size(), std::mem::replace(&mut wall, (u64::MAX, 0)));
            }
        }
        walked.size = frontier.size();
        if width == WIDTH {
            fill(check, &mut upper, merkle::root(&hashes))?;
        }
    }
    // The partial tiles of the upper levels.
    for (level, hashes) in (1..).zip(&upper) {
        let done = size >> (8 * level) >> 8;
        if !hashes.is_empty() {
            compare(check, level, done, hashes)?;
        }
    }
    for cursor in &mut cursors {
        cursor.settle()?;
        while cursor.current().is_some() {
            walked.beyond += 1;
            cursor.advance()?;
            cursor.settle()?;
        }
    }
    let differences = std::mem::take(&mut check.differences);
    for ((code, core), (count, what)) in differences.counts {
        let more = if count > NAMED { format!("; and {} more", count - NAMED) } else { String::new() };
        let place = Place::core(core);
        check.report.add(Finding { code, log: check.log, place, what: format!("{what}{more}") });
    }
    Ok(walked)
}

/// Adds the root of a full tile to the level above, and so on.
fn fill(check: &mut Check<'_>, upper: &mut Vec<Vec<Hash>>, mut hash: Hash) -> io::Result<()> {
    for level in 1.. {
        if upper.len() < level {
            upper.push(Vec::new());
        }
        let Some(tile) = upper.get_mut(level - 1) else { break };
        tile.push(hash);
        if tile.len() as u64 != WIDTH {
            break;
        }
        let full = std::mem::take(tile);
        hash = merkle::root(&full);
        // The number of this tile is that of full ones before it at its level.
        let index = upper.get(level).map_or(0, Vec::len) as u64
            + upper.iter().skip(level + 1).zip(1u32..).map(|(t, up)| t.len() as u64 * WIDTH.pow(up)).sum::<u64>();
        compare(check, level as u32, index, &full)?;
    }
    Ok(())
}

fn compare(check: &mut Check<'_>, level: u32, index: u64, wanted: &[Hash]) -> io::Result<()> {
    match tiles::hashes(check.path, level, index, wanted.len() as u64) {
        Ok(found) if found == wanted => Ok(()),
        Ok(_) => {
            check.tiles_wrong = true;
            let name = tiles::name(&level.to_string(), index);
            check.find(Code::Hdr, name, "the tile does not hold the hashes of what is below it");
            Ok(())
        }
        Err(why) => check.unusable(&level.to_string(), index, why),
    }
}

/// A leaf that is the next header of a core.
struct Placed {
    core: u16,
    block: u64,
    leaf: Hash,
    wall_ns: [u64; 2],
}

/// Finds the header that a leaf is the hash of, the next one of some core, and goes on behind it.
fn next_header(cursors: &mut [Cursor<'_>], leaves: &[Hash]) -> io::Result<Option<Placed>> {
    let is_next = |cursor: &Cursor<'_>| cursor.current().is_some_and(|found| leaves.contains(&found.leaf));
    let mut at = cursors.iter().position(is_next);
    if at.is_none() {
        // A header may stand before a write that did not finish.
        let mut moved = false;
        for cursor in cursors.iter_mut() {
            moved |= cursor.settle()?;
        }
        if moved {
            at = cursors.iter().position(is_next);
        }
    }
    let Some(cursor) = at.and_then(|at| cursors.get_mut(at)) else { return Ok(None) };
    let core = cursor.core;
    let placed =
        |found: &Found| Placed { core, block: found.header.number, leaf: found.leaf, wall_ns: found.header.wall_ns };
    let found = cursor.current().map(placed);
    cursor.advance()?;
    Ok(found)
}

/// Says what is wrong with a leaf that is no core's next header.
fn unplaced(
    check: &mut Check<'_>,
    cursors: &mut [Cursor<'_>],
    number: u64,
    leaf: Hash,
    entry: Option<&[u8]>,
) -> io::Result<()> {
    let header = entry
        .filter(|entry| merkle::leaf(entry) == leaf)
        .and_then(|entry| entry.try_into().ok())
        .and_then(|entry| crate::block::Header::parse(entry).ok());
    let Some(header) = header else {
        check.differences.add(Code::Hdr, 0, || format!("leaf {number} is not the hash of any core's next header"));
        return Ok(());
    };
    let (core, block) = (header.core, header.number);
    let Some(cursor) = cursors.iter_mut().find(|cursor| cursor.core == core) else {
        check.differences.add(Code::Trunc, core, || format!("block {block} is in the tree, and its core has no log"));
        return Ok(());
    };
    match cursor.current().map(|found| found.header.number) {
        None if block >= cursor.expected() => {
            check.differences.add(Code::Trunc, core, || format!("block {block} is in the tree and gone from the end"));
        }
        Some(next) if block == next => {
            check.differences.add(Code::Hdr, core, || format!("block {block} is not the one in the tree"));
            cursor.advance()?;
        }
        Some(next) if block > next => {
            check.differences.add(Code::Reord, core, || format!("block {block} is in the tree before block {next}"));
            while cursor.current().is_some_and(|found| found.header.number < block) {
                cursor.advance()?;
            }
            if cursor.current().is_some_and(|found| found.leaf == leaf) {
                cursor.advance()?;
            }
        }
        Some(_) if block >= cursor.expected() => {
            check.differences.add(Code::Del, core, || format!("block {block} is in the tree and missing"));
        }
        _ => check.differences.add(Code::Ins, core, || format!("block {block} is in the tree once more")),
    }
    Ok(())
}

/// Compares roots with checkpoints: the current one, older ones, and those that were kept elsewhere.
fn roots(
    check: &mut Check<'_>,
    current: &Signed,
    older: &[Signed],
    kept: &[Signed],
    walked: &Walked,
    tree: &mut TreeReport,
) {
    let size = current.head.size;
    if walked.size == size && walked.roots.get(&size) != Some(&current.head.root) {
        if check.tiles_wrong {
            check.find(Code::Hdr, "tlog/tile", "the tiles do not lead to the signed root");
        } else {
            check.find(
                Code::Fork,
                current.file.clone(),
                format!("the signed root of {size} blocks is not that of the tree"),
            );
        }
    }
    for old in older.iter().chain(kept) {
        let head = &old.head;
        if head.origin != current.head.origin {
            check.find(Code::Key, old.file.clone(), format!("the checkpoint is of another log, {}", head.origin));
        } else if head.size > size {
            let what =
                format!("the tree has {size} blocks and had {} before: it went back to an earlier state", head.size);
            check.find(Code::Roll, old.file.clone(), what);
            if old.kept {
                let have = walked.size + walked.beyond;
                if have < head.size {
                    let what = format!("{} blocks are known to have existed, and {have} are there", head.size);
                    check.find(Code::Trunc, old.file.clone(), what);
                }
            }
        } else if walked.roots.get(&head.size).is_some_and(|root| *root != head.root) && !check.tiles_wrong {
            let what = format!("the tree's first {} blocks are not those that were signed there", head.size);
            check.find(Code::Fork, old.file.clone(), what);
        } else {
            tree.older += 1;
        }
    }
}

/// Checks who signed.
fn keys(
    check: &mut Check<'_>,
    folder: &Folder,
    current: &Signed,
    against: &Against<'_>,
    walked: &Walked,
    tree: &mut TreeReport,
) {
    let lines: Vec<KeyLine> = if folder.keys.is_empty() {
        against.keys.iter().filter(|key| !key.is_witness()).map(|key| KeyLine { from: 0, key: key.clone() }).collect()
    } else {
        folder.keys.clone()
    };
    if lines.is_empty() {
        return check.find(Code::Key, "tlog/keys", "the log names no key, and none was given");
    }
    // A key is known if it was given, or if the log, signed by a known key, names it as the next one.
    let given = |key: &VerifierKey| against.keys.contains(key);
    let anything_given = against.keys.iter().any(|key| !key.is_witness());
    let mut trusted = false;
    let mut active: Vec<(KeyLine, u64, bool)> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let until = lines.get(number + 1).filter(|_| !folder.keys.is_empty()).map_or(u64::MAX, |next| next.from);
        let rotated = against.acts.iter().find(|acted| {
            let of_key = matches!(&acted.act, Act::Rotate { key } if VerifierKey::parse(key).as_ref() == Ok(&line.key));
            of_key && walked.leaves.get(&(acted.core, acted.block)).is_some_and(|&leaf| leaf < line.from)
        });
        // Keys are listed before the first checkpoint that they sign is published.
        let in_force = line.from <= current.head.size;
        if number > 0 && in_force && rotated.is_none() && !folder.keys.is_empty() && !given(&line.key) {
            let what = format!("no record under an earlier checkpoint announces the key {}", line.key.label());
            check.find(Code::Key, "tlog/keys", what);
            trusted = false;
        }
        trusted = trusted || given(&line.key);
        active.push((line.clone(), until, trusted));
    }
    for acted in against.acts {
        if let Act::Rotate { key } = &acted.act
            && let Ok(key) = VerifierKey::parse(key)
            && walked.leaves.contains_key(&(acted.core, acted.block))
            && !lines.iter().any(|line| line.key == key)
        {
            check.find(Code::Key, "tlog/keys", format!("the key {} was announced and is not listed", key.label()));
        }
    }
    let all: Vec<&VerifierKey> = lines.iter().map(|line| &line.key).chain(against.witnesses).collect();
    for signed in folder.older.iter().chain(against.kept).chain([current]) {
        let signers = match signed.note.signers(all.iter().copied()) {
            Ok(signers) => signers,
            Err(why) => {
                check.find(Code::Key, signed.file.clone(), why);
                continue;
            }
        };
        let at = |(line, until, _): &&(KeyLine, u64, bool)| line.from <= signed.head.size && signed.head.size <= *until;
        let by = |entry: &&(KeyLine, u64, bool)| signers.iter().any(|(key, _)| *key == &entry.0.key);
        // An older checkpoint that the current tree contains needs no trust of its own.
        let known = |entry: &&(KeyLine, u64, bool)| entry.2 || !anything_given || !std::ptr::eq(signed, current);
        match active.iter().filter(by).filter(at).max_by_key(|entry| entry.2) {
            Some(entry) if known(&entry) => {
                if std::ptr::eq(signed, current) {
                    tree.key = entry.0.key.label();
                    tree.trusted = entry.2;
                }
            }
            Some(entry) => {
                let what =
                    format!("the checkpoint is signed by {}, which is not a key that was given", entry.0.key.label());
                check.find(Code::Key, signed.file.clone(), what);
            }
            None => {
                let what = match active.iter().find(by) {
                    Some((line, ..)) => format!("{} may not sign a tree of this size", line.key.label()),
                    None => "the checkpoint is not signed by a key of this log".to_owned(),
                };
                check.find(Code::Key, signed.file.clone(), what);
            }
        }
        if let Some((key, _)) = signers.iter().find(|(key, _)| !key.is_witness() && key.name() != signed.head.origin) {
            let what = format!("the key {} is not named like the log it signs", key.label());
            check.find(Code::Key, signed.file.clone(), what);
        }
    }
}
