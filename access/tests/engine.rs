//! The rules of requests, votes, approvals and credentials, on the embedded store.

#![allow(clippy::unwrap_used)]

use access::{
    AccessError, Arrival, AtRest, Ballot, Embedded, Engine, HoldOutcome, Holding, Journal, News, Person, Policy,
    Requestable, Said, SignIn, State, Who,
};
use audit::Body;
use std::sync::{Arc, Mutex};

#[derive(Default)]
struct Records(Mutex<Vec<Body>>);

impl Journal for Records {
    fn append(&self, body: Body) -> bool {
        self.0.lock().unwrap().push(body);
        true
    }
}

struct World {
    engine: Arc<Engine>,
    records: Arc<Records>,
    news: Arc<Mutex<Vec<News>>>,
    _folder: tempfile::TempDir,
}

fn world() -> World {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Embedded::open(&folder.path().join("access.redb")).unwrap());
    let records = Arc::new(Records::default());
    let news: Arc<Mutex<Vec<News>>> = Arc::default();
    let heard = Arc::clone(&news);
    let policy = Policy {
        requestable: vec![Requestable {
            role: "oncall".into(),
            targets: vec!["ware*".into()],
            groups: vec!["engineers".into()],
            approvers: vec!["leads".into()],
            approvals: 1,
            max_s: 3600,
            protected: false,
        }],
        admins: vec!["admins".into()],
        step_up: false,
        ..Policy::default()
    };
    let told = Box::new(move |news: &News| heard.lock().unwrap().push(news.clone()));
    let at_rest = AtRest::new(&[7; 32]).unwrap();
    let engine = Engine::new(store, Arc::clone(&records) as _, at_rest, "node-1".into(), policy, told).unwrap();
    World { engine: Arc::new(engine), records, news, _folder: folder }
}

impl World {
    fn arrive(&self, subject: &str, groups: &[&str]) -> (SignIn, Person) {
        let who = Who { issuer: "https://id.example".into(), subject: subject.into() };
        let groups: Vec<String> = groups.iter().map(|&group| group.to_owned()).collect();
        let handles = [format!("{subject}@example.com")];
        let arrival = Arrival {
            who: &who,
            name: subject,
            handles: &handles,
            groups: &groups,
            how: "oidc",
            source: "127.0.0.1",
            until_s: None,
            issued_s: None,
        };
        let (sign_in, person, token) = self.engine.sign_in(&arrival).unwrap();
        assert_eq!(self.engine.authenticate(&token).unwrap().1, person);
        (sign_in, person)
    }

    fn kinds(&self) -> Vec<String> {
        let name = |body: &Body| match body {
            Body::Access(access) => access.kind.clone(),
            Body::Approval(approval) => format!("approval {}", approval.kind),
            other => other.name().to_owned(),
        };
        self.records.0.lock().unwrap().iter().map(name).collect()
    }
}

fn holding(who: &Who, id: &str, digest: u8) -> Holding {
    Holding {
        id: id.into(),
        session: [9; 16],
        statement: 3,
        who: who.clone(),
        handle: "ana".into(),
        target: "warehouse".into(),
        rule: "no-delete".into(),
        digest: [digest; 32],
        said: Said { text: "DELETE FROM visits".into(), parameters: vec![] },
        approvers: vec!["leads".into()],
        needed: 1,
        ..Holding::default()
    }
}

fn ballot<'a>(id: &'a str, digest: &'a str, approve: bool) -> Ballot<'a> {
    let reason = "looked at the ticket";
    Ballot { id, digest, approve, reason, channel: "console", source: "127.0.0.1", assertion: None }
}

