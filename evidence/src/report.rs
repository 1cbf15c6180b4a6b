//! Reports: one pass over the rows of a period, and the tables that answer an auditor's questions.
//!
//! A table says what the log says. Where this version's records cannot answer a question, the report names the question
//! and answers nothing. Memory: the groups and lists of the tables, each bounded.

mod people;
mod requests;

use std::collections::{BTreeMap, BTreeSet};

use audit::{render, time};

use crate::query::source_host;
use crate::row::{Decision, MASKED, Row, STATEMENT, Shown};
use crate::table::Table;
use people::People;
pub use requests::Agreed;
use requests::Requests;

/// Groups of one table; more are counted together as `(others)`.
const GROUPS_MAX: usize = 100_000;

/// Names of the reports.
pub const REPORTS: [&str; 12] = [
    "access",
    "authn",
    "approvals",
    "exposure",
    "refusals",
    "reviews",
    "evidence-access",
    "changes",
    "continuity",
    "retention",
    "identity",
    "clock",
];

/// What this version's records do not answer, by report.
pub const UNANSWERED: [(&str, &str); 7] = [
    (
        "access",
        "Who was put into which group and when that was taken back: groups come from the identity provider, whose records these are not.",
    ),
    (
        "authn",
        "Whether the identity provider asked for a second factor at sign-in: that is in its records. Keys that people signed votes with are in the table `votes`.",
    ),
    (
        "exposure",
        "Whose data it was (accounting of disclosures to one patient): records name columns and classes, never persons in the data.",
    ),
    (
        "approvals",
        "Whether a voter understood what they approved, and what they were shown beside the statement: the record holds what was approved, by whom and when.",
    ),
    ("reviews", "Whether a review was thorough: the record is the reviewer's statement."),
    ("continuity", "What happened while the gateway did not run: only that it did not, by the first record after it."),
    ("clock", "How exact the time source is, unless the headers state an error bound."),
];

#[derive(Clone, Debug, Default)]
struct Span {
    first: u64,
    last: u64,
}

impl Span {
    fn add(&mut self, at: u64) {
        if self.first == 0 || at < self.first {
            self.first = at;
        }
        self.last = self.last.max(at);
    }
}

#[derive(Clone, Debug, Default)]
struct Group {
    numbers: [u64; 5],
    span: Span,
    names: BTreeSet<String>,
    issuers: BTreeSet<String>,
}

/// Groups by key.
#[derive(Clone, Debug, Default)]
struct Grouped(BTreeMap<Vec<String>, Group>);

impl Grouped {
    fn at(&mut self, key: &[&str]) -> &mut Group {
        let mut key: Vec<String> = key.iter().map(|&part| part.to_owned()).collect();
        if self.0.len() >= GROUPS_MAX && !self.0.contains_key(&key) {
            key.iter_mut().for_each(|part| "(others)".clone_into(part));
        }
        self.0.entry(key).or_default()
    }
}

/// Numbers of a period, for summaries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Rows of any kind.
    pub events: u64,
    /// Statements.
    pub statements: u64,
    /// Refused ones.
    pub refused: u64,
    /// Statements under observation that the rules would have refused or masked.
    pub observed: u64,
    /// Statements that returned masked columns.
    pub masked: u64,
    /// Statements that returned protected columns in clear.
    pub clear: u64,
    /// Statements without an ending in the log.
    pub open: u64,
    /// Sessions opened.
    pub sessions: u64,
    /// Failed logins.
    pub failed_logins: u64,
    /// Sign-ins at the console and by `tidegate login`.
    pub sign_ins: u64,
    /// Failed ones.
    pub failed_sign_ins: u64,
    /// Records that the log says were lost.
    pub lost: u64,
    /// Outages.
    pub outages: u64,
    /// Their length in microseconds.
    pub outage_us: u64,
    /// Sessions and statements refused meanwhile.
    pub outage_refused: (u64, u64),
    /// Starts after a crash.
    pub crashes: u64,
    /// Persons with sessions or statements.
    pub persons: BTreeSet<String>,
    /// Time of the first and last row, nanoseconds.
    pub span: (u64, u64),
}

