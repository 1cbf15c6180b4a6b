//! The durability contract, clause by clause (R1 to R7), on disks that are frozen or full.
//!
//! A frozen disk takes nothing and fails nothing: whatever the gateway does meanwhile it does without a durable record.
//! Where mounting is not allowed these tests say so and pass; the simulator of the writer runs everywhere.

use std::{
    fs,
    time::{Duration, Instant},
};
use tests::{
    disk::Disk,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Frame, Wire, bind, error, execute, parse, query, sync, tags},
};

fn rules(mode: &str) -> String {
    format!(
        "targets:\n  plain: {{address: \"127.0.0.1:5432\", database: plain, account: app, tls: disable, audit: {mode}}}\n\
         roles:\n  everyone: {{groups: [everyone], targets: [plain], default: clear, redact: clear}}\n"
    )
}

fn server() -> Postgres {
    let server = Postgres::start("log_statement = 'all'\nlog_line_prefix = '@%u@'\nlog_min_messages = warning");
    server.sql("plain", "create table book (id text primary key); alter table book owner to app");
    server
}

/// A gateway in this mode whose log is on a disk that can be frozen, and waits as long as a test may take.
fn on_frozen_disk(mode: &str, server: &Postgres) -> Option<(Gateway, Disk)> {
    on_frozen_disk_for("10m", mode, server)
}

/// The same that waits so long for a record.
fn on_frozen_disk_for(wait: &str, mode: &str, server: &Postgres) -> Option<(Gateway, Disk)> {
    let Some(disk) = Disk::freezable(96) else {
        println!("skipped: a disk cannot be mounted and frozen here");
        return None;
    };
    let bundle = Bundle::compile(&[&rules(mode)], "plain", server);
    let setup = Setup::new(&bundle, server).audit("segment_bytes: 2MiB").audit(&format!("wait_max: {wait}"));
    let gateway = setup.audit_directory(&disk.path().join("audit")).start();
    Some((gateway, disk))
}

fn verify_clean(gateway: &Gateway, disk: &Disk) {
    let directory = disk.path().join("audit");
    let verify = || gateway.tidegate(&["audit", "verify", directory.to_str().unwrap()]);
    // A disk that was frozen kept the first checkpoint from being published.
    let began = Instant::now();
    while began.elapsed() < PATIENCE && verify().code != 0 {
        std::thread::sleep(Duration::from_millis(200));
    }
    let done = verify();
    assert_eq!(done.code, 0, "{}", done.both());
}

