//! Sessions of a core that share what was judged before, against sessions that judge everything anew: the same reaches the
//! database, the clients and the log, whatever they say in whatever order, across reloads and budgets.

use std::cell::RefCell;
use std::rc::Rc;

use lineage::FactsCache;
use proptest::prelude::*;
use session::{Durability, HoldAnswer, HoldQuestion, Shelves};

use crate::world::{Common, SECOND, Start, World, epoch, extended, tag};

/// Beside what is held: a rule about words, and budgets.
const RULES: [&str; 2] = [
    r"
version: 1
targets: {t: {address: 'db:5432', account: a}}
classes: {ssn: {columns: ['t.public.p.ssn']}}
roles:
  r: {groups: [g], targets: ['*'], default: clear, redact: {ssn: null}, budgets: [{rows: 9, per: minute}]}
  free: {groups: [f], targets: ['*'], default: clear, redact: {ssn: keep-last 4}}
  watched: {groups: [w], targets: ['*'], default: clear, redact: {ssn: null}, mode: observe}
block:
  - {name: no-drop, effects: drop}
  - {name: words, words: [forbidden]}
hold:
  - {name: deletes, effects: delete, approvers: [dba], message: deleting needs a second person}
",
    r"
version: 1
targets: {t: {address: 'db:5432', account: a}}
classes: {ssn: {columns: ['t.public.p.ssn']}}
roles:
  r: {groups: [g], targets: ['*'], default: clear, redact: {ssn: keep-last 4}}
  free: {groups: [f], targets: ['*'], default: clear, redact: {ssn: refuse}}
  watched: {groups: [w], targets: ['*'], default: clear, redact: {ssn: refuse}, mode: observe}
block:
  - {name: no-update, effects: update}
",
];

const TEXTS: [&str; 22] = [
    "SELECT id, ssn FROM p WHERE id = 'a'",
    "SELECT id, ssn FROM p WHERE id = 'b'",
    "SELECT id, ssn FROM p WHERE id = 'forbidden'",
    "SELECT ssn, id FROM p",
    "SELECT id, ssn FROM p WHERE id = $1",
    "SELECT id, ssn FROM p; SELECT ssn, id FROM p",
    "SELECT x FROM q",
    "SELECT 1",
    "CREATE TEMP TABLE q (x text)",
    "CREATE TEMP TABLE p (id text, ssn text)",
    "SET search_path TO other",
    "BEGIN",
    "COMMIT",
    "ROLLBACK",
    "DELETE FROM p WHERE id = 'x'",
    "UPDATE p SET id = 'y'",
    "DROP TABLE p",
    "PREPARE s AS SELECT ssn FROM p",
    "EXECUTE s",
    "DEALLOCATE s",
    "SELECT id, ssn FROM p WHERE id = 'fails'",
    "nonsense",
];

#[derive(Clone, Debug)]
enum Op {
    Simple(usize),
    Extended(usize),
    /// Bind, Execute and Sync of what was prepared last.
    Again,
    /// The database describes results of `p` the other way round.
    Turn,
    /// All sessions get new rules, or the same again.
    Reload(usize),
    Pass(u64),
    Answer(bool),
}

/// Mostly a text that reads what is protected.
fn text() -> impl Strategy<Value = usize> {
    prop_oneof![0..6usize, 0..TEXTS.len()]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => text().prop_map(Op::Simple),
        6 => text().prop_map(Op::Extended),
        2 => Just(Op::Again),
        2 => Just(Op::Turn),
        1 => (0..RULES.len()).prop_map(Op::Reload),
        1 => (1..40u64).prop_map(Op::Pass),
        1 => any::<bool>().prop_map(Op::Answer),
    ]
}

/// Four sessions: two alike, one with rules of its own, one that is only observed.
fn sessions(common: &Rc<Common>, mode: Durability) -> Vec<World> {
    let roles = ["r", "r", "free", "watched"];
    let worlds = roles.into_iter().map(|role| {
        let start = Start { rules: RULES[0], role, mode, common: Rc::clone(common), ..Start::default() };
        let mut world = World::new(&start);
        world.rows = Some(false);
        world
    });
    worlds.collect()
}

fn act(world: &mut World, op: &Op) {
    match op {
        Op::Simple(text) => world.query(TEXTS[*text]),
        Op::Extended(text) => {
            let parameter = TEXTS[*text].contains("$1").then_some("a");
            world.send(&[extended(TEXTS[*text], &[], parameter), tag(b'S')].concat());
        }
        Op::Again => {
            let all = extended("", &[], None);
            // Without its Parse: an empty name and text, and no types.
            world.send(&[&all[9..], &tag(b'S')].concat());
        }
        Op::Turn => world.rows = world.rows.map(|turned| !turned),
        Op::Pass(seconds) => world.pass(seconds * SECOND),
        Op::Answer(yes) => {
            let asked = world.questions.iter().rev().find_map(|question| match question {
                HoldQuestion::Ask(asked) => Some(asked.id.clone()),
                HoldQuestion::Withdraw { .. } => None,
            });
            let Some(id) = asked else { return };
            world.answer(if *yes { HoldAnswer::Granted { id } } else { HoldAnswer::Free });
        }
        Op::Reload(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_is_kept_changes_nothing(
        ops in proptest::collection::vec((0usize..4, op()), 1..40),
        strict in any::<bool>(),
    ) {
        let mode = if strict { Durability::Strict } else { Durability::Async };
        let first = RefCell::new(Some(epoch(RULES[0])));
        let kept = Some((RefCell::new(FactsCache::new(64, 1 << 20)), Shelves::default()));
        let sharing = Rc::new(Common { epoch: first.clone(), kept, ..Common::default() });
        let anew = Rc::new(Common { epoch: first, ..Common::default() });
        let (mut sharing, mut anew) = (sessions(&sharing, mode), sessions(&anew, mode));
        for (who, op) in &ops {
            if let Op::Reload(rules) = op {
                let epoch = epoch(RULES[*rules]);
                for world in sharing.iter_mut().chain(&mut anew).filter(|world| !world.ended) {
                    world.renew_with(epoch.clone());
                }
            } else {
                for world in [&mut sharing[*who], &mut anew[*who]] {
                    act(world, op);
                }
            }
        }
        for (sharing, anew) in sharing.iter_mut().zip(&mut anew) {
            prop_assert_eq!(&sharing.upstream, &anew.upstream);
            prop_assert_eq!(&sharing.client, &anew.client);
            prop_assert_eq!(&*sharing.host.log.borrow(), &*anew.host.log.borrow());
        }
    }
}

/// What only read a table may do more under the name of a temporary one, so that it waits for its record (strict).
#[test]
fn what_was_decided_before_a_temporary_relation_is_forgotten() {
    let first = RefCell::new(Some(epoch(RULES[0])));
    let kept = Some((RefCell::new(FactsCache::new(64, 1 << 20)), Shelves::default()));
    let sharing = Rc::new(Common { epoch: first.clone(), kept, ..Common::default() });
    let anew = Rc::new(Common { epoch: first, ..Common::default() });
    let runs = [sharing, anew].map(|common| {
        let mut world = sessions(&common, Durability::Strict).remove(0);
        world.query(TEXTS[0]);
        world.query("CREATE TEMP TABLE p (id text, ssn text)");
        world.host.stalled.set(true);
        world.query(TEXTS[1]);
        world.runs(TEXTS[1])
    });
    assert_eq!(runs, [0, 0], "before its record is durable");
}
