//! `tidegate login`, `logout`, `whoami`, `connect`: the side of the person who wants to reach a database.
//!
//! ```text
//!  login ─▶ console: start ─▶ browser (or another device, or a token) ─▶ sign-in ─▶ password for databases
//!                                                        kept under $XDG_STATE_HOME/tidegate, mode 0600 ─▶ psql, connect
//! ```
//!
//! Invariants: secrets are in files that only their owner reads, never in arguments, messages or addresses that are shown; of
//! files of others (`pg_service.conf`, `.pgpass`) only the entries made here change. Exit codes: 0 done, 1 failed, 2 wrong
//! arguments, 3 not signed in. Deliberately absent: rules; everything is asked of the console.

mod browser;
pub mod client;
mod connect;
mod files;
mod state;

pub use client::{Answer, CliError, Client};
pub use state::State;

use clap::Args;
use serde_json::{Value, json};
use std::{
    io::{IsTerminal as _, Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use zeroize::Zeroizing;

/// Sign in at a gateway, and get a password for its databases.
#[derive(Args, Debug)]
pub struct LoginArgs {
    /// Address of the gateway's console: https://HOST[:PORT]; the last one if absent
    url: Option<String>,
    /// Sign in on another device: shows a code and where to type it
    #[arg(long, conflicts_with_all = ["token_file", "client_id"])]
    device: bool,
    /// Show the address instead of opening a browser
    #[arg(long)]
    no_browser: bool,
    /// Sign in by the token in this file (`-` for standard input): services, jobs, pods
    #[arg(long, value_name = "FILE", conflicts_with = "client_id")]
    token_file: Option<PathBuf>,
    /// Sign in as a service, by client credentials of this client at `--issuer`
    #[arg(long, value_name = "ID", requires_all = ["issuer", "client_key"])]
    client_id: Option<String>,
    /// Private key of the client, PEM (private_key_jwt)
    #[arg(long, value_name = "FILE", requires = "client_id")]
    client_key: Option<PathBuf>,
    /// Name of that key, if the issuer knows several
    #[arg(long, value_name = "ID", requires = "client_id")]
    client_key_id: Option<String>,
    /// Issuer of the client's tokens
    #[arg(long, value_name = "URL", requires = "client_id")]
    issuer: Option<String>,
    /// What the token is for: the gateway's audience
    #[arg(long, value_name = "URI", requires = "client_id")]
    audience: Option<String>,
    /// Scope to ask for
    #[arg(long, value_name = "SCOPE", requires = "client_id")]
    scope: Option<String>,
    /// Short name of the identity provider, if the gateway has several (with --device)
    #[arg(long, value_name = "NAME", requires = "device")]
    provider: Option<String>,
    /// Trusted authorities for TLS to the console and the databases, PEM; the system's if absent
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    #[command(flatten)]
    wanted: Wanted,
    /// Write an entry for each target to pg_service.conf: psql service=tidegate-TARGET
    #[arg(long)]
    write_service: bool,
    /// Write the password to .pgpass, so that clients need no other
    #[arg(long)]
    write_pgpass: bool,
    /// Get a client certificate too; its key is made here and stays here
    #[arg(long)]
    certificate: bool,
    /// The answer as JSON; it holds the password
    #[arg(long)]
    json: bool,
}

/// What a password for databases is asked for.
#[derive(Args, Clone, Debug)]
pub struct Wanted {
    /// Only for this target
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// How long it is wanted
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = crate::units::duration)]
    ttl: Duration,
    /// What for; some targets demand it
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
}

impl Wanted {
    fn body(&self) -> Value {
        json!({
            "target": self.target.as_deref().unwrap_or_default(),
            "purpose": self.purpose.as_deref().unwrap_or_default(),
            "ttl": self.ttl.as_secs().max(1),
        })
    }
}

/// Show who you are to the gateway.
#[derive(Args, Debug)]
pub struct WhoamiArgs {
    /// The answer as JSON
    #[arg(long)]
    json: bool,
}

