//! A bundle made concrete for one target: which class every column of the live catalog has.
//!
//! Invariants: the most specific binding wins, the later of equals; a class found anywhere in an inheritance or partition
//! tree holds in all of it; a view never shows less protection than what it is made of. What a view computes from
//! protected columns is *derived*, and so is everything of a view that cannot be understood.
//! An epoch is immutable; a changed catalog or bundle makes a new one. Deliberately absent: fetching catalogs.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use lineage::catalog::{Column, Relation, RelationKind};
use lineage::resolve::{self, Derivation, Index, Resolved, Source as Origin, Value};
use lineage::{Catalog, Effects, RelationUse};
use zeroize::Zeroizing;

use crate::bundle::Bundle;
use crate::glob;
use crate::model::{BindingBy, ClassId, Model, Redaction};
use crate::pg_types::oid;
use crate::reach::Ties;
use crate::redact::TokenKey;
use crate::role::RoleView;
use crate::system;

/// Named secrets for token redactions.
#[derive(Default)]
pub struct Keys(HashMap<String, Zeroizing<Vec<u8>>>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({} secrets)", self.0.len())
    }
}

impl Keys {
    /// No keys: tokens become NULL.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds or replaces the secret called `name`.
    pub fn insert(&mut self, name: impl Into<String>, secret: Vec<u8>) {
        self.0.insert(name.into(), Zeroizing::new(secret));
    }
}

/// Where a derived value comes from: a class, or (`None`) a column that nobody classified.
pub(crate) type Source = Option<ClassId>;

/// What is known of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Marking {
    /// Of this class.
    Class(ClassId),
    /// Declared clear, or computed from nothing protected.
    Clear,
    /// Nobody said.
    Unclassified,
    /// Computed by a view from these; `total` if no value of them can make it fail.
    Derived { from: BTreeSet<Source>, total: bool },
}

/// A column with its marking.
#[derive(Clone, Debug)]
pub(crate) struct MarkedColumn {
    pub(crate) number: i16,
    pub(crate) name: String,
    pub(crate) marking: Marking,
    pub(crate) binding: Option<u32>,
    /// For a view's column: the columns of other relations it is made of, by index of relation and column.
    pub(crate) made_of: Vec<(u32, u32)>,
}

/// A relation with its columns.
#[derive(Clone, Debug)]
pub(crate) struct MarkedRelation {
    pub(crate) oid: u32,
    pub(crate) schema: String,
    pub(crate) name: String,
    pub(crate) columns: Vec<MarkedColumn>,
}

impl MarkedRelation {
    pub(crate) fn column(&self, number: i16) -> Option<usize> {
        self.columns.iter().position(|c| c.number == number)
    }
}

/// What a relation is over, by index.
#[derive(Default)]
struct Over {
    parents: Vec<usize>,
    /// A view's.
    made_of: Vec<usize>,
}

/// A bundle resolved against the catalog of one target.
pub struct Epoch {
    number: u64,
    bundle: Arc<Bundle>,
    target: usize,
    pub(crate) relations: Vec<MarkedRelation>,
    by_oid: HashMap<u32, usize>,
    /// Types of extensions that are text by another name, and arrays of them: the built-in type they are read as.
    texts: HashMap<u32, u32>,
    pub(crate) index: Index,
    /// Per relation: its rows are stored here, and reading them runs nothing.
    pub(crate) stored: Vec<bool>,
    /// Relations that are over others: what they inherit from or are partitions of, and, of a view, what it is made of.
    over: HashMap<usize, Over>,
    pub(crate) ties: Ties,
    /// Names of functions and operators that people made.
    pub(crate) made: HashSet<String>,
    /// Per redaction of the model.
    pub(crate) tokens: Vec<Option<TokenKey>>,
    missing: Vec<String>,
    roles: Vec<OnceLock<Arc<RoleView>>>,
}

impl std::fmt::Debug for Epoch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Epoch")
            .field("number", &self.number)
            .field("relations", &self.relations.len())
            .finish_non_exhaustive()
    }
}

