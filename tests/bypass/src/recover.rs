//! The search: which protected values stand in the bytes that reached a client, in any of the known disguises.
//!
//! Plain, reversed, digits alone, hexadecimal, base64 at every alignment, URL-encoded, UTF-16, as a hash an attacker can look
//! up, dates in the usual styles and as seconds, and the binary forms of dates, moments and numbers. A caller may also have
//! values put together from pieces: the values of a row, of a column, or character codes. A value counts once, with its
//! characters. All needles are searched in one pass by an automaton built once.

use crate::{
    client::values,
    truth::{Cell, Kind, Truth, shown},
};
use ::tests::wire::Frame;
use aho_corasick::AhoCorasick;
use base64::{Engine, engine::general_purpose::STANDARD};
use md5::{Digest, Md5};
use sha2::Sha256;
use std::collections::BTreeSet;

/// How sure a hit has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// Any occurrence counts: the statement is known and its answer holds little else.
    Any,
    /// A value of digits alone must be a whole number or word: answers are full of other numbers.
    Whole,
}

/// Numbers of cells, in their order in the truth.
pub type Found = BTreeSet<usize>;

/// The needles.
#[derive(Debug)]
pub struct Finder {
    /// Letters match in either case.
    folded: AhoCorasick,
    folded_cells: Vec<(usize, bool)>,
    /// Base64 and binary.
    exact: AhoCorasick,
    exact_cells: Vec<usize>,
    characters: Vec<usize>,
}

/// Bytes looked at of what is put together from pieces.
const PIECES_BYTES_MAX: usize = 4 << 20;

impl Finder {
    /// Builds the automata for these values.
    ///
    /// # Panics
    /// There are more values than an automaton holds (hundreds of millions).
    #[must_use]
    pub fn new(truth: &Truth) -> Self {
        let (mut folded, mut folded_cells, mut exact, mut exact_cells) = (vec![], vec![], vec![], vec![]);
        for (index, cell) in truth.cells.iter().enumerate() {
            for needle in readable(cell) {
                let digits = needle.iter().all(u8::is_ascii_digit);
                folded.push(needle);
                folded_cells.push((index, digits));
            }
            for needle in encoded(cell) {
                exact.push(needle);
                exact_cells.push(index);
            }
        }
        let build = |needles: &[Vec<u8>], fold: bool| {
            AhoCorasick::builder().ascii_case_insensitive(fold).build(needles).expect("an automaton of this size")
        };
        Self {
            folded: build(&folded, true),
            folded_cells,
            exact: build(&exact, false),
            exact_cells,
            characters: truth.cells.iter().map(|cell| shown(cell).chars().count()).collect(),
        }
    }

    /// Characters these values have together.
    #[must_use]
    pub fn characters(&self, found: &Found) -> u64 {
        found.iter().map(|&index| self.characters[index] as u64).sum()
    }

    /// Values that stand in these bytes.
    #[must_use]
    pub fn find(&self, bytes: &[u8], care: Care) -> Found {
        let mut found = Found::new();
        for hit in self.folded.find_overlapping_iter(bytes) {
            let (index, digits) = self.folded_cells[hit.pattern().as_usize()];
            let part_of_more = |at: Option<&u8>| at.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'.');
            let start = hit.start().checked_sub(1).and_then(|at| bytes.get(at));
            if care == Care::Any || !digits || !(part_of_more(start) || part_of_more(bytes.get(hit.end()))) {
                found.insert(index);
            }
        }
        for hit in self.exact.find_overlapping_iter(bytes) {
            found.insert(self.exact_cells[hit.pattern().as_usize()]);
        }
        found
    }

    /// Values that stand in what came back, frame by frame and with line breaks of encodings taken out.
    #[must_use]
    pub fn in_frames(&self, frames: &[Frame], care: Care) -> Found {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend(frame.bytes());
        }
        let mut found = self.find(&bytes, care);
        // Encoders break lines at 76 characters; text formats write a line break as one byte or as an escape.
        if bytes.windows(2).any(|pair| pair[0] == b'\n' || pair == b"\\n") {
            let text: Vec<u8> = replace(&bytes, b"\\n", b"\n").into_iter().filter(|&b| b != b'\n').collect();
            found.extend(self.find(&text, care));
        }
        if bytes.iter().any(|b| matches!(b, 0xE2 | 0xEF)) {
            found.extend(self.find(&plain(&bytes), care));
        }
        found
    }

    /// Values that can be put together from the pieces in what came back: rows, columns, character codes.
    #[must_use]
    pub fn in_pieces(&self, frames: &[Frame], care: Care) -> Found {
        let rows = table(frames);
        let width = rows.iter().map(Vec::len).max().unwrap_or(0);
        let mut by_row = Vec::new();
        let mut codes_by_row = Vec::new();
        let mut by_column = vec![Vec::new(); width];
        let mut codes_by_column = vec![Vec::new(); width];
        for row in &rows {
            for (column, raw) in row.iter().enumerate() {
                let value = squeezed(raw);
                by_column[column].extend(&value);
                let codes = codes(raw, &value);
                codes_by_column[column].extend(&codes);
                codes_by_row.extend(codes);
                by_row.extend(value);
            }
            by_row.push(b'\n');
            codes_by_row.push(b'\n');
        }
        let mut found = Found::new();
        for mut bytes in by_column.into_iter().chain(codes_by_column).chain([by_row, codes_by_row]) {
            bytes.truncate(PIECES_BYTES_MAX);
            found.extend(self.find(&bytes, care));
        }
        found
    }
}

