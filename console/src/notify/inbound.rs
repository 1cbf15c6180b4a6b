//! Votes of programs: signed messages about exactly what waits.
//!
//! `POST /webhooks/votes/NAME` with the headers and signature of Standard Webhooks. Checked in this order, so that nothing of
//! a stranger reaches the store: one of each header; a time within five minutes; the signature over the raw body; then, once
//! only, the id; then what it says. A program is a person without authenticators: one vote among others, and never the only
//! kind about protected data.

use super::signature::{ID, SIGNATURE, Secrets, TIMESTAMP, TOLERANCE_S};
use crate::api::object_once;
use crate::failure::Failure;
use crate::signin::Source;
use crate::speak;
use crate::state::{FORM_BYTES_MAX, Shared, State, peer, work};
use access::{Ballot, Who};
use axum::Router;
use axum::extract::{Path, Request, State as Extract};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};

/// Issuer of programs that vote.
const ISSUER: &str = "urn:tidegate:webhook";
/// An id is remembered this long, seconds.
const REMEMBERED_S: u64 = 24 * 3600;
/// Longest id, bytes.
const ID_BYTES_MAX: usize = 128;

/// A program that votes.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Name: in the path, and as voter.
    pub name: String,
    /// Groups it votes for.
    pub groups: Vec<String>,
    /// What it signs with.
    pub secrets: Secrets,
}

/// Programs that vote.
#[derive(Clone, Debug, Default)]
pub struct Inbound(Vec<Machine>);

impl Inbound {
    /// These.
    #[must_use]
    pub const fn new(machines: Vec<Machine>) -> Self {
        Self(machines)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    request: String,
    #[serde(default)]
    digest: String,
    vote: String,
    reason: String,
}

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/webhooks/votes/{name}", post(take))
}

fn unsigned() -> Failure {
    Failure::new(StatusCode::UNAUTHORIZED, "signature", "the message is not signed as it must be, or not in time")
}

/// The header, if there is exactly one.
fn only<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut found = headers.get_all(name).iter();
    let first = found.next()?.to_str().ok()?;
    found.next().is_none().then_some(first)
}

async fn take(Extract(state): Extract<Shared>, Path(name): Path<String>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let outcome = match axum::body::to_bytes(body, FORM_BYTES_MAX).await {
        Ok(body) => {
            let source = peer(&parts);
            work(&state, move |state| vote(state, &name, &parts.headers, &body, source)).await
        }
        Err(_) => {
            Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large, or was cut off"))
        }
    };
    match outcome {
        Ok(value) => speak::json(StatusCode::OK, &value),
        Err(failure) => failure.json(),
    }
}

fn vote(state: &State, name: &str, headers: &HeaderMap, body: &[u8], from: Source) -> Result<Value, Failure> {
    let engine = &state.engine;
    let machine = state.inbound.0.iter().find(|machine| machine.name == name);
    let source = &from.0.to_string();
    let refused = |why: &str| {
        // A stranger does not fill the log.
        if let Err(too_many) = state.desk.failed_from(from) {
            return too_many.into();
        }
        let who = Who { issuer: ISSUER.to_owned(), subject: machine.map(|of| of.name.clone()).unwrap_or_default() };
        engine.refused("vote_refused", &who, source, format!("webhook: {why}"));
        unsigned()
    };
    let machine = machine.ok_or_else(|| refused("no such program"))?;
    let (id, at, signature) = match (only(headers, ID), only(headers, TIMESTAMP), only(headers, SIGNATURE)) {
        (Some(id), Some(at), Some(signature)) if !id.is_empty() && id.len() <= ID_BYTES_MAX => (id, at, signature),
        _ => return Err(refused("headers")),
    };
    // As it was signed: digits, and no other way to write the same number.
    let at_s: u64 = at.parse().ok().filter(|at_s: &u64| at_s.to_string() == at).ok_or_else(|| refused("timestamp"))?;
    let now_s = engine.clock().now_s();
    if at_s.abs_diff(now_s) > TOLERANCE_S {
        return Err(refused("timestamp"));
    }
    if !machine.secrets.verify(id, at_s, body, signature) {
        return Err(refused("signature"));
    }
    if !engine.once(&format!("webhook/{name}/{id}"), now_s + REMEMBERED_S)? {
        refused("replayed");
        return Err(Failure::new(StatusCode::CONFLICT, "replayed", "a message with this id came before"));
    }
    let said = object_once(body).and_then(|object| Said::deserialize(Value::Object(object)).ok());
    let said =
        said.ok_or_else(|| Failure::invalid("the body must have request, vote, reason, and digest for a statement"))?;
    let approve = match said.vote.as_str() {
        "approve" => true,
        "deny" => false,
        _ => return Err(Failure::invalid("vote: approve or deny")),
    };
    let who = Who { issuer: ISSUER.to_owned(), subject: machine.name.clone() };
    let (person, _) = engine.shown(&who, &machine.name, &[format!("webhook-{name}")], &machine.groups, None)?;
    let ballot = Ballot {
        id: &said.request,
        digest: &said.digest,
        approve,
        reason: &said.reason,
        channel: "webhook",
        source,
        assertion: None,
    };
    let request = engine.vote(&person, &ballot)?;
    Ok(json!({"request": request.id, "votes": request.votes.len(), "needed": request.needed}))
}
