//! One core's log in order: is each block the one that must come next, and do its records make sense?
//!
//! Fed by the workers of [`crate::scan`]. Invariants: what cannot be explained is a finding, named once: consequences of
//! damage are not reported as further damage. The end of a log is taken as it is; only a kept head or a signed
//! checkpoint (see `tree`) knows where it should be.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::PathBuf;

use crate::block::{AFTER_CRASH, LAST};
use crate::clock;
use crate::hex;
use crate::meaning::{Meaning, Statement};
use crate::merkle::Hash;
use crate::report::{Code, CoreReport, Finding, Head, Place, Report};
use crate::scan::{Item, Scanned, What};
use crate::segment::{self, FIRST, Page, Segment};

/// Blocks that come too late and are still waited for. An invented number must not become an allocation.
const MISSING_MAX: usize = 1024;
/// Times that the rest of a log is searched for a block.
const SEARCHES_MAX: u32 = 16;

/// What the next block must be.
#[derive(Clone, Copy, Debug)]
struct Next {
    block: u64,
    record: u64,
    previous: Hash,
}

/// Bytes behind a segment's last block; the next block must explain them.
struct Tail {
    place: Place,
    bytes: u64,
    code: Code,
    words: String,
}

/// What all cores of a log share.
#[derive(Default)]
pub(crate) struct Shared {
    /// Node, by the first header page.
    pub(crate) node: Option<[u8; 16]>,
    /// Cores that wrote, by epoch.
    pub(crate) wrote: BTreeSet<(u32, u16)>,
    /// Cores that header pages say write, by epoch.
    pub(crate) stated: BTreeMap<u32, u16>,
    /// Statements that began on another core, which is gone, and were closed here.
    pub(crate) closed_for_others: Vec<(Statement, u16)>,
    /// Statements without a result.
    pub(crate) doubts: BTreeMap<Statement, u16>,
    /// Acts on the log, with place and time.
    pub(crate) acts: Vec<crate::meaning::Acted>,
    /// Points that an epoch started from, and the block that does: by core.
    pub(crate) parents: BTreeMap<(u16, Hash), Hash>,
    /// What the log commits to beside itself.
    pub(crate) beside: crate::meaning::Beside,
    /// Wall clock of the last record of any core.
    pub(crate) last_wall_ns: u64,
    /// Something was found: do not report its consequences.
    pub(crate) damaged: bool,
}

/// Follows one core.
pub(crate) struct Chain<'r> {
    core: u16,
    log: usize,
    segments: &'r [(u64, PathBuf)],
    report: &'r mut Report,
    shared: &'r mut Shared,
    tolerance: u64,
    /// Segment now being read, and whether a block of it was seen.
    index: usize,
    begun: bool,
    place: Place,
    /// Heads that somebody kept.
    known: BTreeMap<u64, Hash>,
    counts: CoreReport,
    next: Option<Next>,
    tail: Option<Tail>,
    epoch: u32,
    epochs: HashSet<u32>,
    ended: bool,
    last_clock: Option<(u64, u64)>,
    parents: HashSet<Hash>,
    missing: BTreeSet<u64>,
    searches: u32,
    meaning: Meaning,
    damaged: bool,
}

impl<'r> Chain<'r> {
    pub(crate) fn new(
        (log, core): (usize, u16),
        segments: &'r [(u64, PathBuf)],
        known: BTreeMap<u64, Hash>,
        tolerance: u64,
        shared: &'r mut Shared,
        report: &'r mut Report,
    ) -> Self {
        Self {
            core,
            log,
            segments,
            report,
            shared,
            tolerance,
            index: 0,
            begun: false,
            place: Place::core(core),
            known,
            counts: CoreReport { core, segments: segments.len() as u64, ..CoreReport::default() },
            next: None,
            tail: None,
            epoch: 0,
            epochs: HashSet::new(),
            ended: false,
            last_clock: None,
            parents: HashSet::new(),
            missing: BTreeSet::new(),
            searches: 0,
            meaning: Meaning::default(),
            damaged: false,
        }
    }

