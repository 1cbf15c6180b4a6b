//! Regular expressions of blocking rules: checked, and the literal found that is in every match.
//!
//! The gateway looks for the literals of all patterns with one automaton and tries an expression only where its literal
//! is; an expression without a literal would cost every statement and is refused here.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

/// Longest expression.
const EXPRESSION_BYTES_MAX: usize = 1_000;
/// Shortest literal that is worth looking for.
pub(crate) const LITERAL_BYTES_MIN: usize = 3;

/// The literal, lower case, that every match contains.
///
/// # Errors
/// (reason, fix)
pub(crate) fn check(expression: &str) -> Result<String, (String, String)> {
    if expression.len() > EXPRESSION_BYTES_MAX {
        return Err((
            format!("the expression is longer than {EXPRESSION_BYTES_MAX} bytes"),
            "split it into several patterns".to_owned(),
        ));
    }
    let hir = ParserBuilder::new().nest_limit(50).build().parse(expression).map_err(|e| {
        let why = match e {
            regex_syntax::Error::Parse(e) => format!("{} at character {}", e.kind(), e.span().start.column),
            regex_syntax::Error::Translate(e) => format!("{} at character {}", e.kind(), e.span().start.column),
            _ => "it cannot be read".to_owned(),
        };
        (
            format!("not a valid regular expression: {why}"),
            "look-around and back-references are not supported; escape `(`, `[`, `*` with `\\\\` to mean themselves"
                .to_owned(),
        )
    })?;
    if hir.properties().minimum_len() == Some(0) {
        return Err((
            "the expression matches an empty text, so it would refuse every statement".to_owned(),
            "make some part of it required".to_owned(),
        ));
    }
    let literal = required(&hir).unwrap_or_default();
    if literal.len() < LITERAL_BYTES_MIN {
        let alternation = contains_alternation(&hir);
        return Err((
            format!(
                "no {LITERAL_BYTES_MIN} letters in a row are in every match of this expression, so it could not be searched for quickly"
            ),
            if alternation {
                "write each alternative as a pattern of its own".to_owned()
            } else {
                "add a fixed word to it".to_owned()
            },
        ));
    }
    Ok(literal)
}

fn contains_alternation(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Alternation(_) => true,
        HirKind::Concat(parts) => parts.iter().any(contains_alternation),
        HirKind::Capture(c) => contains_alternation(&c.sub),
        HirKind::Repetition(r) => contains_alternation(&r.sub),
        _ => false,
    }
}

/// The longest text that is in every match.
fn required(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Concat(parts) => {
            let mut best: Option<String> = None;
            let mut run = String::new();
            for part in parts {
                if let Some(exact) = exact(part) {
                    run.push_str(&exact);
                    continue;
                }
                longer(&mut best, std::mem::take(&mut run));
                longer(&mut best, required(part).unwrap_or_default());
            }
            longer(&mut best, run);
            best
        }
        HirKind::Capture(c) => required(&c.sub),
        HirKind::Repetition(r) if r.min >= 1 => required(&r.sub),
        _ => exact(hir),
    }
}

fn longer(best: &mut Option<String>, candidate: String) {
    if !candidate.is_empty() && best.as_ref().is_none_or(|b| candidate.len() > b.len()) {
        *best = Some(candidate);
    }
}

/// The only text this matches, in lower case, if there is only one.
fn exact(hir: &Hir) -> Option<String> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(String::new()),
        HirKind::Literal(l) => std::str::from_utf8(&l.0).ok().filter(|s| s.is_ascii()).map(str::to_ascii_lowercase),
        // `[dD]`, or `(?i)d`.
        HirKind::Class(Class::Unicode(class)) => {
            let mut letters = class.iter().flat_map(|r| [r.start(), r.end()]).filter(char::is_ascii);
            let first = letters.next()?.to_ascii_lowercase();
            let narrow = class.iter().all(|r| r.start() == r.end());
            (narrow
                && first.is_ascii_alphabetic()
                && letters.all(|c| c.to_ascii_lowercase() == first)
                && class.iter().all(|r| {
                    r.start().is_ascii() || r.start().to_lowercase().eq([first]) || (first == 's' && r.start() == 'ſ')
                }))
            .then(|| first.to_string())
        }
        HirKind::Class(Class::Bytes(_)) | HirKind::Alternation(_) | HirKind::Repetition(_) => None,
        HirKind::Capture(c) => exact(&c.sub),
        HirKind::Concat(parts) => parts.iter().map(exact).collect::<Option<Vec<_>>>().map(|v| v.concat()),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn literals_that_every_match_contains() {
        for (expression, literal) in [
            (r"pg_sleep\s*\(", "pg_sleep"),
            (r"(?i)DBLINK", "dblink"),
            (r"\bcopy\b.*\bprogram\b", "program"),
            (r"(lo_export)+x?", "lo_export"),
            (r"[dD]rop\s+database", "database"),
            (r"a{2}bcd", "bcd"),
        ] {
            assert_eq!(check(expression).as_deref(), Ok(literal), "{expression}");
        }
    }

    #[test]
    fn what_cannot_be_searched_for_is_refused_with_the_fix() {
        for (expression, reason, fix) in [
            ("foo|bar", "in a row", "pattern of its own"),
            (r"\d+", "in a row", "fixed word"),
            ("(abc", "not a valid", "escape"),
            ("(abc)*", "empty text", "required"),
            ("(?<=x)abc", "not a valid", "look-around"),
        ] {
            let (why, how) = check(expression).unwrap_err();
            assert!(why.contains(reason), "{expression}: {why}");
            assert!(how.contains(fix), "{expression}: {how}");
        }
    }
}
