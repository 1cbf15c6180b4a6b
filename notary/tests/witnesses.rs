//! Witness and signer process over real sockets: what continues is signed, everything else is not, also after a restart.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod log;

use log::{CoreLog, copy};
use notary::{
    Error, FileSigner, Folders, Notary, RemoteSigner, Signer as _,
    keys::{self, Keyring},
    service::{Hooks, Plan, Service},
    signer_process,
    witness_client::{Standing, Witness, WitnessSettings},
    witness_server::{self, WitnessService, origin_hash},
};
use std::{
    fs,
    io::{Read as _, Write as _},
    net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tlog::{Checkpoint, Hash, Note, VerifierKey, note::KeyKind};

const ORIGIN: &str = "tidegate/test";
/// Nobody listens there, and no port that is free is ever given this number.
const CLOSED: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

fn wait(what: &str, mut ready: impl FnMut() -> bool) {
    let start = Instant::now();
    while !ready() {
        assert!(start.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(20));
    }
}

struct Place {
    folder: TempDir,
    log_key: VerifierKey,
    witness_key: VerifierKey,
}

impl Place {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let log_key = keys::create(&folder.path().join("key"), ORIGIN, KeyKind::Log).unwrap().verifier().clone();
        let witness = keys::create(&folder.path().join("wkey"), "witness.example/w", KeyKind::Witness).unwrap();
        Self { folder, log_key, witness_key: witness.verifier().clone() }
    }

    fn audit(&self) -> PathBuf {
        self.folder.path().join("audit")
    }

    fn notary_in(&self, directory: PathBuf) -> Notary {
        let signer = FileSigner::new(Keyring::open(&self.folder.path().join("key")).unwrap());
        Notary::open(&Folders { directory, spare: None }, Box::new(signer)).unwrap()
    }

    /// A witness, from what it remembers; every call is a restart.
    fn witness(&self) -> SocketAddr {
        let key = keys::load(&self.folder.path().join("wkey"), KeyKind::Witness).unwrap().unwrap();
        let logs = [(ORIGIN.to_owned(), self.log_key.clone())];
        let service = WitnessService::open(key, &self.folder.path().join("witness"), &logs).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || witness_server::serve(&listener, &Arc::new(service)));
        address
    }

    fn client(&self, address: SocketAddr) -> Witness {
        Witness::new(WitnessSettings {
            name: "w".to_owned(),
            url: format!("http://{address}/"),
            key: self.witness_key.clone(),
            authorities: None,
        })
        .unwrap()
    }

    fn submit(&self, witness: &mut Witness, notary: &Notary) -> Standing {
        witness.submit(notary.published().unwrap(), &notary.tiles())
    }
}

#[test]
fn a_growing_log_is_cosigned_and_a_restored_copy_is_found_out() {
    let place = Place::new();
    let mut zero = CoreLog::new(&place.audit(), 0);
    zero.blocks(20);
    let address = place.witness();
    let mut witness = place.client(address);
    let mut notary = place.notary_in(place.audit());
    notary.step().unwrap();
    assert!(matches!(place.submit(&mut witness, &notary), Standing::Cosigned(t) if t > 1_700_000_000));
    assert!(matches!(place.submit(&mut witness, &notary), Standing::Cosigned(_)), "the same once more");
    drop(notary);
    let copied = place.folder.path().join("copy");
    copy(&place.audit(), &copied);

    zero.blocks(700);
    let mut notary = place.notary_in(place.audit());
    notary.step().unwrap();
    // A client that knows nothing, and one that knows the old size, at a witness that was restarted.
    let address = place.witness();
    assert!(matches!(place.submit(&mut place.client(address), &notary), Standing::Cosigned(_)));
    let path = notary.tiles().folder.join("cosignatures").join(notary::history::name(721));
    let note = Note::parse(&fs::read(&path).unwrap()).unwrap();
    let keys = [place.log_key.clone(), place.witness_key.clone()];
    assert_eq!(note.verify(&keys).unwrap().len(), 2, "kept with both signatures");
    assert_eq!(Checkpoint::parse(note.text()).unwrap().size, 721);

    // The restored copy has less than the witness knows.
    let restored = place.notary_in(copied.clone());
    let standing = place.submit(&mut place.client(address), &restored);
    assert_eq!(standing, Standing::Ahead(721));
    assert!(standing.is_alarming());
    drop(restored);
    // It grows past what the witness knows, on another way.
    let mut other = CoreLog::new(&copied, 1);
    other.blocks(900);
    let mut fork = place.notary_in(copied);
    fork.step().unwrap();
    assert_eq!(place.submit(&mut place.client(address), &fork), Standing::Forked);
    // The witness still has the first log's checkpoint to show.
    let mut socket = TcpStream::connect(address).unwrap();
    write!(socket, "GET /{}/checkpoint HTTP/1.1\r\nHost: w\r\nConnection: close\r\n\r\n", origin_hash(ORIGIN)).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\n721\n"), "{answer}");
}

