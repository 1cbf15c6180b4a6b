//! Reading the log as it grows: per core in order, from a cursor, only what is durable and checkpointed.
//!
//! A block is given out after the file it stands in has been synced since it was read, so nothing leaves that a crash
//! could still take back. Memory: one block at a time and the open sessions of each core.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use audit::block::{ALIGN_BYTES, Block, BlockHeader, HEADER_BYTES, PAYLOAD_BYTES_MAX, block_bytes};
use audit::record::SessionId;
use audit::segment::{HEADER_PAGE_BYTES, core_directory, cores, open_live, segments};
use audit::{Body, Entry, decode_block, decode_record};

use crate::covered::Covered;
use crate::cursor::{Position, Positions};
use crate::event::Event;

/// One core's end of the log.
struct CoreTail {
    core: u16,
    folder: PathBuf,
    /// Records up to this one were given out (or acknowledged before).
    sequence: u64,
    next_block: u64,
    segment: Option<(u64, PathBuf, File)>,
    offset: u64,
    sessions: HashMap<SessionId, Facts>,
    /// Block of the last record that was given out.
    block: u64,
    /// Records of a block, decoded and durable, not given out yet.
    ready: VecDeque<Entry>,
}

struct Facts {
    user: Rc<str>,
    target: Rc<str>,
    block: u64,
    epoch: u32,
}

/// What a look at one place of a segment found.
enum Found {
    Block(Vec<u8>, Box<BlockHeader>),
    /// Zeros, or a write under way, or the end of the file.
    Nothing,
}

impl CoreTail {
    fn open(directory: &Path, core: u16, from: Position) -> Self {
        Self {
            core,
            folder: core_directory(directory, core),
            sequence: from.sequence,
            next_block: from.block,
            segment: None,
            offset: 0,
            sessions: HashMap::new(),
            block: from.block,
            ready: VecDeque::new(),
        }
    }

    /// Reads the next block into `ready`; `false` if there is none that may leave.
    fn fill(&mut self, covered: &Covered) -> io::Result<bool> {
        loop {
            // Not even looked at: pages of the file that are cached are in the way of who writes them.
            if !covered.has(self.core, self.next_block) {
                return Ok(false);
            }
            let Some((first, path, file)) = &self.segment else {
                let Some((first, path)) = self.segment_of(self.next_block)? else { return Ok(false) };
                let file = open_live(&path)?;
                self.segment = Some((first, path, file));
                self.offset = HEADER_PAGE_BYTES;
                continue;
            };
            match look(file, self.offset)? {
                Found::Block(bytes, header) => {
                    if header.block_seq < self.next_block {
                        // Behind the cursor, or written a second time after a disk error.
                        self.offset += block_bytes(header.payload_len as usize) as u64;
                        continue;
                    }
                    if !covered.has(self.core, header.block_seq) {
                        return Ok(false);
                    }
                    file.sync_data()?;
                    if header.block_seq > self.next_block && self.sequence > 0 {
                        // Not ours to judge, but not to be passed over in silence either.
                        let (core, from, to) = (self.core, self.next_block, header.block_seq);
                        tracing::error!(
                            "core {core}: blocks {from} to {} are missing; run `tidegate audit verify`",
                            to - 1
                        );
                    }
                    let Ok(block) = decode_block(&bytes) else { return Ok(false) };
                    self.offset += block_bytes(header.payload_len as usize) as u64;
                    self.next_block = header.block_seq + 1;
                    self.take(&block)?;
                    if !self.ready.is_empty() {
                        return Ok(true);
                    }
                }
                Found::Nothing => {
                    // The log goes on in another file, or not yet. Looked at again: the block may have come between.
                    let Some((next, path)) = self.segment_after(*first, path)? else { return Ok(false) };
                    if let Found::Block(..) = look(file, self.offset)? {
                        continue;
                    }
                    let file = open_live(&path)?;
                    self.segment = Some((next, path, file));
                    self.offset = HEADER_PAGE_BYTES;
                }
            }
        }
    }

