//! `tidegate sessions`, `tidegate replay`, and `tidegate audit show` with a private key: what was recorded, read back.
//!
//! Invariant: whoever opens what is sealed, or plays a recording, is on record at the desk before the first byte of it is
//! shown; where that cannot be recorded, nothing is shown.

use crate::keys;
use audit::{
    Body, Filter,
    record::{Clock, Record, SessionId},
    render::{hex, printable},
};
use clap::{ArgAction, Args, Subcommand};
use evidence::person::{self, Person};
use policy::Bundle;
use replay::{
    KeyError, KeyRing, Pace, Player, Recording, RecordingError, SessionLog, Stage, Wanted,
    against::{self, Range, Rules},
};
use sealing::{SessionKey, field};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{self, BufRead as _, BufWriter, Write},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

const FINDINGS: u8 = 10;
const CANNOT: u8 = 20;
/// Longest statement text on a line of `sessions show`, in characters.
const TEXT_CHARACTERS: usize = 300;

/// Sessions of the audit log.
#[derive(Debug, Subcommand)]
pub enum SessionsCommand {
    /// List sessions: when, who, where, how much, and whether they were recorded
    List {
        /// Audit directory
        directory: PathBuf,
        /// Which sessions
        #[command(flatten)]
        which: Which,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// List the sessions that run now on the gateway that you signed in to
    Live {
        /// The answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// End a session that runs on the gateway that you signed in to
    Kill {
        /// Session: the first hexadecimal digits of its id are enough
        session: String,
        /// Why
        #[arg(long, value_name = "TEXT")]
        reason: String,
    },
    /// Show the statements of a session
    Show {
        /// Session: the first hexadecimal digits of its id are enough
        session: String,
        /// Audit directory
        directory: PathBuf,
        /// How what is sealed is opened
        #[command(flatten)]
        opening: Opening,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
}

/// Which sessions.
#[derive(Args, Clone, Debug)]
pub struct Which {
    /// Not over before this time: 2026-11-22, 2026-11-22T08:14:34Z, or 15m, 2h, 7d ago
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Not begun after this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// Only this user
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only this target
    #[arg(long, value_name = "NAME")]
    target: Option<String>,
}

/// What opens sealed texts and recordings. That it was opened is recorded.
#[derive(Args, Clone, Debug)]
pub struct Opening {
    /// Private key that opens what is sealed; may be given more than once
    #[arg(long, value_name = "FILE", action = ArgAction::Append)]
    identity: Vec<PathBuf>,
    /// Why it is opened, for the record
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    reason: String,
}

/// Play a recording as its client saw it, or judge statements of the log under another bundle.
///
/// Exit code 0: all of it was shown, or nothing would change; 10: parts are damaged, or something would change; 20: it
/// cannot be done.
#[derive(Args, Debug)]
#[command(allow_missing_positional = true)]
pub struct ReplayArgs {
    /// Session: the first hexadecimal digits of its id are enough
    #[arg(required_unless_present = "against", conflicts_with = "against")]
    session: Option<String>,
    /// Audit directory
    directory: PathBuf,
    #[command(flatten)]
    opening: Opening,
    /// So many times as fast as it happened
    #[arg(long, value_name = "N", default_value_t = 1.0, conflicts_with_all = ["step", "fast", "against"])]
    speed: f64,
    /// A statement at a time: Enter goes on, q ends
    #[arg(long, conflicts_with_all = ["fast", "against"])]
    step: bool,
    /// At once
    #[arg(long, conflicts_with = "against")]
    fast: bool,
    /// Cut longer pauses to so many seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 5.0)]
    max_pause: f64,
    /// Values and texts in full, however long
    #[arg(long)]
    full: bool,
    /// JSON: one object per event, or one for the comparison
    #[arg(long)]
    json: bool,
    /// Compiled bundle to judge every statement with
    #[arg(long, value_name = "BUNDLE")]
    against: Option<PathBuf>,
    /// Catalog snapshot for --against, as `policy-compiler snapshot` writes it: FILE or TARGET=FILE
    #[arg(long, value_name = "[TARGET=]FILE", action = ArgAction::Append, requires = "against")]
    catalog: Vec<String>,
    /// With --against, list at most so many kinds of changed statements
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    which: Which,
}

/// Arguments of `audit show`.
#[derive(Args, Debug)]
pub struct ShowOpened {
    #[command(flatten)]
    show: audit::cli::ShowArgs,
    #[command(flatten)]
    opening: Opening,
}

/// What went wrong.
type Failure = String;

fn code(outcome: Result<u8, Failure>) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            if !error.is_empty() {
                eprintln!("{error}");
            }
            ExitCode::from(CANNOT)
        }
    }
}

