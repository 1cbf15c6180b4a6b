//! What the log commits to and does not contain: wrapped keys of sessions and recordings.
//!
//! Both may be erased, but only by a rightful purge. Formats: `docs/sealed-fields.md`, `docs/recording-format.md`. No key is
//! needed. Memory is one chunk, and what the log said of each session with a key or a recording.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::block::{PAGE, take};
use crate::hex;
use crate::meaning::Beside;
use crate::merkle::Hash;
use crate::report::{Code, Place};
use crate::scan::{Recorded, Sid};
use crate::segment;

/// Header page of a file of keys, and what its slots are multiples of.
const SECTOR: usize = 512;
/// Longest slot: 64 wraps of 96 bytes.
const SLOT_MAX: usize = (64 + 64 * 96usize).next_multiple_of(SECTOR);
/// Longest stored part of a chunk.
const CHUNK_MAX: usize = 262_160;
const CHUNK_HEADER: usize = 64;

/// Where findings go.
pub(crate) type Find<'f> = &'f mut dyn FnMut(Code, Place, String);

/// What was counted.
#[derive(Debug, Default)]
pub(crate) struct Counted {
    pub(crate) purged: u64,
    pub(crate) recordings: u64,
    pub(crate) keys: u64,
    /// Sessions whose keys or recordings are not in this copy of the log.
    pub(crate) elsewhere: u64,
}

/// Checks what lies beside the log. `original`: this is the gateway's own directory, where everything must be.
pub(crate) fn check(
    directory: &Path,
    beside: &Beside,
    purged: &BTreeSet<Sid>,
    node: Option<[u8; 16]>,
    original: bool,
    find: Find<'_>,
) -> io::Result<Counted> {
    let mut counted = Counted::default();
    keys(directory, beside, purged, node, original, &mut counted, find)?;
    recordings(directory, beside, purged, node, original, &mut counted, find)?;
    Ok(counted)
}

fn keys(
    directory: &Path,
    beside: &Beside,
    purged: &BTreeSet<Sid>,
    node: Option<[u8; 16]>,
    original: bool,
    counted: &mut Counted,
    find: Find<'_>,
) -> io::Result<()> {
    let mut left: BTreeMap<&Sid, &Hash> = beside.commitments.iter().collect();
    let (mut any, mut damaged) = (false, Vec::new());
    for core in segment::cores(directory)? {
        let mut paths = Vec::new();
        for folder in [segment::folder(directory, core), segment::spare_folder(directory, core)] {
            for entry in fs::read_dir(&folder).into_iter().flatten() {
                let path = entry?.path();
                if path.extension().is_some_and(|extension| extension == "tgkeys") {
                    paths.push(path);
                }
            }
        }
        paths.sort();
        for path in paths {
            any = true;
            let place = Place::file(path.strip_prefix(directory).unwrap_or(&path).display().to_string());
            let file = KeyFile { core, node, place };
            file.read(&path, &mut left, purged, &mut damaged, counted, find)?;
        }
    }
    for (session, _) in left {
        let id = hex::text(session);
        if purged.contains(session) {
            counted.purged += 1;
        } else if let Some(place) = damaged.first() {
            find(Code::Dek, Place::clone(place), format!("the key of session {id} is not there; a slot is damaged"));
        } else if any || original {
            find(Code::Purge, Place::default(), format!("the key of session {id} is gone, and no purge names it"));
        } else {
            counted.elsewhere += 1;
        }
    }
    Ok(())
}

struct KeyFile {
    core: u16,
    node: Option<[u8; 16]>,
    place: Place,
}

