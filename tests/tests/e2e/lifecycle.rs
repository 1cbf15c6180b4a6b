//! Starting, reloading, draining, ending; and what an operator can see.

use crate::plain::direct;
use std::{fs, io::Read as _, net::TcpStream, time::Duration};
use tests::{
    clients,
    gateway::{Setup, USERS, users},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, bind, error, execute, parse, query, sync, tags},
};

/// Rules for the canary clinic under which analysts see everything.
const GENEROUS: &str = "\
targets:
  warehouse: {address: \"127.0.0.1:5432\", database: clinic, account: gateway, tls: disable}
roles:
  everybody: {groups: [privacy, analysts], targets: [warehouse], default: clear, redact: clear}
";

#[test]
fn r12_a_reload_changes_what_is_seen_and_drops_no_session() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).cores(2).start();
    let generous = Bundle::compile(&[GENEROUS], "warehouse", Postgres::shared());
    let mut sessions: Vec<Wire> = (0..6).map(|_| Wire::login(&gateway.endpoint("ana"))).collect();
    let mut agent = Wire::login(&gateway.endpoint("agent"));
    let first_name = "select first_name from clinic.patients where patient_id = 7";
    for wire in &mut sessions {
        assert_eq!(wire.query(first_name)[1].values()[0], None, "NULL under the example rules");
        wire.query("set application_name = 'kept over the reload'");
    }
    gateway.folder.write("policy.tgb", &generous.bytes);
    gateway.signal("HUP");
    wait_until("the new rules hold in every session", PATIENCE, || {
        sessions.iter_mut().all(|wire| wire.query(first_name)[1].values()[0].as_deref() == Some(&b"Xavqaaah"[..]))
    });
    for wire in &mut sessions {
        let kept = wire.query("show application_name")[1].values()[0].clone().unwrap();
        assert_eq!(kept, b"kept over the reload", "the same upstream session");
    }
    agent.send(&query("select 1"));
    assert!(agent.closes() || !agent.query("select 1").iter().any(|f| f.tag == b'D'), "no role any more, no session");
}

/// A rule that looks at texts, about what a name given by SQL stands for.
const WORDS: &str = "\
block:
  - {name: no-merger, words: [merger]}
  - {name: no-ward, patterns: ['ward_\\d+']}
";

#[test]
fn new_rules_about_texts_are_about_what_was_prepared_under_the_old_ones() {
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).start();
    let rules = "version: 1\ntargets:\n  plain: {address: '127.0.0.1:5432', database: plain, account: app, tls: disable}\n\
                 roles:\n  everyone: {groups: [everyone], targets: [plain], default: clear, redact: clear}\n";
    let strict = Bundle::compile(&[&format!("{rules}{WORDS}")], "plain", Postgres::shared());
    let mut wire = Wire::login(&gateway.endpoint("app"));
    for text in [
        "PREPARE word AS SELECT 'merger'",
        "SELECT 'x'; PREPARE pattern AS SELECT 'ward_7' /* theirs */; PREPARE beside AS SELECT 'ward', $1::text",
        "DECLARE c CURSOR WITH HOLD FOR SELECT 'merger' FROM generate_series(1, 9)",
        "DECLARE d CURSOR WITH HOLD FOR SELECT 'mergers' FROM generate_series(1, 9)",
        "EXECUTE word; EXECUTE pattern; FETCH c",
    ] {
        assert_eq!(error(&wire.query(text)).and_then(|e| e.field(b'M')), None, "{text}");
    }
    wire.send(&parse("by protocol", "EXECUTE word"));
    wire.send(&sync());
    assert!(error(&wire.until_ready(1)).is_none());
    gateway.folder.write("policy.tgb", &strict.bytes);
    gateway.signal("HUP");
    wait_until("the new rules hold", PATIENCE, || error(&wire.query("SELECT 'merger'")).is_some());
    let refused =
        |wire: &mut Wire, text: &str| error(&wire.query(text)).and_then(|e| e.field(b'M')).unwrap_or_default();
    for text in ["EXECUTE word", "FETCH c", "EXPLAIN EXECUTE word", "CREATE TEMP TABLE t AS EXECUTE word", "MOVE c"] {
        assert!(refused(&mut wire, text).contains("no-merger"), "{text}");
    }
    assert!(refused(&mut wire, "EXECUTE pattern").contains("no-ward"));
    for text in ["EXECUTE beside('a')", "FETCH d", "PREPARE again AS SELECT 1; EXECUTE again"] {
        assert_eq!(refused(&mut wire, text), "", "{text}");
    }
    wire.send(&[bind("", "by protocol", &[], 0), execute("", 0), sync()].concat());
    assert!(error(&wire.until_ready(1)).is_some(), "by either way");
}

