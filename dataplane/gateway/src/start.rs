//! Starting, steering and ending the cores.

use crate::access::{Answer, Cut, Live, LiveSessions};
use crate::conversation;
use crate::core::{Core, Mailbox, Message, Signal};
use crate::driver::{self, Doorbell, Listener, Ringer};
use crate::failing::{self, Failure, LOG_LIMIT, PANICKED};
use crate::metrics::{CoreMetrics, Metrics, add};
use crate::ring_writer::{CoreAudit, Files, WriterOptions};
use crate::settings::{Rules, Secret, Settings};
use crate::{AuditHandle, Event, Shared, upstream};
use audit::CoreStart;
use audit::record::SessionId;
use futures_lite::FutureExt as _;
use session::Host as _;
use std::cell::Cell;
use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(500);
/// Connections the kernel queues per core.
const BACKLOG: i32 = 4096;
/// A core must be ready within this.
const READY_LIMIT: Duration = Duration::from_secs(120);

/// Why the gateway did not start.
#[derive(Debug)]
pub enum StartError {
    /// An address cannot be listened on.
    Listen(SocketAddr, io::Error),
    /// The audit log cannot be opened.
    Audit(String),
    /// A core cannot start.
    Core(usize, String),
    /// The settings contradict each other.
    Settings(&'static str),
    /// The driver that is wanted does not work here, or none does.
    Driver(String),
}

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error}"),
            Self::Audit(error) => write!(f, "cannot open the audit log: {error}"),
            Self::Core(core, error) => write!(f, "core {core} cannot start: {error}"),
            Self::Settings(error) => f.write_str(error),
            Self::Driver(error) => write!(f, "the cores cannot run here: {error}"),
        }
    }
}

impl std::error::Error for StartError {}

/// How the gateway ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Cores that ended with an error, and the error.
    pub failures: Vec<(usize, String)>,
}

/// What is going on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Addresses that are listened on.
    pub listen: Vec<SocketAddr>,
    /// Sessions per core.
    pub sessions: Vec<u64>,
    /// Time since the start.
    pub uptime: Duration,
    /// What runs the cores.
    pub driver: &'static str,
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    shared: Arc<Shared>,
    metrics: Vec<Arc<CoreMetrics>>,
    threads: Vec<JoinHandle<io::Result<Result<(), String>>>>,
    listen: Vec<SocketAddr>,
    began: Instant,
    driver: driver::Driver,
    /// Held until the last core has written its last block.
    lock: audit::DirectoryLock,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared").field("cores", &self.mailboxes.len()).finish_non_exhaustive()
    }
}

/// What one core's thread is given.
struct Seed {
    index: usize,
    settings: Arc<Settings>,
    shared: Arc<Shared>,
    rules: Arc<Rules>,
    metrics: Arc<CoreMetrics>,
    listeners: Vec<TcpListener>,
    bell: UnixStream,
    start: CoreStart,
    ready: Sender<(usize, Result<(), String>)>,
}