/// Open a port on this machine that needs no password and leads to a database.
#[derive(Args, Debug)]
pub struct ConnectArgs {
    /// Target
    target: String,
    /// Port; one that is free if absent
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How long the password behind it is wanted; a new one is made when it ends
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = crate::units::duration)]
    ttl: Duration,
    /// What for; some targets demand it
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// Run this with PGHOST, PGPORT, PGUSER and PGDATABASE set, and end with it
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// A password for databases, as the console gives it.
#[derive(Clone)]
pub(crate) struct Credential {
    pub(crate) id: String,
    pub(crate) user: String,
    pub(crate) password: Zeroizing<String>,
    pub(crate) until: u64,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    pub(crate) targets: Vec<String>,
}

impl Credential {
    fn read(answer: &Value) -> Result<Self, CliError> {
        let text = |name: &str| answer[name].as_str().map(str::to_owned);
        let read = || {
            Some(Self {
                id: text("id").filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))?,
                user: text("user")?,
                password: Zeroizing::new(text("password")?),
                until: answer["until"].as_u64()?,
                host: text("host")?,
                port: u16::try_from(answer["port"].as_u64()?).ok()?,
                tls: answer["tls"].as_bool()?,
                targets: answer["targets"].as_array()?.iter().filter_map(|t| Some(t.as_str()?.to_owned())).collect(),
            })
        };
        read().filter(Self::is_plain).ok_or_else(|| CliError::failed("the console's answer is not understood"))
    }

    /// These go into files with one entry per line.
    fn is_plain(&self) -> bool {
        let all = [&self.user, &self.host].into_iter().chain(&self.targets);
        all.chain([&*self.password]).all(|text| !text.is_empty() && !text.chars().any(char::is_control))
    }
}

/// Runs `tidegate login`.
#[must_use]
pub fn login(arguments: &LoginArgs) -> ExitCode {
    CliError::told(signed_in(arguments))
}

fn signed_in(arguments: &LoginArgs) -> Result<(), CliError> {
    let folder = state::folder()?;
    let before = State::load(&folder)?;
    let url = match (&arguments.url, &before) {
        (Some(url), _) => url.trim_end_matches('/').to_owned(),
        (None, Some(before)) => before.url.clone(),
        (None, None) => return Err(CliError::failed("which gateway? tidegate login https://HOST[:PORT]")),
    };
    let ca = match (&arguments.ca, &before) {
        (Some(ca), _) => Some(ca.canonicalize().map_err(|e| CliError::failed(format!("{}: {e}", ca.display())))?),
        (None, Some(before)) if before.url == url => before.ca.clone(),
        (None, _) => None,
    };
    let client = Client::new(&url, ca.as_deref(), None)?;
    let answer = if let Some(file) = &arguments.token_file {
        let token = token_in(file)?;
        client.post("login/token", &json!({ "token": *token }))?
    } else if arguments.client_id.is_some() {
        let token = service_token(arguments, ca.as_deref())?;
        client.post("login/token", &json!({ "token": token.expose() }))?
    } else if arguments.device {
        on_device(&client, arguments.provider.as_deref())?
    } else {
        browser::sign_in(&client, !arguments.no_browser)?
    };
    let state = State::of(&url, ca, &answer)?;
    // The sign-in that this one replaces ends, and with it its passwords.
    if let Some(before) = &before {
        end(before);
    }
    state.save(&folder)?;
    let client = state.client()?;
    let answer = client.post("credentials", &arguments.wanted.body())?;
    let credential = Credential::read(&answer)?;
    let passfile = files::passfile(&folder);
    files::write_pgpass(&passfile, &credential)?;
    let mut notes = Vec::new();
    if arguments.write_pgpass {
        let file = files::home_pgpass()?;
        files::write_pgpass(&file, &credential)?;
        notes.push(format!("password in {}", file.display()));
    }
    if arguments.write_service {
        let file = files::home_service()?;
        files::write_service(&file, &credential, &passfile, state.ca.as_deref())?;
        notes.push(format!("entries in {}: psql service=tidegate-TARGET", file.display()));
    }
    if arguments.certificate {
        let key = rcgen::KeyPair::generate().map_err(|e| CliError::failed(format!("a key cannot be made: {e}")))?;
        let mut body = arguments.wanted.body();
        body["public_key"] = key.public_key_pem().into();
        let answer = client.post("certificates", &body)?;
        let certificate = answer["certificate"].as_str().ok_or_else(|| CliError::failed("no certificate came back"))?;
        let (at, beside) = files::write_certificate(&folder, certificate, &Zeroizing::new(key.serialize_pem()))?;
        notes.push(format!("certificate: sslcert={} sslkey={}", at.display(), beside.display()));
    }
    if arguments.json {
        return print(&format!("{}\n", json!({"person": state.person, "until": state.until, "credential": *answer})));
    }
    print(&welcome(&state, &credential, &passfile, &notes))
}

