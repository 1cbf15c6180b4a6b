//! The rules in force, and those before them since the start, as people ask about them.
//!
//! What a statement means is asked of the compiler's engine, which is the runtime itself; nothing is decided here.

use super::Reached;
use crate::board;
use console::world::{Bundle as Shown, Coverage, Difference, Explained, PolicySummary, Sees, Standing};
use lineage::Catalog;
use policy::model::Redaction;
use policy::{Bundle, Epoch, Model};
use policy_compiler::engine::{Engine, Verdict};
use policy_compiler::{Catalogs, diff};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Bundles that are kept for comparisons.
const KEPT: usize = 16;
/// Columns that are listed.
const LISTED: usize = 500;

#[derive(Default)]
struct Now {
    /// Newest last: bundle, and when it came into force.
    bundles: Vec<(Arc<Bundle>, u64)>,
    epochs: Vec<Arc<Epoch>>,
    catalogs: Vec<Option<Catalog>>,
}

/// The rules in force. Written by the thread that changes rules, read by the console.
#[derive(Default)]
pub struct InForce(Mutex<Now>);

impl std::fmt::Debug for InForce {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("InForce")
    }
}

impl InForce {
    /// These are in force now.
    pub fn set(&self, bundle: &Arc<Bundle>, epochs: Vec<Arc<Epoch>>, catalogs: Vec<Option<Catalog>>) {
        let mut now = self.lock();
        let same = now.bundles.last().is_some_and(|(last, _)| last.digest() == bundle.digest());
        if !same {
            now.bundles.push((Arc::clone(bundle), board::now()));
            if now.bundles.len() > KEPT {
                now.bundles.remove(0);
            }
        }
        (now.epochs, now.catalogs) = (epochs, catalogs);
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // Whole values, each replaced in one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn standing(&self, person: &access::Person, targets: &[Reached]) -> Vec<Standing> {
        let epochs = self.lock().epochs.clone();
        let identity = policy::Identity {
            issuer: person.who.issuer.clone(),
            subject: person.who.subject.clone(),
            groups: person.groups.clone(),
            granted: Vec::new(),
        };
        let role = |(target, epoch): (&Reached, &Arc<Epoch>)| {
            let grant = policy::admit(epoch, &identity).ok()?;
            Some(Standing { target: target.name.clone(), role: grant.role().to_owned() })
        };
        targets.iter().zip(&epochs).filter_map(role).collect()
    }

    pub(super) fn summary(&self) -> PolicySummary {
        let now = self.lock();
        let mut shown: Vec<Shown> = now
            .bundles
            .iter()
            .rev()
            .map(|(bundle, from_s)| Shown { digest: access::hex(bundle.digest()), from_s: *from_s })
            .collect();
        let Some((bundle, _)) = now.bundles.last() else { return PolicySummary::default() };
        let model = bundle.model();
        let earlier = shown.split_off(1);
        PolicySummary {
            bundle: shown.pop().unwrap_or_default(),
            earlier,
            roles: model.roles.iter().map(|role| role.name.clone()).collect(),
            observed: crate::prepare::observed(bundle),
            sees: (0..model.classes.len()).map(|class| sees(model, class)).collect(),
            coverage: (0..model.targets.len()).map(|target| coverage(model, &now, target)).collect(),
        }
    }

    pub(super) fn difference(&self, from: &str, to: &str) -> Result<Difference, String> {
        let bundles = self.lock().bundles.clone();
        let find = |digest: &str| {
            let of = bundles.iter().find(|(bundle, _)| access::hex(bundle.digest()) == digest);
            of.map(|(bundle, _)| Arc::clone(bundle)).ok_or_else(|| "that bundle is not there any more".to_owned())
        };
        let changes = diff::compare(find(from)?.model(), find(to)?.model());
        let lines = |mark: char, list: &[String]| list.iter().map(|line| (mark, line.clone())).collect::<Vec<_>>();
        let mut all = lines('!', &changes.more);
        all.extend(lines('-', &changes.less));
        all.extend(lines('+', &changes.different));
        all.extend(changes.targets.iter().map(|line| ('+', line.clone())));
        Ok(Difference { sees_more: !changes.more.is_empty(), changes: all })
    }

