//! How many rows a statement would touch, as the target's planner expects.
//!
//! Invariants: the statement is never run (`EXPLAIN`, never ANALYZE, in a READ ONLY transaction that is rolled back), on a
//! connection of its own with the gateway's own account, within two seconds. Planning can call functions, so a statement
//! with functions or operators that people made is not given to the planner. What cannot be estimated has no estimate: it
//! is for the caller to be careful then. Deliberately absent: deciding, and telling anybody the plan.

use crate::catalog::{Access, connect};
use lineage::facts::FunctionStanding;
use lineage::{Effects, SessionUse};
use serde_json::Value;
use std::error::Error;
use std::time::Duration;
use tokio::time::timeout;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, ToSql, Type};
use zeroize::Zeroizing;

/// Longest for all of it; the planner has less.
const ESTIMATE_TIMEOUT: Duration = Duration::from_secs(4);
/// Longest statement that is estimated.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// Plans nest; a deeper one is not looked into.
const DEPTH_MAX: usize = 200;
/// OIDs from here on are of things that people made.
const FIRST_MADE: u32 = 16_384;

/// What a statement may do to be estimated.
const ESTIMABLE: Effects = Effects::READ
    .with(Effects::INSERT)
    .with(Effects::UPDATE)
    .with(Effects::UPDATE_ALL)
    .with(Effects::DELETE)
    .with(Effects::DELETE_ALL)
    .with(Effects::MERGE)
    .with(Effects::ROW_LOCK);

/// A parameter as it came.
pub struct Parameter {
    /// Type, 0 where the database decides.
    pub type_oid: u32,
    /// In the type's binary format.
    pub binary: bool,
    /// Value; `None` is NULL.
    pub value: Option<Zeroizing<Vec<u8>>>,
}

impl std::fmt::Debug for Parameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parameter")
            .field("type_oid", &self.type_oid)
            .field("binary", &self.binary)
            .finish_non_exhaustive()
    }
}

impl ToSql for Parameter {
    fn to_sql(&self, _: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match &self.value {
            Some(value) => {
                out.extend_from_slice(value);
                Ok(IsNull::No)
            }
            None => Ok(IsNull::Yes),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn to_sql_checked(&self, of: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        self.to_sql(of, out)
    }

    fn encode_format(&self, _: &Type) -> Format {
        if self.binary { Format::Binary } else { Format::Text }
    }
}

/// A value of type `json`.
struct Json(Value);

impl FromSql<'_> for Json {
    fn from_sql(_: &Type, raw: &[u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(serde_json::from_slice(raw)?))
    }

    fn accepts(of: &Type) -> bool {
        *of == Type::JSON
    }
}

/// Rows that the target's planner expects the statement to touch or return; waits for it on this thread.
///
/// # Errors
/// Why there is no estimate; nothing of the statement or its parameters is in it.
pub fn rows(access: &Access, text: &str, parameters: &[Parameter]) -> Result<u64, String> {
    let (operators, collects) = estimable(text)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| format!("no runtime: {e}"))?;
    let asked = async { timeout(ESTIMATE_TIMEOUT, ask(access, (text, collects), &operators, parameters)).await };
    runtime.block_on(asked).map_err(|_| format!("no estimate within {ESTIMATE_TIMEOUT:?}"))?
}

/// Aggregates that put the values of many rows into one.
const COLLECTING: &[&str] = &[
    "array_agg",
    "json_agg",
    "json_agg_strict",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_agg_strict",
    "jsonb_object_agg",
    "string_agg",
    "xmlagg",
];

/// The statement can be given to the planner; the operators in it, and whether it collects many rows into one.
fn estimable(text: &str) -> Result<(Vec<String>, bool), String> {
    if text.len() > TEXT_BYTES_MAX {
        return Err("the statement is too long to be estimated".to_owned());
    }
    let facts = lineage::analyse(text).map_err(|_| "the statement is not understood".to_owned())?;
    let [statement] = facts.statements.as_slice() else { return Err("more than one statement, or none".to_owned()) };
    let plain = ESTIMABLE.contains(statement.effects) && statement.session == SessionUse::None;
    if !plain || statement.functions.iter().any(|function| function.standing != FunctionStanding::Known) {
        return Err("a kind of statement that has no estimate".to_owned());
    }
    let collects = statement.functions.iter().any(|function| COLLECTING.contains(&function.name.as_str()));
    Ok((statement.operators.clone(), collects))
}

