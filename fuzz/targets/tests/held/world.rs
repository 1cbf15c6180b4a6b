//! One session with a client, a database and a log, all in this process: what each has seen is written down.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use audit::Ring;
use audit::record::{Clock, Record, Recorded, SessionId};
use contract::{Buffers, Chunk, Lane, Limits};
use lineage::catalog::{Column, Relation, RelationKind};
use lineage::{Catalog, Facts, FactsCache, NotUnderstood};
use policy::{Bundle, Epoch, Keys};
use postgres::{Serve, frame};
use session::{
    Durability, HoldAnswer, HoldAsked, HoldQuestion, Host, Progress, Session, SessionInfo, Shelf, Shelves, Stage,
    Startup, Unrecorded, Verdicts,
};

pub(crate) const SECOND: u64 = 1_000_000_000;
pub(crate) const HOLD_MAX: u64 = 600 * SECOND;
pub(crate) const NOTICE: u64 = 20 * SECOND;

/// Rules: DELETE is held; TRUNCATE needs two; UPDATE only of many rows, and waits in transactions; DROP is blocked.
pub(crate) const RULES: &str = r"
version: 1
targets: {t: {address: 'db:5432', account: a}}
classes: {ssn: {columns: ['t.public.p.ssn']}}
roles:
  r: {groups: [g], targets: ['*'], default: clear, redact: {ssn: null}}
  watched: {groups: [w], targets: ['*'], default: clear, redact: {ssn: null}, mode: observe}
block:
  - {name: no-drop, effects: drop}
hold:
  - {name: many, effects: delete, rows-over: 100, approvers: [owners], approvals: 2}
  - {name: deletes, effects: delete, approvers: [dba], message: deleting needs a second person}
  - {name: truncates, effects: truncate, approvers: [dba, privacy], approvals: 2, distinct-groups: true}
  - {name: large, effects: update, rows-over: 1000, in-transaction: hold, approvers: [dba]}
";

/// What is read of a record.
fn word(record: &Record<'_>) -> String {
    match record {
        Record::Approval(a) => format!("{} {} {}", a.kind, a.id, a.statement),
        Record::Intent { statement, .. } => format!("intent {statement}"),
        Record::Result { statement, outcome, .. } => format!("result {statement} {outcome}"),
        Record::Block { statement, code, rule, .. } => format!("block {statement} {code} {rule}"),
        Record::Observe { code, rule, .. } => format!("observe {code} {rule}"),
        Record::SessionOpen { .. } => "open".to_owned(),
        Record::SessionClose { .. } => "close".to_owned(),
        Record::Release { .. } => "release".to_owned(),
        other => format!("{other:?}").split_whitespace().next().unwrap_or_default().to_owned(),
    }
}

/// What the sessions of one core have in common.
#[derive(Debug, Default)]
pub(crate) struct Common {
    pub(crate) epoch: RefCell<Option<Arc<Epoch>>>,
    /// Facts and judgements are kept, as a core does it.
    pub(crate) kept: Option<(RefCell<FactsCache>, Shelves)>,
    pub(crate) ledger: Arc<policy::ledger::Ledger>,
}

pub(crate) struct TestHost {
    common: Rc<Common>,
    /// Every record as it is.
    pub(crate) log: RefCell<Vec<String>>,
    pub(crate) now_ns: Cell<u64>,
    ring: RefCell<Ring>,
    pub(crate) records: RefCell<Vec<(u64, String)>>,
    /// The disk does not take anything.
    pub(crate) stalled: Cell<bool>,
    /// The log does not take records of this word.
    pub(crate) full: RefCell<Option<&'static str>>,
    epoch: RefCell<Arc<Epoch>>,
    random: Cell<u8>,
}

impl TestHost {
    fn new(start: &Start) -> Self {
        let common = Rc::clone(&start.common);
        let known = common.epoch.borrow().clone();
        Self {
            common,
            log: RefCell::default(),
            now_ns: Cell::new(SECOND),
            ring: RefCell::new(Ring::new([1; 16], 0, 1, [2; 16], [0; 32], 1, 4 << 20)),
            records: RefCell::default(),
            stalled: Cell::new(false),
            full: RefCell::default(),
            epoch: RefCell::new(known.unwrap_or_else(|| epoch(start.rules))),
            random: Cell::new(0),
        }
    }

    pub(crate) fn commit(&self) {
        if self.stalled.get() {
            return;
        }
        let mut out = Vec::new();
        let mut ring = self.ring.borrow_mut();
        while let Some(sealed) = ring.seal(Clock { wall_ns: 1, mono_ns: 1 }, &mut out) {
            ring.durable(sealed.last_sequence);
        }
    }

