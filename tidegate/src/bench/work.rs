//! What is run, and how long it took. Nothing here names a table.

use hdrhistogram::Histogram;
use std::{
    future::poll_fn,
    pin::pin,
    sync::Arc,
    task::Poll,
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    task::JoinSet,
};
use tokio_postgres::{Client, SimpleQueryMessage};
use tokio_rustls::TlsConnector;

use super::way::{Door, Way, said};

/// SSLRequest (PostgreSQL's protocol, "SSLRequest").
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 4, 210, 22, 47];
/// Bytes of the text in a row of the bulk read.
const ROW_TEXT_BYTES: usize = 200;
/// A row's frame: tag, length, number of columns, and a length for each of two.
const ROW_FRAME_BYTES: usize = 1 + 4 + 2 + 2 * 4;
/// A piece of work that is not over so long after its time has failed.
pub(super) const SILENCE_MAX: Duration = Duration::from_secs(10);
/// Longest time to make a row of the bulk read.
const ROW_MADE_MAX: Duration = Duration::from_micros(10);
/// Longest latency kept, in nanoseconds.
const LATENCY_NS_MAX: u64 = 600_000_000_000;

/// Small statements.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// A constant, in the simple protocol.
    Simple,
    /// A parameter that comes back, prepared once.
    Prepared,
}

/// All of them.
pub(super) const KINDS: &[Kind] = &[Kind::Simple, Kind::Prepared];

impl Kind {
    /// For the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Simple => "simple",
            Self::Prepared => "prepared",
        }
    }
}

/// What a piece of work took.
pub(super) struct Run {
    /// Statements, logins, handshakes.
    pub(super) count: u64,
    /// On the wire, of a bulk read.
    pub(super) bytes: u64,
    /// How long all of it took.
    pub(super) seconds: f64,
    /// Each, in nanoseconds.
    pub(super) latencies: Histogram<u64>,
}

/// An empty one.
#[expect(clippy::unwrap_used, reason = "constant, valid bounds")]
pub(super) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, LATENCY_NS_MAX, 3).unwrap()
}

fn record(into: &mut Histogram<u64>, since: Instant) {
    into.saturating_record(u64::try_from(since.elapsed().as_nanos()).unwrap_or(LATENCY_NS_MAX).max(1));
}

/// Statements over these connections, each one after the other, for so long, and at least one each.
pub(super) async fn statements(connections: &[Arc<Client>], kind: Kind, span: Duration) -> Result<Run, String> {
    let began = Instant::now();
    let mut clients = JoinSet::new();
    for client in connections {
        clients.spawn(one_client(Arc::clone(client), kind, began + span));
    }
    let mut latencies = histogram();
    while let Some(done) = clients.join_next().await {
        let mine = done.map_err(|error| format!("a client ended: {error}"))??;
        let _same_bounds = latencies.add(mine);
    }
    Ok(Run { count: latencies.len(), bytes: 0, seconds: began.elapsed().as_secs_f64(), latencies })
}

async fn one_client(client: Arc<Client>, kind: Kind, until: Instant) -> Result<Histogram<u64>, String> {
    let mut latencies = histogram();
    match kind {
        Kind::Simple => {
            while latencies.is_empty() || Instant::now() < until {
                let since = Instant::now();
                client.simple_query("SELECT 1").await.map_err(|error| said(&error))?;
                record(&mut latencies, since);
            }
        }
        Kind::Prepared => {
            let statement = client.prepare("SELECT $1::int4").await.map_err(|error| said(&error))?;
            let mut number = 0_i32;
            while latencies.is_empty() || Instant::now() < until {
                let since = Instant::now();
                let row = client.query_one(&statement, &[&number]).await.map_err(|error| said(&error))?;
                record(&mut latencies, since);
                if row.try_get::<_, i32>(0).ok() != Some(number) {
                    return Err("another number came back than was sent".to_owned());
                }
                number = number.wrapping_add(1);
            }
        }
    }
    Ok(latencies)
}

