//! A receiver of syslog that goes away with much of what it was sent unread.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use audit::record::{Actor, Record};
use forward::to::syslog::Syslog;
use forward::{Forwarder, Settings, To};
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// Long enough for a machine that does other things.
const PATIENCE: Duration = Duration::from_secs(120);

/// Reads messages (octet counting, RFC 6587 section 3.4.1) into `seen` until it holds so many, or the connection ends.
fn read(socket: TcpStream, seen: &mut BTreeSet<u64>, until: usize) {
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(socket);
    let mut length = Vec::new();
    while seen.len() < until {
        length.clear();
        if reader.read_until(b' ', &mut length).unwrap() == 0 {
            return;
        }
        let length: usize = std::str::from_utf8(&length).unwrap().trim().parse().unwrap();
        let mut message = vec![0; length];
        reader.read_exact(&mut message).unwrap();
        let message = String::from_utf8(message).unwrap();
        let (_, rest) = message.split_once(" sequence=\"").unwrap();
        seen.insert(rest.split_once('"').unwrap().0.parse().unwrap());
    }
}

#[test]
fn what_a_receiver_did_not_read_goes_again() {
    let directory = tempfile::tempdir().unwrap();
    let detail = "x".repeat(100);
    let actor = Actor { issuer: "os", subject: "ana", role: "" };
    let mut records = 0;
    for epoch in 0..20u8 {
        let acts = vec![Record::Export { actor, reason: "", kind: "json", detail: &detail, count: 1 }; 1_000];
        audit::desk::write(directory.path(), "test", [epoch; 32], &acts).unwrap();
        records += acts.len() + 2;
    }
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let to = To::Syslog(Syslog { host: "127.0.0.1".to_owned(), port, tls: None, hostname: "gate".to_owned() });
    let running = forward::start(Settings {
        directory: directory.path().to_owned(),
        origin: "o".to_owned(),
        forwarders: vec![Forwarder { name: "siem".to_owned(), include_text: false, to }],
        once: false,
    })
    .unwrap();

    let mut seen = BTreeSet::new();
    let (first, _) = listener.accept().unwrap();
    read(first.try_clone().unwrap(), &mut seen, 5_000);
    // It stands still while more is handed over.
    let unread = || running.board.statuses()[0].sent.saturating_sub(seen.len() as u64);
    let since = Instant::now();
    while unread() < 500 {
        assert!(since.elapsed() < PATIENCE, "only {} events were handed over and not read", unread());
        std::thread::sleep(Duration::from_millis(20));
    }
    drop(first);

    let (second, _) = listener.accept().unwrap();
    read(second, &mut seen, records);
    let missing: Vec<u64> = (1..=records as u64).filter(|sequence| !seen.contains(sequence)).collect();
    assert!(missing.is_empty(), "{} of {records} are lost, {:?} first", missing.len(), missing.first());
    running.stop();
}
