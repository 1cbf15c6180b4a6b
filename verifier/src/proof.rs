//! Proofs that one record is in a signed log, as files that need nothing else to be checked.
//!
//! The file is a C2SP `tlog-proof` for the block's header, so that any client of that form can check it; its `extra` line
//! carries what leads from the record to the header. Invariants: checking believes nothing but the given keys; whatever is
//! read is bounded. Deliberately not here: decrypting sealed fields.

use std::io;
use std::path::Path;

use crate::block::{HEADER, Header};
use crate::merkle::{self, Hash};
use crate::note::{Checkpoint, Note, VerifierKey, base64, decimal, unbase64};
use crate::record::{RECORD_MAX, Record};

const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";
/// First bytes of the extra data.
const EXTRA: &[u8; 8] = b"TGPROOF1";
/// Longest proof, bytes: a record of the greatest length in base64 and some more.
pub(crate) const PROOF_MAX: usize = RECORD_MAX * 2;
/// Hashes of one path.
const PATH_MAX: usize = 63;

/// A proof, read but not believed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) header: [u8; HEADER],
    /// Place of the record in its block, from 0.
    pub(crate) place: u32,
    pub(crate) in_block: Vec<Hash>,
    pub(crate) record: Vec<u8>,
    /// Leaf of the block.
    pub(crate) index: u64,
    pub(crate) in_tree: Vec<Hash>,
    /// The checkpoint with its signatures, as it stands.
    pub(crate) checkpoint: String,
}

impl Proof {
    pub(crate) fn text(&self) -> String {
        let mut extra = EXTRA.to_vec();
        extra.extend(self.header);
        extra.extend(self.place.to_le_bytes());
        extra.extend((self.in_block.len() as u32).to_le_bytes());
        extra.extend(self.in_block.iter().flatten());
        extra.extend(&self.record);
        let mut text = format!("{FIRST_LINE}\nextra {}\nindex {}\n", base64(&extra), self.index);
        for hash in &self.in_tree {
            text.push_str(&base64(hash));
            text.push('\n');
        }
        text.push('\n');
        text.push_str(&self.checkpoint);
        text
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > PROOF_MAX {
            return Err("the proof is too long".to_owned());
        }
        let text = std::str::from_utf8(bytes).map_err(|_| "the proof is not text".to_owned())?;
        let (head, checkpoint) = text.split_once("\n\n").ok_or("the proof has no checkpoint")?;
        let mut lines = head.split('\n');
        if lines.next() != Some(FIRST_LINE) {
            return Err(format!("the proof does not begin with {FIRST_LINE}"));
        }
        let extra = lines.next().and_then(|line| unbase64(line.strip_prefix("extra ")?));
        let extra = extra.ok_or("the proof carries no record")?;
        let index = lines.next().and_then(|line| decimal(line.strip_prefix("index ")?));
        let index = index.ok_or("the proof has no index")?;
        let in_tree: Option<Vec<Hash>> = lines.take(PATH_MAX + 1).map(|line| unbase64(line)?.try_into().ok()).collect();
        let in_tree = in_tree.ok_or("a line of the proof's path is no hash")?;
        let (header, place, in_block, record) = parts(&extra).ok_or("the proof's record is malformed")?;
        if in_tree.len() > PATH_MAX {
            return Err("the proof's path is too long".to_owned());
        }
        Ok(Self { header, place, in_block, record, index, in_tree, checkpoint: checkpoint.to_owned() })
    }
}

/// Header, place, path and record.
type Parts = ([u8; HEADER], u32, Vec<Hash>, Vec<u8>);

fn parts(extra: &[u8]) -> Option<Parts> {
    let (header, rest) = extra.strip_prefix(EXTRA)?.split_first_chunk()?;
    let (place, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let count = usize::try_from(u32::from_le_bytes(*count)).ok().filter(|&count| count <= PATH_MAX)?;
    let (path, record) = rest.split_at_checked(count * 32)?;
    let path = path.as_chunks::<32>().0.to_vec();
    Some((*header, u32::from_le_bytes(*place), path, record.to_vec()))
}

/// What a proof proves.
#[derive(Clone, Debug)]
pub(crate) struct Proved<'p> {
    pub(crate) record: Record<'p>,
    pub(crate) header: Header,
    pub(crate) checkpoint: Checkpoint,
    /// Keys that signed, with the times of witnesses in seconds since 1970.
    pub(crate) signers: Vec<(VerifierKey, u64)>,
}

