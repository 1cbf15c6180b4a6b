//! The facts of a statement: the vocabulary shared by the parser half (this crate) and policy.
//!
//! Names are as the server would see them: folded to lower case unless quoted, truncated to 63 bytes. How columns travel
//! is in the [`Graph`].

use std::sync::Arc;

use contract::CopyFormat;

use crate::graph::Graph;

/// Byte range in the statement text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

/// What executing a statement can do; a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Effects(pub u64);

macro_rules! effects {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl Effects {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*
            /// Every effect with the name rule files and reports use for it.
            pub const NAMES: &'static [(Self, &'static str)] = &[$((Self::$name, $text),)*];
        }
    };
}

effects! {
    /// Reads rows.
    READ = 0, "read";
    /// INSERT.
    INSERT = 1, "insert";
    /// UPDATE.
    UPDATE = 2, "update";
    /// UPDATE with no WHERE clause.
    UPDATE_ALL = 3, "update-without-where";
    /// DELETE.
    DELETE = 4, "delete";
    /// DELETE with no WHERE clause.
    DELETE_ALL = 5, "delete-without-where";
    /// MERGE.
    MERGE = 6, "merge";
    /// TRUNCATE.
    TRUNCATE = 7, "truncate";
    /// CREATE of a table, index, type, sequence, schema …
    CREATE = 8, "create";
    /// CREATE TABLE AS, SELECT INTO, CREATE MATERIALIZED VIEW: data copied into a new object.
    CREATE_AS = 9, "create-as";
    /// CREATE VIEW, CREATE RULE, policies.
    CREATE_VIEW = 10, "create-view";
    /// CREATE FUNCTION / PROCEDURE / TRIGGER / EXTENSION / LANGUAGE / DOMAIN / OPERATOR / CAST / AGGREGATE / EVENT TRIGGER.
    CREATE_CODE = 11, "create-code";
    /// ALTER, RENAME, COMMENT, SECURITY LABEL.
    ALTER = 12, "alter";
    /// DROP.
    DROP = 13, "drop";
    /// GRANT, REVOKE, role membership, ALTER DEFAULT PRIVILEGES, REASSIGN OWNED.
    GRANT = 14, "grant";
    /// CREATE / ALTER / DROP ROLE, USER, GROUP.
    ROLE = 15, "role";
    /// COPY … TO STDOUT.
    COPY_OUT = 16, "copy-out";
    /// COPY … FROM STDIN.
    COPY_IN = 17, "copy-in";
    /// COPY to or from a file on the server.
    COPY_FILE = 18, "copy-file";
    /// COPY to or from a program on the server.
    COPY_PROGRAM = 19, "copy-program";
    /// DO.
    DO = 20, "do";
    /// CALL.
    CALL = 21, "call";
    /// EXPLAIN (the inner statement's effects are included; without ANALYZE only as READ).
    EXPLAIN = 22, "explain";
    /// EXPLAIN ANALYZE.
    EXPLAIN_ANALYZE = 23, "explain-analyze";
    /// BEGIN, COMMIT, ROLLBACK, SAVEPOINT, SET TRANSACTION.
    TRANSACTION = 24, "transaction";
    /// PREPARE TRANSACTION, COMMIT/ROLLBACK PREPARED.
    TWO_PHASE = 25, "two-phase";
    /// SET / RESET of an ordinary parameter, SHOW.
    SET = 26, "set";
    /// SET ROLE, SET SESSION AUTHORIZATION (and RESET of them).
    SET_ROLE = 27, "set-role";
    /// DISCARD, RESET ALL.
    DISCARD = 28, "discard";
    /// PREPARE, EXECUTE, DEALLOCATE.
    PREPARE = 29, "prepare";
    /// DECLARE, FETCH, MOVE, CLOSE.
    CURSOR = 30, "cursor";
    /// LISTEN, UNLISTEN.
    LISTEN = 31, "listen";
    /// NOTIFY.
    NOTIFY = 32, "notify";
    /// LOCK TABLE.
    LOCK = 33, "lock";
    /// SELECT … FOR UPDATE / SHARE.
    ROW_LOCK = 34, "row-lock";
    /// VACUUM, ANALYZE, REINDEX, CLUSTER, CHECKPOINT, REFRESH MATERIALIZED VIEW.
    MAINTENANCE = 35, "maintenance";
    /// LOAD, ALTER SYSTEM, CREATE/DROP/ALTER DATABASE, TABLESPACE, SUBSCRIPTION, PUBLICATION, SERVER, FOREIGN DATA.
    SERVER = 36, "server";
    /// A built-in function with side effects outside the query (files, large objects, other backends, dynamic SQL …).
    DANGEROUS_FUNCTION = 37, "dangerous-function";
    /// A function this crate does not know: its body could do anything.
    UNKNOWN_FUNCTION = 38, "unknown-function";
    /// Not understood.
    UNKNOWN = 63, "unknown";
}

impl Effects {
    /// The empty set.
    pub const NONE: Self = Self(0);
    /// All bits of `other` are in `self`.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }
    /// Some bit is in both.
    #[must_use]
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }
    /// Union.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
    /// Adds `other`.
    pub const fn add(&mut self, other: Self) {
        self.0 |= other.0;
    }
    /// The effect with this rule-file name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(_, n)| *n == name).map(|(e, _)| *e)
    }
    /// Names of the effects in the set, in bit order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.iter().filter(move |(e, _)| self.contains(*e)).map(|(_, n)| *n)
    }
}

