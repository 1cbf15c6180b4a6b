//! As much of HTTP/1.1 as posting a batch needs: one request, one answer, one connection, over TCP or TLS.
//!
//! Answers are bounded in size and time. No redirects: a receiver that moved is a change of configuration.

use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, StreamOwned};

/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Longest wait for one read or write.
const WAIT: Duration = Duration::from_secs(30);
/// Largest head of an answer.
const HEAD_BYTES_MAX: usize = 64 << 10;
/// Largest body of an answer.
const BODY_BYTES_MAX: u64 = 1 << 20;

/// Where to post.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// Over TLS.
    pub tls: bool,
    /// Host name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Path and query, beginning with `/`.
    pub path: String,
}

impl Url {
    /// Reads `http://host[:port][/path]` or `https://…`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (tls, rest) = match text.split_once("://") {
            Some(("https", rest)) => (true, rest),
            Some(("http", rest)) => (false, rest),
            Some((other, _)) => return Err(format!("`{other}` is neither http nor https")),
            None => return Err("it does not begin with http:// or https://".to_owned()),
        };
        if rest.bytes().any(|byte| byte <= b' ' || byte == 0x7f || byte == b'#') {
            return Err("it holds spaces, control characters or a fragment".to_owned());
        }
        let (authority, path) = rest.find('/').map_or((rest, "/"), |at| rest.split_at(at));
        if authority.contains('@') {
            return Err("names and passwords do not belong into a URL".to_owned());
        }
        let usual = if tls { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[') {
            Some(inside) => {
                let (host, after) = inside.split_once(']').ok_or("the bracket is not closed")?;
                (host, after.strip_prefix(':'))
            }
            None => authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port))),
        };
        let port = match port {
            None => usual,
            Some(text) => {
                text.parse().ok().filter(|port| *port != 0).ok_or_else(|| format!("`{text}` is not a port"))?
            }
        };
        if host.is_empty() {
            return Err("it names no host".to_owned());
        }
        Ok(Self { tls, host: host.to_owned(), port, path: path.to_owned() })
    }

    fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        if self.port == if self.tls { 443 } else { 80 } { host } else { format!("{host}:{}", self.port) }
    }
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

pub(crate) trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Opens a TCP connection with deadlines.
pub(crate) fn connect(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, CONNECT) {
            Ok(socket) => {
                socket.set_read_timeout(Some(WAIT))?;
                socket.set_write_timeout(Some(WAIT))?;
                socket.set_nodelay(true)?;
                return Ok(socket);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// TLS over a connection, handshake done.
pub(crate) fn secure(
    mut socket: TcpStream,
    host: &str,
    config: &Arc<ClientConfig>,
) -> io::Result<StreamOwned<ClientConnection, TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let mut session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(session, socket))
}

/// Posts a body and reads the answer.
pub(crate) fn post(
    url: &Url,
    tls: Option<&Arc<ClientConfig>>,
    headers: &[(String, String)],
    body: &[u8],
) -> io::Result<Answer> {
    let socket = connect(&url.host, url.port)?;
    let mut stream: Box<dyn Stream> = match (url.tls, tls) {
        (true, Some(config)) => Box::new(secure(socket, &url.host, config)?),
        (true, None) => return Err(io::Error::other("no TLS settings")),
        (false, _) => Box::new(socket),
    };
    let mut head = format!("POST {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", url.path, url.authority());
    head.push_str(&format!("User-Agent: tidegate/{}\r\nContent-Length: {}\r\n", env!("CARGO_PKG_VERSION"), body.len()));
    for (name, value) in headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str("\r\n");
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    stream.flush()?;
    answer(stream)
}

