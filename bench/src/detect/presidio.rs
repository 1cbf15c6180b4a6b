//! Presidio in a Python of its own: texts go in as JSON lines, hits come back as one JSON object.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::Deserialize;

use super::kinds;
use super::labelled::Bytes;
use super::score::Found;

const PROGRAM: &str = include_str!("presidio_patterns.py");

/// What Presidio found.
pub(crate) struct Theirs {
    /// Of presidio-analyzer.
    pub(crate) version: String,
    /// Hits per text.
    pub(crate) hits: Vec<Vec<Found>>,
    seconds: f64,
    bytes: usize,
}

impl Theirs {
    /// Its seconds over a part of the texts, taken in proportion to their bytes.
    pub(crate) fn seconds_of(&self, bytes: usize) -> f64 {
        self.seconds * bytes as f64 / self.bytes.max(1) as f64
    }
}

#[derive(Deserialize)]
struct Answer {
    version: String,
    seconds: f64,
    hits: Vec<Vec<(usize, usize, String)>>,
}

/// Runs it; the error says why it did not run.
pub(crate) fn find(python: &Path, texts: &[&str]) -> Result<Theirs, String> {
    let mut child = Command::new(python)
        .args(["-c", PROGRAM])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("{} cannot be started: {e}", python.display()))?;
    let mut lines = String::new();
    for text in texts {
        let _ = writeln!(lines, "{}", serde_json::Value::from(*text));
    }
    let input = child.stdin.take();
    let writer = std::thread::spawn(move || input.map(|mut i| i.write_all(lines.as_bytes())));
    let output = child.wait_with_output().map_err(|e| format!("it cannot be waited for: {e}"))?;
    // A broken pipe here is explained by the exit below.
    let _ = writer.join();
    if !output.status.success() {
        let error = String::from_utf8_lossy(&output.stderr);
        return Err(error.lines().next_back().unwrap_or("it ended without a word").to_owned());
    }
    let answer: Answer =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("its answer cannot be read: {e}"))?;
    let hits = answer
        .hits
        .iter()
        .zip(texts)
        .map(|(hits, text)| {
            let bytes = Bytes::of(text);
            let found = |(start, end, entity): &(usize, usize, String)| Found {
                start: bytes.at(*start),
                end: bytes.at(*end),
                kind: kinds::presidio_stands_for(entity),
            };
            hits.iter().map(found).collect()
        })
        .collect();
    let bytes = texts.iter().map(|t| t.len()).sum();
    Ok(Theirs { version: answer.version, hits, seconds: answer.seconds, bytes })
}
