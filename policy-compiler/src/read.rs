//! Typed access to nodes: each function takes what it is asked for or reports why it cannot, and the caller goes on.
//!
//! Nothing here stops at the first mistake. A missing value is `None` and already reported.

use crate::diagnostic::{Diagnostic, Report};
use crate::source::Place;
use crate::words::{Key, did_you_mean};
use crate::yaml::{Node, Value};

/// A mapping whose keys were checked against a table.
pub(crate) struct Fields<'a> {
    pub(crate) place: Place,
    pairs: &'a [(Node, Node)],
}

impl<'a> Fields<'a> {
    /// Checks that `node` is a mapping with known keys and with the required ones.
    pub(crate) fn of(node: &'a Node, keys: &[Key], what: &str, report: &mut Report) -> Option<Self> {
        let Value::Map(pairs) = &node.value else {
            let list: Vec<_> = keys.iter().map(|k| k.name).collect();
            report.push(
                Diagnostic::error(node.place, format!("{what} is {}; a mapping is needed", node.kind()))
                    .fix(format!("its keys are {}", list.join(", "))),
            );
            return None;
        };
        for (key, _) in pairs {
            let name = key.scalar().unwrap_or_default();
            if !keys.iter().any(|k| k.name == name) {
                report.push(
                    Diagnostic::error(key.place, format!("unknown key `{name}` in {what}"))
                        .fix_maybe(did_you_mean(name, keys.iter().map(|k| k.name))),
                );
            }
        }
        for key in keys.iter().filter(|k| k.required) {
            if !pairs.iter().any(|(k, _)| k.scalar() == Some(key.name)) {
                report.push(
                    Diagnostic::error(node.place, format!("{what} has no `{}`", key.name))
                        .fix(format!("add `{}: …`: {}", key.name, key.meaning)),
                );
            }
        }
        Some(Self { place: node.place, pairs })
    }

    /// The value of a key.
    pub(crate) fn get(&self, key: &str) -> Option<&'a Node> {
        self.pairs.iter().find(|(k, _)| k.scalar() == Some(key)).map(|(_, v)| v)
    }

    /// Text of a key that is present and has one.
    pub(crate) fn text(&self, key: &str, report: &mut Report) -> Option<&'a str> {
        text(self.get(key)?, &format!("`{key}`"), report)
    }

    /// One of a fixed set of words.
    pub(crate) fn word(&self, key: &str, words: &[&'static str], report: &mut Report) -> Option<&'static str> {
        let node = self.get(key)?;
        let written = text(node, &format!("`{key}`"), report)?;
        let found = words.iter().find(|w| **w == written);
        if found.is_none() {
            report.push(
                Diagnostic::error(node.place, format!("`{key}: {}` is not known", shorten(written)))
                    .fix_maybe(did_you_mean(written, words.iter().copied())),
            );
        }
        found.copied()
    }

    /// Texts of a key: a list, or one text.
    pub(crate) fn texts(&self, key: &str, report: &mut Report) -> Vec<(&'a str, Place)> {
        self.get(key).map_or_else(Vec::new, |node| texts(node, &format!("`{key}`"), report))
    }
}

/// A non-empty text.
pub(crate) fn text<'a>(node: &'a Node, what: &str, report: &mut Report) -> Option<&'a str> {
    match &node.value {
        Value::Scalar { text, .. } if text.is_empty() => {
            report.push(Diagnostic::error(node.place, format!("{what} has no value")));
            None
        }
        Value::Scalar { text, .. } => Some(text),
        _ => {
            report.push(Diagnostic::error(node.place, format!("{what} is {}; one text is needed", node.kind())));
            None
        }
    }
}

/// A list of texts; one text alone is a list of one.
pub(crate) fn texts<'a>(node: &'a Node, what: &str, report: &mut Report) -> Vec<(&'a str, Place)> {
    match &node.value {
        Value::List(items) => {
            let of = format!("an entry of {what}");
            items.iter().filter_map(|n| text(n, &of, report).map(|t| (t, n.place))).collect()
        }
        Value::Scalar { .. } => text(node, what, report).map(|t| (t, node.place)).into_iter().collect(),
        Value::Map(_) => {
            report.push(
                Diagnostic::error(node.place, format!("{what} is {}; a list is needed", node.kind()))
                    .fix("write `[one, two]`, or one entry per line after `- `"),
            );
            Vec::new()
        }
    }
}

/// `name: content` entries of a section.
pub(crate) fn entries<'a>(node: &'a Node, what: &str, report: &mut Report) -> &'a [(Node, Node)] {
    match &node.value {
        Value::Map(pairs) => pairs,
        Value::Scalar { plain: true, text } if text.is_empty() => &[],
        _ => {
            report.push(
                Diagnostic::error(node.place, format!("`{what}` is {}; a mapping of names is needed", node.kind()))
                    .fix(format!("write `{what}:` and below it, indented, `name: …`")),
            );
            &[]
        }
    }
}

/// Whole number in a range.
pub(crate) fn number(
    node: &Node,
    what: &str,
    range: std::ops::RangeInclusive<u32>,
    report: &mut Report,
) -> Option<u32> {
    let written = text(node, what, report)?;
    match written.parse::<u32>() {
        Ok(n) if range.contains(&n) => Some(n),
        _ => {
            report.push(Diagnostic::error(
                node.place,
                format!(
                    "{what} is `{}`; a number from {} to {} is needed",
                    shorten(written),
                    range.start(),
                    range.end()
                ),
            ));
            None
        }
    }
}

/// Enough of a text to recognise it in a message.
pub(crate) fn shorten(text: &str) -> String {
    let clean: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if clean.chars().count() <= 60 { clean } else { format!("{}…", clean.chars().take(59).collect::<String>()) }
}
