//! What the record of a statement says of it, beside the decision: computed once with it.

use lineage::{Effects, RelationUse, Statement};
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::admit::Grant;
use crate::decide::Names;
use crate::epoch::Marking;
use crate::explain::Fate;
use crate::model::{ClassId, Mode};

/// Tables and columns that a record names at most.
const NAMES_MAX: usize = 64;

/// What a record says of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct About {
    /// Relations that it names, each once, with their schema where the text or the catalog decides it.
    pub tables: Vec<String>,
    /// Columns of its result with a class, whose values this role gets as they are.
    pub clear: Vec<(String, ClassId)>,
    /// It changes nothing and calls nothing that could.
    pub only_reads: bool,
}

impl Grant {
    /// The relations that statements name, each once, with their schema where the text or the catalog decides it.
    #[must_use]
    pub fn tables(&self, statements: &[Arc<Statement>], by_path: bool) -> Vec<String> {
        self.named(statements.iter().flat_map(|statement| &statement.relations), by_path)
    }

    /// Classes of the columns of the relations that statements name, each once: what they could touch.
    #[must_use]
    pub fn classes(&self, statements: &[Arc<Statement>], by_path: bool) -> Vec<ClassId> {
        let mut classes = BTreeSet::new();
        for used in statements.iter().flat_map(|statement| &statement.relations) {
            for relation in self.epoch.candidates(used, by_path).filter_map(|i| self.epoch.relations.get(i)) {
                for column in &relation.columns {
                    match &column.marking {
                        Marking::Class(class) => drop(classes.insert(*class)),
                        Marking::Derived { from, .. } => classes.extend(from.iter().flatten()),
                        Marking::Clear | Marking::Unclassified => {}
                    }
                }
            }
        }
        classes.into_iter().collect()
    }

    fn named<'a>(&self, uses: impl Iterator<Item = &'a RelationUse>, by_path: bool) -> Vec<String> {
        let mut tables: Vec<String> = Vec::new();
        for used in uses {
            let mut candidates = self.epoch.candidates(used, by_path);
            let known = candidates.next().filter(|_| candidates.next().is_none());
            let schema = known.and_then(|i| self.epoch.relations.get(i)).map(|r| &r.schema).or(used.schema.as_ref());
            let name = schema.map_or_else(|| used.name.clone(), |schema| format!("{schema}.{}", used.name));
            if tables.len() < NAMES_MAX && !tables.contains(&name) {
                tables.push(name);
            }
        }
        tables
    }

    /// `rows` is the statement whose rows come.
    pub(crate) fn about(&self, statement: &Statement, rows: &Statement, names: &dyn Names) -> About {
        let uses = statement.relations.iter().chain(rows.relations.iter().filter(|_| !std::ptr::eq(statement, rows)));
        let tables = self.named(uses, names.by_path());
        // EXPLAIN returns no rows of what it explains.
        let returned = !statement.effects.intersects(Effects::EXPLAIN);
        let outputs = if returned && !tables.is_empty() { self.plan_columns(rows) } else { Vec::new() };
        let passed = |fate: &Fate| *fate == Fate::Clear || self.mode == Mode::Observe;
        let clear = outputs.into_iter().filter(|o| passed(&o.fate)).filter_map(|o| Some((o.output, o.class?)));
        let clear = clear.take(NAMES_MAX).collect();
        About { tables, clear, only_reads: self.only_reads(statement, names) }
    }
}