#[test]
fn witnesses_that_do_not_help_are_told_apart() {
    let place = Place::new();
    let _zero = CoreLog::new(&place.audit(), 0);
    let mut notary = place.notary_in(place.audit());
    notary.step().unwrap();
    assert!(matches!(place.submit(&mut place.client(CLOSED), &notary), Standing::Unreachable(_)));

    let key = || keys::load(&place.folder.path().join("wkey"), KeyKind::Witness).unwrap().unwrap();
    let serve = |service: WitnessService| {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || witness_server::serve(&listener, &Arc::new(service)));
        address
    };
    let nobody = serve(WitnessService::open(key(), &place.folder.path().join("w2"), &[]).unwrap());
    assert_eq!(place.submit(&mut place.client(nobody), &notary), Standing::Refused(404));
    let stranger = keys::create(&place.folder.path().join("other"), ORIGIN, KeyKind::Log).unwrap();
    let logs = [(ORIGIN.to_owned(), stranger.verifier().clone())];
    let other = serve(WitnessService::open(key(), &place.folder.path().join("w3"), &logs).unwrap());
    assert_eq!(place.submit(&mut place.client(other), &notary), Standing::Refused(403));
    // An answer by another witness' key is no answer.
    let mut client = Witness::new(WitnessSettings {
        name: "w".to_owned(),
        url: format!("http://{}", place.witness()),
        key: keys::create(&place.folder.path().join("wkey2"), "witness.example/w", KeyKind::Witness)
            .unwrap()
            .verifier()
            .clone(),
        authorities: None,
    })
    .unwrap();
    assert!(matches!(place.submit(&mut client, &notary), Standing::Unreachable(_)));
    // What a witness remembers must be its own.
    let file = place.folder.path().join("witness").join(origin_hash(ORIGIN));
    fs::write(&file, fs::read_to_string(&file).unwrap().replace("\n1\n", "\n2\n")).unwrap();
    let logs = [(ORIGIN.to_owned(), place.log_key.clone())];
    assert!(matches!(
        WitnessService::open(key(), &place.folder.path().join("witness"), &logs),
        Err(Error::Disagree(_))
    ));
}

#[test]
fn strange_requests_get_their_status_and_nothing_more() {
    let place = Place::new();
    let address = place.witness();
    let send = |bytes: &[u8]| {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.write_all(bytes).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer.get(9..12).unwrap_or_default().to_owned()
    };
    for (status, request) in [
        ("400", "nonsense\r\n\r\n".to_owned()),
        ("400", "POST /add-checkpoint HTTP/1.1\r\nConnection: close\r\nContent-Length: 3\r\n\r\nold".to_owned()),
        ("400", "POST /add-checkpoint HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nold".to_owned()),
        ("400", "POST /add-checkpoint HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned()),
        ("413", "POST /add-checkpoint HTTP/1.1\r\nContent-Length: 100000\r\n\r\n".to_owned()),
        ("431", format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(10_000))),
        ("404", "GET /nothing HTTP/1.1\r\nConnection: close\r\n\r\n".to_owned()),
        ("405", "DELETE / HTTP/1.0\r\n\r\n".to_owned()),
        ("200", "GET / HTTP/1.0\r\n\r\n".to_owned()),
    ] {
        assert_eq!(send(request.as_bytes()), status, "{request}");
    }
}