/// Gathers reports.
#[derive(Clone, Debug)]
pub struct Reports {
    /// Numbers.
    pub totals: Totals,
    requests: Requests,
    people: People,
    sessions: Grouped,
    logins: Grouped,
    exposure: Grouped,
    tables: Grouped,
    refusals: Grouped,
    accounts: Grouped,
    failures: Table,
    clear: Table,
    refused: Table,
    unresolved: Table,
    reviews: Table,
    looks: Table,
    changes: Table,
    continuity: Table,
    nodes: Table,
    holds: Table,
    purges: Table,
    clock: Table,
}

impl Default for Reports {
    fn default() -> Self {
        let t = Table::new;
        Self {
            totals: Totals::default(),
            requests: Requests::default(),
            people: People::default(),
            sessions: Grouped::default(),
            logins: Grouped::default(),
            exposure: Grouped::default(),
            tables: Grouped::default(),
            refusals: Grouped::default(),
            accounts: Grouped::default(),
            failures: t("failed-logins", "Failed logins", &["time", "record", "user", "source", "reason"]),
            clear: t(
                "shown-in-clear",
                "Statements that showed protected columns in clear (what minimum-necessary reviews look at)",
                &["time", "record", "person", "role", "target", "tables", "columns", "rows"],
            ),
            refused: t(
                "refused-statements",
                "Refused statements",
                &["time", "record", "person", "role", "target", "code", "rule", "outcome"],
            ),
            unresolved: t(
                "unresolved-sessions",
                "Sessions without a person (must be none)",
                &["time", "record", "source", "target", "account"],
            ),
            reviews: t(
                "reviews",
                "Reviews of activity",
                &["time", "record", "reviewer", "looked_at", "findings", "ticket", "step"],
            ),
            looks: t(
                "evidence-access",
                "Who looked at recordings or took records out of the log",
                &["time", "record", "person", "act", "what", "count", "reason"],
            ),
            changes: t(
                "changes",
                "Changes of rules, configuration, program and modes",
                &["time", "record", "what", "target", "detail"],
            ),
            continuity: t(
                "continuity",
                "Starts, ends, outages, gaps and alarms of the log",
                &[
                    "time",
                    "record",
                    "event",
                    "clean",
                    "seconds",
                    "lost",
                    "refused_sessions",
                    "refused_statements",
                    "detail",
                ],
            ),
            nodes: t("nodes", "Nodes that joined or left", &["time", "record", "event", "origin", "detail"]),
            holds: t(
                "holds",
                "Legal holds set and cleared",
                &["time", "record", "event", "name", "query", "person", "reason"],
            ),
            purges: t(
                "purges",
                "Keys destroyed",
                &["time", "record", "kind", "sessions", "person", "reason", "order", "signatures"],
            ),
            clock: t("clock", "Changes of the wall clock", &["time", "record", "step_ms"]),
        }
    }
}

fn at(row: &Row) -> String {
    time::format(row.begin_ns, 3)
}

fn place(row: &Row) -> String {
    format!("{}/{}", row.place.core, row.place.sequence)
}

impl Reports {
    /// Takes notice of a row of the log, wanted or not: what it says about a request, a grant or a credential belongs to
    /// them. Every row comes here before it comes to [`Reports::add`].
    pub fn know(&mut self, row: &Row) {
        self.requests.know(row);
        if row.kind == "ACCESS" {
            self.people.know(row);
        }
    }

    /// What became of the requests that are shown, in numbers.
    #[must_use]
    pub fn agreed(&self) -> Agreed {
        self.requests.numbers()
    }

    /// Records of approvals being used, in order of time: id of the request, core, sequence.
    #[must_use]
    pub fn uses(&self) -> Vec<(String, u16, u64)> {
        self.requests.uses()
    }

