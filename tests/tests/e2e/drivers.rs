//! More clients through the gateway that allows everything: pgbench in every protocol, tokio-postgres, cancelling, limits
//! that the server enforces.

use crate::plain::{direct, through};
use futures_util::{StreamExt, TryStreamExt};
use tests::{
    clients,
    endpoint::Endpoint,
    process::{PATIENCE, wait_until},
    server::{PASSWORD, Postgres},
    wire::{Wire, cancel_request, query},
};
use tokio_postgres::{Client, NoTls, error::SqlState};

#[test]
fn pgbench_runs_in_every_protocol_without_a_failed_transaction() {
    clients::pgbench(&direct(), &["-i", "-q", "-s", "1"]).success();
    for mode in ["simple", "extended", "prepared"] {
        for script in ["select-only", "tpcb-like", "simple-update"] {
            let done =
                clients::pgbench(&through(), &["-n", "-b", script, "-M", mode, "-c", "4", "-j", "2", "-t", "60"])
                    .success();
            let text = done.text();
            assert!(text.contains("number of transactions actually processed: 240/240"), "{mode} {script}: {text}");
            assert!(text.contains("number of failed transactions: 0"), "{mode} {script}: {text}");
        }
    }
    let sums = "select (select sum(abalance) from pgbench_accounts) = (select sum(delta) from pgbench_history)";
    assert_eq!(clients::rows(&direct(), sums).text().trim(), "t", "an update was lost or done twice");
    let history = clients::rows(&direct(), "select count(*) from pgbench_history").text();
    assert_eq!(history.trim(), (240 * 2 * 3).to_string(), "every update was run exactly once");
}

#[test]
fn pgbench_pipelines_without_a_failed_transaction() {
    let folder = tests::folder::Folder::new("pgbench");
    let script = folder.write(
        "pipeline.sql",
        "\\startpipeline\nselect 1;\nselect 2;\nselect i4 from kinds where i4 < 5;\n\\endpipeline\n",
    );
    let script = script.to_str().unwrap();
    for mode in ["extended", "prepared"] {
        let done = clients::pgbench(&through(), &["-n", "-f", script, "-M", mode, "-c", "4", "-t", "100"]).success();
        assert!(done.text().contains("actually processed: 400/400"), "{}", done.both());
    }
}

fn with_tokio<T>(endpoint: &Endpoint, work: impl AsyncFnOnce(&mut Client) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let mut config = tokio_postgres::Config::new();
        config.host("127.0.0.1").port(endpoint.port).user(&endpoint.user).password(PASSWORD).dbname(&endpoint.database);
        let (mut client, connection) = config.connect(NoTls).await.unwrap();
        let connection = tokio::spawn(connection);
        let result = tokio::time::timeout(2 * PATIENCE, work(&mut client)).await.expect("the work takes too long");
        drop(client);
        connection.await.unwrap().unwrap();
        result
    })
}

#[test]
fn tokio_postgres_gets_the_same_rows_pipelined_and_by_portal() {
    let work = |endpoint: &Endpoint| {
        with_tokio(endpoint, async |client| {
            let mut seen = Vec::new();
            let statement = client.prepare("select $1::int4 * 2, repeat('w', $1)").await.unwrap();
            let ask = |n: i32| {
                let (client, statement) = (&*client, &statement);
                async move { client.query_one(statement, &[&n]).await }
            };
            // All are sent before the first is answered.
            for row in futures_util::future::join_all((0..200).map(ask)).await {
                let row = row.unwrap();
                seen.push(format!("{} {}", row.get::<_, i32>(0), row.get::<_, String>(1)));
            }
            let transaction = client.transaction().await.unwrap();
            let portal = transaction.bind("select i4, t, by from kinds order by i4", &[]).await.unwrap();
            for limit in [3, 1, 50, 1_000, 5] {
                let rows = transaction.query_portal(&portal, limit).await.unwrap();
                seen.push(format!(
                    "{limit}: {:?}",
                    rows.iter().map(|row| (row.get::<_, i32>(0), row.get::<_, Option<String>>(1))).collect::<Vec<_>>()
                ));
            }
            let refused = transaction.execute("select 1/0", &[]).await.unwrap_err();
            assert_eq!(refused.code(), Some(&SqlState::DIVISION_BY_ZERO));
            transaction.rollback().await.unwrap();
            let out = client.copy_out("copy (select i4, t from kinds order by i4) to stdout").await.unwrap();
            let text: Vec<_> = out.try_collect::<Vec<_>>().await.unwrap().concat();
            seen.push(String::from_utf8(text).unwrap());
            let mut stream = std::pin::pin!(
                client.query_raw("select g from generate_series(1, 3000) g", Vec::<i32>::new()).await.unwrap()
            );
            let mut sum = 0;
            while let Some(row) = stream.next().await {
                sum += row.unwrap().get::<_, i32>(0);
            }
            seen.push(sum.to_string());
            seen
        })
    };
    let expected = work(&direct());
    assert_eq!(work(&through()), expected);
}

