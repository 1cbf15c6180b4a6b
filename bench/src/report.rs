//! What a run prints: a table for people, JSON for programs, and the project's goals beside the figures.
//!
//! Medians over the rounds; the spread is the distance between the best and the worst round as a part of the median. A
//! figure that was not measured is absent, never zero.

use std::fmt::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    load::FOREIGN_MAX,
    machine::Machine,
    pgbench::Mode,
    target::Way,
    work::{Extent, Figures, Work},
};

/// What the run was.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// Machine.
    pub machine: Machine,
    /// Version of PostgreSQL.
    pub postgres: String,
    /// Version of pgbouncer.
    pub pgbouncer: Option<String>,
    /// How system calls are counted.
    pub syscalls_by: Option<&'static str>,
    /// Executors of the gateway; absent: its default.
    pub cores: Option<usize>,
    /// Rounds.
    pub rounds: usize,
    /// How long and how much.
    pub extent: Extent,
}

/// One round.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Sample {
    /// Work.
    pub work: Work,
    /// Way.
    pub way: Way,
    /// Part of the machine that was busy with something else just before.
    pub foreign: f64,
    /// Figures.
    pub figures: Figures,
}

/// All of it.
#[derive(Debug)]
pub struct Report {
    settings: Settings,
    samples: Vec<Sample>,
    syscalls: Vec<(Work, Way, Option<f64>)>,
    /// Median and 99th percentile of the disk's own commits, per round, microseconds.
    commits: Vec<(f64, f64)>,
}

/// One line of the table: medians of one work over one way.
#[derive(Clone, Copy, Debug)]
struct Line {
    work: Work,
    way: Way,
    rate: Option<f64>,
    spread: f64,
    p50_us: Option<f64>,
    p99_us: Option<f64>,
    cpu_us: Option<f64>,
    cpu_s_per_gb: Option<f64>,
    syscalls: Option<f64>,
    resident_kib: Option<f64>,
    proportional_kib: Option<f64>,
}

/// A goal of the project and what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Goal {
    /// In words.
    pub what: &'static str,
    /// Measured.
    pub measured: f64,
    /// Asked for.
    pub limit: f64,
    /// Reached.
    pub reached: bool,
}

