//! The one ordinary async thread beside the cores: HTTP for operators, signals, catalogs of the targets.
//!
//! Invariants: it talks to the rest of the process by callbacks that return at once; it may lag or die and no statement
//! waits for it (what then stops is refreshing catalogs, reloading and metrics). Deliberately absent: glommio, sessions,
//! protocols, policy decisions. Passwords and catalogs never appear in its log.

pub mod accounts;
mod catalog;
pub mod estimate;
mod http;
pub mod names;
mod self_test;
mod signals;

pub use catalog::{Access, CatalogNews, Password};
pub use http::{Page, Pages};
pub use signals::Signal;

use std::{io, net::TcpListener, sync::Arc, thread::JoinHandle, time::Duration};
use tokio::sync::{Notify, oneshot};

/// What the thread is started with.
pub struct Settings {
    /// Bound socket for metrics, health and status.
    pub listener: Option<TcpListener>,
    /// What it answers.
    pub pages: Arc<dyn Pages>,
    /// The targets, in the order of the bundle.
    pub targets: Vec<Access>,
    /// How often catalogs are fetched again.
    pub catalog_refresh: Duration,
}

/// What the thread tells. Called on its own thread; must return at once.
pub trait Listener: Send + Sync + 'static {
    /// A signal arrived.
    fn signal(&self, signal: Signal);
    /// Something about a target's catalog.
    fn catalog(&self, target: usize, news: CatalogNews);
}

/// The running thread.
#[derive(Debug)]
pub struct Control {
    refresh: Vec<Arc<Notify>>,
    stop: Option<oneshot::Sender<()>>,
    thread: JoinHandle<io::Result<()>>,
}

/// Asks for a fresh catalog; may be kept by any thread.
#[derive(Clone, Debug)]
pub struct Refresher(Vec<Arc<Notify>>);

impl Refresher {
    /// The catalog of this target has changed. Returns at once; requests while one is under way become one.
    pub fn refresh(&self, target: usize) {
        if let Some(notify) = self.0.get(target) {
            notify.notify_one();
        }
    }
}

impl Control {
    /// Starts the thread. Signals are caught from here on.
    ///
    /// # Errors
    /// The system gives no thread, no runtime or no signals.
    pub fn start(settings: Settings, listener: Arc<dyn Listener>) -> io::Result<Self> {
        let refresh: Vec<_> = settings.targets.iter().map(|_| Arc::new(Notify::new())).collect();
        let (stop, stopped) = oneshot::channel();
        let (ready, started) = std::sync::mpsc::channel();
        let notifies = refresh.clone();
        let thread = std::thread::Builder::new().name("control".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(run(settings, listener, notifies, stopped, ready))
        })?;
        match started.recv() {
            Ok(()) => Ok(Self { refresh, stop: Some(stop), thread }),
            // The thread ended before it was ready: its result says why.
            Err(_) => match thread.join() {
                Ok(Err(error)) => Err(error),
                Ok(Ok(())) | Err(_) => Err(io::Error::other("the control thread did not start")),
            },
        }
    }

    /// For asking for fresh catalogs.
    #[must_use]
    pub fn refresher(&self) -> Refresher {
        Refresher(self.refresh.clone())
    }

    /// Whether the thread has ended by itself, which is a defect.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.thread.is_finished()
    }

    /// Ends the thread.
    pub fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // An error means that it has ended already.
            let _ended = stop.send(());
        }
        if self.thread.join().is_err() {
            tracing::error!("the control thread panicked");
        }
    }
}

async fn run(
    settings: Settings,
    listener: Arc<dyn Listener>,
    notifies: Vec<Arc<Notify>>,
    stopped: oneshot::Receiver<()>,
    ready: std::sync::mpsc::Sender<()>,
) -> io::Result<()> {
    signals::listen(Arc::clone(&listener))?;
    if let Some(socket) = settings.listener {
        socket.set_nonblocking(true)?;
        tokio::spawn(http::serve(tokio::net::TcpListener::from_std(socket)?, settings.pages));
    }
    for (index, (access, notify)) in settings.targets.into_iter().zip(notifies).enumerate() {
        tokio::spawn(catalog::keep(index, access, settings.catalog_refresh, notify, Arc::clone(&listener)));
    }
    // The caller waits for this; if it went away nobody needs the thread.
    let _gone = ready.send(());
    let _stopped = stopped.await;
    Ok(())
}
