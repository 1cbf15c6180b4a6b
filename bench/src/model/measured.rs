//! What one gateway costs: figures of a run of `bench load`, or those written down here.
//!
//! A figure that the run does not have keeps its default; the table says which is which.

use serde::Serialize;
use serde_json::Value;

/// Costs of one gateway, and of what it shares with others.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Measured {
    /// Processor time of a small prepared statement with asynchronous audit where 16 clients send them, µs: about what one costs on a
    /// core that is nearly full. On one that idles it is up to three times as much.
    pub cpu_us_per_statement: f64,
    /// Processor time of a login with TLS and a connection to the database, µs.
    pub cpu_us_per_login: f64,
    /// Processor time of a bulk read, under TLS where that was measured, seconds for each 10⁹ bytes.
    pub cpu_s_per_gb: f64,
    /// Resident memory of an idle session, KiB.
    pub session_kib: f64,
    /// Resident memory of a gateway without sessions, MiB.
    pub base_mib: f64,
    /// Bytes of a statement's records, its intent and its result; its text of about 90 bytes is in clear.
    pub audit_bytes_per_statement: f64,
    /// Bytes of a login's records.
    pub audit_bytes_per_login: f64,
    /// A durable commit of the audit log's disk, µs.
    pub commit_us: f64,
    /// What that disk takes, MB/s.
    pub disk_mb_per_s: f64,
    /// A write into the shared access store while it holds the writers' lock: six round trips and a commit, ms.
    pub store_write_ms: f64,
    /// Processor time of the store's database for one look at the change feed, µs.
    pub store_look_us: f64,
    /// Processor time of a witness for one checkpoint, its own sync included, µs.
    pub witness_us: f64,
}

impl Default for Measured {
    /// Two shared processors of 2026, AVX-512, Linux 6.18, PostgreSQL 15 on the same machine. Of statements, bulk reads under TLS and
    /// sessions those of the run in docs/benchmarks.md; records' lengths as a test counts them.
    fn default() -> Self {
        Self {
            cpu_us_per_statement: 12.4,
            cpu_us_per_login: 1_000.0,
            cpu_s_per_gb: 0.56,
            session_kib: 7.1,
            base_mib: 60.0,
            audit_bytes_per_statement: 420.0,
            audit_bytes_per_login: 900.0,
            commit_us: 2_000.0,
            disk_mb_per_s: 150.0,
            store_write_ms: 6.0,
            store_look_us: 80.0,
            witness_us: 3_000.0,
        }
    }
}

/// A line of a run: its work, and what was measured.
#[derive(Clone, Debug, PartialEq)]
struct Line {
    work: String,
    masked: bool,
    rate: Option<f64>,
    cpu_us: Option<f64>,
    cpu_s_per_gb: Option<f64>,
    busy: Option<f64>,
    resident_kib: Option<f64>,
}

/// A prediction beside what was measured.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Checked {
    /// Work.
    pub work: String,
    /// Processors that the model expects the gateway to keep busy at the measured rate.
    pub expected: f64,
    /// Processors it kept busy.
    pub measured: f64,
}

impl Checked {
    /// Percent that the expectation is off.
    #[must_use]
    pub fn error_percent(&self) -> f64 {
        (self.expected / self.measured - 1.0) * 100.0
    }
}

/// A number, the median of several, or the first of a pair.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.get("median")?.as_f64()).or_else(|| value.get(0)?.as_f64())
}

/// Lines of the gateway with asynchronous audit, of a report of `bench load`.
fn lines(report: &Value) -> Vec<Line> {
    let line = |line: &Value| {
        // `gateway, 2 masked`; other audit modes and drivers have words of their own behind the first.
        let (way, mask) = line["case"].as_str()?.split_once(", ").unwrap_or((line["case"].as_str()?, ""));
        let masked = mask == "2 masked";
        (way == "gateway").then_some(())?;
        let work = line["work"].as_str()?.to_owned();
        Some(Line {
            work,
            masked,
            rate: number(&line["rate"]),
            cpu_us: number(&line["cpu_us"]),
            cpu_s_per_gb: number(&line["cpu_s_per_gb"]),
            busy: number(&line["proxy_busy"]),
            resident_kib: number(&line["resident_kib"]),
        })
    };
    report["medians"].as_array().into_iter().flatten().filter_map(line).collect()
}

