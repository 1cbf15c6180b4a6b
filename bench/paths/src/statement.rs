//! One small statement through a session, as `pgbench -S` sends it and PostgreSQL answers it: bytes in, bytes out.
//!
//! Both peers are arrays of bytes. The session is fed and emptied in the order in which a core does it, a turn at a time,
//! with rules loaded and every statement recorded in a ring (mode `async`). What a core does beside that is left out:
//! sockets, wake-ups, sealing of audit blocks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use audit::Ring;
use audit::record::{Clock, Record, Recorded, SessionId};
use contract::{Buffers, Chunk, Lane, Limits};
use hdrhistogram::Histogram;
use lineage::{Facts, FactsCache, NotUnderstood};
use policy::Epoch;
use policy::ledger::Ledger;
use postgres::{Serve, frame};
use session::{Durability, Host, Session, SessionInfo, Shelf, Shelves, Stage, Unrecorded, Verdicts};

use crate::clinic;

/// Protocol of a statement, as pgbench names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A Query with its literal in the text, another one each time.
    Simple,
    /// Parse, Bind, Describe, Execute, Sync of the unnamed statement.
    Extended,
    /// Bind, Describe, Execute, Sync of a statement that was prepared before.
    Prepared,
}

/// All of them.
pub const PROTOCOLS: [Protocol; 3] = [Protocol::Simple, Protocol::Extended, Protocol::Prepared];

impl Protocol {
    /// For tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        }
    }
}

/// What a statement returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// One number that no rule protects.
    Clear,
    /// A number and a protected text, which is masked.
    Masked,
}

/// Texts with different literals that come in turn.
const TEXTS: usize = 64;
/// Bytes of the ring of records.
const RING_BYTES: usize = 16 << 20;
/// Turns that a statement may take.
const TURNS_MAX: usize = 64;

/// What the sessions of a core share.
struct PathHost {
    buffers: RefCell<Buffers>,
    facts: RefCell<FactsCache>,
    shelves: Shelves,
    ring: RefCell<Ring>,
    epoch: Arc<Epoch>,
    ledger: Arc<Ledger>,
    began: Instant,
    stages: [Mutex<Histogram<u64>>; 3],
    records: Cell<u64>,
}

impl PathHost {
    fn new(epoch: Arc<Epoch>) -> Self {
        #[expect(clippy::unwrap_used, reason = "constant, valid bounds")]
        let histogram = || Mutex::new(Histogram::new_with_bounds(1, 100_000_000_000, 2).unwrap());
        Self {
            buffers: RefCell::default(),
            facts: RefCell::new(FactsCache::new(1024, 8 << 20)),
            shelves: Shelves::default(),
            ring: RefCell::new(Ring::new([1; 16], 0, 1, [2; 16], [0; 32], 1, RING_BYTES)),
            epoch,
            ledger: Arc::default(),
            began: Instant::now(),
            stages: std::array::from_fn(|_| histogram()),
            records: Cell::new(0),
        }
    }

    /// Makes room in the ring, as if a disk had taken everything.
    fn commit(&self) {
        let mut ring = self.ring.borrow_mut();
        let (used, bytes) = ring.fill();
        if used > bytes / 2 {
            let (clock, mut out) = (Clock { wall_ns: 1, mono_ns: 1 }, Vec::new());
            while let Some(sealed) = ring.seal(clock, &mut out) {
                ring.durable(sealed.last_sequence);
                out.clear();
            }
        }
    }
}