impl Epoch {
    /// Applies `bundle` to the catalog of its target number `target`.
    #[must_use]
    pub fn resolve(bundle: Arc<Bundle>, target: usize, catalog: &Catalog, keys: &Keys) -> Self {
        let model = bundle.model();
        let name = model.targets.get(target).map_or("", |t| t.name.as_str());
        let texts = extension_texts(catalog);
        let index = Index::new(catalog);
        let relations = mark(model, name, catalog, &index);
        let by_oid: HashMap<u32, usize> = relations.iter().enumerate().map(|(i, r)| (r.oid, i)).collect();
        let over = over(catalog, &by_oid);
        let ties = Ties::new(catalog, &by_oid);
        let mut missing = BTreeSet::new();
        let tokens = model
            .redactions
            .iter()
            .map(|r| {
                let Redaction::Token { key, .. } = r else { return None };
                let token = keys.0.get(key).and_then(|secret| TokenKey::new(secret));
                if token.is_none() {
                    missing.insert(key.clone());
                }
                token
            })
            .collect();
        let made = catalog.code.iter().map(|c| c.name.clone()).chain(catalog.operators.iter().cloned()).collect();
        let stored = |kind| {
            matches!(kind, RelationKind::Table | RelationKind::PartitionedTable | RelationKind::MaterializedView)
        };
        let stored = catalog.relations.iter().map(|r| stored(r.kind)).collect();
        let roles = model.roles.iter().map(|_| OnceLock::new()).collect();
        let missing = missing.into_iter().collect();
        Self {
            number: 0,
            target,
            relations,
            by_oid,
            index,
            stored,
            made,
            texts,
            tokens,
            missing,
            over,
            ties,
            roles,
            bundle,
        }
    }

    /// Which epoch this is; 0 until [`Epoch::with_number`].
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// Numbers the epoch.
    #[must_use]
    pub fn with_number(mut self, number: u64) -> Self {
        self.number = number;
        self
    }

    /// The rules.
    #[must_use]
    pub const fn bundle(&self) -> &Arc<Bundle> {
        &self.bundle
    }

    /// Index of the target in the model.
    #[must_use]
    pub const fn target(&self) -> usize {
        self.target
    }

    /// Key names that token redactions ask for and nobody gave; their values become NULL.
    #[must_use]
    pub fn missing_keys(&self) -> &[String] {
        &self.missing
    }

    /// The type whose forms values of this type have.
    pub(crate) fn read_as(&self, type_oid: u32) -> u32 {
        self.texts.get(&type_oid).copied().unwrap_or(type_oid)
    }

    pub(crate) fn by_oid(&self, oid: u32) -> Option<usize> {
        self.by_oid.get(&oid).copied()
    }

    /// The search path that the target's account is given at login.
    #[must_use]
    pub fn search_path(&self) -> &[String] {
        self.index.search_path()
    }

    /// The relations that a name in a statement can mean ([`Index::candidates`]).
    pub(crate) fn candidates<'a>(&'a self, used: &'a RelationUse, by_path: bool) -> impl Iterator<Item = usize> + 'a {
        self.index.candidates(used, by_path).map(|i| i as usize)
    }

    /// This relation and those that a use of it is a use of: what it inherits from or is a partition of, and, where its rows are
    /// written, what it is made of if it is a view.
    pub(crate) fn touched(&self, relation: usize, writes: bool) -> Vec<usize> {
        let mut touched = vec![relation];
        let mut next = 0;
        while let Some(over) = touched.get(next).map(|r| self.over.get(r)) {
            next += 1;
            let Some(over) = over else { continue };
            for other in over.parents.iter().chain(over.made_of.iter().filter(|_| writes)) {
                if !touched.contains(other) {
                    touched.push(*other);
                }
            }
        }
        touched
    }

    /// This relation and, if it is a view, those whose rows are written where its rows are.
    pub(crate) fn written(&self, relation: usize) -> Vec<usize> {
        let mut written = vec![relation];
        let mut next = 0;
        while let Some(over) = written.get(next).map(|r| self.over.get(r)) {
            next += 1;
            for other in over.into_iter().flat_map(|over| &over.made_of) {
                if !written.contains(other) {
                    written.push(*other);
                }
            }
        }
        written
    }

    /// What the role sees of this epoch; computed at first use.
    pub(crate) fn role_view(&self, role: usize) -> Option<&Arc<RoleView>> {
        Some(self.roles.get(role)?.get_or_init(|| Arc::new(RoleView::new(self, role))))
    }
}

