//! The verifier: reads every byte of every core's log once, in order, and says what does not hold.
//!
//! Written apart from the writer and from recovery; shares with them only the block and record decoders. Memory is one
//! block and the statements under way. It never goes on quietly: what cannot be explained is a finding. It does not
//! know what the end of the log should be unless it is given an earlier head, so a cut between two blocks at the very
//! end shows only against such a head.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::block::{Block, BlockError, FLAG_AFTER_CRASH, FLAG_LAST};
use crate::body::{Body, OwnedRecord};
use crate::decode::decode_record;
use crate::recover::{StatementId, UNKNOWN_CRASH};
use crate::report::statement_name;
pub use crate::report::{
    Code, CoreReport, EXIT_CANNOT_VERIFY, EXIT_CLEAN, EXIT_FINDINGS, FINDINGS_MAX, Finding, Head, Report,
};
use crate::segment::{self, DirectoryLock, HEADER_PAGE_BYTES, SegmentReader, Slot};

/// Statements in doubt that are named one by one.
const DOUBTS_NAMED: usize = 20;
/// A log that is being written gets this long to finish the block at its end.
const TAIL_TRIES: u32 = 40;
const TAIL_PAUSE: Duration = Duration::from_millis(50);

/// Verifies a whole audit directory.
#[must_use]
pub fn verify(directory: &Path) -> Report {
    verify_against(directory, &[])
}

/// Verifies a directory, and that it still contains the heads that an earlier report showed.
#[must_use]
pub fn verify_against(directory: &Path, known: &[Head]) -> Report {
    let mut report = Report::default();
    if let Err(why) = run(directory, known, &mut report) {
        report.unreadable = Some(why);
    }
    report
}

fn run(directory: &Path, known: &[Head], report: &mut Report) -> Result<(), String> {
    std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let cores = segment::cores(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    if cores.is_empty() && known.is_empty() {
        return Err(format!("{} holds no audit log", directory.display()));
    }
    let mut doubts = BTreeMap::new();
    let mut closed_for_others = Vec::new();
    let mut seen_epochs: BTreeSet<(u32, u16)> = BTreeSet::new();
    let mut stated_cores: BTreeMap<u32, u16> = BTreeMap::new();
    let mut damaged = false;
    for &core in &cores {
        let folder = segment::core_directory(directory, core);
        let fail = |error: io::Error| format!("{}: {error}", folder.display());
        let segments = segment::segments(&folder).map_err(fail)?;
        let live = DirectoryLock::is_held(directory);
        let known = known.iter().filter(|head| head.core == core).map(|head| (head.block_seq, head.hash)).collect();
        let mut checker = Checker::new(core, segments, live, known, report);
        checker.run().map_err(fail)?;
        for (epoch, count) in &checker.epochs {
            seen_epochs.insert((*epoch, core));
            let stated = stated_cores.entry(*epoch).or_default();
            *stated = (*stated).max(*count);
        }
        damaged |= checker.damaged;
        closed_for_others.append(&mut checker.closed_for_others);
        doubts.extend(std::mem::take(&mut checker.open).into_iter().map(|statement| (statement, core)));
    }
    for head in known.iter().filter(|head| !cores.contains(&head.core)) {
        let what = format!("the log of core {} is gone; block {} is known to have existed", head.core, head.block_seq);
        report.add(Finding { code: Code::Trunc, core: head.core, segment: String::new(), position: 0, what });
    }
    for (epoch, count) in stated_cores {
        for core in (0..count).filter(|core| !seen_epochs.contains(&(epoch, *core))) {
            let what = format!("no segment of epoch {epoch}, in which {count} cores wrote");
            report.add(Finding { code: Code::Core, core, segment: String::new(), position: 0, what });
        }
    }
    for (statement, core) in closed_for_others {
        if doubts.remove(&statement).is_none() && !damaged {
            let what = format!("{} ends without having begun", statement_name(&statement));
            report.add(Finding { code: Code::Sem, core, segment: String::new(), position: 0, what });
        }
    }
    report.in_doubt = doubts.len() as u64;
    for (statement, core) in doubts.iter().take(DOUBTS_NAMED) {
        let what = format!("{} has no result", statement_name(statement));
        report.add(Finding { code: Code::Doubt, core: *core, segment: String::new(), position: 0, what });
    }
    if doubts.len() > DOUBTS_NAMED {
        let what = format!("{} more statements have no result", doubts.len() - DOUBTS_NAMED);
        report.add(Finding { code: Code::Doubt, core: 0, segment: String::new(), position: 0, what });
    }
    Ok(())
}

/// What the next block must be.
#[derive(Clone, Copy, Debug)]
struct Expected {
    block: u64,
    record: u64,
    previous: [u8; 32],
}

/// A segment's end that is not zeros and holds no further block; the next segment must explain it.
struct Tail {
    segment: String,
    position: u64,
    bytes: u64,
    code: Code,
    what: String,
}

struct Checker<'r> {
    core: u16,
    segments: Vec<(u64, PathBuf)>,
    live: bool,
    known: BTreeMap<u64, [u8; 32]>,
    report: &'r mut Report,
    counts: CoreReport,
    expected: Option<Expected>,
    /// Segment and position that findings are about.
    segment: String,
    position: u64,
    tail: Option<Tail>,
    epoch: u32,
    ended: bool,
    /// Header hashes that an epoch started from.
    parents: HashSet<[u8; 32]>,
    /// Blocks that were skipped over and may still turn up.
    missing: BTreeSet<u64>,
    /// Epochs and the number of cores that their segments state.
    epochs: BTreeMap<u32, u16>,
    open: BTreeSet<StatementId>,
    closed_for_others: Vec<(StatementId, u16)>,
    /// Something was found on this core: do not report its consequences.
    damaged: bool,
}

