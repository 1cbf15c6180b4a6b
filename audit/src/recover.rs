//! What a crash left: where each core's log ends, and what was under way.
//!
//! A log ends at the first page that is no good block. Zeros from there on are an orderly end of writing; anything else
//! with nothing good behind it is a write that did not finish and was never acknowledged, and goes to quarantine; a
//! good block behind a bad one is damage, and the start is refused. Recovery changes no segment that holds a block.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::block::{ALIGN_BYTES, FLAG_LAST};
use crate::body::Body;
use crate::decode::decode_record;
use crate::desk;
use crate::record::SessionId;
use crate::segment::{self, DirectoryLock, HEADER_PAGE_BYTES, SegmentReader, Slot};

/// Outcome of a statement that was under way when the gateway died.
pub const UNKNOWN_CRASH: &str = "unknown_crash";
/// Reason of a session's end that a crash is.
pub const CRASH: &str = "crash";
/// Kind of the alarm that ends the account of a crash in a new epoch.
pub const RECOVERED: &str = "recovered";

/// A statement of a session.
pub type StatementId = (SessionId, u64);

/// Where a core's log ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Core.
    pub core: u16,
    /// Node that wrote the log; `None` for an empty log.
    pub node: Option<[u8; 16]>,
    /// Last epoch, zero for an empty log.
    pub epoch: u32,
    /// Last segment that holds a block.
    pub segment: Option<PathBuf>,
    /// End of the last block in it.
    pub position: u64,
    /// Hash of the last header, zeros for none.
    pub previous_header: [u8; 32],
    /// Number of the next block.
    pub next_block_seq: u64,
    /// Sequence number of the next record.
    pub next_record_seq: u64,
    /// The last epoch ended in good order (also true of an empty log).
    pub clean: bool,
    /// Bytes of an unfinished write behind the last block, copied to quarantine.
    pub torn_bytes: u64,
    /// Statements with an intent and no result, in order.
    pub in_doubt: Vec<StatementId>,
    /// Sessions that were open, in order.
    pub open_sessions: Vec<SessionId>,
    /// Statements that this core closed as unknown although they began on another.
    closed_for_others: Vec<StatementId>,
    /// The same of sessions.
    sessions_of_others: Vec<SessionId>,
}

/// Kinds of damage that recovery names, as the verifier does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Code {
    /// A header page that does not hold.
    Hdr,
    /// Blocks are missing.
    Del,
    /// Blocks or records stand in another order.
    Reord,
    /// Something is there that belongs to another log.
    Ins,
    /// Good blocks follow damage.
    Mid,
    /// An encoding that no writer produces.
    Enc,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hdr => "E-HDR",
            Self::Del => "E-DEL",
            Self::Reord => "E-REORD",
            Self::Ins => "E-INS",
            Self::Mid => "E-MID",
            Self::Enc => "E-ENC",
        })
    }
}

/// Why the gateway must not start on this directory.
#[derive(Debug)]
pub enum RecoverError {
    /// Another process writes here.
    Locked(PathBuf),
    /// The file system failed.
    Io(PathBuf, io::Error),
    /// The log is damaged in a way no crash explains.
    Damaged {
        /// What kind of damage.
        code: Code,
        /// File.
        segment: PathBuf,
        /// Where in it.
        position: u64,
        /// In words.
        what: String,
    },
}

impl fmt::Display for RecoverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked(path) => {
                write!(f, "the audit directory {} is in use by another gateway", path.display())
            }
            Self::Io(path, error) => write!(f, "audit directory: {}: {error}", path.display()),
            Self::Damaged { code, segment, position, what } => write!(
                f,
                "{code}: the audit log is damaged at byte {position} of {}: {what}; the gateway does not start on it. \
                 Keep the directory as evidence, run `tidegate audit verify`, and start with another directory",
                segment.display()
            ),
        }
    }
}

impl std::error::Error for RecoverError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> RecoverError + '_ {
    move |error| RecoverError::Io(path.to_owned(), error)
}

