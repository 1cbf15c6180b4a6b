//! The file of a recording: made at its first chunk, written past the page cache where the file system lets us.

use crate::driver::{DirectBuffer, DirectFile, blocking};
use sealing::SessionKey;
use sealing::recording::{self, Builder, Compressor, HEADER_PAGE_BYTES, Header, Writer, day, file_name};
use std::fs::{DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of the file before its first chunk.
pub(super) const HEADER_BYTES: u64 = HEADER_PAGE_BYTES as u64;

/// What is on disk for certain.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Committed {
    pub(super) chunks: u64,
    pub(super) bytes: u64,
    pub(super) statement: u64,
    pub(super) digest: [u8; 32],
}

enum Sink {
    Direct(DirectFile),
    Buffered(Arc<File>),
}

/// Chunks ready to be written, and how many bytes they are.
pub(super) enum Sealed {
    Direct(DirectBuffer, usize),
    Buffered(Vec<u8>),
}

/// A recording's file.
pub(super) struct RecordingFile {
    path: PathBuf,
    header: Header,
    writer: Option<Writer>,
    sink: Option<Sink>,
    position: u64,
    statement: u64,
    committed: Committed,
    segments: u64,
}

impl RecordingFile {
    pub(super) fn new(directory: &Path, header: Header, key: Option<&SessionKey>) -> io::Result<Self> {
        let folder = directory.join(recording::FOLDER).join(day(header.wall_ns));
        Ok(Self {
            path: folder.join(file_name(&header.session)),
            writer: Some(Writer::new(&header, key)?),
            header,
            sink: None,
            position: HEADER_BYTES,
            statement: 0,
            committed: Committed::default(),
            segments: 0,
        })
    }

    /// Size of the file.
    pub(super) fn bytes(&self) -> u64 {
        self.position
    }

    /// Bytes that the log does not speak of.
    pub(super) fn uncommitted_bytes(&self) -> u64 {
        self.position - self.committed.bytes
    }

    /// What was synced last.
    pub(super) fn committed(&self) -> Committed {
        self.committed
    }

    /// Number of the next record about this file.
    pub(super) fn next_segment(&mut self) -> u64 {
        self.segments += 1;
        self.segments
    }

    /// Seals chunks, to be written behind the last with one write; gives back what they were made of.
    pub(super) async fn seal(
        &mut self,
        chunks: Vec<Builder>,
        compressor: Option<Compressor>,
    ) -> io::Result<(Sealed, Vec<Builder>, Option<Compressor>)> {
        if self.sink.is_none() {
            self.sink = Some(self.create().await?);
        }
        let (Some(mut writer), Some(sink)) = (self.writer.take(), &self.sink) else {
            return Err(io::ErrorKind::BrokenPipe.into());
        };
        for chunk in &chunks {
            let (first, last) = chunk.statements();
            self.statement = self.statement.max(first).max(last);
        }
        let most = chunks.iter().map(Writer::bytes_max).sum();
        let (sealed, chunks, compressor) = match (sink, compressor) {
            (Sink::Direct(file), None) => {
                let mut buffer = file.buffer(most);
                let mut bytes = 0;
                for (at, chunk) in chunks.iter().enumerate() {
                    if at > 0 {
                        // Others get their turn: a chunk takes a twentieth of a millisecond.
                        futures_lite::future::yield_now().await;
                    }
                    bytes += writer.seal(chunk, None, &mut buffer.as_bytes_mut()[bytes..])?;
                }
                buffer.truncate(bytes);
                (Sealed::Direct(buffer, bytes), chunks, None)
            }
            (_, compressor) => {
                // Compression takes about a millisecond: not on the core's time.
                let (out, chunks, compressor, sealer) = blocking(move || {
                    let mut compressor = compressor;
                    let mut out = vec![0; most];
                    let mut bytes = 0;
                    for chunk in &chunks {
                        bytes += writer.seal(chunk, compressor.as_mut(), &mut out[bytes..])?;
                    }
                    out.truncate(bytes);
                    Ok((out, chunks, compressor, writer))
                })
                .await?;
                writer = sealer;
                let sealed = match sink {
                    Sink::Buffered(_) => Sealed::Buffered(out),
                    Sink::Direct(file) => {
                        let mut buffer = file.buffer(out.len());
                        buffer.as_bytes_mut().copy_from_slice(&out);
                        Sealed::Direct(buffer, out.len())
                    }
                };
                (sealed, chunks, compressor)
            }
        };
        self.writer = Some(writer);
        Ok((sealed, chunks, compressor))
    }

    /// Writes what was sealed last.
    pub(super) async fn write(&mut self, sealed: Sealed) -> io::Result<()> {
        let position = self.position;
        let bytes = match (sealed, &self.sink) {
            (Sealed::Direct(buffer, bytes), Some(Sink::Direct(file))) => {
                file.write(buffer, position, false).await?;
                bytes
            }
            (Sealed::Buffered(out), Some(Sink::Buffered(file))) => {
                let (file, bytes) = (Arc::clone(file), out.len());
                blocking(move || file.write_all_at(&out, position)).await?;
                bytes
            }
            _ => return Err(io::ErrorKind::BrokenPipe.into()),
        };
        self.position += bytes as u64;
        Ok(())
    }

    /// Syncs what was written; `None` if there is nothing new since the last time and never was anything.
    pub(super) async fn sync(&mut self) -> io::Result<Option<Committed>> {
        match &self.sink {
            None => return Ok(None),
            Some(Sink::Direct(file)) => file.sync().await?,
            Some(Sink::Buffered(file)) => {
                let file = Arc::clone(file);
                blocking(move || file.sync_data()).await?;
            }
        }
        let Some(writer) = &self.writer else { return Err(io::ErrorKind::BrokenPipe.into()) };
        let (chunks, digest) = (writer.chunks(), writer.hash());
        self.committed = Committed { chunks, bytes: self.position, statement: self.statement, digest };
        Ok(Some(self.committed))
    }

    async fn create(&self) -> io::Result<Sink> {
        let (path, page) = (self.path.clone(), self.header.encode());
        let (path, file) = blocking(move || {
            let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
            let file = File::options().write(true).create_new(true).mode(0o600).open(&path)?;
            file.write_all_at(&page, 0)?;
            file.sync_all()?;
            for folder in path.ancestors().skip(1).take(3) {
                File::open(folder)?.sync_all()?;
            }
            Ok((path, file))
        })
        .await?;
        match DirectFile::open(&path).await {
            Ok(direct) => Ok(Sink::Direct(direct)),
            Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
                Ok(Sink::Buffered(Arc::new(file)))
            }
            Err(error) => Err(error),
        }
    }

    /// Closes the file.
    pub(super) async fn close(&mut self) {
        if let Some(Sink::Direct(file)) = self.sink.take() {
            // It was synced, or has failed.
            file.close().await;
        }
    }
}
