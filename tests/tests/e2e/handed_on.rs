//! What one session leaves, tried on the next: state of a server's connection that is used again, cancel requests that come
//! late, and judgements that sessions share.

use crate::plain::direct;
use crate::reuse::{KEEP, cleaned, leave, reused, settle, value};
use std::{
    sync::{
        Arc, Once,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tests::{
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, bind, cancel_request, close, describe, error, execute, flush, frame, parse, query, sync, tags},
};

/// A gateway that allows everything, over a database with functions that do what statements may not.
fn reusing() -> Gateway {
    static MADE: Once = Once::new();
    direct();
    MADE.call_once(|| {
        Postgres::shared().sql(
            "plain",
            "create role wider; grant wider to app;
             create function widen() returns void language plpgsql as
               $$ begin perform set_config('role', 'wi' || 'der', false); end $$;
             create function authorise() returns void language plpgsql as
               $$ begin execute 'set session authorization ' || 'app'; end $$;
             create function make_temporary() returns void language plpgsql as
               $$ begin execute 'create temporary table made_within (a int)'; end $$;
             create sequence handed_on; grant usage on sequence handed_on to app",
        );
    });
    Setup::new(Bundle::allow_all(), Postgres::shared()).cores(1).target_line(KEEP).start()
}

/// One session does this, the next must say that; on the same connection unless the server says that it is not clean.
fn next_says(gateway: &Gateway, does: &[&str], asks: &str, says: &str) {
    let endpoint = gateway.endpoint("app");
    let mut first = Wire::login(&endpoint);
    for statement in does {
        let frames = first.query(statement);
        assert!(error(&frames).is_none(), "{statement}: {frames:?}");
    }
    leave(gateway, first);
    let mut next = Wire::login(&endpoint);
    assert_eq!(value(&mut next, asks), says, "after {does:?}");
    leave(gateway, next);
}

#[test]
fn nothing_that_functions_do_behind_the_statements_reaches_the_next_session() {
    let gateway = reusing();
    let mut handed_on = 0;
    for (does, asks, says) in [
        ("select widen()", "select current_user || session_user", "appapp"),
        ("select authorise()", "select current_user || session_user", "appapp"),
        ("select make_temporary()", "select to_regclass('pg_temp.made_within') is null", "t"),
        ("set default_transaction_read_only = on", "show default_transaction_read_only", "off"),
        (
            "set session characteristics as transaction isolation level serializable",
            "show transaction_isolation",
            "read committed",
        ),
        ("set statement_timeout = '777ms'", "show statement_timeout", "0"),
        ("set idle_session_timeout = '50s'", "show idle_session_timeout", "0"),
        (
            "create function pg_temp.mine() returns int language sql as 'select 1'",
            "select count(*) from pg_proc where proname = 'mine' and pronamespace = pg_my_temp_schema()",
            "0",
        ),
        (
            "create type pg_temp.kind as enum ('a')",
            "select count(*) from pg_type where typname = 'kind' and typnamespace = pg_my_temp_schema()",
            "0",
        ),
        (
            "create temporary sequence mine_too",
            "select count(*) from pg_class where relname = 'mine_too' and relnamespace = pg_my_temp_schema()",
            "0",
        ),
        (
            "select nextval('handed_on')",
            "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'",
            "0",
        ),
        (
            "select pg_advisory_lock_shared(99)",
            "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = 'advisory'",
            "0",
        ),
        ("listen somebody", "select count(*) from pg_listening_channels()", "0"),
    ] {
        // A server that stands still for a second when it is asked whether it is still there is not asked again.
        let before = reused(&gateway);
        handed_on += usize::from((0..3).any(|_| {
            next_says(&gateway, &[does], asks, says);
            reused(&gateway) > before
        }));
    }
    // What a function has set for good may be no reason to refuse a session, but then it has a connection of its own.
    assert!(handed_on >= 12, "{handed_on} connections were used again");
    let endpoint = gateway.endpoint("app");
    let mut next = Wire::login(&endpoint);
    assert!(error(&next.query("select currval('handed_on')")).is_some(), "the last number of another");
    assert!(error(&next.query("select lastval()")).is_some());
    next.send(&[bind("", "", &[], 0), execute("", 0), sync()].concat());
    assert!(error(&next.until_ready(1)).is_some(), "the unnamed statement of another");
}

/// Whoever seeds the generator knows what is drawn next: not by another session.
#[test]
fn the_seed_of_one_session_tells_nothing_of_what_the_next_draws() {
    const DRAW: &str = "select random()";
    for more in ["purpose: optional", "credentials: { mode: shared }"] {
        direct();
        let setup = Setup::new(Bundle::allow_all(), Postgres::shared()).cores(1).target_line(KEEP);
        let gateway = setup.target_line(more).start();
        let handed_on = (0..3).any(|_| {
            let mut first = Wire::login(&gateway.endpoint("app"));
            let backend = value(&mut first, "select pg_backend_pid()");
            first.query("select setseed(0.25)");
            let foreseen: Vec<String> = (0..20).map(|_| value(&mut first, DRAW)).collect();
            first.query("select setseed(0.25)");
            leave(&gateway, first);
            let mut second = Wire::login(&gateway.endpoint("app"));
            let drawn: Vec<String> = (0..10).map(|_| value(&mut second, DRAW)).collect();
            assert!(drawn.iter().all(|number| !foreseen.contains(number)), "{more}: {drawn:?} of {foreseen:?}");
            value(&mut second, "select pg_backend_pid()") == backend
        });
        assert!(handed_on, "{more}");
    }
}

#[test]
fn what_is_left_without_a_sync_hurts_nobody() {
    let gateway = reusing();
    let endpoint = gateway.endpoint("app");
    type Leaves = fn() -> Vec<u8>;
    let leaves: [(&str, Leaves, usize); 5] = [
        ("a statement that was closed", || [close(b'S', "none"), flush()].concat(), 1),
        ("a description that failed", || [describe(b'S', "none"), flush()].concat(), 1),
        ("a portal that was not run", || [parse("", "select 1"), bind("", "", &[], 0), flush()].concat(), 2),
        (
            "one that was run in part",
            || [parse("", "select generate_series(1, 9)"), bind("", "", &[], 0), execute("", 3), flush()].concat(),
            6,
        ),
        (
            "a wish and a farewell in one",
            || [query("select pg_sleep(0.1), 'of the first'"), frame(b'X', b"")].concat(),
            0,
        ),
    ];
    for (what, bytes, answers) in leaves {
        let mut first = Wire::login(&endpoint);
        first.send(&bytes());
        for _ in 0..answers {
            assert!(first.read().is_some(), "{what}");
        }
        leave(&gateway, first);
        let mut next = Wire::login(&endpoint);
        assert_eq!(tags(&next.query("select 'of the next'")), "TDCZ", "after {what}");
        assert_eq!(value(&mut next, "select 'of the next'"), "of the next");
        assert_eq!(value(&mut next, "select count(*) from pg_cursors"), "0", "after {what}");
        leave(&gateway, next);
    }
}

#[test]
fn half_a_frame_is_no_part_of_what_the_next_session_says() {
    let gateway = reusing();
    let endpoint = gateway.endpoint("app");
    for half in [
        frame(b'Q', b"select pg_advisory_lock(4)\0")[..9].to_vec(),
        frame(b'P', b"s\0select 1\0\0\0")[..12].to_vec(),
        [parse("s", "select 1"), frame(b'B', &[0; 3000])[..1500].to_vec()].concat(),
        vec![b'S', 0, 0],
    ] {
        let mut first = Wire::login(&endpoint);
        assert_eq!(tags(&first.query("select 1")), "TDCZ");
        first.send(&half);
        std::thread::sleep(Duration::from_millis(50));
        drop(first);
        settle(&gateway);
        let mut next = Wire::login(&endpoint);
        for _ in 0..3 {
            assert_eq!(value(&mut next, "select 'of the next'"), "of the next");
        }
        assert_eq!(value(&mut next, "select count(*) from pg_prepared_statements"), "0");
        leave(&gateway, next);
    }
}

/// A session that listens goes while others notify all the time.
#[test]
fn notifications_for_one_session_do_not_reach_the_next() {
    let gateway = reusing();
    let endpoint = gateway.endpoint("app");
    let over = Arc::new(AtomicBool::new(false));
    let stop = Arc::clone(&over);
    let notifier = std::thread::spawn(move || {
        let mut wire = Wire::login(&direct());
        while !stop.load(Ordering::SeqCst) {
            wire.query("notify handed_on_channel, 'for the first alone'");
        }
    });
    for _ in 0..10 {
        let mut first = Wire::login(&endpoint);
        first.query("listen handed_on_channel");
        while first.read().unwrap().tag != b'A' {}
        first.send(&frame(b'X', b""));
        first.closes();
        let mut next = Wire::login(&endpoint);
        for _ in 0..5 {
            let frames = next.query("select 1");
            assert_eq!(tags(&frames), "TDCZ", "{frames:?}");
        }
        next.send(&frame(b'X', b""));
        next.closes();
    }
    over.store(true, Ordering::SeqCst);
    notifier.join().unwrap();
    assert!(reused(&gateway) > 0.0, "nothing was handed on: the test shows nothing");
}

/// Cancel requests of a session, sent around its end, while another runs something on what may be its connection.
#[test]
fn a_cancel_request_around_the_end_of_its_session_meets_nobody_else() {
    let gateway = reusing();
    let endpoint = gateway.endpoint("app");
    for round in 0..24u64 {
        let mut first = Wire::login(&endpoint);
        assert_eq!(tags(&first.query("select 1")), "TDCZ");
        let (key, port) = (first.key.clone(), gateway.port());
        let late = std::thread::spawn(move || {
            // Before, while and after the connection changes hands.
            for step in 0..6 {
                Wire::open(port).send(&cancel_request(&key));
                std::thread::sleep(Duration::from_micros(step * 300));
            }
        });
        std::thread::sleep(Duration::from_micros(round * 150));
        first.send(&frame(b'X', b""));
        let mut next = Wire::login(&endpoint);
        for _ in 0..4 {
            let frames = next.query("select pg_sleep(0.02)");
            assert!(error(&frames).is_none(), "round {round}: {frames:?}");
        }
        late.join().unwrap();
        assert!(error(&next.query("select pg_sleep(0.02)")).is_none(), "round {round}");
        next.send(&frame(b'X', b""));
        next.closes();
    }
}

const TWO_ROLES: &str = "
version: 1
targets:
  shared: {protocol: postgres, address: 127.0.0.1:5432, tls: disable, database: plain, account: app, audit: async}
classes:
  hidden: {columns: [\"shared.judged.people.secret\"]}
roles:
  clear:
    groups: [privacy]
    targets: [shared]
    default: clear
    redact: {hidden: clear}
  masked:
    groups: [analysts]
    targets: [shared]
    default: clear
    redact: {hidden: keep-last 4}
  nothing:
    groups: [agents]
    targets: [shared]
    default: clear
    redact: {hidden: 'null'}
";

fn two_roles() -> (Postgres, Gateway) {
    let server = Postgres::start("");
    server.sql(
        "plain",
        "create schema judged; create table judged.people (id int, secret text);
         insert into judged.people values (1, 'raw-secret-1234');
         create table judged.others (id int, secret text); insert into judged.others values (1, 'for everybody');
         grant usage, create on schema judged to app; grant select on judged.people, judged.others to app;
         alter table judged.people owner to app; alter table judged.others owner to app",
    );
    let bundle = Bundle::compile(&[TWO_ROLES], "shared", &server);
    let setup = Setup::new(&bundle, &server).cores(1).line("catalog_refresh: 1s").target_line(KEEP);
    let gateway = setup.start();
    (server, gateway)
}

/// What a statement gives by each protocol: simple, described and not, prepared by name, in text and binary.
fn everything(wire: &mut Wire, sql: &str) -> String {
    let mut said = wire.query(sql);
    wire.send(&[parse("", sql), bind("", "", &[], 0), execute("", 0), sync()].concat());
    said.extend(wire.until_ready(1));
    wire.send(&[parse("p", sql), describe(b'S', "p"), sync()].concat());
    said.extend(wire.until_ready(1));
    for format in [0, 1] {
        wire.send(&[bind("", "p", &[], format), execute("", 0), sync()].concat());
        said.extend(wire.until_ready(1));
    }
    wire.send(&[close(b'S', "p"), sync()].concat());
    said.extend(wire.until_ready(1));
    said.iter().map(|frame| format!("{frame:?}\n")).collect()
}

const READS: [&str; 4] = [
    "select secret from judged.people",
    "select id, secret from judged.people where id = 1",
    "select secret || '' from judged.people",
    "with x as (select secret as s from judged.people) select s from x",
];

/// Three roles ask the same on one core, in turns, on connections that they hand to each other.
#[test]
fn a_judgement_of_one_role_is_not_used_for_another() {
    let (_server, gateway) = two_roles();
    for round in 0..3 {
        for sql in READS {
            for user in ["priya", "ana", "agent", "priya", "agent", "ana"] {
                let mut wire = Wire::login(&gateway.endpoint(user));
                for _ in 0..2 {
                    let said = everything(&mut wire, sql);
                    assert_eq!(said.contains("raw-secret"), user == "priya", "{user} in round {round}: {sql}\n{said}");
                    if user == "agent" {
                        assert!(!said.contains("1234"), "{sql}\n{said}");
                    }
                }
                wire.send(&frame(b'X', b""));
                wire.closes();
            }
        }
    }
    assert!(reused(&gateway) > 10.0);
}

/// Relations change places under the same name: by the session itself, by another, and back.
#[test]
fn a_judgement_of_one_catalog_is_not_used_for_the_next() {
    let (server, gateway) = two_roles();
    let endpoint = gateway.endpoint("ana");
    let sql = "select secret || '' from judged.others";
    let mut running = Wire::login(&endpoint);
    assert!(everything(&mut running, sql).contains("for everybody"));
    running.send(&[parse("kept", sql), sync()].concat());
    running.until_ready(1);
    server.sql(
        "plain",
        "begin; alter table judged.others rename to parked; alter table judged.people rename to others; commit",
    );
    // The rules name `people`, which is gone; the names of the rules are compiled into those of the catalog.
    server.sql("plain", "alter table judged.others rename to people; alter table judged.parked rename to others");
    wait_until("the catalog was looked at", PATIENCE, || {
        let mut wire = Wire::login(&endpoint);
        everything(&mut wire, sql).contains("for everybody")
    });
    server.sql("plain", "create view judged.third as select * from judged.others; grant select on judged.third to app");
    let third = "select secret || '' from judged.third";
    wait_until("the view is known", PATIENCE, || {
        let mut wire = Wire::login(&endpoint);
        everything(&mut wire, third).contains("for everybody")
    });
    server.sql("plain", "create or replace view judged.third as select * from judged.people");
    wait_until("the view is known as what it is", PATIENCE, || {
        let mut wire = Wire::login(&endpoint);
        !everything(&mut wire, third).contains("raw-secret")
    });
    for wire in [&mut running, &mut Wire::login(&endpoint)] {
        let said = everything(wire, third);
        assert!(!said.contains("raw-secret"), "{said}");
    }
    running.send(&[bind("", "kept", &[], 0), execute("", 0), sync()].concat());
    let said = format!("{:?}", running.until_ready(1));
    assert!(!said.contains("raw-secret"), "{said}");
}

/// A temporary relation of one session takes the name of a protected one; others of its role go on being judged by the
/// catalog, before, meanwhile and on the connection that it leaves.
#[test]
fn a_judgement_beside_a_temporary_relation_is_not_used_for_others() {
    let (server, gateway) = two_roles();
    server.sql("plain", "alter role app in database plain set search_path = judged, public");
    let endpoint = gateway.endpoint("ana");
    wait_until("the name is known", PATIENCE, || {
        everything(&mut Wire::login(&endpoint), "select secret from people").contains("***1234")
    });
    let sql = "select secret || '' from people";
    let mut other = Wire::login(&endpoint);
    assert!(!everything(&mut other, sql).contains("raw-secret"));
    let mut own = Wire::login(&endpoint);
    assert!(error(&own.query("create temporary table people (secret text)")).is_none());
    let _ = everything(&mut own, sql);
    for wire in [&mut other, &mut Wire::login(&endpoint)] {
        let said = everything(wire, sql);
        assert!(!said.contains("raw-secret"), "{said}");
    }
    own.send(&frame(b'X', b""));
    own.closes();
    cleaned(&gateway);
    for _ in 0..3 {
        let said = everything(&mut Wire::login(&endpoint), sql);
        assert!(!said.contains("raw-secret"), "{said}");
    }
}

/// New rules for the same names and texts count at once, for prepared statements too.
#[test]
fn a_judgement_under_old_rules_is_not_used_under_new_ones() {
    let (server, gateway) = two_roles();
    let mut running = Wire::login(&gateway.endpoint("priya"));
    assert!(everything(&mut running, READS[0]).contains("raw-secret"));
    running.send(&[parse("kept", READS[0]), describe(b'S', "kept"), sync()].concat());
    running.until_ready(1);
    let stricter = TWO_ROLES.replace("redact: {hidden: clear}", "redact: {hidden: keep-first 1}");
    gateway.folder.write("policy.tgb", &Bundle::compile(&[&stricter], "shared", &server).bytes);
    gateway.signal("HUP");
    // The core says so when it has them.
    wait_until("the rules are new", PATIENCE, || {
        gateway.records().iter().filter(|record| record["type"] == "POLICY_LOAD").count() == 2
    });
    running.send(&[bind("", "kept", &[], 0), execute("", 0), sync()].concat());
    let said = format!("{:?}", running.until_ready(1));
    assert!(!said.contains("raw-secret"), "{said}");
    for wire in [&mut running, &mut Wire::login(&gateway.endpoint("priya"))] {
        for sql in READS {
            let said = everything(wire, sql);
            assert!(!said.contains("raw-secret"), "{said}");
        }
    }
}