    /// Takes a wanted row into account.
    pub fn add(&mut self, row: &Row) {
        let totals = &mut self.totals;
        totals.events += 1;
        totals.span.0 = if totals.span.0 == 0 { row.begin_ns } else { totals.span.0.min(row.begin_ns) };
        totals.span.1 = totals.span.1.max(row.end_ns);
        match row.kind {
            STATEMENT => self.statement(row),
            "SESSION_OPEN" | "AUTH_FAIL" => self.login(row),
            "APPROVAL" => self.requests.want(row),
            "ACCESS" => {
                self.requests.want(row);
                self.people.access(row, &self.requests.names);
                (totals.sign_ins, totals.failed_sign_ins) = (self.people.sign_ins, self.people.failed_sign_ins);
            }
            "CREDENTIAL" => self.people.credential(row, &self.requests.names),
            "EXPORT" | "REPLAY_VIEW" => {
                let what = if row.kind == "EXPORT" { row.field("detail").to_owned() } else { session(row) };
                let act =
                    if row.kind == "EXPORT" { format!("export {}", row.field("kind")) } else { "replay".to_owned() };
                let count = if row.kind == "EXPORT" { row.number("count").to_string() } else { String::new() };
                self.looks.push(vec![
                    at(row),
                    place(row),
                    person(row),
                    act,
                    what,
                    count,
                    row.field("reason").to_owned(),
                ]);
            }
            "REVIEW" => self.reviews.push(
                [at(row), place(row), person(row)]
                    .into_iter()
                    .chain(["detail", "findings", "ticket", "reason"].map(|name| row.field(name).to_owned()))
                    .collect(),
            ),
            "HOLD_SET" | "HOLD_CLEAR" => {
                let event = if row.kind == "HOLD_SET" { "set" } else { "cleared" };
                let [name, query, reason] = ["name", "query", "reason"].map(|name| row.field(name).to_owned());
                self.holds.push(vec![at(row), place(row), event.to_owned(), name, query, person(row), reason]);
            }
            "PURGE" => {
                let count = row.fields.get("sessions").and_then(|list| list.as_array()).map_or(0, Vec::len);
                let signatures = row.fields.get("signatures").map(signers).unwrap_or_default();
                self.purges.push(vec![
                    at(row),
                    place(row),
                    row.field("kind").to_owned(),
                    count.to_string(),
                    person(row),
                    row.field("reason").to_owned(),
                    row.field("order").to_owned(),
                    signatures,
                ]);
            }
            "POLICY_LOAD" | "CONFIG" | "KEY_ROTATE" => self.change(row),
            "NODE_ENROLL" | "NODE_RETIRE" => {
                let event = if row.kind == "NODE_ENROLL" { "joined" } else { "left" };
                let detail = format!("{}{}", row.field("key"), row.field("reason"));
                let origin = row.field("origin").to_owned();
                self.nodes.push(vec![at(row), place(row), event.to_owned(), origin, detail]);
            }
            // Each run of a tool is an epoch of the desk; that is no start of recording.
            "EPOCH_START" | "EPOCH_END" if row.place.core == audit::desk::DESK => {}
            "EPOCH_START" | "EPOCH_END" | "GAP" | "LOG_MODE" | "ALARM" => {
                if row.kind == "LOG_MODE" && !row.facts.target.is_empty() {
                    self.change(row);
                } else {
                    self.continuity(row);
                }
            }
            "CLOCK_STEP" => {
                let step: i64 = row.field("step_ns").parse().unwrap_or(0);
                self.clock.push(vec![at(row), place(row), (step / 1_000_000).to_string()]);
            }
            _ => {}
        }
    }

