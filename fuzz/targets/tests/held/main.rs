//! Statements that wait for approval, from the session's side: what reaches the database, what the client is told, what is
//! asked, and what is recorded, in every order of events.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod shared;
mod world;

use session::{Durability, HoldAnswer};
use world::{HOLD_MAX, NOTICE, RULES, SECOND, Start, World, extended, query, tag};

const DELETE: &str = "DELETE FROM p WHERE id = 'x'";

/// A session whose DELETE waits for people; the rule about many rows is answered with few.
fn waiting() -> (World, session::HoldAsked) {
    let mut world = World::new(&Start::default());
    world.query(DELETE);
    let first = world.asked();
    assert_eq!((first.rule.as_str(), first.rows_over), ("many", 100));
    world.answer(HoldAnswer::Free);
    let asked = world.asked();
    world.waits(&asked);
    (world, asked)
}

fn granted(id: &str) -> HoldAnswer {
    HoldAnswer::Granted { id: id.into() }
}

#[test]
fn it_waits_and_runs_once_behind_two_durable_records() {
    let (mut world, asked) = waiting();
    assert_eq!(asked.rule, "deletes");
    assert_eq!(asked.approvers, ["dba"]);
    assert_eq!(&**asked.text, DELETE.as_bytes());
    assert_eq!(asked.tables, ["public.p"]);
    assert_eq!(asked.classes, [("ssn".to_owned(), "not returned".to_owned())]);
    assert_eq!(asked.purpose, "a ticket");
    assert_eq!(asked.marks.iter().map(|(a, b)| &DELETE[*a..*b]).collect::<Vec<_>>(), [DELETE]);
    assert!(world.upstream.is_empty());
    let notice = world.client.pop_front().unwrap();
    assert_eq!(notice.tag, b'N');
    let text = notice.text();
    assert!(
        text.contains("deleting needs a second person") && text.contains(&asked.id) && text.contains("https://gw/a"),
        "{text}"
    );
    assert!(text.contains("00:30:01 UTC"), "{text}");
    world.host.stalled.set(true);
    world.answer(granted(&asked.id));
    assert_eq!(
        world.host.words(),
        ["open", &format!("request {} 1", asked.id), &format!("consume {} 1", asked.id), "intent 1"]
    );
    assert!(world.upstream.is_empty(), "before the records are durable");
    world.host.stalled.set(false);
    world.turn();
    world.turn();
    assert_eq!(world.runs(DELETE), 1);
    assert_eq!(world.tags(), "CZ");
    // An approval that comes twice is nothing.
    world.answer(granted(&asked.id));
    world.pass(SECOND);
    assert_eq!(world.runs(DELETE), 1);
    assert_eq!(world.host.words().last().unwrap(), "result 1 ok");
    // The next one is asked about anew.
    world.query(DELETE);
    assert_eq!(world.runs(DELETE), 1);
    assert_eq!(world.asked().rule, "many");
}

#[test]
fn both_records_are_written_and_waited_for_where_the_log_is_off() {
    let start = Start { mode: Durability::Off, ..Start::default() };
    let mut world = World::new(&start);
    world.query("TRUNCATE p");
    let asked = world.asked();
    assert_eq!((asked.approvals, asked.distinct_groups), (2, true));
    world.waits(&asked);
    world.host.stalled.set(true);
    world.answer(granted(&asked.id));
    assert_eq!(world.runs("TRUNCATE p"), 0);
    world.host.stalled.set(false);
    world.turn();
    world.turn();
    assert_eq!(world.runs("TRUNCATE p"), 1);
    assert!(world.host.words().contains(&"intent 1".to_owned()), "{:?}", world.host.words());
}

#[test]
fn few_rows_need_nobody() {
    let mut world = World::new(&Start::default());
    world.query("UPDATE p SET id = 'y'");
    assert_eq!(world.asked().rows_over, 1000);
    world.answer(HoldAnswer::Free);
    assert_eq!(world.runs("UPDATE p SET id = 'y'"), 1);
    assert_eq!(world.host.words(), ["open", "intent 1", "result 1 ok"]);
}

