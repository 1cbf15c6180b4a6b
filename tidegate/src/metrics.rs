//! Metrics in Prometheus' text format.
//!
//! Counters of each core with the label `core`; durations of each stage as a summary in seconds. Labels hold names of
//! targets and numbers, never names of people or statements.

use gateway::Metrics;
use std::fmt::Write as _;

/// Quantiles of the summaries.
const QUANTILES: &[f64] = &[0.5, 0.9, 0.99, 0.999, 1.0];

/// What stands beside the cores' own numbers.
#[derive(Clone, Debug, Default)]
pub struct Extra {
    /// Version of the program.
    pub version: &'static str,
    /// What runs the cores.
    pub driver: &'static str,
    /// Digest of the bundle in force.
    pub bundle: String,
    /// Seconds since the start.
    pub uptime_seconds: f64,
    /// Reloads that were accepted, and that were refused.
    pub reloads: (u64, u64),
    /// Per target: name, whether its catalog is known, failed attempts to fetch it.
    pub targets: Vec<(String, bool, u64)>,
    /// Resident memory in bytes, if the system tells.
    pub resident_bytes: Option<u64>,
    /// Processor seconds of the process, if the system tells.
    pub cpu_seconds: Option<f64>,
    /// The notary.
    pub notary: Option<notary::service::Status>,
    /// Forwarders of the audit log.
    pub forwarders: Vec<forward::Status>,
}

/// The page.
#[must_use]
pub fn render(metrics: &Metrics, extra: &Extra) -> String {
    let mut page = Page(String::with_capacity(8 << 10));
    page.family("tidegate_build_info", "gauge", "Version of the program and digest of the bundle in force.");
    page.sample("tidegate_build_info", &[("version", extra.version), ("bundle", &extra.bundle)], 1.0);
    page.family("tidegate_driver_info", "gauge", "What runs the cores.");
    page.sample("tidegate_driver_info", &[("driver", extra.driver)], 1.0);
    page.family("tidegate_uptime_seconds", "gauge", "Time since the start.");
    page.sample("tidegate_uptime_seconds", &[], extra.uptime_seconds);
    page.family("tidegate_reloads_total", "counter", "Reloads by outcome.");
    for (outcome, count) in [("accepted", extra.reloads.0), ("refused", extra.reloads.1)] {
        page.sample("tidegate_reloads_total", &[("outcome", outcome)], float(count));
    }
    page.family("tidegate_target_ready", "gauge", "1 if the target's catalog is known and sessions are admitted.");
    for (name, ready, _) in &extra.targets {
        page.sample("tidegate_target_ready", &[("target", name)], f64::from(u8::from(*ready)));
    }
    page.family("tidegate_catalog_failures_total", "counter", "Attempts to fetch a catalog that failed.");
    for (name, _, failures) in &extra.targets {
        page.sample("tidegate_catalog_failures_total", &[("target", name)], float(*failures));
    }
    if let Some(bytes) = extra.resident_bytes {
        page.family("process_resident_memory_bytes", "gauge", "Resident memory.");
        page.sample("process_resident_memory_bytes", &[], float(bytes));
    }
    if let Some(seconds) = extra.cpu_seconds {
        page.family("process_cpu_seconds_total", "counter", "User and system time of all threads.");
        page.sample("process_cpu_seconds_total", &[], seconds);
    }
    if let Some(notary) = &extra.notary {
        checkpoints(notary, &mut page);
    }
    forwarders(&extra.forwarders, &mut page);
    counters(metrics, &mut page);
    stages(metrics, &mut page);
    page.0
}