    fn statement(&mut self, row: &Row) {
        let (facts, totals) = (&row.facts, &mut self.totals);
        totals.statements += 1;
        totals.persons.insert(facts.person.clone());
        totals.refused += u64::from(row.decision == Decision::Refused);
        totals.observed += u64::from(row.decision == Decision::Observed);
        totals.open += u64::from(row.outcome.is_empty());
        let shown = row.shown();
        let (masked, clear): (Vec<Shown<'_>>, Vec<Shown<'_>>) =
            shown.iter().copied().partition(|column| column.how == MASKED);
        totals.masked += u64::from(!masked.is_empty());
        totals.clear += u64::from(!clear.is_empty());
        let group = self.sessions.at(&[&facts.person, &facts.role, &facts.target]);
        group.numbers[1] += 1;
        group.numbers[2] += u64::from(row.decision == Decision::Refused);
        group.span.add(row.begin_ns);
        let classes: BTreeSet<(&str, &str, &str)> = shown.iter().map(|c| (c.class, c.how, c.method)).collect();
        for (class, how, method) in classes {
            let group = self.exposure.at(&[&facts.person, &facts.role, &facts.target, class, how, method]);
            group.numbers[0] += 1;
            group.numbers[1] += row.rows;
            group.span.add(row.begin_ns);
            group.names.extend(row.tables.iter().take(64).cloned());
        }
        for table in &row.tables {
            let group = self.tables.at(&[&facts.target, table, &facts.person]);
            group.numbers[0] += 1;
            group.numbers[1] += row.rows;
            group.numbers[2] += u64::from(row.decision == Decision::Refused);
            group.numbers[3] += u64::from(!masked.is_empty());
            group.numbers[4] += u64::from(!clear.is_empty());
        }
        if !clear.is_empty() {
            let columns: Vec<String> = clear.iter().map(|c| format!("{}:{}", c.column, c.class)).collect();
            self.clear.push(vec![
                at(row),
                place(row),
                person(row),
                facts.role.clone(),
                facts.target.clone(),
                row.tables.join(" "),
                columns.join(" "),
                row.rows.to_string(),
            ]);
        }
        if row.decision == Decision::Refused {
            let code = if row.code.is_empty() { row.outcome.as_str() } else { row.code.as_str() };
            let group = self.refusals.at(&[code, &row.rule, &facts.person, &facts.role]);
            group.numbers[0] += 1;
            group.span.add(row.begin_ns);
            let (code, rule, outcome) = (row.code.clone(), row.rule.clone(), row.outcome.clone());
            let (role, target) = (facts.role.clone(), facts.target.clone());
            self.refused.push(vec![at(row), place(row), person(row), role, target, code, rule, outcome]);
        }
    }

    fn login(&mut self, row: &Row) {
        let facts = &row.facts;
        let source = source_host(&facts.source).to_owned();
        if row.kind == "AUTH_FAIL" {
            self.totals.failed_logins += 1;
            let group = self.logins.at(&[&facts.person]);
            group.numbers[1] += 1;
            group.span.add(row.begin_ns);
            self.failures.push(vec![at(row), place(row), person(row), source, row.outcome.clone()]);
            return;
        }
        self.totals.sessions += 1;
        self.totals.persons.insert(facts.person.clone());
        let group = self.logins.at(&[&facts.person]);
        group.issuers.insert(facts.issuer.clone());
        group.numbers[0] += 1;
        group.numbers[2] += u64::from(facts.tls.is_empty());
        group.span.add(row.begin_ns);
        group.names.insert(source.clone());
        let group = self.sessions.at(&[&facts.person, &facts.role, &facts.target]);
        group.numbers[0] += 1;
        group.span.add(row.begin_ns);
        let group = self.accounts.at(&[&facts.target, &facts.account]);
        group.numbers[0] += 1;
        group.names.insert(facts.person.clone());
        if facts.person.is_empty() {
            let (target, account) = (facts.target.clone(), facts.account.clone());
            self.unresolved.push(vec![at(row), place(row), source, target, account]);
        }
    }

