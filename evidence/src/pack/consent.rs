//! Of the summary page: statements that others agreed to, roles given for a time, emergencies, sign-ins.

use super::Facts;
use super::html::{ROWS, e, end, get, n, of, plural, section, table, total, when};
use crate::table::Table;

/// A cell by the name of its column.
fn cell<'r>(table: Option<&Table>, row: &'r [String], name: &str) -> &'r str {
    let at = table.and_then(|table| table.head.iter().position(|head| *head == name));
    at.and_then(|at| row.get(at)).map_or("", String::as_str)
}

/// Time, or a dash.
fn moment(text: &str) -> String {
    if text.is_empty() { "<span class=\"no\">–</span>".to_owned() } else { when(text) }
}

fn none(out: &mut String, text: &str) {
    out.push_str(&format!("<p class=\"none\">{text}</p>\n"));
}

/// What a finding means, for people.
fn meaning(finding: &str) -> &'static str {
    match finding {
        "used-without-grant" => "a statement ran although this log holds no approval of it",
        "used-after-end" => "an approval was used after its time",
        "used-again" => "one approval was used more than once",
        "not-the-same" => "what was approved is not what ran",
        "granted-without-vote" => "it was approved, but this log holds no vote for it",
        "granted-although-denied" => "it was approved although somebody said no",
        "own-vote" => "somebody approved what they had asked for themselves",
        "quick-vote" => "it was approved so fast that it can hardly have been read",
        "one-approver" => "one person approves nearly everything that another one asks for",
        "not-reviewed-in-time" => "an emergency was not reviewed by two others within a day",
        "own-review" => "somebody reviewed their own emergency",
        _ => "see the file",
    }
}

pub(super) fn statements(facts: &Facts<'_>, out: &mut String) {
    section(
        out,
        "Statements that needed a second person",
        "Some statements wait until others agree. Nobody can agree to what they asked for themselves, an approval is good for \
         exactly one run of exactly that statement, and each use is a record that can be proved on its own.",
    );
    let agreed = facts.reports.agreed();
    if agreed.asked == 0 {
        none(out, "No statement waited for others in this period.");
    } else {
        out.push_str(&format!(
            "<p>{} waited: {} approved, {} run, {} denied.</p>\n",
            plural(agreed.asked, "statement", "statements"),
            n(agreed.approved),
            n(agreed.used),
            n(agreed.denied)
        ));
        let of = facts.tables.get("approvals");
        let shown: Vec<Vec<String>> = get(facts, "approvals")
            .iter()
            .take(ROWS)
            .map(|row| {
                let get = |name| cell(of, row, name);
                let rule = format!("{} <small>rule {}</small>", e(get("tables")), e(get("rule")));
                let votes = e(get("votes")).replace("; ", "<br>");
                vec![moment(get("asked")), format!("<b>{}</b>", e(get("requester"))), rule, votes, e(get("ended"))]
            })
            .collect();
        let head = ["Asked (UTC)", "Who asked", "What it touched", "Who voted", "What became of it"];
        table(out, &head, &shown, "09-approvals/approvals.csv", total(facts, "approvals"));
    }
    let rows = get(facts, "approval-findings");
    if rows.is_empty() {
        if agreed.asked + agreed.roles_given > 0 {
            out.push_str("<p class=\"ok\">Nothing about approvals and emergencies needs an explanation.</p>\n");
        }
        return end(out);
    }
    let count = total(facts, "approval-findings");
    out.push_str(&format!(
        "<p class=\"warn\">{} an explanation:</p>\n",
        match count {
            1 => "1 observation needs".to_owned(),
            count => format!("{} observations need", n(count)),
        }
    ));
    let of = facts.tables.get("approval-findings");
    let shown: Vec<Vec<String>> = rows
        .iter()
        .take(ROWS)
        .map(|row| {
            let get = |name| cell(of, row, name);
            let what = format!("{} <small>{}</small>", meaning(get("finding")), e(get("finding")));
            vec![format!("<b>{}</b>", e(get("person"))), what, e(get("detail")), e(get("id"))]
        })
        .collect();
    table(out, &["Person", "What", "More exactly", "Request"], &shown, "09-approvals/approval-findings.csv", count);
    end(out);
}

