//! The ways to the database that are compared, and what is behind them.

use std::{collections::BTreeMap, fmt, path::PathBuf, str::FromStr, sync::Arc, time::Duration};

use rustix::process::Signal;
use serde::{Serialize, Serializer};

use crate::{
    failure::{Doing, Failure, Result, Stop},
    folder::Folder,
    gateway::{self, Gateway, Policy, Programs, User, Variant},
    generator,
    peers::{self, Peer, Running, Spec},
    pki::Pki,
    postgres::{self, Postgres},
    process::{self, Account, Server},
    wire::{Client, Login},
    work::READS,
};

/// A way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// Nothing between.
    Direct,
    /// Another proxy, or the floor.
    Peer(Peer),
    /// The gateway.
    Gateway(Variant),
}

impl Way {
    /// It is our own.
    #[must_use]
    pub const fn is_gateway(self) -> bool {
        matches!(self, Self::Gateway(_))
    }

    /// It can take clients with TLS.
    #[must_use]
    pub const fn secures(self) -> bool {
        match self {
            Self::Direct => false,
            Self::Peer(peer) => peer.secures(),
            Self::Gateway(_) => true,
        }
    }
}

impl fmt::Display for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Direct => f.write_str("direct"),
            Self::Peer(peer) => f.write_str(peer.name()),
            Self::Gateway(variant) => variant.fmt(f),
        }
    }
}

impl FromStr for Way {
    type Err = Failure;

    fn from_str(name: &str) -> Result<Self> {
        if name == "direct" {
            return Ok(Self::Direct);
        }
        if let Some(peer) = peers::ALL.iter().find(|peer| peer.name() == name) {
            return Ok(Self::Peer(*peer));
        }
        Variant::parse(name).map(Self::Gateway).ok_or_else(|| {
            let peers: Vec<&str> = peers::ALL.iter().map(|peer| peer.name()).collect();
            format!(
                "there is no way `{name}`; there are direct, {}, and gateway, with -strict -intent -off, -recorded \
                 (and -zstd -plain), -uring -glommio, -reuse, -Ncores after it",
                peers.join(", ")
            )
            .into()
        })
    }
}

impl Serialize for Way {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Backend {
    /// PostgreSQL.
    Postgres,
    /// The server that answers from memory.
    Canned,
}

/// What is needed to start a way.
#[derive(Debug)]
pub struct Ground {
    /// Everything is in here.
    pub folder: Folder,
    /// The database.
    pub postgres: Postgres,
    /// The server that answers from memory.
    pub canned: Canned,
    /// Certificate.
    pub pki: Pki,
    /// The gateway's programs and rules, where it takes part.
    pub gateway: Option<(Programs, Policy)>,
    /// Programs of the peers that are on this machine.
    pub peers: BTreeMap<Peer, PathBuf>,
}

/// The server that answers from memory, running.
#[derive(Debug)]
pub struct Canned {
    /// How to reach it.
    pub login: Login,
    server: Server,
}

impl Canned {
    /// Starts it in front of `database`; `program` is this program. Long answers have `rows` rows.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(
        folder: &Folder,
        program: &std::path::Path,
        database: &Postgres,
        rows: u64,
        stop: &Stop,
    ) -> Result<Self> {
        let address = postgres::loopback(postgres::free_port()?);
        let mut command = process::command(program, Account::Own, "TERM")?;
        command.args(["canned-server", "--listen", &address.to_string(), "--rows", &rows.to_string()]);
        command.args(["--upstream", &database.login.address.to_string(), "--user", postgres::USER]);
        command.args(["--database", postgres::DATABASE]).env("PGPASSWORD", postgres::PASSWORD);
        for statement in [generator::STATEMENT, "select 1"].into_iter().chain(READS.iter().map(|(_, text)| *text)) {
            command.args(["--statement", statement]);
        }
        let mut server = Server::start("canned-server", command, &folder.path().join("canned.log"), Signal::TERM)?;
        let login = database.login.at(address);
        server.wait_ready(stop, Duration::from_secs(20), || Client::login(&login).map(drop))?;
        Ok(Self { login, server })
    }

    /// Its process.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.server.id()
    }
}