/// The statement's kind, for reports and audit records: the leading keywords (`"SELECT"`, `"CREATE TABLE"`).
pub type Kind = &'static str;

/// A relation named in the statement (CTE references are not relations).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RelationUse {
    /// Schema if written.
    pub schema: Option<String>,
    /// Name.
    pub name: String,
    /// It is the target of a write.
    pub written: bool,
    /// Its rows or columns are read (a plain `INSERT INTO t VALUES …` does not read `t`).
    pub read: bool,
    /// It is written as one of the session's own (`TEMP`, `pg_temp`).
    pub temporary: bool,
    /// Where.
    pub span: Span,
}

impl RelationUse {
    /// The name where a statement is about all that a schema has, or all that somebody owns.
    pub const EVERYTHING: &str = "*";
}

/// An object of whatever kind: a type, a function, an extension …
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    /// Schema if written; not all kinds have one.
    pub schema: Option<String>,
    /// Name, or [`RelationUse::EVERYTHING`] where it is not told apart.
    pub name: String,
}

/// A function called in the statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionUse {
    /// Schema if written.
    pub schema: Option<String>,
    /// Name.
    pub name: String,
    /// What is known of it.
    pub standing: FunctionStanding,
    /// Where.
    pub span: Span,
}

/// What is known of a function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionStanding {
    /// A reviewed built-in without effects outside the query, which reads nothing but its arguments.
    Known,
    /// A built-in that reads files, other objects by name, runs SQL text, changes settings, notifies, sleeps …
    Dangerous,
    /// Anything else.
    Unknown,
}

/// What the statement does to the session's own named things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionUse {
    /// Nothing.
    None,
    /// `PREPARE name AS …`; effects, relations and uses of the inner statement are those of this statement.
    Prepare(String),
    /// `EXECUTE name`.
    Execute(String),
    /// `DEALLOCATE name`, or all.
    Deallocate(Option<String>),
    /// `DECLARE name CURSOR FOR …`; the inner statement's facts are merged as for PREPARE.
    Declare(String),
    /// `FETCH` / `MOVE` from a cursor.
    Fetch(String),
    /// `CLOSE name`, or all.
    Close(Option<String>),
    /// `SET name = value`; the value when it is a plain literal list, lower-cased names.
    Set {
        /// Parameter, lower case.
        name: String,
        /// Literal value; `None` for DEFAULT.
        value: Option<String>,
    },
    /// Several `set_config` calls: names and values as for [`SessionUse::Set`].
    SetMany(Vec<(String, Option<String>)>),
    /// `RESET name`; `all` for RESET ALL.
    Reset(String),
    /// `DISCARD ALL`.
    ResetAll,
    /// `SHOW name`.
    Show(String),
    /// `LISTEN channel`.
    Listen(String),
    /// `NOTIFY channel`.
    Notify(String),
}

/// What a COPY TO STDOUT sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOut {
    /// A query whose result has the columns that are sent, to be described and never run.
    pub shape: String,
    /// How the rows are written.
    pub format: CopyFormat,
}

/// Facts of one statement of the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Kind.
    pub kind: Kind,
    /// Where in the text.
    pub span: Span,
    /// Effects.
    pub effects: Effects,
    /// Relations, in order of appearance, views not expanded.
    pub relations: Vec<RelationUse>,
    /// Functions called.
    pub functions: Vec<FunctionUse>,
    /// Names of operators used without a schema, each once.
    pub operators: Vec<String>,
    /// Its queries.
    pub graph: Graph,
    /// Session names.
    pub session: SessionUse,
    /// COPY TO STDOUT, if its query and its options are understood.
    pub copy_out: Option<CopyOut>,
    /// A statement with other literals may have other facts (ORDER BY 2, SET x = 'y', set_config('a', 'b')).
    pub literals_matter: bool,
    /// It can make a relation or a type in the session's own schema: its name means that from then on, before all others.
    pub shadows: bool,
    /// It is about the row that a cursor of the session is at (`WHERE CURRENT OF`).
    pub of_cursor: bool,
    /// It makes a view, or a rule, by which what that is over can be written.
    pub writable: bool,
    /// Columns that UPDATE, ON CONFLICT and MERGE assign, of whatever relation.
    pub assigned: Vec<String>,
    /// CASCADE of TRUNCATE, DROP and ALTER: what rests on its objects goes with them.
    pub cascade: bool,
    /// Objects that it drops which are no relations, and may have relations rest on them.
    pub drops: Vec<ObjectName>,
    /// Normalised fingerprint (stable hash of the text with literals removed).
    pub fingerprint: u64,
}

impl Statement {
    /// The statement has a result of its own: a target or RETURNING list, or a row that it makes itself.
    #[must_use]
    pub fn returns_rows(&self) -> bool {
        let root = self.graph.root.and_then(|root| self.graph.query(root));
        match root.map(|q| &q.body) {
            None => false,
            Some(crate::graph::Body::Targets(outputs)) => !outputs.is_empty(),
            Some(crate::graph::Body::Arms(..) | crate::graph::Body::Values(..)) => true,
        }
    }
}

/// Facts of a whole text (simple query: zero or more statements).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Facts {
    /// In order.
    pub statements: Vec<Arc<Statement>>,
}

/// The text is not in the grammar. Positions and reason only; the grammar's own message may quote the text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotUnderstood {
    /// The grammar's message.
    pub message: String,
    /// 1-based character position, 0 if unknown.
    pub position: u32,
}