#[test]
fn a_role_that_shows_protected_data_takes_a_key_to_give() {
    let world = world();
    let policy = world.engine.policy();
    let role = Requestable { protected: true, ..policy.requestable[0].clone() };
    let strict = Policy { requestable: vec![role], step_up: true, ..Policy::clone(&policy) };
    world.engine.set_policy(strict.clone());
    let (_, erin) = world.arrive("erin", &["engineers"]);
    let (_, lea) = world.arrive("lea", &["leads"]);
    let request = world.engine.ask(&erin, "warehouse", "oncall", 600, "the pager rang", "").unwrap();
    assert!(request.step_up);
    let without = world.engine.vote(&lea, &ballot(&request.id, "", true));
    assert!(matches!(without, Err(AccessError::StepUp)), "{without:?}");
    assert_eq!(world.engine.request(&request.id).unwrap().state, State::Pending);
    let with = Ballot { assertion: Some(b"signed"), ..ballot(&request.id, "", true) };
    let request = world.engine.vote(&lea, &with).unwrap();
    assert_ne!(request.state, State::Pending);
    assert!(
        world.records.0.lock().unwrap().iter().any(|body| format!("{body:?}").contains("approve console with a key"))
    );
    // What was asked for when the role showed less needs one now.
    world.engine.set_policy(Policy { step_up: true, ..Policy::clone(&policy) });
    let early = world.engine.ask(&erin, "warehouse", "oncall", 600, "the pager before", "").unwrap();
    assert!(!early.step_up);
    world.engine.set_policy(strict);
    let without = world.engine.vote(&lea, &ballot(&early.id, "", true));
    assert!(matches!(without, Err(AccessError::StepUp)), "{without:?}");
    world.engine.withdraw(&erin.who, &early.id, "not needed").unwrap();
    // No key is needed to say no.
    let request = world.engine.ask(&erin, "warehouse", "oncall", 600, "the pager again", "").unwrap();
    assert!(world.engine.vote(&lea, &ballot(&request.id, "", false)).is_ok());
}

#[test]
fn handles_are_unique_and_identity_is_issuer_and_subject() {
    let world = world();
    let (_, ana) = world.arrive("ana", &[]);
    assert_eq!(ana.handle, "ana");
    let other = Who { issuer: "https://other.example".into(), subject: "ana".into() };
    let handles = ["Ana@other.example".to_owned()];
    let arrival = Arrival {
        who: &other,
        name: "",
        handles: &handles,
        groups: &[],
        how: "oidc",
        source: "",
        until_s: None,
        issued_s: None,
    };
    let (_, second, _) = world.engine.sign_in(&arrival).unwrap();
    assert!(second.handle.starts_with("ana-") && second.handle.len() == 10, "{}", second.handle);
    assert_eq!(world.arrive("ana", &["x"]).1.handle, "ana");
    // A name that says how to log in is nobody's.
    assert!(world.arrive("token", &[]).1.handle.starts_with("token-"));
}

#[test]
fn a_role_is_asked_for_voted_on_and_ends() {
    let world = world();
    let engine = &world.engine;
    let (_, ana) = world.arrive("ana", &["engineers", "leads", "admins"]);
    let (_, bob) = world.arrive("bob", &["leads"]);
    let (_, eve) = world.arrive("eve", &["engineers"]);
    let ask = |role: &str, reason: &str| engine.ask(&ana, "warehouse", role, 600, reason, "127.0.0.1");
    assert!(matches!(ask("root", "to fix the outage"), Err(AccessError::Forbidden(_))));
    assert!(matches!(ask("oncall", "short"), Err(AccessError::Invalid(_))));
    let request = ask("oncall", "to fix the outage").unwrap();
    // Nobody votes on what they asked for; who is in no group of the request does not even see it.
    let mine = engine.vote(&ana, &ballot(&request.id, "", true));
    assert!(matches!(mine, Err(AccessError::Forbidden(why)) if why.contains("administrators")), "{mine:?}");
    assert_eq!(engine.vote(&eve, &ballot(&request.id, "", true)), Err(AccessError::NotFound));
    let voted = engine.vote(&bob, &ballot(&request.id, "", true)).unwrap();
    assert!(matches!(voted.state, State::Approved { .. }));
    assert!(matches!(engine.vote(&bob, &ballot(&request.id, "", true)), Err(AccessError::Forbidden(_))));
    assert_eq!(engine.grants(Some(&ana.who)).len(), 1);
    assert!(matches!(engine.revoke(&eve, &request.id, "no"), Err(AccessError::Forbidden(_))));
    engine.clock().advance_s(601);
    engine.tidy().unwrap();
    assert!(engine.grants(None).is_empty());
    let kinds = world.kinds();
    for kind in ["request", "vote_refused", "vote", "grant", "admin_refused", "end"] {
        assert!(kinds.iter().any(|k| k == kind), "{kind} in {kinds:?}");
    }
}

