//! A starter rule file from what a live target contains: every column that looks protected with its reason, roles and
//! blocks to begin with, and comments that say what to decide.
//!
//! The file passes `check` as it is written. It errs on the side of masking: what is only suspected is in a class, and
//! columns nobody looked at are masked until someone declares them clear.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use lineage::Catalog;
use lineage::catalog::{Column, Relation, RelationKind};
use policy::model::UpstreamTls;

use crate::coverage::{Sampled, class_of_detector};
use crate::selector::part;
use crate::{library, suspicion};

/// What the file is about.
#[derive(Clone, Debug)]
pub struct Start {
    /// Name of the target.
    pub target: String,
    /// `host:port`.
    pub address: String,
    /// Database.
    pub database: String,
    /// Account.
    pub account: String,
    /// TLS.
    pub tls: UpstreamTls,
}

struct Proposal {
    selector: String,
    reasons: Vec<String>,
    /// The library's own selectors already bind it to this class.
    by_library: bool,
}

/// The file's text.
#[must_use]
pub fn starter(start: &Start, catalog: &Catalog, samples: &[Sampled]) -> String {
    let mut classes: BTreeMap<&str, Vec<Proposal>> = BTreeMap::new();
    let mut harmless: Vec<(String, String)> = Vec::new();
    for relation in catalog.relations.iter().filter(|r| r.kind != RelationKind::Sequence) {
        for column in &relation.columns {
            let selector = [&start.target, &relation.schema, &relation.name, &column.name].map(|p| part(p)).join(".");
            match propose(relation, column, samples) {
                Some((class, reasons, by_library)) => {
                    classes.entry(class).or_default().push(Proposal { selector, reasons, by_library });
                }
                None => harmless.push((selector, column.type_name.clone())),
            }
        }
    }
    let mut out = String::new();
    head(start, catalog, &mut out);
    class_section(&classes, &mut out);
    let _ = writeln!(
        out,
        "# Columns that nothing points to. Masked until you have looked at them: remove the # of those that are harmless."
    );
    let _ = writeln!(out, "clear:");
    if harmless.is_empty() {
        out.truncate(out.len() - "clear:\n".len());
        let _ = writeln!(out, "# (there are none)");
    } else {
        out.truncate(out.len() - "clear:\n".len());
        let _ = writeln!(out, "# clear:");
        for (selector, type_name) in &harmless {
            let _ = writeln!(out, "#   - {}  # {type_name}", quote(selector));
        }
    }
    tail(start, catalog, &mut out);
    out
}

fn propose<'a>(relation: &Relation, column: &Column, samples: &'a [Sampled]) -> Option<(&'a str, Vec<String>, bool)> {
    let mut class = None;
    let mut reasons = Vec::new();
    let lower = column.name.to_lowercase();
    let by_library = library::CLASSES
        .iter()
        .any(|c| c.columns.iter().any(|g| crate::selector::glob(g, &lower)) && lower == column.name);
    if let Some(k) = suspicion::by_name(&column.name) {
        class = Some(k.name);
        reasons.push("name".to_owned());
    }
    if let Some(k) = column.comment.as_deref().and_then(suspicion::by_comment) {
        class = class.or(Some(k.name));
        reasons.push("comment".to_owned());
    }
    let sampled = samples
        .iter()
        .find(|s| s.column.0 == relation.schema && s.column.1 == relation.name && s.column.2 == column.name);
    if let Some(s) = sampled {
        // Several kinds of hits in one column is what free text looks like.
        let class_by_content =
            if s.hits.len() > 1 { Some("free-text") } else { s.hits.first().map(|(d, _)| class_of_detector(d)) };
        class = class.or(class_by_content);
        for (detector, hits) in &s.hits {
            reasons.push(format!("{detector} in {hits} of {} values", s.values));
        }
    }
    class.map(|c| (c, reasons, by_library))
}

