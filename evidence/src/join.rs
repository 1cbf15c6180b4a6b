//! Records to rows: what the log says about one statement in several records becomes one row.
//!
//! One pass in the log's order; kept are the open sessions and the statements under way, nothing else. A statement's row
//! comes when its last record was read (result or refusal), when its session closes, or at the end of the log; so rows
//! come in the order in which statements ended.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::path::Path;
use std::rc::Rc;

use audit::record::SessionId;
use audit::{Body, Entry, Filter, OwnedActor, Show, ShowError};

use crate::row::{Decision, Place, Row, STATEMENT, Session, Text};

/// One row or a place of the log that could not be read.
pub type Item = Result<Row, ShowError>;

struct Open {
    facts: Rc<Session>,
    core: u16,
    epoch: u32,
    statements: BTreeMap<u64, Row>,
}

/// Iterator over the rows of a log.
pub struct Rows {
    show: Option<Show>,
    sessions: HashMap<SessionId, Open>,
    ready: VecDeque<Item>,
    nobody: Rc<Session>,
}

impl Rows {
    /// Opens a log.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn open(directory: &Path) -> Result<Self, ShowError> {
        let show = audit::show(directory, Filter::default())?;
        Ok(Self { show: Some(show), sessions: HashMap::new(), ready: VecDeque::new(), nobody: Rc::default() })
    }

    fn take(&mut self, entry: Entry) {
        let place =
            Place { core: entry.core, epoch: entry.epoch, block: entry.block_seq, sequence: entry.record.sequence };
        let at = entry.record.clock.wall_ns;
        let body = &entry.record.body;
        if matches!(body, Body::EpochStart { .. }) {
            self.forget(entry.core, entry.epoch);
        }
        if let Body::SessionOpen { session, .. } = body {
            let open =
                Open { facts: Rc::new(facts(body)), core: entry.core, epoch: entry.epoch, statements: BTreeMap::new() };
            self.sessions.insert(*session, open);
        }
        let Some(session) = body.session() else {
            self.other(&entry, place, at, Rc::clone(&self.nobody));
            return;
        };
        let is_statement =
            matches!(body, Body::Intent { .. } | Body::Block { .. } | Body::Result { .. } | Body::Observe { .. });
        if !is_statement {
            let facts = self.sessions.get(&session).map_or_else(|| Rc::clone(&self.nobody), |o| Rc::clone(&o.facts));
            if let Body::Release { statement, .. } = body {
                let statements = self.sessions.get_mut(&session).map(|open| &mut open.statements);
                if let Some(row) = statements.and_then(|statements| statements.get_mut(statement)) {
                    row.releases += 1;
                }
                return;
            }
            if let Body::SessionClose { .. } | Body::AuthFail { .. } = body {
                self.flush(session);
            }
            self.other(&entry, place, at, facts);
            return;
        }
        let open = self.sessions.entry(session).or_insert_with(|| Open {
            // A log whose beginning is gone: the statements count, whose they were is not known.
            facts: Rc::default(),
            core: entry.core,
            epoch: entry.epoch,
            statements: BTreeMap::new(),
        });
        let begin = |statement: u64| Row {
            place,
            statement,
            kind: STATEMENT,
            begin_ns: at,
            end_ns: at,
            session: Some(session),
            decision: Decision::Allowed,
            ..Row::default()
        };
        let done = match body {
            Body::Intent { statement, via, fingerprint, effects, bundle, .. } => {
                let row = open.statements.entry(*statement).or_insert_with(|| begin(*statement));
                // The intent is the record that says what was sent; an observation may stand before it.
                (row.place, row.begin_ns, row.end_ns) = (place, at, at);
                (row.text, row.tables) = (text_of(body), tables_of(body));
                row.via.clone_from(via);
                (row.fingerprint, row.effects, row.bundle) = (*fingerprint, *effects, *bundle);
                None
            }
            Body::Observe { statement, masked, code, rule, bundle, .. } => {
                let row = open.statements.entry(*statement).or_insert_with(|| begin(*statement));
                row.decision = Decision::Observed;
                row.masked.extend(masked.iter().cloned());
                if row.code.is_empty() {
                    (row.code, row.rule) = (code.clone(), rule.clone());
                }
                row.bundle = *bundle;
                None
            }
            Body::Block { statement, code, rule, bundle, .. } => {
                let row = open.statements.entry(*statement).or_insert_with(|| begin(*statement));
                row.decision = Decision::Refused;
                (row.code, row.rule, row.bundle) = (code.clone(), rule.clone(), *bundle);
                if row.text == Text::None {
                    row.text = text_of(body);
                }
                if row.tables.is_empty() {
                    row.tables = tables_of(body);
                }
                row.end_ns = at;
                if row.via.is_empty() {
                    // Never forwarded: the refusal is all there is.
                    "refused".clone_into(&mut row.outcome);
                    Some(*statement)
                } else {
                    None
                }
            }
            Body::Result { statement, outcome, sqlstate, rows, bytes, duration_us, masked, clear, .. } => {
                let row = open.statements.entry(*statement).or_insert_with(|| begin(*statement));
                row.end_ns = at;
                row.outcome.clone_from(outcome);
                row.sqlstate = String::from_utf8_lossy(sqlstate).into_owned();
                (row.rows, row.bytes, row.duration_us) = (*rows, *bytes, *duration_us);
                row.masked.extend(masked.iter().cloned());
                row.clear.extend(clear.iter().cloned());
                if outcome == "refused" || outcome == "budget" {
                    row.decision = Decision::Refused;
                }
                Some(*statement)
            }
            _ => None,
        };
        let facts = Rc::clone(&open.facts);
        if let Some(mut row) = done.and_then(|statement| open.statements.remove(&statement)) {
            row.facts = facts;
            self.ready.push_back(Ok(row));
        }
    }

    /// A record that is a row of its own.
    fn other(&mut self, entry: &Entry, place: Place, at: u64, facts: Rc<Session>) {
        let body = &entry.record.body;
        let facts = match body {
            Body::AuthFail { source, user, .. } => {
                Rc::new(Session { person: user.clone(), source: source.clone(), ..Session::default() })
            }
            Body::PolicyLoad { target, .. } => Rc::new(Session { target: target.clone(), ..Session::default() }),
            Body::LogMode { target, .. } => Rc::new(Session { target: target.clone(), ..Session::default() }),
            Body::Access(access) => {
                Rc::new(concerned(&facts, [&access.actor, &access.about], &access.target, &access.source))
            }
            Body::Approval(approval) => {
                Rc::new(concerned(&facts, [&approval.actor, &OwnedActor::default()], &approval.target, ""))
            }
            Body::Credential(credential) => {
                let mut facts = Session::clone(&facts);
                facts.target.clone_from(&credential.target);
                facts.account.clone_from(&credential.account);
                Rc::new(facts)
            }
            _ => match actor_of(body) {
                Some(actor) => Rc::new(Session {
                    issuer: actor.issuer.clone(),
                    person: actor.subject.clone(),
                    role: actor.role.clone(),
                    ..Session::default()
                }),
                None => facts,
            },
        };
        let outcome = match body {
            Body::AuthFail { reason, .. } | Body::SessionClose { reason, .. } => reason.clone(),
            _ => String::new(),
        };
        let Act { act, outcome, decision, rule, statement, duration_us } = Act::of(body, outcome);
        let bundle = match body {
            Body::SessionOpen { bundle, .. } | Body::PolicyLoad { bundle, .. } => *bundle,
            _ => [0; 32],
        };
        let bytes = if let Body::SessionClose { bytes, .. } = body { *bytes } else { 0 };
        self.ready.push_back(Ok(Row {
            place,
            kind: body.name(),
            act,
            begin_ns: at,
            end_ns: at,
            session: body.session(),
            facts,
            statement,
            text: text_of(body),
            tables: tables_of(body),
            decision,
            rule,
            outcome,
            duration_us,
            bundle,
            bytes,
            fields: fields(entry),
            ..Row::default()
        }));
    }

    /// Gives out what is left of a session, which is over.
    fn flush(&mut self, session: SessionId) {
        if let Some(open) = self.sessions.remove(&session) {
            for (_, mut row) in open.statements {
                row.facts = Rc::clone(&open.facts);
                self.ready.push_back(Ok(row));
            }
        }
    }

    /// An epoch after the one in which a crash was accounted for: sessions of that core that never closed are over.
    fn forget(&mut self, core: u16, epoch: u32) {
        let over = |open: &Open| open.core == core && open.epoch.saturating_add(1) < epoch;
        let mut gone: Vec<SessionId> = self.sessions.iter().filter(|(_, o)| over(o)).map(|(id, _)| *id).collect();
        gone.sort_unstable();
        gone.into_iter().for_each(|session| self.flush(session));
    }
}

