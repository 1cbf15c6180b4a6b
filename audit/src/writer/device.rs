//! What the writer needs of the machine: files that can be synced, time, and tasks beside its own.

use std::future::Future;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::record::Clock;
use crate::segment::SegmentHeader;

/// Whose wrapped keys a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPlace {
    /// Node.
    pub node: [u8; 16],
    /// Core.
    pub core: u16,
    /// Epoch.
    pub epoch: u32,
    /// Bytes of one session's wrapped keys.
    pub slot_bytes: usize,
}

/// Files, time and tasks of one core. An executor implements it for real disks, a simulator for disks that fail.
pub trait Device: 'static {
    /// A segment that is being written.
    type File: 'static;

    /// The time now.
    fn now(&self) -> Clock;
    /// Nanoseconds of the monotonic clock now, where that costs less than both clocks do.
    fn mono_ns(&self) -> u64 {
        self.now().mono_ns
    }
    /// Waits.
    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static;
    /// Runs a task beside the caller's, to its end.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);
    /// Makes a segment ready under a name that readers do not look at: header page and zeros, synced.
    fn prepare(
        &self,
        folder: &Path,
        name: &str,
        header: &SegmentHeader,
    ) -> impl Future<Output = io::Result<PathBuf>> + 'static;
    /// Gives a prepared segment its name, durably.
    fn publish(&self, prepared: &Path, first_block: u64) -> impl Future<Output = io::Result<PathBuf>> + 'static;
    /// Opens a segment for writing.
    fn open(&self, path: &Path) -> impl Future<Output = io::Result<Self::File>>;
    /// Writes a block. It need not be durable yet.
    fn write(&self, file: &Self::File, block: &[u8], position: u64) -> impl Future<Output = io::Result<()>>;
    /// Makes everything written to the file durable. After an error nothing is known of what was written.
    fn sync(&self, file: &Self::File) -> impl Future<Output = io::Result<()>>;
    /// Makes wrapped keys of sessions durable in a folder. After an error all of them are written again, elsewhere.
    fn write_keys(&self, folder: &Path, place: KeyPlace, slots: &[u8]) -> impl Future<Output = io::Result<()>>;
    /// Closes a file, whatever state it is in.
    fn close(&self, file: Self::File) -> impl Future<Output = ()>;
    /// Removes a prepared segment that is not needed.
    fn remove(&self, path: &Path) -> impl Future<Output = ()> + 'static;
    /// Writes go through the page cache.
    fn is_buffered(&self) -> bool;
}
