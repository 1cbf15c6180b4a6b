//! PostgreSQL's own relations: which of them show values of other people's tables and statements.

use lineage::RelationUse;

/// OIDs below this belong to the server itself.
pub(crate) const FIRST_USER_OID: u32 = 16_384;

/// Statistics of values, statements of other sessions, files, secrets.
const LEAKS: &[&str] = &[
    "pg_statistic",
    "pg_stats",
    "pg_stats_ext",
    "pg_stats_ext_exprs",
    "pg_statistic_ext_data",
    "pg_stat_statements",
    "pg_stat_statements_info",
    "pg_largeobject",
    "pg_authid",
    "pg_shadow",
    "pg_user_mapping",
    "pg_user_mappings",
    "pg_subscription",
    "pg_hba_file_rules",
    "pg_ident_file_mappings",
    "pg_file_settings",
    "pg_backend_memory_contexts",
    "user_mapping_options",
    "_pg_user_mappings",
];

/// Whether its rows can hold values of other tables, other sessions' statements, or secrets. Extensions put such views into
/// any schema, so the schema does not count.
pub(crate) fn leaks(used: &RelationUse) -> bool {
    LEAKS.contains(&used.name.as_str())
}
