//! The log of a real gateway, verified and tampered with by hand; proofs of single records, checked with a key alone.

use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use tests::{
    folder::Folder,
    gateway::{Gateway, Setup},
    process::{Finished, PATIENCE, run, wait_until},
    programs::program,
    rules::Bundle,
    server::Postgres,
    wire::Wire,
};

const LONG: Duration = PATIENCE;
const PAGE: usize = 4096;

fn tidegate(arguments: &[&str], folder: &Path) -> Finished {
    run(Command::new(program("tidegate")).args(arguments).current_dir(folder), b"", LONG)
}

fn copy(from: &Path, to: &Path) {
    run(Command::new("cp").arg("-a").arg(from).arg(to), b"", LONG).success();
}

fn signed(gateway: &Gateway) -> u64 {
    let page = gateway.http("/status").unwrap();
    let status: Value = serde_json::from_str(page.split_once("\r\n\r\n").unwrap().1).unwrap();
    status["checkpoints"]["signed"].as_u64().unwrap_or(0)
}

fn work(gateway: &Gateway, statements: usize) {
    let before = signed(gateway);
    let mut wire = Wire::login(&gateway.endpoint("app"));
    for n in 0..statements {
        wire.query(&format!("select 'statement {n}'"));
        // Time for several blocks, however slow the disk is.
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(wire);
    wait_until("a checkpoint", LONG, || signed(gateway) > before);
}

fn stop(gateway: &Gateway) {
    gateway.signal("TERM");
    assert!(gateway.wait_end(LONG).unwrap().success(), "{}", gateway.log());
}

/// The log's public key, as an operator notes it down once.
fn public_key(gateway: &Gateway) -> String {
    let keys = fs::read_to_string(gateway.folder.path().join("audit/tlog/keys")).unwrap();
    keys.lines().next().unwrap().split_once(' ').unwrap().1.to_owned()
}

/// What `verify` finds: its exit code, and code, file and position of each finding.
fn findings(folder: &Path, arguments: &[&str]) -> (i32, Vec<(String, String, u64)>) {
    let mut all = vec!["audit", "verify", "--json"];
    all.extend(arguments);
    let done = tidegate(&all, folder);
    let report: Value = serde_json::from_str(&done.text()).unwrap_or_else(|_| panic!("{}", done.both()));
    let found = report["findings"].as_array().unwrap().iter().map(|finding| {
        let text = |name: &str| finding[name].as_str().unwrap_or_default().to_owned();
        (text("code"), text("file"), finding["position"].as_u64().unwrap_or(0))
    });
    (done.code, found.collect())
}

/// The last segment of the core that ran the statements, and the positions of its blocks.
fn segment(directory: &Path) -> (PathBuf, Vec<usize>) {
    let mut best = (PathBuf::new(), Vec::new());
    for core in ["core-00", "core-01"] {
        let paths = fs::read_dir(directory.join(core)).unwrap().map(|entry| entry.unwrap().path());
        let last = paths.filter(|path| path.extension().is_some_and(|extension| extension == "tgseg")).max().unwrap();
        let bytes = fs::read(&last).unwrap();
        let blocks: Vec<usize> =
            (PAGE..bytes.len()).step_by(PAGE).filter(|&at| bytes[at..].starts_with(b"TGAUDBK1")).collect();
        // Sessions are on the core that the kernel chose.
        let spoken = bytes.windows(11).any(|window| window == b"'statement ");
        if spoken && blocks.len() > best.1.len() {
            best = (last, blocks);
        }
    }
    best
}

#[test]
fn r7_what_is_done_to_the_log_of_a_gateway_is_named_with_its_place() {
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).cores(2).start();
    work(&gateway, 10);
    let key = public_key(&gateway);
    stop(&gateway);
    let home = gateway.folder.path().to_owned();
    let (audit, old) = (home.join("audit"), home.join("old"));
    copy(&audit, &old);
    gateway.restart();
    work(&gateway, 40);
    // While it runs, as soon as the last results are on disk, and after it has ended: clean.
    wait_until("a clean log of a running gateway", LONG, || {
        let (code, found) = findings(&home, &["audit", "--key", &key]);
        assert!(code == 0 && found.iter().all(|(code, ..)| code == "W-DOUBT"), "{found:?}");
        found.is_empty()
    });
    stop(&gateway);
    let (code, found) = findings(&home, &["audit", "--key", &key]);
    assert_eq!((code, found.len()), (0, 0), "{found:?}");
    let shown = tidegate(&["audit", "verify", "audit", "--key", &key], &home).success().text();
    assert!(shown.contains("tree ") && shown.contains("verdict clean"), "{shown}");
    fs::copy(audit.join("tlog/checkpoint"), home.join("kept")).unwrap();

    let (path, blocks) = segment(&audit);
    let good = fs::read(&path).unwrap();
    let name = path.file_name().unwrap().to_str().unwrap().to_owned();
    let with = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        findings(&home, &["audit", "--key", &key])
    };
    let has = |found: &[(String, String, u64)], code: &str, at: usize| {
        found.iter().any(|(c, file, position)| c == code && *file == name && *position == at as u64)
    };

    // One byte of a statement's text.
    let text = good.windows(11).position(|window| window == b"'statement ").unwrap();
    let block = *blocks.iter().rfind(|&&at| at <= text).unwrap();
    let mut bytes = good.clone();
    bytes[text + 1] ^= 1;
    let (code, found) = with(&bytes);
    assert!(code == 10 && has(&found, "E-MOD", block) && has(&found, "E-MID", block), "{found:?}");

    // The file cut in the middle of a block.
    let middle = blocks[blocks.len() / 2];
    let (code, found) = with(&good[..middle + 100]);
    assert!(code == 10 && has(&found, "E-TRUNC", middle), "{found:?}");
    // The last blocks cut off cleanly, as if they had never been: the tree remembers them.
    let mut bytes = good.clone();
    bytes[blocks[blocks.len() - 3]..].fill(0);
    let (code, found) = with(&bytes);
    assert!(code == 10 && found.iter().any(|(code, ..)| code == "E-TRUNC"), "{found:?}");

    // Two blocks exchanged.
    let pair = blocks.windows(3).last().unwrap();
    let mut bytes = good.clone();
    bytes[pair[0]..pair[2]].rotate_left(pair[1] - pair[0]);
    let (code, found) = with(&bytes);
    assert!(code == 10 && has(&found, "E-REORD", pair[0]), "{found:?}");
    let shown = tidegate(&["audit", "verify", "audit"], &home);
    assert!(shown.text().contains(&format!("{name} byte {}", pair[0])), "{}", shown.text());

    // One taken out.
    let mut bytes = good.clone();
    bytes.drain(pair[0]..pair[1]);
    bytes.resize(good.len(), 0);
    let (code, found) = with(&bytes);
    assert!(code == 10 && has(&found, "E-DEL", pair[0]), "{found:?}");
    let (code, found) = with(&good);
    assert_eq!((code, found.len()), (0, 0));

    // An old copy of the whole directory put back: sound by itself, and older than what somebody kept.
    let (code, found) = findings(&home, &["old", "--key", &key]);
    assert_eq!((code, found.len()), (0, 0), "{found:?}");
    let (code, found) = findings(&home, &["old", "--key", &key, "--old-checkpoint", "kept"]);
    assert!(code == 10 && found.iter().any(|(code, ..)| code == "E-ROLL"), "{found:?}");
    let (code, _) = findings(&home, &["audit", "--key", &key, "--old-checkpoint", "kept"]);
    assert_eq!(code, 0);
    fs::copy(old.join("tlog/checkpoint"), home.join("earlier")).unwrap();
    let continues = tidegate(&["audit", "consistency", "audit", "--from", "earlier", "--key", &key], &home);
    assert!(continues.success().text().contains("continues"));
    let rolled = tidegate(&["audit", "consistency", "old", "--from", "kept", "--key", &key], &home);
    assert_eq!(rolled.code, 10, "{}", rolled.both());
    assert_eq!(findings(&home, &["old", "audit"]).0, 10, "two copies of one log");
}

