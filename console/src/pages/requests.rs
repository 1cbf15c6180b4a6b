//! Requests in words: what is asked for, where it stands.

use super::moments::left;
use access::{Request, State, Wanted};
use maud::{Markup, html};

/// What is asked for, on one line.
pub(super) fn title(request: &Request) -> String {
    match &request.wanted {
        Wanted::Access { target, role, seconds } => {
            format!("{role} on {target} for {}", super::moments::span(*seconds))
        }
        Wanted::Statement(wanted) if wanted.tables.is_empty() => format!("A statement on {}", wanted.target),
        Wanted::Statement(wanted) => {
            let named: Vec<&str> = wanted.tables.iter().take(3).map(String::as_str).collect();
            let more = if wanted.tables.len() > 3 { ", …" } else { "" };
            format!("A statement on {}: {}{more}", wanted.target, named.join(", "))
        }
    }
}

/// Where it stands, as a tag.
pub(super) fn standing(request: &Request, now_s: u64) -> Markup {
    let votes = request.votes.iter().filter(|vote| vote.approve).count();
    match &request.state {
        State::Pending => html! {
            span.tag.wait { @if request.needed > 1 { (votes) " of " (request.needed) ", " } "ends " (left(request.until_s, now_s)) }
        },
        State::Approved { until_s } => match request.wanted {
            Wanted::Access { .. } => html! { span.tag.good { "approved" } },
            Wanted::Statement(_) => html! { span.tag.good { "approved, run it " (left(*until_s, now_s)) } },
        },
        State::Consumed { .. } => html! { span.tag.good { "run once" } },
        State::Over { why } => html! { span.tag.over { (why) } },
    }
}
