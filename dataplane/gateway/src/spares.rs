//! Connections to targets that outlive their sessions: used again by a session of the same account that asks for the same
//! startup parameters, so that a client that comes, asks once and goes costs the server no process.
//!
//! Invariants: a connection is kept only if its session left it idle, outside of a transaction, and never had anything
//! cancelled; everything a session can leave is discarded before another gets it; a connection that says anything while
//! nobody has it is closed. Deliberately absent: accounts made for one session, sharing between sessions that run.

use crate::core::{Core, Handle};
use crate::driver;
use crate::exchange::exchange;
use crate::metrics::add;
use crate::settings::Reuse;
use crate::tls::Stream;
use bytes::Bytes;
use contract::{Buffers, Fault, Lane};
use futures_lite::FutureExt as _;
use futures_lite::future::poll_fn;
use postgres::Cleaning;
use session::Host as _;
use std::cell::{Cell, RefCell};
use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::Duration;

/// A connection that does not answer in this time is closed.
const CLEAN_LIMIT: Duration = Duration::from_secs(10);
/// One that does not answer its next session in this time is not given (and a tick of the core).
const PROBE_LIMIT: Duration = Duration::from_secs(1);
const BROKEN: Fault = Fault::upstream("a kept connection to the database is broken");

/// Startup parameters, as they were sent.
type Parameters = Vec<(String, String)>;

/// What makes two connections the same to a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ticket {
    pub(crate) target: usize,
    pub(crate) parameters: Parameters,
    /// The search path that the account was given at login, as the catalog had it then: names are judged by the catalog's
    /// of now.
    pub(crate) path: Vec<String>,
    pub(crate) reuse: Reuse,
    /// When it was begun (core nanoseconds).
    pub(crate) since_ns: u64,
}

/// A connection to a target that is logged in.
pub(crate) struct Upstream {
    pub(crate) stream: Stream,
    /// What has arrived.
    pub(crate) up: Lane,
    /// What the database reports.
    pub(crate) reported: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) cancel: Bytes,
    /// It may be used again.
    pub(crate) ticket: Option<Ticket>,
}

struct Spare {
    upstream: Upstream,
    ticket: Ticket,
    idle_ns: u64,
}

/// The connections of a core that nobody has.
#[derive(Default)]
pub(crate) struct Spares {
    kept: RefCell<Vec<Spare>>,
    /// What was begun before this (core nanoseconds) logged in with a password of before, and is kept no more.
    closed_ns: Cell<u64>,
    /// Connections that are being cleaned.
    under_way: Cell<usize>,
}

impl Spares {
    /// One that was left last and still stands, if there is any.
    pub(crate) async fn take(&self, target: usize, parameters: &Parameters, path: &[String]) -> Option<Upstream> {
        loop {
            let mut spare = {
                let mut kept = self.kept.borrow_mut();
                let same = |Spare { ticket, .. }: &Spare| {
                    ticket.target == target && ticket.parameters == *parameters && ticket.path == path
                };
                let at = kept.iter().rposition(same)?;
                kept.remove(at)
            };
            // Bytes, the end or an error: it is not what it was.
            let mut byte = [0; 1];
            let stream = &mut spare.upstream.stream;
            let silent = poll_fn(|cx| Poll::Ready(stream.poll_read(cx, &mut byte).is_pending())).await;
            if silent && !spare.upstream.stream.has_arrived() {
                return Some(Upstream { ticket: Some(spare.ticket), ..spare.upstream });
            }
        }
    }

    /// How many are kept, and how many are being cleaned.
    #[cfg(test)]
    pub(crate) fn count(&self) -> (usize, usize) {
        (self.kept.borrow().len(), self.under_way.get())
    }

    /// Closes what nobody took for long, or is old.
    pub(crate) fn expire(&self, now_ns: u64) {
        let over = |since: u64, limit: Duration| u128::from(now_ns.saturating_sub(since)) >= limit.as_nanos();
        self.close_if(|spare| {
            over(spare.idle_ns, spare.ticket.reuse.idle) || over(spare.ticket.since_ns, spare.ticket.reuse.age)
        });
    }

    /// Closes all, or those to one target. One that a session has now, or that is being made, is not kept afterwards.
    pub(crate) fn close_all(&self, target: Option<usize>, now_ns: u64) {
        self.closed_ns.set(now_ns);
        self.close_if(|spare| target.is_none_or(|target| spare.ticket.target == target));
    }

    /// Closes those to one target.
    pub(crate) fn close_target(&self, target: usize) {
        self.close_if(|spare| spare.ticket.target == target);
    }