/// Position in the chain after the last accepted block.
#[derive(Clone, Copy)]
struct Chain {
    previous: [u8; 32],
    next_block: u64,
    next_record: u64,
    last_flags: u16,
    epoch: u32,
}

#[derive(Default)]
struct Statements {
    open: BTreeSet<StatementId>,
    closed_for_others: Vec<StatementId>,
    sessions: BTreeSet<SessionId>,
    sessions_of_others: Vec<SessionId>,
    /// The first epoch looked at accounts for everything before it.
    settled: Option<bool>,
    first_epoch: u32,
}

impl Statements {
    fn record(&mut self, epoch: u32, body: &Body) {
        match body {
            Body::EpochStart { clean, previous, .. } if self.settled.is_none() => {
                self.settled = Some(*clean || *previous == [0; 32]);
                self.first_epoch = epoch;
            }
            Body::Alarm { kind, .. } if kind == RECOVERED && epoch == self.first_epoch => self.settled = Some(true),
            Body::SessionOpen { session, .. } => {
                self.sessions.insert(*session);
            }
            Body::SessionClose { session, reason, .. } => {
                let known = self.sessions.remove(session);
                if !known && reason == CRASH {
                    self.sessions_of_others.push(*session);
                }
            }
            Body::Intent { session, statement, .. } => {
                self.open.insert((*session, *statement));
            }
            Body::Result { session, statement, outcome, .. } => {
                let known = self.open.remove(&(*session, *statement));
                if !known && outcome == UNKNOWN_CRASH {
                    self.closed_for_others.push((*session, *statement));
                }
            }
            _ => {}
        }
    }
}

struct Scan {
    chain: Option<Chain>,
    /// End of the last block, and the segment it is in.
    end: Option<(usize, u64)>,
    torn: Option<(usize, u64, u64)>,
    statements: Statements,
}

/// Follows the chain through the given segments.
fn scan(segments: &[(u64, PathBuf)], core: u16) -> Result<Scan, RecoverError> {
    let mut scan = Scan { chain: None, end: None, torn: None, statements: Statements::default() };
    for (index, (first, path)) in segments.iter().enumerate() {
        let damaged =
            |code, position, what: String| RecoverError::Damaged { code, segment: path.clone(), position, what };
        let mut reader = SegmentReader::open(path).map_err(at(path))?;
        let Some(mine) = reader.header else {
            return Err(damaged(Code::Hdr, 0, "the header page of the segment is not valid".to_owned()));
        };
        if mine.core != core {
            return Err(damaged(Code::Hdr, 0, format!("the segment belongs to core {}", mine.core)));
        }
        // What an earlier segment ends with is explained by this one only if the chain goes on without a loss.
        let mut position = HEADER_PAGE_BYTES;
        let mut begun = false;
        while let Slot::Block(block) = reader.slot(position).map_err(at(path))? {
            let header = block.header;
            if !begun && header.block_seq != *first {
                return Err(damaged(
                    Code::Reord,
                    position,
                    "the file's name is not the number of its first block".to_owned(),
                ));
            }
            if (header.node, header.core, header.epoch, header.epoch_nonce)
                != (mine.node, mine.core, mine.epoch, mine.epoch_nonce)
            {
                return Err(damaged(Code::Ins, position, "the block is of another log or epoch".to_owned()));
            }
            let size = header.block_bytes() as u64;
            if let Some(chain) = &scan.chain {
                // A block whose sync failed is written again, unchanged, at the start of a fresh segment.
                if !begun && header.block_seq + 1 == chain.next_block && block.hash == chain.previous {
                    (begun, position) = (true, position + size);
                    scan.end = Some((index, position));
                    continue;
                }
                if header.block_seq != chain.next_block
                    || header.previous != chain.previous
                    || header.first_record_seq != chain.next_record
                {
                    return Err(damaged(
                        Code::Del,
                        position,
                        format!(
                            "block {} does not follow block {}",
                            header.block_seq,
                            chain.next_block.wrapping_sub(1)
                        ),
                    ));
                }
            }
            for (sequence, bytes) in block.records() {
                match decode_record(bytes) {
                    Ok(record) if record.sequence == sequence => scan.statements.record(header.epoch, &record.body),
                    Ok(record) => {
                        let what = format!("record {sequence} calls itself {}", record.sequence);
                        return Err(damaged(Code::Reord, position, what));
                    }
                    Err(error) => return Err(damaged(Code::Enc, position, format!("record {sequence}: {error}"))),
                }
            }
            scan.chain = Some(Chain {
                previous: block.hash,
                next_block: header.block_seq + 1,
                next_record: header.first_record_seq + u64::from(header.records),
                last_flags: header.flags,
                epoch: header.epoch,
            });
            (begun, position) = (true, position + size);
            scan.end = Some((index, position));
        }
        let data_end = reader.data_end(position).map_err(at(path))?;
        if data_end > position
            && let Some(valid) = reader.next_block(position).map_err(at(path))?
        {
            let what = format!("a good block follows at byte {valid}");
            return Err(damaged(Code::Mid, position, what));
        }
        scan.torn = (data_end > position).then_some((index, position, data_end - position));
        if !begun && index + 1 < segments.len() {
            return Err(damaged(Code::Mid, position, "the segment holds no block, but a later one exists".to_owned()));
        }
    }
    Ok(scan)
}

