//! Decisions: may this text run? Everything is judged statement by statement; one refusal refuses the whole text.
//!
//! Order: what is not understood; the rule file's blocking rules; built-in rules for everybody; then, for roles that do not
//! see everything, what could carry a protected value past its column (see `guard`); then, for what nothing refuses, the
//! rule file's holding rules.
//! Words and patterns of blocking rules are looked for in the whole text, literals and comments included: that is what
//! "the text contains" means to the person who writes the rule, and it cannot be dodged by quoting.
//! Deliberately absent: parsing, and memory of what a session did before (the session gives [`Names`]).

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use lineage::{Effects, Facts, RelationUse, SessionUse, Statement};

use crate::about::About;
use crate::admit::Grant;
use crate::bundle::Needle;
use crate::glob;
use crate::guard::Expected;
use crate::model::{Block, ClassId, Mode, Selector};
use crate::plan::Source;
use crate::reach::SPREADING;
use crate::refusal::{Refusal, code};
use crate::session_rules;

/// What SQL-level `PREPARE` and `DECLARE` names of this session stand for; `None` is unknown.
pub trait Names {
    /// The statement that was prepared under this name.
    fn prepared(&self, name: &str) -> Option<Arc<Statement>>;
    /// The statement that declared this cursor.
    fn cursor(&self, name: &str) -> Option<Arc<Statement>>;
    /// The text that gave a name to this statement, which [`Names::prepared`] or [`Names::cursor`] told of.
    fn made_by(&self, statement: &Arc<Statement>) -> MadeBy;
    /// This session has made a temporary relation of this name; what is in it came through the gateway.
    fn temporary(&self, name: &str) -> bool;
    /// The session still has the search path that its account is given at login. When this changes, what was decided
    /// before is decided again ([`Grant::forget`]).
    fn by_path(&self) -> bool;
}

/// The text of a statement that a name stands for: rules that look at texts can be newer than it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MadeBy {
    /// It is in the text that is judged.
    ThisText,
    /// An earlier one.
    Text(Arc<str>),
    /// It is not kept.
    Forgotten,
}

/// No names at all.
impl Names for () {
    fn prepared(&self, _: &str) -> Option<Arc<Statement>> {
        None
    }
    fn cursor(&self, _: &str) -> Option<Arc<Statement>> {
        None
    }
    fn made_by(&self, _: &Arc<Statement>) -> MadeBy {
        MadeBy::Forgotten
    }
    fn temporary(&self, _: &str) -> bool {
        false
    }
    fn by_path(&self) -> bool {
        true
    }
}

/// The answer about a text.
#[derive(Clone, Debug)]
pub enum Decision {
    /// It may run; one entry per statement.
    Allow(Vec<Allowed>),
    /// It may run once people said so; what [`Decision::Allow`] would have, and the rules that hold it: indices into
    /// [`Model::holds`](crate::Model::holds), in order, each once.
    Hold(Vec<Allowed>, Vec<usize>),
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
    /// What every column of its result has to be, where something protected is touched.
    pub(crate) expected: Option<Arc<[Expected]>>,
    /// Comparisons of protected columns with constants that a rule allows: the class and how many.
    pub comparisons: Vec<(ClassId, u32)>,
    /// What it would be refused for if the role's mode were `enforce`.
    pub softened: Vec<Refusal>,
    /// What its record says.
    pub about: Arc<About>,
    /// The statement whose rows come, where `EXECUTE` and `FETCH` stand for another.
    source: Source,
}

impl Allowed {
    /// The statement whose rows come.
    #[must_use]
    pub fn source(&self) -> &Statement {
        self.source.as_deref().unwrap_or(&self.statement)
    }
}

/// A judgement that does not depend on the text, kept for statements that come again.
#[derive(Debug)]
pub(crate) struct Judged {
    /// Keeps the address of the key alive.
    _statement: Arc<Statement>,
    /// Rules that match but for the text, in order of [`Model::conditions`](crate::Model::conditions).
    armed: Vec<usize>,
    /// Holding rules that match whatever the text is.
    holds: Vec<usize>,
    verdict: Result<Allowed, Refusal>,
    /// It holds whatever the session has made.
    lasting: bool,
}

