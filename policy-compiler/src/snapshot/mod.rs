//! The catalog of a live target: relations, columns, comments, view definitions and dependencies, inheritance.
//!
//! Some queries against `pg_catalog` in one read-only transaction with a statement timeout, so what comes back is one
//! moment. Every name is qualified and `search_path` is `pg_catalog` alone, so nothing that a user created can be called
//! and view definitions name every relation with its schema. System schemas and temporary schemas of others are left out.
//! The files are JSON, written deterministically.

mod connect;
mod rests;
mod tls;

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use lineage::Catalog;
use lineage::catalog::{Code, Column, Filled, Relation, RelationKind};
use tokio_postgres::Client;

pub use connect::{Options, connect};

use crate::source::read_bounded;

/// Most relations of a target; a snapshot with more is refused rather than cut.
pub const RELATIONS_MAX: usize = 200_000;
/// Most columns.
pub const COLUMNS_MAX: usize = 4_000_000;
/// Largest snapshot file.
pub const FILE_BYTES_MAX: usize = 1 << 30;

/// Why there is no catalog.
#[derive(Debug)]
pub enum Error {
    /// A setting is wrong: address, certificate file …
    Setting(String),
    /// The server could not be reached or refused; its message.
    Server(String),
    /// More relations or columns than are read.
    TooLarge(String),
    /// A snapshot file is not one.
    File(String),
}

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Setting(m) | Self::Server(m) | Self::TooLarge(m) | Self::File(m) => f.write_str(m),
        }
    }
}
impl std::error::Error for Error {}

impl From<tokio_postgres::Error> for Error {
    fn from(e: tokio_postgres::Error) -> Self {
        // The server's own sentence says more than "db error".
        let text =
            e.as_db_error().map_or_else(|| with_causes(&e), |db| format!("{} ({})", db.message(), db.code().code()));
        Self::Server(text)
    }
}

pub(crate) fn with_causes(e: &dyn std::error::Error) -> String {
    let mut text = e.to_string();
    let mut cause = e.source();
    while let Some(c) = cause {
        let more = c.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = c.source();
    }
    text
}

const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = '60s'; SET LOCAL lock_timeout = '5s'; SET LOCAL search_path = pg_catalog";

const OURS: &str = "c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
    AND n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_toast' \
    AND (n.nspname !~ '^pg_temp_' OR n.oid = pg_catalog.pg_my_temp_schema())";

/// The catalog of the database this client is connected to.
///
/// # Errors
/// The server's error, or a limit.
pub async fn fetch(client: &Client) -> Result<Catalog, Error> {
    // As the account's sessions have it; what follows is read with another.
    let path: Vec<String> =
        client.query_one("SELECT pg_catalog.current_schemas(false)::text[]", &[]).await?.try_get(0)?;
    client.batch_execute(BEGIN).await?;
    let outcome = fetch_within(client, path).await;
    let end = client.batch_execute("ROLLBACK").await;
    let catalog = outcome?;
    end?;
    Ok(catalog)
}

