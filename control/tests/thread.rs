//! The running thread: pages over HTTP, signals, what is told about a target that does not answer.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use control::{Access, CatalogNews, Control, Listener, Page, Pages, Settings, Signal};
use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, Sender},
    },
    time::Duration,
};

const LIMIT: Duration = Duration::from_secs(60);

/// Signals go to the whole process: tests that start a thread take turns.
static TURN: Mutex<()> = Mutex::new(());

struct Fixed {
    good: AtomicBool,
}

impl Pages for Fixed {
    fn metrics(&self) -> Page {
        Page { good: true, content_type: "text/plain; version=0.0.4", body: "a 1\n".to_owned() }
    }

    fn health(&self) -> Page {
        Page { good: self.good.load(Ordering::Relaxed), content_type: "text/plain", body: "health\n".to_owned() }
    }

    fn status(&self) -> Page {
        Page { good: true, content_type: "application/json", body: "{}".to_owned() }
    }
}

enum Told {
    Signal(Signal),
    Catalog(usize, CatalogNews),
}

struct Mailbox(Sender<Told>);

impl Listener for Mailbox {
    fn signal(&self, signal: Signal) {
        self.0.send(Told::Signal(signal)).unwrap();
    }

    fn catalog(&self, target: usize, news: CatalogNews) {
        // The test may have ended.
        let _gone = self.0.send(Told::Catalog(target, news));
    }
}

fn start(targets: Vec<Access>) -> (Control, SocketAddr, Arc<Fixed>, Receiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let pages = Arc::new(Fixed { good: AtomicBool::new(true) });
    let (sender, receiver) = mpsc::channel();
    let settings = Settings {
        listener: Some(listener),
        pages: Arc::<Fixed>::clone(&pages),
        targets,
        catalog_refresh: Duration::from_secs(1),
    };
    (Control::start(settings, Arc::new(Mailbox(sender))).unwrap(), address, pages, receiver)
}

fn ask(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    answer
}

fn get(address: SocketAddr, path: &str) -> String {
    ask(address, &format!("GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"))
}

#[test]
fn pages_are_served_and_everything_else_is_refused() {
    let _turn = TURN.lock();
    let (control, address, pages, _told) = start(Vec::new());
    let metrics = get(address, "/metrics");
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n") && metrics.ends_with("\r\n\r\na 1\n"), "{metrics}");
    assert!(metrics.contains("content-type: text/plain; version=0.0.4\r\n"), "{metrics}");
    assert!(get(address, "/status").ends_with("{}"));
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 200"));
    pages.good.store(false, Ordering::Relaxed);
    assert!(get(address, "/healthz").starts_with("HTTP/1.1 503"));
    assert!(get(address, "/").starts_with("HTTP/1.1 404"));
    let post = ask(address, "POST /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n");
    assert!(post.starts_with("HTTP/1.1 405") && post.contains("allow: GET, HEAD"), "{post}");
    let head = ask(address, "HEAD /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), "{head}");
    assert!(ask(address, "rubbish\r\n\r\n").starts_with("HTTP/1.1 400"));
    let endless = format!("GET / HTTP/1.1\r\nA: {}\r\n\r\n", "a".repeat(64 << 10));
    assert!(!ask_lax(address, &endless).starts_with("HTTP/1.1 200"));
    assert!(get(address, "/status").ends_with("{}"), "it serves on");
    control.stop();
    assert!(TcpStream::connect(address).is_err(), "nothing listens after the end");
}

/// Like [`ask`], for a peer that may break off.
fn ask_lax(address: SocketAddr, request: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let mut answer = Vec::new();
    let _broken = socket.write_all(request.as_bytes()).and_then(|()| socket.read_to_end(&mut answer).map(drop));
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn signals_become_messages() {
    let _turn = TURN.lock();
    let (control, _, _, told) = start(Vec::new());
    for (signal, expected) in [
        (rustix::process::Signal::HUP, Signal::Reload),
        (rustix::process::Signal::TERM, Signal::Stop),
        (rustix::process::Signal::INT, Signal::Stop),
    ] {
        rustix::process::kill_process(rustix::process::getpid(), signal).unwrap();
        match told.recv_timeout(LIMIT).unwrap() {
            Told::Signal(found) => assert_eq!(found, expected),
            Told::Catalog(target, news) => panic!("{target} {news:?}"),
        }
    }
    control.stop();
}

#[test]
fn silent_lying_and_absent_targets_are_told_apart_from_each_other_and_retried() {
    let _turn = TURN.lock();
    // Nobody listens there, and no port that is free is ever given this number.
    let absent = SocketAddr::from(([127, 0, 0, 1], 1));
    let lying = TcpListener::bind("127.0.0.1:0").unwrap();
    let lies = lying.local_addr().unwrap();
    std::thread::spawn(move || {
        for socket in lying.incoming() {
            let _closed = socket.unwrap().write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n");
        }
    });
    let access = |name: &str, address: SocketAddr| Access {
        name: name.to_owned(),
        host: address.ip().to_string(),
        port: address.port(),
        database: "d".to_owned(),
        account: "a".to_owned(),
        password: control::Password::new(Some(b"hunter2".to_vec().into())),
        tls: None,
    };
    let (control, _, _, told) = start(vec![access("absent", absent), access("lying", lies)]);
    let mut failures = [0, 0];
    while failures.iter().any(|count| *count < 2) {
        match told.recv_timeout(LIMIT).unwrap() {
            Told::Catalog(target, CatalogNews::Failed(error)) => {
                failures[target] += 1;
                assert!(!error.contains("hunter2"), "{error}");
            }
            Told::Catalog(target, news) => panic!("{target} {news:?}"),
            Told::Signal(signal) => panic!("{signal:?}"),
        }
    }
    control.refresher().refresh(0);
    control.refresher().refresh(99);
    assert!(!control.is_dead());
    control.stop();
}
