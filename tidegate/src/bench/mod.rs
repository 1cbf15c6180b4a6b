//! `tidegate bench`: an operator measures their own installation, without touching data.
//!
//! What runs reads no table: constants, a parameter that comes back, rows of `generate_series`. It goes through a running gateway as
//! one of its users, is judged and recorded like everything else, and says `tidegate bench` as its application. With
//! `--direct` the same runs without the gateway, in turn. Invariants: no statement changes anything; the scratch file beside
//! the audit log has no name and is gone with this process; no password is in a message. Deliberately absent: goals and
//! verdicts about speed; `bench load` compares with other programs.

mod machine;
mod metrics;
mod report;
mod way;
mod work;

use clap::{Args, ValueEnum};
use std::{
    io::IsTerminal as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};
use tokio_postgres::Client;
use zeroize::Zeroizing;

use crate::{config::Config, problems::Problems, secrets::SecretSource, status, tls, units};
use report::{Line, Report};
use way::{Door, Way};
use work::{Run, SILENCE_MAX};

/// Every measurement is made in so many pieces, the ways in turn.
const ROUNDS: u32 = 3;
/// Clients that `--clients` may ask for.
const CLIENTS_MAX: u64 = 1024;

/// Measure a running gateway, as one of its users and without touching data.
#[derive(Args, Debug)]
pub struct BenchArgs {
    /// User of the gateway to log in as
    #[arg(long, short = 'U', value_name = "NAME", env = "PGUSER")]
    user: String,
    /// File with the user's password; without it PGPASSWORD, or it is asked for
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Target to go to; needed if the configuration names none or several
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// Where the gateway listens, instead of the configuration's first address
    #[arg(long, value_name = "IP:PORT")]
    address: Option<SocketAddr>,
    /// TLS to the gateway; `require` if the configuration has a certificate
    #[arg(long, value_name = "MODE", value_enum)]
    tls: Option<TlsMode>,
    /// Name in the gateway's certificate; its address without this
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
    /// Trusted authorities for TLS, PEM; the system's if absent
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// The database without the gateway, to compare with: "host=… user=… dbname=… sslmode=disable" or postgresql://…
    #[arg(long, value_name = "CONNECTION")]
    direct: Option<String>,
    /// File with the password for `--direct`
    #[arg(long, value_name = "FILE", requires = "direct")]
    direct_password_file: Option<PathBuf>,
    /// Numbers of clients
    #[arg(long, value_name = "N,…", value_delimiter = ',', default_values_t = [1, 16], value_parser = clap::value_parser!(u64).range(1..=CLIENTS_MAX))]
    clients: Vec<u64>,
    /// How long each measurement takes
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = units::duration)]
    time: Duration,
    /// Rows of the bulk read
    #[arg(long, value_name = "N", default_value_t = 200_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    rows: u64,
    /// Leave the audit directory's disk alone
    #[arg(long)]
    no_disk: bool,
    /// The figures as JSON
    #[arg(long)]
    json: bool,
}

/// TLS to the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum TlsMode {
    /// None.
    Disable,
    /// TLS, with the certificate checked.
    Require,
}

