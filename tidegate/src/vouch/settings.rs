//! `audit.checkpoint`, `audit.witnesses` and `audit.anchor` of the configuration.

use crate::{
    config::{boolean, path, secret, within},
    problems::Problems,
    secrets::SecretSource,
    yaml::{Node, Placed, Report, Section},
};
use std::{
    path::{Path, PathBuf},
    time::Duration,
};
use tlog::{
    VerifierKey,
    note::{KeyKind, is_name},
};

const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(86_400);

/// Everything that vouches for the log.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who signs.
    pub key: KeySource,
    /// Name of the log, if it is not to be made of the node's id.
    pub origin: Option<Placed<String>>,
    /// Shortest time between two checkpoints.
    pub every: Duration,
    /// How long blocks may be unsigned before new sessions are refused; zero: for ever.
    pub max_unsigned: Duration,
    /// Who cosigns.
    pub witnesses: Vec<Witness>,
    /// How often they are asked.
    pub witness_every: Duration,
    /// Where copies go.
    pub anchor: Option<Anchor>,
}

/// Who holds the log's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// `tlog/log.key` in the audit directory, made at the first start.
    Default,
    /// A key file.
    File(Placed<PathBuf>),
    /// A signer process behind this socket.
    Signer(Placed<PathBuf>),
}

/// A witness.
#[derive(Clone, Debug)]
pub struct Witness {
    /// Name in messages.
    pub name: Placed<String>,
    /// Where it takes checkpoints.
    pub url: Placed<String>,
    /// Its key.
    pub key: VerifierKey,
    /// Trusted authorities, PEM; the system's if absent.
    pub ca: Option<Placed<PathBuf>>,
}

/// An object store.
#[derive(Clone, Debug)]
pub struct Anchor {
    /// Its address.
    pub endpoint: Placed<String>,
    /// Region.
    pub region: String,
    /// Bucket.
    pub bucket: String,
    /// Before each key; the log's name if absent.
    pub prefix: Option<String>,
    /// Access key.
    pub access_key: Placed<SecretSource>,
    /// Secret key.
    pub secret_key: Placed<SecretSource>,
    /// How long objects are locked.
    pub retention: Duration,
    /// How often.
    pub every: Duration,
    /// The bucket is part of the host name.
    pub virtual_host: bool,
    /// Trusted authorities, PEM; the system's if absent.
    pub ca: Option<Placed<PathBuf>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key: KeySource::Default,
            origin: None,
            every: SECOND,
            max_unsigned: Duration::from_secs(60),
            witnesses: Vec::new(),
            witness_every: Duration::from_secs(10),
            anchor: None,
        }
    }
}

impl Settings {
    /// Takes the three settings out of the section `audit`.
    pub fn take(section: &mut Section, folder: &Path, report: &mut Report<'_>) -> Self {
        let mut settings = Self::default();
        if let Some(node) = section.take("checkpoint") {
            settings.checkpoint(node, folder, report);
        }
        if let Some(node) = section.take("witnesses") {
            settings.witnesses = witnesses(node, folder, report);
        }
        settings.anchor = section.take("anchor").and_then(|node| anchor(node, folder, report));
        settings
    }

    fn checkpoint(&mut self, node: Placed<Node>, folder: &Path, report: &mut Report<'_>) {
        const KNOWN: &[&str] = &["key_file", "signer", "origin", "every", "max_unsigned", "witness_every"];
        let mut section = Section::open("checkpoint", node, KNOWN, report);
        let file = section.take("key_file").and_then(|n| path("key_file", n, folder, report));
        let signer = section.take("signer").and_then(|n| path("signer", n, folder, report));
        self.key = match (file, signer) {
            (None, None) => KeySource::Default,
            (Some(file), None) => KeySource::File(file),
            (None, Some(socket)) => KeySource::Signer(socket),
            (Some(_), Some(socket)) => {
                report.error(socket.place, "`checkpoint` has both a `key_file` and a `signer`; keep one");
                KeySource::Signer(socket)
            }
        };
        self.origin = section.take("origin").and_then(|n| report.scalar("origin", n)).filter(|origin| {
            let good = is_name(&origin.value);
            if !good {
                report.error(
                    origin.place,
                    "`origin` has no spaces, no `+` and at most 255 bytes; for instance example.com/audit/gateway-1",
                );
            }
            good
        });
        self.every = section.value("every", self.every, report, |t| within(t, SECOND / 10, 600 * SECOND));
        self.witness_every = section.value("witness_every", self.witness_every, report, |t| within(t, SECOND, DAY));
        self.max_unsigned =
            section.value("max_unsigned", self.max_unsigned, report, |t| within(t, Duration::ZERO, DAY));
        if !self.max_unsigned.is_zero() && self.max_unsigned < 3 * self.every {
            report.error(section.place(), "`max_unsigned` is at least three times `every`, or 0 for never");
        }
    }