#[test]
fn a_reload_that_fails_keeps_the_old_rules_and_says_why() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    let file = gateway.folder.path().join("policy.tgb");
    let good = fs::read(&file).unwrap();
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    let mut flipped = good.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for (what, bytes) in [
        ("truncated", &good[..good.len() / 2]),
        ("empty", &good[..0]),
        ("altered", &flipped),
        ("not a bundle", &b"policy: yes"[..]),
    ] {
        let before = gateway.log().len();
        fs::write(&file, bytes).unwrap();
        gateway.signal("HUP");
        wait_until("the refusal is logged", PATIENCE, || gateway.log()[before..].contains("policy.tgb"));
        let row = wire.query("select first_name from clinic.patients where patient_id = 7");
        assert_eq!(row[1].values()[0], None, "{what}: the old rules still hold");
        assert_eq!(tags(&Wire::login(&gateway.endpoint("ana")).query("select 1")), "TDCZ");
    }
}

#[test]
fn a_user_taken_away_is_gone_after_a_reload() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    Wire::login(&gateway.endpoint("ana"));
    let rest: Vec<_> = USERS.iter().filter(|(name, _)| *name != "ana").copied().collect();
    fs::write(gateway.folder.path().join("users.yaml"), users(&rest)).unwrap();
    gateway.signal("HUP");
    wait_until("ana is refused", PATIENCE, || {
        Wire::open(gateway.port()).try_login(&gateway.endpoint("ana"), &[]).is_some()
    });
    Wire::login(&gateway.endpoint("priya"));
}

#[test]
fn r12_sigterm_lets_running_statements_finish_and_then_ends() {
    let mut holds = Wire::login(&direct());
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).limit("drain_timeout", "2m").start();
    let endpoint = gateway.endpoint("app");
    let mut idle = Wire::login(&endpoint);
    let mut busy = Wire::login(&endpoint);
    // It runs for as long as somebody else has its lock.
    holds.query("select pg_advisory_lock(51840)");
    busy.send(&query("select pg_advisory_lock(51840), 'finished'"));
    let waits = "select count(*) from pg_locks where locktype = 'advisory' and objid = 51840 and not granted";
    wait_until("the statement runs", PATIENCE, || Postgres::shared().sql("plain", waits).trim() == "1");
    gateway.signal("TERM");
    let told = idle.to_end();
    assert!(told.windows(5).any(|code| code == b"57P01"), "an idle session is told: {told:?}");
    assert!(nobody_gets_in(gateway.port()));
    holds.query("select pg_advisory_unlock(51840)");
    let frames = busy.until_ready(1);
    assert_eq!(tags(&frames), "TDCZ", "the running statement finishes");
    drop(busy);
    let status = gateway.wait_end(PATIENCE).expect("it ends");
    assert_eq!(status.code(), Some(0), "{}", gateway.log());
}

/// Who connects is not taken, or sent away without a word of a login.
fn nobody_gets_in(port: u16) -> bool {
    let Ok(mut socket) = TcpStream::connect(("127.0.0.1", port)) else { return true };
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = Vec::new();
    match socket.read_to_end(&mut said) {
        Ok(_) => !said.contains(&b'R'),
        Err(error) => matches!(error.kind(), std::io::ErrorKind::ConnectionReset),
    }
}

#[test]
fn draining_does_not_wait_longer_than_told() {
    direct();
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).limit("drain_timeout", "1s").start();
    let mut busy = Wire::login(&gateway.endpoint("app"));
    busy.send(&query("select pg_sleep(600), 'drained'"));
    let running = "from pg_stat_activity where query = $$select pg_sleep(600), 'drained'$$ and state = 'active'";
    let server = Postgres::shared();
    wait_until("the statement runs", PATIENCE, || {
        server.sql("plain", &format!("select count(*) {running}")).trim() == "1"
    });
    gateway.signal("TERM");
    assert!(gateway.wait_end(PATIENCE).is_some(), "{}", gateway.log());
    // The server does not look whether anybody still waits for it.
    server.sql("plain", &format!("select pg_terminate_backend(pid) {running}"));
}

