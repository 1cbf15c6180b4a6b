//! The gateway program under load: rules compiled by the real compiler, users added by the real command, then `serve`.
//!
//! Users differ in what is masked for them when they read `people`: nothing, two columns of eight, six, six and the note
//! scanned. Nothing here imports the gateway's crates: what is measured is what an operator runs.

use std::{
    fmt::{self, Write as _},
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    failure::{Doing, Result, Stop},
    folder::Folder,
    pki::Pki,
    postgres::{self, Postgres},
    process::{self, Account, Server},
    wire::{Client, Login},
};

/// What statements and answers wait for, as in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Audit {
    /// When its record is in memory.
    Async,
    /// When its record is durable.
    Strict,
    /// A statement for its intent, an answer for nothing.
    Intent,
    /// Nothing is recorded.
    Off,
}

impl Audit {
    const fn word(self) -> &'static str {
        match self {
            Self::Async => "async",
            Self::Strict => "strict",
            Self::Intent => "intent",
            Self::Off => "off",
        }
    }
}

/// What is recorded of what clients are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Recording {
    /// Nothing.
    None,
    /// All, encrypted.
    Rows,
    /// The same, compressed too.
    Zstd,
    /// All, not encrypted.
    Plain,
}

impl Recording {
    /// As the configuration says it.
    const fn words(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Rows => Some("mode: rows, compress: false, cap_bytes: 1000GiB"),
            Self::Zstd => Some("mode: rows, compress: true, cap_bytes: 1000GiB"),
            Self::Plain => Some("mode: rows, compress: false, cap_bytes: 1000GiB, unencrypted: true"),
        }
    }
}

/// Which driver the gateway runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Driver {
    /// The one on io_uring itself.
    Uring,
    /// The one on glommio.
    Glommio,
}

impl Driver {
    /// As on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Uring => "uring",
            Self::Glommio => "glommio",
        }
    }
}

/// A gateway, among those that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Variant {
    /// Audit mode.
    pub audit: Audit,
    /// Recordings.
    pub recording: Recording,
    /// The driver, where it is not the gateway's own default.
    pub driver: Option<Driver>,
    /// Connections to the database outlive their sessions, as a pooler's do.
    pub reuse: bool,
    /// Executors.
    pub cores: usize,
}

impl Variant {
    /// Audit async, nothing recorded, one executor, as the peers have one thread.
    pub const USUAL: Self =
        Self { audit: Audit::Async, recording: Recording::None, driver: None, reuse: false, cores: 1 };

    /// Reads a name such as `gateway-strict-uring-2cores`.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        let mut variant = Self::USUAL;
        let mut words = name.split('-');
        if words.next() != Some("gateway") {
            return None;
        }
        for word in words {
            match word {
                "strict" => variant.audit = Audit::Strict,
                "intent" => variant.audit = Audit::Intent,
                "off" => variant.audit = Audit::Off,
                "recorded" => variant.recording = Recording::Rows,
                "zstd" if variant.recording != Recording::None => variant.recording = Recording::Zstd,
                "plain" if variant.recording != Recording::None => variant.recording = Recording::Plain,
                "reuse" => variant.reuse = true,
                "uring" => variant.driver = Some(Driver::Uring),
                "glommio" => variant.driver = Some(Driver::Glommio),
                _ => {
                    variant.cores =
                        word.strip_suffix("cores")?.parse().ok().filter(|cores| (1..=1024).contains(cores))?
                }
            }
        }
        Some(variant)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("gateway")?;
        if self.audit != Audit::Async {
            write!(f, "-{}", self.audit.word())?;
        }
        f.write_str(match self.recording {
            Recording::None => "",
            Recording::Rows => "-recorded",
            Recording::Zstd => "-recorded-zstd",
            Recording::Plain => "-recorded-plain",
        })?;
        if let Some(driver) = self.driver {
            write!(f, "-{}", driver.name())?;
        }
        if self.reuse {
            f.write_str("-reuse")?;
        }
        match self.cores {
            1 => Ok(()),
            cores => write!(f, "-{cores}cores"),
        }
    }
}

/// Who reads, and so what is masked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum User {
    /// Sees everything.
    Clear,
    /// Two columns of eight are masked.
    Two,
    /// Six are.
    Six,
    /// Six are, and the note is scanned: for eight classes in `people`, for all there are in `people_library`.
    Note,
}

/// All users.
pub const USERS: &[User] = &[User::Clear, User::Two, User::Six, User::Note];

impl User {
    /// The name to log in with.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Clear => "clear",
            Self::Two => "two",
            Self::Six => "six",
            Self::Note => "note",
        }
    }

    /// Columns that are masked for this user, by their place.
    #[must_use]
    pub const fn masked(self) -> &'static [usize] {
        match self {
            Self::Clear => &[],
            Self::Two => &[2, 3],
            Self::Six | Self::Note => &[1, 2, 3, 4, 5, 6],
        }
    }
}

/// The programs.
#[derive(Clone, Debug)]
pub struct Programs {
    /// `tidegate`.
    pub gateway: PathBuf,
    /// `policy-compiler`.
    pub compiler: PathBuf,
}