#[test]
fn notices_come_at_intervals_until_it_fails_with_a_hint() {
    let (mut world, asked) = waiting();
    assert_eq!(world.tags(), "N");
    for _ in 0..29 {
        world.pass(NOTICE);
        assert_eq!(world.tags(), "N");
    }
    assert!(world.progress.wait_ends_ns.is_some_and(|ns| ns <= world.host.now_ns.get() + NOTICE));
    world.pass(HOLD_MAX);
    assert!(world.upstream.iter().all(|frame| !frame.text().contains("DELETE")));
    let error = world.client.pop_front().unwrap();
    assert_eq!(error.tag, b'E');
    let text = error.text();
    assert!(
        text.contains("C42501")
            && text.contains(&asked.id)
            && text.contains("run the identical statement again before 00:30:01"),
        "{text}"
    );
    assert_eq!(world.tags(), "Z");
    // The request stays for the next time.
    assert_eq!(world.withdrawn(), [(asked.id.clone(), "timeout")]);
    assert_eq!(world.host.words().last().unwrap(), "block 1 TG1002 deletes");
    // Again: the same digest, and an approval of the first request is for it.
    world.query(DELETE);
    assert_eq!(world.asked().rule, "many");
    world.answer(HoldAnswer::Free);
    let again = world.asked();
    assert_eq!(again.digest, asked.digest);
    world.answer(granted(&asked.id));
    assert_eq!(world.runs(DELETE), 1);
    assert!(world.host.words().contains(&format!("consume {} 2", asked.id)));
}

#[test]
fn cancelling_takes_it_back() {
    let (mut world, asked) = waiting();
    world.tags();
    assert!(world.session.is_parked());
    world.session.give_back("cancelled");
    world.turn();
    assert!(world.client.front().unwrap().text().contains("C57014"), "{:?}", world.client);
    assert_eq!(world.tags(), "EZ");
    assert_eq!(world.withdrawn(), [(asked.id.clone(), "cancelled")]);
    // A late approval is for nothing.
    world.answer(granted(&asked.id));
    assert_eq!(world.runs(DELETE), 0);
    assert_eq!(world.host.words().last().unwrap(), "block 1 TG1004 deletes");
}

#[test]
fn leaving_takes_it_back() {
    let (mut world, asked) = waiting();
    world.session.end(&world.host, "client_closed");
    let said: Vec<_> = world.session.questions().collect();
    assert_eq!(said.len(), 1);
    assert!(format!("{said:?}").contains(&asked.id), "{said:?}");
    assert_eq!(world.host.words()[2..], ["block 1 TG1004 deletes", "close"]);

    // Terminate behind the statement.
    let (mut world, asked) = waiting();
    world.send(&tag(b'X'));
    assert_eq!(world.withdrawn(), [(asked.id, "disconnected")]);
    assert!(world.session.said_goodbye());
    assert_eq!(world.runs(DELETE), 0);

    // A gateway that drains leaves the request for another.
    let (mut world, asked) = waiting();
    world.session.give_back("drain");
    world.turn();
    assert_eq!(world.withdrawn(), [(asked.id, "timeout")]);
    assert!(world.session.is_idle());
}

#[test]
fn who_is_refused_is_told_why() {
    for (why, says) in
        [("denied", "refused"), ("expired", "in time"), ("revoked", "taken back"), ("used", "another run")]
    {
        let (mut world, asked) = waiting();
        world.tags();
        world.answer(HoldAnswer::Refused { id: "TG-OTHER000".into(), why });
        assert!(world.session.is_parked(), "about another request");
        world.answer(HoldAnswer::Refused { id: asked.id.clone(), why });
        let text = world.client.front().unwrap().text();
        assert!(text.contains("C42501") && text.contains(says) && text.contains(&asked.id), "{text}");
        assert_eq!(world.tags(), "EZ");
        assert_eq!(world.runs(DELETE), 0);
        assert_eq!(world.withdrawn(), []);
    }
}

#[test]
fn without_an_answer_it_fails_closed() {
    let mut world = World::new(&Start::default());
    world.query("TRUNCATE p");
    let asked = world.asked();
    world.pass(16 * SECOND);
    assert_eq!(world.tags(), "EZ");
    assert_eq!(world.withdrawn(), [(asked.id.clone(), "changed")]);
    world.answer(granted(&asked.id));
    assert_eq!(world.runs("TRUNCATE p"), 0);
}

