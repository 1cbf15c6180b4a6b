//! The example clinic: it compiles, its tests pass, the same source gives the same bytes, and reports about it say what
//! changed or is missing.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};

use policy_compiler::build::Who;
use policy_compiler::build::{OnDisk, load};
use policy_compiler::engine::Engine;
use policy_compiler::{
    Catalogs, Paint, Report, Rules, Sources, bundle, coverage, diff, explain, resolve, schema, testing, words,
};

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/clinic")
}

fn rules_of(paths: &[PathBuf]) -> (Rules, Catalogs) {
    let mut report = Report::default();
    let sources = Sources::read(paths, &mut report);
    let mut rules = load(sources.clone(), &OnDisk, &mut report)
        .unwrap_or_else(|| panic!("{}", report.render(&sources, Paint(false))));
    let catalog = examples().join("clinic.catalog.json").display().to_string();
    let catalogs = Catalogs::read(&[catalog], &rules.model.targets).unwrap();
    resolve::resolve(&mut rules, &catalogs, &mut report);
    assert_eq!(report.render(&sources, Paint(false)), "", "the example has no warning");
    (rules, catalogs)
}

fn clinic() -> (Rules, Catalogs) {
    rules_of(&[examples().join("rules.yaml"), examples().join("roles.yaml")])
}

/// The example with one text replaced by another.
fn changed(from: &str, to: &str) -> Rules {
    let mut report = Report::default();
    let files = ["rules.yaml", "roles.yaml"].map(|name| {
        let text = std::fs::read_to_string(examples().join(name)).unwrap();
        policy_compiler::Source { name: examples().join(name).display().to_string(), text: text.replace(from, to) }
    });
    let sources = Sources::new(files.to_vec());
    let mut rules = load(sources.clone(), &OnDisk, &mut report)
        .unwrap_or_else(|| panic!("{}", report.render(&sources, Paint(false))));
    let catalog = examples().join("clinic.catalog.json").display().to_string();
    let catalogs = Catalogs::read(&[catalog], &rules.model.targets).unwrap();
    resolve::resolve(&mut rules, &catalogs, &mut report);
    rules
}

#[test]
fn its_tests_pass() {
    let (rules, catalogs) = clinic();
    let engine = Engine::new(&rules.model, &catalogs).unwrap();
    let results = testing::run(&rules, &engine);
    assert!(results.len() >= 12);
    assert!(results.iter().all(|r| r.failures.is_empty()), "{}", testing::text(&rules, &results, true, Paint(false)));
}

#[test]
fn a_test_that_expects_something_else_fails() {
    let rules = changed(
        "columns: {harmless: keep-last, id: token}",
        "columns: {harmless: keep-last 5, id: null, nothing: clear}",
    );
    let catalog = examples().join("clinic.catalog.json").display().to_string();
    let catalogs = Catalogs::read(&[catalog], &rules.model.targets).unwrap();
    let engine = Engine::new(&rules.model, &catalogs).unwrap();
    let results = testing::run(&rules, &engine);
    let text = testing::text(&rules, &results, true, Paint(false));
    assert!(text.contains("column `harmless`: expected keep-last 5, is keep-last 4"), "{text}");
    assert!(text.contains("column `id`: expected null, is token of 16 digits, key default"), "{text}");
    assert!(text.contains("no output column `nothing`; there are harmless, id"), "{text}");
    assert!(text.contains("1 of "), "{text}");
}

#[test]
fn same_source_same_bytes_in_any_order_of_files() {
    let bytes = |paths: &[PathBuf]| bundle::encode(&rules_of(paths).0.model).unwrap();
    let (a, b) = (examples().join("rules.yaml"), examples().join("roles.yaml"));
    let first = bytes(&[a.clone(), b.clone()]);
    assert_eq!(first, bytes(&[b, a]));
    let (model, digest) = bundle::decode(&first).unwrap();
    assert_eq!(model, clinic().0.model);
    assert_eq!(digest.len(), 64);
}

