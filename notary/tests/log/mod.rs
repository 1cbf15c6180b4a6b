//! Writes small audit logs, as the gateway's writer would.

#![allow(dead_code, unreachable_pub, reason = "not every test file uses all of it")]

use audit::{
    BlockHeader, Ring,
    block::header_hash,
    record::{Clock, Record, SessionId},
    segment::{SegmentHeader, core_directory, create_core_directory, prepare, publish},
};
use std::{
    fs::{self, OpenOptions},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

pub const NODE: [u8; 16] = [0xab; 16];
pub const SEGMENT_BYTES: u64 = 64 << 10;

/// The log of one core.
pub struct CoreLog {
    directory: PathBuf,
    pub core: u16,
    ring: Ring,
    file: Option<(PathBuf, u64)>,
    pub blocks: u64,
    last: Vec<u8>,
    pub headers: Vec<[u8; 256]>,
}

impl CoreLog {
    pub fn new(directory: &Path, core: u16) -> Self {
        let ring = Ring::new(NODE, core, 1, [core as u8 + 1; 16], [0; 32], 1, 1 << 20);
        create_core_directory(&core_directory(directory, core)).unwrap();
        let mut log = Self {
            directory: directory.to_owned(),
            core,
            ring,
            file: None,
            blocks: 0,
            last: Vec::new(),
            headers: Vec::new(),
        };
        log.block(&[Record::EpochStart { build: "test", previous: [0; 32], clean: true, torn_bytes: 0 }]);
        log
    }

    /// One block of these records.
    pub fn block(&mut self, records: &[Record<'_>]) {
        for record in records {
            let _recorded = self
                .ring
                .append(Clock { wall_ns: 1_700_000_000_000_000_000, mono_ns: self.blocks + 1 }, record)
                .unwrap();
        }
        let mut bytes = Vec::new();
        let sealed =
            self.ring.seal(Clock { wall_ns: 1_700_000_000_000_000_001, mono_ns: self.blocks + 2 }, &mut bytes).unwrap();
        self.ring.durable(sealed.last_sequence);
        self.headers.push(bytes[..256].try_into().unwrap());
        let fits = self.file.as_ref().is_some_and(|(_, at)| at + bytes.len() as u64 <= SEGMENT_BYTES);
        self.write(&bytes, !fits);
        self.last = bytes;
        self.blocks += 1;
    }

    /// The last block once more, in a segment that begins with it. Of the first copy there is the header, as it is or with
    /// another root (what a crash cut off, and wrote anew), and no record.
    pub fn again(&mut self, other: bool) {
        let (path, at) = self.file.take().unwrap();
        let mut torn = vec![0; self.last.len()];
        let mut header = BlockHeader::decode(self.last[..256].try_into().unwrap()).unwrap();
        header.root[0] ^= u8::from(other);
        torn[..256].copy_from_slice(&header.encode());
        let first = OpenOptions::new().write(true).open(path).unwrap();
        first.write_all_at(&torn, at - torn.len() as u64).unwrap();
        let bytes = std::mem::take(&mut self.last);
        self.blocks -= 1;
        self.write(&bytes, true);
        self.blocks += 1;
        self.last = bytes;
    }

    /// Writes the next block, behind the one before it or into a segment of its own.
    fn write(&mut self, bytes: &[u8], fresh: bool) {
        if fresh {
            let header = SegmentHeader {
                node: NODE,
                core: self.core,
                cores: 2,
                epoch: 1,
                epoch_nonce: [self.core as u8 + 1; 16],
                segment_bytes: SEGMENT_BYTES,
            };
            let folder = core_directory(&self.directory, self.core);
            let path = publish(&prepare(&folder, &header).unwrap(), self.blocks).unwrap();
            self.file = Some((path, 4096));
        }
        let (path, at) = self.file.as_mut().unwrap();
        let file = OpenOptions::new().write(true).open(path).unwrap();
        file.write_all_at(bytes, *at).unwrap();
        *at += bytes.len() as u64;
    }

    /// So many small blocks.
    pub fn blocks(&mut self, count: u64) {
        for _ in 0..count {
            self.block(&[Record::Alarm { session: SessionId([0; 16]), kind: "test", detail: "" }]);
        }
    }

    /// Where the next block will be written: file and position.
    pub fn end(&self) -> (PathBuf, u64) {
        self.file.clone().unwrap()
    }

    pub fn last_hash(&self) -> [u8; 32] {
        header_hash(self.headers.last().unwrap())
    }
}

/// A copy of a folder and all below it.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}
