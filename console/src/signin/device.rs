//! Signing in on another device: the provider's device grant, run by the gateway.
//!
//! Who asked gets a secret of their own to ask again with, the code to type and the place to type it; the provider's device
//! code stays here. The provider is asked no more often than it wants, whoever asks.

use super::{
    Arrived, Desk, Problem,
    api::{Body, SignedIn, told},
    attempts::OnDevice,
    browser::busy,
    limits::Source,
    now, waiting,
};
use axum::{
    Extension, Json, Router,
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
    routing::post,
};
use identity::{
    Secret,
    flow::{self, DevicePoll},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new().route("/api/v1/login/device", post(begin)).route("/api/v1/login/device/poll", post(poll))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Begin {
    /// Short name of the provider; needed if there are several.
    #[serde(default)]
    provider: Option<String>,
}

#[derive(Debug, Serialize)]
struct Begun {
    device: String,
    user_code: String,
    verification_uri: String,
    expires_in: u64,
    interval: u64,
}

async fn begin(
    State(desk): State<Arc<Desk>>,
    Extension(source): Extension<Source>,
    Body(begin): Body<Begin>,
) -> Result<Response, Problem> {
    desk.limits.spend(source)?;
    let mut people = desk.providers.people().filter(|p| begin.provider.as_ref().is_none_or(|n| *n == p.issuer().name));
    let provider = match (people.next(), people.next()) {
        (Some(only), None) => Arc::clone(only),
        (None, _) => return Err(Problem::bad("there is no such identity provider")),
        (Some(_), Some(_)) => {
            let names: Vec<&str> = desk.providers.people().map(|p| p.issuer().name.as_str()).collect();
            return Err(Problem::bad(format!("there are several identity providers, name one: {}", names.join(", "))));
        }
    };
    drop(people);
    let name = provider.issuer().name.clone();
    let pending = waiting(move || Ok(flow::begin_device(&provider, now())?)).await?;
    let device = Secret::random()?;
    let at = now();
    let begun = Begun {
        device: device.expose().to_owned(),
        user_code: pending.user_code.clone(),
        verification_uri: pending.address.clone(),
        expires_in: pending.expires.saturating_sub(at),
        interval: pending.interval,
    };
    let attempt = OnDevice { provider: name, next: at + pending.interval, source, pending: Some(pending) };
    if !desk.attempts.devices.keep(device.expose(), at + begun.expires_in, attempt, at) {
        return Err(busy());
    }
    Ok(told(&begun))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Poll {
    device: String,
}

async fn poll(
    State(desk): State<Arc<Desk>>,
    Extension(source): Extension<Source>,
    Body(poll): Body<Poll>,
) -> Result<Response, Problem> {
    let over = || Problem::new(StatusCode::UNAUTHORIZED, "over", "this sign-in has ended; begin again");
    let at = now();
    let looked = desk.attempts.devices.with(&poll.device, at, |attempt| {
        // The secret was given to this address; from another one it was overheard.
        if attempt.source != source {
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
    let provider = desk.providers.named(&name).cloned().ok_or_else(over)?;
    let issuer = provider.issuer().url.clone();
    let (pending, polled) = waiting(move || {
        let polled = flow::poll_device(&provider, &mut pending, now());
        Ok((pending, polled))
    })
    .await?;
    match polled {
        DevicePoll::Pending => {
            let interval = pending.interval;
            desk.attempts.devices.with(&poll.device, at, |attempt| {
                attempt.next = now() + interval;
                attempt.pending = Some(pending);
            });
            Ok(still_pending(interval))
        }
        DevicePoll::Done(validated) => {
            desk.attempts.devices.take(&poll.device, at);
            let arrived = Arrived::of(&validated, "device");
            let (sign_in, person, token) = waiting(move || desk.welcome(&arrived, source)).await?;
            Ok(told(&SignedIn::new(&sign_in, &person, token)))
        }
        DevicePoll::Failed(error) => {
            // A provider that is away for a moment does not end it; everything else does.
            if matches!(error, identity::Error::Provider { .. }) {
                let interval = pending.interval;
                desk.attempts.devices.with(&poll.device, at, |attempt| {
                    attempt.next = now() + interval;
                    attempt.pending = Some(pending);
                });
                return Ok(still_pending(interval));
            }
            desk.attempts.devices.take(&poll.device, at);
            let problem = Problem::from(error.clone());
            waiting(move || {
                desk.turned_away(&issuer, source, &error);
                Ok(())
            })
            .await?;
            Err(problem)
        }
    }
}

fn still_pending(interval: u64) -> Response {
    (StatusCode::ACCEPTED, Json(serde_json::json!({"pending": true, "interval": interval}))).into_response()
}
