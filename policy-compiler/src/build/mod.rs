//! Rule files to a checked model: names are gathered from all files first, then every entry is read with all names known.
//!
//! Nothing stops at the first mistake; with errors there is no model. The model holds what the runtime needs, [`Origins`]
//! where each part was written. Deliberately absent: catalogs (see `resolve`) and the runtime's tables.

mod asking;
mod blocks;
mod classes;
mod expectations;
mod holds;
mod limits;
mod roles;
mod targets;

use std::collections::BTreeMap;

use policy::Model;
use policy::model::RedactionId;

pub(crate) use asking::show_time;
pub use expectations::{Expectation, ExpectedColumn, Test, Who};

use crate::diagnostic::{Diagnostic, Report};
use crate::read::{self, Fields};
use crate::source::{Place, Sources};
use crate::words;
use crate::yaml::{self, Node, Value};

/// Longest name of a class, role, rule, target or list.
const NAME_BYTES_MAX: usize = 100;

/// Checked rules.
#[derive(Clone, Debug)]
pub struct Rules {
    /// What a bundle carries.
    pub model: Model,
    /// Where it was written.
    pub origins: Origins,
    /// Tests, in order.
    pub tests: Vec<Test>,
    /// The files.
    pub sources: Sources,
}

/// Where the parts of a model were written; each vector has the length of the model's.
#[derive(Clone, Debug, Default)]
pub struct Origins {
    /// Targets.
    pub targets: Vec<Place>,
    /// Classes; [`Place::BUILT_IN`] for the library's.
    pub classes: Vec<Place>,
    /// Bindings.
    pub bindings: Vec<Place>,
    /// Word lists.
    pub word_lists: Vec<Place>,
    /// Roles.
    pub roles: Vec<Place>,
    /// Per role and class: where its redaction is written, if it is.
    pub treatment: Vec<Vec<Option<Place>>>,
    /// Blocking rules.
    pub blocks: Vec<Place>,
    /// Holding rules.
    pub holds: Vec<Place>,
}

/// Reads the content of word-list files.
pub trait WordFiles {
    /// Content of `path`, written in the rule file `rule_file`.
    ///
    /// # Errors
    /// Why it cannot be read.
    fn read(&self, rule_file: &str, path: &str) -> Result<Vec<u8>, String>;
}

/// Word lists beside their rule files on disk.
#[derive(Clone, Copy, Debug)]
pub struct OnDisk;

impl WordFiles for OnDisk {
    fn read(&self, rule_file: &str, path: &str) -> Result<Vec<u8>, String> {
        let beside = std::path::Path::new(rule_file).parent().unwrap_or_else(|| std::path::Path::new(""));
        crate::source::read_bounded(&beside.join(path), crate::source::WORD_FILE_BYTES_MAX)
    }
}

/// No files at all: rules from memory.
#[derive(Clone, Copy, Debug)]
pub struct NoFiles;

impl WordFiles for NoFiles {
    fn read(&self, _rule_file: &str, _path: &str) -> Result<Vec<u8>, String> {
        Err("word lists cannot be read from files here".to_owned())
    }
}

/// A named entry of a section.
#[derive(Clone, Copy)]
struct Named<'a> {
    name: &'a str,
    place: Place,
    node: &'a Node,
}

/// Everything that was written, by section, in merge order.
#[derive(Default)]
struct Written<'a> {
    library: bool,
    targets: Vec<Named<'a>>,
    classes: Vec<Named<'a>>,
    clear: Vec<(&'a str, Place)>,
    word_lists: Vec<Named<'a>>,
    roles: Vec<Named<'a>>,
    blocks: Vec<&'a Node>,
    holds: Vec<&'a Node>,
    tests: Vec<&'a Node>,
}

/// The work in progress.
struct Build<'a> {
    model: Model,
    origins: Origins,
    sources: &'a Sources,
    files: &'a dyn WordFiles,
    report: &'a mut Report,
}

/// Reads and checks rule files. `None` if there is any error; the report has them all.
#[must_use]
pub fn load(sources: Sources, files: &dyn WordFiles, report: &mut Report) -> Option<Rules> {
    if sources.files().is_empty() {
        if report.is_ok() {
            report.push(Diagnostic::plain("no rule file is given"));
        }
        return None;
    }
    let roots: Vec<Node> = (0..sources.files().len())
        .filter_map(|i| {
            let file = u16::try_from(i).ok()?;
            let before = report.errors();
            let root = yaml::parse(file, &sources, report);
            if root.is_none() && report.errors() == before {
                report.push(
                    Diagnostic::error(Place::whole(file), format!("{} is empty", sources.files()[i].name))
                        .fix("`policy-compiler init` writes a starter file from a live database"),
                );
            }
            root
        })
        .collect();
    // Names of a file that cannot be read would be missed everywhere else.
    if roots.len() < sources.files().len() {
        return None;
    }
    let mut written = Written::default();
    for root in &roots {
        written.gather(root, report);
    }
    let mut build = Build { model: Model::default(), origins: Origins::default(), sources: &sources, files, report };
    build.targets(&written.targets);
    build.word_lists(&written.word_lists);
    build.classes(written.library, &written.classes);
    build.clear(&written.clear);
    build.contradictions();
    build.roles(&written.roles);
    build.blocks(&written.blocks);
    build.holds(&written.holds);
    let tests = build.expectations(&written.tests);
    let Build { model, origins, .. } = build;
    report.is_ok().then_some(Rules { model, origins, tests, sources })
}

