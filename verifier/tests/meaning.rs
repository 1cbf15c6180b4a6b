//! Records that contradict each other, clocks that jump, cores that fall silent, keys and recordings that are gone.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use audit::record::{Actor, Approval, Record, SessionId};
use sealing::recording::{Builder, EndReason, Event, Header, Writer};
use support::tree::{Key, key};
use support::{Log, SESSION, begin, intent, result};
use verifier::{Code, Options, Report, Trust, verify, verify_logs};

const SECOND: u64 = 1_000_000_000;

fn open<'a>(session: SessionId, mode: &'a str, key: [u8; 32], recording: &'a str) -> Record<'a> {
    Record::SessionOpen {
        session,
        actor: Actor { issuer: "local", subject: "ana", role: "analyst" },
        source: "127.0.0.1:1",
        tls: "",
        application: "",
        target: "warehouse",
        database: "clinic",
        account: "gateway",
        bundle: [1; 32],
        recording,
        mode,
        key,
    }
}

fn release(statement: u64, number: u64, rows: u64) -> Record<'static> {
    Record::Release { session: SESSION, statement, number, rows, bytes: rows * 10, digest: [0; 32] }
}

fn mode(target: &'static str, mode: &'static str) -> Record<'static> {
    Record::LogMode { target, mode, reason: "start" }
}

/// A log of one epoch with these records.
fn of(records: &[Record<'_>]) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let mut log = begin(directory.path());
    for record in records {
        log.put(record);
    }
    log.commit();
    log.end();
    verify(directory.path())
}

#[track_caller]
fn clean(report: &Report) {
    assert!(report.findings.is_empty() && report.exit_code() == 0, "{}", report.text());
}

#[track_caller]
fn finds(report: &Report, code: Code, words: &str) {
    let found = report.findings.iter().any(|finding| finding.code == code && finding.what.contains(words));
    assert!(found, "no {code} with {words:?}: {}", report.text());
}

/// `result` says one row.
const ONE_ROW: u64 = 1;

#[test]
fn releases_go_with_their_statements() {
    let opened = |how| open(SESSION, how, [0; 32], "");
    let done = || result(SESSION, 1, "ok");
    clean(&of(&[opened("strict"), intent(1), release(1, 1, ONE_ROW), done()]));
    clean(&of(&[opened("strict"), intent(1), release(1, 1, 0), release(1, 2, ONE_ROW), done()]));
    clean(&of(&[opened("intent"), intent(1), done()]));
    // Cut off after more was covered than was sent.
    clean(&of(&[opened("strict"), intent(1), release(1, 1, 100), result(SESSION, 1, "lost")]));
    // A result is its statement's last release.
    clean(&of(&[opened("strict"), intent(1), done()]));
    clean(&of(&[opened("strict"), intent(1), release(1, 1, 0), done()]));
    finds(&of(&[opened("strict"), intent(1), release(1, 1, 5), done()]), Code::Sem, "released 5 rows and has 1");
    finds(&of(&[opened("strict"), release(1, 1, 1), intent(1), release(1, 1, 1), done()]), Code::Sem, "not under way");
    finds(&of(&[opened("strict"), intent(1), release(1, 2, 1), done()]), Code::Sem, "release 2 after 0");
    let back = [opened("strict"), intent(1), release(1, 1, 5), release(1, 2, 1), done()];
    finds(&of(&back), Code::Sem, "released 1 rows after 5");
    finds(&of(&[opened("strict"), intent(1), release(1, 1, 1), done(), release(1, 2, 1)]), Code::Sem, "not under way");
    finds(&of(&[opened("strict"), opened("strict")]), Code::Sem, "opens twice");
}

fn approval(kind: &'static str, id: &'static str, digest: u8, statement: u64) -> Record<'static> {
    let actor = Actor { issuer: "local", subject: "ana", role: "analyst" };
    let digest = [digest; 32];
    Record::Approval(Approval { kind, session: SESSION, statement, actor, id, digest, ..Approval::default() })
}

