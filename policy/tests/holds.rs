//! Rules that hold a statement: which statements they are about, and what they give way to.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod fixture;

use std::sync::Arc;

use lineage::{Effects as E, Statement};
use policy::model::{Block, Hold, InTransaction, Mode, Pattern, Selector};
use policy::{Bundle, Decision, Epoch, Grant, Identity, Keys, MadeBy, Names, Refusal, admit};

fn hold(name: &str, rule: Block) -> Hold {
    Hold {
        rule: Block { name: name.into(), ..rule },
        rows_over: 0,
        approvers: vec!["dba".into()],
        approvals: 1,
        distinct_groups: false,
        in_transaction: InTransaction::Refuse,
    }
}

fn rule() -> Block {
    let (words, patterns, roles, except) = (vec![], vec![], vec![], vec![]);
    let (name, effects, objects, message, hint, line) = (String::new(), 0, vec![], None, None, 1);
    Block { name, effects, objects, words, patterns, roles, except, message, hint, line }
}

fn object(relation: &str) -> Selector {
    Selector { target: "*".into(), schema: "*".into(), relation: relation.into(), column: "*".into() }
}

fn holds() -> Vec<Hold> {
    vec![
        hold("changes", Block { effects: E::UPDATE.with(E::DELETE).0, objects: vec![object("visits")], ..rule() }),
        hold("word", Block { words: vec!["merger".into()], roles: vec!["officer".into()], ..rule() }),
        hold(
            "pattern",
            Block { patterns: vec![Pattern { expression: "wards?_north".into(), literal: "ward".into() }], ..rule() },
        ),
        // Blocked, so never held.
        hold("drops", Block { effects: E::DROP.with(E::DELETE).0, ..rule() }),
        hold("excepted", Block { effects: E::INSERT.0, except: vec!["officer".into()], ..rule() }),
    ]
}

fn grant(group: &str, mode: Mode) -> Grant {
    let mut model = fixture::model();
    model.holds = holds();
    model.roles.iter_mut().for_each(|role| role.mode = mode);
    let bundle = Bundle::load(&Bundle::encode(&model).unwrap()).unwrap();
    let epoch = Arc::new(Epoch::resolve(Arc::new(bundle), 0, &fixture::catalog(), &Keys::new()));
    let groups = vec![group.to_owned()];
    admit(&epoch, &Identity { issuer: "local".into(), subject: "ana".into(), groups, ..Identity::default() }).unwrap()
}

fn decide(grant: &Grant, text: &str, names: &dyn Names) -> Result<Vec<&'static str>, Refusal> {
    let facts = lineage::analyse(text).unwrap();
    let names_of = ["changes", "word", "pattern", "drops", "excepted"];
    match grant.decide(text, &facts, names) {
        Decision::Allow(allowed) => {
            assert_eq!(allowed.len(), facts.statements.len());
            Ok(Vec::new())
        }
        Decision::Hold(allowed, held) => {
            assert_eq!(allowed.len(), facts.statements.len());
            assert!(!held.is_empty());
            Ok(held.into_iter().map(|i| names_of[i]).collect())
        }
        Decision::Refuse(refusal) => Err(refusal),
    }
}

#[test]
fn what_nothing_refuses_is_held_by_the_rules_that_match() {
    let officer = grant("officers", Mode::Enforce);
    let of = |text: &str| decide(&officer, text, &());
    assert_eq!(of("select * from clinic.visits").unwrap(), [""; 0]);
    assert_eq!(of("update clinic.visits set ward = 'a'").unwrap(), ["changes"]);
    assert_eq!(of("delete from clinic.visits").unwrap(), ["changes", "drops"]);
    assert_eq!(of("delete from clinic.states").unwrap(), ["drops"]);
    // Anywhere in the text, as whole words; and each rule once, in the order of the file.
    assert_eq!(
        of("select 1; delete from clinic.visits; select 'Merger', wards_north").unwrap(),
        ["changes", "word", "pattern", "drops"]
    );
    assert_eq!(of("select 'mergers' as x from clinic.states").unwrap(), [""; 0]);
    assert_eq!(of("insert into clinic.states values ('a', 'b')").unwrap(), [""; 0]);
    // Said again it is the same: what is remembered is not the text.
    for _ in 0..3 {
        assert_eq!(of("select 'merger'").unwrap(), ["word"]);
        assert_eq!(of("select 'nothing'").unwrap(), [""; 0]);
    }
    // Blocked stays blocked.
    assert_eq!(of("drop table clinic.visits").unwrap_err().code, "TG1001");
    assert_eq!(of("delete from clinic.visits where ward = 'archive'").unwrap_err().rule, "delete-archive");
    let analyst = grant("analysts", Mode::Enforce);
    assert_eq!(decide(&analyst, "select 'merger'", &()).unwrap(), [""; 0], "for officers");
    assert_eq!(decide(&analyst, "insert into clinic.states values ('a', 'b')", &()).unwrap(), ["excepted"]);
    assert_eq!(decide(&analyst, "update clinic.visits set ward = note", &()).unwrap_err().code, "TG2005");
}

