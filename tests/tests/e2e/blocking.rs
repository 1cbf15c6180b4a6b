//! Refusals: an ordinary error, in its turn, after which the session goes on; and nothing of it reaches the server.

use tests::{
    clients,
    gateway::Gateway,
    server::Postgres,
    wire::{Frame, Wire, bind, describe, error, execute, flush, parse, query, sync, tags},
};

fn wire(user: &str) -> Wire {
    Wire::login(&Gateway::clinic().endpoint(user))
}

/// The refusal in an answer: SQLSTATE 42501 with a stable code.
#[track_caller]
pub(crate) fn refusal(frames: &[Frame]) -> Frame {
    let error = error(frames).unwrap_or_else(|| panic!("not refused: {frames:?}")).clone();
    assert_eq!(error.field(b'C').as_deref(), Some("42501"), "{error:?}");
    let words = words(&error);
    assert!(stable_code(&words).is_some(), "no stable code in {words}");
    error
}

fn words(error: &Frame) -> String {
    [b'M', b'D', b'H'].iter().filter_map(|&code| error.field(code)).collect::<Vec<_>>().join(" / ")
}

fn stable_code(text: &str) -> Option<&str> {
    text.split(|c: char| !c.is_ascii_alphanumeric()).find(|word| {
        word.strip_prefix("TG").is_some_and(|digits| digits.len() == 4 && digits.bytes().all(|b| b.is_ascii_digit()))
    })
}

/// User, statement, rule that must be named (empty: a built-in one), whether there must be a hint.
const REFUSED: &[(&str, &str, &str, bool)] = &[
    ("ana", "drop table clinic.patients", "no-drop", true),
    ("ana", "DROP /* hidden */ TABLE clinic.patients", "no-drop", true),
    ("ana", "truncate clinic.notes", "no-drop", true),
    ("ana", "alter table clinic.patients add column x int", "no-drop", true),
    ("ana", "grant select on clinic.patients to public", "no-drop", true),
    ("ana", "delete from clinic.notes", "no-mass-change", true),
    ("ana", "update clinic.departments set beds = 0", "no-mass-change", true),
    ("priya", "delete from clinic.notes", "no-mass-change", true),
    ("priya", "copy clinic.departments to program 'cat'", "no-server-access", false),
    ("priya", "do $$ begin perform 1; end $$", "no-server-access", false),
    ("agent", "insert into clinic.departments values ('x', 1)", "agents-read-only", true),
    ("agent", "create table mine (a int)", "", true),
    ("priya", "select 1 as lo_export", "no-side-doors", false),
    ("ana", "select pg_read_file('/etc/passwd')", "", false),
];

#[test]
fn a_refusal_names_its_rule_and_the_session_goes_on() {
    for (user, sql, rule, hint) in REFUSED {
        let mut wire = wire(user);
        let frames = wire.query(sql);
        let error = refusal(&frames);
        assert!(words(&error).contains(rule), "{sql}: rule {rule} is not named in {}", words(&error));
        assert!(!hint || error.field(b'H').is_some(), "{sql}: no hint");
        assert_eq!(tags(&frames), "EZ", "{sql}");
        assert_eq!(frames[1].body, b"I", "{sql}: outside of a transaction");
        assert_eq!(tags(&wire.query("select 1")), "TDCZ", "after {sql}");
    }
}

#[test]
fn the_same_refusal_comes_in_the_extended_protocol() {
    for (user, sql, rule, _) in REFUSED {
        let mut wire = wire(user);
        wire.send(&[parse("", sql), bind("", "", &[], 0), describe(b'P', ""), execute("", 0), sync()].concat());
        let frames = wire.until_ready(1);
        assert!(words(&refusal(&frames)).contains(rule), "{sql}");
        assert!(!tags(&frames).contains('D'), "{sql}: {frames:?}");
        assert_eq!(frames.last().unwrap().body, b"I", "{sql}");
        assert_eq!(tags(&wire.query("select 1")), "TDCZ", "after {sql}");
    }
}

#[test]
fn refused_statements_never_reach_the_server() {
    let before = Postgres::shared().sql("clinic", "select count(*) from clinic.notes");
    let mut wire = wire("ana");
    refusal(&wire.query("select 1; delete from clinic.notes; select 2"));
    refusal(&wire.query("insert into clinic.departments values ('half a script', 1); drop table clinic.notes"));
    assert_eq!(Postgres::shared().sql("clinic", "select count(*) from clinic.notes"), before);
    let half = "select count(*) from clinic.departments where name = 'half a script'";
    assert_eq!(Postgres::shared().sql("clinic", half).trim(), "0", "one refusal forwards none of the message");
}