    pub(crate) fn words(&self) -> Vec<String> {
        self.records.borrow().iter().map(|(_, word)| word.clone()).collect()
    }
}

pub(crate) fn epoch(rules: &str) -> Arc<Epoch> {
    let (rules, report, sources) = policy_compiler::load_str("held.yaml", rules);
    let shown = report.render(&sources, policy_compiler::Paint(false));
    let bundle = Bundle::load(&Bundle::encode(&rules.expect(&shown).model).unwrap()).unwrap();
    let column = |number: i16, name: &str| Column {
        number,
        name: name.into(),
        type_oid: 25,
        type_name: "text".into(),
        comment: None,
    };
    let relation = Relation {
        oid: 16_400,
        schema: "public".into(),
        name: "p".into(),
        kind: RelationKind::Table,
        columns: vec![column(1, "id"), column(2, "ssn")],
        definition: None,
        comment: None,
        depends_on: Vec::new(),
        parents: Vec::new(),
        references: Vec::new(),
        rests_on: Vec::new(),
        filled_by: Vec::new(),
        estimated_rows: -1,
    };
    let catalog = Catalog { relations: vec![relation], ..Catalog::default() };
    Arc::new(Epoch::resolve(Arc::new(bundle), 0, &catalog, &Keys::new()))
}

impl Host for TestHost {
    fn now_ns(&self) -> u64 {
        self.now_ns.get()
    }

    fn unix_ns(&self) -> u64 {
        self.now_ns.get()
    }

    fn random(&self) -> Option<[u8; 5]> {
        self.random.set(self.random.get() + 1);
        Some([0, 0, 0, 0, self.random.get()])
    }

    fn record(&self, record: &Record<'_>) -> Result<Recorded, Unrecorded> {
        let word = word(record);
        self.log.borrow_mut().push(format!("{record:?}"));
        if self.full.borrow().is_some_and(|full| word.starts_with(full)) {
            return Err(Unrecorded);
        }
        let clock = Clock { wall_ns: 1, mono_ns: self.now_ns.get() };
        let recorded = self.ring.borrow_mut().append(clock, record).map_err(|_| Unrecorded)?;
        self.records.borrow_mut().push((recorded.sequence(), word));
        Ok(recorded)
    }

    fn leave_out(&self, _: &Record<'_>) -> Result<Recorded, Unrecorded> {
        self.ring.borrow().leave_out().map_err(|_| Unrecorded)
    }

    fn given_up(&self) {}

    fn is_durable(&self, sequence: u64) -> bool {
        self.ring.borrow().durable_sequence() >= sequence
    }

    fn facts(&self, text: &str) -> Result<Arc<Facts>, NotUnderstood> {
        match &self.common.kept {
            Some((facts, _)) => facts.borrow_mut().get_or_analyse(text),
            None => lineage::analyse(text).map(Arc::new),
        }
    }

    fn shelf(&self, grant: &policy::Grant) -> Rc<Shelf> {
        self.common.kept.as_ref().map_or_else(Rc::default, |(_, shelves)| shelves.of(grant))
    }

    fn epoch(&self, _: usize) -> Arc<Epoch> {
        Arc::clone(&self.epoch.borrow())
    }

    fn catalog_changed(&self, _: usize) {}

    fn ledger(&self) -> &Arc<policy::ledger::Ledger> {
        &self.common.ledger
    }

    fn measure(&self, _: Stage, _: u64) {}
}

/// A frame that arrived somewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) tag: u8,
    pub(crate) body: Vec<u8>,
}

impl Frame {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).replace('\0', "|")
    }
}

fn frames(bytes: &mut Vec<u8>) -> Vec<Frame> {
    let mut all = Vec::new();
    while bytes.len() >= 5 {
        let len = u32::from_be_bytes([bytes[1], bytes[2], bytes[3], bytes[4]]) as usize + 1;
        if bytes.len() < len {
            break;
        }
        let frame: Vec<u8> = bytes.drain(..len).collect();
        all.push(Frame { tag: frame[0], body: frame[5..].to_vec() });
    }
    all
}

/// How a session begins.
pub(crate) struct Start {
    pub(crate) rules: &'static str,
    pub(crate) role: &'static str,
    pub(crate) mode: Durability,
    pub(crate) startup: [(&'static str, &'static str); 1],
    pub(crate) subject: &'static str,
    pub(crate) common: Rc<Common>,
}

