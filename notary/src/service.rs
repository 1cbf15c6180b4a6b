//! The notary of a running gateway: threads that publish checkpoints, ask witnesses and copy to the object store.
//!
//! Invariants: no session waits for any of them; whatever fails is tried again and shown in [`Status`]; a change of state
//! is logged once. On the way out the last blocks get a checkpoint, and witnesses that answered before are asked once more.

use crate::{
    anchor::Anchor,
    history,
    sequencer::{Append, Durable, Notary, Published},
    tree_files::TileFiles,
    witness_client::{Standing, Witness},
};
use audit::{Body, record::SessionId};
use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Longest pause after failures.
const PAUSE_MAX: Duration = Duration::from_secs(300);
/// How often old checkpoints are thinned out.
const THIN_EVERY: Duration = Duration::from_secs(60);
/// How often a witness' cosignature is noted in the log itself.
const NOTE_EVERY: Duration = Duration::from_secs(3600);

/// What the threads do, and how often.
#[derive(Debug)]
pub struct Plan {
    /// Shortest time between two checkpoints.
    pub every: Duration,
    /// How long blocks may be without a signature before new sessions are refused; zero: for ever.
    pub max_unsigned: Duration,
    /// Whom to ask.
    pub witnesses: Vec<Witness>,
    /// How often checkpoints are shown to witnesses.
    pub witness_every: Duration,
    /// Where to copy, and how often.
    pub anchor: Option<(Anchor, Duration)>,
}

/// What the threads need of the gateway.
pub struct Hooks {
    /// What is durable.
    pub durable: Durable,
    /// Takes records.
    pub append: Append,
    /// Is told whether blocks have been without a signature for too long.
    pub unsigned_too_long: Box<dyn Fn(bool) + Send>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hooks")
    }
}

/// How a witness is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WitnessStatus {
    /// Name.
    pub name: String,
    /// In words.
    pub standing: String,
    /// Whether its last answer was a cosignature.
    pub good: bool,
    /// Size that it cosigned last.
    pub size: u64,
    /// When, seconds since 1970; 0: never since the start.
    pub at: u64,
}

/// How the copies are doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AnchorStatus {
    /// Size of the last checkpoint copied.
    pub size: u64,
    /// When, seconds since 1970; 0: not since the start.
    pub at: u64,
    /// Where.
    pub place: String,
    /// Why the last attempt failed, if it did.
    pub error: Option<String>,
}

/// How the notary is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Name of the log.
    pub origin: String,
    /// Blocks in the tree.
    pub size: u64,
    /// Blocks that the published checkpoint covers.
    pub checkpoint: u64,
    /// When it was published, seconds since 1970; 0: before the start.
    pub checkpoint_at: u64,
    /// How long the oldest block without a signature has waited; zero: all are signed.
    pub unsigned_for: Duration,
    /// Whether new sessions are refused because of that.
    pub refusing: bool,
    /// Why the last step failed, if it did.
    pub error: Option<String>,
    /// Witnesses.
    pub witnesses: Vec<WitnessStatus>,
    /// The object store.
    pub anchor: Option<AnchorStatus>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    #[default]
    Running,
    /// The last step.
    Closing,
    /// After the last step.
    Ending,
}

type Latest = (Arc<Published>, Arc<BTreeMap<u16, u64>>);

#[derive(Default)]
struct Shared {
    phase: Phase,
    status: Status,
    unsigned_since: Option<Instant>,
    latest: Option<Latest>,
}

#[derive(Default)]
struct Desk {
    shared: Mutex<Shared>,
    changed: Condvar,
}

impl Desk {
    fn lock(&self) -> MutexGuard<'_, Shared> {
        // Plain values, each written in one step: a thread that panicked leaves nothing half done.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits so long, or until that phase. True if it has come.
    fn pause(&self, time: Duration, until: Phase) -> bool {
        let waiting = self.changed.wait_timeout_while(self.lock(), time, |shared| shared.phase < until);
        waiting.map_or(true, |(shared, _)| shared.phase >= until)
    }

    fn enter(&self, phase: Phase) {
        self.lock().phase = phase;
        self.changed.notify_all();
    }
}

/// Shows the status after the service has started, wherever it is.
#[derive(Clone)]
pub struct StatusView(Arc<Desk>);

impl std::fmt::Debug for StatusView {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:?}", self.get())
    }
}

