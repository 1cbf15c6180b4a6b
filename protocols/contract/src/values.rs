//! The values of one planned column in a batch of rows: found by the protocol, changed by the redactor.
//!
//! ```text
//!   bytes   …│ 4 "1234" │ 11 "123-45-6789" │…│ 4 "1235" │ 11 "987-65-4321" │…     rows of one batch, as they came
//!   fields              {start, len}                     {start, len}             one for each row, column by column
//! ```
//!
//! Values are found first and changed afterwards: a change right behind the walk would make the walk wait for the store.
//! Invariants: the fields of a batch do not overlap; a value is changed where it lies only to one of the same length, and
//! everything else is kept aside until the rows are written again; a field outside of the bytes becomes NULL.
//! Deliberately absent: framing, and what becomes of a value.

use crate::Redacted;
use std::ops::Range;

/// Values that are given to [`Values::each_of_many`] at a time: a bit for each.
pub const MANY: usize = 64;

/// Length of a field that is NULL.
const NULL_LEN: u32 = u32::MAX;
/// The value is what lies there.
const THERE: u32 = u32::MAX;
/// The value became NULL.
const NULLED: u32 = u32::MAX - 1;

/// Where one value lies, and what became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field {
    start: u32,
    len: u32,
    /// Where its new bytes begin among those kept aside, or one of the words above.
    fate: u32,
    new_len: u32,
}

/// What became of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// What lies there is what goes on.
    There,
    /// NULL.
    Null,
    /// These of the bytes kept aside.
    Aside(Range<usize>),
}

impl Default for Field {
    fn default() -> Self {
        Self::null(0)
    }
}

impl Field {
    /// A value of `len` bytes; `u32::MAX` is NULL's, as it is on the wire.
    #[inline(always)]
    #[must_use]
    pub const fn new(start: u32, len: u32) -> Self {
        Self { start, len, fate: THERE, new_len: 0 }
    }

    /// A NULL.
    #[must_use]
    pub const fn null(start: u32) -> Self {
        Self::new(start, NULL_LEN)
    }

    /// It came as NULL.
    #[inline(always)]
    #[must_use]
    pub const fn is_null(&self) -> bool {
        self.len == NULL_LEN
    }

    /// Where the value lies; nothing of a NULL.
    #[inline(always)]
    #[must_use]
    pub const fn range(&self) -> Range<usize> {
        let start = self.start as usize;
        start..start + if self.is_null() { 0 } else { self.len as usize }
    }

    /// First byte and length; `u32::MAX` is NULL's.
    #[inline(always)]
    #[must_use]
    pub const fn span(&self) -> (u32, u32) {
        (self.start, self.len)
    }

    /// What became of it.
    #[inline(always)]
    #[must_use]
    pub const fn fate(&self) -> Fate {
        match self.fate {
            THERE => Fate::There,
            NULLED => Fate::Null,
            at => Fate::Aside(at as usize..at as usize + self.new_len as usize),
        }
    }

    /// What lies there has to be written in another way, so it counts as changed.
    pub fn set_aside(&mut self, bytes: &[u8], aside: &mut Vec<u8>) {
        match (u32::try_from(aside.len()), u32::try_from(bytes.len())) {
            (Ok(at), Ok(len)) if at < NULLED => {
                (self.fate, self.new_len) = (at, len);
                aside.extend_from_slice(bytes);
            }
            _ => self.fate = NULLED,
        }
    }
}

/// The values of one planned column in a batch of rows.
#[derive(Debug)]
pub struct Values<'a> {
    bytes: &'a mut [u8],
    fields: &'a mut [Field],
    aside: &'a mut Vec<u8>,
    scratch: &'a mut Vec<u8>,
    /// Some field is no longer as long as it was.
    resized: bool,
}

impl<'a> Values<'a> {
    /// The values at `fields` of `bytes`. What has to be kept aside is appended to `aside`; `scratch` is for one value.
    pub fn new(bytes: &'a mut [u8], fields: &'a mut [Field], aside: &'a mut Vec<u8>, scratch: &'a mut Vec<u8>) -> Self {
        Self { bytes, fields, aside, scratch, resized: false }
    }

    /// Some value is not where it was, so the rows have to be written again.
    #[must_use]
    pub const fn resized(&self) -> bool {
        self.resized
    }

