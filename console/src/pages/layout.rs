//! The frame of every page: landmarks, navigation, messages, the help of keys.

use crate::assets::PATHS;
use crate::speak;
use crate::state::{Looking, Shared};
use access::State;
use axum::http::StatusCode;
use axum::response::Response;
use maud::{DOCTYPE, Markup, html};

/// A page of the console.
pub(super) struct Page<'a> {
    pub(super) title: &'a str,
    /// Path of its entry in the navigation.
    pub(super) here: &'static str,
    /// Word of a message about what was just done.
    pub(super) done: &'a str,
    /// Loads itself again after so many seconds, 0 for never.
    pub(super) refresh: u32,
}

/// What was just done, in words. Only these words are ever shown.
fn message(word: &str) -> Option<&'static str> {
    Some(match word {
        "asked" => "Your request waits for a vote. You can follow it below.",
        "given" => "You have the role now.",
        "withdrawn" => "Your request is withdrawn.",
        "revoked" => "Ended. Sessions that used it are being closed.",
        "voted" => "Your vote is counted and recorded.",
        "killed" => "The session is being closed.",
        "suspended" => "Suspended. Sign-ins, credentials and sessions of this person end now.",
        "unsuspended" => "Not suspended any more.",
        "registered" => "The key is registered.",
        "removed" => "The key is removed.",
        "reviewed" => "Your review is recorded.",
        "glass" => "Emergency access is open. Everyone responsible has been told.",
        _ => return None,
    })
}

const NAVIGATION: &[(&str, &str, &str)] = &[
    ("/access", "My access", "a"),
    ("/approvals", "Approvals", "p"),
    ("/sessions", "Sessions", "s"),
    ("/policy", "Policy", "y"),
    ("/health", "Health", "h"),
    ("/people", "People", "e"),
];

fn head(title: &str) -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { (title) " · Tidegate" }
            link rel="icon" href=(PATHS.icon) type="image/svg+xml";
            link rel="stylesheet" href=(PATHS.css);
            script src=(PATHS.js) defer {}
        }
    }
}

fn brand() -> Markup {
    html! {
        a.brand href="/" {
            svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true" {
                rect width="32" height="32" rx="8" {}
                path d="M5 20c3.7 0 3.7-3 7.3-3s3.7 3 7.4 3 3.6-3 7.3-3M5 25c3.7 0 3.7-3 7.3-3s3.7 3 7.4 3 3.6-3 7.3-3M16 14V7m-3.5 3.5L16 7l3.5 3.5" {}
            }
            span { "Tidegate" }
        }
    }
}

/// A page of somebody who is not signed in, or of nobody in particular.
pub(super) fn bare(title: &str, theme: &str, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" data-theme=(theme) {
            (head(title))
            body.door { header { (brand()) } main #main { (body) } }
        }
    }
}

/// Requests that this person could vote on now.
pub(super) fn waiting(state: &crate::State, looking: &Looking) -> usize {
    let mine = |request: &&access::Request| {
        request.state == State::Pending && state.engine.may_vote(&looking.person, request).is_ok()
    };
    state.engine.requests().iter().filter(mine).count()
}

/// A page, whole.
pub(super) fn page(state: &Shared, looking: &Looking, page: &Page<'_>, body: &Markup) -> Response {
    let person = &looking.person;
    let (admin, auditor) = (state.engine.is_admin(person), state.engine.is_auditor(person));
    let waits = waiting(state, looking);
    let shown = |path: &str| match path {
        "/people" => admin,
        "/health" => auditor,
        _ => true,
    };
    let markup = html! {
        (DOCTYPE)
        html lang="en" data-theme=(looking.theme) {
            (head(page.title))
            body data-refresh=[(page.refresh > 0).then_some(page.refresh)] {
                a.skip href="#main" { "Skip to content" }
                header.side {
                    (brand())
                    nav aria-label="Console" {
                        ul {
                            @for (path, name, key) in NAVIGATION.iter().filter(|(path, ..)| shown(path)) {
                                li {
                                    a href=(path) data-key=(key) aria-current=[(*path == page.here).then_some("page")] {
                                        span { (name) }
                                        @if *path == "/approvals" && waits > 0 {
                                            span.count { (waits) span.unseen { " waiting for your vote" } }
                                        }
                                    }
                                }
                            }
                        }
                    }
                    div.self {
                        div.who {
                            strong { (person.handle) }
                            span { @if admin { "administrator" } @else if auditor { "auditor" } @else { (person.name) } }
                        }
                        div.tools {
                            button.plain type="button" data-theme-switch hidden { span.unseen { "Switch between light and dark" } }
                            button.plain type="button" data-help hidden { span aria-hidden="true" { "?" } span.unseen { "Keyboard shortcuts" } }
                            form method="post" action="/logout" {
                                (csrf(looking))
                                button.plain type="submit" { "Sign out" }
                            }
                        }
                    }
                }
                main #main tabindex="-1" {
                    @if let Some(text) = message(page.done) { p.notice role="status" { (text) } }
                    h1 { (page.title) }
                    (body)
                }
                (help())
            }
        }
    };
    speak::page(StatusCode::OK, markup)
}

/// The token that a form of this sign-in carries.
pub(super) fn csrf(looking: &Looking) -> Markup {
    html! { input type="hidden" name="csrf" value=(looking.sign_in.csrf); }
}

fn help() -> Markup {
    let keys: &[(&[&str], &str)] = &[
        (&["g", "a"], "My access"),
        (&["g", "p"], "Approvals"),
        (&["g", "s"], "Sessions"),
        (&["g", "y"], "Policy"),
        (&["g", "h"], "Health"),
        (&["j"], "Next row"),
        (&["k"], "Row before"),
        (&["Enter"], "Open the row"),
        (&["/"], "Search"),
        (&["r"], "Write the reason of a vote"),
        (&["t"], "Light or dark"),
        (&["?"], "This help"),
    ];
    html! {
        dialog #help aria-labelledby="help-title" {
            form method="dialog" {
                h2 #help-title { "Keyboard" }
                dl.keys {
                    @for (keys, what) in keys {
                        div { dt { @for key in *keys { kbd { (key) } } } dd { (what) } }
                    }
                }
                button type="submit" { "Close" }
            }
        }
    }
}
