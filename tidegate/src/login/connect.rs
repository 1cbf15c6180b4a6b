//! A port on this machine that leads to a database and needs no password: the password stays in this process.
//!
//! Each connection is logged in at the gateway with a password that was made for this (TLS with the name checked,
//! SCRAM-SHA-256 with channel binding) and then passed through byte for byte. A new password is made when the old one is about
//! to end. Invariants: the port is on loopback, and only programs of the same user are let in, by the kernel's table of
//! connections; no password goes to a gateway that does not prove that it knows its verifier.

use super::{ConnectArgs, Credential, State, client::CliError, is_watched, state::now};
use postgres::scram::{Client as Scram, ClientKeys, Offered, end_point_hash};
use serde_json::json;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    process::{Command, ExitCode},
    sync::Arc,
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    sync::{Mutex, Semaphore},
};
use tokio_rustls::TlsConnector;
use zeroize::Zeroizing;

/// Connections at a time.
const CONNECTIONS_MAX: usize = 64;
/// Longest startup packet (as in PostgreSQL).
const STARTUP_BYTES_MAX: usize = 10_000;
/// Longest frame during login.
const FRAME_BYTES_MAX: usize = 64 << 10;
/// A password with less time left than this is replaced, in seconds.
const LEFT_SECONDS_MIN: u64 = 30;

const SSL_REQUEST: u32 = 80_877_103;
const GSSENC_REQUEST: u32 = 80_877_104;
const CANCEL_REQUEST: u32 = 80_877_102;

/// Both directions of a connection.
trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What leads to the gateway.
struct Door {
    state: State,
    target: String,
    purpose: String,
    seconds: u64,
    tls: Arc<rustls::ClientConfig>,
    credential: Mutex<Credential>,
}

pub(super) fn run(arguments: &ConnectArgs) -> Result<ExitCode, CliError> {
    let state = State::current()?;
    let (target, purpose) = (arguments.target.clone(), arguments.purpose.clone().unwrap_or_default());
    let seconds = arguments.ttl.as_secs().max(1);
    let credential = mint(&state, &target, &purpose, seconds)?;
    let tls = crate::tls::client(state.ca.as_deref(), None).map_err(CliError::failed)?;
    let user = credential.user.clone();
    let door = Door { state, target, purpose, seconds, tls, credential: Mutex::new(credential) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| CliError::failed(format!("no runtime: {e}")))?;
    let door = Arc::new(door);
    let code = runtime.block_on(async {
        let code = serve(Arc::clone(&door), &user, arguments).await;
        // The password was for this port alone.
        let id = door.credential.lock().await.id.clone();
        let reason = json!({"reason": "the port was closed"});
        let ended = door.state.client().and_then(|client| client.delete(&format!("credentials/{id}"), &reason));
        if let Err(error) = ended {
            eprintln!("tidegate connect: the password could not be ended: {error}");
        }
        code
    });
    // What still runs ends with the process.
    runtime.shutdown_background();
    code
}

fn mint(state: &State, target: &str, purpose: &str, seconds: u64) -> Result<Credential, CliError> {
    let asked = json!({"target": target, "purpose": purpose, "ttl": seconds});
    Credential::read(&*state.client()?.post("credentials", &asked)?)
}

