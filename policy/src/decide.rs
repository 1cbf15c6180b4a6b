//! Decisions: may this text run? Everything is judged statement by statement; one refusal refuses the whole text.
//!
//! Order: what is not understood; the rule file's blocking rules; built-in rules for everybody; then, for roles that do not
//! see everything, what could carry a protected value past its column. Columns are followed by name over the statement's
//! renames: a name counts as protected as soon as any relation that the statement touches has such a column, so an
//! ambiguous name is refused rather than guessed.
//! Words and patterns of blocking rules are looked for in the whole text, literals and comments included: that is what
//! "the text contains" means to the person who writes the rule, and it cannot be dodged by quoting.
//! Deliberately absent: parsing, and memory of what a session did before (the session gives [`Names`]).

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use lineage::facts::FunctionStanding;
use lineage::{ColumnUse, Derivation, Effects, Facts, How, RelationUse, SessionUse, Statement};

use crate::admit::Grant;
use crate::bundle::Needle;
use crate::glob;
use crate::model::{Block, Selector};
use crate::plan::Source;
use crate::refusal::{Refusal, code};
use crate::role::Treatment;
use crate::session_rules;
use crate::system;

/// What SQL-level `PREPARE` and `DECLARE` names of this session stand for; `None` is unknown.
pub trait Names {
    /// The statement that was prepared under this name.
    fn prepared(&self, name: &str) -> Option<Arc<Statement>>;
    /// The statement that declared this cursor.
    fn cursor(&self, name: &str) -> Option<Arc<Statement>>;
}

/// No names at all.
impl Names for () {
    fn prepared(&self, _: &str) -> Option<Arc<Statement>> {
        None
    }
    fn cursor(&self, _: &str) -> Option<Arc<Statement>> {
        None
    }
}

/// The answer about a text.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It may run; one entry per statement.
    Allow(Vec<Allowed>),
    /// None of it may.
    Refuse(Refusal),
}

/// A statement that may run.
#[derive(Clone, Debug)]
pub struct Allowed {
    /// The statement.
    pub statement: Arc<Statement>,
    /// It touches something protected for this grant: errors and notices are made canonical, and its rows need a plan.
    pub guarded: bool,
    /// How a result column without an origin is refused, if it could carry a protected value; [`Grant::plan`] decides
    /// which can.
    pub unattributed: Option<Refusal>,
    /// The statement whose rows come, where `EXECUTE` and `FETCH` stand for another.
    source: Source,
}

impl Allowed {
    pub(crate) fn source(&self) -> &Statement {
        self.source.as_deref().unwrap_or(&self.statement)
    }
}

/// A judgement that does not depend on the text, kept for statements that come again.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Keeps the address of the key alive.
    _statement: Arc<Statement>,
    /// Blocking rules that match but for the text, in order.
    armed: Vec<usize>,
    verdict: Result<Allowed, Refusal>,
}

/// Judgements kept per grant; when full all are dropped.
const MEMO_MAX: usize = 1024;
/// `EXPLAIN EXECUTE` of a prepared `EXECUTE` … is not followed further.
const STANDS_FOR_MAX: usize = 4;

/// Protected names of a statement: what they are treated as.
pub(crate) type Protected = HashMap<String, Vec<Treatment>>;

impl Grant {
    /// Whether `text`, whose facts are `facts`, may run. `names` says what names of this session stand for.
    pub fn decide(&self, text: &str, facts: &Facts, names: &dyn Names) -> Decision {
        let mut allowed = Vec::with_capacity(facts.statements.len());
        for statement in &facts.statements {
            match self.decide_one(text, statement, names) {
                Ok(one) => allowed.push(one),
                Err(refusal) => return Decision::Refuse(refusal),
            }
        }
        Decision::Allow(allowed)
    }

    fn decide_one(&self, text: &str, statement: &Arc<Statement>, names: &dyn Names) -> Result<Allowed, Refusal> {
        let by_name = matches!(statement.session, SessionUse::Execute(_) | SessionUse::Fetch(_));
        let judged = if by_name { Arc::new(self.judge(statement, names)) } else { self.remembered(statement, names) };
        if !judged.armed.is_empty() {
            self.blocked_by_text(text, &judged.armed)?;
        }
        judged.verdict.clone()
    }

