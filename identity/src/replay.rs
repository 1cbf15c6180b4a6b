//! Tokens that may be used once, remembered until they expire.
//!
//! When there is no room, nothing is forgotten early: the next token is refused. The memory is that of one process; a token
//! for one use at several gateways needs the shared store.

use crate::{SKEW_SECONDS, fault::Fault, validate::Validated};
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Most tokens remembered: 64 bytes each, 8 MiB in all.
const TOKENS_MAX: usize = 1 << 17;

/// Tokens that were used.
#[derive(Debug)]
pub struct Replay {
    used: Mutex<HashMap<[u8; 32], u64>>,
    most: usize,
}

impl Default for Replay {
    fn default() -> Self {
        Self::with_capacity(TOKENS_MAX)
    }
}

impl Replay {
    /// Remembers at most so many tokens.
    #[must_use]
    pub fn with_capacity(most: usize) -> Self {
        Self { used: Mutex::new(HashMap::new()), most }
    }

    /// Uses a token at this time (seconds since 1970).
    ///
    /// # Errors
    /// It was used before, or there is no room.
    pub fn spend(&self, token: &Validated, now: u64) -> Result<(), Fault> {
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if used.contains_key(&token.token) {
            return Err(Fault::Replayed);
        }
        if used.len() >= self.most {
            used.retain(|_, until| *until > now);
            if used.len() >= self.most {
                return Err(Fault::ReplayFull);
            }
        }
        used.insert(token.token, token.expires.saturating_add(SKEW_SECONDS));
        Ok(())
    }
}
