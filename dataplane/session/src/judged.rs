//! What the session attaches to a forwarded statement, and to a result shape.

use crate::host::Host;
use crate::names::{self, NamesOfText};
use crate::settings;
use audit::record::{ClearColumn, MaskedColumn};
use contract::{Admitted, Column, CopyOut, Format, Judge, Redacted, Redactor, Refusal, Values, Via};
use lineage::{Effects, Facts, SessionUse, Statement};
use policy::ledger::{Ledger, Spent};
use policy::model::{Mode, Redaction};
use policy::{Allowed, ColumnShape, Decision, Epoch, Fate, Grant, GrantKey, Grows, Names, PlannedColumn, Spending};
use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

/// The types of this session layer, for the protocol.
#[derive(Debug)]
pub struct Verdicts;

impl Judge for Verdicts {
    type Token = Rc<Judged>;
    type Plan = Masking;

    fn guarded(token: &Self::Token) -> bool {
        token.guarded
    }

    fn needs_shape(token: &Self::Token) -> bool {
        token.needs_shape
    }

    fn moves_names(token: &Self::Token) -> bool {
        token.effects.intersects(MOVING_EFFECTS)
    }

    fn copies_in(token: &Self::Token) -> bool {
        token.effects.contains(Effects::COPY_IN)
    }

    fn copies_out(token: &Self::Token) -> Option<Rc<[CopyOut]>> {
        token.copies_out.clone()
    }

    fn changes_names(token: &Self::Token) -> bool {
        token.changes_names
    }

    fn metered(token: &Self::Token) -> bool {
        token.spending.as_ref().is_some_and(|s| s.counts_rows() && !s.observe)
    }

    fn admit(token: &Self::Token, part: usize, sizes: &mut dyn Iterator<Item = u64>) -> Admitted {
        token.admit(part, sizes)
    }
}

/// What a session's statements are paid with.
#[derive(Clone, Debug)]
pub(crate) struct Purse {
    pub(crate) ledger: Arc<Ledger>,
    /// Nanoseconds of the host, as of this turn.
    pub(crate) now_ns: Rc<Cell<u64>>,
}

/// Effects after which a name in another statement can mean another relation.
const MOVING_EFFECTS: Effects = Effects::CREATE
    .with(Effects::CREATE_AS)
    .with(Effects::CREATE_VIEW)
    .with(Effects::CREATE_CODE)
    .with(Effects::ALTER)
    .with(Effects::DROP)
    .with(Effects::SET)
    .with(Effects::DISCARD);

/// A column whose values are changed, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Masked {
    pub(crate) column: String,
    pub(crate) class: String,
    pub(crate) method: String,
}

impl Masked {
    /// As a record has it.
    pub(crate) fn listed(&self) -> MaskedColumn<'_> {
        MaskedColumn { column: &self.column, class: &self.class, method: &self.method }
    }
}

/// A statement that may run, and why.
#[derive(Debug)]
pub struct Judged {
    /// The text, kept for what was prepared, and for what gives a name to a statement.
    pub(crate) text: Box<str>,
    pub(crate) via: Via,
    pub(crate) facts: Arc<Facts>,
    pub(crate) allowed: Vec<Allowed>,
    pub(crate) guarded: bool,
    pub(crate) needs_shape: bool,
    pub(crate) changes_names: bool,
    /// What the names it runs or fetches from stood for when it was judged.
    pub(crate) stands_for: Vec<(NameKind, String, Option<Arc<Statement>>)>,
    /// What of its columns would be masked, where that is known before there is a plan.
    pub(crate) masked: Vec<Masked>,
    /// The newest plan for its first result, and what it was made for.
    planned: RefCell<Option<Box<Planned>>>,
    /// Relations that it names.
    pub(crate) tables: Box<[String]>,
    pub(crate) effects: Effects,
    pub(crate) fingerprint: u64,
    /// It can change the search path.
    pub(crate) moves_path: bool,
    /// It can change parameters of the session.
    pub(crate) sets: bool,
    copies_out: Option<Rc<[CopyOut]>>,
    /// What running it costs, and what with.
    pub(crate) spending: Option<Spending>,
    purse: Option<Purse>,
    /// The role is only observed.
    pub(crate) observed: bool,
    /// Rules that hold it until people approve: indices into the model's.
    pub(crate) holds: Vec<usize>,
    /// It changes nothing and calls nothing that could: it may run while its record is on its way to the disk.
    pub(crate) only_reads: bool,
}

