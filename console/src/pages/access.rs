//! My access: what I can reach and how, what I hold and until when, what I have asked for, my keys.

use super::layout::{Page, csrf, page};
use super::moments::{ago, left, span};
use super::{Done, offered, requests};
use crate::failure::Failure;
use crate::signin;
use crate::speak;
use crate::state::{Acting, Looking, Shared, work};
use crate::webauthn;
use crate::world::{Standing, Target};
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use sha2::{Digest as _, Sha256};
use std::fmt::Write as _;
use zeroize::Zeroizing;

/// Lives of passwords that the form offers, seconds.
const LIVES: &[u64] = &[15 * 60, 3600, 4 * 3600, 8 * 3600];
/// Longest purpose, bytes.
const PURPOSE_MAX: usize = 500;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/access", get(show))
        .route("/access/ask", post(ask))
        .route("/access/mint", post(mint))
        .route("/access/end", post(end))
        .route("/access/withdraw", post(withdraw))
        .route("/access/emergency", post(emergency))
        .route("/access/emergency/ask", post(emergency_ask))
}

/// A value of a connection string of libpq (manual, "Connection Strings").
fn quoted(value: &str) -> String {
    if !value.is_empty() && value.bytes().all(|b| b.is_ascii_alphanumeric() || b".-_/".contains(&b)) {
        return value.to_owned();
    }
    let mut out = String::from("'");
    for c in value.chars() {
        if matches!(c, '\'' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('\'');
    out
}

/// A word of a shell.
fn word(value: &str) -> String {
    format!("'{}'", value.replace('\'', "'\\''"))
}

fn encoded(value: &str) -> String {
    value.bytes().fold(String::new(), |mut out, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
        out
    })
}

/// How clients connect: name and text to copy.
fn commands(target: &Target, user: &str) -> Vec<(&'static str, String)> {
    let tls = if target.tls { "verify-full" } else { "prefer" };
    let (host, port, name) = (&target.host, target.port, &target.database);
    let words =
        format!("host={} port={port} dbname={} user={} sslmode={tls}", quoted(host), quoted(name), quoted(user));
    let python = words.replace('\\', "\\\\").replace('"', "\\\"");
    let address = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    let (name, user) = (encoded(name), encoded(user));
    vec![
        ("tidegate", format!("tidegate connect {} -- psql", word(&target.name))),
        ("psql", format!("psql {}", word(&words))),
        ("JDBC", format!("jdbc:postgresql://{address}:{port}/{name}?user={user}&sslmode={tls}")),
        ("psycopg", format!("psycopg.connect(\"{python}\")")),
    ]
}

/// A text with a button that copies it.
fn copyable(text: &str, what: &str) -> Markup {
    html! {
        div.copy {
            code tabindex="0" { (text) }
            button.plain type="button" data-copy hidden aria-label={ "Copy " (what) } { "Copy" }
        }
    }
}

fn target(state: &Shared, target: &Target, standing: &[Standing], looking: &Looking) -> Markup {
    let asked = &offered(state, looking, &target.name)[..];
    let emergencies = state.engine.emergencies(&looking.person, &target.name);
    let roles: Vec<&str> = standing.iter().filter(|of| of.target == target.name).map(|of| of.role.as_str()).collect();
    html! {
        section.card {
            header {
                h3 { (target.name) }
                @if !target.ready { span.tag.bad { "not ready" } }
                @for role in &roles { span.tag { (role) } }
                @if roles.is_empty() && !asked.is_empty() { span.tag.quiet { "on request" } }
            }
            @if roles.is_empty() && asked.is_empty() {
                p.quiet { "None of your groups has a role here." }
            } @else {
                details.connect open[!roles.is_empty()] {
                    summary { "Connect" }
                    dl.commands {
                        @for (name, text) in commands(target, &looking.person.handle) {
                            dt { (name) } dd { (copyable(&text, &format!("the command for {name}"))) }
                        }
                    }
                }
            }
            @if !asked.is_empty() { (ask_form(target, asked, looking)) }
            @if !emergencies.is_empty() { (emergency_form(state, target, &emergencies, looking)) }
        }
    }
}

fn ask_form(target: &Target, asked: &[access::Requestable], looking: &Looking) -> Markup {
    let id = format!("ask-{}", encoded(&target.name));
    let most = asked.iter().map(|rule| rule.max_s).max().unwrap_or(3600);
    let offers = [900, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 24 * 3600];
    html! {
        details.ask {
            summary { "Ask for access" }
            form.fields method="post" action="/access/ask" {
                (csrf(looking))
                input type="hidden" name="target" value=(target.name);
                div {
                    label for={ (id) "-role" } { "Role" }
                    select #{ (id) "-role" } name="role" {
                        @for rule in asked {
                            option value=(rule.role) {
                                (rule.role)
                                @if rule.approvals == 0 { " (at once)" }
                                @else if rule.approvals == 1 { " (one approval)" }
                                @else { " (" (rule.approvals) " approvals)" }
                            }
                        }
                    }
                }
                div {
                    label for={ (id) "-for" } { "For" }
                    select #{ (id) "-for" } name="seconds" {
                        @for seconds in offers.into_iter().filter(|s| *s <= most.max(900)) {
                            option value=(seconds) selected[seconds == 3600.min(most)] { (span(seconds)) }
                        }
                    }
                }
                div.wide {
                    label for={ (id) "-reason" } { "Reason or ticket" }
                    input #{ (id) "-reason" } name="reason" required minlength="10" maxlength="500" autocomplete="off";
                }
                button type="submit" { "Ask" }
            }
        }
    }
}

