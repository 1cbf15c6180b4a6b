//! Redactions, value by value: bytes of one non-NULL value in, what the client gets instead out.
//!
//! Invariants: the result is valid for the column's type and format (what would not be becomes NULL), and the same value in
//! both formats; keeping *n* characters reveals at most *n*, and never a whole value; work and memory are linear in value
//! and result, and a result of many parts is bounded. Elements of arrays and leaves of JSON are values of their own.
//! A redaction is prepared once per column ([`Step::prepare`]), so that types are not looked at per value.
//! Deliberately absent: framing of values, and finding what to redact inside free text (the scanner does that).

use contract::Values;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::array_values::{self, Element};
use crate::byte_values::{self, Bytes};
use crate::constants::{self, Written};
use crate::in_place::{self, Clock};
use crate::json_values;
use crate::model::Redaction;
use crate::number_values::{self, Number};
use crate::numeric::Numeric;
use crate::pg_types::{element_of, oid};
use scan::{Unfilled, dates};

/// One bit for each value says that it was not filled.
const _: () = assert!(contract::MANY <= scan::FILLED_MAX && contract::MANY <= 64);

/// How a value is written on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// As text.
    Text,
    /// In the type's binary form.
    Binary,
}

/// What became of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redacted {
    /// It is unchanged.
    Keep,
    /// It is SQL NULL now.
    Null,
    /// It is what the scratch buffer holds now.
    Scratch,
}

impl From<Redacted> for contract::Redacted {
    #[inline]
    fn from(redacted: Redacted) -> Self {
        match redacted {
            Redacted::Keep => Self::Keep,
            Redacted::Null => Self::Null,
            Redacted::Scratch => Self::Scratch,
        }
    }
}

/// How large the result can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grows {
    /// No longer than the value.
    Never,
    /// At most this many bytes, whatever the value.
    Bounded(u32),
    /// Up to a multiple of the value.
    Unbounded,
}

/// How types take text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Any text is a value.
    Text,
    /// `char(n)`: trailing blanks are padding.
    Padded,
    /// `"char"`: one byte.
    Char,
    /// JSON text.
    Json,
    /// JSON text, in binary after a version byte.
    Jsonb,
    /// XML content.
    Xml,
    /// Anything else: text is not a value of it.
    Other,
}

impl Kind {
    pub(crate) const fn of(type_oid: u32) -> Self {
        match type_oid {
            oid::TEXT | oid::VARCHAR | oid::NAME | oid::UNKNOWN | oid::CSTRING => Self::Text,
            oid::BPCHAR => Self::Padded,
            oid::CHAR => Self::Char,
            oid::JSON => Self::Json,
            oid::JSONB => Self::Jsonb,
            oid::XML => Self::Xml,
            _ => Self::Other,
        }
    }

    const fn is_json(self) -> bool {
        matches!(self, Self::Json | Self::Jsonb)
    }
}

/// A character that hides others, encoded once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Filler {
    bytes: [u8; 4],
    len: u8,
}

impl Filler {
    pub(crate) fn new(fill: char) -> Self {
        // A NUL would end the value early for clients written in C.
        let fill = if fill == '\0' { '*' } else { fill };
        let mut bytes = [0; 4];
        let len = u8::try_from(fill.encode_utf8(&mut bytes).len()).unwrap_or(1);
        Self { bytes, len }
    }

    fn encoded(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(b"*")
    }

    /// The byte it is, if it is one.
    pub(crate) const fn byte(&self) -> Option<u8> {
        if self.len == 1 { Some(self.bytes[0]) } else { None }
    }

    /// Appends it `count` times.
    pub(crate) fn write(&self, count: usize, out: &mut Vec<u8>) {
        match self.encoded() {
            [byte] => out.resize(out.len() + count, *byte),
            more => {
                out.reserve(count * more.len());
                (0..count).for_each(|_| out.extend_from_slice(more));
            }
        }
    }
}

/// A keyed hash with its key schedule done.
#[derive(Clone)]
pub(crate) struct TokenKey(Hmac<Sha256>);

impl std::fmt::Debug for TokenKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("TokenKey(..)")
    }
}

impl TokenKey {
    pub(crate) fn new(secret: &[u8]) -> Option<Self> {
        if secret.is_empty() { None } else { Hmac::new_from_slice(secret).ok().map(Self) }
    }

