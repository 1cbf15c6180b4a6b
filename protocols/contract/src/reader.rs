//! The one way protocol code reads integers and strings from a frame: checked, forward only, big endian.

/// A cursor over the body of one frame.
#[derive(Clone, Copy, Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// Bytes left.
    #[must_use]
    pub fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(n)?;
        let part = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(part)
    }

    /// One byte.
    pub fn u8(&mut self) -> Option<u8> {
        self.take(1).map(|b| b[0])
    }

    /// Two bytes, signed.
    pub fn i16(&mut self) -> Option<i16> {
        let b: [u8; 2] = self.take(2)?.try_into().ok()?;
        Some(i16::from_be_bytes(b))
    }

    /// Four bytes, signed.
    pub fn i32(&mut self) -> Option<i32> {
        let b: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(i32::from_be_bytes(b))
    }

    /// Four bytes, unsigned.
    pub fn u32(&mut self) -> Option<u32> {
        let b: [u8; 4] = self.take(4)?.try_into().ok()?;
        Some(u32::from_be_bytes(b))
    }

    /// As many pieces of `each` bytes as the two bytes before them say, together.
    pub fn counted(&mut self, each: usize) -> Option<&'a [u8]> {
        let count = usize::from(self.i16()?.cast_unsigned());
        self.take(count * each)
    }

    /// A string ended by NUL, without the NUL.
    pub fn text(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest();
        let end = match short_end(rest) {
            Some(end) => end,
            None => memchr::memchr(0, rest)?,
        };
        self.at += end + 1;
        rest.get(..end)
    }
}

/// Where the first NUL is, if that is one of the first eight bytes: most names are short, and the way into a search for long
/// texts is longer than they are.
fn short_end(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let word = u64::from_le_bytes(*bytes.first_chunk()?);
    // The lowest bit that is set stands for the first byte that is zero; higher ones may be of bytes behind it.
    let zeros = word.wrapping_sub(LOW) & !word & HIGH;
    (zeros != 0).then(|| zeros.trailing_zeros() as usize / 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every text of these bytes up to a length beyond one word.
    fn texts() -> impl Iterator<Item = Vec<u8>> {
        const BYTES: [u8; 4] = [0, 1, 0x80, 0xff];
        (0..=9_u32).flat_map(|length| {
            (0..4_usize.pow(length)).map(move |n| (0..length).map(|i| BYTES[n >> (2 * i) & 3]).collect())
        })
    }

    #[test]
    fn a_text_ends_at_its_first_nul() {
        for bytes in texts() {
            let end = bytes.iter().position(|byte| *byte == 0);
            let mut r = Reader::new(&bytes);
            assert_eq!(r.text(), end.map(|end| &bytes[..end]), "{bytes:?}");
            assert_eq!(r.position(), end.map_or(0, |end| end + 1), "{bytes:?}");
        }
    }

    #[test]
    fn what_is_counted_is_all_there_or_nothing() {
        let bytes = [0, 2, 7, 7, 7, 7];
        for (here, each, found) in [(6, 2, Some(4)), (5, 2, None), (6, 1, Some(2)), (2, 0, Some(0)), (1, 0, None)] {
            let mut r = Reader::new(&bytes[..here]);
            assert_eq!(r.counted(each).map(<[u8]>::len), found);
        }
    }
}
