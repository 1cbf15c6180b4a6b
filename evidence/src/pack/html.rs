//! `summary.html`: the pack in plain words for readers who are not engineers. One file, no scripts, no network, readable
//! on paper and in the dark. Every text of the log is escaped.

use audit::render::is_active;
use audit::time;

use super::{FRAMEWORKS, Facts};
use crate::table::Table;

/// Rows that a table of the page shows; the files have all.
pub(super) const ROWS: usize = 40;

pub(super) fn page(facts: &Facts<'_>) -> String {
    let mut body = String::new();
    head(facts, &mut body);
    verdict(facts, &mut body);
    numbers(facts, &mut body);
    exposure(facts, &mut body);
    clear(facts, &mut body);
    refusals(facts, &mut body);
    super::consent::statements(facts, &mut body);
    super::consent::roles(facts, &mut body);
    super::consent::emergencies(facts, &mut body);
    logins(facts, &mut body);
    continuity(facts, &mut body);
    changes(facts, &mut body);
    reviews(facts, &mut body);
    retention(facts, &mut body);
    coverage(facts, &mut body);
    limits(facts, &mut body);
    let title = "Evidence summary";
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{title}</title>\n<style>{}</style>\n</head>\n<body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        include_str!("summary.css")
    )
}

/// Text for HTML.
pub(super) fn e(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c if is_active(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// `2026-11-22T08:14:34.123Z` as people read it.
pub(super) fn when(text: &str) -> String {
    let day_and_time = text.get(..16).map(|t| t.replace('T', " "));
    e(&day_and_time.unwrap_or_else(|| text.to_owned()))
}

fn day(ns: u64) -> String {
    time::format(ns, 0).get(..16).unwrap_or_default().replace('T', " ")
}

/// A number with thin gaps between thousands.
pub(super) fn n(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push('\u{2009}');
        }
        out.push(digit);
    }
    out
}

pub(super) fn of(text: &str) -> u64 {
    text.parse().unwrap_or(0)
}

pub(super) fn plural(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", n(count), if count == 1 { one } else { many })
}

pub(super) fn section(out: &mut String, title: &str, lead: &str) {
    out.push_str(&format!("<section>\n<h2>{title}</h2>\n<p class=\"lead\">{lead}</p>\n"));
}

pub(super) fn end(out: &mut String) {
    out.push_str("</section>\n");
}

/// A table from rows of ready HTML. A column whose name begins with `#` holds numbers.
pub(super) fn table(out: &mut String, head: &[&str], rows: &[Vec<String>], file: &str, total: u64) {
    out.push_str("<div class=\"scroll\"><table>\n<thead><tr>");
    for name in head {
        match name.strip_prefix('#') {
            Some(name) => out.push_str(&format!("<th class=\"n\">{name}</th>")),
            None => out.push_str(&format!("<th>{name}</th>")),
        }
    }
    out.push_str("</tr></thead>\n<tbody>\n");
    for row in rows {
        out.push_str("<tr>");
        for (cell, name) in row.iter().zip(head) {
            let class = if name.starts_with('#') { " class=\"n\"" } else { "" };
            out.push_str(&format!("<td{class}>{cell}</td>"));
        }
        out.push_str("</tr>\n");
    }
    out.push_str("</tbody></table></div>\n");
    let shown = rows.len() as u64;
    let more = if total > shown { format!("The first {} of {}. ", n(shown), n(total)) } else { String::new() };
    out.push_str(&format!("<p class=\"source\">{more}All of it: <code>{}</code></p>\n", e(file)));
}

pub(super) fn get<'f>(facts: &'f Facts<'_>, name: &str) -> &'f [Vec<String>] {
    facts.tables.get(name).map_or(&[], |table| table.rows.as_slice())
}

pub(super) fn total(facts: &Facts<'_>, name: &str) -> u64 {
    facts.tables.get(name).map_or(0, Table::count)
}

