//! The paths that the instruction gate counts, timed; and statements whose rows nothing is masked in.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paths::PATHS;
use paths::statement::{Conversation, PROTOCOLS, Row};

fn paths(c: &mut Criterion) {
    let mut group = c.benchmark_group("paths");
    for path in PATHS {
        group.throughput(Throughput::Elements(path.units));
        let mut step = (path.make)();
        group.bench_function(path.name, |b| b.iter(&mut step));
    }
    group.finish();
}

fn clear(c: &mut Criterion) {
    let mut group = c.benchmark_group("statements with nothing masked");
    group.throughput(Throughput::Elements(1));
    for protocol in PROTOCOLS {
        let mut conversation = Conversation::new(protocol, Row::Clear);
        group.bench_function(format!("{protocol:?}").to_lowercase(), |b| b.iter(|| conversation.run()));
    }
    group.finish();
}

criterion_group!(benches, paths, clear);
criterion_main!(benches);