impl Proof {
    /// Checks the proof against keys.
    ///
    /// # Errors
    /// In words, what does not hold.
    pub(crate) fn check(&self, keys: &[VerifierKey]) -> Result<Proved<'_>, String> {
        let record = Record::parse(&self.record).map_err(|strange| format!("the record: {strange}"))?;
        let header = Header::parse(&self.header).map_err(|fault| format!("the block's header: {fault}"))?;
        if self.place >= header.records || record.sequence != header.first_record.wrapping_add(self.place.into()) {
            return Err(format!("the block does not hold record {} at this place", record.sequence));
        }
        let leaf = merkle::record_leaf(record.sequence, &self.record);
        let root = merkle::included(leaf, self.place.into(), header.records.into(), &self.in_block);
        if root != Some(header.root) {
            return Err("the record is not one of those that the block's header binds".to_owned());
        }
        let note = Note::parse(self.checkpoint.as_bytes())?;
        let checkpoint = Checkpoint::parse(&note.text)?;
        let leaf = merkle::leaf(&self.header);
        if merkle::included(leaf, self.index, checkpoint.size, &self.in_tree) != Some(checkpoint.root) {
            return Err("the block is not in the tree of the checkpoint".to_owned());
        }
        let signers: Vec<_> = note.signers(keys.iter())?.into_iter().map(|(key, time)| (key.clone(), time)).collect();
        if !signers.iter().any(|(key, _)| !key.is_witness() && key.name() == checkpoint.origin) {
            return Err(format!("the checkpoint of {} is not signed by a key that was given", checkpoint.origin));
        }
        Ok(Proved { record, header, checkpoint, signers })
    }
}

/// Which record to prove.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Record of this core with this sequence.
    Sequence {
        /// Core.
        core: u16,
        /// Sequence.
        sequence: u64,
    },
    /// A statement's record.
    Statement {
        /// First hexadecimal digits of the session.
        session: String,
        /// Number of the statement.
        statement: u64,
        /// Type of record; 0 for the first about the statement.
        kind: u64,
    },
    /// A step of an approval.
    Approval {
        /// Id of the request.
        id: String,
        /// `request`, `vote`, `grant`, `consume` or `end`; of several the first.
        step: String,
    },
}

impl Wanted {
    /// Reads `core:sequence`, `session/statement`, `session/statement/type`, `TG-id` (that it was used) or `TG-id/step`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        if let Some((core, sequence)) = text.split_once(':') {
            return Some(Self::Sequence { core: core.parse().ok()?, sequence: decimal(sequence)? });
        }
        if text.starts_with("TG-") {
            let (id, step) = text.split_once('/').unwrap_or((text, "consume"));
            let known = ["request", "vote", "grant", "consume", "end"].contains(&step) && id.len() <= 32;
            return known.then(|| Self::Approval { id: id.to_owned(), step: step.to_owned() });
        }
        let mut parts = text.split('/');
        let session = parts.next().filter(|id| !id.is_empty() && id.len() <= 32)?;
        let statement = decimal(parts.next()?)?;
        let kind = match parts.next() {
            None => 0,
            Some(name) => crate::record::kind_number(name)?,
        };
        let digits = session.bytes().all(|byte| byte.is_ascii_hexdigit());
        (digits && parts.next().is_none()).then(|| Self::Statement {
            session: session.to_ascii_lowercase(),
            statement,
            kind,
        })
    }

    fn is(&self, core: u16, record: &Record<'_>) -> bool {
        use crate::record::field;
        match self {
            Self::Approval { id, step } => {
                record.kind == crate::record::kind::APPROVAL
                    && record.text(field::ID) == id
                    && record.text(field::KIND) == step
            }
            Self::Sequence { core: wanted, sequence } => *wanted == core && *sequence == record.sequence,
            Self::Statement { session, statement, kind } => {
                record.number(field::STATEMENT) == *statement
                    && (*kind == 0 || *kind == record.kind)
                    && crate::hex::text(record.bytes(field::SESSION)).starts_with(session)
            }
        }
    }
}

