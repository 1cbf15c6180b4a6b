//! Bundle files: the runtime's encoding of a model, with errors as sentences.

use std::fmt::Write as _;
use std::path::Path;

use policy::{Bundle, Model};

use crate::source::read_bounded;

/// Largest bundle file.
const FILE_BYTES_MAX: usize = 1 << 30;

/// The bytes of a model's bundle; the same model gives the same bytes.
///
/// # Errors
/// What the runtime cannot hold.
pub fn encode(model: &Model) -> Result<Vec<u8>, String> {
    Bundle::encode(model).map_err(|e| e.to_string())
}

/// The model in a bundle, and its hash in hexadecimal.
///
/// # Errors
/// Truncated, altered, newer format: each in a sentence.
pub fn decode(bytes: &[u8]) -> Result<(Model, String), String> {
    let bundle = Bundle::load(bytes).map_err(|e| e.to_string())?;
    let digest = bundle.digest().iter().fold(String::new(), |mut out, b| {
        let _ = write!(out, "{b:02x}");
        out
    });
    Ok((bundle.model().clone(), digest))
}

/// Reads a bundle file.
///
/// # Errors
/// With the name of the file.
pub fn read(path: &Path) -> Result<(Model, String), String> {
    let bytes = read_bounded(path, FILE_BYTES_MAX).map_err(|e| format!("{}: {e}", path.display()))?;
    decode(&bytes).map_err(|e| format!("{}: {e}", path.display()))
}
