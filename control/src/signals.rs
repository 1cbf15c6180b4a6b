//! Signals to the process, as messages.

use crate::Listener;
use std::{io, sync::Arc};
use tokio::signal::unix::{SignalKind, signal};

/// What the operator wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM or SIGINT: finish what runs, then end; the second time, end now.
    Stop,
    /// SIGHUP: read rules, users and certificate again.
    Reload,
}

/// Catches signals from here on.
pub(crate) fn listen(listener: Arc<dyn Listener>) -> io::Result<()> {
    for (kind, meaning) in [
        (SignalKind::terminate(), Signal::Stop),
        (SignalKind::interrupt(), Signal::Stop),
        (SignalKind::hangup(), Signal::Reload),
    ] {
        let mut stream = signal(kind)?;
        let listener = Arc::clone(&listener);
        tokio::spawn(async move {
            while stream.recv().await.is_some() {
                listener.signal(meaning);
            }
        });
    }
    Ok(())
}