    /// Number of values, NULLs included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.fields.len()
    }

    /// There are none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// What the values lie in.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        self.bytes
    }

    /// Where in [`Values::bytes`] value `n` lies; `None` if it is NULL.
    #[must_use]
    pub fn range(&self, n: usize) -> Option<Range<usize>> {
        let field = self.fields.get(n).filter(|field| !field.is_null())?;
        let range = field.range();
        (range.end <= self.bytes.len()).then_some(range)
    }

    /// Value `n`, to be changed where it lies; `None` if it is NULL.
    pub fn get_mut(&mut self, n: usize) -> Option<&mut [u8]> {
        let range = self.range(n)?;
        self.bytes.get_mut(range)
    }

    /// Value `n`; `None` if it is NULL.
    #[inline]
    #[must_use]
    pub fn get(&self, n: usize) -> Option<&[u8]> {
        self.bytes.get(self.range(n)?)
    }

    /// Says what becomes of value `n`: nothing, NULL, or `new`. A NULL stays one.
    pub fn set(&mut self, n: usize, redacted: Redacted, new: &[u8]) {
        let Some(field) = self.fields.get_mut(n).filter(|field| !field.is_null()) else { return };
        self.resized |= settle(field, self.bytes, redacted, new, self.aside);
    }

    /// All become NULL.
    pub fn nulls(&mut self) {
        for field in self.fields.iter_mut().filter(|field| !field.is_null()) {
            field.fate = NULLED;
            self.resized = true;
        }
    }

    /// Each value becomes what `redact` says.
    pub fn each(&mut self, mut redact: impl FnMut(&[u8], &mut Vec<u8>) -> Redacted) {
        self.each_in_place(|_| false, |value, scratch| redact(value, scratch));
    }

    /// Like [`Values::each_in_place`], but `many` is first given [`MANY`] values at a time, and says by bits which of them it
    /// left as they were: the others are changed. It may write only to values, each in its own length.
    #[inline]
    pub fn each_of_many(
        &mut self,
        mut many: impl FnMut(&mut [u8], &[Field]) -> u64,
        mut change: impl FnMut(&mut [u8]) -> bool,
        mut redact: impl FnMut(&[u8], &mut Vec<u8>) -> Redacted,
    ) {
        for fields in self.fields.chunks_mut(MANY) {
            let mut left = many(self.bytes, fields);
            while let Some(field) = fields.get_mut(left.trailing_zeros() as usize) {
                left &= left - 1;
                self.resized |= each(self.bytes, field, self.aside, self.scratch, &mut change, &mut redact);
            }
        }
    }

    /// All become these bytes.
    pub fn all(&mut self, new: &[u8]) {
        let mut kept: Option<Field> = None;
        for field in self.fields.iter_mut().filter(|field| !field.is_null()) {
            match (self.bytes.get_mut(field.range()), kept) {
                (None, _) => field.fate = NULLED,
                (Some(value), _) if value.len() == new.len() => value.copy_from_slice(new),
                (_, Some(kept)) => (field.fate, field.new_len) = (kept.fate, kept.new_len),
                (_, None) => {
                    field.set_aside(new, self.aside);
                    kept = Some(*field);
                }
            }
            self.resized |= field.fate != THERE;
        }
    }

    /// Changes each value where it lies by `change`, which may leave it as it is and say `false`: then `redact` says what
    /// becomes of it.
    #[inline]
    pub fn each_in_place(
        &mut self,
        mut change: impl FnMut(&mut [u8]) -> bool,
        mut redact: impl FnMut(&[u8], &mut Vec<u8>) -> Redacted,
    ) {
        for field in self.fields.iter_mut() {
            self.resized |= each(self.bytes, field, self.aside, self.scratch, &mut change, &mut redact);
        }
    }
}

/// Changes one value; whether it has another place now.
#[inline]
fn each(
    bytes: &mut [u8],
    field: &mut Field,
    aside: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    change: &mut impl FnMut(&mut [u8]) -> bool,
    redact: &mut impl FnMut(&[u8], &mut Vec<u8>) -> Redacted,
) -> bool {
    if field.is_null() {
        return false;
    }
    let Some(value) = bytes.get_mut(field.range()) else {
        field.fate = NULLED;
        return true;
    };
    if change(value) {
        return false;
    }
    let redacted = redact(value, scratch);
    settle(field, bytes, redacted, scratch, aside)
}

