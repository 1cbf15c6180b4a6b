//! The store of several gateways: one table in PostgreSQL, with NOTIFY for what changes.
//!
//! One thread holds one connection; callers wait for it. Writers take one advisory lock for the length of their transaction,
//! so versions become visible in the order in which they were given and a reader of the feed misses none. Invariants: no
//! text of a caller's is part of a statement; while the connection is down every call fails at once, and the thread goes on
//! connecting. Deliberately absent: pooling (a few writes a second), migrations (one table, version in its name).

use crate::store::{Entry, Store, StoreError};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_postgres::{AsyncMessage, Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS public.tidegate_access_1 (
    kind text NOT NULL, id text NOT NULL, version bigint NOT NULL UNIQUE, body bytea,
    changed timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (kind, id));
  CREATE SEQUENCE IF NOT EXISTS public.tidegate_access_1_version";
/// Key of the writers' advisory lock.
const LOCK: i64 = 0x7469_6465_6761_7465;
/// Removed entries are forgotten after this long: nobody reads a feed that is so far behind, since nothing that a removal
/// ends lasts longer than eight hours.
const FORGET: &str = "DELETE FROM public.tidegate_access_1 WHERE body IS NULL AND changed < now() - interval '2 days'";
/// A call fails after this long.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// Between attempts to connect.
const AGAIN: Duration = Duration::from_millis(500);

enum Job {
    Put(String, String, u64, Option<Vec<u8>>, SyncSender<Result<u64, StoreError>>),
    Changes(u64, SyncSender<Result<Vec<Entry>, StoreError>>),
}

/// A store in PostgreSQL.
#[derive(Debug)]
pub struct Shared {
    jobs: UnboundedSender<Job>,
    notified: Arc<(Mutex<bool>, Condvar)>,
}

fn failed(error: impl std::fmt::Display) -> StoreError {
    StoreError::Unavailable(error.to_string())
}

/// The server's own words where there are some.
fn said(error: tokio_postgres::Error) -> StoreError {
    match error.as_db_error() {
        Some(server) => StoreError::Unavailable(format!("{} ({})", server.message(), server.code().code())),
        None => StoreError::Unavailable(error.to_string()),
    }
}

fn down(why: &str) -> StoreError {
    StoreError::Unavailable(why.to_owned())
}

impl Shared {
    /// Connects, makes the table if it is missing, and goes on in a thread of its own.
    ///
    /// # Errors
    /// The first connection fails.
    pub fn open(config: Config, tls: Option<rustls::ClientConfig>) -> Result<Self, StoreError> {
        let (jobs, queue) = unbounded_channel();
        let notified = Arc::new((Mutex::new(false), Condvar::new()));
        let told = Arc::clone(&notified);
        let (ready, first) = sync_channel(1);
        thread::Builder::new()
            .name("access-store".to_owned())
            .spawn(move || {
                let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
                    Ok(runtime) => runtime,
                    Err(error) => {
                        let _gone = ready.send(Err(failed(error)));
                        return;
                    }
                };
                runtime.block_on(run(config, tls, queue, &told, ready));
            })
            .map_err(failed)?;
        first.recv().map_err(failed)??;
        Ok(Self { jobs, notified })
    }
}

async fn connect(
    config: &Config,
    tls: Option<&rustls::ClientConfig>,
    told: &Arc<(Mutex<bool>, Condvar)>,
) -> Result<Client, StoreError> {
    let client = match tls {
        None => {
            let (client, connection) = config.connect(NoTls).await.map_err(said)?;
            drive(connection, Arc::clone(told));
            client
        }
        Some(tls) => {
            let (client, connection) = config.connect(MakeRustlsConnect::new(tls.clone())).await.map_err(said)?;
            drive(connection, Arc::clone(told));
            client
        }
    };
    client.batch_execute("SET search_path = pg_catalog; SET statement_timeout = '4s'").await.map_err(said)?;
    // Two gateways that start at the same time would both make it.
    let make =
        format!("BEGIN; SELECT pg_advisory_xact_lock({LOCK}); {TABLE}; {FORGET}; COMMIT; LISTEN tidegate_access_1");
    client.batch_execute(&make).await.map_err(said)?;
    Ok(client)
}

