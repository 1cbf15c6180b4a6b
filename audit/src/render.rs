//! Records and reports as text and JSON, safe to print: whatever a client sent cannot move the cursor, change colours,
//! reorder a line or pretend to be another record.

use std::fmt::Write as _;

use crate::decode::{Body, OwnedMasked};
use crate::encode::SQLSTATE_NONE;
use crate::show::Entry;
use crate::time;

/// Characters of statement text on one line of `show`, unless all of it is wanted.
const TEXT_CHARACTERS: usize = 400;

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        // Writing to a string cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// Does the character do something to a terminal, or to the order or visibility of the text around it?
#[must_use]
pub fn is_active(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Bytes as printable text on one line: control characters, invisible and direction-changing characters and what is
/// not UTF-8 appear as escapes.
#[must_use]
pub fn printable(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.push_str("\\n"),
                '\t' => out.push_str("\\t"),
                '\r' => out.push_str("\\r"),
                '\\' => out.push_str("\\\\"),
                c if is_active(c) => {
                    let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
                }
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// One JSON object on one line.
pub(crate) struct Json {
    out: String,
}

impl Json {
    pub(crate) fn new() -> Self {
        Self { out: String::from("{") }
    }

    fn key(&mut self, key: &str) {
        if !self.out.ends_with(['{', '[']) {
            self.out.push(',');
        }
        quote(&mut self.out, key);
        self.out.push(':');
    }

    pub(crate) fn text(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        quote(&mut self.out, value);
        self
    }

    /// Left out when empty.
    pub(crate) fn some(&mut self, key: &str, value: &str) -> &mut Self {
        if value.is_empty() { self } else { self.text(key, value) }
    }

    pub(crate) fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.raw(key, &value.to_string())
    }

    pub(crate) fn truth(&mut self, key: &str, value: bool) -> &mut Self {
        self.raw(key, if value { "true" } else { "false" })
    }

    pub(crate) fn raw(&mut self, key: &str, value: &str) -> &mut Self {
        self.key(key);
        self.out.push_str(value);
        self
    }

    pub(crate) fn list(&mut self, key: &str, items: impl Iterator<Item = String>) -> &mut Self {
        self.key(key);
        self.out.push('[');
        for (index, item) in items.enumerate() {
            if index > 0 {
                self.out.push(',');
            }
            self.out.push_str(&item);
        }
        self.out.push(']');
        self
    }

    pub(crate) fn finish(&mut self) -> String {
        let mut out = std::mem::take(&mut self.out);
        out.push('}');
        out
    }
}

fn quote(out: &mut String, value: &str) {
    out.push('"');
    for c in value.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if is_active(c) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

fn statement_text(text: &[u8], full: bool) -> String {
    let shown = printable(text);
    match shown.char_indices().nth(TEXT_CHARACTERS) {
        Some((end, _)) if !full => format!("{}… ({} bytes)", &shown[..end], text.len()),
        _ => shown,
    }
}

/// One record as one line, without a line end.
#[must_use]
pub fn line(entry: &Entry, full: bool) -> String {
    let record = &entry.record;
    let p = |text: &str| printable(text.as_bytes());
    let mut out = format!("{} {}/{}", time::format(record.clock.wall_ns, 6), entry.core, record.sequence);
    if let Some(session) = record.body.session() {
        let _ = write!(out, " {}", &hex(&session.0));
    }
    if let (Some(user), Some(target)) = (&entry.user, &entry.target) {
        let _ = write!(out, " {}@{}", p(user), p(target));
    }
    let _ = write!(out, " {}", record.body.name());
    let _ = match &record.body {
        Body::EpochStart { build, clean, torn_bytes, .. } => {
            let ending = if *clean { "after an orderly end" } else { "after a crash" };
            write!(out, " epoch {} build {} {ending}", entry.epoch, p(build)).and_then(|()| match torn_bytes {
                0 => Ok(()),
                bytes => write!(out, ", {bytes} bytes of an unfinished write set aside"),
            })
        }
        Body::EpochEnd => write!(out, " epoch {}", entry.epoch),
        Body::PolicyLoad { bundle, catalog_epoch, target } => {
            write!(out, " target {} bundle {} catalog {catalog_epoch}", p(target), &hex(bundle)[..16])
        }
        Body::AuthFail { source, user, reason, .. } => {
            write!(out, " user {} from {}: {}", p(user), p(source), p(reason))
        }
        Body::SessionOpen { actor, source, tls, application, database, account, bundle, .. } => write!(
            out,
            " role {} issuer {} from {} {} application {} as {} in {} bundle {}",
            p(&actor.role),
            p(&actor.issuer),
            p(source),
            if tls.is_empty() { "plaintext".to_owned() } else { p(tls) },
            p(application),
            p(account),
            p(database),
            &hex(bundle)[..16],
        ),
        Body::SessionClose { reason, statements, bytes, .. } => {
            write!(out, " {}: {statements} statements, {bytes} bytes", p(reason))
        }
        Body::Intent { statement, text, via, row_limit, .. } => {
            write!(out, " #{statement} {}", p(via)).and_then(|()| match row_limit {
                0 => write!(out, ": {}", statement_text(text, full)),
                limit => write!(out, " limit {limit}: {}", statement_text(text, full)),
            })
        }
        Body::Block { statement, text, code, rule, .. } => {
            write!(out, " #{statement} {} by rule {}: {}", p(code), p(rule), statement_text(text, full))
        }
        Body::Result { statement, outcome, sqlstate, rows, bytes, duration_us, masked, .. } => {
            let mut done = write!(out, " #{statement} {}", p(outcome));
            if *sqlstate != SQLSTATE_NONE {
                done = done.and_then(|()| write!(out, " {}", printable(sqlstate)));
            }
            done = done.and_then(|()| write!(out, " {rows} rows, {bytes} bytes, {duration_us} us"));
            for (index, column) in masked.iter().enumerate() {
                let lead = if index == 0 { ", masked " } else { ", " };
                done = done.and_then(|()| {
                    write!(out, "{lead}{}:{}:{}", p(&column.column), p(&column.class), p(&column.method))
                });
            }
            done
        }
        Body::Observe { statement, masked, code, rule, .. } => {
            let mut done = write!(out, " #{statement}");
            if !code.is_empty() {
                done = done.and_then(|()| write!(out, " would be refused: {} by rule {}", p(code), p(rule)));
            }
            for (index, column) in masked.iter().enumerate() {
                let lead = if index == 0 { " would be masked: " } else { ", " };
                done = done.and_then(|()| {
                    write!(out, "{lead}{}:{}:{}", p(&column.column), p(&column.class), p(&column.method))
                });
            }
            done
        }
        Body::Alarm { kind, detail, .. } => write!(out, " {}: {}", p(kind), p(detail)),
    };
    out
}

/// One record as one JSON object, without a line end. Numbers that JSON readers may round are strings.
#[must_use]
pub fn json(entry: &Entry) -> String {
    let record = &entry.record;
    let mut json = Json::new();
    json.text("time", &time::format(record.clock.wall_ns, 9))
        .number("core", u64::from(entry.core))
        .number("epoch", u64::from(entry.epoch))
        .number("block", entry.block_seq)
        .number("sequence", record.sequence)
        .text("mono_ns", &record.clock.mono_ns.to_string())
        .text("type", record.body.name());
    if let Some(session) = record.body.session() {
        json.text("session", &hex(&session.0));
    }
    if let Some(user) = &entry.user {
        json.text("user", user);
    }
    if let Some(target) = &entry.target {
        json.text("target", target);
    }
    match &record.body {
        Body::EpochStart { build, previous, clean, torn_bytes } => {
            json.some("build", build).text("previous", &hex(previous)).truth("clean", *clean);
            json.number("torn_bytes", *torn_bytes);
        }
        Body::EpochEnd => {}
        Body::PolicyLoad { bundle, catalog_epoch, .. } => {
            json.text("bundle", &hex(bundle)).number("catalog_epoch", *catalog_epoch);
        }
        Body::AuthFail { source, reason, .. } => {
            json.some("source", source).text("reason", reason);
        }
        Body::SessionOpen { actor, source, tls, application, database, account, bundle, .. } => {
            json.some("issuer", &actor.issuer).some("role", &actor.role).some("source", source).some("tls", tls);
            json.some("application", application).some("database", database).some("account", account);
            json.text("bundle", &hex(bundle));
        }
        Body::SessionClose { reason, statements, bytes, .. } => {
            json.text("reason", reason).number("statements", *statements).number("bytes", *bytes);
        }
        Body::Intent {
            statement,
            text,
            via,
            fingerprint,
            effects,
            bundle,
            catalog_epoch,
            parameters,
            row_limit,
            ..
        } => {
            json.number("statement", *statement);
            text_field(&mut json, text);
            json.some("via", via).text("fingerprint", &format!("{fingerprint:016x}"));
            json.text("effects", &format!("{effects:x}")).text("bundle", &hex(bundle));
            json.number("catalog_epoch", *catalog_epoch);
            if let Some(parameters) = parameters {
                json.text("parameters", &hex(parameters));
            }
            json.number("row_limit", u64::from(*row_limit));
        }
        Body::Block { statement, text, code, rule, bundle, .. } => {
            json.number("statement", *statement);
            text_field(&mut json, text);
            json.some("code", code).some("rule", rule).text("bundle", &hex(bundle));
        }
        Body::Result { statement, outcome, sqlstate, rows, bytes, duration_us, masked, .. } => {
            json.number("statement", *statement).text("outcome", outcome);
            json.text("sqlstate", &String::from_utf8_lossy(sqlstate));
            json.number("rows", *rows).number("bytes", *bytes).number("duration_us", *duration_us);
            masked_list(&mut json, masked);
        }
        Body::Observe { statement, bundle, masked, code, rule, .. } => {
            json.number("statement", *statement).some("code", code).some("rule", rule).text("bundle", &hex(bundle));
            masked_list(&mut json, masked);
        }
        Body::Alarm { kind, detail, .. } => {
            json.text("kind", kind).some("detail", detail);
        }
    }
    if !record.extensions.is_empty() {
        json.list("extensions", record.extensions.iter().map(|(key, value)| format!("\"{key}:{}\"", hex(value))));
    }
    json.finish()
}

fn masked_list(json: &mut Json, masked: &[OwnedMasked]) {
    json.list(
        "masked",
        masked.iter().map(|column| {
            let mut item = Json::new();
            item.text("column", &column.column).text("class", &column.class).text("method", &column.method);
            item.finish()
        }),
    );
}

/// Text as text if it is UTF-8, otherwise its bytes, so that nothing is lost.
fn text_field(json: &mut Json, text: &[u8]) {
    match std::str::from_utf8(text) {
        Ok(text) => json.text("text", text),
        Err(_) => json.text("text_hex", &hex(text)),
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_a_client_sends_reaches_the_terminal_raw() {
        let hostile = "\x1b]0;owned\x07 \u{9b}31m \u{202e}gnp.exe \u{200b}\u{2028}x\r\nSTMT_RESULT \u{e0041}\0\u{7f}";
        let shown = printable(hostile.as_bytes());
        assert!(!shown.chars().any(is_active), "{shown:?}");
        assert!(shown.contains("\\u{1b}]0;owned\\u{7}"));
        assert_eq!(printable(b"a\xff\xfeb\\"), "a\\xff\\xfeb\\\\");
        assert_eq!(printable("Ärzte 日本".as_bytes()), "Ärzte 日本");
    }

    #[test]
    fn json_strings_survive_a_json_reader() {
        let hostile = "\"\\\n\u{1b}\u{202e}\u{e0041}\u{1f600}é";
        let mut json = Json::new();
        let line = json.text("k", hostile).number("n", 7).list("l", std::iter::empty()).finish();
        assert!(line.chars().all(|c| !is_active(c)));
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["k"], hostile);
        assert_eq!(value["n"], 7);
    }
}
