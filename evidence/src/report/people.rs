//! How people came in and what they held: sign-ins, credentials, bound sessions, what administrators took away, acts that
//! were not allowed, accounts upstream that lived for one session.
//!
//! A person is issuer and subject; the login name stands beside, as far as a record told it. Refusals of strangers are
//! counted by what they claimed to be. Memory: the tables, each bounded.

use std::collections::BTreeMap;

use audit::render;

use super::requests::{Names, Who, about, actor, identity, shown_time, until};
use super::{Grouped, at, place, times};
use crate::join::is_refusal;
use crate::query::source_host;
use crate::row::Row;
use crate::table::{ROWS_MAX, Table};

#[derive(Clone, Debug)]
struct Credential {
    minted: (u64, String),
    who: Who,
    source: String,
    target: String,
    what: String,
    purpose: String,
    until_ns: u64,
    sessions: u64,
    ended: Option<(u64, String)>,
    shown: bool,
}

/// What the log says about people.
#[derive(Clone, Debug)]
pub(super) struct People {
    pub(super) failed_sign_ins: u64,
    pub(super) sign_ins: u64,
    ways: Grouped,
    credentials: BTreeMap<String, Credential>,
    more: u64,
    bindings: Table,
    taken: Table,
    refused: Table,
    upstream: Table,
}

impl Default for People {
    fn default() -> Self {
        Self {
            failed_sign_ins: 0,
            sign_ins: 0,
            ways: Grouped::default(),
            credentials: BTreeMap::new(),
            more: 0,
            bindings: Table::new(
                "bound-sessions",
                "Sessions of people who signed in, and what they were bound to",
                &["time", "record", "session", "person", "identity", "target", "role", "way", "id", "purpose", "until"],
            ),
            taken: Table::new(
                "administration",
                "Suspensions, revocations, sessions ended by somebody, keys registered and removed",
                &["time", "record", "by", "about", "act", "id", "target", "reason"],
            ),
            refused: Table::new(
                "refused-acts",
                "Votes, requests and acts of administration that were not allowed",
                &["time", "record", "person", "identity", "act", "detail", "source"],
            ),
            upstream: Table::new(
                "session-accounts",
                "Accounts in databases that lived for one session, and sessions cut off when their access ended",
                &["time", "record", "session", "person", "target", "account", "event", "reason", "ms", "until"],
            ),
        }
    }
}

impl People {
    /// Takes a row of the log into account, wanted or not.
    pub(super) fn know(&mut self, row: &Row) {
        let id = row.field("id");
        match row.act.as_str() {
            "mint" if self.credentials.len() >= ROWS_MAX => self.more += 1,
            "mint" => {
                let credential = Credential {
                    minted: (row.begin_ns, place(row)),
                    who: actor(row),
                    source: source_host(&row.facts.source).to_owned(),
                    target: row.facts.target.clone(),
                    what: row.field("detail").to_owned(),
                    purpose: row.field("reason").to_owned(),
                    until_ns: until(row),
                    sessions: 0,
                    ended: None,
                    shown: false,
                };
                self.credentials.insert(id.to_owned(), credential);
            }
            "bind" | "end" => {
                if let Some(credential) = self.credentials.get_mut(id) {
                    if row.act == "bind" {
                        credential.sessions += 1;
                    } else {
                        credential.ended = Some((row.begin_ns, row.field("detail").to_owned()));
                    }
                }
            }
            _ => {}
        }
    }

    /// Takes a wanted row of kind ACCESS into account.
    pub(super) fn access(&mut self, row: &Row, names: &Names) {
        let who = actor(row);
        let text = |name: &str| row.field(name).to_owned();
        if let Some(credential) = self.credentials.get_mut(row.field("id")) {
            credential.shown = true;
        }
        let source = source_host(&row.facts.source).to_owned();
        match row.act.as_str() {
            "sign_in" | "sign_in_failed" | "sign_out" => {
                self.sign_ins += u64::from(row.act == "sign_in");
                self.failed_sign_ins += u64::from(row.act == "sign_in_failed");
                let group = self.ways.at(&[&who.0, &who.1, &row.act, row.field("detail")]);
                group.numbers[0] += 1;
                group.span.add(row.begin_ns);
                if group.names.len() < 64 {
                    group.names.insert(source);
                }
            }
            "bind" => {
                let session = row.session.map(|session| render::hex(&session.0)).unwrap_or_default();
                let (target, role) = (row.facts.target.clone(), row.facts.role.clone());
                let (way, id, purpose) = (text("detail"), text("id"), text("reason"));
                let (person, until) = (names.of(&who), shown_time(until(row)));
                let cells =
                    [at(row), place(row), session, person, identity(&who), target, role, way, id, purpose, until];
                self.bindings.push(cells.into());
            }
            "admin" | "authenticator" => self.took(row, names, text("detail"), String::new()),
            // What ends by itself is in the tables of what it was.
            "end" if !who.1.is_empty() => self.took(row, names, text("detail"), text("id")),
            act if is_refusal(act) => {
                let (person, act) = (names.of(&who), act.to_owned());
                self.refused.push(vec![at(row), place(row), person, identity(&who), act, text("detail"), source]);
            }
            _ => {}
        }
    }

