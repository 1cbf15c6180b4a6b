//! What a target contains: relations, columns, view definitions, inheritance. Plain data; the same type is written to a
//! snapshot file by `policy-compiler snapshot` and fetched by the gateway for each catalog epoch.

use serde::{Deserialize, Serialize};

/// One target's catalog at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// Database name as the server reports it (`current_database()`).
    pub database: String,
    /// `server_version_num`, for instance 150018.
    pub server_version: u32,
    /// Schemas that a name without one is looked up in, for the account that took the catalog
    /// (`current_schemas(false)`); empty if not known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub search_path: Vec<String>,
    /// Functions of schemas other than the server's own, without those of extensions, in OID order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<Code>,
    /// Names of operators of such schemas, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub operators: Vec<String>,
    /// Relations in (schema, name) order.
    pub relations: Vec<Relation>,
}

/// A function that somebody made in this database.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    /// `pg_proc.oid`.
    pub oid: u32,
    /// Name.
    pub name: String,
    /// Its text, if it is in a language that can be read (SQL, PL/pgSQL) and not too long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

/// Code that puts values into columns of a relation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// The function.
    pub function: u32,
    /// The column, for a default or generated value; a trigger before the row can fill any that it names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<i16>,
}

/// A foreign key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// `pg_constraint.confrelid`.
    pub to: u32,
    /// Names of the relation's own columns.
    pub own: Vec<String>,
    /// Names of the columns that it refers to.
    pub columns: Vec<String>,
    /// What happens to its rows when those that they refer to are deleted.
    pub on_delete: Action,
    /// The same when those columns change.
    pub on_update: Action,
}

/// `pg_constraint.confdeltype`, `confupdtype`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// `a`, `r`: it cannot be done.
    Refuse,
    /// `c`: the same is done to them.
    Cascade,
    /// `n`, `d`: they refer to nothing, or to the default, from then on.
    Set,
}

/// An object of whatever kind, by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Named {
    /// Its schema; extensions, languages and servers have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its name.
    pub name: String,
}

/// `pg_class.relkind`, the kinds that return rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RelationKind {
    /// `r`
    Table,
    /// `p`
    PartitionedTable,
    /// `v`
    View,
    /// `m`
    MaterializedView,
    /// `f`
    ForeignTable,
    /// `S`
    Sequence,
}

/// One table, view, …
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relation {
    /// `pg_class.oid`. Not stable between servers: never used in a bundle, only in an epoch.
    pub oid: u32,
    /// Schema name, unquoted.
    pub schema: String,
    /// Relation name, unquoted.
    pub name: String,
    /// What it is.
    pub kind: RelationKind,
    /// Columns in attribute order, without dropped ones.
    pub columns: Vec<Column>,
    /// `COMMENT ON TABLE`; tags of the form `class:NAME` are read by selectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
    /// `pg_get_viewdef` for views and materialised views.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub definition: Option<String>,
    /// OIDs of every relation a view's rule depends on (direct, from `pg_depend`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends_on: Vec<u32>,
    /// OIDs of inheritance parents and of the partitioned table this is a partition of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<u32>,
    /// Its foreign keys, and those of its partitions' own, in OID order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<Reference>,
    /// What people made that it, its columns, defaults, constraints, indexes, triggers or policies need (`pg_depend`):
    /// what goes when that is dropped with CASCADE. Other relations are in it, but not what those need.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rests_on: Vec<Named>,
    /// Defaults, generated columns and triggers before the row that call functions of [`Catalog::code`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filled_by: Vec<Filled>,
    /// `pg_class.reltuples`, for reports; negative is unknown.
    #[serde(default)]
    pub estimated_rows: i64,
}

/// One column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// `pg_attribute.attnum`.
    pub number: i16,
    /// Column name, unquoted.
    pub name: String,
    /// `pg_attribute.atttypid`.
    pub type_oid: u32,
    /// `format_type(...)`, for people.
    pub type_name: String,
    /// `COMMENT ON COLUMN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comment: Option<String>,
}

impl Catalog {
    /// The relations named `name`, in every schema or in `schema`.
    pub fn named<'a>(&'a self, schema: Option<&'a str>, name: &'a str) -> impl Iterator<Item = &'a Relation> {
        self.relations.iter().filter(move |r| r.name == name && schema.is_none_or(|s| s == r.schema))
    }

    /// The relation with this OID.
    pub fn relation(&self, oid: u32) -> Option<&Relation> {
        self.relations.iter().find(|r| r.oid == oid)
    }
}