/// Starts every core; returns when all of them listen.
///
/// # Errors
/// Nothing is left running.
pub fn start(
    settings: Settings,
    rules: Rules,
    events: Box<dyn Fn(Event) + Send + Sync>,
) -> Result<Gateway, StartError> {
    if settings.cores == 0 || settings.cores > 127 {
        return Err(StartError::Settings("the number of cores must be 1 to 127"));
    }
    if settings.targets.len() != rules.epochs.len() {
        return Err(StartError::Settings("every target needs rules"));
    }
    if settings.recipients.len() > sealing::slots::RECIPIENTS_MAX {
        return Err(StartError::Settings("too many recipients"));
    }
    let (driver, notice) = driver::Driver::choose(settings.driver).map_err(StartError::Driver)?;
    if let Some(notice) = notice {
        tracing::warn!(%notice, "the cores run on glommio instead of our own driver");
    }
    let cores = settings.cores;
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|e| StartError::Audit(e.to_string()))?;
    let spare = settings.spare_directory.as_deref();
    let of_cores = u16::try_from(cores).unwrap_or(127);
    let opened = audit::open_with_spare(&settings.audit_directory, spare, of_cores, seed)
        .map_err(|e| StartError::Audit(e.to_string()))?;

    let mut listen = Vec::new();
    let mut listeners: Vec<Vec<TcpListener>> = (0..cores).map(|_| Vec::new()).collect();
    for address in &settings.listen {
        let mut bound = *address;
        for of_core in &mut listeners {
            let listener = listener(bound).map_err(|e| StartError::Listen(bound, e))?;
            bound = listener.local_addr().map_err(|e| StartError::Listen(bound, e))?;
            of_core.push(listener);
        }
        listen.push(bound);
    }

    let mut mailboxes = Vec::new();
    let mut bells = Vec::new();
    for core in 0..cores {
        let (ringer, bell) = Ringer::pair().map_err(|e| StartError::Core(core, e.to_string()))?;
        mailboxes.push(Mailbox::new(ringer));
        bells.push(bell);
    }
    let shared = Arc::new(Shared {
        events,
        mailboxes,
        ledger: Arc::default(),
        began: Instant::now(),
        durable_blocks: opened.cores.iter().map(|c| Arc::new(AtomicU64::new(c.next_block_seq))).collect(),
        unsigned_too_long: AtomicBool::new(false),
        began_unix_ns: audit::record::Clock::now().wall_ns,
        live: LiveSessions::default(),
        seats: Arc::new(AtomicUsize::new(0)),
        users: Arc::new(Mutex::new(HashMap::new())),
    });
    let (settings, rules) = (Arc::new(settings), Arc::new(rules));
    let (ready, readiness) = mpsc::channel();
    let mut threads = Vec::new();
    let mut metrics = Vec::new();
    let parts = listeners.into_iter().zip(bells).zip(opened.cores).enumerate();
    for (index, ((listeners, bell), start)) in parts {
        let core_metrics = Arc::new(CoreMetrics::new());
        metrics.push(Arc::clone(&core_metrics));
        let seed = Seed {
            index,
            settings: Arc::clone(&settings),
            shared: Arc::clone(&shared),
            rules: Arc::clone(&rules),
            metrics: core_metrics,
            listeners,
            bell,
            start,
            ready: ready.clone(),
        };
        let failed = ready.clone();
        let pin = settings.pin.then_some(index);
        let thread = driver::run_core(driver, &format!("core-{index}"), pin, move || run(seed))
            .map_err(|e| StartError::Core(index, e.to_string()))?;
        drop(failed);
        threads.push(thread);
    }
    drop(ready);
    let gateway = Gateway { shared, metrics, threads, listen, began: Instant::now(), driver, lock: opened.lock };
    let mut waiting = cores;
    while waiting > 0 {
        match readiness.recv_timeout(READY_LIMIT) {
            Ok((_, Ok(()))) => waiting -= 1,
            Ok((core, Err(error))) => {
                gateway.stop_now();
                return Err(StartError::Core(core, error));
            }
            Err(_) => {
                // A core that could not even make its executor says so as its thread's result.
                gateway.stop_now();
                let failure = gateway.join().failures.into_iter().next();
                let (core, error) = failure.unwrap_or_else(|| (0, "not ready in time".to_owned()));
                return Err(StartError::Core(core, error));
            }
        }
    }
    Ok(gateway)
}

