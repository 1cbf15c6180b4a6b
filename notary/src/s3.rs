//! Objects in an S3-compatible store, optionally locked: `PUT`, `GET`, `HEAD`, one bucket, one prefix.
//!
//! Requests are signed with Signature Version 4 in the query string; the SHA-256 of every body is a signed header, so the
//! store refuses bytes that were changed on the way. Invariants: no error holds an address or a secret; what is read is
//! bounded by the caller. Deliberately absent: multipart uploads (a body may have 5 GiB), listing, deletion.

use crate::http;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use rusty_s3::{Bucket, Credentials, S3Action, UrlStyle};
use sha2::{Digest as _, Sha256};
use std::{
    fmt, fs,
    io::{self, Read as _, Seek as _},
    path::{Path, PathBuf},
    time::Duration,
};
use url::Url;

/// How long a signature is valid. Clocks may differ by that much.
const SIGNATURE_LIFE: Duration = Duration::from_secs(900);
/// Longest body of an error that is looked at.
const ERROR_BYTES_MAX: u64 = 64 << 10;

/// Where objects go.
#[derive(Clone)]
pub struct Settings {
    /// `https://host[:port][/path]`.
    pub endpoint: String,
    /// Region, for instance `eu-central-1`; stores without regions take `us-east-1`.
    pub region: String,
    /// Bucket.
    pub bucket: String,
    /// Put before each key; a slash at its end is the caller's.
    pub prefix: String,
    /// Access key.
    pub access_key: String,
    /// Secret key.
    pub secret_key: String,
    /// The bucket is part of the host name, not of the path.
    pub virtual_host: bool,
    /// Trusted authorities, PEM; the system's if absent.
    pub authorities: Option<PathBuf>,
    /// Longest time of one request.
    pub timeout: Duration,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { endpoint, region, bucket, prefix, .. } = self;
        write!(f, "s3::Settings({endpoint} {region} {bucket}/{prefix})")
    }
}

/// Object lock in compliance mode: until then nobody can delete or change the version, whatever rights they have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockUntil {
    /// Seconds since 1970.
    pub seconds: u64,
}

/// What the store said about an object it took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stored {
    /// Full key, prefix included.
    pub key: String,
    /// Version, where the bucket keeps versions.
    pub version: Option<String>,
}

/// What the store says about an object it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Length in bytes.
    pub length: u64,
    /// `COMPLIANCE` or `GOVERNANCE`.
    pub lock_mode: Option<String>,
    /// RFC 3339 time.
    pub locked_until: Option<String>,
}

/// Why a request failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The settings are wrong.
    Settings(String),
    /// The file to send cannot be read.
    File(PathBuf, String),
    /// Nobody answered, or not to the end. Worth another try.
    Unreachable(String),
    /// The store refused: HTTP status and its own code, if it gave one.
    Refused(u16, String),
}

impl Error {
    /// Whether the same request may succeed later without anybody mending something.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) => true,
            Self::Refused(status, _) => matches!(status, 408 | 429 | 500..=599),
            Self::Settings(_) | Self::File(..) => false,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(what) => f.write_str(what),
            Self::File(path, what) => write!(f, "{}: {what}", path.display()),
            Self::Unreachable(what) => write!(f, "the object store cannot be reached: {what}"),
            Self::Refused(status, code) => write!(f, "the object store refused with {status} {code}"),
        }
    }
}

impl std::error::Error for Error {}

/// A bucket to write to and read from.
#[derive(Debug)]
pub struct Store {
    bucket: Bucket,
    credentials: Credentials,
    prefix: String,
    agent: ureq::Agent,
}

impl Store {
    /// Checks the settings; sends nothing.
    ///
    /// # Errors
    /// [`Error::Settings`].
    pub fn new(settings: &Settings) -> Result<Self, Error> {
        let wrong = |what: String| Error::Settings(what);
        let endpoint = Url::parse(&settings.endpoint)
            .map_err(|e| wrong(format!("`{}` is not an address: {e}", settings.endpoint)))?;
        let style = if settings.virtual_host { UrlStyle::VirtualHost } else { UrlStyle::Path };
        let bucket = Bucket::new(endpoint, style, settings.bucket.clone(), settings.region.clone())
            .map_err(|e| wrong(format!("`{}`: {e}", settings.endpoint)))?;
        let agent = http::client(settings.authorities.as_deref(), settings.timeout).map_err(wrong)?;
        Ok(Self {
            bucket,
            credentials: Credentials::new(&settings.access_key, &settings.secret_key),
            prefix: settings.prefix.clone(),
            agent,
        })
    }

    /// `bucket/prefix`, to show.
    #[must_use]
    pub fn place(&self) -> String {
        format!("{}/{}", self.bucket.name(), self.prefix)
    }

