//! Counting: which labels are covered, which hits meet none.
//!
//! A label is covered when every byte of it lies in some hit, whatever found it: redaction unites hits, so that is what a
//! reader would not see. A hit is false when it meets no label at all.

use std::collections::BTreeMap;

use super::kinds;
use super::labelled::Document;

/// A hit of whichever engine.
#[derive(Clone, Debug)]
pub struct Found {
    /// First byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The label that what found it stands for, see [`kinds::stands_for`].
    pub kind: &'static str,
}

/// Counts of one kind of label, or of all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Labels.
    pub labels: usize,
    /// Labels of which every byte was found.
    pub covered: usize,
    /// Labels of which some byte was found.
    pub met: usize,
    /// Hits.
    pub hits: usize,
    /// Hits that meet a label.
    pub right: usize,
}

impl Counts {
    fn add(&mut self, other: Self) {
        self.labels += other.labels;
        self.covered += other.covered;
        self.met += other.met;
        self.hits += other.hits;
        self.right += other.right;
    }

    /// Share of the labels that are covered, 0 to 1; `None` without labels.
    #[must_use]
    pub fn coverage(&self) -> Option<f64> {
        ratio(self.covered, self.labels)
    }

    /// Share of the labels that were met, 0 to 1; `None` without labels.
    #[must_use]
    pub fn recall(&self) -> Option<f64> {
        ratio(self.met, self.labels)
    }

    /// Share of the hits that meet a label, 0 to 1; `None` without hits.
    #[must_use]
    pub fn precision(&self) -> Option<f64> {
        ratio(self.right, self.hits)
    }

    /// Hits that meet no label.
    #[must_use]
    pub const fn wrong(&self) -> usize {
        self.hits - self.right
    }
}

/// `part` of `whole`, 0 to 1; `None` of nothing.
#[must_use]
pub fn ratio(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What one engine did on one set.
#[derive(Clone, Debug, Default)]
pub struct Score {
    /// Per kind of label; hits are counted under the kind their detector stands for.
    pub kinds: BTreeMap<String, Counts>,
    /// Bytes of text.
    pub bytes: usize,
    /// Seconds that finding took.
    pub seconds: f64,
}

impl Score {
    /// Counts what was found in `documents`; `found` has one entry per document.
    #[must_use]
    pub fn of(documents: &[Document], found: &[Vec<Found>], seconds: f64) -> Self {
        let mut score = Self { seconds, ..Self::default() };
        for (document, hits) in documents.iter().zip(found) {
            score.bytes += document.text.len();
            score.document(document, hits);
        }
        score
    }

    fn document(&mut self, document: &Document, hits: &[Found]) {
        let mut inside = vec![false; document.text.len()];
        for hit in hits {
            inside.get_mut(hit.start..hit.end).unwrap_or_default().fill(true);
        }
        for label in &document.labels {
            let part = inside.get(label.start..label.end).unwrap_or_default();
            let entry = self.kinds.entry(label.kind.clone()).or_default();
            entry.add(Counts {
                labels: 1,
                covered: usize::from(part.iter().all(|b| *b)),
                met: usize::from(part.iter().any(|b| *b)),
                ..Counts::default()
            });
        }
        for hit in hits {
            let right = document.labels.iter().any(|l| l.start < hit.end && hit.start < l.end);
            let entry = self.kinds.entry(hit.kind.to_owned()).or_default();
            entry.add(Counts { hits: 1, right: usize::from(right), ..Counts::default() });
        }
    }

    /// All kinds together: labels of the kinds that `counts` picks, and every hit.
    #[must_use]
    pub fn total(&self, counts: impl Fn(&str) -> bool) -> Counts {
        let mut total = Counts::default();
        for (kind, c) in &self.kinds {
            if counts(kind) {
                total.add(*c);
            } else {
                total.add(Counts { hits: c.hits, right: c.right, ..Counts::default() });
            }
        }
        total
    }

    /// Labels with a fixed shape, and every hit.
    #[must_use]
    pub fn structured(&self) -> Counts {
        self.total(kinds::is_structured)
    }

    /// Megabytes (10^6 bytes) a second.
    #[must_use]
    pub fn speed(&self) -> f64 {
        self.bytes as f64 / 1e6 / self.seconds.max(1e-9)
    }

    /// False hits of some kinds per megabyte of text.
    #[must_use]
    pub fn wrong_per_megabyte(&self, wrong: usize) -> f64 {
        wrong as f64 / (self.bytes as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::super::labelled::Label;
    use super::*;

    #[test]
    fn a_label_is_covered_by_several_hits_together_and_a_stray_hit_is_false() {
        let label = |start, end, kind: &str| Label { start, end, kind: kind.to_owned() };
        let hit = |start, end| Found { start, end, kind: "PHONE_NUMBER" };
        let document = Document {
            text: "x".repeat(30),
            labels: vec![label(2, 10, "PHONE_NUMBER"), label(12, 14, "PERSON_NAME"), label(20, 24, "SSN")],
        };
        let score = Score::of(&[document], &[vec![hit(2, 6), hit(5, 10), hit(16, 18), hit(23, 25)]], 1.0);
        let total = score.total(|_| true);
        assert_eq!((total.labels, total.covered, total.met, total.hits, total.right), (3, 1, 2, 4, 3));
        assert_eq!(score.total(|k| k == "SSN").coverage(), Some(0.0));
        assert_eq!(total.wrong(), 1);
    }
}