fn listener(address: SocketAddr) -> io::Result<TcpListener> {
    let domain = if address.is_ipv6() { socket2::Domain::IPV6 } else { socket2::Domain::IPV4 };
    let socket = socket2::Socket::new(domain, socket2::Type::STREAM, Some(socket2::Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

impl Gateway {
    /// Answers a question of a session's. False if the core does not take mail.
    pub fn answer(&self, core: usize, session: SessionId, answer: Answer) -> bool {
        let mailbox = self.shared.mailboxes.get(core);
        mailbox.is_some_and(|mailbox| mailbox.post(Message::Answer(session, Box::new(answer))))
    }

    /// Ends every session that matches, now; how many there were.
    pub fn cut(&self, cut: &Cut) -> usize {
        let matching = self.shared.live.cut(cut, self.shared.began);
        for &(core, session) in &matching {
            if let Some(mailbox) = self.shared.mailboxes.get(core)
                && !mailbox.post(Message::End(session, cut.reason))
            {
                tracing::error!(core, "a core does not take mail: a session that should end goes on");
            }
        }
        matching.len()
    }

    /// The sessions that run.
    #[must_use]
    pub fn live(&self) -> Vec<Live> {
        self.shared.live.list()
    }

    /// Addresses that are listened on.
    #[must_use]
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listen
    }

    #[cfg(test)]
    pub(crate) fn mailbox(&self, core: usize) -> &Mailbox {
        &self.shared.mailboxes[core]
    }

    fn tell(&self, message: impl Fn() -> Message) {
        for mailbox in &self.shared.mailboxes {
            if !mailbox.post(message()) {
                tracing::error!("a core's mailbox is full");
            }
        }
    }

    /// New rules for every core; sessions look before their next statement.
    pub fn reload(&self, rules: Rules) {
        let rules = Arc::new(rules);
        self.tell(|| Message::Reload(Arc::clone(&rules)));
    }

    /// New passwords of the targets, in their order, for sessions that begin from now on.
    pub fn rotate(&self, passwords: Vec<Option<Secret>>) {
        let passwords = Arc::new(passwords);
        self.tell(|| Message::Passwords(Arc::clone(&passwords)));
    }

    /// Stops listening; sessions end when they are idle, at the latest after `limit`.
    pub fn drain(&self, limit: Duration) {
        self.tell(|| Message::Drain(limit));
    }

    /// The audit log, as other threads may use it.
    #[must_use]
    pub fn audit(&self) -> AuditHandle {
        AuditHandle { shared: Arc::clone(&self.shared) }
    }

    /// Posts an administrative record to core 0; see [`AuditHandle::append`].
    #[must_use]
    pub fn append(&self, body: audit::Body) -> bool {
        self.audit().append(body)
    }

    /// For each core, the number of the block that becomes durable next.
    #[must_use]
    pub fn durable_blocks(&self) -> Vec<(u16, u64)> {
        self.audit().durable_blocks()
    }

    /// Ends every session now.
    pub fn stop_now(&self) {
        self.drain(Duration::ZERO);
    }

    /// Waits until every core has ended.
    #[must_use]
    pub fn join(self) -> Outcome {
        let mut outcome = Outcome::default();
        for (core, thread) in self.threads.into_iter().enumerate() {
            match thread.join() {
                Ok(Ok(Ok(()))) => {}
                Ok(Ok(Err(error))) => outcome.failures.push((core, error)),
                Ok(Err(error)) => outcome.failures.push((core, error.to_string())),
                Err(_) => outcome.failures.push((core, "panicked".to_owned())),
            }
        }
        drop(self.lock);
        outcome
    }

    /// Every core has ended.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }

    /// A core has ended, or is about to, although nobody asked for it: the others go on and are to be drained. After
    /// [`Gateway::drain`] this says nothing.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        let failed = |core: &Arc<CoreMetrics>| core.counters.core_failed.load(Ordering::Relaxed) > 0;
        self.metrics.iter().any(failed) || self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Counters and histograms.
    #[must_use]
    pub fn metrics(&self) -> Metrics {
        Metrics { cores: self.metrics.iter().map(|m| m.read()).collect() }
    }

    /// What is going on.
    #[must_use]
    pub fn status(&self) -> Status {
        let sessions = self.metrics.iter().map(|m| m.read().counts.sessions_open).collect();
        Status { listen: self.listen.clone(), sessions, uptime: self.began.elapsed(), driver: self.driver.word() }
    }
}

/// One core, from its first record to its last.
async fn run(seed: Seed) -> Result<(), String> {
    let Seed { index, settings, shared, rules, metrics, listeners, bell, start, ready } = seed;
    let fails = |error: String| {
        // The other end has given up waiting at worst.
        let _ = ready.send((index, Err(error.clone())));
        Err(error)
    };
    let failure = Failure::watch(Arc::clone(&metrics));
    let durable_blocks = shared.durable_blocks.get(index).map(Arc::clone).unwrap_or_default();
    let options = WriterOptions {
        segment_bytes: settings.segment_bytes,
        slot_bytes: sealing::slots::slot_bytes(settings.recipients.len()),
        heartbeat: settings.heartbeat,
        durable_blocks,
        ..WriterOptions::default()
    };
    let audit = match CoreAudit::new(Files::default(), start, &settings.build, options) {
        Ok(audit) => audit,
        Err(error) => return fails(format!("audit log: {error}")),
    };
    driver::spawn(Rc::clone(&audit).run());
    let started = async { audit.started().await.map_err(|error| format!("audit log: {error}")) };
    let panicked = async {
        failure.happened().await;
        Err(PANICKED.to_owned())
    };
    if let Err(error) = started.or(panicked).await {
        return fails(error);
    }
    let core = Rc::new(Core::new(index, settings, shared, Arc::clone(&rules), audit, metrics));
    core.reload(rules);
    let mut stops = Vec::new();
    for listener in listeners {
        let (stop, listener) = match (listener.try_clone(), Listener::new(listener)) {
            (Ok(stop), Ok(listener)) => (stop, listener),
            (Err(error), _) | (_, Err(error)) => return fails(error.to_string()),
        };
        stops.push(stop);
        driver::spawn(accept(Rc::clone(&core), listener));
    }
    let over = Rc::new(Cell::new(false));
    driver::spawn(tick(Rc::clone(&core), Rc::clone(&over)));
    let _ = ready.send((index, Ok(())));
    drop(ready);

    let served = AssertUnwindSafe(serve(&core, Doorbell::new(bell), &stops, over)).catch_unwind();
    let served = async {
        let panicked = served.await.is_err();
        add(&core.metrics.counters.panics, u64::from(panicked));
        panicked
    };
    let panicked = async {
        failure.happened().await;
        true
    };
    let mut failed = served.or(panicked).await;
    if failed {
        stop_listening(&stops);
        failing::end_sessions(&core).await;
    }
    core.append_posted();
    core.audit.close();
    let closed = async { core.audit.closed().await.map_err(|error| error.to_string()) };
    let late = async {
        // If its writer is what panicked it never answers.
        failure.happened().await;
        driver::sleep(LOG_LIMIT).await;
        Err(PANICKED.to_owned())
    };
    if let Err(error) = closed.or(late).await {
        failed |= error == PANICKED;
        tracing::error!(core = index, error, "the audit log did not end in good order");
    }
    if failed { Err(PANICKED.to_owned()) } else { Ok(()) }
}

/// Wakes the accepting tasks, which end; an error means that they have ended already.
fn stop_listening(stops: &[TcpListener]) {
    for stop in stops {
        let _ = socket2::SockRef::from(stop).shutdown(std::net::Shutdown::Both);
    }
}

/// Does what the mail says until the core is over.
async fn serve(core: &Rc<Core>, mut bell: Doorbell, stops: &[TcpListener], over: Rc<Cell<bool>>) {
    let mut drain_until = None;
    while !over.get() && bell.rung().await {
        let mailbox = &core.shared.mailboxes[core.index];
        mailbox.ringer.answered();
        while let Some(message) = mailbox.next() {
            match message {
                Message::Reload(rules) => core.reload(rules),
                Message::Append(body, durable) => core.append(*body, durable),
                Message::Cancel { slot, secret } => upstream::cancel_here(core, slot, &secret),
                Message::Answer(session, answer) => core.answer(session, *answer),
                Message::Passwords(passwords) => core.rotate(&passwords),
                Message::End(session, reason) => core.end(session, reason),
                Message::Drain(limit) => {
                    core.draining.set(true);
                    stop_listening(stops);
                    let first = drain_until.is_none();
                    let until =
                        Rc::clone(drain_until.get_or_insert_with(|| Rc::new(Cell::new(Instant::now() + limit))));
                    until.set(until.get().min(Instant::now() + limit));
                    if first {
                        driver::spawn(drain(Rc::clone(core), until, Rc::clone(&over)));
                    }
                }
                #[cfg(test)]
                Message::Run(errand) => (errand.0)(core),
            }
        }
    }
}

async fn accept(core: Rc<Core>, listener: Listener) {
    loop {
        match listener.accept().await {
            Ok((socket, peer)) => {
                add(&core.metrics.counters.connections, 1);
                driver::spawn(conversation::run(Rc::clone(&core), socket, peer));
            }
            // The listening socket was shut down (EINVAL).
            Err(_) if core.draining.get() => return,
            Err(error) => {
                // Out of descriptors or memory: those that wait are served when something is freed.
                tracing::error!(%error, "cannot accept");
                driver::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn tick(core: Rc<Core>, over: Rc<Cell<bool>>) {
    let mut wait = TICK;
    while !over.get() {
        driver::sleep(wait).await;
        let next = core.tick();
        // The end of an access is met more exactly than limits are.
        let left = Duration::from_nanos(next.saturating_sub(core.now_ns()));
        wait = TICK.min(left + Duration::from_millis(1));
    }
}

/// Ends sessions as they become idle, all of them at the deadline, then the core.
async fn drain(core: Rc<Core>, until: Rc<Cell<Instant>>, over: Rc<Cell<bool>>) {
    core.draining.set(true);
    core.spares.close_all(None, core.now_ns());
    let mut last_words = None;
    while core.count() > 0 {
        let late = Instant::now() >= until.get();
        for handle in core.handles() {
            if late && last_words.is_none() {
                handle.signal.set(Some(Signal::Kill("drain_timeout")));
            } else if handle.signal.get().is_none() {
                handle.signal.set(Some(Signal::Drain));
            }
            handle.wake();
        }
        if late {
            let began: &mut Instant = last_words.get_or_insert_with(Instant::now);
            if began.elapsed() > Duration::from_secs(6) {
                break;
            }
        }
        driver::sleep(Duration::from_millis(20)).await;
    }
    over.set(true);
    core.shared.mailboxes[core.index].ringer.ring();
}
