//! Approvals: what waits, what it would do, and the vote.

use super::layout::{Page, csrf, page};
use super::moments::{ago, exact, left};
use super::{Done, requests, statement};
use crate::failure::Failure;
use crate::speak;
use crate::state::{Acting, Looking, Shared, work};
use crate::webauthn;
use access::{Ballot, Request, Said, State as Standing, StatementWanted, Wanted};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};

/// Requests of the past on the page.
const PAST_MAX: usize = 30;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/approvals", get(list))
        .route("/approvals/{id}", get(show))
        .route("/approvals/{id}/review", post(review))
        .route("/approvals/{id}/ask", post(ask))
        .route("/approvals/{id}/vote", post(vote))
}

fn row(request: &Request, now_s: u64) -> Markup {
    html! {
        li.row data-row {
            div {
                a href={ "/approvals/" (request.id) } { (requests::title(request)) }
                span.quiet { (request.handle) " · " (ago(request.at_s, now_s)) " · " (request.id) }
                @if !request.reason.is_empty() { span.reason { (request.reason) } }
            }
            div.end { (requests::standing(request, now_s)) }
        }
    }
}

fn part(title: &str, id: &str, of: &[Request], now_s: u64, empty: &str) -> Markup {
    html! {
        section aria-labelledby=(id) {
            h2 #(id) { (title) }
            @if of.is_empty() { p.empty { (empty) } }
            @else { ul.rows { @for request in of { (row(request, now_s)) } } }
        }
    }
}

async fn list(State(state): State<Shared>, looking: Looking, Query(done): Query<Done>) -> Response {
    let (engine, now_s) = (&state.engine, state.engine.clock().now_s());
    let person = &looking.person;
    let seen = engine.requests().into_iter().filter(|request| engine.may_see(person, request));
    let (pending, past): (Vec<_>, Vec<_>) = seen.partition(|request| request.state == Standing::Pending);
    let (yours, others): (Vec<_>, Vec<_>) =
        pending.into_iter().partition(|request| engine.may_vote(person, request).is_ok());
    let reviews: Vec<_> =
        engine.reviews().into_iter().filter(|of| engine.is_auditor(person) || of.who == person.who).collect();
    let past: Vec<Request> = past.into_iter().take(PAST_MAX).collect();
    let body = html! {
        (part("Waiting for your vote", "yours", &yours, now_s, "Nothing waits for you."))
        @if !others.is_empty() { (part("Waiting for others", "others", &others, now_s, "")) }
        @if !reviews.is_empty() { (reviews_part(&reviews, &looking, engine.is_auditor(person), now_s)) }
        (part("Before", "past", &past, now_s, "Nothing yet today."))
    };
    page(&state, &looking, &Page { title: "Approvals", here: "/approvals", done: &done.done, refresh: 10 }, &body)
}

