//! The tree over a log's blocks, its checkpoints and its keys: R-7 and R-9 of the test plan.

#![allow(clippy::unwrap_used)]

mod support;

use std::fs;
use std::path::{Path, PathBuf};

use audit::record::Record;
use support::tree::{Key, Tree, key, witness};
use support::{Log, PAGE, begin, opened, write};
use verifier::{Code, Options, Report, VerifierKey, verify_logs};

const ORIGIN: &str = "example.org/gateway-1";

fn check(directory: &Path, options: &Options) -> Report {
    verify_logs(&[directory.to_owned()], options)
}

fn with_keys(keys: &[&Key]) -> Options {
    Options { keys: keys.iter().map(|key| VerifierKey::parse(&key.public).unwrap()).collect(), ..Options::default() }
}

fn kept(checkpoint: &[u8], keys: &[&Key]) -> Options {
    Options { checkpoints: vec![("kept".to_owned(), checkpoint.to_vec())], ..with_keys(keys) }
}

#[track_caller]
fn assert_clean(report: &Report) {
    assert!(report.exit_code() == 0 && report.findings.is_empty(), "{}", report.text());
}

#[track_caller]
fn assert_finds(report: &Report, code: Code) {
    assert!(report.exit_code() == 10 && report.has(code), "no {code}: {}", report.text());
}

/// Two cores, a few statements each, in several checkpoints.
fn log(directory: &Path, key: &Key, rounds: u64) -> (Tree, Vec<Log>) {
    let mut logs: Vec<Log> = opened(directory, 2).into_iter().map(Log::begin).collect();
    let mut tree = Tree::new(directory, ORIGIN);
    tree.keys(&[(0, key)]);
    for round in 0..rounds {
        for (core, log) in logs.iter_mut().enumerate() {
            log.statement(1 + round * 2 + core as u64);
        }
        tree.publish(&[key]);
    }
    (tree, logs)
}

fn end(logs: Vec<Log>) {
    logs.into_iter().for_each(Log::end);
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.file_type().unwrap().is_dir() {
            files(&entry.path(), found);
        } else {
            found.push(entry.path());
        }
    }
    found.sort();
}

#[test]
fn v_trees_of_published_crates_hold_at_every_size() {
    let directory = tempfile::tempdir().unwrap();
    let key = key(ORIGIN, 1);
    let mut log = begin(directory.path());
    let mut tree = Tree::new(directory.path(), ORIGIN);
    tree.keys(&[(0, &key)]);
    // Partial tiles, a full one, one more, and a bundle of several checkpoints between two.
    for statement in 1..=140 {
        log.statement(statement);
        if statement % 17 == 0 || (125..=130).contains(&statement) {
            tree.publish(&[&key]);
            let report = check(directory.path(), &with_keys(&[&key]));
            assert_clean(&report);
            let seen = report.logs[0].tree.as_ref().unwrap();
            assert_eq!((seen.size, seen.beyond, seen.trusted), (tree.size(), 0, true));
        }
    }
    let seen = check(directory.path(), &Options::default()).logs[0].tree.clone().unwrap();
    assert_eq!(seen.beyond, 1 + 2 * 140 - tree.size());
    assert!(!seen.trusted && seen.older > 10);
    log.end();
    // A tree without the partial tiles of older checkpoints is as good.
    tree.publish(&[&key]);
    assert_clean(&check(directory.path(), &with_keys(&[&key])));
}

