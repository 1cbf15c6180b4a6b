//! One admin connection: makes accounts, drops them, and sweeps those whose gateway is dead.
//!
//! The account that makes accounts is made a member of each, so that it may end their sessions and take over what they own.
//! A gateway that lives holds an advisory lock named by its life; the lock goes with its connection, so after `kill -9` too.

use super::queue::{Job, Next, Queue};
use super::{ISSUE_LIMIT, Journal, Maker, Order, quote, record};
use crate::catalog::{connect, describe};
use audit::record::SessionId;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::time::{sleep, timeout};
use tokio_postgres::Client;

/// First half of the advisory lock's key; the second is the gateway's life.
const LOCK: i32 = 0x7467_6163;
/// Between sweeps, and between attempts to connect.
const SWEEP_EVERY: Duration = Duration::from_secs(60);
const CONNECT_AGAIN: Duration = Duration::from_millis(500);
/// An account is good for logging in only this long; its session lasts longer.
const LOGIN_S: u64 = 300;
/// What another gateway made is swept when that gateway has been without its lock for this long.
const DEAD_AFTER: Duration = Duration::from_secs(60);
/// What this gateway made and does not know is swept at this age, seconds.
const LOST_S: u64 = 60;
/// Sessions of an account are given this long to go when they are terminated.
const GONE_LIMIT: Duration = Duration::from_secs(5);
const CALL_LIMIT: Duration = Duration::from_secs(8);

/// What the workers of a target share.
pub(super) struct Shared {
    pub(super) maker: Maker,
    pub(super) queue: Arc<Queue>,
    pub(super) node: String,
    pub(super) life: u32,
    pub(super) journal: Journal,
}

/// Works until told to stop and nothing is left. The first worker of a target holds the lock and sweeps.
pub(super) async fn work(shared: Arc<Shared>, first: bool, stop: Arc<AtomicBool>) {
    let mut client: Option<(Client, i64)> = None;
    let mut next_sweep = Instant::now();
    let mut suspects = HashMap::new();
    let mut starting = true;
    let mut complained = false;
    loop {
        let stopping = stop.load(Ordering::Relaxed);
        let open = match client.take().filter(|(client, _)| !client.is_closed()) {
            Some(open) => open,
            None => match open(&shared, first).await {
                Ok(open) => {
                    (complained, next_sweep) = (false, Instant::now());
                    open
                }
                Err(error) => {
                    if !std::mem::replace(&mut complained, true) {
                        tracing::error!(target = shared.maker.admin.name, "no accounts can be made: {error}");
                    }
                    for Job { order, answer, .. } in shared.queue.take_orders() {
                        shared.queue.failed(&order, false);
                        answer(Err(error.clone()));
                    }
                    if stopping {
                        return;
                    }
                    sleep(CONNECT_AGAIN).await;
                    continue;
                }
            },
        };
        if first && !stopping && next_sweep <= Instant::now() {
            if let Err(error) = sweep(&open.0, &shared, &mut suspects, starting).await {
                tracing::warn!(target = shared.maker.admin.name, "accounts cannot be swept: {error}");
            }
            starting = false;
            next_sweep = Instant::now() + SWEEP_EVERY;
        }
        match shared.queue.next() {
            Some(Next::Issue(job)) => issue(&open, &shared, job).await,
            Some(Next::Drop(order)) => {
                let began = Instant::now();
                match timeout(CALL_LIMIT + GONE_LIMIT, remove(&open.0, &order.name, &order.group)).await {
                    Ok(Ok(_)) => {
                        journal(&shared, record("drop", &order, &shared.maker.admin.name, "ended", began.elapsed()))
                    }
                    Ok(Err(_)) | Err(_) if open.0.is_closed() && !stopping => shared.queue.later(order),
                    Ok(Err(error)) => {
                        let account = order.name.as_str();
                        tracing::error!(
                            target = shared.maker.admin.name,
                            account,
                            "an account is not dropped: {error}"
                        );
                    }
                    Err(_) => {
                        let account = order.name.as_str();
                        tracing::error!(
                            target = shared.maker.admin.name,
                            account,
                            "dropping an account takes too long"
                        );
                    }
                }
            }
            None if stopping => return,
            None => {
                // A wake that was meant for another worker is made up for by looking again.
                let _woken = timeout(Duration::from_millis(500), shared.queue.news()).await;
            }
        }
        client = Some(open);
    }
}

