//! Sealed texts and recordings: what a client was sent is played back as it was, what the log does not commit to is named,
//! and only those who were meant to can read it.

use serde_json::Value;
use std::{fs, path::Path, sync::OnceLock, time::Duration};
use tests::{
    canary, clients,
    folder::Folder,
    gateway::{Gateway, Setup},
    process::{Finished, PATIENCE, run, wait_until},
    programs::program,
    rules::{Bundle, snapshot},
    server::Postgres,
    wire::{Wire, bind, describe, error, execute, parse, sync},
};

/// A key pair made by the program: private and public file.
fn pair(name: &str) -> (String, String) {
    let folder = Folder::new("keys");
    let mut command = std::process::Command::new(program("tidegate"));
    command.args(["keys", "new", name, "-o", "key"]).current_dir(folder.path());
    run(&mut command, b"", PATIENCE).success();
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    (read("key"), read("key.pub"))
}

/// One pair for the tests of this file, and one of somebody else.
fn pairs() -> &'static [(String, String); 2] {
    static PAIRS: OnceLock<[(String, String); 2]> = OnceLock::new();
    PAIRS.get_or_init(|| [pair("auditors"), pair("somebody else")])
}

/// With the auditors as recipients, and these recordings.
fn sealed(setup: Setup, recordings: &str) -> Setup {
    let [(key, public), (other, _)] = pairs();
    setup
        .file("audit.key", key)
        .file("audit.pub", public)
        .file("other.key", other)
        .audit("recipients: audit.pub")
        .audit(&format!("recordings: {{ {recordings} }}"))
}

/// Every byte under a folder but zeros, of which segments have megabytes.
fn bytes_under(folder: &Path) -> Vec<u8> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes_under(&path));
        } else {
            all.extend(fs::read(&path).unwrap().into_iter().filter(|byte| *byte != 0));
        }
    }
    all
}

