//! System calls of a process, counted by `perf stat`, or by `strace -c` where perf may not look.
//!
//! Counting slows the process down, so it has a short round of its own whose times are thrown away.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use crate::{
    accounting,
    failure::{Doing, Result, Stop},
    process::{self, Account},
};

/// A count that is under way.
#[derive(Debug)]
pub struct Count {
    child: Child,
    tool: Tool,
    report: std::path::PathBuf,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tool {
    Perf,
    Strace,
}

/// Which tool there is, in words for the report.
#[must_use]
pub fn tool() -> Option<&'static str> {
    match choose()? {
        Tool::Perf => Some("perf stat"),
        Tool::Strace => Some("strace -c"),
    }
}

fn choose() -> Option<Tool> {
    // Counting our own `true` shows whether perf may: the kernel's settings decide that, not whether it is installed.
    let perf = Command::new("perf")
        .args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "true"])
        .output()
        .is_ok_and(|out| out.status.success() && counted(&String::from_utf8_lossy(&out.stderr)).is_some());
    if perf {
        return Some(Tool::Perf);
    }
    Command::new("strace").arg("-V").output().is_ok_and(|out| out.status.success()).then_some(Tool::Strace)
}

impl Count {
    /// Begins to count those of a process and of all below it; `None` if no tool can.
    ///
    /// # Errors
    /// The tool does not start.
    pub fn begin(pid: u32, scratch: &Path) -> Result<Option<Self>> {
        let Some(tool) = choose() else { return Ok(None) };
        let report = scratch.join("syscalls.txt");
        let pids: Vec<String> = accounting::tree(pid).iter().map(u32::to_string).collect();
        let mut command = match tool {
            Tool::Perf => {
                let mut command = process::command(Path::new("perf"), Account::Own, "INT")?;
                command.args(["stat", "-x,", "-e", "raw_syscalls:sys_enter", "-p", &pids.join(","), "-o"]).arg(&report);
                command
            }
            Tool::Strace => {
                let mut command = process::command(Path::new("strace"), Account::Own, "INT")?;
                command.args(["-c", "-f", "-p", &pids.join(","), "-o"]).arg(&report);
                command
            }
        };
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().doing("count system calls")?;
        // It says nothing when it has attached.
        thread::sleep(Duration::from_millis(300));
        Ok(Some(Self { child, tool, report }))
    }

    /// Ends the count.
    ///
    /// # Errors
    /// The tool does not end, or its report is not understood.
    pub fn end(mut self, stop: &Stop) -> Result<Option<u64>> {
        process::interrupt(&self.child);
        process::wait(&mut self.child, stop, Duration::from_secs(10))?;
        let text = std::fs::read_to_string(&self.report).doing("read the count of system calls")?;
        Ok(match self.tool {
            Tool::Perf => counted(&text),
            Tool::Strace => total(&text),
        })
    }
}

/// The count in perf's comma-separated report.
fn counted(report: &str) -> Option<u64> {
    report.lines().find(|line| line.contains("raw_syscalls:sys_enter"))?.split(',').next()?.parse().ok()
}

/// The last line of strace's table: `100.00  0.012345  3  4000  12 total`.
fn total(report: &str) -> Option<u64> {
    let line = report.lines().rev().find(|line| line.ends_with("total"))?;
    line.split_whitespace().nth(3)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reports_of_both_tools_are_understood() {
        let perf = "# started on …\n\n43120,,raw_syscalls:sys_enter,1002003,100.00,,\n";
        assert_eq!(counted(perf), Some(43_120));
        assert_eq!(counted("<not counted>,,raw_syscalls:sys_enter,0,100.00,,\n"), None);
        let strace = "% time     seconds  usecs/call     calls    errors syscall\n------\n 60.00    0.1   1   100     sendto\n\
                      ------\n100.00    0.012345           3      4000        12 total\n";
        assert_eq!(total(strace), Some(4000));
    }
}
