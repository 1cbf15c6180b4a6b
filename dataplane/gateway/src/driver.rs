//! The driver: sockets, timers, tasks and doorbells of one core. The only module that names a runtime.
//!
//! Rules kept here, each learned from a defect of the runtime: the listening socket is ours and is only watched for
//! readiness, so no accepted socket can be lost; tasks are detached, never dropped; every session is wrapped against
//! panics by its caller; other threads wake a core through a socket pair, never through a waker; names are resolved
//! elsewhere.
//!
//! Deliberately absent: anything a session knows about.

mod on_glommio;

pub(crate) use on_glommio::{Doorbell, Listener, Socket, connect, run_core, sleep, spawn};

use std::io;
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};

/// The other end of a core's doorbell, for any thread.
#[derive(Debug)]
pub(crate) struct Ringer {
    rung: AtomicBool,
    wire: UnixStream,
}

impl Ringer {
    /// A ringer and the wire its core listens on.
    pub(crate) fn pair() -> io::Result<(Self, UnixStream)> {
        let (wire, end) = UnixStream::pair()?;
        wire.set_nonblocking(true)?;
        end.set_nonblocking(true)?;
        Ok((Self { rung: AtomicBool::new(false), wire }, end))
    }

    /// Wakes the core; many rings before it answers are one.
    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::SeqCst) {
            // A full wire is rung already.
            let _ = (&self.wire).write(&[1]);
        }
    }

    /// The core has woken and is about to look at its mail.
    pub(crate) fn answered(&self) {
        self.rung.store(false, Ordering::SeqCst);
    }
}