fn emergency_form(state: &Shared, target: &Target, rules: &[access::Requestable], looking: &Looking) -> Markup {
    let id = format!("glass-{}", encoded(&target.name));
    let with_key = state.engine.policy().step_up && !webauthn::of(&looking.person).is_empty();
    html! {
        details.ask {
            summary { "Emergency access" }
            p.warn { "At once and without a vote. Everyone responsible is told now, and two others review it within a day." }
            form.fields method="post" action="/access/emergency" data-vote=[with_key.then_some("/access/emergency/ask")] {
                (csrf(looking))
                input type="hidden" name="target" value=(target.name);
                input type="hidden" name="answer" value="";
                input type="hidden" name="until" value="";
                div {
                    label for={ (id) "-role" } { "Role" }
                    select #{ (id) "-role" } name="role" { @for rule in rules { option value=(rule.role) { (rule.role) } } }
                }
                div {
                    label for={ (id) "-for" } { "For" }
                    select #{ (id) "-for" } name="seconds" {
                        @for seconds in [900_u64, 1800, 3600] { option value=(seconds) { (span(seconds)) } }
                    }
                }
                div.wide {
                    label for={ (id) "-reason" } { "What has happened?" }
                    input #{ (id) "-reason" } name="reason" required minlength="10" maxlength="500" autocomplete="off";
                }
                button.bad type="submit" { "Take it" @if with_key { " with your key" } }
                p.error role="alert" data-told hidden {}
            }
        }
    }
}

fn mint_form(targets: &[Target], looking: &Looking) -> Markup {
    let needs = targets.iter().any(|target| target.purpose_required);
    html! {
        form.fields.card method="post" action="/access/mint" {
            (csrf(looking))
            div {
                label for="mint-target" { "For" }
                select #mint-target name="target" {
                    option value="" { "every target" }
                    @for target in targets { option value=(target.name) { (target.name) } }
                }
            }
            div {
                label for="mint-for" { "Valid for" }
                select #mint-for name="seconds" {
                    @for seconds in LIVES { option value=(seconds) selected[*seconds == 3600] { (span(*seconds)) } }
                }
            }
            div.wide {
                label for="mint-purpose" { "Purpose" @if !needs { span.quiet { " (optional)" } } }
                input #mint-purpose name="purpose" maxlength="500" required[needs] autocomplete="off";
            }
            button type="submit" { "Make a password" }
        }
    }
}

