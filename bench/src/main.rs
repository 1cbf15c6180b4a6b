//! Measurement programs of the project: `load` (speed), `bypass` and `canary` (what comes out that should not), `useful`
//! (what has to work and does), `detect` (what of labelled text is found); and the servers that `load` starts.

use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    process::ExitCode,
};

use bench::{
    bypass as bypass_command, bypass_random, canned, copy_proxy, detect,
    disturbance::LIMIT_DEFAULT,
    failure::{Doing, Failure, Result, Stop},
    load::{self, Plan},
    model, plots,
    report::Report,
    target::Way,
    useful,
    wire::Login,
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
    /// The same work through every proxy that is on this machine and through the gateway, in turn.
    Load(Load),
    /// How much of labelled text is found, beside Microsoft Presidio's pattern recognisers.
    Detect(Detect),
    /// Every known way round a mask, against any server or gateway: characters of protected data recovered.
    Bypass(bypass_command::Bypass),
    /// Random statements, and no protected value in any answer.
    Canary(bypass_random::Canary),
    /// Ordinary statements and tools that have to work unchanged: the share that does, and each exception with its reason.
    Useful(useful::Useful),
    /// What many gateways behind a load balancer need, and what breaks first: computed from figures of one.
    Model(model::Model),
    /// A proxy that copies bytes and nothing else, the floor of what a proxy costs. `load` starts it.
    CopyProxy(CopyProxy),
    /// A server that answers chosen statements from memory. `load` starts it.
    CannedServer(CannedServer),
}

#[derive(Args)]
struct CopyProxy {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// Where to connect to.
    #[arg(long, value_name = "ADDRESS")]
    upstream: SocketAddr,
}

#[derive(Args)]
struct CannedServer {
    /// Where to listen.
    #[arg(long, value_name = "ADDRESS")]
    listen: SocketAddr,
    /// The PostgreSQL that answers are taken from, once each, and that gets all other statements. Its password is in
    /// PGPASSWORD.
    #[arg(long, value_name = "ADDRESS")]
    upstream: SocketAddr,
    /// Account on it.
    #[arg(long, value_name = "NAME")]
    user: String,
    /// Database on it.
    #[arg(long, value_name = "NAME")]
    database: String,
    /// A statement that is answered from memory; what comes before its first $ counts.
    #[arg(long, value_name = "SQL")]
    statement: Vec<String>,
    /// Rows of long answers.
    #[arg(long, value_name = "N", default_value_t = 200_000)]
    rows: u64,
    /// Clients log in by SCRAM with the password; otherwise everybody is let in.
    #[arg(long)]
    scram: bool,
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
    /// Less of everything: at most two minutes.
    #[arg(long)]
    quick: bool,
    /// Write all figures to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write report.md, report.json and the plots into this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Rounds; medians are taken over them.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100))]
    rounds: Option<u64>,
    /// Seconds of one piece of work.
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<f64>,
    /// Only this work: simple, extended, prepared (each with -1 -16 -64 -512, or any number of clients), bulk,
    /// bulk-binary, copy, mixed, churn, idle; `canned-` before it: answered from memory; `tls-` before that: with TLS.
    #[arg(long, value_name = "NAME", num_args = 1.., value_delimiter = ',')]
    work: Vec<String>,
    /// Only these ways: direct, copy-proxy, haproxy, pgbouncer, odyssey, pgcat, pgdog, pgagroal, gateway (with -strict
    /// -intent -off, -recorded -recorded-zstd -recorded-plain, -uring -glommio, -reuse, -2cores after it). Otherwise all that are
    /// on this machine, and variants of the gateway in the work in which they differ.
    #[arg(long, visible_alias = "target", value_name = "WAY", value_delimiter = ',', num_args = 1..)]
    way: Vec<Way>,
    /// Folder with programs of peers; PATH is looked at after it.
    #[arg(long, value_name = "FOLDER")]
    peers: Option<PathBuf>,
    /// Rows of a bulk read.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: Option<u64>,
    /// Idle sessions.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=20_000))]
    sessions: Option<u64>,
    /// Do not count system calls.
    #[arg(long)]
    no_syscalls: bool,
    /// Part of the machine that others may use meanwhile, 0 to 1; a piece in which they use more is repeated.
    #[arg(long, value_name = "PART", default_value_t = LIMIT_DEFAULT, value_parser = part)]
    limit: f64,
    /// Report although others use more, with a warning.
    #[arg(long)]
    force: bool,
    /// Folder with `tidegate` and `policy-compiler`; built beside this program otherwise.
    #[arg(long, value_name = "FOLDER")]
    programs: Option<PathBuf>,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=600.0).contains(&seconds) { Ok(seconds) } else { Err("must be from 0.01 to 600".to_owned()) }
}

