//! The two forms of PostgreSQL's `numeric`, as far as redactions need them: reading and writing of finite values.
//!
//! Deliberately absent: arithmetic.

/// Longest text read: more digits than the type can have.
const TEXT_BYTES_MAX: usize = 160_000;

/// Base-10000 digits, exponent of the first, sign word, digits after the point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numeric {
    digits: Vec<u16>,
    weight: i16,
    negative: bool,
    scale: u16,
}

const NEGATIVE: u16 = 0x4000;

impl Numeric {
    /// Reads a binary value; `None` for NaN, infinities and anything malformed.
    pub(crate) fn read(value: &[u8]) -> Option<Self> {
        let word = |i: usize| value.get(2 * i..2 * i + 2)?.try_into().ok().map(u16::from_be_bytes);
        let (count, weight, sign, scale) = (word(0)?, word(1)?, word(2)?, word(3)?);
        if value.len() != 8 + 2 * usize::from(count) || (sign != 0 && sign != NEGATIVE) {
            return None;
        }
        let digits: Vec<u16> = (4..4 + usize::from(count)).map_while(word).collect();
        if digits.iter().any(|d| *d > 9999) {
            return None;
        }
        Some(Self { digits, weight: i16::from_ne_bytes(weight.to_ne_bytes()), negative: sign == NEGATIVE, scale })
    }

    /// Reads plain decimal text: an optional sign, digits, and at most one point.
    pub(crate) fn parse(text: &[u8]) -> Option<Self> {
        let (negative, text) = match text.split_first()? {
            (b'-', rest) => (true, rest),
            (b'+', rest) => (false, rest),
            _ => (false, text),
        };
        let point = text.iter().position(|b| *b == b'.').unwrap_or(text.len());
        let (whole, fraction) = (text.get(..point)?, text.get(point + 1..).unwrap_or_default());
        let plain = |part: &[u8]| part.iter().all(u8::is_ascii_digit);
        if !plain(whole) || !plain(fraction) || whole.is_empty() || text.len() > TEXT_BYTES_MAX || text.ends_with(b".")
        {
            return None;
        }
        let lead = (4 - whole.len() % 4) % 4;
        let decimals: Vec<u8> = std::iter::repeat_n(b'0', lead).chain(whole.iter().chain(fraction).copied()).collect();
        let mut digits: Vec<u16> = decimals
            .chunks(4)
            .map(|c| (0..4).fold(0, |n, i| n * 10 + u16::from(c.get(i).map_or(0, |b| b - b'0'))))
            .collect();
        let mut weight = i16::try_from((whole.len() + lead) / 4).ok()? - 1;
        while digits.last() == Some(&0) {
            digits.pop();
        }
        let zeros = digits.iter().take_while(|d| **d == 0).count();
        digits.drain(..zeros);
        weight -= i16::try_from(zeros).ok()?;
        if digits.is_empty() {
            weight = 0;
        }
        let negative = negative && !digits.is_empty();
        Some(Self { digits, weight, negative, scale: u16::try_from(fraction.len()).ok()? })
    }

    /// Plain decimal text, as the server writes it.
    pub(crate) fn text(&self) -> Vec<u8> {
        let digit = |position: i32| {
            let index = usize::try_from(i32::from(self.weight) - position).ok();
            index.and_then(|i| self.digits.get(i)).copied().unwrap_or(0)
        };
        let mut whole = Vec::new();
        for position in (0..=i32::from(self.weight)).rev() {
            crate::redact::append(&mut whole, format_args!("{:04}", digit(position)));
        }
        let zeros = whole.iter().take_while(|b| **b == b'0').count();
        let mut out = Vec::with_capacity(whole.len() + usize::from(self.scale) + 2);
        if self.negative {
            out.push(b'-');
        }
        match whole.get(zeros..) {
            None | Some([]) => out.push(b'0'),
            Some(rest) => out.extend_from_slice(rest),
        }
        if self.scale > 0 {
            out.push(b'.');
            let end = out.len() + usize::from(self.scale);
            let mut position = -1;
            while out.len() < end {
                crate::redact::append(&mut out, format_args!("{:04}", digit(position)));
                position -= 1;
            }
            out.truncate(end);
        }
        out
    }

    /// Appends the binary form.
    pub(crate) fn write(&self, out: &mut Vec<u8>) {
        out.extend(u16::try_from(self.digits.len()).unwrap_or(0).to_be_bytes());
        out.extend(self.weight.to_be_bytes());
        out.extend(if self.negative { NEGATIVE } else { 0 }.to_be_bytes());
        out.extend(self.scale.to_be_bytes());
        out.extend(self.digits.iter().flat_map(|d| d.to_be_bytes()));
    }

    /// Whether it is more than `n`, for `n` below 10,000.
    pub(crate) fn exceeds(&self, n: u16) -> bool {
        let significant = self.digits.iter().any(|d| *d != 0);
        if self.negative || !significant || self.weight < 0 {
            return false;
        }
        let Some((first, rest)) = self.digits.split_first() else { return false };
        match self.weight {
            0 => *first > n || (*first == n && rest.iter().any(|d| *d != 0)),
            // A leading zero digit is never sent by the server; what could hide behind one counts as large.
            _ => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_to_binary_and_back() {
        for (text, digits, weight, scale) in [
            ("90", vec![90], 0, 0),
            ("0", vec![], 0, 0),
            ("12345", vec![1, 2345], 1, 0),
            ("0.05", vec![500], -1, 2),
            ("-10000.5", vec![1, 0, 5000], 1, 1),
        ] {
            let n = Numeric::parse(text.as_bytes()).unwrap();
            assert_eq!((&n.digits, n.weight, n.scale), (&digits, weight, scale), "{text}");
            let mut bytes = Vec::new();
            n.write(&mut bytes);
            assert_eq!(Numeric::read(&bytes).as_ref(), Some(&n), "{text}");
            assert_eq!(n.text(), text.as_bytes(), "{text}");
        }
        for bad in ["", "-", ".5", "5.", "1e5", "NaN", "1.2.3", " 1"] {
            assert_eq!(Numeric::parse(bad.as_bytes()), None, "{bad}");
        }
    }

    #[test]
    fn text_is_as_the_server_writes_it() {
        for (text, want) in
            [("007", "7"), ("-0", "0"), ("+1.50", "1.50"), ("0.000001", "0.000001"), ("100000000", "100000000")]
        {
            assert_eq!(Numeric::parse(text.as_bytes()).unwrap().text(), want.as_bytes(), "{text}");
        }
        let digits = "9".repeat(2000);
        assert_eq!(Numeric::parse(digits.as_bytes()).unwrap().text(), digits.as_bytes());
    }

    #[test]
    fn comparison() {
        for (text, over) in [
            ("89", false),
            ("89.0", false),
            ("89.5", true),
            ("90", true),
            ("-95", false),
            ("10089", true),
            ("0.9", false),
        ] {
            assert_eq!(Numeric::parse(text.as_bytes()).unwrap().exceeds(89), over, "{text}");
        }
    }

    #[test]
    fn malformed() {
        for bytes in
            [&b""[..], &[0, 1, 0, 0, 0, 0, 0, 0], &[0, 0, 0, 0, 0xc0, 0, 0, 0], &[0, 1, 0, 0, 0, 0, 0, 0, 0xff, 0xff]]
        {
            assert_eq!(Numeric::read(bytes), None);
        }
    }
}
