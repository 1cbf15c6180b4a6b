//! Plans: what becomes of each column of a result, by identity (table OID and attribute number).
//!
//! Invariants: columns are sorted by index and distinct; a plan is made only if every column of a guarded statement can be
//! accounted for from both sides, the statement's facts and the row description. Deliberately absent: rows.

use std::collections::HashSet;
use std::sync::Arc;

use lineage::{Derivation, Statement};

use crate::admit::Grant;
use crate::decide::Allowed;
use crate::free_text::Scanner;
use crate::model::{ClassId, Redaction};
use crate::redact::{Format, Grows, Redacted, Step};
use crate::refusal::{Refusal, code};
use crate::role::Treatment;
use crate::system;

/// One column of a row description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnShape<'a> {
    /// Name.
    pub name: &'a [u8],
    /// OID of the relation it comes from, 0 if the server does not say.
    pub table: u32,
    /// Attribute number in it, 0 if the server does not say.
    pub attribute: i16,
    /// Type.
    pub type_oid: u32,
}

/// A result column that is changed.
#[derive(Debug)]
pub struct PlannedColumn {
    /// Position in the row, from 0.
    pub index: u16,
    /// Its class; `None` if nobody classified it.
    pub class: Option<ClassId>,
    /// How long its values can become.
    pub grows: Grows,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Step(Step),
    Scan(Box<Scanner>),
}

/// What becomes of the columns of one result; cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan {
    columns: Arc<[PlannedColumn]>,
}

impl Plan {
    /// Nothing is changed.
    #[must_use]
    pub fn is_clear(&self) -> bool {
        self.columns.is_empty()
    }

    /// The changed columns, by index.
    #[must_use]
    pub fn columns(&self) -> &[PlannedColumn] {
        &self.columns
    }

    /// New bytes of one non-NULL value of planned column `i` (index into [`Plan::columns`]); anything else is NULL. Time
    /// and memory are linear in the value.
    #[inline]
    pub fn redact(&self, i: usize, format: Format, value: &[u8], scratch: &mut Vec<u8>) -> Redacted {
        scratch.clear();
        match self.columns.get(i).map(|c| &c.work) {
            Some(Work::Step(step)) => step.apply(format, value, scratch),
            Some(Work::Scan(scanner)) => scanner.apply(format, value, scratch),
            None => Redacted::Null,
        }
    }
}

