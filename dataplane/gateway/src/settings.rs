//! What the gateway is started with.

use postgres::scram::Verifier;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ServerConfig};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use zeroize::Zeroizing;

/// Settings that need a restart to change.
#[derive(Debug)]
pub struct Settings {
    /// Who may log in besides the users of the rules.
    pub directory: Arc<dyn crate::access::Directory>,
    /// Tokens that clients may show.
    pub tokens: Tokens,
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// Executors.
    pub cores: usize,
    /// What runs them; `None` takes the best that this machine has.
    pub driver: Option<crate::Driver>,
    /// Pin executor i to processor i.
    pub pin: bool,
    /// Limits.
    pub limits: Limits,
    /// TLS for clients.
    pub tls: Option<DownstreamTls>,
    /// Targets, in the order of the bundle.
    pub targets: Vec<TargetSettings>,
    /// Where the audit log is written.
    pub audit_directory: PathBuf,
    /// Size of an audit segment.
    pub segment_bytes: u64,
    /// Where audit segments are written when the directory fails or is full.
    pub spare_directory: Option<PathBuf>,
    /// How often each core says in the log that it is alive; zero is never.
    pub heartbeat: Duration,
    /// How long a statement or an answer waits for its record before it fails.
    pub audit_wait_max: Duration,
    /// Who can open what sessions' records and recordings seal; with nobody, nothing is sealed.
    pub recipients: Vec<sealing::Recipient>,
    /// Version of the program, for records.
    pub build: String,
}

/// Tokens that clients may show; inside TLS only.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// In the place of the password, from a client that says so: user name `token`, or start-up option `tidegate.auth=token`.
    pub password: bool,
    /// By OAUTHBEARER, and where clients get them.
    pub oauth: Option<contract::Discovery>,
}

/// Limits of the process and of each session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Of one conversation.
    pub conversation: contract::Limits,
    /// Connections of the process.
    pub sessions: usize,
    /// Sessions of one user.
    pub sessions_per_user: usize,
    /// From the first byte to the end of the login.
    pub login_timeout: Duration,
    /// Without a byte from the client and nothing running; zero is no limit.
    pub idle_timeout: Duration,
    /// A client that takes no bytes although there are some.
    pub idle_write_timeout: Duration,
    /// Connecting and logging in to the database.
    pub dial_timeout: Duration,
    /// A statement that is held waits this long for approval before it fails.
    pub hold_max: Duration,
    /// Its client is told that it waits, this often.
    pub hold_notice: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            conversation: contract::Limits::default(),
            sessions: 10_000,
            sessions_per_user: 1_000,
            login_timeout: Duration::from_secs(10),
            idle_timeout: Duration::ZERO,
            idle_write_timeout: Duration::from_secs(60),
            dial_timeout: Duration::from_secs(10),
            hold_max: Duration::from_secs(600),
            hold_notice: Duration::from_secs(20),
        }
    }
}

/// TLS for clients.
#[derive(Clone, Debug)]
pub struct DownstreamTls {
    /// Certificates and protocols.
    pub config: Arc<ServerConfig>,
    /// tls-server-end-point hash of the certificate (RFC 5929); empty offers no channel binding.
    pub end_point_hash: Vec<u8>,
    /// Plaintext logins are refused.
    pub required: bool,
}

/// A password.
#[derive(Clone)]
pub struct Secret(pub Zeroizing<Vec<u8>>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

/// How one target is reached.
#[derive(Clone, Debug)]
pub struct TargetSettings {
    /// Name, as in the bundle.
    pub name: String,
    /// Database on the server.
    pub database: String,
    /// Account.
    pub account: String,
    /// Addresses, tried in order.
    pub addresses: Vec<SocketAddr>,
    /// TLS.
    pub tls: Option<UpstreamTls>,
    /// Password.
    pub password: Option<Secret>,
    /// What statements and answers wait for, instead of what the rules say.
    pub durability: Option<session::Durability>,
    /// What is recorded of what its sessions are sent.
    pub recordings: Recordings,
    /// Whose account sessions use.
    pub credentials: Credentials,
    /// Connections of sessions that have ended are used again.
    pub reuse: Option<Reuse>,
}

/// How connections to a target are used again, by sessions of the same account with the same startup parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reuse {
    /// One that nobody took for so long is closed.
    pub idle: Duration,
    /// One is used for so long.
    pub age: Duration,
    /// Kept on each core, at most.
    pub connections: usize,
}