    /// The whole tag of `value`.
    pub(crate) fn tag(&self, value: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(value);
        mac.finalize().into_bytes().into()
    }

    /// Appends the first `length` hexadecimal digits of the token of `value`.
    pub(crate) fn write(&self, value: &[u8], length: u8, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let tag = self.tag(value);
        let digits = tag.iter().flat_map(|b| [HEX[usize::from(b >> 4)], HEX[usize::from(b & 15)]]);
        out.extend(digits.take(usize::from(length)));
    }
}

/// Which characters of a value survive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    None,
    First(u16),
    Last(u16),
}

/// Numbers that hold ages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Age {
    Int(usize),
    Float4,
    Float8,
    Numeric,
    Text,
}

/// A redaction prepared for one column.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// SQL NULL.
    Null,
    /// A constant, where it is valid for the type and the format.
    Constant { text: Option<Vec<u8>>, binary: Option<Vec<u8>> },
    /// Fill what is not kept.
    Mask { keep: Keep, fill: Filler, padded: bool },
    /// A keyed token.
    Token { key: TokenKey, length: u8 },
    /// `date`.
    YearOfDate,
    /// `timestamp` and `timestamptz`; whether text has a zone.
    YearOfTimestamp { zone: bool },
    /// Text.
    YearOfText,
    /// A number.
    Age(Age),
    /// A ZIP code in text.
    Zip,
    /// `uuid` and other types written in hexadecimal.
    Bytes(Bytes, byte_values::Change),
    /// Exact numbers, by their digits.
    Number(Number, number_values::Change),
    /// JSON, leaf by leaf; whether its binary form has a version byte.
    Json { leaf: Box<Self>, version: bool },
    /// An array of a type, element by element.
    Array { element: Box<Self>, of: u32 },
}

/// A result of many parts that grows past this becomes NULL.
pub(crate) const fn grown_max(value: &[u8]) -> usize {
    const FLOOR: usize = 16 << 20;
    let most = value.len().saturating_mul(4);
    if most > FLOOR { most } else { FLOOR }
}

impl Step {
    /// Prepares `redaction` for a column of this type; `None` for [`Redaction::Clear`].
    pub(crate) fn prepare(redaction: &Redaction, type_oid: u32, key: Option<&TokenKey>) -> Option<Self> {
        let whole = |text: &str| Kind::of(type_oid).is_json() && constants::is_document(text);
        match redaction {
            Redaction::Clear => return None,
            Redaction::Null | Redaction::Refuse => return Some(Self::Null),
            Redaction::Constant(text) if whole(text) => return Some(Self::constant(text, type_oid)),
            _ => {}
        }
        if let Some(of) = element_of(type_oid) {
            return Some(match (redaction, Self::prepare(redaction, of, key)?) {
                (Redaction::Constant(text), _) if text.trim() == "{}" => {
                    let binary = [[0; 4], [0; 4], of.to_be_bytes()].concat();
                    Self::Constant { text: Some(b"{}".to_vec()), binary: Some(binary) }
                }
                (_, Self::Null) => Self::Null,
                (_, element) => Self::Array { element: Box::new(element), of },
            });
        }
        if Kind::of(type_oid).is_json() {
            return Some(match Self::prepare(redaction, oid::TEXT, key)? {
                Self::Null => Self::Null,
                leaf => Self::Json { leaf: Box::new(leaf), version: type_oid == oid::JSONB },
            });
        }
        Some(Self::scalar(redaction, type_oid, key))
    }

    fn constant(text: &str, type_oid: u32) -> Self {
        match constants::constant(text, type_oid) {
            Some((text, binary)) => Self::Constant { text: Some(text), binary: Some(binary) },
            None => Self::Null,
        }
    }

