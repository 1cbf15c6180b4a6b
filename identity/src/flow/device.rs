//! Device grant (RFC 8628): the person signs in on another device, with a code that is shown here.
//!
//! The device code stays with the gateway; who asked for it gets only what has to be shown. The page where the code is
//! confirmed is the provider's.

use super::{ask, endpoint, members, scopes, signed_in};
use crate::{
    fault::Error,
    issuer::{check_address, loopback},
    provider::Provider,
    secret::Secret,
    validate::Validated,
};
use serde_json::Value;

/// Shortest wait between two questions, in seconds.
const INTERVAL_SECONDS_MIN: u64 = 1;
/// Usual wait between two questions, in seconds (RFC 8628, section 3.2).
const INTERVAL_SECONDS: u64 = 5;
/// Longest life of a code, in seconds, whatever the provider says.
const LIFE_SECONDS_MAX: u64 = 600;

/// A sign-in on another device that has begun.
#[derive(Debug)]
pub struct DevicePending {
    /// The code to show.
    pub user_code: String,
    /// Where it is typed.
    pub address: String,
    /// Where it need not be typed.
    pub address_complete: Option<String>,
    /// When it ends, seconds since 1970.
    pub expires: u64,
    /// Seconds to wait between two questions.
    pub interval: u64,
    code: Secret,
}

/// How a sign-in on another device stands.
#[derive(Debug)]
pub enum DevicePoll {
    /// The person has not finished.
    Pending,
    /// Done.
    Done(Box<Validated>),
    /// Denied, over, or refused for another reason.
    Failed(Error),
}

/// Begins a sign-in at this time (seconds since 1970).
///
/// # Errors
/// The provider cannot be reached or has no such flow.
pub fn begin_device(provider: &Provider, now: u64) -> Result<DevicePending, Error> {
    const WHAT: &str = "its device codes";
    let metadata = provider.metadata()?;
    let url = endpoint(metadata.device.as_ref(), "its provider has no device grant")?;
    let scopes = scopes(provider);
    let mut fields = vec![("scope", scopes.as_str())];
    if let Some(resource) = &provider.issuer().resource {
        fields.push(("resource", resource));
    }
    // Some providers want to be told who asks here too, although authentication says it (RFC 8628, section 3.1).
    if let (Some(client), true) =
        (&provider.issuer().client_id, matches!(provider.issuer().client_auth, crate::ClientAuth::Secret(_)))
        && !metadata.secret_in_form
    {
        fields.push(("client_id", client));
    }
    let answer = members(WHAT, &ask(provider, &metadata, WHAT, url, &fields, now)?)?;
    let text = |name: &str| answer.get(name).and_then(Value::as_str);
    let plain = loopback(&provider.issuer().url);
    let address = |name: &str| match text(name) {
        Some(url) if check_address(url, plain).is_ok() => Ok(Some(url.to_owned())),
        Some(_) => Err(Error::provider(WHAT, "they are confirmed at an address without TLS")),
        None => Ok(None),
    };
    let user_code = text("user_code")
        .filter(|code| (4..=64).contains(&code.len()) && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
    let life = answer.get("expires_in").and_then(Value::as_u64).unwrap_or(LIFE_SECONDS_MAX).min(LIFE_SECONDS_MAX);
    let interval = answer.get("interval").and_then(Value::as_u64).unwrap_or(INTERVAL_SECONDS);
    let missing = |what| Error::provider(WHAT, what);
    Ok(DevicePending {
        user_code: user_code.ok_or_else(|| missing("no code to show"))?.to_owned(),
        address: address("verification_uri")?.ok_or_else(|| missing("no place to confirm one"))?,
        address_complete: address("verification_uri_complete")?,
        expires: now + life,
        interval: interval.clamp(INTERVAL_SECONDS_MIN, 60),
        code: super::secret(&answer, "device_code").ok_or_else(|| missing("no device code"))?,
    })
}

/// Asks once, at this time (seconds since 1970). When the provider wants to be asked less often, the interval grows.
pub fn poll_device(provider: &Provider, pending: &mut DevicePending, now: u64) -> DevicePoll {
    if now >= pending.expires {
        return DevicePoll::Failed(Error::Refused("expired_token".to_owned()));
    }
    match asked(provider, pending, now) {
        Ok(validated) => DevicePoll::Done(Box::new(validated)),
        Err(Error::Refused(code)) if code == "authorization_pending" => DevicePoll::Pending,
        Err(Error::Refused(code)) if code == "slow_down" => {
            pending.interval = (pending.interval + INTERVAL_SECONDS).min(60);
            DevicePoll::Pending
        }
        Err(error) => DevicePoll::Failed(error),
    }
}

fn asked(provider: &Provider, pending: &DevicePending, now: u64) -> Result<Validated, Error> {
    const WHAT: &str = "its tokens";
    let metadata = provider.metadata()?;
    let url = endpoint(metadata.token.as_ref(), "its provider has no token endpoint")?;
    let mut fields =
        vec![("grant_type", "urn:ietf:params:oauth:grant-type:device_code"), ("device_code", pending.code.expose())];
    if let Some(resource) = &provider.issuer().resource {
        fields.push(("resource", resource));
    }
    let tokens = members(WHAT, &ask(provider, &metadata, WHAT, url, &fields, now)?)?;
    signed_in(provider, &metadata, &tokens, None, now)
}
