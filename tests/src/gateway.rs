//! The gateway program under test: configuration in a temporary folder, started, waited for, signalled, stopped.
//!
//! Two gateways are shared by the tests of a process: one whose rules allow everything, one with the example rules over the
//! canary clinic. A test that reloads, drains, kills or limits starts its own.

use crate::{
    certificates::Authority,
    endpoint::Endpoint,
    folder::Folder,
    process::{Finished, Guarded, PATIENCE, run, wait_until},
    programs::program,
    rules::Bundle,
    server::{PASSWORD, Postgres, free_port},
};
use std::{
    fs,
    io::{Read, Write},
    net::TcpStream,
    os::unix::fs::PermissionsExt as _,
    process::{Command, ExitStatus, Stdio},
    sync::{Mutex, OnceLock},
    time::{Duration, Instant},
};

/// Users every gateway under test knows, with their groups. All have [`PASSWORD`].
pub const USERS: &[(&str, &[&str])] = &[
    ("app", &["everyone"]),
    ("priya", &["privacy"]),
    ("ana", &["analysts"]),
    ("agent", &["agents"]),
    ("nobody", &["strangers"]),
];

/// What to start.
#[derive(Clone, Debug)]
pub struct Setup {
    bundle: Vec<u8>,
    target: String,
    upstream: Upstream,
    cores: u32,
    tls_required: bool,
    limits: Vec<(&'static str, String)>,
    audit: Vec<String>,
    audit_directory: String,
    files: Vec<(&'static str, String)>,
    lines: Vec<String>,
    target_lines: Vec<String>,
    no_users: bool,
}

/// How the gateway reaches its upstream.
#[derive(Clone, Debug)]
struct Upstream {
    port: u16,
    host: &'static str,
    tls: &'static str,
    password: Option<String>,
    certificate: Option<String>,
    authority: Option<String>,
}

impl Setup {
    /// A gateway with this bundle in front of this server.
    pub fn new(bundle: &Bundle, server: &Postgres) -> Self {
        Self::at_port(bundle, server.port())
    }

    /// A gateway with this bundle in front of whatever listens on this port.
    pub fn at_port(bundle: &Bundle, port: u16) -> Self {
        Self {
            bundle: bundle.bytes.clone(),
            target: bundle.target.into(),
            upstream: Upstream {
                port,
                host: "127.0.0.1",
                tls: "disable",
                password: Some(PASSWORD.into()),
                certificate: None,
                authority: None,
            },
            cores: 1,
            tls_required: false,
            limits: Vec::new(),
            audit: Vec::new(),
            audit_directory: "audit".into(),
            files: Vec::new(),
            lines: Vec::new(),
            target_lines: Vec::new(),
            no_users: false,
        }
    }

    /// Cores to use.
    pub fn cores(mut self, cores: u32) -> Self {
        self.cores = cores;
        self
    }

    /// A line under `limits:`.
    pub fn limit(mut self, name: &'static str, value: &str) -> Self {
        self.limits.push((name, value.into()));
        self
    }

    /// A line under `audit:`.
    pub fn audit(mut self, line: &str) -> Self {
        self.audit.push(line.into());
        self
    }

    /// Where the audit log is, instead of `audit` in the gateway's folder.
    pub fn audit_directory(mut self, directory: &std::path::Path) -> Self {
        self.audit_directory = directory.display().to_string();
        self
    }

    /// One more file in its folder.
    pub fn file(mut self, name: &'static str, content: &str) -> Self {
        self.files.push((name, content.into()));
        self
    }

    /// A line at the top level.
    pub fn line(mut self, line: &str) -> Self {
        self.lines.push(line.into());
        self
    }

    /// A line under its target.
    pub fn target_line(mut self, line: &str) -> Self {
        self.target_lines.push(line.into());
        self
    }

    /// Nobody logs in by a users file.
    pub fn without_users(mut self) -> Self {
        self.no_users = true;
        self
    }

    /// Clients without TLS are refused.
    pub fn tls_required(mut self) -> Self {
        self.tls_required = true;
        self
    }

    /// TLS to the upstream, by this mode, trusting this authority.
    pub fn upstream_tls(mut self, tls: &'static str, host: &'static str, authority: &Authority) -> Self {
        (self.upstream.tls, self.upstream.host) = (tls, host);
        self.upstream.authority = Some(authority.certificate.clone());
        self
    }

    /// The upstream password; `None` for an account that needs none.
    pub fn upstream_password(mut self, password: Option<&str>) -> Self {
        self.upstream.password = password.map(Into::into);
        self
    }

    /// A client certificate for the upstream with this common name.
    pub fn upstream_certificate(mut self, name: &str) -> Self {
        self.upstream.certificate = Some(name.into());
        self
    }

    /// Starts it and waits until it accepts logins.
    #[track_caller]
    pub fn start(&self) -> Gateway {
        let gateway = self.launch();
        gateway.wait_ready();
        gateway
    }

    /// Starts it without waiting.
    pub fn launch(&self) -> Gateway {
        let folder = Folder::new("gateway");
        let (port, metrics) = (free_port(), free_port());
        let authority = Authority::shared();
        folder.write("server.crt", &authority.server.certificate);
        folder.write("server.key", &authority.server.key);
        folder.write("token.key", "0123456789abcdef0123456789abcdef");
        folder.write("policy.tgb", &self.bundle);
        for (name, content) in &self.files {
            let file = folder.write(name, content);
            fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
        }
        folder.write("users.yaml", users(USERS));
        folder.write("tidegate.yaml", self.configuration(&folder, port, metrics));
        let process = spawn(&folder, &[]);
        Gateway { port, metrics, target: self.target.clone(), folder, process: Mutex::new(process) }
    }

    fn configuration(&self, folder: &Folder, port: u16, metrics: u16) -> String {
        let upstream = &self.upstream;
        let mut target =
            vec![format!("address: \"{}:{}\"", upstream.host, upstream.port), format!("tls: {}", upstream.tls)];
        if let Some(password) = &upstream.password {
            folder.write("upstream.pw", password);
            target.push("password: { file: upstream.pw }".into());
        }
        if let Some(authority) = &upstream.authority {
            folder.write("upstream-ca.crt", authority);
            target.push("ca: upstream-ca.crt".into());
        }
        if let Some(name) = &upstream.certificate {
            let pair = Authority::shared().client(name);
            folder.write("upstream.crt", &pair.certificate);
            folder.write("upstream.key", &pair.key);
            target.push("client_certificate: upstream.crt\n    client_key: upstream.key".into());
        }
        target.extend(self.target_lines.iter().cloned());
        let waits = self.audit.iter().any(|line| line.starts_with("wait_max"));
        let mut text = format!(
            "listen: [\"127.0.0.1:{port}\"]\ncores: {}\nbundle: policy.tgb\n{}\
             tls:\n  certificate: server.crt\n  key: server.key\n  required: {}\n\
             audit:\n  directory: {}\n{}{}metrics: \"127.0.0.1:{metrics}\"\nkeys:\n  default: {{ file: token.key }}\n\
             targets:\n  {}:\n    {}\n",
            self.cores,
            if self.no_users { "" } else { "users: users.yaml\n" },
            self.tls_required,
            self.audit_directory,
            self.audit.iter().map(|line| format!("  {line}\n")).collect::<String>(),
            if waits { String::new() } else { format!("  wait_max: {}s\n", PATIENCE.as_secs()) },
            self.target,
            target.join("\n    ")
        );
        text.push_str("limits:\n");
        // The gateway is no less patient than its tests, where they do not choose: two hundred logins at once, or a disk that
        // others write to, take as long as the machine needs.
        if !self.limits.iter().any(|(name, _)| *name == "login_timeout") {
            text.push_str(&format!("  login_timeout: {}s\n", PATIENCE.as_secs()));
        }
        self.limits.iter().for_each(|(name, value)| text.push_str(&format!("  {name}: {value}\n")));
        self.lines.iter().for_each(|line| text.push_str(&format!("{line}\n")));
        // The whole suite runs on the driver that the environment names, but for what chooses one itself.
        if let Ok(driver) = std::env::var("TIDEGATE_TEST_DRIVER")
            && !self.lines.iter().any(|line| line.starts_with("driver:"))
        {
            text.push_str(&format!("driver: {driver}\n"));
        }
        text
    }
}

/// A users file.
pub fn users(list: &[(&str, &[&str])]) -> String {
    let verifier = postgres_protocol::password::scram_sha_256(PASSWORD.as_bytes());
    let mut text = "users:\n".to_owned();
    for (name, groups) in list {
        text.push_str(&format!(
            "  - name: {name}\n    verifier: \"{verifier}\"\n    groups: [{}]\n",
            groups.join(", ")
        ));
    }
    text
}

fn spawn(folder: &Folder, arguments: &[&str]) -> Guarded {
    let log = fs::File::options().create(true).append(true).open(folder.path().join("gateway.log")).unwrap();
    let mut command = Command::new(program("tidegate"));
    command
        .arg("serve")
        .arg("--config")
        .arg(folder.path().join("tidegate.yaml"))
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log);
    Guarded::start(&mut command, "KILL", folder.path())
}

/// A running gateway.
#[derive(Debug)]
pub struct Gateway {
    port: u16,
    metrics: u16,
    target: String,
    /// Its folder: configuration, users, audit log, its own log.
    pub folder: Folder,
    process: Mutex<Guarded>,
}

impl Gateway {
    /// The shared gateway whose rules allow everything, in front of database `plain` of the shared server.
    pub fn transparent() -> &'static Self {
        static SHARED: OnceLock<Gateway> = OnceLock::new();
        SHARED.get_or_init(|| Setup::new(Bundle::allow_all(), Postgres::shared()).start())
    }

