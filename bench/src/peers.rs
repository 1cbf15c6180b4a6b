//! Other proxies: which are on this machine, and how each is set up.
//!
//! All alike: loopback, one thread, session pooling where there are modes, SCRAM where it is known, room for every session,
//! no logging of statements; otherwise their defaults. A peer that is not found is named in the report. Their
//! configurations are values, so that tests can look at them.

use std::{
    fmt::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use rustix::process::Signal;
use serde::{Serialize, Serializer};

use crate::{
    failure::{Doing, Result, Stop},
    folder::Folder,
    pki::{self, Pki},
    postgres,
    process::{self, Account, Server},
    wire::{Client, Login},
};

/// A proxy that is not ours, or the floor, which is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    /// Our own copy proxy: what nothing can be cheaper than.
    Floor,
    /// HAProxy in TCP mode.
    Haproxy,
    /// PgBouncer.
    Pgbouncer,
    /// Odyssey.
    Odyssey,
    /// PgCat.
    Pgcat,
    /// PgDog.
    Pgdog,
    /// pgagroal.
    Pgagroal,
}

/// All of them, the floor first.
pub const ALL: &[Peer] =
    &[Peer::Floor, Peer::Haproxy, Peer::Pgbouncer, Peer::Odyssey, Peer::Pgcat, Peer::Pgdog, Peer::Pgagroal];

impl Serialize for Peer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// What a configuration is made from.
#[derive(Clone, Debug)]
pub struct Spec<'a> {
    /// Folder of the configuration.
    pub home: &'a Path,
    /// Port to listen on.
    pub port: u16,
    /// The database.
    pub upstream: SocketAddr,
    /// Room for so many sessions.
    pub sessions: usize,
    /// With TLS for clients.
    pub tls: Option<&'a Pki>,
    /// What the database keeps instead of the password, as in `pg_authid`.
    pub verifier: &'a str,
}

/// Files to write and arguments to start with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// Name and content.
    pub files: Vec<(&'static str, String)>,
    /// Arguments.
    pub arguments: Vec<String>,
}

impl Peer {
    /// Its name in reports and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Floor => "copy-proxy",
            Self::Haproxy => "haproxy",
            Self::Pgbouncer => "pgbouncer",
            Self::Odyssey => "odyssey",
            Self::Pgcat => "pgcat",
            Self::Pgdog => "pgdog",
            Self::Pgagroal => "pgagroal",
        }
    }

    /// It can do TLS with clients of PostgreSQL: those begin in clear, which proxies of TCP alone cannot follow.
    #[must_use]
    pub const fn secures(self) -> bool {
        !matches!(self, Self::Floor | Self::Haproxy)
    }

    /// It pools connections or at least knows the protocol: what the gateway is compared with for small statements.
    #[must_use]
    pub const fn is_pooler(self) -> bool {
        !matches!(self, Self::Floor | Self::Haproxy)
    }

    /// It has one thread for all clients; the other has a process for each.
    #[must_use]
    pub const fn has_one_thread(self) -> bool {
        !matches!(self, Self::Pgagroal)
    }

    /// The program, looked for in `folder` first.
    ///
    /// # Errors
    /// It is not on this machine.
    pub fn find(self, folder: Option<&Path>) -> Result<PathBuf> {
        if self == Self::Floor {
            return std::env::current_exe().doing("find this program");
        }
        let given = folder.map(|folder| folder.join(self.name())).filter(|file| file.is_file());
        given.map_or_else(|| process::find(self.name(), self.name(), &[]), Ok)
    }

    /// What it says its version is.
    #[must_use]
    pub fn version(self, program: &Path) -> String {
        if self == Self::Floor {
            return env!("CARGO_PKG_VERSION").to_owned();
        }
        let flag = if self == Self::Haproxy { "-v" } else { "--version" };
        let said = Command::new(program).arg(flag).output().map(|output| [output.stdout, output.stderr].concat());
        version_in(&String::from_utf8_lossy(&said.unwrap_or_default())).unwrap_or_else(|| "unknown".to_owned())
    }

    /// Its configuration.
    #[must_use]
    pub fn setup(self, spec: &Spec<'_>) -> Setup {
        match self {
            Self::Floor => floor(spec),
            Self::Haproxy => haproxy(spec),
            Self::Pgbouncer => pgbouncer(spec),
            Self::Odyssey => odyssey(spec),
            Self::Pgcat => pgcat(spec),
            Self::Pgdog => pgdog(spec),
            Self::Pgagroal => pgagroal(spec),
        }
    }
}