async fn ask(
    access: &Access,
    (text, collects): (&str, bool),
    operators: &[String],
    parameters: &[Parameter],
) -> Result<u64, String> {
    let failed = |error: tokio_postgres::Error| {
        // The server's message could quote the statement.
        error.code().map_or_else(|| "the target's database cannot be asked".to_owned(), |code| code.code().to_owned())
    };
    let client = connect(access).await?;
    let begin = "BEGIN READ ONLY; SET LOCAL statement_timeout = '2s'; SET LOCAL lock_timeout = '1s'; \
                 SET LOCAL idle_in_transaction_session_timeout = '5s'";
    client.batch_execute(begin).await.map_err(failed)?;
    let made = "SELECT EXISTS (SELECT FROM pg_catalog.pg_operator o JOIN pg_catalog.pg_proc p \
                ON p.oid OPERATOR(pg_catalog.=) o.oprcode WHERE o.oprname OPERATOR(pg_catalog.=) ANY ($1) \
                AND p.oid OPERATOR(pg_catalog.>=) $2::pg_catalog.oid)";
    if client.query_one(made, &[&operators, &FIRST_MADE]).await.map_err(failed)?.get::<_, bool>(0) {
        return Err("operators that people made".to_owned());
    }
    let typed = |parameter: &Parameter| match parameter.type_oid {
        0 => Ok(Type::UNKNOWN),
        oid => Type::from_oid(oid).ok_or("a parameter of a type that people made"),
    };
    let types = parameters.iter().map(typed).collect::<Result<Vec<_>, _>>()?;
    // A prepared text is one statement, whatever is in it.
    let statement = client.prepare_typed(&format!("EXPLAIN (FORMAT JSON) {text}"), &types).await.map_err(failed)?;
    if statement.params().len() != parameters.len() {
        return Err("its parameters do not fit".to_owned());
    }
    let given: Vec<&(dyn ToSql + Sync)> = parameters.iter().map(|p| p as &(dyn ToSql + Sync)).collect();
    let row = client.query_one(&statement, &given).await.map_err(failed)?;
    let Json(plan) = row.try_get(0).map_err(failed)?;
    let plan = plan.get(0).and_then(|first| first.get("Plan"));
    plan.map(|plan| touched(plan, collects, 0)).ok_or_else(|| "the planner says something else".to_owned())
}

/// The most of what the plan returns and of what each part of it that changes rows is given. What `collects` puts a whole
/// table into one row, so there every part counts.
fn touched(plan: &Value, collects: bool, depth: usize) -> u64 {
    if depth > DEPTH_MAX {
        return u64::MAX;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, and rows are not negative")]
    let rows = |plan: &Value| plan.get("Plan Rows").and_then(Value::as_f64).map_or(u64::MAX, |rows| rows.ceil() as u64);
    let parts = plan.get("Plans").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let own = if plan.get("Node Type").and_then(Value::as_str) == Some("ModifyTable") {
        let beside = |part: &&Value| {
            matches!(part.get("Parent Relationship").and_then(Value::as_str), Some("InitPlan" | "SubPlan"))
        };
        parts.iter().filter(|part| !beside(part)).fold(0, |all: u64, part| all.saturating_add(rows(part)))
    } else if depth == 0 || collects {
        rows(plan)
    } else {
        0
    };
    parts.iter().map(|part| touched(part, collects, depth + 1)).fold(own, u64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_plain_statements_are_given_to_the_planner() {
        for text in [
            "select * from t where a = 1",
            "delete from t where lower(a) = 'x'",
            "update t set a = 1",
            "insert into t select 1",
        ] {
            assert!(estimable(text).is_ok(), "{text}");
        }
        for text in [
            "select mine()",
            "select pg_sleep(1)",
            "select 1; delete from t",
            "truncate t",
            "explain analyze delete from t",
            "copy t to stdout",
            "execute q",
            "begin",
            "select pg_read_file('x')",
            "",
            "analyze) delete from t",
        ] {
            assert!(estimable(text).is_err(), "{text}");
        }
        assert!(estimable(&format!("select '{}'", "x".repeat(TEXT_BYTES_MAX))).is_err());
    }

    #[test]
    fn rows_are_those_that_change_or_come() {
        let scan = |rows: f64| json!({"Node Type": "Seq Scan", "Parent Relationship": "Outer", "Plan Rows": rows});
        assert_eq!(touched(&scan(12.2), false, 0), 13);
        let delete = json!({"Node Type": "ModifyTable", "Plan Rows": 0, "Plans": [scan(40.0), scan(2.0)]});
        assert_eq!(touched(&delete, false, 0), 42);
        let beside = json!({"Node Type": "Seq Scan", "Parent Relationship": "SubPlan", "Plan Rows": 900});
        let delete = json!({"Node Type": "ModifyTable", "Plan Rows": 0, "Plans": [beside, scan(2.0)]});
        assert_eq!(touched(&delete, false, 0), 2);
        // A whole table in one row.
        let agg = json!({"Node Type": "Aggregate", "Plan Rows": 1, "Plans": [scan(5000.0)]});
        assert_eq!((touched(&agg, false, 0), touched(&agg, true, 0)), (1, 5000));
        // A query that reads little and changes much on its way.
        let inner = json!({"Node Type": "ModifyTable", "Parent Relationship": "InitPlan", "Plan Rows": 5, "Plans": [scan(5000.0)]});
        let outer = json!({"Node Type": "Aggregate", "Plan Rows": 1, "Plans": [inner, scan(5000.0)]});
        assert_eq!(touched(&outer, false, 0), 5000);
        assert_eq!(touched(&json!({"Node Type": "Result"}), false, 0), u64::MAX, "a plan without rows");
    }
}
