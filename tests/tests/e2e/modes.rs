//! Rules introduced step by step: observe changes nothing and records everything, migrate masks what enforce refuses.

use std::sync::OnceLock;
use tests::{
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Frame, Wire, bind, bytes, describe, error, execute, parse, query, sync, tags},
};

fn server() -> &'static Postgres {
    static LOADED: OnceLock<()> = OnceLock::new();
    let server = Postgres::shared();
    LOADED.get_or_init(|| {
        server.sql(
            "plain",
            "create table people as select i as id, 'SECRET' || lpad(i::text, 6, '0') as ssn, 'town ' || i % 3 as town
               from generate_series(1, 300) i;
             alter table people owner to app; analyze people",
        );
    });
    server
}

fn bundle(mode: &str) -> Bundle {
    let rules = format!(
        "version: 1
targets:
  plain: {{address: \"127.0.0.1:5432\", database: plain, account: app, tls: disable, audit: async}}
classes: {{ssn: \"*.*.people.ssn\"}}
clear: [\"*.*.people.id\", \"*.*.people.town\"]
roles:
  analyst:
    groups: [analysts]
    targets: [plain]
    default: clear
    redact: {{ssn: keep-last 2}}
    mode: {mode}
    budgets: [{{statements: 40, per: hour}}, {{rows: 400, class: ssn, per: hour}}]
block:
  - {{name: no-truncate, effects: [truncate]}}
"
    );
    Bundle::compile(&[&rules], "plain", server())
}

fn gateway(mode: &str) -> Gateway {
    Setup::new(&bundle(mode), server()).start()
}

fn observed(gateway: &Gateway) -> Vec<serde_json::Value> {
    gateway.records().into_iter().filter(|r| r["type"] == "STMT_OBSERVE").collect()
}

/// Statements that are masked or refused in earnest, and the code.
const WATCHED: &[(&str, &str)] = &[
    ("select id, ssn from people order by id limit 3", ""),
    ("select ssn || ' and ' || ssn as both from people where id < 4 order by id", ""),
    ("select max(ssn) from people", "TG2003"),
    ("select id from people where ssn > 'SECRET000298' order by id", "TG2004"),
    ("select ssn, count(*) from people group by ssn order by ssn limit 2", "TG2004"),
    ("create temp table copied as select ssn from people", "TG2005"),
    ("copy people to stdout", ""),
    ("do 'begin perform 1; end'", "TG2010"),
    ("select most_common_vals from pg_stats where tablename = 'people' and attname = 'town'", "TG2012"),
    ("select p from people p where id = 7", "TG2006"),
    ("select 1 / 0 from people where ssn = 'x' or id = 1", "TG2004"),
    ("begin; truncate people; rollback", "TG1001"),
    ("listen anything", "TG3005"),
    ("execute nobody", "TG3006"),
];

#[test]
fn observe_changes_not_a_byte_and_records_what_would_have_happened() {
    let gateway = gateway("observe");
    let mut through = Wire::login(&gateway.endpoint("ana"));
    let mut direct = Wire::login(&server().endpoint("plain", "app"));
    for (sql, code) in WATCHED {
        let before = observed(&gateway).len();
        let (got, wanted) = (through.query(sql), direct.query(sql));
        assert_eq!(bytes(&got), bytes(&wanted), "{sql}: {got:?}");
        wait_until(sql, PATIENCE, || {
            let records = observed(&gateway);
            let mut new = records[before.min(records.len())..].iter();
            if code.is_empty() { new.len() > 0 } else { new.any(|r| r["code"] == *code) }
        });
    }
    // The extended protocol, in binary, without and with Describe, with a server error.
    for (sql, _) in WATCHED.iter().filter(|(sql, _)| sql.starts_with("select")) {
        let frames = [
            parse("s", sql),
            describe(b'S', "s"),
            bind("", "s", &[], 1),
            execute("", 2),
            execute("", 0),
            tests::wire::close(b'S', "s"),
            sync(),
        ]
        .concat();
        through.send(&frames);
        direct.send(&frames);
        assert_eq!(bytes(&through.until_ready(1)), bytes(&direct.until_ready(1)), "{sql}");
    }
    let records = observed(&gateway);
    let masked = records.iter().find(|r| r["masked"][0]["column"] == "ssn").expect("masked columns are recorded");
    assert_eq!((&masked["masked"][0]["class"], &masked["masked"][0]["method"]), (&"ssn".into(), &"keep-last".into()));
    let results = gateway.records().into_iter().filter(|r| r["type"] == "STMT_RESULT");
    for r in results {
        assert!(r["masked"].as_array().is_none_or(Vec::is_empty), "nothing was masked: {r}");
    }
}

#[test]
fn observe_records_budgets_and_keeps_to_none() {
    let gateway = gateway("observe");
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    for _ in 0..45 {
        assert_eq!(tags(&wire.query("select ssn from people limit 10")), format!("T{}CZ", "D".repeat(10)));
    }
    wait_until("the records", PATIENCE, || {
        let records = observed(&gateway);
        let rules: Vec<_> = records.iter().filter(|r| r["code"] == "TG2016").map(|r| r["rule"].clone()).collect();
        rules.contains(&"budget:statements".into()) && rules.contains(&"budget:rows:ssn".into())
    });
}

#[test]
fn observe_still_refuses_what_the_gateway_depends_on() {
    let gateway = gateway("observe");
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    for (sql, code) in [
        ("set standard_conforming_strings = off", "TG3004"),
        ("select set_config('standard_conforming_' || 'strings', 'off', false)", "TG3004"),
        ("set role postgres", "TG3002"),
        ("truncate people; set client_encoding = 'GBK'", "TG3004"),
    ] {
        let refused = wire.query(sql);
        let message = error(&refused).unwrap_or_else(|| panic!("{sql}: {refused:?}")).field(b'M').unwrap();
        assert!(message.contains(code), "{sql}: {message}");
    }
    assert_eq!(server().sql("plain", "select count(*) from people").trim(), "300");
}

#[test]
fn observe_is_said_loudly() {
    let gateway = gateway("observe");
    let status = gateway.tidegate(&["status", "--config", "tidegate.yaml"]).success().text();
    assert!(status.contains("OBSERVE") && status.contains("role analyst"), "{status}");
    let checked = gateway.tidegate(&["check-config", "--config", "tidegate.yaml"]);
    assert!(checked.both().contains("role `analyst` is in OBSERVE mode"), "{}", checked.both());
    let enforcing = self::gateway("enforce");
    assert!(!enforcing.tidegate(&["status", "--config", "tidegate.yaml"]).success().text().contains("OBSERVE"));
}

fn notices(frames: &[Frame]) -> Vec<String> {
    let shown = |f: &Frame| {
        assert_eq!((f.field(b'S').as_deref(), f.field(b'C').as_deref()), (Some("WARNING"), Some("01000")), "{f:?}");
        format!("{} {}", f.field(b'M').unwrap(), f.field(b'D').unwrap())
    };
    frames.iter().filter(|f| f.tag == b'N').map(shown).collect()
}

#[test]
fn migrate_gives_null_and_a_warning_where_enforce_refuses_an_output() {
    let (gateway, enforcing) = (gateway("migrate"), gateway("enforce"));
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    let mut strict = Wire::login(&enforcing.endpoint("ana"));
    for sql in [
        "select id, max(ssn) as m from people group by id order by id limit 2",
        "select id, substr(ssn, 8)::int + id as m from people order by id limit 2",
        "select id, case when ssn > 'SECRET000100' then 1 else 0 end as m from people order by id limit 2",
        "select id, m from (select id, length(ssn) / id as m from people) q order by id limit 2",
        "with x as (select id, string_agg(ssn, ',') over (partition by id) as m from people) select id, m from x order by id limit 2",
    ] {
        let refused = strict.query(sql);
        assert_eq!(error(&refused).map(|e| e.field(b'C')), Some(Some("42501".into())), "{sql}: {refused:?}");
        for extended in [false, true] {
            let frames = if extended {
                wire.send(&[parse("", sql), bind("", "", &[], 1), execute("", 0), sync()].concat());
                wire.until_ready(1)
            } else {
                wire.query(sql)
            };
            assert_eq!(error(&frames), None, "{sql}");
            let rows: Vec<_> = frames.iter().filter(|f| f.tag == b'D').map(Frame::values).collect();
            assert_eq!(rows.len(), 2, "{sql}");
            assert!(rows.iter().all(|r| r[0].is_some() && r[1].is_none()), "{sql}: {rows:?}");
            let said = notices(&frames);
            assert_eq!(said.len(), 1, "{sql}: {said:?}");
            assert!(said[0].contains("TG2003") && said[0].contains("class:ssn"), "{said:?}");
        }
    }
    assert!(
        notices(&wire.query("select id, ssn from people limit 1")).is_empty(),
        "what is only masked needs no warning"
    );
    wait_until("the record", PATIENCE, || {
        observed(&gateway).iter().any(|r| r["code"] == "TG2003" && r["rule"] == "class:ssn")
    });
    for (sql, code) in [
        ("select id from people where ssn > 'a'", "TG2004"),
        ("select id from people where length(ssn) / 2 > 3", "TG2004"),
        ("select max(ssn) as m from people group by ssn || 'x'", "TG2004"),
        ("select id from people order by ssn || 'x'", "TG2004"),
        ("select distinct ssn || 'x' from people", "TG2004"),
        ("create temp table t as select ssn || 'x' as y from people", "TG2005"),
        ("insert into people (town) select max(ssn) from people", "TG2005"),
        ("select unheard_of(ssn) from people", "TG2010"),
        ("select row_to_json(p) from people p", "TG2006"),
        ("select id from people where id = (select max(length(ssn)) from people)", "TG2004"),
    ] {
        let refused = wire.query(sql);
        let message = error(&refused).unwrap_or_else(|| panic!("{sql}: {refused:?}")).field(b'M').unwrap();
        assert!(message.contains(code), "{sql}: {message}");
    }
    wire.send(&query("select 1 as one"));
    assert_eq!(tags(&wire.until_ready(1)), "TDCZ");
}
