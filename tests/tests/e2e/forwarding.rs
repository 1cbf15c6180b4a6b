//! Forwarders against real receivers: everything arrives, whatever is killed on the way, and duplicates have the same id.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::TcpListener,
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde_json::Value;
use tests::{
    certificates::Authority,
    gateway::{Gateway, Setup},
    process::{Guarded, PATIENCE, wait_until},
    programs::program,
    receivers::{BUCKET, Collector, ObjectStore, Rsyslog},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, tags},
};

/// Writes a configuration like the gateway's with these lines under `audit:`.
fn configure(gateway: &Gateway, forward: &str) {
    let text = std::fs::read_to_string(gateway.folder.path().join("tidegate.yaml")).unwrap();
    let text = text.replacen("audit:\n  directory: audit\n", &format!("audit:\n  directory: audit\n{forward}"), 1);
    gateway.folder.write("forward.yaml", text);
    gateway.folder.write("ca.crt", &Authority::shared().certificate);
    gateway.folder.write("access.key", "a");
    gateway.folder.write("secret.key", "b");
}

fn forwarder(gateway: &Gateway) -> Guarded {
    let log =
        std::fs::File::options().create(true).append(true).open(gateway.folder.path().join("forward.log")).unwrap();
    let mut command = Command::new(program("tidegate"));
    command.args(["forward", "--config", "forward.yaml"]).current_dir(gateway.folder.path());
    command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    Guarded::start(&mut command, "KILL", std::path::Path::new(""))
}

/// Ids of all records of the log.
fn ids(gateway: &Gateway) -> BTreeSet<(u64, u64)> {
    gateway.records().iter().map(|r| (r["core"].as_u64().unwrap(), r["sequence"].as_u64().unwrap())).collect()
}

fn place(event: &Value) -> (u64, u64) {
    (event["core"].as_u64().unwrap(), event["sequence"].as_u64().unwrap())
}

/// How often each record arrived at rsyslog, by the id in its structured data.
fn arrived(rsyslog: &Rsyslog) -> BTreeMap<(u64, u64), usize> {
    let mut counts = BTreeMap::new();
    for line in rsyslog.lines() {
        let event: Value = serde_json::from_str(&line[line.find("] {").unwrap() + 2..]).unwrap();
        assert!(line.contains(&format!("id={}", event["id"])), "{line}");
        *counts.entry(place(&event)).or_default() += 1;
    }
    counts
}

/// Ends what runs while this is true.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

