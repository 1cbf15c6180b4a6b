//! Reading the log in order: all cores merged by time, filtered, one block of each core in memory.
//!
//! Showing is not verifying: damaged places are reported and stepped over, and what is shown around them is only as
//! good as `verify` says.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use crate::body::{Body, OwnedRecord};
use crate::decode::decode_record;
use crate::record::SessionId;
use crate::render;
use crate::segment::{self, HEADER_PAGE_BYTES, SegmentReader, Slot};

/// A record and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Core.
    pub core: u16,
    /// Epoch.
    pub epoch: u32,
    /// Block.
    pub block_seq: u64,
    /// The record.
    pub record: OwnedRecord,
    /// Subject of the record's session, or the user name of a refused login.
    pub user: Option<Rc<str>>,
    /// Target of the record's session, or of the policy load.
    pub target: Option<Rc<str>>,
}

/// Which records are wanted; `None` asks for nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Start of the session id in hexadecimal.
    pub session: Option<String>,
    /// Subject.
    pub user: Option<String>,
    /// Target name.
    pub target: Option<String>,
    /// Type name, or the part after its first word (`intent` for `STMT_INTENT`), in any case.
    pub kind: Option<String>,
    /// Not before, nanoseconds since 1970.
    pub since_ns: Option<u64>,
    /// Not after.
    pub until_ns: Option<u64>,
    /// Only the last so many of those that pass.
    pub last: Option<usize>,
}

impl Filter {
    fn wants(&self, entry: &Entry) -> bool {
        let wall = entry.record.clock.wall_ns;
        let is = |wanted: &Option<String>, have: &Option<Rc<str>>| {
            wanted.as_deref().is_none_or(|wanted| have.as_deref() == Some(wanted))
        };
        self.since_ns.is_none_or(|since| wall >= since)
            && self.until_ns.is_none_or(|until| wall <= until)
            && is(&self.user, &entry.user)
            && is(&self.target, &entry.target)
            && self.kind.as_deref().is_none_or(|kind| is_kind(entry.record.body.name(), kind))
            && self.session.as_deref().is_none_or(|start| {
                let session = entry.record.body.session();
                session.is_some_and(|session| render::hex(&session.0).starts_with(&start.to_ascii_lowercase()))
            })
    }
}

/// Does the user's word name this type?
pub(crate) fn is_kind(name: &str, word: &str) -> bool {
    let same = |a: &str| a.eq_ignore_ascii_case(&word.replace('-', "_"));
    same(name) || name.split_once('_').is_some_and(|(_, rest)| same(rest))
}

/// A place that could not be shown.
#[derive(Debug)]
pub enum ShowError {
    /// The file system failed.
    Io(PathBuf, io::Error),
    /// No good block or record stands here; reading goes on behind it.
    Damaged {
        /// File.
        segment: PathBuf,
        /// Where in it.
        position: u64,
        /// In words.
        what: String,
    },
}

impl fmt::Display for ShowError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Damaged { segment, position, what } => {
                write!(f, "{} at byte {position}: {what}; run `tidegate audit verify`", segment.display())
            }
        }
    }
}

impl std::error::Error for ShowError {}

type Item = Result<Entry, ShowError>;

/// One core's records in order.
struct CoreReader {
    core: u16,
    segments: VecDeque<PathBuf>,
    current: Option<(PathBuf, SegmentReader, u64)>,
    ready: VecDeque<Item>,
    next_block: u64,
}

impl CoreReader {
    /// Makes the next item available, if there is one.
    fn peek(&mut self) -> Option<&Item> {
        while self.ready.is_empty() {
            if let Err(error) = self.fill()? {
                self.ready.push_back(Err(error));
                self.current = None;
            }
        }
        self.ready.front()
    }

