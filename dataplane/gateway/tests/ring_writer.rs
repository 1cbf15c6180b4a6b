//! The audit writer on a real executor and real files.

#![allow(clippy::unwrap_used)]

#[path = "../src/driver.rs"]
#[allow(unreachable_pub, dead_code)]
mod driver;
#[path = "../src/key_slots.rs"]
#[allow(unreachable_pub, dead_code)]
mod key_slots;
#[path = "../src/ring_writer.rs"]
#[allow(unreachable_pub, dead_code)]
mod ring_writer;

use std::cell::Cell;
use std::io::{BufRead, BufReader, ErrorKind};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use audit::record::{Record, SessionId};
use audit::{Body, Filter};
use driver::Driver;
use ring_writer::{AuditError, CoreAudit, FaultPoint, Files, WriterOptions};
use verifier::Code;

/// A directory that goes away with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ring-writer-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The driver under test: these tests are compiled once for each.
fn tested() -> Driver {
    if module_path!().contains("uring") { Driver::Uring } else { Driver::Glommio }
}

/// The name of a test of this file, as its program knows it.
fn named(test: &str) -> String {
    module_path!().split_once("::").map_or_else(|| test.to_owned(), |(_, module)| format!("{module}::{test}"))
}

const SESSION: SessionId = SessionId([7; 16]);

fn intent(statement: u64, text: &[u8]) -> Record<'_> {
    Record::Intent {
        session: SESSION,
        statement,
        text,
        via: "simple",
        fingerprint: 1,
        effects: 1,
        bundle: [1; 32],
        catalog_epoch: 1,
        parameters: None,
        row_limit: 0,
        sealed_text: &[],
        tables: &[],
        sealed_parameters: &[],
    }
}

fn done(statement: u64) -> Record<'static> {
    Record::Result {
        session: SESSION,
        statement,
        outcome: "ok",
        sqlstate: *b"00000",
        rows: 1,
        bytes: 10,
        duration_us: 5,
        masked: &[],
        clear: &[],
    }
}