impl Programs {
    /// Those in `folder`, or beside the harness; built there if they are missing or older than the harness was started for.
    ///
    /// # Errors
    /// They cannot be built.
    pub fn ready(folder: Option<&Path>) -> Result<Self> {
        if let Some(folder) = folder {
            let programs = Self { gateway: folder.join("tidegate"), compiler: folder.join("policy-compiler") };
            for program in [&programs.gateway, &programs.compiler] {
                if !program.is_file() {
                    return Err(format!("there is no {}", program.display()).into());
                }
            }
            return Ok(programs);
        }
        let own = std::env::current_exe().doing("find this program")?;
        let folder = own.parent().ok_or("this program is in no folder")?;
        // `target/release/bench`: cargo names the folder after the profile, `dev` excepted.
        let release = folder.file_name().is_some_and(|name| name == "release");
        let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        cargo.args(["build", "-p", "tidegate", "-p", "policy-compiler", "--manifest-path"]);
        cargo.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml"));
        if release {
            cargo.arg("--release");
        } else {
            eprintln!("warning: this is not a release build; figures will mean nothing (add --release)");
        }
        if let Some(target) = folder.parent() {
            cargo.arg("--target-dir").arg(target);
        }
        let built = cargo.stdin(Stdio::null()).status().doing("run cargo")?;
        if !built.success() {
            return Err("the gateway and the compiler do not build".into());
        }
        Self::ready(Some(folder))
    }
}

impl Programs {
    /// The gateway can be told its driver.
    #[must_use]
    pub fn has_drivers(&self) -> bool {
        let help = Command::new(&self.gateway).args(["serve", "--help"]).stdin(Stdio::null()).output();
        help.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("--driver"))
    }
}

/// Rules and users, which all gateways of a run share.
#[derive(Debug)]
pub struct Policy {
    home: PathBuf,
}

impl Policy {
    /// Compiles the rules against `database` and adds the users.
    ///
    /// # Errors
    /// The gateway's own programs say why.
    pub fn new(folder: &Folder, programs: &Programs, database: &Postgres, stop: &Stop) -> Result<Self> {
        let home = folder.sub("policy", None)?;
        write(&home.join("rules.yaml"), &rules(database.login.address.port()))?;
        write(&home.join("password"), postgres::PASSWORD)?;
        compile(programs, &home, stop)?;
        for user in USERS {
            let mut add = process::command(&programs.gateway, Account::Own, "TERM")?;
            add.current_dir(&home).args(["user", "add", user.name(), "--groups", user.name(), "--users", "users.yaml"]);
            add.args(["--password-file", "password"]);
            process::run("add a user", add, stop, Duration::from_secs(30))?;
        }
        Ok(Self { home })
    }
}

/// The running gateway.
#[derive(Debug)]
pub struct Gateway {
    logins: Vec<Login>,
    /// Its process.
    pub server: Server,
}

/// How to start one.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Name of its folder.
    pub name: &'a str,
    /// Which.
    pub variant: Variant,
    /// The database.
    pub upstream: SocketAddr,
    /// Room for this many sessions.
    pub sessions: usize,
    /// With TLS for clients.
    pub tls: Option<&'a Pki>,
}

impl Gateway {
    /// Starts one.
    ///
    /// # Errors
    /// It does not come up; the message carries the end of its log.
    pub fn start(folder: &Folder, programs: &Programs, policy: &Policy, setup: Setup<'_>, stop: &Stop) -> Result<Self> {
        let home = folder.sub(setup.name, None)?;
        let mut audit = "directory: audit".to_owned();
        if let Some(recordings) = setup.variant.recording.words() {
            let _infallible = write!(audit, ", recordings: {{ {recordings} }}");
            if setup.variant.recording != Recording::Plain {
                let mut keys = process::command(&programs.gateway, Account::Own, "TERM")?;
                keys.current_dir(&home).args(["keys", "new", "bench", "-o", "audit.key"]);
                process::run("make a key", keys, stop, Duration::from_secs(30))?;
                audit.push_str(", recipients: audit.key.pub");
            }
        }
        let port = postgres::free_port()?;
        write(&home.join("tidegate.yaml"), &configuration(&policy.home, setup, port, &audit))?;
        let mut command = process::command(&programs.gateway, Account::Own, "TERM")?;
        command.current_dir(&home).args(["serve", "--config", "tidegate.yaml"]);
        if let Some(driver) = setup.variant.driver {
            command.args(["--driver", driver.name()]);
        }
        let log = folder.path().join(format!("{}.log", setup.name));
        let mut server = Server::start("tidegate", command, &log, Signal::TERM)?;
        let logins: Vec<Login> = USERS
            .iter()
            .map(|user| {
                let login = Login::new(postgres::loopback(port), user.name(), postgres::PASSWORD, postgres::DATABASE);
                match setup.tls {
                    Some(pki) => login.secured(&pki.client),
                    None => login,
                }
            })
            .collect();
        server.wait_ready(stop, Duration::from_secs(20), || Client::login(&logins[0]).map(drop))?;
        Ok(Self { logins, server })
    }

