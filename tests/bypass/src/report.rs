//! What a run found: a line per way out, a total, and the same as JSON. Counts only, never a value.

use crate::{
    run::{FORMS, Form, Outcome},
    way::Way,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, fmt::Write};

/// What one variant in one form came to.
#[derive(Clone, Debug)]
pub struct Entry {
    /// `A1`.
    pub id: &'static str,
    /// The variant.
    pub variant: &'static str,
    /// How it was said.
    pub form: Form,
    /// What came of it.
    pub outcome: Outcome,
}

/// A run against one place.
#[derive(Clone, Debug)]
pub struct Side {
    /// `direct`, `tidegate`, an address.
    pub name: String,
    /// All of it.
    pub entries: Vec<Entry>,
}

impl Side {
    /// Characters recovered in all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.entries.iter().map(|entry| entry.outcome.characters()).sum()
    }

    /// Attempts that could not be made.
    #[must_use]
    pub fn failed(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.outcome, Outcome::Failed(_))).count()
    }

    fn tried(&self) -> usize {
        self.entries.iter().filter(|entry| matches!(entry.outcome, Outcome::Tried { .. })).count()
    }

    /// Characters of a way in a form; `None` if it has no such form.
    fn cell(&self, id: &str, form: Form) -> Option<u64> {
        let mut of = self.entries.iter().filter(|entry| entry.id == id && entry.form == form).peekable();
        of.peek()?;
        Some(of.map(|entry| entry.outcome.characters()).sum())
    }

    /// Ways of which something came out.
    fn open(&self) -> usize {
        let mut ids: Vec<_> = self.entries.iter().filter(|e| e.outcome.characters() > 0).map(|e| e.id).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.len()
    }
}

/// The table for people.
#[must_use]
pub fn table(ways: &[Way], sides: &[Side]) -> String {
    let mut text = String::new();
    let width = ways.iter().map(|way| way.title.chars().count()).max().unwrap_or(10).min(58);
    let heads = ["s/text", "s/bin", "x/text", "x/bin"];
    let _ = write!(text, "{:<5}{:<width$}", "", "characters of protected data recovered");
    for side in sides {
        let _ = write!(text, "  {:<35}", side.name);
    }
    let _ = write!(text, "\n{:<5}{:<width$}", "way", "");
    for _ in sides {
        let _ = write!(text, "  {:>8} {:>8} {:>8} {:>8}", heads[0], heads[1], heads[2], heads[3]);
    }
    text.push('\n');
    for way in ways {
        let title: String = way.title.chars().take(width).collect();
        let _ = write!(text, "{:<5}{title:<width$}", way.id);
        for side in sides {
            text.push_str("  ");
            let cells = FORMS.map(|form| side.cell(way.id, form).map_or_else(|| "-".to_owned(), |n| n.to_string()));
            let _ = write!(text, "{:>8} {:>8} {:>8} {:>8}", cells[0], cells[1], cells[2], cells[3]);
        }
        text.push('\n');
    }
    for side in sides {
        let _ = writeln!(
            text,
            "{}: {} characters by {} of {} ways; {} attempts, {} could not be made",
            side.name,
            side.total(),
            side.open(),
            ways.len(),
            side.tried(),
            side.failed()
        );
    }
    text
}

/// Every variant of which something came out, worst first, with its characters by form.
#[must_use]
pub fn leaks(side: &Side) -> String {
    let mut by_variant: BTreeMap<(&str, &str), [u64; 4]> = BTreeMap::new();
    for entry in &side.entries {
        let characters = entry.outcome.characters();
        if characters > 0 {
            let place = FORMS.iter().position(|form| *form == entry.form).unwrap_or(0);
            by_variant.entry((entry.id, entry.variant)).or_default()[place] += characters;
        }
    }
    let mut list: Vec<_> = by_variant.into_iter().collect();
    list.sort_by_key(|(_, counts)| std::cmp::Reverse(counts.iter().sum::<u64>()));
    let mut text = String::new();
    for ((id, variant), counts) in list {
        let _ = writeln!(text, "  {id:<4} {variant}: {} / {} / {} / {}", counts[0], counts[1], counts[2], counts[3]);
    }
    text
}

/// The same for programs.
#[must_use]
pub fn json(ways: &[Way], sides: &[Side]) -> Value {
    let entry = |entry: &Entry| {
        let mut value = json!({ "id": entry.id, "variant": entry.variant, "form": entry.form.name() });
        match &entry.outcome {
            Outcome::Tried { characters, error } => {
                value["characters"] = json!(characters);
                value["error"] = json!(error);
            }
            Outcome::Absent => value["absent"] = json!(true),
            Outcome::Failed(why) => value["failed"] = json!(why),
        }
        value
    };
    json!({
        "ways": ways.iter().map(|way| json!({ "id": way.id, "title": way.title, "variants": way.variants.len() })).collect::<Vec<_>>(),
        "sides": sides.iter().map(|side| json!({
            "name": side.name, "characters": side.total(), "failed": side.failed(),
            "entries": side.entries.iter().map(entry).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    })
}
