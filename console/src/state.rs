//! What every handler has, and who stands behind a request.
//!
//! [`Looking`] is a page's visitor; [`Acting`] is one who changes something: a POST from a page of this site, with the token
//! of their own sign-in. A handler that takes neither is open to everybody, and there are few.

use crate::failure::Failure;
use crate::notify::Inbound;
use crate::signin::{Desk, Source, session_token};
use crate::{speak, webauthn, world::World};
use access::{Engine, Person, SignIn};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, header};
use axum::response::{IntoResponse, Response};
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// Largest form.
pub(crate) const FORM_BYTES_MAX: usize = 64 << 10;

/// The state of handlers.
pub type Shared = Arc<State>;

/// What every handler has.
pub struct State {
    /// The rules about people.
    pub engine: Arc<Engine>,
    /// The gateway.
    pub world: Arc<dyn World>,
    /// Where browsers reach this, without a path: `https://tidegate.example:8443`.
    pub origin: String,
    /// That is HTTPS.
    pub secure: bool,
    /// Where people sign in.
    pub desk: Arc<Desk>,
    /// Programs that vote by signed messages.
    pub inbound: Inbound,
    pub(crate) host: String,
    pub(crate) ceremonies: webauthn::Ceremonies,
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("State").field("origin", &self.origin).finish_non_exhaustive()
    }
}

impl State {
    /// With the desk's engine and address. Plain HTTP is for loopback names alone.
    ///
    /// # Errors
    /// The address is not an origin, or not HTTPS and not on this machine.
    pub fn new(world: Arc<dyn World>, desk: Arc<Desk>, inbound: Inbound) -> Result<Self, String> {
        let parsed = desk.url();
        let url = parsed.as_str();
        let secure = parsed.scheme() == "https";
        let local = matches!(parsed.host_str(), Some("localhost" | "127.0.0.1" | "[::1]"));
        if !(secure || parsed.scheme() == "http" && local) {
            return Err(format!("the console's url {url:?} must begin with https:// (http:// only for localhost)"));
        }
        let bare = parsed.path() == "/" && parsed.query().is_none() && parsed.fragment().is_none();
        if !bare || !parsed.username().is_empty() || parsed.password().is_some() {
            return Err(format!("the console's url {url:?} must have no path, query, or user"));
        }
        let origin = parsed.origin().ascii_serialization();
        let host = origin.split_once("://").map_or_else(String::new, |(_, host)| host.to_owned());
        Ok(Self {
            engine: Arc::clone(desk.engine()),
            world,
            origin,
            secure,
            desk,
            inbound,
            host,
            ceremonies: webauthn::Ceremonies::default(),
        })
    }

    /// Where authenticators are used.
    pub(crate) fn site(&self) -> webauthn::Site<'_> {
        let id = self.host.rsplit_once(':').map_or(self.host.as_str(), |(host, _)| host);
        webauthn::Site { origin: &self.origin, id }
    }

    /// Is the request sent by a page of this site? By `Origin`, and by `Sec-Fetch-Site` where the browser tells.
    pub(crate) fn is_own_page(&self, headers: &HeaderMap) -> bool {
        let text = |name: &str| headers.get(name).map(|value| value.to_str().unwrap_or("?"));
        let site = text("sec-fetch-site");
        let origin = text("origin");
        (origin.is_some() || site.is_some())
            && origin.is_none_or(|origin| origin == self.origin)
            && site.is_none_or(|site| site == "same-origin")
    }
}

/// Runs something that may wait: the engine's rules, the store, the log.
///
/// # Errors
/// What it says.
pub(crate) async fn work<T: Send + 'static>(
    state: &Shared,
    run: impl FnOnce(&State) -> Result<T, Failure> + Send + 'static,
) -> Result<T, Failure> {
    let state = Arc::clone(state);
    match tokio::task::spawn_blocking(move || run(&state)).await {
        Ok(done) => done,
        Err(_) => {
            tracing::error!("a request of the console panicked");
            Err(Failure::new(axum::http::StatusCode::INTERNAL_SERVER_ERROR, "broken", "something broke; it is logged"))
        }
    }
}

/// A path of this site, with its query, that may be redirected to; nothing for what could lead elsewhere.
#[must_use]
pub fn local_path(path: &str) -> Option<&str> {
    let plain = path.bytes().all(|byte| (0x21..0x7f).contains(&byte) && byte != b'\\');
    let local = path.starts_with('/') && !path.starts_with("//") && path.len() <= 2048;
    (plain && local).then_some(path)
}