async fn fetch_within(client: &Client, search_path: Vec<String>) -> Result<Catalog, Error> {
    let relations = format!(
        "SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, d.description, \
         CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END, c.reltuples::float8, \
         pg_catalog.current_database()::text, pg_catalog.current_setting('server_version_num')::int4 \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_description d ON d.objoid = c.oid \
           AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = 0 \
         WHERE {OURS} ORDER BY n.nspname COLLATE \"C\", c.relname COLLATE \"C\" LIMIT {}",
        RELATIONS_MAX + 1
    );
    let columns = format!(
        "SELECT a.attrelid, a.attnum, a.attname::text, a.atttypid, \
         pg_catalog.format_type(a.atttypid, a.atttypmod), d.description \
         FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_class c ON c.oid = a.attrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_description d ON d.objoid = a.attrelid \
           AND d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objsubid = a.attnum \
         WHERE a.attnum > 0 AND NOT a.attisdropped AND {OURS} ORDER BY a.attrelid, a.attnum LIMIT {}",
        COLUMNS_MAX + 1
    );
    let depends = format!(
        "SELECT DISTINCT r.ev_class, d.refobjid FROM pg_catalog.pg_rewrite r \
         JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass AND d.objid = r.oid \
           AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.refobjid <> r.ev_class \
         JOIN pg_catalog.pg_class c ON c.oid = r.ev_class JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('v', 'm') AND {OURS} ORDER BY 1, 2"
    );
    let inherits = format!(
        "SELECT i.inhrelid, i.inhparent FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {OURS} ORDER BY i.inhrelid, i.inhseqno"
    );
    let named = "SELECT pg_catalog.current_database()::text, pg_catalog.current_setting('server_version_num')::int4";

    let row = client.query_one(named, &[]).await?;
    let version: i32 = row.try_get(1)?;
    let mut catalog = Catalog {
        database: row.try_get(0)?,
        server_version: u32::try_from(version).unwrap_or_default(),
        search_path,
        code: Vec::new(),
        operators: Vec::new(),
        relations: Vec::new(),
    };
    let mut index: HashMap<u32, usize> = HashMap::new();
    for row in client.query(&relations, &[]).await? {
        let oid: u32 = row.try_get(0)?;
        let rows: f64 = row.try_get(6)?;
        index.insert(oid, catalog.relations.len());
        catalog.relations.push(Relation {
            oid,
            schema: row.try_get(1)?,
            name: row.try_get(2)?,
            kind: kind(row.try_get(3)?),
            columns: Vec::new(),
            comment: row.try_get(4)?,
            definition: row.try_get(5)?,
            depends_on: Vec::new(),
            parents: Vec::new(),
            references: Vec::new(),
            rests_on: Vec::new(),
            filled_by: Vec::new(),
            estimated_rows: whole(rows),
        });
    }
    if catalog.relations.len() > RELATIONS_MAX {
        return Err(Error::TooLarge(format!("the database has more than {RELATIONS_MAX} relations")));
    }
    let found = client.query(&columns, &[]).await?;
    if found.len() > COLUMNS_MAX {
        return Err(Error::TooLarge(format!("the database has more than {COLUMNS_MAX} columns")));
    }
    for row in found {
        let column = Column {
            number: row.try_get(1)?,
            name: row.try_get(2)?,
            type_oid: row.try_get(3)?,
            type_name: row.try_get(4)?,
            comment: row.try_get(5)?,
        };
        if let Some(r) = relation(&mut catalog, &index, row.try_get(0)?) {
            r.columns.push(column);
        }
    }
    for row in client.query(&depends, &[]).await? {
        let on: u32 = row.try_get(1)?;
        if let Some(r) = relation(&mut catalog, &index, row.try_get(0)?) {
            r.depends_on.push(on);
        }
    }
    for row in client.query(&inherits, &[]).await? {
        let parent: u32 = row.try_get(1)?;
        if let Some(r) = relation(&mut catalog, &index, row.try_get(0)?) {
            r.parents.push(parent);
        }
    }
    rests::read(client, &mut catalog, &index).await?;
    code(client, &mut catalog, &index).await?;
    Ok(catalog)
}

/// Longest function text that is kept; a longer one counts as one that cannot be read.
const BODY_BYTES_MAX: usize = 32 << 10;
/// Most functions and operators.
const CODE_MAX: usize = 20_000;

