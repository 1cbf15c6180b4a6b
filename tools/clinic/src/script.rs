//! The SQL script that makes the clinic: schema, then one COPY per table, for psql.

use crate::{
    Dice,
    calendar::Date,
    lists, note,
    patient::{Patient, TODAY},
};
use std::io::{self, Write};

/// What to make.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Number of patients.
    pub patients: u64,
    /// Same seed, same data.
    pub seed: u64,
    /// Every protected value unique (at most [`Patient::CANARIES_MAX`] patients).
    pub canary: bool,
}

const SCHEMA: &str = "\
create schema clinic;
create table clinic.departments (name text, beds int);
create table clinic.patients (
    patient_id bigint primary key, mrn text, ssn text, first_name text, last_name text, dob date, sex text, phone text,
    email text, street text, city text, state text, zip text, insurance_member_id text, created_at timestamptz);
create table clinic.encounters (
    encounter_id bigint primary key, patient_id bigint references clinic.patients, admitted_at timestamptz, department text,
    icd10 text, age_at_visit int, charge numeric(10,2));
create table clinic.notes (
    note_id bigint primary key, encounter_id bigint, patient_id bigint, author text, written_at timestamptz, note text);
";

const INDEXES: &str = "\
create index on clinic.encounters (patient_id);
create index on clinic.notes (patient_id);
analyze clinic.patients, clinic.encounters, clinic.notes, clinic.departments;
";

/// Writes the whole script.
///
/// # Errors
/// Only those of `out`.
pub fn write(out: &mut impl Write, options: Options) -> io::Result<()> {
    let person = |id| if options.canary { Patient::canary(id) } else { Patient::plausible(options.seed, id) };
    writeln!(out, "\\set ON_ERROR_STOP on\nset client_min_messages = warning;\nset timezone = 'UTC';\nbegin;")?;
    out.write_all(SCHEMA.as_bytes())?;

    writeln!(out, "copy clinic.departments from stdin;")?;
    for (name, beds) in lists::DEPARTMENTS {
        writeln!(out, "{name}\t{beds}")?;
    }
    writeln!(out, "\\.\ncopy clinic.patients from stdin;")?;
    for id in 1..=options.patients {
        let p = person(id);
        let sex = if p.female { "F" } else { "M" };
        let created = Date::from_days(p.created_days);
        writeln!(
            out,
            "{id}\t{}\t{}\t{}\t{}\t{}\t{sex}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{created} {:02}:{:02}:00+00",
            p.mrn,
            p.ssn,
            p.first_name,
            p.last_name,
            p.born,
            p.phone,
            p.email,
            p.street,
            p.city,
            p.state,
            p.zip,
            p.member,
            7 + id % 11,
            id * 7 % 60,
        )?;
    }
    writeln!(out, "\\.\ncopy clinic.encounters from stdin;")?;
    let mut encounter = 0;
    for id in 1..=options.patients {
        let p = person(id);
        for visit in visits(options, &p) {
            encounter += 1;
            writeln!(
                out,
                "{encounter}\t{id}\t{} {:02}:{:02}:00+00\t{}\t{}\t{}\t{}.{:02}",
                visit.date,
                visit.hour,
                visit.minute,
                visit.department,
                visit.code,
                visit.age,
                visit.dollars,
                visit.cents
            )?;
        }
    }
    writeln!(out, "\\.\ncopy clinic.notes from stdin;")?;
    encounter = 0;
    for id in 1..=options.patients {
        let p = person(id);
        for visit in visits(options, &p) {
            encounter += 1;
            let mut dice = Dice::new(options.seed, 3, encounter);
            let author = dice.pick(lists::AUTHORS);
            let text = note::text(&mut dice, &p, options.canary, visit.date, visit.diagnosis, visit.age);
            writeln!(
                out,
                "{encounter}\t{encounter}\t{id}\t{author}\t{} {:02}:59:00+00\t{text}",
                visit.date, visit.hour
            )?;
        }
    }
    writeln!(out, "\\.")?;
    out.write_all(INDEXES.as_bytes())?;
    writeln!(out, "commit;")
}

struct Visit {
    date: Date,
    hour: u64,
    minute: u64,
    department: &'static str,
    code: &'static str,
    diagnosis: &'static str,
    age: i64,
    dollars: u64,
    cents: u64,
}

/// One or two visits of a patient, between the day the file was opened and the end of the data.
fn visits(options: Options, p: &Patient) -> impl Iterator<Item = Visit> {
    let mut dice = Dice::new(options.seed, 2, p.id);
    let (count, born, created) = (*dice.pick(&[1, 1, 2]), p.born_days, p.created_days);
    (0..count).map(move |_| {
        let days = created + dice.between(0, (TODAY - created) as u64) as i64;
        let (code, diagnosis) = *dice.pick(lists::DIAGNOSES);
        Visit {
            date: Date::from_days(days),
            hour: dice.between(6, 22),
            minute: dice.between(0, 58),
            department: dice.pick(lists::DEPARTMENTS).0,
            code,
            diagnosis,
            age: (days - born) * 100 / 36_525,
            dollars: dice.between(80, 48_000),
            cents: dice.between(0, 99),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script(options: Options) -> String {
        let mut out = Vec::new();
        write(&mut out, options).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn same_options_give_the_same_bytes_and_another_seed_does_not() {
        let options = Options { patients: 50, seed: 5, canary: false };
        assert_eq!(script(options), script(options));
        assert_ne!(script(options), script(Options { seed: 6, ..options }));
    }

    #[test]
    fn every_row_has_the_columns_of_its_table() {
        let text = script(Options { patients: 300, seed: 5, canary: false });
        let mut columns = None;
        let mut rows = 0;
        for line in text.lines() {
            match (line, columns) {
                ("\\.", _) => columns = None,
                (row, Some(count)) => {
                    assert_eq!(row.split('\t').count(), count, "{row}");
                    assert!(!row.contains('\\'), "COPY would read an escape: {row}");
                    rows += 1;
                }
                (head, None) if head.starts_with("copy clinic.") => {
                    columns = Some(match &head[12..15] {
                        "dep" => 2,
                        "pat" => 15,
                        "enc" => 7,
                        _ => 6,
                    });
                }
                _ => {}
            }
        }
        assert!(rows > 900, "{rows}");
    }

    #[test]
    fn notes_hold_the_identifiers_of_their_patient() {
        let text = script(Options { patients: 40, seed: 1, canary: true });
        for id in 1..=40 {
            let p = Patient::canary(id);
            assert_eq!(text.matches(&p.last_name).count(), 1, "names of canaries stay out of notes");
            assert!(text.matches(&p.ssn).count() >= 2, "{}", p.ssn);
            assert!(text.matches(&p.mrn).count() >= 2, "{}", p.mrn);
        }
    }
}
