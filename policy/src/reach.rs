//! What a statement does to relations that it does not name: rows that go or change with those they refer to, partitions
//! and tables that inherit, and whatever CASCADE takes along.
//!
//! Invariants: what is reached is never less than what the server may do to it by constraints and dependencies of this
//! catalog; it can be more (a row need not be referred to, ONLY is not looked at). Deliberately absent: what triggers,
//! rewrite rules and functions do, and rows that a parent puts into a partition.

use std::collections::{HashMap, HashSet};

use lineage::catalog::{Action, Named, Relation, RelationKind};
use lineage::{Catalog, Effects, RelationUse, Statement};

use crate::epoch::Epoch;

const DELETES: Effects = Effects::DELETE.with(Effects::DELETE_ALL);
const UPDATES: Effects = Effects::UPDATE.with(Effects::UPDATE_ALL);
/// Effects on one relation that can be effects on others.
pub(crate) const SPREADING: Effects =
    DELETES.with(UPDATES).with(Effects::TRUNCATE).with(Effects::DROP).with(Effects::ALTER);

/// What relations have to do with each other, by index.
#[derive(Debug, Default)]
pub(crate) struct Ties {
    /// Those that inherit from a relation, and its partitions.
    children: HashMap<usize, Vec<usize>>,
    /// Foreign keys that refer to a relation, by the indices of `needs` and of its references.
    referring: HashMap<usize, Vec<(usize, usize)>>,
    needs: Vec<Needs>,
    /// Names of what is needed: by whom.
    by_name: HashMap<String, Vec<usize>>,
}

/// What one relation needs.
#[derive(Debug)]
struct Needs {
    relation: usize,
    view: bool,
    parents: Vec<usize>,
    references: Vec<Reference>,
    on: Vec<Named>,
}

#[derive(Debug)]
struct Reference {
    to: usize,
    own: Vec<String>,
    columns: Vec<String>,
    on_delete: Action,
    on_update: Action,
}

impl Ties {
    pub(crate) fn new(catalog: &Catalog, by_oid: &HashMap<u32, usize>) -> Self {
        let mut ties = Self::default();
        for (i, relation) in catalog.relations.iter().enumerate() {
            let parents: Vec<usize> = relation.parents.iter().filter_map(|oid| by_oid.get(oid).copied()).collect();
            for parent in &parents {
                ties.children.entry(*parent).or_default().push(i);
            }
            if relation.references.is_empty() && relation.rests_on.is_empty() {
                continue;
            }
            let references: Vec<Reference> = references(relation, by_oid).collect();
            for (n, reference) in references.iter().enumerate() {
                ties.referring.entry(reference.to).or_default().push((ties.needs.len(), n));
            }
            let mut names: Vec<&String> = relation.rests_on.iter().map(|on| &on.name).collect();
            names.sort_unstable();
            names.dedup();
            for name in names {
                ties.by_name.entry(name.clone()).or_default().push(ties.needs.len());
            }
            let view = matches!(relation.kind, RelationKind::View | RelationKind::MaterializedView);
            ties.needs.push(Needs { relation: i, view, parents, references, on: relation.rests_on.clone() });
        }
        ties
    }

    /// Foreign keys that refer to a relation: whose, which, and what of it changes.
    fn referring(&self, to: usize) -> impl Iterator<Item = (usize, &Reference, Changed)> {
        let referring = self.referring.get(&to).into_iter().flatten();
        referring.filter_map(|(needs, n)| {
            let owner = self.needs.get(*needs)?;
            Some((owner.relation, owner.references.get(*n)?, Changed::Key(*needs, *n)))
        })
    }

    fn is_changed(&self, column: &String, changed: Changed, statement: &Statement) -> bool {
        let key = |needs: usize, n: usize| self.needs.get(needs).and_then(|needs| needs.references.get(n));
        match changed {
            Changed::Assigned => statement.assigned.contains(column),
            Changed::Key(needs, n) => key(needs, n).is_none_or(|key| key.own.contains(column)),
            Changed::Any => true,
        }
    }

    /// Those that need an object of this name, or anything at all.
    fn needing<'a>(&'a self, name: &str) -> Box<dyn Iterator<Item = &'a Needs> + 'a> {
        if name == RelationUse::EVERYTHING {
            return Box::new(self.needs.iter());
        }
        Box::new(self.by_name.get(name).into_iter().flatten().filter_map(|i| self.needs.get(*i)))
    }
}

fn references(relation: &Relation, by_oid: &HashMap<u32, usize>) -> impl Iterator<Item = Reference> {
    relation.references.iter().filter_map(|reference| {
        let to = *by_oid.get(&reference.to)?;
        let (on_delete, on_update) = (reference.on_delete, reference.on_update);
        let (own, columns) = (reference.own.clone(), reference.columns.clone());
        Some(Reference { to, own, columns, on_delete, on_update })
    })
}