#[test]
fn everything_arrives_at_rsyslog_and_s3_though_the_forwarder_is_killed() {
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).cores(2).start();
    let (mut rsyslog, store) = (Rsyslog::start(), ObjectStore::start());
    configure(
        &gateway,
        &format!(
            "  forward:\n    - {{name: siem, syslog: {{address: \"127.0.0.1:{}\", ca: ca.crt}}}}\n    \
             - {{name: lake, s3: {{endpoint: \"http://127.0.0.1:{}\", bucket: {BUCKET}, prefix: \"tidegate/\", \
             access_key: {{file: access.key}}, secret_key: {{file: secret.key}}, retain: 1d, gather: 500ms}}}}\n",
            rsyslog.port, store.port
        ),
    );
    let running = AtomicBool::new(true);
    std::thread::scope(|scope| {
        // A panic below must not leave the clients running.
        let _end = Ends(&running);
        for client in 0..3 {
            let (endpoint, running) = (gateway.endpoint("app"), &running);
            scope.spawn(move || {
                let mut wire = Wire::login(&endpoint);
                let mut number = 0;
                while running.load(Ordering::Relaxed) {
                    wire.query(&format!("select 'forwarded {client} {number}'"));
                    number += 1;
                    // After a connection that broke the last thousand events are sent again. What a receiver that stands
                    // still for seconds before it goes has not read is fewer at this pace.
                    std::thread::sleep(Duration::from_millis(40));
                }
            });
        }
        for _ in 0..3 {
            let before = arrived(&rsyslog).len();
            let mut forwarder = forwarder(&gateway);
            wait_until("events flow", 2 * PATIENCE, || arrived(&rsyslog).len() > before + 500);
            forwarder.signal("KILL");
            forwarder.wait(PATIENCE).expect("SIGKILL ends a process");
        }
        // The receiver goes away too, in the middle.
        let mut last = forwarder(&gateway);
        rsyslog.restart();
        let before = arrived(&rsyslog).len();
        wait_until("events flow again", 2 * PATIENCE, || arrived(&rsyslog).len() > before + 100);
        running.store(false, Ordering::Relaxed);
        last.signal("KILL");
        last.wait(PATIENCE).expect("SIGKILL ends a process");
    });
    gateway.signal("TERM");
    gateway.wait_end(PATIENCE).expect("it ends");
    let done = gateway.tidegate(&["forward", "--config", "forward.yaml", "--once"]);
    assert_eq!(done.code, 0, "{}", done.both());
    let expected = ids(&gateway);
    assert!(expected.len() > 1_600, "{}", expected.len());
    let got = |counts: &BTreeMap<(u64, u64), usize>| counts.keys().copied().collect::<BTreeSet<_>>();
    // As long as it goes on writing.
    let mut counts = arrived(&rsyslog);
    let mut last = Instant::now();
    while counts.len() < expected.len() && last.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(100));
        let now = arrived(&rsyslog);
        if now != counts {
            (counts, last) = (now, Instant::now());
        }
    }
    let there = got(&counts);
    let missing: Vec<_> = expected.difference(&there).collect();
    let few: Vec<_> = missing.iter().take(5).collect();
    assert!(missing.is_empty(), "{} of {} are not at rsyslog: {few:?}", missing.len(), expected.len());
    assert_eq!(there, expected, "nothing that is not in the log");
    assert!(counts.values().any(|n| *n > 1), "kills without duplicates would mean that nothing was sent again");

    let text = store
        .python(&format!(
            "lock = set()
for o in s3.list_objects_v2(Bucket='{BUCKET}').get('Contents', []):
    r = s3.get_object(Bucket='{BUCKET}', Key=o['Key'])
    lock.add(r.get('ObjectLockMode'))
    print(zstandard.ZstdDecompressor().stream_reader(io.BytesIO(r['Body'].read())).read().decode(), end='')
assert lock == {{'COMPLIANCE'}}, lock"
        ))
        .success()
        .text();
    let events: BTreeSet<(u64, u64)> = text.lines().map(|line| place(&serde_json::from_str(line).unwrap())).collect();
    assert_eq!(events, expected, "what is in the store");
    assert!(!text.contains("forwarded"), "statement texts stay inside");
}

