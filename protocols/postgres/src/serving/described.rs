//! RowDescription (manual: Message Formats), read without taking memory: how many columns, and in which formats.
//!
//! Invariant: what [`formats`] takes, [`super::rows::description`] takes, and both say the same. Deliberately absent: names
//! and types, which only a plan needs.

use super::Formats;
use contract::{Fault, Format, Reader};

const MALFORMED: Fault = Fault::upstream("malformed RowDescription from the database");

/// Columns and formats of a RowDescription's body.
pub(super) fn formats(body: &[u8]) -> Result<(usize, Formats), Fault> {
    let mut r = Reader::new(body);
    let count = usize::from(r.i16().ok_or(MALFORMED)?.cast_unsigned());
    let mut binary = false;
    for _ in 0..count {
        r.text().ok_or(MALFORMED)?;
        r.take(16).ok_or(MALFORMED)?;
        binary |= format(&mut r)? == Format::Binary;
    }
    if !r.rest().is_empty() || count > 1664 * 2 {
        return Err(MALFORMED);
    }
    if !binary {
        return Ok((count, Formats::Text));
    }
    let mut r = Reader::new(body);
    r.take(2).ok_or(MALFORMED)?;
    let mut each = Vec::with_capacity(count);
    for _ in 0..count {
        r.text().ok_or(MALFORMED)?;
        r.take(16).ok_or(MALFORMED)?;
        each.push(format(&mut r)?);
    }
    Ok((count, Formats::Each(each.into())))
}

fn format(r: &mut Reader<'_>) -> Result<Format, Fault> {
    match r.i16().ok_or(MALFORMED)? {
        0 => Ok(Format::Text),
        1 => Ok(Format::Binary),
        _ => Err(MALFORMED),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::super::rows;
    use super::*;
    use proptest::prelude::*;

    fn body() -> impl Strategy<Value = Vec<u8>> {
        let column = ("[a-z]{0,5}", any::<[u8; 16]>(), 0u8..3);
        (proptest::collection::vec(column, 0..6), -1i16..2, any::<bool>()).prop_map(|(columns, off, cut)| {
            let count = i16::try_from(columns.len()).unwrap() + if cut { off } else { 0 };
            let mut body = count.to_be_bytes().to_vec();
            for (name, rest, format) in columns {
                body.extend(name.as_bytes());
                body.push(0);
                body.extend(rest);
                body.extend([0, format]);
            }
            body
        })
    }

    proptest! {
        #[test]
        fn it_says_what_the_full_reading_says(body in body(), end in 0usize..200) {
            for body in [&body[..], &body[..end.min(body.len())]] {
                let full = rows::description(body).map(|(columns, formats)| (columns.len(), format!("{formats:?}")));
                let quick = formats(body).map(|(count, formats)| (count, format!("{formats:?}")));
                prop_assert_eq!(full, quick);
            }
        }
    }
}
