//! Secrets from a server that speaks Vault's HTTP API: key/value store, version 2.
//!
//! ```yaml
//! # vault.yaml
//! address: https://vault.example.com:8200
//! ca: vault-ca.crt
//! kubernetes: { role: tidegate }       # or token_file: PATH, or jwt: { role: ..., token_file: PATH, mount: jwt }
//! ```
//!
//! A token is got for each reading and given back after it (one from `token_file` is only used), so there is no lease that must
//! be renewed and none is left behind; secrets are read again as often as the configuration says. Errors name server and path,
//! never what was answered. Deliberately absent: writing, dynamic secrets engines, other versions of the store.

use crate::problems::Problems;
use crate::secrets::SecretBytes;
use crate::yaml::{Report, Section, parse};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use zeroize::{Zeroize as _, Zeroizing};

/// A whole call, and the largest answer.
const CALL: Duration = Duration::from_secs(5);
const ANSWER_BYTES_MAX: u64 = 1 << 20;
/// Where a pod finds its own token.
const POD_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// How the gateway proves itself.
#[derive(Clone, Debug)]
enum Login {
    TokenFile(PathBuf),
    Jwt { mount: String, role: String, token_file: PathBuf },
}

/// A server.
#[derive(Clone, Debug)]
struct Server {
    address: String,
    ca: Option<PathBuf>,
    namespace: Option<String>,
    login: Login,
}

fn server(file: &Path) -> Result<Server, String> {
    let text = std::fs::read_to_string(file).map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
    let mut problems = Problems::new();
    let found = read(file, &text, &mut problems);
    if problems.has_errors() {
        return Err(problems.to_string());
    }
    found.ok_or_else(|| format!("{} holds no settings", file.display()))
}

fn read(file: &Path, text: &str, problems: &mut Problems) -> Option<Server> {
    const KNOWN: &[&str] = &["address", "ca", "namespace", "token_file", "kubernetes", "jwt"];
    let root = parse(file, text, problems)?;
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    let mut report = Report::new(file, problems);
    let report = &mut report;
    let mut root = Section::open("", root, KNOWN, report);
    let place = root.place();
    let address = root.demand("address", report).and_then(|n| report.scalar("address", n))?;
    let mut given = |root: &mut Section, key: &str| root.take(key).and_then(|n| report.scalar(key, n)).map(|t| t.value);
    let ca = given(&mut root, "ca").map(|ca| folder.join(ca));
    let namespace = given(&mut root, "namespace");
    let token_file = given(&mut root, "token_file").map(|file| folder.join(file));
    let jwt = |key: &str, root: &mut Section, report: &mut Report<'_>| {
        let mut of = Section::open(key, root.take(key)?, &["role", "mount", "token_file"], report);
        let role = of.demand("role", report).and_then(|n| report.scalar("role", n))?.value;
        let mut given = |name: &str| of.take(name).and_then(|n| report.scalar(name, n)).map(|t| t.value);
        let mount = given("mount").unwrap_or_else(|| key.to_owned());
        let token_file = given("token_file").map_or_else(|| PathBuf::from(POD_TOKEN), |file| folder.join(file));
        Some(Login::Jwt { mount, role, token_file })
    };
    let logins =
        [token_file.map(Login::TokenFile), jwt("kubernetes", &mut root, report), jwt("jwt", &mut root, report)];
    let mut logins = logins.into_iter().flatten();
    let (Some(login), None) = (logins.next(), logins.next()) else {
        report.error(place, "name one of `token_file`, `kubernetes` and `jwt`");
        return None;
    };
    let mut value = address.value.trim_end_matches('/').to_owned();
    let local =
        ["http://127.0.0.1:", "http://[::1]:", "http://localhost:"].iter().any(|start| value.starts_with(start));
    if !value.starts_with("https://") && !local {
        report.error(address.place, "`address` starts with https://; http:// is for this machine alone");
        value.clear();
    }
    Some(Server { address: value, ca, namespace, login })
}

/// A part of a path of the API.
fn is_plain(path: &str) -> bool {
    let part = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
    };
    path.split('/').all(part)
}

