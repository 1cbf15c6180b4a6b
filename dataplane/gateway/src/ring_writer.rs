//! The audit writer of one core, on the executor's files.
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
use glommio::io::{DmaFile, OpenOptions};

use crate::key_slots::KeySlots;

/// A core's audit log on the executor's files.
pub type CoreAudit = audit::writer::CoreAudit<Files>;

/// The executor's files.
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
pub enum Sink {
    /// Past the page cache.
    Direct(DmaFile),
    /// Through it, where the file system refuses direct writes.
    Buffered(Arc<File>),
}

impl Device for Files {
    type File = Sink;

    fn now(&self) -> Clock {
        Clock::now()
    }

    fn mono_ns(&self) -> u64 {
        Clock::mono_now_ns()
    }

    fn sleep(&self, time: Duration) -> impl Future<Output = ()> + 'static {
        glommio::timer::sleep(time)
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        glommio::spawn_local(task).detach();
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

    async fn open(&self, path: &Path) -> io::Result<Sink> {
        if !self.buffered.get() {
            // Write-only and existing: glommio probes the first file of a thread by reading it.
            match OpenOptions::new().write(true).dma_open(path).await.map_err(io::Error::from) {
                Ok(file) => return Ok(Sink::Direct(file)),
                Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                    self.buffered.set(true);
                }
                Err(error) => return Err(error),
            }
        }
        let path = path.to_owned();
        let file = blocking(move || File::options().write(true).open(path)).await?;
        Ok(Sink::Buffered(Arc::new(file)))
    }

    async fn write(&self, file: &Sink, block: &[u8], position: u64) -> io::Result<()> {
        match file {
            Sink::Direct(file) => {
                let mut buffer = file.alloc_dma_buffer(block.len());
                buffer.as_bytes_mut().copy_from_slice(block);
                let written = file.write_at(buffer, position).await?;
                if written == block.len() { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
            }
            Sink::Buffered(file) => {
                let (file, block) = (Arc::clone(file), block.to_vec());
                blocking(move || file.write_all_at(&block, position)).await
            }
        }
    }

    async fn sync(&self, file: &Sink) -> io::Result<()> {
        match file {
            Sink::Direct(file) => file.fdatasync().await.map_err(io::Error::from),
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

    async fn close(&self, file: Sink) {
        if let Sink::Direct(file) = file {
            // Whatever closing says, the file is not used again.
            let _ = file.close().await;
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

/// Runs file calls that have no asynchronous form on the executor's helper thread.
async fn blocking<R: Send + 'static>(work: impl FnOnce() -> io::Result<R> + Send + 'static) -> io::Result<R> {
    glommio::executor().spawn_blocking(work).await
}
