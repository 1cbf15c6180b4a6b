//! A real PostgreSQL server, made by `initdb` in a temporary folder and stopped with the value or the process.
//!
//! TLS is on with the throw-away authority. Users differ in how they log in: `app` (SCRAM), `app_md5`, `app_plain`
//! (clear-text password), `app_cert` (client certificate over TLS); `admin` is the superuser, by the Unix socket only.
//! Durability is off: the tests stop the gateway, never the machine.

use crate::{
    certificates::Authority,
    clients,
    endpoint::Endpoint,
    folder::Folder,
    process::{Finished, Guarded, PATIENCE, run, wait_until},
};
use std::{
    fs,
    net::TcpStream,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

pub use crate::ports::free_port;

/// Password of every user.
pub const PASSWORD: &str = "correct horse 9 battery";

/// Patients of the canary clinic in the shared server.
pub const CANARIES: u64 = 240;

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    port: u16,
    folder: Folder,
    process: Guarded,
}

impl Postgres {
    /// The server shared by the tests of this process: database `plain` for transparency, `clinic` with canaries.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Postgres> = OnceLock::new();
        SHARED.get_or_init(|| {
            let server = Self::start("");
            server.load_clinic("clinic", clinic::Options { patients: CANARIES, seed: 1, canary: true });
            server
        })
    }

    /// A new server with extra lines for `postgresql.conf`.
    pub fn start(settings: &str) -> Self {
        let folder = Folder::new("postgres");
        let data = folder.path().join("data");
        let password_file = folder.write("password", PASSWORD);
        if running_as_root() {
            let owner = format!("{}:", server_user());
            run(Command::new("chown").arg("-R").arg(owner).arg(folder.path()), b"", PATIENCE).success();
        }
        run(
            as_server_user(&server_program("initdb"))
                .arg("-D")
                .arg(&data)
                .args(["-U", "admin", "-A", "scram-sha-256", "--no-locale", "-E", "UTF8", "--no-sync", "--pwfile"])
                .arg(&password_file),
            b"",
            Duration::from_secs(120),
        )
        .success();

        let authority = Authority::shared();
        for (name, text) in [
            ("ca.crt", &authority.certificate),
            ("server.crt", &authority.server.certificate),
            ("server.key", &authority.server.key),
        ] {
            put(&data.join(name), text);
        }
        put(
            &data.join("pg_hba.conf"),
            "local all all trust\n\
             hostssl all app_cert 127.0.0.1/32 cert\n\
             host all app_md5 127.0.0.1/32 md5\n\
             host all app_plain 127.0.0.1/32 password\n\
             host all all 127.0.0.1/32 scram-sha-256\n\
             host replication all 127.0.0.1/32 scram-sha-256\n",
        );
        let port = free_port();
        let mut configuration = fs::read_to_string(data.join("postgresql.conf")).unwrap();
        configuration.push_str(&format!(
            "\nlisten_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\nssl = on\n\
             ssl_cert_file = 'server.crt'\nssl_key_file = 'server.key'\nssl_ca_file = 'ca.crt'\nmax_connections = 300\n\
             max_prepared_transactions = 10\nwal_level = logical\nfsync = off\nsynchronous_commit = off\n\
             full_page_writes = off\nshared_buffers = 64MB\ntimezone = 'UTC'\nlog_timezone = 'UTC'\n{settings}\n",
            folder.path().display()
        ));
        put(&data.join("postgresql.conf"), &configuration);

        let log = fs::File::create(folder.path().join("server.log")).unwrap();
        let mut command = as_server_user(&server_program("postgres"));
        command.arg("-D").arg(&data).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        // SIGINT is PostgreSQL's "fast shutdown": sessions are ended, files are left in order.
        let process = Guarded::start(&mut command, "INT", folder.path());
        let server = Self { port, folder, process };
        wait_until("the server accepts logins", 2 * PATIENCE, || {
            TcpStream::connect(("127.0.0.1", port)).is_ok() && server.try_sql("postgres", "select 1").code == 0
        });
        server.sql(
            "postgres",
            &format!(
                "create role app login createrole password '{PASSWORD}';
                 create role gateway login password '{PASSWORD}';
                 create role app_plain login password '{PASSWORD}';
                 create role app_cert login;
                 set password_encryption = md5;
                 create role app_md5 login password '{PASSWORD}';
                 create database plain owner app;
                 create database clinic;"
            ),
        );
        server
    }

    /// Loads the made-up clinic and gives the gateway's account the rights it needs.
    pub fn load_clinic(&self, database: &str, options: clinic::Options) {
        let mut script = Vec::new();
        clinic::write(&mut script, options).unwrap();
        script.extend_from_slice(
            b"grant usage on schema clinic to gateway, app;\n\
              grant select, insert, update, delete on all tables in schema clinic to gateway, app;\n",
        );
        run(&mut self.psql(database), &script, Duration::from_secs(120)).success();
    }

    /// Runs SQL as superuser; panics if it fails. Rows come back unaligned, columns separated by `|`.
    #[track_caller]
    pub fn sql(&self, database: &str, text: &str) -> String {
        self.try_sql(database, text).success().text()
    }

    /// Runs SQL as superuser.
    pub fn try_sql(&self, database: &str, text: &str) -> Finished {
        run(&mut self.psql(database), text.as_bytes(), 2 * PATIENCE)
    }

    /// Where clients connect directly.
    pub fn endpoint(&self, database: &str, user: &str) -> Endpoint {
        Endpoint {
            port: self.port,
            user: user.into(),
            password: PASSWORD.into(),
            database: database.into(),
            sslmode: "disable",
        }
    }

    /// Port on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What the server has logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.folder.path().join("server.log")).unwrap()).into_owned()
    }

    /// Process id of the postmaster.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn psql(&self, database: &str) -> Command {
        let mut command = clients::psql_program();
        command
            .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-U", "admin", "-d", database, "-h"])
            .arg(self.folder.path())
            .args(["-p", &self.port.to_string()]);
        command
    }
}

/// A server program (`initdb`, `postgres`), from the newest installed version.
fn server_program(name: &str) -> PathBuf {
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| {
            let version = entry.file_name().to_str()?.parse().ok()?;
            let program = entry.path().join("bin").join(name);
            program.exists().then_some((version, program))
        })
        .collect();
    versions.sort();
    versions.pop().map_or_else(|| name.into(), |(_, program)| program)
}

fn running_as_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

fn server_user() -> &'static str {
    "postgres"
}

/// PostgreSQL refuses to run as root: then its programs run as the package's own user.
fn as_server_user(program: &Path) -> Command {
    if !running_as_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command
        .args(["--reuid", server_user(), "--regid", server_user(), "--init-groups"])
        .arg(program)
        .current_dir("/tmp");
    command
}

/// Writes a file with the mode the server insists on for keys, owned like the folder it is in.
fn put(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    if running_as_root() {
        run(Command::new("chown").arg(format!("{}:", server_user())).arg(path), b"", PATIENCE).success();
    }
}
