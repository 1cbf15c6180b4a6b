//! One small statement through a session with rules and records, in each protocol; no sockets.

use criterion::{Criterion, criterion_group, criterion_main};
use paths::statement::{PROTOCOLS, Row, statement};

fn statements(c: &mut Criterion) {
    let mut group = c.benchmark_group("statement");
    for (word, kind) in [("clear", Row::Clear), ("masked", Row::Masked)] {
        for protocol in PROTOCOLS {
            let mut run = statement(protocol, kind);
            group.bench_function(format!("{}, {word}", protocol.name()), |b| b.iter(&mut run));
        }
    }
    group.finish();
}

criterion_group!(benches, statements);
criterion_main!(benches);
