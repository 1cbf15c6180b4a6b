//! A real OpenID provider (npm's oidc-provider) with people, groups and services.
//!
//! Its packages live in a cache under Cargo's target folder, filled once by `tools/web.sh` from a lock file. Every password is
//! right; what it is told about keys, lives of tokens and groups holds at once.

use crate::{
    folder::Folder,
    process::{Guarded, PATIENCE, run, wait_until},
    programs::{target, tree},
    server::free_port,
};
use serde_json::{Value, json};
use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

/// Secret of the gateway's client.
pub const CLIENT_SECRET: &str = "the-secret-of-the-gateway";
/// The gateway's client identifier.
pub const CLIENT_ID: &str = "tidegate";
/// Audience of access tokens that are presented to the gateway.
pub const AUDIENCE: &str = "urn:tidegate";

/// The cache of Node packages.
pub(crate) fn packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let folder = target().join("test-web");
        let mut script = Command::new("sh");
        script.arg(tree().join("tools/web.sh")).arg(&folder);
        run(&mut script, b"", Duration::from_secs(600)).success();
        folder
    })
}

/// What to start.
#[derive(Debug)]
pub struct Plan {
    people: Value,
    services: Vec<Value>,
    redirects: Vec<String>,
    seconds: u64,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new()
    }
}

impl Plan {
    /// Nobody yet; tokens live an hour.
    pub fn new() -> Self {
        Self { people: json!({}), services: Vec::new(), redirects: Vec::new(), seconds: 3600 }
    }

    /// Somebody with these groups.
    pub fn person(mut self, name: &str, groups: &[&str]) -> Self {
        self.people[name] = json!({ "groups": groups });
        self
    }

    /// Where the gateway's sign-in may come back to.
    pub fn redirect(mut self, url: &str) -> Self {
        self.redirects.push(url.to_owned());
        self
    }

    /// A service that proves itself by a secret.
    pub fn service(mut self, client: &str, secret: &str, groups: &[&str]) -> Self {
        self.services.push(json!({"client_id": client, "secret": secret, "groups": groups}));
        self
    }

    /// A service that proves itself by a private key; `keys` is the public set.
    pub fn service_with_key(mut self, client: &str, keys: Value, groups: &[&str]) -> Self {
        self.services.push(json!({"client_id": client, "jwks": keys, "groups": groups}));
        self
    }

    /// Seconds that tokens live.
    pub fn seconds(mut self, seconds: u64) -> Self {
        self.seconds = seconds;
        self
    }

    /// Starts it and waits until it answers.
    #[track_caller]
    pub fn start(&self) -> Provider {
        let (folder, port) = (Folder::new("provider"), free_port());
        let redirects = if self.redirects.is_empty() {
            vec!["http://127.0.0.1:9/callback".to_owned()]
        } else {
            self.redirects.clone()
        };
        let config = json!({
            "port": port, "people": self.people, "services": self.services, "redirects": redirects, "ttl": self.seconds,
        });
        let config = folder.write("provider.json", config.to_string());
        let log = std::fs::File::create(folder.path().join("provider.log")).unwrap();
        let mut command = Command::new("node");
        command.arg(tree().join("tests/web/provider.mjs")).arg(config).env("WEB_PACKAGES", packages());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let process = Guarded::start(&mut command, "TERM", folder.path());
        let provider = Provider { port, folder, _process: process };
        wait_until("the OpenID provider answers", 2 * PATIENCE, || {
            provider.http("GET", "/.well-known/openid-configuration", None).is_some_and(|(status, _)| status == 200)
        });
        provider
    }
}

/// A running provider.
#[derive(Debug)]
pub struct Provider {
    /// Port on 127.0.0.1.
    pub port: u16,
    folder: Folder,
    _process: Guarded,
}

impl Provider {
    /// Its issuer.
    pub fn issuer(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("provider.log")).unwrap_or_default()
    }

    /// Signs with a new key from now on. The old keys stay in the set, unless they are dropped.
    #[track_caller]
    pub fn rotate(&self, drop_old: bool) {
        self.change(if drop_old { "/_rotate?drop=1" } else { "/_rotate" });
    }

    /// New tokens live this long.
    #[track_caller]
    pub fn set_seconds(&self, seconds: u64) {
        self.change(&format!("/_ttl?s={seconds}"));
    }

    /// Puts somebody into these groups and no others, from the next token on.
    #[track_caller]
    pub fn set_groups(&self, person: &str, groups: &[&str]) {
        self.change(&format!("/_person?name={person}&groups={}", groups.join(",")));
    }

    /// An access token for a service, by its secret.
    #[track_caller]
    pub fn service_token(&self, client: &str, secret: &str) -> String {
        let form = format!(
            "grant_type=client_credentials&scope=db&resource={AUDIENCE}&client_id={client}&client_secret={secret}"
        );
        let (status, body) = self.http("POST", "/token", Some(&form)).expect("the provider answers");
        let answer: Value = serde_json::from_str(&body).unwrap_or_else(|e| panic!("{status} {e}: {body}"));
        answer["access_token"].as_str().unwrap_or_else(|| panic!("{status}: {body}")).to_owned()
    }

    #[track_caller]
    fn change(&self, path: &str) {
        let (status, body) = self.http("POST", path, Some("")).expect("the provider answers");
        assert_eq!(status, 200, "{body}");
    }

    /// A request; `None` when nobody answers.
    pub fn http(&self, method: &str, path: &str, form: Option<&str>) -> Option<(u16, String)> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        let body = form.unwrap_or_default();
        write!(
            socket,
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.port,
            body.len()
        )
        .ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }
}