    fn change(&mut self, row: &Row) {
        let (what, detail) = match row.kind {
            "POLICY_LOAD" => ("rules in force", format!("bundle {}", render::hex(&row.bundle))),
            "LOG_MODE" => ("recording mode", format!("{} {}", row.field("mode"), row.field("reason"))),
            "KEY_ROTATE" => ("signing key", row.field("key").to_owned()),
            _ => ("configuration", row.detail()),
        };
        self.changes.push(vec![at(row), place(row), what.to_owned(), row.facts.target.clone(), detail]);
    }

    fn continuity(&mut self, row: &Row) {
        let is_clean = row.fields.get("clean").and_then(serde_json::Value::as_bool).unwrap_or(false);
        // The very first start follows nothing.
        let first = row.kind == "EPOCH_START" && row.place.sequence == 1;
        let clean = match (row.kind, is_clean || first) {
            ("EPOCH_START", true) => "yes",
            ("EPOCH_START", false) => {
                self.totals.crashes += 1;
                "no"
            }
            _ => "",
        };
        if row.kind == "GAP" {
            let totals = &mut self.totals;
            totals.outages += 1;
            totals.outage_us = totals.outage_us.saturating_add(row.number("duration_us"));
            totals.lost += row.number("lost");
            totals.outage_refused.0 += row.number("sessions");
            totals.outage_refused.1 += row.number("statements");
        }
        let seconds = |us: u64| if us == 0 { String::new() } else { format!("{:.3}", us as f64 / 1e6) };
        let event = row.kind.to_ascii_lowercase().replace('_', " ");
        let refused = |name| if row.kind == "GAP" { row.number(name).to_string() } else { String::new() };
        self.continuity.push(vec![
            at(row),
            place(row),
            event,
            clean.to_owned(),
            seconds(row.number("duration_us")),
            if row.kind == "GAP" { row.number("lost").to_string() } else { String::new() },
            refused("sessions"),
            refused("statements"),
            row.detail(),
        ]);
    }

    /// The tables of a report; of all with `all`.
    #[must_use]
    pub fn tables(&self, report: &str) -> Vec<Table> {
        let all = report == "all";
        let wants = |name: &str| all || name == report;
        let mut tables = Vec::new();
        if wants("access") {
            tables.push(self.access());
            tables.push(self.requests.grants());
            tables.extend(self.people.lists());
        }
        if wants("authn") {
            tables.push(self.authn());
            tables.push(self.failures.clone());
        }
        if wants("authn") || wants("access") {
            tables.push(self.people.sign_ins(&self.requests.names));
            tables.push(self.people.credentials(&self.requests.names));
        }
        if wants("approvals") {
            tables.push(self.requests.approvals());
            tables.push(self.requests.votes());
            tables.push(self.requests.emergencies());
            tables.push(self.requests.findings());
        }
        if wants("exposure") {
            tables.push(self.exposure());
            tables.push(self.by_table());
            tables.push(self.clear.clone());
        }
        if wants("refusals") {
            tables.push(self.refusals());
            tables.push(self.refused.clone());
        }
        if wants("reviews") {
            tables.push(self.reviews.clone());
        }
        if wants("evidence-access") {
            tables.push(self.looks.clone());
        }
        if wants("changes") {
            tables.push(self.changes.clone());
            tables.push(self.nodes.clone());
        }
        if wants("continuity") {
            tables.push(self.continuity.clone().with_note(self.continuity_note()));
        }
        if wants("retention") {
            tables.push(self.holds.clone());
            tables.push(self.purges.clone());
        }
        if wants("identity") {
            tables.push(self.unresolved.clone());
            tables.push(self.shared_accounts());
        }
        if wants("clock") {
            tables.push(self.clock.clone());
        }
        tables
    }

    /// The continuity of the log in one sentence.
    #[must_use]
    pub fn continuity_note(&self) -> String {
        let Totals { outages, outage_us, outage_refused, lost, crashes, .. } = &self.totals;
        format!(
            "{lost} records lost, {outages} outages, {:.1} s, refused meanwhile: {} sessions and {} statements; {crashes} starts after a crash",
            *outage_us as f64 / 1e6,
            outage_refused.0,
            outage_refused.1,
        )
    }

