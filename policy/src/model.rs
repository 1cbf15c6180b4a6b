//! What a rule file means after checking: the plain data a bundle carries. Written by policy-compiler, read by this crate.
//!
//! Everything is in vectors in source order and refers by index, so encoding is deterministic: same source, same bytes.

use serde::{Deserialize, Serialize};

pub use scan::Detector;

/// Index into [`Model::classes`].
pub type ClassId = u16;
/// Index into [`Model::redactions`].
pub type RedactionId = u16;

/// All rules of a bundle.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Model {
    /// Targets.
    pub targets: Vec<Target>,
    /// Classes of protected data.
    pub classes: Vec<Class>,
    /// Which columns have which class. Later entries win over earlier ones, more specific selectors over less specific
    /// ones (see [`Selector::specificity`]).
    pub bindings: Vec<Binding>,
    /// The distinct redactions used by roles.
    pub redactions: Vec<Redaction>,
    /// Roles in source order; an identity gets the first it belongs to.
    pub roles: Vec<Role>,
    /// Blocking rules in source order.
    pub blocks: Vec<Block>,
    /// Rules that hold a statement until people say so, in source order.
    pub holds: Vec<Hold>,
    /// Free-text word lists, by name, lower case.
    pub word_lists: Vec<WordList>,
    /// Columns resolved against a catalog snapshot when the bundle was compiled, for reports (`explain`, `coverage`) and
    /// to notice drift; the gateway resolves [`Model::bindings`] again against the live catalog.
    pub columns: Vec<ResolvedColumn>,
}

/// A database that can be reached through the gateway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Name: first part of four-part selectors, and the database name clients ask for.
    pub name: String,
    /// Protocol.
    pub protocol: WireProtocol,
    /// `host:port`.
    pub address: String,
    /// TLS to the upstream.
    pub tls: UpstreamTls,
    /// Database on the server.
    pub database: String,
    /// Account the gateway logs in with; its secret is in the gateway's configuration, never in a bundle.
    pub account: String,
    /// When a statement may go upstream.
    pub audit: AuditMode,
    /// Where in the rule file.
    pub line: u32,
}

/// Wire protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WireProtocol {
    /// PostgreSQL 3.x.
    Postgres,
}

/// How the upstream connection is protected; names as in libpq's `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpstreamTls {
    /// No TLS (loopback, private links).
    Disable,
    /// TLS, certificate not checked.
    Require,
    /// TLS, certificate chain checked.
    VerifyCa,
    /// TLS, chain and host name checked. The default.
    VerifyFull,
}

/// When a statement may be forwarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AuditMode {
    /// Only after its record is durable; and no byte of its answer leaves before a durable record covers it.
    Strict,
    /// Only after its record is durable.
    Intent,
    /// After its record is in the ring; durable within 50 ms.
    Async,
}

/// A class of protected data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Class {
    /// Name, for instance `ssn`.
    pub name: String,
    /// Safe Harbor letter (45 CFR 164.514(b)(2)(i)), `A` to `R`, if it is one of these.
    pub identifier: Option<char>,
    /// One line for people.
    pub description: String,
    /// Free text: values of this class are scanned with these detectors and only the hits are redacted. Empty for
    /// classes whose whole value is protected.
    pub detectors: Vec<Detector>,
    /// Where in the rule file; 0 for the built-in library.
    pub line: u32,
}

/// Words to find in free text.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WordList {
    /// Name.
    pub name: String,
    /// Words, and phrases of several; lower case, sorted, distinct.
    pub words: Vec<String>,
    /// Regular expressions of numbers and codes, see [`crate::number_pattern`].
    pub patterns: Vec<String>,
}

/// A glob pattern over names: `*` stands for any run of characters, everything else for itself.
pub type Glob = String;

/// Selects columns. Each part is a [`Glob`]. `*.*.member_*` has three parts and any target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selector {
    /// Target name.
    pub target: Glob,
    /// Schema.
    pub schema: Glob,
    /// Relation.
    pub relation: Glob,
    /// Column; `*` in object selectors of blocking rules.
    pub column: Glob,
}

