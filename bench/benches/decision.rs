//! Understanding a statement, cold and from the cache; deciding it, cold (grammar, lineage, rules) and with facts and
//! judgement at hand.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use lineage::catalog::{Column, Relation, RelationKind};
use lineage::{Catalog, FactsCache, analyse, normalise};
use policy::model::*;
use policy::{Bundle, Decision, Epoch, Grant, Keys, Model, preview};

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

/// About a kilobyte with three joins over protected tables; it is allowed.
const JOINED: &str = "WITH recent AS (SELECT e.patient_id, e.department, e.admitted_on, e.charge, row_number() OVER \
    (PARTITION BY e.patient_id ORDER BY e.encounter_id DESC) AS place FROM clinic.encounters e WHERE e.charge > 100 \
    AND e.department IN ('cardiology', 'oncology', 'surgery')), costs AS (SELECT r.patient_id, sum(r.charge) AS total, \
    count(*) AS stays FROM recent r WHERE r.place <= 5 GROUP BY r.patient_id HAVING count(*) > 1) \
    SELECT p.patient_id, p.ssn, upper(p.last_name) AS name, p.first_name || ' ' || p.last_name AS whole, p.state, \
    d.beds, c.total, c.stays, n.author, n.note, CASE WHEN c.total > 10000 THEN 'high' WHEN c.total > 1000 THEN 'middle' \
    ELSE 'low' END AS band, coalesce(p.city, 'unknown') AS city, round(c.total / c.stays, 2) AS mean FROM clinic.patients p \
    JOIN costs c ON c.patient_id = p.patient_id JOIN recent l ON l.patient_id = p.patient_id AND l.place = 1 \
    JOIN clinic.departments d ON d.name = l.department LEFT JOIN clinic.notes n ON n.patient_id = p.patient_id \
    WHERE p.state IN ('MA', 'NY', 'CA') AND d.beds > 10 ORDER BY c.total DESC, p.patient_id LIMIT 100";

const TABLES: &[(&str, &[&str])] = &[
    ("departments", &["name", "beds"]),
    ("encounters", &["encounter_id", "patient_id", "admitted_on", "department", "icd10", "age_at_visit", "charge"]),
    ("notes", &["note_id", "encounter_id", "patient_id", "author", "written_on", "note"]),
    (
        "patients",
        &[
            "patient_id",
            "mrn",
            "ssn",
            "first_name",
            "last_name",
            "dob",
            "sex",
            "phone",
            "email",
            "street",
            "city",
            "state",
            "zip",
            "insurance_member_id",
            "created_at",
        ],
    ),
];

/// Rules that hold what the statements here are not: by effect and by object.
fn holds() -> Vec<Hold> {
    let rule = |n: usize| Block {
        name: format!("hold-{n}"),
        effects: if n.is_multiple_of(2) { 0 } else { lineage::Effects::DELETE.0 },
        objects: vec![Selector {
            target: "*".into(),
            schema: "*".into(),
            relation: if n.is_multiple_of(2) { format!("ledger_{n}") } else { "*".to_owned() },
            column: "*".into(),
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

fn grant(holds: Vec<Hold>) -> Grant {
    let relations = TABLES.iter().zip(20_000..).map(|((name, columns), oid)| Relation {
        oid,
        schema: "clinic".into(),
        name: (*name).into(),
        kind: RelationKind::Table,
        columns: columns
            .iter()
            .zip(1..)
            .map(|(name, number)| Column {
                number,
                name: (*name).into(),
                type_oid: 25,
                type_name: String::new(),
                comment: None,
            })
            .collect(),
        comment: None,
        definition: None,
        depends_on: vec![],
        parents: vec![],
        filled_by: Vec::new(),
        estimated_rows: -1,
    });
    let all = || "*".to_owned();
    let class = |name: &str| Class {
        name: name.into(),
        identifier: None,
        description: String::new(),
        detectors: vec![],
        line: 0,
    };
    let binding = |column: &str, class| Binding {
        by: BindingBy::Selector(Selector { target: all(), schema: all(), relation: all(), column: column.into() }),
        class: Some(class),
        line: 0,
    };
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
        classes: vec![class("ssn"), class("name"), class("note")],
        bindings: vec![binding("ssn", 0), binding("*_name", 1), binding("note", 2), binding("author", 1)],
        redactions: vec![Redaction::KeepLast { count: 4, fill: '*' }, Redaction::Null],
        roles: vec![Role {
            name: "r".into(),
            groups: vec![all()],
            targets: vec![all()],
            treatment: vec![0, 1, 1],
            unclassified: Unclassified::Clear,
            trusted_functions: vec![],
            channels: vec![],
            mode: Mode::Enforce,
            comparisons: vec![],
            budgets: vec![],
            derive: Derive::Refuse,
            request: None,
            break_glass: None,
            line: 0,
        }],
        holds,
        ..Model::default()
    };
    let catalog = Catalog { relations: relations.collect(), ..Catalog::default() };
    let bundle = Bundle::load(&Bundle::encode(&model).expect("a valid model")).expect("a valid bundle");
    let epoch = Arc::new(Epoch::resolve(Arc::new(bundle), 0, &catalog, &Keys::new()));
    preview(&epoch, "r").expect("the role is there")
}

fn decide(c: &mut Criterion) {
    let held = grant(holds());
    let grant = grant(Vec::new());
    let mut group = c.benchmark_group("decide");
    for (name, text) in
        [("short", "SELECT patient_id, ssn FROM clinic.patients WHERE patient_id = $1"), ("1 KB, three joins", JOINED)]
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
