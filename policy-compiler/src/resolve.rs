//! Rules against catalog snapshots: which column has which class, and what in the rules does not fit the columns there are.
//!
//! Which binding wins is asked of the runtime, never decided here. Everything reported is a warning: a snapshot may be old,
//! and the gateway resolves again against the live catalog.

use std::path::Path;

use lineage::Catalog;
use lineage::catalog::Relation;
use policy::Model;
use policy::model::{BindingBy, ClassId, Redaction, ResolvedColumn, Selector, Target};

use crate::build::Rules;
use crate::diagnostic::{Diagnostic, Report};
use crate::source::Place;
use crate::{redaction, selector, snapshot, words};

/// Most columns named in one warning.
const NAMED_MAX: usize = 5;

/// Catalog snapshots, each of one target.
#[derive(Clone, Debug, Default)]
pub struct Catalogs(Vec<(usize, Catalog)>);

impl Catalogs {
    /// From snapshots by index of the target.
    #[must_use]
    pub fn new(mut list: Vec<(usize, Catalog)>) -> Self {
        list.sort_by_key(|(t, _)| *t);
        Self(list)
    }

    /// Reads `FILE` or `TARGET=FILE` arguments.
    ///
    /// # Errors
    /// A file that cannot be read, an unknown target, or no way to know which target a file is of.
    pub fn read(arguments: &[String], targets: &[Target]) -> Result<Self, String> {
        let mut list: Vec<(usize, Catalog)> = Vec::new();
        for argument in arguments {
            let named = argument.split_once('=').filter(|(name, _)| !name.contains(['/', '.']));
            let (target, file) = match named {
                Some((name, file)) => {
                    let known = targets.iter().position(|t| t.name == name);
                    let names = targets.iter().map(|t| t.name.as_str());
                    let fix = words::did_you_mean(name, names).unwrap_or_default();
                    (Some(known.ok_or_else(|| format!("--catalog {argument}: unknown target `{name}`; {fix}"))?), file)
                }
                None => (None, argument.as_str()),
            };
            let catalog = snapshot::read(Path::new(file)).map_err(|e| e.to_string())?;
            let target = match (target, targets) {
                (Some(t), _) => t,
                (None, [_]) => 0,
                (None, _) => {
                    let same: Vec<_> = targets
                        .iter()
                        .enumerate()
                        .filter(|(_, t)| t.database == catalog.database)
                        .map(|(i, _)| i)
                        .collect();
                    match same.as_slice() {
                        [one] => *one,
                        _ => {
                            return Err(format!(
                                "--catalog {file}: say which target it is of: --catalog TARGET={file}"
                            ));
                        }
                    }
                }
            };
            if list.iter().any(|(t, _)| *t == target) {
                return Err(format!("--catalog {argument}: a second catalog for the same target"));
            }
            list.push((target, catalog));
        }
        Ok(Self::new(list))
    }

    /// The catalog of a target.
    #[must_use]
    pub fn of(&self, target: usize) -> Option<&Catalog> {
        self.0.iter().find(|(t, _)| *t == target).map(|(_, c)| c)
    }

