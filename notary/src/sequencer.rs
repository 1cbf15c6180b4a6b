//! Puts the headers of all cores into one tree and publishes signed checkpoints of it.
//!
//! In the order (core, block) per step; what is once in the tree stays there. A checkpoint is signed only when everything
//! it covers is durable, and published only when its signature holds. On start the tree is computed again from its
//! entries and compared with its tiles, with the published checkpoint, with what the signer remembers and with the log;
//! whatever does not fit stops the notary, never the data path. Deliberately absent: time, except that of files.

use crate::{
    error::Error,
    files,
    headers::{self, CoreReader},
    history,
    keys::{self, KeyLine},
    signer::{SignRequest, Signer, SignerState},
    tree_files::{Loaded, TileFiles, Tree},
};
use audit::{Body, DirectoryLock};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};
use tlog::{Checkpoint, Hash, Note, VerifierKey, tile::Tiled, tree};

/// Headers taken in one step, so that a step ends.
const STEP_HEADERS_MAX: usize = 1 << 16;
/// How long the record of a rotation may take to appear in the log before it is posted again.
const ROTATION_PATIENCE: Duration = Duration::from_secs(30);
/// Longest checkpoint file.
const CHECKPOINT_BYTES_MAX: u64 = 256 << 10;

/// For each core, the first block that is not durable yet; `None` for a core that does not run.
pub type Durable = Box<dyn Fn(u16) -> Option<u64> + Send>;
/// Appends a record to the log; false if it cannot be taken now.
pub type Append = Arc<dyn Fn(Body) -> bool + Send + Sync>;

/// A checkpoint and its signatures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// What it says.
    pub checkpoint: Checkpoint,
    /// The signed note.
    pub note: Note,
}

/// Where the log stands and where its tree goes.
#[derive(Clone, Debug)]
pub struct Folders {
    /// The audit directory; the tree is in `tlog` below it.
    pub directory: PathBuf,
    /// A second place for segments.
    pub spare: Option<PathBuf>,
}

impl Folders {
    /// The folder of the tree.
    #[must_use]
    pub fn tlog(&self) -> PathBuf {
        self.directory.join("tlog")
    }

    pub(crate) fn roots(&self) -> Vec<PathBuf> {
        [Some(self.directory.clone()), self.spare.clone()].into_iter().flatten().collect()
    }
}

enum Rotation {
    None,
    Announced { key: VerifierKey, posted: Instant, seen: bool },
}

/// The sequencer of a node.
pub struct Notary {
    roots: Vec<PathBuf>,
    folder: PathBuf,
    tree: Tree,
    readers: BTreeMap<u16, CoreReader>,
    signer: Box<dyn Signer>,
    lines: Vec<KeyLine>,
    published: Option<Published>,
    durable: Option<Durable>,
    append: Option<Append>,
    rotation: Rotation,
    enrolled: bool,
    _lock: DirectoryLock,
}

impl fmt::Debug for Notary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notary({}, size {})", self.folder.display(), self.tree.size())
    }
}

impl Notary {
    /// Loads the tree and checks everything against everything. Signs nothing.
    ///
    /// # Errors
    /// [`Error::Disagree`]: somebody has to look before anything is signed again. Others: the start may be tried again.
    pub fn open(folders: &Folders, mut signer: Box<dyn Signer>) -> Result<Self, Error> {
        let (folder, roots) = (folders.tlog(), folders.roots());
        files::make_folder(&folder).map_err(Error::at(&folder))?;
        let lock = DirectoryLock::take(&folder).map_err(Error::at(&folder))?;
        let lock = lock.ok_or_else(|| Error::Disagree(format!("another notary works in {}", folder.display())))?;
        let keys_file = folder.join("keys");
        let mut lines = keys::public_keys(&keys_file)?;
        let state = signer.state()?;
        let enrolled = !lines.is_empty();
        if lines.is_empty() {
            lines.push(KeyLine { from: 0, key: state.current.clone() });
        }
        let published = read_checkpoint(&folder, &lines)?;
        let state = settle_rotation(&mut *signer, state, &keys_file, &mut lines, published.as_ref())?;
        let sizes: BTreeSet<u64> =
            published.iter().map(|p| p.checkpoint.size).chain(state.last.map(|(size, _)| size)).collect();
        let Loaded { tree, readers, roots: found } = Tree::load(&folder, &roots, &sizes)?;
        let expected = published.iter().map(|p| ("published checkpoint", p.checkpoint.size, p.checkpoint.root));
        for (what, size, root) in expected.chain(state.last.map(|(size, root)| ("signer's last signature", size, root)))
        {
            match found.get(&size) {
                Some(found) if *found == root => {}
                Some(_) => return Err(Error::Disagree(format!("the {what} of size {size} is for another tree"))),
                None => {
                    return Err(Error::Disagree(format!(
                        "the {what} is for a tree of size {size}, but the tree on the disk has size {}: \
                         the audit directory was rolled back or damaged",
                        tree.size()
                    )));
                }
            }
        }
        let size = tree.size();
        if !enrolled {
            keys::write_public_keys(&keys_file, &lines)?;
        }
        Ok(Self {
            roots,
            folder,
            tree,
            readers,
            signer,
            lines,
            published,
            durable: None,
            append: None,
            rotation: Rotation::None,
            // Also after a first start that ended before it had written anything.
            enrolled: enrolled && size > 0,
            _lock: lock,
        })
    }