    fn take(&mut self, block: &Block<'_>) -> io::Result<()> {
        let header = block.header;
        for (sequence, bytes) in block.records() {
            let record = decode_record(bytes).map_err(|error| {
                let what = format!("core {} record {sequence}: {error}", self.core);
                io::Error::new(io::ErrorKind::InvalidData, what)
            })?;
            let body = &record.body;
            if let Body::SessionOpen { session, actor, target, .. } = body {
                let facts = Facts {
                    user: actor.subject.as_str().into(),
                    target: target.as_str().into(),
                    block: header.block_seq,
                    epoch: header.epoch,
                };
                self.sessions.insert(*session, facts);
            }
            let facts = body.session().and_then(|session| self.sessions.get(&session));
            let (mut user, mut target) =
                facts.map_or((None, None), |f| (Some(Rc::clone(&f.user)), Some(Rc::clone(&f.target))));
            match body {
                Body::AuthFail { user: asked, .. } => user = Some(asked.as_str().into()),
                Body::PolicyLoad { target: of, .. } => target = Some(of.as_str().into()),
                // What ends or is given by itself has nobody who acts; then it is whom it is about.
                Body::Access(access) => {
                    let who = [&access.actor.subject, &access.about.subject].into_iter().find(|who| !who.is_empty());
                    user = who.map(|who| who.as_str().into()).or(user);
                    if !access.target.is_empty() {
                        target = Some(access.target.as_str().into());
                    }
                }
                Body::Approval(approval) => {
                    user = Some(approval.actor.subject.as_str().into());
                    target = Some(approval.target.as_str().into());
                }
                Body::ReplayView { actor, .. }
                | Body::Export { actor, .. }
                | Body::Review { actor, .. }
                | Body::HoldSet { actor, .. }
                | Body::HoldClear { actor, .. }
                | Body::Purge { actor, .. } => user = Some(actor.subject.as_str().into()),
                _ => {}
            }
            let (core, epoch, block_seq) = (self.core, header.epoch, header.block_seq);
            let entry = Entry { core, epoch, block_seq, record, user, target };
            if sequence > self.sequence {
                self.ready.push_back(entry);
            } else {
                self.past(&entry);
            }
        }
        Ok(())
    }

    /// A record was given out, or had been before: sessions that it ends need not be known any longer.
    fn past(&mut self, entry: &Entry) {
        match &entry.record.body {
            Body::SessionClose { session, .. } => {
                self.sessions.remove(session);
            }
            // Sessions that a crash cut off are accounted for by the epoch after it.
            Body::EpochStart { .. } => self.sessions.retain(|_, facts| facts.epoch.saturating_add(1) >= entry.epoch),
            _ => {}
        }
    }

    /// Where to begin again when everything up to the last record given out is acknowledged.
    fn position(&self) -> Position {
        let open = self.sessions.values().map(|facts| facts.block).min();
        let block = open.map_or(self.block, |open| open.min(self.block));
        Position { sequence: self.sequence, block }
    }

    /// The last segment that begins at or before a block; the first one if that is gone.
    fn segment_of(&self, block: u64) -> io::Result<Option<(u64, PathBuf)>> {
        let segments = segments(&self.folder)?;
        let before = segments.iter().rev().find(|(first, _)| *first <= block);
        Ok(before.or_else(|| segments.first()).cloned())
    }

    /// The segment behind this one. After a disk error two begin with one number, and the second goes on.
    fn segment_after(&self, first: u64, path: &Path) -> io::Result<Option<(u64, PathBuf)>> {
        let segments = segments(&self.folder)?;
        let next = match segments.iter().position(|(_, other)| other == path) {
            Some(at) => segments.get(at + 1),
            None => segments.iter().find(|(other, _)| *other >= first),
        };
        Ok(next.cloned())
    }
}

