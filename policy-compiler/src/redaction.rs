//! Redactions in words: how they are written, how they are shown, how much of a value they leave, and which column types
//! they can work on.
//!
//! What they do to a value is the runtime's business.

use std::cmp::Ordering;

use policy::model::Redaction;

use crate::diagnostic::{Diagnostic, Report};
use crate::read::{self, Fields, shorten};
use crate::source::Place;
use crate::words::{self, did_you_mean};
use crate::yaml::{Node, Value};

/// Fill character where none is given.
const FILL: char = '*';
const CONSTANT_BYTES_MAX: usize = 1_024;
const KEEP_MAX: u32 = 1_000;
const TOKEN_LENGTH: u32 = 16;

/// Reads a redaction.
pub(crate) fn read(node: &Node, report: &mut Report) -> Option<Redaction> {
    match &node.value {
        Value::Scalar { .. } if node.is_null_word() => Some(Redaction::Null),
        Value::Scalar { text, .. } if text.is_empty() => {
            report.push(
                Diagnostic::error(node.place, "no redaction is given")
                    .fix("write `null` to return NULL, `clear` to show the value"),
            );
            None
        }
        Value::Scalar { text, .. } => word(text, node.place, report),
        Value::Map(_) => mapping(node, report),
        Value::List(_) => {
            report.push(
                Diagnostic::error(node.place, "a redaction is one word or one mapping, this is a list")
                    .fix("write for instance `keep-last 4` or `{token: {key: default}}`"),
            );
            None
        }
    }
}

fn known() -> impl Iterator<Item = &'static str> + Clone {
    let simple = words::SIMPLE_REDACTIONS.iter().chain(words::COUNTED_REDACTIONS).map(|(n, _)| *n);
    simple.chain(["token", "constant"])
}

fn word(text: &str, place: Place, report: &mut Report) -> Option<Redaction> {
    let mut split = text.split_whitespace();
    let (name, argument, more) = (split.next().unwrap_or_default(), split.next(), split.next());
    let simple = match name {
        "clear" => Some(Redaction::Clear),
        "null" => Some(Redaction::Null),
        "fill" => Some(Redaction::Fill { fill: FILL }),
        "year" => Some(Redaction::Year),
        "age-cap" => Some(Redaction::AgeCap),
        "zip3" => Some(Redaction::Zip3),
        "refuse" => Some(Redaction::Refuse),
        _ => None,
    };
    match (simple, name, argument) {
        (Some(redaction), _, None) => Some(redaction),
        (Some(_), _, Some(_)) => {
            report.push(Diagnostic::error(place, format!("`{name}` stands alone")).fix(format!("write `{name}`")));
            None
        }
        (None, "keep-first" | "keep-last", argument) => {
            let count = argument.and_then(|a| a.parse::<u32>().ok()).filter(|n| (1..=KEEP_MAX).contains(n));
            let Some(count) = count.filter(|_| more.is_none()).and_then(|n| u16::try_from(n).ok()) else {
                report.push(
                    Diagnostic::error(
                        place,
                        format!("`{name}` needs the number of characters that stay, 1 to {KEEP_MAX}"),
                    )
                    .fix(format!("write for instance `{name} 4`")),
                );
                return None;
            };
            Some(if name == "keep-first" {
                Redaction::KeepFirst { count, fill: FILL }
            } else {
                Redaction::KeepLast { count, fill: FILL }
            })
        }
        (None, "token", _) => {
            report.push(
                Diagnostic::error(place, "`token` needs the name of its key")
                    .fix("write `{token: {key: default}}`; the key itself is in the gateway's configuration"),
            );
            None
        }
        (None, "constant", _) => {
            report
                .push(Diagnostic::error(place, "`constant` needs its text").fix("write `{constant: \"[redacted]\"}`"));
            None
        }
        (None, ..) => {
            report.push(
                Diagnostic::error(place, format!("unknown redaction `{}`", shorten(text)))
                    .fix_maybe(did_you_mean(name, known())),
            );
            None
        }
    }
}

