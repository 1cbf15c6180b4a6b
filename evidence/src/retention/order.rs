//! An order to destroy keys: a text that people can read, signed below as in a signed note.
//!
//! ```text
//! tidegate purge order v1
//! log example.org/log
//! kind retention
//! retain_days 365
//! policy content is kept for a year
//! reason yearly purge
//! not_before 2026-12-01T00:00:00Z
//! session 00112233445566778899aabbccddeeff
//! ```
//! There is exactly one spelling of an order; anything else is refused.

use std::collections::BTreeSet;

use audit::record::SessionId;
use audit::{render, time};
use tlog::{Note, VerifierKey};

const TITLE: &str = "tidegate purge order v1";
/// Sessions of one order: what one record holds.
pub const SESSIONS_MAX: usize = 50_000;
/// Those who must sign.
const SIGNERS: usize = 2;
const DAY_NS: u64 = 86_400 * 1_000_000_000;

/// Why keys are destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// They were kept long enough.
    Retention,
    /// They must go earlier (a right to erasure); holds still keep them.
    Erasure,
}

impl Kind {
    /// As orders and records name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Retention => "retention",
            Self::Erasure => "erasure",
        }
    }

    /// The kind of this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        [Self::Retention, Self::Erasure].into_iter().find(|kind| kind.name() == name)
    }
}

/// An order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Log it is for.
    pub origin: String,
    /// Why in one word.
    pub kind: Kind,
    /// Days that a session is kept after its last record (retention).
    pub retain_days: u64,
    /// Policy that asks for it.
    pub policy: String,
    /// Why.
    pub reason: String,
    /// Not to be carried out before, nanoseconds since 1970, whole seconds.
    pub not_before_ns: u64,
    /// Sessions, ascending.
    pub sessions: Vec<SessionId>,
}

/// A session id in 32 hexadecimal digits.
pub(super) fn session(text: &str) -> Option<SessionId> {
    if text.len() != 32 || !text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(|number| SessionId(number.to_be_bytes()))
}

impl Order {
    /// The text that is signed.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = format!("{TITLE}\nlog {}\nkind {}\n", self.origin, self.kind.name());
        if self.kind == Kind::Retention {
            text.push_str(&format!("retain_days {}\n", self.retain_days));
        }
        text.push_str(&format!("policy {}\nreason {}\n", self.policy, self.reason));
        text.push_str(&format!("not_before {}\n", time::format(self.not_before_ns, 0)));
        for session in &self.sessions {
            text.push_str(&format!("session {}\n", render::hex(&session.0)));
        }
        text
    }

    /// Reads an order.
    ///
    /// # Errors
    /// In words, what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut lines = text.lines();
        if lines.next() != Some(TITLE) {
            return Err(format!("not an order: its first line is not `{TITLE}`"));
        }
        let mut next = |name: &str| {
            let value = lines.next().and_then(|line| line.strip_prefix(name)?.strip_prefix(' '));
            value.map(str::to_owned).ok_or_else(|| format!("not an order: `{name}` is missing"))
        };
        let origin = next("log")?;
        let kind = Kind::parse(&next("kind")?).ok_or("the order's kind is neither retention nor erasure")?;
        let retain_days = match kind {
            Kind::Retention => next("retain_days")?.parse().map_err(|_| "retain_days is not a number".to_owned())?,
            Kind::Erasure => 0,
        };
        let (policy, reason, moment) = (next("policy")?, next("reason")?, next("not_before")?);
        let not_before_ns = time::parse(&moment, 0).ok_or("not_before is not a time")?;
        let mut sessions = Vec::new();
        for line in lines {
            let id = line.strip_prefix("session ").and_then(session);
            sessions.push(id.ok_or("a line of the order names no session")?);
        }
        let order = Self { origin, kind, retain_days, policy, reason, not_before_ns, sessions };
        order.check()?;
        if order.text() == text { Ok(order) } else { Err("the order is not spelled as orders are".to_owned()) }
    }

    /// Whether it can be signed.
    ///
    /// # Errors
    /// In words, why not.
    pub fn check(&self) -> Result<(), String> {
        if self.sessions.is_empty() {
            return Err("the order names no session".to_owned());
        }
        if self.sessions.len() > SESSIONS_MAX {
            return Err(format!("an order names at most {SESSIONS_MAX} sessions; make several"));
        }
        if !self.sessions.is_sorted_by(|a, b| a < b) {
            return Err("the order's sessions do not ascend".to_owned());
        }
        for (name, text) in [("log", &self.origin), ("policy", &self.policy), ("reason", &self.reason)] {
            if text.trim().is_empty() || text.len() > 1000 || text.chars().any(render::is_active) {
                return Err(format!("`{name}` is empty, too long, or holds control characters"));
            }
        }
        Ok(())
    }

    /// How long a session is kept after its last record.
    pub(super) fn retain_ns(&self) -> u64 {
        self.retain_days.saturating_mul(DAY_NS)
    }
}

/// Names of the two or more people whose signatures under an order hold.
///
/// # Errors
/// A signature does not hold, or fewer than two of the given people signed.
pub(super) fn signers(note: &Note, keys: &[VerifierKey]) -> Result<Vec<String>, String> {
    let good = match note.verify(keys) {
        Ok(good) => good,
        Err(error) => return Err(format!("the order's signatures: {error}")),
    };
    // One person with two names and one key, or two keys and one name, is one person.
    let names: BTreeSet<&str> = good.iter().map(|verified| verified.key.name()).collect();
    let distinct: BTreeSet<String> = good.iter().map(|verified| public(verified.key)).collect();
    if names.len() < SIGNERS || distinct.len() < SIGNERS {
        return Err(format!("the order is signed by {} of the two people it needs", names.len().min(distinct.len())));
    }
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// The key itself, without its name.
fn public(key: &VerifierKey) -> String {
    key.to_string().rsplit('+').next().unwrap_or_default().to_owned()
}
