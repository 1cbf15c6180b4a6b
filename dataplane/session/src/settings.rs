//! The session's parameters (PostgreSQL manual, chapter 20), as far as they say what a statement means: the same `DELETE`
//! deletes other rows under another `DateStyle`, `TimeZone` or search path. What an approval is bound to includes them.
//!
//! Invariants: a digest that another session can have too is given only while everything that was set is known to hold;
//! otherwise it is one of the question alone. Of two sessions of an account with equal digests, the parameters are equal.
//! Deliberately absent: what functions and procedures set while they run, where they are not called in the open.

use lineage::facts::{FunctionStanding, FunctionUse};
use lineage::{Effects, Facts, SessionUse, Statement};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// Parameters kept per session; past that the digest is of the question alone.
const SETTINGS_MAX: usize = 256;
const DIGEST_BYTES: usize = 32;

type Digest = [u8; DIGEST_BYTES];

/// What a session asked for when it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Startup {
    /// It asked for a search path.
    pub own_path: bool,
    /// It asked for another reading of literals than other sessions of the account have.
    own_reading: bool,
    digest: Digest,
}

impl Startup {
    /// Of start-up parameters, names and values.
    #[must_use]
    pub fn of(parameters: &[(String, String)]) -> Self {
        let mut all: Vec<(String, &str)> = parameters
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
            .filter(|(name, value)| matters(name, Some(value)))
            .collect();
        all.sort_unstable();
        if all.is_empty() {
            return Self::default();
        }
        let own_path = all.iter().any(|(name, _)| name == "search_path");
        let own_reading = all.iter().any(|(name, value)| match name.as_str() {
            "datestyle" => !["iso", "iso, mdy", "iso,mdy"].contains(&value.to_lowercase().as_str()),
            name => name == "intervalstyle" || name.starts_with("lc_"),
        });
        let mut hash = Sha256::new();
        for (name, value) in &all {
            part(&mut hash, name.as_bytes());
            part(&mut hash, value.as_bytes());
        }
        Self { own_path, own_reading, digest: hash.finalize().into() }
    }
}

/// What a statement does to parameters, if it is `SET` or the like; its end says whether it did.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Change {
    /// A value, told by the digest of the text; whether it says all of it.
    Set(String, Digest, bool),
    /// Back to what it was at login.
    Reset(String),
    /// All of them are.
    ResetAll,
}

/// A change on its way.
#[derive(Clone, Debug)]
struct Waiting {
    number: u64,
    change: Change,
    /// Failures of the session before it.
    failures: u64,
    /// It was not known before what the parameter is.
    was_open: bool,
    succeeded: bool,
}

/// Parameters of a session.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    login: Digest,
    own_reading: bool,
    /// Something may have set any of them, and it is not known whether it holds.
    all_open: bool,
    /// Parameters of its own may have been made, which nothing takes out of a connection again.
    own_names: bool,
    /// The same, and not all of their names are known: the doubt does not end.
    unseen: bool,
    /// Most sessions change nothing.
    changes: Option<Box<Changes>>,
}

/// What a session has changed.
#[derive(Debug, Default)]
struct Changes {
    set: BTreeMap<String, Digest>,
    /// Those that something may have set, and it is not known whether it holds.
    open: BTreeSet<String>,
    waiting: Vec<Waiting>,
}

impl Changes {
    /// Back to the login's. A parameter that did not exist then is empty now, and not nothing.
    fn reset(&mut self, name: String) {
        if name.contains('.') {
            self.set.insert(name, Digest::default());
        } else {
            self.set.remove(&name);
        }
    }
}

impl Settings {
    /// Of a new session.
    #[must_use]
    pub(crate) fn new(startup: Startup) -> Self {
        Self { login: startup.digest, own_reading: startup.own_reading, ..Self::default() }
    }

    /// Literals mean to this session what they mean to others of its account.
    #[must_use]
    pub(crate) fn are_plain(&self) -> bool {
        !self.own_reading && self.are_known() && self.changes.as_ref().is_none_or(|changes| changes.set.is_empty())
    }

    /// Others of the account are given something else from now on, and this session keeps its own.
    pub(crate) fn are_old(&mut self) {
        self.login = Sha256::new().chain_update(b"old").chain_update(self.login).finalize().into();
    }

