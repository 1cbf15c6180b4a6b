//! `tidegate audit query` and `export`, ready to be called: arguments in, text out, exit code back.
//!
//! Exit codes: 0 done, 2 arguments, 10 damaged places had to be stepped over, 20 the log or the output failed.

use std::fmt;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use audit::record::{Clock, Record};
use audit::{EXIT_CANNOT_VERIFY, EXIT_CLEAN, EXIT_FINDINGS, ShowError, render, time};
use serde_json::json;

use crate::export::{Export, ExportError, Format};
use crate::join::Rows;
use crate::origin::origin;
use crate::person::{Person, record};
use crate::query::{self, GROUP_FIELDS, GROUPS_MAX, Groups, Query, aligned};
use crate::row::{Row, STATEMENT, line};
use crate::unseal::Unsealer;

/// Filters of `query` and `export`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct FilterArgs {
    /// Not before this time: 2026-11-22, 2026-11-22T08:14:34Z, or 15m, 2h, 7d ago
    #[cfg_attr(feature = "clap", arg(long, value_name = "TIME"))]
    pub since: Option<String>,
    /// Before this time
    #[cfg_attr(feature = "clap", arg(long, value_name = "TIME"))]
    pub until: Option<String>,
    /// Only these persons
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME,…", value_delimiter = ','))]
    pub person: Vec<String>,
    /// Only these roles
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME,…", value_delimiter = ','))]
    pub role: Vec<String>,
    /// Only these targets
    #[cfg_attr(feature = "clap", arg(long, value_name = "NAME,…", value_delimiter = ','))]
    pub target: Vec<String>,
    /// Only statements that name one of these tables, with or without schema
    #[cfg_attr(feature = "clap", arg(long, value_name = "TABLE,…", value_delimiter = ','))]
    pub table: Vec<String>,
    /// Only statements that returned a column of one of these classes, masked or in clear
    #[cfg_attr(feature = "clap", arg(long, value_name = "CLASS,…", value_delimiter = ','))]
    pub class: Vec<String>,
    /// Only these decisions: allowed, refused, observed
    #[cfg_attr(feature = "clap", arg(long, value_name = "DECISION,…", value_delimiter = ','))]
    pub decision: Vec<String>,
    /// Only these codes of refusals
    #[cfg_attr(feature = "clap", arg(long, value_name = "CODE,…", value_delimiter = ','))]
    pub code: Vec<String>,
    /// Only these rules
    #[cfg_attr(feature = "clap", arg(long, value_name = "RULE,…", value_delimiter = ','))]
    pub rule: Vec<String>,
    /// Only these outcomes: ok, error, refused, budget, suspended, lost, cancelled, unknown_crash
    #[cfg_attr(feature = "clap", arg(long, value_name = "OUTCOME,…", value_delimiter = ','))]
    pub outcome: Vec<String>,
    /// Only these sessions (the first hexadecimal digits of their ids are enough)
    #[cfg_attr(feature = "clap", arg(long, value_name = "ID,…", value_delimiter = ','))]
    pub session: Vec<String>,
    /// Only these kinds: statement (the default of query), session-open, access, approval, credential, alarm, …, all (the
    /// default of export); an act of one by a dot, as in access.sign-in
    #[cfg_attr(feature = "clap", arg(long, value_name = "KIND,…", value_delimiter = ','))]
    pub kind: Vec<String>,
    /// Only statements that showed protected columns in clear
    #[cfg_attr(feature = "clap", arg(long, conflicts_with = "masked"))]
    pub clear: bool,
    /// Only statements whose protected columns were masked
    #[cfg_attr(feature = "clap", arg(long))]
    pub masked: bool,
}

/// Arguments of `query`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct QueryArgs {
    /// Audit directory
    pub directory: PathBuf,
    /// What is wanted
    #[cfg_attr(feature = "clap", command(flatten))]
    pub filter: FilterArgs,
    /// Count by these fields: person, role, target, table, class, shown, method, decision, code, rule, outcome, session,
    /// kind, act, day, hour, source, application, effect, issuer
    #[cfg_attr(feature = "clap", arg(long, value_name = "FIELD,…", value_delimiter = ',', conflicts_with = "count"))]
    pub group: Vec<String>,
    /// Only the number of rows
    #[cfg_attr(feature = "clap", arg(long))]
    pub count: bool,
    /// One JSON object per line
    #[cfg_attr(feature = "clap", arg(long))]
    pub json: bool,
    /// With the texts of statements
    #[cfg_attr(feature = "clap", arg(long))]
    pub texts: bool,
    /// Open sealed texts with the private key in this file; that this was done is recorded
    #[cfg_attr(feature = "clap", arg(long, value_name = "FILE", requires = "texts"))]
    pub identity: Vec<PathBuf>,
}

