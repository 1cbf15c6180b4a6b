//! `gate`: instruction counts of the pure paths, compared with limits that are written down, or with another revision.
//!
//! Exit code 0: nothing is over its limit. 1: something is, or the gate could not count. Deliberately absent: wall-clock time.

mod against;
mod count;
mod limits;

use std::fs;
use std::path::{Path as FilePath, PathBuf};
use std::process::{Command, ExitCode};

use clap::Parser;
use paths::{PATHS, Path};
use serde::Serialize;

use count::Counted;
use limits::{Limit, Limits, Verdict};

/// Counts instructions of the pure paths under callgrind and compares them with limits that are written down.
#[derive(Parser)]
#[command(name = "gate")]
struct Cli {
    /// Paths to count; all of them without this.
    #[arg(value_name = "PATH")]
    paths: Vec<String>,
    /// Write the counts down as the new limits of this kind of processor.
    #[arg(long, conflicts_with_all = ["against", "prove", "slow"])]
    update: bool,
    /// Build and count another revision too, and compare with it instead of with the limits.
    #[arg(long, value_name = "REVISION", conflicts_with = "prove")]
    against: Option<String>,
    /// Do a tenth more work in this path (`all` for every one): the gate has to fail.
    #[arg(long, value_name = "PATH")]
    slow: Vec<String>,
    /// Count, then count every path again with a tenth more work: fails unless each of those is reported as over.
    #[arg(long, conflicts_with = "slow")]
    prove: bool,
    /// For machines.
    #[arg(long)]
    json: bool,
    /// Names and units of the paths.
    #[arg(long)]
    list: bool,
    /// File of limits; the project's own without this.
    #[arg(long, value_name = "FILE")]
    limits: Option<PathBuf>,
    /// Run a path here and now, to be counted from outside.
    #[arg(long, value_name = "PATH", hide = true)]
    count: Option<String>,
}

