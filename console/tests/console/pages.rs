//! Pages: what they show, to whom, and that what others wrote is text.

use crate::made_up::{HOSTILE, SESSION};
use crate::served::Served;
use access::State;

/// No element, attribute or formula of the hostile name may be there as such.
fn is_tame(body: &str) -> bool {
    !body.contains("<script>window") && !body.contains("<img src=x")
}

#[test]
fn what_others_wrote_is_text_wherever_it_shows() {
    let served = Served::start();
    let (ann, bob) = (served.sign_in("ann", &["engineers"]), served.sign_in("bob", &["leads", "auditors"]));
    let id = served.hold(&ann, &format!("SELECT '{HOSTILE}' AS \"{HOSTILE}\""), 1);
    for path in
        ["/approvals", &format!("/approvals/{id}"), "/sessions", &format!("/sessions/{SESSION}"), "/policy", "/health"]
    {
        let got = served.page(&bob, path);
        assert_eq!(got.status, 200, "{path}: {}", got.body);
        assert!(is_tame(&got.body), "{path}: {}", got.body);
    }
    let got = served.post(&bob, &format!("/sessions/{SESSION}/replay"), &[("reason", "review of case 4711")]);
    assert!(got.status == 200 && is_tame(&got.body) && got.body.contains("&lt;script&gt;"), "{}", got.body);
    let viewed = served.world.viewed.lock().unwrap().clone();
    assert_eq!((viewed.len(), viewed[0].who.subject.as_str()), (1, "bob"));
    let statement = format!("SELECT 1 AS \"{HOSTILE}\"");
    let got = served.post(&bob, "/policy", &[("target", "warehouse"), ("role", "support"), ("statement", &statement)]);
    assert!(got.status == 200 && is_tame(&got.body), "{}", got.body);
    let got = served.page(&bob, "/sessions.csv");
    assert_eq!(got.header("content-disposition"), Some("attachment; filename=\"sessions.csv\""));
    assert!(got.body.contains("\"'=cmd|"), "{}", got.body);
    // Words that come by address are shown only if they are known.
    let got = served.page(&bob, "/approvals?done=%3Cscript%3Ewindow.ran%3D1%3C/script%3E");
    assert!(is_tame(&got.body) && !got.body.contains("class=\"notice\""));
}

#[test]
fn people_see_what_concerns_them() {
    let served = Served::start();
    let (ann, bob) = (served.sign_in("ann", &["engineers"]), served.sign_in("bob", &["leads"]));
    let eve = served.sign_in("eve", &["engineers"]);
    let id = served.hold(&ann, "DELETE FROM patients WHERE id = $1", 1);
    let path = format!("/approvals/{id}");
    assert!(served.page(&bob, &path).body.contains("<mark>DELETE</mark>"));
    assert!(served.page(&ann, &path).body.contains("nobody votes on what they asked for"));
    assert_eq!(served.page(&eve, &path).status, 404);
    assert!(!served.page(&eve, "/approvals").body.contains(&id));
    for path in ["/health", "/sessions.csv", "/people"] {
        assert_eq!(served.page(&ann, path).status, 403, "{path}");
    }
    assert!(!served.page(&eve, "/sessions").body.contains(SESSION), "another's session");
    assert!(served.page(&ann, "/sessions").body.contains(SESSION));
    let got = served.post(&ann, "/policy", &[("target", "warehouse"), ("role", "analyst"), ("statement", "SELECT 1")]);
    assert!(got.body.contains("not a role you can ask about"), "{}", got.body);
    assert!(!served.page(&ann, "/policy").body.contains("Undecided"), "coverage is for auditors");
}

#[test]
fn a_vote_by_a_form_is_about_what_was_shown_and_needs_a_key_for_protected_data() {
    let served = Served::start();
    let (ann, bob) = (served.sign_in("ann", &["engineers"]), served.sign_in("bob", &["leads"]));
    let id = served.hold(&ann, "DELETE FROM patients", 1);
    let digest = "01".repeat(32);
    let path = format!("/approvals/{id}/vote");
    let vote = |of, fields: &[(&str, &str)]| served.post(of, &path, fields);
    let reason = ("reason", "looked at the case");
    assert_eq!(vote(&ann, &[("vote", "approve"), reason, ("digest", &digest)]).status, 403, "one's own");
    assert_eq!(vote(&bob, &[("vote", "approve"), reason, ("digest", &"02".repeat(32))]).status, 409, "another digest");
    let got = vote(&bob, &[("vote", "approve"), reason, ("digest", &digest)]);
    assert!(got.status == 403 && got.body.contains("security key"), "{}", got.body);
    let forged = "{\"id\":\"a2V5\",\"client_data\":\"\",\"authenticator_data\":\"\",\"signature\":\"\"}";
    let until = (served.engine.clock().now_s() + 100).to_string();
    let got = vote(&bob, &[("vote", "approve"), reason, ("digest", &digest), ("answer", forged), ("until", &until)]);
    assert_eq!(got.status, 403, "{}", got.body);
    assert_eq!(served.engine.request(&id).unwrap().votes.len(), 0);
    assert!(served.kinds().iter().filter(|kind| *kind == "vote_refused").count() >= 4);
    assert_eq!(vote(&bob, &[("vote", "deny"), reason, ("digest", &digest)]).status, 303, "a no needs no key");
    assert_eq!(served.engine.request(&id).unwrap().state, State::Over { why: "denied".into() });
}

#[test]
fn a_password_is_shown_once_and_kept_nowhere() {
    let served = Served::start();
    let ann = served.sign_in("ann", &["engineers"]);
    let got = served.post(&ann, "/access/mint", &[("target", ""), ("seconds", "900"), ("purpose", "CASE-4711")]);
    assert_eq!(got.status, 200, "{}", got.body);
    let at = got.body.find("tgp_").unwrap();
    let password = &got.body[at..at + 36];
    assert_eq!(got.header("cache-control"), Some("no-store"));
    assert!(!served.page(&ann, "/access").body.contains(password));
    assert!(!format!("{:?}", served.records.0.lock().unwrap()).contains(password));
    assert_eq!(served.engine.minted(Some(&ann.who)).len(), 1);
    let got = served.post(&ann, "/access/mint", &[("target", "nowhere"), ("seconds", "900")]);
    assert_eq!(got.status, 404);
}