fn journal(shared: &Shared, body: audit::Body) {
    if !(shared.journal)(body) {
        tracing::warn!(target = shared.maker.admin.name, "the log does not take the record of an account's end");
    }
}

/// A connection, and how far the server's clock is ahead of ours, seconds.
async fn open(shared: &Shared, first: bool) -> Result<(Client, i64), String> {
    let client =
        timeout(CALL_LIMIT, connect(&shared.maker.admin)).await.map_err(|_| "no connection in time".to_owned())??;
    // An account that is lost in a crash of the server is none that must be dropped.
    let prepare = "SET search_path = pg_catalog; SET synchronous_commit = off; SET statement_timeout = '7s'";
    let told = async {
        client.batch_execute(prepare).await?;
        if first {
            let life = shared.life.cast_signed();
            client.query_one("SELECT pg_catalog.pg_try_advisory_lock($1, $2)", &[&LOCK, &life]).await?;
        }
        let row = client.query_one("SELECT extract(epoch FROM clock_timestamp())::bigint", &[]).await?;
        row.try_get::<_, i64>(0)
    };
    let theirs =
        timeout(CALL_LIMIT, told).await.map_err(|_| "no answer in time".to_owned())?.map_err(|e| describe(&e))?;
    Ok((client, theirs.saturating_sub(unix_s())))
}

fn unix_s() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

async fn issue((client, ahead): &(Client, i64), shared: &Shared, job: Job) {
    let Job { order, answer, since } = job;
    let name = &shared.maker.admin.name;
    let fail = |perhaps_made: bool, why: String| {
        tracing::error!(target = name, group = order.group, "an account is not made: {why}");
        shared.queue.failed(&order, perhaps_made);
        why
    };
    if since.elapsed() > ISSUE_LIMIT {
        answer(Err(fail(false, "too many sessions begin at the same time".to_owned())));
        return;
    }
    let Some(sql) = create(&order, shared, *ahead) else {
        answer(Err(fail(false, "the role upstream has no possible name".to_owned())));
        return;
    };
    match timeout(ISSUE_LIMIT.saturating_sub(since.elapsed()), client.batch_execute(&sql)).await {
        Err(_) => answer(Err(fail(true, "no answer in time".to_owned()))),
        // What the server says of its own error holds names at most: the statement is logged there, not here.
        Ok(Err(error)) => answer(Err(fail(error.as_db_error().is_none(), describe(&error)))),
        Ok(Ok(())) => {
            if !(shared.journal)(record("issue", &order, name, &order.group, since.elapsed())) {
                answer(Err(fail(true, "the audit log takes no records".to_owned())));
            } else if shared.queue.made(&order) {
                answer(Ok(()));
            } else {
                answer(Err("the session has ended".to_owned()));
            }
        }
    }
}

/// The statements that make an account, as one transaction.
fn create(order: &Order, shared: &Shared, ahead: i64) -> Option<String> {
    let now = unix_s();
    let session_end = i64::try_from(order.until_ns / 1_000_000_000).ok().filter(|&end| end > 0).unwrap_or(i64::MAX);
    let until = (now + i64::try_from(LOGIN_S).ok()?).min(session_end.max(now + 1)).saturating_add(ahead);
    let until = jiff::Timestamp::from_second(until).ok()?.to_string();
    let account = quote::identifier(&order.name)?;
    let mut sql = format!(
        "CREATE ROLE {account} LOGIN INHERIT CONNECTION LIMIT {} PASSWORD {} VALID UNTIL {} IN ROLE {} ROLE {};",
        shared.maker.connection_limit,
        quote::text(&order.verifier)?,
        quote::text(&until)?,
        quote::identifier(&order.group)?,
        quote::identifier(&shared.maker.admin.account)?,
    );
    let mark = Mark {
        life: shared.life,
        made_s: u64::try_from(now.saturating_add(ahead)).ok()?,
        node: shared.node.clone(),
        group: order.group.clone(),
        database: shared.maker.admin.database.clone(),
        session: order.session,
    };
    // Writing to a string cannot fail.
    let _ = write!(sql, "COMMENT ON ROLE {account} IS {}", quote::text(&mark.write())?);
    Some(sql)
}

