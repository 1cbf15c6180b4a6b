//! `filter` and `budgets` of a role: how much somebody may compare, ask and take in a time.

use policy::model::{Budget, ClassId, Comparison, Counted, Redaction};

use super::Build;
use crate::diagnostic::Diagnostic;
use crate::read::{self, Fields, shorten};
use crate::source::Place;
use crate::words;
use crate::yaml::{Node, Value};

/// Comparisons per day where a file does not say how many.
const COMPARISONS: u32 = 100;
const DAY_SECONDS: u32 = 86_400;
/// Most comparisons of one budget.
const COMPARISONS_MAX: u32 = 1_000_000;

impl Build<'_> {
    /// `filter: {ssn: {equality: 20, per: hour}, mrn: equality}`; `treatment` is the role's redaction per class.
    pub(super) fn filter(&mut self, fields: &Fields<'_>, what: &str, treatment: &[Redaction]) -> Vec<Comparison> {
        let Some(node) = fields.get("filter") else { return Vec::new() };
        let Value::Map(pairs) = &node.value else {
            self.error(
                node.place,
                format!("`filter` of {what} is {}; a mapping of classes is needed", node.kind()),
                "write `filter: {ssn: equality}`",
            );
            return Vec::new();
        };
        let mut found = Vec::new();
        for (key, value) in pairs {
            let name = key.scalar().unwrap_or_default();
            let Some(class) = self.class_named(name, key.place) else { continue };
            match treatment.get(usize::from(class)) {
                Some(Redaction::Refuse) => self.error(
                    key.place,
                    format!("columns of class {name} are refused to {what}, so they cannot be compared either"),
                    "give the class another redaction, or remove it from `filter`",
                ),
                Some(Redaction::Clear) => self.error(
                    key.place,
                    format!("{what} sees class {name} in the clear and may compare it as it likes"),
                    "remove the class from `filter`",
                ),
                Some(_) | None => {}
            }
            if let Some((amount, seconds)) = self.equality(name, value) {
                found.push(Comparison { class, amount: u64::from(amount), seconds });
            }
        }
        found
    }

    fn equality(&mut self, class: &str, value: &Node) -> Option<(u32, u32)> {
        match &value.value {
            Value::Scalar { text, .. } if text == "equality" => Some((COMPARISONS, DAY_SECONDS)),
            Value::Map(_) => {
                let fields = Fields::of(value, words::FILTER, &format!("`filter` of class {class}"), self.report)?;
                let node = fields.get("equality")?;
                let amount = read::number(node, "`equality`", 1..=COMPARISONS_MAX, self.report)?;
                let seconds = match fields.get("per") {
                    None => DAY_SECONDS,
                    Some(_) => self.per(&fields)?,
                };
                Some((amount, seconds))
            }
            Value::Scalar { text, .. } => {
                let message = format!("`{}` is not a way to filter by class {class}", shorten(text));
                self.error(value.place, message, "write `equality`, or `{equality: 20, per: hour}`");
                None
            }
            Value::List(_) => {
                let message = format!("the filter of class {class} is a list; one way is needed");
                self.error(value.place, message, "write `equality`, or `{equality: 20, per: hour}`");
                None
            }
        }
    }

    /// `budgets: [{rows: 100000, per: day}, {bytes: 1GB, class: ssn, per: hour}]`
    pub(super) fn budgets(&mut self, fields: &Fields<'_>, what: &str) -> Vec<Budget> {
        let Some(node) = fields.get("budgets") else { return Vec::new() };
        let Value::List(items) = &node.value else {
            self.error(
                node.place,
                format!("`budgets` of {what} is {}; a list is needed", node.kind()),
                "write `budgets: [{rows: 100000, per: day}]`",
            );
            return Vec::new();
        };
        let mut found: Vec<(Budget, Place)> = Vec::new();
        for item in items {
            let Some(budget) = self.budget(item, what) else { continue };
            let same = |b: &Budget| (b.of, b.class, b.seconds) == (budget.of, budget.class, budget.seconds);
            if let Some((_, earlier)) = found.iter().find(|(b, _)| same(b)) {
                let message = format!("{what} has two budgets of the same kind for the same time");
                let mistake = Diagnostic::error(item.place, message).also(*earlier, "the earlier one");
                self.report.push(mistake.fix("keep the smaller one"));
                continue;
            }
            found.push((budget, item.place));
        }
        found.into_iter().map(|(budget, _)| budget).collect()
    }

    fn budget(&mut self, item: &Node, what: &str) -> Option<Budget> {
        let fields = Fields::of(item, words::BUDGET, &format!("a budget of {what}"), self.report)?;
        let counted = [("rows", Counted::Rows), ("bytes", Counted::Bytes), ("statements", Counted::Statements)];
        let mut given = counted.iter().filter_map(|(name, of)| Some((*name, *of, fields.get(name)?)));
        let Some((name, of, node)) = given.next() else {
            self.error(
                item.place,
                format!("a budget of {what} does not say what it counts"),
                "add `rows: N`, `bytes: SIZE` or `statements: N`",
            );
            return None;
        };
        if let Some((other, _, second)) = given.next() {
            let message = format!("a budget of {what} counts both {name} and {other}");
            self.error(second.place, message, "write one budget for each");
            return None;
        }
        let written = read::text(node, &format!("`{name}`"), self.report)?;
        let amount = if of == Counted::Bytes { size(written) } else { written.parse().ok().filter(|n| *n > 0) };
        let class = match fields.get("class") {
            None => None,
            Some(node) => {
                let name = read::text(node, "`class`", self.report)?;
                Some(self.class_named(name, node.place)?)
            }
        };
        let seconds = if fields.get("per").is_some() { Some(self.per(&fields)?) } else { None };
        let Some(amount) = amount else {
            let (needed, fix) = if of == Counted::Bytes {
                ("a size", "write for instance `500MB` or `1GB`; KB, MB and GB are powers of 1000")
            } else {
                ("a whole number from 1 up", "write for instance `5000`")
            };
            self.error(node.place, format!("`{name}` is `{}`; {needed} is needed", shorten(written)), fix);
            return None;
        };
        Some(Budget { of, class, amount, seconds: seconds? })
    }

    fn class_named(&mut self, name: &str, place: Place) -> Option<ClassId> {
        let names: Vec<String> = self.model.classes.iter().map(|c| c.name.clone()).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let at = names.iter().position(|n| *n == name).and_then(|i| ClassId::try_from(i).ok());
        if at.is_none() {
            self.known("class", name, place, &names);
        }
        at
    }

    /// `per: minute`, in seconds.
    fn per(&mut self, fields: &Fields<'_>) -> Option<u32> {
        let names: Vec<&'static str> = words::PER.iter().map(|(name, _)| *name).collect();
        let word = fields.word("per", &names, self.report)?;
        words::PER.iter().find(|(name, _)| *name == word).map(|(_, seconds)| *seconds)
    }
}

/// `1GB` in bytes.
fn size(text: &str) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let number: u64 = text[..digits].parse().ok().filter(|n| *n > 0)?;
    let unit = match text[digits..].trim_start() {
        "B" => 1,
        "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("1GB", Some(1_000_000_000)),
            ("500 KB", Some(500_000)),
            ("2MiB", Some(2 << 20)),
            ("7B", Some(7)),
            ("7", None),
            ("0MB", None),
            ("-1MB", None),
            ("1.5MB", None),
            ("99999999999999GB", None),
            ("", None),
        ] {
            assert_eq!(size(text), bytes, "{text}");
        }
    }
}
