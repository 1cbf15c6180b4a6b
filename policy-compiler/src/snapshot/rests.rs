//! What relations need of each other and of what people made: foreign keys, and whatever takes a relation or a part of it
//! along when it is dropped with CASCADE.
//!
//! Where one relation needs another the other's needs are not repeated: who asks follows them. Objects that came with the
//! server are left out; nobody drops them. Deliberately absent: what functions in strings name, which the server does not
//! know either.

use std::collections::HashMap;

use lineage::Catalog;
use lineage::catalog::{Action, Named, Reference};
use tokio_postgres::Client;

use super::{Error, OURS, relation};

/// Reads [`lineage::catalog::Relation::references`] and [`lineage::catalog::Relation::rests_on`].
pub(super) async fn read(client: &Client, catalog: &mut Catalog, index: &HashMap<u32, usize>) -> Result<(), Error> {
    let names = |relation: &str, key: &str| {
        format!(
            "ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a \
             WHERE a.attrelid = k.{relation} AND a.attnum = ANY (k.{key}) ORDER BY a.attnum)"
        )
    };
    let (own, columns) = (names("conrelid", "conkey"), names("confrelid", "confkey"));
    let references = format!(
        "SELECT k.conrelid, k.confrelid, k.confdeltype::text, k.confupdtype::text, {columns}, {own} \
         FROM pg_catalog.pg_constraint k JOIN pg_catalog.pg_class c ON c.oid = k.conrelid \
         JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE k.contype = 'f' AND {OURS} ORDER BY k.oid"
    );
    for row in client.query(&references, &[]).await? {
        let reference = Reference {
            to: row.try_get(1)?,
            columns: row.try_get(4)?,
            own: row.try_get(5)?,
            on_delete: action(row.try_get(2)?),
            on_update: action(row.try_get(3)?),
        };
        if let Some(r) = relation(catalog, index, row.try_get(0)?) {
            r.references.push(reference);
        }
    }
    for row in client.query(&rests_on(), &[]).await? {
        let named = Named { schema: row.try_get(1)?, name: row.try_get(2)? };
        if let Some(r) = relation(catalog, index, row.try_get(0)?) {
            r.rests_on.push(named);
        }
    }
    Ok(())
}

/// A relation's parts need objects, which need others; OIDs below 16384 are the server's own (`FirstNormalObjectId`).
fn rests_on() -> String {
    let kinds = [
        ("pg_type", "typname", "typnamespace"),
        ("pg_proc", "proname", "pronamespace"),
        ("pg_operator", "oprname", "oprnamespace"),
        ("pg_opclass", "opcname", "opcnamespace"),
        ("pg_opfamily", "opfname", "opfnamespace"),
        ("pg_collation", "collname", "collnamespace"),
        ("pg_ts_config", "cfgname", "cfgnamespace"),
        ("pg_ts_dict", "dictname", "dictnamespace"),
        ("pg_class", "relname", "relnamespace"),
        ("pg_extension", "extname", "0"),
        ("pg_language", "lanname", "0"),
        ("pg_foreign_server", "srvname", "0"),
        ("pg_foreign_data_wrapper", "fdwname", "0"),
        ("pg_am", "amname", "0"),
    ];
    let objects: Vec<String> = kinds
        .iter()
        .map(|(table, name, schema)| {
            format!(
                "SELECT 'pg_catalog.{table}'::pg_catalog.regclass::oid, oid, {schema}, {name}::text \
                 FROM pg_catalog.{table} WHERE oid >= 16384"
            )
        })
        .collect();
    let class = "'pg_catalog.pg_class'::pg_catalog.regclass";
    format!(
        "WITH RECURSIVE objects (class, oid, schema, name) AS ({}), \
         relations (oid) AS ( \
           SELECT c.oid FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE {OURS}), \
         parts (relation, class, oid) AS ( \
           SELECT oid, {class}::oid, oid FROM relations \
           UNION ALL SELECT d.refobjid, d.classid, d.objid FROM pg_catalog.pg_depend d \
             LEFT JOIN pg_catalog.pg_class i ON d.classid = {class} AND i.oid = d.objid \
             WHERE d.refclassid = {class} AND d.refobjid IN (SELECT oid FROM relations) AND d.deptype IN ('a', 'i') \
               AND d.classid <> 'pg_catalog.pg_type'::pg_catalog.regclass \
               AND (i.oid IS NULL OR i.relkind IN ('i', 'I'))), \
         needs (relation, class, oid) AS ( \
           SELECT DISTINCT p.relation, d.refclassid, d.refobjid FROM parts p \
             JOIN pg_catalog.pg_depend d ON d.classid = p.class AND d.objid = p.oid \
             WHERE d.refobjid >= 16384 AND d.refobjid <> p.relation \
               AND d.refclassid <> 'pg_catalog.pg_namespace'::pg_catalog.regclass), \
         behind (of_class, of_oid, class, oid) AS ( \
           SELECT DISTINCT class, oid, class, oid FROM needs WHERE class <> {class} \
           UNION SELECT b.of_class, b.of_oid, d.refclassid, d.refobjid FROM behind b, LATERAL ( \
               SELECT p.refclassid, p.refobjid FROM pg_catalog.pg_depend p \
                 WHERE p.classid = b.class AND p.objid = b.oid \
               UNION ALL SELECT {class}, t.typrelid FROM pg_catalog.pg_type t \
                 WHERE b.class = 'pg_catalog.pg_type'::pg_catalog.regclass AND t.oid = b.oid) d \
             WHERE d.refobjid >= 16384 AND NOT EXISTS (SELECT FROM relations r WHERE b.class = {class} AND r.oid = b.oid)), \
         everything (relation, class, oid) AS ( \
           SELECT relation, class, oid FROM needs UNION SELECT n.relation, b.class, b.oid FROM needs n \
             JOIN behind b ON b.of_class = n.class AND b.of_oid = n.oid WHERE b.oid <> n.relation) \
         SELECT DISTINCT e.relation, s.nspname::text COLLATE \"C\", o.name COLLATE \"C\" FROM everything e \
         JOIN objects o ON o.class = e.class AND o.oid = e.oid \
         LEFT JOIN pg_catalog.pg_namespace s ON s.oid = o.schema ORDER BY 1, 2, 3",
        objects.join(" UNION ALL ")
    )
}

fn action(letter: &str) -> Action {
    match letter {
        "c" => Action::Cascade,
        "n" | "d" => Action::Set,
        _ => Action::Refuse,
    }
}