/// Which columns of a relation are updated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Changed {
    /// Those that the statement assigns.
    Assigned,
    /// Those of a foreign key of it: what it needs, and which.
    Key(usize, usize),
    Any,
}

/// What is found, and what is still to be followed.
struct Reached<'a> {
    statement: &'a Statement,
    found: HashMap<usize, Effects>,
    seen: HashSet<(usize, Effects, Changed)>,
    open: Vec<(usize, Effects, Changed)>,
}

impl Reached<'_> {
    /// Something that is followed further, if it is new.
    fn follow(&mut self, relation: usize, effects: Effects, changed: Changed) {
        self.note(relation, effects);
        if self.seen.insert((relation, effects, changed)) {
            self.open.push((relation, effects, changed));
        }
    }

    fn note(&mut self, relation: usize, effects: Effects) {
        self.found.entry(relation).or_default().add(effects);
    }
}

const fn common(a: Effects, b: Effects) -> Effects {
    Effects(a.0 & b.0)
}

impl Epoch {
    /// Relations that the statement has an effect on without naming them, and which.
    pub(crate) fn reached(&self, statement: &Statement, by_path: bool) -> HashMap<usize, Effects> {
        let effects = common(statement.effects, SPREADING);
        let mut reached = Reached { statement, found: HashMap::new(), seen: HashSet::new(), open: Vec::new() };
        if effects == Effects::NONE {
            return reached.found;
        }
        for used in statement.relations.iter().filter(|used| used.written) {
            for relation in self.candidates(used, by_path) {
                reached.open.push((relation, effects, Changed::Assigned));
                // Columns of a view have names of their own.
                let behind = self.written(relation).into_iter().skip(1);
                reached.open.extend(behind.map(|r| (r, common(effects, DELETES.with(UPDATES)), Changed::Any)));
            }
            if statement.cascade {
                self.dropped(used.schema.as_deref(), &used.name, effects, &mut reached);
            }
        }
        for object in statement.drops.iter().filter(|_| statement.cascade) {
            self.dropped(object.schema.as_deref(), &object.name, Effects::DROP, &mut reached);
        }
        while let Some((relation, effects, changed)) = reached.open.pop() {
            for child in self.ties.children.get(&relation).into_iter().flatten() {
                reached.follow(*child, effects, changed);
            }
            self.refer(relation, effects, changed, &mut reached);
            if statement.cascade
                && effects.intersects(Effects::DROP.with(Effects::ALTER))
                && let Some(r) = self.relations.get(relation)
            {
                self.dropped(Some(&r.schema), &r.name, effects, &mut reached);
            }
        }
        reached.found
    }

    /// Rows that refer to rows that go or change.
    fn refer(&self, relation: usize, effects: Effects, changed: Changed, reached: &mut Reached<'_>) {
        let statement = reached.statement;
        for (referring, reference, key) in self.ties.referring(relation) {
            if effects.contains(Effects::TRUNCATE) && statement.cascade {
                reached.follow(referring, Effects::TRUNCATE, Changed::Any);
            }
            if effects.intersects(DELETES) {
                let all = if effects.contains(Effects::DELETE_ALL) { Effects::UPDATE_ALL } else { Effects::NONE };
                match reference.on_delete {
                    Action::Refuse => {}
                    Action::Cascade => reached.follow(referring, common(effects, DELETES), Changed::Any),
                    Action::Set => reached.follow(referring, Effects::UPDATE.with(all), key),
                }
            }
            let is_changed = || reference.columns.iter().any(|c| self.ties.is_changed(c, changed, statement));
            if effects.intersects(UPDATES) && reference.on_update != Action::Refuse && is_changed() {
                reached.follow(referring, common(effects, UPDATES), key);
            }
        }
    }

    /// What needs an object that CASCADE drops, or changes, if it is a relation.
    fn dropped(&self, schema: Option<&str>, name: &str, effects: Effects, reached: &mut Reached<'_>) {
        if !effects.intersects(Effects::DROP.with(Effects::ALTER)) {
            return;
        }
        let named = |n: &str| name == RelationUse::EVERYTHING || n == name;
        let within = |s: Option<&str>| schema.is_none_or(|schema| s == Some(schema));
        let is = |on: &Named| named(&on.name) && within(on.schema.as_deref());
        let of = |other: &usize| {
            self.relations.get(*other).is_some_and(|r| named(&r.name) && within(Some(r.schema.as_str())))
        };
        for needs in self.ties.needing(name).filter(|needs| needs.on.iter().any(is)) {
            if needs.view || (effects.contains(Effects::DROP) && needs.parents.iter().any(of)) {
                reached.follow(needs.relation, Effects::DROP, Changed::Any);
            } else if needs.references.iter().any(|r| of(&r.to)) {
                // It loses the constraint, and nothing that others may need.
                reached.note(needs.relation, Effects::ALTER);
            } else {
                reached.follow(needs.relation, Effects::ALTER, Changed::Any);
            }
        }
    }
}