/// A plan, and the result shape and grant that it was made for.
#[derive(Debug)]
struct Planned {
    description: Box<[u8]>,
    grant: GrantKey,
    /// Keeps the address in the grant's key alive.
    _epoch: Arc<Epoch>,
    plan: Masking,
}

/// Longest description of a result whose plan is kept.
const DESCRIPTION_BYTES_MAX: usize = 16 << 10;

/// Kinds of names a statement can stand for another by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NameKind {
    Prepared,
    Cursor,
}

impl Judged {
    pub(crate) fn new(
        text: &str,
        via: Via,
        facts: Arc<Facts>,
        allowed: Vec<Allowed>,
        grant: &Grant,
        names: &dyn Names,
        purse: &Purse,
    ) -> Self {
        let stands_for = facts.statements.iter().filter_map(|s| match &s.session {
            SessionUse::Execute(name) => Some((NameKind::Prepared, name.clone(), names.prepared(name))),
            SessionUse::Fetch(name) => Some((NameKind::Cursor, name.clone(), names.cursor(name))),
            _ => None,
        });
        let stands_for: Vec<_> = stands_for.collect();
        let runs = stands_for.iter().filter_map(|(_, _, statement)| statement.as_ref());
        let sets = facts.statements.iter().chain(runs).any(|statement| settings::changes(statement));
        let spending = grant.spending(&allowed);
        let purse = spending.is_some().then(|| purse.clone());
        let guarded = allowed.iter().any(|a| a.guarded);
        let changes_names = facts.statements.iter().any(|s| names::changes(s));
        let observed = grant.mode() == Mode::Observe;
        let copies_out = if grant.sees_everything() || observed { None } else { copies_out(&facts) };
        let only_reads = allowed.iter().all(|a| a.about.only_reads);
        let masked = if observed { copied(grant, &allowed) } else { Vec::new() };
        let (effects, fingerprint) = (effects(&facts), fingerprint(&facts));
        let moves_path = facts.statements.iter().any(|s| names::moves_path(s));
        let tables = tables(&allowed).into();
        Self {
            text: if via == Via::Prepare || changes_names { text.into() } else { Box::default() },
            via,
            facts,
            allowed,
            guarded,
            needs_shape: !grant.sees_everything(),
            changes_names,
            stands_for,
            masked,
            planned: RefCell::default(),
            tables,
            effects,
            fingerprint,
            moves_path,
            sets,
            spending,
            purse,
            observed,
            holds: Vec::new(),
            only_reads,
            copies_out,
        }
    }

    /// What the statements would be refused for if the role's mode were `enforce`.
    pub(crate) fn softened(&self) -> impl Iterator<Item = &policy::Refusal> {
        self.allowed.iter().flat_map(|a| &a.softened)
    }

    /// In observe mode, which budgets a result of this size would have ended at. It has been sent.
    pub(crate) fn overdrawn(&self, rows: u64, bytes: u64) -> Vec<Refusal> {
        let (Some(spending), Some(purse)) = (&self.spending, &self.purse) else { return Vec::new() };
        let limits = spending.parts.iter().flatten().filter(|_| spending.observe);
        let over = limits.filter_map(|limit| {
            let cost = if limit.heading.of == Spent::Rows { rows } else { bytes };
            let charged = purse.ledger.charge(&spending.who, &[(limit.clone(), cost)], purse.now_ns.get());
            charged.err().map(|why| neutral(policy::used_up(limit, &why)))
        });
        over.collect()
    }

    /// Takes what a run costs before it goes upstream; a run that goes on after a row limit has paid.
    pub(crate) fn pay(&self, resumed: bool) -> Result<(), Refusal> {
        let (Some(spending), Some(purse)) = (&self.spending, &self.purse) else { return Ok(()) };
        if resumed || spending.before.is_empty() {
            return Ok(());
        }
        purse.ledger.charge(&spending.who, &spending.before, purse.now_ns.get()).map_err(|why| {
            let (limit, _) = &spending.before[why.limit];
            neutral(policy::used_up(limit, &why))
        })
    }

    fn admit(&self, part: usize, sizes: &mut dyn Iterator<Item = u64>) -> Admitted {
        let limits = self.spending.as_ref().and_then(|s| s.parts.get(part)).map_or(&[][..], Vec::as_slice);
        let (Some(spending), Some(purse)) = (&self.spending, &self.purse) else {
            return sizes.fold(Admitted::default(), |all, bytes| Admitted {
                rows: all.rows + 1,
                bytes: all.bytes + bytes,
                cut: None,
            });
        };
        let taken = purse.ledger.take(&spending.who, limits, sizes, purse.now_ns.get());
        let cut = taken.stopped.and_then(|why| Some(neutral(policy::used_up(limits.get(why.limit)?, &why))));
        Admitted { rows: taken.rows, bytes: taken.bytes, cut }
    }