impl StatusView {
    /// The status now.
    #[must_use]
    pub fn get(&self) -> Status {
        let shared = self.0.lock();
        let unsigned_for = shared.unsigned_since.map_or(Duration::ZERO, |since| since.elapsed());
        Status { unsigned_for, ..shared.status.clone() }
    }
}

/// The running threads.
pub struct Service {
    desk: Arc<Desk>,
    sequencer: JoinHandle<()>,
    others: Vec<JoinHandle<()>>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Service")
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

impl Service {
    /// Starts the threads.
    ///
    /// # Errors
    /// The system gives no thread.
    pub fn start(mut notary: Notary, plan: Plan, hooks: Hooks) -> io::Result<Self> {
        let desk = Arc::new(Desk::default());
        let Plan { every, max_unsigned, witnesses, witness_every, anchor } = plan;
        {
            let mut shared = desk.lock();
            let witness = |w: &Witness| WitnessStatus {
                name: w.name().to_owned(),
                standing: "not asked yet".to_owned(),
                ..WitnessStatus::default()
            };
            shared.status = Status {
                origin: notary.origin().to_owned(),
                size: notary.size(),
                checkpoint: notary.published().map_or(0, |p| p.checkpoint.size),
                witnesses: witnesses.iter().map(witness).collect(),
                anchor: anchor.as_ref().map(|_| AnchorStatus::default()),
                ..Status::default()
            };
        }
        desk.lock().latest = notary.published().map(|published| {
            // What the tree holds beyond the checkpoint is not covered by it.
            let covered = if notary.is_behind() { BTreeMap::new() } else { notary.covered() };
            (Arc::new(published.clone()), Arc::new(covered))
        });
        let Hooks { durable, append, unsigned_too_long } = hooks;
        notary.follow(Some(durable));
        notary.append_with(Arc::clone(&append));
        let tiles = notary.tiles();
        let spawn =
            |name: &str, work: Box<dyn FnOnce() + Send>| std::thread::Builder::new().name(name.to_owned()).spawn(work);
        let at = Arc::clone(&desk);
        let sequencer =
            spawn("notary", Box::new(move || sequence(&at, notary, every, max_unsigned, &*unsigned_too_long)))?;
        let mut others = Vec::new();
        for (n, witness) in witnesses.into_iter().enumerate() {
            let (at, tiles, append) = (Arc::clone(&desk), tiles.clone(), Arc::clone(&append));
            others.push(spawn("witness", Box::new(move || ask(&at, n, witness, witness_every, &tiles, &append)))?);
        }
        if let Some((anchor, every)) = anchor {
            let (at, append) = (Arc::clone(&desk), append);
            others.push(spawn("anchor", Box::new(move || copy(&at, anchor, every, &append)))?);
        }
        Ok(Self { desk, sequencer, others })
    }

    /// A view of the status.
    #[must_use]
    pub fn status(&self) -> StatusView {
        StatusView(Arc::clone(&self.desk))
    }

