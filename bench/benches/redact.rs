//! One value through each redaction, text of eleven bytes unless the type says otherwise.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use paths::rules::{self, KEY, Protected};
use policy::model::Redaction;
use policy::{Format, Plan};

/// What rules that treat a column of this type so make of it.
fn plan(redaction: Redaction, type_oid: u32) -> Plan {
    let protected = Protected { columns: "*", detectors: &[], redaction };
    rules::plan(&[protected], rules::table("s", "t", 20_000, &[("c", type_oid)]))
}

fn redact(c: &mut Criterion) {
    let mut group = c.benchmark_group("redact");
    group.throughput(Throughput::Elements(1));
    let star = '*';
    let cases: [(&str, Redaction, u32, Format, &[u8]); 10] = [
        ("null", Redaction::Null, 25, Format::Text, b"123-45-6789"),
        ("constant", Redaction::Constant("hidden".into()), 25, Format::Text, b"123-45-6789"),
        ("keep-last", Redaction::KeepLast { count: 4, fill: star }, 25, Format::Text, b"123-45-6789"),
        ("keep-first-utf8", Redaction::KeepFirst { count: 1, fill: star }, 25, Format::Text, "Zoë Müller".as_bytes()),
        ("fill", Redaction::Fill { fill: star }, 25, Format::Text, b"123-45-6789"),
        ("token", Redaction::Token { key: KEY.into(), length: 32 }, 25, Format::Text, b"123-45-6789"),
        ("year-text", Redaction::Year, 1082, Format::Text, b"1952-05-21"),
        ("year-binary", Redaction::Year, 1082, Format::Binary, &[0, 0, 1, 44]),
        ("age-binary", Redaction::AgeCap, 23, Format::Binary, &[0, 0, 0, 95]),
        ("zip3", Redaction::Zip3, 25, Format::Text, b"94110-1234"),
    ];
    for (name, redaction, type_oid, format, value) in cases {
        let plan = plan(redaction, type_oid);
        let mut out = Vec::with_capacity(64);
        group.bench_function(name, |b| b.iter(|| plan.redact(0, format, black_box(value), &mut out)));
    }
    group.finish();
}

/// Arrays of a thousand elements and a JSON document, beside a copy of the same bytes.
fn many_values(c: &mut Criterion) {
    let mut group = c.benchmark_group("redact many values");
    let binary = |element: u32, value: &[u8]| {
        let mut array = [1i32.to_be_bytes(), 0i32.to_be_bytes(), element.to_be_bytes()].concat();
        array.extend([1000i32, 1].map(i32::to_be_bytes).concat());
        for _ in 0..1000 {
            array.extend(u32::try_from(value.len()).unwrap_or(0).to_be_bytes());
            array.extend(value);
        }
        array
    };
    let text = format!("{{{}123-45-6789}}", "123-45-6789,".repeat(999));
    let json = format!("[{}0]", "{\"ssn\": \"123-45-6789\", \"n\": 17},".repeat(500));
    let keep_last = || Redaction::KeepLast { count: 4, fill: '*' };
    let cases: [(&str, Redaction, u32, Format, Vec<u8>); 5] = [
        ("text[] in binary", keep_last(), 1009, Format::Binary, binary(25, b"123-45-6789")),
        ("text[] in text", keep_last(), 1009, Format::Text, text.into_bytes()),
        ("int4[] in binary", Redaction::AgeCap, 1007, Format::Binary, binary(23, &[0, 0, 0, 95])),
        ("uuid[] in binary", keep_last(), 2951, Format::Binary, binary(2950, &[7; 16])),
        ("json", keep_last(), 114, Format::Text, json.into_bytes()),
    ];
    for (name, redaction, type_oid, format, value) in cases {
        let plan = plan(redaction, type_oid);
        group.throughput(Throughput::Bytes(value.len() as u64));
        let mut out = Vec::with_capacity(2 * value.len());
        group.bench_function(name, |b| b.iter(|| plan.redact(0, format, black_box(&value), &mut out)));
        group.bench_function(format!("{name}, passed"), |b| {
            b.iter(|| {
                out.clear();
                out.extend_from_slice(black_box(&value));
            })
        });
    }
    group.finish();
}

criterion_group!(benches, redact, many_values);
criterion_main!(benches);
