//! Whatever is done to a log is noticed, and called by its name; whatever a crash can leave is recovered.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use audit::record::{Record, SessionId};
use audit::segment::{HEADER_PAGE_BYTES, segment_name};
use audit::{Filter, RecoverError, block, decode_block};
use proptest::prelude::*;
use support::{Log, PAGE, SESSION, begin, intent, opened, result, write};
use verifier::{Code, Head, Report};

/// An epoch with three statements and an orderly end: eight blocks, pages 1 to 8.
fn small_log(directory: &Path) -> PathBuf {
    let mut log = begin(directory);
    for statement in 1..=3 {
        log.statement(statement);
    }
    let path = log.path.clone();
    log.end();
    assert_clean(&verifier::verify(directory));
    path
}

fn assert_clean(report: &Report) {
    assert!(report.exit_code() == 0 && report.findings.is_empty(), "{}", report.text());
}

fn codes(directory: &Path) -> Vec<Code> {
    let report = verifier::verify(directory);
    assert_eq!(report.exit_code() == 0, report.errors() == 0);
    report.findings.iter().map(|finding| finding.code).filter(|code| code.is_error()).collect()
}

fn page(bytes: &[u8], number: usize) -> Vec<u8> {
    bytes[number * PAGE..(number + 1) * PAGE].to_vec()
}

#[test]
fn every_changed_byte_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = small_log(directory.path());
    let good = fs::read(&path).unwrap();
    // Every byte of the header page's and the blocks' written parts, and of the padding and zeros a sample.
    let mut places: Vec<usize> = (0..80).collect();
    for number in 1..=8 {
        let header = decode_block(&good[number * PAGE..]).unwrap().header;
        let end = block::HEADER_BYTES + header.payload_len as usize + block::TRAILER_BYTES;
        places.extend(number * PAGE..number * PAGE + end + 3);
        places.extend((end..PAGE).step_by(517).map(|at| number * PAGE + at));
    }
    places.extend((80..PAGE).step_by(397));
    places.extend((9 * PAGE..good.len()).step_by(1931));
    places.extend([9 * PAGE, good.len() - 1]);
    for at in places {
        for flip in [1u8, 0x80] {
            write(&path, at as u64, &[good[at] ^ flip]);
            let report = verifier::verify(directory.path());
            assert_eq!(report.exit_code(), 10, "byte {at} flipped by {flip:#x}: {}", report.text());
        }
        write(&path, at as u64, &good[at..=at]);
    }
    assert_clean(&verifier::verify(directory.path()));
}