#[test]
fn an_approval_is_used_once_for_what_it_was_given_for() {
    let grant = || approval("grant", "TG-A", 1, 1);
    let used = |statement| approval("consume", "TG-A", 1, statement);
    let run = || [intent(1), result(SESSION, 1, "ok")];
    let [begins, ends] = run();
    clean(&of(&[approval("request", "TG-A", 1, 1), approval("vote", "TG-A", 1, 1), grant(), used(1), begins, ends]));
    // Recorded by different cores, a moment apart.
    clean(&of(&[used(1), grant()]));
    clean(&of(&[grant(), approval("end", "TG-A", 1, 1)]));
    clean(&of(&[grant(), used(1), approval("grant", "TG-B", 1, 2), approval("consume", "TG-B", 1, 2)]));
    finds(&of(&[grant(), used(1), used(1)]), Code::Sem, "TG-A is used a second time");
    finds(&of(&[grant(), used(1), used(2)]), Code::Sem, "TG-A is used a second time");
    finds(&of(&[grant(), approval("consume", "TG-A", 2, 1)]), Code::Sem, "for something else than it was given for");
    // Given on another node that shares the store.
    let report = of(&[used(1)]);
    clean(&report);
    assert!(report.notes.iter().any(|note| note.contains("in the log of another node")), "{:?}", report.notes);

    let later = |first: Record<'_>, second: Record<'_>, third: Record<'_>| {
        let directory = tempfile::tempdir().unwrap();
        let mut log = begin(directory.path());
        log.put(&first);
        log.put(&Record::ClockStep { step_ns: 120 * SECOND as i64 });
        log.wall += 120 * SECOND;
        log.mono += 120 * SECOND;
        log.put(&second);
        log.put(&third);
        log.commit();
        log.end();
        verify(directory.path())
    };
    finds(&later(used(1), grant(), grant()), Code::Sem, "TG-A is used before it is given");
    finds(&later(approval("end", "TG-A", 1, 1), grant(), used(1)), Code::Sem, "TG-A is used after its end");
}

#[test]
fn modes_change_only_by_a_record() {
    let opened = |how| open(SESSION, how, [0; 32], "");
    clean(&of(&[mode("warehouse", "strict"), opened("strict")]));
    clean(&of(&[mode("warehouse", "strict"), mode("warehouse", "async"), opened("async")]));
    clean(&of(&[mode("other", "strict"), opened("async")]));
    finds(&of(&[mode("warehouse", "strict"), opened("async")]), Code::Sem, "its target's mode is strict");
}

#[test]
fn recordings_grow_segment_by_segment() {
    let segment = |number, chunks, reason| Record::RecordingSegment {
        session: SESSION,
        number,
        chunks,
        bytes: 4096 * (1 + chunks),
        statement: 1,
        reason,
        digest: [9; 32],
    };
    let words = |records: &[Record<'_>]| {
        let report = of(records);
        // There is no file, which is not the question here.
        report
            .findings
            .iter()
            .find(|finding| finding.code == Code::Sem)
            .map(|finding| (finding.code, finding.what.clone()))
    };
    assert_eq!(words(&[segment(1, 3, ""), segment(2, 5, "closed")]), None);
    for (records, expected) in [
        (vec![segment(2, 3, "")], "segment 2 after 0"),
        (vec![segment(1, 3, ""), segment(3, 5, "")], "segment 3 after 1"),
        (vec![segment(1, 3, ""), segment(2, 2, "")], "shorter"),
        (vec![segment(1, 3, "cap"), segment(2, 5, "")], "after its end"),
    ] {
        let (code, what) = words(&records).unwrap();
        assert!(code == Code::Sem && what.contains(expected), "{what}");
    }
}

