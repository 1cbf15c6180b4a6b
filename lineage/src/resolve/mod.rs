//! Names get their meaning: a statement's graph and a catalog give, for every output column, the columns it is made of and
//! how, and every column that decides about rows, is stored, or enters something that can fail.
//!
//! Invariants: a name that could mean several things means all of them; a relation that the catalog does not know, and a
//! name that nothing explains, are sources of their own. Time is bounded: a statement that needs more steps than
//! [`STEPS_MAX`] or nests deeper than [`DEPTH_MAX`] is [`Unresolved`]. Deliberately absent: rules, types beyond [`Kind`].

mod index;
mod ranges;
mod value;

use std::rc::Rc;

pub use index::{Index, is_system};
pub use value::{Derivation, Kind, Source, Sources, Value};

use crate::facts::{RelationUse, Span, Statement};
use crate::graph::{Body, Graph, Leaf, Path, Query, QueryId, Role, What};

/// Most steps of one statement.
const STEPS_MAX: u64 = 2_000_000;
/// Deepest nesting of queries and joins.
const DEPTH_MAX: usize = 64;
/// Rounds until a recursive query has all its sources.
const ROUNDS_MAX: usize = 64;

/// The statement is too large or too deep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unresolved;

/// A statement with the meaning of its names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolved {
    /// Columns of the rows that the client gets; empty if it gets none.
    pub outputs: Vec<Column>,
    /// Columns used otherwise.
    pub uses: Vec<Use>,
    /// Queries whose rows are stored.
    pub stores: Vec<Stored>,
}

/// One column of a result, or (`many`) any number of columns whose names are not known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Column {
    /// Name, if the text or the catalog decides it.
    pub name: Option<Rc<str>>,
    /// What it is made of.
    pub value: Value,
    /// It stands for any number of columns.
    pub many: bool,
    /// Where.
    pub span: Span,
}

/// A use other than being returned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The columns.
    pub sources: Sources,
    /// How.
    pub how: How,
    /// Compared by `=` or IN in WHERE with this many constants, and nothing else; 0 otherwise.
    pub equals: u32,
    /// Every column of a relation at once.
    pub whole_row: bool,
    /// It enters a column of a result (of the statement or of a query in it) and decides nothing else.
    pub output: bool,
    /// Where.
    pub span: Span,
}

/// How a column is used other than as an output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// In something that can fail or branch.
    Computed,
    /// It decides which rows come or in what order.
    Shaping,
    /// It is written into an object.
    Stored,
}

/// Rows that go into an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Index into the statement's relations; `None` if the object has no name here.
    pub relation: Option<u32>,
    /// Columns written, in order; empty for all of them or for the names of `columns`.
    pub names: Vec<String>,
    /// The rows.
    pub columns: Vec<Column>,
    /// Where.
    pub span: Span,
}

/// Gives the names of `statement` their meaning; `by_path` if the session still has the search path of the catalog.
///
/// # Errors
/// The statement is too large or too deep to follow.
pub fn resolve(statement: &Statement, index: &Index, by_path: bool) -> Result<Resolved, Unresolved> {
    let graph = &statement.graph;
    let mut resolver = Resolver {
        graph,
        relations: &statement.relations,
        index,
        by_path,
        queries: vec![State::New; graph.queries.len()],
        ranges: vec![None; graph.ranges.len()],
        settled: Vec::new(),
        steps: 0,
        depth: 0,
    };
    resolver.statement()
}

/// Columns of a query or range.
type Columns = Rc<[Column]>;

#[derive(Clone)]
enum State {
    New,
    /// Being worked out; what is known so far, for a query that names itself.
    Underway(Columns),
    Done(Columns),
}

struct Resolver<'a> {
    graph: &'a Graph,
    relations: &'a [RelationUse],
    index: &'a Index,
    by_path: bool,
    queries: Vec<State>,
    ranges: Vec<Option<Rc<ranges::Visible>>>,
    /// Queries in the order they were worked out.
    settled: Vec<QueryId>,
    steps: u64,
    depth: usize,
}

impl<'a> Resolver<'a> {
    fn statement(&mut self) -> Result<Resolved, Unresolved> {
        let graph = self.graph;
        let mut resolved = Resolved::default();
        if let Some(root) = graph.root {
            resolved.outputs = self.columns(root)?.to_vec();
        }
        for (i, query) in graph.queries.iter().enumerate() {
            let id = crate::graph::id(i);
            let columns = self.columns(id)?;
            if query.distinct {
                for column in columns.iter().filter(|c| c.value.sources != Sources::None) {
                    let span = if column.span == Span::default() { query.span } else { column.span };
                    resolved.uses.push(plain_use(column.value.sources.clone(), How::Shaping, span));
                }
            }
            for range in &query.from {
                self.merged_uses(*range, query.span, &mut resolved.uses)?;
            }
        }
        for leaf in &graph.leaves {
            if let Some(used) = self.leaf_use(leaf)? {
                resolved.uses.push(used);
            }
        }
        for store in &graph.stores {
            let columns = self.columns(store.query)?.to_vec();
            let span = graph.query(store.query).map_or_else(Span::default, |q| q.span);
            resolved.stores.push(Stored { relation: store.relation, names: store.columns.clone(), columns, span });
        }
        Ok(resolved)
    }

