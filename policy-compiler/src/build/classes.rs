//! `classes`, `clear` and `word-lists`: what is protected, where it is, and what free text is searched for.

use std::collections::BTreeMap;

use policy::model::{Binding, BindingBy, Class, ClassId, Detector, Selector, WordList};

use super::{Build, Named};
use crate::diagnostic::Diagnostic;
use crate::library;
use crate::read::{self, Fields, shorten};
use crate::selector;
use crate::source::Place;
use crate::words::{self, did_you_mean};
use crate::yaml::Value;

/// Most words in one list.
const WORDS_MAX: usize = 1_000_000;
/// Longest word.
const WORD_BYTES_MAX: usize = 64;
/// Longest phrase of a file, in bytes and in words.
const PHRASE_BYTES_MAX: usize = 200;
const PHRASE_WORDS_MAX: usize = 8;

impl Build<'_> {
    pub(super) fn word_lists(&mut self, written: &[Named<'_>]) {
        for named in written {
            let shape = words::DETECTORS.iter().any(|(n, ..)| *n == named.name);
            if shape {
                self.error(
                    named.place,
                    format!("`{}` is the name of a built-in detector, so a word list cannot have it", named.name),
                    format!("call it `{}-words`", named.name),
                );
            }
            let (words, patterns) = self.word_list(named);
            self.model.word_lists.push(WordList { name: named.name.to_owned(), words, patterns });
            self.origins.word_lists.push(named.place);
        }
    }

    /// Words and expressions of a list.
    fn word_list(&mut self, named: &Named<'_>) -> (Vec<String>, Vec<String>) {
        let what = format!("word list `{}`", named.name);
        let mut found: Vec<String> = Vec::new();
        let mut patterns: Vec<String> = Vec::new();
        let inline;
        if let Value::List(_) = &named.node.value {
            inline = read::texts(named.node, &what, self.report);
        } else if let Some(fields) = Fields::of(named.node, words::WORD_LIST, &what, self.report) {
            inline = fields.texts("words", self.report);
            for (expression, place) in fields.texts("patterns", self.report) {
                match policy::number_pattern(expression) {
                    Ok(_) => patterns.push(expression.to_owned()),
                    Err(why) => self.error(place, why, "write it with fixed bounds, for instance `HC-[0-9]{7}`"),
                }
            }
            if let (Some(path), Some(node)) = (fields.text("file", self.report), fields.get("file")) {
                match self.files.read(self.sources.name(named.place), path).map(String::from_utf8) {
                    Ok(Ok(content)) => self.words_of_file(&content, path, node.place, &mut found),
                    Ok(Err(_)) => self.error(node.place, format!("{path} is not valid UTF-8"), "save it as UTF-8"),
                    Err(why) => {
                        self.error(node.place, format!("{path}: {why}"), "the path is relative to the rule file");
                    }
                }
            }
        } else {
            return (found, patterns);
        }
        for (word, place) in inline {
            self.word(word, place, None, &mut found);
        }
        found.sort();
        found.dedup();
        if found.is_empty() && patterns.is_empty() && self.report.is_ok() {
            self.error(named.place, format!("{what} has no words"), "add `words: […]`, `file: …` or `patterns: […]`");
        }
        if found.len() > WORDS_MAX {
            self.error(
                named.place,
                format!("{what} has {} words; at most {WORDS_MAX} are used", found.len()),
                "shorten it",
            );
            found.clear();
        }
        (found, patterns)
    }

    fn words_of_file(&mut self, content: &str, path: &str, place: Place, into: &mut Vec<String>) {
        for (i, line) in content.lines().enumerate() {
            let word = line.split('#').next().unwrap_or_default().trim();
            if !word.is_empty() {
                self.word(word, place, Some((path, i + 1)), into);
            }
        }
    }

    fn word(&mut self, word: &str, place: Place, file: Option<(&str, usize)>, into: &mut Vec<String>) {
        let at = file.map_or(String::new(), |(path, line)| format!("{path}:{line}: "));
        // A line of a file is one entry, so it may be a phrase; in a list, two words are more likely two entries forgotten.
        let parts = word.split_whitespace().count();
        let phrase = file.is_some() && parts <= PHRASE_WORDS_MAX && word.len() <= PHRASE_BYTES_MAX;
        if word.chars().any(char::is_control) || !phrase && (parts > 1 || word.len() > WORD_BYTES_MAX) {
            let most = if file.is_some() { PHRASE_BYTES_MAX } else { WORD_BYTES_MAX };
            self.error(
                place,
                format!("{at}`{}` is not one word of at most {most} bytes", shorten(word)),
                "write one word per entry; several words are several entries, a phrase is a line of a file",
            );
        } else {
            into.push(word.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase());
        }
    }

    pub(super) fn classes(&mut self, with_library: bool, written: &[Named<'_>]) {
        if with_library {
            for class in library::CLASSES {
                let id = self.add_class(class.name, Place::BUILT_IN);
                if let Some(c) = self.model.classes.get_mut(usize::from(id)) {
                    c.identifier = class.identifier;
                    class.description.clone_into(&mut c.description);
                    c.detectors = class.detectors.to_vec();
                }
                for column in class.columns {
                    let star = || "*".to_owned();
                    let s = Selector { target: star(), schema: star(), relation: star(), column: (*column).to_owned() };
                    self.bind(BindingBy::Selector(s), Some(id), Place::BUILT_IN);
                }
                self.bind(BindingBy::Tag { tag: format!("class:{}", class.name) }, Some(id), Place::BUILT_IN);
            }
        }
        for named in written {
            self.class(named);
        }
    }

    fn add_class(&mut self, name: &str, place: Place) -> ClassId {
        if let Some(i) = self.model.classes.iter().position(|c| c.name == name) {
            if let (Some(c), Some(origin)) = (self.model.classes.get_mut(i), self.origins.classes.get_mut(i)) {
                c.line = place.line;
                *origin = place;
            }
            return ClassId::try_from(i).unwrap_or_default();
        }
        let id = ClassId::try_from(self.model.classes.len()).unwrap_or_else(|_| {
            self.report.push(Diagnostic::error(place, "more than 65535 classes"));
            0
        });
        self.model.classes.push(Class {
            name: name.to_owned(),
            identifier: None,
            description: String::new(),
            detectors: Vec::new(),
            line: place.line,
        });
        self.origins.classes.push(place);
        id
    }

    fn bind(&mut self, by: BindingBy, class: Option<ClassId>, place: Place) {
        self.model.bindings.push(Binding { by, class, line: place.line });
        self.origins.bindings.push(place);
    }

    fn class(&mut self, named: &Named<'_>) {
        let what = format!("class `{}`", named.name);
        let extends_library = self.model.classes.iter().any(|c| c.name == named.name);
        let id = self.add_class(named.name, named.place);
        if !extends_library {
            self.bind(BindingBy::Tag { tag: format!("class:{}", named.name) }, Some(id), named.place);
        }
        // A list, or one text, is short for `columns`.
        if !matches!(named.node.value, Value::Map(_)) {
            let columns = read::texts(named.node, &what, self.report);
            self.select(&columns, Some(id));
            return;
        }
        let Some(fields) = Fields::of(named.node, words::CLASS, &what, self.report) else { return };
        let columns = fields.texts("columns", self.report);
        self.select(&columns, Some(id));
        for (tag, place) in fields.texts("tags", self.report) {
            if tag.contains(char::is_whitespace) || tag.contains(char::is_control) {
                self.error(place, format!("tag `{}` is not one word", shorten(tag)), "use one word per tag");
            } else {
                self.bind(BindingBy::Tag { tag: tag.to_owned() }, Some(id), place);
            }
        }
        let detectors = self.detectors(&fields);
        let identifier = self.identifier(&fields);
        let description = fields.text("description", self.report).map(ToOwned::to_owned);
        if fields.get("scan").is_some_and(|n| matches!(&n.value, Value::List(l) if l.is_empty())) {
            self.error(fields.place, "`scan` is empty", "name detectors, or remove `scan` to protect the whole value");
        }
        if let Some(class) = self.model.classes.get_mut(usize::from(id)) {
            if fields.get("scan").is_some() {
                class.detectors = detectors;
            }
            class.identifier = identifier.or(class.identifier);
            if let Some(text) = description {
                class.description = text;
            }
        }
    }

    fn detectors(&mut self, fields: &Fields<'_>) -> Vec<Detector> {
        let mut found = Vec::new();
        for (name, place) in fields.texts("scan", self.report) {
            let shape = words::DETECTORS.iter().find(|(n, ..)| *n == name).map(|(_, d, _)| *d);
            let list = self.model.word_lists.iter().position(|l| l.name == name).and_then(|i| u16::try_from(i).ok());
            match shape.or_else(|| list.map(Detector::Words)) {
                Some(d) => found.push(d),
                None => {
                    let lists: Vec<String> = self.model.word_lists.iter().map(|l| l.name.clone()).collect();
                    let known = words::DETECTORS.iter().map(|(n, ..)| *n).chain(lists.iter().map(String::as_str));
                    let fix = did_you_mean(name, known);
                    self.report.push(
                        Diagnostic::error(place, format!("unknown detector or word list `{}`", shorten(name)))
                            .fix_maybe(fix),
                    );
                }
            }
        }
        found.sort();
        found.dedup();
        found
    }

    fn identifier(&mut self, fields: &Fields<'_>) -> Option<char> {
        let written = fields.text("identifier", self.report)?;
        let place = fields.get("identifier").map_or(fields.place, |n| n.place);
        match written.as_bytes() {
            [letter @ b'A'..=b'R'] => Some(char::from(*letter)),
            _ => {
                let message = format!("`identifier: {}` is not a Safe Harbor letter", shorten(written));
                self.error(place, message, "use one letter from A to R, or leave it out");
                None
            }
        }
    }

    fn select(&mut self, columns: &[(&str, Place)], class: Option<ClassId>) {
        for (text, place) in columns {
            match selector::column(text) {
                Ok(s) => {
                    self.names_target(&s, *place);
                    self.bind(BindingBy::Selector(s), class, *place);
                }
                Err((why, fix)) => self.error(*place, why, fix),
            }
        }
    }

    /// A target part without a star must name a target.
    pub(super) fn names_target(&mut self, s: &Selector, place: Place) {
        if !s.target.contains('*') {
            let names: Vec<String> = self.model.targets.iter().map(|t| t.name.clone()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.known("target", &s.target, place, &names);
        }
    }

    pub(super) fn clear(&mut self, written: &[(&str, Place)]) {
        self.select(written, None);
    }

    /// The same selector or tag given to two classes: neither is more specific, so what was meant cannot be known.
    pub(super) fn contradictions(&mut self) {
        let mut first: BTreeMap<String, (Option<ClassId>, Place)> = BTreeMap::new();
        let mut found = Vec::new();
        for (binding, place) in self.model.bindings.iter().zip(&self.origins.bindings) {
            if *place == Place::BUILT_IN {
                continue;
            }
            let text = match &binding.by {
                BindingBy::Selector(s) => selector::show(s),
                BindingBy::Tag { tag } => format!("tag {tag}"),
            };
            match first.get(&text) {
                Some((class, at)) if *class != binding.class => {
                    found.push((text, *at, *class, *place, binding.class));
                }
                Some(_) => {}
                None => {
                    first.insert(text, (binding.class, *place));
                }
            }
        }
        for (text, at, a, place, b) in found {
            let name = |c: Option<ClassId>| {
                let class = c.and_then(|c| self.model.classes.get(usize::from(c)));
                class.map_or_else(|| "clear".to_owned(), |c| format!("class `{}`", c.name))
            };
            let (a, b) = (name(a), name(b));
            self.report.push(
                Diagnostic::error(place, format!("`{text}` is given to {b} here and to {a} elsewhere"))
                    .also(at, format!("{a} here"))
                    .fix("a column has one class: remove one, or make one selector more specific"),
            );
        }
    }
}
