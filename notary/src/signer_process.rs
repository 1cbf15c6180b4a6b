//! A signer of its own: a process that holds the log's key and nothing else, and answers on a Unix socket.
//!
//! It signs a checkpoint only if its tree continues the one it signed last, which it proves to itself from the request;
//! what it signed is durable before the answer leaves. Who may ask is decided by the kernel's account of the peer's user.
//! One request per connection, one connection at a time, each bounded in size and time.
//!
//! ```text
//! request   verb SP argument LF body        verbs: state · sign · sign-both · rotate · finish
//! answer    ok LF body  |  refused SP reason LF
//! ```

use crate::{
    error::Error,
    files::{self, Keep},
    keys::Keyring,
    signer::{SignRequest, Signer, SignerState},
};
use rustix::net::sockopt::socket_peercred;
use std::{
    fmt::Write as _,
    fs,
    io::{self, Read as _, Write as _},
    net::Shutdown,
    os::unix::{
        fs::{FileTypeExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    time::Duration,
};
use tlog::{Checkpoint, Hash, Signature, VerifierKey, tree};

/// Longest request and answer.
const MESSAGE_BYTES_MAX: u64 = 64 << 10;
/// Longest wait for the other side.
const PATIENCE: Duration = Duration::from_secs(5);
const STATE_BYTES_MAX: u64 = 4096;

/// Size and root in one line each.
fn read_state(path: &Path) -> Result<Option<(u64, Hash)>, Error> {
    let Some(bytes) = files::read(path, STATE_BYTES_MAX).map_err(Error::at(path))? else { return Ok(None) };
    let malformed =
        || Error::Disagree(format!("{} is not a signer's state; it signs nothing without it", path.display()));
    let text = String::from_utf8(bytes).map_err(|_| malformed())?;
    parse_state(text.lines().next().unwrap_or_default()).map(Some).ok_or_else(malformed)
}

fn parse_state(line: &str) -> Option<(u64, Hash)> {
    let (size, root) = line.split_once(' ')?;
    Some((size.parse().ok()?, Hash::parse(root)?))
}

/// What a signer process works with.
#[derive(Debug)]
pub struct Service {
    keys: Keyring,
    state_file: PathBuf,
    last: Option<(u64, Hash)>,
}

impl Service {
    /// With this key file and this memory of what was signed.
    ///
    /// # Errors
    /// One of them cannot be used.
    pub fn open(key: &Path, state_file: &Path) -> Result<Self, Error> {
        Ok(Self { keys: Keyring::open(key)?, state_file: state_file.to_owned(), last: read_state(state_file)? })
    }

    /// The log's key.
    #[must_use]
    pub const fn key(&self) -> &VerifierKey {
        self.keys.current()
    }

    /// Answers one request.
    #[must_use]
    pub fn answer(&mut self, request: &[u8]) -> String {
        let refused = |why: &str| format!("refused {}\n", why.replace('\n', " "));
        let Ok(text) = std::str::from_utf8(request) else { return refused("not text") };
        let Some((head, body)) = text.split_once('\n') else { return refused("no request") };
        let outcome = match head.split_once(' ').unwrap_or((head, "")) {
            ("state", "") => self.state(),
            ("sign", "") => self.sign(body, false),
            ("sign-both", "") => self.sign(body, true),
            ("rotate", "") => self.keys.prepare().map(|key| format!("{key}\n")).map_err(|e| e.to_string()),
            ("finish", key) => self.finish(key),
            _ => Err("unknown request".to_owned()),
        };
        match outcome {
            Ok(body) => format!("ok\n{body}"),
            Err(why) => refused(&why),
        }
    }

    fn state(&mut self) -> Result<String, String> {
        self.keys.look().map_err(|e| e.to_string())?;
        let mut text = format!("current {}\n", self.keys.current());
        if let Some(next) = self.keys.next() {
            let _infallible = writeln!(text, "next {next}");
        }
        if let Some((size, root)) = self.last {
            let _infallible = writeln!(text, "last {size} {root}");
        }
        Ok(text)
    }

    fn sign(&mut self, body: &str, both: bool) -> Result<String, String> {
        let (head, text) = body.split_once("\n\n").ok_or("no checkpoint")?;
        let mut lines = head.split('\n');
        let old: u64 =
            lines.next().and_then(|l| l.strip_prefix("old ")).and_then(|n| n.parse().ok()).ok_or("no old size")?;
        let proof: Vec<Hash> = lines
            .take(tree::PROOF_HASHES_MAX + 1)
            .map(Hash::parse)
            .collect::<Option<_>>()
            .ok_or("the proof is malformed")?;
        let checkpoint = Checkpoint::parse(text).map_err(|e| e.to_string())?;
        if checkpoint.origin != self.keys.current().name() || !checkpoint.extensions.is_empty() {
            return Err("the checkpoint is of another log".to_owned());
        }
        let (size, root) = self.last.unwrap_or_else(|| (0, Hash::empty()));
        if checkpoint.size < size || old != size {
            return Err(format!("signed a tree of size {size} last; asked to sign {} after {old}", checkpoint.size));
        }
        tree::verify_consistency((size, root), (checkpoint.size, checkpoint.root), &proof)
            .map_err(|_| format!("the tree of size {} does not continue the one of size {size}", checkpoint.size))?;
        // Known for good before anybody sees the signature. The same checkpoint once more is no new statement.
        let now = (checkpoint.size, checkpoint.root);
        if self.last != Some(now) {
            let state = format!("{} {}\n", now.0, now.1);
            files::replace(&self.state_file, state.as_bytes(), Keep::Durably)
                .map_err(|e| format!("its state cannot be written: {e}"))?;
            self.last = Some(now);
        }
        Ok(self.keys.sign(text, both).iter().map(|signature| format!("{signature}\n")).collect())
    }

    fn finish(&mut self, key: &str) -> Result<String, String> {
        let key = VerifierKey::parse(key).map_err(|e| e.to_string())?;
        self.keys.finish(&key).map(|()| String::new()).map_err(|e| e.to_string())
    }
}

/// Listens on a path, which may hold the socket of an earlier run and nothing else.
///
/// # Errors
/// The path is taken, or the file system's.
pub fn listen(socket: &Path) -> Result<UnixListener, Error> {
    match fs::symlink_metadata(socket) {
        Ok(found) if !found.file_type().is_socket() => {
            let error = io::Error::new(io::ErrorKind::AlreadyExists, "is there and is not a socket");
            return Err(Error::Io(socket.to_owned(), error));
        }
        Ok(_) if UnixStream::connect(socket).is_ok() => {
            let error = io::Error::new(io::ErrorKind::AddrInUse, "another signer answers there");
            return Err(Error::Io(socket.to_owned(), error));
        }
        Ok(_) => fs::remove_file(socket).map_err(Error::at(socket))?,
        Err(_) => {}
    }
    let listener = UnixListener::bind(socket).map_err(Error::at(socket))?;
    // Who may ask is checked by user id; the group is for a gateway under another user.
    fs::set_permissions(socket, fs::Permissions::from_mode(0o660)).map_err(Error::at(socket))?;
    Ok(listener)
}

/// Answers until accepting fails. `users` are the user ids that may ask.
///
/// # Errors
/// The socket's.
pub fn serve(listener: &UnixListener, service: &mut Service, users: &[u32]) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept()?;
        if let Err(error) = one(&stream, service, users) {
            tracing::warn!("a request was not answered: {error}");
        }
    }
}

