//! One core: everything its sessions share, and its mail.
//!
//! Invariants: nothing here is seen by another core but the metrics and the mailbox; a session is found by its slot only.

use crate::access::{Answer, Ask, Question};
use crate::driver::{self, Knife, Ringer};
use crate::metrics::{CoreMetrics, add};
use crate::recorder::{Recorder, Studio};
use crate::ring_writer::CoreAudit;
use crate::settings::{DownstreamTls, Rules, Secret, Settings, Users};
use crate::spares::Spares;
use crate::{Event, Shared};
use audit::record::{Record, Recorded, SessionId};
use bytes::Bytes;
use contract::Buffers;
use crossbeam_queue::ArrayQueue;
use futures_lite::future::poll_fn;
use lineage::{Facts, FactsCache, NotUnderstood};
use policy::Epoch;
use postgres::scram::{ClientKeys, Verifier};
use sealing::SessionKey;
use sealing::slots::{self, Slot};
use session::{Durability, Host, Shelf, Shelves, Stage, Unrecorded};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::task::Waker;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Messages a core may have waiting.
const MAIL_MAX: usize = 4096;
/// Texts whose facts a core keeps, and their bytes.
const FACTS_MAX: usize = 8192;
const FACTS_BYTES_MAX: usize = 32 << 20;
/// Why a session ends whose credential or grant has ended.
pub(crate) const EXPIRED: &str = "expired";
/// Slots of a core: the cancel key has 24 bits for them.
const SLOTS_MAX: usize = 1 << 24;

/// What one core tells another, or the control side tells a core.
#[derive(Debug)]
pub(crate) enum Message {
    /// New rules.
    Reload(Arc<Rules>),
    /// Stop listening; sessions end when idle, or after this long.
    Drain(Duration),
    /// A record of the control side's.
    Append(Box<audit::Body>, Option<SyncSender<()>>),
    /// A cancel request for one of this core's sessions.
    Cancel { slot: u32, secret: Vec<u8> },
    /// An answer to a question of a session's.
    Answer(SessionId, Box<Answer>),
    /// New passwords of the targets.
    Passwords(Arc<Vec<Option<Secret>>>),
    /// This session ends now, for this reason.
    End(SessionId, &'static str),
    /// Anything, for tests.
    #[cfg(test)]
    Run(Errand),
}

#[cfg(test)]
type Deed = Box<dyn FnOnce(&Rc<Core>) + Send>;

/// Something that a test does on a core.
#[cfg(test)]
pub(crate) struct Errand(pub(crate) Deed);

#[cfg(test)]
impl std::fmt::Debug for Errand {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Errand")
    }
}

/// A core's mailbox.
#[derive(Debug)]
pub(crate) struct Mailbox {
    queue: ArrayQueue<Message>,
    closed: AtomicBool,
    pub(crate) ringer: Ringer,
}

impl Mailbox {
    pub(crate) fn new(ringer: Ringer) -> Self {
        Self { queue: ArrayQueue::new(MAIL_MAX), closed: AtomicBool::new(false), ringer }
    }