    /// The shared gateway with the example rules, in front of the canary clinic of the shared server.
    pub fn clinic() -> &'static Self {
        static SHARED: OnceLock<Gateway> = OnceLock::new();
        SHARED.get_or_init(|| Setup::new(Bundle::clinic(), Postgres::shared()).start())
    }

    /// Where clients connect, as this user.
    pub fn endpoint(&self, user: &str) -> Endpoint {
        Endpoint {
            port: self.port,
            user: user.into(),
            password: PASSWORD.into(),
            database: self.target.clone(),
            sslmode: "disable",
        }
    }

    /// Waits until it says it is ready; panics with its log if it ends or takes too long.
    #[track_caller]
    pub fn wait_ready(&self) {
        wait_until("the gateway is ready", 2 * PATIENCE, || {
            if let Some(status) = self.process.lock().unwrap().ended() {
                panic!("the gateway ended with {status}:\n{}", self.log());
            }
            self.http("/healthz").is_some_and(|answer| answer.starts_with("HTTP/1.1 200"))
                && TcpStream::connect(("127.0.0.1", self.port)).is_ok()
        });
    }

    /// Port for clients.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Process id.
    pub fn id(&self) -> u32 {
        self.process.lock().unwrap().id()
    }

    /// Sends a signal by name.
    pub fn signal(&self, name: &str) {
        self.process.lock().unwrap().signal(name);
    }

    /// Kills it without warning and waits until it is gone.
    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap();
        process.signal("KILL");
        process.wait(PATIENCE).expect("SIGKILL ends a process");
    }

    /// Waits for its end.
    pub fn wait_end(&self, limit: Duration) -> Option<ExitStatus> {
        self.process.lock().unwrap().wait(limit)
    }

    /// Whether it still runs.
    pub fn alive(&self) -> bool {
        self.process.lock().unwrap().ended().is_none()
    }

    /// Starts it again on the same folder, after [`Self::kill`] or its own end.
    #[track_caller]
    pub fn restart(&self) {
        self.restart_with(&[]);
    }

    /// Starts it again with these arguments of `tidegate serve`.
    #[track_caller]
    pub fn restart_with(&self, arguments: &[&str]) {
        *self.process.lock().unwrap() = spawn(&self.folder, arguments);
        self.wait_ready();
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("gateway.log")).unwrap_or_default()).into_owned()
    }

    /// GET on the metrics listener; `None` when nobody answers.
    pub fn http(&self, path: &str) -> Option<String> {
        let mut socket = TcpStream::connect(("127.0.0.1", self.metrics)).ok()?;
        socket.set_read_timeout(Some(PATIENCE)).ok()?;
        write!(socket, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).ok()?;
        Some(String::from_utf8_lossy(&answer).into_owned())
    }

    /// Sum of all samples of a metric.
    pub fn metric(&self, name: &str) -> f64 {
        let page = self.http("/metrics").expect("the metrics page answers");
        let samples = page.lines().filter_map(|line| line.strip_prefix(name));
        let samples = samples.filter(|rest| rest.starts_with(['{', ' ']));
        samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }

    /// Runs `tidegate` with these arguments in the gateway's folder.
    pub fn tidegate(&self, arguments: &[&str]) -> Finished {
        let mut command = Command::new(program("tidegate"));
        command.args(arguments).current_dir(self.folder.path());
        run(&mut command, b"", 2 * PATIENCE)
    }

    /// The audit log as JSON lines, decoded.
    #[track_caller]
    pub fn records(&self) -> Vec<serde_json::Value> {
        let show = || self.tidegate(&["audit", "show", "--json", "audit"]);
        let mut shown = show();
        // The end of a log that is being written can be a block that is not there yet; its writer may stand still meanwhile.
        let began = Instant::now();
        while shown.code != 0 && self.alive() && began.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(50));
            shown = show();
        }
        let shown = shown.success().text();
        shown.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect()
    }
}
