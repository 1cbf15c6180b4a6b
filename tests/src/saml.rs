//! A real SAML identity provider: SimpleSAMLphp of Debian's package, on PHP's own server, with people and groups.
//!
//! It signs responses and assertions, takes only requests that are signed by the certificate it was told, and asks for a
//! password (`NAMEpass`). Only the standard library is used and `ports` beside it, so that tests of other crates can include
//! both files.

use super::ports::free_port;
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{Read as _, Write as _},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const TREE: &str = "/usr/share/simplesamlphp/www";

/// A running provider; it ends with this value.
#[derive(Debug)]
pub struct SamlProvider {
    /// Port on 127.0.0.1.
    pub port: u16,
    folder: PathBuf,
    server: Child,
}

/// What it is told of us.
#[derive(Debug)]
pub struct Service<'a> {
    /// Entity id.
    pub entity: &'a str,
    /// Where it posts responses to.
    pub consumer: &'a str,
    /// Certificate that requests are signed by, PEM.
    pub certificate: &'a str,
    /// People and their groups.
    pub people: &'a [(&'a str, &'a [&'a str])],
}

/// Key and certificate (RSA, self-signed) in this folder: `NAME.key`, `NAME.crt`.
///
/// # Panics
/// OpenSSL is missing or fails.
#[track_caller]
pub fn key_pair(folder: &Path, name: &str) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "30", "-subj"])
        .arg(format!("/CN={name}"))
        .arg("-keyout")
        .arg(folder.join(format!("{name}.key")))
        .arg("-out")
        .arg(folder.join(format!("{name}.crt")))
        .output()
        .expect("openssl starts");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

