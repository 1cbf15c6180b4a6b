//! The borders of ARCHITECTURE.md as a table: who may import whom inside the workspace. An edge that is not here fails.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
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
    ("sealing", &[]),
    ("session", &["contract", "policy", "lineage", "audit", "sealing"]),
    ("gateway", &["contract", "postgres", "lineage", "policy", "audit", "sealing", "session"]),
    ("control", &["contract", "lineage", "policy", "policy-compiler", "audit"]),
    (
        "tidegate",
        &["contract", "postgres", "lineage", "policy", "policy-compiler", "audit", "sealing", "replay", "session", "gateway", "control"],
    ),
    ("clinic", &[]),
    (
        "bench",
        &[
            "contract",
            "postgres",
            "lineage",
            "scan",
            "policy",
            "policy-compiler",
            "audit",
            "session",
            "gateway",
            "control",
            "tidegate",
            "clinic",
            "bypass",
            "useful",
        ],
    ),
    (
        "fuzz-targets",
        &["contract", "postgres", "lineage", "scan", "policy", "policy-compiler", "audit", "session", "tidegate"],
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
    ("rustls", &["gateway", "control", "tidegate", "policy-compiler", "tests", "bypass", "bench"]),
    ("tokio", &["control", "tidegate", "policy-compiler", "tests", "bench"]),
    ("tokio-postgres", &["control", "tidegate", "policy-compiler", "tests", "bench"]),
    ("pg_query", &["lineage", "policy-compiler"]),
];

/// Direct dependencies per workspace crate.
fn edges() -> BTreeMap<String, BTreeSet<String>> {
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
    packages.iter().map(|p| (name(p), p["dependencies"].as_array().unwrap().iter().map(name).collect())).collect()
}

#[test]
fn no_crate_imports_what_the_table_does_not_allow() {
    let edges = edges();
    let members: BTreeSet<&String> = edges.keys().collect();
    let table: BTreeMap<&str, &[&str]> = ALLOWED.iter().copied().collect();
    assert_eq!(
        members.iter().map(|m| m.as_str()).collect::<BTreeSet<_>>(),
        table.keys().copied().collect(),
        "every crate is in the table"
    );
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
