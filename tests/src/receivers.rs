//! What audit records are sent to: rsyslog over TLS, an S3 server with object lock, and an HTTP collector of our own.
//!
//! Their Python packages live in a cache under Cargo's target folder, filled once by `tools/receivers.sh`.

use crate::{
    certificates::Authority,
    folder::Folder,
    process::{Finished, Guarded, PATIENCE, run, wait_until},
    programs::{target, tree},
    server::free_port,
};
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

/// The cache of Python packages.
fn packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let folder = target().join("test-receivers");
        let mut script = Command::new("sh");
        script.arg(tree().join("tools/receivers.sh")).arg(&folder);
        run(&mut script, b"", Duration::from_secs(900)).success();
        folder
    })
}

/// Runs a Python program text with DuckDB, boto3 and zstandard at hand.
#[track_caller]
pub fn python(text: &str, arguments: &[&str]) -> Finished {
    let mut command = Command::new(packages().join("venv/bin/python"));
    run(command.arg("-c").arg(text).args(arguments), b"", 2 * PATIENCE)
}

/// rsyslog that takes syslog over TLS on loopback and writes structured data and message of each event as a line.
#[derive(Debug)]
pub struct Rsyslog {
    /// Port.
    pub port: u16,
    folder: Folder,
    process: Option<Guarded>,
}

impl Rsyslog {
    /// Starts it with the certificates of the test authority.
    #[track_caller]
    pub fn start() -> Self {
        let (folder, port) = (Folder::new("rsyslog"), free_port());
        let authority = Authority::shared();
        folder.write("ca.crt", &authority.certificate);
        folder.write("server.crt", &authority.server.certificate);
        folder.write("server.key", &authority.server.key);
        let at = folder.path().display();
        folder.write(
            "rsyslog.conf",
            format!(
                "global(workDirectory=\"{at}\" maxMessageSize=\"64k\" DefaultNetstreamDriver=\"gtls\" \
                 DefaultNetstreamDriverCAFile=\"{at}/ca.crt\" DefaultNetstreamDriverCertFile=\"{at}/server.crt\" \
                 DefaultNetstreamDriverKeyFile=\"{at}/server.key\")\n\
                 module(load=\"imtcp\" StreamDriver.Name=\"gtls\" StreamDriver.Mode=\"1\" StreamDriver.AuthMode=\"anon\")\n\
                 input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{port}\")\n\
                 template(name=\"line\" type=\"list\") {{ property(name=\"structured-data\") constant(value=\" \") \
                 property(name=\"msg\") constant(value=\"\\n\") }}\n\
                 *.* action(type=\"omfile\" file=\"{at}/out.log\" template=\"line\")\n"
            ),
        );
        let mut rsyslog = Self { port, folder, process: None };
        rsyslog.run();
        rsyslog
    }

    fn run(&mut self) {
        let program = ["/usr/sbin/rsyslogd", "/usr/bin/rsyslogd"].into_iter().find(|path| Path::new(path).exists());
        let program = program.expect("rsyslog is missing: apt-get install rsyslog rsyslog-gnutls, or run ./test");
        let log = std::fs::File::create(self.folder.path().join("rsyslog.log")).unwrap();
        let mut command = Command::new(program);
        command.args(["-n", "-f"]).arg(self.folder.path().join("rsyslog.conf")).arg("-i");
        command.arg(self.folder.path().join("pid")).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = Some(Guarded::start(&mut command, "TERM", Path::new("")));
        let port = self.port;
        wait_until("rsyslog listens", PATIENCE, || TcpStream::connect(("127.0.0.1", port)).is_ok());
    }

    /// Stops it and starts it again on the same port.
    pub fn restart(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.signal("TERM");
            process.wait(PATIENCE).expect("rsyslog ends");
        }
        self.run();
    }

    /// Lines that arrived.
    pub fn lines(&self) -> Vec<String> {
        let bytes = std::fs::read(self.folder.path().join("out.log")).unwrap_or_default();
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned).collect()
    }
}

/// moto's S3 server with a bucket that locks objects.
#[derive(Debug)]
pub struct ObjectStore {
    /// Port.
    pub port: u16,
    _process: Guarded,
    _folder: Folder,
}

/// The bucket.
pub const BUCKET: &str = "audit";

impl ObjectStore {
    /// Starts it.
    #[track_caller]
    pub fn start() -> Self {
        let (folder, port) = (Folder::new("store"), free_port());
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let mut command = Command::new(packages().join("venv/bin/moto_server"));
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]).stdin(Stdio::null());
        command.stdout(log.try_clone().unwrap()).stderr(log);
        let process = Guarded::start(&mut command, "TERM", folder.path());
        wait_until("the store listens", 2 * PATIENCE, || TcpStream::connect(("127.0.0.1", port)).is_ok());
        let store = Self { port, _process: process, _folder: folder };
        store.python(&format!("s3.create_bucket(Bucket='{BUCKET}', ObjectLockEnabledForBucket=True)")).success();
        store
    }

    /// Runs a Python text with a client `s3`.
    #[track_caller]
    pub fn python(&self, text: &str) -> Finished {
        let head = format!(
            "import boto3, zstandard, io, json\ns3 = boto3.client('s3', endpoint_url='http://127.0.0.1:{}', \
             aws_access_key_id='a', aws_secret_access_key='b', region_name='us-east-1')\n",
            self.port
        );
        python(&(head + text), &[])
    }
}

/// A request that the collector got.
#[derive(Clone, Debug)]
pub struct Request {
    /// Path.
    pub path: String,
    /// Headers, names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// Value of a header; empty if it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n == name).map_or("", |(_, value)| value)
    }
}

/// Status and body of an answer.
pub type Answer = (u16, String);

/// An HTTP collector on loopback.
#[derive(Debug)]
pub struct Collector {
    /// Port.
    pub port: u16,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Collector {
    /// Starts one; `answer` gets the number of the request, from 0, and the request. Ends with the process.
    pub fn start(answer: impl Fn(usize, &Request) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests: Arc<Mutex<Vec<Request>>> = Arc::default();
        let (kept, count) = (Arc::clone(&requests), AtomicUsize::new(0));
        std::thread::spawn(move || {
            for socket in listener.incoming().flatten() {
                // A client that goes away in the middle is of no interest.
                let _gone = serve(socket, &kept, &count, &answer);
            }
        });
        Self { port, requests }
    }

    /// What came so far with an answer of 200.
    pub fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }
}

fn serve(
    mut socket: TcpStream,
    kept: &Mutex<Vec<Request>>,
    count: &AtomicUsize,
    answer: &impl Fn(usize, &Request) -> Answer,
) -> std::io::Result<()> {
    socket.set_read_timeout(Some(PATIENCE))?;
    let mut reader = BufReader::new(socket.try_clone()?);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let mut request = Request { path, headers, body: Vec::new() };
    let length: u64 = request.header("content-length").parse().unwrap_or(0);
    reader.take(length).read_to_end(&mut request.body)?;
    let (status, body) = answer(count.fetch_add(1, Ordering::SeqCst), &request);
    if status == 200 {
        kept.lock().unwrap().push(request);
    }
    write!(socket, "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}