#[test]
fn revoking_and_leaving_the_group_cut_sessions() {
    let world = world();
    let engine = &world.engine;
    let (sign_in, ana) = world.arrive("ana", &["engineers"]);
    let (_, bob) = world.arrive("bob", &["leads"]);
    let minted = engine.mint(&sign_in, "SCRAM-SHA-256$x", "", "", "ticket 7", 600).unwrap();
    assert_eq!(engine.login("ana").len(), 1);
    let request = engine.ask(&ana, "warehouse", "oncall", 600, "to fix the outage", "").unwrap();
    engine.vote(&bob, &ballot(&request.id, "", true)).unwrap();
    assert_eq!(engine.login("ana")[0].grants.len(), 1);
    engine.revoke(&ana, &request.id, "done").unwrap();
    engine.revoke(&ana, &minted.id, "done").unwrap();
    assert!(engine.login("ana").is_empty());
    world.arrive("ana", &[]);
    let news = world.news.lock().unwrap();
    let cut = |reason: &str| news.iter().filter(|n| matches!(n, News::Cut { reason: r, .. } if *r == reason)).count();
    assert_eq!((cut("revoked"), cut("removed")), (2, 1), "{news:?}");
}

#[test]
fn a_2_one_approval_runs_once_among_a_thousand() {
    let world = world();
    let (_, ana) = world.arrive("ana", &[]);
    let (_, bob) = world.arrive("bob", &["leads"]);
    let engine = Arc::clone(&world.engine);
    let first = engine.hold(&holding(&ana.who, "TG-AAAAAAAA", 1)).unwrap();
    assert!(matches!(&first, HoldOutcome::Waiting { id, .. } if id == "TG-AAAAAAAA"));
    // Again, while it waits: the same request.
    let again = engine.hold(&holding(&ana.who, "TG-BBBBBBBB", 1)).unwrap();
    assert!(matches!(&again, HoldOutcome::Waiting { id, .. } if id == "TG-AAAAAAAA"));
    let digest = access::hex(&[1; 32]);
    let wrong = engine.vote(&bob, &ballot("TG-AAAAAAAA", &access::hex(&[2; 32]), true));
    assert!(matches!(wrong, Err(AccessError::Over(_))));
    let request = engine.request("TG-AAAAAAAA").unwrap();
    assert_eq!(engine.said(&request).unwrap().text, "DELETE FROM visits");
    engine.vote(&bob, &ballot("TG-AAAAAAAA", &digest, true)).unwrap();
    // Another digest, or another person, is not what was approved.
    let other = engine.hold(&holding(&ana.who, "TG-CCCCCCCC", 2)).unwrap();
    assert!(matches!(other, HoldOutcome::Waiting { .. }));
    let other = engine.hold(&holding(&bob.who, "TG-DDDDDDDD", 1)).unwrap();
    assert!(matches!(other, HoldOutcome::Waiting { .. }));
    let threads: Vec<_> = (0..8)
        .map(|_| {
            let engine = Arc::clone(&engine);
            let digest = digest.clone();
            std::thread::spawn(move || {
                (0..125).filter(|_| engine.consume("TG-AAAAAAAA", [9; 16], 3, &digest).is_ok()).count()
            })
        })
        .collect();
    let ran: usize = threads.into_iter().map(|thread| thread.join().unwrap()).sum();
    assert_eq!(ran, 1);
    let request = engine.request("TG-AAAAAAAA").unwrap();
    assert!(matches!(engine.said(&request), Err(AccessError::Over(_))), "the text is gone from the store");
}

#[test]
fn identical_statements_at_the_same_time_wait_for_one_request() {
    let world = world();
    let (_, ana) = world.arrive("ana", &[]);
    let threads: Vec<_> = (0..16)
        .map(|number| {
            let (engine, who) = (Arc::clone(&world.engine), ana.who.clone());
            std::thread::spawn(move || engine.hold(&holding(&who, &format!("TG-AAAAAA{number:02}"), 1)).unwrap())
        })
        .collect();
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(world.engine.requests().len(), 1);
}

