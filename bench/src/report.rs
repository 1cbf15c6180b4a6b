//! What a run gives: tables for people (terminal and Markdown), JSON for programs, and the goals beside the figures.
//!
//! Medians over the rounds; the spread is the distance of the most from the least as a part of the median. A figure that
//! was not measured is absent, never zero.

use std::collections::BTreeSet;
use std::fmt::{self, Write};

use serde::Serialize;
use serde_json::{Value, json};

use crate::{
    disturbance::Measure,
    goals,
    machine::Machine,
    peers::Peer,
    statistics::{Summary, ratio},
    target::Way,
    work::{Case, Extent, Figures, Kind, Work},
};

/// Below this part of its processors the proxy was not what limited the rate.
const LIMITING: f64 = 0.85;

/// Processors that drive the proxy: the load generator's, and the server's.
const DRIVERS: usize = 2;
/// In place of a rate that would mislead.
const CROWDED: &str = "shared";

/// What the run was.
#[derive(Clone, Debug, Serialize)]
pub struct Settings {
    /// Machine.
    pub machine: Machine,
    /// The folder of the audit logs is in memory, where nothing waits for a disk.
    pub audit_in_memory: bool,
    /// Version of PostgreSQL.
    pub postgres: String,
    /// Peers, found or missing.
    pub peers: Vec<PeerFound>,
    /// How system calls are counted.
    pub syscalls_by: Option<&'static str>,
    /// Rounds.
    pub rounds: usize,
    /// How long and how much.
    pub extent: Extent,
    /// Others may have used this part of the machine.
    pub limit: f64,
    /// What was disturbed more was kept.
    pub forced: bool,
}

/// A peer and its version, if it is on this machine.
#[derive(Clone, Debug, Serialize)]
pub struct PeerFound {
    /// Which.
    pub peer: Peer,
    /// `None`: missing.
    pub version: Option<String>,
}

/// One piece of work in one round.
#[derive(Clone, Debug, Serialize)]
pub struct Sample {
    /// Work.
    pub work: Work,
    /// Way, and what is masked.
    pub case: Case,
    /// Round, from zero.
    pub round: usize,
    /// What others did meanwhile.
    pub measure: Measure,
    /// That was too much, and the piece was kept nevertheless.
    pub disturbed: bool,
    /// Figures.
    pub figures: Figures,
}

/// All of it.
#[derive(Debug)]
pub struct Report {
    settings: Settings,
    samples: Vec<Sample>,
    syscalls: Vec<(Work, Case, Option<f64>)>,
    failures: Vec<(Work, Case, String)>,
    /// What clients and each way agreed on under TLS.
    tls: Vec<(Way, String)>,
    /// Median and 99th percentile of the disk's own commits, per round, microseconds.
    commits: Vec<(f64, f64)>,
}

/// All rounds of one case of one work.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Line {
    /// Work.
    pub work: Work,
    /// Way, and what is masked.
    pub case: Case,
    /// Statements, sessions, or rows of a bulk read, in a piece.
    pub count: Option<Summary>,
    /// Statements, sessions or megabytes in a second.
    pub rate: Option<Summary>,
    /// Median latency, µs.
    pub p50_us: Option<Summary>,
    /// 99th percentile, µs.
    pub p99_us: Option<Summary>,
    /// Median latency beside a bulk reader, µs.
    pub beside_p50_us: Option<Summary>,
    /// 99th percentile beside one, µs.
    pub beside_p99_us: Option<Summary>,
    /// Processor time for each statement or session, µs.
    pub cpu_us: Option<Summary>,
    /// Processor time for each GB, seconds.
    pub cpu_s_per_gb: Option<Summary>,
    /// Processors the proxy kept busy.
    pub proxy_busy: Option<Summary>,
    /// Processors the load generator kept busy.
    pub generator_busy: Option<Summary>,
    /// System calls for each statement, or for each megabyte of a bulk read.
    pub syscalls: Option<f64>,
    /// Memory of an idle session, KiB resident.
    pub resident_kib: Option<Summary>,
    /// The same, proportional.
    pub proportional_kib: Option<Summary>,
}

impl Line {
    /// Without figures.
    #[must_use]
    pub const fn empty(work: Work, case: Case) -> Self {
        Self {
            work,
            case,
            count: None,
            rate: None,
            p50_us: None,
            p99_us: None,
            beside_p50_us: None,
            beside_p99_us: None,
            cpu_us: None,
            cpu_s_per_gb: None,
            proxy_busy: None,
            generator_busy: None,
            syscalls: None,
            resident_kib: None,
            proportional_kib: None,
        }
    }