impl<'r> Checker<'r> {
    fn new(
        core: u16,
        segments: Vec<(u64, PathBuf)>,
        live: bool,
        known: BTreeMap<u64, [u8; 32]>,
        report: &'r mut Report,
    ) -> Self {
        Self {
            core,
            segments,
            live,
            known,
            report,
            counts: CoreReport { core, ..CoreReport::default() },
            expected: None,
            segment: String::new(),
            position: 0,
            tail: None,
            epoch: 0,
            ended: false,
            parents: HashSet::new(),
            missing: BTreeSet::new(),
            epochs: BTreeMap::new(),
            open: BTreeSet::new(),
            closed_for_others: Vec::new(),
            damaged: false,
        }
    }

    fn find(&mut self, code: Code, what: impl Into<String>) {
        self.damaged |= code.is_error();
        let segment = self.segment.clone();
        self.report.add(Finding { code, core: self.core, segment, position: self.position, what: what.into() });
    }

    fn run(&mut self) -> io::Result<()> {
        for index in 0..self.segments.len() {
            self.segment_file(index)?;
        }
        if let Some(tail) = self.tail.take() {
            (self.segment, self.position) = (tail.segment, tail.position);
            self.find(tail.code, tail.what);
        }
        let missing: Vec<_> = self.known.keys().copied().collect();
        for block in missing {
            self.segment.clear();
            let what = format!("block {block} is known to have existed and is gone");
            self.find(Code::Trunc, what);
        }
        self.counts.segments = self.segments.len() as u64;
        self.counts.epochs = self.epochs.len() as u64;
        self.counts.closed = self.ended;
        self.report.cores.push(std::mem::take(&mut self.counts));
        Ok(())
    }