fn checkpoints(status: &notary::service::Status, page: &mut Page) {
    page.family(
        "tidegate_checkpoint_age_seconds",
        "gauge",
        "How long the oldest unsigned block of the log has waited.",
    );
    page.sample("tidegate_checkpoint_age_seconds", &[], status.unsigned_for.as_secs_f64());
    page.family("tidegate_checkpoint_blocks", "gauge", "Blocks of the log that the newest checkpoint covers.");
    page.sample("tidegate_checkpoint_blocks", &[], float(status.checkpoint));
    page.family("tidegate_checkpoint_refusing", "gauge", "1 if new sessions are refused for want of a checkpoint.");
    page.sample("tidegate_checkpoint_refusing", &[], f64::from(u8::from(status.refusing)));
    if !status.witnesses.is_empty() {
        page.family("tidegate_witness_good", "gauge", "1 if the witness' last answer was a cosignature.");
        for witness in &status.witnesses {
            page.sample("tidegate_witness_good", &[("witness", &witness.name)], f64::from(u8::from(witness.good)));
        }
        page.family("tidegate_witness_blocks", "gauge", "Blocks of the log that the witness has cosigned.");
        for witness in &status.witnesses {
            page.sample("tidegate_witness_blocks", &[("witness", &witness.name)], float(witness.size));
        }
    }
    if let Some(anchor) = &status.anchor {
        page.family("tidegate_anchor_good", "gauge", "1 if the last copy to the object store succeeded.");
        page.sample("tidegate_anchor_good", &[], f64::from(u8::from(anchor.error.is_none())));
        page.family("tidegate_anchor_blocks", "gauge", "Blocks of the log that the last copied checkpoint covers.");
        page.sample("tidegate_anchor_blocks", &[], float(anchor.size));
    }
}

fn forwarders(list: &[forward::Status], page: &mut Page) {
    type Value = fn(&forward::Status) -> u64;
    let families: [(&str, &str, &str, Value); 5] = [
        ("tidegate_forward_up", "gauge", "1 while the receiver takes what it is sent.", |f| {
            u64::from(matches!(f.state, forward::State::Running))
        }),
        ("tidegate_forward_sent_total", "counter", "Audit records sent to the receiver.", |f| f.sent),
        ("tidegate_forward_failures_total", "counter", "Attempts to send that failed.", |f| f.failures),
        ("tidegate_forward_lag_records", "gauge", "Audit records that the receiver does not have yet.", |f| {
            f.lag_records
        }),
        ("tidegate_forward_lag_seconds", "gauge", "Age of the last record sent, while there are more.", |f| {
            f.lag_seconds
        }),
    ];
    if list.is_empty() {
        return;
    }
    for (name, kind, help, value) in families {
        page.family(name, kind, help);
        for forwarder in list {
            page.sample(name, &[("forwarder", &forwarder.name)], float(value(forwarder)));
        }
    }
}

fn counters(metrics: &Metrics, page: &mut Page) {
    let cores: Vec<_> = metrics.cores.iter().map(|c| c.counts.named()).collect();
    let names: Vec<&str> = cores.first().into_iter().flatten().map(|(name, _)| *name).collect();
    for (i, name) in names.into_iter().enumerate() {
        // The numbers that go down.
        const GAUGES: [&str; 6] = [
            "sessions_open",
            "connections_cleaning",
            "core_failed",
            "audit_ring_used_bytes",
            "audit_pressure",
            "audit_on_spare",
        ];
        let gauge = GAUGES.contains(&name);
        let full = if gauge { format!("tidegate_{name}") } else { format!("tidegate_{name}_total") };
        page.family(&full, if gauge { "gauge" } else { "counter" }, &format!("{}.", name.replace('_', " ")));
        for (core, values) in cores.iter().enumerate() {
            let value = values.get(i).map_or(0, |(_, value)| *value);
            page.sample(&full, &[("core", &core.to_string())], float(value));
        }
    }
}

fn stages(metrics: &Metrics, page: &mut Page) {
    const NAME: &str = "tidegate_stage_seconds";
    page.family(NAME, "summary", "Time of each stage of a statement.");
    for (core, snapshot) in metrics.cores.iter().enumerate() {
        let core = core.to_string();
        for (stage, histogram) in &snapshot.stages {
            let labels = [("core", core.as_str()), ("stage", *stage)];
            for quantile in QUANTILES {
                let text = quantile.to_string();
                let value =
                    if histogram.is_empty() { f64::NAN } else { float(histogram.value_at_quantile(*quantile)) / 1e9 };
                page.sample(NAME, &[labels[0], labels[1], ("quantile", &text)], value);
            }
            let sum = if histogram.is_empty() { 0.0 } else { histogram.mean() * float(histogram.len()) / 1e9 };
            page.sample(&format!("{NAME}_sum"), &labels, sum);
            page.sample(&format!("{NAME}_count"), &labels, float(histogram.len()));
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "the format has only floating point numbers")]
fn float(value: u64) -> f64 {
    value as f64
}

struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _infallible = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: f64) {
        self.0.push_str(name);
        for (i, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let _infallible = write!(self.0, "{}{label}=\"{text}\"", if i == 0 { '{' } else { ',' });
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _infallible = writeln!(self.0, " {}", if value.is_nan() { "NaN".to_owned() } else { value.to_string() });
    }
}

