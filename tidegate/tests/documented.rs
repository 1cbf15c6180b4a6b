//! Every setting of the configuration stands in the manual.
//!
//! Settings are taken from the source: what sections are opened with, and what is taken out of them.

use std::{collections::BTreeMap, fs, io, path::Path};

/// What a setting's name is the first argument of, or the first after the section.
const READERS: &[&str] = &["take(", "demand(", "value(", "given("];

fn is_name(text: &str) -> bool {
    text.len() > 1 && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
}

/// Names of settings in a source file that reads sections.
fn settings(source: &str) -> Vec<String> {
    let source = source.split("#[cfg(test)]").next().unwrap_or_default();
    let literals = |text: &str| -> Vec<String> {
        text.split('"').skip(1).step_by(2).filter(|name| is_name(name)).map(str::to_owned).collect()
    };
    let mut found = Vec::new();
    // Lists of what is known: `KNOWN: &[&str] = &["a", "b"]`, `known = [..]`, `Section::open("x", node, &[..], report)`.
    for start in ["KNOWN: ", "known = ", "Section::open("] {
        for (at, _) in source.match_indices(start) {
            let statement = source[at..].split(';').next().unwrap_or_default();
            let list = statement.split_once('=').filter(|_| start == "KNOWN: ").map_or(statement, |(_, list)| list);
            for part in list.split('[').skip(1) {
                found.extend(literals(part.split(']').next().unwrap_or_default()));
            }
        }
    }
    for reader in READERS {
        for (at, _) in source.match_indices(reader) {
            let argument = source[at + reader.len()..].trim_start();
            let name = argument.strip_prefix('"').and_then(|rest| rest.split('"').next());
            found.extend(name.filter(|name| is_name(name)).map(str::to_owned));
        }
    }
    found
}

/// Files that read sections, with their text.
fn sources(folder: &Path, into: &mut Vec<(String, String)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            sources(&path, into)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            if text.contains("Section::open") {
                into.push((path.display().to_string(), text));
            }
        }
    }
    Ok(())
}

#[test]
fn every_setting_is_in_the_manual() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let manual = fs::read_to_string(home.join("../docs/manual.md")).unwrap();
    let mut files = Vec::new();
    sources(&home.join("src"), &mut files).unwrap();
    let mut all: BTreeMap<String, &str> = BTreeMap::new();
    for (file, text) in &files {
        all.extend(settings(text).into_iter().map(|name| (name, file.as_str())));
    }
    // Some that are known to be there, of each way to name them.
    for name in ["listen", "heartbeat", "cool_down", "client_key_id", "next_secret", "spare_directory", "hostname"] {
        assert!(all.contains_key(name), "{name} is not found in {} settings", all.len());
    }
    // As a key, `name:`, or named in the text, `name`.
    let before = |c: char| !(c.is_ascii_alphanumeric() || c == '_');
    let documented = |name: &str| {
        manual.match_indices(name).any(|(at, _)| {
            let (head, tail) = (&manual[..at], &manual[at + name.len()..]);
            head.chars().next_back().is_none_or(before) && (tail.starts_with(':') || tail.starts_with('`'))
        })
    };
    let missing: Vec<_> = all.iter().filter(|(name, _)| !documented(name)).collect();
    assert!(missing.is_empty(), "settings that docs/manual.md does not have: {missing:#?}");
}