    fn mask(keep: Keep, fill: char, type_oid: u32) -> Self {
        let filler = Filler::new(fill);
        let digit = fill.to_digit(10).and_then(|d| u8::try_from(d).ok());
        match (Kind::of(type_oid), Bytes::of(type_oid), Number::of(type_oid), digit) {
            (Kind::Text, ..) => Self::Mask { keep, fill: filler, padded: false },
            (Kind::Padded, ..) => Self::Mask { keep, fill: filler, padded: true },
            // One character: nothing of it is ever kept.
            (Kind::Char, ..) if fill.is_ascii() => Self::Mask { keep: Keep::None, fill: filler, padded: false },
            (Kind::Xml, ..) if keep == Keep::None && !matches!(fill, '<' | '&') => {
                Self::Mask { keep, fill: filler, padded: false }
            }
            (Kind::Other, Some(bytes), ..) => Self::Bytes(bytes, byte_values::Change::mask(keep, fill)),
            // A number with stars in it is none: the rule has to name a digit.
            (Kind::Other, None, Some(number), Some(digit)) => {
                Self::Number(number, number_values::Change::Mask { keep, digit })
            }
            _ => Self::Null,
        }
    }

    fn token(length: u8, type_oid: u32, key: Option<&TokenKey>) -> Self {
        let Some(key) = key.cloned() else { return Self::Null };
        match (Kind::of(type_oid), Bytes::of(type_oid), Number::of(type_oid)) {
            // A name is one byte shorter than the longest token.
            (Kind::Text, ..) if type_oid == oid::NAME => Self::Token { key, length: length.min(63) },
            (Kind::Text | Kind::Padded | Kind::Xml, ..) => Self::Token { key, length },
            (_, Some(bytes), _) => Self::Bytes(bytes, byte_values::Change::Token { key, length }),
            (_, _, Some(number)) if number.holds_tokens() => Self::Number(number, number_values::Change::Token(key)),
            _ => Self::Null,
        }
    }

    /// Of a type that is neither JSON nor an array.
    fn scalar(redaction: &Redaction, type_oid: u32, key: Option<&TokenKey>) -> Self {
        let textual = matches!(Kind::of(type_oid), Kind::Text | Kind::Padded);
        match redaction {
            Redaction::Clear | Redaction::Null | Redaction::Refuse => Self::Null,
            Redaction::Constant(text) => Self::constant(text, type_oid),
            Redaction::KeepFirst { count, fill } => Self::mask(Keep::First(*count), *fill, type_oid),
            Redaction::KeepLast { count, fill } => Self::mask(Keep::Last(*count), *fill, type_oid),
            Redaction::Fill { fill } => Self::mask(Keep::None, *fill, type_oid),
            Redaction::Token { length, .. } => Self::token(*length, type_oid, key),
            Redaction::Year => match type_oid {
                oid::DATE => Self::YearOfDate,
                oid::TIMESTAMP => Self::YearOfTimestamp { zone: false },
                oid::TIMESTAMPTZ => Self::YearOfTimestamp { zone: true },
                _ if textual => Self::YearOfText,
                _ => Self::Null,
            },
            Redaction::AgeCap => match type_oid {
                oid::INT2 => Self::Age(Age::Int(2)),
                oid::INT4 => Self::Age(Age::Int(4)),
                oid::INT8 => Self::Age(Age::Int(8)),
                oid::FLOAT4 => Self::Age(Age::Float4),
                oid::FLOAT8 => Self::Age(Age::Float8),
                oid::NUMERIC => Self::Age(Age::Numeric),
                _ if textual => Self::Age(Age::Text),
                _ => Self::Null,
            },
            Redaction::Zip3 if textual => Self::Zip,
            Redaction::Zip3 => match Number::of(type_oid) {
                Some(number) => Self::Number(number, number_values::Change::Zip),
                None => Self::Null,
            },
        }
    }

    /// Bound on the result.
    pub(crate) fn grows(&self) -> Grows {
        let bounded = |n: usize| Grows::Bounded(u32::try_from(n).unwrap_or(u32::MAX));
        match self {
            Self::Null => Grows::Never,
            Self::Constant { text, binary } => {
                bounded(text.as_ref().map_or(0, Vec::len).max(binary.as_ref().map_or(0, Vec::len)))
            }
            Self::Mask { fill, .. } if fill.len == 1 => Grows::Never,
            Self::Mask { .. } => Grows::Unbounded,
            Self::Token { length, .. } => bounded(usize::from(*length)),
            // The year as PostgreSQL writes it has up to six digits, then month, day, clock, zone and era.
            Self::YearOfDate | Self::YearOfTimestamp { .. } | Self::YearOfText => Grows::Bounded(40),
            Self::Age(_) => Grows::Bounded(10),
            Self::Zip => Grows::Bounded(3),
            Self::Bytes(_, byte_values::Change::Mask { .. }) => Grows::Never,
            // Of `bytea`: the prefix and 64 digits.
            Self::Bytes(_, byte_values::Change::Token { .. }) => bounded(66),
            Self::Number(_, number_values::Change::Token(_) | number_values::Change::Zip) => bounded(20),
            // In binary, filled zeros may need digits that zeros in the value did not.
            Self::Number(..) | Self::Json { .. } | Self::Array { .. } => Grows::Unbounded,
        }
    }

