//! Understanding a statement: cold, and from the cache by text and by normal form.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lineage::{FactsCache, analyse, normalise};

const SHORT: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 73423;";
const SHORT_OTHER: &str = "SELECT abalance FROM pgbench_accounts WHERE aid = 5120099;";

/// About a kilobyte, of the kind a report sends.
const ANALYST: &str = "WITH recent AS (SELECT v.patient_id, v.clinic_id, date_trunc('month', v.visited_at) AS month, \
    count(*) AS visits, sum(i.amount) AS billed FROM clinic.visits v JOIN clinic.invoices i ON i.visit_id = v.id \
    WHERE v.visited_at >= '2025-01-01' AND v.visited_at < '2026-01-01' AND i.status IN ('open', 'paid', 'late') \
    GROUP BY v.patient_id, v.clinic_id, date_trunc('month', v.visited_at)), ranked AS (SELECT r.*, \
    rank() OVER (PARTITION BY r.clinic_id, r.month ORDER BY r.billed DESC) AS place FROM recent r) \
    SELECT c.name AS clinic, k.month, count(DISTINCT k.patient_id) AS patients, sum(k.visits) AS visits, \
    round(avg(k.billed), 2) AS mean_billed, sum(CASE WHEN k.place <= 10 THEN k.billed ELSE 0 END) AS top_ten, \
    coalesce(max(p.region), 'unknown') AS region FROM ranked k JOIN clinic.clinics c ON c.id = k.clinic_id \
    LEFT JOIN clinic.patients p ON p.id = k.patient_id AND p.active WHERE c.country = 'NL' AND k.visits > 1 \
    GROUP BY c.name, k.month HAVING sum(k.billed) > 1000 ORDER BY c.name, k.month LIMIT 500";

fn cold(c: &mut Criterion) {
    let mut group = c.benchmark_group("analyse");
    for (name, text) in [("pgbench select", SHORT), ("analyst 1 KB", ANALYST)] {
        group.bench_function(name, |b| b.iter(|| analyse(black_box(text)).is_ok()));
    }
    group.finish();
}

fn cached(c: &mut Criterion) {
    let mut cache = FactsCache::new(1_000, 16 << 20);
    let parameter = "SELECT abalance FROM pgbench_accounts WHERE aid = $1;";
    let analyst_parameters = ANALYST.replace("'2025-01-01'", "$1").replace("'2026-01-01'", "$2");
    let mut group = c.benchmark_group("cached");
    for (name, text) in [
        ("by text, short", parameter),
        ("by form, short", SHORT_OTHER),
        ("by form, analyst 1 KB", ANALYST),
        ("by form, analyst 1 KB with parameters", &analyst_parameters),
    ] {
        cache.get_or_analyse(SHORT).expect("understood");
        cache.get_or_analyse(text).expect("understood");
        group.bench_function(name, |b| b.iter(|| cache.get_or_analyse(black_box(text)).is_ok()));
    }
    group.finish();
}

fn normal_form(c: &mut Criterion) {
    let mut group = c.benchmark_group("normalise");
    let mut out = Vec::new();
    for (name, text) in [("short", SHORT), ("analyst 1 KB", ANALYST)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| b.iter(|| normalise(black_box(text.as_bytes()), &mut out)));
    }
    group.finish();
}

criterion_group!(benches, cold, cached, normal_form);
criterion_main!(benches);
