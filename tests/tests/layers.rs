//! The borders of ARCHITECTURE.md as a table: who may import whom inside the workspace. An edge that is not here fails.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    process::Command,
};

/// Crate and what it may import, development dependencies included.
const ALLOWED: &[(&str, &[&str])] = &[
    ("contract", &[]),
    ("postgres", &["contract"]),
    ("lineage", &["contract"]),
    ("scan", &[]),
    ("policy", &["contract", "lineage", "scan"]),
    ("policy-compiler", &["contract", "lineage", "policy", "scan"]),
    ("audit", &[]),
    ("tlog", &[]),
    ("notary", &["audit", "tlog"]),
    ("sealing", &[]),
    // A second implementation: what it checks may write logs for its tests (the next test), the library imports nothing.
    ("verifier", &["audit", "tlog", "notary", "sealing"]),
    ("evidence", &["audit", "sealing", "tlog", "verifier"]),
    ("forward", &["audit", "notary"]),
    ("access", &["audit", "tests"]),
    ("identity", &[]),
    ("saml", &[]),
    ("console", &["access", "audit", "evidence", "identity", "policy", "policy-compiler", "replay", "saml"]),
    ("replay", &["audit", "lineage", "policy", "policy-compiler", "sealing", "session"]),
    ("session", &["contract", "policy", "lineage", "audit", "sealing"]),
    ("ring-driver", &[]),
    (
        "gateway",
        &["contract", "postgres", "lineage", "policy", "audit", "sealing", "session", "verifier", "ring-driver"],
    ),
    ("control", &["contract", "lineage", "policy", "policy-compiler", "audit"]),
    (
        "tidegate",
        &[
            "contract",
            "postgres",
            "lineage",
            "policy",
            "policy-compiler",
            "audit",
            "tlog",
            "notary",
            "verifier",
            "sealing",
            "evidence",
            "forward",
            "replay",
            "access",
            "identity",
            "saml",
            "console",
            "session",
            "gateway",
            "control",
        ],
    ),
    ("clinic", &[]),
    ("paths", &["contract", "postgres", "lineage", "scan", "policy", "audit", "session"]),
    (
        "bench",
        &[
            "paths",
            "contract",
            "postgres",
            "lineage",
            "scan",
            "policy",
            "policy-compiler",
            "audit",
            "tlog",
            "notary",
            "verifier",
            "sealing",
            "evidence",
            "forward",
            "replay",
            "access",
            "identity",
            "saml",
            "console",
            "session",
            "gateway",
            "control",
            "tidegate",
            "verifier",
            "clinic",
            "bypass",
            "useful",
        ],
    ),
    ("gate", &["paths"]),
    (
        "fuzz-targets",
        &[
            "contract",
            "postgres",
            "lineage",
            "scan",
            "policy",
            "policy-compiler",
            "audit",
            "tlog",
            "identity",
            "saml",
            "notary",
            "verifier",
            "sealing",
            "replay",
            "session",
            "tidegate",
        ],
    ),
    // The tests drive the programs, not the crates.
    ("tests", &["clinic"]),
    ("bypass", &["clinic", "tests"]),
    ("useful", &["tests"]),
    ("agent", &["clinic", "tests"]),
];

/// Libraries that only some crates may name, because they bring a runtime, sockets or cryptography with them.
const CONFINED: &[(&str, &[&str])] = &[
    ("glommio", &["gateway"]),
    ("ring-driver", &["gateway"]),
    ("io-uring", &["ring-driver"]),
    (
        "rustls",
        &[
            "gateway",
            "control",
            "tidegate",
            "policy-compiler",
            "notary",
            "forward",
            "access",
            "identity",
            "console",
            "tests",
            "bypass",
            "bench",
        ],
    ),
    ("tokio", &["access", "console", "control", "tidegate", "policy-compiler", "tests", "bench"]),
    ("tokio-postgres", &["access", "control", "tidegate", "policy-compiler", "tests", "bench"]),
    ("ureq", &["notary", "forward", "identity", "console", "tidegate"]),
    ("pg_query", &["lineage", "policy-compiler"]),
];

