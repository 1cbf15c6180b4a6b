//! The store of several gateways, on a real PostgreSQL: two engines that share it, races between them, a database that is
//! away.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use access::{
    AccessError, Arrival, AtRest, Ballot, Engine, HoldOutcome, Holding, Journal, News, Person, Policy, Requestable,
    Shared, SignIn, State, Store, StoreError, Who,
};
use audit::Body;
use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};
use tests::process::wait_until;
use tests::server::{PASSWORD, Postgres};
use tokio_postgres::Config;

/// A wait that is longer is a failure.
const LIMIT: Duration = Duration::from_secs(60);

/// Takes every record.
struct Records;

impl Journal for Records {
    fn append(&self, _body: Body) -> bool {
        true
    }
}

/// A database of its own on a server that the tests of this process share.
fn database() -> (&'static Postgres, String) {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let server = SERVER.get_or_init(|| Postgres::start(""));
    let name = format!("store_{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    server.sql("postgres", &format!("create database {name} owner app"));
    (server, name)
}

fn config(port: u16, database: &str) -> Config {
    let mut config = Config::new();
    config.host("127.0.0.1").port(port).user("app").password(PASSWORD).dbname(database);
    config.ssl_mode(tokio_postgres::config::SslMode::Disable).connect_timeout(LIMIT);
    config
}

fn open(port: u16, database: &str) -> Shared {
    Shared::open(config(port, database), None).unwrap()
}

type Heard = Arc<Mutex<Vec<(Instant, News)>>>;

struct Node {
    engine: Arc<Engine>,
    heard: Heard,
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Node {
    fn start(name: &str, port: u16, database: &str) -> Self {
        let heard: Heard = Arc::default();
        let hearing = Arc::clone(&heard);
        let told = Box::new(move |news: &News| hearing.lock().unwrap().push((Instant::now(), news.clone())));
        let policy = Policy {
            requestable: vec![Requestable {
                role: "oncall".into(),
                targets: vec!["*".into()],
                groups: vec!["engineers".into()],
                approvers: vec!["leads".into()],
                approvals: 1,
                max_s: 3600,
                protected: false,
            }],
            admins: vec!["admins".into()],
            step_up: false,
            ..Policy::default()
        };
        let sealed = AtRest::new(&[7; 32]).unwrap();
        let store = Arc::new(open(port, database));
        let engine = Arc::new(Engine::new(store, Arc::new(Records), sealed, name.into(), policy, told).unwrap());
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (engine, stop) = (Arc::clone(&engine), Arc::clone(&stop));
            thread::spawn(move || engine.follow(&|| stop.load(Ordering::Relaxed)))
        };
        Self { engine, heard, stop, thread: Some(thread) }
    }

    fn arrive(&self, subject: &str, groups: &[&str]) -> (SignIn, Person) {
        let who = Who { issuer: "https://id.example".into(), subject: subject.into() };
        let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        let handles = [subject.to_owned()];
        let (name, how, source) = (subject, "oidc", "127.0.0.1");
        let arrival =
            Arrival { who: &who, name, handles: &handles, groups: &groups, how, source, until_s: None, issued_s: None };
        let (sign_in, person, _) = self.engine.sign_in(&arrival).unwrap();
        (sign_in, person)
    }

    /// When it heard of a cut with this reason since then, if it did.
    fn cut(&self, reason: &str, since: Instant) -> Option<Instant> {
        let heard = self.heard.lock().unwrap();
        let of = |(at, news): &&(Instant, News)| {
            *at >= since && matches!(news, News::Cut { reason: why, .. } if *why == reason)
        };
        heard.iter().find(of).map(|(at, _)| *at)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn holding(id: &str, who: &Who) -> Holding {
    Holding {
        id: id.into(),
        session: [1; 16],
        statement: 1,
        who: who.clone(),
        handle: "ann".into(),
        digest: [9; 32],
        approvers: vec!["leads".into()],
        needed: 1,
        ..Holding::default()
    }
}

fn approve(node: &Node, person: &Person, id: &str, digest: &str) {
    let ballot = Ballot {
        id,
        digest,
        approve: true,
        reason: "checked with the owner",
        channel: "cli",
        source: "127.0.0.1",
        assertion: None,
    };
    node.engine.vote(person, &ballot).unwrap();
}

#[test]
fn entries_change_by_who_knows_their_version() {
    let (server, database) = database();
    let (one, two) = (open(server.port(), &database), open(server.port(), &database));
    let first = one.put("kind", "it's \"id\" \\ ; --", 0, Some(b"{}")).unwrap();
    assert_eq!(two.put("kind", "it's \"id\" \\ ; --", 0, Some(b"[]")), Err(StoreError::Conflict));
    let second = two.put("kind", "it's \"id\" \\ ; --", first, Some(b"[1]")).unwrap();
    assert!(second > first);
    assert_eq!(one.put("kind", "it's \"id\" \\ ; --", first, None), Err(StoreError::Conflict));
    let other = one.put("kind", "other", 0, Some(&vec![b'x'; 1 << 20])).unwrap();
    let removed = one.put("kind", "other", other, None).unwrap();
    assert_eq!(one.put("kind", "other", other, Some(b"x")), Err(StoreError::Conflict));
    one.put("kind", "other", 0, Some(b"back")).unwrap();
    let seen = two.changes(first).unwrap();
    assert_eq!(seen.len(), 2);
    assert!(seen.windows(2).all(|pair| pair[0].version < pair[1].version));
    assert!(seen[1].version > removed);
    // Whoever waits is woken by a change of somebody else's.
    one.wait(Duration::from_millis(1));
    let began = Instant::now();
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(100));
            two.put("kind", "more", 0, Some(b"x")).unwrap();
        });
        one.wait(2 * LIMIT);
    });
    assert!(began.elapsed() < LIMIT, "nothing woke it: {:?}", began.elapsed());
}

