//! The sections `access:` and `console:` of the configuration.

use super::notices::{ApproverSettings, NoticeSettings};
use crate::config::{boolean, path, secret, within};
use crate::secrets::SecretSource;
use crate::yaml::{Node, Placed, Report, Section};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);

/// Where grants, approvals and revocations live.
#[derive(Clone, Debug)]
pub enum StoreSource {
    /// In a file of this folder, for one gateway.
    Folder(Placed<PathBuf>),
    /// In PostgreSQL, for several: connection string, and the authorities trusted for its TLS.
    Postgres {
        /// `postgres://…` or `host=… user=…`; it may hold a password, so it is a secret.
        connection: Placed<SecretSource>,
        /// PEM; the system's if absent.
        ca: Option<Placed<PathBuf>>,
    },
}

/// The section `access:`.
#[derive(Clone, Debug)]
pub struct AccessSettings {
    /// Where it is kept.
    pub store: StoreSource,
    /// Key that seals what is kept; made if it does not exist. Keep it outside of the data directory.
    pub key_file: Placed<PathBuf>,
    /// Name of this gateway among those that share the store.
    pub node: Option<String>,
    /// Groups of administrators.
    pub admins: Vec<String>,
    /// Groups that may look at everything.
    pub auditors: Vec<String>,
    /// A request waits this long.
    pub request_for: Duration,
    /// An approved statement may be run within.
    pub use_within: Duration,
    /// Requests of one person that may wait at a time.
    pub pending_max: u32,
    /// After a refusal the same person waits this long.
    pub cool_down: Duration,
    /// Longest life of a minted credential.
    pub credential_max: Duration,
    /// Votes about protected data need an authenticator.
    pub step_up: bool,
    /// Clients of databases may log in by certificates that this gateway has made.
    pub certificates: bool,
    /// Targets that need a purpose, by their own sections.
    pub purpose_targets: Vec<String>,
}

/// The section `console:`.
#[derive(Clone, Debug)]
pub struct ConsoleSettings {
    /// Address.
    pub listen: Placed<SocketAddr>,
    /// How people reach it, without a slash at the end.
    pub url: Placed<String>,
    /// Certificate and key, PEM; that for clients of the databases if absent.
    pub tls: Option<(Placed<PathBuf>, Placed<PathBuf>)>,
    /// Served without TLS, which only a loopback address may be.
    pub plain: bool,
    /// Who is told outside.
    pub notices: Vec<NoticeSettings>,
    /// Programs that vote.
    pub approvers: Vec<ApproverSettings>,
}

fn groups(name: &str, section: &mut Section, report: &mut Report<'_>) -> Vec<String> {
    let list = section.take(name).map(|node| report.list(name, node)).unwrap_or_default();
    list.into_iter().map(|text| text.value).collect()
}

/// Reads the section `access:`.
pub(crate) fn access(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<AccessSettings> {
    const KNOWN: &[&str] = &[
        "store",
        "key_file",
        "node",
        "admins",
        "auditors",
        "request_for",
        "use_within",
        "pending_max",
        "cool_down",
        "credential_max",
        "step_up",
        "certificates",
    ];
    let mut section = Section::open("access", node, KNOWN, report);
    let store = section.demand("store", report).and_then(|node| store(node, folder, report));
    let key_file = section.demand("key_file", report).and_then(|node| path("key_file", node, folder, report));
    let node = section.take("node").and_then(|node| report.scalar("node", node)).map(|text| text.value);
    let admins = groups("admins", &mut section, report);
    let auditors = groups("auditors", &mut section, report);
    let request_for = section.value("request_for", 30 * MINUTE, report, |t| within(t, MINUTE, DAY));
    let use_within = section.value("use_within", 15 * MINUTE, report, |t| within(t, MINUTE, DAY));
    let pending_max = section.value("pending_max", 3, report, |text| {
        let number = text.parse().ok().filter(|n| (1..=1000).contains(n));
        number.ok_or_else(|| format!("`{text}` is not a whole number from 1 to 1000"))
    });
    let cool_down = section.value("cool_down", MINUTE, report, |t| within(t, Duration::ZERO, DAY));
    let credential_max = section.value("credential_max", 8 * 60 * MINUTE, report, |t| within(t, MINUTE, DAY));
    let step_up = section.value("step_up", true, report, boolean);
    let certificates = section.value("certificates", true, report, boolean);
    Some(AccessSettings {
        store: store?,
        key_file: key_file?,
        node,
        admins,
        auditors,
        request_for,
        use_within,
        pending_max,
        cool_down,
        credential_max,
        step_up,
        certificates,
        purpose_targets: Vec::new(),
    })
}

fn store(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<StoreSource> {
    let place = node.place;
    let mut section = Section::open("store", node, &["directory", "postgres", "ca"], report);
    let directory = section.take("directory").and_then(|node| path("directory", node, folder, report));
    let postgres = section.take("postgres").and_then(|node| secret("postgres", node, folder, report));
    let ca = section.take("ca").and_then(|node| path("ca", node, folder, report));
    match (directory, postgres) {
        (Some(directory), None) => Some(StoreSource::Folder(directory)),
        (None, Some(connection)) => Some(StoreSource::Postgres { connection, ca }),
        _ => {
            let fix =
                "write `store: { directory: access }`, or `store: { postgres: { file: PATH } }` for several gateways";
            report.error(place, fix);
            None
        }
    }
}

/// Reads the section `console:`.
pub(crate) fn console(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<ConsoleSettings> {
    let mut section =
        Section::open("console", node, &["listen", "url", "tls", "plain", "notices", "approvers"], report);
    let listen = section
        .demand("listen", report)
        .and_then(|node| report.scalar("listen", node))
        .and_then(|text| crate::config::socket(text, report));
    let url = section.demand("url", report).and_then(|node| report.scalar("url", node));
    let tls = section.take("tls").and_then(|node| {
        let mut section = Section::open("tls", node, &["certificate", "key"], report);
        let certificate = section.demand("certificate", report).and_then(|n| path("certificate", n, folder, report));
        let key = section.demand("key", report).and_then(|n| path("key", n, folder, report));
        Some((certificate?, key?))
    });
    let plain = section.value("plain", false, report, boolean);
    let notices = section.take("notices").map(|node| super::notices::notices(node, folder, report)).unwrap_or_default();
    let approvers =
        section.take("approvers").map(|node| super::notices::approvers(node, folder, report)).unwrap_or_default();
    let (listen, mut url) = (listen?, url?);
    if plain && !listen.value.ip().is_loopback() {
        report.error(listen.place, "`plain: true` serves passwords without TLS: only a loopback address may do that");
    }
    let scheme = if plain { "http://" } else { "https://" };
    while url.value.ends_with('/') {
        url.value.pop();
    }
    if !url.value.starts_with(scheme) || url.value.len() == scheme.len() {
        report.error(url.place, format!("`url` is how people reach the console and starts with {scheme}"));
    }
    Some(ConsoleSettings { listen, url, tls, plain, notices, approvers })
}
