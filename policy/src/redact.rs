//! Redactions, value by value: bytes of one non-NULL value in, what the client gets instead out.
//!
//! Invariants: the result is valid for the column's type and format (what would not be becomes NULL); keeping *n* characters
//! reveals at most *n*, and never a whole value; the work is linear in the value and needs no memory beyond the result.
//! A redaction is prepared once per column ([`Step::prepare`]), so that types are not looked at per value.
//! Deliberately absent: framing of values, and finding what to redact inside free text (the scanner does that).

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::model::Redaction;
use crate::numeric::Numeric;
use scan::dates;

/// PostgreSQL type OIDs that redactions know.
pub(crate) mod oid {
    pub(crate) const BOOL: u32 = 16;
    pub(crate) const CHAR: u32 = 18;
    pub(crate) const NAME: u32 = 19;
    pub(crate) const INT8: u32 = 20;
    pub(crate) const INT2: u32 = 21;
    pub(crate) const INT4: u32 = 23;
    pub(crate) const TEXT: u32 = 25;
    pub(crate) const JSON: u32 = 114;
    pub(crate) const XML: u32 = 142;
    pub(crate) const FLOAT4: u32 = 700;
    pub(crate) const FLOAT8: u32 = 701;
    pub(crate) const UNKNOWN: u32 = 705;
    pub(crate) const BPCHAR: u32 = 1042;
    pub(crate) const VARCHAR: u32 = 1043;
    pub(crate) const DATE: u32 = 1082;
    pub(crate) const TIMESTAMP: u32 = 1114;
    pub(crate) const TIMESTAMPTZ: u32 = 1184;
    pub(crate) const NUMERIC: u32 = 1700;
    pub(crate) const CSTRING: u32 = 2275;
    pub(crate) const UUID: u32 = 2950;
    pub(crate) const JSONB: u32 = 3802;
}

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

    /// Appends the first `length` hexadecimal digits of the token of `value`.
    pub(crate) fn write(&self, value: &[u8], length: u8, out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut mac = self.0.clone();
        mac.update(value);
        let tag = mac.finalize().into_bytes();
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
}

impl Step {
    /// Prepares `redaction` for a column of this type; `None` for [`Redaction::Clear`].
    pub(crate) fn prepare(redaction: &Redaction, type_oid: u32, key: Option<&TokenKey>) -> Option<Self> {
        let kind = Kind::of(type_oid);
        let textual = matches!(kind, Kind::Text | Kind::Padded);
        let mask = |keep: Keep, fill: char| match kind {
            Kind::Text => Self::Mask { keep, fill: Filler::new(fill), padded: false },
            Kind::Padded => Self::Mask { keep, fill: Filler::new(fill), padded: true },
            // One character: nothing of it is ever kept.
            Kind::Char if fill.is_ascii() => Self::Mask { keep: Keep::None, fill: Filler::new(fill), padded: false },
            Kind::Xml if keep == Keep::None && !matches!(fill, '<' | '&') => {
                Self::Mask { keep, fill: Filler::new(fill), padded: false }
            }
            Kind::Char | Kind::Xml | Kind::Json | Kind::Jsonb | Kind::Other => Self::Null,
        };
        Some(match redaction {
            Redaction::Clear => return None,
            Redaction::Null | Redaction::Refuse => Self::Null,
            Redaction::Constant(text) => {
                let (text, binary) = constant(text, type_oid);
                Self::Constant { text, binary }
            }
            Redaction::KeepFirst { count, fill } => mask(Keep::First(*count), *fill),
            Redaction::KeepLast { count, fill } => mask(Keep::Last(*count), *fill),
            Redaction::Fill { fill } => mask(Keep::None, *fill),
            Redaction::Token { length, .. } => match key {
                Some(key) if textual || kind == Kind::Xml => Self::Token { key: key.clone(), length: *length },
                _ => Self::Null,
            },
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
            Redaction::Zip3 => Self::Null,
        })
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
                    out.extend_from_slice(format!("{year:04}").as_bytes());
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
        }
    }
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

