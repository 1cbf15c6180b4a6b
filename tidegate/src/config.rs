//! The gateway's configuration file: what it may say, its defaults, and where each value stands.
//!
//! Reading checks form only (settings, units, addresses, ranges); whether files exist and fit together is checked by
//! [`crate::prepare`], so that both kinds of mistake are reported in one run. Relative paths are relative to the file.

use crate::{
    access::{AccessSettings, ConsoleSettings, CredentialSettings, IdentitySettings},
    problems::{Place, Problems},
    recordings::{self, RecordingSettings},
    secrets::SecretSource,
    units, vouch,
    yaml::{Node, Placed, Report, Section, parse},
};
use gateway::{Driver, Durability, Reuse};
use policy::model::UpstreamTls;
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// Everything the file says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file, as it was named.
    pub file: PathBuf,
    /// Where clients connect.
    pub listen: Vec<Placed<SocketAddr>>,
    /// Cores to use; `None`: all that the process may use.
    pub cores: Option<usize>,
    /// What runs the cores; `None`: the best that this machine has.
    pub driver: Option<Driver>,
    /// The policy bundle.
    pub bundle: Placed<PathBuf>,
    /// The users file; without one people of the section `access` alone can log in.
    pub users: Option<Placed<PathBuf>>,
    /// TLS for clients.
    pub tls: Option<TlsFiles>,
    /// The audit log.
    pub audit: Audit,
    /// Where metrics, health and status are served.
    pub metrics: Option<Placed<SocketAddr>>,
    /// Named secrets for tokens.
    pub keys: BTreeMap<String, Placed<SecretSource>>,
    /// Secrets and overrides of targets.
    pub targets: BTreeMap<String, Target>,
    /// How often catalogs are fetched again.
    pub catalog_refresh: Duration,
    /// How often secrets of targets are read again.
    pub secrets_refresh: Duration,
    /// Limits.
    pub limits: Limits,
    /// Who may do what, for how long.
    pub access: Option<AccessSettings>,
    /// Who says who people and programs are.
    pub identity: Option<IdentitySettings>,
    /// Pages and API for people.
    pub console: Option<ConsoleSettings>,
    /// The log.
    pub log: Log,
}

/// Certificate and key for clients.
#[derive(Clone, Debug)]
pub struct TlsFiles {
    /// Certificate chain, PEM.
    pub certificate: Placed<PathBuf>,
    /// Private key, PEM.
    pub key: Placed<PathBuf>,
    /// Whether clients without TLS are refused.
    pub required: bool,
}

/// The audit log.
#[derive(Clone, Debug)]
pub struct Audit {
    /// Its directory; made if it does not exist.
    pub directory: Placed<PathBuf>,
    /// When a segment is full.
    pub segment_bytes: u64,
    /// Checkpoints, witnesses, copies.
    pub vouch: vouch::Settings,
    /// Where segments are written when the directory fails or is full.
    pub spare_directory: Option<Placed<PathBuf>>,
    /// How often each core says in the log that it is alive.
    pub heartbeat: Duration,
    /// How long a statement or an answer waits for its record before it fails.
    pub wait_max: Duration,
    /// Where records are sent on to.
    pub forward: Vec<crate::forwarders::Entry>,
    /// Files of the public keys that texts, parameters and recordings are sealed to.
    pub recipients: Vec<Placed<PathBuf>>,
    /// What is recorded of what clients are sent.
    pub recordings: RecordingSettings,
}

/// What the file says about a target of the bundle.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it is named.
    pub place: Place,
    /// Password of the account.
    pub password: Option<Placed<SecretSource>>,
    /// Trusted authorities, PEM; the system's if absent.
    pub ca: Option<Placed<PathBuf>>,
    /// Our certificate and its key.
    pub client: Option<(Placed<PathBuf>, Placed<PathBuf>)>,
    /// `host:port` instead of the bundle's.
    pub address: Option<Placed<String>>,
    /// TLS mode instead of the bundle's.
    pub tls: Option<UpstreamTls>,
    /// What statements and answers wait for, instead of the bundle's.
    pub audit: Option<Durability>,
    /// What is recorded of its sessions, over what `audit` says.
    pub recordings: Option<RecordingSettings>,
    /// Whose account sessions use.
    pub credentials: Option<CredentialSettings>,
    /// Connections of sessions that have ended are used again.
    pub reuse: Option<(Place, Reuse)>,
    /// Where it says that nobody gets in without a purpose.
    pub purpose: Option<Place>,
}