struct SignerPlace {
    folder: TempDir,
    users: Vec<u32>,
}

impl SignerPlace {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        keys::create(&folder.path().join("key"), ORIGIN, KeyKind::Log).unwrap();
        Self { folder, users: vec![rustix::process::getuid().as_raw()] }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Starts a signer on a socket of its own; what it remembers is in the folder.
    fn start(&self, socket: &str) -> PathBuf {
        let socket = self.path(socket);
        let listener = signer_process::listen(&socket).unwrap();
        let mut service = signer_process::Service::open(&self.path("key"), &self.path("state")).unwrap();
        let users = self.users.clone();
        thread::spawn(move || signer_process::serve(&listener, &mut service, &users));
        socket
    }

    fn notary(&self, directory: &Path, socket: &Path) -> Result<Notary, Error> {
        let folders = Folders { directory: directory.to_owned(), spare: None };
        Notary::open(&folders, Box::new(RemoteSigner::new(socket.to_owned())))
    }
}

#[test]
fn a_signer_process_signs_what_continues_and_remembers_it() {
    let place = SignerPlace::new();
    let socket = place.start("s1");
    let directory = place.path("audit");
    let mut zero = CoreLog::new(&directory, 0);
    zero.blocks(5);
    let mut notary = place.notary(&directory, &socket).unwrap();
    assert!(notary.step().unwrap());
    drop(notary);
    let copied = place.path("copy");
    copy(&directory, &copied);
    zero.blocks(5);
    let socket = place.start("s2");
    let mut notary = place.notary(&directory, &socket).unwrap();
    assert!(notary.step().unwrap());
    assert!(fs::read_to_string(place.path("state")).unwrap().starts_with("11 "));
    // A restored copy: the signer has signed more.
    let Err(Error::Disagree(why)) = place.notary(&copied, &socket) else { panic!("a rolled back log opened") };
    assert!(why.contains("signer's last signature") && why.contains("size 11"), "{why}");
    // Another tree of the same size.
    let mut one = CoreLog::new(&copied, 1);
    one.blocks(9);
    assert!(matches!(place.notary(&copied, &socket), Err(Error::Disagree(_))));
    // An answer that was lost: the signer remembers more than was published.
    drop(notary);
    fs::copy(copied.join("tlog/checkpoint"), directory.join("tlog/checkpoint")).unwrap();
    let mut notary = place.notary(&directory, &socket).unwrap();
    assert!(notary.step().unwrap());
    assert_eq!(notary.published().unwrap().checkpoint.size, 11);
}

