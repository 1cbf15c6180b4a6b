//! The audit writer of one core, on the driver's files.
//!
//! Blocks are written past the page cache into files that were zero-filled before, so that a sync commits data alone;
//! where the file system refuses direct writes they go through the cache. What is written when, and what a failing disk
//! means, is `audit::writer`'s; this is its machine. Locking and recovery are done before executors start.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::future::Future;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use audit::record::Clock;
use audit::segment::{self, SegmentHeader};
pub use audit::writer::{AuditError, Device, FaultPoint, KeyPlace, WriterOptions};

use super::driver::{self, DirectFile, blocking};
use super::key_slots::KeySlots;

/// A core's audit log on the driver's files.
pub type CoreAudit = audit::writer::CoreAudit<Files>;

/// The driver's files.
#[derive(Debug, Default)]
pub struct Files {
    buffered: Cell<bool>,
    keys: RefCell<Option<KeySlots>>,
}

impl Files {
    /// Writes go through the page cache even where direct writes work.
    #[must_use]
    pub fn buffered() -> Self {
        Self { buffered: Cell::new(true), keys: RefCell::default() }
    }
}

/// A segment that is being written.
#[derive(Debug)]
pub struct Segment(Sink);

#[derive(Debug)]
enum Sink {
    /// Past the page cache.
    Direct(DirectFile),
    /// Through it, where the file system refuses direct writes.
    Buffered(Arc<File>),
}

impl Device for Files {
    type File = Segment;

    fn now(&self) -> Clock {
        Clock::now()
    }

    fn mono_ns(&self) -> u64 {
        Clock::mono_now_ns()
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        driver::sleep(time)
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        driver::spawn(task);
    }

    fn prepare(
        &self,
        folder: &Path,
        name: &str,
        header: &SegmentHeader,
    ) -> impl Future<Output = io::Result<PathBuf>> + 'static {
        let (folder, name, header) = (folder.to_owned(), name.to_owned(), *header);
        blocking(move || segment::prepare_as(&folder, &name, &header))
    }

    fn publish(&self, prepared: &Path, first_block: u64) -> impl Future<Output = io::Result<PathBuf>> + 'static {
        let prepared = prepared.to_owned();
        blocking(move || segment::publish(&prepared, first_block))
    }

    async fn open(&self, path: &Path) -> io::Result<Segment> {
        if !self.buffered.get() {
            match DirectFile::open(path).await {
                Ok(file) => return Ok(Segment(Sink::Direct(file))),
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                    self.buffered.set(true);
                }
                Err(error) => return Err(error),
            }
        }
        let path = path.to_owned();
        let file = blocking(move || File::options().write(true).open(path)).await?;
        Ok(Segment(Sink::Buffered(Arc::new(file))))
    }

    async fn write(&self, Segment(file): &Segment, block: &[u8], position: u64) -> io::Result<()> {
        match file {
            Sink::Direct(file) => {
                let mut buffer = file.buffer(block.len());
                buffer.as_bytes_mut().copy_from_slice(block);
                file.write(buffer, position, true).await
            }
            Sink::Buffered(file) => {
                let (file, block) = (Arc::clone(file), block.to_vec());
                blocking(move || file.write_all_at(&block, position)).await
            }
        }
    }

    async fn sync(&self, Segment(file): &Segment) -> io::Result<()> {
        match file {
            Sink::Direct(file) => file.sync().await,
            Sink::Buffered(file) => {
                let file = Arc::clone(file);
                blocking(move || file.sync_data()).await
            }
        }
    }

    async fn write_keys(&self, folder: &Path, place: KeyPlace, slots: &[u8]) -> io::Result<()> {
        // One block is under way at a time, so nobody else looks for the file meanwhile.
        let kept = self.keys.borrow_mut().take();
        let KeyPlace { node, core, epoch, slot_bytes } = place;
        let mut keys = kept.unwrap_or_else(|| KeySlots::new(node, core, epoch, slot_bytes));
        let written = keys.write(folder, slots).await;
        *self.keys.borrow_mut() = Some(keys);
        written
    }

    async fn close(&self, Segment(file): Segment) {
        if let Sink::Direct(file) = file {
            file.close().await;
        }
    }

    fn remove(&self, path: &Path) -> impl Future<Output = ()> + 'static {
        let path = path.to_owned();
        async move {
            let _ = blocking(move || std::fs::remove_file(path)).await;
        }
    }

    fn is_buffered(&self) -> bool {
        self.buffered.get()
    }
}