impl Iterator for Rows {
    type Item = Item;

    fn next(&mut self) -> Option<Item> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Some(item);
            }
            match self.show.as_mut()?.next() {
                Some(Ok(entry)) => self.take(entry),
                Some(Err(error)) => return Some(Err(error)),
                None => {
                    self.show = None;
                    let mut left: Vec<(u64, SessionId)> = self
                        .sessions
                        .iter()
                        .map(|(id, open)| (open.statements.values().next().map_or(0, |row| row.begin_ns), *id))
                        .collect();
                    left.sort_unstable();
                    left.into_iter().for_each(|(_, session)| self.flush(session));
                    if self.ready.is_empty() {
                        return None;
                    }
                    return self.ready.pop_front();
                }
            }
        }
    }
}

fn facts(body: &Body) -> Session {
    let Body::SessionOpen {
        session,
        actor,
        source,
        tls,
        application,
        target,
        database,
        account,
        recording,
        mode,
        key,
        ..
    } = body
    else {
        return Session::default();
    };
    Session {
        id: Some(*session),
        issuer: actor.issuer.clone(),
        person: actor.subject.clone(),
        role: actor.role.clone(),
        source: source.clone(),
        tls: tls.clone(),
        application: application.clone(),
        target: target.clone(),
        database: database.clone(),
        account: account.clone(),
        mode: mode.clone(),
        recording: recording.clone(),
        commitment: *key,
    }
}