impl Report {
    /// Empty.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, samples: Vec::new(), syscalls: Vec::new(), commits: Vec::new() }
    }

    /// Adds how long the disk's own commits took, median and 99th percentile in microseconds.
    pub fn add_commit(&mut self, commit_us: (f64, f64)) {
        self.commits.push(commit_us);
    }

    fn commit_us(&self) -> Option<(f64, f64)> {
        let medians: Vec<f64> = self.commits.iter().map(|(middle, _)| *middle).collect();
        let late: Vec<f64> = self.commits.iter().map(|(_, late)| *late).collect();
        median(&medians).zip(median(&late))
    }

    /// Adds a round.
    pub fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Adds a count of system calls.
    pub fn add_syscalls(&mut self, work: Work, way: Way, calls: Option<f64>) {
        self.syscalls.push((work, way, calls));
    }

    fn lines(&self) -> Vec<Line> {
        let mut keys: Vec<(Work, Way)> = Vec::new();
        for sample in &self.samples {
            if !keys.contains(&(sample.work, sample.way)) {
                keys.push((sample.work, sample.way));
            }
        }
        // Rounds turn the order of the ways; the table does not.
        let first = |work: Work| keys.iter().position(|(other, _)| *other == work);
        let mut sorted = keys.clone();
        sorted.sort_by_key(|(work, way)| (first(*work), *way));
        sorted.into_iter().map(|(work, way)| self.line(work, way)).collect()
    }

    fn line(&self, work: Work, way: Way) -> Line {
        let of = |pick: fn(&Figures) -> Option<f64>| -> Vec<f64> {
            let mine = self.samples.iter().filter(|s| s.work == work && s.way == way);
            mine.filter_map(|s| pick(&s.figures)).collect()
        };
        let rates = of(|f| Some(f.rate));
        Line {
            work,
            way,
            rate: median(&rates),
            spread: spread(&rates),
            p50_us: median(&of(|f| f.p50_us)),
            p99_us: median(&of(|f| f.p99_us)),
            cpu_us: median(&of(|f| f.cpu_us_per_statement)),
            cpu_s_per_gb: median(&of(|f| f.cpu_s_per_gb)),
            syscalls: self.syscalls.iter().find(|(w, t, _)| *w == work && *t == way).and_then(|(.., calls)| *calls),
            resident_kib: median(&of(|f| f.resident_kib)),
            proportional_kib: median(&of(|f| f.proportional_kib)),
        }
    }

    /// The goals that this run says something about.
    #[must_use]
    pub fn goals(&self) -> Vec<Goal> {
        let lines = self.lines();
        let find = |work: Work, way: Way| lines.iter().find(|line| line.work == work && line.way == way);
        let prepared = |clients| Work::Statements { mode: Mode::Prepared, clients };
        let bulk = |masked| Work::Bulk { format: crate::wire::Format::Text, masked };
        let mut goals = Vec::new();
        if let (Some(own), Some(peer)) = (find(prepared(16), Way::Gateway), find(prepared(16), Way::Pgbouncer))
            && let Some((own, peer)) = own.rate.zip(peer.rate)
        {
            goals.push(Goal::at_least("prepared, 16 clients: throughput of the gateway / pgbouncer", own / peer, 1.0));
        }
        if let (Some(own), Some(peer), Some(direct)) =
            (find(prepared(1), Way::Gateway), find(prepared(1), Way::Pgbouncer), find(prepared(1), Way::Direct))
            && let (Some(own), Some(peer), Some(direct)) = (own.p50_us, peer.p50_us, direct.p50_us)
        {
            let ratio = (own - direct) / (peer - direct).max(1.0);
            goals.push(Goal::at_most("prepared, 1 client: added median latency, gateway / pgbouncer", ratio, 1.0));
        }
        // pgbouncer masks nothing: its bulk read is the same work under either name.
        let peer = find(bulk(true), Way::Pgbouncer).or_else(|| find(bulk(false), Way::Pgbouncer));
        if let (Some(own), Some(peer)) = (find(bulk(true), Way::Gateway), peer)
            && let Some((own, peer)) = own.cpu_s_per_gb.zip(peer.cpu_s_per_gb)
        {
            goals.push(Goal::at_most("bulk, 2 of 8 columns masked: CPU per GB, gateway / pgbouncer", own / peer, 1.3));
        }
        if let Some(kib) = find(Work::Idle, Way::Gateway).and_then(|line| line.resident_kib) {
            goals.push(Goal::at_most("idle session: resident KiB in the gateway", kib, 20.0));
        }
        let many = Work::Statements { mode: Mode::Prepared, clients: 64 };
        let rate = |way| find(many, way).and_then(|line| line.rate);
        if let (Some(off), Some(asynchronous)) = (rate(Way::GatewayOff), rate(Way::Gateway)) {
            goals.push(Goal::at_least("64 clients: throughput with audit async / off", asynchronous / off, 0.97));
        }
        if let (Some(off), Some(strict), Some((commit_us, _))) =
            (rate(Way::GatewayOff), rate(Way::GatewayStrict), self.commit_us())
        {
            // A client that waits for a commit finds another under way, half done on average.
            let allowed = 64.0 / (1.5 * commit_us / 1e6);
            let what = "64 clients: audit strict / the lesser of off and what the disk's commits allow";
            goals.push(Goal::at_least(what, strict / off.min(allowed), 0.9));
        }
        goals
    }

    /// Everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let lines = self.lines();
        let medians: Vec<Value> = lines
            .iter()
            .map(|line| {
                let ratio = |way| ratio(&lines, line, way);
                json!({
                    "work": line.work, "way": line.way, "rate": line.rate, "unit": unit(line.work), "spread": line.spread,
                    "of_direct": ratio(Way::Direct), "of_pgbouncer": ratio(Way::Pgbouncer),
                    "p50_us": line.p50_us, "p99_us": line.p99_us,
                    "cpu_us_per_statement": line.cpu_us, "cpu_s_per_gb": line.cpu_s_per_gb,
                    "syscalls": line.syscalls, "syscalls_unit": syscalls_unit(line.work),
                    "resident_kib": line.resident_kib, "proportional_kib": line.proportional_kib,
                })
            })
            .collect();
        json!({
            "settings": self.settings, "commit_us": self.commit_us(), "foreign_load": self.foreign(),
            "medians": medians, "rounds": self.samples, "goals": self.goals(),
        })
    }

    /// The busiest the machine was with other things.
    fn foreign(&self) -> f64 {
        self.samples.iter().map(|s| s.foreign).fold(self.settings.machine.busy_before, f64::max)
    }
}

