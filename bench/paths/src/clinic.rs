//! Rules and catalog that the paths are measured under: a clinic with protected columns, and pgbench's accounts.

use std::sync::Arc;

use lineage::Catalog;
use lineage::catalog::{Column, Relation, RelationKind};
use policy::model::{
    AuditMode, Binding, BindingBy, Class, Derive, Hold, Mode, Redaction, Role, Selector, Target, Unclassified,
    UpstreamTls, WireProtocol,
};
use policy::{Bundle, Epoch, Grant, Keys, Model, preview};

/// OID of the first table; the others follow.
pub const FIRST_OID: u32 = 20_000;

/// Tables with their columns, all of them text.
pub const TABLES: &[(&str, &str, &[&str])] = &[
    ("clinic", "departments", &["name", "beds"]),
    (
        "clinic",
        "encounters",
        &["encounter_id", "patient_id", "admitted_on", "department", "icd10", "age_at_visit", "charge"],
    ),
    ("clinic", "notes", &["note_id", "encounter_id", "patient_id", "author", "written_on", "note"]),
    (
        "clinic",
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
    ("public", "pgbench_accounts", &["aid", "bid", "abalance", "filler"]),
];

/// About a kilobyte of SQL with three joins over protected tables; it is allowed.
pub const JOINED: &str = "WITH recent AS (SELECT e.patient_id, e.department, e.admitted_on, e.charge, row_number() OVER \
    (PARTITION BY e.patient_id ORDER BY e.encounter_id DESC) AS place FROM clinic.encounters e WHERE e.charge > 100 \
    AND e.department IN ('cardiology', 'oncology', 'surgery')), costs AS (SELECT r.patient_id, sum(r.charge) AS total, \
    count(*) AS stays FROM recent r WHERE r.place <= 5 GROUP BY r.patient_id HAVING count(*) > 1) \
    SELECT p.patient_id, p.ssn, upper(p.last_name) AS name, p.first_name || ' ' || p.last_name AS whole, p.state, \
    d.beds, c.total, c.stays, n.author, n.note, CASE WHEN c.total > 10000 THEN 'high' WHEN c.total > 1000 THEN 'middle' \
    ELSE 'low' END AS band, coalesce(p.city, 'unknown') AS city, round(c.total / c.stays, 2) AS mean FROM clinic.patients p \
    JOIN costs c ON c.patient_id = p.patient_id JOIN recent l ON l.patient_id = p.patient_id AND l.place = 1 \
    JOIN clinic.departments d ON d.name = l.department LEFT JOIN clinic.notes n ON n.patient_id = p.patient_id \
    WHERE p.state IN ('MA', 'NY', 'CA') AND d.beds > 10 ORDER BY c.total DESC, p.patient_id LIMIT 100";

/// OID and number of a column.
#[must_use]
pub fn place(table: &str, column: &str) -> Option<(u32, i16)> {
    let (oid, (_, _, columns)) = (FIRST_OID..).zip(TABLES).find(|(_, (_, name, _))| *name == table)?;
    let number = (1..).zip(*columns).find(|(_, name)| **name == column)?.0;
    Some((oid, number))
}

fn catalog() -> Catalog {
    let relations = TABLES.iter().zip(FIRST_OID..).map(|((schema, name, columns), oid)| Relation {
        oid,
        schema: (*schema).into(),
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
    Catalog { relations: relations.collect(), ..Catalog::default() }
}

fn model(holds: Vec<Hold>) -> Model {
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
    Model {
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
    }
}

/// The rules in force; `holds` are those that hold statements until people approve.
///
/// # Panics
/// Never: the model is a constant but for `holds`.
#[must_use]
#[expect(clippy::expect_used, reason = "constant rules; nothing outside of measurements calls this")]
pub fn epoch(holds: Vec<Hold>) -> Arc<Epoch> {
    let encoded = Bundle::encode(&model(holds)).expect("a valid model");
    let bundle = Bundle::load(&encoded).expect("a valid bundle");
    Arc::new(Epoch::resolve(Arc::new(bundle), 0, &catalog(), &Keys::new()))
}

/// The role that everybody has: masked names, notes and numbers, everything else in clear.
///
/// # Panics
/// Never: the role is a constant.
#[must_use]
#[expect(clippy::expect_used, reason = "constant rules; nothing outside of measurements calls this")]
pub fn grant(epoch: &Arc<Epoch>) -> Grant {
    preview(epoch, "r").expect("the role is there")
}