#[test]
fn ddl_by_somebody_else_is_seen_and_a_new_column_is_unclassified() {
    let server = Postgres::start("");
    server.load_clinic("clinic", clinic::Options { patients: 10, seed: 1, canary: true });
    let gateway = Setup::new(Bundle::clinic(), &server).line("catalog_refresh: 1s").start();
    let agent = gateway.endpoint("agent");
    assert_eq!(clients::rows(&agent, "select count(*) from clinic.patients").success().text().trim(), "10");
    server.sql("clinic", "alter table clinic.patients add column secret_new text default 'new secret'; grant select on all tables in schema clinic to gateway");
    for _ in 0..30 {
        let done = clients::rows(&agent, "select secret_new from clinic.patients");
        assert!(!done.both().contains("new secret"), "a column nobody classified came out clear");
        std::thread::sleep(Duration::from_millis(100));
    }
    server.sql("clinic", "alter table clinic.patients rename column first_name to fname2; alter table clinic.patients rename column last_name to first_name");
    for _ in 0..20 {
        let done = clients::rows(&agent, "select * from clinic.patients");
        tests::canary::assert_none("after columns were renamed", done.both().as_bytes());
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn mistakes_in_the_configuration_are_told_before_anything_starts() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    gateway.tidegate(&["check-config", "--config", "tidegate.yaml"]).success();
    let good = fs::read_to_string(gateway.folder.path().join("tidegate.yaml")).unwrap();
    let limits = |line: &str| good.replace("\nlimits:\n", &format!("\nlimits:\n  {line}\n"));
    for (what, text, must_say) in [
        ("an unknown key", format!("{good}\nlisten_on: 5\n"), "listen_on"),
        ("no bundle", good.replace("policy.tgb", "missing.tgb"), "missing.tgb"),
        ("no certificate", good.replace("server.crt", "missing.crt"), "missing.crt"),
        ("not YAML", "listen: [".to_owned(), "bad.yaml"),
        ("a bad address", good.replace("listen: [\"127.0.0.1:", "listen: [\"nowhere at all:"), "nowhere at all"),
        ("an unknown limit", limits("session: 5"), "`session`"),
        ("a bad size", limits("statement_bytes: lots"), "lots"),
        ("an unknown target", good.replace("warehouse:", "storehouse:"), "storehouse"),
    ] {
        assert_ne!(text, good, "{what}");
        gateway.folder.write("bad.yaml", text);
        for verb in ["check-config", "serve"] {
            let done = gateway.tidegate(&[verb, "--config", "bad.yaml"]);
            assert!(done.code > 0, "{what}: {verb} went on");
            assert!(done.errors().contains(must_say), "{what}: {}", done.both());
            assert!(!done.errors().contains("panicked"), "{what}: {}", done.errors());
        }
    }
}

#[test]
fn metrics_health_and_status_tell_what_happens() {
    let gateway = Setup::new(Bundle::clinic(), Postgres::shared()).start();
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    wire.query("select * from clinic.patients");
    assert!(error(&wire.query("drop table clinic.patients")).is_some());
    let page = gateway.http("/metrics").unwrap();
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("# TYPE"), "{page}");
    wait_until("counters move", PATIENCE, || {
        gateway.metric("tidegate_statements_total") == 1.0
            && gateway.metric("tidegate_refusals_total") == 1.0
            && gateway.metric("tidegate_rows_total") == 240.0
            && gateway.metric("tidegate_masked_results_total") == 1.0
    });
    let status = gateway.tidegate(&["status", "--config", "tidegate.yaml"]).success().text();
    assert!(status.contains("warehouse") && status.contains("session"), "{status}");
    let json = gateway.http("/status").unwrap();
    let body = json.split_once("\r\n\r\n").unwrap().1;
    serde_json::from_str::<serde_json::Value>(body.trim()).unwrap_or_else(|e| panic!("{e}: {json}"));
    assert!(gateway.http("/nothing").unwrap().starts_with("HTTP/1.1 404"));
}
