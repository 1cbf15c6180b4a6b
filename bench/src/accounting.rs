//! Processor time and memory of a process and of all it started, from the kernel's own books.
//!
//! Time is that of the process clock (clock_getcpuclockid(3)), in nanoseconds, all threads of a process included, also
//! those that ended and io_uring's workers; children that ended are in what their parent waited for (proc(5), in ticks).
//! Memory is the resident and the proportional set; socket buffers are the kernel's and are in neither.

use std::{fs, time::Duration};

use nix::{time::ClockId, unistd::Pid};
use serde::Serialize;

use crate::failure::{Doing, Result};

/// Ticks per second of the times in /proc (`USER_HZ`, 100 on every Linux that Rust supports).
pub const TICKS_PER_SECOND: f64 = 100.0;

/// What /proc/PID/stat says, as far as it is wanted here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Name of the program, at most 15 bytes.
    pub name: String,
    /// Who started it.
    pub parent: u32,
    /// User and system time, ticks.
    pub own: u64,
    /// The same of children that ended and were waited for, ticks.
    pub waited: u64,
}

impl Stat {
    /// Reads the line of proc_pid_stat(5).
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        // The name is in parentheses and may hold anything; fields count from behind it.
        let (open, close) = (line.find('(')?, line.rfind(')')?);
        let fields: Vec<&str> = line.get(close + 1..)?.split_whitespace().collect();
        let number = |i: usize| fields.get(i)?.parse::<u64>().ok();
        Some(Self {
            name: line.get(open + 1..close)?.to_owned(),
            parent: u32::try_from(number(1)?).ok()?,
            own: number(11)? + number(12)?,
            waited: number(13)? + number(14)?,
        })
    }

    /// Of a process; `None` if it is gone.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// The process and all below it that live.
#[must_use]
pub fn tree(root: u32) -> Vec<u32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(pid) = found.get(next).copied() {
        next += 1;
        let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { continue };
        for task in tasks.flatten() {
            let children = fs::read_to_string(task.path().join("children")).unwrap_or_default();
            found.extend(children.split_whitespace().filter_map(|child| child.parse::<u32>().ok()));
        }
    }
    found
}

/// Seconds of processor time that a process and all below it have used.
///
/// # Errors
/// There is no such process.
pub fn cpu_seconds(root: u32) -> Result<f64> {
    let own = clock_seconds(root).ok_or_else(|| format!("process {root} is gone"))?;
    let rest: f64 = tree(root).into_iter().skip(1).filter_map(clock_seconds).sum();
    let waited: u64 = tree(root).into_iter().filter_map(|pid| Stat::of(pid).map(|stat| stat.waited)).sum();
    Ok(own + rest + waited as f64 / TICKS_PER_SECOND)
}

fn clock_seconds(pid: u32) -> Option<f64> {
    let clock = ClockId::pid_cpu_clock_id(Pid::from_raw(i32::try_from(pid).ok()?)).ok()?;
    Some(Duration::from(clock.now().ok()?).as_secs_f64())
}

/// Seconds of processor time that the calling thread has used.
#[must_use]
pub fn own_thread_seconds() -> f64 {
    ClockId::CLOCK_THREAD_CPUTIME_ID.now().map_or(0.0, |time| Duration::from(time).as_secs_f64())
}

/// Memory of processes.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Memory {
    /// Resident, KiB.
    pub resident_kib: f64,
    /// Resident with shared pages divided by those who share them, KiB.
    pub proportional_kib: f64,
}

/// Memory of a process and all below it.
///
/// # Errors
/// There is no such process, or it is not ours to look at.
pub fn memory(root: u32) -> Result<Memory> {
    let mut sum = Memory::default();
    for pid in tree(root) {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if pid == root => return Err(error).doing(format!("read {path}")),
            // A child that ended meanwhile.
            Err(_) => continue,
        };
        let line = |name: &str| {
            text.lines()
                .find_map(|l| l.strip_prefix(name)?.split_whitespace().next()?.parse::<f64>().ok())
                .ok_or_else(|| format!("{path} has no {name}"))
        };
        sum.resident_kib += line("Rss:")?;
        sum.proportional_kib += line("Pss:")?;
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    #[test]
    fn a_name_with_parentheses_and_blanks_hides_nothing() {
        let line = "71 (a) b (c) S 3 71 71 0 -1 4 0 0 0 0 120 30 7 5 20 0 1 0 9 0 0";
        let stat = Stat::parse(line).unwrap();
        assert_eq!(stat, Stat { name: "a) b (c".to_owned(), parent: 3, own: 150, waited: 12 });
        assert_eq!(Stat::parse("71 (x) S 3"), None);
    }

    #[test]
    fn time_and_memory_of_a_process_and_its_children_are_read() {
        let pid = std::process::id();
        let before = cpu_seconds(pid).unwrap();
        let mut x = 1_u64;
        while cpu_seconds(pid).unwrap() < before + 0.02 {
            x = std::hint::black_box(x.wrapping_mul(31));
        }
        let own = memory(pid).unwrap();
        assert!(own.resident_kib > 500.0);
        assert!(own.proportional_kib <= own.resident_kib + 1.0);

        // A child that burns and one that it starts.
        let mut child = Command::new("sh")
            .args(["-c", "sh -c 'i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done; echo; read x' & wait"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = [0; 1];
        std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut line).unwrap();
        assert!(cpu_seconds(child.id()).unwrap() > 0.01);
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(cpu_seconds(child.id()).is_err());
    }
}
