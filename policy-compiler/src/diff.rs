//! What changes between two sets of rules, in words: who sees more, who sees less, which statements are newly refused or
//! newly possible, which targets changed.
//!
//! Compared is what people experience: for every role and every identity group the treatment of every class and of every
//! column whose class changed. What cannot be ordered (a constant for NULL) is "different". Deliberately absent: the text
//! of rule files; moving rules between files is no change.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use policy::Model;
use policy::model::{
    Block, Budget, ClassId, Counted, Hold, InTransaction, Mode, Redaction, ResolvedColumn, Role, Target, Unclassified,
};
use serde_json::json;

use crate::build::show_time;
use crate::diagnostic::Paint;
use crate::redaction;
use crate::selector;
use crate::words;

/// Most columns listed behind one change.
const NAMED_MAX: usize = 8;

/// Everything that changes, as sentences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Someone sees or may do more.
    pub more: Vec<String>,
    /// Someone sees or may do less.
    pub less: Vec<String>,
    /// Neither more nor less.
    pub different: Vec<String>,
    /// Targets.
    pub targets: Vec<String>,
}

impl Changes {
    /// Someone sees or may do more than before.
    #[must_use]
    pub const fn anyone_sees_more(&self) -> bool {
        !self.more.is_empty()
    }
    /// Nothing changes for anyone.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.more.is_empty() && self.less.is_empty() && self.different.is_empty() && self.targets.is_empty()
    }
    /// For people; what needs attention first.
    #[must_use]
    pub fn text(&self, paint: Paint) -> String {
        if self.is_empty() {
            return "no change for anyone\n".to_owned();
        }
        let mut out = String::new();
        for (title, list) in [
            (paint.red("sees more, or may do more"), &self.more),
            (paint.green("sees less, or may do less"), &self.less),
            (paint.yellow("different"), &self.different),
            (paint.yellow("targets"), &self.targets),
        ] {
            if !list.is_empty() {
                let _ = writeln!(out, "{title}:");
                for line in list {
                    let _ = writeln!(out, "  - {line}");
                }
            }
        }
        out
    }
    /// For programs.
    #[must_use]
    pub fn json(&self) -> String {
        let value = json!({"more": self.more, "less": self.less, "different": self.different, "targets": self.targets});
        format!("{value:#}\n")
    }
    fn add(&mut self, order: Option<Ordering>, sentence: String) {
        match order {
            Some(Ordering::Greater) => self.more.push(sentence),
            Some(Ordering::Less) => self.less.push(sentence),
            Some(Ordering::Equal) | None => self.different.push(sentence),
        }
    }
}

/// What changes from `old` to `new`.
#[must_use]
pub fn compare(old: &Model, new: &Model) -> Changes {
    let mut changes = Changes::default();
    roles(old, new, &mut changes);
    groups(old, new, &mut changes);
    blocks(old, new, &mut changes);
    holds(old, new, &mut changes);
    targets(old, new, &mut changes);
    word_lists(old, new, &mut changes);
    changes
}

/// What a role makes of a column or class: a redaction, or the answer for what nobody classified.
fn of_class<'a>(model: &'a Model, role: &Role, class: &str) -> Option<&'a Redaction> {
    let i = model.classes.iter().position(|c| c.name == class)?;
    model.redactions.get(usize::from(*role.treatment.get(i)?))
}

fn of_unclassified(role: &Role) -> &'static Redaction {
    match role.unclassified {
        Unclassified::Clear => &Redaction::Clear,
        Unclassified::Mask => &Redaction::Null,
        Unclassified::Refuse => &Redaction::Refuse,
    }
}

fn roles(old: &Model, new: &Model, changes: &mut Changes) {
    for role in &old.roles {
        match new.roles.iter().find(|r| r.name == role.name) {
            Some(now) => {
                let who = format!("role {}", role.name);
                one_role((old, role), (new, now), &who, changes);
                asking(role, now, &who, changes);
            }
            None => changes.less.push(format!("role {} is gone (groups {})", role.name, role.groups.join(", "))),
        }
    }
    for role in new.roles.iter().filter(|n| !old.roles.iter().any(|o| o.name == n.name)) {
        let groups = if role.groups.is_empty() {
            "only by a grant".to_owned()
        } else {
            format!("groups {}", role.groups.join(", "))
        };
        changes.more.push(format!("role {} is new: {groups}; targets {}", role.name, role.targets.join(", ")));
        asking(
            &Role { request: None, break_glass: None, ..role.clone() },
            role,
            &format!("role {}", role.name),
            changes,
        );
    }
}