/// What can be done to the rows of a view.
const WRITES: Effects = Effects::INSERT
    .with(Effects::UPDATE)
    .with(Effects::UPDATE_ALL)
    .with(Effects::DELETE)
    .with(Effects::DELETE_ALL)
    .with(Effects::MERGE);

/// The rule is about writing to objects, and this makes a view or a rule, which are ways to do that by another name.
fn is_way(rule: &Block, statement: &Statement) -> bool {
    statement.writable && !rule.objects.is_empty() && Effects(rule.effects).intersects(WRITES)
}

/// Judgements kept per grant; when full all are dropped.
const MEMO_MAX: usize = 1024;
/// Places of a text that are shown to who votes.
const MARKS_MAX: usize = 64;
/// `EXPLAIN EXECUTE` of a prepared `EXECUTE` … is not followed further.
const STANDS_FOR_MAX: usize = 4;

impl Grant {
    /// Whether `text`, whose facts are `facts`, may run. `names` says what names of this session stand for.
    pub fn decide(&self, text: &str, facts: &Facts, names: &dyn Names) -> Decision {
        let mut allowed = Vec::with_capacity(facts.statements.len());
        let mut held: Vec<usize> = Vec::new();
        for statement in &facts.statements {
            let decided = self.decide_one(text, statement, names).and_then(|(mut one, holds)| {
                if !holds.is_empty() {
                    self.hold(statement, holds, &mut one, &mut held)?;
                }
                Ok(one)
            });
            match decided {
                Ok(one) if self.mode == Mode::Observe => allowed.push(Allowed { guarded: false, ..one }),
                Ok(one) => allowed.push(one),
                Err(refusal) if self.mode == Mode::Observe => match self.essential(statement, &refusal) {
                    Some(refusal) => return Decision::Refuse(refusal),
                    None => {
                        let source = self.source(statement, names, 0).unwrap_or_default();
                        let about = self.about(statement, source.as_deref().unwrap_or(statement), names);
                        allowed.push(Allowed {
                            statement: Arc::clone(statement),
                            guarded: false,
                            expected: None,
                            comparisons: Vec::new(),
                            softened: vec![refusal],
                            about: Arc::new(about),
                            source,
                        })
                    }
                },
                Err(refusal) => return Decision::Refuse(refusal),
            }
        }
        if held.is_empty() {
            return Decision::Allow(allowed);
        }
        held.sort_unstable();
        held.dedup();
        Decision::Hold(allowed, held)
    }

    /// These rules hold a statement that would be allowed.
    fn hold(
        &self,
        statement: &Statement,
        holds: Vec<usize>,
        one: &mut Allowed,
        held: &mut Vec<usize>,
    ) -> Result<(), Refusal> {
        let rules = &self.epoch.bundle().model().holds;
        let by_name = matches!(
            statement.session,
            SessionUse::Prepare(_) | SessionUse::Declare(_) | SessionUse::Execute(_) | SessionUse::Fetch(_)
        );
        for hold in holds.iter().filter_map(|i| rules.get(*i)) {
            let refusal = if by_name { cannot_wait(&hold.rule) } else { refuse_hold(&hold.rule) };
            let refusal = refusal.at(statement.span.start);
            match self.mode {
                Mode::Enforce if by_name => return Err(refusal),
                Mode::Enforce => {}
                Mode::Migrate | Mode::Observe => one.softened.push(refusal),
            }
        }
        if self.mode == Mode::Enforce {
            held.extend(holds);
        }
        Ok(())
    }

    /// What refuses a statement even where it is only observed: the gateway itself depends on it. A refusal that was found
    /// first must not hide it.
    fn essential(&self, statement: &Statement, found: &Refusal) -> Option<Refusal> {
        let other = || self.rules().and_then(|rules| session_rules::check(rules, statement).err());
        let essential = |r: &Refusal| matches!(r.code, code::PINNED | code::SET_ROLE);
        if essential(found) { Some(found.clone()) } else { other().filter(essential) }
    }

    /// [`Grant::decide`] was asked about these facts, and says the same about every text that has them, in every session
    /// whose grant has the same [key](Grant::key) and whose search path is the one of its account: no rule looks at the
    /// text, no name of a session is in it, and every relation is one of the catalog.
    #[must_use]
    pub fn is_settled(&self, facts: &Facts) -> bool {
        let memo = self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        facts.statements.iter().all(|statement| {
            let by_name = matches!(statement.session, SessionUse::Execute(_) | SessionUse::Fetch(_));
            let judged = memo.get(&Arc::as_ptr(statement).addr());
            !by_name && judged.is_some_and(|judged| judged.lasting && judged.armed.is_empty())
        })
    }