#[test]
fn roles_that_are_introduced_are_not_held_and_it_is_said() {
    for mode in [Mode::Migrate, Mode::Observe] {
        let officer = grant("officers", mode);
        let text = "delete from clinic.visits";
        let Decision::Allow(allowed) = officer.decide(text, &lineage::analyse(text).unwrap(), &()) else {
            panic!("held in {mode:?}")
        };
        let said: Vec<_> = allowed[0].softened.iter().map(|r| (r.code, r.rule.as_str())).collect();
        assert_eq!(said, [("TG1002", "changes"), ("TG1002", "drops")]);
    }
}

/// A session that prepared this.
struct Prepared(Option<Arc<Statement>>, MadeBy);

impl Names for Prepared {
    fn prepared(&self, _: &str) -> Option<Arc<Statement>> {
        self.0.clone()
    }
    fn cursor(&self, _: &str) -> Option<Arc<Statement>> {
        self.0.clone()
    }
    fn made_by(&self, _: &Arc<Statement>) -> MadeBy {
        self.1.clone()
    }
    fn temporary(&self, _: &str) -> bool {
        false
    }
    fn by_path(&self) -> bool {
        true
    }
}

#[test]
fn nothing_that_is_held_runs_by_a_name() {
    let officer = grant("officers", Mode::Enforce);
    let statement = |text: &str| Prepared(lineage::analyse(text).unwrap().statements.pop(), MadeBy::Text(text.into()));
    for text in ["prepare q as delete from clinic.visits", "prepare q as select 'merger'", "execute q('merger')"] {
        assert_eq!(decide(&officer, text, &statement("select 1")).unwrap_err().code, "TG1003", "{text}");
    }
    // Made under rules that did not look for this.
    for text in ["execute q", "fetch all from c"] {
        let older = statement("prepare q as select 'merger'");
        assert_eq!(decide(&officer, text, &older).unwrap_err().code, "TG1003", "{text}");
        let forgotten = Prepared(statement("prepare q as select 1").0, MadeBy::Forgotten);
        assert_eq!(decide(&officer, text, &forgotten).unwrap_err().code, "TG1001", "{text}: a rule blocks a pattern");
    }
    for text in ["execute q", "fetch all from c", "explain analyze execute q"] {
        let names = statement("prepare q as update clinic.visits set ward = 'x'");
        assert_eq!(decide(&officer, text, &names).unwrap_err().code, "TG1003", "{text}");
        assert_eq!(decide(&officer, text, &statement("select 1")).unwrap(), [""; 0], "{text}");
        // Nobody knows what it is.
        assert_eq!(decide(&officer, text, &Prepared(None, MadeBy::Forgotten)).unwrap_err().code, "TG1003", "{text}");
    }
}

/// A grant of the officers' where these rules hold.
fn only(holds: Vec<Hold>) -> Grant {
    let mut model = fixture::model();
    model.holds = holds;
    let bundle = Bundle::load(&Bundle::encode(&model).unwrap()).unwrap();
    let epoch = Arc::new(Epoch::resolve(Arc::new(bundle), 0, &fixture::catalog(), &Keys::new()));
    let groups = vec!["officers".to_owned()];
    admit(&epoch, &Identity { issuer: "local".into(), subject: "ana".into(), groups, ..Identity::default() }).unwrap()
}