    /// The proxy was busy all the time: it, and not what drives it, limited the rate.
    #[must_use]
    pub fn was_limit(&self) -> bool {
        let whole = match self.case.way {
            Way::Gateway(variant) => variant.cores as f64,
            // What it could have used nobody knows.
            Way::Peer(peer) if !peer.has_one_thread() => return false,
            Way::Direct | Way::Peer(_) => 1.0,
        };
        self.proxy_busy.is_some_and(|busy| busy.median >= LIMITING * whole)
    }

    /// It has several executors, and on so many processors they share theirs with the load generator and the server: its rates and
    /// latencies would mislead.
    #[must_use]
    pub fn is_crowded(&self, processors: usize) -> bool {
        matches!(self.case.way, Way::Gateway(variant) if variant.cores > 1 && processors < variant.cores + DRIVERS)
    }

    /// The processor time that this work is about: for each statement, or for each GB.
    #[must_use]
    pub fn cost(&self) -> Option<f64> {
        self.cpu_us.or(self.cpu_s_per_gb).map(|summary| summary.median)
    }
}

impl Report {
    /// Empty.
    #[must_use]
    pub const fn new(settings: Settings) -> Self {
        Self {
            settings,
            samples: Vec::new(),
            syscalls: Vec::new(),
            failures: Vec::new(),
            tls: Vec::new(),
            commits: Vec::new(),
        }
    }

    /// Adds how long the disk's own commits took, median and 99th percentile in microseconds.
    pub fn add_commit(&mut self, commit_us: (f64, f64)) {
        self.commits.push(commit_us);
    }

    /// Adds a piece.
    pub fn add(&mut self, sample: Sample) {
        self.samples.push(sample);
    }

    /// Adds a count of system calls.
    pub fn add_syscalls(&mut self, work: Work, case: Case, calls: Option<f64>) {
        self.syscalls.push((work, case, calls));
    }

    /// Adds a peer's failure.
    pub fn add_failure(&mut self, work: Work, case: Case, why: String) {
        self.failures.push((work, case, why));
    }

    /// Adds what clients and a way agreed on under TLS.
    pub fn add_tls(&mut self, way: Way, secured: String) {
        if !self.tls.contains(&(way, secured.clone())) {
            self.tls.push((way, secured));
        }
    }

    /// Medians, in the order in which the work was done, and of the ways.
    #[must_use]
    pub fn lines(&self) -> Vec<Line> {
        let mut works: Vec<Work> = Vec::new();
        let mut keys: Vec<(usize, Case)> = Vec::new();
        for sample in &self.samples {
            let at = works.iter().position(|work| *work == sample.work).unwrap_or_else(|| {
                works.push(sample.work);
                works.len() - 1
            });
            if !keys.contains(&(at, sample.case)) {
                keys.push((at, sample.case));
            }
        }
        keys.sort_unstable();
        keys.into_iter().map(|(at, case)| self.line(works[at], case)).collect()
    }

    fn line(&self, work: Work, case: Case) -> Line {
        let of = |pick: fn(&Figures) -> Option<f64>| {
            let mine = self.samples.iter().filter(|s| s.work == work && s.case == case);
            Summary::of(mine.filter_map(|s| pick(&s.figures)))
        };
        Line {
            work,
            case,
            count: of(|f| Some(f.count as f64)),
            rate: of(|f| Some(f.rate)),
            p50_us: of(|f| f.latency.map(|l| l.p50_us)),
            p99_us: of(|f| f.latency.map(|l| l.p99_us)),
            beside_p50_us: of(|f| f.beside.map(|l| l.p50_us)),
            beside_p99_us: of(|f| f.beside.map(|l| l.p99_us)),
            cpu_us: of(|f| f.cpu_us_per_statement),
            cpu_s_per_gb: of(|f| f.cpu_s_per_gb),
            proxy_busy: of(|f| f.proxy_busy),
            generator_busy: of(|f| f.generator_busy),
            syscalls: self.syscalls.iter().find(|(w, c, _)| *w == work && *c == case).and_then(|(.., calls)| *calls),
            resident_kib: of(|f| f.resident_kib),
            proportional_kib: of(|f| f.proportional_kib),
        }
    }