fn look(file: &File, offset: u64) -> io::Result<Found> {
    let mut head = [0; HEADER_BYTES];
    match file.read_exact_at(&mut head, offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Found::Nothing),
        read => read?,
    }
    let Ok(header) = BlockHeader::decode(&head) else { return Ok(Found::Nothing) };
    let length = block_bytes((header.payload_len as usize).min(PAYLOAD_BYTES_MAX));
    debug_assert!(length.is_multiple_of(ALIGN_BYTES));
    let mut bytes = vec![0; length];
    match file.read_exact_at(&mut bytes, offset) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(Found::Nothing),
        read => read?,
    }
    Ok(if decode_block(&bytes).is_ok() { Found::Block(bytes, Box::new(header)) } else { Found::Nothing })
}

/// All cores' ends of the log.
pub(crate) struct Tail {
    directory: PathBuf,
    origin: String,
    include_text: bool,
    from: Positions,
    cores: BTreeMap<u16, CoreTail>,
    covered: Covered,
    turn: u16,
}

impl Tail {
    pub(crate) fn open(directory: &Path, origin: &str, include_text: bool, from: Positions) -> Self {
        Self {
            directory: directory.to_owned(),
            origin: origin.to_owned(),
            include_text,
            from,
            cores: BTreeMap::new(),
            covered: Covered::of(directory),
            turn: 0,
        }
    }

    /// Begins again from these positions.
    pub(crate) fn rewind(&mut self, to: Positions) {
        self.from = to;
        self.cores.clear();
    }

    /// The next events, at most so many; empty when there are none now. Cores take turns.
    pub(crate) fn batch(&mut self, most: usize) -> io::Result<Vec<Event>> {
        self.covered.refresh()?;
        for core in cores(&self.directory)? {
            let from = self.from.get(&core).copied().unwrap_or_default();
            self.cores.entry(core).or_insert_with(|| CoreTail::open(&self.directory, core, from));
        }
        let mut order: Vec<u16> = self.cores.keys().copied().collect();
        let turn = order.iter().position(|core| *core > self.turn).unwrap_or(0);
        order.rotate_left(turn);
        let mut events = Vec::new();
        for core in order {
            let Some(tail) = self.cores.get_mut(&core) else { continue };
            while events.len() < most {
                if tail.ready.is_empty() && !tail.fill(&self.covered)? {
                    break;
                }
                while events.len() < most
                    && let Some(entry) = tail.ready.pop_front()
                {
                    (tail.sequence, tail.block) = (entry.record.sequence, entry.block_seq);
                    tail.past(&entry);
                    events.push(Event::of(&entry, &self.origin, self.include_text));
                    self.turn = core;
                }
            }
        }
        Ok(events)
    }

    /// Positions behind everything that was given out.
    pub(crate) fn positions(&self) -> Positions {
        let mut positions = self.from.clone();
        positions.extend(self.cores.iter().map(|(core, tail)| (*core, tail.position())));
        positions
    }

    /// Records in the log that were not given out yet, by the headers of the blocks behind them.
    pub(crate) fn behind(&self) -> io::Result<u64> {
        let mut records = 0u64;
        for tail in self.cores.values() {
            let Some((_, path)) = segments(&tail.folder)?.into_iter().next_back() else { continue };
            let (file, mut last) = match &tail.segment {
                // The one being read: go on from there.
                Some((_, current, file)) if *current == path => (file.try_clone()?, tail.sequence),
                Some(_) | None => (File::open(&path)?, tail.sequence),
            };
            let mut offset = HEADER_PAGE_BYTES;
            let mut head = [0; HEADER_BYTES];
            while file.read_exact_at(&mut head, offset).is_ok()
                && let Ok(header) = BlockHeader::decode(&head)
            {
                last = last.max(header.first_record_seq + u64::from(header.records) - 1);
                offset += block_bytes(header.payload_len as usize) as u64;
            }
            records += last.saturating_sub(tail.sequence);
        }
        Ok(records)
    }
}

#[cfg(test)]
mod tests;