impl Host for PathHost {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX) + 1
    }

    fn unix_ns(&self) -> u64 {
        self.now_ns()
    }

    fn random(&self) -> Option<[u8; 5]> {
        Some([0; 5])
    }

    fn record(&self, record: &Record<'_>) -> Result<Recorded, Unrecorded> {
        self.records.set(self.records.get() + 1);
        // A clock of constant width, so that every record of a kind has the same length.
        let clock = Clock { wall_ns: 1_795_335_274_123_456_789, mono_ns: 123_456_789_012 };
        self.ring.borrow_mut().append(clock, record).map_err(|_| Unrecorded)
    }

    fn leave_out(&self, _: &Record<'_>) -> Result<Recorded, Unrecorded> {
        self.ring.borrow().leave_out().map_err(|_| Unrecorded)
    }

    fn given_up(&self) {}

    fn is_durable(&self, sequence: u64) -> bool {
        self.ring.borrow().durable_sequence() >= sequence
    }

    fn facts(&self, text: &str) -> Result<Arc<Facts>, NotUnderstood> {
        self.facts.borrow_mut().get_or_analyse(text)
    }

    fn shelf(&self, grant: &policy::Grant) -> Rc<Shelf> {
        self.shelves.of(grant)
    }

    fn epoch(&self, _: usize) -> Arc<Epoch> {
        Arc::clone(&self.epoch)
    }

    fn catalog_changed(&self, _: usize) {}

    fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    fn measure(&self, stage: Stage, ns: u64) {
        let stage = match stage {
            Stage::Decide => 0,
            Stage::Durable => 1,
            Stage::Upstream => 2,
        };
        if let Ok(mut histogram) = self.stages[stage].lock() {
            histogram.saturating_record(ns.max(1));
        }
    }
}

/// What the clients of a core say and what its database answers, with the core.
pub struct Scene {
    host: PathHost,
    protocol: Protocol,
    /// Sent before everything else, and its answer.
    first: (Vec<u8>, Vec<u8>),
    /// Sent in turn, and the answer to each.
    requests: Vec<Vec<u8>>,
    answer: Vec<u8>,
}

impl std::fmt::Debug for Scene {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Scene").field("protocol", &self.protocol).finish_non_exhaustive()
    }
}

impl Scene {
    /// A core without sessions; the answers have so many rows.
    #[must_use]
    pub fn new(protocol: Protocol, kind: Row, rows: usize) -> Rc<Self> {
        let host = PathHost::new(clinic::epoch(Vec::new()));
        let (requests, answer) = script(protocol, kind, rows);
        let mut first = (Vec::new(), Vec::new());
        if protocol == Protocol::Prepared {
            let (text, _, columns, _) = texts(kind);
            parse_frame(&mut first.0, "P_0", text);
            frame::write(&mut first.0, b'S', |_| {});
            frame::write(&mut first.1, b'1', |_| {});
            frame::write(&mut first.1, b't', |b| b.extend([0, 1, 0, 0, 0, 23]));
            description(&mut first.1, columns);
            frame::write(&mut first.1, b'Z', |b| b.push(b'I'));
        }
        Rc::new(Self { host, protocol, first, requests, answer })
    }

    /// Records written so far.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.host.records.get()
    }
}

/// A session in which the same statement comes again and again.
pub struct Conversation {
    scene: Rc<Scene>,
    session: Session<Serve<Verdicts>>,
    next: usize,
}

impl std::fmt::Debug for Conversation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Conversation").field("session", &self.session).finish_non_exhaustive()
    }
}

/// Bytes that went out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// To the database.
    pub database: usize,
    /// To the client.
    pub client: usize,
}

fn write_text(out: &mut Vec<u8>, text: &str) {
    frame::text(out, text.as_bytes());
}

