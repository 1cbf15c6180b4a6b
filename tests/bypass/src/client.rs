//! A client that says anything, frame by frame, to any server: no assumption about the peer ends in a panic.
//!
//! Frames are kept whole, because everything that reached the client is searched. Reads have a deadline. When the peer wants
//! COPY data it gets none: COPY is ended at once. It deliberately has no notion of rows or types.

use crate::Result;
use postgres_protocol::authentication::{
    md5_hash,
    sasl::{ChannelBinding, SCRAM_SHA_256, ScramSha256},
};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime, pem::PemObject},
};
use std::{
    fmt,
    io::{BufReader, Read, Write},
    net::{TcpStream, ToSocketAddrs},
    path::{Path, PathBuf},
    sync::Arc,
};
use tests::{
    process::PATIENCE,
    wire::{Frame, frame, ssl_request, startup, sync, zero},
};

/// How the connection is protected, as libpq names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tls {
    /// Plain text.
    Disable,
    /// TLS, whoever answers.
    Require,
    /// TLS with a certificate for the host's name, issued by the authorities of this PEM file, or else of the system.
    VerifyFull(Option<PathBuf>),
}

/// Where to connect, and as whom.
#[derive(Clone)]
pub struct Login {
    /// Name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// User.
    pub user: String,
    /// Password.
    pub password: String,
    /// Database.
    pub database: String,
    /// Protection.
    pub tls: Tls,
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}/{}", self.user, self.host, self.port, self.database)
    }
}

impl Login {
    /// The same place as somebody else.
    #[must_use]
    pub fn with_user(&self, user: &str) -> Self {
        Self { user: user.into(), ..self.clone() }
    }
}

/// The largest frame that is taken from a peer, bytes.
const FRAME_BYTES_MAX: usize = 256 << 20;

trait Transport: Read + Write + Send {}
impl<T: Read + Write + Send> Transport for T {}

/// A connection after its login.
pub struct Client {
    transport: BufReader<Box<dyn Transport>>,
    /// What came during the login.
    pub greeting: Vec<Frame>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

/// Why there is no session.
#[derive(Debug)]
pub enum NoSession {
    /// The peer said no, in these frames.
    Refused(Vec<Frame>),
    /// The connection failed.
    Failed(String),
}

impl fmt::Display for NoSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(frames) => {
                let said = frames.iter().find(|frame| frame.tag == b'E').and_then(|frame| frame.field(b'M'));
                write!(f, "login refused: {}", said.unwrap_or_default())
            }
            Self::Failed(why) => f.write_str(why),
        }
    }
}

impl From<String> for NoSession {
    fn from(why: String) -> Self {
        Self::Failed(why)
    }
}

impl Client {
    /// Logs in.
    ///
    /// # Errors
    /// The peer cannot be reached or says no.
    pub fn login(login: &Login) -> Result<Self, NoSession> {
        Self::login_with(login, &[])
    }

    /// Logs in with more startup parameters.
    ///
    /// # Errors
    /// The peer cannot be reached or says no.
    pub fn login_with(login: &Login, extra: &[(&str, &str)]) -> Result<Self, NoSession> {
        let mut client = Self { transport: BufReader::with_capacity(1 << 16, open(login)?), greeting: Vec::new() };
        let mut parameters = vec![("user", &*login.user), ("database", &*login.database)];
        parameters.extend_from_slice(extra);
        client.send(&startup(0x0003_0000, &parameters))?;
        client.authenticate(login)?;
        Ok(client)
    }

    fn authenticate(&mut self, login: &Login) -> Result<(), NoSession> {
        let mut scram = None;
        loop {
            let Some(reply) = self.read()? else { return Err("closed during the login".to_owned().into()) };
            self.greeting.push(reply.clone());
            match reply.tag {
                b'E' => return Err(NoSession::Refused(std::mem::take(&mut self.greeting))),
                b'R' => self.answer(login, &reply, &mut scram)?,
                b'Z' => return Ok(()),
                _ => {}
            }
        }
    }

    fn answer(&mut self, login: &Login, request: &Frame, scram: &mut Option<ScramSha256>) -> Result<()> {
        let (head, rest) = request.body.split_first_chunk::<4>().ok_or("a short authentication request")?;
        let unexpected = || "authentication steps out of order".to_owned();
        match u32::from_be_bytes(*head) {
            0 => Ok(()),
            3 => self.send(&frame(b'p', &zero(&login.password))),
            5 => {
                let salt = *rest.first_chunk::<4>().ok_or("a short authentication request")?;
                let hash = md5_hash(login.user.as_bytes(), login.password.as_bytes(), salt);
                self.send(&frame(b'p', &zero(&hash)))
            }
            10 => {
                let exchange = ScramSha256::new(login.password.as_bytes(), ChannelBinding::unsupported());
                let mut body = zero(SCRAM_SHA_256);
                let length = u32::try_from(exchange.message().len()).map_err(|_| unexpected())?;
                body.extend(length.to_be_bytes());
                body.extend(exchange.message());
                *scram = Some(exchange);
                self.send(&frame(b'p', &body))
            }
            11 => {
                let exchange = scram.as_mut().ok_or_else(unexpected)?;
                exchange.update(rest).map_err(|error| format!("SCRAM: {error}"))?;
                let body = exchange.message().to_vec();
                self.send(&frame(b'p', &body))
            }
            12 => scram.take().ok_or_else(unexpected)?.finish(rest).map_err(|error| format!("SCRAM: {error}")),
            other => Err(format!("authentication request {other} is not spoken here")),
        }
    }