/// Measures and prints.
#[must_use]
pub fn run(file: &Path, arguments: &BenchArgs) -> ExitCode {
    match measured(file, arguments) {
        Ok(report) => {
            let text = if arguments.json { format!("{:#}\n", report.json()) } else { report.table() };
            print!("{text}");
            if report.is_complete() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(error) => {
            eprintln!("tidegate bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measured(file: &Path, arguments: &BenchArgs) -> Result<Report, String> {
    let config = configuration(file, arguments)?;
    let gateway = gateway(config.as_ref(), arguments)?;
    let mut ways = vec![gateway];
    if let Some(direct) = &arguments.direct {
        let password = arguments.direct_password_file.as_deref().map(secret).transpose()?;
        ways.push(Way::direct(direct, password.as_ref().map(|password| &password[..]), arguments.ca.as_deref())?);
    }
    // The configuration is that of another gateway where one on another machine is named.
    let local = ways[0].address().ip().is_loopback() || arguments.address.is_none();
    let page = config.as_ref().filter(|_| local).map(|_| status::address(file));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| format!("no runtime: {error}"))?;
    let mut report = Report::new(&ways);
    let page = match page {
        Some(Ok(page)) => Some(page),
        Some(Err(why)) => {
            report.no_figures = Some(why);
            None
        }
        None => None,
    };
    runtime.block_on(all(arguments, &ways, page, &mut report))?;
    if let Some(config) = config.as_ref().filter(|_| local) {
        if !arguments.no_disk {
            report.disk = Some(machine::disk(&config.audit.directory.value, arguments.time));
        }
        report.checks = machine::checks(Some(config));
    } else {
        report.checks = machine::checks(None);
    }
    Ok(report)
}

/// The configuration, where there is one; `--address` and `--target` are enough without.
fn configuration(file: &Path, arguments: &BenchArgs) -> Result<Option<Config>, String> {
    if !file.exists() && arguments.address.is_some() && arguments.target.is_some() {
        return Ok(None);
    }
    let mut problems = Problems::new();
    let config = Config::load(file, &mut problems);
    if problems.has_errors() {
        return Err(format!("{problems}\nwithout the configuration, name --address and --target"));
    }
    Ok(config)
}

fn gateway(config: Option<&Config>, arguments: &BenchArgs) -> Result<Way, String> {
    let address = match (arguments.address, config.and_then(|config| config.listen.first())) {
        (Some(address), _) => address,
        (None, Some(listen)) => status::reachable(listen.value),
        (None, None) => return Err("the configuration names no address to listen on; name --address".to_owned()),
    };
    let names: Vec<&String> = config.iter().flat_map(|config| config.targets.keys()).collect();
    let target = match (&arguments.target, names.as_slice()) {
        (Some(target), _) => target.clone(),
        (None, [one]) => (*one).clone(),
        (None, _) => return Err("which target? name one with --target".to_owned()),
    };
    let certificate = config.is_some_and(|config| config.tls.is_some());
    let mode = arguments.tls.unwrap_or(if certificate { TlsMode::Require } else { TlsMode::Disable });
    let tls = match mode {
        TlsMode::Disable => None,
        TlsMode::Require => Some(tls::client(arguments.ca.as_deref(), None)?),
    };
    let password = password(arguments.password_file.as_deref())?;
    let host = arguments.host.clone().unwrap_or_else(|| address.ip().to_string());
    Ok(Way::gateway(Door { address, host, tls }, &arguments.user, &password, &target))
}

fn secret(file: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let found = SecretSource::File(file.to_owned()).resolve()?;
    if let Some(warning) = found.warning {
        eprintln!("warning: {warning}");
    }
    Ok(Zeroizing::new(found.secret.expose().to_vec()))
}

fn password(file: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, String> {
    if let Some(file) = file {
        return secret(file);
    }
    if let Some(password) = std::env::var_os("PGPASSWORD") {
        return Ok(Zeroizing::new(password.into_encoded_bytes()));
    }
    if !std::io::stdin().is_terminal() {
        return Err("no password: name --password-file, or set PGPASSWORD".to_owned());
    }
    let asked = rpassword::prompt_password("Password: ").map_err(|error| error.to_string())?;
    Ok(Zeroizing::new(asked.into_bytes()))
}

/// The work, unless it is not over long after its time.
async fn in_time(span: Duration, work: impl Future<Output = Result<Run, String>>) -> Result<Run, String> {
    let limit = span + SILENCE_MAX;
    let over = |_| Err(format!("no answer within {} s", limit.as_secs()));
    tokio::time::timeout(limit, work).await.unwrap_or_else(over)
}

/// So many connections of each way; or the way that cannot be gone, and why.
async fn open(ways: &[Way], clients: u64) -> Result<Vec<Vec<Arc<Client>>>, (&Way, String)> {
    let mut open = Vec::new();
    for way in ways {
        let mut connections = Vec::new();
        for _ in 0..clients {
            connections.push(Arc::new(way.connect().await.map_err(|error| (way, error))?));
        }
        open.push(connections);
    }
    Ok(open)
}

/// Everything that goes through connections.
async fn all(arguments: &BenchArgs, ways: &[Way], page: Option<SocketAddr>, report: &mut Report) -> Result<(), String> {
    let piece = arguments.time / ROUNDS;
    let mut counts = arguments.clients.clone();
    counts.sort_unstable();
    counts.dedup();
    let before = page.and_then(metrics::read);
    for clients in counts {
        let open = match open(ways, clients).await {
            Ok(open) => open,
            // What was measured before is worth something.
            Err((way, error)) if !report.lines.is_empty() => {
                let mut line = Line::new("connect", way.name(), clients);
                line.refused = Some(error);
                report.lines.push(line);
                continue;
            }
            Err((way, error)) => return Err(format!("{} ({}): {error}", way.name(), way.told())),
        };
        for kind in work::KINDS {
            let mut lines: Vec<Line> = ways.iter().map(|way| Line::new(kind.name(), way.name(), clients)).collect();
            for _ in 0..ROUNDS {
                for ((way, connections), line) in ways.iter().zip(&open).zip(&mut lines) {
                    let from = page.filter(|_| way.is_gateway()).and_then(metrics::read);
                    match in_time(piece, work::statements(connections, *kind, piece)).await {
                        Ok(run) => line.add(run),
                        Err(error) => line.refused = Some(error),
                    }
                    line.add_cpu(from, page.filter(|_| way.is_gateway()).and_then(metrics::read));
                }
            }
            report.lines.extend(lines);
        }
    }
    let mut bulk: Vec<Line> = ways.iter().map(|way| Line::new("bulk", way.name(), 1)).collect();
    let mut logins: Vec<Line> = ways.iter().map(|way| Line::new("login", way.name(), 1)).collect();
    for _ in 0..ROUNDS {
        for (i, way) in ways.iter().enumerate() {
            let from = page.filter(|_| way.is_gateway()).and_then(metrics::read);
            match work::bulk(way, arguments.rows).await {
                Ok(run) => bulk[i].add(run),
                Err(error) => bulk[i].refused = Some(error),
            }
            let between = page.filter(|_| way.is_gateway()).and_then(metrics::read);
            bulk[i].add_cpu(from, between.clone());
            match in_time(piece, work::logins(way, piece)).await {
                Ok(run) => logins[i].add(run),
                Err(error) => logins[i].refused = Some(error),
            }
            logins[i].add_cpu(between, page.filter(|_| way.is_gateway()).and_then(metrics::read));
        }
    }
    report.lines.extend(bulk);
    report.lines.extend(logins);
    if let Some(door) = ways[0].door().filter(|door| door.tls.is_some()) {
        let mut line = Line::new("TLS handshake", ways[0].name(), 1);
        match in_time(arguments.time, work::handshakes(door, arguments.time)).await {
            Ok(run) => line.add(run),
            Err(error) => line.refused = Some(error),
        }
        report.lines.push(line);
    }
    if let (Some(before), Some(after)) = (before, page.and_then(metrics::read)) {
        report.stages = after.stages_since(&before);
    }
    Ok(())
}
