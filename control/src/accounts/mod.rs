//! Accounts upstream that exist only while their session does.
//!
//! ```text
//!   issue ─▶ queue ─▶ worker (one admin connection) ─▶ CREATE ROLE ─▶ answer
//!   ended ─▶ queue ─▶ worker ─▶ terminate ─▶ REASSIGN OWNED, DROP OWNED, DROP ROLE
//!   start, every minute ─▶ sweep: accounts whose gateway does not live any more
//! ```
//!
//! One thread with a runtime of its own, a few connections per target. Invariants: what is written into SQL is quoted here
//! and nowhere else; a password is never here, only its verifier; an account is answered for only when its record is in the
//! log, and one that nobody waits for any more is dropped at once; every account says in its comment which gateway made it,
//! and that gateway holds an advisory lock while it lives, so that any other can tell whether it is dead.
//! Deliberately absent: who may have an account and which rights it gets (policy and configuration), sessions.

mod queue;
mod quote;
mod worker;

use crate::catalog::Access;
use audit::record::SessionId;
use audit::{Body, OwnedCredential};
use queue::{Job, Queue};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::Notify;

/// An order is refused when it has waited this long; the session's own limit is longer.
const ISSUE_LIMIT: Duration = Duration::from_secs(8);

/// How accounts are made on one target.
#[derive(Clone, Debug)]
pub struct Maker {
    /// Connection of the account that makes accounts.
    pub admin: Access,
    /// Connections to hold.
    pub connections: usize,
    /// Connections that one account may have.
    pub connection_limit: u16,
}

/// An account that is wanted.
#[derive(Clone, Debug)]
pub struct Order {
    /// Session it is for.
    pub session: SessionId,
    /// Index of the target.
    pub target: usize,
    /// Its name.
    pub name: String,
    /// SCRAM-SHA-256 verifier of its password.
    pub verifier: String,
    /// Role upstream whose rights it has.
    pub group: String,
    /// Until when its session may last, Unix nanoseconds; 0 for no end.
    pub until_ns: u64,
}

/// Tells who ordered. Called on the accounts' thread; returns at once.
pub type Answer = Box<dyn FnOnce(Result<(), String>) + Send>;
/// Takes a record; false if the log does not.
pub type Journal = Arc<dyn Fn(Body) -> bool + Send + Sync>;

/// The running thread.
#[derive(Debug)]
pub struct Accounts {
    queues: Vec<Option<Arc<Queue>>>,
    stop: Arc<AtomicBool>,
    begin: Arc<Notify>,
    thread: Mutex<Option<(JoinHandle<()>, Receiver<()>)>>,
}

impl Accounts {
    /// Starts; orders are taken, and worked on from [`Accounts::begin`] on. `makers` are by index of the target, `None` for targets whose account is shared; `node` is this gateway's
    /// name, for people who look at the accounts' comments.
    ///
    /// # Errors
    /// The system gives no thread, no runtime or no randomness.
    pub fn start(makers: Vec<Option<Maker>>, node: &str, journal: Journal) -> io::Result<Self> {
        let mut random = [0; 4];
        getrandom::fill(&mut random).map_err(|error| io::Error::other(error.to_string()))?;
        let life = u32::from_be_bytes(random);
        let stop = Arc::new(AtomicBool::new(false));
        let mut queues = Vec::with_capacity(makers.len());
        let mut work = Vec::new();
        for maker in makers {
            let queue = maker.map(|maker| {
                let queue = Arc::new(Queue::default());
                work.push((maker, Arc::clone(&queue)));
                queue
            });
            queues.push(queue);
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (done, ended) = sync_channel(1);
        let (node, stopping) = (node.to_owned(), Arc::clone(&stop));
        let begin = Arc::new(Notify::new());
        let begun = Arc::clone(&begin);
        let thread = std::thread::Builder::new().name("accounts".to_owned()).spawn(move || {
            runtime.block_on(async move {
                begun.notified().await;
                let mut tasks = tokio::task::JoinSet::new();
                for (maker, queue) in work {
                    let shared = Arc::new(worker::Shared {
                        maker,
                        queue,
                        node: node.clone(),
                        life,
                        journal: Arc::clone(&journal),
                    });
                    for number in 0..shared.maker.connections.max(1) {
                        tasks.spawn(worker::work(Arc::clone(&shared), number == 0, Arc::clone(&stopping)));
                    }
                }
                while tasks.join_next().await.is_some() {}
            });
            // Whoever waits for the end may be gone.
            let _gone = done.send(());
        })?;
        Ok(Self { queues, stop, begin, thread: Mutex::new(Some((thread, ended))) })
    }

    /// The log takes records: sweeps, and works on orders.
    pub fn begin(&self) {
        self.begin.notify_one();
    }

    /// Orders an account. Returns at once.
    pub fn issue(&self, order: Order, answer: Answer) {
        match self.queues.get(order.target) {
            Some(Some(queue)) => queue.order(Job { order, answer, since: Instant::now() }),
            _ => answer(Err("no accounts are made on this target".to_owned())),
        }
    }

    /// A session is over: its account, if there is one, goes. Returns at once.
    pub fn ended(&self, session: SessionId) {
        self.queues.iter().flatten().for_each(|queue| queue.ended(session));
    }

    /// Accounts that exist or are being made.
    #[must_use]
    pub fn count(&self) -> usize {
        self.queues.iter().flatten().map(|queue| queue.count()).sum()
    }

    /// Drops what is to be dropped and ends, within this time. What is left is swept by the next start.
    pub fn stop(&self, limit: Duration) {
        self.stop.store(true, Ordering::Relaxed);
        self.begin.notify_one();
        self.queues.iter().flatten().for_each(|queue| queue.wake());
        let Some((thread, ended)) = self.thread.lock().ok().and_then(|mut thread| thread.take()) else { return };
        match ended.recv_timeout(limit) {
            Ok(()) => drop(thread.join()),
            Err(_) => tracing::warn!("accounts upstream are left to the next start, which sweeps them"),
        }
    }
}

/// A record about an account.
fn record(kind: &str, order: &Order, target: &str, reason: &str, took: Duration) -> Body {
    Body::Credential(OwnedCredential {
        kind: kind.to_owned(),
        session: order.session,
        target: target.to_owned(),
        account: order.name.clone(),
        reason: reason.to_owned(),
        until_ns: order.until_ns,
        duration_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
    })
}
