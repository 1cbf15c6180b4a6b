//! The driver: sockets, files, timers, tasks and doorbells of one core. The only module that names a runtime.
//!
//! There are two, glommio and our own (`ring-driver`); which one a core runs is told to [`run_core`], and nothing outside
//! knows. Rules kept here, each learned from a defect of glommio: the listening socket is ours and is only watched for
//! readiness, so no accepted socket can be lost; tasks are detached, never dropped; every session is wrapped against
//! panics by its caller; other threads wake a core through a socket pair, never through a waker; names are resolved
//! elsewhere.
//!
//! Deliberately absent: anything a session knows about.

#[path = "driver/on_glommio.rs"]
mod on_glommio;

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

/// What runs the cores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Driver {
    /// Our own, on io_uring (Linux 6.0).
    Uring,
    /// glommio.
    Glommio,
}

impl Driver {
    /// Its name in the configuration.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Glommio => "glommio",
        }
    }

    /// The driver of this name.
    #[must_use]
    pub fn of(word: &str) -> Option<Self> {
        [Self::Uring, Self::Glommio].into_iter().find(|driver| driver.word() == word)
    }

    /// The one that is wanted or, if none is, the best that this machine has; with it why that is not the usual one.
    ///
    /// # Errors
    /// The one that is wanted does not work here, or none does, and why.
    pub fn choose(wanted: Option<Self>) -> Result<(Self, Option<String>), String> {
        match (wanted, wanted != Some(Self::Glommio)) {
            // It needs a ring too, if less of one; and tells less of why it has none.
            (_, false) => match ring_driver::supported() {
                Err(error) if error.is_for_any_ring() => Err(error.to_string()),
                _ => Ok((Self::Glommio, None)),
            },
            (_, true) => match (ring_driver::supported(), wanted) {
                (Ok(()), _) => Ok((Self::Uring, None)),
                (Err(error), None) if !error.is_for_any_ring() => Ok((Self::Glommio, Some(error.to_string()))),
                (Err(error), _) => Err(error.to_string()),
            },
        }
    }
}

thread_local! {
    /// What runs on this thread.
    static RUNS: Cell<Driver> = const { Cell::new(Driver::Glommio) };
}

fn runs() -> Driver {
    RUNS.with(Cell::get)
}

/// A connected stream socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Uring(ring_driver::Socket),
    Glommio(on_glommio::Socket),
}

impl Socket {
    /// Whether a read is worth trying; if not, the task is woken when it is.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Uring(socket) => socket.poll_readable(cx),
            // It is told only by reading.
            Self::Glommio(_) => Poll::Ready(()),
        }
    }

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Uring(socket) => socket.poll_read(cx, buffer),
            Self::Glommio(socket) => socket.poll_read(cx, buffer),
        }
    }

    /// Bytes, the end or an error have arrived that no read has seen.
    pub(crate) fn has_arrived(&self) -> bool {
        match self {
            Self::Uring(socket) => socket.has_arrived(),
            // Its reads ask the kernel.
            Self::Glommio(_) => false,
        }
    }

    /// Writes; what was taken is on its way, and fails a later write if it fails.
    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Uring(socket) => socket.poll_write(cx, bytes),
            Self::Glommio(socket) => socket.poll_write(cx, bytes),
        }
    }

    /// What cuts it off, where something of it waits outside of its session.
    pub(crate) fn knife(&self) -> Option<Knife> {
        match self {
            Self::Uring(socket) => Some(Knife(socket.knife())),
            // It keeps nothing that it was given to write.
            Self::Glommio(_) => None,
        }
    }

    /// Nothing is written or read any more. What the kernel has leaves on glommio, and is gone with ours.
    pub(crate) fn cut(&mut self) {
        match self {
            Self::Uring(socket) => socket.knife().cut(),
            Self::Glommio(socket) => socket.cut(),
        }
    }

    /// Waits until what was taken has been given to the kernel.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Uring(socket) => socket.poll_flush(cx),
            Self::Glommio(_) => Poll::Ready(Ok(())),
        }
    }
}

