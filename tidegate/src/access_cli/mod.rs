//! `tidegate request`, `grants`, `approvals`, `breakglass`, `reviews`, `people`, and live sessions: access, by the command line.
//!
//! Everything is asked of the console's API in the name of who signed in with `tidegate login`; no rule is here. Texts of others
//! are shown so that they cannot steer a terminal. Exit codes: 0 done, 1 failed, refused or denied, 2 wrong arguments, 3 not
//! signed in. Deliberately absent: votes that need an authenticator, which are cast in the console.

mod show;

use crate::login::{Answer, CliError, Client, State};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

/// Between looks at a request that waits.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Ask for a role on a target for a time.
#[derive(Args, Debug)]
pub struct RequestArgs {
    /// Target
    target: String,
    /// Role; the only one that you can ask for if absent
    #[arg(long)]
    role: Option<String>,
    /// How long it is wanted, from approval
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = crate::units::duration)]
    time: Duration,
    /// What for, or the ticket
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Wait until it is decided
    #[arg(long)]
    wait: bool,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

/// Access for a time.
#[derive(Args, Debug)]
pub struct GrantsArgs {
    #[command(subcommand)]
    command: Option<GrantsCommand>,
}

#[derive(Debug, Subcommand)]
enum GrantsCommand {
    /// List what holds: yours, everybody's for auditors
    List {
        /// The answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// End one before its time, with the sessions that use it
    Revoke {
        /// Id, for instance TG-7F3K9QXM
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
}

/// Requests and votes.
#[derive(Args, Debug)]
pub struct ApprovalsArgs {
    #[command(subcommand)]
    command: Option<ApprovalsCommand>,
}

#[derive(Debug, Subcommand)]
enum ApprovalsCommand {
    /// List requests that concern you, newest first
    List {
        /// Only those that wait for your vote
        #[arg(long)]
        waiting: bool,
        /// Only your own
        #[arg(long, conflicts_with = "waiting")]
        mine: bool,
        /// The answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a request; while it waits, with the statement
    Show {
        /// Id
        id: String,
        /// The answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Vote yes
    Approve(VoteArgs),
    /// Vote no, which is final
    Deny(VoteArgs),
    /// Withdraw your own request
    Withdraw {
        /// Id
        id: String,
        /// Why
        #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
        reason: String,
    },
}

#[derive(Args, Debug)]
struct VoteArgs {
    /// Id
    id: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Beginning of the digest of the statement that you looked at, as `show` prints it; asked for on a terminal if absent
    #[arg(long, value_name = "HEX")]
    digest: Option<String>,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

/// Take a role in an emergency: at once, recorded, told to everybody concerned, reviewed by two others.
#[derive(Args, Debug)]
pub struct BreakGlassArgs {
    /// Target
    target: String,
    /// Role; the first that there is if absent
    #[arg(long, default_value = "", hide_default_value = true)]
    role: String,
    /// How long, at most an hour
    #[arg(long = "for", value_name = "TIME", default_value = "30m", value_parser = crate::units::duration)]
    time: Duration,
    /// What has happened
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

/// Emergencies to be reviewed.
#[derive(Args, Debug)]
pub struct ReviewsArgs {
    #[command(subcommand)]
    command: Option<ReviewsCommand>,
}

#[derive(Debug, Subcommand)]
enum ReviewsCommand {
    /// List emergencies, newest first
    List {
        /// The answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Review one: what you found
    Add {
        /// Id
        id: String,
        /// What you found
        #[arg(long, value_name = "TEXT")]
        finding: String,
    },
}

/// People who signed in.
#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// List them
    List {
        /// The answer as JSON
        #[arg(long)]
        json: bool,
    },
    /// Suspend somebody: sign-ins, credentials and sessions end at once
    Suspend(PersonArgs),
    /// Take a suspension back
    Restore(PersonArgs),
}

/// Somebody, and why.
#[derive(Args, Debug)]
pub struct PersonArgs {
    /// Name in databases
    handle: String,
    /// Why
    #[arg(long, value_name = "TEXT")]
    reason: String,
}

fn console() -> Result<Client, CliError> {
    State::current()?.client()
}

fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        // The reader of a pipe has what it wanted.
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(|e| CliError::failed(format!("output: {e}"))),
    }
}

fn shown(answer: &Answer, as_json: bool, text: impl FnOnce(&Value) -> String) -> Result<(), CliError> {
    if as_json { print(&format!("{:#}\n", **answer)) } else { print(&text(answer)) }
}

/// An id as part of a path: nothing else gets there.
fn id(text: &str) -> Result<&str, CliError> {
    let plain = !text.is_empty() && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if plain { Ok(text) } else { Err(CliError::failed("that is not an id; ids look like TG-7F3K9QXM")) }
}

/// Runs `tidegate request`.
#[must_use]
pub fn request(arguments: &RequestArgs) -> ExitCode {
    CliError::told(asked(arguments))
}

fn asked(arguments: &RequestArgs) -> Result<(), CliError> {
    let console = console()?;
    let role = match &arguments.role {
        Some(role) => role.clone(),
        None => only_role(&console, &arguments.target)?,
    };
    let seconds = arguments.time.as_secs().max(60);
    let body = json!({"target": arguments.target, "role": role, "seconds": seconds, "reason": arguments.reason});
    let mut answer = console.post("requests", &body)?;
    let asked = answer["id"].as_str().unwrap_or_default().to_owned();
    if arguments.wait && answer["state"] == "pending" {
        if !arguments.json {
            eprintln!("{asked} waits for {} of {}", show::votes(&answer), show::list(&answer["approvers"]));
        }
        while answer["state"] == "pending" {
            std::thread::sleep(LOOK_EVERY);
            answer = console.get(&format!("requests/{}", id(&asked)?))?;
        }
    }
    shown(&answer, arguments.json, show::outcome)?;
    match answer["state"].as_str() {
        Some("approved" | "pending") => Ok(()),
        Some(other) => Err(CliError::failed(format!("{asked} was {}", show::plain(other)))),
        None => Err(CliError::failed("the console's answer is not understood")),
    }
}

fn only_role(console: &Client, target: &str) -> Result<String, CliError> {
    let answer = console.get("targets")?;
    let targets = answer["targets"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of = targets.iter().find(|of| of["name"] == target);
    let of = of.ok_or_else(|| CliError::failed(format!("there is no target `{}`", show::plain(target))))?;
    let roles: Vec<&str> =
        of["requestable"].as_array().into_iter().flatten().filter_map(|role| role["role"].as_str()).collect();
    match roles.as_slice() {
        [] => Err(CliError::failed("there is no role that you can ask for on this target")),
        [role] => Ok((*role).to_owned()),
        several => {
            let names: Vec<String> = several.iter().map(|name| show::plain(name)).collect();
            Err(CliError::failed(format!("which role? --role {}", names.join(" or --role "))))
        }
    }
}

/// Runs `tidegate grants`.
#[must_use]
pub fn grants(arguments: &GrantsArgs) -> ExitCode {
    let run = || match &arguments.command {
        None => shown(&console()?.get("grants")?, false, show::grants),
        Some(GrantsCommand::List { json }) => shown(&console()?.get("grants")?, *json, show::grants),
        Some(GrantsCommand::Revoke { id: of, reason }) => {
            console()?.delete(&format!("grants/{}", id(of)?), &json!({"reason": reason}))?;
            print(&format!("{of} has ended, and the sessions that used it\n"))
        }
    };
    CliError::told(run())
}

/// Runs `tidegate approvals`.
#[must_use]
pub fn approvals(arguments: &ApprovalsArgs) -> ExitCode {
    let list = |waiting: bool, mine: bool, json: bool| {
        let path = match (waiting, mine) {
            (true, _) => "requests?whose=vote",
            (_, true) => "requests?whose=mine",
            _ => "requests",
        };
        shown(&console()?.get(path)?, json, show::requests)
    };
    let run = || match &arguments.command {
        None => list(false, false, false),
        Some(ApprovalsCommand::List { waiting, mine, json }) => list(*waiting, *mine, *json),
        Some(ApprovalsCommand::Show { id: of, json }) => {
            shown(&console()?.get(&format!("requests/{}", id(of)?))?, *json, show::request)
        }
        Some(ApprovalsCommand::Approve(vote)) => cast(vote, "approve"),
        Some(ApprovalsCommand::Deny(vote)) => cast(vote, "deny"),
        Some(ApprovalsCommand::Withdraw { id: of, reason }) => {
            console()?.delete(&format!("requests/{}", id(of)?), &json!({"reason": reason}))?;
            print(&format!("{of} is withdrawn\n"))
        }
    };
    CliError::told(run())
}

/// A vote on a statement names what was looked at.
fn cast(arguments: &VoteArgs, vote: &str) -> Result<(), CliError> {
    let console = console()?;
    let path = format!("requests/{}", id(&arguments.id)?);
    let looked = console.get(&path)?;
    let digest = looked["wanted"]["digest"].as_str().unwrap_or_default();
    let given = match &arguments.digest {
        Some(given) => given.trim().to_lowercase(),
        None if digest.is_empty() || vote == "deny" => digest.to_owned(),
        None if std::io::stdin().is_terminal() => {
            eprint!("{}\n{vote} this? [yes/no] ", show::request(&looked));
            let mut said = String::new();
            std::io::stdin().lock().read_line(&mut said).map_err(|e| CliError::failed(format!("input: {e}")))?;
            if said.trim() != "yes" {
                return Err(CliError::failed("not voted"));
            }
            digest.to_owned()
        }
        None => {
            let shown = format!("tidegate approvals show {}", arguments.id);
            return Err(CliError::failed(format!("look at the statement first ({shown}), then give its --digest")));
        }
    };
    if !digest.starts_with(&given) || (!digest.is_empty() && given.len() < 12) {
        return Err(CliError::failed("that is not the digest of what waits: look again"));
    }
    let body = json!({"vote": vote, "reason": arguments.reason, "digest": digest});
    let answer = console.post(&format!("{path}/votes"), &body)?;
    shown(&answer, arguments.json, show::outcome)
}

/// Runs `tidegate breakglass`.
#[must_use]
pub fn break_glass(arguments: &BreakGlassArgs) -> ExitCode {
    let run = || {
        let body = json!({
            "target": arguments.target, "role": arguments.role, "seconds": arguments.time.as_secs().max(1),
            "reason": arguments.reason,
        });
        shown(&console()?.post("emergencies", &body)?, arguments.json, show::emergency)
    };
    CliError::told(run())
}

/// Runs `tidegate reviews`.
#[must_use]
pub fn reviews(arguments: &ReviewsArgs) -> ExitCode {
    let run = || match &arguments.command {
        None => shown(&console()?.get("emergencies")?, false, show::reviews),
        Some(ReviewsCommand::List { json }) => shown(&console()?.get("emergencies")?, *json, show::reviews),
        Some(ReviewsCommand::Add { id: of, finding }) => {
            let answer = console()?.post(&format!("emergencies/{}/reviews", id(of)?), &json!({"finding": finding}))?;
            let so_far = answer["reviews"].as_array().map_or(0, Vec::len);
            print(&format!("{of}: {so_far} of {} reviews\n", answer["needed"]))
        }
    };
    CliError::told(run())
}

/// Runs `tidegate people`.
#[must_use]
pub fn people(command: &PeopleCommand) -> ExitCode {
    let suspend = |of: &PersonArgs, suspended: bool| {
        let console = console()?;
        let all = console.get("people")?;
        let person =
            all["people"].as_array().into_iter().flatten().find(|person| person["handle"] == of.handle.as_str());
        let person =
            person.ok_or_else(|| CliError::failed(format!("nobody has the name `{}`", show::plain(&of.handle))))?;
        let body = json!({
            "issuer": person["who"]["issuer"], "subject": person["who"]["subject"], "suspended": suspended,
            "reason": of.reason,
        });
        console.post("people/suspend", &body)?;
        let word = if suspended { "suspended" } else { "no longer suspended" };
        print(&format!("{} is {word}\n", show::plain(&of.handle)))
    };
    let run = || match command {
        PeopleCommand::List { json } => shown(&console()?.get("people")?, *json, show::people),
        PeopleCommand::Suspend(of) => suspend(of, true),
        PeopleCommand::Restore(of) => suspend(of, false),
    };
    CliError::told(run())
}

/// Runs `tidegate sessions live`.
#[must_use]
pub fn live(as_json: bool) -> ExitCode {
    CliError::told(console().and_then(|console| shown(&console.get("sessions")?, as_json, show::sessions)))
}

/// Runs `tidegate sessions kill`.
#[must_use]
pub fn kill(session: &str, reason: &str) -> ExitCode {
    let run = || {
        let console = console()?;
        let all = console.get("sessions")?;
        let ids = all["sessions"].as_array().into_iter().flatten().filter_map(|live| live["session"].as_str());
        let matching: Vec<&str> = ids.filter(|id| !session.is_empty() && id.starts_with(session)).collect();
        match matching.as_slice() {
            [one] => {
                console.delete(&format!("sessions/{}", id(one)?), &json!({"reason": reason}))?;
                print(&format!("session {one} has ended\n"))
            }
            [] => Err(CliError::failed("no session that runs has this id")),
            _ => Err(CliError::failed("several sessions begin like this: write more of the id")),
        }
    };
    CliError::told(run())
}
