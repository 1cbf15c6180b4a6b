//! Selectors as they are written: `warehouse.clinic.patients.ssn`, `*.*.member_*`, `clinic."Odd.Name".x`.
//!
//! Parts are separated by dots; a part in double quotes may contain dots. `*` stands for any run of characters. Column
//! selectors have four parts, or three for any target; object selectors one to three. Matching itself belongs to the
//! runtime, so that the compiler and the gateway cannot disagree.

pub(crate) use policy::glob::matches as glob;
use policy::model::Selector;

/// Longest part that makes sense; PostgreSQL truncates names to 63 bytes.
const PART_BYTES_MAX: usize = 255;

/// Splits into parts.
///
/// # Errors
/// The reason in words.
pub(crate) fn parts(text: &str) -> Result<Vec<String>, String> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                push(&mut parts, '"');
            }
            '"' => quoted = !quoted,
            '.' if !quoted => parts.push(String::new()),
            c if c.is_whitespace() && !quoted => {
                return Err("a selector has no spaces outside of double quotes".to_owned());
            }
            c if c.is_control() => return Err("a selector has no control characters".to_owned()),
            c => push(&mut parts, c),
        }
    }
    if quoted {
        return Err("a double quote is not closed".to_owned());
    }
    if parts.iter().any(String::is_empty) {
        return Err("a part between the dots is empty; write `*` for any name".to_owned());
    }
    if parts.iter().any(|p| p.len() > PART_BYTES_MAX) {
        return Err(format!("a part is longer than {PART_BYTES_MAX} bytes"));
    }
    Ok(parts)
}

fn push(parts: &mut [String], c: char) {
    if let Some(last) = parts.last_mut() {
        last.push(c);
    }
}

/// A column selector.
///
/// # Errors
/// (reason, fix)
pub(crate) fn column(text: &str) -> Result<Selector, (String, String)> {
    let example = "columns are written target.schema.table.column, or schema.table.column for any target".to_owned();
    let parts = parts(text).map_err(|why| (why, example.clone()))?;
    match <[String; 4]>::try_from(parts) {
        Ok([target, schema, relation, column]) => Ok(Selector { target, schema, relation, column }),
        Err(parts) => match <[String; 3]>::try_from(parts) {
            Ok([schema, relation, column]) => Ok(Selector { target: "*".to_owned(), schema, relation, column }),
            Err(parts) => {
                let stars = match parts.len() {
                    1 => Some(format!("\"*.*.{text}\"")),
                    2 => Some(format!("\"*.{text}\"")),
                    _ => None,
                };
                let fix = stars
                    .map_or_else(|| example.clone(), |s| format!("write {s} for every schema, or name it; {example}"));
                let count = parts.len();
                Err((
                    format!("selector `{text}` has {count} part{}, not 3 or 4", if count == 1 { "" } else { "s" }),
                    fix,
                ))
            }
        },
    }
}

/// An object selector of a blocking rule.
///
/// # Errors
/// (reason, fix)
pub(crate) fn object(text: &str) -> Result<Selector, (String, String)> {
    let example = "objects are written target.schema.table, schema.table, or table".to_owned();
    let parts = parts(text).map_err(|why| (why, example.clone()))?;
    let star = || "*".to_owned();
    let count = parts.len();
    let mut parts = parts.into_iter();
    let (target, schema, relation) = match (count, parts.next(), parts.next(), parts.next()) {
        (1, Some(relation), ..) => (star(), star(), relation),
        (2, Some(schema), Some(relation), _) => (star(), schema, relation),
        (3, Some(target), Some(schema), Some(relation)) => (target, schema, relation),
        _ => return Err((format!("object selector `{text}` has {count} parts, not 1 to 3"), example)),
    };
    Ok(Selector { target, schema, relation, column: star() })
}

/// As it would be written.
#[must_use]
pub fn show(selector: &Selector) -> String {
    [&selector.target, &selector.schema, &selector.relation, &selector.column].map(|p| part(p)).join(".")
}

/// An object selector as it would be written.
#[must_use]
pub fn show_object(selector: &Selector) -> String {
    [&selector.target, &selector.schema, &selector.relation].map(|p| part(p)).join(".")
}

/// One part as it would be written.
pub(crate) fn part(text: &str) -> String {
    if text.contains('.') || text.contains('"') || text.contains(char::is_whitespace) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_counted_and_quotes_respected() {
        assert_eq!(column("a.b.c.d").unwrap().target, "a");
        assert_eq!(column("b.c.d").unwrap().target, "*");
        assert_eq!(column("b.\"c.x\".d").unwrap().relation, "c.x");
        assert_eq!(column("b.\"say \"\"hi\"\"\".d").unwrap().relation, "say \"hi\"");
        assert!(column("c.d").unwrap_err().1.contains("\"*.c.d\""));
        assert!(column("a.b.c.d.e").unwrap_err().0.contains("5 parts"));
        assert!(column("a..c").unwrap_err().0.contains("empty"));
        assert!(column("a.\"b.c").unwrap_err().0.contains("not closed"));
        assert!(column("a.b c.d").unwrap_err().0.contains("spaces"));
        assert_eq!(object("t").unwrap().relation, "t");
        assert!(object("a.b.c.d").is_err());
    }

    #[test]
    fn what_is_shown_reads_back() {
        for text in ["a.b.c.d", "*.\"x.y\".\"q\"\"q\".d_*"] {
            let s = column(text).unwrap();
            assert_eq!(column(&show(&s)).unwrap(), s);
        }
    }
}