/// A line of the table.
#[derive(Debug, Serialize)]
struct Line {
    path: &'static str,
    unit: &'static str,
    now: f64,
    limit: Option<f64>,
    difference_percent: Option<f64>,
    tolerance_percent: Option<f64>,
    verdict: Verdict,
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("gate: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether nothing is over.
fn run(cli: &Cli) -> Result<bool, String> {
    if let Some(name) = &cli.count {
        count::run(count::named(name)?, !cli.slow.is_empty());
        return Ok(true);
    }
    if cli.list {
        PATHS.iter().for_each(|path| println!("{:<20} per {}", path.name, path.unit));
        return Ok(true);
    }
    let paths: Vec<&Path> = if cli.paths.is_empty() {
        PATHS.iter().collect()
    } else {
        cli.paths.iter().map(|name| count::named(name)).collect::<Result<_, _>>()?
    };
    for name in cli.slow.iter().filter(|name| *name != "all") {
        count::named(name)?;
    }
    let slow = |path: &Path| cli.slow.iter().any(|name| name == "all" || name == path.name);
    let home = FilePath::new(env!("CARGO_MANIFEST_DIR"));
    // Another build may replace the program meanwhile.
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let own = std::env::current_exe().map_err(|error| format!("this program is nowhere: {error}"))?;
    let program = folder.path().join("gate");
    fs::copy(&own, &program).map_err(|error| format!("this program cannot be copied: {error}"))?;

    if let Some(revision) = &cli.against {
        let target = own.parent().and_then(FilePath::parent).ok_or("this program is in no target folder")?;
        let other = against::build(&home.join("../.."), revision, target)?;
        let counted = count::all(&program, &paths, &slow)?;
        let theirs: Vec<_> =
            paths.iter().map(|path| count::all(&other.program, &[path], &|_| false).ok()?.pop()).collect();
        let limits: Vec<_> = theirs
            .into_iter()
            .map(|theirs| Some(Limit { instructions: theirs?.instructions, tolerance: limits::TOLERANCE_PERCENT }))
            .collect();
        let lines = judged(&paths, &counted, &limits);
        print(cli.json, &lines, &other.commit);
        return Ok(none_over(&lines));
    }

    let file = cli.limits.clone().unwrap_or_else(|| home.join("../gate.toml"));
    let mut limits = match fs::read_to_string(&file) {
        Ok(text) => Limits::parse(&text).map_err(|error| format!("{}: {error}", file.display()))?,
        Err(error) if cli.update && error.kind() == std::io::ErrorKind::NotFound => Limits::default(),
        Err(error) => return Err(format!("{}: {error}", file.display())),
    };
    let counted = count::all(&program, &paths, &slow)?;
    let processor = counted.first().map(|counted| counted.processor.clone()).unwrap_or_default();
    let (rustc, with) = (env!("GATE_RUSTC"), counted_with());
    let of = limits.processor.get(&processor);
    let known: Vec<_> = paths.iter().map(|path| of?.path.get(path.name).cloned()).collect();
    let lines = judged(&paths, &counted, &known);
    print(cli.json, &lines, "limit");
    if cli.update {
        let counts: Vec<_> = lines.iter().map(|line| (line.path, line.now)).collect();
        limits.update(&processor, rustc, &with, &counts);
        fs::write(&file, limits.text()).map_err(|error| format!("{}: {error}", file.display()))?;
        eprintln!("written to {}", file.display());
        return Ok(true);
    }
    let Some(of) = of else {
        eprintln!(
            "no limits are written down for {processor}: nothing was compared (--update writes them, --against compares)"
        );
        return prove(cli, &program, &paths, &counted);
    };
    if of.rustc != rustc {
        return Err(format!(
            "the limits are those of rustc {}, this is {rustc}: write them anew with --update",
            of.rustc
        ));
    }
    if of.counted_with != with {
        eprintln!("the limits were counted with {}, this is {with}: small differences are theirs", of.counted_with);
    }
    if lines.iter().any(|line| line.verdict == Verdict::Unknown) {
        return Err("a path has no limit: write it down with --update".to_owned());
    }
    let proven = prove(cli, &program, &paths, &counted)?;
    Ok(none_over(&lines) && proven)
}

/// Whether the gate sees a slowdown of each path, if that is asked: limits are what was just counted.
fn prove(cli: &Cli, program: &FilePath, paths: &[&Path], counted: &[Counted]) -> Result<bool, String> {
    if !cli.prove {
        return Ok(true);
    }
    let limit = |counted: &Counted| {
        Some(Limit { instructions: counted.instructions, tolerance: limits::TOLERANCE_PERCENT_MAX })
    };
    let limits: Vec<_> = counted.iter().map(limit).collect();
    let slowed = count::all(program, paths, &|_| true)?;
    let lines = judged(paths, &slowed, &limits);
    let unseen: Vec<_> = lines.iter().filter(|line| line.verdict != Verdict::Over).map(|line| line.path).collect();
    if unseen.is_empty() {
        eprintln!("a tenth more work is reported in each of {} paths", lines.len());
    } else {
        eprintln!("a tenth more work is not noticed in {}", unseen.join(", "));
    }
    Ok(unseen.is_empty())
}

fn judged(paths: &[&Path], counted: &[Counted], limits: &[Option<Limit>]) -> Vec<Line> {
    let line = |((path, counted), limit): ((&&Path, &Counted), &Option<Limit>)| Line {
        path: path.name,
        unit: path.unit,
        now: counted.instructions,
        limit: limit.as_ref().map(|limit| limit.instructions),
        difference_percent: limit.as_ref().map(|limit| (counted.instructions / limit.instructions - 1.0) * 100.0),
        tolerance_percent: limit.as_ref().map(|limit| limit.tolerance),
        verdict: limit.as_ref().map_or(Verdict::Unknown, |limit| limit.judge(counted.instructions)),
    };
    paths.iter().zip(counted).zip(limits).map(line).collect()
}

fn none_over(lines: &[Line]) -> bool {
    lines.iter().all(|line| line.verdict != Verdict::Over)
}

/// C library and valgrind.
fn counted_with() -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().map(|output| output.stdout).unwrap_or_default();
        String::from_utf8_lossy(&output).trim().to_owned()
    };
    format!("{}, {}", said("getconf", &["GNU_LIBC_VERSION"]), said("valgrind", &["--version"]))
}

fn print(json: bool, lines: &[Line], beside: &str) {
    if json {
        println!("{}", serde_json::json!({ "beside": beside, "paths": lines }));
        return;
    }
    println!("{:<20} {:>14} {:>14} {:>11}  instructions per", "path", "now", beside, "difference");
    for line in lines {
        let limit = line.limit.map_or_else(|| "-".to_owned(), |limit| format!("{limit:.1}"));
        let difference = line.difference_percent.map_or_else(|| "-".to_owned(), |d| format!("{d:+.1} %"));
        let remark = match (line.verdict, line.tolerance_percent) {
            (Verdict::Over, Some(tolerance)) => format!("  OVER by more than {tolerance} %"),
            (Verdict::Under, _) => "  better".to_owned(),
            _ => String::new(),
        };
        println!("{:<20} {:>14.1} {limit:>14} {difference:>11}  {}{remark}", line.path, line.now, line.unit);
    }
}
