//! Malformed, oversized, truncated and endless input from clients: each ends in a clear error or a clean close, within
//! bounded memory, while a healthy session goes on.

use crate::plain::{direct, through};
use std::time::Duration;
use tests::{
    endpoint::Endpoint,
    gateway::{Gateway, Setup},
    process::{PATIENCE, descriptors, resident_kib, wait_until},
    rules::Bundle,
    server::Postgres,
    wire::{Wire, bind, execute, frame, parse, query, ssl_request, startup, sync, tags, untagged},
};

/// A gateway of these tests alone, so that its memory can be watched.
fn own() -> Gateway {
    direct();
    Setup::new(Bundle::allow_all(), Postgres::shared()).start()
}

#[track_caller]
fn healthy(endpoint: &Endpoint) {
    assert_eq!(tags(&Wire::login(endpoint).query("select 1")), "TDCZ", "another session is unaffected");
}

/// The connection is closed, or an error is told and then it is closed or goes on; nothing hangs and nothing else is said.
#[track_caller]
fn ends_cleanly(wire: &mut Wire, what: &str) {
    let answer = wire.to_end();
    assert!(answer.is_empty() || answer[0] == b'E' || answer[0] == b'N', "{what}: {answer:?}");
}

#[test]
fn p2_startup_lengths_that_cannot_be_are_refused() {
    let endpoint = through();
    for length in
        [0_u32, 1, 2, 3, 4, 5, 6, 7, 8, 10_001, 1 << 20, 0x7fff_ffff, 0x8000_0000, 0x8000_0001, 0xffff_fff0, u32::MAX]
    {
        let mut wire = Wire::open(endpoint.port);
        wire.send(&length.to_be_bytes());
        wire.send(&[0, 3, 0, 0]);
        wire.send(&[b'x'; 64]);
        wire.half_close();
        ends_cleanly(&mut wire, &format!("startup length {length:#x}"));
    }
    healthy(&endpoint);
}

#[test]
fn p2_frame_lengths_that_cannot_be_end_the_session() {
    let endpoint = through();
    for tag in *b"QPBDECSHXdcfpF" {
        for length in [0_u32, 1, 2, 3, 0x8000_0000, 0x8000_0001, 0xffff_ffff, 0x7fff_ffff] {
            let mut wire = Wire::login(&endpoint);
            let mut bytes = vec![tag];
            bytes.extend(length.to_be_bytes());
            bytes.extend([0; 16]);
            wire.send(&bytes);
            wire.half_close();
            ends_cleanly(&mut wire, &format!("{:?} of length {length:#x}", char::from(tag)));
        }
    }
    healthy(&endpoint);
}

#[test]
fn p1_bytes_behind_a_lying_length_are_never_run() {
    let server = Postgres::shared();
    server.sql(
        "plain",
        "create table if not exists smuggled (a int); alter table smuggled owner to app; truncate smuggled",
    );
    let inner = query("insert into smuggled values (1)");
    let endpoint = through();
    for (tag, length) in
        [(b'Q', 0x8000_0000_u32 + 4), (b'B', 0xffff_ffff), (b'd', 0x8000_0004), (b'P', 0x7fff_ffff), (b'Q', 3)]
    {
        let mut wire = Wire::login(&endpoint);
        let mut bytes = vec![tag];
        bytes.extend(length.to_be_bytes());
        bytes.extend(&inner);
        wire.send(&bytes);
        wire.half_close();
        wire.to_end();
    }
    assert_eq!(server.sql("plain", "select count(*) from smuggled").trim(), "0");
}

#[test]
fn p2_a_header_cut_at_every_byte_waits_for_the_rest() {
    let endpoint = through();
    let bytes = query("select 1");
    for cut in 1..bytes.len() {
        let mut wire = Wire::login(&endpoint);
        wire.send(&bytes[..cut]);
        std::thread::sleep(Duration::from_millis(5));
        wire.send(&bytes[cut..]);
        assert_eq!(tags(&wire.until_ready(1)), "TDCZ", "cut at {cut}");
        wire.send(&bytes[..cut]);
        wire.half_close();
        ends_cleanly(&mut wire, &format!("ended after {cut} bytes"));
    }
}

#[test]
fn p2_a_startup_packet_cut_at_every_byte_waits_for_the_rest() {
    let endpoint = through();
    let bytes = startup(0x0003_0000, &[("user", "app"), ("database", &endpoint.database)]);
    for cut in 1..bytes.len() {
        let mut wire = Wire::open(endpoint.port);
        wire.send(&bytes[..cut]);
        std::thread::sleep(Duration::from_millis(2));
        wire.send(&bytes[cut..]);
        assert!(wire.authenticate(&endpoint).is_none(), "cut at {cut}");
    }
}

