//! YAML text to a tree in which every node knows its place.
//!
//! Bounded: nesting, number of nodes (aliases count as what they stand for, so a bomb of aliases ends at the limit) and,
//! by [`crate::source`], bytes. A name that appears twice in one mapping is a mistake here. Deliberately absent: typed
//! values; `10`, `yes` and `null` stay the text that was written, so nothing changes meaning by looking like a number.

use std::collections::BTreeMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use crate::diagnostic::{Diagnostic, Report};
use crate::source::{Place, Sources};

/// Deepest nesting; rule files need six.
pub(crate) const DEPTH_MAX: usize = 32;
/// Most nodes in a file, aliases expanded.
pub(crate) const NODES_MAX: usize = 400_000;

/// A node.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// Its content.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Text as written, quotes removed; `plain` without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// What it is, for messages.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar { text, plain: true } if text.is_empty() => "nothing",
            Value::Scalar { .. } => "a single value",
            Value::List(_) => "a list",
            Value::Map(_) => "a mapping (`key: value`)",
        }
    }
    /// Text of a scalar.
    pub(crate) fn scalar(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }
    /// Unquoted `null`, `~`.
    pub(crate) fn is_null_word(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if matches!(text.as_str(), "null" | "~" | "Null" | "NULL"))
    }
    /// Written as nothing at all (`key:`).
    pub(crate) fn is_empty(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true } if text.is_empty())
    }
    fn nodes(&self) -> usize {
        1 + match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(items) => items.iter().map(Self::nodes).sum(),
            Value::Map(pairs) => pairs.iter().map(|(k, v)| k.nodes() + v.nodes()).sum(),
        }
    }
    fn depth(&self) -> usize {
        1 + match &self.value {
            Value::Scalar { .. } => 0,
            Value::List(items) => items.iter().map(Self::depth).max().unwrap_or(0),
            Value::Map(pairs) => pairs.iter().map(|(_, v)| v.depth()).max().unwrap_or(0),
        }
    }
}

enum Open {
    List(Place, usize, Vec<Node>),
    /// Place, anchor, pairs, a key that waits for its value, names seen with their places.
    Map(Place, usize, Vec<(Node, Node)>, Option<Node>, BTreeMap<String, Place>),
}

/// Parses file `file`; `None` if it is not YAML (reported) or has no content.
pub(crate) fn parse(file: u16, sources: &Sources, report: &mut Report) -> Option<Node> {
    let text = &sources.files().get(usize::from(file))?.text;
    let mut tree = Tree { file, open: Vec::new(), anchors: BTreeMap::new(), nodes: 0, root: None };
    for event in Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        let outcome = match event {
            Ok((event, span)) => tree.event(event, span, report),
            Err(e) => {
                let marker = e.marker();
                let place = Place { file, line: number(marker.line()), column: number(marker.col()) + 1, length: 1 };
                Err(syntax(place, e.info(), sources))
            }
        };
        if let Err(d) = outcome {
            report.push(d);
            return None;
        }
    }
    tree.root
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX - 1)
}

/// The parser's message, or a better one where the line shows the reason.
fn syntax(place: Place, info: &str, sources: &Sources) -> Diagnostic {
    // What is missing at the end of the file is marked at the end of its last line.
    let place = match sources.files().get(usize::from(place.file)) {
        Some(file) if sources.line(place).is_none() => {
            let line = number(file.text.lines().count()).max(1);
            let column = file.text.lines().last().map_or(1, |l| number(l.chars().count()).max(1));
            Place { line, column, ..place }
        }
        _ => place,
    };
    let indented_by_tab =
        |p: Place| sources.line(p).is_some_and(|l| l.chars().take_while(|c| c.is_whitespace()).any(|c| c == '\t'));
    let before = Place { line: place.line.saturating_sub(1), ..place };
    for candidate in [place, before] {
        if candidate.line > 0 && indented_by_tab(candidate) {
            let tab = sources.line(candidate).and_then(|l| l.chars().position(|c| c == '\t')).unwrap_or(0);
            return Diagnostic::error(
                Place { column: number(tab) + 1, length: 1, ..candidate },
                "a tab is used for indentation; YAML allows spaces only",
            )
            .fix("replace the tab by spaces");
        }
    }
    if info.contains("recursion limit") {
        return too_deep(place);
    }
    if sources.line(place).is_some_and(|l| l.trim_start().starts_with('*') || l.contains("[*") || l.contains(": *")) {
        return Diagnostic::error(place, format!("not valid YAML: {info}"))
            .fix("put quotes around names and selectors that begin with `*`: \"*.*.member_*\"");
    }
    Diagnostic::error(place, format!("not valid YAML: {info}"))
        .fix("check indentation, quotes and brackets on this line and the one before it")
}

