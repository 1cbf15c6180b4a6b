//! The two ways to the database: through the gateway, and without it.

use rustls::ClientConfig;
use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
    time::Duration,
};
use tokio_postgres::{Client, Config, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;

/// Says in the audit log and in `pg_stat_activity` who asks.
const APPLICATION: &str = "tidegate bench";
/// Longest wait for a connection.
const CONNECT: Duration = Duration::from_secs(10);
/// The same for all of a login.
const LOGIN: Duration = Duration::from_secs(20);

/// Where the gateway listens.
#[derive(Clone, Debug)]
pub(super) struct Door {
    /// Address.
    pub(super) address: SocketAddr,
    /// Name in its certificate.
    pub(super) host: String,
    /// TLS to it.
    pub(super) tls: Option<Arc<ClientConfig>>,
}

/// A way.
pub(super) struct Way {
    config: Config,
    tls: Option<Arc<ClientConfig>>,
    door: Option<Door>,
}

impl Way {
    /// Through the gateway, to this target.
    pub(super) fn gateway(door: Door, user: &str, password: &[u8], target: &str) -> Self {
        let mut config = Config::new();
        config.host(&door.host).hostaddr(door.address.ip()).port(door.address.port());
        config.user(user).password(password).dbname(target);
        let tls = door.tls.clone();
        Self { config: common(config, tls.is_some()), tls, door: Some(door) }
    }

    /// Without it.
    pub(super) fn direct(connection: &str, password: Option<&[u8]>, ca: Option<&Path>) -> Result<Self, String> {
        let mut config: Config = connection.parse().map_err(|error| format!("--direct: {error}"))?;
        if let Some(password) = password {
            config.password(password);
        }
        let tls = match config.get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(crate::tls::client(ca, None)?),
        };
        Ok(Self { config: common(config, tls.is_some()), tls, door: None })
    }

    pub(super) const fn is_gateway(&self) -> bool {
        self.door.is_some()
    }

    pub(super) const fn door(&self) -> Option<&Door> {
        self.door.as_ref()
    }

    pub(super) const fn name(&self) -> &'static str {
        if self.is_gateway() { "gateway" } else { "direct" }
    }

    /// Where the gateway is; of no meaning for the other way.
    pub(super) fn address(&self) -> SocketAddr {
        self.door.as_ref().map_or_else(|| (IpAddr::from(Ipv4Addr::UNSPECIFIED), 0).into(), |door| door.address)
    }

    /// For people: who goes where.
    pub(super) fn told(&self) -> String {
        let user = self.config.get_user().unwrap_or("-");
        let database = self.config.get_dbname().unwrap_or(user);
        let tls = if self.tls.is_some() { "TLS" } else { "without TLS" };
        match &self.door {
            Some(door) => format!("{}, {tls}, target {database} as {user}", door.address),
            None => format!("database {database} as {user}, {tls}"),
        }
    }

    /// A new connection, logged in.
    pub(super) async fn connect(&self) -> Result<Client, String> {
        let over = |_| Err(format!("no login within {} s", LOGIN.as_secs()));
        tokio::time::timeout(LOGIN, self.log_in()).await.unwrap_or_else(over)
    }

    async fn log_in(&self) -> Result<Client, String> {
        match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await.map_err(|error| said(&error))?;
                // Its error reaches every request of the client too.
                tokio::spawn(async move { drop(connection.await) });
                Ok(client)
            }
            Some(tls) => {
                let mut fresh = (**tls).clone();
                // Each login costs what a new client's does.
                fresh.resumption = rustls::client::Resumption::disabled();
                let tls = MakeRustlsConnect::new(fresh);
                let (client, connection) = self.config.connect(tls).await.map_err(|error| said(&error))?;
                tokio::spawn(async move { drop(connection.await) });
                Ok(client)
            }
        }
    }
}

fn common(mut config: Config, tls: bool) -> Config {
    config.application_name(APPLICATION).connect_timeout(CONNECT);
    config.ssl_mode(if tls { SslMode::Require } else { SslMode::Disable });
    config
}

/// The server's own sentence where there is one, otherwise the error with its causes.
pub(super) fn said(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} ({})", server.message(), server.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