/// Reads one field of a secret. `path` is the API's, for instance `secret/data/warehouse`.
///
/// # Errors
/// The server's file, the server, or the secret; never with what was answered.
pub fn fetch(file: &Path, path: &str, field: &str) -> Result<SecretBytes, String> {
    let server = server(file)?;
    let shown = format!("{} at {}", path, server.address);
    if !is_plain(path) {
        return Err(format!("`{path}` is not a path of a secret; write for instance secret/data/warehouse"));
    }
    let agent = agent(&server)?;
    let call = |method: &str, path: &str, token: Option<&str>, body: Option<&Value>| {
        let mut request = ureq::http::Request::builder().method(method).uri(format!("{}/v1/{path}", server.address));
        if let Some(token) = token {
            request = request.header("x-vault-token", token);
        }
        if let Some(namespace) = &server.namespace {
            request = request.header("x-vault-namespace", namespace);
        }
        let body = Zeroizing::new(body.map(Value::to_string).unwrap_or_default());
        let request = request.body(body.as_bytes()).map_err(|_| format!("{shown}: not an address, or not a token"))?;
        // What the server says of a mistake may quote what was sent.
        let mut answer =
            agent.run(request).map_err(|_| format!("{shown}: the server cannot be reached, or not in time"))?;
        let status = answer.status().as_u16();
        if !(200..300).contains(&status) {
            return Err(format!("{shown}: the server refuses, status {status}"));
        }
        let bytes = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
        bytes.map(Zeroizing::new).map_err(|_| format!("{shown}: the answer is too long, or ends early"))
    };
    let strange = || format!("{shown}: the answer is not understood");
    let (token, own) = match &server.login {
        Login::TokenFile(file) => (text_of(file)?, false),
        Login::Jwt { mount, role, token_file } => {
            if !is_plain(mount) {
                return Err(format!("`{mount}` is not the name of a mount"));
            }
            let jwt = text_of(token_file)?;
            let mut body = json!({"role": role, "jwt": *jwt});
            let answer = call("POST", &format!("auth/{mount}/login"), None, Some(&body));
            clear(&mut body);
            let mut answer: Value = serde_json::from_slice(&answer?).map_err(|_| strange())?;
            let token =
                answer.pointer("/auth/client_token").and_then(Value::as_str).map(|t| Zeroizing::new(t.to_owned()));
            clear(&mut answer);
            (token.ok_or_else(strange)?, true)
        }
    };
    let answer = call("GET", path, Some(&token), None);
    if own {
        // It ends by itself if the server does not take it back.
        let _ended = call("POST", "auth/token/revoke-self", Some(&token), None);
    }
    let mut answer: Value = serde_json::from_slice(&answer?).map_err(|_| strange())?;
    let found = answer.pointer("/data/data").and_then(|data| data.get(field)).and_then(Value::as_str);
    let found = found.map(|secret| SecretBytes::new(secret.as_bytes().to_vec()));
    clear(&mut answer);
    match found {
        Some(secret) if !secret.expose().is_empty() => Ok(secret),
        Some(_) | None => Err(format!("{shown}: there is no field `{field}`, or it is empty")),
    }
}

fn clear(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(list) => list.iter_mut().for_each(clear),
        Value::Object(map) => map.values_mut().for_each(clear),
        _ => {}
    }
}

fn text_of(file: &Path) -> Result<Zeroizing<String>, String> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new);
    let text = text.map_err(|e| format!("{} cannot be read: {e}", file.display()))?;
    let trimmed = Zeroizing::new(text.trim().to_owned());
    if trimmed.is_empty() { Err(format!("{} is empty", file.display())) } else { Ok(trimmed) }
}

