//! `tidegate signer`, `tidegate witness`, and the log's part of `tidegate keys`.

use clap::{Args, Subcommand};
use notary::{
    keys::{self, Keyring},
    signer_process,
    witness_server::{self, WitnessService},
};
use std::{
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
    sync::Arc,
};
use tlog::{VerifierKey, note::KeyKind};

/// A process that holds the key of a log.
#[derive(Args, Debug)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct SignerArgs {
    #[command(subcommand)]
    command: Option<SignerCommand>,
    /// Private key of the log (`tidegate keys new --log`)
    #[arg(long, value_name = "FILE", required = true)]
    key: Option<PathBuf>,
    /// Unix socket to answer on
    #[arg(long, value_name = "PATH", required = true)]
    socket: Option<PathBuf>,
    /// What was signed last; made if it does not exist. Without it the signer could be made to sign two histories
    #[arg(long, value_name = "FILE", required = true)]
    state: Option<PathBuf>,
    /// User id that may ask, besides the signer's own; may be repeated
    #[arg(long, value_name = "UID")]
    allow_uid: Vec<u32>,
}

/// What else can be done with a signer.
#[derive(Debug, Subcommand)]
pub enum SignerCommand {
    /// Make the next key; the gateway announces it in the log, has a checkpoint signed by both, and the old key is destroyed
    Rotate {
        /// Socket of the signer
        #[arg(long, value_name = "PATH")]
        socket: PathBuf,
    },
}

/// A witness of logs.
#[derive(Debug, Subcommand)]
pub enum WitnessCommand {
    /// Cosign checkpoints of these logs (C2SP tlog-witness, plain HTTP)
    Serve {
        /// Address to listen on
        #[arg(long, value_name = "IP:PORT")]
        listen: SocketAddr,
        /// Private key of the witness (`tidegate keys new --witness`)
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Folder for what was cosigned last; made if it does not exist. It must not be lost
        #[arg(long, value_name = "DIR")]
        state: PathBuf,
        /// A log and its public key; may be repeated, also for several keys of one log
        #[arg(long = "log", value_name = "ORIGIN=KEY", required = true)]
        logs: Vec<String>,
    },
}

fn log_to_stderr() {
    // An error means that a log is already there.
    let _already = tracing_subscriber::fmt().with_writer(std::io::stderr).with_target(false).try_init();
}

/// Runs `tidegate signer`; what it prints, if it ends.
///
/// # Errors
/// What went wrong; never a key.
pub fn signer(arguments: &SignerArgs) -> Result<String, String> {
    if let Some(SignerCommand::Rotate { socket }) = &arguments.command {
        let answer = signer_process::ask(socket, "rotate\n").map_err(|e| e.to_string())?;
        return Ok(rotation(answer.trim_end()));
    }
    let (Some(key), Some(socket), Some(state)) = (&arguments.key, &arguments.socket, &arguments.state) else {
        return Err("--key, --socket and --state are needed".to_owned());
    };
    log_to_stderr();
    process_hardened();
    let mut service = signer_process::Service::open(key, state).map_err(|e| e.to_string())?;
    let listener = signer_process::listen(socket).map_err(|e| e.to_string())?;
    let mut users = vec![rustix::process::getuid().as_raw()];
    users.extend(&arguments.allow_uid);
    tracing::info!("signing for {} on {}", service.key(), socket.display());
    signer_process::serve(&listener, &mut service, &users).map_err(|e| format!("{}: {e}", socket.display()))?;
    Ok(String::new())
}

/// The key stays out of core dumps and swap, as far as the system lets us.
fn process_hardened() {
    use rustix::{mm, process};
    if let Err(error) = process::set_dumpable_behavior(process::DumpableBehavior::NotDumpable) {
        tracing::warn!("core dumps cannot be turned off: {error}");
    }
    if let Err(error) = mm::mlockall(mm::MlockAllFlags::CURRENT | mm::MlockAllFlags::FUTURE) {
        tracing::warn!("memory cannot be locked: {error}");
    }
}

/// Runs `tidegate witness`; what it prints, if it ends.
///
/// # Errors
/// What went wrong; never a key.
pub fn witness(command: &WitnessCommand) -> Result<String, String> {
    let WitnessCommand::Serve { listen, key, state, logs } = command;
    log_to_stderr();
    let mut known = Vec::new();
    for log in logs {
        let (origin, text) = log.split_once('=').ok_or_else(|| format!("`{log}` is not ORIGIN=KEY"))?;
        let log_key = VerifierKey::parse(text).map_err(|e| format!("key of {origin}: {e}"))?;
        if log_key.kind() != KeyKind::Log {
            return Err(format!("the key of {origin} is a witness' key"));
        }
        known.push((origin.to_owned(), log_key));
    }
    let found = keys::load(key, KeyKind::Witness).map_err(|e| e.to_string())?;
    let found = found.ok_or_else(|| format!("{} does not exist", key.display()))?;
    let public = found.verifier().to_string();
    let service = WitnessService::open(found, state, &known).map_err(|e| e.to_string())?;
    let listener = TcpListener::bind(listen).map_err(|e| format!("cannot listen on {listen}: {e}"))?;
    tracing::info!("witness {public} on http://{listen}");
    witness_server::serve(&listener, &Arc::new(service)).map_err(|e| format!("{listen}: {e}"))?;
    Ok(String::new())
}

/// Makes a key of a log or a witness; what to print.
///
/// # Errors
/// The file exists, or the name may not be.
pub fn new_key(name: &str, output: &Path, kind: KeyKind) -> Result<String, String> {
    let key = keys::create(output, name, kind).map_err(|e| e.to_string())?;
    Ok(format!("private key: {} (mode 0600)\npublic key:  {}\n", output.display(), key.verifier()))
}

/// The public half of a log's or witness' key; `None` if the file holds another kind of key.
///
/// # Errors
/// Others may read the file.
pub fn public_key(file: &Path) -> Result<Option<VerifierKey>, String> {
    let text = std::fs::read(file).map(zeroize::Zeroizing::new).map_err(|e| format!("{}: {e}", file.display()))?;
    let text = text.trim_ascii_end();
    if !text.starts_with(b"PRIVATE+KEY+") {
        return Ok(None);
    }
    let found = keys::load(file, KeyKind::Log).or_else(|_| keys::load(file, KeyKind::Witness));
    found.map(|key| key.map(|key| key.verifier().clone())).map_err(|e| e.to_string())
}

/// Makes the next key of a log beside its key file; what to print.
///
/// # Errors
/// The key file cannot be used.
pub fn rotate_key(file: &Path) -> Result<String, String> {
    let next = Keyring::open(file).and_then(|mut keys| keys.prepare()).map_err(|e| e.to_string())?;
    Ok(rotation(&next.to_string()))
}

fn rotation(key: &str) -> String {
    format!(
        "next key: {key}\nThe gateway takes it over within seconds, or at its next start. Tell it to every witness and to \
         everybody who verifies.\n"
    )
}
