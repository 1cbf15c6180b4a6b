//! A gateway between clients and a database that are played here, for tests of this crate.

use crate::access::Empty;
use crate::core::{Core, Errand, Message};
use crate::settings::{Credentials, Limits, Recordings, Reuse, Rules, Settings, TargetSettings, Tokens, User, Users};
use crate::{Driver, Gateway, Secret};
use contract::{Buffers, Chunk, Dialing as _, Dialled, Lane};
use lineage::Catalog;
use policy::model::{AuditMode, Derive, Mode, Role, Target, Unclassified, UpstreamTls as ModelTls, WireProtocol};
use policy::{Bundle, Epoch, Keys, Model};
use postgres::scram::{ClientKeys, Verifier};
use postgres::{Dial, DialSettings};
use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

pub(crate) const DRIVERS: [Driver; 2] = [Driver::Uring, Driver::Glommio];
/// A wait that is longer is a failure.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);
const PASSWORD: &[u8] = b"a word to pass";

pub(crate) fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
}

/// A frame of a peer; `None` at the end.
pub(crate) fn read_frame(socket: &mut TcpStream) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    socket.read_exact(&mut head).ok()?;
    let mut body = vec![0; u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize - 4];
    socket.read_exact(&mut body).ok()?;
    Some((head[0], body))
}

/// What a database does with a statement: the bytes of its answer.
pub(crate) type Answers = fn(&str) -> Vec<u8>;

/// Lets everybody in and answers every statement but those that sleep.
pub(crate) fn obliging(text: &str) -> Vec<u8> {
    if text.contains("sleep") { Vec::new() } else { [frame(b'C', b"SET\0"), frame(b'Z', b"I")].concat() }
}

/// A database; every connection that it has had, as it sees it.
pub(crate) fn database(answers: Option<Answers>) -> (SocketAddr, Arc<Mutex<Vec<TcpStream>>>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sees = Arc::clone(&seen);
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            sees.lock().unwrap().push(socket.try_clone().unwrap());
            std::thread::spawn(move || {
                let mut head = [0; 4];
                socket.read_exact(&mut head).ok()?;
                socket.read_exact(&mut vec![0; u32::from_be_bytes(head) as usize - 4]).ok()?;
                let parameter = |text: &[u8]| frame(b'S', text);
                let greeting = [
                    frame(b'R', &[0; 4]),
                    parameter(b"server_version\x0015.0\0"),
                    parameter(b"client_encoding\0UTF8\0"),
                    parameter(b"standard_conforming_strings\0on\0"),
                    frame(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]),
                    frame(b'Z', b"I"),
                ];
                socket.write_all(&greeting.concat()).ok()?;
                // Without answers it does not even read.
                let answers = answers?;
                while let Some((tag, body)) = read_frame(&mut socket) {
                    if tag == b'Q' {
                        socket.write_all(&answers(String::from_utf8_lossy(&body).trim_end_matches('\0'))).ok()?;
                    }
                }
                Some(())
            });
        }
    });
    (address, seen)
}

fn epoch() -> Arc<Epoch> {
    let target = Target {
        name: "t".into(),
        protocol: WireProtocol::Postgres,
        address: "db:5432".into(),
        tls: ModelTls::Disable,
        database: "d".into(),
        account: "gateway".into(),
        audit: AuditMode::Strict,
        line: 0,
    };
    let role = Role {
        name: "all".into(),
        groups: vec!["all".into()],
        targets: vec!["*".into()],
        treatment: vec![],
        unclassified: Unclassified::Clear,
        trusted_functions: vec![],
        channels: vec![],
        mode: Mode::Enforce,
        comparisons: vec![],
        budgets: vec![],
        derive: Derive::Refuse,
        request: None,
        break_glass: None,
        line: 0,
    };
    let model = Model { targets: vec![target], roles: vec![role], ..Model::default() };
    let bundle = Bundle::load(&Bundle::encode(&model).unwrap()).unwrap();
    Arc::new(Epoch::resolve(Arc::new(bundle), 0, &Catalog::default(), &Keys::new()))
}