#[test]
fn a_3_time_and_leaving_voters_end_approvals() {
    let world = world();
    let (_, ana) = world.arrive("ana", &[]);
    let (_, bob) = world.arrive("bob", &["leads"]);
    let engine = &world.engine;
    let digest = access::hex(&[1; 32]);
    engine.hold(&holding(&ana.who, "TG-AAAAAAAA", 1)).unwrap();
    engine.vote(&bob, &ballot("TG-AAAAAAAA", &digest, true)).unwrap();
    // Whoever approved leaves the group.
    world.arrive("bob", &[]);
    assert!(matches!(engine.consume("TG-AAAAAAAA", [9; 16], 3, &digest), Err(AccessError::Over(_))));
    engine.clock().advance_s(120);
    let (_, bob) = world.arrive("bob", &["leads"]);
    engine.hold(&holding(&ana.who, "TG-BBBBBBBB", 1)).unwrap();
    engine.vote(&bob, &ballot("TG-BBBBBBBB", &digest, true)).unwrap();
    engine.clock().advance_s(15 * 60);
    assert!(matches!(engine.consume("TG-BBBBBBBB", [9; 16], 3, &digest), Err(AccessError::Over(_))));
    // A no is final, and asking again at once is refused.
    engine.hold(&holding(&ana.who, "TG-CCCCCCCC", 1)).unwrap();
    engine.vote(&bob, &ballot("TG-CCCCCCCC", &digest, false)).unwrap();
    let again = engine.hold(&holding(&ana.who, "TG-DDDDDDDD", 1));
    assert!(matches!(again, Err(AccessError::TooMany(_))), "{again:?}");
}

#[test]
fn two_votes_from_distinct_groups() {
    let world = world();
    let (_, ana) = world.arrive("ana", &[]);
    let (_, bob) = world.arrive("bob", &["leads"]);
    let (_, cy) = world.arrive("cy", &["leads"]);
    let (_, di) = world.arrive("di", &["privacy", "leads"]);
    let engine = &world.engine;
    let mut wanted = holding(&ana.who, "TG-AAAAAAAA", 1);
    (wanted.approvers, wanted.needed, wanted.distinct) = (vec!["leads".into(), "privacy".into()], 2, true);
    engine.hold(&wanted).unwrap();
    let digest = access::hex(&[1; 32]);
    for (person, state) in [(&bob, false), (&cy, false), (&di, true)] {
        let request = engine.vote(person, &ballot("TG-AAAAAAAA", &digest, true)).unwrap();
        assert_eq!(matches!(request.state, State::Approved { .. }), state, "{}", person.handle);
    }
}

#[test]
fn one_time_values_are_taken_once() {
    let world = world();
    let until = world.engine.clock().now_s() + 60;
    assert!(world.engine.once("assertion 1", until).unwrap());
    assert!(!world.engine.once("assertion 1", until).unwrap());
}

fn emergency_policy() -> Policy {
    Policy {
        break_glass: vec![Requestable {
            role: "clear".into(),
            targets: vec!["ware*".into()],
            groups: vec!["oncall".into()],
            max_s: 9_999_999,
            ..Requestable::default()
        }],
        auditors: vec!["privacy".into()],
        admins: vec!["admins".into()],
        ..Policy::default()
    }
}

