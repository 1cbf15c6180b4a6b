//! The runtime, asked offline: what it would do with a statement of somebody on a target.
//!
//! Decisions and plans are the runtime's own, on the snapshot's catalog. Only the server's row description is missing and
//! is predicted (see `shape`). Keys of tokens are stand-ins, which is enough since no value is ever redacted here.

use std::sync::{Arc, Mutex, PoisonError};

use policy::model::{Redaction, Unclassified};
use policy::{
    Allowed, Bundle, ColumnShape, Decision, Epoch, Fate, Grant, Identity, Keys, Model, Names, PlannedOutput, Refusal,
};

use crate::build::Who;
use crate::resolve::Catalogs;
use crate::shape::{self, Shape};

/// The grammar redirects the process's standard error while it runs: one statement at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The runtime with rules and catalogs in place.
#[derive(Debug)]
pub struct Engine {
    epochs: Vec<Arc<Epoch>>,
    bundle: Arc<Bundle>,
    catalogs: Catalogs,
}

/// What the runtime would do.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Role, if admitted.
    pub role: Option<usize>,
    /// What comes out.
    pub verdict: Verdict,
}

/// Allowed or refused.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// Every statement of the text runs.
    Allowed(Vec<Outcome>),
    /// Nothing runs.
    Refused(Refused),
}

/// A refusal, and where on the way it happened.
#[derive(Clone, Debug)]
pub struct Refused {
    /// When.
    pub stage: Stage,
    /// The runtime's refusal.
    pub refusal: Refusal,
}

/// Where on the way a statement is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// The identity has no role on the target.
    Login,
    /// The text is not understood.
    Grammar,
    /// Before it is forwarded.
    Decision,
    /// When the server described the result, before any row.
    Plan,
}

/// One allowed statement.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Leading keywords.
    pub kind: &'static str,
    /// What it does.
    pub effects: Vec<&'static str>,
    /// Relations it touches.
    pub relations: Vec<String>,
    /// Something protected is touched, so errors are made canonical.
    pub guarded: bool,
    /// Output columns.
    pub columns: Vec<OutputColumn>,
    /// The columns are those the server will describe; otherwise they are judged by their names alone, and a name that
    /// several relations have is taken for the most protected.
    pub certain: bool,
}

/// One output column.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Output name.
    pub name: String,
    /// Schema, relation, column it comes from; `None` for an expression.
    pub source: Option<(String, String, String)>,
    /// Class.
    pub class: Option<usize>,
    /// What becomes of it.
    pub redaction: Redaction,
    /// Only hits inside are redacted.
    pub scanned: bool,
    /// The runtime changes it.
    pub changed: bool,
    /// Binding that gave it its class.
    pub binding: Option<usize>,
}

impl Engine {
    /// Puts rules and catalogs in place. A target without a catalog has an empty one: everything there is unknown.
    ///
    /// # Errors
    /// What the runtime cannot hold.
    pub fn new(model: &Model, catalogs: &Catalogs) -> Result<Self, String> {
        let bytes = Bundle::encode(model).map_err(|e| e.to_string())?;
        let bundle = Arc::new(Bundle::load(&bytes).map_err(|e| e.to_string())?);
        let mut keys = Keys::new();
        for redaction in &model.redactions {
            if let Redaction::Token { key, .. } = redaction {
                keys.insert(key.as_str(), b"a stand-in; explanations never redact values".to_vec());
            }
        }
        let empty = lineage::Catalog::default();
        let epochs = (0..model.targets.len())
            .map(|t| Arc::new(Epoch::resolve(Arc::clone(&bundle), t, catalogs.of(t).unwrap_or(&empty), &keys)))
            .collect();
        Ok(Self { epochs, bundle, catalogs: catalogs.clone() })
    }

    fn admit(&self, target: usize, who: &Who) -> Result<Grant, Refusal> {
        // A target that is not there is refused by the runtime like any other that nobody may use.
        let empty;
        let epoch = match self.epochs.get(target) {
            Some(epoch) => epoch,
            None => {
                empty = Arc::new(Epoch::resolve(
                    Arc::clone(&self.bundle),
                    target,
                    &lineage::Catalog::default(),
                    &Keys::new(),
                ));
                &empty
            }
        };
        match who {
            Who::Role(role) => {
                policy::preview(epoch, self.bundle.model().roles.get(*role).map_or("", |r| r.name.as_str()))
            }
            Who::Groups(groups) => {
                let identity =
                    Identity { issuer: "local".to_owned(), subject: "somebody".to_owned(), groups: groups.clone() };
                policy::admit(epoch, &identity)
            }
        }
    }

    /// What the runtime would do with `text`.
    #[must_use]
    pub fn judge(&self, target: usize, who: &Who, text: &str) -> Judgement {
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = |role, stage, refusal| Judgement { role, verdict: Verdict::Refused(Refused { stage, refusal }) };
        let grant = match self.admit(target, who) {
            Ok(grant) => grant,
            Err(refusal) => return refused(None, Stage::Login, refusal),
        };
        let role = self.bundle.model().roles.iter().position(|r| r.name == grant.role());
        let facts = match lineage::analyse(text) {
            Ok(facts) => facts,
            Err(e) => return refused(role, Stage::Grammar, Refusal::not_understood(&e)),
        };
        let allowed = match grant.decide(text, &facts, &NoNames) {
            Decision::Allow(allowed) => allowed,
            Decision::Refuse(refusal) => return refused(role, Stage::Decision, refusal),
        };
        let mut shapes = self.catalogs.of(target).map(|c| shape::predict(text, c)).unwrap_or_default();
        shapes.resize(allowed.len(), None);
        let mut outcomes = Vec::new();
        for (one, shape) in allowed.iter().zip(shapes) {
            match self.outcome(&grant, role, target, one, shape) {
                Ok(outcome) => outcomes.push(outcome),
                Err(refusal) => return refused(role, Stage::Plan, refusal),
            }
        }
        Judgement { role, verdict: Verdict::Allowed(outcomes) }
    }

