//! A client that costs next to nothing: it logs in, sends a statement and walks the answer's frames without decoding them.
//!
//! Bulk figures measure the proxy only if the client keeps up: values are looked at in the first row alone, and an answer
//! whose length is known is thrown away inside the kernel. Keys derived from a password are kept, so that a login costs
//! the server what it costs and the client little. Deliberately absent: error recovery; an error ends the measurement.

use std::{
    fmt,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::BytesMut;
use postgres::scram::{self, ClientKeys, Offered};
use postgres_protocol::{IsNull, authentication::md5_hash, message::frontend};
use rustix::net::RecvFlags;
use rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};
use zeroize::Zeroizing;

use crate::failure::{Doing, Result};

const READ_BYTES: usize = 256 << 10;
/// Most bytes thrown away by one call.
const DRAIN_BYTES: usize = 4 << 20;
/// Rows whose values are kept.
pub const EARLY_ROWS: u64 = 20;
/// No single answer of the harness takes longer.
const TIMEOUT: Duration = Duration::from_secs(120);
/// Longest frame outside of an answer.
const FRAME_BYTES_MAX: usize = 64 << 20;
/// SSLRequest, protocol-message-formats.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// Where to log in and as whom.
#[derive(Clone)]
pub struct Login {
    /// Address.
    pub address: SocketAddr,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Database.
    pub database: String,
    /// TLS, where it is wanted.
    pub tls: Option<Arc<ClientConfig>>,
    keys: Arc<Mutex<ClientKeys>>,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}/{}", self.user, self.address, self.database)
    }
}

impl Login {
    /// One without TLS.
    #[must_use]
    pub fn new(address: SocketAddr, user: &str, password: &str, database: &str) -> Self {
        Self {
            address,
            user: user.to_owned(),
            password: password.to_owned(),
            database: database.to_owned(),
            tls: None,
            keys: Arc::new(Mutex::new(ClientKeys::new(Zeroizing::new(password.as_bytes().to_vec())))),
        }
    }

    /// The same user elsewhere, whose salt may be another.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self { tls: self.tls.clone(), ..Self::new(address, &self.user, &self.password, &self.database) }
    }

    /// The same with another database.
    #[must_use]
    pub fn on(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// The same over TLS.
    #[must_use]
    pub fn secured(&self, config: &Arc<ClientConfig>) -> Self {
        Self { tls: Some(Arc::clone(config)), ..self.clone() }
    }
}

/// A connection, secured or not.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

impl Stream {
    /// The socket.
    #[must_use]
    pub fn socket(&self) -> &TcpStream {
        match self {
            Self::Plain(socket) => socket,
            Self::Tls(stream) => &stream.sock,
        }
    }

    /// Version and suite of its TLS.
    #[must_use]
    pub fn secured(&self) -> Option<String> {
        let Self::Tls(stream) = self else { return None };
        let (version, suite) = (stream.conn.protocol_version()?, stream.conn.negotiated_cipher_suite()?.suite());
        Some(format!("{version:?} {suite:?}"))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(socket) => socket.write(bytes),
            Self::Tls(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(_) => Ok(()),
            Self::Tls(stream) => stream.flush(),
        }
    }
}

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Text, by the simple protocol.
    Text,
    /// Binary, by the extended protocol.
    Binary,
}

/// What an answer held.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// Bytes of all frames.
    pub bytes: u64,
    /// Rows, those of a COPY included.
    pub rows: u64,
    /// Values of the first row.
    pub first: Vec<Option<Vec<u8>>>,
    /// Values of the first rows, as many as [`EARLY_ROWS`].
    pub early: Vec<Vec<Option<Vec<u8>>>>,
}

/// A session.
#[derive(Debug)]
pub struct Client {
    /// Its connection.
    pub stream: Stream,
    /// What the server said of itself while logging in: whole ParameterStatus frames.
    pub parameters: Vec<u8>,
}

