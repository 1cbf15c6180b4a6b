//! A catalog arranged for looking names up.

use std::collections::HashMap;

use super::value::Kind;
use crate::catalog::Catalog;
use crate::facts::RelationUse;

/// Relations and columns by name. Positions are those of the catalog it was made from.
#[derive(Debug, Default)]
pub struct Index {
    pub(super) relations: Vec<Entry>,
    by_name: HashMap<String, Vec<u32>>,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) schema: String,
    pub(super) columns: Vec<(String, Kind)>,
}

impl Index {
    /// Of a catalog.
    #[must_use]
    pub fn new(catalog: &Catalog) -> Self {
        let mut by_name: HashMap<String, Vec<u32>> = HashMap::new();
        let mut relations = Vec::with_capacity(catalog.relations.len());
        for relation in &catalog.relations {
            by_name.entry(relation.name.clone()).or_default().push(crate::graph::id(relations.len()));
            let columns = relation.columns.iter().map(|c| (c.name.clone(), Kind::of(c.type_oid))).collect();
            relations.push(Entry { schema: relation.schema.clone(), columns });
        }
        Self { relations, by_name }
    }

    /// The relations that a name in a statement can mean: without a schema, those of every schema.
    pub fn candidates<'a>(&'a self, used: &'a RelationUse) -> impl Iterator<Item = u32> + 'a {
        let all = self.by_name.get(&used.name).map_or(&[][..], Vec::as_slice);
        all.iter().copied().filter(move |i| {
            used.schema.as_ref().is_none_or(|s| self.relations.get(*i as usize).is_some_and(|r| r.schema == *s))
        })
    }
}

/// Whether the name means a relation of the server. Names that begin with `pg_` are looked up in `pg_catalog` first.
#[must_use]
pub fn is_system(used: &RelationUse) -> bool {
    match used.schema.as_deref() {
        Some("pg_catalog" | "information_schema") => true,
        Some(_) => false,
        None => used.name.starts_with("pg_"),
    }
}
