//! One line of an answer: a statement with everything the log says about it, or one other record.
//!
//! A row is derived; `place` names the record it begins with, so whoever doubts a row can prove that record. Values are
//! those of the log, never of a result: rows of the database are not in it.

use std::collections::BTreeSet;
use std::rc::Rc;

use audit::record::SessionId;
use audit::{OwnedClear, OwnedMasked, render, time};
use serde_json::{Map, Value, json};

/// Where a record stands in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Core.
    pub core: u16,
    /// Epoch.
    pub epoch: u32,
    /// Number of the block on its core.
    pub block: u64,
    /// Sequence of the record on its core.
    pub sequence: u64,
}

/// What a session is known by, from its SESSION_OPEN.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: Option<SessionId>,
    /// Issuer of the identity.
    pub issuer: String,
    /// Subject.
    pub person: String,
    /// Role the grant gave.
    pub role: String,
    /// Peer address.
    pub source: String,
    /// TLS version and suite, empty for plaintext.
    pub tls: String,
    /// Application name as sent.
    pub application: String,
    /// Target name.
    pub target: String,
    /// Database upstream.
    pub database: String,
    /// Account upstream.
    pub account: String,
    /// Durability mode of the target.
    pub mode: String,
    /// How its answers are recorded.
    pub recording: String,
    /// Commitment to the key of its sealed fields, zeros for none.
    pub commitment: [u8; 32],
}

/// What was decided about a statement, or by an act about access.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Decision {
    /// Nothing was decided.
    #[default]
    None,
    /// Forwarded, and nothing speaks against it; of an act: agreed to, given.
    Allowed,
    /// Refused, or its rows were withheld; of an act: denied, or not allowed.
    Refused,
    /// Forwarded under a role that is only observed, although the rules would have refused or masked.
    Observed,
}

impl Decision {
    /// As filters and exports write it; empty where nothing was decided.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Allowed => "allowed",
            Self::Refused => "refused",
            Self::Observed => "observed",
        }
    }
}

/// Text of a statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Text {
    /// The record has none.
    #[default]
    None,
    /// As it was sent.
    Plain(Vec<u8>),
    /// Sealed to the recipients of the log.
    Sealed(Vec<u8>),
    /// Sealed with a key that is gone.
    Erased,
}

impl Text {
    /// As it is shown where texts are wanted; `None` for a record without one.
    #[must_use]
    pub fn shown(&self) -> Option<String> {
        match self {
            Self::None => None,
            Self::Plain(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
            Self::Sealed(_) => Some("[sealed]".to_owned()),
            Self::Erased => Some("[erased]".to_owned()),
        }
    }
}

/// The kind of rows that are statements; all other kinds are names of record types.
pub const STATEMENT: &str = "STATEMENT";

/// Do rows of this kind say what kind of act they are?
#[must_use]
pub fn has_acts(kind: &str) -> bool {
    matches!(kind, "ACCESS" | "APPROVAL" | "CREDENTIAL")
}

/// One row.
#[derive(Clone, Debug, Default)]
pub struct Row {
    /// The record it begins with.
    pub place: Place,
    /// [`STATEMENT`] or the name of the record's type.
    pub kind: &'static str,
    /// What kind of act it is (`sign_in`, `vote`, `consume`, ...), for the kinds [`has_acts`] names; otherwise empty.
    pub act: String,
    /// Wall clock of the first record, nanoseconds since 1970.
    pub begin_ns: u64,
    /// Wall clock of the last record.
    pub end_ns: u64,
    /// Session id.
    pub session: Option<SessionId>,
    /// What is known of the session.
    pub facts: Rc<Session>,
    /// Number of the statement in its session.
    pub statement: u64,
    /// Its text.
    pub text: Text,
    /// How it came.
    pub via: String,
    /// Normalised fingerprint.
    pub fingerprint: u64,
    /// Effects, a bit set.
    pub effects: u64,
    /// Bundle in force, zeros if the record does not say.
    pub bundle: [u8; 32],
    /// Tables it names.
    pub tables: Vec<String>,
    /// What was decided.
    pub decision: Decision,
    /// Code of a refusal.
    pub code: String,
    /// Rule of a refusal, if it has one.
    pub rule: String,
    /// How it ended; empty while the log does not say.
    pub outcome: String,
    /// SQLSTATE, or zeros.
    pub sqlstate: String,
    /// Rows returned to the client.
    pub rows: u64,
    /// Bytes returned to the client.
    pub bytes: u64,
    /// Microseconds.
    pub duration_us: u64,
    /// Releases recorded before its bytes left.
    pub releases: u64,
    /// Columns that were masked (under observation: that would have been).
    pub masked: Vec<OwnedMasked>,
    /// Protected columns that were shown in clear.
    pub clear: Vec<OwnedClear>,
    /// Fields of a record that is not a statement, as its JSON form names them.
    pub fields: Map<String, Value>,
}

/// Fields of records that a row has in columns of its own, or that say nothing about the event.
const ELSEWHERE: &[&str] = &[
    "time",
    "core",
    "epoch",
    "block",
    "sequence",
    "mono_ns",
    "type",
    "session",
    "user",
    "target",
    "issuer",
    "role",
    "source",
    "tls",
    "application",
    "database",
    "account",
    "bundle",
    "previous",
    "text",
    "text_hex",
    "tables",
    "rule",
];

/// Names of effects by bit, as rule files use them (`docs/rules.md`).
const EFFECTS: [(u32, &str); 40] = [
    (0, "read"),
    (1, "insert"),
    (2, "update"),
    (3, "update-without-where"),
    (4, "delete"),
    (5, "delete-without-where"),
    (6, "merge"),
    (7, "truncate"),
    (8, "create"),
    (9, "create-as"),
    (10, "create-view"),
    (11, "create-code"),
    (12, "alter"),
    (13, "drop"),
    (14, "grant"),
    (15, "role"),
    (16, "copy-out"),
    (17, "copy-in"),
    (18, "copy-file"),
    (19, "copy-program"),
    (20, "do"),
    (21, "call"),
    (22, "explain"),
    (23, "explain-analyze"),
    (24, "transaction"),
    (25, "two-phase"),
    (26, "set"),
    (27, "set-role"),
    (28, "discard"),
    (29, "prepare"),
    (30, "cursor"),
    (31, "listen"),
    (32, "notify"),
    (33, "lock"),
    (34, "row-lock"),
    (35, "maintenance"),
    (36, "server"),
    (37, "dangerous-function"),
    (38, "unknown-function"),
    (63, "unknown"),
];

/// How a protected column was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Shown<'a> {
    /// Name in the result.
    pub column: &'a str,
    /// Class name.
    pub class: &'a str,
    /// [`MASKED`], [`CLEAR`] or [`OBSERVED`].
    pub how: &'static str,
    /// Name of the redaction, also of the one that would have been.
    pub method: &'a str,
}

