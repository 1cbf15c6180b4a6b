//! Gaps between rules and data: protected columns that stay clear for someone, columns that look protected and are in no
//! class, and rules that match nothing.
//!
//! With samples of a live target the content of columns is looked at too; what is kept of a sample is the detector and
//! the rate of hits. Deliberately absent: any change of rules.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use policy::Model;
use policy::model::{BindingBy, Detector, Redaction, ResolvedColumn, Unclassified};
use serde_json::{Value, json};

use crate::build::Rules;
use crate::diagnostic::Paint;
use crate::resolve::Catalogs;
use crate::source::Place;
use crate::{selector, suspicion, words};

/// Most names in one line of the text.
const NAMED_MAX: usize = 12;

/// How often a detector found something in the sampled values of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// Index of the target.
    pub target: usize,
    /// Schema, relation, column.
    pub column: (String, String, String),
    /// Detector and number of values with a hit, most hits first.
    pub hits: Vec<(&'static str, usize)>,
    /// Values looked at.
    pub values: usize,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Coverage {
    /// Columns of the catalogs.
    pub columns: usize,
    /// Of these, in a class.
    pub classified: usize,
    /// Of these, declared clear.
    pub declared_clear: usize,
    /// Role → classes it sees clear, with their columns.
    pub left_clear: Vec<LeftClear>,
    /// Roles that get unclassified columns as they are.
    pub open_default: Vec<String>,
    /// Columns that look protected and are in no class.
    pub suspects: Vec<Suspect>,
    /// Rules that match nothing.
    pub unused: Vec<(Place, String)>,
}

/// Protected columns that a role sees as they are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftClear {
    /// Role.
    pub role: String,
    /// Class.
    pub class: String,
    /// Full names.
    pub columns: Vec<String>,
}

/// A column that looks protected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Full name.
    pub column: String,
    /// The class it looks like.
    pub class: String,
    /// Why.
    pub reasons: Vec<String>,
    /// Somebody declared it clear.
    pub declared_clear: bool,
}

/// The name of a detector in rule files.
#[must_use]
pub fn detector_name(model: &Model, detector: Detector) -> String {
    if let Detector::Words(list) = detector {
        return model.word_lists.get(usize::from(list)).map_or_else(|| format!("words {list}"), |l| l.name.clone());
    }
    words::DETECTORS.iter().find(|(_, d, _)| *d == detector).map_or("?", |(n, ..)| n).to_owned()
}

/// The class of the library for what a detector finds.
pub(crate) fn class_of_detector(detector: &str) -> &str {
    match detector {
        "card" | "iban" => "account",
        "plan" | "mbi" => "health-plan",
        "npi" | "dea" => "license",
        "vin" | "plate" => "vehicle",
        "mac" => "device",
        other => other,
    }
}

/// Looks for gaps. Needs the catalogs the rules were resolved against.
#[must_use]
pub fn find(rules: &Rules, catalogs: &Catalogs, samples: &[Sampled]) -> Coverage {
    let model = &rules.model;
    let mut found = Coverage { columns: model.columns.len(), ..Coverage::default() };
    found.classified = model.columns.iter().filter(|c| c.class.is_some()).count();
    found.declared_clear = model.columns.iter().filter(|c| c.class.is_none() && c.binding.is_some()).count();
    left_clear(model, &mut found);
    suspects(model, catalogs, samples, &mut found);
    unused(rules, catalogs, &mut found);
    found
}

fn full_name(model: &Model, c: &ResolvedColumn) -> String {
    let target = model.targets.get(usize::from(c.target)).map_or("?", |t| t.name.as_str());
    [target, &c.schema, &c.relation, &c.column].map(selector::part).join(".")
}

fn left_clear(model: &Model, found: &mut Coverage) {
    let reachable = |role: &policy::model::Role, c: &ResolvedColumn| {
        let target = model.targets.get(usize::from(c.target)).map_or("", |t| t.name.as_str());
        role.targets.iter().any(|g| selector::glob(g, target))
    };
    for role in &model.roles {
        for (i, class) in model.classes.iter().enumerate() {
            let redaction = role.treatment.get(i).and_then(|r| model.redactions.get(usize::from(*r)));
            if redaction != Some(&Redaction::Clear) {
                continue;
            }
            let of =
                model.columns.iter().filter(|c| c.class.is_some_and(|k| usize::from(k) == i) && reachable(role, c));
            let columns: Vec<_> = of.map(|c| full_name(model, c)).collect();
            if !columns.is_empty() {
                found.left_clear.push(LeftClear { role: role.name.clone(), class: class.name.clone(), columns });
            }
        }
        let open = model.columns.iter().any(|c| c.binding.is_none() && reachable(role, c));
        if open && role.unclassified == Unclassified::Clear {
            found.open_default.push(role.name.clone());
        }
    }
}

