//! OCSF 1.3 (https://schema.ocsf.io): statements as Datastore Activity (6005); logins, sign-ins and their ends as
//! Authentication (3002); credentials and accounts as Account Change (3001), roles for a time as User Access Management
//! (3005), what a session is bound to as Authorize Session (3003), requests, votes and approvals as Entity Management (3004).
//! Other records have no class that fits and are left out.

use audit::render;
use serde_json::{Map, Value, json};

use super::millis;
use crate::query::source_host;
use crate::row::{Decision, Row, STATEMENT, has_acts};

const VERSION: &str = "1.3.0";

/// The event of a row; `None` for kinds without a class.
pub(super) fn event(row: &Row, origin: &str, texts: bool) -> Option<Value> {
    let (class, class_name, activity, activity_name) = match row.kind {
        STATEMENT => {
            let (id, name) = activity(row);
            (6005, "Datastore Activity", id, name)
        }
        "SESSION_OPEN" | "AUTH_FAIL" => (3002, "Authentication", 1, "Logon"),
        "SESSION_CLOSE" => (3002, "Authentication", 2, "Logoff"),
        "ACCESS" | "APPROVAL" | "CREDENTIAL" => act(row),
        _ => return None,
    };
    let (category, category_name) = match class {
        6005 => (6, "Application Activity"),
        _ => (3, "Identity & Access Management"),
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
    } else if has_acts(row.kind) && class != 3002 {
        about_people(row, class, user, &mut event);
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

/// Class and activity of an act about access.
fn act(row: &Row) -> (u64, &'static str, u64, &'static str) {
    const AUTHENTICATION: &str = "Authentication";
    const ACCOUNT: &str = "Account Change";
    const ACCESS: &str = "User Access Management";
    const ENTITY: &str = "Entity Management";
    match (row.kind, row.act.as_str(), row.field("detail")) {
        ("ACCESS", "sign_in" | "sign_in_failed", _) => (3002, AUTHENTICATION, 1, "Logon"),
        ("ACCESS", "sign_out", _) | ("CREDENTIAL", "expire_kill", _) => (3002, AUTHENTICATION, 2, "Logoff"),
        ("ACCESS", "mint", "password") => (3001, ACCOUNT, 3, "Password Change"),
        ("ACCESS", "admin", "suspend") => (3001, ACCOUNT, 5, "Disable"),
        ("ACCESS", "admin", "unsuspend") => (3001, ACCOUNT, 2, "Enable"),
        ("ACCESS", "authenticator", what) if what.starts_with("registered") => (3001, ACCOUNT, 10, "MFA Factor Enable"),
        ("ACCESS", "authenticator", what) if what.starts_with("removed") => (3001, ACCOUNT, 11, "MFA Factor Disable"),
        ("ACCESS", "mint" | "admin" | "authenticator", _) => (3001, ACCOUNT, 99, "Other"),
        ("ACCESS", "bind", _) => (3003, "Authorize Session", 1, "Assign Privileges"),
        ("ACCESS", "grant" | "break_glass", _) => (3005, ACCESS, 1, "Assign Privileges"),
        ("ACCESS", "end", _) => (3005, ACCESS, 2, "Revoke Privileges"),
        ("CREDENTIAL", "issue", _) => (3001, ACCOUNT, 1, "Create"),
        ("CREDENTIAL", _, _) => (3001, ACCOUNT, 6, "Delete"),
        (_, "request", _) => (3004, ENTITY, 1, "Create"),
        (_, "vote" | "grant" | "consume" | "end" | "break_glass_review", _) => (3004, ENTITY, 3, "Update"),
        _ => (3004, ENTITY, 99, "Other"),
    }
}

/// What the classes of accounts, privileges and entities want.
fn about_people(row: &Row, class: u64, actor: Value, event: &mut Value) {
    let facts = &*row.facts;
    let (about, account) = (row.field("about"), &facts.account);
    let mut user = actor.clone();
    if row.kind == "CREDENTIAL" {
        user = json!({"name": account});
    } else if !about.is_empty() {
        user = json!({"name": about, "domain": row.field("about_issuer")});
    }
    event["actor"] = json!({"user": actor});
    if class == 3004 {
        let kind = match (row.kind, row.act.as_str()) {
            ("APPROVAL", _) => "statement approval",
            (_, "break_glass_review") => "emergency",
            (_, "request" | "vote") => "access request",
            _ => "act",
        };
        let id = if row.field("id").is_empty() { &row.act } else { row.field("id") };
        event["entity"] = json!({"name": id, "uid": id, "type": kind});
        if !row.facts.target.is_empty() {
            event["dst_endpoint"] = json!({"name": facts.target});
        }
        return;
    }
    event["user"] = user;
    if matches!(class, 3003 | 3005) {
        let role = if row.field("about_role").is_empty() { &facts.role } else { row.field("about_role") };
        // The end of a grant does not repeat what it gave; its id does.
        let privilege = if role.is_empty() { row.field("id") } else { role };
        event["privileges"] = json!([privilege]);
        if !facts.target.is_empty() {
            event["resource"] = json!({"name": facts.target, "type": "database"});
        }
    }
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
    const KEEP: [&str; 24] = [
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
        "kind",
        "act",
        "statement",
        "account",
        "target",
        "role",
    ];
    let mut kept: Map<_, _> = all.into_iter().filter(|(key, _)| KEEP.contains(&key.as_str())).collect();
    if has_acts(row.kind) {
        kept.insert("fields".to_owned(), row.own_fields().into());
    }
    kept.into()
}