    fn remembered(&self, statement: &Arc<Statement>, names: &dyn Names) -> Arc<Judged> {
        let key = Arc::as_ptr(statement).addr();
        let memo = || self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(judged) = memo().get(&key) {
            return Arc::clone(judged);
        }
        let judged = Arc::new(self.judge(statement, names));
        let mut memo = memo();
        if memo.len() >= MEMO_MAX {
            memo.clear();
        }
        memo.insert(key, Arc::clone(&judged));
        judged
    }

    fn judge(&self, statement: &Arc<Statement>, names: &dyn Names) -> Judged {
        let mut armed = Vec::new();
        let verdict = self.verdict(statement, names, &mut armed);
        Judged { _statement: Arc::clone(statement), armed, verdict }
    }

    fn verdict(
        &self,
        statement: &Arc<Statement>,
        names: &dyn Names,
        armed: &mut Vec<usize>,
    ) -> Result<Allowed, Refusal> {
        if statement.effects.contains(Effects::UNKNOWN) {
            return Err(Refusal::new(
                code::UNKNOWN_CONSTRUCT,
                "default:unknown-construct",
                format!("this {} uses something the gateway does not understand", statement.kind),
            )
            .hint("write it with ordinary SQL constructs")
            .at(statement.span.start));
        }
        self.blocks(statement, armed)?;
        if let Some(rules) = self.rules() {
            session_rules::check(rules, statement)?;
        }
        let source = self.source(statement, names, 0)?;
        if self.view.everything {
            return Ok(Allowed { statement: Arc::clone(statement), guarded: false, unattributed: None, source });
        }
        let mut guarded = self.guard(statement)?;
        if let Some(inner) = &source {
            // Judged when it was prepared, but perhaps under other rules.
            guarded |= self.guard(inner)?;
        }
        let rows = source.as_deref().unwrap_or(statement);
        let unattributed = if guarded { self.unattributed(rows) } else { None };
        Ok(Allowed { statement: Arc::clone(statement), guarded, unattributed, source })
    }

    /// The statement that `EXECUTE` or `FETCH` stands for.
    fn source(&self, statement: &Statement, names: &dyn Names, depth: usize) -> Result<Source, Refusal> {
        let (found, what, name) = match &statement.session {
            SessionUse::Execute(name) => (names.prepared(name), "prepared statement", name),
            SessionUse::Fetch(name) => (names.cursor(name), "cursor", name),
            _ => return Ok(None),
        };
        let unknown = || {
            Refusal::new(
                code::UNKNOWN_NAME,
                "default:unknown-name",
                format!("the gateway has not seen the {what} {name:?} being made in this session"),
            )
            .hint("prepare or declare it in this session first")
            .at(statement.span.start)
        };
        match found {
            Some(inner) if matches!(inner.session, SessionUse::Execute(_) | SessionUse::Fetch(_)) => {
                if depth >= STANDS_FOR_MAX { Err(unknown()) } else { self.source(&inner, names, depth + 1) }
            }
            Some(inner) => Ok(Some(inner)),
            None if self.view.everything => Ok(None),
            None => Err(unknown()),
        }
    }

    // ---- blocking rules of the rule file ----

    /// Refuses by a rule without conditions on the text; rules with some are armed.
    fn blocks(&self, statement: &Statement, armed: &mut Vec<usize>) -> Result<(), Refusal> {
        let model = self.epoch.bundle().model();
        for (i, block) in model.blocks.iter().enumerate() {
            let named = |list: &[String]| list.iter().any(|r| r == "*" || r == self.role());
            let role = (block.roles.is_empty() || named(&block.roles)) && !named(&block.except);
            let effects = block.effects == 0 || statement.effects.intersects(Effects(block.effects));
            let objects =
                block.objects.is_empty() || statement.relations.iter().any(|r| self.is_object(&block.objects, r));
            if !(role && effects && objects) {
                continue;
            }
            if block.words.is_empty() && block.patterns.is_empty() {
                return Err(refuse_block(block).at(statement.span.start));
            }
            armed.push(i);
        }
        Ok(())
    }

    fn is_object(&self, objects: &[Selector], used: &RelationUse) -> bool {
        let target = self.epoch.bundle().model().targets.get(self.epoch.target()).map_or("", |t| t.name.as_str());
        objects.iter().any(|s| {
            let schema = |schema: &str| glob::matches(&s.schema, schema);
            let in_schema = match &used.schema {
                Some(written) => schema(written),
                // Without a schema it may be the one of any schema; of a relation nobody knows, of the pattern's own.
                None => {
                    let mut known = self.epoch.candidates(used).filter_map(|r| self.epoch.relations.get(r)).peekable();
                    known.peek().is_none() || known.any(|r| schema(&r.schema))
                }
            };
            glob::matches(&s.target, target) && glob::matches(&s.relation, &used.name) && in_schema
        })
    }

