//! The thread, its runtime, the listener, TLS.
//!
//! Every connection has a place, a time for its handshake, its request heads and its whole life; a peer that stalls holds
//! nothing but its place. HTTP/1.1 alone: nothing here gains from more.

use crate::signin::Source;
use crate::state::{Shared, State};
use crate::{api, assets, guard, notify, pages, signin};
use axum::Router;
use axum::extract::DefaultBodyLimit;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Semaphore, watch};
use tokio_rustls::TlsAcceptor;

/// Connections at a time; more wait in the listener's queue.
const CONNECTIONS_MAX: usize = 256;
/// Of one address, but for this machine's own, where a proxy may be; more are closed at once.
const CONNECTIONS_OF_ONE: usize = 32;
/// Largest request head, bytes.
const HEAD_BYTES_MAX: usize = 32 << 10;
/// TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// From the answer before to the end of the next request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest life of a connection.
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(600);
/// Threads for work that waits.
const WORKERS: usize = 8;

/// Where it listens, and how.
pub struct Settings {
    /// Bound listener.
    pub listener: TcpListener,
    /// TLS; nothing for plain HTTP on loopback, or behind a proxy on the same machine that speaks TLS.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// What is told outside, if anything.
    pub notices: Option<notify::Outbound>,
}

impl std::fmt::Debug for Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings").field("listener", &self.listener).field("tls", &self.tls.is_some()).finish()
    }
}

/// A console that runs. Dropped without [`stop`](Self::stop), it goes on until the process ends.
#[derive(Debug)]
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops; requests that run are broken off.
    pub fn stop(self) {
        let _listening = self.stop.send(true);
        for thread in self.threads {
            if thread.join().is_err() {
                tracing::error!("a thread of the console panicked");
            }
        }
    }
}

/// All routes.
pub(crate) fn router(state: Shared) -> Router {
    Router::new()
        .merge(pages::router())
        .merge(api::router())
        .merge(notify::router())
        .merge(assets::router())
        .with_state(Arc::clone(&state))
        .merge(signin::routes(Arc::clone(&state.desk)))
        .layer(DefaultBodyLimit::max(crate::state::FORM_BYTES_MAX))
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&state), guard::guard))
}

/// Starts serving.
///
/// # Errors
/// No thread, runtime or listener.
pub fn start(settings: Settings, state: State) -> io::Result<Running> {
    let Settings { listener, tls, notices } = settings;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(WORKERS).build()?;
    let (stop, stopped) = watch::channel(false);
    let mut threads = Vec::new();
    let state = Arc::new(state);
    if let Some(notices) = notices {
        let (engine, stopped) = (Arc::clone(&state.engine), stopped.clone());
        let origin = state.origin.clone();
        let run = move || notices.run(&engine, &origin, &|| *stopped.borrow());
        threads.push(std::thread::Builder::new().name("console-notices".to_owned()).spawn(run)?);
    }
    let listener = {
        let _inside = runtime.enter();
        tokio::net::TcpListener::from_std(listener)?
    };
    let acceptor = tls.map(TlsAcceptor::from);
    let routes = router(state);
    let run = move || {
        runtime.block_on(accept(listener, acceptor, routes, stopped));
        runtime.shutdown_timeout(Duration::from_secs(1));
    };
    threads.push(std::thread::Builder::new().name("console".to_owned()).spawn(run)?);
    Ok(Running { address, stop, threads })
}

/// Connections by address.
type Seats = Arc<Mutex<HashMap<IpAddr, usize>>>;

/// One connection of an address; given back when dropped.
struct Seat(Seats, IpAddr);

impl Seat {
    fn take(seats: &Seats, address: IpAddr) -> Option<Self> {
        let address = address.to_canonical();
        let mut taken = seats.lock().unwrap_or_else(PoisonError::into_inner);
        let of = taken.entry(address).or_insert(0);
        if *of >= CONNECTIONS_OF_ONE && !address.is_loopback() {
            return None;
        }
        *of += 1;
        Some(Self(Arc::clone(seats), address))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = taken.get_mut(&self.1) {
            *of -= 1;
            if *of == 0 {
                taken.remove(&self.1);
            }
        }
    }
}

async fn accept(
    listener: tokio::net::TcpListener,
    tls: Option<TlsAcceptor>,
    routes: Router,
    mut stopped: watch::Receiver<bool>,
) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let seats = Seats::default();
    loop {
        let accepted = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.changed() => return,
        };
        let Ok(place) = place else { return };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "the console's listener cannot accept");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let Some(seat) = Seat::take(&seats, address.ip()) else { continue };
        let (tls, routes) = (tls.clone(), routes.clone());
        tokio::spawn(async move {
            // A peer that breaks off, stalls or misbehaves is its own affair.
            let _outcome = tokio::time::timeout(CONNECTION_TIMEOUT, async {
                match tls {
                    None => converse(socket, address, routes).await,
                    Some(tls) => {
                        if let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(socket)).await {
                            converse(stream, address, routes).await;
                        }
                    }
                }
            })
            .await;
            drop((place, seat));
        });
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, address: SocketAddr, routes: Router) {
    let service = TowerToHyperService::new(routes.layer(axum::Extension(Source(address.ip().to_canonical()))));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection to the console broke off");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_does_not_take_all_places_and_gives_back_what_it_took() {
        let seats = Seats::default();
        let (one, other) = (IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2]));
        let held: Vec<Seat> = (0..CONNECTIONS_OF_ONE).map(|_| Seat::take(&seats, one).unwrap()).collect();
        assert!(Seat::take(&seats, one).is_none());
        let mapped: IpAddr = "::ffff:192.0.2.1".parse().unwrap();
        assert!(Seat::take(&seats, mapped).is_none());
        assert!(Seat::take(&seats, other).is_some());
        drop(held);
        assert!(seats.lock().unwrap().is_empty());
        let proxy = IpAddr::from([127, 0, 0, 1]);
        let many: Vec<_> = (0..2 * CONNECTIONS_OF_ONE).map(|_| Seat::take(&seats, proxy).unwrap()).collect();
        assert_eq!(many.len(), 2 * CONNECTIONS_OF_ONE);
    }
}
