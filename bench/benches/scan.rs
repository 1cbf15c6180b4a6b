//! Free text of about 190 bytes through every built-in shape: nothing to find, and something in every clause.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use scan::Detector;

const ALL: &[Detector] = &[
    Detector::Ssn,
    Detector::Mrn,
    Detector::Phone,
    Detector::Email,
    Detector::Card,
    Detector::Date,
    Detector::Age,
    Detector::Ip,
    Detector::Url,
    Detector::Zip,
    Detector::Plan,
    Detector::Address,
];

const CLEAN: &str = "The patient reports mild discomfort after the procedure and denies fever, chills or nausea; continues \
                     current medication and will return to the clinic if symptoms persist or become worse over time.";
const NUMBERS: &str = "BP 120/80, HR 72, temp 98.6, SpO2 99% on 2L. Metoprolol 25mg BID, Gabapentin 300mg, pain 6/10 for 3 \
                       days. Labs: Na 140, K 4.1, Cl 101, BUN 14, Cr 0.9, WBC 10.5, Hgb 13.2, Plt 250.";
const DENSE: &str = "Seen 2021-03-04, MRN 00123456, SSN 123-45-6789, call (415) 555-0100 or mail jane@example.org; see \
                     https://example.org/x from 10.1.2.3, Austin TX 75001, a 93 yo with card 4111 1111 1111 1111.";

fn free_text(c: &mut Criterion) {
    let mut group = c.benchmark_group("scan");
    for (name, text) in [("clean", CLEAN), ("numbers", NUMBERS), ("dense", DENSE)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| scan::find(ALL, black_box(text.as_bytes()))));
    }
    group.finish();
}

criterion_group!(benches, free_text);
criterion_main!(benches);