fn agent(server: &Server) -> Result<Agent, String> {
    let owned = |der: &CertificateDer<'_>| Certificate::from_der(der).to_owned();
    let roots: Vec<Certificate<'static>> = match &server.ca {
        Some(file) => {
            let found = CertificateDer::pem_file_iter(file).and_then(Iterator::collect::<Result<Vec<_>, _>>);
            found.map_err(|e| format!("{}: {e}", file.display()))?.iter().map(owned).collect()
        }
        None => rustls_native_certs::load_native_certs().certs.iter().map(owned).collect(),
    };
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(roots))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder().tls_config(tls).proxy(None).http_status_as_error(false).max_redirects(0);
    Ok(config.timeout_global(Some(CALL)).build().new_agent())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    use std::net::TcpListener;
    use std::sync::Mutex;

    /// A server on loopback: answers a path with what it has for it, and keeps what it was asked.
    struct Fake {
        port: u16,
        asked: Arc<Mutex<Vec<String>>>,
    }

    fn serve(answers: &'static [(&'static str, u16, &'static str)]) -> Fake {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let kept = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let (mut head, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                        break;
                    }
                    let low = line.to_lowercase();
                    if let Some(n) = low.strip_prefix("content-length:") {
                        length = n.trim().parse().unwrap();
                    }
                    if head.is_empty() || low.starts_with("x-vault") {
                        head.push_str(line.trim());
                        head.push('|');
                    }
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                head.push_str(&String::from_utf8(body).unwrap());
                let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
                kept.lock().unwrap().push(head);
                let (_, status, text) = answers.iter().find(|(of, ..)| *of == path).unwrap_or(&("", 404, "{}"));
                let answer =
                    format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}", text.len());
                stream.write_all(answer.as_bytes()).unwrap();
            }
        });
        Fake { port, asked }
    }

    const SECRET: &str = r#"{"data":{"data":{"password":"s3cret-of-the-target","empty":""},"metadata":{"version":3}}}"#;

    fn settings(folder: &Path, port: u16, login: &str) -> PathBuf {
        let file = folder.join("vault.yaml");
        std::fs::write(&file, format!("address: http://127.0.0.1:{port}\nnamespace: team\n{login}\n")).unwrap();
        file
    }

    #[test]
    fn a_field_is_read_with_a_token_of_a_file() {
        let server = serve(&[("/v1/secret/data/warehouse", 200, SECRET)]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hvs.abc\n").unwrap();
        let file = settings(folder.path(), server.port, "token_file: token");
        let secret = fetch(&file, "secret/data/warehouse", "password").unwrap();
        assert_eq!(secret.expose(), b"s3cret-of-the-target");
        let asked = server.asked.lock().unwrap().clone();
        assert_eq!(asked.len(), 1, "a token that is not ours is not given back: {asked:?}");
        assert!(asked[0].contains("hvs.abc") && asked[0].contains("team"), "{asked:?}");
        for (path, field) in
            [("secret/data/warehouse", "empty"), ("secret/data/warehouse", "other"), ("secret/data/none", "x")]
        {
            let error = fetch(&file, path, field).err().unwrap();
            assert!(!error.contains("s3cret") && !error.contains("hvs."), "{error}");
        }
        for path in ["../sys/seal", "secret//x", "secret/data/a?list=true", "", "secret/data/ä"] {
            assert!(fetch(&file, path, "x").is_err(), "{path}");
        }
    }

    #[test]
    fn a_pod_logs_in_by_its_own_token_and_gives_back_what_it_got() {
        let server = serve(&[
            ("/v1/auth/kubernetes/login", 200, r#"{"auth":{"client_token":"hvs.short","lease_duration":60}}"#),
            ("/v1/secret/data/warehouse", 200, SECRET),
            ("/v1/auth/token/revoke-self", 204, ""),
        ]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pod.jwt"), "a.b.c").unwrap();
        let file = settings(folder.path(), server.port, "kubernetes: { role: tidegate, token_file: pod.jwt }");
        assert_eq!(fetch(&file, "secret/data/warehouse", "password").unwrap().expose(), b"s3cret-of-the-target");
        let asked = server.asked.lock().unwrap().clone();
        assert_eq!(asked.len(), 3, "{asked:?}");
        assert!(asked[0].contains(r#""jwt":"a.b.c""#) && asked[0].contains(r#""role":"tidegate""#), "{asked:?}");
        assert!(asked[2].starts_with("POST /v1/auth/token/revoke-self") && asked[2].contains("hvs.short"), "{asked:?}");
    }

    #[test]
    fn what_a_server_refuses_or_garbles_is_an_error_without_its_words() {
        let server = serve(&[
            ("/v1/secret/data/refused", 403, r#"{"errors":["permission denied for s3cret"]}"#),
            ("/v1/secret/data/garbled", 200, "s3cret"),
            ("/v1/secret/data/moved", 302, ""),
        ]);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("token"), "hvs.abc").unwrap();
        let file = settings(folder.path(), server.port, "token_file: token");
        for path in ["refused", "garbled", "moved"] {
            let error = fetch(&file, &format!("secret/data/{path}"), "password").err().unwrap();
            assert!(!error.contains("s3cret") && error.contains(path), "{error}");
        }
        for (wrong, says) in [
            ("address: http://vault.example.com\ntoken_file: token", "https://"),
            ("address: https://v", "name one of"),
            ("address: https://v\ntoken_file: a\njwt: { role: r }", "name one of"),
            ("token_file: a", "`address` is missing"),
        ] {
            std::fs::write(&file, wrong).unwrap();
            let error = fetch(&file, "secret/data/x", "y").err().unwrap();
            assert!(error.contains(says), "{wrong}: {error}");
        }
    }
}
