//! The frame walk: DataRows that pass untouched, and small statements in both directions.
//!
//! Figures are bytes through the protocol's value and the lanes, without sockets: what a core spends on looking.

use std::hint::black_box;

use bench::conversation::{Conversation, Needs};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

/// What one read of a streaming result brings.
const READ_BYTES: usize = 64 << 10;

fn rows_that_pass(c: &mut Criterion) {
    let mut group = c.benchmark_group("frames");
    let rows = bench::conversation::rows(READ_BYTES);
    group.throughput(Throughput::Bytes(rows.len() as u64));
    for (name, needs) in [("pass, no plan needed", Needs::Nothing), ("pass, planned clear", Needs::Plan(&[], false))] {
        let mut conversation = Conversation::reading(needs, false);
        group.bench_function(name, |b| b.iter(|| conversation.upstream(black_box(&rows))));
    }
    group.finish();
}

fn small_statements(c: &mut Criterion) {
    let mut group = c.benchmark_group("statements");
    group.throughput(Throughput::Elements(1));
    for (name, needs) in
        [("prepared, no plan needed", Needs::Nothing), ("prepared, planned clear", Needs::Plan(&[], false))]
    {
        let mut conversation = Conversation::prepared(needs);
        group.bench_function(name, |b| b.iter(|| conversation.execute()));
    }
    group.finish();
}

criterion_group!(benches, rows_that_pass, small_statements);
criterion_main!(benches);
