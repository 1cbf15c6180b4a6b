//! The style sheet, the script and the icon, embedded; their paths hold a hash, so that they are kept for ever.

use crate::state::Shared;
use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

const CSS: &str = include_str!("assets/console.css");
const JS: &str = include_str!("assets/console.js");
const ICON: &str = include_str!("assets/icon.svg");

/// Paths as pages name them.
pub(crate) struct Paths {
    pub(crate) css: String,
    pub(crate) js: String,
    pub(crate) icon: String,
}

pub(crate) static PATHS: LazyLock<Paths> = LazyLock::new(|| {
    let path =
        |text: &str, end: &str| format!("/assets/{}.{end}", &access::hex(&Sha256::digest(text.as_bytes()))[..16]);
    Paths { css: path(CSS, "css"), js: path(JS, "js"), icon: path(ICON, "svg") }
});

fn kept(kind: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static(kind)),
        (header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable")),
    ];
    (headers, text).into_response()
}

pub(crate) fn router() -> Router<Shared> {
    Router::new()
        .route(&PATHS.css, get(async || kept("text/css; charset=utf-8", CSS)))
        .route(&PATHS.js, get(async || kept("text/javascript; charset=utf-8", JS)))
        .route(&PATHS.icon, get(async || kept("image/svg+xml", ICON)))
        .route("/favicon.ico", get(async || kept("image/svg+xml", ICON)))
}
