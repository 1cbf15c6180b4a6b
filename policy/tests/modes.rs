//! What a role's mode makes of a decision, and what running a statement costs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::sync::Arc;

use fixture::{PATIENTS, TEXT};
use policy::ledger::{Ledger, Spent};
use policy::model::{Budget, Comparison, Counted, Mode, Role};
use policy::{Allowed, Bundle, ColumnShape, Decision, Epoch, Fate, Grant, Identity, Keys, Refusal, admit, used_up};

/// The grant of a group whose role is changed by `change`.
fn grant(group: &str, change: impl Fn(&mut Role)) -> Grant {
    let mut model = fixture::model();
    model.roles.iter_mut().filter(|r| r.groups[0] == group).for_each(change);
    let bundle = Bundle::load(&Bundle::encode(&model).unwrap()).unwrap();
    let epoch = Arc::new(Epoch::resolve(Arc::new(bundle), 0, &fixture::catalog(), &Keys::new()));
    let identity =
        Identity { issuer: "local".into(), subject: "ana".into(), groups: vec![group.into()], ..Identity::default() };
    admit(&epoch, &identity).unwrap()
}

fn analyst(mode: Mode) -> Grant {
    grant("analysts", |r| r.mode = mode)
}

fn decide(grant: &Grant, text: &str) -> Result<Vec<Allowed>, Refusal> {
    let facts = lineage::analyse(text).unwrap();
    match grant.decide(text, &facts, &()) {
        Decision::Allow(allowed) | Decision::Hold(allowed, _) => Ok(allowed),
        Decision::Refuse(refusal) => Err(refusal),
    }
}

fn column(name: &str, attribute: i16) -> ColumnShape<'_> {
    let table = if attribute == 0 { 0 } else { PATIENTS };
    ColumnShape { name: name.as_bytes(), table, attribute, type_oid: TEXT }
}

const COMPUTED: &[&str] = &[
    "select ssn::int from clinic.patients",
    "select max(ssn) from clinic.patients",
    "select x from (select length(ssn) / id::int as x from clinic.patients) q",
    "select case when ssn = 'x' then 1 else 2 end from clinic.patients",
    "with q as (select string_agg(ssn, ',') as x from clinic.patients) select x from q",
];

#[test]
fn migrate_makes_computed_outputs_null_and_says_what_enforce_refuses() {
    for text in COMPUTED {
        let refused = decide(&analyst(Mode::Enforce), text).unwrap_err();
        let grant = analyst(Mode::Migrate);
        let allowed = decide(&grant, text).unwrap_or_else(|r| panic!("{text}: {r:?}"));
        let codes: Vec<_> = allowed[0].softened.iter().map(|r| (r.code, r.rule.as_str())).collect();
        assert_eq!(codes, [(refused.code, refused.rule.as_str())], "{text}");
        let plan = grant.plan(&allowed[0], &[column("x", 0)]).unwrap();
        assert_eq!(plan.columns().len(), 1, "{text}: NULL");
        assert!(plan.columns()[0].redaction.is_none());
        let facts = lineage::analyse(text).unwrap();
        let fates: Vec<_> = grant.plan_columns(&facts.statements[0]).into_iter().map(|c| c.fate).collect();
        assert_eq!(fates, [Fate::Masked], "{text}");
    }
}

