//! The file of wrapped keys beside a core's log.
//!
//! Invariants: a slot is on disk before the block with its session's first record is written; a file whose write or sync
//! failed is not used again, and what had to be in it goes into a fresh one. Deliberately absent: keys themselves.

use super::driver::blocking;
use sealing::slots::{self, FileHeader};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Slots waiting for the next block, and the file that they go to.
#[derive(Debug)]
pub(crate) struct KeySlots {
    header: FileHeader,
    open: Option<Open>,
    /// Files begun in this epoch.
    files: u32,
}

#[derive(Debug)]
struct Open {
    file: Arc<File>,
    folder: PathBuf,
    position: u64,
}

impl KeySlots {
    /// For the sessions of one epoch of a core. No file is made before there is a key.
    pub(crate) fn new(node: [u8; 16], core: u16, epoch: u32, slot_bytes: usize) -> Self {
        let slot_bytes = u32::try_from(slot_bytes).unwrap_or(u32::MAX);
        Self { header: FileHeader { node, core, epoch, slot_bytes }, open: None, files: 0 }
    }

    /// Makes slots durable in a folder.
    ///
    /// # Errors
    /// Of the disk; all of the slots have to be written again.
    pub(crate) async fn write(&mut self, folder: &Path, slots: &[u8]) -> io::Result<()> {
        let open = match self.open.take().filter(|open| open.folder == folder) {
            Some(open) => open,
            None => {
                let (folder, header, number) = (folder.to_owned(), self.header, self.files);
                self.files += 1;
                blocking(move || create(&folder, &header, number)).await?
            }
        };
        let (file, bytes, position) = (Arc::clone(&open.file), slots.to_vec(), open.position);
        blocking(move || {
            file.write_all_at(&bytes, position)?;
            file.sync_data()
        })
        .await?;
        self.open = Some(Open { position: open.position + slots.len() as u64, ..open });
        Ok(())
    }
}

/// A new file with its header, in a folder that knows of it.
fn create(folder: &Path, header: &FileHeader, number: u32) -> io::Result<Open> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let name = match number {
        0 => format!("keys-{:08x}.tgkeys", header.epoch),
        _ => format!("keys-{:08x}-{number:02}.tgkeys", header.epoch),
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
    file.write_all_at(&header.encode(), 0)?;
    file.sync_all()?;
    File::open(folder)?.sync_all()?;
    Ok(Open { file: Arc::new(file), folder: folder.to_owned(), position: slots::PAGE_BYTES as u64 })
}
