//! Policy: which rule decides about a statement; who sees what; what is covered; what a bundle changed.
//!
//! Everybody can ask about roles they have; all roles, coverage and differences are for auditors, because they show where to
//! look for what is not protected.

use super::layout::{Page, csrf, page};
use super::moments::exact;
use super::statement;
use crate::failure::Failure;
use crate::state::{Acting, Looking, Shared, work};
use crate::world::{Coverage, Difference, Explained, PolicySummary};
use axum::Router;
use axum::extract::{Query, State};
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};
use serde::Deserialize;

/// Columns of a target on the page.
const COLUMNS_MAX: usize = 200;
/// Longest statement to explain, bytes.
const STATEMENT_MAX: usize = 32 << 10;

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/policy", get(show).post(explain))
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Wanted {
    from: String,
}

/// What is asked about.
#[derive(Clone, Debug, Default)]
struct Asked {
    target: String,
    role: String,
    statement: String,
    answer: Option<Result<Explained, String>>,
}

/// Targets, and roles that somebody may ask about.
fn choices(state: &crate::State, looking: &Looking, all: &[String]) -> (Vec<String>, Vec<String>) {
    let targets = state.world.targets().into_iter().map(|target| target.name).collect();
    if state.engine.is_auditor(&looking.person) {
        return (targets, all.to_vec());
    }
    let mut roles: Vec<String> = state.world.standing(&looking.person).into_iter().map(|of| of.role).collect();
    roles.extend(state.engine.grants(Some(&looking.person.who)).into_iter().map(|grant| grant.role));
    roles.sort();
    roles.dedup();
    (targets, roles)
}

fn verdict(answer: &Result<Explained, String>) -> Markup {
    html! {
        div.answer #answer role="status" {
            @match answer {
                Err(why) => { p.warn { (why) } }
                Ok(of) => {
                    @let class = match of.decision.as_str() { "allowed" => "good", "held" => "wait", _ => "bad" };
                    p.verdict { span.tag.(class) { (of.decision) } @if !of.rule.is_empty() && of.decision != "allowed" { " by rule " code { (of.rule) } } }
                    @if !of.message.is_empty() { p { (of.message) } }
                    @if !of.columns.is_empty() {
                        div.scroll tabindex="0" role="region" aria-label="Result columns" {
                            table {
                                thead { tr { th scope="col" { "Column" } th scope="col" { "Comes from" } th scope="col" { "Becomes" } } }
                                tbody { @for (name, from, fate) in &of.columns { tr { td { (name) } td { (from) } td { (fate) } } } }
                            }
                        }
                    }
                    @if !of.text.is_empty() { details { summary { "In full" } (statement::show(&of.text, &[])) } }
                }
            }
        }
    }
}

