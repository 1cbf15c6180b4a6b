//! S3-compatible stores: objects of JSON lines, zstd, locked until a time in compliance mode where that is asked for.
//!
//! `YYYY/MM/DD/HHMMSS-CORE-SEQUENCE.jsonl.zst` after the first event. Done is the store's answer to the PUT. Events are
//! gathered for a while, so that a quiet log does not become a million small objects.

use std::time::Duration;

use audit::record::Clock;
use audit::time;
use notary::s3::{LockUntil, Settings, Store};

use super::{SendError, Sink};
use crate::event::Event;

/// Events of an object.
const OBJECT_EVENTS: usize = 20_000;
/// Level of zstd.
const LEVEL: i32 = 3;

/// Where to.
#[derive(Clone, Debug)]
pub struct S3 {
    /// Bucket and access.
    pub store: Settings,
    /// How long each object is locked; zero for not at all.
    pub retain: Duration,
    /// How long events are gathered for an object.
    pub gather: Duration,
}

/// The sender.
pub(crate) struct Sender {
    store: Result<Store, String>,
    retain: Duration,
    gather: Duration,
}

impl Sender {
    pub(crate) fn new(to: &S3) -> Self {
        Self { store: Store::new(&to.store).map_err(|e| e.to_string()), retain: to.retain, gather: to.gather }
    }
}

impl Sink for Sender {
    fn send(&mut self, batch: &[Event]) -> Result<(), SendError> {
        let store = self.store.as_ref().map_err(|error| SendError::Retry(error.clone()))?;
        let Some(first) = batch.first() else { return Ok(()) };
        let mut lines = String::new();
        for event in batch {
            lines.push_str(&event.json());
            lines.push('\n');
        }
        let body =
            zstd::bulk::compress(lines.as_bytes(), LEVEL).map_err(|error| SendError::Retry(error.to_string()))?;
        let lock = (!self.retain.is_zero()).then(|| LockUntil {
            seconds: (Clock::now().wall_ns / 1_000_000_000).saturating_add(self.retain.as_secs()),
        });
        store.put(&key(first), &body, lock).map(drop).map_err(|error| SendError::Retry(error.to_string()))
    }

    fn gathers(&self) -> (usize, Duration) {
        (OBJECT_EVENTS, self.gather)
    }
}

fn key(first: &Event) -> String {
    let at = time::format(first.wall_ns, 0);
    let (day, clock) = (at[..10].replace('-', "/"), at[11..19].replace(':', ""));
    format!("{day}/{clock}-{:05}-{:016}.jsonl.zst", first.core, first.sequence)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_sort_by_time() {
        let event = Event {
            core: 65_535,
            sequence: 12,
            wall_ns: 1_795_335_274_123_456_789,
            kind: "EXPORT",
            severity: 6,
            id: String::new(),
            fields: serde_json::Map::new(),
        };
        assert_eq!(key(&event), "2026/11/22/081434-65535-0000000000000012.jsonl.zst");
    }
}
