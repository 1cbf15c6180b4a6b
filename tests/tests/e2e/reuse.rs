//! Connections to a target that outlive their sessions: what the next session finds, and when there is a new one.

use crate::plain::direct;
use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tests::{
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, bind, cancel_request, error, execute, frame, parse, query, sync, tags},
};

fn reusing(lines: &[&str]) -> Gateway {
    direct();
    let setup = Setup::new(Bundle::allow_all(), Postgres::shared()).cores(1);
    lines.iter().fold(setup, |setup, line| setup.target_line(line)).start()
}

pub(crate) const KEEP: &str = "reuse: { idle: 60s, connections: 4 }";

pub(crate) fn value(wire: &mut Wire, sql: &str) -> String {
    let frames = wire.query(sql);
    let row = frames.iter().find(|frame| frame.tag == b'D').unwrap_or_else(|| panic!("{sql}: {frames:?}"));
    row.values()[0].as_ref().map_or_else(|| "null".to_owned(), |value| String::from_utf8(value.clone()).unwrap())
}

fn backend(wire: &mut Wire) -> String {
    value(wire, "select pg_backend_pid()")
}

#[test]
fn a_parameter_that_a_session_made_is_nothing_to_the_next() {
    for made in ["set my.secret = 'left'", "select set_config('my.secret', 'left', false)"] {
        let gateway = reusing(&[KEEP]);
        let endpoint = gateway.endpoint("app");
        let mut first = Wire::open(gateway.port());
        assert!(first.try_login(&endpoint, &[]).is_none());
        assert!(error(&first.query(made)).is_none(), "{made}");
        leave(&gateway, first);
        let mut second = Wire::open(gateway.port());
        assert!(second.try_login(&endpoint, &[]).is_none());
        assert_eq!(value(&mut second, "select current_setting('my.secret', true) is null"), "t", "{made}");
        assert_eq!(reused(&gateway), 0.0);
    }
}

/// Goes as clients do, and waits until the connection can be had again.
pub(crate) fn leave(gateway: &Gateway, mut wire: Wire) {
    wire.send(&frame(b'X', b""));
    assert!(wire.closes());
    settle(gateway);
}

/// Sessions are over, and what they left can be had again or is closed: its cleaning begins before its session ends.
pub(crate) fn settle(gateway: &Gateway) {
    wait_until("the session is over", PATIENCE, || gateway.metric("tidegate_sessions_open") == 0.0);
    cleaned(gateway);
}

/// Nothing that sessions have left is under way any more.
pub(crate) fn cleaned(gateway: &Gateway) {
    wait_until("the connection is clean", PATIENCE, || gateway.metric("tidegate_connections_cleaning") == 0.0);
}

/// A kept connection that does not answer in a second is not used: on a machine that stands still or has much else to do that
/// is no fault, but it does not happen every time.
#[track_caller]
pub(crate) fn in_some_try(works: impl Fn() -> bool) {
    wait_until("a kept connection is used again", 2 * PATIENCE, works);
}

pub(crate) fn reused(gateway: &Gateway) -> f64 {
    gateway.metric("tidegate_connections_reused_total")
}

#[test]
fn the_next_session_gets_the_connection_and_nothing_of_the_last() {
    in_some_try(the_next_session_gets_the_connection);
}

