//! What programs ask for: a sign-in, its end, and passwords for databases.

use super::{
    Arrived,
    arrived::turned_away,
    attempts::{ATTEMPT_SECONDS, Waiting, hash},
    browser::busy,
    device, mint, now,
};
use crate::{
    Failure, State,
    api::{Allowed, Call, Field, Kind, Reply, Shape, Verb},
};
use access::{Person, SignIn};
use axum::http::{Method, StatusCode};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD as BASE64};
use identity::Secret;
use serde_json::{Value, json};
use subtle::ConstantTimeEq as _;

/// Seconds that a password for databases lives unless something else is asked for.
const PASSWORD_SECONDS: u64 = 3600;

const SIGNED_IN: Shape = Shape::Object(&[
    ("token", "string", "Token of the console: shown once"),
    ("until", "integer", "The sign-in ends then, Unix seconds"),
    ("person", "object", "Who: issuer, subject, handle, name, groups"),
]);

pub(super) static VERBS: &[Verb] = &[
    Verb {
        method: Method::POST,
        path: "/login/start",
        name: "loginStart",
        tag: "login",
        summary: "Begins the sign-in of a command line that waits on its machine's loopback.",
        allowed: Allowed::Anyone,
        takes: &[
            Field::needed("code_challenge", Kind::Text(43), "SHA-256 of the verifier, base64url (RFC 7636, S256)"),
            Field::needed("state", Kind::Text(128), "What the answer has to carry: 22 to 128 characters of base64url"),
            Field::needed("port", Kind::Number(1024, 65535), "Port on loopback where the answer goes"),
            Field::may("ipv6", Kind::Truth, "The loopback is ::1 and not 127.0.0.1"),
            Field::may("client", Kind::Text(64), "What the program calls itself, to show"),
        ],
        gives: Shape::Object(&[("url", "string", "Where a browser has to go"), ("expires_in", "integer", "Seconds")]),
        run: start,
    },
    Verb {
        method: Method::POST,
        path: "/login/finish",
        name: "loginFinish",
        tag: "login",
        summary: "Turns the code that the loopback got into a sign-in. A code works once, for a minute.",
        allowed: Allowed::Anyone,
        takes: &[
            Field::needed("code", Kind::Text(128), "The code"),
            Field::needed("code_verifier", Kind::Text(128), "What the challenge was made of"),
        ],
        gives: SIGNED_IN,
        run: finish,
    },
    Verb {
        method: Method::POST,
        path: "/login/token",
        name: "loginToken",
        tag: "login",
        summary: "Signs in a service or workload by a token of its issuer.",
        allowed: Allowed::Anyone,
        takes: &[Field::needed("token", Kind::Text(identity::TOKEN_BYTES_MAX), "The token")],
        gives: SIGNED_IN,
        run: token,
    },
    Verb {
        method: Method::POST,
        path: "/login/device",
        name: "loginDevice",
        tag: "login",
        summary: "Begins a sign-in that is finished on another device.",
        allowed: Allowed::Anyone,
        takes: &[Field::may("provider", Kind::Text(64), "Short name of the provider, if there are several")],
        gives: Shape::Object(&[
            ("device", "string", "Secret to ask again with"),
            ("user_code", "string", "The code to type"),
            ("verification_uri", "string", "Where it is typed"),
            ("expires_in", "integer", "Seconds"),
            ("interval", "integer", "Seconds between two questions"),
        ]),
        run: device::begin,
    },
    Verb {
        method: Method::POST,
        path: "/login/device/poll",
        name: "loginDevicePoll",
        tag: "login",
        summary: "Whether that sign-in is finished: `pending`, or the sign-in.",
        allowed: Allowed::Anyone,
        takes: &[Field::needed("device", Kind::Text(128), "The secret")],
        gives: Shape::Object(&[
            ("pending", "boolean", "Not yet"),
            ("interval", "integer", "Seconds until the next question"),
            ("token", "string", "Token of the console: shown once"),
            ("until", "integer", "The sign-in ends then, Unix seconds"),
            ("person", "object", "Who: issuer, subject, handle, name, groups"),
        ]),
        run: device::poll,
    },
    Verb {
        method: Method::POST,
        path: "/logout",
        name: "logout",
        tag: "login",
        summary: "Ends the sign-in and the passwords that were made by it.",
        allowed: Allowed::SignedIn,
        takes: &[],
        gives: Shape::Object(&[]),
        run: logout,
    },
    Verb {
        method: Method::POST,
        path: "/credentials",
        name: "mint",
        tag: "credentials",
        summary: "Makes a password for databases, shown once; what is kept proves it and does not hold it.",
        allowed: Allowed::SignedIn,
        takes: &[
            Field::may("target", Kind::Text(63), "Only for this target"),
            Field::may("purpose", Kind::Text(500), "What for"),
            Field::may("seconds", Kind::Number(1, 86_400), "How long; an hour unless said otherwise"),
        ],
        gives: Shape::Object(&[
            ("id", "string", "Id of the credential"),
            ("user", "string", "User name in databases"),
            ("password", "string", "The password: shown once"),
            ("until", "integer", "It ends then, Unix seconds"),
            ("targets", "array", "Where it can be used: name, host, port, database, tls"),
        ]),
        run: credentials,
    },
];