#[test]
fn damage_has_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = small_log(directory.path());
    let good = fs::read(&path).unwrap();
    let blocks: Vec<_> = (0..9).map(|number| page(&good, number)).collect();
    let with = |order: &[usize]| {
        let mut bytes: Vec<u8> = order.iter().flat_map(|&number| blocks[number].clone()).collect();
        bytes.resize(good.len(), 0);
        fs::write(&path, bytes).unwrap();
        codes(directory.path())
    };
    assert_eq!(with(&[0, 1, 2, 3, 4, 5, 6, 7, 8]), []);
    assert_eq!(with(&[0, 1, 2, 4, 3, 5, 6, 7, 8]), [Code::Reord]);
    assert_eq!(with(&[0, 1, 2, 3, 3, 4, 5, 6, 7, 8]), [Code::Ins]);
    assert_eq!(with(&[0, 1, 2, 3, 4, 5, 2, 6, 7, 8]), [Code::Ins]);
    assert!(with(&[0, 1, 2, 4, 5, 6, 7, 8]).contains(&Code::Del));
    assert!(with(&[0, 1, 2, 5, 6, 7, 8]).contains(&Code::Del));
    assert!(with(&[0, 2, 3, 4, 5, 6, 7, 8]).contains(&Code::Del));

    // Within a block, with all checksums made right again: only the hashes can tell.
    let forge = |number: usize, change: &dyn Fn(&mut audit::BlockHeader, &mut Vec<u8>)| {
        let mut bytes = good.clone();
        let start = number * PAGE;
        let mut header = decode_block(&bytes[start..]).unwrap().header;
        let payload = start + block::HEADER_BYTES;
        let mut records = bytes[payload..payload + header.payload_len as usize].to_vec();
        change(&mut header, &mut records);
        header.payload_crc = crc32c::crc32c(&records);
        bytes[payload..payload + records.len()].copy_from_slice(&records);
        bytes[start..payload].copy_from_slice(&header.encode());
        fs::write(&path, bytes).unwrap();
        codes(directory.path())
    };
    let changed_text = forge(4, &|_, records| {
        let at = records.windows(8).position(|window| window == b"patients").unwrap();
        records[at..at + 8].copy_from_slice(b"nobodies");
    });
    assert_eq!(changed_text, [Code::Mod, Code::Mid]);
    assert_eq!(forge(4, &|header, _| header.clock_error_ns = 1), [Code::Hdr]);
    assert_eq!(forge(4, &|header, _| header.wall_ns[1] += 1), [Code::Sem, Code::Hdr]);
    assert!(forge(4, &|header, _| header.first_record_seq += 1).contains(&Code::Mod));
    // The tree redone as well: then the next header tells.
    let redone = forge(4, &|header, records| {
        let at = records.windows(8).position(|window| window == b"patients").unwrap();
        records[at..at + 8].copy_from_slice(b"nobodies");
        let mut tree = audit::merkle::Tree::default();
        tree.push(audit::merkle::leaf(header.first_record_seq, &records[4..]));
        header.root = tree.finish();
    });
    assert_eq!(redone, [Code::Hdr]);
    // A spelling that no writer uses (a reserved field), properly hashed.
    let strange = forge(8, &|header, records| {
        records[5] = 0x17;
        let mut tree = audit::merkle::Tree::default();
        tree.push(audit::merkle::leaf(header.first_record_seq, &records[4..]));
        header.root = tree.finish();
    });
    assert!(strange.contains(&Code::Enc), "{strange:?}");
}

#[test]
fn every_truncation_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = small_log(directory.path());
    let good = fs::read(&path).unwrap();
    for length in (0..good.len()).step_by(61).chain([good.len() - 1, PAGE - 1, PAGE, PAGE + 1, 8 * PAGE, 9 * PAGE]) {
        fs::write(&path, &good[..length]).unwrap();
        let found = codes(directory.path());
        assert!(found.contains(&Code::Trunc), "{length} bytes: {found:?}");
    }
    // A cut between blocks that keeps the file's size shows against a head that somebody kept.
    fs::write(&path, &good).unwrap();
    let head = verifier::verify(directory.path()).logs[0].cores[0].head.unwrap();
    assert_eq!(Head::parse(&head.to_string()), Some(head));
    let mut cut = good.clone();
    cut[8 * PAGE..].fill(0);
    fs::write(&path, &cut).unwrap();
    assert_clean(&verifier::verify(directory.path()));
    let report = verifier::verify_against(directory.path(), &[head]);
    assert!(report.has(Code::Trunc), "{}", report.text());
    fs::write(&path, &good).unwrap();
    assert_clean(&verifier::verify_against(directory.path(), &[head]));
    let report = verifier::verify_against(directory.path(), &[Head { hash: [1; 32], ..head }]);
    assert!(report.has(Code::Fork));
    fs::remove_dir_all(directory.path().join("core-00")).unwrap();
    assert!(verifier::verify_against(directory.path(), &[head]).has(Code::Trunc));
    assert_eq!(verifier::verify(directory.path()).exit_code(), 20);
    assert_eq!(verifier::verify(Path::new("/nonexistent/audit")).exit_code(), 20);
}

#[test]
fn missing_and_foreign_segments_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = begin(directory.path());
    let mut paths = Vec::new();
    for statement in 1..=30 {
        log.statement(statement);
        if paths.last() != Some(&log.path) {
            paths.push(log.path.clone());
        }
    }
    log.end();
    assert!(paths.len() >= 4);
    assert_clean(&verifier::verify(directory.path()));
    for (index, path) in paths.iter().enumerate() {
        let aside = directory.path().join("aside");
        fs::rename(path, &aside).unwrap();
        // The last one cannot be missed without a head; the statements in it were complete.
        let found = codes(directory.path());
        assert_eq!(found.contains(&Code::Del), index + 1 < paths.len(), "segment {index}: {found:?}");
        fs::rename(&aside, path).unwrap();
    }
    // Two segments exchanged; one under another name.
    let aside = directory.path().join("aside");
    fs::rename(&paths[1], &aside).unwrap();
    fs::rename(&paths[2], &paths[1]).unwrap();
    fs::rename(&aside, &paths[2]).unwrap();
    assert!(codes(directory.path()).contains(&Code::Reord));
    assert!(matches!(audit::recover(directory.path(), 0), Ok(_) | Err(RecoverError::Damaged { .. })));
}

