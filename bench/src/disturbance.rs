//! Who else used the machine while something was measured, and what is done about it.
//!
//! Everything is a difference of two looks at /proc: what all processes that are not ours used, what the machine was busy
//! with that no process accounts for (other containers), what the hypervisor took, and pressure (PSI). Threads of the
//! kernel are not counted as others: what they do, they do for what is measured. A piece of work in which others had more
//! than the limit is thrown away and repeated; after too many the run ends without a report.

use std::{collections::HashMap, fmt::Write as _, fs, time::Instant};

use serde::Serialize;

use crate::{accounting::Stat, failure::Failure};

/// Others may use this part of the machine.
pub const LIMIT_DEFAULT: f64 = 0.05;
/// How often one piece of work is repeated.
pub const REPEATS_EACH: usize = 4;
/// Others are named from this part of the machine on.
const NAMED_FROM: f64 = 0.005;
/// Kernel threads are children of this one.
const KTHREADD: u32 = 2;

/// A look.
#[derive(Clone, Debug)]
pub struct Look {
    at: Instant,
    /// Of all processors, ticks.
    machine: Ticks,
    processes: HashMap<u32, Stat>,
    pressure: Pressure,
}

/// The first line of /proc/stat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ticks {
    total: u64,
    /// User, nice and system.
    busy: u64,
    steal: u64,
}

/// Microseconds that something waited, since the machine started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Pressure {
    processor: u64,
    memory: u64,
    io: u64,
}

impl Ticks {
    fn parse(stat: &str) -> Option<Self> {
        let line = stat.lines().next()?.strip_prefix("cpu ")?;
        let field: Vec<u64> = line.split_whitespace().take(8).map_while(|f| f.parse().ok()).collect();
        let [user, nice, system, _, _, _, _, steal] = field[..] else { return None };
        Some(Self { total: field.iter().sum(), busy: user + nice + system, steal })
    }
}

fn some_total(text: &str) -> u64 {
    let line = text.lines().find(|line| line.starts_with("some ")).unwrap_or_default();
    line.split_once("total=").and_then(|(_, total)| total.trim().parse().ok()).unwrap_or_default()
}

impl Look {
    /// Looks. What cannot be read counts as nothing.
    #[must_use]
    pub fn now() -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let mut processes = HashMap::new();
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
            if let Some((pid, stat)) = pid.and_then(|pid| Some((pid, Stat::of(pid)?))) {
                processes.insert(pid, stat);
            }
        }
        Self {
            at: Instant::now(),
            machine: Ticks::parse(&read("/proc/stat")).unwrap_or_default(),
            processes,
            pressure: Pressure {
                processor: some_total(&read("/proc/pressure/cpu")),
                memory: some_total(&read("/proc/pressure/memory")),
                io: some_total(&read("/proc/pressure/io")),
            },
        }
    }

    /// What others did since, where everything below `own` is ours.
    #[must_use]
    pub fn since(&self, own: u32) -> Measure {
        between(self, &Self::now(), own)
    }

    fn kinds(&self, own: u32) -> Kinds<'_> {
        let mut kinds = Kinds::default();
        for (pid, stat) in &self.processes {
            let used = i64::try_from(stat.own + stat.waited).unwrap_or(i64::MAX);
            kinds.all += used;
            let kernel = *pid == KTHREADD || stat.parent == KTHREADD;
            if kernel {
                kinds.kernel += used;
            } else if !self.below(*pid, own) {
                *kinds.others.entry(&stat.name).or_default() += used;
            }
        }
        kinds
    }

    fn below(&self, mut pid: u32, root: u32) -> bool {
        // As deep as a tree can be; a pid used again meanwhile could close a circle.
        for _ in 0..64 {
            if pid == root {
                return true;
            }
            match self.processes.get(&pid) {
                Some(stat) if stat.parent != 0 => pid = stat.parent,
                _ => return false,
            }
        }
        false
    }
}

/// Ticks by whom they were used.
#[derive(Debug, Default)]
struct Kinds<'a> {
    /// Processes that are not ours, by name.
    others: HashMap<&'a str, i64>,
    /// Threads of the kernel.
    kernel: i64,
    /// Everybody.
    all: i64,
}

/// What others did, as parts of the whole machine (1 is every processor for the whole time).
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Measure {
    /// Processes that are not ours.
    pub others: f64,
    /// Taken by the hypervisor.
    pub stolen: f64,
    /// Busy with something no process here accounts for.
    pub hidden: f64,
    /// Threads of the kernel: information, not a reason; what they do for what is measured is in nobody's processor time.
    pub kernel: f64,
    /// Some task waited for a processor, ours included: information, not a reason.
    pub processor_pressure: f64,
    /// Some task waited for memory.
    pub memory_pressure: f64,
    /// Some task waited for a disk: information, not a reason.
    pub io_pressure: f64,
    /// The processes that had most, with their parts.
    pub who: Vec<(String, f64)>,
}