/// Runs `work` with the writer of core 0 of `directory`, on an executor of its own.
fn with_writer<F, R>(directory: &Path, options: WriterOptions, work: impl FnOnce(Rc<CoreAudit>) -> F + 'static) -> R
where
    F: Future<Output = R> + 'static,
    R: 'static,
{
    with_files(directory, Files::default(), options, work)
}

fn with_files<F, R>(
    directory: &Path,
    files: Files,
    options: WriterOptions,
    work: impl FnOnce(Rc<CoreAudit>) -> F + 'static,
) -> R
where
    F: Future<Output = R> + 'static,
    R: 'static,
{
    let mut opened = audit::open(directory, 1, [9; 32]).unwrap();
    let start = opened.cores.remove(0);
    let run = async move {
        let core = CoreAudit::new(files, start, "test", options).unwrap();
        driver::spawn(Rc::clone(&core).run());
        work(core).await
    };
    driver::run_here(tested(), "test", None, run).unwrap()
}

fn small() -> WriterOptions {
    WriterOptions { segment_bytes: 256 << 10, ring_bytes: 4 << 20, ..WriterOptions::default() }
}

fn clean(directory: &Path) -> verifier::Report {
    let report = verifier::verify(directory);
    assert_eq!(report.exit_code(), 0, "{}", report.text());
    report
}

#[test]
fn records_become_durable_and_the_log_verifies() {
    for buffered in [false, true] {
        let directory = Folder::new();
        for round in 0..3u64 {
            let files = if buffered { Files::buffered() } else { Files::default() };
            with_files(directory.path(), files, small(), move |core| async move {
                core.started().await.unwrap();
                let mut last = 0;
                for n in 1..=500 {
                    let sequence = core.append(&intent(round * 1000 + n, b"SELECT 1")).unwrap().sequence();
                    assert!(sequence > last);
                    last = sequence;
                    assert!(!core.is_durable(sequence));
                    if n % 50 == 0 {
                        core.durable(sequence).await.unwrap();
                        assert!(core.is_durable(sequence));
                    }
                    let _ = core.append(&done(round * 1000 + n)).unwrap();
                }
                // A statement far longer than a block, and than a segment.
                let long = core.append(&intent(round * 1000 + 999, &vec![b'x'; 1 << 20])).unwrap().sequence();
                core.durable(long).await.unwrap();
                let _ = core.append(&done(round * 1000 + 999)).unwrap();
                assert_eq!(core.status().buffered, buffered);
                core.close();
                assert_eq!(core.append(&done(1)).unwrap_err(), AuditError::Closed);
                core.closed().await.unwrap();
            });
            let report = clean(directory.path());
            assert!(report.findings.is_empty(), "{}", report.text());
            assert!(report.logs[0].cores[0].closed);
            assert_eq!(report.logs[0].cores[0].epochs, round + 1);
            // 500 pairs, the long pair, start and end.
            assert_eq!(report.logs[0].cores[0].records, (round + 1) * 1004);
        }
        let left = std::fs::read_dir(directory.path().join("core-00")).unwrap();
        assert!(left.flatten().all(|e| e.path().extension().is_some_and(|e| e == "tgseg")), "space is given back");
    }
}

#[test]
fn one_commit_serves_many_waiters() {
    let directory = Folder::new();
    with_writer(directory.path(), small(), |core| async move {
        core.started().await.unwrap();
        let before = core.status().blocks;
        let served = Rc::new(Cell::new(0));
        for n in 1..=200 {
            let (core, served) = (Rc::clone(&core), Rc::clone(&served));
            driver::spawn(async move {
                let sequence = core.append(&intent(n, b"SELECT 1")).unwrap().sequence();
                core.durable(sequence).await.unwrap();
                served.set(served.get() + 1);
            });
        }
        while served.get() < 200 {
            driver::sleep(Duration::from_millis(1)).await;
        }
        let blocks = core.status().blocks - before;
        assert!(blocks <= 20, "{blocks} blocks for 200 statements that came together");
        core.close();
        core.closed().await.unwrap();
    });
    clean(directory.path());
}

#[test]
fn records_nobody_waits_for_follow_within_the_age_limit() {
    let directory = Folder::new();
    with_writer(directory.path(), small(), |core| async move {
        core.started().await.unwrap();
        let begun = Instant::now();
        let sequence = core.append(&intent(1, b"SELECT 1")).unwrap().sequence();
        while !core.is_durable(sequence) {
            assert!(begun.elapsed() < Duration::from_secs(60));
            driver::sleep(Duration::from_millis(5)).await;
        }
        assert!(begun.elapsed() >= Duration::from_millis(40), "written at once although nobody waited");
        core.close();
        core.closed().await.unwrap();
    });
}

#[test]
fn r4_a_failing_disk_closes_the_gate_and_loses_nothing() {
    let points = [FaultPoint::Write(2), FaultPoint::Sync(2), FaultPoint::Write(0), FaultPoint::Sync(0)];
    // Mostly they wait, so some run at once; not all, for each locks memory.
    for (kind, orderly) in [(ErrorKind::StorageFull, true), (ErrorKind::Other, false)] {
        std::thread::scope(|scope| {
            for point in points {
                scope.spawn(move || a_disk_that_fails_for_a_while(point, kind, orderly));
            }
        });
    }
}

fn a_disk_that_fails_for_a_while(point: FaultPoint, kind: ErrorKind, orderly: bool) {
    let directory = Folder::new();
    let failures = Rc::new(Cell::new(4));
    let left = Rc::clone(&failures);
    let faults = move |here| {
        (here == point && left.get() > 0).then(|| {
            left.set(left.get() - 1);
            kind
        })
    };
    let options = WriterOptions { faults: Some(Rc::new(faults)), ..small() };
    let acked = with_writer(directory.path(), options, move |core| async move {
        let acked = Rc::new(std::cell::RefCell::new(Vec::new()));
        let mut refused = 0;
        for n in 1..=8u64 {
            loop {
                match core.append(&intent(n, b"SELECT 1")) {
                    Err(AuditError::Disk(seen)) => {
                        assert_eq!(seen, kind);
                        refused += 1;
                        core.refused_statement();
                        driver::sleep(Duration::from_millis(50)).await;
                    }
                    other => {
                        let sequence = other.unwrap().sequence();
                        let (core2, acked) = (Rc::clone(&core), Rc::clone(&acked));
                        driver::spawn(async move {
                            core2.durable(sequence).await.unwrap();
                            acked.borrow_mut().push(n);
                        });
                        driver::sleep(Duration::from_millis(300)).await;
                        // What is past is taken even now.
                        let _ = core.append(&done(n)).unwrap();
                        break;
                    }
                }
            }
        }
        assert!(refused > 0, "the gate never closed at {point:?}");
        core.durable(core.status().last_sequence).await.unwrap();
        assert!(!core.status().failing);
        assert_eq!(core.status().errors, 4);
        if orderly {
            core.close();
            core.closed().await.unwrap();
        } else {
            driver::sleep(Duration::from_millis(100)).await;
            core.durable(core.status().last_sequence).await.unwrap();
        }
        acked.borrow().clone()
    });
    assert_eq!(failures.get(), 0);
    assert_eq!(acked, (1..=8).collect::<Vec<_>>());
    let report = clean(directory.path());
    assert_eq!(report.logs[0].cores[0].closed, orderly);
    let start = audit::open(directory.path(), 1, [9; 32]).unwrap().cores.remove(0);
    assert_eq!((start.clean, start.torn_bytes, start.in_doubt.len()), (orderly, 0, 0));
    assert_eq!(start.next_record_seq, report.logs[0].cores[0].records + 1);
    let shown = statements(directory.path());
    assert_eq!(shown, (1..=8).collect::<Vec<_>>(), "{point:?}: every intent is there once, in order");
    let gaps = audit::show(directory.path(), Filter { kind: Some("gap".into()), ..Filter::default() });
    let gaps: Vec<_> = gaps.unwrap().map(|entry| entry.unwrap().record.body).collect();
    let word = if kind == ErrorKind::StorageFull { "enospc" } else { "eio" };
    assert!(
        matches!(gaps.as_slice(), [Body::Gap { reason, lost: 0, duration_us, statements, .. }]
            if reason == word && *duration_us > 1_500_000 && *statements > 0),
        "the outage is on record: {gaps:?}"
    );
}

#[test]
fn r4_the_spare_directory_takes_over_and_readers_find_it() {
    for point in [FaultPoint::Write(3), FaultPoint::Sync(3), FaultPoint::Sync(0)] {
        let (directory, spare) = (Folder::new(), Folder::new());
        let failed = Rc::new(Cell::new(false));
        let once = Rc::clone(&failed);
        let faults = move |here| (here == point && !once.replace(true)).then_some(ErrorKind::Other);
        for round in 0..3 {
            let options = WriterOptions { faults: Some(Rc::new(faults.clone())), ..small() };
            let mut opened = audit::open_with_spare(directory.path(), Some(spare.path()), 1, [9; 32]).unwrap();
            let start = opened.cores.remove(0);
            let run = async move {
                let core = CoreAudit::new(Files::default(), start, "test", options).unwrap();
                driver::spawn(Rc::clone(&core).run());
                core.started().await.unwrap();
                let begun = Instant::now();
                for n in 1..=40 {
                    let sequence = core.append(&intent(round * 100 + n, &[b'x'; 9000])).unwrap().sequence();
                    core.durable(sequence).await.unwrap();
                    let _ = core.append(&done(round * 100 + n)).unwrap();
                }
                // After ten seconds the directory is tried again.
                let again = round > 0 || begun.elapsed() >= Duration::from_secs(10);
                assert!(again || core.status().spare, "the spare directory was left early");
                assert!(round == 0 || !core.status().spare, "the next start begins in the directory");
                if round < 2 {
                    core.close();
                    core.closed().await.unwrap();
                }
            };
            driver::run_here(tested(), "test", None, run).unwrap();
        }
        assert!(failed.get());
        clean(directory.path());
        let expected: Vec<u64> = (0..3).flat_map(|round| (1..=40).map(move |n| round * 100 + n)).collect();
        assert_eq!(statements(directory.path()), expected, "{point:?}");
        // Without the setting the log still has its spare part.
        drop(audit::open(directory.path(), 1, [9; 32]).unwrap());
        let other = Folder::new();
        assert!(audit::open_with_spare(directory.path(), Some(other.path()), 1, [9; 32]).is_err());
    }
}

#[test]
fn a_disk_that_never_comes_back_ends_in_an_error() {
    let directory = Folder::new();
    let faults = |here| matches!(here, FaultPoint::Prepare).then_some(ErrorKind::PermissionDenied);
    let options = WriterOptions { faults: Some(Rc::new(faults)), ..small() };
    with_writer(directory.path(), options, |core| async move {
        assert_eq!(core.started().await, Err(AuditError::Disk(ErrorKind::PermissionDenied)));
        // For moments statements may wait; then they are refused.
        driver::sleep(Duration::from_millis(1200)).await;
        assert_eq!(core.append(&intent(1, b"x")).unwrap_err(), AuditError::Disk(ErrorKind::PermissionDenied));
        core.close();
        assert_eq!(core.closed().await, Err(AuditError::Disk(ErrorKind::PermissionDenied)));
    });
}

#[test]
fn a_full_ring_refuses_statements_and_still_takes_their_ends() {
    let directory = Folder::new();
    let options = WriterOptions { ring_bytes: 64 << 10, ..small() };
    with_writer(directory.path(), options, |core| async move {
        core.started().await.unwrap();
        // No await: the flusher cannot run meanwhile.
        let mut count = 0;
        while let Ok(recorded) = core.append(&intent(count + 1, &[b'x'; 500])) {
            assert!(recorded.sequence() > count);
            count += 1;
        }
        assert_eq!(core.append(&intent(9999, &[b'x'; 500])).unwrap_err(), AuditError::Full);
        let last = core.append(&done(1)).unwrap().sequence();
        core.durable(last).await.unwrap();
        // Durable, so there is room again.
        let _ = core.append(&intent(count + 1, &[b'x'; 500])).unwrap();
        core.close();
        core.closed().await.unwrap();
    });
    clean(directory.path());
}

#[test]
fn two_gateways_never_share_a_directory() {
    let directory = Folder::new();
    let first = audit::open(directory.path(), 1, [1; 32]).unwrap();
    let second = audit::open(directory.path(), 1, [2; 32]);
    assert!(matches!(second, Err(audit::RecoverError::Locked(_))));
    drop(first);
    audit::open(directory.path(), 1, [2; 32]).unwrap();
}

#[test]
fn a_log_that_is_being_written_verifies() {
    let directory = Folder::new();
    let watched = directory.path().to_owned();
    let done_writing = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&done_writing);
    let watcher = std::thread::spawn(move || {
        let mut rounds = 0;
        while !stop.load(Ordering::Relaxed) || rounds < 3 {
            if watched.join("core-00/0000000000000000.tgseg").exists() {
                let report = verifier::verify(&watched);
                assert_eq!(report.exit_code(), 0, "{}", report.text());
                rounds += 1;
            }
            std::thread::yield_now();
        }
        rounds
    });
    with_writer(directory.path(), small(), |core| async move {
        core.started().await.unwrap();
        for n in 1..=300 {
            let text = vec![b'x'; (n as usize % 7) * 3000];
            let sequence = core.append(&intent(n, &text)).unwrap().sequence();
            core.durable(sequence).await.unwrap();
            let _ = core.append(&done(n)).unwrap();
        }
        core.close();
        core.closed().await.unwrap();
    });
    done_writing.store(true, Ordering::Relaxed);
    assert!(watcher.join().unwrap() >= 3);
    clean(directory.path());
}

