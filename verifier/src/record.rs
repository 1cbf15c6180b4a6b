//! Records, checked against the published schema (`audit.cddl`): which fields each type has and what each may hold.
//!
//! Invariants: bytes are accepted only if they are the one encoding of a record; nothing is copied; memory is a fixed
//! array. Deliberately not here: what records mean together (see `meaning`).

use crate::cbor::{Reader, Strange};

/// Longest record, bytes.
pub(crate) const RECORD_MAX: usize = 4 << 20;
/// Longest text, bytes.
const TEXT_MAX: usize = 4 << 20;
/// Fields of one record that are not extensions; no type has more than half of that.
const FIELDS_MAX: usize = 24;
/// From here on a reader that does not know a field may step over it.
const EXTENSION: u64 = 128;

/// Record types.
#[allow(missing_docs)]
pub(crate) mod kind {
    pub(crate) const EPOCH_START: u64 = 1;
    pub(crate) const EPOCH_END: u64 = 2;
    pub(crate) const ALARM: u64 = 3;
    pub(crate) const HEARTBEAT: u64 = 4;
    pub(crate) const CLOCK_STEP: u64 = 5;
    pub(crate) const LOG_MODE: u64 = 6;
    pub(crate) const GAP: u64 = 7;
    pub(crate) const POLICY_LOAD: u64 = 8;
    pub(crate) const CONFIG: u64 = 9;
    pub(crate) const KEY_ROTATE: u64 = 10;
    pub(crate) const NODE_ENROLL: u64 = 11;
    pub(crate) const NODE_RETIRE: u64 = 12;
    pub(crate) const ANCHOR: u64 = 13;
    pub(crate) const AUTH_FAIL: u64 = 16;
    pub(crate) const SESSION_OPEN: u64 = 17;
    pub(crate) const SESSION_CLOSE: u64 = 18;
    pub(crate) const INTENT: u64 = 20;
    pub(crate) const BLOCK: u64 = 21;
    pub(crate) const RESULT: u64 = 22;
    pub(crate) const OBSERVE: u64 = 23;
    pub(crate) const RELEASE: u64 = 24;
    pub(crate) const REC_SEG: u64 = 25;
    pub(crate) const REPLAY_VIEW: u64 = 32;
    pub(crate) const EXPORT: u64 = 33;
    pub(crate) const REVIEW: u64 = 34;
    pub(crate) const HOLD_SET: u64 = 35;
    pub(crate) const HOLD_CLEAR: u64 = 36;
    pub(crate) const PURGE: u64 = 37;
    pub(crate) const ACCESS: u64 = 40;
    pub(crate) const APPROVAL: u64 = 41;
    pub(crate) const CREDENTIAL: u64 = 42;
}

/// Name of a type, as the documents write it.
#[must_use]
pub(crate) fn kind_name(number: u64) -> &'static str {
    match number {
        kind::EPOCH_START => "EPOCH_START",
        kind::EPOCH_END => "EPOCH_END",
        kind::ALARM => "ALARM",
        kind::HEARTBEAT => "HEARTBEAT",
        kind::CLOCK_STEP => "CLOCK_STEP",
        kind::LOG_MODE => "LOG_MODE",
        kind::GAP => "GAP",
        kind::POLICY_LOAD => "POLICY_LOAD",
        kind::CONFIG => "CONFIG",
        kind::KEY_ROTATE => "KEY_ROTATE",
        kind::NODE_ENROLL => "NODE_ENROLL",
        kind::NODE_RETIRE => "NODE_RETIRE",
        kind::ANCHOR => "ANCHOR",
        kind::AUTH_FAIL => "AUTH_FAIL",
        kind::SESSION_OPEN => "SESSION_OPEN",
        kind::SESSION_CLOSE => "SESSION_CLOSE",
        kind::INTENT => "STMT_INTENT",
        kind::BLOCK => "STMT_BLOCK",
        kind::RESULT => "STMT_RESULT",
        kind::OBSERVE => "STMT_OBSERVE",
        kind::RELEASE => "RELEASE",
        kind::REC_SEG => "REC_SEG",
        kind::REPLAY_VIEW => "REPLAY_VIEW",
        kind::EXPORT => "EXPORT",
        kind::REVIEW => "REVIEW",
        kind::HOLD_SET => "HOLD_SET",
        kind::HOLD_CLEAR => "HOLD_CLEAR",
        kind::PURGE => "PURGE",
        kind::ACCESS => "ACCESS",
        kind::APPROVAL => "APPROVAL",
        kind::CREDENTIAL => "CREDENTIAL",
        _ => "?",
    }
}