/// Finds the end of a core's log. Moves segments without a block and torn tails to quarantine.
///
/// # Errors
/// Damage, or the file system's failures.
pub fn recover(directory: &Path, core: u16) -> Result<Recovered, RecoverError> {
    let folder = segment::core_directory(directory, core);
    let mut segments = segment::segments(&folder).map_err(at(&folder))?;
    // What is moved away leaves no trace in the log: only the tail that stays is stated by the next epoch.
    let mut moved_bytes = 0;

    // The newest file may hold no block yet: its space was made ready and nothing, or half a block, was written.
    while let Some((_, path)) = segments.last() {
        let mut reader = SegmentReader::open(path).map_err(at(path))?;
        let end = reader.data_end(HEADER_PAGE_BYTES).map_err(at(path))?;
        if end > HEADER_PAGE_BYTES
            && reader.header.is_some()
            && reader.next_block(HEADER_PAGE_BYTES).map_err(at(path))?.is_some()
        {
            break;
        }
        if reader.header.is_none() {
            return Err(RecoverError::Damaged {
                code: Code::Hdr,
                segment: path.clone(),
                position: 0,
                what: "the header page of the segment is not valid".to_owned(),
            });
        }
        if end > HEADER_PAGE_BYTES {
            moved_bytes += end - HEADER_PAGE_BYTES;
            segment::set_aside(path).map_err(at(path))?;
        } else {
            fs::remove_file(path).map_err(at(path))?;
            segment::sync_directory(&folder).map_err(at(&folder))?;
        }
        segments.pop();
    }

    let mut recovered = Recovered {
        core,
        node: None,
        epoch: 0,
        segment: None,
        position: 0,
        previous_header: [0; 32],
        next_block_seq: 0,
        next_record_seq: 1,
        clean: moved_bytes == 0,
        torn_bytes: 0,
        in_doubt: Vec::new(),
        open_sessions: Vec::new(),
        closed_for_others: Vec::new(),
        sessions_of_others: Vec::new(),
    };
    if segments.is_empty() {
        return Ok(recovered);
    }

    // An epoch that was closed leaves nothing in doubt: its last segment is enough. Otherwise go back to the start of
    // the epoch, and further while an epoch does not account for the one before it.
    let mut from = segments.len() - 1;
    let found = loop {
        let found = scan(&segments[from..], core)?;
        let closed = found.chain.is_some_and(|chain| chain.last_flags & FLAG_LAST != 0) && found.torn.is_none();
        if from == 0 || closed || found.statements.settled == Some(true) {
            break found;
        }
        let epoch =
            SegmentReader::open(&segments[from - 1].1).map_err(at(&segments[from - 1].1))?.header.map(|h| h.epoch);
        from -= 1;
        while from > 0 {
            let path = &segments[from - 1].1;
            if SegmentReader::open(path).map_err(at(path))?.header.map(|header| header.epoch) != epoch {
                break;
            }
            from -= 1;
        }
    };
    let (Some(chain), Some((index, position))) = (found.chain, found.end) else { return Ok(recovered) };
    let path = &segments[from + index].1;
    // What was read may so far be in the page cache alone; a new epoch must not outlive what it builds on.
    File::open(path).and_then(|file| file.sync_all()).map_err(at(path))?;
    if let Some((index, position, bytes)) = found.torn {
        let path = &segments[from + index].1;
        segment::keep_tail(path, position, bytes).map_err(at(path))?;
        recovered.torn_bytes += bytes;
    }
    recovered.node = SegmentReader::open(path).map_err(at(path))?.header.map(|header| header.node);
    recovered.epoch = chain.epoch;
    recovered.segment = Some(path.clone());
    recovered.position = position;
    recovered.previous_header = chain.previous;
    recovered.next_block_seq = chain.next_block;
    recovered.next_record_seq = chain.next_record;
    recovered.clean = chain.last_flags & FLAG_LAST != 0 && recovered.torn_bytes == 0 && moved_bytes == 0;
    if chain.last_flags & FLAG_LAST == 0 {
        recovered.in_doubt = found.statements.open.into_iter().collect();
        recovered.open_sessions = found.statements.sessions.into_iter().collect();
    }
    recovered.closed_for_others = found.statements.closed_for_others;
    recovered.sessions_of_others = found.statements.sessions_of_others;
    debug_assert_eq!(position % ALIGN_BYTES as u64, 0);
    Ok(recovered)
}