fn the_next_session_gets_the_connection() -> bool {
    let gateway = reusing(&[KEEP]);
    let endpoint = gateway.endpoint("app");
    let mut first = Wire::open(gateway.port());
    assert!(first.try_login(&endpoint, &[]).is_none());
    let process = backend(&mut first);
    for statement in [
        "create temporary table left_behind (a int)",
        "set timezone to 'Asia/Tokyo'",
        "set search_path to pg_catalog",
        "prepare p as select 1",
        "declare c cursor with hold for select 1",
        "select pg_advisory_lock(4711)",
    ] {
        assert!(error(&first.query(statement)).is_none(), "{statement}");
    }
    first.send(&[parse("s", "select 1"), sync()].concat());
    assert!(error(&first.until_ready(1)).is_none());
    leave(&gateway, first);

    let mut second = Wire::open(gateway.port());
    assert!(second.try_login(&endpoint, &[]).is_none());
    if backend(&mut second) != process {
        assert_eq!(reused(&gateway), 0.0);
        return false;
    }
    assert_eq!(reused(&gateway), 1.0);
    assert_eq!(value(&mut second, "select to_regclass('pg_temp.left_behind') is null"), "t");
    assert_ne!(value(&mut second, "show timezone"), "Asia/Tokyo");
    assert_ne!(value(&mut second, "show search_path"), "pg_catalog");
    assert_eq!(value(&mut second, "select count(*) from pg_prepared_statements"), "0");
    assert_eq!(value(&mut second, "select count(*) from pg_cursors"), "0");
    assert_eq!(value(&mut second, "select count(*) from pg_locks where locktype = 'advisory' and objid = 4711"), "0");
    second.send(&[bind("", "s", &[], 0), execute("", 0), sync()].concat());
    assert!(error(&second.until_ready(1)).is_some());
    second.send(&[parse("s", "select 2"), sync()].concat());
    assert!(error(&second.until_ready(1)).is_none(), "the name is free");
    leave(&gateway, second);

    // Other startup parameters are another connection; so is what they set.
    let mut third = Wire::open(gateway.port());
    assert!(third.try_login(&endpoint, &[("TimeZone", "Asia/Tokyo")]).is_none());
    assert_ne!(backend(&mut third), process);
    assert_eq!(value(&mut third, "show timezone"), "Asia/Tokyo");
    leave(&gateway, third);
    let mut fourth = Wire::open(gateway.port());
    assert!(fourth.try_login(&endpoint, &[]).is_none());
    if backend(&mut fourth) != process {
        return false;
    }
    // Last: a session that ran a name which nobody knows could have set anything, and its connection is not kept.
    assert!(error(&fourth.query("execute p")).is_some());
    true
}

