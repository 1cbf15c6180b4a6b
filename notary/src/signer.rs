//! Who holds the log's key: this process (a key file), or another one that can say no.

use crate::{error::Error, keys::Keyring};
use tlog::{Checkpoint, Hash, Signature, VerifierKey};

/// What a signer says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignerState {
    /// The key that signs.
    pub current: VerifierKey,
    /// The key that will, while a rotation is under way.
    pub next: Option<VerifierKey>,
    /// Size and root it signed last, if it remembers that by itself.
    pub last: Option<(u64, Hash)>,
}

/// What a signer is asked to sign.
#[derive(Clone, Debug)]
pub struct SignRequest<'a> {
    /// The checkpoint.
    pub checkpoint: &'a Checkpoint,
    /// Size that it signed last, 0 for none.
    pub old: u64,
    /// From that size to the checkpoint's.
    pub proof: &'a [Hash],
    /// With the next key too: the checkpoint covers the record of the rotation.
    pub both: bool,
}

/// Signs checkpoints of one log.
pub trait Signer: Send {
    /// Its keys, and what it signed last.
    ///
    /// # Errors
    /// It does not answer.
    fn state(&mut self) -> Result<SignerState, Error>;

    /// Signs.
    ///
    /// # Errors
    /// It does not answer, or refuses.
    fn sign(&mut self, request: &SignRequest<'_>) -> Result<Vec<Signature>, Error>;

    /// Ends a rotation: `next` is the key from now on, and the old one is destroyed.
    ///
    /// # Errors
    /// It does not answer, or the key is not the one that was made.
    fn finish(&mut self, next: &VerifierKey) -> Result<(), Error>;
}

/// Signs with a key file of this process. What was signed last is known from the published checkpoint.
#[derive(Debug)]
pub struct FileSigner(Keyring);

impl FileSigner {
    /// With these keys.
    #[must_use]
    pub const fn new(keys: Keyring) -> Self {
        Self(keys)
    }
}

impl Signer for FileSigner {
    fn state(&mut self) -> Result<SignerState, Error> {
        self.0.look()?;
        Ok(SignerState { current: self.0.current().clone(), next: self.0.next().cloned(), last: None })
    }

    fn sign(&mut self, request: &SignRequest<'_>) -> Result<Vec<Signature>, Error> {
        Ok(self.0.sign(&request.checkpoint.to_string(), request.both))
    }

    fn finish(&mut self, next: &VerifierKey) -> Result<(), Error> {
        self.0.finish(next)
    }
}