fn head(facts: &Facts<'_>, out: &mut String) {
    let (from, to) = facts.settings.period;
    let names: Vec<&str> = FRAMEWORKS
        .iter()
        .filter(|(name, _)| facts.settings.frameworks.iter().any(|f| f == name))
        .map(|(_, title)| *title)
        .collect();
    out.push_str(&format!(
        "<header>\n<p class=\"over\">Evidence summary · {}</p>\n<h1>Who saw protected data, and what was refused</h1>\n\
         <p class=\"meta\">From <b>{}</b> to <b>{}</b> UTC · log <code>{}</code></p>\n</header>\n",
        e(&names.join(", ")),
        day(from),
        day(to),
        e(&facts.origin)
    ));
}

fn verdict(facts: &Facts<'_>, out: &mut String) {
    let errors = facts.verified.errors();
    let code = facts.verified.exit_code();
    let breaks: u64 = facts.population.cores.iter().map(|core| core.breaks).sum();
    let (class, title, text) = if code == verifier::EXIT_CLEAN && breaks == 0 {
        (
            "good",
            "The log is whole and unchanged.",
            format!(
                "Every one of its {} was read and checked when this pack was made: none was changed, removed, added or moved.",
                plural(
                    facts.verified.logs.iter().flat_map(|log| &log.cores).map(|core| core.records).sum(),
                    "record",
                    "records"
                )
            ),
        )
    } else if code == verifier::EXIT_FINDINGS {
        (
            "bad",
            "The log was damaged or changed.",
            format!(
                "The verification has {}. What stands below is what can still be read; do not rely on it before the findings in <code>05-verify/verify.txt</code> are explained.",
                plural(errors.max(breaks), "finding", "findings")
            ),
        )
    } else {
        ("bad", "The log could not be verified.", "See <code>05-verify/verify.txt</code>.".to_owned())
    };
    out.push_str(&format!("<section class=\"verdict {class}\">\n<h2>{title}</h2>\n<p>{text}</p>\n"));
    if errors > 0 {
        out.push_str("<ul>\n");
        for finding in facts.verified.findings.iter().filter(|f| f.code.is_error()).take(5) {
            out.push_str(&format!("<li><b>{}</b> {}</li>\n", finding.code.name(), e(&finding.what)));
        }
        out.push_str("</ul>\n");
    }
    let tree = facts.verified.logs.iter().find_map(|log| log.tree.as_ref());
    let seal = match tree {
        Some(tree) if !tree.cosigned.is_empty() => {
            let names: Vec<String> = tree.cosigned.iter().map(|witness| e(&witness.0)).collect();
            format!("It carries signed checkpoints, confirmed by {}.", names.join(", "))
        }
        Some(_) => "It carries signed checkpoints. No independent witness has confirmed them.".to_owned(),
        None => "It carries no signed checkpoints, so its end is certain only as far as somebody kept an earlier head."
            .to_owned(),
    };
    out.push_str(&format!("<p class=\"small\">{seal}</p>\n</section>\n"));
}

fn numbers(facts: &Facts<'_>, out: &mut String) {
    let t = &facts.reports.totals;
    let agreed = facts.reports.agreed();
    let tiles = [
        (t.persons.len() as u64, ["person", "people"], "used a database through the gateway", false),
        (t.statements, ["statement", "statements"], "each of them recorded", false),
        (t.masked, ["answer masked", "answers masked"], "protected columns were hidden", false),
        (t.clear, ["answer in clear", "answers in clear"], "protected columns were shown as they are", t.clear > 0),
        (t.refused, ["refused", "refused"], "statements the rules did not allow", false),
        (t.failed_logins, ["failed login", "failed logins"], "wrong or unknown credentials", false),
        (agreed.used, ["approval used", "approvals used"], "risky statements that others agreed to", false),
        (agreed.roles_given, ["role for a time", "roles for a time"], "given on request, ended by themselves", false),
        (
            agreed.emergencies,
            ["emergency", "emergencies"],
            "a role taken at once, reviewed afterwards",
            agreed.unreviewed > 0,
        ),
    ];
    out.push_str("<section class=\"tiles\">\n");
    for (number, [one, many], more, mark) in tiles {
        let what = if number == 1 { one } else { many };
        let class = if mark { "tile mark" } else { "tile" };
        out.push_str(&format!(
            "<div class=\"{class}\"><b>{}</b><span>{what}</span><small>{more}</small></div>\n",
            n(number)
        ));
    }
    out.push_str("</section>\n");
    if t.observed > 0 {
        out.push_str(&format!(
            "<p class=\"warn\">{} ran while the rules were only observed, which refuses and masks nothing; what the rules would have masked counts as shown in clear.</p>\n",
            plural(t.observed, "statement", "statements")
        ));
    }
}