/// A cancel request that comes before its statement does nothing.
fn wait_until_it_runs(sql: &str) {
    let text = sql.replace('\'', "''");
    let active = format!("select count(*) from pg_stat_activity where state = 'active' and query = '{text}'");
    wait_until("it runs", PATIENCE, || Postgres::shared().sql("postgres", &active).trim() == "1");
}

#[test]
fn s3_a_cancel_request_stops_the_running_statement_and_no_other() {
    let endpoint = through();
    let mut keeper = Wire::login(&direct());
    keeper.query("select pg_advisory_lock(5014)");
    let mut sleeping = Wire::login(&endpoint);
    let mut other = Wire::login(&endpoint);
    sleeping.send(&query("select pg_sleep(600), 'cancelled'"));
    other.send(&query("select pg_advisory_lock(5014), 'undisturbed'"));
    wait_until_it_runs("select pg_sleep(600), 'cancelled'");
    wait_until_it_runs("select pg_advisory_lock(5014), 'undisturbed'");
    Wire::open(endpoint.port).send(&cancel_request(&sleeping.key));
    let frames = sleeping.until_ready(1);
    assert_eq!(frames[frames.len() - 2].field(b'C').as_deref(), Some("57014"), "{frames:?}");
    keeper.query("select pg_advisory_unlock(5014)");
    assert_eq!(tests::wire::tags(&other.until_ready(1)), "TDCZ");
    assert_eq!(tests::wire::tags(&sleeping.query("select 1")), "TDCZ", "the session goes on");
}

#[test]
fn s3_a_cancel_request_with_a_wrong_key_does_nothing() {
    let endpoint = through();
    let mut keeper = Wire::login(&direct());
    keeper.query("select pg_advisory_lock(5015)");
    let mut working = Wire::login(&endpoint);
    working.send(&query("select pg_advisory_lock(5015), 'not concerned'"));
    wait_until_it_runs("select pg_advisory_lock(5015), 'not concerned'");
    for bit in 0..64 {
        let mut key = working.key.clone();
        key[bit / 8] ^= 1 << (bit % 8);
        let mut wire = Wire::open(endpoint.port);
        wire.send(&cancel_request(&key));
        assert!(wire.to_end().is_empty(), "a cancel request is never answered");
    }
    keeper.query("select pg_advisory_unlock(5015)");
    assert_eq!(tests::wire::tags(&working.until_ready(1)), "TDCZ");
}

#[test]
fn s3_the_servers_own_cancel_keys_never_reach_a_client() {
    let mut wire = Wire::login(&through());
    let frames = wire.query("select pg_backend_pid()");
    let upstream = String::from_utf8(frames[1].values()[0].clone().unwrap()).unwrap();
    let given = u32::from_be_bytes(wire.key[..4].try_into().unwrap());
    assert_ne!(upstream, given.to_string());
}

#[test]
fn statement_timeout_and_termination_by_the_server_reach_the_client() {
    let mut wire = Wire::login(&through());
    // While the timeout is short, a server that stands still can end any statement by it.
    let pid = wire.query("select pg_backend_pid()")[1].values()[0].clone().unwrap();
    let pid = String::from_utf8(pid).unwrap();
    wire.query("set statement_timeout = '50ms'");
    let frames = wire.query("select pg_sleep(600)");
    assert_eq!(frames[0].field(b'C').or_else(|| frames[1].field(b'C')).as_deref(), Some("57014"));
    Postgres::shared().sql("postgres", &format!("select pg_terminate_backend({pid})"));
    let last = wire.to_end();
    assert!(last.windows(5).any(|window| window == b"57P01"), "the server's last word is passed on");
}

#[test]
fn notifications_reach_an_idle_listener() {
    let mut listener = Wire::login(&through());
    listener.query("listen idle_channel");
    clients::rows(&through(), "notify idle_channel, 'wake up'").success();
    let frame = listener.read().unwrap();
    assert_eq!(frame.tag, b'A');
    assert!(frame.body.ends_with(b"idle_channel\0wake up\0"), "{frame:?}");
}

#[test]
fn sessions_do_not_leak_upstream_connections() {
    let server = Postgres::shared();
    for _ in 0..40 {
        clients_quick(&through());
    }
    wait_until("upstream sessions are closed", PATIENCE, || {
        let count = "select count(*) from pg_stat_activity where application_name = 'short lived'";
        server.sql("postgres", count).trim() == "0"
    });
}

fn clients_quick(endpoint: &Endpoint) {
    let mut wire = Wire::login(endpoint);
    wire.query("set application_name = 'short lived'");
}
