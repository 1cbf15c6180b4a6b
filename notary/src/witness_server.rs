//! A small witness (C2SP `tlog-witness`): remembers the largest tree of each log it was told of, and cosigns what
//! continues it.
//!
//! Blocking HTTP/1.1 with a thread per connection; TLS is for a proxy in front. Invariants: what is cosigned is durable
//! before the answer leaves, and one request at a time is judged; a request is bounded in size and time. Deliberately
//! absent: sub-tree cosignatures and authentication, which the checkpoint's signature makes unnecessary.

use crate::{
    error::Error,
    files::{self, Keep},
};
use sha2::{Digest as _, Sha256};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use tlog::{
    Checkpoint, Hash, Note, SigningKey, VerifierKey,
    note::NOTE_BYTES_MAX,
    witness::{AddCheckpoint, REQUEST_BYTES_MAX, SIZE_TYPE, Verdict, judge},
};

const CONNECTIONS_MAX: usize = 64;
const REQUESTS_MAX: usize = 1000;
const HEAD_BYTES_MAX: usize = 8 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// An answer to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Media type.
    pub content_type: &'static str,
    /// Body.
    pub body: String,
}

impl Answer {
    fn text(status: u16, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }
}

struct Log {
    keys: Vec<VerifierKey>,
    file: PathBuf,
    latest: Option<(u64, Hash)>,
}

/// A witness.
pub struct WitnessService {
    key: SigningKey,
    logs: Mutex<BTreeMap<String, Log>>,
}

impl std::fmt::Debug for WitnessService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "WitnessService({})", self.key.verifier())
    }
}