fn exposure(facts: &Facts<'_>, out: &mut String) {
    section(
        out,
        "Who saw which kinds of protected data",
        "A <b>class</b> is a kind of protected data, such as a name or a diagnosis. <span class=\"chip masked\">masked</span> means that \
         the person got a substitute instead of the value; <span class=\"chip clear\">in clear</span> means that the value itself was shown.",
    );
    // Person and role first; masked and clear of a class side by side.
    let mut lines: Vec<([&str; 4], [u64; 4])> = Vec::new();
    for row in get(facts, "exposure") {
        let [person, role, target, class, shown, _, statements, rows, ..] = row.as_slice() else { continue };
        let key = [person.as_str(), role, target, class];
        let at = lines.iter().position(|(other, _)| *other == key).unwrap_or_else(|| {
            lines.push((key, [0; 4]));
            lines.len() - 1
        });
        let offset = if shown == "masked" { 0 } else { 2 };
        lines[at].1[offset] += of(statements);
        lines[at].1[offset + 1] += of(rows);
    }
    if lines.is_empty() {
        out.push_str("<p class=\"none\">No protected column was returned in this period.</p>\n");
        return end(out);
    }
    // What was shown in clear is what a reader looks for.
    lines.sort_by_key(|(key, counts)| (std::cmp::Reverse(counts[2]), *key));
    let cell = |count: u64, rows: u64, class: &str| match count {
        0 => "<span class=\"no\">–</span>".to_owned(),
        _ => format!(
            "<span class=\"chip {class}\">{}</span> <small>{}</small>",
            plural(count, "answer", "answers"),
            plural(rows, "row", "rows")
        ),
    };
    let rows: Vec<Vec<String>> = lines
        .iter()
        .take(ROWS)
        .map(|(key, counts)| {
            let [person, role, target, class] = key.map(e);
            vec![
                format!("<b>{person}</b>"),
                role,
                target,
                class,
                cell(counts[0], counts[1], "masked"),
                cell(counts[2], counts[3], "clear"),
            ]
        })
        .collect();
    let count = lines.len() as u64;
    table(
        out,
        &["Person", "Role", "Database", "Class", "Masked", "In clear"],
        &rows,
        "08-phi-release/exposure.csv",
        count,
    );
    end(out);
}

fn clear(facts: &Facts<'_>, out: &mut String) {
    let rows = get(facts, "shown-in-clear");
    section(
        out,
        "Shown in clear",
        "Each of these answers showed protected values as they are. Whether that was necessary is the question of a minimum-necessary review.",
    );
    if rows.is_empty() {
        out.push_str("<p class=\"none\">None in this period.</p>\n");
        return end(out);
    }
    let shown: Vec<Vec<String>> = rows
        .iter()
        .take(ROWS)
        .filter_map(|row| {
            let [at, _, person, role, target, tables, columns, count, ..] = row.as_slice() else { return None };
            let columns: Vec<String> = columns
                .split(' ')
                .map(|column| match column.split_once(':') {
                    Some((name, class)) => format!("{} <small>{}</small>", e(name), e(class)),
                    None => e(column),
                })
                .collect();
            Some(vec![
                when(at),
                format!("<b>{}</b>", e(person)),
                e(role),
                if tables.is_empty() { e(target) } else { e(tables) },
                columns.join(", "),
                n(of(count)),
            ])
        })
        .collect();
    let total = total(facts, "shown-in-clear");
    table(
        out,
        &["Time (UTC)", "Person", "Role", "From", "Columns", "#Rows"],
        &shown,
        "08-phi-release/shown-in-clear.csv",
        total,
    );
    end(out);
}