    fn leaf_use(&mut self, leaf: &'a Leaf) -> Result<Option<Use>, Unresolved> {
        if leaf.path == Path::Counted {
            return Ok(None);
        }
        let how = match leaf.role {
            Role::Shaping => How::Shaping,
            Role::Stored => How::Stored,
            Role::Evaluated => How::Computed,
            // A type that a function does not want is only seen with the column.
            Role::Output if matches!(leaf.path, Path::Computed | Path::Total(_)) || self.may_be_row(leaf) => {
                How::Computed
            }
            Role::Output => return Ok(None),
        };
        let (value, whole_row) = self.meaning(leaf)?;
        let direct = value.derivation == Derivation::Direct;
        let value = value.along(leaf.path);
        let fails = value.derivation == Derivation::Computed || whole_row;
        if value.sources == Sources::None || (leaf.role == Role::Output && !fails) {
            return Ok(None);
        }
        let equals = if direct { leaf.equals } else { 0 };
        let output = leaf.role == Role::Output;
        Ok(Some(Use { sources: value.sources, how, equals, whole_row, output, span: leaf.span }))
    }

    /// A single name that is also that of a range.
    fn may_be_row(&self, leaf: &Leaf) -> bool {
        matches!(&leaf.what, What::Column(None, name) if self.graph.ranges.iter().any(|r| r.alias == *name))
    }

    fn step(&mut self, steps: usize) -> Result<(), Unresolved> {
        self.steps += steps as u64 + 1;
        if self.steps > STEPS_MAX { Err(Unresolved) } else { Ok(()) }
    }

    fn deeper<R>(&mut self, body: impl FnOnce(&mut Self) -> Result<R, Unresolved>) -> Result<R, Unresolved> {
        if self.depth >= DEPTH_MAX {
            return Err(Unresolved);
        }
        self.depth += 1;
        let result = body(self);
        self.depth -= 1;
        result
    }

    /// The columns of a query.
    fn columns(&mut self, id: QueryId) -> Result<Columns, Unresolved> {
        let Some(query) = self.graph.query(id) else { return Err(Unresolved) };
        match self.queries.get(id as usize) {
            Some(State::Done(columns) | State::Underway(columns)) => return Ok(Rc::clone(columns)),
            Some(State::New) => {}
            None => return Err(Unresolved),
        }
        let columns = self.deeper(|resolver| resolver.work_out(id, query))?;
        self.set(id, State::Done(Rc::clone(&columns)));
        self.settled.push(id);
        Ok(columns)
    }

    fn set(&mut self, id: QueryId, state: State) {
        if let Some(place) = self.queries.get_mut(id as usize) {
            *place = state;
        }
    }

    fn work_out(&mut self, id: QueryId, query: &'a Query) -> Result<Columns, Unresolved> {
        let Body::Arms(left, right) = query.body else {
            // Its own FROM cannot name it; a change that does means a relation of that name.
            self.set(id, State::Underway(Rc::from([])));
            return self.own_columns(id, query);
        };
        self.set(id, State::Underway(Rc::from([])));
        let left = named(&self.columns(left)?, query);
        let mut known: Columns = Rc::clone(&left);
        for _ in 0..ROUNDS_MAX {
            let mark = self.settled.len();
            self.set(id, State::Underway(Rc::clone(&known)));
            let columns = self.columns(right)?;
            self.step(columns.len())?;
            let both = named(&merge(&left, &columns), query);
            let grown = named(&merge(&known, &both), query);
            let unchanged = grown.len() == known.len()
                && grown.iter().zip(known.iter()).all(|(a, b)| a.value.sources == b.value.sources);
            if unchanged {
                return Ok(both);
            }
            known = grown;
            // What was worked out with less is worked out again.
            for other in self.settled.split_off(mark) {
                self.set(other, State::New);
            }
            self.ranges.fill(None);
        }
        Err(Unresolved)
    }

    fn own_columns(&mut self, id: QueryId, query: &'a Query) -> Result<Columns, Unresolved> {
        let mut columns: Vec<Column> = Vec::new();
        match &query.body {
            Body::Targets(outputs) => {
                for output in outputs {
                    if let Some(qualifier) = &output.star {
                        self.star(query, qualifier.as_ref(), output.span, &mut columns)?;
                        continue;
                    }
                    let value = self.expression(id, &output.leaves)?;
                    let name = output.name.as_deref().map(Rc::from);
                    columns.push(Column { many: name.is_none(), name, value, span: output.span });
                }
            }
            Body::Values(width, cells) => {
                columns.extend((1..=*width).map(|i| Column {
                    name: Some(format!("column{i}").into()),
                    value: Value::CLEAR,
                    many: false,
                    span: Span::default(),
                }));
                for (column, leaves) in cells {
                    let value = self.expression(id, leaves)?;
                    if let Some(column) = columns.get_mut(*column as usize) {
                        column.value = column.value.merged(&value);
                    }
                }
            }
            Body::Arms(..) => return Err(Unresolved),
        }
        Ok(named(&columns.into(), query))
    }