    /// Signs what is left and ends the threads. To be called when the gateway has written its last block.
    pub fn stop(self) {
        self.desk.enter(Phase::Closing);
        // A thread that panicked has said so itself.
        let _ended = self.sequencer.join();
        self.desk.enter(Phase::Ending);
        for thread in self.others {
            let _ended = thread.join();
        }
    }
}

fn sequence(desk: &Desk, mut notary: Notary, every: Duration, max_unsigned: Duration, too_long: &dyn Fn(bool)) {
    let mut thinned: Option<Instant> = None;
    let mut last = false;
    loop {
        let outcome = notary.step();
        let mut shared = desk.lock();
        let error = match outcome {
            Ok(published) => {
                if published {
                    shared.latest = notary.published().map(|p| (Arc::new(p.clone()), Arc::new(notary.covered())));
                    shared.status.checkpoint = notary.published().map_or(0, |p| p.checkpoint.size);
                    shared.status.checkpoint_at = now();
                }
                None
            }
            Err(error) => Some(error.to_string()),
        };
        if let Some(text) = error.as_ref().filter(|_| shared.status.error != error) {
            tracing::error!("no checkpoint of the audit log can be made: {text}");
        } else if error.is_none() && shared.status.error.is_some() {
            tracing::info!("checkpoints of the audit log are made again");
        }
        // While a step fails, there may be blocks that nobody has looked at yet.
        let behind = error.is_some() || notary.is_behind();
        let since = if behind { shared.unsigned_since.or_else(|| Some(Instant::now())) } else { None };
        let refusing = !max_unsigned.is_zero() && since.is_some_and(|since| since.elapsed() > max_unsigned);
        if refusing != shared.status.refusing {
            if refusing {
                tracing::error!(
                    "blocks have been without a signature for more than {max_unsigned:?}: new sessions are refused"
                );
            } else {
                tracing::info!("new sessions are admitted again");
            }
        }
        shared.unsigned_since = since;
        (shared.status.error, shared.status.refusing, shared.status.size) = (error, refusing, notary.size());
        drop(shared);
        desk.changed.notify_all();
        too_long(refusing);
        if last {
            return;
        }
        if thinned.is_none_or(|t| t.elapsed() > THIN_EVERY) {
            thinned = Some(Instant::now());
            let folder = notary.tiles().folder;
            for folder in ["checkpoints", "cosignatures"].map(|name| folder.join(name)) {
                thin(&folder);
            }
        }
        last = desk.pause(every, Phase::Closing);
    }
}

fn thin(folder: &Path) {
    if let Err(error) = history::thin(folder, SystemTime::now()) {
        tracing::warn!("old checkpoints stay: {error}");
    }
}

fn ask(desk: &Desk, number: usize, mut witness: Witness, every: Duration, tiles: &TileFiles, append: &Append) {
    let mut cosigned: Option<u64> = None;
    let mut failures = 0u32;
    let mut noted: Option<Instant> = None;
    let mut wait = Duration::ZERO;
    loop {
        let ending = desk.pause(wait, Phase::Ending);
        let latest = desk.lock().latest.clone();
        let Some((published, _)) = latest else {
            if ending {
                return;
            }
            wait = Duration::from_millis(100);
            continue;
        };
        let size = published.checkpoint.size;
        // On the way out only those are asked that will probably answer.
        if cosigned != Some(size) && !(ending && failures > 0) {
            let standing = witness.submit(&published, tiles);
            let good = matches!(standing, Standing::Cosigned(_));
            let text = standing.to_string();
            let changed = {
                let mut shared = desk.lock();
                let Some(status) = shared.status.witnesses.get_mut(number) else { return };
                let changed = status.standing != text;
                (status.standing, status.good) = (text.clone(), good);
                if let Standing::Cosigned(time) = standing {
                    (status.size, status.at) = (size, time);
                }
                changed
            };
            if changed && good {
                tracing::info!("witness {}: {text}", witness.name());
            } else if changed {
                tracing::error!("witness {}: {text}", witness.name());
            }
            if changed && standing.is_alarming() {
                let detail = format!("{}: {text}", witness.name());
                let alarm = Body::Alarm { session: SessionId([0; 16]), kind: "witness".to_owned(), detail };
                let _shown_in_the_status_too = append(alarm);
            }
            if good {
                (cosigned, failures) = (Some(size), 0);
                if noted.is_none_or(|noted| noted.elapsed() > NOTE_EVERY) {
                    let (root, place) = (published.checkpoint.root.0, witness.name().to_owned());
                    if append(Body::Anchor { kind: "witness".to_owned(), size, root, place }) {
                        noted = Some(Instant::now());
                    }
                }
            } else {
                failures += 1;
            }
        }
        if ending {
            return;
        }
        wait = paused(every, failures);
    }
}

fn paused(every: Duration, failures: u32) -> Duration {
    every.saturating_mul(1 << failures.min(10)).min(every.max(PAUSE_MAX))
}

fn copy(desk: &Desk, mut anchor: Anchor, every: Duration, append: &Append) {
    let mut failures = 0;
    let mut wait = Duration::from_millis(100);
    while !desk.pause(wait, Phase::Ending) {
        let latest = desk.lock().latest.clone();
        let Some((published, covered)) = latest else { continue };
        let outcome = anchor.copy(&published, &covered, now());
        let mut shared = desk.lock();
        let Some(status) = &mut shared.status.anchor else { return };
        match outcome {
            Ok(done) => {
                if status.error.take().is_some() {
                    tracing::info!("the audit log is copied to the object store again");
                }
                failures = 0;
                if let Some(done) = done {
                    (status.size, status.at, status.place) = (done.size, now(), done.place.clone());
                    drop(shared);
                    let kind = "object_lock".to_owned();
                    let _next_time = append(Body::Anchor { kind, size: done.size, root: done.root, place: done.place });
                }
            }
            Err(error) => {
                let text = error.to_string();
                if status.error.as_ref() != Some(&text) {
                    tracing::error!("the audit log cannot be copied to the object store: {text}");
                }
                status.error = Some(text);
                failures += 1;
            }
        }
        wait = paused(every, failures);
    }
}
