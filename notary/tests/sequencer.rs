//! The sequencer on small logs: what is published verifies with another implementation, survives restarts, and nothing
//! that was changed behind its back is signed.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod log;

use audit::{Body, record::Record};
use log::{CoreLog, copy};
use notary::{
    Error, FileSigner, Folders, Notary,
    keys::{self, Keyring},
    sequencer::Append,
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
};
use tempfile::TempDir;
use tlog::{Checkpoint, Hash, Note, SigningKey, Tile, note::KeyKind, tile, tree};

const ORIGIN: &str = "tidegate/test";

struct Node {
    folder: TempDir,
}

impl Node {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        keys::create(&folder.path().join("key"), ORIGIN, KeyKind::Log).unwrap();
        Self { folder }
    }

    fn directory(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn tlog(&self) -> PathBuf {
        self.directory().join("tlog")
    }

    fn open(&self) -> Result<Notary, Error> {
        let signer = FileSigner::new(Keyring::open(&self.folder.path().join("key")).unwrap());
        Notary::open(&Folders { directory: self.directory(), spare: None }, Box::new(signer))
    }

    fn core(&self, core: u16) -> CoreLog {
        CoreLog::new(&self.directory(), core)
    }
}

fn refusal(node: &Node) -> String {
    match node.open() {
        Err(error @ Error::Disagree(_)) => error.to_string(),
        Err(error) => panic!("another error: {error}"),
        Ok(_) => panic!("it opened"),
    }
}

/// The published checkpoint, read and verified by the other implementation.
fn published(tlog: &Path) -> (u64, [u8; 32]) {
    let bytes = fs::read(tlog.join("checkpoint")).unwrap();
    let line = fs::read_to_string(tlog.join("keys")).unwrap();
    let (_, key) = line.lines().last().unwrap().split_once(' ').unwrap();
    let verifier = signed_note::StandardVerifier::new(key).unwrap();
    let note = signed_note::Note::from_bytes(&bytes).unwrap();
    note.verify(&signed_note::VerifierList::new(vec![Box::new(verifier)])).unwrap();
    let checkpoint = tlog_tiles::Checkpoint::from_bytes(note.text()).unwrap();
    assert_eq!(checkpoint.origin(), ORIGIN);
    (checkpoint.size(), checkpoint.hash().0)
}

/// The entries of the tree, from its bundles alone, and their root, computed leaf by leaf.
fn entries(tlog: &Path, size: u64) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for index in 0..size.div_ceil(256) {
        let bytes = fs::read(tlog.join(Tile::of(0, index, size).unwrap().entries_path())).unwrap();
        all.extend(tile::entries(&bytes).unwrap().into_iter().map(<[u8]>::to_vec));
    }
    all
}

fn root_of(entries: &[Vec<u8>]) -> [u8; 32] {
    let mut edge = tlog::Edge::default();
    entries.iter().for_each(|entry| edge.push(Hash::leaf(entry), |_, _| {}));
    edge.root().0
}

#[test]
fn headers_of_all_cores_go_into_one_tree_in_order() {
    let node = Node::new();
    let (mut zero, mut one) = (node.core(0), node.core(1));
    let mut notary = node.open().unwrap();
    assert_eq!(notary.origin(), ORIGIN);
    assert!(notary.step().unwrap());
    assert_eq!(published(&node.tlog()).0, 2);
    assert!(!notary.step().unwrap(), "nothing new, nothing published");
    zero.blocks(300);
    one.blocks(5);
    assert!(notary.step().unwrap());
    one.blocks(700);
    zero.blocks(1);
    assert!(notary.step().unwrap());
    let (size, root) = published(&node.tlog());
    assert_eq!(size, 2 + 300 + 5 + 701);
    let found = entries(&node.tlog(), size);
    let mut expected: Vec<Vec<u8>> = Vec::new();
    let mut take = |log: &CoreLog, range: std::ops::Range<usize>| {
        expected.extend(log.headers[range].iter().map(|h| h.to_vec()));
    };
    take(&zero, 0..1);
    take(&one, 0..1);
    take(&zero, 1..301);
    take(&one, 1..6);
    take(&zero, 301..302);
    take(&one, 6..706);
    assert_eq!(found, expected);
    assert_eq!(root_of(&found), root);
    // Every tile of the published size is there, and proofs made from the files hold.
    let files = notary.tiles();
    let tiled = tile::Tiled { reader: &files, size };
    for (level, index) in [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0)] {
        let tile = Tile::of(level, index, size).unwrap();
        assert!(node.tlog().join(tile.path()).is_file(), "{}", tile.path());
    }
    for index in [0, 255, 256, 777, size - 1] {
        let path = tree::inclusion(&tiled, index, size).unwrap();
        tree::verify_inclusion(Hash::leaf(&found[index as usize]), index, size, Hash(root), &path).unwrap();
    }
    assert!(!node.tlog().join("tile/0/000.p").exists(), "partial files of full tiles are gone");
    let history: Vec<_> =
        fs::read_dir(node.tlog().join("checkpoints")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(history.len(), 3);
    assert!(history.iter().any(|name| name == "00000000000000000307"));
}