fn one_role((old, was): (&Model, &Role), (new, now): (&Model, &Role), who: &str, changes: &mut Changes) {
    for class in old.classes.iter().filter(|c| new.classes.iter().any(|n| n.name == c.name)) {
        let (Some(a), Some(b)) = (of_class(old, was, &class.name), of_class(new, now, &class.name)) else { continue };
        if a != b {
            let sentence = format!("{who}: class {} {} → {}", class.name, redaction::show(a), redaction::show(b));
            changes.add(redaction::compare(b, a), sentence);
        }
        let detectors = |m: &Model| {
            let found = m.classes.iter().find(|c| c.name == class.name);
            found.map(|c| c.detectors.iter().map(|d| crate::coverage::detector_name(m, *d)).collect::<BTreeSet<_>>())
        };
        let (Some(before), Some(after)) = (detectors(old), detectors(new)) else { continue };
        if before != after && *b != Redaction::Clear {
            let gone: Vec<_> = before.difference(&after).cloned().collect();
            let added: Vec<_> = after.difference(&before).cloned().collect();
            match (before.is_empty(), after.is_empty()) {
                (true, false) => changes.more.push(format!(
                    "{who}: class {} was redacted whole, now only hits of {} are",
                    class.name,
                    added.join(", ")
                )),
                (false, true) => changes
                    .less
                    .push(format!("{who}: class {} was scanned, now the whole value is redacted", class.name)),
                _ => {
                    if !gone.is_empty() {
                        changes.more.push(format!(
                            "{who}: class {} is no longer scanned for {}",
                            class.name,
                            gone.join(", ")
                        ));
                    }
                    if !added.is_empty() {
                        changes.less.push(format!(
                            "{who}: class {} is now scanned for {}",
                            class.name,
                            added.join(", ")
                        ));
                    }
                }
            }
        }
    }
    if was.unclassified != now.unclassified {
        let word = |u: Unclassified| match u {
            Unclassified::Clear => "clear",
            Unclassified::Mask => "mask",
            Unclassified::Refuse => "refuse",
        };
        let sentence =
            format!("{who}: columns nobody classified {} → {}", word(was.unclassified), word(now.unclassified));
        changes.add(redaction::compare(of_unclassified(now), of_unclassified(was)), sentence);
    }
    columns((old, was), (new, now), who, changes);
    for (what, a, b) in [
        ("may use targets", &was.targets, &now.targets),
        ("may call functions", &was.trusted_functions, &now.trusted_functions),
        ("may use channels", &was.channels, &now.channels),
    ] {
        sets(who, what, a, b, changes);
    }
    limits((old, was), (new, now), who, changes);
}

/// Who may ask for a role, or take it in an emergency.
fn asking(was: &Role, now: &Role, who: &str, changes: &mut Changes) {
    let votes = |n: u16| match n {
        0 => "no vote".to_owned(),
        1 => "1 vote".to_owned(),
        n => format!("{n} votes"),
    };
    match (&was.request, &now.request) {
        (None, Some(b)) => changes.more.push(format!(
            "{who} can be asked for by {}, for at most {}, with {}{}",
            b.groups.join(", "),
            show_time(b.seconds),
            votes(b.approvals),
            if b.approvers.is_empty() { String::new() } else { format!(" of {}", b.approvers.join(", ")) },
        )),
        (Some(_), None) => changes.less.push(format!("{who} can no longer be asked for")),
        (Some(a), Some(b)) => {
            sets(who, "can be asked for by", &a.groups, &b.groups, changes);
            sets(who, "is voted on by", &a.approvers, &b.approvers, changes);
            if a.approvals != b.approvals {
                let sentence = format!("{who}: asking for it needs {} → {}", votes(a.approvals), votes(b.approvals));
                changes.add(Some(a.approvals.cmp(&b.approvals)), sentence);
            }
            longest(who, "is given", a.seconds, b.seconds, changes);
        }
        (None, None) => {}
    }
    match (&was.break_glass, &now.break_glass) {
        (None, Some(b)) => changes.more.push(format!(
            "{who} can be taken in an emergency by {}, for at most {}",
            b.groups.join(", "),
            show_time(b.seconds)
        )),
        (Some(_), None) => changes.less.push(format!("{who} can no longer be taken in an emergency")),
        (Some(a), Some(b)) => {
            sets(who, "can be taken in an emergency by", &a.groups, &b.groups, changes);
            longest(who, "is taken in an emergency", a.seconds, b.seconds, changes);
        }
        (None, None) => {}
    }
}