#[test]
fn a_transaction_does_not_wait_unless_the_rule_says_so() {
    let mut world = World::new(&Start::default());
    world.query("BEGIN");
    world.tags();
    world.query("TRUNCATE p");
    let asked = world.asked();
    world.waits(&asked);
    assert!(world.client.front().unwrap().text().contains("does not wait in a transaction"));
    assert_eq!(world.tags(), "EZ");
    assert_eq!(world.withdrawn(), [(asked.id.clone(), "timeout")]);
    world.query("ROLLBACK");
    world.query("BEGIN");
    world.query("TRUNCATE p");
    let again = world.asked();
    assert_eq!(again.digest, asked.digest);
    world.answer(granted(&asked.id));
    assert_eq!(world.runs("TRUNCATE p"), 1);
    // Outside of it, it is another thing.
    world.query("ROLLBACK");
    world.query("TRUNCATE p");
    assert_ne!(world.asked().digest, asked.digest);

    let mut world = World::new(&Start::default());
    world.query("BEGIN");
    world.query("UPDATE p SET id = 'y'");
    let asked = world.asked();
    world.tags();
    world.waits(&asked);
    assert_eq!(world.tags(), "N");
    world.answer(granted(&asked.id));
    assert_eq!(world.tags(), "CZ");
}

#[test]
fn what_is_prepared_waits_when_it_runs_and_the_pipeline_stays_in_order() {
    let mut world = World::new(&Start::default());
    let delete = "DELETE FROM p WHERE id = $1";
    let mut bytes = extended(delete, &[25], Some("x"));
    bytes.extend(tag(b'S'));
    bytes.extend(query("SELECT 1"));
    world.send(&bytes);
    // Everything before the run is answered, so that what is asked about can run.
    assert_eq!(world.tags(), "12");
    assert_eq!((world.executes(), world.runs("SELECT 1")), (0, 0));
    let many = world.asked();
    let sent = many.sent.unwrap();
    assert_eq!(sent.iter().map(|p| (p.type_oid, p.binary)).collect::<Vec<_>>(), [(25, false)]);
    world.answer(HoldAnswer::Free);
    let asked = world.asked();
    assert_eq!(asked.parameters, ["(1 bytes, not shown)"], "the table has protected columns");
    world.waits(&asked);
    assert_eq!(world.tags(), "N");
    world.pass(NOTICE);
    assert_eq!(world.tags(), "N");
    assert_eq!(world.executes(), 0);
    world.answer(granted(&asked.id));
    assert_eq!(world.executes(), 1);
    assert_eq!(world.tags(), "CZCZ");
    assert_eq!(world.runs("SELECT 1"), 1);

    // One that fails before it is skipped, and so is it.
    let mut world = World::new(&Start::default());
    let mut bytes = extended("SELECT 'fails'", &[], None);
    bytes.extend(extended(delete, &[25], Some("x")));
    bytes.extend(tag(b'S'));
    world.send(&bytes);
    assert_eq!(world.executes(), 1, "of the one that fails: the database ignores it");
    assert!(world.questions.is_empty());
    assert_eq!(world.tags(), "EZ");

    // Refused in a pipeline: what follows to Sync is skipped.
    let mut world = World::new(&Start::default());
    let mut bytes = extended(delete, &[25], Some("x"));
    bytes.extend(extended("SELECT 2", &[], None));
    bytes.extend(tag(b'S'));
    world.send(&bytes);
    world.asked();
    world.answer(HoldAnswer::Refused { id: String::new(), why: "unavailable" });
    assert_eq!(world.executes(), 0);
    assert_eq!(world.tags(), "12EZ");
}

/// Digest that is asked about when these bytes come, in a session that began so.
fn digest(start: &Start, before: &[&str], bytes: &[u8]) -> [u8; 32] {
    let mut world = World::new(start);
    before.iter().for_each(|text| world.query(text));
    world.send(bytes);
    world.asked().digest
}