    /// Nobody will look at what is left from now on.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Leaves a message; false when the box is full or closed.
    pub(crate) fn post(&self, message: Message) -> bool {
        let posted = !self.closed.load(Ordering::SeqCst) && self.queue.push(message).is_ok();
        self.ringer.ring();
        // Closed meanwhile, it may have been looked at for the last time before.
        posted && !self.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn next(&self) -> Option<Message> {
        self.queue.pop()
    }
}

/// What happens to a session from outside of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// End now, for this reason.
    Kill(&'static str),
    /// End when idle.
    Drain,
}

/// A session as its core sees it.
pub(crate) struct Handle {
    pub(crate) id: SessionId,
    pub(crate) slot: Cell<u32>,
    pub(crate) secret: [u8; 32],
    /// Cuts its connection to the database off.
    pub(crate) knife: Cell<Option<Knife>>,
    /// Sent to the database to cancel what runs.
    pub(crate) cancel: RefCell<Option<(usize, Bytes)>>,
    pub(crate) signal: Cell<Option<Signal>>,
    /// Rules changed since this session looked.
    pub(crate) renew: Cell<bool>,
    /// The cancellation that the session asked for is delivered, or cannot be.
    pub(crate) cancelled: Cell<bool>,
    /// Killed when this passes (core nanoseconds); zero is none.
    pub(crate) deadline_ns: Cell<u64>,
    /// Why, if the deadline passes.
    pub(crate) deadline_reason: Cell<&'static str>,
    /// Since when output waits for its record, and for the client (core nanoseconds); zero is not.
    pub(crate) held_ns: Cell<u64>,
    pub(crate) blocked_ns: Cell<u64>,
    /// Woken when this passes (core nanoseconds); zero is none.
    pub(crate) wake_ns: Cell<u64>,
    pub(crate) waker: RefCell<Option<Waker>>,
    /// Its recording, once it is open.
    pub(crate) recorder: RefCell<Option<Rc<Recorder>>>,
    /// When it came (core nanoseconds).
    pub(crate) began_ns: u64,
    /// When what it was admitted with ends (core nanoseconds); zero is never.
    pub(crate) expires_ns: Cell<u64>,
    /// When that was, once it has passed.
    pub(crate) expired_ns: Cell<u64>,
    /// When its client is told so the next time (core nanoseconds); zero is never.
    pub(crate) warn_ns: Cell<u64>,
    /// Its client is to be told.
    pub(crate) warned: Cell<bool>,
    /// Its client is to be told that it has this access because of an emergency.
    pub(crate) banner: Cell<bool>,
    /// It asked the control side something, which is to be told when it is over.
    pub(crate) asked: Cell<bool>,
    /// A statement of it waits for approval: a cancellation is for that.
    pub(crate) parked: Cell<bool>,
    /// A cancel request of it went upstream: it may arrive late, so its connection is nobody else's.
    pub(crate) struck: Cell<bool>,
    /// The client cancelled that.
    pub(crate) given_back: Cell<bool>,
    /// Answers that it has not looked at.
    pub(crate) answers: RefCell<VecDeque<Answer>>,
}

impl Handle {
    pub(crate) fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }

    /// Its access has ended: it is to end, and from now on nothing of it goes to the database, whatever it has queued.
    pub(crate) fn cut(&self, reason: &'static str) {
        if let Some(knife) = self.knife.take() {
            knife.cut();
        }
        self.signal.set(Some(Signal::Kill(reason)));
        self.wake();
    }

    pub(crate) fn limit(&self, deadline_ns: u64, reason: &'static str) {
        self.deadline_ns.set(deadline_ns);
        self.deadline_reason.set(reason);
    }

    /// Something is to be done about this session as soon as it has come to rest.
    pub(crate) fn is_called(&self) -> bool {
        self.signal.get().is_some() || self.warned.get() || self.banner.get()
    }

    /// Keeps the waker of the task that runs this session.
    pub(crate) fn listen(&self, waker: &Waker) {
        let mut mine = self.waker.borrow_mut();
        match mine.as_mut() {
            Some(old) => old.clone_from(waker),
            None => *mine = Some(waker.clone()),
        }
    }
}

/// Everything the sessions of a core share.
pub(crate) struct Core {
    pub(crate) index: usize,
    pub(crate) settings: Arc<Settings>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) audit: Rc<CoreAudit>,
    pub(crate) metrics: Arc<CoreMetrics>,
    pub(crate) buffers: RefCell<Buffers>,
    keys: RefCell<Vec<Option<Rc<RefCell<ClientKeys>>>>>,
    pub(crate) draining: Cell<bool>,
    /// Where clients that show tokens get them.
    pub(crate) oauth: Option<Rc<contract::Discovery>>,
    pub(crate) studio: Rc<Studio>,
    /// Connections to targets that no session has now.
    pub(crate) spares: Spares,
    /// Records of the control side's that the log did not take yet.
    posted: RefCell<VecDeque<(audit::Body, Option<SyncSender<()>>)>>,
    rules: RefCell<Arc<Rules>>,
    /// Per target, the mode that the log knows of.
    modes: RefCell<Vec<Option<Durability>>>,
    tls: RefCell<Option<DownstreamTls>>,
    facts: RefCell<FactsCache>,
    shelves: Shelves,
    sessions: RefCell<Vec<Option<Rc<Handle>>>>,
    free: RefCell<Vec<u32>>,
    began: Instant,
}