/// What is told after a login: nothing secret.
fn welcome(state: &State, credential: &Credential, passfile: &Path, notes: &[String]) -> String {
    let name = state.person["name"].as_str().unwrap_or_default();
    let mut text = format!(
        "signed in as {} ({name}), until {}\npassword for databases until {}, in {}\n",
        credential.user,
        clock(state.until),
        clock(credential.until),
        passfile.display()
    );
    for note in notes {
        text.push_str(&format!("{note}\n"));
    }
    for target in &credential.targets {
        let tls = match (credential.tls, &state.ca) {
            (false, _) => "sslmode=disable".to_owned(),
            (true, Some(ca)) => format!("sslmode=verify-full sslrootcert={} channel_binding=require", ca.display()),
            (true, None) => "sslmode=verify-full sslrootcert=system channel_binding=require".to_owned(),
        };
        text.push_str(&format!(
            "\n  tidegate connect {target} -- psql\n  psql \"host={} port={} user={} dbname={target} {tls} passfile={}\"\n",
            credential.host,
            credential.port,
            credential.user,
            passfile.display()
        ));
    }
    text
}

/// The hour, by this machine's clock and in UTC.
fn clock(seconds: u64) -> String {
    let left = seconds.saturating_sub(state::now());
    let (hours, minutes) = (left / 3600, left / 60 % 60);
    let of_day = seconds % 86_400;
    let at = format!("{:02}:{:02} UTC", of_day / 3600, of_day / 60 % 60);
    match (hours, minutes) {
        (0, 0) => format!("{at} (in {left} s)"),
        (0, minutes) => format!("{at} (in {minutes} min)"),
        (hours, minutes) => format!("{at} (in {hours} h {minutes} min)"),
    }
}

fn token_in(file: &Path) -> Result<Zeroizing<String>, CliError> {
    let mut text = Zeroizing::new(String::new());
    let most = identity::TOKEN_BYTES_MAX as u64 + 2;
    let wrong = |e: std::io::Error| CliError::failed(format!("{}: {e}", file.display()));
    if file.as_os_str() == "-" {
        std::io::stdin().take(most).read_to_string(&mut text).map_err(wrong)?;
    } else {
        std::fs::File::open(file).map_err(wrong)?.take(most).read_to_string(&mut text).map_err(wrong)?;
    }
    Ok(Zeroizing::new(text.trim().to_owned()))
}

