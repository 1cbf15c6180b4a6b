//! Elastic Common Schema 8 (https://www.elastic.co/guide/en/ecs/current): standard fields where there are any, the rest
//! under `tidegate.*`.

use serde_json::{Map, Value, json};

use super::millis;
use crate::query::source_host;
use crate::row::{Decision, Row, STATEMENT};

const VERSION: &str = "8.17.0";

/// The document of a row.
pub(super) fn event(row: &Row, origin: &str, texts: bool) -> Value {
    let facts = &*row.facts;
    let failed = row.kind == "AUTH_FAIL"
        || row.decision == Decision::Refused
        || matches!(row.outcome.as_str(), "error" | "lost" | "cancelled" | "unknown_crash");
    let (category, kinds): (&[&str], &[&str]) = match row.kind {
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
            "action": row.kind.to_ascii_lowercase().replace('_', "-"),
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

fn own(row: &Row, origin: &str) -> Value {
    let Value::Object(all) = row.json(origin, false) else { return Value::Null };
    const ELSEWHERE: [&str; 10] =
        ["id", "kind", "time", "end", "issuer", "person", "source", "code", "rule", "duration_us"];
    all.into_iter().filter(|(key, _)| !ELSEWHERE.contains(&key.as_str())).collect::<Map<_, _>>().into()
}
