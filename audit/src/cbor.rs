//! Deterministic CBOR (RFC 8949 section 4.2.1), the part that records need: integers without sign, byte and text
//! strings, arrays, maps with integer keys in ascending order, `true`; one field is a signed integer.
//!
//! The writer fills a slice and never allocates; the reader refuses every encoding but the shortest one, so that equal
//! records have equal bytes and nothing can hide in a second spelling. Floats, tags and indefinite lengths exist
//! for the reader only inside extensions, where they are refused too, except tags.

use crate::decode::DecodeError;

const MAJOR_UINT: u8 = 0;
const MAJOR_NEGATIVE: u8 = 1;
const MAJOR_BYTES: u8 = 2;
const MAJOR_TEXT: u8 = 3;
const MAJOR_ARRAY: u8 = 4;
const MAJOR_MAP: u8 = 5;
const MAJOR_TAG: u8 = 6;
const MAJOR_SIMPLE: u8 = 7;

/// Simple value `true`.
const TRUE: u8 = 0xf5;

/// Nesting of an extension's value.
const DEPTH_MAX: u32 = 8;

/// Fills a slice; past its end it only counts, and [`Writer::finish`] says so.
pub(crate) struct Writer<'a> {
    buffer: &'a mut [u8],
    at: usize,
    overflow: bool,
}

impl<'a> Writer<'a> {
    pub(crate) fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, at: 0, overflow: false }
    }

    /// Bytes written, unless they did not fit.
    pub(crate) fn finish(self) -> Option<usize> {
        if self.overflow { None } else { Some(self.at) }
    }

    #[inline]
    pub(crate) fn raw(&mut self, bytes: &[u8]) {
        match self.buffer.get_mut(self.at..).and_then(|rest| rest.get_mut(..bytes.len())) {
            Some(slot) if !self.overflow => {
                slot.copy_from_slice(bytes);
                self.at += bytes.len();
            }
            _ => self.overflow = true,
        }
    }

    /// The shortest form only.
    #[inline]
    fn head(&mut self, major: u8, value: u64) {
        let major = major << 5;
        if value < 24
            && let Some(slot) = self.buffer.get_mut(self.at)
            && !self.overflow
        {
            *slot = major | value as u8;
            self.at += 1;
        } else {
            self.long_head(major, value);
        }
    }

    fn long_head(&mut self, major: u8, value: u64) {
        let [a, b, c, d, e, f, g, h] = value.to_be_bytes();
        if value < 24 {
            self.raw(&[major | h]);
        } else if value <= u64::from(u8::MAX) {
            self.raw(&[major | 24, h]);
        } else if value <= u64::from(u16::MAX) {
            self.raw(&[major | 25, g, h]);
        } else if value <= u64::from(u32::MAX) {
            self.raw(&[major | 26, e, f, g, h]);
        } else {
            self.raw(&[major | 27, a, b, c, d, e, f, g, h]);
        }
    }

    pub(crate) fn uint(&mut self, value: u64) {
        self.head(MAJOR_UINT, value);
    }

    pub(crate) fn int(&mut self, value: i64) {
        match u64::try_from(value) {
            Ok(value) => self.head(MAJOR_UINT, value),
            Err(_) => self.head(MAJOR_NEGATIVE, !value as u64),
        }
    }

    pub(crate) fn bytes(&mut self, value: &[u8]) {
        self.head(MAJOR_BYTES, value.len() as u64);
        self.raw(value);
    }

    pub(crate) fn text(&mut self, value: &str) {
        self.head(MAJOR_TEXT, value.len() as u64);
        self.raw(value.as_bytes());
    }

    pub(crate) fn array(&mut self, items: u64) {
        self.head(MAJOR_ARRAY, items);
    }

    pub(crate) fn truth(&mut self) {
        self.raw(&[TRUE]);
    }

    /// Opens a map of at most 23 pairs; the count is patched by [`Writer::close_map`].
    pub(crate) fn open_map(&mut self) -> usize {
        let at = self.at;
        self.raw(&[MAJOR_MAP << 5]);
        at
    }

    pub(crate) fn close_map(&mut self, at: usize, pairs: u8) {
        debug_assert!(pairs < 24, "a longer map needs a longer head");
        if let Some(head) = self.buffer.get_mut(at) {
            *head = (MAJOR_MAP << 5) | pairs;
        }
    }
}