fn longest(who: &str, what: &str, a: u32, b: u32, changes: &mut Changes) {
    if a != b {
        let sentence = format!("{who} {what} for at most {} → {}", show_time(a), show_time(b));
        changes.add(Some(b.cmp(&a)), sentence);
    }
}

/// Modes, filters and budgets.
fn limits((old, was): (&Model, &Role), (new, now): (&Model, &Role), who: &str, changes: &mut Changes) {
    if was.mode != now.mode {
        let word = |m: Mode| match m {
            Mode::Enforce => "enforce",
            Mode::Migrate => "migrate",
            Mode::Observe => "observe",
        };
        let rank = |m: Mode| match m {
            Mode::Enforce => 0,
            Mode::Migrate => 1,
            Mode::Observe => 2,
        };
        let order = rank(now.mode).cmp(&rank(was.mode));
        changes.add(Some(order), format!("{who}: mode {} → {}", word(was.mode), word(now.mode)));
    }
    let class = |m: &Model, c: ClassId| m.classes.get(usize::from(c)).map(|c| c.name.clone());
    let per = |seconds: u32| words::PER.iter().find(|(_, s)| *s == seconds).map_or("time", |(name, _)| *name);
    let filters = |m: &Model, r: &Role| -> BTreeMap<_, _> {
        r.comparisons.iter().map(|c| (class(m, c.class), (c.amount, c.seconds))).collect()
    };
    let (before, after) = (filters(old, was), filters(new, now));
    let names: BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
    for name in names {
        let shown = name.as_deref().unwrap_or("?");
        let words = |of: (u64, u32)| format!("{} per {}", of.0, per(of.1));
        match (before.get(&name).copied(), after.get(&name).copied()) {
            (a, b) if a == b => {}
            (None, Some(b)) => changes.more.push(format!("{who} may compare class {shown}, {}", words(b))),
            (Some(_), None) => changes.less.push(format!("{who} may no longer compare class {shown}")),
            (Some(a), Some(b)) => {
                let order = (a.1 == b.1).then(|| b.0.cmp(&a.0));
                changes.add(order, format!("{who} may compare class {shown}: {} → {}", words(a), words(b)));
            }
            (None, None) => {}
        }
    }
    let budgets = |m: &Model, r: &Role| -> BTreeMap<_, _> {
        let kind = |b: &Budget| {
            let of = match b.of {
                Counted::Rows => "rows",
                Counted::Bytes => "bytes",
                Counted::Statements => "statements",
            };
            let class = b.class.map(|c| format!(" of class {}", class(m, c).unwrap_or_default())).unwrap_or_default();
            format!("{of}{class} per {}", per(b.seconds))
        };
        r.budgets.iter().map(|b| (kind(b), b.amount)).collect()
    };
    let (before, after) = (budgets(old, was), budgets(new, now));
    let kinds: BTreeSet<_> = before.keys().chain(after.keys()).cloned().collect();
    for kind in kinds {
        match (before.get(&kind), after.get(&kind)) {
            (Some(a), Some(b)) if a != b => changes.add(Some(b.cmp(a)), format!("{who}: budget of {kind} {a} → {b}")),
            (None, Some(b)) => changes.less.push(format!("{who}: new budget, {b} {kind}")),
            (Some(a), None) => changes.more.push(format!("{who}: no budget any more, was {a} {kind}")),
            _ => {}
        }
    }
}

fn sets(who: &str, what: &str, a: &[String], b: &[String], changes: &mut Changes) {
    let added: Vec<_> = b.iter().filter(|x| !a.contains(x)).cloned().collect();
    let gone: Vec<_> = a.iter().filter(|x| !b.contains(x)).cloned().collect();
    if !added.is_empty() {
        changes.more.push(format!("{who} {what} {}", added.join(", ")));
    }
    if !gone.is_empty() {
        changes.less.push(format!("{who} no longer {what} {}", gone.join(", ")));
    }
}