/// Lower-case hexadecimal SHA-256 of an origin: the log's name in paths.
#[must_use]
pub fn origin_hash(origin: &str) -> String {
    Sha256::digest(origin).iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

impl WitnessService {
    /// With this key, for these logs (origin and key; an origin may have several), remembering in this folder.
    ///
    /// # Errors
    /// What it remembers is unreadable or not its own: it must not guess.
    pub fn open(key: SigningKey, folder: &Path, logs: &[(String, VerifierKey)]) -> Result<Self, Error> {
        files::make_folder(folder).map_err(Error::at(folder))?;
        let mut all: BTreeMap<String, Log> = BTreeMap::new();
        for (origin, log_key) in logs {
            let file = folder.join(origin_hash(origin));
            if let Some(log) = all.get_mut(origin) {
                log.keys.push(log_key.clone());
                continue;
            }
            let latest = match files::read(&file, NOTE_BYTES_MAX as u64).map_err(Error::at(&file))? {
                None => None,
                Some(bytes) => {
                    let wrong = || Error::Disagree(format!("{} is not what this witness has cosigned", file.display()));
                    let note = Note::parse(&bytes).map_err(|_| wrong())?;
                    note.verify(std::slice::from_ref(key.verifier())).map_err(|_| wrong())?;
                    let checkpoint = Checkpoint::parse(note.text()).map_err(|_| wrong())?;
                    if checkpoint.origin != *origin {
                        return Err(wrong());
                    }
                    Some((checkpoint.size, checkpoint.root))
                }
            };
            all.insert(origin.clone(), Log { keys: vec![log_key.clone()], file, latest });
        }
        Ok(Self { key, logs: Mutex::new(all) })
    }

    /// Answers a request at a time (seconds since 1970).
    pub fn answer(&self, method: &str, path: &str, body: &[u8], time: u64) -> Answer {
        match (method, path) {
            ("POST", "/add-checkpoint") => self.add(body, time),
            ("GET", "/") => Answer::text(200, format!("{}\n", self.key.verifier())),
            ("GET", path) => self.latest(path),
            _ => Answer::text(405, ""),
        }
    }

    fn add(&self, body: &[u8], time: u64) -> Answer {
        let Ok(request) = AddCheckpoint::parse(body) else { return Answer::text(400, "malformed\n") };
        let Ok(checkpoint) = Checkpoint::parse(request.note.text()) else {
            return Answer::text(400, "not a checkpoint\n");
        };
        // Judged and remembered in one piece, or two requests could both pass.
        let mut logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(log) = logs.get_mut(&checkpoint.origin) else {
            return Answer::text(404, "this log is not known here\n");
        };
        let (size, root) = match judge(&request, &log.keys, log.latest) {
            Verdict::Cosign(checkpoint) => (checkpoint.size, checkpoint.root),
            Verdict::BadRequest => return Answer::text(400, "the old size is larger than the new one\n"),
            Verdict::Forbidden => return Answer::text(403, "not signed by the log's key\n"),
            Verdict::Unknown => return Answer::text(404, "this log is not known here\n"),
            Verdict::Unprocessable => return Answer::text(422, "not a continuation of what is known here\n"),
            Verdict::Conflict(size) => {
                return Answer { status: 409, content_type: SIZE_TYPE, body: format!("{size}\n") };
            }
        };
        let cosignature = self.key.sign(request.note.text(), time);
        let line = format!("{cosignature}\n");
        // Only what was checked: the log's own signatures, and ours.
        let signed = request.note.verify(&log.keys).map(|good| good.iter().map(|v| v.signature.clone()).collect());
        let mut signatures: Vec<_> = signed.unwrap_or_default();
        signatures.push(cosignature);
        let Ok(note) = Note::new(request.note.text().to_owned(), signatures) else {
            return Answer::text(400, "too many signatures\n");
        };
        if let Err(error) = files::replace(&log.file, note.to_string().as_bytes(), Keep::Durably) {
            tracing::error!("{}: {error}", log.file.display());
            return Answer::text(500, "it cannot be remembered\n");
        }
        log.latest = Some((size, root));
        tracing::info!(origin = checkpoint.origin, size, "cosigned");
        Answer::text(200, line)
    }

    fn latest(&self, path: &str) -> Answer {
        let hash = path.strip_prefix('/').and_then(|p| p.strip_suffix("/checkpoint"));
        let logs = self.logs.lock().unwrap_or_else(PoisonError::into_inner);
        let file = logs.iter().find(|(origin, _)| hash == Some(origin_hash(origin).as_str())).map(|(_, log)| &log.file);
        let note = file.and_then(|file| files::read(file, NOTE_BYTES_MAX as u64).ok().flatten());
        note.and_then(|bytes| String::from_utf8(bytes).ok())
            .map_or_else(|| Answer::text(404, ""), |note| Answer::text(200, note))
    }
}

/// Answers until accepting fails.
///
/// # Errors
/// The listener's.
pub fn serve(listener: &TcpListener, service: &Arc<WitnessService>) -> io::Result<()> {
    let open = Arc::new(AtomicUsize::new(0));
    loop {
        let (socket, _) = listener.accept()?;
        if open.fetch_add(1, Ordering::AcqRel) >= CONNECTIONS_MAX {
            open.fetch_sub(1, Ordering::AcqRel);
            continue;
        }
        let (service, done) = (Arc::clone(service), Arc::clone(&open));
        let thread = std::thread::Builder::new().name("connection".to_owned());
        let started = thread.spawn(move || {
            // A client that breaks off, or says nonsense, is none of ours.
            let _ended = connection(&socket, &service);
            done.fetch_sub(1, Ordering::AcqRel);
        });
        if started.is_err() {
            open.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

fn connection(mut socket: &TcpStream, service: &WitnessService) -> io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    socket.set_write_timeout(Some(PATIENCE))?;
    let mut buffer = Vec::new();
    for _ in 0..REQUESTS_MAX {
        let Some((request, used)) = read_request(socket, &mut buffer)? else { return Ok(()) };
        let time = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let answer = match &request {
            Ok(request) => {
                let body = &buffer[used - request.length..used];
                service.answer(&request.method, &request.path, body, time)
            }
            Err(status) => Answer::text(*status, ""),
        };
        let close = request.as_ref().map_or(true, |r| r.close);
        let Answer { status, content_type, body } = answer;
        let reason = if status == 200 { "OK" } else { "-" };
        let connection = if close { "close" } else { "keep-alive" };
        let head = format!(
            "HTTP/1.1 {status} {reason}\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\nConnection: {connection}\r\n\r\n",
            body.len()
        );
        socket.write_all(head.as_bytes())?;
        socket.write_all(body.as_bytes())?;
        if close {
            return Ok(());
        }
        buffer.drain(..used);
    }
    Ok(())
}

struct Request {
    method: String,
    path: String,
    length: usize,
    close: bool,
}

/// Reads one request into the buffer: what it says, or the status to refuse it with, and how many bytes it took; `None` at
/// the end of the connection.
fn read_request(mut socket: &TcpStream, buffer: &mut Vec<u8>) -> io::Result<Option<(Result<Request, u16>, usize)>> {
    let mut piece = [0; 8192];
    loop {
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut parsed = httparse::Request::new(&mut headers);
        match parsed.parse(buffer) {
            Err(_) => return Ok(Some((Err(400), buffer.len()))),
            Ok(httparse::Status::Partial) if buffer.len() > HEAD_BYTES_MAX => {
                return Ok(Some((Err(431), buffer.len())));
            }
            Ok(httparse::Status::Partial) => {}
            Ok(httparse::Status::Complete(head)) => {
                let all = |name: &str| {
                    let name = name.to_owned();
                    parsed.headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(&name)).map(|h| h.value)
                };
                let mut lengths = all("content-length");
                let length = match (lengths.next(), lengths.next(), all("transfer-encoding").next()) {
                    (None, None, None) => Some(0),
                    (Some(one), None, None) => std::str::from_utf8(one).ok().and_then(|t| t.parse::<usize>().ok()),
                    _ => None,
                };
                let Some(length) = length else { return Ok(Some((Err(400), buffer.len()))) };
                if length > REQUEST_BYTES_MAX {
                    return Ok(Some((Err(413), buffer.len())));
                }
                if buffer.len() >= head + length {
                    let close =
                        all("connection").any(|v| v.eq_ignore_ascii_case(b"close")) || parsed.version != Some(1);
                    let request = Request {
                        method: parsed.method.unwrap_or_default().to_owned(),
                        path: parsed.path.unwrap_or_default().to_owned(),
                        length,
                        close,
                    };
                    return Ok(Some((Ok(request), head + length)));
                }
                if all("expect").next().is_some() && buffer.len() == head {
                    socket.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
                }
            }
        }
        match socket.read(&mut piece)? {
            0 => return Ok(None),
            n => buffer.extend_from_slice(&piece[..n]),
        }
    }
}
