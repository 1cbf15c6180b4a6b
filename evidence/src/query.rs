//! Filters over rows, and counts by field.
//!
//! A filter that is absent asks for nothing; several values of one filter are alternatives; different filters must all
//! hold. Deliberately absent: an expression language; what these filters cannot say, the exports can be asked.

use std::collections::BTreeMap;

use audit::{TYPE_NAMES, render, time};
use serde_json::{Value, json};

use crate::row::{Decision, MASKED, Row, STATEMENT, has_acts};

/// Different groups of one answer; more is an error, not a full memory.
pub const GROUPS_MAX: usize = 1_000_000;

/// Which rows are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    /// Not before, nanoseconds since 1970, by the row's first record.
    pub since_ns: Option<u64>,
    /// Before this.
    pub until_ns: Option<u64>,
    /// Persons.
    pub person: Vec<String>,
    /// Roles.
    pub role: Vec<String>,
    /// Targets.
    pub target: Vec<String>,
    /// Tables, with or without schema, in any case.
    pub table: Vec<String>,
    /// Classes of returned columns.
    pub class: Vec<String>,
    /// Decisions.
    pub decision: Vec<Decision>,
    /// Codes.
    pub code: Vec<String>,
    /// Rules.
    pub rule: Vec<String>,
    /// Outcomes.
    pub outcome: Vec<String>,
    /// Beginnings of session ids, lower-case hexadecimal.
    pub session: Vec<String>,
    /// Kinds, or a kind and its act (`ACCESS.sign_in`); empty for statements, `*` for everything.
    pub kind: Vec<String>,
    /// Only statements that showed protected columns in clear (`true`) or masked (`false`).
    pub clear: Option<bool>,
}

fn any(wanted: &[String], have: &str) -> bool {
    wanted.is_empty() || wanted.iter().any(|wanted| wanted == have)
}

fn is_table(wanted: &str, have: &str) -> bool {
    have.eq_ignore_ascii_case(wanted)
        || have.rsplit_once('.').is_some_and(|(_, last)| !wanted.contains('.') && last.eq_ignore_ascii_case(wanted))
}

impl Query {
    /// Is this row wanted?
    #[must_use]
    pub fn wants(&self, row: &Row) -> bool {
        let kind = if self.kind.is_empty() {
            row.kind == STATEMENT
        } else {
            let is_act = |wanted: &str| wanted.split_once('.') == Some((row.kind, &row.act));
            self.kind.iter().any(|wanted| wanted == "*" || wanted == row.kind || is_act(wanted))
        };
        let table = || {
            self.table.is_empty()
                || self.table.iter().any(|wanted| row.tables.iter().any(|have| is_table(wanted, have)))
        };
        let class = || self.class.is_empty() || self.class.iter().any(|wanted| row.classes().contains(wanted.as_str()));
        let session = || {
            self.session.is_empty()
                || row.session.is_some_and(|session| {
                    let session = render::hex(&session.0);
                    self.session.iter().any(|start| session.starts_with(start.as_str()))
                })
        };
        kind && self.since_ns.is_none_or(|since| row.begin_ns >= since)
            && self.until_ns.is_none_or(|until| row.begin_ns < until)
            && (self.decision.is_empty() || self.decision.contains(&row.decision))
            && any(&self.person, &row.facts.person)
            && any(&self.role, &row.facts.role)
            && any(&self.target, &row.facts.target)
            && any(&self.code, &row.code)
            && any(&self.rule, &row.rule)
            && any(&self.outcome, &row.outcome)
            && self.clear.is_none_or(|clear| row.shown().iter().any(|column| (column.how != MASKED) == clear))
            && table()
            && class()
            && session()
    }

    /// The filter in words that the command line takes, for records of who exported what.
    #[must_use]
    pub fn describe(&self) -> String {
        let mut parts = Vec::new();
        let mut list = |name: &str, values: &[String]| {
            if !values.is_empty() {
                parts.push(format!("{name}={}", values.join(",")));
            }
        };
        list("kind", &self.kind);
        list("person", &self.person);
        list("role", &self.role);
        list("target", &self.target);
        list("table", &self.table);
        list("class", &self.class);
        let decisions: Vec<String> = self.decision.iter().map(|d| d.name().to_owned()).collect();
        list("decision", &decisions);
        list("code", &self.code);
        list("rule", &self.rule);
        list("outcome", &self.outcome);
        list("session", &self.session);
        if let Some(clear) = self.clear {
            parts.push(if clear { "clear" } else { "masked" }.to_owned());
        }
        let moment = |ns: u64| time::format(ns, if ns.is_multiple_of(1_000_000_000) { 0 } else { 9 });
        if let Some(since) = self.since_ns {
            parts.push(format!("since={}", moment(since)));
        }
        if let Some(until) = self.until_ns {
            parts.push(format!("until={}", moment(until)));
        }
        if parts.is_empty() { "*".to_owned() } else { parts.join(" ") }
    }
}