#[test]
fn http_receivers_get_every_record_signed_acknowledged_and_after_their_own_failures() {
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).start();
    let mut wire = Wire::login(&gateway.endpoint("app"));
    for number in 0..1_200 {
        wire.query(&format!("select {number}"));
    }
    drop(wire);
    gateway.signal("TERM");
    gateway.wait_end(PATIENCE).expect("it ends");
    let hook = Collector::start(|n, _| if n % 2 == 0 { (503, String::new()) } else { (200, String::new()) });
    let otlp = Collector::start(|_, _| (200, "{\"partialSuccess\":{}}".to_owned()));
    let hec = Collector::start(|n, request| match request.path.as_str() {
        "/services/collector/event" => (200, format!("{{\"text\":\"Success\",\"code\":0,\"ackId\":{n}}}")),
        // Not acknowledged when first asked.
        _ if n % 2 == 1 => (200, "{\"acks\":{}}".to_owned()),
        _ => {
            let asked: Value = serde_json::from_slice(&request.body).unwrap();
            (200, format!("{{\"acks\":{{\"{}\":true}}}}", asked["acks"][0]))
        }
    });
    gateway.folder.write("hook.key", "0123456789abcdef0123456789abcdef");
    gateway.folder.write("token", "11111111-2222-3333-4444-555555555555");
    configure(
        &gateway,
        &format!(
            "  forward:\n    - {{name: hook, include_text: true, webhook: {{url: \"http://127.0.0.1:{}/in\", key: {{file: hook.key}}}}}}\n    \
             - {{name: otel, otlp: {{url: \"http://127.0.0.1:{}/v1/logs\"}}}}\n    \
             - {{name: splunk, hec: {{url: \"http://127.0.0.1:{}\", token: {{file: token}}, index: audit}}}}\n",
            hook.port, otlp.port, hec.port
        ),
    );
    let done = gateway.tidegate(&["forward", "--config", "forward.yaml", "--once"]);
    assert_eq!(done.code, 0, "{}", done.both());
    let expected = ids(&gateway);

    let mut seen = BTreeSet::new();
    for request in hook.requests() {
        let signature = request.header("tidegate-signature").to_owned();
        let (time, mac) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let signed = [time.as_bytes(), b".", &request.body].concat();
        assert_eq!(mac, hmac_sha256(&signed), "the signature holds");
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        for event in body["events"].as_array().unwrap() {
            assert!(seen.insert(place(event)), "twice: {event}");
            if event["type"] == "STMT_INTENT" {
                assert!(event["text"].as_str().unwrap().starts_with("select"), "texts were asked for");
            }
        }
    }
    assert_eq!(seen, expected);

    let mut seen = BTreeSet::new();
    for request in otlp.requests() {
        let body: Value = serde_json::from_slice(&request.body).unwrap();
        for record in body["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap() {
            let attribute = |name: &str| {
                let list = record["attributes"].as_array().unwrap();
                let found = list.iter().find(|a| a["key"] == name).unwrap_or_else(|| panic!("{name}: {record}"));
                found["value"]["intValue"].as_str().unwrap().parse::<u64>().unwrap()
            };
            seen.insert((attribute("tidegate.core"), attribute("tidegate.sequence")));
            assert!(record["timeUnixNano"].is_string());
            assert!(!record.to_string().contains("tidegate.text"));
        }
    }
    assert_eq!(seen, expected);

    let mut seen = BTreeSet::new();
    for request in hec.requests().iter().filter(|r| r.path.ends_with("/event")) {
        assert_eq!(request.header("authorization"), "Splunk 11111111-2222-3333-4444-555555555555");
        for item in serde_json::Deserializer::from_slice(&request.body).into_iter::<Value>() {
            let item = item.unwrap();
            assert_eq!((&item["index"], &item["sourcetype"]), (&"audit".into(), &"tidegate:audit".into()));
            seen.insert(place(&item["event"]));
        }
    }
    assert_eq!(seen, expected);
    // Once more: the cursors say that there is nothing left.
    let (before, again) = (hook.requests().len(), gateway.tidegate(&["forward", "--config", "forward.yaml", "--once"]));
    assert_eq!(again.code, 0);
    assert_eq!(hook.requests().len(), before);
}

fn hmac_sha256(bytes: &[u8]) -> String {
    let folder = tests::folder::Folder::new("hmac");
    let file = folder.write("signed", bytes);
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-hmac", "0123456789abcdef0123456789abcdef"]).arg(file);
    let text = tests::process::run(&mut command, b"", PATIENCE).success().text();
    text.trim().rsplit(' ').next().unwrap().to_owned()
}

#[test]
fn a_stuck_receiver_never_holds_up_a_statement_and_is_told() {
    // Takes connections and never reads or answers.
    let stuck = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = stuck.local_addr().unwrap().port();
    let hook = format!(
        "  forward:\n    - {{name: stuck, webhook: {{url: \"http://127.0.0.1:{port}/\", key: {{file: hook.key}}}}}}\n"
    );
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).start();
    gateway.signal("TERM");
    gateway.wait_end(PATIENCE).expect("it ends");
    gateway.folder.write("hook.key", "0123456789abcdef");
    configure(&gateway, &hook);
    std::fs::rename(gateway.folder.path().join("forward.yaml"), gateway.folder.path().join("tidegate.yaml")).unwrap();
    gateway.restart();
    let mut wire = Wire::login(&gateway.endpoint("app"));
    // A statement that waited for the receiver would wait for ever.
    for number in 0..2_000 {
        assert_eq!(tags(&wire.query(&format!("select {number}"))), "TDCZ");
    }
    wait_until("the lag is on the metrics page", 2 * PATIENCE, || {
        gateway.metric("tidegate_forward_lag_records") > 3_000.0
    });
    let status = gateway.tidegate(&["status", "--config", "tidegate.yaml"]).success().text();
    assert!(status.contains("stuck to webhook 127.0.0.1") && status.contains("behind"), "{status}");
    // Not even its end waits for the receiver for long.
    gateway.signal("TERM");
    assert!(gateway.wait_end(PATIENCE).is_some(), "it ends");
}