impl Client {
    /// Logs in.
    ///
    /// # Errors
    /// No connection, or the login was refused.
    pub fn login(login: &Login) -> Result<Self> {
        let socket = TcpStream::connect_timeout(&login.address, Duration::from_secs(10))
            .doing(format!("connect to {}", login.address))?;
        socket.set_nodelay(true).doing("set TCP_NODELAY")?;
        socket.set_read_timeout(Some(TIMEOUT)).doing("set a time limit")?;
        socket.set_write_timeout(Some(TIMEOUT)).doing("set a time limit")?;
        let stream = match &login.tls {
            Some(config) => secure(socket, login.address, config)?,
            None => Stream::Plain(socket),
        };
        let mut client = Self { stream, parameters: Vec::new() };
        let mut out = BytesMut::new();
        let parameters =
            [("user", login.user.as_str()), ("database", login.database.as_str()), ("application_name", "load")];
        frontend::startup_message(parameters, &mut out).doing("write the startup frame")?;
        client.send(&out)?;
        client.authenticate(login)?;
        Ok(client)
    }

    fn authenticate(&mut self, login: &Login) -> Result<()> {
        let mut exchange: Option<scram::Client> = None;
        loop {
            let (tag, body) = self.frame()?;
            let mut out = BytesMut::new();
            match (tag, body.get(..4)) {
                (b'R', Some([0, 0, 0, 10])) => {
                    let offered = Offered::parse(&body[4..]).doing("log in")?;
                    let mut nonce = [0; 18];
                    getrandom::fill(&mut nonce).doing("draw a nonce")?;
                    let mut begun = scram::Client::new(nonce, None);
                    let (mechanism, first) = begun.client_first(offered).doing("log in")?;
                    frontend::sasl_initial_response(mechanism.name(), &first, &mut out).doing("log in")?;
                    exchange = Some(begun);
                }
                (b'R', Some([0, 0, 0, 11])) => {
                    let exchange = exchange.as_mut().ok_or("the server continues a login nobody began")?;
                    let mut keys = login.keys.lock().unwrap_or_else(PoisonError::into_inner);
                    let last = exchange.server_first(&body[4..], &mut keys).doing("log in")?;
                    frontend::sasl_response(&last, &mut out).doing("log in")?;
                }
                (b'R', Some([0, 0, 0, 12])) => {
                    exchange
                        .as_mut()
                        .ok_or("the server ends a login nobody began")?
                        .server_final(&body[4..])
                        .doing("log in")?;
                }
                (b'R', Some([0, 0, 0, 5])) => {
                    let salt = body.get(4..8).and_then(|s| s.first_chunk()).ok_or("a login without a salt")?;
                    let hash = md5_hash(login.user.as_bytes(), login.password.as_bytes(), *salt);
                    frontend::password_message(hash.as_bytes(), &mut out).doing("log in")?;
                }
                (b'S', _) => {
                    self.parameters.push(tag);
                    let length = u32::try_from(body.len() + 4).doing("read a parameter")?;
                    self.parameters.extend(length.to_be_bytes());
                    self.parameters.extend(body);
                }
                (b'R', Some([0, 0, 0, 0])) | (b'K' | b'N', _) => {}
                (b'Z', _) => return Ok(()),
                (b'E', _) => return Err(format!("the login was refused: {}", error_text(&body)).into()),
                _ => return Err(format!("frame {:?} during the login", char::from(tag)).into()),
            }
            self.send(&out)?;
        }
    }

    /// Runs a statement and reads its whole answer.
    ///
    /// # Errors
    /// The connection, or the database's error.
    pub fn run(&mut self, text: &str, format: Format) -> Result<Answer> {
        let mut out = BytesMut::new();
        let written = match format {
            Format::Text => frontend::query(text, &mut out),
            Format::Binary => frontend::parse("", text, [], &mut out)
                .and_then(|()| {
                    let none = std::iter::empty::<()>;
                    frontend::bind("", "", [], none(), |(), _| Ok(IsNull::Yes), [1], &mut out)
                        .map_err(|_| io::Error::other("bind"))
                })
                .and_then(|()| frontend::execute("", 0, &mut out))
                .map(|()| frontend::sync(&mut out)),
        };
        written.doing("write the statement")?;
        self.send(&out)?;
        self.answer()
    }

