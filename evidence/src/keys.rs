//! Signing keys and signers' keys from files, in the forms of signed notes.

use std::fs;
use std::path::Path;

use tlog::{SigningKey, VerifierKey};
use zeroize::Zeroizing;

/// Largest key file.
const KEY_BYTES_MAX: u64 = 64 << 10;

/// Reads a private key: `PRIVATE+KEY+name+id+base64`, on the first line that is not a comment.
///
/// # Errors
/// Why it cannot be used; never its bytes.
pub fn signing(path: &Path) -> Result<SigningKey, String> {
    let text = Zeroizing::new(read(path)?);
    let line = lines(&text).next().ok_or_else(|| format!("{} holds no key", path.display()))?;
    SigningKey::parse(line).map_err(|error| format!("{}: {error}", path.display()))
}

/// Reads public keys, one per line; `#` begins a comment.
///
/// # Errors
/// Why they cannot be used.
pub fn verifiers(path: &Path) -> Result<Vec<VerifierKey>, String> {
    let text = read(path)?;
    let parse = |line: &str| VerifierKey::parse(line).map_err(|error| format!("{}: {error}", path.display()));
    let keys: Vec<VerifierKey> = lines(&text).map(parse).collect::<Result<_, _>>()?;
    if keys.is_empty() { Err(format!("{} holds no key", path.display())) } else { Ok(keys) }
}

fn read(path: &Path) -> Result<String, String> {
    let wrong = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    if fs::metadata(path).map_err(wrong)?.len() > KEY_BYTES_MAX {
        return Err(format!("{} is too large for a file of keys", path.display()));
    }
    fs::read_to_string(path).map_err(wrong)
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}
