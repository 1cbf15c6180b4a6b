//! Verbs about emergencies: taking a role at once, and the reviews of that.

use super::table::{Allowed, Field, Kind, Reply, Shape, Verb};
use super::{Call, shown};
use crate::failure::Failure;
use crate::state::State;
use crate::webauthn;
use access::{REVIEWS, Review};
use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

const REVIEW: &[(&str, &str, &str)] = &[
    ("id", "string", "Id of the grant"),
    ("who", "object", "Who took it: issuer and subject"),
    ("handle", "string", "Who, to show"),
    ("target", "string", "Target"),
    ("role", "string", "Role"),
    ("reason", "string", "Reason given"),
    ("at", "integer", "When, Unix seconds"),
    ("until", "integer", "It was good until then"),
    ("due", "integer", "To be reviewed by then"),
    ("needed", "integer", "Reviews needed"),
    ("reviews", "array", "Reviews so far: who, handle, finding, at"),
    ("reviewed", "boolean", "Enough others have looked at it"),
    ("overdue", "boolean", "Too few have, and the time is over"),
];

/// The verbs.
pub(super) static VERBS: &[Verb] = &[
    Verb {
        method: Method::GET,
        path: "/emergencies",
        name: "emergencies",
        tag: "emergencies",
        summary: "Roles taken in an emergency, and their reviews, newest first: yours, all for auditors.",
        allowed: Allowed::SignedIn,
        takes: &[],
        gives: Shape::List("emergencies", REVIEW),
        run: Some(emergencies),
    },
    Verb {
        method: Method::POST,
        path: "/emergencies",
        name: "breakGlass",
        tag: "emergencies",
        summary: "Take a role in an emergency, if you are enrolled for it: at once, recorded, told to everybody concerned. Whoever has a security key uses it, in the console.",
        allowed: Allowed::Enrolled,
        takes: &[
            Field::needed("target", Kind::Text(200), "Target"),
            Field::may("role", Kind::Text(200), "Role; the first that you are enrolled for if absent"),
            Field::needed("seconds", Kind::Number(1, 3600), "How long"),
            Field::needed("reason", Kind::Text(1000), "What has happened"),
        ],
        gives: Shape::Object(&[
            ("id", "string", "Id"),
            ("who", "object", "Who has it"),
            ("target", "string", "Target"),
            ("role", "string", "Role"),
            ("from", "integer", "From, Unix seconds"),
            ("until", "integer", "Until"),
            ("purpose", "string", "Reason given"),
            ("break_glass", "boolean", "Taken in an emergency"),
        ]),
        run: Some(break_glass),
    },
    Verb {
        method: Method::POST,
        path: "/emergencies/{id}/reviews",
        name: "reviewEmergency",
        tag: "emergencies",
        summary: "Review somebody else's emergency: what you found.",
        allowed: Allowed::Auditor,
        takes: &[Field::needed("finding", Kind::Text(1000), "What you found")],
        gives: Shape::Object(REVIEW),
        run: Some(review),
    },
];

fn show(of: &Review, now_s: u64) -> Value {
    let reviews: Vec<Value> = of
        .reviews
        .iter()
        .map(|one| json!({"who": shown::who(&one.who), "handle": one.handle, "finding": one.finding, "at": one.at_s}))
        .collect();
    json!({
        "id": of.id, "who": shown::who(&of.who), "handle": of.handle, "target": of.target, "role": of.role,
        "reason": of.reason, "at": of.at_s, "until": of.until_s, "due": of.due_s, "needed": REVIEWS, "reviews": reviews,
        "reviewed": of.is_reviewed(), "overdue": of.is_overdue(now_s),
    })
}

fn emergencies(state: &State, call: &Call) -> Reply {
    let person = call.person()?;
    let (all, now_s) = (state.engine.is_auditor(person), state.engine.clock().now_s());
    let mine = |review: &&Review| all || review.who == person.who;
    let list: Vec<Value> = state.engine.reviews().iter().filter(mine).map(|review| show(review, now_s)).collect();
    Ok(json!({"emergencies": list}))
}

fn break_glass(state: &State, call: &Call) -> Reply {
    let seconds = call.number("seconds").unwrap_or_default();
    let (target, role, source) = (call.text("target"), call.text("role"), call.source());
    let person = call.person()?;
    // Whoever has a key shows it: a stolen token alone opens nothing.
    if state.engine.policy().step_up && !webauthn::of(person).is_empty() {
        state.engine.refused("break_glass_refused", &person.who, &source, format!("{target} {role}: no key"));
        let text = "you have a security key: take it in the console, with your key";
        return Err(Failure::new(StatusCode::FORBIDDEN, "step_up", text));
    }
    let grant = state.engine.break_glass(person, target, role, seconds, call.text("reason"), &source)?;
    Ok(shown::grant(&grant))
}

fn review(state: &State, call: &Call) -> Reply {
    let reviewed = state.engine.review(call.person()?, call.path("id"), call.text("finding"), &call.source())?;
    Ok(show(&reviewed, state.engine.clock().now_s()))
}
