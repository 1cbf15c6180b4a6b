//! COPY … TO STDOUT: the query whose rows it sends, and how they are written.
//!
//! Invariants: the query is part of the statement's own text, parsed again and found equal, or made of the relation and
//! the column names of the parse tree; options are read as the server reads them, and what is not understood gives no
//! [`CopyOut`], so that policy sees an ordinary COPY. Deliberately absent: COPY to files and programs, and COPY FROM.

use contract::{CopyFormat, Quoted};
use pg_query::NodeEnum;
use pg_query::protobuf::{CopyStmt, DefElem};

use super::names;
use crate::facts::{CopyOut, Span};
use crate::grammar;
use crate::lex::{Lexer, Token};

/// Longest word for NULL: it is looked for ahead of values that do not fit into memory.
const NULL_BYTES_MAX: usize = 64;

/// Last place of a query in a text, and its length: it is parsed once more with blanks before it, so a text of many
/// COPYs would cost the square of its length.
const QUERY_AT_MAX: usize = 16 << 10;
const QUERY_BYTES_MAX: usize = 256 << 10;

/// What `node` sends to the client, if it is a COPY TO STDOUT that is understood.
pub(super) fn out(text: &str, span: Span, node: &NodeEnum) -> Option<CopyOut> {
    let NodeEnum::CopyStmt(copy) = node else { return None };
    if copy.is_from || copy.is_program || !copy.filename.is_empty() || copy.where_clause.is_some() {
        return None;
    }
    let format = format(copy)?;
    let shape = match (&copy.query, &copy.relation) {
        (Some(_), None) => query(text, span, copy)?,
        (None, Some(_)) => table(copy)?,
        _ => return None,
    };
    Some(CopyOut { shape, format })
}

/// `COPY (query) TO …`. The query is read again at its own place in the text: the tree must be the same, positions too.
fn query(text: &str, span: Span, copy: &CopyStmt) -> Option<String> {
    let (start, end) = parenthesised(text, usize::try_from(span.start).ok()?)?;
    let query = text.get(start..end).filter(|q| start <= QUERY_AT_MAX && q.len() <= QUERY_BYTES_MAX)?;
    let placed = " ".repeat(start) + query;
    let tree = grammar::tree(&placed).ok()?;
    let [raw] = tree.protobuf.stmts.as_slice() else { return None };
    (raw.stmt.is_some() && raw.stmt == copy.query).then(|| query.to_owned())
}

/// Where the first token after COPY opens a parenthesis: what is inside.
fn parenthesised(text: &str, start: usize) -> Option<(usize, usize)> {
    let tokens = Lexer::new(text.as_bytes().get(start..)?);
    let mut tokens = tokens.filter(|(token, ..)| !matches!(token, Token::Space | Token::Comment));
    let (first, from, to) = tokens.next()?;
    let word = text.get(start + from..start + to)?;
    if first != Token::Word || !word.eq_ignore_ascii_case("copy") {
        return None;
    }
    let (Token::Mark(b'('), _, begin) = tokens.next()? else { return None };
    let mut depth = 1u32;
    for (token, from, _) in tokens {
        match token {
            Token::Mark(b'(') => depth += 1,
            Token::Mark(b')') if depth == 1 => return Some((start + begin, start + from)),
            Token::Mark(b')') => depth -= 1,
            _ => {}
        }
    }
    None
}

