//! `tests`: what a statement must give for a role. Read here, run by [`crate::testing`].

use policy::model::Redaction;

use super::Build;
use crate::diagnostic::Diagnostic;
use crate::read::Fields;
use crate::redaction;
use crate::source::Place;
use crate::words;
use crate::yaml::{Node, Value};

/// One test of a rule file.
#[derive(Clone, Debug)]
pub struct Test {
    /// Given name, or the statement shortened.
    pub name: String,
    /// As whom.
    pub who: Who,
    /// Index of the target.
    pub target: usize,
    /// SQL text.
    pub statement: String,
    /// What must come out.
    pub expect: Expectation,
    /// Where in the rule file.
    pub place: Place,
}

/// As whom a statement is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Index of the role.
    Role(usize),
    /// Someone in these groups.
    Groups(Vec<String>),
}

/// What a test expects.
#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// The statement runs, and these columns come out like this.
    Allow(Vec<ExpectedColumn>),
    /// The statement waits for approval.
    Hold {
        /// By this rule.
        rule: Option<String>,
    },
    /// The statement is refused.
    Refuse {
        /// With this code.
        code: Option<String>,
        /// By this rule.
        rule: Option<String>,
    },
}

/// What a test expects of one output column.
#[derive(Clone, Debug, PartialEq)]
pub struct ExpectedColumn {
    /// Output name.
    pub name: String,
    /// Word of the redaction: `keep-last`, `clear`, …
    pub word: String,
    /// With parameters, if they were written.
    pub exact: Option<Redaction>,
    /// Where it is written.
    pub place: Place,
}

const NAME_CHARACTERS: usize = 60;

impl Build<'_> {
    pub(super) fn expectations(&mut self, written: &[&Node]) -> Vec<Test> {
        written.iter().filter_map(|n| self.expectation(n)).collect()
    }

    fn expectation(&mut self, node: &Node) -> Option<Test> {
        let fields = Fields::of(node, words::TEST, "a test", self.report)?;
        let who = self.who(&fields);
        let target = fields.text("target", self.report).and_then(|name| {
            let place = fields.get("target").map_or(node.place, |n| n.place);
            let names: Vec<String> = self.model.targets.iter().map(|t| t.name.clone()).collect();
            let known: Vec<&str> = names.iter().map(String::as_str).collect();
            self.known("target", name, place, &known);
            names.iter().position(|n| n == name)
        });
        let statement = fields.text("statement", self.report);
        let expect = match fields.word("expect", words::EXPECT, self.report) {
            Some("allow") => {
                self.pointless(&fields, &["code", "rule"], "allow");
                Some(Expectation::Allow(self.columns(&fields)))
            }
            Some("hold") => {
                self.pointless(&fields, &["columns", "code"], "hold");
                let rule = fields.text("rule", self.report).map(ToOwned::to_owned);
                if let (Some(rule), Some(node)) = (&rule, fields.get("rule")) {
                    let names: Vec<String> = self.model.holds.iter().map(|hold| hold.rule.name.clone()).collect();
                    let known: Vec<&str> = names.iter().map(String::as_str).collect();
                    self.known("rule", rule, node.place, &known);
                }
                Some(Expectation::Hold { rule })
            }
            Some(_) => {
                self.pointless(&fields, &["columns"], "refuse");
                let code = fields.text("code", self.report).map(ToOwned::to_owned);
                let rule = fields.text("rule", self.report).map(ToOwned::to_owned);
                if let (Some(rule), Some(node)) = (&rule, fields.get("rule"))
                    && !["default:", "class:"].iter().any(|own| rule.starts_with(own))
                {
                    let names: Vec<String> = self.model.blocks.iter().map(|b| b.name.clone()).collect();
                    let known: Vec<&str> = names.iter().map(String::as_str).collect();
                    self.known("rule", rule, node.place, &known);
                }
                Some(Expectation::Refuse { code, rule })
            }
            None => None,
        };
        let name = fields.text("name", self.report).map(ToOwned::to_owned);
        let statement = statement?.trim().to_owned();
        let name = name.unwrap_or_else(|| {
            let flat = statement.split_whitespace().collect::<Vec<_>>().join(" ");
            if flat.chars().count() <= NAME_CHARACTERS {
                flat
            } else {
                format!("{}…", flat.chars().take(NAME_CHARACTERS - 1).collect::<String>())
            }
        });
        Some(Test { name, who: who?, target: target?, statement, expect: expect?, place: node.place })
    }

    fn pointless(&mut self, fields: &Fields<'_>, keys: &[&str], expect: &str) {
        for key in keys {
            if let Some(node) = fields.get(key) {
                let message = format!("`{key}` says nothing when `expect: {expect}`");
                self.error(node.place, message, format!("remove `{key}` or change `expect`"));
            }
        }
    }

    fn who(&mut self, fields: &Fields<'_>) -> Option<Who> {
        match (fields.get("as"), fields.get("groups")) {
            (Some(node), None) => {
                let name = fields.text("as", self.report)?;
                let names: Vec<String> = self.model.roles.iter().map(|r| r.name.clone()).collect();
                let known: Vec<&str> = names.iter().map(String::as_str).collect();
                self.known("role", name, node.place, &known);
                names.iter().position(|n| n == name).map(Who::Role)
            }
            (None, Some(_)) => {
                let groups = fields.texts("groups", self.report);
                Some(Who::Groups(groups.into_iter().map(|(g, _)| g.to_owned()).collect()))
            }
            (None, None) => {
                self.error(fields.place, "the test does not say as whom", "add `as: ROLE` or `groups: […]`");
                None
            }
            (Some(_), Some(node)) => {
                self.error(node.place, "`as` and `groups` exclude each other", "keep one of them");
                None
            }
        }
    }

    fn columns(&mut self, fields: &Fields<'_>) -> Vec<ExpectedColumn> {
        let mut columns = Vec::new();
        let Some(node) = fields.get("columns") else { return columns };
        let Value::Map(pairs) = &node.value else {
            let message = format!("`columns` is {}; a mapping is needed", node.kind());
            self.error(node.place, message, "write `{ssn: keep-last, name: null}`");
            return columns;
        };
        for (key, value) in pairs {
            let name = key.scalar().unwrap_or_default().to_owned();
            let place = value.place;
            // A word alone leaves its parameters open.
            let bare = value
                .scalar()
                .map(str::trim)
                .filter(|w| matches!(*w, "keep-first" | "keep-last" | "token" | "constant" | "scan" | "fill"));
            if let Some(word) = bare {
                columns.push(ExpectedColumn { name, word: word.to_owned(), exact: None, place });
            } else if let Some(r) = redaction::read(value, self.report) {
                columns.push(ExpectedColumn { name, word: redaction::name(&r).to_owned(), exact: Some(r), place });
            }
        }
        if columns.is_empty() && pairs.is_empty() {
            self.report
                .push(Diagnostic::warning(node.place, "`columns` is empty").fix("name the columns, or remove it"));
        }
        columns
    }
}