fn statements(directory: &Path) -> Vec<u64> {
    let filter = Filter { kind: Some("intent".into()), ..Filter::default() };
    let entries = audit::show(directory, filter).unwrap();
    entries
        .map(|entry| match entry.unwrap().record.body {
            Body::Intent { statement, .. } => statement,
            other => panic!("{other:?}"),
        })
        .collect()
}

const CHILD: &str = "RING_WRITER_CHILD";

/// Not a test of its own: the process that gets killed. Prints each statement once it is acknowledged.
#[test]
fn child_process() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let first: u64 = std::env::var("RING_WRITER_FIRST").unwrap().parse().unwrap();
    with_writer(Path::new(&directory), small(), move |core| async move {
        core.started().await.unwrap();
        let next = Rc::new(Cell::new(first));
        for _ in 0..8 {
            let (core, next) = (Rc::clone(&core), Rc::clone(&next));
            driver::spawn(async move {
                loop {
                    let n = next.replace(next.get() + 1);
                    let text = vec![b'a'; (n % 97) as usize * 100 + 10];
                    let sequence = core.append(&intent(n, &text)).unwrap().sequence();
                    core.durable(sequence).await.unwrap();
                    println!("acked {n}");
                    if n % 3 != 0 {
                        let _ = core.append(&done(n)).unwrap();
                    }
                }
            });
        }
        driver::sleep(Duration::from_secs(600)).await;
    });
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let directory = Folder::new();
    let mut acked = Vec::new();
    for round in 0..6u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", &named("child_process"), "--nocapture"])
            .env(CHILD, directory.path())
            .env("RING_WRITER_FIRST", (round * 1_000_000 + 1).to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut take = |acked: &mut Vec<u64>| {
            let line = lines.next()?.ok()?;
            if let Some(n) = line.strip_prefix("acked ") {
                acked.push(n.parse().unwrap());
            }
            Some(())
        };
        let wanted = acked.len() + 40 + 60 * round as usize;
        while acked.len() < wanted {
            take(&mut acked).expect("the child lives until it is killed");
        }
        child.kill().unwrap();
        // What it had said before it died counts too.
        while take(&mut acked).is_some() {}
        child.wait().unwrap();

        let found = statements(directory.path());
        for n in &acked {
            assert!(found.binary_search(n).is_ok() || found.contains(n), "acknowledged statement {n} is lost");
        }
    }
    // One orderly start and end: what was in doubt is closed, and all of it verifies.
    with_writer(directory.path(), small(), |core| async move {
        core.started().await.unwrap();
        core.close();
        core.closed().await.unwrap();
    });
    let report = clean(directory.path());
    assert_eq!(report.in_doubt(), 0, "{}", report.text());
    assert!(!report.has(Code::Doubt));
    assert_eq!(report.logs[0].cores[0].epochs, 7);
    let unknown = audit::show(directory.path(), Filter { kind: Some("result".into()), ..Filter::default() })
        .unwrap()
        .filter(|entry| {
            matches!(&entry.as_ref().unwrap().record.body, Body::Result { outcome, .. } if outcome == audit::UNKNOWN_CRASH)
        })
        .count();
    assert!(unknown > 50, "a third of the statements had no result when the process died");
}