/// Rows of DataRow and of text COPY.
fn table(frames: &[Frame]) -> Vec<Vec<Vec<u8>>> {
    let mut rows = Vec::new();
    for frame in frames {
        match frame.tag {
            b'D' => rows.push(values(frame).into_iter().map(|value| value.unwrap_or_default().to_vec()).collect()),
            b'd' => rows.extend(
                frame.body.split(|&b| b == b'\n').map(|line| line.split(|&b| b == b'\t').map(<[u8]>::to_vec).collect()),
            ),
            _ => {}
        }
    }
    rows
}

/// Without what stands between the elements of arrays, records and JSON.
fn squeezed(value: &[u8]) -> Vec<u8> {
    value.iter().copied().filter(|b| !b"{}()[],\" \n\0".contains(b)).collect()
}

/// The characters whose codes a value is, or lists.
fn codes(raw: &[u8], value: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(raw);
    match text.trim_matches(['{', '}', '[', ']']).split(',').map(|part| part.trim().parse::<u8>().ok()).collect() {
        Some(list) if text.contains(',') => list,
        _ => binary_codes(raw).unwrap_or_else(|| code(value).into_iter().collect()),
    }
}

/// The same of an int4 array in binary form.
fn binary_codes(raw: &[u8]) -> Option<Vec<u8>> {
    let (head, elements) = raw.split_at_checked(20)?;
    if head[..4] != 1_u32.to_be_bytes() || head[8..12] != 23_u32.to_be_bytes() {
        return None;
    }
    elements
        .chunks(8)
        .map(|element| element.get(4..8)?.try_into().ok().map(u32::from_be_bytes)?.try_into().ok())
        .collect()
}

/// A number as the character it is the code of.
fn code(value: &[u8]) -> Option<u8> {
    let number = match (std::str::from_utf8(value).ok().and_then(|text| text.parse::<u32>().ok()), value) {
        (Some(number), _) => number,
        // Four bytes lose their zeros when pieces are squeezed.
        (None, [number]) => u32::from(*number),
        _ => return None,
    };
    u8::try_from(number).ok().filter(|b| (32..127).contains(b))
}

/// Look-alikes as what they look like, and without what does not show.
fn plain(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let plain = |c: char| match c {
        '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}' => None,
        '\u{ff01}'..='\u{ff5e}' => char::from_u32(u32::from(c) - 0xFEE0),
        '\u{2010}'..='\u{2015}' | '\u{2212}' => Some('-'),
        other => Some(other),
    };
    text.chars().filter_map(plain).collect::<String>().into_bytes()
}

fn replace(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(&first) = rest.first() {
        if rest.starts_with(from) {
            out.extend(to);
            rest = &rest[from.len()..];
        } else {
            out.push(first);
            rest = &rest[1..];
        }
    }
    out
}

/// Forms in which letter case does not matter.
fn readable(cell: &Cell) -> Vec<Vec<u8>> {
    let value = shown(cell);
    let mut texts = vec![value.to_owned()];
    let digits: String = value.chars().filter(char::is_ascii_digit).collect();
    if digits.len() >= 8 && digits.len() < value.len() && cell.kind != Kind::Timestamp {
        texts.push(digits.clone());
    }
    match cell.kind {
        Kind::Date => texts.extend(dates(value)),
        Kind::Timestamp => texts.extend(moments(value)),
        // As clinical notes write telephone numbers.
        Kind::Text if value.starts_with('(') => texts.push(value.replace(['(', ')'], "").replace(' ', "-")),
        Kind::Text => {}
    }
    let mut needles = Vec::new();
    for text in &texts {
        needles.push(text.clone().into_bytes());
        needles.push(text.bytes().rev().collect());
    }
    for form in cases(value) {
        needles.push(hex(form.as_bytes()).into_bytes());
        needles.push(hex(&Md5::digest(form.as_bytes())).into_bytes());
        needles.push(hex(&Sha256::digest(form.as_bytes())).into_bytes());
        let wide: Vec<u16> = form.encode_utf16().collect();
        needles.push(wide.iter().flat_map(|unit| unit.to_le_bytes()).collect());
        needles.push(wide.iter().flat_map(|unit| unit.to_be_bytes()).collect());
        let url: String = form.bytes().map(percent).collect();
        if url != form {
            needles.push(url.into_bytes());
        }
        // bytea's escapes and XML leave these values as they are; octal and numeric references do not.
        needles.push(form.bytes().flat_map(|b| format!("&#{b};").into_bytes()).collect());
    }
    needles.sort();
    needles.dedup();
    needles
}