fn quote(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

fn head(start: &Start, catalog: &Catalog, out: &mut String) {
    let tls = serde_json::to_value(start.tls).ok().and_then(|v| v.as_str().map(ToOwned::to_owned)).unwrap_or_default();
    let tables = catalog.relations.iter().filter(|r| r.kind != RelationKind::Sequence).count();
    let _ = write!(
        out,
        "# Rules for database {}: {tables} relations were looked at. A proposal, not a judgement: read it line by line.\n\
         #   policy-compiler check THIS_FILE --catalog CATALOG      mistakes, selectors that match nothing\n\
         #   policy-compiler coverage THIS_FILE --catalog CATALOG   what looks protected and is in no class\n\
         #   policy-compiler compile THIS_FILE --catalog CATALOG -o policy.tgb\n\
         version: 1\n\n\
         targets:\n  {}:\n    protocol: postgres\n    address: {}\n    database: {}\n    # An account of the gateway's own; its \
         secret is in the gateway's configuration.\n    account: {}\n    tls: {tls}\n    audit: strict\n\n",
        catalog.database,
        start.target,
        quote(&start.address),
        quote(&start.database),
        quote(&start.account),
    );
}

fn class_section(classes: &BTreeMap<&str, Vec<Proposal>>, out: &mut String) {
    let _ = write!(
        out,
        "# The identifiers of 45 CFR 164.514(b)(2)(i), bound to the column names that usually hold them.\n\
         use: safe-harbor\n\n"
    );
    let more = classes.values().flatten().any(|p| !p.by_library);
    if more {
        let _ = writeln!(
            out,
            "# Columns the library does not know by name. Move what is in the wrong class, delete what is harmless.\nclasses:"
        );
    }
    for (class, proposals) in classes {
        let new: Vec<_> = proposals.iter().filter(|p| !p.by_library).collect();
        if !new.is_empty() {
            let _ = writeln!(out, "  {class}:\n    columns:");
            for p in new {
                let _ = writeln!(out, "      - {}  # {}", quote(&p.selector), p.reasons.join("; "));
            }
        }
    }
    if more {
        out.push('\n');
    }
    let known: Vec<_> =
        classes.iter().flat_map(|(c, ps)| ps.iter().filter(|p| p.by_library).map(move |p| (c, p))).collect();
    if !known.is_empty() {
        let _ = writeln!(out, "# Found by the library:");
        for (class, p) in known {
            let content: Vec<_> = p.reasons.iter().filter(|r| *r != "name").cloned().collect();
            let content = if content.is_empty() { String::new() } else { format!("  ({})", content.join("; ")) };
            let _ = writeln!(out, "#   {class}: {}{content}", p.selector);
        }
        out.push('\n');
    }
}

fn tail(start: &Start, catalog: &Catalog, out: &mut String) {
    let target = &start.target;
    let _ = write!(
        out,
        r#"
# Who sees what. An identity gets the first role that has one of its groups; groups come from the identity provider.
roles:
  privacy_officer:
    groups: [privacy]
    targets: [{target}]
    default: clear
    redact: clear
  analyst:
    groups: [analysts]
    targets: [{target}]
    # Columns in no class: mask (NULL), clear, or refuse.
    default: mask
    redact:
      ssn: keep-last 4
      dob: year
      date: year
      age: age-cap
      zip: zip3
      # mrn: {{token: {{key: default}}}}   # equal values stay equal; the key is in the gateway's configuration
      free-text: fill
      "*": null

block:
  - name: no-structure-changes
    effects: [drop, truncate, alter, grant, role, create-code, server]
    except: [privacy_officer]
    hint: Ask the database team for a migration
  - name: no-mass-change
    effects: [delete-without-where, update-without-where]
    hint: Add a WHERE clause
  - name: no-server-access
    effects: [copy-program, copy-file, do, dangerous-function]
"#
    );
    let table = catalog.relations.iter().find(|r| r.kind == RelationKind::Table);
    if let Some(table) = table {
        let name = format!("{}.{}", sql_name(&table.schema), sql_name(&table.name));
        let _ = write!(
            out,
            "\n# Run by `policy-compiler test`.\ntests:\n  - name: an analyst cannot drop a table\n    as: analyst\n    target: {target}\n    \
             statement: {}\n    expect: refuse\n    rule: no-structure-changes\n",
            quote(&format!("DROP TABLE {name}"))
        );
    }
}

fn sql_name(name: &str) -> String {
    let plain = name.starts_with(|c: char| c.is_ascii_lowercase() || c == '_')
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
    if plain { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}
