//! Masked rows: one and six of eight columns, text and binary, in place and growing; and the rows of a COPY, beside what
//! they cost when they pass.
//!
//! The redactions themselves are the policy crate's and are measured there; here they are a fill, so that the figure is
//! what the walk, the rewrite and the lanes cost.

use std::hint::black_box;

use bench::conversation::{Conversation, Needs};
use contract::{CopyFormat, Quoted};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const READ_BYTES: usize = 64 << 10;

fn masked(c: &mut Criterion) {
    let mut group = c.benchmark_group("rows");
    let rows = bench::conversation::rows(READ_BYTES);
    group.throughput(Throughput::Bytes(rows.len() as u64));
    let (one, six): (&[u16], &[u16]) = (&[2], &[1, 2, 3, 4, 6, 7]);
    for (columns, name) in [(one, "1 of 8"), (six, "6 of 8")] {
        for (binary, format) in [(false, "text"), (true, "binary")] {
            for (grows, how) in [(false, "same length"), (true, "rewritten")] {
                let mut conversation = Conversation::reading(Needs::Plan(columns, grows), binary);
                let id = format!("{name}, {format}, {how}");
                group.bench_function(id, |b| b.iter(|| conversation.upstream(black_box(&rows))));
            }
        }
    }
    group.finish();
}

fn copied(c: &mut Criterion) {
    let mut group = c.benchmark_group("copy");
    let text = CopyFormat::Text { delimiter: b'\t', null: b"\\N".to_vec(), header: false };
    let csv = CopyFormat::Csv {
        delimiter: b',',
        quote: b'"',
        escape: b'"',
        null: Vec::new(),
        header: false,
        quoted: Quoted::Columns(Vec::new()),
    };
    let (none, one, six): (&[u16], &[u16], &[u16]) = (&[], &[2], &[1, 2, 3, 4, 6, 7]);
    for (format, name) in [(text, "text"), (csv, "CSV"), (CopyFormat::Binary, "binary")] {
        let rows = bench::conversation::copy_rows(READ_BYTES, &format);
        group.throughput(Throughput::Bytes(rows.len() as u64));
        for (columns, masked) in [(none, "passed"), (one, "1 of 8"), (six, "6 of 8")] {
            let mut conversation = Conversation::copying(columns, &format);
            group.bench_function(format!("{name}, {masked}"), |b| b.iter(|| conversation.upstream(black_box(&rows))));
        }
    }
    group.finish();
}

criterion_group!(benches, masked, copied);
criterion_main!(benches);
