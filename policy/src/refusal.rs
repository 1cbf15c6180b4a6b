//! Refusals and their stable codes. `docs/codes.md` has the same list for people.
//!
//! A refusal names a rule and things of the statement and the rule file; it never contains data.

use lineage::NotUnderstood;

/// Why something is not allowed, as the client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Stable code, `TG1001`.
    pub code: &'static str,
    /// The rule; `default:…` for those that are built in.
    pub rule: String,
    /// What is refused.
    pub message: String,
    /// What would be allowed instead.
    pub hint: Option<String>,
    /// Byte offset in the statement text.
    pub position: Option<u32>,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        /// The codes.
        pub mod code {
            $($(#[$doc])* pub const $name: &str = $code;)*
            /// All of them with their names.
            pub const ALL: &[(&str, &str)] = &[$((stringify!($name), $code),)*];
        }
    };
}

codes! {
    /// A blocking rule of the rule file matched.
    BLOCKED = "TG1001";
    /// A rule holds the statement: nobody has approved it yet, or somebody refused.
    HELD = "TG1002";
    /// A rule holds the statement, and it is written so that it cannot wait.
    CANNOT_WAIT = "TG1003";
    /// The requester took back a statement that waited.
    WITHDRAWN = "TG1004";
    /// The text is not in the grammar.
    NOT_UNDERSTOOD = "TG2001";
    /// A construct that is not understood.
    UNKNOWN_CONSTRUCT = "TG2002";
    /// A protected column is used in an expression.
    EXPRESSION = "TG2003";
    /// A protected column decides which rows come, or in what order.
    SHAPING = "TG2004";
    /// A protected column is copied into an object or a COPY stream.
    COPIED = "TG2005";
    /// A whole row with a protected column is used.
    WHOLE_ROW = "TG2006";
    /// A column whose class is refused is returned.
    REFUSED_CLASS = "TG2007";
    /// A view computed the column from protected ones.
    DERIVED = "TG2008";
    /// A result column cannot be attributed.
    UNATTRIBUTED = "TG2009";
    /// Code that cannot be looked into.
    CODE = "TG2010";
    /// COPY TO of a relation with protected columns.
    COPY_OUT = "TG2011";
    /// A system relation that shows values of others.
    SYSTEM_RELATION = "TG2012";
    /// A column or relation that nobody classified.
    UNCLASSIFIED = "TG2013";
    /// An object made from, or a change of, a relation with protected columns.
    DEFINITION = "TG2014";
    /// The server describes the result otherwise than the statement's lineage foresees.
    DISAGREEMENT = "TG2015";
    /// A budget is used up.
    BUDGET = "TG2016";
    /// The server's files and programs.
    SERVER_FILES = "TG3001";
    /// Change of role.
    SET_ROLE = "TG3002";
    /// Server administration.
    SERVER = "TG3003";
    /// A session parameter that the gateway depends on.
    PINNED = "TG3004";
    /// A channel of LISTEN or NOTIFY.
    CHANNEL = "TG3005";
    /// A prepared statement or cursor that the gateway has not seen.
    UNKNOWN_NAME = "TG3006";
    /// No role of the target for this identity.
    NO_ROLE = "TG4001";
    /// No target of this name.
    NO_TARGET = "TG4002";
    /// The audit log cannot take a record.
    NOT_RECORDED = "TG5001";
    /// The function call sub-protocol.
    FUNCTION_CALL = "TG5002";
    /// Prepared under other rules, without a description.
    RULES_CHANGED = "TG5003";
    /// A text that is not UTF-8.
    ENCODING = "TG5004";
    /// A text longer than the limit.
    TOO_LONG = "TG5005";
    /// A prepared EXECUTE or FETCH whose name stands for something else now.
    NAME_CHANGED = "TG5006";
    /// A result that the statement does not explain.
    UNEXPECTED_RESULT = "TG5007";
}

impl Refusal {
    pub(crate) fn new(code: &'static str, rule: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code, rule: rule.into(), message: message.into(), hint: None, position: None }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) const fn at(mut self, position: u32) -> Self {
        self.position = Some(position);
        self
    }

    /// For a text that is not in the grammar. The grammar's message can quote the text, so it is not repeated.
    #[must_use]
    pub fn not_understood(error: &NotUnderstood) -> Self {
        let refusal = Self::new(code::NOT_UNDERSTOOD, "default:not-understood", "the statement text is not understood")
            .hint("check the syntax; what cannot be understood is not forwarded");
        match error.position.checked_sub(1) {
            Some(position) => refusal.at(position),
            None => refusal,
        }
    }
}
