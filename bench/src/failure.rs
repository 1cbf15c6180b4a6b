//! Why a run of the harness ended early.
//!
//! One message in words, an interruption, or a disturbance; only an interruption and a disturbance are told apart.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// A result of the harness.
pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// Why it ended.
#[derive(Debug)]
pub enum Failure {
    /// SIGINT or SIGTERM.
    Interrupted,
    /// Something else used the machine too much for figures to mean anything; who, in words.
    Disturbed(String),
    /// In words.
    Message(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Interrupted => f.write_str("interrupted"),
            Self::Disturbed(who) => write!(f, "no report, because figures would mean nothing: {who}"),
            Self::Message(message) => f.write_str(message),
        }
    }
}

impl std::error::Error for Failure {}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Message(message)
    }
}

impl From<&str> for Failure {
    fn from(message: &str) -> Self {
        Self::Message(message.to_owned())
    }
}

/// Adds what was attempted to an error.
pub trait Doing<T> {
    /// `what` reads as "cannot …".
    fn doing(self, what: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Doing<T> for std::result::Result<T, E> {
    fn doing(self, what: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Failure::Message(format!("cannot {what}: {error}")))
    }
}

/// Says whether the user asked to stop. Every wait of the harness looks at it.
#[derive(Clone, Debug)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for SIGINT, SIGTERM and SIGHUP.
    ///
    /// # Errors
    /// The handlers cannot be installed.
    pub fn listen() -> Result<Self> {
        let flag = Arc::new(AtomicBool::new(false));
        for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&flag)).doing("listen for signals")?;
        }
        Ok(Self(flag))
    }

    /// Whether to stop now.
    #[must_use]
    pub fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// # Errors
    /// [`Failure::Interrupted`] once a signal came.
    pub fn check(&self) -> Result<()> {
        if self.asked() { Err(Failure::Interrupted) } else { Ok(()) }
    }
}
