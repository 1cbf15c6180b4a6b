//! What a statement costs: comparisons of protected columns, and what its rows count against.
//!
//! A result counts against a budget of a class if a column of that class is among what its columns are made of, whether
//! the role sees it in the clear or not. What cannot be followed, and what is of a relation that the catalog does not
//! know, counts against every class. Deliberately absent: the accounts (see `ledger`) and rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use lineage::resolve::{self, Source};
use lineage::{Effects, SessionUse, Statement};

use crate::admit::Grant;
use crate::decide::Allowed;
use crate::epoch::Marking;
use crate::ledger::{Heading, Limit, Spent, UsedUp};
use crate::model::{ClassId, Counted, Mode};
use crate::refusal::{Refusal, code};

/// What running a text costs.
#[derive(Clone, Debug)]
pub struct Spending {
    /// Whose accounts.
    pub who: Arc<str>,
    /// Taken when it is run.
    pub before: Vec<(Limit, u64)>,
    /// Per statement: what its rows count against; nothing for one without rows.
    pub parts: Vec<Vec<Limit>>,
    /// What is used up is recorded and refuses nothing.
    pub observe: bool,
}

impl Spending {
    /// Rows have to be counted.
    #[must_use]
    pub fn counts_rows(&self) -> bool {
        self.parts.iter().any(|p| !p.is_empty())
    }
}

/// The classes that a result holds something of.
enum Held {
    /// Perhaps any.
    All,
    /// These.
    These(BTreeSet<ClassId>),
}

impl Held {
    fn has(&self, class: Option<ClassId>) -> bool {
        match (self, class) {
            (_, None) | (Self::All, _) => true,
            (Self::These(classes), Some(class)) => classes.contains(&class),
        }
    }
}

impl Grant {
    /// What running these statements costs; `None` for nothing.
    #[must_use]
    pub fn spending(&self, allowed: &[Allowed]) -> Option<Spending> {
        let role = self.rules()?;
        if role.budgets.is_empty() && role.comparisons.is_empty() {
            return None;
        }
        let mut before: Vec<(Limit, u64)> = Vec::new();
        let mut parts = Vec::with_capacity(allowed.len());
        for one in allowed {
            for (class, count) in &one.comparisons {
                let of = role.comparisons.iter().filter(|c| c.class == *class);
                for c in of {
                    let heading = self.heading(Spent::Comparisons, Some(c.class), c.seconds);
                    add(&mut before, Limit { heading, amount: c.amount }, u64::from(*count));
                }
            }
            let mut rows = Vec::new();
            if !role.budgets.is_empty() && returns(one) {
                let by_class = role.budgets.iter().any(|b| b.class.is_some());
                let held = if by_class { self.held(one) } else { Held::These(BTreeSet::new()) };
                for b in role.budgets.iter().filter(|b| held.has(b.class)) {
                    let spent = match b.of {
                        Counted::Rows => Spent::Rows,
                        Counted::Bytes => Spent::Bytes,
                        Counted::Statements => Spent::Statements,
                    };
                    let limit = Limit { heading: self.heading(spent, b.class, b.seconds), amount: b.amount };
                    match b.of {
                        Counted::Statements => add(&mut before, limit, 1),
                        Counted::Rows | Counted::Bytes => rows.push(limit),
                    }
                }
            }
            parts.push(rows);
        }
        let spending = Spending { who: self.account(), before, parts, observe: self.mode == Mode::Observe };
        (!spending.before.is_empty() || spending.counts_rows()).then_some(spending)
    }

    fn heading(&self, of: Spent, class: Option<ClassId>, seconds: u32) -> Heading {
        let classes = &self.epoch.bundle().model().classes;
        let class = class.and_then(|c| classes.get(usize::from(c))).map(|c| c.name.clone());
        Heading { of, class, seconds }
    }

