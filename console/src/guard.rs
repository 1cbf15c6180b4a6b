//! What holds for every request and answer, whatever the route.
//!
//! Requests: the right host (a page of a rebound name is somebody else's), a whole method, an end. POSTs that a browser sends
//! for another site are refused before any handler sees them. Answers: nothing may frame them, sniff them, keep them, or run
//! a script that is not ours.

use crate::failure::Failure;
use crate::state::Shared;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::time::Duration;

/// Longest time for an answer.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// Posts that come from pages of providers, with what they signed.
const FROM_ELSEWHERE: &[&str] = &["/signin/saml/acs"];

/// Only what is embedded here, and only on pages of this site.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

const FIXED: &[(&str, &str)] = &[
    ("content-security-policy", POLICY),
    ("x-frame-options", "DENY"),
    ("x-content-type-options", "nosniff"),
    // With `no-referrer`, browsers send `Origin: null` with forms.
    ("referrer-policy", "same-origin"),
    ("cache-control", "no-store"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

fn is_api(path: &str) -> bool {
    path.starts_with("/api/")
}

fn refuse(path: &str, failure: &Failure) -> Response {
    if is_api(path) { failure.json() } else { failure.clone().into_response() }
}

/// The middleware around all routes.
pub(crate) async fn guard(State(state): State<Shared>, request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let mut response = match check(&state, &request) {
        Err(failure) => refuse(&path, &failure),
        Ok(()) => match tokio::time::timeout(ANSWER_TIMEOUT, next.run(request)).await {
            Ok(response) => response,
            Err(_) => {
                refuse(&path, &Failure::new(StatusCode::SERVICE_UNAVAILABLE, "slow", "this takes too long; try again"))
            }
        },
    };
    let headers = response.headers_mut();
    for (name, value) in FIXED {
        headers.entry(*name).or_insert(HeaderValue::from_static(value));
    }
    if state.secure {
        headers.insert(header::STRICT_TRANSPORT_SECURITY, HeaderValue::from_static("max-age=31536000"));
    }
    response
}

fn check(state: &Shared, request: &Request) -> Result<(), Failure> {
    let headers = request.headers();
    let mut hosts = headers.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    let path = request.uri().path();
    // Load balancers ask for health by address.
    if path != "/healthz" && (hosts.next().is_some() || !host.eq_ignore_ascii_case(&state.host)) {
        let text = format!("this is {}; the request names another host", state.origin);
        return Err(Failure::new(StatusCode::MISDIRECTED_REQUEST, "host", text));
    }
    let reads = [Method::GET, Method::HEAD].contains(request.method());
    if !reads && ![Method::POST, Method::DELETE].contains(request.method()) {
        return Err(Failure::new(StatusCode::METHOD_NOT_ALLOWED, "method", "GET, POST or DELETE"));
    }
    let told = headers.contains_key(header::ORIGIN) || headers.contains_key("sec-fetch-site");
    if !reads && told && !state.is_own_page(headers) && !FROM_ELSEWHERE.contains(&path) {
        return Err(Failure::forbidden("a page of another site sent this"));
    }
    Ok(())
}