fn suspects(model: &Model, catalogs: &Catalogs, samples: &[Sampled], found: &mut Coverage) {
    let comments: BTreeMap<(usize, &str, &str, &str), &str> = catalogs
        .iter()
        .flat_map(|(t, c)| c.relations.iter().map(move |r| (t, r)))
        .flat_map(|(t, r)| r.columns.iter().map(move |c| (t, r, c)))
        .filter_map(|(t, r, c)| {
            c.comment.as_deref().map(|text| ((t, r.schema.as_str(), r.name.as_str(), c.name.as_str()), text))
        })
        .collect();
    let sampled: BTreeMap<(usize, &str, &str, &str), &Sampled> = samples
        .iter()
        .map(|s| ((s.target, s.column.0.as_str(), s.column.1.as_str(), s.column.2.as_str()), s))
        .collect();
    for c in model.columns.iter().filter(|c| c.class.is_none()) {
        let key = (usize::from(c.target), c.schema.as_str(), c.relation.as_str(), c.column.as_str());
        let declared_clear = c.binding.is_some();
        let mut reasons = Vec::new();
        let mut class = None;
        // Somebody who declared a column clear has seen its name and comment; only its content can tell more.
        if !declared_clear {
            if let Some(k) = suspicion::by_name(&c.column) {
                class = Some(k.name);
                reasons.push("its name".to_owned());
            }
            if let Some(k) = comments.get(&key).and_then(|text| suspicion::by_comment(text)) {
                class = class.or(Some(k.name));
                reasons.push("its comment".to_owned());
            }
        }
        if let Some(s) = sampled.get(&key) {
            for (detector, hits) in &s.hits {
                class = class.or_else(|| Some(class_of_detector(detector)));
                reasons.push(format!("{detector} found in {hits} of {} sampled values", s.values));
            }
        }
        if let Some(class) = class {
            found.suspects.push(Suspect {
                column: full_name(model, c),
                class: class.to_owned(),
                reasons,
                declared_clear,
            });
        }
    }
}

fn unused(rules: &Rules, catalogs: &Catalogs, found: &mut Coverage) {
    let model = &rules.model;
    let mut winners = vec![0_usize; model.bindings.len()];
    for column in &model.columns {
        if let Some(n) = column.binding.and_then(|b| winners.get_mut(usize::try_from(b).ok()?)) {
            *n += 1;
        }
    }
    for ((binding, place), wins) in model.bindings.iter().zip(&rules.origins.bindings).zip(&winners) {
        if *wins > 0 || *place == Place::BUILT_IN || rules.origins.classes.contains(place) {
            continue;
        }
        let what = match &binding.by {
            BindingBy::Selector(s) => format!("selector `{}` decides no column", selector::show(s)),
            BindingBy::Tag { tag } => format!("tag `{tag}` decides no column"),
        };
        found.unused.push((*place, what));
    }
    for (i, (class, place)) in model.classes.iter().zip(&rules.origins.classes).enumerate() {
        let any = model.columns.iter().any(|c| c.class.is_some_and(|k| usize::from(k) == i));
        if !any && *place != Place::BUILT_IN {
            found.unused.push((*place, format!("class `{}` has no column", class.name)));
        }
    }
    for (i, (list, place)) in model.word_lists.iter().zip(&rules.origins.word_lists).enumerate() {
        let used = |d: &Detector| matches!(d, Detector::Words(n) if usize::from(*n) == i);
        if !model.classes.iter().any(|c| c.detectors.iter().any(used)) {
            found.unused.push((*place, format!("word list `{}` is used by no class", list.name)));
        }
    }
    for (role, place) in model.roles.iter().zip(&rules.origins.roles) {
        if !model.targets.iter().any(|t| role.targets.iter().any(|g| selector::glob(g, &t.name))) {
            found.unused.push((*place, format!("role `{}` may use no target", role.name)));
        }
    }
    let holds = model.holds.iter().map(|hold| &hold.rule).zip(&rules.origins.holds);
    for (block, place) in model.blocks.iter().zip(&rules.origins.blocks).chain(holds) {
        let known = catalogs.iter().flat_map(|(t, c)| c.relations.iter().map(move |r| (t, r)));
        let mut relations = known.map(|(t, r)| (model.targets.get(t).map_or("", |t| t.name.as_str()), r));
        let touches = block.objects.is_empty()
            || relations.any(|(t, r)| {
                block.objects.iter().any(|s| {
                    selector::glob(&s.target, t)
                        && selector::glob(&s.schema, &r.schema)
                        && selector::glob(&s.relation, &r.name)
                })
            });
        if !touches {
            found.unused.push((*place, format!("rule `{}` names only objects that are not there", block.name)));
        }
        let exempt = !model.roles.is_empty() && model.roles.iter().all(|r| block.except.contains(&r.name));
        if exempt || block.except.iter().any(|e| e == "*") {
            found.unused.push((*place, format!("rule `{}` excepts every role", block.name)));
        }
    }
}

