//! Things remembered for a short time under a secret: a bounded table that knows only hashes of its keys.
//!
//! What is taken is gone, so whatever it is works once. When the table is full, what is over goes; if nothing is, nothing
//! new is taken: those who have begun can finish.

use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

#[derive(Debug)]
pub(super) struct Remembered<T> {
    kept: Mutex<HashMap<[u8; 32], (u64, T)>>,
    most: usize,
}

impl<T> Remembered<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { kept: Mutex::new(HashMap::new()), most }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<[u8; 32], (u64, T)>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps it until then (seconds since 1970). False if there is no room.
    #[must_use]
    pub(super) fn keep(&self, key: &str, until: u64, what: T, now: u64) -> bool {
        let mut kept = self.kept();
        if kept.len() >= self.most {
            kept.retain(|_, (until, _)| *until > now);
        }
        let room = kept.len() < self.most;
        if room {
            kept.insert(name(key), (until, what));
        }
        room
    }

    /// Takes it away; `None` if it is not there or over.
    pub(super) fn take(&self, key: &str, now: u64) -> Option<T> {
        let (until, what) = self.kept().remove(&name(key))?;
        (until > now).then_some(what)
    }

    /// Looks at it, or changes it.
    pub(super) fn with<R>(&self, key: &str, now: u64, look: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut kept = self.kept();
        let (until, what) = kept.get_mut(&name(key))?;
        (*until > now).then(|| look(what))
    }
}

/// Looked up by a hash: how long that takes says nothing about keys.
fn name(key: &str) -> [u8; 32] {
    Sha256::digest(key.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_or_over_is_gone() {
        let table = Remembered::new(2);
        assert!(table.keep("a", 10, 1, 0));
        assert!(table.keep("b", 10, 2, 0));
        assert!(!table.keep("c", 10, 3, 5), "full");
        assert_eq!(table.with("a", 5, |n| *n), Some(1));
        assert_eq!(table.take("a", 5), Some(1));
        assert_eq!(table.take("a", 5), None);
        assert_eq!(table.take("b", 10), None, "over");
        assert!(table.keep("c", 20, 3, 10));
        assert!(table.keep("d", 20, 4, 10));
        assert!(table.keep("e", 30, 5, 20), "those that are over make room");
        assert_eq!(table.with("c", 20, |n| *n), None);
    }
}