impl KeyFile {
    fn read(
        &self,
        path: &Path,
        left: &mut BTreeMap<&Sid, &Hash>,
        purged: &BTreeSet<Sid>,
        damaged: &mut Vec<Place>,
        counted: &mut Counted,
        find: Find<'_>,
    ) -> io::Result<()> {
        let mut file = segment::open(path)?;
        let mut page = [0; SECTOR];
        if read_up_to(&mut file, &mut page)? == 0 {
            // The file was made and nothing was written yet.
            return Ok(());
        }
        let sum = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&page[..12]), &[0; 4]), &page[16..]);
        let size = u32::from_le_bytes(take(&page, 40)) as usize;
        let reserved = [&page[8..10], &page[10..12], &page[34..36], &page[44..]];
        let sound = page.starts_with(b"TGKEYS01")
            && take(&page, 12) == sum.to_le_bytes()
            && reserved[0] == [1, 0]
            && reserved[1..].iter().all(|bytes| bytes.iter().all(|&byte| byte == 0))
            && (1..=SLOT_MAX).contains(&size)
            && size.is_multiple_of(SECTOR);
        let ours = take(&page, 32) == self.core.to_le_bytes() && self.node.is_none_or(|node| node == take(&page, 16));
        if !sound || !ours {
            let what = if sound { "the file of keys belongs to another log" } else { "the header page is not valid" };
            find(if sound { Code::Ins } else { Code::Dek }, self.place.clone(), what.to_owned());
            damaged.push(self.place.clone());
            return Ok(());
        }
        let mut slot = vec![0; size];
        let mut position = SECTOR as u64;
        loop {
            let have = read_up_to(&mut file, &mut slot)?;
            if have == 0 {
                return Ok(());
            }
            let at = Place { position, ..self.place.clone() };
            position += size as u64;
            if slot[..have].iter().all(|&byte| byte == 0) {
                continue;
            }
            let sum = crc32c::crc32c(&slot[8..]).to_le_bytes();
            let wraps = usize::from(u16::from_le_bytes(take(&slot, 8)));
            let rest = slot.get(64 + wraps * 96..);
            let whole = have == size && slot.starts_with(b"TGKS") && take(&slot, 4) == sum;
            if !whole || slot[10..16] != [0; 6] || rest.is_none_or(|rest| rest.iter().any(|&byte| byte != 0)) {
                // A crash may leave one; it matters if a session has no other.
                damaged.push(at);
                continue;
            }
            let session: Sid = take(&slot, 16);
            if purged.contains(&session) {
                let what = format!("session {} is purged, and its key is still there", hex::text(&session));
                find(Code::Purge, at, what);
            } else if let Some(commitment) = left.get(&session) {
                if take(&slot, 32) == **commitment {
                    counted.keys += 1;
                } else {
                    let what = format!("the key of session {} is not the one in the log", hex::text(&session));
                    find(Code::Dek, at, what);
                }
            }
            left.remove(&session);
        }
    }
}

fn read_up_to(file: &mut File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut have = 0;
    while have < buffer.len() {
        match file.read(&mut buffer[have..]) {
            Ok(0) => break,
            Ok(count) => have += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(have)
}

fn recordings(
    directory: &Path,
    beside: &Beside,
    purged: &BTreeSet<Sid>,
    node: Option<[u8; 16]>,
    original: bool,
    counted: &mut Counted,
    find: Find<'_>,
) -> io::Result<()> {
    let folder = directory.join("recordings");
    let mut left: BTreeSet<&Sid> = beside.recordings.keys().collect();
    let mut days: Vec<PathBuf> = Vec::new();
    let here = folder.is_dir();
    if here {
        for entry in fs::read_dir(&folder)? {
            days.push(entry?.path());
        }
    }
    days.sort();
    for day in days.into_iter().filter(|day| day.is_dir()) {
        for entry in fs::read_dir(&day)? {
            let path = entry?.path();
            let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".tgrec"));
            let Some(session) = name.and_then(hex::array::<16>) else { continue };
            // Without a word of the log about it, its session crashed within its first minute.
            let Some(stated) = beside.recordings.get(&session) else { continue };
            left.remove(&session);
            let place = Place::file(path.strip_prefix(directory).unwrap_or(&path).display().to_string());
            let commitment = beside.commitments.get(&session).copied().unwrap_or([0; 32]);
            match recording(&path, (session, node, commitment), stated)? {
                Ok(()) => counted.recordings += 1,
                Err((code, position, what)) => find(code, Place { position, ..place }, what),
            }
        }
    }
    for session in left {
        if purged.contains(session) {
            continue;
        }
        if here || original {
            let what = format!("the recording of session {} is gone, and no purge names it", hex::text(session));
            find(Code::Purge, Place::default(), what);
        } else {
            counted.elsewhere += 1;
        }
    }
    Ok(())
}

type Wrong = (Code, u64, String);