/// Ends an account's sessions and removes it; false if there was none.
async fn remove(client: &Client, name: &str, group: &str) -> Result<bool, String> {
    const LOOK: &str = "SELECT r.oid, \
        EXISTS (SELECT FROM pg_catalog.pg_shdepend d WHERE d.refclassid = 'pg_catalog.pg_authid'::regclass AND d.refobjid = r.oid), \
        (SELECT count(pg_catalog.pg_terminate_backend(a.pid)) FROM pg_catalog.pg_stat_activity a WHERE a.usesysid = r.oid) \
      FROM pg_catalog.pg_roles r WHERE r.rolname = $1";
    let began = Instant::now();
    let mut wait = Duration::from_millis(2);
    let owns = loop {
        let row = client.query_opt(LOOK, &[&name]).await.map_err(|e| describe(&e))?;
        let Some(row) = row else { return Ok(false) };
        let (owns, running): (bool, i64) = (row.get(1), row.get(2));
        if running == 0 {
            break owns;
        }
        if began.elapsed() > GONE_LIMIT {
            return Err("its session does not end".to_owned());
        }
        sleep(wait).await;
        wait = (wait * 2).min(Duration::from_millis(100));
    };
    let impossible = || "a name that cannot be".to_owned();
    let account = quote::identifier(name).ok_or_else(impossible)?;
    let mut sql = String::new();
    if owns {
        let group = quote::identifier(group).ok_or_else(impossible)?;
        let _ = write!(sql, "REASSIGN OWNED BY {account} TO {group}; DROP OWNED BY {account}; ");
    }
    let _ = write!(sql, "DROP ROLE IF EXISTS {account}");
    client.batch_execute(&sql).await.map_err(|e| describe(&e))?;
    Ok(true)
}

/// What an account's comment says.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mark {
    life: u32,
    made_s: u64,
    session: SessionId,
    database: String,
    group: String,
    node: String,
}

impl Mark {
    fn write(&self) -> String {
        let session = self.session.0.iter().fold(String::new(), |mut out, byte| {
            let _ = write!(out, "{byte:02x}");
            out
        });
        // Names may hold spaces: each is last but for those that are escaped.
        let escape = |text: &str| text.replace('%', "%25").replace(' ', "%20");
        format!(
            "tidegate-account-1 life={:08x} made={} session={session} database={} group={} node={}",
            self.life,
            self.made_s,
            escape(&self.database),
            escape(&self.group),
            escape(&self.node)
        )
    }

    fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("tidegate-account-1 ")?.split(' ');
        let mut part = |name: &str| parts.next()?.strip_prefix(name)?.strip_prefix('=').map(ToOwned::to_owned);
        let escaped = |text: String| text.replace("%20", " ").replace("%25", "%");
        let life = u32::from_str_radix(&part("life")?, 16).ok()?;
        let made_s = part("made")?.parse().ok()?;
        let hex = part("session")?;
        let mut session = [0; 16];
        if hex.len() != 32 || !hex.is_ascii() {
            return None;
        }
        for (at, byte) in session.iter_mut().enumerate() {
            *byte = u8::from_str_radix(hex.get(2 * at..2 * at + 2)?, 16).ok()?;
        }
        let (database, group, node) = (escaped(part("database")?), escaped(part("group")?), escaped(part("node")?));
        Some(Self { life, made_s, session: SessionId(session), database, group, node })
    }
}