#[test]
fn damaged_bundles_are_refused_with_a_reason() {
    let good = bundle::encode(&clinic().0.model).unwrap();
    assert!(bundle::decode(&good[..good.len() - 1]).unwrap_err().contains("truncated"));
    let mut altered = good.clone();
    let last = altered.len() - 1;
    altered[last] ^= 1;
    assert!(bundle::decode(&altered).unwrap_err().contains("altered"));
    let mut newer = good;
    newer[8] = 99;
    assert!(bundle::decode(&newer).unwrap_err().contains("newer"));
    assert!(bundle::decode(b"targets: {}").is_err());
}

#[test]
fn the_published_schema_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("schema/rules.schema.json");
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, schema::text()).unwrap();
    }
    assert_eq!(
        schema::text(),
        std::fs::read_to_string(path).unwrap(),
        "run: policy-compiler schema > policy-compiler/schema/rules.schema.json"
    );
}

#[test]
fn the_manual_describes_every_word() {
    let manual = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/rules.md")).unwrap();
    let tables = [
        words::FILE,
        words::TARGET,
        words::CLASS,
        words::WORD_LIST,
        words::ROLE,
        words::FILTER,
        words::BUDGET,
        words::REQUEST,
        words::BREAK_GLASS,
        words::BLOCK,
        words::HOLD,
        words::TEST,
        words::REDACTION,
        words::TOKEN,
    ];
    let keys = tables.iter().flat_map(|t| t.iter()).map(|k| k.name);
    let others = words::SIMPLE_REDACTIONS
        .iter()
        .map(|(n, _)| *n)
        .chain(words::DETECTORS.iter().map(|(n, ..)| *n))
        .chain(words::effects());
    let classes = policy_compiler::library::CLASSES.iter().map(|c| c.name);
    for word in keys.chain(others).chain(classes) {
        assert!(manual.contains(&format!("`{word}`")), "docs/rules.md does not describe `{word}`");
    }
}

#[test]
fn explanations_name_rule_line_and_fate() {
    let (rules, catalogs) = clinic();
    let engine = Engine::new(&rules.model, &catalogs).unwrap();
    let role = |name: &str| Who::Role(rules.model.roles.iter().position(|r| r.name == name).unwrap());
    let ask = |who: Who, statement: &str| {
        let judgement = engine.judge(0, &who, statement);
        explain::Explanation::new(&rules, 0, who, statement, judgement)
    };
    let text = ask(role("analyst"), "SELECT ssn, sex FROM clinic.patients").text(Paint(false));
    assert!(
        text.contains("keep-last 4") && text.contains("class ssn (built-in library)") && text.contains("roles.yaml:"),
        "{text}"
    );
    assert!(text.contains("declared clear ("), "{text}");
    let refused = ask(role("analyst"), "DROP TABLE clinic.patients");
    assert!(refused.refused());
    let text = refused.text(Paint(false));
    assert!(text.contains("no-drop (") && text.contains("rules.yaml:") && text.contains("TG1001"), "{text}");
    let json = ask(Who::Groups(vec!["analysts".to_owned()]), "SELECT mrn FROM clinic.patients").json();
    let value: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["statements"][0]["columns"][0]["becomes"], "token", "{json}");
    assert_eq!(value["role"], "analyst");
    let nobody = ask(Who::Groups(vec!["nobody".to_owned()]), "SELECT 1").text(Paint(false));
    assert!(nobody.contains("no role") && nobody.contains("TG4001"), "{nobody}");
}