/// Checks a recording against what the log says of it.
fn recording(
    path: &Path,
    (session, node, commitment): (Sid, Option<[u8; 16]>, Hash),
    stated: &[Recorded],
) -> io::Result<Result<(), Wrong>> {
    let mut file = segment::open(path)?;
    let size = file.metadata()?.len();
    let mut page = vec![0; PAGE];
    if read_up_to(&mut file, &mut page)? < PAGE {
        return Ok(Err((Code::Trunc, size, "the recording ends within its header page".to_owned())));
    }
    if let Some(what) = header_page(&page, session, node, commitment) {
        return Ok(Err((Code::Hdr, 0, what.to_owned())));
    }
    let mut hash: Hash = *blake3::hash(&page).as_bytes();
    let (mut position, mut number) = (PAGE as u64, 0);
    let mut buffer = Vec::new();
    for (index, segment) in stated.iter().enumerate() {
        let known = if index == 0 { 0 } else { stated[index - 1].chunks };
        let range = || format!("chunks {} to {}", known + 1, segment.chunks);
        while number < segment.chunks {
            match chunk(&mut file, &mut buffer, number + 1)? {
                Ok((next, length)) => {
                    hash = chained(&hash, &buffer[..next]);
                    (number, position) = (number + 1, position + length);
                }
                Err((_, at)) if position + at >= size => {
                    let what = format!("the recording is cut off within {}", range());
                    return Ok(Err((Code::Trunc, position, what)));
                }
                Err((what, at)) => return Ok(Err((Code::Mod, position + at, format!("{what}, in {}", range())))),
            }
        }
        if hash != segment.last || position != segment.bytes || number != segment.chunks {
            return Ok(Err((Code::Mod, position, format!("{} are not those that the log commits to", range()))));
        }
    }
    let ends = stated.last().is_some_and(|last| last.ends);
    if ends && size > position {
        let what = format!("{} bytes follow the end of the recording", size - position);
        return Ok(Err((Code::Ins, position, what)));
    }
    Ok(Ok(()))
}

fn header_page(page: &[u8], session: Sid, node: Option<[u8; 16]>, commitment: Hash) -> Option<&'static str> {
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(crc32c::crc32c(&page[..12]), &[0; 4]), &page[16..]);
    let version = u16::from_le_bytes(take(page, 8));
    let flags = u16::from_le_bytes(take(page, 10));
    let zeros = flags & !3 == 0 && take(page, 50) == [0; 2] && page[104..].iter().all(|&byte| byte == 0);
    if !page.starts_with(b"TGRECV01") || version != 1 || take(page, 12) != sum.to_le_bytes() || !zeros {
        return Some("the header page of the recording is not valid");
    }
    if take(page, 16) != session || node.is_some_and(|node| take(page, 32) != node) {
        return Some("the recording belongs to another session or node");
    }
    (take(page, 72) != commitment).then_some("the recording is of another key than the log commits to")
}

/// A chunk: bytes that are hashed, and bytes in the file. Else what is wrong, and how far behind the chunk's beginning.
type Chunk = Result<(usize, u64), (&'static str, u64)>;

/// Reads a chunk with this number into the buffer.
fn chunk(file: &mut File, buffer: &mut Vec<u8>, number: u64) -> io::Result<Chunk> {
    buffer.resize(PAGE, 0);
    let have = read_up_to(file, buffer)?;
    if have < CHUNK_HEADER {
        return Ok(Err(("the chunk is cut off", have as u64)));
    }
    let stored = u32::from_le_bytes(take(buffer, 16)) as usize;
    let sum = crc32c::crc32c(&buffer[..56]).to_le_bytes();
    let sound = buffer.starts_with(b"TGCK")
        && take(buffer, 56) == sum
        && take(buffer, 8) == number.to_le_bytes()
        && take(buffer, 60) == [0; 4]
        && stored <= CHUNK_MAX;
    if !sound {
        return Ok(Err(("the header of a chunk is not valid", 0)));
    }
    let end = CHUNK_HEADER + stored;
    let whole = end.next_multiple_of(PAGE);
    buffer.resize(whole, 0);
    let have = have + read_up_to(file, buffer.get_mut(have.min(PAGE)..).unwrap_or_default())?;
    if have < whole {
        return Ok(Err(("the chunk is cut off", have as u64)));
    }
    if let Some(at) = buffer[end..whole].iter().position(|&byte| byte != 0) {
        return Ok(Err(("bytes that must be zero are not", (end + at) as u64)));
    }
    Ok(Ok((end, whole as u64)))
}

fn chained(before: &Hash, chunk: &[u8]) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(before);
    hasher.update(chunk);
    *hasher.finalize().as_bytes()
}