fn service_token(arguments: &LoginArgs, ca: Option<&Path>) -> Result<identity::Secret, CliError> {
    let (Some(client_id), Some(issuer), Some(key)) = (&arguments.client_id, &arguments.issuer, &arguments.client_key)
    else {
        return Err(CliError::failed("a service needs --client-id, --client-key and --issuer"));
    };
    let pem = std::fs::read(key).map_err(|e| CliError::failed(format!("{}: {e}", key.display())))?;
    let pem = Zeroizing::new(pem);
    let signer = identity::Signer::from_pem(&pem, arguments.client_key_id.clone())
        .map_err(|why| CliError::failed(format!("{}: {why}", key.display())))?;
    let ask = identity::flow::ClientCredentials {
        issuer: issuer.clone(),
        client_id: client_id.clone(),
        auth: identity::ClientAuth::PrivateKey(std::sync::Arc::new(signer)),
        scope: arguments.scope.clone(),
        resource: arguments.audience.clone(),
        authorities: ca.map(Path::to_owned),
    };
    identity::flow::client_credentials(&ask, state::now()).map_err(|e| CliError::failed(e.to_string()))
}

/// Shows a code and waits until it was typed somewhere.
fn on_device(client: &Client, provider: Option<&str>) -> Result<Answer, CliError> {
    let begun = client.post("login/device", &provider.map_or_else(|| json!({}), |name| json!({ "provider": name })))?;
    let text = |name: &str| begun[name].as_str().unwrap_or_default();
    let until = state::now() + begun["expires_in"].as_u64().unwrap_or(600);
    // To the person, whatever becomes of the output.
    eprintln!("Go to  {}\nand type  {}\n", text("verification_uri"), text("user_code"));
    eprintln!("Sign in there only because you have just started this here. Waiting until {} …", clock(until));
    let mut interval = begun["interval"].as_u64().unwrap_or(5);
    while state::now() < until {
        std::thread::sleep(Duration::from_secs(interval.clamp(1, 60)));
        let polled = client.post("login/device/poll", &json!({ "device": text("device") }))?;
        if polled["pending"] != true {
            return Ok(polled);
        }
        interval = polled["interval"].as_u64().unwrap_or(interval);
    }
    Err(CliError::failed("nobody signed in in time"))
}

/// Ends a sign-in as well as it can be: the console may be gone, or it may have ended already.
fn end(state: &State) {
    let ended = state.client().and_then(|client| client.post("logout", &json!({})));
    if let Err(error) = ended
        && !matches!(error, CliError::SignedOut)
    {
        eprintln!("warning: the sign-in before could not be ended: {error}");
    }
}

/// Runs `tidegate logout`: ends the sign-in, its passwords, and takes them out of the files they were written to.
#[must_use]
pub fn logout() -> ExitCode {
    let out = || {
        let folder = state::folder()?;
        let state = State::load(&folder)?.ok_or(CliError::SignedOut)?;
        end(&state);
        files::forget(&folder, state.person["handle"].as_str().unwrap_or_default())?;
        State::remove(&folder)?;
        print("signed out\n")
    };
    CliError::told(out())
}

/// Runs `tidegate whoami`.
#[must_use]
pub fn whoami(arguments: &WhoamiArgs) -> ExitCode {
    let who = || {
        let state = State::load(&state::folder()?)?.ok_or(CliError::SignedOut)?;
        let answer = state.client()?.get("whoami")?;
        if arguments.json {
            return print(&format!("{}\n", *answer));
        }
        let person = &answer["person"];
        let text = |name: &str| person[name].as_str().unwrap_or_default();
        let groups: Vec<&str> = person["groups"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        print(&format!(
            "{} ({})\ngateway  {}\nissuer   {}\nsubject  {}\ngroups   {}\nuntil    {}\n",
            text("handle"),
            text("name"),
            state.url,
            text("issuer"),
            text("subject"),
            groups.join(", "),
            clock(answer["until"].as_u64().unwrap_or_default())
        ))
    };
    CliError::told(who())
}

/// Runs `tidegate connect`.
#[must_use]
pub fn connect(arguments: &ConnectArgs) -> ExitCode {
    match connect::run(arguments) {
        Ok(code) => code,
        Err(error) => CliError::told(Err(error)),
    }
}

fn print(text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(CliError::failed(format!("output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Whether a person looks at it.
fn is_watched() -> bool {
    std::io::stderr().is_terminal()
}