/// Runs `tidegate sessions`.
pub fn sessions(command: &SessionsCommand) -> ExitCode {
    code(match command {
        SessionsCommand::Live { json } => return crate::access_cli::live(*json),
        SessionsCommand::Kill { session, reason } => return crate::access_cli::kill(session, reason),
        SessionsCommand::List { directory, which, json } => list(directory, which, *json),
        SessionsCommand::Show { session, directory, opening, json } => show(session, directory, opening, *json),
    })
}

/// Runs `tidegate replay`.
pub fn replay(arguments: &ReplayArgs) -> ExitCode {
    code(match &arguments.against {
        Some(bundle) => compare(arguments, bundle),
        None => play(arguments),
    })
}

/// Runs `tidegate audit show`.
///
/// # Errors
/// As for [`audit::cli::show`]; the other error is one of the keys or of the desk.
pub fn audit_show(arguments: &ShowOpened, out: &mut dyn Write) -> Result<Result<u8, audit::cli::CliError>, Failure> {
    if arguments.opening.identity.is_empty() {
        return Ok(audit::cli::show(&arguments.show, out));
    }
    let directory = &arguments.show.directory;
    let keys = key_ring(directory, &arguments.opening)?;
    let opens = Filter { kind: Some("session-open".to_owned()), ..Filter::default() };
    let mut sessions = HashMap::new();
    for entry in audit::show(directory, opens).map_err(|e| e.to_string())?.flatten() {
        if let Body::SessionOpen { session, key, .. } = entry.record.body {
            sessions.insert(session, key);
        }
    }
    let of = arguments.show.session.as_deref().unwrap_or("all sessions");
    viewed(directory, &arguments.opening, SessionId([0; 16]), &format!("texts of {of}, by audit show"))?;
    let mut opened: HashMap<SessionId, Option<SessionKey>> = HashMap::new();
    let mut open = |body: &mut Body| {
        let Some(session) = body.session() else { return };
        let (Body::Intent { statement, text, sealed_text, .. } | Body::Block { statement, text, sealed_text, .. }) =
            body
        else {
            return;
        };
        let key = opened.entry(session).or_insert_with(|| keys.key(session, sessions.get(&session)?).ok());
        if let Some(plain) = key.as_ref().and_then(|key| key.open(*statement, field::TEXT, sealed_text).ok()) {
            *text = plain;
            sealed_text.clear();
        }
    };
    Ok(audit::cli::show_opened(&arguments.show, &mut open, out))
}

fn moment(name: &str, text: Option<&String>) -> Result<Option<u64>, Failure> {
    let now = Clock::now().wall_ns;
    text.map(|text| {
        audit::time::parse(text, now)
            .ok_or_else(|| format!("--{name} {text}: expected a time such as 2026-11-22T08:14:34Z, 2026-11-22 or 15m"))
    })
    .transpose()
}

fn wanted(which: &Which) -> Result<Wanted, Failure> {
    Ok(Wanted {
        session: None,
        user: which.user.clone(),
        target: which.target.clone(),
        since_ns: moment("since", which.since.as_ref())?,
        until_ns: moment("until", which.until.as_ref())?,
    })
}

/// The one session that an id or its beginning means, with its statements.
fn one(directory: &Path, session: &str) -> Result<(SessionLog, Vec<String>), Failure> {
    if session.is_empty() || !session.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(format!("{}: a session is named by hexadecimal digits", printable(session.as_bytes())));
    }
    let wanted = Wanted { session: Some(session.to_owned()), ..Wanted::default() };
    let (mut found, damage) = replay::sessions(directory, &wanted, true).map_err(|error| error.to_string())?;
    match (found.pop(), found.is_empty()) {
        (Some(session), true) => Ok((session, damage)),
        (None, _) => Err(format!("no session {session} in {}", directory.display())),
        (Some(_), false) => Err(format!("{} sessions begin with {session}; give more digits", found.len() + 1)),
    }
}

