//! The forwarders of the configuration: `audit: { forward: [...] }` read, checked, and made ready to run.
//!
//! Reading checks form; [`resolve`] finds certificates and secrets, so that `check-config` tells of both. Secrets never
//! stand in the file itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use forward::to::{hec::Hec, otlp::Otlp, s3::S3, syslog::Syslog, webhook::Webhook};
use forward::{Forwarder, Settings, State, To, Url};
use zeroize::Zeroizing;

use crate::config::{Config, boolean, host_and_port, path, secret};
use crate::problems::Problems;
use crate::secrets::SecretSource;
use crate::yaml::{Node, Placed, Report, Section};
use crate::{tls, units};

/// What the file says about one forwarder.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Name.
    pub name: Placed<String>,
    /// Whether statement texts leave.
    pub include_text: bool,
    /// Receiver.
    pub receiver: Receiver,
    /// Trusted authorities, PEM; the system's if absent.
    pub ca: Option<Placed<PathBuf>>,
    /// Our certificate and its key.
    pub client: Option<(Placed<PathBuf>, Placed<PathBuf>)>,
}

/// What the file says about a receiver.
#[derive(Clone, Debug)]
pub enum Receiver {
    /// Syslog.
    Syslog {
        /// `host:port`.
        address: (String, u16),
        /// Over TLS.
        tls: bool,
        /// HOSTNAME; the machine's if empty.
        hostname: String,
    },
    /// OpenTelemetry logs.
    Otlp {
        /// Address.
        url: Url,
        /// Value of the Authorization header.
        authorization: Option<Placed<SecretSource>>,
    },
    /// Splunk.
    Hec {
        /// Address.
        url: Url,
        /// Token.
        token: Placed<SecretSource>,
        /// Index.
        index: String,
        /// Wait for the indexers.
        acknowledge: bool,
    },
    /// Webhook.
    Webhook {
        /// Address.
        url: Url,
        /// Shared key.
        key: Placed<SecretSource>,
    },
    /// Object store.
    S3 {
        /// `https://host[:port]`.
        endpoint: String,
        /// Region.
        region: String,
        /// Bucket.
        bucket: String,
        /// Put before each key.
        prefix: String,
        /// Access key and secret key.
        access: (Placed<SecretSource>, Placed<SecretSource>),
        /// The bucket is part of the host name.
        virtual_host: bool,
        /// How long objects are locked.
        retain: Duration,
        /// How long events are gathered.
        gather: Duration,
    },
}

/// Longest time of one request to an object store.
const STORE_TIMEOUT: Duration = Duration::from_secs(60);

const KINDS: [&str; 5] = ["syslog", "otlp", "hec", "webhook", "s3"];

