//! Tables: what reports are made of, for people (text, HTML) and for machines (CSV, JSON).

use audit::render::{is_active, printable};
use serde_json::{Map, Value};

use crate::query::aligned;

/// Rows that one table holds; what is beyond is counted.
pub const ROWS_MAX: usize = 100_000;

/// One table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// File name without its ending.
    pub name: &'static str,
    /// What it shows, in words.
    pub title: &'static str,
    /// What has to be known to read it, or why it is empty.
    pub note: String,
    /// Names of the columns.
    pub head: Vec<&'static str>,
    /// Cells.
    pub rows: Vec<Vec<String>>,
    /// Rows beyond [`ROWS_MAX`].
    pub more: u64,
}

impl Table {
    /// An empty table.
    #[must_use]
    pub fn new(name: &'static str, title: &'static str, head: &[&'static str]) -> Self {
        Self { name, title, head: head.to_vec(), ..Self::default() }
    }

    /// With a note.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.note = note.into();
        self
    }

    /// Adds a row.
    pub fn push(&mut self, row: Vec<String>) {
        if self.rows.len() < ROWS_MAX {
            self.rows.push(row);
        } else {
            self.more += 1;
        }
    }

    /// Rows, those beyond the limit too.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.rows.len() as u64 + self.more
    }

    /// RFC 4180; a cell that a spreadsheet would take for a formula gets an apostrophe in front.
    #[must_use]
    pub fn csv(&self) -> String {
        let mut out = csv_line(self.head.iter().copied());
        for row in &self.rows {
            out.push_str(&csv_line(row.iter().map(String::as_str)));
        }
        out
    }

    /// Title, aligned columns, note.
    #[must_use]
    pub fn text(&self) -> String {
        let head = self.head.iter().map(|name| name.to_uppercase()).collect();
        let shown = |cell: &String| if cell.is_empty() { "-".to_owned() } else { printable(cell.as_bytes()) };
        let rows = self.rows.iter().map(|row| row.iter().map(shown).collect());
        let cells: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
        let mut out = format!("{}\n", self.title);
        if self.rows.is_empty() {
            out.push_str("  none\n");
        } else {
            out.push_str(&aligned(&cells));
        }
        if self.more > 0 {
            out.push_str(&format!("… and {} more\n", self.more));
        }
        if !self.note.is_empty() {
            out.push_str(&format!("({})\n", self.note));
        }
        out
    }

    /// Rows as objects.
    #[must_use]
    pub fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            let cells = self.head.iter().zip(row).map(|(name, cell)| ((*name).to_owned(), Value::from(cell.as_str())));
            Value::Object(cells.collect::<Map<_, _>>())
        });
        serde_json::json!({
            "name": self.name, "title": self.title, "note": self.note, "rows": rows.collect::<Vec<_>>(), "more": self.more,
        })
    }
}

fn csv_line<'a>(cells: impl Iterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (index, cell) in cells.enumerate() {
        if index > 0 {
            line.push(',');
        }
        let clean: String = cell.chars().map(|c| if is_active(c) { '\u{fffd}' } else { c }).collect();
        let risky = clean.starts_with(['=', '+', '-', '@']) && clean.parse::<f64>().is_err() && clean != "-";
        let clean = if risky { format!("'{clean}") } else { clean };
        if clean.contains(['"', ',', ' ']) {
            line.push('"');
            line.push_str(&clean.replace('"', "\"\""));
            line.push('"');
        } else {
            line.push_str(&clean);
        }
    }
    line.push_str("\r\n");
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_of_strangers_stay_cells() {
        let mut table = Table::new("t", "T", &["who", "n"]);
        table.push(vec!["=cmd|'/c calc'!A0".to_owned(), "-5".to_owned()]);
        table.push(vec!["a\"b,\n\u{202e}".to_owned(), "1".to_owned()]);
        let csv = table.csv();
        assert_eq!(csv, "who,n\r\n\"'=cmd|'/c calc'!A0\",-5\r\n\"a\"\"b,\u{fffd}\u{fffd}\",1\r\n");
        assert!(table.text().contains("a\"b,\\n\\u{202e}"));
    }
}