/// Arguments of `export`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct ExportArgs {
    /// Audit directory
    pub directory: PathBuf,
    /// Form: parquet, ocsf, ecs, json
    #[cfg_attr(feature = "clap", arg(long, value_name = "FORMAT"))]
    pub format: String,
    /// File to write; it must not exist
    #[cfg_attr(feature = "clap", arg(long, short, value_name = "FILE"))]
    pub output: PathBuf,
    /// What is wanted
    #[cfg_attr(feature = "clap", command(flatten))]
    pub filter: FilterArgs,
    /// With the texts of statements
    #[cfg_attr(feature = "clap", arg(long))]
    pub texts: bool,
    /// Why, for the record of the export
    #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT", default_value = "", hide_default_value = true))]
    pub reason: String,
}

/// Why a command did not run.
#[derive(Debug)]
pub enum CliError {
    /// An argument that cannot be understood: its name, what was given, what is expected.
    Argument(&'static str, String, String),
    /// The log cannot be read.
    Show(ShowError),
    /// An output cannot be written.
    Output(PathBuf, io::Error),
    /// What was asked for cannot be done, in words.
    Refused(String),
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Argument(name, given, expected) => {
                write!(f, "--{name} {}: expected {expected}", render::printable(given.as_bytes()))
            }
            Self::Show(error) => error.fmt(f),
            Self::Output(path, error) => write!(f, "{}: {error}", path.display()),
            Self::Refused(why) => f.write_str(why),
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
            Self::Output(_, error) if error.kind() == io::ErrorKind::BrokenPipe => EXIT_CLEAN,
            Self::Argument(..) => 2,
            Self::Show(_) | Self::Output(..) | Self::Refused(_) => EXIT_CANNOT_VERIFY,
        }
    }
}

impl From<ShowError> for CliError {
    fn from(error: ShowError) -> Self {
        Self::Show(error)
    }
}

/// Standard output failed.
fn output(error: io::Error) -> CliError {
    CliError::Output(PathBuf::from("output"), error)
}

/// A time of the command line.
///
/// # Errors
/// It is not one.
pub fn moment(name: &'static str, text: &str) -> Result<u64, CliError> {
    let expected = "a time such as 2026-11-22T08:14:34Z, 2026-11-22 or 15m";
    time::parse(text, Clock::now().wall_ns)
        .ok_or_else(|| CliError::Argument(name, text.to_owned(), expected.to_owned()))
}

impl FilterArgs {
    /// The query that the arguments ask for.
    ///
    /// # Errors
    /// Arguments that make no sense.
    pub fn query(&self) -> Result<Query, CliError> {
        let mut kind = Vec::new();
        for word in &self.kind {
            kind.push(query::kind(word).ok_or_else(|| {
                let expected =
                    "statement, all, or a type of record such as session-open, auth-fail, access, approval, alarm";
                CliError::Argument("kind", word.clone(), expected.to_owned())
            })?);
        }
        let mut decision = Vec::new();
        for word in &self.decision {
            decision.push(query::decision(word).ok_or_else(|| {
                CliError::Argument("decision", word.clone(), "allowed, refused or observed".to_owned())
            })?);
        }
        if let Some(bad) = self.session.iter().find(|s| s.is_empty() || !s.bytes().all(|b| b.is_ascii_hexdigit())) {
            return Err(CliError::Argument("session", bad.clone(), "hexadecimal digits".to_owned()));
        }
        Ok(Query {
            since_ns: self.since.as_deref().map(|text| moment("since", text)).transpose()?,
            until_ns: self.until.as_deref().map(|text| moment("until", text)).transpose()?,
            person: self.person.clone(),
            role: self.role.clone(),
            target: self.target.clone(),
            table: self.table.clone(),
            class: self.class.clone(),
            decision,
            code: self.code.clone(),
            rule: self.rule.clone(),
            outcome: self.outcome.clone(),
            session: self.session.iter().map(|s| s.to_ascii_lowercase()).collect(),
            kind,
            clear: if self.clear {
                Some(true)
            } else if self.masked {
                Some(false)
            } else {
                None
            },
        })
    }
}

