//! A client that costs next to nothing: it logs in, sends a statement and walks the answer's frames without decoding them.
//!
//! Bulk figures measure the proxy only if the client keeps up, so values are looked at in the first row alone. Deliberately
//! absent: TLS, COPY, and any error recovery; an error of the database ends the measurement.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bytes::BytesMut;
use postgres_protocol::{
    IsNull,
    authentication::sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
    message::frontend,
};

use crate::failure::{Doing, Result};

const READ_BYTES: usize = 256 << 10;
/// No single answer of the harness takes longer.
const TIMEOUT: Duration = Duration::from_secs(120);

/// Where to log in and as whom.
#[derive(Clone, Debug)]
pub struct Login {
    /// Address.
    pub address: SocketAddr,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Database.
    pub database: String,
}

/// Values in text or binary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Rows.
    pub rows: u64,
    /// Values of the first row.
    pub first: Vec<Option<Vec<u8>>>,
}

/// A session.
#[derive(Debug)]
pub struct Client {
    stream: TcpStream,
}

impl Client {
    /// Logs in.
    ///
    /// # Errors
    /// No connection, or the login was refused.
    pub fn login(login: &Login) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&login.address, Duration::from_secs(10))
            .doing(format!("connect to {}", login.address))?;
        stream.set_nodelay(true).doing("set TCP_NODELAY")?;
        stream.set_read_timeout(Some(TIMEOUT)).doing("set a time limit")?;
        stream.set_write_timeout(Some(TIMEOUT)).doing("set a time limit")?;
        let mut client = Self { stream };
        let mut out = BytesMut::new();
        let parameters =
            [("user", login.user.as_str()), ("database", login.database.as_str()), ("application_name", "load")];
        frontend::startup_message(parameters, &mut out).doing("write the startup frame")?;
        client.send(&out)?;
        client.authenticate(&login.password)?;
        Ok(client)
    }

    fn authenticate(&mut self, password: &str) -> Result<()> {
        let mut scram: Option<ScramSha256> = None;
        loop {
            let (tag, body) = self.frame()?;
            let mut out = BytesMut::new();
            match (tag, body.get(..4)) {
                (b'R', Some([0, 0, 0, 10])) => {
                    let exchange = ScramSha256::new(password.as_bytes(), ChannelBinding::unsupported());
                    frontend::sasl_initial_response(SCRAM_SHA_256, exchange.message(), &mut out).doing("log in")?;
                    scram = Some(exchange);
                }
                (b'R', Some([0, 0, 0, 11])) => {
                    let exchange = scram.as_mut().ok_or("the server continues a login nobody began")?;
                    exchange.update(&body[4..]).doing("log in")?;
                    frontend::sasl_response(exchange.message(), &mut out).doing("log in")?;
                }
                (b'R', Some([0, 0, 0, 12])) => {
                    scram.as_mut().ok_or("the server ends a login nobody began")?.finish(&body[4..]).doing("log in")?;
                }
                (b'R', Some([0, 0, 0, 0])) | (b'S' | b'K' | b'N', _) => {}
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
                        .map_err(|_| std::io::Error::other("bind"))
                })
                .and_then(|()| frontend::execute("", 0, &mut out))
                .map(|()| frontend::sync(&mut out)),
        };
        written.doing("write the statement")?;
        self.send(&out)?;
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

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).doing("send")
    }

    fn frame(&mut self) -> Result<(u8, Vec<u8>)> {
        let mut header = [0; 5];
        self.stream.read_exact(&mut header).doing("read a frame")?;
        let len = u32::from_be_bytes([header[1], header[2], header[3], header[4]]);
        let len = len.checked_sub(4).filter(|n| *n < 1 << 20).ok_or("a frame of an impossible length")?;
        let mut body = vec![0; len as usize];
        self.stream.read_exact(&mut body).doing("read a frame")?;
        Ok((header[0], body))
    }
}

/// Frames of an answer, wherever the reads cut them.
#[derive(Debug, Default)]
struct Walk {
    header: [u8; 5],
    have: usize,
    /// Bytes of the present frame's body that have not come.
    left: usize,
    /// The body, where it is wanted.
    kept: Option<Vec<u8>>,
    answer: Answer,
    error: Option<Vec<u8>>,
    ready: bool,
}

impl Walk {
    fn feed(&mut self, mut bytes: &[u8]) {
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

    fn begin(&mut self) {
        let [tag, len @ ..] = self.header;
        self.left = (u32::from_be_bytes(len) as usize).saturating_sub(4);
        self.kept = match tag {
            b'D' if self.answer.rows == 0 => Some(Vec::new()),
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
                    self.answer.first = values(&body).unwrap_or_default();
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
fn error_text(body: &[u8]) -> String {
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
