//! Cases as they stand in `cases/`: SQL files in which `--# id` begins a case and `--@ word …` says more about it.
//!
//! A statement ends with `;` at the end of a line. Ids are unique and never reused for something else, since the list of
//! exceptions names them. `masked c=m` says that every result column of that name has that masked form; `t.*` stands for
//! the protected columns of a table.

use crate::mask::Mask;
use ::tests::gateway::USERS;
use std::{collections::BTreeSet, path::Path};

/// The analyst's name at the gateway.
pub const ANALYST: &str = "ana";

/// One case.
#[derive(Clone, Debug)]
pub struct Case {
    /// `group/what`.
    pub id: String,
    /// Who asks, at the gateway.
    pub user: &'static str,
    /// What is run, in order, in one session.
    pub work: Work,
    /// Result columns that come masked, by name.
    pub masked: Vec<(String, Mask)>,
    /// SQLSTATE that both sides must report, where an error is the expected answer.
    pub error: Option<String>,
    /// Rows differ from run to run: only their number of columns is compared.
    pub shape_only: bool,
}

/// What a case runs.
#[derive(Clone, Debug)]
pub enum Work {
    /// Statements and the text of their parameters; column names of COPY data.
    Sql {
        /// Statements without their closing semicolon.
        statements: Vec<String>,
        /// Values for `$1`, `$2` …; with any the case runs by extended query only.
        parameters: Vec<String>,
        /// Columns of `COPY … TO STDOUT` in text format, for masks.
        columns: Vec<String>,
    },
    /// Lines typed into psql.
    Psql(String),
}

impl Case {
    /// What it runs, as one text.
    pub fn text(&self) -> String {
        match &self.work {
            Work::Sql { statements, .. } => statements.iter().map(|s| format!("{s};")).collect::<Vec<_>>().join("\n"),
            Work::Psql(lines) => lines.clone(),
        }
    }

    /// Whether it leaves nothing behind in its session.
    pub fn leaves_nothing(&self) -> bool {
        let Work::Sql { statements, .. } = &self.work else { return true };
        self.error.is_none() && statements.iter().all(|s| reads(s) || s.trim_start().starts_with("copy"))
    }
}

/// Whether a statement is a query, by its first word.
pub fn reads(statement: &str) -> bool {
    let words = ["select", "with", "values", "table", "show", "explain"];
    let first = statement.split_whitespace().next().unwrap_or_default().to_lowercase();
    let changes = ["into ", "insert", "update", "delete"].iter().any(|word| statement.contains(word));
    words.contains(&&*first) && !changes
}

/// All cases, in the order of the files.
///
/// # Panics
/// If a file cannot be read or says something that is not understood.
pub fn all() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut cases = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        match file.extension().and_then(|e| e.to_str()) {
            Some("sql") => cases.extend(text.split("--# ").skip(1).map(sql)),
            Some("txt") => cases.extend(text.lines().filter(|line| !line.starts_with('#')).map(psql)),
            _ => panic!("{} is neither SQL nor a list of psql commands", file.display()),
        }
    }
    let ids: BTreeSet<&str> = cases.iter().map(|case| &*case.id).collect();
    assert_eq!(ids.len(), cases.len(), "an id stands twice");
    cases
}

fn psql(line: &str) -> Case {
    let (id, typed) = line.split_once('\t').unwrap_or_else(|| panic!("no tab: {line}"));
    let typed = unescape(typed);
    // A statement is sent by psql when it ends in a semicolon or a backslash command.
    let typed = if typed.contains('\\') || typed.ends_with(';') { typed } else { typed + ";" };
    Case { id: id.into(), user: ANALYST, work: Work::Psql(typed), masked: Vec::new(), error: None, shape_only: false }
}

/// `\n` between two commands is a line break, `\\` a backslash.
fn unescape(text: &str) -> String {
    text.replace("\\\\", "\u{1}").replace("\\n", "\n").replace('\u{1}', "\\")
}