#[test]
fn r7_a_byte_flipped_anywhere_in_a_tree_is_noticed() {
    let directory = tempfile::tempdir().unwrap();
    let key = key(ORIGIN, 1);
    let (mut tree, logs) = log(directory.path(), &key, 1);
    end(logs);
    tree.publish(&[&key]);
    let options = Options { threads: 1, ..with_keys(&[&key]) };
    assert_clean(&check(directory.path(), &options));
    let mut all = Vec::new();
    files(&directory.path().join("tlog"), &mut all);
    let current = tree.size().to_string();
    let mut flipped = 0;
    for path in all {
        // Partial tiles that a wider one has replaced are not read.
        let stale = path.components().any(|part| part.as_os_str().to_str().unwrap().ends_with(".p"))
            && path.file_name().unwrap().to_str() != Some(&current);
        let good = fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bytes = good.clone();
            bytes[at] ^= 1 << (at % 8);
            fs::write(&path, &bytes).unwrap();
            let report = check(directory.path(), &options);
            if stale {
                assert_clean(&report);
                break;
            }
            flipped += 1;
            let tile = path.to_str().unwrap().contains("/tile/");
            let allowed: &[Code] = if tile {
                &[Code::Hdr, Code::Ins, Code::Trunc, Code::Del]
            } else {
                &[Code::Key, Code::Fork, Code::Roll]
            };
            let found = report.findings.iter().all(|finding| allowed.contains(&finding.code));
            assert!(report.exit_code() == 10 && found, "{} byte {at}: {}", path.display(), report.text());
        }
        for length in [0, 1, good.len() / 2, good.len() - 1] {
            fs::write(&path, &good[..length]).unwrap();
            // A tile of hashes that is lost as a whole follows from the entries.
            let derived = length == 0 && path.to_str().unwrap().contains("/tile/0/");
            let found = check(directory.path(), &options).exit_code();
            assert_eq!(found == 10, !stale && !derived, "{} cut to {length}", path.display());
        }
        fs::write(&path, &good).unwrap();
    }
    assert!(flipped > 2500, "{flipped}");
    assert_clean(&check(directory.path(), &options));
}

#[test]
fn r7_blocks_cut_off_exchanged_or_rewritten_do_not_fit_the_tree() {
    let directory = tempfile::tempdir().unwrap();
    let key = key(ORIGIN, 1);
    let (mut tree, logs) = log(directory.path(), &key, 3);
    let path = logs[0].path.clone();
    end(logs);
    tree.publish(&[&key]);
    let options = with_keys(&[&key]);
    let good = fs::read(&path).unwrap();
    let blocks = good[PAGE..].chunks(PAGE).take_while(|page| page.starts_with(b"TGAUDBK1")).count();
    assert_eq!(blocks, 8);
    // The end cut off between blocks, which nothing inside the log shows.
    for left in 0..blocks {
        let mut bytes = good.clone();
        bytes[(1 + left) * PAGE..].fill(0);
        fs::write(&path, &bytes).unwrap();
        assert_finds(&check(directory.path(), &options), Code::Trunc);
    }
    // One block out of the middle, two exchanged, one twice.
    let with = |order: &[usize]| {
        let mut bytes: Vec<u8> = order.iter().flat_map(|&n| good[n * PAGE..(n + 1) * PAGE].to_vec()).collect();
        bytes.resize(good.len(), 0);
        fs::write(&path, bytes).unwrap();
        check(directory.path(), &options)
    };
    assert_finds(&with(&[0, 1, 2, 4, 5, 6, 7, 8]), Code::Del);
    assert_finds(&with(&[0, 1, 3, 2, 4, 5, 6, 7, 8]), Code::Reord);
    assert_finds(&with(&[0, 1, 2, 3, 3, 4, 5, 6, 7, 8]), Code::Ins);
    assert_clean(&with(&[0, 1, 2, 3, 4, 5, 6, 7, 8]));
    // A core's log gone as a whole.
    fs::rename(directory.path().join("core-00"), directory.path().join("aside")).unwrap();
    assert_finds(&check(directory.path(), &options), Code::Trunc);
    fs::remove_dir_all(directory.path().join("aside")).unwrap();
    // The log written again from the start, with all hashes right: only the tree knows the other one.
    let start = audit::open(directory.path(), 1, [3; 32]).unwrap().cores.remove(0);
    let mut forged = Log::begin(start);
    for statement in 1..=3 {
        forged.statement(statement * 2);
    }
    forged.end();
    assert_finds(&check(directory.path(), &options), Code::Hdr);
}

#[test]
fn r9_an_old_copy_is_a_step_back_against_what_was_kept() {
    let directory = tempfile::tempdir().unwrap();
    let key = key(ORIGIN, 1);
    let (mut tree, mut logs) = log(directory.path(), &key, 2);
    let early = tree.sign(&[&key]);
    let old = tempfile::tempdir().unwrap();
    copy(directory.path(), old.path());
    logs[0].statement(77);
    let late = tree.publish(&[&key]);
    assert_clean(&check(directory.path(), &kept(&early, &[&key])));
    assert_clean(&check(directory.path(), &kept(&late, &[&key])));
    // The copy is sound by itself, and older than what is known.
    assert_clean(&check(old.path(), &with_keys(&[&key])));
    let report = check(old.path(), &kept(&late, &[&key]));
    assert_finds(&report, Code::Roll);
    assert_finds(&report, Code::Trunc);
    // The log alone put back, under the tree of today.
    for core in ["core-00", "core-01"] {
        fs::remove_dir_all(directory.path().join(core)).unwrap();
        copy(&old.path().join(core), &directory.path().join(core));
    }
    assert_finds(&check(directory.path(), &with_keys(&[&key])), Code::Trunc);
    // The tree taken away altogether.
    fs::remove_dir_all(directory.path().join("tlog")).unwrap();
    assert_finds(&check(directory.path(), &kept(&late, &[&key])), Code::Trunc);
    assert_finds(&check(directory.path(), &with_keys(&[&key])), Code::Key);
    end(logs);
}

