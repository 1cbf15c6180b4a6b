//! Real tools work through the gateway as they do at the server, but for the exceptions that are listed with their reasons.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use useful::{place::Place, report::Report, tools};

#[test]
fn drivers_orms_data_frames_dbt_terminals_and_bi_tools_work_unchanged() {
    let report = Report::of_tools(&Place::open(), tools::PROGRAMS);
    println!("{report}");
    assert!(report.share().1 >= 150, "{report}");
    let surprises = report.surprises();
    assert!(surprises.is_empty(), "{report}\n{}", surprises.join("\n"));
}
