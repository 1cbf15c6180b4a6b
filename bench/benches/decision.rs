//! Understanding a statement, cold and from the cache; deciding it, cold (grammar, lineage, rules) and with facts and
//! judgement at hand.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lineage::{FactsCache, analyse, normalise};
use paths::{clinic, rules};
use policy::Decision;
use policy::model::{Block, Hold, InTransaction, Selector};

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

/// Rules that hold what the statements here are not: by effect and by object.
fn holds() -> Vec<Hold> {
    let rule = |n: usize| Block {
        name: format!("hold-{n}"),
        effects: if n.is_multiple_of(2) { 0 } else { lineage::Effects::DELETE.0 },
        objects: vec![Selector {
            relation: if n.is_multiple_of(2) { format!("ledger_{n}") } else { "*".to_owned() },
            ..rules::column("*")
        }],
        words: vec![],
        patterns: vec![],
        roles: vec![],
        except: vec![],
        message: None,
        hint: None,
        line: 0,
    };
    let hold = |rule: Block| Hold {
        rule,
        rows_over: 0,
        approvers: vec!["dba".into()],
        approvals: 1,
        distinct_groups: false,
        in_transaction: InTransaction::Refuse,
    };
    (0..30).map(rule).map(hold).collect()
}

fn decide(c: &mut Criterion) {
    let grant = |holds| rules::grant(&clinic::epoch(holds), clinic::TWO);
    let (held, grant) = (grant(holds()), grant(Vec::new()));
    let mut group = c.benchmark_group("decide");
    for (name, text) in
        [("short", "SELECT id, ssn FROM clinic.people WHERE id = $1"), ("report, three joins", clinic::REPORT)]
    {
        let facts = analyse(text).expect("understood");
        assert!(matches!(grant.decide(text, &facts, &()), Decision::Allow(_)), "{name} is allowed");
        group.bench_function(format!("{name}, seen before"), |b| {
            b.iter(|| matches!(grant.decide(text, black_box(&facts), &()), Decision::Allow(_)));
        });
        assert!(matches!(held.decide(text, &facts, &()), Decision::Allow(_)), "{name} is not held");
        group.bench_function(format!("{name}, seen before, beside holding rules"), |b| {
            b.iter(|| matches!(held.decide(text, black_box(&facts), &()), Decision::Allow(_)));
        });
        group.bench_function(format!("{name}, cold"), |b| {
            b.iter(|| {
                let facts = analyse(black_box(text)).expect("understood");
                matches!(grant.decide(text, &facts, &()), Decision::Allow(_))
            });
        });
    }
    group.finish();
}

criterion_group!(benches, cold, cached, normal_form, decide);
criterion_main!(benches);
