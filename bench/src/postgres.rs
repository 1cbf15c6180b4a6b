//! A throw-away PostgreSQL with the tables the work reads.
//!
//! It listens on loopback with a password, without TLS and without fsync: the harness compares ways to reach it, not disks.
//! `people` has eight columns of about 350 bytes together and is made by the server itself; none of it is real. One note in
//! twenty holds something that a scan finds. `people_library` is the same, for other rules.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::process::Signal;

use crate::{
    failure::{Doing, Result, Stop},
    folder::Folder,
    process::{self, Account, Server},
    wire::{Client, Format, Login},
};

/// Account of every test user.
pub const USER: &str = "bench";
/// Its password.
pub const PASSWORD: &str = "load-harness-password";
/// Sessions the server takes: those of the work, and those that the pools of all peers keep.
const CONNECTIONS: usize = 3_000;
/// Database.
pub const DATABASE: &str = "bench";
/// Debian's folder of the server's programs of the version that the gateway is developed against; `PATH` is looked at as well.
const PROGRAMS: &[&str] = &["/usr/lib/postgresql/15/bin"];
/// Programs of the server that are run.
const NEEDED: [&str; 3] = ["initdb", "postgres", "pgbench"];

/// How much data.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Rows of `people`.
    pub people: u64,
    /// pgbench's scale factor.
    pub scale: u32,
}

/// The running server.
#[derive(Debug)]
pub struct Postgres {
    /// How to reach it.
    pub login: Login,
    /// What it says it is.
    pub version: String,
    /// What it keeps instead of the password.
    pub verifier: String,
    _server: Server,
}

/// A program of the server.
///
/// # Errors
/// It is not installed; the message says where it is from.
fn program(name: &str) -> Result<PathBuf> {
    process::find(name, "postgresql-15", PROGRAMS)
}

/// Whether a server can be started here.
///
/// # Errors
/// What is missing.
pub fn is_installed() -> Result<()> {
    NEEDED.iter().try_for_each(|name| program(name).map(drop))
}

/// A port nobody uses.
///
/// # Errors
/// There is none.
pub fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).doing("find a free port")?;
    Ok(listener.local_addr().doing("find a free port")?.port())
}

/// Loopback at a port.
#[must_use]
pub fn loopback(port: u16) -> SocketAddr {
    (Ipv4Addr::LOCALHOST, port).into()
}

impl Postgres {
    /// Makes a cluster in `folder`, starts it and fills it.
    ///
    /// # Errors
    /// PostgreSQL is not installed or does not start.
    pub fn start(folder: &Folder, size: Size, stop: &Stop) -> Result<Self> {
        let home = folder.sub("postgres", Account::Postgres.ids()?)?;
        let data = home.join("data");
        initialise(&home, &data, stop)?;
        let port = free_port()?;
        let mut command = process::command(&program("postgres")?, Account::Postgres, "INT")?;
        command.current_dir(&home).arg("-D").arg(&data).args(["-p", &port.to_string()]);
        command.args(["-k", &home.display().to_string()]);
        let mut server = Server::start("postgres", command, &folder.path().join("postgres.log"), Signal::INT)?;
        let login = Login::new(loopback(port), USER, PASSWORD, "postgres");
        server.wait_ready(stop, Duration::from_secs(60), || Client::login(&login).map(drop))?;
        let version = fill(&login, size, stop)?;
        let mut client = Client::login(&login)?;
        let verifier = one(&mut client, &format!("select rolpassword from pg_authid where rolname = '{USER}'"))?;
        Ok(Self { login: login.on(DATABASE), version, verifier, _server: server })
    }

    /// Sessions that are open, that of the question included.
    ///
    /// # Errors
    /// The database.
    pub fn sessions(&self) -> Result<u64> {
        let mut client = Client::login(&self.login)?;
        one(&mut client, "select count(*) from pg_stat_activity where backend_type = 'client backend'")?
            .parse()
            .doing("count sessions")
    }