    /// How to log in as somebody.
    #[must_use]
    pub fn login(&self, user: User) -> &Login {
        &self.logins[USERS.iter().position(|other| *other == user).unwrap_or(0)]
    }
}

fn configuration(policy: &Path, setup: Setup<'_>, port: u16, audit: &str) -> String {
    let tls = setup.tls.map_or_else(String::new, |pki| {
        let (certificate, key) = (pki.certificate.display(), pki.key.display());
        format!("tls: {{ certificate: {certificate}, key: {key}, required: true }}\n")
    });
    let reuse = if setup.variant.reuse { "    reuse: { idle: 60s }\n" } else { "" };
    format!(
        "listen: [\"127.0.0.1:{port}\"]\ncores: {cores}\nbundle: {policy}/policy.tgb\nusers: {policy}/users.yaml\n{tls}\
         audit: {{ {audit} }}\ncatalog_refresh: 1h\n\
         targets:\n  {target}:\n    password: {{ file: {policy}/password }}\n    address: {upstream}\n    audit: {mode}\n{reuse}\
         limits: {{ sessions: {room}, sessions_per_user: {room} }}\nlog: {{ format: text, level: warn }}\n",
        cores = setup.variant.cores,
        policy = policy.display(),
        target = postgres::DATABASE,
        upstream = setup.upstream,
        mode = setup.variant.audit.word(),
        room = setup.sessions + 50
    )
}

fn compile(programs: &Programs, home: &Path, stop: &Stop) -> Result<()> {
    let mut snapshot = process::command(&programs.compiler, Account::Own, "TERM")?;
    snapshot.current_dir(home).env("PGPASSWORD", postgres::PASSWORD);
    snapshot.args(["snapshot", "rules.yaml", "--target", postgres::DATABASE, "-o", "catalog.json"]);
    process::run("take a snapshot of the catalog", snapshot, stop, Duration::from_secs(60))?;
    let mut compile = process::command(&programs.compiler, Account::Own, "TERM")?;
    compile.current_dir(home).args(["compile", "rules.yaml", "--catalog", "catalog.json", "-o", "policy.tgb"]);
    process::run("compile the rules", compile, stop, Duration::from_secs(60))?;
    Ok(())
}

fn rules(port: u16) -> String {
    format!(
        "version: 1
targets:
  {target}:
    address: 127.0.0.1:{port}
    tls: disable
    account: {user}
    audit: strict
classes:
  person: {{columns: [\"*.people*.name\"]}}
  ssn: {{columns: [\"*.people*.ssn\"]}}
  email: {{columns: [\"*.people*.email\"]}}
  phone: {{columns: [\"*.people*.phone\"]}}
  born: {{columns: [\"*.people*.born\"]}}
  city: {{columns: [\"*.people*.city\"]}}
  note:
    columns: [\"*.people.note\"]
    scan: [ssn, phone, email, card, mrn, date, ip, url]
  note-library:
    columns: [\"*.people_library.note\"]
    scan: [ssn, mrn, phone, email, card, date, age, ip, url, zip, plan, address, npi, dea, mbi, account, iban, vin, plate, device, mac, license, code]
roles:
  clear: {{groups: [clear], targets: [{target}], default: clear, redact: clear}}
  two:
    groups: [two]
    targets: [{target}]
    default: clear
    redact: {{ \"*\": clear, ssn: keep-last 4, email: fill }}
  six:
    groups: [six]
    targets: [{target}]
    default: clear
    redact: {{ \"*\": clear, person: fill, ssn: keep-last 4, email: fill, phone: fill, born: fill, city: fill }}
  note:
    groups: [note]
    targets: [{target}]
    default: clear
    redact: {{ \"*\": fill, ssn: keep-last 4 }}
",
        target = postgres::DATABASE,
        user = postgres::USER,
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).doing(format!("write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_gateway() {
        for name in ["gateway", "gateway-strict", "gateway-off-uring", "gateway-recorded-zstd-glommio-reuse-2cores"] {
            assert_eq!(Variant::parse(name).unwrap().to_string(), name);
        }
        assert_eq!(Variant::parse("gateway-2cores-strict").unwrap().to_string(), "gateway-strict-2cores");
        for wrong in ["gate", "gateway-", "gateway-zstd", "gateway-0cores", "gateway-xcores", "pgbouncer"] {
            assert_eq!(Variant::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_configuration_is_that_of_the_variant() {
        let variant = Variant { audit: Audit::Intent, reuse: true, cores: 3, ..Variant::USUAL };
        let upstream = postgres::loopback(5432);
        let setup = Setup { name: "x", variant, upstream, sessions: 10, tls: None };
        let text = configuration(Path::new("/policy"), setup, 6432, "directory: audit");
        for part in [
            "cores: 3\n",
            "    reuse: { idle: 60s }\n",
            "audit: intent\n",
            "address: 127.0.0.1:5432\n",
            "127.0.0.1:6432",
            "sessions: 60",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("tls"));
    }
}