struct Tree {
    file: u16,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    root: Option<Node>,
}

impl Tree {
    fn place(&self, span: Span, text: Option<&str>) -> Place {
        let length = match text {
            // Quotes are part of what is marked; a block scalar is marked by its first character.
            Some(_) if span.start.line() == span.end.line() => number(span.end.index() - span.start.index()).max(1),
            _ => 1,
        };
        Place { file: self.file, line: number(span.start.line()), column: number(span.start.col()) + 1, length }
    }

    fn event(&mut self, event: Event<'_>, span: Span, report: &mut Report) -> Result<(), Diagnostic> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_some() => Err(Diagnostic::error(
                self.place(span, None),
                "a second YAML document (`---`) begins here; only one per file is read",
            )
            .fix("put it in a file of its own; several files merge")),
            Event::DocumentStart(_) => Ok(()),
            Event::Scalar(text, style, anchor, _) => {
                let place = self.place(span, Some(&text));
                let plain = matches!(style, ScalarStyle::Plain);
                self.finish(Node { place, value: Value::Scalar { text: text.into_owned(), plain } }, anchor, report)
            }
            Event::SequenceStart(anchor, _) => self.begin(Open::List(self.place(span, None), anchor, Vec::new())),
            Event::MappingStart(anchor, _) => {
                self.begin(Open::Map(self.place(span, None), anchor, Vec::new(), None, BTreeMap::new()))
            }
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open::List(place, anchor, items)) => {
                    self.finish(Node { place, value: Value::List(items) }, anchor, report)
                }
                Some(Open::Map(place, anchor, pairs, ..)) => {
                    self.finish(Node { place, value: Value::Map(pairs) }, anchor, report)
                }
                None => Ok(()),
            },
            Event::Alias(id) => {
                let place = self.place(span, None);
                let Some(node) = self.anchors.get(&id) else {
                    return Err(Diagnostic::error(
                        place,
                        "an alias to something that is still open, or was never named",
                    )
                    .fix("quote selectors that begin with `*`: \"*.*.member_*\""));
                };
                if node.depth() + self.open.len() > DEPTH_MAX {
                    return Err(too_deep(place));
                }
                // Counted before it is copied: a bomb never takes the memory.
                let nodes = node.nodes();
                self.count(nodes, place)?;
                let Some(value) = self.anchors.get(&id).map(|n| n.value.clone()) else { return Ok(()) };
                self.attach(Node { place, value }, report)
            }
        }
    }

    fn count(&mut self, more: usize, place: Place) -> Result<(), Diagnostic> {
        self.nodes += more;
        if self.nodes > NODES_MAX {
            return Err(Diagnostic::error(
                place,
                format!("more than {NODES_MAX} values in one file (aliases expanded)"),
            )
            .fix("split the file, move long word lists to files of their own, or repeat less through aliases"));
        }
        Ok(())
    }

    fn begin(&mut self, open: Open) -> Result<(), Diagnostic> {
        let place = match &open {
            Open::List(p, ..) | Open::Map(p, ..) => *p,
        };
        if self.open.len() >= DEPTH_MAX {
            return Err(too_deep(place));
        }
        self.open.push(open);
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize, report: &mut Report) -> Result<(), Diagnostic> {
        self.count(1, node.place)?;
        if anchor != 0 {
            let nodes = node.nodes();
            self.count(nodes, node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        self.attach(node, report)
    }

    fn attach(&mut self, node: Node, report: &mut Report) -> Result<(), Diagnostic> {
        match self.open.last_mut() {
            None => self.root = Some(node),
            Some(Open::List(_, _, items)) => items.push(node),
            Some(Open::Map(_, _, _, key @ None, seen)) => {
                let Some(name) = node.scalar() else {
                    return Err(Diagnostic::error(
                        node.place,
                        format!("a key must be a name, this is {}", node.kind()),
                    )
                    .fix("write `name: value`"));
                };
                if let Some(first) = seen.insert(name.to_owned(), node.place) {
                    report.push(
                        Diagnostic::error(
                            node.place,
                            format!("`{name}` is written twice here; the first would be lost"),
                        )
                        .also(first, "first written here")
                        .fix("merge the two, or rename one"),
                    );
                }
                *key = Some(node);
            }
            Some(Open::Map(_, _, pairs, key, _)) => {
                if let Some(key) = key.take() {
                    pairs.push((key, node));
                }
            }
        }
        Ok(())
    }
}

fn too_deep(place: Place) -> Diagnostic {
    Diagnostic::error(place, format!("nested deeper than {DEPTH_MAX} levels"))
        .fix("rule files need about six levels; check the indentation")
}