    /// The value of an output expression.
    fn expression(&mut self, scope: QueryId, leaves: &std::ops::Range<u32>) -> Result<Value, Unresolved> {
        let graph = self.graph;
        let mut value: Option<Value> = None;
        for leaf in graph.leaves(leaves).iter().filter(|l| l.scope == scope && l.role == Role::Output) {
            let one = self.meaning(leaf)?.0.along(leaf.path);
            value = Some(match value {
                None => one,
                Some(before) => before.with(&one),
            });
        }
        Ok(value.unwrap_or(Value::CLEAR))
    }

    /// What a leaf means, and whether it is every column of a range.
    fn meaning(&mut self, leaf: &'a Leaf) -> Result<(Value, bool), Unresolved> {
        self.step(0)?;
        Ok(match &leaf.what {
            What::Column(qualifier, name) => self.lookup(leaf.scope, qualifier.as_ref(), name)?,
            What::Field(base, name) => self.field(leaf.scope, base, name)?,
            What::Row(qualifier) => (self.row(leaf.scope, qualifier.as_ref())?.computed(), true),
            What::Query(query) => {
                let columns = self.columns(*query)?;
                (union(&columns), false)
            }
            What::Position(position) => {
                let columns = self.columns(leaf.scope)?;
                let index = (*position as usize).checked_sub(1);
                let open = columns.iter().take(*position as usize).any(|c| c.many);
                match index.and_then(|i| columns.get(i)) {
                    Some(column) if !open => (column.value.clone(), false),
                    _ if open => (union(&columns), false),
                    _ => (Value::CLEAR, false),
                }
            }
            What::OutputName(name) => {
                let columns = self.columns(leaf.scope)?;
                self.step(columns.len())?;
                match by_name(&columns, name) {
                    Some(value) => (value, false),
                    None => {
                        let (value, whole) = self.lookup(leaf.scope, None, name)?;
                        match many(&columns) {
                            Some(open) => (value.merged(&open), whole),
                            None => (value, whole),
                        }
                    }
                }
            }
            What::InputName(name) => {
                let (value, whole) = self.lookup(leaf.scope, None, name)?;
                let certain = matches!(value.sources, Sources::One(Source::Column(..)) | Sources::None);
                if certain {
                    return Ok((value, whole));
                }
                let columns = self.columns(leaf.scope)?;
                match by_name(&columns, name) {
                    // A name that only outputs explain.
                    Some(output) if value.sources == Sources::One(Source::Missing) => (output, false),
                    Some(output) => (value.merged(&output), whole),
                    None => (value, whole),
                }
            }
        })
    }
}

fn plain_use(sources: Sources, how: How, span: Span) -> Use {
    Use { sources, how, equals: 0, whole_row: false, output: false, span }
}

/// All columns as one.
fn union(columns: &[Column]) -> Value {
    let mut all = columns.iter().map(|c| &c.value);
    let Some(first) = all.next() else { return Value::CLEAR };
    all.fold(first.clone(), |a, b| a.merged(b))
}

fn by_name(columns: &[Column], name: &str) -> Option<Value> {
    let mut found = columns.iter().filter(|c| c.name.as_deref() == Some(name)).map(|c| &c.value);
    let first = found.next()?.clone();
    Some(found.fold(first, |a, b| a.merged(b)))
}

/// What columns of unknown names can be.
fn many(columns: &[Column]) -> Option<Value> {
    let mut open = columns.iter().filter(|c| c.many).map(|c| &c.value);
    let first = open.next()?.clone();
    Some(open.fold(first, |a, b| a.merged(b)))
}

/// Two arms, column by column.
fn merge(left: &Columns, right: &Columns) -> Columns {
    if left.len() != right.len() || left.iter().chain(right.iter()).any(|c| c.many) {
        let both: Vec<Column> = left.iter().chain(right.iter()).cloned().collect();
        if both.is_empty() {
            return Rc::from([]);
        }
        let value = union(&both).at_least(Derivation::Merged, Kind::Other);
        return Rc::from([Column { name: None, value, many: true, span: Span::default() }]);
    }
    left.iter()
        .zip(right.iter())
        .map(|(l, r)| {
            let value = l.value.merged(&r.value);
            let kind = value.kind;
            // Merged columns have lost their origin in the row description, even from the same place.
            let least = if value.sources == Sources::None { Derivation::Direct } else { Derivation::Merged };
            Column { value: value.at_least(least, kind), ..l.clone() }
        })
        .collect()
}

/// With the names given from outside, and the columns that are added.
fn named(columns: &Columns, query: &Query) -> Columns {
    if query.columns.is_empty() && query.extra.is_empty() {
        return Rc::clone(columns);
    }
    let mut all = columns.to_vec();
    ranges::rename(&mut all, &query.columns);
    for name in &query.extra {
        if all.iter().all(|c| c.name.as_deref() != Some(name)) {
            let name = Some(Rc::from(name.as_str()));
            all.push(Column { name, value: Value::CLEAR, many: false, span: Span::default() });
        }
    }
    all.into()
}
