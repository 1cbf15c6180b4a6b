//! The API: one table of verbs, from which come the routes, the checks of what is sent, the OpenAPI document and the test of
//! who may do what.
//!
//! Invariants: a verb that is not in the table does not exist; who may call it is checked before it runs; a field that the
//! table does not know is refused. A bearer's token stands for itself; with the cookie, what changes something needs the
//! token of the sign-in's pages in `X-CSRF-Token`, and comes from a page of this site.

mod call;
mod document;
mod elsewhere;
mod emergencies;
mod shown;
mod table;
mod verbs;

pub(crate) use call::object_once;
pub use call::{Call, Caller};
pub use document::document;
pub use table::{Allowed, Field, Kind, Reply, Shape, Verb};
pub(crate) use verbs::all;

use crate::failure::Failure;
use crate::signin::session_token;
use crate::speak;
use crate::state::{Shared, is_token, peer, work};
use axum::Router;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::Response;
use axum::routing::{MethodFilter, get, on};
use table::Changes as _;

/// Where the API is.
pub const BASE: &str = "/api/v1";

pub(crate) fn router() -> Router<Shared> {
    let mut router = Router::new();
    for verb in all() {
        let Some(run) = verb.run else { continue };
        let filter = match verb.method {
            Method::POST => MethodFilter::POST,
            Method::DELETE => MethodFilter::DELETE,
            _ => MethodFilter::GET,
        };
        let handler =
            move |state: State<Shared>, path: RawPathParams, request: Request| serve(state, path, request, (verb, run));
        router = router.route(&format!("{BASE}{}", verb.path), on(filter, handler));
    }
    router
        .route(&format!("{BASE}/openapi.json"), get(async || speak::json(StatusCode::OK, &document())))
        .route("/api/{*rest}", axum::routing::any(async || Failure::not_found().json()))
}

type Served = (&'static Verb, fn(&crate::State, &Call) -> Reply);

async fn serve(State(state): State<Shared>, path: RawPathParams, request: Request, (verb, run): Served) -> Response {
    let path: Vec<(String, String)> = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let outcome = match read(&state, path, request, verb).await {
        Ok(call) => work(&state, move |state| run(state, &call)).await,
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(value) => speak::json(StatusCode::OK, &value),
        Err(failure) => {
            let mut response = failure.json();
            if failure.status == StatusCode::UNAUTHORIZED {
                let value = axum::http::HeaderValue::from_static("Bearer realm=\"tidegate\"");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
            }
            response
        }
    }
}

/// Who calls, whether they may, and with what.
async fn read(
    state: &Shared,
    path: Vec<(String, String)>,
    request: Request,
    verb: &'static Verb,
) -> Result<Call, Failure> {
    let (parts, body) = request.into_parts();
    let bearer = match parts.headers.get(header::AUTHORIZATION) {
        None => None,
        Some(value) => {
            let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).unwrap_or_default();
            if !scheme.eq_ignore_ascii_case("bearer") {
                return Err(Failure::signed_out());
            }
            Some(token.trim())
        }
    };
    let token = bearer.or_else(|| session_token(&parts.headers, state.secure));
    let caller = match token {
        Some(token) => match state.engine.authenticate(token) {
            Ok((sign_in, person)) => Some(Caller { sign_in, person, bearer: bearer.is_some() }),
            // A stale token is nobody, also where nobody may call.
            Err(_) if verb.allowed == Allowed::Anyone => None,
            Err(error) => return Err(error.into()),
        },
        None => None,
    };
    let changes = verb.method.changes();
    if let Some(caller) = &caller
        && changes
        && !caller.bearer
    {
        let shown = parts.headers.get("x-csrf-token").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !state.is_own_page(&parts.headers) || !is_token(&caller.sign_in, shown) {
            return Err(Failure::forbidden("with a cookie, this needs the X-CSRF-Token of a page of yours"));
        }
    }
    let peer = peer(&parts);
    verb.allowed.check(state, caller.as_ref(), verb.name, &peer.0.to_string())?;
    let bytes = axum::body::to_bytes(body, crate::state::FORM_BYTES_MAX).await.map_err(|_| {
        Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", "the body is too large, or was cut off")
    })?;
    let sent =
        if changes { call::body(&parts.headers, &bytes)? } else { call::query(parts.uri.query().unwrap_or_default())? };
    verb.takes(&sent)?;
    Ok(Call { caller, path, sent, peer, headers: parts.headers })
}