/// Name of a field, as JSON shows it.
#[must_use]
pub(crate) fn field_name(key: u64) -> String {
    let name = match key {
        4 => "session",
        5 => "statement",
        8 => "bundle",
        9 => "catalog_epoch",
        10 => "text",
        11 => "via",
        12 => "fingerprint",
        13 => "effects",
        14 => "parameters",
        15 => "row_limit",
        16 => "outcome",
        17 => "sqlstate",
        18 => "rows",
        19 => "bytes",
        20 => "duration_us",
        21 => "masked",
        22 => "code",
        23 => "reason",
        24 => "rule",
        25 => "target",
        26 => "actor",
        27 => "source",
        28 => "tls",
        29 => "application",
        30 => "database",
        31 => "account",
        32 => "statements",
        33 => "user",
        34 => "kind",
        35 => "detail",
        36 => "build",
        37 => "previous",
        38 => "clean",
        39 => "torn_bytes",
        40 => "interval_s",
        41 => "step_ns",
        42 => "mode",
        43 => "lost",
        44 => "sessions_refused",
        45 => "statements_refused",
        46 => "configuration",
        47 => "program",
        48 => "key",
        49 => "tree_size",
        50 => "tree_root",
        51 => "origin",
        52 => "release",
        53 => "clear",
        54 => "digest",
        55 => "tables",
        56 => "findings",
        57 => "segment",
        58 => "chunks",
        59 => "ticket",
        60 => "chunk_hash",
        61 => "key_commitment",
        64 => "sealed_text",
        66 => "sealed_parameters",
        67 => "sessions",
        68 => "signatures",
        73 => "approved",
        74 => "until_ns",
        75 => "id",
        76 => "about",
        77 => "assertion",
        other => return format!("field_{other}"),
    };
    name.to_owned()
}

/// Number of a type by its name, in either case, with or without `STMT_`.
#[must_use]
pub(crate) fn kind_number(name: &str) -> Option<u64> {
    let name = name.to_ascii_uppercase().replace('-', "_");
    (1..64).find(|&number| {
        let known = kind_name(number);
        known == name || known.strip_prefix("STMT_") == Some(name.as_str())
    })
}

/// Field numbers that something here asks for by name.
#[allow(missing_docs)]
pub(crate) mod field {
    pub(crate) const SESSION: u8 = 4;
    pub(crate) const STATEMENT: u8 = 5;
    pub(crate) const ACTOR: u8 = 26;
    pub(crate) const OUTCOME: u8 = 16;
    pub(crate) const ROWS: u8 = 18;
    pub(crate) const BYTES: u8 = 19;
    pub(crate) const REASON: u8 = 23;
    pub(crate) const TARGET: u8 = 25;
    pub(crate) const KIND: u8 = 34;
    pub(crate) const DETAIL: u8 = 35;
    pub(crate) const PREVIOUS: u8 = 37;
    pub(crate) const CLEAN: u8 = 38;
    pub(crate) const TORN_BYTES: u8 = 39;
    pub(crate) const INTERVAL: u8 = 40;
    pub(crate) const STEP: u8 = 41;
    pub(crate) const MODE: u8 = 42;
    pub(crate) const KEY: u8 = 48;
    pub(crate) const TREE_SIZE: u8 = 49;
    pub(crate) const TREE_ROOT: u8 = 50;
    pub(crate) const ORIGIN: u8 = 51;
    pub(crate) const RELEASE_NUMBER: u8 = 52;
    pub(crate) const SEGMENT_NUMBER: u8 = 57;
    pub(crate) const CHUNKS: u8 = 58;
    pub(crate) const CHUNK_HASH: u8 = 60;
    pub(crate) const COMMITMENT: u8 = 61;
    pub(crate) const SESSIONS: u8 = 67;
    pub(crate) const APPROVED: u8 = 73;
    pub(crate) const ID: u8 = 75;
    pub(crate) const SIGNATURES: u8 = 68;
}