    /// [`Judged::clear`] may say something.
    pub(crate) fn has_clear(&self) -> bool {
        self.allowed.iter().any(|allowed| !allowed.about.clear.is_empty())
    }

    /// Columns with a class, and the class's name, that this role gets as they are.
    pub(crate) fn clear<'a>(&'a self, grant: &'a Grant) -> impl Iterator<Item = ClearColumn<'a>> {
        let classes = &grant.epoch().bundle().model().classes;
        let columns = self.allowed.iter().flat_map(|a| &a.about.clear);
        columns
            .filter_map(|(column, class)| Some(ClearColumn { column, class: &classes.get(usize::from(*class))?.name }))
    }

    /// The plan that was made before for a result of this description, under a grant that plans alike.
    pub(crate) fn planned(&self, part: usize, description: &[u8], key: &GrantKey) -> Option<Masking> {
        let planned = self.planned.borrow();
        let planned = planned.as_ref().filter(|_| part == 0)?;
        (*planned.description == *description && planned.grant == *key).then(|| planned.plan.clone())
    }

    /// Keeps a plan for a result of this description.
    pub(crate) fn keep_plan(&self, part: usize, description: &[u8], grant: &Grant, plan: &Masking) {
        if part == 0 && !description.is_empty() && description.len() <= DESCRIPTION_BYTES_MAX {
            let (grant, epoch) = (grant.key(), Arc::clone(grant.epoch()));
            let description = description.into();
            let planned = Planned { description, grant, _epoch: epoch, plan: plan.clone() };
            *self.planned.borrow_mut() = Some(Box::new(planned));
        }
    }

    /// Plans the result of statement `part`.
    pub(crate) fn plan(&self, part: usize, columns: Rc<[Column]>, grant: &Grant) -> Result<Masking, Refusal> {
        let Some(allowed) = self.allowed.get(part) else {
            return Err(Refusal {
                code: policy::code::UNEXPECTED_RESULT,
                rule: "default:unexpected-result".to_owned(),
                message: "the database returned a result that the statement does not explain".to_owned(),
                hint: None,
                position: None,
            });
        };
        let shapes: Vec<ColumnShape<'_>> = columns
            .iter()
            .map(|c| ColumnShape { name: &c.name, table: c.table, attribute: c.attribute, type_oid: c.type_oid })
            .collect();
        let plan = match grant.plan(allowed, &shapes) {
            Err(refusal) if self.observed => {
                return Ok(Masking::new(None, columns, Vec::new(), Vec::new(), Some(neutral(refusal))));
            }
            plan => plan.map_err(neutral)?,
        };
        let masked = plan.columns().iter().map(|planned| {
            let name = columns.get(usize::from(planned.index)).map(|c| String::from_utf8_lossy(&c.name).into_owned());
            let column = name.unwrap_or_default();
            Masked { column, class: class_name(grant, planned).to_owned(), method: method(grant, planned).to_owned() }
        });
        let masked = masked.collect();
        if self.observed {
            return Ok(Masking::new(None, columns, masked, Vec::new(), None));
        }
        let mut warnings: Vec<Refusal> = allowed.softened.iter().cloned().map(neutral).collect();
        for refusal in plan.softened().iter().cloned().map(neutral) {
            if !warnings.iter().any(|w| w.message == refusal.message) {
                warnings.push(refusal);
            }
        }
        Ok(Masking::new(Some(plan), columns, masked, warnings, None))
    }
}

fn effects(facts: &Facts) -> Effects {
    facts.statements.iter().fold(Effects::NONE, |all, s| all.with(s.effects))
}

fn fingerprint(facts: &Facts) -> u64 {
    facts.statements.iter().fold(0, |all, s| all.rotate_left(7) ^ s.fingerprint)
}

/// Relations that statements name.
fn tables(allowed: &[Allowed]) -> Vec<String> {
    let mut tables: Vec<String> = Vec::new();
    for name in allowed.iter().flat_map(|a| &a.about.tables) {
        if tables.len() < TABLES_MAX && !tables.contains(name) {
            tables.push(name.clone());
        }
    }
    tables
}

