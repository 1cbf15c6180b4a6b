//! Parts of made-up rules and catalogs, with everything that a measurement does not care about at its plainest.
//!
//! Everything is bound by names of columns, whatever their table. Deliberately absent: files of rules, and catalogs of real servers.

use std::sync::Arc;

use lineage::Catalog;
use lineage::catalog::{Column, Relation, RelationKind};
use policy::model::{
    AuditMode, Binding, BindingBy, Class, Derive, Mode, Redaction, Role, Selector, Target, Unclassified, UpstreamTls,
    WireProtocol,
};
use policy::{Bundle, ColumnShape, Decision, Epoch, Grant, Keys, Model, Plan, preview};
use scan::Detector;

/// The key of tokens, under this name.
pub const KEY: &str = "k";

/// The eight classes of identifiers that goals about scanned notes mean.
pub const EIGHT: &[Detector] = &[
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

/// A table whose columns, of these names and types, are numbered from 1.
#[must_use]
pub fn table(schema: &str, name: &str, oid: u32, columns: &[(&str, u32)]) -> Relation {
    let column = |(number, (name, type_oid)): (i16, &(&str, u32))| Column {
        number,
        name: (*name).to_owned(),
        type_oid: *type_oid,
        type_name: String::new(),
        comment: None,
    };
    Relation {
        oid,
        schema: schema.to_owned(),
        name: name.to_owned(),
        kind: RelationKind::Table,
        columns: (1..).zip(columns).map(column).collect(),
        comment: None,
        definition: None,
        depends_on: Vec::new(),
        parents: Vec::new(),
        references: Vec::new(),
        rests_on: Vec::new(),
        filled_by: Vec::new(),
        estimated_rows: -1,
    }
}

/// A selector of columns by a pattern of their names.
#[must_use]
pub fn column(pattern: &str) -> Selector {
    Selector { target: all(), schema: all(), relation: all(), column: pattern.to_owned() }
}

/// One class of values: the columns that have it, what they are scanned for, and what everybody's role makes of them.
#[derive(Clone, Debug)]
pub struct Protected<'a> {
    /// Pattern of the columns' names; the class has the same name.
    pub columns: &'a str,
    /// What they are scanned for.
    pub detectors: &'a [Detector],
    /// What becomes of them.
    pub redaction: Redaction,
}

/// A role that everybody in the group of its name has: the first `masked` classes are redacted, each by the redaction of its own
/// number, and the others by `clear`.
#[must_use]
pub fn role(name: &str, classes: u16, masked: u16, clear: u16) -> Role {
    Role {
        name: name.to_owned(),
        groups: vec![name.to_owned()],
        targets: vec![all()],
        treatment: (0..classes).map(|class| if class < masked { class } else { clear }).collect(),
        unclassified: Unclassified::Clear,
        trusted_functions: Vec::new(),
        channels: Vec::new(),
        mode: Mode::Enforce,
        comparisons: Vec::new(),
        budgets: Vec::new(),
        derive: Derive::Refuse,
        request: None,
        break_glass: None,
        line: 0,
    }
}

/// Rules that protect these classes, with one target, `clinic`; each role, by its name, masks so many of them.
#[must_use]
pub fn model(protected: &[Protected<'_>], roles: &[(&str, u16)]) -> Model {
    let class = |class: &Protected<'_>| Class {
        name: class.columns.to_owned(),
        identifier: None,
        description: String::new(),
        detectors: class.detectors.to_vec(),
        line: 0,
    };
    let binding = |(class, of): (u16, &Protected<'_>)| Binding {
        by: BindingBy::Selector(column(of.columns)),
        class: Some(class),
        line: 0,
    };
    let redactions = protected.iter().map(|class| class.redaction.clone()).chain([Redaction::Clear]);
    let redactions: Vec<_> = redactions.collect();
    // Clear is the last of them.
    let classes = u16::try_from(protected.len()).unwrap_or(u16::MAX);
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
        classes: protected.iter().map(class).collect(),
        bindings: (0..).zip(protected).map(binding).collect(),
        redactions,
        roles: roles.iter().map(|(name, masked)| role(name, classes, *masked, classes)).collect(),
        ..Model::default()
    }
}

/// The rules in force on a database with these tables.
///
/// # Panics
/// When the model is not valid: then nothing is measured.
#[must_use]
pub fn epoch(model: &Model, tables: Vec<Relation>) -> Arc<Epoch> {
    let bytes = Bundle::encode(model).unwrap_or_else(|error| panic!("the rules of the paths: {error}"));
    let bundle = Bundle::load(&bytes).unwrap_or_else(|error| panic!("the rules of the paths: {error}"));
    let mut keys = Keys::new();
    keys.insert(KEY, b"a secret for benchmarks".to_vec());
    let catalog = Catalog { relations: tables, ..Catalog::default() };
    Arc::new(Epoch::resolve(Arc::new(bundle), 0, &catalog, &keys))
}

/// The grant of a role.
///
/// # Panics
/// When there is no such role.
#[must_use]
pub fn grant(epoch: &Arc<Epoch>, role: &str) -> Grant {
    preview(epoch, role).unwrap_or_else(|error| panic!("the role {role} of the paths: {error:?}"))
}

/// What these rules make of the columns of a table that is read whole.
///
/// # Panics
/// When the statement is refused, or the table is not what the rules expect.
#[must_use]
pub fn plan(protected: &[Protected<'_>], table: Relation) -> Plan {
    let names: Vec<&str> = table.columns.iter().map(|column| column.name.as_str()).collect();
    let text = format!("select {} from {}.{}", names.join(", "), table.schema, table.name);
    let masked = u16::try_from(protected.len()).unwrap_or(u16::MAX);
    let epoch = epoch(&model(protected, &[("everybody", masked)]), vec![table.clone()]);
    let grant = grant(&epoch, "everybody");
    let facts = lineage::analyse(&text).unwrap_or_else(|error| panic!("not understood: {error:?}"));
    let Decision::Allow(allowed) = grant.decide(&text, &facts, &()) else { panic!("{text} is refused") };
    let shapes: Vec<_> = table
        .columns
        .iter()
        .map(|column| ColumnShape {
            name: column.name.as_bytes(),
            table: table.oid,
            attribute: column.number,
            type_oid: column.type_oid,
        })
        .collect();
    let planned = allowed.first().map(|allowed| grant.plan(allowed, &shapes));
    match planned {
        Some(Ok(plan)) => plan,
        Some(Err(error)) => panic!("{text} has no plan: {error:?}"),
        None => panic!("{text} gives no rows"),
    }
}
