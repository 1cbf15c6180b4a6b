//! What an analyst must see instead of a protected value, computed from the value itself, in text and in binary.
//!
//! Written from the rules' description, independent of the gateway's code. Two forms cannot be computed from the value
//! alone: keyed tokens and scanned text. They are compared by their properties: the same value has the same form wherever
//! it comes from, different values have different tokens, a token has its length and alphabet.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

/// A masked form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mask {
    /// NULL.
    Null,
    /// The last four characters, `*` before them.
    Last4,
    /// The last four characters, `x` before them.
    LastX4,
    /// The first character, `.` after it.
    First1,
    /// 1 January of the year.
    Year,
    /// Ages above 89 become 90.
    Age,
    /// First three digits.
    Zip3,
    /// The constant of the rules.
    Hidden,
    /// A keyed token of 16 digits.
    Token,
    /// Free text, scanned.
    Scan,
}

const NAMES: &[(&str, Mask)] = &[
    ("null", Mask::Null),
    ("last4", Mask::Last4),
    ("lastx4", Mask::LastX4),
    ("first1", Mask::First1),
    ("year", Mask::Year),
    ("age", Mask::Age),
    ("zip3", Mask::Zip3),
    ("hidden", Mask::Hidden),
    ("token", Mask::Token),
    ("scan", Mask::Scan),
];

/// How a value is encoded in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// Text format.
    Text,
    /// Binary format of a type with this OID.
    Binary(u32),
}

const INT4: u32 = 23;
const DATE: u32 = 1082;
const TIMESTAMPTZ: u32 = 1184;
const DAY_MICROSECONDS: i64 = 86_400_000_000;

/// Forms that cannot be computed, as they were first seen.
#[derive(Debug, Default)]
pub struct Seen(Mutex<Forms>);

/// Masked form by mask and value.
type Forms = BTreeMap<(Mask, Vec<u8>), Vec<u8>>;

impl Mask {
    /// By the name used in case files.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, mask)| *mask)
    }

    /// Whether `got` is the masked form of `value`; NULL stays NULL.
    ///
    /// # Errors
    /// In words, what was expected.
    pub fn judge(
        self,
        value: Option<&[u8]>,
        got: Option<&[u8]>,
        encoding: Encoding,
        seen: &Seen,
    ) -> Result<(), String> {
        let Some(value) = value else {
            return if got.is_none() { Ok(()) } else { Err("NULL, as in the table".into()) };
        };
        match (self, got) {
            (Self::Token, Some(got)) => token(got).and_then(|()| seen.same(self, value, got)),
            (Self::Scan, Some(got)) => seen.same(self, value, got),
            _ => {
                let expected = self.form(value, encoding);
                if expected.as_deref() == got { Ok(()) } else { Err(format!("{:?}", expected.as_deref().map(lossy))) }
            }
        }
    }

    /// The form, where it follows from the value alone.
    fn form(self, value: &[u8], encoding: Encoding) -> Option<Vec<u8>> {
        let text = || String::from_utf8(value.to_vec()).unwrap();
        let kept = |keep_last: bool, keep: usize, fill: char| -> Vec<u8> {
            let text = text();
            let count = text.chars().count();
            let stays = |i: usize| if keep_last { i + keep >= count } else { i < keep };
            text.chars().enumerate().map(|(i, c)| if stays(i) { c } else { fill }).collect::<String>().into_bytes()
        };
        Some(match self {
            Self::Null => return None,
            Self::Last4 => kept(true, 4, '*'),
            Self::LastX4 => kept(true, 4, 'x'),
            Self::First1 => kept(false, 1, '.'),
            Self::Hidden => b"hidden@example.org".to_vec(),
            Self::Zip3 => value[..3].to_vec(),
            Self::Year => match encoding {
                Encoding::Text if value.len() == 10 => format!("{}-01-01", &text()[..4]).into_bytes(),
                Encoding::Text => format!("{}-01-01 00:00:00+00", &text()[..4]).into_bytes(),
                Encoding::Binary(DATE) => {
                    let days = i32::from_be_bytes(value.try_into().unwrap());
                    new_year(days).to_be_bytes().to_vec()
                }
                Encoding::Binary(TIMESTAMPTZ) => {
                    let days = i64::from_be_bytes(value.try_into().unwrap()).div_euclid(DAY_MICROSECONDS);
                    (i64::from(new_year(days as i32)) * DAY_MICROSECONDS).to_be_bytes().to_vec()
                }
                Encoding::Binary(other) => panic!("no year in type {other}"),
            },
            Self::Age => match encoding {
                Encoding::Text => text().parse::<i64>().unwrap().min(90).to_string().into_bytes(),
                Encoding::Binary(INT4) => i32::from_be_bytes(value.try_into().unwrap()).min(90).to_be_bytes().to_vec(),
                Encoding::Binary(other) => panic!("no age in type {other}"),
            },
            Self::Token | Self::Scan => return None,
        })
    }
}