    fn commit_us(&self) -> Option<(f64, f64)> {
        let middle = Summary::of(self.commits.iter().map(|(middle, _)| *middle))?;
        Some((middle.median, Summary::of(self.commits.iter().map(|(_, late)| *late))?.median))
    }

    /// Everything, for programs.
    #[must_use]
    pub fn json(&self) -> Value {
        let lines = self.lines();
        let failures: Vec<Value> = self
            .failures
            .iter()
            .map(|(work, case, why)| json!({ "work": work, "way": case.way, "why": why }))
            .collect();
        json!({
            "settings": self.settings, "commit_us": self.commit_us(), "medians": lines, "goals": goals::evaluate(&lines, self.settings.machine.cores),
            "failures": failures, "tls": self.tls, "disturbance": self.most_disturbed().map(|sample| &sample.measure), "pieces": self.samples,
        })
    }

    fn most_disturbed(&self) -> Option<&Sample> {
        self.samples.iter().max_by(|a, b| a.measure.taken().total_cmp(&b.measure.taken()))
    }

    fn heading(&self) -> String {
        let Settings { machine, postgres, rounds, extent, .. } = &self.settings;
        format!(
            "{}, {} processors, {:.0} GiB, Linux {}; PostgreSQL {postgres}; {rounds} rounds of {} s, {} rows, scale {}",
            machine.processor,
            machine.cores,
            machine.memory_gib,
            machine.kernel,
            extent.seconds,
            extent.rows,
            extent.scale,
        )
    }

    fn peers(&self) -> String {
        let found: Vec<String> = self
            .settings
            .peers
            .iter()
            .filter_map(|found| Some(format!("{} {}", found.peer.name(), found.version.as_ref()?)))
            .collect();
        let missing: Vec<&str> =
            self.settings.peers.iter().filter(|found| found.version.is_none()).map(|found| found.peer.name()).collect();
        let missing = if missing.is_empty() { "none".to_owned() } else { missing.join(", ") };
        format!("peers: {}; missing on this machine: {missing}", found.join(", "))
    }