/// What a code means, for people; the whole list is in `docs/codes.md`.
fn meaning(code: &str) -> &'static str {
    match code {
        "TG1001" => "a rule of this organisation forbids it",
        "TG2001" | "TG2002" => "the statement could not be understood with certainty",
        "TG2003" | "TG2004" => "it would have revealed a protected value by a detour",
        "TG2005" => "it would have copied protected data somewhere unprotected",
        "TG2006" | "TG2008" | "TG2011" | "TG2014" => "protected data could not have been masked in it",
        "TG2007" => "it asked for a class that is closed to the role",
        "TG2009" | "TG2013" | "TG2015" => "it asked for something that nobody has classified",
        "TG2010" => "it runs code that the gateway cannot look into",
        "TG2012" => "it asked for internals of the database",
        "TG2016" | "budget" => "a budget of the role was used up",
        code if code.starts_with("TG3") => "it would have changed the session or the server",
        _ => "see docs/codes.md",
    }
}

fn refusals(facts: &Facts<'_>, out: &mut String) {
    section(
        out,
        "What was refused, and why",
        "A refused statement never reached the database, or its rows never reached the person.",
    );
    let rows = get(facts, "refusals");
    if rows.is_empty() {
        out.push_str("<p class=\"none\">Nothing was refused in this period.</p>\n");
        return end(out);
    }
    let mut rows: Vec<&Vec<String>> = rows.iter().collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.get(4).map_or(0, |count| of(count))));
    let shown: Vec<Vec<String>> = rows
        .iter()
        .take(ROWS)
        .filter_map(|row| {
            let [code, rule, person, role, count, _, last] = row.as_slice() else { return None };
            let rule = if rule.is_empty() { String::new() } else { format!(" <small>rule {}</small>", e(rule)) };
            Some(vec![
                format!("<b>{}</b>", e(person)),
                e(role),
                format!("{}{rule} <small>{}</small>", meaning(code), e(code)),
                n(of(count)),
                when(last),
            ])
        })
        .collect();
    let total = total(facts, "refusals");
    table(out, &["Person", "Role", "Why", "#Times", "Last (UTC)"], &shown, "08-phi-release/refusals.csv", total);
    end(out);
}

fn logins(facts: &Facts<'_>, out: &mut String) {
    section(
        out,
        "Logins",
        "Every session belongs to one person. A session without a person would be listed in <code>06-access/unresolved-sessions.csv</code>.",
    );
    let unresolved = total(facts, "unresolved-sessions");
    out.push_str(&match unresolved {
        0 => "<p class=\"ok\">No session without a person.</p>\n".to_owned(),
        count => format!("<p class=\"warn\">{} without a person.</p>\n", plural(count, "session", "sessions")),
    });
    let shown: Vec<Vec<String>> = get(facts, "logins")
        .iter()
        .take(ROWS)
        .filter_map(|row| {
            let [person, issuer, opens, failed, plain, addresses, _, last] = row.as_slice() else { return None };
            let plain = if of(plain) > 0 {
                format!(" <small>{} without encryption</small>", n(of(plain)))
            } else {
                String::new()
            };
            let known = if issuer.is_empty() { " <small>never got in</small>" } else { "" };
            Some(vec![
                format!("<b>{}</b>{known}", e(person)),
                format!("{}{plain}", n(of(opens))),
                n(of(failed)),
                e(addresses),
                when(last),
            ])
        })
        .collect();
    if shown.is_empty() {
        out.push_str("<p class=\"none\">Nobody logged in in this period.</p>\n");
    } else {
        let total = total(facts, "logins");
        table(
            out,
            &["Person", "Sessions", "#Failed logins", "Addresses", "Last (UTC)"],
            &shown,
            "07-authn/logins.csv",
            total,
        );
    }
    super::consent::sign_ins(facts, out);
    end(out);
}

