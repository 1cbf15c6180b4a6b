//! `bench detect`: how much of what people labelled is found, beside Microsoft Presidio's pattern recognisers.
//!
//! Both engines get the same texts in the same run. Presidio runs in a Python of its own with patterns only, no language
//! model; where it is missing the command says so and prints our half. The sets are read from a folder that is named; the
//! made-up clinic's notes need none. It deliberately never judges: goals are printed beside the figures.

pub mod kinds;
pub mod labelled;
mod notes;
mod presidio;
mod prose;
pub mod score;
mod table;

use std::path::Path;
use std::time::Instant;

use scan::Detector;

use crate::failure::Result;

use labelled::Document;
use score::{Found, Score};

/// Patients whose notes are read: about a megabyte.
const PATIENTS: u64 = 4_000;
/// Megabytes of prose without identifiers.
const PROSE: usize = 1;
/// Finding is repeated until it took so long, in seconds.
const SECONDS_MIN: f64 = 0.5;

/// What to measure.
#[derive(Debug)]
pub struct Plan<'a> {
    /// Folder with `pii-anon` and `presidio-tests`.
    pub data: Option<&'a Path>,
    /// Python that has presidio-analyzer.
    pub python: &'a Path,
    /// Prints up to so many labels that were not covered, and so many false hits, of each kind.
    pub misses: usize,
}

/// Measures, and gives the tables as text.
///
/// # Errors
/// A set cannot be read.
pub fn run(plan: &Plan<'_>) -> Result<String> {
    let mut out = String::new();
    let mut sets: Vec<(&str, Vec<Document>)> = Vec::new();
    let mut cases = Vec::new();
    if let Some(data) = plan.data {
        sets.push((
            "test_clinical (pii-anon)",
            labelled::clinical(&data.join("pii-anon").join("test_clinical.jsonl.gz"))?,
        ));
        cases = labelled::cases(&data.join("presidio-tests").join("presidio_recognizer_cases.jsonl"))?;
    }
    sets.push(("notes of the made-up clinic", notes::notes(PATIENTS, false)?));
    sets.push(("clinical prose without identifiers", prose::documents(PROSE)));

    let texts: Vec<&str> = sets
        .iter()
        .flat_map(|(_, d)| d)
        .map(|d| d.text.as_str())
        .chain(cases.iter().map(|c| c.document.text.as_str()))
        .collect();
    let theirs = match presidio::find(plan.python, &texts) {
        Ok(theirs) => Some(theirs),
        Err(why) => {
            out.push_str(&format!(
                "Presidio did not run: {why}\n  Give a Python that has it: python3 -m venv V && V/bin/pip install \
                 presidio-analyzer, then --python V/bin/python.\n\n"
            ));
            None
        }
    };
    let mut first = 0;
    for (name, documents) in &sets {
        let (found, seconds) = ours(documents);
        let score = Score::of(documents, &found, seconds);
        let beside = theirs.as_ref().map(|t| {
            let hits = t.hits.get(first..first + documents.len()).unwrap_or_default();
            Score::of(documents, hits, t.seconds_of(documents.iter().map(|d| d.text.len()).sum()))
        });
        first += documents.len();
        out.push_str(&table::set(name, documents.len(), &score, beside.as_ref()));
        if plan.misses > 0 {
            out.push_str(&table::misses(documents, &found, plan.misses));
        }
    }
    if !cases.is_empty() {
        let documents: Vec<Document> = cases.iter().map(|c| c.document.clone()).collect();
        let (found, _) = ours(&documents);
        let beside = theirs.as_ref().map(|t| t.hits.get(first..).unwrap_or_default());
        out.push_str(&table::cases(&cases, &found, beside, plan.misses));
    }
    if let Some(t) = &theirs {
        out.push_str(&format!(
            "\nPresidio: presidio-analyzer {}, pattern recognisers and phone numbers, English.\n",
            t.version
        ));
    }
    Ok(out)
}

/// What every built-in shape finds, and the seconds it takes once over all.
fn ours(documents: &[Document]) -> (Vec<Vec<Found>>, f64) {
    let found = documents
        .iter()
        .map(|d| {
            scan::find(Detector::SHAPES, d.text.as_bytes())
                .iter()
                .map(|h| Found { start: h.start, end: h.end, kind: kinds::stands_for(h.detector) })
                .collect()
        })
        .collect();
    let began = Instant::now();
    let mut rounds = 0u32;
    while rounds == 0 || began.elapsed().as_secs_f64() < SECONDS_MIN {
        for d in documents {
            std::hint::black_box(scan::find(Detector::SHAPES, std::hint::black_box(d.text.as_bytes())));
        }
        rounds += 1;
    }
    (found, began.elapsed().as_secs_f64() / f64::from(rounds))
}