/// What a field holds.
#[derive(Clone, Copy)]
enum Shape {
    /// At least 1.
    Count,
    /// 1 to 2³²−1.
    Count32,
    /// Not 0, either sign.
    Step,
    /// Of this length, not the default (all bytes equal to the given one).
    Fixed(usize, u8),
    /// 32 bytes whatever they are.
    Presence,
    /// At least one byte.
    Filled,
    /// At least one character.
    Text,
    True,
    Actor,
    /// Tuples of this many texts, at least one.
    Tuples(u64),
    /// Texts, at least this many, none empty.
    Texts(u64),
    /// Session ids, ascending, at least one.
    Sessions,
}

/// What a field holds, by its number.
#[inline]
fn shape(key: u64) -> Option<Shape> {
    Some(match key {
        4 => Shape::Fixed(16, 0),
        5 | 9 | 12 | 13 | 18 | 19 | 20 | 32 | 39 | 40 | 43 | 44 | 45 | 49 | 52 | 57 | 58 | 74 => Shape::Count,
        8 | 37 | 46 | 47 | 50 | 54 | 60 | 61 | 73 => Shape::Fixed(32, 0),
        10 | 64 | 66 | 77 => Shape::Filled,
        14 => Shape::Presence,
        15 => Shape::Count32,
        17 => Shape::Fixed(5, b'0'),
        11 | 16 | 22 | 23 | 24 | 25 | 27 | 28 | 29 | 30 | 31 | 33 | 34 | 35 | 36 | 42 | 48 | 51 | 56 | 59 | 75 => {
            Shape::Text
        }
        21 => Shape::Tuples(3),
        26 | 76 => Shape::Actor,
        38 => Shape::True,
        41 => Shape::Step,
        53 => Shape::Tuples(2),
        55 => Shape::Texts(1),
        67 => Shape::Sessions,
        68 => Shape::Texts(2),
        _ => return None,
    })
}

const fn set(keys: &[u32]) -> u128 {
    let mut bits = 0b1111;
    let mut at = 0;
    while at < keys.len() {
        bits |= 1 << keys[at];
        at += 1;
    }
    bits
}