impl Goal {
    const fn at_least(what: &'static str, measured: f64, limit: f64) -> Self {
        Self { what, measured, limit, reached: measured >= limit }
    }

    const fn at_most(what: &'static str, measured: f64, limit: f64) -> Self {
        Self { what, measured, limit, reached: measured <= limit }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        let machine = &settings.machine;
        writeln!(
            f,
            "{}, {} cores, {:.0} GiB, Linux {}; PostgreSQL {}, pgbouncer {}; {} rounds of {} s, {} rows, scale {}, gateway cores {}",
            machine.processor,
            machine.cores,
            machine.memory_gib,
            machine.kernel,
            settings.postgres,
            settings.pgbouncer.as_deref().unwrap_or("not installed"),
            settings.rounds,
            settings.extent.seconds,
            settings.extent.rows,
            settings.extent.scale,
            settings.cores.map_or_else(|| "all".to_owned(), |n| n.to_string()),
        )?;
        let lines = self.lines();
        let mut table = vec![
            [
                "work", "way", "rate", "±", "/direct", "/bouncer", "p50 µs", "p99 µs", "CPU µs", "CPU s/GB",
                "syscalls", "KiB rss", "KiB pss",
            ]
            .map(str::to_owned),
        ];
        for line in &lines {
            let rate = line.rate.filter(|_| line.work != Work::Idle);
            table.push([
                line.work.name().to_owned(),
                line.way.name().to_owned(),
                rate.map_or_else(String::new, |rate| format!("{rate:.0} {}", unit(line.work))),
                rate.map_or_else(String::new, |_| format!("{:.0}%", line.spread * 100.0)),
                cell(ratio(&lines, line, Way::Direct), 2),
                cell(ratio(&lines, line, Way::Pgbouncer), 2),
                cell(line.p50_us, 0),
                cell(line.p99_us, 0),
                cell(line.cpu_us, 1),
                cell(line.cpu_s_per_gb, 2),
                line.syscalls.map_or_else(String::new, |n| format!("{n:.2}{}", syscalls_unit(line.work))),
                cell(line.resident_kib, 1),
                cell(line.proportional_kib, 1),
            ]);
        }
        write_table(f, &table)?;
        if let Some((middle, late)) = self.commit_us() {
            writeln!(
                f,
                "a commit of the disk's own (16 KiB, fdatasync): median {middle:.0} µs, 99 % within {late:.0} µs"
            )?;
        }
        match settings.syscalls_by {
            Some(tool) => writeln!(f, "system calls of the proxy by {tool}")?,
            None => writeln!(f, "system calls: not measured (neither perf nor strace can count here)")?,
        }
        for goal in self.goals() {
            let Goal { what, measured, limit, reached } = goal;
            writeln!(
                f,
                "{}  {what}: {measured:.2} (goal {limit})",
                if reached { "reached    " } else { "not reached" }
            )?;
        }
        let foreign = self.foreign();
        if foreign > FOREIGN_MAX {
            writeln!(
                f,
                "warning: something else kept up to {:.0} % of this machine busy; believe ratios and CPU figures at most",
                foreign * 100.0
            )?;
        }
        Ok(())
    }
}

