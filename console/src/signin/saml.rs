//! Signing in by SAML 2.0 (web browser SSO profile, requests by HTTP-Redirect, responses by HTTP-POST).
//!
//! ```text
//!  /signin/saml/start/NAME ─▶ provider ─POST─▶ /signin/saml/acs ─▶ /signin/saml/return ─▶ as with OpenID
//!                                              keeps the answer     checks the cookie, then the answer
//! ```
//!
//! Invariants: a response is looked at only if a sign-in that began here waits for it, once, and only in the browser that
//! began it; what it says is read by the helper process alone, and no verdict is a refusal; an assertion works once.
//! The provider's POST comes from another site, where browsers send no cookie that they keep for this one: so it is only put
//! aside, and looked at when the browser comes back to us by itself. Deliberately absent: responses that nobody asked for,
//! logout, encryption.

use super::{
    Arrived, Desk, Problem,
    attempts::{ATTEMPT_SECONDS, ATTEMPTS_MAX, Purpose, hash},
    browser::{Begun, Wanted, begun, busy, failed, go, guarded},
    cookies,
    limits::Source,
    now,
    remembered::Remembered,
    waiting,
};
use access::Who;
use axum::{
    Extension, Form, Router,
    extract::{DefaultBodyLimit, Path, Query, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use identity::Secret;
use saml::helper::{self, Denied, Request};
use saml::metadata::{self, Provider};
use saml::request::{SignOn, new_id};
use saml::{Accepted, Certificate, RESPONSE_BYTES_MAX, SigningKey};
use serde::Deserialize;
use std::{path::PathBuf, sync::Arc, time::Duration};
use subtle::ConstantTimeEq as _;

const START: &str = "/signin/saml/start";
const CONSUMER: &str = "/signin/saml/acs";
const RETURN: &str = "/signin/saml/return";
const METADATA: &str = "/signin/saml/metadata";
/// Largest form with a response: base64 of the longest response, encoded for a form, and its relay state.
const FORM_BYTES_MAX: usize = RESPONSE_BYTES_MAX * 2;
/// Answers that are put aside at a time, each until its browser comes back.
const ANSWERS_MAX: usize = 64;
/// How long that may take, in seconds.
const ANSWER_SECONDS: u64 = 60;
/// How long the helper may take.
const HELPER_LIMIT: Duration = Duration::from_secs(10);

/// Which attributes say what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attributes {
    /// Who it is, for good; the `NameID` if not said.
    pub subject: Option<String>,
    /// Name for databases.
    pub handle: Option<String>,
    /// Name to show.
    pub name: Option<String>,
    /// Groups.
    pub groups: String,
}

/// A provider, as people choose it.
#[derive(Clone, Debug)]
pub struct SamlWay {
    /// Its name: letters, digits, `-`.
    pub name: String,
    /// What its metadata says.
    pub provider: Provider,
    /// What its attributes mean.
    pub attributes: Attributes,
}

/// Everything SAML.
#[derive(Debug)]
pub struct Saml {
    ways: Vec<SamlWay>,
    entity: Option<String>,
    key: SigningKey,
    certificate: Certificate,
    program: PathBuf,
    at_provider: Remembered<AtProvider>,
    answers: Remembered<String>,
}

/// A browser at a provider.
#[derive(Debug)]
struct AtProvider {
    way: usize,
    request: String,
    /// SHA-256 of the browser's cookie.
    browser: [u8; 32],
    purpose: Purpose,
    answered: bool,
}

impl Saml {
    /// `key` and `certificate` sign our requests; `program` is the helper. Without an `entity` the address of our metadata
    /// is our entity id.
    #[must_use]
    pub fn new(
        ways: Vec<SamlWay>,
        entity: Option<String>,
        key: SigningKey,
        certificate: Certificate,
        program: PathBuf,
    ) -> Self {
        let (at_provider, answers) = (Remembered::new(ATTEMPTS_MAX), Remembered::new(ANSWERS_MAX));
        Self { ways, entity, key, certificate, program, at_provider, answers }
    }

    /// Paths that begin a sign-in, and names to show.
    pub(super) fn ways(&self, query: &str) -> impl Iterator<Item = (String, String)> {
        self.ways.iter().map(move |way| (format!("{START}/{}?{query}", way.name), way.name.clone()))
    }

    fn entity(&self, desk: &Desk) -> String {
        self.entity.clone().unwrap_or_else(|| desk.at(METADATA))
    }

    /// Starts a sign-in; the address to go to, and the secret for the browser's cookie.
    fn begin(&self, desk: &Desk, name: &str, purpose: Purpose) -> Result<(String, Secret), Problem> {
        let way = self.ways.iter().position(|way| way.name == name);
        let way = way.ok_or_else(|| Problem::bad("there is no such identity provider"))?;
        let request = new_id().map_err(|_| Problem::broken())?;
        let (relay, cookie) = (Secret::random()?, Secret::random()?);
        let at = now();
        let sign_on = SignOn {
            id: &request,
            now: i64::try_from(at).unwrap_or(i64::MAX),
            sign_on: &self.ways[way].provider.sign_on,
            entity: &self.entity(desk),
            consumer: &desk.at(CONSUMER),
            relay_state: relay.expose(),
            force: false,
        };
        let address = sign_on.url(&self.key).map_err(|_| Problem::broken())?;
        let browser = hash(cookie.expose());
        let attempt = AtProvider { way, request, browser, purpose, answered: false };
        if !self.at_provider.keep(relay.expose(), at + ATTEMPT_SECONDS, attempt, at) {
            return Err(busy());
        }
        Ok((address, cookie))
    }

    /// Asks the helper. Waits for it.
    fn judge(&self, desk: &Desk, attempt: &AtProvider, response: String) -> Result<Accepted, Denied> {
        let provider = &self.ways[attempt.way].provider;
        let request = Request {
            response,
            now: i64::try_from(now()).unwrap_or(i64::MAX),
            issuer: provider.entity.clone(),
            certificates: provider.certificates.iter().map(|c| BASE64.encode(c.der())).collect(),
            audience: self.entity(desk),
            consumer: desk.at(CONSUMER),
            request: attempt.request.clone(),
        };
        helper::check(&self.program, &request, HELPER_LIMIT)
    }
}

/// Who a response is about, by what its attributes mean; why not, otherwise.
fn arrived(accepted: &Accepted, attributes: &Attributes) -> Result<Arrived, &'static str> {
    let one = |name: &Option<String>| {
        let values = name.as_ref().and_then(|name| accepted.attributes.get(name))?;
        if let [only] = values.as_slice() { Some(only.clone()) } else { None }
    };
    let subject = match &attributes.subject {
        Some(_) => one(&attributes.subject).ok_or("the response does not have one value of the subject's attribute")?,
        None if accepted.is_transient() => return Err("the response names nobody: its NameID is transient"),
        None => accepted.subject.clone(),
    };
    let handle = one(&attributes.handle);
    let name = one(&attributes.name).or_else(|| handle.clone()).unwrap_or_else(|| subject.clone());
    Ok(Arrived {
        name,
        handles: handle.into_iter().chain([subject.clone()]).collect(),
        groups: accepted.attributes.get(&attributes.groups).cloned().unwrap_or_default(),
        how: "saml".to_owned(),
        issued_s: None,
        until_s: accepted.session_until.map(|until| u64::try_from(until).unwrap_or(0)),
        who: Who { issuer: accepted.issuer.clone(), subject },
    })
}

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new()
        .route(&format!("{START}/{{name}}"), get(start))
        .route(CONSUMER, post(consume).layer(DefaultBodyLimit::max(FORM_BYTES_MAX)))
        .route(RETURN, get(come_back))
        .route(METADATA, get(ours))
}