/// Cuts a socket off, whoever has it.
#[derive(Debug)]
pub(crate) struct Knife(ring_driver::Knife);

impl Knife {
    /// What was written and has not left leaves no more.
    pub(crate) fn cut(&self) {
        self.0.cut();
    }
}

/// Connects, with a limit on the time it takes.
pub(crate) async fn connect(address: SocketAddr, limit: Duration) -> io::Result<Socket> {
    match runs() {
        Driver::Uring => ring_driver::connect(address, limit).await.map(Socket::Uring),
        Driver::Glommio => on_glommio::connect(address, limit).await.map(Socket::Glommio),
    }
}

/// Sleeps.
pub(crate) async fn sleep(duration: Duration) {
    match runs() {
        Driver::Uring => ring_driver::sleep(duration).await,
        Driver::Glommio => on_glommio::sleep(duration).await,
    }
}

/// Runs a task to its end on this core.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    match runs() {
        Driver::Uring => ring_driver::spawn(future),
        Driver::Glommio => on_glommio::spawn(future),
    }
}

/// Calls this on this core whenever a task of it ends by a panic. Without it the panic ends the executor on glommio, and
/// only its task on ours.
pub(crate) fn on_panic(hook: impl Fn() + 'static) {
    match runs() {
        Driver::Uring => ring_driver::on_panic(hook),
        Driver::Glommio => on_glommio::on_panic(hook),
    }
}

/// Runs work that would hold up the core on a thread beside it.
pub(crate) async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    match runs() {
        Driver::Uring => ring_driver::blocking(work).await,
        Driver::Glommio => on_glommio::blocking(work).await,
    }
}

/// Runs `main` on a new thread with its own executor.
pub(crate) fn run_core<F, Fut, T>(
    driver: Driver,
    name: &str,
    pin: Option<usize>,
    main: F,
) -> io::Result<JoinHandle<io::Result<T>>>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let name = name.to_owned();
    // The executor is made on the thread that runs it; a failure to make one is the thread's result.
    std::thread::Builder::new().name(name.clone()).spawn(move || run_here(driver, &name, pin, async { main().await }))
}

/// Runs `main` with an executor on this thread.
///
/// # Errors
/// There is no executor.
pub(crate) fn run_here<T: 'static>(
    driver: Driver,
    name: &str,
    pin: Option<usize>,
    main: impl Future<Output = T> + 'static,
) -> io::Result<T> {
    RUNS.with(|runs| runs.set(driver));
    match driver {
        Driver::Uring => {
            if let Some(processor) = pin {
                ring_driver::pin(processor)?;
            }
            ring_driver::run(main)
        }
        Driver::Glommio => on_glommio::run(name, pin, main),
    }
}

/// A listening socket of this core. Several cores listen on one address (SO_REUSEPORT).
#[derive(Debug)]
pub(crate) enum Listener {
    Uring(ring_driver::Listener),
    Glommio(on_glommio::Listener),
}

impl Listener {
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        Ok(match runs() {
            Driver::Uring => Self::Uring(ring_driver::Listener::new(listener)),
            Driver::Glommio => Self::Glommio(on_glommio::Listener::new(listener)?),
        })
    }

    /// The next connection; an error after [`std::net::TcpListener`] was shut down for reading.
    pub(crate) async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        match self {
            Self::Uring(listener) => listener.accept().await.map(|(socket, peer)| (Socket::Uring(socket), peer)),
            Self::Glommio(listener) => listener.accept().await.map(|(socket, peer)| (Socket::Glommio(socket), peer)),
        }
    }
}

/// The core's end of its doorbell.
#[derive(Debug)]
pub(crate) struct Doorbell {
    wire: Socket,
}

impl Doorbell {
    pub(crate) fn new(wire: UnixStream) -> Self {
        let wire = match runs() {
            Driver::Uring => Socket::Uring(ring_driver::Socket::from(OwnedFd::from(wire))),
            Driver::Glommio => Socket::Glommio(on_glommio::Socket::of_wire(wire)),
        };
        Self { wire }
    }