/// Rules from one text in memory, without access to files: for embedding and for fuzzing.
#[must_use]
pub fn load_str(name: &str, text: &str) -> (Option<Rules>, Report, Sources) {
    let mut report = Report::default();
    match crate::source::text(name, text.as_bytes().to_vec()) {
        Ok(source) => {
            let sources = Sources::new(vec![source]);
            (load(sources.clone(), &NoFiles, &mut report), report, sources)
        }
        Err(d) => {
            report.push(d);
            (None, report, Sources::default())
        }
    }
}

impl<'a> Written<'a> {
    fn gather(&mut self, root: &'a Node, report: &mut Report) {
        let Some(fields) = Fields::of(root, words::FILE, "a rule file", report) else { return };
        if let Some(node) = fields.get("version")
            && node.scalar() != Some("1")
        {
            report.push(
                Diagnostic::error(node.place, "this program reads version 1 of the rule language")
                    .fix("write `version: 1`"),
            );
        }
        for (name, place) in fields.texts("use", report) {
            if name == crate::library::SAFE_HARBOR {
                self.library = true;
            } else {
                let fix = words::did_you_mean(name, [crate::library::SAFE_HARBOR].into_iter());
                report.push(
                    Diagnostic::error(place, format!("unknown library `{}`", read::shorten(name))).fix_maybe(fix),
                );
            }
        }
        named(&fields, "targets", &mut self.targets, report);
        named(&fields, "classes", &mut self.classes, report);
        named(&fields, "word-lists", &mut self.word_lists, report);
        named(&fields, "roles", &mut self.roles, report);
        self.clear.extend(fields.texts("clear", report));
        items(&fields, "block", &mut self.blocks, report);
        items(&fields, "hold", &mut self.holds, report);
        items(&fields, "tests", &mut self.tests, report);
    }
}

/// Adds the entries of a section; a name defined in two files is a mistake that shows both.
fn named<'a>(fields: &Fields<'a>, section: &str, into: &mut Vec<Named<'a>>, report: &mut Report) {
    let Some(node) = fields.get(section) else { return };
    let mut known: BTreeMap<&str, Place> = into.iter().map(|n| (n.name, n.place)).collect();
    for (key, node) in read::entries(node, section, report) {
        let name = key.scalar().unwrap_or_default();
        if !name_is_fit(name) {
            report.push(
                Diagnostic::error(key.place, format!("`{}` cannot be a name", read::shorten(name)))
                    .fix("use letters, digits, `-` and `_`, and begin with a letter or digit"),
            );
            continue;
        }
        match known.get(name) {
            // Within one mapping the tree has reported it already.
            Some(first) if first.file == key.place.file => {}
            Some(first) => report.push(
                Diagnostic::error(key.place, format!("`{name}` is defined twice under `{section}`"))
                    .also(*first, "first defined here")
                    .fix("keep one of them, or rename one"),
            ),
            None => {
                known.insert(name, key.place);
                into.push(Named { name, place: key.place, node });
            }
        }
    }
}

fn items<'a>(fields: &Fields<'a>, section: &str, into: &mut Vec<&'a Node>, report: &mut Report) {
    match fields.get(section) {
        None => {}
        Some(Node { value: Value::List(list), .. }) => into.extend(list),
        Some(node) if node.is_empty() => {}
        Some(node) => report.push(
            Diagnostic::error(node.place, format!("`{section}` is {}; a list is needed", node.kind()))
                .fix("begin each entry on a new line with `- `"),
        ),
    }
}

fn name_is_fit(name: &str) -> bool {
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'))
}

impl Build<'_> {
    fn error(&mut self, place: Place, message: impl Into<String>, fix: impl Into<String>) {
        self.report.push(Diagnostic::error(place, message).fix(fix));
    }

    /// Index of a redaction in the model, added if it is new.
    fn redaction(&mut self, redaction: policy::model::Redaction) -> RedactionId {
        let known = self.model.redactions.iter().position(|r| *r == redaction);
        let index = known.unwrap_or_else(|| {
            self.model.redactions.push(redaction);
            self.model.redactions.len() - 1
        });
        RedactionId::try_from(index).unwrap_or_else(|_| {
            let place = Place::BUILT_IN;
            self.report.push(Diagnostic::error(place, "more than 65535 different redactions"));
            0
        })
    }

    /// Reports a name that is not among `known`; `true` if it is.
    fn known(&mut self, what: &str, name: &str, place: Place, known: &[&str]) -> bool {
        if known.contains(&name) {
            return true;
        }
        let fix = words::did_you_mean(name, known.iter().copied());
        self.report.push(Diagnostic::error(place, format!("unknown {what} `{}`", read::shorten(name))).fix_maybe(fix));
        false
    }
}