fn continuity(facts: &Facts<'_>, out: &mut String) {
    let t = &facts.reports.totals;
    section(
        out,
        "Was recording ever interrupted?",
        "When the log cannot be written, statements wait or fail; each such outage is itself a record.",
    );
    let outage = if t.outages == 0 {
        "<p class=\"ok\">No outage of recording, and no record lost.</p>\n".to_owned()
    } else {
        format!(
            "<p class=\"{}\">{}, together {:.1} seconds; {} lost; refused meanwhile: {} and {}.</p>\n",
            if t.lost > 0 { "warn" } else { "ok" },
            plural(t.outages, "outage", "outages"),
            t.outage_us as f64 / 1e6,
            plural(t.lost, "record", "records"),
            plural(t.outage_refused.0, "session", "sessions"),
            plural(t.outage_refused.1, "statement", "statements"),
        )
    };
    out.push_str(&outage);
    if t.crashes > 0 {
        out.push_str(&format!(
            "<p>{} after an end that was not orderly (a crash or a power failure). Statements under way at that moment are closed as unknown.</p>\n",
            plural(t.crashes, "start", "starts")
        ));
    }
    if t.open > 0 {
        out.push_str(&format!(
            "<p>{} no ending in the log (still running when it was read, or cut off).</p>\n",
            if t.open == 1 { "1 statement has".to_owned() } else { format!("{} statements have", n(t.open)) }
        ));
    }
    out.push_str("<p class=\"source\">All of it: <code>12-continuity/continuity.csv</code></p>\n");
    end(out);
}

fn changes(facts: &Facts<'_>, out: &mut String) {
    section(
        out,
        "Changes of rules and configuration",
        "Rules are known by the fingerprint of their compiled file (bundle).",
    );
    // Each core records the same change; people made it once.
    let mut seen: Vec<(String, [String; 3])> = Vec::new();
    for row in get(facts, "changes") {
        let [at, _, what, target, detail] = row.as_slice() else { continue };
        let key = [what.clone(), target.clone(), detail.clone()];
        if !seen.iter().any(|(_, other)| *other == key) {
            seen.push((at.clone(), key));
        }
    }
    if seen.is_empty() {
        out.push_str("<p class=\"none\">No change in this period.</p>\n");
        return end(out);
    }
    let short = |detail: &str| {
        let words: Vec<String> = detail
            .split(' ')
            .map(|word| if word.len() > 24 { format!("{}…", word.get(..20).unwrap_or(word)) } else { word.to_owned() })
            .collect();
        e(&words.join(" "))
    };
    let shown: Vec<Vec<String>> = seen
        .iter()
        .take(ROWS)
        .map(|(at, [what, target, detail])| {
            vec![when(at), e(what), e(target), format!("<code>{}</code>", short(detail))]
        })
        .collect();
    let count = seen.len() as u64;
    table(out, &["First seen (UTC)", "What", "Database", "Now"], &shown, "11-changes/changes.csv", count);
    end(out);
}

fn reviews(facts: &Facts<'_>, out: &mut String) {
    section(
        out,
        "Who looked at the evidence",
        "Reviews of activity, replays of recordings and exports of records are themselves recorded.",
    );
    let reviews = get(facts, "reviews");
    let looks = get(facts, "evidence-access");
    if reviews.is_empty() {
        out.push_str("<p class=\"none\">No review of activity was recorded in this period.</p>\n");
    } else {
        let shown: Vec<Vec<String>> = reviews
            .iter()
            .take(ROWS)
            .filter_map(|row| {
                let [at, _, person, what, findings, ticket, step] = row.as_slice() else { return None };
                Some(vec![when(at), format!("<b>{}</b>", e(person)), e(ticket), e(step), e(what), e(findings)])
            })
            .collect();
        let count = total(facts, "reviews");
        table(
            out,
            &["Time (UTC)", "Reviewer", "Ticket", "Step", "Looked at", "Findings"],
            &shown,
            "10-reviews/reviews.csv",
            count,
        );
    }
    if looks.is_empty() {
        out.push_str("<p class=\"none\">Nobody replayed a recording or exported records in this period.</p>\n");
    } else {
        let shown: Vec<Vec<String>> = looks
            .iter()
            .take(ROWS)
            .filter_map(|row| {
                let [at, _, person, act, what, _, reason] = row.as_slice() else { return None };
                Some(vec![when(at), format!("<b>{}</b>", e(person)), e(act), e(what), e(reason)])
            })
            .collect();
        let count = total(facts, "evidence-access");
        table(
            out,
            &["Time (UTC)", "Person", "Act", "Of what", "Reason"],
            &shown,
            "10-reviews/evidence-access.csv",
            count,
        );
    }
    end(out);
}

