//! What programs ask for: a sign-in, who it is, its end, and passwords for databases. JSON, by bearer token.
//!
//! Nothing here takes a cookie, so no other site's page can ask in somebody's name.

use super::{
    Arrived, Desk, Problem,
    attempts::{ATTEMPT_SECONDS, Waiting},
    browser::busy,
    limits::Source,
    mint, now, waiting,
};
use access::{Person, SignIn};
use axum::{
    Extension, Json, Router,
    extract::{FromRequest, Request, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use identity::Secret;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

/// Seconds that a password for databases lives unless something else is asked for.
pub(super) const PASSWORD_SECONDS: u64 = 3600;
/// Longest purpose, in bytes.
const PURPOSE_BYTES_MAX: usize = 500;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/api/v1/login/start", post(start))
        .route("/api/v1/login/finish", post(finish))
        .route("/api/v1/login/token", post(token))
        .route("/api/v1/logout", post(logout))
        .route("/api/v1/whoami", get(whoami))
        .route("/api/v1/credentials", post(credentials))
}

/// A body of JSON, whose faults are told like all others.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        match Json::<T>::from_request(request, state).await {
            Ok(Json(body)) => Ok(Self(body)),
            // What the library says could hold what was sent.
            Err(rejection) => {
                Err(Problem::new(rejection.status(), "invalid", "the request is not the JSON it has to be"))
            }
        }
    }
}

/// An answer that nobody keeps.
pub(super) fn told(what: &impl Serialize) -> Response {
    ([(header::CACHE_CONTROL, "no-store")], Json(what)).into_response()
}

/// A sign-in, as the command line gets it.
#[derive(Serialize)]
pub(super) struct SignedIn {
    token: Zeroizing<String>,
    until: u64,
    person: Me,
}

#[derive(Debug, Serialize)]
struct Me {
    issuer: String,
    subject: String,
    handle: String,
    name: String,
    groups: Vec<String>,
}

impl Me {
    fn of(person: &Person) -> Self {
        Self {
            issuer: person.who.issuer.clone(),
            subject: person.who.subject.clone(),
            handle: person.handle.clone(),
            name: person.name.clone(),
            groups: person.groups.clone(),
        }
    }
}

