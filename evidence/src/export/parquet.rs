//! Parquet: one flat table, lists for what a statement can have several of. Row groups are bounded, so memory is.

use std::io::Write;
use std::sync::Arc;

use audit::render;
use parquet::basic::{Compression, Type, ZstdLevel};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnDescriptor;

use super::ExportError;
use crate::row::Row;

/// Rows of a row group.
const GROUP_ROWS: usize = 50_000;
/// Bytes of text that end a row group early.
const GROUP_BYTES: usize = 64 << 20;

/// The columns, in order. A list is a group as the format's LIST annotation wants it.
const SCHEMA: &str = "message tidegate_audit {
  REQUIRED BYTE_ARRAY origin (UTF8);
  REQUIRED INT32 core;
  REQUIRED INT64 sequence;
  REQUIRED INT32 epoch;
  REQUIRED INT64 block;
  REQUIRED BYTE_ARRAY kind (UTF8);
  REQUIRED INT64 time (TIMESTAMP(MICROS,true));
  REQUIRED INT64 end_time (TIMESTAMP(MICROS,true));
  OPTIONAL BYTE_ARRAY session (UTF8);
  OPTIONAL INT64 statement;
  OPTIONAL BYTE_ARRAY issuer (UTF8);
  OPTIONAL BYTE_ARRAY person (UTF8);
  OPTIONAL BYTE_ARRAY role (UTF8);
  OPTIONAL BYTE_ARRAY source (UTF8);
  OPTIONAL BYTE_ARRAY tls (UTF8);
  OPTIONAL BYTE_ARRAY application (UTF8);
  OPTIONAL BYTE_ARRAY target (UTF8);
  OPTIONAL BYTE_ARRAY database (UTF8);
  OPTIONAL BYTE_ARRAY account (UTF8);
  OPTIONAL BYTE_ARRAY via (UTF8);
  OPTIONAL BYTE_ARRAY decision (UTF8);
  OPTIONAL BYTE_ARRAY code (UTF8);
  OPTIONAL BYTE_ARRAY rule (UTF8);
  OPTIONAL BYTE_ARRAY outcome (UTF8);
  OPTIONAL BYTE_ARRAY sqlstate (UTF8);
  OPTIONAL BYTE_ARRAY fingerprint (UTF8);
  OPTIONAL BYTE_ARRAY bundle (UTF8);
  OPTIONAL BYTE_ARRAY text (UTF8);
  OPTIONAL BYTE_ARRAY detail (UTF8);
  REQUIRED INT64 rows;
  REQUIRED INT64 bytes;
  REQUIRED INT64 duration_us;
  REQUIRED INT64 releases;
  REQUIRED group effects (LIST) { REPEATED group list { REQUIRED BYTE_ARRAY element (UTF8); } }
  REQUIRED group tables (LIST) { REPEATED group list { REQUIRED BYTE_ARRAY element (UTF8); } }
  REQUIRED group masked (LIST) { REPEATED group list { REQUIRED group element {
    REQUIRED BYTE_ARRAY column (UTF8); REQUIRED BYTE_ARRAY class (UTF8); REQUIRED BYTE_ARRAY method (UTF8); } } }
  REQUIRED group clear (LIST) { REPEATED group list { REQUIRED group element {
    REQUIRED BYTE_ARRAY column (UTF8); REQUIRED BYTE_ARRAY class (UTF8); } } }
  OPTIONAL BYTE_ARRAY act (UTF8);
}";

/// Values of one column of the row group that is being gathered.
enum Column {
    Int(Vec<i32>),
    Long(Vec<i64>),
    OptionalLong(Vec<i64>, Vec<i16>),
    Text(Vec<ByteArray>),
    OptionalText(Vec<ByteArray>, Vec<i16>),
    /// Values, definition levels, repetition levels.
    List(Vec<ByteArray>, Vec<i16>, Vec<i16>),
}

impl Column {
    fn of(column: &ColumnDescriptor) -> Self {
        let optional = column.max_def_level() > 0;
        match column.physical_type() {
            _ if column.max_rep_level() > 0 => Self::List(Vec::new(), Vec::new(), Vec::new()),
            Type::INT32 => Self::Int(Vec::new()),
            Type::INT64 if optional => Self::OptionalLong(Vec::new(), Vec::new()),
            Type::INT64 => Self::Long(Vec::new()),
            _ if optional => Self::OptionalText(Vec::new(), Vec::new()),
            _ => Self::Text(Vec::new()),
        }
    }

    fn int(&mut self, value: i32) {
        if let Self::Int(values) = self {
            values.push(value);
        }
    }

    /// A number of the log; none comes near the sign bit.
    fn long(&mut self, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        match self {
            Self::Long(values) => values.push(value),
            Self::OptionalLong(values, levels) if value != 0 => {
                values.push(value);
                levels.push(1);
            }
            Self::OptionalLong(_, levels) => levels.push(0),
            _ => {}
        }
    }

    fn text(&mut self, value: &str) {
        match self {
            Self::Text(values) => values.push(value.into()),
            Self::OptionalText(_, levels) if value.is_empty() => levels.push(0),
            Self::OptionalText(values, levels) => {
                values.push(value.into());
                levels.push(1);
            }
            _ => {}
        }
    }

    fn list<'a>(&mut self, items: impl Iterator<Item = &'a str>) {
        let Self::List(values, definition, repetition) = self else { return };
        let mut empty = true;
        for item in items {
            values.push(item.into());
            definition.push(1);
            repetition.push(i16::from(!empty));
            empty = false;
        }
        if empty {
            definition.push(0);
            repetition.push(0);
        }
    }

    fn clear(&mut self) {
        match self {
            Self::Int(values) => values.clear(),
            Self::Long(values) => values.clear(),
            Self::OptionalLong(values, levels) => {
                values.clear();
                levels.clear();
            }
            Self::Text(values) => values.clear(),
            Self::OptionalText(values, levels) => {
                values.clear();
                levels.clear();
            }
            Self::List(values, definition, repetition) => {
                values.clear();
                definition.clear();
                repetition.clear();
            }
        }
    }
}

