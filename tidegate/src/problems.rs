//! What is wrong with the files of a configuration, collected so that one run shows everything.
//!
//! A [`Problem`] names file, line and column and says how to mend it. It never quotes a secret's content.

use std::{
    fmt,
    path::{Path, PathBuf},
};

/// Where in a file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: u32,
    /// Column, in characters.
    pub column: u32,
}

/// Whether a gateway can run with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// It cannot.
    Error,
    /// It can, but should not.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// The file, as it was named.
    pub file: PathBuf,
    /// Where in the file; `None` for the file as a whole, or for the process.
    pub place: Option<Place>,
    /// What, and what to do.
    pub text: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.file.display())?;
        if let Some(place) = self.place {
            write!(f, "{}:{}:", place.line, place.column)?;
        }
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, " {severity}: {}", self.text)
    }
}

/// All that is wrong.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(Vec<Problem>);

impl Problems {
    /// Nothing wrong so far.
    #[must_use]
    pub const fn new() -> Self {
        Self(Vec::new())
    }

    /// Adds something a gateway cannot run with.
    pub fn error(&mut self, file: &Path, place: Option<Place>, text: impl Into<String>) {
        self.push(Severity::Error, file, place, text.into());
    }

    /// Adds something that should be mended.
    pub fn warning(&mut self, file: &Path, place: Option<Place>, text: impl Into<String>) {
        self.push(Severity::Warning, file, place, text.into());
    }

    fn push(&mut self, severity: Severity, file: &Path, place: Option<Place>, text: String) {
        self.0.push(Problem { severity, file: file.to_owned(), place, text });
    }

    /// Whether there is an error, not only warnings.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|p| p.severity == Severity::Error)
    }

    /// Number of errors and of warnings.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let errors = self.0.iter().filter(|p| p.severity == Severity::Error).count();
        (errors, self.0.len() - errors)
    }

    /// In the order in which they were found.
    pub fn iter(&self) -> impl Iterator<Item = &Problem> {
        self.0.iter()
    }
}

/// One line for each.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}
