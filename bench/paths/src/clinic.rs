//! The rules and the catalog of the paths: a made-up clinic, and a role for each amount of masking.

use std::sync::Arc;

use policy::model::{Hold, Redaction};
use policy::{Epoch, Model};

use crate::database::TABLES;
use crate::rules::{self, EIGHT, Protected};

/// Masks two of eight columns.
pub const TWO: &str = "two";
/// Masks six of eight columns.
pub const SIX: &str = "six";
/// Masks six of eight columns and scans the note.
pub const SIX_AND_NOTE: &str = "six-and-note";

/// About half a kilobyte of SQL with three joins over protected tables; it is allowed.
pub const REPORT: &str = "WITH recent AS (SELECT n.id, n.ssn, n.city, row_number() OVER (PARTITION BY n.city ORDER BY n.born \
    DESC) AS place FROM clinic.notes n WHERE n.born > '1950-01-01' AND n.city IN ('a', 'b', 'c')), stays AS (SELECT r.city, \
    count(*) AS stays FROM recent r WHERE r.place <= 5 GROUP BY r.city HAVING count(*) > 1) SELECT p.id, p.ssn, \
    upper(p.full_name) AS name, p.phone, s.stays, CASE WHEN s.stays > 100 THEN 'high' ELSE 'low' END AS band, \
    coalesce(p.city, 'unknown') AS city FROM clinic.people p JOIN stays s ON s.city = p.city JOIN recent l ON l.id = p.id \
    AND l.place = 1 LEFT JOIN clinic.beds b ON b.id = p.id WHERE b.ward IS NOT NULL ORDER BY s.stays DESC, p.id LIMIT 100";

fn model() -> Model {
    let of = |columns, redaction| Protected { columns, detectors: &[], redaction };
    let protected = [
        of("ssn", Redaction::KeepLast { count: 4, fill: '*' }),
        of("email", Redaction::Fill { fill: '*' }),
        of("full_name", Redaction::KeepFirst { count: 1, fill: '*' }),
        of("phone", Redaction::KeepLast { count: 2, fill: '*' }),
        of("born", Redaction::Year),
        of("city", Redaction::Constant("somewhere".into())),
        Protected { columns: "note", detectors: EIGHT, redaction: Redaction::Fill { fill: '*' } },
    ];
    rules::model(&protected, &[(TWO, 2), (SIX, 6), (SIX_AND_NOTE, 7)])
}

/// The rules in force; `holds` are those that hold statements until people approve.
///
/// # Panics
/// When the model above is not valid with them: then nothing is measured.
#[must_use]
pub fn epoch(holds: Vec<Hold>) -> Arc<Epoch> {
    let tables = TABLES.iter().map(|table| rules::table("clinic", table.name, table.oid, table.columns)).collect();
    rules::epoch(&Model { holds, ..model() }, tables)
}