impl Default for Start {
    fn default() -> Self {
        Self {
            rules: RULES,
            role: "r",
            mode: Durability::Strict,
            startup: [("application_name", "")],
            subject: "ana",
            common: Rc::default(),
        }
    }
}

pub(crate) struct World {
    pub(crate) host: TestHost,
    pub(crate) session: Session<Serve<Verdicts>>,
    buffers: Buffers,
    /// What reached the database.
    pub(crate) upstream: Vec<Frame>,
    to_upstream: Vec<u8>,
    /// What reached the client and was not looked at.
    pub(crate) client: VecDeque<Frame>,
    to_client: Vec<u8>,
    pub(crate) questions: Vec<HoldQuestion>,
    /// Id of the last question; answers are to it.
    pub(crate) last_asked: String,
    pub(crate) progress: Progress,
    transaction: u8,
    /// An error was reported and Sync has not come.
    failed: bool,
    /// The database answers.
    pub(crate) answers: bool,
    /// The session has ended.
    pub(crate) ended: bool,
    /// Answers that wait for Flush or Sync.
    owed: Vec<u8>,
    /// Selects from `p` have rows; of `ssn` and `id`, if this says so.
    pub(crate) rows: Option<bool>,
    /// Texts of what is prepared and bound.
    prepared: HashMap<String, String>,
    bound: HashMap<String, String>,
}

impl World {
    pub(crate) fn new(start: &Start) -> Self {
        let host = TestHost::new(start);
        let grant = policy::preview(&host.epoch(0), start.role).unwrap();
        let info = SessionInfo {
            id: SessionId([7; 16]),
            source: "127.0.0.1:9".into(),
            tls: String::new(),
            issuer: "https://idp".into(),
            subject: start.subject.into(),
            user: start.subject.into(),
            application: String::new(),
            target: 0,
            target_name: "t".into(),
            database: "db".into(),
            account: "a".into(),
            mode: start.mode,
            wait_max_ns: 30 * SECOND,
            startup: Startup::of(&start.startup.map(|(name, value)| (name.to_owned(), value.to_owned()))),
            purpose: "a ticket".into(),
            hold_max_ns: HOLD_MAX,
            hold_notice_ns: NOTICE,
            key: None,
            recording: "",
        };
        let limits = Limits::default();
        let serve = Serve::new(limits, Rc::new(|_: &[u8]| false));
        let (down, up) = (Lane::new(limits.buffer_bytes_max), Lane::new(limits.buffer_bytes_max));
        let session = Session::open(serve, grant, info, down, up, &host).unwrap();
        let mut world = Self {
            host,
            session,
            buffers: Buffers::default(),
            upstream: Vec::new(),
            to_upstream: Vec::new(),
            client: VecDeque::new(),
            to_client: Vec::new(),
            questions: Vec::new(),
            last_asked: String::new(),
            progress: Progress::default(),
            transaction: b'I',
            failed: false,
            answers: true,
            ended: false,
            owed: Vec::new(),
            rows: None,
            prepared: HashMap::new(),
            bound: HashMap::new(),
        };
        world.turn();
        world
    }

