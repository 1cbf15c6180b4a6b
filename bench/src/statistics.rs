//! Medians, spreads and ratios of few values.
//!
//! Rounds are few and one of them may be far off: the median and the distance of the best from the worst say what a mean
//! and a deviation would hide. Nothing measured is `None`, never zero.

use serde::Serialize;

/// What several rounds gave for one figure.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// Least.
    pub min: f64,
    /// Most.
    pub max: f64,
    /// Median distance from the median.
    pub mad: f64,
    /// How many.
    pub count: usize,
}

impl Summary {
    /// Of these; `None` of none. What is not a number is left out.
    #[must_use]
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = values.into_iter().filter(|value| value.is_finite()).collect();
        sorted.sort_by(f64::total_cmp);
        let median = middle(&sorted)?;
        let mut distances: Vec<f64> = sorted.iter().map(|value| (value - median).abs()).collect();
        distances.sort_by(f64::total_cmp);
        Some(Self {
            median,
            min: sorted.first().copied()?,
            max: sorted.last().copied()?,
            mad: middle(&distances)?,
            count: sorted.len(),
        })
    }

    /// Distance of the most from the least, as a part of the median.
    #[must_use]
    pub fn spread(&self) -> f64 {
        if self.median > 0.0 { (self.max - self.min) / self.median } else { 0.0 }
    }
}

/// `a / b`, if that means anything.
#[must_use]
pub fn ratio(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    let (a, b) = (a?, b?);
    (b > 0.0 && a.is_finite()).then(|| a / b)
}

fn middle(sorted: &[f64]) -> Option<f64> {
    let at = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => Some(sorted[at]),
        _ => Some(sorted[at - 1].midpoint(sorted[at])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_round_far_off_does_not_move_the_median() {
        let summary = Summary::of([10.0, 12.0, 900.0, 11.0, 9.0]).unwrap();
        assert_eq!((summary.median, summary.min, summary.max, summary.mad, summary.count), (11.0, 9.0, 900.0, 1.0, 5));
        assert_eq!(Summary::of([4.0, 1.0]).unwrap().median, 2.5);
        assert_eq!(Summary::of([2.0]).unwrap().spread(), 0.0);
        assert_eq!(Summary::of([1.0, 2.0, 3.0]).unwrap().spread(), 1.0);
    }

    #[test]
    fn nothing_measured_stays_nothing() {
        assert_eq!(Summary::of([]), None);
        assert_eq!(Summary::of([f64::NAN]), None);
        assert_eq!(ratio(Some(1.0), None), None);
        assert_eq!(ratio(Some(1.0), Some(0.0)), None);
        assert_eq!(ratio(Some(3.0), Some(2.0)), Some(1.5));
    }
}