/// Rows that the server makes up, over a connection of their own. It may make all of them before it sends the first.
pub(super) async fn bulk(way: &Way, rows: u64) -> Result<Run, String> {
    let client = way.connect().await?;
    let text = format!("SELECT g, repeat('x', {ROW_TEXT_BYTES}) FROM generate_series(1, {rows}) AS g");
    let since = Instant::now();
    let mut stream = pin!(client.simple_query_raw(&text).await.map_err(|error| said(&error))?);
    let (mut count, mut bytes) = (0, 0);
    let limit = SILENCE_MAX + ROW_MADE_MAX * u32::try_from(rows).unwrap_or(u32::MAX);
    let mut silence = pin!(tokio::time::sleep(limit));
    let mut seen = 0;
    loop {
        let next = poll_fn(|cx| match futures_core::Stream::poll_next(stream.as_mut(), cx) {
            Poll::Ready(message) => Poll::Ready(Some(message)),
            Poll::Pending => silence.as_mut().poll(cx).map(|()| None),
        });
        match next.await {
            Some(None) => break,
            Some(Some(message)) => {
                if let SimpleQueryMessage::Row(row) = message.map_err(|error| said(&error))? {
                    let values: usize = (0..row.len()).filter_map(|i| row.get(i)).map(str::len).sum();
                    bytes += (ROW_FRAME_BYTES + values) as u64;
                    count += 1;
                }
            }
            None if count > seen => {
                seen = count;
                silence.as_mut().reset(tokio::time::Instant::now() + limit);
            }
            None => return Err(format!("no row for {} s", limit.as_secs())),
        }
    }
    if count != rows {
        return Err(format!("{count} of {rows} rows arrived"));
    }
    let mut latencies = histogram();
    record(&mut latencies, since);
    Ok(Run { count, bytes, seconds: since.elapsed().as_secs_f64(), latencies })
}

/// Logins, one after the other; each is closed before the next.
pub(super) async fn logins(way: &Way, span: Duration) -> Result<Run, String> {
    let began = Instant::now();
    let mut latencies = histogram();
    while latencies.is_empty() || began.elapsed() < span {
        let since = Instant::now();
        let client = way.connect().await?;
        record(&mut latencies, since);
        drop(client);
        // Its connection says goodbye before the next begins.
        tokio::task::yield_now().await;
    }
    Ok(Run { count: latencies.len(), bytes: 0, seconds: began.elapsed().as_secs_f64(), latencies })
}

/// Full TLS handshakes without a login.
pub(super) async fn handshakes(door: &Door, span: Duration) -> Result<Run, String> {
    let Some(tls) = &door.tls else { return Err("there is no TLS".to_owned()) };
    let mut fresh = (**tls).clone();
    fresh.resumption = rustls::client::Resumption::disabled();
    let connector = TlsConnector::from(Arc::new(fresh));
    let name = crate::tls::server_name(&door.host)?;
    let told = |error: std::io::Error| error.to_string();
    let began = Instant::now();
    let mut latencies = histogram();
    while latencies.is_empty() || began.elapsed() < span {
        let since = Instant::now();
        let mut socket = TcpStream::connect(door.address).await.map_err(told)?;
        socket.set_nodelay(true).map_err(told)?;
        socket.write_all(&SSL_REQUEST).await.map_err(told)?;
        if socket.read_u8().await.map_err(told)? != b'S' {
            return Err("the gateway offers no TLS".to_owned());
        }
        let mut secured = connector.connect(name.clone(), socket).await.map_err(told)?;
        record(&mut latencies, since);
        // What it answers to a client that goes is of no interest.
        drop(secured.shutdown().await);
    }
    Ok(Run { count: latencies.len(), bytes: 0, seconds: began.elapsed().as_secs_f64(), latencies })
}
