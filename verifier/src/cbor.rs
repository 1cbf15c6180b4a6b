//! Deterministic CBOR (RFC 8949 section 4.2.1), read strictly: one spelling for each value, nothing else accepted.
//!
//! Invariants: a reader never looks behind its slice, never allocates, and never recurses deeper than [`DEPTH`].
//! Deliberately not here: writing, floats, indefinite lengths (refused as "not canonical").

/// Why bytes are not what the schema says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strange {
    /// The bytes end within an item.
    Short,
    /// Another spelling of the value would be shorter, or the kind of item is never used.
    Spelling,
    /// Keys of a map do not ascend.
    Order,
    /// An item of another kind than the schema has here.
    Kind,
    /// Text that is not UTF-8.
    Utf8,
    /// Items nested too deeply.
    Deep,
    /// Bytes behind the last item.
    Trailing,
    /// Longer than any record may be.
    Long,
    /// The field holds its default and should be absent.
    Default(u64),
    /// The field's value is outside its range.
    Range(u64),
    /// The field is not one of this type of record.
    Field(u64),
    /// The field is missing.
    Missing(u64),
    /// No such type of record.
    Type(u64),
    /// No such version of the schema.
    Version(u64),
}

impl std::fmt::Display for Strange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match *self {
            Self::Short => f.write_str("it ends early"),
            Self::Spelling => f.write_str("its encoding is not canonical"),
            Self::Order => f.write_str("its map keys do not ascend"),
            Self::Kind => f.write_str("a field holds a value of the wrong kind"),
            Self::Utf8 => f.write_str("a text is not UTF-8"),
            Self::Deep => f.write_str("an extension is nested too deeply"),
            Self::Trailing => f.write_str("bytes follow it"),
            Self::Long => f.write_str("it is too long"),
            Self::Default(key) => write!(f, "field {key} spells out its default"),
            Self::Range(key) => write!(f, "field {key} is out of range"),
            Self::Field(key) => write!(f, "field {key} does not belong to this type of record"),
            Self::Missing(key) => write!(f, "field {key} is missing"),
            Self::Type(number) => write!(f, "record type {number} is unknown to this verifier"),
            Self::Version(version) => write!(f, "schema version {version} is unknown to this verifier"),
        }
    }
}

impl std::error::Error for Strange {}

/// Nesting of an item that is stepped over.
const DEPTH: u32 = 8;

/// A place in canonical bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Starts at the first byte.
    #[must_use]
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// Nothing is left.
    #[must_use]
    pub(crate) fn is_done(&self) -> bool {
        self.rest.is_empty()
    }

    #[inline]
    fn split(&mut self, count: u64) -> Result<&'a [u8], Strange> {
        let count = usize::try_from(count).map_err(|_| Strange::Short)?;
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(Strange::Short)?;
        self.rest = rest;
        Ok(taken)
    }

    /// Initial byte's major type and the argument behind it.
    #[inline]
    fn argument(&mut self) -> Result<(u8, u64), Strange> {
        let (&first, rest) = self.rest.split_first().ok_or(Strange::Short)?;
        self.rest = rest;
        let (major, short) = (first >> 5, first & 31);
        if short < 24 {
            return Ok((major, u64::from(short)));
        }
        // Major type 7 with an argument is a float or an unassigned simple value.
        if short > 27 || major == 7 {
            return Err(Strange::Spelling);
        }
        let width = 1usize << (short - 24);
        let (bytes, rest) = self.rest.split_at_checked(width).ok_or(Strange::Short)?;
        self.rest = rest;
        let mut wide = [0; 8];
        wide[8 - width..].copy_from_slice(bytes);
        let value = u64::from_be_bytes(wide);
        let fits_shorter = match width {
            1 => value < 24,
            2 => value <= 0xff,
            4 => value <= 0xffff,
            _ => value <= 0xffff_ffff,
        };
        if fits_shorter { Err(Strange::Spelling) } else { Ok((major, value)) }
    }

    #[inline]
    fn of(&mut self, major: u8) -> Result<u64, Strange> {
        match self.argument()? {
            (found, value) if found == major => Ok(value),
            _ => Err(Strange::Kind),
        }
    }

    /// An unsigned integer.
    ///
    /// # Errors
    /// Another item, or not canonical.
    #[inline]
    pub(crate) fn uint(&mut self) -> Result<u64, Strange> {
        self.of(0)
    }

    /// An integer that fits 64 bits with sign.
    ///
    /// # Errors
    /// Another item, or not canonical.
    pub(crate) fn int(&mut self) -> Result<i64, Strange> {
        let (major, value) = self.argument()?;
        let value = i64::try_from(value).map_err(|_| Strange::Kind)?;
        match major {
            0 => Ok(value),
            1 => Ok(-1 - value),
            _ => Err(Strange::Kind),
        }
    }

    /// A byte string.
    ///
    /// # Errors
    /// Another item, or not canonical.
    pub(crate) fn bytes(&mut self) -> Result<&'a [u8], Strange> {
        let length = self.of(2)?;
        self.split(length)
    }

    /// A text.
    ///
    /// # Errors
    /// Another item, not canonical, or not UTF-8.
    pub(crate) fn text(&mut self) -> Result<&'a str, Strange> {
        let length = self.of(3)?;
        std::str::from_utf8(self.split(length)?).map_err(|_| Strange::Utf8)
    }

    /// Opens an array: its length.
    ///
    /// # Errors
    /// Another item, or not canonical.
    pub(crate) fn array(&mut self) -> Result<u64, Strange> {
        self.of(4)
    }

    /// Opens a map: its pairs.
    ///
    /// # Errors
    /// Another item, or not canonical.
    pub(crate) fn map(&mut self) -> Result<u64, Strange> {
        self.of(5)
    }

    /// The value `true`.
    ///
    /// # Errors
    /// Anything else.
    pub(crate) fn truth(&mut self) -> Result<(), Strange> {
        match self.argument()? {
            (7, 21) => Ok(()),
            _ => Err(Strange::Kind),
        }
    }

    /// Steps over one item of any kind and returns its bytes.
    ///
    /// # Errors
    /// Not canonical, or nested too deeply.
    pub(crate) fn item(&mut self) -> Result<&'a [u8], Strange> {
        let before = self.rest;
        self.step(DEPTH)?;
        Ok(&before[..before.len() - self.rest.len()])
    }

    fn step(&mut self, depth: u32) -> Result<(), Strange> {
        let below = depth.checked_sub(1).ok_or(Strange::Deep)?;
        let (major, value) = self.argument()?;
        match major {
            0 | 1 => {}
            2 => drop(self.split(value)?),
            3 => drop(std::str::from_utf8(self.split(value)?).map_err(|_| Strange::Utf8)?),
            4 => {
                for _ in 0..value {
                    self.step(below)?;
                }
            }
            5 => {
                let mut last: &[u8] = &[];
                for _ in 0..value {
                    let before = self.rest;
                    self.step(below)?;
                    let key = &before[..before.len() - self.rest.len()];
                    // The shortest key is one byte, so every first key is greater than nothing.
                    if key <= last {
                        return Err(Strange::Order);
                    }
                    last = key;
                    self.step(below)?;
                }
            }
            6 => self.step(below)?,
            // false, true and null.
            _ if (20..=22).contains(&value) => {}
            _ => return Err(Strange::Spelling),
        }
        Ok(())
    }
}
