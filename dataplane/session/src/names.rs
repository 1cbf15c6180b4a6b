//! What the session's SQL-level names stand for: PREPARE'd statements, DECLAREd cursors, and temporary relations.
//!
//! Invariant: a name is in the map only after the database said that the statement that made it succeeded. A name that
//! is not in the map is unknown, and policy refuses what uses it.

use lineage::facts::FunctionStanding;
use lineage::{Effects, SessionUse, Statement};
use policy::MadeBy;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// Names of one kind kept per session; past that all are forgotten, and using them is refused.
const NAMES_MAX: usize = 1024;

/// Bytes of texts kept per session; rules that look at texts refuse what one is not kept of.
const TEXTS_BYTES_MAX: usize = 1 << 20;

/// A statement that a name stands for.
#[derive(Debug)]
struct Made {
    statement: Arc<Statement>,
    text: Option<Arc<str>>,
}

/// What the names of a session stand for.
#[derive(Debug, Default)]
pub struct Names {
    prepared: HashMap<String, Made>,
    cursors: HashMap<String, Made>,
    /// Temporary relations that this session made. Nothing but this session's own statements can write into them. One
    /// that is gone again stays: its name then means nothing, or what the catalog says.
    temporary: HashSet<String>,
    /// The session has, or may have, another search path than its account is given.
    pub own_path: bool,
    /// It has, or may have, relations or types of its own that come before others of their names.
    pub shadows: bool,
}

impl policy::Names for Names {
    fn prepared(&self, name: &str) -> Option<Arc<Statement>> {
        self.prepared.get(name).map(|made| Arc::clone(&made.statement))
    }

    fn cursor(&self, name: &str) -> Option<Arc<Statement>> {
        self.cursors.get(name).map(|made| Arc::clone(&made.statement))
    }

    fn made_by(&self, statement: &Arc<Statement>) -> MadeBy {
        let mut made = self.prepared.values().chain(self.cursors.values());
        match made.find(|made| Arc::ptr_eq(&made.statement, statement)).map(|made| &made.text) {
            Some(Some(text)) => MadeBy::Text(Arc::clone(text)),
            Some(None) | None => MadeBy::Forgotten,
        }
    }

    fn temporary(&self, name: &str) -> bool {
        self.temporary.contains(name)
    }

    fn by_path(&self) -> bool {
        !self.own_path
    }
}

/// Names as a text with several statements sees them: its own PREPARE and DECLARE count too, where the name can mean
/// nothing else. A name the session has already, or that the text defines twice, is unknown: which of the two a
/// statement of the text means depends on what succeeds.
pub struct NamesOfText<'a> {
    /// Of the session.
    pub session: &'a Names,
    /// Of the text.
    pub statements: &'a [Arc<Statement>],
    /// The protocol has the name too.
    pub taken: &'a dyn Fn(&str) -> bool,
}

impl NamesOfText<'_> {
    fn own(
        &self,
        mine: impl Fn(&SessionUse) -> bool,
        known: Option<Arc<Statement>>,
        name: &str,
    ) -> Option<Arc<Statement>> {
        let mut own = self.statements.iter().filter(|s| mine(&s.session));
        match (own.next(), own.next()) {
            (None, _) => known,
            (Some(one), None) if known.is_none() && !(self.taken)(name) => Some(Arc::clone(one)),
            (Some(_), _) => None,
        }
    }
}

impl policy::Names for NamesOfText<'_> {
    fn prepared(&self, name: &str) -> Option<Arc<Statement>> {
        let known = policy::Names::prepared(self.session, name);
        self.own(|s| matches!(s, SessionUse::Prepare(n) if n == name), known, name)
    }

    fn cursor(&self, name: &str) -> Option<Arc<Statement>> {
        let known = policy::Names::cursor(self.session, name);
        self.own(|s| matches!(s, SessionUse::Declare(n) if n == name), known, name)
    }

    fn made_by(&self, statement: &Arc<Statement>) -> MadeBy {
        if self.statements.iter().any(|own| Arc::ptr_eq(own, statement)) {
            return MadeBy::ThisText;
        }
        policy::Names::made_by(self.session, statement)
    }

    fn temporary(&self, name: &str) -> bool {
        let made = |s: &Arc<Statement>| makes_temporary(s).any(|n| n == name);
        policy::Names::temporary(self.session, name) || self.statements.iter().any(made)
    }

    fn by_path(&self) -> bool {
        !(self.session.own_path || self.statements.iter().any(|s| moves_path(s)))
    }
}