impl Core {
    pub(crate) fn new(
        index: usize,
        settings: Arc<Settings>,
        shared: Arc<Shared>,
        rules: Arc<Rules>,
        audit: Rc<CoreAudit>,
        metrics: Arc<CoreMetrics>,
    ) -> Self {
        let keys = RefCell::new(settings.targets.iter().map(|t| keys_of(t.password.as_ref())).collect());
        let tls = settings.tls.clone();
        let oauth = settings.tokens.oauth.clone().map(Rc::new);
        let began = shared.began;
        let studio = Studio::new(settings.audit_directory.clone(), Rc::clone(&audit), began);
        Self {
            index,
            settings,
            shared,
            audit,
            metrics,
            buffers: RefCell::default(),
            keys,
            draining: Cell::new(false),
            oauth,
            studio,
            spares: Spares::default(),
            posted: RefCell::default(),
            rules: RefCell::new(rules),
            modes: RefCell::default(),
            tls: RefCell::new(tls),
            facts: RefCell::new(FactsCache::new(FACTS_MAX, FACTS_BYTES_MAX)),
            shelves: Shelves::default(),
            sessions: RefCell::default(),
            free: RefCell::default(),
            began,
        }
    }

    pub(crate) fn users(&self) -> Arc<Users> {
        Arc::clone(&self.rules.borrow().users)
    }

    /// A user of the rules, or of the directory; for an unknown one a verifier that always fails.
    pub(crate) fn find_user(&self, name: &str) -> session::User<Verifier> {
        let users = self.users();
        let of_rules = users.has(name);
        match self.settings.directory.find(name).filter(|_| !of_rules) {
            Some((verifier, proven)) => session::User { verifier, proven },
            None => users.find(name),
        }
    }

    pub(crate) fn tls(&self) -> Option<DownstreamTls> {
        self.tls.borrow().clone()
    }

    /// The target a client means by its database name: a target's name, or the database of exactly one target.
    pub(crate) fn target(&self, database: &str) -> Option<usize> {
        let targets = &self.settings.targets;
        targets.iter().position(|t| t.name == database).or_else(|| {
            let mut hits = targets.iter().enumerate().filter(|(_, t)| t.database == database);
            match (hits.next(), hits.next()) {
                (Some((i, _)), None) => Some(i),
                _ => None,
            }
        })
    }

    /// Takes a new session in; `None` when there is no slot left.
    pub(crate) fn enter(&self) -> Option<Rc<Handle>> {
        let mut id = [0; 16];
        let mut secret = [0; 32];
        getrandom::fill(&mut id).ok()?;
        getrandom::fill(&mut secret).ok()?;
        let mut sessions = self.sessions.borrow_mut();
        let slot = match self.free.borrow_mut().pop() {
            Some(slot) => slot,
            None if sessions.len() < SLOTS_MAX => {
                sessions.push(None);
                u32::try_from(sessions.len() - 1).ok()?
            }
            None => return None,
        };
        let handle = Rc::new(Handle {
            id: SessionId(id),
            slot: Cell::new(slot),
            secret,
            knife: Cell::default(),
            cancel: RefCell::default(),
            signal: Cell::new(self.draining.get().then_some(Signal::Drain)),
            renew: Cell::new(false),
            cancelled: Cell::new(false),
            deadline_ns: Cell::new(0),
            held_ns: Cell::new(0),
            blocked_ns: Cell::new(0),
            wake_ns: Cell::new(0),
            deadline_reason: Cell::new("deadline"),
            waker: RefCell::default(),
            recorder: RefCell::default(),
            began_ns: self.now_ns(),
            expires_ns: Cell::new(0),
            expired_ns: Cell::new(0),
            warn_ns: Cell::new(0),
            warned: Cell::new(false),
            banner: Cell::new(false),
            asked: Cell::new(false),
            parked: Cell::new(false),
            struck: Cell::new(false),
            given_back: Cell::new(false),
            answers: RefCell::default(),
        });
        sessions[slot as usize] = Some(Rc::clone(&handle));
        Some(handle)
    }

    /// What new sessions log in to a target with.
    pub(crate) fn keys(&self, target: usize) -> Option<Rc<RefCell<ClientKeys>>> {
        self.keys.borrow().get(target).cloned().flatten()
    }