/// A Parquet file under way.
pub(super) struct Writer<W: Write + Send> {
    file: SerializedFileWriter<W>,
    columns: Vec<Column>,
    rows: usize,
    bytes: usize,
}

fn failed(error: parquet::errors::ParquetError) -> ExportError {
    ExportError::Parquet(error.to_string())
}

impl<W: Write + Send> Writer<W> {
    pub(super) fn begin(out: W) -> Result<Self, ExportError> {
        let schema = Arc::new(parse_message_type(SCHEMA).map_err(failed)?);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::try_new(3).map_err(failed)?))
            .set_created_by("tidegate".to_owned())
            .build();
        let file = SerializedFileWriter::new(out, schema, Arc::new(properties)).map_err(failed)?;
        let columns = file.schema_descr().columns().iter().map(|c| Column::of(c)).collect();
        Ok(Self { file, columns, rows: 0, bytes: 0 })
    }

    pub(super) fn row(&mut self, row: &Row, origin: &str, texts: bool) -> Result<(), ExportError> {
        let facts = &*row.facts;
        let is_statement = row.kind == crate::row::STATEMENT;
        let text = row.text.shown().filter(|_| texts).unwrap_or_default();
        let session = row.session.map(|session| render::hex(&session.0)).unwrap_or_default();
        let fingerprint = if is_statement { format!("{:016x}", row.fingerprint) } else { String::new() };
        let bundle = if row.bundle == [0; 32] { String::new() } else { render::hex(&row.bundle) };
        let (effects, detail) = (row.effects(), row.detail());
        self.bytes += 512 + text.len() + detail.len();
        let mut columns = self.columns.iter_mut();
        // The order is that of the schema.
        let mut next = |fill: &dyn Fn(&mut Column)| {
            if let Some(column) = columns.next() {
                fill(column);
            }
        };
        next(&|c| c.text(origin));
        next(&|c| c.int(row.place.core.into()));
        next(&|c| c.long(row.place.sequence));
        next(&|c| c.int(i32::try_from(row.place.epoch).unwrap_or(i32::MAX)));
        next(&|c| c.long(row.place.block));
        next(&|c| c.text(row.kind));
        next(&|c| c.long(row.begin_ns / 1_000));
        next(&|c| c.long(row.end_ns / 1_000));
        next(&|c| c.text(&session));
        next(&|c| c.long(row.statement));
        for value in [
            &facts.issuer,
            &facts.person,
            &facts.role,
            &facts.source,
            &facts.tls,
            &facts.application,
            &facts.target,
            &facts.database,
            &facts.account,
            &row.via,
        ] {
            next(&|c| c.text(value));
        }
        next(&|c| c.text(row.decision.name()));
        for value in [&row.code, &row.rule, &row.outcome, &row.sqlstate, &fingerprint, &bundle, &text, &detail] {
            next(&|c| c.text(value));
        }
        for value in [row.rows, row.bytes, row.duration_us, row.releases] {
            next(&|c| c.long(value));
        }
        next(&|c| c.list(effects.iter().map(String::as_str)));
        next(&|c| c.list(row.tables.iter().map(String::as_str)));
        next(&|c| c.list(row.masked.iter().map(|m| m.column.as_str())));
        next(&|c| c.list(row.masked.iter().map(|m| m.class.as_str())));
        next(&|c| c.list(row.masked.iter().map(|m| m.method.as_str())));
        next(&|c| c.list(row.clear.iter().map(|m| m.column.as_str())));
        next(&|c| c.list(row.clear.iter().map(|m| m.class.as_str())));
        next(&|c| c.text(&row.act));
        self.rows += 1;
        if self.rows >= GROUP_ROWS || self.bytes >= GROUP_BYTES {
            self.group()?;
        }
        Ok(())
    }

    /// Writes the gathered rows as a row group.
    fn group(&mut self) -> Result<(), ExportError> {
        if self.rows == 0 {
            return Ok(());
        }
        let mut group = self.file.next_row_group().map_err(failed)?;
        for column in &mut self.columns {
            let Some(mut writer) = group.next_column().map_err(failed)? else { break };
            let written = match (writer.untyped(), &*column) {
                (ColumnWriter::Int32ColumnWriter(w), Column::Int(values)) => w.write_batch(values, None, None),
                (ColumnWriter::Int64ColumnWriter(w), Column::Long(values)) => w.write_batch(values, None, None),
                (ColumnWriter::Int64ColumnWriter(w), Column::OptionalLong(values, levels)) => {
                    w.write_batch(values, Some(levels), None)
                }
                (ColumnWriter::ByteArrayColumnWriter(w), Column::Text(values)) => w.write_batch(values, None, None),
                (ColumnWriter::ByteArrayColumnWriter(w), Column::OptionalText(values, levels)) => {
                    w.write_batch(values, Some(levels), None)
                }
                (ColumnWriter::ByteArrayColumnWriter(w), Column::List(values, definition, repetition)) => {
                    w.write_batch(values, Some(definition), Some(repetition))
                }
                _ => return Err(ExportError::Parquet("a column is not of its schema's type".to_owned())),
            };
            written.map_err(failed)?;
            writer.close().map_err(failed)?;
            column.clear();
        }
        group.close().map_err(failed)?;
        (self.rows, self.bytes) = (0, 0);
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<W, ExportError> {
        self.group()?;
        let out = self.file.into_inner().map_err(failed)?;
        Ok(out)
    }
}