fn mapping(node: &Node, report: &mut Report) -> Option<Redaction> {
    let errors = report.errors();
    let fields = Fields::of(node, words::REDACTION, "a redaction", report)?;
    let fill = fields.get("fill").and_then(|n| fill_character(n, report));
    let ways: Vec<_> = ["constant", "keep-first", "keep-last", "token"]
        .into_iter()
        .filter_map(|k| fields.get(k).map(|n| (k, n)))
        .collect();
    if ways.len() > 1 {
        let names: Vec<_> = ways.iter().map(|(k, _)| format!("`{k}`")).collect();
        report.push(
            Diagnostic::error(node.place, format!("{} exclude each other", names.join(" and ")))
                .fix("keep one of them"),
        );
        return None;
    }
    let Some((way, value)) = ways.first().copied() else {
        if report.errors() == errors && fill.is_none() {
            report.push(Diagnostic::error(node.place, "the redaction is empty").fix("write `null` to return NULL"));
        }
        return fill.map(|fill| Redaction::Fill { fill });
    };
    if fields.get("fill").is_some() && !way.starts_with("keep-") {
        report
            .push(Diagnostic::error(node.place, format!("`fill` has no meaning beside `{way}`")).fix("remove `fill`"));
    }
    let fill = fill.unwrap_or(FILL);
    let keep = |report: &mut Report| {
        read::number(value, &format!("`{way}`"), 1..=KEEP_MAX, report).and_then(|n| u16::try_from(n).ok())
    };
    match way {
        "keep-first" => keep(report).map(|count| Redaction::KeepFirst { count, fill }),
        "keep-last" => keep(report).map(|count| Redaction::KeepLast { count, fill }),
        "token" => token(value, report),
        _ => constant(value, report),
    }
}

fn constant(node: &Node, report: &mut Report) -> Option<Redaction> {
    let Some(text) = node.scalar() else {
        report.push(Diagnostic::error(node.place, format!("`constant` is {}; one text is needed", node.kind())));
        return None;
    };
    if text.len() > CONSTANT_BYTES_MAX || text.contains('\0') {
        report.push(Diagnostic::error(
            node.place,
            format!("the constant must have at most {CONSTANT_BYTES_MAX} bytes and no NUL character"),
        ));
        return None;
    }
    Some(Redaction::Constant(text.to_owned()))
}

fn token(node: &Node, report: &mut Report) -> Option<Redaction> {
    if node.scalar().is_some() {
        report.push(
            Diagnostic::error(node.place, "`token` needs a mapping with the name of its key")
                .fix("write `{token: {key: default}}`"),
        );
        return None;
    }
    let fields = Fields::of(node, words::TOKEN, "a token", report)?;
    let length = match fields.get("length") {
        Some(n) => read::number(n, "`length`", 8..=64, report)?,
        None => TOKEN_LENGTH,
    };
    let key = fields.text("key", report)?;
    Some(Redaction::Token { key: key.to_owned(), length: u8::try_from(length).unwrap_or(16) })
}

fn fill_character(node: &Node, report: &mut Report) -> Option<char> {
    let written = node.scalar().unwrap_or_default();
    let mut chars = written.chars();
    match (chars.next(), chars.next()) {
        (Some(c), None) if c.is_ascii_graphic() || c == ' ' => Some(c),
        _ => {
            report.push(
                Diagnostic::error(
                    node.place,
                    format!("`fill` is `{}`; one printable ASCII character is needed", shorten(written)),
                )
                .fix("write for instance `fill: \"x\"`"),
            );
            None
        }
    }
}

/// The word for a redaction, without its parameters.
#[must_use]
pub const fn name(redaction: &Redaction) -> &'static str {
    match redaction {
        Redaction::Clear => "clear",
        Redaction::Null => "null",
        Redaction::Constant(_) => "constant",
        Redaction::KeepFirst { .. } => "keep-first",
        Redaction::KeepLast { .. } => "keep-last",
        Redaction::Fill { .. } => "fill",
        Redaction::Token { .. } => "token",
        Redaction::Year => "year",
        Redaction::AgeCap => "age-cap",
        Redaction::Zip3 => "zip3",
        Redaction::Refuse => "refuse",
    }
}