/// Sessions whose wrapped keys are in the core's files now.
fn keys_on_disk(directory: &Path) -> Vec<[u8; 16]> {
    let files = std::fs::read_dir(directory.join("core-00")).unwrap().map(|entry| entry.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == "tgkeys"));
    let mut found = Vec::new();
    for file in files {
        let bytes = std::fs::read(file).unwrap();
        for (_, slot) in sealing::slots::Slots::read(&bytes).unwrap() {
            if let sealing::slots::Found::Key(slot) = slot {
                found.push(slot.session);
            }
        }
    }
    found.sort_unstable();
    found
}

#[test]
fn wrapped_keys_are_on_disk_before_the_block_with_their_sessions() {
    const SLOT: usize = sealing::slots::slot_bytes(1);
    for fail in [false, true] {
        let directory = Folder::new();
        let path = directory.path().to_owned();
        let failures = Rc::new(Cell::new(if fail { 2 } else { 0 }));
        let left = Rc::clone(&failures);
        let faults = move |here| {
            (matches!(here, FaultPoint::Keys(_)) && left.get() > 0).then(|| {
                left.set(left.get() - 1);
                ErrorKind::StorageFull
            })
        };
        let options = WriterOptions { slot_bytes: SLOT, faults: Some(Rc::new(faults)), ..small() };
        with_writer(directory.path(), options, move |core| async move {
            core.started().await.unwrap();
            for n in 1..=20u8 {
                let slot = sealing::slots::Slot { session: [n; 16], commitment: [n; 32], wraps: Vec::new() };
                core.append_keys(&slot.encode(SLOT).unwrap());
                let opened = loop {
                    match core.append(&Record::SessionOpen {
                        session: SessionId([n; 16]),
                        actor: audit::record::Actor::default(),
                        source: "",
                        tls: "",
                        application: "",
                        target: "t",
                        database: "",
                        account: "",
                        bundle: [1; 32],
                        recording: "",
                        mode: "",
                        key: [n; 32],
                    }) {
                        Ok(recorded) => break recorded.sequence(),
                        Err(error) => {
                            assert_eq!(error, AuditError::Disk(ErrorKind::StorageFull));
                            driver::sleep(Duration::from_millis(50)).await;
                        }
                    }
                };
                while core.durable(opened).await.is_err() {
                    assert!(!core.is_durable(opened));
                    driver::sleep(Duration::from_millis(50)).await;
                }
                assert_eq!(keys_on_disk(&path), (1..=n).map(|n| [n; 16]).collect::<Vec<_>>());
                let _ = core
                    .append(&Record::SessionClose { session: SessionId([n; 16]), reason: "x", statements: 0, bytes: 0 })
                    .unwrap();
            }
            core.close();
            core.closed().await.unwrap();
        });
        assert_eq!(failures.get(), 0);
        let shown = audit::show(directory.path(), Filter { kind: Some("session-open".into()), ..Filter::default() });
        assert_eq!(shown.unwrap().count(), 20);
    }
}
