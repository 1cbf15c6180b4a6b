//! Streams of rows in a bulk format, as statements such as COPY send them instead of result rows.
//!
//! Invariant: what a format says is how the database will write, taken from the statement; the protocol checks it against
//! what arrives. Deliberately absent: reading such streams from the client.

/// How the rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CopyFormat {
    /// Fields between delimiters, special characters after a backslash.
    Text {
        /// Between fields; one byte.
        delimiter: u8,
        /// How NULL is written.
        null: Vec<u8>,
        /// The first line has the columns' names.
        header: bool,
    },
    /// Comma-separated values.
    Csv {
        /// Between fields; one byte.
        delimiter: u8,
        /// Around fields that need it; one byte.
        quote: u8,
        /// Before a quote or itself within quotes; one byte.
        escape: u8,
        /// How NULL is written, without quotes.
        null: Vec<u8>,
        /// The first line has the columns' names.
        header: bool,
        /// Which columns are always in quotes.
        quoted: Quoted,
    },
    /// Fields with their lengths, values in their types' binary form.
    Binary,
}

/// Columns of CSV that are always in quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quoted {
    /// All.
    All,
    /// Those of these names.
    Columns(Vec<String>),
}

impl Quoted {
    /// Whether the column of this name is one of them.
    #[must_use]
    pub fn has(&self, name: &[u8]) -> bool {
        match self {
            Self::All => true,
            Self::Columns(names) => names.iter().any(|n| n.as_bytes() == name),
        }
    }
}

/// A statement of a text that sends rows in bulk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOut {
    /// Which statement of the text.
    pub part: usize,
    /// A query whose result has the columns that are sent, to be described and never run.
    pub shape: Box<str>,
    /// How the rows are written.
    pub format: CopyFormat,
}
