//! The audit log and recordings without their disk: sealing a block or a chunk, checking one.

use std::hint::black_box;

use audit::decode_block;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paths::records::{self, CLOCK};
use sealing::SessionKey;
use sealing::recording::{Builder, Event, Header, Writer};
use zeroize::Zeroizing;

fn audit_log(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("audit");

    let mut out = Vec::new();
    let mut source = records::ring(1, 1 << 20);
    for statement in 1.. {
        let _ = source.append(CLOCK, &records::intent(statement));
        if source.pending_bytes() >= 64 << 10 {
            break;
        }
    }
    let payload = source.pending_bytes() as u64;
    group.throughput(Throughput::Bytes(payload));
    group.bench_function("append and seal 64 KiB", |bencher| {
        let mut ring = records::ring(1, 1 << 20);
        bencher.iter(|| {
            while ring.pending_bytes() < 64 << 10 {
                let _ = ring.append(CLOCK, &records::intent(1));
            }
            out.clear();
            if let Some(sealed) = ring.seal(CLOCK, &mut out) {
                ring.durable(sealed.last_sequence);
            }
        });
    });

    out.clear();
    let sealed = source.seal(CLOCK, &mut out).map_or(0, |sealed| sealed.bytes);
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