#[test]
fn breaking_the_glass_needs_enrolment_a_reason_and_two_reviews_by_others() {
    let world = world();
    world.engine.set_policy(emergency_policy());
    let (_, ann) = world.arrive("ann", &["oncall", "privacy"]);
    let (_, bob) = world.arrive("bob", &["engineers"]);
    let (_, pat) = world.arrive("pat", &["privacy"]);
    let (_, root) = world.arrive("root", &["admins"]);
    let reason = "the ward's system is down, patient in surgery";
    let take = |person: &Person, target: &str, role: &str, reason: &str| {
        world.engine.break_glass(person, target, role, 3600 * 8, reason, "127.0.0.1")
    };
    assert!(matches!(take(&bob, "warehouse", "clear", reason), Err(AccessError::Forbidden(_))));
    assert!(
        matches!(take(&root, "warehouse", "clear", reason), Err(AccessError::Forbidden(_))),
        "not for administrators"
    );
    assert!(matches!(take(&ann, "crm", "clear", reason), Err(AccessError::Forbidden(_))));
    assert!(matches!(take(&ann, "warehouse", "other", reason), Err(AccessError::Forbidden(_))));
    assert!(matches!(take(&ann, "warehouse", "clear", "  hurry   "), Err(AccessError::Invalid(_))));
    assert_eq!(world.kinds().iter().filter(|kind| *kind == "break_glass_refused").count(), 5);

    let grant = take(&ann, "warehouse", "", reason).unwrap();
    assert!(grant.break_glass);
    assert_eq!(grant.until_s - grant.from_s, 3600, "never more than an hour");
    assert!(matches!(take(&ann, "warehouse", "clear", reason), Err(AccessError::Over(_))));
    let told = |news: &News| matches!(news, News::Emergency(review) if review.id == grant.id && !review.alarmed);
    assert_eq!(world.news.lock().unwrap().iter().filter(|news| told(news)).count(), 1);
    assert_eq!(world.engine.grants(Some(&ann.who)).len(), 1);

    // Reviews: by others, each once, auditors or administrators, with a finding.
    let review = |person: &Person, finding: &str| world.engine.review(person, &grant.id, finding, "127.0.0.1");
    assert!(matches!(review(&ann, "it was me and it was fine"), Err(AccessError::Forbidden(_))));
    assert!(matches!(review(&bob, "looks quite fine to me"), Err(AccessError::Forbidden(_))));
    assert!(matches!(review(&pat, "ok"), Err(AccessError::Invalid(_))));
    assert!(!review(&pat, "three charts, all of the patient").unwrap().is_reviewed());
    assert!(matches!(review(&pat, "and once more the same"), Err(AccessError::Forbidden(_))));

    // Overdue: an alarm, once, and no next one.
    world.engine.clock().advance_s(24 * 3600 + 1);
    world.engine.tidy().unwrap();
    world.engine.tidy().unwrap();
    assert_eq!(world.kinds().iter().filter(|kind| *kind == "ALARM").count(), 1);
    assert!(world.engine.grants(Some(&ann.who)).is_empty(), "it has ended");
    let again = take(&ann, "warehouse", "clear", reason);
    assert!(matches!(again, Err(AccessError::Forbidden(why)) if why.contains("reviewed")), "{again:?}");
    assert!(review(&root, "agrees with the ward's own log").unwrap().is_reviewed());
    assert!(review(&root, "and once more the same").is_err());
    take(&ann, "warehouse", "clear", reason).unwrap();

    // Who leaves the group loses it.
    world.arrive("ann", &["privacy"]);
    assert!(world.engine.login("ann").iter().all(|of| of.grants.is_empty()));
    let cut = |news: &News| matches!(news, News::Cut { reason: "removed", .. });
    assert!(world.news.lock().unwrap().iter().any(cut));
}

#[test]
fn what_needs_a_purpose_is_not_had_without_one() {
    let world = world();
    let (sign_in, _) = world.arrive("ann", &["engineers"]);
    let mut policy = (*world.engine.policy()).clone();
    policy.purpose_targets = vec!["warehouse".into()];
    world.engine.set_policy(policy);
    let mint = |target: &str, purpose: &str| world.engine.mint(&sign_in, "SCRAM-SHA-256$x", "", target, purpose, 60);
    for (target, purpose) in [("warehouse", ""), ("warehouse", "  "), ("", "")] {
        assert!(matches!(mint(target, purpose), Err(AccessError::Invalid(_))), "{target:?} {purpose:?}");
    }
    // For one target alone that needs none; or with a purpose, which the credential keeps.
    assert_eq!(mint("crm", "").unwrap().target, "crm");
    assert_eq!(mint("warehouse", "ticket 7").unwrap().purpose, "ticket 7");
    assert_eq!(mint("", "ticket 7").unwrap().purpose, "ticket 7");
}

#[test]
fn who_arrives_many_times_at_once_for_the_first_time_is_one_person_with_the_plain_name() {
    for round in 0..40 {
        let world = world();
        let gate = std::sync::Barrier::new(4);
        let subject = format!("robot{round}");
        let names: Vec<(String, String)> = std::thread::scope(|scope| {
            let arrive = || {
                gate.wait();
                let (_, person) = world.arrive(&subject, &["everyone"]);
                (person.handle, person.salt)
            };
            let threads: Vec<_> = (0..4).map(|_| scope.spawn(arrive)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        assert!(names.iter().all(|name| name.0 == subject && name.1 == names[0].1), "{names:?}");
    }
}