/// Fields a type may have; the first four it must have.
fn fields_of(number: u64) -> Option<u128> {
    Some(match number {
        kind::EPOCH_START => const { set(&[36, 37, 38, 39]) },
        kind::EPOCH_END => const { set(&[]) },
        kind::ALARM => const { set(&[4, 34, 35]) },
        kind::HEARTBEAT => const { set(&[40]) },
        kind::CLOCK_STEP => const { set(&[41]) },
        kind::LOG_MODE => const { set(&[23, 25, 42]) },
        kind::GAP => const { set(&[20, 23, 43, 44, 45]) },
        kind::POLICY_LOAD => const { set(&[8, 9, 25]) },
        kind::CONFIG => const { set(&[23, 36, 46, 47]) },
        kind::KEY_ROTATE => const { set(&[48]) },
        kind::NODE_ENROLL => const { set(&[48, 51]) },
        kind::NODE_RETIRE => const { set(&[23, 51]) },
        kind::ANCHOR => const { set(&[34, 49, 50, 51]) },
        kind::AUTH_FAIL => const { set(&[4, 23, 27, 33]) },
        kind::SESSION_OPEN => const { set(&[4, 8, 25, 26, 27, 28, 29, 30, 31, 34, 42, 61]) },
        kind::SESSION_CLOSE => const { set(&[4, 19, 23, 32]) },
        kind::INTENT => const { set(&[4, 5, 8, 9, 10, 11, 12, 13, 14, 15, 55, 64, 66]) },
        kind::BLOCK => const { set(&[4, 5, 8, 10, 22, 24, 55, 64]) },
        kind::RESULT => const { set(&[4, 5, 16, 17, 18, 19, 20, 21, 53]) },
        kind::OBSERVE => const { set(&[4, 5, 8, 21, 22, 24]) },
        kind::RELEASE => const { set(&[4, 5, 18, 19, 52, 54]) },
        kind::REC_SEG => const { set(&[4, 19, 23, 32, 57, 58, 60]) },
        kind::REPLAY_VIEW => const { set(&[4, 23, 26, 35]) },
        kind::EXPORT => const { set(&[18, 23, 26, 34, 35]) },
        kind::REVIEW => const { set(&[23, 26, 35, 56, 59]) },
        kind::HOLD_SET => const { set(&[23, 26, 34, 35]) },
        kind::HOLD_CLEAR => const { set(&[23, 26, 34]) },
        kind::PURGE => const { set(&[18, 23, 26, 34, 35, 67, 68]) },
        kind::ACCESS => const { set(&[4, 23, 25, 26, 27, 33, 34, 35, 74, 75, 76]) },
        kind::APPROVAL => const { set(&[4, 5, 10, 23, 24, 25, 26, 34, 35, 55, 64, 73, 74, 75, 77]) },
        kind::CREDENTIAL => const { set(&[4, 20, 23, 25, 31, 34, 74]) },
        _ => return None,
    })
}