    fn access(&self) -> Table {
        let head = ["person", "role", "target", "sessions", "statements", "refused", "first", "last"];
        let mut table = Table::new("access", "Who used which target in which role", &head);
        for (key, group) in &self.sessions.0 {
            let numbers = [0, 1, 2].map(|n| group.numbers[n].to_string());
            table.push(key.iter().cloned().chain(numbers).chain(times(&group.span)).collect());
        }
        table
    }

    fn authn(&self) -> Table {
        let head = ["person", "issuer", "logins", "failed", "without_tls", "addresses", "first", "last"];
        let mut table = Table::new("logins", "Logins by person", &head);
        for (key, group) in &self.logins.0 {
            let addresses: Vec<&str> = group.names.iter().take(20).map(String::as_str).collect();
            let numbers = [0, 1, 2].map(|n| group.numbers[n].to_string());
            let issuers: Vec<&str> = group.issuers.iter().map(String::as_str).collect();
            let row = key.iter().cloned().chain([issuers.join(" ")]).chain(numbers).chain([addresses.join(" ")]);
            table.push(row.chain(times(&group.span)).collect());
        }
        table
    }

    fn exposure(&self) -> Table {
        let head =
            ["person", "role", "target", "class", "shown", "method", "statements", "rows", "tables", "first", "last"];
        let mut table = Table::new("exposure", "Who saw which classes of protected columns, masked or in clear", &head);
        for (key, group) in &self.exposure.0 {
            let tables: Vec<&str> = group.names.iter().take(20).map(String::as_str).collect();
            let numbers = [0, 1].map(|n| group.numbers[n].to_string());
            let row = key.iter().cloned().chain(numbers).chain([tables.join(" ")]).chain(times(&group.span));
            table.push(row.collect());
        }
        table.with_note("rows counts each statement's rows once per class; tables are those the statements name")
    }

    fn by_table(&self) -> Table {
        let head = ["target", "table", "person", "statements", "rows", "refused", "masked", "clear"];
        let mut table = Table::new("tables", "Statements by table and person", &head);
        for (key, group) in &self.tables.0 {
            table.push(key.iter().cloned().chain(group.numbers.map(|n| n.to_string())).collect());
        }
        table
    }

    fn refusals(&self) -> Table {
        let head = ["code", "rule", "person", "role", "count", "first", "last"];
        let mut table = Table::new("refusals", "Refusals by code, rule and person", &head);
        for (key, group) in &self.refusals.0 {
            let count = group.numbers[0].to_string();
            table.push(key.iter().cloned().chain([count]).chain(times(&group.span)).collect());
        }
        table
    }

    fn shared_accounts(&self) -> Table {
        let head = ["target", "account", "sessions", "persons", "names"];
        let mut table = Table::new("accounts", "Persons behind each database account", &head);
        for (key, group) in &self.accounts.0 {
            let names: Vec<&str> = group.names.iter().take(50).map(String::as_str).collect();
            let numbers = [group.numbers[0].to_string(), group.names.len().to_string()];
            table.push(key.iter().cloned().chain(numbers).chain([names.join(" ")]).collect());
        }
        table.with_note(
            "shared accounts are the rule behind a gateway; every statement is the person's who is named here",
        )
    }
}

fn times(span: &Span) -> [String; 2] {
    [time::format(span.first, 0), time::format(span.last, 0)]
}

fn person(row: &Row) -> String {
    row.person().to_owned()
}

fn session(row: &Row) -> String {
    row.session.map(|session| format!("session {}", render::hex(&session.0))).unwrap_or_default()
}

/// Names in signature lines.
fn signers(lines: &serde_json::Value) -> String {
    let lines = lines.as_array().into_iter().flatten().filter_map(|line| line.as_str());
    let names: Vec<&str> = lines.filter_map(|line| line.split(' ').nth(1)).collect();
    names.join(" ")
}

#[cfg(test)]
mod tests;
