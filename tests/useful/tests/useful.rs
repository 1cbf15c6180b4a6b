//! The useful set works, but for the exceptions that are listed with their reasons.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use useful::{case, place::Place, report::Report};

#[test]
fn ordinary_statements_of_an_analyst_work_unchanged() {
    let report = Report::of(&Place::open(), &case::all());
    println!("{report}");
    let surprises = report.surprises();
    assert!(surprises.is_empty(), "{report}\n{}", surprises.join("\n"));
}