#[test]
fn v_one_statement_is_proved_with_only_the_proof_and_the_key() {
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).cores(2).start();
    work(&gateway, 20);
    let key = public_key(&gateway);
    let home = gateway.folder.path().to_owned();
    let mut intent = Value::Null;
    wait_until("the statement is in the log", LONG, || {
        let mut intents = gateway.records().into_iter().filter(|record| record["type"] == "STMT_INTENT");
        intent = intents.find(|intent| intent.to_string().contains("'statement 7'")).unwrap_or_default();
        !intent.is_null()
    });
    let (session, statement) = (intent["session"].as_str().unwrap(), intent["statement"].as_u64().unwrap());
    let wanted = format!("{session}/{statement}");
    let prove = || tidegate(&["audit", "prove", "audit", &wanted, "--output", "proof"], &home);
    wait_until("the statement is in a checkpoint", LONG, || prove().code == 0);
    let result = format!("{wanted}/result");
    let mut proved = String::new();
    wait_until("so is its result", LONG, || {
        let done = tidegate(&["audit", "prove", "audit", &result], &home);
        proved = done.text();
        done.code == 0
    });

    // Another machine: a folder with the proof and nothing else.
    let elsewhere = Folder::new("auditor");
    fs::copy(home.join("proof"), elsewhere.path().join("proof")).unwrap();
    fs::write(elsewhere.path().join("result"), proved).unwrap();
    let place = elsewhere.path();
    let checked = tidegate(&["audit", "check", "proof", "--key", &key], place).success().text();
    assert!(checked.contains("proved") && checked.contains("select 'statement 7'"), "{checked}");
    let size = fs::metadata(place.join("proof")).unwrap().len();
    assert!(size < 6000, "{size} bytes");
    // It shows no other statement.
    let proof = fs::read_to_string(place.join("proof")).unwrap();
    assert!(!checked.contains("statement 6") && !proof.contains("statement 8"));
    let json = tidegate(&["audit", "check", "result", "--key", &key, "--json"], place).success().text();
    let json: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&json["proved"], &json["type"]), (&Value::Bool(true), &Value::from("STMT_RESULT")));
    assert_eq!(json["fields"]["rows"], 1);

    // With another key, changed, or no proof at all.
    let made =
        tidegate(&["keys", "new", "--log", "example.com/other", "--output", "other.key"], place).success().text();
    let other = made.lines().find_map(|line| line.strip_prefix("public key:")).unwrap().trim().to_owned();
    assert_eq!(tidegate(&["audit", "check", "proof", "--key", &other], place).code, 10);
    let at = proof.find("extra ").unwrap() + 500;
    let mut changed = proof.into_bytes();
    changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
    fs::write(place.join("changed"), changed).unwrap();
    assert_eq!(tidegate(&["audit", "check", "changed", "--key", &key], place).code, 10);
    fs::write(place.join("nothing"), "nothing").unwrap();
    assert_eq!(tidegate(&["audit", "check", "nothing", "--key", &key], place).code, 20);
    assert_eq!(tidegate(&["audit", "check", "proof", "--key", "nonsense"], place).code, 2);
    assert_eq!(tidegate(&["audit", "prove", "audit", "0:999999"], &home).code, 20);
}