/// A field's value, still in the record's bytes.
#[derive(Clone, Copy, Debug)]
enum Value<'a> {
    Number(u64),
    Step(i64),
    Bytes(&'a [u8]),
    /// An array or map: its bytes, already checked.
    Nested(&'a [u8]),
    True,
}

/// One record, checked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    /// Type, see [`kind`].
    pub(crate) kind: u64,
    /// Position on its core.
    pub(crate) sequence: u64,
    /// Wall clock, nanoseconds since 1970.
    pub(crate) wall_ns: u64,
    /// CLOCK_BOOTTIME, nanoseconds.
    pub(crate) mono_ns: u64,
    fields: [(u8, Value<'a>); FIELDS_MAX],
    count: usize,
}

impl<'a> Record<'a> {
    /// No record yet: what [`Record::read`] fills. Clearing the fields for each record again would cost as much as reading.
    pub(crate) fn empty() -> Self {
        Self { kind: 0, sequence: 0, wall_ns: 0, mono_ns: 0, fields: [(0, Value::True); FIELDS_MAX], count: 0 }
    }

    /// Checks exactly one record.
    ///
    /// # Errors
    /// Anything but the one encoding of a record of the schema.
    pub(crate) fn parse(bytes: &'a [u8]) -> Result<Self, Strange> {
        let mut record = Self::empty();
        record.read(bytes)?;
        Ok(record)
    }

    /// Checks exactly one record, which takes the place of the one before.
    ///
    /// # Errors
    /// As [`Record::parse`]; the record is then of no use.
    pub(crate) fn read(&mut self, bytes: &'a [u8]) -> Result<(), Strange> {
        if bytes.len() > RECORD_MAX {
            return Err(Strange::Long);
        }
        let record = self;
        record.count = 0;
        let mut reader = Reader::new(bytes);
        let pairs = reader.map()?;
        let mut next = 0;
        let mut allowed = 0u128;
        let mut seen = 0u128;
        for _ in 0..pairs {
            let key = reader.uint()?;
            if key < next {
                return Err(Strange::Order);
            }
            next = key.checked_add(1).ok_or(Strange::Range(key))?;
            if key >= EXTENSION {
                reader.item()?;
                continue;
            }
            seen |= 1 << key;
            match key {
                0 => match reader.uint()? {
                    1 => {}
                    0 => return Err(Strange::Default(0)),
                    other => return Err(Strange::Version(other)),
                },
                1 => {
                    record.kind = reader.uint()?;
                    allowed = fields_of(record.kind).ok_or(Strange::Type(record.kind))?;
                }
                2 => {
                    record.sequence = reader.uint()?;
                    if record.sequence == 0 {
                        return Err(Strange::Default(2));
                    }
                }
                3 => {
                    if reader.array()? != 2 {
                        return Err(Strange::Kind);
                    }
                    (record.wall_ns, record.mono_ns) = (reader.uint()?, reader.uint()?);
                }
                _ => {
                    if seen & 0b1111 != 0b1111 {
                        return Err(Strange::Missing(u64::from((!seen).trailing_zeros())));
                    }
                    if allowed & (1 << key) == 0 {
                        return Err(Strange::Field(key));
                    }
                    let value = value(key, &mut reader)?;
                    let slot = record.fields.get_mut(record.count).ok_or(Strange::Field(key))?;
                    *slot = (key as u8, value);
                    record.count += 1;
                }
            }
        }
        if seen & 0b1111 != 0b1111 {
            return Err(Strange::Missing(u64::from((!seen).trailing_zeros())));
        }
        if !reader.is_done() {
            return Err(Strange::Trailing);
        }
        // A sealed text stands instead of the text.
        if seen & (1 << 10) != 0 && seen & (1 << 64) != 0 {
            return Err(Strange::Field(64));
        }
        Ok(())
    }

    fn get(&self, key: u8) -> Option<Value<'a>> {
        self.fields[..self.count].iter().find(|(found, _)| *found == key).map(|(_, value)| *value)
    }

    /// A number; 0 if absent.
    #[must_use]
    pub(crate) fn number(&self, key: u8) -> u64 {
        match self.get(key) {
            Some(Value::Number(value)) => value,
            _ => 0,
        }
    }

    /// The clock's step, nanoseconds; 0 if absent.
    #[must_use]
    pub(crate) fn step(&self) -> i64 {
        match self.get(field::STEP) {
            Some(Value::Step(value)) => value,
            _ => 0,
        }
    }

    /// Bytes or the bytes of a text; empty if absent.
    #[must_use]
    pub(crate) fn bytes(&self, key: u8) -> &'a [u8] {
        match self.get(key) {
            Some(Value::Bytes(value)) => value,
            _ => &[],
        }
    }

    /// A text; empty if absent.
    #[must_use]
    pub(crate) fn text(&self, key: u8) -> &'a str {
        // Checked when it was read.
        std::str::from_utf8(self.bytes(key)).unwrap_or_default()
    }

    /// Bytes of a fixed length; zeros if absent.
    #[must_use]
    pub(crate) fn fixed<const N: usize>(&self, key: u8) -> [u8; N] {
        self.bytes(key).try_into().unwrap_or([0; N])
    }

    /// Is the field there?
    #[must_use]
    pub(crate) fn has(&self, key: u8) -> bool {
        self.get(key).is_some()
    }

    /// A part of the person: 0 issuer, 1 subject, 2 role; empty if absent.
    #[must_use]
    pub(crate) fn actor(&self, part: u64) -> &'a str {
        let Some(Value::Nested(bytes)) = self.get(field::ACTOR) else { return "" };
        let mut reader = Reader::new(bytes);
        for _ in 0..reader.map().unwrap_or(0) {
            match (reader.uint(), reader.text()) {
                (Ok(key), Ok(text)) if key == part => return text,
                (Ok(_), Ok(_)) => {}
                _ => break,
            }
        }
        ""
    }

    /// Items of a list of byte strings or texts.
    #[must_use]
    pub(crate) fn list(&self, key: u8) -> Vec<&'a [u8]> {
        let Some(Value::Nested(bytes)) = self.get(key) else { return Vec::new() };
        let mut reader = Reader::new(bytes);
        let mut items = Vec::new();
        if reader.array().is_ok() {
            while !reader.is_done() {
                let mut probe = reader;
                if let Ok(item) = probe.bytes() {
                    items.push(item);
                } else if let Ok(item) = reader.text().map(str::as_bytes) {
                    items.push(item);
                    continue;
                } else {
                    break;
                }
                reader = probe;
            }
        }
        items
    }
}

