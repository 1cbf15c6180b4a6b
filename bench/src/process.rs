//! Child processes: servers that are stopped by their id when their value goes, and commands under a deadline.
//!
//! Every child is started through `setpriv --pdeathsig`, so that it also ends when the harness is killed outright, and in a
//! process group of its own, so that Ctrl-C reaches the harness alone, which then stops them in order. (One that is being started in
//! the very moment in which the harness is killed outright stays: it says too late what it wants to be told.)

use std::{
    fs::{self, File},
    io::Read,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::failure::{Doing, Failure, Result, Stop};

/// Runs as this account where the harness is root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Account {
    /// Whoever runs the harness.
    Own,
    /// `postgres`, if the harness is root.
    Postgres,
}

impl Account {
    /// User and group id to give files to; `None` if they are ours already.
    ///
    /// # Errors
    /// There is no such account.
    pub fn ids(self) -> Result<Option<(u32, u32)>> {
        if self == Self::Own || !rustix::process::getuid().is_root() {
            return Ok(None);
        }
        let passwd = fs::read_to_string("/etc/passwd").doing("read /etc/passwd")?;
        for line in passwd.lines() {
            let fields: Vec<&str> = line.split(':').collect();
            if let ["postgres", _, uid, gid, ..] = fields.as_slice()
                && let (Ok(uid), Ok(gid)) = (uid.parse(), gid.parse())
            {
                return Ok(Some((uid, gid)));
            }
        }
        Err("this is root and there is no account `postgres` to run the database as".into())
    }
}

/// A command to be started as `account`; `at_death` is the signal it gets if the harness dies.
///
/// # Errors
/// There is no such account.
pub fn command(program: &Path, account: Account, at_death: &str) -> Result<Command> {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", at_death]);
    if account.ids()?.is_some() {
        command.args(["--reuid", "postgres", "--regid", "postgres", "--clear-groups"]);
    }
    command.arg(program).stdin(Stdio::null()).process_group(0);
    Ok(command)
}

/// A server.
#[derive(Debug)]
pub struct Server {
    name: String,
    child: Child,
    log: PathBuf,
    signal: Signal,
}

impl Server {
    /// Starts it, with its output in `log`; `signal` stops it.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, mut command: Command, log: &Path, signal: Signal) -> Result<Self> {
        let out = File::create(log).doing(format!("write {}", log.display()))?;
        let err = out.try_clone().doing("share the log file")?;
        let child = command.stdout(out).stderr(err).spawn().doing(format!("start {name}"))?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned(), signal })
    }

    /// Its process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Waits until `ready` says so.
    ///
    /// # Errors
    /// It ended, or was not ready in time; the message carries the end of its log.
    pub fn wait_ready(&mut self, stop: &Stop, limit: Duration, mut ready: impl FnMut() -> Result<()>) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            stop.check()?;
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(format!("{} ended with {status}:\n{}", self.name, tail(&self.log)).into());
            }
            match ready() {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    return Err(format!("{} did not come up: {error}\n{}", self.name, tail(&self.log)).into());
                }
                Err(_) => thread::sleep(Duration::from_millis(50)),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) else { return };
        let _gone = kill_process(pid, self.signal);
        let deadline = Instant::now() + Duration::from_secs(10);
        while Instant::now() < deadline {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
        eprintln!("{} did not stop in 10 s and is killed", self.name);
        let _killed = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Runs a command to its end and returns what it printed.
///
/// # Errors
/// It failed, took longer than `limit`, or the harness was interrupted.
pub fn run(what: &str, mut command: Command, stop: &Stop, limit: Duration) -> Result<String> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().doing(what)?;
    // Pipes are drained on threads of their own: a child that prints much must not wait for us.
    let mut out = child.stdout.take().ok_or("no standard output")?;
    let mut err = child.stderr.take().ok_or("no standard error")?;
    let out = thread::spawn(move || read_all(&mut out));
    let err = thread::spawn(move || read_all(&mut err));
    let ended = wait(&mut child, stop, limit);
    let out = out.join().unwrap_or_default();
    let err = err.join().unwrap_or_default();
    match ended? {
        true => Ok(out),
        false => Err(format!("cannot {what}:\n{}{}", last_lines(&out), last_lines(&err)).into()),
    }
}

/// Waits for a child under a deadline, and kills it past that. Says whether it succeeded.
///
/// # Errors
/// Out of time, or interrupted.
pub fn wait(child: &mut Child, stop: &Stop, limit: Duration) -> Result<bool> {
    let deadline = Instant::now() + limit;
    let why = loop {
        match child.try_wait().doing("wait for a child")? {
            Some(status) => return Ok(status.success()),
            None if stop.asked() => break Failure::Interrupted,
            None if Instant::now() > deadline => break Failure::Message(format!("it took longer than {limit:?}")),
            None => thread::sleep(Duration::from_millis(5)),
        }
    };
    let _killed = child.kill();
    let _reaped = child.wait();
    Err(why)
}

/// Sends SIGINT to a child of ours.
pub fn interrupt(child: &Child) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        let _gone = kill_process(pid, Signal::INT);
    }
}

/// Finds a program in `PATH` and in `extra` folders.
///
/// # Errors
/// It is not there; the message says which Debian package has it.
pub fn find(name: &str, package: &str, extra: &[&str]) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    extra
        .iter()
        .map(PathBuf::from)
        .chain(std::env::split_paths(&path))
        .chain([PathBuf::from("/usr/sbin")])
        .map(|folder| folder.join(name))
        .find(|file| file.is_file())
        .ok_or_else(|| format!("`{name}` is not installed (Debian package {package})").into())
}

fn read_all(from: &mut impl Read) -> String {
    let mut bytes = Vec::new();
    let _partial = from.read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn tail(log: &Path) -> String {
    last_lines(&fs::read_to_string(log).unwrap_or_default())
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(15)..].iter().map(|line| format!("  {line}\n")).collect()
}