    /// Redacts the values of one column in a batch of rows.
    pub(crate) fn apply_batch(&self, format: Format, values: &mut Values<'_>) {
        match self {
            Self::Null => values.nulls(),
            Self::Constant { text, binary } => match if format == Format::Text { text } else { binary } {
                Some(bytes) => values.all(bytes),
                None => values.nulls(),
            },
            Self::Mask { keep, fill: Filler { bytes: [fill, ..], len: 1 }, padded: false } => {
                let unfilled = match *keep {
                    Keep::None => Unfilled::default(),
                    Keep::First(n) => Unfilled::first(n.into()),
                    Keep::Last(n) => Unfilled::last(n.into()),
                };
                values.each_of_many(
                    |bytes, fields| scan::fill_short(bytes, fields.iter().map(contract::Field::span), unfilled, *fill),
                    |value| in_place::mask(value, *keep, *fill),
                    |value, out| self.apply(format, value, out).into(),
                );
            }
            Self::Mask { keep, fill: Filler { bytes: [fill, ..], len: 1 }, padded: true } => values.each_in_place(
                |value| {
                    let content = trim_padding(value).len();
                    value.get_mut(..content).is_some_and(|content| in_place::mask(content, *keep, *fill))
                },
                |value, out| self.apply(format, value, out).into(),
            ),
            Self::YearOfDate | Self::YearOfTimestamp { .. } if format == Format::Text => {
                let clock = match self {
                    Self::YearOfTimestamp { zone: true } => Clock::Utc,
                    Self::YearOfTimestamp { zone: false } => Clock::Local,
                    _ => Clock::None,
                };
                values.each_in_place(
                    |value| in_place::year(value, clock),
                    |value, out| self.apply(format, value, out).into(),
                );
            }
            _ => values.each(|value, out| self.apply(format, value, out).into()),
        }
    }

    /// Redacts one value.
    #[inline]
    pub(crate) fn apply(&self, format: Format, value: &[u8], out: &mut Vec<u8>) -> Redacted {
        out.clear();
        match self {
            Self::Null => Redacted::Null,
            Self::Constant { text, binary } => match if format == Format::Text { text } else { binary } {
                Some(bytes) => {
                    out.extend_from_slice(bytes);
                    Redacted::Scratch
                }
                None => Redacted::Null,
            },
            Self::Mask { keep, fill, padded } => {
                let content = if *padded { trim_padding(value) } else { value };
                mask(content, *keep, *fill, out);
                out.extend_from_slice(value.get(content.len()..).unwrap_or_default());
                Redacted::Scratch
            }
            Self::Token { key, length } => {
                key.write(trim_padding(value), *length, out);
                Redacted::Scratch
            }
            Self::YearOfDate => year_of_date(format, value, out).unwrap_or(Redacted::Null),
            Self::YearOfTimestamp { zone } => year_of_timestamp(format, *zone, value, out).unwrap_or(Redacted::Null),
            Self::YearOfText => match dates::year_of_text(value) {
                Some(year) => {
                    append(out, format_args!("{year:04}"));
                    Redacted::Scratch
                }
                None => Redacted::Null,
            },
            Self::Age(age) => cap(*age, format, value, out),
            Self::Zip => match zip3(value) {
                Some(three) => {
                    out.extend_from_slice(&three);
                    Redacted::Scratch
                }
                None => Redacted::Null,
            },
            Self::Bytes(bytes, change) => or_null(bytes.redact(change, format, value, out)),
            Self::Number(number, change) => or_null(number.redact(change, format, value, out)),
            Self::Json { leaf, version } => {
                // Binary jsonb is a version byte and then the text.
                let (head, json) = value.split_at(usize::from(*version && format == Format::Binary).min(value.len()));
                if !matches!(head, [] | [1]) {
                    return Redacted::Null;
                }
                out.extend_from_slice(head);
                or_null(json_values::redact(leaf, json, out))
            }
            Self::Array { element, of } => or_null(array_values::redact(&**element, *of, format, value, out)),
        }
    }
}

