//! Counting: this program runs itself under callgrind, which counts the instructions of one function and of all it calls.
//!
//! The same program gives the same count but for hash seeds and addresses, whoever else uses the machine. Deliberately absent: time,
//! caches, branch prediction; an instruction count is a guard against doing more, not a measure of speed.

use std::fmt::Write as _;
use std::fs;
use std::path::Path as FilePath;
use std::process::{Command, Stdio};
use std::thread;

use paths::{PATHS, Path, Step};

/// A deliberate slowdown does every step of this many once more.
const SLOW_EVERY: u64 = 10;
/// Steps before counting: lazily bound symbols, buffers that grow, caches that fill.
const WARM_STEPS: usize = 2;

/// Found by callgrind under this name; it must not be inlined, and nothing else may be called like it.
#[inline(never)]
fn the_steps_to_count(step: &mut Step, steps: u64, slow: bool) {
    for i in 0..steps {
        step();
        if slow && i % SLOW_EVERY == 0 {
            step();
        }
    }
}

/// The part of the child: warms the path and runs it. Says what the processor can, as far as it is seen from inside.
///
/// # Panics
/// When the path leaves its thread: its count would be too low.
pub(crate) fn run(path: &Path, slow: bool) {
    let mut step = (path.make)();
    (0..WARM_STEPS).for_each(|_| step());
    the_steps_to_count(&mut step, path.steps, slow);
    // Callgrind counts by thread, and only the one that runs the function.
    let threads = fs::read_dir("/proc/self/task").map_or(1, Iterator::count);
    assert!(threads == 1, "{} works on another thread too: that is not counted", path.name);
    println!("{}", processor());
}

/// Architecture and widest vectors.
fn processor() -> String {
    let mut name = std::env::consts::ARCH.to_owned();
    #[cfg(target_arch = "x86_64")]
    for (has, feature) in [
        (std::is_x86_feature_detected!("avx512bw"), "avx512"),
        (std::is_x86_feature_detected!("avx2"), "avx2"),
        (std::is_x86_feature_detected!("sha"), "sha"),
    ] {
        if has {
            let _ = write!(name, "-{feature}");
        }
    }
    name
}

/// Copies by vectors whatever the processor prefers: `rep movsb` is one instruction and counts once for each byte. (Manual of
/// the GNU C library, "Hardware Capability Tunables".)
const COPIES: &str = "glibc.cpu.x86_rep_movsb_threshold=1073741824:glibc.cpu.x86_rep_stosb_threshold=1073741824:\
                      glibc.cpu.x86_non_temporal_threshold=1073741824";

/// What was counted.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Counted {
    /// Instructions per unit.
    pub(crate) instructions: f64,
    /// The processor, as callgrind shows it.
    pub(crate) processor: String,
}

/// Counts each path with `program`, as many at once as there are processors; `slow` slows those that it names.
///
/// # Errors
/// There is no valgrind, or a path broke down; the message carries its last words.
pub(crate) fn all(program: &FilePath, paths: &[&Path], slow: &dyn Fn(&Path) -> bool) -> Result<Vec<Counted>, String> {
    let at_once = thread::available_parallelism().map_or(1, usize::from);
    let mut counted = Vec::with_capacity(paths.len());
    for some in paths.chunks(at_once) {
        let some: Vec<_> = some.iter().map(|path| (*path, slow(path))).collect();
        let done: Vec<_> = thread::scope(|scope| {
            let threads: Vec<_> =
                some.iter().map(|(path, slow)| scope.spawn(move || one(program, path, *slow))).collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap_or_else(|_| Err("a counting thread panicked".to_owned())))
                .collect()
        });
        for one in done {
            counted.push(one?);
        }
    }
    Ok(counted)
}

fn one(program: &FilePath, path: &Path, slow: bool) -> Result<Counted, String> {
    let folder = tempfile::tempdir().map_err(|error| format!("no temporary folder: {error}"))?;
    let out = folder.path().join("callgrind.out");
    let mut file = std::ffi::OsString::from("--callgrind-out-file=");
    file.push(&out);
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--collect-atstart=no", "--toggle-collect=*the_steps_to_count*"]);
    valgrind.arg(file).arg(program).args(["--count", path.name]);
    if slow {
        valgrind.args(["--slow", path.name]);
    }
    // The environment is part of the stack, whose alignment some copies see.
    valgrind.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir("/");
    valgrind.env("GLIBC_TUNABLES", COPIES);
    let output = valgrind.stdin(Stdio::null()).output().map_err(|error| format!("valgrind cannot be run: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        let last: Vec<&str> = said.lines().rev().take(12).collect();
        let last: Vec<&str> = last.into_iter().rev().collect();
        return Err(format!("{} broke down:\n{}", path.name, last.join("\n")));
    }
    let text = fs::read_to_string(&out).map_err(|error| format!("callgrind left no file: {error}"))?;
    let total =
        total(&text).filter(|total| *total > 0).ok_or("callgrind counted nothing: was the function inlined?")?;
    let units = path.steps * path.units;
    let processor = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    Ok(Counted { instructions: total as f64 / units as f64, processor })
}

/// The sum in a file of callgrind (its manual, "Callgrind Format Specification": `totals:`).
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("totals:").or_else(|| line.strip_prefix("summary:")))?;
    line.split_whitespace().next()?.parse().ok()
}

/// The path of this name.
pub(crate) fn named(name: &str) -> Result<&'static Path, String> {
    PATHS.iter().find(|path| path.name == name).ok_or_else(|| {
        let names: Vec<_> = PATHS.iter().map(|path| path.name).collect();
        format!("there is no path {name}; there are {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_read() {
        assert_eq!(total("# callgrind format\nevents: Ir\nsummary: 17\n\nfn=(1)\ntotals: 19\n"), Some(17));
        assert_eq!(total("events: Ir\n"), None);
    }

    #[test]
    fn a_slow_run_does_a_tenth_more() {
        use std::{cell::Cell, rc::Rc};
        for (slow, expected) in [(false, 50), (true, 55)] {
            let done = Rc::new(Cell::new(0));
            let seen = Rc::clone(&done);
            let mut step: Step = Box::new(move || done.set(done.get() + 1));
            the_steps_to_count(&mut step, 50, slow);
            assert_eq!(seen.get(), expected);
        }
    }
}