#[test]
fn anything_that_changes_is_something_else() {
    let usual = Start::default();
    let began = |name, value| Start { startup: [(name, value)], ..Start::default() };
    let one = query("TRUNCATE p");
    let mut all = vec![
        digest(&usual, &[], &one),
        digest(&usual, &[], &query("TRUNCATE p ")),
        digest(&usual, &["SET search_path = a"], &one),
        digest(&usual, &["SET search_path = b"], &one),
        digest(&usual, &["SET search_path = a", "SET LOCAL search_path = b"], &one),
        digest(&usual, &["SET LOCAL search_path = b"], &one),
        digest(&began("search_path", "a"), &[], &one),
        digest(&began("DateStyle", "SQL, DMY"), &[], &one),
        digest(&usual, &["SET DateStyle = 'SQL, DMY'"], &one),
        digest(&usual, &["SET DateStyle = 'SQL, MDY'"], &one),
        digest(&usual, &["SET app.tenant = '7'"], &one),
        digest(&usual, &["SET app.tenant = '7'", "SET DateStyle = 'SQL, DMY'"], &one),
        digest(&usual, &["SET DateStyle = 'SQL, DMY'", "SET DateStyle FROM CURRENT"], &one),
        digest(&Start { subject: "bob", ..Start::default() }, &[], &one),
        digest(&usual, &["BEGIN"], &one),
        digest(&usual, &[], &extended("TRUNCATE p", &[], None)),
        digest(&usual, &[], &extended("DELETE FROM p WHERE id = $1", &[25], Some("x"))),
        digest(&usual, &[], &extended("DELETE FROM p WHERE id = $1", &[25], Some("y"))),
        digest(&usual, &[], &extended("DELETE FROM p WHERE id = $1", &[25], Some("xx"))),
        digest(&usual, &[], &extended("DELETE FROM p WHERE id = $1", &[1043], Some("x"))),
    ];
    // What leads to the same is the same.
    let path = ["SET search_path = b", "SET search_path = a"];
    assert_eq!(digest(&usual, &path, &one), digest(&usual, &["SET search_path = a"], &one));
    assert_eq!(digest(&usual, &["SELECT 1"], &one), digest(&usual, &[], &one));
    let settings = ["SET TimeZone = 'UTC'", "SET DateStyle = 'SQL, DMY'", "RESET TimeZone"];
    assert_eq!(digest(&usual, &settings, &one), digest(&usual, &["SET DateStyle = 'SQL, DMY'"], &one));
    for nothing in ["RESET search_path", "SET search_path = 'fails'", "SET application_name = 'x'", "DISCARD ALL"] {
        assert_eq!(digest(&usual, &[nothing], &one), digest(&usual, &[], &one), "{nothing}");
    }
    let reset = digest(&began("search_path", "a"), &["RESET search_path"], &one);
    assert_eq!(reset, digest(&began("search_path", "a"), &[], &one));
    // What is not known is this question's alone.
    let doubt = digest(&usual, &["SET LOCAL search_path = b"], &one);
    for unknown in [
        &["SELECT set_config('DateStyle', 'SQL, DMY', true)"][..],
        &["SET DateStyle FROM CURRENT"],
        &["BEGIN; SET DateStyle = 'SQL, DMY'; COMMIT"],
    ] {
        assert_eq!(digest(&usual, unknown, &one), doubt, "{unknown:?}");
    }
    // What drivers say to every connection is known: beside others in a text, and as a call with literals.
    let beside = digest(&usual, &["SET DateStyle = 'SQL, DMY'; SELECT 1"], &one);
    assert_eq!(beside, digest(&usual, &["SET DateStyle = 'SQL, DMY'"], &one));
    let called = "SELECT set_config('DateStyle', 'SQL, DMY', false)";
    all.push(digest(&usual, &[called], &one));
    assert_ne!(all.last(), Some(&doubt));
    // In the extended protocol too, if nothing else is in its transaction and nothing takes it back.
    let set = extended("SET DateStyle = 'SQL, DMY'", &[], None);
    let after = |bytes: &[&[u8]]| digest(&usual, &[], &[&bytes.concat(), &one[..]].concat());
    let sync = tag(b'S');
    assert_eq!(after(&[&set, &sync]), digest(&usual, &["SET DateStyle = 'SQL, DMY'"], &one));
    let failed_before = [&query("SET DateStyle = 'fails'")[..], &query("SET DateStyle = 'SQL, DMY'; SELECT 1")];
    assert_eq!(after(&failed_before), beside);
    assert_eq!(after(&[&query("SET DateStyle = 'SQL, DMY'; SELECT 'fails'")]), digest(&usual, &[], &one));
    for taken_back in [
        &[&set, &extended("SELECT 'fails'", &[], None), &sync][..],
        &[&set, &extended("ROLLBACK", &[], None), &sync],
        &[&extended("BEGIN", &[], None), &set, &extended("ROLLBACK", &[], None), &sync],
        // None of these is answered before the last is sent.
        &[&query("BEGIN"), &query("SET DateStyle = 'SQL, DMY'"), &query("ROLLBACK")],
        &[&query("RESET DateStyle"), &query("SELECT set_config('DateStyle', 'German', false)")],
    ] {
        let parts: Vec<&[u8]> = taken_back.iter().map(|part| &part[..]).collect();
        assert!(!all.contains(&after(&parts)) || after(&parts) == doubt);
    }
    let before = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), before);
}

