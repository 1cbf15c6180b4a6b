//! The vocabulary of rule files: every key with its one-line meaning, and every word with a fixed set of values.
//!
//! One table per mapping. The reader takes its unknown-key reports from it, the JSON Schema its properties, the manual's
//! test its list of what must be described; so these three cannot disagree.

use lineage::Effects;
use policy::model::Detector;

/// A key of a mapping.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// As written.
    pub name: &'static str,
    /// Must be present.
    pub required: bool,
    /// Meaning, one line.
    pub meaning: &'static str,
}

const fn key(name: &'static str, meaning: &'static str) -> Key {
    Key { name, required: false, meaning }
}
const fn must(name: &'static str, meaning: &'static str) -> Key {
    Key { name, required: true, meaning }
}

/// Top level.
pub const FILE: &[Key] = &[
    key("version", "Version of the rule language; 1."),
    key("use", "Built-in libraries of classes: safe-harbor."),
    key("targets", "Databases reached through the gateway, by name."),
    key("classes", "Classes of protected data, by name, and the columns that hold them."),
    key("clear", "Selectors of columns that hold nothing protected."),
    key("word-lists", "Lists of words for scanning free text, by name."),
    key("roles", "What people may see and do, by name; an identity gets the first role that has one of its groups."),
    key("block", "Statements that are refused, in order."),
    key("hold", "Statements that wait until other people approve them, in order."),
    key("tests", "What a statement must give for a role; run by `policy-compiler test`."),
];
/// A target.
pub const TARGET: &[Key] = &[
    key("protocol", "Wire protocol; postgres is the only one so far and the default."),
    must("address", "host:port of the database server."),
    key("tls", "TLS to the server: verify-full (default), verify-ca, require or disable."),
    key("database", "Database on the server; default: the target's name."),
    must("account", "Account the gateway logs in with; its secret is in the gateway's configuration."),
    key(
        "audit",
        "strict (default): no byte of an answer leaves before its record is on disk; intent: a statement goes on when its record is; async: within 50 ms.",
    ),
];
/// A class.
pub const CLASS: &[Key] = &[
    key("columns", "Selectors of the columns that hold it: target.schema.table.column, `*` for any run of characters."),
    key("tags", "Words that, in a column's comment, give the column this class; class:NAME always does."),
    key("scan", "Makes it free text: only what these detectors or word lists find in a value is redacted."),
    key("identifier", "Safe Harbor letter, A to R."),
    key("description", "One line for people."),
];
/// A word list.
pub const WORD_LIST: &[Key] = &[
    key("file", "Text file with one word or phrase per line, relative to the rule file; # begins a comment."),
    key("words", "The words themselves."),
    key("patterns", "Regular expressions of numbers or codes, of 3 to 64 bytes, found whole and in any case."),
];
/// A role.
pub const ROLE: &[Key] = &[
    key(
        "groups",
        "Identity groups that have the role; `*` is everyone who is authenticated. Without: only by a grant.",
    ),
    must("targets", "Targets the role may use; `*` for any run of characters."),
    key("default", "What happens to columns nobody classified: mask (default), clear or refuse."),
    key("redact", "Redaction per class; `*` for every class that is not named; null for what is not said."),
    key("trusted-functions", "Functions outside the reviewed built-ins that may be called: schema.name, `*` allowed."),
    key("channels", "Channels for LISTEN and NOTIFY; none if not given."),
    key("mode", "enforce (default), migrate or observe: what a decision does, for introducing rules step by step."),
    key("filter", "Classes whose columns may be compared with constants in WHERE, and how often."),
    key("budgets", "How many rows, bytes or statements one person may take in a time."),
    key("request", "Who may ask for the role for a time, and who must agree."),
    key("break-glass", "Who may take the role in an emergency, without asking; two others review it afterwards."),
];
/// Asking for a role.
pub const REQUEST: &[Key] = &[
    must("groups", "Identity groups whose members may ask; `*` is everyone who is authenticated."),
    key("approvers", "Identity groups whose members may vote; nobody votes on what they asked for."),
    key("approvals", "Votes needed, 0 to 9; default 1; 0 gives the role at once."),
    must("max", "Longest time it is given for: minutes or hours, for instance 30m or 4h; at most 8h."),
];
/// Taking a role in an emergency.
pub const BREAK_GLASS: &[Key] = &[
    must("groups", "Identity groups whose members may; `*` is not allowed here."),
    key("max", "Longest time it is taken for, at most 60m; default 60m."),
];
/// How often columns of a class may be compared.
pub const FILTER: &[Key] = &[
    must("equality", "Constants that may be compared with (`=`, IN) in that time."),
    key("per", "minute, hour or day (default)."),
];
/// A budget: one of rows, bytes and statements.
pub const BUDGET: &[Key] = &[
    key("rows", "Rows sent."),
    key("bytes", "Bytes of rows sent, with KB, MB or GB."),
    key("statements", "Statements that return rows."),
    key("class", "Only results with a column made of this class count."),
    must("per", "minute, hour or day."),
];
/// A blocking rule.
pub const BLOCK: &[Key] = &[
    must("name", "Name, shown to the client and in the audit log."),
    key("effects", "Refuse if the statement does any of these."),
    key("objects", "Refuse if it touches any of these: table, schema.table or target.schema.table."),
    key("words", "Refuse if any of these whole words is in its text, in any case."),
    key("patterns", "Refuse if any of these regular expressions matches its text, in any case."),
    key("roles", "Only for these roles."),
    key("except", "Not for these roles."),
    key("message", "What the client is told."),
    key("hint", "What would be allowed instead."),
];
/// A holding rule; its conditions are those of a blocking rule.
pub const HOLD: &[Key] = &[
    must("name", "Name, shown to the client, to approvers and in the audit log."),
    key("effects", "Hold if the statement does any of these."),
    key("objects", "Hold if it touches any of these: table, schema.table or target.schema.table."),
    key("words", "Hold if any of these whole words is in its text, in any case."),
    key("patterns", "Hold if any of these regular expressions matches its text, in any case."),
    key("rows-over", "Hold only if the database expects more rows than this to be touched or returned."),
    key("roles", "Only for these roles."),
    key("except", "Not for these roles."),
    must("approvers", "Identity groups whose members vote; nobody votes on what they asked for."),
    key("approvals", "Votes needed; 1 if not given."),
    key("distinct-groups", "true: the votes must come from groups all different."),
    key("in-transaction", "refuse (default): fails at once in a transaction; hold: waits there too."),
    key("message", "What the client is told while it waits."),
    key("hint", "What would be allowed without approval."),
];
/// A test.
pub const TEST: &[Key] = &[
    key("name", "Name for reports."),
    key("as", "Role to test as."),
    key("groups", "Identity groups to test as, instead of `as`."),
    must("target", "Target."),
    must("statement", "SQL text."),
    must("expect", "allow, hold or refuse."),
    key("code", "Stable code of the refusal, for instance TG1001."),
    key("rule", "Name of the rule that refuses or holds."),
    key("columns", "What each output column becomes, by name."),
];
/// A redaction written as a mapping.
pub const REDACTION: &[Key] = &[
    key("constant", "This text instead of the value."),
    key("keep-first", "Number of characters kept at the beginning."),
    key("keep-last", "Number of characters kept at the end."),
    key("fill", "Fill character; alone: every character is filled."),
    key("token", "Keyed token (HMAC-SHA256): equal values give equal tokens."),
];
/// `token: {…}`.
pub const TOKEN: &[Key] = &[
    must("key", "Name of the key; the key itself is in the gateway's configuration."),
    key("length", "Hexadecimal digits kept, 8 to 64; default 16."),
];

