//! Sessions: those that run, those in the log, and what one of them was shown.
//!
//! People see their own running sessions; auditors see all, and the log. Whoever looks at what was returned says why, and
//! that is on record before they see it.

use super::layout::{Page, csrf, page};
use super::moments::{ago, exact, left, span};
use super::{Done, csv, statement};
use crate::failure::Failure;
use crate::speak;
use crate::state::{Acting, Looking, Shared, work};
use crate::world::{Answer, Found, Live, Recorded, Replay, Replayed, Search, Viewer};
use audit::{OwnedAccess, OwnedActor};
use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

/// Sessions on a page.
const FOUND_MAX: usize = 50;
/// Sessions in a file.
const FILE_MAX: usize = 10_000;
/// Shortest reason for looking, characters.
const REASON_MIN: usize = 10;

pub(super) fn router() -> Router<Shared> {
    Router::new()
        .route("/sessions", get(list))
        .route("/sessions.csv", get(file))
        .route("/sessions/{id}", get(show))
        .route("/sessions/{id}/end", post(end))
        .route("/sessions/{id}/replay", post(replay))
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    user: String,
    target: String,
    text: String,
    /// `1h`, `1d`, `7d`, `30d`; all if empty.
    within: String,
    refused: String,
    done: String,
}

impl Wanted {
    const SPANS: [(&'static str, &'static str, u64); 4] = [
        ("1h", "the last hour", 3600),
        ("1d", "the last day", 86_400),
        ("7d", "the last week", 7 * 86_400),
        ("30d", "the last 30 days", 30 * 86_400),
    ];

    fn search(&self, now_s: u64, limit: usize) -> Search {
        let within = if self.within.is_empty() { "1d" } else { &self.within };
        let span = Self::SPANS.iter().find(|(word, ..)| *word == within).map(|(.., seconds)| *seconds);
        Search {
            user: self.user.trim().to_owned(),
            target: self.target.trim().to_owned(),
            text: self.text.clone(),
            since_s: span.map_or(0, |span| now_s.saturating_sub(span)),
            refused: !self.refused.is_empty(),
            limit,
            ..Search::default()
        }
    }

    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let pairs = [
            ("user", &self.user),
            ("target", &self.target),
            ("text", &self.text),
            ("within", &self.within),
            ("refused", &self.refused),
        ];
        for (name, value) in pairs.into_iter().filter(|(_, value)| !value.is_empty()) {
            query.append_pair(name, value);
        }
        query.finish()
    }
}

fn is_mine(live: &Live, looking: &Looking) -> bool {
    let who = &looking.person.who;
    live.issuer == who.issuer && live.subject == who.subject
}

