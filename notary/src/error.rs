//! What can go wrong, by what has to be done about it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

/// Why the notary cannot go on.
#[derive(Debug)]
pub enum Error {
    /// The file system failed; the next attempt may succeed.
    Io(PathBuf, io::Error),
    /// Tree, checkpoint, signer and log do not belong together. Nothing is signed until somebody has looked.
    Disagree(String),
    /// The signer does not answer, or its answer makes no sense; the next attempt may succeed.
    Signer(String),
    /// A key file cannot be used.
    Key(PathBuf, String),
}

impl Error {
    /// Whether it stays wrong until somebody has looked.
    #[must_use]
    pub const fn is_lasting(&self) -> bool {
        matches!(self, Self::Disagree(_) | Self::Key(..))
    }

    pub(crate) fn at(path: &Path) -> impl Fn(io::Error) -> Self + '_ {
        |error| Self::Io(path.to_owned(), error)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Disagree(what) => f.write_str(what),
            Self::Signer(what) => write!(f, "signer: {what}"),
            Self::Key(path, what) => write!(f, "key file {}: {what}", path.display()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            _ => None,
        }
    }
}