fn between(before: &Look, after: &Look, own: u32) -> Measure {
    let total = after.machine.total.saturating_sub(before.machine.total);
    let seconds = after.at.duration_since(before.at).as_secs_f64();
    if total == 0 || seconds <= 0.0 {
        return Measure::default();
    }
    let part = |ticks: i64| (ticks.max(0) as f64 / total as f64).min(1.0);
    let (first, last) = (before.kinds(own), after.kinds(own));
    // What a process used goes to its parent when it is waited for: only the sum over a family means something, and what
    // a process had used before the first look must be taken off although it ended.
    let sum = |kinds: &HashMap<&str, i64>| kinds.values().sum::<i64>();
    let others = part(sum(&last.others) - sum(&first.others));
    let mut who: Vec<(String, f64)> = last
        .others
        .iter()
        .map(|(name, used)| ((*name).to_owned(), part(used - first.others.get(name).unwrap_or(&0))))
        .filter(|(_, part)| *part >= NAMED_FROM)
        .collect();
    who.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    who.truncate(4);
    let busy = i64::try_from(after.machine.busy.saturating_sub(before.machine.busy)).unwrap_or(i64::MAX);
    let waited = |pick: fn(&Pressure) -> u64| {
        (pick(&after.pressure).saturating_sub(pick(&before.pressure)) as f64 / 1e6 / seconds).min(1.0)
    };
    Measure {
        others,
        stolen: part(i64::try_from(after.machine.steal.saturating_sub(before.machine.steal)).unwrap_or(i64::MAX)),
        hidden: part(busy - (last.all - first.all)),
        kernel: part(last.kernel - first.kernel),
        processor_pressure: waited(|p| p.processor),
        memory_pressure: waited(|p| p.memory),
        io_pressure: waited(|p| p.io),
        who,
    }
}

impl Measure {
    /// The part of the machine that was not to be had.
    #[must_use]
    pub fn taken(&self) -> f64 {
        (self.others + self.stolen + self.hidden).min(1.0)
    }

    /// It was more than `limit`, or memory was short.
    #[must_use]
    pub fn disturbed(&self, limit: f64) -> bool {
        self.taken() > limit || self.memory_pressure > limit
    }

    /// In words.
    #[must_use]
    pub fn words(&self) -> String {
        let percent = |part: f64| format!("{:.0} %", part * 100.0);
        let mut text = format!("others used {} of this machine", percent(self.taken()));
        let mut named: Vec<String> = self.who.iter().map(|(name, part)| format!("{name} {}", percent(*part))).collect();
        if self.stolen >= NAMED_FROM {
            named.push(format!("the hypervisor {}", percent(self.stolen)));
        }
        if self.hidden >= NAMED_FROM {
            named.push(format!("processes that cannot be seen from here {}", percent(self.hidden)));
        }
        if !named.is_empty() {
            let _infallible = write!(text, " ({})", named.join(", "));
        }
        if self.memory_pressure >= NAMED_FROM {
            let _infallible = write!(text, "; memory was short {} of the time", percent(self.memory_pressure));
        }
        text
    }
}

/// What is to be done with a piece of work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Its figures count.
    Keep,
    /// They count, and the report warns of it.
    KeepDisturbed,
    /// They are thrown away.
    Repeat,
}

/// How much disturbance a run bears.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    limit: f64,
    force: bool,
    /// Repeats left in the whole run.
    left: usize,
}

impl Patience {
    /// For a run of so many pieces of work: one in four may be repeated, and ten at least.
    #[must_use]
    pub fn new(limit: f64, force: bool, pieces: usize) -> Self {
        Self { limit, force, left: (pieces / 4).max(10) }
    }