/// A sign-in, as programs get it.
pub(super) fn signed_in(sign_in: &SignIn, person: &Person, token: &str) -> Value {
    json!({
        "token": token, "until": sign_in.until_s,
        "person": {
            "issuer": person.who.issuer, "subject": person.who.subject, "handle": person.handle,
            "name": person.name, "groups": person.groups,
        },
    })
}

fn start(state: &State, call: &Call) -> Reply {
    let url_safe = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let (challenge, own, client) = (call.text("code_challenge"), call.text("state"), call.text("client"));
    if challenge.len() != 43 || !url_safe(challenge) {
        return Err(Failure::invalid("code_challenge: SHA-256 in base64url, 43 characters"));
    }
    if own.len() < 22 || !url_safe(own) {
        return Err(Failure::invalid("state: 22 to 128 characters of base64url"));
    }
    if client.chars().any(char::is_control) {
        return Err(Failure::invalid("client: no control characters"));
    }
    let port = call.number("port").unwrap_or_default();
    // Nothing but the asking machine's loopback can be named (RFC 8252, section 7.3).
    let host = if call.truth("ipv6") { "[::1]" } else { "127.0.0.1" };
    let waiting = Waiting {
        challenge: challenge.to_owned(),
        redirect: format!("http://{host}:{port}/callback"),
        state: own.to_owned(),
        client: client.to_owned(),
        peer: call.peer,
    };
    let request = Secret::random()?;
    let at = now();
    if !state.signin.attempts.waiting.keep(request.expose(), at + ATTEMPT_SECONDS, waiting, at) {
        return Err(busy());
    }
    let url = format!("{}/signin?request={}", state.origin, request.expose());
    Ok(json!({"url": url, "expires_in": ATTEMPT_SECONDS}))
}

fn finish(state: &State, call: &Call) -> Reply {
    let refused = || Failure::new(StatusCode::UNAUTHORIZED, "code", "this code does not work, or no longer");
    // Taken whatever comes next: who guesses at a verifier spoils the code.
    let finished = state.signin.attempts.finished.take(call.text("code"), now()).ok_or_else(refused)?;
    let verifier = call.text("code_verifier");
    let challenge = BASE64.encode(hash(verifier));
    if verifier.len() < 43 || !bool::from(challenge.as_bytes().ct_eq(finished.challenge.as_bytes())) {
        let who = &finished.arrived.who;
        state.engine.refused("sign_in_failed", who, &call.peer.to_string(), "verifier".to_owned());
        return Err(refused());
    }
    let (sign_in, person, token) = finished.arrived.welcome(state, call.peer)?;
    Ok(signed_in(&sign_in, &person, &token))
}

fn token(state: &State, call: &Call) -> Reply {
    let at = now();
    let providers = &state.signin.providers;
    let validated = providers.presented(call.text("token"), at).inspect_err(|error| {
        turned_away(state, "", call.peer, error.name());
    })?;
    let issuer = providers.of_issuer(&validated.issuer).ok_or_else(Failure::not_found)?.issuer();
    if issuer.one_time {
        let name = format!("token {}", access::hex(&validated.token));
        if !state.engine.once(&name, validated.expires + identity::SKEW_SECONDS)? {
            let error = identity::Error::Token(identity::Fault::Replayed);
            turned_away(state, &validated.issuer, call.peer, error.name());
            return Err(error.into());
        }
    }
    let arrived = Arrived::presented(&validated, issuer.sign_in_seconds, at);
    let (sign_in, person, token) = arrived.welcome(state, call.peer)?;
    Ok(signed_in(&sign_in, &person, &token))
}

fn logout(state: &State, call: &Call) -> Reply {
    state.engine.sign_out(&call.caller()?.sign_in)?;
    Ok(json!({}))
}

fn credentials(state: &State, call: &Call) -> Reply {
    let caller = call.caller()?;
    let (target, purpose) = (call.text("target"), call.text("purpose").trim());
    let mut targets = state.world.targets();
    if !target.is_empty() {
        targets.retain(|one| one.name == target);
        if targets.is_empty() {
            return Err(Failure::new(StatusCode::NOT_FOUND, "not-found", "there is no such target"));
        }
    }
    if purpose.chars().any(char::is_control) {
        return Err(Failure::invalid("purpose: no control characters"));
    }
    if purpose.is_empty() {
        let open: Vec<_> = targets.iter().filter(|one| !one.purpose_required).cloned().collect();
        if open.is_empty() && !targets.is_empty() {
            return Err(Failure::invalid("say what for: this needs a purpose"));
        }
        targets = open;
    }
    let password = mint::password()?;
    let verifier = mint::verifier(&password, &caller.person.salt)?;
    let seconds = call.number("seconds").unwrap_or(PASSWORD_SECONDS);
    let minted = state.engine.mint(&caller.sign_in, &verifier, "", target, purpose, seconds)?;
    let targets: Vec<Value> = targets
        .iter()
        .map(|one| {
            json!({
                "name": one.name, "host": one.host, "port": one.port, "database": one.database, "tls": one.tls,
            })
        })
        .collect();
    Ok(json!({
        "id": minted.id, "user": caller.person.handle, "password": *password, "until": minted.until_s,
        "targets": targets,
    }))
}