/// Reads the list.
pub fn read(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Vec<Entry> {
    let Node::List(nodes) = node.value else {
        report.error(node.place, "`forward` takes a list: `forward: [ { name: siem, syslog: { address: … } } ]`");
        return Vec::new();
    };
    let mut names = BTreeSet::new();
    let mut entries = Vec::new();
    for node in nodes {
        let Some(entry) = entry(node, folder, report) else { continue };
        if names.insert(entry.name.value.clone()) {
            entries.push(entry);
        } else {
            report.error(entry.name.place, format!("two forwarders are called `{}`", entry.name.value));
        }
    }
    entries
}

fn entry(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<Entry> {
    let place = node.place;
    let known = ["name", "include_text", KINDS[0], KINDS[1], KINDS[2], KINDS[3], KINDS[4]];
    let mut section = Section::open("forward", node, &known, report);
    let name = section.demand("name", report).and_then(|n| report.scalar("name", n));
    let include_text = section.value("include_text", false, report, boolean);
    let found: Vec<(&str, Placed<Node>)> = KINDS.iter().filter_map(|k| Some((*k, section.take(k)?))).collect();
    let name = name?;
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if name.value.is_empty() || name.value.len() > 64 || !name.value.chars().all(good) {
        report.error(name.place, format!("`name`: `{}` is not made of a-z, 0-9 and -", name.value));
        return None;
    }
    if found.len() != 1 {
        let what = if found.is_empty() { "names no receiver" } else { "names more than one receiver" };
        report.error(place, format!("forwarder `{}` {what}; write one of {}", name.value, KINDS.join(", ")));
        return None;
    }
    let (kind, node) = found.into_iter().next()?;
    const TLS: [&str; 3] = ["ca", "client_certificate", "client_key"];
    let own: &[&str] = match kind {
        "syslog" => &["address", "tls", "hostname"],
        "otlp" => &["url", "authorization"],
        "hec" => &["url", "token", "index", "acknowledge"],
        "webhook" => &["url", "key"],
        _ => {
            &["endpoint", "region", "bucket", "prefix", "access_key", "secret_key", "virtual_host", "retain", "gather"]
        }
    };
    let mut s = Section::open(kind, node, &[own, &TLS].concat(), report);
    let ca = s.take("ca").and_then(|n| path("ca", n, folder, report));
    let certificate = s.take("client_certificate").and_then(|n| path("client_certificate", n, folder, report));
    let key = s.take("client_key").and_then(|n| path("client_key", n, folder, report));
    let client = match (certificate, key) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        (Some(one), None) | (None, Some(one)) => {
            report.error(one.place, "`client_certificate` and `client_key` belong together");
            None
        }
    };
    let receiver = match kind {
        "syslog" => {
            let address = s.demand("address", report).and_then(|n| report.scalar("address", n))?;
            let tls = s.value("tls", true, report, boolean);
            let hostname = s.value("hostname", String::new(), report, |t| Ok(t.to_owned()));
            match host_and_port(&address.value) {
                Ok(parts) => {
                    if !tls && !is_loopback(&parts.0) {
                        report.error(address.place, "without TLS only a receiver on loopback is allowed");
                    }
                    Receiver::Syslog { address: parts, tls, hostname }
                }
                Err(error) => {
                    report.error(address.place, format!("`address`: {error}"));
                    return None;
                }
            }
        }
        "otlp" => {
            let url = url(&mut s, report);
            let authorization = s.take("authorization").and_then(|n| secret("authorization", n, folder, report));
            Receiver::Otlp { url: url?, authorization }
        }
        "hec" => {
            let url = url(&mut s, report);
            let token = s.demand("token", report).and_then(|n| secret("token", n, folder, report));
            let index = s.value("index", String::new(), report, |t| Ok(t.to_owned()));
            let acknowledge = s.value("acknowledge", true, report, boolean);
            Receiver::Hec { url: url?, token: token?, index, acknowledge }
        }
        "s3" => store(&mut s, folder, report)?,
        _ => {
            let url = url(&mut s, report);
            let key = s.demand("key", report).and_then(|n| secret("key", n, folder, report));
            Receiver::Webhook { url: url?, key: key? }
        }
    };
    Some(Entry { name, include_text, receiver, ca, client })
}

fn url(section: &mut Section, report: &mut Report<'_>) -> Option<Url> {
    let text = section.demand("url", report).and_then(|n| report.scalar("url", n))?;
    match Url::parse(&text.value) {
        Ok(url) => {
            if !url.tls && !is_loopback(&url.host) {
                report.error(text.place, "`url`: without https only a receiver on loopback is allowed");
            }
            Some(url)
        }
        Err(error) => {
            report.error(text.place, format!("`url`: {error}"));
            None
        }
    }
}

fn store(s: &mut Section, folder: &Path, report: &mut Report<'_>) -> Option<Receiver> {
    let endpoint = s.demand("endpoint", report).and_then(|n| report.scalar("endpoint", n));
    let bucket = s.demand("bucket", report).and_then(|n| report.scalar("bucket", n));
    let mut hidden = |key| s.demand(key, report).and_then(|n| secret(key, n, folder, report));
    let (access_key, secret_key) = (hidden("access_key"), hidden("secret_key"));
    let text = |t: &str| Ok(t.to_owned());
    let region = s.value("region", "us-east-1".to_owned(), report, text);
    let prefix = s.value("prefix", String::new(), report, text);
    let virtual_host = s.value("virtual_host", false, report, boolean);
    let retain = s.value("retain", Duration::ZERO, report, units::duration);
    let gather = s.value("gather", Duration::from_secs(60), report, units::duration);
    let (endpoint, bucket) = (endpoint?, bucket?);
    match Url::parse(&endpoint.value) {
        Ok(url) if !url.tls && !is_loopback(&url.host) => {
            report.error(endpoint.place, "`endpoint`: without https only a store on loopback is allowed");
        }
        Ok(_) => {}
        Err(error) => report.error(endpoint.place, format!("`endpoint`: {error}")),
    }
    let access = (access_key?, secret_key?);
    let (endpoint, bucket) = (endpoint.value, bucket.value);
    Some(Receiver::S3 { endpoint, region, bucket, prefix, access, virtual_host, retain, gather })
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The forwarders, ready to run; what is missing is in `problems`.
pub fn resolve(config: &Config, problems: &mut Problems) -> Vec<Forwarder> {
    let mut ready = Vec::new();
    for entry in &config.audit.forward {
        match one(entry, config, problems) {
            Ok(forwarder) => ready.push(forwarder),
            Err(error) => {
                let text = format!("forwarder `{}`: {error}", entry.name.value);
                problems.error(&config.file, Some(entry.name.place), text);
            }
        }
    }
    ready
}

fn one(entry: &Entry, config: &Config, problems: &mut Problems) -> Result<Forwarder, String> {
    let client = entry.client.as_ref().map(|(certificate, key)| (certificate.value.as_path(), key.value.as_path()));
    let encrypted = || tls::client(entry.ca.as_ref().map(|ca| ca.value.as_path()), client);
    let of_url = |url: &Url| if url.tls { encrypted().map(Some) } else { Ok(None) };
    let mut found = |source: &Placed<SecretSource>| -> Result<Zeroizing<Vec<u8>>, String> {
        let found = source.value.resolve()?;
        if let Some(warning) = found.warning {
            problems.warning(&config.file, Some(source.place), warning);
        }
        Ok(Zeroizing::new(found.secret.expose().to_vec()))
    };
    let mut word = |source: &Placed<SecretSource>| -> Result<Zeroizing<String>, String> {
        let bytes = found(source)?;
        let text = std::str::from_utf8(&bytes).ok().filter(|text| text.chars().all(|c| !c.is_control()));
        text.map(|text| Zeroizing::new(text.to_owned()))
            .ok_or_else(|| format!("{} is not one line of text", source.value))
    };
    let to = match &entry.receiver {
        Receiver::Syslog { address: (host, port), tls, hostname } => To::Syslog(Syslog {
            host: host.clone(),
            port: *port,
            tls: if *tls { Some(encrypted()?) } else { None },
            hostname: if hostname.is_empty() { this_host() } else { hostname.clone() },
        }),
        Receiver::Otlp { url, authorization } => {
            let mut headers = Vec::new();
            if let Some(source) = authorization {
                headers.push(("Authorization".to_owned(), word(source)?.to_string()));
            }
            To::Otlp(Otlp { url: url.clone(), tls: of_url(url)?, headers, hostname: this_host() })
        }
        Receiver::Hec { url, token, index, acknowledge } => To::Hec(Hec {
            url: url.clone(),
            tls: of_url(url)?,
            token: word(token)?,
            index: index.clone(),
            acknowledge: *acknowledge,
            hostname: this_host(),
            channel: channel()?,
        }),
        Receiver::Webhook { url, key } => {
            let key = found(key)?;
            if key.len() < 16 {
                return Err("the key of a webhook has at least 16 bytes".to_owned());
            }
            To::Webhook(Webhook { url: url.clone(), tls: of_url(url)?, key })
        }
        Receiver::S3 { endpoint, region, bucket, prefix, access, virtual_host, retain, gather } => To::S3(S3 {
            store: notary::s3::Settings {
                endpoint: endpoint.clone(),
                region: region.clone(),
                bucket: bucket.clone(),
                prefix: prefix.clone(),
                access_key: word(&access.0)?.to_string(),
                secret_key: word(&access.1)?.to_string(),
                virtual_host: *virtual_host,
                authorities: entry.ca.as_ref().map(|ca| ca.value.clone()),
                timeout: STORE_TIMEOUT,
            },
            retain: *retain,
            gather: *gather,
        }),
    };
    Ok(Forwarder { name: entry.name.value.clone(), include_text: entry.include_text, to })
}

/// Name of this machine.
fn this_host() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

/// A random GUID.
fn channel() -> Result<String, String> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| format!("no random numbers: {error}"))?;
    (bytes[6], bytes[8]) = (bytes[6] & 0x0f | 0x40, bytes[8] & 0x3f | 0x80);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]))
}