    /// Forgets decisions: names mean something else now.
    pub fn forget(&self) {
        self.memo.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn decide_one(
        &self,
        text: &str,
        statement: &Arc<Statement>,
        names: &dyn Names,
    ) -> Result<(Allowed, Vec<usize>), Refusal> {
        let by_name = matches!(statement.session, SessionUse::Execute(_) | SessionUse::Fetch(_));
        let judged = if by_name { Arc::new(self.judge(statement, names)) } else { self.remembered(statement, names) };
        let mut holds = judged.holds.clone();
        if !judged.armed.is_empty() {
            holds.extend(self.matched_by_text(text, &judged.armed)?);
        }
        Ok((judged.verdict.clone()?, holds))
    }

    fn remembered(&self, statement: &Arc<Statement>, names: &dyn Names) -> Arc<Judged> {
        let key = Arc::as_ptr(statement).addr();
        let memo = || self.memo.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(judged) = memo().get(&key) {
            return Arc::clone(judged);
        }
        let judged = Arc::new(self.judge(statement, names));
        if !judged.lasting {
            return judged;
        }
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
        let mut holds = Vec::new();
        self.holds(statement, names, &mut holds, &mut armed);
        let lasting = statement.relations.iter().all(|r| self.epoch.candidates(r, names.by_path()).next().is_some());
        Judged { _statement: Arc::clone(statement), armed, holds, verdict, lasting }
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
        self.blocks(statement, names, armed)?;
        if let Some(rules) = self.rules() {
            session_rules::check(rules, statement)?;
        }
        let source = self.source(statement, names, 0)?;
        if let Some(inner) = &source {
            // Judged when it was prepared, but perhaps under other rules.
            let mut armed = Vec::new();
            self.blocks(inner, names, &mut armed)?;
            self.matched_by_old_text(inner, &armed, names).map_err(|refusal| refusal.at(statement.span.start))?;
        }
        let about = Arc::new(self.about(statement, source.as_deref().unwrap_or(statement), names));
        if self.view.everything {
            let statement = Arc::clone(statement);
            let (comparisons, softened) = (Vec::new(), Vec::new());
            return Ok(Allowed { statement, guarded: false, expected: None, comparisons, softened, about, source });
        }
        let own = self.guard(statement, names)?;
        let inner = source.as_deref().map(|inner| self.guard(inner, names)).transpose()?;
        if let Some(rows) = &inner
            && statement.effects.intersects(Effects::CREATE_AS)
        {
            // CREATE TABLE AS EXECUTE: what is prepared is stored.
            self.storable(statement, rows)?;
        }
        let guarded = own.guarded || inner.as_ref().is_some_and(|i| i.guarded);
        // EXPLAIN EXECUTE and CREATE TABLE AS EXECUTE do not return the rows of what they run.
        let other = Effects::EXPLAIN.with(Effects::CREATE_AS);
        let returned = !statement.effects.intersects(other);
        // What it runs compares, whether its rows are returned or not.
        let mut comparisons = own.comparisons.clone();
        comparisons.extend(inner.iter().flat_map(|i| &i.comparisons));
        let rows = inner.filter(|_| returned).unwrap_or(own);
        let source = source.filter(|_| returned);
        let statement = Arc::clone(statement);
        Ok(Allowed { statement, guarded, expected: rows.expected, comparisons, softened: rows.softened, about, source })
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
    fn blocks(&self, statement: &Statement, names: &dyn Names, armed: &mut Vec<usize>) -> Result<(), Refusal> {
        let model = self.epoch.bundle().model();
        for (i, block) in model.blocks.iter().enumerate() {
            if !(self.is_for_role(block) && self.is_about(block, statement, names)) {
                continue;
            }
            if block.words.is_empty() && block.patterns.is_empty() {
                return Err(refuse_block(block).at(statement.span.start));
            }
            armed.push(i);
        }
        Ok(())
    }

    /// The rule applies to this grant's role.
    fn is_for_role(&self, rule: &Block) -> bool {
        let named = |list: &[String]| list.iter().any(|r| r == "*" || r == self.role());
        (rule.roles.is_empty() || named(&rule.roles)) && !named(&rule.except)
    }

    /// Its conditions match, but for those on the text.
    fn is_about(&self, rule: &Block, statement: &Statement, names: &dyn Names) -> bool {
        let effects = rule.effects == 0 || statement.effects.intersects(Effects(rule.effects));
        let named = || statement.relations.iter().any(|r| self.is_object(rule, statement, r, names));
        ((effects || is_way(rule, statement)) && (rule.objects.is_empty() || named()))
            || (!rule.objects.is_empty() && self.is_reached(rule, statement, names))
    }

    /// Something that the rule names goes or changes with what the statement names.
    fn is_reached(&self, rule: &Block, statement: &Statement, names: &dyn Names) -> bool {
        if rule.effects != 0 && !Effects(rule.effects).intersects(SPREADING) {
            return false;
        }
        self.epoch.reached(statement, names.by_path()).into_iter().any(|(relation, effects)| {
            (rule.effects == 0 || effects.intersects(Effects(rule.effects)))
                && self.epoch.touched(relation, false).into_iter().any(|r| self.names(rule, r))
        })
    }

    /// The rule names this relation.
    fn names(&self, rule: &Block, relation: usize) -> bool {
        let target = self.epoch.bundle().model().targets.get(self.epoch.target()).map_or("", |t| t.name.as_str());
        self.epoch.relations.get(relation).is_some_and(|r| {
            let is = |s: &&Selector| glob::matches(&s.schema, &r.schema) && glob::matches(&s.relation, &r.name);
            rule.objects.iter().filter(is).any(|s| glob::matches(&s.target, target))
        })
    }

    // ---- holding rules of the rule file ----

    /// Rules that hold a statement whatever its text is; those with conditions on the text are armed.
    fn holds(&self, statement: &Statement, names: &dyn Names, holds: &mut Vec<usize>, armed: &mut Vec<usize>) {
        let model = self.epoch.bundle().model();
        if model.holds.is_empty() {
            return;
        }
        let by_name = matches!(statement.session, SessionUse::Execute(_) | SessionUse::Fetch(_));
        let source = self.source(statement, names, 0).ok().flatten();
        for (i, hold) in model.holds.iter().enumerate().filter(|(_, hold)| self.is_for_role(&hold.rule)) {
            let of_text = !hold.rule.words.is_empty() || !hold.rule.patterns.is_empty();
            let about = self.is_about(&hold.rule, statement, names);
            match &source {
                None if of_text && by_name => holds.push(i),
                // Where the protocol gave the name, what it means is held only when the protocol runs it.
                Some(source)
                    if of_text
                        && self.is_about(&hold.rule, source, names)
                        && self
                            .matched_by_old_text(source, &[model.blocks.len() + i], names)
                            .is_ok_and(|held| !held.is_empty()) =>
                {
                    holds.push(i);
                }
                _ if of_text && about => armed.push(model.blocks.len() + i),
                _ if of_text => {}
                Some(source) if about || self.is_about(&hold.rule, source, names) => holds.push(i),
                None if about || by_name => holds.push(i),
                _ => {}
            }
        }
    }

    /// Where in a text the holding rule `hold` finds what it is about, as byte ranges: relations, words, or else the whole
    /// of a statement. `statements` are those of exactly this text.
    #[must_use]
    pub fn marks(
        &self,
        hold: usize,
        text: &str,
        statements: &[Arc<Statement>],
        names: &dyn Names,
    ) -> Vec<(usize, usize)> {
        let Some(rule) = self.epoch.bundle().model().holds.get(hold).map(|hold| &hold.rule) else { return Vec::new() };
        let mut marks = Vec::new();
        let span = |span: lineage::facts::Span| (span.start as usize, (span.end as usize).min(text.len()));
        for statement in statements.iter().filter(|s| self.is_about(rule, s, names)) {
            if rule.objects.is_empty() {
                marks.push(span(statement.span));
            }
            let objects = statement.relations.iter().filter(|r| self.is_object(rule, statement, r, names));
            marks.extend(objects.map(|r| span(r.span)));
        }
        let lower = text.to_ascii_lowercase();
        for word in &rule.words {
            let found = lower.match_indices(word.as_str()).map(|(at, _)| (at, at + word.len()));
            marks.extend(found.filter(|(start, end)| scan::whole_word(text.as_bytes(), *start, *end)));
        }
        marks.retain(|(start, end)| start < end && text.is_char_boundary(*start) && text.is_char_boundary(*end));
        marks.truncate(MARKS_MAX);
        marks
    }

    /// The relation is one of the rule's, by its name, or because rows of one of those are written by this name.
    fn is_object(&self, rule: &Block, statement: &Statement, used: &RelationUse, names: &dyn Names) -> bool {
        let objects = rule.objects.as_slice();
        let writes = (used.written && statement.effects.intersects(WRITES)) || is_way(rule, statement);
        let target = self.epoch.bundle().model().targets.get(self.epoch.target()).map_or("", |t| t.name.as_str());
        objects.iter().any(|s| {
            let schema = |schema: &str| glob::matches(&s.schema, schema);
            let in_schema = match &used.schema {
                Some(written) => schema(written),
                // Without a schema it may be the one of any schema; of a relation nobody knows, of the pattern's own.
                None => {
                    let mut known = self
                        .epoch
                        .candidates(used, names.by_path())
                        .filter_map(|r| self.epoch.relations.get(r))
                        .peekable();
                    let own = known.peek().is_none() && names.temporary(&used.name);
                    !own && (known.peek().is_none() || known.any(|r| schema(&r.schema)))
                }
            };
            let named = used.name == RelationUse::EVERYTHING || glob::matches(&s.relation, &used.name);
            glob::matches(&s.target, target) && named && in_schema
        }) || self
            .epoch
            .candidates(used, names.by_path())
            .any(|relation| self.epoch.touched(relation, writes).into_iter().skip(1).any(|r| self.names(rule, r)))
    }

    /// The same of the text that gave a name to a statement.
    fn matched_by_old_text(
        &self,
        made: &Arc<Statement>,
        armed: &[usize],
        names: &dyn Names,
    ) -> Result<Vec<usize>, Refusal> {
        if armed.is_empty() {
            return Ok(Vec::new());
        }
        match names.made_by(made) {
            MadeBy::ThisText => Ok(Vec::new()),
            MadeBy::Text(text) => self.matched_by_text(&text, armed),
            // Nobody knows what was in it.
            MadeBy::Forgotten => {
                let blocks = &self.epoch.bundle().model().blocks;
                match armed.iter().find_map(|i| blocks.get(*i)) {
                    Some(block) => {
                        let refusal = refuse_block(block);
                        Err(Refusal { hint: refusal.hint.or_else(|| Some("prepare it again".to_owned())), ..refusal })
                    }
                    None => Ok(armed.to_vec()),
                }
            }
        }
    }

    /// Words and patterns of the armed rules: refuses by a blocking one, or says which holding ones match.
    fn matched_by_text(&self, text: &str, armed: &[usize]) -> Result<Vec<usize>, Refusal> {
        let bundle = self.epoch.bundle();
        let blocks = &bundle.model().blocks;
        let mut first: Option<usize> = None;
        let mut tried: Vec<(usize, usize)> = Vec::new();
        let mut holds: Vec<usize> = Vec::new();
        let mut keep = |block: usize| match block.checked_sub(blocks.len()) {
            Some(hold) if holds.contains(&hold) => {}
            Some(hold) => holds.push(hold),
            None => first = Some(first.map_or(block, |f: usize| f.min(block))),
        };
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
            None => Ok(holds),
        }
    }
}

fn refuse_block(block: &Block) -> Refusal {
    let message = block.message.clone().unwrap_or_else(|| format!("blocked by the rule {}", block.name));
    Refusal { hint: block.hint.clone(), ..Refusal::new(code::BLOCKED, block.name.clone(), message) }
}

fn refuse_hold(rule: &Block) -> Refusal {
    let message = rule.message.clone().unwrap_or_else(|| format!("held by the rule {}: it needs approval", rule.name));
    Refusal { hint: rule.hint.clone(), ..Refusal::new(code::HELD, rule.name.clone(), message) }
}

fn cannot_wait(rule: &Block) -> Refusal {
    let message = format!("the rule {} holds what this runs by a name, where nobody sees what it is", rule.name);
    Refusal::new(code::CANNOT_WAIT, rule.name.clone(), message)
        .hint("send the statement itself, or prepare it by the protocol")
}
