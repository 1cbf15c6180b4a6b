//! Numbers, redacted as the decimal digits they are written with: `smallint`, `integer`, `bigint`, `numeric`.
//!
//! Invariants: a value is read into its decimal text, changed there, and written in the format it came in, so that both
//! formats give the same value; what the type cannot hold is `None`. Deliberately absent: floating point, where digits
//! are an accident of the base.

use crate::numeric::Numeric;
use crate::pg_types::oid;
use crate::redact::{Format, Keep, TokenKey, zip3};

/// Tokens have eighteen digits: as many as `bigint` always holds.
const TOKEN_RANGE: u64 = 1_000_000_000_000_000_000;

/// A type of exact numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Number {
    /// This many bytes.
    Int(usize),
    Numeric,
}

/// What becomes of a number.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Digits that are not kept become this one.
    Mask { keep: Keep, digit: u8 },
    /// A keyed number.
    Token(TokenKey),
    /// The first three digits of a ZIP code that lost its leading zeros.
    Zip,
}

impl Number {
    pub(crate) const fn of(type_oid: u32) -> Option<Self> {
        match type_oid {
            oid::INT2 => Some(Self::Int(2)),
            oid::INT4 => Some(Self::Int(4)),
            oid::INT8 => Some(Self::Int(8)),
            oid::NUMERIC => Some(Self::Numeric),
            _ => None,
        }
    }

    /// A token of eighteen digits fits.
    pub(crate) const fn holds_tokens(self) -> bool {
        matches!(self, Self::Int(8) | Self::Numeric)
    }

    /// The value in plain decimal digits, as the server writes it.
    fn read(self, format: Format, value: &[u8]) -> Option<Vec<u8>> {
        match (format, self) {
            (Format::Text, _) => Numeric::parse(value).map(|n| n.text()),
            (Format::Binary, Self::Int(size)) => {
                if value.len() != size {
                    return None;
                }
                let negative = value.first().is_some_and(|b| *b >= 0x80);
                let start = if negative { -1 } else { 0 };
                Some(value.iter().fold(start, |n: i64, b| n << 8 | i64::from(*b)).to_string().into_bytes())
            }
            (Format::Binary, Self::Numeric) => Numeric::read(value).map(|n| n.text()),
        }
    }

    /// Appends the value that these decimal digits stand for.
    fn write(self, format: Format, text: &[u8], out: &mut Vec<u8>) -> Option<()> {
        match self {
            Self::Int(size) => {
                let n: i64 = std::str::from_utf8(text).ok()?.parse().ok()?;
                match size {
                    2 => drop(i16::try_from(n).ok()?),
                    4 => drop(i32::try_from(n).ok()?),
                    _ => {}
                }
                match format {
                    Format::Text => out.extend_from_slice(n.to_string().as_bytes()),
                    Format::Binary => out.extend_from_slice(n.to_be_bytes().get(8 - size..)?),
                }
            }
            Self::Numeric => {
                let n = Numeric::parse(text)?;
                match format {
                    Format::Text => out.extend_from_slice(&n.text()),
                    Format::Binary => n.write(out),
                }
            }
        }
        Some(())
    }

    /// Appends the redacted value; `None` where there is none of this type.
    pub(crate) fn redact(self, change: &Change, format: Format, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut text = self.read(format, value)?;
        match change {
            Change::Mask { keep, digit } => mask(&mut text, *keep, *digit),
            Change::Token(key) => {
                let tag = key.tag(&text);
                let number = u64::from_be_bytes(*tag.first_chunk()?) % TOKEN_RANGE;
                text = number.to_string().into_bytes();
            }
            Change::Zip => {
                let width = if text.len() <= 5 { 5 } else { 9 };
                let mut padded = vec![b'0'; usize::saturating_sub(width, text.len())];
                padded.extend_from_slice(&text);
                text = zip3(&padded)?.to_vec();
            }
        }
        self.write(format, &text, out)
    }
}

/// Zeros in front say nothing: only what is behind them counts as kept.
fn mask(text: &mut [u8], keep: Keep, digit: u8) {
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    let zeros = text.iter().filter(|b| b.is_ascii_digit()).take_while(|b| **b == b'0').count();
    let kept = match keep {
        Keep::First(n) | Keep::Last(n) if usize::from(n) < digits - zeros => usize::from(n),
        Keep::First(_) | Keep::Last(_) | Keep::None => 0,
    };
    let filled = if matches!(keep, Keep::First(_)) && kept > 0 { zeros + kept..digits } else { 0..digits - kept };
    for (i, byte) in text.iter_mut().filter(|b| b.is_ascii_digit()).enumerate() {
        if filled.contains(&i) {
            *byte = b'0' + digit;
        }
    }
}
