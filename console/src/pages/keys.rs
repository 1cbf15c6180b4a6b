//! Registering and removing security keys.

use crate::failure::Failure;
use crate::speak;
use crate::state::{Acting, Shared, work};
use crate::webauthn;
use audit::{OwnedAccess, OwnedActor};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::post;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/keys/begin", post(begin))
        .route("/keys/finish", post(finish))
        .route("/keys/remove", post(remove))
}

async fn begin(State(state): State<Shared>, acting: Acting) -> Response {
    let asked = work(&state, move |state| {
        let (person, sign_in) = (&acting.looking.person, &acting.looking.sign_in);
        webauthn::begin(&state.ceremonies, person, sign_in, state.engine.clock().now_s(), state.site())
    });
    match asked.await {
        Ok(value) => speak::json(StatusCode::OK, &value),
        Err(failure) => failure.json(),
    }
}

fn record(state: &crate::State, acting: &Acting, detail: String) -> Result<(), Failure> {
    let who = &acting.looking.person.who;
    Ok(state.engine.record(OwnedAccess {
        kind: "authenticator".to_owned(),
        actor: OwnedActor { issuer: who.issuer.clone(), subject: who.subject.clone(), role: String::new() },
        user: acting.looking.person.handle.clone(),
        source: acting.looking.source(),
        detail,
        ..OwnedAccess::default()
    })?)
}

async fn finish(State(state): State<Shared>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        let (person, sign_in) = (&acting.looking.person, &acting.looking.sign_in);
        let answer = (acting.fields.get("answer"), acting.fields.get("name"));
        let now_s = state.engine.clock().now_s();
        let (new, voucher) = webauthn::finish(&state.ceremonies, person, sign_in, answer, now_s, state.site())?;
        record(state, &acting, format!("registered {}", new.id))?;
        state.engine.change_person(&person.who, |person| {
            voucher.iter().for_each(|voucher| webauthn::put(person, voucher));
            webauthn::put(person, &new);
        })?;
        Ok(speak::see("/access?done=registered"))
    })
    .await
}

async fn remove(State(state): State<Shared>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        let id = acting.fields.get("id");
        if !webauthn::of(&acting.looking.person).iter().any(|known| known.id == id) {
            return Err(Failure::not_found());
        }
        // Without any key the next one would need none: whoever has lost their last asks an administrator.
        let last = || Failure::forbidden("this is your last key: register another one first, or ask an administrator");
        if webauthn::of(&acting.looking.person).len() < 2 {
            return Err(last());
        }
        record(state, &acting, format!("removed {id}"))?;
        let person = state.engine.change_person(&acting.looking.person.who, |person| {
            if webauthn::of(person).len() > 1 {
                webauthn::remove(person, id);
            }
        })?;
        if webauthn::of(&person).iter().any(|known| known.id == id) {
            return Err(last());
        }
        Ok(speak::see("/access?done=removed"))
    })
    .await
}