    /// What has to be said below the tables.
    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        if let Some((middle, late)) = self.commit_us() {
            remarks.push(format!(
                "a commit of the disk's own (16 KiB, fdatasync): median {middle:.0} µs, 99 % within {late:.0} µs"
            ));
        }
        remarks.push(match self.settings.syscalls_by {
            Some(tool) => format!("system calls of the proxy by {tool}, in pieces of their own"),
            None => "system calls were not counted".to_owned(),
        });
        if self.settings.audit_in_memory {
            remarks.push(
                "the audit logs were in memory (tmpfs) and not on a disk: believe nothing about strict and intent, and set TMPDIR"
                    .to_owned(),
            );
        }
        let suites: BTreeSet<&str> = self.tls.iter().map(|(_, secured)| secured.as_str()).collect();
        for suite in &suites {
            let ways: Vec<String> =
                self.tls.iter().filter(|(_, secured)| secured == suite).map(|(way, _)| way.to_string()).collect();
            let who = if suites.len() == 1 { "everybody".to_owned() } else { ways.join(", ") };
            remarks.push(format!("TLS of {who}: {suite}, every session anew"));
        }
        if suites.len() > 1 {
            remarks.push("WARNING: ways differ in their TLS: compare those that have the same".to_owned());
        }
        let processors = self.settings.machine.cores;
        if self.lines().iter().any(|line| line.is_crowded(processors)) {
            remarks.push(format!(
                "{CROWDED}: several executors share {processors} processors with the load generator and the server, so rates and \
                 latencies say nothing about them; their processor time for each statement does"
            ));
        }
        for (work, case, why) in &self.failures {
            let first = why.lines().next().unwrap_or_default();
            remarks.push(format!("{work}: {} failed and is left out: {first}", case.way));
        }
        if let Some(most) = self.most_disturbed() {
            let words = most.measure.words();
            let disturbed = self.samples.iter().filter(|sample| sample.disturbed).count();
            if disturbed > 0 {
                remarks.push(format!(
                    "WARNING: {disturbed} of {} pieces were disturbed beyond {:.0} % and kept because the run was forced; \
                     in the worst {words}. Believe ratios of processor time at most",
                    self.samples.len(),
                    self.settings.limit * 100.0
                ));
            } else {
                remarks.push(format!("in the most disturbed piece that counts {words}"));
            }
        }
        remarks
    }

    /// Tables in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut out = format!("{}; {}.\n", self.heading(), self.peers());
        for (title, table) in self.tables() {
            let _infallible = write!(out, "\n**{title}**\n\n");
            for (i, row) in table.iter().enumerate() {
                let _infallible = writeln!(out, "| {} |", row.join(" | "));
                if i == 0 {
                    let _infallible = writeln!(out, "|---{}", "|---:".repeat(row.len() - 1) + "|");
                }
            }
        }
        out.push('\n');
        for remark in self.remarks() {
            let _infallible = writeln!(out, "- {remark}");
        }
        out
    }

    /// A table for each work, and that of the goals.
    fn tables(&self) -> Vec<(String, Vec<Vec<String>>)> {
        let lines = self.lines();
        let mut tables = Vec::new();
        let mut rest = &lines[..];
        while let Some(first) = rest.first() {
            let count = rest.iter().take_while(|line| line.work == first.work).count();
            let (these, others) = rest.split_at(count);
            tables.push((title(first.work), table(these, self.settings.machine.cores)));
            rest = others;
        }
        let mut goals = vec![["work", "goal", "asked", "measured", "outcome"].map(str::to_owned).to_vec()];
        for goal in goals::evaluate(&lines, self.settings.machine.cores) {
            let measured = goal.measured.as_ref().map_or_else(|_| "–".to_owned(), |value| figure(*value));
            goals.push(vec![goal.work.clone(), goal.what.clone(), goal.asked(), measured, goal.outcome().to_string()]);
        }
        tables.push(("Goals".to_owned(), goals));
        tables
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.heading(), self.peers())?;
        for (title, table) in self.tables() {
            writeln!(f, "\n{title}")?;
            let columns = table.first().map_or(0, Vec::len);
            let width = |column: usize| table.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
            let widths: Vec<usize> = (0..columns).map(width).collect();
            let words = title == "Goals";
            for row in &table {
                let mut text = String::from("  ");
                for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
                    // Names to the left, figures to the right.
                    match column == 0 || words {
                        true => write!(text, "{cell:<width$}  ")?,
                        false => write!(text, "{cell:>width$}  ")?,
                    }
                }
                writeln!(f, "{}", text.trim_end())?;
            }
        }
        writeln!(f)?;
        for remark in self.remarks() {
            writeln!(f, "{remark}")?;
        }
        Ok(())
    }
}

fn title(work: Work) -> String {
    let what = match work.kind {
        Kind::Statements { clients: 1, .. } => "small statements of 1 client".to_owned(),
        Kind::Statements { clients, .. } => format!("small statements of {clients} clients"),
        Kind::Bulk(_) => "a bulk read of 8 columns".to_owned(),
        Kind::Mixed => "small statements of 16 clients, alone and beside a bulk reader".to_owned(),
        Kind::Churn => "login, one statement, leave".to_owned(),
        Kind::Idle => "sessions that idle".to_owned(),
    };
    format!("{work}: {what}")
}

/// A column: its heading and its cell.
type Column<'a> = (&'static str, Box<dyn Fn(&Line) -> Option<String> + 'a>);