#[test]
fn migrate_refuses_whatever_chooses_copies_or_cannot_be_seen() {
    for text in [
        "select id from clinic.patients where ssn > 'x'",
        "select id from clinic.patients where ssn::int / 2 = 1",
        "select id from clinic.patients order by ssn || 'x'",
        "select max(ssn) from clinic.patients group by ssn || 'x'",
        "select distinct ssn::int from clinic.patients",
        "select ssn::int from clinic.patients union select id::int from clinic.visits",
        "select id from clinic.patients where id = (select max(ssn) from clinic.patients)",
        "select count(*) from clinic.patients having max(ssn) > 'x'",
        "create table t as select ssn::int as x from clinic.patients",
        "insert into clinic.states (title) select max(ssn) from clinic.patients",
        "update clinic.states set title = (select max(ssn) from clinic.patients)",
        "create view v as select max(ssn) as x from clinic.patients",
        "select unheard_of(ssn) from clinic.patients",
        "select n from clinic.patients p, lateral generate_series(1, p.ssn::int) as n",
        "select id from clinic.patients limit (select ssn::int from clinic.patients)",
        "select row_to_json(p) from clinic.patients p",
        "select diagnosis_secret::int from clinic.patients",
        "select (values (ssn::int)) from clinic.patients limit (select ssn::int from clinic.patients)",
    ] {
        let refused = decide(&analyst(Mode::Enforce), text).unwrap_err();
        let still = decide(&analyst(Mode::Migrate), text);
        assert!(still.is_err(), "{text}: enforce says {refused:?}, migrate {:?}", still.map(|a| a[0].softened.clone()));
    }
}

#[test]
fn observe_allows_with_a_note_and_is_not_guarded() {
    let grant = analyst(Mode::Observe);
    for text in COMPUTED.iter().chain(&[
        "select id from clinic.patients where ssn > 'x'",
        "drop table clinic.patients",
        "copy clinic.patients to '/tmp/x'",
        "do 'begin end'",
        "select 'forbidden'",
    ]) {
        let refused = decide(&analyst(Mode::Enforce), text).unwrap_err();
        let allowed = decide(&grant, text).unwrap_or_else(|r| panic!("{text}: {r:?}"));
        assert_eq!(allowed[0].softened, [refused], "{text}");
        assert!(!allowed[0].guarded);
    }
    let masked = decide(&grant, "select ssn from clinic.patients").unwrap();
    assert!(masked[0].softened.is_empty() && !masked[0].guarded);
    assert_eq!(
        grant.plan(&masked[0], &[column("ssn", 3)]).unwrap().columns().len(),
        1,
        "what would be masked is known"
    );
}

#[test]
fn observe_keeps_what_the_gateway_depends_on_even_behind_another_refusal() {
    let grant = analyst(Mode::Observe);
    for (text, code) in [
        ("set standard_conforming_strings = off", "TG3004"),
        ("set role postgres", "TG3002"),
        ("select set_config('a' || 'b', 'c', false), max(ssn) from clinic.patients", "TG3004"),
        ("select set_config('a' || 'b', 'c', false), 'forbidden' from ops.payroll", "TG3004"),
        ("copy (select set_config('a' || 'b', 'c', false)) to '/tmp/x'", "TG3004"),
    ] {
        assert_eq!(decide(&grant, text).unwrap_err().code, code, "{text}");
    }
    assert!(decide(&grant.as_if_enforced(), "select 'forbidden'").is_err());
}

/// (what, class, cost) charged before, and (what, class) of each part's rows.
type Costs = (Vec<(Spent, Option<String>, u64)>, Vec<Vec<(Spent, Option<String>)>>);

fn costs(grant: &Grant, text: &str) -> Option<Costs> {
    let spending = grant.spending(&decide(grant, text).unwrap_or_else(|r| panic!("{text}: {r:?}")))?;
    let before = spending.before.iter().map(|(l, n)| (l.heading.of, l.heading.class.clone(), *n)).collect();
    let part = |p: &Vec<policy::ledger::Limit>| p.iter().map(|l| (l.heading.of, l.heading.class.clone())).collect();
    Some((before, spending.parts.iter().map(part).collect()))
}