#[test]
fn an_emptied_first_segment_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let path = small_log(directory.path());
    let second = small_log_again(directory.path());
    assert_ne!(path, second);
    let length = fs::metadata(&path).unwrap().len() as usize;
    write(&path, PAGE as u64, &vec![0; length - PAGE]);
    assert_eq!(codes(directory.path()), [Code::Del]);
}

#[test]
fn a_second_continuation_is_a_fork() {
    let directory = tempfile::tempdir().unwrap();
    let first = small_log(directory.path());
    // A copy of the directory goes on by itself; its segment is smuggled back under a later name.
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join("core-00")).unwrap();
    fs::copy(&first, copy.path().join("core-00").join(first.file_name().unwrap())).unwrap();
    let mut log = begin(directory.path());
    log.statement(9);
    log.end();
    let mut log = Log::begin(audit::open(copy.path(), 1, [4; 32]).unwrap().cores.remove(0));
    log.statement(10);
    let other = log.path.clone();
    log.end();
    assert_clean(&verifier::verify(directory.path()));
    fs::copy(other, directory.path().join("core-00/00000000000000ff.tgseg")).unwrap();
    assert!(codes(directory.path()).contains(&Code::Fork));
}

#[test]
fn records_that_contradict_each_other_are_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = begin(directory.path());
    log.put(&result(SESSION, 1, "ok"));
    log.put(&intent(2));
    log.put(&intent(2));
    log.commit();
    log.end();
    let found = codes(directory.path());
    assert_eq!(found[0], Code::Sem);
    assert!(verifier::verify(directory.path()).text().contains("result before its intent"));

    let directory = tempfile::tempdir().unwrap();
    let mut log = begin(directory.path());
    log.put(&intent(1));
    log.commit();
    log.end();
    let report = verifier::verify(directory.path());
    assert_eq!((report.exit_code(), report.in_doubt()), (0, 1));
    assert!(report.has(Code::Doubt));
}

/// What recovery must make of a torn write, and the verifier of what recovery made.
fn recovers(directory: &Path, torn: bool, in_doubt: usize) {
    let start = opened(directory, 1).remove(0);
    assert!(!start.clean);
    assert_eq!(start.torn_bytes > 0, torn);
    assert_eq!(start.in_doubt.len(), in_doubt);
    let mut log = Log::begin(start);
    log.statement(100);
    log.end();
    let report = verifier::verify(directory);
    assert_eq!(report.exit_code(), 0, "{}", report.text());
    assert_eq!(report.in_doubt(), 0);
    // A second start finds all in order.
    let start = opened(directory, 1).remove(0);
    assert!(start.clean && start.in_doubt.is_empty() && start.torn_bytes == 0);
}

#[test]
fn a_write_that_stops_anywhere_is_recovered() {
    for kept in (0..=4 * PAGE).step_by(512) {
        let directory = tempfile::tempdir().unwrap();
        let mut log = begin(directory.path());
        log.statement(1);
        log.put(&intent(2));
        log.commit();
        // The last block is four pages long and reaches the disk in part.
        let text = vec![b'y'; 3 * PAGE];
        log.put(&Record::Block {
            session: SESSION,
            statement: 3,
            text: &text,
            code: "x",
            rule: "r",
            bundle: [0; 32],
            sealed_text: &[],
            tables: &[],
        });
        let (path, position, length) = log.commit();
        assert_eq!(length, 4 * PAGE);
        write(&path, position + kept as u64, &vec![0; length - kept]);
        let whole = decode_block(&fs::read(&path).unwrap()[position as usize..]).is_ok();
        let torn = kept > 0 && !whole;
        let found = codes(directory.path());
        assert_eq!(found.contains(&Code::Trunc), torn, "{kept}: {found:?}");
        recovers(directory.path(), torn, 1);
        assert_eq!(directory.path().join("core-00/quarantine").exists(), torn);
    }
}

