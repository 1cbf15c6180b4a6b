//! The audit log and recordings without their disk: appending, sealing a block or a chunk, checking one.

use std::hint::black_box;

use audit::record::{Clock, Record, SessionId};
use audit::{Ring, decode_block};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sealing::SessionKey;
use sealing::recording::{Builder, Event, Header, Writer};
use zeroize::Zeroizing;

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

fn recordings(criterion: &mut Criterion) {
    let key = SessionKey::new([1; 16], Zeroizing::new([2; 32]));
    let sent: Vec<u8> = (0..64u32 << 10).map(|at| (at * 7) as u8).collect();
    let mut events = Builder::roomy();
    let mut group = criterion.benchmark_group("recording");
    while events.room() > 0 {
        events.push(1, Event::Bytes(&sent[..events.room().min(sent.len())]));
    }
    group.throughput(Throughput::Bytes(events.len() as u64));
    group.bench_function("collect a chunk in pieces of 64 KiB", |bencher| {
        let mut events = Builder::roomy();
        bencher.iter(|| {
            events.clear();
            while events.room() > 0 {
                events.push(1, Event::Bytes(&black_box(&sent)[..events.room().min(sent.len())]));
            }
        });
    });
    let mut out = vec![0; Writer::bytes_max(&events)];
    for (name, key) in [("seal a chunk, encrypted", Some(&key)), ("seal a chunk, in clear", None)] {
        let commitment = key.map_or([0; 32], SessionKey::commitment);
        let header = Header { session: [1; 16], commitment, encrypted: key.is_some(), ..Header::default() };
        let Ok(mut writer) = Writer::new(&header, key) else { continue };
        group.bench_function(name, |bencher| {
            bencher.iter(|| writer.seal(black_box(&events), None, &mut out).is_ok_and(|bytes| bytes > 0));
        });
    }
    group.finish();
}

criterion_group!(benches, audit_log, recordings);
criterion_main!(benches);
