//! The published checkpoint and the ones before it: `checkpoint`, and `checkpoints/<size>` with twenty digits.
//!
//! All of the last hour are kept, and one of each hour before. The same rule holds for cosigned checkpoints.

use crate::{
    error::Error,
    files::{self, Keep},
};
use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

const HOUR: Duration = Duration::from_secs(3600);

/// Name of the checkpoint of this size.
#[must_use]
pub fn name(size: u64) -> String {
    format!("{size:020}")
}

/// Publishes a checkpoint: the history has it before it is the newest, which it is durably when this returns.
pub(crate) fn publish(tlog: &Path, size: u64, note: &[u8]) -> Result<(), Error> {
    let (path, history) = (tlog.join("checkpoint"), tlog.join("checkpoints"));
    files::make_folder(&history).map_err(Error::at(&history))?;
    let aside = files::write_aside(&path, note, Keep::Durably).map_err(Error::at(&path))?;
    let kept = history.join(name(size));
    match fs::remove_file(&kept) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::Io(kept, error)),
        _ => {}
    }
    fs::hard_link(&aside, &kept).map_err(Error::at(&kept))?;
    fs::rename(&aside, &path).map_err(Error::at(&path))?;
    files::sync_folder(tlog).map_err(Error::at(tlog))
}

/// The sizes for which a folder holds checkpoints, ascending, with their paths.
pub(crate) fn sizes(folder: &Path) -> Result<Vec<(u64, PathBuf)>, Error> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        entries => entries.map_err(Error::at(folder))?,
    };
    for entry in entries {
        let path = entry.map_err(Error::at(folder))?.path();
        let digits = path.file_name().and_then(|n| n.to_str()).filter(|n| n.len() == 20);
        if let Some(size) = digits.and_then(|n| n.parse().ok()) {
            found.push((size, path));
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Removes what is older than an hour, except the first of each hour and the newest of all.
pub(crate) fn thin(folder: &Path, now: SystemTime) -> Result<(), Error> {
    let mut hours = BTreeSet::new();
    let all = sizes(folder)?;
    let newest = all.last().map(|(size, _)| *size);
    for (size, path) in all {
        let Ok(written) = fs::metadata(&path).and_then(|m| m.modified()) else { continue };
        let hour = written.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs() / HOUR.as_secs();
        let first = hours.insert(hour);
        if !first && Some(size) != newest && now.duration_since(written).is_ok_and(|age| age > HOUR) {
            fs::remove_file(&path).map_err(Error::at(&path))?;
        }
    }
    Ok(())
}
