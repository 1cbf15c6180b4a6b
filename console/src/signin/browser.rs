//! What browsers see of signing in: the choice of a provider, the way there and back, signing out.

use super::{
    Arrived,
    arrived::turned_away,
    attempts::{ATTEMPT_SECONDS, AtProvider, CODE_SECONDS, Finished, Purpose, hash},
    now,
};
use crate::{
    Acting, Failure, Peer, Shared, State, cookie, cookie_ending, cookie_signed_in, local_path,
    pages::layout,
    speak,
    state::{theme, work},
};
use axum::{
    Router,
    extract::{Extension, Path, Query, State as Of},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use identity::{
    Secret,
    flow::{self, CodeAnswer},
};
use maud::html;
use serde::Deserialize;
use subtle::ConstantTimeEq as _;

/// Path of the answer of every OpenID provider.
const CALLBACK: &str = "/signin/oidc/callback";

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/signin", get(choice))
        .route("/signin/with/{provider}", get(leave))
        .route(CALLBACK, get(callback))
        .route("/signout", post(sign_out))
}

/// What a sign-in is for: the `request` of a command line, or the path that comes `next`.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Wanted {
    request: Option<String>,
    next: Option<String>,
}

impl Wanted {
    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(request) = &self.request {
            query.append_pair("request", request);
        }
        if let Some(next) = &self.next {
            query.append_pair("next", next);
        }
        query.finish()
    }

    /// What it is for: a path of this site, or a command line that waits.
    ///
    /// # Errors
    /// No command line waits by that name.
    pub fn purpose(&self, state: &State) -> Result<Purpose, Failure> {
        let Some(request) = &self.request else {
            return Ok(Purpose::Page(self.next.as_deref().and_then(local_path).unwrap_or("/").to_owned()));
        };
        let waiting = state.signin.attempts.waiting.with(request, now(), |waiting| waiting.clone());
        let waiting = waiting.ok_or_else(|| {
            Failure::new(StatusCode::NOT_FOUND, "over", "this sign-in has ended; run `tidegate login` again")
        })?;
        Ok(Purpose::CommandLine(request.clone(), waiting))
    }
}

async fn choice(Of(state): Of<Shared>, Query(wanted): Query<Wanted>, headers: HeaderMap) -> Result<Response, Failure> {
    let purpose = wanted.purpose(&state)?;
    let query = wanted.query();
    let body = html! {
        div.signin {
            h1 { "Sign in" }
            @if let Purpose::CommandLine(_, waiting) = &purpose {
                p { "A command line asks to sign in as you. Go on only if you have just started it yourself." }
                dl {
                    dt { "Program" } dd { (waiting.client) }
                    dt { "From" } dd { (waiting.peer) }
                }
            }
            @let ways = state.signin.ways();
            @if ways.is_empty() { p { "No identity provider is configured." } }
            ul.ways {
                @for way in &ways {
                    li { a.button href=(format!("{}?{query}", way.href)) { "Sign in with " (way.name) } }
                }
            }
        }
    };
    Ok(speak::page(StatusCode::OK, layout::bare("Sign in", theme(&headers), &body)))
}

async fn leave(
    Of(state): Of<Shared>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Result<Response, Failure> {
    // A picture on another site's page is not somebody who signs in.
    if headers.get("sec-fetch-dest").is_some_and(|to| to != "document") {
        return Err(Failure::invalid("a sign-in begins by going to its address"));
    }
    let purpose = wanted.purpose(&state)?;
    let (address, cookie) = work(&state, move |state| {
        let provider = state.signin.providers.people().find(|p| p.issuer().name == name);
        let provider = provider.ok_or_else(Failure::not_found)?;
        let pending = flow::begin_code(provider, &format!("{}{CALLBACK}", state.origin))?;
        let cookie = Secret::random()?;
        let (secret, address) = (pending.state.clone(), pending.address.clone());
        let attempt = AtProvider { provider: name, pending, browser: hash(cookie.expose()), purpose };
        let at = now();
        if !state.signin.attempts.at_provider.keep(secret.expose(), at + ATTEMPT_SECONDS, attempt, at) {
            return Err(busy());
        }
        Ok((address, cookie))
    })
    .await?;
    let mut response = go(&address)?;
    response.headers_mut().append(header::SET_COOKIE, bound(state.secure, cookie.expose(), ATTEMPT_SECONDS));
    Ok(response)
}

pub(super) fn busy() -> Failure {
    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many people are signing in; try again in some minutes")
}

const fn attempt_cookie(secure: bool) -> &'static str {
    if secure { "__Host-tidegate-attempt" } else { "tidegate-attempt" }
}

/// Binds an attempt to its browser. The provider's answer is a navigation from another site, so not `Strict`.
fn bound(secure: bool, value: &str, seconds: u64) -> HeaderValue {
    let (name, flag) = (attempt_cookie(secure), if secure { "; Secure" } else { "" });
    let text = format!("{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}{flag}");
    let mut value = HeaderValue::from_str(&text).unwrap_or(const { HeaderValue::from_static("") });
    value.set_sensitive(true);
    value
}

