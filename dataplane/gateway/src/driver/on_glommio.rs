//! The driver on glommio 0.9.

use futures_lite::future::poll_fn;
use glommio::net::TcpStream;
use glommio::{LocalExecutorBuilder, Placement};
use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
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

    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        glommio_read(Pin::new(&mut self.0), cx, buffer)
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
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
pub(crate) async fn connect(address: SocketAddr, limit: Duration) -> io::Result<Socket> {
    let stream = TcpStream::connect_timeout(address, limit).await.map_err(io::Error::from)?;
    stream.set_nodelay(true).map_err(io::Error::from)?;
    Ok(Socket(stream))
}

/// Sleeps.
pub(crate) async fn sleep(duration: Duration) {
    glommio::timer::sleep(duration).await;
}

/// Runs a task to its end on this core.
pub(crate) fn spawn(future: impl Future<Output = ()> + 'static) {
    glommio::spawn_local(future).detach();
}

/// Runs `main` on a new thread with its own executor.
pub(crate) fn run_core<F, Fut, T>(
    name: &str,
    pin: Option<usize>,
    main: F,
) -> io::Result<std::thread::JoinHandle<io::Result<T>>>
where
    F: FnOnce() -> Fut + Send + 'static,
    Fut: Future<Output = T> + 'static,
    T: Send + 'static,
{
    let placement = pin.map_or(Placement::Unbound, Placement::Fixed);
    let name = name.to_owned();
    // The executor is made on the thread that runs it; a failure to make one is the thread's result.
    std::thread::Builder::new().name(name.clone()).spawn(move || {
        let executor = LocalExecutorBuilder::new(placement)
            .name(&name)
            .io_memory(IO_MEMORY_BYTES)
            .ring_depth(RING_DEPTH)
            .make()
            .map_err(io::Error::from)?;
        Ok(executor.run(async move { main().await }))
    })
}

/// A listening socket of this core. Several cores listen on one address (SO_REUSEPORT).
#[derive(Debug)]
pub(crate) struct Listener {
    listener: TcpListener,
}

impl Listener {
    pub(crate) fn new(listener: TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Ok(Self { listener })
    }

    /// The next connection; an error after [`std::net::TcpListener`] was shut down for reading.
    pub(crate) async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
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

/// The core's end of its doorbell.
#[derive(Debug)]
pub(crate) struct Doorbell {
    wire: Socket,
}

impl Doorbell {
    pub(crate) fn new(wire: UnixStream) -> Self {
        Self { wire: Socket::adopt(socket2_glommio::Socket::from(wire)) }
    }

    /// Waits until it rings; false when every ringer is gone.
    pub(crate) async fn rung(&mut self) -> bool {
        let mut bytes = [0u8; 64];
        matches!(poll_fn(|cx| self.wire.poll_read(cx, &mut bytes)).await, Ok(n) if n > 0)
    }
}
