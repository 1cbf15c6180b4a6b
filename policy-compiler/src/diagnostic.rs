//! Mistakes and remarks, collected rather than thrown: one run reports everything that is wrong with a rule file.
//!
//! Each shows `file:line:column`, the line with a caret, the reason and, where one is known, the fix. The number kept is
//! bounded. Deliberately absent: any decision; whoever collects decides what an error means.

use std::fmt::Write as _;

use crate::source::{Place, Sources};

/// Most diagnostics kept; what comes after is only counted.
pub const DIAGNOSTICS_MAX: usize = 500;
const LINE_SHOWN_MAX: usize = 150;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The rules cannot be compiled.
    Error,
    /// The rules compile; something probably is not what was meant.
    Warning,
}

/// One mistake or remark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// What is wrong and why, one line.
    pub message: String,
    /// What would be right.
    pub fix: Option<String>,
    /// Other places it is about, each with a few words.
    pub also: Vec<(Place, String)>,
}

impl Diagnostic {
    /// An error at a place.
    #[must_use]
    pub fn error(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place, message: message.into(), fix: None, also: Vec::new() }
    }
    /// A warning at a place.
    #[must_use]
    pub fn warning(place: Place, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(place, message) }
    }
    /// An error about no place in a rule file; the message names what it is about.
    #[must_use]
    pub fn plain(message: impl Into<String>) -> Self {
        Self::error(Place::BUILT_IN, message)
    }
    /// Adds the fix.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
    /// Adds the fix if there is one.
    #[must_use]
    pub fn fix_maybe(mut self, fix: Option<String>) -> Self {
        self.fix = fix.or(self.fix);
        self
    }
    /// Adds another place.
    #[must_use]
    pub fn also(mut self, place: Place, words: impl Into<String>) -> Self {
        self.also.push((place, words.into()));
        self
    }
}

/// Everything found so far.
#[derive(Clone, Debug, Default)]
pub struct Report {
    list: Vec<Diagnostic>,
    errors: usize,
    warnings: usize,
}

impl Report {
    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        match diagnostic.severity {
            Severity::Error => self.errors += 1,
            Severity::Warning => self.warnings += 1,
        }
        if self.list.len() < DIAGNOSTICS_MAX && !self.list.contains(&diagnostic) {
            self.list.push(diagnostic);
        }
    }
    /// In file order, errors of a place before warnings.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Diagnostic> {
        let mut list: Vec<_> = self.list.iter().collect();
        list.sort_by_key(|d| (d.place.file == u16::MAX, d.place, d.severity));
        list
    }
    /// Number of errors.
    #[must_use]
    pub const fn errors(&self) -> usize {
        self.errors
    }
    /// Number of warnings.
    #[must_use]
    pub const fn warnings(&self) -> usize {
        self.warnings
    }
    /// Nothing was found that stops compilation.
    #[must_use]
    pub const fn is_ok(&self) -> bool {
        self.errors == 0
    }

    /// The whole report as text for people.
    #[must_use]
    pub fn render(&self, sources: &Sources, paint: Paint) -> String {
        let mut out = String::new();
        for d in self.sorted() {
            render(d, sources, paint, &mut out);
            out.push('\n');
        }
        let hidden = (self.errors + self.warnings).saturating_sub(self.list.len());
        if hidden > 0 {
            let _ = writeln!(out, "… and {hidden} more\n");
        }
        let words = |n: usize, what: &str| format!("{n} {what}{}", if n == 1 { "" } else { "s" });
        if self.errors > 0 || self.warnings > 0 {
            let mut parts = Vec::new();
            if self.errors > 0 {
                parts.push(paint.red(&words(self.errors, "error")));
            }
            if self.warnings > 0 {
                parts.push(paint.yellow(&words(self.warnings, "warning")));
            }
            let _ = writeln!(out, "{}", parts.join(", "));
        }
        out
    }
}

fn render(d: &Diagnostic, sources: &Sources, paint: Paint, out: &mut String) {
    let head = match d.severity {
        Severity::Error => paint.red("error"),
        Severity::Warning => paint.yellow("warning"),
    };
    let _ = writeln!(out, "{head}: {}", paint.bold(&d.message));
    let margin = std::iter::once(d.place.line)
        .chain(d.also.iter().map(|(p, _)| p.line))
        .map(|l| l.to_string().len())
        .max()
        .unwrap_or(1);
    if d.place != Place::BUILT_IN {
        snippet(d.place, "", margin, sources, paint, out);
    }
    for (place, words) in &d.also {
        snippet(*place, words, margin, sources, paint, out);
    }
    if let Some(fix) = &d.fix {
        let _ = writeln!(out, "{:margin$} {} {fix}", "", paint.green("= fix:"));
    }
}

fn snippet(place: Place, words: &str, margin: usize, sources: &Sources, paint: Paint, out: &mut String) {
    let label = if words.is_empty() { String::new() } else { format!("  ({words})") };
    let _ = writeln!(out, "{:margin$}{} {}{label}", "", paint.blue("-->"), sources.show(place));
    let Some(line) = sources.line(place) else { return };
    let bar = paint.blue("|");
    // Tabs and control characters take one cell, so that the caret stands under what it marks.
    let cells: Vec<char> = line.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let column = usize::try_from(place.column).unwrap_or(1).saturating_sub(1).min(cells.len());
    let first = column.saturating_sub(LINE_SHOWN_MAX / 2);
    let first = if cells.len() <= LINE_SHOWN_MAX { 0 } else { first };
    let last = cells.len().min(first + LINE_SHOWN_MAX);
    let shown: String = cells[first..last].iter().collect();
    let length = usize::try_from(place.length).unwrap_or(1).clamp(1, last.saturating_sub(column).max(1));
    let (cut_left, cut_right) = (if first > 0 { "…" } else { "" }, if last < cells.len() { "…" } else { "" });
    let indent = column - first + cut_left.chars().count();
    let _ = writeln!(out, "{:margin$} {bar}", "");
    let _ = writeln!(
        out,
        "{} {bar} {cut_left}{}{cut_right}",
        paint.blue(&format!("{:margin$}", place.line)),
        shown.trim_end()
    );
    let _ = writeln!(out, "{:margin$} {bar} {:indent$}{}", "", "", paint.red(&"^".repeat(length)));
}

/// Whether output is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Paint(pub bool);

impl Paint {
    fn code(self, code: &str, text: &str) -> String {
        if self.0 { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
    /// Errors, what is refused.
    #[must_use]
    pub fn red(self, text: &str) -> String {
        self.code("1;31", text)
    }
    /// Warnings.
    #[must_use]
    pub fn yellow(self, text: &str) -> String {
        self.code("1;33", text)
    }
    /// Fixes, what is allowed.
    #[must_use]
    pub fn green(self, text: &str) -> String {
        self.code("1;32", text)
    }
    /// Margins.
    #[must_use]
    pub fn blue(self, text: &str) -> String {
        self.code("34", text)
    }
    /// Headlines.
    #[must_use]
    pub fn bold(self, text: &str) -> String {
        self.code("1", text)
    }
    /// What matters less.
    #[must_use]
    pub fn dim(self, text: &str) -> String {
        self.code("2", text)
    }
}