fn key_ring(directory: &Path, opening: &Opening) -> Result<KeyRing, Failure> {
    let identities = opening.identity.iter().map(|file| keys::identity(file)).collect::<Result<_, _>>()?;
    KeyRing::open(directory, identities).map_err(|error| format!("{}: {error}", directory.display()))
}

/// Puts on record who looks, before anything is shown.
fn viewed(directory: &Path, opening: &Opening, session: SessionId, detail: &str) -> Result<(), Failure> {
    let who = Person::of_process();
    let record = Record::ReplayView { session, actor: who.actor(), reason: &opening.reason, detail };
    person::record(directory, &[record])
        .map(drop)
        .map_err(|error| format!("not shown, because it cannot be recorded: {error}"))
}

fn out() -> BufWriter<io::Stdout> {
    BufWriter::new(io::stdout())
}

/// A reader of a pipe that went away has what it wanted.
fn written(outcome: io::Result<()>) -> Result<(), Failure> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(String::new()),
        outcome => outcome.map_err(|error| format!("output: {error}")),
    }
}

fn duration(ns: u64) -> String {
    let seconds = ns / 1_000_000_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h{:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

fn list(directory: &Path, which: &Which, json: bool) -> Result<u8, Failure> {
    let (sessions, damage) = replay::sessions(directory, &wanted(which)?, false).map_err(|error| error.to_string())?;
    let mut out = out();
    for session in &sessions {
        let line = if json { summary(session).to_string() } else { line(session) };
        written(writeln!(out, "{line}"))?;
    }
    for place in &damage {
        eprintln!("!! {}", printable(place.as_bytes()));
    }
    written(out.flush())?;
    Ok(if damage.is_empty() { 0 } else { FINDINGS })
}

fn line(session: &SessionLog) -> String {
    let p = |text: &str| printable(text.as_bytes());
    let end = match &session.closed {
        Some((closed, reason)) => format!("{} {}", duration(closed.saturating_sub(session.opened_ns)), p(reason)),
        None => "open, or lost in a crash".to_owned(),
    };
    let recording = match (session.recording.as_str(), session.segments.last()) {
        ("", _) => String::new(),
        (mode, None) => format!(", recording {}", p(mode)),
        (mode, Some(last)) if last.reason.is_empty() => format!(", recording {} of {} bytes", p(mode), last.bytes),
        (mode, Some(last)) => format!(", recording {} of {} bytes ({})", p(mode), last.bytes, p(&last.reason)),
    };
    let sealed = if session.commitment == [0; 32] { "" } else { ", sealed" };
    format!(
        "{} {} {} as {} on {} from {}: {} statements, {} refused, {} rows, {} bytes, {end}{recording}{sealed}",
        audit::time::format(session.opened_ns, 3),
        hex(&session.id.0),
        p(&session.user),
        p(&session.role),
        p(&session.target),
        p(&session.source),
        session.forwarded,
        session.refused,
        session.rows,
        session.bytes,
    )
}

fn summary(session: &SessionLog) -> Value {
    json!({
        "session": hex(&session.id.0), "core": session.core,
        "opened": audit::time::format(session.opened_ns, 9),
        "closed": session.closed.as_ref().map(|(at, _)| audit::time::format(*at, 9)),
        "reason": session.closed.as_ref().map(|(_, reason)| reason),
        "user": session.user, "role": session.role, "target": session.target, "source": session.source,
        "application": session.application, "bundle": hex(&session.bundle),
        "statements": session.forwarded, "refused": session.refused, "rows": session.rows, "bytes": session.bytes,
        "recording": session.recording, "sealed": session.commitment != [0; 32],
        "recorded_bytes": session.segments.last().map(|segment| segment.bytes),
        "recording_end": session.segments.last().map(|segment| &segment.reason),
    })
}

fn show(session: &str, directory: &Path, opening: &Opening, json: bool) -> Result<u8, Failure> {
    let (session, damage) = one(directory, session)?;
    let ring = key_ring(directory, opening)?;
    let key = ring.key(session.id, &session.commitment);
    if key.is_ok() {
        viewed(directory, opening, session.id, "texts, by sessions show")?;
    } else if let (Err(error), false) = (&key, opening.identity.is_empty() || session.commitment == [0; 32]) {
        eprintln!("texts stay sealed: {error}");
    }
    let mut out = out();
    let head = if json { summary(&session).to_string() } else { line(&session) };
    written(writeln!(out, "{head}"))?;
    for (number, statement) in &session.statements {
        let text = statement.text.open(*number, &key);
        let parameters = parameters(*number, &statement.sealed_parameters, &key);
        let line = if json {
            let (shown, sealed) = match &text {
                Ok(text) => (text.as_ref().map(|text| String::from_utf8_lossy(text).into_owned()), false),
                Err(_) => (None, true),
            };
            json!({
                "statement": number, "time": audit::time::format(statement.wall_ns, 9), "text": shown,
                "sealed": sealed, "parameters": parameters, "forwarded": statement.forwarded,
                "code": statement.refused.as_ref().map(|(code, _)| code),
                "rule": statement.refused.as_ref().map(|(_, rule)| rule),
                "outcome": statement.outcome, "rows": statement.rows, "bytes": statement.bytes,
                "duration_us": statement.duration_us,
                "masked": statement.masked.iter().map(|m| json!([m.column, m.class, m.method])).collect::<Vec<_>>(),
            })
            .to_string()
        } else {
            told(*number, statement, &text, parameters)
        };
        written(writeln!(out, "{line}"))?;
    }
    for place in &damage {
        eprintln!("!! {}", printable(place.as_bytes()));
    }
    written(out.flush())?;
    Ok(if damage.is_empty() { 0 } else { FINDINGS })
}

/// A statement as one line.
fn told(
    number: u64,
    statement: &replay::Statement,
    text: &Result<Option<Vec<u8>>, KeyError>,
    parameters: Option<Vec<Option<String>>>,
) -> String {
    let text = match text {
        Ok(Some(text)) => printable(text),
        Ok(None) => "[the log has no text]".to_owned(),
        Err(_) => "[sealed]".to_owned(),
    };
    let text = match text.char_indices().nth(TEXT_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    let end = match &statement.refused {
        Some((code, rule)) => format!("REFUSED {} by {}", printable(code.as_bytes()), printable(rule.as_bytes())),
        None if statement.outcome.is_empty() => "no result".to_owned(),
        None => format!("{}, {} rows, {} us", statement.outcome, statement.rows, statement.duration_us),
    };
    let masked: Vec<String> = statement.masked.iter().map(|m| format!("{}:{}", m.column, m.method)).collect();
    let masked = if masked.is_empty() { String::new() } else { format!(", masked {}", masked.join(", ")) };
    let values = parameters.map(|values| {
        let values: Vec<String> = values.into_iter().map(|v| v.unwrap_or_else(|| "NULL".to_owned())).collect();
        format!("  with ({})", values.join(", "))
    });
    format!(
        "{} #{number} {text}{}  -> {}{}",
        audit::time::format(statement.wall_ns, 3),
        values.unwrap_or_default(),
        end,
        printable(masked.as_bytes())
    )
}

/// Parameters of a statement, safe to print; `None` where there are none to be read.
fn parameters(statement: u64, sealed: &[u8], key: &Result<SessionKey, KeyError>) -> Option<Vec<Option<String>>> {
    let plain = key.as_ref().ok()?.open(statement, field::PARAMETERS, sealed).ok()?;
    let mut rest = plain.as_slice();
    let mut values = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let length = i32::from_be_bytes(*length);
        let Ok(length) = usize::try_from(length) else {
            values.push(None);
            rest = behind;
            continue;
        };
        let (value, behind) = behind.split_at_checked(length)?;
        values.push(Some(printable(value)));
        rest = behind;
    }
    Some(values)
}

/// Standard output, and Enter on standard input.
struct Terminal {
    out: BufWriter<io::Stdout>,
}

impl Stage for Terminal {
    fn wait(&mut self, time: Duration) {
        std::thread::sleep(time);
    }

    fn step(&mut self) -> io::Result<()> {
        eprint!("-- Enter for the next statement, q to end ");
        let mut line = String::new();
        let read = io::stdin().lock().read_line(&mut line)?;
        if read == 0 || line.trim() == "q" { Err(io::ErrorKind::BrokenPipe.into()) } else { Ok(()) }
    }

    fn out(&mut self) -> &mut dyn Write {
        &mut self.out
    }
}

fn play(arguments: &ReplayArgs) -> Result<u8, Failure> {
    let directory = &arguments.directory;
    let (session, damage) = one(directory, arguments.session.as_deref().unwrap_or_default())?;
    let key = key_ring(directory, &arguments.opening)?.key(session.id, &session.commitment);
    let mut recording = Recording::open(directory, &session, key.as_ref().ok()).map_err(|error| match error {
        RecordingError::NotRecorded => format!("{error}; `tidegate sessions show` has its statements"),
        error => error.to_string(),
    })?;
    if recording.header.encrypted
        && let Err(error) = &key
    {
        return Err(format!("the recording cannot be opened: {error}"));
    }
    let detail = if recording.header.digests { "recording (digests)" } else { "recording" };
    viewed(directory, &arguments.opening, session.id, detail)?;
    for place in &damage {
        eprintln!("!! {}", printable(place.as_bytes()));
    }
    let pace = match (arguments.step, arguments.fast) {
        (true, _) => Pace::Step,
        (_, true) => Pace::Fast,
        _ if arguments.speed.is_finite() && arguments.speed > 0.0 => Pace::Times(arguments.speed),
        _ => return Err(format!("--speed {}: expected a number above 0", arguments.speed)),
    };
    let mut stage = Terminal { out: out() };
    if !arguments.json {
        written(writeln!(stage.out, "-- {}", line(&session)))?;
    }
    let mut player = Player::new(&session, &key, pace);
    player.json = arguments.json;
    player.full = arguments.full;
    player.pause_max = Duration::try_from_secs_f64(arguments.max_pause).ok();
    let damaged = !recording.damage.is_empty();
    match player.play(&mut recording, &mut stage) {
        Ok(gaps) => Ok(if gaps > 0 || damaged || !damage.is_empty() { FINDINGS } else { 0 }),
        Err(replay::PlayError::Stage(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(0),
        Err(error) => Err(error.to_string()),
    }
}

fn compare(arguments: &ReplayArgs, file: &Path) -> Result<u8, Failure> {
    let directory = &arguments.directory;
    let bytes = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    let bundle = Bundle::load(&bytes).map_err(|error| format!("{}: {error}", file.display()))?;
    if arguments.catalog.is_empty() {
        return Err(
            "--against needs a catalog snapshot: --catalog FILE (`policy-compiler snapshot` writes one)".to_owned()
        );
    }
    let catalogs = policy_compiler::Catalogs::read(&arguments.catalog, &bundle.model().targets)?;
    let digest = hex(bundle.digest());
    let keys = key_ring(directory, &arguments.opening)?;
    if !arguments.opening.identity.is_empty() {
        let detail = format!("texts, judged against bundle {digest}");
        viewed(directory, &arguments.opening, SessionId([0; 16]), &detail)?;
    }
    let which = wanted(&arguments.which)?;
    let filter = Filter {
        user: which.user,
        target: which.target,
        since_ns: which.since_ns,
        until_ns: which.until_ns,
        ..Filter::default()
    };
    let rules = Rules::new(Arc::new(bundle), &catalogs);
    let range = Range { directory, filter, keys: &keys };
    let found = against::compare(range, &rules).map_err(|error| error.to_string())?;
    let text = if arguments.json { format!("{:#}\n", found.json()) } else { found.text(arguments.limit) };
    let mut out = out();
    written(out.write_all(text.as_bytes()).and_then(|()| out.flush()))?;
    Ok(if found.unchanged() { 0 } else { FINDINGS })
}
