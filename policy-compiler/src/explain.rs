//! Why a statement is allowed or refused for somebody, which rule says so and where it is written, and what every output
//! column becomes.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::build::{Rules, Who};
use crate::diagnostic::Paint;
use crate::engine::{Judgement, Outcome, OutputColumn, Refused, Stage, Verdict};
use crate::source::Place;
use crate::{redaction, selector, testing};

/// A judgement with everything needed to show it.
#[derive(Debug)]
pub struct Explanation<'a> {
    rules: &'a Rules,
    target: usize,
    who: Who,
    statement: String,
    judgement: Judgement,
}

impl<'a> Explanation<'a> {
    /// Of a judgement.
    #[must_use]
    pub fn new(rules: &'a Rules, target: usize, who: Who, statement: &str, judgement: Judgement) -> Self {
        Self { rules, target, who, statement: statement.to_owned(), judgement }
    }

    /// The statement does not run.
    #[must_use]
    pub const fn refused(&self) -> bool {
        matches!(self.judgement.verdict, Verdict::Refused(_))
    }

    fn at(&self, place: Option<Place>) -> String {
        match place {
            Some(p) if p == Place::BUILT_IN => "built-in library".to_owned(),
            Some(p) => self.rules.sources.show_line(p),
            None => "not said, so the default".to_owned(),
        }
    }

    fn place_of_rule(&self, rule: &str) -> Option<Place> {
        if let Some(class) = rule.strip_prefix("class:") {
            let i = self.rules.model.classes.iter().position(|c| c.name == class)?;
            return self.place_of_treatment(i);
        }
        let i = self.rules.model.blocks.iter().position(|b| b.name == rule)?;
        self.rules.origins.blocks.get(i).copied()
    }

    fn place_of_treatment(&self, class: usize) -> Option<Place> {
        *self.rules.origins.treatment.get(self.judgement.role?)?.get(class)?
    }

    /// For people.
    #[must_use]
    pub fn text(&self, paint: Paint) -> String {
        let mut out = String::new();
        let target = &self.rules.model.targets[self.target].name;
        let groups = match &self.who {
            Who::Groups(groups) => format!("groups {}", groups.join(", ")),
            Who::Role(_) => String::new(),
        };
        let who = match self.judgement.role {
            Some(r) => {
                let at = self.at(self.rules.origins.roles.get(r).copied());
                let from = if groups.is_empty() { groups } else { format!(", from {groups}") };
                format!("role {} ({at}){from}", self.rules.model.roles[r].name)
            }
            None => format!("{groups}: no role"),
        };
        let _ = writeln!(out, "target {target}; {who}");
        match &self.judgement.verdict {
            Verdict::Refused(r) => self.refusal(r, paint, &mut out),
            Verdict::Allowed(outcomes) => {
                if outcomes.is_empty() {
                    let _ = writeln!(out, "{}: the text has no statement", paint.green("allowed"));
                }
                for (i, o) in outcomes.iter().enumerate() {
                    let number = if outcomes.len() > 1 { format!("statement {}: ", i + 1) } else { String::new() };
                    self.outcome(o, &number, paint, &mut out);
                }
            }
        }
        out
    }

    fn refusal(&self, r: &Refused, paint: Paint, out: &mut String) {
        let refusal = &r.refusal;
        let at = self
            .place_of_rule(&refusal.rule)
            .map_or_else(String::new, |p| format!(" ({})", self.rules.sources.show_line(p)));
        let when = match r.stage {
            Stage::Login => "at login",
            Stage::Grammar | Stage::Decision => "before anything is forwarded",
            Stage::Plan => "when the result is described, before any row",
        };
        let _ = writeln!(out, "{} {when}", paint.red("refused"));
        let _ = writeln!(out, "  rule:    {}{at}", refusal.rule);
        let _ = writeln!(out, "  code:    {}", refusal.code);
        let _ = writeln!(out, "  message: {}", refusal.message);
        if let Some(hint) = &refusal.hint {
            let _ = writeln!(out, "  hint:    {hint}");
        }
        if let Some((line, indent)) = refusal.position.and_then(|p| marked(&self.statement, p)) {
            let _ = writeln!(out, "  {} {line}", paint.blue("|"));
            let _ = writeln!(out, "  {} {:indent$}{}", paint.blue("|"), "", paint.red("^"));
        }
    }

