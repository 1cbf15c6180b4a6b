//! The figures, for people and for machines.

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use std::fmt::Write as _;

use super::{
    machine::{Check, Disk},
    metrics::Figures,
    way::Way,
    work::{Run, histogram},
};

/// One work by one way.
pub(super) struct Line {
    work: &'static str,
    way: &'static str,
    clients: u64,
    count: u64,
    bytes: u64,
    seconds: f64,
    cpu_seconds: Option<f64>,
    latencies: Histogram<u64>,
    /// Why it did not run.
    pub(super) refused: Option<String>,
}

impl Line {
    /// An empty one.
    pub(super) fn new(work: &'static str, way: &'static str, clients: u64) -> Self {
        Self {
            work,
            way,
            clients,
            count: 0,
            bytes: 0,
            seconds: 0.0,
            cpu_seconds: None,
            latencies: histogram(),
            refused: None,
        }
    }

    /// One more piece.
    pub(super) fn add(&mut self, run: Run) {
        self.count += run.count;
        self.bytes += run.bytes;
        self.seconds += run.seconds;
        let _same_bounds = self.latencies.add(run.latencies);
    }

    /// Processor time of the gateway for it.
    pub(super) fn add_cpu(&mut self, from: Option<Figures>, to: Option<Figures>) {
        let seconds = |figures: Option<Figures>| figures.and_then(|figures| figures.cpu_seconds);
        if let (Some(from), Some(to)) = (seconds(from), seconds(to)) {
            *self.cpu_seconds.get_or_insert(0.0) += to - from;
        }
    }

    fn rate(&self) -> f64 {
        if self.seconds > 0.0 { self.count as f64 / self.seconds } else { 0.0 }
    }

    fn micros(&self, quantile: f64) -> f64 {
        self.latencies.value_at_quantile(quantile) as f64 / 1e3
    }

    fn megabytes_per_second(&self) -> Option<f64> {
        (self.bytes > 0).then(|| self.bytes as f64 / 1e6 / self.seconds)
    }

    /// Microseconds for each, or seconds for each 10⁹ bytes.
    fn cpu(&self) -> Option<f64> {
        let seconds = self.cpu_seconds.filter(|_| self.count > 0)?;
        Some(if self.bytes > 0 { seconds / (self.bytes as f64 / 1e9) } else { seconds / self.count as f64 * 1e6 })
    }

    fn json(&self) -> Value {
        json!({
            "work": self.work, "way": self.way, "clients": self.clients, "count": self.count, "bytes": self.bytes,
            "seconds": self.seconds, "per_second": self.rate(), "megabytes_per_second": self.megabytes_per_second(),
            "p50_us": self.micros(0.5), "p90_us": self.micros(0.9), "p99_us": self.micros(0.99), "p999_us": self.micros(0.999),
            "max_us": self.latencies.max() as f64 / 1e3, "gateway_cpu_seconds": self.cpu_seconds, "refused": self.refused,
        })
    }
}

/// Everything.
pub(super) struct Report {
    ways: Vec<(&'static str, String)>,
    pub(super) lines: Vec<Line>,
    /// Mean microseconds by stage, and how often.
    pub(super) stages: Vec<(String, f64, f64)>,
    pub(super) disk: Option<Disk>,
    /// Why the gateway's own figures are not there, although it is on this machine.
    pub(super) no_figures: Option<String>,
    pub(super) checks: Vec<Check>,
}

impl Report {
    pub(super) fn new(ways: &[Way]) -> Self {
        let ways = ways.iter().map(|way| (way.name(), way.told())).collect();
        Self { ways, lines: Vec::new(), stages: Vec::new(), disk: None, no_figures: None, checks: Vec::new() }
    }

    /// All of the work ran.
    pub(super) fn is_complete(&self) -> bool {
        self.lines.iter().all(|line| line.refused.is_none())
    }

    /// For people.
    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        for (name, told) in &self.ways {
            let _ = writeln!(out, "{name:<8} {told}");
        }
        let _ = writeln!(
            out,
            "\n{:<14} {:>7}  {:<8} {:>10} {:>9} {:>9} {:>10}  gateway CPU",
            "work", "clients", "way", "per s", "p50 µs", "p99 µs", "added p50"
        );
        for line in &self.lines {
            let _ = write!(out, "{:<14} {:>7}  {:<8} ", line.work, line.clients, line.way);
            if let Some(refused) = &line.refused {
                let _ = writeln!(out, "did not run: {refused}");
                continue;
            }
            let direct = self.lines.iter().find(|other| {
                other.way != line.way
                    && other.work == line.work
                    && other.clients == line.clients
                    && other.refused.is_none()
            });
            let added = direct.filter(|_| line.way == "gateway").map(|direct| line.micros(0.5) - direct.micros(0.5));
            let rate =
                line.megabytes_per_second().map_or_else(|| format!("{:.0}", line.rate()), |mb| format!("{mb:.0} MB"));
            let cpu = match (line.cpu(), line.bytes) {
                (None, _) => String::new(),
                (Some(cpu), 0) => format!("{cpu:.1} µs each"),
                (Some(cpu), _) => format!("{cpu:.2} s/GB"),
            };
            let text = format!(
                "{rate:>10} {:>9.0} {:>9.0} {:>10}  {cpu}",
                line.micros(0.5),
                line.micros(0.99),
                added.map_or_else(String::new, |added| format!("{added:+.0}")),
            );
            let _ = writeln!(out, "{}", text.trim_end());
        }
        if let Some(why) = &self.no_figures {
            let _ = writeln!(out, "\nneither processor time nor stages of the gateway: {why}");
        }
        if !self.stages.is_empty() {
            let _ = writeln!(out, "\nstages in the gateway meanwhile, mean:");
            for (name, micros, count) in &self.stages {
                let _ = writeln!(out, "  {name:<14} {micros:>9.1} µs   {count:.0} times");
            }
        }
        match &self.disk {
            Some(Ok(taken)) => {
                let micros = |quantile| taken.value_at_quantile(quantile) as f64 / 1e3;
                let _ = writeln!(
                    out,
                    "\naudit disk: 4 KiB durable in {:.0} µs (p50), {:.0} µs (p99)",
                    micros(0.5),
                    micros(0.99)
                );
            }
            Some(Err(error)) => {
                let _ = writeln!(out, "\naudit disk: not measured: {error}");
            }
            None => {}
        }
        let _ = writeln!(out, "\nthis machine:");
        for check in &self.checks {
            let mark = if check.advice.is_some() { "!" } else { " " };
            let _ = writeln!(out, "{mark} {:<14} {}", check.what, check.found);
            if let Some(advice) = &check.advice {
                let _ = writeln!(out, "    {advice}");
            }
        }
        out
    }

    /// For machines.
    pub(super) fn json(&self) -> Value {
        let stage =
            |(name, micros, count): &(String, f64, f64)| json!({ "stage": name, "mean_us": micros, "count": count });
        let disk = self.disk.as_ref().map(|disk| match disk {
            Ok(taken) => json!({
                "p50_us": taken.value_at_quantile(0.5) as f64 / 1e3, "p99_us": taken.value_at_quantile(0.99) as f64 / 1e3,
                "syncs": taken.len(),
            }),
            Err(error) => json!({ "error": error }),
        });
        json!({
            "ways": self.ways.iter().map(|(name, told)| json!({ "name": name, "told": told })).collect::<Vec<_>>(),
            "work": self.lines.iter().map(Line::json).collect::<Vec<_>>(),
            "stages": self.stages.iter().map(stage).collect::<Vec<_>>(),
            "audit_disk": disk, "machine": self.checks,
        })
    }
}
