//! The made-up clinic's notes as labelled text: every identifier that was put into a note is a label.
//!
//! The notes are read back from the script that `clinic` writes, and the labels are the places where a value of the note's
//! own patient, or the day of the visit, stands in the text. So a hit that meets no label is a false one for certain.

use std::collections::BTreeMap;

use clinic::Options;

use crate::failure::{Doing, Result};

use super::labelled::{Document, Label};

/// Notes of `patients` patients.
///
/// # Errors
/// The script cannot be made.
pub(super) fn notes(patients: u64, canary: bool) -> Result<Vec<Document>> {
    let mut script = Vec::new();
    clinic::write(&mut script, Options { patients, seed: 1, canary }).doing("make the clinic's notes")?;
    let script = String::from_utf8(script).doing("read the clinic's notes")?;
    let people: BTreeMap<&str, Vec<&str>> =
        table(&script, "patients").map(|row| (row.first().copied().unwrap_or(""), row)).collect();
    Ok(table(&script, "notes")
        .filter_map(|row| {
            let person = people.get(row.get(2).copied()?)?;
            let day = row.get(4)?.get(..10)?;
            Some(labelled(row.get(5)?, person, day))
        })
        .collect())
}

fn table<'s>(script: &'s str, name: &str) -> impl Iterator<Item = Vec<&'s str>> {
    let head = format!("copy clinic.{name} from stdin;");
    script
        .lines()
        .skip_while(move |line| *line != head)
        .skip(1)
        .take_while(|line| *line != "\\.")
        .map(|line| line.split('\t').collect())
}

fn labelled(text: &str, person: &[&str], day: &str) -> Document {
    let field = |i: usize| person.get(i).copied().unwrap_or("");
    let mut labels = Vec::new();
    let mut label = |kind: &str, value: &str| {
        if !value.is_empty() {
            let found = text.match_indices(value).map(|(start, v)| (start, start + v.len()));
            labels.extend(found.map(|(start, end)| Label { start, end, kind: kind.to_owned() }));
        }
    };
    label("MEDICAL_RECORD_NUMBER", field(1));
    label("SOCIAL_SECURITY_NUMBER", field(2));
    label("PERSON_NAME", &format!("{} {}", field(3), field(4)));
    label("PERSON_NAME", field(4));
    for (kind, date) in [("DATE_OF_BIRTH", field(5)), ("DATE_OF_VISIT", day)] {
        label(kind, date);
        label(kind, &american(date));
    }
    label("PHONE_NUMBER", &field(7).replace(['(', ')'], "").replace(' ', "-"));
    label("EMAIL_ADDRESS", field(8));
    label("STREET_ADDRESS", field(9));
    label("POSTAL_CODE", field(12));
    label("HEALTH_INSURANCE_ID", field(13));
    for age in 90..=110 {
        let written = format!("{age} y/o");
        labels.extend(text.match_indices(&written).map(|(start, _)| Label {
            start,
            end: start + age.to_string().len(),
            kind: "AGE".to_owned(),
        }));
    }
    Document { text: text.to_owned(), labels }
}

fn american(date: &str) -> String {
    let mut parts = date.split('-');
    let (y, m, d) = (parts.next(), parts.next(), parts.next());
    match (y, m, d) {
        (Some(y), Some(m), Some(d)) => format!("{m}/{d}/{y}"),
        _ => String::new(),
    }
}
