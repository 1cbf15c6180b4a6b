//! Which detectors find something in a value: the runtime's own scanner, asked for yes or no.

use scan::Detector;

use crate::words::DETECTORS;

/// Number of detectors with shapes built in.
pub(crate) const COUNT: usize = DETECTORS.len();

/// Indices into [`DETECTORS`] of those that hit, each once. Long numbers that only their length makes codes are left out: a
/// column of surrogate keys holds nothing else.
pub(crate) fn detectors(value: &str) -> Vec<usize> {
    let all: Vec<Detector> = DETECTORS.iter().map(|(_, d, _)| *d).filter(|d| *d != Detector::Code).collect();
    let mut found: Vec<usize> = scan::find(&all, value.as_bytes())
        .iter()
        .filter_map(|hit| DETECTORS.iter().position(|(_, d, _)| *d == hit.detector))
        .collect();
    found.sort_unstable();
    found.dedup();
    found
}

/// Name of a detector by index.
pub(crate) fn name(index: usize) -> &'static str {
    DETECTORS.get(index).map_or("?", |(n, ..)| n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_runtimes_scanner_is_asked() {
        let names: Vec<_> = detectors("SSN 212-45-6789, mail a.b@example.org").into_iter().map(name).collect();
        assert!(names.contains(&"ssn") && names.contains(&"email"), "{names:?}");
        assert!(detectors("no acute distress").is_empty());
    }
}
