//! OCSF 1.3 (https://schema.ocsf.io): statements as Datastore Activity (6005), logins and their ends as Authentication
//! (3002). Other records have no class that fits and are left out.

use audit::render;
use serde_json::{Map, Value, json};

use super::millis;
use crate::query::source_host;
use crate::row::{Decision, Row, STATEMENT};

const VERSION: &str = "1.3.0";

/// The event of a row; `None` for kinds without a class.
pub(super) fn event(row: &Row, origin: &str, texts: bool) -> Option<Value> {
    let (class, class_name, category, category_name, activity, activity_name) = match row.kind {
        STATEMENT => {
            let (id, name) = activity(row);
            (6005, "Datastore Activity", 6, "Application Activity", id, name)
        }
        "SESSION_OPEN" | "AUTH_FAIL" => (3002, "Authentication", 3, "Identity & Access Management", 1, "Logon"),
        "SESSION_CLOSE" => (3002, "Authentication", 3, "Identity & Access Management", 2, "Logoff"),
        _ => return None,
    };
    let facts = &*row.facts;
    let failed = row.kind == "AUTH_FAIL"
        || row.decision == Decision::Refused
        || matches!(row.outcome.as_str(), "error" | "lost" | "cancelled" | "unknown_crash");
    // 1 informational, 3 medium: a refusal is something to look at, not an incident.
    let (severity, severity_name) = if failed { (3, "Medium") } else { (1, "Informational") };
    let mut user = json!({"name": row.person()});
    if !facts.role.is_empty() {
        user["groups"] = json!([{"name": facts.role}]);
    }
    if !facts.issuer.is_empty() {
        user["domain"] = json!(facts.issuer);
    }
    let mut event = json!({
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": category,
        "category_name": category_name,
        "class_uid": class,
        "class_name": class_name,
        "type_uid": class * 100 + activity,
        "severity_id": severity,
        "severity": severity_name,
        "time": millis(row.begin_ns),
        "start_time": millis(row.begin_ns),
        "end_time": millis(row.end_ns),
        "status_id": if failed { 2 } else { 1 },
        "status": if failed { "Failure" } else { "Success" },
        "metadata": {
            "version": VERSION,
            "uid": row.id(origin),
            "log_name": origin,
            "sequence": row.place.sequence,
            "product": {"name": "Tidegate", "vendor_name": "Tidegate", "version": env!("CARGO_PKG_VERSION")},
        },
        "src_endpoint": endpoint(&facts.source),
        "unmapped": unmapped(row, origin),
    });
    if let Some(session) = row.session {
        let session = json!({"uid": render::hex(&session.0)});
        if class == 6005 {
            event["actor"] = json!({"user": user, "session": session});
        } else {
            event["session"] = session;
        }
    }
    if class == 6005 {
        if event.get("actor").is_none() {
            event["actor"] = json!({"user": user});
        }
        let name = if facts.database.is_empty() { &facts.target } else { &facts.database };
        event["database"] = json!({"name": name, "type_id": 1, "type": "Relational"});
        event["type_id"] = json!(1);
        event["dst_endpoint"] = json!({"name": facts.target});
        if let Some(table) = row.tables.first() {
            event["table"] = json!({"name": table});
        }
        if let Some(text) = row.text.shown().filter(|_| texts) {
            event["query_info"] = json!({
                "query_string": text,
                "bytes": row.bytes,
                "uid": format!("{:016x}", row.fingerprint),
            });
        }
        let action = if row.decision == Decision::Refused { (2, "Denied") } else { (1, "Allowed") };
        (event["action_id"], event["action"]) = (json!(action.0), json!(action.1));
    } else {
        event["user"] = user;
        event["service"] = json!({"name": if facts.target.is_empty() { "tidegate" } else { &facts.target }});
        event["is_remote"] = json!(true);
        if row.kind == "SESSION_OPEN" {
            event["is_cleartext"] = json!(facts.tls.is_empty());
        }
    }
    if !row.code.is_empty() || !row.outcome.is_empty() {
        event["status_code"] = json!(if row.code.is_empty() { &row.outcome } else { &row.code });
    }
    Some(event)
}

/// The activity that comes nearest, the most far-reaching effect first.
fn activity(row: &Row) -> (u64, &'static str) {
    let has = |bits: &[u32]| bits.iter().any(|bit| row.effects & (1 << bit) != 0);
    if has(&[4, 5, 7, 13]) {
        (7, "Delete")
    } else if has(&[2, 3, 6, 12]) {
        (2, "Update")
    } else if has(&[1, 17]) {
        (5, "Write")
    } else if has(&[8, 9, 10, 11]) {
        (6, "Create")
    } else {
        (4, "Query")
    }
}

fn endpoint(source: &str) -> Value {
    let host = source_host(source);
    let mut endpoint =
        if host.parse::<std::net::IpAddr>().is_ok() { json!({"ip": host}) } else { json!({"name": host}) };
    if let Ok(address) = source.parse::<std::net::SocketAddr>() {
        endpoint["port"] = json!(address.port());
    }
    endpoint
}

/// What OCSF has no attribute for.
fn unmapped(row: &Row, origin: &str) -> Value {
    let Value::Object(all) = row.json(origin, false) else { return Value::Null };
    const KEEP: [&str; 18] = [
        "origin",
        "core",
        "sequence",
        "decision",
        "code",
        "rule",
        "outcome",
        "sqlstate",
        "rows",
        "bytes",
        "duration_us",
        "fingerprint",
        "effects",
        "tables",
        "masked",
        "clear",
        "bundle",
        "application",
    ];
    all.into_iter().filter(|(key, _)| KEEP.contains(&key.as_str())).collect::<Map<_, _>>().into()
}