fn one(mut stream: &UnixStream, service: &mut Service, users: &[u32]) -> io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let peer = socket_peercred(stream)?;
    // Read in any case: a socket that is closed with something unread in it takes the answer along.
    let mut request = Vec::new();
    stream.take(MESSAGE_BYTES_MAX).read_to_end(&mut request)?;
    let answer = if users.contains(&peer.uid.as_raw()) {
        service.answer(&request)
    } else {
        format!("refused user {} may not ask\n", peer.uid.as_raw())
    };
    if let Some(why) = answer.strip_prefix("refused ") {
        tracing::warn!("refused: {}", why.trim_end());
    }
    stream.write_all(answer.as_bytes())
}

/// Asks a signer process.
///
/// # Errors
/// [`Error::Signer`].
pub fn ask(socket: &Path, request: &str) -> Result<String, Error> {
    let wrong = |e: io::Error| Error::Signer(format!("{}: {e}", socket.display()));
    let mut stream = UnixStream::connect(socket).map_err(wrong)?;
    stream.set_read_timeout(Some(PATIENCE)).map_err(wrong)?;
    stream.set_write_timeout(Some(PATIENCE)).map_err(wrong)?;
    stream.write_all(request.as_bytes()).map_err(wrong)?;
    stream.shutdown(Shutdown::Write).map_err(wrong)?;
    let mut answer = String::new();
    (&stream).take(MESSAGE_BYTES_MAX).read_to_string(&mut answer).map_err(wrong)?;
    match (answer.strip_prefix("ok\n"), answer.strip_prefix("refused ")) {
        (Some(body), _) => Ok(body.to_owned()),
        (None, Some(why)) => Err(Error::Signer(format!("refused: {}", why.trim_end()))),
        (None, None) => Err(Error::Signer("it ended without an answer".to_owned())),
    }
}

/// A signer behind a socket.
#[derive(Debug)]
pub struct RemoteSigner {
    socket: PathBuf,
}

impl RemoteSigner {
    /// The one that listens there.
    #[must_use]
    pub const fn new(socket: PathBuf) -> Self {
        Self { socket }
    }
}

impl Signer for RemoteSigner {
    fn state(&mut self) -> Result<SignerState, Error> {
        let answer = ask(&self.socket, "state\n")?;
        let wrong = || Error::Signer("its state makes no sense".to_owned());
        let (mut current, mut next, mut last) = (None, None, None);
        for line in answer.lines() {
            let key = |text| VerifierKey::parse(text).map_err(|_| wrong());
            match line.split_once(' ') {
                Some(("current", text)) => current = Some(key(text)?),
                Some(("next", text)) => next = Some(key(text)?),
                Some(("last", text)) => last = Some(parse_state(text).ok_or_else(wrong)?),
                _ => return Err(wrong()),
            }
        }
        Ok(SignerState { current: current.ok_or_else(wrong)?, next, last })
    }

    fn sign(&mut self, request: &SignRequest<'_>) -> Result<Vec<Signature>, Error> {
        let verb = if request.both { "sign-both" } else { "sign" };
        let proof: String = request.proof.iter().map(|hash| format!("{hash}\n")).collect();
        let answer = ask(&self.socket, &format!("{verb}\nold {}\n{proof}\n{}", request.old, request.checkpoint))?;
        Signature::parse_lines(&answer).map_err(|_| Error::Signer("its answer is no signature".to_owned()))
    }

    fn finish(&mut self, next: &VerifierKey) -> Result<(), Error> {
        ask(&self.socket, &format!("finish {next}\n")).map(drop)
    }
}
