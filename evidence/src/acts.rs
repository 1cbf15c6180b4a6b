//! Acts on the log and answers from it: `audit hold`, `purge`, `review`, `report`, `sample`, and `evidence build`, `check`.
//!
//! Whoever acts is named by the account that runs the tool; the act is durable at the desk before it has an effect.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::PathBuf;

use audit::record::{Clock, Record};
use audit::{EXIT_CLEAN, EXIT_FINDINGS, render, time};
use serde_json::json;
use tlog::note::KeyKind;
use tlog::{Note, SigningKey};
use zeroize::Zeroizing;

use crate::cli::{CliError, FilterArgs, moment, private, walk_all};
use crate::headers::{self, Population};
use crate::keys;
use crate::origin::origin;
use crate::pack;
use crate::person::{Person, record};
use crate::query::{Query, aligned};
use crate::report::{REPORTS, Reports, UNANSWERED};
use crate::retention::{self, Kind, Order};
use crate::row::line;
use crate::sample;

/// Holds.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "clap", derive(clap::Subcommand))]
#[allow(clippy::large_enum_variant, reason = "one value per run of the program")]
pub enum HoldCommand {
    /// Keep what matches from being purged
    Set {
        /// Audit directory
        directory: PathBuf,
        /// Name of the hold
        #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
        name: String,
        /// Why, for instance a matter's number
        #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT"))]
        reason: String,
        /// What is kept: sessions with a record that matches; without filters, everything
        #[cfg_attr(feature = "clap", command(flatten))]
        filter: FilterArgs,
    },
    /// End a hold
    Clear {
        /// Audit directory
        directory: PathBuf,
        /// Name of the hold
        #[cfg_attr(feature = "clap", arg(long, value_name = "NAME"))]
        name: String,
        /// Why
        #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT"))]
        reason: String,
    },
    /// Show the holds in force
    List {
        /// Audit directory
        directory: PathBuf,
        /// One JSON object per line
        #[cfg_attr(feature = "clap", arg(long))]
        json: bool,
    },
}

/// Purges.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "clap", derive(clap::Subcommand))]
pub enum PurgeCommand {
    /// Make a signing key for one of the two people
    Key {
        /// Name of the person, without spaces
        name: String,
        /// File for the private key; the public key is printed
        #[cfg_attr(feature = "clap", arg(long, short, value_name = "FILE"))]
        output: PathBuf,
    },
    /// Write an order for sessions that may go, to be signed by two people
    Plan {
        /// Audit directory
        directory: PathBuf,
        /// File for the order; it must not exist
        #[cfg_attr(feature = "clap", arg(long, short, value_name = "FILE"))]
        output: PathBuf,
        /// `retention` or `erasure`
        #[cfg_attr(feature = "clap", arg(long, value_name = "KIND", default_value = "retention"))]
        kind: String,
        /// Days that sessions are kept after their last record (retention)
        #[cfg_attr(feature = "clap", arg(long, value_name = "DAYS"))]
        retain_days: Option<u64>,
        /// Only sessions that ended before this time
        #[cfg_attr(feature = "clap", arg(long, value_name = "TIME"))]
        before: Option<String>,
        /// Only these sessions (erasure); whole ids or their beginnings
        #[cfg_attr(feature = "clap", arg(long, value_name = "ID,…", value_delimiter = ','))]
        session: Vec<String>,
        /// Policy that asks for it
        #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT"))]
        policy: String,
        /// Why
        #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT"))]
        reason: String,
        /// Not to be carried out before this time
        #[cfg_attr(feature = "clap", arg(long, value_name = "TIME"))]
        not_before: Option<String>,
    },
    /// Sign an order
    Sign {
        /// File of the order
        order: PathBuf,
        /// File of the private key
        #[cfg_attr(feature = "clap", arg(long, value_name = "FILE"))]
        key: PathBuf,
    },
    /// Carry an order out: destroy the keys and recordings of its sessions, for good
    Apply {
        /// Audit directory
        directory: PathBuf,
        /// File of the signed order
        order: PathBuf,
        /// File with the public keys of those who may sign, one per line
        #[cfg_attr(feature = "clap", arg(long, value_name = "FILE"))]
        signers: PathBuf,
    },
}

