//! Listening and connecting.

use crate::file::Finished;
use crate::raw::{Operation, Outcome};
use crate::reactor::{Reactor, Target, current, sleep};
use crate::socket::Socket;
use crate::table::Key;
use socket2::{Domain, Protocol, SockRef, Type};
use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

#[derive(Default)]
struct Queue {
    armed: Option<Key>,
    sockets: VecDeque<OwnedFd>,
    error: Option<i32>,
    waker: Option<Waker>,
    dropped: bool,
}

/// What has arrived at a listener.
#[derive(Default)]
pub(crate) struct Arrivals(RefCell<Queue>);

impl Arrivals {
    pub(crate) fn arrived(&self, result: i32, more: bool, outcome: Outcome) {
        let mut queue = self.0.borrow_mut();
        match outcome {
            Outcome::Accepted(fd) if !queue.dropped => queue.sockets.push_back(fd),
            _ => {}
        }
        if !more {
            queue.armed = None;
        }
        if result < 0 {
            queue.error = Some(-result);
        }
        let waker = queue.waker.take();
        drop(queue);
        waker.into_iter().for_each(Waker::wake);
    }
}

/// A listening socket of this core. Connections are accepted as they arrive, once somebody has asked for the first; the
/// limit of descriptors is that of then, until there is an error (io_uring_prep_multishot_accept(3)).
pub struct Listener {
    reactor: Rc<Reactor>,
    fd: Rc<OwnedFd>,
    arrivals: Rc<Arrivals>,
}

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listener").field("fd", &self.fd).finish_non_exhaustive()
    }
}

impl Listener {
    /// Of a socket that listens.
    ///
    /// # Panics
    /// Outside of an executor.
    #[must_use]
    pub fn new(listener: TcpListener) -> Self {
        Self { reactor: current(), fd: Rc::new(listener.into()), arrivals: Rc::default() }
    }

    /// The next connection and where it comes from. Nothing is lost if the future is dropped.
    ///
    /// # Errors
    /// The kernel's; EINVAL after the listening socket was shut down. The next call tries again.
    pub async fn accept(&self) -> io::Result<(Socket, SocketAddr)> {
        loop {
            let fd = poll_fn(|cx| self.poll_accept(cx)).await?;
            let socket = SockRef::from(&fd);
            // Without an address it is gone already.
            let Some(peer) = socket.peer_addr().ok().and_then(|peer| peer.as_socket()) else { continue };
            if socket.set_tcp_nodelay(true).is_ok() {
                return Ok((Socket::adopt(Rc::clone(&self.reactor), Rc::new(fd)), peer));
            }
        }
    }

    fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<OwnedFd>> {
        let mut queue = self.arrivals.0.borrow_mut();
        if let Some(fd) = queue.sockets.pop_front() {
            return Poll::Ready(Ok(fd));
        }
        if let Some(error) = queue.error.take() {
            return Poll::Ready(Err(io::Error::from_raw_os_error(error)));
        }
        if queue.armed.is_none() {
            let target = Target::Accept(Rc::clone(&self.arrivals));
            queue.armed = Some(self.reactor.push(Operation::Accept(Rc::clone(&self.fd)), target));
        }
        queue.waker = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let mut queue = self.arrivals.0.borrow_mut();
        queue.dropped = true;
        queue.sockets.clear();
        queue.armed.into_iter().for_each(|key| self.reactor.cancel(key));
    }
}

/// Connects, with a limit on the time it takes.
///
/// # Errors
/// The kernel's, or `TimedOut`.
///
/// # Panics
/// Outside of an executor.
pub async fn connect(address: SocketAddr, limit: Duration) -> io::Result<Socket> {
    let reactor = current();
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_tcp_nodelay(true)?;
    let fd: Rc<OwnedFd> = Rc::new(socket.into());
    let operation = Operation::Connect(Rc::clone(&fd), Box::new(address.into()));
    let mut finished = Finished::begin(&reactor, operation);
    let mut limit = pin!(sleep(limit));
    let (result, _) = poll_fn(|cx| match finished.poll(cx) {
        Poll::Ready(done) => Poll::Ready(Ok(done)),
        Poll::Pending => limit.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut)),
    })
    .await?;
    if result < 0 {
        return Err(io::Error::from_raw_os_error(-result));
    }
    Ok(Socket::adopt(reactor, fd))
}