    fn find(&mut self, code: Code, what: impl Into<String>) {
        self.damaged |= code.is_error();
        self.report.add(Finding { code, log: self.log, place: self.place.clone(), what: what.into() });
    }

    fn find_at(&mut self, place: Place, code: Code, what: String) {
        let here = std::mem::replace(&mut self.place, place);
        self.find(code, what);
        self.place = here;
    }

    /// The next segment begins.
    pub(crate) fn enter(&mut self, index: usize) {
        self.index = index;
        self.begun = false;
        let name = self.segments[index].1.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.place = Place { core: Some(self.core), file: name, position: 0 };
    }

    /// What a worker found next.
    pub(crate) fn item(&mut self, item: Item) -> io::Result<()> {
        match item {
            Item::Page { page, size } => self.page(page, size),
            Item::Block(block) => {
                self.place.position = block.position;
                self.block(*block)?;
            }
            Item::Damage { position, code, words, next } => {
                self.place.position = position;
                self.find(code, words);
                self.find(Code::Mid, format!("good blocks follow at byte {next}"));
                self.next = None;
                self.begun = true;
            }
            Item::Tail { position, bytes, code, words } => {
                self.place.position = position;
                let words = if code == Code::Trunc {
                    format!("{bytes} bytes of an unfinished or damaged block at the end ({words})")
                } else {
                    words
                };
                let tail = Tail { place: self.place.clone(), bytes, code, words };
                if let Some(old) = self.tail.replace(tail) {
                    self.find_at(old.place, old.code, old.words);
                }
            }
            Item::Failed(error) => return Err(error),
        }
        Ok(())
    }

    /// The last segment was read.
    pub(crate) fn finish(mut self) {
        if let Some(tail) = self.tail.take() {
            self.find_at(tail.place, tail.code, tail.words);
        }
        for block in std::mem::take(&mut self.known).into_keys() {
            let what = format!("block {block} is known to have existed and is gone");
            self.find_at(Place::core(self.core), Code::Trunc, what);
        }
        if let Some(what) = self.meaning.finish(self.last_clock) {
            self.find(Code::Gapq, what);
        }
        self.counts.epochs = self.epochs.len() as u64;
        self.counts.closed = self.ended;
        self.shared.damaged |= self.damaged;
        let core = self.core;
        let (open, acts, beside) = self.meaning.take();
        self.shared.doubts.extend(open.into_iter().map(|statement| (statement, core)));
        self.shared.acts.extend(acts);
        self.shared.beside.merge(beside);
        let last = self.counts.wall_ns.map_or(0, |(_, last)| last);
        self.shared.last_wall_ns = self.shared.last_wall_ns.max(last);
        if let Some(log) = self.report.logs.get_mut(self.log) {
            log.node = self.shared.node;
            log.cores.push(self.counts);
        }
    }

    fn page(&mut self, page: Option<Page>, size: u64) {
        let Some(page) = page else {
            let (code, what) = if size < FIRST {
                (Code::Trunc, "the segment ends within its header page")
            } else {
                (Code::Hdr, "the header page of the segment is not valid")
            };
            return self.find(code, what);
        };
        if size < page.size {
            self.find(Code::Trunc, format!("the segment has {size} bytes of {}", page.size));
        } else if size > page.size {
            self.find(Code::Ins, format!("the segment has {size} bytes and should have {}", page.size));
        }
        if page.core != self.core {
            self.find(Code::Ins, format!("the segment belongs to core {}", page.core));
        }
        if *self.shared.node.get_or_insert(page.node) != page.node {
            self.find(Code::Ins, format!("the segment belongs to another node, {}", hex::text(&page.node)));
        }
        self.epochs.insert(page.epoch);
        self.shared.wrote.insert((page.epoch, self.core));
        // The desk is not one of the cores that the gateway runs.
        if self.core != crate::DESK {
            let stated = self.shared.stated.entry(page.epoch).or_default();
            *stated = (*stated).max(page.cores);
        }
    }