#[test]
fn differences_are_told_in_words() {
    let old = clinic().0.model;
    assert!(diff::compare(&old, &old).is_empty());
    let more = diff::compare(&old, &changed("ssn: keep-last 4", "ssn: clear").model);
    assert_eq!(more.more, ["role analyst: class ssn keep-last 4 → clear"]);
    assert!(more.less.is_empty());
    let less = diff::compare(&old, &changed("      zip: zip3\n", "").model);
    assert!(less.less.iter().any(|s| s.contains("class zip zip3 → null")), "{less:?}");
    assert!(!less.anyone_sees_more());
    let rule = diff::compare(
        &old,
        &changed(
            "    effects: [delete-without-where, update-without-where]",
            "    effects: [update-without-where, lock]",
        )
        .model,
    );
    assert_eq!(rule.more, ["rule no-mass-change no longer refuses effects delete-without-where"]);
    assert_eq!(rule.less, ["rule no-mass-change newly refuses effects lock"]);
    let target = diff::compare(&old, &changed("audit: strict", "audit: async").model);
    assert_eq!(target.targets, ["target warehouse: audit strict → async"]);
    let class = diff::compare(&old, &changed("  - \"warehouse.clinic.patients.sex\"\n", "").model);
    assert!(
        class
            .less
            .iter()
            .any(|s| s.contains("role agent: clinic.patients.sex (declared clear → unclassified: clear → null)")),
        "{class:?}"
    );
    let member = diff::compare(&old, &changed("groups: [analysts]\n", "groups: [students]\n").model);
    assert!(member.more.iter().any(|s| s.contains("group students is admitted as analyst")), "{member:?}");
    assert!(member.less.iter().any(|s| s.contains("group analysts is no longer admitted")), "{member:?}");
}

#[test]
fn coverage_finds_gaps_and_rules_without_effect() {
    let (rules, catalogs) = clinic();
    let found = coverage::find(&rules, &catalogs, &[]);
    assert!(!found.has_findings(), "{}", found.text(&rules, Paint(false)));
    assert!(found.left_clear.iter().all(|l| l.role == "privacy_officer"));

    let open = changed("use: safe-harbor\n", "use: [safe-harbor]\n").sources;
    assert_eq!(open.files().len(), 2);
    let rules = changed("  - \"warehouse.clinic.encounters.charge\"\n", "  - \"warehouse.clinic.encounters.chrage\"\n");
    let found = coverage::find(&rules, &catalogs, &[]);
    assert!(found.unused.iter().any(|(_, what)| what.contains("chrage")), "{found:?}");

    let sample = coverage::Sampled {
        target: 0,
        column: ("clinic".to_owned(), "departments".to_owned(), "name".to_owned()),
        hits: vec![("ssn", 40)],
        values: 50,
    };
    let found = coverage::find(&rules, &catalogs, &[sample]);
    let suspect = found.suspects.iter().find(|s| s.column == "warehouse.clinic.departments.name").unwrap();
    assert!(suspect.declared_clear && suspect.reasons == ["ssn found in 40 of 50 sampled values"], "{suspect:?}");
}

#[test]
fn what_does_not_fit_the_catalog_is_a_warning() {
    let warnings = |from: &str, to: &str| {
        let mut report = Report::default();
        let mut rules = changed(from, to);
        let catalog = examples().join("clinic.catalog.json").display().to_string();
        let catalogs = Catalogs::read(&[catalog], &rules.model.targets).unwrap();
        resolve::resolve(&mut rules, &catalogs, &mut report);
        assert!(report.is_ok());
        report.render(&rules.sources, Paint(false))
    };
    let found = warnings("encounters.admitted_at", "encounters.admited_at");
    assert!(found.contains("selects no column") && found.contains("did you mean column `admitted_at`?"), "{found}");
    let found = warnings("      dob: year\n", "      dob: keep-last 4\n");
    assert!(found.contains("gives NULL on clinic.patients.dob (date)"), "{found}");
    let found = warnings("  - \"warehouse.clinic.patients.sex\"\n", "  - \"warehouse.clinic.patients.s*\"\n");
    assert!(found.contains("makes warehouse.clinic.patients.ssn clear"), "{found}");
}
