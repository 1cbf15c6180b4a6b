//! Labelled text: documents and the spans in them that hold identifiers.
//!
//! Offsets are bytes here whatever they were in the file. Nothing of the sets is kept in the project; they are read from the
//! folder that was named.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use serde::Deserialize;

use crate::failure::{Doing, Result};

/// A span that somebody labelled.
#[derive(Clone, Debug)]
pub struct Label {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// What the set calls it.
    pub kind: String,
}

/// A text with its labels.
#[derive(Clone, Debug, Default)]
pub struct Document {
    /// The text.
    pub text: String,
    /// Its labels, in the order of the file.
    pub labels: Vec<Label>,
}

/// A case of a recogniser's test: a text that must, or must not, be found.
#[derive(Clone, Debug)]
pub struct Case {
    /// The text and the spans that must be found; none where the set only says how many there are.
    pub document: Document,
    /// What the set calls it.
    pub entity: String,
    /// How many there are; 0 for a text that must be left alone, `None` if the set does not say.
    pub expected: Option<usize>,
}

#[derive(Deserialize)]
struct ClinicalLine {
    text: String,
    annotations: Vec<Annotation>,
}

#[derive(Deserialize)]
struct Annotation {
    entity_type: String,
    start: usize,
    end: usize,
}

#[derive(Deserialize)]
struct CaseLine {
    src: String,
    entity: Option<String>,
    text: String,
    expected_len: Option<usize>,
    spans: Option<Vec<(usize, usize)>>,
}

/// Reads the clinical documents.
///
/// # Errors
/// The file cannot be read, or a line of it is something else.
pub fn clinical(path: &Path) -> Result<Vec<Document>> {
    let file = File::open(path).doing(format!("open {}", path.display()))?;
    let lines = lines(GzDecoder::new(file), path)?;
    lines
        .iter()
        .map(|line| {
            let read: ClinicalLine = serde_json::from_str(line).doing(format!("read {}", path.display()))?;
            let bytes = Bytes::of(&read.text);
            let labels = read
                .annotations
                .iter()
                .map(|a| Label { start: bytes.at(a.start), end: bytes.at(a.end), kind: a.entity_type.clone() })
                .collect();
            Ok(Document { labels, text: read.text })
        })
        .collect()
}

/// Reads the recognisers' cases.
///
/// # Errors
/// The file cannot be read, or a line of it is something else.
pub fn cases(path: &Path) -> Result<Vec<Case>> {
    let file = File::open(path).doing(format!("open {}", path.display()))?;
    let lines = lines(file, path)?;
    lines
        .iter()
        .map(|line| {
            let read: CaseLine = serde_json::from_str(line).doing(format!("read {}", path.display()))?;
            let entity = read.entity.unwrap_or_else(|| {
                read.src.trim_start_matches("test_").trim_end_matches("_recognizer.py").to_uppercase()
            });
            let bytes = Bytes::of(&read.text);
            let spans = read.spans.unwrap_or_default();
            let labels = spans
                .iter()
                .map(|(start, end)| Label { start: bytes.at(*start), end: bytes.at(*end), kind: entity.clone() })
                .collect();
            Ok(Case { document: Document { labels, text: read.text }, entity, expected: read.expected_len })
        })
        .collect()
}

fn lines(from: impl Read, path: &Path) -> Result<Vec<String>> {
    BufReader::new(from).lines().collect::<std::io::Result<_>>().doing(format!("read {}", path.display()))
}

/// Byte offsets of the characters of a text.
pub(crate) struct Bytes(Vec<usize>);

impl Bytes {
    pub(crate) fn of(text: &str) -> Self {
        Self(text.char_indices().map(|(i, _)| i).chain([text.len()]).collect())
    }

    /// Where character `n` begins; the end of the text if it has fewer.
    pub(crate) fn at(&self, n: usize) -> usize {
        self.0.get(n).or(self.0.last()).copied().unwrap_or(0)
    }
}