/// Moves the connection's bytes; a notification wakes who waits.
fn drive<S, T>(mut connection: tokio_postgres::Connection<S, T>, told: Arc<(Mutex<bool>, Condvar)>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static,
{
    tokio::spawn(async move {
        loop {
            match std::future::poll_fn(|cx| connection.poll_message(cx)).await {
                Some(Ok(AsyncMessage::Notification(_))) => wake(&told),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            }
        }
    });
}

fn wake(told: &(Mutex<bool>, Condvar)) {
    *told.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
    told.1.notify_all();
}

async fn run(
    config: Config,
    tls: Option<rustls::ClientConfig>,
    mut queue: UnboundedReceiver<Job>,
    told: &Arc<(Mutex<bool>, Condvar)>,
    ready: SyncSender<Result<(), StoreError>>,
) {
    let mut client = match connect(&config, tls.as_ref(), told).await {
        Ok(client) => Some(client),
        Err(error) => {
            let _gone = ready.send(Err(error));
            return;
        }
    };
    let _gone = ready.send(Ok(()));
    loop {
        if client.as_ref().is_some_and(Client::is_closed) {
            tracing::error!("the access store's connection is lost: what needs it is refused until it is back");
            client = None;
        }
        let job = match &mut client {
            Some(_) => tokio::time::timeout(AGAIN, queue.recv()).await.ok(),
            None => {
                match tokio::time::timeout(CALL_LIMIT, connect(&config, tls.as_ref(), told)).await {
                    Ok(Ok(again)) => {
                        tracing::info!("the access store answers again");
                        client = Some(again);
                        wake(told);
                    }
                    Ok(Err(_)) | Err(_) => {
                        while let Ok(job) = queue.try_recv() {
                            refuse(job);
                        }
                        tokio::time::sleep(AGAIN).await;
                    }
                }
                continue;
            }
        };
        match (job, &mut client) {
            (None, _) => {}
            (Some(None), _) => return,
            (Some(Some(job)), Some(client)) => work(client, job).await,
            (Some(Some(job)), None) => refuse(job),
        }
    }
}

fn refuse(job: Job) {
    match job {
        Job::Put(.., answer) => drop(answer.send(Err(down("its database cannot be reached")))),
        Job::Changes(_, answer) => drop(answer.send(Err(down("its database cannot be reached")))),
    }
}

async fn work(client: &mut Client, job: Job) {
    match job {
        Job::Put(kind, id, expected, body, answer) => {
            let done = tokio::time::timeout(CALL_LIMIT, put(client, &kind, &id, expected, body.as_deref())).await;
            drop(answer.send(done.unwrap_or_else(|_| Err(down("its database takes too long")))));
        }
        Job::Changes(since, answer) => {
            let done = tokio::time::timeout(CALL_LIMIT, changes(client, since)).await;
            drop(answer.send(done.unwrap_or_else(|_| Err(down("its database takes too long")))));
        }
    }
}

async fn put(client: &mut Client, kind: &str, id: &str, expected: u64, body: Option<&[u8]>) -> Result<u64, StoreError> {
    let write = client.transaction().await.map_err(said)?;
    write.query("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await.map_err(said)?;
    let old = write
        .query_opt(
            "SELECT version, body IS NULL FROM public.tidegate_access_1 WHERE kind = $1 AND id = $2",
            &[&kind, &id],
        )
        .await
        .map_err(said)?;
    let at = match old {
        Some(row) if !row.get::<_, bool>(1) => u64::try_from(row.get::<_, i64>(0)).unwrap_or(0),
        Some(_) | None => 0,
    };
    if at != expected {
        return Err(StoreError::Conflict);
    }
    let row = write
        .query_one(
            "INSERT INTO public.tidegate_access_1 (kind, id, version, body)
               VALUES ($1, $2, nextval('public.tidegate_access_1_version'), $3)
               ON CONFLICT (kind, id) DO UPDATE SET version = excluded.version, body = excluded.body, changed = now()
               RETURNING version",
            &[&kind, &id, &body],
        )
        .await
        .map_err(said)?;
    write.batch_execute("NOTIFY tidegate_access_1").await.map_err(said)?;
    write.commit().await.map_err(said)?;
    Ok(u64::try_from(row.get::<_, i64>(0)).unwrap_or(0))
}

async fn changes(client: &Client, since: u64) -> Result<Vec<Entry>, StoreError> {
    let since = i64::try_from(since).unwrap_or(i64::MAX);
    let rows = client
        .query(
            "SELECT kind, id, version, body FROM public.tidegate_access_1 WHERE version > $1 ORDER BY version",
            &[&since],
        )
        .await
        .map_err(said)?;
    let entry = |row: &tokio_postgres::Row| Entry {
        kind: row.get(0),
        id: row.get(1),
        version: u64::try_from(row.get::<_, i64>(2)).unwrap_or(0),
        body: row.get(3),
    };
    Ok(rows.iter().map(entry).collect())
}

impl Store for Shared {
    fn put(&self, kind: &str, id: &str, expected: u64, body: Option<&[u8]>) -> Result<u64, StoreError> {
        let (answer, answered) = sync_channel(1);
        let job = Job::Put(kind.to_owned(), id.to_owned(), expected, body.map(<[u8]>::to_vec), answer);
        self.jobs.send(job).map_err(|_| down("its thread has ended"))?;
        answered.recv_timeout(CALL_LIMIT * 2).map_err(|_| down("its database takes too long"))?
    }

    fn changes(&self, since: u64) -> Result<Vec<Entry>, StoreError> {
        let (answer, answered) = sync_channel(1);
        self.jobs.send(Job::Changes(since, answer)).map_err(|_| down("its thread has ended"))?;
        answered.recv_timeout(CALL_LIMIT * 2).map_err(|_| down("its database takes too long"))?
    }

    fn wait(&self, limit: Duration) {
        let told = self.notified.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok((mut told, _)) = self.notified.1.wait_timeout_while(told, limit, |told| !*told) {
            *told = false;
        }
    }
}