impl Ground {
    /// Starts the database and whatever else does not depend on the way. `programs` are the gateway's.
    ///
    /// # Errors
    /// Something does not come up.
    pub fn new(
        size: postgres::Size,
        rows: u64,
        programs: Option<Programs>,
        peers: BTreeMap<Peer, PathBuf>,
        stop: &Stop,
    ) -> Result<Self> {
        let folder = Folder::new()?;
        let postgres = Postgres::start(&folder, size, stop)?;
        let pki = Pki::new(&folder.sub("pki", Account::Postgres.ids()?)?)?;
        let gateway = match programs {
            Some(programs) => {
                let policy = Policy::new(&folder, &programs, &postgres, stop)?;
                Some((programs, policy))
            }
            None => None,
        };
        // The floor and the canned server are this program; tests name it.
        let own = match peers.get(&Peer::Floor) {
            Some(own) => own.clone(),
            None => std::env::current_exe().doing("find this program")?,
        };
        let canned = Canned::start(&folder, &own, &postgres, rows, stop)?;
        Ok(Self { folder, postgres, canned, pki, gateway, peers })
    }

    /// How to reach what answers.
    #[must_use]
    pub const fn backend(&self, backend: Backend) -> &Login {
        match backend {
            Backend::Postgres => &self.postgres.login,
            Backend::Canned => &self.canned.login,
        }
    }
}

/// A way that is up.
#[derive(Debug)]
pub struct Target {
    /// Which.
    pub way: Way,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    Direct(Box<Login>),
    Peer(Box<Running>),
    Gateway(Box<Gateway>),
}

impl Target {
    /// Starts it in a folder of its own, `name`, with room for `sessions`.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(
        ground: &Ground,
        way: Way,
        backend: Backend,
        tls: bool,
        sessions: usize,
        name: &str,
        stop: &Stop,
    ) -> Result<Arc<Self>> {
        let upstream = ground.backend(backend);
        let tls = tls.then_some(&ground.pki);
        let kind = match way {
            Way::Direct => Kind::Direct(Box::new(upstream.clone())),
            Way::Peer(peer) => {
                let program = ground.peers.get(&peer).ok_or_else(|| format!("there is no {}", peer.name()))?;
                let home = ground.folder.sub(name, Account::Postgres.ids()?)?;
                let spec = Spec {
                    home: &home,
                    port: postgres::free_port()?,
                    upstream: upstream.address,
                    sessions,
                    tls,
                    verifier: &ground.postgres.verifier,
                };
                Kind::Peer(Box::new(peers::start(peer, program, &ground.folder, name, &spec, upstream, stop)?))
            }
            Way::Gateway(variant) => {
                let (programs, policy) = ground.gateway.as_ref().ok_or("the gateway's programs were not built")?;
                let setup = gateway::Setup { name, variant, upstream: upstream.address, sessions, tls };
                Kind::Gateway(Box::new(Gateway::start(&ground.folder, programs, policy, setup, stop)?))
            }
        };
        Ok(Arc::new(Self { way, kind }))
    }

    /// Whom to log in as; it matters to the gateway alone.
    #[must_use]
    pub fn login(&self, user: User) -> &Login {
        match &self.kind {
            Kind::Direct(login) => login,
            Kind::Peer(peer) => &peer.login,
            Kind::Gateway(gateway) => gateway.login(user),
        }
    }

    /// Process between client and database, if there is one.
    #[must_use]
    pub fn proxy(&self) -> Option<u32> {
        match &self.kind {
            Kind::Direct(_) => None,
            Kind::Peer(peer) => Some(peer.server.id()),
            Kind::Gateway(gateway) => Some(gateway.server.id()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ways_are_named_and_read() {
        for name in
            ["direct", "copy-proxy", "haproxy", "pgbouncer", "odyssey", "pgcat", "pgdog", "pgagroal", "gateway-off"]
        {
            assert_eq!(name.parse::<Way>().unwrap().to_string(), name);
        }
        let error = "pgpool".parse::<Way>().unwrap_err().to_string();
        assert!(error.contains("no way `pgpool`") && error.contains("pgbouncer") && error.contains("-strict"));
    }

    #[test]
    fn proxies_of_tcp_alone_cannot_secure_clients() {
        let secure: Vec<&str> = ["direct", "copy-proxy", "haproxy", "pgbouncer", "gateway"]
            .into_iter()
            .filter(|w| w.parse::<Way>().unwrap().secures())
            .collect();
        assert_eq!(secure, ["pgbouncer", "gateway"]);
    }
}