/// The table of one work. A column that has no figure at all is left out.
fn table(lines: &[Line], processors: usize) -> Vec<Vec<String>> {
    let of = |way: Way| lines.iter().find(|line| line.case.way == way);
    let floor = of(Way::Peer(Peer::Floor));
    let pgbouncer = of(Way::Peer(Peer::Pgbouncer));
    let cost_of = |reference: Option<&Line>, line: &Line| {
        let reference = reference.filter(|reference| reference.case != line.case)?;
        ratio(line.cost(), reference.cost()).map(|ratio| format!("{ratio:.2}"))
    };
    let median = |pick: fn(&Line) -> Option<Summary>, digits: usize| {
        Box::new(move |line: &Line| pick(line).map(|s| format!("{:.digits$}", s.median)))
    };
    let columns: Vec<Column<'_>> = vec![
        ("CPU µs", median(|line| line.cpu_us, 1)),
        ("CPU s/GB", median(|line| line.cpu_s_per_gb, 3)),
        ("±", Box::new(|line| line.cpu_us.or(line.cpu_s_per_gb).map(|s| percent(s.spread())))),
        ("CPU/copy", Box::new(move |line| cost_of(floor, line))),
        ("CPU/pgbouncer", Box::new(move |line| cost_of(pgbouncer, line))),
        (
            "rate",
            Box::new(move |line| match line.is_crowded(processors) {
                true => Some(CROWDED.to_owned()),
                false => line.rate.map(|s| format!("{:.0} {}", s.median, unit(line.work))),
            }),
        ),
        ("± ", Box::new(move |line| line.rate.filter(|_| !line.is_crowded(processors)).map(|s| percent(s.spread())))),
        (
            "rate/pgbouncer",
            Box::new(move |line| {
                let other = pgbouncer.filter(|other| other.case != line.case && !line.is_crowded(processors))?;
                let ratio = ratio(line.rate.map(|s| s.median), other.rate.map(|s| s.median))?;
                Some(format!("{ratio:.2}"))
            }),
        ),
        ("p50 µs", median(|line| line.p50_us, 0)),
        ("p99 µs", median(|line| line.p99_us, 0)),
        ("beside p50", median(|line| line.beside_p50_us, 0)),
        ("beside p99", median(|line| line.beside_p99_us, 0)),
        (
            "p99 ratio",
            Box::new(|line| {
                let ratio = ratio(line.beside_p99_us.map(|s| s.median), line.p99_us.map(|s| s.median))?;
                Some(format!("{ratio:.2}"))
            }),
        ),
        ("busy", Box::new(|line| line.proxy_busy.map(|s| busy(s.median, line)))),
        ("syscalls", Box::new(|line| line.syscalls.map(|n| format!("{n:.2}{}", syscalls_unit(line.work))))),
        (
            "sessions",
            Box::new(|line| line.count.filter(|_| line.work.kind == Kind::Idle).map(|s| format!("{:.0}", s.median))),
        ),
        ("KiB rss", median(|line| line.resident_kib, 1)),
        ("KiB pss", median(|line| line.proportional_kib, 1)),
    ];
    let columns: Vec<&Column<'_>> =
        columns.iter().filter(|(_, cell)| lines.iter().any(|line| cell(line).is_some())).collect();
    let mut rows =
        vec![[vec!["way".to_owned()], columns.iter().map(|(name, _)| name.trim().to_owned()).collect()].concat()];
    for line in lines {
        let name = vec![line.work.case_name(line.case)];
        rows.push([name, columns.iter().map(|(_, cell)| cell(line).unwrap_or_default()).collect()].concat());
    }
    rows
}

fn percent(part: f64) -> String {
    format!("{:.0}%", part * 100.0)
}

/// Processors kept busy; in brackets where something else limited the rate.
fn busy(processors: f64, line: &Line) -> String {
    if line.was_limit() { format!("{processors:.2}") } else { format!("({processors:.2})") }
}

fn figure(value: f64) -> String {
    if value < 10.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}

const fn unit(work: Work) -> &'static str {
    match work.kind {
        Kind::Statements { .. } | Kind::Mixed => "/s",
        Kind::Bulk(_) => "MB/s",
        Kind::Churn | Kind::Idle => "logins/s",
    }
}

