//! Runs the tests of rule files: each is judged by the runtime and compared with what was expected.

use std::fmt::Write as _;

use policy::model::{Mode, Redaction};

use crate::build::{Expectation, ExpectedColumn, Rules, Test};
use crate::diagnostic::Paint;
use crate::engine::{Engine, Judgement, OutputColumn, Refused, Verdict};
use crate::redaction;

/// Outcome of one test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Index in the rules' list.
    pub test: usize,
    /// What was not as expected; empty if it passed.
    pub failures: Vec<String>,
}

/// Runs all tests in order.
#[must_use]
pub fn run(rules: &Rules, engine: &Engine) -> Vec<Outcome> {
    rules.tests.iter().enumerate().map(|(i, test)| Outcome { test: i, failures: one(engine, test) }).collect()
}

fn one(engine: &Engine, test: &Test) -> Vec<String> {
    let judgement = engine.judge(test.target, &test.who, &test.statement);
    let mut failures = Vec::new();
    compare(engine, &test.expect, &judgement, &mut failures);
    failures
}

/// Names of the rules that hold a statement, in order.
fn holding<'a>(engine: &'a Engine, judgement: &Judgement) -> Vec<&'a str> {
    judgement.held.iter().filter_map(|i| engine.hold(*i)).map(|hold| hold.rule.name.as_str()).collect()
}

fn compare(engine: &Engine, expect: &Expectation, judgement: &Judgement, failures: &mut Vec<String>) {
    match (expect, &judgement.verdict) {
        (Expectation::Hold { .. }, Verdict::Refused(r)) => {
            failures.push(format!("expected to be held, is refused by {}", describe(r)));
        }
        (Expectation::Hold { .. }, Verdict::Allowed(_)) if judgement.held.is_empty() => {
            failures.push("expected to be held, runs at once".to_owned());
        }
        (Expectation::Hold { rule }, Verdict::Allowed(_)) => {
            let rules = holding(engine, judgement);
            if let Some(rule) = rule.as_ref().filter(|rule| !rules.contains(&rule.as_str())) {
                failures.push(format!("expected to be held by {rule}, is held by {}", rules.join(", ")));
            }
        }
        (Expectation::Allow(_), Verdict::Allowed(_)) if !judgement.held.is_empty() => {
            let rules = holding(engine, judgement).join(", ");
            failures.push(format!("expected to be allowed, is held by {rules}"));
        }
        (Expectation::Refuse { .. }, Verdict::Allowed(_)) if !judgement.held.is_empty() => {
            let rules = holding(engine, judgement).join(", ");
            failures.push(format!("expected to be refused, is held by {rules}"));
        }
        (Expectation::Allow(_), Verdict::Refused(r)) => {
            failures.push(format!("expected to be allowed, is refused by {}", describe(r)));
        }
        (Expectation::Refuse { .. }, Verdict::Allowed(_)) => {
            failures.push("expected to be refused, is allowed".to_owned())
        }
        (Expectation::Refuse { code, rule }, Verdict::Refused(r)) => {
            if let Some(code) = code
                && *code != r.refusal.code
            {
                failures.push(format!("expected code {code}, is {}", describe(r)));
            }
            if let Some(rule) = rule
                && *rule != r.refusal.rule
            {
                failures.push(format!("expected rule {rule}, is {}", describe(r)));
            }
        }
        (Expectation::Allow(expected), Verdict::Allowed(outcomes)) => {
            let Some(last) = outcomes.last() else {
                if !expected.is_empty() {
                    failures.push("the text has no statement".to_owned());
                }
                return;
            };
            expected.iter().for_each(|e| column(e, &last.columns, failures));
        }
    }
}

fn describe(r: &Refused) -> String {
    format!("{} {}: {}", r.refusal.code, r.refusal.rule, r.refusal.message)
}

fn column(expected: &ExpectedColumn, columns: &[OutputColumn], failures: &mut Vec<String>) {
    let mut found = columns.iter().filter(|c| c.name == expected.name).peekable();
    if found.peek().is_none() {
        let names: Vec<_> = columns.iter().map(|c| c.name.as_str()).collect();
        failures.push(format!("no output column `{}`; there are {}", expected.name, names.join(", ")));
    }
    for c in found {
        let got = shown(c);
        let same = match &expected.exact {
            Some(exact) => !c.scanned && *exact == c.redaction,
            None if expected.word == "scan" => c.scanned && c.changed,
            None => !c.scanned && redaction::name(&c.redaction) == expected.word,
        };
        if !same {
            let wanted = expected.exact.as_ref().map_or_else(|| expected.word.clone(), redaction::show);
            failures.push(format!("column `{}`: expected {wanted}, is {got}", expected.name));
        }
    }
}

/// What becomes of a column, in words.
pub(crate) fn shown(c: &OutputColumn) -> String {
    if c.scanned && c.changed {
        // NULL and refusal have no meaning inside a value: the runtime fills.
        let hits = match c.redaction {
            Redaction::Null | Redaction::Refuse => "fill".to_owned(),
            _ => redaction::show(&c.redaction),
        };
        format!("scan, hits become {hits}")
    } else {
        redaction::show(&c.redaction)
    }
}

/// For people.
#[must_use]
pub fn text(rules: &Rules, results: &[Outcome], quiet: bool, paint: Paint) -> String {
    let mut out = String::new();
    for r in results {
        let test = &rules.tests[r.test];
        if r.failures.is_empty() {
            if !quiet {
                let _ = writeln!(out, "{} {}", paint.green("ok  "), test.name);
            }
        } else {
            let _ = writeln!(out, "{} {} ({})", paint.red("FAIL"), test.name, rules.sources.show_line(test.place));
            for failure in &r.failures {
                let _ = writeln!(out, "     {failure}");
            }
        }
    }
    for role in rules.model.roles.iter().filter(|r| r.mode == Mode::Observe) {
        let text = format!("role {} is in observe mode: what its tests say is recorded, not enforced", role.name);
        let _ = writeln!(out, "{} {text}", paint.yellow("note"));
    }
    let failed = results.iter().filter(|r| !r.failures.is_empty()).count();
    let count = if results.len() == 1 { "1 test".to_owned() } else { format!("{} tests", results.len()) };
    let end = if failed == 0 {
        paint.green(&format!("{count} passed"))
    } else {
        paint.red(&format!("{failed} of {count} failed"))
    };
    let _ = writeln!(out, "{end}");
    out
}