/// Bind of one text parameter to the unnamed portal, Describe of it, Execute, Sync: as libpq writes them.
fn run_frames(out: &mut Vec<u8>, statement: &str, value: &str) {
    frame::write(out, b'B', |b| {
        write_text(b, "");
        write_text(b, statement);
        b.extend([0, 0, 0, 1]);
        b.extend(u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
        b.extend(value.as_bytes());
        b.extend([0, 1, 0, 0]);
    });
    frame::write(out, b'D', |b| b.extend(b"P\0"));
    frame::write(out, b'E', |b| b.extend(b"\0\0\0\0\0"));
    frame::write(out, b'S', |_| {});
}

fn parse_frame(out: &mut Vec<u8>, statement: &str, text: &str) {
    frame::write(out, b'P', |b| {
        write_text(b, statement);
        write_text(b, text);
        b.extend([0, 0]);
    });
}

/// RowDescription of text columns of tables.
fn description(out: &mut Vec<u8>, columns: &[(&str, &str)]) {
    frame::write(out, b'T', |b| {
        b.extend(u16::try_from(columns.len()).unwrap_or(0).to_be_bytes());
        for (table, column) in columns {
            let (oid, number) = clinic::place(table, column).unwrap_or_default();
            write_text(b, column);
            b.extend(oid.to_be_bytes());
            b.extend(number.to_be_bytes());
            b.extend(25u32.to_be_bytes());
            b.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
        }
    });
}

fn row(out: &mut Vec<u8>, values: &[&str]) {
    frame::write(out, b'D', |b| {
        b.extend(u16::try_from(values.len()).unwrap_or(0).to_be_bytes());
        for value in values {
            b.extend(u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
            b.extend(value.as_bytes());
        }
    });
}

impl Conversation {
    /// A session after its login, in which the statement has run a few times: everything that is kept is there.
    ///
    /// # Panics
    /// The session ends, or does not answer: the path is broken.
    #[must_use]
    pub fn new(protocol: Protocol, kind: Row) -> Self {
        Self::with_rows(protocol, kind, 1)
    }

    /// The same; the answer has so many rows.
    ///
    /// # Panics
    /// As [`Conversation::new`]; or the answer does not fit into a session's buffer.
    #[must_use]
    pub fn with_rows(protocol: Protocol, kind: Row, rows: usize) -> Self {
        let mut conversation = Self::open(&Scene::new(protocol, kind, rows));
        for _ in 0..TEXTS * 2 {
            conversation.run();
        }
        conversation
    }

    /// The same right after its login; with the prepared protocol the statement is prepared.
    ///
    /// # Panics
    /// As [`Conversation::new`].
    #[must_use]
    #[expect(clippy::expect_used, reason = "a path that does not work cannot be measured")]
    pub fn open(scene: &Rc<Scene>) -> Self {
        let info = SessionInfo {
            id: SessionId([7; 16]),
            source: "127.0.0.1:55555".into(),
            tls: String::new(),
            issuer: "local".into(),
            subject: "ana".into(),
            user: "ana".into(),
            application: "pgbench".into(),
            target: 0,
            target_name: "w".into(),
            database: "w".into(),
            account: "g".into(),
            mode: Durability::Async,
            wait_max_ns: 30_000_000_000,
            path: String::new(),
            purpose: String::new(),
            hold_max_ns: 600_000_000_000,
            hold_notice_ns: 20_000_000_000,
            key: None,
            recording: "",
        };
        let limits = Limits::default();
        let serve = Serve::new(limits, Rc::new(|_: &[u8]| false));
        let (down, up) = (Lane::new(limits.buffer_bytes_max), Lane::new(limits.buffer_bytes_max));
        let (scene, grant) = (Rc::clone(scene), clinic::grant(&scene.host.epoch));
        let session =
            Session::open(serve, grant, info, down, up, &scene.host).expect("the ring takes the first record");
        let mut conversation = Self { scene, session, next: 0 };
        let scene = Rc::clone(&conversation.scene);
        if scene.protocol == Protocol::Prepared {
            conversation.exchange(&scene.first.0, &scene.first.1);
        }
        conversation
    }

    /// One statement: its frames arrive, go to the database, are answered, and the answer goes to the client.
    ///
    /// # Panics
    /// As [`Conversation::new`].
    pub fn run(&mut self) -> Sent {
        let scene = Rc::clone(&self.scene);
        let sent = self.exchange(&scene.requests[self.next], &scene.answer);
        self.next = (self.next + 1) % scene.requests.len();
        assert!(sent.client > 0 && sent.database > 0, "the statement was not answered");
        sent
    }

    fn exchange(&mut self, request: &[u8], answer: &[u8]) -> Sent {
        feed(&mut self.session.down, &mut self.scene.host.buffers.borrow_mut(), request);
        let first = self.poll();
        feed(&mut self.session.up, &mut self.scene.host.buffers.borrow_mut(), answer);
        let second = self.poll();
        self.scene.host.commit();
        Sent { database: first.database + second.database, client: first.client + second.client }
    }

    /// What a core does with a session that something arrived for.
    fn poll(&mut self) -> Sent {
        let mut sent = Sent::default();
        for _ in 0..TURNS_MAX {
            let progress = match self.session.advance(&self.scene.host) {
                Ok(progress) => progress,
                Err(fault) => panic!("the conversation ended: {fault}"),
            };
            let (down, up) = (empty(&mut self.session.down), empty(&mut self.session.up));
            sent.database += down;
            sent.client += up;
            if !progress.again && !(progress.blocked && (progress.moved || down + up > 0)) {
                break;
            }
        }
        let mut buffers = self.scene.host.buffers.borrow_mut();
        self.session.down.rest(&mut buffers);
        self.session.up.rest(&mut buffers);
        sent
    }
}

fn feed(lane: &mut Lane, buffers: &mut Buffers, bytes: &[u8]) {
    let slot = lane.slot(buffers);
    slot[..bytes.len()].copy_from_slice(bytes);
    lane.received(bytes.len());
}

fn empty(lane: &mut Lane) -> usize {
    let mut total = 0;
    while let Chunk::Bytes(bytes) = lane.chunk() {
        let n = std::hint::black_box(bytes).len();
        lane.written(n);
        total += n;
    }
    total
}

/// Text with a parameter, text before its literal, columns and values of the answer.
type Texts = (&'static str, &'static str, &'static [(&'static str, &'static str)], &'static [&'static str]);

fn texts(kind: Row) -> Texts {
    match kind {
        Row::Clear => (
            "SELECT abalance FROM pgbench_accounts WHERE aid = $1;",
            "SELECT abalance FROM pgbench_accounts WHERE aid = ",
            &[("pgbench_accounts", "abalance")],
            &["0"],
        ),
        Row::Masked => (
            "SELECT patient_id, ssn FROM clinic.patients WHERE patient_id = $1;",
            "SELECT patient_id, ssn FROM clinic.patients WHERE patient_id = ",
            &[("patients", "patient_id"), ("patients", "ssn")],
            &["73423", "078-05-1120"],
        ),
    }
}

/// What the client sends, in turn, and what the database answers to each.
fn script(protocol: Protocol, kind: Row, rows: usize) -> (Vec<Vec<u8>>, Vec<u8>) {
    let (text, before, columns, values) = texts(kind);
    let requests = (0..TEXTS).map(|i| {
        let (mut out, value) = (Vec::new(), (10_007 + i * 977).to_string());
        match protocol {
            Protocol::Simple => frame::write(&mut out, b'Q', |b| write_text(b, &format!("{before}{value};"))),
            Protocol::Extended => {
                parse_frame(&mut out, "", text);
                run_frames(&mut out, "", &value);
            }
            Protocol::Prepared => run_frames(&mut out, "P_0", &value),
        }
        out
    });
    let mut answer = Vec::new();
    if protocol == Protocol::Extended {
        // The gateway asks for the shape on its own.
        frame::write(&mut answer, b'1', |_| {});
        frame::write(&mut answer, b't', |b| b.extend([0, 1, 0, 0, 0, 23]));
        description(&mut answer, columns);
    }
    if protocol != Protocol::Simple {
        frame::write(&mut answer, b'2', |_| {});
    }
    description(&mut answer, columns);
    (0..rows).for_each(|_| row(&mut answer, values));
    frame::write(&mut answer, b'C', |b| write_text(b, "SELECT 1"));
    frame::write(&mut answer, b'Z', |b| b.push(b'I'));
    (requests.collect(), answer)
}

/// A warm session as a function that runs one statement.
///
/// # Panics
/// The path is broken.
pub fn statement(protocol: Protocol, kind: Row) -> impl FnMut() {
    let mut conversation = Conversation::new(protocol, kind);
    move || {
        std::hint::black_box(conversation.run());
    }
}