/// The person got a substitute.
pub const MASKED: &str = "masked";
/// The person got the value.
pub const CLEAR: &str = "clear";
/// The person got the value, because the rules were only observed.
pub const OBSERVED: &str = "clear (observed)";

impl Row {
    /// The protected columns that the statement returned, each once.
    #[must_use]
    pub fn shown(&self) -> Vec<Shown<'_>> {
        let observed = self.decision == Decision::Observed;
        let how = if observed { OBSERVED } else { MASKED };
        let masked = self.masked.iter().map(|c| Shown { column: &c.column, class: &c.class, how, method: &c.method });
        let again =
            |c: &&OwnedClear| !observed || !self.masked.iter().any(|m| m.column == c.column && m.class == c.class);
        let clear = self.clear.iter().filter(again);
        let clear = clear.map(|c| Shown { column: &c.column, class: &c.class, how: CLEAR, method: "" });
        masked.chain(clear).collect()
    }

    /// Names of the statement's effects; a bit without a name is `bit-N`.
    #[must_use]
    pub fn effects(&self) -> Vec<String> {
        let name = |bit: u32| match EFFECTS.iter().find(|(known, _)| *known == bit) {
            Some((_, name)) => (*name).to_owned(),
            None => format!("bit-{bit}"),
        };
        (0..64).filter(|bit| self.effects & (1 << bit) != 0).map(name).collect()
    }

    /// Classes of the protected columns it returned, masked or not, each once.
    #[must_use]
    pub fn classes(&self) -> BTreeSet<&str> {
        let masked = self.masked.iter().map(|column| column.class.as_str());
        masked.chain(self.clear.iter().map(|column| column.class.as_str())).collect()
    }

    /// Person, or `-` where the log names none.
    #[must_use]
    pub fn person(&self) -> &str {
        if self.facts.person.is_empty() { "-" } else { &self.facts.person }
    }

    /// A number of a record that is not a statement, 0 if it has none of that name.
    #[must_use]
    pub fn number(&self, name: &str) -> u64 {
        self.fields.get(name).and_then(Value::as_u64).unwrap_or(0)
    }

    /// A text of a record that is not a statement, empty if it has none of that name.
    #[must_use]
    pub fn field(&self, name: &str) -> &str {
        self.fields.get(name).and_then(Value::as_str).unwrap_or_default()
    }

    /// What a record that is not a statement says beside what has a column of its own: `key=value`.
    #[must_use]
    pub fn detail(&self) -> String {
        let mut parts: Vec<String> = Vec::new();
        for (key, value) in self.fields.iter().filter(|(key, _)| !ELSEWHERE.contains(&key.as_str())) {
            match value {
                Value::String(text) => parts.push(format!("{key}={text}")),
                Value::Null => {}
                value => parts.push(format!("{key}={value}")),
            }
        }
        parts.join(" ")
    }

    /// Name of the row's event for receivers: the same record has the same id in every export and forwarder.
    #[must_use]
    pub fn id(&self, origin: &str) -> String {
        format!("{origin}:{}:{}", self.place.core, self.place.sequence)
    }

    /// Fields of an act that have no column of their own, as its JSON form names them; no text of a statement.
    #[must_use]
    pub fn own_fields(&self) -> Map<String, Value> {
        let own = self.fields.iter().filter(|(key, _)| !ELSEWHERE.contains(&key.as_str()));
        own.map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// The row as one JSON object; empty fields are left out.
    #[must_use]
    pub fn json(&self, origin: &str, texts: bool) -> Value {
        let mut map = Map::new();
        let mut text = |key: &str, value: &str| {
            if !value.is_empty() {
                map.insert(key.to_owned(), Value::from(value));
            }
        };
        text("id", &self.id(origin));
        text("origin", origin);
        text("kind", self.kind);
        text("act", &self.act);
        text("time", &time::format(self.begin_ns, 9));
        text("end", &time::format(self.end_ns, 9));
        if let Some(session) = self.session {
            text("session", &render::hex(&session.0));
        }
        let facts = &*self.facts;
        for (key, value) in [
            ("issuer", &facts.issuer),
            ("person", &facts.person),
            ("role", &facts.role),
            ("source", &facts.source),
            ("tls", &facts.tls),
            ("application", &facts.application),
            ("target", &facts.target),
            ("database", &facts.database),
            ("account", &facts.account),
            ("mode", &facts.mode),
            ("recording", &facts.recording),
            ("via", &self.via),
            ("code", &self.code),
            ("rule", &self.rule),
            ("outcome", &self.outcome),
            ("detail", &self.detail()),
        ] {
            text(key, value);
        }
        text("decision", self.decision.name());
        if self.bundle != [0; 32] {
            text("bundle", &render::hex(&self.bundle));
        }
        if self.sqlstate != "00000" {
            text("sqlstate", &self.sqlstate);
        }
        if let Some(shown) = self.text.shown().filter(|_| texts) {
            text("text", &shown);
        }
        map.insert("core".to_owned(), json!(self.place.core));
        map.insert("epoch".to_owned(), json!(self.place.epoch));
        map.insert("block".to_owned(), json!(self.place.block));
        map.insert("sequence".to_owned(), json!(self.place.sequence));
        if self.kind != STATEMENT && self.statement > 0 {
            map.insert("statement".to_owned(), json!(self.statement));
        }
        if self.kind != STATEMENT && !self.tables.is_empty() {
            map.insert("tables".to_owned(), json!(self.tables));
        }
        if self.kind == STATEMENT {
            map.insert("statement".to_owned(), json!(self.statement));
            map.insert("fingerprint".to_owned(), json!(format!("{:016x}", self.fingerprint)));
            map.insert("effects".to_owned(), json!(self.effects()));
            map.insert("tables".to_owned(), json!(self.tables));
            map.insert("rows".to_owned(), json!(self.rows));
            map.insert("bytes".to_owned(), json!(self.bytes));
            map.insert("duration_us".to_owned(), json!(self.duration_us));
            map.insert("releases".to_owned(), json!(self.releases));
            let masked = self.masked.iter().map(|c| json!({"column": c.column, "class": c.class, "method": c.method}));
            map.insert("masked".to_owned(), masked.collect());
            let clear = self.clear.iter().map(|c| json!({"column": c.column, "class": c.class}));
            map.insert("clear".to_owned(), clear.collect());
        }
        Value::Object(map)
    }
}

/// JSON text of a value on one line in which no character moves a cursor or reorders a line.
#[must_use]
pub fn line(value: &Value) -> String {
    let text = value.to_string();
    if !text.chars().any(render::is_active) {
        return text;
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if render::is_active(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_of_a_hostile_name_cannot_act_and_reads_back() {
        let facts = Rc::new(Session { person: "a\u{202e}b\u{9b}\u{e0041}\n".to_owned(), ..Session::default() });
        let row = Row { kind: STATEMENT, facts, ..Row::default() };
        let text = line(&row.json("o", true));
        assert!(!text.chars().any(render::is_active), "{text}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["person"], "a\u{202e}b\u{9b}\u{e0041}\n");
    }

    #[test]
    fn effects_have_names() {
        let row = Row { effects: 1 | 1 << 16 | 1 << 50 | 1 << 63, ..Row::default() };
        assert_eq!(row.effects(), ["read", "copy-out", "bit-50", "unknown"]);
    }
}