/// Redactions that are one word.
pub const SIMPLE_REDACTIONS: &[(&str, &str)] = &[
    ("clear", "The value as it is."),
    ("null", "SQL NULL."),
    ("fill", "Every character becomes *; length is kept."),
    ("year", "Dates become 1 January of their year; text its four-digit year."),
    ("age-cap", "Ages above 89 become 90."),
    ("zip3", "First three digits of a ZIP code; 000 where few people live."),
    ("refuse", "Statements that return the column are refused."),
];
/// Redactions with a number after the word.
pub const COUNTED_REDACTIONS: &[(&str, &str)] = &[
    ("keep-first", "keep-first N: the first N characters, the rest becomes *."),
    ("keep-last", "keep-last N: the last N characters, the rest becomes *."),
];

/// Names of the detectors with shapes built in.
pub const DETECTORS: &[(&str, Detector, &str)] = &[
    ("ssn", Detector::Ssn, "Social security numbers, and taxpayer numbers in their shape."),
    ("mrn", Detector::Mrn, "Medical record numbers after a context word."),
    ("phone", Detector::Phone, "Telephone numbers."),
    ("email", Detector::Email, "Mail addresses."),
    ("card", Detector::Card, "Payment card numbers."),
    ("date", Detector::Date, "Calendar dates."),
    ("age", Detector::Age, "Ages over 89."),
    ("ip", Detector::Ip, "IPv4 and IPv6 addresses."),
    ("url", Detector::Url, "Web addresses and host names."),
    ("zip", Detector::Zip, "ZIP codes after a state or a context word."),
    ("plan", Detector::Plan, "Health plan and insurance numbers after a context word."),
    ("address", Detector::Address, "Street addresses (a number, a name, a word such as Street) and coordinates."),
    ("npi", Detector::Npi, "National provider identifiers."),
    ("dea", Detector::Dea, "DEA registration numbers."),
    ("mbi", Detector::Mbi, "Medicare beneficiary identifiers."),
    ("account", Detector::Account, "Bank account, routing and BIC numbers."),
    ("iban", Detector::Iban, "International bank account numbers."),
    ("vin", Detector::Vin, "Vehicle identification numbers."),
    ("plate", Detector::Plate, "Vehicle plates after a context word."),
    ("device", Detector::Device, "IMEI, UDI, UUID, and serial numbers after a context word."),
    ("mac", Detector::Mac, "Hardware addresses of network interfaces."),
    ("license", Detector::License, "Driving and professional licence, passport and visa numbers after a context word."),
    ("code", Detector::Code, "Any other long number, code with a prefix, account name, wallet or key."),
];
/// Values of `protocol`.
pub const PROTOCOLS: &[&str] = &["postgres"];
/// Values of `tls`.
pub const TLS: &[&str] = &["disable", "require", "verify-ca", "verify-full"];
/// Values of `audit`.
pub const AUDIT: &[&str] = &["strict", "intent", "async"];
/// Values of `default`.
pub const DEFAULT: &[&str] = &["mask", "clear", "refuse"];
/// Values of `mode`.
pub const MODE: &[&str] = &["enforce", "migrate", "observe"];
/// Values of `per`, in seconds.
pub const PER: &[(&str, u32)] = &[("minute", 60), ("hour", 3_600), ("day", 86_400)];
/// Values of `expect`.
pub const EXPECT: &[&str] = &["allow", "hold", "refuse"];
/// Values of what is either so or not.
pub const YES_OR_NO: &[&str] = &["true", "false"];
/// Values of `in-transaction`.
pub const IN_TRANSACTION: &[&str] = &["refuse", "hold"];

