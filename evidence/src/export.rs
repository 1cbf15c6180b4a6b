//! Exports: rows in the forms that other tools read.
//!
//! An export is derived and says so: every row carries `origin`, `core` and `sequence` of the record it begins with, so
//! it can be led back to the log and proved there. Statement texts leave only when asked for. One row at a time.

mod ecs;
mod ocsf;
mod parquet;

use std::fmt;
use std::io::{self, Write};

use crate::row::{Row, line};

/// Form of an export.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object per line, as `query --json` writes it.
    Json,
    /// Parquet, zstd.
    Parquet,
    /// OCSF: datastore activity, identity and access management, JSON lines.
    Ocsf,
    /// Elastic Common Schema, JSON lines.
    Ecs,
}

impl Format {
    /// The form of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Json, Self::Parquet, Self::Ocsf, Self::Ecs].into_iter().find(|format| format.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Parquet => "parquet",
            Self::Ocsf => "ocsf",
            Self::Ecs => "ecs",
        }
    }
}

/// Why an export stopped.
#[derive(Debug)]
pub enum ExportError {
    /// The output cannot be written.
    Output(io::Error),
    /// The Parquet library's word; it holds no values.
    Parquet(String),
}

impl fmt::Display for ExportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Output(error) => write!(f, "output: {error}"),
            Self::Parquet(error) => write!(f, "parquet: {error}"),
        }
    }
}

impl std::error::Error for ExportError {}

impl From<io::Error> for ExportError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// An export under way.
pub struct Export<W: Write + Send> {
    origin: String,
    texts: bool,
    rows: u64,
    sink: Sink<W>,
}

enum Sink<W: Write + Send> {
    Lines(Format, W),
    Parquet(Box<parquet::Writer<W>>),
}

impl<W: Write + Send> Export<W> {
    /// Begins one. `texts`: with the texts of statements.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn begin(format: Format, origin: &str, texts: bool, out: W) -> Result<Self, ExportError> {
        let sink = match format {
            Format::Parquet => Sink::Parquet(Box::new(parquet::Writer::begin(out)?)),
            Format::Json | Format::Ocsf | Format::Ecs => Sink::Lines(format, out),
        };
        Ok(Self { origin: origin.to_owned(), texts, rows: 0, sink })
    }

    /// Adds a row. Rows that the form has no place for (OCSF: neither a statement nor about people) are left out.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn row(&mut self, row: &Row) -> Result<(), ExportError> {
        match &mut self.sink {
            Sink::Lines(format, out) => {
                let value = match format {
                    Format::Ocsf => ocsf::event(row, &self.origin, self.texts),
                    Format::Ecs => Some(ecs::event(row, &self.origin, self.texts)),
                    Format::Json | Format::Parquet => Some(row.json(&self.origin, self.texts)),
                };
                let Some(value) = value else { return Ok(()) };
                writeln!(out, "{}", line(&value))?;
            }
            Sink::Parquet(writer) => writer.row(row, &self.origin, self.texts)?,
        }
        self.rows += 1;
        Ok(())
    }

    /// Ends it; gives the output back and how many rows it holds.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn finish(self) -> Result<(W, u64), ExportError> {
        let out = match self.sink {
            Sink::Lines(_, mut out) => {
                out.flush()?;
                out
            }
            Sink::Parquet(writer) => writer.finish()?,
        };
        Ok((out, self.rows))
    }
}

/// Milliseconds since 1970.
fn millis(ns: u64) -> u64 {
    ns / 1_000_000
}

#[cfg(test)]
mod tests;
