//! Answers of the console as text for people. What others wrote (reasons, statements, names) cannot steer a terminal or look
//! like something else: control characters, and those that are not seen or turn text round, are written as what they are.

use serde_json::Value;
use std::fmt::Write as _;

/// A text on one line.
pub(super) fn plain(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        if is_hidden(c) {
            // Writing to a string cannot fail.
            let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
        } else {
            out.push(c);
        }
        out
    })
}

/// Not seen, or changes how what follows is seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// A text on several lines.
fn lines(text: &str, indent: &str) -> String {
    text.lines().map(|line| format!("{indent}{}\n", plain(&line.replace('\t', "    ")))).collect()
}

fn text(value: &Value) -> String {
    plain(value.as_str().unwrap_or_default())
}

pub(super) fn list(value: &Value) -> String {
    let items = value.as_array().into_iter().flatten().filter_map(Value::as_str);
    items.map(plain).collect::<Vec<_>>().join(", ")
}

pub(super) fn votes(request: &Value) -> String {
    match request["needed"].as_u64() {
        Some(1) => "1 vote".to_owned(),
        other => format!("{} votes", other.unwrap_or(0)),
    }
}

fn moment(value: &Value) -> String {
    let seconds = value.as_u64().and_then(|s| i64::try_from(s).ok());
    let moment = seconds.filter(|s| *s > 0).and_then(|s| jiff::Timestamp::from_second(s).ok());
    moment.map_or_else(|| "-".to_owned(), |moment| moment.to_string())
}

fn span(seconds: u64) -> String {
    match seconds {
        s if s >= 7200 => format!("{}h{:02}m", s / 3600, s % 3600 / 60),
        s if s >= 120 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

fn left(until: &Value) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs());
    match until.as_u64() {
        None | Some(0) => "-".to_owned(),
        Some(until) => span(until.saturating_sub(now)),
    }
}

/// Columns as wide as what is in them.
fn table(head: &[&str], rows: &[Vec<String>], none: &str) -> String {
    if rows.is_empty() {
        return format!("{none}\n");
    }
    let width = |at: usize| {
        let cells = rows.iter().filter_map(|row| row.get(at)).map(|cell| cell.chars().count());
        cells.chain(head.get(at).map(|cell| cell.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let cells = cells.zip(&widths).map(|(cell, &width)| format!("{cell:<width$}"));
        format!("{}\n", cells.collect::<Vec<_>>().join("  ").trim_end())
    };
    let mut out = line(&mut head.iter().copied());
    rows.iter().for_each(|row| out.push_str(&line(&mut row.iter().map(String::as_str))));
    out
}

fn rows<'a>(of: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    of[name].as_array().into_iter().flatten()
}

fn wanted(request: &Value) -> String {
    let of = &request["wanted"];
    match of["kind"].as_str() {
        Some("access") => format!("role {} for {}", text(&of["role"]), span(of["seconds"].as_u64().unwrap_or(0))),
        _ => format!("statement, rule {}", text(&of["rule"])),
    }
}

/// What became of a request or vote.
pub(super) fn outcome(request: &Value) -> String {
    let id = text(&request["id"]);
    match request["state"].as_str() {
        Some("pending") => {
            let so_far = request["votes"].as_array().map_or(0, Vec::len);
            let approvers = list(&request["approvers"]);
            format!("{id} waits: {so_far} of {} of {approvers}, for {}\n", votes(request), left(&request["until"]))
        }
        Some("approved") => format!("{id} is approved: {}, until {}\n", wanted(request), moment(&request["until"])),
        other => format!("{id} is over: {}\n", plain(other.unwrap_or("?"))),
    }
}

pub(super) fn requests(answer: &Value) -> String {
    let row = |request: &Value| {
        vec![
            text(&request["id"]),
            text(&request["state"]),
            text(&request["handle"]),
            text(&request["wanted"]["target"]),
            wanted(request),
            format!("{}/{}", request["votes"].as_array().map_or(0, Vec::len), request["needed"]),
            left(&request["until"]),
            text(&request["reason"]),
        ]
    };
    let head = ["ID", "STATE", "WHO", "TARGET", "WANTED", "VOTES", "LEFT", "REASON"];
    table(&head, &rows(answer, "requests").map(row).collect::<Vec<_>>(), "no requests concern you")
}

/// Everything about a request.
pub(super) fn request(request: &Value) -> String {
    let of = &request["wanted"];
    let mut out = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            let _ = writeln!(out, "{name:<10} {value}");
        }
    };
    line("request", format!("{} ({})", text(&request["id"]), text(&request["state"])));
    let who = &request["who"];
    let identity = format!("{} at {}", text(&who["subject"]), text(&who["issuer"]));
    line("who", format!("{}, {identity}, from {}", text(&request["handle"]), text(&request["source"])));
    line("asked", moment(&request["at"]));
    line("until", request["until"].as_u64().map_or_else(String::new, |_| moment(&request["until"])));
    line("target", text(&of["target"]));
    line("role", text(&of["role"]));
    line("reason", text(&request["reason"]));
    if of["kind"] == "access" {
        line("for", span(of["seconds"].as_u64().unwrap_or(0)));
    } else {
        line("rule", text(&of["rule"]));
        line("tables", list(&of["tables"]));
        let classes = rows(of, "classes").map(|c| format!("{}: {}", text(&c["class"]), text(&c["becomes"])));
        line("classes", classes.collect::<Vec<_>>().join("; "));
        line(
            "rows",
            of["estimate"].as_u64().map_or_else(String::new, |n| format!("about {n}, by the database's estimate")),
        );
        line("digest", text(&of["digest"]));
    }
    let distinct = if request["distinct"] == true { ", from different groups" } else { "" };
    line("needs", format!("{} of {}{distinct}", votes(request), list(&request["approvers"])));
    if request["step_up"] == true {
        line("", "approving it needs your security key or passkey: vote in the console".to_owned());
    }
    for vote in rows(request, "votes") {
        let word = if vote["approve"] == true { "yes" } else { "no" };
        line(
            "vote",
            format!("{word}, {}, by {}: {}", text(&vote["handle"]), text(&vote["channel"]), text(&vote["reason"])),
        );
    }
    if let Some(statement) = of["text"].as_str() {
        let _ = write!(out, "\n{}", lines(statement, "    "));
        for (number, parameter) in rows(of, "parameters").enumerate() {
            let _ = writeln!(out, "    ${} = {}", number + 1, text(parameter));
        }
    }
    out
}

