//! The program: arguments in, exit code out. Everything else is in the library.

use clap::{Args, CommandFactory as _, Parser, Subcommand};
use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};
use tidegate::{
    access_cli, bench, forwarders, keys, login, prepare, problems::Problems, replays, secrets::SecretSource,
    secrets_cli, serve, status, users, vouch,
};
use zeroize::Zeroizing;

/// A gateway in front of databases: masks protected columns, refuses dangerous statements, records everything.
#[derive(Parser)]
#[command(name = "tidegate", version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway
    Serve {
        #[command(flatten)]
        config: ConfigFile,
        /// Start although the audit log is shorter than a witness or the signer knows; the loss is recorded
        #[arg(long)]
        accept_loss: bool,
        /// What runs the cores, instead of what the file says: `uring` or `glommio`
        #[arg(long, value_name = "DRIVER", value_parser = driver)]
        driver: Option<gateway::Driver>,
    },
    /// Check everything `serve` would need, and report all problems at once
    CheckConfig(ConfigFile),
    /// Ask a running gateway how it is
    Status {
        #[command(flatten)]
        config: ConfigFile,
        /// Address of its metrics listener, instead of the configuration's
        #[arg(long, value_name = "IP:PORT")]
        address: Option<std::net::SocketAddr>,
        /// The status as JSON
        #[arg(long)]
        json: bool,
    },
    /// Measure a running gateway, as one of its users and without touching data
    Bench {
        #[command(flatten)]
        config: ConfigFile,
        #[command(flatten)]
        bench: bench::BenchArgs,
    },
    /// Change the users file
    #[command(subcommand)]
    User(UserCommand),
    /// Make keys for those who may open what the gateway seals
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Read the audit log
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Evidence packs for auditors
    #[command(subcommand)]
    Evidence(evidence::acts::EvidenceCommand),
    /// Hold the key of a log in a process of its own
    Signer(vouch::cli::SignerArgs),
    /// Be a witness of logs
    #[command(subcommand)]
    Witness(vouch::cli::WitnessCommand),
    /// List and show the sessions of the audit log
    #[command(subcommand)]
    Sessions(replays::SessionsCommand),
    /// Play a recording, or judge the log's statements under another bundle
    Replay(replays::ReplayArgs),
    /// Send records of the audit log on, without the gateway: at least once, each with an id
    Forward {
        #[command(flatten)]
        config: ConfigFile,
        /// End when everything that is in the log now has been sent
        #[arg(long)]
        once: bool,
    },
    /// Sign in at a gateway, and get a password for its databases
    Login(login::LoginArgs),
    /// End the sign-in, and the passwords that were made by it
    Logout,
    /// Show who you are to the gateway
    Whoami(login::WhoamiArgs),
    /// Open a port on this machine that needs no password and leads to a database
    Connect(login::ConnectArgs),
    /// Seal secrets at rest
    #[command(subcommand)]
    Secrets(secrets_cli::SecretsCommand),
    /// Ask for a role on a target for a time
    Request(access_cli::RequestArgs),
    /// Access for a time: list it, end it
    Grants(access_cli::GrantsArgs),
    /// Requests and votes
    Approvals(access_cli::ApprovalsArgs),
    /// Take a role in an emergency: at once, recorded, reviewed by two others
    Breakglass(access_cli::BreakGlassArgs),
    /// Emergencies to be reviewed
    Reviews(access_cli::ReviewsArgs),
    /// People who signed in: list them, suspend somebody
    #[command(subcommand)]
    People(access_cli::PeopleCommand),
    /// Print a completion script for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
}

#[derive(Args)]
struct ConfigFile {
    /// Configuration file
    #[arg(long, short, value_name = "FILE", default_value = "tidegate.yaml", env = "TIDEGATE_CONFIG")]
    config: PathBuf,
}

#[derive(Args)]
struct UsersFile {
    /// Users file
    #[arg(long = "users", value_name = "FILE", default_value = "users.yaml")]
    file: PathBuf,
}

#[derive(Subcommand)]
enum UserCommand {
    /// Add a user; the password comes from a file, from standard input or is asked for
    Add {
        /// Name
        name: String,
        /// Groups, which give roles
        #[arg(long, value_delimiter = ',', value_name = "GROUP,…")]
        groups: Vec<String>,
        /// File that holds the password
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Give an existing user the new password and groups
        #[arg(long)]
        replace: bool,
        #[command(flatten)]
        users: UsersFile,
    },
    /// List users and their groups
    List {
        #[command(flatten)]
        users: UsersFile,
    },
    /// Remove a user
    Remove {
        /// Name
        name: String,
        #[command(flatten)]
        users: UsersFile,
    },
}

