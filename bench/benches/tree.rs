//! The tree over block headers, without its files: appending, the root, proofs, signatures.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tlog::{
    Checkpoint, Edge, Hash, SigningKey, Tile,
    note::KeyKind,
    tile::{Malformed, ReadTile, Tiled},
    tree,
};

/// Tiles in memory.
#[derive(Default)]
struct Tiles(std::collections::HashMap<Tile, Vec<Hash>>);

impl ReadTile for Tiles {
    type Error = Malformed;

    fn read(&self, tile: Tile) -> Result<Vec<Hash>, Malformed> {
        self.0.get(&tile).cloned().ok_or(Malformed)
    }
}

fn headers(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("tree");
    let mut header = [7u8; 256];

    group.throughput(Throughput::Elements(1));
    let (mut edge, mut full) = (Edge::default(), 0usize);
    group.bench_function("append a header", |bencher| {
        bencher.iter(|| {
            header[..8].copy_from_slice(&edge.size().to_le_bytes());
            edge.push(Hash::leaf(black_box(&header)), |_, hashes| full += hashes.len());
        });
    });

    let size = 1_000_003;
    let (mut edge, mut tiles) = (Edge::default(), Tiles::default());
    for n in 0..size {
        edge.push(Hash::leaf(&u64::to_le_bytes(n)), |tile, hashes| {
            tiles.0.insert(tile, hashes.to_vec());
        });
    }
    for (tile, hashes) in edge.partial() {
        tiles.0.insert(tile, hashes.to_vec());
    }
    group.bench_function("root of a million", |bencher| bencher.iter(|| black_box(&edge).root()));
    let tiled = Tiled { reader: &tiles, size };
    group.bench_function("prove inclusion in a million", |bencher| {
        bencher.iter(|| tree::inclusion(&tiled, black_box(654_321), size));
    });
    let root = edge.root();
    let Ok(path) = tree::inclusion(&tiled, 654_321, size) else { return };
    let leaf = Hash::leaf(&654_321u64.to_le_bytes());
    group.bench_function("check inclusion in a million", |bencher| {
        bencher.iter(|| tree::verify_inclusion(leaf, 654_321, size, root, black_box(&path)));
    });
    let Ok(key) = SigningKey::from_seed("example.com/log", KeyKind::Log, &[3; 32]) else { return };
    let text = Checkpoint::new("example.com/log", size, root).to_string();
    group.bench_function("sign a checkpoint", |bencher| bencher.iter(|| key.sign(black_box(&text), 0)));
    group.finish();
    black_box(full);
}

criterion_group!(benches, headers);
criterion_main!(benches);