fn shown(gateway: &Gateway, disk: &Disk, kind: &str) -> Vec<serde_json::Value> {
    let directory = disk.path().join("audit");
    let done = gateway.tidegate(&["audit", "show", "--json", "--kind", kind, directory.to_str().unwrap()]).success();
    done.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Nothing arrives for a while.
#[track_caller]
fn assert_silent(wire: &mut Wire, time: Duration) {
    wire.patience(time);
    let began = Instant::now();
    let came = wire.try_read();
    assert!(came.is_none() && began.elapsed() >= time / 2, "without a durable record the client got {came:?}");
    wire.patience(PATIENCE);
}

fn state(frames: &[Frame]) -> Option<String> {
    error(frames).and_then(|frame| frame.field(b'C'))
}

#[test]
fn r1_a_statement_that_changes_something_waits_for_its_intent_and_fails_in_time() {
    let server = server();
    for mode in ["strict", "intent"] {
        let Some((gateway, disk)) = on_frozen_disk_for("3s", mode, &server) else { return };
        let mut wire = Wire::login(&gateway.endpoint("app"));
        wire.query("select 1");
        assert!(disk.freeze());
        wire.send(&query(&format!("insert into book values ('{mode} frozen')")));
        // The first that comes is the refusal.
        let answer = wire.until_ready(1);
        assert_eq!((state(&answer).as_deref(), tags(&answer).as_str()), (Some("58030"), "EZ"), "{answer:?}");
        assert!(!server.log().contains(&format!("{mode} frozen")), "it went upstream without a durable intent");
        assert!(disk.thaw());
        // The session lives on, and the statement never ran.
        wait_until("the log works again", PATIENCE, || tags(&wire.query("select 2")) == "TDCZ");
        let answer = wire.query(&format!("insert into book values ('{mode} thawed')"));
        assert!(error(&answer).is_none(), "{answer:?}");
        let rows = server.sql("plain", "select id from book");
        assert!(rows.contains(&format!("{mode} thawed")) && !rows.contains(&format!("{mode} frozen")), "{rows}");
        verify_clean(&gateway, &disk);
    }
}

#[test]
fn r1_what_only_reads_may_run_beside_its_intent_in_strict_and_not_in_intent_mode() {
    let server = server();
    for (mode, runs) in [("strict", true), ("intent", false)] {
        let Some((gateway, disk)) = on_frozen_disk(mode, &server) else { return };
        let mut wire = Wire::login(&gateway.endpoint("app"));
        wire.query("select 1");
        assert!(disk.freeze());
        wire.send(&query(&format!("select '{mode} read', count(*) from book")));
        if runs {
            wait_until("it runs", PATIENCE, || server.log().contains(&format!("{mode} read")));
        }
        assert_silent(&mut wire, Duration::from_secs(1));
        assert_eq!(server.log().contains(&format!("{mode} read")), runs, "{mode}");
        assert!(disk.thaw());
        assert_eq!(tags(&wire.until_ready(1)), "TDCZ");
        for hidden in ["select nextval('counter')", "select id from book for update", "select pg_sleep(0)"] {
            server.sql("plain", "create sequence if not exists counter; grant all on counter to app");
            assert!(disk.freeze());
            wire.send(&query(&format!("/* {mode} */ {hidden}")));
            assert_silent(&mut wire, Duration::from_millis(700));
            assert!(!server.log().contains(&format!("/* {mode} */ {hidden}")), "{hidden} ran without a durable intent");
            assert!(disk.thaw());
            wire.until_ready(1);
        }
        verify_clean(&gateway, &disk);
    }
}

#[test]
fn r2_r3_no_row_and_no_completion_leaves_before_a_durable_record_covers_it() {
    let server = server();
    let Some((gateway, disk)) = on_frozen_disk("strict", &server) else { return };
    let select = "select g, repeat('x', 1000) from generate_series(1, 5000) g";
    for bytes in [query(select), [parse("", select), bind("", "", &[], 0), execute("", 0), sync()].concat()] {
        let mut wire = Wire::login(&gateway.endpoint("app"));
        wire.query("select 1");
        assert!(disk.freeze());
        wire.send(&bytes);
        assert_silent(&mut wire, Duration::from_millis(1500));
        assert!(disk.thaw());
        let answer = wire.until_ready(1);
        assert_eq!(answer.iter().filter(|frame| frame.tag == b'D').count(), 5000);
        // An error and a command without rows are answers too.
        for sql in ["select 1/0", "set application_name = 'x'", "this is no statement"] {
            assert!(disk.freeze());
            wire.send(&query(sql));
            assert_silent(&mut wire, Duration::from_millis(500));
            assert!(disk.thaw());
            assert_eq!(wire.until_ready(1).last().unwrap().tag, b'Z');
        }
    }
    verify_clean(&gateway, &disk);
}

#[test]
fn r2_what_was_not_released_in_time_ends_the_session_without_a_row() {
    let server = server();
    let Some((gateway, disk)) = on_frozen_disk_for("3s", "strict", &server) else { return };
    let mut wire = Wire::login(&gateway.endpoint("app"));
    wire.query("select 1");
    assert!(disk.freeze());
    wire.send(&query("select g, repeat('x', 1000) from generate_series(1, 50000) g"));
    let bytes = wire.to_end();
    assert!(disk.thaw());
    let text = String::from_utf8_lossy(&bytes);
    assert!(text.contains("58030") && text.contains("audit log unavailable"), "{text}");
    assert!(!text.contains("xxxx"), "rows left without a durable record");
    wait_until("the log works again", PATIENCE, || {
        !shown(&gateway, &disk, "gap").is_empty() && Wire::login_error(&gateway.endpoint("app")).is_none()
    });
    let gaps = shown(&gateway, &disk, "gap");
    assert!(gaps.iter().any(|gap| gap["reason"] == "slow"), "{gaps:?}");
    verify_clean(&gateway, &disk);
}

#[test]
fn r4_the_key_of_a_session_leaves_only_when_the_session_is_on_record() {
    let server = server();
    let Some((gateway, disk)) = on_frozen_disk("strict", &server) else { return };
    assert!(disk.freeze());
    let endpoint = gateway.endpoint("app");
    let began = Instant::now();
    let waiting = std::thread::spawn(move || {
        let mut wire = Wire::login(&endpoint);
        let answer = wire.query("select 1");
        (Instant::now(), answer)
    });
    std::thread::sleep(Duration::from_secs(1));
    assert!(!waiting.is_finished(), "a session opens without a durable record");
    assert!(disk.thaw());
    let (at, answer) = waiting.join().unwrap();
    assert!(at - began >= Duration::from_secs(1) && error(&answer).is_none(), "{answer:?}");
    verify_clean(&gateway, &disk);
}

#[test]
fn r6_a_bulk_answer_is_released_in_batches_that_count_up() {
    let server = server();
    let bundle = Bundle::compile(&[&rules("strict")], "plain", &server);
    let gateway = Setup::new(&bundle, &server).start();
    let mut wire = Wire::login(&gateway.endpoint("app"));
    for sql in [
        "select g, repeat('x', 1000) from generate_series(1, 40000) g",
        "copy (select g, repeat('x', 1000) from generate_series(1, 40000) g) to stdout",
    ] {
        let answer = wire.query(sql);
        let rows = answer.iter().filter(|frame| matches!(frame.tag, b'D' | b'd')).count();
        assert_eq!(rows, 40_000);
    }
    drop(wire);
    wait_until("the session is on record", PATIENCE, || {
        let has = |kind: &str| gateway.records().iter().any(|record| record["type"] == kind);
        has("SESSION_CLOSE") && has("HEARTBEAT")
    });
    let records = gateway.records();
    for statement in [1, 2] {
        let of = |kind: &str| {
            let mine = records.iter().filter(move |r| r["type"] == *kind && r["statement"] == statement);
            mine.map(|r| (r["rows"].as_u64().unwrap_or(0), r["bytes"].as_u64().unwrap_or(0))).collect::<Vec<_>>()
        };
        let (releases, results) = (of("RELEASE"), of("STMT_RESULT"));
        assert!(!releases.is_empty() && releases.len() < 500, "{} releases for 40 MB", releases.len());
        assert!(releases.is_sorted() && releases.last() <= results.last(), "{releases:?} {results:?}");
        assert_eq!(results.len(), 1);
        assert_eq!(results[0].0, 40_000);
    }
    let done = gateway.tidegate(&["audit", "verify", "audit"]);
    assert_eq!(done.code, 0, "{}", done.both());
}

#[test]
fn r5_r7_a_full_disk_stops_statements_with_clear_errors_and_the_outage_is_on_record() {
    let Some(disk) = Disk::small(14) else {
        println!("skipped: a disk cannot be mounted here");
        return;
    };
    let server = server();
    let bundle = Bundle::compile(&[&rules("strict")], "plain", &server);
    let setup = Setup::new(&bundle, &server).audit("segment_bytes: 1MiB").audit("wait_max: 20s");
    let gateway = setup.audit_directory(&disk.path().join("audit")).start();
    let endpoint = gateway.endpoint("app");
    let mut wire = Wire::login(&endpoint);
    let filler = disk.fill();
    let mut written = Vec::new();
    let mut refused = 0;
    let padding = "x".repeat(4000);
    for number in 0..5000 {
        let answer = wire.query(&format!("insert into book values ('full {number}') /* {padding} */"));
        match state(&answer) {
            None => written.push(format!("full {number}")),
            Some(code) => {
                assert_eq!(code, "58030", "{answer:?}");
                assert_eq!(tags(&answer), "EZ", "the session lives on");
                refused += 1;
                if refused > 5 {
                    break;
                }
            }
        }
    }
    assert!(refused > 5, "the disk is full and statements go on; {} written", written.len());
    let turned_away = Wire::login_error(&endpoint).expect("no new session while the log has no space");
    assert_eq!(turned_away.field(b'C').as_deref(), Some("57P03"), "{turned_away:?}");
    fs::remove_file(filler).unwrap();
    wait_until("service resumes", PATIENCE, || {
        let answer = wire.query("insert into book select 'after ' || clock_timestamp()");
        error(&answer).is_none()
    });
    wait_until("new sessions are taken", PATIENCE, || Wire::login_error(&endpoint).is_none());
    drop(wire);
    let rows = server.sql("plain", "select id from book where id like 'full%' order by 1");
    let mut rows: Vec<&str> = rows.lines().map(str::trim).collect();
    rows.sort_unstable();
    written.sort_unstable();
    assert_eq!(rows, written, "what was refused did not run, what ran was answered");
    wait_until("the outage is on record", PATIENCE, || !shown(&gateway, &disk, "gap").is_empty());
    let gap = shown(&gateway, &disk, "gap").remove(0);
    assert!(gap["reason"] == "enospc" && gap["statements"].as_u64() > Some(5), "{gap}");
    assert!(gap["sessions"].as_u64() >= Some(1) && gap["duration_us"].as_u64() > Some(0), "{gap}");
    wait_until("the log was full, and is as ever", PATIENCE, || {
        let modes = shown(&gateway, &disk, "log_mode");
        let words: Vec<_> = modes.iter().filter_map(|mode| mode["mode"].as_str()).collect();
        words.contains(&"refusing_sessions") && words.last() == Some(&"normal")
    });
    verify_clean(&gateway, &disk);
}

#[test]
fn async_mode_answers_without_waiting_and_says_so_in_the_log() {
    let server = server();
    let Some((gateway, disk)) = on_frozen_disk("async", &server) else { return };
    let mut wire = Wire::login(&gateway.endpoint("app"));
    assert!(disk.freeze());
    let answer = wire.query("insert into book values ('async')");
    assert!(disk.thaw());
    assert!(error(&answer).is_none(), "{answer:?}");
    drop(wire);
    wait_until("it is on record", PATIENCE, || {
        shown(&gateway, &disk, "log_mode").iter().any(|record| record["mode"] == "async")
            && shown(&gateway, &disk, "session_open").iter().any(|record| record["mode"] == "async")
    });
    verify_clean(&gateway, &disk);
}

#[test]
fn records_name_the_tables_and_what_was_seen_in_clear() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    let mut wire = Wire::login(&gateway.endpoint("priya"));
    assert!(error(&wire.query("select * from clinic.patients limit 3")).is_none());
    drop(wire);
    wait_until("it is on record", PATIENCE, || {
        let has = |kind: &str| gateway.records().iter().any(|record| record["type"] == kind);
        has("SESSION_CLOSE") && has("HEARTBEAT")
    });
    let records = gateway.records();
    let find = |kind: &str| records.iter().find(|record| record["type"] == kind).unwrap_or_else(|| panic!("{kind}"));
    assert_eq!(find("STMT_INTENT")["tables"], serde_json::json!(["clinic.patients"]));
    let clear = find("STMT_RESULT")["clear"].to_string();
    assert!(clear.contains("ssn"), "a role that sees everything sees the classes in clear: {clear}");
    let beats = records.iter().filter(|record| record["type"] == "HEARTBEAT").count();
    assert!(beats >= 1, "the core says that it is alive");
}
