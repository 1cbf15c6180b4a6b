//! Headers are read many at a time while a gateway says what is durable: what is taken is what was written, in its order,
//! whatever the sizes of blocks, the ends of segments, the copies that failed and the rounds.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod log;

use audit::record::{Record, SessionId};
use log::CoreLog;
use notary::{
    FileSigner, Folders, Notary,
    keys::{self, Keyring},
};
use proptest::prelude::*;
use std::{
    fs::{self, File},
    io::IoSliceMut,
    os::unix::fs::FileExt as _,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};
use tlog::{Tile, note::KeyKind, tile};

/// Whether this page of a file is in memory. Asking may bring it there, and it alone.
fn is_cached(path: &Path, position: u64) -> bool {
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    let file = File::open(path).unwrap();
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::Random).unwrap();
    match rustix::io::preadv2(&file, &mut into, position, rustix::io::ReadWriteFlags::NOWAIT) {
        Ok(read) => read > 0,
        Err(error) => {
            assert!(matches!(error, rustix::io::Errno::AGAIN | rustix::io::Errno::OPNOTSUPP), "{error}");
            false
        }
    }
}

/// Who writes the next block goes past the page cache, and is refused where a page of it is there.
#[test]
fn nothing_behind_the_last_durable_block_is_read() {
    let node = tempfile::tempdir().unwrap();
    keys::create(&node.path().join("key"), "tidegate/test", KeyKind::Log).unwrap();
    let mut log = CoreLog::new(&node.path().join("audit"), 0);
    log.blocks(13);
    let (path, _) = log.end();
    let block = |number: u64| (1 + number) * 4096;
    let forget = || {
        let file = File::open(&path).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
    };
    forget();
    // Who reads block after block has later ones read ahead; where a file system does not, there is nothing to see.
    let reader = File::open(&path).unwrap();
    (0..4).for_each(|number| reader.read_exact_at(&mut [0; 256], block(number)).unwrap());
    // Looked at once, and when what is read ahead has come.
    let cached = |number: u64| {
        std::thread::sleep(Duration::from_millis(50));
        is_cached(&path, block(number))
    };
    let reads_ahead = cached(5);
    forget();
    if !reads_ahead || cached(0) {
        println!("this file system shows nothing of what it has in memory");
        return;
    }
    let limit = Arc::new(AtomicU64::new(0));
    let mut notary = open(node.path(), &limit);
    for durable in [1, 2, 3, 5, 8] {
        limit.store(durable, Ordering::Relaxed);
        notary.step().unwrap();
        assert_eq!(notary.size(), durable);
        assert!(!cached(durable), "block {durable} was read before it is durable");
    }
}

/// What happens to the log, or who looks at it.
#[derive(Clone, Debug)]
enum Event {
    /// Blocks with a record of so many bytes.
    Blocks { count: u64, bytes: usize },
    /// The last block failed and was written again, over another header or the same.
    Again(bool),
    /// The notary takes what is durable: all but so many of the last blocks.
    Step(u64),
    /// It is started again.
    Restart,
}

fn event() -> impl Strategy<Value = Event> {
    let blocks = prop_oneof![
        4 => (1..40u64, Just(10)),
        2 => (1..8u64, 1000..10_000usize),
        1 => (1..3u64, 10_000..50_000usize),
    ];
    prop_oneof![
        6 => blocks.prop_map(|(count, bytes)| Event::Blocks { count, bytes }),
        2 => any::<bool>().prop_map(Event::Again),
        4 => (0..20u64).prop_map(Event::Step),
        1 => Just(Event::Restart),
    ]
}

fn open(folder: &Path, limit: &Arc<AtomicU64>) -> Notary {
    let signer = FileSigner::new(Keyring::open(&folder.join("key")).unwrap());
    let folders = Folders { directory: folder.join("audit"), spare: None };
    let mut notary = Notary::open(&folders, Box::new(signer)).unwrap();
    let limit = Arc::clone(limit);
    notary.follow(Some(Box::new(move |_| Some(limit.load(Ordering::Relaxed)))));
    notary
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_taken_is_what_was_written(events in prop::collection::vec(event(), 1..20)) {
        let node = tempfile::tempdir().unwrap();
        keys::create(&node.path().join("key"), "tidegate/test", KeyKind::Log).unwrap();
        let mut log = CoreLog::new(&node.path().join("audit"), 0);
        let limit = Arc::new(AtomicU64::new(0));
        let mut notary = open(node.path(), &limit);
        for event in events.into_iter().chain([Event::Step(0)]) {
            match event {
                Event::Blocks { count, bytes } => {
                    let detail = "x".repeat(bytes);
                    let record = Record::Alarm { session: SessionId([0; 16]), kind: "test", detail: &detail };
                    (0..count).for_each(|_| log.block(std::slice::from_ref(&record)));
                }
                // Nobody was told that it is durable.
                Event::Again(other) if limit.load(Ordering::Relaxed) < log.blocks => log.again(other),
                Event::Again(_) => {}
                Event::Step(behind) => {
                    limit.fetch_max(log.blocks.saturating_sub(behind), Ordering::Relaxed);
                    notary.step().unwrap();
                    prop_assert_eq!(notary.size(), limit.load(Ordering::Relaxed));
                }
                Event::Restart => {
                    drop(notary);
                    notary = open(node.path(), &limit);
                }
            }
        }
        let size = notary.size();
        prop_assert_eq!(size, log.blocks);
        let mut taken = Vec::new();
        for index in 0..size.div_ceil(256) {
            let bundle = node.path().join("audit/tlog").join(Tile::of(0, index, size).unwrap().entries_path());
            let bytes = fs::read(bundle).unwrap();
            taken.extend(tile::entries(&bytes).unwrap().into_iter().map(<[u8]>::to_vec));
        }
        let written: Vec<Vec<u8>> = log.headers.iter().map(|header| header.to_vec()).collect();
        prop_assert!(taken == written, "the tree holds other headers than the log");
    }
}
