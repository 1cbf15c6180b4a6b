//! Verification: how many MB of log per second, with one thread and with one per core.
//!
//! The log has 256 MiB in segments of 16 MiB, of statements as a busy gateway writes them, and lies in the page cache: the
//! disk is not measured.

use std::path::Path;

use audit::record::{Clock, Record, SessionId};
use audit::segment::{self, HEADER_PAGE_BYTES, SegmentHeader};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paths::records;
use verifier::{Options, verify_logs};

const SEGMENT: u64 = 16 << 20;
const SEGMENTS: u64 = 16;

fn done(statement: u64) -> Record<'static> {
    Record::Result {
        session: SessionId([7; 16]),
        statement,
        outcome: "ok",
        sqlstate: *b"00000",
        rows: 100,
        bytes: 32_000,
        duration_us: 900,
        masked: &[],
        clear: &[],
    }
}

fn verification(criterion: &mut Criterion) {
    let directory = std::env::temp_dir().join(format!("tidegate-bench-verify-{}", std::process::id()));
    let (bytes, records) = write_log(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let mut group = criterion.benchmark_group("verify");
    group.throughput(Throughput::Bytes(bytes));
    group.sample_size(10);
    let logs = [directory.clone()];
    for threads in [1, 2] {
        let options = Options { threads, ..Options::default() };
        let begun = std::time::Instant::now();
        let report = verify_logs(&logs, &options);
        let seconds = begun.elapsed().as_secs_f64();
        assert_eq!(report.exit_code(), 0, "{}", report.text());
        println!("verify, {threads} threads: {:.0} MB/s, {records} records", bytes as f64 / 1e6 / seconds);
        group.bench_function(format!("{threads} threads"), |bencher| {
            bencher.iter(|| verify_logs(&logs, &options).errors());
        });
    }
    group.finish();
    let _ = std::fs::remove_dir_all(&directory);
}

/// A log of one epoch on one core: its size and records.
fn write_log(directory: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::FileExt;
    let folder = segment::core_directory(directory, 0);
    std::fs::create_dir_all(&folder)?;
    let header =
        SegmentHeader { node: [1; 16], core: 0, cores: 1, epoch: 1, epoch_nonce: [2; 16], segment_bytes: SEGMENT };
    let mut ring = records::ring(1, 1 << 20);
    let mut clock = Clock { wall_ns: 1_795_335_274_000_000_000, mono_ns: 1 };
    let (mut out, mut statement, mut bytes, mut records) = (Vec::new(), 0, 0, 1);
    let _ = ring.append(clock, &Record::EpochStart { build: "bench", previous: [0; 32], clean: true, torn_bytes: 0 });
    let (mut segments, mut position, mut path) = (0, SEGMENT, None);
    while segments < SEGMENTS || position + (1 << 20) < SEGMENT {
        while ring.pending_bytes() < 64 << 10 {
            statement += 1;
            records += 2;
            (clock.wall_ns, clock.mono_ns) = (clock.wall_ns + 1000, clock.mono_ns + 1000);
            let _ = ring.append(clock, &records::intent(statement));
            let _ = ring.append(clock, &done(statement));
        }
        out.clear();
        let Some(sealed) = ring.seal(clock, &mut out) else { break };
        if position + out.len() as u64 > SEGMENT {
            path = Some(segment::publish(&segment::prepare(&folder, &header)?, sealed.block_seq)?);
            (segments, position) = (segments + 1, HEADER_PAGE_BYTES);
        }
        let file = std::fs::File::options().write(true).open(path.as_deref().unwrap_or(directory))?;
        file.write_all_at(&out, position)?;
        ring.durable(sealed.last_sequence);
        position += out.len() as u64;
        bytes += out.len() as u64;
    }
    Ok((bytes, records))
}

criterion_group!(benches, verification);
criterion_main!(benches);