/// Functions and operators that people made, and the columns they fill.
async fn code(client: &Client, catalog: &mut Catalog, index: &HashMap<u32, usize>) -> Result<(), Error> {
    const PEOPLES: &str = "n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname !~ '^pg_temp_' \
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e WHERE e.objid = p.oid AND e.deptype = 'e')";
    let functions = format!(
        "SELECT p.oid, p.proname::text, CASE WHEN l.lanname IN ('sql', 'plpgsql') THEN \
           pg_catalog.left(pg_catalog.concat(p.prosrc, ' ', pg_catalog.pg_get_function_sqlbody(p.oid)), {}) END \
         FROM pg_catalog.pg_proc p JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace \
         JOIN pg_catalog.pg_language l ON l.oid = p.prolang WHERE {PEOPLES} ORDER BY p.oid LIMIT {}",
        BODY_BYTES_MAX + 1,
        CODE_MAX + 1
    );
    // Without a body function (before PostgreSQL 14) the column and its function do not exist.
    let functions = if catalog.server_version < 140_000 {
        functions.replace("pg_catalog.pg_get_function_sqlbody(p.oid)", "''")
    } else {
        functions
    };
    let operators = format!(
        "SELECT DISTINCT p.oprname::text COLLATE \"C\" FROM pg_catalog.pg_operator p \
         JOIN pg_catalog.pg_namespace n ON n.oid = p.oprnamespace WHERE {PEOPLES} ORDER BY 1 LIMIT {}",
        CODE_MAX + 1
    );
    let fills = "SELECT a.adrelid, d.refobjid, a.adnum FROM pg_catalog.pg_attrdef a \
        JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_attrdef'::pg_catalog.regclass AND d.objid = a.oid \
          AND d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass \
        UNION ALL SELECT t.tgrelid, t.tgfoid, NULL FROM pg_catalog.pg_trigger t \
          WHERE NOT t.tgisinternal AND t.tgtype & 3 = 3 ORDER BY 1, 2, 3";
    for row in client.query(&functions, &[]).await? {
        let body: Option<String> = row.try_get(2)?;
        let body = body.filter(|b| b.len() <= BODY_BYTES_MAX);
        catalog.code.push(Code { oid: row.try_get(0)?, name: row.try_get(1)?, body });
    }
    for row in client.query(&operators, &[]).await? {
        catalog.operators.push(row.try_get(0)?);
    }
    if catalog.code.len() > CODE_MAX || catalog.operators.len() > CODE_MAX {
        return Err(Error::TooLarge(format!("the database has more than {CODE_MAX} functions or operators")));
    }
    for row in client.query(fills, &[]).await? {
        let function: u32 = row.try_get(1)?;
        let column: Option<i16> = row.try_get(2)?;
        if catalog.code.binary_search_by_key(&function, |c| c.oid).is_ok()
            && let Some(r) = relation(catalog, index, row.try_get(0)?)
        {
            r.filled_by.push(Filled { function, column });
        }
    }
    Ok(())
}

fn relation<'a>(catalog: &'a mut Catalog, index: &HashMap<u32, usize>, oid: u32) -> Option<&'a mut Relation> {
    index.get(&oid).and_then(|i| catalog.relations.get_mut(*i))
}

fn kind(letter: &str) -> RelationKind {
    match letter {
        "p" => RelationKind::PartitionedTable,
        "v" => RelationKind::View,
        "m" => RelationKind::MaterializedView,
        "f" => RelationKind::ForeignTable,
        "S" => RelationKind::Sequence,
        _ => RelationKind::Table,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "float to integer saturates, and it is an estimate")]
fn whole(rows: f64) -> i64 {
    rows as i64
}

/// A snapshot as a file: the same catalog gives the same bytes.
///
/// # Errors
/// None that are known; the encoder's.
pub fn encode(catalog: &Catalog) -> Result<Vec<u8>, Error> {
    let mut bytes = serde_json::to_vec_pretty(catalog).map_err(|e| Error::File(e.to_string()))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Reads a snapshot from bytes; they are used as scratch space.
///
/// # Errors
/// Why it is not a snapshot.
pub fn decode(bytes: &mut [u8]) -> Result<Catalog, Error> {
    let catalog: Catalog =
        simd_json::serde::from_slice(bytes).map_err(|e| Error::File(format!("not a catalog snapshot: {e}")))?;
    if catalog.relations.len() > RELATIONS_MAX {
        return Err(Error::TooLarge(format!("the snapshot has more than {RELATIONS_MAX} relations")));
    }
    let mut seen = BTreeMap::new();
    for r in &catalog.relations {
        if seen.insert((&r.schema, &r.name), ()).is_some() {
            return Err(Error::File(format!("not a catalog snapshot: {}.{} is in it twice", r.schema, r.name)));
        }
    }
    Ok(catalog)
}

/// Reads a snapshot file.
///
/// # Errors
/// Why it cannot be read.
pub fn read(path: &Path) -> Result<Catalog, Error> {
    let mut bytes = read_bounded(path, FILE_BYTES_MAX).map_err(|e| Error::File(format!("{}: {e}", path.display())))?;
    decode(&mut bytes).map_err(|e| Error::File(format!("{}: {e}", path.display())))
}
