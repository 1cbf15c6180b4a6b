//! `policy-compiler` as its users meet it: every verb on the example rules and on files with mistakes.

use std::fs;
use tests::{
    folder::Folder,
    process::Finished,
    programs::tree,
    rules::{Bundle, compiler, examples, snapshot},
    server::Postgres,
};

/// A folder with the catalog of the canary clinic, and the arguments that name the example rules.
fn prepared() -> (Folder, Vec<String>) {
    let folder = Folder::new("compiler");
    snapshot(&examples(), "warehouse", Postgres::shared(), &folder.path().join("catalog.json")).success();
    let files = examples().iter().map(|file| file.display().to_string()).collect();
    (folder, files)
}

fn verb(folder: &Folder, verb: &str, files: &[String], rest: &[&str]) -> Finished {
    let mut arguments = vec![verb];
    arguments.extend(files.iter().map(String::as_str));
    arguments.extend(["--catalog", "catalog.json"]);
    arguments.extend(rest);
    compiler(&arguments, folder.path())
}

#[test]
fn the_example_rules_are_clean_and_their_own_tests_pass() {
    let (folder, files) = prepared();
    verb(&folder, "check", &files, &[]).success();
    let done = verb(&folder, "test", &files, &[]).success();
    assert!(done.both().contains("passed"), "{}", done.both());
}

#[test]
fn a_file_with_five_mistakes_reports_all_five_with_lines() {
    let (folder, _) = prepared();
    let broken = tree().join("examples/clinic/broken.yaml").display().to_string();
    let done = verb(&folder, "check", &[broken], &[]);
    assert_ne!(done.code, 0);
    let text = done.both();
    for mistake in ["keep-lst", "mnr", "trunkate", "patients.ssn", "key"] {
        assert!(text.contains(mistake), "{mistake} is not reported:\n{text}");
    }
    let places = text.lines().filter(|line| line.contains("broken.yaml:")).count();
    assert!(places >= 5, "{places} places:\n{text}");
}

#[test]
fn the_same_source_gives_the_same_bytes_whatever_the_order_of_files() {
    let (folder, files) = prepared();
    verb(&folder, "compile", &files, &["-o", "one.tgb"]).success();
    let reversed: Vec<String> = files.iter().rev().cloned().collect();
    verb(&folder, "compile", &reversed, &["-o", "two.tgb"]).success();
    let read = |name: &str| fs::read(folder.path().join(name)).unwrap();
    assert_eq!(read("one.tgb"), read("two.tgb"));
}

#[test]
fn explain_says_what_each_column_becomes_and_which_rule_refuses() {
    let (folder, files) = prepared();
    let ask = |role: &str, sql: &str| {
        verb(&folder, "explain", &files, &["--as", role, "--target", "warehouse", "--statement", sql])
    };
    let text = ask("analyst", "select ssn, state from clinic.patients").both();
    assert!(text.contains("keep-last") && text.contains("state"), "{text}");
    let text = ask("analyst", "drop table clinic.patients").both();
    assert!(text.contains("no-drop"), "{text}");
    let text = ask("agent", "select ssn from clinic.patients").both();
    assert!(text.contains("TG"), "{text}");
}

#[test]
fn diff_says_who_sees_more_and_who_sees_less() {
    let (folder, files) = prepared();
    verb(&folder, "compile", &files, &["-o", "old.tgb"]).success();
    for entry in fs::read_dir(tree().join("examples/clinic")).unwrap().flatten() {
        fs::copy(entry.path(), folder.path().join(entry.file_name())).unwrap();
    }
    let roles = fs::read_to_string(folder.path().join("roles.yaml")).unwrap();
    let generous = roles.replacen("      ssn: keep-last 4", "      ssn: clear", 1);
    assert_ne!(roles, generous);
    folder.write("roles.yaml", generous);
    let changed = ["rules.yaml".to_owned(), "roles.yaml".to_owned()];
    verb(&folder, "compile", &changed, &["-o", "new.tgb"]).success();
    let done = compiler(&["diff", "old.tgb", "new.tgb"], folder.path());
    let text = done.both().to_lowercase();
    assert!(text.contains("analyst") && text.contains("ssn") && text.contains("more"), "{text}");
    let back = compiler(&["diff", "new.tgb", "old.tgb"], folder.path()).both().to_lowercase();
    assert!(back.contains("less"), "{back}");
}

#[test]
fn coverage_finds_protected_columns_that_no_rule_reaches() {
    let (folder, files) = prepared();
    let covered = verb(&folder, "coverage", &files, &[]).both();
    assert!(covered.contains("0 unclassified"), "the example rules cover everything:\n{covered}");
    let uncovered = folder.write(
        "bare.yaml",
        "targets:\n  warehouse: {address: \"127.0.0.1:5432\", database: clinic, account: gateway, tls: disable}\nroles:\n  all: {groups: [\"*\"], targets: [warehouse]}\n",
    );
    let done = verb(&folder, "coverage", &[uncovered.display().to_string()], &[]);
    let text = done.both();
    assert!(text.contains("ssn") && text.contains("dob"), "columns that look protected by name:\n{text}");
}

#[test]
fn damaged_bundles_are_refused_with_a_reason() {
    let bundle = Bundle::clinic();
    let good = bundle.bytes.clone();
    let folder = Folder::new("damaged");
    let mut cases = vec![
        ("empty", vec![]),
        ("truncated", good[..good.len() - 1].to_vec()),
        ("half", good[..good.len() / 2].to_vec()),
    ];
    for position in [0, 4, 9, good.len() / 3, good.len() - 2] {
        let mut bytes = good.clone();
        bytes[position] ^= 0x40;
        cases.push(("altered", bytes));
    }
    for (what, bytes) in cases {
        folder.write("bad.tgb", &bytes);
        folder.write("good.tgb", &good);
        let done = compiler(&["diff", "good.tgb", "bad.tgb"], folder.path());
        assert!(done.code > 0 && !done.errors().contains("panicked"), "{what}: {}", done.both());
        assert!(done.errors().contains("bad.tgb"), "{what}: {}", done.both());
    }
}

#[test]
fn init_writes_a_file_that_compiles_and_classifies_the_obvious() {
    let server = Postgres::shared();
    let folder = Folder::new("init");
    let address = format!("127.0.0.1:{}", server.port());
    let mut command = std::process::Command::new(tests::programs::program("policy-compiler"));
    command
        .args([
            "init",
            "--address",
            &address,
            "--database",
            "clinic",
            "--user",
            "gateway",
            "--tls",
            "disable",
            "-o",
            "start.yaml",
        ])
        .env("PGPASSWORD", tests::server::PASSWORD)
        .current_dir(folder.path());
    tests::process::run(&mut command, b"", std::time::Duration::from_secs(60)).success();
    let text = fs::read_to_string(folder.path().join("start.yaml")).unwrap();
    assert!(text.contains('#') && text.contains("ssn"), "{text}");
    compiler(&["check", "start.yaml"], folder.path()).success();
}

#[test]
fn the_schema_is_json_and_names_every_section() {
    let done = compiler(&["schema"], tree()).success();
    let schema: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    for section in ["targets", "classes", "roles", "block", "tests"] {
        assert!(schema["properties"][section].is_object(), "{section}");
    }
}
