//! Statements that only read: they may be sent while their record is on its way to the disk, because running one twice,
//! or once without anybody knowing, changes nothing.
//!
//! Strict on purpose: what is not known to be harmless is not. A view's rule may call anything, so only what the names
//! of a statement mean directly counts: tables, materialized views, and the server's own catalogs. Deliberately absent:
//! policies of row-level security, which the snapshot does not have and which can call functions too.

use lineage::facts::FunctionStanding;
use lineage::{Effects, FunctionUse, RelationUse, Statement};

use crate::admit::Grant;
use crate::decide::Names;

/// All that such a statement can do.
const HARMLESS: Effects = Effects::READ.with(Effects::EXPLAIN);
/// Built-ins that are known and yet leave something behind.
const LEAVES_SOMETHING: &[&str] = &["nextval", "txid_current", "pg_current_xact_id"];

impl Grant {
    /// The statement reads stored rows and computes on them, and nothing else can come of running it.
    pub(crate) fn only_reads(&self, statement: &Statement, names: &dyn Names) -> bool {
        if statement.effects == Effects::TRANSACTION {
            return matches!(statement.kind, "BEGIN" | "START TRANSACTION");
        }
        if !HARMLESS.contains(statement.effects) {
            return false;
        }
        let made = |name: &String| self.epoch.made.contains(name);
        let harmless = |f: &FunctionUse| {
            f.standing == FunctionStanding::Known
                && !LEAVES_SOMETHING.contains(&f.name.as_str())
                && (f.schema.as_deref() == Some("pg_catalog") || !made(&f.name))
        };
        !statement.operators.iter().any(made)
            && statement.functions.iter().all(harmless)
            && statement.relations.iter().all(|used| self.is_stored(used, names))
    }

    fn is_stored(&self, used: &RelationUse, names: &dyn Names) -> bool {
        if used.temporary || names.temporary(&used.name) {
            return false;
        }
        let mut known = false;
        for relation in self.epoch.candidates(used, names.by_path()) {
            known = true;
            if !self.epoch.stored.get(relation).copied().unwrap_or(false) {
                return false;
            }
        }
        known || lineage::resolve::is_system(used)
    }
}
