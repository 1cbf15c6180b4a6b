//! Every verb × every role, from the document; and the document itself, as committed.

use crate::made_up::SESSION;
use crate::served::{Served, Somebody};
use serde_json::{Map, Value, json};

/// Who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Anonymous,
    /// Requester, owner of the grant, credential and session.
    User,
    OtherUser,
    /// In the group that votes.
    Approver,
    Auditor,
    Admin,
}

const ROLES: [Role; 6] = [Role::Anonymous, Role::User, Role::OtherUser, Role::Approver, Role::Auditor, Role::Admin];

/// What the document's word means for each role.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// It may: whatever comes is not about who calls.
    May,
    /// 401.
    SignedOut,
    /// 403.
    Forbidden,
    /// 404: not told that it is there.
    Hidden,
}

fn expected(word: &str, role: Role) -> Expected {
    use Expected::{Forbidden, Hidden, May, SignedOut};
    use Role::{Admin, Anonymous, Approver, Auditor, OtherUser, User};
    match (word, role) {
        ("anyone", _) => May,
        (_, Anonymous) => SignedOut,
        ("signed-in", _) => May,
        ("admin", Admin) | ("auditor", Admin | Auditor) => May,
        ("admin" | "auditor", _) => Forbidden,
        ("owner-or-admin", User | Admin) => May,
        ("owner-or-admin", Auditor) => Forbidden,
        ("owner-or-admin", OtherUser | Approver) => Hidden,
        ("requester", User) => May,
        ("requester", _) => Hidden,
        ("concerned", OtherUser) => Hidden,
        ("concerned", _) => May,
        ("enrolled", User) => May,
        ("enrolled", _) => Forbidden,
        ("approver", Approver) => May,
        ("approver", User | Auditor | Admin) => Forbidden,
        ("approver", OtherUser) => Hidden,
        (other, _) => panic!("the document says {other}, which this test does not know"),
    }
}

struct Scene {
    served: Served,
    people: Vec<(Role, Somebody)>,
    ids: Map<String, Value>,
}

/// Fresh for every cell of the table: what one call ends is there for the next.
fn scene() -> Scene {
    let served = Served::start();
    let person = |role, name: &str, groups: &[&str]| (role, served.sign_in(name, groups));
    let people = vec![
        person(Role::User, "ann", &["engineers", "enrolled"]),
        person(Role::OtherUser, "eve", &["engineers"]),
        person(Role::Approver, "bob", &["leads"]),
        person(Role::Auditor, "cara", &["auditors"]),
        person(Role::Admin, "dana", &["admins"]),
    ];
    let ann = served.engine.person(&people[0].1.who).unwrap();
    let reason = "to look at the outage";
    let request = served.engine.ask(&ann, "warehouse", "oncall", 3600, reason, "127.0.0.1").unwrap().id;
    let grant = served.engine.ask(&ann, "warehouse", "reader", 3600, reason, "127.0.0.1").unwrap().id;
    let minted = served.engine.mint(&people[0].1.sign_in, "SCRAM-SHA-256$x", "", "", "", 3600).unwrap().id;
    let emergency = served.engine.break_glass(&ann, "warehouse", "ward", 600, reason, "127.0.0.1").unwrap().id;
    let ids = json!({"emergencies": emergency, "requests": request, "grants": grant, "credentials": minted, "sessions": SESSION});
    Scene { served, people, ids: ids.as_object().unwrap().clone() }
}

/// Somebody's, of P-256.
const PUBLIC_KEY: &str = concat!(
    "-----BEGIN PUBLIC KEY-----\n",
    "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEHQAcmeTAaGndM6RLEksKOMwtZK+f\n",
    "eEnlMwA1sGFHomanZv5WnGIV317vcK7eYL+rE0/Lo1d1ivhx7EvEggPDZg==\n",
    "-----END PUBLIC KEY-----\n",
);

/// A body that the verb takes.
fn body(operation: &Value) -> Option<Value> {
    let schema = operation.pointer("/requestBody/content/application~1json/schema")?;
    let mut body = Map::new();
    for (name, property) in schema["properties"].as_object().unwrap() {
        let value = match (name.as_str(), property["type"].as_str().unwrap()) {
            ("target", _) => json!("warehouse"),
            ("role", _) => json!("oncall"),
            ("reason", _) => json!("for the test of who may"),
            ("finding", _) => json!("what it was taken for was done"),
            ("vote", _) => json!("deny"),
            ("digest", _) => json!(""),
            ("public_key", _) => json!(PUBLIC_KEY),
            ("issuer", _) => json!("https://id.example"),
            ("subject", _) => json!("eve"),
            ("seconds" | "ttl", _) => json!(600),
            ("port", _) => json!(40_000),
            (_, "boolean") => json!(true),
            _ => json!("x"),
        };
        body.insert(name.clone(), value);
    }
    Some(Value::Object(body))
}