impl Query {
    /// Reads what [`Query::describe`] writes.
    ///
    /// # Errors
    /// In words, what cannot be understood: then the query may mean anything.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut query = Self::default();
        for part in text.split_whitespace().filter(|part| *part != "*") {
            let unknown = || format!("`{}` is not understood", render::printable(part.as_bytes()));
            let (name, value) = match part {
                "clear" | "masked" => {
                    query.clear = Some(part == "clear");
                    continue;
                }
                _ => part.split_once('=').filter(|(_, value)| !value.is_empty()).ok_or_else(unknown)?,
            };
            let list = || value.split(',').map(str::to_owned).collect::<Vec<_>>();
            match name {
                "kind" => query.kind = list(),
                "person" => query.person = list(),
                "role" => query.role = list(),
                "target" => query.target = list(),
                "table" => query.table = list(),
                "class" => query.class = list(),
                "decision" => {
                    query.decision =
                        list().iter().map(|word| decision(word)).collect::<Option<_>>().ok_or_else(unknown)?;
                }
                "code" => query.code = list(),
                "rule" => query.rule = list(),
                "outcome" => query.outcome = list(),
                "session" => query.session = list(),
                "since" => query.since_ns = Some(time::parse(value, 0).ok_or_else(unknown)?),
                "until" => query.until_ns = Some(time::parse(value, 0).ok_or_else(unknown)?),
                _ => return Err(unknown()),
            }
        }
        if query.kind.is_empty() {
            // A stored query speaks of everything unless it says otherwise.
            query.kind.push("*".to_owned());
        }
        Ok(query)
    }
}

/// The kind that a word of the user names: `statement`, a record type, or the part behind its first word; with an act
/// behind a dot, as in `access.sign-in`, for the kinds that have acts.
#[must_use]
pub fn kind(word: &str) -> Option<String> {
    if let Some((word, act)) = word.split_once('.') {
        let act = act.replace('-', "_").to_ascii_lowercase();
        let is_word = !act.is_empty() && act.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
        return kind(word).filter(|kind| is_word && has_acts(kind)).map(|kind| format!("{kind}.{act}"));
    }
    let word = word.replace('-', "_").to_ascii_uppercase();
    if word == "ALL" || word == "*" {
        return Some("*".to_owned());
    }
    if word == STATEMENT {
        return Some(word);
    }
    // Records that a row joins are not kinds of their own.
    let kinds = || TYPE_NAMES.iter().filter(|name| !name.starts_with("STMT_") && **name != "RELEASE");
    let named = kinds().find(|name| **name == word);
    let ending = || kinds().find(|name| name.split_once('_').is_some_and(|(_, rest)| rest == word));
    named.or_else(ending).map(|name| (*name).to_owned())
}

/// The decision that a word names.
#[must_use]
pub fn decision(word: &str) -> Option<Decision> {
    [Decision::Allowed, Decision::Refused, Decision::Observed].into_iter().find(|d| d.name() == word)
}

/// Fields to group by.
pub const GROUP_FIELDS: [&str; 20] = [
    "person",
    "role",
    "target",
    "table",
    "class",
    "shown",
    "method",
    "decision",
    "code",
    "rule",
    "outcome",
    "session",
    "kind",
    "act",
    "day",
    "hour",
    "source",
    "application",
    "effect",
    "issuer",
];

/// Counts of one group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows of the answer.
    pub count: u64,
    /// Database rows returned in them.
    pub rows: u64,
    /// Bytes returned in them.
    pub bytes: u64,
}

/// Rows counted by fields.
#[derive(Clone, Debug, Default)]
pub struct Groups {
    fields: Vec<String>,
    groups: BTreeMap<Vec<String>, Counts>,
}

/// Too many different groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooManyGroups;

impl Groups {
    /// Counts by these fields.
    ///
    /// # Errors
    /// The field that is not one of [`GROUP_FIELDS`].
    pub fn by(fields: &[String]) -> Result<Self, String> {
        match fields.iter().find(|field| !GROUP_FIELDS.contains(&field.as_str())) {
            Some(unknown) => Err(unknown.clone()),
            None => Ok(Self { fields: fields.to_vec(), groups: BTreeMap::new() }),
        }
    }

