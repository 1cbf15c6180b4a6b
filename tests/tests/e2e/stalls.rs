//! Clients and servers that stall: what they cost the other sessions of their core.

use crate::plain::direct;
use std::{
    fs,
    time::{Duration, Instant},
};
use tests::{
    gateway::{Gateway, Setup},
    process::{PATIENCE, used, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, frame, parse, query, sync, tags},
};

/// More than the core's shared buffers would last for.
const STALLED: usize = 60;

fn one_core() -> Gateway {
    direct();
    Setup::new(Bundle::allow_all(), Postgres::shared()).cores(1).start()
}

/// A session that goes on answers each time.
fn goes_on(gateway: &Gateway, what: &str) {
    let mut wire = Wire::login(&gateway.endpoint("app"));
    for n in 0..100 {
        let frames = wire.query(&format!("select {n}, repeat('y', 3000)"));
        assert_eq!(tags(&frames), "TDCZ", "beside clients that {what}");
    }
}

#[test]
fn clients_that_send_and_never_read_leave_the_others_alone() {
    let gateway = one_core();
    let before = tests::process::resident_kib(gateway.id());
    let mut stalled = Vec::new();
    for n in 0..STALLED {
        let mut wire = Wire::login(&gateway.endpoint("app"));
        if n + 1 < STALLED {
            wire.small_window();
        }
        // Large answers that are not read, and statements behind them, small and many.
        wire.send(&query("select repeat('x', 100000) from generate_series(1, 200)"));
        for _ in 0..300 {
            wire.send(&query("select repeat('z', 1000)"));
        }
        stalled.push(wire);
    }
    goes_on(&gateway, "do not read");
    let grown = tests::process::resident_kib(gateway.id()).saturating_sub(before);
    assert!(grown < 64 << 10, "{grown} KiB for {STALLED} clients that stall");
    // And whoever reads again gets everything.
    let mut last = stalled.pop().unwrap();
    let frames = last.until_ready(301);
    assert_eq!(frames.iter().filter(|frame| frame.tag == b'D').count(), 500);
    drop(stalled);
    wait_until("they are gone", PATIENCE, || gateway.metric("tidegate_sessions_open") == 1.0);
    assert!(gateway.alive());
}

#[test]
fn clients_that_send_large_frames_slowly_leave_the_others_alone() {
    let gateway = one_core();
    let text = format!("select length('{}')", "w".repeat(300_000));
    let large = [parse("", &text), sync()].concat();
    let mut slow: Vec<Wire> = (0..STALLED).map(|_| Wire::login(&gateway.endpoint("app"))).collect();
    for part in 0..10 {
        for wire in &mut slow {
            wire.send(&large[part * 1000..(part + 1) * 1000]);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    goes_on(&gateway, "send large statements slowly");
    for wire in slow.iter_mut().take(3) {
        wire.send(&large[10_000..]);
        assert_eq!(tags(&wire.until_ready(1)), "1Z");
        wire.send(&frame(b'X', b""));
    }
}

/// Large values that the server sends and clients take in slowly, with statements beside.
#[test]
fn results_that_nobody_takes_leave_the_others_alone() {
    let gateway = one_core();
    let mut stalled = Vec::new();
    for n in 0..STALLED {
        let mut wire = Wire::login(&gateway.endpoint("app"));
        wire.small_window();
        let sql = if n % 2 == 0 {
            "select repeat('v', 20000000)"
        } else {
            "copy (select repeat('v', 1000) from generate_series(1, 20000)) to stdout"
        };
        wire.send(&query(sql));
        stalled.push(wire);
    }
    std::thread::sleep(Duration::from_millis(500));
    goes_on(&gateway, "do not take their results");
}

/// Without descriptors nobody is accepted, which costs no processor, and when there are some again everything goes on.
#[test]
fn without_descriptors_new_clients_wait_and_nothing_spins() {
    direct();
    // On the other driver accepting is begun once, with the limit of then; its own tests have this case.
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).cores(1).line("driver: glommio").start();
    let endpoint = gateway.endpoint("app");
    let mut running = Wire::login(&endpoint);
    let open = || fs::read_dir(format!("/proc/{}/fd", gateway.id())).unwrap().count();
    let limit = |soft: usize| {
        let done = std::process::Command::new("prlimit")
            .args(["--pid", &gateway.id().to_string(), &format!("--nofile={soft}:")])
            .status();
        assert!(done.unwrap().success());
    };
    limit(open() + 3);
    let waiting: Vec<Wire> = (0..20).map(|_| Wire::open(gateway.port())).collect();
    wait_until("it says so", PATIENCE, || gateway.log().contains("cannot accept"));
    let told = || gateway.log().matches("cannot accept").count();
    let (before, lines, began) = (used(gateway.id()).as_secs_f64(), told(), Instant::now());
    std::thread::sleep(Duration::from_secs(2));
    let (used, said) = (used(gateway.id()).as_secs_f64() - before, told() - lines);
    // Two seconds, or more of them where this process stood still.
    let seconds = began.elapsed().as_secs_f64();
    assert!(said as f64 <= 20.0 * seconds, "{said} lines in {seconds} seconds");
    // A loop would take all of them.
    assert!(used <= 0.5 * seconds, "{used} seconds of processor time in {seconds}");
    let answer = running.query("select 1");
    assert_eq!(tags(&answer), "TDCZ", "a session that runs goes on: {answer:?}\n{}", gateway.log());
    drop(waiting);
    limit(1000);
    // One that the gateway could not take may be waited for in vain, once.
    wait_until("clients are served again", 3 * PATIENCE, || {
        std::panic::catch_unwind(|| Wire::login(&endpoint)).is_ok()
    });
}
