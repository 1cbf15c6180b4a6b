//! `init`, `snapshot`, `coverage`: verbs that may look at a live target. Queries run on a current-thread runtime of their
//! own; progress goes to standard error, and only to a terminal.

use std::io::{IsTerminal, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use lineage::Catalog;
use policy::model::{Target, UpstreamTls};
use policy_compiler::sampling::{self, Samples};
use policy_compiler::snapshot::{self, Options};
use policy_compiler::{Catalogs, build, coverage, init, source};

use super::{Outcome, RuleFiles, Screen, Stop, load, print, write};

/// How to reach a live target.
#[derive(Args)]
pub(crate) struct Connection {
    /// Address of the server.
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// Database on the server.
    #[arg(long, value_name = "NAME")]
    database: Option<String>,
    /// Account to log in with.
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// TLS to the server.
    #[arg(long, value_enum, value_name = "MODE")]
    tls: Option<Tls>,
    /// PEM file of authorities to trust; default: the system's.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// File with the password; default: the environment variable PGPASSWORD.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tls {
    Disable,
    Require,
    VerifyCa,
    VerifyFull,
}

const PASSWORD_BYTES_MAX: usize = 4_096;

impl Connection {
    const fn tls(&self) -> Option<UpstreamTls> {
        match self.tls {
            None => None,
            Some(Tls::Disable) => Some(UpstreamTls::Disable),
            Some(Tls::Require) => Some(UpstreamTls::Require),
            Some(Tls::VerifyCa) => Some(UpstreamTls::VerifyCa),
            Some(Tls::VerifyFull) => Some(UpstreamTls::VerifyFull),
        }
    }

    fn password(&self) -> Result<Option<String>, Stop> {
        let Some(path) = &self.password_file else { return Ok(std::env::var("PGPASSWORD").ok()) };
        let failed = |why: &dyn std::fmt::Display| Stop::Failed(format!("{}: {why}", path.display()));
        let bytes = std::fs::read(path).map_err(|e| failed(&e))?;
        if bytes.len() > PASSWORD_BYTES_MAX {
            return Err(failed(&"too long for a password"));
        }
        let text = String::from_utf8(bytes).map_err(|_| failed(&"not valid UTF-8"))?;
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }

    /// For a target of a rule file, with what was given on the command line before what the file says.
    fn to(&self, target: &Target) -> Result<Options, Stop> {
        let or = |given: &Option<String>, default: &str| given.clone().unwrap_or_else(|| default.to_owned());
        Ok(Options {
            address: or(&self.address, &target.address),
            database: or(&self.database, &target.database),
            user: or(&self.user, &target.account),
            password: self.password()?,
            tls: self.tls().unwrap_or(target.tls),
            ca: self.ca.clone(),
        })
    }
}

/// Runs one conversation with a server.
fn block_on<T>(work: impl Future<Output = Result<T, snapshot::Error>>) -> Result<T, Stop> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Stop::failed)?;
    runtime.block_on(work).map_err(Stop::failed)
}

/// A line on the terminal that says how far the sampling is.
fn progress(done: usize, of: usize) {
    let mut err = std::io::stderr().lock();
    if err.is_terminal() {
        // A progress line that cannot be written is not worth an error.
        let _ = if done == of {
            write!(err, "\r\u{1b}[K")
        } else {
            write!(err, "\rlooking at relation {} of {of}", done + 1)
        };
        let _ = err.flush();
    }
}

fn fetch(options: &Options, sample: bool, target: usize) -> Result<(Catalog, Samples), Stop> {
    block_on(async {
        let client = snapshot::connect(options).await?;
        let catalog = snapshot::fetch(&client).await?;
        let samples =
            if sample { sampling::sample(&client, target, &catalog, &mut progress).await? } else { Samples::default() };
        Ok((catalog, samples))
    })
}

fn tell_skipped(samples: &Samples, screen: Screen) {
    if !samples.skipped.is_empty() {
        eprintln!("{}: not sampled: {}", screen.err.yellow("note"), samples.skipped.join(", "));
    }
}

#[derive(Args)]
#[command(after_help = "Proposes a class for every column that looks protected, with the reason in a comment. \
                        With --sample the content of text columns is looked at; values are never shown or written.")]