/// Forms that must match to the byte.
fn encoded(cell: &Cell) -> Vec<Vec<u8>> {
    let value = shown(cell);
    let mut needles = Vec::new();
    for form in cases(value) {
        for skip in 0..3 {
            needles.push(base64_at(form.as_bytes(), skip));
        }
    }
    for hash in [Md5::digest(value.as_bytes()).to_vec(), Sha256::digest(value.as_bytes()).to_vec()] {
        needles.push(hash.clone());
        needles.push(STANDARD.encode(hash).into_bytes());
    }
    let sized = |bytes: &[u8]| [&(bytes.len() as u32).to_be_bytes(), bytes].concat();
    match cell.kind {
        Kind::Date => {
            if let Some(days) = day_number(value) {
                needles.push(sized(&(days as i32 - DAYS_TO_2000).to_be_bytes()));
                let micros = i64::from(days as i32 - DAYS_TO_2000) * 86_400_000_000;
                needles.push(sized(&micros.to_be_bytes()));
            }
        }
        Kind::Timestamp => {
            if let Some(seconds) = second_number(value) {
                let micros = (seconds - i64::from(DAYS_TO_2000) * 86_400) * 1_000_000;
                needles.push(sized(&micros.to_be_bytes()));
            }
        }
        Kind::Text => {
            let digits: String = value.chars().filter(char::is_ascii_digit).collect();
            if let Ok(number) = digits.parse::<i64>()
                && digits.len() >= 8
            {
                needles.push(sized(&number.to_be_bytes()));
                needles.push(sized(&(number as f64).to_be_bytes()));
                if let Ok(number) = i32::try_from(number) {
                    needles.push(sized(&number.to_be_bytes()));
                }
                needles.push(numeric(number));
            }
        }
    }
    needles.retain(|needle| needle.len() >= 6);
    needles.sort();
    needles.dedup();
    needles
}

fn cases(value: &str) -> BTreeSet<String> {
    BTreeSet::from([value.to_owned(), value.to_lowercase(), value.to_uppercase()])
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn percent(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    }
}

/// The characters of base64 that depend on these bytes alone when so many bytes stand before them.
fn base64_at(bytes: &[u8], skip: usize) -> Vec<u8> {
    let mut padded = vec![0; skip];
    padded.extend(bytes);
    let text = STANDARD.encode(&padded);
    let from = (skip * 8).div_ceil(6);
    let to = padded.len() * 8 / 6;
    text.as_bytes()[from..to].to_vec()
}

/// A whole number in numeric's binary form, without its length: groups of four decimal digits.
fn numeric(number: i64) -> Vec<u8> {
    let mut groups = Vec::new();
    let mut rest = number;
    while rest > 0 {
        groups.push((rest % 10_000) as u16);
        rest /= 10_000;
    }
    let weight = groups.len().saturating_sub(1) as u16;
    while groups.first() == Some(&0) {
        groups.remove(0);
    }
    let mut bytes = Vec::new();
    for part in [groups.len() as u16, weight, 0, 0] {
        bytes.extend(part.to_be_bytes());
    }
    groups.iter().rev().for_each(|group| bytes.extend(group.to_be_bytes()));
    bytes
}

/// From 1970-01-01 to 2000-01-01.
const DAYS_TO_2000: i32 = 10_957;