async fn serve(door: Arc<Door>, user: &str, arguments: &ConnectArgs) -> Result<ExitCode, CliError> {
    let at = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let listener = TcpListener::bind(at).await.map_err(|e| CliError::failed(format!("port {}: {e}", at.port())))?;
    let port = listener.local_addr().map_err(|e| CliError::failed(e.to_string()))?.port();
    let accepting = tokio::spawn(accept(listener, Arc::clone(&door)));
    let Some((program, rest)) = arguments.command.split_first() else {
        println!("host=127.0.0.1 port={port} user={user} dbname={} sslmode=disable", door.target);
        if is_watched() {
            eprintln!("open until this ends (Ctrl-C); for programs of this user on this machine");
        }
        let terminated = signal(SignalKind::terminate());
        let mut terminated = terminated.map_err(|e| CliError::failed(format!("signals: {e}")))?;
        return tokio::select! {
            failed = accepting => {
                let why = failed.map_or_else(|e| e.to_string(), |e| e.to_string());
                Err(CliError::failed(format!("the port closed: {why}")))
            }
            _ = tokio::signal::ctrl_c() => Ok(ExitCode::SUCCESS),
            _ = terminated.recv() => Ok(ExitCode::SUCCESS),
        };
    };
    let mut command = Command::new(program);
    command.args(rest).env("PGHOST", "127.0.0.1").env("PGPORT", port.to_string());
    command.env("PGUSER", user).env("PGDATABASE", &door.target);
    command.env("PGSSLMODE", "disable").env("PGGSSENCMODE", "disable").env("PGCHANNELBINDING", "disable");
    for other in ["PGPASSWORD", "PGPASSFILE", "PGSERVICE", "PGHOSTADDR", "PGREQUIREAUTH", "PGSSLROOTCERT"] {
        command.env_remove(other);
    }
    let mut child = command.spawn().map_err(|e| CliError::failed(format!("{program}: {e}")))?;
    let mut ended = tokio::task::spawn_blocking(move || child.wait());
    loop {
        tokio::select! {
            // Ctrl-C is the command's: psql cancels its statement and goes on.
            _ = tokio::signal::ctrl_c() => {}
            status = &mut ended => {
                let status = status.map_err(|e| CliError::failed(e.to_string()))?;
                let status = status.map_err(|e| CliError::failed(format!("{program}: {e}")))?;
                let code = status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1);
                return Ok(ExitCode::from(code));
            }
        }
    }
}

async fn accept(listener: TcpListener, door: Arc<Door>) -> io::Error {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return io::Error::other("it was closed");
        };
        let (mut socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => return error,
        };
        let door = Arc::clone(&door);
        tokio::spawn(async move {
            let own = socket.local_addr();
            if own.is_ok_and(|own| owner(peer, own) == Some(rustix::process::getuid().as_raw())) {
                if let Err(why) = door.lead(&mut socket).await {
                    eprintln!("tidegate connect: {why}");
                    // The client may be gone already.
                    let _told = socket.write_all(&refusal(&why)).await;
                }
            } else {
                let _told = socket.write_all(&refusal("this port is for programs of its owner")).await;
            }
            drop(place);
        });
    }
}

/// The user whose socket has this address and leads to that one, by the kernel's table.
fn owner(of: SocketAddr, to: SocketAddr) -> Option<u32> {
    let table = std::fs::read_to_string("/proc/self/net/tcp").ok()?;
    owner_in(&table, of, to)
}

fn owner_in(table: &str, of: SocketAddr, to: SocketAddr) -> Option<u32> {
    let written = |address: SocketAddr| match address.ip() {
        IpAddr::V4(ip) => Some(format!("{:08X}:{:04X}", u32::from_le_bytes(ip.octets()), address.port())),
        IpAddr::V6(_) => None,
    };
    let (of, to) = (written(of)?, written(to)?);
    table.lines().skip(1).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().skip(1);
        let fits = fields.next()? == of && fields.next()? == to;
        fits.then(|| fields.nth(4)?.parse().ok()).flatten()
    })
}

/// An error that ends a connection (manual: ErrorResponse).
fn refusal(text: &str) -> Vec<u8> {
    let mut body = Vec::new();
    for (code, value) in [(b'S', "FATAL"), (b'V', "FATAL"), (b'C', "08006"), (b'M', text)] {
        body.push(code);
        body.extend_from_slice(value.as_bytes());
        body.push(0);
    }
    body.push(0);
    frame(b'E', &body)
}

fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
    let mut frame = vec![tag];
    frame.extend_from_slice(&u32::try_from(body.len() + 4).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend_from_slice(body);
    frame
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

impl Door {
    /// Leads one client to the database and back.
    async fn lead(&self, client: &mut TcpStream) -> Result<(), String> {
        let gone = |_| "the client broke off".to_owned();
        let packet = loop {
            let length = client.read_u32().await.map_err(gone)? as usize;
            if !(8..=STARTUP_BYTES_MAX).contains(&length) {
                return Err("that is not a client of PostgreSQL".to_owned());
            }
            let mut packet = vec![0; length - 4];
            client.read_exact(&mut packet).await.map_err(gone)?;
            match word(&packet, 0) {
                // Nobody else is on this wire; the way to the gateway has TLS of its own.
                Some(SSL_REQUEST | GSSENC_REQUEST) => client.write_all(b"N").await.map_err(gone)?,
                Some(CANCEL_REQUEST) => return self.cancel(&packet).await,
                _ => break packet,
            }
        };
        let credential = self.credential().await?;
        let startup = startup(&packet, &credential.user, &self.target)?;
        let (mut gateway, binding) = self.reach(&credential).await?;
        log_in(&mut gateway, client, &startup, &credential, binding).await?;
        // Whoever closes first, the other end learns it.
        let _ended = tokio::io::copy_bidirectional(client, &mut gateway).await;
        Ok(())
    }

    async fn cancel(&self, packet: &[u8]) -> Result<(), String> {
        let credential = self.credential().await?;
        let (mut gateway, _) = self.reach(&credential).await?;
        let mut whole = u32::try_from(packet.len() + 4).unwrap_or(0).to_be_bytes().to_vec();
        whole.extend_from_slice(packet);
        gateway.write_all(&whole).await.map_err(|e| format!("the gateway: {e}"))
    }

    /// The password, or a new one if it is about to end.
    async fn credential(&self) -> Result<Credential, String> {
        let mut held = self.credential.lock().await;
        if held.until < now() + LEFT_SECONDS_MIN {
            // A moment in which the others wait too: once in an hour.
            let asked = mint(&self.state, &self.target, &self.purpose, self.seconds);
            *held = asked.map_err(|e| e.to_string())?;
        }
        Ok(held.clone())
    }

    /// A connection to the gateway, and what a login binds itself to.
    async fn reach(&self, credential: &Credential) -> Result<(Box<dyn Stream>, Option<Vec<u8>>), String> {
        let wrong = |e: io::Error| format!("{}:{}: {e}", credential.host, credential.port);
        let mut socket = TcpStream::connect((credential.host.as_str(), credential.port)).await.map_err(wrong)?;
        socket.set_nodelay(true).map_err(wrong)?;
        if !credential.tls {
            return Ok((Box::new(socket), None));
        }
        let mut request = 8_u32.to_be_bytes().to_vec();
        request.extend_from_slice(&SSL_REQUEST.to_be_bytes());
        socket.write_all(&request).await.map_err(wrong)?;
        if socket.read_u8().await.map_err(wrong)? != b'S' {
            return Err("the gateway offers no TLS".to_owned());
        }
        let name = crate::tls::server_name(&credential.host)?;
        let stream = TlsConnector::from(Arc::clone(&self.tls)).connect(name, socket).await.map_err(wrong)?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let binding = certificate.and_then(|certificate| end_point_hash(certificate));
        Ok((Box::new(stream), binding))
    }
}

/// The client's startup packet with another user and database.
fn startup(packet: &[u8], user: &str, database: &str) -> Result<Vec<u8>, String> {
    let malformed = || "that is not a client of PostgreSQL".to_owned();
    let version = word(packet, 0).filter(|version| version >> 16 == 3).ok_or_else(malformed)?;
    let mut body = version.to_be_bytes().to_vec();
    let mut put = |name: &[u8], value: &[u8]| {
        for text in [name, value] {
            body.extend_from_slice(text);
            body.push(0);
        }
    };
    put(b"user", user.as_bytes());
    put(b"database", database.as_bytes());
    let texts = packet.get(4..).and_then(|rest| rest.strip_suffix(b"\0\0").or_else(|| rest.strip_suffix(b"\0")));
    let mut texts = texts.ok_or_else(malformed)?.split(|byte| *byte == 0);
    while let Some(name) = texts.next().filter(|name| !name.is_empty()) {
        let value = texts.next().ok_or_else(malformed)?;
        if name != b"user" && name != b"database" {
            put(name, value);
        }
    }
    body.push(0);
    let mut whole = u32::try_from(body.len() + 4).map_err(|_| malformed())?.to_be_bytes().to_vec();
    whole.extend_from_slice(&body);
    Ok(whole)
}

/// Logs in, and tells the client when that is done. What the gateway says to the client goes to it.
async fn log_in(
    gateway: &mut Box<dyn Stream>,
    client: &mut TcpStream,
    startup: &[u8],
    credential: &Credential,
    binding: Option<Vec<u8>>,
) -> Result<(), String> {
    let wrong = |e: io::Error| format!("the gateway: {e}");
    let gone = |_| "the client broke off".to_owned();
    let refused = || "the gateway could not prove that it knows the password".to_owned();
    gateway.write_all(startup).await.map_err(wrong)?;
    let mut nonce = [0; 18];
    getrandom::fill(&mut nonce).map_err(|_| "no random numbers".to_owned())?;
    let mut scram = Scram::new(nonce, binding);
    let mut keys = ClientKeys::new(Zeroizing::new(credential.password.as_bytes().to_vec()));
    let mut proved = false;
    loop {
        let tag = gateway.read_u8().await.map_err(wrong)?;
        let length = gateway.read_u32().await.map_err(wrong)? as usize;
        if !(4..=FRAME_BYTES_MAX).contains(&length) {
            return Err("that is not a gateway".to_owned());
        }
        let mut body = vec![0; length - 4];
        gateway.read_exact(&mut body).await.map_err(wrong)?;
        match (tag, word(&body, 0)) {
            (b'R', Some(10)) => {
                let offered = Offered::parse(&body[4..]).map_err(|_| refused())?;
                let (mechanism, first) = scram.client_first(offered).map_err(|_| refused())?;
                let mut answer = mechanism.name().as_bytes().to_vec();
                answer.push(0);
                answer.extend_from_slice(&u32::try_from(first.len()).unwrap_or(0).to_be_bytes());
                answer.extend_from_slice(&first);
                gateway.write_all(&frame(b'p', &answer)).await.map_err(wrong)?;
            }
            (b'R', Some(11)) => {
                let answer = scram.server_first(&body[4..], &mut keys).map_err(|_| refused())?;
                gateway.write_all(&frame(b'p', &answer)).await.map_err(wrong)?;
            }
            (b'R', Some(12)) => {
                scram.server_final(&body[4..]).map_err(|_| refused())?;
                proved = true;
            }
            (b'R', Some(0)) if proved => {
                return client.write_all(&frame(b'R', &body)).await.map_err(gone);
            }
            (b'R', _) => return Err("the gateway asks for a login that is not SCRAM-SHA-256".to_owned()),
            (b'E', _) => {
                client.write_all(&frame(b'E', &body)).await.map_err(gone)?;
                return Err("the gateway refused the login".to_owned());
            }
            (b'v' | b'N', _) => client.write_all(&frame(tag, &body)).await.map_err(gone)?,
            _ => return Err("that is not a gateway".to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_startup_packet_keeps_what_the_client_asked_for_but_for_who_and_where() {
        let mut packet = (3_u32 << 16 | 2).to_be_bytes().to_vec();
        packet.extend_from_slice(b"user\0me\0database\0x\0application_name\0psql\0options\0\0\0");
        let whole = startup(&packet, "alice", "clinic").unwrap();
        assert_eq!(word(&whole, 0).unwrap() as usize, whole.len());
        assert_eq!(word(&whole, 4), Some(3 << 16 | 2));
        assert_eq!(&whole[8..], b"user\0alice\0database\0clinic\0application_name\0psql\0options\0\0\0");
        let mut least = (3_u32 << 16).to_be_bytes().to_vec();
        least.push(0);
        assert_eq!(&startup(&least, "a", "b").unwrap()[8..], b"user\0a\0database\0b\0\0");
        for bad in [&b"\0\x02\0\0\0"[..], b"\0\x03", b"\0\x03\0\0user"] {
            assert!(startup(bad, "a", "b").is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_owner_of_a_connection_is_that_of_its_own_end() {
        let table = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n\
             0: 0100007F:1920 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0\n\
             1: 0100007F:1920 0100007F:D431 01 00000000:00000000 00:00000000 00000000  1000        0 2 1 0 20 4 30 10 -1\n\
             2: 0100007F:D431 0100007F:1920 01 00000000:00000000 00:00000000 00000000  1001        0 3 1 0 20 4 30 10 -1\n";
        let (ours, theirs) = ("127.0.0.1:6432".parse().unwrap(), "127.0.0.1:54321".parse().unwrap());
        assert_eq!(owner_in(table, theirs, ours), Some(1001));
        assert_eq!(owner_in(table, ours, theirs), Some(1000));
        assert_eq!(owner_in(table, "127.0.0.1:1".parse().unwrap(), ours), None);
    }
}
