//! pgbouncer in session pooling: the peer the gateway is compared with.
//!
//! Same passwords, no TLS, one database, room for every session; otherwise its defaults.

use std::{fs, os::unix::fs::chown, path::Path, process::Command, time::Duration};

use rustix::process::Signal;

use crate::{
    failure::{Doing, Result, Stop},
    folder::Folder,
    postgres::{self, Postgres},
    process::{self, Account, Server},
    wire::{Client, Login},
};

/// The running pooler.
#[derive(Debug)]
pub struct Bouncer {
    /// How to reach it.
    pub login: Login,
    /// Its process.
    pub server: Server,
}

impl Bouncer {
    /// Starts one in front of `database`, with room for `sessions`.
    ///
    /// # Errors
    /// It is not installed or does not start.
    pub fn start(folder: &Folder, name: &str, database: &Postgres, sessions: usize, stop: &Stop) -> Result<Self> {
        let program = process::find("pgbouncer", "pgbouncer", &[])?;
        let ids = Account::Postgres.ids()?;
        let home = folder.sub(name, ids)?;
        let port = postgres::free_port()?;
        let users = home.join("users.txt");
        let settings = home.join("pgbouncer.ini");
        write(&users, &format!("\"{}\" \"{}\"\n", postgres::USER, postgres::PASSWORD), ids)?;
        let text = format!(
            "[databases]\n{} = host=127.0.0.1 port={}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = scram-sha-256\nauth_file = {}\npool_mode = session\nunix_socket_dir =\n\
             max_client_conn = {room}\ndefault_pool_size = {room}\nlog_connections = 0\nlog_disconnections = 0\n",
            postgres::DATABASE,
            database.login.address.port(),
            users.display(),
            room = sessions + 50
        );
        write(&settings, &text, ids)?;
        let mut command = process::command(&program, Account::Postgres, "INT")?;
        command.current_dir(&home).arg("-q").arg(&settings);
        let mut server = Server::start("pgbouncer", command, &folder.path().join(format!("{name}.log")), Signal::INT)?;
        let login = Login { address: postgres::loopback(port), ..database.login.clone() };
        server.wait_ready(stop, Duration::from_secs(20), || Client::login(&login).map(drop))?;
        Ok(Self { login, server })
    }
}

/// Which version is installed.
#[must_use]
pub fn version() -> Option<String> {
    let program = process::find("pgbouncer", "pgbouncer", &[]).ok()?;
    let output = Command::new(program).arg("--version").output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Some(text.lines().next()?.trim_start_matches("PgBouncer ").to_owned())
}

fn write(path: &Path, text: &str, ids: Option<(u32, u32)>) -> Result<()> {
    fs::write(path, text).doing(format!("write {}", path.display()))?;
    match ids {
        Some((uid, gid)) => chown(path, Some(uid), Some(gid)).doing(format!("give {} away", path.display())),
        None => Ok(()),
    }
}