/// `COPY relation (columns) TO …` sends the relation's own rows, without those of its children.
fn table(copy: &CopyStmt) -> Option<String> {
    let range = copy.relation.as_ref()?;
    if range.alias.is_some() {
        return None;
    }
    let columns: Option<Vec<String>> = copy.attlist.iter().map(|n| names::text(n).map(quoted)).collect();
    let columns = match columns?.as_slice() {
        [] => "*".to_owned(),
        some => some.join(", "),
    };
    let path = [&range.catalogname, &range.schemaname, &range.relname];
    let path: Vec<String> = path.into_iter().filter(|part| !part.is_empty()).map(|part| quoted(part)).collect();
    Some(format!("SELECT {columns} FROM ONLY {}", path.join(".")))
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The options, with the server's defaults and its rules for what goes with what.
fn format(copy: &CopyStmt) -> Option<CopyFormat> {
    let mut options = Options::default();
    for node in &copy.options {
        let Some(NodeEnum::DefElem(option)) = node.node.as_ref() else { return None };
        options.take(option)?;
    }
    options.format()
}

#[derive(Default)]
struct Options {
    kind: Option<String>,
    delimiter: Option<u8>,
    null: Option<String>,
    header: Option<bool>,
    quote: Option<u8>,
    escape: Option<u8>,
    quoted: Option<Quoted>,
    encoding: Option<()>,
}

impl Options {
    fn take(&mut self, option: &DefElem) -> Option<()> {
        fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
            place.replace(value).is_none().then_some(())
        }
        match option.defname.as_str() {
            "format" => once(&mut self.kind, string(option)?.to_owned()),
            "delimiter" => once(&mut self.delimiter, byte(option)?),
            "null" => once(&mut self.null, string(option)?.to_owned()),
            "header" => once(&mut self.header, boolean(option)?),
            "quote" => once(&mut self.quote, byte(option)?),
            "escape" => once(&mut self.escape, byte(option)?),
            "force_quote" => once(&mut self.quoted, columns(option)?),
            "encoding" if ["utf8", "utf-8", "unicode"].contains(&string(option)?.to_ascii_lowercase().as_str()) => {
                once(&mut self.encoding, ())
            }
            _ => None,
        }
    }

    fn format(self) -> Option<CopyFormat> {
        let header = self.header.unwrap_or(false);
        let line_break = |b: u8| matches!(b, b'\r' | b'\n');
        if self.null.as_ref().is_some_and(|n| n.len() > NULL_BYTES_MAX || n.bytes().any(|b| line_break(b) || b == 0)) {
            return None;
        }
        match self.kind.as_deref().unwrap_or("text") {
            "text" if self.quote.is_none() && self.escape.is_none() && self.quoted.is_none() => {
                let delimiter = self.delimiter.unwrap_or(b'\t');
                let null = self.null.map_or_else(|| b"\\N".to_vec(), String::into_bytes);
                // Letters, digits and what escapes are made of: the server refuses them too.
                let taken = delimiter.is_ascii_lowercase() || delimiter.is_ascii_digit() || b"\\.".contains(&delimiter);
                if taken || line_break(delimiter) || null.contains(&delimiter) || !is_no_value(&null) {
                    return None;
                }
                Some(CopyFormat::Text { delimiter, null, header })
            }
            "csv" => {
                let delimiter = self.delimiter.unwrap_or(b',');
                let quote = self.quote.unwrap_or(b'"');
                let escape = self.escape.unwrap_or(quote);
                let null = self.null.unwrap_or_default().into_bytes();
                let breaks = [delimiter, quote, escape].into_iter().any(line_break);
                if breaks || delimiter == quote || null.contains(&delimiter) || null.contains(&quote) {
                    return None;
                }
                let quoted = self.quoted.unwrap_or(Quoted::Columns(Vec::new()));
                Some(CopyFormat::Csv { delimiter, quote, escape, null, header, quoted })
            }
            "binary" => {
                let plain = self.delimiter.is_none() && self.null.is_none() && self.header.is_none();
                let plain = plain && self.quote.is_none() && self.escape.is_none() && self.quoted.is_none();
                plain.then_some(CopyFormat::Binary)
            }
            _ => None,
        }
    }
}

/// In text format a value can be written as the word for NULL is: choosing the word would be asking who has that value.
/// It cannot where the word has a backslash before a character that is never escaped. The empty word stays allowed: it
/// tells an empty value from others, as masks that keep the length do.
fn is_no_value(null: &[u8]) -> bool {
    let mut at = 0;
    while let Some(byte) = null.get(at) {
        if *byte != b'\\' {
            at += 1;
            continue;
        }
        match null.get(at + 1) {
            Some(b'\\') => at += 2,
            Some(next) if next.is_ascii_uppercase() => return true,
            _ => return false,
        }
    }
    null.is_empty()
}

fn string(option: &DefElem) -> Option<&str> {
    match option.arg.as_deref()?.node.as_ref()? {
        NodeEnum::String(s) => Some(&s.sval),
        _ => None,
    }
}

fn byte(option: &DefElem) -> Option<u8> {
    match string(option)?.as_bytes() {
        [one] if one.is_ascii() && *one != 0 => Some(*one),
        _ => None,
    }
}

fn boolean(option: &DefElem) -> Option<bool> {
    let Some(arg) = option.arg.as_deref() else { return Some(true) };
    match arg.node.as_ref()? {
        NodeEnum::Boolean(b) => Some(b.boolval),
        NodeEnum::Integer(i) => match i.ival {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        },
        NodeEnum::String(s) => match s.sval.to_ascii_lowercase().as_str() {
            "true" | "on" => Some(true),
            "false" | "off" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn columns(option: &DefElem) -> Option<Quoted> {
    match option.arg.as_deref()?.node.as_ref()? {
        NodeEnum::AStar(_) => Some(Quoted::All),
        NodeEnum::List(list) => {
            let names: Option<Vec<String>> = list.items.iter().map(|n| names::text(n).map(str::to_owned)).collect();
            names.map(Quoted::Columns)
        }
        _ => None,
    }
}
