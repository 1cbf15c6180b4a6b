//! Attempts to sign in, between their steps.

use super::{Arrived, limits::Source, remembered::Remembered};
use identity::flow::{CodePending, DevicePending};
use sha2::{Digest as _, Sha256};

/// How long an attempt may take, in seconds.
pub(super) const ATTEMPT_SECONDS: u64 = 600;
/// How long a one-time code works, in seconds.
pub(super) const CODE_SECONDS: u64 = 60;
/// Most attempts of each sort at a time.
pub(super) const ATTEMPTS_MAX: usize = 10_000;

/// A command line that waits on loopback.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Waiting {
    /// SHA-256 of the verifier, base64url (RFC 7636).
    pub(super) challenge: String,
    /// Where it listens: `http://127.0.0.1:PORT/callback`.
    pub(super) redirect: String,
    /// Gives back what it sent, so that it knows its own answer.
    pub(super) state: String,
    /// What it calls itself.
    pub(super) client: String,
    /// Where it asked from.
    pub(super) source: Source,
}

/// What a sign-in is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A page of the console, by its path.
    Page(String),
    /// A command line, by the id of its request.
    CommandLine(String, Waiting),
}

/// A browser at a provider.
#[derive(Debug)]
pub(super) struct AtProvider {
    /// Short name of the provider.
    pub(super) provider: String,
    /// What has to be known of it.
    pub(super) pending: CodePending,
    /// SHA-256 of the browser's cookie.
    pub(super) browser: [u8; 32],
    /// What for.
    pub(super) purpose: Purpose,
}

/// A sign-in on another device.
#[derive(Debug)]
pub(super) struct OnDevice {
    /// Short name of the provider.
    pub(super) provider: String,
    /// What has to be known of it; taken while it is asked about.
    pub(super) pending: Option<DevicePending>,
    /// When the provider may be asked next, seconds since 1970.
    pub(super) next: u64,
    /// Where it was asked from.
    pub(super) source: Source,
}

/// Somebody who arrived, waiting for their command line.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) arrived: Arrived,
    pub(super) challenge: String,
}

/// Everything that has begun and not ended.
#[derive(Debug)]
pub(super) struct Attempts {
    /// Command lines by the id of their request.
    pub(super) waiting: Remembered<Waiting>,
    /// Browsers by their state.
    pub(super) at_provider: Remembered<AtProvider>,
    /// Devices by the secret of who asked.
    pub(super) devices: Remembered<OnDevice>,
    /// Arrivals by their one-time code.
    pub(super) finished: Remembered<Finished>,
}

impl Default for Attempts {
    fn default() -> Self {
        Self {
            waiting: Remembered::new(ATTEMPTS_MAX),
            at_provider: Remembered::new(ATTEMPTS_MAX),
            devices: Remembered::new(ATTEMPTS_MAX),
            finished: Remembered::new(ATTEMPTS_MAX),
        }
    }
}

/// SHA-256.
pub(super) fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}
