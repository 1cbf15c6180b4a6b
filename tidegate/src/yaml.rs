//! A YAML file as a tree that knows where each part stands, and readers that report instead of stopping.
//!
//! Typed deserialization ends at the first mistake; an operator wants all of them. So the parser builds [`Node`]s, and a
//! [`Section`] takes its settings out one by one, with every mistake added to the [`Problems`]. Unknown and repeated
//! settings are errors. Deliberately absent: any knowledge of what the settings mean.

use crate::problems::{Place, Problems};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{DuplicateKeyPolicy, Spanned};
use std::{fmt, path::Path};

/// Largest configuration or users file.
const FILE_BYTES_MAX: usize = 64 << 20;

/// A value with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub place: Place,
}

impl<T> Placed<T> {
    /// Changes the value, keeps the place.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Placed<U> {
        Placed { value: change(self.value), place: self.place }
    }
}

/// One value of a YAML file.
#[derive(Debug)]
pub enum Node {
    /// Nothing, `~` or `null`.
    Null,
    /// Text, number or boolean, as text.
    Scalar(String),
    /// A list.
    List(Vec<Placed<Self>>),
    /// Settings.
    Map(Vec<(Placed<String>, Placed<Self>)>),
}

/// Reads a file's text. Reports and gives `None` where it is not YAML.
pub fn parse(file: &Path, text: &str, problems: &mut Problems) -> Option<Placed<Node>> {
    if text.len() > FILE_BYTES_MAX {
        problems.error(file, None, format!("larger than {FILE_BYTES_MAX} bytes"));
        return None;
    }
    let options = serde_saphyr::options! {
        duplicate_keys: DuplicateKeyPolicy::PassThrough,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    match serde_saphyr::from_str_with_options::<Spanned<Node>>(text, options) {
        Ok(node) => Some(placed(node)),
        Err(error) => {
            let place = error.location().map(place);
            let text = error.without_snippet().to_string();
            let text = text.split(" at line ").next().unwrap_or_default();
            problems.error(file, place, format!("not valid YAML: {text}"));
            None
        }
    }
}

fn place(location: serde_saphyr::Location) -> Place {
    let bound = |n: u64| u32::try_from(n).unwrap_or(u32::MAX);
    Place { line: bound(location.line()), column: bound(location.column()) }
}

fn placed<T>(spanned: Spanned<T>) -> Placed<T> {
    Placed { place: place(spanned.referenced), value: spanned.value }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Build)
    }
}

struct Build;

impl<'de> Visitor<'de> for Build {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a setting")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Scalar(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = access.next_element::<Spanned<Node>>()? {
            list.push(placed(node));
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut map = Vec::new();
        while let Some((key, node)) = access.next_entry::<Spanned<String>, Spanned<Node>>()? {
            map.push((placed(key), placed(node)));
        }
        Ok(Node::Map(map))
    }
}

/// Adds mistakes of one file.
pub struct Report<'a> {
    file: &'a Path,
    problems: &'a mut Problems,
}

impl<'a> Report<'a> {
    /// For this file.
    pub fn new(file: &'a Path, problems: &'a mut Problems) -> Self {
        Self { file, problems }
    }

    /// An error at this place.
    pub fn error(&mut self, place: Place, text: impl Into<String>) {
        self.problems.error(self.file, Some(place), text);
    }

    /// A warning at this place.
    pub fn warning(&mut self, place: Place, text: impl Into<String>) {
        self.problems.warning(self.file, Some(place), text);
    }

    /// The text of a scalar.
    pub fn scalar(&mut self, name: &str, node: Placed<Node>) -> Option<Placed<String>> {
        match node.value {
            Node::Scalar(value) => Some(Placed { value, place: node.place }),
            Node::Null => {
                self.error(node.place, format!("`{name}` has no value"));
                None
            }
            Node::List(_) | Node::Map(_) => {
                self.error(node.place, format!("`{name}` takes one value"));
                None
            }
        }
    }