    /// New passwords of the targets, in their order; what did not change keeps what was derived from it.
    pub(crate) fn rotate(&self, passwords: &[Option<Secret>]) {
        for (target, (keys, password)) in self.keys.borrow_mut().iter_mut().zip(passwords).enumerate() {
            let same = match (&*keys, password) {
                (Some(keys), Some(password)) => keys.borrow().password() == password.0.as_slice(),
                (None, None) => true,
                _ => false,
            };
            if !same {
                *keys = keys_of(password.as_ref());
                // Whoever may not log in any more has no connection from before either.
                self.spares.close_all(Some(target), self.now_ns());
            }
        }
    }

    /// A session is over.
    pub(crate) fn leave(&self, handle: &Handle) {
        let slot = handle.slot.get();
        self.sessions.borrow_mut()[slot as usize] = None;
        self.free.borrow_mut().push(slot);
    }

    /// Sessions on this core.
    pub(crate) fn count(&self) -> usize {
        self.sessions.borrow().len() - self.free.borrow().len()
    }

    /// The process number a client is given: core and slot, never zero.
    pub(crate) fn process(&self, handle: &Handle) -> u32 {
        (u32::try_from(self.index).unwrap_or(0) << 24) + handle.slot.get() + 1
    }

    /// Core and slot of a process number.
    pub(crate) fn locate(process: u32) -> Option<(usize, u32)> {
        let number = process.checked_sub(1)?;
        Some(((number >> 24) as usize, number & 0x00ff_ffff))
    }

    /// The session a cancel request means, if its secret is right: where to send what. `None` too where the session itself
    /// takes back what it holds.
    pub(crate) fn cancelled(&self, slot: u32, secret: &[u8]) -> Option<(usize, Bytes)> {
        let sessions = self.sessions.borrow();
        let handle = sessions.get(slot as usize)?.as_ref()?;
        let expected = handle.secret.get(..secret.len())?;
        let same = (secret.len() == 4 || secret.len() == 32) && equal(expected, secret);
        if same && handle.parked.get() {
            // Nothing of it is upstream.
            handle.given_back.set(true);
            handle.wake();
            return None;
        }
        handle.struck.set(handle.struck.get() || same);
        let cancel = handle.cancel.borrow();
        if same { cancel.clone() } else { None }
    }

    /// Every session's handle.
    pub(crate) fn handles(&self) -> Vec<Rc<Handle>> {
        self.sessions.borrow().iter().flatten().cloned().collect()
    }

    /// New rules: every session looks again before its next statement.
    pub(crate) fn reload(&self, rules: Arc<Rules>) {
        if let Some(tls) = &rules.tls {
            *self.tls.borrow_mut() = Some(tls.clone());
        }
        for (target, epoch) in self.settings.targets.iter().zip(&rules.epochs) {
            let record = Record::PolicyLoad {
                bundle: *epoch.bundle().digest(),
                catalog_epoch: epoch.number(),
                target: &target.name,
            };
            drop(self.record(&record));
        }
        *self.rules.borrow_mut() = rules;
        self.log_modes();
        for handle in self.handles() {
            handle.renew.set(true);
            handle.wake();
        }
    }

    /// Records the mode of every target whose mode is another than it was.
    fn log_modes(&self) {
        let mut modes = self.modes.borrow_mut();
        let first = modes.is_empty();
        modes.resize(self.settings.targets.len(), None);
        for (target, known) in modes.iter_mut().enumerate() {
            let mode = self.mode(target);
            if *known == Some(mode) {
                continue;
            }
            let record = Record::LogMode {
                target: &self.settings.targets[target].name,
                mode: mode.word(),
                reason: if first { "start" } else { "reload" },
            };
            if self.record(&record).is_ok() {
                *known = Some(mode);
            }
        }
    }

    /// Takes a record of the control side's: into the log now, or as soon as it has room.
    pub(crate) fn append(&self, body: audit::Body, durable: Option<SyncSender<()>>) {
        let mut posted = self.posted.borrow_mut();
        if posted.len() >= MAIL_MAX {
            add(&self.metrics.counters.unrecorded, 1);
            tracing::error!(record = body.name(), "the audit log takes no records, and too many wait");
            return;
        }
        posted.push_back((body, durable));
        drop(posted);
        self.append_posted();
    }

