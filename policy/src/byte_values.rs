//! Types that are bytes written in hexadecimal: `uuid`, `bytea`, `macaddr`, `macaddr8`.
//!
//! Invariants: a value is read into its bytes, changed there, and written in the format it came in, so that both formats
//! give the same value; what is kept or filled is counted in hexadecimal digits. Deliberately absent: `bytea` in the
//! escape format, whose values become NULL.

use crate::pg_types::oid;
use crate::redact::{Format, Keep, TokenKey};

/// How the bytes are written as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bytes {
    Uuid,
    Bytea,
    /// This many bytes, colons between.
    Mac(usize),
}

/// What becomes of them.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// Digits that are not kept become this one.
    Mask { keep: Keep, digit: u8 },
    /// A keyed token of this many hexadecimal digits, or of as many as the type has.
    Token { key: TokenKey, length: u8 },
}

impl Change {
    /// A fill that is no hexadecimal digit stands for 0.
    pub(crate) fn mask(keep: Keep, fill: char) -> Self {
        let digit = fill.to_digit(16).and_then(|d| u8::try_from(d).ok()).unwrap_or(0);
        Self::Mask { keep, digit }
    }
}

impl Bytes {
    pub(crate) const fn of(type_oid: u32) -> Option<Self> {
        match type_oid {
            oid::UUID => Some(Self::Uuid),
            oid::BYTEA => Some(Self::Bytea),
            oid::MACADDR => Some(Self::Mac(6)),
            oid::MACADDR8 => Some(Self::Mac(8)),
            _ => None,
        }
    }

    /// Bytes of every value, if that is fixed.
    const fn size(self) -> Option<usize> {
        match self {
            Self::Uuid => Some(16),
            Self::Bytea => None,
            Self::Mac(n) => Some(n),
        }
    }

    /// The bytes of a value.
    pub(crate) fn read(self, format: Format, value: &[u8]) -> Option<Vec<u8>> {
        let bytes = match (format, self) {
            (Format::Binary, _) => value.to_vec(),
            (Format::Text, Self::Bytea) => hex(value.strip_prefix(b"\\x")?, &[])?,
            (Format::Text, Self::Uuid) => hex(value, &[4, 6, 8, 10])?,
            (Format::Text, Self::Mac(6)) => hex(value, &[1, 2, 3, 4, 5])?,
            (Format::Text, Self::Mac(_)) => hex(value, &[1, 2, 3, 4, 5, 6, 7])?,
        };
        self.size().is_none_or(|n| n == bytes.len()).then_some(bytes)
    }

    /// Appends the value.
    pub(crate) fn write(self, format: Format, bytes: &[u8], out: &mut Vec<u8>) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        if format == Format::Binary {
            out.extend_from_slice(bytes);
            return;
        }
        if self == Self::Bytea {
            out.extend_from_slice(b"\\x");
        }
        for (i, byte) in bytes.iter().enumerate() {
            match self {
                Self::Uuid if matches!(i, 4 | 6 | 8 | 10) => out.push(b'-'),
                Self::Mac(_) if i > 0 => out.push(b':'),
                Self::Uuid | Self::Mac(_) | Self::Bytea => {}
            }
            out.extend([HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
        }
    }

    /// Appends the redacted value; `None` if it is malformed.
    pub(crate) fn redact(self, change: &Change, format: Format, value: &[u8], out: &mut Vec<u8>) -> Option<()> {
        let mut bytes = self.read(format, value)?;
        match change {
            Change::Mask { keep, digit } => mask(&mut bytes, *keep, *digit),
            Change::Token { key, length } => {
                // As text, so that a column of text with the same identifiers has the same tokens.
                let mut text = Vec::with_capacity(36);
                self.write(if self == Self::Bytea { Format::Binary } else { Format::Text }, &bytes, &mut text);
                let tag = key.tag(&text);
                let taken = self.size().unwrap_or_else(|| usize::from(*length / 2));
                bytes = tag.get(..taken)?.to_vec();
            }
        }
        self.write(format, &bytes, out);
        Some(())
    }
}

fn mask(bytes: &mut [u8], keep: Keep, digit: u8) {
    let digits = bytes.len() * 2;
    let kept = match keep {
        Keep::First(n) | Keep::Last(n) if usize::from(n) < digits => usize::from(n),
        Keep::First(_) | Keep::Last(_) | Keep::None => 0,
    };
    let filled = if matches!(keep, Keep::First(_)) { kept..digits } else { 0..digits - kept };
    for i in filled {
        if let Some(byte) = bytes.get_mut(i / 2) {
            *byte = if i % 2 == 0 { *byte & 0x0f | digit << 4 } else { *byte & 0xf0 | digit };
        }
    }
}

/// Reads pairs of hexadecimal digits with a separator (`-` or `:`) before the bytes at `separated`.
fn hex(text: &[u8], separated: &[usize]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut at = 0;
    while at < text.len() {
        if separated.contains(&bytes.len()) {
            if !matches!(text.get(at), Some(b'-' | b':')) {
                return None;
            }
            at += 1;
        }
        let pair = text.get(at..at + 2)?;
        let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
        bytes.push(digit(pair.first()?)? << 4 | digit(pair.get(1)?)?);
        at += 2;
    }
    Some(bytes)
}