#[test]
fn results_count_against_the_classes_they_are_made_of() {
    let budget = |of, class| Budget { of, class, amount: 9, seconds: 60 };
    let change = |r: &mut Role| {
        r.budgets =
            vec![budget(Counted::Rows, None), budget(Counted::Bytes, Some(0)), budget(Counted::Statements, Some(1))];
        r.comparisons = vec![Comparison { class: 0, amount: 5, seconds: 60 }];
    };
    let (rows, bytes) = ((Spent::Rows, None), (Spent::Bytes, Some("ssn".to_owned())));
    let statement = (Spent::Statements, Some("name".to_owned()), 1);
    // The officer sees everything: no lineage is needed to decide, but here it is.
    for group in ["analysts", "officers"] {
        let grant = grant(group, change);
        let parts = |text: &str| costs(&grant, text).map(|(_, parts)| parts).unwrap_or_default();
        assert_eq!(parts("select id from clinic.patients"), [vec![rows.clone()]], "{group}");
        for text in [
            "select ssn from clinic.patients",
            "select upper(ssn) from clinic.patients",
            "select number from clinic.v_direct",
            "select x from clinic.v_upper",
            "select s from (select ssn as s from clinic.patients union all select title from clinic.states) q",
            "select hidden_number from clinic.patients",
            "copy clinic.patients (id, ssn) to stdout",
        ] {
            assert_eq!(parts(text), [vec![rows.clone(), bytes.clone()]], "{group} {text}");
        }
        assert_eq!(parts("select count(ssn) from clinic.patients"), [vec![rows.clone()]]);
        assert_eq!(
            parts(
                "insert into clinic.states values ('x', 'y'); select 1; update clinic.states set title = 'z' returning code"
            ),
            [vec![], vec![rows.clone()], vec![rows.clone()]]
        );
        let (before, _) = costs(&grant, "select name from clinic.patients; select name || 'x' as n, id from clinic.visits, (select name from clinic.patients) q").unwrap();
        assert_eq!(before, [(Spent::Statements, Some("name".to_owned()), 2)], "{group}");
        assert_eq!(costs(&grant, "select name from clinic.patients").unwrap().0, std::slice::from_ref(&statement));
        assert_eq!(costs(&grant, "insert into clinic.states values ('x', 'y')"), None);
    }
    let officer = grant("officers", change);
    let strange = costs(&officer, "select x from somewhere_else").unwrap();
    assert_eq!(strange.1, [vec![rows, bytes]], "what is not known could be anything");
    assert_eq!(strange.0, [statement]);
}

#[test]
fn comparisons_are_charged_by_their_constants() {
    let change = |r: &mut Role| r.comparisons = vec![Comparison { class: 0, amount: 5, seconds: 3_600 }];
    let grant = grant("analysts", change);
    let charged = |text: &str| costs(&grant, text).map_or(0, |(before, _)| before.iter().map(|(.., n)| n).sum());
    for (text, n) in [
        ("select id from clinic.patients where ssn = $1", 1),
        ("select id from clinic.patients where ssn in ('a', $1, 'c') or (ssn = 'd' and state = 'OH')", 4),
        ("select id from clinic.patients where ssn = 'a'; select id from clinic.patients where ssn = 'b'", 2),
        ("explain select id from clinic.patients where ssn = 'a'", 1),
        ("delete from clinic.patients where ssn = 'a'", 1),
        ("select id from clinic.patients", 0),
    ] {
        assert_eq!(charged(text), n, "{text}");
    }
    for text in [
        "select id from clinic.patients where ssn = any($1)",
        "select id from clinic.patients where not ssn = 'a'",
        "select id from clinic.patients where ssn = state",
        "select id from clinic.patients where ssn = (select 'a')",
        "select p.id from clinic.patients p join (values ('a'), ('b')) v(x) on p.ssn = v.x",
        "select id from clinic.patients where dob = '2000-01-01'",
    ] {
        assert!(decide(&grant, text).is_err(), "{text}");
    }
    let spending =
        grant.spending(&decide(&grant, "select id from clinic.patients where ssn in ('a', 'b', 'c')").unwrap());
    let spending = spending.unwrap();
    let ledger = Ledger::new();
    ledger.charge(&spending.who, &spending.before, 0).unwrap();
    let why = ledger.charge(&spending.who, &spending.before, 0).unwrap_err();
    let refusal = used_up(&spending.before[why.limit].0, &why);
    assert_eq!((refusal.code, refusal.rule.as_str()), ("TG2016", "filter:ssn"));
    assert_eq!(refusal.message, "your budget of 5 comparisons with columns of class ssn per hour is used up");
    assert_eq!(refusal.hint.as_deref(), Some("some of it is free again in 2 hours"));
}