    fn block(&mut self, block: Scanned) -> io::Result<()> {
        let header = &block.header;
        let number = header.number;
        let sound = !self.damaged || self.index == 0 && block.position == FIRST;
        if !std::mem::replace(&mut self.begun, true) && number != self.segments[self.index].0 {
            self.find(Code::Reord, format!("the segment begins with block {number}, not with that of its name"));
        }
        if header.core != self.core || self.shared.node.is_some_and(|node| node != header.node) {
            self.find(Code::Ins, "the block belongs to another log");
            return Ok(());
        }
        if self.known.remove(&number).is_some_and(|hash| hash != block.hash) {
            self.find(Code::Fork, format!("block {number} is not the one that was known"));
        }
        if self.next.is_none() && self.counts.blocks == 0 && sound {
            // A log begins at its beginning, even if its first segments are empty; after damage, anywhere.
            self.next = Some(Next { block: 0, record: 1, previous: [0; 32] });
        }
        if let Some(next) = self.next
            && !self.follows(&block, next)?
        {
            return Ok(());
        }
        self.explain_tail(&block);
        self.counts.blocks += 1;
        self.counts.records += u64::from(header.records);
        self.counts.bytes += header.size() as u64;
        let first = self.counts.wall_ns.map_or(header.wall_ns[0], |(first, _)| first);
        self.counts.wall_ns = Some((first, header.wall_ns[1]));
        self.counts.head = Some(Head { core: self.core, block: number, hash: block.hash });
        self.next = Some(Next { block: number.wrapping_add(1), record: header.next_record(), previous: block.hash });
        self.records(block);
        Ok(())
    }

    /// Is this the block that must come next? If not: what it is, and does the log go on from it?
    fn follows(&mut self, block: &Scanned, next: Next) -> io::Result<bool> {
        let header = &block.header;
        let number = header.number;
        if number == next.block && header.previous == next.previous {
            if header.first_record != next.record {
                let what = format!("record {} should come next, not {}", next.record, header.first_record);
                self.find(Code::Del, what);
            }
            return Ok(true);
        }
        if block.begins.is_some() && self.parents.contains(&header.previous) && block.hash != next.previous {
            self.find(Code::Fork, format!("block {number} starts an epoch from a point where another one starts"));
            return Ok(number >= next.block);
        }
        if number == next.block {
            self.find(Code::Hdr, format!("block {number} does not carry the hash of the header before it"));
            return Ok(true);
        }
        if number > next.block {
            let last = number - 1;
            let what = match next.block {
                first if first == last => format!("block {last}"),
                first => format!("blocks {first} to {last}"),
            };
            if self.stands_later(next.block, block)? {
                self.find(Code::Reord, format!("{what} come only later"));
                self.missing.extend((next.block..number).take(MISSING_MAX));
            } else {
                self.find(Code::Del, format!("{what} missing"));
            }
            return Ok(true);
        }
        if block.hash == next.previous && block.position == FIRST {
            // Its sync failed, so it was written again at the start of a fresh segment.
            self.explain_tail(block);
            self.find(Code::Copy, format!("block {number} was written again after a disk error"));
        } else if !self.missing.remove(&number) {
            self.find(Code::Ins, format!("block {number} is there once more, or was put there later"));
        }
        Ok(false)
    }

    /// Does a good block with this number stand behind the given one?
    fn stands_later(&mut self, number: u64, block: &Scanned) -> io::Result<bool> {
        self.searches += 1;
        if self.searches > SEARCHES_MAX {
            return Ok(false);
        }
        let mut position = block.position + block.header.size() as u64;
        for (_, path) in &self.segments[self.index..] {
            let mut segment = Segment::open(path)?;
            while let Some(at) = segment.next_block(position)? {
                let segment::Place::Block(header) = segment.place(at)? else { break };
                if header.number == number {
                    return Ok(true);
                }
                position = at + header.size() as u64;
            }
            position = FIRST;
        }
        Ok(false)
    }

