//! What the kernel says about processes and about the machine, from /proc.
//!
//! Processor time is user and system time of all threads of a process, workers of io_uring included. Memory is the
//! resident and the proportional set; socket buffers are the kernel's and are in neither.

use std::{fs, thread, time::Duration};

use serde::Serialize;

use crate::failure::{Doing, Result};

/// Ticks per second of the times in /proc (`USER_HZ`, 100 on every Linux that Rust supports).
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor seconds a process has used.
///
/// # Errors
/// There is no such process.
pub fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).doing(format!("read the times of process {pid}"))?;
    // The program's name is in parentheses and may hold anything; fields count from behind it.
    let after = stat.rfind(')').map_or("", |at| &stat[at + 1..]);
    let fields: Vec<&str> = after.split_whitespace().collect();
    let field = |i: usize| fields.get(i).and_then(|f| f.parse::<f64>().ok());
    match (field(11), field(12)) {
        (Some(user), Some(system)) => Ok((user + system) / TICKS_PER_SECOND),
        _ => Err(format!("/proc/{pid}/stat is not understood").into()),
    }
}

/// Memory of a process.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Memory {
    /// Resident, KiB.
    pub resident_kib: f64,
    /// Resident with shared pages divided by those who share them, KiB.
    pub proportional_kib: f64,
}

/// # Errors
/// There is no such process, or it is not ours to look at.
pub fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).doing(format!("read {path}"))?;
    let line = |name: &str| {
        text.lines()
            .find_map(|l| l.strip_prefix(name)?.split_whitespace().next()?.parse::<f64>().ok())
            .ok_or_else(|| format!("{path} has no {name}"))
    };
    Ok(Memory { resident_kib: line("Rss:")?, proportional_kib: line("Pss:")? })
}

/// The part of the machine that was busy for `span`, 0 to 1.
#[must_use]
pub fn busy(span: Duration) -> f64 {
    let before = jiffies();
    thread::sleep(span);
    let after = jiffies();
    let total = after.0.saturating_sub(before.0);
    let idle = after.1.saturating_sub(before.1);
    if total == 0 { 0.0 } else { 1.0 - idle as f64 / total as f64 }
}

/// All time and idle time, in ticks over all processors.
fn jiffies() -> (u64, u64) {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields: Vec<u64> = stat
        .lines()
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .skip(1)
        .take(8)
        .filter_map(|field| field.parse().ok())
        .collect();
    (fields.iter().sum(), fields.iter().skip(3).take(2).sum())
}

/// The machine, in a few words.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Processor.
    pub processor: String,
    /// How many.
    pub cores: usize,
    /// Memory, GiB.
    pub memory_gib: f64,
    /// Kernel release.
    pub kernel: String,
    /// Part of it that was busy before anything was started here.
    pub busy_before: f64,
}

impl Machine {
    /// Looks.
    #[must_use]
    pub fn look() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let processor = cpuinfo
            .lines()
            .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
            .map_or_else(|| "unknown processor".to_owned(), |(_, name)| name.trim().to_owned());
        let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let memory_kib: f64 = meminfo
            .lines()
            .find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok())
            .unwrap_or(0.0);
        Self {
            processor,
            cores: thread::available_parallelism().map_or(1, usize::from),
            memory_gib: memory_kib / f64::from(1 << 20),
            kernel: fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
            busy_before: busy(Duration::from_secs(1)),
        }
    }
}

/// Raises the limit of open files as far as it goes, for us and the servers we start. Returns it.
#[must_use]
pub fn raise_open_files() -> u64 {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_times_and_memory_are_read() {
        let pid = std::process::id();
        let before = cpu_seconds(pid).unwrap();
        let mut x = 1_u64;
        while cpu_seconds(pid).unwrap() < before + 0.02 {
            x = std::hint::black_box(x.wrapping_mul(31));
        }
        let memory = memory(pid).unwrap();
        assert!(memory.resident_kib > 500.0);
        assert!(memory.proportional_kib <= memory.resident_kib + 1.0);
    }
}