    /// The elements of a list; one scalar stands for a list of one.
    pub fn list(&mut self, name: &str, node: Placed<Node>) -> Vec<Placed<String>> {
        match node.value {
            Node::List(nodes) => nodes.into_iter().filter_map(|n| self.scalar(name, n)).collect(),
            Node::Null | Node::Scalar(_) | Node::Map(_) => self.scalar(name, node).into_iter().collect(),
        }
    }
}

/// The settings of one map, to be taken out one by one.
pub struct Section {
    name: String,
    place: Place,
    entries: Vec<(Placed<String>, Option<Placed<Node>>)>,
}

impl Section {
    /// Opens a map whose settings are `known`. An empty one has no settings. `name` is how a person would call it, empty
    /// for the whole file.
    pub fn open(name: &str, node: Placed<Node>, known: &[&str], report: &mut Report<'_>) -> Self {
        let section = Self::open_free(name, node, report);
        for (key, _) in &section.entries {
            if !known.contains(&key.value.as_str()) {
                report.error(key.place, unknown(name, &key.value, known));
            }
        }
        section
    }

    /// Opens a map with any keys.
    pub fn open_free(name: &str, node: Placed<Node>, report: &mut Report<'_>) -> Self {
        let place = node.place;
        let mut entries: Vec<(Placed<String>, Option<Placed<Node>>)> = Vec::new();
        match node.value {
            Node::Map(map) => {
                for (key, node) in map {
                    if let Some((first, _)) = entries.iter().find(|(k, _)| k.value == key.value) {
                        let line = first.place.line;
                        report.error(key.place, format!("`{}` is set twice, first in line {line}", key.value));
                    } else {
                        entries.push((key, Some(node)));
                    }
                }
            }
            Node::Null => {}
            Node::Scalar(_) | Node::List(_) if name.is_empty() => report.error(place, "the file holds no settings"),
            Node::Scalar(_) | Node::List(_) => report.error(place, format!("`{name}` takes settings (`key: value`)")),
        }
        Self { name: name.to_owned(), place, entries }
    }

    /// Where it begins.
    #[must_use]
    pub fn place(&self) -> Place {
        self.place
    }

    /// Takes a setting.
    pub fn take(&mut self, key: &str) -> Option<Placed<Node>> {
        self.entries.iter_mut().find(|(k, _)| k.value == key).and_then(|(_, node)| node.take())
    }

    /// Takes a setting that must be there.
    pub fn demand(&mut self, key: &str, report: &mut Report<'_>) -> Option<Placed<Node>> {
        let node = self.take(key);
        if node.is_none() {
            let of = if self.name.is_empty() { String::new() } else { format!(" in `{}`", self.name) };
            report.error(self.place, format!("`{key}` is missing{of}"));
        }
        node
    }

    /// Takes a setting and reads its text; what does not fit is reported and replaced by the default.
    pub fn value<T>(
        &mut self,
        key: &str,
        default: T,
        report: &mut Report<'_>,
        read: impl FnOnce(&str) -> Result<T, String>,
    ) -> T {
        let Some(node) = self.take(key) else {
            return default;
        };
        let Some(text) = report.scalar(key, node) else {
            return default;
        };
        match read(&text.value) {
            Ok(value) => value,
            Err(error) => {
                report.error(text.place, format!("`{key}`: {error}"));
                default
            }
        }
    }

    /// All settings that were not taken.
    pub fn rest(self) -> impl Iterator<Item = (Placed<String>, Placed<Node>)> {
        self.entries.into_iter().filter_map(|(key, node)| Some((key, node?)))
    }
}

/// Says that a setting is unknown, and which was perhaps meant.
fn unknown(section: &str, key: &str, known: &[&str]) -> String {
    let of = if section.is_empty() { String::new() } else { format!(" of `{section}`") };
    let near = nearest(key, known.iter().copied());
    match near {
        Some(near) => format!("`{key}` is not a setting{of}; did you mean `{near}`?"),
        None => format!("`{key}` is not a setting{of}; known are {}", known.join(", ")),
    }
}

/// The name that differs least, if it differs little.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let lower = name.to_lowercase();
    known
        .map(|k| (strsim::damerau_levenshtein(&lower, &k.to_lowercase()), k))
        .filter(|(distance, k)| *distance <= 1 + k.len().min(name.len()) / 4)
        .min()
        .map(|(_, k)| k)
}
