//! The machine the gateway runs on: what the disk of the audit log takes, what limits say, what the processor has.

use hdrhistogram::Histogram;
use rustix::process::{Resource, getrlimit};
use serde::Serialize;
use std::{
    fs,
    os::unix::fs::FileExt as _,
    path::Path,
    time::{Duration, Instant},
};

use super::work::histogram;
use crate::{config::Config, process};

/// What is synced at a time: a small group commit.
const PIECE_BYTES: usize = 4096;
/// Length of the scratch file; written before it is measured, as segments are.
const SCRATCH_BYTES: usize = 1 << 20;
/// Longest look at the disk.
const DISK_MAX: Duration = Duration::from_secs(3);

/// How long the disk takes, or why it was not asked.
pub(super) type Disk = Result<Histogram<u64>, String>;

/// Writes and syncs in the folder of the audit log, in a file without a name.
pub(super) fn disk(directory: &Path, span: Duration) -> Disk {
    let told = |error: std::io::Error| format!("{}: {error}", directory.display());
    let file = tempfile::tempfile_in(directory).map_err(told)?;
    file.write_all_at(&vec![0; SCRATCH_BYTES], 0).map_err(told)?;
    file.sync_all().map_err(told)?;
    let piece = [0x5a; PIECE_BYTES];
    let mut taken = histogram();
    let began = Instant::now();
    let mut at = 0;
    while taken.is_empty() || began.elapsed() < span.min(DISK_MAX) {
        let since = Instant::now();
        file.write_all_at(&piece, at as u64).map_err(told)?;
        file.sync_data().map_err(told)?;
        taken.saturating_record(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1));
        at = (at + PIECE_BYTES) % SCRATCH_BYTES;
    }
    Ok(taken)
}

/// Something that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    /// What.
    pub(super) what: &'static str,
    /// What was found.
    pub(super) found: String,
    /// What to do about it; `None` if it is as it should be.
    pub(super) advice: Option<String>,
}

fn check(what: &'static str, found: impl Into<String>, advice: Option<String>) -> Check {
    Check { what, found: found.into(), advice }
}

/// Looks at this machine, with the configuration of the gateway that runs here, if one does.
pub(super) fn checks(config: Option<&Config>) -> Vec<Check> {
    let read = |path: &str| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let used = config.and_then(|config| config.cores).unwrap_or(cores);
    let mut all = vec![check(
        "cores",
        format!("{used} of {cores}"),
        (used > cores).then(|| format!("`cores` is {used}: more executors than processors only wait for each other")),
    )];
    all.extend(load(read("/proc/loadavg").as_deref(), cores));
    let limit = |limit: Option<u64>| limit.map_or_else(|| "unlimited".to_owned(), |n| n.to_string());
    let memlock = getrlimit(Resource::Memlock).maximum;
    all.push(check(
        "locked memory",
        memlock.map_or_else(|| "unlimited".to_owned(), |bytes| format!("{} KiB", bytes >> 10)),
        process::check_locked_memory(used).err(),
    ));
    let sessions = config.map_or_else(|| crate::config::Limits::default().sessions, |config| config.limits.sessions);
    all.push(check("open files", limit(getrlimit(Resource::Nofile).maximum), process::check_open_files(sessions)));
    all.extend(processor(&read("/proc/cpuinfo").unwrap_or_default(), std::env::consts::ARCH));
    if let Some(disabled) = read("/proc/sys/kernel/io_uring_disabled") {
        let advice =
            (disabled != "0").then(|| "kernel.io_uring_disabled is not 0: the gateway cannot start".to_owned());
        all.push(check("io_uring", if disabled == "0" { "allowed" } else { "restricted" }, advice));
    }
    if let Some(backlog) = read("/proc/sys/net/core/somaxconn") {
        let small = backlog.parse::<u32>().is_ok_and(|n| n < 1024);
        let advice =
            small.then(|| "net.core.somaxconn: connections that arrive together are dropped; set 4096".to_owned());
        all.push(check("backlog", backlog, advice));
    }
    if let Some(governor) = read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor") {
        let advice = (governor == "powersave")
            .then(|| "cpufreq: an idle processor wakes slowly; try the governor `performance`".to_owned());
        all.push(check("frequency", governor, advice));
    }
    all
}

/// Whether something else uses the machine.
fn load(text: Option<&str>, cores: usize) -> Option<Check> {
    let average: f64 = text?.split_whitespace().next()?.parse().ok()?;
    let advice = (average > cores as f64)
        .then(|| "more wants to run than there are processors: believe no latency measured now".to_owned());
    Some(check("load", format!("{average:.2}"), advice))
}

/// What of the processor matters.
fn processor(cpuinfo: &str, architecture: &str) -> Option<Check> {
    let name = if architecture == "x86_64" { "flags" } else { "Features" };
    let flags: Vec<&str> = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix(name)?.split_once(':'))
        .map(|(_, flags)| flags.split_whitespace().collect())?;
    let (wanted, wide): (&[(&str, &str)], &[&str]) = if architecture == "x86_64" {
        (
            &[
                ("aes", "TLS and sealing cost several times as much"),
                ("avx2", "masking and scanning run without wide vectors"),
                ("sha_ni", "hashing the audit log costs about five times as much"),
            ],
            &["vaes", "avx512bw"],
        )
    } else {
        (&[("aes", "TLS and sealing cost several times as much"), ("sha2", "hashing the audit log costs more")], &[])
    };
    let has = |flag: &str| flags.contains(&flag);
    let found: Vec<&str> =
        wanted.iter().map(|(flag, _)| *flag).chain(wide.iter().copied()).filter(|f| has(f)).collect();
    let missing: Vec<String> =
        wanted.iter().filter(|(flag, _)| !has(flag)).map(|(flag, so)| format!("no {flag}: {so}")).collect();
    Some(check("processor", found.join(" "), (!missing.is_empty()).then(|| missing.join("; "))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_processor_lacks_is_told() {
        let with = |flags: &str| processor(&format!("model name\t: X\nflags\t\t: fpu {flags}\n"), "x86_64").unwrap();
        assert_eq!(with("aes avx2 sha_ni vaes").advice, None);
        assert_eq!(with("aes avx2 sha_ni vaes").found, "aes avx2 sha_ni vaes");
        assert!(with("avx2 sha_ni").advice.unwrap().starts_with("no aes"));
        assert_eq!(processor("no such line", "x86_64"), None);
        assert!(processor("Features\t: fp asimd aes sha2\n", "aarch64").unwrap().advice.is_none());
    }

    #[test]
    fn a_loaded_machine_is_told() {
        assert!(load(Some("7.50 6.0 5.0 1/200 1"), 2).unwrap().advice.is_some());
        assert!(load(Some("0.10 6.0 5.0 1/200 1"), 2).unwrap().advice.is_none());
        assert_eq!(load(Some(""), 2), None);
    }

    #[test]
    fn the_disk_is_measured_and_nothing_is_left() {
        let folder = tempfile::tempdir().unwrap();
        let taken = disk(folder.path(), Duration::from_millis(20)).unwrap();
        assert!(!taken.is_empty());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(disk(&folder.path().join("missing"), Duration::ZERO).is_err());
    }
}