    /// All, by index of the target.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &Catalog)> {
        self.0.iter().map(|(t, c)| (*t, c))
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Fills [`Model::columns`] and reports what does not fit.
pub fn resolve(rules: &mut Rules, catalogs: &Catalogs, report: &mut Report) {
    if catalogs.is_empty() {
        return;
    }
    rules.model.columns = columns(&rules.model, catalogs);
    if rules.model.columns.is_empty() {
        report.push(
            Diagnostic::warning(Place::BUILT_IN, "the catalog has no relation outside of the system's")
                .fix("take the snapshot of the right database, with an account that may see it"),
        );
        return;
    }
    selectors_without_columns(rules, catalogs, report);
    quarrels(rules, catalogs, report);
    blocks_without_objects(rules, catalogs, report);
    types(rules, catalogs, report);
}

/// Every column of every catalog with the binding that decides it.
#[must_use]
pub fn columns(model: &Model, catalogs: &Catalogs) -> Vec<ResolvedColumn> {
    let mut found = Vec::new();
    for (target, catalog) in catalogs.iter() {
        let Some(name) = model.targets.get(target).map(|t| t.name.as_str()) else { continue };
        for relation in &catalog.relations {
            for column in &relation.columns {
                let binding = policy::deciding_binding(model, name, relation, column);
                let class = binding.and_then(|b| model.bindings.get(b)).and_then(|b| b.class);
                found.push(ResolvedColumn {
                    target: u16::try_from(target).unwrap_or(u16::MAX),
                    schema: relation.schema.clone(),
                    relation: relation.name.clone(),
                    column: column.name.clone(),
                    class,
                    binding: binding.and_then(|b| u32::try_from(b).ok()),
                });
            }
        }
    }
    found
}

/// The part of a selector's match that only the catalog can tell.
fn matches(s: &Selector, target: &str, relation: &Relation) -> bool {
    selector::glob(&s.target, target)
        && selector::glob(&s.schema, &relation.schema)
        && selector::glob(&s.relation, &relation.name)
}

/// Selectors written in rule files, of targets whose catalog is known, that select nothing.
fn selectors_without_columns(rules: &Rules, catalogs: &Catalogs, report: &mut Report) {
    for (binding, place) in rules.model.bindings.iter().zip(&rules.origins.bindings) {
        let BindingBy::Selector(s) = &binding.by else { continue };
        if *place == Place::BUILT_IN || !known_targets(s, rules, catalogs) {
            continue;
        }
        let mut near = Vec::new();
        let mut any = false;
        for (target, relation) in relations(rules, catalogs) {
            if !matches(s, target, relation) {
                continue;
            }
            any = any || relation.columns.iter().any(|c| selector::glob(&s.column, &c.name));
            near.extend(relation.columns.iter().map(|c| c.name.as_str()));
        }
        if any {
            continue;
        }
        let fix = if near.is_empty() {
            let all: Vec<_> = relations(rules, catalogs).map(|(_, r)| r.name.as_str()).collect();
            words::nearest(&s.relation, all)
                .filter(|n| *n != s.relation)
                .map(|n| format!("did you mean relation `{n}`?"))
        } else {
            words::nearest(&s.column, near).map(|n| format!("did you mean column `{n}`?"))
        };
        let text = selector::show(s);
        report.push(Diagnostic::warning(*place, format!("`{text}` selects no column of the catalog")).fix_maybe(fix));
    }
}

/// Every target the selector can mean has a catalog, so silence is a fact.
fn known_targets(s: &Selector, rules: &Rules, catalogs: &Catalogs) -> bool {
    rules.model.targets.iter().enumerate().all(|(i, t)| !selector::glob(&s.target, &t.name) || catalogs.of(i).is_some())
}

fn relations<'a>(rules: &'a Rules, catalogs: &'a Catalogs) -> impl Iterator<Item = (&'a str, &'a Relation)> {
    catalogs.iter().flat_map(|(i, c)| {
        let name = rules.model.targets.get(i).map_or("", |t| t.name.as_str());
        c.relations.iter().map(move |r| (name, r))
    })
}

/// Two selectors of equal weight that give one column two classes; and a broad `clear` that takes a class away.
fn quarrels(rules: &Rules, catalogs: &Catalogs, report: &mut Report) {
    let model = &rules.model;
    let name = |class: Option<ClassId>| {
        class
            .and_then(|c| model.classes.get(usize::from(c)))
            .map_or_else(|| "clear".to_owned(), |c| format!("class `{}`", c.name))
    };
    for (target, relation) in relations(rules, catalogs) {
        let selecting: Vec<(usize, &Selector)> = model
            .bindings
            .iter()
            .enumerate()
            .filter_map(|(i, b)| match &b.by {
                BindingBy::Selector(s) if matches(s, target, relation) => Some((i, s)),
                _ => None,
            })
            .collect();
        for column in &relation.columns {
            let Some(won) = policy::deciding_binding(model, target, relation, column) else { continue };
            let Some((_, best)) = selecting.iter().find(|(i, _)| *i == won) else { continue };
            let class = model.bindings[won].class;
            for (i, s) in &selecting {
                let other = &model.bindings[*i];
                if *i == won || other.class == class || !selector::glob(&s.column, &column.name) {
                    continue;
                }
                let (place, at) = (rules.origins.bindings[won], rules.origins.bindings[*i]);
                let full = format!("{target}.{}.{}.{}", relation.schema, relation.name, column.name);
                if at != Place::BUILT_IN && s.specificity() == best.specificity() {
                    let message = format!(
                        "{full} is given to {} here and to {} elsewhere, by selectors of equal weight",
                        name(class),
                        name(other.class)
                    );
                    report.push(
                        Diagnostic::warning(place, message)
                            .also(at, format!("{} here", name(other.class)))
                            .fix("the later one wins; make the one you mean more specific"),
                    );
                } else if class.is_none() && best.column.contains('*') && other.class.is_some() {
                    let message =
                        format!("`{}` makes {full} clear, which would be {}", selector::show(best), name(other.class));
                    let fix = format!(
                        "name the columns that are harmless one by one, or give {full} its class by its full name"
                    );
                    report.push(Diagnostic::warning(place, message).fix(fix));
                }
            }
        }
    }
}