/// Names of all effects.
pub fn effects() -> impl Iterator<Item = &'static str> {
    Effects::NAMES.iter().map(|(_, n)| *n)
}

/// Words people try, and what they mean here.
const SYNONYMS: &[(&str, &str)] = &[
    ("hash", "token"),
    ("tokenize", "token"),
    ("hmac", "token"),
    ("pseudonym", "token"),
    ("mask", "fill"),
    ("redact", "fill"),
    ("stars", "fill"),
    ("hide", "null"),
    ("remove", "null"),
    ("drop", "null"),
    ("none", "null"),
    ("partial", "keep-last"),
    ("last4", "keep-last 4"),
    ("last-4", "keep-last 4"),
    ("show", "clear"),
    ("plain", "clear"),
    ("pass", "clear"),
    ("deny", "refuse"),
    ("block", "refuse"),
    ("reject", "refuse"),
    ("zip-3", "zip3"),
    ("age", "age-cap"),
    ("postgresql", "postgres"),
    ("verify", "verify-full"),
    ("sync", "strict"),
    ("user", "account"),
    ("username", "account"),
    ("host", "address"),
    ("dbname", "database"),
    ("sql", "statement"),
    ("query", "statement"),
    ("role", "as"),
    ("tables", "objects"),
    ("regex", "patterns"),
    ("detect", "scan"),
    ("masking", "redact"),
    ("requests", "request"),
    ("emergency", "break-glass"),
    ("breakglass", "break-glass"),
    ("approver", "approvers"),
    ("duration", "max"),
    ("ttl", "max"),
    ("mask-with", "redact"),
    ("blocks", "block"),
    ("rules", "block"),
    ("holds", "hold"),
    ("approve", "hold"),
    ("approval", "hold"),
    ("approver", "approvers"),
    ("voters", "approvers"),
    ("quorum", "approvals"),
    ("rows", "rows-over"),
    ("wordlists", "word-lists"),
    ("test", "tests"),
    ("delete-all", "delete-without-where"),
    ("update-all", "update-without-where"),
];

