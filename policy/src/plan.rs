//! Plans: what becomes of each column of a result.
//!
//! Two witnesses say where a column comes from: the statement's lineage, and the table and attribute number of the row
//! description. Where both speak they must agree; where the server names nothing the lineage decides; the stricter of two
//! treatments wins. Invariants: columns are sorted by index and distinct; every column of a guarded statement is
//! accounted for. Deliberately absent: rows.

use std::sync::Arc;

use contract::Values;
use lineage::Statement;

use crate::admit::Grant;
use crate::array_values;
use crate::decide::Allowed;
use crate::free_text::Scanner;
use crate::guard::Expected;
use crate::model::{ClassId, Mode, Redaction, RedactionId};
use crate::pg_types::element_of;
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
    /// The redaction of the model that it gets; `None` is NULL for want of one.
    pub redaction: Option<RedactionId>,
    /// How long its values can become.
    pub grows: Grows,
    work: Work,
}

#[derive(Debug)]
enum Work {
    Step(Step),
    Scan(Box<Scanner>),
    /// Free text in an array of this type's.
    ScanElements(Box<Scanner>, u32),
}

/// What becomes of the columns of one result; cheap to clone.
#[derive(Clone, Debug)]
pub struct Plan {
    columns: Arc<[PlannedColumn]>,
    softened: Arc<[Refusal]>,
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

    /// What the result would be refused for if the role's mode were `enforce`.
    #[must_use]
    pub fn softened(&self) -> &[Refusal] {
        &self.softened
    }

    /// New bytes of one non-NULL value of planned column `i` (index into [`Plan::columns`]); anything else is NULL. Time
    /// and memory are linear in the value.
    #[inline]
    pub fn redact(&self, i: usize, format: Format, value: &[u8], scratch: &mut Vec<u8>) -> Redacted {
        scratch.clear();
        match self.columns.get(i).map(|c| &c.work) {
            Some(Work::Step(step)) => step.apply(format, value, scratch),
            Some(Work::Scan(scanner)) => scanner.apply(format, value, scratch),
            Some(Work::ScanElements(scanner, of)) => {
                match array_values::redact(&**scanner, *of, format, value, scratch) {
                    Some(()) => Redacted::Scratch,
                    None => Redacted::Null,
                }
            }
            None => Redacted::Null,
        }
    }

