//! What is to be done on one target, and which sessions have an account there.
//!
//! Invariant: an account that was ordered is dropped exactly once after its session has ended, whether the end comes before
//! the account is made, while it is made, or after.

use super::{Answer, Order};
use audit::record::SessionId;
use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;
use tokio::sync::Notify;

/// An order and who waits for it.
pub(super) struct Job {
    pub(super) order: Order,
    pub(super) answer: Answer,
    pub(super) since: Instant,
}

/// What a worker does next.
pub(super) enum Next {
    Issue(Job),
    Drop(Order),
}

/// Where a session's account stands.
enum Standing {
    /// Ordered, or being made.
    Wanted,
    /// Being made, and not wanted any more.
    Unwanted,
    /// There.
    Made(Order),
}

#[derive(Default)]
struct Inner {
    orders: VecDeque<Job>,
    drops: VecDeque<Order>,
    standing: HashMap<SessionId, Standing>,
    /// Orders since the last drop was taken.
    turns: u32,
}

#[derive(Default)]
pub(super) struct Queue {
    inner: Mutex<Inner>,
    news: Notify,
}

impl std::fmt::Debug for Queue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Queue")
    }
}

/// Drops get a turn after so many orders.
const ORDERS_IN_A_ROW: u32 = 3;

impl Queue {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn order(&self, job: Job) {
        let mut inner = self.inner();
        inner.standing.insert(job.order.session, Standing::Wanted);
        inner.orders.push_back(job);
        drop(inner);
        self.news.notify_one();
    }

    pub(super) fn ended(&self, session: SessionId) {
        let mut inner = self.inner();
        match inner.standing.remove(&session) {
            None => return,
            Some(Standing::Made(order)) => inner.drops.push_back(order),
            Some(Standing::Wanted | Standing::Unwanted) => {
                let before = inner.orders.len();
                inner.orders.retain(|job| job.order.session != session);
                if inner.orders.len() == before {
                    inner.standing.insert(session, Standing::Unwanted);
                }
            }
        }
        drop(inner);
        self.news.notify_one();
    }

    /// An account is there. False if nobody wants it any more: then it is dropped.
    pub(super) fn made(&self, order: &Order) -> bool {
        let mut inner = self.inner();
        match inner.standing.get_mut(&order.session) {
            Some(standing @ Standing::Wanted) => {
                *standing = Standing::Made(order.clone());
                true
            }
            _ => {
                inner.standing.remove(&order.session);
                inner.drops.push_back(order.clone());
                drop(inner);
                self.news.notify_one();
                false
            }
        }
    }

    /// An account was not made, or nobody knows whether it was: then it is to be dropped.
    pub(super) fn failed(&self, order: &Order, perhaps_made: bool) {
        let mut inner = self.inner();
        inner.standing.remove(&order.session);
        if perhaps_made {
            inner.drops.push_back(order.clone());
        }
    }

    /// To be dropped another time.
    pub(super) fn later(&self, order: Order) {
        self.inner().drops.push_back(order);
    }

    pub(super) fn next(&self) -> Option<Next> {
        let mut inner = self.inner();
        if inner.turns >= ORDERS_IN_A_ROW || inner.orders.is_empty() {
            inner.turns = 0;
            if let Some(order) = inner.drops.pop_front() {
                return Some(Next::Drop(order));
            }
        }
        inner.turns += 1;
        inner.orders.pop_front().map(Next::Issue)
    }

    /// The orders that wait; the connection they wait for cannot be made.
    pub(super) fn take_orders(&self) -> Vec<Job> {
        self.inner().orders.drain(..).collect()
    }

    /// This account is wanted, there, or about to be dropped: a sweep leaves it alone.
    pub(super) fn knows(&self, name: &str) -> bool {
        let inner = self.inner();
        let busy = inner.standing.values().any(|standing| match standing {
            Standing::Wanted | Standing::Unwanted => true,
            Standing::Made(order) => order.name == name,
        });
        busy || inner.drops.iter().any(|order| order.name == name)
    }

    pub(super) fn count(&self) -> usize {
        let inner = self.inner();
        inner.standing.len() + inner.drops.len()
    }

    pub(super) fn wake(&self) {
        self.news.notify_waiters();
    }

    pub(super) async fn news(&self) {
        self.news.notified().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn order(session: u8) -> Order {
        Order {
            session: SessionId([session; 16]),
            target: 0,
            name: format!("tg_{session}"),
            verifier: String::new(),
            group: String::new(),
            until_ns: 0,
        }
    }

    fn job(session: u8, answered: &Arc<AtomicUsize>) -> Job {
        let answered = Arc::clone(answered);
        let answer = Box::new(move |_| {
            answered.fetch_add(1, Ordering::Relaxed);
        });
        Job { order: order(session), answer, since: Instant::now() }
    }

    #[test]
    fn an_account_is_dropped_once_whenever_its_session_ends() {
        let answered = Arc::new(AtomicUsize::new(0));
        // Before anybody took the order.
        let queue = Queue::default();
        queue.order(job(1, &answered));
        queue.ended(SessionId([1; 16]));
        assert!(queue.next().is_none());
        assert_eq!(queue.count(), 0);
        // While it is made.
        queue.order(job(2, &answered));
        assert!(matches!(queue.next(), Some(Next::Issue(_))));
        queue.ended(SessionId([2; 16]));
        assert!(queue.knows("tg_2"));
        assert!(!queue.made(&order(2)));
        assert!(matches!(queue.next(), Some(Next::Drop(order)) if order.name == "tg_2"));
        assert!(queue.next().is_none());
        // After.
        queue.order(job(3, &answered));
        assert!(matches!(queue.next(), Some(Next::Issue(_))));
        assert!(queue.made(&order(3)));
        assert!(queue.next().is_none());
        queue.ended(SessionId([3; 16]));
        queue.ended(SessionId([3; 16]));
        assert!(matches!(queue.next(), Some(Next::Drop(order)) if order.name == "tg_3"));
        assert!(queue.next().is_none());
        assert_eq!(queue.count(), 0);
    }

    #[test]
    fn drops_get_their_turn_under_a_stream_of_orders() {
        let answered = Arc::new(AtomicUsize::new(0));
        let queue = Queue::default();
        queue.later(order(9));
        (0..20).for_each(|n| queue.order(job(n, &answered)));
        let first: Vec<bool> = (0..5).map(|_| matches!(queue.next(), Some(Next::Drop(_)))).collect();
        assert!(first.contains(&true), "{first:?}");
    }
}
