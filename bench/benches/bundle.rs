//! Loading a bundle with a few rules, and with a word list of ten thousand names.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use policy::model::{Block, Class, Detector, Pattern, WordList};
use policy::{Bundle, Model};

fn model(words: u32) -> Model {
    // Distinct pronounceable words, sorted because their syllables are counted up.
    let syllable = |n: u32| ["ba", "de", "fi", "go", "ku", "la", "me", "ni", "po", "ru"][n as usize % 10];
    let word = |n: u32| (0..6).rev().map(|i| syllable(n / 10u32.pow(i))).collect::<String>();
    Model {
        classes: vec![Class {
            name: "notes".into(),
            identifier: None,
            description: String::new(),
            detectors: vec![Detector::Words(0)],
            line: 0,
        }],
        word_lists: vec![WordList { name: "names".into(), words: (0..words).map(word).collect(), patterns: vec![] }],
        blocks: vec![Block {
            name: "exfiltration".into(),
            effects: 0,
            objects: vec![],
            words: vec!["dblink".into(), "xp_cmdshell".into()],
            patterns: vec![Pattern { expression: r"into\s+outfile".into(), literal: "outfile".into() }],
            roles: vec![],
            except: vec![],
            message: None,
            hint: None,
            line: 0,
        }],
        ..Model::default()
    }
}

fn load(c: &mut Criterion) {
    let mut group = c.benchmark_group("bundle-load");
    for (name, words) in [("ten-words", 10), ("ten-thousand-words", 10_000), ("150-thousand-words", 150_000)] {
        let bytes = Bundle::encode(&model(words)).expect("a valid model");
        group.throughput(Throughput::Bytes(bytes.len() as u64));
        group.bench_function(name, |b| b.iter(|| Bundle::load(black_box(&bytes)).map(|b| *b.digest())));
    }
    group.finish();
}

criterion_group!(benches, load);
criterion_main!(benches);