/// Reviews.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "clap", derive(clap::Subcommand))]
pub enum ReviewCommand {
    /// Record that a review of activity begins
    Open {
        /// Audit directory
        directory: PathBuf,
        /// What is looked at
        #[cfg_attr(feature = "clap", command(flatten))]
        filter: FilterArgs,
        /// Ticket
        #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT"))]
        ticket: String,
    },
    /// Record what a review found
    Close {
        /// Audit directory
        directory: PathBuf,
        /// What was looked at
        #[cfg_attr(feature = "clap", command(flatten))]
        filter: FilterArgs,
        /// Ticket
        #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT"))]
        ticket: String,
        /// Findings
        #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT"))]
        findings: String,
    },
}

/// Arguments of `report`.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct ReportArgs {
    /// Report: access, authn, approvals, exposure, refusals, reviews, evidence-access, changes, continuity, retention,
    /// identity, clock, or all
    pub report: String,
    /// Audit directory
    pub directory: PathBuf,
    /// What it is about
    #[cfg_attr(feature = "clap", command(flatten))]
    pub filter: FilterArgs,
    /// As JSON
    #[cfg_attr(feature = "clap", arg(long))]
    pub json: bool,
    /// As CSV (one table)
    #[cfg_attr(feature = "clap", arg(long, value_name = "TABLE"))]
    pub csv: Option<String>,
}

/// Arguments of `sample`.
#[derive(Clone, Debug, Default)]
#[cfg_attr(feature = "clap", derive(clap::Args))]
pub struct SampleArgs {
    /// Audit directory, or a pack's `headers.bin`
    pub from: PathBuf,
    /// Chosen by whoever asks, after the root is known
    #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT", default_value = "", hide_default_value = true))]
    pub nonce: String,
    /// Records
    #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = 25))]
    pub count: usize,
    /// Root in hexadecimal; the checkpoint's, or else a hash over the cores' heads, if absent
    #[cfg_attr(feature = "clap", arg(long, value_name = "HEX"))]
    pub root: Option<String>,
    /// As JSON
    #[cfg_attr(feature = "clap", arg(long))]
    pub json: bool,
}

/// Evidence packs.
#[derive(Clone, Debug)]
#[cfg_attr(feature = "clap", derive(clap::Subcommand))]
pub enum EvidenceCommand {
    /// Make the pack for an auditor
    Build {
        /// Audit directory
        directory: PathBuf,
        /// Frameworks: hipaa, soc2, pci
        #[cfg_attr(feature = "clap", arg(long, value_name = "NAME,…", value_delimiter = ',', default_value = "hipaa"))]
        framework: Vec<String>,
        /// From this time
        #[cfg_attr(feature = "clap", arg(long, value_name = "TIME"))]
        from: String,
        /// To this time, not included; now, if it is not yet
        #[cfg_attr(feature = "clap", arg(long, value_name = "TIME"))]
        to: String,
        /// File to write; it must not exist
        #[cfg_attr(feature = "clap", arg(long, short, value_name = "FILE"))]
        output: PathBuf,
        /// The auditor's nonce for the sample
        #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT", default_value = "", hide_default_value = true))]
        nonce: String,
        /// Records of the sample
        #[cfg_attr(feature = "clap", arg(long, value_name = "N", default_value_t = 25))]
        sample: usize,
        /// Private key that signs the manifest, in the form of signed notes
        #[cfg_attr(feature = "clap", arg(long, value_name = "FILE"))]
        key: Option<PathBuf>,
        /// Why, for the record of the export
        #[cfg_attr(feature = "clap", arg(long, value_name = "TEXT", default_value = "", hide_default_value = true))]
        reason: String,
    },
    /// Check an unpacked pack: manifest, population, signature
    Check {
        /// Folder of the pack
        folder: PathBuf,
        /// File with the public keys that may have signed it
        #[cfg_attr(feature = "clap", arg(long, value_name = "FILE"))]
        key: Option<PathBuf>,
    },
}