#[test]
fn a_restart_goes_on_where_it_was_and_keeps_the_order() {
    let node = Node::new();
    let (mut zero, mut one) = (node.core(0), node.core(1));
    for round in 0..7 {
        zero.blocks(31 * round);
        one.blocks(17);
        let mut notary = node.open().unwrap();
        assert!(notary.step().unwrap());
        let (size, root) = published(&node.tlog());
        assert_eq!(size, zero.blocks + one.blocks);
        assert_eq!(root_of(&entries(&node.tlog(), size)), root);
    }
}

#[test]
fn only_what_is_durable_is_taken() {
    let node = Node::new();
    let mut zero = node.core(0);
    zero.blocks(9);
    let limit = Arc::new(AtomicU64::new(4));
    let mut notary = node.open().unwrap();
    let read = Arc::clone(&limit);
    notary.follow(Some(Box::new(move |_| Some(read.load(Ordering::Relaxed)))));
    notary.step().unwrap();
    assert_eq!(notary.size(), 4);
    limit.store(10, Ordering::Relaxed);
    notary.step().unwrap();
    assert_eq!(notary.size(), 10);
    // The gateway says that a block is durable which is not there: somebody removed it.
    limit.store(11, Ordering::Relaxed);
    assert!(matches!(notary.step(), Err(Error::Disagree(_))));
}

#[test]
fn without_a_gateway_whole_blocks_are_taken_and_half_ones_are_not() {
    let node = Node::new();
    let mut zero = node.core(0);
    zero.blocks(3);
    let (path, at) = zero.end();
    zero.blocks(1);
    let whole = fs::read(&path).unwrap();
    let mut half = whole.clone();
    half[at as usize + 300] ^= 1;
    fs::write(&path, &half).unwrap();
    let mut notary = node.open().unwrap();
    notary.step().unwrap();
    assert_eq!(notary.size(), 4);
    fs::write(&path, &whole).unwrap();
    notary.step().unwrap();
    assert_eq!(notary.size(), 5);
}

#[test]
fn acts_at_the_desk_are_in_the_tree() {
    let node = Node::new();
    let _zero = node.core(0);
    let act = Record::NodeRetire { origin: "", reason: "test" };
    audit::desk::write(&node.directory(), "test", [7; 32], &[act]).unwrap();
    let mut notary = node.open().unwrap();
    notary.step().unwrap();
    assert_eq!(notary.size(), 2);
    audit::desk::write(&node.directory(), "test", [8; 32], &[Record::NodeRetire { origin: "", reason: "more" }])
        .unwrap();
    notary.step().unwrap();
    assert_eq!(notary.size(), 3);
    drop(notary);
    assert_eq!(node.open().unwrap().size(), 3);
}

#[test]
fn a_spare_directory_is_read_too() {
    let node = Node::new();
    let mut zero = node.core(0);
    let spare = node.folder.path().join("spare");
    zero.blocks(40);
    // The later segments stand in the spare directory.
    let segments = fs::read_dir(node.directory().join("core-00")).unwrap().map(|e| e.unwrap().path());
    let later: Vec<_> = segments.filter(|p| !p.ends_with("0000000000000000.tgseg")).collect();
    assert!(!later.is_empty());
    fs::create_dir_all(spare.join("core-00")).unwrap();
    for path in later {
        fs::rename(&path, spare.join("core-00").join(path.file_name().unwrap())).unwrap();
    }
    let signer = FileSigner::new(Keyring::open(&node.folder.path().join("key")).unwrap());
    let folders = Folders { directory: node.directory(), spare: Some(spare) };
    let mut notary = Notary::open(&folders, Box::new(signer)).unwrap();
    notary.step().unwrap();
    assert_eq!(notary.size(), 41);
}