/// Settings of a run.
#[must_use]
pub fn settings(config: &Config, forwarders: Vec<Forwarder>, once: bool) -> Settings {
    let directory = config.audit.directory.value.clone();
    // The configured name from the first second on, so that an event never changes its id.
    let named = config.audit.vouch.origin.as_ref().map(|origin| origin.value.clone());
    let origin = named.unwrap_or_else(|| evidence::origin::origin(&directory));
    Settings { origin, directory, forwarders, once }
}

/// `tidegate forward`: the forwarders alone, until the process is told to end; with `once`, until everything is sent.
#[must_use]
pub fn run(file: &Path, once: bool) -> ExitCode {
    let mut problems = Problems::new();
    let config = Config::load(file, &mut problems);
    let forwarders = config.as_ref().map(|config| resolve(config, &mut problems)).unwrap_or_default();
    let Some(config) = config.filter(|_| !problems.has_errors()) else {
        eprintln!("{problems}");
        return ExitCode::from(2);
    };
    crate::serve::start_log(&config.log);
    for problem in problems.iter() {
        tracing::warn!("{problem}");
    }
    if forwarders.is_empty() {
        eprintln!("{} names no forwarder under `audit: {{ forward: [...] }}`", file.display());
        return ExitCode::from(2);
    }
    let count = forwarders.len();
    let running = match forward::start(settings(&config, forwarders, once)) {
        Ok(running) => running,
        Err(error) => {
            tracing::error!("the forwarders cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    tracing::info!("forwarding with {count} forwarders");
    let board = Arc::clone(&running.board);
    loop {
        std::thread::sleep(Duration::from_millis(100));
        if board.statuses().iter().all(|status| status.state == State::Ended) {
            break;
        }
    }
    running.wait();
    for status in board.statuses() {
        tracing::info!(forwarder = status.name, sent = status.sent, failures = status.failures, "done");
    }
    ExitCode::SUCCESS
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(forward: &str) -> (Vec<Entry>, String) {
        let text =
            format!("listen: [\"127.0.0.1:1\"]\nbundle: b\nusers: u\naudit:\n  directory: a\n  forward:\n{forward}\n");
        let mut problems = Problems::new();
        let config = Config::read(Path::new("t.yaml"), &text, &mut problems);
        (config.map(|config| config.audit.forward).unwrap_or_default(), problems.to_string())
    }

    #[test]
    fn forwarders_are_read() {
        let (entries, told) = problems(
            "    - {name: siem, syslog: {address: \"siem.example:6514\", ca: ca.pem}}\n    - name: hook\n      include_text: true\n      webhook: {url: \"https://x.example/in\", key: {file: k}}\n    - {name: lake, otlp: {url: \"http://127.0.0.1:4318/v1/logs\"}}\n    - {name: spl, hec: {url: \"https://s:8088\", token: {env: T}, acknowledge: false}}",
        );
        assert_eq!(told, "");
        assert_eq!(entries.len(), 4);
        assert!(entries[1].include_text && !entries[0].include_text);
        assert!(matches!(&entries[0].receiver, Receiver::Syslog { tls: true, address, .. } if address.1 == 6514));
    }

    #[test]
    fn every_mistake_is_told() {
        for (forward, word) in [
            ("    - {syslog: {address: \"a:1\"}}", "`name` is missing"),
            ("    - {name: A, syslog: {address: \"a:1\"}}", "is not made of"),
            ("    - {name: a}", "names no receiver"),
            ("    - {name: a, syslog: {address: \"a:1\"}, otlp: {url: \"https://x\"}}", "more than one receiver"),
            ("    - {name: a, syslog: {address: a}}", "is not host:port"),
            ("    - {name: a, syslog: {address: \"a:1\", tls: false}}", "only a receiver on loopback"),
            ("    - {name: a, otlp: {url: \"http://a/\"}}", "only a receiver on loopback"),
            ("    - {name: a, otlp: {url: \"ftp://a/\"}}", "neither http nor https"),
            ("    - {name: a, hec: {url: \"https://a/\"}}", "`token` is missing"),
            ("    - {name: a, hec: {url: \"https://a/\", token: secret}}", "is not written into this file"),
            (
                "    - {name: a, webhook: {url: \"https://a/\", key: {file: k}, ca: c, client_key: k}}",
                "belong together",
            ),
            ("    - {name: a, kafka: {}}", "is not a setting"),
            (
                "    - {name: a, s3: {endpoint: \"http://a\", bucket: b, access_key: {env: A}, secret_key: {env: B}}}",
                "on loopback",
            ),
            (
                "    - {name: a, s3: {endpoint: \"https://a\", bucket: b, access_key: {env: A}}}",
                "`secret_key` is missing",
            ),
            (
                "    - {name: a, syslog: {address: \"a:1\"}}\n    - {name: a, syslog: {address: \"a:1\"}}",
                "two forwarders",
            ),
            ("    name: a", "takes a list"),
        ] {
            let (_, told) = problems(forward);
            assert!(told.contains(word), "{forward}: {told}");
        }
    }

    #[test]
    fn channels_are_guids() {
        let channel = channel().unwrap();
        assert_eq!(channel.len(), 36);
        assert_eq!(channel.as_bytes()[14], b'4');
    }
}