fn said(out: &mut dyn Write, text: &str) -> Result<u8, CliError> {
    out.write_all(text.as_bytes())
        .and_then(|()| out.flush())
        .map_err(|error| CliError::Output(PathBuf::from("output"), error))?;
    Ok(EXIT_CLEAN)
}

/// A filter as it is stored in a record: it must mean the same when it is read again.
fn stored(filter: &FilterArgs) -> Result<String, CliError> {
    let mut query = filter.query()?;
    let text = query.describe();
    if query.kind.is_empty() {
        query.kind.push("*".to_owned());
    }
    match Query::parse(&text) {
        Ok(read) if read == query => Ok(text),
        Ok(_) | Err(_) => {
            Err(CliError::Refused("a filter with spaces, commas or `=` in its values cannot be recorded".to_owned()))
        }
    }
}

fn word(name: &'static str, text: &str) -> Result<(), CliError> {
    let good = !text.trim().is_empty() && text.len() <= 1000 && !text.chars().any(render::is_active);
    if good { Ok(()) } else { Err(CliError::Argument(name, text.to_owned(), "some text on one line".to_owned())) }
}

/// Runs `hold`.
///
/// # Errors
/// Arguments, the log or the desk.
pub fn hold(command: &HoldCommand, out: &mut dyn Write) -> Result<u8, CliError> {
    let person = Person::of_process();
    match command {
        HoldCommand::Set { directory, name, reason, filter } => {
            word("name", name)?;
            word("reason", reason)?;
            let query = stored(filter)?;
            if retention::holds(directory)?.iter().any(|hold| hold.name == *name) {
                return Err(CliError::Refused(format!(
                    "the hold {name} is in force; clear it first, or use another name"
                )));
            }
            record(directory, &[Record::HoldSet { actor: person.actor(), reason, name, query: &query }])
                .map_err(CliError::Refused)?;
            said(out, &format!("hold {name} keeps {query}\n"))
        }
        HoldCommand::Clear { directory, name, reason } => {
            word("reason", reason)?;
            if retention::holds(directory)?.iter().all(|hold| hold.name != *name) {
                let name = render::printable(name.as_bytes());
                return Err(CliError::Refused(format!("no hold {name} is in force")));
            }
            record(directory, &[Record::HoldClear { actor: person.actor(), reason, name }])
                .map_err(CliError::Refused)?;
            said(out, &format!("hold {name} has ended\n"))
        }
        HoldCommand::List { directory, json } => {
            let holds = retention::holds(directory)?;
            if *json {
                let lines: Vec<String> = holds
                    .iter()
                    .map(|hold| {
                        let (by, at, reason) = &hold.by;
                        let at = time::format(*at, 3);
                        line(
                            &json!({"name": hold.name, "query": hold.text, "person": by, "time": at, "reason": reason}),
                        ) + "\n"
                    })
                    .collect();
                return said(out, &lines.concat());
            }
            let mut cells = vec![["NAME", "SET", "BY", "KEEPS", "REASON"].map(str::to_owned).to_vec()];
            for hold in &holds {
                let (by, at, reason) = &hold.by;
                let p = |text: &str| render::printable(text.as_bytes());
                cells.push(vec![p(&hold.name), time::format(*at, 0), p(by), p(&hold.text), p(reason)]);
            }
            said(out, &if holds.is_empty() { "no holds in force\n".to_owned() } else { aligned(&cells) })
        }
    }
}

