//! `bench useful`: the other side of the scale. Ordinary statements and tools, at the server and through the gateway.
//!
//! Prints the share that works beside the ways out of `bench bypass`. The exit code is 0 only if nothing surprises: every
//! failure is an accepted exception with a reason, every exception still fails.

use std::{path::PathBuf, process::ExitCode};

use clap::Args;

/// Arguments.
#[derive(Args, Debug)]
pub struct Useful {
    /// Only cases whose ids begin so.
    #[arg(value_name = "PREFIX", conflicts_with = "tools")]
    cases: Vec<String>,
    /// Real tools instead of statements, or only these programs; needs Python, Java, Node and, the first time, a network.
    #[arg(long, value_name = "PROGRAM", num_args = 0..)]
    tools: Option<Vec<String>>,
    /// Folder with `tidegate` and `policy-compiler`; built beside this program otherwise.
    #[arg(long, value_name = "FOLDER", env = "TIDEGATE_PROGRAMS")]
    programs: Option<PathBuf>,
}

/// Runs it.
pub fn run(arguments: &Useful) -> ExitCode {
    if let Some(folder) = &arguments.programs {
        ::useful::place::programs_in(folder);
    }
    let report = match &arguments.tools {
        Some(programs) => ::useful::report::tools(programs),
        None => ::useful::report::statements(&arguments.cases),
    };
    print!("{report}");
    let surprises = report.surprises();
    surprises.iter().for_each(|surprise| eprintln!("bench: {surprise}"));
    if surprises.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
