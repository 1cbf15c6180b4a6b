//! Where the protected values are, and the names that stand for them in templates.
//!
//! A template whose name is not known here does not apply: nothing is tried with a hole in it. `{t}` is the protected table,
//! `{c}` its protected text column, `{k}` its key; the others are listed at [`Names`].

use crate::{
    Result,
    client::{Client, Login},
    truth::{Column, Truth, rows},
};
use std::collections::BTreeMap;

/// Names for templates.
#[derive(Clone, Debug, Default)]
pub struct Names(BTreeMap<&'static str, String>);

/// All names a template may use, with their meaning.
pub const MEANINGS: &[(&str, &str)] = &[
    ("t", "protected table, with its schema"),
    ("s", "its schema"),
    ("n", "its name without the schema"),
    ("c", "its protected text column"),
    ("k", "its key, a number"),
    ("d", "a protected date column of the same table"),
    ("m", "another protected text column of the same table"),
    ("u", "an unprotected text column of the same table"),
    ("f", "a table with protected free text"),
    ("ft", "its text column"),
    ("fk", "its key"),
    ("h", "a second table that refers to the protected one by the same key name"),
    ("hk", "its own key"),
    ("o", "a table without protected columns that may be written"),
    ("oc", "its text column"),
    ("on", "its integer column"),
    ("lab", "a schema with the objects of the ground's script"),
];

impl Names {
    /// The made-up clinic with the ground's objects.
    #[must_use]
    pub fn clinic() -> Self {
        let list = [
            ("t", "clinic.patients"),
            ("s", "clinic"),
            ("n", "patients"),
            ("c", "ssn"),
            ("k", "patient_id"),
            ("d", "dob"),
            ("m", "email"),
            ("u", "state"),
            ("f", "clinic.notes"),
            ("ft", "note"),
            ("fk", "note_id"),
            ("h", "clinic.encounters"),
            ("hk", "encounter_id"),
            ("o", "clinic.departments"),
            ("oc", "name"),
            ("on", "beds"),
            ("lab", "lab"),
        ];
        Self(list.into_iter().map(|(name, value)| (name, value.to_owned())).collect())
    }

    /// Names for a database of somebody else's: what the protected columns and the catalog say.
    ///
    /// # Errors
    /// The database cannot be asked, or no protected table has a text column and a key.
    pub fn learn(login: &Login, protected: &[Column], truth: &Truth) -> Result<Self> {
        let mut client = Client::login(login).map_err(|error| error.to_string())?;
        let mut exists = |what: &str| -> Result<bool> {
            let answer = rows(&mut client, &format!("select to_regclass('{}') is not null", what.replace('\'', "''")))?;
            Ok(answer.first().and_then(|row| row.first().cloned().flatten()).as_deref() == Some("t"))
        };
        let place = |column: &Column| format!("{}.{}.{}", column.schema, column.table, column.name);
        let holds = |column: &&Column| truth.of(&place(column)).next().is_some();
        let is = |column: &Column, kind| truth.of(&place(column)).next().is_some_and(|(_, cell)| cell.kind == kind);
        let first = protected
            .iter()
            .filter(holds)
            .find(|column| is(column, crate::truth::Kind::Text))
            .ok_or("no protected text column holds values that could be told apart")?;
        let same = |column: &&Column| column.schema == first.schema && column.table == first.table;
        let key = truth.keys.iter().find(|(schema, table, _)| *schema == first.schema && *table == first.table);
        let mut names = if first.schema == "clinic" && first.table == "patients" && exists("clinic.departments")? {
            Self::clinic()
        } else {
            Self::default()
        };
        names.set("t", format!("{}.{}", first.schema, first.table));
        names.set("s", first.schema.clone());
        names.set("n", first.table.clone());
        names.set("c", first.name.clone());
        if let Some((.., key)) = key {
            names.set("k", key.clone());
        }
        if let Some(date) = protected.iter().filter(same).find(|column| is(column, crate::truth::Kind::Date)) {
            names.set("d", date.name.clone());
        }
        let other = protected.iter().filter(same).find(|c| c.name != first.name && is(c, crate::truth::Kind::Text));
        if names.get("m").is_none() {
            names.set("m", other.unwrap_or(first).name.clone());
        }
        if exists("lab.v_upper")? {
            names.set("lab", "lab");
        } else {
            names.remove("lab");
        }
        Ok(names)
    }

    /// Sets a name.
    pub fn set(&mut self, name: &'static str, value: impl Into<String>) {
        self.0.insert(name, value.into());
    }

    /// Forgets a name: templates with it do not apply.
    pub fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    /// A name's value.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The template with its names; `None` if one is unknown here.
    #[must_use]
    pub fn fill(&self, template: &str) -> Option<String> {
        let mut text = template.to_owned();
        for (name, _) in MEANINGS {
            let hole = format!("{{{name}}}");
            if text.contains(&hole) {
                text = text.replace(&hole, self.0.get(name)?);
            }
        }
        Some(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_is_filled_or_does_not_apply() {
        let mut names = Names::clinic();
        assert_eq!(names.fill("select {c} from {t}").as_deref(), Some("select ssn from clinic.patients"));
        assert_eq!(names.fill("select '{1,2}'::int[]").as_deref(), Some("select '{1,2}'::int[]"));
        names.remove("d");
        assert_eq!(names.fill("select {d} from {t}"), None);
    }
}
