//! An upstream that lies, stalls or dies: the client gets an error or a close, never bytes it cannot trust, and the gateway
//! lives on.

use crate::plain::{direct, through};
use std::{net::TcpStream, time::Duration};
use tests::{
    gateway::{Gateway, Setup},
    hostile::{Hostile, Script, ready},
    process::{PATIENCE, used, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, frame, query, tags},
};

/// Starts a gateway in front of a hostile server, tries to work through it, and checks that it lives. The processor time it used.
fn survive(script: Script) -> Duration {
    let hostile = Hostile::start(script);
    let gateway = Setup::at_port(Bundle::allow_all(), hostile.port()).limit("login_timeout", "2s").launch();
    wait_until("it listens or has ended", PATIENCE, || {
        !gateway.alive() || TcpStream::connect(("127.0.0.1", gateway.port())).is_ok()
    });
    if gateway.alive() {
        let endpoint = gateway.endpoint("app");
        if let Ok(mut wire) = std::panic::catch_unwind(|| Wire::open(endpoint.port)) {
            wire.patience(Duration::from_secs(8));
            // A login that fails is a proper end of this experiment too.
            let _ = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                if wire.try_login(&endpoint, &[]).is_none() {
                    wire.send(&query("select 1"));
                    wire.raw(1);
                }
            }));
        }
    }
    let log = gateway.log();
    assert!(!log.contains("panicked"), "{log}");
    if !gateway.alive() {
        let status = gateway.wait_end(PATIENCE).unwrap();
        assert!(status.code().is_some(), "ended by a signal: {status}\n{log}");
        return Duration::ZERO;
    }
    used(gateway.id())
}

#[test]
fn s4_servers_that_lie_during_login_are_refused() {
    let scripts = [
        vec![],
        b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(),
        vec![0xff; 4096],
        frame(b'R', &[]),
        frame(b'R', &[0, 0, 0]),
        frame(b'R', &[0, 0, 0, 99]),
        frame(b'R', &[0, 0, 0, 5]),
        frame(b'R', &[&[0, 0, 0, 10][..], b"SCRAM-SHA-1\0\0"].concat()),
        frame(b'R', &[0, 0, 0, 10]),
        frame(b'R', &[0, 0, 0, 11, b'r']),
        frame(b'R', &[0, 0, 0, 12]),
        frame(b'D', &[0, 0]),
        frame(b'Z', b"I"),
        vec![b'R', 0, 0, 0, 3],
        vec![b'R', 0x7f, 0xff, 0xff, 0xff],
        vec![b'E', 0, 0, 0, 4],
        frame(b'E', b"SFATAL\0C53300\0Mno room\0\0"),
        std::iter::repeat_n(frame(b'N', b"SNOTICE\0C00000\0Mendless\0\0"), 20_000).flatten().collect(),
    ];
    for script in scripts {
        survive(Script::Greet(script));
    }
}

#[test]
fn s4_servers_that_lie_after_login_are_refused() {
    let row_description = |count: u16| {
        frame(b'T', &[&count.to_be_bytes()[..], b"a\0\0\0\0\0\0\0\0\0\0\x17\0\x04\xff\xff\xff\xff\0\0"].concat())
    };
    let data = |bytes: &[u8]| frame(b'D', bytes);
    for script in [
        vec![],
        vec![0; 8],
        row_description(9_000),
        [row_description(1), data(&[0, 2, 0, 0, 0, 1, b'1'])].concat(),
        [row_description(1), data(&[0, 1, 0x7f, 0xff, 0xff, 0xff])].concat(),
        [row_description(1), data(&[0, 1, 0xff, 0xff, 0xff, 0xfe])].concat(),
        data(&[0, 1, 0, 0, 0, 1, b'1']),
        frame(b'C', b"no zero at the end"),
        frame(b'Z', b"?"),
        [ready(), ready(), ready(), ready()].concat(),
        frame(b'W', &[0, 0, 0]),
        frame(b'V', &[0, 0, 0, 0]),
        frame(b'1', b""),
        frame(0, b""),
        vec![b'D', 0x80, 0, 0, 0],
    ] {
        survive(Script::Answer(script.clone()));
        survive(Script::AnswerAndClose(script));
    }
}

#[test]
fn s4_an_absurd_number_of_scram_rounds_is_refused_at_once() {
    let first = b"r=x,s=AAAA,i=2000000000";
    let script = [
        frame(b'R', &[&[0, 0, 0, 10][..], b"SCRAM-SHA-256\0\0"].concat()),
        frame(b'R', &[&[0, 0, 0, 11][..], first].concat()),
    ];
    // Whoever counted them would do so until the end of this.
    let spent = survive(Script::Greet(script.concat()));
    assert!(spent < Duration::from_secs(5), "{spent:?}");
}

#[test]
fn r11_a_server_killed_in_the_middle_of_a_row_ends_the_session_and_no_other() {
    let server = Postgres::start("");
    server.sql("plain", "grant all on schema public to app");
    let gateway = Setup::new(Bundle::allow_all(), &server).start();
    let endpoint = gateway.endpoint("app");
    let mut other = Wire::login(&endpoint);
    let mut wire = Wire::login(&endpoint);
    let pid = String::from_utf8(wire.query("select pg_backend_pid()")[1].values()[0].clone().unwrap()).unwrap();
    // A row is larger than all buffers on the way together, so the server is in the middle of one.
    wire.send(&query("select repeat('k', 90000000), g from generate_series(1, 3) g"));
    wire.raw(100_000).unwrap();
    server.sql("postgres", &format!("select pg_terminate_backend({pid})"));
    wire.to_end();
    assert_eq!(tags(&other.query("select 'other'")), "TDCZ");
    assert_eq!(tags(&Wire::login(&endpoint).query("select 'new'")), "TDCZ");
}

#[test]
fn an_upstream_that_is_down_is_told_to_the_client_and_comes_back() {
    direct();
    through();
    let server = Postgres::start("");
    let gateway = Setup::new(Bundle::allow_all(), &server).start();
    drop(server);
    let endpoint = gateway.endpoint("app");
    let mut wire = Wire::open(endpoint.port);
    let told = wire.try_login(&endpoint, &[]).expect("no session without an upstream");
    assert!(matches!(told.field(b'C').as_deref(), Some("08001" | "08006" | "57P03")), "{told:?}");
    assert!(gateway.alive(), "{}", gateway.log());
    assert_ne!(Gateway::transparent().id(), gateway.id());
}
