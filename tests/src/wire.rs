//! A client of our own for PostgreSQL's wire protocol: it sends any bytes in any order and hands back replies frame by frame.
//!
//! It exists to say what no driver would, and to compare replies to the byte. Login is proper (SCRAM, md5, clear text), so
//! the interesting part starts after it. Reads have a deadline: a peer that says nothing fails the test instead of hanging it.

use crate::{endpoint::Endpoint, process::PATIENCE};
use postgres_protocol::authentication::{
    md5_hash,
    sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
};
use std::{
    fmt,
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    time::Duration,
};

/// One frame from the server.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// Type byte.
    pub tag: u8,
    /// Everything after the length.
    pub body: Vec<u8>,
}

impl Frame {
    /// The frame as it was on the wire.
    pub fn bytes(&self) -> Vec<u8> {
        frame(self.tag, &self.body)
    }

    /// A field of an ErrorResponse or NoticeResponse: `C` SQLSTATE, `M` message, `D` detail, `H` hint, `S` severity.
    pub fn field(&self, code: u8) -> Option<String> {
        let fields = self.body.split(|&b| b == 0);
        fields.filter(|field| field.first() == Some(&code)).map(|field| text(&field[1..])).next()
    }

    /// Values of a DataRow; `None` is NULL.
    pub fn values(&self) -> Vec<Option<Vec<u8>>> {
        assert_eq!(self.tag, b'D', "{self:?}");
        let mut rest = &self.body[2..];
        let mut values = Vec::new();
        while !rest.is_empty() {
            let length = i32::from_be_bytes(rest[..4].try_into().unwrap());
            rest = &rest[4..];
            values.push((length >= 0).then(|| {
                let (value, after) = rest.split_at(length as usize);
                rest = after;
                value.to_vec()
            }));
        }
        values
    }
}

impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.body[..self.body.len().min(160)];
        write!(f, "{}[{}] {:?}", char::from(self.tag), self.body.len(), text(shown))
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

trait Transport: Read + Write + Send {}
impl<T: Read + Write + Send> Transport for T {}

/// A connection.
pub struct Wire {
    transport: Box<dyn Transport>,
    socket: TcpStream,
    /// Parameters reported at login, in order.
    pub parameters: Vec<(String, String)>,
    /// Process id and secret key for cancelling.
    pub key: Vec<u8>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wire({:?})", self.socket.peer_addr())
    }
}

impl Wire {
    /// Opens a connection and sends nothing.
    pub fn open(port: u16) -> Self {
        let socket = TcpStream::connect(("127.0.0.1", port)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { transport: Box::new(socket.try_clone().unwrap()), socket, parameters: Vec::new(), key: Vec::new() }
    }

    /// Opens a connection and logs in.
    #[track_caller]
    pub fn login(endpoint: &Endpoint) -> Self {
        let mut wire = Self::open(endpoint.port);
        let refused = wire.try_login(endpoint, &[]);
        assert!(refused.is_none(), "login refused: {refused:?}");
        wire
    }

    /// The error that a login ends with, if it does.
    #[track_caller]
    pub fn login_error(endpoint: &Endpoint) -> Option<Frame> {
        Self::open(endpoint.port).try_login(endpoint, &[])
    }

    /// Logs in with extra startup parameters; an ErrorResponse is returned.
    pub fn try_login(&mut self, endpoint: &Endpoint, extra: &[(&str, &str)]) -> Option<Frame> {
        let mut parameters = vec![("user", &*endpoint.user), ("database", &*endpoint.database)];
        parameters.extend_from_slice(extra);
        self.send(&startup(0x0003_0000, &parameters));
        self.authenticate(endpoint)
    }

    /// Answers whatever authentication the server asks for, then reads to ReadyForQuery.
    pub fn authenticate(&mut self, endpoint: &Endpoint) -> Option<Frame> {
        let mut scram = None;
        loop {
            let reply = self.read().expect("the connection was closed during login");
            match reply.tag {
                b'E' => return Some(reply),
                b'R' => match u32::from_be_bytes(reply.body[..4].try_into().unwrap()) {
                    0 => {}
                    3 => self.send(&frame(b'p', &zero(&endpoint.password))),
                    5 => {
                        let salt = reply.body[4..8].try_into().unwrap();
                        let hash = md5_hash(endpoint.user.as_bytes(), endpoint.password.as_bytes(), salt);
                        self.send(&frame(b'p', &zero(&hash)));
                    }
                    10 => {
                        let client = ScramSha256::new(endpoint.password.as_bytes(), ChannelBinding::unsupported());
                        let mut body = zero(SCRAM_SHA_256);
                        body.extend((client.message().len() as u32).to_be_bytes());
                        body.extend(client.message());
                        self.send(&frame(b'p', &body));
                        scram = Some(client);
                    }
                    11 => {
                        let client = scram.as_mut().expect("SASL continues before it began");
                        client.update(&reply.body[4..]).unwrap();
                        let body = client.message().to_vec();
                        self.send(&frame(b'p', &body));
                    }
                    12 => scram.take().expect("SASL ends before it began").finish(&reply.body[4..]).unwrap(),
                    other => panic!("authentication request {other}"),
                },
                b'S' => {
                    let mut parts = reply.body.split(|&b| b == 0);
                    self.parameters.push((text(parts.next().unwrap()), text(parts.next().unwrap())));
                }
                b'K' => self.key = reply.body,
                b'Z' => return None,
                b'N' | b'v' => {}
                other => panic!("unexpected frame {:?} during login", char::from(other)),
            }
        }
    }

    /// Sends bytes as they are. A peer that has closed already is found out by the next read.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.transport.write_all(bytes).and_then(|()| self.transport.flush());
    }