/// Limits, with the names of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Sessions of the process.
    pub sessions: u32,
    /// Sessions of one user.
    pub sessions_per_user: u32,
    /// From accept to the end of the login.
    pub login_timeout: Duration,
    /// Without a statement; zero is none.
    pub idle_timeout: Duration,
    /// A reader that never reads.
    pub idle_write_timeout: Duration,
    /// How long sessions may finish after the signal to stop.
    pub drain_timeout: Duration,
    /// Longest statement.
    pub statement_bytes: u64,
    /// Prepared statements of a session.
    pub prepared_statements: u32,
    /// Replies owed to a client.
    pub pipeline: u32,
    /// Largest buffer of one direction.
    pub buffer_bytes: u64,
    /// A statement that is held waits this long for approval before it fails.
    pub hold_max: Duration,
    /// Its client is told that it waits, this often.
    pub hold_notice: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 10_000,
            sessions_per_user: 1_000,
            login_timeout: Duration::from_secs(10),
            idle_timeout: Duration::ZERO,
            idle_write_timeout: Duration::from_secs(60),
            drain_timeout: Duration::from_secs(30),
            statement_bytes: 1 << 20,
            prepared_statements: 4096,
            pipeline: 16_384,
            buffer_bytes: 256 << 10,
            hold_max: Duration::from_secs(600),
            hold_notice: Duration::from_secs(20),
        }
    }
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// Its form.
    pub format: LogFormat,
    /// What is written: a level, or directives as `tracing` knows them.
    pub level: String,
}

/// Form of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object per line.
    Json,
}

impl Config {
    /// Reads a file. `None` only where nothing useful can be made of it; otherwise what is wrong is in `problems` and the
    /// default stands in its place.
    pub fn load(file: &Path, problems: &mut Problems) -> Option<Self> {
        match std::fs::read_to_string(file) {
            Ok(text) => Self::read(file, &text, problems),
            Err(error) => {
                let hint = match error.kind() {
                    std::io::ErrorKind::NotFound => "; name the configuration with --config FILE",
                    _ => "",
                };
                problems.error(file, None, format!("cannot be read: {error}{hint}"));
                None
            }
        }
    }

    /// Reads the text of a file.
    pub fn read(file: &Path, text: &str, problems: &mut Problems) -> Option<Self> {
        const KNOWN: &[&str] = &[
            "listen",
            "cores",
            "driver",
            "bundle",
            "users",
            "tls",
            "audit",
            "metrics",
            "keys",
            "targets",
            "catalog_refresh",
            "secrets_refresh",
            "limits",
            "access",
            "console",
            "identity",
            "log",
        ];
        let root = parse(file, text, problems)?;
        let folder = file.parent().unwrap_or_else(|| Path::new(""));
        let mut report = Report::new(file, problems);
        let report = &mut report;
        let mut root = Section::open("", root, KNOWN, report);

        let listen = root.demand("listen", report).map(|n| listen(n, report)).unwrap_or_default();
        let bundle = root.demand("bundle", report).and_then(|n| path("bundle", n, folder, report));
        let users = root.take("users").map(|n| path("users", n, folder, report));
        let cores = root.value("cores", None, report, |t| number(t, 1, 1024).map(|n| Some(n as usize)));
        let driver = root.value("driver", None, report, |t| {
            Driver::of(t).map(Some).ok_or_else(|| format!("`{t}` is none of `uring`, `glommio`"))
        });
        let tls = root.take("tls").and_then(|n| tls_files(n, folder, report));
        let audit = audit(root.take("audit"), root.place(), folder, report);
        let metrics = root.take("metrics").and_then(|n| report.scalar("metrics", n)).and_then(|t| socket(t, report));
        let keys = root.take("keys").map(|n| keys(n, folder, report)).unwrap_or_default();
        let targets = root.take("targets").map(|n| targets(n, folder, report)).unwrap_or_default();
        let catalog_refresh = root.value("catalog_refresh", Duration::from_secs(30), report, |t| {
            within(t, Duration::from_secs(1), Duration::from_secs(86_400))
        });
        let secrets_refresh = root.value("secrets_refresh", Duration::from_secs(300), report, |t| {
            within(t, Duration::from_secs(1), Duration::from_secs(86_400))
        });
        let limits = root.take("limits").map(|n| limits(n, report)).unwrap_or_default();
        let mut access = root.take("access").and_then(|n| crate::access::read_access(n, folder, report));
        purposes(&targets, users.is_some(), access.as_mut(), report);
        let console = root.take("console").and_then(|n| crate::access::read_console(n, folder, report));
        if users.is_none() && access.is_none() {
            report.error(root.place(), "nobody could log in: name a `users` file, or write the section `access`");
        }
        if let (Some(console), None) = (&console, &access) {
            report.error(console.listen.place, "`console` needs the section `access`, where its people are kept");
        }
        let identity = root.take("identity").and_then(|n| crate::access::read_identity(n, folder, report));
        let log = log(root.take("log"), report);
        Some(Self {
            file: file.to_owned(),
            listen,
            cores,
            driver,
            bundle: bundle?,
            users: match users {
                Some(named) => Some(named?),
                None => None,
            },
            tls,
            audit: audit?,
            metrics,
            keys,
            targets,
            catalog_refresh,
            secrets_refresh,
            limits,
            access,
            console,
            identity,
            log,
        })
    }
}