impl Grant {
    /// What becomes of the columns that the server announces for `allowed`.
    ///
    /// # Errors
    /// A column that has to be protected and cannot be attributed, or whose class is refused.
    pub fn plan(&self, allowed: &Allowed, columns: &[ColumnShape<'_>]) -> Result<Plan, Refusal> {
        let mut planned = Vec::new();
        if !self.view.everything {
            let mut carried: Option<Carried<'_>> = None;
            for (i, column) in columns.iter().enumerate() {
                let treatment = if column.table == 0 {
                    if let Some(refusal) = &allowed.unattributed {
                        let carried =
                            carried.get_or_insert_with(|| Carried::new(self, allowed.source(), columns.len()));
                        if carried.can_carry(i, column.name) {
                            return Err(refusal.clone());
                        }
                    }
                    Treatment::Clear
                } else {
                    self.column_treatment(column)?
                };
                if let Some((class, work)) = self.work(treatment, column)? {
                    let index = u16::try_from(i).map_err(|_| unattributed("the result has too many columns"))?;
                    let grows = match &work {
                        Work::Step(step) => step.grows(),
                        Work::Scan(scanner) if scanner.keeps_length() => Grows::Never,
                        Work::Scan(_) => Grows::Unbounded,
                    };
                    planned.push(PlannedColumn { index, class, grows, work });
                }
            }
        }
        Ok(Plan { columns: planned.into() })
    }

    fn column_treatment(&self, column: &ColumnShape<'_>) -> Result<Treatment, Refusal> {
        let Some(relation) = self.epoch.by_oid(column.table) else {
            let own = column.table < system::FIRST_USER_OID;
            return Ok(if own { Treatment::Clear } else { self.view.unclassified });
        };
        if column.attribute == 0 {
            let guarded = self.view.guarded.get(relation).copied().unwrap_or(true);
            if guarded || self.view.unclassified != Treatment::Clear {
                return Err(Refusal::new(
                    code::WHOLE_ROW,
                    "default:whole-row",
                    "the result holds a whole row as one value",
                )
                .hint("select the columns one by one"));
            }
            return Ok(Treatment::Clear);
        }
        if column.attribute < 0 {
            return Ok(Treatment::Clear);
        }
        let known = self.epoch.relations.get(relation).and_then(|r| r.column(column.attribute));
        let treatment = known.and_then(|c| self.view.treatments.get(relation)?.get(c)).copied();
        Ok(treatment.unwrap_or(self.view.unclassified))
    }

    fn work(&self, treatment: Treatment, column: &ColumnShape<'_>) -> Result<Option<(Option<ClassId>, Work)>, Refusal> {
        let bundle = self.epoch.bundle();
        match treatment {
            Treatment::Clear => Ok(None),
            Treatment::Mask => Ok(Some((None, Work::Step(Step::Null)))),
            Treatment::Refuse(source) => {
                Err(self.refuse_output(source, false, &String::from_utf8_lossy(column.name), None))
            }
            Treatment::Derived(source) => {
                Err(self.refuse_output(source, true, &String::from_utf8_lossy(column.name), None))
            }
            Treatment::Redact(id, class) => {
                let redaction = bundle.model().redactions.get(usize::from(id)).unwrap_or(&Redaction::Null);
                let key = self.epoch.tokens.get(usize::from(id)).and_then(Option::as_ref);
                let free_text = bundle.model().classes.get(usize::from(class)).is_some_and(|c| !c.detectors.is_empty());
                let work = if free_text {
                    match Scanner::prepare(bundle, class, redaction, column.type_oid, key) {
                        Some(scanner) => Work::Scan(Box::new(scanner)),
                        None => Work::Step(Step::Null),
                    }
                } else {
                    match Step::prepare(redaction, column.type_oid, key) {
                        Some(step) => Work::Step(step),
                        None => return Ok(None),
                    }
                };
                Ok(Some((Some(class), work)))
            }
        }
    }
}

fn unattributed(message: &str) -> Refusal {
    Refusal::new(code::UNATTRIBUTED, "default:unattributed", message)
}

/// Which columns of a result could carry a protected value without saying so.
struct Carried<'a> {
    statement: &'a Statement,
    names: HashSet<String>,
    width: usize,
}

impl<'a> Carried<'a> {
    fn new(grant: &Grant, statement: &'a Statement, width: usize) -> Self {
        Self { statement, names: grant.protected_names(statement).into_keys().collect(), width }
    }

    /// Column `i` of the result has no origin; a protected value carried unchanged would have one, unless its path is not
    /// what the facts say. Computed columns were judged with the statement.
    fn can_carry(&self, i: usize, name: &[u8]) -> bool {
        let outputs = &self.statement.outputs;
        let is_star = |o: &lineage::Output| matches!(o.derivation, Derivation::Star { .. });
        let first = outputs.iter().position(is_star);
        let output = match first {
            None if outputs.len() == self.width => outputs.get(i),
            None => return true,
            Some(first) if i < first => outputs.get(i),
            Some(_) => {
                // Counted from the end, behind the last star.
                let tail = outputs.iter().rev().take_while(|o| !is_star(o)).count();
                let from_end = self.width.saturating_sub(i);
                if from_end <= tail { outputs.get(outputs.len() - from_end) } else { None }
            }
        };
        match output.map(|o| &o.derivation) {
            Some(Derivation::Expression) => false,
            Some(Derivation::Direct { column, .. }) => self.names.contains(column),
            Some(Derivation::Star { .. }) | None => std::str::from_utf8(name).is_ok_and(|n| self.names.contains(n)),
        }
    }
}

/// `Arc` of the statement whose rows come, for statements that stand for another.
pub(crate) type Source = Option<Arc<Statement>>;
