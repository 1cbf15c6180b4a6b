//! Decisions and plans of a made-up policy, drawn from the script in turn: the same questions get the same answers.

use std::rc::Rc;

use contract::{Ask, Column, Format, Judge, Redacted, Redactor, Refusal, Verdict};

use crate::{canary, ops::Mode};

/// The policy of one conversation.
#[derive(Debug)]
pub(crate) struct Policy {
    mode: Mode,
    verdicts: [u8; 8],
    asked: usize,
    planned: usize,
    number: u64,
}

/// Types of the made-up policy.
#[derive(Debug)]
pub(crate) enum Made {}

/// What a statement needs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Needs {
    guarded: bool,
    shape: bool,
    names: bool,
    copies: bool,
}

/// A plan that leaves no protected value as it is.
#[derive(Clone, Debug)]
pub(crate) struct Plan(Rc<Planned>);

#[derive(Debug)]
struct Planned {
    width: usize,
    columns: Vec<u16>,
    how: u8,
}

impl Judge for Made {
    type Token = Needs;
    type Plan = Plan;

    fn guarded(token: &Needs) -> bool {
        token.guarded
    }

    fn needs_shape(token: &Needs) -> bool {
        token.shape
    }

    fn changes_names(token: &Needs) -> bool {
        token.names
    }

    fn moves_names(_: &Needs) -> bool {
        false
    }

    fn copies_in(token: &Needs) -> bool {
        token.copies
    }
}

impl Redactor for Plan {
    fn width(&self) -> usize {
        self.0.width
    }

    fn planned(&self) -> &[u16] {
        &self.0.columns
    }

    fn redact(&self, i: usize, format: Format, value: &[u8], scratch: &mut Vec<u8>) -> Redacted {
        scratch.clear();
        let fill = if format == Format::Text { b'*' } else { 0 };
        let len = match (usize::from(self.0.how) + i) % 4 {
            0 => return Redacted::Null,
            1 => value.len(),
            2 => value.len() / 2,
            _ if self.grows() => value.len() * 2 + 3,
            _ => 0,
        };
        scratch.resize(len, fill);
        Redacted::Scratch
    }

    fn grows(&self) -> bool {
        self.0.how & 4 != 0
    }
}

impl Policy {
    pub(crate) const fn new(mode: Mode, verdicts: [u8; 8]) -> Self {
        Self { mode, verdicts, asked: 0, planned: 0, number: 0 }
    }

    /// What a statement needs.
    fn needs(&self, text: &[u8], pick: u8) -> Needs {
        let copies = text.starts_with(b"copy") && text.ends_with(b"stdin");
        match self.mode {
            Mode::Transparent => Needs { guarded: false, shape: false, names: false, copies },
            // What reads nothing protected is not looked at: an answer taken for another statement's shows.
            Mode::Policed if !canary::reads(text) => {
                Needs { guarded: false, shape: false, names: pick & 8 != 0, copies }
            }
            Mode::Policed => Needs { guarded: true, shape: true, names: pick & 8 != 0, copies },
            Mode::Mixed => Needs { guarded: pick & 2 != 0, shape: pick & 4 != 0, names: pick & 8 != 0, copies },
        }
    }

    /// Answers a question about a statement.
    pub(crate) fn verdict(&mut self, ask: &Ask<Made>, text: &[u8]) -> Verdict<Made> {
        let pick = self.verdicts[self.asked % self.verdicts.len()];
        self.asked += 1;
        if matches!(ask, Ask::TextTooLong(_)) || self.mode != Mode::Transparent && pick >= 0xe0 {
            return Verdict::Refuse(refusal());
        }
        let token = match ask {
            // A prepared statement keeps its token, or every run would be judged by other rules than its plan.
            Ask::Execute { token, .. } => *token,
            Ask::Text(_) | Ask::TextTooLong(_) => self.needs(text, pick),
        };
        self.number += 1;
        Verdict::Forward { token, number: self.number, now_ns: self.number }
    }

    /// Plans a result shape.
    pub(crate) fn plan(&mut self, columns: &[Column]) -> Result<Plan, Refusal> {
        let how = self.verdicts[self.planned % self.verdicts.len()] >> 4;
        self.planned += 1;
        if how == 15 {
            return Err(refusal());
        }
        Ok(self.planned_as(columns, how))
    }

    /// The same statement under other rules.
    pub(crate) fn again(&self, columns: &[Column]) -> Plan {
        self.planned_as(columns, self.verdicts[0] & 7)
    }

    fn planned_as(&self, columns: &[Column], how: u8) -> Plan {
        let protected = |(i, column): (usize, &Column)| {
            canary::protected(column.table, column.attribute).then(|| u16::try_from(i).ok()).flatten()
        };
        let columns_planned = columns.iter().enumerate().filter_map(protected).collect();
        Plan(Rc::new(Planned { width: columns.len(), columns: columns_planned, how }))
    }
}

/// A refusal.
pub(crate) fn refusal() -> Refusal {
    Refusal {
        code: "TG1001",
        rule: "made-up".to_owned(),
        message: "refused".to_owned(),
        hint: Some("ask for something else".to_owned()),
        position: Some(3),
    }
}