    /// Counts a row. A row with several tables (classes, effects) counts once in the group of each.
    ///
    /// # Errors
    /// [`GROUPS_MAX`] is reached.
    pub fn add(&mut self, row: &Row) -> Result<(), TooManyGroups> {
        // `class`, `shown` and `method` speak of the same column; they vary together.
        let columns = self.fields.iter().any(|field| matches!(field.as_str(), "class" | "shown" | "method"));
        let mut shown: Vec<(&str, &str, &str)> = Vec::new();
        if columns {
            shown.extend(row.shown().iter().map(|c| (c.class, c.how, c.method)));
        }
        if shown.is_empty() {
            shown.push(("", "", ""));
        }
        let mut keys: Vec<Vec<String>> = Vec::new();
        for column in shown {
            let mut partial = vec![Vec::with_capacity(self.fields.len())];
            for field in &self.fields {
                let values = values(field, row, column);
                partial = partial
                    .into_iter()
                    .flat_map(|key: Vec<String>| {
                        values.iter().map(move |value| key.iter().cloned().chain([value.clone()]).collect())
                    })
                    .collect();
            }
            keys.append(&mut partial);
        }
        keys.sort();
        keys.dedup();
        for key in keys {
            if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&key) {
                return Err(TooManyGroups);
            }
            let counts = self.groups.entry(key).or_default();
            counts.count += 1;
            counts.rows = counts.rows.saturating_add(row.rows);
            counts.bytes = counts.bytes.saturating_add(row.bytes);
        }
        Ok(())
    }

    /// Groups in order of their values.
    pub fn iter(&self) -> impl Iterator<Item = (&[String], Counts)> {
        self.groups.iter().map(|(key, counts)| (key.as_slice(), *counts))
    }

    /// One JSON object per group.
    #[must_use]
    pub fn json(&self) -> Vec<Value> {
        self.iter()
            .map(|(key, counts)| {
                let mut object = json!({"count": counts.count, "rows": counts.rows, "bytes": counts.bytes});
                for (field, value) in self.fields.iter().zip(key) {
                    object[field] = Value::from(value.as_str());
                }
                object
            })
            .collect()
    }

    /// Header and cells, for a table.
    #[must_use]
    pub fn table(&self) -> Vec<Vec<String>> {
        let mut head: Vec<String> = self.fields.iter().map(|field| field.to_uppercase()).collect();
        head.extend(["COUNT", "ROWS", "BYTES"].map(str::to_owned));
        let cells = self.iter().map(|(key, counts)| {
            let numbers = [counts.count, counts.rows, counts.bytes].map(|n| n.to_string());
            let text = key.iter().map(|v| if v.is_empty() { "-".to_owned() } else { render::printable(v.as_bytes()) });
            text.chain(numbers).collect()
        });
        std::iter::once(head).chain(cells).collect()
    }
}

fn values(field: &str, row: &Row, (class, shown, method): (&str, &str, &str)) -> Vec<String> {
    let facts = &row.facts;
    let one = |text: &str| vec![text.to_owned()];
    let list = |items: Vec<String>| if items.is_empty() { vec![String::new()] } else { items };
    match field {
        "person" => one(&facts.person),
        "role" => one(&facts.role),
        "target" => one(&facts.target),
        "table" => list(row.tables.clone()),
        "class" => one(class),
        "shown" => one(shown),
        "method" => one(method),
        "decision" => one(row.decision.name()),
        "code" => one(&row.code),
        "rule" => one(&row.rule),
        "outcome" => one(&row.outcome),
        "session" => one(&row.session.map(|session| render::hex(&session.0)).unwrap_or_default()),
        "kind" => one(row.kind),
        "act" => one(&row.act),
        "day" => one(&time::format(row.begin_ns, 0)[..10]),
        "hour" => one(&time::format(row.begin_ns, 0)[..13]),
        "source" => one(source_host(&facts.source)),
        "application" => one(&facts.application),
        "effect" => list(row.effects()),
        "issuer" => one(&facts.issuer),
        _ => one(""),
    }
}

/// The address without its port.
#[must_use]
pub fn source_host(source: &str) -> &str {
    let host = source.parse::<std::net::SocketAddr>().is_ok().then(|| source.rsplit_once(':')).flatten();
    host.map_or(source, |(host, _)| host.trim_start_matches('[').trim_end_matches(']'))
}

