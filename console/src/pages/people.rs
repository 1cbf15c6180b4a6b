//! People, for administrators: who signed in, what they hold, and taking all of it away.

use super::Done;
use super::layout::{Page, csrf, page};
use super::moments::{ago, left};
use crate::failure::Failure;
use crate::speak;
use crate::state::{Acting, Looking, Shared, work};
use access::Who;
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::html;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/people", get(show))
        .route("/people/suspend", post(suspend))
        .route("/people/revoke", post(revoke))
}

async fn show(State(state): State<Shared>, looking: Looking, Query(done): Query<Done>) -> Result<Response, Failure> {
    let shared = Shared::clone(&state);
    work(&state, move |state| {
        let engine = &state.engine;
        if !engine.is_admin(&looking.person) {
            engine.refused("admin_refused", &looking.person.who, &looking.source(), "/people".to_owned());
            return Err(Failure::forbidden("only administrators may look at this"));
        }
        let now_s = engine.clock().now_s();
        let (grants, minted) = (engine.grants(None), engine.minted(None));
        let body = html! {
            ul.rows {
                @for person in engine.people() {
                    @let held: Vec<_> = grants.iter().filter(|grant| grant.who == person.who).collect();
                    @let passwords = minted.iter().filter(|of| of.who == person.who).count();
                    li.row data-row {
                        div {
                            strong tabindex="0" { (person.handle) }
                            @if person.suspended { span.tag.bad { "suspended" } }
                            span.quiet {
                                @if !person.name.is_empty() { (person.name) " · " }
                                (person.who.subject) " at " (person.who.issuer) " · seen " (ago(person.seen_s, now_s))
                                " · " (passwords) @if passwords == 1 { " credential" } @else { " credentials" }
                            }
                            @if !person.groups.is_empty() { span { @for group in &person.groups { span.tag.quiet { (group) } } } }
                            @for grant in &held {
                                div.held {
                                    span { (grant.role) " on " (grant.target) ", ends " (left(grant.until_s, now_s)) @if grant.break_glass { span.tag.bad { "emergency" } } }
                                    form method="post" action="/people/revoke" {
                                        (csrf(&looking))
                                        input type="hidden" name="id" value=(grant.id);
                                        button.plain type="submit" aria-label={ "Revoke " (grant.role) " on " (grant.target) " of " (person.handle) } { "Revoke" }
                                    }
                                }
                            }
                        }
                        @if person.who != looking.person.who {
                            details.end {
                                summary { @if person.suspended { "Unsuspend" } @else { "Suspend" } }
                                form.fields method="post" action="/people/suspend" {
                                    (csrf(&looking))
                                    input type="hidden" name="issuer" value=(person.who.issuer);
                                    input type="hidden" name="subject" value=(person.who.subject);
                                    input type="hidden" name="suspended" value=(if person.suspended { "no" } else { "yes" });
                                    label for={ "why-" (person.handle) } { "Reason" }
                                    input #{ "why-" (person.handle) } name="reason" required minlength="3" maxlength="300" autocomplete="off";
                                    button.bad[!person.suspended] type="submit" { @if person.suspended { "Unsuspend" } @else { "Suspend" } }
                                }
                            }
                        }
                    }
                }
            }
        };
        Ok(page(&shared, &looking, &Page { title: "People", here: "/people", done: &done.done, refresh: 0 }, &body))
    })
    .await
}

async fn suspend(State(state): State<Shared>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        let fields = &acting.fields;
        let who = Who { issuer: fields.get("issuer").to_owned(), subject: fields.get("subject").to_owned() };
        let suspended = fields.get("suspended") == "yes";
        if fields.get("reason").trim().is_empty() {
            return Err(Failure::invalid("give a reason"));
        }
        if who == acting.looking.person.who {
            return Err(Failure::invalid("not yourself"));
        }
        state.engine.suspend(&acting.looking.person, &who, suspended, fields.get("reason").trim())?;
        Ok(speak::see(if suspended { "/people?done=suspended" } else { "/people?done=unsuspended" }))
    })
    .await
}

async fn revoke(State(state): State<Shared>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        state.engine.revoke(&acting.looking.person, acting.fields.get("id"), "by an administrator")?;
        Ok(speak::see("/people?done=revoked"))
    })
    .await
}