/// Days since 1970-01-01 of an ISO date.
#[must_use]
pub fn day_number(iso: &str) -> Option<i64> {
    let mut parts = iso.get(..10)?.split('-').map(|part| part.parse::<i64>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year - era * 400;
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    Some(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
}

/// The ISO date so many days after 1970-01-01.
#[must_use]
pub fn iso_date(days: i64) -> String {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let of_era = z - era * 146_097;
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn second_number(text: &str) -> Option<i64> {
    let days = day_number(text)?;
    let (hour, minute) = (text.get(11..13)?.parse::<i64>().ok()?, text.get(14..16)?.parse::<i64>().ok()?);
    Some(days * 86_400 + hour * 3_600 + minute * 60)
}

fn dates(iso: &str) -> Vec<String> {
    let [year, month, day] = iso.split('-').collect::<Vec<_>>()[..] else { return Vec::new() };
    let mut list = vec![
        format!("{month}/{day}/{year}"),
        format!("{day}/{month}/{year}"),
        format!("{day}.{month}.{year}"),
        format!("{month}-{day}-{year}"),
        format!("{year}/{month}/{day}"),
    ];
    if let Some(days) = day_number(iso) {
        list.push((days * 86_400).to_string());
        list.push((days + 2_440_588).to_string());
    }
    list
}

fn moments(text: &str) -> Vec<String> {
    let mut list = vec![text.replace(' ', "T")];
    if let Some(seconds) = second_number(text) {
        list.push(seconds.to_string());
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn truth() -> Truth {
        let cell =
            |place: &str, value: &str, kind| Cell { place: place.into(), key: "1".into(), value: value.into(), kind };
        Truth {
            cells: vec![
                cell("ssn", "705-10-1005", Kind::Text),
                cell("dob", "1902-02-10", Kind::Date),
                cell("name", "Xavqaaab", Kind::Text),
                cell("seen", "2024-03-05 13:22:00+00", Kind::Timestamp),
            ],
            keys: Vec::new(),
        }
    }

    fn hits(bytes: &[u8]) -> Vec<usize> {
        Finder::new(&truth()).find(bytes, Care::Any).into_iter().collect()
    }

    #[test]
    fn a_value_is_found_in_every_disguise() {
        for text in [
            "id=705-10-1005.",
            "5001-01-507",
            "x705101005x",
            &hex(b"705-10-1005"),
            &STANDARD.encode("705-10-1005"),
            &STANDARD.encode("a705-10-1005"),
            &STANDARD.encode("ab705-10-1005c"),
            "7\x000\x005\x00-\x001\x000\x00-\x001\x000\x000\x005\x00",
            &hex(&Md5::digest(b"705-10-1005")),
        ] {
            assert_eq!(hits(text.as_bytes()), [0], "{text}");
        }
        for text in ["1902-02-10", "02/10/1902", "19020210", "10.02.1902", "-2142460800"] {
            assert_eq!(hits(text.as_bytes()), [1], "{text}");
        }
        assert_eq!(hits(b"XAVQAAAB"), [2]);
        assert_eq!(hits(b"2024-03-05T13:22"), [3]);
        assert!(hits(b"705-10-1006 xxx-xx-1005 1902-01-01 2024-03-05 13:23").is_empty());
    }

    #[test]
    fn binary_forms_are_found_with_their_length() {
        let date =
            [&4_u32.to_be_bytes()[..], &(day_number("1902-02-10").unwrap() as i32 - 10_957).to_be_bytes()].concat();
        assert_eq!(hits(&date), [1]);
        assert_eq!(hits(&[&8_u32.to_be_bytes()[..], &705_101_005_i64.to_be_bytes()].concat()), [0]);
        assert_eq!(hits(&[0, 3, 0, 2, 0, 0, 0, 0, 0, 7, 0x01, 0xFE, 0x03, 0xED]), [0]);
    }

    #[test]
    fn whole_numbers_are_told_from_parts_of_longer_ones() {
        let finder = Finder::new(&truth());
        assert!(finder.find(b"17051010059", Care::Whole).is_empty());
        assert!(finder.find(b"0.705101005", Care::Whole).is_empty());
        assert_eq!(finder.find(b"{705101005,", Care::Whole).len(), 1);
        assert_eq!(finder.find(b"x705-10-1005x", Care::Whole).len(), 1);
    }

    #[test]
    fn pieces_are_put_together() {
        let finder = Finder::new(&truth());
        let row = |values: &[&str]| {
            let mut body = (values.len() as u16).to_be_bytes().to_vec();
            for value in values {
                body.extend((value.len() as u32).to_be_bytes());
                body.extend(value.as_bytes());
            }
            Frame { tag: b'D', body }
        };
        let characters: Vec<Frame> = "705-10-1005".chars().map(|c| row(&[&c.to_string()])).collect();
        assert_eq!(finder.in_pieces(&characters, Care::Any).len(), 1);
        let codes: Vec<Frame> = "705-10-1005".bytes().map(|c| row(&["9", &c.to_string()])).collect();
        assert_eq!(finder.in_pieces(&codes, Care::Any).len(), 1);
        assert_eq!(finder.in_pieces(&[row(&["705", "-10-", "1005"])], Care::Any).len(), 1);
        assert!(finder.in_frames(&characters, Care::Any).is_empty());
    }

    #[test]
    fn days_and_dates_agree() {
        for days in [-24_837, -1, 0, 59, 10_957, 19_904, 20_513] {
            assert_eq!(day_number(&iso_date(days)), Some(days));
        }
        assert_eq!(iso_date(19_904), "2024-06-30");
    }
}
