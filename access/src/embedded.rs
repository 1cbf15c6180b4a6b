//! The store of one gateway: one redb file (B-tree, copy on write, a commit is durable when it returns).
//!
//! A second process cannot open the file. Removed entries stay as tombstones until they are a day old in versions of use:
//! readers of the feed are in this process, so a compaction at start is enough.

use crate::store::{Entry, Store, StoreError};
use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use std::path::Path;
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// `kind\0id` to version and body; an empty body is a tombstone.
const ENTRIES: TableDefinition<'_, &str, (u64, &[u8])> = TableDefinition::new("entries");
/// Version to key.
const BY_VERSION: TableDefinition<'_, u64, &str> = TableDefinition::new("by_version");

/// A store in a file.
#[derive(Debug)]
pub struct Embedded {
    database: Database,
    changed: (Mutex<u64>, Condvar),
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

impl Embedded {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// It cannot be opened: another process has it, it is damaged, or the disk fails.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let database = Database::create(path).map_err(failed)?;
        let write = database.begin_write().map_err(failed)?;
        {
            let mut entries = write.open_table(ENTRIES).map_err(failed)?;
            let mut by_version = write.open_table(BY_VERSION).map_err(failed)?;
            let gone: Vec<(String, u64)> = entries
                .iter()
                .map_err(failed)?
                .filter_map(|entry| entry.ok())
                .filter(|(_, value)| value.value().1.is_empty())
                .map(|(key, value)| (key.value().to_owned(), value.value().0))
                .collect();
            // The newest version stays, so that versions go on growing.
            let newest = by_version.last().map_err(failed)?.map_or(0, |(version, _)| version.value());
            for (key, version) in gone.iter().filter(|(_, version)| *version != newest) {
                entries.remove(key.as_str()).map_err(failed)?;
                by_version.remove(*version).map_err(failed)?;
            }
        }
        write.commit().map_err(failed)?;
        Ok(Self { database, changed: (Mutex::new(0), Condvar::new()) })
    }
}

impl Store for Embedded {
    fn put(&self, kind: &str, id: &str, expected: u64, body: Option<&[u8]>) -> Result<u64, StoreError> {
        let key = format!("{kind}\0{id}");
        let write = self.database.begin_write().map_err(failed)?;
        let version = {
            let mut entries = write.open_table(ENTRIES).map_err(failed)?;
            let mut by_version = write.open_table(BY_VERSION).map_err(failed)?;
            let old = entries.get(key.as_str()).map_err(failed)?.map(|value| {
                let (version, body) = value.value();
                (version, body.is_empty())
            });
            let at = old.map_or(0, |(version, removed)| if removed { 0 } else { version });
            if at != expected {
                return Err(StoreError::Conflict);
            }
            let version = by_version.last().map_err(failed)?.map_or(0, |(version, _)| version.value()) + 1;
            if let Some((old, _)) = old {
                by_version.remove(old).map_err(failed)?;
            }
            by_version.insert(version, key.as_str()).map_err(failed)?;
            entries.insert(key.as_str(), (version, body.unwrap_or_default())).map_err(failed)?;
            version
        };
        write.commit().map_err(failed)?;
        *self.changed.0.lock().unwrap_or_else(PoisonError::into_inner) = version;
        self.changed.1.notify_all();
        Ok(version)
    }

    fn changes(&self, since: u64) -> Result<Vec<Entry>, StoreError> {
        let read = self.database.begin_read().map_err(failed)?;
        let entries = read.open_table(ENTRIES).map_err(failed)?;
        let by_version = read.open_table(BY_VERSION).map_err(failed)?;
        let mut found = Vec::new();
        for entry in by_version.range(since + 1..).map_err(failed)? {
            let (version, key) = entry.map_err(failed)?;
            let Some(value) = entries.get(key.value()).map_err(failed)? else { continue };
            let Some((kind, id)) = key.value().split_once('\0') else { continue };
            let (_, body) = value.value();
            found.push(Entry {
                kind: kind.to_owned(),
                id: id.to_owned(),
                version: version.value(),
                body: (!body.is_empty()).then(|| body.to_vec()),
            });
        }
        Ok(found)
    }

    fn wait(&self, limit: Duration) {
        let seen = self.changed.0.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.changed.1.wait_timeout(seen, limit));
    }
}