#[test]
fn a_first_block_that_tears_leaves_no_segment_behind() {
    for kept in [0, 512, 1024] {
        let directory = tempfile::tempdir().unwrap();
        let path = small_log(directory.path());
        let log = begin(directory.path());
        assert_ne!(log.path, path);
        write(&log.path, HEADER_PAGE_BYTES + kept, &vec![0; PAGE - kept as usize]);
        // Three sectors were written, or none: half a header page of an epoch that never was.
        let start = opened(directory.path(), 1).remove(0);
        assert_eq!(start.clean, kept == 0, "what was set aside, or has no end, was a crash's");
        assert_eq!(start.torn_bytes, 0, "nothing unfinished is left in the log");
        let mut log = Log::begin(start);
        log.statement(50);
        log.end();
        assert_eq!(verifier::verify(directory.path()).exit_code(), 0);
    }
}

/// A block that was written twice, for its first sync failed, begins two segments. The log goes on in one of them, by a
/// write that fails too: that one is the later, in whichever directory it stands.
#[test]
fn of_two_segments_that_begin_alike_the_one_with_a_cut_off_write_is_the_later() {
    for (home_goes_on, crash_follows) in [(true, false), (false, false), (true, true), (false, true)] {
        let folder = tempfile::tempdir().unwrap();
        let (directory, spare) = (folder.path().join("audit"), folder.path().join("other"));
        let opened = || audit::open_with_spare(&directory, Some(&spare), 1, [3; 32]).unwrap().cores.remove(0);
        let mut log = Log::begin(opened());
        log.statement(1);
        log.end();
        let mut log = Log::begin(opened());
        let path = log.path.clone();
        let name = path.file_name().unwrap().to_owned();
        let mut copy = fs::read(&path).unwrap();
        let (_, cut, _) = log.statement(2);
        let (first, cut) = (cut as usize - PAGE, cut as usize);
        let first_block = decode_block(&copy[PAGE..]).unwrap().header.block_seq;
        log.end();
        let whole = fs::read(&path).unwrap();
        // One sector of the second block reached the disk.
        let mut goes_on = copy.clone();
        let begun = first..first + 300;
        goes_on[begun.clone()].copy_from_slice(&whole[begun]);
        assert_eq!((first, cut), (2 * PAGE, 3 * PAGE));
        let other = spare.join("core-00").join(&name);
        let (later, earlier) = if home_goes_on { (&path, &other) } else { (&other, &path) };
        fs::write(later, &goes_on).unwrap();
        fs::write(earlier, &copy).unwrap();
        if !crash_follows {
            copy[PAGE..].fill(0);
            let rest = whole.len() - first;
            copy[PAGE..][..rest].copy_from_slice(&whole[first..]);
            let next = segment_name(first_block + 1);
            fs::write(earlier.parent().unwrap().join(next), &copy).unwrap();
        }
        let found = audit::segment::segments(&directory.join("core-00")).unwrap();
        let tied: Vec<_> = found.iter().filter(|(first, _)| *first == first_block).map(|(_, path)| path).collect();
        let real = |path: &Path| fs::canonicalize(path).unwrap();
        assert_eq!(tied.iter().map(|path| real(path)).collect::<Vec<_>>(), [real(earlier), real(later)]);
        let start = opened();
        assert_eq!((start.clean, start.torn_bytes > 0), (!crash_follows, crash_follows));
        Log::begin(start).end();
        let report = verifier::verify(&directory);
        assert_eq!(report.exit_code(), 0, "{home_goes_on} {crash_follows} {}", report.text());
        assert!(report.has(Code::Copy) && report.has(Code::Torn));
        let shown = audit::show(&directory, Filter::default()).unwrap().map(|entry| entry.unwrap().record.sequence);
        let shown: Vec<u64> = shown.collect();
        assert!(shown.iter().copied().eq(1..=shown.len() as u64), "{shown:?}");
    }
}

