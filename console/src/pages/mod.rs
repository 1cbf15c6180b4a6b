//! Pages for people: made here, complete without a script, in the visitor's theme.

mod layout;

use crate::failure::Failure;
use crate::speak;
use crate::state::Shared;
use axum::Router;
use axum::response::Response;
use axum::routing::get;
use maud::html;

pub(crate) fn router() -> Router<Shared> {
    Router::new().route("/healthz", get(async || "ok\n")).fallback(async || Failure::not_found())
}

/// A page that says why not.
pub(crate) fn failure(failure: &Failure) -> Response {
    let body = html! {
        h1 { (failure.status.canonical_reason().unwrap_or("Error")) }
        p { (failure.text) }
        p { a href="/" { "To the start" } }
    };
    speak::page(failure.status, layout::bare("Error", "", &body))
}
