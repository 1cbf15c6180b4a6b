//! Checking an unpacked pack: its files against the manifest, its population against itself, its signature.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path};

use audit::render;
use sha2::{Digest as _, Sha256};
use tlog::{Note, VerifierKey};

use super::{Pack, digest, failed};
use crate::cli::CliError;
use crate::headers::{self, Population};

/// What a check found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// Nothing is wrong.
    pub good: bool,
    /// In words, a line each.
    pub text: String,
}

/// Largest manifest and largest table that are read.
const TEXT_BYTES_MAX: u64 = 64 << 20;

fn read(path: &Path) -> Result<String, CliError> {
    if fs::metadata(path).map_err(failed(path))?.len() > TEXT_BYTES_MAX {
        return Err(CliError::Refused(format!("{} is too large", path.display())));
    }
    fs::read_to_string(path).map_err(failed(path))
}

/// Checks a folder.
///
/// # Errors
/// A file that every pack has cannot be read.
pub fn check(folder: &Path, keys: &[VerifierKey]) -> Result<Checked, CliError> {
    let mut lines: Vec<(bool, String)> = Vec::new();
    let manifest = read(&folder.join("02-attestation/manifest.txt"))?;
    lines.extend(files(folder, &manifest)?);
    lines.push(population(folder)?);
    lines.push(signature(folder, &manifest, keys));
    let good = lines.iter().all(|(good, _)| *good);
    let text = lines.iter().map(|(good, text)| format!("{} {text}\n", if *good { "ok  " } else { "BAD " })).collect();
    Ok(Checked { good, text })
}

fn files(folder: &Path, manifest: &str) -> Result<Vec<(bool, String)>, CliError> {
    let mut wrong = Vec::new();
    let mut named = BTreeSet::new();
    for line in manifest.lines() {
        let shown = || render::printable(line.as_bytes());
        let Some((sum, name)) = line.split_once("  ") else {
            wrong.push((false, format!("the manifest has a line that is none: {}", shown())));
            continue;
        };
        // A manifest of a stranger must not lead out of the folder.
        let path = Path::new(name);
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            wrong.push((false, format!("the manifest names a file outside of the pack: {}", shown())));
            continue;
        }
        named.insert(name.to_owned());
        match digest(&folder.join(path)) {
            Ok(found) if found == sum => {}
            Ok(_) => wrong.push((false, format!("{} was changed", render::printable(name.as_bytes())))),
            Err(_) => wrong.push((false, format!("{} is missing", render::printable(name.as_bytes())))),
        }
    }
    let pack = Pack { root: folder.to_owned() };
    for name in pack.files()?.into_keys() {
        if !named.contains(&name) && !name.starts_with("02-attestation/") {
            wrong.push((false, format!("{} is not in the manifest", render::printable(name.as_bytes()))));
        }
    }
    if wrong.is_empty() {
        wrong.push((true, format!("{} files are those of the manifest", named.len())));
    }
    Ok(wrong)
}

fn population(folder: &Path) -> Result<(bool, String), CliError> {
    let path = folder.join("03-population/headers.bin");
    let mut population = Population::default();
    let read_all = headers::of_file(&path, |header| {
        population.add(header);
        Ok(())
    });
    if let Err(error) = read_all {
        return Ok((false, format!("03-population/headers.bin: {error}")));
    }
    let table = read(&folder.join("03-population/cores.csv"))?;
    let same = table.lines().skip(1).eq(population.cores.iter().map(|core| {
        format!(
            "{},{},{},{},{},{},{},{}",
            core.core,
            core.blocks.0,
            core.blocks.1,
            core.records.0,
            core.records.1,
            core.records.1 - core.records.0 + 1,
            core.breaks,
            render::hex(&core.head)
        )
    }));
    let breaks: u64 = population.cores.iter().map(|core| core.breaks).sum();
    Ok(match (same, breaks) {
        (true, 0) => {
            let (blocks, records) = (population.blocks, population.records());
            (
                true,
                format!("{blocks} headers chain without a gap: {records} records on {} cores", population.cores.len()),
            )
        }
        (true, breaks) => (false, format!("the headers have {breaks} breaks")),
        (false, _) => (false, "03-population/cores.csv is not what headers.bin gives".to_owned()),
    })
}

fn signature(folder: &Path, manifest: &str, keys: &[VerifierKey]) -> (bool, String) {
    let path = folder.join("02-attestation/manifest.note");
    if !path.exists() {
        // Whoever brings a key expects a signature.
        return (keys.is_empty(), "the manifest is not signed".to_owned());
    }
    let Some(note) = fs::read(&path).ok().and_then(|bytes| Note::parse(&bytes).ok()) else {
        return (false, "02-attestation/manifest.note is not a signed note".to_owned());
    };
    let sum = format!("manifest-sha256 {}", render::hex(&Sha256::digest(manifest)));
    if !note.text().lines().any(|line| line == sum) {
        return (false, "the note is about another manifest".to_owned());
    }
    let names: Vec<String> = note.signatures().iter().map(|s| render::printable(s.name.as_bytes())).collect();
    if keys.is_empty() {
        return (true, format!("the note names this manifest; signed by {} (not checked: no --key)", names.join(", ")));
    }
    match note.verify(keys) {
        Ok(good) => {
            let names: Vec<&str> = good.iter().map(|verified| verified.key.name()).collect();
            (true, format!("the note over the manifest is signed by {}", names.join(", ")))
        }
        Err(error) => (false, format!("the note's signature: {error}")),
    }
}
