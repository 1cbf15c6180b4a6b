//! Why io_uring is refused, in one sentence that says which of the possible causes it is and what to do.
//!
//! Invariants: every error number that io_uring_setup(2) and io_uring_register(2) give for want of a permission, of memory
//! or of the thing itself has a sentence of its own; causes that share a number are told apart by what the machine says of
//! itself. Deliberately absent: trying anything else.

use rustix::process::{Resource, getrlimit};
use std::io;

/// Why there is no ring.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RingError {
    text: String,
    any: bool,
}

impl RingError {
    /// Of this kernel's ring alone: another user of io_uring may still work here.
    pub(crate) fn lacks(text: String) -> Self {
        Self { text, any: false }
    }

    /// No ring of any kind can be made here.
    #[must_use]
    pub const fn is_for_any_ring(&self) -> bool {
        self.any
    }
}

impl std::fmt::Display for RingError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for RingError {}

impl From<RingError> for io::Error {
    fn from(error: RingError) -> Self {
        Self::new(io::ErrorKind::Unsupported, error)
    }
}

/// What the machine says of itself.
#[derive(Clone, Debug, Default)]
struct Machine {
    /// sysctl kernel.io_uring_disabled (Linux 6.6): 0 for nobody, 1 for those without a privilege, 2 for all.
    disabled: Option<u32>,
    /// This process runs under a seccomp filter.
    filtered: bool,
    /// Version of the kernel.
    release: String,
    /// The limit of locked memory in bytes; `None` for none.
    locked: Option<u64>,
}

impl Machine {
    fn look() -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let status = read("/proc/self/status");
        let seccomp = status.lines().find_map(|line| line.strip_prefix("Seccomp:"));
        Self {
            disabled: read("/proc/sys/kernel/io_uring_disabled").trim().parse().ok(),
            filtered: seccomp.is_some_and(|mode| mode.trim() == "2"),
            release: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            locked: getrlimit(Resource::Memlock).current,
        }
    }

    /// Version of the kernel, major and minor.
    fn version(&self) -> (u32, u32) {
        let mut parts = self.release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }
}

/// How a filter is told to let io_uring through.
const FILTER: &str = "let io_uring_setup, io_uring_enter and io_uring_register through (docker: --security-opt \
                      seccomp=PROFILE; Kubernetes: securityContext.seccompProfile; systemd: SystemCallFilter=@aio)";

/// The sentence for an error of io_uring_setup(2), or of a first use.
pub(crate) fn refused(error: &io::Error) -> RingError {
    sentence(error, &Machine::look())
}