    /// Waits until it rings; false when every ringer is gone.
    pub(crate) async fn rung(&mut self) -> bool {
        let mut bytes = [0u8; 64];
        matches!(std::future::poll_fn(|cx| self.wire.poll_read(cx, &mut bytes)).await, Ok(n) if n > 0)
    }
}

/// Memory for a write past the page cache.
pub(crate) enum DirectBuffer {
    Uring(ring_driver::AlignedBuffer),
    Glommio(on_glommio::DirectBuffer),
}

impl DirectBuffer {
    pub(crate) fn as_bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Uring(buffer) => buffer,
            Self::Glommio(buffer) => buffer.as_bytes_mut(),
        }
    }

    /// Only the first `bytes` are written.
    pub(crate) fn truncate(&mut self, bytes: usize) {
        match self {
            Self::Uring(buffer) => buffer.set_len(bytes),
            Self::Glommio(buffer) => buffer.trim_to_size(bytes),
        }
    }
}

/// A file that exists and is written past the page cache.
#[derive(Debug)]
pub(crate) enum DirectFile {
    Uring(ring_driver::DirectFile),
    Glommio(on_glommio::DirectFile),
}

impl DirectFile {
    /// Opens a file for writing.
    ///
    /// # Errors
    /// The kernel's; `InvalidInput` or `Unsupported` where the file system has no direct writes.
    pub(crate) async fn open(path: &Path) -> io::Result<Self> {
        match runs() {
            Driver::Uring => ring_driver::DirectFile::open(path).await.map(Self::Uring),
            Driver::Glommio => on_glommio::open(path).await.map(Self::Glommio),
        }
    }

    /// Memory for a write; what is in it is left over from before.
    pub(crate) fn buffer(&self, bytes: usize) -> DirectBuffer {
        match self {
            Self::Uring(file) => DirectBuffer::Uring(file.buffer(bytes)),
            Self::Glommio(file) => DirectBuffer::Glommio(file.alloc_dma_buffer(bytes)),
        }
    }

    /// Writes all of a buffer. With `soon`, a sync follows at once, and costs nothing where the write can be durable by
    /// itself; nothing is durable before the sync has said so.
    ///
    /// # Errors
    /// The kernel's.
    pub(crate) async fn write(&self, buffer: DirectBuffer, position: u64, soon: bool) -> io::Result<()> {
        match (self, buffer) {
            (Self::Uring(file), DirectBuffer::Uring(buffer)) => file.write(buffer, position, soon).await,
            (Self::Glommio(file), DirectBuffer::Glommio(buffer)) => on_glommio::write(file, buffer, position).await,
            _ => Err(io::ErrorKind::InvalidInput.into()),
        }
    }

    /// Makes everything written durable.
    ///
    /// # Errors
    /// The kernel's; afterwards nothing is known of what was written.
    pub(crate) async fn sync(&self) -> io::Result<()> {
        match self {
            Self::Uring(file) => file.sync().await,
            Self::Glommio(file) => file.fdatasync().await.map_err(io::Error::from),
        }
    }

    /// Closes it. Whatever closing says, the file is not used again.
    pub(crate) async fn close(self) {
        if let Self::Glommio(file) = self {
            let _ = file.close().await;
        }
    }
}

/// The other end of a core's doorbell, for any thread.
#[derive(Debug)]
pub(crate) struct Ringer {
    rung: AtomicBool,
    wire: UnixStream,
}

impl Ringer {
    /// A ringer and the wire its core listens on.
    pub(crate) fn pair() -> io::Result<(Self, UnixStream)> {
        let (wire, end) = UnixStream::pair()?;
        wire.set_nonblocking(true)?;
        end.set_nonblocking(true)?;
        Ok((Self { rung: AtomicBool::new(false), wire }, end))
    }

    /// Wakes the core; many rings before it answers are one.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            let rung = (&self.wire).write(&[1]);
            // A full wire is rung already; where it failed, the next one tries again.
            if rung.is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock) {
                self.rung.store(false, Ordering::SeqCst);
            }
        }
    }

    /// The core has woken and is about to look at its mail.
    pub(crate) fn answered(&self) {
        self.rung.store(false, Ordering::SeqCst);
    }
}