fn live_part(live: &[Live], looking: &Looking, admin: bool, now_s: u64) -> Markup {
    html! {
        section aria-labelledby="live-title" {
            h2 #live-title { "Running now" span.count { (live.len()) } }
            @if live.is_empty() { p.empty { "No session runs." } }
            @else {
                ul.rows {
                    @for of in live {
                        li.row data-row {
                            div {
                                a href={ "/sessions/" (of.session) } { (of.user) " as " (of.role) " on " (of.target) }
                                span.quiet {
                                    "since " (ago(of.since_s, now_s)) " · from " (of.source) " · core " (of.core)
                                    @if !of.application.is_empty() { " · " (of.application) }
                                    @if of.until_s > 0 { " · ends " (left(of.until_s, now_s)) }
                                }
                                @if !of.purpose.is_empty() { span.reason { (of.purpose) } }
                            }
                            @if admin || is_mine(of, looking) {
                                details.end {
                                    summary { "End" }
                                    form.fields method="post" action={ "/sessions/" (of.session) "/end" } {
                                        (csrf(looking))
                                        label for={ "why-" (of.session) } { "Reason" }
                                        input #{ "why-" (of.session) } name="reason" required minlength="3" maxlength="300" autocomplete="off";
                                        button.bad type="submit" { "End session" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn row(of: &Recorded, now_s: u64) -> Markup {
    html! {
        tr data-row {
            td { a href={ "/sessions/" (of.session) } { (of.user) } }
            td { (of.role) }
            td { (of.target) }
            td { (ago(of.opened_s, now_s)) }
            td.number { (of.forwarded) }
            td.number { @if of.refused > 0 { span.tag.bad { (of.refused) } } @else { "0" } }
            td.number { (of.rows) }
            td { @match of.recording.as_str() { "" => "–", mode => (mode) } }
        }
    }
}

fn search_part(wanted: &Wanted, found: &Result<Found, String>, now_s: u64) -> Markup {
    let within = if wanted.within.is_empty() { "1d" } else { &wanted.within };
    html! {
        section aria-labelledby="log-title" {
            h2 #log-title { "In the log" }
            form.fields.search method="get" action="/sessions" role="search" {
                div { label for="user" { "User" } input #user name="user" value=(wanted.user) data-search autocomplete="off"; }
                div { label for="target" { "Target" } input #target name="target" value=(wanted.target) autocomplete="off"; }
                div { label for="text" { "Statement contains" } input #text name="text" value=(wanted.text) autocomplete="off"; }
                div {
                    label for="within" { "Within" }
                    select #within name="within" {
                        @for (word, name, _) in Wanted::SPANS { option value=(word) selected[word == within] { (name) } }
                        option value="all" selected[within == "all"] { "all of the log" }
                    }
                }
                label.check { input type="checkbox" name="refused" value="1" checked[!wanted.refused.is_empty()]; " Only with a refusal" }
                button type="submit" { "Search" }
            }
            @match found {
                Err(why) => { p.warn role="alert" { (why) } }
                Ok(found) if found.sessions.is_empty() => { p.empty { "No session fits." } }
                Ok(found) => {
                    div.scroll tabindex="0" role="region" aria-labelledby="log-title" {
                        table {
                            thead { tr {
                                th scope="col" { "User" } th scope="col" { "Role" } th scope="col" { "Target" } th scope="col" { "Began" }
                                th.number scope="col" { "Statements" } th.number scope="col" { "Refused" } th.number scope="col" { "Rows" }
                                th scope="col" { "Recorded" }
                            } }
                            tbody { @for of in &found.sessions { (row(of, now_s)) } }
                        }
                    }
                    p.actions {
                        @if found.more { span.quiet { "There are more: narrow the search. " } }
                        a href={ "/sessions.csv?" (wanted.query()) } { "Download as CSV" }
                    }
                    @for place in &found.damage { p.warn { (place) } }
                }
            }
        }
    }
}

async fn list(
    State(state): State<Shared>,
    looking: Looking,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let shared = Shared::clone(&state);
    work(&state, move |state| {
        let engine = &state.engine;
        let (auditor, admin) = (engine.is_auditor(&looking.person), engine.is_admin(&looking.person));
        let now_s = engine.clock().now_s();
        let mut live = state.world.live();
        live.retain(|of| auditor || is_mine(of, &looking));
        live.sort_by(|a, b| b.since_s.cmp(&a.since_s).then_with(|| a.session.cmp(&b.session)));
        let found = auditor.then(|| state.world.search(&wanted.search(now_s, FOUND_MAX)));
        let body = html! {
            (live_part(&live, &looking, admin, now_s))
            @if let Some(found) = &found { (search_part(&wanted, found, now_s)) }
        };
        Ok(page(
            &shared,
            &looking,
            &Page { title: "Sessions", here: "/sessions", done: &wanted.done, refresh: 0 },
            &body,
        ))
    })
    .await
}

fn needs_auditor(state: &crate::State, looking: &Looking) -> Result<(), Failure> {
    if state.engine.is_auditor(&looking.person) {
        return Ok(());
    }
    state.engine.refused("admin_refused", &looking.person.who, &looking.source(), looking.path.clone());
    Err(Failure::forbidden("only auditors and administrators may look at this"))
}

async fn file(
    State(state): State<Shared>,
    looking: Looking,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    work(&state, move |state| {
        needs_auditor(state, &looking)?;
        let search = wanted.search(state.engine.clock().now_s(), FILE_MAX);
        let found = state.world.search(&search).map_err(unavailable)?;
        let mut out = String::new();
        csv::row(
            &mut out,
            &[
                "session",
                "user",
                "role",
                "target",
                "source",
                "application",
                "opened",
                "closed",
                "reason",
                "forwarded",
                "refused",
                "rows",
                "bytes",
                "recording",
            ],
        );
        for of in &found.sessions {
            let (closed, reason) =
                of.closed.as_ref().map_or_else(Default::default, |(at, why)| (at.to_string(), why.clone()));
            let cells: [&str; 14] = [
                &of.session,
                &of.user,
                &of.role,
                &of.target,
                &of.source,
                &of.application,
                &of.opened_s.to_string(),
                &closed,
                &reason,
                &of.forwarded.to_string(),
                &of.refused.to_string(),
                &of.rows.to_string(),
                &of.bytes.to_string(),
                &of.recording,
            ];
            csv::row(&mut out, &cells);
        }
        Ok(speak::download("text/csv; charset=utf-8", "sessions.csv", out))
    })
    .await
}

fn unavailable(why: String) -> Failure {
    Failure::new(axum::http::StatusCode::SERVICE_UNAVAILABLE, "unavailable", why)
}

fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit() && !b.is_ascii_uppercase())
}

fn facts(of: &Recorded, now_s: u64) -> Markup {
    html! {
        dl.facts {
            div { dt { "User" } dd { strong { (of.user) } } }
            div { dt { "Role" } dd { (of.role) } }
            div { dt { "Target" } dd { (of.target) } }
            div { dt { "From" } dd { (of.source) @if !of.application.is_empty() { " · " (of.application) } } }
            div { dt { "Began" } dd { (exact(of.opened_s)) } }
            div {
                dt { "Ended" }
                dd { @match &of.closed { Some((at, why)) => { "after " (span(at.saturating_sub(of.opened_s))) ": " (why) } None => { "not yet (" (ago(of.opened_s, now_s)) ")" } } }
            }
            div { dt { "Statements" } dd { (of.forwarded) " run, " (of.refused) " refused" } }
            div { dt { "Returned" } dd { (of.rows) " rows, " (of.bytes) " bytes" } }
            div { dt { "Recorded" } dd { @match of.recording.as_str() { "" => "what was asked, not what was returned", "rows" => "what was asked and returned", other => (other) } } }
            div.wide { dt { "Id" } dd { code { (of.session) } } }
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
        if !is_id(&id) {
            return Err(Failure::not_found());
        }
        let engine = &state.engine;
        let (auditor, admin) = (engine.is_auditor(&looking.person), engine.is_admin(&looking.person));
        let now_s = engine.clock().now_s();
        let mut live = state.world.live();
        live.retain(|of| of.session == id && (auditor || is_mine(of, &looking)));
        let recorded = if auditor {
            let found = state.world.search(&Search { session: id.clone(), limit: 1, ..Search::default() });
            found.map_err(unavailable)?.sessions.pop()
        } else {
            None
        };
        if live.is_empty() && recorded.is_none() {
            return Err(Failure::not_found());
        }
        let body = html! {
            @if !live.is_empty() { (live_part(&live, &looking, admin, now_s)) }
            @if let Some(of) = &recorded {
                section aria-labelledby="facts-title" { h2.unseen #facts-title { "Facts" } (facts(of, now_s)) }
                section.card aria-labelledby="replay-title" {
                    h2 #replay-title { "Replay" }
                    p.lead { "What was asked, and what was returned as its client saw it: masked. That you looked, and why, is recorded first." }
                    form.fields method="post" action={ "/sessions/" (id) "/replay" } {
                        (csrf(&looking))
                        div.wide {
                            label for="why" { "Why do you look?" }
                            input #why name="reason" required minlength=(REASON_MIN) maxlength="500" autocomplete="off" data-reason;
                        }
                        button type="submit" { "Replay" }
                    }
                }
            }
        };
        Ok(page(&shared, &looking, &Page { title: "Session", here: "/sessions", done: &done.done, refresh: 0 }, &body))
    })
    .await
}

async fn end(State(state): State<Shared>, Path(id): Path<String>, acting: Acting) -> Result<Response, Failure> {
    work(&state, move |state| {
        kill(state, &acting.looking.person, &acting.looking.source(), &id, acting.fields.get("reason"))?;
        Ok(speak::see("/sessions?done=killed"))
    })
    .await
}

/// Ends a session: one's own, or anybody's as an administrator. Recorded first.
pub(crate) fn kill(
    state: &crate::State,
    person: &access::Person,
    source: &str,
    id: &str,
    reason: &str,
) -> Result<(), Failure> {
    let live = state.world.live().into_iter().find(|of| of.session == id).ok_or_else(Failure::not_found)?;
    let mine = live.issuer == person.who.issuer && live.subject == person.who.subject;
    if !mine && !state.engine.is_admin(person) {
        state.engine.refused("admin_refused", &person.who, source, format!("kill {id}"));
        // Those who may not see it are not told that it is there.
        let seen = state.engine.is_auditor(person);
        return Err(if seen { Failure::forbidden("only administrators may do this") } else { Failure::not_found() });
    }
    if reason.trim().is_empty() {
        return Err(Failure::invalid("give a reason"));
    }
    state.engine.record(OwnedAccess {
        kind: "end".to_owned(),
        session: super::session_id(id),
        actor: OwnedActor {
            issuer: person.who.issuer.clone(),
            subject: person.who.subject.clone(),
            role: String::new(),
        },
        about: OwnedActor { issuer: live.issuer, subject: live.subject, role: live.role },
        target: live.target,
        source: source.to_owned(),
        user: live.user,
        id: id.to_owned(),
        reason: reason.trim().to_owned(),
        detail: "killed".to_owned(),
        ..OwnedAccess::default()
    })?;
    if state.world.kill(id, "killed") {
        return Ok(());
    }
    Err(access::AccessError::Over("it has just ended by itself".to_owned()).into())
}

fn table(answer: &Answer, of: &Replayed) -> Markup {
    let fate = |column: &str| of.masked.iter().find(|(name, _)| name == column).map(|(_, fate)| fate.as_str());
    html! {
        div.scroll tabindex="0" role="region" aria-label="Rows returned" {
            table.rows-shown {
                thead { tr {
                    @for column in &answer.columns {
                        th scope="col" { (column) @if let Some(fate) = fate(column) { span.tag.class { (fate) } } }
                    }
                } }
                tbody {
                    @for row in &answer.rows {
                        tr {
                            @for (at, value) in row.iter().enumerate() {
                                td.masked[answer.columns.get(at).is_some_and(|name| fate(name).is_some())] {
                                    @match value { Some(value) => (value), None => span.null { "NULL" } }
                                }
                            }
                        }
                    }
                }
            }
        }
        @if answer.left_out > 0 { p.quiet { (answer.left_out) " more rows are not shown here; " code { "tidegate replay" } " shows all." } }
    }
}

fn replayed(of: &Replayed, began_s: u64) -> Markup {
    let after = (of.at_ns / 1_000_000_000).saturating_sub(began_s);
    html! {
        li.card {
            header {
                h3 { "Statement " (of.statement) }
                span.quiet { "after " (span(after)) " · " (of.duration_us) " µs" @if of.rows > 0 { " · " (of.rows) " rows" } }
                @match &of.refused {
                    Some((code, rule)) => span.tag.bad { "refused " (code) " by " (rule) },
                    None => span.tag { @if of.outcome.is_empty() { "no end" } @else { (of.outcome) } },
                }
            }
            @if of.sealed { p.empty { "The text is sealed. " (of.text) } } @else { (statement::show(&of.text, &[])) }
            @if let Some(answer) = &of.answer { (table(answer, of)) }
            @else if !of.masked.is_empty() {
                p.quiet { "Masked: " @for (name, fate) in &of.masked { span.tag.class { (name) ": " (fate) } } }
            }
        }
    }
}

async fn replay(State(state): State<Shared>, Path(id): Path<String>, acting: Acting) -> Result<Response, Failure> {
    let shared = Shared::clone(&state);
    work(&state, move |state| {
        let looking = &acting.looking;
        needs_auditor(state, looking)?;
        let reason = acting.fields.get("reason").trim();
        if !is_id(&id) {
            return Err(Failure::not_found());
        }
        if reason.chars().count() < REASON_MIN {
            return Err(Failure::invalid(format!("say why you look, in at least {REASON_MIN} characters")));
        }
        let viewer = Viewer { who: looking.person.who.clone(), reason: reason.to_owned(), source: looking.source() };
        let Replay { session, statements, more, notes } = state.world.replay(&id, &viewer).map_err(unavailable)?;
        let now_s = state.engine.clock().now_s();
        let body = html! {
            (facts(&session, now_s))
            @for note in &notes { p.warn { (note) } }
            @if statements.is_empty() { p.empty { "There is no statement in it." } }
            ol.replay { @for of in &statements { (replayed(of, session.opened_s)) } }
            @if more { p.quiet { "There are more statements; " code { "tidegate replay" } " shows all." } }
        };
        let title = format!("Replay of {}", session.user);
        Ok(page(&shared, looking, &Page { title: &title, here: "/sessions", done: "", refresh: 0 }, &body))
    })
    .await
}