#[test]
fn what_was_not_left_clean_is_not_kept() {
    let gateway = reusing(&[KEEP]);
    let endpoint = gateway.endpoint("app");
    type Goes<'a> = &'a dyn Fn(&mut Wire);
    let goes: [(&str, Goes<'_>); 5] = [
        ("in a transaction", &|wire| drop(wire.query("begin"))),
        ("in a failed one", &|wire| drop((wire.query("begin"), wire.query("select 1/0")))),
        ("in a COPY", &|wire| {
            drop(wire.query("create temporary table c (a int)"));
            wire.send(&query("copy c from stdin"));
            assert_eq!(wire.read().unwrap().tag, b'G');
        }),
        ("before the answer", &|wire| wire.send(&query("select pg_sleep(1)"))),
        ("before a Sync", &|wire| wire.send(&parse("", "select 1"))),
    ];
    for (how, go) in goes {
        let mut wire = Wire::login(&endpoint);
        let process = backend(&mut wire);
        go(&mut wire);
        leave(&gateway, wire);
        let mut next = Wire::login(&endpoint);
        assert_ne!(backend(&mut next), process, "left {how}");
        // Of the next one nothing is kept either, so that every case starts from nothing.
        drop(next.query("begin"));
        leave(&gateway, next);
    }
    assert_eq!(reused(&gateway), 0.0);
}

#[test]
fn a_session_that_was_cancelled_leaves_no_connection() {
    let gateway = reusing(&[KEEP]);
    let endpoint = gateway.endpoint("app");
    let mut wire = Wire::open(gateway.port());
    assert!(wire.try_login(&endpoint, &[]).is_none());
    let process = backend(&mut wire);
    let key = wire.key.clone();
    wire.send(&query("select pg_sleep(600), 'kept'"));
    let running =
        "select count(*) from pg_stat_activity where query = $$select pg_sleep(600), 'kept'$$ and state = 'active'";
    wait_until("it runs", PATIENCE, || Postgres::shared().sql("plain", running).trim() == "1");
    Wire::open(gateway.port()).send(&cancel_request(&key));
    assert!(error(&wire.until_ready(1)).is_some());
    leave(&gateway, wire);
    let mut next = Wire::login(&endpoint);
    assert_ne!(backend(&mut next), process);
    // And a cancel request with the key of a session that is over reaches nobody.
    let before = gateway.metric("tidegate_cancels_total");
    let mut late = Wire::open(gateway.port());
    late.send(&cancel_request(&key));
    assert!(late.closes(), "it is heard");
    assert!(error(&next.query("select pg_sleep(0.3)")).is_none());
    assert_eq!(gateway.metric("tidegate_cancels_total"), before);
}

#[test]
fn a_connection_that_died_meanwhile_or_waits_for_too_long_is_not_given() {
    in_some_try(a_connection_that_died_is_not_given);
}

fn a_connection_that_died_is_not_given() -> bool {
    let gateway = reusing(&["reuse: { idle: 2s }"]);
    let endpoint = gateway.endpoint("app");
    let mut wire = Wire::login(&endpoint);
    let process = backend(&mut wire);
    leave(&gateway, wire);
    Postgres::shared().sql("postgres", &format!("select pg_terminate_backend({process}, 60000)"));
    let mut next = Wire::login(&endpoint);
    let second = backend(&mut next);
    assert_ne!(second, process);
    leave(&gateway, next);
    let there = format!("select count(*) from pg_stat_activity where pid = {second}");
    // Two seconds can be over before the server is asked.
    let kept = Postgres::shared().sql("postgres", &there).trim() == "1";
    wait_until("the server is rid of it", PATIENCE, || Postgres::shared().sql("postgres", &there).trim() == "0");
    kept
}

#[test]
fn the_name_says_whose_session_it_is_and_going_back_names_nobody() {
    in_some_try(the_name_says_whose_session_it_is);
}

fn the_name_says_whose_session_it_is() -> bool {
    let gateway = reusing(&[KEEP, "credentials: { mode: shared }"]);
    let mut names = Vec::new();
    let mut processes = Vec::new();
    for _ in 0..2 {
        let mut wire = Wire::login(&gateway.endpoint("app"));
        processes.push(backend(&mut wire));
        let name = value(&mut wire, "select application_name from pg_stat_activity where pid = pg_backend_pid()");
        assert!(name.starts_with("tidegate/") && name.ends_with("app"), "{name}");
        names.push(name);
        drop(wire.query("reset application_name"));
        assert_eq!(value(&mut wire, "show application_name"), "tidegate");
        leave(&gateway, wire);
    }
    assert_ne!(names[0], names[1]);
    processes[0] == processes[1]
}

#[test]
fn no_more_are_kept_than_there_may_be_and_none_once_it_drains() {
    let gateway = reusing(&["reuse: { connections: 2 }"]);
    let endpoint = gateway.endpoint("app");
    let mut open: Vec<Wire> = (0..5).map(|_| Wire::login(&endpoint)).collect();
    let processes: Vec<String> = open.iter_mut().map(backend).collect();
    for mut wire in open {
        wire.send(&frame(b'X', b""));
        assert!(wire.closes());
    }
    settle(&gateway);
    let list = processes.join(",");
    let there = || {
        let count = format!("select count(*) from pg_stat_activity where pid in ({list})");
        Postgres::shared().sql("postgres", &count).trim().to_owned()
    };
    wait_until("two are kept", PATIENCE, || there() == "2");
    gateway.signal("TERM");
    assert!(gateway.wait_end(PATIENCE).is_some());
    wait_until("none is left", PATIENCE, || there() == "0");
}

#[test]
fn psql_and_its_answers_are_the_same_on_a_used_connection() {
    in_some_try(|| {
        let gateway = reusing(&[KEEP]);
        let ask = || {
            let endpoint = gateway.endpoint("app");
            let mut wire = Wire::login(&endpoint);
            tags(&wire.query("select 1; show server_version"))
        };
        let first = ask();
        settle(&gateway);
        assert_eq!(ask(), first);
        reused(&gateway) == 1.0
    });
}

const MOVED: &str = "
version: 1
targets:
  moved: {protocol: postgres, address: 127.0.0.1:5432, tls: disable, database: plain, account: app, audit: async}
classes:
  hidden: {columns: [\"moved.ward.people.secret\"]}
roles:
  masked:
    groups: [analysts]
    targets: [moved]
    default: clear
    redact: {hidden: keep-last 4}
";

/// Everything that is said to a question about `people`.
fn people(wire: &mut Wire) -> String {
    let frames = wire.query("select secret || '' from people");
    format!("{:?}", frames.iter().map(|frame| String::from_utf8_lossy(&frame.body)).collect::<Vec<_>>())
}

fn given(server: &Postgres, path: &str) {
    server.sql("plain", &format!("alter role app in database plain set search_path = {path}"));
}

fn moved(path: &str) -> (Postgres, Gateway) {
    direct();
    let server = Postgres::start("");
    server.sql(
        "plain",
        "create schema ward; create table ward.people (secret text); insert into ward.people values ('raw-secret');
         create schema lobby; create table lobby.people (secret text); insert into lobby.people values ('for all');
         grant usage on schema ward, lobby to app; grant select on ward.people, lobby.people to app",
    );
    given(&server, path);
    let bundle = Bundle::compile(&[MOVED], "moved", &server);
    let gateway = Setup::new(&bundle, &server).cores(1).line("catalog_refresh: 1s").target_line(KEEP).start();
    (server, gateway)
}

/// The account gets another search path, in which the same name is the protected relation: who logs in from then on is
/// judged by that path once the catalog was looked at.
#[test]
fn a_search_path_that_the_account_is_given_later_counts_for_later_sessions() {
    let (server, gateway) = moved("lobby, public");
    let mut running = Wire::login(&gateway.endpoint("ana"));
    assert!(people(&mut running).contains("for all"));
    given(&server, "ward, public");
    // A look that had begun before may end after: the third has begun later.
    let mut looks = Vec::new();
    wait_until("the catalog was looked at", PATIENCE, || {
        let page = gateway.http("/status").unwrap();
        let status: serde_json::Value = serde_json::from_str(page.split_once("\r\n\r\n").unwrap().1).unwrap();
        looks.push(status["targets"][0]["catalog_looked_at"].as_u64().unwrap_or_else(|| panic!("{status}")));
        looks.dedup();
        looks.len() > 3
    });
    let mut next = Wire::open(gateway.port());
    assert!(next.try_login(&gateway.endpoint("ana"), &[("TimeZone", "Asia/Tokyo")]).is_none());
    let said = people(&mut next);
    assert!(!said.contains("raw-secret"), "{said}");
}

/// The other way round: a connection that logged in before still means the protected one by the name, whether its session
/// runs or another gets it.
#[test]
fn names_on_a_connection_of_before_are_not_judged_by_a_later_search_path() {
    let (server, gateway) = moved("ward, public");
    let mut running = Wire::login(&gateway.endpoint("ana"));
    assert!(!people(&mut running).contains("raw-secret"));
    let mut first = Wire::login(&gateway.endpoint("ana"));
    assert!(!people(&mut first).contains("raw-secret"));
    first.send(&frame(b'X', b""));
    assert!(first.closes());
    given(&server, "lobby, public");
    // The gateway knows when a session whose connection cannot be an old one, by its parameters, is answered.
    wait_until("the gateway knows", PATIENCE, || {
        let mut other = Wire::open(gateway.port());
        assert!(other.try_login(&gateway.endpoint("ana"), &[("TimeZone", "Asia/Tokyo")]).is_none());
        drop(other.query("begin"));
        people(&mut other).contains("for all")
    });
    let mut next = Wire::login(&gateway.endpoint("ana"));
    let said = [people(&mut next), people(&mut running)];
    assert!(said.iter().all(|said| !said.contains("raw-secret")), "{said:?}");
    assert_eq!(value(&mut next, "select secret from people"), "for all");
}

/// Everything between a gateway and a server, until it stops passing anything on and says nothing of it.
struct Relay {
    port: u16,
    frozen: Arc<AtomicBool>,
}

impl Relay {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let frozen = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&frozen);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = TcpStream::connect(("127.0.0.1", port)).unwrap();
                // What is connected later passes: a firewall forgets connections, not addresses.
                let own = Arc::new(AtomicBool::new(flag.load(Ordering::SeqCst)));
                for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    let (flag, late) = (Arc::clone(&flag), Arc::clone(&own));
                    std::thread::spawn(move || {
                        let mut bytes = [0; 4096];
                        while let Ok(count) = from.read(&mut bytes) {
                            if count == 0 || (flag.load(Ordering::SeqCst) && !late.load(Ordering::SeqCst)) {
                                break;
                            }
                            if to.write_all(&bytes[..count]).is_err() {
                                return;
                            }
                        }
                        // Held open: whoever waits hears nothing.
                        std::thread::sleep(Duration::from_secs(60));
                        drop((from, to));
                    });
                }
            }
        });
        Self { port: own, frozen }
    }
}

#[test]
fn kept_connections_whose_packets_go_nowhere_cost_the_next_session_little() {
    for more in ["credentials: { mode: shared }", "purpose: optional"] {
        direct();
        let relay = Relay::to(Postgres::shared().port());
        let gateway = Setup::at_port(Bundle::allow_all(), relay.port).target_line(KEEP).target_line(more).start();
        let endpoint = gateway.endpoint("app");
        let mut open: Vec<Wire> = (0..3).map(|_| Wire::login(&endpoint)).collect();
        let processes: Vec<String> = open.iter_mut().map(backend).collect();
        for wire in &mut open {
            wire.send(&frame(b'X', b""));
            assert!(wire.closes());
        }
        drop(open);
        settle(&gateway);
        relay.frozen.store(true, Ordering::SeqCst);
        let mut next = Wire::login(&endpoint);
        assert!(!processes.contains(&backend(&mut next)), "{more}");
        assert_eq!(reused(&gateway), 0.0, "{more}");
    }
}
