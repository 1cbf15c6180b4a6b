//! Certificates for logins to databases, for whoever is signed in: a public key in, a certificate out.
//!
//! The private key stays where it was made. What is minted is the same as a password in all but its proof: it ends with the
//! sign-in, is listed with the credentials, and can be revoked.

use super::{
    Desk, Problem,
    api::{Body, PASSWORD_SECONDS, may_be_for, signed_in, told},
    waiting,
};
use crate::{PublicKey, serial};
use axum::{
    Router,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::Response,
    routing::post,
};
use serde::Deserialize;
use std::sync::Arc;

pub(super) fn routes() -> Router<Arc<Desk>> {
    Router::new().route("/api/v1/certificates", post(certificates))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// P-256, PEM.
    public_key: String,
    #[serde(default)]
    target: String,
    #[serde(default)]
    purpose: String,
    /// Seconds.
    #[serde(default)]
    ttl: Option<u64>,
}

async fn certificates(
    State(desk): State<Arc<Desk>>,
    headers: HeaderMap,
    Body(wanted): Body<Wanted>,
) -> Result<Response, Problem> {
    let (sign_in, person) = signed_in(&desk, &headers).await?;
    let gate = &desk.settings.gate;
    may_be_for(&desk, &wanted.target, &wanted.purpose)?;
    let key = PublicKey::from_pem(&wanted.public_key)
        .ok_or_else(|| Problem::bad("`public_key` is a P-256 key in PEM (openssl ec -pubout)"))?;
    let of = Arc::clone(&desk);
    let handle = person.handle.clone();
    let (minted, certificate) = waiting(move || {
        let absent = || Problem::new(StatusCode::NOT_FOUND, "not_found", "this gateway makes no certificates");
        let authority = of.settings.authority.as_ref().ok_or_else(absent)?;
        let Wanted { target, purpose, ttl, .. } = wanted;
        let serial = serial()?;
        let seconds = ttl.unwrap_or(PASSWORD_SECONDS);
        let minted = of.engine.mint(&sign_in, "", &serial, &target, &purpose, seconds)?;
        let certificate = authority.issue(&minted, &handle, &key, of.engine.clock().now_s())?;
        Ok((minted, certificate))
    })
    .await?;
    let targets: Vec<&String> =
        gate.targets.iter().filter(|name| minted.target.is_empty() || **name == minted.target).collect();
    Ok(told(&serde_json::json!({
        "id": minted.id, "user": person.handle, "certificate": certificate, "serial": minted.serial,
        "until": minted.until_s, "host": gate.host, "port": gate.port, "tls": gate.tls, "targets": targets,
    })))
}