/// Columns whose class changed, grouped by what that changes.
fn columns((old, was): (&Model, &Role), (new, now): (&Model, &Role), who: &str, changes: &mut Changes) {
    type Key<'a> = (&'a str, &'a str, &'a str, &'a str);
    fn key<'a>(m: &'a Model, c: &'a ResolvedColumn) -> Key<'a> {
        let target = m.targets.get(usize::from(c.target)).map_or("", |t| t.name.as_str());
        (target, &c.schema, &c.relation, &c.column)
    }
    fn class<'a>(m: &'a Model, c: &ResolvedColumn) -> Option<&'a str> {
        c.class.and_then(|i| m.classes.get(usize::from(i))).map(|c| c.name.as_str())
    }
    let before: BTreeMap<Key<'_>, &ResolvedColumn> = old.columns.iter().map(|c| (key(old, c), c)).collect();
    let mut grouped: BTreeMap<(String, u8), (Option<Ordering>, Vec<String>)> = BTreeMap::new();
    for c in &new.columns {
        let Some(o) = before.get(&key(new, c)) else { continue };
        let (from, to) = (class(old, o), class(new, c));
        let (from_clear, to_clear) = (o.binding.is_some() && from.is_none(), c.binding.is_some() && to.is_none());
        if from == to && from_clear == to_clear {
            continue;
        }
        let treat = |m, role, class: Option<&str>, declared| match class {
            Some(name) => of_class(m, role, name).cloned().unwrap_or(Redaction::Null),
            None if declared => Redaction::Clear,
            None => of_unclassified(role).clone(),
        };
        let (a, b) = (treat(old, was, from, from_clear), treat(new, now, to, to_clear));
        if a == b {
            continue;
        }
        let word = |class: Option<&str>, declared| match class {
            Some(name) => name.to_owned(),
            None if declared => "declared clear".to_owned(),
            None => "unclassified".to_owned(),
        };
        let sentence = format!(
            "{} → {}: {} → {}",
            word(from, from_clear),
            word(to, to_clear),
            redaction::show(&a),
            redaction::show(&b)
        );
        let order = redaction::compare(&b, &a);
        let rank = order.map_or(9, |o| match o {
            Ordering::Less => 0,
            Ordering::Equal => 1,
            Ordering::Greater => 2,
        });
        let full =
            format!("{}.{}.{}", selector::part(&c.schema), selector::part(&c.relation), selector::part(&c.column));
        grouped.entry((sentence, rank)).or_insert((order, Vec::new())).1.push(full);
    }
    for ((sentence, _), (order, mut names)) in grouped {
        let more = names.len().saturating_sub(NAMED_MAX);
        names.truncate(NAMED_MAX);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        changes.add(order, format!("{who}: {}{more} ({sentence})", names.join(", ")));
    }
}

/// Groups that get another role.
fn groups(old: &Model, new: &Model, changes: &mut Changes) {
    let names: BTreeSet<&str> =
        old.roles.iter().chain(&new.roles).flat_map(|r| &r.groups).map(String::as_str).collect();
    for group in names {
        let role = |m: &'_ Model| m.roles.iter().position(|r| r.groups.iter().any(|g| g == group || g == "*"));
        let who = if group == "*" { "everyone else".to_owned() } else { format!("group {group}") };
        match (role(old).map(|i| &old.roles[i]), role(new).map(|i| &new.roles[i])) {
            (Some(a), Some(b)) if a.name != b.name => {
                let mut inner = Changes::default();
                one_role((old, a), (new, b), &format!("{who} (now {}, was {})", b.name, a.name), &mut inner);
                if inner.is_empty() {
                    changes.different.push(format!("{who} is now {}, was {}, with the same rights", b.name, a.name));
                }
                changes.more.extend(inner.more);
                changes.less.extend(inner.less);
                changes.different.extend(inner.different);
            }
            (None, Some(b)) if old.roles.iter().any(|r| r.name == b.name) => {
                changes.more.push(format!("{who} is admitted as {}, was not admitted", b.name));
            }
            (Some(a), None) if new.roles.iter().any(|r| r.name == a.name) => {
                changes.less.push(format!("{who} is no longer admitted, was {}", a.name));
            }
            _ => {}
        }
    }
}

