//! TLS on a socket, by rustls' buffered interface: ciphertext is read in large pieces and fed record by record, plaintext
//! is encrypted into one buffer and sent in one piece.
//!
//! Invariant: at most one write's worth of ciphertext is queued; nothing is read from the socket while plaintext waits.

use crate::driver::{Knife, Socket};
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};
use std::io::{self, Read as _, Write as _};
use std::sync::Arc;
use std::task::{Context, Poll};

/// Ciphertext read at once in bytes.
const LANDING_BYTES: usize = 32 << 10;

/// A socket, plain or under TLS.
#[derive(Debug)]
pub(crate) enum Stream {
    /// Plain.
    Plain(Socket),
    /// TLS.
    Tls(Box<Tls>),
}

/// TLS over a socket.
#[derive(Debug)]
pub(crate) struct Tls {
    socket: Socket,
    connection: Connection,
    /// Ciphertext to send, from `sent` on.
    outbox: Vec<u8>,
    sent: usize,
    /// Ciphertext received and not fed yet, from `fed` on.
    inbox: Vec<u8>,
    fed: usize,
    eof: bool,
    /// The last read found no plaintext, and nothing was fed since.
    read_dry: bool,
}

fn broken(error: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl Tls {
    /// The server's side; `early` are bytes of the client that arrived already.
    pub(crate) fn server(socket: Socket, config: &Arc<ServerConfig>, early: &[u8]) -> io::Result<Self> {
        let connection = ServerConnection::new(Arc::clone(config)).map_err(broken)?;
        Ok(Self::new(socket, connection.into(), early))
    }

    /// The client's side.
    pub(crate) fn client(
        socket: Socket,
        config: &Arc<ClientConfig>,
        name: &rustls::pki_types::ServerName<'static>,
    ) -> io::Result<Self> {
        let connection = ClientConnection::new(Arc::clone(config), name.clone()).map_err(broken)?;
        Ok(Self::new(socket, connection.into(), &[]))
    }

    fn new(socket: Socket, mut connection: Connection, early: &[u8]) -> Self {
        connection.set_buffer_limit(None);
        Self {
            socket,
            connection,
            outbox: Vec::new(),
            sent: 0,
            inbox: early.to_vec(),
            fed: 0,
            eof: false,
            read_dry: false,
        }
    }

    /// The connection, for what was negotiated.
    pub(crate) fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Gives queued ciphertext to the socket.
    fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            self.connection.write_tls(&mut self.outbox)?;
        }
        while self.sent < self.outbox.len() {
            match self.socket.poll_write(cx, &self.outbox[self.sent..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(n)) => self.sent += n,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
        }
        self.sent = 0;
        if self.outbox.capacity() > LANDING_BYTES {
            self.outbox = Vec::new();
        } else {
            self.outbox.clear();
        }
        Poll::Ready(Ok(()))
    }

    /// Feeds what has arrived, reading more only if nothing is left; Ready when something was fed.
    fn poll_feed(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.fed == self.inbox.len() && !self.eof {
            // Memory is taken only for what has arrived.
            if self.socket.poll_readable(cx).is_pending() {
                // An idle connection holds no landing buffer.
                self.inbox = Vec::new();
                self.fed = 0;
                return Poll::Pending;
            }
            self.inbox.resize(LANDING_BYTES, 0);
            self.fed = self.inbox.len();
            let n = match self.socket.poll_read(cx, &mut self.inbox) {
                Poll::Ready(Ok(n)) => n,
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => {
                    // An idle connection holds no landing buffer.
                    self.inbox = Vec::new();
                    self.fed = 0;
                    return Poll::Pending;
                }
            };
            self.inbox.truncate(n);
            self.fed = 0;
            self.eof = n == 0;
        }
        self.read_dry = false;
        let mut rest = &self.inbox[self.fed..];
        loop {
            let taken = self.connection.read_tls(&mut rest)?;
            self.connection.process_new_packets().map_err(broken)?;
            if taken == 0 || rest.is_empty() || !self.connection.wants_read() {
                break;
            }
        }
        self.fed = self.inbox.len() - rest.len();
        Poll::Ready(Ok(()))
    }

    /// Drives the handshake to its end.
    pub(crate) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // A client that does not read its flight yet does not stop us from reading the rest of it.
            let flushed = self.poll_push(cx)?;
            if !self.connection.is_handshaking() {
                return flushed.map(Ok);
            }
            if self.eof && self.fed == self.inbox.len() {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
            match self.poll_feed(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(e)) => {
                    // The alert that says why.
                    let _ = self.poll_push(cx);
                    return Poll::Ready(Err(e));
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.connection.reader().read(buffer) {
                Ok(n) => return Poll::Ready(Ok(n)),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.read_dry = true,
                Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Poll::Ready(Ok(0)),
                Err(e) => return Poll::Ready(Err(e)),
            }
            if self.eof && self.fed == self.inbox.len() {
                return Poll::Ready(Ok(0));
            }
            match self.poll_feed(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
                Poll::Pending => return Poll::Pending,
            }
            if self.connection.wants_write() {
                let _ = self.poll_push(cx)?;
            }
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.poll_push(cx) {
            Poll::Ready(Ok(())) => {}
            Poll::Ready(Err(e)) => return Poll::Ready(Err(e)),
            Poll::Pending => return Poll::Pending,
        }
        let n = self.connection.writer().write(bytes)?;
        // What the socket does not take now is sent before the next write.
        let _ = self.poll_push(cx)?;
        Poll::Ready(Ok(n))
    }
}

impl Stream {
    pub(crate) fn poll_read(&mut self, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_read(cx, buffer),
            Self::Tls(tls) => tls.poll_read(cx, buffer),
        }
    }

    pub(crate) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self {
            Self::Plain(socket) => socket.poll_write(cx, bytes),
            Self::Tls(tls) => tls.poll_write(cx, bytes),
        }
    }

    /// Gives the socket what a write left in the TLS layer.
    pub(crate) fn poll_push(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(_) => Poll::Ready(Ok(())),
            Self::Tls(tls) => tls.poll_push(cx),
        }
    }

    /// Waits until everything written has been given to the kernel.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self {
            Self::Plain(socket) => socket.poll_flush(cx),
            Self::Tls(tls) => match tls.poll_push(cx) {
                Poll::Ready(Ok(())) => tls.socket.poll_flush(cx),
                other => other,
            },
        }
    }

    /// Whether a read is worth trying; if not, the task is woken when it is.
    pub(crate) fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Plain(socket) => socket.poll_readable(cx),
            Self::Tls(tls) if tls.read_dry && tls.fed == tls.inbox.len() && !tls.eof => tls.socket.poll_readable(cx),
            Self::Tls(_) => Poll::Ready(()),
        }
    }

    /// Bytes, the end or an error have arrived that no read has seen.
    pub(crate) fn has_arrived(&self) -> bool {
        match self {
            Self::Plain(socket) => socket.has_arrived(),
            Self::Tls(tls) => tls.fed < tls.inbox.len() || tls.eof || tls.socket.has_arrived(),
        }
    }

    /// The certificate that the peer has shown and proved to have the key of.
    pub(crate) fn peer_certificate(&self) -> Option<&[u8]> {
        let Self::Tls(tls) = self else { return None };
        tls.connection.peer_certificates().and_then(<[_]>::first).map(AsRef::as_ref)
    }

    /// What cuts it off from elsewhere.
    pub(crate) fn knife(&self) -> Option<Knife> {
        match self {
            Self::Plain(socket) => socket.knife(),
            Self::Tls(tls) => tls.socket.knife(),
        }
    }

    /// Nothing is written or read any more, not even what was queued.
    pub(crate) fn cut(&mut self) {
        match self {
            Self::Plain(socket) => socket.cut(),
            Self::Tls(tls) => tls.socket.cut(),
        }
    }

    /// Tells the peer that nothing follows (TLS close_notify), as far as it goes at once.
    pub(crate) fn close(&mut self, cx: &mut Context<'_>) {
        if let Self::Tls(tls) = self {
            tls.connection.send_close_notify();
            let _ = tls.poll_push(cx);
        }
    }

    /// Version and suite, or empty.
    pub(crate) fn describe(&self) -> String {
        let Self::Tls(tls) = self else { return String::new() };
        match (tls.connection.protocol_version(), tls.connection.negotiated_cipher_suite()) {
            (Some(version), Some(suite)) => format!("{version:?} {:?}", suite.suite()),
            _ => "TLS".to_owned(),
        }
    }
}
