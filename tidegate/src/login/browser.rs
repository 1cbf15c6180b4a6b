//! Sign-in by a browser on this machine (RFC 8252): a port on loopback waits for one answer.
//!
//! The answer has to carry the state that was sent; what else comes to the port is told nothing.

use super::client::{Answer, CliError, Client};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use identity::Secret;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use std::{
    io::{self, Read as _, Write as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Longest request of a browser that is read.
const REQUEST_BYTES_MAX: u64 = 16 << 10;

pub(super) fn sign_in(client: &Client, open: bool) -> Result<Answer, CliError> {
    let wrong = |e: io::Error| CliError::failed(format!("no port on this machine: {e}"));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(wrong)?;
    let port = listener.local_addr().map_err(wrong)?.port();
    let random = || Secret::random().map_err(|e| CliError::failed(e.to_string()));
    let (verifier, state) = (random()?, random()?);
    let start = json!({
        "code_challenge": BASE64.encode(Sha256::digest(verifier.expose().as_bytes())),
        "state": state.expose(), "port": port, "client": name(),
    });
    let begun = client.post("login/start", &start)?;
    let url = begun["url"].as_str().ok_or_else(|| CliError::failed("the console's answer is not understood"))?;
    let limit = Duration::from_secs(begun["expires_in"].as_u64().unwrap_or(600).min(3600));
    let opened = open && opens(url);
    eprintln!("{} in your browser:\n\n  {url}\n", if opened { "Sign in" } else { "Open this and sign in" });
    let code = wait(&listener, &state, limit)?;
    client.post("login/finish", &json!({"code": code.expose(), "code_verifier": verifier.expose()}))
}

/// What this calls itself on the page that asks whether to go on.
fn name() -> String {
    let host = rustix::system::uname();
    let host = host.nodename().to_string_lossy();
    format!("tidegate login on {host}").chars().filter(|c| !c.is_control()).take(60).collect()
}

/// Opens a browser, if there is one. The address is the console's and names only this attempt.
fn opens(url: &str) -> bool {
    let given = std::env::var_os("BROWSER").filter(|browser| !browser.is_empty());
    let usual = ["xdg-open", "open", "wslview"].map(Into::into);
    given.into_iter().chain(usual).any(|program| {
        let mut command = Command::new(program);
        command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().is_ok()
    })
}

/// Waits for the answer that carries this state.
fn wait(listener: &TcpListener, state: &Secret, limit: Duration) -> Result<Secret, CliError> {
    let until = Instant::now() + limit;
    let wrong = |e: io::Error| CliError::failed(format!("waiting for the browser: {e}"));
    listener.set_nonblocking(true).map_err(wrong)?;
    while Instant::now() < until {
        let mut socket = match listener.accept() {
            Ok((socket, _)) => socket,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(50));
                continue;
            }
            Err(error) => return Err(wrong(error)),
        };
        if let Some(outcome) = answered(&mut socket, state) {
            return outcome;
        }
    }
    Err(CliError::failed("nobody signed in in time"))
}

/// Reads one request; `None` if it is not the answer.
fn answered(socket: &mut TcpStream, state: &Secret) -> Option<Result<Secret, CliError>> {
    socket.set_nonblocking(false).ok()?;
    socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    socket.set_write_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut head = Vec::new();
    let mut bytes = [0; 1024];
    while !head.windows(4).any(|four| four == b"\r\n\r\n") {
        let read = socket.take(REQUEST_BYTES_MAX - head.len() as u64).read(&mut bytes).ok()?;
        if read == 0 {
            return None;
        }
        head.extend_from_slice(&bytes[..read]);
    }
    let outcome = parse(&head, state);
    let (status, text) = match &outcome {
        None => ("404 Not Found", "Nothing here."),
        Some(Ok(_)) => ("200 OK", "You are signed in. You can close this window and go back to the command line."),
        Some(Err(_)) => ("200 OK", "You are not signed in. The command line says why."),
    };
    let page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><title>Tidegate</title><body><p>{text}</p></body></html>"
    );
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    // The code counts whether or not the browser waits for its page.
    let _shown = socket.write_all(answer.as_bytes());
    outcome
}

fn parse(head: &[u8], state: &Secret) -> Option<Result<Secret, CliError>> {
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let query = line.strip_prefix("GET /callback?")?.split(' ').next()?;
    let (mut code, mut own, mut error) = (None, None, None);
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let place = match &*name {
            "code" => &mut code,
            "state" => &mut own,
            "error" => &mut error,
            _ => continue,
        };
        if place.replace(Secret::new(value)).is_some() {
            return None;
        }
    }
    if !state.is(own?.expose()) {
        return None;
    }
    if let Some(error) = error {
        let word: String = error.expose().chars().filter(|c| c.is_ascii_alphanumeric() || "-_".contains(*c)).collect();
        return Some(Err(CliError::failed(format!("the sign-in was refused: {word}"))));
    }
    Some(Ok(code?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_answer_with_the_state_is_taken() {
        let state = Secret::new("s123");
        let code = |line: &str| parse(format!("{line}\r\nHost: x\r\n\r\n").as_bytes(), &state);
        assert!(matches!(code("GET /callback?code=c&state=s123 HTTP/1.1"), Some(Ok(c)) if c.is("c")));
        assert!(matches!(code("GET /callback?error=access_denied&state=s123 HTTP/1.1"), Some(Err(_))));
        for other in [
            "GET /callback?code=c&state=other HTTP/1.1",
            "GET /callback?code=c HTTP/1.1",
            "GET /callback?code=c&state=s123&state=s123 HTTP/1.1",
            "GET /callback?code=c&code=d&state=s123 HTTP/1.1",
            "GET /callback?state=s123 HTTP/1.1",
            "POST /callback?code=c&state=s123 HTTP/1.1",
            "GET /favicon.ico HTTP/1.1",
            "",
        ] {
            assert!(code(other).is_none(), "{other}");
        }
    }
}
