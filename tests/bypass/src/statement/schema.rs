//! The relations statements are made over, read from the catalog of the database itself.

use super::Kind;
use crate::{
    Result,
    client::{Client, Login},
    truth::rows,
};

/// A column.
#[derive(Clone, Debug)]
pub struct Column {
    /// Name.
    pub name: String,
    /// What it holds.
    pub kind: Kind,
    /// Whether it is, or shows, a protected one.
    pub protected: bool,
}

/// A relation.
#[derive(Clone, Debug)]
pub struct Table {
    /// With its schema, as written in a statement.
    pub name: String,
    /// Columns in their order.
    pub columns: Vec<Column>,
    /// Whether statements may write to it.
    pub writable: bool,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Schema {
    /// Relations.
    pub tables: Vec<Table>,
}

impl Schema {
    /// Reads the relations of these schemas; `protected` are names of columns that are protected wherever they stand.
    ///
    /// # Errors
    /// The database cannot be asked, or has none.
    pub fn read(login: &Login, schemas: &[&str], protected: &[&str]) -> Result<Self> {
        let mut client = Client::login(login).map_err(|error| error.to_string())?;
        let list: Vec<String> = schemas.iter().map(|schema| format!("'{}'", schema.replace('\'', "''"))).collect();
        let answer = rows(
            &mut client,
            &format!(
                "select n.nspname || '.' || c.relname, a.attname, format_type(a.atttypid, -1), c.relkind = 'r' \
                 from pg_class c join pg_namespace n on n.oid = c.relnamespace join pg_attribute a on a.attrelid = c.oid \
                 where n.nspname in ({}) and c.relkind in ('r', 'v', 'm', 'p') and a.attnum > 0 and not a.attisdropped \
                 and has_table_privilege(c.oid, 'select') order by n.nspname, c.relname, a.attnum",
                list.join(", ")
            ),
        )?;
        let mut tables: Vec<Table> = Vec::new();
        for row in answer {
            let [Some(table), Some(name), Some(kind), Some(writable)] = row.as_slice() else { continue };
            let column =
                Column { kind: Kind::of(kind), protected: protected.contains(&name.as_str()), name: name.clone() };
            match tables.last_mut().filter(|last| last.name == *table) {
                Some(last) => last.columns.push(column),
                None => {
                    tables.push(Table { name: table.clone(), columns: vec![column], writable: writable == "t" });
                }
            }
        }
        if tables.is_empty() { Err("there is nothing to make statements over".into()) } else { Ok(Self { tables }) }
    }
}