#[test]
fn who_reads_the_feed_misses_nothing_while_many_write() {
    let (server, database) = database();
    let reader = open(server.port(), &database);
    let writers: Vec<Shared> = (0..4).map(|_| open(server.port(), &database)).collect();
    let done = AtomicBool::new(false);
    let mut seen = Vec::new();
    thread::scope(|scope| {
        let (done, writers) = (&done, &writers);
        scope.spawn(move || {
            thread::scope(|scope| {
                for (number, writer) in writers.iter().enumerate() {
                    scope.spawn(move || {
                        (0..100).for_each(|n| {
                            assert!(writer.put("kind", &format!("{number}/{n}"), 0, Some(b"x")).unwrap() > 0)
                        });
                    });
                }
            });
            done.store(true, Ordering::Relaxed);
        });
        let mut since = 0;
        loop {
            let last = done.load(Ordering::Relaxed);
            for entry in reader.changes(since).unwrap() {
                assert!(entry.version > since);
                since = entry.version;
                seen.push(entry.id);
            }
            if last {
                break;
            }
        }
    });
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 400);
}

#[test]
fn what_is_asked_on_one_is_voted_on_the_other_and_a_revocation_reaches_both_at_once() {
    let (server, database) = database();
    let (one, two) = (Node::start("one", server.port(), &database), Node::start("two", server.port(), &database));
    let (sign_in, ann) = one.arrive("ann", &["engineers"]);
    let (_, lee) = two.arrive("lee", &["leads"]);
    let (_, root) = two.arrive("root", &["admins"]);
    let request = one.engine.ask(&ann, "warehouse", "oncall", 600, "the nightly job failed", "127.0.0.1").unwrap();
    wait_until("the other knows of it", LIMIT, || two.engine.request(&request.id).is_some());
    approve(&two, &lee, &request.id, "");
    wait_until("the grant is there", LIMIT, || one.engine.grants(Some(&ann.who)).len() == 1);
    // A credential minted on one is good on the other.
    one.engine.mint(&sign_in, "SCRAM-SHA-256$1:eA==$x:y", "", "", "", 600).unwrap();
    wait_until("it can be used there", LIMIT, || two.engine.login("ann").len() == 1);
    assert_eq!(two.engine.login("ann")[0].grants.len(), 1);

    let mut took = Vec::new();
    for round in 0..20 {
        let asked = one.engine.ask(&ann, "warehouse", "oncall", 600, "the nightly job failed", "127.0.0.1");
        let id = asked.unwrap_or_else(|error| panic!("round {round}: {error}")).id;
        wait_until("the other knows of it", LIMIT, || two.engine.request(&id).is_some());
        approve(&two, &lee, &id, "");
        wait_until("the grant is there", LIMIT, || one.engine.grants(None).iter().any(|grant| grant.id == id));
        let began = Instant::now();
        two.engine.revoke(&root, &id, "no longer needed").unwrap();
        wait_until("both heard of it", LIMIT, || {
            one.cut("revoked", began).is_some() && two.cut("revoked", began).is_some()
        });
        took.push(one.cut("revoked", began).unwrap() - began);
    }
    took.sort();
    println!("revocations from one gateway to the other: {took:?}");
    // A machine that stands still delays some of them, and not half.
    assert!(took[took.len() / 2] < Duration::from_millis(500), "{took:?}");
}