    /// One step: opens a segment or reads a block. `None` at the end.
    fn fill(&mut self) -> Option<Result<(), ShowError>> {
        let Some((path, reader, position)) = &mut self.current else {
            let path = self.segments.pop_front()?;
            return Some(match SegmentReader::open(&path) {
                Ok(reader) => {
                    self.current = Some((path, reader, HEADER_PAGE_BYTES));
                    Ok(())
                }
                Err(error) => Err(ShowError::Io(path, error)),
            });
        };
        let what = match reader.slot(*position) {
            Err(error) => return Some(Err(ShowError::Io(path.clone(), error))),
            Ok(Slot::Block(block)) => {
                // A block that had to be written twice is shown once.
                if block.header.block_seq >= self.next_block {
                    self.next_block = block.header.block_seq + 1;
                    for (sequence, bytes) in block.records() {
                        self.ready.push_back(match decode_record(bytes) {
                            Ok(record) => Ok(Entry {
                                core: self.core,
                                epoch: block.header.epoch,
                                block_seq: block.header.block_seq,
                                record,
                                user: None,
                                target: None,
                            }),
                            Err(error) => Err(ShowError::Damaged {
                                segment: path.clone(),
                                position: *position,
                                what: format!("record {sequence}: {error}"),
                            }),
                        });
                    }
                }
                *position += block.header.block_bytes() as u64;
                return Some(Ok(()));
            }
            Ok(Slot::Bad(error)) => Some(error.to_string()),
            Ok(Slot::Zeros | Slot::End) => None,
        };
        let from = *position;
        let next = match reader.data_end(from) {
            Ok(end) if end == from => Ok(None),
            Ok(_) => reader.next_block(from),
            Err(error) => Err(error),
        };
        match (next, what) {
            (Err(error), _) => Some(Err(ShowError::Io(path.clone(), error))),
            // The log is being written: what was not there when it was read is there now.
            (Ok(Some(_)), _) if matches!(reader.slot(from), Ok(Slot::Block(_))) => Some(Ok(())),
            (Ok(Some(next)), what) => {
                *position = next;
                let what = what.unwrap_or_else(|| "zeros where a block should be".to_owned());
                self.ready.push_back(Err(ShowError::Damaged { segment: path.clone(), position: from, what }));
                Some(Ok(()))
            }
            // The end of a segment: zeros, or a write that did not finish, of which recovery and `verify` speak.
            (Ok(None), _) => {
                self.current = None;
                Some(Ok(()))
            }
        }
    }
}

/// Iterator over the wanted records of all cores.
pub struct Show {
    cores: Vec<CoreReader>,
    sessions: HashMap<SessionId, (Rc<str>, Rc<str>)>,
    filter: Filter,
    /// Filled at the first call when only the last records are wanted.
    last: Option<VecDeque<Item>>,
}

/// Opens the log for reading.
///
/// # Errors
/// The directory cannot be read, or holds no log.
pub fn show(directory: &Path, filter: Filter) -> Result<Show, ShowError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| ShowError::Io(path, error)
    };
    std::fs::read_dir(directory).map_err(failed(directory))?;
    let mut readers = Vec::new();
    let cores = segment::cores(directory).map_err(failed(directory))?;
    if cores.is_empty() && !directory.join(segment::LOCK).exists() {
        // Nothing happened, or it happened elsewhere: whoever asks must not take one for the other.
        let none = io::Error::new(io::ErrorKind::NotFound, "there is no audit log here");
        return Err(ShowError::Io(directory.to_owned(), none));
    }
    for core in cores {
        let folder = segment::core_directory(directory, core);
        let segments = segment::segments(&folder).map_err(failed(&folder))?;
        let segments = segments.into_iter().map(|(_, path)| path).collect();
        readers.push(CoreReader { core, segments, current: None, ready: VecDeque::new(), next_block: 0 });
    }
    Ok(Show { cores: readers, sessions: HashMap::new(), filter, last: None })
}

impl Show {
    /// The earliest item of all cores; errors first, where they stand.
    fn earliest(&mut self) -> Option<Item> {
        let mut best: Option<(usize, Option<(u64, u16)>)> = None;
        for (index, core) in self.cores.iter_mut().enumerate() {
            let Some(item) = core.peek() else { continue };
            let order = item.as_ref().ok().map(|entry| (entry.record.clock.wall_ns, entry.core));
            if best.is_none_or(|(_, least)| order < least) {
                best = Some((index, order));
            }
        }
        self.cores.get_mut(best?.0)?.ready.pop_front()
    }

    fn attribute(&mut self, entry: &mut Entry) {
        match &entry.record.body {
            Body::SessionOpen { session, actor, target, .. } => {
                let names: (Rc<str>, Rc<str>) = (actor.subject.as_str().into(), target.as_str().into());
                self.sessions.insert(*session, names);
            }
            Body::AuthFail { user, .. } => entry.user = Some(user.as_str().into()),
            Body::PolicyLoad { target, .. } => entry.target = Some(target.as_str().into()),
            _ => {}
        }
        let Some(session) = entry.record.body.session() else { return };
        let closed = matches!(entry.record.body, Body::SessionClose { .. });
        let names = if closed { self.sessions.remove(&session) } else { self.sessions.get(&session).cloned() };
        if let Some((user, target)) = names {
            (entry.user, entry.target) = (Some(user), Some(target));
        }
    }

    fn wanted(&mut self) -> Option<Item> {
        loop {
            match self.earliest()? {
                Ok(mut entry) => {
                    self.attribute(&mut entry);
                    if self.filter.wants(&entry) {
                        return Some(Ok(entry));
                    }
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }
}

impl Iterator for Show {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        let Some(count) = self.filter.last else { return self.wanted() };
        if self.last.is_none() {
            let mut kept = VecDeque::new();
            while let Some(item) = self.wanted() {
                kept.push_back(item);
                if kept.len() > count {
                    kept.pop_front();
                }
            }
            self.last = Some(kept);
        }
        self.last.as_mut()?.pop_front()
    }
}