    /// Where the key file is, if there is one.
    #[must_use]
    pub fn key_file(&self, directory: &Path) -> Option<PathBuf> {
        match &self.key {
            KeySource::Default => Some(directory.join("tlog").join("log.key")),
            KeySource::File(file) => Some(file.value.clone()),
            KeySource::Signer(_) => None,
        }
    }

    /// Checks what can be checked before a start: key file, authorities, secrets.
    pub fn check(&self, file: &Path, directory: &Path, problems: &mut Problems) {
        let key = match &self.key {
            KeySource::Default => None,
            KeySource::File(key) => Some(key.place),
            KeySource::Signer(socket) => {
                if !socket.value.exists() {
                    problems.warning(
                        file,
                        Some(socket.place),
                        "no signer listens there; it must run before the gateway starts",
                    );
                }
                None
            }
        };
        if let Some(path) = self.key_file(directory) {
            match notary::keys::load(&path, KeyKind::Log) {
                Ok(Some(found)) => {
                    if let Some(origin) = self.origin.as_ref().filter(|o| o.value != found.verifier().name()) {
                        let name = found.verifier().name();
                        problems.error(
                            file,
                            Some(origin.place),
                            format!("the key {} is of the log `{name}`", path.display()),
                        );
                    }
                }
                Ok(None) if key.is_some() => {
                    let make = format!("tidegate keys new --log NAME --output {}", path.display());
                    problems.error(file, key, format!("{} does not exist; make it with: {make}", path.display()));
                }
                Ok(None) => {}
                Err(error) => problems.error(file, key, error.to_string()),
            }
        }
        let cas =
            self.witnesses.iter().filter_map(|w| w.ca.as_ref()).chain(self.anchor.iter().filter_map(|a| a.ca.as_ref()));
        for ca in cas {
            if let Err(error) = notary::http::client(Some(&ca.value), SECOND) {
                problems.error(file, Some(ca.place), error);
            }
        }
        if let Some(anchor) = &self.anchor {
            for source in [&anchor.access_key, &anchor.secret_key] {
                match source.value.resolve() {
                    Ok(found) => {
                        if let Some(warning) = found.warning {
                            problems.warning(file, Some(source.place), warning);
                        }
                    }
                    Err(error) => problems.error(file, Some(source.place), error),
                }
            }
        }
    }

    /// Lines for `check-config`.
    #[must_use]
    pub fn lines(&self, directory: &Path) -> Vec<String> {
        let mut lines = Vec::new();
        let by = match &self.key {
            KeySource::Signer(socket) => format!("signer {}", socket.value.display()),
            _ => format!("key file {}", self.key_file(directory).unwrap_or_default().display()),
        };
        lines.push(format!("checkpoint every {:?} by {by}", self.every));
        lines.extend(self.witnesses.iter().map(|w| format!("witness  {} at {}", w.name.value, w.url.value)));
        if let Some(anchor) = &self.anchor {
            let days = anchor.retention.as_secs() / DAY.as_secs();
            lines.push(format!("anchor   {} bucket {}, locked for {days} days", anchor.endpoint.value, anchor.bucket));
        }
        lines
    }
}

fn web_address(text: &Placed<String>, name: &str, report: &mut Report<'_>) -> bool {
    let rest = text.value.strip_prefix("https://").or_else(|| text.value.strip_prefix("http://"));
    let good = rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(char::is_whitespace));
    if !good {
        report.error(text.place, format!("`{name}` is an address like https://host/path"));
    } else if text.value.starts_with("http://") {
        report.warning(text.place, format!("`{name}` is not encrypted"));
    }
    good
}