/// Cells as aligned columns; the last column of numbers is not special, only padded like the others.
#[must_use]
pub fn aligned(cells: &[Vec<String>]) -> String {
    let columns = cells.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| cells.iter().filter_map(|row| row.get(column)).map(|c| c.chars().count()).max();
    let widths: Vec<usize> = (0..columns).map(|column| width(column).unwrap_or(0)).collect();
    let mut out = String::new();
    for row in cells {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.extend(std::iter::repeat_n(' ', width - cell.chars().count() + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Session;
    use audit::{OwnedClear, OwnedMasked};
    use std::rc::Rc;

    fn row() -> Row {
        let masked =
            |class: &str| OwnedMasked { column: "c".to_owned(), class: class.to_owned(), method: "token".to_owned() };
        Row {
            kind: STATEMENT,
            decision: Decision::Allowed,
            begin_ns: 1_795_335_274_000_000_000,
            facts: Rc::new(Session { person: "ana".to_owned(), source: "[::1]:5".to_owned(), ..Session::default() }),
            tables: vec!["clinic.patients".to_owned(), "clinic.visits".to_owned()],
            masked: vec![masked("ssn"), masked("ssn")],
            clear: vec![OwnedClear { column: "n".to_owned(), class: "name".to_owned() }],
            rows: 7,
            ..Row::default()
        }
    }

    #[test]
    fn filters_are_alternatives_within_and_all_must_hold() {
        let list = |items: &[&str]| items.iter().map(|&i| i.to_owned()).collect::<Vec<_>>();
        let row = row();
        let yes = [
            Query::default(),
            Query { table: list(&["PATIENTS"]), person: list(&["bob", "ana"]), ..Query::default() },
            Query { table: list(&["clinic.visits"]), class: list(&["name"]), clear: Some(true), ..Query::default() },
            Query { since_ns: Some(row.begin_ns), kind: list(&["*"]), ..Query::default() },
        ];
        yes.iter().for_each(|query| assert!(query.wants(&row), "{query:?}"));
        let no = [
            Query { table: list(&["other.patients"]), ..Query::default() },
            Query { until_ns: Some(row.begin_ns), ..Query::default() },
            Query { decision: vec![Decision::Refused], ..Query::default() },
            Query { kind: list(&["ALARM"]), ..Query::default() },
            Query { person: list(&["ana"]), class: list(&["dob"]), ..Query::default() },
        ];
        no.iter().for_each(|query| assert!(!query.wants(&row), "{query:?}"));
    }

    #[test]
    fn groups_count_each_class_once_per_row() {
        let mut groups = Groups::by(&["class".to_owned(), "shown".to_owned(), "person".to_owned()]).unwrap();
        groups.add(&row()).unwrap();
        groups.add(&row()).unwrap();
        let found: Vec<(String, u64, u64)> = groups.iter().map(|(k, c)| (k.join("/"), c.count, c.rows)).collect();
        assert_eq!(found, [("name/clear/ana".to_owned(), 2, 14), ("ssn/masked/ana".to_owned(), 2, 14)]);
        assert_eq!(Groups::by(&["clas".to_owned()]).unwrap_err(), "clas");
    }

    #[test]
    fn descriptions_read_back() {
        let list = |items: &[&str]| items.iter().map(|&i| i.to_owned()).collect::<Vec<_>>();
        let full = Query {
            since_ns: Some(1_795_335_274_000_000_000),
            until_ns: Some(1_795_335_274_123_456_789),
            person: list(&["ana", "ben"]),
            table: list(&["clinic.patients"]),
            decision: vec![Decision::Refused, Decision::Observed],
            session: list(&["07"]),
            kind: list(&["*"]),
            clear: Some(false),
            ..Query::default()
        };
        assert_eq!(Query::parse(&full.describe()).unwrap(), full);
        assert_eq!(Query::parse("*").unwrap(), Query { kind: list(&["*"]), ..Query::default() });
        for bad in ["person", "person=", "shoe=44", "since=soon", "decision=maybe"] {
            assert!(Query::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn kinds_by_their_words() {
        assert_eq!(kind("session-open").as_deref(), Some("SESSION_OPEN"));
        assert_eq!(kind("alarm").as_deref(), Some("ALARM"));
        assert_eq!(kind("all").as_deref(), Some("*"));
        assert_eq!(kind("access").as_deref(), Some("ACCESS"));
        assert_eq!(kind("Access.sign-in").as_deref(), Some("ACCESS.sign_in"));
        assert_eq!(kind("alarm.sign-in"), None, "alarms have no acts");
        assert_eq!(kind("access."), None);
        assert_eq!(kind("stmt-intent"), None);
        assert_eq!(source_host("[::1]:5"), "::1");
        assert_eq!(source_host("10.0.0.1:5"), "10.0.0.1");
    }
}