    fn segment_file(&mut self, index: usize) -> io::Result<()> {
        let (name, path) = self.segments[index].clone();
        self.segment = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        self.position = 0;
        let mut reader = SegmentReader::open(&path)?;
        self.header_page(&reader);
        let mut position = HEADER_PAGE_BYTES;
        let mut begun = false;
        let mut tries = 0;
        loop {
            self.position = position;
            let (error, torn) = match reader.slot(position)? {
                Slot::Block(block) => {
                    position += block.header.block_bytes() as u64;
                    tries = 0;
                    self.first_in_segment(&mut begun, name, &block);
                    self.block(&block, index, position)?;
                    continue;
                }
                Slot::End => return Ok(()),
                Slot::Zeros => (None, true),
                Slot::Bad { error, torn } => (Some(error), torn),
            };
            if error.is_none() && reader.data_end(position)? == position {
                return Ok(());
            }
            if self.live && index + 1 == self.segments.len() && tries < TAIL_TRIES {
                // Perhaps it is being written just now.
                tries += 1;
                std::thread::sleep(TAIL_PAUSE);
                continue;
            }
            let code = error.map_or(Code::Del, |error| code_of(error, torn));
            let words = error.map_or_else(|| "zeros where a block should be".to_owned(), |error| error.to_string());
            if let Some(next) = reader.next_block(position)? {
                self.find(if code == Code::Trunc { Code::Mod } else { code }, words);
                self.find(Code::Mid, format!("good blocks follow at byte {next}"));
                self.expected = None;
                (position, begun) = (next, true);
                continue;
            }
            let bytes = reader.data_end(position)? - position;
            let code = if error.is_none() { Code::Trunc } else { code };
            let what = if code == Code::Trunc {
                format!("{bytes} bytes of an unfinished or damaged block at the end ({words})")
            } else {
                words
            };
            self.replace_tail(Tail { segment: self.segment.clone(), position, bytes, code, what });
            return Ok(());
        }
    }

    /// A tail that nothing explained before the next one turned up.
    fn replace_tail(&mut self, tail: Tail) {
        if let Some(old) = self.tail.replace(tail) {
            let place = (
                std::mem::replace(&mut self.segment, old.segment),
                std::mem::replace(&mut self.position, old.position),
            );
            self.find(old.code, old.what);
            (self.segment, self.position) = place;
        }
    }

    fn header_page(&mut self, reader: &SegmentReader) {
        let Some(header) = reader.header else {
            let (code, what) = if reader.bytes < HEADER_PAGE_BYTES {
                (Code::Trunc, "the segment ends within its header page")
            } else {
                (Code::Hdr, "the header page of the segment is not valid")
            };
            return self.find(code, what);
        };
        if reader.bytes < header.segment_bytes {
            let what = format!("the segment has {} bytes of {}", reader.bytes, header.segment_bytes);
            self.find(Code::Trunc, what);
        } else if reader.bytes > header.segment_bytes {
            let what = format!("the segment has {} bytes and should have {}", reader.bytes, header.segment_bytes);
            self.find(Code::Ins, what);
        }
        if header.core != self.core {
            self.find(Code::Ins, format!("the segment belongs to core {}", header.core));
        }
        let node = *self.report.node.get_or_insert(header.node);
        if node != header.node {
            self.find(Code::Ins, format!("the segment belongs to another node, {}", crate::render::hex(&header.node)));
        }
        let stated = self.epochs.entry(header.epoch).or_default();
        *stated = (*stated).max(header.cores);
    }

    fn first_in_segment(&mut self, begun: &mut bool, name: u64, block: &Block<'_>) {
        if !std::mem::replace(begun, true) && block.header.block_seq != name {
            self.find(
                Code::Reord,
                format!("the segment begins with block {}, not with that of its name", block.header.block_seq),
            );
        }
    }

    /// A block whose bytes hold: does it follow, and do its records make sense?
    fn block(&mut self, block: &Block<'_>, index: usize, end: u64) -> io::Result<()> {
        let header = &block.header;
        if header.core != self.core || self.report.node.is_some_and(|node| node != header.node) {
            self.find(Code::Ins, "the block belongs to another log");
            return Ok(());
        }
        if let Some(hash) = self.known.remove(&header.block_seq)
            && hash != block.hash
        {
            self.find(Code::Fork, format!("block {} is not the one that was known", header.block_seq));
        }
        let wanted = self.expected.or_else(|| {
            // A log begins at the beginning; after damage, anywhere.
            let begins = self.counts.blocks == 0 && index == 0 && self.position == HEADER_PAGE_BYTES;
            begins.then_some(Expected { block: 0, record: 1, previous: [0; 32] })
        });
        if let Some(wanted) = wanted
            && !self.follows(block, wanted, index, end)?
        {
            return Ok(());
        }
        self.explain_tail(block);
        self.counts.blocks += 1;
        self.counts.records += u64::from(header.records);
        self.counts.bytes += header.block_bytes() as u64;
        self.counts.wall_ns =
            Some((self.counts.wall_ns.map_or(header.wall_ns[0], |(first, _)| first), header.wall_ns[1]));
        self.counts.head = Some(Head { core: self.core, block_seq: header.block_seq, hash: block.hash });
        self.records(block);
        self.expected = Some(Expected {
            block: header.block_seq + 1,
            record: header.first_record_seq + u64::from(header.records),
            previous: block.hash,
        });
        Ok(())
    }

