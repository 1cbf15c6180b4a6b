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

use crate::beside;
use crate::chain::{Chain, Shared};
use crate::clock;
use crate::meaning::name;
use crate::note::VerifierKey;
use crate::registry::Facts;
use crate::report::{Code, Finding, Head, LogReport, Place, Report};
use crate::scan::{self, Item};
use crate::segment;
use crate::tree::{self, Against, Folder, Signed};
use crate::trust::{Trust, WitnessPolicy};

/// Statements in doubt that are named one by one.
const DOUBTS_NAMED: usize = 20;

/// What a verification is given beside the logs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Heads that earlier reports showed, of the first log.
    pub heads: Vec<Head>,
    /// Keys that may have signed the logs' checkpoints, and witnesses' keys.
    pub keys: Vec<VerifierKey>,
    /// The nodes that exist, and who else is trusted.
    pub trust: Option<Trust>,
    /// Witnesses that must have seen each log.
    pub policy: Option<WitnessPolicy>,
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
    if let Err(why) = all(directories, options, &mut report) {
        report.unreadable = Some(why);
    }
    report
}

fn at(path: &Path) -> impl Fn(io::Error) -> String + '_ {
    move |error| format!("{}: {error}", path.display())
}

fn all(directories: &[PathBuf], options: &Options, report: &mut Report) -> Result<(), String> {
    let mut kept = Vec::new();
    for (name, bytes) in &options.checkpoints {
        kept.push(Signed::parse(name, bytes, true).map_err(|why| format!("{name}: {why}"))?);
    }
    // Trees before logs: a log that goes on then has at least what its tree has.
    let mut folders = Vec::with_capacity(directories.len());
    for directory in directories {
        report.logs.push(LogReport { directory: directory.clone(), ..LogReport::default() });
        folders.push(Folder::read(directory).map_err(at(directory))?);
    }
    let current: Vec<Option<Signed>> = folders.iter().map(|folder| folder.current.clone()).collect();
    let mut logs = Vec::with_capacity(directories.len());
    for (log, (directory, mut folder)) in directories.iter().zip(folders).enumerate() {
        // Another copy of the same log is one more account of what it was.
        let origin = current[log].as_ref().map(|signed| signed.head.origin.clone());
        let mut known: Vec<Signed> = kept
            .iter()
            .filter(|signed| directories.len() == 1 || Some(&signed.head.origin) == origin.as_ref())
            .cloned()
            .collect();
        for (other, signed) in current.iter().enumerate() {
            if let Some(signed) = signed.as_ref().filter(|s| other != log && Some(&s.head.origin) == origin.as_ref()) {
                let file = format!("{}/{}", directories[other].display(), signed.file);
                known.push(Signed { file, kept: true, ..signed.clone() });
            }
        }
        logs.push(one_log(log, directory, &mut folder, &known, options, report)?);
    }
    crate::approvals::judge(&logs, report);
    crate::registry::compare(&logs, &kept, options.trust.as_ref(), report);
    Ok(())
}

fn one_log(
    log: usize,
    directory: &Path,
    folder: &mut Folder,
    known: &[Signed],
    options: &Options,
    report: &mut Report,
) -> Result<Facts, String> {
    let heads = if log == 0 { options.heads.as_slice() } else { &[] };
    let cores = segment::cores(directory).map_err(at(directory))?;
    if cores.is_empty() && heads.is_empty() && !folder.exists {
        return Err(format!("{} holds no audit log", directory.display()));
    }
    let live = segment::is_live(directory);
    let mut lists = Vec::with_capacity(cores.len());
    for &core in &cores {
        let folder = segment::folder(directory, core);
        lists.push((core, segment::segments(&folder).map_err(at(&folder))?));
    }
    let mut shared = Shared::default();
    read_all(log, &lists, live, heads, options, &mut shared, report).map_err(at(directory))?;
    for head in heads.iter().filter(|head| !cores.contains(&head.core)) {
        let what = format!("the log of core {} is gone; block {} is known to have existed", head.core, head.block);
        report.add(Finding { code: Code::Trunc, log, place: Place::core(head.core), what });
    }
    cores_together(log, &mut shared, report);

    let origin = folder.current.as_ref().map(|signed| signed.head.origin.clone());
    let trust = options.trust.as_ref();
    let of_node = trust.into_iter().flat_map(|trust| &trust.nodes).filter(|node| Some(&node.origin) == origin.as_ref());
    let of_policy = options.policy.iter().flat_map(|policy| policy.logs.iter().chain(policy.witnesses.values()));
    let mut keys: Vec<VerifierKey> = options.keys.clone();
    keys.extend(of_node.flat_map(|node| &node.keys).cloned());
    keys.extend(trust.into_iter().flat_map(|trust| &trust.witnesses).chain(of_policy).cloned());
    let (witnesses, keys): (Vec<_>, Vec<_>) = keys.into_iter().partition(VerifierKey::is_witness);
    let against = Against {
        keys: &keys,
        witnesses: &witnesses,
        kept: known,
        acts: &shared.acts,
        policy: options.policy.as_ref(),
        anchor_max_age_s: trust.and_then(|trust| trust.anchor_max_age_s),
        last_wall_ns: shared.last_wall_ns,
    };
    if folder.exists || !known.is_empty() || !keys.is_empty() {
        tree::check(log, folder, &lists, &against, report).map_err(at(directory))?;
    }
    let officers = trust.map(|trust| trust.officers.as_slice()).unwrap_or_default();
    let mut find = |code, place, what| report.add(Finding { code, log, place, what });
    let judged = crate::purge::judge(&shared.acts, officers, &shared.beside.sessions, origin.as_deref(), &mut find);
    // What refers to damaged records cannot be judged.
    if !shared.damaged {
        // Only the gateway's own directory has a lock; copies may leave out what must be erasable.
        let original = directory.join("lock").exists();
        let counted = beside::check(directory, &shared.beside, &judged.purged, shared.node, original, &mut find);
        let counted = counted.map_err(at(directory))?;
        let it = &mut report.logs[log];
        (it.purged, it.recordings, it.keys) = (counted.purged, counted.recordings, counted.keys);
        if counted.elsewhere > 0 {
            report.notes.push(format!("keys or recordings of {} sessions are not in this copy", counted.elsewhere));
        }
    }
    for hold in &judged.undecided {
        report.notes.push(format!("whether the hold {hold} keeps a session that was purged depends on its statements"));
    }
    if judged.unverified {
        report.notes.push("the signatures below purges were not verified: no officers' keys were given".to_owned());
    }
    Ok(Facts { origin, node: shared.node, parents: shared.parents, acts: shared.acts })
}

/// What can be said once all cores of a log were read.
fn cores_together(log: usize, shared: &mut Shared, report: &mut Report) {
    let mut find = |code, place, what| report.add(Finding { code, log, place, what });
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
