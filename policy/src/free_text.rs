//! Free text in a column: what `scan` finds in a value, redacted, and nothing else of it.
//!
//! Hits come united and in order; between them the value is copied. JSON stays JSON and XML stays XML, or the value is NULL.
//! This is a backstop for prose and never a boundary. Deliberately absent: finding (the `scan` crate does that).

use std::ops::Range;
use std::sync::Arc;

use contract::Values;
use memchr::memmem;
use scan::{Detector, Folded, Hit, Shapes, dates};

use crate::bundle::Bundle;
use crate::in_place;
use crate::model::{ClassId, Redaction};
use crate::redact::{self, Filler, Format, Keep, Kind, Redacted, TokenKey};

/// What becomes of a hit.
#[derive(Clone, Debug)]
enum Change {
    Mask { keep: Keep, fill: Filler },
    Replace(Vec<u8>),
    Token { key: TokenKey, length: u8 },
    Year,
    Age,
    Zip,
}

/// Scanning prepared for one column.
#[derive(Clone, Debug)]
pub(crate) struct Scanner {
    bundle: Arc<Bundle>,
    shapes: Shapes,
    words: Option<usize>,
    list: u16,
    /// Word lists with expressions.
    numbers: Vec<u16>,
    change: Change,
    kind: Kind,
}

impl Scanner {
    /// For a column of free-text class `class` and this type; `None` where the type holds no text (its values become NULL).
    pub(crate) fn prepare(
        bundle: &Arc<Bundle>,
        class: ClassId,
        redaction: &Redaction,
        type_oid: u32,
        key: Option<&TokenKey>,
    ) -> Option<Self> {
        let kind = Kind::of(type_oid);
        if kind == Kind::Other {
            return None;
        }
        let detectors = &bundle.model().classes.get(usize::from(class))?.detectors;
        let mask = |keep, fill| Change::Mask { keep, fill: Filler::new(fill) };
        let safe = |c: char| match kind {
            Kind::Json | Kind::Jsonb => !matches!(c, '"' | '\\') && c >= ' ',
            Kind::Xml => !matches!(c, '<' | '>' | '&' | '"' | '\''),
            Kind::Char => c.is_ascii(),
            Kind::Text | Kind::Padded | Kind::Other => c != '\0',
        };
        let fill = |c: char| if safe(c) { c } else { '*' };
        let change = match redaction {
            Redaction::Constant(text) if text.chars().all(safe) => Change::Replace(text.clone().into_bytes()),
            Redaction::KeepFirst { count, fill: c } => mask(Keep::First(*count), fill(*c)),
            Redaction::KeepLast { count, fill: c } => mask(Keep::Last(*count), fill(*c)),
            Redaction::Fill { fill: c } => mask(Keep::None, fill(*c)),
            Redaction::Token { length, .. } => match key {
                Some(key) => Change::Token { key: key.clone(), length: *length },
                None => return None,
            },
            Redaction::Year => Change::Year,
            Redaction::AgeCap => Change::Age,
            Redaction::Zip3 => Change::Zip,
            Redaction::Constant(_) | Redaction::Null | Redaction::Refuse | Redaction::Clear => mask(Keep::None, '*'),
        };
        let numbers = detectors
            .iter()
            .filter_map(|d| if let Detector::Words(n) = d { Some(*n) } else { None })
            .filter(|n| bundle.numbers.get(usize::from(*n)).is_some_and(|l| !l.is_empty()))
            .collect();
        let list = detectors.iter().find_map(|d| if let Detector::Words(n) = d { Some(*n) } else { None }).unwrap_or(0);
        let words = bundle.words_of.get(usize::from(class)).copied().flatten();
        Some(Self { bundle: Arc::clone(bundle), shapes: Shapes::of(detectors), words, list, numbers, change, kind })
    }

    /// The result is never longer than the value.
    pub(crate) const fn never_grows(&self) -> bool {
        match &self.change {
            Change::Year | Change::Age | Change::Zip => true,
            Change::Mask { fill, .. } => fill.byte().is_some(),
            Change::Replace(_) | Change::Token { .. } => false,
        }
    }