#[test]
fn unknown_tags_end_the_session_with_a_protocol_error() {
    let endpoint = through();
    for tag in (0..=255_u8).filter(|tag| !b"QPBDECSHXdcfpF".contains(tag)) {
        let mut wire = Wire::login(&endpoint);
        wire.send(&frame(tag, b"whatever"));
        let first = wire.read();
        if let Some(first) = first {
            assert_eq!(first.field(b'C').as_deref(), Some("08P01"), "{tag}: {first:?}");
        }
        assert!(wire.closes(), "tag {tag}");
    }
    healthy(&endpoint);
}

#[test]
fn bodies_that_do_not_parse_are_refused_and_never_kill_the_gateway() {
    let endpoint = through();
    let bodies: &[&[u8]] = &[
        b"",
        b"\0",
        b"a",
        b"\0\0",
        b"a\0b",
        b"\xff\xff\xff\xff",
        b"a\0b\0\xff\xff",
        b"a\0b\0\0\x01\xff\xff",
        b"\0\0\0\0\0\x01\x7f\xff\xff\xff",
        &[0; 300],
        &[255; 300],
    ];
    for tag in *b"QPBDECSHdcfpF" {
        for body in bodies {
            let mut wire = Wire::login(&endpoint);
            wire.send(&[frame(tag, body), sync(), frame(b'X', b"")].concat());
            wire.closes();
        }
    }
    healthy(&endpoint);
    assert!(!Gateway::transparent().log().contains("panicked"), "{}", Gateway::transparent().log());
}

#[test]
fn frames_out_of_order_are_answered_like_the_server_answers() {
    let pieces = [
        vec![frame(b'p', b"a password nobody asked for\0")],
        vec![bind("", "", &[], 0), sync()],
        vec![execute("", 0), execute("", 0), sync(), sync()],
        vec![parse("", "select $1"), bind("", "", &[], 0), sync()],
        vec![parse("", "select 1"), bind("", "", &[Some("x"), Some("y")], 0), sync()],
    ];
    for piece in &pieces {
        let ask = |endpoint: &Endpoint| {
            let mut wire = Wire::login(endpoint);
            wire.send(&piece.concat());
            wire.half_close();
            wire.to_end()
        };
        assert_eq!(ask(&through()).first(), ask(&direct()).first());
    }
    healthy(&through());
}

#[test]
fn garbage_of_other_protocols_is_closed() {
    let endpoint = through();
    for said in [
        &b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..],
        b"SSH-2.0-x\r\n",
        b"\x16\x03\x01\x00\x05hello",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x80",
        &[0; 4096],
        &[255; 4096],
    ] {
        let mut wire = Wire::open(endpoint.port);
        wire.send(said);
        wire.half_close();
        // A TLS alert is a clean answer to a broken TLS hello.
        let answer = wire.to_end();
        assert!(answer.is_empty() || matches!(answer[0], b'E' | 0x15), "{said:?}: {answer:?}");
    }
    healthy(&endpoint);
}

#[test]
fn endless_negotiation_is_ended() {
    let mut wire = Wire::open(through().port);
    for _ in 0..100 {
        wire.send(&untagged(&80_877_104_u32.to_be_bytes()));
    }
    assert!(wire.closes());
    let mut wire = Wire::open(through().port);
    wire.send(&[ssl_request(), ssl_request(), ssl_request()].concat());
    assert!(wire.closes());
}

#[test]
fn d1_a_thousand_silent_connections_leave_a_healthy_session_alone() {
    direct();
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).limit("login_timeout", "5s").start();
    let endpoint = gateway.endpoint("app");
    let before = descriptors(gateway.id());
    let mut working = Wire::login(&endpoint);
    let silent: Vec<Wire> = (0..1_000)
        .map(|n| {
            let mut wire = Wire::open(endpoint.port);
            wire.send(&startup(0x0003_0000, &[("user", "app")])[..n % 12]);
            wire
        })
        .collect();
    let mut times = Vec::new();
    for _ in 0..50 {
        let start = std::time::Instant::now();
        assert_eq!(tags(&working.query("select 1")), "TDCZ");
        times.push(start.elapsed());
    }
    // A machine that stands still for a moment meets one or two of them, silence that costs something meets all.
    times.sort_unstable();
    assert!(times[times.len() / 2] < Duration::from_secs(1), "{times:?}");
    healthy(&endpoint);
    // They are ended by the login deadline, and what they held is given back.
    wait_until("silent connections are ended", PATIENCE, || descriptors(gateway.id()) < before + 20);
    drop(silent);
}