fn keys(state: &Shared, looking: &Looking, now_s: u64) -> Markup {
    let known = webauthn::of(&looking.person);
    html! {
        section aria-labelledby="keys-title" {
            h2 #keys-title { "Security keys and passkeys" }
            p.lead { "A vote about protected data needs one, so that a stolen browser session cannot vote." }
            @if !known.is_empty() {
                ul.rows {
                    @for key in &known {
                        li.row {
                            div { strong { (key.name) } span.quiet { "added " (ago(key.added_s, now_s)) } }
                            form method="post" action="/keys/remove" {
                                (csrf(looking))
                                input type="hidden" name="id" value=(key.id);
                                button.plain type="submit" aria-label={ "Remove " (key.name) } { "Remove" }
                            }
                        }
                    }
                }
            }
            form.fields data-register method="post" action="/keys/finish" {
                (csrf(looking))
                input type="hidden" name="answer" value="";
                div.wide {
                    label for="key-name" { "Name of the key" }
                    input #key-name name="name" maxlength="60" autocomplete="off" placeholder="Blue key on my desk";
                }
                button type="submit" { "Register a key" }
                p.error role="alert" data-told hidden {}
            }
            noscript { p.quiet { "Registering a key needs a script of this page." } }
            @if state.site().id.parse::<std::net::IpAddr>().is_ok() {
                p.quiet { "Browsers use keys only with a host name, and this console has an address." }
            }
        }
    }
}

