//! The protected values themselves, read from the database by a connection of its own, past whatever is judged.
//!
//! A value that also stands in a column anybody may read is no proof of a leak and is left out, like values that are too
//! short to be told from chance. Nothing here is printed: reports carry counts and places.

use crate::{
    Result,
    client::{Client, Login, values},
};
use tests::wire::{Frame, query};

/// How a value may be written besides its own text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// As it stands.
    Text,
    /// A day.
    Date,
    /// A moment, to the minute.
    Timestamp,
}

/// A protected value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// `schema.table.column`.
    pub place: String,
    /// Key of its row, as text.
    pub key: String,
    /// The value as text.
    pub value: String,
    /// What it is.
    pub kind: Kind,
}

/// A protected column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Schema.
    pub schema: String,
    /// Table.
    pub table: String,
    /// Column.
    pub name: String,
}

/// Protected columns of the made-up clinic whose every value is told apart from any other.
pub const CLINIC: &[&str] = &[
    "clinic.patients.ssn",
    "clinic.patients.mrn",
    "clinic.patients.first_name",
    "clinic.patients.last_name",
    "clinic.patients.dob",
    "clinic.patients.phone",
    "clinic.patients.email",
    "clinic.patients.street",
    "clinic.patients.zip",
    "clinic.patients.insurance_member_id",
    "clinic.encounters.admitted_at",
    "clinic.notes.written_at",
];

/// Protected as well, but holding the values above or none that could be told apart: never evidence that a value is public.
pub const CLINIC_UNSEARCHED: &[&str] =
    &["clinic.notes.note", "clinic.notes.author", "clinic.patients.city", "clinic.encounters.age_at_visit"];

/// Fewer characters are too easily met by chance.
pub const CHARACTERS_MIN: usize = 6;
/// More are free text, which holds values rather than being one.
pub const CHARACTERS_MAX: usize = 64;
/// Rows read of one table.
const ROWS_MAX: usize = 20_000;

impl Column {
    /// `schema.table.column`.
    ///
    /// # Errors
    /// It does not have three parts.
    pub fn parse(text: &str) -> Result<Self> {
        match text.split('.').collect::<Vec<_>>().as_slice() {
            [schema, table, name] if ![schema, table, name].iter().any(|part| part.is_empty()) => {
                Ok(Self { schema: (*schema).into(), table: (*table).into(), name: (*name).into() })
            }
            _ => Err(format!("{text}: a column is named as schema.table.column")),
        }
    }
}

/// What is protected and what it holds.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    /// Values that count.
    pub cells: Vec<Cell>,
    /// Tables with their key column.
    pub keys: Vec<(String, String, String)>,
}

impl Truth {
    /// Reads the values of `protected`; what stands in other columns of the same schemas, `unsearched` excepted, is public.
    ///
    /// # Errors
    /// The database cannot be read, or there is nothing to count.
    pub fn read(login: &Login, protected: &[Column], unsearched: &[Column]) -> Result<Self> {
        let mut client = Client::login(login).map_err(|error| error.to_string())?;
        rows(&mut client, "set datestyle = iso; set intervalstyle = postgres; set timezone = 'UTC'")?;
        let mut truth = Self::default();
        let mut public = String::new();
        let mut schemas: Vec<&str> = protected.iter().map(|column| &*column.schema).collect();
        schemas.sort_unstable();
        schemas.dedup();
        for schema in schemas {
            let tables = rows(
                &mut client,
                &format!(
                    "select c.oid, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace \
                     where n.nspname = {} and c.relkind in ('r', 'p') and not c.relispartition order by 2",
                    literal(schema)
                ),
            )?;
            for table in tables {
                let [Some(oid), Some(table)] = table.as_slice() else { continue };
                truth.table(&mut client, schema, table, oid, protected, unsearched, &mut public)?;
            }
        }
        let public = public.to_lowercase();
        truth.cells.retain(|cell| !public.contains(&shown(cell).to_lowercase()));
        match truth.cells.is_empty() {
            true => Err("the protected columns hold no value that could be told from public ones".into()),
            false => Ok(truth),
        }
    }