fn explain_part(asked: &Asked, (targets, roles): (&[String], &[String]), looking: &Looking) -> Markup {
    html! {
        section.card aria-labelledby="explain-title" {
            h2 #explain-title { "Which rule decides?" }
            @if roles.is_empty() { p.empty { "You have no role now." } }
            @else {
                form.fields method="post" action="/policy#answer" {
                    (csrf(looking))
                    div { label for="target" { "Target" } select #target name="target" { @for name in targets { option value=(name) selected[*name == asked.target] { (name) } } } }
                    div { label for="role" { "Role" } select #role name="role" { @for name in roles { option value=(name) selected[*name == asked.role] { (name) } } } }
                    div.wide {
                        label for="statement" { "Statement" span.quiet { " (it is judged, not run)" } }
                        textarea.code #statement name="statement" rows="5" required maxlength=(STATEMENT_MAX) spellcheck="false" data-search { (asked.statement) }
                    }
                    button type="submit" { "Explain" }
                }
            }
            @if let Some(answer) = &asked.answer { (verdict(answer)) }
        }
    }
}

fn sees_part(summary: &PolicySummary) -> Markup {
    html! {
        section aria-labelledby="sees-title" {
            h2 #sees-title { "Who sees what" }
            @if summary.sees.is_empty() { p.empty { "No class is defined." } }
            @else {
                div.scroll tabindex="0" role="region" aria-labelledby="sees-title" {
                    table.matrix {
                        thead { tr { th scope="col" { "Class" } @for role in &summary.roles { th scope="col" { (role) @if summary.observed.contains(role) { span.tag.wait { "observed" } } } } } }
                        tbody {
                            @for of in &summary.sees {
                                tr {
                                    th scope="row" { (of.class) }
                                    @for role in &summary.roles {
                                        @let fate = of.by_role.get(role).map_or("", String::as_str);
                                        @let class = match fate { "clear" => "clear", "refused" => "refused", _ => "masked" };
                                        td.(class) { (fate) }
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

fn columns(id: &str, title: &str, of: &[(String, String, String)], last: &str) -> Markup {
    html! {
        details {
            summary { (title) span.count { (of.len()) } }
            div.scroll tabindex="0" role="region" aria-label=(title) {
                table #(id) {
                    thead { tr { th scope="col" { "Relation" } th scope="col" { "Column" } th scope="col" { (last) } } }
                    tbody { @for (relation, column, what) in of.iter().take(COLUMNS_MAX) { tr { td { (relation) } td { (column) } td { (what) } } } }
                }
            }
            @if of.len() > COLUMNS_MAX { p.quiet { (of.len() - COLUMNS_MAX) " more; " code { "policy-compiler coverage" } " lists all." } }
        }
    }
}

fn coverage_part(all: &[Coverage]) -> Markup {
    html! {
        section aria-labelledby="coverage-title" {
            h2 #coverage-title { "What is protected" }
            div.cards {
                @for (at, of) in all.iter().enumerate() {
                    section.card {
                        header {
                            h3 { (of.target) }
                            @if of.uncovered == 0 { span.tag.good { "all columns decided" } } @else { span.tag.wait { (of.uncovered) " undecided" } }
                        }
                        meter min="0" max=(of.columns.max(1)) value=(of.classified + of.clear) aria-label={ "Columns of " (of.target) " that a rule decides about" } {}
                        p { (of.classified) " protected, " (of.clear) " clear, " (of.uncovered) " undecided, of " (of.columns) " columns." }
                        @if !of.protected.is_empty() { (columns(&format!("protected-{at}"), "Protected columns", &of.protected, "Class")) }
                        @if !of.open.is_empty() { (columns(&format!("open-{at}"), "Undecided columns", &of.open, "Looks like")) }
                    }
                }
            }
        }
    }
}

fn bundles_part(summary: &PolicySummary, from: &str, difference: Option<&Result<Difference, String>>) -> Markup {
    let short = |digest: &str| digest.get(..12).unwrap_or(digest).to_owned();
    html! {
        section aria-labelledby="bundles-title" {
            h2 #bundles-title { "Bundle in force" }
            p { code title=(summary.bundle.digest) { (short(&summary.bundle.digest)) } " since " (exact(summary.bundle.from_s)) }
            @if !summary.earlier.is_empty() {
                form.fields method="get" action="/policy#difference" {
                    div {
                        label for="from" { "What changed since" }
                        select #from name="from" {
                            @for of in &summary.earlier { option value=(of.digest) selected[of.digest == from] { (short(&of.digest)) ", " (exact(of.from_s)) } }
                        }
                    }
                    button type="submit" { "Compare" }
                }
            }
            @if let Some(difference) = difference {
                div.answer #difference {
                    @match difference {
                        Err(why) => { p.warn { (why) } }
                        Ok(of) => {
                            @if of.sees_more { p.warn { strong { "Somebody sees more than before." } } }
                            @else { p { span.tag.good { "nobody sees more" } } }
                            @if of.changes.is_empty() { p.empty { "Nothing changed." } }
                            ul.changes {
                                @for (sign, text) in &of.changes {
                                    li.more[*sign == '!'].added[*sign == '+'].gone[*sign == '-'] { span aria-hidden="true" { (sign) } (text) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn whole(state: &Shared, looking: &Looking, wanted: &Wanted, asked: &Asked) -> Result<Response, Failure> {
    let auditor = state.engine.is_auditor(&looking.person);
    let summary = state.world.policy();
    let roles = summary.as_ref().map(|of| of.roles.clone()).unwrap_or_default();
    let (targets, roles) = choices(state, looking, &roles);
    let difference = (auditor && !wanted.from.is_empty())
        .then(|| summary.as_ref().ok().map(|of| state.world.difference(&wanted.from, &of.bundle.digest)))
        .flatten();
    let body = html! {
        (explain_part(asked, (&targets, &roles), looking))
        @match &summary {
            Err(why) => { p.warn role="alert" { (why) } }
            Ok(summary) if auditor => {
                (sees_part(summary))
                (coverage_part(&summary.coverage))
                (bundles_part(summary, &wanted.from, difference.as_ref()))
            }
            Ok(summary) => { p.quiet { "Bundle " code { (summary.bundle.digest.get(..12).unwrap_or_default()) } } }
        }
    };
    Ok(page(state, looking, &Page { title: "Policy", here: "/policy", done: "", refresh: 0 }, &body))
}

async fn show(
    State(state): State<Shared>,
    looking: Looking,
    Query(wanted): Query<Wanted>,
) -> Result<Response, Failure> {
    let shared = Shared::clone(&state);
    work(&state, move |_| whole(&shared, &looking, &wanted, &Asked::default())).await
}

/// By POST, because a statement may hold what does not belong into an address.
async fn explain(State(state): State<Shared>, acting: Acting) -> Result<Response, Failure> {
    let shared = Shared::clone(&state);
    work(&state, move |state| {
        let Acting { looking, fields } = &acting;
        let text = |name: &str| fields.get(name).to_owned();
        let mut asked =
            Asked { target: text("target"), role: text("role"), statement: text("statement"), answer: None };
        asked.answer = Some(answer(state, looking, &asked));
        whole(&shared, looking, &Wanted::default(), &asked)
    })
    .await
}

fn answer(state: &crate::State, looking: &Looking, asked: &Asked) -> Result<Explained, String> {
    if asked.statement.len() > STATEMENT_MAX {
        return Err("the statement is too long to explain here".to_owned());
    }
    let all = state.world.policy()?.roles;
    let (_, roles) = choices(state, looking, &all);
    if !roles.contains(&asked.role) {
        return Err("that is not a role you can ask about".to_owned());
    }
    state.world.explain(&asked.target, &asked.role, &asked.statement)
}