/// The first word that looks like a version: digits with a point between, whatever is around it.
fn version_in(text: &str) -> Option<String> {
    text.split_whitespace()
        .map(|word| word.trim_start_matches('v').trim_end_matches([',', ')']))
        .find(|word| word.starts_with(|c: char| c.is_ascii_digit()) && word.contains('.'))
        .map(str::to_owned)
}

fn floor(spec: &Spec<'_>) -> Setup {
    let listen = postgres::loopback(spec.port).to_string();
    let arguments = ["copy-proxy", "--listen", &listen, "--upstream", &spec.upstream.to_string()];
    Setup { files: Vec::new(), arguments: arguments.map(str::to_owned).to_vec() }
}

fn haproxy(spec: &Spec<'_>) -> Setup {
    let room = spec.sessions + 50;
    let text = format!(
        "global\n    nbthread 1\n    maxconn {room}\ndefaults\n    mode tcp\n    timeout connect 10s\n    \
         timeout client 1h\n    timeout server 1h\nfrontend clients\n    bind 127.0.0.1:{}\n    maxconn {room}\n    \
         default_backend database\nbackend database\n    server database {}\n",
        spec.port, spec.upstream
    );
    Setup { files: vec![("haproxy.cfg", text)], arguments: ["-db", "-f", "haproxy.cfg"].map(str::to_owned).to_vec() }
}

fn pgbouncer(spec: &Spec<'_>) -> Setup {
    let room = spec.sessions + 50;
    let mut text = format!(
        "[databases]\n{} = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {}\n\
         auth_type = scram-sha-256\nauth_file = users.txt\npool_mode = session\nunix_socket_dir =\n\
         max_client_conn = {room}\ndefault_pool_size = {room}\nlog_connections = 0\nlog_disconnections = 0\n",
        postgres::DATABASE,
        spec.upstream.port(),
        spec.port,
    );
    if let Some(pki) = spec.tls {
        let _infallible = writeln!(
            text,
            "client_tls_sslmode = require\nclient_tls_cert_file = {}\nclient_tls_key_file = {}",
            pki.certificate.display(),
            pki.key.display()
        );
    }
    // With the verifier and not the password no keys need be derived at each login.
    let users = format!("\"{}\" \"{}\"\n", postgres::USER, spec.verifier);
    Setup {
        files: vec![("pgbouncer.ini", text), ("users.txt", users)],
        arguments: ["-q", "pgbouncer.ini"].map(str::to_owned).to_vec(),
    }
}

fn odyssey(spec: &Spec<'_>) -> Setup {
    let room = spec.sessions + 50;
    let tls = spec.tls.map_or_else(String::new, |pki| {
        format!(
            "    tls \"require\"\n    tls_cert_file \"{}\"\n    tls_key_file \"{}\"\n",
            pki.certificate.display(),
            pki.key.display()
        )
    });
    let text = format!(
        "daemonize no\nlocks_dir \"{home}\"\nunix_socket_dir \"{home}\"\nunix_socket_mode \"0644\"\n\
         log_format \"%p %t %l %m\\n\"\nlog_to_stdout yes\nlog_config no\nlog_session no\nlog_query no\nlog_stats no\n\
         workers 1\nresolvers 1\nnodelay yes\nclient_max {room}\nlisten {{\n    host \"127.0.0.1\"\n    port {port}\n    \
         backlog 1024\n{tls}}}\nstorage \"database\" {{\n    type \"remote\"\n    host \"127.0.0.1\"\n    port {up}\n}}\n\
         database \"{db}\" {{\n    user \"{user}\" {{\n        authentication \"scram-sha-256\"\n        \
         password \"{verifier}\"\n        storage \"database\"\n        storage_db \"{db}\"\n        \
         storage_user \"{user}\"\n        storage_password \"{password}\"\n        pool \"session\"\n        \
         pool_size {room}\n        pool_timeout 0\n        pool_ttl 600\n        log_debug no\n    }}\n}}\n",
        home = spec.home.display(),
        port = spec.port,
        up = spec.upstream.port(),
        db = postgres::DATABASE,
        user = postgres::USER,
        password = postgres::PASSWORD,
        verifier = spec.verifier,
    );
    Setup { files: vec![("odyssey.conf", text)], arguments: vec!["odyssey.conf".to_owned()] }
}

