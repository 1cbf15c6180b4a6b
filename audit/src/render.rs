//! Records and reports as text and JSON, safe to print: whatever a client sent cannot move the cursor, change colours,
//! reorder a line or pretend to be another record.

use std::fmt::Write as _;

use crate::body::{Body, OwnedAccess, OwnedActor, OwnedApproval, OwnedMasked};
use crate::encode::SQLSTATE_NONE;
use crate::record::SessionId;
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

fn statement_text(text: &[u8], sealed: &[u8], full: bool) -> String {
    if !sealed.is_empty() {
        return "[sealed]".to_owned();
    }
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
        Body::Intent { statement, text, sealed_text, via, row_limit, .. } => write!(out, " #{statement} {}", p(via))
            .and_then(|()| match row_limit {
                0 => write!(out, ": {}", statement_text(text, sealed_text, full)),
                limit => write!(out, " limit {limit}: {}", statement_text(text, sealed_text, full)),
            }),
        Body::Block { statement, text, sealed_text, code, rule, .. } => {
            write!(out, " #{statement} {} by rule {}: {}", p(code), p(rule), statement_text(text, sealed_text, full))
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
        other => {
            out.push_str(&node_line(other));
            Ok(())
        }
    };
    out
}

/// The rest of a line about what the node or its people did.
fn node_line(body: &Body) -> String {
    let p = |text: &str| printable(text.as_bytes());
    let by = |actor: &OwnedActor, reason: &str| {
        let who = if actor.subject.is_empty() { "somebody unknown".to_owned() } else { p(&actor.subject) };
        if reason.is_empty() { format!("by {who}") } else { format!("by {who}, because: {}", p(reason)) }
    };
    match body {
        Body::Release { statement, number, rows, bytes, .. } => {
            format!(" #{statement} release {number}: up to {rows} rows, {bytes} bytes")
        }
        Body::RecordingSegment { number, chunks, bytes, reason, .. } => {
            let end = if reason.is_empty() { String::new() } else { format!(", ends: {}", p(reason)) };
            format!(" recording segment {number}: {chunks} chunks, {bytes} bytes{end}")
        }
        Body::Heartbeat { interval_s } => format!(" next within {interval_s} s"),
        Body::ClockStep { step_ns } => format!(" wall clock moved by {} ms", step_ns / 1_000_000),
        Body::LogMode { target, mode, reason } if target.is_empty() => format!(" log {}: {}", p(mode), p(reason)),
        Body::LogMode { target, mode, reason } => {
            format!(" target {} is recorded {}: {}", p(target), p(mode), p(reason))
        }
        Body::Gap { reason, duration_us, lost, sessions, statements } => format!(
            " {}: {} ms, {lost} records lost, {sessions} sessions and {statements} statements refused",
            p(reason),
            duration_us / 1000
        ),
        Body::Configuration { reason, build, configuration, .. } => {
            format!(" {}: build {} configuration {}", p(reason), p(build), &hex(configuration)[..16])
        }
        Body::KeyRotate { key } => format!(" checkpoints are signed by {} from here on", p(key)),
        Body::NodeEnroll { origin, key } => format!(" {} with key {}", p(origin), p(key)),
        Body::NodeRetire { origin, reason } => format!(" {}: {}", p(origin), p(reason)),
        Body::Anchor { kind, size, root, place } => {
            format!(" {} at {}: size {size} root {}", p(kind), p(place), &hex(root)[..16])
        }
        Body::Access(access) => access_line(access),
        Body::Approval(approval) => approval_line(approval),
        Body::Credential(credential) => {
            let mut line = format!(" {} {} at {}", p(&credential.kind), p(&credential.account), p(&credential.target));
            push(&mut line, "", &credential.reason);
            line
        }
        Body::ReplayView { actor, reason, detail, .. } => format!(" {} {}", p(detail), by(actor, reason)),
        Body::Export { actor, reason, kind, detail, count } => {
            format!(" {} of {count} records ({}) {}", p(kind), p(detail), by(actor, reason))
        }
        Body::Review { actor, reason, detail, findings, ticket } => {
            let ticket = if ticket.is_empty() { String::new() } else { format!(" ticket {}", p(ticket)) };
            format!(" of {} {}{ticket}; findings: {}", p(detail), by(actor, reason), p(findings))
        }
        Body::HoldSet { actor, reason, name, query } => format!(" {} on {} {}", p(name), p(query), by(actor, reason)),
        Body::HoldClear { actor, reason, name } => format!(" {} {}", p(name), by(actor, reason)),
        Body::Purge { actor, reason, kind, sessions, signatures, .. } => format!(
            " {} of {} sessions, {} signatures, {}",
            p(kind),
            sessions.len(),
            signatures.len(),
            by(actor, reason)
        ),
        _ => String::new(),
    }
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
        Body::SessionOpen {
            actor, source, tls, application, database, account, bundle, recording, mode, key, ..
        } => {
            json.some("issuer", &actor.issuer).some("role", &actor.role).some("source", source).some("tls", tls);
            json.some("application", application).some("database", database).some("account", account);
            json.text("bundle", &hex(bundle)).some("mode", mode).some("recording", recording);
            digest(&mut json, "key", key);
        }
        Body::SessionClose { reason, statements, bytes, .. } => {
            json.text("reason", reason).number("statements", *statements).number("bytes", *bytes);
        }
        Body::Intent {
            statement,
            text,
            sealed_text,
            tables,
            via,
            fingerprint,
            effects,
            bundle,
            catalog_epoch,
            parameters,
            sealed_parameters,
            row_limit,
            ..
        } => {
            json.number("statement", *statement);
            text_field(&mut json, text, sealed_text);
            names(&mut json, tables);
            json.some("via", via).text("fingerprint", &format!("{fingerprint:016x}"));
            json.text("effects", &format!("{effects:x}")).text("bundle", &hex(bundle));
            json.number("catalog_epoch", *catalog_epoch);
            if let Some(parameters) = parameters {
                json.text("parameters", &hex(parameters));
            }
            if !sealed_parameters.is_empty() {
                json.truth("parameters_sealed", true);
            }
            json.number("row_limit", u64::from(*row_limit));
        }
        Body::Block { statement, text, sealed_text, tables, code, rule, bundle, .. } => {
            json.number("statement", *statement);
            text_field(&mut json, text, sealed_text);
            names(&mut json, tables);
            json.some("code", code).some("rule", rule).text("bundle", &hex(bundle));
        }
        Body::Result { statement, outcome, sqlstate, rows, bytes, duration_us, masked, clear, .. } => {
            json.number("statement", *statement).text("outcome", outcome);
            json.text("sqlstate", &String::from_utf8_lossy(sqlstate));
            json.number("rows", *rows).number("bytes", *bytes).number("duration_us", *duration_us);
            masked_list(&mut json, masked);
            if !clear.is_empty() {
                json.list(
                    "clear",
                    clear.iter().map(|c| Json::new().text("column", &c.column).text("class", &c.class).finish()),
                );
            }
        }
        Body::Observe { statement, bundle, masked, code, rule, .. } => {
            json.number("statement", *statement).some("code", code).some("rule", rule).text("bundle", &hex(bundle));
            masked_list(&mut json, masked);
        }
        Body::Alarm { kind, detail, .. } => {
            json.text("kind", kind).some("detail", detail);
        }
        other => node_json(&mut json, other),
    }
    if !record.extensions.is_empty() {
        json.list("extensions", record.extensions.iter().map(|(key, value)| format!("\"{key}:{}\"", hex(value))));
    }
    json.finish()
}