/// Somebody who looks at a page.
#[derive(Clone, Debug)]
pub(crate) struct Looking {
    /// Their sign-in.
    pub(crate) sign_in: SignIn,
    /// Who.
    pub(crate) person: Person,
    /// From where.
    pub(crate) peer: Source,
    /// Theme they chose: `light`, `dark`, or empty for what their system says.
    pub(crate) theme: &'static str,
    /// Path of the page.
    pub(crate) path: String,
}

impl Looking {
    /// Address, as records have it.
    pub(crate) fn source(&self) -> String {
        self.peer.0.to_string()
    }
}

/// Theme chosen by a switch on the page.
pub(crate) fn theme(headers: &HeaderMap) -> &'static str {
    let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
    match pairs.find(|(name, _)| *name == "theme") {
        Some((_, "dark")) => "dark",
        Some((_, "light")) => "light",
        _ => "",
    }
}

/// Where a request came from.
pub(crate) fn peer(parts: &Parts) -> Source {
    parts
        .extensions
        .get::<Source>()
        .copied()
        .unwrap_or(const { Source(std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED)) })
}

impl FromRequestParts<Shared> for Looking {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Response> {
        let signed_in = session_token(&parts.headers, state.secure)
            .ok_or(access::AccessError::SignedOut)
            .and_then(|token| state.engine.authenticate(token));
        match signed_in {
            Ok((sign_in, person)) => Ok(Self {
                sign_in,
                person,
                peer: peer(parts),
                theme: theme(&parts.headers),
                path: parts.uri.path().to_owned(),
            }),
            Err(_) if parts.method == Method::GET => {
                let wanted = parts.uri.path_and_query().map_or("/", |path| path.as_str());
                let next: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
                Err(speak::see(&format!("/login?return={next}")))
            }
            Err(error) => Err(Failure::from(error).into_response()),
        }
    }
}

/// Fields of a form, in order.
#[derive(Clone, Default)]
pub(crate) struct Fields(Vec<(String, String)>);

impl std::fmt::Debug for Fields {
    // Fields may be secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

impl Fields {
    /// Reads `application/x-www-form-urlencoded`.
    pub(crate) fn parse(bytes: &[u8]) -> Self {
        Self(url::form_urlencoded::parse(bytes).into_owned().collect())
    }

    /// The field's value; empty if there is none.
    pub(crate) fn get(&self, name: &str) -> &str {
        self.0.iter().find(|(of, _)| of == name).map_or("", |(_, value)| value.as_str())
    }
}

/// Somebody who changes something by a form or a script of a page of this site.
#[derive(Clone, Debug)]
pub(crate) struct Acting {
    /// Who, as for looking.
    pub(crate) looking: Looking,
    /// What the form holds.
    pub(crate) fields: Fields,
}

impl FromRequest<Shared> for Acting {
    type Rejection = Response;

    async fn from_request(request: Request, state: &Shared) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let looking = Looking::from_request_parts(&mut parts, state).await?;
        let form = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if parts.method != Method::POST || !form.starts_with("application/x-www-form-urlencoded") {
            return Err(Failure::invalid("this takes a form").into_response());
        }
        let bytes = axum::body::to_bytes(body, FORM_BYTES_MAX)
            .await
            .map_err(|_| Failure::invalid("the form is too large, or was cut off").into_response())?;
        let fields = Fields::parse(&bytes);
        if !state.is_own_page(&parts.headers) || !is_token(&looking.sign_in, fields.get("csrf")) {
            let refused = "cross_site_refused";
            let (who, source, path) =
                (looking.person.who.clone(), looking.peer.0.to_string(), parts.uri.path().to_owned());
            let told = work(state, move |state| {
                state.engine.refused(refused, &who, &source, path);
                Ok(())
            });
            // Nothing happened, so nothing depends on the record.
            let _recorded = told.await;
            let why = "this form is not from a page of yours, or the page is older than your sign-in: reload it and try again";
            return Err(Failure::forbidden(why).into_response());
        }
        Ok(Self { looking, fields })
    }
}

/// Is it the token of this sign-in's pages?
pub(crate) fn is_token(sign_in: &SignIn, shown: &str) -> bool {
    !shown.is_empty() && bool::from(sign_in.csrf.as_bytes().ct_eq(shown.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_of_this_site_are_redirected_to() {
        for good in ["/", "/approvals/TG-7F3K9QXM", "/sessions?user=ann&page=2#top"] {
            assert_eq!(local_path(good), Some(good));
        }
        for bad in [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "\\\\evil",
            "javascript:alert(1)",
            "evil",
            "/\t/evil.example",
            "/a\r\nSet-Cookie: x=y",
            " /x",
            "/é",
        ] {
            assert_eq!(local_path(bad), None, "{bad:?}");
        }
    }
}