    /// Which classes the rows of a statement hold something of.
    fn held(&self, allowed: &Allowed) -> Held {
        let statement = allowed.source();
        if stands_for_unknown(allowed) {
            return Held::All;
        }
        let mut classes = BTreeSet::new();
        let strange = |s: &Statement| {
            s.relations
                .iter()
                .any(|r| r.read && self.epoch.candidates(r, false).next().is_none() && !resolve::is_system(r))
        };
        let Ok(resolved) = resolve::resolve(statement, &self.epoch.index, false) else { return Held::All };
        if resolved.outputs.is_empty() && statement.effects.contains(Effects::COPY_OUT) {
            if strange(statement) {
                return Held::All;
            }
            let read = statement.relations.iter().flat_map(|r| self.epoch.candidates(r, false));
            for column in read.filter_map(|r| self.epoch.relations.get(r)).flat_map(|r| &r.columns) {
                add_classes(&column.marking, &mut classes);
            }
            return Held::These(classes);
        }
        for source in resolved.outputs.iter().flat_map(|o| o.value.sources.as_slice()) {
            match source {
                Source::Column(relation, column) => {
                    let relation = self.epoch.relations.get(*relation as usize);
                    let column = relation.and_then(|r| r.columns.get(*column as usize));
                    match column {
                        Some(column) => add_classes(&column.marking, &mut classes),
                        None => return Held::All,
                    }
                }
                Source::Stranger if !strange(statement) => {}
                Source::Stranger | Source::Missing | Source::Others => return Held::All,
            }
        }
        let hidden = Effects::UNKNOWN.with(Effects::UNKNOWN_FUNCTION).with(Effects::DANGEROUS_FUNCTION);
        if statement.effects.intersects(hidden) { Held::All } else { Held::These(classes) }
    }
}

fn add(before: &mut Vec<(Limit, u64)>, limit: Limit, cost: u64) {
    match before.iter_mut().find(|(l, _)| l.heading == limit.heading) {
        Some((_, all)) => *all = all.saturating_add(cost),
        None => before.push((limit, cost)),
    }
}

fn add_classes(marking: &Marking, to: &mut BTreeSet<ClassId>) {
    match marking {
        Marking::Class(class) => drop(to.insert(*class)),
        Marking::Derived { from, .. } => to.extend(from.iter().flatten()),
        Marking::Clear | Marking::Unclassified => {}
    }
}

/// It runs or fetches from something the gateway has not seen.
fn stands_for_unknown(allowed: &Allowed) -> bool {
    let by_name = matches!(allowed.statement.session, SessionUse::Execute(_) | SessionUse::Fetch(_));
    by_name && std::ptr::eq(allowed.source(), &raw const *allowed.statement)
}

/// Rows, or COPY data, may come.
fn returns(allowed: &Allowed) -> bool {
    let shows = Effects::COPY_OUT.with(Effects::EXPLAIN).with(Effects::UNKNOWN).with(Effects::CALL);
    allowed.source().returns_rows()
        || allowed.statement.effects.intersects(shows)
        || matches!(allowed.statement.session, SessionUse::Show(_))
        || stands_for_unknown(allowed)
}

/// The refusal when `limit` is used up.
#[must_use]
pub fn used_up(limit: &Limit, why: &UsedUp) -> Refusal {
    let class = limit.heading.class.as_deref();
    let per = span(u64::from(limit.heading.seconds));
    let (rule, what) = match (limit.heading.of, class) {
        (Spent::Comparisons, class) => {
            let class = class.unwrap_or("?");
            (format!("filter:{class}"), format!("{} comparisons with columns of class {class}", limit.amount))
        }
        (of, class) => {
            let (name, what) = match of {
                Spent::Rows => ("rows", "rows"),
                Spent::Bytes => ("bytes", "bytes of rows"),
                Spent::Statements | Spent::Comparisons => ("statements", "statements"),
            };
            match class {
                Some(class) => (
                    format!("budget:{name}:{class}"),
                    format!("{} {what} in results with columns of class {class}", limit.amount),
                ),
                None => (format!("budget:{name}"), format!("{} {what}", limit.amount)),
            }
        }
    };
    let hint = match why.free_in_ns {
        Some(ns) => format!("some of it is free again in {}", span(ns.div_ceil(1_000_000_000).max(1))),
        None => "it needs more than all of it: ask for less at once".to_owned(),
    };
    Refusal::new(code::BUDGET, rule, format!("your budget of {what} per {} is used up", per.trim_start_matches("1 ")))
        .hint(hint)
}

/// Seconds in words.
fn span(seconds: u64) -> String {
    let (n, word) = match seconds {
        s if s < 60 => (s, "second"),
        s if s < 3_600 => (s.div_ceil(60), "minute"),
        s if s < 86_400 => (s.div_ceil(3_600), "hour"),
        s => (s.div_ceil(86_400), "day"),
    };
    format!("{n} {word}{}", if n == 1 { "" } else { "s" })
}