    /// Sends bytes and says whether the peer still takes them.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn try_send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.transport.write_all(bytes)?;
        self.transport.flush()
    }

    /// Exactly so many raw bytes; `None` if the connection ends first.
    pub fn raw(&mut self, count: usize) -> Option<Vec<u8>> {
        let mut bytes = vec![0; count];
        match self.transport.read_exact(&mut bytes) {
            Ok(()) => Some(bytes),
            Err(error) if timed_out(&error) => panic!("no answer within {PATIENCE:?}"),
            Err(_) => None,
        }
    }

    /// The next frame; `None` when the peer has closed.
    #[track_caller]
    pub fn read(&mut self) -> Option<Frame> {
        let head = self.raw(5)?;
        let length = u32::from_be_bytes(head[1..5].try_into().unwrap());
        assert!(length >= 4, "a frame of length {length}");
        let body = self.raw(length as usize - 4)?;
        Some(Frame { tag: head[0], body })
    }

    /// The next frame, if it begins before the patience ends.
    #[track_caller]
    pub fn try_read(&mut self) -> Option<Frame> {
        let mut head = [0; 5];
        self.transport.read_exact(&mut head).ok()?;
        let length = u32::from_be_bytes(head[1..5].try_into().unwrap());
        let body = self.raw(length as usize - 4)?;
        Some(Frame { tag: head[0], body })
    }

    /// Frames up to and including the `count`-th ReadyForQuery, or to the end of the connection.
    #[track_caller]
    pub fn until_ready(&mut self, count: usize) -> Vec<Frame> {
        let mut frames = Vec::new();
        let mut ready = 0;
        while ready < count {
            let Some(frame) = self.read() else { break };
            ready += usize::from(frame.tag == b'Z');
            frames.push(frame);
        }
        frames
    }

    /// Sends a simple query and reads its whole answer.
    #[track_caller]
    pub fn query(&mut self, sql: &str) -> Vec<Frame> {
        self.send(&query(sql));
        self.until_ready(1)
    }

    /// Everything the peer still sends until it closes. Panics if it does not close.
    #[track_caller]
    pub fn to_end(&mut self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self.transport.read_to_end(&mut bytes) {
            Err(error) if timed_out(&error) => panic!("still open after {PATIENCE:?}; so far {:?}", text(&bytes)),
            _ => bytes,
        }
    }

    /// Whether the peer closes within the deadline, whatever it sends before.
    pub fn closes(&mut self) -> bool {
        let mut block = [0; 4096];
        loop {
            match self.transport.read(&mut block) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return !timed_out(&error),
            }
        }
    }

    /// Changes how long reads wait.
    pub fn patience(&mut self, limit: Duration) {
        self.socket.set_read_timeout(Some(limit)).unwrap();
    }

    /// Makes the kernel's receive buffer small, so that not reading is felt soon.
    pub fn small_window(&self) {
        socket2::SockRef::from(&self.socket).set_recv_buffer_size(4096).unwrap();
    }

    /// Closes the sending half.
    pub fn half_close(&self) {
        let _ = self.socket.shutdown(Shutdown::Write);
    }

    /// Replaces the plain transport by TLS on the same socket, after the peer agreed.
    pub fn start_tls(&mut self, config: rustls::ClientConfig) {
        let name = "localhost".try_into().unwrap();
        let session = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
        self.transport = Box::new(rustls::StreamOwned::new(session, self.socket.try_clone().unwrap()));
    }
}

fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// A frame with a type byte.
pub fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![tag];
    bytes.extend((body.len() as u32 + 4).to_be_bytes());
    bytes.extend(body);
    bytes
}

/// A frame without a type byte: startup, cancel, SSLRequest.
pub fn untagged(body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 4).to_be_bytes().to_vec();
    bytes.extend(body);
    bytes
}

/// Text with its terminating zero.
pub fn zero(text: &str) -> Vec<u8> {
    let mut bytes = text.as_bytes().to_vec();
    bytes.push(0);
    bytes
}

/// A startup packet.
pub fn startup(version: u32, parameters: &[(&str, &str)]) -> Vec<u8> {
    let mut body = version.to_be_bytes().to_vec();
    for (name, value) in parameters {
        body.extend(zero(name));
        body.extend(zero(value));
    }
    body.push(0);
    untagged(&body)
}

/// SSLRequest.
pub fn ssl_request() -> Vec<u8> {
    untagged(&80_877_103_u32.to_be_bytes())
}

/// GSSENCRequest.
pub fn gss_request() -> Vec<u8> {
    untagged(&80_877_104_u32.to_be_bytes())
}

/// CancelRequest for a BackendKeyData body.
pub fn cancel_request(key: &[u8]) -> Vec<u8> {
    let mut body = 80_877_102_u32.to_be_bytes().to_vec();
    body.extend(key);
    untagged(&body)
}

/// Query.
pub fn query(sql: &str) -> Vec<u8> {
    frame(b'Q', &zero(sql))
}

/// Parse, without parameter types.
pub fn parse(name: &str, sql: &str) -> Vec<u8> {
    parse_typed(name, sql, &[])
}

/// Parse with parameter types.
pub fn parse_typed(name: &str, sql: &str, types: &[u32]) -> Vec<u8> {
    let mut body = zero(name);
    body.extend(zero(sql));
    body.extend((types.len() as u16).to_be_bytes());
    types.iter().for_each(|oid| body.extend(oid.to_be_bytes()));
    frame(b'P', &body)
}

/// Bind with text parameters and one result format for all columns (0 text, 1 binary).
pub fn bind(portal: &str, statement: &str, values: &[Option<&str>], format: u16) -> Vec<u8> {
    let mut body = zero(portal);
    body.extend(zero(statement));
    body.extend(0_u16.to_be_bytes());
    body.extend((values.len() as u16).to_be_bytes());
    for value in values {
        match value {
            None => body.extend((-1_i32).to_be_bytes()),
            Some(value) => {
                body.extend((value.len() as u32).to_be_bytes());
                body.extend(value.as_bytes());
            }
        }
    }
    body.extend(1_u16.to_be_bytes());
    body.extend(format.to_be_bytes());
    frame(b'B', &body)
}

/// Describe; `kind` is `S` or `P`.
pub fn describe(kind: u8, name: &str) -> Vec<u8> {
    let mut body = vec![kind];
    body.extend(zero(name));
    frame(b'D', &body)
}

/// Execute with a row limit; 0 is none.
pub fn execute(portal: &str, rows: u32) -> Vec<u8> {
    let mut body = zero(portal);
    body.extend(rows.to_be_bytes());
    frame(b'E', &body)
}

/// Close; `kind` is `S` or `P`.
pub fn close(kind: u8, name: &str) -> Vec<u8> {
    let mut body = vec![kind];
    body.extend(zero(name));
    frame(b'C', &body)
}

/// Sync.
pub fn sync() -> Vec<u8> {
    frame(b'S', &[])
}

/// Flush.
pub fn flush() -> Vec<u8> {
    frame(b'H', &[])
}

/// Type bytes of frames, for short comparisons: `"TDDCZ"`.
pub fn tags(frames: &[Frame]) -> String {
    frames.iter().map(|frame| char::from(frame.tag)).collect()
}

/// The first ErrorResponse.
pub fn error(frames: &[Frame]) -> Option<&Frame> {
    frames.iter().find(|frame| frame.tag == b'E')
}

/// All bytes of these frames.
pub fn bytes(frames: &[Frame]) -> Vec<u8> {
    frames.iter().flat_map(Frame::bytes).collect()
}