#[test]
fn r8_clock_steps_need_a_record() {
    let step = |log: &mut Log, by: i64| log.wall = log.wall.checked_add_signed(by).unwrap();
    let hour = 3600 * SECOND as i64;
    for (by, stated, words) in [
        (hour, None, "moved by +3600"),
        (-hour, None, "moved by -3600"),
        (hour, Some(hour), ""),
        (-hour, Some(-hour), ""),
        (hour, Some(-hour), "said to have been set by -3600"),
        (SECOND as i64, None, ""),
    ] {
        for in_one_block in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let mut log = begin(directory.path());
            log.put(&intent(1));
            if !in_one_block {
                log.commit();
            }
            step(&mut log, by);
            if let Some(step_ns) = stated {
                log.put(&Record::ClockStep { step_ns });
            }
            log.put(&result(SESSION, 1, "ok"));
            log.commit();
            log.wait(86_400 * SECOND);
            log.statement(2);
            log.end();
            let report = verify(directory.path());
            if words.is_empty() {
                clean(&report);
            } else {
                finds(&report, Code::Clk, words);
                assert_eq!(report.findings.len(), 1);
            }
        }
    }
    // A pause of the whole machine is no step: both clocks went on.
    let directory = tempfile::tempdir().unwrap();
    let mut log = begin(directory.path());
    log.statement(1);
    log.wait(600 * SECOND);
    log.statement(2);
    log.end();
    clean(&verify(directory.path()));
    // The next epoch starts before this one ended.
    let mut log = begin(directory.path());
    log.statement(3);
    log.end();
    finds(&verify(directory.path()), Code::Clk, "before the one before it ended");
}