#[test]
fn an_object_is_written_by_other_names_too() {
    let deletes = |object_: &str| {
        only(vec![hold("changes", Block { effects: E::DELETE.0, objects: vec![object(object_)], ..rule() })])
    };
    for (of, text, held) in [
        ("states", "delete from clinic.states", true),
        ("states", "delete from clinic.v_states where code = 'x'", true),
        ("states", "select * from clinic.v_states", false),
        ("states", "insert into clinic.v_states values ('x')", false),
        ("states", "delete from clinic.visits using clinic.v_states s where ward = s.code", false),
        ("patients", "delete from clinic.v_on_v", true),
        ("patients", "delete from clinic.patients_2020", true),
        ("visits", "delete from clinic.patients_2020", false),
        ("states", "create view clinic.way as select * from clinic.states", true),
        ("states", "create temporary view way as select code from clinic.states", true),
        ("states", "create rule way as on insert to clinic.visits do also delete from clinic.states", true),
        ("states", "create view clinic.way as select * from clinic.visits", false),
        ("states", "create view clinic.way as select * from clinic.v_states", true),
        // Nothing can be written by these.
        ("states", "create view clinic.way as select s.* from clinic.states s join clinic.visits on true", false),
        ("states", "create view clinic.way as with s as (select * from clinic.states) select * from s", false),
        ("states", "create view clinic.way as select code, count(*) from clinic.states group by code", false),
        ("states", "create materialized view clinic.way as select * from clinic.states", false),
    ] {
        let expected: &[&str] = if held { &["changes"] } else { &[] };
        assert_eq!(decide(&deletes(of), text, &()).unwrap(), expected, "{of}: {text}");
    }
    // What is about all of a schema is about each of its objects; what is about all that somebody owns, about any.
    let grants = only(vec![hold("changes", Block { effects: E::GRANT.0, objects: vec![object("states")], ..rule() })]);
    assert_eq!(decide(&grants, "grant all on all tables in schema clinic to me", &()).unwrap(), ["changes"]);
    assert_eq!(decide(&grants, "reassign owned by me to you", &()).unwrap_err().rule, "payroll");
    let mut altered = hold("changes", Block { effects: E::ALTER.0, objects: vec![object("states")], ..rule() });
    altered.rule.objects[0].schema = "clinic".into();
    let altered = only(vec![altered]);
    assert_eq!(decide(&altered, "alter schema clinic rename to other", &()).unwrap(), ["changes"]);
    assert_eq!(decide(&altered, "alter schema lab rename to other", &()).unwrap(), [""; 0]);
    // What is done to a view is done to no row of what it is over.
    let alters = E::ALTER.0 | E::DELETE.0;
    let alters = only(vec![hold("changes", Block { effects: alters, objects: vec![object("states")], ..rule() })]);
    for text in ["alter view clinic.v_states rename to s", "alter table clinic.v_states rename to s"] {
        assert_eq!(decide(&alters, text, &()).unwrap(), [""; 0], "{text}");
    }
    for text in ["delete from clinic.v_states", "alter table clinic.states rename to s"] {
        assert_eq!(decide(&alters, text, &()).unwrap(), ["changes"], "{text}");
    }
    // A rule about reading an object is about its name: a view is there to show less of it.
    let reads = only(vec![hold("changes", Block { effects: E::READ.0, objects: vec![object("states")], ..rule() })]);
    assert_eq!(decide(&reads, "select * from clinic.v_states", &()).unwrap(), [""; 0]);
}

/// The protocol's own names are SQL's too: a statement that was prepared by a Parse waits when it is run by an Execute, and
/// nothing of the kind happens to `EXECUTE`.
#[test]
fn a_rule_about_words_holds_what_nobody_knows() {
    let pattern = Pattern { expression: "purge".into(), literal: "purge".into() };
    for rule in [
        Block { words: vec!["purge".into()], ..rule() },
        Block { patterns: vec![pattern], ..rule() },
        Block { words: vec!["purge".into()], effects: E::DELETE.0, ..rule() },
    ] {
        let officer = only(vec![hold("changes", rule)]);
        for text in ["execute q", "fetch all from c", "explain analyze execute q"] {
            assert_eq!(
                decide(&officer, text, &Prepared(None, MadeBy::Forgotten)).unwrap_err().code,
                "TG1003",
                "{text}"
            );
        }
        assert_eq!(
            decide(&officer, "delete from clinic.states /* purge */", &Prepared(None, MadeBy::Forgotten)).unwrap(),
            ["changes"]
        );
        assert_eq!(decide(&officer, "select 1", &Prepared(None, MadeBy::Forgotten)).unwrap(), [""; 0]);
    }
}

#[test]
fn what_is_blocked_since_it_was_prepared_does_not_run_by_its_name() {
    for group in ["officers", "analysts"] {
        let inner = "prepare q as select * from ops.payroll";
        let names = Prepared(lineage::analyse(inner).unwrap().statements.pop(), MadeBy::Text(inner.into()));
        for text in ["execute q", "fetch all from c", "explain analyze execute q"] {
            let refusal = decide(&grant(group, Mode::Enforce), text, &names).unwrap_err();
            assert_eq!((refusal.code, refusal.rule.as_str()), ("TG1001", "payroll"), "{text}");
        }
    }
}

#[test]
fn marks_are_places_of_the_text() {
    let officer = grant("officers", Mode::Enforce);
    let marks = |hold: usize, text: &str| -> Vec<String> {
        let statements = lineage::analyse(text).unwrap().statements;
        officer.marks(hold, text, &statements, &()).into_iter().map(|(a, b)| text[a..b].to_owned()).collect()
    };
    assert_eq!(marks(0, "select 1; update clinic.visits set ward = 'é'"), ["clinic.visits"]);
    assert_eq!(marks(1, "select 'Merger é', 'mergers'"), ["select 'Merger é', 'mergers'", "Merger"]);
    assert_eq!(marks(3, "/* é */ delete from clinic.states"), ["delete from clinic.states"]);
    assert_eq!(marks(9, "delete from clinic.states"), [""; 0]);
}

#[test]
fn a_bundle_whose_held_statements_nobody_could_approve_is_refused() {
    for change in [
        (|h: &mut Hold| h.approvers.clear()) as fn(&mut Hold),
        |h| h.approvals = 0,
        |h| h.rule.words.push(String::new()),
    ] {
        let mut model = fixture::model();
        model.holds = holds();
        change(&mut model.holds[0]);
        assert!(Bundle::encode(&model).is_err());
    }
}
