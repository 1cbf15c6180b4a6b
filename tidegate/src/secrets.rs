//! Where secrets come from, and a holder that forgets them.
//!
//! A secret stands in a file, an environment variable, a file that is sealed under a key kept elsewhere, or in a server that
//! speaks Vault's API, never in the configuration. One line end at the end of a file is not part of it, because editors add
//! one. Errors name the source, never the content.

use std::{fmt, io, path::PathBuf};
use zeroize::Zeroizing;

/// Largest secret.
const SECRET_BYTES_MAX: u64 = 64 << 10;

/// Where a secret is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// In a file.
    File(PathBuf),
    /// In an environment variable.
    Env(String),
    /// In a file that `tidegate secrets seal` made, with the file of its key.
    Sealed(PathBuf, PathBuf),
    /// In a server: the file that says which, path and field.
    Vault(PathBuf, String, String),
}

/// What a sealed secret is, for its seal.
const SEALED: &str = "tidegate-secret-1";

/// Seals a secret under the key of a file, which is made if it is not there.
///
/// # Errors
/// The key file, or no randomness.
pub fn seal(key: &std::path::Path, secret: &[u8]) -> Result<String, String> {
    let at_rest = access::AtRest::open_file(key).map_err(|e| format!("{}: {e}", key.display()))?;
    at_rest.seal(SEALED, secret).map_err(|e| e.to_string())
}

/// Opens a sealed secret.
///
/// # Errors
/// The key file is not there or is another one, or the secret was changed.
pub fn open(key: &std::path::Path, sealed: &str) -> Result<SecretBytes, String> {
    if !key.exists() {
        return Err(format!("{} is not there", key.display()));
    }
    let at_rest = access::AtRest::open_file(key).map_err(|e| format!("{}: {e}", key.display()))?;
    let opened = at_rest.open(SEALED, sealed.trim());
    opened.map(SecretBytes::new).map_err(|_| format!("not sealed under the key of {}", key.display()))
}

/// A secret in memory, cleared when dropped. Shows nothing.
pub struct SecretBytes(Zeroizing<Vec<u8>>);

impl SecretBytes {
    /// Holds these bytes.
    #[must_use]
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretBytes({} bytes)", self.0.len())
    }
}

/// A secret that was found, and whether others can read it too.
#[derive(Debug)]
pub struct Resolved {
    /// The secret.
    pub secret: SecretBytes,
    /// What should be mended although the secret was found.
    pub warning: Option<String>,
}

impl SecretSource {
    /// Finds the secret.
    ///
    /// # Errors
    /// Why it is not there.
    pub fn resolve(&self) -> Result<Resolved, String> {
        match self {
            Self::File(path) => {
                let bytes = read_bounded(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
                let mut secret = SecretBytes::new(bytes);
                trim_line_end(&mut secret.0);
                if secret.0.is_empty() {
                    return Err(format!("{} is empty", path.display()));
                }
                Ok(Resolved { secret, warning: exposure(path) })
            }
            Self::Env(name) => {
                let value = std::env::var_os(name).ok_or_else(|| format!("environment variable {name} is not set"))?;
                let bytes = std::os::unix::ffi::OsStringExt::into_vec(value);
                if bytes.is_empty() {
                    return Err(format!("environment variable {name} is empty"));
                }
                Ok(Resolved { secret: SecretBytes::new(bytes), warning: None })
            }
            Self::Sealed(path, key) => {
                let bytes = read_bounded(path).map_err(|e| format!("{} cannot be read: {e}", path.display()))?;
                let text = std::str::from_utf8(&bytes).map_err(|_| format!("{} is not sealed", path.display()))?;
                let secret = open(key, text).map_err(|e| format!("{}: {e}", path.display()))?;
                Ok(Resolved { secret, warning: None })
            }
            Self::Vault(server, path, field) => {
                Ok(Resolved { secret: crate::vault::fetch(server, path, field)?, warning: exposure(server) })
            }
        }
    }
}

impl fmt::Display for SecretSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Env(name) => write!(f, "environment variable {name}"),
            Self::Sealed(path, _) => write!(f, "sealed file {}", path.display()),
            Self::Vault(_, path, field) => write!(f, "field {field} of {path}"),
        }
    }
}

/// Reads a file that must not be larger than a secret.
fn read_bounded(path: &std::path::Path) -> io::Result<Vec<u8>> {
    use io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(SECRET_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > SECRET_BYTES_MAX {
        return Err(io::Error::other(format!("longer than {SECRET_BYTES_MAX} bytes")));
    }
    Ok(bytes)
}

fn trim_line_end(bytes: &mut Vec<u8>) {
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
        if bytes.last() == Some(&b'\r') {
            bytes.pop();
        }
    }
}

/// A warning when a secret file can be read by everyone on the machine.
#[must_use]
pub fn exposure(path: &std::path::Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(path).ok()?.permissions().mode() & 0o777;
    (mode & 0o007 != 0).then(|| {
        format!("{} can be read by everyone (mode {mode:03o}); run: chmod 600 {}", path.display(), path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_end_is_not_part_of_a_secret() {
        let folder = tempfile::tempdir().unwrap();
        for (content, secret) in
            [("pw", "pw"), ("pw\n", "pw"), ("pw\r\n", "pw"), ("pw\n\n", "pw\n"), (" p w ", " p w "), ("pw\r", "pw\r")]
        {
            let path = folder.path().join("secret");
            std::fs::write(&path, content).unwrap();
            let found = SecretSource::File(path).resolve().unwrap();
            assert_eq!(found.secret.expose(), secret.as_bytes(), "{content:?}");
        }
    }

    #[test]
    fn absent_and_empty_sources_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        assert!(SecretSource::File(path.clone()).resolve().unwrap_err().contains("cannot be read"));
        std::fs::write(&path, "\n").unwrap();
        assert!(SecretSource::File(path.clone()).resolve().unwrap_err().contains("is empty"));
        std::fs::write(&path, vec![b'x'; SECRET_BYTES_MAX as usize + 1]).unwrap();
        assert!(SecretSource::File(path.clone()).resolve().unwrap_err().contains("longer than"));
        std::fs::write(&path, vec![b'x'; SECRET_BYTES_MAX as usize]).unwrap();
        assert!(SecretSource::File(path).resolve().is_ok());
        let name = "TIDEGATE_TEST_NO_SUCH_VARIABLE".to_owned();
        assert!(SecretSource::Env(name).resolve().unwrap_err().contains("is not set"));
        assert!(SecretSource::Env("PATH".to_owned()).resolve().is_ok());
    }

    #[test]
    fn files_readable_by_everyone_are_noticed() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secret");
        std::fs::write(&path, "pw").unwrap();
        for (mode, warned) in [(0o600, false), (0o640, false), (0o644, true), (0o602, true)] {
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(SecretSource::File(path.clone()).resolve().unwrap().warning.is_some(), warned, "{mode:o}");
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        assert_eq!(format!("{:?}", SecretBytes::new(b"hunter2".to_vec())), "SecretBytes(7 bytes)");
    }
}