    /// Reads the whole answer of what was sent.
    ///
    /// # Errors
    /// The connection, or the database's error.
    pub fn answer(&mut self) -> Result<Answer> {
        let mut walk = Walk::default();
        let mut buffer = vec![0; READ_BYTES];
        while !walk.ready {
            let n = self.stream.read(&mut buffer).doing("read the answer")?;
            if n == 0 {
                return Err("the connection was closed in the middle of an answer".into());
            }
            walk.feed(&buffer[..n]);
        }
        match walk.error {
            Some(body) => Err(format!("the statement failed: {}", error_text(&body)).into()),
            None => Ok(walk.answer),
        }
    }

    /// Runs a statement whose answer has this many bytes, and throws the answer away: without TLS it is not even copied
    /// out of the kernel.
    ///
    /// # Errors
    /// The connection; an answer that ends early is noticed by the time limit, one that is longer by the next statement.
    pub fn run_known(&mut self, request: &[u8], bytes: u64, scratch: &mut Vec<u8>) -> Result<()> {
        self.send(request)?;
        scratch.resize(DRAIN_BYTES, 0);
        let mut left = bytes;
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(DRAIN_BYTES);
            let n = match &mut self.stream {
                Stream::Plain(socket) => {
                    // tcp(7): with MSG_TRUNC the bytes are discarded.
                    rustix::net::recv(&*socket, &mut scratch[..most], RecvFlags::TRUNC)
                        .map(|(_, n)| n)
                        .map_err(io::Error::from)
                }
                Stream::Tls(stream) => stream.read(&mut scratch[..most]),
            };
            match n.doing("read the answer")? {
                0 => return Err("the connection was closed in the middle of an answer".into()),
                n => left -= n.min(most) as u64,
            }
        }
        Ok(())
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).and_then(|()| self.stream.flush()).doing("send")
    }

    /// Reads one frame: its tag and its body.
    ///
    /// # Errors
    /// The connection, or a frame of an impossible length.
    pub fn frame(&mut self) -> Result<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header).doing("read a frame")?;
        let len = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let len = len.checked_sub(4).map(|n| n as usize).filter(|n| *n < FRAME_BYTES_MAX);
        let mut body = vec![0; len.ok_or("a frame of an impossible length")?];
        self.stream.read_exact(&mut body).doing("read a frame")?;
        Ok((header[0], body))
    }
}

fn secure(mut socket: TcpStream, address: SocketAddr, config: &Arc<ClientConfig>) -> Result<Stream> {
    socket.write_all(&SSL_REQUEST).doing("ask for TLS")?;
    let mut answer = [0];
    socket.read_exact(&mut answer).doing("ask for TLS")?;
    if answer != *b"S" {
        return Err(format!("{address} has no TLS").into());
    }
    let connection =
        ClientConnection::new(Arc::clone(config), ServerName::IpAddress(address.ip().into())).doing("begin TLS")?;
    Ok(Stream::Tls(Box::new(StreamOwned::new(connection, socket))))
}

/// Frames of an answer, wherever the reads cut them.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    header: [u8; 5],
    have: usize,
    /// Bytes of the present frame's body that have not come.
    left: usize,
    /// The body, where it is wanted.
    kept: Option<Vec<u8>>,
    answer: Answer,
    /// Body of the error, if one came.
    pub(crate) error: Option<Vec<u8>>,
    /// The answer is complete.
    pub(crate) ready: bool,
}

impl Walk {
    /// Rows so far.
    pub(crate) const fn rows(&self) -> u64 {
        self.answer.rows
    }

