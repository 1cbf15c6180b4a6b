//! Keeps one target's catalog fresh: fetched at the start, at intervals, and soon after a statement that changes it.
//!
//! One connection per target, with the gateway's own account, reopened when it breaks. A catalog that has not changed is
//! not told. While a target cannot be reached the last catalog stays in force; the attempts go on, ever less often.

use crate::{Listener, self_test};
use lineage::Catalog;
use policy_compiler::snapshot;
use rustls::ClientConfig;
use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until, timeout},
};
use tokio_postgres::{Client, Config, NoTls, config::SslMode};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest wait for a catalog; statements in it have their own limits.
const FETCH_TIMEOUT: Duration = Duration::from_secs(120);
/// First wait after a failure; doubles up to the interval.
const RETRY_FIRST: Duration = Duration::from_millis(500);
/// A statement that changes the catalog may be in a transaction that is not committed yet: look again after this.
const SECOND_LOOK: Duration = Duration::from_secs(2);

/// A password that can change while connections are made with it: new ones take the new one. Shows nothing.
#[derive(Clone, Default)]
pub struct Password(Arc<RwLock<Option<Zeroizing<Vec<u8>>>>>);

impl Password {
    /// This one, or none.
    #[must_use]
    pub fn new(password: Option<Zeroizing<Vec<u8>>>) -> Self {
        Self(Arc::new(RwLock::new(password)))
    }

    /// From now on this one, or none.
    pub fn set(&self, password: Option<Zeroizing<Vec<u8>>>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = password;
    }

    fn get(&self) -> Option<Zeroizing<Vec<u8>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl std::fmt::Debug for Password {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Password")
    }
}

/// How a target is reached.
#[derive(Clone)]
pub struct Access {
    /// Name of the target, for the log.
    pub name: String,
    /// Host name or address.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// Account.
    pub account: String,
    /// Its password.
    pub password: Password,
    /// TLS, if any.
    pub tls: Option<Arc<ClientConfig>>,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").field("name", &self.name).field("host", &self.host).finish_non_exhaustive()
    }
}

/// What happened to a catalog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CatalogNews {
    /// It is new or has changed.
    Fetched(Catalog),
    /// It was fetched and is as before.
    Unchanged,
    /// It could not be fetched.
    Failed(String),
    /// What the account may do that it should not, after each new connection.
    Warnings(Vec<String>),
}

/// Runs until the runtime ends.
pub(crate) async fn keep(
    index: usize,
    access: Access,
    interval: Duration,
    changed: Arc<Notify>,
    listener: Arc<dyn Listener>,
) {
    let mut client: Option<Open> = None;
    let mut last: Option<Catalog> = None;
    let mut retry = RETRY_FIRST;
    let mut second_look: Option<Instant> = None;
    loop {
        let outcome = look(&access, &mut client, index, &*listener).await;
        let wait = match outcome {
            Ok(catalog) => {
                retry = RETRY_FIRST;
                let shape = shape(&catalog);
                if last.as_ref() == Some(&shape) {
                    listener.catalog(index, CatalogNews::Unchanged);
                } else {
                    last = Some(shape);
                    listener.catalog(index, CatalogNews::Fetched(catalog));
                }
                interval
            }
            Err(error) => {
                client = None;
                listener.catalog(index, CatalogNews::Failed(error));
                let wait = retry.min(interval);
                retry = (retry * 2).min(interval);
                wait
            }
        };
        let next = Instant::now() + wait;
        let next = second_look.take().map_or(next, |look| look.min(next));
        tokio::select! {
            () = sleep_until(next) => {}
            () = changed.notified() => second_look = Some(Instant::now() + SECOND_LOOK),
        }
    }
}

/// Row estimates move with every vacuum and mean nothing to rules.
fn shape(catalog: &Catalog) -> Catalog {
    let mut shape = catalog.clone();
    shape.relations.iter_mut().for_each(|r| r.estimated_rows = 0);
    shape
}

/// A connection, and what every account was given at login when it was made.
struct Open {
    client: Client,
    given: String,
}

/// What accounts are given at login, their search path among it: a connection keeps what it was given.
const GIVEN: &str = "SELECT coalesce(pg_catalog.string_agg(pg_catalog.format('%s %s %s', setdatabase, setrole, setconfig), \
    ' ' ORDER BY setdatabase, setrole), '') FROM pg_catalog.pg_db_role_setting";

async fn given(client: &Client) -> Result<String, String> {
    let row = timeout(CONNECT_TIMEOUT, client.query_one(GIVEN, &[])).await;
    let row = row.map_err(|_| format!("no answer within {CONNECT_TIMEOUT:?}"))?.map_err(|e| describe(&e))?;
    row.try_get(0).map_err(|e| describe(&e))
}

async fn look(
    access: &Access,
    client: &mut Option<Open>,
    index: usize,
    listener: &dyn Listener,
) -> Result<Catalog, String> {
    let mut kept = None;
    if let Some(open) = client.take().filter(|open| !open.client.is_closed())
        && given(&open.client).await? == open.given
    {
        kept = Some(open);
    }
    let open = match kept {
        Some(open) => open,
        None => {
            let new = timeout(CONNECT_TIMEOUT, connect(access)).await;
            let new = new.map_err(|_| format!("no connection within {CONNECT_TIMEOUT:?}"))??;
            // What is given after this was read, and before the path is, is met by the next look.
            let given = given(&new).await?;
            let warnings = timeout(CONNECT_TIMEOUT, self_test::warnings(&new, &access.account)).await;
            let warnings = warnings.map_err(|_| format!("no answer within {CONNECT_TIMEOUT:?}"))?;
            match warnings {
                Ok(warnings) => listener.catalog(index, CatalogNews::Warnings(warnings)),
                // Knowing the account's rights is not worth refusing service for.
                Err(error) => {
                    tracing::warn!(target = access.name, error = describe(&error), "cannot check the account's rights")
                }
            }
            Open { client: new, given }
        }
    };
    let catalog = timeout(FETCH_TIMEOUT, snapshot::fetch(&open.client)).await;
    let catalog = catalog.map_err(|_| format!("no catalog within {FETCH_TIMEOUT:?}"))?.map_err(|e| e.to_string())?;
    *client = Some(open);
    Ok(catalog)
}

pub(crate) async fn connect(access: &Access) -> Result<Client, String> {
    let mut config = Config::new();
    config
        .host(&access.host)
        .port(access.port)
        .dbname(&access.database)
        .user(&access.account)
        .application_name("tidegate")
        .connect_timeout(CONNECT_TIMEOUT)
        .keepalives_idle(Duration::from_secs(60));
    if let Some(password) = access.password.get() {
        config.password(&password[..]);
    }
    match &access.tls {
        None => {
            config.ssl_mode(SslMode::Disable);
            let (client, connection) = config.connect(NoTls).await.map_err(|e| describe(&e))?;
            // Its error also reaches every request of the client.
            tokio::spawn(async move { drop(connection.await) });
            Ok(client)
        }
        Some(tls) => {
            config.ssl_mode(SslMode::Require);
            let tls = MakeRustlsConnect::new((**tls).clone());
            let (client, connection) = config.connect(tls).await.map_err(|e| describe(&e))?;
            tokio::spawn(async move { drop(connection.await) });
            Ok(client)
        }
    }
}

/// The server's own sentence where there is one, otherwise the error with its causes.
pub(crate) fn describe(error: &tokio_postgres::Error) -> String {
    if let Some(server) = error.as_db_error() {
        return format!("{} ({})", server.message(), server.code().code());
    }
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}