#[test]
fn damage_before_good_blocks_refuses_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let path = small_log(directory.path());
    let good = fs::read(&path).unwrap();
    write(&path, 4 * PAGE as u64 + 300, b"?");
    for _ in 0..2 {
        match audit::open(directory.path(), 1, [3; 32]) {
            Err(RecoverError::Damaged { code: audit::Code::Mid, position, .. }) => {
                assert_eq!(position, 4 * PAGE as u64)
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(codes(directory.path()).contains(&Code::Mid));
    // A block wiped with zeros is no tear either.
    fs::write(&path, &good).unwrap();
    write(&path, 4 * PAGE as u64, &[0; PAGE]);
    assert!(matches!(audit::recover(directory.path(), 0), Err(RecoverError::Damaged { code: audit::Code::Mid, .. })));
    assert!(codes(directory.path()).contains(&Code::Mid));
}

#[test]
fn a_block_inside_a_statement_is_no_block() {
    // A client that knows the format sends a whole block as its statement; the write tears in front of it.
    let directory = tempfile::tempdir().unwrap();
    let mut log = begin(directory.path());
    let mut forged = block::BlockHeader {
        core: 0,
        node: log.start.node,
        epoch: 1,
        block_seq: 9,
        records: 1,
        payload_len: 5,
        ..Default::default()
    };
    let payload = [1, 0, 0, 0, 0xa0];
    let mut tree = audit::merkle::Tree::default();
    tree.push(audit::merkle::leaf(0, &[0xa0]));
    (forged.root, forged.payload_crc) = (tree.finish(), crc32c::crc32c(&payload));
    let mut bait = forged.encode().to_vec();
    bait.extend(payload);
    bait.extend(block::trailer(9));
    bait.resize(PAGE, 0);
    assert!(decode_block(&bait).is_ok());
    let mut text = Vec::new();
    for shift in 0..8 {
        text.resize(PAGE * 2 * (shift + 1), b' ');
        text.extend(&bait);
    }
    log.put(&Record::Block {
        session: SESSION,
        statement: 1,
        text: &text,
        code: "x",
        rule: "r",
        bundle: [0; 32],
        sealed_text: &[],
        tables: &[],
    });
    let (path, position, _) = log.commit();
    // Move the statement so that the forged block lies on a page, and lose the true header.
    let bytes = fs::read(&path).unwrap();
    let at = bytes.windows(8).skip(position as usize + 8).position(|window| window == b"TGAUDBK1").unwrap();
    let at = at + position as usize + 8;
    let page = at.next_multiple_of(PAGE);
    write(&path, position, &vec![0; PAGE]);
    write(&path, page as u64, &bait);
    let recovered = audit::recover(directory.path(), 0).unwrap();
    // The segment of the long block holds none any more, and is set aside with all that is in it.
    assert!(!recovered.clean && recovered.next_block_seq == 1);
    assert!(directory.path().join("core-00/quarantine").exists());
}

#[test]
fn statements_of_a_core_that_is_gone_are_closed_by_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let mut logs: Vec<_> = opened(directory.path(), 3).into_iter().map(Log::begin).collect();
    for (core, log) in logs.iter_mut().enumerate() {
        log.put(&intent(core as u64 + 1));
        log.commit();
    }
    drop(logs);
    let starts = opened(directory.path(), 1);
    assert_eq!(starts[0].in_doubt, [(SESSION, 1), (SESSION, 2), (SESSION, 3)]);
    Log::begin(starts.into_iter().next().unwrap()).end();
    let report = verifier::verify(directory.path());
    assert_eq!((report.exit_code(), report.in_doubt()), (0, 0), "{}", report.text());
    // They are not closed again, and a core that comes back finds its log.
    let starts = opened(directory.path(), 3);
    assert!(starts.iter().all(|start| start.in_doubt.is_empty()));
    assert!(starts.iter().all(|start| start.epoch == 3));
    for start in starts {
        Log::begin(start).end();
    }
    assert_eq!(verifier::verify(directory.path()).exit_code(), 0);
}

#[test]
fn a_core_that_wrote_nothing_is_mentioned() {
    let directory = tempfile::tempdir().unwrap();
    let starts = opened(directory.path(), 2);
    Log::begin(starts.into_iter().next().unwrap()).end();
    let report = verifier::verify(directory.path());
    assert!(report.has(Code::Core) && report.exit_code() == 0);
}

#[test]
fn show_filters_merges_and_goes_on_after_damage() {
    let directory = tempfile::tempdir().unwrap();
    let mut logs: Vec<_> = opened(directory.path(), 2).into_iter().map(Log::begin).collect();
    let opens = |session, subject| Record::SessionOpen {
        session,
        actor: audit::record::Actor { issuer: "local", subject, role: "analyst" },
        source: "127.0.0.1:1",
        tls: "",
        application: "evil\x1b[2Japp",
        target: "warehouse",
        database: "clinic",
        account: "gateway",
        bundle: [1; 32],
        recording: "",
        mode: "",
        key: [0; 32],
    };
    logs[0].put(&opens(SESSION, "ana"));
    logs[1].put(&opens(SessionId([6; 16]), "ben"));
    logs[0].statement(1);
    logs[0].statement(2);
    logs[1].put(&Record::Block {
        session: SessionId([6; 16]),
        statement: 1,
        text: b"DROP TABLE x\n\x1b]0;pwn\x07",
        code: "TG1001",
        rule: "no-drop",
        bundle: [1; 32],
        sealed_text: &[],
        tables: &[],
    });
    for log in logs {
        log.end();
    }
    let count = |filter: Filter| audit::show(directory.path(), filter).unwrap().map(Result::unwrap).count();
    let filter = Filter::default;
    assert_eq!(count(filter()), 2 + 2 + 4 + 1 + 2);
    assert_eq!(count(Filter { user: Some("ana".into()), ..filter() }), 5);
    assert_eq!(count(Filter { target: Some("warehouse".into()), ..filter() }), 7);
    assert_eq!(count(Filter { kind: Some("stmt_block".into()), ..filter() }), 1);
    assert_eq!(count(Filter { kind: Some("block".into()), ..filter() }), 1);
    assert_eq!(count(Filter { session: Some("0606".into()), ..filter() }), 2);
    assert_eq!(count(Filter { last: Some(3), ..filter() }), 3);
    assert_eq!(count(Filter { since_ns: Some(u64::MAX), ..filter() }), 0);
    let all: Vec<_> = audit::show(directory.path(), filter()).unwrap().map(Result::unwrap).collect();
    assert!(all.is_sorted_by_key(|entry| entry.record.clock.wall_ns));

    let run = |json| {
        let mut out = Vec::new();
        let args = audit::cli::ShowArgs { directory: directory.path().to_owned(), json, ..Default::default() };
        assert_eq!(audit::cli::show(&args, &mut out).unwrap(), 0);
        String::from_utf8(out).unwrap()
    };
    let text = run(false);
    assert_eq!(text.lines().count(), all.len());
    assert!(!text.chars().any(|c| c.is_control() && c != '\n'));
    assert!(text.contains("DROP TABLE x\\n\\u{1b}]0;pwn\\u{7}"));
    for line in run(true).lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value["sequence"].as_u64().unwrap() > 0);
    }
    let report: serde_json::Value = serde_json::from_str(&verifier::verify(directory.path()).json()).unwrap();
    assert_eq!(report["verdict"], "clean");

    // A damaged block is stepped over, and said.
    write(&directory.path().join("core-00/0000000000000000.tgseg"), 2 * PAGE as u64 + 300, b"?");
    let items: Vec<_> = audit::show(directory.path(), filter()).unwrap().collect();
    assert_eq!(items.iter().filter(|item| item.is_err()).count(), 1);
    assert!(items.len() > 6);
    let args = audit::cli::ShowArgs { kind: Some("nonsense".into()), ..Default::default() };
    assert!(audit::cli::show(&args, &mut Vec::new()).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Any one stretch of bytes overwritten, moved or removed, anywhere in a log of several segments and epochs.
    #[test]
    fn any_mutation_is_noticed(at in any::<prop::sample::Index>(), length in 1..6000usize, kind in 0..3u8, byte in any::<u8>()) {
        let directory = tempfile::tempdir().unwrap();
        small_log(directory.path());
        let path = small_log_again(directory.path());
        // Without a head that somebody kept, cutting whole blocks off the end is the one thing that cannot show.
        let head = verifier::verify(directory.path()).logs[0].cores[0].head.unwrap();
        let good = fs::read(&path).unwrap();
        let mut bytes = good.clone();
        let from = at.index(10 * PAGE);
        let to = (from + length).min(bytes.len());
        match kind {
            0 => bytes[from..to].fill(byte),
            1 => { bytes.drain(from..to); bytes.resize(good.len(), 0); }
            _ => bytes.rotate_right(length % 4096 + 1),
        }
        fs::write(&path, &bytes).unwrap();
        let report = verifier::verify_against(directory.path(), &[head]);
        prop_assert_eq!(bytes == good, report.exit_code() == 0, "{}", report.text());
        // A start on it is refused with a reason, or goes on behind what it could read; never anything else.
        if let Ok(opened) = audit::open(directory.path(), 1, [4; 32]) {
            let mut log = Log::begin(opened.cores.into_iter().next().unwrap());
            log.statement(20);
            log.end();
            let _ = verifier::verify(directory.path()).text();
            prop_assert!(audit::show(directory.path(), Filter::default()).unwrap().count() > 0);
        }
    }
}