    /// A text that changes parameters goes upstream as statement `number`, after [`Self::before`] with the same `open`; the
    /// session has had so many `failures` until now. `simple`: it is run once, as a whole, all of it or nothing.
    pub(crate) fn change(&mut self, number: u64, text: &[u8], facts: &Facts, simple: bool, failures: u64, open: bool) {
        let known = if open { None } else { known_changes(facts, text, simple) };
        let was_open = |change: &Change| match change {
            Change::Set(name, ..) | Change::Reset(name) => {
                self.changes.as_ref().is_some_and(|changes| changes.open.contains(name))
            }
            Change::ResetAll => true,
        };
        let wait = |change| {
            let was_open = was_open(&change);
            Waiting { number, change, failures, was_open, succeeded: false }
        };
        let waiting: Vec<Waiting> = known.into_iter().flatten().map(wait).collect();
        for statement in &facts.statements {
            self.doubt(statement);
        }
        let changes = self.changes.get_or_insert_default();
        changes.waiting.extend(waiting);
        if changes.open.len().max(changes.set.len()).max(changes.waiting.len()) > SETTINGS_MAX {
            (self.all_open, self.unseen) = (true, true);
            self.changes = None;
        }
    }

    fn doubt(&mut self, statement: &Statement) {
        // What EXECUTE and FETCH run may be what sets something.
        if sets_unseen(statement) || matches!(statement.session, SessionUse::Execute(_) | SessionUse::Fetch(_)) {
            (self.all_open, self.own_names, self.unseen) = (true, true, true);
        }
        let open = &mut self.changes.get_or_insert_default().open;
        match &statement.session {
            SessionUse::Set { name, value } if matters(name, value.as_deref()) => {
                self.own_names |= name.contains('.');
                open.insert(key(name).to_owned());
            }
            SessionUse::SetMany(all) => {
                for (name, _) in all.iter().filter(|(name, value)| matters(name, value.as_deref())) {
                    self.own_names |= name.contains('.');
                    open.insert(key(name).to_owned());
                }
            }
            SessionUse::ResetAll => self.all_open = true,
            SessionUse::Reset(name) if name == "all" => self.all_open = true,
            SessionUse::Reset(name) if matters(name, None) => drop(open.insert(key(name).to_owned())),
            _ => {}
        }
    }

    /// Something goes upstream after a change. `open`: in a transaction, or behind something that is not answered; then it
    /// may be what takes the change back, and it is not known what came of it.
    pub(crate) fn before(&mut self, open: bool, failures: u64) {
        if open {
            if let Some(changes) = &mut self.changes {
                changes.waiting.clear();
            }
        } else {
            self.settle(failures);
        }
    }

    /// Something waits for [`Self::settle`].
    #[must_use]
    pub(crate) fn wait(&self) -> bool {
        self.changes.as_ref().is_some_and(|changes| !changes.waiting.is_empty())
    }

    /// The statement succeeded.
    pub(crate) fn succeeded(&mut self, number: u64) {
        let waiting = self.changes.iter_mut().flat_map(|changes| &mut changes.waiting);
        for waiting in waiting.filter(|waiting| waiting.number == number) {
            waiting.succeeded = true;
        }
    }

    /// Everything that went upstream was answered, no transaction is open, and the session has had so many failures: what
    /// succeeded with none after it holds.
    pub(crate) fn settle(&mut self, failures: u64) {
        let Some(changes) = &mut self.changes else { return };
        for waiting in std::mem::take(&mut changes.waiting) {
            if !waiting.succeeded {
                // It was alone in its transaction, and failed: everything is as before.
                if let Change::Set(name, ..) | Change::Reset(name) = &waiting.change
                    && !waiting.was_open
                {
                    changes.open.remove(name);
                }
                continue;
            }
            if waiting.failures != failures {
                continue;
            }
            match waiting.change {
                // A style alone keeps the order of day and month there is (manual 8.5.2), so what was before matters.
                Change::Set(name, _, false) if waiting.was_open => drop(changes.open.insert(name)),
                Change::Set(name, digest, whole) => {
                    changes.open.remove(&name);
                    let before = changes.set.get(&name).filter(|_| !whole).copied().unwrap_or_default();
                    let digest = Sha256::new().chain_update(before).chain_update(digest).finalize().into();
                    changes.set.insert(name, digest);
                }
                Change::Reset(name) => {
                    changes.open.remove(&name);
                    changes.reset(name);
                }
                Change::ResetAll => {
                    self.all_open = self.unseen;
                    let names: BTreeSet<String> = std::mem::take(&mut changes.open);
                    let set = std::mem::take(&mut changes.set);
                    names.into_iter().chain(set.into_keys()).for_each(|name| changes.reset(name));
                }
            }
        }
    }