/// Goes through the wanted rows. Damaged places are told on `notes` and make the exit code 10.
///
/// # Errors
/// The log's directory, or what `each` says.
pub fn walk(
    directory: &Path,
    query: &Query,
    notes: &mut dyn Write,
    mut each: impl FnMut(&mut Row) -> Result<(), CliError>,
) -> Result<u8, CliError> {
    walk_all(directory, notes, |row| if query.wants(row) { each(row) } else { Ok(()) })
}

/// Goes through all rows, as [`walk`].
///
/// # Errors
/// As [`walk`].
pub fn walk_all(
    directory: &Path,
    notes: &mut dyn Write,
    mut each: impl FnMut(&mut Row) -> Result<(), CliError>,
) -> Result<u8, CliError> {
    let mut code = EXIT_CLEAN;
    for item in Rows::open(directory)? {
        match item {
            Ok(mut row) => each(&mut row)?,
            Err(error) => {
                code = EXIT_FINDINGS;
                // The notes are a courtesy; the exit code says it too.
                let _ = writeln!(notes, "!! {}", render::printable(error.to_string().as_bytes()));
            }
        }
    }
    Ok(code)
}

/// Runs `query`.
///
/// # Errors
/// Arguments, the log's directory or the output.
pub fn query(args: &QueryArgs, out: &mut dyn Write, notes: &mut dyn Write) -> Result<u8, CliError> {
    let query = args.filter.query()?;
    let origin = origin(&args.directory);
    let code = if args.count {
        let mut count = 0u64;
        let code = walk(&args.directory, &query, notes, |_| {
            count += 1;
            Ok(())
        })?;
        let text = if args.json { json!({"count": count}).to_string() } else { count.to_string() };
        writeln!(out, "{text}").map_err(output)?;
        code
    } else if !args.group.is_empty() {
        let mut groups = Groups::by(&args.group)
            .map_err(|field| CliError::Argument("group", field, format!("fields of {}", GROUP_FIELDS.join(", "))))?;
        let code = walk(&args.directory, &query, notes, |row| {
            groups.add(row).map_err(|_| {
                CliError::Refused(format!("more than {GROUPS_MAX} groups; group by fewer fields or filter"))
            })
        })?;
        if args.json {
            for group in groups.json() {
                writeln!(out, "{}", line(&group)).map_err(output)?;
            }
        } else {
            out.write_all(aligned(&groups.table()).as_bytes()).map_err(output)?;
        }
        code
    } else {
        if !args.json {
            writeln!(out, "{}", head()).map_err(output)?;
        }
        let mut unsealer = None;
        if !args.identity.is_empty() {
            unsealer = Some(Unsealer::open(&args.directory, &args.identity).map_err(CliError::Refused)?);
            // Before the first text is shown.
            let (person, detail) = (Person::of_process(), query.describe() + " texts opened");
            let act = Record::Export { actor: person.actor(), reason: "", kind: "query", detail: &detail, count: 0 };
            record(&args.directory, &[act]).map_err(CliError::Refused)?;
        }
        walk(&args.directory, &query, notes, |row| {
            if let Some(unsealer) = &mut unsealer {
                unsealer.row(row);
            }
            let text = if args.json { line(&row.json(&origin, args.texts)) } else { shown(row, args.texts) };
            writeln!(out, "{text}").map_err(output)
        })?
    };
    out.flush().map_err(output)?;
    Ok(code)
}

/// Widths of the table's columns; rows come one by one, so that they cannot depend on them.
const WIDTHS: [usize; 8] = [27, 16, 12, 10, 8, 9, 8, 8];

fn cells<const N: usize>(cells: [&str; N]) -> String {
    let mut out = String::new();
    for (cell, width) in cells.iter().zip(WIDTHS) {
        out.push_str(&format!("{cell:<width$} "));
    }
    out
}

fn head() -> String {
    cells(["TIME", "ID", "PERSON", "TARGET", "DECISION", "OUTCOME", "CODE", "ROWS"]) + "WHAT"
}