    fn took(&mut self, row: &Row, names: &Names, act: String, id: String) {
        let (by, of) = (names.of(&actor(row)), names.of(&about(row)));
        let (target, reason) = (row.facts.target.clone(), row.field("reason").to_owned());
        self.taken.push(vec![at(row), place(row), by, of, act, id, target, reason]);
    }

    /// Takes a wanted row of kind CREDENTIAL into account.
    pub(super) fn credential(&mut self, row: &Row, names: &Names) {
        let facts = &row.facts;
        let session = row.session.map(|session| render::hex(&session.0)).unwrap_or_default();
        let person = names.of(&(facts.issuer.clone(), facts.person.clone()));
        let (target, account) = (facts.target.clone(), facts.account.clone());
        let (event, reason) = (row.act.clone(), row.outcome.clone());
        let ms = format!("{:.3}", row.duration_us as f64 / 1e3);
        let until = shown_time(until(row));
        self.upstream.push(vec![at(row), place(row), session, person, target, account, event, reason, ms, until]);
    }

    /// Sign-ins by person and way.
    pub(super) fn sign_ins(&self, names: &Names) -> Table {
        let head = ["person", "identity", "event", "way", "count", "addresses", "first", "last"];
        let mut table = Table::new("sign-ins", "Sign-ins by person and way", &head);
        for (key, group) in &self.ways.0 {
            let [issuer, subject, event, way] = key.as_slice() else { continue };
            let who = (issuer.clone(), subject.clone());
            let addresses: Vec<&str> = group.names.iter().take(20).map(String::as_str).collect();
            let row = [names.of(&who), identity(&who), event.clone(), way.clone(), group.numbers[0].to_string()];
            table.push(row.into_iter().chain([addresses.join(" ")]).chain(times(&group.span)).collect());
        }
        table.with_note("way: how a sign-in was proved; of one that failed, why it failed")
    }

    /// Credentials given out.
    pub(super) fn credentials(&self, names: &Names) -> Table {
        let head = [
            "id", "time", "record", "person", "identity", "source", "target", "what", "purpose", "until", "sessions",
            "ended", "how",
        ];
        let mut table = Table::new("credentials", "Passwords and certificates given out for hours", &head);
        let mut shown: Vec<_> = self.credentials.iter().filter(|(_, credential)| credential.shown).collect();
        shown.sort_by_key(|(id, credential)| (credential.minted.0, *id));
        for (id, credential) in shown {
            let (ended, how) = credential.ended.clone().unwrap_or_default();
            table.push(vec![
                id.clone(),
                shown_time(credential.minted.0),
                credential.minted.1.clone(),
                names.of(&credential.who),
                identity(&credential.who),
                credential.source.clone(),
                credential.target.clone(),
                credential.what.clone(),
                credential.purpose.clone(),
                shown_time(credential.until_ns),
                credential.sessions.to_string(),
                shown_time(ended),
                how,
            ]);
        }
        table.more += self.more;
        table.with_note(
            "each ends at the time under `until`, or before it with its sign-in; `ended` is by somebody's act; sessions under a role \
             that was given for a time are counted with that role",
        )
    }

    /// Tables that hold records one by one: bound sessions, administration, refused acts, accounts of sessions.
    pub(super) fn lists(&self) -> [Table; 4] {
        let note = "ms: how long it took; for `expire_kill`, how long after its end the session was cut off";
        [self.bindings.clone(), self.taken.clone(), self.refused.clone(), self.upstream.clone().with_note(note)]
    }
}