fn body(state: &Shared, looking: &Looking, standing: &[Standing], targets: &[Target]) -> Markup {
    let (engine, now_s) = (&state.engine, state.engine.clock().now_s());
    let who = &looking.person.who;
    let grants = engine.grants(Some(who));
    let minted = engine.minted(Some(who));
    let mine: Vec<_> = engine.requests().into_iter().filter(|request| request.who == *who).take(20).collect();
    html! {
        section aria-labelledby="targets-title" {
            h2.unseen #targets-title { "Targets" }
            div.cards {
                @for of in targets { (target(state, of, standing, looking)) }
            }
            @if targets.is_empty() { p.empty { "No target is configured." } }
        }
        @if !grants.is_empty() {
            section aria-labelledby="grants-title" {
                h2 #grants-title { "Access for a time" }
                ul.rows {
                    @for grant in &grants {
                        li.row {
                            div {
                                strong { (grant.role) " on " (grant.target) }
                                @if grant.break_glass { span.tag.bad { "emergency" } }
                                span.quiet { "ends " (left(grant.until_s, now_s)) " · " (grant.id) " · " (grant.purpose) }
                            }
                            form method="post" action="/access/end" {
                                (csrf(looking))
                                input type="hidden" name="id" value=(grant.id);
                                button.plain type="submit" aria-label={ "Give back " (grant.role) " on " (grant.target) } { "Give back" }
                            }
                        }
                    }
                }
            }
        }
        section aria-labelledby="mint-title" {
            h2 #mint-title { "A password for your client" }
            p.lead { "It is shown once, works for a short time, and ends with your sign-in. Nothing is kept but what checks it." }
            (mint_form(targets, looking))
            @if !minted.is_empty() {
                ul.rows {
                    @for of in &minted {
                        li.row {
                            div {
                                strong { @if of.serial.is_empty() { "Password " } @else { "Certificate " } (of.id) }
                                span.quiet {
                                    @if of.target.is_empty() { "every target" } @else { (of.target) }
                                    " · ends " (left(of.until_s, now_s))
                                    @if !of.purpose.is_empty() { " · " (of.purpose) }
                                }
                            }
                            form method="post" action="/access/end" {
                                (csrf(looking))
                                input type="hidden" name="id" value=(of.id);
                                button.plain type="submit" aria-label={ "End " (of.id) } { "End now" }
                            }
                        }
                    }
                }
            }
        }
        @if !mine.is_empty() {
            section aria-labelledby="asked-title" {
                h2 #asked-title { "What you asked for" }
                ul.rows {
                    @for request in &mine {
                        li.row {
                            div {
                                a href={ "/approvals/" (request.id) } { (requests::title(request)) }
                                span.quiet { (request.id) " · " (ago(request.at_s, now_s)) }
                            }
                            div.end {
                                (requests::standing(request, now_s))
                                @if request.state == access::State::Pending {
                                    form method="post" action="/access/withdraw" {
                                        (csrf(looking))
                                        input type="hidden" name="id" value=(request.id);
                                        button.plain type="submit" aria-label={ "Withdraw " (request.id) } { "Withdraw" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
        (keys(state, looking, now_s))
    }
}

async fn show(State(state): State<Shared>, looking: Looking, Query(done): Query<Done>) -> Result<Response, Failure> {
    let person = looking.person.clone();
    let (standing, targets) =
        work(&state, move |state| Ok((state.world.standing(&person), state.world.targets()))).await?;
    let frame = Page { title: "My access", here: "/access", done: &done.done, refresh: 0 };
    Ok(page(&state, &looking, &frame, &body(&state, &looking, &standing, &targets)))
}

async fn ask(State(state): State<Shared>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        let (person, fields) = (&acting.looking.person, &acting.fields);
        let seconds = fields.get("seconds").parse().map_err(|_| Failure::invalid("say for how long"))?;
        let source = acting.looking.source();
        let request = state.engine.ask(
            person,
            fields.get("target"),
            fields.get("role"),
            seconds,
            fields.get("reason"),
            &source,
        )?;
        let given = matches!(request.state, access::State::Approved { .. });
        Ok(speak::see(if given { "/access?done=given" } else { "/access?done=asked" }))
    })
    .await
}

async fn end(State(state): State<Shared>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        let person = &acting.looking.person;
        let id = acting.fields.get("id");
        let mine = state.engine.grants(Some(&person.who)).iter().any(|grant| grant.id == id)
            || state.engine.minted(Some(&person.who)).iter().any(|minted| minted.id == id);
        if !mine {
            return Err(Failure::not_found());
        }
        state.engine.revoke(person, id, "given back")?;
        Ok(speak::see("/access?done=revoked"))
    })
    .await
}

async fn withdraw(State(state): State<Shared>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        state.engine.withdraw(&acting.looking.person.who, acting.fields.get("id"), "")?;
        Ok(speak::see("/access?done=withdrawn"))
    })
    .await
}

/// What an authenticator signs for an emergency, in the place of a statement's digest.
fn emergency_digest(target: &str, role: &str, reason: &str) -> String {
    let mut hash = Sha256::new();
    for part in ["tidegate-emergency/v1", target, role, reason.trim()] {
        hash.update(u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
        hash.update(part.as_bytes());
    }
    access::hex(&hash.finalize())
}

/// In the place of a request's id.
const EMERGENCY: &str = "emergency";

async fn emergency_ask(State(state): State<Shared>, acting: Acting) -> Response {
    let asked = work(&state, move |state| {
        let Acting { looking, fields } = &acting;
        let until_s = state.engine.clock().now_s() + webauthn::CHALLENGE_S;
        let digest = emergency_digest(fields.get("target"), fields.get("role"), fields.get("reason"));
        let challenge = webauthn::challenge(&digest, EMERGENCY, &looking.sign_in.id, until_s);
        webauthn::ask(&looking.person, &challenge, until_s, state.site())
    });
    match asked.await {
        Ok(value) => speak::json(StatusCode::OK, &value),
        Err(failure) => failure.json(),
    }
}

async fn emergency(State(state): State<Shared>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        let Acting { looking, fields } = &acting;
        let (person, source) = (&looking.person, looking.source());
        let (target, role, reason) = (fields.get("target"), fields.get("role"), fields.get("reason"));
        // Whoever has a key shows it: a stolen session alone opens nothing.
        if state.engine.policy().step_up && !webauthn::of(person).is_empty() {
            let digest = emergency_digest(target, role, reason);
            let until = fields.get("until");
            super::key(state, person, &looking.sign_in, (&digest, EMERGENCY), (fields.get("answer"), until), &source)
                .inspect_err(|failure| {
                let detail = format!("{target} {role}: {}", failure.text);
                state.engine.refused("break_glass_refused", &person.who, &source, detail);
            })?;
        }
        let seconds = fields.get("seconds").parse().map_err(|_| Failure::invalid("say for how long"))?;
        state.engine.break_glass(person, target, role, seconds, reason, &source)?;
        Ok(speak::see("/access?done=glass"))
    })
    .await
}

/// The password is in this answer alone: nothing keeps it, and the page is not stored.
async fn mint(State(state): State<Shared>, acting: Acting) -> Result<Response, Failure> {
    let shared = Shared::clone(&state);
    work(&state, move |state| {
        let Acting { looking, fields } = acting;
        let targets = state.world.targets();
        let (target, purpose) = (fields.get("target"), fields.get("purpose").trim());
        let of: Vec<&Target> = targets.iter().filter(|of| target.is_empty() || of.name == target).collect();
        if of.is_empty() {
            return Err(Failure::not_found());
        }
        if purpose.len() > PURPOSE_MAX || purpose.chars().any(char::is_control) {
            return Err(Failure::invalid("a purpose has 500 bytes at most and no control characters"));
        }
        if purpose.is_empty() && of.iter().any(|of| of.purpose_required) {
            return Err(Failure::invalid("a purpose must be given"));
        }
        let seconds = fields.get("seconds").parse().map_err(|_| Failure::invalid("say for how long"))?;
        let password: Zeroizing<String> = signin::password()?;
        let verifier = signin::verifier(&password, &looking.person.salt)?;
        let minted = state.engine.mint(&looking.sign_in, &verifier, "", target, purpose, seconds)?;
        let now_s = state.engine.clock().now_s();
        let body = html! {
            section.card.once {
                p { "This is the only time it is shown. It ends " (left(minted.until_s, now_s)) " (" (minted.id) ")." }
                dl.commands {
                    dt { "User" } dd { (copyable(&looking.person.handle, "the user name")) }
                    dt { "Password" } dd #password { (copyable(&password, "the password")) }
                    @for of in &of {
                        dt { (of.name) }
                        dd { @for (name, text) in commands(of, &looking.person.handle).iter().skip(1) { (copyable(text, name)) } }
                    }
                }
                p.quiet { "Clients ask for the password, or take it from " code { "PGPASSWORD" } " or " code { "~/.pgpass" } "." }
                p { a.button href="/access" { "Done" } }
            }
        };
        let frame = Page { title: "Your password", here: "/access", done: "", refresh: 0 };
        Ok(page(&shared, &looking, &frame, &body))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_take_names_as_they_are() {
        let plain = Target {
            name: "crm".into(),
            host: "db.example".into(),
            port: 6432,
            database: "crm".into(),
            tls: true,
            ..Target::default()
        };
        let [(_, own), (_, psql), (_, jdbc), (_, psycopg)] = &commands(&plain, "ann")[..] else { panic!() };
        assert_eq!(own, "tidegate connect 'crm' -- psql");
        assert_eq!(psql, "psql 'host=db.example port=6432 dbname=crm user=ann sslmode=verify-full'");
        assert_eq!(jdbc, "jdbc:postgresql://db.example:6432/crm?user=ann&sslmode=verify-full");
        assert_eq!(psycopg, "psycopg.connect(\"host=db.example port=6432 dbname=crm user=ann sslmode=verify-full\")");
        let hostile = Target { name: "a'; rm -rf ~ '".into(), database: "x' host=evil".into(), ..plain };
        let hostile = commands(&hostile, "ann");
        assert_eq!(hostile[0].1, "tidegate connect 'a'\\''; rm -rf ~ '\\''' -- psql");
        assert!(hostile[1].1.contains("dbname='\\''x\\'\\'' host=evil'\\''"), "{}", hostile[1].1);
        assert!(hostile[2].1.contains("/x%27%20host%3Devil?"), "{}", hostile[2].1);
    }
}