fn part(text: &str) -> Result<f64, String> {
    let part: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.0..=1.0).contains(&part) { Ok(part) } else { Err("must be from 0 to 1".to_owned()) }
}

/// Others disturbed a measurement too much.
const DISTURBED: u8 = 3;

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Load(load) => run(&load).map(|()| ExitCode::SUCCESS),
        Command::Model(arguments) => model::run(&arguments).map(|text| {
            print!("{text}");
            ExitCode::SUCCESS
        }),
        Command::Bypass(bypass) => bypass_command::run(&bypass),
        Command::Canary(canary) => bypass_random::run(&canary),
        Command::Useful(arguments) => Ok(useful::run(&arguments)),
        Command::Detect(d) => {
            let plan = detect::Plan { data: d.data.as_deref(), python: &d.python, misses: d.misses };
            detect::run(&plan).map(|tables| {
                print!("{tables}");
                ExitCode::SUCCESS
            })
        }
        Command::CopyProxy(proxy) => TcpListener::bind(proxy.listen)
            .doing(format!("listen on {}", proxy.listen))
            .and_then(|listener| copy_proxy::serve(&listener, proxy.upstream))
            .map(|()| ExitCode::SUCCESS),
        Command::CannedServer(server) => {
            let password = std::env::var("PGPASSWORD").unwrap_or_default();
            let upstream = Login::new(server.upstream, &server.user, &password, &server.database);
            let CannedServer { listen, statement, rows, scram, .. } = &server;
            let told = canned::Serve { listen: *listen, upstream, statements: statement, rows: *rows, scram: *scram };
            canned::run(told).map(|()| ExitCode::SUCCESS)
        }
    };
    match done {
        Ok(code) => code,
        Err(Failure::Interrupted) => {
            eprintln!("interrupted; everything that was started has been stopped");
            ExitCode::from(130)
        }
        Err(error @ Failure::Disturbed(_)) => {
            eprintln!("bench: {error}; --force reports nevertheless");
            ExitCode::from(DISTURBED)
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
    eprintln!();
    print!("{report}");
    if let Some(path) = &load.json {
        write(path, &format!("{:#}\n", report.json()))?;
    }
    match &load.out {
        Some(folder) => write_all(folder, &report),
        None => Ok(()),
    }
}

fn write_all(folder: &Path, report: &Report) -> Result<()> {
    std::fs::create_dir_all(folder).doing(format!("make {}", folder.display()))?;
    write(&folder.join("report.json"), &format!("{:#}\n", report.json()))?;
    write(&folder.join("report.md"), &report.markdown())?;
    for file in plots::write(report, folder)? {
        eprintln!("{}", file.display());
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).doing(format!("write {}", path.display()))
}

fn plan(load: &Load) -> Result<Plan> {
    let works: Vec<Work> = match (load.work.is_empty(), load.quick) {
        (false, _) => work::named(&load.work)?,
        (true, true) => work::named(work::QUICK)?,
        (true, false) => work::named(work::USUAL)?,
    };
    let mut ways = load.way.clone();
    ways.sort_unstable();
    ways.dedup();
    let pick = |given: Option<u64>, quick, full| given.unwrap_or(if load.quick { quick } else { full });
    let size = |n: u64| usize::try_from(n).map_err(|_| Failure::from("a number is too large"));
    Ok(Plan {
        works,
        ways,
        peers: load.peers.clone(),
        rounds: size(pick(load.rounds, 2, 3))?,
        extent: Extent {
            seconds: load.seconds.unwrap_or(if load.quick { 0.25 } else { 0.4 }),
            rows: pick(load.rows, 100_000, 200_000),
            scale: if load.quick { 1 } else { 5 },
            sessions: size(pick(load.sessions, 1_000, 5_000))?,
        },
        programs: load.programs.clone(),
        syscalls: !load.no_syscalls && !load.quick,
        limit: load.limit,
        force: load.force,
        own: None,
    })
}