    /// Is this the next block? If not, says what it is, and whether to go on from it.
    fn follows(&mut self, block: &Block<'_>, wanted: Expected, index: usize, end: u64) -> io::Result<bool> {
        let header = &block.header;
        let number = header.block_seq;
        if number == wanted.block && header.previous == wanted.previous {
            if header.first_record_seq != wanted.record {
                let what = format!("record {} should come next, not {}", wanted.record, header.first_record_seq);
                self.find(Code::Del, what);
            }
            return Ok(true);
        }
        if epoch_start(block).is_some() && self.parents.contains(&header.previous) {
            self.find(Code::Fork, format!("block {number} starts an epoch from a point where another one starts"));
            return Ok(number >= wanted.block);
        }
        if number == wanted.block {
            self.find(Code::Hdr, format!("block {number} does not carry the hash of the header before it"));
            return Ok(true);
        }
        if number > wanted.block {
            let last = number - 1;
            let what = if last == wanted.block {
                format!("block {last}")
            } else {
                format!("blocks {} to {last}", wanted.block)
            };
            if self.exists_later(wanted.block, index, end)? {
                self.find(Code::Reord, format!("{what} come only later"));
                // Only a few: an attacker's block number must not become an allocation.
                self.missing.extend((wanted.block..number).take(1024));
            } else {
                self.find(Code::Del, format!("{what} missing"));
            }
            return Ok(true);
        }
        if block.hash == wanted.previous && self.position == HEADER_PAGE_BYTES {
            // Its sync failed, so it was written again at the start of a fresh segment.
            self.explain_tail(block);
            self.find(Code::Copy, format!("block {number} was written again after a disk error"));
        } else if !self.missing.remove(&number) {
            self.find(Code::Ins, format!("block {number} is there once more, or was put there later"));
        }
        Ok(false)
    }

    /// Does a good block with this number stand behind the given place?
    fn exists_later(&self, number: u64, index: usize, from: u64) -> io::Result<bool> {
        let mut position = from;
        for (_, path) in &self.segments[index..] {
            let mut reader = SegmentReader::open(path)?;
            while let Some(at) = reader.next_block(position)? {
                let Slot::Block(block) = reader.slot(at)? else { break };
                if block.header.block_seq == number {
                    return Ok(true);
                }
                position = at + block.header.block_bytes() as u64;
            }
            position = HEADER_PAGE_BYTES;
        }
        Ok(false)
    }

    /// The segment before ended in bytes that are no block. If the chain goes on without a loss they were never
    /// acknowledged: written again in this segment, or declared by the epoch that starts here.
    fn explain_tail(&mut self, block: &Block<'_>) {
        let Some(tail) = self.tail.take() else { return };
        let declared = epoch_start(block);
        let place =
            (std::mem::replace(&mut self.segment, tail.segment), std::mem::replace(&mut self.position, tail.position));
        let chained = self
            .expected
            .is_some_and(|wanted| block.header.previous == wanted.previous || block.hash == wanted.previous)
            || (self.expected.is_none() && self.counts.blocks == 0 && block.header.previous == [0; 32]);
        if !chained || declared.is_some_and(|torn| torn != tail.bytes) {
            self.find(tail.code, tail.what);
        } else {
            let why = if declared.is_some() { "of a crash" } else { "of a failed write" };
            self.find(Code::Torn, format!("{} unacknowledged bytes {why}", tail.bytes));
        }
        (self.segment, self.position) = place;
    }

