//! Elastic Common Schema 8 (https://www.elastic.co/guide/en/ecs/current): standard fields where there are any, the rest
//! under `tidegate.*`.

use serde_json::{Map, Value, json};

use super::millis;
use crate::query::source_host;
use crate::row::{Decision, Row, STATEMENT, has_acts};

const VERSION: &str = "8.17.0";

/// The document of a row.
pub(super) fn event(row: &Row, origin: &str, texts: bool) -> Value {
    let facts = &*row.facts;
    let failed = row.kind == "AUTH_FAIL"
        || row.decision == Decision::Refused
        || matches!(row.outcome.as_str(), "error" | "lost" | "cancelled" | "unknown_crash");
    let (category, kinds): (&[&str], &[&str]) = match row.kind {
        "ACCESS" => match row.act.as_str() {
            "sign_in" => (&["authentication"], &["start", "allowed"]),
            "sign_in_failed" => (&["authentication"], &["start", "denied"]),
            "sign_out" => (&["authentication"], &["end"]),
            "bind" => (&["authentication", "session"], &["info"]),
            "mint" => (&["iam"], &["creation"]),
            "grant" | "break_glass" => (&["iam"], &["user", "change", "allowed"]),
            "end" => (&["iam"], &["user", "deletion"]),
            "admin" | "authenticator" => (&["iam"], &["admin", "change"]),
            _ if row.decision == Decision::Refused => (&["iam"], &["info", "denied"]),
            _ => (&["iam"], &["info"]),
        },
        "APPROVAL" => match row.decision {
            Decision::Allowed => (&["iam", "database"], &["info", "allowed"]),
            Decision::Refused => (&["iam", "database"], &["info", "denied"]),
            _ => (&["iam", "database"], &["info"]),
        },
        "CREDENTIAL" => match row.act.as_str() {
            "issue" => (&["iam"], &["user", "creation"]),
            "drop" | "sweep" => (&["iam"], &["user", "deletion"]),
            _ => (&["session"], &["end"]),
        },
        STATEMENT if row.decision == Decision::Refused => (&["database"], &["access", "denied"]),
        STATEMENT => (&["database"], &["access", "allowed"]),
        "SESSION_OPEN" => (&["authentication", "session"], &["start"]),
        "SESSION_CLOSE" => (&["session"], &["end"]),
        "AUTH_FAIL" => (&["authentication"], &["start", "denied"]),
        "POLICY_LOAD" | "CONFIG" | "LOG_MODE" | "KEY_ROTATE" => (&["configuration"], &["change"]),
        _ => (&["process"], &["info"]),
    };
    let mut event = json!({
        "@timestamp": millis(row.begin_ns),
        "ecs": {"version": VERSION},
        "event": {
            "id": row.id(origin),
            "kind": "event",
            "category": category,
            "type": kinds,
            "action": action(row),
            "outcome": if failed { "failure" } else { "success" },
            "start": millis(row.begin_ns),
            "end": millis(row.end_ns),
            "duration": row.duration_us.saturating_mul(1000),
            "sequence": row.place.sequence,
            "dataset": "tidegate.audit",
            "provider": "tidegate",
        },
        "observer": {"vendor": "Tidegate", "product": "Tidegate", "type": "proxy", "name": origin},
        "tidegate": own(row, origin),
    });
    if !facts.person.is_empty() {
        event["user"] = json!({"name": facts.person, "domain": facts.issuer, "roles": [facts.role]});
    }
    let host = source_host(&facts.source);
    if !host.is_empty() {
        let mut source = json!({"address": host});
        if host.parse::<std::net::IpAddr>().is_ok() {
            source["ip"] = json!(host);
        }
        if let Ok(address) = facts.source.parse::<std::net::SocketAddr>() {
            source["port"] = json!(address.port());
        }
        event["source"] = source;
    }
    if !facts.target.is_empty() {
        event["service"] = json!({"target": {"name": facts.target}});
    }
    if !row.code.is_empty() {
        event["rule"] = json!({"id": row.code, "name": row.rule});
    }
    if let Some(text) = row.text.shown().filter(|_| texts) {
        event["db"] = json!({"statement": text});
    }
    event
}

/// `session-open`; `access-sign-in` for kinds with acts.
fn action(row: &Row) -> String {
    let act = if row.act.is_empty() { String::new() } else { format!("-{}", row.act) };
    (row.kind.to_owned() + &act).to_ascii_lowercase().replace('_', "-")
}

fn own(row: &Row, origin: &str) -> Value {
    let Value::Object(all) = row.json(origin, false) else { return Value::Null };
    const ELSEWHERE: [&str; 10] =
        ["id", "kind", "time", "end", "issuer", "person", "source", "code", "rule", "duration_us"];
    let mut own: Map<_, _> = all.into_iter().filter(|(key, _)| !ELSEWHERE.contains(&key.as_str())).collect();
    if has_acts(row.kind) {
        own.insert("fields".to_owned(), row.own_fields().into());
        // A rule that holds a statement has no code to stand beside.
        own.extend((!row.rule.is_empty()).then(|| ("rule".to_owned(), json!(row.rule))));
    }
    own.into()
}