    /// Name of the bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        self.bucket.name()
    }

    /// Writes an object.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Refused`].
    pub fn put(&self, key: &str, body: &[u8], lock: Option<LockUntil>) -> Result<Stored, Error> {
        self.send(key, &Sha256::digest(body), lock, body)
    }

    /// Writes the contents of a file, which is read twice and never held in memory. A file that changes meanwhile is
    /// refused by the store, because its checksum no longer fits.
    ///
    /// # Errors
    /// As [`Self::put`], and [`Error::File`].
    pub fn put_file(&self, key: &str, file: &Path, lock: Option<LockUntil>) -> Result<Stored, Error> {
        let wrong = |e: io::Error| Error::File(file.to_owned(), e.to_string());
        let mut open = fs::File::open(file).map_err(wrong)?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 256 << 10];
        loop {
            match open.read(&mut buffer).map_err(wrong)? {
                0 => break,
                n => hash.update(&buffer[..n]),
            }
        }
        open.rewind().map_err(wrong)?;
        self.send(key, &hash.finalize(), lock, open)
    }

    fn send(
        &self,
        key: &str,
        digest: &[u8],
        lock: Option<LockUntil>,
        body: impl ureq::AsSendBody,
    ) -> Result<Stored, Error> {
        let key = format!("{}{key}", self.prefix);
        let mut headers = vec![
            ("x-amz-checksum-sha256", BASE64_STANDARD.encode(digest)),
            ("x-amz-sdk-checksum-algorithm", "SHA256".to_owned()),
        ];
        if let Some(lock) = lock {
            headers.push(("x-amz-object-lock-mode", "COMPLIANCE".to_owned()));
            headers.push(("x-amz-object-lock-retain-until-date", rfc3339(lock.seconds)?));
        }
        let mut action = self.bucket.put_object(Some(&self.credentials), &key);
        for (name, value) in &headers {
            action.headers_mut().insert(*name, value.clone());
        }
        let mut request = self.agent.put(action.sign(SIGNATURE_LIFE).as_str());
        for (name, value) in &headers {
            request = request.header(*name, value);
        }
        let mut answer = request.send(body).map_err(|e| Error::Unreachable(http::describe(&e)))?;
        if !answer.status().is_success() {
            return Err(refusal(&mut answer));
        }
        Ok(Stored { key, version: header(&answer, "x-amz-version-id") })
    }

    /// Reads an object of at most `most` bytes; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Unreachable`] (also for a longer object), [`Error::Refused`].
    pub fn get(&self, key: &str, most: u64) -> Result<Option<Vec<u8>>, Error> {
        let key = format!("{}{key}", self.prefix);
        let address = self.bucket.get_object(Some(&self.credentials), &key).sign(SIGNATURE_LIFE);
        let mut answer = self.agent.get(address.as_str()).call().map_err(|e| Error::Unreachable(http::describe(&e)))?;
        if answer.status() == 404 {
            return Ok(None);
        }
        if !answer.status().is_success() {
            return Err(refusal(&mut answer));
        }
        http::body(&mut answer, most).map(Some).map_err(Error::Unreachable)
    }

    /// Looks at an object; `None` if there is none.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Refused`].
    pub fn head(&self, key: &str) -> Result<Option<Found>, Error> {
        let key = format!("{}{key}", self.prefix);
        let address = self.bucket.head_object(Some(&self.credentials), &key).sign(SIGNATURE_LIFE);
        let answer = self.agent.head(address.as_str()).call().map_err(|e| Error::Unreachable(http::describe(&e)))?;
        match answer.status().as_u16() {
            404 => Ok(None),
            200 => Ok(Some(Found {
                length: header(&answer, "content-length").and_then(|l| l.parse().ok()).unwrap_or(0),
                lock_mode: header(&answer, "x-amz-object-lock-mode"),
                locked_until: header(&answer, "x-amz-object-lock-retain-until-date"),
            })),
            status => Err(Error::Refused(status, String::new())),
        }
    }
}

fn header(answer: &ureq::http::Response<ureq::Body>, name: &str) -> Option<String> {
    answer.headers().get(name)?.to_str().ok().map(str::to_owned)
}

fn rfc3339(seconds: u64) -> Result<String, Error> {
    let wrong = || Error::Settings("the end of the retention is beyond all calendars".to_owned());
    let time = i64::try_from(seconds).ok().and_then(|s| Timestamp::from_second(s).ok()).ok_or_else(wrong)?;
    Ok(time.to_string())
}

fn refusal(answer: &mut ureq::http::Response<ureq::Body>) -> Error {
    let status = answer.status().as_u16();
    let body = http::body(answer, ERROR_BYTES_MAX).unwrap_or_default();
    Error::Refused(status, code(&String::from_utf8_lossy(&body)))
}