fn configured(desk: &Desk) -> Result<&Saml, Problem> {
    let absent = || Problem::new(StatusCode::NOT_FOUND, "not_found", "SAML is not configured here");
    desk.settings.saml.as_ref().ok_or_else(absent)
}

async fn start(
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
        let of = Arc::clone(&desk);
        let (address, cookie) = waiting(move || configured(&of)?.begin(&of, &name, purpose)).await?;
        Ok(go(&address, Some(desk.attempt_cookie(cookie.expose()))))
    };
    left.await.unwrap_or_else(|problem| failed(&problem))
}

fn foreign() -> Problem {
    Problem::bad("this answer belongs to no sign-in that began in this browser; begin again")
}

#[derive(Deserialize)]
struct Posted {
    #[serde(rename = "SAMLResponse")]
    response: String,
    #[serde(rename = "RelayState")]
    relay: String,
}

/// Puts a provider's answer aside. Everything about it is unproven yet, and nothing is said about it.
async fn consume(
    State(desk): State<Arc<Desk>>,
    Extension(source): Extension<Source>,
    Form(posted): Form<Posted>,
) -> Response {
    let put_aside = || {
        let saml = configured(&desk)?;
        let at = now();
        let first = saml.at_provider.with(&posted.relay, at, |attempt| !std::mem::replace(&mut attempt.answered, true));
        if first != Some(true) {
            // Who answers an attempt has paid for it by beginning it; who guesses pays for the guess.
            desk.limits.spend(source)?;
            return Err(foreign());
        }
        if !saml.answers.keep(&posted.relay, at + ANSWER_SECONDS, posted.response, at) {
            return Err(busy());
        }
        let query = url::form_urlencoded::Serializer::new(String::new()).append_pair("state", &posted.relay).finish();
        Ok(go(&format!("{RETURN}?{query}"), None))
    };
    put_aside().unwrap_or_else(|problem: Problem| failed(&problem))
}

