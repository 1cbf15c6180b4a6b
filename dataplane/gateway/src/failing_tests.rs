//! A gateway of which a task panics, on either driver.

use super::*;
use crate::played::{
    DRIVERS, Folder, connect, database, frame, last_words, login, obliging, on, query, read_frame, start, wait,
};
use std::io::Write;
use std::net::TcpStream;

fn panics() {
    driver::spawn(async { panic!("expected by a test") });
}

/// Ways in which a core can fail.
type Way = fn(&Rc<Core>);

const WAYS: [(&str, Way); 3] = [
    ("task", |_| panics()),
    ("mail", |_| panic!("expected by a test")),
    // What it needs for its end panics too.
    ("twice", |_| {
        panics();
        panics();
    }),
];

#[test]
fn a_panic_of_a_cores_own_task_ends_the_core_and_tells_its_clients() {
    for driver in DRIVERS {
        for (how, way) in WAYS {
            let folder = Folder::new(&format!("{}-{how}", driver.word()));
            let gateway = start(driver, 1, &folder.0, database(Some(obliging)).0, None);
            let (mut idle, mut busy, mut silent) = (login(&gateway), login(&gateway), connect(&gateway));
            query(&mut idle, "set a = 1");
            while read_frame(&mut idle).unwrap().0 != b'Z' {}
            query(&mut busy, "select pg_sleep(100)");
            wait("the statement runs", || gateway.metrics().cores[0].counts.statements == 2);
            assert!(!gateway.has_failed());
            on(&gateway, 0, way);
            for (who, socket) in [("idle", &mut idle), ("busy", &mut busy), ("silent", &mut silent)] {
                assert_eq!(last_words(socket), "57P02", "{who}, {how}, {driver:?}");
            }
            wait("the core has ended", || gateway.is_finished());
            assert!(gateway.has_failed());
            let counts = &gateway.metrics().cores[0].counts;
            assert_eq!((counts.core_failed, counts.sessions_open), (1, 0));
            assert!(counts.panics >= 1);
            assert!(TcpStream::connect(gateway.listening()[0]).is_err(), "nobody is let in");
            assert!(!gateway.append(audit::Body::Configuration {
                reason: "late".into(),
                build: String::new(),
                configuration: [0; 32],
                program: [0; 32],
            }));
            assert_eq!(gateway.join().failures, [(0, PANICKED.to_owned())]);
            let again = audit::open(&folder.0, 1, [1; 32]).unwrap();
            assert!(again.cores[0].clean, "its log has an end, {how}, {driver:?}");
        }
    }
}

#[test]
fn the_other_cores_go_on_until_they_are_drained() {
    for driver in DRIVERS {
        let folder = Folder::new(&format!("{}-others", driver.word()));
        let gateway = start(driver, 2, &folder.0, database(Some(obliging)).0, None);
        let mut clients = Vec::new();
        // The kernel says which core gets which.
        wait("both cores have sessions", || {
            clients.push(login(&gateway));
            gateway.metrics().cores.iter().all(|core| core.counts.sessions_open > 0)
        });
        on(&gateway, 1, |_| panics());
        wait("it is seen", || gateway.has_failed());
        wait("its sessions are over", || gateway.metrics().cores[1].counts.sessions_open == 0);
        let left = usize::try_from(gateway.metrics().cores[0].counts.sessions_open).unwrap();
        let answered = clients.iter_mut().filter_map(|client| {
            client.write_all(&frame(b'Q', b"set a = 1\0")).ok()?;
            let (tag, _) = read_frame(client)?;
            (tag == b'C').then_some(())
        });
        assert_eq!(answered.count(), left, "{driver:?}");
        let mut late = login(&gateway);
        gateway.drain(Duration::from_secs(30));
        assert_eq!(last_words(&mut late), "57P01");
        wait("all have ended", || gateway.is_finished());
        assert_eq!(gateway.join().failures, [(1, PANICKED.to_owned())]);
    }
}