/// Relations of the catalog that are over others.
fn over(catalog: &Catalog, by_oid: &HashMap<u32, usize>) -> HashMap<usize, Over> {
    let known = |oids: &[u32]| -> Vec<usize> { oids.iter().filter_map(|oid| by_oid.get(oid).copied()).collect() };
    let each = catalog.relations.iter().enumerate().map(|(i, relation)| {
        let made_of = if relation.kind == RelationKind::View { known(&relation.depends_on) } else { Vec::new() };
        (i, Over { parents: known(&relation.parents), made_of })
    });
    each.filter(|(_, over)| !(over.parents.is_empty() && over.made_of.is_empty())).collect()
}

/// The binding that decides a column's class: the most specific, the later of equals. A tag counts as a selector that
/// spells out schema, relation and column.
#[must_use]
pub fn deciding_binding(model: &Model, target: &str, relation: &Relation, column: &Column) -> Option<usize> {
    let spelled = |s: &str| u32::try_from(s.len()).unwrap_or(u32::MAX / 16) * 2 + 1;
    let mut best: Option<(u32, usize)> = None;
    for (i, binding) in model.bindings.iter().enumerate() {
        let weight = match &binding.by {
            BindingBy::Selector(s) => {
                let matches = glob::matches(&s.column, &column.name)
                    && glob::matches(&s.relation, &relation.name)
                    && glob::matches(&s.schema, &relation.schema)
                    && glob::matches(&s.target, target);
                if !matches {
                    continue;
                }
                s.specificity()
            }
            BindingBy::Tag { tag } => {
                if !column.comment.as_deref().is_some_and(|c| glob::has_tag(c, tag)) {
                    continue;
                }
                spelled(&relation.schema) + spelled(&relation.name) + spelled(&column.name)
            }
        };
        if best.is_none_or(|(w, _)| weight >= w) {
            best = Some((weight, i));
        }
    }
    best.map(|(_, i)| i)
}

/// `citext` has another OID in every database; the catalog says which.
fn extension_texts(catalog: &Catalog) -> HashMap<u32, u32> {
    let columns = catalog.relations.iter().flat_map(|r| &r.columns);
    let read_as = |name: &str| match name.rsplit('.').next() {
        Some("citext") => Some(oid::TEXT),
        Some("citext[]") => Some(oid::TEXT_ARRAY),
        _ => None,
    };
    let user = columns.filter(|c| c.type_oid >= system::FIRST_USER_OID);
    user.filter_map(|c| Some((c.type_oid, read_as(&c.type_name)?))).collect()
}

/// Marks every column of the catalog.
fn mark(model: &Model, target: &str, catalog: &Catalog, index: &Index) -> Vec<MarkedRelation> {
    let mut relations: Vec<MarkedRelation> = catalog
        .relations
        .iter()
        .map(|r| MarkedRelation {
            oid: r.oid,
            schema: r.schema.clone(),
            name: r.name.clone(),
            columns: r
                .columns
                .iter()
                .map(|c| {
                    let binding = deciding_binding(model, target, r, c);
                    let marking = match binding.and_then(|b| model.bindings.get(b)).map(|b| b.class) {
                        Some(Some(class)) => Marking::Class(class),
                        Some(None) => Marking::Clear,
                        None => Marking::Unclassified,
                    };
                    let binding = binding.and_then(|b| u32::try_from(b).ok());
                    MarkedColumn { number: c.number, name: c.name.clone(), marking, binding, made_of: Vec::new() }
                })
                .collect(),
        })
        .collect();
    spread_over_families(catalog, &mut relations);
    let by_oid = catalog.relations.iter().enumerate().map(|(i, r)| (r.oid, i)).collect();
    let mut views = Views { model, catalog, index, by_oid, state: HashMap::new() };
    views.suspect(&mut relations);
    for i in 0..relations.len() {
        views.settle(i, &mut relations, 0);
    }
    views.suspect(&mut relations);
    relations
}

