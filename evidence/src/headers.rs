//! Block headers as a population: every record has a place among them, and nothing else of it is in them.
//!
//! `headers.bin` is the headers one after the other, 256 bytes each, by core and number of block. They hold no text, no
//! names and no digests of single values, so they can be handed to anybody, and chain themselves together.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use audit::block::{BlockHeader, HEADER_BYTES, block_bytes, header_hash};
use audit::segment::{self, HEADER_PAGE_BYTES};

/// A header and its bytes.
#[derive(Clone, Copy, Debug)]
pub struct Header {
    /// What it says.
    pub fields: BlockHeader,
    /// As it stands in the log.
    pub bytes: [u8; HEADER_BYTES],
}

/// Counts of one core.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Core {
    /// Core.
    pub core: u16,
    /// First and last block.
    pub blocks: (u64, u64),
    /// First and last record.
    pub records: (u64, u64),
    /// Breaks in the numbers or in the chain of hashes.
    pub breaks: u64,
    /// Hash of the last header.
    pub head: [u8; 32],
    /// Largest stated bound of the clock's error, nanoseconds.
    pub clock_error_ns: u64,
}

/// Goes through the headers of an audit directory, core by core, in order. Places that hold no header end a segment, as
/// its end does; what that means is the verifier's business.
///
/// # Errors
/// The file system, or what `each` says.
pub fn of_directory(directory: &Path, mut each: impl FnMut(&Header) -> io::Result<()>) -> io::Result<()> {
    std::fs::read_dir(directory)?;
    for core in segment::cores(directory)? {
        let mut next = 0;
        for (_, segment) in segment::segments(&segment::core_directory(directory, core))? {
            let file = File::open(segment)?;
            let mut offset = HEADER_PAGE_BYTES;
            let mut bytes = [0; HEADER_BYTES];
            while file.read_exact_at(&mut bytes, offset).is_ok()
                && let Ok(fields) = BlockHeader::decode(&bytes)
            {
                offset += block_bytes(fields.payload_len as usize) as u64;
                // A block that was written again after a disk error counts once.
                if fields.block_seq >= next {
                    next = fields.block_seq + 1;
                    each(&Header { fields, bytes })?;
                }
            }
        }
    }
    Ok(())
}

/// Goes through a file of headers.
///
/// # Errors
/// The file, a header that is none, or what `each` says.
pub fn of_file(path: &Path, mut each: impl FnMut(&Header) -> io::Result<()>) -> io::Result<()> {
    let mut file = io::BufReader::new(File::open(path)?);
    let mut bytes = [0; HEADER_BYTES];
    loop {
        match file.read(&mut bytes[..1])? {
            0 => return Ok(()),
            _ => file.read_exact(&mut bytes[1..])?,
        }
        let fields =
            BlockHeader::decode(&bytes).map_err(|e| io::Error::new(io::ErrorKind::InvalidData, e.to_string()))?;
        each(&Header { fields, bytes })?;
    }
}

/// Counts headers by core.
#[derive(Clone, Debug, Default)]
pub struct Population {
    /// Cores in order.
    pub cores: Vec<Core>,
    /// Headers.
    pub blocks: u64,
}

impl Population {
    /// Takes a header into account; they come by core and block.
    pub fn add(&mut self, header: &Header) {
        let f = &header.fields;
        let (first, last) = (f.first_record_seq, f.first_record_seq + u64::from(f.records) - 1);
        self.blocks += 1;
        if self.cores.last().is_none_or(|core| core.core != f.core) {
            self.cores.push(Core {
                core: f.core,
                blocks: (f.block_seq, f.block_seq),
                records: (first, last),
                head: f.previous,
                ..Core::default()
            });
        } else if let Some(core) = self.cores.last_mut() {
            let follows = core.blocks.1 + 1 == f.block_seq && core.records.1 + 1 == first && core.head == f.previous;
            core.breaks += u64::from(!follows);
            (core.blocks.1, core.records.1) = (f.block_seq, last);
        }
        if let Some(core) = self.cores.last_mut() {
            core.head = header_hash(&header.bytes);
            core.clock_error_ns = core.clock_error_ns.max(f.clock_error_ns);
        }
    }

    /// Records in all.
    #[must_use]
    pub fn records(&self) -> u64 {
        self.cores.iter().map(|core| core.records.1 - core.records.0 + 1).sum()
    }

    /// Core and sequence of the record with this index: records of the first core, then of the next.
    #[must_use]
    pub fn record(&self, mut index: u64) -> Option<(u16, u64)> {
        for core in &self.cores {
            let count = core.records.1 - core.records.0 + 1;
            if index < count {
                return Some((core.core, core.records.0 + index));
            }
            index -= count;
        }
        None
    }

    /// What stands for the whole population where there is no checkpoint: a hash over the cores' last headers.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        use sha2::Digest as _;
        let mut hash = sha2::Sha256::new();
        for core in &self.cores {
            hash.update(core.core.to_be_bytes());
            hash.update(core.blocks.1.to_be_bytes());
            hash.update(core.head);
        }
        hash.finalize().into()
    }
}
