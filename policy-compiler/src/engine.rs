//! The runtime, asked offline: what it would do with a statement of somebody on a target.
//!
//! Decisions and lineage are the runtime's own, on the snapshot's catalog; only the server's row description, the second
//! witness, is missing. Keys of tokens are stand-ins, which is enough since no value is ever redacted here.

use std::sync::{Arc, Mutex, PoisonError};

use policy::model::Redaction;
use policy::{Allowed, Bundle, Decision, Epoch, Fate, Grant, Identity, Keys, Model, Origin, PlannedOutput, Refusal};

use crate::build::Who;
use crate::resolve::Catalogs;

/// The grammar redirects the process's standard error while it runs: one statement at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// The runtime with rules and catalogs in place.
#[derive(Debug)]
pub struct Engine {
    epochs: Vec<Arc<Epoch>>,
    bundle: Arc<Bundle>,
}

/// What the runtime would do.
#[derive(Clone, Debug)]
pub struct Judgement {
    /// Role, if admitted.
    pub role: Option<usize>,
    /// What comes out.
    pub verdict: Verdict,
    /// Rules that hold it first, in order: indices into the model's.
    pub held: Vec<usize>,
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
    /// What the columns of the last statement would have been, where it could be followed.
    pub columns: Vec<OutputColumn>,
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
    /// What it would be refused for if the role's mode were `enforce`.
    pub softened: Vec<Refusal>,
    /// Output columns.
    pub columns: Vec<OutputColumn>,
    /// Every column is known; otherwise some stand for columns of relations that the catalog does not know.
    pub certain: bool,
}

/// One output column.
#[derive(Clone, Debug, PartialEq)]
pub struct OutputColumn {
    /// Output name.
    pub name: String,
    /// Columns it is made of; none for constants.
    pub origins: Vec<Origin>,
    /// How it is made of them.
    pub derivation: lineage::resolve::Derivation,
    /// Something the catalog does not know is among its sources.
    pub unknown: bool,
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
        Ok(Self { epochs, bundle })
    }

    /// A holding rule.
    #[must_use]
    pub fn hold(&self, index: usize) -> Option<&policy::model::Hold> {
        self.bundle.model().holds.get(index)
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
                let identity = Identity {
                    issuer: "local".to_owned(),
                    subject: "somebody".to_owned(),
                    groups: groups.clone(),
                    ..Identity::default()
                };
                policy::admit(epoch, &identity)
            }
        }
    }

    /// What the runtime would do with `text`.
    #[must_use]
    pub fn judge(&self, target: usize, who: &Who, text: &str) -> Judgement {
        let _one = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
        let refused = |role, stage, refusal| Judgement {
            role,
            verdict: Verdict::Refused(Refused { stage, refusal, columns: Vec::new() }),
            held: Vec::new(),
        };
        let grant = match self.admit(target, who) {
            // Rules are tested and explained as they are meant; the mode is said beside it.
            Ok(grant) => grant.as_if_enforced(),
            Err(refusal) => return refused(None, Stage::Login, refusal),
        };
        let role = self.bundle.model().roles.iter().position(|r| r.name == grant.role());
        let facts = match lineage::analyse(text) {
            Ok(facts) => facts,
            Err(e) => return refused(role, Stage::Grammar, Refusal::not_understood(&e)),
        };
        let (allowed, held) = match grant.decide(text, &facts, &()) {
            Decision::Allow(allowed) => (allowed, Vec::new()),
            Decision::Hold(allowed, held) => (allowed, held),
            Decision::Refuse(refusal) => {
                let columns = facts.statements.last().map(|s| grant.plan_columns(s)).unwrap_or_default();
                let columns = columns.into_iter().map(|p| self.column(&grant, p)).collect();
                return Judgement {
                    role,
                    verdict: Verdict::Refused(Refused { stage: Stage::Decision, refusal, columns }),
                    held: Vec::new(),
                };
            }
        };
        let outcomes = allowed.iter().map(|one| self.outcome(&grant, one)).collect();
        Judgement { role, verdict: Verdict::Allowed(outcomes), held }
    }

    fn outcome(&self, grant: &Grant, allowed: &Allowed) -> Outcome {
        let statement = &allowed.statement;
        let planned = grant.plan_columns(allowed.source());
        let certain = planned.iter().all(|p| !p.many);
        let name =
            |r: &lineage::RelationUse| r.schema.as_ref().map_or_else(|| r.name.clone(), |s| format!("{s}.{}", r.name));
        Outcome {
            kind: statement.kind,
            effects: statement.effects.names().collect(),
            relations: statement.relations.iter().map(name).collect(),
            guarded: allowed.guarded,
            softened: allowed.softened.clone(),
            columns: planned.into_iter().map(|p| self.column(grant, p)).collect(),
            certain,
        }
    }

    fn column(&self, grant: &Grant, planned: PlannedOutput) -> OutputColumn {
        let model = self.bundle.model();
        let direct = planned.derivation <= lineage::resolve::Derivation::Merged;
        let free_text = |c: u16| model.classes.get(usize::from(c)).is_some_and(|c| !c.detectors.is_empty());
        let redaction = match &planned.fate {
            Fate::Clear => Redaction::Clear,
            Fate::Refused => Redaction::Refuse,
            Fate::Masked | Fate::Redacted(_) => grant.redaction(&planned.fate).cloned().unwrap_or(Redaction::Null),
        };
        let binding = planned.origins.iter().find_map(|o| o.binding).and_then(|b| usize::try_from(b).ok());
        OutputColumn {
            name: planned.output,
            derivation: planned.derivation,
            unknown: planned.unknown,
            class: planned.class.map(usize::from),
            scanned: direct && matches!(planned.fate, Fate::Redacted(_)) && planned.class.is_some_and(free_text),
            changed: planned.fate != Fate::Clear,
            redaction,
            binding,
            origins: planned.origins,
        }
    }
}