#[test]
fn new_rules_are_asked_about_anew() {
    let strict = RULES.replace("approvers: [dba], message", "approvers: [owners], message");
    let (mut world, asked) = waiting();
    // The same rules: nothing happens.
    world.renew(RULES);
    assert!(world.questions.is_empty() && world.session.is_parked());
    world.renew(&strict);
    let many = world.asked();
    assert_eq!(many.rule, "many");
    assert_eq!(world.withdrawn(), [(asked.id.clone(), "changed")]);
    // The approval of what it was comes late.
    world.answer(HoldAnswer::Free);
    let again = world.asked();
    assert_eq!(again.approvers, ["owners"]);
    assert_ne!(again.digest, asked.digest);
    world.waits(&again);
    world.answer(granted(&asked.id));
    assert_eq!(world.runs(DELETE), 0);
    world.answer(granted(&again.id));
    assert_eq!(world.runs(DELETE), 1);

    // Rules change before the first answer: an approval that is spent meanwhile is of what it was.
    let mut world = World::new(&Start::default());
    world.query("TRUNCATE p");
    let asked = world.asked();
    world.renew(&RULES.replace("[dba, privacy]", "[dba, owners]"));
    assert!(world.questions.is_empty(), "one question at a time");
    world.answer(granted("TG-EARLIER0"));
    assert_eq!(world.runs("TRUNCATE p"), 0);
    assert_ne!(world.asked().digest, asked.digest);

    // Refused by the new rules, or not held any more.
    let (mut world, asked) = waiting();
    world.tags();
    world.renew(&RULES.replace("effects: drop", "effects: delete"));
    assert!(world.client.front().unwrap().text().contains("TG1001"));
    assert_eq!(world.withdrawn(), [(asked.id, "changed")]);
    assert_eq!(world.runs(DELETE), 0);
    let (mut world, _) = waiting();
    world.renew(&RULES.replace("effects: delete", "effects: merge"));
    assert_eq!(world.runs(DELETE), 1);
}

#[test]
fn a_log_that_takes_nothing_lets_nothing_run() {
    for word in ["request", "consume", "intent"] {
        let mut world = World::new(&Start::default());
        world.query("TRUNCATE p");
        let asked = world.asked();
        *world.host.full.borrow_mut() = Some(word);
        world.waits(&asked);
        world.answer(granted(&asked.id));
        assert_eq!(world.runs("TRUNCATE p"), 0, "{word}");
        let said: Vec<_> = world.client.iter().map(world::Frame::text).collect();
        assert!(said.iter().any(|text| text.contains("C58030")), "{word}: {said:?}");
    }
    // Taken, and never durable.
    let (mut world, asked) = waiting();
    world.tags();
    world.host.stalled.set(true);
    world.answer(granted(&asked.id));
    world.pass(31 * SECOND);
    assert_eq!(world.runs(DELETE), 0);
    assert_eq!(world.host.words().last().unwrap(), "result 1 skipped");
}