/// Makes the proof of a record.
///
/// # Errors
/// In words, why there is none.
pub fn prove(directory: &Path, wanted: &Wanted) -> Result<String, String> {
    let io = |error: io::Error| format!("{}: {error}", directory.display());
    let folder = crate::tree::Folder::read(directory).map_err(io)?;
    let current = folder
        .current
        .as_ref()
        .ok_or_else(|| format!("{}: no signed checkpoint (tlog/checkpoint)", directory.display()))?;
    let found = find(directory, wanted).map_err(io)?.ok_or("the log has no such record")?;
    let leaf = merkle::leaf(&found.header);
    let index = leaf_index(&folder.path, current.head.size, leaf)?
        .ok_or("the record is not yet in a checkpoint; try again in a few seconds")?;
    // A checkpoint that witnesses saw says more than the newest one.
    let size = |signed: &&crate::tree::Signed| signed.head.size;
    let holds = |signed: &&crate::tree::Signed| signed.head.size > index && signed.head.size <= current.head.size;
    let seen = folder.older.iter().filter(|signed| signed.witnessed).filter(holds).max_by_key(size);
    let chosen = seen.unwrap_or(current);
    let mut range = |from, to| crate::tiles::range(&folder.path, from, to).map_err(|why| why.words());
    let in_tree = merkle::inclusion(index, chosen.head.size, &mut range)?;
    let proof = Proof {
        header: found.header,
        place: found.place,
        in_block: found.path,
        record: found.record,
        index,
        in_tree,
        checkpoint: chosen.whole.clone(),
    };
    Ok(proof.text())
}

struct Found {
    header: [u8; HEADER],
    place: u32,
    path: Vec<Hash>,
    record: Vec<u8>,
}

fn find(directory: &Path, wanted: &Wanted) -> io::Result<Option<Found>> {
    use crate::cursor::Cursor;
    for core in crate::segment::cores(directory)? {
        if matches!(wanted, Wanted::Sequence { core: only, .. } if *only != core) {
            continue;
        }
        let segments = crate::segment::segments(&crate::segment::folder(directory, core))?;
        let mut cursor = Cursor::new(core, &segments)?;
        while let Some(at) = cursor.current() {
            let header = at.header;
            let outside = matches!(wanted, Wanted::Sequence { sequence, .. }
                if *sequence < header.first_record || *sequence >= header.next_record());
            if !outside {
                cursor.settle()?;
                if let Some(found) = cursor.block()?.and_then(|block| in_block(core, &header, &block, wanted)) {
                    return Ok(Some(found));
                }
            }
            cursor.advance()?;
        }
    }
    Ok(None)
}

fn in_block(core: u16, header: &Header, block: &crate::segment::BlockBytes<'_>, wanted: &Wanted) -> Option<Found> {
    let records: Vec<&[u8]> = crate::block::Records::of(block.payload).collect();
    let place = records.iter().position(|bytes| Record::parse(bytes).is_ok_and(|record| wanted.is(core, &record)))?;
    let leaves: Vec<Hash> = (0..)
        .zip(&records)
        .map(|(n, record)| merkle::record_leaf(header.first_record.wrapping_add(n), record))
        .collect();
    let mut range = |from: u64, to: u64| Ok::<_, ()>(merkle::root(&leaves[from as usize..to as usize]));
    let path = merkle::inclusion(place as u64, leaves.len() as u64, &mut range).ok()?;
    Some(Found { header: *block.head, place: place as u32, path, record: records[place].to_vec() })
}

fn leaf_index(tree: &Path, size: u64, leaf: Hash) -> Result<Option<u64>, String> {
    use crate::tiles::{WIDTH, hashes};
    for tile in 0..size.div_ceil(WIDTH) {
        let width = (size - tile * WIDTH).min(WIDTH);
        let found = hashes(tree, 0, tile, width).map_err(|why| why.words())?;
        if let Some(at) = found.iter().position(|hash| *hash == leaf) {
            return Ok(Some(tile * WIDTH + at as u64));
        }
    }
    Ok(None)
}