#[test]
fn in_a_transaction_a_refusal_fails_it_on_both_sides() {
    let mut wire = wire("priya");
    assert_eq!(wire.query("begin").last().unwrap().body, b"T");
    wire.query("insert into clinic.departments values ('never committed', 1)");
    let frames = wire.query("delete from clinic.notes");
    refusal(&frames);
    assert_eq!(frames.last().unwrap().body, b"E", "a failed transaction");
    let next = wire.query("select 1");
    assert_eq!(error(&next).and_then(|e| e.field(b'C')).as_deref(), Some("25P02"), "{next:?}");
    let end = wire.query("commit");
    assert_eq!((tags(&end).as_str(), &end.last().unwrap().body[..]), ("CZ", &b"I"[..]));
    assert_eq!(end[0].body, b"ROLLBACK\0");
    let kept = "select count(*) from clinic.departments where name = 'never committed'";
    assert_eq!(Postgres::shared().sql("clinic", kept).trim(), "0");
    assert_eq!(tags(&wire.query("select 1")), "TDCZ");
}

#[test]
fn a_savepoint_survives_a_refusal() {
    let mut wire = wire("priya");
    // A setting lasts if its transaction does, as a row would, which other tests would see.
    wire.query("begin; set lock_timeout = '77s'; savepoint s");
    refusal(&wire.query("delete from clinic.notes"));
    assert_eq!(wire.query("rollback to s").last().unwrap().body, b"T");
    assert_eq!(tags(&wire.query("select 1")), "TDCZ");
    assert_eq!(wire.query("commit")[0].body, b"COMMIT\0");
    assert_eq!(wire.query("show lock_timeout")[1].values(), [Some(b"77s".to_vec())]);
}

#[test]
fn in_a_pipeline_a_refusal_waits_its_turn_and_skips_to_sync() {
    let run = |sql: &str| [parse("", sql), bind("", "", &[], 0), execute("", 0)].concat();
    let mut wire = wire("ana");
    wire.send(
        &[
            run("select beds from clinic.departments limit 2"),
            run("select ssn::date from clinic.patients"),
            run("select 3"),
            sync(),
            run("select 4"),
            sync(),
            query("drop table clinic.notes"),
            query("select 5"),
        ]
        .concat(),
    );
    let frames = wire.until_ready(4);
    let shape = tags(&frames);
    assert!(shape.starts_with("12DDC"), "{shape}");
    let rest = &shape[5..];
    assert!(matches!(rest, "EZ12DCZEZTDCZ" | "1EZ12DCZEZTDCZ" | "12EZ12DCZEZTDCZ"), "{shape}");
    assert_eq!(
        frames.iter().filter(|f| f.tag == b'E').map(|f| f.field(b'C').unwrap()).collect::<Vec<_>>(),
        ["42501", "42501"]
    );
}

#[test]
fn a_refused_parse_leaves_no_statement_behind() {
    let mut wire = wire("ana");
    wire.send(&[parse("bad", "select ssn::date from clinic.patients"), sync()].concat());
    let first = wire.until_ready(1);
    wire.send(&[bind("", "bad", &[], 0), execute("", 0), sync()].concat());
    let second = wire.until_ready(1);
    assert!(error(&first).is_some() || error(&second).is_some());
    assert!(!tags(&second).contains('D'), "{second:?}");
    wire.send(&[parse("bad", "select 1"), describe(b'S', "bad"), flush()].concat());
    let replies: Vec<_> = (0..1).map(|_| wire.read().unwrap()).collect();
    assert!(matches!(replies[0].tag, b'1' | b'E'), "{replies:?}");
}

#[test]
fn a_refusal_holds_no_value_of_the_database() {
    for sql in [
        "select ssn::int from clinic.patients",
        "select * from clinic.patients where ssn = '705-10-1005'",
        "select 1/length(ssn) from clinic.patients",
    ] {
        let error = refusal(&wire("ana").query(sql));
        tests::canary::assert_none(sql, words(&error).replace("705-10-1005", "").as_bytes());
    }
}

#[test]
fn psql_shows_the_refusal_like_any_error() {
    let done = clients::psql(
        &Gateway::clinic().endpoint("ana"),
        &["-v", "VERBOSITY=verbose"],
        "drop table clinic.patients;\nselect 'goes on';\n",
    );
    assert!(done.errors().contains("ERROR:  42501:") && done.errors().contains("HINT:"), "{}", done.errors());
    assert!(done.text().contains("goes on"));
}

#[test]
fn someone_without_a_role_is_refused_at_login() {
    let mut wire = Wire::open(Gateway::clinic().port());
    let refused = wire.try_login(&Gateway::clinic().endpoint("nobody"), &[]).expect("no role, no session");
    assert!(matches!(refused.field(b'C').as_deref(), Some("28000" | "42501")), "{refused:?}");
    assert!(wire.closes());
}
