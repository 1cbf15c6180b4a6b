//! The audit log against what the server says it did: kill -9 loses nothing that was acknowledged, and every statement the
//! server executed has its intent record.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};
use tests::{
    canary, clients,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, bind, execute, parse, query, sync},
};

/// Rules that allow everything, with a record on disk before each statement.
const STRICT: &str = "\
targets:
  plain: {address: \"127.0.0.1:5432\", database: plain, account: app, tls: disable, audit: strict}
roles:
  everyone: {groups: [everyone], targets: [plain], default: clear, redact: clear}
";

/// A server that logs every statement it executes, with nothing else in front of the text.
fn logging_server() -> Postgres {
    Postgres::start("log_statement = 'all'\nlog_line_prefix = '@%u@'\nlog_min_messages = warning")
}

/// Statements the server executed for the gateway's account that carry this mark.
fn executed(server: &Postgres, mark: &str) -> BTreeMap<String, usize> {
    let log = server.log();
    let mut statements = BTreeMap::new();
    for line in log.lines().filter_map(|line| line.strip_prefix("@app@LOG:  ")) {
        let text = line
            .strip_prefix("statement: ")
            .or_else(|| line.split_once(": ").filter(|(head, _)| head.starts_with("execute")).map(|(_, t)| t));
        if let Some(text) = text.filter(|text| text.contains(mark)) {
            *statements.entry(text.to_owned()).or_default() += 1;
        }
    }
    statements
}

/// Statement texts of intent records that carry this mark.
fn intended(gateway: &Gateway, mark: &str) -> BTreeMap<String, usize> {
    let mut statements = BTreeMap::new();
    for record in gateway.records() {
        let line = record.to_string();
        if line.to_lowercase().contains("intent") {
            for text in strings(&record).into_iter().filter(|text| text.contains(mark)) {
                *statements.entry(text).or_default() += 1;
            }
        }
    }
    statements
}

fn strings(value: &serde_json::Value) -> Vec<String> {
    match value {
        serde_json::Value::String(text) => vec![text.clone()],
        serde_json::Value::Array(items) => items.iter().flat_map(strings).collect(),
        serde_json::Value::Object(fields) => fields.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}

#[track_caller]
fn verify_clean(gateway: &Gateway) {
    let done = gateway.tidegate(&["audit", "verify", "audit"]);
    assert_eq!(done.code, 0, "{}", done.both());
}

#[test]
fn r2_after_kill_9_under_load_the_log_verifies_and_holds_every_executed_statement() {
    for (mode, rules) in [("strict", STRICT.to_owned()), ("async", STRICT.replace("strict", "async"))] {
        let server = logging_server();
        let bundle = Bundle::compile(&[&rules], "plain", &server);
        let gateway = Setup::new(&bundle, &server).cores(2).start();
        let mut answered = Vec::new();
        // What was on record at some moment before a kill.
        let mut recorded = BTreeMap::new();
        for round in 0..3 {
            let endpoint = gateway.endpoint("app");
            let answers = AtomicUsize::new(0);
            std::thread::scope(|scope| {
                let clients: Vec<_> = (0..CLIENTS)
                    .map(|client| {
                        let (endpoint, answers) = (endpoint.clone(), &answers);
                        scope.spawn(move || load(&endpoint, &format!("{mode} {round} {client}."), answers))
                    })
                    .collect();
                let began = Instant::now();
                let this = format!("{mode} {round} ");
                // However slow the machine: the kill comes when there is work behind it, and records of it in the log.
                while began.elapsed() < PATIENCE
                    && (answers.load(Ordering::Relaxed) < WORK
                        || recorded.keys().filter(|text: &&String| text.contains(&this)).count() < WORK / 2)
                {
                    std::thread::sleep(Duration::from_millis(200));
                    recorded = intended(&gateway, "mark");
                }
                std::thread::sleep(Duration::from_millis(100 * round));
                gateway.kill();
                // One that was killed in its login has nothing to tell.
                answered.extend(clients.into_iter().filter_map(|client| client.join().ok()).flatten());
            });
            gateway.restart();
            verify_clean(&gateway);
        }
        wait_until("the server is done", PATIENCE, || {
            server
                .sql("postgres", "select count(*) from pg_stat_activity where usename = 'app' and state = 'active'")
                .trim()
                == "0"
        });
        let (executed, intended) = (executed(&server, "mark"), intended(&gateway, "mark"));
        assert!(executed.len() > 2 * WORK, "{mode}: only {} statements under load", executed.len());
        let lost: Vec<_> = recorded.keys().filter(|text| !intended.contains_key(*text)).collect();
        assert!(
            lost.is_empty(),
            "{mode}: {} statements were in the log before the kill, first {:?}",
            lost.len(),
            lost[0]
        );
        if mode == "strict" {
            let unknown: Vec<_> = answered.iter().filter(|text| !intended.contains_key(*text)).collect();
            assert!(unknown.is_empty(), "{} of {} answers are in no record", unknown.len(), answered.len());
            // What only reads may run while its record is on its way; nobody was told what it returned.
            let missing: Vec<_> = executed
                .iter()
                .filter(|(text, _)| !text.starts_with("select") || answered.contains(*text))
                .filter(|(text, n)| intended.get(*text).is_none_or(|m| m < n))
                .collect();
            assert!(
                missing.is_empty(),
                "{} of {} executed statements have no intent record, first {:?}",
                missing.len(),
                executed.len(),
                missing[0]
            );
        } else {
            // What was forwarded after the last commit before a kill may be missing: the end of what a client did, nothing
            // out of the middle.
            for client in (0..3).flat_map(|round| (0..CLIENTS).map(move |n| format!("{mode} {round} {n}. "))) {
                let of = |texts: &BTreeMap<String, usize>| -> BTreeSet<usize> {
                    let mine =
                        texts.keys().filter_map(|text| text.split_once(&client)?.1.trim_end_matches('\'').parse().ok());
                    mine.collect()
                };
                let (ran, known) = (of(&executed), of(&intended));
                let missing: Vec<_> = ran.difference(&known).collect();
                let first = missing.first().map_or(usize::MAX, |first| **first);
                assert!(known.iter().all(|number| *number < first), "{client}: {missing:?} of {}", ran.len());
            }
        }
    }
}

/// Clients at a time, and the statements of theirs that are answered before a kill.
const CLIENTS: usize = 6;
const WORK: usize = 120;

/// Statements with a unique text each, by both protocols, until the gateway is gone. Those that were answered.
fn load(endpoint: &tests::endpoint::Endpoint, who: &str, answers: &AtomicUsize) -> Vec<String> {
    let mut answered = Vec::new();
    let mut wire = Wire::login(endpoint);
    for number in 0..100_000 {
        let verb = if number % 3 == 0 { "set application_name =" } else { "select" };
        let sql = format!("{verb} 'mark {who} {number}'");
        let bytes = if number % 2 == 0 {
            query(&sql)
        } else {
            [parse("", &sql), bind("", "", &[], 0), execute("", 0), sync()].concat()
        };
        if wire.try_send(&bytes).is_err() || wire.until_ready(1).last().is_none_or(|last| last.tag != b'Z') {
            break;
        }
        answered.push(sql);
        answers.fetch_add(1, Ordering::Relaxed);
    }
    answered
}

#[test]
fn r1_every_statement_of_an_ordinary_run_has_exactly_its_records() {
    let server = logging_server();
    let bundle = Bundle::compile(&[STRICT], "plain", &server);
    let gateway = Setup::new(&bundle, &server).start();
    let mut wire = Wire::login(&gateway.endpoint("app"));
    for number in 0..50 {
        wire.query(&format!("select 'exact {number}'"));
    }
    wire.send(&[parse("named", "select 'exact prepared', $1::int"), sync()].concat());
    wire.until_ready(1);
    for number in 0..7 {
        wire.send(&[bind("", "named", &[Some(&number.to_string())], 0), execute("", 0), sync()].concat());
        wire.until_ready(1);
    }
    drop(wire);
    let (executed, intended) = (executed(&server, "exact"), intended(&gateway, "exact"));
    assert_eq!(executed.len(), 51);
    assert_eq!(executed, intended, "one intent per execution");
    verify_clean(&gateway);
    wait_until("session and result records are in the log", PATIENCE, || {
        let records = gateway.records();
        let has = |kind: &str| records.iter().any(|record| record["type"] == kind);
        has("SESSION_OPEN") && has("STMT_RESULT") && has("SESSION_CLOSE")
    });
}

#[test]
fn a_refusal_is_recorded_with_its_rule_and_no_result_holds_a_value() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    let endpoint = gateway.endpoint("ana");
    clients::rows(&endpoint, "select * from clinic.patients").success();
    assert_ne!(clients::rows(&endpoint, "drop table clinic.notes").code, 0);
    let mut shown = String::new();
    wait_until("the refusal and the result are on disk", PATIENCE, || {
        shown = gateway.tidegate(&["audit", "show", "audit"]).success().text();
        shown.contains("no-drop") && shown.contains("240 rows")
    });
    assert!(shown.contains("ana"), "{shown}");
    canary::assert_none("the audit log", shown.as_bytes());
    verify_clean(&gateway);
}

#[test]
fn a_segment_that_cannot_be_written_stops_statements_instead_of_losing_records() {
    let server = logging_server();
    let bundle = Bundle::compile(&[STRICT], "plain", &server);
    let gateway = Setup::new(&bundle, &server).launch();
    gateway.wait_ready();
    gateway.kill();
    let audit = gateway.folder.path().join("audit");
    fs::rename(&audit, gateway.folder.path().join("moved")).unwrap();
    fs::write(&audit, "in the way").unwrap();
    let done = gateway.tidegate(&["serve", "--config", "tidegate.yaml"]);
    assert!(done.code > 0, "it starts without a place for its records");
    assert!(done.errors().contains("audit"), "{}", done.both());
}

#[test]
fn r7_every_kind_of_tampering_is_found() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    let endpoint = gateway.endpoint("priya");
    for number in 0..40 {
        clients_query(&endpoint, number);
    }
    gateway.signal("TERM");
    gateway.wait_end(PATIENCE).expect("it ends");
    verify_clean(&gateway);
    let audit = gateway.folder.path().join("audit");
    let segment = largest_file(&audit);
    let good = fs::read(&segment).unwrap();
    let used = good.iter().rposition(|&b| b != 0).unwrap() + 1;
    for (what, position) in
        [("near the start", used / 50 + 1), ("in the middle", used / 2), ("near the end", used - 40)]
    {
        let mut bad = good.clone();
        bad[position] ^= 0x20;
        fs::write(&segment, &bad).unwrap();
        let done = gateway.tidegate(&["audit", "verify", "audit"]);
        assert_ne!(done.code, 0, "a byte changed {what} (at {position} of {used}) is not found: {}", done.both());
    }
    fs::write(&segment, [&good[..used / 3], &good[used / 3 + 64..]].concat()).unwrap();
    assert_ne!(gateway.tidegate(&["audit", "verify", "audit"]).code, 0, "64 bytes taken out");
    fs::write(&segment, &good).unwrap();
    verify_clean(&gateway);
}

fn clients_query(endpoint: &tests::endpoint::Endpoint, number: u32) {
    Wire::login(endpoint).query(&format!("select {number}"));
}

fn largest_file(folder: &std::path::Path) -> std::path::PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                folders.push(entry.path());
            } else {
                let used = fs::read(entry.path()).unwrap().iter().filter(|&&b| b != 0).count();
                files.push((used, entry.path()));
            }
        }
    }
    files.sort();
    files.pop().expect("an audit segment").1
}

#[test]
fn r2_ten_kills_under_load_and_the_three_books_agree() {
    let account = tests::reconcile::rounds(10, &mut |_| {});
    assert!(account.mistakes.is_empty(), "{account}");
    assert!(account.answered > 500 && account.in_doubt.0 > 0, "{account}");
}
