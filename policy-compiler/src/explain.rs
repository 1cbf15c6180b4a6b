//! Why a statement is allowed or refused for somebody, which rule says so and where it is written, and what every output
//! column becomes.

use std::fmt::Write as _;

use policy::model::{InTransaction, Mode};
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

    /// Mode of the role.
    fn mode(&self) -> Option<Mode> {
        self.judgement.role.and_then(|r| self.rules.model.roles.get(r)).map(|r| r.mode)
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
        if let Some(i) = self.rules.model.holds.iter().position(|hold| hold.rule.name == rule) {
            return self.rules.origins.holds.get(i).copied();
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
        if let Some(role) = self.judgement.role.and_then(|r| self.rules.model.roles.get(r))
            && role.groups.is_empty()
        {
            let _ = writeln!(out, "{}", given(role));
        }
        if self.mode() == Some(Mode::Observe) {
            let text = "observe mode: nothing of this is enforced for the role, only recorded";
            let _ = writeln!(out, "{}", paint.red(text));
        }
        match &self.judgement.verdict {
            Verdict::Refused(r) => self.refusal(r, paint, &mut out),
            Verdict::Allowed(outcomes) => {
                self.holds(paint, &mut out);
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

    /// Which rules hold it, who votes, and on what condition.
    fn holds(&self, paint: Paint, out: &mut String) {
        let holds = self.judgement.held.iter().filter_map(|i| self.rules.model.holds.get(*i));
        for hold in holds {
            let at = self.at(self.place_of_rule(&hold.rule.name));
            let when = match hold.rows_over {
                0 => String::new(),
                rows => format!(" if more than {rows} rows are expected"),
            };
            let _ = writeln!(out, "{}{when}: it waits for approval", paint.yellow("held"));
            let _ = writeln!(out, "  rule:    {} ({at})", hold.rule.name);
            let distinct = if hold.distinct_groups { ", from groups all different" } else { "" };
            let (votes, groups) = (hold.approvals, hold.approvers.join(", "));
            let _ = writeln!(out, "  votes:   {votes} of {groups}{distinct}");
            let within = match hold.in_transaction {
                InTransaction::Refuse => "fails at once; approved, the identical statement runs",
                InTransaction::Hold => "waits there too",
            };
            let _ = writeln!(out, "  in a transaction: {within}");
        }
    }

    fn refusal(&self, r: &Refused, paint: Paint, out: &mut String) {
        let refusal = &r.refusal;
        let at = self
            .place_of_rule(&refusal.rule)
            .map_or_else(String::new, |p| format!(" ({})", self.rules.sources.show_line(p)));
        let when = match r.stage {
            Stage::Login => "at login",
            Stage::Grammar | Stage::Decision => "before anything is forwarded",
        };
        let _ = writeln!(out, "{} {when}", paint.red("refused"));
        let _ = writeln!(out, "  rule:    {}{at}", refusal.rule);
        let _ = writeln!(out, "  code:    {}", refusal.code);
        let _ = writeln!(out, "  message: {}", refusal.message);
        if let Some(hint) = &refusal.hint {
            let _ = writeln!(out, "  hint:    {hint}");
        }
        if let Some(mark) = refusal.position.and_then(|p| marked(&self.statement, p)) {
            let number = mark.number.to_string();
            let gap = " ".repeat(number.len());
            let _ = writeln!(out, "  {gap} {}", paint.blue("|"));
            let _ = writeln!(out, "  {} {} {}", paint.blue(&number), paint.blue("|"), mark.line);
            let carets = "^".repeat(mark.width);
            let _ =
                writeln!(out, "  {gap} {} {:indent$}{}", paint.blue("|"), "", paint.red(&carets), indent = mark.indent);
        }
        if !r.columns.is_empty() {
            let _ = writeln!(out, "  its columns would be:");
            self.columns(&r.columns, paint, out);
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
        for refusal in &o.softened {
            let _ = writeln!(
                out,
                "  {}: NULL and a warning now; refused once the role enforces: {} by rule {}: {}",
                paint.yellow("migrate mode"),
                refusal.code,
                refusal.rule,
                refusal.message
            );
        }
        if o.columns.is_empty() {
            return;
        }
        let how = if o.certain {
            ""
        } else {
            " (some are of relations that the snapshot does not know; the gateway goes by the table and column that the server names)"
        };
        let _ = writeln!(out, "  columns:{how}");
        self.columns(&o.columns, paint, out);
    }

    fn columns(&self, columns: &[OutputColumn], paint: Paint, out: &mut String) {
        let width = columns.iter().map(|c| c.name.chars().count()).max().unwrap_or(0).min(40);
        let become_: Vec<String> =
            columns.iter().map(|c| if c.changed { testing::shown(c) } else { "clear".to_owned() }).collect();
        let second = become_.iter().map(|b| b.chars().count()).max().unwrap_or(0).min(40);
        for (c, text) in columns.iter().zip(&become_) {
            let what = if c.changed { paint.yellow(text) } else { paint.green(text) };
            let pad = width.saturating_sub(c.name.chars().count());
            let gap = second.saturating_sub(text.chars().count());
            let why = self.why(c);
            let mut lines = why.iter();
            let first = lines.next().map_or("", String::as_str);
            let _ = writeln!(out, "    {}{:pad$}  {what}{:gap$}  {}", c.name, "", "", paint.dim(first));
            for line in lines {
                let indent = 4 + width + 2 + second + 2;
                let _ = writeln!(out, "{:indent$}{}", "", paint.dim(line));
            }
        }
    }

    /// How the column is made, then each source with its class and the lines that say so.
    fn why(&self, c: &OutputColumn) -> Vec<String> {
        use lineage::resolve::Derivation;
        let mut lines = Vec::new();
        if c.origins.is_empty() {
            lines.push(if c.unknown {
                "from something the snapshot does not know".to_owned()
            } else {
                "computed from no column".to_owned()
            });
            return lines;
        }
        let made = match c.derivation {
            Derivation::Direct => None,
            Derivation::Merged => Some("unchanged, from several places:"),
            Derivation::Total | Derivation::Company => Some("through functions that cannot fail, from"),
            Derivation::Aggregated => Some("an aggregate that shows values of"),
            Derivation::Computed => Some("computed from"),
        };
        lines.extend(made.map(str::to_owned));
        for origin in &c.origins {
            let part = |names: &[String; 3]| names.iter().map(|p| selector::part(p)).collect::<Vec<_>>().join(".");
            let mut line = part(&origin.column);
            if !origin.made_of.is_empty() {
                let bases: Vec<_> = origin.made_of.iter().map(part).collect();
                line.push_str(&format!(", which the view makes of {}", bases.join(", ")));
            }
            let binding =
                origin.binding.and_then(|b| self.rules.origins.bindings.get(usize::try_from(b).ok()?)).copied();
            let model = &self.rules.model;
            line.push_str(&match (origin.class.map(usize::from), binding) {
                (Some(class), binding) => {
                    let name = &model.classes[class].name;
                    let bound = if binding.is_some() { format!(" ({})", self.at(binding)) } else { String::new() };
                    format!(": class {name}{bound}; for this role {}", self.treated(class))
                }
                (None, Some(_)) => format!(": declared clear ({})", self.at(binding)),
                (None, None) if !origin.made_of.is_empty() => String::new(),
                (None, None) => {
                    let place = self.judgement.role.and_then(|r| self.rules.origins.roles.get(r)).copied();
                    format!(": in no class; default of the role ({})", self.at(place))
                }
            });
            lines.push(line);
        }
        if c.unknown {
            lines.push("and something the snapshot does not know".to_owned());
        }
        lines
    }

    /// What the role's rules say of a class, and where.
    fn treated(&self, class: usize) -> String {
        let model = &self.rules.model;
        let role = self.judgement.role.and_then(|r| model.roles.get(r));
        let id = role.and_then(|r| r.treatment.get(class)).copied();
        let redaction = id.and_then(|id| model.redactions.get(usize::from(id)));
        let text = redaction.map_or_else(|| "refuse".to_owned(), redaction::show);
        format!("{text} ({})", self.at(self.place_of_treatment(class)))
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
            "mode": self.mode(),
        });
        match &self.judgement.verdict {
            Verdict::Refused(r) => {
                value["decision"] = json!("refuse");
                value["refusal"] = json!({
                    "stage": format!("{:?}", r.stage).to_lowercase(), "code": r.refusal.code, "rule": r.refusal.rule,
                    "rule_at": place(self.place_of_rule(&r.refusal.rule)), "message": r.refusal.message,
                    "hint": r.refusal.hint, "position": r.refusal.position,
                });
                value["columns"] = r.columns.iter().map(|c| self.column_json(c)).collect();
            }
            Verdict::Allowed(outcomes) => {
                let rules = &self.rules.model.holds;
                let holds: Vec<Value> = self
                    .judgement
                    .held
                    .iter()
                    .filter_map(|i| rules.get(*i))
                    .map(|hold| {
                        json!({
                            "rule": hold.rule.name, "rule_at": place(self.place_of_rule(&hold.rule.name)),
                            "rows_over": hold.rows_over, "approvers": hold.approvers, "approvals": hold.approvals,
                            "distinct_groups": hold.distinct_groups, "in_transaction": hold.in_transaction,
                        })
                    })
                    .collect();
                value["decision"] = json!(if holds.is_empty() { "allow" } else { "hold" });
                value["holds"] = json!(holds);
                let statements: Vec<Value> = outcomes
                    .iter()
                    .map(|o| {
                        let columns: Vec<Value> = o.columns.iter().map(|c| self.column_json(c)).collect();
                        let softened = o.softened.iter().map(|r| json!({"code": r.code, "rule": r.rule, "message": r.message}));
                        json!({"softened": softened.collect::<Vec<_>>(), "kind": o.kind, "effects": o.effects, "relations": o.relations, "guarded": o.guarded, "columns": columns, "certain": o.certain})
                    })
                    .collect();
                value["statements"] = json!(statements);
            }
        }
        format!("{value:#}\n")
    }

    fn column_json(&self, c: &OutputColumn) -> Value {
        let place = |p: Option<Place>| {
            p.filter(|p| *p != Place::BUILT_IN).map(|p| json!({"file": self.rules.sources.name(p), "line": p.line}))
        };
        let classes = &self.rules.model.classes;
        let dotted = |names: &[String; 3]| json!({"schema": names[0], "relation": names[1], "column": names[2]});
        let sources: Vec<Value> = c
            .origins
            .iter()
            .map(|o| {
                let binding =
                    o.binding.and_then(|b| self.rules.origins.bindings.get(usize::try_from(b).ok()?)).copied();
                json!({
                    "column": dotted(&o.column), "made_of": o.made_of.iter().map(dotted).collect::<Vec<_>>(),
                    "class": o.class.map(|k| &classes[usize::from(k)].name), "class_at": place(binding),
                    "protected": o.protected,
                })
            })
            .collect();
        let binding = c.binding.and_then(|b| self.rules.origins.bindings.get(b)).copied();
        json!({
            "name": c.name,
            "sources": sources,
            "derivation": format!("{:?}", c.derivation).to_lowercase(),
            "unknown": c.unknown,
            "class": c.class.map(|k| &classes[k].name),
            "class_at": place(binding),
            "becomes": redaction::name(&c.redaction),
            "detail": testing::shown(c),
            "scanned": c.scanned,
            "redaction_at": place(c.class.and_then(|k| self.place_of_treatment(k))),
        })
    }
}

/// A line of the statement with a part of it marked.
struct Mark {
    number: usize,
    line: String,
    indent: usize,
    width: usize,
}

/// The line of the statement that a byte position is on, and the word there.
fn marked(statement: &str, position: u32) -> Option<Mark> {
    let position = usize::try_from(position).ok()?;
    let before = statement.get(..position)?;
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    let line = statement[start..].lines().next()?;
    let indent = before[start..].chars().count();
    let part = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '.' | '"' | '*');
    let width = statement[position..].chars().take_while(part).count().max(1);
    let line: String = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let number = before.matches('\n').count() + 1;
    (line.chars().count() <= 200).then_some(Mark { number, line, indent, width })
}

/// How somebody comes to a role that no group has.
fn given(role: &policy::model::Role) -> String {
    let mut ways = Vec::new();
    if let Some(asking) = &role.request {
        let votes = match asking.approvals {
            0 => "at once".to_owned(),
            n => format!("{n} vote(s) of {}", asking.approvers.join(", ")),
        };
        let most = crate::build::show_time(asking.seconds);
        ways.push(format!("asked for by {} ({votes}, at most {most})", asking.groups.join(", ")));
    }
    if let Some(emergency) = &role.break_glass {
        let most = crate::build::show_time(emergency.seconds);
        ways.push(format!("taken in an emergency by {} (at most {most})", emergency.groups.join(", ")));
    }
    format!("this role comes only by a grant: {}", ways.join("; "))
}