fn retention(facts: &Facts<'_>, out: &mut String) {
    section(
        out,
        "Retention",
        "Statement texts and recordings can be destroyed by order of two people; the records that they existed stay.",
    );
    if let Some(oldest) = facts.oldest {
        out.push_str(&format!("<p>The oldest record in the log is of {} UTC.</p>\n", day(oldest)));
    }
    let (holds, purges) = (get(facts, "holds"), get(facts, "purges"));
    if purges.is_empty() {
        out.push_str("<p class=\"none\">Nothing was destroyed in this period.</p>\n");
    } else {
        let shown: Vec<Vec<String>> = purges
            .iter()
            .take(ROWS)
            .filter_map(|row| {
                let [at, _, kind, sessions, person, reason, _, signers] = row.as_slice() else { return None };
                Some(vec![when(at), e(kind), n(of(sessions)), e(signers), e(person), e(reason)])
            })
            .collect();
        let count = total(facts, "purges");
        table(
            out,
            &["Time (UTC)", "Kind", "#Sessions", "Signed by", "Carried out by", "Reason"],
            &shown,
            "13-retention/purges.csv",
            count,
        );
    }
    if holds.is_empty() {
        out.push_str("<p class=\"none\">No legal hold was set or cleared in this period.</p>\n");
    } else {
        let shown: Vec<Vec<String>> = holds
            .iter()
            .take(ROWS)
            .filter_map(|row| {
                let [at, _, event, name, query, person, reason] = row.as_slice() else { return None };
                Some(vec![when(at), e(event), e(name), format!("<code>{}</code>", e(query)), e(person), e(reason)])
            })
            .collect();
        let count = total(facts, "holds");
        table(
            out,
            &["Time (UTC)", "Event", "Hold", "Keeps", "Person", "Reason"],
            &shown,
            "13-retention/holds.csv",
            count,
        );
    }
    end(out);
}

fn coverage(facts: &Facts<'_>, out: &mut String) {
    section(
        out,
        "Which controls this speaks to",
        "Each line leads to a file of the pack. Whether a control is met is for the auditor to say.",
    );
    let mut rows = Vec::new();
    for control in super::CONTROLS {
        let references: Vec<String> = FRAMEWORKS
            .iter()
            .filter(|(name, _)| facts.settings.frameworks.iter().any(|f| f == name))
            .filter_map(|(name, title)| {
                let (_, reference) = control.references.iter().find(|(of, _)| of == name)?;
                Some(format!("<small>{}</small> {}", e(title), e(reference)))
            })
            .collect();
        if !references.is_empty() {
            let count = n(super::count(facts, control));
            rows.push(vec![
                references.join("<br>"),
                e(control.asks),
                count,
                format!("<code>{}</code>", e(control.file)),
            ]);
        }
    }
    let count = rows.len() as u64;
    table(out, &["Control", "What it asks for", "#Count", "File"], &rows, "01-index.csv", count);
    end(out);
}

fn limits(facts: &Facts<'_>, out: &mut String) {
    section(out, "What this cannot show", "An honest account has edges.");
    out.push_str("<ul>\n");
    let mut items = vec![
        "The log says what the gateway saw and did. Whoever reached the database by another way is not in it.".to_owned(),
        "A gateway that was tampered with while it wrote could have written untruths; compare with the database's own log.".to_owned(),
        "That nothing is missing at the end is proved by copies that others keep: checkpoints, witnesses, an earlier pack.".to_owned(),
        format!("Records of different processor cores that lie closer together than {} may have happened in the other order.", e(&super::readme::tolerance(facts))),
    ];
    items.extend(super::UNANSWERED.iter().map(|(_, what)| e(what)));
    for item in items {
        out.push_str(&format!("<li>{item}</li>\n"));
    }
    out.push_str(&format!(
        "</ul>\n<p class=\"small\">How to check this pack yourself: <code>00-README.md</code>, five commands. This page holds no statement and no value of the database. \
         It was made from {} of the period.</p>\n",
        plural(facts.population.records(), "record", "records")
    ));
    end(out);
}