/// Direct dependencies per workspace crate.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
    packages().into_iter().map(|(name, to)| (name, to.into_iter().map(|(to, _)| to).collect())).collect()
}

/// Direct dependencies per workspace crate, and whether they are for its tests alone.
fn packages() -> BTreeMap<String, Vec<(String, bool)>> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let out = Command::new(cargo)
        .args(["metadata", "--no-deps", "--format-version", "1"])
        .current_dir(tests::programs::tree())
        .output()
        .unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&out.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |value: &serde_json::Value| value["name"].as_str().unwrap().to_owned();
    let edge = |to: &serde_json::Value| (name(to), to["kind"] == "dev");
    packages.iter().map(|p| (name(p), p["dependencies"].as_array().unwrap().iter().map(edge).collect())).collect()
}

#[test]
fn no_crate_imports_what_the_table_does_not_allow() {
    let edges = edges();
    let members: BTreeSet<&String> = edges.keys().collect();
    let table: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    for member in &members {
        assert!(table.contains_key(member.as_str()), "{member} is not in the table");
    }
    let mut wrong = Vec::new();
    for (from, to) in &edges {
        for to in to.iter().filter(|to| members.contains(to)) {
            if !table[from.as_str()].contains(&to.as_str()) {
                wrong.push(format!("{from} -> {to}"));
            }
        }
    }
    assert!(wrong.is_empty(), "not in the table: {wrong:?}");
}

/// Crates whose libraries (not their tests) must import nothing of ours: a second implementation that shares code with the
/// first would share its faults.
const ALONE: &[&str] = &["verifier"];

#[test]
fn the_verifier_shares_no_code_with_what_it_checks() {
    for (package, dependencies) in packages() {
        let ours: Vec<_> = dependencies
            .iter()
            .filter(|(name, dev)| !dev && ALLOWED.iter().any(|(member, _)| member == name))
            .collect();
        assert!(!ALONE.contains(&package.as_str()) || ours.is_empty(), "{package} -> {ours:?}");
    }
}

#[test]
fn runtimes_and_sockets_stay_where_they_belong() {
    let mut wrong = Vec::new();
    for (from, to) in edges() {
        for (library, crates) in CONFINED {
            if to.contains(*library) && !crates.contains(&from.as_str()) {
                wrong.push(format!("{from} -> {library}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:?}");
}

#[test]
fn the_table_has_no_cycle() {
    let table: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    let mut done: BTreeSet<&str> = BTreeSet::new();
    while done.len() < table.len() {
        let free: Vec<&str> = table
            .iter()
            .filter(|(name, to)| !done.contains(*name) && to.iter().all(|t| done.contains(t)))
            .map(|(n, _)| *n)
            .collect();
        assert!(!free.is_empty(), "a cycle among the crates that are left");
        done.extend(free);
    }
}

/// `./test` looks for no examples in comments, which takes a compiler's work for each crate.
#[test]
fn no_comment_has_an_example_that_nobody_runs() {
    const OTHER_LANGUAGES: [&str; 2] = ["text", "yaml"];
    let (mut wrong, mut files) = (Vec::new(), 0);
    let mut folders = vec![tests::programs::tree().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
                folders.push(path);
                continue;
            }
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            files += 1;
            let mut inside = false;
            for (at, line) in fs::read_to_string(&path).unwrap().lines().enumerate() {
                let line = line.trim_start();
                let comment = line.strip_prefix("//!").or_else(|| line.strip_prefix("///"));
                let Some(fence) = comment.and_then(|text| text.trim_start().strip_prefix("```")) else { continue };
                if !inside && !OTHER_LANGUAGES.contains(&fence) {
                    wrong.push(format!("{}:{}: ```{fence}", path.display(), at + 1));
                }
                inside = !inside;
            }
        }
    }
    assert!(files > 400, "{files} files");
    assert!(wrong.is_empty(), "{wrong:#?}");
}