fn shown(row: &Row, texts: bool) -> String {
    let p = |text: &str| if text.is_empty() { "-".to_owned() } else { render::printable(text.as_bytes()) };
    let id = format!("{}/{}", row.place.core, row.place.sequence);
    let decision = if row.kind == STATEMENT { row.decision.name() } else { row.kind };
    let rows = if row.kind == STATEMENT { row.rows.to_string() } else { "-".to_owned() };
    let mut out = cells([
        &time::format(row.begin_ns, 6),
        &id,
        &p(&row.facts.person),
        &p(&row.facts.target),
        decision,
        &p(&row.outcome),
        &p(&row.code),
        &rows,
    ]);
    let mut parts = Vec::new();
    if !row.tables.is_empty() {
        parts.push(row.tables.iter().map(|t| p(t)).collect::<Vec<_>>().join(","));
    } else if row.kind == STATEMENT {
        parts.push(row.effects().join(","));
    }
    if !row.rule.is_empty() {
        parts.push(format!("rule {}", p(&row.rule)));
    }
    let names = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>().join(",");
    if !row.masked.is_empty() {
        let verb = if row.decision == crate::row::Decision::Observed { "would mask" } else { "masked" };
        parts.push(format!(
            "{verb} {}",
            names(&mut row.masked.iter().map(|c| format!("{}:{}", p(&c.column), p(&c.class))))
        ));
    }
    if !row.clear.is_empty() {
        parts.push(format!(
            "clear {}",
            names(&mut row.clear.iter().map(|c| format!("{}:{}", p(&c.column), p(&c.class))))
        ));
    }
    if !row.fields.is_empty() {
        parts.push(p(&row.detail()));
    }
    if let Some(text) = row.text.shown().filter(|_| texts) {
        parts.push(render::printable(text.as_bytes()));
    }
    out.push_str(&parts.join(" · "));
    out.trim_end().to_owned()
}

/// Runs `export`.
///
/// # Errors
/// Arguments, the log's directory or the output.
pub fn export(args: &ExportArgs, out: &mut dyn Write, notes: &mut dyn Write) -> Result<u8, CliError> {
    let format = Format::parse(&args.format)
        .ok_or_else(|| CliError::Argument("format", args.format.clone(), "parquet, ocsf, ecs or json".to_owned()))?;
    let mut query = args.filter.query()?;
    if query.kind.is_empty() {
        query.kind.push("*".to_owned());
    }
    let origin = origin(&args.directory);
    let failed = |error: ExportError| match error {
        ExportError::Output(error) => CliError::Output(args.output.clone(), error),
        error @ ExportError::Parquet(_) => CliError::Refused(error.to_string()),
    };
    let failed_io = |error| CliError::Output(args.output.clone(), error);
    if args.output.symlink_metadata().is_ok() {
        return Err(failed_io(io::ErrorKind::AlreadyExists.into()));
    }
    // The file gets its name when the export is recorded, not before.
    let mut partial = args.output.clone().into_os_string();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    let mut written = || {
        let file = private(&partial).map_err(failed_io)?;
        let mut export = Export::begin(format, &origin, args.texts, BufWriter::new(file)).map_err(failed)?;
        let code = walk(&args.directory, &query, notes, |row| export.row(row).map_err(failed))?;
        let (file, rows) = export.finish().map_err(failed)?;
        file.into_inner().map_err(|error| failed_io(error.into_error()))?.sync_all().map_err(failed_io)?;
        let person = Person::of_process();
        let detail = query.describe() + if args.texts { " texts" } else { "" };
        let (reason, kind) = (args.reason.as_str(), format.name());
        let act = Record::Export { actor: person.actor(), reason, kind, detail: &detail, count: rows };
        record(&args.directory, &[act]).map_err(CliError::Refused)?;
        std::fs::rename(&partial, &args.output).map_err(failed_io)?;
        Ok((code, rows))
    };
    let (code, rows) = written().inspect_err(|_: &CliError| {
        // What is left of it is of no use; that it could not be removed neither.
        let _ = std::fs::remove_file(&partial);
    })?;
    writeln!(out, "{rows} rows in {}", args.output.display()).and_then(|()| out.flush()).map_err(output)?;
    Ok(code)
}

/// A new file for the account of this process alone.
pub(crate) fn private(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let _gone = std::fs::remove_file(path);
    File::options().write(true).create_new(true).mode(0o600).open(path)
}