impl SignedIn {
    pub(super) fn new(sign_in: &SignIn, person: &Person, token: String) -> Self {
        Self { token: Zeroizing::new(token), until: sign_in.until_s, person: Me::of(person) }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Start {
    code_challenge: String,
    state: String,
    port: u16,
    #[serde(default)]
    ipv6: bool,
    #[serde(default)]
    client: String,
}

async fn start(
    State(desk): State<Arc<Desk>>,
    Extension(source): Extension<Source>,
    Body(start): Body<Start>,
) -> Result<Response, Problem> {
    desk.limits.spend(source)?;
    let url_safe = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if start.code_challenge.len() != 43 || !url_safe(&start.code_challenge) {
        return Err(Problem::bad("`code_challenge` is SHA-256 in base64url, 43 characters"));
    }
    if !(22..=128).contains(&start.state.len()) || !url_safe(&start.state) {
        return Err(Problem::bad("`state` is 22 to 128 characters of base64url"));
    }
    if start.port < 1024 {
        return Err(Problem::bad("`port` is one that a program of a user can have"));
    }
    if start.client.len() > 64 || start.client.chars().any(char::is_control) {
        return Err(Problem::bad("`client` has 64 bytes at most"));
    }
    // Nothing but this machine's loopback can be named (RFC 8252, section 7.3).
    let host = if start.ipv6 { "[::1]" } else { "127.0.0.1" };
    let waiting = Waiting {
        challenge: start.code_challenge,
        redirect: format!("http://{host}:{}/callback", start.port),
        state: start.state,
        client: start.client,
        source,
    };
    let request = Secret::random()?;
    let at = now();
    if !desk.attempts.waiting.keep(request.expose(), at + ATTEMPT_SECONDS, waiting, at) {
        return Err(busy());
    }
    let url = desk.at(&format!("/login?request={}", request.expose()));
    Ok(told(&serde_json::json!({"request": request.expose(), "url": url, "expires_in": ATTEMPT_SECONDS})))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Finish {
    code: Zeroizing<String>,
    code_verifier: Zeroizing<String>,
}

async fn finish(
    State(desk): State<Arc<Desk>>,
    Extension(source): Extension<Source>,
    Body(finish): Body<Finish>,
) -> Result<Response, Problem> {
    desk.limits.spend(source)?;
    let refused = || Problem::new(StatusCode::UNAUTHORIZED, "code", "this code does not work, or no longer");
    // Taken whatever comes next: who guesses at a verifier spoils the code.
    let finished = desk.attempts.finished.take(&finish.code, now()).ok_or_else(refused)?;
    let challenge = BASE64.encode(super::attempts::hash(&finish.code_verifier));
    let long_enough = (43..=128).contains(&finish.code_verifier.len());
    if !long_enough || !bool::from(challenge.as_bytes().ct_eq(finished.challenge.as_bytes())) {
        let who = finished.arrived.who.clone();
        waiting(move || {
            desk.engine.refused("sign_in_failed", &who, &source.0.to_string(), "verifier".to_owned());
            Ok(())
        })
        .await?;
        return Err(refused());
    }
    let (sign_in, person, token) = waiting(move || desk.welcome(&finished.arrived, source)).await?;
    Ok(told(&SignedIn::new(&sign_in, &person, token)))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Token {
    token: Zeroizing<String>,
}

async fn token(
    State(desk): State<Arc<Desk>>,
    Extension(source): Extension<Source>,
    Body(token): Body<Token>,
) -> Result<Response, Problem> {
    desk.limits.spend(source)?;
    let (sign_in, person, token) = waiting(move || {
        let at = now();
        let validated = desk.providers.presented(&token.token, at).inspect_err(|error| {
            desk.turned_away("", source, error);
        })?;
        let issuer = desk.providers.of_issuer(&validated.issuer).map(|p| p.issuer()).ok_or_else(Problem::broken)?;
        if issuer.one_time {
            let name = format!("token {}", access::hex(&validated.token));
            if !desk.engine.once(&name, validated.expires + identity::SKEW_SECONDS)? {
                let error = identity::Error::Token(identity::Fault::Replayed);
                desk.turned_away(&validated.issuer, source, &error);
                return Err(error.into());
            }
        }
        desk.welcome(&Arrived::presented(&validated, issuer.sign_in_seconds, at), source)
    })
    .await?;
    Ok(told(&SignedIn::new(&sign_in, &person, token)))
}

/// The sign-in whose token the request bears.
pub(super) async fn signed_in(desk: &Arc<Desk>, headers: &HeaderMap) -> Result<(SignIn, Person), Problem> {
    let value = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let token = value.and_then(|value| value.strip_prefix("Bearer ")).ok_or_else(Problem::signed_out)?;
    let (engine, token) = (Arc::clone(&desk.engine), Zeroizing::new(token.to_owned()));
    waiting(move || Ok(engine.authenticate(&token)?)).await
}

async fn logout(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Result<StatusCode, Problem> {
    let (sign_in, _) = signed_in(&desk, &headers).await?;
    waiting(move || Ok(desk.engine.sign_out(&sign_in)?)).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn whoami(State(desk): State<Arc<Desk>>, headers: HeaderMap) -> Result<Response, Problem> {
    let (sign_in, person) = signed_in(&desk, &headers).await?;
    Ok(told(&serde_json::json!({
        "person": Me::of(&person), "how": sign_in.how, "until": sign_in.until_s,
        "admin": desk.engine.is_admin(&person), "auditor": desk.engine.is_auditor(&person),
    })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[serde(default)]
    target: String,
    #[serde(default)]
    purpose: String,
    /// Seconds.
    #[serde(default)]
    ttl: Option<u64>,
}

#[derive(Serialize)]
struct Credential<'a> {
    id: &'a str,
    user: &'a str,
    password: Zeroizing<String>,
    until: u64,
    host: &'a str,
    port: u16,
    tls: bool,
    targets: Vec<&'a str>,
}

/// What a credential is for: a target that is here, or any; and words that fit into a record.
pub(super) fn may_be_for(desk: &Desk, target: &str, purpose: &str) -> Result<(), Problem> {
    if !target.is_empty() && !desk.settings.gate.targets.iter().any(|known| known == target) {
        return Err(Problem::new(StatusCode::NOT_FOUND, "not_found", "there is no such target"));
    }
    if purpose.len() > PURPOSE_BYTES_MAX || purpose.chars().any(char::is_control) {
        return Err(Problem::bad("`purpose` has 500 bytes at most and no control characters"));
    }
    Ok(())
}

async fn credentials(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Body(asked): Body<Credentials>,
) -> Result<Response, Problem> {
    let (sign_in, person) = signed_in(&desk, &headers).await?;
    let gate = &desk.settings.gate;
    may_be_for(&desk, &asked.target, &asked.purpose)?;
    let password = mint::password()?;
    let (engine, secret, salt) = (Arc::clone(&desk.engine), password.clone(), person.salt.clone());
    let Credentials { target, purpose, ttl } = asked;
    let of = target.clone();
    let minted = waiting(move || {
        let verifier = mint::verifier(&secret, &salt)?;
        Ok(engine.mint(&sign_in, &verifier, "", &of, &purpose, ttl.unwrap_or(PASSWORD_SECONDS))?)
    })
    .await?;
    let targets = gate.targets.iter().filter(|name| target.is_empty() || **name == target).map(String::as_str);
    Ok(told(&Credential {
        id: &minted.id,
        user: &person.handle,
        password,
        until: minted.until_s,
        host: &gate.host,
        port: gate.port,
        tls: gate.tls,
        targets: targets.collect(),
    }))
}
