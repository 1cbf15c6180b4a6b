//! The rules and the catalog of the paths: a made-up clinic, and a role for each amount of masking.

use std::sync::Arc;

use lineage::Catalog;
use lineage::catalog::{Column, Relation, RelationKind};
use policy::model::*;
use policy::{Bundle, Epoch, Grant, Keys, Model, preview};
use scan::Detector;

use super::database::TABLES;

/// Masks two of eight columns.
pub(super) const TWO: &str = "two";
/// Masks six of eight columns.
pub(super) const SIX: &str = "six";
/// Masks six of eight columns and scans the note.
pub(super) const SIX_AND_NOTE: &str = "six-and-note";

/// Classes: name, column. The first two are masked for [`TWO`], all but the last for [`SIX`].
const CLASSES: &[(&str, &str)] = &[
    ("ssn", "ssn"),
    ("email", "email"),
    ("name", "full_name"),
    ("phone", "phone"),
    ("birth", "born"),
    ("city", "city"),
    ("note", "note"),
];

/// What a note is scanned for.
pub(super) const EIGHT: &[Detector] = &[
    Detector::Ssn,
    Detector::Phone,
    Detector::Email,
    Detector::Card,
    Detector::Mrn,
    Detector::Date,
    Detector::Ip,
    Detector::Url,
];

fn all() -> String {
    "*".to_owned()
}

fn role(name: &str, masked: usize) -> Role {
    // Of `redactions` below: clear is the first.
    let treatment = (0..CLASSES.len()).map(|class| if class < masked { class as u16 + 1 } else { 0 }).collect();
    Role {
        name: name.to_owned(),
        groups: vec![name.to_owned()],
        targets: vec![all()],
        treatment,
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
    }
}

fn model() -> Model {
    let class = |(name, _): &(&str, &str)| Class {
        name: (*name).to_owned(),
        identifier: None,
        description: String::new(),
        detectors: if *name == "note" { EIGHT.to_vec() } else { vec![] },
        line: 0,
    };
    let binding = |(class, (_, column)): (usize, &(&str, &str))| Binding {
        by: BindingBy::Selector(Selector {
            target: all(),
            schema: all(),
            relation: all(),
            column: (*column).to_owned(),
        }),
        class: Some(class as u16),
        line: 0,
    };
    Model {
        targets: vec![Target {
            name: "clinic".into(),
            protocol: WireProtocol::Postgres,
            address: "db:5432".into(),
            tls: UpstreamTls::Disable,
            database: "clinic".into(),
            account: "gateway".into(),
            audit: AuditMode::Async,
            line: 0,
        }],
        classes: CLASSES.iter().map(class).collect(),
        bindings: CLASSES.iter().enumerate().map(binding).collect(),
        redactions: vec![
            Redaction::Clear,
            Redaction::KeepLast { count: 4, fill: '*' },
            Redaction::Fill { fill: '*' },
            Redaction::KeepFirst { count: 1, fill: '*' },
            Redaction::KeepLast { count: 2, fill: '*' },
            Redaction::Year,
            Redaction::Constant("somewhere".into()),
            Redaction::Fill { fill: '*' },
        ],
        roles: vec![role(TWO, 2), role(SIX, 6), role(SIX_AND_NOTE, 7)],
        ..Model::default()
    }
}

fn catalog() -> Catalog {
    let relations = TABLES.iter().map(|table| Relation {
        oid: table.oid,
        schema: "clinic".into(),
        name: table.name.into(),
        kind: RelationKind::Table,
        columns: (1..)
            .zip(table.columns)
            .map(|(number, (name, type_oid))| Column {
                number,
                name: (*name).into(),
                type_oid: *type_oid,
                type_name: String::new(),
                comment: None,
            })
            .collect(),
        comment: None,
        definition: None,
        depends_on: vec![],
        parents: vec![],
        filled_by: vec![],
        estimated_rows: -1,
    });
    Catalog { relations: relations.collect(), ..Catalog::default() }
}

/// The rules in force.
///
/// # Panics
/// When the model above is not valid: then nothing is counted.
pub(super) fn epoch() -> Arc<Epoch> {
    let bytes = Bundle::encode(&model()).unwrap_or_else(|error| panic!("the rules of the gate: {error}"));
    let bundle = Bundle::load(&bytes).unwrap_or_else(|error| panic!("the rules of the gate: {error}"));
    Arc::new(Epoch::resolve(Arc::new(bundle), 0, &catalog(), &Keys::new()))
}

/// The grant of a role.
///
/// # Panics
/// When there is no such role.
pub(super) fn grant(epoch: &Arc<Epoch>, role: &str) -> Grant {
    preview(epoch, role).unwrap_or_else(|error| panic!("the role {role} of the gate: {error:?}"))
}