fn pgcat(spec: &Spec<'_>) -> Setup {
    let room = spec.sessions + 50;
    let tls = spec.tls.map_or_else(String::new, |pki| {
        format!("tls_certificate = \"{}\"\ntls_private_key = \"{}\"\n", pki.certificate.display(), pki.key.display())
    });
    let text = format!(
        "[general]\nhost = \"127.0.0.1\"\nport = {port}\nadmin_username = \"admin\"\nadmin_password = \"admin\"\n\
         worker_threads = 1\nconnect_timeout = 20000\nidle_timeout = 600000\n{tls}\
         [pools.{db}]\npool_mode = \"session\"\n[pools.{db}.users.0]\nusername = \"{user}\"\npassword = \"{password}\"\n\
         pool_size = {room}\nmin_pool_size = 0\n[pools.{db}.shards.0]\nservers = [[\"127.0.0.1\", {up}, \"primary\"]]\n\
         database = \"{db}\"\n",
        port = spec.port,
        up = spec.upstream.port(),
        db = postgres::DATABASE,
        user = postgres::USER,
        password = postgres::PASSWORD,
    );
    Setup {
        files: vec![("pgcat.toml", text)],
        arguments: ["--log-level", "warn", "pgcat.toml"].map(str::to_owned).to_vec(),
    }
}

fn pgdog(spec: &Spec<'_>) -> Setup {
    let room = spec.sessions + 50;
    let tls = spec.tls.map_or_else(String::new, |pki| {
        format!("tls_certificate = \"{}\"\ntls_private_key = \"{}\"\n", pki.certificate.display(), pki.key.display())
    });
    let text = format!(
        "[general]\nhost = \"127.0.0.1\"\nport = {port}\nworkers = 1\ndefault_pool_size = {room}\nmin_pool_size = 0\n\
         pooler_mode = \"session\"\nauth_type = \"scram\"\nlog_level = \"warn\"\n{tls}[[databases]]\nname = \"{db}\"\nhost = \"127.0.0.1\"\n\
         port = {up}\n",
        port = spec.port,
        up = spec.upstream.port(),
        db = postgres::DATABASE,
    );
    let users = format!(
        "[[users]]\nname = \"{}\"\ndatabase = \"{}\"\npassword = \"{}\"\n",
        postgres::USER,
        postgres::DATABASE,
        postgres::PASSWORD
    );
    Setup {
        files: vec![("pgdog.toml", text), ("users.toml", users)],
        arguments: ["--config", "pgdog.toml", "--users", "users.toml", "run"].map(str::to_owned).to_vec(),
    }
}

fn pgagroal(spec: &Spec<'_>) -> Setup {
    let room = spec.sessions + 50;
    let tls = spec.tls.map_or_else(String::new, |pki| {
        format!("tls = on\ntls_cert_file = {}\ntls_key_file = {}\n", pki.certificate.display(), pki.key.display())
    });
    let text = format!(
        "[pgagroal]\nhost = 127.0.0.1\nport = {}\nlog_type = console\nlog_level = warn\nmax_connections = {room}\n\
         idle_timeout = 600\nvalidation = off\npipeline = session\nunix_socket_dir = {}\n{tls}[database]\n\
         host = 127.0.0.1\nport = {}\n",
        spec.port,
        spec.home.display(),
        spec.upstream.port(),
    );
    // It knows no users of its own: the database asks for the password.
    let rules = "host all all all all\n".to_owned();
    Setup {
        files: vec![("pgagroal.conf", text), ("pgagroal_hba.conf", rules)],
        arguments: ["-c", "pgagroal.conf", "-a", "pgagroal_hba.conf"].map(str::to_owned).to_vec(),
    }
}

