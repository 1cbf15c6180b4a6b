//! A run of the harness: start everything, warm up, then round by round and work by work each way in turn.
//!
//! The order of the ways turns with each round, so that none is always first after the other's noise. Before each work the
//! machine is watched for a moment while nothing of ours runs: what is busy then is somebody else, and is reported.

use std::{path::PathBuf, thread, time::Duration};

use crate::{
    bouncer, disk,
    failure::{Result, Stop},
    folder::Folder,
    gateway::Programs,
    machine::{self, Machine},
    postgres::{Postgres, Size},
    report::{Report, Sample, Settings},
    syscalls,
    target::{Ground, Target, Way},
    work::{self, Extent, Work},
};

/// How busy a machine may be with other things before its figures are in doubt.
pub const FOREIGN_MAX: f64 = 0.10;
/// How long it is watched.
const WATCH: Duration = Duration::from_millis(300);

/// What to run.
#[derive(Debug)]
pub struct Plan {
    /// Work.
    pub works: Vec<Work>,
    /// Ways.
    pub ways: Vec<Way>,
    /// Rounds.
    pub rounds: usize,
    /// How long and how much.
    pub extent: Extent,
    /// Executors of the gateway.
    pub cores: Option<usize>,
    /// Where its programs are.
    pub programs: Option<PathBuf>,
}

/// Runs it.
///
/// # Errors
/// A server does not come up, work fails, or the user interrupts.
pub fn run(plan: &Plan, stop: &Stop) -> Result<Report> {
    let machine = Machine::look();
    if machine.busy_before > FOREIGN_MAX {
        eprintln!(
            "warning: something else loads this machine ({:.0} % busy before anything was started); \
             believe ratios and CPU figures at most",
            machine.busy_before * 100.0
        );
    }
    let files = machine::raise_open_files();
    let needed = plan.extent.sessions as u64 * 2 + 500;
    if plan.works.contains(&Work::Idle) && files < needed {
        return Err(format!(
            "{} idle sessions need {needed} open files and the limit is {files}: raise it (ulimit -n) or ask for fewer",
            plan.extent.sessions
        )
        .into());
    }
    let programs = match plan.ways.iter().any(|way| way.is_gateway()) {
        true => Some(Programs::ready(plan.programs.as_deref())?),
        false => None,
    };
    let folder = Folder::new()?;
    eprintln!("starting PostgreSQL with {} rows", plan.extent.rows);
    let size = Size { people: plan.extent.rows, scale: plan.extent.scale, sessions: plan.extent.sessions };
    let postgres = Postgres::start(&folder, size, stop)?;
    let settings = Settings {
        machine,
        postgres: postgres.version.clone(),
        pgbouncer: bouncer::version(),
        syscalls_by: syscalls::tool(),
        cores: plan.cores,
        rounds: plan.rounds,
        extent: plan.extent,
    };
    let ground = Ground { folder, postgres, programs, cores: plan.cores, sessions: plan.extent.sessions };
    let mut targets = Vec::new();
    for way in &plan.ways {
        eprintln!("starting {}", way.name());
        targets.push(Target::start(&ground, *way, way.name(), stop)?);
    }
    work::warm(&ground.postgres)?;
    let mut report = Report::new(settings);
    for work in plan.works.iter().filter(|work| **work != Work::Idle) {
        for target in &targets {
            eprintln!("warming up {} {}", work.name(), target.way.name());
            work::round(*work, target, &ground, Extent { seconds: 1, ..plan.extent }, stop)?;
        }
    }
    for round in 0..plan.rounds {
        for work in plan.works.iter().filter(|work| **work != Work::Idle) {
            thread::sleep(Duration::from_millis(100));
            let foreign = machine::busy(WATCH);
            report.add_commit(disk::commit_us(ground.folder.path())?);
            for i in 0..targets.len() {
                let target = &targets[(i + round) % targets.len()];
                eprintln!("round {}/{} {} {}", round + 1, plan.rounds, work.name(), target.way.name());
                let figures = work::round(*work, target, &ground, plan.extent, stop)?;
                report.add(Sample { work: *work, way: target.way, foreign, figures });
            }
        }
    }
    for work in plan.works.iter().filter(|work| **work != Work::Idle) {
        for target in &targets {
            eprintln!("counting system calls {} {}", work.name(), target.way.name());
            let calls = work::syscalls(*work, target, &ground, plan.extent, stop)?;
            report.add_syscalls(*work, target.way, calls);
        }
    }
    drop(targets);
    if plan.works.contains(&Work::Idle) {
        for way in plan.ways.iter().filter(|way| **way != Way::Direct) {
            eprintln!("opening {} idle sessions through {}", plan.extent.sessions, way.name());
            let figures = idle_round(*way, &ground, plan.extent, stop)?;
            report.add(Sample { work: Work::Idle, way: *way, foreign: 0.0, figures });
        }
    }
    Ok(report)
}

fn idle_round(way: Way, ground: &Ground, extent: Extent, stop: &Stop) -> Result<work::Figures> {
    crate::idle::round(way, ground, extent.sessions, stop)
}
