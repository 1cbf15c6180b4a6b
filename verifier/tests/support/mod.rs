//! Logs and trees for tests: the log by the writer's crate, the tree by published crates (`tlog_tiles`, `signed_note`), so
//! that the verifier is never tested against itself.

#![allow(dead_code, reason = "each test program uses a part")]

pub(crate) mod tree;

use std::fs;
use std::path::{Path, PathBuf};

use audit::record::{Clock, Record, SessionId};
use audit::segment::{self, HEADER_PAGE_BYTES, SegmentHeader};
use audit::{CoreStart, Ring};

pub(crate) const SEGMENT: u64 = 64 << 10;
pub(crate) const PAGE: usize = 4096;

/// A writer on plain files, for logs whose every byte the tests know.
pub(crate) struct Log {
    pub(crate) start: CoreStart,
    pub(crate) ring: Ring,
    pub(crate) path: PathBuf,
    position: u64,
    /// Clocks, nanoseconds; each record takes a microsecond.
    pub(crate) wall: u64,
    pub(crate) mono: u64,
}

impl Log {
    pub(crate) fn begin(start: CoreStart) -> Self {
        let ring = Ring::new(
            start.node,
            start.core,
            start.epoch,
            start.epoch_nonce,
            start.previous_header,
            start.next_record_seq,
            1 << 20,
        )
        .starting_at_block(start.next_block_seq);
        let now = 1_700_000_000_000_000_000 + u64::from(start.epoch) * 1_000_000_000;
        let mut log = Self { ring, path: PathBuf::new(), position: SEGMENT, wall: now, mono: now, start };
        let (previous, clean, torn_bytes) = (log.start.previous_header, log.start.clean, log.start.torn_bytes);
        log.put(&Record::EpochStart { build: "test", previous, clean, torn_bytes });
        for (session, statement) in log.start.in_doubt.clone() {
            log.put(&result(session, statement, audit::UNKNOWN_CRASH));
        }
        if !clean {
            log.put(&Record::Alarm { session: SessionId([0; 16]), kind: audit::RECOVERED, detail: "" });
        }
        log.commit();
        log
    }

    pub(crate) fn put(&mut self, record: &Record<'_>) {
        self.wait(1000);
        let _ = self.ring.append(self.clock(), record).unwrap();
    }

    fn clock(&self) -> Clock {
        Clock { wall_ns: self.wall, mono_ns: self.mono }
    }

    /// Lets time pass on both clocks.
    pub(crate) fn wait(&mut self, ns: u64) {
        self.wall += ns;
        self.mono += ns;
    }

    /// One block; returns where it stands.
    pub(crate) fn commit(&mut self) -> (PathBuf, u64, usize) {
        let mut out = Vec::new();
        let sealed = self.ring.seal(self.clock(), &mut out).unwrap();
        if self.position + out.len() as u64 > SEGMENT {
            let CoreStart { node, core, cores, epoch, epoch_nonce, .. } = self.start;
            let header = SegmentHeader { node, core, cores, epoch, epoch_nonce, segment_bytes: SEGMENT };
            let prepared = segment::prepare(&self.start.directory, &header).unwrap();
            self.path = segment::publish(&prepared, sealed.block_seq).unwrap();
            self.position = HEADER_PAGE_BYTES;
        }
        write(&self.path, self.position, &out);
        self.ring.durable(sealed.last_sequence);
        let place = (self.path.clone(), self.position, out.len());
        self.position += out.len() as u64;
        place
    }

    pub(crate) fn statement(&mut self, statement: u64) -> (PathBuf, u64, usize) {
        self.put(&intent(statement));
        self.commit();
        self.put(&result(SESSION, statement, "ok"));
        self.commit()
    }

    pub(crate) fn end(mut self) {
        self.put(&Record::EpochEnd);
        self.commit();
    }
}

pub(crate) const SESSION: SessionId = SessionId([5; 16]);

pub(crate) fn intent(statement: u64) -> Record<'static> {
    Record::Intent {
        session: SESSION,
        statement,
        text: b"SELECT name FROM clinic.patients",
        via: "simple",
        fingerprint: 1,
        effects: 1,
        bundle: [1; 32],
        catalog_epoch: 1,
        parameters: None,
        row_limit: 0,
        sealed_text: &[],
        tables: &[],
        sealed_parameters: &[],
    }
}

pub(crate) fn result(session: SessionId, statement: u64, outcome: &'static str) -> Record<'static> {
    Record::Result {
        session,
        statement,
        outcome,
        sqlstate: *b"00000",
        rows: 1,
        bytes: 10,
        duration_us: 5,
        masked: &[],
        clear: &[],
    }
}

pub(crate) fn write(path: &Path, position: u64, bytes: &[u8]) {
    use std::os::unix::fs::FileExt;
    fs::File::options().write(true).open(path).unwrap().write_all_at(bytes, position).unwrap();
}

pub(crate) fn opened(directory: &Path, cores: u16) -> Vec<CoreStart> {
    audit::open(directory, cores, [3; 32]).unwrap().cores
}

pub(crate) fn begin(directory: &Path) -> Log {
    Log::begin(opened(directory, 1).remove(0))
}