fn listen(node: Placed<Node>, report: &mut Report<'_>) -> Vec<Placed<SocketAddr>> {
    let place = node.place;
    let texts = report.list("listen", node);
    if texts.is_empty() {
        report.error(place, "`listen` is empty; name at least one address, for instance \"127.0.0.1:6432\"");
    }
    let mut addresses: Vec<Placed<SocketAddr>> = Vec::new();
    for text in texts {
        let Some(address) = socket(text, report) else {
            continue;
        };
        if addresses.iter().any(|a| a.value == address.value) {
            report.error(address.place, format!("{} is listed twice", address.value));
        } else {
            addresses.push(address);
        }
    }
    addresses
}

pub(crate) fn socket(text: Placed<String>, report: &mut Report<'_>) -> Option<Placed<SocketAddr>> {
    let Ok(value) = text.value.parse() else {
        let hint = match text.value.rsplit_once(':') {
            Some(("localhost", port)) => format!("; write \"127.0.0.1:{port}\" or \"[::1]:{port}\""),
            Some(("" | "*", port)) => format!("; for all interfaces write \"0.0.0.0:{port}\" or \"[::]:{port}\""),
            _ => "; write an IP address and a port, for instance \"127.0.0.1:6432\" or \"[::1]:6432\"".to_owned(),
        };
        report.error(text.place, format!("`{}` is not an address to listen on{hint}", text.value));
        return None;
    };
    Some(Placed { value, place: text.place })
}