/// Whether the field has another place now.
fn settle(field: &mut Field, bytes: &mut [u8], redacted: Redacted, new: &[u8], aside: &mut Vec<u8>) -> bool {
    match (redacted, bytes.get_mut(field.range())) {
        (Redacted::Keep, Some(_)) => false,
        (Redacted::Scratch, Some(value)) if value.len() == new.len() => {
            value.copy_from_slice(new);
            false
        }
        (Redacted::Scratch, Some(_)) => {
            field.set_aside(new, aside);
            true
        }
        (Redacted::Null, _) | (_, None) => {
            field.fate = NULLED;
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_place_unless_their_length_changes() {
        let mut bytes = *b"abc-defg--h";
        let mut fields =
            [Field::new(0, 3), Field::null(3), Field::new(4, 4), Field::new(10, 1), Field::new(9, 5), Field::new(8, 0)];
        let (mut aside, mut scratch) = (Vec::new(), Vec::new());
        let mut values = Values::new(&mut bytes, &mut fields, &mut aside, &mut scratch);
        assert_eq!((values.get(0), values.get(1), values.get(4)), (Some(&b"abc"[..]), None, None));
        values.each_in_place(
            |value| {
                let short = value.len() == 3;
                if short {
                    value.fill(b'*');
                }
                short
            },
            |value, scratch| {
                scratch.clear();
                scratch.extend_from_slice(value);
                scratch.extend_from_slice(b"!");
                if value == b"h" { Redacted::Keep } else { Redacted::Scratch }
            },
        );
        assert!(values.resized());
        assert_eq!(&bytes, b"***-defg--h");
        assert_eq!(aside, b"defg!!");
        let fates: Vec<Fate> = fields.iter().map(Field::fate).collect();
        let (there, null) = (Fate::There, Fate::Null);
        assert_eq!(fates, [there.clone(), there.clone(), Fate::Aside(0..5), there, null, Fate::Aside(5..6)]);
    }

    #[test]
    fn what_many_left_is_changed_one_by_one() {
        let mut bytes = *b"abcdefgh";
        let mut fields = [Field::new(0, 2), Field::new(2, 1), Field::null(3), Field::new(3, 2), Field::new(5, 9)];
        let (mut aside, mut scratch) = (Vec::new(), Vec::new());
        let mut values = Values::new(&mut bytes, &mut fields, &mut aside, &mut scratch);
        values.each_of_many(
            |bytes, fields| {
                bytes[fields[0].range()].fill(b'*');
                u64::MAX << 1
            },
            |value| {
                let one = value.len() == 1;
                if one {
                    value.fill(b'-');
                }
                one
            },
            |value, scratch| {
                scratch.clear();
                scratch.extend_from_slice(&[value, b"!"].concat());
                Redacted::Scratch
            },
        );
        assert!(values.resized());
        assert_eq!((&bytes, aside.as_slice()), (b"**-defgh", &b"de!"[..]));
        let fates = fields.map(|f| f.fate());
        assert_eq!(fates, [Fate::There, Fate::There, Fate::There, Fate::Aside(0..3), Fate::Null]);
    }

    #[test]
    fn all_become_the_same_and_what_is_as_long_stays_in_its_place() {
        let mut bytes = *b"abcdefgh";
        let mut fields =
            [Field::new(0, 2), Field::new(2, 3), Field::null(3), Field::new(5, 0), Field::new(5, 3), Field::new(7, 2)];
        let (mut aside, mut scratch) = (Vec::new(), Vec::new());
        let mut values = Values::new(&mut bytes, &mut fields, &mut aside, &mut scratch);
        values.all(b"xyz");
        assert!(values.resized());
        assert_eq!((&bytes, aside.as_slice()), (b"abxyzxyz", &b"xyz"[..]));
        let (there, same) = (Fate::There, Fate::Aside(0..3));
        let fates = fields.map(|f| f.fate());
        assert_eq!(fates, [same.clone(), there.clone(), there.clone(), same, there, Fate::Null]);
    }

    #[test]
    fn one_value_is_set_or_nulled_and_a_null_stays() {
        let mut bytes = *b"abcdef";
        let mut fields = [Field::new(0, 3), Field::new(3, 3), Field::null(6)];
        let (mut aside, mut scratch) = (Vec::new(), Vec::new());
        let mut values = Values::new(&mut bytes, &mut fields, &mut aside, &mut scratch);
        values.set(0, Redacted::Scratch, b"xyz");
        assert!(!values.resized());
        values.set(2, Redacted::Scratch, b"xyz");
        assert!(!values.resized(), "a NULL stays one");
        values.nulls();
        assert!(values.resized());
        assert_eq!(&bytes, b"xyzdef");
        assert_eq!(fields.map(|f| f.fate()), [Fate::Null, Fate::Null, Fate::There]);
    }
}
