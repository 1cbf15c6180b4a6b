//! What leaves: one record as one event, by an allow-list of fields.
//!
//! A field that is not listed here stays inside, also one that a later version adds. Statement texts leave only when the
//! configuration says so; sealed texts, digests of parameters and orders never do.

use audit::{Body, Entry, render};
use serde_json::{Map, Value};

/// Fields of a record's JSON form that may leave.
const FIELDS: &[&str] = &[
    "about",
    "about_issuer",
    "about_role",
    "account",
    "application",
    "bundle",
    "bytes",
    "catalog_epoch",
    "chunks",
    "clean",
    "clear",
    "code",
    "configuration",
    "count",
    "database",
    "detail",
    "duration_us",
    "effects",
    "epoch",
    "fingerprint",
    "interval_s",
    "issuer",
    "key",
    "kind",
    "login",
    "lost",
    "masked",
    "mode",
    "name",
    "number",
    "outcome",
    "place",
    "program",
    "query",
    "reason",
    "recording",
    "request",
    "releases",
    "role",
    "root",
    "row_limit",
    "rows",
    "rule",
    "session",
    "sessions",
    "size",
    "source",
    "sqlstate",
    "statement",
    "statements",
    "step_ns",
    "tables",
    "target",
    "ticket",
    "time",
    "tls",
    "torn_bytes",
    "type",
    "until",
    "user",
    "via",
];
/// Fields with what people typed.
const TEXT_FIELDS: &[&str] = &["text", "text_hex", "findings"];

/// One event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Core.
    pub core: u16,
    /// Sequence on the core.
    pub sequence: u64,
    /// Wall clock, nanoseconds since 1970.
    pub wall_ns: u64,
    /// Type of the record.
    pub kind: &'static str,
    /// Severity as in RFC 5424: 3 error, 4 warning, 6 informational.
    pub severity: u8,
    /// `origin:core:sequence`; the same record always has the same.
    pub id: String,
    /// The event's fields, `id` among them.
    pub fields: Map<String, Value>,
}

impl Event {
    /// The event of a record.
    #[must_use]
    pub fn of(entry: &Entry, origin: &str, include_text: bool) -> Self {
        let mut all = match serde_json::from_str(&render::json(entry)) {
            Ok(Value::Object(all)) => all,
            // The record's own writer made it; still, an event without fields is better than none.
            Ok(_) | Err(_) => Map::new(),
        };
        // The event has an id of its own; the record's is that of a request, grant, sign-in or credential.
        if let Some(of) = all.remove("id") {
            all.insert("request".to_owned(), of);
        }
        let may = |key: &str| FIELDS.contains(&key) || (include_text && TEXT_FIELDS.contains(&key));
        let mut fields: Map<String, Value> = all.into_iter().filter(|(key, _)| may(key)).collect();
        let id = format!("{origin}:{}:{}", entry.core, entry.record.sequence);
        fields.insert("id".to_owned(), Value::from(id.as_str()));
        fields.insert("origin".to_owned(), Value::from(origin));
        fields.insert("core".to_owned(), Value::from(entry.core));
        fields.insert("sequence".to_owned(), Value::from(entry.record.sequence));
        Self {
            core: entry.core,
            sequence: entry.record.sequence,
            wall_ns: entry.record.clock.wall_ns,
            kind: entry.record.body.name(),
            severity: severity(&entry.record.body),
            id,
            fields,
        }
    }

    /// The fields as JSON in ASCII, so that no receiver has to guess an encoding and no terminal acts on it.
    #[must_use]
    pub fn json(&self) -> String {
        ascii(&Value::Object(self.fields.clone()).to_string())
    }
}

/// JSON text with everything outside of ASCII as escapes; such characters stand only inside of strings.
pub(crate) fn ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_ascii() && c != '\u{7f}' {
            out.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    out
}

fn severity(body: &Body) -> u8 {
    match body {
        Body::Alarm { .. } | Body::Gap { .. } => 3,
        Body::Access(access)
            if access.kind == "break_glass"
                || access.kind.ends_with("_failed")
                || access.kind.ends_with("_refused") =>
        {
            4
        }
        Body::AuthFail { .. } | Body::Block { .. } | Body::ClockStep { .. } | Body::LogMode { .. } => 4,
        _ => 6,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audit::OwnedRecord;
    use audit::record::{Clock, SessionId};

    fn intent(sealed: &[u8]) -> Entry {
        let body = Body::Intent {
            session: SessionId([9; 16]),
            statement: 1,
            text: b"select 'canary'".to_vec(),
            sealed_text: sealed.to_vec(),
            tables: vec!["a.b".to_owned()],
            via: "simple".to_owned(),
            fingerprint: 5,
            effects: 1,
            bundle: [1; 32],
            catalog_epoch: 1,
            parameters: Some([0xca; 32]),
            sealed_parameters: b"canary".to_vec(),
            row_limit: 0,
        };
        let clock = Clock { wall_ns: 1, mono_ns: 1 };
        Entry {
            core: 2,
            epoch: 1,
            block_seq: 0,
            record: OwnedRecord { sequence: 7, clock, body, extensions: Vec::new() },
            user: Some("\u{202e}ana".into()),
            target: None,
        }
    }

    #[test]
    fn acts_about_access_name_what_they_are_about_and_keep_what_was_signed() {
        let access = audit::OwnedAccess {
            kind: "break_glass".to_owned(),
            id: "TG-7F3K9QXM".to_owned(),
            user: "ana".to_owned(),
            reason: "the ward is down".to_owned(),
            until_ns: 5,
            ..Default::default()
        };
        let mut entry = intent(b"");
        entry.record.body = Body::Access(Box::new(access));
        let event = Event::of(&entry, "o", false);
        assert_eq!((event.severity, event.id.as_str()), (4, "o:2:7"));
        assert_eq!((&event.fields["id"], &event.fields["request"]), (&"o:2:7".into(), &"TG-7F3K9QXM".into()));
        assert_eq!(event.fields["login"], "ana");
        let approval = audit::OwnedApproval {
            kind: "vote".to_owned(),
            id: "TG-1".to_owned(),
            digest: [0xca; 32],
            text: b"delete canary".to_vec(),
            assertion: vec![0xca; 4],
            ..Default::default()
        };
        entry.record.body = Body::Approval(Box::new(approval));
        let text = Event::of(&entry, "o", false).json();
        assert!(text.contains("TG-1") && !text.contains("canary") && !text.contains("caca"), "{text}");
    }

    #[test]
    fn nothing_of_a_statement_leaves_unless_asked_for() {
        let event = Event::of(&intent(b""), "o", false);
        let text = event.json();
        assert!(!text.contains("canary") && !text.contains("caca"), "{text}");
        assert!(text.is_ascii());
        assert_eq!(event.id, "o:2:7");
        assert_eq!(event.fields["user"], "\u{202e}ana");
        assert_eq!(event.fields["tables"][0], "a.b");
        let sealed = Event::of(&intent(b"canary"), "o", true).json();
        assert!(!sealed.contains("63616e617279"), "{sealed}");
        let with = Event::of(&intent(b""), "o", true).json();
        assert!(with.contains("select 'canary'"), "{with}");
        assert!(!with.contains("caca"), "digests of parameters stay");
    }
}
