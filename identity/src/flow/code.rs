//! Authorization code with PKCE (RFC 6749, section 4.1; RFC 7636; RFC 9207), as OpenID Connect Core has it.
//!
//! Every sign-in has its own state, nonce and verifier. The answer must carry the state, and the issuer's name where the
//! provider gives one; the code is sent to the one provider that the sign-in began with.

use super::{ask, code_of, endpoint, members, scopes, signed_in};
use crate::{fault::Error, provider::Provider, secret::Secret, validate::Validated};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use sha2::{Digest as _, Sha256};
use url::Url;

/// A sign-in that has begun. Kept by who began it; used once.
#[derive(Debug)]
pub struct CodePending {
    /// Where the browser has to go.
    pub address: String,
    /// What the answer has to carry.
    pub state: Secret,
    nonce: Secret,
    verifier: Secret,
    redirect: String,
}

/// What the browser brought back.
#[derive(Debug, Default)]
pub struct CodeAnswer {
    /// `code`.
    pub code: Option<Secret>,
    /// `state`.
    pub state: Option<Secret>,
    /// `iss` (RFC 9207).
    pub issuer: Option<String>,
    /// `error`.
    pub error: Option<String>,
}

/// Begins a sign-in whose answer comes to this address.
///
/// # Errors
/// The provider cannot be reached or has no such flow.
pub fn begin_code(provider: &Provider, redirect: &str) -> Result<CodePending, Error> {
    let issuer = provider.issuer();
    let client = issuer.client_id.as_deref().ok_or(Error::Unconfigured("it has no client identifier"))?;
    let metadata = provider.metadata()?;
    let base = endpoint(metadata.authorization.as_ref(), "its provider has no sign-in page")?;
    let mut address = Url::parse(base).map_err(|_| Error::provider("its sign-in page", "not an address"))?;
    let (state, nonce, verifier) = (Secret::random()?, Secret::random()?, Secret::random()?);
    let challenge = BASE64.encode(Sha256::digest(verifier.expose().as_bytes()));
    {
        let mut query = address.query_pairs_mut();
        query
            .append_pair("response_type", "code")
            .append_pair("client_id", client)
            .append_pair("redirect_uri", redirect)
            .append_pair("scope", &scopes(provider))
            .append_pair("state", state.expose())
            .append_pair("nonce", nonce.expose())
            .append_pair("code_challenge", &challenge)
            .append_pair("code_challenge_method", "S256");
        if let Some(resource) = &issuer.resource {
            query.append_pair("resource", resource);
        }
    }
    Ok(CodePending { address: address.into(), state, nonce, verifier, redirect: redirect.to_owned() })
}

/// Finishes a sign-in at this time (seconds since 1970).
///
/// # Errors
/// The answer is not that of this sign-in, the person was refused, or the token does not hold.
pub fn finish_code(
    provider: &Provider,
    pending: CodePending,
    answer: &CodeAnswer,
    now: u64,
) -> Result<Validated, Error> {
    let metadata = provider.metadata()?;
    let state = answer.state.as_ref().ok_or(Error::Answer("it has no state"))?;
    if !pending.state.is(state.expose()) {
        return Err(Error::Answer("its state is another one"));
    }
    match &answer.issuer {
        Some(issuer) if *issuer != provider.issuer().url => {
            return Err(Error::Answer("it comes from another issuer"));
        }
        None if metadata.names_itself => return Err(Error::Answer("it does not name its issuer")),
        _ => {}
    }
    if let Some(code) = &answer.error {
        return Err(Error::Refused(code_of(code)));
    }
    let code = answer.code.as_ref().ok_or(Error::Answer("it has no code"))?;
    let url = endpoint(metadata.token.as_ref(), "its provider has no token endpoint")?;
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("redirect_uri", pending.redirect.as_str()),
        ("code_verifier", pending.verifier.expose()),
    ];
    if let Some(resource) = &provider.issuer().resource {
        fields.push(("resource", resource));
    }
    const WHAT: &str = "its tokens";
    let tokens = members(WHAT, &ask(provider, &metadata, WHAT, url, &fields, now)?)?;
    signed_in(provider, &metadata, &tokens, Some(pending.nonce.expose()), now)
}
