//! How far a forwarder has come: one small file per forwarder, replaced whole and durably after an acknowledgement.
//!
//! Losing it means sending again from the beginning, never leaving out. One process at a time works with a cursor.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

/// Position on one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Position {
    /// Sequence of the last acknowledged record, 0 for none.
    pub sequence: u64,
    /// Block from which to read again to know the sessions that were open there.
    pub block: u64,
}

/// Positions on all cores.
pub type Positions = BTreeMap<u16, Position>;

/// The file of one forwarder, locked while this value lives.
#[derive(Debug)]
pub struct Cursor {
    path: PathBuf,
    _lock: File,
}

impl Cursor {
    /// Opens the cursor of a forwarder; `None` while another process works with it.
    ///
    /// # Errors
    /// The file system's.
    pub fn open(folder: &Path, name: &str) -> io::Result<Option<Self>> {
        use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let mut options = File::options();
        let lock = options.write(true).create(true).truncate(false).mode(0o600);
        let lock = lock.open(folder.join(format!("{name}.lock")))?;
        match lock.try_lock() {
            Ok(()) => Ok(Some(Self { path: folder.join(format!("{name}.cursor")), _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    /// Reads the positions; none if there is no file yet.
    ///
    /// # Errors
    /// The file cannot be read or is not a cursor: whether to begin again is for a person to say.
    pub fn load(&self) -> io::Result<Positions> {
        let text = match fs::read_to_string(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Positions::new()),
            text => text?,
        };
        let bad = || {
            let what = format!("{} is not a cursor; remove it to send everything again", self.path.display());
            io::Error::new(io::ErrorKind::InvalidData, what)
        };
        let value: Value = serde_json::from_str(&text).map_err(|_| bad())?;
        let cores = value["cores"].as_object().ok_or_else(bad)?;
        let mut positions = Positions::new();
        for (core, position) in cores {
            let core = core.parse().map_err(|_| bad())?;
            let number = |key: &str| position[key].as_u64().ok_or_else(bad);
            positions.insert(core, Position { sequence: number("sequence")?, block: number("block")? });
        }
        Ok(positions)
    }

    /// Replaces the positions, durably.
    ///
    /// # Errors
    /// The file system's; the old file stays.
    pub fn save(&self, positions: &Positions) -> io::Result<()> {
        use std::os::unix::fs::OpenOptionsExt as _;
        let cores: serde_json::Map<String, Value> = positions
            .iter()
            .map(|(core, p)| (core.to_string(), json!({"sequence": p.sequence, "block": p.block})))
            .collect();
        let next = self.path.with_extension("next");
        let mut file = File::options().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        writeln!(file, "{}", json!({"version": 1, "cores": cores}))?;
        file.sync_all()?;
        fs::rename(&next, &self.path)?;
        File::open(self.path.parent().unwrap_or_else(|| Path::new(".")))?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_and_rubbish_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let cursor = Cursor::open(folder.path(), "siem").unwrap().unwrap();
        assert!(Cursor::open(folder.path(), "siem").unwrap().is_none(), "one at a time");
        assert!(Cursor::open(folder.path(), "other").unwrap().is_some());
        assert!(cursor.load().unwrap().is_empty());
        let positions =
            Positions::from([(0, Position { sequence: 5, block: 2 }), (65_535, Position { sequence: 1, block: 0 })]);
        cursor.save(&positions).unwrap();
        assert_eq!(cursor.load().unwrap(), positions);
        for rubbish in ["", "{}", "{\"cores\":{\"x\":{}}}", "{\"cores\":{\"0\":{\"sequence\":-1,\"block\":0}}}"] {
            fs::write(folder.path().join("siem.cursor"), rubbish).unwrap();
            assert!(cursor.load().unwrap_err().to_string().contains("is not a cursor"), "{rubbish}");
        }
    }
}