impl SamlProvider {
    /// Starts it in an empty folder and waits until it answers.
    ///
    /// # Panics
    /// It is not installed or does not start.
    #[track_caller]
    pub fn start(folder: &Path, service: &Service<'_>) -> Self {
        assert!(
            Path::new(TREE).exists() && Path::new("/usr/bin/php").exists(),
            "SimpleSAMLphp is missing: apt-get install simplesamlphp php-cli php-xml, or run ./test"
        );
        for part in ["config", "metadata", "cert", "log", "tmp", "sessions"] {
            fs::create_dir_all(folder.join(part)).expect("a folder");
        }
        key_pair(&folder.join("cert"), "idp");
        let port = free_port();
        let write = |name: &str, text: String| fs::write(folder.join(name), format!("<?php {text}")).expect("a file");
        let home = folder.display();
        write(
            "config/config.php",
            format!(
                "$config = ['baseurlpath' => 'http://127.0.0.1:{port}/', 'certdir' => '{home}/cert/', \
                 'loggingdir' => '{home}/log/', 'datadir' => '{home}/', 'tempdir' => '{home}/tmp', \
                 'metadatadir' => '{home}/metadata', 'secretsalt' => 'only for tests, and as good as any', \
                 'auth.adminpassword' => 'unused', 'technicalcontact_email' => 'a@example.com', 'timezone' => 'UTC', \
                 'enable.saml20-idp' => true, 'module.enable' => ['exampleauth' => true, 'core' => true, 'saml' => true], \
                 'session.cookie.secure' => false, 'session.cookie.samesite' => null, \
                 'session.phpsession.savepath' => '{home}/sessions', 'store.type' => 'phpsession', \
                 'logging.handler' => 'file', 'logging.level' => 5, 'language.default' => 'en', \
                 'language.available' => ['en'], 'metadata.sources' => [['type' => 'flatfile']], 'showerrors' => true, \
                 'debug' => [], 'authproc.idp' => [], 'assertion.encryption' => false];"
            ),
        );
        let people = service.people.iter().fold(String::new(), |mut all, (name, groups)| {
            let groups: Vec<_> = groups.iter().map(|group| format!("'{group}'")).collect();
            let _ = write!(
                all,
                ", '{name}:{name}pass' => ['uid' => ['{name}'], 'email' => ['{name}@example.com'], 'groups' => [{}]]",
                groups.join(", ")
            );
            all
        });
        write("config/authsources.php", format!("$config = ['people' => ['exampleauth:UserPass'{people}]];"));
        const FORMAT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent";
        write(
            "metadata/saml20-idp-hosted.php",
            format!(
                "$metadata['http://127.0.0.1:{port}/idp'] = ['host' => '__DEFAULT__', 'privatekey' => 'idp.key', \
                 'certificate' => 'idp.crt', 'auth' => 'people', 'saml20.sign.response' => true, \
                 'saml20.sign.assertion' => true, 'NameIDFormat' => '{FORMAT}', 'authproc' => [3 => \
                 ['class' => 'saml:AttributeNameID', 'attribute' => 'uid', 'Format' => '{FORMAT}']]];"
            ),
        );
        let certificate: String = service.certificate.lines().filter(|line| !line.starts_with("-----")).collect();
        write(
            "metadata/saml20-sp-remote.php",
            format!(
                "$metadata['{}'] = ['AssertionConsumerService' => '{}', 'NameIDFormat' => '{FORMAT}', \
                 'saml20.sign.assertion' => true, 'validate.authnrequest' => true, 'certData' => '{certificate}'];",
                service.entity, service.consumer
            ),
        );
        let log = fs::File::create(folder.join("log/php.log")).expect("a log");
        let server = Command::new("/usr/bin/php")
            .args(["-S", &format!("127.0.0.1:{port}"), "-t", TREE])
            .env("SIMPLESAMLPHP_CONFIG_DIR", folder.join("config"))
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .spawn()
            .expect("PHP starts");
        let provider = Self { port, folder: folder.to_owned(), server };
        let until = Instant::now() + Duration::from_secs(120);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "SimpleSAMLphp does not answer: {}", provider.log());
            std::thread::sleep(Duration::from_millis(50));
        }
        provider
    }

    /// Its entity id.
    pub fn entity(&self) -> String {
        format!("http://127.0.0.1:{}/idp", self.port)
    }

    /// Its metadata.
    ///
    /// # Panics
    /// It does not answer.
    #[track_caller]
    pub fn metadata(&self) -> String {
        let (status, _, body) = self.visit("GET", "/saml2/idp/metadata.php", "", &mut BTreeMap::new());
        assert_eq!(status, 200, "{body}\n{}", self.log());
        body
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        let read = |name: &str| fs::read_to_string(self.folder.join("log").join(name)).unwrap_or_default();
        read("php.log") + &read("simplesamlphp.log")
    }

    /// Signs somebody in at the address a request leads to, as a browser would; the fields that it would post to us.
    ///
    /// # Panics
    /// The provider does not go along.
    #[track_caller]
    pub fn sign_in(&self, address: &str, name: &str) -> BTreeMap<String, String> {
        let mut cookies = BTreeMap::new();
        let (mut path, mut form) = (self.path(address), String::new());
        for _ in 0..10 {
            let method = if form.is_empty() { "GET" } else { "POST" };
            let (status, location, body) = self.visit(method, &path, &form, &mut cookies);
            form.clear();
            if let Some(location) = location {
                path = self.path(&location);
                continue;
            }
            assert_eq!(status, 200, "{body}\n{}", self.log());
            let mut fields = fields(&body);
            if fields.contains_key("SAMLResponse") {
                return fields;
            }
            assert!(fields.contains_key("AuthState"), "{body}\n{}", self.log());
            fields.insert("username".to_owned(), name.to_owned());
            fields.insert("password".to_owned(), format!("{name}pass"));
            let pairs: Vec<_> = fields.iter().map(|(k, v)| format!("{}={}", encoded(k), encoded(v))).collect();
            form = pairs.join("&");
            let action = attribute(&body[body.find("<form").unwrap_or(0)..], "action").unwrap_or_default();
            if !action.is_empty() && action != "?" {
                path = self.path(&action);
            } else if let Some((bare, _)) = path.split_once('?') {
                path = bare.to_owned();
            }
        }
        panic!("the provider leads in circles: {}", self.log());
    }

    fn path(&self, address: &str) -> String {
        address.strip_prefix(&format!("http://127.0.0.1:{}", self.port)).unwrap_or(address).to_owned()
    }

    fn visit(
        &self,
        method: &str,
        path: &str,
        form: &str,
        cookies: &mut BTreeMap<String, String>,
    ) -> (u16, Option<String>, String) {
        let mut socket = TcpStream::connect(("127.0.0.1", self.port)).expect("the provider listens");
        socket.set_read_timeout(Some(Duration::from_secs(60))).expect("a limit");
        let jar: Vec<_> = cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        // In one piece: the server may answer, and close, before it has read to the end.
        let request = format!(
            "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1:{}\r\nCookie: {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
            self.port,
            jar.join("; "),
            form.len()
        );
        socket.write_all(request.as_bytes()).expect("it reads");
        let mut answer = String::new();
        socket.read_to_string(&mut answer).expect("it answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
        let mut location = None;
        for (name, value) in head.lines().filter_map(|line| line.split_once(": ")) {
            if name.eq_ignore_ascii_case("location") {
                location = Some(value.to_owned());
            } else if name.eq_ignore_ascii_case("set-cookie")
                && let Some((name, value)) = value.split(';').next().and_then(|pair| pair.split_once('='))
            {
                cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, location, body.to_owned())
    }
}

impl Drop for SamlProvider {
    fn drop(&mut self) {
        let _gone_already = self.server.kill();
        let _ = self.server.wait();
    }
}

/// Names and values of the inputs of a page.
fn fields(page: &str) -> BTreeMap<String, String> {
    let inputs = page.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap_or_default());
    inputs
        .filter_map(|input| Some((attribute(input, "name")?, attribute(input, "value").unwrap_or_default())))
        .collect()
}

fn attribute(tag: &str, name: &str) -> Option<String> {
    let start = tag.find(&format!(" {name}=\""))? + name.len() + 3;
    let value = tag[start..].split('"').next()?;
    let plain = value.replace("&quot;", "\"").replace("&#039;", "'").replace("&lt;", "<").replace("&gt;", ">");
    Some(plain.replace("&amp;", "&"))
}

fn encoded(text: &str) -> String {
    text.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}