fn small_log_again(directory: &Path) -> PathBuf {
    let mut log = begin(directory);
    for statement in 11..=14 {
        log.statement(statement);
    }
    let path = log.path.clone();
    log.end();
    path
}

#[test]
fn a_writer_that_stands_still_is_waited_for_and_a_cut_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let mut log = begin(directory.path());
    log.statement(1);
    (2..20).for_each(|statement| log.put(&intent(statement)));
    let (path, position, length) = log.commit();
    let position = position as usize;
    // What a write that is under way leaves for others to see.
    let half = position + 512;
    let whole = fs::read(&path).unwrap();
    let rest = whole[half..position + length].to_vec();
    drop(log);
    write(&path, half as u64, &vec![0; rest.len()]);
    // Nobody writes: at once, the end is missing.
    assert_eq!(codes(directory.path()), [Code::Trunc]);
    let lock = fs::OpenOptions::new().create(true).append(true).open(directory.path().join("lock")).unwrap();
    lock.try_lock().unwrap();
    let writer = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_secs(4));
        write(&path, half as u64, &rest);
    });
    assert_eq!(codes(directory.path()), []);
    writer.join().unwrap();
}

#[test]
fn what_is_no_file_is_named_and_not_waited_for() {
    for (place, code) in [
        ("core-00/00000000000000ff.tgseg", 20),
        ("tlog/checkpoint", 20),
        ("tlog/keys", 20),
        // Nobody holds a lock by it.
        ("lock", 0),
    ] {
        for folder in [false, true] {
            let directory = tempfile::tempdir().unwrap();
            let _ = small_log(directory.path());
            let path = directory.path().join(place);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            let _ = fs::remove_file(&path);
            if folder {
                fs::create_dir(&path).unwrap();
            } else {
                assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
            }
            let (tell, told) = std::sync::mpsc::channel();
            let log = directory.path().to_owned();
            std::thread::spawn(move || tell.send(verifier::verify(&log)));
            let report = told.recv_timeout(std::time::Duration::from_secs(60)).expect("it waits for a pipe");
            assert_eq!(report.exit_code(), code, "{place}: {}", report.text());
            let named = format!("{}: not a regular file", path.display());
            assert!(code == 0 || report.text().contains(&named), "{}", report.text());
        }
    }
}

#[test]
fn a_directory_without_a_log_is_not_one_in_which_nothing_happened() {
    let directory = tempfile::tempdir().unwrap();
    let said = audit::show(directory.path(), Filter::default()).err().unwrap().to_string();
    assert!(said.contains("no audit log") && said.contains(directory.path().to_str().unwrap()), "{said}");
    // One that was begun, and nothing was written.
    fs::write(directory.path().join("lock"), "").unwrap();
    assert_eq!(audit::show(directory.path(), Filter::default()).unwrap().count(), 0);
}