fn describe(block: &Block) -> String {
    let mut parts = Vec::new();
    let effects: Vec<_> = lineage::Effects(block.effects).names().collect();
    if !effects.is_empty() {
        parts.push(effects.join(", "));
    }
    if !block.objects.is_empty() {
        let objects: Vec<_> = block.objects.iter().map(selector::show_object).collect();
        parts.push(format!("on {}", objects.join(", ")));
    }
    if !block.words.is_empty() {
        parts.push(format!("words {}", block.words.join(", ")));
    }
    if !block.patterns.is_empty() {
        let patterns: Vec<_> = block.patterns.iter().map(|p| format!("/{}/", p.expression)).collect();
        parts.push(format!("patterns {}", patterns.join(", ")));
    }
    if !block.roles.is_empty() {
        parts.push(format!("for {}", block.roles.join(", ")));
    }
    if !block.except.is_empty() {
        parts.push(format!("except {}", block.except.join(", ")));
    }
    parts.join("; ")
}

fn blocks(old: &Model, new: &Model, changes: &mut Changes) {
    for block in &old.blocks {
        if !new.blocks.iter().any(|n| n.name == block.name) {
            changes.more.push(format!("rule {} is gone: {} is no longer refused by it", block.name, describe(block)));
        }
    }
    for now in &new.blocks {
        let Some(was) = old.blocks.iter().find(|o| o.name == now.name) else {
            changes.less.push(format!("rule {} newly refuses: {}", now.name, describe(now)));
            continue;
        };
        one_block(was, now, "refuses", changes);
    }
}

fn holds(old: &Model, new: &Model, changes: &mut Changes) {
    for hold in &old.holds {
        if !new.holds.iter().any(|n| n.rule.name == hold.rule.name) {
            let rule = &hold.rule;
            changes.more.push(format!("rule {} is gone: {} needs no approval by it", rule.name, describe(rule)));
        }
    }
    for now in &new.holds {
        let rule = &now.rule;
        let Some(was) = old.holds.iter().find(|o| o.rule.name == rule.name) else {
            let votes = format!("{} of {}", now.approvals, now.approvers.join(", "));
            changes.less.push(format!("rule {} newly holds: {}; votes: {votes}", rule.name, describe(rule)));
            continue;
        };
        one_block(&was.rule, rule, "holds", changes);
        one_hold(was, now, changes);
    }
}

fn one_hold(was: &Hold, now: &Hold, changes: &mut Changes) {
    let name = &now.rule.name;
    if was.rows_over != now.rows_over {
        let show = |rows: u64| if rows == 0 { "any number of".to_owned() } else { format!("more than {rows}") };
        let sentence = format!("rule {name} holds for {} rows, was {}", show(now.rows_over), show(was.rows_over));
        changes.add(Some(now.rows_over.cmp(&was.rows_over)), sentence);
    }
    if was.approvals != now.approvals {
        let sentence = format!("rule {name} needs {} votes, was {}", now.approvals, was.approvals);
        changes.add(Some(was.approvals.cmp(&now.approvals)), sentence);
    }
    if was.distinct_groups != now.distinct_groups {
        let sentence =
            if now.distinct_groups { "needs votes from distinct groups" } else { "takes votes of one group" };
        changes.add(Some(was.distinct_groups.cmp(&now.distinct_groups)), format!("rule {name} now {sentence}"));
    }
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (was.approvers.iter().collect(), now.approvers.iter().collect());
    for group in b.difference(&a) {
        changes.more.push(format!("rule {name}: {group} may approve"));
    }
    for group in a.difference(&b) {
        changes.less.push(format!("rule {name}: {group} may no longer approve"));
    }
    if was.in_transaction != now.in_transaction {
        let sentence = match now.in_transaction {
            InTransaction::Hold => "waits in a transaction too",
            InTransaction::Refuse => "fails at once in a transaction",
        };
        changes.different.push(format!("rule {name} now {sentence}"));
    }
}