    /// Decides over a piece that was repeated `times` before.
    ///
    /// # Errors
    /// [`Failure::Disturbed`]: too often, unless the run is forced.
    pub fn decide(&mut self, measure: &Measure, times: usize) -> Result<Decision, Failure> {
        if !measure.disturbed(self.limit) {
            return Ok(Decision::Keep);
        }
        if self.force {
            return Ok(Decision::KeepDisturbed);
        }
        if times >= REPEATS_EACH || self.left == 0 {
            return Err(Failure::Disturbed(measure.words()));
        }
        self.left -= 1;
        Ok(Decision::Repeat)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const OURS: u32 = 100;

    fn stat(name: &str, parent: u32, own: u64, waited: u64) -> Stat {
        Stat { name: name.to_owned(), parent, own, waited }
    }

    /// Two processors for ten seconds: 2,000 ticks.
    fn looks(before: &[(u32, Stat)], after: &[(u32, Stat)], busy: u64, steal: u64) -> (Look, Look) {
        let at = Instant::now();
        let first = Look {
            at,
            machine: Ticks { total: 50_000, busy: 10_000, steal: 7 },
            processes: before.iter().cloned().collect(),
            pressure: Pressure::default(),
        };
        let second = Look {
            at: at + Duration::from_secs(10),
            machine: Ticks { total: 52_000, busy: 10_000 + busy, steal: 7 + steal },
            processes: after.iter().cloned().collect(),
            pressure: Pressure { processor: 9_000_000, memory: 0, io: 1_000_000 },
        };
        (first, second)
    }

    #[test]
    fn what_we_and_the_kernel_use_is_not_others() {
        let before = [(1, stat("init", 0, 5, 5)), (2, stat("kthreadd", 0, 0, 0)), (OURS, stat("bench", 1, 10, 0))];
        let after = [
            (1, stat("init", 0, 5, 5)),
            (2, stat("kthreadd", 0, 0, 0)),
            (9, stat("kworker/0:1", 2, 300, 0)),
            (OURS, stat("bench", 1, 110, 300)),
            (101, stat("postgres", OURS, 50, 0)),
            (102, stat("postgres", 101, 900, 0)),
        ];
        let (a, b) = looks(&before, &after, 1_650, 0);
        let measure = between(&a, &b, OURS);
        assert_eq!(measure.taken(), 0.0);
        assert!((measure.kernel - 300.0 / 2_000.0).abs() < 1e-9);
        assert!((measure.processor_pressure - 0.9).abs() < 1e-9);
        assert!(!measure.disturbed(LIMIT_DEFAULT));
    }

    #[test]
    fn others_are_found_named_and_added_up() {
        let before = [(7, stat("make", 1, 10, 40)), (8, stat("cc", 7, 100, 0))];
        // The first cc ended and went into what make waited for; another came.
        let after = [(7, stat("make", 1, 10, 240)), (11, stat("cc", 7, 60, 0))];
        let (a, b) = looks(&before, &after, 160 + 40, 100);
        let measure = between(&a, &b, OURS);
        assert!((measure.others - 160.0 / 2_000.0).abs() < 1e-9, "{measure:?}");
        assert!((measure.stolen - 0.05).abs() < 1e-9);
        assert!((measure.hidden - 0.02).abs() < 1e-9);
        assert_eq!(measure.who, [("make".to_owned(), 0.1)]);
        assert!(measure.disturbed(0.14) && !measure.disturbed(0.16));
        let words = measure.words();
        assert!(words.contains("15 %") && words.contains("make 10 %") && words.contains("hypervisor 5 %"), "{words}");
    }

    #[test]
    fn short_memory_disturbs_and_waiting_for_processors_does_not() {
        let busy = Measure { processor_pressure: 1.0, io_pressure: 1.0, ..Measure::default() };
        assert!(!busy.disturbed(0.05));
        assert!(Measure { memory_pressure: 0.06, ..Measure::default() }.disturbed(0.05));
    }

    #[test]
    fn a_run_bears_so_much_and_no_more() {
        let quiet = Measure { others: 0.04, ..Measure::default() };
        let loud = Measure { others: 0.5, who: vec![("cargo".to_owned(), 0.5)], ..Measure::default() };
        let mut patience = Patience::new(0.05, false, 8);
        assert_eq!(patience.decide(&quiet, 0).unwrap(), Decision::Keep);
        for times in 0..REPEATS_EACH {
            assert_eq!(patience.decide(&loud, times).unwrap(), Decision::Repeat);
        }
        let end = patience.decide(&loud, REPEATS_EACH).unwrap_err();
        assert!(matches!(&end, Failure::Disturbed(who) if who.contains("cargo 50 %")));
        // Six are left of ten, whichever pieces they fall on.
        for _ in 0..6 {
            assert_eq!(patience.decide(&loud, 0).unwrap(), Decision::Repeat);
        }
        assert!(patience.decide(&loud, 0).is_err());
        assert_eq!(patience.decide(&quiet, 0).unwrap(), Decision::Keep);
        assert_eq!(Patience::new(0.05, true, 8).decide(&loud, 99).unwrap(), Decision::KeepDisturbed);
    }

    #[test]
    fn the_kernels_files_are_understood() {
        let stat = "cpu  100 20 30 1000 50 1 2 7 0 0\ncpu0 1 2 3 4 5 6 7 8 0 0\n";
        assert_eq!(Ticks::parse(stat), Some(Ticks { total: 1_210, busy: 150, steal: 7 }));
        assert_eq!(Ticks::parse("intr 5"), None);
        let psi = "some avg10=98.66 avg60=97.20 avg300=59.99 total=24444340645\nfull avg10=0.00 total=3\n";
        assert_eq!(some_total(psi), 24_444_340_645);
        let before = Look::now();
        assert!(before.processes.contains_key(&std::process::id()));
        assert!(before.machine.total > 0);
    }
}