pub(crate) struct Init {
    #[command(flatten)]
    connection: Connection,
    /// Name the target gets in the rules.
    #[arg(long, default_value = "warehouse", value_name = "NAME")]
    target: String,
    /// Look at the content of columns too.
    #[arg(long)]
    sample: bool,
    /// File to write; default: standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the catalog here too.
    #[arg(long, value_name = "FILE")]
    catalog: Option<PathBuf>,
    /// Overwrite an existing file.
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(crate) fn run(&self, screen: Screen) -> Outcome {
        let need = |given: &Option<String>, option: &str| {
            given.clone().ok_or_else(|| Stop::Failed(format!("init needs {option}; see policy-compiler init --help")))
        };
        let database = need(&self.connection.database, "--database NAME")?;
        let options = Options {
            address: need(&self.connection.address, "--address HOST:PORT")?,
            user: need(&self.connection.user, "--user NAME")?,
            password: self.connection.password()?,
            tls: self.connection.tls().unwrap_or(UpstreamTls::VerifyFull),
            ca: self.connection.ca.clone(),
            database: database.clone(),
        };
        if let Some(path) = self.output.as_deref().filter(|p| p.exists() && !self.force) {
            return Err(Stop::Failed(format!("{}: exists already; --force overwrites it", path.display())));
        }
        let (catalog, samples) = fetch(&options, self.sample, 0)?;
        tell_skipped(&samples, screen);
        let start = init::Start {
            target: self.target.clone(),
            address: options.address,
            database,
            account: "gateway".to_owned(),
            tls: options.tls,
        };
        let text = init::starter(&start, &catalog, &samples.found);
        if let Some(path) = &self.catalog {
            write(path, &snapshot::encode(&catalog).map_err(Stop::failed)?)?;
        }
        match &self.output {
            None => print(&text),
            Some(path) => {
                write(path, text.as_bytes())?;
                eprintln!("{}: written; read it, then run policy-compiler check", path.display());
                Ok(())
            }
        }
    }
}

#[derive(Args)]
#[command(after_help = "Example: policy-compiler snapshot rules.yaml --target warehouse -o warehouse.catalog.json\n\
                        Only names, types, comments and view definitions are read, no rows.")]
pub(crate) struct Snapshot {
    /// Rule files that define the target.
    #[arg(required = true, value_name = "RULES")]
    rules: Vec<PathBuf>,
    /// Target; not needed if there is only one.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    #[command(flatten)]
    connection: Connection,
    /// File to write; default: standard output.
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Snapshot {
    pub(crate) fn run(&self, screen: Screen) -> Outcome {
        let mut report = policy_compiler::Report::default();
        let sources = source::Sources::read(&self.rules, &mut report);
        let rules = build::load(sources.clone(), &build::OnDisk, &mut report);
        let Some(rules) = rules else {
            eprint!("{}", report.render(&sources, screen.err));
            return Err(Stop::Findings);
        };
        let target = choose(&rules.model.targets, self.target.as_deref())?;
        let options = self.connection.to(&rules.model.targets[target])?;
        let (catalog, _) = fetch(&options, false, target)?;
        let bytes = snapshot::encode(&catalog).map_err(Stop::failed)?;
        match &self.output {
            None => print(&String::from_utf8_lossy(&bytes)),
            Some(path) => {
                write(path, &bytes)?;
                let columns: usize = catalog.relations.iter().map(|r| r.columns.len()).sum();
                eprintln!("{}: {} relations, {columns} columns", path.display(), catalog.relations.len());
                Ok(())
            }
        }
    }
}

/// Index of the target that is meant.
pub(crate) fn choose(targets: &[Target], name: Option<&str>) -> Result<usize, Stop> {
    let names: Vec<_> = targets.iter().map(|t| t.name.as_str()).collect();
    match name {
        Some(name) => names.iter().position(|n| *n == name).ok_or_else(|| {
            let near = policy_compiler::words::nearest(name, names.iter().copied());
            let fix =
                near.map_or_else(|| format!("known are {}", names.join(", ")), |n| format!("did you mean `{n}`?"));
            Stop::Failed(format!("unknown target `{name}`; {fix}"))
        }),
        None if names.len() == 1 => Ok(0),
        None => Err(Stop::Failed(format!("say which target with --target: {}", names.join(", ")))),
    }
}

#[derive(Args)]
#[command(after_help = "Exit code 1 if a column looks protected and is in no class, or a rule matches nothing.\n\
                        With --sample the target is asked for rows; values are never shown, only which detector found \
                        something and how often.")]
pub(crate) struct Coverage {
    #[command(flatten)]
    files: RuleFiles,
    /// Look at the content of a live target's text columns too.
    #[arg(long)]
    sample: bool,
    /// Target to sample; not needed if there is only one.
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
    #[command(flatten)]
    connection: Connection,
    /// JSON instead of text.
    #[arg(long)]
    json: bool,
}

impl Coverage {
    pub(crate) fn run(&self, screen: Screen) -> Outcome {
        let (mut rules, mut catalogs) = load(&self.files, screen.err)?;
        let mut samples = Samples::default();
        if self.sample {
            let target = choose(&rules.model.targets, self.target.as_deref())?;
            let (catalog, found) = fetch(&self.connection.to(&rules.model.targets[target])?, true, target)?;
            tell_skipped(&found, screen);
            samples = found;
            // What was just seen is newer than any file.
            let others = catalogs.iter().filter(|(t, _)| *t != target).map(|(t, c)| (t, c.clone()));
            catalogs = Catalogs::new(others.chain([(target, catalog)]).collect());
            rules.model.columns = policy_compiler::resolve::columns(&rules.model, &catalogs);
        }
        if catalogs.is_empty() {
            return Err(Stop::Failed("coverage needs --catalog FILE, or --sample and a live target".to_owned()));
        }
        let found = coverage::find(&rules, &catalogs, &samples.found);
        print(&if self.json { found.json(&rules) } else { found.text(&rules, screen.out) })?;
        if found.has_findings() { Err(Stop::Findings) } else { Ok(()) }
    }
}