#[test]
fn r9_a_copy_that_goes_on_is_a_fork_of_what_was_kept() {
    let directory = tempfile::tempdir().unwrap();
    let key = key(ORIGIN, 1);
    let (mut tree, mut logs) = log(directory.path(), &key, 2);
    let copied = tempfile::tempdir().unwrap();
    copy(directory.path(), copied.path());
    logs[0].statement(77);
    let kept_checkpoint = tree.publish(&[&key]);
    end(logs);
    // The copy recovers, goes on otherwise, and grows beyond.
    let mut others: Vec<Log> =
        audit::open(copied.path(), 2, [4; 32]).unwrap().cores.into_iter().map(Log::begin).collect();
    others[0].statement(99);
    others[1].statement(98);
    end(others);
    let mut other_tree = Tree::new(copied.path(), ORIGIN);
    other_tree.publish(&[&key]);
    assert!(other_tree.size() > tree.size());
    let report = check(copied.path(), &kept(&kept_checkpoint, &[&key]));
    assert_finds(&report, Code::Fork);
}

#[test]
fn r7_signatures_by_other_keys_do_not_count() {
    let directory = tempfile::tempdir().unwrap();
    let (first, other) = (key(ORIGIN, 1), key(ORIGIN, 2));
    let (mut tree, logs) = log(directory.path(), &first, 2);
    end(logs);
    tree.publish(&[&first]);
    assert_clean(&check(directory.path(), &with_keys(&[&first])));
    // Whoever verifies knows another key.
    assert_finds(&check(directory.path(), &with_keys(&[&other])), Code::Key);
    // Signed again with another key, first openly, then with the list of keys changed too.
    let good = fs::read(directory.path().join("tlog/checkpoint")).unwrap();
    fs::write(directory.path().join("tlog/checkpoint"), tree.sign(&[&other])).unwrap();
    assert_finds(&check(directory.path(), &Options::default()), Code::Key);
    fs::remove_dir_all(directory.path().join("tlog/checkpoints")).unwrap();
    tree.keys(&[(0, &other)]);
    assert_clean(&check(directory.path(), &Options::default()));
    assert_finds(&check(directory.path(), &with_keys(&[&first])), Code::Key);
    // A key of another name, a checkpoint of another log.
    fs::write(directory.path().join("tlog/checkpoint"), &good).unwrap();
    tree.keys(&[(0, &first)]);
    tree.origin = "example.org/other".to_owned();
    fs::write(directory.path().join("tlog/checkpoint"), tree.sign(&[&first])).unwrap();
    assert_finds(&check(directory.path(), &with_keys(&[&first])), Code::Key);
}

#[test]
fn r7_a_rotated_key_signs_only_what_it_may() {
    let directory = tempfile::tempdir().unwrap();
    let (first, second, third) = (key(ORIGIN, 1), key(ORIGIN, 2), key(ORIGIN, 3));
    let (mut tree, mut logs) = log(directory.path(), &first, 2);
    logs[0].put(&Record::KeyRotate { key: &second.public });
    logs[0].commit();
    tree.gather();
    tree.keys(&[(0, &first), (tree.size(), &second)]);
    tree.publish(&[&first, &second]);
    let turn = tree.size();
    assert_clean(&check(directory.path(), &with_keys(&[&first])));
    logs[1].statement(50);
    tree.publish(&[&second]);
    // The first key is enough to trust the second; the second alone is enough too.
    let report = check(directory.path(), &with_keys(&[&first]));
    assert_clean(&report);
    assert!(report.logs[0].tree.as_ref().unwrap().trusted);
    assert_clean(&check(directory.path(), &with_keys(&[&second])));
    // The old key signs on, or a third one that nothing announced.
    logs[1].statement(51);
    tree.publish(&[&first]);
    assert_finds(&check(directory.path(), &with_keys(&[&first])), Code::Key);
    fs::remove_file(directory.path().join(format!("tlog/checkpoints/{}", tree.size()))).unwrap();
    tree.keys(&[(0, &first), (turn, &third)]);
    fs::write(directory.path().join("tlog/checkpoint"), tree.sign(&[&third])).unwrap();
    assert_finds(&check(directory.path(), &with_keys(&[&first])), Code::Key);
    end(logs);
}

