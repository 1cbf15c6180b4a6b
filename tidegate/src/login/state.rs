//! What is kept of a sign-in: a file that only its owner reads.

use super::client::{Answer, CliError, Client};
use serde_json::{Value, json};
use std::{
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

const FILE: &str = "sign-in.json";

/// A sign-in.
pub struct State {
    /// Address of the console.
    pub url: String,
    /// Trusted authorities, PEM.
    pub ca: Option<PathBuf>,
    /// It ends then, seconds since 1970.
    pub until: u64,
    /// Who, as the console says it: issuer, subject, handle, name, groups.
    pub person: Value,
    token: Zeroizing<String>,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("url", &self.url).field("until", &self.until).finish_non_exhaustive()
    }
}

/// Seconds since 1970.
pub(super) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `$XDG_STATE_HOME/tidegate`, made if it is not there, for its owner alone.
///
/// # Errors
/// There is no home, or the folder cannot be made or belongs to somebody else.
pub(super) fn folder() -> Result<PathBuf, CliError> {
    let set = std::env::var_os("XDG_STATE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let folder = match set {
        Some(state) => state.join("tidegate"),
        None => super::files::home()?.join(".local/state/tidegate"),
    };
    let wrong = |e: io::Error| CliError::failed(format!("{}: {e}", folder.display()));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(wrong)?;
    let found = std::fs::metadata(&folder).map_err(wrong)?;
    if found.uid() != rustix::process::getuid().as_raw() {
        return Err(CliError::failed(format!("{} belongs to somebody else", folder.display())));
    }
    if found.permissions().mode() & 0o077 != 0 {
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o700)).map_err(wrong)?;
    }
    Ok(folder)
}

/// Replaces a file as a whole; only its owner reads it.
pub(super) fn replace(file: &Path, text: &str) -> io::Result<()> {
    // A link stays a link: what it points to is replaced.
    let file = match file.canonicalize() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => file.to_owned(),
        other => other?,
    };
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let mut new = tempfile::Builder::new().prefix(".tidegate-").tempfile_in(folder)?;
    new.as_file().set_permissions(std::fs::Permissions::from_mode(0o600))?;
    new.write_all(text.as_bytes())?;
    new.as_file().sync_all()?;
    new.persist(&file).map_err(|e| e.error)?;
    Ok(())
}

impl State {
    /// The sign-in of an answer.
    pub(super) fn of(url: &str, ca: Option<PathBuf>, answer: &Answer) -> Result<Self, CliError> {
        let read = || {
            let token = Zeroizing::new(answer["token"].as_str().filter(|token| !token.is_empty())?.to_owned());
            let person = answer["person"].clone();
            person["handle"].as_str()?;
            Some(Self { url: url.to_owned(), ca, until: answer["until"].as_u64()?, person, token })
        };
        read().ok_or_else(|| CliError::failed("the console's answer is not understood"))
    }

    /// The sign-in that is kept, if there is one.
    ///
    /// # Errors
    /// The file is unreadable or damaged.
    pub fn load(folder: &Path) -> Result<Option<Self>, CliError> {
        let file = folder.join(FILE);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => Zeroizing::new(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(CliError::failed(format!("{}: {error}", file.display()))),
        };
        let read = || {
            let value: Value = serde_json::from_str(&text).ok()?;
            Some(Self {
                url: value["url"].as_str()?.to_owned(),
                ca: value["ca"].as_str().map(PathBuf::from),
                until: value["until"].as_u64()?,
                person: value["person"].clone(),
                token: Zeroizing::new(value["token"].as_str()?.to_owned()),
            })
        };
        let damaged = || CliError::failed(format!("{} is damaged: sign in again after removing it", file.display()));
        read().map(Some).ok_or_else(damaged)
    }

    /// The sign-in that is kept in its usual place.
    ///
    /// # Errors
    /// Nobody is signed in, or the file is unreadable or damaged.
    pub fn current() -> Result<Self, CliError> {
        Self::load(&folder()?)?.ok_or(CliError::SignedOut)
    }

    pub(super) fn save(&self, folder: &Path) -> Result<(), CliError> {
        let file = folder.join(FILE);
        let value = json!({
            "url": self.url, "ca": self.ca, "until": self.until, "person": self.person, "token": *self.token,
        });
        let text = Zeroizing::new(format!("{value:#}\n"));
        replace(&file, &text).map_err(|e| CliError::failed(format!("{}: {e}", file.display())))
    }

    pub(super) fn remove(folder: &Path) -> Result<(), CliError> {
        let file = folder.join(FILE);
        match std::fs::remove_file(&file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(CliError::failed(format!("{}: {error}", file.display())))
            }
            _ => Ok(()),
        }
    }

    /// The console, asked in this sign-in's name.
    ///
    /// # Errors
    /// It has ended, or its authorities are unreadable.
    pub fn client(&self) -> Result<Client, CliError> {
        if self.until <= now() {
            return Err(CliError::SignedOut);
        }
        Client::new(&self.url, self.ca.as_deref(), Some(&self.token))
    }
}