/// What binds a column to a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Binding {
    /// How it selects.
    pub by: BindingBy,
    /// The class; `None` declares the column clear (nothing protected in it).
    pub class: Option<ClassId>,
    /// Where in the rule file.
    pub line: u32,
}

/// How a binding selects columns.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum BindingBy {
    /// By name.
    Selector(Selector),
    /// By a tag in the column's comment: the comment contains `class:TAG` (or the rule's own tag text).
    Tag {
        /// Text that must appear in the column's comment as a whole word.
        tag: String,
    },
}

/// What to do with a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Redaction {
    /// Nothing.
    Clear,
    /// SQL NULL.
    Null,
    /// A constant text; NULL where it is not valid for the column's type.
    Constant(String),
    /// Keep the first n characters, fill the rest.
    KeepFirst {
        /// Characters kept.
        count: u16,
        /// Fill character.
        fill: char,
    },
    /// Keep the last n characters, fill the rest.
    KeepLast {
        /// Characters kept.
        count: u16,
        /// Fill character.
        fill: char,
    },
    /// Fill every character; length is kept.
    Fill {
        /// Fill character.
        fill: char,
    },
    /// HMAC-SHA256 under a named key: equal values give equal tokens (lower-case hexadecimal, `length` digits, 8 to 64).
    Token {
        /// Key name; the key itself is in the gateway's configuration.
        key: String,
        /// Hexadecimal digits kept.
        length: u8,
    },
    /// Dates to 1 January of their year; text to its four-digit year.
    Year,
    /// Ages above 89 become 90.
    AgeCap,
    /// First three digits of a ZIP code; `000` for the sparsely populated prefixes.
    Zip3,
    /// Refuse any statement that returns the column.
    Refuse,
}

/// What a role may see and do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Role {
    /// Name.
    pub name: String,
    /// Identity groups that have it; `*` is everyone who is authenticated. Empty: it comes only by a grant.
    pub groups: Vec<String>,
    /// Targets it may use (globs).
    pub targets: Vec<Glob>,
    /// Redaction per class, `redactions[classes[i]]`; same length as [`Model::classes`].
    pub treatment: Vec<RedactionId>,
    /// Columns that no binding matched, in relations that the catalog knows.
    pub unclassified: Unclassified,
    /// Functions outside the reviewed built-ins that the role may call (globs over `schema.name`).
    pub trusted_functions: Vec<Glob>,
    /// Channels the role may LISTEN and NOTIFY on (globs). Empty: refused.
    pub channels: Vec<Glob>,
    /// What a decision does.
    pub mode: Mode,
    /// Classes whose columns may be compared with constants in WHERE (`=`, IN), each with its budget.
    pub comparisons: Vec<Comparison>,
    /// How much an identity may take in a time.
    pub budgets: Vec<Budget>,
    /// What happens to a statement that copies protected columns into a new object.
    pub derive: Derive,
    /// Who may ask for it for a time, if anybody may.
    pub request: Option<Asking>,
    /// Who may take it in an emergency, if anybody may.
    pub break_glass: Option<Emergency>,
    /// Where in the rule file.
    pub line: u32,
}

/// Asking for a role for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asking {
    /// Identity groups that may ask; `*` is everyone who is authenticated.
    pub groups: Vec<String>,
    /// Identity groups that may vote.
    pub approvers: Vec<String>,
    /// Votes needed; 0 gives it at once.
    pub approvals: u16,
    /// Longest time, seconds.
    pub seconds: u32,
}

/// Taking a role in an emergency, without votes before and with a review after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emergency {
    /// Identity groups that may.
    pub groups: Vec<String>,
    /// Longest time, seconds.
    pub seconds: u32,
}

/// What a decision does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Refusals refuse, redactions redact.
    #[default]
    Enforce,
    /// What would be refused because a column of the result is computed from something protected becomes NULL instead, and
    /// the client is told.
    Migrate,
    /// Everything passes as it is; what would have happened is recorded.
    Observe,
}

/// Comparing columns of a class with constants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The class.
    pub class: ClassId,
    /// Constants that may be compared with in that time, for one identity.
    pub amount: u64,
    /// The time, in seconds.
    pub seconds: u32,
}