    /// Words and patterns of the armed rules.
    fn blocked_by_text(&self, text: &str, armed: &[usize]) -> Result<(), Refusal> {
        let bundle = self.epoch.bundle();
        let blocks = &bundle.model().blocks;
        let mut first: Option<usize> = None;
        let mut tried: Vec<(usize, usize)> = Vec::new();
        let mut keep = |block: usize| first = Some(first.map_or(block, |f: usize| f.min(block)));
        let hay = text.as_bytes();
        bundle.statements.for_each(hay, |needle, end| {
            let start = end.saturating_sub(bundle.statements.lengths().get(needle).map_or(0, |n| *n as usize));
            match bundle.needles.get(needle) {
                Some(Needle::Word { block }) if armed.contains(block) && scan::whole_word(hay, start, end) => {
                    keep(*block);
                }
                // A literal may occur often; its expression is tried once.
                Some(Needle::Literal { block, pattern })
                    if armed.contains(block) && !tried.contains(&(*block, *pattern)) =>
                {
                    tried.push((*block, *pattern));
                    let expression = bundle.patterns.get(*block).and_then(|p| p.get(*pattern));
                    if expression.is_none_or(|e| e.is_match(hay)) {
                        keep(*block);
                    }
                }
                Some(_) | None => {}
            }
            ControlFlow::Continue(())
        });
        match first.and_then(|b| blocks.get(b)) {
            Some(block) => Err(refuse_block(block)),
            None => Ok(()),
        }
    }

    // ---- protected columns ----

    /// Whether the statement touches anything protected; refused if it could carry it away.
    fn guard(&self, statement: &Statement) -> Result<bool, Refusal> {
        self.code(statement)?;
        let unclear = self.view.unclassified != Treatment::Clear;
        let mut guarded = false;
        let mut strangers = false;
        for used in &statement.relations {
            if (system::is_system(used) || self.epoch.candidates(used).next().is_none()) && system::leaks(used) {
                return Err(Refusal::new(
                    code::SYSTEM_RELATION,
                    "default:system-relation",
                    format!("{} shows values and statements of others", used.name),
                )
                .hint("other system relations can be read")
                .at(used.span.start));
            }
            let mut known = self.epoch.candidates(used).peekable();
            strangers |= known.peek().is_none() && !system::is_system(used) && used.read;
            guarded |= known.any(|r| self.view.guarded.get(r).copied().unwrap_or(true));
        }
        if strangers && self.view.unclassified == Treatment::Refuse(None) {
            return Err(Refusal::new(
                code::UNCLASSIFIED,
                "default:unclassified",
                "the statement reads a relation that the catalog does not know",
            )
            .hint("the catalog is refreshed from time to time; a new relation needs classified columns first"));
        }
        let unknown = strangers && unclear;
        if !(guarded || unknown) {
            return Ok(false);
        }
        let effects = statement.effects;
        if guarded && effects.intersects(Effects::COPY_OUT) {
            return Err(self
                .about(statement, code::COPY_OUT, "default:copy-out", "COPY TO of a relation with protected columns")
                .hint("SELECT the rows instead: they are returned masked"));
        }
        if guarded && effects.intersects(Effects::CREATE_VIEW.with(Effects::ALTER)) {
            return Err(self
                .about(
                    statement,
                    code::DEFINITION,
                    "default:definition",
                    format!("{} of or over a relation with protected columns", statement.kind),
                )
                .hint("ask somebody who sees its columns in the clear"));
        }
        let names = self.protected_names(statement);
        for used in &statement.uses {
            self.check_use(statement, used, &names, unknown)?;
        }
        for output in &statement.outputs {
            self.check_output(output, &names)?;
        }
        Ok(true)
    }

