//! The program's arguments. Each verb is a type in a file of its own; this one holds what several share.

pub(crate) mod ask;
pub(crate) mod live;
pub(crate) mod rules;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
use policy_compiler::{Catalogs, Paint, Report, Rules, Sources, build};

/// Checks, tests, explains and compiles Tidegate rule files.
#[derive(Parser)]
#[command(
    name = "policy-compiler",
    version,
    about,
    propagate_version = true,
    disable_help_subcommand = true,
    max_term_width = 100,
    after_help = "Exit codes: 0 all is well; 1 there are findings (mistakes in rule files, failed tests, gaps); \
                  2 the command itself could not be carried out.\n\nStart: policy-compiler init --address db:5432 --database clinic --user me -o rules.yaml"
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    verb: Verb,
    /// When to use colours.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    color: Color,
}

#[derive(Clone, Copy, ValueEnum)]
enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Subcommand)]
enum Verb {
    /// Write a commented starter file from a live database.
    Init(live::Init),
    /// Write the catalog of a live target to a file.
    Snapshot(live::Snapshot),
    /// Report every mistake in rule files.
    Check(rules::Check),
    /// Write the bundle that the gateway loads.
    Compile(rules::Compile),
    /// Say what a statement gives for a role, by which rule, and why.
    Explain(ask::Explain),
    /// Run the tests in rule files.
    Test(ask::Test),
    /// Say in words what changes between two bundles or two sets of rule files.
    Diff(rules::Diff),
    /// Find protected columns that stay clear, columns that look protected and are not classified, rules without effect.
    Coverage(live::Coverage),
    /// Print the JSON Schema of rule files, for editors.
    Schema,
    /// Print completions for a shell.
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
}

/// Rule files and the catalogs to check them against.
#[derive(Args)]
pub(crate) struct RuleFiles {
    /// Rule files, or directories of *.yaml files; merged in order of their names.
    #[arg(required = true, value_name = "RULES")]
    pub(crate) rules: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) catalogs: CatalogFiles,
}

/// Catalog snapshots.
#[derive(Args)]
pub(crate) struct CatalogFiles {
    /// Catalog snapshot; with several targets as TARGET=FILE. May repeat.
    #[arg(long = "catalog", value_name = "[TARGET=]FILE")]
    pub(crate) catalogs: Vec<String>,
}

/// Why a verb did not succeed.
pub(crate) enum Stop {
    /// Findings, already printed: exit 1.
    Findings,
    /// It could not be carried out: exit 2.
    Failed(String),
}

pub(crate) type Outcome = Result<(), Stop>;

impl Stop {
    pub(crate) fn failed(e: impl std::fmt::Display) -> Self {
        Self::Failed(e.to_string())
    }
}

impl Color {
    fn paint(self, terminal: bool) -> Paint {
        match self {
            Self::Always => Paint(true),
            Self::Never => Paint(false),
            Self::Auto => Paint(terminal && std::env::var_os("NO_COLOR").is_none()),
        }
    }
}

/// Where a verb writes: paint for standard output and for standard error.
#[derive(Clone, Copy)]
pub(crate) struct Screen {
    pub(crate) out: Paint,
    pub(crate) err: Paint,
}

pub(crate) fn run() -> ExitCode {
    let cli = Cli::parse();
    let screen = Screen {
        out: cli.color.paint(std::io::stdout().is_terminal()),
        err: cli.color.paint(std::io::stderr().is_terminal()),
    };
    let outcome = match cli.verb {
        Verb::Init(v) => v.run(screen),
        Verb::Snapshot(v) => v.run(screen),
        Verb::Check(v) => v.run(screen),
        Verb::Compile(v) => v.run(screen),
        Verb::Explain(v) => v.run(screen),
        Verb::Test(v) => v.run(screen),
        Verb::Diff(v) => v.run(screen),
        Verb::Coverage(v) => v.run(screen),
        Verb::Schema => print(&policy_compiler::schema::text()),
        Verb::Completions { shell } => {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "policy-compiler", &mut text);
            print(&String::from_utf8_lossy(&text))
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Findings) => ExitCode::from(1),
        Err(Stop::Failed(message)) => {
            eprintln!("{}: {message}", screen.err.red("policy-compiler"));
            ExitCode::from(2)
        }
    }
}

/// Writes to standard output; a reader that went away is not an error.
pub(crate) fn print(text: &str) -> Outcome {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Stop::failed(e)),
        _ => Ok(()),
    }
}

/// Writes a file so that it is either the old or the new one, never half of it.
pub(crate) fn write(path: &std::path::Path, bytes: &[u8]) -> Outcome {
    let failed = |e: std::io::Error| Stop::Failed(format!("{}: {e}", path.display()));
    let mut partial = path.as_os_str().to_owned();
    partial.push(".partial");
    std::fs::write(&partial, bytes).map_err(failed)?;
    std::fs::rename(&partial, path).map_err(failed)
}

/// Loads and resolves rules; prints every mistake and warning on standard error.
pub(crate) fn load(files: &RuleFiles, paint: Paint) -> Result<(Rules, Catalogs), Stop> {
    let mut report = Report::default();
    let (rules, catalogs, sources) = load_into(&files.rules, &files.catalogs, &mut report)?;
    let text = report.render(&sources, paint);
    eprint!("{text}");
    rules.map(|r| (r, catalogs)).ok_or(Stop::Findings)
}

/// The same, with the report left to the caller.
pub(crate) fn load_into(
    paths: &[PathBuf],
    catalogs: &CatalogFiles,
    report: &mut Report,
) -> Result<(Option<Rules>, Catalogs, Sources), Stop> {
    let sources = Sources::read(paths, report);
    let unreadable = sources.files().is_empty();
    let rules = build::load(sources.clone(), &build::OnDisk, report);
    if unreadable {
        return Err(Stop::Failed(report.render(&sources, Paint(false)).trim_end().to_owned()));
    }
    let Some(mut rules) = rules else { return Ok((None, Catalogs::default(), sources)) };
    let catalogs = Catalogs::read(&catalogs.catalogs, &rules.model.targets).map_err(Stop::Failed)?;
    policy_compiler::resolve::resolve(&mut rules, &catalogs, report);
    Ok((report.is_ok().then_some(rules), catalogs, sources))
}