/// Gives the class of a column to the columns of that name in every relation related by inheritance or partitioning.
fn spread_over_families(catalog: &Catalog, relations: &mut [MarkedRelation]) {
    let index: HashMap<u32, usize> = catalog.relations.iter().enumerate().map(|(i, r)| (r.oid, i)).collect();
    let mut family: Vec<usize> = (0..relations.len()).collect();
    fn root(family: &mut [usize], mut i: usize) -> usize {
        while let Some(&up) = family.get(i) {
            if up == i {
                break;
            }
            let above = family.get(up).copied().unwrap_or(up);
            family[i] = above;
            i = above;
        }
        i
    }
    for (i, r) in catalog.relations.iter().enumerate() {
        for parent in r.parents.iter().filter_map(|p| index.get(p)) {
            let (a, b) = (root(&mut family, i), root(&mut family, *parent));
            family[a] = b;
        }
    }
    // The first class seen by column name in a family; relations are in (schema, name) order, so this is deterministic.
    let mut classes: HashMap<(usize, String), (ClassId, Option<u32>)> = HashMap::new();
    for (i, r) in relations.iter().enumerate() {
        let head = root(&mut family, i);
        for c in &r.columns {
            if let Marking::Class(class) = c.marking {
                classes.entry((head, c.name.clone())).or_insert((class, c.binding));
            }
        }
    }
    for (i, r) in relations.iter_mut().enumerate() {
        let head = root(&mut family, i);
        for c in &mut r.columns {
            if !matches!(c.marking, Marking::Class(_))
                && let Some((class, binding)) = classes.get(&(head, c.name.clone()))
            {
                c.marking = Marking::Class(*class);
                c.binding = *binding;
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Underway,
    Done,
}

/// Views on views are settled depth first.
struct Views<'a> {
    model: &'a Model,
    catalog: &'a Catalog,
    index: &'a Index,
    by_oid: HashMap<u32, usize>,
    state: HashMap<usize, State>,
}

/// Views on views deeper than this are not followed.
const DEPTH_MAX: usize = 100;

impl<'a> Views<'a> {
    /// Columns that code of the database may fill with protected values are derived from anything.
    fn suspect(&self, relations: &mut [MarkedRelation]) {
        for (relation, column) in crate::fills::suspects(self.catalog, relations) {
            let Some(column) = relations.get_mut(relation).and_then(|r| r.columns.get_mut(column)) else { continue };
            let own = column.binding.and_then(|b| self.model.bindings.get(usize::try_from(b).ok()?));
            // Words that name this very column, or a class it has already, stay.
            let said = own.is_some_and(|b| match &b.by {
                BindingBy::Selector(s) => !s.relation.contains('*') && !s.column.contains('*'),
                BindingBy::Tag { .. } => true,
            });
            if !said && matches!(column.marking, Marking::Clear | Marking::Unclassified) {
                column.marking = Marking::Derived { from: self.or_any_class(&BTreeSet::new()), total: true };
            }
        }
    }

    fn settle(&mut self, i: usize, relations: &mut Vec<MarkedRelation>, depth: usize) {
        let catalog = self.catalog;
        let Some(view) = catalog.relations.get(i) else { return };
        if !matches!(view.kind, RelationKind::View | RelationKind::MaterializedView) || self.state.contains_key(&i) {
            return;
        }
        self.state.insert(i, State::Underway);
        let statement =
            view.definition.as_deref().and_then(|d| lineage::analyse(d).ok()).and_then(|f| match &*f.statements {
                [one] => Some(Arc::clone(one)),
                _ => None,
            });
        let mut opaque = statement.is_none() || depth >= DEPTH_MAX;
        let mut read: BTreeSet<usize> = BTreeSet::new();
        for oid in &view.depends_on {
            match self.by_oid.get(oid) {
                Some(r) => drop(read.insert(*r)),
                None => opaque |= *oid >= system::FIRST_USER_OID,
            }
        }
        for used in statement.iter().flat_map(|s| &s.relations) {
            let mut known = self.index.candidates(used, true).peekable();
            if known.peek().is_none() {
                opaque |= !resolve::is_system(used) || system::leaks(used);
            }
            read.extend(known.map(|r| r as usize));
        }
        read.remove(&i);
        for r in &read {
            if depth < DEPTH_MAX {
                self.settle(*r, relations, depth + 1);
            }
            opaque |= self.state.get(r) == Some(&State::Underway);
        }
        let resolved = statement.as_deref().filter(|_| !opaque).and_then(|s| {
            let code = Effects::UNKNOWN_FUNCTION.with(Effects::DANGEROUS_FUNCTION);
            let resolved = resolve::resolve(s, self.index, true).ok()?;
            (!s.effects.contains(Effects::UNKNOWN)).then_some((resolved, s.effects.intersects(code)))
        });
        let markings = self.markings(view, resolved.as_ref(), &read, relations);
        if let Some(marked) = relations.get_mut(i) {
            for (place, (column, derived)) in marked.columns.iter_mut().zip(markings).enumerate() {
                let from = resolved.as_ref().and_then(|(r, _)| r.outputs.get(place));
                column.made_of =
                    from.into_iter().flat_map(|c| c.value.sources.as_slice()).filter_map(column_of).collect();
                let own = column.binding.and_then(|b| self.model.bindings.get(usize::try_from(b).ok()?));
                let own_words = own.is_some_and(|b| match &b.by {
                    BindingBy::Selector(s) => !s.relation.contains('*') && !s.column.contains('*'),
                    BindingBy::Tag { .. } => true,
                });
                // A pattern over names may give a view's column a class, but never take one away.
                let harmless = matches!(derived, Marking::Clear | Marking::Unclassified);
                let keep = own_words || (harmless && !matches!(column.marking, Marking::Unclassified));
                if !keep {
                    column.marking = derived;
                    column.binding = None;
                }
            }
        }
        self.state.insert(i, State::Done);
    }

    /// What each column of a view is by its definition; without one, everything the view reads may be in every column.
    /// `hidden` code may put something else into whatever is computed.
    fn markings(
        &self,
        view: &Relation,
        resolved: Option<&(Resolved, bool)>,
        read: &BTreeSet<usize>,
        relations: &[MarkedRelation],
    ) -> Vec<Marking> {
        let n = view.columns.len();
        let all: BTreeSet<Source> = read
            .iter()
            .filter_map(|r| relations.get(*r))
            .flat_map(|r| &r.columns)
            .flat_map(|c| origins(&c.marking))
            .collect();
        let everything = || Marking::Derived { from: self.or_any_class(&all), total: false };
        let Some((resolved, hidden)) = resolved else { return vec![everything(); n] };
        if resolved.outputs.len() != n || resolved.outputs.iter().any(|c| c.many) {
            return vec![everything(); n];
        }
        let marking = |value: &Value| {
            let plain = value.derivation == Derivation::Direct && value.sources.as_slice().len() == 1;
            if *hidden && !plain {
                return everything();
            }
            combined(value, relations).unwrap_or_else(everything)
        };
        resolved.outputs.iter().map(|c| marking(&c.value)).collect()
    }

    /// Where nothing is known of the sources, any class can be behind.
    fn or_any_class(&self, all: &BTreeSet<Source>) -> BTreeSet<Source> {
        if !all.is_empty() {
            return all.clone();
        }
        (0..self.model.classes.len()).filter_map(|c| ClassId::try_from(c).ok()).map(Some).chain([None]).collect()
    }
}

/// What a value is by the markings of its sources; `None` if one of them is not a column that is known.
fn combined(value: &Value, relations: &[MarkedRelation]) -> Option<Marking> {
    let mut markings = Vec::new();
    for source in value.sources.as_slice() {
        let (relation, column) = column_of(source)?;
        markings.push(&relations.get(relation as usize)?.columns.get(column as usize)?.marking);
    }
    let Some(first) = markings.first() else { return Some(Marking::Clear) };
    let same = markings.iter().all(|m| m == first);
    if same && matches!(value.derivation, Derivation::Direct | Derivation::Merged) {
        return Some((*first).clone());
    }
    let from: BTreeSet<Source> = markings.iter().flat_map(|m| origins(m)).collect();
    if from.is_empty() {
        return Some(Marking::Clear);
    }
    let open = markings.iter().any(|m| **m == Marking::Clear);
    let of_total = markings.iter().all(|m| !matches!(m, Marking::Derived { total: false, .. }));
    let total = match value.derivation {
        Derivation::Direct | Derivation::Merged | Derivation::Total => of_total,
        Derivation::Company => of_total && !open,
        Derivation::Aggregated | Derivation::Computed => false,
    };
    Some(Marking::Derived { from, total })
}

/// The column that a source is.
fn column_of(source: &Origin) -> Option<(u32, u32)> {
    match source {
        Origin::Column(relation, column) => Some((*relation, *column)),
        Origin::Stranger | Origin::Missing | Origin::Others => None,
    }
}

/// The sources behind a marking.
pub(crate) fn origins(marking: &Marking) -> BTreeSet<Source> {
    match marking {
        Marking::Class(c) => BTreeSet::from([Some(*c)]),
        Marking::Clear => BTreeSet::new(),
        Marking::Unclassified => BTreeSet::from([None]),
        Marking::Derived { from, .. } => from.clone(),
    }
}