fn digest(json: &mut Json, key: &str, value: &[u8; 32]) {
    if *value != [0; 32] {
        json.text(key, &hex(value));
    }
}

fn names(json: &mut Json, tables: &[String]) {
    if !tables.is_empty() {
        json.list("tables", tables.iter().map(|name| quoted(name)));
    }
}

fn quoted(text: &str) -> String {
    let mut out = String::new();
    quote(&mut out, text);
    out
}

fn p(text: &str) -> String {
    printable(text.as_bytes())
}

fn push(line: &mut String, before: &str, text: &str) {
    if !text.is_empty() {
        let _ = write!(line, " {before}{}", p(text));
    }
}

fn person(actor: &OwnedActor) -> String {
    if actor.issuer.is_empty() { p(&actor.subject) } else { format!("{}@{}", p(&actor.subject), p(&actor.issuer)) }
}

fn access_line(access: &OwnedAccess) -> String {
    let mut line = format!(" {}", p(&access.kind));
    push(&mut line, "", &access.id);
    if access.actor != OwnedActor::default() {
        let _ = write!(line, " by {}", person(&access.actor));
    }
    if access.about != OwnedActor::default() {
        let _ = write!(line, " for {}", person(&access.about));
        push(&mut line, "role ", &access.about.role);
    }
    push(&mut line, "target ", &access.target);
    push(&mut line, "user ", &access.user);
    push(&mut line, "from ", &access.source);
    if access.until_ns > 0 {
        let _ = write!(line, " until {}", time::format(access.until_ns, 0));
    }
    push(&mut line, "", &access.detail);
    push(&mut line, "reason: ", &access.reason);
    line
}

fn approval_line(approval: &OwnedApproval) -> String {
    let mut line = format!(" {} {}", p(&approval.kind), p(&approval.id));
    if approval.statement > 0 {
        let _ = write!(line, " #{}", approval.statement);
    }
    if approval.actor != OwnedActor::default() {
        let _ = write!(line, " by {}", person(&approval.actor));
    }
    push(&mut line, "rule ", &approval.rule);
    if approval.until_ns > 0 {
        let _ = write!(line, " until {}", time::format(approval.until_ns, 0));
    }
    push(&mut line, "", &approval.detail);
    push(&mut line, "reason: ", &approval.reason);
    if !approval.text.is_empty() || !approval.sealed_text.is_empty() {
        let _ = write!(line, ": {}", statement_text(&approval.text, &approval.sealed_text, false));
    }
    line
}

fn moment(json: &mut Json, until_ns: u64) {
    if until_ns > 0 {
        json.text("until", &time::format(until_ns, 9));
    }
}