/// What a record about access has in columns of a row.
#[derive(Default)]
struct Act {
    act: String,
    outcome: String,
    decision: Decision,
    rule: String,
    statement: u64,
    duration_us: u64,
}

impl Act {
    fn of(body: &Body, outcome: String) -> Self {
        match body {
            Body::Access(access) => {
                let (decision, outcome) = match (access.kind.as_str(), access.detail.as_str()) {
                    ("sign_in" | "grant" | "break_glass", _) => (Decision::Allowed, ""),
                    ("vote", detail) => vote(detail),
                    ("end", "denied") => (Decision::Refused, "denied"),
                    ("end", detail) => (Decision::None, detail),
                    (kind, _) if is_refusal(kind) => (Decision::Refused, "refused"),
                    _ => (Decision::None, ""),
                };
                Self { act: access.kind.clone(), outcome: outcome.to_owned(), decision, ..Self::default() }
            }
            Body::Approval(approval) => {
                let (decision, outcome) = match approval.kind.as_str() {
                    "grant" | "consume" => (Decision::Allowed, ""),
                    "vote" => vote(&approval.detail),
                    "end" if approval.reason == "denied" => (Decision::Refused, "denied"),
                    "end" => (Decision::None, approval.reason.split(':').next().unwrap_or_default()),
                    _ => (Decision::None, ""),
                };
                let (outcome, rule) = (outcome.to_owned(), approval.rule.clone());
                Self {
                    act: approval.kind.clone(),
                    outcome,
                    decision,
                    rule,
                    statement: approval.statement,
                    duration_us: 0,
                }
            }
            Body::Credential(credential) => Self {
                act: credential.kind.clone(),
                outcome: credential.reason.clone(),
                duration_us: credential.duration_us,
                ..Self::default()
            },
            _ => Self { outcome, ..Self::default() },
        }
    }
}

