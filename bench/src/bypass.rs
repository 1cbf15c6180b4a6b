//! `bench bypass`: the catalogue of ways out against any server or gateway, and what each way recovered.
//!
//! Without a target it starts a PostgreSQL with made-up patients and a gateway with the example rules, and shows both sides.
//! The exit code is 0 only if nothing came out of what is judged and everything could be tried; the database itself is
//! shown for comparison and never judged.

use std::{
    path::PathBuf,
    process::ExitCode,
    sync::atomic::{AtomicUsize, Ordering},
};

use ::bypass::{
    catalogue,
    client::{Client, Login, Tls},
    ground::{Ground, READER, SCRIPT},
    names::Names,
    recover::Finder,
    report::{self, Side},
    run::{self, Judge},
    truth::{CLINIC, CLINIC_UNSEARCHED, Column, Truth},
    way::Way,
};
use clap::{Args, ValueEnum};

use crate::failure::{Doing, Failure, Result};

/// Arguments.
#[derive(Args, Debug)]
#[command(after_help = AFTER)]
pub struct Bypass {
    /// What is judged: any gateway or server that speaks PostgreSQL's protocol. Without it, one is started.
    #[arg(long, value_name = "HOST:PORT", requires = "truth")]
    target: Option<String>,
    /// Database at the target.
    #[arg(long, value_name = "NAME", default_value = "clinic")]
    database: String,
    /// User at the target.
    #[arg(long, value_name = "NAME", default_value = "ana")]
    user: String,
    /// File whose first line is the user's password.
    #[arg(long, value_name = "FILE", conflicts_with = "password")]
    password_file: Option<PathBuf>,
    /// The user's password. Rather by the environment: other users of this machine see arguments.
    #[arg(long, env = "PGPASSWORD", value_name = "PASSWORD", hide_env_values = true)]
    password: Option<String>,
    /// TLS to the target: disable; require (whoever answers); verify-full.
    #[arg(long, value_enum, default_value_t = Mode::Disable)]
    tls: Mode,
    /// Authorities for verify-full, PEM; the system's otherwise.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Connection to the database itself, by which the protected values are read: postgres://user:password@host:port/database.
    #[arg(long, value_name = "URL", env = "TIDEGATE_BYPASS_TRUTH", hide_env_values = true)]
    truth: Option<String>,
    /// Try the ways at the database itself too, by the truth's connection.
    #[arg(long, requires = "truth")]
    also_direct: bool,
    /// Protected columns. The first text column is the one the ways are after; those of the made-up clinic otherwise.
    #[arg(long, value_name = "SCHEMA.TABLE.COLUMN", num_args = 1.., value_delimiter = ',')]
    protected: Vec<String>,
    /// Only these ways.
    #[arg(long, value_name = "ID", num_args = 1.., value_delimiter = ',')]
    way: Vec<String>,
    /// Sessions at a time.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    sessions: u64,
    /// Write everything to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Folder with `tidegate` and `policy-compiler` to start; built beside this program otherwise.
    #[arg(long, value_name = "FOLDER", env = "TIDEGATE_PROGRAMS")]
    programs: Option<PathBuf>,
    /// Print the catalogue and end.
    #[arg(long)]
    list: bool,
    /// Print the SQL that an administrator may run at a database of one's own, so that ways through views, functions and
    /// extensions can be tried there; then end.
    #[arg(long)]
    print_setup: bool,
}

/// Protection of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Plain text.
    Disable,
    /// TLS, any certificate.
    Require,
    /// TLS, checked.
    VerifyFull,
}

const AFTER: &str = "\
Each way is tried in up to four forms: simple (s) or extended (x) query, text or binary results, each in a session of its own that
undoes what it did. All bytes that come back are searched for protected values, plain and in known encodings; ways that answer yes
or no are used to put values together, a few characters of a few values. A number is characters recovered; - is no such form.

The exit code is 0 only if 0 characters came out and every attempt could be made.

  bench bypass                                   a database and a gateway are started; direct and through the gateway
  bench bypass --target db.example:5432 --database clinic --user analyst --password-file pw --tls verify-full \\
      --truth postgres://owner:secret@10.0.0.5/clinic --protected public.people.ssn public.people.email";

