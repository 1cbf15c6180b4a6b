//! Checkpoints (C2SP `tlog-checkpoint`): the text of a note that says how large a tree is and what its root is.

use crate::hash::{Hash, decimal};
use std::fmt;

/// Longest text that is read.
const TEXT_BYTES_MAX: usize = 64 << 10;

/// A tree of a log at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// Name of the log.
    pub origin: String,
    /// Leaves.
    pub size: u64,
    /// Root over them.
    pub root: Hash,
    /// Further lines, none empty; not written by this program.
    pub extensions: Vec<String>,
}

/// The text is not a checkpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotACheckpoint;

impl fmt::Display for NotACheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a checkpoint")
    }
}

impl std::error::Error for NotACheckpoint {}

impl Checkpoint {
    /// A checkpoint without extensions.
    #[must_use]
    pub fn new(origin: &str, size: u64, root: Hash) -> Self {
        Self { origin: origin.to_owned(), size, root, extensions: Vec::new() }
    }

    /// Reads the text of a note.
    ///
    /// # Errors
    /// Anything that [`fmt::Display`] would not write.
    pub fn parse(text: &str) -> Result<Self, NotACheckpoint> {
        if text.len() > TEXT_BYTES_MAX {
            return Err(NotACheckpoint);
        }
        let mut lines = text.strip_suffix('\n').ok_or(NotACheckpoint)?.split('\n');
        let mut line = || lines.next().filter(|line| !line.is_empty()).ok_or(NotACheckpoint);
        let origin = line()?.to_owned();
        let size = decimal(line()?).ok_or(NotACheckpoint)?;
        let root = Hash::parse(line()?).ok_or(NotACheckpoint)?;
        let extensions: Vec<String> = lines.map(str::to_owned).collect();
        if extensions.iter().any(String::is_empty) {
            return Err(NotACheckpoint);
        }
        Ok(Self { origin, size, root, extensions })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}\n{}", self.origin, self.size, self.root)?;
        self.extensions.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}
