//! Small statements by `pgbench -S`, the client everybody knows.
//!
//! Latencies come from its per-transaction log, in microseconds, and are summed in a histogram.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader},
    path::Path,
    time::Duration,
};

use hdrhistogram::Histogram;

use crate::{
    failure::{Doing, Result, Stop},
    process::{self, Account},
    wire::Login,
};

/// Longest latency told apart: ten minutes.
const LATENCY_US_MAX: u64 = 600_000_000;

/// How statements are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Simple protocol.
    Simple,
    /// Extended protocol, parsed each time.
    Extended,
    /// Extended protocol, parsed once.
    Prepared,
    /// Simple protocol, a new connection for each.
    Churn,
}

impl Mode {
    const fn word(self) -> &'static str {
        match self {
            Self::Simple | Self::Churn => "simple",
            Self::Extended => "extended",
            Self::Prepared => "prepared",
        }
    }
}

/// What a run did.
#[derive(Clone, Copy, Debug)]
pub struct Statements {
    /// How many.
    pub count: u64,
    /// In what time.
    pub seconds: f64,
    /// Median latency, µs.
    pub p50_us: f64,
    /// 99th percentile, µs.
    pub p99_us: f64,
}

/// Runs for `seconds` with `clients`; `scratch` is a folder for its logs.
///
/// # Errors
/// pgbench failed, or a statement did.
pub fn run(
    login: &Login,
    mode: Mode,
    clients: usize,
    seconds: u64,
    scale: u32,
    scratch: &Path,
    stop: &Stop,
) -> Result<Statements> {
    let program = process::find("pgbench", "postgresql-15", &["/usr/lib/postgresql/15/bin"])?;
    let logs = scratch.join("pgbench");
    fs::create_dir_all(&logs).doing("make a folder for pgbench's logs")?;
    let threads = clients.min(std::thread::available_parallelism().map_or(1, usize::from));
    let mut command = process::command(&program, Account::Own, "TERM")?;
    command.args(["-n", "-S", "-M", mode.word(), "-s", &scale.to_string(), "-l", "--log-prefix", "log"]);
    command.args(["-c", &clients.to_string(), "-j", &threads.to_string(), "-T", &seconds.to_string()]);
    if mode == Mode::Churn {
        command.arg("-C");
    }
    command.args(["-h", "127.0.0.1", "-p", &login.address.port().to_string(), "-U", &login.user, &login.database]);
    command.env("PGPASSWORD", &login.password).env("PGSSLMODE", "disable").env("PGGSSENCMODE", "disable");
    command.current_dir(&logs);
    let out = process::run("run pgbench", command, stop, Duration::from_secs(seconds + 60));
    let histogram = latencies(&logs);
    fs::remove_dir_all(&logs).doing("remove pgbench's logs")?;
    let (out, histogram) = (out?, histogram?);
    let count = number(&out, "number of transactions actually processed: ").ok_or("pgbench printed no count")?;
    let rate = number(&out, "tps = ").filter(|r| *r > 0.0).ok_or("pgbench printed no rate")?;
    if number(&out, "number of failed transactions: ").is_some_and(|failed| failed > 0.0) {
        return Err(format!("statements failed:\n{out}").into());
    }
    Ok(Statements {
        count: count as u64,
        seconds: count / rate,
        p50_us: histogram.value_at_quantile(0.5) as f64,
        p99_us: histogram.value_at_quantile(0.99) as f64,
    })
}

fn latencies(logs: &Path) -> Result<Histogram<u64>> {
    // One that grows by itself would not: it clamps what is recorded saturating to what it holds already.
    let mut histogram = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).doing("make a histogram")?;
    for entry in fs::read_dir(logs).doing("list pgbench's logs")? {
        let path = entry.doing("list pgbench's logs")?.path();
        for line in BufReader::new(File::open(path).doing("read pgbench's log")?).lines() {
            let line = line.doing("read pgbench's log")?;
            // client, transaction, latency in µs, script, seconds, microseconds
            if let Some(latency) = line.split(' ').nth(2).and_then(|field| field.parse().ok()) {
                histogram.saturating_record(latency);
            }
        }
    }
    Ok(histogram)
}

fn number(out: &str, before: &str) -> Option<f64> {
    let line = out.lines().find_map(|line| line.strip_prefix(before))?;
    line.split([' ', '/']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_of_any_size_count_as_what_they_are() {
        let folder = crate::folder::Folder::new().unwrap();
        let lines: String = [5_u64, 7, 3_000, 90_000, 2_000_000].iter().map(|us| format!("0 1 {us} 0 1 1\n")).collect();
        fs::write(folder.path().join("log.1"), lines).unwrap();
        let histogram = latencies(folder.path()).unwrap();
        assert_eq!(histogram.len(), 5);
        assert!(histogram.value_at_quantile(0.5).abs_diff(3_000) < 10);
        assert!(histogram.max().abs_diff(2_000_000) < 2_000);
    }

    #[test]
    fn figures_are_found_in_what_pgbench_prints() {
        let out = "scaling factor: 10\nnumber of transactions actually processed: 1234\n\
                   number of failed transactions: 0 (0.000%)\ntps = 411.5 (without initial connection time)\n";
        assert_eq!(number(out, "number of transactions actually processed: "), Some(1234.0));
        assert_eq!(number(out, "number of failed transactions: "), Some(0.0));
        assert_eq!(number(out, "tps = "), Some(411.5));
        assert_eq!(number(out, "latency average = "), None);
    }
}