/// Drops accounts that nobody will drop: made by a gateway that does not live any more, or by this one and lost. At the
/// start what a dead gateway of the same name left goes at once.
async fn sweep(
    client: &Client,
    shared: &Shared,
    suspects: &mut HashMap<u32, Instant>,
    starting: bool,
) -> Result<(), String> {
    // Locks of a life are looked for in all databases; what an account owns can be dropped from its own only.
    const ACCOUNTS: &str = "SELECT r.rolname::text, s.description, extract(epoch FROM clock_timestamp())::bigint, \
        EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 2 \
          AND l.classid::bigint = $1 \
          AND lpad(to_hex(l.objid::bigint), 8, '0') = substring(s.description FROM 'life=([0-9a-f]{8})')) \
      FROM pg_catalog.pg_roles r \
      JOIN pg_catalog.pg_shdescription s ON s.objoid = r.oid AND s.classoid = 'pg_catalog.pg_authid'::regclass \
      WHERE r.rolname LIKE 'tg\\_%' AND s.description LIKE 'tidegate-account-1 %'";
    let found = timeout(CALL_LIMIT, client.query(ACCOUNTS, &[&i64::from(LOCK)])).await;
    let found = found.map_err(|_| "no answer in time".to_owned())?.map_err(|e| describe(&e))?;
    let mut dead = Vec::new();
    for row in &found {
        let (name, text, now, alive): (String, String, i64, bool) = (row.get(0), row.get(1), row.get(2), row.get(3));
        let Some(mark) = Mark::read(&text).filter(|mark| mark.database == shared.maker.admin.database) else {
            continue;
        };
        let age_s = u64::try_from(now).unwrap_or(0).saturating_sub(mark.made_s);
        let gone = if mark.life == shared.life {
            age_s > LOST_S && !shared.queue.knows(&name)
        } else if alive {
            suspects.remove(&mark.life);
            false
        } else {
            let since = *suspects.entry(mark.life).or_insert_with(Instant::now);
            (starting && mark.node == shared.node) || since.elapsed() >= DEAD_AFTER
        };
        if gone {
            dead.push((name, mark));
        }
    }
    let lives: Vec<u32> = found.iter().filter_map(|row| Mark::read(row.get(1))).map(|mark| mark.life).collect();
    suspects.retain(|life, _| lives.contains(life));
    for (name, mark) in dead {
        let began = Instant::now();
        match timeout(CALL_LIMIT + GONE_LIMIT, remove(client, &name, &mark.group)).await {
            Ok(Ok(true)) => {
                tracing::info!(
                    target = shared.maker.admin.name,
                    account = name,
                    node = mark.node,
                    "an account was left over and is dropped"
                );
                let order = Order {
                    session: mark.session,
                    target: 0,
                    name,
                    verifier: String::new(),
                    group: mark.group,
                    until_ns: 0,
                };
                journal(shared, record("sweep", &order, &shared.maker.admin.name, "left over", began.elapsed()));
            }
            Ok(Ok(false)) => {}
            Ok(Err(error)) => tracing::error!(
                target = shared.maker.admin.name,
                account = name,
                "a left-over account is not dropped: {error}"
            ),
            Err(_) => tracing::error!(
                target = shared.maker.admin.name,
                account = name,
                "dropping a left-over account takes too long"
            ),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_read_as_it_was_written() {
        let mark = Mark {
            life: 0xdead_beef,
            made_s: 1_790_000_000,
            session: SessionId([0xab; 16]),
            database: "the clinic".to_owned(),
            group: "read%20only x".to_owned(),
            node: "gate'way \"1\"".to_owned(),
        };
        assert_eq!(Mark::read(&mark.write()), Some(mark));
        for wrong in ["", "tidegate-account-1 ", "tidegate-account-1 life=zz", "a comment of somebody else's"] {
            assert_eq!(Mark::read(wrong), None, "{wrong}");
        }
    }
}