pub(super) fn grants(answer: &Value) -> String {
    let row = |grant: &Value| {
        let how = if grant["break_glass"] == true { "emergency" } else { "" };
        vec![
            text(&grant["id"]),
            text(&grant["who"]["subject"]),
            text(&grant["target"]),
            text(&grant["role"]),
            left(&grant["until"]),
            how.to_owned(),
            text(&grant["purpose"]),
        ]
    };
    let head = ["ID", "WHO", "TARGET", "ROLE", "LEFT", "HOW", "PURPOSE"];
    table(&head, &rows(answer, "grants").map(row).collect::<Vec<_>>(), "no access for a time holds")
}

pub(super) fn sessions(answer: &Value) -> String {
    let row = |live: &Value| {
        vec![
            text(&live["session"]),
            text(&live["user"]),
            text(&live["target"]),
            text(&live["role"]),
            text(&live["source"]),
            text(&live["grant"]),
            moment(&live["since"]),
            left(&live["until"]),
            text(&live["application"]),
        ]
    };
    let head = ["SESSION", "USER", "TARGET", "ROLE", "SOURCE", "GRANT", "SINCE", "LEFT", "APPLICATION"];
    table(&head, &rows(answer, "sessions").map(row).collect::<Vec<_>>(), "no sessions run")
}

pub(super) fn people(answer: &Value) -> String {
    let row = |person: &Value| {
        vec![
            text(&person["handle"]),
            text(&person["who"]["issuer"]),
            text(&person["who"]["subject"]),
            list(&person["groups"]),
            moment(&person["seen"]),
            if person["suspended"] == true { "suspended".to_owned() } else { String::new() },
        ]
    };
    let head = ["NAME", "ISSUER", "SUBJECT", "GROUPS", "SEEN", ""];
    table(&head, &rows(answer, "people").map(row).collect::<Vec<_>>(), "nobody has signed in")
}

pub(super) fn emergency(grant: &Value) -> String {
    format!(
        "{}: role {} on {} until {}\nYour sessions are recorded, others have been told, and two of them will review it.\n",
        text(&grant["id"]),
        text(&grant["role"]),
        text(&grant["target"]),
        moment(&grant["until"])
    )
}

pub(super) fn reviews(answer: &Value) -> String {
    let row = |review: &Value| {
        let state = match (review["reviewed"] == true, review["overdue"] == true) {
            (true, _) => "reviewed",
            (_, true) => "OVERDUE",
            _ => "open",
        };
        let by: Vec<String> = rows(review, "reviews").map(|one| text(&one["handle"])).collect();
        vec![
            text(&review["id"]),
            state.to_owned(),
            text(&review["handle"]),
            text(&review["target"]),
            text(&review["role"]),
            moment(&review["at"]),
            by.join(", "),
            text(&review["reason"]),
        ]
    };
    let head = ["ID", "STATE", "WHO", "TARGET", "ROLE", "AT", "REVIEWED BY", "REASON"];
    table(&head, &rows(answer, "emergencies").map(row).collect::<Vec<_>>(), "there were no emergencies")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_others_wrote_is_seen_as_it_is() {
        assert_eq!(plain("a\u{1b}[2Kb"), "a\\u{1b}[2Kb");
        assert_eq!(plain("pay\u{202e}lla\u{200b}"), "pay\\u{202e}lla\\u{200b}");
        assert_eq!(plain("grüße 東京"), "grüße 東京");
        let shown = request(&json!({
            "id": "TG-1", "state": "pending", "needed": 1, "approvers": ["dba"],
            "wanted": {"kind": "statement", "rule": "r", "text": "delete from t\n\twhere a = 1\r\u{7}", "digest": "00ff"},
        }));
        assert!(shown.contains("    delete from t\n        where a = 1\\u{d}\\u{7}\n"), "{shown}");
        assert!(!shown.contains(['\u{7}', '\t', '\r']));
    }

    #[test]
    fn tables_line_up() {
        let shown = table(&["A", "BB"], &[vec!["long".into(), "x".into()], vec!["s".into(), String::new()]], "none");
        assert_eq!(shown, "A     BB\nlong  x\ns\n");
        assert_eq!(table(&["A"], &[], "none"), "none\n");
    }

    #[test]
    fn spans() {
        assert_eq!((span(59), span(120), span(7260)), ("59s".into(), "2m".into(), "2h01m".into()));
    }
}