impl Names {
    /// Of a new session, which may have asked for another search path than its account is given.
    #[must_use]
    pub fn new(own_path: bool) -> Self {
        Self { own_path, ..Self::default() }
    }

    /// These statements go upstream. What is made stays noted: it may be gone again, or have another name.
    pub fn follow(&mut self, statements: &[Arc<Statement>]) {
        self.shadows |= statements.iter().any(|statement| statement.shadows);
    }

    /// Names of relations mean to this session what they mean to every other of its account.
    #[must_use]
    pub fn are_plain(&self) -> bool {
        !self.own_path && self.temporary.is_empty()
    }

    /// The statement, which is one of this text, succeeded. True if it made a temporary relation, so that names of relations mean something else now.
    pub fn apply(&mut self, statement: &Arc<Statement>, text: &str) -> bool {
        let mut made = false;
        for name in makes_temporary(statement) {
            made = true;
            if self.temporary.len() < NAMES_MAX {
                self.temporary.insert(name.to_owned());
            }
        }
        match &statement.session {
            SessionUse::Prepare(name) => {
                let made = self.made(statement, text);
                insert(&mut self.prepared, name, made);
            }
            SessionUse::Declare(name) => {
                let made = self.made(statement, text);
                insert(&mut self.cursors, name, made);
            }
            SessionUse::Deallocate(Some(name)) => drop(self.prepared.remove(name)),
            SessionUse::Deallocate(None) => self.prepared.clear(),
            SessionUse::Close(Some(name)) => drop(self.cursors.remove(name)),
            SessionUse::Close(None) => self.cursors.clear(),
            SessionUse::ResetAll => {
                self.prepared.clear();
                self.cursors.clear();
            }
            SessionUse::None
            | SessionUse::Execute(_)
            | SessionUse::Fetch(_)
            | SessionUse::Set { .. }
            | SessionUse::SetMany(_)
            | SessionUse::Reset(_)
            | SessionUse::Show(_)
            | SessionUse::Listen(_)
            | SessionUse::Notify(_) => {}
        }
        made
    }
}

impl Names {
    /// With its own part of the text, if there is room for it.
    fn made(&self, statement: &Arc<Statement>, text: &str) -> Made {
        let own = text.get(statement.span.start as usize..statement.span.end as usize);
        let all = self.prepared.values().chain(self.cursors.values());
        let kept: usize = all.filter_map(|made| made.text.as_ref()).map(|text| text.len()).sum();
        let text = own.filter(|own| !own.is_empty() && kept + own.len() <= TEXTS_BYTES_MAX);
        Made { statement: Arc::clone(statement), text: text.map(Arc::from) }
    }
}

/// The statement can change the search path.
#[must_use]
pub fn moves_path(statement: &Statement) -> bool {
    match &statement.session {
        SessionUse::Set { name, .. } => name == "search_path",
        SessionUse::Reset(name) => matches!(name.as_str(), "search_path" | "all"),
        SessionUse::SetMany(all) => all.iter().any(|(name, _)| name == "search_path"),
        SessionUse::ResetAll => true,
        _ => statement.functions.iter().any(|f| f.name == "set_config" && f.standing != FunctionStanding::Known),
    }
}

/// Names of the temporary relations that a statement makes.
fn makes_temporary(statement: &Statement) -> impl Iterator<Item = &str> {
    let makes = Effects::CREATE.with(Effects::CREATE_AS).with(Effects::CREATE_VIEW);
    let relations = if statement.effects.intersects(makes) { statement.relations.as_slice() } else { &[] };
    relations.iter().filter(|r| r.written && r.temporary).map(|r| r.name.as_str())
}

fn insert(map: &mut HashMap<String, Made>, name: &str, made: Made) {
    if map.len() >= NAMES_MAX {
        map.clear();
    }
    map.insert(name.to_owned(), made);
}

/// The statement can change which names exist.
#[must_use]
pub fn changes(statement: &Statement) -> bool {
    matches!(
        statement.session,
        SessionUse::Prepare(_)
            | SessionUse::Declare(_)
            | SessionUse::Deallocate(_)
            | SessionUse::Close(_)
            | SessionUse::ResetAll
    ) || makes_temporary(statement).next().is_some()
}