impl Element for Step {
    fn redact(&self, format: Format, value: &[u8], out: &mut Vec<u8>) -> Redacted {
        self.apply(format, value, out)
    }
}

/// Appends what is written so, without a string of its own.
pub(crate) fn append(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    use std::io::Write as _;
    // A vector takes everything.
    let _ = out.write_fmt(what);
}

fn or_null(written: Option<()>) -> Redacted {
    if written.is_some() { Redacted::Scratch } else { Redacted::Null }
}

fn trim_padding(value: &[u8]) -> &[u8] {
    let end = value.iter().rposition(|b| *b != b' ').map_or(0, |i| i + 1);
    value.get(..end).unwrap_or_default()
}

/// Appends `value` with every character filled that is not kept. Bytes that are not UTF-8 are filled one by one and
/// nothing of such a value is kept; nor of one that would be kept whole.
pub(crate) fn mask(value: &[u8], keep: Keep, fill: Filler, out: &mut Vec<u8>) {
    let characters = if value.is_ascii() {
        value.len()
    } else if let Ok(text) = std::str::from_utf8(value) {
        text.chars().count()
    } else {
        fill.write(value.len(), out);
        return;
    };
    let kept = match keep {
        Keep::First(n) | Keep::Last(n) if usize::from(n) < characters => usize::from(n),
        _ => 0,
    };
    let start_of = |character: usize| {
        if characters == value.len() {
            return character;
        }
        // A byte begins a character unless it is a continuation byte.
        let mut starts = value.iter().enumerate().filter(|(_, b)| **b & 0xc0 != 0x80);
        starts.nth(character).map_or(value.len(), |(i, _)| i)
    };
    match keep {
        Keep::First(_) => {
            out.extend_from_slice(value.get(..start_of(kept)).unwrap_or_default());
            fill.write(characters - kept, out);
        }
        Keep::Last(_) => {
            fill.write(characters - kept, out);
            out.extend_from_slice(value.get(start_of(characters - kept)..).unwrap_or_default());
        }
        Keep::None => fill.write(characters, out),
    }
}

/// 1 January of the value's year. Text in another `DateStyle` than ISO is not taken apart: NULL.
fn year_of_date(format: Format, value: &[u8], out: &mut Vec<u8>) -> Option<Redacted> {
    match format {
        Format::Text => {
            let (written, rest) = constants::iso(value)?;
            let year = dates::year_of(day(written, rest)?);
            first_of(year)?;
            write_year(year, "", out);
        }
        Format::Binary => {
            let day = i32::from_be_bytes(value.try_into().ok()?);
            if day == i32::MAX || day == i32::MIN {
                return None;
            }
            let first = first_of(dates::year_of(i64::from(day)))?;
            out.extend_from_slice(&i32::try_from(first).ok()?.to_be_bytes());
        }
    }
    Some(Redacted::Scratch)
}

/// Midnight of 1 January. With a time zone everything is UTC, the year too, in both formats: the value's own offset would
/// tell summer from winter.
fn year_of_timestamp(format: Format, zone: bool, value: &[u8], out: &mut Vec<u8>) -> Option<Redacted> {
    match format {
        Format::Text => {
            let (written, rest) = constants::iso(value)?;
            let (clock, rest) = constants::time(rest.strip_prefix(b" ")?)?;
            let end = rest.iter().position(|b| *b == b' ').unwrap_or(rest.len());
            let (offset, era) = rest.split_at_checked(end)?;
            let east = match (zone, offset) {
                (true, [_, ..]) => constants::zone(offset)?,
                (false, []) => 0,
                _ => return None,
            };
            let micros = day(written, era)?.checked_mul(dates::DAY)?.checked_add(clock - east * 1_000_000)?;
            let year = dates::year_of(micros.div_euclid(dates::DAY));
            first_of(year)?;
            write_year(year, if zone { " 00:00:00+00" } else { " 00:00:00" }, out);
        }
        Format::Binary => {
            let micros = i64::from_be_bytes(value.try_into().ok()?);
            if micros == i64::MAX || micros == i64::MIN {
                return None;
            }
            let first = first_of(dates::year_of(micros.div_euclid(dates::DAY)))?;
            out.extend_from_slice(&first.checked_mul(dates::DAY)?.to_be_bytes());
        }
    }
    Some(Redacted::Scratch)
}