/// A peer that runs.
#[derive(Debug)]
pub struct Running {
    /// How to reach it.
    pub login: Login,
    /// Its process.
    pub server: Server,
}

/// Starts one in a folder of its own, `name`, and waits until somebody can log in.
///
/// # Errors
/// It does not come up; the message carries the end of its log.
pub fn start(
    peer: Peer,
    program: &Path,
    folder: &Folder,
    name: &str,
    spec: &Spec<'_>,
    login: &Login,
    stop: &Stop,
) -> Result<Running> {
    let Setup { files, arguments } = peer.setup(spec);
    for (file, text) in &files {
        pki::write_owned(&spec.home.join(file), text)?;
    }
    // Most refuse to run as root; this program may lie where only its user can read it.
    let account = if peer == Peer::Floor { Account::Own } else { Account::Postgres };
    let mut command = process::command(program, account, "INT")?;
    command.current_dir(spec.home).args(&arguments);
    let log = folder.path().join(format!("{name}.log"));
    let mut server = Server::start(peer.name(), command, &log, Signal::TERM)?;
    let mut login = login.at(postgres::loopback(spec.port));
    login.tls = spec.tls.map(|pki| pki.client.clone());
    server.wait_ready(stop, Duration::from_secs(20), || Client::login(&login).map(drop))?;
    Ok(Running { login, server })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(peer: Peer, tls: Option<&Pki>) -> String {
        let spec = Spec {
            home: Path::new("/home-of-it"),
            port: 7001,
            upstream: postgres::loopback(7002),
            sessions: 100,
            tls,
            verifier: "SCRAM-SHA-256$4096:salt$stored:server",
        };
        let setup = peer.setup(&spec);
        let files = setup.files.iter().map(|(name, text)| format!("# {name}\n{text}"));
        files.chain([setup.arguments.join(" ")]).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn every_peer_listens_on_loopback_and_goes_to_the_database() {
        for peer in ALL {
            let text = text(*peer, None);
            assert!(text.contains("7001") && text.contains("7002"), "{text}");
            assert!(text.contains("127.0.0.1") && !text.contains("0.0.0.0"), "{text}");
        }
    }

    #[test]
    fn poolers_pool_sessions_have_room_and_one_thread() {
        for peer in ALL.iter().filter(|peer| peer.is_pooler()) {
            let text = text(*peer, None);
            assert!(text.contains("session"), "{text}");
            assert!(text.contains("150"), "{text}");
        }
        for (peer, one) in [
            (Peer::Haproxy, "nbthread 1"),
            (Peer::Odyssey, "workers 1"),
            (Peer::Pgcat, "worker_threads = 1"),
            (Peer::Pgdog, "workers = 1"),
        ] {
            assert!(text(peer, None).contains(one));
        }
    }

    #[test]
    fn tls_is_there_when_it_is_asked_for() {
        let folder = Folder::new().unwrap();
        let pki = Pki::new(folder.path()).unwrap();
        for peer in ALL {
            let with = text(*peer, Some(&pki)).contains("server.crt");
            assert_eq!(with, peer.secures(), "{}", peer.name());
            assert!(!text(*peer, None).contains("server.crt"));
        }
        for peer in [Peer::Pgbouncer, Peer::Odyssey] {
            assert!(text(peer, None).contains("SCRAM-SHA-256$4096"));
        }
    }

    #[test]
    fn versions_are_found_in_what_programs_say() {
        for (said, version) in [
            ("PgBouncer 1.18.0\nlibevent 2.1.12-stable\n", Some("1.18.0")),
            ("HAProxy version 2.6.12-1+deb12u4 2026/10/17 - https://haproxy.org/\n", Some("2.6.12-1+deb12u4")),
            ("pgcat 1.3.0\n", Some("1.3.0")),
            ("PgDog v0.1.9 [main@1234567, pgdog-plugin 0.1]\n", Some("0.1.9")),
            ("nothing\n", None),
        ] {
            assert_eq!(version_in(said).as_deref(), version, "{said}");
        }
    }
}