#[test]
fn d2_announced_lengths_cost_nothing_until_bytes_come() {
    let gateway = own();
    let endpoint = gateway.endpoint("app");
    let mut sessions: Vec<Wire> = (0..100).map(|_| Wire::login(&endpoint)).collect();
    let before = resident_kib(gateway.id());
    for wire in &mut sessions {
        wire.send(&[&b"Q"[..], &1_000_000_u32.to_be_bytes()].concat());
    }
    std::thread::sleep(Duration::from_millis(500));
    let grown = resident_kib(gateway.id()).saturating_sub(before);
    assert!(grown < 100 * 64, "{grown} KiB for 100 announcements");
    healthy(&endpoint);
}

#[test]
fn d4_a_reader_that_never_reads_stalls_its_own_session_only_and_is_ended() {
    let gateway = Setup::new(Bundle::allow_all(), Postgres::shared()).limit("idle_write_timeout", "3s").start();
    direct();
    let endpoint = gateway.endpoint("app");
    healthy(&endpoint);
    let before = resident_kib(gateway.id());
    let mut stuck = Wire::login(&endpoint);
    stuck.small_window();
    stuck.query("set application_name = 'never reads'");
    stuck.send(&query("select repeat('s', 1000) from generate_series(1, 4000000)"));
    std::thread::sleep(Duration::from_millis(1_500));
    let grown = resident_kib(gateway.id()).saturating_sub(before);
    assert!(grown < 16 * 1024, "{grown} KiB held for a reader that never reads");
    healthy(&endpoint);
    wait_until("the stuck session is ended upstream too", PATIENCE, || {
        let count = "select count(*) from pg_stat_activity where application_name = 'never reads'";
        Postgres::shared().sql("postgres", count).trim() == "0"
    });
}

#[test]
fn p8_a_cell_of_300_megabytes_streams_in_bounded_memory() {
    let gateway = own();
    let endpoint = gateway.endpoint("app");
    healthy(&endpoint);
    let before = resident_kib(gateway.id());
    let mut wire = Wire::login(&endpoint);
    wire.patience(Duration::from_secs(60));
    wire.send(&query("select repeat('m', 300000000)"));
    assert_eq!(wire.read().unwrap().tag, b'T');
    let head = wire.raw(5 + 2 + 4).unwrap();
    assert_eq!(head[0], b'D');
    let mut left = u32::from_be_bytes(head[7..11].try_into().unwrap()) as usize;
    assert_eq!(left, 300_000_000);
    let mut most = 0;
    while left > 0 {
        let count = left.min(1 << 20);
        assert!(wire.raw(count).unwrap().iter().all(|&b| b == b'm'));
        left -= count;
        most = most.max(resident_kib(gateway.id()));
    }
    assert_eq!(tags(&wire.until_ready(1)), "CZ");
    assert!(most < before + 8 * 1024, "{} KiB more for one cell", most - before);
}

#[test]
fn p8_a_masked_cell_of_50_megabytes_is_replaced_in_bounded_memory() {
    let server = Postgres::start("");
    server.load_clinic("clinic", clinic::Options { patients: 3, seed: 1, canary: true });
    server.sql("clinic", "update clinic.patients set email = repeat('secret ', 7000000), last_name = repeat('x', 50000000) where patient_id = 2");
    let gateway = Setup::new(Bundle::clinic(), &server).start();
    let mut wire = Wire::login(&gateway.endpoint("ana"));
    wire.query("select email, last_name from clinic.patients where patient_id = 1");
    let before = resident_kib(gateway.id());
    let frames = wire.query("select patient_id, email, last_name, state from clinic.patients where patient_id = 2");
    let row = frames.iter().find(|f| f.tag == b'D').unwrap_or_else(|| panic!("{frames:?}")).values();
    assert_eq!(row[0].as_deref(), Some(&b"2"[..]));
    // A value too large to be held is replaced as it streams, by fill characters where the rule's own form needs the whole.
    for value in [&row[1], &row[2]] {
        let value = value.clone().unwrap_or_default();
        assert!(value.is_empty() || value == b"hidden@example.org" || value.iter().all(|&b| b == b'*'));
    }
    assert_eq!(row[3].as_deref(), Some(&b"OH"[..]));
    assert!(resident_kib(gateway.id()) < before + 8 * 1024);
}