/// Days since 2000-01-01 of a written date and the era behind it.
fn day((year, month, day): Written, era: &[u8]) -> Option<i64> {
    let (leaps_like, year) = match era {
        b"" => (year, i64::from(year)),
        b" BC" => (year - 1, 1 - i64::from(year)),
        _ => return None,
    };
    dates::is_day(leaps_like, month, day).then(|| dates::days(year, i64::from(month), i64::from(day)))
}

/// Days since 2000-01-01 of 1 January; `None` before the server's calendar begins, in 4714 BC.
fn first_of(year: i64) -> Option<i64> {
    (year > -4713).then(|| dates::days(year, 1, 1))
}

fn write_year(year: i64, clock: &str, out: &mut Vec<u8>) {
    let (year, era) = if year > 0 { (year, "") } else { (1 - year, " BC") };
    append(out, format_args!("{year:04}-01-01{clock}{era}"));
}

/// The age above which all are the same.
const CAP: u16 = 89;

fn cap(age: Age, format: Format, value: &[u8], out: &mut Vec<u8>) -> Redacted {
    let over = match (age, format) {
        (Age::Int(n), Format::Binary) if value.len() == n => {
            let negative = value.first().is_some_and(|b| *b >= 0x80);
            Some(!negative && value.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)) > u64::from(CAP))
        }
        (Age::Float4, Format::Binary) => {
            value.try_into().ok().map(f32::from_be_bytes).map(f64::from).and_then(float_over)
        }
        (Age::Float8, Format::Binary) => value.try_into().ok().map(f64::from_be_bytes).and_then(float_over),
        (Age::Numeric, Format::Binary) => Numeric::read(value).map(|n| n.exceeds(CAP)),
        (Age::Text, _) => Numeric::parse(value.trim_ascii()).map(|n| n.exceeds(CAP)),
        (Age::Int(_) | Age::Numeric, Format::Text) => Numeric::parse(value).map(|n| n.exceeds(CAP)),
        (Age::Float4 | Age::Float8, Format::Text) => {
            std::str::from_utf8(value).ok().and_then(|t| t.parse().ok()).and_then(float_over)
        }
        (Age::Int(_), Format::Binary) => None,
    };
    match over {
        None => return Redacted::Null,
        Some(false) => return Redacted::Keep,
        Some(true) => {}
    }
    match (age, format) {
        (Age::Int(n), Format::Binary) => {
            out.resize(n.saturating_sub(1), 0);
            out.push(90);
        }
        (Age::Float4, Format::Binary) => out.extend_from_slice(&90f32.to_be_bytes()),
        (Age::Float8, Format::Binary) => out.extend_from_slice(&90f64.to_be_bytes()),
        (Age::Numeric, Format::Binary) => out.extend_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0, 0, 90]),
        _ => out.extend_from_slice(b"90"),
    }
    Redacted::Scratch
}

fn float_over(n: f64) -> Option<bool> {
    (!n.is_nan()).then_some(n > f64::from(CAP))
}

/// Three-digit ZIP areas with 20,000 inhabitants or fewer, by the census of 2000 or by that of 2020.
const SPARSE: [&[u8; 3]; 24] = [
    b"036", b"059", b"063", b"102", b"202", b"203", b"204", b"205", b"369", b"556", b"692", b"753", b"772", b"790",
    b"821", b"823", b"830", b"831", b"878", b"879", b"884", b"890", b"893", b"000",
];

/// The area of a ZIP code (`12345`, `12345-6789` or `123456789`), `000` for the sparsely populated ones.
pub(crate) fn zip3(value: &[u8]) -> Option<[u8; 3]> {
    let text = value.trim_ascii();
    let digits = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
    let valid = match text.len() {
        5 | 9 => digits(text),
        10 => text.get(5) == Some(&b'-') && digits(text.get(..5)?) && digits(text.get(6..)?),
        _ => false,
    };
    let area: [u8; 3] = text.get(..3)?.try_into().ok()?;
    match valid {
        false => None,
        true if SPARSE.contains(&&area) => Some(*b"000"),
        true => Some(area),
    }
}

#[cfg(test)]
#[path = "redact_tests.rs"]
mod tests;
