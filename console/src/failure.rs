//! Why a request was not done, and how that is told: a page for people, JSON for programs.
//!
//! Texts are of our own making; none holds a secret, a row or a statement.

use crate::speak;
use access::AccessError;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// Why not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status.
    pub status: StatusCode,
    /// Stable word for programs.
    pub code: &'static str,
    /// For people.
    pub text: String,
}

impl Failure {
    /// Any.
    #[must_use]
    pub fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        Self { status, code, text: text.into() }
    }

    /// 400.
    #[must_use]
    pub fn invalid(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", text)
    }

    /// 401.
    #[must_use]
    pub fn signed_out() -> Self {
        AccessError::SignedOut.into()
    }

    /// 403.
    #[must_use]
    pub fn forbidden(text: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", text)
    }

    /// 404.
    #[must_use]
    pub fn not_found() -> Self {
        AccessError::NotFound.into()
    }

    /// As programs get it: a stable word, a sentence for people.
    #[must_use]
    pub fn problem(&self) -> Value {
        json!({"error": self.code, "message": self.text})
    }

    /// For programs.
    #[must_use]
    pub fn json(&self) -> Response {
        speak::json(self.status, &self.problem())
    }
}

impl From<AccessError> for Failure {
    fn from(error: AccessError) -> Self {
        let (status, code) = match &error {
            AccessError::SignedOut => (StatusCode::UNAUTHORIZED, "signed_out"),
            AccessError::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            AccessError::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            AccessError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            AccessError::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            AccessError::StepUp => (StatusCode::FORBIDDEN, "step_up"),
            AccessError::Over(_) => (StatusCode::CONFLICT, "over"),
            AccessError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            AccessError::Sealed => (StatusCode::INTERNAL_SERVER_ERROR, "sealed"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<crate::signin::Problem> for Failure {
    fn from(problem: crate::signin::Problem) -> Self {
        Self::new(problem.status, problem.code, problem.message)
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        crate::pages::failure(&self)
    }
}