    /// From now on, blocks are taken as far as the running gateway says that they are durable.
    pub fn follow(&mut self, durable: Option<Durable>) {
        self.durable = durable;
    }

    /// From now on, records can be appended to the log. The first call writes the node's enrolment, if that is due.
    pub fn append_with(&mut self, append: Append) {
        self.append = Some(append);
    }

    /// Name of the log.
    #[must_use]
    pub fn origin(&self) -> &str {
        self.lines.last().map_or("", |line| line.key.name())
    }

    /// Leaves of the tree, signed or not.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The last published checkpoint.
    #[must_use]
    pub const fn published(&self) -> Option<&Published> {
        self.published.as_ref()
    }

    /// The tree's tiles.
    #[must_use]
    pub fn tiles(&self) -> TileFiles {
        self.tree.files()
    }

    /// The public keys of the log, oldest first.
    #[must_use]
    pub fn keys(&self) -> &[KeyLine] {
        &self.lines
    }

    /// For each core, how many of its blocks are in the tree.
    #[must_use]
    pub fn covered(&self) -> BTreeMap<u16, u64> {
        self.readers.iter().map(|(core, reader)| (*core, reader.next_block())).collect()
    }

    /// Whether there are leaves that no published checkpoint covers.
    #[must_use]
    pub fn is_behind(&self) -> bool {
        self.published.as_ref().is_none_or(|p| p.checkpoint.size < self.tree.size())
    }

    /// Takes what has become durable into the tree and publishes a checkpoint if there is something new. True if it did.
    ///
    /// # Errors
    /// What was taken stays taken, and the next step goes on from there.
    pub fn step(&mut self) -> Result<bool, Error> {
        self.enrol();
        self.collect()?;
        self.tree.write()?;
        let state = self.signer.state()?;
        let last = state.last;
        self.rotate(state);
        if !self.is_behind() {
            return Ok(false);
        }
        self.publish(last.unwrap_or_else(|| (0, Hash::empty())))?;
        self.tree.remove_partial();
        Ok(true)
    }

    fn enrol(&mut self) {
        if let (false, Some(append), Some(line)) = (self.enrolled, &self.append, self.lines.first()) {
            let body = Body::NodeEnroll { origin: line.key.name().to_owned(), key: line.key.to_string() };
            self.enrolled = append(body);
        }
    }

    fn rotate(&mut self, state: SignerState) {
        let Some(next) = state.next else {
            self.rotation = Rotation::None;
            return;
        };
        if let Rotation::Announced { key, posted, seen } = &self.rotation
            && *key == next
            && (*seen || posted.elapsed() < ROTATION_PATIENCE)
        {
            return;
        }
        if let Some(append) = &self.append
            && append(Body::KeyRotate { key: next.to_string() })
        {
            self.rotation = Rotation::Announced { key: next, posted: Instant::now(), seen: false };
        }
    }

    fn collect(&mut self) -> Result<(), Error> {
        let mut room = STEP_HEADERS_MAX;
        for core in headers::cores(&self.roots)? {
            let reader = self.readers.entry(core).or_insert_with(|| CoreReader::new(&self.roots, core));
            reader.new_round();
            let limit = self.durable.as_ref().and_then(|durable| durable(core));
            while room > 0 {
                // Blocks are looked into only while the record of a rotation is awaited.
                let taken = match &mut self.rotation {
                    Rotation::Announced { key, seen, .. } if !*seen => {
                        let text = key.to_string();
                        let mut look = |block: &[u8]| *seen |= announces(block, &text);
                        reader.take(limit, Some(&mut look))?
                    }
                    _ => reader.take(limit, None)?,
                };
                let Some(header) = taken else { break };
                self.tree.push(&header)?;
                room -= 1;
            }
        }
        Ok(())
    }