/// Runs `purge`.
///
/// # Errors
/// Arguments, the log, the desk, or an order that must not be carried out.
pub fn purge(command: &PurgeCommand, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        PurgeCommand::Key { name, output } => {
            let mut seed = Zeroizing::new([0u8; 32]);
            getrandom::fill(&mut seed[..]).map_err(|error| CliError::Refused(format!("no random numbers: {error}")))?;
            let key = SigningKey::from_seed(name, KeyKind::Log, &seed)
                .map_err(|_| CliError::Argument("name", name.clone(), "a name without spaces and +".to_owned()))?;
            let failed = |error| CliError::Output(output.clone(), error);
            if output.symlink_metadata().is_ok() {
                return Err(failed(io::ErrorKind::AlreadyExists.into()));
            }
            let mut file = private(output).map_err(failed)?;
            writeln!(file, "{}", *key.private_text()).and_then(|()| file.sync_all()).map_err(failed)?;
            said(out, &format!("{}\n", key.verifier()))
        }
        PurgeCommand::Plan { directory, output, kind, retain_days, before, session, policy, reason, not_before } => {
            let kind = Kind::parse(kind)
                .ok_or_else(|| CliError::Argument("kind", kind.clone(), "retention or erasure".to_owned()))?;
            let now = Clock::now().wall_ns;
            let before = before.as_deref().map(|text| moment("before", text)).transpose()?;
            let not_before = not_before.as_deref().map_or(Ok(now), |text| moment("not-before", text))?;
            let retain_days = match (kind, retain_days) {
                (Kind::Retention, Some(days)) => *days,
                (Kind::Retention, None) => {
                    return Err(CliError::Refused("--retain-days is missing: how long are sessions kept?".to_owned()));
                }
                (Kind::Erasure, _) => 0,
            };
            if kind == Kind::Erasure && session.is_empty() {
                return Err(CliError::Refused("an erasure names its sessions with --session".to_owned()));
            }
            let holds = retention::holds(directory)?;
            let all = retention::sessions(directory, &holds).map_err(CliError::Refused)?;
            let kept_until = |kept: &retention::Kept| kept.span.1.saturating_add(retain_days.saturating_mul(DAY_NS));
            let mut held = 0u64;
            let mut sessions = Vec::new();
            for kept in all.iter().filter(|kept| kept.closed && kept.keyed && !kept.purged) {
                let id = render::hex(&kept.id.0);
                let named =
                    session.is_empty() || session.iter().any(|start| id.starts_with(&start.to_ascii_lowercase()));
                let old = before.is_none_or(|before| kept.span.1 < before) && kept_until(kept) <= not_before.max(now);
                if named && old {
                    if kept.holds.is_empty() {
                        sessions.push(kept.id);
                    } else {
                        held += 1;
                    }
                }
            }
            sessions.sort_unstable();
            let rest = sessions.len().saturating_sub(retention::SESSIONS_MAX);
            sessions.truncate(retention::SESSIONS_MAX);
            let whole_second = not_before.div_ceil(1_000_000_000) * 1_000_000_000;
            let order = Order {
                origin: origin(directory),
                kind,
                retain_days,
                policy: policy.clone(),
                reason: reason.clone(),
                not_before_ns: whole_second,
                sessions,
            };
            order.check().map_err(CliError::Refused)?;
            let failed = |error| CliError::Output(output.clone(), error);
            let mut file = File::create_new(output).map_err(failed)?;
            file.write_all(order.text().as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
            let mut text = format!("{} sessions in {}", order.sessions.len(), output.display());
            if held > 0 {
                text.push_str(&format!("; {held} more are kept by holds"));
            }
            if rest > 0 {
                text.push_str(&format!("; {rest} more for the next order"));
            }
            said(out, &(text + "\nread it, then two people sign it: tidegate audit purge sign ORDER --key FILE\n"))
        }
        PurgeCommand::Sign { order, key } => {
            let failed = |error| CliError::Output(order.clone(), error);
            let bytes = fs::read(order).map_err(failed)?;
            let text = String::from_utf8(bytes).map_err(|_| CliError::Refused("the order is not text".to_owned()))?;
            let key = keys::signing(key).map_err(CliError::Refused)?;
            let (text, mut signatures) = match Note::parse(text.as_bytes()) {
                Ok(note) => (note.text().to_owned(), note.signatures().to_vec()),
                Err(_) => (text, Vec::new()),
            };
            let read = Order::parse(&text).map_err(CliError::Refused)?;
            let signature = key.sign(&text, 0);
            if !signatures.contains(&signature) {
                signatures.push(signature);
            }
            let count = signatures.len();
            let note = Note::new(text, signatures).map_err(|error| CliError::Refused(error.to_string()))?;
            let next = order.with_extension("signing");
            fs::write(&next, note.to_string()).and_then(|()| fs::rename(&next, order)).map_err(failed)?;
            let name = key.verifier().name();
            said(
                out,
                &format!("{name} signed the order for {} sessions; it has {count} signatures\n", read.sessions.len()),
            )
        }
        PurgeCommand::Apply { directory, order, signers } => {
            let bytes = fs::read(order).map_err(|error| CliError::Output(order.clone(), error))?;
            let note = Note::parse(&bytes).map_err(|_| CliError::Refused("the order is not signed".to_owned()))?;
            let keys = keys::verifiers(signers).map_err(CliError::Refused)?;
            let applied = retention::apply(directory, &note, &keys, Clock::now().wall_ns).map_err(CliError::Refused)?;
            let retention::Applied { sessions, keys, recordings, signers, again } = applied;
            let before = if again { " (the order was recorded before)" } else { "" };
            let signers = signers.join(" and ");
            said(
                out,
                &format!(
                    "{sessions} sessions: {keys} keys overwritten, {recordings} recordings removed, by order of {signers}{before}\n"
                ),
            )
        }
    }
}