#[derive(Deserialize)]
struct Back {
    state: String,
}

async fn come_back(
    State(desk): State<Arc<Desk>>,
    Extension(source): Extension<Source>,
    Query(back): Query<Back>,
    headers: HeaderMap,
) -> Response {
    let came_back = async {
        let saml = configured(&desk)?;
        // Taken whatever comes next: an attempt and its answer are used once.
        let attempt = saml.at_provider.take(&back.state, now());
        let answer = saml.answers.take(&back.state, now());
        let (Some(attempt), Some(answer)) = (attempt, answer) else {
            desk.limits.spend(source)?;
            return Err(foreign());
        };
        let cookie = cookies::attempt(&headers, desk.secure()).ok_or_else(foreign)?;
        if !bool::from(hash(cookie).ct_eq(&attempt.browser)) {
            return Err(foreign());
        }
        let purpose = attempt.purpose.clone();
        let of = Arc::clone(&desk);
        match waiting(move || of.judged(&attempt, answer, source)).await? {
            Ok(arrived) => desk.arrive(purpose, arrived, source).await,
            Err(problem) => Ok(desk.leave_without(&purpose, &problem)),
        }
    };
    let mut response = came_back.await.unwrap_or_else(|problem| failed(&problem));
    response.headers_mut().append(header::SET_COOKIE, desk.no_attempt_cookie());
    response
}

impl Desk {
    /// Who a provider's answer is about. Waits for the helper and the store.
    fn judged(
        &self,
        attempt: &AtProvider,
        answer: String,
        source: Source,
    ) -> Result<Result<Arrived, Problem>, Problem> {
        let saml = configured(self)?;
        let way = &saml.ways[attempt.way];
        let issuer = &way.provider.entity;
        let refused = |why: String| {
            self.turned_away_for(issuer, source, &format!("saml: {why}"));
            Ok(Err(Problem::new(StatusCode::UNAUTHORIZED, "saml", why)))
        };
        let accepted = match saml.judge(self, attempt, answer) {
            Ok(accepted) => accepted,
            Err(denied) => {
                if let Denied::Failed(_) = denied {
                    tracing::error!("{denied}");
                }
                return refused(denied.to_string());
            }
        };
        let forget = u64::try_from(accepted.forget).unwrap_or(u64::MAX);
        if !self.engine.once(&format!("saml {issuer} {}", accepted.assertion), forget)? {
            return refused("this answer was used before".to_owned());
        }
        match arrived(&accepted, &way.attributes) {
            Ok(arrived) => Ok(Ok(arrived)),
            Err(why) => refused(why.to_owned()),
        }
    }
}

/// Our metadata, for the provider's operator.
async fn ours(State(desk): State<Arc<Desk>>) -> Response {
    match configured(&desk) {
        Err(problem) => failed(&problem),
        Ok(saml) => {
            let text = metadata::ours(&saml.entity(&desk), &desk.at(CONSUMER), &saml.certificate);
            guarded(([(header::CONTENT_TYPE, "application/samlmetadata+xml")], text).into_response())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(format: &str) -> Accepted {
        let values = |values: &[&str]| values.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        Accepted {
            issuer: "https://idp.example".to_owned(),
            subject: "a1b2".to_owned(),
            format: format.to_owned(),
            attributes: [
                ("uid".to_owned(), values(&["alice"])),
                ("groups".to_owned(), values(&["eng", "leads"])),
                ("two".to_owned(), values(&["alice", "bob"])),
            ]
            .into(),
            assertion: "_a".to_owned(),
            forget: 1,
            session_until: Some(-1),
        }
    }

    #[test]
    fn a_response_is_about_one_person() {
        let attributes =
            Attributes { subject: None, handle: Some("uid".to_owned()), name: None, groups: "groups".to_owned() };
        let found = arrived(&accepted(""), &attributes).unwrap();
        assert_eq!((found.who.subject.as_str(), found.name.as_str()), ("a1b2", "alice"));
        assert_eq!(found.handles, ["alice", "a1b2"]);
        assert_eq!(found.groups, ["eng", "leads"]);
        assert_eq!(found.until_s, Some(0), "a session that is over is over");
        const TRANSIENT: &str = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient";
        assert!(arrived(&accepted(TRANSIENT), &attributes).is_err());
        let by = |subject: &str| Attributes { subject: Some(subject.to_owned()), ..attributes.clone() };
        assert_eq!(arrived(&accepted(TRANSIENT), &by("uid")).unwrap().who.subject, "alice");
        assert!(arrived(&accepted(""), &by("two")).is_err(), "which of them?");
        assert!(arrived(&accepted(""), &by("none")).is_err());
    }
}
