//! Measurement programs of the project: `load` (speed), `bypass` and `canary` (what comes out that should not), `detect`
//! (what of labelled text is found).

use std::{path::PathBuf, process::ExitCode};

use bench::{
    bypass as bypass_command, bypass_random, detect,
    failure::{Doing, Failure, Result, Stop},
    load::{self, Plan},
    target::Way,
    work::{self, Extent, Work},
};
use clap::{Args, Parser, Subcommand};

/// Measurements of the gateway against real servers.
#[derive(Parser)]
#[command(name = "bench")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The same work direct, through pgbouncer and through the gateway, in turn.
    Load(Load),
    /// How much of labelled text is found, beside Microsoft Presidio's pattern recognisers.
    Detect(Detect),
    /// Every known way round a mask, against any server or gateway: characters of protected data recovered.
    Bypass(bypass_command::Bypass),
    /// Random statements, and no protected value in any answer.
    Canary(bypass_random::Canary),
}

#[derive(Args)]
struct Detect {
    /// Folder with the labelled sets (`pii-anon`, `presidio-tests`); without it only the made-up clinic's notes.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Python that has presidio-analyzer.
    #[arg(long, value_name = "PYTHON", default_value = "python3")]
    python: PathBuf,
    /// Also print up to N examples of what was missed, and of false hits, of each kind.
    #[arg(long, value_name = "N", default_value_t = 0)]
    misses: usize,
}

#[derive(Args)]
struct Load {
    /// Less of everything: about a minute.
    #[arg(long)]
    quick: bool,
    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Rounds; medians are taken over them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: Option<u64>,
    /// Seconds of a round of small statements.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=600))]
    seconds: Option<u64>,
    /// Only this work: simple, extended, prepared (each also -1, -16, -64), churn, bulk, bulk-masked, bulk-binary,
    /// bulk-binary-masked, idle.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    work: Vec<String>,
    /// Ways to compare.
    #[arg(long, value_name = "WAY", value_enum, value_delimiter = ',', num_args = 1.., default_values_t = [Way::Direct, Way::Pgbouncer, Way::Gateway])]
    target: Vec<Way>,
    /// Rows of a bulk read.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: Option<u64>,
    /// Idle sessions.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=20_000))]
    sessions: Option<u64>,
    /// Cores of the gateway; its own default otherwise.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1024))]
    cores: Option<u64>,
    /// Folder with `tidegate` and `policy-compiler`; built beside this program otherwise.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Load(load) => run(&load).map(|()| ExitCode::SUCCESS),
        Command::Bypass(bypass) => bypass_command::run(&bypass),
        Command::Canary(canary) => bypass_random::run(&canary),
        Command::Detect(d) => {
            let plan = detect::Plan { data: d.data.as_deref(), python: &d.python, misses: d.misses };
            detect::run(&plan).map(|tables| {
                print!("{tables}");
                ExitCode::SUCCESS
            })
        }
    };
    match done {
        Ok(code) => code,
        Err(Failure::Interrupted) => {
            eprintln!("interrupted; everything that was started has been stopped");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(load: &Load) -> Result<()> {
    let stop = Stop::listen()?;
    let report = load::run(&plan(load)?, &stop)?;
    print!("{report}");
    if let Some(path) = &load.json {
        std::fs::write(path, format!("{:#}\n", report.json())).doing(format!("write {}", path.display()))?;
    }
    Ok(())
}

fn plan(load: &Load) -> Result<Plan> {
    let works: Vec<Work> = if !load.work.is_empty() {
        work::named(&load.work)?
    } else if load.quick {
        work::named(&work::QUICK.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())?
    } else {
        work::ALL.iter().filter(|(.., usual)| *usual).map(|(_, work, _)| *work).collect()
    };
    let mut ways = load.target.clone();
    ways.sort_unstable();
    ways.dedup();
    let pick = |given: Option<u64>, quick, full| given.unwrap_or(if load.quick { quick } else { full });
    let size = |n: u64| usize::try_from(n).map_err(|_| Failure::from("a number is too large"));
    Ok(Plan {
        works,
        ways,
        rounds: size(pick(load.rounds, 2, 3))?,
        extent: Extent {
            seconds: pick(load.seconds, 1, 3),
            rows: pick(load.rows, 200_000, 1_000_000),
            scale: if load.quick { 1 } else { 10 },
            sessions: size(pick(load.sessions, 200, 2_000))?,
        },
        cores: load.cores.map(size).transpose()?,
        programs: load.programs.clone(),
    })
}
