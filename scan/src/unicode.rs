//! Characters that read like ASCII: written as it before shapes are looked for, and hits carried back to where they came from.
//!
//! Decimal digits of any script, full-width forms, the many hyphens, blanks and points become the ASCII character; characters
//! that show nothing are left out. Everything else stays byte for byte, invalid UTF-8 too. Text in ASCII never comes here.
//! Deliberately absent: letters of other scripts that look Latin, normal forms, and bidirectional order.

/// A text with look-alikes replaced.
#[derive(Clone, Debug)]
pub struct Folded {
    pub(crate) text: Vec<u8>,
    /// Where each byte of `text` came from.
    from: Vec<u32>,
}

impl Folded {
    /// `text` with look-alikes replaced; `None` if it has none, or is too long to be numbered (4 GiB).
    #[must_use]
    pub fn of(text: &[u8]) -> Option<Self> {
        if text.is_ascii() { None } else { fold(text) }
    }

    /// The text to look in.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The bytes of `original` that `start..end` of the folded text stands for.
    #[must_use]
    pub fn origin(&self, original: &[u8], start: usize, end: usize) -> (usize, usize) {
        let at = |i: usize| self.from.get(i).map_or(original.len(), |n| *n as usize);
        let last = end.saturating_sub(1);
        let first_byte = original.get(at(last)).copied().unwrap_or(0);
        // A byte that was made stands for a whole character; one that was kept, for itself.
        let made = self.text.get(last).is_some_and(u8::is_ascii) && first_byte >= 0x80;
        let width = if made { width(first_byte) } else { 1 };
        (at(start), (at(last) + width).min(original.len()))
    }
}

const fn width(lead: u8) -> usize {
    match lead {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xff => 4,
        _ => 1,
    }
}

/// `text` with look-alikes replaced; `None` if it has none, or is too long to be numbered.
pub(crate) fn fold(text: &[u8]) -> Option<Folded> {
    u32::try_from(text.len()).ok()?;
    let mut at = next(text, 0)?;
    let mut folded = Folded { text: Vec::new(), from: Vec::new() };
    let mut kept = 0;
    loop {
        let (character, len) = decode(text.get(at..).unwrap_or_default());
        match character.map_or(Fold::Keep, look_alike) {
            Fold::Keep => {}
            Fold::As(ascii) => {
                folded.keep(text, kept, at);
                folded.text.push(ascii);
                folded.from.push(at as u32);
                kept = at + len;
            }
            Fold::Nothing => {
                folded.keep(text, kept, at);
                kept = at + len;
            }
        }
        match next(text, at + len) {
            Some(n) => at = n,
            None => break,
        }
    }
    if kept == 0 {
        return None;
    }
    folded.keep(text, kept, text.len());
    Some(folded)
}

impl Folded {
    fn keep(&mut self, text: &[u8], from: usize, to: usize) {
        self.text.extend_from_slice(text.get(from..to).unwrap_or_default());
        self.from.extend((from..to).map(|i| i as u32));
    }
}

/// The next byte at or after `at` that is not ASCII.
fn next(text: &[u8], at: usize) -> Option<usize> {
    text.get(at..)?.iter().position(|b| *b >= 0x80).map(|i| at + i)
}

/// The character at the start of `text` and its length; `None` and 1 for a byte that begins none.
fn decode(text: &[u8]) -> (Option<char>, usize) {
    let len = text.first().map_or(1, |b| width(*b));
    let character = text.get(..len).and_then(|b| std::str::from_utf8(b).ok()).and_then(|s| s.chars().next());
    (character, if character.is_some() { len } else { 1 })
}

enum Fold {
    Keep,
    As(u8),
    Nothing,
}

/// Code points of the digit zero of each script that has ten in a row.
const ZEROS: &[u32] = &[
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0, 0xf20,
    0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50, 0xa620, 0xa8d0,
    0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0xff10, 0x104a0, 0x10d30, 0x11066, 0x110f0, 0x11136, 0x111d0, 0x112f0,
    0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50, 0x11d50, 0x11da0, 0x16a60, 0x16ac0,
    0x16b50, 0x1d7ce, 0x1d7d8, 0x1d7e2, 0x1d7ec, 0x1d7f6, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e950, 0x1fbf0,
];

