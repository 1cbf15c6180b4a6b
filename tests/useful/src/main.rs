//! `useful [PREFIX]…`: runs the useful set, or the cases whose ids begin so, and prints the share that works.
//! `useful --tools [PROGRAM]…`: runs the real tools, or these programs of `clients/`.
//!
//! Exit code 0 if nothing surprises: every failure is an accepted exception, every exception still fails.

use std::process::ExitCode;
use useful::{case, place::Place, report::Report, tools};

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let report = match words.split_first() {
        Some((&"--tools", [])) => Report::of_tools(&Place::open(), tools::PROGRAMS),
        Some((&"--tools", programs)) => Report::of_tools(&Place::open(), programs),
        _ => {
            let wanted = |id: &str| words.is_empty() || words.iter().any(|prefix| id.starts_with(prefix));
            let cases: Vec<case::Case> = case::all().into_iter().filter(|case| wanted(&case.id)).collect();
            Report::of(&Place::open(), &cases)
        }
    };
    print!("{report}");
    let surprises = report.surprises();
    surprises.iter().for_each(|surprise| eprintln!("useful: {surprise}"));
    if surprises.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