/// The `Code` of an error document: a word of letters. Anything else is not shown.
fn code(document: &str) -> String {
    let inside = document.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    let word = inside.map_or("", |(word, _)| word);
    let plain = word.len() <= 64 && word.bytes().all(|b| b.is_ascii_alphanumeric());
    if plain { word.to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write as _, net::TcpListener, thread};

    fn settings(endpoint: String) -> Settings {
        Settings {
            endpoint,
            region: "us-east-1".to_owned(),
            bucket: "audit".to_owned(),
            prefix: "node/".to_owned(),
            access_key: "AK".to_owned(),
            secret_key: "very-secret".to_owned(),
            virtual_host: false,
            authorities: None,
            timeout: Duration::from_secs(60),
        }
    }

    /// Serves one request with this answer, and gives the request.
    fn once(answer: &'static str) -> (String, thread::JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let server = thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            let mut buffer = [0; 4096];
            loop {
                let n = socket.read(&mut buffer).unwrap();
                request.extend_from_slice(&buffer[..n]);
                let text = String::from_utf8_lossy(&request).into_owned();
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head
                        .lines()
                        .find_map(|l| l.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
                    if body.len() >= length.unwrap_or(0) {
                        socket.write_all(answer.as_bytes()).unwrap();
                        return text;
                    }
                }
            }
        });
        (address, server)
    }

    #[test]
    fn a_locked_object_is_sent_with_its_checksum_and_every_header_is_signed() {
        let answer = "HTTP/1.1 200 OK\r\nx-amz-version-id: v7\r\ncontent-length: 0\r\n\r\n";
        let (address, server) = once(answer);
        let store = Store::new(&settings(address)).unwrap();
        let stored = store.put("tlog/checkpoint", b"hello", Some(LockUntil { seconds: 1_700_000_000 })).unwrap();
        assert_eq!(stored, Stored { key: "node/tlog/checkpoint".to_owned(), version: Some("v7".to_owned()) });
        let request = server.join().unwrap();
        assert!(request.starts_with("PUT /audit/node/tlog/checkpoint?"), "{request}");
        for part in [
            "x-amz-checksum-sha256: LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=\r\n",
            "x-amz-object-lock-mode: COMPLIANCE\r\n",
            "x-amz-object-lock-retain-until-date: 2023-11-14T22:13:20Z\r\n",
            "X-Amz-SignedHeaders=host%3Bx-amz-checksum-sha256%3Bx-amz-object-lock-mode%3Bx-amz-object-lock-retain-until-date%3Bx-amz-sdk-checksum-algorithm",
        ] {
            assert!(request.contains(part), "{part}\n{request}");
        }
        assert!(request.ends_with("\r\n\r\nhello"), "{request}");
    }

    #[test]
    fn a_file_is_sent_whole_with_its_length() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("f");
        fs::write(&file, vec![b'x'; 300_000]).unwrap();
        let (address, server) = once("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
        Store::new(&settings(address)).unwrap().put_file("f", &file, None).unwrap();
        let request = server.join().unwrap();
        assert!(request.to_ascii_lowercase().contains("content-length: 300000\r\n"));
        assert!(!request.contains("object-lock"));
        let absent = Store::new(&settings("http://127.0.0.1:9".to_owned())).unwrap();
        assert!(matches!(absent.put_file("f", &folder.path().join("g"), None), Err(Error::File(..))));
    }

    #[test]
    fn refusals_show_the_code_and_nothing_else() {
        let (address, server) = once(
            "HTTP/1.1 403 Forbidden\r\ncontent-length: 68\r\n\r\n<Error><Code>AccessDenied</Code><Message>secret text</Message></Error>",
        );
        let error = Store::new(&settings(address)).unwrap().put("k", b"v", None).unwrap_err();
        server.join().unwrap();
        assert_eq!(error, Error::Refused(403, "AccessDenied".to_owned()));
        assert!(!error.is_transient());
        assert_eq!(code("<Code>a b</Code>"), "");
        assert_eq!(code("nothing"), "");
        assert!(Error::Refused(503, String::new()).is_transient());
    }

    #[test]
    fn absent_objects_too_long_ones_and_absent_servers_are_told_apart() {
        let (address, server) = once("HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n");
        assert_eq!(Store::new(&settings(address)).unwrap().get("k", 10), Ok(None));
        server.join().unwrap();
        let (address, server) = once("HTTP/1.1 200 OK\r\ncontent-length: 11\r\n\r\nhello world");
        assert!(matches!(Store::new(&settings(address)).unwrap().get("k", 10), Err(Error::Unreachable(_))));
        server.join().unwrap();
        // Nobody listens there, and no port that is free is ever given this number.
        let error = Store::new(&settings("http://127.0.0.1:1".to_owned())).unwrap().get("k", 10).unwrap_err();
        assert!(error.is_transient());
        assert!(!error.to_string().contains("Signature"), "{error}");
        assert!(!format!("{:?}", settings("http://h".to_owned())).contains("very-secret"));
    }

    #[test]
    fn endpoints_that_are_no_web_address_are_refused() {
        for endpoint in ["", "nothing", "ftp://x", "https://"] {
            assert!(matches!(Store::new(&settings(endpoint.to_owned())), Err(Error::Settings(_))), "{endpoint}");
        }
    }
}
