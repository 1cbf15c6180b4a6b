//! `tidegate secrets`: secrets at rest, sealed under a key that is kept elsewhere.

use crate::secrets::{SecretSource, open, seal};
use clap::Subcommand;
use std::io::{IsTerminal as _, Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Secrets at rest.
#[derive(Debug, Subcommand)]
pub enum SecretsCommand {
    /// Seal a secret from standard input, or asked for on a terminal, into a file
    Seal {
        /// File to write
        file: PathBuf,
        /// File of the key, kept outside of the data directory; made if it is not there
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// File that holds the secret now
        #[arg(long, value_name = "FILE")]
        from: Option<PathBuf>,
    },
    /// Seal files again under a new key; a running gateway reads them again when it is told to, or by itself
    Rotate {
        /// Sealed files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// File of the key that they are sealed under
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// File of the new key; made if it is not there
        #[arg(long, value_name = "FILE")]
        new_key: PathBuf,
    },
}

/// Runs `tidegate secrets`; what to print.
///
/// # Errors
/// A file, the key, or the input.
pub fn run(command: &SecretsCommand) -> Result<String, String> {
    match command {
        SecretsCommand::Seal { file, key, from } => {
            let secret = secret(from.as_deref())?;
            if secret.is_empty() {
                return Err("the secret is empty".to_owned());
            }
            replace(file, &seal(key, &secret)?)?;
            Ok(format!("{} is sealed under {}\n", file.display(), key.display()))
        }
        SecretsCommand::Rotate { files, key, new_key } => {
            // All are opened before any is changed.
            let mut opened = Vec::new();
            for file in files {
                let text = std::fs::read_to_string(file).map_err(|e| format!("{}: {e}", file.display()))?;
                opened.push((file, open(key, &text).map_err(|e| format!("{}: {e}", file.display()))?));
            }
            for (file, secret) in &opened {
                replace(file, &seal(new_key, secret.expose())?)?;
            }
            Ok(format!("{} files are sealed under {}\n", opened.len(), new_key.display()))
        }
    }
}

fn secret(from: Option<&Path>) -> Result<Zeroizing<Vec<u8>>, String> {
    if let Some(file) = from {
        let found = SecretSource::File(file.to_owned()).resolve()?;
        return Ok(Zeroizing::new(found.secret.expose().to_vec()));
    }
    if std::io::stdin().is_terminal() {
        let typed = rpassword::prompt_password("Secret: ").map(Zeroizing::new).map_err(|e| e.to_string())?;
        return Ok(Zeroizing::new(typed.as_bytes().to_vec()));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    std::io::stdin().take(64 << 10).read_to_end(&mut bytes).map_err(|e| format!("standard input: {e}"))?;
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    }
    Ok(bytes)
}

/// Replaces a file as a whole; only its owner reads it.
fn replace(file: &Path, text: &str) -> Result<(), String> {
    let write = || {
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
        let mut new = tempfile::Builder::new().prefix(".tidegate-").tempfile_in(folder)?;
        new.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
        new.write_all(text.as_bytes())?;
        new.write_all(b"\n")?;
        new.as_file().sync_all()?;
        new.persist(file).map(drop).map_err(|e| e.error)
    };
    write().map_err(|e| format!("{}: {e}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_is_opened_by_its_key_alone_and_rotates_together_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::fs::write(at("plain"), "hunter2\n").unwrap();
        for name in ["one", "two"] {
            run(&SecretsCommand::Seal { file: at(name), key: at("key"), from: Some(at("plain")) }).unwrap();
        }
        let text = std::fs::read(at("one")).unwrap();
        assert!(!text.windows(7).any(|w| w == b"hunter2"));
        assert_ne!(text, std::fs::read(at("two")).unwrap(), "the same secret is not seen to be the same");
        assert_eq!(std::fs::metadata(at("one")).unwrap().permissions().mode() & 0o777, 0o600);
        let source = SecretSource::Sealed(at("one"), at("key"));
        assert_eq!(source.resolve().unwrap().secret.expose(), b"hunter2");

        std::fs::write(at("damaged"), "AAAA").unwrap();
        let rotate = |files: &[&str]| {
            let files = files.iter().map(|name| at(name)).collect();
            run(&SecretsCommand::Rotate { files, key: at("key"), new_key: at("new.key") })
        };
        assert!(rotate(&["one", "damaged"]).is_err());
        assert!(source.resolve().is_ok(), "nothing was changed");
        rotate(&["one", "two"]).unwrap();
        assert!(source.resolve().is_err());
        assert_eq!(SecretSource::Sealed(at("two"), at("new.key")).resolve().unwrap().secret.expose(), b"hunter2");
        let missing = SecretSource::Sealed(at("two"), at("no.key")).resolve().unwrap_err();
        assert!(missing.contains("is not there") && !at("no.key").exists(), "{missing}");
    }
}