#[test]
fn a_signer_refuses_what_it_must() {
    let mut place = SignerPlace::new();
    let mut service = signer_process::Service::open(&place.path("key"), &place.path("state")).unwrap();
    let tree = |n: u64| {
        let mut edge = tlog::Edge::default();
        (0..n).for_each(|n| edge.push(Hash::leaf(&n.to_le_bytes()), |_, _| {}));
        edge.root()
    };
    let text = |size| Checkpoint::new(ORIGIN, size, tree(size)).to_string();
    let ask = |service: &mut signer_process::Service, request: String| service.answer(request.as_bytes());
    assert!(ask(&mut service, format!("sign\nold 0\n\n{}", text(2))).starts_with("ok\n\u{2014} "));
    assert!(ask(&mut service, format!("sign\nold 2\n\n{}", text(2))).starts_with("ok\n"), "the same once more");
    for (what, request) in [
        ("a smaller tree", format!("sign\nold 2\n\n{}", text(1))),
        ("another tree of the same size", format!("sign\nold 2\n\n{}", Checkpoint::new(ORIGIN, 2, tree(1)))),
        ("no proof", format!("sign\nold 2\n\n{}", text(3))),
        ("a proof from nothing", format!("sign\nold 0\n\n{}", text(3))),
        ("a wrong proof", format!("sign\nold 2\n{}\n\n{}", tree(9), text(3))),
        (
            "another log",
            format!("sign\nold 2\n{}\n\n{}", Hash::leaf(&2u64.to_le_bytes()), Checkpoint::new("x", 3, tree(3))),
        ),
        ("an extension", format!("sign\nold 2\n{}\n\n{}x\n", Hash::leaf(&2u64.to_le_bytes()), text(3))),
        ("nonsense", "give me the key\n".to_owned()),
        ("nothing", String::new()),
        ("a key that was not made", format!("finish {}\n", service.key()).replace(ORIGIN, "tidegate/other")),
    ] {
        assert!(ask(&mut service, request).starts_with("refused "), "{what}");
    }
    let good = format!("sign\nold 2\n{}\n\n{}", Hash::leaf(&2u64.to_le_bytes()), text(3));
    assert!(ask(&mut service, good).starts_with("ok\n"));
    fs::write(place.path("state"), "nonsense").unwrap();
    assert!(matches!(signer_process::Service::open(&place.path("key"), &place.path("state")), Err(Error::Disagree(_))));
    fs::remove_file(place.path("state")).unwrap();
    // Another user.
    place.users = vec![u32::MAX];
    let socket = place.start("s3");
    let error = RemoteSigner::new(socket.clone()).state().unwrap_err();
    assert!(error.to_string().contains("may not ask"), "{error}");
    assert!(signer_process::listen(&socket).is_err(), "another signer answers there");
    fs::write(place.path("file"), "").unwrap();
    assert!(signer_process::listen(&place.path("file")).is_err(), "no socket");
}

/// in small: neither signer nor witness is there; sessions are refused in the end; both come back.
#[test]
fn a_dead_signer_delays_checkpoints_and_refuses_sessions_in_the_end() {
    let place = SignerPlace::new();
    let directory = place.path("audit");
    let mut zero = CoreLog::new(&directory, 0);
    let socket = place.start("s1");
    let mut notary = place.notary(&directory, &socket).unwrap();
    notary.step().unwrap();
    // The signer is gone: nobody listens on its socket any more.
    fs::remove_file(&socket).unwrap();
    zero.blocks(3);
    let refusing = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&refusing);
    let witness_key = keys::create(&place.path("wkey"), "witness.example/w", KeyKind::Witness).unwrap();
    let witness = Witness::new(WitnessSettings {
        name: "w".to_owned(),
        url: format!("http://{CLOSED}"),
        key: witness_key.verifier().clone(),
        authorities: None,
    });
    let plan = Plan {
        every: Duration::from_millis(20),
        max_unsigned: Duration::from_millis(200),
        witnesses: vec![witness.unwrap()],
        witness_every: Duration::from_secs(10),
        anchor: None,
    };
    let hooks = Hooks {
        durable: Box::new(|_| None),
        append: Arc::new(|_| true),
        unsigned_too_long: Box::new(move |now| told.store(now, Ordering::Relaxed)),
    };
    let service = Service::start(notary, plan, hooks).unwrap();
    let status = service.status();
    wait("blocks are in the tree", || status.get().size == 4);
    assert_eq!(status.get().checkpoint, 1);
    assert!(status.get().error.unwrap().contains("signer"));
    wait("sessions are refused", || refusing.load(Ordering::Relaxed));
    assert!(status.get().unsigned_for >= Duration::from_millis(200));
    wait("the witness is missed", || status.get().witnesses[0].standing.contains("does not answer"));
    place.start("s1");
    wait("the signer is back", || status.get().checkpoint == 4);
    wait("sessions are admitted", || !refusing.load(Ordering::Relaxed));
    assert_eq!((status.get().error, status.get().unsigned_for), (None, Duration::ZERO));
    zero.blocks(2);
    service.stop();
    let bytes = fs::read(directory.join("tlog/checkpoint")).unwrap();
    let note = Note::parse(&bytes).unwrap();
    assert_eq!(Checkpoint::parse(note.text()).unwrap().size, 6, "the last blocks are signed on the way out");
}
