//! Health: how the parts are doing, and what the data path adds to statements on each core.

use super::layout::{Page, page};
use super::moments::ago;
use crate::failure::Failure;
use crate::state::{Looking, Shared, work};
use crate::world::{Core, Health, Light, Part};
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use maud::{Markup, html};

pub(super) fn router() -> Router<Shared> {
    Router::new().route("/health", get(show))
}

fn light(light: Light) -> Markup {
    let (class, word) = match light {
        Light::Good => ("good", "good"),
        Light::Warn => ("wait", "look at it"),
        Light::Bad => ("bad", "broken"),
    };
    html! { span.tag.(class) { (word) } }
}

fn part(of: &Part) -> Markup {
    html! {
        section.card {
            header { h3 { (of.name) } (light(of.light)) }
            p { (of.says) }
            @if !of.facts.is_empty() {
                dl.facts { @for (name, value) in &of.facts { div { dt { (name) } dd { (value) } } } }
            }
        }
    }
}

/// Microseconds as people read them.
fn time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{}.{} ms", us / 1000, us % 1000 / 100),
        10_000..1_000_000 => format!("{} ms", us / 1000),
        _ => format!("{} s", us / 1_000_000),
    }
}

fn cores(of: &[Core]) -> Markup {
    let stages: Vec<&str> =
        of.first().map(|core| core.stages.iter().map(|(name, ..)| name.as_str()).collect()).unwrap_or_default();
    let worst = of.iter().flat_map(|core| core.stages.iter().map(|(.., p99)| *p99)).max().unwrap_or(1).max(1);
    html! {
        section aria-labelledby="cores-title" {
            h2 #cores-title { "Added to statements, by core" }
            div.scroll tabindex="0" role="region" aria-labelledby="cores-title" {
                table {
                    thead { tr {
                        th scope="col" { "Core" } th.number scope="col" { "Sessions" } th.number scope="col" { "Statements" }
                        @for stage in &stages { th scope="col" { (stage) span.quiet { " p50 · p99" } } }
                    } }
                    tbody {
                        @for core in of {
                            tr {
                                th scope="row" { (core.core) }
                                td.number { (core.sessions) }
                                td.number { (core.statements) }
                                @for (name, p50, p99) in &core.stages {
                                    td {
                                        span.pair { (time(*p50)) " · " (time(*p99)) }
                                        meter min="0" max=(worst) value=(p99) aria-label={ (name) " on core " (core.core) ", 99th percentile" } { (time(*p99)) }
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

async fn show(State(state): State<Shared>, looking: Looking) -> Result<Response, Failure> {
    let shared = Shared::clone(&state);
    work(&state, move |state| {
        if !state.engine.is_auditor(&looking.person) {
            state.engine.refused("admin_refused", &looking.person.who, &looking.source(), "/health".to_owned());
            return Err(Failure::forbidden("only auditors and administrators may look at this"));
        }
        let Health { version, node, since_s, light: all, cores: each, parts } = state.world.health();
        let now_s = state.engine.clock().now_s();
        let body = html! {
            p.lead { (light(all)) " " (node) " · version " (version) " · started " (ago(since_s, now_s)) }
            div.cards { @for of in &parts { (part(of)) } }
            @if !each.is_empty() { (cores(&each)) }
        };
        Ok(page(&shared, &looking, &Page { title: "Health", here: "/health", done: "", refresh: 10 }, &body))
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::time;

    #[test]
    fn times_read_as_people_say_them() {
        for (us, text) in [(0, "0 µs"), (999, "999 µs"), (1_500, "1.5 ms"), (20_000, "20 ms"), (3_000_000, "3 s")] {
            assert_eq!(time(us), text);
        }
    }
}
