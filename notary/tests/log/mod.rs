//! Writes small audit logs, as the gateway's writer would.

#![allow(dead_code, unreachable_pub, reason = "not every test file uses all of it")]

use audit::{
    Ring,
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
    pub headers: Vec<[u8; 256]>,
}

impl CoreLog {
    pub fn new(directory: &Path, core: u16) -> Self {
        let ring = Ring::new(NODE, core, 1, [core as u8 + 1; 16], [0; 32], 1, 1 << 20);
        create_core_directory(&core_directory(directory, core)).unwrap();
        let mut log = Self { directory: directory.to_owned(), core, ring, file: None, blocks: 0, headers: Vec::new() };
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
        self.ring.seal(Clock { wall_ns: 1_700_000_000_000_000_001, mono_ns: self.blocks + 2 }, &mut bytes).unwrap();
        self.headers.push(bytes[..256].try_into().unwrap());
        let fits = self.file.as_ref().is_some_and(|(_, at)| at + bytes.len() as u64 <= SEGMENT_BYTES);
        if !fits {
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
        file.write_all_at(&bytes, *at).unwrap();
        *at += bytes.len() as u64;
        self.blocks += 1;
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