/// Nanoseconds of a day.
const DAY_NS: u64 = 86_400 * 1_000_000_000;

/// Runs `review`.
///
/// # Errors
/// Arguments or the desk.
pub fn review(command: &ReviewCommand, out: &mut dyn Write) -> Result<u8, CliError> {
    let person = Person::of_process();
    let (directory, filter, ticket, findings, reason) = match command {
        ReviewCommand::Open { directory, filter, ticket } => (directory, filter, ticket, "", "opened"),
        ReviewCommand::Close { directory, filter, ticket, findings } => {
            word("findings", findings)?;
            (directory, filter, ticket, findings.as_str(), "closed")
        }
    };
    word("ticket", ticket)?;
    let detail = stored(filter)?;
    let act = Record::Review { actor: person.actor(), reason, detail: &detail, findings, ticket };
    record(directory, &[act]).map_err(CliError::Refused)?;
    said(out, &format!("review {ticket} {reason} by {}\n", person.subject))
}

/// Runs `report`.
///
/// # Errors
/// Arguments, the log or the output.
pub fn report(args: &ReportArgs, out: &mut dyn Write, notes: &mut dyn Write) -> Result<u8, CliError> {
    if args.report != "all" && !REPORTS.contains(&args.report.as_str()) {
        return Err(CliError::Argument("report", args.report.clone(), format!("{}, or all", REPORTS.join(", "))));
    }
    let mut query = args.filter.query()?;
    if query.kind.is_empty() {
        query.kind.push("*".to_owned());
    }
    let mut reports = Reports::default();
    let code = walk_all(&args.directory, notes, |row| {
        reports.know(row);
        if query.wants(row) {
            reports.add(row);
        }
        Ok(())
    })?;
    let tables = reports.tables(&args.report);
    if let Some(name) = &args.csv {
        let table = tables.iter().find(|table| table.name == name).ok_or_else(|| {
            let names: Vec<&str> = tables.iter().map(|table| table.name).collect();
            CliError::Argument("csv", name.clone(), names.join(", "))
        })?;
        said(out, &table.csv())?;
        return Ok(code);
    }
    let unanswered: Vec<&str> =
        UNANSWERED.iter().filter(|(of, _)| args.report == "all" || *of == args.report).map(|(_, what)| *what).collect();
    if args.json {
        let tables: Vec<_> = tables.iter().map(crate::table::Table::json).collect();
        said(out, &(line(&json!({"report": args.report, "tables": tables, "not_answered": unanswered})) + "\n"))?;
    } else {
        let mut text: Vec<String> = tables.iter().map(crate::table::Table::text).collect();
        text.extend(unanswered.iter().map(|what| format!("Not answered: {what}\n")));
        said(out, &text.join("\n"))?;
    }
    Ok(code)
}