#[test]
fn whatever_was_changed_meanwhile_is_refused_at_the_start() {
    let node = Node::new();
    let mut zero = node.core(0);
    zero.blocks(300);
    node.open().unwrap().step().unwrap();
    let early = node.folder.path().join("early");
    copy(&node.directory(), &early);
    zero.blocks(50);
    node.open().unwrap().step().unwrap();
    let good = node.folder.path().join("good");
    copy(&node.directory(), &good);
    let restore = |from: &Path| {
        fs::remove_dir_all(node.directory()).unwrap();
        copy(from, &node.directory());
    };
    let change = |path: &str, at: usize| {
        let path = node.directory().join(path);
        let mut bytes = fs::read(&path).unwrap();
        bytes[at] ^= 1;
        fs::write(path, bytes).unwrap();
    };

    // The log without its end, the tree complete.
    fs::remove_dir_all(node.directory().join("core-00")).unwrap();
    copy(&early.join("core-00"), &node.directory().join("core-00"));
    assert!(refusal(&node).contains("rolled back"));
    // The tree without its end, the checkpoint new.
    restore(&good);
    fs::remove_dir_all(node.tlog().join("tile")).unwrap();
    copy(&early.join("tlog/tile"), &node.tlog().join("tile"));
    assert!(refusal(&node).contains("rolled back"));
    // An entry, a tile, a header in the log, the checkpoint.
    for (what, path, at) in [
        ("entry", "tlog/tile/entries/000", 700),
        ("tile", "tlog/tile/0/000", 900),
        ("partial tile", "tlog/tile/1/000.p/1", 3),
        ("checkpoint's size", "tlog/checkpoint", 15),
        ("checkpoint's signature", "tlog/checkpoint", 120),
    ] {
        restore(&good);
        change(path, at);
        let refused = refusal(&node);
        assert!(!refused.is_empty(), "{what}");
    }
    // The last block of the log is another one.
    restore(&good);
    let (path, at) = zero.end();
    let mut bytes = fs::read(&path).unwrap();
    bytes[at as usize - 4096 + 20] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(refusal(&node).contains("which the log does not hold"));
    // Another key.
    restore(&good);
    fs::remove_file(node.folder.path().join("key")).unwrap();
    keys::create(&node.folder.path().join("key"), ORIGIN, KeyKind::Log).unwrap();
    assert!(refusal(&node).contains("rotate"));
}

#[test]
fn what_a_crash_took_of_the_tiles_is_made_again() {
    let node = Node::new();
    let mut zero = node.core(0);
    zero.blocks(600);
    node.open().unwrap().step().unwrap();
    let (size, root) = published(&node.tlog());
    for (path, left) in [("tile/0/000", 0), ("tile/0/001", 100), ("tile/1/000.p/2", 0)] {
        let path = node.tlog().join(path);
        let bytes = fs::read(&path).unwrap();
        fs::write(&path, vec![0; left]).unwrap();
        let mut notary = node.open().unwrap();
        assert!(!notary.step().unwrap());
        assert_eq!(fs::read(&path).unwrap(), bytes, "{}", path.display());
    }
    fs::remove_dir_all(node.tlog().join("tile/0")).unwrap();
    node.open().unwrap();
    assert_eq!(published(&node.tlog()), (size, root));
}

/// A crash between the entries and the checkpoint: the order that the entries have is kept.
#[test]
fn entries_that_no_checkpoint_covers_keep_their_place() {
    let node = Node::new();
    let (mut zero, mut one) = (node.core(0), node.core(1));
    let mut notary = node.open().unwrap();
    notary.step().unwrap();
    let before = fs::read(node.tlog().join("checkpoint")).unwrap();
    one.blocks(3);
    notary.step().unwrap();
    zero.blocks(2);
    notary.step().unwrap();
    let after = published(&node.tlog());
    drop(notary);
    fs::write(node.tlog().join("checkpoint"), before).unwrap();
    let mut notary = node.open().unwrap();
    assert_eq!(notary.size(), 7);
    assert!(notary.is_behind());
    notary.step().unwrap();
    assert_eq!(published(&node.tlog()), after, "the same tree is signed again");
}

/// A log whose appended records come into it as blocks of core 0.
fn appending(zero: &Arc<Mutex<CoreLog>>) -> Append {
    let zero = Arc::clone(zero);
    Arc::new(move |body: Body| {
        let record = body.lend().unwrap();
        zero.lock().unwrap().block(&[record]);
        true
    })
}