#[test]
fn what_runs_by_a_name_cannot_wait() {
    for text in ["PREPARE q AS DELETE FROM p", "DECLARE c CURSOR FOR SELECT * FROM p; TRUNCATE p"] {
        let mut world = World::new(&Start::default());
        world.query(text);
        if text.starts_with("PREPARE") {
            assert!(world.client.front().unwrap().text().contains("TG1003"), "{:?}", world.client);
            assert!(world.questions.is_empty());
        } else {
            assert_eq!(world.asked().rule, "truncates");
        }
        assert_eq!(world.runs(text), 0);
    }
}

#[test]
fn a_role_that_is_watched_is_not_held() {
    let mut world = World::new(&Start { role: "watched", ..Start::default() });
    world.query("TRUNCATE p");
    assert!(world.questions.is_empty());
    assert_eq!(world.runs("TRUNCATE p"), 1);
    assert!(world.host.words().contains(&"observe TG1002 truncates".to_owned()), "{:?}", world.host.words());
}

mod orders {
    //! Any order of events: at most one run for each approval, and none without.

    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Copy, Debug)]
    enum Event {
        Query,
        Extended,
        Grant,
        GrantOther,
        Wait,
        Free,
        Deny,
        Cancel,
        Pass,
        PassLong,
        Renew,
        Stall,
        Flow,
    }

    fn event() -> impl Strategy<Value = Event> {
        use Event::*;
        prop_oneof![
            Just(Query),
            Just(Extended),
            Just(Grant),
            Just(GrantOther),
            Just(Wait),
            Just(Free),
            Just(Deny),
            Just(Cancel),
            Just(Pass),
            Just(PassLong),
            Just(Renew),
            Just(Stall),
            Just(Flow)
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]
        #[test]
        fn never_run_without_an_approval(events in proptest::collection::vec(event(), 1..40)) {
            let mut world = World::new(&Start::default());
            let mut version = 0;
            let mut id = String::new();
            let mut sent = 0;
            for event in events {
                if let Some(session::HoldQuestion::Ask(asked)) = world.questions.iter().rfind(|q| matches!(q, session::HoldQuestion::Ask(_))) {
                    id.clone_from(&asked.id);
                }
                match event {
                    Event::Query if sent < 8 => { sent += 1; world.query("TRUNCATE p"); }
                    Event::Extended if sent < 8 => {
                        sent += 1;
                        let mut bytes = extended("TRUNCATE p", &[], None);
                        bytes.extend(tag(b'S'));
                        world.send(&bytes);
                    }
                    Event::Query | Event::Extended => {}
                    Event::Grant => world.answer(granted(&id)),
                    Event::GrantOther => world.answer(granted("TG-OTHER000")),
                    Event::Wait => world.answer(HoldAnswer::Waiting { id: id.clone(), link: String::new(), until_ns: u64::MAX }),
                    Event::Free => world.answer(HoldAnswer::Free),
                    Event::Deny => world.answer(HoldAnswer::Refused { id: id.clone(), why: "denied" }),
                    Event::Cancel => { world.session.give_back("cancelled"); world.turn(); }
                    Event::Pass => world.pass(SECOND),
                    Event::PassLong => world.pass(700 * SECOND),
                    Event::Renew => { version += 1; world.renew(&format!("{RULES}  - {{name: n{version}, effects: do, approvers: [x]}}\n")); }
                    Event::Stall => world.host.stalled.set(true),
                    Event::Flow => { world.host.stalled.set(false); world.turn(); }
                }
                let runs = world.runs("TRUNCATE p") + world.executes();
                let words = world.host.words();
                let consumed: Vec<_> = words.iter().filter(|word| word.starts_with("consume")).collect();
                let intents = words.iter().filter(|word| word.starts_with("intent")).count();
                prop_assert!(runs <= intents);
                // A rule without a number of rows is never free: sessions trust the control side, which does not say so.
                let durable = world.host.records.borrow().iter().filter(|(s, w)| w.starts_with("intent") && session::Host::is_durable(&world.host, *s)).count();
                prop_assert!(runs <= durable, "{runs} runs, {durable} durable intents");
                let mut statements: Vec<_> = consumed.iter().map(|word| word.rsplit(' ').next()).collect();
                statements.dedup();
                prop_assert_eq!(statements.len(), consumed.len(), "one consume for each statement");
            }
        }
    }
}
