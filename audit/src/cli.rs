//! `tidegate audit show`, ready to be called: arguments in, text out, exit code back.
//!
//! With the feature `clap` the argument structs derive `clap::Args`.

use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;

use crate::body::{Body, TYPE_NAMES};
use crate::record::Clock;
use crate::render;
use crate::show::{Filter, ShowError, is_kind};
use crate::time;

/// Arguments of `show`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct ShowArgs {
    /// Audit directory
    pub directory: PathBuf,
    /// Only this session (the first hexadecimal digits of its id are enough)
    #[cfg_attr(feature = "clap", arg(long, value_name = "ID"))]
    pub session: Option<String>,
    /// Only this user
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
    pub user: Option<String>,
    /// Only this target
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
    pub target: Option<String>,
    /// Only this type of record, for example intent, block, result, session-open
    #[cfg_attr(feature = "clap", arg(long, value_name = "TYPE"))]
    pub kind: Option<String>,
    /// Not before this time: 2026-11-22, 2026-11-22T08:14:34Z, or 15m, 2h, 7d ago
    #[cfg_attr(feature = "clap", arg(long, value_name = "TIME"))]
    pub since: Option<String>,
    /// Not after this time
    #[cfg_attr(feature = "clap", arg(long, value_name = "TIME"))]
    pub until: Option<String>,
    /// Only the last N records of those that match
    #[cfg_attr(feature = "clap", arg(long, short = 'n', value_name = "N"))]
    pub last: Option<usize>,
    /// One JSON object per line
    #[cfg_attr(feature = "clap", arg(long))]
    pub json: bool,
    /// Statement texts in full, however long
    #[cfg_attr(feature = "clap", arg(long))]
    pub full: bool,
}

/// All was shown.
pub const EXIT_CLEAN: u8 = 0;
/// Damaged places had to be stepped over.
pub const EXIT_FINDINGS: u8 = 10;
/// The log could not be read.
pub const EXIT_CANNOT_VERIFY: u8 = 20;

/// Why a command did not run.
#[derive(Debug)]
pub enum CliError {
    /// An argument that cannot be understood: its name, what was given, what is expected.
    Argument(&'static str, String, String),
    /// The log cannot be read.
    Show(ShowError),
    /// The output cannot be written.
    Output(io::Error),
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(name, given, expected) => {
                write!(f, "--{name} {}: expected {expected}", render::printable(given.as_bytes()))
            }
            Self::Show(error) => error.fmt(f),
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
            Self::Show(_) | Self::Output(_) => EXIT_CANNOT_VERIFY,
        }
    }
}

/// Runs `show`. Exit code 10 if damaged places had to be stepped over.
///
/// # Errors
/// Arguments, the log's directory or the output.
pub fn show(args: &ShowArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    show_opened(args, &mut |_| {}, out)
}

/// The same; `open` may put the text of a record in the place of its sealed one.
///
/// # Errors
/// As for [`show`].
pub fn show_opened(args: &ShowArgs, open: &mut dyn FnMut(&mut Body), out: &mut dyn Write) -> Result<u8, CliError> {
    let now = Clock::now().wall_ns;
    let moment = |name, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => time::parse(text, now).map(Some).ok_or_else(|| {
            CliError::Argument(name, text.clone(), "a time such as 2026-11-22T08:14:34Z, 2026-11-22 or 15m".to_owned())
        }),
    };
    if let Some(kind) = args.kind.as_ref().filter(|kind| !TYPE_NAMES.iter().any(|name| is_kind(name, kind))) {
        return Err(CliError::Argument("kind", kind.clone(), format!("one of {}", TYPE_NAMES.join(", "))));
    }
    let filter = Filter {
        session: args.session.clone(),
        user: args.user.clone(),
        target: args.target.clone(),
        kind: args.kind.clone(),
        since_ns: moment("since", &args.since)?,
        until_ns: moment("until", &args.until)?,
        last: args.last,
    };
    let mut code = EXIT_CLEAN;
    for item in crate::show::show(&args.directory, filter).map_err(CliError::Show)? {
        let item = item.map(|mut entry| {
            open(&mut entry.record.body);
            entry
        });
        let line = match item {
            Ok(entry) if args.json => render::json(&entry),
            Ok(entry) => render::line(&entry, args.full),
            Err(error) => {
                code = EXIT_FINDINGS;
                if args.json {
                    render::Json::new().text("error", &error.to_string()).finish()
                } else {
                    format!("!! {}", render::printable(error.to_string().as_bytes()))
                }
            }
        };
        writeln!(out, "{line}").map_err(CliError::Output)?;
    }
    out.flush().map_err(CliError::Output)?;
    Ok(code)
}