/// Sessions as `sessions list --json` tells of them; `None` if it fails.
fn sessions(gateway: &Gateway) -> Option<Vec<Value>> {
    let listed = gateway.tidegate(&["sessions", "list", "audit", "--json"]);
    (listed.code == 0).then(|| listed.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The id of the only session of a user, once the log has its end.
fn closed(gateway: &Gateway, user: &str) -> String {
    let mut id = String::new();
    wait_until("the session's end is in the log", PATIENCE, || {
        // The end of a log that is being written can be a block that is not there yet.
        let Some(all) = sessions(gateway) else { return false };
        let found: Vec<_> = all.iter().filter(|s| s["user"] == user && s["closed"] != Value::Null).collect();
        assert!(found.len() < 2, "one session of {user}: {all:?}");
        found.first().is_some_and(|s| {
            id = s["session"].as_str().unwrap().to_owned();
            true
        })
    });
    id
}

fn recording(gateway: &Gateway, session: &str) -> std::path::PathBuf {
    let folder = gateway.folder.path().join("audit/recordings");
    let days = fs::read_dir(folder).unwrap().map(|day| day.unwrap().path());
    days.map(|day| day.join(format!("{session}.tgrec"))).find(|path| path.exists()).expect("a recording")
}

fn events(played: &Finished) -> Vec<Value> {
    played.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Values of the rows that were played.
fn rows(events: &[Value]) -> Vec<Vec<Option<String>>> {
    let rows = events.iter().filter(|event| event["type"] == "row");
    rows.map(|row| row["values"].as_array().unwrap().iter().map(|v| v.as_str().map(str::to_owned)).collect()).collect()
}

const SELECT: &str =
    "select patient_id, ssn, mrn, first_name, dob, phone, zip from clinic.patients order by 1 limit 40";

#[test]
fn a_session_is_played_back_as_its_client_saw_it_and_no_raw_value_is_on_disk() {
    let setup = Setup::new(Bundle::clinic(), Postgres::shared())
        .audit("recordings: { mode: rows, compress: false, unencrypted: true }");
    let gateway = setup.start();
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    let seen: Vec<Vec<Option<String>>> = wire
        .query(SELECT)
        .iter()
        .filter(|frame| frame.tag == b'D')
        .map(|frame| frame.values().into_iter().map(|v| v.map(|v| String::from_utf8(v).unwrap())).collect())
        .collect();
    assert_eq!(seen.len(), 40);
    assert!(error(&wire.query("delete from clinic.patients")).is_some());
    drop(wire);
    let session = closed(&gateway, "ana");
    let played = gateway.tidegate(&["replay", &session, "audit", "--fast", "--json", "--full"]).success();
    let events = events(&played);
    assert_eq!(rows(&events), seen);
    assert!(events.iter().any(|e| e["type"] == "statement" && e["text"] == SELECT && e["statement"] == 1));
    assert!(events.iter().any(|e| e["type"] == "refused" && e["statement"] == 2), "{events:?}");
    assert!(events.iter().any(|e| e["type"] == "error"), "{events:?}");
    assert_eq!(events.last().unwrap()["type"], "end");
    // The masked rows stand in the file as they were sent, and nothing protected stands anywhere.
    let bytes = fs::read(recording(&gateway, &session)).unwrap();
    let token = seen[0][2].as_ref().unwrap().as_bytes();
    assert!(bytes.windows(token.len()).any(|w| w == token), "what was sent is in the recording");
    canary::assert_none("the audit directory", &bytes_under(&gateway.folder.path().join("audit")));
    let table = gateway.tidegate(&["replay", &session, "audit", "--fast"]).success().text();
    assert!(table.contains("patient_id | ssn") && table.contains("SELECT 40") && table.contains("REFUSED"), "{table}");
}

#[test]
fn texts_parameters_and_recordings_open_for_their_recipients_alone_and_looking_is_recorded() {
    for compress in [true, false] {
        let setup = Setup::new(Bundle::clinic(), Postgres::shared());
        let gateway = sealed(setup, &format!("mode: rows, compress: {compress}")).start();
        let mut wire = Wire::login(&gateway.endpoint("ana"));
        let sql = "select city, state, sex from clinic.patients where patient_id = $1";
        wire.send(
            &[parse("", sql), bind("", "", &[Some("471100815047")], 0), describe(b'P', ""), execute("", 0), sync()]
                .concat(),
        );
        let frames = wire.until_ready(1);
        assert!(error(&frames).is_none(), "{frames:?}");
        wire.query("select state, 'a marked literal' from clinic.patients where patient_id = 7");
        drop(wire);
        let session = closed(&gateway, "ana");
        let audit = gateway.folder.path().join("audit");
        let bytes = bytes_under(&audit);
        // Names of tables are not secret: the log is asked by them.
        for secret in ["where patient_id", "a marked literal", "471100815047"] {
            let found = bytes.windows(secret.len()).any(|w| w == secret.as_bytes());
            assert!(!found, "{secret} stands in the audit directory");
        }
        let shown = gateway.tidegate(&["audit", "show", "audit"]).success().text();
        assert!(shown.contains("[sealed]") && !shown.contains("where patient_id"), "{shown}");

        let opened = gateway.tidegate(&["audit", "show", "audit", "--identity", "audit.key"]).success().text();
        assert!(opened.contains(sql) && opened.contains("a marked literal"), "{opened}");
        let statements = gateway
            .tidegate(&["sessions", "show", &session[..12], "audit", "--identity", "audit.key"])
            .success()
            .text();
        assert!(statements.contains("with (471100815047)"), "{statements}");
        let played = gateway.tidegate(&[
            "replay",
            &session,
            "audit",
            "--fast",
            "--json",
            "--identity",
            "audit.key",
            "--reason",
            "a drill",
        ]);
        let played = events(&played.success());
        assert!(played.iter().any(|e| e["text"] == sql), "{played:?}");
        assert!(
            rows(&played).iter().any(|row| row.get(1).is_some_and(|v| v.as_deref() == Some("a marked literal"))),
            "{played:?}"
        );
        // Who looked is on record, with the reason; who may not look gets nothing, and leaves no such record.
        let views = || {
            let records = gateway.records();
            records.into_iter().filter(|r| r["type"] == "REPLAY_VIEW").collect::<Vec<_>>()
        };
        let before = views();
        assert_eq!(before.len(), 3, "{before:?}");
        assert!(before.iter().any(|v| v["reason"] == "a drill" && v["session"] == session.as_str()), "{before:?}");
        for arguments in [&["--identity", "other.key"][..], &[]] {
            let refused = gateway.tidegate(&[&["replay", &session, "audit", "--fast"], arguments].concat());
            assert_eq!(refused.code, 20, "{}", refused.both());
            assert!(refused.text().is_empty() && refused.errors().contains("cannot be opened"), "{}", refused.both());
        }
        assert_eq!(views().len(), 3);
        gateway.tidegate(&["audit", "verify", "audit"]).success();
    }
}

#[test]
fn an_erased_key_closes_texts_and_recording_for_ever_and_only_the_order_for_it_is_missed() {
    let gateway = sealed(Setup::new(Bundle::clinic(), Postgres::shared()), "mode: rows").start();
    clients::rows(&gateway.endpoint("ana"), "select 1").success();
    let session = closed(&gateway, "ana");
    let core = gateway.folder.path().join("audit/core-00");
    let mut keys = fs::read_dir(&core).unwrap().map(|e| e.unwrap().path());
    let keys = keys.find(|p| p.extension().is_some_and(|e| e == "tgkeys")).expect("a file of keys");
    let mut bytes = fs::read(&keys).unwrap();
    assert!(bytes.len() >= 1024);
    bytes[512..].fill(0);
    fs::write(&keys, bytes).unwrap();
    let refused = gateway.tidegate(&["replay", &session, "audit", "--fast", "--identity", "audit.key"]);
    assert!(refused.code == 20 && refused.errors().contains("erased"), "{}", refused.both());
    // The log itself is whole. What is missing is that two people ordered this.
    let verified = gateway.tidegate(&["audit", "verify", "audit"]).text();
    let found: Vec<&str> = verified.lines().filter(|line| line.starts_with("E-")).collect();
    assert!(!found.is_empty() && found.iter().all(|line| line.starts_with("E-PURGE")), "{verified}");
}

#[test]
fn a_recording_that_reaches_its_cap_ends_with_its_session_or_without() {
    let many = "select repeat('x', 100) from generate_series(1, 20000)";
    for on_cap in ["stop", "spill"] {
        let recordings = format!("mode: rows, cap_bytes: 256KiB, compress: false, on_cap: {on_cap}");
        let gateway = sealed(Setup::new(Bundle::allow_all(), Postgres::shared()), &recordings).start();
        let mut wire = Wire::login(&gateway.endpoint("app"));
        wire.send(&tests::wire::query(many));
        let mut rows = 0;
        let mut told = None;
        while let Some(frame) = wire.read() {
            rows += u32::from(frame.tag == b'D');
            if frame.tag == b'E' {
                told = Some((frame.field(b'C'), frame.field(b'M')));
            }
            if frame.tag == b'Z' {
                break;
            }
        }
        if on_cap == "spill" {
            assert_eq!((rows, &told), (20_000, &None));
        } else {
            assert!(rows < 20_000, "{rows}");
            if let Some((code, message)) = &told {
                assert_eq!(code.as_deref(), Some("53400"));
                assert!(message.as_ref().unwrap().contains("recording"), "{message:?}");
            }
        }
        drop(wire);
        let session = closed(&gateway, "app");
        let records = gateway.records();
        let last = records.iter().rfind(|r| r["type"] == "REC_SEG").expect("a segment");
        assert_eq!(last["reason"], "cap", "{last}");
        assert!(last["bytes"].as_u64().unwrap() >= 256 << 10);
        assert!(fs::metadata(recording(&gateway, &session)).unwrap().len() < 2 << 20);
        let played = gateway.tidegate(&["replay", &session, "audit", "--fast", "--json", "--identity", "audit.key"]);
        let played = events(&played.success());
        let recorded = played.iter().filter(|e| e["type"] == "row").count();
        assert!(recorded > 1000 && recorded < 20_000, "{recorded}");
        if on_cap == "stop" {
            assert_eq!(u32::try_from(recorded).unwrap(), rows, "everything that was sent is recorded");
        }
    }
}

#[test]
fn after_kill_9_what_reached_the_disk_is_played_and_named_uncommitted() {
    let gateway = sealed(Setup::new(Bundle::allow_all(), Postgres::shared()), "mode: rows").start();
    let mut wire = Wire::login(&gateway.endpoint("app"));
    let audit = gateway.folder.path().join("audit/recordings");
    // What was sent goes to the disk after half a second: here by and by.
    let (mut answers, mut sizes) = (0, Vec::new());
    wait_until("several pieces of the recording are on disk", PATIENCE, || {
        wire.query(&format!("select 'answer {answers}'"));
        answers += 1;
        std::thread::sleep(Duration::from_millis(100));
        sizes.push(if audit.exists() { bytes_under(&audit).len() } else { 0 });
        sizes.dedup();
        sizes.len() > 3 && sizes.last().is_some_and(|size| *size > 400)
    });
    gateway.kill();
    gateway.restart();
    let all = sessions(&gateway).expect("a log that is whole again");
    let session = all.iter().find(|s| s["user"] == "app").unwrap()["session"].as_str().unwrap().to_owned();
    let played = gateway.tidegate(&["replay", &session, "audit", "--fast", "--json", "--identity", "audit.key"]);
    let played = events(&played.success());
    let found = rows(&played);
    assert!(!found.is_empty(), "{played:?}");
    for (n, row) in found.iter().enumerate() {
        assert_eq!(row, &[Some(format!("answer {n}"))], "a prefix of what was sent");
    }
    assert!(played.iter().any(|e| e["type"] == "uncommitted"), "{played:?}");
    gateway.tidegate(&["audit", "verify", "audit"]).success();
}

#[test]
fn a_long_answer_is_recorded_byte_for_byte_whether_sealed_compressed_or_neither() {
    // Fifteen chunks of 256 KiB, so that several go to the disk at once and the last ones by themselves.
    let text = "select n, md5(n::text) || repeat('z', 350) from generate_series(1, 10000) as n";
    for (name, kept) in [("clear", "compress: false, unencrypted: true"), ("sealed", "compress: false"), ("zstd", "")] {
        let recordings =
            ["mode: rows", kept].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", ");
        let gateway = sealed(Setup::new(Bundle::allow_all(), Postgres::shared()), &recordings).start();
        let mut wire = Wire::login(&gateway.endpoint("app"));
        let answer = wire.query(text);
        let shown = |value: Option<Vec<u8>>| value.map(|value| String::from_utf8(value).unwrap());
        let rows_sent = answer.iter().filter(|frame| frame.tag == b'D');
        let seen: Vec<Vec<_>> = rows_sent.map(|frame| frame.values().into_iter().map(shown).collect()).collect();
        assert_eq!(seen.len(), 10_000);
        wire.query("select 1");
        drop(wire);
        let session = closed(&gateway, "app");
        let replay = ["replay", &session, "audit", "--fast", "--json", "--full", "--identity", "audit.key"];
        let events = events(&gateway.tidegate(&replay).success());
        let played = rows(&events);
        assert_eq!(played.len(), 10_001, "{name}");
        assert!(played[..10_000] == seen[..], "{name}: the rows are those that were sent");
        gateway.tidegate(&["audit", "verify", "audit"]).success();
    }
}

#[test]
fn a_changed_or_cut_recording_is_named_with_the_chunks() {
    let gateway = sealed(Setup::new(Bundle::allow_all(), Postgres::shared()), "mode: rows, compress: false").start();
    clients::rows(&gateway.endpoint("app"), "select repeat('y', 100) from generate_series(1, 10000)").success();
    let session = closed(&gateway, "app");
    let path = recording(&gateway, &session);
    let good = fs::read(&path).unwrap();
    let replay = || gateway.tidegate(&["replay", &session, "audit", "--fast", "--identity", "audit.key"]);
    assert_eq!(replay().code, 0, "{}", replay().errors());
    let mut changed = good.clone();
    changed[300_000] ^= 1;
    for (what, bytes) in [("changed", &changed[..]), ("cut", &good[..good.len() - 8192])] {
        fs::write(&path, bytes).unwrap();
        let done = replay();
        assert_eq!(done.code, 10, "{what}: {}", done.errors());
        assert!(done.text().contains("!!") && done.text().contains("chunks"), "{what}");
    }
    fs::remove_file(&path).unwrap();
    let done = replay();
    assert!(done.code == 20 && done.errors().contains("missing"), "{}", done.both());
}

#[test]
fn what_was_sent_cannot_move_the_terminal_of_whoever_looks() {
    let gateway = sealed(Setup::new(Bundle::allow_all(), Postgres::shared()), "mode: rows").start();
    let mut wire = Wire::login(&gateway.endpoint("app"));
    wire.query("select E'\\x1b]0;owned\\x07', E'a\\r\\nb', U&'\\202Egnp' as \"\u{1b}[31mred\"");
    wire.query("do $$ begin raise notice E'\\x1b[2J'; end $$");
    drop(wire);
    let session = closed(&gateway, "app");
    for json in [&[][..], &["--json"]] {
        let arguments = [&["replay", &session, "audit", "--fast", "--identity", "audit.key"], json].concat();
        let text = gateway.tidegate(&arguments).success().text();
        assert!(text.contains("owned"), "{text}");
        assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
    }
}

#[test]
fn statements_of_the_log_are_judged_under_another_bundle() {
    let server = Postgres::shared();
    let gateway = sealed(Setup::new(Bundle::clinic(), server), "mode: none").start();
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    for _ in 0..3 {
        wire.query("select patient_id, ssn from clinic.patients where patient_id = 7");
    }
    wire.query("select count(*) from clinic.encounters");
    wire.query("delete from clinic.patients");
    drop(wire);
    closed(&gateway, "ana");
    let folder = gateway.folder.path();
    let rules: Vec<std::path::PathBuf> = tests::rules::examples();
    snapshot(&rules, "warehouse", server, &folder.join("catalog.json")).success();
    let against = |bundle: &str, more: &[&str]| {
        let base = ["replay", "audit", "--against", bundle, "--catalog", "catalog.json", "--json"];
        gateway.tidegate(&[&base, more].concat())
    };
    let same = against("policy.tgb", &["--identity", "audit.key"]);
    assert_eq!(same.code, 0, "{}", same.both());
    let value: Value = serde_json::from_str(&same.text()).unwrap();
    assert_eq!((&value["statements"], &value["same"]), (&Value::from(5), &Value::from(5)), "{value}");

    let block = "block:\n  - name: no-patients\n    effects: [read]\n    objects: [\"warehouse.clinic.patients\"]\n    message: not any more\n";
    let extra = Folder::new("rules");
    let files = [rules, vec![extra.write("extra.yaml", block)]].concat();
    fs::write(folder.join("new.tgb"), &Bundle::from_files(&files, "warehouse", server).bytes).unwrap();
    let other = against("new.tgb", &["--identity", "audit.key"]);
    assert_eq!(other.code, 10, "{}", other.both());
    let value: Value = serde_json::from_str(&other.text()).unwrap();
    assert_eq!(value["changed"]["refused"], 3, "{value}");
    let change = value["changes"].as_array().unwrap().iter().find(|c| c["kind"] == "refused").unwrap();
    assert_eq!((&change["count"], &change["now"]["rule"]), (&Value::from(3), &Value::from("no-patients")), "{value}");
    // Without the key nothing can be judged, and that is said.
    let unread = against("new.tgb", &[]);
    let value: Value = serde_json::from_str(&unread.text()).unwrap();
    assert_eq!(value["statements"], 0, "{value}");
    assert!(value["not_judged"].as_object().is_some_and(|m| m.values().any(|n| n == 5)), "{value}");
}