#[inline]
fn value<'a>(key: u64, reader: &mut Reader<'a>) -> Result<Value<'a>, Strange> {
    Ok(match shape(key).ok_or(Strange::Field(key))? {
        Shape::Count => match reader.uint()? {
            0 => return Err(Strange::Default(key)),
            value => Value::Number(value),
        },
        Shape::Count32 => match reader.uint()? {
            0 => return Err(Strange::Default(key)),
            value if value > u64::from(u32::MAX) => return Err(Strange::Range(key)),
            value => Value::Number(value),
        },
        Shape::Step => match reader.int()? {
            0 => return Err(Strange::Default(key)),
            value => Value::Step(value),
        },
        Shape::Fixed(length, default) => {
            let bytes = reader.bytes()?;
            if bytes.len() != length {
                return Err(Strange::Range(key));
            }
            if bytes.iter().all(|&byte| byte == default) {
                return Err(Strange::Default(key));
            }
            Value::Bytes(bytes)
        }
        Shape::Presence => {
            let bytes = reader.bytes()?;
            if bytes.len() != 32 {
                return Err(Strange::Range(key));
            }
            Value::Bytes(bytes)
        }
        Shape::Filled => match reader.bytes()? {
            [] => return Err(Strange::Default(key)),
            bytes => Value::Bytes(bytes),
        },
        Shape::Text => Value::Bytes(words(key, reader)?.as_bytes()),
        Shape::True => {
            reader.truth()?;
            Value::True
        }
        Shape::Actor | Shape::Tuples(_) | Shape::Texts(_) | Shape::Sessions => {
            let mut inside = *reader;
            let bytes = reader.item()?;
            nested(key, &mut inside)?;
            Value::Nested(bytes)
        }
    })
}

fn words<'a>(key: u64, reader: &mut Reader<'a>) -> Result<&'a str, Strange> {
    match reader.text()? {
        "" => Err(Strange::Default(key)),
        text if text.len() > TEXT_MAX => Err(Strange::Range(key)),
        text => Ok(text),
    }
}

fn nested(key: u64, reader: &mut Reader<'_>) -> Result<(), Strange> {
    match shape(key) {
        Some(Shape::Actor) => {
            let pairs = reader.map()?;
            if pairs == 0 {
                return Err(Strange::Default(key));
            }
            let mut next = 0;
            for _ in 0..pairs {
                let inner = reader.uint()?;
                if inner < next {
                    return Err(Strange::Order);
                }
                if inner > 2 {
                    return Err(Strange::Field(key));
                }
                next = inner + 1;
                words(key, reader)?;
            }
        }
        Some(Shape::Tuples(width)) => {
            let count = reader.array()?;
            if count == 0 {
                return Err(Strange::Default(key));
            }
            for _ in 0..count {
                if reader.array()? != width {
                    return Err(Strange::Kind);
                }
                for _ in 0..width {
                    reader.text()?;
                }
            }
        }
        Some(Shape::Texts(least)) => {
            let count = reader.array()?;
            if count == 0 {
                return Err(Strange::Default(key));
            }
            if count < least {
                return Err(Strange::Range(key));
            }
            for _ in 0..count {
                words(key, reader)?;
            }
        }
        Some(Shape::Sessions) => {
            let count = reader.array()?;
            if count == 0 {
                return Err(Strange::Default(key));
            }
            let mut last: &[u8] = &[];
            for _ in 0..count {
                let id = reader.bytes()?;
                if id.len() != 16 {
                    return Err(Strange::Range(key));
                }
                if id <= last {
                    return Err(Strange::Order);
                }
                last = id;
            }
        }
        _ => return Err(Strange::Kind),
    }
    Ok(())
}