    #[allow(clippy::too_many_arguments, reason = "one table's part of `read`")]
    fn table(
        &mut self,
        client: &mut Client,
        schema: &str,
        table: &str,
        oid: &str,
        protected: &[Column],
        unsearched: &[Column],
        public: &mut String,
    ) -> Result<()> {
        let is = |list: &[Column], name: &str| {
            list.iter().any(|column| column.schema == schema && column.table == table && column.name == name)
        };
        let columns = rows(
            client,
            &format!(
                "select a.attname, format_type(a.atttypid, -1), exists (select 1 from pg_index i where i.indrelid = \
                 a.attrelid and i.indisprimary and i.indnatts = 1 and i.indkey[0] = a.attnum) from pg_attribute a \
                 where a.attrelid = {oid} and a.attnum > 0 and not a.attisdropped order by a.attnum"
            ),
        )?;
        let mut wanted = Vec::new();
        let mut key = None;
        for column in &columns {
            let [Some(name), Some(kind), Some(primary)] = column.as_slice() else { continue };
            if primary == "t" {
                key = Some(name.clone());
            }
            let kind = match kind.as_str() {
                "date" => Kind::Date,
                kind if kind.starts_with("timestamp") => Kind::Timestamp,
                _ => Kind::Text,
            };
            wanted.push((name.clone(), kind, is(protected, name), is(unsearched, name)));
        }
        if let Some(key) = &key {
            self.keys.push((schema.into(), table.into(), key.clone()));
        }
        let key = key.map_or_else(|| "ctid".to_owned(), |key| quoted(&key));
        let list: Vec<String> = wanted.iter().map(|(name, ..)| format!("{}::text", quoted(name))).collect();
        let statement = format!(
            "select {key}::text, {} from {}.{} limit {ROWS_MAX}",
            list.join(", "),
            quoted(schema),
            quoted(table)
        );
        if list.is_empty() {
            return Ok(());
        }
        for row in rows(client, &statement)? {
            let row_key = row.first().cloned().flatten().unwrap_or_default();
            for ((name, kind, counted, silent), value) in wanted.iter().zip(row.into_iter().skip(1)) {
                let Some(value) = value else { continue };
                if *counted && (CHARACTERS_MIN..=CHARACTERS_MAX).contains(&value.chars().count()) {
                    let place = format!("{schema}.{table}.{name}");
                    self.cells.push(Cell { place, key: row_key.clone(), value, kind: *kind });
                } else if !counted && !silent {
                    public.push_str(&value);
                    public.push('\n');
                }
            }
        }
        Ok(())
    }

    /// Values of one column, with their keys.
    pub fn of<'a>(&'a self, place: &'a str) -> impl Iterator<Item = (usize, &'a Cell)> {
        self.cells.iter().enumerate().filter(move |(_, cell)| cell.place == place)
    }
}

/// What of a value is looked for: moments count to the minute.
#[must_use]
pub fn shown(cell: &Cell) -> &str {
    match cell.kind {
        Kind::Timestamp => cell.value.get(..16).unwrap_or(&cell.value),
        Kind::Text | Kind::Date => &cell.value,
    }
}

/// Runs statements by simple query; rows as text.
///
/// # Errors
/// The server says no; its words are repeated.
pub fn rows(client: &mut Client, statement: &str) -> Result<Vec<Vec<Option<String>>>> {
    let frames = client.ask(&query(statement))?;
    if let Some(error) = frames.iter().find(|frame| frame.tag == b'E') {
        return Err(error.field(b'M').unwrap_or_else(|| "an error without words".into()));
    }
    let text = |value: Option<&[u8]>| value.map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let row = |frame: &Frame| values(frame).into_iter().map(text).collect();
    Ok(frames.iter().filter(|frame| frame.tag == b'D').map(row).collect())
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}