fn by(json: &mut Json, actor: &OwnedActor, reason: &str) {
    json.some("by", &actor.subject).some("issuer", &actor.issuer).some("role", &actor.role).some("reason", reason);
}

fn about(json: &mut Json, actor: &OwnedActor) {
    json.some("about", &actor.subject).some("about_issuer", &actor.issuer).some("about_role", &actor.role);
}

/// The target, where no session of the record's says it already.
fn aimed(json: &mut Json, session: SessionId, target: &str) {
    if session == SessionId::default() {
        json.some("target", target);
    }
}

fn access_json(json: &mut Json, access: &OwnedAccess) {
    json.text("kind", &access.kind).some("id", &access.id);
    aimed(json, access.session, &access.target);
    about(json, &access.about);
    json.some("login", &access.user).some("source", &access.source).some("detail", &access.detail);
    moment(json, access.until_ns);
    by(json, &access.actor, &access.reason);
}

fn approval_json(json: &mut Json, approval: &OwnedApproval) {
    json.text("kind", &approval.kind).some("id", &approval.id);
    if approval.statement > 0 {
        json.number("statement", approval.statement);
    }
    digest(json, "digest", &approval.digest);
    aimed(json, approval.session, &approval.target);
    json.some("rule", &approval.rule).some("detail", &approval.detail);
    if !approval.text.is_empty() || !approval.sealed_text.is_empty() {
        text_field(json, &approval.text, &approval.sealed_text);
    }
    names(json, &approval.tables);
    moment(json, approval.until_ns);
    if !approval.assertion.is_empty() {
        json.text("assertion", &hex(&approval.assertion));
    }
    by(json, &approval.actor, &approval.reason);
}

/// Fields of what the node or its people did.
fn node_json(json: &mut Json, body: &Body) {
    match body {
        Body::Release { statement, number, rows, bytes, digest: of, .. } => {
            json.number("statement", *statement).number("release", *number);
            json.number("rows", *rows).number("bytes", *bytes);
            digest(json, "digest", of);
        }
        Body::RecordingSegment { number, chunks, bytes, statement, reason, digest: of, .. } => {
            json.number("segment", *number).number("chunks", *chunks).number("bytes", *bytes);
            json.number("statement", *statement).some("reason", reason);
            digest(json, "digest", of);
        }
        Body::Heartbeat { interval_s } => {
            json.number("interval_s", *interval_s);
        }
        Body::ClockStep { step_ns } => {
            json.text("step_ns", &step_ns.to_string());
        }
        Body::LogMode { target, mode, reason } => {
            json.some("target", target).text("mode", mode).some("reason", reason);
        }
        Body::Gap { reason, duration_us, lost, sessions, statements } => {
            json.some("reason", reason).number("duration_us", *duration_us).number("lost", *lost);
            json.number("sessions", *sessions).number("statements", *statements);
        }
        Body::Configuration { reason, build, configuration, program } => {
            json.some("reason", reason).some("build", build);
            digest(json, "configuration", configuration);
            digest(json, "program", program);
        }
        Body::KeyRotate { key } => {
            json.text("key", key);
        }
        Body::NodeEnroll { origin, key } => {
            json.text("origin", origin).text("key", key);
        }
        Body::NodeRetire { origin, reason } => {
            json.text("origin", origin).some("reason", reason);
        }
        Body::Anchor { kind, size, root, place } => {
            json.text("kind", kind).number("size", *size).text("root", &hex(root)).some("place", place);
        }
        Body::Access(access) => access_json(json, access),
        Body::Approval(approval) => approval_json(json, approval),
        Body::Credential(credential) => {
            json.text("kind", &credential.kind);
            aimed(json, credential.session, &credential.target);
            json.some("account", &credential.account).some("reason", &credential.reason);
            moment(json, credential.until_ns);
            if credential.duration_us > 0 {
                json.number("duration_us", credential.duration_us);
            }
        }
        Body::ReplayView { actor, reason, detail, .. } => {
            json.some("detail", detail);
            by(json, actor, reason);
        }
        Body::Export { actor, reason, kind, detail, count } => {
            json.text("kind", kind).some("detail", detail).number("count", *count);
            by(json, actor, reason);
        }
        Body::Review { actor, reason, detail, findings, ticket } => {
            json.some("detail", detail).some("findings", findings).some("ticket", ticket);
            by(json, actor, reason);
        }
        Body::HoldSet { actor, reason, name, query } => {
            json.text("name", name).some("query", query);
            by(json, actor, reason);
        }
        Body::HoldClear { actor, reason, name } => {
            json.text("name", name);
            by(json, actor, reason);
        }
        Body::Purge { actor, reason, kind, order, sessions, signatures } => {
            json.text("kind", kind).text("order", order);
            json.list("sessions", sessions.iter().map(|session| quoted(&hex(&session.0))));
            json.list("signatures", signatures.iter().map(|line| quoted(line)));
            by(json, actor, reason);
        }
        _ => {}
    }
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
fn text_field(json: &mut Json, text: &[u8], sealed: &[u8]) {
    if !sealed.is_empty() {
        json.truth("text_sealed", true);
        return;
    }
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
