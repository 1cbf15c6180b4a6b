//! What browsers see of signing in: the choice of a provider, the way there and back, signing out.

use super::{
    Arrived, Desk, Problem,
    attempts::{ATTEMPT_SECONDS, AtProvider, CODE_SECONDS, Finished, Purpose, hash},
    cookies,
    limits::Source,
    now, waiting,
};
use axum::{
    Extension, Form, Router,
    extract::{Path, Query, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use identity::{
    Secret,
    flow::{self, CodeAnswer},
};
use maud::{Markup, html};
use serde::Deserialize;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;
use url::Url;

/// Path of the answers of OpenID providers: each has one of its own, so that none can pass on another's (RFC 9700, 4.4).
pub(super) const CALLBACK: &str = "/signin/oidc/callback";

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route("/login", get(choice))
        .route("/login/oidc/{provider}", get(leave))
        .route(&format!("{CALLBACK}/{{provider}}"), get(callback))
        .route("/logout", post(logout))
}

/// What a sign-in is for: `request` of a command line, or a path to `return` to.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Wanted {
    request: Option<String>,
    #[serde(rename = "return")]
    back: Option<String>,
}

impl Wanted {
    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        if let Some(request) = &self.request {
            query.append_pair("request", request);
        }
        if let Some(back) = &self.back {
            query.append_pair("return", back);
        }
        query.finish()
    }

    fn purpose(&self, desk: &Desk) -> Result<Purpose, Problem> {
        let Some(request) = &self.request else {
            return Ok(Purpose::Page(inside(self.back.as_deref().unwrap_or("/")).to_owned()));
        };
        let waiting = desk.attempts.waiting.with(request, now(), |waiting| waiting.clone());
        let waiting = waiting.ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, "over", "this sign-in has ended; run `tidegate login` again")
        })?;
        Ok(Purpose::CommandLine(request.clone(), waiting))
    }
}

/// A path of this console, or its first page: an address of anywhere else never.
fn inside(path: &str) -> &str {
    let plain = path.len() <= 512 && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\');
    let base = "http://console.invalid";
    let stays = Url::parse(base).and_then(|at| at.join(path)).is_ok_and(|to| {
        to.origin() == Url::parse(base).map_or_else(|_| to.origin(), |at| at.origin())
            && to.host_str() == Some("console.invalid")
    });
    if plain && stays && path.starts_with('/') && !path.starts_with("//") { path } else { "/" }
}

async fn choice(State(desk): State<Arc<Desk>>, Query(wanted): Query<Wanted>) -> Response {
    let purpose = match wanted.purpose(&desk) {
        Ok(purpose) => purpose,
        Err(problem) => return failed(&problem),
    };
    let query = wanted.query();
    let ways: Vec<(String, String)> = desk
        .providers
        .people()
        .map(|provider| {
            let name = provider.issuer().name.clone();
            (format!("/login/oidc/{name}?{query}"), name)
        })
        .chain(desk.settings.saml.iter().flat_map(|saml| saml.ways(&query)))
        .chain(desk.settings.others.iter().map(|way| (format!("{}?{query}", way.path), way.name.clone())))
        .collect();
    match (&purpose, ways.as_slice()) {
        (Purpose::Page(_), [(only, _)]) => go(only, None),
        _ => page(
            StatusCode::OK,
            "Sign in",
            html! {
                @if let Purpose::CommandLine(_, waiting) = &purpose {
                    p { "A command line asks to sign in as you:" }
                    dl {
                        dt { "Program" } dd { (waiting.client) }
                        dt { "From" } dd { (waiting.source.0) }
                    }
                    p { "Go on only if you have just started it yourself." }
                }
                @if ways.is_empty() { p { "No identity provider is configured." } }
                ul.ways {
                    @for (path, name) in &ways { li { a.button href=(path) { "Sign in with " (name) } } }
                }
            },
        ),
    }
}

