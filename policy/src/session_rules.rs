//! Built-in rules for everybody: the server's files and programs, its administration, changes of role, channels, and the
//! session parameters that the understanding of statements and of results depends on.
//!
//! Everything else may be set. Deliberately absent: exceptions by rule file; who needs these things connects directly.

use lineage::facts::FunctionStanding;
use lineage::{Effects, SessionUse, Statement};

use crate::glob;
use crate::model::Role;
use crate::refusal::{Refusal, code};

/// Refuses what no role may do through the gateway.
pub(crate) fn check(role: &Role, statement: &Statement) -> Result<(), Refusal> {
    let refuse = |code, rule: &str, message: String, hint: &str| {
        Err(Refusal::new(code, format!("default:{rule}"), message).hint(hint).at(statement.span.start))
    };
    let effects = statement.effects;
    // What the gateway itself depends on comes first: a role in observe mode is refused nothing else.
    // Facts have room for one parameter: any other call could set anything.
    let hidden = statement.functions.iter().any(|f| f.name == "set_config" && f.standing != FunctionStanding::Known);
    if hidden {
        let message = "set_config with something else than one pair of literals".to_owned();
        return refuse(code::PINNED, "pinned-parameter", message, "use SET");
    }
    if effects.intersects(Effects::SET_ROLE) {
        let message = "changes of role inside the database".to_owned();
        return refuse(
            code::SET_ROLE,
            "set-role",
            message,
            "your role is given by the gateway; log in as somebody else",
        );
    }
    if effects.intersects(Effects::COPY_PROGRAM.with(Effects::COPY_FILE)) {
        let message = "COPY to or from a file or program of the server".to_owned();
        return refuse(code::SERVER_FILES, "server-files", message, "use COPY FROM STDIN, or SELECT");
    }
    if effects.intersects(Effects::SERVER) {
        let message = format!("{}: administration of the server", statement.kind);
        return refuse(code::SERVER, "server", message, "connect to the server directly for administration");
    }
    match &statement.session {
        SessionUse::Set { .. } | SessionUse::SetMany(_) => {
            let one = match &statement.session {
                SessionUse::Set { name, value } => Some((name, value)),
                _ => None,
            };
            let many = match &statement.session {
                SessionUse::SetMany(all) => all.as_slice(),
                _ => &[],
            };
            for (name, value) in one.into_iter().chain(many.iter().map(|(n, v)| (n, v))) {
                if let Some(why) = pinned(name, value.as_deref()) {
                    let message = format!("{name} cannot be set so: {why}");
                    return refuse(code::PINNED, "pinned-parameter", message, "leave the parameter as it is at login");
                }
            }
        }
        SessionUse::Listen(channel) | SessionUse::Notify(channel)
            if !role.channels.iter().any(|g| glob::matches(g, channel)) =>
        {
            let message = format!("the channel {channel} is not open to your role");
            return refuse(code::CHANNEL, "channel", message, "a rule file can list it under the role's channels");
        }
        _ => {}
    }
    Ok(())
}

/// Why a parameter may not get this value; `None` for a value is the default at login.
fn pinned(name: &str, value: Option<&str>) -> Option<&'static str> {
    let value = value?.trim();
    let is = |allowed: &[&str]| allowed.iter().any(|a| value.eq_ignore_ascii_case(a));
    let on = &["on", "true", "yes", "1"];
    let off = &["off", "false", "no", "0"];
    match name {
        "standard_conforming_strings" => (!is(on)).then_some("statements could not be understood"),
        "client_encoding" | "names" => {
            (!is(&["utf8", "utf-8", "unicode", "sql_ascii"])).then_some("texts are understood as UTF-8")
        }
        "search_path" => search_path(value),
        "session_replication_role" => (!is(&["origin"])).then_some("it switches triggers off"),
        "row_security" => (!is(on)).then_some("it changes which rows are visible"),
        "client_min_messages" => {
            (!is(&["notice", "warning", "error", "fatal", "panic"])).then_some("messages below notice show data")
        }
        "session_preload_libraries" | "local_preload_libraries" | "dynamic_library_path" => Some("it loads code"),
        _ if name.starts_with("debug_") => (!is(off)).then_some("debugging output shows data"),
        _ if name.starts_with("auto_explain.") => Some("plans would be sent as messages"),
        _ => None,
    }
}

/// A schema before `pg_catalog` could give well-known names another meaning. Behind schemas that do not exist `pg_temp` is
/// where things are made, and nobody sees that they are the session's own; not named, it comes first.
fn search_path(value: &str) -> Option<&'static str> {
    if value.strip_prefix('$').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())) {
        return Some("its value has to stand in the statement");
    }
    let schemas: Vec<String> =
        value.split(',').map(|s| s.trim().trim_matches(|c| c == '"' || c == '\'').to_ascii_lowercase()).collect();
    if schemas.iter().any(|s| s.starts_with("pg_temp")) {
        return Some("what is temporary has to be made by that name");
    }
    if schemas.iter().skip(1).any(|s| s == "pg_catalog") {
        return Some("pg_catalog must come first or not be named");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        for (name, value, allowed) in [
            ("standard_conforming_strings", "on", true),
            ("standard_conforming_strings", "off", false),
            ("client_encoding", "UTF8", true),
            ("client_encoding", "GBK", false),
            ("search_path", "clinic, public", true),
            ("search_path", "", true),
            ("search_path", "pg_catalog, public", true),
            ("search_path", "public, pg_catalog", false),
            ("search_path", "\"$user\", public", true),
            ("search_path", "$1", false),
            ("search_path", "pg_temp, public", false),
            ("search_path", "\"pg_temp_3\"", false),
            ("search_path", "no_such_schema, pg_temp", false),
            ("search_path", "public, \"pg_temp\"", false),
            ("client_min_messages", "warning", true),
            ("client_min_messages", "debug1", false),
            ("client_min_messages", "log", false),
            ("debug_print_plan", "on", false),
            ("debug_print_plan", "off", true),
            ("row_security", "off", false),
            ("session_replication_role", "replica", false),
            ("datestyle", "German", true),
            ("intervalstyle", "iso_8601", true),
            ("bytea_output", "escape", true),
            ("statement_timeout", "5s", true),
            ("application_name", "psql", true),
        ] {
            assert_eq!(pinned(name, Some(value)).is_none(), allowed, "{name} = {value}");
            assert!(pinned(name, None).is_none(), "{name} to its default");
        }
    }
}
