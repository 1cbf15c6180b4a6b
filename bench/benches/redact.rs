//! One value through each redaction, text of eleven bytes unless the type says otherwise.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use policy::model::*;
use policy::{Bundle, ColumnShape, Epoch, Format, Keys, Model, Plan, preview};

/// A model with one class that is treated so.
fn plan(redaction: Redaction, type_oid: u32) -> Plan {
    let relation = lineage::catalog::Relation {
        oid: 20_000,
        schema: "s".into(),
        name: "t".into(),
        kind: lineage::catalog::RelationKind::Table,
        columns: vec![lineage::catalog::Column {
            number: 1,
            name: "c".into(),
            type_oid,
            type_name: String::new(),
            comment: None,
        }],
        comment: None,
        definition: None,
        depends_on: vec![],
        parents: vec![],
        filled_by: Vec::new(),
        estimated_rows: -1,
    };
    let all = || "*".to_owned();
    let model = Model {
        targets: vec![Target {
            name: "w".into(),
            protocol: WireProtocol::Postgres,
            address: "db:5432".into(),
            tls: UpstreamTls::Disable,
            database: "w".into(),
            account: "g".into(),
            audit: AuditMode::Async,
            line: 0,
        }],
        classes: vec![Class {
            name: "c".into(),
            identifier: None,
            description: String::new(),
            detectors: vec![],
            line: 0,
        }],
        bindings: vec![Binding {
            by: BindingBy::Selector(Selector { target: all(), schema: all(), relation: all(), column: all() }),
            class: Some(0),
            line: 0,
        }],
        redactions: vec![redaction],
        roles: vec![Role {
            name: "r".into(),
            groups: vec![all()],
            targets: vec![all()],
            treatment: vec![0],
            unclassified: Unclassified::Clear,
            trusted_functions: vec![],
            channels: vec![],
            mode: Mode::Enforce,
            comparisons: Vec::new(),
            budgets: Vec::new(),
            derive: Derive::Refuse,
            request: None,
            break_glass: None,
            line: 0,
        }],
        ..Model::default()
    };
    let catalog = lineage::Catalog { relations: vec![relation], ..lineage::Catalog::default() };
    let bundle = Bundle::encode(&model)
        .and_then(|b| Bundle::load(&b).map_err(|e| policy::BuildError::Inconsistent(e.to_string())));
    let mut keys = Keys::new();
    keys.insert("k", b"a secret for benchmarks".to_vec());
    let epoch = Arc::new(Epoch::resolve(Arc::new(bundle.expect("a valid model")), 0, &catalog, &keys));
    let grant = preview(&epoch, "r").expect("the role is there");
    let text = "select c from t";
    let facts = lineage::analyse(text).expect("plain SQL");
    let policy::Decision::Allow(allowed) = grant.decide(text, &facts, &()) else { panic!("allowed by construction") };
    grant.plan(&allowed[0], &[ColumnShape { name: b"c", table: 20_000, attribute: 1, type_oid }]).expect("attributed")
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
        ("token", Redaction::Token { key: "k".into(), length: 32 }, 25, Format::Text, b"123-45-6789"),
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