    fn outcome(
        &self,
        grant: &Grant,
        role: Option<usize>,
        target: usize,
        allowed: &Allowed,
        shapes: Option<Vec<Shape>>,
    ) -> Result<Outcome, Refusal> {
        let statement = &allowed.statement;
        let described = shapes.map(|shapes| with_names(shapes, statement));
        let certain = described.is_some() || statement.outputs.is_empty();
        let columns = match described {
            Some(shapes) => self.plan(grant, role, target, allowed, &shapes)?,
            None => self.by_names(grant, statement),
        };
        let name =
            |r: &lineage::RelationUse| r.schema.as_ref().map_or_else(|| r.name.clone(), |s| format!("{s}.{}", r.name));
        Ok(Outcome {
            kind: statement.kind,
            effects: statement.effects.names().collect(),
            relations: statement.relations.iter().map(name).collect(),
            guarded: allowed.guarded,
            columns,
            certain,
        })
    }

    fn plan(
        &self,
        grant: &Grant,
        role: Option<usize>,
        target: usize,
        allowed: &Allowed,
        shapes: &[Shape],
    ) -> Result<Vec<OutputColumn>, Refusal> {
        let described: Vec<ColumnShape<'_>> = shapes
            .iter()
            .map(|s| ColumnShape {
                name: s.name.as_deref().unwrap_or("?column?").as_bytes(),
                table: s.table,
                attribute: s.attribute,
                type_oid: s.type_oid,
            })
            .collect();
        let plan = grant.plan(allowed, &described)?;
        let model = self.bundle.model();
        let mut columns: Vec<OutputColumn> = shapes
            .iter()
            .map(|s| OutputColumn {
                name: s.name.clone().unwrap_or_else(|| "?column?".to_owned()),
                source: s.source.clone(),
                class: None,
                redaction: Redaction::Clear,
                scanned: false,
                changed: false,
                binding: s.source.as_ref().and_then(|source| self.binding(target, source)),
            })
            .collect();
        for planned in plan.columns() {
            let Some(column) = columns.get_mut(usize::from(planned.index)) else { continue };
            column.changed = true;
            column.class = planned.class.map(usize::from);
            let of_role = role.and_then(|r| model.roles.get(r));
            column.redaction = match (planned.class, of_role) {
                (Some(class), Some(role)) => {
                    column.scanned = model.classes.get(usize::from(class)).is_some_and(|c| !c.detectors.is_empty());
                    let id = role.treatment.get(usize::from(class));
                    id.and_then(|id| model.redactions.get(usize::from(*id))).cloned().unwrap_or(Redaction::Null)
                }
                (None, Some(role)) if role.unclassified == Unclassified::Refuse => Redaction::Refuse,
                _ => Redaction::Null,
            };
        }
        for column in columns.iter_mut().filter(|c| c.class.is_none()) {
            column.class = column.binding.and_then(|b| model.bindings.get(b)).and_then(|b| b.class).map(usize::from);
        }
        Ok(columns)
    }

    /// The runtime's answer from names alone.
    fn by_names(&self, grant: &Grant, statement: &lineage::Statement) -> Vec<OutputColumn> {
        let model = self.bundle.model();
        let column = |o: PlannedOutput| {
            let scanned =
                o.class.and_then(|c| model.classes.get(usize::from(c))).is_some_and(|c| !c.detectors.is_empty());
            let redaction = match &o.fate {
                Fate::Clear => Redaction::Clear,
                Fate::Refused => Redaction::Refuse,
                Fate::Masked | Fate::Redacted(_) => grant.redaction(&o.fate).cloned().unwrap_or(Redaction::Null),
            };
            let binding = o.binding.and_then(|b| usize::try_from(b).ok());
            let source = binding.or_else(|| o.class.map(usize::from)).and(o.column.as_deref()).and_then(three);
            OutputColumn {
                name: o.output,
                source,
                class: o.class.map(usize::from),
                redaction,
                scanned,
                changed: o.fate != Fate::Clear,
                binding,
            }
        };
        grant.plan_columns(statement).into_iter().map(column).collect()
    }

    fn binding(&self, target: usize, (schema, relation, column): &(String, String, String)) -> Option<usize> {
        let model = self.bundle.model();
        let found = model.columns.iter().find(|c| {
            usize::from(c.target) == target && c.schema == *schema && c.relation == *relation && c.column == *column
        })?;
        found.binding.and_then(|b| usize::try_from(b).ok())
    }
}

fn three(full: &str) -> Option<(String, String, String)> {
    let mut parts = full.splitn(3, '.').map(ToOwned::to_owned);
    Some((parts.next()?, parts.next()?, parts.next()?))
}

/// Output names that the text decides, from the facts, where the prediction has none.
fn with_names(mut shapes: Vec<Shape>, statement: &lineage::Statement) -> Vec<Shape> {
    if shapes.len() == statement.outputs.len() {
        for (shape, output) in shapes.iter_mut().zip(&statement.outputs) {
            if shape.name.is_none() {
                shape.name.clone_from(&output.name);
            }
        }
    }
    shapes
}

/// A text alone has no prepared statements and no cursors.
struct NoNames;

impl Names for NoNames {
    fn prepared(&self, _name: &str) -> Option<Arc<lineage::Statement>> {
        None
    }
    fn cursor(&self, _name: &str) -> Option<Arc<lineage::Statement>> {
        None
    }
}