fn blocks_without_objects(rules: &Rules, catalogs: &Catalogs, report: &mut Report) {
    let holds = rules.model.holds.iter().map(|hold| &hold.rule).zip(&rules.origins.holds);
    for (block, place) in rules.model.blocks.iter().zip(&rules.origins.blocks).chain(holds) {
        for s in &block.objects {
            if known_targets(s, rules, catalogs) && !relations(rules, catalogs).any(|(t, r)| matches(s, t, r)) {
                let all = relations(rules, catalogs).map(|(_, r)| r.name.as_str());
                let fix = words::nearest(&s.relation, all).map(|n| format!("did you mean `{n}`?"));
                let text = [&s.target, &s.schema, &s.relation].map(|p| selector::part(p)).join(".");
                let message = format!("rule `{}`: `{text}` is no relation of the catalog", block.name);
                report.push(Diagnostic::warning(*place, message).fix_maybe(fix));
            }
        }
    }
}

/// Redactions that cannot do what they say on the type of a column they apply to.
fn types(rules: &Rules, catalogs: &Catalogs, report: &mut Report) {
    let model = &rules.model;
    let mut of_class: Vec<Vec<(&ResolvedColumn, &str)>> = vec![Vec::new(); model.classes.len()];
    for (column, type_name) in model.columns.iter().zip(type_names(model, catalogs)) {
        if let Some(list) = column.class.and_then(|c| of_class.get_mut(usize::from(c))) {
            list.push((column, type_name));
        }
    }
    for (r, role) in model.roles.iter().enumerate() {
        for (c, class) in model.classes.iter().enumerate() {
            let Some(place) = rules.origins.treatment[r][c] else { continue };
            let Some(redaction) = role.treatment.get(c).and_then(|id| model.redactions.get(usize::from(*id))) else {
                continue;
            };
            if *redaction == Redaction::Null {
                continue;
            }
            let mut wrong: Vec<String> = Vec::new();
            let mut reason = "";
            for (column, type_name) in &of_class[c] {
                if let Some(why) = redaction::unsuitable(redaction, type_name, !class.detectors.is_empty()) {
                    reason = why;
                    wrong.push(format!("{}.{}.{} ({type_name})", column.schema, column.relation, column.column));
                }
            }
            if wrong.is_empty() {
                continue;
            }
            let more = wrong.len().saturating_sub(NAMED_MAX);
            wrong.truncate(NAMED_MAX);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            let message = format!(
                "`{}` of class `{}` gives NULL on {}{more}: {reason}",
                redaction::show(redaction),
                class.name,
                wrong.join(", ")
            );
            report.push(Diagnostic::warning(place, message).fix("write `null`, or a redaction that fits the type"));
        }
    }
}

/// Type names in the order of [`columns`].
fn type_names<'a>(model: &Model, catalogs: &'a Catalogs) -> Vec<&'a str> {
    let known = catalogs.iter().filter(|(t, _)| *t < model.targets.len());
    known.flat_map(|(_, c)| &c.relations).flat_map(|r| &r.columns).map(|c| c.type_name.as_str()).collect()
}
