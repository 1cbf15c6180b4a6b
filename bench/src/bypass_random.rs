//! `bench canary`: random statements against a gateway of its own over made-up patients, and no protected value in any
//! answer, log, metric or record; or, with `--compare`, a gateway that allows everything against the database itself.
//!
//! The seed is printed first, so that a run can be repeated. The exit code is 0 only if nothing came out, or nothing differed.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use ::bypass::{
    ground::{Ground, READER},
    random::{self, Extent, Tally},
    recover::{Care, Finder},
};
use clap::Args;

use crate::failure::{Failure, Result, Stop};

/// Arguments.
#[derive(Args, Debug)]
pub struct Canary {
    /// Statements to say.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u64).range(1..))]
    statements: u64,
    /// Seconds after which it ends in any case.
    #[arg(long, value_name = "N", default_value_t = 86_400, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Decides the statements; from the clock otherwise, and printed.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Sessions at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    sessions: u64,
    /// The user the statements are said as: ana (an analyst) or agent.
    #[arg(long, value_name = "NAME", default_value = READER)]
    user: String,
    /// Compare a gateway that allows everything with the database itself instead, to the byte.
    #[arg(long)]
    compare: bool,
    /// Print the statement with this number of this seed, and end.
    #[arg(long, value_name = "NUMBER", requires = "seed")]
    show: Option<u64>,
    /// Folder with `tidegate` and `policy-compiler` to start; built beside this program otherwise.
    #[arg(long, value_name = "FOLDER", env = "TIDEGATE_PROGRAMS")]
    programs: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// A server does not come up, or the user interrupts.
pub fn run(options: &Canary) -> Result<ExitCode> {
    let stop = Stop::listen()?;
    let clock = || std::time::SystemTime::UNIX_EPOCH.elapsed().map_or(1, |since| since.as_secs());
    let seed = options.seed.unwrap_or_else(clock);
    println!("seed {seed}");
    let programs = crate::gateway::Programs::ready(options.programs.as_deref())?;
    let folder = programs.gateway.parent().ok_or("the gateway is in no folder")?;
    eprintln!("starting PostgreSQL and a gateway");
    let ground = Ground::start(Some(folder));
    let schema = ground.schema();
    if let Some(number) = options.show {
        println!("{}", ::bypass::statement::work(&schema, seed, number).text);
        return Ok(ExitCode::SUCCESS);
    }
    let sessions = usize::try_from(options.sessions).unwrap_or(1);
    let time = Duration::from_secs(options.seconds);
    let extent = Extent { statements: options.statements, time, least: 0, sessions, seed };
    let asked = || stop.asked();
    let tally = if options.compare {
        let (direct, through) = ground.compared();
        random::compare(&schema, &direct, &through, extent, &asked)
    } else {
        let finder = Finder::new(&ground.truth());
        random::canary(&schema, &finder, &ground.through(&options.user, false), extent, &asked).map(|mut tally| {
            let kept = ground.kept();
            let found = finder.find(&kept, Care::Whole);
            println!(
                "{} bytes of log, metrics and records: {} characters recovered",
                kept.len(),
                finder.characters(&found)
            );
            tally.characters += finder.characters(&found);
            tally
        })
    }
    .map_err(Failure::from)?;
    print(&tally);
    stop.check()?;
    let good = tally.characters == 0 && tally.differences.is_empty() && tally.said > 0 && tally.allowed > 0;
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn print(tally: &Tally) {
    for (number, text) in &tally.leaks {
        println!("came out by statement {number}: {text}");
    }
    for (number, text) in &tally.differences {
        println!("differs in statement {number}: {text}");
    }
    let errors: Vec<String> = tally.errors.iter().map(|(code, count)| format!("{code} {count}")).collect();
    println!("errors by SQLSTATE: {}", errors.join(", "));
    if let Some(why) = &tally.broke {
        println!("first session that ended early: {why}");
    }
    println!("{tally}");
}
