//! Reading segments: the expensive half of verification, one segment at a time and several at once.
//!
//! A worker checks every byte of a segment and every record's encoding, and passes on what the order of things is judged
//! by: headers, and the few fields of records that refer to others. Invariants: what a worker passes on is in the order
//! of positions; a batch stands for at most [`BATCH`] bytes of blocks, and at most [`AHEAD`] batches of a segment wait,
//! so memory does not grow with the log. Deliberately not here: whether blocks and records belong together.

use std::io;
use std::path::Path;
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use crate::approvals::Step;
use crate::block::{Header, Records, header_hash};
use crate::clock;
use crate::merkle::Hash;
use crate::record::{Record, field, kind};
use crate::report::Code;
use crate::segment::{FIRST, Page, Place, Segment};

/// Bytes of blocks that one batch stands for, about.
pub(crate) const BATCH: u64 = 256 << 10;
/// Batches of one segment that may wait.
pub(crate) const AHEAD: usize = 96;
/// A log whose writer holds its lock gets this long to finish the block at its end: longer than a writer waits for a disk
/// before it goes on elsewhere. A cut is named all the same, later.
const SETTLE: Duration = Duration::from_secs(20);
/// A block behind which there are others was hardly left half written: so long for each.
const SETTLE_FOLLOWED: Duration = Duration::from_secs(2);
const SETTLE_PAUSE: Duration = Duration::from_millis(50);

/// Session.
pub(crate) type Sid = [u8; 16];

/// What a record means for others.
#[derive(Debug)]
pub(crate) enum What {
    Start {
        previous: Hash,
        clean: bool,
    },
    End,
    Intent {
        session: Sid,
        statement: u64,
    },
    Result {
        session: Sid,
        statement: u64,
        rows: u64,
        outcome: Outcome,
    },
    Release {
        session: Sid,
        statement: u64,
        number: u64,
        rows: u64,
    },
    Open(Box<Open>),
    Close {
        session: Sid,
    },
    Recorded(Box<Recorded>),
    Heartbeat {
        interval: u64,
    },
    /// Mode of a target from here on.
    Mode(Box<(Box<str>, Box<str>)>),
    /// A gap or a mode of the whole log: it explains a silence.
    Outage,
    /// Something that concerns the log as a whole.
    Act(Box<Act>),
    /// Something is wrong with the record by itself or beside its neighbours in the block.
    Wrong(Code, Box<str>),
}

/// How a statement ended, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Ok,
    UnknownCrash,
    Other,
}

/// A session began.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) session: Sid,
    pub(crate) target: Box<str>,
    pub(crate) mode: Box<str>,
    pub(crate) commitment: Option<Hash>,
    pub(crate) person: Box<str>,
    pub(crate) role: Box<str>,
}

/// A stretch of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    pub(crate) session: Sid,
    pub(crate) segment: u64,
    pub(crate) chunks: u64,
    pub(crate) bytes: u64,
    pub(crate) last: Hash,
    pub(crate) ends: bool,
}

/// Acts on the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Rotate { key: String },
    Enroll { origin: String, key: String },
    Retire { origin: String },
    Anchor { kind: String, size: u64, root: Hash },
    Hold { name: String, query: String },
    Release { name: String },
    Purge { kind: String, order: String, sessions: Vec<Sid>, signatures: Vec<String> },
    Approval { step: Step, id: Box<str>, digest: Hash, statement: (Sid, u64) },
}

/// [`What`] a record means, and where it stands.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) sequence: u64,
    pub(crate) wall_ns: u64,
    pub(crate) mono_ns: u64,
    pub(crate) what: What,
}

/// A block whose bytes hold.
#[derive(Debug)]
pub(crate) struct Scanned {
    pub(crate) position: u64,
    pub(crate) header: Header,
    pub(crate) hash: Hash,
    /// The block begins an epoch and declares this many unfinished bytes before it.
    pub(crate) begins: Option<u64>,
    /// The first record says that the clock was set.
    pub(crate) stepped: Option<i64>,
    /// Clocks of the first and last record that could be read.
    pub(crate) clocks: Option<[(u64, u64); 2]>,
    /// The last record ends the epoch.
    pub(crate) ends: bool,
    pub(crate) events: Vec<Event>,
}

/// What a worker passes on.
#[derive(Debug)]
pub(crate) enum Item {
    Page {
        page: Option<Page>,
        size: u64,
    },
    Block(Box<Scanned>),
    /// No good block, but one further on.
    Damage {
        position: u64,
        code: Code,
        words: String,
        next: u64,
    },
    /// No good block from here to the end.
    Tail {
        position: u64,
        bytes: u64,
        code: Code,
        words: String,
    },
    Failed(io::Error),
}

/// Reads one segment; stops early if nobody listens any more.
pub(crate) fn segment(path: &Path, settle: bool, tolerance: u64, out: &SyncSender<Vec<Item>>) {
    let mut batch = Batch { items: Vec::new(), bytes: 0, out };
    if let Err(error) = read(path, settle, tolerance, &mut batch) {
        batch.put(Item::Failed(error), BATCH);
    }
    batch.send();
}