    /// Appends what was posted, as far as the log takes it.
    pub(crate) fn append_posted(&self) {
        let mut posted = self.posted.borrow_mut();
        while let Some((body, _)) = posted.front() {
            let sequence = match body.lend().map(|record| self.audit.append(&record)) {
                Some(Err(_)) => return,
                Some(Ok(recorded)) => recorded.sequence(),
                None => 0,
            };
            let Some((_, Some(tell))) = posted.pop_front() else { continue };
            let audit = Rc::clone(&self.audit);
            driver::spawn(async move {
                let durable = poll_fn(|cx| audit.poll_durable(cx, sequence)).await.is_ok();
                if durable && sequence > 0 {
                    // Whoever waited may have given up.
                    let _gone = tell.send(());
                }
            });
        }
    }

    /// Ends what has passed its deadline. Says when (core nanoseconds) the next access ends, if one does.
    pub(crate) fn tick(&self) -> u64 {
        let mut next = u64::MAX;
        self.append_posted();
        self.audit.tick();
        self.show_audit();
        let now = self.now_ns();
        self.spares.expire(now);
        for handle in self.sessions.borrow().iter().flatten() {
            let deadline = handle.deadline_ns.get();
            if deadline != 0 && deadline <= now {
                handle.deadline_ns.set(0);
                handle.signal.set(Some(Signal::Kill(handle.deadline_reason.get())));
                handle.wake();
            }
            if self.look_at_end(handle, now) {
                handle.expired_ns.set(handle.expires_ns.replace(0));
                handle.cut(EXPIRED);
            }
            next = next.min(handle.expires_ns.get().wrapping_sub(1));
            let wake = handle.wake_ns.get();
            if wake != 0 && wake <= now {
                handle.wake_ns.set(0);
                handle.wake();
            }
            if let Some(recorder) = handle.recorder.borrow().as_ref() {
                recorder.tick();
            }
        }
        next
    }

    /// Posts a question of a session's to the control side.
    pub(crate) fn ask(&self, handle: &Handle, question: Question) {
        handle.asked.set(true);
        (self.shared.events)(Event::Ask(Box::new(Ask { core: self.index, session: handle.id, question })));
    }

    fn by_id(&self, session: SessionId) -> Option<Rc<Handle>> {
        self.sessions.borrow().iter().flatten().find(|handle| handle.id == session).cloned()
    }

    /// Hands an answer to its session; without one it is dropped.
    pub(crate) fn answer(&self, session: SessionId, answer: Answer) {
        if let Some(handle) = self.by_id(session) {
            handle.answers.borrow_mut().push_back(answer);
            handle.wake();
        }
    }

    /// Ends a session whose access was taken.
    pub(crate) fn end(&self, session: SessionId, reason: &'static str) {
        if let Some(handle) = self.by_id(session) {
            handle.cut(reason);
        }
    }

    /// Core nanoseconds of a moment that is given in Unix nanoseconds; zero stays zero.
    pub(crate) fn moment(&self, unix_ns: u64) -> u64 {
        match unix_ns {
            0 => 0,
            end => self.now_ns() + end.saturating_sub(self.unix_ns()),
        }
    }

    /// Puts the log's state where metrics are read.
    fn show_audit(&self) {
        let status = self.audit.status();
        let counters = &self.metrics.counters;
        let set = |counter: &AtomicU64, value: u64| counter.store(value, Ordering::Relaxed);
        set(&counters.audit_blocks, status.blocks);
        set(&counters.audit_bytes, status.bytes);
        set(&counters.audit_commit_us, status.commits_us);
        set(&counters.audit_disk_errors, status.errors);
        set(&counters.audit_ring_used_bytes, status.ring_used as u64);
        set(&counters.audit_pressure, status.pressure as u64);
        set(&counters.audit_on_spare, u64::from(status.spare));
    }

    /// What new sessions of a target wait for.
    pub(crate) fn mode(&self, target: usize) -> Durability {
        let told = self.settings.targets.get(target).and_then(|t| t.durability);
        told.unwrap_or_else(|| {
            let rules = self.rules.borrow();
            let written = rules.epochs.get(target).and_then(|epoch| {
                let targets = &epoch.bundle().model().targets;
                targets.get(epoch.target()).map(|t| Durability::from(t.audit))
            });
            written.unwrap_or_default()
        })
    }