#[derive(Subcommand)]
enum AuditCommand {
    /// Show records
    Show(replays::ShowOpened),
    /// Verify that nothing was changed or removed: exit code 0 clean, 10 findings, 20 cannot verify
    Verify(verifier::cli::VerifyArgs),
    /// Prove that one record is in the signed log: a file that shows no other record and needs nothing else to be checked
    Prove(verifier::cli::ProveArgs),
    /// Check a proof with nothing but a public key: exit code 0 proved, 10 not proved, 20 cannot be checked
    Check(verifier::cli::CheckArgs),
    /// Show that the log continues a checkpoint that was kept: exit code 0 proved, 10 not proved, 20 cannot be checked
    Consistency(verifier::cli::ConsistencyArgs),
    /// Ask what happened: one line per statement, or counts
    Query(evidence::cli::QueryArgs),
    /// Write rows of the log to a file for other tools; the export is recorded
    Export(evidence::cli::ExportArgs),
    /// Answer an auditor's question in tables
    Report(evidence::acts::ReportArgs),
    /// Draw records that nobody could choose, by a nonce and the root of the log
    Sample(evidence::acts::SampleArgs),
    /// Legal holds: what must not be purged
    #[command(subcommand)]
    Hold(evidence::acts::HoldCommand),
    /// Destroy keys and recordings of sessions, by order of two people
    #[command(subcommand)]
    Purge(evidence::acts::PurgeCommand),
    /// Record reviews of activity
    #[command(subcommand)]
    Review(evidence::acts::ReviewCommand),
}

fn driver(word: &str) -> Result<gateway::Driver, String> {
    gateway::Driver::of(word).ok_or_else(|| "it is `uring` or `glommio`".to_owned())
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve { config, accept_loss, driver } => return serve::serve(&config.config, accept_loss, driver),
        Command::CheckConfig(config) => return check_config(&config.config),
        Command::Status { config, address, json } => show_status(&config.config, address, json),
        Command::Bench { config, bench } => return bench::run(&config.config, &bench),
        Command::User(command) => user(command),
        Command::Keys(command) => keys::run(&command).and_then(|text| print(&text)),
        Command::Audit(command) => return audit(&command),
        Command::Evidence(command) => return told(evidence::acts::evidence(&command, &mut std::io::stdout().lock())),
        Command::Signer(arguments) => vouch::cli::signer(&arguments).and_then(|text| print(&text)),
        Command::Witness(command) => vouch::cli::witness(&command).and_then(|text| print(&text)),
        Command::Sessions(command) => return replays::sessions(&command),
        Command::Replay(arguments) => return replays::replay(&arguments),
        Command::Forward { config, once } => return forwarders::run(&config.config, once),
        Command::Login(arguments) => return login::login(&arguments),
        Command::Logout => return login::logout(),
        Command::Whoami(arguments) => return login::whoami(&arguments),
        Command::Connect(arguments) => return login::connect(&arguments),
        Command::Secrets(command) => secrets_cli::run(&command).and_then(|text| print(&text)),
        Command::Request(arguments) => return access_cli::request(&arguments),
        Command::Grants(arguments) => return access_cli::grants(&arguments),
        Command::Approvals(arguments) => return access_cli::approvals(&arguments),
        Command::Breakglass(arguments) => return access_cli::break_glass(&arguments),
        Command::Reviews(arguments) => return access_cli::reviews(&arguments),
        Command::People(command) => return access_cli::people(&command),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "tidegate", &mut std::io::stdout());
            Ok(())
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn check_config(file: &Path) -> ExitCode {
    let mut problems = Problems::new();
    let prepared = prepare::prepare(file, None, &mut problems);
    let (errors, warnings) = problems.counts();
    if errors + warnings > 0 {
        eprintln!("{problems}");
    }
    if let Some(prepared) = prepared {
        let bundle = &prepared.rules.bundle;
        println!("bundle   {} ({})", prepare::hex(bundle.digest()), prepared.config.bundle.value.display());
        println!("cores    {}", prepared.cores);
        for address in &prepared.config.listen {
            println!("listen   {}", address.value);
        }
        for t in &prepared.targets {
            let (tls, audit) = (prepare::mode_name(t.mode), t.audit.word());
            println!(
                "target   {}: {}:{}, database {}, account {}, tls {tls}, audit {audit}",
                t.name, t.host, t.port, t.database, t.account
            );
        }
        for line in prepared.config.audit.vouch.lines(&prepared.config.audit.directory.value) {
            println!("{line}");
        }
        println!("users    {}", prepared.rules.users.len());
    }
    if errors > 0 {
        eprintln!("{errors} errors, {warnings} warnings");
        return ExitCode::from(2);
    }
    println!("the configuration is sound{}", if warnings > 0 { ", with warnings" } else { "" });
    ExitCode::SUCCESS
}

