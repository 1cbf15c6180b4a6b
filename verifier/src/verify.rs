//! Verifying one or several logs: every byte of every segment, the tree over them, and what lies beside them.
//!
//! Segments are read by one thread for each core of the machine and judged in order by one more. Memory: a window and
//! the waiting batches of each thread, and what is under way in the log (see `scan` and `meaning`).

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread;

use crate::chain::{Chain, Shared};
use crate::clock;
use crate::meaning::name;
use crate::note::VerifierKey;
use crate::report::{Code, Finding, Head, LogReport, Place, Report};
use crate::scan::{self, Item};
use crate::segment;
use crate::tree::{self, Against, Folder, Signed};

/// Statements in doubt that are named one by one.
const DOUBTS_NAMED: usize = 20;

/// What a verification is given beside the logs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Heads that earlier reports showed.
    pub heads: Vec<Head>,
    /// Keys that may have signed the logs' checkpoints, and witnesses' keys.
    pub keys: Vec<VerifierKey>,
    /// Checkpoints that were kept elsewhere: name of the file and its bytes.
    pub checkpoints: Vec<(String, Vec<u8>)>,
    /// Threads that read; 0 for one per core of the machine.
    pub threads: usize,
}

/// Verifies one audit directory.
#[must_use]
pub fn verify(directory: &Path) -> Report {
    verify_logs(&[directory.to_owned()], &Options::default())
}

/// Verifies a directory, and that it still contains the heads that an earlier report showed.
#[must_use]
pub fn verify_against(directory: &Path, heads: &[Head]) -> Report {
    verify_logs(&[directory.to_owned()], &Options { heads: heads.to_vec(), ..Options::default() })
}

/// Verifies the logs of several nodes together.
#[must_use]
pub fn verify_logs(directories: &[PathBuf], options: &Options) -> Report {
    let mut report = Report::default();
    for (log, directory) in directories.iter().enumerate() {
        report.logs.push(LogReport { directory: directory.clone(), ..LogReport::default() });
        let heads = if log == 0 { options.heads.as_slice() } else { &[] };
        if let Err(why) = one_log(log, directory, heads, options, &mut report) {
            report.unreadable.get_or_insert(why);
        }
    }
    report
}

fn one_log(log: usize, directory: &Path, heads: &[Head], options: &Options, report: &mut Report) -> Result<(), String> {
    let at = |path: &Path, error: io::Error| format!("{}: {error}", path.display());
    let cores = segment::cores(directory).map_err(|error| at(directory, error))?;
    if cores.is_empty() && heads.is_empty() {
        return Err(format!("{} holds no audit log", directory.display()));
    }
    let live = segment::is_live(directory);
    // Before the log: it then has at least what the tree has.
    let mut folder = Folder::read(directory).map_err(|error| at(directory, error))?;
    let mut lists = Vec::with_capacity(cores.len());
    for &core in &cores {
        let folder = segment::folder(directory, core);
        lists.push((core, segment::segments(&folder).map_err(|error| at(&folder, error))?));
    }
    let mut shared = Shared::default();
    read_all(log, &lists, live, heads, options, &mut shared, report).map_err(|error| at(directory, error))?;
    let mut find = |code, place, what| report.add(Finding { code, log, place, what });
    for head in heads.iter().filter(|head| !cores.contains(&head.core)) {
        let what = format!("the log of core {} is gone; block {} is known to have existed", head.core, head.block);
        find(Code::Trunc, Place::core(head.core), what);
    }
    for (&epoch, &count) in &shared.stated {
        for core in (0..count).filter(|&core| !shared.wrote.contains(&(epoch, core))) {
            let what = format!("no segment of epoch {epoch}, in which {count} cores wrote");
            find(Code::Core, Place::core(core), what);
        }
    }
    for (statement, core) in &shared.closed_for_others {
        if shared.doubts.remove(statement).is_none() && !shared.damaged {
            find(Code::Sem, Place::core(*core), format!("{} ends without having begun", name(statement)));
        }
    }
    let doubts = shared.doubts.len();
    for (statement, &core) in shared.doubts.iter().take(DOUBTS_NAMED) {
        find(Code::Doubt, Place::core(core), format!("{} has no result", name(statement)));
    }
    if doubts > DOUBTS_NAMED {
        let what = format!("{} more statements have no result", doubts - DOUBTS_NAMED);
        find(Code::Doubt, Place::default(), what);
    }
    report.logs[log].in_doubt = doubts as u64;
    let (witnesses, keys): (Vec<_>, Vec<_>) = options.keys.iter().cloned().partition(VerifierKey::is_witness);
    let mut kept = Vec::new();
    for (name, bytes) in &options.checkpoints {
        kept.push(Signed::parse(name, bytes, true).map_err(|why| format!("{name}: {why}"))?);
    }
    let against = Against { keys: &keys, witnesses: &witnesses, kept: &kept, acts: &shared.acts };
    if folder.exists || !kept.is_empty() || !keys.is_empty() {
        tree::check(log, &mut folder, &lists, &against, report).map_err(|error| at(directory, error))?;
    }
    Ok(())
}

/// Reads all segments of all cores, in parallel, and judges them in order.
fn read_all(
    log: usize,
    lists: &[(u16, Vec<(u64, PathBuf)>)],
    live: bool,
    heads: &[Head],
    options: &Options,
    shared: &mut Shared,
    report: &mut Report,
) -> io::Result<()> {
    let threads = match options.threads {
        0 => thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    };
    // Jobs are handed out in the order in which segments are judged, a few ahead: the segment that is judged now always
    // has a worker, and the others wait when their channels are full.
    let mut segments = lists
        .iter()
        .flat_map(|(_, list)| list.iter().enumerate().map(move |(n, (_, path))| (path, live && n + 1 == list.len())));
    let (give, jobs) = channel::<(&PathBuf, bool, SyncSender<Vec<Item>>)>();
    let jobs = Mutex::new(jobs);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((path, settle, send)) = jobs.lock().ok().and_then(|jobs| jobs.recv().ok()) {
                    scan::segment(path, settle, clock::TOLERANCE, &send);
                }
            });
        }
        let give = give;
        let mut ahead: VecDeque<Receiver<Vec<Item>>> = VecDeque::new();
        for (core, list) in lists {
            let known: BTreeMap<_, _> =
                heads.iter().filter(|head| head.core == *core).map(|head| (head.block, head.hash)).collect();
            let mut chain = Chain::new((log, *core), list, known, clock::TOLERANCE, shared, report);
            for index in 0..list.len() {
                while ahead.len() <= threads {
                    let Some((path, settle)) = segments.next() else { break };
                    let (send, receive) = sync_channel(scan::AHEAD);
                    ahead.push_back(receive);
                    give.send((path, settle, send)).map_err(|_| io::Error::other("no thread reads"))?;
                }
                chain.enter(index);
                for item in ahead.pop_front().into_iter().flatten().flatten() {
                    chain.item(item)?;
                }
            }
            chain.finish();
        }
        Ok(())
    })
}
