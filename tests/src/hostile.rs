//! A fake upstream: listens on loopback and answers each connection with a script of bytes, to see what the gateway makes
//! of a server that lies, stalls or dies.
//!
//! It logs in any client by `AuthenticationOk`, answers each statement until its script takes over, and keeps every byte it
//! received for inspection.

use crate::{process::PATIENCE, wire};
use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

/// What the fake does on each connection.
#[derive(Clone, Debug)]
pub enum Script {
    /// These bytes instead of any login.
    Greet(Vec<u8>),
    /// A proper login, then these bytes in answer to the first frame that is not a part of login; then silence.
    Answer(Vec<u8>),
    /// A proper login, then these bytes in answer to the first frame, then the connection is closed.
    AnswerAndClose(Vec<u8>),
}

/// A running fake.
#[derive(Debug)]
pub struct Hostile {
    port: u16,
    received: Arc<Mutex<Vec<u8>>>,
}

impl Hostile {
    /// Starts it. Its threads end with their connections.
    pub fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let received = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&received);
        thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                let (script, seen) = (script.clone(), Arc::clone(&seen));
                thread::spawn(move || serve(socket, &script, &seen));
            }
        });
        Self { port, received }
    }

    /// Port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Everything clients have sent so far, all connections in order of arrival.
    pub fn received(&self) -> Vec<u8> {
        self.received.lock().unwrap().clone()
    }
}

fn serve(mut socket: TcpStream, script: &Script, seen: &Mutex<Vec<u8>>) -> Option<()> {
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    let head = untagged(&mut socket, seen)?;
    if head.get(..4)? == 80_877_103_u32.to_be_bytes() {
        socket.write_all(b"N").ok()?;
        untagged(&mut socket, seen)?;
    }
    match script {
        Script::Greet(bytes) => socket.write_all(bytes).ok()?,
        Script::Answer(bytes) | Script::AnswerAndClose(bytes) => {
            socket.write_all(&login()).ok()?;
            // The catalog snapshot and this session's first statement look alike to the fake: both get the script.
            tagged(&mut socket, seen)?;
            socket.write_all(bytes).ok()?;
            if matches!(script, Script::AnswerAndClose(_)) {
                return None;
            }
        }
    }
    let mut block = [0; 4096];
    loop {
        match socket.read(&mut block) {
            Ok(0) | Err(_) => return None,
            Ok(count) => seen.lock().unwrap().extend_from_slice(&block[..count]),
        }
    }
}

/// AuthenticationOk, the parameters a client expects, a key, ReadyForQuery.
pub fn login() -> Vec<u8> {
    let mut bytes = wire::frame(b'R', &0_u32.to_be_bytes());
    for (name, value) in [
        ("server_version", "15.0"),
        ("server_encoding", "UTF8"),
        ("client_encoding", "UTF8"),
        ("DateStyle", "ISO, MDY"),
        ("integer_datetimes", "on"),
        ("standard_conforming_strings", "on"),
        ("TimeZone", "UTC"),
    ] {
        let mut body = wire::zero(name);
        body.extend(wire::zero(value));
        bytes.extend(wire::frame(b'S', &body));
    }
    bytes.extend(wire::frame(b'K', &[0, 0, 0, 1, 0, 0, 0, 2]));
    bytes.extend(ready());
    bytes
}

/// ReadyForQuery, idle.
pub fn ready() -> Vec<u8> {
    wire::frame(b'Z', b"I")
}

fn untagged(socket: &mut TcpStream, seen: &Mutex<Vec<u8>>) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    socket.read_exact(&mut length).ok()?;
    let mut body = vec![0; (u32::from_be_bytes(length) as usize).checked_sub(4)?.min(1 << 20)];
    socket.read_exact(&mut body).ok()?;
    let mut seen = seen.lock().unwrap();
    seen.extend_from_slice(&length);
    seen.extend_from_slice(&body);
    Some(body)
}

fn tagged(socket: &mut TcpStream, seen: &Mutex<Vec<u8>>) -> Option<()> {
    let mut tag = [0];
    socket.read_exact(&mut tag).ok()?;
    seen.lock().unwrap().push(tag[0]);
    untagged(socket, seen).map(|_| ())
}