#[test]
fn a_rotation_is_announced_signed_by_both_and_destroys_the_old_key() {
    let node = Node::new();
    let zero = Arc::new(Mutex::new(node.core(0)));
    let key_file = node.folder.path().join("key");
    let old_text = fs::read_to_string(&key_file).unwrap();
    let mut notary = node.open().unwrap();
    notary.append_with(appending(&zero));
    notary.step().unwrap();
    let enrolled = zero.lock().unwrap().blocks;
    assert_eq!(enrolled, 2, "the node's enrolment was written once");
    notary.step().unwrap();
    assert_eq!(zero.lock().unwrap().blocks, 2);

    let next = Keyring::open(&key_file).unwrap().prepare().unwrap();
    assert_eq!(Keyring::open(&key_file).unwrap().prepare().unwrap(), next, "made once");
    // First the record appears in the log, then a checkpoint covers it.
    for _ in 0..3 {
        notary.step().unwrap();
    }
    let lines = keys::public_keys(&node.tlog().join("keys")).unwrap();
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[1].key, next);
    let turn = fs::read(node.tlog().join("checkpoints").join(notary::history::name(lines[1].from))).unwrap();
    let note = Note::parse(&turn).unwrap();
    let both = [lines[0].key.clone(), lines[1].key.clone()];
    assert_eq!(note.verify(&both).unwrap().len(), 2, "the checkpoint that covers the record is signed by both");
    assert_eq!(Checkpoint::parse(note.text()).unwrap().size, 3);
    let now = fs::read_to_string(&key_file).unwrap();
    assert_ne!(now, old_text);
    assert_eq!(SigningKey::parse(now.trim_end()).unwrap().verifier(), &next);
    assert!(!keys::next_path(&key_file).exists());

    zero.lock().unwrap().blocks(5);
    notary.step().unwrap();
    let newest = Note::parse(&fs::read(node.tlog().join("checkpoint")).unwrap()).unwrap();
    assert!(newest.verify(&both[..1]).is_err(), "the old key signs no more");
    published(&node.tlog());
    drop(notary);
    node.open().unwrap();
}

/// A crash in the rotation after both keys have signed: before the log's keys name the next one, and before the signer has
/// taken it.
#[test]
fn a_half_done_rotation_is_ended_at_the_next_start() {
    for keys_are_written in [false, true] {
        let node = Node::new();
        let zero = Arc::new(Mutex::new(node.core(0)));
        let key_file = node.folder.path().join("key");
        let keys_file = node.tlog().join("keys");
        let mut notary = node.open().unwrap();
        notary.append_with(appending(&zero));
        notary.step().unwrap();
        let old_key = fs::read(&key_file).unwrap();
        let old_keys = fs::read(&keys_file).unwrap();
        let next = Keyring::open(&key_file).unwrap().prepare().unwrap();
        let made = fs::read(keys::next_path(&key_file)).unwrap();
        while notary.keys().len() == 1 {
            notary.step().unwrap();
        }
        let lines = notary.keys().to_vec();
        drop(notary);
        for (path, bytes) in [(key_file.clone(), old_key), (keys::next_path(&key_file), made)] {
            fs::write(&path, bytes).unwrap();
            fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        }
        if !keys_are_written {
            fs::write(&keys_file, old_keys).unwrap();
        }
        let mut notary = node.open().unwrap();
        assert_eq!(notary.keys(), lines);
        assert_eq!(keys::public_keys(&keys_file).unwrap(), lines);
        assert_eq!(Keyring::open(&key_file).unwrap().current(), &next);
        zero.lock().unwrap().blocks(1);
        assert!(notary.step().unwrap());
        published(&node.tlog());
    }
}

#[test]
fn key_files_that_others_may_read_are_refused() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let made = keys::create(&path, ORIGIN, KeyKind::Log).unwrap();
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(keys::load(&path, KeyKind::Log).unwrap().unwrap().verifier(), made.verifier());
    assert!(keys::create(&path, ORIGIN, KeyKind::Log).unwrap_err().to_string().contains("cannot be made"));
    assert!(keys::create(&folder.path().join("k"), "a b", KeyKind::Log).is_err());
    assert!(keys::load(&path, KeyKind::Witness).unwrap_err().to_string().contains("not of a witness"));
    for mode in [0o640, 0o604, 0o660] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        assert!(keys::load(&path, KeyKind::Log).unwrap_err().to_string().contains("chmod 600"), "{mode:o}");
    }
    assert!(Keyring::open(&folder.path().join("absent")).unwrap_err().to_string().contains("keys new --log"));
}