fn one_block(was: &Block, now: &Block, verbs: &str, changes: &mut Changes) {
    let name = &now.name;
    let strings = |b: &Block| {
        let effects: BTreeSet<String> = lineage::Effects(b.effects).names().map(ToOwned::to_owned).collect();
        let objects: BTreeSet<String> = b.objects.iter().map(selector::show_object).collect();
        let words: BTreeSet<String> = b.words.iter().cloned().collect();
        let patterns: BTreeSet<String> = b.patterns.iter().map(|p| format!("/{}/", p.expression)).collect();
        [("effects", effects), ("objects", objects), ("words", words), ("patterns", patterns)]
    };
    for ((what, a), (_, b)) in strings(was).into_iter().zip(strings(now)) {
        let added: Vec<_> = b.difference(&a).cloned().collect();
        let gone: Vec<_> = a.difference(&b).cloned().collect();
        // A condition that was not there narrows the rule; one that is no longer there widens it.
        match (a.is_empty(), b.is_empty()) {
            (true, false) => {
                changes.more.push(format!("rule {name} now {verbs} only with {what} {}", added.join(", ")))
            }
            (false, true) => {
                changes.less.push(format!("rule {name} now {verbs} with any {what}, was {}", gone.join(", ")))
            }
            _ => {
                if !added.is_empty() {
                    changes.less.push(format!("rule {name} newly {verbs} {what} {}", added.join(", ")));
                }
                if !gone.is_empty() {
                    changes.more.push(format!("rule {name} no longer {verbs} {what} {}", gone.join(", ")));
                }
            }
        }
    }
    let (a, b): (BTreeSet<_>, BTreeSet<_>) = (was.roles.iter().collect(), now.roles.iter().collect());
    if a != b {
        let show = |s: &BTreeSet<&String>| {
            if s.is_empty() {
                "everyone".to_owned()
            } else {
                s.iter().map(|x| x.as_str()).collect::<Vec<_>>().join(", ")
            }
        };
        let wider = b.is_empty() || (!a.is_empty() && b.is_superset(&a));
        let narrower = a.is_empty() || a.is_superset(&b);
        let order = if wider { Some(Ordering::Less) } else { narrower.then_some(Ordering::Greater) };
        changes.add(order, format!("rule {name} applies to {}, was {}", show(&b), show(&a)));
    }
    let exempt: Vec<_> = now.except.iter().filter(|r| !was.except.contains(r)).cloned().collect();
    let bound: Vec<_> = was.except.iter().filter(|r| !now.except.contains(r)).cloned().collect();
    if !exempt.is_empty() {
        changes.more.push(format!("rule {name} no longer applies to {}", exempt.join(", ")));
    }
    if !bound.is_empty() {
        changes.less.push(format!("rule {name} now applies to {} too", bound.join(", ")));
    }
    if was.message != now.message || was.hint != now.hint {
        changes.different.push(format!("rule {name} says something else to the client"));
    }
}

fn targets(old: &Model, new: &Model, changes: &mut Changes) {
    for t in &old.targets {
        match new.targets.iter().find(|n| n.name == t.name) {
            None => changes.targets.push(format!("target {} is gone", t.name)),
            Some(n) => {
                for (what, a, b) in facts(t).into_iter().zip(facts(n)).map(|((w, a), (_, b))| (w, a, b)) {
                    if a != b {
                        changes.targets.push(format!("target {}: {what} {a} → {b}", t.name));
                    }
                }
            }
        }
    }
    for t in new.targets.iter().filter(|n| !old.targets.iter().any(|o| o.name == n.name)) {
        changes.targets.push(format!("target {} is new: {}, database {}", t.name, t.address, t.database));
    }
}

fn facts(t: &Target) -> [(&'static str, String); 6] {
    let word = |v: serde_json::Result<serde_json::Value>| {
        v.ok().and_then(|v| v.as_str().map(ToOwned::to_owned)).unwrap_or_default()
    };
    [
        ("protocol", word(serde_json::to_value(t.protocol))),
        ("address", t.address.clone()),
        ("tls", word(serde_json::to_value(t.tls))),
        ("database", t.database.clone()),
        ("account", t.account.clone()),
        ("audit", word(serde_json::to_value(t.audit))),
    ]
}

fn word_lists(old: &Model, new: &Model, changes: &mut Changes) {
    for list in &old.word_lists {
        let Some(now) = new.word_lists.iter().find(|n| n.name == list.name) else { continue };
        let (a, b): (BTreeSet<_>, BTreeSet<_>) = (list.words.iter().collect(), now.words.iter().collect());
        let (gone, added) = (a.difference(&b).count(), b.difference(&a).count());
        let (a, b): (BTreeSet<_>, BTreeSet<_>) = (list.patterns.iter().collect(), now.patterns.iter().collect());
        for pattern in a.difference(&b) {
            changes.more.push(format!("word list {}: {pattern} is no longer found in free text", list.name));
        }
        for pattern in b.difference(&a) {
            changes.less.push(format!("word list {}: {pattern} is newly found in free text", list.name));
        }
        if gone > 0 {
            changes.more.push(format!("word list {}: {gone} words are no longer found in free text", list.name));
        }
        if added > 0 {
            changes.less.push(format!("word list {}: {added} words are newly found in free text", list.name));
        }
    }
}
