//! Accounts upstream that exist only while their session does, on a real server: their rights, their end, what is left after
//! `kill -9`, many at once, an admin account that is away, and what the server's log says.

use std::time::Instant;
use tests::{
    endpoint::Endpoint,
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::{PASSWORD, Postgres},
    wire::{Wire, error},
};

const CREDENTIALS: &str = "credentials: { mode: role, admin_account: maker, admin_password: { file: maker.pw }, \
                           groups: { \"*\": 'clinic \"read\" only' }, connections: 4 }";

/// A server of its own, with an account that may make accounts and a role with the rights they get.
fn server() -> Postgres {
    let server = Postgres::start("log_statement = 'all'\nlog_connections = on");
    server.load_clinic("clinic", clinic::Options { patients: 5, seed: 1, canary: true });
    server.sql(
        "clinic",
        &format!(
            "create role \"clinic \"\"read\"\" only\";
             grant usage on schema clinic to \"clinic \"\"read\"\" only\";
             grant select on all tables in schema clinic to \"clinic \"\"read\"\" only\";
             grant create on schema clinic to \"clinic \"\"read\"\" only\";
             create role maker login createrole password '{PASSWORD}';
             grant \"clinic \"\"read\"\" only\" to maker with admin option;"
        ),
    );
    server
}