fn show_status(file: &Path, address: Option<std::net::SocketAddr>, json: bool) -> Result<(), String> {
    let address = address.map_or_else(|| status::address(file), Ok)?;
    let status = status::fetch(address)?;
    let text = if json { format!("{status:#}\n") } else { status::table(&status) };
    print(&text)
}

fn user(command: UserCommand) -> Result<(), String> {
    match command {
        UserCommand::Add { name, groups, password_file, replace, users: to } => {
            let password = password(password_file)?;
            let user = users::make(&name, &groups, &password).map_err(|e| e.to_string())?;
            let existing = if replace { users::Existing::Replace } else { users::Existing::Refuse };
            users::add(&to.file, user, existing).map_err(|e| e.to_string())?;
            print(&format!("user {name} is in {}; a running gateway takes it with SIGHUP\n", to.file.display()))
        }
        UserCommand::List { users: of } => {
            let mut problems = Problems::new();
            let list = users::load(&of.file, &mut problems);
            if problems.has_errors() {
                return Err(problems.to_string());
            }
            let width = list.iter().map(|u| u.name.chars().count()).max().unwrap_or(0);
            let lines = list.iter().map(|u| format!("{:<width$}  {}\n", u.name, u.groups.join(", ")));
            print(&lines.collect::<String>())
        }
        UserCommand::Remove { name, users: from } => {
            users::remove(&from.file, &name).map_err(|e| e.to_string())?;
            print(&format!(
                "user {name} is no longer in {}; a running gateway takes it with SIGHUP\n",
                from.file.display()
            ))
        }
    }
}

/// The new password: from the file, asked for, or the first line of standard input.
fn password(file: Option<PathBuf>) -> Result<Zeroizing<Vec<u8>>, String> {
    if let Some(file) = file {
        let found = SecretSource::File(file).resolve()?;
        if let Some(warning) = found.warning {
            eprintln!("warning: {warning}");
        }
        return Ok(Zeroizing::new(found.secret.expose().to_vec()));
    }
    if std::io::stdin().is_terminal() {
        let ask = |prompt| rpassword::prompt_password(prompt).map(Zeroizing::new).map_err(|e| e.to_string());
        let first = ask("Password: ")?;
        if first != ask("Again: ")? {
            return Err("the passwords differ".to_owned());
        }
        return Ok(Zeroizing::new(first.as_bytes().to_vec()));
    }
    let mut text = Zeroizing::new(Vec::new());
    std::io::stdin().take(64 << 10).read_to_end(&mut text).map_err(|e| format!("standard input: {e}"))?;
    let line = text.split(|b| *b == b'\n').next().unwrap_or_default();
    Ok(Zeroizing::new(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
}

fn audit(command: &AuditCommand) -> ExitCode {
    let out = &mut std::io::stdout().lock();
    let notes = &mut std::io::stderr();
    let shown = |error: audit::cli::CliError| (error.exit_code(), error.to_string());
    let verified = |error: verifier::cli::CliError| (error.exit_code(), error.to_string());
    let outcome = match command {
        AuditCommand::Show(arguments) => {
            replays::audit_show(arguments, out).map_or_else(|e| Err((20, e)), |shown_it| shown_it.map_err(shown))
        }
        AuditCommand::Verify(arguments) => verifier::cli::verify(arguments, out).map_err(verified),
        AuditCommand::Prove(arguments) => verifier::cli::prove(arguments, out).map_err(verified),
        AuditCommand::Check(arguments) => verifier::cli::check(arguments, out).map_err(verified),
        AuditCommand::Consistency(arguments) => verifier::cli::consistency(arguments, out).map_err(verified),
        AuditCommand::Query(arguments) => return told(evidence::cli::query(arguments, out, notes)),
        AuditCommand::Export(arguments) => return told(evidence::cli::export(arguments, out, notes)),
        AuditCommand::Report(arguments) => return told(evidence::acts::report(arguments, out, notes)),
        AuditCommand::Sample(arguments) => return told(evidence::acts::sample(arguments, out)),
        AuditCommand::Hold(command) => return told(evidence::acts::hold(command, out)),
        AuditCommand::Purge(command) => return told(evidence::acts::purge(command, out)),
        AuditCommand::Review(command) => return told(evidence::acts::review(command, out)),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err((code, error)) => {
            if code != 0 {
                eprintln!("{error}");
            }
            ExitCode::from(code)
        }
    }
}

/// The exit code of a command on evidence; its error is printed.
fn told(outcome: Result<u8, evidence::cli::CliError>) -> ExitCode {
    outcome.map_or_else(
        |error| {
            let code = error.exit_code();
            if code != 0 {
                eprintln!("{error}");
            }
            ExitCode::from(code)
        },
        ExitCode::from,
    )
}

fn print(text: &str) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader of a pipe has what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(|e| format!("output: {e}")),
    }
}