/// Resident memory of this process.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

/// Processor time of this process in seconds: user and system, all threads.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "seconds of a process's life")]
pub fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Durations of every stage over all cores.
#[must_use]
pub fn stages_of_all(metrics: &Metrics) -> Vec<(&'static str, hdrhistogram::Histogram<u64>)> {
    let mut all: Vec<(&'static str, hdrhistogram::Histogram<u64>)> = Vec::new();
    for (name, times) in metrics.cores.iter().flat_map(|core| &core.stages) {
        match all.iter_mut().find(|(known, _)| known == name) {
            // Of the same bounds: nothing is lost.
            Some((_, sum)) => drop(sum.add(times)),
            None => all.push((name, times.clone())),
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use gateway::{CoreSnapshot, Counts};
    use hdrhistogram::Histogram;

    #[test]
    fn page_has_counters_summaries_and_escaped_labels() {
        let mut histogram = Histogram::new_with_bounds(1, 1_000_000_000, 2).unwrap();
        for _ in 0..100 {
            histogram.record(2_000_000).unwrap();
        }
        let counts = Counts { statements: 7, sessions_open: 2, ..Counts::default() };
        let core = CoreSnapshot {
            counts,
            stages: vec![("decide", histogram), ("durable", Histogram::new_with_bounds(1, 1_000, 2).unwrap())],
        };
        let metrics = Metrics { cores: vec![core.clone(), core] };
        let extra = Extra {
            version: "1.2.3",
            driver: "uring",
            bundle: "abcd".to_owned(),
            uptime_seconds: 1.5,
            reloads: (3, 1),
            targets: vec![("ware\"house".to_owned(), true, 4)],
            resident_bytes: resident_bytes(),
            cpu_seconds: Some(cpu_seconds()),
            notary: Some(notary::service::Status {
                size: 12,
                checkpoint: 9,
                unsigned_for: std::time::Duration::from_millis(1500),
                witnesses: vec![notary::service::WitnessStatus { name: "w".to_owned(), ..Default::default() }],
                ..Default::default()
            }),
            forwarders: Vec::new(),
        };
        let page = render(&metrics, &extra);
        for line in [
            "tidegate_build_info{version=\"1.2.3\",bundle=\"abcd\"} 1",
            "tidegate_driver_info{driver=\"uring\"} 1",
            "tidegate_uptime_seconds 1.5",
            "tidegate_checkpoint_age_seconds 1.5",
            "tidegate_checkpoint_blocks 9",
            "tidegate_witness_good{witness=\"w\"} 0",
            "tidegate_reloads_total{outcome=\"refused\"} 1",
            "tidegate_target_ready{target=\"ware\\\"house\"} 1",
            "tidegate_catalog_failures_total{target=\"ware\\\"house\"} 4",
            "# TYPE tidegate_statements_total counter",
            "tidegate_statements_total{core=\"1\"} 7",
            "# TYPE tidegate_sessions_open gauge",
            "tidegate_sessions_open{core=\"0\"} 2",
            "tidegate_stage_seconds_count{core=\"0\",stage=\"decide\"} 100",
            "tidegate_stage_seconds{core=\"0\",stage=\"durable\",quantile=\"0.5\"} NaN",
            "tidegate_stage_seconds_sum{core=\"0\",stage=\"durable\"} 0",
        ] {
            assert!(page.lines().any(|l| l == line), "{line}\n{page}");
        }
        let median = page.lines().find(|l| l.contains("stage=\"decide\",quantile=\"0.5\"")).unwrap();
        let median: f64 = median.rsplit(' ').next().unwrap().parse().unwrap();
        assert!((0.0019..0.0021).contains(&median), "{median}");
        assert!(page.contains("process_resident_memory_bytes "));
        // Each family is announced once.
        let mut types: Vec<&str> = page.lines().filter(|l| l.starts_with("# TYPE")).collect();
        let count = types.len();
        types.dedup();
        assert_eq!(types.len(), count);
    }
}