fn sql(text: &str) -> Case {
    let mut lines = text.lines();
    let id = lines.next().unwrap().trim().to_owned();
    let (mut masked, mut parameters, mut columns) = (Vec::new(), Vec::new(), Vec::new());
    let (mut error, mut shape_only, mut user) = (None, false, ANALYST);
    let (mut statements, mut current) = (Vec::new(), Vec::new());
    for line in lines {
        if let Some(directive) = line.strip_prefix("--@ ") {
            let (word, rest) = directive.split_once(' ').unwrap_or((directive, ""));
            match word {
                "masked" => rest.split_whitespace().for_each(|entry| masked.extend(masks(&id, entry))),
                "args" => parameters.extend(rest.split('|').map(str::to_owned)),
                "columns" => columns.extend(rest.split_whitespace().map(str::to_owned)),
                "error" => error = Some(rest.trim().to_owned()),
                "shape" => shape_only = true,
                "role" => user = USERS.iter().map(|(name, _)| *name).find(|name| *name == rest.trim()).unwrap(),
                _ => panic!("{id}: unknown word {word}"),
            }
            continue;
        }
        if line.trim().is_empty() && current.is_empty() {
            continue;
        }
        let end = line.trim_end().strip_suffix(';');
        current.push(end.unwrap_or(line));
        if end.is_some() {
            statements.push(current.join("\n"));
            current.clear();
        }
    }
    assert!(current.iter().all(|line| line.trim().is_empty()), "{id}: a statement without its semicolon");
    assert!(!statements.is_empty(), "{id}: nothing to run");
    Case { id, user, work: Work::Sql { statements, parameters, columns }, masked, error, shape_only }
}

fn masks(id: &str, entry: &str) -> Vec<(String, Mask)> {
    if let Some(table) = entry.strip_suffix(".*") {
        let list = TABLES.iter().find(|(name, _)| *name == table);
        let (_, list) = list.unwrap_or_else(|| panic!("{id}: no protected columns are known of {table}"));
        return list.iter().map(|(column, mask)| ((*column).to_owned(), *mask)).collect();
    }
    let (column, mask) = entry.split_once('=').unwrap_or_else(|| panic!("{id}: {entry}"));
    vec![(column.into(), Mask::named(mask).unwrap_or_else(|| panic!("{id}: no mask {mask}")))]
}

/// Protected columns of each table, with what an analyst sees of them.
const TABLES: &[(&str, &[(&str, Mask)])] = &[
    (
        "patients",
        &[
            ("mrn", Mask::Token),
            ("ssn", Mask::Last4),
            ("first_name", Mask::Null),
            ("last_name", Mask::Null),
            ("dob", Mask::Year),
            ("phone", Mask::LastX4),
            ("email", Mask::Hidden),
            ("street", Mask::Null),
            ("city", Mask::Null),
            ("zip", Mask::Zip3),
            ("insurance_member_id", Mask::Token),
        ],
    ),
    ("encounters", &[("admitted_at", Mask::Year), ("age_at_visit", Mask::Age)]),
    ("notes", &[("author", Mask::First1), ("written_at", Mask::Year), ("note", Mask::Scan)]),
    ("claims", &[("member_number", Mask::Token), ("filed_on", Mask::Year)]),
    ("payments", &[("iban", Mask::Null)]),
    (
        "results",
        &[
            ("collected_at", Mask::Year),
            ("technician", Mask::First1),
            ("device_serial", Mask::Null),
            ("remark", Mask::Scan),
            ("sample", Mask::Null),
        ],
    ),
    (
        "people",
        &[
            ("full_name", Mask::Null),
            ("email", Mask::Hidden),
            ("phone", Mask::LastX4),
            ("badge", Mask::Null),
            ("born_on", Mask::Year),
            ("home_zip", Mask::Zip3),
        ],
    ),
    ("payers", &[("contact_email", Mask::Hidden), ("contact_phone", Mask::LastX4)]),
];

/// How many columns are protected.
pub fn protected_columns() -> usize {
    TABLES.iter().map(|(_, columns)| columns.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_is_understood_and_the_set_is_as_large_as_promised() {
        let cases = all();
        assert!(cases.len() >= 250, "{}", cases.len());
        let masked = cases.iter().filter(|case| !case.masked.is_empty()).count();
        assert!(masked >= 40, "{masked} cases with protected columns");
    }

    #[test]
    fn directives_belong_to_the_case_above_them() {
        let case = sql("a/b\n--@ masked x=ssn notes.*\n--@ args 1|two\nselect $1,\n  $2;\nselect 3;\n\n"
            .replace("ssn", "last4")
            .as_str());
        let Work::Sql { statements, parameters, .. } = &case.work else { panic!("{case:?}") };
        assert_eq!(statements, &["select $1,\n  $2", "select 3"]);
        assert_eq!(parameters, &["1", "two"]);
        assert_eq!(case.masked.len(), 4);
        assert_eq!(case.masked[0], ("x".into(), Mask::Last4));
    }

    #[test]
    fn a_psql_line_may_hold_several_lines_and_gets_its_semicolon() {
        assert_eq!(psql("a/b\tselect 1\\n\\\\echo x").text(), "select 1\n\\echo x");
        assert_eq!(psql("a/b\tselect 1").text(), "select 1;");
        assert_eq!(psql("a/b\t\\d").text(), "\\d");
    }
}
