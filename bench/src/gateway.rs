//! The gateway program under load: rules compiled by the real compiler, users added by the real command, then `serve`.
//!
//! Two users: `masked` may read everything but two columns of `people`, which are redacted; `clear` sees all. Nothing here
//! imports the gateway's crates: what is measured is what an operator runs.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    failure::{Doing, Result, Stop},
    folder::Folder,
    postgres::{self, Postgres},
    process::{self, Account, Server},
    wire::{Client, Login},
};

/// What statements and answers wait for, as in the configuration file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        cargo.args(["build", "-p", "tidegate", "-p", "policy-compiler"]);
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

/// The running gateway.
#[derive(Debug)]
pub struct Gateway {
    /// The user two of whose columns are masked.
    pub masked: Login,
    /// The user who sees everything.
    pub clear: Login,
    /// Its process.
    pub server: Server,
}

/// How to start one.
#[derive(Clone, Copy, Debug)]
pub struct Setup<'a> {
    /// Name of its folder.
    pub name: &'a str,
    /// Audit mode.
    pub audit: Audit,
    /// Executors; `None` is the gateway's own default.
    pub cores: Option<usize>,
    /// Room for this many sessions.
    pub sessions: usize,
    /// What it records, as the configuration says it; with recipients unless that says that there need be none.
    pub recordings: Option<&'a str>,
}

impl Gateway {
    /// Starts one in front of `database`.
    ///
    /// # Errors
    /// It does not come up; the message carries the end of its log.
    pub fn start(
        folder: &Folder,
        programs: &Programs,
        database: &Postgres,
        setup: Setup<'_>,
        stop: &Stop,
    ) -> Result<Self> {
        let home = folder.sub(setup.name, None)?;
        let upstream = database.login.address;
        write(&home.join("rules.yaml"), &rules(upstream.port()))?;
        compile(programs, &home, stop)?;
        for (user, group) in [("masked", "analysts"), ("clear", "privacy")] {
            let secret = home.join("password");
            write(&secret, postgres::PASSWORD)?;
            let mut add = process::command(&programs.gateway, Account::Own, "TERM")?;
            add.current_dir(&home).args(["user", "add", user, "--groups", group, "--users", "users.yaml"]);
            add.args(["--password-file", "password"]);
            process::run("add a user", add, stop, Duration::from_secs(30))?;
        }
        let mut audit = "directory: audit".to_owned();
        if let Some(recordings) = setup.recordings {
            audit.push_str(&format!(", recordings: {{ {recordings} }}"));
            if !recordings.contains("unencrypted") {
                let mut keys = process::command(&programs.gateway, Account::Own, "TERM")?;
                keys.current_dir(&home).args(["keys", "new", "bench", "-o", "audit.key"]);
                process::run("make a key", keys, stop, Duration::from_secs(30))?;
                audit.push_str(", recipients: audit.key.pub");
            }
        }
        let port = postgres::free_port()?;
        let cores = setup.cores.map_or_else(String::new, |cores| format!("cores: {cores}\n"));
        write(
            &home.join("tidegate.yaml"),
            &format!(
                "listen: [\"127.0.0.1:{port}\"]\n{cores}bundle: policy.tgb\nusers: users.yaml\n\
                 audit: {{ {audit} }}\n\
                 targets:\n  {target}:\n    password: {{ file: password }}\n    audit: {mode}\n\
                 limits: {{ sessions: {room}, sessions_per_user: {room} }}\nlog: {{ format: text, level: warn }}\n",
                target = postgres::DATABASE,
                mode = setup.audit.word(),
                room = setup.sessions + 50
            ),
        )?;
        let mut command = process::command(&programs.gateway, Account::Own, "TERM")?;
        command.current_dir(&home).args(["serve", "--config", "tidegate.yaml"]);
        let log = folder.path().join(format!("{}.log", setup.name));
        let mut server = Server::start("tidegate", command, &log, Signal::TERM)?;
        let login = |user: &str| Login {
            address: postgres::loopback(port),
            user: user.to_owned(),
            password: postgres::PASSWORD.to_owned(),
            database: postgres::DATABASE.to_owned(),
        };
        let (masked, clear) = (login("masked"), login("clear"));
        server.wait_ready(stop, Duration::from_secs(20), || Client::login(&masked).map(drop))?;
        Ok(Self { masked, clear, server })
    }
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
  ssn:
    columns: [\"*.people.ssn\"]
  email:
    columns: [\"*.people.email\"]
roles:
  privacy:
    groups: [privacy]
    targets: [{target}]
    default: clear
    redact: {{ \"*\": clear }}
  analyst:
    groups: [analysts]
    targets: [{target}]
    default: clear
    redact: {{ ssn: keep-last 4, email: fill }}
",
        target = postgres::DATABASE,
        user = postgres::USER,
    )
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).doing(format!("write {}", path.display()))
}