/// Tables that the record of a text names.
const TABLES_MAX: usize = 64;
/// COPYs of one text whose shapes are asked for.
const COPIES_MAX: usize = 256;

/// Number of statements at the start of a text, few of them COPYs, that cannot change what names mean to those behind
/// them.
fn steady(facts: &Facts) -> usize {
    let ends = |s: &Statement| {
        let stays = matches!(s.kind, "BEGIN" | "START TRANSACTION" | "SAVEPOINT" | "RELEASE" | "SET CONSTRAINTS");
        s.effects.intersects(Effects::TRANSACTION.with(Effects::TWO_PHASE)) && !stays
    };
    let mut copies = 0;
    let last = |s: &Arc<Statement>| {
        copies += usize::from(s.copy_out.is_some());
        s.effects.intersects(MOVING_EFFECTS) || ends(s) || copies == COPIES_MAX
    };
    facts.statements.iter().position(last).map_or(facts.statements.len(), |first| first + 1)
}

/// The columns of COPYs that would be masked, from the statements alone: an observed COPY is not asked for its shape.
fn copied(grant: &Grant, allowed: &[Allowed]) -> Vec<Masked> {
    let classes = &grant.epoch().bundle().model().classes;
    let copies = allowed.iter().filter(|a| a.statement.effects.contains(Effects::COPY_OUT));
    let columns = copies.flat_map(|a| grant.plan_columns(a.source()).into_iter().filter(|c| c.fate != Fate::Clear));
    let masked = columns.map(|column| {
        let class = column.class.and_then(|c| classes.get(usize::from(c))).map_or("unclassified", |c| c.name.as_str());
        let method = if column.fate == Fate::Refused { "refuse" } else { word(grant.redaction(&column.fate)) };
        Masked { column: column.output, class: class.to_owned(), method: method.to_owned() }
    });
    masked.collect()
}

/// The COPYs whose shapes can be asked for before the text runs.
fn copies_out(facts: &Facts) -> Option<Rc<[CopyOut]>> {
    if facts.statements.iter().all(|s| s.copy_out.is_none()) {
        return None;
    }
    let known = facts.statements.iter().take(steady(facts)).enumerate();
    let copies = known.filter_map(|(part, s)| {
        let copy = s.copy_out.as_ref()?;
        Some(CopyOut { part, shape: copy.shape.as_str().into(), format: copy.format.clone() })
    });
    let copies: Rc<[CopyOut]> = copies.collect();
    (!copies.is_empty()).then_some(copies)
}

/// A COPY of protected columns behind a statement of the same text that can change what its names mean.
#[must_use]
pub fn copy_behind_moved_names(facts: &Facts, allowed: &[Allowed]) -> Option<Refusal> {
    let guarded = allowed.iter().any(|a| a.guarded);
    let behind = facts.statements.iter().skip(steady(facts)).find(|s| s.copy_out.is_some());
    behind.filter(|_| guarded).map(|s| Refusal {
        code: policy::code::COPY_OUT,
        rule: "default:copy-out".to_owned(),
        message: "COPY behind a statement of the same text that can change what its names mean, or behind too many"
            .to_owned(),
        hint: Some("Send the COPY as a statement of its own: it is masked.".to_owned()),
        position: Some(s.span.start),
    })
}

fn class_name<'a>(grant: &'a Grant, planned: &PlannedColumn) -> &'a str {
    let classes = &grant.epoch().bundle().model().classes;
    planned.class.and_then(|c| classes.get(usize::from(c))).map_or("unclassified", |c| c.name.as_str())
}

/// The redaction's word in rule files.
fn method(grant: &Grant, planned: &PlannedColumn) -> &'static str {
    let model = grant.epoch().bundle().model();
    word(planned.redaction.and_then(|id| model.redactions.get(usize::from(id))))
}

/// The word of a redaction in rule files; NULL for want of one.
#[must_use]
pub fn word(redaction: Option<&Redaction>) -> &'static str {
    match redaction {
        Some(Redaction::Clear) => "clear",
        Some(Redaction::Null) | None => "null",
        Some(Redaction::Constant(_)) => "constant",
        Some(Redaction::KeepFirst { .. }) => "keep-first",
        Some(Redaction::KeepLast { .. }) => "keep-last",
        Some(Redaction::Fill { .. }) => "fill",
        Some(Redaction::Token { .. }) => "token",
        Some(Redaction::Year) => "year",
        Some(Redaction::AgeCap) => "age-cap",
        Some(Redaction::Zip3) => "zip3",
        Some(Redaction::Refuse) => "refuse",
    }
}