    /// What is found in `text`, in order, overlaps united.
    fn hits(&self, text: &[u8]) -> Vec<Hit> {
        let folded = Folded::of(text);
        let plain = folded.as_ref().map_or(text, Folded::text);
        let mut hits = Vec::new();
        scan::collect(self.shapes, plain, &mut hits);
        self.words(plain, &mut hits);
        if let Some(folded) = &folded {
            for hit in &mut hits {
                (hit.start, hit.end) = folded.origin(text, hit.start, hit.end);
            }
        }
        if hits.len() > 1 {
            scan::unite(&mut hits);
        }
        hits
    }

    /// Some word list belongs to it.
    fn has_words(&self) -> bool {
        self.words.is_some() || !self.numbers.is_empty()
    }

    /// Adds what the word lists have in `plain`, in no certain order.
    fn words(&self, plain: &[u8], hits: &mut Vec<Hit>) {
        if let Some(words) = self.words.and_then(|w| self.bundle.words.get(w)) {
            let detector = Detector::Words(self.list);
            words.for_each(plain, |start, end| hits.push(Hit { start, end, detector }));
        }
        for list in &self.numbers {
            for number in self.bundle.numbers.get(usize::from(*list)).into_iter().flatten() {
                let found = number.find_iter(plain).filter(|m| scan::whole_word(plain, m.start(), m.end()));
                hits.extend(found.map(|m| Hit { start: m.start(), end: m.end(), detector: Detector::Words(*list) }));
            }
        }
    }

