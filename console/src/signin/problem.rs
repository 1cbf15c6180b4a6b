//! What a request is told when it cannot have what it asked for: a status, a stable word, a sentence.

use access::AccessError;
use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};

/// A refusal. Holds nothing secret and nothing of the request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Status.
    pub status: StatusCode,
    /// A stable word for programs.
    pub code: &'static str,
    /// A sentence for people.
    pub message: String,
}

impl Problem {
    pub(super) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    pub(super) fn bad(message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid", message)
    }

    pub(super) fn signed_out() -> Self {
        AccessError::SignedOut.into()
    }

    pub(super) fn broken() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", "something failed here; it was logged")
    }
}

impl From<AccessError> for Problem {
    fn from(error: AccessError) -> Self {
        let (status, code) = match &error {
            AccessError::SignedOut => (StatusCode::UNAUTHORIZED, "signed_out"),
            AccessError::NotFound => (StatusCode::NOT_FOUND, "not_found"),
            AccessError::Forbidden(_) => (StatusCode::FORBIDDEN, "forbidden"),
            AccessError::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "too_many"),
            AccessError::Invalid(_) => (StatusCode::BAD_REQUEST, "invalid"),
            AccessError::Over(_) => (StatusCode::CONFLICT, "over"),
            AccessError::StepUp => (StatusCode::FORBIDDEN, "step_up"),
            AccessError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
            AccessError::Sealed => (StatusCode::INTERNAL_SERVER_ERROR, "sealed"),
        };
        Self::new(status, code, error.to_string())
    }
}

impl From<identity::Error> for Problem {
    fn from(error: identity::Error) -> Self {
        let status = match &error {
            identity::Error::Provider { .. } => StatusCode::BAD_GATEWAY,
            identity::Error::NoRandomness => StatusCode::SERVICE_UNAVAILABLE,
            identity::Error::Unconfigured(_) => StatusCode::BAD_REQUEST,
            _ => StatusCode::UNAUTHORIZED,
        };
        Self::new(status, error.name(), error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = Json(serde_json::json!({"error": self.code, "message": self.message}));
        (self.status, [(header::CACHE_CONTROL, "no-store")], body).into_response()
    }
}
