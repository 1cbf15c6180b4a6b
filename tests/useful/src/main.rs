//! `useful [PREFIX]…`: runs the useful set, or the cases whose ids begin so, and prints the share that works.
//!
//! Exit code 0 if nothing surprises: every failure is an accepted exception, every exception still fails.

use std::process::ExitCode;
use useful::{case, place::Place, report::Report};

fn main() -> ExitCode {
    let prefixes: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |id: &str| prefixes.is_empty() || prefixes.iter().any(|prefix| id.starts_with(&**prefix));
    let cases: Vec<case::Case> = case::all().into_iter().filter(|case| wanted(&case.id)).collect();
    let report = Report::of(&Place::open(), &cases);
    print!("{report}");
    let surprises = report.surprises();
    surprises.iter().for_each(|surprise| eprintln!("useful: {surprise}"));
    if surprises.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