/// Everything a core's writer needs to begin a new epoch. Can be sent to the core's thread.
#[derive(Clone, Debug)]
pub struct CoreStart {
    /// Folder of the core's segments; exists.
    pub directory: PathBuf,
    /// Node.
    pub node: [u8; 16],
    /// Core.
    pub core: u16,
    /// Cores that write in this epoch.
    pub cores: u16,
    /// The new epoch.
    pub epoch: u32,
    /// Its nonce on this core.
    pub epoch_nonce: [u8; 16],
    /// Hash of the last header, zeros for none.
    pub previous_header: [u8; 32],
    /// Number of the first block to write.
    pub next_block_seq: u64,
    /// Sequence number of the first record to append.
    pub next_record_seq: u64,
    /// The epoch before ended in good order.
    pub clean: bool,
    /// Bytes of an unfinished write.
    pub torn_bytes: u64,
    /// Statements to close as [`UNKNOWN_CRASH`].
    pub in_doubt: Vec<StatementId>,
    /// Sessions to close for the reason [`CRASH`].
    pub open_sessions: Vec<SessionId>,
    /// Folder of the core's segments in the spare directory, if there is one; exists.
    pub spare: Option<PathBuf>,
}

/// An audit directory that is ours to write.
#[derive(Debug)]
pub struct Opened {
    /// Keep until the last writer is done.
    pub lock: DirectoryLock,
    /// One for each core.
    pub cores: Vec<CoreStart>,
}

/// Locks the directory (created if missing), recovers every core's log and prepares a new epoch for `cores` cores.
/// `seed` must be random; from it come the epoch's nonces and, for an empty directory, the node's id.
///
/// # Errors
/// Another gateway has the directory, the log is damaged, or the file system failed: do not start.
pub fn open(directory: &Path, cores: u16, seed: [u8; 32]) -> Result<Opened, RecoverError> {
    open_with_spare(directory, None, cores, seed)
}