    /// The client sends this, and everything that follows from it happens.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let slot = self.session.down.slot(&mut self.buffers);
            let n = slot.len().min(rest.len());
            assert!(n > 0, "the client's lane is full");
            slot[..n].copy_from_slice(&rest[..n]);
            self.session.down.received(n);
            rest = &rest[n..];
            self.turn();
        }
    }

    pub(crate) fn query(&mut self, text: &str) {
        self.send(&query(text));
    }

    /// Everything goes as far as it goes.
    pub(crate) fn turn(&mut self) {
        for _ in 0..1000 {
            if self.ended {
                return;
            }
            match self.session.advance(&self.host) {
                Ok(progress) => self.progress = progress,
                Err(fault) => {
                    assert_eq!(fault.state, "58030", "{fault}");
                    self.session.end(&self.host, "audit_failed");
                    self.ended = true;
                }
            }
            for question in self.session.questions() {
                if let HoldQuestion::Ask(asked) = &question {
                    self.last_asked.clone_from(&asked.id);
                }
                self.questions.push(question);
            }
            self.host.commit();
            let mut moved = self.progress.moved;
            while let Chunk::Bytes(bytes) = self.session.down.chunk() {
                let n = bytes.len();
                self.to_upstream.extend_from_slice(bytes);
                self.session.down.written(n);
                moved = true;
            }
            while let Chunk::Bytes(bytes) = self.session.up.chunk() {
                let n = bytes.len();
                self.to_client.extend_from_slice(bytes);
                self.session.up.written(n);
                moved = true;
            }
            let waits = self.progress.waits_for.or(self.progress.holds_for);
            if waits.is_none() && !self.ended && !self.progress.again && !self.progress.blocked {
                self.rests();
            }
            let arrived = frames(&mut self.to_upstream);
            self.client.extend(frames(&mut self.to_client));
            for frame in arrived {
                self.database(&frame);
                self.upstream.push(frame);
            }
            if !self.owed.is_empty() && self.answers {
                moved = true;
            }
            self.flush();
            if !moved && waits.is_none_or(|sequence| !self.host.is_durable(sequence)) {
                return;
            }
        }
        panic!("the session spins");
    }

    /// Where a turn leaves nothing blocked, another one before bytes come is for nothing.
    fn rests(&mut self) {
        let progress = self.session.advance(&self.host).unwrap();
        assert!(!progress.moved, "a turn more does something though no bytes came: {progress:?}");
        assert!(!self.session.down.has_output() && !self.session.up.can_write(), "and has something to say");
    }

    fn flush(&mut self) {
        if !self.answers {
            return;
        }
        let bytes = std::mem::take(&mut self.owed);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let slot = self.session.up.slot(&mut self.buffers);
            let n = slot.len().min(rest.len());
            slot[..n].copy_from_slice(&rest[..n]);
            self.session.up.received(n);
            rest = &rest[n..];
        }
    }

    /// Just enough of a database: BEGIN, ROLLBACK, everything else is a command.
    fn database(&mut self, frame: &Frame) {
        let out = &mut self.owed;
        let ready = |out: &mut Vec<u8>, status: u8| frame::write(out, b'Z', |b| b.push(status));
        let error = |out: &mut Vec<u8>| frame::write(out, b'E', |b| b.extend(b"SERROR\0C42601\0Mno\0\0"));
        let complete = |out: &mut Vec<u8>| frame::write(out, b'C', |b| b.extend(b"DONE 1\0"));
        let text = frame.text();
        let fails = text.contains("tidegate: statement refused") || text.contains("fails");
        let mut words = text.split('|');
        match (frame.tag, words.next(), words.next()) {
            (b'P', Some(name), Some(text)) if !fails && !self.failed => {
                drop(self.prepared.insert(name.to_owned(), text.to_owned()))
            }
            (b'B', Some(portal), Some(name)) if !self.failed => {
                let text = self.prepared.get(name).cloned().unwrap_or_default();
                self.bound.insert(portal.to_owned(), text);
            }
            _ => {}
        }
        let selects = |text: &str| text.starts_with("SELECT") && text.contains("FROM p");
        let described = match (frame.tag, self.rows) {
            (_, None) => None,
            (b'Q', Some(turned)) => selects(&text).then_some(turned),
            (b'D', Some(turned)) => {
                let name = text.get(1..).unwrap_or_default().trim_end_matches('|');
                self.prepared.get(name).filter(|text| selects(text)).map(|_| turned)
            }
            (b'E', Some(turned)) => {
                let portal = words_of(&frame.body);
                self.bound.get(&portal).filter(|text| selects(text)).map(|_| turned)
            }
            _ => None,
        };
        let shape = |out: &mut Vec<u8>, turned: bool| {
            let columns = if turned { [("ssn", 2u16), ("id", 1)] } else { [("id", 1), ("ssn", 2)] };
            frame::write(out, b'T', |b| {
                b.extend([0, 2]);
                for (name, number) in columns {
                    frame::text(b, name.as_bytes());
                    b.extend(16_400u32.to_be_bytes());
                    b.extend(number.to_be_bytes());
                    b.extend(25u32.to_be_bytes());
                    b.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0]);
                }
            });
        };
        let row = |out: &mut Vec<u8>, turned: bool| {
            let values = if turned { ["078-05-1120", "i"] } else { ["i", "078-05-1120"] };
            frame::write(out, b'D', |b| {
                b.extend([0, 2]);
                for value in values {
                    b.extend((value.len() as u32).to_be_bytes());
                    b.extend(value.as_bytes());
                }
            });
        };
        match frame.tag {
            b'Q' if fails => {
                error(out);
                self.transaction = if self.transaction == b'I' { b'I' } else { b'E' };
                ready(out, self.transaction);
            }
            b'Q' => {
                match text.trim_end_matches('|').to_lowercase().as_str() {
                    "begin" => self.transaction = b'T',
                    "rollback" | "commit" => self.transaction = b'I',
                    _ => {}
                }
                if let Some(turned) = described {
                    shape(out, turned);
                    row(out, turned);
                }
                complete(out);
                ready(out, self.transaction);
            }
            b'S' => {
                self.failed = false;
                ready(out, self.transaction);
            }
            _ if self.failed => {}
            b'P' if fails => {
                error(out);
                self.failed = true;
            }
            b'P' => frame::write(out, b'1', |_| {}),
            b'B' => frame::write(out, b'2', |_| {}),
            b'D' => {
                if frame.body.first() == Some(&b'S') {
                    frame::write(out, b't', |b| b.extend([0, 0]));
                }
                match described {
                    Some(turned) => shape(out, turned),
                    None => frame::write(out, b'n', |_| {}),
                }
            }
            b'E' => {
                if let Some(turned) = described {
                    row(out, turned);
                }
                complete(out);
            }
            _ => {}
        }
    }

    /// Time passes.
    pub(crate) fn pass(&mut self, ns: u64) {
        self.host.now_ns.set(self.host.now_ns.get() + ns);
        self.turn();
    }

    pub(crate) fn answer(&mut self, answer: HoldAnswer) {
        let asked = self.last_asked.clone();
        self.session.answer(&asked, answer);
        self.turn();
    }

    /// The last question, which must be one.
    #[track_caller]
    pub(crate) fn asked(&mut self) -> HoldAsked {
        match self.questions.pop() {
            Some(HoldQuestion::Ask(asked)) => *asked,
            other => panic!("asked nothing: {other:?}"),
        }
    }

    /// Ids and reasons of what was withdrawn, and forgets what was asked.
    pub(crate) fn withdrawn(&mut self) -> Vec<(String, &'static str)> {
        let said = self.questions.drain(..).filter_map(|question| match question {
            HoldQuestion::Withdraw { asked, reason } => Some((asked, reason)),
            HoldQuestion::Ask(_) => None,
        });
        said.collect()
    }

    /// The question waits for people.
    pub(crate) fn waits(&mut self, asked: &HoldAsked) {
        let until_ns = self.host.now_ns.get() + 1800 * SECOND;
        self.answer(HoldAnswer::Waiting { id: asked.id.clone(), link: "https://gw/a".into(), until_ns });
    }

    /// Runs of a text that reached the database.
    pub(crate) fn runs(&self, text: &str) -> usize {
        let text = format!("{text}|");
        self.upstream.iter().filter(|frame| frame.tag == b'Q' && frame.text() == text).count()
    }

    pub(crate) fn executes(&self) -> usize {
        self.upstream.iter().filter(|frame| frame.tag == b'E').count()
    }

    /// Tags that reached the client since the last call.
    pub(crate) fn tags(&mut self) -> String {
        self.client.drain(..).map(|frame| char::from(frame.tag)).collect()
    }

    pub(crate) fn renew(&mut self, rules: &str) {
        self.renew_with(epoch(rules));
    }

    pub(crate) fn renew_with(&mut self, epoch: Arc<Epoch>) {
        *self.host.epoch.borrow_mut() = epoch;
        self.session.renew(&self.host).unwrap();
        self.turn();
    }
}

/// The text that a body begins with.
fn words_of(body: &[u8]) -> String {
    String::from_utf8_lossy(body.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

pub(crate) fn query(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, b'Q', |b| frame::text(b, text.as_bytes()));
    out
}

/// Parse, Bind with one text parameter if there is one, Execute.
pub(crate) fn extended(text: &str, types: &[u32], parameter: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, b'P', |b| {
        b.push(0);
        frame::text(b, text.as_bytes());
        b.extend((types.len() as u16).to_be_bytes());
        types.iter().for_each(|oid| b.extend(oid.to_be_bytes()));
    });
    frame::write(&mut out, b'B', |b| {
        b.extend([0, 0, 0, 0]);
        b.extend(u16::from(parameter.is_some()).to_be_bytes());
        if let Some(value) = parameter {
            b.extend((value.len() as u32).to_be_bytes());
            b.extend(value.as_bytes());
        }
        b.extend([0, 0]);
    });
    frame::write(&mut out, b'E', |b| b.extend([0, 0, 0, 0, 0]));
    out
}

pub(crate) fn tag(tag: u8) -> Vec<u8> {
    let mut out = Vec::new();
    frame::write(&mut out, tag, |_| {});
    out
}
