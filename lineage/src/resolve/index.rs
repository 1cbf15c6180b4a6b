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
    search_path: Vec<String>,
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
        Self { relations, by_name, search_path: catalog.search_path.clone() }
    }

    /// The account's search path.
    #[must_use]
    pub fn search_path(&self) -> &[String] {
        &self.search_path
    }

    /// The relations that a name in a statement can mean. A name without a schema is that of the first schema of the
    /// account's search path that has it, if the session still has that path, else that of any schema.
    pub fn candidates<'a>(&'a self, used: &'a RelationUse, by_path: bool) -> impl Iterator<Item = u32> + 'a {
        let all = self.by_name.get(&used.name).map_or(&[][..], Vec::as_slice);
        let schema_of = |i: u32| self.relations.get(i as usize).map(|r| r.schema.as_str());
        let first = if by_path && used.schema.is_none() && all.len() > 1 {
            let found = |schema: &&String| all.iter().any(|i| schema_of(*i) == Some(schema.as_str()));
            self.search_path.iter().find(found)
        } else {
            None
        };
        let only = used.schema.as_ref().or(first);
        all.iter().copied().filter(move |i| only.is_none_or(|s| schema_of(*i) == Some(s.as_str())))
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