#[test]
fn r7_cosignatures_are_checked_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let (key, seen) = (key(ORIGIN, 1), witness("witness.example", 7));
    let (mut tree, logs) = log(directory.path(), &key, 1);
    end(logs);
    let mut signed = tree.publish(&[&key]);
    signed.extend(seen.cosign(&tree.text(), 1_700_000_100).into_bytes());
    let path = directory.path().join("tlog/checkpoint");
    fs::write(&path, &signed).unwrap();
    // Unknown witnesses are passed over, known ones checked.
    assert_clean(&check(directory.path(), &with_keys(&[&key])));
    let report = check(directory.path(), &with_keys(&[&key, &seen]));
    assert_clean(&report);
    let tree = report.logs[0].tree.as_ref().unwrap();
    assert_eq!(tree.cosigned, [("witness.example".to_owned(), tree.size, 1_700_000_100)]);
    let bytes = fs::read(&path).unwrap();
    write(&path, bytes.len() as u64 - 6, if bytes[bytes.len() - 6] == b'A' { b"B" } else { b"A" });
    assert_finds(&check(directory.path(), &with_keys(&[&key, &seen])), Code::Key);
}

/// Two nodes with logs of their own.
#[test]
fn r9_nodes_and_logs_must_be_the_same_set() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (first, second) = (key(ORIGIN, 1), key("example.org/gateway-2", 2));
    let (mut tree, mut logs) = log(a.path(), &first, 1);
    for key in [&first, &second] {
        logs[0].put(&Record::NodeEnroll { key: &key.public, origin: &key.name });
    }
    logs[0].commit();
    end(logs);
    tree.publish(&[&first]);
    let mut other = Log::begin(audit::open(b.path(), 1, [9; 32]).unwrap().cores.remove(0));
    other.statement(1);
    other.end();
    let mut tree = Tree::new(b.path(), &second.name);
    tree.keys(&[(0, &second)]);
    tree.publish(&[&second]);

    let all = [a.path().to_owned(), b.path().to_owned()];
    let trust = |nodes: &[&Key]| {
        let nodes: Vec<String> =
            nodes.iter().map(|k| format!(r#"{{"origin": "{}", "keys": ["{}"]}}"#, k.name, k.public)).collect();
        let trust = verifier::Trust::parse(&format!(r#"{{"nodes": [{}]}}"#, nodes.join(", "))).unwrap();
        Options { trust: Some(trust), ..Options::default() }
    };
    assert_clean(&verify_logs(&all, &Options::default()));
    assert_clean(&verify_logs(&all, &trust(&[&first, &second])));
    // One log by itself says that there are others; against the list of nodes that is an error.
    let report = verify_logs(&all[..1], &Options::default());
    assert_clean(&report);
    assert!(report.text().contains("example.org/gateway-2"), "{}", report.text());
    assert_finds(&verify_logs(&all[..1], &trust(&[&first, &second])), Code::Reg);
    assert_finds(&verify_logs(&all[1..], &trust(&[&first])), Code::Reg);
    // The second log deleted, and another copy of the first in its place.
    let copied = tempfile::tempdir().unwrap();
    copy(a.path(), copied.path());
    let report = verify_logs(&[a.path().to_owned(), copied.path().to_owned()], &Options::default());
    assert_finds(&report, Code::Reg);
    assert!(!report.has(Code::Fork));
}

#[test]
fn r9_a_cloned_node_is_a_fork() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let key = key(ORIGIN, 1);
    let (mut tree, logs) = log(a.path(), &key, 2);
    end(logs);
    tree.publish(&[&key]);
    copy(a.path(), b.path());
    let go_on = |directory: &Path, statement: u64, seed: u8| {
        let mut logs: Vec<Log> =
            audit::open(directory, 2, [seed; 32]).unwrap().cores.into_iter().map(Log::begin).collect();
        logs[0].statement(statement);
        end(logs);
        tree.moved(directory).publish(&[&key]);
    };
    let both = [a.path().to_owned(), b.path().to_owned()];
    go_on(a.path(), 100, 5);
    // One went on, the other is an earlier state of it.
    let report = verify_logs(&both, &with_keys(&[&key]));
    assert!(report.has(Code::Roll) && !report.has(Code::Fork), "{}", report.text());
    go_on(b.path(), 200, 6);
    for directory in &both {
        assert_clean(&check(directory, &Options { checkpoints: Vec::new(), ..with_keys(&[&key]) }));
    }
    assert_finds(&verify_logs(&both, &with_keys(&[&key])), Code::Fork);
}

#[test]
fn r7_witnesses_and_clocks_must_agree() {
    let directory = tempfile::tempdir().unwrap();
    let (key, seen, other) = (key(ORIGIN, 1), witness("witness.example", 7), witness("other.example", 8));
    let (mut tree, mut logs) = log(directory.path(), &key, 1);
    let folder = directory.path().join("tlog/cosignatures");
    fs::create_dir(&folder).unwrap();
    let cosign = |tree: &Tree, by: &Key, time: u64| {
        let mut bytes = tree.sign(&[&key]);
        bytes.extend(by.cosign(&tree.text(), time).into_bytes());
        fs::write(folder.join(tree.size().to_string()), bytes).unwrap();
    };
    let keys = with_keys(&[&key, &seen, &other]);
    // The tests' clock stands at 1,700,000,001 s.
    let now = 1_700_000_001;
    let first = folder.join(tree.size().to_string());
    cosign(&tree, &seen, now + 2);
    logs[0].wait(60_000_000_000);
    logs[0].statement(40);
    tree.publish(&[&key]);
    cosign(&tree, &seen, now + 62);
    let report = check(directory.path(), &keys);
    assert_clean(&report);
    assert_eq!(report.logs[0].tree.as_ref().unwrap().cosigned, [("witness.example".to_owned(), tree.size(), now + 62)]);
    // It saw the later tree before the earlier one.
    cosign(&tree, &seen, now + 1);
    assert_finds(&check(directory.path(), &keys), Code::Roll);
    // It saw the blocks an hour before they were dated, or an hour later than what came after them.
    cosign(&tree, &seen, now - 3600);
    assert_finds(&check(directory.path(), &keys), Code::Clk);
    cosign(&tree, &seen, now + 62);
    let good = fs::read(&first).unwrap();
    let text = String::from_utf8(good.clone()).unwrap();
    let body = text.split_inclusive("\n\n").next().unwrap().trim_end_matches('\n').to_owned() + "\n";
    let line = seen.cosign(&body, now + 3600);
    let signature = text.lines().position(|l| l.contains("witness.example")).unwrap();
    let lines: Vec<String> =
        text.lines().enumerate().map(|(n, l)| if n == signature { line.clone() } else { format!("{l}\n") }).collect();
    fs::write(&first, lines.concat()).unwrap();
    assert_finds(&check(directory.path(), &keys), Code::Clk);
    fs::write(&first, &good).unwrap();

    let policy = |quorum: &str| {
        let text = format!(
            "witness a {}\nwitness b {}\ngroup both 2 a b\ngroup one any a b\nquorum {quorum}\n",
            seen.public, other.public
        );
        Options { policy: Some(verifier::WitnessPolicy::parse(&text).unwrap()), ..with_keys(&[&key]) }
    };
    assert_clean(&check(directory.path(), &policy("one")));
    assert_clean(&check(directory.path(), &policy("none")));
    assert_finds(&check(directory.path(), &policy("both")), Code::Key);
    let aged = |seconds: u64| {
        let text = format!(r#"{{"witnesses": ["{}"], "anchor_max_age_s": {seconds}}}"#, seen.public);
        Options { trust: Some(verifier::Trust::parse(&text).unwrap()), ..with_keys(&[&key]) }
    };
    assert_clean(&check(directory.path(), &aged(60)));
    logs[1].wait(600_000_000_000);
    logs[1].statement(41);
    let report = check(directory.path(), &aged(60));
    assert!(report.exit_code() == 0 && report.has(Code::Anchor), "{}", report.text());
    end(logs);
}