/// The constant as a value of the type, in text and in binary.
fn constant(text: &str, type_oid: u32) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let bytes = text.as_bytes();
    if bytes.contains(&0) {
        return (None, None);
    }
    let written = |binary: Option<Vec<u8>>| match binary {
        Some(binary) => (Some(text.trim().as_bytes().to_vec()), Some(binary)),
        None => (None, None),
    };
    let both = |valid: bool| if valid { (Some(bytes.to_vec()), Some(bytes.to_vec())) } else { (None, None) };
    let trimmed = text.trim();
    match type_oid {
        oid::BOOL => match trimmed.to_ascii_lowercase().as_str() {
            "true" | "t" => (Some(b"t".to_vec()), Some(vec![1])),
            "false" | "f" => (Some(b"f".to_vec()), Some(vec![0])),
            _ => (None, None),
        },
        oid::INT2 => written(trimmed.parse::<i16>().ok().map(|n| n.to_be_bytes().to_vec())),
        oid::INT4 => written(trimmed.parse::<i32>().ok().map(|n| n.to_be_bytes().to_vec())),
        oid::INT8 => written(trimmed.parse::<i64>().ok().map(|n| n.to_be_bytes().to_vec())),
        oid::FLOAT4 => written(trimmed.parse::<f32>().ok().filter(|n| n.is_finite()).map(|n| n.to_be_bytes().to_vec())),
        oid::FLOAT8 => written(trimmed.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| n.to_be_bytes().to_vec())),
        oid::NUMERIC => written(Numeric::parse(trimmed.as_bytes()).map(|n| {
            let mut out = Vec::new();
            n.write(&mut out);
            out
        })),
        oid::DATE => written(iso_days(trimmed).and_then(|d| i32::try_from(d).ok()).map(|d| d.to_be_bytes().to_vec())),
        oid::TIMESTAMP | oid::TIMESTAMPTZ => match iso_days(trimmed) {
            Some(day) => {
                let zone = if type_oid == oid::TIMESTAMPTZ { "+00" } else { "" };
                let binary = (day * dates::DAY).to_be_bytes().to_vec();
                (Some(format!("{trimmed} 00:00:00{zone}").into_bytes()), Some(binary))
            }
            None => (None, None),
        },
        oid::UUID => written(uuid(trimmed)),
        _ => match Kind::of(type_oid) {
            Kind::Text | Kind::Padded => both(true),
            Kind::Char => both(bytes.len() == 1),
            Kind::Xml => both(!text.contains(['<', '&'])),
            Kind::Json => both(is_json(text)),
            Kind::Jsonb if is_json(text) => {
                (Some(bytes.to_vec()), Some(std::iter::once(1).chain(bytes.iter().copied()).collect()))
            }
            Kind::Jsonb | Kind::Other => (None, None),
        },
    }
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok()
}

/// `YYYY-MM-DD` as days since 2000-01-01.
fn iso_days(text: &str) -> Option<i64> {
    let date = iso_date(text.as_bytes())?;
    (date.len == text.len()).then(|| dates::days(i64::from(date.year), i64::from(date.month), i64::from(date.day)))
}

struct IsoDate {
    year: u32,
    month: u32,
    day: u32,
    len: usize,
}

/// Reads `YYYY-MM-DD` (four to six digits of year) at the start.
fn iso_date(text: &[u8]) -> Option<IsoDate> {
    let (year, y) = dates::number(text);
    let (month, m) = dates::number(text.get(y + 1..)?);
    let (day, d) = dates::number(text.get(y + 4..)?);
    let dashes = text.get(y) == Some(&b'-') && text.get(y + 3) == Some(&b'-');
    let valid = dashes && (4..=6).contains(&y) && m == 2 && d == 2 && year > 0 && dates::is_day(year, month, day);
    valid.then_some(IsoDate { year, month, day, len: y + 6 })
}

fn uuid(text: &str) -> Option<Vec<u8>> {
    let b = text.as_bytes();
    let dashes = [8, 13, 18, 23].iter().all(|i| b.get(*i) == Some(&b'-'));
    let digits: Vec<u8> = b
        .iter()
        .filter(|b| **b != b'-')
        .map(|b| char::from(*b).to_digit(16))
        .map(|d| d.and_then(|d| u8::try_from(d).ok()))
        .collect::<Option<_>>()?;
    (b.len() == 36 && dashes && digits.len() == 32)
        .then(|| digits.chunks_exact(2).map(|p| p.iter().fold(0, |n, d| n << 4 | d)).collect())
}

/// 1 January of the value's year. Text in another `DateStyle` than ISO is not taken apart: NULL.
fn year_of_date(format: Format, value: &[u8], out: &mut Vec<u8>) -> Option<Redacted> {
    match format {
        Format::Text => {
            let date = iso_date(value)?;
            let era = era(value.get(date.len..)?)?;
            out.extend_from_slice(format!("{:04}-01-01{era}", date.year).as_bytes());
        }
        Format::Binary => {
            let day = i32::from_be_bytes(value.try_into().ok()?);
            if day == i32::MAX || day == i32::MIN {
                return None;
            }
            let first = dates::days(dates::year_of(i64::from(day)), 1, 1);
            out.extend_from_slice(&i32::try_from(first).ok()?.to_be_bytes());
        }
    }
    Some(Redacted::Scratch)
}

/// Midnight of 1 January. With a time zone the zone is UTC in both formats: the value's own offset would tell summer from
/// winter.
fn year_of_timestamp(format: Format, zone: bool, value: &[u8], out: &mut Vec<u8>) -> Option<Redacted> {
    match format {
        Format::Text => {
            let date = iso_date(value)?;
            let rest = value.get(date.len..)?;
            let clock = dates::clock(rest);
            if clock == 0 {
                return None;
            }
            let era = era(rest.get(clock..)?)?;
            let offset = if zone { "+00" } else { "" };
            out.extend_from_slice(format!("{:04}-01-01 00:00:00{offset}{era}", date.year).as_bytes());
        }
        Format::Binary => {
            let micros = i64::from_be_bytes(value.try_into().ok()?);
            if micros == i64::MAX || micros == i64::MIN {
                return None;
            }
            let first = dates::days(dates::year_of(micros.div_euclid(dates::DAY)), 1, 1);
            out.extend_from_slice(&first.checked_mul(dates::DAY)?.to_be_bytes());
        }
    }
    Some(Redacted::Scratch)
}

fn era(rest: &[u8]) -> Option<&'static str> {
    match rest {
        b"" => Some(""),
        b" BC" => Some(" BC"),
        _ => None,
    }
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