/// The same, with a directory on another disk that is written while this one fails. Readers find it through the link
/// `spare`, which is made here.
///
/// # Errors
/// As [`open`]; also if the log has another spare directory already that holds a part of it.
pub fn open_with_spare(
    directory: &Path,
    spare: Option<&Path>,
    cores: u16,
    seed: [u8; 32],
) -> Result<Opened, RecoverError> {
    let locked =
        |path: &Path| DirectoryLock::take(path).map_err(at(path))?.ok_or_else(|| RecoverError::Locked(path.to_owned()));
    let mut lock = locked(directory)?;
    if let Some(spare) = spare {
        lock.join(locked(spare)?);
        segment::link_spare(directory, spare).map_err(at(spare))?;
    }
    let mut found = Vec::new();
    let mut known = segment::cores(directory).map_err(at(directory))?;
    // The desk has its own lock; a tool may be writing there now.
    known.retain(|core| *core != desk::DESK);
    known.extend((0..cores).filter(|core| !known.contains(core)).collect::<Vec<_>>());
    known.sort_unstable();
    for core in known {
        found.push(recover(directory, core)?);
    }
    let node = match found.iter().find_map(|core| core.node) {
        Some(node) => node,
        None => desk::node_of(directory).map_err(at(directory))?.unwrap_or_else(|| derive(&seed, u32::MAX)),
    };
    let epoch = found.iter().map(|core| core.epoch).max().unwrap_or(0) + 1;
    let elsewhere: BTreeSet<StatementId> =
        found.iter().flat_map(|core| core.closed_for_others.iter().copied()).collect();
    let closed: BTreeSet<SessionId> = found.iter().flat_map(|core| core.sessions_of_others.iter().copied()).collect();
    let mut starts: Vec<CoreStart> = Vec::with_capacity(usize::from(cores));
    // A core that no longer runs cannot close its own statements; the first core does.
    let mut orphans = (Vec::new(), Vec::new());
    for core in found {
        if let Some(other) = core.node.filter(|other| *other != node) {
            return Err(RecoverError::Damaged {
                code: Code::Ins,
                segment: core.segment.unwrap_or_default(),
                position: 0,
                what: format!("core {} has the log of another node ({})", core.core, crate::render::hex(&other)),
            });
        }
        let in_doubt = core.in_doubt.into_iter().filter(|statement| !elsewhere.contains(statement));
        let open_sessions = core.open_sessions.into_iter().filter(|session| !closed.contains(session));
        if core.core >= cores {
            orphans.0.extend(in_doubt);
            orphans.1.extend(open_sessions);
            continue;
        }
        let path = segment::core_directory(directory, core.core);
        segment::create_core_directory(&path).map_err(at(&path))?;
        segment::remove_prepared(&path).map_err(at(&path))?;
        let spare = match spare {
            None => None,
            Some(_) => {
                let path = segment::core_directory(&directory.join(segment::SPARE), core.core);
                segment::create_core_directory(&path).map_err(at(&path))?;
                segment::remove_prepared(&path).map_err(at(&path))?;
                Some(path)
            }
        };
        starts.push(CoreStart {
            directory: path,
            node,
            core: core.core,
            cores,
            epoch,
            epoch_nonce: derive(&seed, u32::from(core.core)),
            previous_header: core.previous_header,
            next_block_seq: core.next_block_seq,
            next_record_seq: core.next_record_seq,
            clean: core.clean,
            torn_bytes: core.torn_bytes,
            in_doubt: in_doubt.collect(),
            open_sessions: open_sessions.collect(),
            spare,
        });
    }
    if let Some(first) = starts.first_mut() {
        first.in_doubt.append(&mut orphans.0);
        first.open_sessions.append(&mut orphans.1);
    }
    Ok(Opened { lock, cores: starts })
}

pub(crate) fn derive(seed: &[u8; 32], label: u32) -> [u8; 16] {
    let digest = Sha256::new_with_prefix(seed).chain_update(label.to_le_bytes()).finalize();
    let mut out = [0; 16];
    out.copy_from_slice(&digest[..16]);
    out
}
