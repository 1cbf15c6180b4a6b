//! What an approval is bound to beside the text: a session in which the same text means something else asks anew.

use crate::approvals::{Court, outcome};
use tests::wire::{Wire, bind, error, execute, parse, query, sync, tags};

/// The request that a session's statement is asked about by, once it waits or has failed for want of approval.
fn asked(wire: &mut Wire, text: &str) -> String {
    wire.send(&query(text));
    loop {
        let frame = wire.read().expect("the connection is open");
        let said = frame.field(b'M').unwrap_or_default();
        if let Some(at) = said.find("TG-") {
            return said[at..at + 11].to_owned();
        }
        assert_ne!(frame.tag, b'Z', "{text} is not asked about: {said}");
    }
}

/// A session that has done this.
fn after(court: &Court, before: &[&str]) -> Wire {
    let mut wire = Wire::login(&court.user());
    for sql in before {
        let frames = wire.query(sql);
        let refused = error(&frames).map(|frame| frame.field(b'M').unwrap_or_default());
        assert_eq!(refused, None, "{sql}");
    }
    wire
}

#[test]
fn a_session_where_the_text_means_something_else_asks_anew() {
    let court = Court::open(|setup| setup);
    court.server.sql("plain", "create table picks (id int); insert into picks values (1); grant all on picks to app");
    let picks = "DELETE FROM held_rows WHERE id IN (SELECT id FROM picks)";
    let typed = "DELETE FROM held_rows WHERE id < octet_length(text 'x' || cast('x' AS code))";
    court.server.sql("plain", "create domain code as text");
    let dated = "DELETE FROM held_rows WHERE at < '01/02/2024'::date";
    court.server.sql("plain", "alter table held_rows add at date default '2024-02-01'");
    let cases: &[(&str, &str, &[&str], &[&str])] = &[
        ("a temporary table", picks, &[], &["CREATE TEMP TABLE picks AS SELECT generate_series(1, 100) AS id"]),
        ("one like another", picks, &[], &["CREATE TEMP TABLE picks (LIKE public.picks INCLUDING DEFAULTS)"]),
        ("one by its schema", picks, &[], &["CREATE TABLE pg_temp.picks (id int)"]),
        ("one with another name first", picks, &[], &["CREATE TEMP TABLE a (id int)", "ALTER TABLE a RENAME TO picks"]),
        ("a temporary view", picks, &[], &["CREATE TEMP VIEW picks AS SELECT 5 AS id"]),
        ("rows selected into one", picks, &[], &["SELECT id INTO TEMP picks FROM held_rows"]),
        ("a temporary domain", typed, &[], &["CREATE DOMAIN pg_temp.code AS text CHECK (VALUE <> 'no')"]),
        ("a temporary type", typed, &[], &["CREATE TYPE pg_temp.code AS ENUM ('x')"]),
        (
            "a style said twice",
            dated,
            &["SET DateStyle = 'ISO, ISO'"],
            &["SET DateStyle = 'SQL, DMY'", "SET DateStyle = 'ISO, ISO'"],
        ),
        (
            "an order said twice",
            dated,
            &["SET DateStyle TO DMY, DMY"],
            &["SET DateStyle = 'SQL, YMD'", "SET DateStyle TO DMY, DMY"],
        ),
        (
            "characteristics of its transactions",
            dated,
            &[],
            &["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
        ),
    ];
    for (what, text, one, other) in cases {
        let (mut one, mut other) = (after(&court, one), after(&court, other));
        let first = asked(&mut one, text);
        assert_ne!(first, asked(&mut other, text), "{what}");
    }
    // A view of the session's own is in no catalog: what is to be written through it is asked about when it is made.
    asked(&mut after(&court, &[]), "CREATE TEMP VIEW way AS SELECT * FROM held_rows");
    // In a transaction it does not wait, and what is approved for a cursor of one session is for none of another.
    let mut wire = after(&court, &["BEGIN; DECLARE c CURSOR FOR SELECT * FROM held_rows WHERE id = 1; FETCH c"]);
    wire.send(&query("DELETE FROM held_rows WHERE CURRENT OF c"));
    let (state, message, _) = outcome(&mut wire).unwrap_err();
    assert!(state == "42501" && message.contains("not known for sure"), "{message}");
    // And where nothing is different, it is one request.
    let (mut one, mut other) = (after(&court, &["SELECT 1"]), after(&court, &["CREATE TABLE lasting (id int)"]));
    assert_eq!(asked(&mut one, picks), asked(&mut other, picks));
}

/// A table of this session's own in the place of a small one: the estimate is another session's, of the small one.
#[test]
fn an_estimate_is_not_of_another_relation_of_the_name() {
    let court = Court::open(|setup| setup.limit("hold_max", "1s"));
    court.server.sql(
        "plain",
        "create table few (id int primary key); insert into few values (1); grant all on few to app; analyze few",
    );
    let update = "UPDATE held_large SET a = -1 WHERE id IN (SELECT id FROM few)";
    let mut wire = after(&court, &[]);
    wire.send(&query(update));
    assert_eq!(outcome(&mut wire), Ok("CZ".to_owned()), "{}", court.gateway.log());
    let mut wire = after(&court, &["CREATE TEMP TABLE few AS SELECT generate_series(1, 5000) AS id"]);
    wire.send(&query(update));
    assert_eq!(outcome(&mut wire).map_err(|e| e.0), Err("42501".to_owned()));
    // Literals that were read in another way when the statement was prepared.
    court.server.sql("plain", "alter table held_large add at date default '2024-06-01'; analyze held_large");
    let mut wire = after(&court, &["SET DateStyle = 'SQL, DMY'"]);
    wire.send(&[parse("s", "UPDATE held_large SET a = -1 WHERE at < '01/12/2024'"), sync()].concat());
    wire.until_ready(1);
    wire.query("RESET DateStyle");
    wire.send(&[bind("", "s", &[], 0), execute("", 0), sync()].concat());
    assert_eq!(outcome(&mut wire).map_err(|e| e.0), Err("42501".to_owned()));
    // And what is written through a view is written.
    court.server.sql("plain", "create view of_large as select * from held_large; grant all on of_large to app");
    tests::process::wait_until("the view is known", std::time::Duration::from_secs(40), || {
        let mut wire = after(&court, &[]);
        wire.send(&query("BEGIN; UPDATE of_large SET a = -1 WHERE id > 10; ROLLBACK"));
        outcome(&mut wire).is_err()
    });
    assert_eq!(court.server.sql("plain", "select count(*) from held_large where a = -1").trim(), "1");
}

/// What is written into a definition sets nothing now, and whenever it is used later nobody sees that it does.
#[test]
fn a_definition_does_not_set_parameters_later() {
    let court = Court::open(|setup| setup);
    let mut wire = after(&court, &["CREATE TABLE made (a text)", "CREATE TABLE other.made (a text)"]);
    for sql in [
        "CREATE TABLE sets (a text DEFAULT set_config('search_path', 'other', false))",
        "CREATE TABLE sets (a text CHECK (set_config('search_path', 'other', false) <> ''))",
        "ALTER TABLE made ALTER a SET DEFAULT set_config('search_path', 'other', false)",
        "CREATE VIEW sets AS SELECT set_config('search_path', 'other', false) AS a",
        "CREATE VIEW sets AS SELECT * FROM pg_settings",
        "CREATE VIEW sets AS SELECT s.setting FROM pg_catalog.pg_settings AS s",
        "CREATE RULE sets AS ON INSERT TO made DO ALSO SELECT set_config('search_path', 'other', false)",
        "CREATE RULE sets AS ON INSERT TO made DO ALSO UPDATE pg_settings SET setting = 'other' WHERE name = 'search_path'",
        "CREATE POLICY sets ON made USING (set_config('search_path', 'other', false) <> '')",
        "ALTER ROLE app SET search_path = other",
        "ALTER ROLE CURRENT_USER IN DATABASE plain SET search_path = other",
        "ALTER ROLE app RESET ALL",
        "WITH x AS (UPDATE pg_settings SET setting = 'other' WHERE name = 'search_path' RETURNING 1) SELECT * FROM x",
        "UPDATE ONLY pg_catalog.\"pg_settings\" AS s SET setting = 'other' WHERE s.name = 'search_path'",
        "EXPLAIN ANALYZE UPDATE pg_settings SET setting = 'other' WHERE name = 'search_path'",
    ] {
        let frames = wire.query(sql);
        assert_eq!(error(&frames).and_then(|e| e.field(b'C')).as_deref(), Some("42501"), "{sql}: {}", tags(&frames));
    }
    // A statement that sets at once may be written so.
    for sql in [
        "SELECT set_config('TimeZone', 'UTC', false)",
        "INSERT INTO made SELECT set_config('TimeZone', 'UTC', false)",
        "CREATE TABLE copied AS SELECT set_config('TimeZone', 'UTC', false) AS a",
    ] {
        assert!(error(&wire.query(sql)).is_none(), "{sql}");
    }
    wire.send(&[parse("", "SELECT set_config('TimeZone', $1, false)"), bind("", "", &[Some("UTC")], 0)].concat());
    wire.send(&[execute("", 0), sync()].concat());
    assert!(error(&wire.until_ready(1)).is_none());
}
