//! The share that works, and each case that does not with its statement, the answer it got and why that is accepted.

use crate::{
    case::Case,
    compare::Fault,
    exceptions,
    place::Place,
    run::{Outcome, Runner},
    tools,
};
use std::fmt;

/// Outcomes of all cases that were run.
#[derive(Clone, Debug)]
pub struct Report {
    what: &'static str,
    outcomes: Vec<Outcome>,
    protected: (usize, usize),
}

impl Report {
    /// Runs these cases.
    pub fn of(place: &Place, cases: &[Case]) -> Self {
        let mut runner = Runner::new(place);
        let outcomes = cases.iter().map(|case| runner.run(case)).collect();
        Self { what: "useful", outcomes, protected: place.protected() }
    }

    /// Runs these programs of real tools.
    pub fn of_tools(place: &Place, programs: &[&str]) -> Self {
        let outcomes = programs.iter().flat_map(|program| tools::outcomes(place, program)).collect();
        Self { what: "useful tools", outcomes, protected: place.protected() }
    }

    /// How many cases work, and how many there are.
    pub fn share(&self) -> (usize, usize) {
        (self.outcomes.iter().filter(|outcome| outcome.faults.is_empty()).count(), self.outcomes.len())
    }

    /// Ids of cases that fail without being accepted, and of accepted ones that work.
    pub fn surprises(&self) -> Vec<String> {
        let wrong = self.outcomes.iter().filter_map(|outcome| {
            match (outcome.faults.is_empty(), exceptions::reason(&outcome.id)) {
                (false, None) => Some(format!("{} does not work and is not in the list of exceptions", outcome.id)),
                (true, Some(_)) => Some(format!("{} works and is still in the list of exceptions", outcome.id)),
                _ => None,
            }
        });
        wrong.collect()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (works, all) = self.share();
        let percent = |part: usize, whole: usize| 100.0 * part as f64 / whole.max(1) as f64;
        let (protected, columns) = self.protected;
        for outcome in self.outcomes.iter().filter(|outcome| !outcome.faults.is_empty()) {
            let (way, statement, fault) = &outcome.faults[0];
            let ways: Vec<String> = outcome.faults.iter().map(|(way, ..)| way.to_string()).collect();
            writeln!(f, "{} ({})\n    {}", outcome.id, ways.join("; "), statement.trim().replace('\n', "\n    "))?;
            match fault {
                Fault::Refused { state, text } => writeln!(f, "  refused: {state} {text}")?,
                Fault::Different(what) => writeln!(f, "  different by {way}: {what}")?,
            }
            let reason = exceptions::reason(&outcome.id).unwrap_or("none: this has to work");
            writeln!(f, "  reason: {reason}")?;
        }
        writeln!(
            f,
            "{}: {works} of {all} work ({:.1} %); {protected} of {columns} columns are protected ({:.0} %)",
            self.what,
            percent(works, all),
            percent(protected, columns)
        )
    }
}