/// What a provider sends back. What else it sends is passed over.
#[derive(Deserialize)]
struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

async fn callback(
    Of(state): Of<Shared>,
    Extension(peer): Extension<Peer>,
    Query(answer): Query<Answer>,
    headers: HeaderMap,
) -> Response {
    let mut response = match came_back(&state, peer, answer, &headers).await {
        Ok(response) => response,
        Err(failure) => failure.into_response(),
    };
    response.headers_mut().append(header::SET_COOKIE, bound(state.secure, "", 0));
    response
}

async fn came_back(state: &Shared, peer: Peer, answer: Answer, headers: &HeaderMap) -> Result<Response, Failure> {
    let foreign = || Failure::invalid("this answer belongs to no sign-in that began in this browser; begin again");
    let secret = answer.state.ok_or_else(foreign)?;
    // Taken whatever comes next: an attempt is used once.
    let attempt = state.signin.attempts.at_provider.take(&secret, now()).ok_or_else(foreign)?;
    let cookie = cookie::read(attempt_cookie(state.secure), headers).ok_or_else(foreign)?;
    if !bool::from(hash(cookie).ct_eq(&attempt.browser)) {
        return Err(foreign());
    }
    let AtProvider { provider: name, pending, purpose, .. } = attempt;
    let answer = CodeAnswer {
        code: answer.code.map(Secret::new),
        state: Some(Secret::new(secret)),
        issuer: answer.iss,
        error: answer.error,
    };
    let validated = work(state, move |state| {
        let provider = state.signin.providers.named(&name).ok_or_else(Failure::not_found)?;
        Ok(flow::finish_code(provider, pending, &answer, now()).inspect_err(|error| {
            turned_away(state, &provider.issuer().url, peer, error.name());
        }))
    })
    .await?;
    match validated {
        Ok(validated) => arrive(state, purpose, Arrived::of(&validated, "oidc"), peer).await,
        Err(error) => leave_without(&purpose, error.into()),
    }
}

/// Somebody arrived in a browser: signs it in, or sends it to the command line that waits.
///
/// # Errors
/// The request was used before, somebody is suspended, or the store does not take it.
pub async fn arrive(state: &Shared, purpose: Purpose, arrived: Arrived, peer: Peer) -> Result<Response, Failure> {
    match purpose {
        Purpose::Page(path) => {
            let (sign_in, _, token) = work(state, move |state| arrived.welcome(state, peer)).await?;
            let seconds = sign_in.until_s.saturating_sub(sign_in.from_s);
            let mut response = speak::see(&path);
            let cookie = cookie_signed_in(state.secure, &token, seconds);
            response.headers_mut().append(header::SET_COOKIE, cookie);
            Ok(response)
        }
        Purpose::CommandLine(request, waiting) => {
            let at = now();
            let attempts = &state.signin.attempts;
            // The request is used up, so another browser with its address gets nowhere.
            attempts.waiting.take(&request, at).ok_or_else(|| Failure::invalid("this sign-in was used before"))?;
            let code = Secret::random()?;
            let finished = Finished { arrived, challenge: waiting.challenge };
            if !attempts.finished.keep(code.expose(), at + CODE_SECONDS, finished, at) {
                return Err(busy());
            }
            go(&back_to(&waiting.redirect, &waiting.state, "code", code.expose()))
        }
    }
}

/// Nobody arrived: tells whoever waits.
fn leave_without(purpose: &Purpose, failure: Failure) -> Result<Response, Failure> {
    match purpose {
        Purpose::Page(_) => Err(failure),
        Purpose::CommandLine(_, waiting) => go(&back_to(&waiting.redirect, &waiting.state, "error", failure.code)),
    }
}

fn back_to(redirect: &str, state: &str, name: &str, value: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair(name, value).append_pair("state", state);
    format!("{redirect}?{}", query.finish())
}

/// To an address outside of this site: that of a provider by its own document, or of a command line on its loopback.
fn go(to: &str) -> Result<Response, Failure> {
    let broken = |_| Failure::new(StatusCode::BAD_GATEWAY, "provider", "the identity provider's address is malformed");
    let mut response = StatusCode::SEE_OTHER.into_response();
    let headers = response.headers_mut();
    headers.insert(header::LOCATION, HeaderValue::from_str(to).map_err(broken)?);
    // Where somebody came from is in no header: the address may carry a code.
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    Ok(response)
}

async fn sign_out(Of(state): Of<Shared>, acting: Acting) -> Result<Response, Failure> {
    let sign_in = acting.looking.sign_in;
    work(&state, move |state| Ok(state.engine.sign_out(&sign_in)?)).await?;
    let body = html! {
        div.signin {
            h1 { "Signed out" }
            p { "Passwords for databases that you got by this sign-in no longer work." }
            p { a.button href="/signin" { "Sign in" } }
        }
    };
    let mut response = speak::page(StatusCode::OK, layout::bare("Signed out", acting.looking.theme, &body));
    response.headers_mut().append(header::SET_COOKIE, cookie_ending(state.secure));
    Ok(response)
}