impl Coverage {
    /// There is something to do: suspects or rules without effect.
    #[must_use]
    pub const fn has_findings(&self) -> bool {
        !self.suspects.is_empty() || !self.unused.is_empty()
    }

    /// For people.
    #[must_use]
    pub fn text(&self, rules: &Rules, paint: Paint) -> String {
        let mut out = String::new();
        let open = self.columns - self.classified - self.declared_clear;
        let _ = writeln!(
            out,
            "{} columns: {} classified, {} declared clear, {open} unclassified",
            self.columns, self.classified, self.declared_clear
        );
        if !self.suspects.is_empty() {
            let _ = writeln!(out, "\n{}:", paint.red("look protected and are in no class"));
            for s in &self.suspects {
                let clear = if s.declared_clear { " although declared clear" } else { "" };
                let _ = writeln!(out, "  {}: looks like {}{clear} ({})", s.column, s.class, s.reasons.join("; "));
            }
            let _ = writeln!(out, "  {}", paint.dim("give them a class under `classes`, or list them under `clear`"));
        }
        if open > 0 && !self.open_default.is_empty() {
            let _ = writeln!(
                out,
                "\n{} see unclassified columns as they are (default: clear)",
                self.open_default.join(", ")
            );
        }
        if !self.left_clear.is_empty() {
            let _ = writeln!(out, "\n{}:", paint.yellow("protected columns that stay clear"));
            let mut by_role: BTreeMap<&str, Vec<&LeftClear>> = BTreeMap::new();
            for l in &self.left_clear {
                by_role.entry(&l.role).or_default().push(l);
            }
            for (role, list) in by_role {
                let count: usize = list.iter().map(|l| l.columns.len()).sum();
                if count == self.classified {
                    let _ = writeln!(out, "  {role}: all {count} classified columns");
                    continue;
                }
                for l in list {
                    let more = l.columns.len().saturating_sub(NAMED_MAX);
                    let shown = &l.columns[..l.columns.len().min(NAMED_MAX)];
                    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
                    let _ = writeln!(out, "  {role}: {} ({}{more})", l.class, shown.join(", "));
                }
            }
        }
        if !self.unused.is_empty() {
            let _ = writeln!(out, "\n{}:", paint.yellow("never match"));
            for (place, what) in &self.unused {
                let _ = writeln!(out, "  {}: {what}", rules.sources.show_line(*place));
            }
        }
        if !self.has_findings() {
            let _ = writeln!(
                out,
                "\n{}",
                paint.green("nothing looks protected without a class, and every rule has something to match")
            );
        }
        out
    }

    /// For programs.
    #[must_use]
    pub fn json(&self, rules: &Rules) -> String {
        let clear: Vec<Value> =
            self.left_clear.iter().map(|l| json!({"role": l.role, "class": l.class, "columns": l.columns})).collect();
        let suspects: Vec<Value> = self
            .suspects
            .iter()
            .map(|s| json!({"column": s.column, "class": s.class, "reasons": s.reasons, "declared_clear": s.declared_clear}))
            .collect();
        let unused: Vec<Value> = self
            .unused
            .iter()
            .map(|(p, what)| json!({"file": rules.sources.name(*p), "line": p.line, "what": what}))
            .collect();
        let value = json!({
            "columns": self.columns, "classified": self.classified, "declared_clear": self.declared_clear,
            "left_clear": clear, "open_default": self.open_default, "suspects": suspects, "never_match": unused
        });
        format!("{value:#}\n")
    }
}