    fn records(&mut self, block: &Block<'_>) {
        let header = &block.header;
        let mut number = 0;
        let mut first = None;
        let mut last = None;
        for (sequence, bytes) in block.records() {
            let record = match decode_record(bytes) {
                Ok(record) => record,
                Err(error) => {
                    self.find(Code::Enc, format!("record {sequence}: {error}"));
                    continue;
                }
            };
            if record.sequence != sequence {
                self.find(Code::Reord, format!("record {sequence} calls itself {}", record.sequence));
            }
            if number == 0 {
                self.epoch_begins(block, &record);
                first = Some(record.clock);
            } else if matches!(record.body, Body::EpochStart { .. }) {
                self.find(Code::Sem, format!("record {sequence} starts an epoch inside a block"));
            }
            if self.ended && !matches!(record.body, Body::EpochStart { .. }) {
                self.find(Code::Sem, format!("record {sequence} follows the end of its epoch"));
            }
            last = Some((record.clock, matches!(record.body, Body::EpochEnd)));
            self.meaning(sequence, &record.body);
            number += 1;
        }
        let (Some(first), Some((last, ends))) = (first, last) else { return };
        if header.wall_ns != [first.wall_ns, last.wall_ns] || header.mono_ns != [first.mono_ns, last.mono_ns] {
            self.find(Code::Sem, "the header's times are not those of its records");
        }
        if ends != (header.flags & FLAG_LAST != 0) {
            self.find(Code::Sem, "the header's last-block flag contradicts its records");
        }
        self.ended = ends;
    }

    fn epoch_begins(&mut self, block: &Block<'_>, record: &OwnedRecord) {
        let header = &block.header;
        let mut after_crash = false;
        if let Body::EpochStart { previous, clean, .. } = &record.body {
            after_crash = !clean;
            if header.epoch <= self.epoch {
                self.find(Code::Sem, format!("epoch {} starts after epoch {}", header.epoch, self.epoch));
            }
            if *previous != header.previous {
                self.find(Code::Sem, "the epoch's start names another predecessor than its header");
            }
            if *clean && self.epoch != 0 && !self.ended && !self.damaged {
                self.find(Code::Sem, "the epoch claims an orderly end of the one before, which has none");
            }
            self.ended = false;
            self.parents.insert(*previous);
        } else if header.epoch != self.epoch && !self.damaged {
            self.find(Code::Sem, format!("epoch {} does not begin with its start record", header.epoch));
        }
        if after_crash != (header.flags & FLAG_AFTER_CRASH != 0) {
            self.find(Code::Sem, "the header's after-crash flag contradicts its records");
        }
        self.epoch = header.epoch;
    }

    fn meaning(&mut self, sequence: u64, body: &Body) {
        match body {
            Body::Intent { session, statement, .. } => {
                let statement = (*session, *statement);
                if !self.open.insert(statement) && !self.damaged {
                    self.find(Code::Sem, format!("record {sequence}: {} begins twice", statement_name(&statement)));
                }
            }
            Body::Result { session, statement, outcome, .. } => {
                let statement = (*session, *statement);
                if self.open.remove(&statement) {
                } else if outcome == UNKNOWN_CRASH {
                    self.closed_for_others.push((statement, self.core));
                } else if !self.damaged {
                    let what =
                        format!("record {sequence}: {} has a result before its intent", statement_name(&statement));
                    self.find(Code::Sem, what);
                }
            }
            _ => {}
        }
    }
}

/// If the block begins an epoch: the bytes of the unfinished write that its start declares.
fn epoch_start(block: &Block<'_>) -> Option<u64> {
    let (_, bytes) = block.records().next()?;
    match decode_record(bytes) {
        Ok(OwnedRecord { body: Body::EpochStart { torn_bytes, .. }, .. }) => Some(torn_bytes),
        _ => None,
    }
}

/// A sector of zeros inside a block is what an unfinished write leaves; without one the block was written and changed.
fn code_of(error: BlockError, torn: bool) -> Code {
    match error {
        BlockError::Truncated => Code::Trunc,
        _ if torn => Code::Trunc,
        BlockError::Magic | BlockError::Version(_) | BlockError::HeaderChecksum | BlockError::Length => Code::Hdr,
        BlockError::Reserved => Code::Enc,
        BlockError::PayloadChecksum | BlockError::Framing | BlockError::Trailer | BlockError::Root => Code::Mod,
    }
}
