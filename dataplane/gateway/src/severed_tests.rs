//! What becomes of a connection to the database when its session is cut, or ends by a fault.

use crate::core::Message;
use crate::played::{DRIVERS, Folder, LIMIT, database, frame, login, obliging, on, query, read_frame, start, wait};
use crate::settings::Reuse;
use crate::{Driver, Gateway};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

const REUSE: Reuse = Reuse { idle: Duration::from_secs(600), age: Duration::from_secs(600), connections: 4 };

fn cut(gateway: &Gateway) {
    let live = gateway.live();
    assert_eq!(live.len(), 1);
    assert!(gateway.mailbox(0).post(Message::End(live[0].session, "revoked")));
}

/// The server takes nothing while a client sends and sends; then the client's access is taken.
#[test]
fn of_a_session_that_is_cut_nothing_reaches_the_database_that_was_not_there() {
    let folder = Folder::new("cut");
    let (address, connections) = database(None);
    let gateway = start(Driver::Uring, 1, &folder.0, address, None);
    let mut client = login(&gateway);
    client.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let statement = frame(b'Q', &[&b"set a = '"[..], &[b'x'; 2000], b"'\0"].concat());
    let (mut sent, most) = (0, 64 << 20);
    let mut stuff = |client: &mut TcpStream| {
        let before = sent;
        while sent < most && client.write_all(&statement).is_ok() {
            sent += statement.len();
        }
        assert!(sent < most, "all of it was taken: the test shows nothing");
        sent > before
    };
    stuff(&mut client);
    let mut server = connections.lock().unwrap().pop().unwrap();
    server.set_read_timeout(Some(LIMIT)).unwrap();
    let mut buffer = vec![0; most];
    let mut there = server.peek(&mut buffer).unwrap();
    // Everything on the way is full, and not a gateway that stood still while the client wrote.
    loop {
        let moves = stuff(&mut client);
        let before = std::mem::replace(&mut there, server.peek(&mut buffer).unwrap());
        if !moves && there == before {
            break;
        }
    }
    assert!(there < sent);
    cut(&gateway);
    wait("it is over", || gateway.metrics().cores[0].counts.sessions_open == 0);
    let mut got = Vec::new();
    let end = server.read_to_end(&mut got);
    assert_eq!(end.unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert!(got.len() <= there, "{} bytes, {there} were there", got.len());
    gateway.stop_now();
    assert!(gateway.join().failures.is_empty());
}

#[test]
fn a_session_that_is_cut_while_it_idles_is_told_and_its_connection_is_not_kept() {
    for driver in DRIVERS {
        let folder = Folder::new(&format!("idle-{}", driver.word()));
        let (address, connections) = database(Some(obliging));
        let gateway = start(driver, 1, &folder.0, address, Some(REUSE));
        let mut client = login(&gateway);
        cut(&gateway);
        assert_eq!(crate::played::last_words(&mut client), "57P01");
        wait("it is over", || gateway.metrics().cores[0].counts.sessions_open == 0);
        let mut next = login(&gateway);
        query(&mut next, "set a = 1");
        assert_eq!(read_frame(&mut next).unwrap().0, b'C');
        assert_eq!(connections.lock().unwrap().len(), 2, "{driver:?}");
        gateway.stop_now();
        assert!(gateway.join().failures.is_empty());
    }
}

/// Connections of the core that nobody has: kept ones, and those that are being cleaned.
fn spares(gateway: &Gateway) -> (usize, usize) {
    let (tell, told) = mpsc::channel();
    on(gateway, 0, move |core| tell.send(core.spares.count()).unwrap());
    told.recv_timeout(LIMIT).unwrap()
}

/// Answers, and once says what nobody has asked for.
fn confused(text: &str) -> Vec<u8> {
    let done = |tag: &[u8]| frame(b'C', tag);
    let ready = frame(b'Z', b"I");
    match text {
        "DISCARD ALL" => [done(b"DISCARD ALL\0"), ready].concat(),
        _ if text.starts_with("RESET") => [done(b"RESET\0"), done(b"DO\0"), ready].concat(),
        "set stray = 1" => [done(b"SET\0"), ready, frame(b'D', &[0, 1, 0, 0, 0, 1, b'x'])].concat(),
        _ => [done(b"SET\0"), ready].concat(),
    }
}

#[test]
fn a_connection_on_which_the_server_lost_its_way_is_not_handed_on() {
    for driver in DRIVERS {
        let folder = Folder::new(&format!("stray-{}", driver.word()));
        let (address, connections) = database(Some(confused));
        let gateway = start(driver, 1, &folder.0, address, Some(REUSE));
        let reused = || gateway.metrics().cores[0].counts.connections_reused;
        let (mut logins, mut fresh) = (0, 0);
        for (statement, handed_on) in
            [("set good = 1", false), ("set good = 1", true), ("set stray = 1", true), ("set good = 1", false)]
        {
            let before = reused();
            let mut client = login(&gateway);
            query(&mut client, statement);
            assert_eq!(read_frame(&mut client).unwrap().0, b'C');
            if statement.contains("good") {
                assert_eq!(read_frame(&mut client).unwrap().0, b'Z');
                client.write_all(&frame(b'X', b"")).unwrap();
            }
            // To its end, which the client or the fault makes.
            let _ = client.read_to_end(&mut Vec::new());
            wait("it is over", || gateway.metrics().cores[0].counts.sessions_open == 0);
            // One that is cleaned by now may be kept.
            wait("it is kept or closed", || spares(&gateway).1 == 0);
            assert_eq!(spares(&gateway).0, usize::from(statement.contains("good")), "{statement}, {driver:?}");
            // A database that stood still when it was asked whether it is there has a new connection made.
            let got = reused() - before;
            assert!(got == u64::from(handed_on) || (handed_on && got == 0), "{statement}, {driver:?}");
            (logins, fresh) = (logins + 1, fresh + usize::from(got == 0));
        }
        assert_eq!(logins, 4);
        assert!(reused() > 0, "{driver:?}");
        assert_eq!(connections.lock().unwrap().len(), fresh);
        gateway.stop_now();
        assert!(gateway.join().failures.is_empty());
    }
}
