//! Rule files as text, and places in them.
//!
//! A file is bounded and valid UTF-8 before anything reads it. Files are merged in the order of their names, so the order
//! in which a shell lists them changes nothing. Deliberately absent: YAML (see `yaml`) and meaning (see `build`).

use std::path::{Path, PathBuf};

use crate::diagnostic::{Diagnostic, Report};

/// Largest rule file. A thousand roles fit a hundred times; word lists belong in files of their own.
pub const FILE_BYTES_MAX: usize = 4 << 20;
/// Most rule files in one compilation.
pub const FILES_MAX: usize = 1_000;
/// Largest word-list file.
pub const WORD_FILE_BYTES_MAX: usize = 16 << 20;

/// One rule file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name as shown in reports: the path as given.
    pub name: String,
    /// Content.
    pub text: String,
}

/// A run of characters on one line of one file; lines and columns count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Index of the file; see [`Place::BUILT_IN`].
    pub file: u16,
    /// Line; 0 is the whole file.
    pub line: u32,
    /// Column in characters.
    pub column: u32,
    /// Characters marked, at least 1.
    pub length: u32,
}

impl Place {
    /// The built-in library, or no file at all.
    pub const BUILT_IN: Self = Self { file: u16::MAX, line: 0, column: 0, length: 0 };

    /// The first place of a file.
    #[must_use]
    pub const fn whole(file: u16) -> Self {
        Self { file, line: 0, column: 0, length: 0 }
    }
}

/// The rule files of one compilation, in merge order.
#[derive(Clone, Debug, Default)]
pub struct Sources(Vec<Source>);

impl Sources {
    /// Sorts by file name, then by path: the documented merge order.
    #[must_use]
    pub fn new(mut files: Vec<Source>) -> Self {
        files.sort_by(|a, b| order(&a.name).cmp(&order(&b.name)));
        Self(files)
    }

    /// The files.
    #[must_use]
    pub fn files(&self) -> &[Source] {
        &self.0
    }

    /// Name of the file of a place.
    #[must_use]
    pub fn name(&self, place: Place) -> &str {
        self.0.get(usize::from(place.file)).map_or("(built in)", |s| s.name.as_str())
    }

    /// The line of a place, without its line ending.
    #[must_use]
    pub fn line(&self, place: Place) -> Option<&str> {
        let index = usize::try_from(place.line).ok()?.checked_sub(1)?;
        self.0.get(usize::from(place.file))?.text.lines().nth(index)
    }

    /// `file:line:column` of a place.
    #[must_use]
    pub fn show(&self, place: Place) -> String {
        match place.line {
            0 => self.name(place).to_owned(),
            line => format!("{}:{line}:{}", self.name(place), place.column),
        }
    }

    /// Like [`Self::show`] without the column, for running text.
    #[must_use]
    pub fn show_line(&self, place: Place) -> String {
        match place.line {
            0 => self.name(place).to_owned(),
            line => format!("{}:{line}", self.name(place)),
        }
    }

    /// Reads rule files from disk. A directory stands for the `*.yaml` and `*.yml` files directly in it. What cannot be
    /// read is reported and left out.
    #[must_use]
    pub fn read(paths: &[PathBuf], report: &mut Report) -> Self {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                match directory(path) {
                    Ok(found) if found.is_empty() => {
                        report.push(Diagnostic::plain(format!("{}: no *.yaml file in this directory", path.display())));
                    }
                    Ok(found) => files.extend(found),
                    Err(e) => report.push(Diagnostic::plain(format!("{}: {e}", path.display()))),
                }
            } else {
                files.push(path.clone());
            }
        }
        if files.len() > FILES_MAX {
            report.push(Diagnostic::plain(format!("{} rule files; at most {FILES_MAX} are read", files.len())));
            files.truncate(FILES_MAX);
        }
        let read = files.iter().filter_map(|p| match read_bounded(p, FILE_BYTES_MAX) {
            Ok(bytes) => match text(&p.display().to_string(), bytes) {
                Ok(source) => Some(source),
                Err(d) => {
                    report.push(d);
                    None
                }
            },
            Err(e) => {
                report.push(Diagnostic::plain(format!("{}: {e}", p.display())));
                None
            }
        });
        Self::new(read.collect())
    }
}

fn order(name: &str) -> (&std::ffi::OsStr, &str) {
    (Path::new(name).file_name().unwrap_or_default(), name)
}

fn directory(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "yaml" || e == "yml") && path.is_file() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Reads at most `max` bytes; a larger file is an error and never wholly in memory.
pub(crate) fn read_bounded(path: &Path, max: usize) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let file = std::fs::File::open(path).map_err(|e| describe(&e))?;
    let mut bytes = Vec::new();
    let limit = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(|e| describe(&e))?;
    if bytes.len() > max {
        return Err(format!("larger than the {} MiB that are read", max >> 20));
    }
    Ok(bytes)
}

fn describe(e: &std::io::Error) -> String {
    match e.kind() {
        std::io::ErrorKind::NotFound => "no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => e.to_string(),
    }
}

/// Checks size and UTF-8.
///
/// # Errors
/// The size limit, or the line and column of the first byte that is not UTF-8.
pub fn text(name: &str, bytes: Vec<u8>) -> Result<Source, Diagnostic> {
    if bytes.len() > FILE_BYTES_MAX {
        return Err(Diagnostic::plain(format!("{name}: larger than the {} MiB that are read", FILE_BYTES_MAX >> 20))
            .fix("move long word lists into files of their own: `word-lists: {names: {file: names.txt}}`"));
    }
    match String::from_utf8(bytes) {
        Ok(text) => Ok(Source { name: name.to_owned(), text }),
        Err(e) => {
            let good = e.utf8_error().valid_up_to();
            let before = String::from_utf8_lossy(&e.as_bytes()[..good]).into_owned();
            let line = before.matches('\n').count() + 1;
            let column = before.rsplit('\n').next().map_or(0, |l| l.chars().count()) + 1;
            Err(Diagnostic::plain(format!("{name}:{line}:{column}: not valid UTF-8"))
                .fix("save the file as UTF-8 (without converting it, the rest of the file cannot be read safely)"))
        }
    }
}