fn look_alike(character: char) -> Fold {
    let code = u32::from(character);
    match code {
        0xad
        | 0x34f
        | 0x61c
        | 0x180e
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2060..=0x2069
        | 0xfe00..=0xfe0f
        | 0xfeff
        | 0x335..=0x338
        | 0x20e3
        | 0xe0000..=0xe01ef => Fold::Nothing,
        0x2010..=0x2015
        | 0x2043
        | 0x2212
        | 0x2d7
        | 0x58a
        | 0x1806
        | 0x2e3a
        | 0x2e3b
        | 0xfe58
        | 0xfe63
        | 0xfe31
        | 0xfe32 => Fold::As(b'-'),
        0xa0 | 0x1680 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 | 0x2028 | 0x2029 => Fold::As(b' '),
        0x2024 | 0xb7 | 0x2027 | 0x2219 | 0x22c5 | 0x30fb | 0x3002 | 0xff61 | 0xfe52 | 0x2022 => Fold::As(b'.'),
        0x2044 | 0x2215 | 0x29f8 | 0x2571 => Fold::As(b'/'),
        0xfe6b => Fold::As(b'@'),
        0x2236 | 0xa789 | 0xfe55 | 0x2d0 | 0xfe13 => Fold::As(b':'),
        0xfe5f => Fold::As(b'#'),
        0x2460..=0x2468 => Fold::As(b'1' + (code - 0x2460) as u8),
        0x24ea => Fold::As(b'0'),
        0xff01..=0xff5e => Fold::As((code - 0xff00 + 0x20) as u8),
        _ => {
            let below = ZEROS.partition_point(|z| *z <= code);
            match below.checked_sub(1).and_then(|i| ZEROS.get(i)) {
                Some(zero) if code - zero < 10 => Fold::As(b'0' + (code - zero) as u8),
                _ => Fold::Keep,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Detector, find};
    use proptest::prelude::*;

    #[test]
    fn digits_are_in_order_and_are_digits() {
        assert!(ZEROS.is_sorted());
        for zero in ZEROS {
            let ten: Option<Vec<char>> = (0..10).map(|i| char::from_u32(zero + i)).collect();
            assert!(ten.unwrap().iter().all(|c| c.is_numeric()), "{zero:x}");
        }
    }

    #[test]
    fn disguises_are_seen_through_and_hits_are_where_they_stand() {
        for (text, want) in [
            ("ssn １２３－４５－６７８９.", "１２３－４５－６７８９"),
            ("ssn 1\u{200b}2\u{200b}3-45-67\u{ad}89 ok", "1\u{200b}2\u{200b}3-45-67\u{ad}89"),
            ("ssn ١٢٣-٤٥-٦٧٨٩!", "١٢٣-٤٥-٦٧٨٩"),
            ("𝟏𝟐𝟑-𝟒𝟓-𝟔𝟕𝟖𝟗", "𝟏𝟐𝟑-𝟒𝟓-𝟔𝟕𝟖𝟗"),
            ("é 123–45—6789 é", "123–45—6789"),
            ("123\u{a0}45\u{202f}6789", "123\u{a0}45\u{202f}6789"),
            ("mail jane＠example．org now", "jane＠example．org"),
            ("jane@exa\u{2060}mple.org", "jane@exa\u{2060}mple.org"),
            ("born １９５２年５月２１日", "１９５２年５月２１日"),
            ("call （４１５） ５５５・０１００", "（４１５） ５５５・０１００"),
            ("192․168․1․1", "192․168․1․1"),
        ] {
            let hits = find(Detector::SHAPES, text.as_bytes());
            let found: Vec<&str> = hits.iter().map(|h| &text[h.start..h.end]).collect();
            assert_eq!(found, [want], "{text}");
        }
    }

    #[test]
    fn text_without_disguises_is_not_copied() {
        assert!(fold("é ü 漢字 ok".as_bytes()).is_none());
        assert!(fold(b"\xff\xfe plain \xc3").is_none());
    }

    proptest! {
        #[test]
        fn origins_are_ordered_and_in_bounds(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            if let Some(folded) = fold(&bytes) {
                prop_assert_eq!(folded.text.len(), folded.from.len());
                prop_assert!(folded.from.is_sorted());
                for start in 0..folded.text.len() {
                    let (from, to) = folded.origin(&bytes, start, start + 1);
                    prop_assert!(from < to && to <= bytes.len());
                }
            }
        }

        #[test]
        fn invisible_characters_do_not_hide_a_number(
            at in proptest::collection::vec(0usize..11, 0..6), which in 0usize..4,
        ) {
            let mut text = "123-45-6789".to_owned();
            for i in at {
                text.insert(text.char_indices().nth(i).map_or(0, |(i, _)| i), ['\u{200b}', '\u{ad}', '\u{feff}', '\u{2060}'][which]);
            }
            let hits = find(&[Detector::Ssn], text.as_bytes());
            prop_assert_eq!(hits.len(), 1);
            let bare: String = text[hits[0].start..hits[0].end].chars().filter(char::is_ascii).collect();
            prop_assert_eq!(bare, "123-45-6789");
        }
    }
}
