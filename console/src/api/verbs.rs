//! The verbs that are served here. Each is a line of the table and a function that asks the engine or the gateway.

use super::table::{Allowed, Field, Kind, Reply, Shape, Verb};
use super::{Call, elsewhere, emergencies, shown};
use crate::failure::Failure;
use crate::pages;
use crate::state::State;
use crate::world::Search;
use access::{Ballot, State as Standing, Wanted, Who};
use axum::http::Method;
use serde_json::{Value, json};

/// Requests, grants and sessions in one answer.
const LISTED_MAX: usize = 1000;

/// All verbs of the API.
pub(crate) fn all() -> impl Iterator<Item = &'static Verb> {
    HERE.iter().chain(emergencies::VERBS).chain(elsewhere::VERBS)
}

type Member = (&'static str, &'static str, &'static str);

const REQUEST: &[Member] = &[
    ("id", "string", "Id"),
    ("wanted", "object", "A role for a time, or one run of one statement"),
    ("who", "object", "Requester: issuer and subject"),
    ("handle", "string", "Requester, to show"),
    ("reason", "string", "Reason given"),
    ("source", "string", "Address it came from"),
    ("at", "integer", "When, Unix seconds"),
    ("state", "string", "pending, approved, consumed, denied, expired, withdrawn or revoked"),
    ("until", "integer", "Waits, or may be used, until then"),
    ("approvers", "array", "Groups whose members may vote"),
    ("needed", "integer", "Votes needed"),
    ("distinct", "boolean", "From distinct groups"),
    ("step_up", "boolean", "Approving needs an authenticator: in the console"),
    ("votes", "array", "Votes so far"),
];
const GRANT: &[Member] = &[
    ("id", "string", "Id of the request that led to it"),
    ("who", "object", "Who has it"),
    ("target", "string", "Target"),
    ("role", "string", "Role"),
    ("from", "integer", "From, Unix seconds"),
    ("until", "integer", "Until"),
    ("purpose", "string", "Purpose"),
    ("break_glass", "boolean", "Taken in an emergency"),
];
const CREDENTIAL: &[Member] = &[
    ("id", "string", "Id"),
    ("who", "object", "For whom"),
    ("kind", "string", "password or certificate"),
    ("serial", "string", "Serial number of a certificate"),
    ("target", "string", "Only for this target"),
    ("purpose", "string", "Purpose"),
    ("until", "integer", "Until"),
];
const LIVE: &[Member] = &[
    ("session", "string", "Id, hexadecimal"),
    ("core", "integer", "Core"),
    ("who", "object", "Who"),
    ("user", "string", "Database user name"),
    ("role", "string", "Role"),
    ("target", "string", "Target"),
    ("source", "string", "Address"),
    ("application", "string", "Application name"),
    ("grant", "string", "Grant that gave the role"),
    ("purpose", "string", "Purpose"),
    ("since", "integer", "Since"),
    ("until", "integer", "Ended then; 0 for no end"),
];
const RECORDED: &[Member] = &[
    ("session", "string", "Id, hexadecimal"),
    ("user", "string", "Database user name"),
    ("role", "string", "Role"),
    ("target", "string", "Target"),
    ("source", "string", "Address"),
    ("application", "string", "Application name"),
    ("opened_s", "integer", "Began, Unix seconds"),
    ("closed", "array", "Ended, and why"),
    ("forwarded", "integer", "Statements forwarded"),
    ("refused", "integer", "Statements refused"),
    ("rows", "integer", "Rows returned"),
    ("bytes", "integer", "Bytes returned"),
    ("recording", "string", "digest, rows, or empty"),
];
const PERSON: &[Member] = &[
    ("who", "object", "Issuer and subject"),
    ("handle", "string", "Name in databases"),
    ("name", "string", "Name to show"),
    ("groups", "array", "Groups"),
    ("seen", "integer", "Last sign-in"),
    ("suspended", "boolean", "May do nothing"),
    ("authenticators", "integer", "Registered keys"),
];
const REASON: Field = Field::may("reason", Kind::Text(1000), "Why");

static HERE: &[Verb] = &[
    Verb {
        method: Method::GET,
        path: "/me",
        name: "me",
        tag: "me",
        summary: "Who you are, and what you may do here.",
        allowed: Allowed::SignedIn,
        takes: &[],
        gives: Shape::Object(&[
            ("issuer", "string", "Issuer of the identity"),
            ("subject", "string", "Subject there"),
            ("handle", "string", "Name in databases"),
            ("name", "string", "Name to show"),
            ("groups", "array", "Groups"),
            ("admin", "boolean", "May end what others have"),
            ("auditor", "boolean", "May look at everything"),
            ("until", "integer", "The sign-in ends then, Unix seconds"),
        ]),
        run: Some(me),
    },
    Verb {
        method: Method::GET,
        path: "/targets",
        name: "targets",
        tag: "me",
        summary: "Databases, the roles you have on them, and those you can ask for.",
        allowed: Allowed::SignedIn,
        takes: &[],
        gives: Shape::List(
            "targets",
            &[
                ("name", "string", "Name"),
                ("host", "string", "Where clients connect to"),
                ("port", "integer", "Port there"),
                ("database", "string", "Name of the database"),
                ("tls", "boolean", "Clients must use TLS"),
                ("ready", "boolean", "Sessions are admitted"),
                ("purpose_required", "boolean", "A purpose must be given"),
                ("roles", "array", "Roles you have by your groups"),
                ("requestable", "array", "Roles you can ask for: role, approvals, max_seconds"),
            ],
        ),
        run: Some(targets),
    },
    Verb {
        method: Method::GET,
        path: "/requests",
        name: "requests",
        tag: "requests",
        summary: "Requests that concern you, newest first: yours, those you may vote on, all for auditors.",
        allowed: Allowed::SignedIn,
        takes: &[
            Field::may("state", Kind::Text(20), "Only in this state"),
            Field::may("whose", Kind::Text(10), "mine, or vote: those that wait for your vote"),
        ],
        gives: Shape::List("requests", REQUEST),
        run: Some(requests),
    },
    Verb {
        method: Method::POST,
        path: "/requests",
        name: "ask",
        tag: "requests",
        summary: "Ask for a role on a target for a time.",
        allowed: Allowed::SignedIn,
        takes: &[
            Field::needed("target", Kind::Text(200), "Target"),
            Field::needed("role", Kind::Text(200), "Role"),
            Field::needed("seconds", Kind::Number(60, 31 * 86_400), "How long, from approval"),
            Field::needed("reason", Kind::Text(1000), "Reason or ticket"),
        ],
        gives: Shape::Object(REQUEST),
        run: Some(ask),
    },
    Verb {
        method: Method::GET,
        path: "/requests/{id}",
        name: "request",
        tag: "requests",
        summary: "A request; while it waits, with the text of the statement that it is about.",
        allowed: Allowed::Concerned,
        takes: &[],
        gives: Shape::Object(REQUEST),
        run: Some(request),
    },
    Verb {
        method: Method::DELETE,
        path: "/requests/{id}",
        name: "withdraw",
        tag: "requests",
        summary: "Withdraw your request.",
        allowed: Allowed::Requester,
        takes: &[REASON],
        gives: Shape::Object(&[]),
        run: Some(withdraw),
    },
    Verb {
        method: Method::POST,
        path: "/requests/{id}/votes",
        name: "vote",
        tag: "requests",
        summary: "Vote. Any no is final; nobody votes on what they asked for.",
        allowed: Allowed::Approver,
        takes: &[
            Field::needed("vote", Kind::Text(10), "approve or deny"),
            Field::needed("reason", Kind::Text(1000), "Why"),
            Field::may("digest", Kind::Text(64), "Of the statement that you looked at"),
        ],
        gives: Shape::Object(REQUEST),
        run: Some(vote),
    },
    Verb {
        method: Method::GET,
        path: "/grants",
        name: "grants",
        tag: "grants",
        summary: "Access for a time that holds: yours, all for auditors.",
        allowed: Allowed::SignedIn,
        takes: &[],
        gives: Shape::List("grants", GRANT),
        run: Some(grants),
    },
    Verb {
        method: Method::DELETE,
        path: "/grants/{id}",
        name: "revokeGrant",
        tag: "grants",
        summary: "End access before its time, with the sessions that use it.",
        allowed: Allowed::OwnerOrAdmin,
        takes: &[REASON],
        gives: Shape::Object(&[]),
        run: Some(revoke_grant),
    },
    Verb {
        method: Method::GET,
        path: "/credentials",
        name: "credentials",
        tag: "credentials",
        summary: "Passwords and certificates that live: yours, all for auditors. Never what they are.",
        allowed: Allowed::SignedIn,
        takes: &[],
        gives: Shape::List("credentials", CREDENTIAL),
        run: Some(credentials),
    },
    Verb {
        method: Method::DELETE,
        path: "/credentials/{id}",
        name: "revokeCredential",
        tag: "credentials",
        summary: "End a password or certificate, with the sessions that use it.",
        allowed: Allowed::OwnerOrAdmin,
        takes: &[REASON],
        gives: Shape::Object(&[]),
        run: Some(revoke_credential),
    },
    Verb {
        method: Method::GET,
        path: "/sessions",
        name: "sessions",
        tag: "sessions",
        summary: "Sessions that run on this gateway: yours, all for auditors.",
        allowed: Allowed::SignedIn,
        takes: &[],
        gives: Shape::List("sessions", LIVE),
        run: Some(sessions),
    },
    Verb {
        method: Method::DELETE,
        path: "/sessions/{id}",
        name: "endSession",
        tag: "sessions",
        summary: "End a session that runs.",
        allowed: Allowed::OwnerOrAdmin,
        takes: &[Field::needed("reason", Kind::Text(1000), "Why")],
        gives: Shape::Object(&[]),
        run: Some(end_session),
    },
    Verb {
        method: Method::GET,
        path: "/log/sessions",
        name: "recordedSessions",
        tag: "sessions",
        summary: "Sessions of the audit log, newest first.",
        allowed: Allowed::Auditor,
        takes: &[
            Field::may("session", Kind::Text(32), "Start of the id"),
            Field::may("user", Kind::Text(200), "Database user name"),
            Field::may("target", Kind::Text(200), "Target"),
            Field::may("text", Kind::Text(1000), "A statement of it contains this"),
            Field::may("since", Kind::Text(20), "Not over before this, Unix seconds"),
            Field::may("until", Kind::Text(20), "Not begun after this, Unix seconds"),
        ],
        gives: Shape::List("sessions", RECORDED),
        run: Some(recorded),
    },
    Verb {
        method: Method::GET,
        path: "/people",
        name: "people",
        tag: "people",
        summary: "Everybody who signed in.",
        allowed: Allowed::Auditor,
        takes: &[],
        gives: Shape::List("people", PERSON),
        run: Some(people),
    },
    Verb {
        method: Method::POST,
        path: "/people/forget-keys",
        name: "forgetKeys",
        tag: "people",
        summary: "Take every security key of somebody's away, who has lost them.",
        allowed: Allowed::Admin,
        takes: &[
            Field::needed("issuer", Kind::Text(1000), "Issuer of the identity"),
            Field::needed("subject", Kind::Text(1000), "Subject there"),
            Field::needed("reason", Kind::Text(1000), "Why"),
        ],
        gives: Shape::Object(&[]),
        run: Some(forget_keys),
    },
    Verb {
        method: Method::POST,
        path: "/people/suspend",
        name: "suspend",
        tag: "people",
        summary: "Suspend somebody, or take that back: sign-ins, credentials and sessions end.",
        allowed: Allowed::Admin,
        takes: &[
            Field::needed("issuer", Kind::Text(1000), "Issuer of the identity"),
            Field::needed("subject", Kind::Text(1000), "Subject there"),
            Field::needed("suspended", Kind::Truth, "Suspended from now on?"),
            Field::needed("reason", Kind::Text(1000), "Why"),
        ],
        gives: Shape::Object(&[]),
        run: Some(suspend),
    },
    Verb {
        method: Method::GET,
        path: "/policy",
        name: "policy",
        tag: "policy",
        summary: "The bundle in force: roles, who sees what, coverage.",
        allowed: Allowed::Auditor,
        takes: &[],
        gives: Shape::Object(&[
            ("bundle", "object", "Digest, and since when"),
            ("earlier", "array", "Earlier bundles"),
            ("roles", "array", "Roles"),
            ("observed", "array", "Roles whose rules are only observed"),
            ("sees", "array", "What becomes of each class, by role"),
            ("coverage", "array", "Columns by target"),
        ]),
        run: Some(policy),
    },
    Verb {
        method: Method::GET,
        path: "/health",
        name: "health",
        tag: "health",
        summary: "How the gateway and its parts are doing.",
        allowed: Allowed::Auditor,
        takes: &[],
        gives: Shape::Object(&[
            ("version", "string", "Version of the program"),
            ("node", "string", "Name of this gateway"),
            ("since_s", "integer", "Up since, Unix seconds"),
            ("light", "string", "good, warn or bad: the worst of the parts"),
            ("cores", "array", "Sessions, statements and latency by core"),
            ("parts", "array", "Parts: name, light, says, facts"),
        ]),
        run: Some(health),
    },
];

fn me(state: &State, call: &Call) -> Reply {
    let caller = call.caller()?;
    let person = &caller.person;
    Ok(json!({
        "issuer": person.who.issuer, "subject": person.who.subject, "handle": person.handle, "name": person.name,
        "groups": person.groups, "admin": state.engine.is_admin(person), "auditor": state.engine.is_auditor(person),
        "until": caller.sign_in.until_s,
    }))
}

fn targets(state: &State, call: &Call) -> Reply {
    let person = call.person()?;
    let standing = state.world.standing(person);
    let list: Vec<Value> = state
        .world
        .targets()
        .into_iter()
        .map(|of| {
            let roles: Vec<&str> =
                standing.iter().filter(|role| role.target == of.name).map(|role| role.role.as_str()).collect();
            let requestable: Vec<Value> = state
                .engine
                .requestable(person, &of.name)
                .into_iter()
                .map(|rule| json!({"role": rule.role, "approvals": rule.approvals, "max_seconds": rule.max_s}))
                .collect();
            json!({
                "name": of.name, "host": of.host, "port": of.port, "database": of.database, "tls": of.tls,
                "ready": of.ready, "purpose_required": of.purpose_required, "roles": roles, "requestable": requestable,
            })
        })
        .collect();
    Ok(json!({"targets": list}))
}

fn requests(state: &State, call: &Call) -> Reply {
    let person = call.person()?;
    let whose = call.text("whose");
    if !["", "mine", "vote"].contains(&whose) {
        return Err(Failure::invalid("whose: mine or vote"));
    }
    let fits = |request: &access::Request| match whose {
        "mine" => request.who == person.who,
        "vote" => state.engine.may_vote(person, request).is_ok(),
        _ => state.engine.may_see(person, request),
    };
    let list: Vec<Value> = state
        .engine
        .requests()
        .iter()
        .filter(|request| fits(request))
        .map(|request| shown::request(request, None))
        .filter(|shown| call.text("state").is_empty() || shown["state"] == call.text("state"))
        .take(LISTED_MAX)
        .collect();
    Ok(json!({"requests": list}))
}

fn ask(state: &State, call: &Call) -> Reply {
    let seconds = call.number("seconds").unwrap_or_default();
    let (target, role, source) = (call.text("target"), call.text("role"), call.source());
    let asked = state.engine.ask(call.person()?, target, role, seconds, call.text("reason"), &source)?;
    Ok(shown::request(&asked, None))
}

/// The request, if it concerns the caller.
fn concerning(state: &State, call: &Call) -> Result<access::Request, Failure> {
    let person = call.person()?;
    let request = state.engine.request(call.path("id")).filter(|request| state.engine.may_see(person, request));
    request.ok_or_else(Failure::not_found)
}

fn request(state: &State, call: &Call) -> Reply {
    let request = concerning(state, call)?;
    let waits = request.state == Standing::Pending && matches!(request.wanted, Wanted::Statement(_));
    let said = if waits { state.engine.said(&request).ok() } else { None };
    Ok(shown::request(&request, said.as_ref()))
}

fn withdraw(state: &State, call: &Call) -> Reply {
    state.engine.withdraw(&call.person()?.who, call.path("id"), call.text("reason"))?;
    Ok(json!({}))
}

fn vote(state: &State, call: &Call) -> Reply {
    let caller = call.caller()?;
    let approve = match call.text("vote") {
        "approve" => true,
        "deny" => false,
        _ => return Err(Failure::invalid("vote: approve or deny")),
    };
    let ballot = Ballot {
        id: call.path("id"),
        digest: call.text("digest"),
        approve,
        reason: call.text("reason"),
        channel: if caller.bearer { "cli" } else { "console" },
        source: &call.source(),
        assertion: None,
    };
    Ok(shown::request(&state.engine.vote(&caller.person, &ballot)?, None))
}

/// Whose things a list shows: the caller's, or everybody's to those who look at all.
fn whose(state: &State, call: &Call) -> Result<Option<Who>, Failure> {
    let person = call.person()?;
    Ok((!state.engine.is_auditor(person)).then(|| person.who.clone()))
}

fn grants(state: &State, call: &Call) -> Reply {
    let list = state.engine.grants(whose(state, call)?.as_ref());
    Ok(json!({"grants": list.iter().map(shown::grant).collect::<Vec<_>>()}))
}

fn credentials(state: &State, call: &Call) -> Reply {
    let list = state.engine.minted(whose(state, call)?.as_ref());
    Ok(json!({"credentials": list.iter().map(shown::minted).collect::<Vec<_>>()}))
}

/// Ends something that is the caller's, or anybody's. Ids of others' things are no news to those who may not see them.
fn revoke(state: &State, call: &Call, owner: Option<Who>) -> Reply {
    let person = call.person()?;
    let owner = owner.ok_or_else(Failure::not_found)?;
    if owner != person.who && !state.engine.is_auditor(person) {
        state.engine.refused("admin_refused", &person.who, &call.source(), format!("revoke {}", call.path("id")));
        return Err(Failure::not_found());
    }
    state.engine.revoke(person, call.path("id"), call.text("reason"))?;
    Ok(json!({}))
}

fn revoke_grant(state: &State, call: &Call) -> Reply {
    let grant = state.engine.grants(None).into_iter().find(|grant| grant.id == call.path("id"));
    revoke(state, call, grant.map(|grant| grant.who))
}

fn revoke_credential(state: &State, call: &Call) -> Reply {
    let minted = state.engine.minted(None).into_iter().find(|minted| minted.id == call.path("id"));
    revoke(state, call, minted.map(|minted| minted.who))
}

fn sessions(state: &State, call: &Call) -> Reply {
    let whose = whose(state, call)?;
    let mine = |live: &crate::world::Live| {
        whose.as_ref().is_none_or(|who| live.issuer == who.issuer && live.subject == who.subject)
    };
    let list: Vec<Value> = state.world.live().iter().filter(|live| mine(live)).map(shown::live).collect();
    Ok(json!({"sessions": list}))
}

fn end_session(state: &State, call: &Call) -> Reply {
    pages::kill(state, call.person()?, &call.source(), call.path("id"), call.text("reason"))?;
    Ok(json!({}))
}

fn recorded(state: &State, call: &Call) -> Reply {
    let moment = |name: &str| match call.text(name) {
        "" => Ok(0),
        text => text.parse::<u64>().map_err(|_| Failure::invalid(format!("{name}: Unix seconds"))),
    };
    let search = Search {
        session: call.text("session").to_owned(),
        user: call.text("user").to_owned(),
        target: call.text("target").to_owned(),
        text: call.text("text").to_owned(),
        since_s: moment("since")?,
        until_s: moment("until")?,
        refused: false,
        limit: LISTED_MAX,
    };
    let found = state.world.search(&search).map_err(unavailable)?;
    Ok(json!(found))
}

fn unavailable(why: String) -> Failure {
    Failure::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "unavailable", why)
}

fn people(state: &State, _call: &Call) -> Reply {
    Ok(json!({"people": state.engine.people().iter().map(shown::person).collect::<Vec<_>>()}))
}

fn suspend(state: &State, call: &Call) -> Reply {
    let who = Who { issuer: call.text("issuer").to_owned(), subject: call.text("subject").to_owned() };
    let person = call.person()?;
    if who == person.who {
        return Err(Failure::invalid("not yourself"));
    }
    state.engine.suspend(person, &who, call.truth("suspended"), call.text("reason"))?;
    Ok(json!({}))
}

fn forget_keys(state: &State, call: &Call) -> Reply {
    let who = Who { issuer: call.text("issuer").to_owned(), subject: call.text("subject").to_owned() };
    state.engine.forget_authenticators(call.person()?, &who, call.text("reason"))?;
    Ok(json!({}))
}

fn policy(state: &State, _call: &Call) -> Reply {
    Ok(json!(state.world.policy().map_err(unavailable)?))
}

fn health(state: &State, _call: &Call) -> Reply {
    Ok(json!(state.world.health()))
}
