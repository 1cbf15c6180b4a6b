//! Named limits: each below, at and above.

use crate::plain::direct;
use tests::{
    gateway::{Gateway, Setup},
    process::{PATIENCE, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Frame, Wire, close, error, parse, query, sync, tags},
};

fn limited(name: &'static str, value: &str) -> Gateway {
    direct();
    Setup::new(Bundle::allow_all(), Postgres::shared()).limit(name, value).start()
}

fn refused(gateway: &Gateway) -> Option<Frame> {
    Wire::open(gateway.port()).try_login(&gateway.endpoint("app"), &[])
}

#[test]
fn sessions_of_a_process_are_limited_and_room_comes_back() {
    let gateway = limited("sessions", "5");
    let mut open: Vec<Wire> = (0..5).map(|_| Wire::login(&gateway.endpoint("app"))).collect();
    let told = refused(&gateway).expect("the sixth is refused");
    assert_eq!(told.field(b'C').as_deref(), Some("53300"), "{told:?}");
    assert!(open.iter_mut().all(|wire| tags(&wire.query("select 1")) == "TDCZ"));
    open.pop();
    wait_until("room again", PATIENCE, || refused(&gateway).is_none());
}

#[test]
fn sessions_of_a_user_are_limited() {
    let gateway = limited("sessions_per_user", "3");
    let open: Vec<Wire> = (0..3).map(|_| Wire::login(&gateway.endpoint("app"))).collect();
    assert_eq!(refused(&gateway).expect("the fourth is refused").field(b'C').as_deref(), Some("53300"));
    drop(open);
    wait_until("room again", PATIENCE, || refused(&gateway).is_none());
}

#[test]
fn long_statements_are_refused_and_the_session_or_the_gateway_goes_on() {
    let gateway = limited("statement_bytes", "64KiB");
    let mut wire = Wire::login(&gateway.endpoint("app"));
    let sized = |size: usize| format!("select length('{}')", "x".repeat(size - "select length('')".len()));
    assert_eq!(tags(&wire.query(&sized(60_000))), "TDCZ");
    wire.send(&query(&sized(70_000)));
    let first = wire.read().unwrap();
    assert!(matches!(first.field(b'C').as_deref(), Some("54000" | "53400" | "42501" | "08P01" | "54001")), "{first:?}");
    assert_eq!(tags(&Wire::login(&gateway.endpoint("app")).query("select 1")), "TDCZ");
}

#[test]
fn prepared_statements_are_limited_and_closing_makes_room() {
    let gateway = limited("prepared_statements", "10");
    let mut wire = Wire::login(&gateway.endpoint("app"));
    for n in 0..10 {
        wire.send(&[parse(&format!("s{n}"), "select 1"), sync()].concat());
        assert!(error(&wire.until_ready(1)).is_none(), "statement {n}");
    }
    wire.send(&[parse("one too many", "select 1"), sync()].concat());
    assert!(error(&wire.until_ready(1)).is_some(), "the eleventh is refused");
    wire.send(&[close(b'S', "s3"), parse("again", "select 1"), sync()].concat());
    assert!(error(&wire.until_ready(1)).is_none());
}

#[test]
fn an_idle_session_is_ended_with_a_reason() {
    let gateway = limited("idle_timeout", "1s");
    let mut wire = Wire::login(&gateway.endpoint("app"));
    // On a busy machine its time can be over before it has said anything.
    let mut last = tests::wire::bytes(&wire.query("select 1"));
    last.extend(wire.to_end());
    assert!(last.windows(5).any(|code| code == b"57P05" || code == b"57P01"), "{last:?}");
}

#[test]
fn a_pipeline_deeper_than_the_limit_is_slowed_or_refused_but_never_grows_memory() {
    let gateway = limited("pipeline", "100");
    let mut wire = Wire::login(&gateway.endpoint("app"));
    let before = tests::process::resident_kib(gateway.id());
    let all: Vec<u8> = (0..5_000).flat_map(|_| query("select 1")).collect();
    wire.send(&all);
    let frames = wire.until_ready(5_000);
    let complete = frames.iter().filter(|frame| frame.tag == b'Z').count();
    assert!(complete == 5_000 || error(&frames).is_some(), "{complete} answers and no error");
    assert!(tests::process::resident_kib(gateway.id()) < before + 8 * 1024);
}