    /// Takes bytes of the answer.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        self.answer.bytes += bytes.len() as u64;
        while !bytes.is_empty() {
            if self.have < 5 {
                let n = bytes.len().min(5 - self.have);
                self.header[self.have..self.have + n].copy_from_slice(&bytes[..n]);
                self.have += n;
                bytes = &bytes[n..];
                if self.have < 5 {
                    return;
                }
                self.begin();
            }
            let n = bytes.len().min(self.left);
            if let Some(kept) = &mut self.kept {
                kept.extend_from_slice(&bytes[..n]);
            }
            self.left -= n;
            bytes = &bytes[n..];
            if self.left == 0 {
                self.end();
            }
        }
    }

    fn keep(&mut self, row: Vec<Option<Vec<u8>>>) {
        if self.answer.early.is_empty() {
            self.answer.first.clone_from(&row);
        }
        self.answer.early.push(row);
    }

    fn begin(&mut self) {
        let [tag, len @ ..] = self.header;
        self.left = (u32::from_be_bytes(len) as usize).saturating_sub(4);
        self.kept = match tag {
            b'D' | b'd' if self.answer.rows < EARLY_ROWS => Some(Vec::new()),
            b'E' => Some(Vec::new()),
            _ => None,
        };
        if self.left == 0 {
            self.end();
        }
    }

    fn end(&mut self) {
        self.have = 0;
        match self.header[0] {
            b'D' => {
                self.answer.rows += 1;
                if let Some(body) = self.kept.take() {
                    self.keep(values(&body).unwrap_or_default());
                }
            }
            b'd' => {
                self.answer.rows += 1;
                if let Some(line) = self.kept.take() {
                    let line = line.strip_suffix(b"\n").unwrap_or(&line);
                    self.keep(line.split(|b| *b == b'\t').map(|value| Some(value.to_vec())).collect());
                }
            }
            b'E' => self.error = self.kept.take(),
            b'Z' => self.ready = true,
            _ => {}
        }
    }
}

fn values(row: &[u8]) -> Option<Vec<Option<Vec<u8>>>> {
    let (count, mut rest) = row.split_first_chunk::<2>()?;
    let mut values = Vec::new();
    for _ in 0..u16::from_be_bytes(*count) {
        let (len, after) = rest.split_first_chunk::<4>()?;
        let len = i32::from_be_bytes(*len);
        match usize::try_from(len) {
            Ok(len) => {
                values.push(Some(after.get(..len)?.to_vec()));
                rest = &after[len..];
            }
            Err(_) => {
                values.push(None);
                rest = after;
            }
        }
    }
    Some(values)
}

/// Code and message of an error frame.
#[must_use]
pub fn error_text(body: &[u8]) -> String {
    body.split(|b| *b == 0)
        .filter_map(|field| match field.split_first() {
            Some((b'C' | b'M', text)) => Some(String::from_utf8_lossy(text).into_owned()),
            _ => None,
        })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_wherever_the_reads_cut_them() {
        let mut bytes = vec![b'D', 0, 0, 0, 15, 0, 2, 0, 0, 0, 1, b'x', 0xff, 0xff, 0xff, 0xff];
        bytes.extend([b'D', 0, 0, 0, 6, 0, 0]);
        bytes.extend(*b"C\0\0\0\x0dSELECT 2\0");
        bytes.extend(*b"Z\0\0\0\x05I");
        for cut in 1..bytes.len() {
            let mut walk = Walk::default();
            walk.feed(&bytes[..cut]);
            assert!(!walk.ready);
            walk.feed(&bytes[cut..]);
            assert!(walk.ready);
            assert_eq!(walk.answer.rows, 2);
            assert_eq!(walk.answer.bytes, bytes.len() as u64);
            assert_eq!(walk.answer.first, vec![Some(b"x".to_vec()), None]);
        }
    }
}