/// Runs `sample`.
///
/// # Errors
/// Arguments, the log or the output.
pub fn sample(args: &SampleArgs, out: &mut dyn Write) -> Result<u8, CliError> {
    let failed = |error| CliError::Output(args.from.clone(), error);
    let mut population = Population::default();
    let each = |header: &headers::Header| {
        population.add(header);
        Ok(())
    };
    let is_directory = args.from.is_dir();
    if is_directory { headers::of_directory(&args.from, each) } else { headers::of_file(&args.from, each) }
        .map_err(failed)?;
    if args.count > sample::SAMPLE_MAX {
        let most = format!("at most {}", sample::SAMPLE_MAX);
        return Err(CliError::Argument("count", args.count.to_string(), most));
    }
    let root = match &args.root {
        Some(text) => {
            hex32(text).ok_or_else(|| CliError::Argument("root", text.clone(), "64 hexadecimal digits".to_owned()))?
        }
        None => pack::checkpoint_root(&args.from).filter(|_| is_directory).unwrap_or_else(|| population.digest()),
    };
    let drawn = sample::indices(args.nonce.as_bytes(), &root, population.records(), args.count);
    let places: Vec<(u16, u64)> = drawn.into_iter().filter_map(|index| population.record(index)).collect();
    let (root, records) = (render::hex(&root), population.records());
    if args.json {
        let sample: Vec<String> = places.iter().map(|(core, sequence)| format!("{core}:{sequence}")).collect();
        return said(out, &(json!({"root": root, "population": records, "sample": sample}).to_string() + "\n"));
    }
    let mut text = format!("root {root}\npopulation {records} records\n");
    for (core, sequence) in places {
        text.push_str(&format!("{core}:{sequence}\n"));
    }
    said(out, &text)
}

fn hex32(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    let mut out = [0; 32];
    for (byte, digits) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    }
    Some(out)
}

/// Runs `evidence`.
///
/// # Errors
/// Arguments, the log or the output.
pub fn evidence(command: &EvidenceCommand, out: &mut dyn Write) -> Result<u8, CliError> {
    match command {
        EvidenceCommand::Build { directory, framework, from, to, output, nonce, sample, key, reason } => {
            let period = (moment("from", from)?, moment("to", to)?.min(Clock::now().wall_ns));
            if period.0 >= period.1 {
                return Err(CliError::Argument("to", to.clone(), "a time after --from".to_owned()));
            }
            if *sample > sample::SAMPLE_MAX {
                return Err(CliError::Argument(
                    "sample",
                    sample.to_string(),
                    format!("at most {}", sample::SAMPLE_MAX),
                ));
            }
            let failed = |error| CliError::Output(output.clone(), error);
            if output.symlink_metadata().is_ok() {
                return Err(failed(io::ErrorKind::AlreadyExists.into()));
            }
            let beside =
                output.parent().filter(|p| !p.as_os_str().is_empty()).map_or_else(|| PathBuf::from("."), PathBuf::from);
            let staging = tempfile::Builder::new().prefix(".evidence-").tempdir_in(&beside).map_err(failed)?;
            let settings = pack::Settings {
                directory: directory.clone(),
                frameworks: framework.clone(),
                period,
                nonce: nonce.clone(),
                sample: *sample,
                key: key.clone(),
            };
            let contents = staging.path().join("pack");
            fs::create_dir(&contents).map_err(failed)?;
            let ready = staging.path().join("ready");
            let built = pack::build(&settings, &contents, &ready)?;
            let person = Person::of_process();
            let (from, to) = (time::format(period.0, 0), time::format(period.1, 0));
            let detail = format!("from={from} to={to} manifest={}", built.manifest);
            let act =
                Record::Export { actor: person.actor(), reason, kind: "pack", detail: &detail, count: built.events };
            record(directory, &[act]).map_err(CliError::Refused)?;
            fs::rename(&ready, output).map_err(failed)?;
            let code = built.verified;
            let text = format!(
                "{} files in {}, {} events from {from} to {to}\nmanifest {}\nverification: exit code {code}\n",
                built.files,
                output.display(),
                built.events,
                built.manifest
            );
            said(out, &text)?;
            Ok(code)
        }
        EvidenceCommand::Check { folder, key } => {
            let keys = key.as_deref().map(keys::verifiers).transpose().map_err(CliError::Refused)?;
            let checked = pack::check::check(folder, keys.as_deref().unwrap_or_default())?;
            said(out, &checked.text)?;
            Ok(if checked.good { EXIT_CLEAN } else { EXIT_FINDINGS })
        }
    }
}