    /// `last` is what the signer signed last; its answer may have been lost.
    fn publish(&mut self, last: (u64, Hash)) -> Result<(), Error> {
        let (size, root) = (self.tree.size(), self.tree.root());
        let files = self.tree.files();
        let tiled = Tiled { reader: &files, size };
        let (old, old_root) = last;
        if old > size || tree::root(&tiled, old)? != old_root {
            return Err(Error::Disagree(format!("the signer has signed a tree of size {old} that is not this one")));
        }
        let proof = tree::consistency(&tiled, old, size)?;
        let checkpoint = Checkpoint::new(self.origin(), size, root);
        let next = match &self.rotation {
            Rotation::Announced { key, seen: true, .. } => Some(key.clone()),
            _ => None,
        };
        let both = next.is_some();
        let signatures = self.signer.sign(&SignRequest { checkpoint: &checkpoint, old, proof: &proof, both })?;
        let wrong = |what: &str| Error::Signer(what.to_owned());
        let note = Note::new(checkpoint.to_string(), signatures).map_err(|_| wrong("signed nothing"))?;
        let mut wanted: Vec<VerifierKey> = self.lines.last().map(|line| line.key.clone()).into_iter().collect();
        wanted.extend(next.clone());
        match note.verify(&wanted) {
            Ok(good) if good.len() == wanted.len() => {}
            _ => return Err(wrong("its signature is not by the log's key; was the key replaced without a rotation?")),
        }
        // Both have signed before the log names the next key, so that there is no time at which it stands by itself.
        history::publish(&self.folder, size, note.to_string().as_bytes())?;
        self.published = Some(Published { checkpoint, note });
        if let Some(key) = next {
            self.lines.push(KeyLine { from: size, key: key.clone() });
            keys::write_public_keys(&self.folder.join("keys"), &self.lines)?;
            self.signer.finish(&key)?;
            self.rotation = Rotation::None;
        }
        Ok(())
    }
}

/// Whether a block holds the record that announces this key.
fn announces(block: &[u8], wanted: &str) -> bool {
    let Ok(block) = audit::decode_block(block) else { return false };
    block.records().any(|(_, record)| {
        audit::decode_record(record).is_ok_and(|r| matches!(&r.body, Body::KeyRotate { key } if key == wanted))
    })
}

/// Ends a rotation that a crash left half done: the published checkpoint is signed by the next key too, or the log's keys
/// already name it.
fn settle_rotation(
    signer: &mut dyn Signer,
    state: SignerState,
    keys_file: &Path,
    lines: &mut Vec<KeyLine>,
    published: Option<&Published>,
) -> Result<SignerState, Error> {
    if let (Some(next), Some(published)) = (&state.next, published)
        && lines.last().is_some_and(|newest| newest.key == state.current)
        && published.note.verify(std::slice::from_ref(next)).is_ok()
    {
        lines.push(KeyLine { from: published.checkpoint.size, key: next.clone() });
        keys::write_public_keys(keys_file, lines)?;
    }
    let Some(newest) = lines.last() else { return Ok(state) };
    if state.current == newest.key {
        return Ok(state);
    }
    if state.next.as_ref() == Some(&newest.key) {
        signer.finish(&newest.key)?;
        return signer.state();
    }
    Err(Error::Disagree(format!(
        "the signer's key is {}, but the log is signed by {}: a log's key changes by `tidegate keys rotate` or \
         `tidegate signer rotate` alone",
        state.current, newest.key
    )))
}

/// The published checkpoint, if there is one. One of the log's keys has signed it.
///
/// # Errors
/// It is unreadable, or nobody signed it who may.
pub fn read_checkpoint(tlog: &Path, lines: &[KeyLine]) -> Result<Option<Published>, Error> {
    let path = tlog.join("checkpoint");
    let Some(bytes) = files::read(&path, CHECKPOINT_BYTES_MAX).map_err(Error::at(&path))? else {
        return Ok(None);
    };
    let wrong = |what: &dyn fmt::Display| Error::Disagree(format!("{}: {what}", path.display()));
    let note = Note::parse(&bytes).map_err(|e| wrong(&e))?;
    let keys: Vec<VerifierKey> = lines.iter().map(|line| line.key.clone()).collect();
    note.verify(&keys).map_err(|e| wrong(&e))?;
    let checkpoint = Checkpoint::parse(note.text()).map_err(|e| wrong(&e))?;
    if lines.last().is_some_and(|line| line.key.name() != checkpoint.origin) {
        return Err(wrong(&"is of another log"));
    }
    Ok(Some(Published { checkpoint, note }))
}

/// Sets a tree aside that somebody decided to lose, so that a new one can begin.
///
/// # Errors
/// The file system's.
pub fn set_aside(tlog: &Path) -> Result<PathBuf, Error> {
    let parent = tlog.parent().unwrap_or_else(|| Path::new("."));
    let mut names = (1u32..).map(|n| parent.join(format!("tlog.lost.{n}")));
    let target = names.find(|path| fs::symlink_metadata(path).is_err()).unwrap_or_else(|| parent.join("tlog.lost"));
    fs::rename(tlog, &target).map_err(Error::at(tlog))?;
    files::sync_folder(parent).map_err(Error::at(parent))?;
    Ok(target)
}
