//! The ways to a token: authorization code with PKCE, device grant, client credentials.
//!
//! The gateway is the client in the first two. What has to be kept between the steps is a value that the caller keeps, shows
//! to nobody and uses once.

mod client;
mod code;
mod device;

pub use client::{ClientCredentials, client_credentials};
pub use code::{CodeAnswer, CodePending, begin_code, finish_code};
pub use device::{DevicePending, DevicePoll, begin_device, poll_device};

use crate::{
    fault::Error,
    issuer::ClientAuth,
    json,
    provider::{Metadata, Provider},
    rule::lookup,
    secret::Secret,
    validate::{Expect, Validated},
    web::Answered,
};
use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use serde_json::{Map, Value};
use zeroize::Zeroizing;

/// Largest answer of a token endpoint.
const ANSWER_BYTES_MAX: usize = 128 << 10;

/// Sends a form to an endpoint as the provider's client.
fn ask(
    provider: &Provider,
    metadata: &Metadata,
    what: &'static str,
    url: &str,
    fields: &[(&str, &str)],
    now: u64,
) -> Result<Answered, Error> {
    let issuer = provider.issuer();
    let client = issuer.client_id.as_deref().ok_or(Error::Unconfigured("it has no client identifier"))?;
    let assertion;
    let mut fields = fields.to_vec();
    let mut authorization = None;
    match &issuer.client_auth {
        ClientAuth::Public => fields.push(("client_id", client)),
        ClientAuth::Secret(secret) if metadata.secret_in_form => {
            fields.extend([("client_id", client), ("client_secret", secret.expose())]);
        }
        ClientAuth::Secret(secret) => authorization = Some(basic(client, secret)),
        ClientAuth::PrivateKey(signer) => {
            // The audience is the issuer: an assertion for an endpoint alone could be passed on by a false one
            // (OpenID Foundation, "Audience injection", 2025).
            assertion = signer.assertion(client, &issuer.url, now)?;
            fields.extend([
                ("client_id", client),
                ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
                ("client_assertion", assertion.expose()),
            ]);
        }
    }
    provider.web().form(what, url, &fields, authorization.as_ref().map(|a| a.as_str()), ANSWER_BYTES_MAX)
}

/// RFC 6749, section 2.3.1: both parts are encoded as in a form first.
fn basic(client: &str, secret: &Secret) -> Zeroizing<String> {
    let encode = |text: &str| -> String { url::form_urlencoded::byte_serialize(text.as_bytes()).collect() };
    let pair = Zeroizing::new(format!("{}:{}", encode(client), encode(secret.expose())));
    Zeroizing::new(format!("Basic {}", BASE64.encode(pair.as_bytes())))
}

/// The members of an answer, or the code of its refusal.
fn members(what: &'static str, answer: &Answered) -> Result<Map<String, Value>, Error> {
    let members = json::object(&answer.body).map_err(|_| {
        if answer.status == 200 {
            Error::provider(what, "the answer is not JSON")
        } else {
            crate::web::status(what, answer.status)
        }
    })?;
    if answer.status == 200 {
        return Ok(members);
    }
    match members.get("error").and_then(Value::as_str) {
        Some(code) => Err(Error::Refused(code_of(code))),
        None => Err(crate::web::status(what, answer.status)),
    }
}

/// A code as RFC 6749 has them, or a word that says that it is none.
pub(crate) fn code_of(code: &str) -> String {
    let plain = !code.is_empty() && code.len() <= 64;
    if plain && code.bytes().all(|b| b.is_ascii_lowercase() || b == b'_') { code.to_owned() } else { "unknown".into() }
}

fn secret(members: &Map<String, Value>, name: &str) -> Option<Secret> {
    members.get(name).and_then(Value::as_str).map(Secret::new)
}

/// Makes an identity of a token endpoint's answer to a sign-in.
fn signed_in(
    provider: &Provider,
    metadata: &Metadata,
    members: &Map<String, Value>,
    nonce: Option<&str>,
    now: u64,
) -> Result<Validated, Error> {
    let id_token = secret(members, "id_token").ok_or(Error::Answer("it has no ID token; is `openid` a scope?"))?;
    let access_token = secret(members, "access_token");
    let expect = Expect::IdToken { nonce, access_token: access_token.as_ref().map(Secret::expose) };
    let mut validated = provider.validate(id_token.expose(), expect, now)?;
    // Many providers keep the ID token small and tell the rest to who asks with the access token.
    let missing = validated.groups.is_empty() || validated.names.handle.is_none();
    if missing && let (Some(url), Some(token)) = (&metadata.userinfo, &access_token) {
        add_userinfo(provider, url, token, &mut validated)?;
    }
    Ok(validated)
}

fn add_userinfo(provider: &Provider, url: &str, token: &Secret, validated: &mut Validated) -> Result<(), Error> {
    const WHAT: &str = "its claims";
    let body = provider.web().with_token(WHAT, url, token, ANSWER_BYTES_MAX)?;
    let claims = json::object(&body).map_err(|_| Error::provider(WHAT, "they are not JSON"))?;
    // OpenID Connect Core, section 5.3.2: another subject's claims are not this one's.
    if claims.get("sub").and_then(Value::as_str) != Some(validated.subject.as_str()) {
        return Err(Error::Answer("the claims are of another subject"));
    }
    let issuer = provider.issuer();
    if validated.groups.is_empty() && lookup(&claims, &issuer.groups.claim).is_some() {
        validated.groups = crate::validate::groups(issuer, &claims).map_err(Error::Token)?.0;
    }
    let names = crate::validate::names(issuer, &claims);
    let own = &mut validated.names;
    own.handle = own.handle.take().or(names.handle);
    own.display = own.display.take().or(names.display);
    own.email = own.email.take().or(names.email);
    Ok(())
}

/// An endpoint that a flow needs.
fn endpoint<'a>(url: Option<&'a String>, what: &'static str) -> Result<&'a str, Error> {
    url.map(String::as_str).ok_or(Error::Unconfigured(what))
}

/// The scopes to ask for.
fn scopes(provider: &Provider) -> String {
    let mut scopes = vec!["openid"];
    for scope in &provider.issuer().scopes {
        if !scopes.contains(&scope.as_str()) {
            scopes.push(scope);
        }
    }
    scopes.join(" ")
}