/// Is this an act that was tried and not allowed?
pub(crate) fn is_refusal(act: &str) -> bool {
    ["_failed", "_refused", "_replayed"].iter().any(|end| act.ends_with(end))
}

fn vote(detail: &str) -> (Decision, &str) {
    match detail.split(' ').next() {
        Some("approve") => (Decision::Allowed, "approve"),
        Some("deny") => (Decision::Refused, "deny"),
        _ => (Decision::None, ""),
    }
}

/// Who acts (or, where nobody does, whom it is about), and where: the session's facts as far as it is the session's person.
fn concerned(session: &Session, [actor, about]: [&OwnedActor; 2], target: &str, source: &str) -> Session {
    let who = if actor.subject.is_empty() { about } else { actor };
    let is_own = who.subject.is_empty() || (&who.issuer, &who.subject) == (&session.issuer, &session.person);
    let mut facts = if is_own {
        session.clone()
    } else {
        let (issuer, person) = (who.issuer.clone(), who.subject.clone());
        let (target, commitment) = (session.target.clone(), session.commitment);
        Session { id: session.id, issuer, person, target, commitment, ..Session::default() }
    };
    let is_about_self = (&who.issuer, &who.subject) == (&about.issuer, &about.subject);
    for role in [&who.role, &about.role] {
        if !role.is_empty() && (role == &who.role || is_about_self) {
            facts.role.clone_from(role);
            break;
        }
    }
    for (have, said) in [(&mut facts.target, target), (&mut facts.source, source)] {
        if !said.is_empty() {
            said.clone_into(have);
        }
    }
    facts
}

fn text_of(body: &Body) -> Text {
    if let Body::Approval(approval) = body {
        return match (approval.text.is_empty(), approval.sealed_text.is_empty()) {
            (false, _) => Text::Plain(approval.text.clone()),
            (true, false) => Text::Sealed(approval.sealed_text.clone()),
            (true, true) => Text::None,
        };
    }
    match body {
        Body::Intent { text, .. } | Body::Block { text, .. } if !text.is_empty() => Text::Plain(text.clone()),
        Body::Intent { sealed_text, .. } | Body::Block { sealed_text, .. } if !sealed_text.is_empty() => {
            Text::Sealed(sealed_text.clone())
        }
        _ => Text::None,
    }
}

fn tables_of(body: &Body) -> Vec<String> {
    match body {
        Body::Intent { tables, .. } | Body::Block { tables, .. } => tables.clone(),
        Body::Approval(approval) => approval.tables.clone(),
        _ => Vec::new(),
    }
}

/// The person behind an act on the log.
fn actor_of(body: &Body) -> Option<&OwnedActor> {
    match body {
        Body::ReplayView { actor, .. }
        | Body::Export { actor, .. }
        | Body::Review { actor, .. }
        | Body::HoldSet { actor, .. }
        | Body::HoldClear { actor, .. }
        | Body::Purge { actor, .. } => Some(actor),
        _ => None,
    }
}