/// A folder that goes away with its test.
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    pub(crate) fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tidegate-gateway-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn start(
    driver: Driver,
    cores: usize,
    folder: &Path,
    database: SocketAddr,
    reuse: Option<Reuse>,
) -> Gateway {
    let target = TargetSettings {
        name: "t".into(),
        database: "d".into(),
        account: "gateway".into(),
        addresses: vec![database],
        tls: None,
        password: Some(Secret(Zeroizing::new(PASSWORD.to_vec()))),
        durability: None,
        recordings: Recordings::default(),
        credentials: Credentials::Plain,
        reuse,
    };
    let settings = Settings {
        directory: Arc::new(Empty),
        tokens: Tokens::default(),
        listen: vec![(Ipv4Addr::LOCALHOST, 0).into()],
        cores,
        driver: Some(driver),
        pin: false,
        limits: Limits::default(),
        tls: None,
        targets: vec![target],
        audit_directory: folder.to_owned(),
        segment_bytes: 1 << 20,
        spare_directory: None,
        heartbeat: Duration::ZERO,
        audit_wait_max: LIMIT,
        recipients: vec![],
        build: "test".into(),
    };
    let user = User {
        name: "ann".into(),
        verifier: Verifier::derive(PASSWORD, b"salt of this test", 4096),
        groups: vec!["all".into()],
    };
    let users = Arc::new(Users::new(vec![user]).unwrap());
    let rules = Rules { users, epochs: vec![epoch()], tls: None };
    crate::start(settings, rules, Box::new(|_| {})).unwrap()
}

/// Opens a connection and says nothing.
pub(crate) fn connect(gateway: &Gateway) -> TcpStream {
    let socket = TcpStream::connect(gateway.listening()[0]).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

/// Opens a connection and logs in.
pub(crate) fn login(gateway: &Gateway) -> TcpStream {
    let mut socket = connect(gateway);
    let mut dial = Dial::new(DialSettings {
        account: "ann".into(),
        database: "t".into(),
        parameters: vec![],
        tls: false,
        clear_allowed: false,
        keys: Some(Rc::new(RefCell::new(ClientKeys::new(Zeroizing::new(PASSWORD.to_vec()))))),
        nonce: [7; 18],
    });
    let (mut down, mut up) = (Lane::new(1 << 20), Lane::new(1 << 20));
    let mut buffers = Buffers::default();
    dial.begin(&mut down);
    loop {
        let step = dial.step(&mut up, &mut down).unwrap_or_else(|fault| panic!("{fault}: {:?}", dial.complaint()));
        while let Chunk::Bytes(bytes) = down.chunk() {
            socket.write_all(bytes).unwrap();
            let written = bytes.len();
            down.written(written);
        }
        match step {
            Dialled::Ready => return socket,
            Dialled::StartTls => panic!("nobody asked for TLS"),
            Dialled::NeedMore => {
                let read = match socket.read(up.slot(&mut buffers)) {
                    // A signal for a ring of this process.
                    Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                    read => read.unwrap(),
                };
                assert!(read > 0, "the connection was closed during login");
                up.received(read);
            }
        }
    }
}

pub(crate) fn query(socket: &mut TcpStream, text: &str) {
    socket.write_all(&frame(b'Q', format!("{text}\0").as_bytes())).unwrap();
}

/// SQLSTATE of the error that a connection ends with.
pub(crate) fn last_words(socket: &mut TcpStream) -> String {
    let mut state = None;
    while let Some((tag, body)) = read_frame(socket) {
        let mut fields = body.split(|&b| b == 0);
        if tag == b'E' {
            state = fields.find(|field| field.first() == Some(&b'C')).map(|f| String::from_utf8_lossy(&f[1..]).into());
        }
    }
    state.unwrap_or_else(|| panic!("it was closed without a word"))
}

pub(crate) fn on(gateway: &Gateway, core: usize, errand: impl FnOnce(&Rc<Core>) + Send + 'static) {
    // One that ends its core may have run before the answer, which is then no.
    let _ = gateway.mailbox(core).post(Message::Run(Errand(Box::new(errand))));
}

pub(crate) fn wait(what: &str, mut until: impl FnMut() -> bool) {
    let limit = Instant::now() + LIMIT;
    while !until() {
        assert!(Instant::now() < limit, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
