//! Budgets and counted comparisons: results that end in the middle of their rows, in every protocol path, against a real
//! server; whose account it is, and what the record says.

use std::sync::OnceLock;
use tests::{
    clients,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Frame, Wire, bind, describe, error, execute, parse, query, sync, tags},
};

/// 100,000 rows with a protected column, and a table to write to.
fn server() -> &'static Postgres {
    static LOADED: OnceLock<()> = OnceLock::new();
    let server = Postgres::shared();
    LOADED.get_or_init(|| {
        server.sql(
            "plain",
            "create table till as select i as id, 'SECRET' || lpad(i::text, 6, '0') as ssn, repeat('x', 100) as pad
               from generate_series(1, 100000) i;
             create table slips (id int, mark text);
             alter table till owner to app; alter table slips owner to app; analyze till",
        );
    });
    server
}

/// Rows that nobody waits for the end of.
const ENDLESS: &str = "select a.id, a.ssn from till a, till b";

fn bundle(role: &str, others: &str) -> Bundle {
    let rules = format!(
        "version: 1
targets:
  plain: {{address: \"127.0.0.1:5432\", database: plain, account: app, tls: disable, audit: async}}
classes: {{ssn: \"*.*.till.ssn\", other: \"*.*.nowhere.*\"}}
clear: [\"*.*.till.id\", \"*.*.till.pad\", \"*.*.slips.*\"]
roles:
  analyst: {{groups: [analysts], targets: [plain], default: clear, redact: {{ssn: keep-last 2}}, {role}}}
  officer: {{groups: [privacy], targets: [plain], default: clear, redact: clear{others}}}
"
    );
    Bundle::compile(&[&rules], "plain", server())
}

/// A gateway where `ana` has a masked view with this, and `priya` sees everything with that.
fn gateway_with(role: &str, others: &str) -> Gateway {
    Setup::new(&bundle(role, others), server()).start()
}

fn gateway(role: &str) -> Gateway {
    gateway_with(role, "")
}

fn rows(frames: &[Frame]) -> usize {
    frames.iter().filter(|f| f.tag == b'D').count()
}

/// What follows the rows: `"EZ"`.
fn end(frames: &[Frame]) -> String {
    tags(frames).trim_start_matches(['T', '1', '2', 'D', 't']).to_owned()
}

fn status(frames: &[Frame]) -> char {
    frames.last().filter(|f| f.tag == b'Z').map_or('?', |f| char::from(f.body[0]))
}

#[track_caller]
fn assert_cut(frames: &[Frame], passed: usize, transaction: char) {
    let shown = error(frames);
    assert_eq!((rows(frames), status(frames)), (passed, transaction), "{shown:?} {}", end(frames));
    let shown = shown.expect("the result ends with an error");
    assert_eq!(shown.field(b'C').as_deref(), Some("53400"), "{shown:?}");
    assert!(shown.field(b'M').unwrap().contains("TG2016"), "{shown:?}");
    assert_eq!(frames.iter().filter(|f| f.tag == b'E').count(), 1);
    assert!(!tests::wire::bytes(frames).windows(6).any(|w| w == b"SECRET"), "nothing is unmasked");
}

fn count(mark: &str) -> String {
    server().sql("plain", &format!("select count(*) from slips where mark = '{mark}'")).trim().to_owned()
}

#[test]
fn rows_up_to_the_budget_pass_and_the_rest_is_cancelled() {
    let gateway = gateway("budgets: [{rows: 250, per: day}]");
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    // Told apart from what other tests run on the same server.
    let frames = wire.query("select a.id, a.ssn from till a, till stopped");
    assert_cut(&frames, 250, 'I');
    assert_eq!(end(&frames), "EZ");
    let again = wire.query("select id from till limit 1");
    assert_cut(&again, 0, 'I');
    let hint = error(&again).unwrap().field(b'H').unwrap();
    assert!(hint.contains("free again in"), "{hint}");
    assert_eq!(tags(&wire.query("set application_name = 'still here'")), "CSZ");
    wait_until("the record", PATIENCE, || {
        let records = gateway.records();
        let cut = |r: &serde_json::Value| {
            let text = r.to_string();
            text.contains("\"budget\"") && text.contains("\"rows\":250") && text.contains("53400")
        };
        records.iter().any(cut)
    });
    let running = "select count(*) from pg_stat_activity where state = 'active' and query like '%till a, till stopped'";
    assert_eq!(server().sql("plain", running).trim(), "0", "the server has stopped");
}

#[test]
fn a_cut_in_a_transaction_block_fails_it_on_both_sides() {
    // The server is done with the short one before the cancellation can come, and is cancelled in the long one.
    for (sql, mark) in [("select id, ssn from till limit 300", "short"), (ENDLESS, "long")] {
        for extended in [false, true] {
            let gateway = gateway("budgets: [{rows: 7, per: day}]");
            let mut wire = Wire::login(&gateway.endpoint("ana"));
            wire.query("begin");
            let mark = format!("block {mark} {extended}");
            assert_eq!(tags(&wire.query(&format!("insert into slips values (1, '{mark}')"))), "CZ");
            let frames = if extended {
                wire.send(&[parse("", sql), bind("", "", &[], 0), execute("", 0), sync()].concat());
                wire.until_ready(1)
            } else {
                wire.query(sql)
            };
            assert_cut(&frames, 7, 'E');
            let refused = wire.query("insert into slips values (2, 'after')");
            assert_eq!(error(&refused).unwrap().field(b'C').as_deref(), Some("25P02"));
            let ended = wire.query("commit");
            assert_eq!(ended[0].body, b"ROLLBACK\0");
            assert_eq!(count(&mark), "0", "{mark}");
            assert_eq!(tags(&wire.query("insert into slips values (3, 'later')")), "CZ");
        }
    }
}

#[test]
fn a_cut_in_a_pipeline_undoes_all_of_it_up_to_sync() {
    for (sql, mark) in [("select id, ssn from till limit 300", "short"), (ENDLESS, "long")] {
        let gateway = gateway("budgets: [{rows: 40, per: day}]");
        let mut wire = Wire::login(&gateway.endpoint("ana"));
        let mark = format!("pipeline {mark}");
        let run = |text: &str| [parse("", text), bind("", "", &[], 0), execute("", 0)].concat();
        let insert = run(&format!("insert into slips values (1, '{mark}')"));
        wire.send(&[insert.clone(), run(sql), insert, sync(), query("select 1 as one"), query("begin")].concat());
        let frames = wire.until_ready(1);
        assert_cut(&frames, 40, 'I');
        assert_eq!(tags(&frames).replace('D', ""), "12C12EZ", "what comes after the cut is skipped");
        assert_cut(&wire.until_ready(1), 0, 'I');
        assert_eq!(tags(&wire.until_ready(1)), "CZ");
        assert_eq!(count(&mark), "0", "{mark}");
    }
}

#[test]
fn portals_statements_of_one_text_and_cursors_share_what_is_left() {
    let gateway = gateway("budgets: [{rows: 100, per: day}]");
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    wire.send(&[query("begin"), parse("p", "select id, ssn from till order by id")].concat());
    wire.send(&[bind("c", "p", &[], 1), describe(b'P', "c"), execute("c", 30), execute("c", 30), sync()].concat());
    assert_eq!(tags(&wire.until_ready(1)), "CZ");
    let frames = wire.until_ready(1);
    assert_eq!(tags(&frames), format!("12T{0}s{0}sZ", "D".repeat(30)));
    wire.send(&[execute("c", 30), execute("c", 30), sync()].concat());
    let frames = wire.until_ready(1);
    assert_eq!(tags(&frames), format!("{}s{}EZ", "D".repeat(30), "D".repeat(10)));
    assert_cut(&frames, 40, 'E');

    let gateway = self::gateway("budgets: [{rows: 100, per: day}]");
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    let one = "select id from till limit 40";
    let frames = wire.query(&format!("{one}; {one}; insert into slips values (1, 'text'); {one}; {one}"));
    assert_eq!(tags(&frames), format!("T{0}CT{0}CCT{1}EZ", "D".repeat(40), "D".repeat(20)));

    let gateway = self::gateway("budgets: [{rows: 100, per: day}]");
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    wire.query("begin");
    wire.query("declare c cursor for select ssn from till");
    assert_eq!(rows(&wire.query("fetch 60 from c")), 60);
    assert_cut(&wire.query("fetch 60 from c"), 40, 'E');
}

#[test]
fn a_budget_of_bytes_counts_what_is_sent() {
    let gateway = gateway("budgets: [{bytes: 10KB, per: hour}]");
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    let frames = wire.query("select pad from till");
    let row = frames.iter().find(|f| f.tag == b'D').unwrap().bytes().len();
    assert_cut(&frames, 10_000 / row, 'I');
    assert_eq!(end(&frames), "EZ");
    // A row longer than any buffer: not a byte of it.
    let gateway = self::gateway("budgets: [{bytes: 3MB, per: hour}]");
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    assert_eq!(rows(&wire.query("select repeat('y', 2000000)")), 1);
    assert_cut(&wire.query("select repeat('y', 2000000)"), 0, 'I');
    assert_eq!(rows(&wire.query("select id from till limit 3")), 3, "what is left can be used");
}

#[test]
fn a_budget_of_a_class_counts_results_made_of_it_masked_or_not() {
    let budgets = "budgets: [{rows: 50, class: ssn, per: hour}, {rows: 5, class: other, per: hour}]";
    let gateway = gateway_with(budgets, &format!(", {budgets}"));
    for user in ["ana", "priya"] {
        let mut wire = Wire::login(&gateway.endpoint(user));
        assert_eq!(rows(&wire.query("select id, pad from till limit 500")), 500, "{user}: not of the class");
        assert_eq!(rows(&wire.query("select count(ssn) from till")), 1);
        assert_eq!(rows(&wire.query("select upper(ssn) from till limit 20")), 20);
        let frames = wire.query("with x as (select ssn as s from till) select s || '' as t from x limit 500");
        let rest = wire.query("select ssn from till");
        if user == "priya" {
            assert_eq!(rows(&frames), 30, "{:?}", error(&frames));
            assert_eq!(rows(&rest), 0);
            let rule = error(&rest).unwrap().field(b'D').unwrap();
            assert!(rule.contains("budget:rows:ssn"), "{rule}");
        } else {
            assert_cut(&rest, 30 - rows(&frames), 'I');
        }
        assert_eq!(rows(&wire.query("select id from till limit 500")), 500, "{user}: still not of the class");
    }
    // COPY TO STDOUT of somebody who sees everything counts by the row.
    let gateway = gateway_with("mode: enforce", ", budgets: [{rows: 25, class: ssn, per: hour}]");
    let mut wire = Wire::login(&gateway.endpoint("priya"));
    let frames = wire.query("copy till to stdout");
    assert_eq!(tags(&frames), format!("H{}EZ", "d".repeat(25)));
    let frames = wire.query("copy (select id from slips) to stdout");
    assert!(error(&frames).is_none(), "{frames:?}");
}

#[test]
fn a_masked_copy_ends_where_its_budget_does() {
    for (sql, passed) in [
        ("copy till to stdout", 25),
        ("copy (select ssn, pad from till) to stdout (format csv, header)", 25),
        // The signature is in the first piece, with the first row.
        ("copy till to stdout (format binary)", 25),
        ("copy (select id from slips) to stdout", 0),
    ] {
        for extended in [false, true] {
            let gateway = gateway("budgets: [{rows: 25, class: ssn, per: hour}]");
            let mut wire = Wire::login(&gateway.endpoint("ana"));
            wire.query("begin");
            let frames = if extended {
                wire.send(&[parse("", sql), bind("", "", &[], 0), execute("", 0), sync()].concat());
                wire.until_ready(1)
            } else {
                wire.query(sql)
            };
            let pieces = frames.iter().filter(|f| f.tag == b'd').count();
            assert!(!tests::wire::bytes(&frames).windows(6).any(|w| w == b"SECRET"), "{sql}");
            if passed == 0 {
                assert_eq!((error(&frames), status(&frames)), (None, 'T'), "{sql}");
            } else {
                assert_eq!((pieces, status(&frames)), (passed, 'E'), "{sql} {:?}", error(&frames));
                assert!(error(&frames).unwrap().field(b'M').unwrap().contains("TG2016"), "{sql}");
            }
            wire.query("rollback");
            assert_eq!(tags(&wire.query("select 1 as one")), "TDCZ", "{sql}");
        }
    }
}

#[test]
fn sessions_of_one_user_share_a_budget_that_outlives_a_reload() {
    let setup = Setup::new(&bundle("budgets: [{rows: 100, per: day}]", ""), server()).cores(2);
    let gateway = setup.start();
    let mut sessions: Vec<Wire> = (0..4).map(|_| Wire::login(&gateway.endpoint("ana"))).collect();
    for wire in &mut sessions[..3] {
        assert_eq!(rows(&wire.query("select id from till limit 30")), 30);
    }
    let more = bundle("budgets: [{rows: 110, per: day}]", "");
    gateway.folder.write("policy.tgb", &more.bytes);
    // Each core says which rules it has.
    let loads = || gateway.records().iter().filter(|r| r["type"] == "POLICY_LOAD").count();
    wait_until("the first rules are on record", PATIENCE, || loads() == 2);
    gateway.signal("HUP");
    wait_until("the new rules", PATIENCE, || loads() == 4);
    assert_cut(&sessions[3].query("select id from till limit 300"), 20, 'I');
    assert_cut(&Wire::login(&gateway.endpoint("ana")).query("select id from till"), 0, 'I');
    assert_eq!(rows(&Wire::login(&gateway.endpoint("priya")).query("select id from till limit 300")), 300);
}

#[test]
fn statements_that_return_rows_are_counted_each_time_they_run() {
    let gateway = gateway("budgets: [{statements: 5, per: hour}]");
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    assert_eq!(tags(&wire.query("insert into slips values (1, 'counted')")), "CZ");
    assert_eq!(rows(&wire.query("select 1 as a; select 2 as a")), 2);
    wire.send(&[parse("s", "select id from till"), sync()].concat());
    wire.until_ready(1);
    for round in 0..4 {
        // Going on with a portal is not another run.
        wire.send(&[bind("", "s", &[], 0), execute("", 2), execute("", 2), sync()].concat());
        let frames = wire.until_ready(1);
        match round {
            0..3 => assert_eq!(tags(&frames), "2DDsDDsZ"),
            _ => {
                assert_cut(&frames, 0, 'I');
                assert_eq!(tags(&frames), "2EZ");
            }
        }
    }
    assert_eq!(tags(&wire.query("insert into slips values (1, 'counted')")), "CZ");
}

#[test]
fn comparisons_are_counted_by_their_constants_over_all_sessions() {
    let gateway = gateway("filter: {ssn: {equality: 6, per: day}}");
    let endpoint = gateway.endpoint("ana");
    let mut wire = Wire::login(&endpoint);
    let found = wire.query("select id, ssn from till where ssn = 'SECRET000042'");
    assert_eq!(found[1].values(), [Some(b"42".to_vec()), Some(b"**********42".to_vec())]);
    assert_eq!(rows(&wire.query("select id from till where ssn in ('SECRET000001', 'nobody', 'SECRET000003')")), 2);
    wire.send(&[parse("s", "select id from till where ssn = $1"), sync()].concat());
    assert_eq!(tags(&wire.until_ready(1)), "1Z");
    let ask = |wire: &mut Wire, value| {
        wire.send(&[bind("", "s", &[Some(value)], 0), execute("", 0), sync()].concat());
        wire.until_ready(1)
    };
    assert_eq!(rows(&ask(&mut wire, "SECRET000007")), 1);
    assert_eq!(rows(&ask(&mut wire, "SECRET000008")), 1);
    let refused = ask(&mut wire, "SECRET000009");
    assert_cut(&refused, 0, 'I');
    assert!(error(&refused).unwrap().field(b'D').unwrap().contains("filter:ssn"));
    let other = &mut Wire::login(&endpoint);
    for sql in [
        "select id from till where ssn = 'SECRET000042'",
        "prepare q as select id from till where ssn = 'SECRET000042'; execute q",
        "explain select id from till where ssn = 'SECRET000042'",
    ] {
        assert_cut(&other.query(sql), 0, 'I');
    }
    for sql in ["select id from till where ssn like 'SECRET00004%'", "select id from till where ssn > 'SECRET'"] {
        let refused = other.query(sql);
        assert!(error(&refused).unwrap().field(b'M').unwrap().contains("TG2004"), "{sql}");
    }
    assert_eq!(rows(&other.query("select id, ssn from till where id = 42")), 1, "the rest of the work goes on");
}

#[test]
fn psycopg_goes_on_after_a_cut() {
    let gateway = gateway("budgets: [{rows: 1000, per: day}]");
    let done = clients::python(&gateway.endpoint("ana"), "budgets.py", &[]).success();
    assert_eq!(done.text().trim(), "ConfigurationLimitExceeded 1000 INTRANS INERROR IDLE ok");
}