    /// The session may have made parameters of its own.
    pub(crate) fn own_names(&self) -> bool {
        self.own_names
    }

    /// What holds is known.
    pub(crate) fn are_known(&self) -> bool {
        !self.all_open && self.changes.as_ref().is_none_or(|changes| changes.open.is_empty())
    }

    /// What holds, as a digest; while that is not known, or does not say all (not `sure`), one of this question alone.
    #[must_use]
    pub(crate) fn digest(&self, question: &str, sure: bool) -> [u8; 32] {
        let mut hash = Sha256::new();
        if !sure || !self.are_known() {
            part(&mut hash, b"open");
            part(&mut hash, question.as_bytes());
        } else if self.changes.as_ref().is_none_or(|changes| changes.set.is_empty()) {
            return self.login;
        }
        hash.update(self.login);
        for (name, digest) in self.changes.iter().flat_map(|changes| &changes.set) {
            part(&mut hash, name.as_bytes());
            hash.update(digest);
        }
        hash.finalize().into()
    }
}

/// One part of what is hashed, with its length before it.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

/// The statement can change parameters that say what others mean.
#[must_use]
pub(crate) fn changes(statement: &Statement) -> bool {
    match &statement.session {
        SessionUse::Set { name, value } => matters(name, value.as_deref()),
        SessionUse::Reset(name) => matters(name, None),
        SessionUse::SetMany(all) => all.iter().any(|(name, value)| matters(name, value.as_deref())),
        SessionUse::ResetAll => true,
        _ => sets_unseen(statement),
    }
}

/// Functions of the server and of its own extensions that run a text, a cursor or a query by name.
const RUN_TEXTS: &[&str] = &[
    "connectby",
    "crosstab",
    "crosstab2",
    "crosstab3",
    "crosstab4",
    "cursor_to_xml",
    "cursor_to_xmlschema",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "set_config",
    "ts_rewrite",
    "ts_stat",
    "xpath_table",
];

/// It can set what is not written in it.
fn sets_unseen(statement: &Statement) -> bool {
    let runs = |f: &FunctionUse| f.standing != FunctionStanding::Known && RUN_TEXTS.contains(&f.name.as_str());
    matches!(statement.kind, "DO" | "CALL") || statement.functions.iter().any(runs)
}

/// The parameter can change what a statement does. Unknown ones can.
fn matters(name: &str, value: Option<&str>) -> bool {
    if name.contains('.') {
        return true;
    }
    match name {
        "application_name" | "client_min_messages" | "jit" | "work_mem" => false,
        // Above 0 every value means the shortest exact form (manual 20.11.2), as does the usual default.
        "extra_float_digits" => !value.is_some_and(|value| value.trim().parse().is_ok_and(|digits: i32| digits > 0)),
        _ => !name.ends_with("_timeout") && !name.starts_with("tcp_"),
    }
}

/// What transactions begin with. `SET SESSION CHARACTERISTICS` sets some of these parameters and leaves the others, so that
/// what holds is told by all that was said of any, in order.
const DEFAULTS: &str = "default_transaction";

/// The name that a parameter is kept by.
fn key(name: &str) -> &str {
    if name.starts_with("default_transaction_") { DEFAULTS } else { name }
}

