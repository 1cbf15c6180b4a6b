//! A ground of its own: a real PostgreSQL with a clinic of canaries and the objects of `ground.sql`, and the real gateway in
//! front of it, twice: with the usual account, and with an account that has an operator's rights.
//!
//! The second one shows that the gateway does not lean on what the account may not do. Everything is stopped with the value
//! or the process. Like the rest of the test harness it panics where it cannot do its work.

#![allow(clippy::unwrap_used, reason = "a test harness fails by panicking")]

use crate::{
    client::{Login, Tls},
    names::Names,
    statement::Schema,
    truth::{CLINIC, CLINIC_UNSEARCHED, Column, Truth},
};
use std::{path::PathBuf, sync::OnceLock};
use tests::{
    endpoint::Endpoint,
    folder::Folder,
    gateway::{Gateway, Setup},
    rules::{Bundle, examples},
    server::{PASSWORD, Postgres},
};

/// Patients of the clinic.
pub const PATIENTS: u64 = 240;
/// What an administrator runs in the database, so that ways through views, functions and extensions can be tried too.
pub const SCRIPT: &str = include_str!("../ground.sql");
/// The user by whom the gateway is tried unless said otherwise.
pub const READER: &str = "ana";

/// Everything that runs.
#[derive(Debug)]
pub struct Ground {
    /// The server.
    pub server: Postgres,
    usual: OnceLock<Gateway>,
    operator: OnceLock<Gateway>,
    open: OnceLock<Gateway>,
}

impl Ground {
    /// Starts the server and loads it; gateways start when they are asked for, from `programs` if that is given.
    #[must_use]
    pub fn start(programs: Option<&std::path::Path>) -> Self {
        if let Some(folder) = programs {
            tests::programs::built_in(folder);
        }
        let server = Postgres::start(
            "shared_preload_libraries = 'pg_stat_statements'\npg_stat_statements.track = 'all'\npg_stat_statements.max = 100000\nautovacuum = off\ntrack_functions = 'all'\n\
             max_locks_per_transaction = 256\n",
        );
        server.load_clinic("clinic", clinic::Options { patients: PATIENTS, seed: 1, canary: true });
        server.sql("postgres", &format!("create role operator login password '{PASSWORD}'"));
        server.sql("clinic", SCRIPT);
        Self { server, usual: OnceLock::new(), operator: OnceLock::new(), open: OnceLock::new() }
    }

    /// The ground of this process.
    pub fn shared() -> &'static Self {
        static SHARED: OnceLock<Ground> = OnceLock::new();
        SHARED.get_or_init(|| Self::start(None))
    }

    /// The database itself, by the account the gateway uses.
    #[must_use]
    pub fn direct(&self, privileged: bool) -> Login {
        login(&self.server.endpoint("clinic", if privileged { "operator" } else { "gateway" }))
    }

    /// Through the gateway, as this user.
    #[must_use]
    pub fn through(&self, user: &str, privileged: bool) -> Login {
        login(&self.gateway(privileged).endpoint(user))
    }

    /// The database itself, and the same through a gateway whose rules allow everything: for comparing to the byte.
    #[must_use]
    pub fn compared(&self) -> (Login, Login) {
        // Workers of a parallel plan bring rows in the order in which they come by: with LIMIT, others each time. And a limit
        // of time may end a statement on one side alone.
        let settled =
            "alter role gateway set max_parallel_workers_per_gather = 0; alter role gateway reset statement_timeout";
        self.server.sql("clinic", settled);
        let gateway = self.open.get_or_init(|| Setup::new(&allow_all(&self.server), &self.server).start());
        (self.direct(false), login(&gateway.endpoint("app")))
    }

    /// The gateway, with the usual or the operator's account.
    #[must_use]
    pub fn gateway(&self, privileged: bool) -> &Gateway {
        let (place, account) = if privileged { (&self.operator, "operator") } else { (&self.usual, "gateway") };
        place.get_or_init(|| Setup::new(&bundle(account, &self.server), &self.server).start())
    }

    /// What is protected, read past the gateway.
    #[must_use]
    pub fn truth(&self) -> Truth {
        let columns = |list: &[&str]| list.iter().map(|text| Column::parse(text).unwrap()).collect::<Vec<_>>();
        Truth::read(&self.direct(false), &columns(CLINIC), &columns(CLINIC_UNSEARCHED)).unwrap()
    }

    /// Relations for random statements.
    #[must_use]
    pub fn schema(&self) -> Schema {
        let protected = CLINIC.iter().chain(CLINIC_UNSEARCHED).filter_map(|place| place.rsplit('.').next());
        // What the columns of the ground's views are called.
        let protected: Vec<&str> = protected.chain(["s", "d", "text", "r", "v"]).collect();
        let mut schema = Schema::read(&self.direct(false), &["clinic", "lab"], &protected).unwrap();
        let unused = ["lab.told", "lab.ruled", "lab.defaulted", "lab.generated", "lab.v_whole"];
        schema.tables.retain(|table| !unused.contains(&table.name.as_str()));
        schema
    }

    /// Everything the gateway itself keeps or shows: its log, its metrics, its audit records.
    #[must_use]
    pub fn kept(&self) -> Vec<u8> {
        let gateway = self.gateway(false);
        let mut bytes = gateway.log().into_bytes();
        bytes.extend(gateway.http("/metrics").unwrap_or_default().into_bytes());
        let mut folders = vec![gateway.folder.path().join("audit")];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
                match entry.path() {
                    path if path.is_dir() => folders.push(path),
                    path => bytes.extend(std::fs::read(path).unwrap_or_default()),
                }
            }
        }
        bytes
    }

    /// Names for templates.
    #[must_use]
    pub fn names(&self) -> Names {
        Names::clinic()
    }
}

fn login(endpoint: &Endpoint) -> Login {
    Login {
        host: "127.0.0.1".into(),
        port: endpoint.port,
        user: endpoint.user.clone(),
        password: endpoint.password.clone(),
        database: endpoint.database.clone(),
        tls: Tls::Disable,
    }
}

/// The example rules with another account.
fn bundle(account: &str, server: &Postgres) -> Bundle {
    let folder = Folder::new("bypass-rules");
    let mut files: Vec<PathBuf> = Vec::new();
    for file in examples() {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap().replace("account: gateway", &format!("account: {account}"));
        files.push(folder.write(&name, text));
        for list in ["names.txt", "places.txt"] {
            std::fs::copy(file.with_file_name(list), folder.path().join(list)).unwrap();
        }
    }
    Bundle::from_files(&files, "warehouse", server)
}

fn allow_all(server: &Postgres) -> Bundle {
    let rules = "\
version: 1
targets:
  open:
    protocol: postgres
    address: 127.0.0.1:5432
    tls: disable
    database: clinic
    account: gateway
    audit: async
roles:
  everyone:
    groups: [everyone]
    targets: [open]
    default: clear
    redact: clear
    channels: [\"*\"]
    trusted-functions: [\"*.*\"]
";
    Bundle::compile(&[rules], "open", server)
}