    pub(super) fn explain(&self, target: &str, role: &str, statement: &str) -> Result<Explained, String> {
        let (bundle, catalogs) = {
            let now = self.lock();
            let (bundle, _) = now.bundles.last().ok_or("no rules are in force yet")?;
            let known = now.catalogs.iter().enumerate();
            let known = known.filter_map(|(target, catalog)| Some((target, catalog.clone()?))).collect();
            (Arc::clone(bundle), Catalogs::new(known))
        };
        let model = bundle.model();
        let target = model.targets.iter().position(|t| t.name == target).ok_or("there is no such target")?;
        let role = model.roles.iter().position(|r| r.name == role).ok_or("there is no such role")?;
        let engine = Engine::new(model, &catalogs)?;
        let judged = engine.judge(target, &policy_compiler::build::Who::Role(role), statement);
        Ok(match judged.verdict {
            Verdict::Allowed(outcomes) => {
                let columns = outcomes.iter().flat_map(|outcome| &outcome.columns);
                let columns: Vec<_> = columns.map(|column| column_of(model, column)).collect();
                let said: Vec<String> = outcomes
                    .iter()
                    .map(|outcome| {
                        let relations = outcome.relations.join(", ");
                        let softened = outcome.softened.iter().map(|r| format!("\n  would be refused: {}", r.message));
                        format!("{}: {}{}", outcome.kind, relations, softened.collect::<String>())
                    })
                    .collect();
                Explained {
                    decision: "allowed".to_owned(),
                    rule: columns
                        .iter()
                        .map(|(.., fate)| fate)
                        .find(|fate| *fate != "clear")
                        .cloned()
                        .unwrap_or_default(),
                    message: String::new(),
                    columns,
                    text: said.join("\n"),
                }
            }
            Verdict::Refused(refused) => Explained {
                decision: "refused".to_owned(),
                rule: format!("{} ({})", refused.refusal.rule, refused.refusal.code),
                message: refused.refusal.message.clone(),
                columns: refused.columns.iter().map(|column| column_of(model, column)).collect(),
                text: refused.refusal.hint.unwrap_or_default(),
            },
        })
    }
}

fn column_of(model: &Model, column: &policy_compiler::engine::OutputColumn) -> (String, String, String) {
    let origins: Vec<String> = column
        .origins
        .iter()
        .map(|origin| {
            let class = column.class.and_then(|class| model.classes.get(class));
            format!(
                "{}{}",
                origin.column.join("."),
                class.map(|class| format!(" ({})", class.name)).unwrap_or_default()
            )
        })
        .collect();
    let fate = if column.changed { fate(&column.redaction) } else { "clear".to_owned() };
    (column.name.clone(), origins.join(", "), fate)
}

/// What becomes of a value, in words.
fn fate(redaction: &Redaction) -> String {
    match redaction {
        Redaction::Clear => "clear".to_owned(),
        Redaction::Refuse => "refused".to_owned(),
        other => format!("masked: {}", policy_compiler::redaction::show(other)),
    }
}

fn sees(model: &Model, class: usize) -> Sees {
    let by_role: BTreeMap<String, String> = model
        .roles
        .iter()
        .map(|role| {
            let of = role.treatment.get(class).and_then(|id| model.redactions.get(usize::from(*id)));
            (role.name.clone(), of.map_or_else(|| "masked: null".to_owned(), fate))
        })
        .collect();
    Sees { class: model.classes[class].name.clone(), by_role }
}

/// Columns of the live catalog, by what the rules in force say of them.
fn coverage(model: &Model, now: &Now, target: usize) -> Coverage {
    let mut found = Coverage { target: model.targets[target].name.clone(), ..Coverage::default() };
    let Some(catalog) = now.catalogs.get(target).and_then(Option::as_ref) else { return found };
    for relation in &catalog.relations {
        let of = format!("{}.{}", relation.schema, relation.name);
        for column in &relation.columns {
            found.columns += 1;
            let binding = policy::deciding_binding(model, &found.target, relation, column);
            let binding = binding.and_then(|binding| model.bindings.get(binding));
            match binding.and_then(|binding| binding.class) {
                Some(class) => {
                    found.classified += 1;
                    let name =
                        model.classes.get(usize::from(class)).map(|class| class.name.clone()).unwrap_or_default();
                    if found.protected.len() < LISTED {
                        found.protected.push((of.clone(), column.name.clone(), name));
                    }
                }
                None if binding.is_some() => found.clear += 1,
                None => {
                    found.uncovered += 1;
                    if found.open.len() < LISTED {
                        found.open.push((of.clone(), column.name.clone(), String::new()));
                    }
                }
            }
        }
    }
    found
}