impl Seen {
    fn same(&self, mask: Mask, value: &[u8], got: &[u8]) -> Result<(), String> {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = seen.get(&(mask, value.to_vec())) {
            return if first == got { Ok(()) } else { Err(format!("{:?}, as before", lossy(first))) };
        }
        if mask == Mask::Token && seen.iter().any(|((of, _), token)| *of == mask && token == got) {
            return Err("a token that no other value has".into());
        }
        seen.insert((mask, value.to_vec()), got.to_vec());
        Ok(())
    }
}

fn token(got: &[u8]) -> Result<(), String> {
    let digits = got.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    if digits && got.len() == 16 { Ok(()) } else { Err("16 hexadecimal digits".into()) }
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Days since 2000-01-01 of 1 January of the year in which `days` since 2000-01-01 is.
fn new_year(days: i32) -> i32 {
    let first = |year: i64| {
        let before = year - 1;
        365 * (year - 2000) + before.div_euclid(4) - before.div_euclid(100) + before.div_euclid(400)
            - (1999 / 4 - 1999 / 100 + 1999 / 400)
    };
    let mut year = 2000 + i64::from(days).div_euclid(365);
    while first(year) > i64::from(days) {
        year -= 1;
    }
    while first(year + 1) <= i64::from(days) {
        year += 1;
    }
    first(year) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(mask: Mask, value: &str) -> Option<String> {
        mask.form(value.as_bytes(), Encoding::Text).map(|form| String::from_utf8(form).unwrap())
    }

    #[test]
    fn forms_follow_the_rules() {
        assert_eq!(text(Mask::Last4, "123-45-6789").as_deref(), Some("*******6789"));
        assert_eq!(text(Mask::LastX4, "(555) 555-1007").as_deref(), Some("xxxxxxxxxx1007"));
        assert_eq!(text(Mask::First1, "Grüne").as_deref(), Some("G...."));
        assert_eq!(text(Mask::Year, "1902-03-04").as_deref(), Some("1902-01-01"));
        assert_eq!(text(Mask::Year, "2023-03-04 10:00:00+00").as_deref(), Some("2023-01-01 00:00:00+00"));
        assert_eq!(text(Mask::Age, "97").as_deref(), Some("90"));
        assert_eq!(text(Mask::Age, "42").as_deref(), Some("42"));
        assert_eq!(text(Mask::Null, "x"), None);
    }

    #[test]
    fn years_begin_where_the_calendar_says() {
        for (days, first) in
            [(0, 0), (365, 0), (366, 366), (-1, -365), (-35_794, -35_794), (-35_795, -36_159), (8_766, 8_766)]
        {
            assert_eq!(new_year(days), first, "{days}");
        }
    }

    #[test]
    fn tokens_are_stable_and_differ() {
        let seen = Seen::default();
        let judge = |value: &str, got: &str| {
            Mask::Token.judge(Some(value.as_bytes()), Some(got.as_bytes()), Encoding::Text, &seen)
        };
        assert!(judge("a", "0123456789abcdef").is_ok());
        assert!(judge("a", "0123456789abcdef").is_ok());
        assert!(judge("a", "1123456789abcdef").is_err());
        assert!(judge("b", "0123456789abcdef").is_err());
        assert!(judge("c", "raw value").is_err());
    }
}