#[test]
fn every_verb_is_open_to_the_roles_that_the_document_names_and_no_other() {
    let document = console::api::document();
    let mut cells = 0;
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let word = operation["x-tidegate-allowed"].as_str().unwrap();
            for role in ROLES {
                let scene = scene();
                let caller = scene.people.iter().find(|(of, _)| *of == role).map(|(_, somebody)| somebody);
                let kind = path.split('/').nth(3).unwrap();
                let id = scene.ids.get(kind).and_then(Value::as_str).unwrap_or("x");
                let path = path.replace("{id}", id);
                let before = scene.served.engine.requests().iter().map(|r| r.votes.len()).sum::<usize>();
                let got = scene.served.call(caller, &method.to_uppercase(), &path, body(operation).as_ref());
                let told = format!("{role:?} {method} {path} ({word}): {} {}", got.status, got.body);
                match expected(word, role) {
                    // With nothing at the provider's side a sign-in fails, but not before it was tried.
                    Expected::May if word == "anyone" => assert!(got.status < 500, "{told}"),
                    Expected::May => assert!((200..300).contains(&got.status), "{told}"),
                    Expected::SignedOut => assert_eq!(got.status, 401, "{told}"),
                    Expected::Forbidden => assert_eq!(got.status, 403, "{told}"),
                    Expected::Hidden => assert_eq!(got.status, 404, "{told}"),
                }
                if expected(word, role) != Expected::May {
                    let after = scene.served.engine.requests().iter().map(|r| r.votes.len()).sum::<usize>();
                    assert_eq!(before, after, "{told}");
                    assert!(scene.served.world.killed.lock().unwrap().is_empty(), "{told}");
                    assert_eq!(scene.served.engine.grants(None).len(), 2, "{told}");
                    assert_eq!(scene.served.engine.minted(None).len(), 1, "{told}");
                    assert!(scene.served.engine.people().iter().all(|person| !person.suspended), "{told}");
                }
                cells += 1;
            }
        }
    }
    assert!(cells >= 20 * ROLES.len(), "only {cells} cells");
}

#[test]
fn nobody_votes_on_their_own_request_whatever_groups_they_are_in() {
    let served = Served::start();
    let all = served.sign_in("root", &["engineers", "leads", "auditors", "admins"]);
    let id = served.hold(&all, "DELETE FROM patients", 3);
    let body = json!({"vote": "approve", "reason": "because I can do everything", "digest": "03".repeat(32)});
    let got = served.call(Some(&all), "POST", &format!("/api/v1/requests/{id}/votes"), Some(&body));
    assert!(got.status == 403 && got.body.contains("nobody votes"), "{}", got.body);
}

#[test]
fn the_committed_document_is_the_one_that_is_served() {
    let served = Served::start();
    let got = served.call(None, "GET", "/api/v1/openapi.json", None);
    let shown = serde_json::to_string_pretty(&got.json()).unwrap() + "\n";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/openapi.json");
    if std::env::var_os("TIDEGATE_WRITE").is_some() {
        std::fs::write(path, &shown).unwrap();
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(committed == shown, "docs/openapi.json is out of date: TIDEGATE_WRITE=1 cargo test -p console writes it");
}

#[test]
fn what_is_sealed_hashed_or_a_verifier_is_in_no_answer() {
    let Scene { served, people, ids } = scene();
    let admin = &people.iter().find(|(role, _)| *role == Role::Admin).unwrap().1;
    for path in ["me", "targets", "requests", "grants", "credentials", "sessions", "people", "policy", "health"] {
        let got = served.call(Some(admin), "GET", &format!("/api/v1/{path}"), None);
        assert_eq!(got.status, 200, "{path}");
        for never in ["SCRAM-SHA-256", "sealed", "csrf", "salt", &people[0].1.sign_in.id] {
            assert!(!got.body.contains(never), "{path} shows {never}: {}", got.body);
        }
    }
    let got = served.call(Some(admin), "GET", &format!("/api/v1/requests/{}", ids["requests"].as_str().unwrap()), None);
    assert_eq!(got.json()["wanted"]["kind"], "access");
}
