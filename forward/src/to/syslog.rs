//! Syslog: RFC 5424 messages with octet counting (RFC 5425, RFC 6587), over TLS or, on loopback, plain TCP.
//!
//! The protocol has no acknowledgement. What a connection took and its receiver did not read is lost when it breaks, so
//! after every new connection the last [`WINDOW_BYTES`] are sent again; receivers know events by their ids.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use audit::time;
use rustls::{ClientConfig, ClientConnection, StreamOwned};
use socket2::SockRef;

use super::{SendError, Sink};
use crate::event::Event;
use crate::http::{connect, secure};

/// Bytes that are sent again after a new connection: more than what can be on the way, which is what this side keeps for
/// sending and what Linux keeps for a receiver that does not read (6 MiB at most, unless set otherwise: tcp(7), `tcp_rmem`).
pub const WINDOW_BYTES: u64 = 8 << 20;
/// Bytes that this side keeps for sending; the system takes twice as many for its own book-keeping (socket(7), `SO_SNDBUF`).
/// Without a limit they would grow to some MiB.
const SEND_BUFFER_BYTES: usize = 256 << 10;
/// Longest message; longer ones lose lists and texts, and say so.
const MESSAGE_BYTES_MAX: usize = 8 << 10;
/// Facility "log audit".
const FACILITY: u8 = 13;

/// Where to.
#[derive(Clone, Debug)]
pub struct Syslog {
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// TLS settings; `None` for plain TCP.
    pub tls: Option<Arc<ClientConfig>>,
    /// HOSTNAME of the messages.
    pub hostname: String,
}

enum Connection {
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Plain(TcpStream),
}

impl Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tls(stream) => {
                stream.write_all(bytes)?;
                stream.flush()
            }
            Self::Plain(socket) => socket.write_all(bytes),
        }
    }

    /// Notices a peer that went away: it never has anything to say, so its silence and its end can be told apart.
    fn check(&mut self) -> io::Result<()> {
        let gone = || io::Error::new(io::ErrorKind::ConnectionReset, "the receiver closed the connection");
        let socket = match self {
            Self::Tls(stream) => &stream.sock,
            Self::Plain(socket) => socket,
        };
        socket.set_nonblocking(true)?;
        let looked = match self {
            Self::Tls(stream) => loop {
                match stream.conn.read_tls(&mut stream.sock) {
                    Ok(0) => break Err(gone()),
                    Ok(_) => match stream.conn.process_new_packets() {
                        Ok(state) if state.peer_has_closed() => break Err(gone()),
                        Ok(_) => {}
                        Err(error) => break Err(io::Error::other(error)),
                    },
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break Ok(()),
                    Err(error) => break Err(error),
                }
            },
            Self::Plain(socket) => match socket.read(&mut [0; 512]) {
                Ok(0) => Err(gone()),
                Ok(_) => Ok(()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
                Err(error) => Err(error),
            },
        };
        let socket = match self {
            Self::Tls(stream) => &stream.sock,
            Self::Plain(socket) => socket,
        };
        socket.set_nonblocking(false)?;
        looked
    }
}

/// The sender.
pub(crate) struct Sender {
    to: Syslog,
    connection: Option<Connection>,
    /// There was a connection before, whose last events may be lost.
    lost: bool,
    /// Bytes that connections took.
    taken: u64,
}

impl Sender {
    pub(crate) fn new(to: Syslog) -> Self {
        Self { to, connection: None, lost: false, taken: 0 }
    }

    fn connection(&mut self) -> Result<&mut Connection, SendError> {
        if self.connection.is_none() {
            if std::mem::take(&mut self.lost) {
                return Err(SendError::Lost);
            }
            let connected = connect(&self.to.host, self.to.port).and_then(|socket| {
                SockRef::from(&socket).set_send_buffer_size(SEND_BUFFER_BYTES)?;
                match &self.to.tls {
                    Some(config) => Ok(Connection::Tls(Box::new(secure(socket, &self.to.host, config)?))),
                    None => Ok(Connection::Plain(socket)),
                }
            });
            self.connection = Some(connected.map_err(|error| SendError::Retry(error.to_string()))?);
        }
        self.connection.as_mut().ok_or(SendError::Lost)
    }
}

impl Sink for Sender {
    fn send(&mut self, batch: &[Event]) -> Result<(), SendError> {
        let hostname = self.to.hostname.clone();
        let mut bytes = Vec::new();
        for event in batch {
            let message = message(event, &hostname);
            bytes.extend_from_slice(format!("{} ", message.len()).as_bytes());
            bytes.extend_from_slice(message.as_bytes());
        }
        let connection = self.connection()?;
        connection.check().and_then(|()| connection.write(&bytes)).map_err(|error| {
            (self.connection, self.lost) = (None, true);
            SendError::Retry(error.to_string())
        })?;
        self.taken += bytes.len() as u64;
        Ok(())
    }

    fn taken(&self) -> u64 {
        self.taken
    }

    fn unacknowledged(&self) -> u64 {
        WINDOW_BYTES
    }
}

/// The message of an event.
pub(crate) fn message(event: &Event, hostname: &str) -> String {
    let priority = u16::from(FACILITY) * 8 + u16::from(event.severity);
    let time = time::format(event.wall_ns, 6);
    let origin = event.fields.get("origin").and_then(|origin| origin.as_str()).unwrap_or_default();
    let mut head = format!("<{priority}>1 {time} {} tidegate - {} ", header_word(hostname, 255), event.kind);
    head.push_str(&format!(
        "[tidegate@32473 id=\"{}\" origin=\"{}\" core=\"{}\" sequence=\"{}\"] ",
        parameter(&event.id),
        parameter(origin),
        event.core,
        event.sequence
    ));
    let mut body = event.json();
    if head.len() + body.len() > MESSAGE_BYTES_MAX {
        let mut short = event.clone();
        for field in ["text", "text_hex", "findings", "masked", "clear", "tables"] {
            short.fields.remove(field);
        }
        short.fields.insert("truncated".to_owned(), serde_json::Value::from(true));
        body = short.json();
    }
    head + &body
}

/// A word of the header: printable ASCII without spaces.
fn header_word(text: &str, most: usize) -> String {
    let word: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if word.is_empty() { "-".to_owned() } else { word }
}

/// A parameter's value: RFC 5424 escapes three characters.
fn parameter(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '"' | '\\' | ']') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Map, Value};

    #[test]
    fn messages_keep_to_the_grammar_and_the_length() {
        let mut fields = Map::new();
        fields.insert("origin".to_owned(), Value::from("a\"b]c\\d"));
        fields.insert("tables".to_owned(), Value::from("x".repeat(20_000)));
        let event = Event {
            core: 1,
            sequence: 2,
            wall_ns: 1_795_335_274_123_456_789,
            kind: "STMT_BLOCK",
            severity: 4,
            id: "o:1:2".to_owned(),
            fields,
        };
        let text = message(&event, "gate way\n1");
        assert!(
            text.starts_with("<108>1 2026-11-22T08:14:34.123456Z gateway1 tidegate - STMT_BLOCK [tidegate@32473 id=\"o:1:2\" origin=\"a\\\"b\\]c\\\\d\" core=\"1\" sequence=\"2\"] {"),
            "{text}"
        );
        assert!(text.len() < MESSAGE_BYTES_MAX && text.contains("\"truncated\":true"));
    }
}