    /// A segment before this block ended in bytes that are no block. If the chain goes on without a loss they were never
    /// acknowledged: written again in this segment, or declared by the epoch that starts here.
    fn explain_tail(&mut self, block: &Scanned) {
        let Some(tail) = self.tail.take() else { return };
        let header = &block.header;
        let chained = match self.next {
            Some(next) => header.previous == next.previous || block.hash == next.previous,
            None => self.counts.blocks == 0 && header.previous == [0; 32],
        };
        if !chained || block.begins.is_some_and(|torn| torn != tail.bytes) {
            return self.find_at(tail.place, tail.code, tail.words);
        }
        let why = if block.begins.is_some() { "of a crash" } else { "of a failed write" };
        self.find_at(tail.place, Code::Torn, format!("{} unacknowledged bytes {why}", tail.bytes));
    }

    fn records(&mut self, block: Scanned) {
        let Scanned { header, events, clocks, .. } = block;
        if block.begins.is_none() && header.epoch != self.epoch && !self.damaged {
            self.find(Code::Sem, format!("epoch {} does not begin with its start record", header.epoch));
        }
        if block.begins.is_none() && self.ended {
            let what = format!("record {} follows the end of its epoch", header.first_record);
            self.find(Code::Sem, what);
        }
        self.clock(block.begins.is_some(), clocks, block.stepped);
        let mut after_crash = false;
        for event in events {
            match event.what {
                What::Wrong(code, what) => self.find(code, what.into_string()),
                What::Start { previous, clean } => {
                    after_crash |= !clean;
                    self.epoch_begins(&header, block.hash, previous, clean);
                    if let Some(what) = self.meaning.epoch_begins(event.mono_ns, self.last_clock) {
                        self.find(Code::Gapq, what);
                    }
                }
                What::End => {}
                _ => {
                    let quiet = self.damaged;
                    let (report, log, place) = (&mut *self.report, self.log, &self.place);
                    let damaged = &mut self.damaged;
                    let shared = &mut self.shared.closed_for_others;
                    self.meaning.event((self.core, header.number), event, shared, &mut |code, what| {
                        // What refers to something that was damaged cannot be judged.
                        if !quiet || code != Code::Sem {
                            *damaged |= code.is_error();
                            report.add(Finding { code, log, place: place.clone(), what });
                        }
                    });
                }
            }
        }
        if let Some([first, last]) = clocks {
            if header.wall_ns != [first.0, last.0] || header.mono_ns != [first.1, last.1] {
                self.find(Code::Sem, "the header's times are not those of its records");
            }
            if block.ends != (header.flags & LAST != 0) {
                self.find(Code::Sem, "the header's last-block flag contradicts its records");
            }
            if after_crash != (header.flags & AFTER_CRASH != 0) {
                self.find(Code::Sem, "the header's after-crash flag contradicts its records");
            }
            self.ended = block.ends;
            self.last_clock = Some(last);
        }
        self.epoch = header.epoch;
        self.epochs.insert(header.epoch);
    }

    fn clock(&mut self, begins: bool, clocks: Option<[(u64, u64); 2]>, stepped: Option<i64>) {
        let (Some(last), Some([first, _])) = (self.last_clock, clocks) else { return };
        let outcome = if begins {
            // The monotonic clock starts over with the machine.
            clock::starts_after(last.0, first.0, self.tolerance)
        } else {
            clock::follows(last, first, stepped, self.tolerance)
        };
        if let Err(what) = outcome {
            self.find(Code::Clk, what);
        }
    }

    fn epoch_begins(&mut self, header: &crate::block::Header, hash: Hash, previous: Hash, clean: bool) {
        if header.epoch <= self.epoch {
            self.find(Code::Sem, format!("epoch {} starts after epoch {}", header.epoch, self.epoch));
        }
        if previous != header.previous {
            self.find(Code::Sem, "the epoch's start names another predecessor than its header");
        }
        if clean && self.epoch != 0 && !self.ended && !self.damaged {
            self.find(Code::Sem, "the epoch claims an orderly end of the one before, which has none");
        }
        self.ended = false;
        self.parents.insert(previous);
        self.shared.parents.insert((self.core, previous), hash);
    }
}