pub(super) fn roles(facts: &Facts<'_>, out: &mut String) {
    section(
        out,
        "Roles given for a time",
        "Who needs more than usual asks for it, with a purpose. What is given ends by itself, or earlier when somebody takes it away; \
         sessions under it end with it.",
    );
    let of = facts.tables.get("grants");
    let shown: Vec<Vec<String>> = get(facts, "grants")
        .iter()
        .take(ROWS)
        .map(|row| {
            let get = |name| cell(of, row, name);
            let role = format!("{} <small>on {}</small>", e(get("role")), e(get("target")));
            let votes = match (get("votes"), get("way")) {
                ("", way) => e(way),
                (votes, _) => e(votes).replace("; ", "<br>"),
            };
            vec![
                format!("<b>{}</b>", e(get("person"))),
                role,
                e(get("purpose")),
                votes,
                moment(get("from")),
                moment(get("until")),
                e(get("how")),
            ]
        })
        .collect();
    if shown.is_empty() {
        none(out, "Nobody asked for a role in this period.");
    } else {
        let head = ["Person", "Role", "Purpose", "Who agreed", "From (UTC)", "Until (UTC)", "Now"];
        table(out, &head, &shown, "06-access/grants.csv", total(facts, "grants"));
    }
    let taken = total(facts, "administration");
    if taken > 0 {
        let acts = plural(taken, "act", "acts");
        out.push_str(&format!(
            "<p>{acts} of people who took access away or changed keys: <code>06-access/administration.csv</code></p>\n"
        ));
    }
    let refused = total(facts, "refused-acts");
    if refused > 0 {
        let acts = plural(refused, "act was", "acts were");
        out.push_str(&format!("<p>{acts} not allowed: <code>06-access/refused-acts.csv</code></p>\n"));
    }
    end(out);
}

pub(super) fn emergencies(facts: &Facts<'_>, out: &mut String) {
    section(
        out,
        "Emergencies",
        "In an emergency, those enrolled for it can take a role at once (breaking the glass). Everybody concerned is told, and two \
         others review it within a day.",
    );
    let of = facts.tables.get("emergencies");
    let shown: Vec<Vec<String>> = get(facts, "emergencies")
        .iter()
        .take(ROWS)
        .map(|row| {
            let get = |name| cell(of, row, name);
            let in_time = match get("in_time") {
                "yes" => "reviewed in time".to_owned(),
                "no" => "<span class=\"chip clear\">not reviewed in time</span>".to_owned(),
                "" => String::new(),
                due => format!("review {}", e(due)),
            };
            vec![
                moment(get("time")),
                format!("<b>{}</b>", e(get("person"))),
                format!("{} <small>on {}</small>", e(get("role")), e(get("target"))),
                e(get("reason")),
                e(get("reviews")).replace("; ", "<br>"),
                in_time,
            ]
        })
        .collect();
    if shown.is_empty() {
        none(out, "Nobody took a role in an emergency in this period.");
        return end(out);
    }
    let head = ["Time (UTC)", "Person", "Role", "Why", "Reviews", "In time?"];
    table(out, &head, &shown, "09-approvals/emergencies.csv", total(facts, "emergencies"));
    end(out);
}

/// Sign-ins at the console and by `tidegate login`, below the logins at databases.
pub(super) fn sign_ins(facts: &Facts<'_>, out: &mut String) {
    let of_table = facts.tables.get("sign-ins");
    let shown: Vec<Vec<String>> = get(facts, "sign-ins")
        .iter()
        .filter(|row| cell(of_table, row, "event") != "sign_out")
        .take(ROWS)
        .map(|row| {
            let get = |name| cell(of_table, row, name);
            let what = match (get("event"), get("way")) {
                ("sign_in", way) => format!("signed in <small>{}</small>", e(way)),
                (_, why) => format!("did not get in <small>{}</small>", e(why)),
            };
            let person =
                if get("person").is_empty() { "<small>nobody known</small>".to_owned() } else { e(get("person")) };
            vec![format!("<b>{person}</b>"), what, n(of(get("count"))), e(get("addresses")), when(get("last"))]
        })
        .collect();
    if shown.is_empty() {
        return;
    }
    out.push_str("<p>Sign-ins at the console and for credentials, which last for hours:</p>\n");
    let head = ["Person", "What", "#Times", "Addresses", "Last (UTC)"];
    table(out, &head, &shown, "07-authn/sign-ins.csv", total(facts, "sign-ins"));
}
