//! The shape of a statement's queries: which ranges each query reads, what each output is made of, and where columns
//! decide about rows. Names are kept as written; [`crate::resolve`] gives them their meaning with a catalog.
//!
//! Invariants: ids index the vectors of the same [`Graph`]; every column reference of the statement is a [`Leaf`], so what
//! is not a leaf cannot carry a value. Deliberately absent: catalogs, types, rules.

use std::ops::Range as Indices;

use crate::facts::Span;

/// Index into [`Graph::queries`].
pub type QueryId = u32;
/// Index into [`Graph::ranges`].
pub type RangeId = u32;

/// The queries of one statement.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graph {
    /// The query whose rows the client gets, if any does.
    pub root: Option<QueryId>,
    /// All queries; the first is the statement itself, which names nothing outside it.
    pub queries: Vec<Query>,
    /// Everything that stands in a FROM clause.
    pub ranges: Vec<FromItem>,
    /// Every use of a column.
    pub leaves: Vec<Leaf>,
    /// Queries whose rows go into an object.
    pub stores: Vec<Store>,
}

/// One SELECT, VALUES, set operation, or the RETURNING list of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    /// Where names that mean nothing here are looked up next.
    pub parent: Option<QueryId>,
    /// Items of FROM, and the table that is changed.
    pub from: Vec<RangeId>,
    /// What its columns are.
    pub body: Body,
    /// Whole rows are compared: DISTINCT, UNION, INTERSECT, EXCEPT.
    pub distinct: bool,
    /// Column names given from outside (`WITH q(a, b)`).
    pub columns: Vec<String>,
    /// Columns that SEARCH and CYCLE add.
    pub extra: Vec<String>,
    /// Where.
    pub span: Span,
}

/// The columns of a query.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A target or RETURNING list.
    Targets(Vec<Output>),
    /// Two queries merged column by column.
    Arms(QueryId, QueryId),
    /// VALUES: columns, and for each cell that is not constant its column and leaves.
    Values(u32, Vec<(u32, Indices<u32>)>),
}

/// One entry of a target list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Name as the server will give it; `None` for stars.
    pub name: Option<String>,
    /// `*` (with `None`) or `t.*`.
    pub star: Option<Option<Qualifier>>,
    /// What it is computed from; a plain column has one leaf that is carried.
    pub leaves: Indices<u32>,
    /// Where.
    pub span: Span,
}

/// What stands in FROM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromItem {
    /// The name it can be called by; empty if it has none.
    pub alias: String,
    /// Schema, where the relation was written with one and has no alias.
    pub schema: Option<String>,
    /// Column names given by the alias.
    pub columns: Vec<String>,
    /// Only qualified names reach it (`old`, `new`, `excluded`).
    pub hidden: bool,
    /// What it is.
    pub kind: FromKind,
}

/// Kinds of ranges.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FromKind {
    /// Index into [`crate::Statement::relations`].
    Relation(u32),
    /// A subquery or a CTE.
    Query(QueryId),
    /// A function or another computed table: any column name, made of arguments that are leaves themselves.
    Computed,
    /// A join of two.
    Join {
        /// Left side.
        left: RangeId,
        /// Right side.
        right: RangeId,
        /// Columns that are merged.
        using: Using,
        /// Name for the merged columns alone (`USING (…) AS name`).
        merged_alias: Option<String>,
    },
}

/// Merged columns of a join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Using {
    /// None.
    Nothing,
    /// NATURAL: those of the same name.
    Common,
    /// Those named.
    Names(Vec<String>),
}

/// The qualifier of a column reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Qualifier {
    /// Schema, if written.
    pub schema: Option<String>,
    /// Alias or relation.
    pub name: String,
}

/// One use of a column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The query it stands in.
    pub scope: QueryId,
    /// What is used.
    pub what: What,
    /// What happens to it on the way.
    pub path: Path,
    /// What the result is for.
    pub role: Role,
    /// Compared for equality with this many constants in WHERE, and nothing else; 0 otherwise.
    pub equals: u32,
    /// Where.
    pub span: Span,
}

/// What a leaf uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A column; without a qualifier perhaps the whole row of a range of that name.
    Column(Option<Qualifier>, String),
    /// A field of something: `(p).name`.
    Field(String, String),
    /// Every column of one range or of all.
    Row(Option<Qualifier>),
    /// The rows of a subquery.
    Query(QueryId),
    /// The output at this position of its own query, from 1.
    Position(u32),
    /// A name in ORDER BY or DISTINCT ON, where outputs come first.
    OutputName(String),
    /// A name in GROUP BY, where inputs come first.
    InputName(String),
}

/// What happens to a value between a leaf and the place its expression stands in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// Nothing.
    Carried,
    /// Functions that return for every value, if the leaf is of the wanted type; else [`Path::Computed`].
    Total(Wants),
    /// Only whether it is NULL, or how many are not.
    Counted,
    /// Many values become one that shows some of them.
    Aggregated,
    /// Anything that can fail or branch on the value.
    Computed,
}

/// The type a total function wants of its argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Any single value.
    Anything,
    /// A character string.
    Text,
    /// A date or timestamp.
    Date,
    /// A single value, joined only with columns that are no more public than it is.
    Company,
}

impl Path {
    /// The path of something that has the path `inner` inside an expression that has the path `self`.
    #[must_use]
    pub const fn around(self, inner: Self) -> Self {
        match (self, inner) {
            (_, Self::Counted) => Self::Counted,
            (Self::Computed, _) | (_, Self::Computed) => Self::Computed,
            (Self::Aggregated, _) | (_, Self::Aggregated) => Self::Aggregated,
            (Self::Counted, _) => Self::Counted,
            (Self::Total(wants), Self::Carried) => Self::Total(wants),
            (Self::Total(Wants::Company), Self::Total(_)) => Self::Total(Wants::Company),
            (_, inner) => inner,
        }
    }
}

/// What an expression is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An output of its query.
    Output,
    /// It decides which rows come, or in what order.
    Shaping,
    /// It is written into an object.
    Stored,
    /// Its value goes somewhere this crate does not follow: arguments of functions in FROM, definitions.
    Evaluated,
}

/// A query whose rows are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    /// The query.
    pub query: QueryId,
    /// The relation written, an index into [`crate::Statement::relations`]; `None` if it has no name here.
    pub relation: Option<u32>,
    /// Columns written, in order; empty for all of them, or for the query's own names.
    pub columns: Vec<String>,
}

/// Ids are made from lengths that are bounded far below.
pub(crate) fn id(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

impl Graph {
    /// A query by id.
    #[must_use]
    pub fn query(&self, query: QueryId) -> Option<&Query> {
        self.queries.get(query as usize)
    }

    /// Leaves by their indices.
    #[must_use]
    pub fn leaves(&self, leaves: &Indices<u32>) -> &[Leaf] {
        self.leaves.get(leaves.start as usize..leaves.end as usize).unwrap_or(&[])
    }
}
