//! The limits that are written down, and what a count means beside them.
//!
//! Limits hold for one compiler and one kind of processor. A compiler that has no limits fails the gate: they are written anew
//! with its update. A processor that has none is said and not failed. Deliberately absent: limits below which nothing may fall.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

/// A tolerance above this one could hide the slowdown of a tenth that the gate has to report.
pub(crate) const TOLERANCE_PERCENT_MAX: f64 = 6.0;
/// For a path without a line of its own.
pub(crate) const TOLERANCE_PERCENT: f64 = 3.0;

/// The file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limits {
    /// By kind of processor.
    #[serde(default)]
    pub(crate) processor: BTreeMap<String, OfProcessor>,
}

/// Limits of one kind of processor.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct OfProcessor {
    /// Compiler they hold for.
    pub(crate) rustc: String,
    /// C library and valgrind they were counted with; others are said.
    pub(crate) counted_with: String,
    /// By path.
    pub(crate) path: BTreeMap<String, Limit>,
}

/// Limit of a path.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Limit {
    /// Instructions per unit.
    pub(crate) instructions: f64,
    /// How far above a count may be, percent.
    pub(crate) tolerance: f64,
}

impl Limit {
    /// Judges a count.
    pub(crate) fn judge(&self, instructions: f64) -> Verdict {
        let percent = (instructions / self.instructions - 1.0) * 100.0;
        if percent > self.tolerance {
            Verdict::Over
        } else if percent < -self.tolerance {
            Verdict::Under
        } else {
            Verdict::Within
        }
    }
}

/// What a count means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Verdict {
    /// As it was.
    Within,
    /// Better than the limit: it can be written down.
    Under,
    /// More than the limit allows: fails.
    Over,
    /// There is no limit to compare with.
    Unknown,
}

impl Limits {
    /// Reads the file.
    ///
    /// # Errors
    /// It is not in the form of [`Limits::text`], or a limit could not be missed.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let limits: Self = toml::from_str(text).map_err(|error| error.to_string())?;
        for (name, limit) in limits.processor.values().flat_map(|of| &of.path) {
            if !(limit.instructions > 0.0 && (0.0..=TOLERANCE_PERCENT_MAX).contains(&limit.tolerance)) {
                return Err(format!("{name}: instructions above 0, a tolerance of 0 to {TOLERANCE_PERCENT_MAX} %"));
            }
        }
        Ok(limits)
    }

    /// Writes counts down as the limits of a processor; paths that were not counted keep theirs, and every path its tolerance.
    pub(crate) fn update(&mut self, processor: &str, rustc: &str, counted_with: &str, counts: &[(&str, f64)]) {
        let of = self.processor.entry(processor.to_owned()).or_insert_with(|| OfProcessor {
            rustc: String::new(),
            counted_with: String::new(),
            path: BTreeMap::new(),
        });
        rustc.clone_into(&mut of.rustc);
        counted_with.clone_into(&mut of.counted_with);
        for (name, instructions) in counts {
            let tolerance = of.path.get(*name).map_or(TOLERANCE_PERCENT, |limit| limit.tolerance);
            of.path.insert((*name).to_owned(), Limit { instructions: *instructions, tolerance });
        }
    }

    /// The file's text.
    pub(crate) fn text(&self) -> String {
        let mut out = "# Instructions per unit of the pure paths, counted by callgrind; docs/tuning.md says what that means.\n\
             # Written by `cargo run --profile gate -p gate -- --update`; a reason for every rise belongs into the commit.\n"
            .to_owned();
        for (processor, of) in &self.processor {
            let _ = write!(
                out,
                "\n[processor.{processor}]\nrustc = \"{}\"\ncounted_with = \"{}\"\n\n[processor.{processor}.path]\n",
                of.rustc, of.counted_with
            );
            for (name, limit) in &of.path {
                let Limit { instructions, tolerance } = limit;
                let _ =
                    writeln!(out, "{name:<20} = {{ instructions = {instructions:.1}, tolerance = {tolerance:.1} }}");
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut limits = Limits::default();
        limits.update("x86_64-avx2", "1.95.0", "glibc 2.36", &[("rows", 12.25), ("lane", 4000.0)]);
        limits.update("x86_64-avx2", "1.96.0", "glibc 2.36", &[("rows", 13.0)]);
        let read = Limits::parse(&limits.text()).unwrap();
        assert_eq!(read, limits);
        let of = &read.processor["x86_64-avx2"];
        assert_eq!(
            (of.rustc.as_str(), of.path["rows"].instructions, of.path["lane"].instructions),
            ("1.96.0", 13.0, 4000.0)
        );
    }

    #[test]
    fn a_tenth_more_is_over_at_any_tolerance_that_is_allowed() {
        for tolerance in [0.0, TOLERANCE_PERCENT, TOLERANCE_PERCENT_MAX] {
            let limit = Limit { instructions: 1000.0, tolerance };
            assert_eq!(limit.judge(1100.0), Verdict::Over);
            assert_eq!(limit.judge(1000.0), Verdict::Within);
            assert_eq!(limit.judge(900.0), Verdict::Under);
        }
        let file = "[processor.p]\nrustc = \"1\"\ncounted_with = \"\"\n[processor.p.path]\nx = { instructions = 1.0, tolerance = 9.0 }\n";
        assert!(Limits::parse(file).is_err());
    }
}
