//! The desk: where people's acts on the log are recorded (replays, exports, holds, purges), by the tools they use.
//!
//! The desk is one more core of the log, number [`DESK`], with a lock of its own, so that it can be written while the
//! gateway runs and while it does not. Each call is one epoch in one segment that appears whole or not at all: a crash
//! leaves nothing unfinished behind. What the desk cannot record must not be done. Not here: who may do what.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::record::{Clock, Record};
use crate::recover::{self, RECOVERED, RecoverError};
use crate::ring::Ring;
use crate::segment::{self, DirectoryLock, HEADER_PAGE_BYTES, SegmentHeader};

/// Number of the desk among the cores.
pub const DESK: u16 = u16::MAX;

/// How long other tools at the desk are waited for: several may come first, and each waits for a disk a few times.
const WAIT: Duration = Duration::from_secs(60);

/// Memory for the records of one call.
const RING_BYTES: usize = 16 << 20;

/// Why an act was not recorded.
#[derive(Debug)]
pub enum DeskError {
    /// The desk's log is in use, damaged, or the file system failed.
    Recover(RecoverError),
    /// The file system failed.
    Io(io::Error),
    /// More than one call may record.
    TooMuch,
}

impl fmt::Display for DeskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Recover(error) => error.fmt(f),
            Self::Io(error) => write!(f, "the act cannot be recorded in the audit log: {error}"),
            Self::TooMuch => f.write_str("the act is too long to be recorded"),
        }
    }
}

impl std::error::Error for DeskError {}

impl From<RecoverError> for DeskError {
    fn from(error: RecoverError) -> Self {
        Self::Recover(error)
    }
}

impl From<io::Error> for DeskError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Records acts, durably, in order; the sequence numbers they got at the desk. `build` is the program's version,
/// `seed` random.
///
/// # Errors
/// Another tool keeps the desk for more than ten seconds, the desk's log is damaged, or the file system failed: then
/// what was to be recorded must not happen.
pub fn write(directory: &Path, build: &str, seed: [u8; 32], acts: &[Record<'_>]) -> Result<Vec<u64>, DeskError> {
    let folder = segment::core_directory(directory, DESK);
    let _lock = lock(&folder)?;
    let last = recover::recover(directory, DESK)?;
    let node = match last.node {
        Some(node) => node,
        None => node_of(directory)?.unwrap_or_else(|| recover::derive(&seed, u32::MAX)),
    };
    let (epoch, nonce) = (last.epoch + 1, recover::derive(&seed, u32::from(DESK)));
    let mut ring = Ring::new(node, DESK, epoch, nonce, last.previous_header, last.next_record_seq, RING_BYTES)
        .starting_at_block(last.next_block_seq);
    let mut append = |record: &Record<'_>| {
        ring.append(Clock::now(), record).map(|recorded| recorded.sequence()).map_err(|_| DeskError::TooMuch)
    };
    let (previous, clean, torn_bytes) = (last.previous_header, last.clean, last.torn_bytes);
    append(&Record::EpochStart { build, previous, clean, torn_bytes })?;
    if !clean {
        let session = crate::record::SessionId([0; 16]);
        append(&Record::Alarm { session, kind: RECOVERED, detail: "the desk" })?;
    }
    let mut sequences = Vec::with_capacity(acts.len());
    for act in acts {
        sequences.push(append(act)?);
    }
    append(&Record::EpochEnd)?;
    let mut blocks = Vec::new();
    while ring.seal(Clock::now(), &mut blocks).is_some() {}
    let segment_bytes = HEADER_PAGE_BYTES + blocks.len() as u64;
    let header = SegmentHeader { node, core: DESK, cores: 0, epoch, epoch_nonce: nonce, segment_bytes };
    place(&folder, &header, &blocks, last.next_block_seq)?;
    Ok(sequences)
}

/// The segment appears under its name only when all of it is on the disk.
fn place(folder: &Path, header: &SegmentHeader, blocks: &[u8], first_block: u64) -> io::Result<()> {
    let path = folder.join(segment::PREPARED);
    let write = || -> io::Result<()> {
        let mut file = segment::create_private(&path)?;
        file.write_all(&header.encode())?;
        file.write_all(blocks)?;
        file.sync_all()
    };
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    write().and_then(|()| segment::publish(&path, first_block)).map(drop).inspect_err(|_| {
        // Best effort: the next call removes it too.
        let _ = fs::remove_file(&path);
    })
}

fn lock(folder: &Path) -> Result<DirectoryLock, DeskError> {
    let began = Instant::now();
    loop {
        if let Some(lock) = DirectoryLock::take(folder)? {
            return Ok(lock);
        }
        if began.elapsed() > WAIT {
            return Err(RecoverError::Locked(folder.to_owned()).into());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// The node that the other cores' segments name.
pub(crate) fn node_of(directory: &Path) -> io::Result<Option<[u8; 16]>> {
    for core in segment::cores(directory)? {
        for (_, path) in segment::segments(&segment::core_directory(directory, core))? {
            let mut page = [0; HEADER_PAGE_BYTES as usize];
            let read = File::open(path).and_then(|mut file| io::Read::read_exact(&mut file, &mut page));
            if read.is_ok()
                && let Some(header) = SegmentHeader::decode(&page)
            {
                return Ok(Some(header.node));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::record::Actor;
    use crate::{Body, Filter};

    fn export(directory: &Path, detail: &str) -> Vec<u64> {
        let actor = Actor { issuer: "os", subject: "ana", role: "" };
        let act = Record::Export { actor, reason: "", kind: "json", detail, count: 1 };
        write(directory, "test", [7; 32], &[act]).unwrap()
    }

    #[test]
    fn acts_are_recorded_beside_a_running_gateway_and_without_one() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(export(directory.path(), "first"), [2]);
        let opened = recover::open(directory.path(), 2, [1; 32]).unwrap();
        // The gateway takes over the node that the desk was the first to write for.
        assert_eq!(Some(opened.cores[0].node), node_of(directory.path()).unwrap());
        assert_eq!(opened.cores.len(), 2);
        assert_eq!(export(directory.path(), "second"), [5]);
        drop(opened);
        let all = crate::show(directory.path(), Filter::default()).unwrap();
        let details: Vec<_> = all
            .filter_map(|entry| match entry.unwrap().record.body {
                Body::Export { detail, .. } => Some(detail),
                _ => None,
            })
            .collect();
        assert_eq!(details, ["first", "second"]);
    }

    #[test]
    fn tools_at_the_desk_wait_for_each_other() {
        let directory = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for n in 0..4 {
                let path = directory.path();
                scope.spawn(move || {
                    for k in 0..5 {
                        export(path, &format!("{n}/{k}"));
                    }
                });
            }
        });
        let entries = crate::show(directory.path(), Filter::default()).unwrap();
        let acts = entries.filter(|e| matches!(e.as_ref().unwrap().record.body, Body::Export { .. })).count();
        assert_eq!(acts, 20);
    }
}