const fn syscalls_unit(work: Work) -> &'static str {
    match work.kind {
        Kind::Bulk(_) => "/MB",
        _ => "/stmt",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{generator::Latency, work::Mask};

    fn settings() -> Settings {
        Settings {
            audit_in_memory: false,
            machine: Machine { processor: "test".to_owned(), cores: 2, memory_gib: 1.0, kernel: "6".to_owned() },
            postgres: "15".to_owned(),
            peers: vec![
                PeerFound { peer: Peer::Pgbouncer, version: Some("1.18.0".to_owned()) },
                PeerFound { peer: Peer::Odyssey, version: None },
            ],
            syscalls_by: None,
            rounds: 3,
            extent: Extent { seconds: 1.0, rows: 1, scale: 1, sessions: 1 },
            limit: 0.05,
            forced: true,
        }
    }

    fn sample(work: &str, way: &str, figures: Figures) -> Sample {
        let case = Case { way: way.parse().unwrap(), mask: Mask::Two };
        let (measure, disturbed) = (Measure::default(), false);
        Sample { work: work.parse().unwrap(), case, round: 0, measure, disturbed, figures }
    }

    fn cpu(us: f64, busy: f64) -> Figures {
        Figures { rate: 1e6 / us, cpu_us_per_statement: Some(us), proxy_busy: Some(busy), ..Figures::default() }
    }

    #[test]
    fn medians_and_ratios_are_in_the_table_and_order_is_that_of_the_ways() {
        let mut report = Report::new(settings());
        for us in [14.0, 10.0, 12.0] {
            report.add(sample("prepared-16", "gateway", cpu(us, 0.99)));
        }
        report.add(sample("prepared-16", "pgbouncer", cpu(8.0, 0.5)));
        let text = report.to_string();
        let row = |name: &str| text.lines().find(|line| line.trim_start().starts_with(name)).unwrap().to_owned();
        assert!(row("gateway").contains("12.0") && row("gateway").contains("1.50") && row("gateway").contains("0.99"));
        assert!(row("pgbouncer").contains("(0.50)"), "{text}");
        assert!(text.find("pgbouncer  ").unwrap() < text.find("gateway  ").unwrap());
        assert!(text.contains("missing on this machine: odyssey"));
        assert!(text.contains("missed by 50 %"));
        assert!(!text.contains("KiB rss"), "a column without figures is left out");
        let json = report.json();
        assert_eq!(json["medians"][1]["cpu_us"]["median"], 12.0);
        assert_eq!(json["medians"][1]["p50_us"], Value::Null);
        assert_eq!(json["settings"]["peers"][1]["version"], Value::Null);
        assert_eq!(json["goals"][0]["met"], false);
    }

    #[test]
    fn markdown_is_a_table_for_each_work() {
        let mut report = Report::new(settings());
        let latency = |p99_us| Some(Latency { p50_us: 1.0, p99_us, p999_us: p99_us });
        let figures = Figures { latency: latency(100.0), beside: latency(150.0), ..Figures::default() };
        report.add(sample("mixed", "gateway", figures));
        report.add(sample("idle", "gateway", Figures { resident_kib: Some(3.5), ..Figures::default() }));
        let text = report.markdown();
        assert!(text.contains("**mixed: ") && text.contains("**idle: ") && text.contains("**Goals**"));
        assert!(text.contains("| gateway |") && text.contains("1.50") && text.contains("3.5"));
        let rows: Vec<&str> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert!(rows.iter().any(|row| row.starts_with("|---")));
    }

    #[test]
    fn several_executors_on_few_processors_have_no_rate() {
        let run = |cores| {
            let machine = Machine { cores, ..settings().machine };
            let mut report = Report::new(Settings { machine, ..settings() });
            for (way, rate) in [("gateway", 1_111.0), ("gateway-2cores", 1_234.0)] {
                report.add(sample("canned-prepared-64", way, Figures { rate, ..Figures::default() }));
            }
            report.to_string()
        };
        let crowded = run(2);
        assert!(crowded.contains("1111 /s") && !crowded.contains("1234"), "{crowded}");
        assert!(crowded.contains("share 2 processors"), "{crowded}");
        assert!(run(4).contains("1234 /s"));
    }

    #[test]
    fn what_ways_agreed_on_under_tls_is_said() {
        let mut report = Report::new(settings());
        let way = |name: &str| name.parse::<Way>().unwrap();
        for name in ["gateway", "pgbouncer", "gateway"] {
            report.add_tls(way(name), "TLSv1_3 A".to_owned());
        }
        assert!(report.to_string().contains("TLS of everybody: TLSv1_3 A"));
        report.add_tls(way("odyssey"), "TLSv1_2 B".to_owned());
        let text = report.to_string();
        assert!(text.contains("TLS of gateway, pgbouncer: TLSv1_3 A") && text.contains("TLS of odyssey: TLSv1_2 B"));
        assert!(text.contains("WARNING: ways differ"));
    }

    #[test]
    fn disturbance_and_failures_are_said() {
        let mut report = Report::new(settings());
        let mut one = sample("idle", "gateway", Figures::default());
        one.measure.others = 0.4;
        one.measure.who = vec![("rustc".to_owned(), 0.4)];
        one.disturbed = true;
        report.add(one);
        report.add_failure(
            "idle".parse().unwrap(),
            sample("idle", "pgcat", Figures::default()).case,
            "no\nmore".into(),
        );
        let text = report.to_string();
        assert!(text.contains("WARNING: 1 of 1") && text.contains("rustc 40 %"), "{text}");
        assert!(text.contains("idle: pgcat failed and is left out: no"));
    }
}
