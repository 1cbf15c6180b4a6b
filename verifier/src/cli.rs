//! `tidegate audit verify`, `prove`, `check` and `consistency`, ready to be called: arguments in, text out, exit code back.
//!
//! With the feature `clap` the argument structs derive `clap::Args`. Exit codes: 0 clean or proved, 10 findings or not
//! proved, 20 cannot be verified or proved, 2 arguments that cannot be understood.

use std::fmt;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use crate::check::Outcome;
use crate::note::{NOTE_MAX, VerifierKey, decimal};
use crate::proof::{PROOF_MAX, Wanted};
use crate::report::{EXIT_CANNOT_VERIFY, EXIT_CLEAN, EXIT_FINDINGS, Head, printable};
use crate::trust::{self, Trust, WitnessPolicy};
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
    /// Key of the log or of a witness that you know from elsewhere, as NAME+ID+KEY or as a file that holds it
    #[cfg_attr(feature = "clap", arg(long = "key", value_name = "VKEY"))]
    pub keys: Vec<String>,
    /// File with the nodes, witnesses and officers that you trust (trust.json)
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE"))]
    pub trust: Option<PathBuf>,
    /// Checkpoint that you kept; the log must still contain it
    #[cfg_attr(feature = "clap", arg(long = "old-checkpoint", value_name = "FILE"))]
    pub old_checkpoints: Vec<PathBuf>,
    /// File that says which witnesses must have seen the log
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE"))]
    pub witness_policy: Option<PathBuf>,
    /// Report as JSON
    #[cfg_attr(feature = "clap", arg(long))]
    pub json: bool,
}

/// Arguments of `prove`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct ProveArgs {
    /// Audit directory
    #[cfg_attr(feature = "clap", arg(value_name = "DIR"))]
    pub directory: PathBuf,
    /// Record: CORE:SEQUENCE, SESSION/STATEMENT, SESSION/STATEMENT/TYPE (intent, block, result, release), or an approval:
    /// TG-ID (that it was used), TG-ID/STEP (request, vote, grant, consume, end)
    #[cfg_attr(feature = "clap", arg(value_name = "RECORD"))]
    pub record: String,
    /// Write the proof to this file instead of standard output
    #[cfg_attr(feature = "clap", arg(long, short, value_name = "FILE"))]
    pub output: Option<PathBuf>,
}

/// Arguments of `check`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct CheckArgs {
    /// Proof that `audit prove` made; - for standard input
    #[cfg_attr(feature = "clap", arg(value_name = "PROOF"))]
    pub proof: PathBuf,
    /// Key of the log or of a witness, as NAME+ID+KEY or as a file that holds it
    #[cfg_attr(feature = "clap", arg(long = "key", value_name = "VKEY", required = true))]
    pub keys: Vec<String>,
    /// Answer as JSON
    #[cfg_attr(feature = "clap", arg(long))]
    pub json: bool,
}

/// Arguments of `consistency`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct ConsistencyArgs {
    /// Audit directory
    #[cfg_attr(feature = "clap", arg(value_name = "DIR"))]
    pub directory: PathBuf,
    /// Checkpoint that you kept
    #[cfg_attr(feature = "clap", arg(long, value_name = "CHECKPOINT"))]
    pub from: PathBuf,
    /// Key of the log, as NAME+ID+KEY or as a file that holds it; the log's own list of keys without it
    #[cfg_attr(feature = "clap", arg(long = "key", value_name = "VKEY"))]
    pub keys: Vec<String>,
    /// Answer as JSON, with the consistency proof
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

fn put(out: &mut dyn Write, text: &str) -> Result<(), CliError> {
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(CliError::Output)
}

/// A small file, whole.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, CliError> {
    let cannot = |error: io::Error| CliError::Cannot(format!("{}: {error}", path.display()));
    let mut source: Box<dyn Read> =
        if path == Path::new("-") { Box::new(io::stdin()) } else { Box::new(File::open(path).map_err(cannot)?) };
    let mut bytes = Vec::new();
    source.by_ref().take(most + 1).read_to_end(&mut bytes).map_err(cannot)?;
    if bytes.len() as u64 > most {
        return Err(CliError::Cannot(format!("{}: longer than {most} bytes", path.display())));
    }
    Ok(bytes)
}

