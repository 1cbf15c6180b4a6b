//! The check in a process of its own: one request as JSON on standard input, one verdict as JSON on standard output.
//!
//! The parent ([`check`]) gives the process nothing but the request: no environment, no files, a deadline. The process
//! confines itself before it reads. Whatever is not a well-formed acceptance is a refusal: a crash, silence, too much
//! output, another exit status.

use crate::{Accepted, Certificate, Expected, RESPONSE_BYTES_MAX, Refused, response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Longest request in bytes: a response in base64 and what goes with it.
pub const REQUEST_BYTES_MAX: usize = 2 * RESPONSE_BYTES_MAX;
/// Longest verdict in bytes; attributes are bounded by the response they come from.
const VERDICT_BYTES_MAX: u64 = 1 << 20;

/// What the helper is asked.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// The form field `SAMLResponse` as it came, in base64.
    pub response: String,
    /// Seconds since 1970.
    pub now: i64,
    /// Entity id of the identity provider.
    pub issuer: String,
    /// Its pinned certificates, DER in base64.
    pub certificates: Vec<String>,
    /// Our entity id.
    pub audience: String,
    /// URL where we take responses.
    pub consumer: String,
    /// Id of the request this must answer.
    pub request: String,
}

/// What the helper says.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Verdict {
    /// Signed in.
    Accepted(Accepted),
    /// Not signed in, and why; never bytes of the response.
    Refused(String),
}

/// Why nobody is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The helper refused the response.
    Refused(String),
    /// The helper did not give a verdict.
    Failed(&'static str),
}

impl std::fmt::Display for Denied {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Refused(why) => f.write_str(why),
            Self::Failed(why) => write!(f, "the SAML helper gave no verdict: {why}"),
        }
    }
}

impl std::error::Error for Denied {}

/// The helper's side: the verdict on a request, as JSON.
#[must_use]
pub fn answer(request: &[u8]) -> String {
    let verdict = judge(request).map_or_else(|refused| Verdict::Refused(refused.0.to_owned()), Verdict::Accepted);
    serde_json::to_string(&verdict).unwrap_or_default()
}

fn judge(request: &[u8]) -> Result<Accepted, Refused> {
    let request: Request = serde_json::from_slice(request).map_err(|_| Refused("malformed request to the helper"))?;
    if request.response.len() > REQUEST_BYTES_MAX {
        return Err(Refused("the response is too long"));
    }
    let document = crate::dsig::decode(&request.response)?;
    let certificates: Option<Vec<_>> =
        request.certificates.iter().map(|c| Certificate::from_der(&STANDARD.decode(c).ok()?).ok()).collect();
    let certificates = certificates.ok_or(Refused("a configured certificate cannot be used"))?;
    response::check(
        &document,
        &Expected {
            now: request.now,
            issuer: &request.issuer,
            certificates: &certificates,
            audience: &request.audience,
            consumer: &request.consumer,
            request: &request.request,
        },
    )
}

/// The parent's side: runs `program` on a request. Blocks for at most `timeout`.
///
/// # Errors
/// Refused, or no verdict in time and form.
pub fn check(program: &Path, request: &Request, timeout: Duration) -> Result<Accepted, Denied> {
    let input = serde_json::to_vec(request).map_err(|_| Denied::Failed("the request cannot be written"))?;
    if input.len() > REQUEST_BYTES_MAX {
        return Err(Denied::Refused("the response is too long".to_owned()));
    }
    let mut child = Command::new(program)
        .env_clear()
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|_| Denied::Failed("it cannot be started"))?;
    let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
    let (send, receive) = mpsc::channel();
    let writer = std::thread::spawn(move || {
        // A helper that has died closes the pipe; its missing verdict says so.
        let _ = stdin.map(|mut pipe| pipe.write_all(&input));
    });
    let reader = std::thread::spawn(move || {
        let mut output = Vec::new();
        let read = stdout.map(|pipe| pipe.take(VERDICT_BYTES_MAX + 1).read_to_end(&mut output));
        let _ = send.send(read.is_some_and(|r| r.is_ok()).then_some(output));
    });
    let output = receive.recv_timeout(timeout);
    // Ends it if it has not ended: output that is complete and a process that lingers are no contradiction.
    let ended = if output.is_ok() { wait(&mut child, timeout) } else { None };
    if ended.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let _ = (writer.join(), reader.join());
    let output = output.map_err(|_| Denied::Failed("it took too long"))?;
    match ended {
        Some(status) if status.success() => {}
        Some(_) => return Err(Denied::Failed("it was ended")),
        None => return Err(Denied::Failed("it took too long")),
    }
    let output = output.filter(|o| o.len() as u64 <= VERDICT_BYTES_MAX);
    match output.and_then(|o| serde_json::from_slice(&o).ok()) {
        Some(Verdict::Accepted(accepted)) if accepted.issuer == request.issuer => Ok(accepted),
        // The helper's words are its own, unless it is not itself any more.
        Some(Verdict::Refused(why)) if why.len() <= 200 && why.bytes().all(|b| matches!(b, b' '..=b'~')) => {
            Err(Denied::Refused(why))
        }
        _ => Err(Denied::Failed("its answer is malformed")),
    }
}

fn wait(child: &mut std::process::Child, timeout: Duration) -> Option<std::process::ExitStatus> {
    let until = std::time::Instant::now() + timeout;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if std::time::Instant::now() < until => std::thread::sleep(Duration::from_millis(1)),
            _ => return None,
        }
    }
}