fn sentence(error: &io::Error, machine: &Machine) -> RingError {
    let Machine { disabled, filtered, release, locked } = machine;
    let text = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => match disabled {
            Some(2) => "io_uring is switched off for everybody on this machine: set the sysctl kernel.io_uring_disabled, \
                        which is 2, to 0, or to 1 and kernel.io_uring_group to a group that the gateway runs with"
                .to_owned(),
            // Who has the privilege is stopped by something else.
            Some(1) if !filtered => {
                "io_uring is switched off for processes without a privilege (the sysctl kernel.io_uring_disabled is 1): \
                 run the gateway with the group that kernel.io_uring_group names, or set kernel.io_uring_disabled to 0"
                    .to_owned()
            }
            _ if *filtered => {
                format!("io_uring is forbidden by a seccomp filter, as most container runtimes set one: {FILTER}")
            }
            _ => "io_uring is forbidden by a security module of this machine (SELinux, AppArmor or another; its log names \
                  the denial): allow it for the gateway"
                .to_owned(),
        },
        Some(libc::ENOSYS) if *filtered && machine.version() >= (5, 1) => {
            format!("io_uring is hidden by a seccomp filter (this kernel, {release}, is new enough to have it): {FILTER}")
        }
        Some(libc::ENOSYS) if machine.version() >= (5, 1) => {
            format!("this kernel, {release}, was built without io_uring (CONFIG_IO_URING): run one that has it, of Linux 6.0 or later")
        }
        Some(libc::ENOSYS) => format!("this kernel, {release}, has no io_uring: run Linux 6.0 or later"),
        Some(libc::ENOMEM) => match locked {
            Some(bytes) => format!(
                "io_uring gets no memory: the limit of locked memory (RLIMIT_MEMLOCK) is {} KiB for all processes of this \
                 user together, and each core needs 512 KiB; raise it (systemd: LimitMEMLOCK=; shell: ulimit -l; \
                 container: --ulimit memlock=-1)",
                bytes >> 10
            ),
            None => "io_uring gets no memory although locked memory is not limited: raise the memory limit of the \
                     container or of the service (cgroup memory.max; systemd: MemoryMax=)"
                .to_owned(),
        },
        Some(libc::EMFILE) => "no descriptor is left for io_uring: raise the limit of open files (RLIMIT_NOFILE; systemd: \
                               LimitNOFILE=; shell: ulimit -n)"
            .to_owned(),
        Some(libc::ENFILE) => "no descriptor is left for io_uring on this machine: raise the sysctl fs.file-max".to_owned(),
        _ => return RingError::lacks(format!("io_uring does not work here: {error}")),
    };
    RingError { text, any: true }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(errno: i32, machine: Machine) -> String {
        let error = sentence(&io::Error::from_raw_os_error(errno), &machine);
        assert!(error.is_for_any_ring());
        let text = error.to_string();
        assert!(!text.contains('\n') && !text.contains("  "), "one sentence: {text}");
        text
    }

    fn machine(disabled: u32, filtered: bool) -> Machine {
        Machine { disabled: Some(disabled), filtered, release: "6.12.3-generic".to_owned(), locked: None }
    }

    #[test]
    fn every_refusal_names_its_cause_and_what_to_do() {
        for errno in [libc::EPERM, libc::EACCES] {
            assert!(told(errno, machine(2, false)).contains("kernel.io_uring_disabled, which is 2, to 0"));
            assert!(told(errno, machine(2, true)).contains("kernel.io_uring_disabled"), "the filter may be harmless");
            assert!(told(errno, machine(1, false)).contains("kernel.io_uring_group"));
            assert!(told(errno, machine(0, true)).contains("by a seccomp filter"));
            assert!(told(errno, machine(0, false)).contains("SELinux"));
            let old = Machine { filtered: true, release: "5.15.0".to_owned(), ..Machine::default() };
            assert!(told(errno, old).contains("by a seccomp filter"), "a kernel without the sysctl");
        }
        assert!(told(libc::ENOSYS, machine(0, true)).contains("hidden by a seccomp filter"));
        assert!(told(libc::ENOSYS, machine(0, false)).contains("CONFIG_IO_URING"));
        let ancient = Machine { filtered: true, release: "4.19.1".to_owned(), ..Machine::default() };
        assert_eq!(told(libc::ENOSYS, ancient), "this kernel, 4.19.1, has no io_uring: run Linux 6.0 or later");
        let limited = Machine { locked: Some(64 << 10), ..Machine::default() };
        let text = told(libc::ENOMEM, limited);
        assert!(text.contains("RLIMIT_MEMLOCK") && text.contains("64 KiB") && text.contains("LimitMEMLOCK="), "{text}");
        assert!(told(libc::ENOMEM, Machine::default()).contains("memory.max"));
        assert!(told(libc::EMFILE, Machine::default()).contains("RLIMIT_NOFILE"));
        assert!(told(libc::ENFILE, Machine::default()).contains("fs.file-max"));
    }

    #[test]
    fn what_nobody_knows_is_told_as_it_is_and_may_be_of_our_ring_alone() {
        let error = sentence(&io::Error::from_raw_os_error(libc::EBUSY), &Machine::default());
        assert!(!error.is_for_any_ring());
        assert!(error.to_string().starts_with("io_uring does not work here: "), "{error}");
    }

    #[test]
    fn this_machine_tells_its_version() {
        if !cfg!(miri) {
            assert!(Machine::look().version() >= (5, 0));
        }
    }
}