    /// Sends bytes as they are.
    ///
    /// # Errors
    /// The connection is gone.
    pub fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let socket = self.transport.get_mut();
        socket.write_all(bytes).and_then(|()| socket.flush()).map_err(|error| format!("send: {error}"))
    }

    /// The next frame; `None` when the peer has closed.
    ///
    /// # Errors
    /// The peer says nothing for too long, or what it says is no frame.
    pub fn read(&mut self) -> Result<Option<Frame>> {
        let mut head = [0; 5];
        match self.transport.read(&mut head[..1]) {
            Ok(0) => return Ok(None),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(format!("read: {error}")),
        }
        self.transport.read_exact(&mut head[1..]).map_err(|error| format!("read: {error}"))?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]) as usize;
        if !(4..=FRAME_BYTES_MAX).contains(&length) {
            return Err(format!("a frame of length {length}"));
        }
        let mut body = vec![0; length - 4];
        self.transport.read_exact(&mut body).map_err(|error| format!("read: {error}"))?;
        Ok(Some(Frame { tag: head[0], body }))
    }

    /// Frames up to the `count`-th ReadyForQuery or the end of the connection.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn until_ready(&mut self, count: usize) -> Result<Vec<Frame>> {
        let mut frames = Vec::new();
        let mut ready = 0;
        while ready < count {
            let Some(frame) = self.read()? else { break };
            if matches!(frame.tag, b'G' | b'W') {
                // The Sync that came before was swallowed by the COPY.
                self.send(&[tests::wire::frame(b'c', &[]), sync()].concat())?;
            }
            ready += usize::from(frame.tag == b'Z');
            frames.push(frame);
        }
        Ok(frames)
    }

    /// Sends this and reads to the next ReadyForQuery.
    ///
    /// # Errors
    /// As for [`Self::read`].
    pub fn ask(&mut self, bytes: &[u8]) -> Result<Vec<Frame>> {
        self.send(bytes)?;
        self.until_ready(1)
    }
}

/// The values of a DataRow; none when it is malformed.
#[must_use]
pub fn values(row: &Frame) -> Vec<Option<&[u8]>> {
    let mut values = Vec::new();
    let mut rest = row.body.get(2..).unwrap_or_default();
    while let Some((length, after)) = rest.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        let Ok(length) = usize::try_from(length) else {
            values.push(None);
            rest = after;
            continue;
        };
        let Some((value, after)) = after.split_at_checked(length) else { break };
        values.push(Some(value));
        rest = after;
    }
    values
}

fn open(login: &Login) -> Result<Box<dyn Transport>> {
    let failed = |error: std::io::Error| format!("{}:{}: {error}", login.host, login.port);
    let mut last = format!("{}: no address", login.host);
    for address in (&*login.host, login.port).to_socket_addrs().map_err(failed)? {
        match TcpStream::connect_timeout(&address, PATIENCE) {
            Ok(socket) => {
                socket.set_nodelay(true).map_err(failed)?;
                socket.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
                socket.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
                return secure(login, socket);
            }
            Err(error) => last = failed(error),
        }
    }
    Err(last)
}

fn secure(login: &Login, mut socket: TcpStream) -> Result<Box<dyn Transport>> {
    let config = match &login.tls {
        Tls::Disable => return Ok(Box::new(socket)),
        Tls::Require => anyone()?,
        Tls::VerifyFull(authorities) => verified(authorities.as_deref())?,
    };
    let mut answer = [0];
    socket.write_all(&ssl_request()).map_err(|error| format!("send: {error}"))?;
    socket.read_exact(&mut answer).map_err(|error| format!("read: {error}"))?;
    if answer != *b"S" {
        return Err("the server does not speak TLS".into());
    }
    let name = ServerName::try_from(login.host.clone()).map_err(|error| format!("{}: {error}", login.host))?;
    let session = ClientConnection::new(Arc::new(config), name).map_err(|error| format!("TLS: {error}"))?;
    Ok(Box::new(StreamOwned::new(session, socket)))
}

fn builder() -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))
}

fn verified(authorities: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => {
            let listed = CertificateDer::pem_file_iter(path).map_err(|error| format!("{}: {error}", path.display()))?;
            for certificate in listed {
                let certificate = certificate.map_err(|error| format!("{}: {error}", path.display()))?;
                roots.add(certificate).map_err(|error| format!("{}: {error}", path.display()))?;
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
    }
    Ok(builder()?.with_root_certificates(roots).with_no_client_auth())
}

fn anyone() -> Result<ClientConfig> {
    let anyone = Arc::new(Anyone(Arc::new(ring::default_provider())));
    Ok(builder()?.dangerous().with_custom_certificate_verifier(anyone).with_no_client_auth())
}

/// Takes any certificate: the probes are about what comes out, not about who answers.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