    /// Limits a handle to a duration from now.
    pub(crate) fn limit(&self, handle: &Handle, duration: Duration, reason: &'static str) {
        let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX / 2);
        handle.limit(if ns == 0 { 0 } else { self.now_ns() + ns }, reason);
    }

    /// A key for a session's sealed fields, if anybody may open them. It is wrapped, and durable before the session's
    /// first record is, if that follows.
    ///
    /// # Errors
    /// No randomness, or a recipient's key that cannot be used.
    pub(crate) fn session_key(&self, session: SessionId) -> Result<Option<Rc<SessionKey>>, SealError> {
        let recipients = &self.settings.recipients;
        if recipients.is_empty() {
            return Ok(None);
        }
        let mut dek = Zeroizing::new([0; sealing::DEK_BYTES]);
        getrandom::fill(&mut *dek).map_err(|_| SealError)?;
        let key = SessionKey::new(session.0, dek);
        let mut wraps = Vec::with_capacity(recipients.len());
        for recipient in recipients {
            let mut seed = Zeroizing::new([0; 32]);
            getrandom::fill(&mut *seed).map_err(|_| SealError)?;
            wraps.push(sealing::wrap(&key, recipient, seed).map_err(|_| SealError)?);
        }
        let slot = Slot { session: session.0, commitment: key.commitment(), wraps };
        let slot = slot.encode(slots::slot_bytes(recipients.len())).ok_or(SealError)?;
        self.audit.append_keys(&slot);
        Ok(Some(Rc::new(key)))
    }

    /// Address of a target.
    pub(crate) fn addresses(&self, target: usize) -> &[SocketAddr] {
        &self.settings.targets[target].addresses
    }
}

fn keys_of(password: Option<&Secret>) -> Option<Rc<RefCell<ClientKeys>>> {
    password.map(|password| Rc::new(RefCell::new(ClientKeys::new(password.0.clone()))))
}

/// A session has no key although it needs one.
#[derive(Debug)]
pub(crate) struct SealError;

/// Equality whose time does not depend on where the difference is.
fn equal(a: &[u8], b: &[u8]) -> bool {
    a.len() == b.len() && a.iter().zip(b).fold(0, |all, (x, y)| all | (x ^ y)) == 0
}

impl Core {
    /// Counts what a record is about.
    fn tally(&self, record: &Record<'_>) {
        let counters = &self.metrics.counters;
        match record {
            Record::Intent { .. } => add(&counters.statements, 1),
            Record::Block { .. } => add(&counters.refusals, 1),
            Record::AuthFail { .. } => add(&counters.logins_failed, 1),
            Record::Result { rows, masked, .. } => {
                add(&counters.rows, *rows);
                add(&counters.masked_results, u64::from(!masked.is_empty()));
            }
            _ => {}
        }
    }
}

impl Host for Core {
    fn now_ns(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(u64::MAX) + 1
    }

    fn unix_ns(&self) -> u64 {
        self.shared.began_unix_ns + u64::try_from(self.began.elapsed().as_nanos()).unwrap_or(0)
    }

    fn random(&self) -> Option<[u8; 5]> {
        let mut random = [0; 5];
        getrandom::fill(&mut random).ok().map(|()| random)
    }

    fn record(&self, record: &Record<'_>) -> Result<Recorded, Unrecorded> {
        self.tally(record);
        self.audit.append(record).map_err(|_| {
            add(&self.metrics.counters.unrecorded, 1);
            Unrecorded
        })
    }

    fn leave_out(&self, record: &Record<'_>) -> Result<Recorded, Unrecorded> {
        self.tally(record);
        self.audit.leave_out().map_err(|_| Unrecorded)
    }

    fn given_up(&self) {
        add(&self.metrics.counters.audit_given_up, 1);
        self.audit.refused_statement();
    }

    fn is_durable(&self, sequence: u64) -> bool {
        self.audit.is_durable(sequence)
    }

    fn facts(&self, text: &str) -> Result<Arc<Facts>, NotUnderstood> {
        self.facts.borrow_mut().get_or_analyse(text)
    }

    fn shelf(&self, grant: &policy::Grant) -> Rc<Shelf> {
        self.shelves.of(grant)
    }

    fn epoch(&self, target: usize) -> Arc<Epoch> {
        Arc::clone(&self.rules.borrow().epochs[target])
    }

    fn catalog_changed(&self, target: usize) {
        (self.shared.events)(Event::CatalogChanged { target });
    }

    fn ledger(&self) -> &Arc<policy::ledger::Ledger> {
        &self.shared.ledger
    }

    fn measure(&self, stage: Stage, ns: u64) {
        self.metrics.measure(stage, ns);
    }
}
