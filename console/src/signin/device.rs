//! Signing in on another device: the provider's device grant (RFC 8628), run by the gateway.
//!
//! Who asked gets a secret of their own to ask again with, the code to type and the place to type it; the provider's device
//! code stays here. The provider is asked no more often than it wants, whoever asks.

use super::{Arrived, api::signed_in, arrived::turned_away, attempts::OnDevice, browser::busy, now};
use crate::{
    Failure, State,
    api::{Call, Reply},
};
use axum::http::StatusCode;
use identity::{
    Secret,
    flow::{self, DevicePoll},
};
use serde_json::{Value, json};

pub(super) fn begin(state: &State, call: &Call) -> Reply {
    let wanted = call.text("provider");
    let people = || state.signin.providers.people();
    let mut fitting = people().filter(|p| wanted.is_empty() || p.issuer().name == wanted);
    let provider = match (fitting.next(), fitting.next()) {
        (Some(only), None) => only,
        (None, _) => return Err(Failure::invalid("there is no such identity provider")),
        (Some(_), Some(_)) => {
            let names: Vec<&str> = people().map(|p| p.issuer().name.as_str()).collect();
            let text = format!("there are several identity providers, name one: {}", names.join(", "));
            return Err(Failure::invalid(text));
        }
    };
    let pending = flow::begin_device(provider, now())?;
    let device = Secret::random()?;
    let at = now();
    let (until, interval) = (pending.expires, pending.interval);
    let told = json!({
        "device": device.expose(), "user_code": pending.user_code, "verification_uri": pending.address,
        "expires_in": until.saturating_sub(at), "interval": interval,
    });
    let name = provider.issuer().name.clone();
    let attempt = OnDevice { provider: name, next: at + interval, peer: call.peer, pending: Some(pending) };
    if !state.signin.attempts.devices.keep(device.expose(), until, attempt, at) {
        return Err(busy());
    }
    Ok(told)
}

pub(super) fn poll(state: &State, call: &Call) -> Reply {
    let over = || Failure::new(StatusCode::UNAUTHORIZED, "over", "this sign-in has ended; begin again");
    let (device, at) = (call.text("device"), now());
    let devices = &state.signin.attempts.devices;
    let looked = devices.with(device, at, |attempt| {
        // The secret was given to this address; from another one it was overheard.
        if attempt.peer.0.ip() != call.peer.0.ip() {
            return Err(over());
        }
        if at < attempt.next {
            return Ok(None);
        }
        Ok(attempt.pending.take().map(|pending| (attempt.provider.clone(), pending)))
    });
    let Some((name, mut pending)) = looked.ok_or_else(over)?? else {
        return Ok(still_pending(1));
    };
    let provider = state.signin.providers.named(&name).ok_or_else(over)?;
    match flow::poll_device(provider, &mut pending, at) {
        DevicePoll::Done(validated) => {
            devices.take(device, at);
            let arrived = Arrived::of(&validated, "device");
            let (sign_in, person, token) = arrived.welcome(state, call.peer)?;
            Ok(signed_in(&sign_in, &person, &token))
        }
        // A provider that is away for a moment does not end it; everything else does.
        DevicePoll::Pending | DevicePoll::Failed(identity::Error::Provider { .. }) => {
            let interval = pending.interval;
            devices.with(device, at, |attempt| {
                attempt.next = now() + interval;
                attempt.pending = Some(pending);
            });
            Ok(still_pending(interval))
        }
        DevicePoll::Failed(error) => {
            devices.take(device, at);
            turned_away(state, &provider.issuer().url, call.peer, error.name());
            Err(error.into())
        }
    }
}

fn still_pending(interval: u64) -> Value {
    json!({"pending": true, "interval": interval})
}
