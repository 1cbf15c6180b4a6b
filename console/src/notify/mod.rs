//! What is told outside, without protected data, and votes that come in signed.
//!
//! ```text
//!   Engine's News ─▶ Notices: a bounded queue ─▶ Outbound ─▶ a thread for each channel ─▶ webhooks
//!   programs ─▶ Inbound: signature, time, once ─▶ Engine: a vote
//! ```
//!
//! Invariants: the engine never waits for a receiver; several gateways of one store tell each event once; a channel that is
//! down delays no other. Deliberately absent: that anything depends on a notice having arrived.

mod channel;
mod egress;
mod inbound;
mod message;
mod signature;

pub use channel::{Channel, Form};
pub use egress::{Egress, Network};
pub use inbound::{Inbound, Machine};
pub use signature::Secrets;

use crate::state::Shared;
use access::{Engine, News};
use axum::Router;
use message::Message;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

/// Notices that wait; more are dropped, and that is logged.
const QUEUE_MAX: usize = 4096;
/// An event is remembered as told this long, seconds.
const TOLD_S: u64 = 24 * 3600;
/// How often a stop is looked for.
const LOOK: Duration = Duration::from_millis(100);

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
    channels: Vec<Channel>,
}

/// A queue of notices. The first end goes to the engine, the second to [`Settings`](crate::Settings).
#[must_use]
pub fn queue() -> (Notices, Outbound) {
    let (sender, queue) = sync_channel(QUEUE_MAX);
    (Notices(sender), Outbound { queue, channels: Vec::new() })
}

impl Outbound {
    /// Tells these.
    #[must_use]
    pub fn to(self, channels: Vec<Channel>) -> Self {
        Self { channels, ..self }
    }

    /// Sends until told to stop.
    pub(crate) fn run(self, engine: &Arc<Engine>, origin: &str, stop: &(dyn Fn() -> bool + Sync)) {
        std::thread::scope(|scope| {
            let ends: Vec<SyncSender<Message>> = self
                .channels
                .into_iter()
                .map(|channel| {
                    let (sender, queue) = sync_channel(QUEUE_MAX);
                    scope.spawn(move || deliver(&channel, &queue, engine, origin, stop));
                    sender
                })
                .collect();
            while !stop() {
                let news = match self.queue.recv_timeout(LOOK) {
                    Ok(news) => news,
                    Err(RecvTimeoutError::Timeout) => continue,
                    Err(RecvTimeoutError::Disconnected) => return,
                };
                let now_s = engine.clock().now_s();
                let message = match &news {
                    News::Request(request) => Message::of_request(request, now_s),
                    News::Emergency(review) => Message::of_emergency(review, now_s),
                    News::Cut { .. } => continue,
                };
                for end in &ends {
                    if end.try_send(message.clone()).is_err() {
                        tracing::warn!(event = message.event, "a notice is dropped: too many wait for its channel");
                    }
                }
            }
        });
    }
}

/// A message on its way.
struct Waiting {
    message: Message,
    id: String,
    tries: usize,
    due: Instant,
}

fn deliver(
    channel: &Channel,
    queue: &Receiver<Message>,
    engine: &Arc<Engine>,
    origin: &str,
    stop: &(dyn Fn() -> bool + Sync),
) {
    let mut waiting: VecDeque<Waiting> = VecDeque::new();
    while !stop() {
        match queue.recv_timeout(if waiting.is_empty() { LOOK } else { Duration::from_millis(20) }) {
            Ok(message) => {
                if let Some(id) = claim(channel, &message, engine) {
                    waiting.push_back(Waiting { message, id, tries: 0, due: Instant::now() });
                }
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return,
        }
        if waiting.len() > QUEUE_MAX
            && let Some(oldest) = waiting.pop_front()
        {
            tracing::warn!(
                channel = channel.name(),
                event = oldest.message.event,
                "a notice is given up: too many wait"
            );
        }
        let now = Instant::now();
        let Some(at) = waiting.iter().position(|of| of.due <= now) else { continue };
        let Some(mut of) = waiting.remove(at) else { continue };
        let Err(why) = channel.attempt(&of.message, &of.id, origin, engine.clock().now_s()) else { continue };
        match channel.pauses().get(of.tries) {
            Some(pause) => {
                of.tries += 1;
                of.due = Instant::now() + *pause;
                waiting.push_back(of);
            }
            None => {
                let (channel, event) = (channel.name(), of.message.event.as_str());
                tracing::error!(channel, event, why, "a notice is given up");
            }
        }
    }
}

/// The id under which this gateway tells it, if no other does.
fn claim(channel: &Channel, message: &Message, engine: &Engine) -> Option<String> {
    let what = format!("notice/{}/{}", channel.name(), message.key);
    match engine.once(&what, engine.clock().now_s() + TOLD_S) {
        Ok(false) => return None,
        Ok(true) => {}
        // Told twice is better than never.
        Err(error) => tracing::warn!("a notice cannot be claimed: {error}"),
    }
    use sha2::Digest as _;
    Some(format!("msg_{}", &access::hex(&sha2::Sha256::digest(what.as_bytes()))[..32]))
}

pub(crate) fn router() -> Router<Shared> {
    inbound::router()
}