/// Runs it.
///
/// # Errors
/// A server does not come up or cannot be reached, or an argument makes no sense.
pub fn run(options: &Bypass) -> Result<ExitCode> {
    if options.print_setup {
        print!("{SCRIPT}");
        return Ok(ExitCode::SUCCESS);
    }
    let ways = wanted(&options.way)?;
    if options.list {
        for way in &ways {
            println!("{:<4} {}", way.id, way.title);
            way.variants.iter().for_each(|variant| println!("       {}", variant.name));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let (sides, judged) = match &options.target {
        Some(target) => at(options, &ways, target)?,
        None => own(options, &ways)?,
    };
    print!("{}", report::table(&ways, &sides));
    let judged = &sides[judged];
    let leaks = report::leaks(judged);
    if !leaks.is_empty() {
        println!(
            "\ncame out of {} (simple text / simple binary / extended text / extended binary):\n{leaks}",
            judged.name
        );
    }
    for entry in judged.entries.iter().filter(|entry| matches!(entry.outcome, run::Outcome::Failed(_))).take(20) {
        if let run::Outcome::Failed(why) = &entry.outcome {
            eprintln!("could not be made: {} {} ({}): {why}", entry.id, entry.variant, entry.form.name());
        }
    }
    if let Some(path) = &options.json {
        std::fs::write(path, format!("{:#}\n", report::json(&ways, &sides)))
            .doing(format!("write {}", path.display()))?;
    }
    Ok(if judged.total() == 0 && judged.failed() == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn wanted(ids: &[String]) -> Result<Vec<Way>> {
    let ways = catalogue::all();
    for id in ids {
        if !ways.iter().any(|way| way.id.eq_ignore_ascii_case(id)) {
            return Err(format!("there is no way {id}; --list shows them").into());
        }
    }
    Ok(ways.into_iter().filter(|way| ids.is_empty() || ids.iter().any(|id| way.id.eq_ignore_ascii_case(id))).collect())
}

/// Everything of one's own: both sides, the gateway judged.
fn own(options: &Bypass, ways: &[Way]) -> Result<(Vec<Side>, usize)> {
    let programs = crate::gateway::Programs::ready(options.programs.as_deref())?;
    let folder = programs.gateway.parent().ok_or("the gateway is in no folder")?;
    eprintln!("starting PostgreSQL and two gateways");
    let ground = Ground::start(Some(folder));
    let truth = ground.truth();
    let finder = Finder::new(&truth);
    let judge = Judge { names: &Names::clinic(), truth: &truth, finder: &finder };
    // Made here rather than by the first session that asks.
    let _started = (ground.gateway(false), ground.gateway(true));
    let direct = side("direct", options, ways, &judge, &|privileged| ground.direct(privileged));
    let through = side("through tidegate", options, ways, &judge, &|privileged| ground.through(READER, privileged));
    Ok((vec![direct, through], 1))
}

/// Somebody else's.
fn at(options: &Bypass, ways: &[Way], target: &str) -> Result<(Vec<Side>, usize)> {
    let truth_login = url(options.truth.as_deref().unwrap_or_default())?;
    let columns = |list: &[&str]| list.iter().map(|text| Column::parse(text)).collect::<::bypass::Result<Vec<_>>>();
    let (protected, unsearched) = match options.protected.is_empty() {
        true => (columns(CLINIC).map_err(Failure::from)?, columns(CLINIC_UNSEARCHED).map_err(Failure::from)?),
        false => {
            let list: Vec<&str> = options.protected.iter().map(String::as_str).collect();
            (columns(&list).map_err(Failure::from)?, Vec::new())
        }
    };
    let truth = Truth::read(&truth_login, &protected, &unsearched).map_err(Failure::from)?;
    let names = Names::learn(&truth_login, &protected, &truth).map_err(Failure::from)?;
    let finder = Finder::new(&truth);
    let judge = Judge { names: &names, truth: &truth, finder: &finder };
    let login = target_login(options, target)?;
    let mut session = Client::login(&login).map_err(|error| Failure::from(format!("{target}: {error}")))?;
    ::bypass::truth::rows(&mut session, "select 1").map_err(Failure::from)?;
    drop(session);
    let mut sides = Vec::new();
    if options.also_direct {
        sides.push(side("direct", options, ways, &judge, &|_| truth_login.clone()));
    }
    sides.push(side(target, options, ways, &judge, &|_| login.clone()));
    let judged = sides.len() - 1;
    Ok((sides, judged))
}

fn side(name: &str, options: &Bypass, ways: &[Way], judge: &Judge<'_>, login: &(dyn Fn(bool) -> Login + Sync)) -> Side {
    let count: usize = ways.iter().map(|way| way.variants.len()).sum();
    let ended = AtomicUsize::new(0);
    let done = |id: &str, _: &str| {
        let number = ended.fetch_add(1, Ordering::Relaxed) + 1;
        if number.is_multiple_of(50) || number == count {
            eprintln!("{name}: {number} of {count} variants, at {id}");
        }
    };
    let sessions = usize::try_from(options.sessions).unwrap_or(1);
    Side { name: name.to_owned(), entries: run::all(judge, ways, login, sessions, &done) }
}

fn target_login(options: &Bypass, target: &str) -> Result<Login> {
    let (host, port) = host_and_port(target)?;
    let password = match &options.password_file {
        Some(path) => {
            let text = std::fs::read_to_string(path).doing(format!("read {}", path.display()))?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        None => options.password.clone().unwrap_or_default(),
    };
    let tls = match options.tls {
        Mode::Disable => Tls::Disable,
        Mode::Require => Tls::Require,
        Mode::VerifyFull => Tls::VerifyFull(options.ca.clone()),
    };
    Ok(Login { host, port, user: options.user.clone(), password, database: options.database.clone(), tls })
}

fn host_and_port(text: &str) -> Result<(String, u16)> {
    let (host, port) = text.rsplit_once(':').unwrap_or((text, "5432"));
    let port = port.parse().map_err(|_| Failure::from(format!("{text}: not HOST:PORT")))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if host.is_empty() { Err(format!("{text}: not HOST:PORT").into()) } else { Ok((host.to_owned(), port)) }
}

/// `postgres://user:password@host:port/database?sslmode=require`
fn url(text: &str) -> Result<Login> {
    let wrong = || Failure::from("--truth: not postgres://user:password@host:port/database");
    let rest = text.strip_prefix("postgres://").or_else(|| text.strip_prefix("postgresql://")).ok_or_else(wrong)?;
    let (rest, options) = rest.split_once('?').unwrap_or((rest, ""));
    let (who, place) = rest.rsplit_once('@').ok_or_else(wrong)?;
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let (address, database) = place.split_once('/').ok_or_else(wrong)?;
    let (host, port) = host_and_port(address)?;
    let tls = match options.strip_prefix("sslmode=") {
        Some("require") => Tls::Require,
        Some("verify-full") => Tls::VerifyFull(None),
        None | Some("disable" | "prefer" | "allow") => Tls::Disable,
        Some(_) => return Err(wrong()),
    };
    let decode = |part: &str| decoded(part).ok_or_else(wrong);
    Ok(Login { host, port, user: decode(user)?, password: decode(password)?, database: decode(database)?, tls })
}

fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first == b'%' {
            let digits = std::str::from_utf8(rest.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &rest[2..];
        } else {
            bytes.push(first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_says_where_the_truth_is() {
        let login = url("postgres://o%40p:p%3Aw@db.example:6543/clinic?sslmode=require").map_err(|e| e.to_string());
        let login = login.expect("a good URL");
        assert_eq!((&*login.user, &*login.password, &*login.host), ("o@p", "p:w", "db.example"));
        assert_eq!((login.port, &*login.database, login.tls), (6543, "clinic", Tls::Require));
        for wrong in ["", "mysql://a@b/c", "postgres://b/c", "postgres://a@b:x/c", "postgres://a@b/c?sslmode=maybe"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
