//! `tidegate audit verify`, ready to be called: arguments in, text out, exit code back.
//!
//! With the feature `clap` the argument structs derive `clap::Args`. Exit codes: 0 clean, 10 findings, 20 could not verify,
//! 2 arguments that cannot be understood.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::report::{EXIT_CANNOT_VERIFY, EXIT_CLEAN, Head, printable};
use crate::verify::{Options, verify_logs};

/// Arguments of `verify`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct VerifyArgs {
    /// Audit directories, one for each node
    #[cfg_attr(feature = "clap", arg(required = true, value_name = "DIR"))]
    pub directories: Vec<PathBuf>,
    /// Head that an earlier report showed (core:block:hash); the log must still contain it
    #[cfg_attr(feature = "clap", arg(long = "head", value_name = "HEAD"))]
    pub heads: Vec<String>,
    /// Report as JSON
    #[cfg_attr(feature = "clap", arg(long))]
    pub json: bool,
}

/// Why a command did not run.
#[derive(Debug)]
pub enum CliError {
    /// An argument that cannot be understood: its name, what was given, what is expected.
    Argument(&'static str, String, String),
    /// Something that the command needs cannot be had.
    Cannot(String),
    /// The output cannot be written.
    Output(io::Error),
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(name, given, expected) => write!(f, "--{name} {}: expected {expected}", printable(given)),
            Self::Cannot(why) => f.write_str(&printable(why)),
            Self::Output(error) => write!(f, "output: {error}"),
        }
    }
}

impl std::error::Error for CliError {}

impl CliError {
    /// What the program should exit with.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            // The reader of a pipe went away: it has what it wanted.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => EXIT_CLEAN,
            Self::Argument(..) => 2,
            Self::Cannot(_) | Self::Output(_) => EXIT_CANNOT_VERIFY,
        }
    }
}

/// Runs `verify`.
///
/// # Errors
/// Arguments or the output.
pub fn verify(args: &VerifyArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let mut heads = Vec::with_capacity(args.heads.len());
    for text in &args.heads {
        heads.push(Head::parse(text).ok_or_else(|| {
            CliError::Argument("head", text.clone(), "core:block:hash, as a report shows it".to_owned())
        })?);
    }
    let report = verify_logs(&args.directories, &Options { heads, ..Options::default() });
    let text = if args.json { report.json() + "\n" } else { report.text() };
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Output)?;
    Ok(report.exit_code())
}