    /// Waits until no more than so many sessions are open, so that one measurement's are not in the next.
    ///
    /// # Errors
    /// They do not go away.
    pub fn wait_for_sessions(&self, most: u64, stop: &Stop) -> Result<()> {
        for _ in 0..600 {
            stop.check()?;
            if self.sessions()? <= most {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        Err("sessions of an earlier measurement stayed on the database".into())
    }
}

fn initialise(home: &Path, data: &Path, stop: &Stop) -> Result<()> {
    let secret = home.join("password");
    fs::write(&secret, PASSWORD).doing("write the password file")?;
    if let Some((uid, gid)) = Account::Postgres.ids()? {
        std::os::unix::fs::chown(&secret, Some(uid), Some(gid)).doing("give the password file away")?;
    }
    let mut command = process::command(&program("initdb")?, Account::Postgres, "TERM")?;
    command.current_dir(home).arg("-D").arg(data).arg(format!("--pwfile={}", secret.display()));
    command.args(["-U", USER, "-A", "scram-sha-256", "--no-locale", "-E", "UTF8", "--no-sync"]);
    process::run("make a PostgreSQL cluster", command, stop, Duration::from_secs(120))?;
    let path = data.join("postgresql.conf");
    let mut text = fs::read_to_string(&path).doing("read postgresql.conf")?;
    text.push_str(&format!(
        "listen_addresses = '127.0.0.1'\nmax_connections = {CONNECTIONS}\nshared_buffers = '768MB'\nfsync = off\n\
         synchronous_commit = off\nfull_page_writes = off\nautovacuum = off\nssl = off\njit = off\n\
         max_parallel_workers_per_gather = 0\nmax_wal_size = '4GB'\ncheckpoint_timeout = '1h'\n"
    ));
    fs::write(&path, text).doing("write postgresql.conf")
}

fn fill(login: &Login, size: Size, stop: &Stop) -> Result<String> {
    let mut client = Client::login(login)?;
    client.run(&format!("create database {DATABASE}"), Format::Text)?;
    let version = one(&mut client, "show server_version")?;
    let login = login.on(DATABASE);
    let mut client = Client::login(&login)?;
    stop.check()?;
    client.run(
        "create unlogged table people (id integer, name text, ssn text, email text, phone text, born text, \
         city text, note text)",
        Format::Text,
    )?;
    client.run(
        &format!(
            "insert into people select g, 'Person Number ' || g, \
             to_char(g % 899 + 1, 'FM000') || '-' || to_char(g % 97 + 1, 'FM00') || '-' || to_char(g % 9973 + 1, 'FM0000'), \
             'person.' || g || '@mail.example.org', '555-' || to_char(g % 900 + 100, 'FM000') || '-' || to_char(g % 9000 + 1000, 'FM0000'), \
             (date '1930-01-01' + g % 30000)::text, 'City of ' || md5((g % 500)::text), \
             (array['Seen in clinic for follow up of chronic back pain', 'Admitted overnight after a fall at home', \
             'Routine visit, feels well and sleeps better than before', 'Telephone call with the family about the plan of care'])[g % 4 + 1] \
             || case when g % 20 = 0 then '; call ' || (200 + g % 700) || '-555-' || to_char(g % 9000 + 1000, 'FM0000') \
             || ' or write to jane.' || g || '@example.com' else '; no complaints today, exam unremarkable' end \
             || '. Advised rest, fluids and gentle exercise; medication unchanged, ' || (g % 5 + 2) || ' weeks until review, labs drawn and pending.' \
             from generate_series(1, {}) g",
            size.people
        ),
        Format::Text,
    )?;
    stop.check()?;
    client.run("create unlogged table people_library as select * from people", Format::Text)?;
    client.run("vacuum analyze people", Format::Text)?;
    client.run("vacuum analyze people_library", Format::Text)?;
    let mut command = process::command(&program("pgbench")?, Account::Own, "TERM")?;
    command.args(["-q", "-i", "-I", "dtgvp", "--unlogged-tables", "-s", &size.scale.to_string()]);
    command.args(["-h", "127.0.0.1", "-p", &login.address.port().to_string(), "-U", USER, DATABASE]);
    command.env("PGPASSWORD", PASSWORD);
    process::run("fill pgbench's tables", command, stop, Duration::from_secs(300))?;
    client.run("checkpoint", Format::Text)?;
    Ok(version)
}

/// The only value of an answer.
fn one(client: &mut Client, text: &str) -> Result<String> {
    let answer = client.run(text, Format::Text)?;
    let value = answer.first.into_iter().flatten().next();
    Ok(String::from_utf8_lossy(&value.ok_or_else(|| format!("`{text}` answers nothing"))?).into_owned())
}