    /// Code that cannot be looked into.
    fn code(&self, statement: &Statement) -> Result<(), Refusal> {
        let opaque = [(Effects::DO, "DO blocks"), (Effects::CALL, "CALL"), (Effects::CREATE_CODE, "creating code")];
        for (effect, what) in opaque {
            if statement.effects.intersects(effect) {
                return Err(self
                    .about(
                        statement,
                        code::CODE,
                        "default:code",
                        format!("{what}: the gateway cannot see what the code reads"),
                    )
                    .hint("write the statement itself"));
            }
        }
        for function in &statement.functions {
            let trusted = || {
                self.rules().is_some_and(|r| {
                    r.trusted_functions.iter().any(|g| match &function.schema {
                        Some(schema) => glob::matches(g, &format!("{schema}.{}", function.name)),
                        // Which schema an unqualified name means is the server's to say; creating one there is refused.
                        None => glob::matches(g.rsplit('.').next().unwrap_or(g), &function.name),
                    })
                })
            };
            let what = match function.standing {
                FunctionStanding::Known => continue,
                FunctionStanding::Unknown if trusted() => continue,
                FunctionStanding::Unknown => "is not one that the gateway knows",
                FunctionStanding::Dangerous => "reaches beyond the statement",
            };
            return Err(Refusal::new(code::CODE, "default:function", format!("the function {} {what}", function.name))
                .hint("a rule file can list it under the role's trusted functions, unless it is a dangerous built-in")
                .at(function.span.start));
        }
        Ok(())
    }

    fn about(&self, statement: &Statement, code: &'static str, rule: &str, message: impl Into<String>) -> Refusal {
        Refusal::new(code, rule, message).at(statement.span.start)
    }

    /// Names under which a protected column can appear anywhere in the statement.
    pub(crate) fn protected_names(&self, statement: &Statement) -> Protected {
        let mut names: Protected = HashMap::new();
        let mut all: Vec<Treatment> = Vec::new();
        for used in &statement.relations {
            for r in self.epoch.candidates(used) {
                let (Some(relation), Some(treatments)) = (self.epoch.relations.get(r), self.view.treatments.get(r))
                else {
                    continue;
                };
                for (column, treatment) in relation.columns.iter().zip(treatments) {
                    if *treatment != Treatment::Clear {
                        merge(names.entry(column.name.clone()).or_default(), &[*treatment]);
                        merge(&mut all, &[*treatment]);
                    }
                }
            }
        }
        if all.is_empty() {
            return names;
        }
        // Renames are few; the closure is reached after as many rounds as there are at most.
        for _ in 0..=statement.renames.len() {
            let mut grown = false;
            for (from, to) in &statement.renames {
                let carried = match from {
                    Some(from) => names.get(from).cloned(),
                    None => Some(all.clone()),
                };
                if let Some(carried) = carried {
                    grown |= merge(names.entry(to.clone()).or_default(), &carried);
                }
            }
            if !grown {
                break;
            }
        }
        names
    }

    fn check_use(
        &self,
        statement: &Statement,
        used: &ColumnUse,
        names: &Protected,
        strangers: bool,
    ) -> Result<(), Refusal> {
        let (code, how) = match used.how {
            How::Expression => (code::EXPRESSION, "used in an expression"),
            How::Shaping => (code::SHAPING, "used to choose, group or order rows"),
            How::Copied => (code::COPIED, "copied into an object"),
        };
        let Some(column) = &used.column else {
            if names.is_empty() && !strangers {
                return Ok(());
            }
            return Err(Refusal::new(
                code::WHOLE_ROW,
                "default:whole-row",
                format!("every column of a relation with protected columns is {how}"),
            )
            .hint("name the columns that are needed")
            .at(used.span.start));
        };
        if let Some(treatment) = names.get(column).and_then(|t| t.first()) {
            let hint = match used.how {
                How::Copied => "protected columns cannot be copied; select the column by itself: it is returned masked",
                How::Shaping => {
                    "choose, group and order by other columns; select this one by itself: it is returned masked"
                }
                How::Expression => "select the column by itself: it is returned masked",
            };
            let (code, hint) = match treatment {
                Treatment::Derived(_) => (code::DERIVED, "select its other columns"),
                Treatment::Refuse(_) => (code, "leave the column out"),
                Treatment::Mask | Treatment::Redact(..) | Treatment::Clear => (code, hint),
            };
            return Err(Refusal::new(code, self.reason(*treatment), format!("the protected column {column} is {how}"))
                .hint(hint)
                .at(used.span.start));
        }
        let known = || {
            let of = |r: &RelationUse| {
                self.epoch
                    .candidates(r)
                    .any(|i| self.epoch.relations.get(i).is_some_and(|r| r.columns.iter().any(|c| c.name == *column)))
            };
            statement.relations.iter().any(of)
        };
        if strangers && !known() {
            return Err(Refusal::new(
                code::UNCLASSIFIED,
                "default:unclassified",
                format!("the column {column} of a relation that the catalog does not know is {how}"),
            )
            .hint("select the column by itself")
            .at(used.span.start));
        }
        Ok(())
    }