/// The nearest of `candidates` to what was written, if any is near.
pub fn nearest<'a>(written: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let folded = fold(written);
    let mut best: Option<(usize, &str)> = None;
    for candidate in candidates {
        let other = fold(candidate);
        let allowed = (folded.chars().count().max(other.chars().count()) / 3).max(1);
        let mut distance = strsim::damerau_levenshtein(&folded, &other);
        if distance > allowed
            && folded.len() >= 3
            && (other.starts_with(&folded) || folded.starts_with(&other) && other.len() >= 3)
        {
            distance = allowed;
        }
        if SYNONYMS.iter().any(|(s, meant)| *s == folded && *meant == candidate) {
            distance = 0;
        }
        if distance <= allowed && best.is_none_or(|(d, _)| distance < d) {
            best = Some((distance, candidate));
        }
    }
    best.map(|(_, c)| c)
}

fn fold(text: &str) -> String {
    // Long input is cut: edit distance is quadratic and nobody misspells more than this.
    text.chars().take(80).flat_map(char::to_lowercase).map(|c| if c == '_' || c == ' ' { '-' } else { c }).collect()
}

/// "did you mean …?" or the list of what there is.
pub(crate) fn did_you_mean<'a>(written: &str, candidates: impl Iterator<Item = &'a str> + Clone) -> Option<String> {
    if let Some(best) = nearest(written, candidates.clone()) {
        return Some(format!("did you mean `{best}`?"));
    }
    let all: Vec<_> = candidates.take(41).collect();
    match all.len() {
        0 => None,
        41 => Some(format!("known are {}, …", all[..40].join(", "))),
        _ => Some(format!("known are {}", all.join(", "))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_words_are_found_and_far_ones_are_not() {
        assert_eq!(nearest("analst", ["analyst", "agent"]), Some("analyst"));
        assert_eq!(nearest("Keep_Last", ["keep-first", "keep-last"]), Some("keep-last"));
        assert_eq!(nearest("hash", ["clear", "token"]), Some("token"));
        assert_eq!(nearest("zebra", ["clear", "token"]), None);
        assert_eq!(nearest("", ["a"]), Some("a"));
    }
}