async fn leave(
    State(desk): State<Arc<Desk>>,
    Extension(source): Extension<Source>,
    Path(name): Path<String>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let left = async {
        let purpose = match begun(&desk, source, &wanted, &headers)? {
            Begun::For(purpose) => purpose,
            Begun::Asks(question) => return Ok(question),
        };
        let provider = desk.providers.people().find(|p| p.issuer().name == name).cloned();
        let provider = provider.ok_or_else(|| Problem::bad("there is no such identity provider"))?;
        let back = desk.at(&format!("{CALLBACK}/{name}"));
        let pending = waiting(move || Ok(flow::begin_code(&provider, &back)?)).await?;
        let cookie = Secret::random()?;
        let (state, address) = (pending.state.clone(), pending.address.clone());
        let attempt = AtProvider { provider: name, pending, browser: hash(cookie.expose()), purpose };
        let at = now();
        if !desk.attempts.at_provider.keep(state.expose(), at + ATTEMPT_SECONDS, attempt, at) {
            return Err(busy());
        }
        Ok(go(&address, Some(desk.attempt_cookie(cookie.expose()))))
    };
    left.await.unwrap_or_else(|problem| failed(&problem))
}

/// What becomes of somebody who goes to the address of a provider.
pub(super) enum Begun {
    /// They sign in for this.
    For(Purpose),
    /// They are asked first.
    Asks(Response),
}

/// The beginning of every sign-in at a provider.
pub(super) fn begun(desk: &Desk, source: Source, wanted: &Wanted, headers: &HeaderMap) -> Result<Begun, Problem> {
    desk.limits.spend(source)?;
    // The loading of an image on another site's page is not somebody who signs in.
    if headers.get("sec-fetch-dest").is_some_and(|to| to != "document") {
        return Err(Problem::bad("a sign-in begins by going to its address"));
    }
    let purpose = wanted.purpose(desk)?;
    Ok(match unasked(&purpose, wanted, headers) {
        Some(question) => Begun::Asks(question),
        None => Begun::For(purpose),
    })
}

/// A command line signs somebody in only after they were asked here whether they started it: another site's page, or a
/// link, leads to the question.
fn unasked(purpose: &Purpose, wanted: &Wanted, headers: &HeaderMap) -> Option<Response> {
    let asked = headers.get("sec-fetch-site").is_none_or(|site| site == "same-origin");
    let skipped = matches!(purpose, Purpose::CommandLine(..)) && !asked;
    skipped.then(|| go(&format!("/login?{}", wanted.query()), None))
}

pub(super) fn busy() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "busy", "too many people are signing in; try again in some minutes")
}

/// What a provider sends back. What else it sends is passed over.
#[derive(Debug, Deserialize)]
struct Answer {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

async fn callback(
    State(desk): State<Arc<Desk>>,
    Extension(source): Extension<Source>,
    Path(asked): Path<String>,
    Query(answer): Query<Answer>,
    headers: HeaderMap,
) -> Response {
    let came_back = async {
        desk.limits.spend(source)?;
        let foreign = || Problem::bad("this answer belongs to no sign-in that began in this browser; begin again");
        let state = answer.state.as_deref().ok_or_else(foreign)?;
        // Taken whatever comes next: an attempt is used once.
        let attempt = desk.attempts.at_provider.take(state, now()).ok_or_else(foreign)?;
        let cookie = cookies::attempt(&headers, desk.secure()).ok_or_else(foreign)?;
        if !bool::from(hash(cookie).ct_eq(&attempt.browser)) {
            return Err(foreign());
        }
        let AtProvider { provider: name, pending, purpose, .. } = attempt;
        if name != asked {
            return Err(foreign());
        }
        let provider = desk.providers.named(&name).cloned().ok_or_else(foreign)?;
        let issuer = provider.issuer().url.clone();
        let answer = CodeAnswer {
            code: answer.code.map(Secret::new),
            state: answer.state.map(Secret::new),
            issuer: answer.iss,
            error: answer.error,
        };
        let validated = tokio::task::spawn_blocking(move || flow::finish_code(&provider, pending, &answer, now()));
        match validated.await.map_err(|_| Problem::broken())? {
            Ok(validated) => desk.arrive(purpose, Arrived::of(&validated, "oidc"), source).await,
            Err(error) => {
                let of = Arc::clone(&desk);
                let told = error.clone();
                waiting(move || {
                    of.turned_away(&issuer, source, &told);
                    Ok(())
                })
                .await?;
                Ok(desk.leave_without(&purpose, &error.into()))
            }
        }
    };
    let mut response = came_back.await.unwrap_or_else(|problem| failed(&problem));
    response.headers_mut().append(header::SET_COOKIE, desk.no_attempt_cookie());
    response
}

impl Desk {
    /// Somebody arrived in a browser: signs it in, or sends it to the command line that waits.
    pub(super) async fn arrive(
        self: &Arc<Self>,
        purpose: Purpose,
        arrived: Arrived,
        source: Source,
    ) -> Result<Response, Problem> {
        match purpose {
            Purpose::Page(path) => {
                let desk = Arc::clone(self);
                let (sign_in, _, token) = waiting(move || desk.welcome(&arrived, source)).await?;
                let seconds = sign_in.until_s.saturating_sub(sign_in.from_s);
                Ok(go(&path, Some(self.session_cookie(&token, seconds))))
            }
            Purpose::CommandLine(request, waiting) => {
                let at = now();
                // The request is used up, so another browser with its address gets nowhere.
                self.attempts.waiting.take(&request, at).ok_or_else(|| Problem::bad("this sign-in was used before"))?;
                let code = Secret::random()?;
                let finished = Finished { arrived, challenge: waiting.challenge };
                if !self.attempts.finished.keep(code.expose(), at + CODE_SECONDS, finished, at) {
                    return Err(busy());
                }
                Ok(go(&back_to(&waiting.redirect, &waiting.state, "code", code.expose()), None))
            }
        }
    }

