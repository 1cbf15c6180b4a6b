//! The verbs.

use super::table::{Allowed, Shape, Verb};
use super::{Call, Reply};
use crate::state::State;
use axum::http::Method;
use serde_json::json;

/// All verbs of the API.
pub(crate) fn all() -> impl Iterator<Item = &'static Verb> {
    HERE.iter()
}

static HERE: &[Verb] = &[Verb {
    method: Method::GET,
    path: "/me",
    name: "me",
    tag: "me",
    summary: "Who you are, and what you may do here.",
    allowed: Allowed::SignedIn,
    takes: &[],
    gives: Shape::Object(&[
        ("issuer", "string", "Issuer of the identity"),
        ("subject", "string", "Subject there"),
        ("handle", "string", "Name in databases"),
        ("name", "string", "Name to show"),
        ("groups", "array", "Groups"),
        ("admin", "boolean", "May end what others have"),
        ("auditor", "boolean", "May look at everything"),
        ("until", "integer", "The sign-in ends then, Unix seconds"),
    ]),
    run: me,
}];

fn me(state: &State, call: &Call) -> Reply {
    let caller = call.caller()?;
    let person = &caller.person;
    Ok(json!({
        "issuer": person.who.issuer, "subject": person.who.subject, "handle": person.handle, "name": person.name,
        "groups": person.groups, "admin": state.engine.is_admin(person), "auditor": state.engine.is_auditor(person),
        "until": caller.sign_in.until_s,
    }))
}