/// Whose account sessions use on a target.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Credentials {
    /// The target's, under the application name that the client gives.
    #[default]
    Plain,
    /// The target's, under an application name that says session and user.
    Tagged,
    /// One that the control side makes for the session.
    PerSession,
}

/// What is recorded of what sessions are sent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recordings {
    /// For roles that are not named.
    pub usual: Recording,
    /// By role.
    pub roles: Vec<(String, Recording)>,
}

impl Recordings {
    /// For a role.
    #[must_use]
    pub fn of(&self, role: &str) -> Recording {
        self.roles.iter().find(|(name, _)| name == role).map_or(self.usual, |(_, recording)| *recording)
    }
}

/// How one session is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recording {
    /// What is kept.
    pub mode: RecordingMode,
    /// Size of the file at which it ends; 0 for none.
    pub cap_bytes: u64,
    /// What becomes of the session then.
    pub on_cap: Onward,
    /// What becomes of the session when the recording cannot be written.
    pub on_error: Onward,
    /// Compress it.
    pub compress: bool,
}

impl Recording {
    /// What holds for sessions that must be recorded: rows where they can be sealed, else digests; without it they end.
    #[must_use]
    pub fn forced(self, sealed: bool) -> Self {
        let mode = if sealed { RecordingMode::Rows } else { RecordingMode::Digest };
        let mode = if self.mode == RecordingMode::Rows { self.mode } else { mode };
        Self { mode, on_cap: Onward::Stop, on_error: Onward::Stop, ..self }
    }
}

impl Default for Recording {
    fn default() -> Self {
        Self {
            mode: RecordingMode::None,
            cap_bytes: 1 << 30,
            on_cap: Onward::Spill,
            on_error: Onward::Stop,
            compress: true,
        }
    }
}

/// What a recording keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordingMode {
    /// There is none.
    None,
    /// Digests of what was sent.
    Digest,
    /// What was sent.
    Rows,
}

impl RecordingMode {
    /// The word in the log and in the configuration; the log says nothing of none.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Digest => "digest",
            Self::Rows => "rows",
        }
    }
}

/// What becomes of a session whose recording ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onward {
    /// It is ended too.
    Stop,
    /// It goes on unrecorded.
    Spill,
}

/// TLS to a target.
#[derive(Clone, Debug)]
pub struct UpstreamTls {
    /// Trust and client certificate.
    pub config: Arc<ClientConfig>,
    /// Name the certificate must have.
    pub server_name: ServerName<'static>,
}

/// What is replaced by a reload.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Users.
    pub users: Arc<Users>,
    /// One per target, in the order of the settings.
    pub epochs: Vec<Arc<policy::Epoch>>,
    /// New TLS configuration for new connections; `None` keeps the old.
    pub tls: Option<DownstreamTls>,
}

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// Name.
    pub name: String,
    /// What the password is checked with.
    pub verifier: Verifier,
    /// Groups.
    pub groups: Vec<String>,
}

/// Users by name.
#[derive(Debug, Default)]
pub struct Users {
    by_name: HashMap<String, User>,
    mock_secret: [u8; 32],
}

/// Two users have one name.
#[derive(Debug, PartialEq, Eq)]
pub struct DuplicateUser(pub String);

impl std::fmt::Display for DuplicateUser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "user \"{}\" is defined twice", self.0)
    }
}

impl std::error::Error for DuplicateUser {}

impl Users {
    /// # Errors
    /// A name appears twice.
    pub fn new(entries: Vec<User>) -> Result<Self, DuplicateUser> {
        let mut by_name = HashMap::with_capacity(entries.len());
        for user in entries {
            if let Some(old) = by_name.insert(user.name.clone(), user) {
                return Err(DuplicateUser(old.name));
            }
        }
        let mut mock_secret = [0; 32];
        // Without randomness the fake salts of unknown users could be told from real ones; nothing else depends on it.
        let _ = getrandom::fill(&mut mock_secret);
        Ok(Self { by_name, mock_secret })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.by_name.contains_key(name)
    }

    pub(crate) fn find(&self, name: &str) -> session::User<Verifier> {
        match self.by_name.get(name) {
            Some(user) => {
                let proven = session::Proven::local(name, user.groups.clone());
                session::User { verifier: user.verifier.clone(), proven: vec![proven] }
            }
            None => session::User { verifier: Verifier::mock(name, &self.mock_secret), proven: Vec::new() },
        }
    }
}
