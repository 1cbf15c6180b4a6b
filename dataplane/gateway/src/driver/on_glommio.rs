//! The driver on glommio 0.9.

use futures_lite::FutureExt as _;
use futures_lite::future::poll_fn;
use glommio::io::OpenOptions;
pub(super) use glommio::io::{DmaBuffer as DirectBuffer, DmaFile as DirectFile};
use glommio::net::TcpStream;
use glommio::{LocalExecutorBuilder, Placement};
use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Registered memory of a ring in bytes: we register none for sockets, so the least.
const IO_MEMORY_BYTES: usize = 1 << 20;
/// Entries of a ring.
const RING_DEPTH: usize = 256;

/// A connected stream socket.
#[derive(Debug)]
pub(crate) struct Socket(TcpStream);

impl Socket {
    fn adopt(socket: socket2_glommio::Socket) -> Self {
        Self(TcpStream::from(socket))
    }

    /// The core's end of its doorbell.
    pub(super) fn of_wire(wire: UnixStream) -> Self {
        Self::adopt(socket2_glommio::Socket::from(wire))
    }

    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        glommio_read(Pin::new(&mut self.0), cx, buffer)
    }

    /// Ends both directions (shutdown(2)), which the runtime does at once.
    pub(super) fn cut(&mut self) {
        let mut shut = std::pin::pin!(self.0.shutdown(std::net::Shutdown::Both));
        let _ = shut.as_mut().poll(&mut Context::from_waker(std::task::Waker::noop()));
    }

    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        glommio_write(Pin::new(&mut self.0), cx, bytes)
    }
}

fn glommio_read<R: futures_lite::AsyncRead>(
    r: Pin<&mut R>,
    cx: &mut Context<'_>,
    b: &mut [u8],
) -> Poll<io::Result<usize>> {
    r.poll_read(cx, b)
}

fn glommio_write<W: futures_lite::AsyncWrite>(
    w: Pin<&mut W>,
    cx: &mut Context<'_>,
    b: &[u8],
) -> Poll<io::Result<usize>> {
    w.poll_write(cx, b)
}

/// Connects, with a limit on the time it takes.
pub(super) async fn connect(address: SocketAddr, limit: Duration) -> io::Result<Socket> {
    let stream = TcpStream::connect_timeout(address, limit).await.map_err(io::Error::from)?;
    stream.set_nodelay(true).map_err(io::Error::from)?;
    Ok(Socket(stream))
}

/// Sleeps.
pub(super) async fn sleep(duration: Duration) {
    glommio::timer::sleep(duration).await;
}

thread_local! {
    /// Told of each panic of a task.
    static ON_PANIC: RefCell<Option<Rc<dyn Fn()>>> = const { RefCell::new(None) };
}

/// Calls this whenever a task ends by a panic.
pub(super) fn on_panic(hook: impl Fn() + 'static) {
    ON_PANIC.with(|place| *place.borrow_mut() = Some(Rc::new(hook)));
}

/// Runs a task to its end on this core. Its panic ends the executor if nobody wants to be told.
pub(super) fn spawn(future: impl Future<Output = ()> + 'static) {
    let work = AssertUnwindSafe(Box::pin(future)).catch_unwind();
    let watched = async move {
        if let Err(panic) = work.await {
            match ON_PANIC.with(|place| place.borrow().clone()) {
                Some(hook) => hook(),
                None => resume_unwind(panic),
            }
        }
    };
    glommio::spawn_local(watched).detach();
}

/// Runs work that would hold up the core on the executor's helper thread.
pub(super) async fn blocking<R: Send + 'static>(
    work: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    glommio::executor().spawn_blocking(work).await
}

/// Opens a file for direct writes. Write-only and existing: the runtime probes the first file of a thread by reading it.
pub(super) async fn open(path: &Path) -> io::Result<DirectFile> {
    OpenOptions::new().write(true).dma_open(path).await.map_err(io::Error::from)
}

/// Writes all of a buffer.
pub(super) async fn write(file: &DirectFile, buffer: DirectBuffer, position: u64) -> io::Result<()> {
    let bytes = buffer.len();
    let written = file.write_at(buffer, position).await?;
    if written == bytes { Ok(()) } else { Err(io::ErrorKind::WriteZero.into()) }
}

/// Runs `main` with an executor on this thread.
pub(super) fn run<T: 'static>(
    name: &str,
    pin: Option<usize>,
    main: impl Future<Output = T> + 'static,
) -> io::Result<T> {
    let placement = pin.map_or(Placement::Unbound, Placement::Fixed);
    let executor = LocalExecutorBuilder::new(placement)
        .name(name)
        .io_memory(IO_MEMORY_BYTES)
        .ring_depth(RING_DEPTH)
        .make()
        .map_err(io::Error::from)?;
    let result = executor.run(main);
    ON_PANIC.take();
    Ok(result)
}

/// A listening socket of this core. Several cores listen on one address (SO_REUSEPORT).
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
}

impl Listener {
    pub(super) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// The next connection; an error after [`std::net::TcpListener`] was shut down for reading.
    pub(super) async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        loop {
            match self.listener.accept() {
                Ok((stream, peer)) => {
                    stream.set_nodelay(true)?;
                    return Ok((Socket::adopt(socket2_glommio::Socket::from(stream)), peer));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.readable().await?,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
    }

    /// Waits until a connection is queued. Reading a listening socket fails at once with ENOTCONN, but the runtime tries
    /// it only after the poll it submits for a new stream has fired, so the failure means "readable".
    async fn readable(&self) -> io::Result<()> {
        let mut watcher = Socket::adopt(socket2_glommio::Socket::from(self.listener.try_clone()?));
        let mut byte = [0u8; 1];
        poll_fn(|cx| watcher.poll_read(cx, &mut byte).map(drop)).await;
        Ok(())
    }
}