    fn outcome(&self, o: &Outcome, number: &str, paint: Paint, out: &mut String) {
        let _ = writeln!(out, "{}: {number}{}", paint.green("allowed"), o.kind);
        let _ = writeln!(out, "  does:    {}", o.effects.join(", "));
        if !o.relations.is_empty() {
            let _ = writeln!(out, "  touches: {}", o.relations.join(", "));
        }
        if o.guarded {
            let _ = writeln!(
                out,
                "  errors and notices of the server are replaced by neutral ones, since protected data is touched"
            );
        }
        if o.columns.is_empty() {
            return;
        }
        let how = if o.certain {
            ""
        } else {
            " (by their names; the gateway goes by the table and column that the server names)"
        };
        let _ = writeln!(out, "  columns:{how}");
        let width = o.columns.iter().map(|c| c.name.chars().count()).max().unwrap_or(0).min(40);
        for c in &o.columns {
            let what = if c.changed { paint.yellow(&testing::shown(c)) } else { paint.green("clear") };
            let pad = width.saturating_sub(c.name.chars().count());
            let _ = writeln!(out, "    {}{:pad$}  {what}  {}", c.name, "", paint.dim(&self.why(c)));
        }
    }

    /// Source, class and the lines that say so.
    fn why(&self, c: &OutputColumn) -> String {
        let Some((schema, relation, column)) = &c.source else { return "computed from nothing protected".to_owned() };
        let source = [schema, relation, column].map(|p| selector::part(p)).join(".");
        let binding = c.binding.and_then(|b| self.rules.origins.bindings.get(b)).copied();
        match (c.class, c.binding) {
            (Some(class), _) => {
                let name = &self.rules.model.classes[class].name;
                let by = self.at(self.place_of_treatment(class));
                format!("{source} is class {name} ({}); redaction: {by}", self.at(binding))
            }
            (None, Some(_)) => format!("{source} is declared clear ({})", self.at(binding)),
            (None, None) => {
                let place = self.judgement.role.and_then(|r| self.rules.origins.roles.get(r)).copied();
                format!("{source} is in no class; default of the role ({})", self.at(place))
            }
        }
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> String {
        let place = |p: Option<Place>| {
            p.filter(|p| *p != Place::BUILT_IN).map(|p| json!({"file": self.rules.sources.name(p), "line": p.line}))
        };
        let model = &self.rules.model;
        let mut value = json!({
            "target": model.targets[self.target].name,
            "groups": match &self.who { Who::Groups(groups) => Some(groups), Who::Role(_) => None },
            "role": self.judgement.role.map(|r| &model.roles[r].name),
        });
        match &self.judgement.verdict {
            Verdict::Refused(r) => {
                value["decision"] = json!("refuse");
                value["refusal"] = json!({
                    "stage": format!("{:?}", r.stage).to_lowercase(), "code": r.refusal.code, "rule": r.refusal.rule,
                    "rule_at": place(self.place_of_rule(&r.refusal.rule)), "message": r.refusal.message,
                    "hint": r.refusal.hint, "position": r.refusal.position,
                });
            }
            Verdict::Allowed(outcomes) => {
                value["decision"] = json!("allow");
                let statements: Vec<Value> = outcomes
                    .iter()
                    .map(|o| {
                        let columns: Vec<Value> = o
                            .columns
                            .iter()
                            .map(|c| {
                                    let binding = c.binding.and_then(|b| self.rules.origins.bindings.get(b)).copied();
                                    json!({
                                        "name": c.name,
                                        "source": c.source.as_ref().map(|(s, r, k)| json!({"schema": s, "relation": r, "column": k})),
                                        "class": c.class.map(|k| &model.classes[k].name),
                                        "class_at": place(binding),
                                        "becomes": redaction::name(&c.redaction),
                                        "detail": testing::shown(c),
                                        "scanned": c.scanned,
                                        "redaction_at": place(c.class.and_then(|k| self.place_of_treatment(k))),
                                    })
                            })
                            .collect();
                        json!({"kind": o.kind, "effects": o.effects, "relations": o.relations, "guarded": o.guarded, "columns": columns, "certain": o.certain})
                    })
                    .collect();
                value["statements"] = json!(statements);
            }
        }
        format!("{value:#}\n")
    }
}

/// The line of the statement that a byte position is on, and how far in.
fn marked(statement: &str, position: u32) -> Option<(String, usize)> {
    let position = usize::try_from(position).ok()?;
    let before = statement.get(..position)?;
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    let line = statement[start..].lines().next()?;
    let indent = before[start..].chars().count();
    let clean: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    (clean.chars().count() <= 200).then_some((clean, indent))
}
