//! `useful [PREFIX]…`: runs the useful set, or the cases whose ids begin so, and prints the share that works.
//! `useful --tools [PROGRAM]…`: runs the real tools, or these programs of `clients/`.
//!
//! `bench useful` does the same beside the other measurements; this program builds in seconds. Exit code 0 if nothing
//! surprises: every failure is an accepted exception, every exception still fails.

use std::process::ExitCode;
use useful::report;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let report = match words.split_first() {
        Some((first, programs)) if first == "--tools" => report::tools(programs),
        _ => report::statements(&words),
    };
    print!("{report}");
    let surprises = report.surprises();
    surprises.iter().for_each(|surprise| eprintln!("useful: {surprise}"));
    if surprises.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
