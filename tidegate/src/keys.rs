//! `tidegate keys`: key pairs of the people who may open what the gateway seals, and the keys of logs and witnesses.

use crate::vouch;
use clap::Subcommand;
use sealing::Identity;
use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};
use tlog::note::KeyKind;
use zeroize::Zeroizing;

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Make a key pair: the private key into FILE (mode 0600), the public one into FILE.pub, for `audit.recipients`
    New {
        /// Whose key it is, for people; of a log its origin, for instance example.com/audit/gateway-1
        name: String,
        /// The key that signs a log's checkpoints instead (`audit.checkpoint.key_file`, `tidegate signer`)
        #[arg(long, conflicts_with = "witness")]
        log: bool,
        /// The key of a witness instead (`tidegate witness serve`)
        #[arg(long)]
        witness: bool,
        /// File of the private key; must not exist
        #[arg(long, short, value_name = "FILE")]
        output: PathBuf,
    },
    /// Make the next key of a log beside its key file; the gateway that signs with it takes it over
    Rotate {
        /// File of the log's private key
        file: PathBuf,
    },
    /// Print the public key of a private one
    Public {
        /// File of the private key
        file: PathBuf,
    },
}

/// Runs a command; what it prints.
///
/// # Errors
/// What went wrong; never a key.
pub fn run(command: &KeysCommand) -> Result<String, String> {
    match command {
        KeysCommand::New { name, log: true, output, .. } => vouch::cli::new_key(name, output, KeyKind::Log),
        KeysCommand::New { name, witness: true, output, .. } => vouch::cli::new_key(name, output, KeyKind::Witness),
        KeysCommand::New { name, output, .. } => new(name, output),
        KeysCommand::Rotate { file } => vouch::cli::rotate_key(file),
        KeysCommand::Public { file } => match vouch::cli::public_key(file)? {
            Some(key) => Ok(format!("{key}\n")),
            None => Ok(identity(file)?.recipient().line()),
        },
    }
}

fn new(name: &str, output: &Path) -> Result<String, String> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(&mut *seed).map_err(|error| format!("no randomness: {error}"))?;
    let identity = Identity::new(&seed, name).map_err(|error| format!("name: {error}"))?;
    let mut public = output.as_os_str().to_owned();
    public.push(".pub");
    let public = PathBuf::from(public);
    write(output, 0o600, identity.line().as_bytes())?;
    write(&public, 0o644, identity.recipient().line().as_bytes())?;
    Ok(format!(
        "private key: {} (keep it away from the gateway)\npublic key:  {} (for `audit.recipients`)\n",
        output.display(),
        public.display()
    ))
}

fn write(path: &Path, mode: u32, bytes: &[u8]) -> Result<(), String> {
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = made.and_then(|mut file: File| file.write_all(bytes).and_then(|()| file.sync_all()));
    written.map_err(|error| match error.kind() {
        io::ErrorKind::AlreadyExists => format!("{} exists already and is not replaced", path.display()),
        _ => format!("{}: {error}", path.display()),
    })
}

/// Reads a private key.
///
/// # Errors
/// What is wrong with the file; never the key.
pub fn identity(file: &Path) -> Result<Identity, String> {
    let text = std::fs::read_to_string(file).map(Zeroizing::new).map_err(|e| format!("{}: {e}", file.display()))?;
    Identity::parse(&text).map_err(|error| format!("{}: {error}", file.display()))
}
