//! What the record of a statement says of it, beside the decision: computed once with it.

use lineage::{Effects, Statement};

use crate::admit::Grant;
use crate::decide::Names;
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
    /// `rows` is the statement whose rows come.
    pub(crate) fn about(&self, statement: &Statement, rows: &Statement, names: &dyn Names) -> About {
        let mut tables: Vec<String> = Vec::new();
        let uses = statement.relations.iter().chain(rows.relations.iter().filter(|_| !std::ptr::eq(statement, rows)));
        for used in uses {
            let mut candidates = self.epoch.candidates(used, names.by_path());
            let known = candidates.next().filter(|_| candidates.next().is_none());
            let schema = known.and_then(|i| self.epoch.relations.get(i)).map(|r| &r.schema).or(used.schema.as_ref());
            let name = schema.map_or_else(|| used.name.clone(), |schema| format!("{schema}.{}", used.name));
            if tables.len() < NAMES_MAX && !tables.contains(&name) {
                tables.push(name);
            }
        }
        // EXPLAIN returns no rows of what it explains.
        let returned = !statement.effects.intersects(Effects::EXPLAIN);
        let outputs = if returned && !tables.is_empty() { self.plan_columns(rows) } else { Vec::new() };
        let passed = |fate: &Fate| *fate == Fate::Clear || self.mode == Mode::Observe;
        let clear = outputs.into_iter().filter(|o| passed(&o.fate)).filter_map(|o| Some((o.output, o.class?)));
        let clear = clear.take(NAMES_MAX).collect();
        About { tables, clear, only_reads: self.only_reads(statement, names) }
    }
}