/// The record's own fields, as its JSON form names them.
fn fields(entry: &Entry) -> serde_json::Map<String, serde_json::Value> {
    match serde_json::from_str(&audit::render::json(entry)) {
        Ok(serde_json::Value::Object(map)) => map,
        Ok(_) | Err(_) => serde_json::Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::record;
    use audit::record::{Actor, ClearColumn, MaskedColumn, Record};

    const SESSION: SessionId = SessionId([5; 16]);

    fn intent<'a>(statement: u64, tables: &'a [String]) -> Record<'a> {
        Record::Intent {
            session: SESSION,
            statement,
            text: b"select 1",
            sealed_text: &[],
            tables,
            via: "simple",
            fingerprint: 7,
            effects: 1,
            bundle: [1; 32],
            catalog_epoch: 1,
            parameters: None,
            sealed_parameters: &[],
            row_limit: 0,
        }
    }

    fn result<'a>(
        statement: u64,
        outcome: &'a str,
        masked: &'a [MaskedColumn<'a>],
        clear: &'a [ClearColumn<'a>],
    ) -> Record<'a> {
        let (session, sqlstate) = (SESSION, *b"00000");
        Record::Result { session, statement, outcome, sqlstate, rows: 3, bytes: 30, duration_us: 9, masked, clear }
    }

    #[test]
    fn what_several_records_say_about_a_statement_is_one_row() {
        let directory = tempfile::tempdir().unwrap();
        let tables = ["clinic.patients".to_owned()];
        let masked = [MaskedColumn { column: "a", class: "ssn", method: "token" }];
        let clear = [ClearColumn { column: "b", class: "name" }];
        let session = SESSION;
        let acts = [
            Record::SessionOpen {
                session,
                actor: Actor { issuer: "local", subject: "ana", role: "analyst" },
                source: "10.0.0.1:5",
                tls: "",
                application: "",
                target: "clinic",
                database: "clinic",
                account: "app",
                bundle: [1; 32],
                recording: "",
                mode: "strict",
                key: [0; 32],
            },
            intent(1, &tables),
            // The second is sent before the first has ended.
            intent(2, &[]),
            Record::Release { session, statement: 1, number: 1, rows: 3, bytes: 30, digest: [0; 32] },
            result(1, "ok", &masked, &clear),
            Record::Observe { session, statement: 2, bundle: [1; 32], masked: &masked, code: "TG1001", rule: "r" },
            result(2, "ok", &[], &[ClearColumn { column: "a", class: "ssn" }]),
            Record::Block {
                session,
                statement: 3,
                text: b"drop",
                sealed_text: &[],
                tables: &[],
                code: "TG1001",
                rule: "no-drop",
                bundle: [1; 32],
            },
            intent(4, &[]),
            result(4, "refused", &[], &[]),
            intent(5, &[]),
            Record::ReplayView {
                session,
                actor: Actor { issuer: "os", subject: "eve", role: "" },
                reason: "",
                detail: "",
            },
            Record::SessionClose { session, reason: "lost", statements: 4, bytes: 60 },
            // A session whose beginning is not in the log any more.
            Record::Block {
                session: SessionId([6; 16]),
                statement: 1,
                text: b"x",
                sealed_text: &[],
                tables: &[],
                code: "TG2001",
                rule: "",
                bundle: [1; 32],
            },
        ];
        record(directory.path(), &acts).unwrap();
        let rows: Vec<Row> = Rows::open(directory.path()).unwrap().map(Result::unwrap).collect();
        let shown: Vec<(&str, u64, Decision, &str, &str)> = rows
            .iter()
            .filter(|row| !row.kind.starts_with("EPOCH"))
            .map(|row| (row.kind, row.statement, row.decision, row.outcome.as_str(), row.person()))
            .collect();
        use Decision::{Allowed, None, Observed, Refused};
        assert_eq!(
            shown,
            [
                ("SESSION_OPEN", 0, None, "", "ana"),
                (STATEMENT, 1, Allowed, "ok", "ana"),
                (STATEMENT, 2, Observed, "ok", "ana"),
                (STATEMENT, 3, Refused, "refused", "ana"),
                (STATEMENT, 4, Refused, "refused", "ana"),
                ("REPLAY_VIEW", 0, None, "", "eve"),
                (STATEMENT, 5, Allowed, "", "ana"),
                ("SESSION_CLOSE", 0, None, "lost", "ana"),
                (STATEMENT, 1, Refused, "refused", "-"),
            ]
        );
        let first = rows.iter().find(|row| row.statement == 1 && row.kind == STATEMENT).unwrap();
        assert_eq!((first.releases, first.rows, first.tables.as_slice()), (1, 3, &tables[..]));
        let how: Vec<_> = first.shown().iter().map(|c| (c.column.to_owned(), c.how)).collect();
        assert_eq!(how, [("a".to_owned(), "masked"), ("b".to_owned(), "clear")]);
        let second = rows.iter().find(|row| row.statement == 2).unwrap();
        assert_eq!(second.shown().len(), 1, "shown once, as observed");
        // Two exports of one log name the same record for the same row.
        assert_eq!(first.id("o"), "o:65535:3");
    }
}
