//! How long the disk under the audit logs takes for a commit of its own: what no way of writing can be faster than.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    path::Path,
    time::{Duration, Instant},
};

use crate::failure::{Doing, Result};

/// Bytes of one write.
const WRITE_BYTES: usize = 16 << 10;
/// Commits measured.
const COMMITS: usize = 100;
/// f_type of tmpfs, statfs(2).
const TMPFS: i64 = 0x0102_1994;
/// Longest measurement.
const LIMIT: Duration = Duration::from_secs(3);

/// This folder is in memory and not on a disk: a commit costs nothing there.
#[must_use]
pub fn in_memory(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|found| found.f_type == TMPFS)
}

/// Microseconds that a small write and its `fdatasync` take, median and 99th percentile, into a file whose space is
/// already there.
///
/// # Errors
/// The file system's.
pub fn commit_us(folder: &Path) -> Result<(f64, f64)> {
    let path = folder.join("commit-time");
    let file = File::create(&path).doing("measure the disk")?;
    let zeros = vec![0u8; WRITE_BYTES * COMMITS];
    file.write_all_at(&zeros, 0).doing("measure the disk")?;
    file.sync_all().doing("measure the disk")?;
    let data = vec![7u8; WRITE_BYTES];
    let began = Instant::now();
    let mut times = Vec::new();
    for n in 0..COMMITS {
        let start = Instant::now();
        file.write_all_at(&data, (n * WRITE_BYTES) as u64).doing("measure the disk")?;
        file.sync_data().doing("measure the disk")?;
        times.push(start.elapsed().as_secs_f64() * 1e6);
        if began.elapsed() > LIMIT {
            break;
        }
    }
    std::fs::remove_file(&path).doing("measure the disk")?;
    times.sort_by(f64::total_cmp);
    let at = |part: f64| times.get(((times.len() as f64 * part) as usize).min(times.len() - 1)).copied();
    Ok((at(0.5).unwrap_or_default(), at(0.99).unwrap_or_default()))
}