fn read_text(path: &Path) -> Result<String, CliError> {
    let bytes = read(path, trust::FILE_MAX)?;
    String::from_utf8(bytes).map_err(|_| CliError::Cannot(format!("{}: not UTF-8", path.display())))
}

/// Keys from arguments: each a verifier key, or a file with one on each line (after a tree size, as in `tlog/keys`).
fn keys(arguments: &[String]) -> Result<Vec<VerifierKey>, CliError> {
    let mut keys = Vec::new();
    for argument in arguments {
        if let Ok(key) = VerifierKey::parse(argument) {
            keys.push(key);
            continue;
        }
        let wrong = |why: String| CliError::Argument("key", argument.clone(), why);
        if !Path::new(argument).is_file() {
            let why = VerifierKey::parse(argument).err().unwrap_or_default();
            return Err(wrong(format!("NAME+ID+KEY, or a file that holds it ({why})")));
        }
        let text = read_text(Path::new(argument))?;
        let before = keys.len();
        for line in text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let key = line.split_once(' ').filter(|(size, _)| decimal(size).is_some()).map_or(line, |(_, key)| key);
            keys.push(VerifierKey::parse(key.trim()).map_err(|why| wrong(format!("a file of verifier keys ({why})")))?);
        }
        if keys.len() == before {
            return Err(wrong("a file that holds a verifier key".to_owned()));
        }
    }
    Ok(keys)
}

/// Runs `verify`.
///
/// # Errors
/// Arguments, files that are given, or the output.
pub fn verify(args: &VerifyArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let mut options = Options { keys: keys(&args.keys)?, ..Options::default() };
    for text in &args.heads {
        options.heads.push(Head::parse(text).ok_or_else(|| {
            CliError::Argument("head", text.clone(), "core:block:hash, as a report shows it".to_owned())
        })?);
    }
    if let Some(path) = &args.trust {
        let trust = Trust::parse(&read_text(path)?);
        options.trust = Some(trust.map_err(|why| CliError::Cannot(format!("{}: {why}", path.display())))?);
    }
    if let Some(path) = &args.witness_policy {
        let policy = WitnessPolicy::parse(&read_text(path)?);
        options.policy = Some(policy.map_err(|why| CliError::Cannot(format!("{}: {why}", path.display())))?);
    }
    for path in &args.old_checkpoints {
        options.checkpoints.push((path.display().to_string(), read(path, NOTE_MAX as u64)?));
    }
    let report = verify_logs(&args.directories, &options);
    put(out, &if args.json { report.json() + "\n" } else { report.text() })?;
    Ok(report.exit_code())
}

/// Runs `prove`.
///
/// # Errors
/// The record, the log or the output.
pub fn prove(args: &ProveArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let wanted = Wanted::parse(&args.record).ok_or_else(|| {
        let expected = "CORE:SEQUENCE, SESSION/STATEMENT, SESSION/STATEMENT/TYPE, TG-ID or TG-ID/STEP";
        CliError::Cannot(format!("{}: expected {expected}", args.record))
    })?;
    let proof = crate::prove(&args.directory, &wanted).map_err(CliError::Cannot)?;
    match &args.output {
        None => put(out, &proof)?,
        Some(path) => {
            std::fs::write(path, &proof).map_err(|error| CliError::Cannot(format!("{}: {error}", path.display())))?
        }
    }
    Ok(EXIT_CLEAN)
}

/// Runs `check`.
///
/// # Errors
/// The proof, keys or the output.
pub fn check(args: &CheckArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let keys = keys(&args.keys)?;
    let outcome = crate::check(&read(&args.proof, PROOF_MAX as u64)?, &keys).map_err(CliError::Cannot)?;
    say(&outcome, args.json, out)
}

/// Runs `consistency`.
///
/// # Errors
/// The checkpoint, the log, keys or the output.
pub fn consistency(args: &ConsistencyArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let keys = keys(&args.keys)?;
    let bytes = read(&args.from, NOTE_MAX as u64)?;
    let name = args.from.display().to_string();
    let outcome = crate::consistency(&args.directory, (&name, &bytes), &keys).map_err(CliError::Cannot)?;
    say(&outcome, args.json, out)
}

fn say(outcome: &Outcome, json: bool, out: &mut dyn Write) -> Result<u8, CliError> {
    put(out, &if json { format!("{}\n", outcome.json) } else { outcome.text.clone() })?;
    Ok(if outcome.holds { EXIT_CLEAN } else { EXIT_FINDINGS })
}
