//! What is known of functions, by name.
//!
//! `functions/known.txt`: built-ins that compute on their arguments, read the clock, settings or the system catalogs, and
//! change nothing but `nextval`'s sequence; reviewed from the `pg_proc` of PostgreSQL 15 with the additions up to 18.
//! `functions/dangerous.txt`: every other built-in, and well-known extension functions that run SQL text or read files.
//! Both are sorted. A user's function that shares the name of a built-in is not told apart without a catalog.

use std::collections::HashSet;
use std::sync::LazyLock;

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use crate::facts::FunctionStanding;

pub(crate) mod total;

static KNOWN: LazyLock<HashSet<&'static str>> = LazyLock::new(|| include_str!("functions/known.txt").lines().collect());
static DANGEROUS: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("functions/dangerous.txt").lines().collect());

/// Built-ins that take a whole row: `p.to_json` calls them on `p`. Those that only count or tell a type are left out.
const TAKE_ROW: &[&str] = &[
    "any_value",
    "array_agg",
    "concat",
    "first_value",
    "format",
    "hash_record",
    "json_agg",
    "json_agg_strict",
    "json_build_array",
    "json_build_object",
    "jsonb_agg",
    "jsonb_agg_strict",
    "jsonb_build_array",
    "jsonb_build_object",
    "lag",
    "last_value",
    "lead",
    "max",
    "min",
    "mode",
    "quote_literal",
    "quote_nullable",
    "record_out",
    "record_send",
    "row_to_json",
    "to_json",
    "to_jsonb",
];

/// The helpers of the information schema, which drivers call.
const INFORMATION_SCHEMA: &[&str] = &[
    "_pg_char_max_length",
    "_pg_char_octet_length",
    "_pg_datetime_precision",
    "_pg_expandarray",
    "_pg_index_position",
    "_pg_interval_type",
    "_pg_numeric_precision",
    "_pg_numeric_precision_radix",
    "_pg_numeric_scale",
    "_pg_truetypid",
    "_pg_truetypmod",
];

/// What is known of the function `schema.name`.
#[must_use]
pub fn standing(schema: Option<&str>, name: &str) -> FunctionStanding {
    let built_in = schema == Some("pg_catalog");
    if schema == Some("information_schema") && INFORMATION_SCHEMA.contains(&name) {
        FunctionStanding::Known
    } else if schema.is_some() && !built_in {
        FunctionStanding::Unknown
    } else if KNOWN.contains(name) {
        FunctionStanding::Known
    } else if built_in || DANGEROUS.contains(name) {
        FunctionStanding::Dangerous
    } else {
        FunctionStanding::Unknown
    }
}

/// The standing where the arguments decide: advisory locks are ordinary with constants, and a channel out of the session
/// with anything else.
pub(crate) fn standing_of_call(name: &[Node], constant_arguments: bool) -> Option<FunctionStanding> {
    let last = match name.last().and_then(|n| n.node.as_ref()) {
        Some(NodeEnum::String(last)) => last.sval.as_str(),
        _ => return Some(FunctionStanding::Unknown),
    };
    let built_in = match name {
        [_] => true,
        [schema, _] => matches!(&schema.node, Some(NodeEnum::String(s)) if s.sval == "pg_catalog"),
        _ => false,
    };
    let lock = last.starts_with("pg_advisory_") || last.starts_with("pg_try_advisory_");
    // A seed that is a constant tells nothing.
    let harmless = lock || last == "setseed";
    (built_in && harmless && constant_arguments && DANGEROUS.contains(last)).then_some(FunctionStanding::Known)
}

/// `row.name` may be a call of the function `name` on the row.
pub(crate) fn takes_row(name: &str) -> bool {
    TAKE_ROW.binary_search(&name).is_ok()
}

/// A literal, cast or not.
fn is_literal(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::AConst(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_literal),
        _ => false,
    }
}

/// The literal arguments of this function say which setting, channel or object is meant.
pub(crate) fn depends_on_literals(name: &str) -> bool {
    matches!(name, "set_config" | "current_setting" | "pg_notify")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted_and_disjoint() {
        for list in [include_str!("functions/known.txt"), include_str!("functions/dangerous.txt")] {
            let lines: Vec<_> = list.lines().collect();
            assert!(lines.is_sorted_by(|a, b| a < b));
            assert!(lines.iter().all(|l| !l.is_empty() && l.trim() == *l));
        }
        assert!(KNOWN.is_disjoint(&DANGEROUS));
        assert!(TAKE_ROW.is_sorted());
    }

    #[test]
    fn functions_that_reach_outside_are_not_known() {
        for name in [
            "query_to_xml",
            "table_to_xml",
            "cursor_to_xml",
            "schema_to_xml",
            "database_to_xml",
            "ts_stat",
            "ts_rewrite",
            "pg_read_file",
            "pg_read_binary_file",
            "pg_ls_dir",
            "pg_stat_file",
            "lo_get",
            "lo_from_bytea",
            "lo_export",
            "pg_notify",
            "set_config",
            "setval",
            "pg_sleep",
            "pg_terminate_backend",
            "pg_cancel_backend",
            "pg_logical_slot_peek_changes",
            "pg_switch_wal",
            "pg_reload_conf",
            "pg_stat_get_activity",
            "dblink",
            "crosstab",
            "currtid2",
            "pg_mcv_list_items",
            "setseed",
            "pg_advisory_lock",
            "pg_lock_status",
        ] {
            assert_eq!(standing(None, name), FunctionStanding::Dangerous, "{name}");
        }
        assert_eq!(standing(Some("pg_catalog"), "no_such_thing"), FunctionStanding::Dangerous);
        assert_eq!(standing(Some("public"), "upper"), FunctionStanding::Unknown);
        assert_eq!(standing(None, "my_function"), FunctionStanding::Unknown);
        assert_eq!(standing(None, "upper"), FunctionStanding::Known);
    }
}
