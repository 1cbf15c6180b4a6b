//! A core that cannot go on: a task of it has panicked, so something that others wait for may never come.
//!
//! Invariants: it takes nothing new, nothing queued goes to a database any more, every session is told in its protocol's
//! words, the log ends in good order if its writer still can, and all of that takes seconds at most, whatever it was that
//! panicked. Deliberately absent: going on without the task, and ending the other cores, which is for the program.

use crate::core::{Core, Message};
use crate::driver;
use crate::ending::CORE_FAILED;
use crate::metrics::{CoreMetrics, add};
use audit::record::{Record, SessionId};
use futures_lite::future::poll_fn;
use session::Host as _;
use std::cell::{Cell, RefCell};
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};
use std::time::{Duration, Instant};

/// Sessions have this long for their last words.
const SESSIONS_LIMIT: Duration = Duration::from_secs(3);
/// The log has this long for its end.
pub(crate) const LOG_LIMIT: Duration = Duration::from_secs(2);
/// What the core's thread ends with.
pub(crate) const PANICKED: &str = "a task of it panicked";

/// Whether a task of this core has panicked.
#[derive(Debug, Default)]
pub(crate) struct Failure {
    happened: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Failure {
    /// Of the core that runs on this thread, from now on. Sessions catch their own.
    pub(crate) fn watch(metrics: Arc<CoreMetrics>) -> Rc<Self> {
        let failure = Rc::new(Self::default());
        let tell = Rc::clone(&failure);
        driver::on_panic(move || {
            add(&metrics.counters.panics, 1);
            tell.happened.set(true);
            let waker = tell.waker.borrow_mut().take();
            waker.into_iter().for_each(Waker::wake);
        });
        failure
    }

    /// Waits for it.
    pub(crate) async fn happened(&self) {
        poll_fn(|cx| {
            if self.happened.get() {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Does what may be what has panicked.
fn attempt(what: impl FnOnce()) {
    // Counted by whoever noticed the first.
    let _ = catch_unwind(AssertUnwindSafe(what));
}

/// Ends all sessions of a core that has failed. Its listeners are shut down already.
pub(crate) async fn end_sessions(core: &Rc<Core>) {
    core.metrics.counters.core_failed.store(1, Ordering::Relaxed);
    tracing::error!(core = core.index, "a task of this core has panicked: the core ends, and every session on it");
    core.draining.set(true);
    let mailbox = &core.shared.mailboxes[core.index];
    mailbox.close();
    while let Some(message) = mailbox.next() {
        // Everything else is about sessions, which end.
        if let Message::Append(body, durable) = message {
            attempt(|| core.append(*body, durable));
        }
    }
    attempt(|| core.spares.close_all(None, core.now_ns()));
    let alarm = Record::Alarm { session: SessionId([0; 16]), kind: "panic", detail: "a panic ended a core" };
    attempt(|| drop(core.record(&alarm)));
    let until = Instant::now() + SESSIONS_LIMIT;
    let mut told = HashSet::new();
    while core.count() > 0 && Instant::now() < until {
        for handle in core.handles() {
            if told.insert(handle.id) {
                handle.cut(CORE_FAILED);
            }
        }
        // Their time limits, which the task that looks after them may not see to any more.
        attempt(|| {
            core.tick();
        });
        driver::sleep(Duration::from_millis(20)).await;
    }
}

#[cfg(test)]
#[path = "failing_tests.rs"]
mod tests;