pub(crate) fn path(name: &str, node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<Placed<PathBuf>> {
    let text = report.scalar(name, node)?;
    if text.value.is_empty() {
        report.error(text.place, format!("`{name}` is an empty path"));
        return None;
    }
    Some(text.map(|t| folder.join(t)))
}

fn tls_files(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<TlsFiles> {
    let mut section = Section::open("tls", node, &["certificate", "key", "required"], report);
    let certificate = section.demand("certificate", report).and_then(|n| path("certificate", n, folder, report));
    let key = section.demand("key", report).and_then(|n| path("key", n, folder, report));
    let required = section.value("required", false, report, boolean);
    Some(TlsFiles { certificate: certificate?, key: key?, required })
}

fn audit(node: Option<Placed<Node>>, root: Place, folder: &Path, report: &mut Report<'_>) -> Option<Audit> {
    let Some(node) = node else {
        report.error(root, "`audit` is missing; write `audit: { directory: audit }`");
        return None;
    };
    let mut section = Section::open(
        "audit",
        node,
        &[
            "directory",
            "segment_bytes",
            "spare_directory",
            "heartbeat",
            "wait_max",
            "forward",
            "checkpoint",
            "witnesses",
            "anchor",
            "recipients",
            "recordings",
        ],
        report,
    );
    let directory = section.demand("directory", report).and_then(|n| path("directory", n, folder, report));
    let segment_bytes = section.value("segment_bytes", 16 << 20, report, |t| size(t, 64 << 10, 4 << 30));
    let spare_directory = section.take("spare_directory").and_then(|n| path("spare_directory", n, folder, report));
    if let (Some(spare), Some(directory)) = (&spare_directory, &directory)
        && spare.value == directory.value
    {
        report.error(spare.place, "`spare_directory` is the directory itself; name one on another disk");
    }
    let heartbeat = section.value("heartbeat", Duration::from_secs(60), report, |t| {
        within(t, Duration::from_secs(1), Duration::from_secs(3600))
    });
    let wait_max = section.value("wait_max", Duration::from_secs(5), report, |t| {
        within(t, Duration::from_millis(500), Duration::from_secs(600))
    });
    let forward = section.take("forward").map(|n| crate::forwarders::read(n, folder, report)).unwrap_or_default();
    let vouch = vouch::Settings::take(&mut section, folder, report);
    let recipients = section.take("recipients").map(|n| recordings::recipients(n, folder, report));
    let recordings = section.take("recordings").map(|n| recordings::read(n, true, report));
    Some(Audit {
        directory: directory?,
        segment_bytes,
        spare_directory,
        heartbeat,
        wait_max,
        forward,
        recipients: recipients.unwrap_or_default(),
        recordings: recordings.unwrap_or_default(),
        vouch,
    })
}

fn keys(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> BTreeMap<String, Placed<SecretSource>> {
    let section = Section::open_free("keys", node, report);
    section
        .rest()
        .filter_map(|(name, node)| Some((name.value.clone(), secret(&name.value, node, folder, report)?)))
        .collect()
}

pub(crate) fn secret(
    name: &str,
    node: Placed<Node>,
    folder: &Path,
    report: &mut Report<'_>,
) -> Option<Placed<SecretSource>> {
    let place = node.place;
    if matches!(node.value, Node::Scalar(_)) {
        report.error(
            place,
            format!("`{name}`: a secret is not written into this file; write {{ file: PATH }} or {{ env: NAME }}"),
        );
        return None;
    }
    let mut section = Section::open(name, node, &["file", "env", "sealed", "key", "vault", "path", "field"], report);
    let key = section.take("key").and_then(|n| path("key", n, folder, report));
    let mut text = |key: &str, report: &mut Report<'_>| section.take(key).and_then(|n| report.scalar(key, n));
    let (file, env) = (text("file", report), text("env", report));
    let (sealed, vault) = (text("sealed", report), text("vault", report));
    let (within, field) = (text("path", report), text("field", report));
    let given = [&file, &env, &sealed, &vault].into_iter().flatten().count();
    if given > 1 {
        report.error(place, format!("`{name}` has several sources; keep one"));
        return None;
    }
    let none_empty = [&file, &env, &sealed, &vault].into_iter().flatten().all(|text| !text.value.is_empty());
    let value = match (file, env, sealed, vault) {
        _ if !none_empty => {
            report.error(place, format!("`{name}` names an empty source"));
            return None;
        }
        (Some(file), ..) => SecretSource::File(folder.join(file.value)),
        (_, Some(env), ..) => SecretSource::Env(env.value),
        (_, _, Some(sealed), _) => {
            let Some(key) = key else {
                report.error(place, format!("`{name}`: `sealed` needs `key`, the file of its key"));
                return None;
            };
            SecretSource::Sealed(folder.join(sealed.value), key.value)
        }
        (.., Some(vault)) => {
            let (Some(within), Some(field)) = (within, field) else {
                let example = "{ vault: vault.yaml, path: secret/data/warehouse, field: password }";
                report
                    .error(place, format!("`{name}`: `vault` needs `path` and `field`; write for instance {example}"));
                return None;
            };
            SecretSource::Vault(folder.join(vault.value), within.value, field.value)
        }
        (None, None, None, None) => {
            report.error(place, format!("`{name}` names no source; write {{ file: PATH }} or {{ env: NAME }}"));
            return None;
        }
    };
    Some(Placed { value, place })
}

fn targets(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> BTreeMap<String, Target> {
    const KNOWN: &[&str] = &[
        "password",
        "ca",
        "client_certificate",
        "client_key",
        "address",
        "tls",
        "audit",
        "recordings",
        "credentials",
        "reuse",
        "purpose",
    ];
    let section = Section::open_free("targets", node, report);
    let mut targets = BTreeMap::new();
    for (name, node) in section.rest() {
        let mut section = Section::open(&name.value, node, KNOWN, report);
        let certificate =
            section.take("client_certificate").and_then(|n| path("client_certificate", n, folder, report));
        let key = section.take("client_key").and_then(|n| path("client_key", n, folder, report));
        let client = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            (Some(one), None) => {
                report.error(one.place, "`client_certificate` needs `client_key`");
                None
            }
            (None, Some(one)) => {
                report.error(one.place, "`client_key` needs `client_certificate`");
                None
            }
        };
        let password = section.take("password").and_then(|n| secret("password", n, folder, report));
        let ca = section.take("ca").and_then(|n| path("ca", n, folder, report));
        let address = section.take("address").and_then(|n| report.scalar("address", n));
        if let Some(address) = &address
            && let Err(error) = host_and_port(&address.value)
        {
            report.error(address.place, format!("`address`: {error}"));
        }
        let tls = section.value("tls", None, report, |t| upstream_tls(t).map(Some));
        let audit = section.value("audit", None, report, |t| {
            // YAML reads a bare `off` as false.
            let word = if t == "false" { "off" } else { t };
            Durability::named(word).map(Some).ok_or_else(|| format!("`{t}` is none of strict, intent, async, off"))
        });
        let recordings = section.take("recordings").map(|n| recordings::read(n, false, report));
        let reuse = section.take("reuse").map(|node| (node.place, reuse(node, report)));
        let credentials = section.take("credentials").and_then(|n| crate::access::read_credentials(n, folder, report));
        let purpose = section.take("purpose").and_then(|n| report.scalar("purpose", n)).and_then(|word| {
            match word.value.as_str() {
                "required" => return Some(word.place),
                "optional" => {}
                other => report.error(word.place, format!("`purpose`: `{other}` is neither required nor optional")),
            }
            None
        });
        targets.insert(
            name.value,
            Target {
                place: name.place,
                password,
                ca,
                client,
                address,
                tls,
                audit,
                recordings,
                credentials,
                reuse,
                purpose,
            },
        );
    }
    targets
}

/// How connections of sessions that have ended are used again.
fn reuse(node: Placed<Node>, report: &mut Report<'_>) -> Reuse {
    let mut section = Section::open("reuse", node, &["idle", "age", "connections"], report);
    let idle = section.value("idle", Duration::from_secs(60), report, |t| {
        within(t, Duration::from_secs(1), Duration::from_secs(86_400))
    });
    let age = section.value("age", Duration::from_secs(1_800), report, |t| {
        within(t, Duration::from_secs(1), Duration::from_secs(86_400))
    });
    let connections = section.value("connections", 16, report, |t| number(t, 1, 10_000));
    Reuse { idle, age, connections: usize::try_from(connections).unwrap_or(1) }
}

/// Tells the section `access` which targets need a purpose: those of the users file could not state one.
fn purposes(
    targets: &BTreeMap<String, Target>,
    users: bool,
    access: Option<&mut AccessSettings>,
    report: &mut Report<'_>,
) {
    let needed = || targets.iter().filter_map(|(name, target)| Some((name, target.purpose?)));
    for (name, place) in needed() {
        if users {
            report.error(place, format!("`{name}` needs a purpose, but who logs in by the file `users` states none"));
        } else if access.is_none() {
            report.error(place, "`purpose` needs the section `access`, where purposes are stated");
        }
    }
    if let Some(access) = access {
        access.purpose_targets = needed().map(|(name, _)| name.clone()).collect();
    }
}

/// Splits `host:port`; an IPv6 address stands in brackets.
///
/// # Errors
/// What is wrong.
pub fn host_and_port(text: &str) -> Result<(String, u16), String> {
    let wrong = || format!("`{text}` is not host:port");
    let (host, port) = text.rsplit_once(':').ok_or_else(|| format!("{}; for instance {text}:5432", wrong()))?;
    let host = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        Some(inside) => inside,
        None if host.contains(':') => {
            return Err(format!("{}; an IPv6 address stands in brackets: [{host}]:{port}", wrong()));
        }
        None => host,
    };
    let port = port.parse().ok().filter(|p| *p != 0).ok_or_else(wrong)?;
    if host.is_empty() || host.contains(char::is_whitespace) {
        return Err(wrong());
    }
    Ok((host.to_owned(), port))
}

fn upstream_tls(text: &str) -> Result<UpstreamTls, String> {
    match text {
        "disable" => Ok(UpstreamTls::Disable),
        "require" => Ok(UpstreamTls::Require),
        "verify-ca" => Ok(UpstreamTls::VerifyCa),
        "verify-full" => Ok(UpstreamTls::VerifyFull),
        "allow" | "prefer" => {
            Err(format!("`{text}` protects nothing; choose disable, require, verify-ca or verify-full"))
        }
        _ => Err(format!("`{text}` is none of disable, require, verify-ca, verify-full")),
    }
}

fn limits(node: Placed<Node>, report: &mut Report<'_>) -> Limits {
    const KNOWN: &[&str] = &[
        "sessions",
        "sessions_per_user",
        "login_timeout",
        "idle_timeout",
        "idle_write_timeout",
        "drain_timeout",
        "statement_bytes",
        "prepared_statements",
        "pipeline",
        "buffer_bytes",
        "hold_max",
        "hold_notice",
    ];
    const DAY: Duration = Duration::from_secs(86_400);
    const SECOND: Duration = Duration::from_secs(1);
    let default = Limits::default();
    let mut s = Section::open("limits", node, KNOWN, report);
    Limits {
        sessions: s.value("sessions", default.sessions, report, |t| number(t, 1, 1_000_000)),
        sessions_per_user: s.value("sessions_per_user", default.sessions_per_user, report, |t| number(t, 1, 1_000_000)),
        login_timeout: s.value("login_timeout", default.login_timeout, report, |t| {
            within(t, Duration::from_millis(100), Duration::from_secs(600))
        }),
        idle_timeout: s.value("idle_timeout", default.idle_timeout, report, |t| within(t, Duration::ZERO, 365 * DAY)),
        idle_write_timeout: s
            .value("idle_write_timeout", default.idle_write_timeout, report, |t| within(t, SECOND, DAY)),
        drain_timeout: s.value("drain_timeout", default.drain_timeout, report, |t| within(t, Duration::ZERO, DAY)),
        statement_bytes: s.value("statement_bytes", default.statement_bytes, report, |t| size(t, 1 << 10, 1 << 30)),
        prepared_statements: s
            .value("prepared_statements", default.prepared_statements, report, |t| number(t, 1, 1_000_000)),
        pipeline: s.value("pipeline", default.pipeline, report, |t| number(t, 1, 1_000_000)),
        buffer_bytes: s.value("buffer_bytes", default.buffer_bytes, report, |t| size(t, 16 << 10, 64 << 20)),
        hold_max: s.value("hold_max", default.hold_max, report, |t| within(t, SECOND, DAY)),
        hold_notice: s.value("hold_notice", default.hold_notice, report, |t| within(t, SECOND, DAY)),
    }
}

fn log(node: Option<Placed<Node>>, report: &mut Report<'_>) -> Log {
    let default = Log { format: LogFormat::Text, level: "info".to_owned() };
    let Some(node) = node else {
        return default;
    };
    let mut section = Section::open("log", node, &["format", "level"], report);
    let format = section.value("format", default.format, report, |t| match t {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("`{t}` is neither text nor json")),
    });
    let level = section.value("level", default.level, report, |t| {
        let known = tracing_subscriber::EnvFilter::try_new(t);
        known.map(|_| t.to_owned()).map_err(|_| format!("`{t}` is none of error, warn, info, debug, trace"))
    });
    Log { format, level }
}

pub(crate) fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

pub(crate) fn number(text: &str, least: u32, most: u32) -> Result<u32, String> {
    let in_range = text.parse().ok().filter(|n| (least..=most).contains(n));
    in_range.ok_or_else(|| format!("`{text}` is not a whole number from {least} to {most}"))
}

pub(crate) fn size(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let value = units::bytes(text)?;
    let range = || format!("{text} is not between {} and {}", units::show_bytes(least), units::show_bytes(most));
    if (least..=most).contains(&value) { Ok(value) } else { Err(range()) }
}

pub(crate) fn within(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let value = units::duration(text)?;
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(format!("{text} is not between {least:?} and {most:?}"))
    }
}

#[cfg(test)]
mod tests;