/// As it would be written in a rule file.
#[must_use]
pub fn show(redaction: &Redaction) -> String {
    let with = |fill: char| if fill == FILL { String::new() } else { format!(" filled with {fill:?}") };
    match redaction {
        Redaction::Constant(text) => format!("constant {:?}", shorten(text)),
        Redaction::KeepFirst { count, fill } => format!("keep-first {count}{}", with(*fill)),
        Redaction::KeepLast { count, fill } => format!("keep-last {count}{}", with(*fill)),
        Redaction::Fill { fill } => format!("fill{}", with(*fill)),
        Redaction::Token { key, length } => format!("token of {length} digits, key {key}"),
        other => name(other).to_owned(),
    }
}

/// Compares how much of a value two redactions leave; `None` if neither is clearly more.
///
/// The order is: everything (`clear`) > part of the value (keep, year, ZIP, age) > a token (equality stays visible) > its
/// length or nothing.
#[must_use]
pub fn compare(a: &Redaction, b: &Redaction) -> Option<Ordering> {
    if a == b {
        return Some(Ordering::Equal);
    }
    let level = |r: &Redaction| match r {
        Redaction::Clear => 5,
        Redaction::KeepFirst { .. }
        | Redaction::KeepLast { .. }
        | Redaction::Year
        | Redaction::AgeCap
        | Redaction::Zip3 => 4,
        Redaction::Token { .. } => 3,
        Redaction::Fill { .. } => 2,
        Redaction::Constant(_) | Redaction::Null => 1,
        Redaction::Refuse => 0,
    };
    match (a, b) {
        (Redaction::KeepFirst { count: x, .. }, Redaction::KeepFirst { count: y, .. })
        | (Redaction::KeepLast { count: x, .. }, Redaction::KeepLast { count: y, .. })
            if x != y =>
        {
            Some(x.cmp(y))
        }
        (Redaction::Token { length: x, .. }, Redaction::Token { length: y, .. }) if x != y => Some(x.cmp(y)),
        _ => match level(a).cmp(&level(b)) {
            Ordering::Equal => None,
            other => Some(other),
        },
    }
}

/// Why a redaction gives NULL instead of what its name says on a column of this type; `None` if it works. In free text
/// (`scanned`) every redaction works wherever there is text.
#[must_use]
pub fn unsuitable(redaction: &Redaction, type_name: &str, scanned: bool) -> Option<&'static str> {
    let element = type_name.trim_end_matches("[]");
    let base = element.split('(').next().unwrap_or_default().trim();
    let base = if element.ends_with("citext") { "citext" } else { base };
    let text = matches!(
        base,
        "text" | "character varying" | "character" | "name" | "\"char\"" | "citext" | "bpchar" | "varchar"
    );
    // Leaves of JSON are redacted as text.
    let text = text || (!scanned && matches!(base, "json" | "jsonb"));
    let date = base == "date" || base.starts_with("timestamp");
    let whole = matches!(base, "smallint" | "integer" | "bigint" | "numeric");
    let number = whole || matches!(base, "real" | "double precision");
    let bytes = matches!(base, "uuid" | "bytea" | "macaddr" | "macaddr8");
    if scanned {
        let structured = matches!(base, "json" | "jsonb" | "xml");
        return (!text && !structured && *redaction != Redaction::Clear).then_some("free text needs a text column");
    }
    match redaction {
        Redaction::KeepFirst { fill, .. } | Redaction::KeepLast { fill, .. } | Redaction::Fill { fill }
            if !(text || bytes || whole && fill.is_ascii_digit()) =>
        {
            Some(if whole {
                "a number needs a digit as its fill"
            } else {
                "it needs text, a number, or bytes such as a UUID"
            })
        }
        Redaction::Token { .. } if !(text || bytes || matches!(base, "bigint" | "numeric")) => {
            Some("it needs text, a bigint or numeric, or bytes such as a UUID")
        }
        Redaction::Year if !(text || date) => Some("it needs a date, a timestamp or text"),
        Redaction::AgeCap if !(text || number) => Some("it needs a number or text"),
        Redaction::Zip3 if !(text || whole) => Some("it needs text or a whole number"),
        _ => None,
    }
}