struct Batch<'a> {
    items: Vec<Item>,
    bytes: u64,
    out: &'a SyncSender<Vec<Item>>,
}

impl Batch<'_> {
    /// False if nobody listens.
    fn put(&mut self, item: Item, bytes: u64) -> bool {
        self.items.push(item);
        self.bytes += bytes;
        self.bytes < BATCH || self.send()
    }

    fn send(&mut self) -> bool {
        self.bytes = 0;
        self.items.is_empty() || self.out.send(std::mem::take(&mut self.items)).is_ok()
    }
}

fn read(path: &Path, settle: bool, tolerance: u64, batch: &mut Batch<'_>) -> io::Result<()> {
    let mut segment = Segment::open(path)?;
    if !batch.put(Item::Page { page: segment.page, size: segment.size }, 0) {
        return Ok(());
    }
    let mut position = FIRST;
    let mut waits: Option<(Instant, Duration)> = None;
    loop {
        let fault = match segment.place(position)? {
            Place::End => return Ok(()),
            Place::Block(header) => {
                waits = None;
                let scanned = records(&mut segment, position, header, tolerance)?;
                position += header.size() as u64;
                if !batch.put(Item::Block(Box::new(scanned)), header.size() as u64) {
                    return Ok(());
                }
                continue;
            }
            Place::Zeros => {
                if segment.data_end(position)? == position {
                    return Ok(());
                }
                None
            }
            Place::Bad { fault, torn } => Some((fault, torn)),
        };
        if settle {
            let (since, limit) = match waits {
                Some(wait) => wait,
                None => {
                    let followed = segment.next_block(position)?.is_some();
                    *waits.insert((Instant::now(), if followed { SETTLE_FOLLOWED } else { SETTLE }))
                }
            };
            if since.elapsed() < limit {
                // Perhaps it is being written just now.
                std::thread::sleep(SETTLE_PAUSE);
                segment.refresh();
                continue;
            }
        }
        let words = fault.map_or_else(|| "zeros where a block should be".to_owned(), |(fault, _)| fault.to_string());
        let code = fault.map_or(Code::Del, |(fault, torn)| code_of(fault, torn));
        match segment.next_block(position)? {
            Some(next) => {
                let code = if code == Code::Trunc { Code::Mod } else { code };
                if !batch.put(Item::Damage { position, code, words, next }, BATCH) {
                    return Ok(());
                }
                position = next;
                waits = None;
            }
            None => {
                let bytes = segment.data_end(position)? - position;
                let code = if fault.is_none() { Code::Trunc } else { code };
                let words = match settle {
                    true => format!("{words}; its writer runs and may be writing it still: verify again"),
                    false => words,
                };
                batch.put(Item::Tail { position, bytes, code, words }, BATCH);
                return Ok(());
            }
        }
    }
}

/// What a fault at the end or in the middle is called. A sector of zeros inside a block is what an unfinished write
/// leaves; without one the block was whole once.
fn code_of(fault: crate::block::Fault, torn: bool) -> Code {
    use crate::block::Fault;
    match fault {
        Fault::Cut => Code::Trunc,
        _ if torn => Code::Trunc,
        Fault::Magic | Fault::Version(_) | Fault::HeaderSum | Fault::Length => Code::Hdr,
        Fault::Reserved => Code::Enc,
        Fault::PayloadSum | Fault::Framing | Fault::Trailer | Fault::Root => Code::Mod,
    }
}

fn records(segment: &mut Segment, position: u64, header: Header, tolerance: u64) -> io::Result<Scanned> {
    let bytes = segment.block(position, &header)?;
    let mut scanned = Scanned {
        position,
        header,
        hash: header_hash(bytes.head),
        begins: None,
        stepped: None,
        clocks: None,
        ends: false,
        events: Vec::new(),
    };
    let mut before: Option<(u64, u64)> = None;
    let mut record = Record::empty();
    for (number, bytes) in (0u64..).zip(Records::of(bytes.payload)) {
        let sequence = header.first_record.wrapping_add(number);
        if let Err(strange) = record.read(bytes) {
            scanned.wrong(sequence, (0, 0), Code::Enc, format!("record {sequence}: {strange}"));
            continue;
        }
        let clock = (record.wall_ns, record.mono_ns);
        if record.sequence != sequence {
            let what = format!("record {sequence} calls itself {}", record.sequence);
            scanned.wrong(sequence, clock, Code::Reord, what);
        }
        let step = (record.kind == kind::CLOCK_STEP).then(|| record.step());
        match before {
            None => {
                scanned.stepped = step;
                scanned.begins =
                    (record.kind == kind::EPOCH_START && number == 0).then(|| record.number(field::TORN_BYTES));
            }
            Some(_) if record.kind == kind::EPOCH_START => {
                let what = format!("record {sequence} starts an epoch inside a block");
                scanned.wrong(sequence, clock, Code::Sem, what);
            }
            Some(before) => {
                if let Err(what) = clock::follows(before, clock, step, tolerance) {
                    scanned.wrong(sequence, clock, Code::Clk, format!("record {sequence}: {what}"));
                }
            }
        }
        if scanned.ends {
            scanned.wrong(sequence, clock, Code::Sem, format!("record {sequence} follows the end of its epoch"));
        }
        scanned.ends = record.kind == kind::EPOCH_END;
        scanned.clocks = Some([scanned.clocks.map_or(clock, |clocks| clocks[0]), clock]);
        before = Some(clock);
        if record.kind == kind::EPOCH_START && number > 0 {
            continue;
        }
        if let Some(what) = meaning(&record) {
            scanned.events.push(Event { sequence, wall_ns: clock.0, mono_ns: clock.1, what });
        }
    }
    Ok(scanned)
}

