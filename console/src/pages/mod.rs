//! Pages for people: made here, complete without a script but for security keys, in the visitor's theme.
//!
//! After a form comes a redirect, so that reloading repeats nothing; what was done is named by a word of a fixed list.

mod access;
mod approvals;
mod csv;
mod health;
mod keys;
mod layout;
mod moments;
mod people;
mod policy;
mod requests;
mod sessions;
mod statement;

use crate::failure::Failure;
use crate::speak;
use crate::state::{Looking, Shared, State};
use crate::webauthn;
use ::access::{Ballot, Person, Request, Requestable, SignIn, Wanted};
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;

/// A word of what was just done.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Done {
    #[serde(default)]
    done: String,
}

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route("/", get(async |_looking: Looking| speak::see("/access")))
        .route("/healthz", get(async || "ok\n"))
        .merge(access::router())
        .merge(approvals::router())
        .merge(health::router())
        .merge(keys::router())
        .merge(people::router())
        .merge(policy::router())
        .merge(sessions::router())
        .fallback(async || Failure::not_found())
}

/// A page that says why not.
pub(crate) fn failure(failure: &Failure) -> Response {
    let title = match failure.status {
        StatusCode::FORBIDDEN => "Not allowed",
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::UNAUTHORIZED => "Not signed in",
        StatusCode::TOO_MANY_REQUESTS => "Too many",
        status => status.canonical_reason().unwrap_or("Error"),
    };
    door(
        failure.status,
        title,
        &html! {
            p { (failure.text) }
            p.actions { a.button href="/" { "To the console" } }
        },
    )
}

/// A page without the console around it.
pub(crate) fn door(status: StatusCode, title: &str, body: &Markup) -> Response {
    speak::page(status, layout::bare(title, "", &html! { div.card { h1 { (title) } (body) } }))
}

/// Roles that somebody can ask for on a target and does not have to take in an emergency.
fn offered(state: &Shared, looking: &Looking, target: &str) -> Vec<Requestable> {
    state.engine.requestable(&looking.person, target)
}

/// What approval of a request binds; empty where nothing but its id does.
pub(crate) fn digest(request: &Request) -> &str {
    match &request.wanted {
        Wanted::Statement(wanted) => &wanted.digest,
        Wanted::Access { .. } => "",
    }
}

/// Casts a vote; with what an authenticator signed if there is any, checked here.
pub(crate) fn cast(
    state: &State,
    person: &Person,
    sign_in: &SignIn,
    ballot: &Ballot<'_>,
    answer: &str,
    until_s: &str,
) -> Result<Request, Failure> {
    if answer.is_empty() || !ballot.approve {
        return Ok(state.engine.vote(person, ballot)?);
    }
    let asked = (ballot.digest, ballot.id);
    let kept = key(state, person, sign_in, asked, (answer, until_s), ballot.source).inspect_err(|failure| {
        let told = format!("{}: {}", ballot.id, failure.text);
        state.engine.refused("vote_refused", &person.who, ballot.source, told);
    })?;
    Ok(state.engine.vote(person, &Ballot { assertion: Some(&kept), ..*ballot })?)
}

/// Checks what an authenticator signed about (digest, id); gives what records keep of it. Each answer is good once.
fn key(
    state: &State,
    person: &Person,
    sign_in: &SignIn,
    asked: (&str, &str),
    (answer, until_s): (&str, &str),
    source: &str,
) -> Result<Vec<u8>, Failure> {
    if answer.is_empty() {
        return Err(::access::AccessError::StepUp.into());
    }
    let until_s = until_s.parse().map_err(|_| Failure::invalid("the time of the key's question is missing"))?;
    let now_s = state.engine.clock().now_s();
    let (known, kept) = webauthn::check(person, sign_in, asked, (answer, until_s), now_s, state.site())?;
    // Not every key counts its signatures, so it is remembered until the question is over.
    let first = state.engine.once(&format!("key/{}/{answer}", sign_in.id), until_s)?;
    if !first {
        state.engine.refused("key_replayed", &person.who, source, asked.1.to_owned());
        return Err(Failure::forbidden("this answer of your key was used already"));
    }
    state.engine.change_person(&person.who, |person| webauthn::put(person, &known))?;
    Ok(kept)
}

pub(crate) use sessions::kill;

/// A session's id; zeros for what is none.
fn session_id(text: &str) -> audit::record::SessionId {
    let mut id = [0; 16];
    for (out, pair) in id.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *out = std::str::from_utf8(pair).ok().and_then(|pair| u8::from_str_radix(pair, 16).ok()).unwrap_or(0);
    }
    audit::record::SessionId(id)
}