fn witnesses(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Vec<Witness> {
    let Node::List(nodes) = node.value else {
        report.error(node.place, "`witnesses` is a list of { name, url, key }");
        return Vec::new();
    };
    let mut found: Vec<Witness> = Vec::new();
    for node in nodes {
        let mut section = Section::open("witnesses", node, &["name", "url", "key", "ca"], report);
        let name = section.demand("name", report).and_then(|n| report.scalar("name", n));
        let url = section.demand("url", report).and_then(|n| report.scalar("url", n));
        let url = url.filter(|url| web_address(url, "url", report));
        let key = section.demand("key", report).and_then(|n| report.scalar("key", n)).and_then(|text| {
            let parsed = VerifierKey::parse(&text.value).map_err(|e| e.to_string());
            let parsed = parsed.and_then(|key| match key.kind() {
                KeyKind::Witness => Ok(key),
                KeyKind::Log => Err("this is a log's key, not a witness'".to_owned()),
            });
            parsed.map_err(|e| report.error(text.place, format!("`key`: {e}"))).ok()
        });
        let ca = section.take("ca").and_then(|n| path("ca", n, folder, report));
        if let (Some(name), Some(url), Some(key)) = (name, url, key) {
            if found.iter().any(|w| w.name.value == name.value) {
                report.error(name.place, format!("witness `{}` is listed twice", name.value));
            } else {
                found.push(Witness { name, url, key, ca });
            }
        }
    }
    found
}

fn anchor(node: Placed<Node>, folder: &Path, report: &mut Report<'_>) -> Option<Anchor> {
    const KNOWN: &[&str] = &[
        "endpoint",
        "region",
        "bucket",
        "prefix",
        "access_key",
        "secret_key",
        "retention",
        "every",
        "virtual_host",
        "ca",
    ];
    let mut section = Section::open("anchor", node, KNOWN, report);
    let text = |section: &mut Section, name: &str, report: &mut Report<'_>| {
        section.demand(name, report).and_then(|n| report.scalar(name, n))
    };
    let endpoint = text(&mut section, "endpoint", report).filter(|e| web_address(e, "endpoint", report));
    let bucket = text(&mut section, "bucket", report);
    let region = section.value("region", "us-east-1".to_owned(), report, |t| Ok(t.to_owned()));
    let prefix = section.value("prefix", None, report, |t| Ok(Some(t.to_owned())));
    let access_key = section.demand("access_key", report).and_then(|n| secret("access_key", n, folder, report));
    let secret_key = section.demand("secret_key", report).and_then(|n| secret("secret_key", n, folder, report));
    let retention = section.value("retention", 2200 * DAY, report, |t| within(t, DAY, 36_500 * DAY));
    let every = section.value("every", 60 * SECOND, report, |t| within(t, SECOND, DAY));
    let virtual_host = section.value("virtual_host", false, report, boolean);
    let ca = section.take("ca").and_then(|n| path("ca", n, folder, report));
    Some(Anchor {
        endpoint: endpoint?,
        region,
        bucket: bucket?.value,
        prefix,
        access_key: access_key?,
        secret_key: secret_key?,
        retention,
        every,
        virtual_host,
        ca,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::Config, problems::Place};

    fn read(audit: &str) -> (Settings, String) {
        let text = format!(
            "listen: [\"127.0.0.1:1\"]\nbundle: b\nusers: u\naudit:\n  directory: /var/log/t\n{audit}targets: {{}}\n"
        );
        let mut problems = Problems::new();
        let config = Config::read(Path::new("/etc/tidegate.yaml"), &text, &mut problems);
        (config.map(|c| c.audit.vouch).unwrap_or_default(), problems.to_string())
    }

    fn witness_key(kind: KeyKind) -> String {
        tlog::SigningKey::from_seed("witness.example/w", kind, &[5; 32]).unwrap().verifier().to_string()
    }

    #[test]
    fn without_settings_a_key_file_in_the_directory_signs_every_second() {
        let (settings, problems) = read("");
        assert_eq!(problems, "");
        assert_eq!(settings.key_file(Path::new("/d")), Some(PathBuf::from("/d/tlog/log.key")));
        assert_eq!((settings.every, settings.max_unsigned), (SECOND, 60 * SECOND));
        assert!(settings.witnesses.is_empty() && settings.anchor.is_none());
        assert_eq!(settings.lines(Path::new("/d")), ["checkpoint every 1s by key file /d/tlog/log.key"]);
    }

    #[test]
    fn everything_can_be_said() {
        let (settings, problems) = read(&format!(
            "  checkpoint: {{ signer: run/s, origin: example.com/a, every: 500ms, max_unsigned: 0s, witness_every: 5s }}\n\
             \x20 witnesses: [ {{ name: w, url: \"https://w.example/x\", key: \"{}\", ca: w.crt }} ]\n\
             \x20 anchor: {{ endpoint: \"https://s3\", bucket: b, region: r, prefix: p/, access_key: {{ env: A }}, \
             secret_key: {{ file: s }}, retention: 90d, every: 30s, virtual_host: true }}\n",
            witness_key(KeyKind::Witness)
        ));
        assert_eq!(problems, "");
        assert!(matches!(&settings.key, KeySource::Signer(s) if s.value == Path::new("/etc/run/s")));
        assert_eq!(settings.key_file(Path::new("/d")), None);
        assert_eq!(settings.witnesses[0].ca.as_ref().unwrap().value, Path::new("/etc/w.crt"));
        let anchor = settings.anchor.as_ref().unwrap();
        assert_eq!((anchor.retention, anchor.every, anchor.virtual_host), (90 * DAY, 30 * SECOND, true));
        assert_eq!(settings.lines(Path::new("/d")).len(), 3);
    }

    #[test]
    fn mistakes_are_told_with_what_to_write() {
        let log_key = witness_key(KeyKind::Log);
        for (audit, told) in [
            ("  checkpoint: { key_file: a, signer: b }\n".to_owned(), "both a `key_file` and a `signer`"),
            ("  checkpoint: { origin: a b }\n".to_owned(), "`origin` has no spaces"),
            ("  checkpoint: { every: 2s, max_unsigned: 5s }\n".to_owned(), "at least three times `every`"),
            ("  checkpoint: { evry: 2s }\n".to_owned(), "did you mean `every`"),
            ("  witnesses: { name: w }\n".to_owned(), "a list of { name, url, key }"),
            ("  witnesses: [ { name: w, url: \"ftp://x\", key: k } ]\n".to_owned(), "like https://host/path"),
            (format!("  witnesses: [ {{ name: w, url: \"https://x\", key: \"{log_key}\" }} ]\n"), "not a witness'"),
            ("  witnesses: [ { name: w, url: \"https://x\", key: nonsense } ]\n".to_owned(), "`key`: not a key"),
            ("  anchor: { endpoint: \"http://x\" }\n".to_owned(), "`bucket` is missing"),
            (
                "  anchor: { endpoint: \"https://x\", bucket: b, access_key: AKIA, secret_key: { env: S } }\n"
                    .to_owned(),
                "a secret is not written into this file",
            ),
        ] {
            let (_, problems) = read(&audit);
            assert!(problems.contains(told), "{audit}{problems}");
        }
        let (_, problems) = read(&format!(
            "  witnesses: [ {{ name: w, url: \"http://x\", key: \"{}\" }} ]\n",
            witness_key(KeyKind::Witness)
        ));
        assert!(problems.contains("not encrypted"), "{problems}");
    }

    #[test]
    fn keys_that_cannot_be_used_are_found_before_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        let check = |settings: &Settings| {
            let mut problems = Problems::new();
            settings.check(Path::new("f"), folder.path(), &mut problems);
            problems.to_string()
        };
        let key = KeySource::File(Placed { value: file.clone(), place: Place { line: 1, column: 1 } });
        let mut settings = Settings { key, ..Settings::default() };
        assert!(check(&settings).contains("tidegate keys new --log"));
        notary::keys::create(&file, "example.com/a", KeyKind::Log).unwrap();
        assert_eq!(check(&settings), "");
        settings.origin = Some(Placed { value: "example.com/b".to_owned(), place: Place { line: 1, column: 1 } });
        assert!(check(&settings).contains("is of the log `example.com/a`"));
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(check(&settings).contains("chmod 600"));
    }
}