impl Scanned {
    fn wrong(&mut self, sequence: u64, clock: (u64, u64), code: Code, what: String) {
        let what = What::Wrong(code, what.into_boxed_str());
        self.events.push(Event { sequence, wall_ns: clock.0, mono_ns: clock.1, what });
    }
}

fn meaning(record: &Record<'_>) -> Option<What> {
    let session: Sid = record.fixed(field::SESSION);
    let statement = record.number(field::STATEMENT);
    Some(match record.kind {
        kind::INTENT => What::Intent { session, statement },
        kind::RESULT => {
            let outcome = match record.bytes(field::OUTCOME) {
                b"ok" => Outcome::Ok,
                b"unknown_crash" => Outcome::UnknownCrash,
                _ => Outcome::Other,
            };
            What::Result { session, statement, rows: record.number(field::ROWS), outcome }
        }
        kind::RELEASE => What::Release {
            session,
            statement,
            number: record.number(field::RELEASE_NUMBER),
            rows: record.number(field::ROWS),
        },
        kind::SESSION_OPEN => What::Open(Box::new(Open {
            session,
            target: record.text(field::TARGET).into(),
            mode: record.text(field::MODE).into(),
            person: record.actor(1).into(),
            role: record.actor(2).into(),
            commitment: record.has(field::COMMITMENT).then(|| record.fixed(field::COMMITMENT)),
        })),
        kind::SESSION_CLOSE => What::Close { session },
        kind::REC_SEG => What::Recorded(Box::new(Recorded {
            session,
            segment: record.number(field::SEGMENT_NUMBER),
            chunks: record.number(field::CHUNKS),
            bytes: record.number(field::BYTES),
            last: record.fixed(field::CHUNK_HASH),
            ends: record.has(field::REASON),
        })),
        kind::EPOCH_START => What::Start { previous: record.fixed(field::PREVIOUS), clean: record.has(field::CLEAN) },
        kind::EPOCH_END => What::End,
        kind::HEARTBEAT => What::Heartbeat { interval: record.number(field::INTERVAL) },
        kind::GAP => What::Outage,
        kind::LOG_MODE if !record.has(field::TARGET) => What::Outage,
        kind::LOG_MODE => What::Mode(Box::new((record.text(field::TARGET).into(), record.text(field::MODE).into()))),
        _ => return act(record).map(|act| What::Act(Box::new(act))),
    })
}

fn act(record: &Record<'_>) -> Option<Act> {
    let text = |key| record.text(key).to_owned();
    Some(match record.kind {
        kind::KEY_ROTATE => Act::Rotate { key: text(field::KEY) },
        kind::NODE_ENROLL => Act::Enroll { origin: text(field::ORIGIN), key: text(field::KEY) },
        kind::NODE_RETIRE => Act::Retire { origin: text(field::ORIGIN) },
        kind::ANCHOR => Act::Anchor {
            kind: text(field::KIND),
            size: record.number(field::TREE_SIZE),
            root: record.fixed(field::TREE_ROOT),
        },
        kind::HOLD_SET => Act::Hold { name: text(field::KIND), query: text(field::DETAIL) },
        kind::HOLD_CLEAR => Act::Release { name: text(field::KIND) },
        kind::PURGE => Act::Purge {
            kind: text(field::KIND),
            order: text(field::DETAIL),
            sessions: record.list(field::SESSIONS).into_iter().filter_map(|id| id.try_into().ok()).collect(),
            signatures: record
                .list(field::SIGNATURES)
                .into_iter()
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect(),
        },
        kind::APPROVAL => Act::Approval {
            step: match record.text(field::KIND) {
                "grant" => Step::Grant,
                "consume" => Step::Consume,
                "end" => Step::End,
                _ => return None,
            },
            id: record.text(field::ID).into(),
            digest: record.fixed(field::APPROVED),
            statement: (record.fixed(field::SESSION), record.number(field::STATEMENT)),
        },
        _ => return None,
    })
}