    /// Nobody arrived: tells whoever waits.
    pub(super) fn leave_without(&self, purpose: &Purpose, problem: &Problem) -> Response {
        match purpose {
            Purpose::Page(_) => failed(problem),
            Purpose::CommandLine(_, waiting) => {
                go(&back_to(&waiting.redirect, &waiting.state, "error", problem.code), None)
            }
        }
    }
}

fn back_to(redirect: &str, state: &str, name: &str, value: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair(name, value).append_pair("state", state);
    format!("{redirect}?{}", query.finish())
}

#[derive(Debug, Deserialize)]
struct Leaving {
    csrf: String,
}

async fn logout(State(desk): State<Arc<Desk>>, headers: HeaderMap, Form(leaving): Form<Leaving>) -> Response {
    let token = session_token_of(&desk, &headers);
    let of = Arc::clone(&desk);
    let left = waiting(move || {
        let (sign_in, _) = of.engine.authenticate(&token.ok_or_else(Problem::signed_out)?)?;
        if !bool::from(sign_in.csrf.as_bytes().ct_eq(leaving.csrf.as_bytes())) {
            return Err(Problem::new(StatusCode::FORBIDDEN, "csrf", "this form is not from here or too old"));
        }
        Ok(of.engine.sign_out(&sign_in)?)
    })
    .await;
    match left {
        Ok(()) => {
            let mut response = page(
                StatusCode::OK,
                "Signed out",
                html! {
                    p { "You have signed out. Passwords for databases that you got here no longer work." }
                    p { a.button href="/login" { "Sign in" } }
                },
            );
            response.headers_mut().append(header::SET_COOKIE, desk.no_session_cookie());
            response
        }
        Err(problem) => failed(&problem),
    }
}

fn session_token_of(desk: &Desk, headers: &HeaderMap) -> Option<String> {
    cookies::session_token(headers, desk.secure()).map(str::to_owned)
}

pub(super) fn go(to: &str, cookie: Option<HeaderValue>) -> Response {
    let Ok(to) = HeaderValue::from_str(to) else { return failed(&Problem::broken()) };
    let mut response = StatusCode::SEE_OTHER.into_response();
    response.headers_mut().insert(header::LOCATION, to);
    if let Some(cookie) = cookie {
        response.headers_mut().append(header::SET_COOKIE, cookie);
    }
    guarded(response)
}

pub(super) fn failed(problem: &Problem) -> Response {
    page(
        problem.status,
        "Not signed in",
        html! {
            p { (problem.message) }
            p { a.button href="/login" { "Sign in to the console" } }
        },
    )
}

fn page(status: StatusCode, title: &str, content: Markup) -> Response {
    guarded(crate::pages::door(status, title, &content))
}

/// Pages and ways of a sign-in are kept nowhere and tell nobody where they were.
pub(super) fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (
            header::CONTENT_SECURITY_POLICY,
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn a_sign_in_returns_to_this_console_alone() {
        for good in ["/", "/requests/TG-7F3K9QXM", "/a?b=c#d", "/a//b"] {
            assert_eq!(inside(good), good);
        }
        for bad in [
            "//evil.example.com",
            "/\\evil.example.com",
            "https://evil.example.com",
            "\\\\evil",
            "javascript:alert(1)",
            "evil",
            "",
            "/a\r\nSet-Cookie: x=y",
            "/\tevil",
            "///evil.example.com",
            "/a b",
            "/\u{e4}",
        ] {
            assert_eq!(inside(bad), "/", "{bad:?}");
        }
    }
}