    /// The same for all values of planned column `i` in a batch of rows.
    pub fn redact_batch(&self, i: usize, format: Format, values: &mut Values<'_>) {
        match self.columns.get(i).map(|c| &c.work) {
            Some(Work::Step(step)) => step.apply_batch(format, values),
            Some(Work::Scan(scanner)) => scanner.apply_batch(format, values),
            Some(Work::ScanElements(..)) => values.each(|value, scratch| self.redact(i, format, value, scratch).into()),
            None => values.nulls(),
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
        let mut softened = Vec::new();
        if !self.view.everything {
            if !columns.is_empty() && !allowed.source().returns_rows() {
                // A rewrite rule of the database can answer a change with rows that no statement explains.
                return Err(Refusal::new(
                    code::DISAGREEMENT,
                    "default:disagreement",
                    "the server returns rows that the statement does not ask for",
                )
                .hint("a rewrite rule of the table may be the reason"));
            }
            let expected = Expectations::new(allowed.expected.as_deref(), columns.len())?;
            for (i, column) in columns.iter().enumerate() {
                let treatment = match self.agreed(column, expected.of(i).as_deref()) {
                    Ok(Treatment::Derived(source)) if self.mode == Mode::Migrate => {
                        softened.push(self.refuse_output(source, true, &String::from_utf8_lossy(column.name), None));
                        Treatment::Null(source)
                    }
                    Err(refusal) if self.mode == Mode::Migrate && refusal.code == code::UNATTRIBUTED => {
                        softened.push(refusal);
                        Treatment::Mask
                    }
                    agreed => agreed?,
                };
                if let Some((class, work)) = self.work(treatment, column)? {
                    let index = u16::try_from(i).map_err(|_| unattributed("the result has too many columns"))?;
                    let grows = match &work {
                        Work::Step(step) => step.grows(),
                        Work::Scan(scanner) if scanner.never_grows() => Grows::Never,
                        Work::Scan(_) | Work::ScanElements(..) => Grows::Unbounded,
                    };
                    let redaction = match treatment {
                        Treatment::Redact(id, _) => Some(id),
                        _ => None,
                    };
                    planned.push(PlannedColumn { index, class, redaction, grows, work });
                }
            }
        }
        Ok(Plan { columns: planned.into(), softened: softened.into() })
    }

    /// What both witnesses say of a column.
    fn agreed(&self, column: &ColumnShape<'_>, expected: Option<&Expected>) -> Result<Treatment, Refusal> {
        if column.table == 0 {
            return match expected {
                Some(expected) if expected.missing => Err(unattributed(
                    "a result column cannot be attributed, and the statement touches protected columns",
                )),
                Some(expected) => Ok(expected.treatment),
                None => Ok(Treatment::Clear),
            };
        }
        let Some(relation) = self.epoch.by_oid(column.table) else {
            let own = column.table < system::FIRST_USER_OID;
            let said = if own { Treatment::Clear } else { self.view.unclassified };
            return match expected {
                None => Ok(said),
                // What this session put there itself.
                Some(e) if e.stranger && !e.missing && e.treatment == Treatment::Clear => Ok(Treatment::Clear),
                Some(e) if own && !e.columns.is_empty() && !e.many && e.treatment != Treatment::Clear => {
                    Err(disagreement(column))
                }
                Some(e) => Ok(stricter(said, e.treatment)),
            };
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
        let said = known.and_then(|c| self.view.treatments.get(relation)?.get(c)).copied();
        let said = said.unwrap_or(self.view.unclassified);
        let Some(expected) = expected else { return Ok(said) };
        let place = known.and_then(|c| Some((u32::try_from(relation).ok()?, u32::try_from(c).ok()?)));
        let foreseen = place.is_some_and(|p| expected.columns.contains(&p)) || expected.missing || expected.stranger;
        if foreseen {
            // An unchanged column has its own rule, whatever else the expression could have been.
            return Ok(said);
        }
        if expected.many && expected.columns.is_empty() {
            return Ok(said);
        }
        if said == Treatment::Clear && expected.treatment == Treatment::Clear {
            return Ok(said);
        }
        Err(disagreement(column))
    }

    fn work(&self, treatment: Treatment, column: &ColumnShape<'_>) -> Result<Option<(Option<ClassId>, Work)>, Refusal> {
        let bundle = self.epoch.bundle();
        match treatment {
            Treatment::Clear => Ok(None),
            Treatment::Mask => Ok(Some((None, Work::Step(Step::Null)))),
            Treatment::Null(class) => Ok(Some((class, Work::Step(Step::Null)))),
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
                let type_oid = self.epoch.read_as(column.type_oid);
                let work = if free_text {
                    let element = element_of(type_oid);
                    match (Scanner::prepare(bundle, class, redaction, element.unwrap_or(type_oid), key), element) {
                        (Some(scanner), None) => Work::Scan(Box::new(scanner)),
                        (Some(scanner), Some(of)) => Work::ScanElements(Box::new(scanner), of),
                        (None, _) => Work::Step(Step::Null),
                    }
                } else {
                    match Step::prepare(redaction, type_oid, key) {
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

fn disagreement(column: &ColumnShape<'_>) -> Refusal {
    Refusal::new(
        code::DISAGREEMENT,
        "default:disagreement",
        format!(
            "the server says that the result column {} comes from another place than the statement does",
            String::from_utf8_lossy(column.name)
        ),
    )
    .hint("try again: the catalog may just have changed")
}

const fn stricter(a: Treatment, b: Treatment) -> Treatment {
    if crate::guard::rank(a) <= crate::guard::rank(b) { a } else { b }
}

/// The expected columns laid over a result: one by one from both ends, and what can be any number of columns between.
struct Expectations<'a> {
    all: &'a [Expected],
    width: usize,
    /// The columns from the first to the last that can be many, as one.
    open: Option<Expected>,
    head: usize,
    tail: usize,
}

impl<'a> Expectations<'a> {
    fn new(expected: Option<&'a [Expected]>, width: usize) -> Result<Self, Refusal> {
        let all = expected.unwrap_or(&[]);
        let Some(head) = all.iter().position(|e| e.many) else {
            if expected.is_some() && all.len() != width {
                return Err(Refusal::new(
                    code::DISAGREEMENT,
                    "default:disagreement",
                    "the server describes another number of columns than the statement has",
                )
                .hint("try again: the catalog may just have changed"));
            }
            return Ok(Self { all, width, open: None, head: all.len(), tail: 0 });
        };
        let tail = all.iter().rev().take_while(|e| !e.many).count();
        let mut open =
            Expected { treatment: Treatment::Clear, columns: Vec::new(), stranger: false, missing: false, many: true };
        for one in all.get(head..all.len() - tail).unwrap_or(&[]) {
            open.treatment = stricter(open.treatment, one.treatment);
            open.columns.extend(&one.columns);
            open.stranger |= one.stranger;
            open.missing |= one.missing;
        }
        Ok(Self { all, width, open: Some(open), head, tail })
    }

    fn of(&self, i: usize) -> Option<std::borrow::Cow<'a, Expected>> {
        use std::borrow::Cow;
        let from_end = self.width.saturating_sub(i);
        match &self.open {
            None => self.all.get(i).map(Cow::Borrowed),
            Some(_) if i < self.head => self.all.get(i).map(Cow::Borrowed),
            Some(_) if from_end <= self.tail => self.all.get(self.all.len() - from_end).map(Cow::Borrowed),
            Some(open) => Some(Cow::Owned(open.clone())),
        }
    }
}

/// `Arc` of the statement whose rows come, for statements that stand for another.
pub(crate) type Source = Option<Arc<Statement>>;