    fn check_output(&self, output: &lineage::Output, names: &Protected) -> Result<(), Refusal> {
        let refused = |name: &str, treatments: &[Treatment]| {
            treatments.iter().find_map(|t| match t {
                Treatment::Refuse(s) => Some(self.refuse_output(*s, false, name, Some(output.span.start))),
                Treatment::Derived(s) => Some(self.refuse_output(*s, true, name, Some(output.span.start))),
                Treatment::Clear | Treatment::Redact(..) | Treatment::Mask => None,
            })
        };
        let refusal = match &output.derivation {
            Derivation::Expression => None,
            Derivation::Direct { column, .. } => names.get(column).and_then(|t| refused(column, t)),
            Derivation::Star { .. } => {
                let mut sorted: Vec<_> = names.iter().collect();
                sorted.sort_by_key(|(name, _)| name.as_str());
                sorted.into_iter().find_map(|(name, t)| refused(name, t))
            }
        };
        refusal.map_or(Ok(()), Err)
    }

    /// Refusal of a column that may not be returned at all.
    pub(crate) fn refuse_output(
        &self,
        source: crate::epoch::Source,
        derived: bool,
        name: &str,
        at: Option<u32>,
    ) -> Refusal {
        let treatment = if derived { Treatment::Derived(source) } else { Treatment::Refuse(source) };
        let rule = self.reason(treatment);
        let (code, message) = match (derived, source) {
            (true, _) => (code::DERIVED, format!("the column {name} of a view is computed from protected columns")),
            (false, Some(_)) => (code::REFUSED_CLASS, format!("the column {name} is not shown to your role")),
            (false, None) => (code::UNCLASSIFIED, format!("the column {name} has not been classified")),
        };
        let mut refusal =
            Refusal::new(code, rule, message).hint("leave the column out; name the columns instead of `*`");
        refusal.position = at;
        refusal
    }

    /// The rule behind a treatment: the class, or the default for what is unclassified.
    fn reason(&self, treatment: Treatment) -> String {
        let class = match treatment {
            Treatment::Redact(_, class) => Some(class),
            Treatment::Refuse(source) | Treatment::Derived(source) => source,
            Treatment::Clear | Treatment::Mask => None,
        };
        let name = class.and_then(|c| self.epoch.bundle().model().classes.get(usize::from(c))).map(|c| c.name.as_str());
        name.map_or_else(|| "default:unclassified".to_owned(), |n| format!("class:{n}"))
    }

    /// The refusal for columns without an origin, if any of the outputs could carry a protected value.
    fn unattributed(&self, statement: &Statement) -> Option<Refusal> {
        let names = self.protected_names(statement);
        let carries = statement.outputs.iter().any(|o| match &o.derivation {
            Derivation::Expression => false,
            Derivation::Direct { column, .. } => names.contains_key(column),
            Derivation::Star { .. } => !names.is_empty(),
        });
        let silent = statement.outputs.is_empty() && !names.is_empty();
        (carries || silent).then(|| {
            Refusal::new(
                code::UNATTRIBUTED,
                "default:unattributed",
                "a result column cannot be attributed, and the statement touches protected columns",
            )
            .hint("select columns of tables directly, without a view or set operation around them")
        })
    }
}

/// Adds what is new, most restrictive first; whether there was anything.
fn merge(into: &mut Vec<Treatment>, more: &[Treatment]) -> bool {
    let before = into.len();
    for t in more {
        if !into.contains(t) {
            into.push(*t);
        }
    }
    into.sort_by_key(|t| match t {
        Treatment::Derived(_) => 0,
        Treatment::Refuse(_) => 1,
        Treatment::Redact(..) => 2,
        Treatment::Mask => 3,
        Treatment::Clear => 4,
    });
    into.len() > before
}

fn refuse_block(block: &Block) -> Refusal {
    let message = block.message.clone().unwrap_or_else(|| format!("blocked by the rule {}", block.name));
    Refusal { hint: block.hint.clone(), ..Refusal::new(code::BLOCKED, block.name.clone(), message) }
}
