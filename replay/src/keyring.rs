//! Keys of sessions: found in the files beside the log, opened with the reader's private keys.

use audit::record::SessionId;
use sealing::slots::{Found, Slot, Slots};
use sealing::{Identity, OpenError, SessionKey};
use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::io;
use std::path::Path;

/// Why there is no key for a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyError {
    /// The session sealed nothing.
    NotSealed,
    /// No private key was given.
    NoIdentity,
    /// There is no slot: it was erased, or its file is missing.
    Erased,
    /// The slot does not open.
    Open(OpenError),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSealed => f.write_str("the session sealed nothing"),
            Self::NoIdentity => f.write_str("sealed, and no private key was given (--identity FILE)"),
            Self::Erased => f.write_str("its key is gone: it was erased, or its file is missing"),
            Self::Open(OpenError::Wrap) => f.write_str("sealed for other people: the private key does not open it"),
            Self::Open(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for KeyError {}

/// The wrapped keys of an audit directory, and who opens them.
pub struct KeyRing {
    slots: HashMap<[u8; 16], Slot>,
    identities: Vec<Identity>,
    damaged: usize,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("slots", &self.slots.len()).finish_non_exhaustive()
    }
}

impl KeyRing {
    /// Reads every file of wrapped keys, if there is somebody to open them.
    ///
    /// # Errors
    /// The directory or a file cannot be read.
    pub fn open(directory: &Path, identities: Vec<Identity>) -> io::Result<Self> {
        let mut ring = Self { slots: HashMap::new(), identities, damaged: 0 };
        if ring.identities.is_empty() {
            return Ok(ring);
        }
        for core in fs::read_dir(directory)? {
            let core = core?;
            if !core.file_name().to_string_lossy().starts_with("core-") || !core.file_type()?.is_dir() {
                continue;
            }
            for file in fs::read_dir(core.path())? {
                let path = file?.path();
                if path.extension().is_some_and(|extension| extension == "tgkeys") {
                    ring.read(&fs::read(&path)?);
                }
            }
        }
        Ok(ring)
    }

    fn read(&mut self, bytes: &[u8]) {
        let Ok(slots) = Slots::read(bytes) else {
            self.damaged += 1;
            return;
        };
        for (_, found) in slots {
            match found {
                Found::Key(slot) => drop(self.slots.insert(slot.session, slot)),
                Found::Damaged => self.damaged += 1,
                Found::Erased => {}
            }
        }
    }

    /// Slots and files that could not be read.
    #[must_use]
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// The key of a session whose first record commits to `commitment`.
    ///
    /// # Errors
    /// Why there is none.
    pub fn key(&self, session: SessionId, commitment: &[u8; 32]) -> Result<SessionKey, KeyError> {
        if *commitment == [0; 32] {
            return Err(KeyError::NotSealed);
        }
        if self.identities.is_empty() {
            return Err(KeyError::NoIdentity);
        }
        let slot = self.slots.get(&session.0).ok_or(KeyError::Erased)?;
        slot.open(&self.identities, commitment).map_err(KeyError::Open)
    }
}