fn reviews_part(all: &[access::Review], looking: &Looking, auditor: bool, now_s: u64) -> Markup {
    html! {
        section aria-labelledby="reviews-title" {
            h2 #reviews-title { "Emergencies" }
            ul.rows {
                @for of in all {
                    @let done = of.is_reviewed();
                    @let may = auditor && !done && of.who != looking.person.who && of.reviews.iter().all(|one| one.who != looking.person.who);
                    li.row data-row {
                        div {
                            strong tabindex="0" { (of.handle) " took " (of.role) " on " (of.target) }
                            span.quiet { (of.id) " · " (ago(of.at_s, now_s)) }
                            span.reason { (of.reason) }
                            @for one in &of.reviews { span.quiet { (one.handle) " found: " (one.finding) } }
                        }
                        @if done { span.tag.good { "reviewed" } }
                        @else if of.is_overdue(now_s) { span.tag.bad { "review overdue" } }
                        @else { span.tag.wait { (of.reviews.len()) " of " (access::REVIEWS) " reviews, due " (left(of.due_s, now_s)) } }
                        @if may {
                            details.end {
                                summary { "Review" }
                                form.fields method="post" action={ "/approvals/" (of.id) "/review" } {
                                    (csrf(looking))
                                    div.wide {
                                        label for={ "finding-" (of.id) } { "What did you find?" }
                                        input #{ "finding-" (of.id) } name="finding" required minlength="10" maxlength="1000" autocomplete="off";
                                    }
                                    button type="submit" { "Record the review" }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

async fn review(State(state): State<Shared>, Path(id): Path<String>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        let Acting { looking, fields } = &acting;
        state.engine.review(&looking.person, &id, fields.get("finding"), &looking.source())?;
        Ok(speak::see("/approvals?done=reviewed"))
    })
    .await
}

fn facts(request: &Request, now_s: u64) -> Markup {
    html! {
        dl.facts {
            div { dt { "Asked by" } dd { strong { (request.handle) } span.quiet { (request.who.subject) " at " (request.who.issuer) } } }
            div { dt { "From" } dd { (request.source) } }
            div { dt { "When" } dd { (ago(request.at_s, now_s)) } }
            @if request.state == Standing::Pending { div { dt { "Waits" } dd { "ends " (left(request.until_s, now_s)) } } }
            div {
                dt { "Needs" }
                dd {
                    (request.needed) @if request.needed == 1 { " vote" } @else { " votes" }
                    @if request.distinct { " from different groups" }
                    " of " (request.approvers.join(", "))
                    @if request.step_up { ", with a security key" }
                }
            }
            div.wide { dt { "Reason" } dd { @if request.reason.is_empty() { "none given" } @else { (request.reason) } } }
        }
    }
}

fn wanted_facts(wanted: &StatementWanted) -> Markup {
    html! {
        dl.facts {
            div { dt { "Target" } dd { (wanted.target) } }
            div { dt { "Role" } dd { (wanted.role) } }
            div { dt { "Held by rule" } dd { (wanted.rule) } }
            div {
                dt { "Rows" }
                dd { @match wanted.estimate { Some(rows) => { "about " (rows) ", estimated by the database" } None => { "not estimated" } } }
            }
            div.wide { dt { "Tables" } dd { @if wanted.tables.is_empty() { "none" } @for table in &wanted.tables { span.tag.quiet { (table) } } } }
            div.wide {
                dt { "Protected data" }
                dd {
                    @if wanted.classes.is_empty() { "none that a rule names" }
                    @for (class, fate) in &wanted.classes { span.tag.class { (class) ": " (fate) } }
                }
            }
            div.wide { dt { "Digest" } dd { code.digest title=(wanted.digest) { (wanted.digest.get(..16).unwrap_or_default()) "…" } } }
        }
    }
}

fn said_part(wanted: &StatementWanted, said: &Result<Said, String>) -> Markup {
    html! {
        section aria-labelledby="statement-title" {
            h2 #statement-title { "Statement" }
            @match said {
                Err(why) => { p.empty { (why) } }
                Ok(said) => {
                    @let strange = statement::strange(&said.text);
                    @if strange > 0 {
                        p.warn role="alert" {
                            strong { (strange) @if strange == 1 { " character is" } @else { " characters are" } " not what they seem. " }
                            "They are shown by their numbers: read with care."
                        }
                    }
                    (statement::show(&said.text, &wanted.marks))
                    @if !said.parameters.is_empty() {
                        h3 { "Parameters" }
                        ol.parameters {
                            @for parameter in &said.parameters { li { (statement::show(parameter, &[])) } }
                        }
                    }
                }
            }
        }
    }
}

fn votes(request: &Request, now_s: u64) -> Markup {
    html! {
        @if !request.votes.is_empty() {
            section aria-labelledby="votes-title" {
                h2 #votes-title { "Votes" }
                ul.rows {
                    @for vote in &request.votes {
                        li.row {
                            div {
                                strong { (vote.handle) }
                                span.quiet { (ago(vote.at_s, now_s)) " · " (vote.channel) " · " (vote.groups.join(", ")) @if vote.step_up { " · security key" } }
                                span.reason { (vote.reason) }
                            }
                            @if vote.approve { span.tag.good { "approved" } } @else { span.tag.bad { "denied" } }
                        }
                    }
                }
            }
        }
    }
}

/// Requests that this visitor may see.
fn seen_by(engine: &access::Engine, looking: &Looking) -> Vec<Request> {
    engine.requests().into_iter().filter(|request| engine.may_see(&looking.person, request)).collect()
}

fn history(request: &Request, all: &[Request], now_s: u64) -> Markup {
    let before: Vec<&Request> = all.iter().filter(|of| of.who == request.who && of.id != request.id).collect();
    let count = |test: &dyn Fn(&Request) -> bool| before.iter().filter(|of| test(of)).count();
    let approved = count(&|of| matches!(of.state, Standing::Approved { .. } | Standing::Consumed { .. }));
    let denied = count(&|of| matches!(&of.state, Standing::Over { why } if why == "denied"));
    html! {
        section aria-labelledby="history-title" {
            h2 #history-title { "What " (request.handle) " asked for lately" }
            @if before.is_empty() { p.empty { "Nothing else in the last day." } }
            @else {
                p.quiet { (before.len()) " requests, " (approved) " approved, " (denied) " denied." }
                ul.rows { @for of in before.iter().take(5) { (row(of, now_s)) } }
            }
        }
    }
}

fn vote_form(request: &Request, looking: &Looking) -> Markup {
    let digest = match &request.wanted {
        Wanted::Statement(wanted) => wanted.digest.as_str(),
        Wanted::Access { .. } => "",
    };
    let keys = webauthn::of(&looking.person).len();
    html! {
        section.vote aria-labelledby="vote-title" {
            h2 #vote-title { "Your vote" }
            form.fields method="post" action={ "/approvals/" (request.id) "/vote" }
                data-vote=[request.step_up.then(|| format!("/approvals/{}/ask", request.id))] {
                (csrf(looking))
                input type="hidden" name="digest" value=(digest);
                input type="hidden" name="answer" value="";
                input type="hidden" name="until" value="";
                div.wide {
                    label for="reason" { "Reason" span.quiet { " (it is recorded with your vote)" } }
                    textarea #reason name="reason" rows="2" required minlength="10" maxlength="1000" data-reason {}
                }
                div.choice {
                    button.good type="submit" name="vote" value="approve" disabled[request.step_up && keys == 0] {
                        "Approve" @if request.step_up { " with your key" }
                    }
                    button.bad type="submit" name="vote" value="deny" { "Deny" }
                }
                p.error role="alert" data-told hidden {}
                @if request.step_up && keys == 0 {
                    p.warn { "This touches protected data: to approve it, first " a href="/access#keys-title" { "register a security key" } "." }
                }
                @if request.step_up { noscript { p.quiet { "Approving with a key needs a script of this page." } } }
            }
        }
    }
}

async fn show(
    State(state): State<Shared>,
    looking: Looking,
    Path(id): Path<String>,
    Query(done): Query<Done>,
) -> Result<Response, Failure> {
    let shared = Shared::clone(&state);
    work(&state, move |state| {
        let engine = &state.engine;
        let request = engine.request(&id).filter(|request| engine.may_see(&looking.person, request));
        let request = request.ok_or_else(Failure::not_found)?;
        let now_s = engine.clock().now_s();
        let may = engine.may_vote(&looking.person, &request);
        let said = match &request.wanted {
            Wanted::Statement(_) => Some(engine.said(&request).map_err(|error| error.to_string())),
            Wanted::Access { .. } => None,
        };
        let body = html! {
            p.lead { (request.id) " " (requests::standing(&request, now_s)) }
            @if let Wanted::Statement(wanted) = &request.wanted {
                @if let Some(said) = &said { (said_part(wanted, said)) }
                (wanted_facts(wanted))
            }
            (facts(&request, now_s))
            @match &may {
                Ok(()) => (vote_form(&request, &looking)),
                Err(why) if request.state == Standing::Pending => { p.empty { (why) } }
                Err(_) => {}
            }
            (votes(&request, now_s))
            @if let Standing::Consumed { session, .. } = &request.state {
                p { "Run in session " a href={ "/sessions/" (session) } { code { (session.get(..12).unwrap_or(session)) } } "." }
            }
            @if looking.person.who != request.who { (history(&request, &seen_by(engine, &looking), now_s)) }
            p.quiet { "Asked " (exact(request.at_s)) }
        };
        let title = requests::title(&request);
        Ok(page(&shared, &looking, &Page { title: &title, here: "/approvals", done: &done.done, refresh: 0 }, &body))
    })
    .await
}

/// What the voter's authenticator is asked.
async fn ask(State(state): State<Shared>, acting: Acting) -> Response {
    let id = acting.looking.path.rsplit('/').nth(1).unwrap_or_default().to_owned();
    let asked = work(&state, move |state| {
        let engine = &state.engine;
        let person = &acting.looking.person;
        let request = engine.request(&id).filter(|request| engine.may_see(person, request));
        let request = request.ok_or_else(Failure::not_found)?;
        engine.may_vote(person, &request)?;
        let until_s = engine.clock().now_s() + webauthn::CHALLENGE_S;
        let digest = super::digest(&request);
        // Of what the page showed: a request that is another one now is not asked about.
        if digest != acting.fields.get("digest") {
            return Err(access::AccessError::Over("what you looked at is not what waits: look again".to_owned()).into());
        }
        let challenge = webauthn::challenge(digest, &request.id, &acting.looking.sign_in.id, until_s);
        webauthn::ask(person, &challenge, until_s, state.site())
    })
    .await;
    match asked {
        Ok(value) => speak::json(StatusCode::OK, &value),
        Err(failure) => failure.json(),
    }
}

async fn vote(State(state): State<Shared>, Path(id): Path<String>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        let Acting { looking, fields } = &acting;
        let approve = match fields.get("vote") {
            "approve" => true,
            "deny" => false,
            _ => return Err(Failure::invalid("approve or deny")),
        };
        let ballot = Ballot {
            id: &id,
            digest: fields.get("digest"),
            approve,
            reason: fields.get("reason"),
            channel: "console",
            source: &looking.source(),
            assertion: None,
        };
        super::cast(state, &looking.person, &looking.sign_in, &ballot, fields.get("answer"), fields.get("until"))?;
        Ok(speak::see(&format!("/approvals/{id}?done=voted")))
    })
    .await
}
