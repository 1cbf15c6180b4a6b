//! Receivers: how a batch of events is handed over, and when that counts as done.

pub mod hec;
pub mod otlp;
pub mod s3;
pub mod syslog;
pub mod webhook;

use std::fmt;
use std::time::Duration;

use crate::event::Event;

/// Why a batch was not handed over.
#[derive(Debug)]
pub(crate) enum SendError {
    /// Try again, later and later.
    Retry(String),
    /// A new connection: what was handed over on the old one without an acknowledgement goes again.
    Lost,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Retry(why) => f.write_str(why),
            Self::Lost => f.write_str("the connection was lost"),
        }
    }
}

/// One receiver.
pub(crate) trait Sink {
    /// Hands a batch over; returns when the receiver has acknowledged it, as far as its protocol can.
    fn send(&mut self, batch: &[Event]) -> Result<(), SendError>;

    /// Events of one batch at most, and how long they may be gathered.
    fn gathers(&self) -> (usize, Duration) {
        (500, Duration::ZERO)
    }

    /// Bytes handed over so far, where what was handed over is not acknowledged.
    fn taken(&self) -> u64 {
        0
    }

    /// So many of the last of them count as not acknowledged.
    fn unacknowledged(&self) -> u64 {
        0
    }
}

/// The word for an answer that is not a success; its body may hold anything and is not shown.
pub(crate) fn refused(status: u16) -> SendError {
    SendError::Retry(format!("the receiver answers {status}"))
}
