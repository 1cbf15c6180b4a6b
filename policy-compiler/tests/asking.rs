//! Roles that are asked for: what the model carries, which roles nobody can have, what a difference says, how one is explained.

use policy::model::{Asking, Emergency};
use policy_compiler::build::{OnDisk, load};
use policy_compiler::{Report, Rules, Source, Sources, diff};

const HEAD: &str =
    "targets: {w: {address: \"db:5432\", account: gateway}}\nroles:\n  analyst: {groups: [analysts], targets: [w]}\n";

fn rules(more: &str) -> Rules {
    let mut report = Report::default();
    let source = Source { name: "r.yaml".to_owned(), text: format!("{HEAD}{more}") };
    let rules = load(Sources::new(vec![source]), &OnDisk, &mut report);
    rules.unwrap_or_else(|| panic!("{report:?}"))
}

#[test]
fn the_model_has_what_was_written() {
    let rules = rules(
        "  phi: {targets: [w], request: {groups: [analysts], approvers: [privacy, dba], approvals: 2, max: 4h},\
         break-glass: {groups: [on-call], max: 30m}}\n",
    );
    let role = &rules.model.roles[1];
    assert!(role.groups.is_empty());
    let texts = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let asking =
        Asking { groups: texts(&["analysts"]), approvers: texts(&["privacy", "dba"]), approvals: 2, seconds: 14_400 };
    assert_eq!(role.request, Some(asking));
    assert_eq!(role.break_glass, Some(Emergency { groups: texts(&["on-call"]), seconds: 1800 }));
    let bundle = policy::Bundle::load(&policy::Bundle::encode(&rules.model).unwrap()).unwrap();
    assert_eq!(bundle.model(), &rules.model);
}

#[test]
fn a_role_for_a_time_is_not_shadowed_by_the_one_of_the_same_group() {
    rules("  phi: {groups: [analysts], targets: [w], request: {groups: [analysts], approvals: 0, max: 30m}}\n");
}

#[test]
fn a_difference_says_who_may_ask_for_more() {
    let old =
        rules("  phi: {targets: [w], request: {groups: [analysts], approvers: [privacy], approvals: 2, max: 1h}}\n");
    let new = rules(
        "  phi: {targets: [w], request: {groups: [analysts, interns], approvers: [privacy], max: 4h},\
         break-glass: {groups: [on-call]}}\n",
    );
    let changes = diff::compare(&old.model, &new.model);
    let more = changes.more.join("\n");
    for sentence in [
        "can be asked for by interns",
        "2 votes → 1 vote",
        "given for at most 1h → 4h",
        "taken in an emergency by on-call, for at most 1h",
    ] {
        assert!(more.contains(sentence), "{sentence}: {more}");
    }
    let back = diff::compare(&new.model, &old.model);
    assert_eq!(back.less.len(), 4, "{back:?}");
    assert!(back.more.is_empty(), "{back:?}");
}