const RULES: &str = "\
targets:
  warehouse: {address: \"127.0.0.1:5432\", database: clinic, account: gateway, tls: disable}
roles:
  everybody: {groups: [privacy, analysts], targets: [warehouse], default: clear, redact: clear}
";

fn setup(server: &Postgres) -> Setup {
    let bundle = Bundle::compile(&[RULES], "warehouse", server);
    Setup::new(&bundle, server).file("maker.pw", PASSWORD).target_line(CREDENTIALS)
}

fn accounts(server: &Postgres) -> Vec<String> {
    let found = server.sql("clinic", "select rolname from pg_roles where rolname like 'tg\\_%' order by 1");
    found.lines().map(ToOwned::to_owned).collect()
}

fn one(wire: &mut Wire, sql: &str) -> String {
    let frames = wire.query(sql);
    assert!(error(&frames).is_none(), "{sql}: {frames:?}");
    let row = frames.iter().find(|frame| frame.tag == b'D').expect("a row");
    String::from_utf8(row.values()[0].clone().unwrap()).unwrap()
}

fn credentials(gateway: &Gateway, kind: &str) -> Vec<serde_json::Value> {
    let of_kind = |record: &serde_json::Value| record["type"] == "CREDENTIAL" && record["kind"] == kind;
    gateway.records().into_iter().filter(of_kind).collect()
}

#[test]
fn an_account_lives_as_long_as_its_session_and_not_after_kill_9() {
    let server = server();
    let gateway = setup(&server).start();
    assert_eq!(accounts(&server), Vec::<String>::new());
    let (mut ana, mut priya) = (Wire::login(&gateway.endpoint("ana")), Wire::login(&gateway.endpoint("priya")));
    let names = [one(&mut ana, "select session_user"), one(&mut priya, "select session_user")];
    assert_ne!(names[0], names[1]);
    let mut sorted = names.to_vec();
    sorted.sort();
    assert_eq!(accounts(&server), sorted);
    assert!(names.iter().all(|name| name.starts_with("tg_") && name.len() == 19), "{names:?}");
    // The rights of its group, and no more.
    assert_eq!(one(&mut ana, "select count(*) from clinic.patients"), "5");
    let frames = ana.query("delete from clinic.patients where patient_id = 1");
    assert_eq!(error(&frames).unwrap().field(b'C').as_deref(), Some("42501"));
    // Session and user are in the application's name.
    let application = one(&mut ana, "select current_setting('application_name')");
    assert!(application.starts_with("tidegate/") && application.ends_with("/ana"), "{application}");
    // Its rights to log in end within minutes; the session is not concerned.
    let until = server.sql(
        "clinic",
        &format!("select rolvaliduntil between now() and now() + '6 minutes', rolconnlimit from pg_roles where rolname = '{}'", names[0]),
    );
    assert_eq!(until.trim(), "t|1");

    drop(ana);
    wait_until("the account of a closed session is gone", PATIENCE, || accounts(&server) == names[1..]);
    // The server knows before the log does; a gateway that is killed in between cannot tell.
    wait_until("the records of it are in the log", PATIENCE, || {
        credentials(&gateway, "issue").len() == 2 && credentials(&gateway, "drop").len() == 1
    });
    // A session that the server has not noticed the end of does not keep its account.
    gateway.kill();
    assert_eq!(accounts(&server), names[1..], "nobody was there to drop it");
    let began = Instant::now();
    gateway.restart();
    wait_until("what was left over is swept at the start", PATIENCE, || accounts(&server).is_empty());
    println!("swept {:?} after the start of the gateway began", began.elapsed());

    let issued = credentials(&gateway, "issue");
    assert_eq!(issued.len(), 2);
    wait_until("the records are in the log", PATIENCE, || {
        credentials(&gateway, "drop").len() == 1 && credentials(&gateway, "sweep").len() == 1
    });
    assert_eq!(credentials(&gateway, "drop")[0]["account"], names[0].as_str());
    assert_eq!(credentials(&gateway, "sweep")[0]["account"], names[1].as_str());
    let opened = gateway.records().into_iter().filter(|record| record["type"] == "SESSION_OPEN");
    let of_sessions: Vec<String> = opened.map(|record| record["account"].as_str().unwrap().to_owned()).collect();
    assert_eq!(of_sessions, names);

    // Only verifiers are in the server's log, and no password is in ours.
    let log = server.log();
    assert!(log.contains("CREATE ROLE \"tg_") && log.contains("PASSWORD E'SCRAM-SHA-256$4096:"), "{log}");
    let created = log.lines().filter(|line| line.contains("CREATE ROLE \"tg_"));
    assert!(created.clone().count() == 2 && created.clone().all(|line| line.matches("PASSWORD").count() == 1));
    assert!(!gateway.log().contains("SCRAM-SHA-256$"));
}

#[test]
fn what_an_account_owns_goes_to_its_group() {
    let server = server();
    let gateway = setup(&server).start();
    let mut ana = Wire::login(&gateway.endpoint("ana"));
    for sql in ["create table clinic.kept (a int)", "create temp table gone (a int)"] {
        let frames = ana.query(sql);
        assert!(error(&frames).is_none(), "{frames:?}");
    }
    drop(ana);
    wait_until("the account is gone", PATIENCE, || accounts(&server).is_empty());
    let owner = server.sql("clinic", "select tableowner from pg_tables where tablename = 'kept'");
    assert_eq!(owner.trim(), "clinic \"read\" only");
}

/// A session at last: the gateway does not keep somebody waiting for long whose account or connection is not there in time,
/// and on a machine that stands still that is not the last word.
#[track_caller]
fn logged_in(endpoint: &Endpoint) -> Wire {
    for _ in 0..30 {
        let mut wire = Wire::open(endpoint.port);
        let Some(refused) = wire.try_login(endpoint, &[]) else { return wire };
        assert!(matches!(refused.field(b'C').as_deref(), Some("08001" | "08004")), "{refused:?}");
    }
    panic!("no session in thirty tries");
}

#[test]
fn two_hundred_sessions_at_once_get_an_account_each() {
    let server = server();
    let gateway = setup(&server).cores(2).start();
    let began = Instant::now();
    let sessions: Vec<Wire> = std::thread::scope(|scope| {
        let logins: Vec<_> = (0..200).map(|_| scope.spawn(|| logged_in(&gateway.endpoint("ana")))).collect();
        logins.into_iter().map(|login| login.join().unwrap()).collect()
    });
    println!("200 logins with accounts of their own in {:?}", began.elapsed());
    // One that came too late for its session is dropped again.
    wait_until("each has one", PATIENCE, || accounts(&server).len() == 200);
    drop(sessions);
    let began = Instant::now();
    wait_until("all accounts are gone", PATIENCE, || accounts(&server).is_empty());
    println!("and dropped in {:?}", began.elapsed());
}

#[test]
fn without_the_account_that_makes_accounts_nobody_gets_in_and_who_is_in_stays() {
    let server = server();
    let gateway = setup(&server).start();
    let mut ana = Wire::login(&gateway.endpoint("ana"));
    server.sql(
        "clinic",
        "alter role maker nologin; select pg_terminate_backend(pid) from pg_stat_activity where usename = 'maker'",
    );
    wait_until("logins are refused", PATIENCE, || {
        let refused = Wire::login_error(&gateway.endpoint("priya"));
        refused.is_some_and(|frame| frame.field(b'C').as_deref() == Some("08004"))
    });
    wait_until("the log says so", PATIENCE, || gateway.log().contains("no accounts can be made"));
    assert_eq!(one(&mut ana, "select 1"), "1");
    server.sql("clinic", "alter role maker login");
    wait_until("logins are admitted again", PATIENCE, || Wire::login_error(&gateway.endpoint("priya")).is_none());
    drop(ana);
    wait_until("and accounts are dropped again", PATIENCE, || accounts(&server).is_empty());
}

#[test]
fn a_shared_account_says_whose_session_it_is() {
    let server = server();
    let bundle = Bundle::compile(&[RULES], "warehouse", &server);
    let gateway = Setup::new(&bundle, &server).target_line("credentials: { mode: shared }").start();
    let began = Instant::now();
    let sessions: Vec<Wire> = std::thread::scope(|scope| {
        let logins: Vec<_> = (0..200).map(|_| scope.spawn(|| logged_in(&gateway.endpoint("priya")))).collect();
        logins.into_iter().map(|login| login.join().unwrap()).collect()
    });
    println!("200 logins with the shared account in {:?}", began.elapsed());
    drop(sessions);
    let mut ana = Wire::open(gateway.port());
    assert!(ana.try_login(&gateway.endpoint("ana"), &[("application_name", "psql")]).is_none());
    assert_eq!(one(&mut ana, "select session_user"), "gateway");
    let application = one(&mut ana, "select current_setting('application_name')");
    let mut session = serde_json::Value::Null;
    wait_until("the session is in the log", PATIENCE, || {
        let opened = |record: &serde_json::Value| record["type"] == "SESSION_OPEN" && record["application"] == "psql";
        session = gateway.records().into_iter().find(opened).unwrap_or_default();
        session.is_object()
    });
    let id = session["session"].as_str().unwrap();
    assert_eq!(application, format!("tidegate/{id}/ana"));
}
