//! Reload and catalogs as values: what is refused leaves everything as it was.

use super::*;
use lineage::catalog::{Column, Relation, RelationKind};
use policy::{
    Identity, admit,
    model::{AuditMode, Redaction, Role, Target, Unclassified, UpstreamTls, WireProtocol},
};

fn target(name: &str) -> Target {
    Target {
        name: name.to_owned(),
        protocol: WireProtocol::Postgres,
        address: "127.0.0.1:5432".to_owned(),
        tls: UpstreamTls::Disable,
        database: name.to_owned(),
        account: "gateway".to_owned(),
        audit: AuditMode::Strict,
        line: 1,
    }
}

fn model(targets: &[&str], group: &str) -> Model {
    Model {
        targets: targets.iter().map(|t| target(t)).collect(),
        redactions: vec![Redaction::Clear],
        roles: vec![Role {
            name: "everybody".to_owned(),
            groups: vec![group.to_owned()],
            targets: vec!["*".to_owned()],
            treatment: Vec::new(),
            unclassified: Unclassified::Clear,
            trusted_functions: Vec::new(),
            channels: Vec::new(),
            mode: policy::model::Mode::Enforce,
            comparisons: Vec::new(),
            budgets: Vec::new(),
            derive: policy::model::Derive::Refuse,
            request: None,
            break_glass: None,
            line: 1,
        }],
        ..Model::default()
    }
}

fn rules(model: &Model) -> prepare::Rules {
    let bundle = Bundle::load(&Bundle::encode(model).unwrap()).unwrap();
    prepare::Rules { bundle: Arc::new(bundle), users: Vec::new(), tls: None }
}

fn world(targets: &[&str]) -> World {
    let names = targets.iter().map(|t| (*t).to_owned()).collect();
    World::new(rules(&model(targets, "staff")), Keys::new(), names, false).unwrap()
}

fn catalog(relation: &str) -> Catalog {
    let column =
        Column { number: 1, name: "id".to_owned(), type_oid: 23, type_name: "integer".to_owned(), comment: None };
    let relation = Relation {
        oid: 16_384,
        schema: "public".to_owned(),
        name: relation.to_owned(),
        kind: RelationKind::Table,
        columns: vec![column],
        comment: None,
        definition: None,
        depends_on: Vec::new(),
        parents: Vec::new(),
        references: Vec::new(),
        rests_on: Vec::new(),
        filled_by: Vec::new(),
        estimated_rows: 0,
    };
    Catalog { database: "a".to_owned(), server_version: 150_000, relations: vec![relation], ..Catalog::default() }
}

fn admitted(world: &World, target: usize, group: &str) -> bool {
    let identity = Identity {
        issuer: "local".to_owned(),
        subject: "ana".to_owned(),
        groups: vec![group.to_owned()],
        ..Identity::default()
    };
    admit(&world.rules().epochs[target], &identity).is_ok()
}

#[test]
fn nobody_is_admitted_before_the_catalog_is_known() {
    let mut world = world(&["a", "b"]);
    assert!(!admitted(&world, 0, "staff") && !admitted(&world, 1, "staff"));
    world.catalog(1, catalog("t")).unwrap();
    assert!(!admitted(&world, 0, "staff"), "the other target stays closed");
    assert!(admitted(&world, 1, "staff"));
    assert!(!admitted(&world, 1, "strangers"));
}

#[test]
fn epochs_grow_with_every_change() {
    let mut world = world(&["a", "b"]);
    let first = (world.epoch(0), world.epoch(1));
    world.catalog(0, catalog("t")).unwrap();
    assert!(world.epoch(0) > first.0);
    assert_eq!(world.epoch(1), first.1, "a catalog changes its own target only");
    let second = world.epoch(0);
    world.reload(rules(&model(&["a", "b"], "staff"))).unwrap();
    assert!(world.epoch(0) > second && world.epoch(1) > first.1);
}

#[test]
fn reload_takes_new_roles_and_keeps_catalogs() {
    let mut world = world(&["a"]);
    world.catalog(0, catalog("t")).unwrap();
    assert_eq!(world.reload(rules(&model(&["a"], "doctors"))), Ok(Vec::new()));
    assert!(admitted(&world, 0, "doctors") && !admitted(&world, 0, "staff"));
}

#[test]
fn targets_are_found_by_name_when_a_bundle_orders_them_anew() {
    let mut world = world(&["a", "b"]);
    world.catalog(0, catalog("t")).unwrap();
    world.reload(rules(&model(&["b", "a"], "staff"))).unwrap();
    assert!(admitted(&world, 0, "staff"), "target a has its catalog");
    assert!(!admitted(&world, 1, "staff"), "target b has none");
}

#[test]
fn bundle_without_a_served_target_or_key_is_refused_and_nothing_changes() {
    let mut world = world(&["a"]);
    world.catalog(0, catalog("t")).unwrap();
    let before = (*world.bundle().digest(), world.epoch(0));
    let error = world.reload(rules(&model(&["b"], "staff"))).unwrap_err();
    assert!(error.contains("target `a`") && error.contains("restart"), "{error}");
    let mut with_key = model(&["a"], "staff");
    with_key.redactions.push(Redaction::Token { key: "fresh".to_owned(), length: 16 });
    let error = world.reload(rules(&with_key)).unwrap_err();
    assert!(error.contains("fresh"), "{error}");
    assert_eq!((*world.bundle().digest(), world.epoch(0)), before);
    assert!(admitted(&world, 0, "staff"));
}

#[test]
fn what_needs_a_restart_is_told() {
    let mut world = world(&["a"]);
    let mut changed = model(&["a", "b"], "staff");
    changed.targets[0].address = "127.0.0.1:5433".to_owned();
    changed.targets[0].audit = AuditMode::Async;
    assert_eq!(
        world.reload(rules(&changed)).unwrap(),
        ["the address of target `a` changes after a restart", "target `b` is new and is served after a restart",]
    );
}
