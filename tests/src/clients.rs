//! Real clients, run as their users run them: psql, pgbench, Python (psycopg 3, asyncpg), Java (JDBC), Node (pg).
//!
//! Python and Node packages live in a cache under Cargo's target folder, filled once by `tools/clients.sh`. A client that is
//! missing fails the test with the command that installs it; no test is skipped.

use crate::{
    endpoint::Endpoint,
    process::{Finished, run},
    programs::{target, tree},
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
    time::Duration,
};

/// How long a client may take.
pub const LIMIT: Duration = Duration::from_secs(120);

/// psql, isolated from the user's settings.
pub fn psql_program() -> Command {
    let mut command = Command::new("psql");
    command
        .env_clear()
        .env("PATH", path())
        .env("PSQL_HISTORY", "/dev/null")
        .env("LC_ALL", "C.UTF-8")
        .env("PGTZ", "UTC");
    command
}

fn path() -> std::ffi::OsString {
    std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into())
}

fn client(program: impl AsRef<std::ffi::OsStr>, endpoint: &Endpoint) -> Command {
    let mut command = Command::new(program);
    command.envs(endpoint.variables()).env("LC_ALL", "C.UTF-8");
    command
}

/// Runs a psql script with these arguments.
#[track_caller]
pub fn psql(endpoint: &Endpoint, arguments: &[&str], script: &str) -> Finished {
    let mut command = psql_program();
    command.envs(endpoint.variables()).arg("-X").args(arguments);
    run(&mut command, script.as_bytes(), LIMIT)
}

/// Runs one statement: rows unaligned, `|` between columns.
#[track_caller]
pub fn rows(endpoint: &Endpoint, sql: &str) -> Finished {
    psql(endpoint, &["-A", "-t", "-v", "VERBOSITY=verbose", "-c", sql], "")
}

/// Runs pgbench.
#[track_caller]
pub fn pgbench(endpoint: &Endpoint, arguments: &[&str]) -> Finished {
    run(client("pgbench", endpoint).args(arguments), b"", LIMIT)
}

/// Runs a Python program of `tests/clients` against an endpoint.
#[track_caller]
pub fn python(endpoint: &Endpoint, program: &str, arguments: &[&str]) -> Finished {
    let mut command = client(packages().join("venv/bin/python"), endpoint);
    run(command.arg(source(program)).args(arguments).env("PYTHONHASHSEED", "0"), b"", LIMIT)
}

/// The tests' Python with its drivers, told where to connect; what it runs is the caller's.
pub fn python_program(endpoint: &Endpoint) -> Command {
    let mut command = client(packages().join("venv/bin/python"), endpoint);
    command.env("PYTHONHASHSEED", "0");
    command
}

/// Runs a Node program of `tests/clients` against an endpoint.
#[track_caller]
pub fn node(endpoint: &Endpoint, program: &str, arguments: &[&str]) -> Finished {
    let modules = packages().join("node/node_modules");
    run(client("node", endpoint).arg(source(program)).args(arguments).env("NODE_PATH", modules), b"", LIMIT)
}

/// Runs a Java program of `tests/clients` against an endpoint.
#[track_caller]
pub fn java(endpoint: &Endpoint, program: &str, arguments: &[&str]) -> Finished {
    let driver = "/usr/share/java/postgresql.jar";
    assert!(
        Path::new(driver).exists(),
        "the JDBC driver is missing: apt-get install libpostgresql-jdbc-java, or run ./test"
    );
    let classes = classes(program, driver);
    let mut command = client("java", endpoint);
    command.args(["-XX:TieredStopAtLevel=1", "-Xshare:auto", "-cp"]).arg(format!("{}:{driver}", classes.display()));
    run(command.arg(program.trim_end_matches(".java")).args(arguments), b"", LIMIT)
}

/// Compiles a Java program once per version of its source.
fn classes(program: &str, driver: &str) -> PathBuf {
    use sha2::Digest;
    let text = fs::read(source(program)).unwrap();
    let digest: String = sha2::Sha256::digest(&text).iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let folder = target().join("test-clients/java").join(digest);
    static COMPILING: std::sync::Mutex<()> = std::sync::Mutex::new(());
    let guard = COMPILING.lock();
    if !folder.join("done").exists() {
        fs::create_dir_all(&folder).unwrap();
        let mut javac = Command::new("javac");
        javac.args(["-cp", driver, "-d"]).arg(&folder).arg(source(program));
        run(&mut javac, b"", LIMIT).success();
        fs::write(folder.join("done"), "").unwrap();
    }
    drop(guard);
    folder
}

fn source(program: &str) -> PathBuf {
    tree().join("tests/clients").join(program)
}

/// The cache of Python and Node packages.
fn packages() -> &'static Path {
    static PACKAGES: OnceLock<PathBuf> = OnceLock::new();
    PACKAGES.get_or_init(|| {
        let folder = target().join("test-clients");
        let mut script = Command::new("sh");
        script.arg(tree().join("tools/clients.sh")).arg(&folder);
        run(&mut script, b"", Duration::from_secs(600)).success();
        folder
    })
}