impl Measured {
    /// The figures of a run; names of those it had.
    #[must_use]
    pub fn of(report: &Value) -> (Self, Vec<&'static str>) {
        let lines = lines(report);
        let mut measured = Self::default();
        let mut had = Vec::new();
        let mut take = |name, into: &mut f64, found: Option<f64>| {
            if let Some(found) = found.filter(|found| *found > 0.0) {
                *into = found;
                had.push(name);
            }
        };
        // The first of these works that the run had; masked where there is the choice.
        let of = |works: &[&str], what: fn(&Line) -> Option<f64>| {
            works.iter().find_map(|work| {
                let mine = || lines.iter().filter(|line| line.work == *work);
                mine().find(|line| line.masked).and_then(what).or_else(|| mine().find_map(what))
            })
        };
        let small = of(&["prepared-16", "canned-prepared-16"], |line| line.cpu_us);
        take("cpu_us_per_statement", &mut measured.cpu_us_per_statement, small);
        let login = of(&["tls-churn", "tls-canned-churn", "churn", "canned-churn"], |line| line.cpu_us);
        take("cpu_us_per_login", &mut measured.cpu_us_per_login, login);
        let bulk = of(&["tls-bulk", "tls-canned-bulk", "bulk", "canned-bulk"], |line| line.cpu_s_per_gb);
        take("cpu_s_per_gb", &mut measured.cpu_s_per_gb, bulk);
        take("session_kib", &mut measured.session_kib, of(&["idle"], |line| line.resident_kib));
        take("commit_us", &mut measured.commit_us, number(&report["commit_us"]));
        (measured, had)
    }

    /// The run's other lines of small statements, with what these figures expect of them: rate × cost, against the processors that
    /// were busy. The line that the cost was taken from is left out.
    #[must_use]
    pub fn check(&self, report: &Value) -> Vec<Checked> {
        let small = |line: &Line| ["prepared-", "canned-prepared-"].iter().any(|name| line.work.starts_with(name));
        let checked = |line: &Line| {
            let measured = line.busy.or_else(|| Some(line.rate? * line.cpu_us? / 1e6)).filter(|busy| *busy > 0.0)?;
            Some(Checked { work: line.work.clone(), expected: line.rate? * self.cpu_us_per_statement / 1e6, measured })
        };
        lines(report).iter().filter(|line| small(line) && line.work != "prepared-16").filter_map(checked).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::{QUICK, USUAL};
    use paths::statement::{Conversation, Protocol, Row, Scene};
    use serde_json::json;

    #[test]
    fn what_a_statement_records_is_as_long_as_it_is_counted() {
        const STATEMENTS: usize = 200;
        let scene = Scene::new(Protocol::Prepared, Row::Masked, session::Durability::Async, 1);
        let mut conversation = Conversation::on(&scene);
        let before = scene.pending_bytes();
        (0..STATEMENTS).for_each(|_| conversation.run());
        let each = (scene.pending_bytes() - before) as f64 / STATEMENTS as f64;
        let expected = Measured::default().audit_bytes_per_statement;
        assert!((0.8..1.25).contains(&(each / expected)), "{each} bytes, {expected} in the model");
    }

    #[test]
    fn every_usual_run_has_what_the_model_takes_of_it() {
        for works in [USUAL, QUICK] {
            let works = crate::work::named(works).unwrap();
            let line = |work: &crate::work::Work| json!({ "work": work, "case": "gateway, 2 masked", "cpu_us": 1.0, "cpu_s_per_gb": 1.0, "resident_kib": 1.0 });
            let report = json!({ "medians": works.iter().map(line).collect::<Vec<_>>() });
            let (_, had) = Measured::of(&report);
            for name in ["cpu_us_per_statement", "cpu_s_per_gb", "session_kib"] {
                assert!(had.contains(&name), "{name} of {works:?}");
            }
        }
    }

    #[test]
    fn a_run_is_read_and_the_rest_keeps_its_default() {
        let report = json!({ "commit_us": [900.0, 4000.0], "medians": [
            { "work": "prepared-16", "case": "gateway, 2 masked", "rate": { "median": 20_000.0 }, "cpu_us": { "median": 25.0 } },
            { "work": "prepared-64", "case": "gateway, 2 masked", "rate": { "median": 40_000.0 }, "proxy_busy": { "median": 0.8 } },
            { "work": "prepared-64", "case": "pgbouncer", "rate": { "median": 1.0 }, "proxy_busy": { "median": 1.0 } },
            { "work": "idle", "case": "gateway, 2 masked", "resident_kib": { "median": 5.0 } },
        ]});
        let (measured, had) = Measured::of(&report);
        assert_eq!(had, ["cpu_us_per_statement", "session_kib", "commit_us"]);
        assert_eq!(measured.cpu_us_per_statement, 25.0);
        assert_eq!(measured.cpu_us_per_login, Measured::default().cpu_us_per_login);
        let checked = measured.check(&report);
        assert_eq!(checked.len(), 1);
        assert!((checked[0].expected - 1.0).abs() < 1e-9 && (checked[0].error_percent() - 25.0).abs() < 1e-6);
    }
}