/// Reads canonical items from a slice.
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&first, rest) = self.rest.split_first().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(first)
    }

    /// Major type and argument, shortest form enforced. Simple values come back as their byte.
    fn head(&mut self) -> Result<(u8, u64), DecodeError> {
        let first = self.byte()?;
        let (major, low) = (first >> 5, first & 0x1f);
        if major == MAJOR_SIMPLE {
            return Ok((major, u64::from(first)));
        }
        let width = match low {
            0..=23 => return Ok((major, u64::from(low))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return Err(DecodeError::NotCanonical),
        };
        let value = self.take(width)?.iter().fold(0u64, |value, &byte| value << 8 | u64::from(byte));
        let least = match width {
            1 => 24,
            2 => 1 << 8,
            4 => 1 << 16,
            _ => 1 << 32,
        };
        if value < least { Err(DecodeError::NotCanonical) } else { Ok((major, value)) }
    }

    fn expect(&mut self, wanted: u8) -> Result<u64, DecodeError> {
        let (major, value) = self.head()?;
        if major == wanted { Ok(value) } else { Err(DecodeError::WrongType) }
    }

    pub(crate) fn uint(&mut self) -> Result<u64, DecodeError> {
        self.expect(MAJOR_UINT)
    }

    pub(crate) fn int(&mut self) -> Result<i64, DecodeError> {
        let (major, value) = self.head()?;
        let value = i64::try_from(value);
        match major {
            MAJOR_UINT => value.map_err(|_| DecodeError::WrongType),
            MAJOR_NEGATIVE => value.map(|value| !value).map_err(|_| DecodeError::WrongType),
            _ => Err(DecodeError::WrongType),
        }
    }

    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.expect(MAJOR_BYTES)?;
        self.take(usize::try_from(length).map_err(|_| DecodeError::Truncated)?)
    }

    pub(crate) fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.expect(MAJOR_TEXT)?;
        let bytes = self.take(usize::try_from(length).map_err(|_| DecodeError::Truncated)?)?;
        std::str::from_utf8(bytes).map_err(|_| DecodeError::NotUtf8)
    }

    pub(crate) fn array(&mut self) -> Result<u64, DecodeError> {
        self.expect(MAJOR_ARRAY)
    }

    pub(crate) fn map(&mut self) -> Result<u64, DecodeError> {
        self.expect(MAJOR_MAP)
    }

    /// The only boolean that is ever written is `true`.
    pub(crate) fn truth(&mut self) -> Result<(), DecodeError> {
        if self.byte()? == TRUE { Ok(()) } else { Err(DecodeError::WrongType) }
    }

    /// Steps over one canonical item of any kind and returns its bytes.
    pub(crate) fn item(&mut self) -> Result<&'a [u8], DecodeError> {
        let before = self.rest;
        self.skip(DEPTH_MAX)?;
        Ok(&before[..before.len() - self.rest.len()])
    }

    fn skip(&mut self, depth: u32) -> Result<(), DecodeError> {
        let deeper = depth.checked_sub(1).ok_or(DecodeError::TooDeep)?;
        let (major, value) = self.head()?;
        match major {
            MAJOR_UINT | MAJOR_NEGATIVE => Ok(()),
            MAJOR_BYTES => self.take(usize::try_from(value).map_err(|_| DecodeError::Truncated)?).map(|_| ()),
            MAJOR_TEXT => {
                let bytes = self.take(usize::try_from(value).map_err(|_| DecodeError::Truncated)?)?;
                std::str::from_utf8(bytes).map(|_| ()).map_err(|_| DecodeError::NotUtf8)
            }
            MAJOR_ARRAY => (0..value).try_for_each(|_| self.skip(deeper)),
            MAJOR_MAP => {
                let mut last: Option<&[u8]> = None;
                for _ in 0..value {
                    let before = self.rest;
                    self.skip(deeper)?;
                    let key = &before[..before.len() - self.rest.len()];
                    if last.is_some_and(|last| last >= key) {
                        return Err(DecodeError::KeyOrder);
                    }
                    last = Some(key);
                    self.skip(deeper)?;
                }
                Ok(())
            }
            MAJOR_TAG => self.skip(deeper),
            // false, true, null; floats have several spellings and are not used.
            _ if (0xf4..=0xf6).contains(&value) => Ok(()),
            _ => Err(DecodeError::NotCanonical),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_take_their_shortest_form() {
        for (value, bytes) in [
            (0u64, &[0x00][..]),
            (23, &[0x17]),
            (24, &[0x18, 24]),
            (255, &[0x18, 255]),
            (256, &[0x19, 1, 0]),
            (65_536, &[0x1a, 0, 1, 0, 0]),
            (1 << 32, &[0x1b, 0, 0, 0, 1, 0, 0, 0, 0]),
        ] {
            let mut buffer = [0; 9];
            let mut writer = Writer::new(&mut buffer);
            writer.uint(value);
            let length = writer.finish().unwrap();
            assert_eq!(&buffer[..length], bytes);
            assert_eq!(Reader::new(bytes).uint(), Ok(value));
        }
    }

    #[test]
    fn longer_spellings_are_refused() {
        for bytes in
            [&[0x18, 23][..], &[0x19, 0, 255], &[0x1a, 0, 0, 255, 255], &[0x1b, 0, 0, 0, 0, 255, 255, 255, 255]]
        {
            assert_eq!(Reader::new(bytes).uint(), Err(DecodeError::NotCanonical));
        }
        // Indefinite length, half float, unsorted map, duplicate key.
        assert_eq!(Reader::new(&[0x9f, 0xff]).item(), Err(DecodeError::NotCanonical));
        assert_eq!(Reader::new(&[0xf9, 0, 0]).item(), Err(DecodeError::NotCanonical));
        assert_eq!(Reader::new(&[0xa2, 2, 0, 1, 0]).item(), Err(DecodeError::KeyOrder));
        assert_eq!(Reader::new(&[0xa2, 1, 0, 1, 0]).item(), Err(DecodeError::KeyOrder));
        assert_eq!(Reader::new(&[0x81; 64]).item(), Err(DecodeError::TooDeep));
        assert_eq!(Reader::new(&[0x9b, 255, 255, 255, 255, 255, 255, 255, 255]).item(), Err(DecodeError::Truncated));
    }

    #[test]
    fn a_full_buffer_is_reported_and_not_overrun() {
        let mut buffer = [0; 4];
        let mut writer = Writer::new(&mut buffer);
        writer.text("abcd");
        assert_eq!(writer.finish(), None);
    }
}