    fn close_if(&self, closes: impl Fn(&Spare) -> bool) {
        let mut kept = self.kept.borrow_mut();
        let mut at = 0;
        while at < kept.len() {
            if closes(&kept[at]) {
                let spare = kept.remove(at);
                driver::spawn(say_goodbye(spare.upstream.stream));
            } else {
                at += 1;
            }
        }
    }

    fn give(&self, upstream: Upstream, ticket: Ticket, now_ns: u64) {
        if ticket.since_ns <= self.closed_ns.get() {
            return driver::spawn(say_goodbye(upstream.stream));
        }
        let mut kept = self.kept.borrow_mut();
        let of_target = |spare: &&Spare| spare.ticket.target == ticket.target;
        if kept.iter().filter(of_target).count() >= ticket.reuse.connections {
            // The one that waits longest makes room.
            if let Some(at) = kept.iter().position(|spare| spare.ticket.target == ticket.target) {
                let spare = kept.remove(at);
                driver::spawn(say_goodbye(spare.upstream.stream));
            }
        }
        kept.push(Spare { upstream, ticket, idle_ns: now_ns });
    }
}

/// Cleans a connection whose session has ended, and keeps it.
pub(crate) fn keep(core: &Rc<Core>, upstream: Upstream) {
    let Some(ticket) = upstream.ticket.clone() else { return };
    let under_way = core.spares.under_way.get();
    if under_way >= ticket.reuse.connections {
        return driver::spawn(say_goodbye(upstream.stream));
    }
    core.set_cleaning(under_way + 1);
    let core = Rc::clone(core);
    driver::spawn(async move {
        let _place = Place(&core);
        let Some(handle) = core.enter() else { return };
        core.limit(&handle, CLEAN_LIMIT, "clean_timeout");
        let mut upstream = upstream;
        // What a database answers is no reason to end a core.
        let cleaned = AssertUnwindSafe(clean(&core, &handle, &mut upstream, Cleaning::discard)).catch_unwind().await;
        let cleaned = cleaned.unwrap_or_else(|_| {
            add(&core.metrics.counters.panics, 1);
            Err(BROKEN)
        });
        core.leave(&handle);
        let target = &core.settings.targets[ticket.target].name;
        match cleaned {
            Ok(()) if core.draining.get() => say_goodbye(upstream.stream).await,
            Ok(()) => core.spares.give(upstream, ticket, core.now_ns()),
            Err(fault) => tracing::debug!(%target, %fault, "a connection is not used again"),
        }
    });
}

impl Core {
    fn set_cleaning(&self, count: usize) {
        self.spares.under_way.set(count);
        self.metrics.counters.connections_cleaning.store(count as u64, Ordering::Relaxed);
    }
}

/// A place among the connections that are being cleaned.
struct Place<'a>(&'a Core);

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set_cleaning(self.0.spares.under_way.get().saturating_sub(1));
    }
}

/// Does a kept connection answer? One whose packets go nowhere costs its next session little time.
pub(crate) async fn stands(core: &Core, upstream: &mut Upstream, ask: impl FnOnce(&mut Lane) -> Cleaning) -> bool {
    let Some(handle) = core.enter() else { return false };
    core.limit(&handle, PROBE_LIMIT, "probe_timeout");
    let answered = clean(core, &handle, upstream, ask).await.is_ok();
    core.leave(&handle);
    answered
}

/// Has one statement of ours run on a connection that no session has yet, or any more.
pub(crate) async fn clean(
    core: &Core,
    handle: &Handle,
    upstream: &mut Upstream,
    ask: impl FnOnce(&mut Lane) -> Cleaning,
) -> Result<(), Fault> {
    let bytes_max = core.settings.limits.conversation.buffer_bytes_max;
    let (mut down, mut up) = (Lane::new(bytes_max), Lane::new(bytes_max));
    let mut cleaning = ask(&mut down);
    while !cleaning.step(&mut up, &mut upstream.reported)? {
        exchange(core, handle, &mut up, &mut down, &mut upstream.stream).await.map_err(|_| BROKEN)?;
    }
    let mut buffers = core.buffers.borrow_mut();
    up.rest(&mut buffers);
    down.rest(&mut buffers);
    Ok(())
}

/// Tells the database that nothing follows, as far as it goes at once.
pub(crate) async fn say_goodbye(mut stream: Stream) {
    let mut down = Lane::new(0);
    Cleaning::terminate(&mut down);
    poll_fn(|cx| {
        if let contract::Chunk::Bytes(bytes) = down.chunk() {
            // A connection that takes nothing is closed all the same.
            let _ = stream.poll_write(cx, bytes);
        }
        let _ = stream.poll_flush(cx);
        stream.close(cx);
        Poll::Ready(())
    })
    .await;
    down.rest(&mut Buffers::default());
}
