//! Answers: pages, JSON, redirects that never leave this site, downloads.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::Value;

fn answer(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// JSON.
pub(crate) fn json(status: StatusCode, value: &Value) -> Response {
    answer(status, "application/json", value.to_string())
}

/// A page.
pub(crate) fn page(status: StatusCode, markup: maud::Markup) -> Response {
    answer(status, "text/html; charset=utf-8", markup.into_string())
}

/// Goes on to a path of this site. What is not one becomes `/`.
pub(crate) fn see(path: &str) -> Response {
    let path = crate::local_path(path).unwrap_or("/");
    let mut response = answer(StatusCode::SEE_OTHER, "text/plain; charset=utf-8", String::new());
    response
        .headers_mut()
        .insert(header::LOCATION, HeaderValue::from_str(path).unwrap_or(const { HeaderValue::from_static("/") }));
    response
}

/// A file to keep.
pub(crate) fn download(kind: &'static str, name: &str, body: String) -> Response {
    let mut response = answer(StatusCode::OK, kind, body);
    let kept: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || ".-_".contains(*c)).collect();
    if let Ok(value) = HeaderValue::from_str(&format!("attachment; filename=\"{kept}\"")) {
        response.headers_mut().insert(header::CONTENT_DISPOSITION, value);
    }
    response
}