fn answer(stream: impl Read) -> io::Result<Answer> {
    let wrong = |what: &str| io::Error::new(io::ErrorKind::InvalidData, format!("not an HTTP answer: {what}"));
    let mut reader = BufReader::new(stream);
    loop {
        let mut left = HEAD_BYTES_MAX;
        let mut line = || -> io::Result<String> {
            let mut bytes = Vec::new();
            (&mut reader).take(left as u64).read_until(b'\n', &mut bytes)?;
            left -= bytes.len();
            match bytes.strip_suffix(b"\n") {
                Some(line) => Ok(String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line)).into_owned()),
                None => Err(wrong("its head does not end")),
            }
        };
        let first = line()?;
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.get(2..5)).and_then(|code| code.parse().ok());
        let status: u16 = status.ok_or_else(|| wrong("no status"))?;
        let (mut length, mut chunked) = (None, false);
        loop {
            let line = line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| wrong("a header without colon"))?;
            if name.eq_ignore_ascii_case("content-length") {
                length = Some(value.trim().parse::<u64>().map_err(|_| wrong("its length"))?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.trim().eq_ignore_ascii_case("chunked");
            }
        }
        if (100..200).contains(&status) {
            continue;
        }
        let mut body = Vec::new();
        if status == 204 || status == 304 {
            return Ok(Answer { status, body });
        }
        if chunked {
            read_chunks(&mut reader, &mut body)?;
        } else {
            let most = length.unwrap_or(BODY_BYTES_MAX).min(BODY_BYTES_MAX);
            reader.take(most).read_to_end(&mut body).or_else(|error| {
                // Without a length the end of the connection is the end, however a TLS peer words it.
                if length.is_none() && error.kind() == io::ErrorKind::UnexpectedEof { Ok(0) } else { Err(error) }
            })?;
            if length.is_some_and(|length| length.min(BODY_BYTES_MAX) != body.len() as u64) {
                return Err(wrong("it ends early"));
            }
        }
        return Ok(Answer { status, body });
    }
}

fn read_chunks(reader: &mut BufReader<impl Read>, body: &mut Vec<u8>) -> io::Result<()> {
    let wrong = || io::Error::new(io::ErrorKind::InvalidData, "not an HTTP answer: its chunks");
    loop {
        let mut line = String::new();
        reader.by_ref().take(1024).read_line(&mut line)?;
        let size = line.trim_end().split(';').next().unwrap_or_default();
        let size = u64::from_str_radix(size, 16).map_err(|_| wrong())?;
        if size == 0 {
            return Ok(());
        }
        if body.len() as u64 + size > BODY_BYTES_MAX {
            return Err(wrong());
        }
        if reader.by_ref().take(size).read_to_end(body)? as u64 != size {
            return Err(wrong());
        }
        let mut end = [0; 2];
        reader.read_exact(&mut end)?;
        if &end != b"\r\n" {
            return Err(wrong());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls() {
        let url = Url::parse("https://otel.example/v1/logs").unwrap();
        assert_eq!((url.tls, url.host.as_str(), url.port, url.path.as_str()), (true, "otel.example", 443, "/v1/logs"));
        assert_eq!(Url::parse("http://[::1]:8088").unwrap().authority(), "[::1]:8088");
        for bad in ["", "ftp://x", "https://", "https://u:p@x/", "http://x:0/", "http://x/ y", "http://[::1/", "x:1"] {
            assert!(Url::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn answers_in_their_three_forms_and_bad_ones() {
        let body = |text: &str| answer(text.as_bytes()).map(|a| (a.status, String::from_utf8(a.body).unwrap()));
        assert_eq!(body("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhixx").unwrap(), (200, "hi".to_owned()));
        assert_eq!(
            body("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 503 No\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n1;x\r\n!\r\n0\r\n\r\n")
                .unwrap(),
            (503, "hi!".to_owned())
        );
        assert_eq!(body("HTTP/1.0 200 OK\n\nrest").unwrap(), (200, "rest".to_owned()));
        for bad in [
            "",
            "SSH-2.0\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffff\r\n",
        ] {
            assert!(answer(bad.as_bytes()).is_err(), "{bad}");
        }
        assert!(answer(io::repeat(b'a')).is_err());
    }
}