/// How much an identity may take in a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// What is counted.
    pub of: Counted,
    /// Only results with a column of this class count; `None` counts every result.
    pub class: Option<ClassId>,
    /// How many.
    pub amount: u64,
    /// The time, in seconds.
    pub seconds: u32,
}

/// What a budget counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Counted {
    /// Rows sent to the client.
    Rows,
    /// Bytes of rows sent to the client.
    Bytes,
    /// Statements that return rows.
    Statements,
}

/// What happens to a statement that copies protected columns into a new object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Derive {
    /// It is refused.
    #[default]
    Refuse,
    /// It runs, and the columns of the object have the classes of what they are made of.
    Inherit,
}

/// Default for what nobody classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unclassified {
    /// Passed as it is.
    Clear,
    /// NULL.
    Mask,
    /// Statements that return it are refused.
    Refuse,
}

/// A blocking rule: refuses a statement when every condition that is present matches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Block {
    /// Name, shown in the refusal.
    pub name: String,
    /// Any of these effects (bits of [`lineage::Effects`]); 0 is no condition.
    pub effects: u64,
    /// Any relation matched by any of these; empty is no condition.
    pub objects: Vec<Selector>,
    /// Any of these words in the statement text, as whole words, ASCII case-insensitive; empty is no condition.
    pub words: Vec<String>,
    /// Any of these regular expressions in the statement text; each has a required literal, found by the automaton
    /// before the expression is tried.
    pub patterns: Vec<Pattern>,
    /// Roles it applies to (names, `*`); empty is everyone.
    pub roles: Vec<String>,
    /// Roles it does not apply to.
    pub except: Vec<String>,
    /// What the client is told.
    pub message: Option<String>,
    /// What would be allowed instead.
    pub hint: Option<String>,
    /// Where in the rule file.
    pub line: u32,
}

/// A holding rule: a statement that nothing refuses waits until people say so, when every condition that is present
/// matches. Of several the first decides who is asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Hold {
    /// Name, conditions, and what the client is told.
    pub rule: Block,
    /// Only if the database expects at least this many rows; 0 is no condition.
    pub rows_over: u64,
    /// Identity groups whose members vote.
    pub approvers: Vec<String>,
    /// Votes needed, at least 1.
    pub approvals: u16,
    /// They must come from groups all different.
    pub distinct_groups: bool,
    /// What happens in a transaction.
    pub in_transaction: InTransaction,
}

/// What happens to a statement that is held in a transaction, whose locks others wait for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InTransaction {
    /// It fails at once; once approved, the identical statement runs.
    #[default]
    Refuse,
    /// It waits like any other.
    Hold,
}

/// A regular expression with the literal that must be present for it to match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// The expression, regex-automata syntax, case-insensitive.
    pub expression: String,
    /// Literal in every match, lower case, at least 3 bytes.
    pub literal: String,
}

/// A column as it was at compile time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResolvedColumn {
    /// Index of the target.
    pub target: u16,
    /// Schema.
    pub schema: String,
    /// Relation.
    pub relation: String,
    /// Column.
    pub column: String,
    /// Class, `None` if unclassified.
    pub class: Option<ClassId>,
    /// The binding that decided it.
    pub binding: Option<u32>,
}

impl Model {
    /// The conditions of blocking rules and, behind them, of holding rules.
    pub(crate) fn conditions(&self) -> impl Iterator<Item = &Block> {
        self.blocks.iter().chain(self.holds.iter().map(|hold| &hold.rule))
    }
}

impl Selector {
    /// Number of literal characters; exact parts count double. The larger wins.
    #[must_use]
    pub fn specificity(&self) -> u32 {
        [&self.target, &self.schema, &self.relation, &self.column]
            .iter()
            .map(|g| {
                let literal = u32::try_from(g.bytes().filter(|b| *b != b'*').count()).unwrap_or(u32::MAX / 8);
                if g.contains('*') { literal } else { literal * 2 + 1 }
            })
            .sum()
    }
}