/// Understands and decides a text.
pub(crate) fn judge<H: Host>(
    host: &H,
    grant: &Grant,
    session: &names::Names,
    taken: &dyn Fn(&str) -> bool,
    purse: &Purse,
    text: &str,
    via: Via,
) -> Result<Judged, Refusal> {
    let facts = understand(host, text)?;
    decide(&facts, grant, session, taken, purse, text, via)
}

/// The facts of a text.
pub(crate) fn understand<H: Host>(host: &H, text: &str) -> Result<Arc<Facts>, Refusal> {
    host.facts(text).map_err(|n| neutral(policy::Refusal::not_understood(&n)))
}

/// Decides a text with these facts.
pub(crate) fn decide(
    facts: &Arc<Facts>,
    grant: &Grant,
    session: &names::Names,
    taken: &dyn Fn(&str) -> bool,
    purse: &Purse,
    text: &str,
    via: Via,
) -> Result<Judged, Refusal> {
    let names = NamesOfText { session, statements: &facts.statements, taken };
    let (allowed, holds) = match grant.decide(text, facts, &names) {
        Decision::Allow(allowed) => (allowed, Vec::new()),
        Decision::Hold(allowed, holds) => (allowed, holds),
        Decision::Refuse(refusal) => return Err(neutral(refusal)),
    };
    match copy_behind_moved_names(facts, &allowed) {
        Some(refusal) if !grant.sees_everything() && grant.mode() != Mode::Observe => Err(refusal),
        _ => {
            let judged = Judged::new(text, via, Arc::clone(facts), allowed, grant, &names, purse);
            Ok(Judged { holds, ..judged })
        }
    }
}

/// Policy's refusal in the contract's words.
pub(crate) fn neutral(refusal: policy::Refusal) -> Refusal {
    Refusal {
        code: refusal.code,
        rule: refusal.rule,
        message: refusal.message,
        hint: refusal.hint,
        position: refusal.position,
    }
}

/// A plan for one result shape.
#[derive(Clone, Debug)]
pub struct Masking {
    inner: Rc<Inner>,
}

#[derive(Debug)]
struct Inner {
    plan: Option<policy::Plan>,
    planned: Vec<u16>,
    columns: Rc<[Column]>,
    grows: bool,
    warnings: Vec<Refusal>,
    masked: Vec<Masked>,
    unseen: Option<Refusal>,
}

impl Masking {
    fn new(
        plan: Option<policy::Plan>,
        columns: Rc<[Column]>,
        masked: Vec<Masked>,
        warnings: Vec<Refusal>,
        unseen: Option<Refusal>,
    ) -> Self {
        let changed = plan.as_ref().map_or(&[][..], policy::Plan::columns);
        let planned = changed.iter().map(|c| c.index).collect();
        let grows = changed.iter().any(|c| c.grows != Grows::Never);
        Self { inner: Rc::new(Inner { plan, planned, columns, grows, warnings, masked, unseen }) }
    }

    /// Columns whose values it changes; where the role is only observed, would change.
    pub(crate) fn masked(&self) -> &[Masked] {
        &self.inner.masked
    }

    /// In observe mode, what the result would have been refused for.
    pub(crate) fn unseen(&self) -> Option<&Refusal> {
        self.inner.unseen.as_ref()
    }
}

const fn neutral_format(format: Format) -> policy::Format {
    match format {
        Format::Text => policy::Format::Text,
        Format::Binary => policy::Format::Binary,
    }
}

impl Redactor for Masking {
    fn width(&self) -> usize {
        self.inner.columns.len()
    }

    fn columns(&self) -> Option<Rc<[Column]>> {
        Some(Rc::clone(&self.inner.columns))
    }

    fn planned(&self) -> &[u16] {
        &self.inner.planned
    }

    fn redact(&self, i: usize, format: Format, value: &[u8], scratch: &mut Vec<u8>) -> Redacted {
        let Some(plan) = &self.inner.plan else { return Redacted::Null };
        plan.redact(i, neutral_format(format), value, scratch).into()
    }

    fn redact_batch(&self, i: usize, format: Format, values: &mut Values<'_>) {
        match &self.inner.plan {
            Some(plan) => plan.redact_batch(i, neutral_format(format), values),
            None => values.nulls(),
        }
    }

    fn grows(&self) -> bool {
        self.inner.grows
    }

    fn warnings(&self) -> &[Refusal] {
        &self.inner.warnings
    }
}