#[test]
fn an_approval_is_used_once_however_many_try_on_however_many_gateways() {
    let (server, database) = database();
    let (one, two) = (Node::start("one", server.port(), &database), Node::start("two", server.port(), &database));
    let (_, ann) = one.arrive("ann", &["engineers"]);
    let (_, lee) = two.arrive("lee", &["leads"]);
    let id = match one.engine.hold(&holding("TG-AAAAAAAA", &ann.who)).unwrap() {
        HoldOutcome::Waiting { id, .. } => id,
        HoldOutcome::Granted { .. } => panic!("nobody approved it"),
    };
    wait_until("the other knows of it", LIMIT, || two.engine.request(&id).is_some());
    let digest = "09".repeat(32);
    approve(&two, &lee, &id, &digest);
    wait_until("one knows that it is approved", LIMIT, || {
        one.engine.request(&id).is_some_and(|request| matches!(request.state, State::Approved { .. }))
    });
    let used = AtomicUsize::new(0);
    let refused = AtomicUsize::new(0);
    thread::scope(|scope| {
        for number in 0..8_u8 {
            let engine = if number % 2 == 0 { &one.engine } else { &two.engine };
            let (used, refused, id, digest) = (&used, &refused, &id, &digest);
            scope.spawn(move || {
                for _ in 0..125 {
                    match engine.consume(id, [number; 16], 1, digest) {
                        Ok(()) => used.fetch_add(1, Ordering::Relaxed),
                        Err(AccessError::Over(_)) => refused.fetch_add(1, Ordering::Relaxed),
                        Err(error) => panic!("{error}"),
                    };
                }
            });
        }
    });
    assert_eq!((used.into_inner(), refused.into_inner()), (1, 999));
}

/// A way to the server that can be cut.
struct Bridge {
    port: u16,
    up: Arc<AtomicBool>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Bridge {
    fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let own = listener.local_addr().unwrap().port();
        let up = Arc::new(AtomicBool::new(true));
        let open: Arc<Mutex<Vec<TcpStream>>> = Arc::default();
        let (is_up, streams) = (Arc::clone(&up), Arc::clone(&open));
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if !is_up.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(("127.0.0.1", port)) else { continue };
                streams.lock().unwrap().extend([client.try_clone().unwrap(), server.try_clone().unwrap()]);
                for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)]
                {
                    thread::spawn(move || {
                        let mut buffer = [0; 16 << 10];
                        while let Ok(n @ 1..) = from.read(&mut buffer) {
                            if to.write_all(&buffer[..n]).is_err() {
                                break;
                            }
                        }
                        let _closed = to.shutdown(Shutdown::Both);
                    });
                }
            }
        });
        Self { port: own, up, open }
    }

    fn cut(&self) {
        self.up.store(false, Ordering::SeqCst);
        self.open.lock().unwrap().drain(..).for_each(|stream| drop(stream.shutdown(Shutdown::Both)));
    }

    fn mend(&self) {
        self.up.store(true, Ordering::SeqCst);
    }
}

#[test]
fn while_the_database_is_away_what_needs_it_is_refused_and_what_is_known_still_holds() {
    let (server, database) = database();
    let bridge = Bridge::to(server.port());
    let (one, two) = (Node::start("one", bridge.port, &database), Node::start("two", server.port(), &database));
    let (sign_in, ann) = one.arrive("ann", &["engineers"]);
    one.engine.mint(&sign_in, "SCRAM-SHA-256$1:eA==$x:y", "", "", "", 600).unwrap();
    let (_, root) = two.arrive("root", &["admins"]);
    let minted = one.engine.minted(None)[0].id.clone();
    wait_until("two knows of it", LIMIT, || two.engine.minted(None).len() == 1);

    bridge.cut();
    let refused =
        |error: Result<(), AccessError>| assert!(matches!(error, Err(AccessError::Unavailable(_))), "{error:?}");
    let began = Instant::now();
    refused(one.engine.mint(&sign_in, "SCRAM-SHA-256$1:eA==$x:y", "", "", "", 600).map(drop));
    refused(one.engine.ask(&ann, "warehouse", "oncall", 60, "the nightly job failed", "127.0.0.1").map(drop));
    refused(one.engine.hold(&holding("TG-BBBBBBBB", &ann.who)).map(drop));
    refused(one.engine.once("a token", 1 << 40).map(drop));
    assert!(began.elapsed() < LIMIT, "refusals come soon: {:?}", began.elapsed());
    // What is running and known goes on.
    assert_eq!(one.engine.login("ann").len(), 1);

    // What happened meanwhile is known as soon as it is back.
    let revoked = Instant::now();
    two.engine.revoke(&root, &minted, "lost laptop").unwrap();
    thread::sleep(Duration::from_millis(300));
    assert_eq!(one.engine.login("ann").len(), 1, "one cannot know");
    bridge.mend();
    let back = Instant::now();
    wait_until("one has heard of the revocation", LIMIT, || one.cut("revoked", revoked).is_some());
    println!("known {:?} after the database was back", one.cut("revoked", revoked).unwrap() - back);
    assert!(one.engine.login("ann").is_empty());
    // A token is taken by an attempt whose answer comes too late, too.
    let mut tokens = (0..).map(|n| format!("token {n}"));
    wait_until("one writes again", LIMIT, || one.engine.once(&tokens.next().unwrap(), 1 << 40) == Ok(true));
}
