//! A look at the content of a live target's text columns: which detectors find something, and how often.
//!
//! One read-only transaction per relation with a short statement timeout, a bounded number of rows and of bytes per value.
//! Values live in this module only and are dropped after they were scanned: what is returned holds names and counts.
//! Views are left out (they show what tables hold), and so is what the account may not read.

use lineage::Catalog;
use lineage::catalog::{Column, Relation, RelationKind};
use tokio_postgres::Client;

use crate::coverage::Sampled;
use crate::detect;
use crate::snapshot::Error;

/// Rows looked at per relation.
pub const ROWS_MAX: usize = 200;
/// Characters looked at per value.
const VALUE_CHARACTERS_MAX: usize = 2_000;
/// Columns asked for in one statement.
const COLUMNS_PER_STATEMENT: usize = 64;
/// Tables with more rows are sampled instead of read from the beginning.
const LARGE_ROWS: i64 = 20_000;
/// A detector that hits less often than this is chance.
const HITS_PERCENT_MIN: usize = 5;

/// What a look at a target gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Samples {
    /// Columns with hits.
    pub found: Vec<Sampled>,
    /// Relations that could not be read, with the server's error code.
    pub skipped: Vec<String>,
}

/// Looks at every table. `progress` is told how many of how many relations are done.
///
/// # Errors
/// Only when the connection is lost; a relation that cannot be read is skipped.
pub async fn sample(
    client: &Client,
    target: usize,
    catalog: &Catalog,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<Samples, Error> {
    let relations: Vec<&Relation> = catalog
        .relations
        .iter()
        .filter(|r| {
            matches!(r.kind, RelationKind::Table | RelationKind::PartitionedTable | RelationKind::MaterializedView)
        })
        .collect();
    let mut samples = Samples::default();
    for (i, relation) in relations.iter().enumerate() {
        progress(i, relations.len());
        let columns: Vec<&Column> = relation.columns.iter().filter(|c| holds_text(&c.type_name)).collect();
        for some in columns.chunks(COLUMNS_PER_STATEMENT) {
            match look(client, relation, some).await {
                Ok(tallies) => {
                    for (column, tally) in some.iter().zip(tallies) {
                        if let Some(hits) = tally.hits() {
                            samples.found.push(Sampled {
                                target,
                                column: (relation.schema.clone(), relation.name.clone(), column.name.clone()),
                                hits,
                                values: tally.values,
                            });
                        }
                    }
                }
                Err(e) if client.is_closed() => return Err(e.into()),
                Err(e) => {
                    let code = e.code().map_or("?", |c| c.code()).to_owned();
                    samples.skipped.push(format!("{}.{} ({code})", relation.schema, relation.name));
                    break;
                }
            }
        }
    }
    progress(relations.len(), relations.len());
    Ok(samples)
}

fn holds_text(type_name: &str) -> bool {
    let base = type_name.split('(').next().unwrap_or_default().trim();
    matches!(
        base,
        "text"
            | "character varying"
            | "character"
            | "citext"
            | "json"
            | "jsonb"
            | "xml"
            | "text[]"
            | "character varying[]"
    )
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

async fn look(client: &Client, relation: &Relation, columns: &[&Column]) -> Result<Vec<Tally>, tokio_postgres::Error> {
    client.batch_execute("BEGIN READ ONLY; SET LOCAL statement_timeout = '10s'; SET LOCAL lock_timeout = '2s'").await?;
    let outcome = read(client, relation, columns).await;
    let end = client.batch_execute("ROLLBACK").await;
    let tallies = outcome?;
    end?;
    Ok(tallies)
}

async fn read(client: &Client, relation: &Relation, columns: &[&Column]) -> Result<Vec<Tally>, tokio_postgres::Error> {
    let list: Vec<_> = columns
        .iter()
        .map(|c| format!("pg_catalog.left({}::pg_catalog.text, {VALUE_CHARACTERS_MAX})", quoted(&c.name)))
        .collect();
    let from = format!("{}.{}", quoted(&relation.schema), quoted(&relation.name));
    let plain = format!("SELECT {} FROM {from} LIMIT {ROWS_MAX}", list.join(", "));
    let mut tallies = vec![Tally::default(); columns.len()];
    if relation.kind == RelationKind::Table && relation.estimated_rows > LARGE_ROWS {
        // About ten times what is needed, since pages come whole; the same pages each time.
        #[expect(clippy::cast_precision_loss, reason = "a percentage")]
        let percent = (ROWS_MAX * 1_000) as f64 / relation.estimated_rows as f64;
        let percent = percent.clamp(0.000_1, 100.0);
        let some = format!(
            "SELECT {} FROM {from} TABLESAMPLE SYSTEM ({percent}) REPEATABLE (1) LIMIT {ROWS_MAX}",
            list.join(", ")
        );
        if tally(client, &some, &mut tallies).await? > 0 {
            return Ok(tallies);
        }
    }
    tally(client, &plain, &mut tallies).await?;
    Ok(tallies)
}

async fn tally(client: &Client, statement: &str, tallies: &mut [Tally]) -> Result<usize, tokio_postgres::Error> {
    let rows = client.query(statement, &[]).await?;
    for row in &rows {
        for (i, tally) in tallies.iter_mut().enumerate() {
            if let Ok(Some(value)) = row.try_get::<_, Option<&str>>(i) {
                tally.add(value);
            }
        }
    }
    Ok(rows.len())
}

/// Hits per detector of one column.
#[derive(Clone, Debug, Default)]
struct Tally {
    values: usize,
    counts: [usize; detect::COUNT],
}

impl Tally {
    fn add(&mut self, value: &str) {
        if value.trim().is_empty() {
            return;
        }
        self.values += 1;
        for i in detect::detectors(value) {
            if let Some(n) = self.counts.get_mut(i) {
                *n += 1;
            }
        }
    }

    fn hits(&self) -> Option<Vec<(&'static str, usize)>> {
        let mut hits: Vec<_> = self
            .counts
            .iter()
            .enumerate()
            .filter(|(_, n)| **n > 0 && **n * 100 >= self.values * HITS_PERCENT_MIN)
            .map(|(i, n)| (detect::name(i), *n))
            .collect();
        hits.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
        (!hits.is_empty()).then_some(hits)
    }
}
