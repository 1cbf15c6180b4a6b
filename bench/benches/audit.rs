//! The audit log without its disk: appending, sealing a block, verifying.

use std::hint::black_box;

use audit::record::{Clock, Record, SessionId};
use audit::segment::{self, HEADER_PAGE_BYTES, SegmentHeader};
use audit::{Ring, decode_block};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const TEXT: &[u8] = b"SELECT id, name, ssn, birth_date, note FROM clinic.patients WHERE mrn = $1 ORDER BY id LIMIT 100";

fn intent(statement: u64) -> Record<'static> {
    Record::Intent {
        session: SessionId([7; 16]),
        statement,
        text: TEXT,
        via: "execute",
        fingerprint: 0x1234_5678_9abc_def0,
        effects: 5,
        bundle: [3; 32],
        catalog_epoch: 4,
        parameters: Some([9; 32]),
        row_limit: 0,
        sealed_text: &[],
        tables: &[],
        sealed_parameters: &[],
    }
}

fn ring(bytes: usize) -> Ring {
    Ring::new([1; 16], 0, 1, [2; 16], [0; 32], 1, bytes)
}

fn start_of_epoch() -> Record<'static> {
    Record::EpochStart { build: "bench", previous: [0; 32], clean: true, torn_bytes: 0 }
}

fn audit_log(criterion: &mut Criterion) {
    let clock = Clock { wall_ns: 1_795_335_274_123_456_789, mono_ns: 123_456_789_012 };
    let mut group = criterion.benchmark_group("audit");

    group.throughput(Throughput::Elements(1));
    let mut full = ring(8 << 20);
    let mut out = Vec::new();
    let mut statement = 0;
    group.bench_function("append an intent", |bencher| {
        bencher.iter(|| {
            statement += 1;
            if full.append(clock, black_box(&intent(statement))).is_err() {
                // Emptying costs too; it is a part of 1 in 25,000.
                while let Some(sealed) = full.seal(clock, &mut out) {
                    full.durable(sealed.last_sequence);
                    out.clear();
                }
            }
        });
    });

    let mut source = ring(1 << 20);
    while source.pending_bytes() < 64 << 10 {
        statement += 1;
        let _ = source.append(clock, &intent(statement));
    }
    let payload = source.pending_bytes() as u64;
    group.throughput(Throughput::Bytes(payload));
    group.bench_function("append and seal 64 KiB", |bencher| {
        let mut ring = ring(1 << 20);
        bencher.iter(|| {
            while ring.pending_bytes() < 64 << 10 {
                let _ = ring.append(clock, &intent(1));
            }
            out.clear();
            if let Some(sealed) = ring.seal(clock, &mut out) {
                ring.durable(sealed.last_sequence);
            }
        });
    });

    out.clear();
    let sealed = source.seal(clock, &mut out).map_or(0, |sealed| sealed.bytes);
    group.throughput(Throughput::Bytes(sealed as u64));
    group.bench_function("check a 64 KiB block", |bencher| {
        bencher.iter(|| decode_block(black_box(&out)).map(|block| block.hash));
    });
    group.finish();
}

fn verifier(criterion: &mut Criterion) {
    let directory = std::env::temp_dir().join(format!("tidegate-bench-audit-{}", std::process::id()));
    let bytes = write_log(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let report = audit::verify(&directory);
    assert_eq!(report.exit_code(), 0, "{}", report.text());
    let mut group = criterion.benchmark_group("audit");
    group.throughput(Throughput::Bytes(bytes));
    group.sample_size(10);
    group.bench_function("verify 64 MiB", |bencher| bencher.iter(|| audit::verify(&directory).errors()));
    group.finish();
    let _ = std::fs::remove_dir_all(&directory);
}

/// A log of one epoch and 64 MiB.
fn write_log(directory: &std::path::Path) -> std::io::Result<u64> {
    use std::os::unix::fs::FileExt;
    let folder = segment::core_directory(directory, 0);
    std::fs::create_dir_all(&folder)?;
    let segment_bytes = 68 << 20;
    let header = SegmentHeader { node: [1; 16], core: 0, cores: 1, epoch: 1, epoch_nonce: [2; 16], segment_bytes };
    let path = segment::publish(&segment::prepare(&folder, &header)?, 0)?;
    let file = std::fs::File::options().write(true).open(path)?;
    let (mut ring, mut out, mut position, mut statement) = (ring(1 << 20), Vec::new(), HEADER_PAGE_BYTES, 0);
    let mut clock = Clock { wall_ns: 1_795_335_274_000_000_000, mono_ns: 1 };
    let _ = ring.append(clock, &start_of_epoch());
    while position < 64 << 20 {
        while ring.pending_bytes() < 64 << 10 {
            statement += 1;
            (clock.wall_ns, clock.mono_ns) = (clock.wall_ns + 1000, clock.mono_ns + 1000);
            let _ = ring.append(clock, &intent(statement));
            let done = Record::Result {
                session: SessionId([7; 16]),
                statement,
                outcome: "ok",
                sqlstate: *b"00000",
                rows: 100,
                bytes: 32_000,
                duration_us: 900,
                masked: &[],
                clear: &[],
            };
            let _ = ring.append(clock, &done);
        }
        out.clear();
        let Some(sealed) = ring.seal(clock, &mut out) else { break };
        file.write_all_at(&out, position)?;
        ring.durable(sealed.last_sequence);
        position += out.len() as u64;
    }
    Ok(position)
}

criterion_group!(benches, audit_log, verifier);
criterion_main!(benches);