fn write_table(f: &mut fmt::Formatter<'_>, table: &[[String; 13]]) -> fmt::Result {
    let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..13).map(width).collect();
    for row in table {
        let mut text = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            // Names to the left, figures to the right.
            match column {
                0 | 1 => write!(text, "{cell:<width$}  ")?,
                _ => write!(text, "{cell:>width$}  ")?,
            }
        }
        writeln!(f, "{}", text.trim_end())?;
    }
    Ok(())
}

fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(String::new, |value| format!("{value:.digits$}"))
}

const fn unit(work: Work) -> &'static str {
    match work {
        Work::Statements { .. } => "/s",
        Work::Bulk { .. } => "MB/s",
        Work::Idle => "logins/s",
    }
}

const fn syscalls_unit(work: Work) -> &'static str {
    match work {
        Work::Statements { .. } => "/stmt",
        Work::Bulk { .. } | Work::Idle => "/MB",
    }
}

/// Rate of this line as a part of the same work's rate over `way`.
fn ratio(lines: &[Line], line: &Line, way: Way) -> Option<f64> {
    if line.way == way || line.work == Work::Idle {
        return None;
    }
    let other = lines.iter().find(|other| other.work == line.work && other.way == way)?;
    Some(line.rate? / other.rate?)
}

fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[middle]),
        _ => Some((sorted[middle - 1] + sorted[middle]) / 2.0),
    }
}

fn spread(values: &[f64]) -> f64 {
    let (least, most) = values.iter().fold((f64::MAX, f64::MIN), |(a, b), v| (a.min(*v), b.max(*v)));
    median(values).filter(|m| *m > 0.0).map_or(0.0, |m| (most - least) / m)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Format;

    fn settings() -> Settings {
        Settings {
            machine: Machine {
                processor: "test".to_owned(),
                cores: 2,
                memory_gib: 1.0,
                kernel: "6".to_owned(),
                busy_before: 0.0,
            },
            postgres: "15".to_owned(),
            pgbouncer: None,
            syscalls_by: None,
            cores: None,
            rounds: 3,
            extent: Extent { seconds: 1, rows: 1, scale: 1, sessions: 1 },
        }
    }

    fn report(samples: &[(Work, Way, Figures)]) -> Report {
        let mut report = Report::new(settings());
        for (work, way, figures) in samples {
            report.add(Sample { work: *work, way: *way, foreign: 0.0, figures: *figures });
        }
        report
    }

    #[test]
    fn medians_of_the_rounds_decide_the_goals() {
        let sixteen = Work::Statements { mode: Mode::Prepared, clients: 16 };
        let bulk = Work::Bulk { format: Format::Text, masked: true };
        let rate = |rate| Figures { rate, ..Figures::default() };
        let cost = |cpu| Figures { rate: 1.0, cpu_s_per_gb: Some(cpu), ..Figures::default() };
        let report = report(&[
            (sixteen, Way::Gateway, rate(90.0)),
            (sixteen, Way::Gateway, rate(120.0)),
            (sixteen, Way::Gateway, rate(110.0)),
            (sixteen, Way::Pgbouncer, rate(100.0)),
            (bulk, Way::Gateway, cost(1.5)),
            (bulk, Way::Pgbouncer, cost(1.0)),
        ]);
        let goals = report.goals();
        assert_eq!(goals.len(), 2);
        assert_eq!((goals[0].measured, goals[0].reached), (1.1, true));
        assert_eq!((goals[1].measured, goals[1].reached), (1.5, false));
        assert_eq!(report.json()["medians"][0]["of_pgbouncer"], Value::Null);
        assert_eq!(report.json()["medians"][1]["of_pgbouncer"], 1.1);
    }

    #[test]
    fn what_was_not_measured_is_not_zero() {
        let one = Work::Statements { mode: Mode::Prepared, clients: 1 };
        let report = report(&[(one, Way::Direct, Figures { rate: 5.0, ..Figures::default() })]);
        let line = &report.json()["medians"][0];
        assert_eq!(line["cpu_us_per_statement"], Value::Null);
        assert_eq!(line["rate"], 5.0);
        assert!(report.to_string().contains("not measured"));
        assert!(report.goals().is_empty());
    }
}