/// What a text changes, in order, if that is told by its end alone: it ends no transaction and runs nothing by name.
fn known_changes(facts: &Facts, text: &[u8], simple: bool) -> Option<Vec<Change>> {
    if facts.statements.len() != 1 && !simple {
        return None;
    }
    let mut known = Vec::new();
    for statement in &facts.statements {
        if changes(statement) {
            let own = text.get(statement.span.start as usize..statement.span.end as usize)?;
            known.push(lone_change(statement, own, simple)?);
        } else if matches!(statement.session, SessionUse::Execute(_) | SessionUse::Fetch(_))
            || statement.effects.intersects(Effects::TRANSACTION.with(Effects::TWO_PHASE))
        {
            return None;
        }
    }
    Some(known)
}

/// `SELECT set_config('name', 'value', false)` and nothing else, which is run once if it is run at all.
fn is_lone_set_config(text: &[u8]) -> bool {
    let mut rest = text.trim_ascii();
    let word = |rest: &mut &[u8], word: &str| {
        let found = rest.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word.as_bytes()));
        *rest = if found { rest[word.len()..].trim_ascii_start() } else { rest };
        found
    };
    // Without quotes or backslashes in it, a value is the same by any reading.
    let value = |rest: &mut &[u8]| {
        let Some(inner) = rest.strip_prefix(b"'") else { return false };
        let Some(end) = inner.iter().position(|byte| matches!(byte, b'\'' | b'\\')) else { return false };
        let (found, behind) = (inner[end] == b'\'', &inner[end + 1..]);
        *rest = behind.trim_ascii_start();
        found && behind.first() != Some(&b'\'')
    };
    word(&mut rest, "select")
        && (word(&mut rest, "set_config") || word(&mut rest, "pg_catalog.set_config"))
        && word(&mut rest, "(")
        && value(&mut rest)
        && word(&mut rest, ",")
        && value(&mut rest)
        && word(&mut rest, ",")
        && word(&mut rest, "false")
        && word(&mut rest, ")")
        && rest.is_empty()
}

fn lone_change(statement: &Statement, text: &[u8], simple: bool) -> Option<Change> {
    // `SET LOCAL` outside of a transaction does nothing, nor does `FROM CURRENT`; that the word may stand in a value is not
    // worth a closer look.
    let says = |word: &[u8]| text.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    let defaults = |name: &String| key(name) == DEFAULTS;
    let said = || Some(Change::Set(DEFAULTS.to_owned(), Sha256::digest(text).into(), false));
    match &statement.session {
        SessionUse::Set { .. } | SessionUse::SetMany(_)
            if !(statement.kind == "SET" && !says(b"local") && !says(b"current")
                || simple && is_lone_set_config(text)) =>
        {
            None
        }
        SessionUse::Set { name, .. } | SessionUse::Reset(name) if defaults(name) => said(),
        SessionUse::SetMany(all) if all.iter().all(|(name, _)| defaults(name)) => said(),
        SessionUse::Set { name, value: Some(value) } => {
            let whole = name != "datestyle" || is_whole_style(value);
            Some(Change::Set(name.clone(), Sha256::digest(text).into(), whole))
        }
        SessionUse::Set { name, value: None } => Some(Change::Reset(name.clone())),
        SessionUse::Reset(name) if name == "all" => Some(Change::ResetAll),
        SessionUse::Reset(name) => Some(Change::Reset(name.clone())),
        SessionUse::ResetAll => Some(Change::ResetAll),
        _ => None,
    }
}

/// A date style that says both the form and the order of day and month: `ISO, ISO` is two words and says one of them.
fn is_whole_style(value: &str) -> bool {
    let is = |part: &str, list: &[&str]| list.iter().any(|one| part.trim().eq_ignore_ascii_case(one));
    let (form, order) = (["iso", "sql", "postgres", "german"], ["dmy", "mdy", "ymd"]);
    let both = |one: &str, other: &str| is(one, &form) && is(other, &order);
    value.split_once(',').is_some_and(|(one, other)| both(one, other) || both(other, one))
}

/// It reads parameters by name, so that those count too that say nothing of what other statements mean.
pub(crate) fn reads(facts: &Facts) -> bool {
    facts.statements.iter().any(|statement| {
        statement.functions.iter().any(|f| matches!(f.name.as_str(), "current_setting" | "pg_show_all_settings"))
            || statement.relations.iter().any(|r| r.name == "pg_settings")
    })
}

#[cfg(test)]
mod tests;