#[test]
fn r8_silence_is_noticed_and_explained() {
    let beat = Record::Heartbeat { interval_s: 60 };
    let run = |waits: &[(u64, Option<Record<'_>>)]| {
        let directory = tempfile::tempdir().unwrap();
        let mut log = begin(directory.path());
        log.put(&beat);
        for (seconds, record) in waits {
            log.wait(seconds * SECOND);
            log.put(record.as_ref().unwrap_or(&beat));
            log.commit();
        }
        log.end();
        verify(directory.path())
    };
    let gap = Record::Gap { reason: "eio", duration_us: 1, lost: 0, sessions: 0, statements: 0 };
    let stalled = Record::LogMode { target: "", mode: "stalled", reason: "enospc" };
    clean(&run(&[(60, None), (61, None), (120, None), (179, None)]));
    finds(&run(&[(60, None), (600, None), (60, None)]), Code::Gapq, "no heartbeat for 600 s");
    // Other records are no heartbeat; the end of the log counts.
    finds(&run(&[(60, None), (100, Some(intent(1))), (100, Some(result(SESSION, 1, "ok")))]), Code::Gapq, "for 200 s");
    clean(&run(&[(60, None), (600, Some(gap)), (1, None)]));
    clean(&run(&[(1, Some(stalled)), (600, None)]));
    // The account of an outage may come behind the first heartbeat after it, but not behind the second.
    clean(&run(&[(600, None), (1, Some(gap)), (60, None)]));
    finds(&run(&[(600, None), (60, None), (1, Some(gap))]), Code::Gapq, "no heartbeat for 600 s");
    finds(&run(&[(600, None)]), Code::Gapq, "no heartbeat for 600 s");
    // A log of a gateway that wrote none.
    let directory = tempfile::tempdir().unwrap();
    let mut log = begin(directory.path());
    log.wait(100_000 * SECOND);
    log.statement(1);
    log.end();
    clean(&verify(directory.path()));
}

/// A log with two sessions that have keys, one of them with a recording.
struct Kept {
    directory: tempfile::TempDir,
    keys: PathBuf,
    recording: PathBuf,
    log: Option<Log>,
}

const OTHER: SessionId = SessionId([6; 16]);

fn slot(session: SessionId) -> sealing::slots::Slot {
    let key = sealing::SessionKey::new(session.0, [session.0[0]; 32].into());
    sealing::slots::Slot { session: session.0, commitment: key.commitment(), wraps: Vec::new() }
}

fn kept() -> Kept {
    let directory = tempfile::tempdir().unwrap();
    let mut log = begin(directory.path());
    let node = log.start.node;
    let size = sealing::slots::slot_bytes(1);
    let header = sealing::slots::FileHeader { node, core: 0, epoch: 1, slot_bytes: size as u32 };
    let mut bytes = header.encode().to_vec();
    for session in [SESSION, OTHER] {
        bytes.extend(slot(session).encode(size).unwrap());
        log.put(&open(session, "", slot(session).commitment, if session == SESSION { "rows" } else { "" }));
    }
    let keys = directory.path().join("core-00/keys-00000001.tgkeys");
    fs::write(&keys, bytes).unwrap();

    let header =
        Header { session: SESSION.0, node, epoch: 1, commitment: slot(SESSION).commitment, ..Header::default() };
    let mut file = header.encode().to_vec();
    let mut writer = Writer::new(&header, None).unwrap();
    for number in 1..=3u64 {
        let mut events = Builder::default();
        assert!(events.push(number, Event::Bytes(&[number as u8; 300])));
        if number == 3 {
            assert!(events.push(number, Event::End(EndReason::Closed)));
        }
        let mut out = vec![0; Writer::bytes_max(&events)];
        let length = writer.seal(&events, None, &mut out).unwrap();
        file.extend(&out[..length]);
        if number != 2 {
            log.put(&Record::RecordingSegment {
                session: SESSION,
                number: number.div_ceil(2),
                chunks: writer.chunks(),
                bytes: file.len() as u64,
                statement: 1,
                reason: if number == 3 { "closed" } else { "" },
                digest: writer.hash(),
            });
        }
    }
    log.commit();
    let recording = directory.path().join("recordings/2023-11-14/05050505050505050505050505050505.tgrec");
    fs::create_dir_all(recording.parent().unwrap()).unwrap();
    fs::write(&recording, file).unwrap();
    Kept { directory, keys, recording, log: Some(log) }
}

fn flips(path: &Path, directory: &Path, allowed: &[Code]) {
    let good = fs::read(path).unwrap();
    // Every byte that says something, and of the zeros between a sample.
    for at in (0..good.len()).filter(|&at| good[at] != 0 || at % 61 == 0) {
        let mut bytes = good.clone();
        bytes[at] ^= 1 << (at % 8);
        fs::write(path, &bytes).unwrap();
        let report = verify_logs(&[directory.to_owned()], &Options { threads: 1, ..Options::default() });
        let right = report.findings.iter().all(|finding| allowed.contains(&finding.code));
        assert!(report.exit_code() == 10 && right, "{} byte {at}: {}", path.display(), report.text());
    }
    fs::write(path, &good).unwrap();
}

#[test]
fn r7_a_byte_flipped_in_keys_or_recordings_is_noticed() {
    let Kept { directory, keys, recording, log } = kept();
    log.unwrap().end();
    let report = verify(directory.path());
    clean(&report);
    assert_eq!((report.logs[0].keys, report.logs[0].recordings), (2, 1));
    flips(&keys, directory.path(), &[Code::Dek, Code::Ins]);
    flips(&recording, directory.path(), &[Code::Mod, Code::Hdr, Code::Trunc]);
    let good = fs::read(&recording).unwrap();
    for length in (0..good.len()).step_by(509).chain([good.len() - 1]) {
        fs::write(&recording, &good[..length]).unwrap();
        finds(&verify(directory.path()), Code::Trunc, "");
    }
    fs::write(&recording, [good.as_slice(), &[0; 4096]].concat()).unwrap();
    finds(&verify(directory.path()), Code::Ins, "follow the end");
    fs::remove_file(&recording).unwrap();
    finds(&verify(directory.path()), Code::Purge, "recording of session 0505");
    fs::write(&recording, &good).unwrap();
    // The keys exchanged, or of another session's log.
    let good = fs::read(&keys).unwrap();
    let size = sealing::slots::slot_bytes(1);
    let mut other = good[..512].to_vec();
    let wrong = sealing::slots::Slot { commitment: [8; 32], ..slot(SESSION) };
    other.extend(wrong.encode(size).unwrap());
    other.extend(&good[512 + size..]);
    fs::write(&keys, other).unwrap();
    finds(&verify(directory.path()), Code::Dek, "not the one in the log");
    // A copy for an auditor has neither keys nor recordings, and no lock.
    fs::remove_file(&keys).unwrap();
    fs::remove_dir_all(directory.path().join("recordings")).unwrap();
    finds(&verify(directory.path()), Code::Purge, "no purge names it");
    fs::remove_file(directory.path().join("lock")).unwrap();
    let report = verify(directory.path());
    clean(&report);
    assert!(report.text().contains("are not in this copy"), "{}", report.text());
}

/// Signature lines of an order.
fn signed(order: &str, keys: &[&Key]) -> Vec<String> {
    use signed_note::{Note, Signer};
    let mut note = Note::new(order.as_bytes(), &[]).unwrap();
    let signers: Vec<&dyn Signer> = keys.iter().map(|key| &key.signer as &dyn Signer).collect();
    note.add_sigs(&signers).unwrap();
    let text = String::from_utf8(note.to_bytes()).unwrap();
    text.lines().filter(|line| line.starts_with('\u{2014}')).map(str::to_owned).collect()
}

#[test]
fn keys_are_destroyed_by_two_and_not_against_a_hold() {
    let (first, second, again) = (key("ana", 1), key("ben", 2), key("ana", 3));
    let order = "tidegate purge order v1\nlog tidegate/test\nkind erasure\npolicy none\nreason asked\n\
                 not_before 2023-11-14T00:00:00Z\nsession 06060606060606060606060606060606\n";
    let purge = |signatures: &[String], hold: Option<&str>, erase: bool| {
        let mut kept = kept();
        let mut log = kept.log.take().unwrap();
        let actor = Actor { issuer: "os", subject: "ana", role: "" };
        if let Some(query) = hold {
            log.put(&Record::HoldSet { actor, reason: "matter 1", name: "matter-1", query });
        }
        if !signatures.is_empty() {
            log.put(&Record::Purge { actor, reason: "", kind: "erasure", order, sessions: &[OTHER], signatures });
        }
        log.put(&mode("warehouse", "off"));
        log.commit();
        log.end();
        if erase {
            let mut bytes = fs::read(&kept.keys).unwrap();
            bytes[512 + sealing::slots::slot_bytes(1)..].fill(0);
            fs::write(&kept.keys, bytes).unwrap();
        }
        let officers = format!(r#"{{"officers": ["{}", "{}", "{}"]}}"#, first.public, second.public, again.public);
        let options = Options { trust: Some(Trust::parse(&officers).unwrap()), ..Options::default() };
        let logs = [kept.directory.path().to_owned()];
        (verify_logs(&logs, &Options::default()), verify_logs(&logs, &options))
    };
    let (open, judged) = purge(&signed(order, &[&first, &second]), None, true);
    clean(&open);
    clean(&judged);
    assert_eq!(judged.logs[0].purged, 1);
    assert!(open.text().contains("were not verified") && !judged.text().contains("were not verified"));

    let (open, _) = purge(&[], None, true);
    finds(&open, Code::Purge, "no purge names it");
    let (open, _) = purge(&signed(order, &[&first, &second]), None, false);
    finds(&open, Code::Purge, "its key is still there");
    // One person with two keys, a signature of something else.
    let (_, judged) = purge(&signed(order, &[&first, &again]), None, true);
    finds(&judged, Code::Purge, "has 1 signatures of two");
    let (_, judged) = purge(&signed("another order\n", &[&first, &second]), None, true);
    finds(&judged, Code::Purge, "does not hold");
    let (open, _) = purge(&["\u{2014} ana x".to_owned(), "y".to_owned()], None, true);
    finds(&open, Code::Purge, "malformed");
    let keeping = ["", "*", "session=0606", "person=eve,ana target=warehouse", "since=2023-11-14 until=2023-11-15"];
    for query in keeping {
        let (open, _) = purge(&signed(order, &[&first, &second]), Some(query), true);
        finds(&open, Code::Purge, "the hold matter-1 keeps");
    }
    for query in ["session=0505", "person=eve", "person=ana since=2024-01-01", "table=patients person=ben"] {
        let (open, _) = purge(&signed(order, &[&first, &second]), Some(query), true);
        clean(&open);
    }
    let (open, _) = purge(&signed(order, &[&first, &second]), Some("table=patients"), true);
    clean(&open);
    assert!(open.text().contains("the hold matter-1 keeps a session"), "{}", open.text());
}
