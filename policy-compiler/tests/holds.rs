//! `hold` in rule files: what is read, what is reported, and what the other verbs say of it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use policy::model::InTransaction;
use policy_compiler::build::{Rules, Who};
use policy_compiler::engine::Engine;
use policy_compiler::resolve::Catalogs;
use policy_compiler::{Paint, diff, explain, load_str, testing};

const HEAD: &str = "version: 1
targets: {t: {address: 'db:5432', account: a}}
roles:
  r: {groups: [g], targets: ['*'], default: clear}
";

fn rules(text: &str) -> Rules {
    let (rules, report, sources) = load_str("r.yaml", &format!("{HEAD}{text}"));
    rules.unwrap_or_else(|| panic!("{}", report.render(&sources, Paint(false))))
}

fn mistakes(text: &str) -> String {
    let (rules, report, sources) = load_str("r.yaml", &format!("{HEAD}{text}"));
    assert!(rules.is_none(), "{text} is taken");
    report.render(&sources, Paint(false))
}

const HOLD: &str = "hold:
  - {name: d, effects: delete, approvers: [dba, privacy], approvals: 2, distinct-groups: true, message: careful}
  - {name: u, rows-over: 1000, approvers: dba, in-transaction: hold}
";

#[test]
fn everything_can_be_said() {
    let model = rules(HOLD).model;
    let [d, u] = model.holds.as_slice() else { panic!("{:?}", model.holds) };
    assert_eq!((d.approvals, d.distinct_groups, d.rows_over, d.in_transaction), (2, true, 0, InTransaction::Refuse));
    assert_eq!(d.approvers, ["dba", "privacy"]);
    assert_eq!(d.rule.message.as_deref(), Some("careful"));
    assert_eq!((u.approvals, u.distinct_groups, u.rows_over, u.in_transaction), (1, false, 1000, InTransaction::Hold));
    // A number of rows is about what has rows.
    let effects = lineage::Effects(u.rule.effects);
    assert!(effects.contains(lineage::Effects::READ) && !effects.intersects(lineage::Effects::SET));
}

#[test]
fn mistakes_are_named() {
    for (text, message, fix) in [
        ("hold: [{name: a, effects: delete}]", "approvers", ""),
        ("hold: [{name: a, effects: delete, approvers: []}]", "nobody can approve what rule `a` holds", "at least one"),
        ("hold: [{name: a, effects: delete, approvers: ['*']}]", "would let everybody approve", "name the groups"),
        ("hold: [{name: a, approvers: [x]}]", "has no condition, so it would hold every statement", ""),
        ("hold: [{name: a, effects: delete, approvers: [x], approvals: 0}]", "approvals", ""),
        (
            "hold: [{name: a, effects: delete, approvers: [x], approvals: 2, distinct-groups: true}]",
            "never enough",
            "add groups",
        ),
        (
            "hold: [{name: a, effects: delete, approvers: [x], distinct-groups: maybe}]",
            "`distinct-groups: maybe` is not known",
            "",
        ),
        (
            "hold: [{name: a, effects: delete, approvers: [x], in-transaction: wait}]",
            "`in-transaction: wait` is not known",
            "",
        ),
        ("hold: [{name: a, effects: delete, approver: [x]}]", "unknown key `approver`", "did you mean `approvers`?"),
        ("holds: []", "unknown key `holds`", "did you mean `hold`?"),
        (
            "block: [{name: a, effects: drop}]\nhold: [{name: a, effects: delete, approvers: [x]}]",
            "two rules are called `a`",
            "rename",
        ),
        ("hold: [{name: default, effects: delete, approvers: [x]}]", "cannot be the name of a rule", ""),
        ("hold: [{name: a, effects: delete, approvers: [x], roles: [nobody]}]", "unknown role `nobody`", ""),
        ("tests: [{as: r, target: t, statement: select 1, expect: hold, rule: x}]", "unknown rule `x`", ""),
        ("tests: [{as: r, target: t, statement: select 1, expect: hold, code: TG1}]", "`code` says nothing", ""),
    ] {
        let report = mistakes(text);
        assert!(report.contains(message) && report.contains(fix), "{text}: {report}");
    }
}

#[test]
fn tests_expect_it() {
    let tests = "tests:
  - {as: r, target: t, statement: delete from x, expect: hold, rule: d}
  - {as: r, target: t, statement: select 1, expect: allow}
  - {as: r, target: t, statement: delete from x, expect: hold}
  - {as: r, target: t, statement: delete from x, expect: allow}
  - {as: r, target: t, statement: delete from x, expect: refuse}
  - {as: r, target: t, statement: set timezone = 'UTC', expect: hold}
  - {as: r, target: t, statement: delete from x, expect: hold, rule: none}
";
    let rules = rules(&format!("{HOLD}  - {{name: none, effects: merge, approvers: [x]}}\n{tests}"));
    let engine = Engine::new(&rules.model, &Catalogs::default()).unwrap();
    let results = testing::run(&rules, &engine);
    let failures: Vec<String> = results.iter().map(|r| r.failures.join(";")).collect();
    assert_eq!(
        failures,
        [
            "",
            "expected to be allowed, is held by u",
            "",
            "expected to be allowed, is held by d, u",
            "expected to be refused, is held by d, u",
            "expected to be held, runs at once",
            "expected to be held by none, is held by d, u",
        ]
    );
}

#[test]
fn explanations_say_who_votes() {
    let rules = rules(HOLD);
    let engine = Engine::new(&rules.model, &Catalogs::default()).unwrap();
    let judgement = engine.judge(0, &Who::Role(0), "delete from x");
    let explanation = explain::Explanation::new(&rules, 0, Who::Role(0), "delete from x", judgement);
    let text = explanation.text(Paint(false));
    for part in [
        "held: it waits for approval",
        "r.yaml:6",
        "2 of dba, privacy, from groups all different",
        "held if more than 1000 rows are expected",
        "allowed: DELETE",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let json: serde_json::Value = serde_json::from_str(&explanation.json()).unwrap();
    assert_eq!(json["decision"], "hold");
    assert_eq!(json["holds"][0]["rule"], "d");
    assert_eq!(json["holds"][1]["rows_over"], 1000);
    assert!(!explanation.refused());
}

#[test]
fn changes_are_told_by_what_they_mean() {
    let old = rules(HOLD).model;
    let new = |from: &str, to: &str| diff::compare(&old, &rules(&HOLD.replace(from, to)).model);
    assert!(diff::compare(&old, &old).is_empty());
    let gone = diff::compare(&old, &rules("").model);
    assert_eq!(gone.more.len(), 2, "{gone:?}");
    let came = diff::compare(&rules("").model, &old);
    assert!(came.less[0].contains("rule d newly holds: delete; votes: 2 of dba, privacy"), "{came:?}");
    assert!(new("approvals: 2", "approvals: 1").more[0].contains("needs 1 votes, was 2"));
    assert!(new("distinct-groups: true", "distinct-groups: false").more[0].contains("takes votes of one group"));
    assert!(new("[dba, privacy]", "[dba, privacy, app]").more[0].contains("app may approve"));
    assert!(new("rows-over: 1000", "rows-over: 10").less[0].contains("more than 10 rows, was more than 1000"));
    assert!(new("rows-over: 1000", "rows-over: 100000").more[0].contains("more than 100000"));
    assert!(new(", in-transaction: hold", "").different[0].contains("fails at once in a transaction"));
    assert!(new("effects: delete", "effects: [delete, update]").less[0].contains("rule d newly holds effects update"));
}
