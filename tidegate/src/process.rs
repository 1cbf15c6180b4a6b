//! Limits of the process: locked memory for io_uring, open files.
//!
//! Both are raised to the hard limit at the start; what the hard limit does not allow is told with the way to raise it.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Locked memory each core needs for its rings.
const CORE_LOCKED_BYTES: u64 = 512 << 10;
/// Descriptors beside those of sessions: rings, listeners, audit segments, log.
const OTHER_FILES: u64 = 64;

/// Whether this many cores get their rings.
///
/// # Errors
/// What to raise and how.
pub fn check_locked_memory(cores: usize) -> Result<(), String> {
    locked_memory(cores, getrlimit(Resource::Memlock).maximum)
}

fn locked_memory(cores: usize, limit: Option<u64>) -> Result<(), String> {
    let needed = CORE_LOCKED_BYTES * cores as u64;
    match limit {
        Some(limit) if limit < needed => Err(format!(
            "the limit of locked memory (RLIMIT_MEMLOCK) is {} KiB, but {cores} cores need {} KiB for io_uring; raise it \
             (systemd: LimitMEMLOCK={needed}; shell: ulimit -l {}; container: --ulimit memlock={needed}) or lower `cores`",
            limit >> 10,
            needed >> 10,
            needed >> 10,
        )),
        Some(_) | None => Ok(()),
    }
}

/// A warning if the limit of open files is reached before the limit of sessions.
#[must_use]
pub fn check_open_files(sessions: u32) -> Option<String> {
    open_files(sessions, getrlimit(Resource::Nofile).maximum)
}

fn open_files(sessions: u32, limit: Option<u64>) -> Option<String> {
    let needed = u64::from(sessions) * 2 + OTHER_FILES;
    let limit = limit.filter(|l| *l < needed)?;
    Some(format!(
        "the limit of open files (RLIMIT_NOFILE) is {limit}, enough for {} of {sessions} sessions; raise it to {needed} \
         (systemd: LimitNOFILE={needed}) or lower `sessions`",
        limit.saturating_sub(OTHER_FILES) / 2
    ))
}

/// Raises both limits to what is allowed.
///
/// # Errors
/// The system's.
pub fn raise_limits() -> std::io::Result<()> {
    for resource in [Resource::Nofile, Resource::Memlock] {
        let limit = getrlimit(resource);
        setrlimit(resource, Rlimit { current: limit.maximum, maximum: limit.maximum })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locked_memory_is_needed_for_each_core() {
        assert_eq!(locked_memory(16, Some(8 << 20)), Ok(()));
        assert_eq!(locked_memory(200, None), Ok(()));
        let error = locked_memory(17, Some(8 << 20)).unwrap_err();
        assert!(error.contains("RLIMIT_MEMLOCK") && error.contains("ulimit -l 8704"), "{error}");
    }

    #[test]
    fn too_few_files_for_the_sessions_is_a_warning() {
        assert_eq!(open_files(10_000, Some(20_064)), None);
        assert_eq!(open_files(10_000, None), None);
        let warning = open_files(10_000, Some(20_063)).unwrap();
        assert!(warning.contains("enough for 9999 of 10000"), "{warning}");
    }

    #[test]
    fn limits_can_be_raised_to_what_is_allowed() {
        raise_limits().unwrap();
        let files = getrlimit(Resource::Nofile);
        assert_eq!(files.current, files.maximum);
    }
}
