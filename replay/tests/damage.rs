//! Recordings on disk, whole and damaged, against what the log commits to.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use audit::record::SessionId;
use replay::{Piece, Recording, RecordingError, Segment, SessionLog};
use sealing::SessionKey;
use sealing::recording::{Builder, Event, FOLDER, Header, Writer, day, file_name};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const OPENED_NS: u64 = 1_795_335_274_000_000_000;

fn key() -> SessionKey {
    SessionKey::new([7; 16], Zeroizing::new([8; 32]))
}

/// Six chunks, committed to after the third, the fifth, and not after the sixth.
fn recorded(directory: &Path) -> (SessionLog, PathBuf) {
    let header = Header {
        session: [7; 16],
        wall_ns: OPENED_NS,
        commitment: key().commitment(),
        encrypted: true,
        ..Header::default()
    };
    let mut writer = Writer::new(&header, Some(&key())).unwrap();
    let mut bytes = header.encode().to_vec();
    let mut segments = Vec::new();
    for n in 1..=6u64 {
        let mut events = Builder::default();
        assert!(events.push(n, Event::Started { statement: n }));
        assert!(events.push(n, Event::Bytes(format!("answer {n}").as_bytes())));
        let mut out = vec![0; Writer::bytes_max(&events)];
        let length = writer.seal(&events, None, &mut out).unwrap();
        bytes.extend_from_slice(&out[..length]);
        if n == 3 || n == 5 {
            let (number, hash) = (segments.len() as u64 + 1, writer.hash());
            segments.push(Segment { number, chunks: n, bytes: bytes.len() as u64, reason: String::new(), hash });
        }
    }
    let folder = directory.join(FOLDER).join(day(OPENED_NS));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join(file_name(&[7; 16]));
    std::fs::write(&path, bytes).unwrap();
    let log = SessionLog {
        id: SessionId([7; 16]),
        core: 0,
        opened_ns: OPENED_NS + 5,
        closed: None,
        issuer: "local".into(),
        user: "ana".into(),
        role: "analyst".into(),
        target: "t".into(),
        source: String::new(),
        application: String::new(),
        recording: "rows".into(),
        commitment: key().commitment(),
        bundle: [0; 32],
        forwarded: 0,
        refused: 0,
        rows: 0,
        bytes: 0,
        statements: BTreeMap::new(),
        segments,
    };
    (log, path)
}

/// Numbers of the chunks that were read with whether the log commits to them, the gaps, and how many ranges are damaged.
type Read = (Vec<(u64, bool)>, Vec<(u64, u64)>, usize);

fn read(directory: &Path, log: &SessionLog) -> Read {
    let key = key();
    let mut recording = Recording::open(directory, log, Some(&key)).unwrap();
    let (mut chunks, mut gaps) = (Vec::new(), Vec::new());
    while let Some(piece) = recording.next(Some(&key)).unwrap() {
        match piece {
            Piece::Chunk(chunk, committed) => chunks.push((chunk.header.number, committed)),
            Piece::Gap(damage) => gaps.push((damage.from, damage.to)),
        }
    }
    (chunks, gaps, recording.damage.len())
}

#[test]
fn a_whole_recording_is_read_and_its_tail_is_named_uncommitted() {
    let directory = tempfile::tempdir().unwrap();
    let (log, _) = recorded(directory.path());
    let all = (1..=6).map(|n| (n, n <= 5)).collect();
    assert_eq!(read(directory.path(), &log), (all, vec![], 0));
}

#[test]
fn behind_a_damaged_segment_reading_goes_on_where_the_log_knows_the_chain() {
    let directory = tempfile::tempdir().unwrap();
    let (log, path) = recorded(directory.path());
    let good = std::fs::read(&path).unwrap();
    for at in [4096 + 4096 + 100, 4096 + 4096 + 20, 4096 + 4096] {
        let mut changed = good.clone();
        changed[at] ^= 1;
        std::fs::write(&path, changed).unwrap();
        let (chunks, gaps, damaged) = read(directory.path(), &log);
        assert_eq!(chunks, [(1, false), (4, true), (5, true), (6, false)], "byte {at}");
        assert_eq!((gaps, damaged), (vec![(2, 3)], 1), "byte {at}");
    }
}

#[test]
fn two_chunks_that_changed_places_and_a_cut_end_are_found() {
    let directory = tempfile::tempdir().unwrap();
    let (log, path) = recorded(directory.path());
    let good = std::fs::read(&path).unwrap();
    let mut swapped = good.clone();
    swapped[4096..8192].copy_from_slice(&good[8192..12_288]);
    swapped[8192..12_288].copy_from_slice(&good[4096..8192]);
    std::fs::write(&path, swapped).unwrap();
    assert_eq!(read(directory.path(), &log).1, [(1, 3)]);
    std::fs::write(&path, &good[..4096 * 5]).unwrap();
    let (chunks, gaps, damaged) = read(directory.path(), &log);
    assert_eq!((chunks.len(), gaps, damaged), (4, vec![(5, 5)], 1));
}

#[test]
fn a_recording_of_another_session_is_not_taken() {
    let directory = tempfile::tempdir().unwrap();
    let (mut log, path) = recorded(directory.path());
    log.commitment = [1; 32];
    assert!(matches!(Recording::open(directory.path(), &log, None), Err(RecordingError::Other(_))));
    std::fs::remove_file(path).unwrap();
    assert!(matches!(Recording::open(directory.path(), &log, None), Err(RecordingError::Missing(_))));
    log.segments.clear();
    assert!(matches!(Recording::open(directory.path(), &log, None), Err(RecordingError::Nothing)));
    log.recording.clear();
    assert!(matches!(Recording::open(directory.path(), &log, None), Err(RecordingError::NotRecorded)));
}