    /// Redacts what is found in the values of a column. Plain texts are looked at together.
    pub(crate) fn apply_batch(&self, format: Format, values: &mut Values<'_>) {
        /// Texts that are looked at together.
        const TEXTS: usize = 64;
        if !matches!(self.kind, Kind::Text | Kind::Padded | Kind::Char) {
            values.each(|value, out| self.apply(format, value, out).into());
            return;
        }
        let (mut hits, mut found, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for first in (0..values.len()).step_by(TEXTS) {
            let count = TEXTS.min(values.len() - first);
            let texts: [Range<usize>; TEXTS] = std::array::from_fn(|n| match n < count {
                true => values.range(first + n).unwrap_or_default(),
                false => 0..0,
            });
            found.clear();
            let texts = texts.get(..count).unwrap_or_default();
            scan::batch(self.shapes, values.bytes(), texts, &mut hits, |n, hits| {
                found.extend(hits.iter().map(|hit| (n, *hit)));
            });
            let mut found = found.as_slice();
            for n in 0..count {
                let of_shapes = found.iter().take_while(|(place, _)| *place == n).count();
                let (own, others) = found.split_at_checked(of_shapes).unwrap_or_default();
                found = others;
                if own.is_empty() && !self.has_words() {
                    continue;
                }
                let Some(text) = values.get(first + n) else { continue };
                hits.clear();
                if self.has_words() && !text.is_ascii() {
                    hits = self.hits(text);
                } else {
                    hits.extend(own.iter().map(|(_, hit)| *hit));
                    self.words(text, &mut hits);
                    if hits.len() > own.len() {
                        scan::unite(&mut hits);
                    }
                }
                if !hits.is_empty() && !self.change_in_place(values, first + n, &hits) {
                    let Some(text) = values.get(first + n) else { continue };
                    out.clear();
                    self.write(text, &hits, &mut out);
                    values.set(first + n, contract::Redacted::Scratch, &out);
                }
            }
        }
    }

    /// Masks the hits of one value where it lies, if that is all there is to do.
    fn change_in_place(&self, values: &mut Values<'_>, n: usize, hits: &[Hit]) -> bool {
        let Change::Mask { keep, fill } = &self.change else { return false };
        let (Some(fill), Some(text)) = (fill.byte(), values.get_mut(n)) else { return false };
        let ascii = |hit: &Hit| text.get(hit.start..hit.end).is_some_and(in_place::is_ascii);
        hits.iter().all(ascii)
            && hits.iter().all(|hit| text.get_mut(hit.start..hit.end).is_some_and(|t| in_place::mask(t, *keep, fill)))
    }

    /// Appends `text` with its hits changed.
    fn write(&self, text: &[u8], hits: &[Hit], out: &mut Vec<u8>) {
        let mut at = 0;
        for hit in hits {
            let Some(between) = text.get(at..hit.start) else { continue };
            out.extend_from_slice(between);
            self.change(hit.detector, text.get(hit.start..hit.end).unwrap_or_default(), out);
            at = hit.end;
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default());
    }

    /// Redacts what is found in one value.
    pub(crate) fn apply(&self, format: Format, value: &[u8], out: &mut Vec<u8>) -> Redacted {
        out.clear();
        // Binary jsonb is a version byte and then the text.
        let skip = usize::from(self.kind == Kind::Jsonb && format == Format::Binary);
        let Some((head, text)) = value.split_at_checked(skip) else { return Redacted::Null };
        if skip == 1 && head != [1] {
            return Redacted::Null;
        }
        let hits = match self.kind {
            Kind::Json | Kind::Jsonb => {
                let Some(plain) = without_escapes(text) else { return Redacted::Null };
                let hits = self.hits(&plain);
                if !hits.is_empty() && !inside_strings(&plain, &hits) {
                    return Redacted::Null;
                }
                hits
            }
            Kind::Xml => {
                let hits = self.hits(text);
                // Character references can spell an identifier; a changed tag is no XML.
                if memmem::find(text, b"&#").is_some() || (!hits.is_empty() && !outside_tags(text, &hits)) {
                    return Redacted::Null;
                }
                hits
            }
            Kind::Text | Kind::Padded | Kind::Char | Kind::Other => self.hits(text),
        };
        if hits.is_empty() {
            return Redacted::Keep;
        }
        out.extend_from_slice(head);
        self.write(text, &hits, out);
        Redacted::Scratch
    }

    fn change(&self, detector: Detector, found: &[u8], out: &mut Vec<u8>) {
        let star = Filler::new('*');
        let fill = |out: &mut Vec<u8>| redact::mask(found, Keep::None, star, out);
        let escaped = matches!(self.kind, Kind::Json | Kind::Jsonb) && found.contains(&b'\\');
        match &self.change {
            _ if escaped => fill(out),
            Change::Mask { keep, fill } => redact::mask(found, *keep, *fill, out),
            Change::Replace(text) => out.extend_from_slice(text),
            Change::Token { key, length } => key.write(found, *length, out),
            Change::Year => match dates::year_of_text(found) {
                Some(year) if detector == Detector::Date => redact::append(out, format_args!("{year:04}")),
                _ => fill(out),
            },
            Change::Age if detector == Detector::Age => out.extend_from_slice(b"90"),
            Change::Zip if detector == Detector::Zip => match redact::zip3(found) {
                Some(area) => out.extend_from_slice(&area),
                None => fill(out),
            },
            Change::Age | Change::Zip => fill(out),
        }
    }
}

/// JSON with its two-byte escapes blanked, positions kept; `None` where an escape stands for a character that
/// a shape could need.
fn without_escapes(json: &[u8]) -> Option<std::borrow::Cow<'_, [u8]>> {
    if memchr::memchr(b'\\', json).is_none() {
        return Some(json.into());
    }
    let mut plain = json.to_vec();
    let mut at = 0;
    while let Some(next) = plain.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += next;
        let kind = *plain.get(at + 1)?;
        let blank = match kind {
            // By number, or a solidus that may be written either way: not as it is read.
            b'u' | b'/' => return None,
            _ => *b"  ",
        };
        plain.get_mut(at..at + 2)?.copy_from_slice(&blank);
        at += 2;
    }
    Some(plain.into())
}

/// Every hit lies inside one JSON string.
fn inside_strings(plain: &[u8], hits: &[Hit]) -> bool {
    let mut inside = false;
    let mut at = 0;
    hits.iter().all(|hit| {
        let quotes = plain.get(at..hit.start).unwrap_or_default().iter().filter(|b| **b == b'"').count();
        inside ^= quotes % 2 == 1;
        at = hit.start;
        inside && !plain.get(hit.start..hit.end).unwrap_or_default().contains(&b'"')
    })
}

/// No hit lies in markup.
fn outside_tags(text: &[u8], hits: &[Hit]) -> bool {
    hits.iter().all(|hit| {
        let before = text.get(..hit.start).unwrap_or_default();
        let open = memchr::memrchr2(b'<', b'>', before).is_some_and(|i| before.get(i) == Some(&b'<'));
        !open && memchr::memchr2(b'<', b'>', text.get(hit.start..hit.end).unwrap_or_default()).is_none()
    })
}

#[cfg(test)]
#[path = "free_text_tests.rs"]
mod tests;
