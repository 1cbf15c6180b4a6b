//! The useful set works, but for the exceptions that are listed with their reasons.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use useful::report;

#[test]
fn ordinary_statements_of_an_analyst_work_unchanged() {
    let report = report::statements(&[]);
    println!("{report}");
    assert!(report.share().1 >= 600, "{report}");
    let surprises = report.surprises();
    assert!(surprises.is_empty(), "{report}\n{}", surprises.join("\n"));
}
