//! Queries: SELECT, VALUES, set operations, WITH.
//!
//! Every query gets its own scope; a leaf says in which one it stands. ORDER BY and GROUP BY by position or by output
//! name stay as they are written and are resolved with the outputs.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExprKind, BoolExprType, CommonTableExpr, IntoClause, Node, ResTarget, SelectStmt, SetOperation, WithClause,
    a_const,
};

use super::{At, Walker, expression, names, outputs};
use crate::facts::{Effects, Span};
use crate::functions;
use crate::graph::{Body, Output, Path, Query, QueryId, Role, Store, What, id};

impl<'a> Walker<'a> {
    /// A new query under the one that is walked now, or beside it.
    pub(super) fn open(&mut self, parent: Option<QueryId>, span: Span) -> QueryId {
        let query = id(self.graph.queries.len());
        let body = Body::Targets(Vec::new());
        self.graph.queries.push(Query {
            parent,
            from: Vec::new(),
            body,
            distinct: false,
            columns: Vec::new(),
            extra: Vec::new(),
            span,
        });
        query
    }

    pub(super) fn of(&mut self, query: QueryId) -> Option<&mut Query> {
        self.graph.queries.get_mut(query as usize)
    }

    /// Where names go on being looked up outside of the query that is walked now.
    pub(super) fn outside(&self) -> Option<QueryId> {
        self.graph.query(self.scope).and_then(|q| q.parent)
    }

    /// Walks `body` with `query` as the scope.
    pub(super) fn within<R>(&mut self, query: QueryId, body: impl FnOnce(&mut Self) -> R) -> R {
        let scope = std::mem::replace(&mut self.scope, query);
        let result = body(self);
        self.scope = scope;
        result
    }

    /// A query whose free names are looked up in `parent`.
    pub(super) fn select(&mut self, select: &'a SelectStmt, parent: Option<QueryId>) -> QueryId {
        let span = self.span(first_location(select));
        let query = self.open(parent, span);
        self.select_into(select, query);
        query
    }

    /// A query that has its id already: a recursive CTE names itself.
    fn select_into(&mut self, select: &'a SelectStmt, query: QueryId) {
        let ctes = self.ctes.len();
        self.within(query, |walker| {
            if select.values_lists.is_empty() {
                walker.effects.add(Effects::READ);
            }
            walker.with(select.with_clause.as_ref());
            if matches!(select.op(), SetOperation::SetopNone | SetOperation::Undefined) {
                if select.values_lists.is_empty() {
                    walker.plain(select, query);
                } else {
                    walker.values(&select.values_lists, query);
                }
            } else {
                walker.arms(select, query);
            }
            if !select.values_lists.is_empty() || select.larg.is_some() {
                for item in &select.sort_clause {
                    walker.order_item(item);
                }
            }
            for limit in [select.limit_count.as_deref(), select.limit_offset.as_deref()].into_iter().flatten() {
                walker.expression(limit, At::SHAPING.then(Path::Computed));
            }
            if !select.locking_clause.is_empty() {
                walker.effects.add(Effects::ROW_LOCK);
            }
            if let Some(into) = select.into_clause.as_deref() {
                // It stands in the leftmost arm and means the whole.
                walker.into = Some(into);
            }
        });
        self.ctes.truncate(ctes);
    }

    /// SELECT INTO and CREATE TABLE AS.
    pub(super) fn store_into(&mut self, into: &'a IntoClause, query: QueryId) {
        self.effects.add(Effects::CREATE_AS);
        let relation = self.relation(into.rel.as_ref(), false, true);
        let columns = into.col_names.iter().filter_map(names::text).map(str::to_owned).collect();
        self.graph.stores.push(Store { query, relation, columns });
    }

    fn arms(&mut self, select: &'a SelectStmt, query: QueryId) {
        // Arms see what the whole sees: its own WITH is on the list of CTEs already.
        let parent = self.outside();
        let mut arm = |arm: Option<&'a SelectStmt>| match arm {
            Some(arm) => self.select(arm, parent),
            None => {
                self.unknown();
                self.open(parent, Span::default())
            }
        };
        let (left, right) = (arm(select.larg.as_deref()), arm(select.rarg.as_deref()));
        let compared = !(select.all && select.op() == SetOperation::SetopUnion);
        if let Some(query) = self.of(query) {
            query.body = Body::Arms(left, right);
            query.distinct = compared;
        }
    }

    fn values(&mut self, rows: &'a [Node], query: QueryId) {
        let mut cells = Vec::new();
        let mut width = 0;
        for row in rows {
            let row = names::items(row);
            width = width.max(id(row.len()));
            for (column, value) in row.iter().enumerate() {
                let start = id(self.graph.leaves.len());
                self.expression(value, At::OUTPUT);
                let end = id(self.graph.leaves.len());
                if end > start {
                    cells.push((id(column), start..end));
                }
            }
        }
        if let Some(query) = self.of(query) {
            query.body = Body::Values(width, cells);
        }
    }

    fn plain(&mut self, select: &'a SelectStmt, query: QueryId) {
        for item in &select.from_clause {
            self.read_item(item, query);
        }
        self.targets(&select.target_list, query);
        // Plain DISTINCT is a list of one empty node, DISTINCT ON a list of expressions.
        if select.distinct_clause.first().is_some_and(|n| n.node.is_none()) {
            if let Some(query) = self.of(query) {
                query.distinct = true;
            }
        } else {
            for item in &select.distinct_clause {
                self.output_item(item);
            }
        }
        if let Some(condition) = select.where_clause.as_deref() {
            self.condition(condition);
        }
        for item in &select.group_clause {
            self.group_item(item);
        }
        self.optional(select.having_clause.as_deref(), At::SHAPING);
        for window in &select.window_clause {
            match window.node.as_ref() {
                Some(NodeEnum::WindowDef(window)) => self.window(window),
                _ => self.unknown(),
            }
        }
        for item in &select.sort_clause {
            self.order_item(item);
        }
    }

    /// The target list of a query, or its RETURNING list.
    pub(super) fn targets(&mut self, list: &'a [Node], query: QueryId) {
        let mut all = Vec::with_capacity(list.len());
        for item in list {
            match item.node.as_ref() {
                Some(NodeEnum::ResTarget(target)) => all.extend(self.target(target)),
                _ => self.unknown(),
            }
        }
        if let Some(query) = self.of(query) {
            query.body = Body::Targets(all);
        }
    }

    fn target(&mut self, target: &'a ResTarget) -> Option<Output> {
        let value = target.val.as_deref()?;
        let start = id(self.graph.leaves.len());
        let mut star = None;
        match value.node.as_ref() {
            Some(NodeEnum::ColumnRef(reference)) => match names::column(&reference.fields) {
                (qualifier, None) => star = Some(qualifier),
                _ => self.expression(value, At::OUTPUT),
            },
            _ => self.expression(value, At::OUTPUT),
        }
        // The fields of `(row).*` cannot be told apart; its leaf says which row it is.
        let expanded = outputs::expanded(value);
        // `float(n)` is one type or another by the literal, and an unnamed cast is named after its type.
        let name = outputs::name(target);
        if target.name.is_empty() && matches!(name.as_str(), "float4" | "float8") {
            self.literals_matter = true;
        }
        let span = self.span(target.location);
        let name = (star.is_none() && !expanded).then_some(name);
        Some(Output { name, star, leaves: start..id(self.graph.leaves.len()), span })
    }

    /// WHERE: comparisons of a column with constants are marked as such.
    pub(super) fn condition(&mut self, node: &'a Node) {
        match node.node.as_ref() {
            Some(NodeEnum::BoolExpr(logic))
                if matches!(logic.boolop(), BoolExprType::AndExpr | BoolExprType::OrExpr) =>
            {
                for part in &logic.args {
                    self.condition(part);
                }
            }
            Some(NodeEnum::AExpr(operation)) => {
                let start = self.graph.leaves.len();
                self.expression(node, At::SHAPING);
                let Some(constants) = equality(operation) else { return };
                if let [leaf] = self.graph.leaves.get_mut(start..).unwrap_or_default() {
                    leaf.equals = constants;
                }
            }
            _ => self.expression(node, At::SHAPING),
        }
    }

    /// `ORDER BY 2`
    fn position(&mut self, constant: &pg_query::protobuf::AConst) {
        self.literals_matter = true;
        let Some(a_const::Val::Ival(position)) = constant.val.as_ref() else { return };
        let span = self.span(constant.location);
        self.push(What::Position(u32::try_from(position.ival).unwrap_or(0)), At::SHAPING, span);
    }

    /// An item of ORDER BY or DISTINCT ON, where output names come first.
    fn output_item(&mut self, node: &'a Node) {
        self.item(node, What::OutputName);
    }

    fn item(&mut self, node: &'a Node, named: fn(String) -> What) {
        match node.node.as_ref() {
            Some(NodeEnum::AConst(constant)) => self.position(constant),
            Some(NodeEnum::ColumnRef(reference)) if reference.fields.len() == 1 => {
                match reference.fields.first().and_then(names::text) {
                    Some(name) => {
                        let span = self.span(reference.location);
                        self.push(named(name.to_owned()), At::SHAPING, span);
                    }
                    None => self.expression(node, At::SHAPING),
                }
            }
            _ => self.expression(node, At::SHAPING),
        }
    }

    fn order_item(&mut self, node: &'a Node) {
        match node.node.as_ref() {
            Some(NodeEnum::SortBy(sort)) => {
                self.operator(&sort.use_op, sort.location);
                if let Some(node) = sort.node.as_deref() {
                    self.output_item(node);
                }
            }
            _ => self.unknown(),
        }
    }

    fn group_item(&mut self, node: &'a Node) {
        match node.node.as_ref() {
            Some(NodeEnum::GroupingSet(set)) => {
                for item in &set.content {
                    self.group_item(item);
                }
            }
            Some(NodeEnum::RowExpr(row)) => {
                for item in &row.args {
                    self.group_item(item);
                }
            }
            _ => self.item(node, What::InputName),
        }
    }

    pub(super) fn with(&mut self, with: Option<&'a WithClause>) {
        let Some(with) = with else { return };
        // The queries of WITH see what is outside of the query, not its FROM.
        let parent = self.outside();
        let ctes: Vec<&'a CommonTableExpr> = with
            .ctes
            .iter()
            .filter_map(|n| match n.node.as_ref() {
                Some(NodeEnum::CommonTableExpr(cte)) => Some(cte.as_ref()),
                _ => None,
            })
            .collect();
        if with.recursive {
            // A name that is met before its query is walked needs its id.
            let opened: Vec<QueryId> = ctes.iter().map(|c| self.open(parent, self.span(c.location))).collect();
            self.ctes.extend(ctes.iter().map(|c| c.ctename.as_str()).zip(opened.iter().copied()));
            for (cte, query) in ctes.iter().zip(opened) {
                match cte.ctequery.as_deref().and_then(|n| n.node.as_ref()) {
                    Some(NodeEnum::SelectStmt(select)) => self.select_into(select, query),
                    // A change cannot be recursive, so its own id does.
                    Some(_) => {
                        let made = cte.ctequery.as_deref().and_then(|n| self.query(n, parent));
                        if let (Some(made), Some(place)) = (made, self.ctes.iter_mut().rev().find(|(_, q)| *q == query))
                        {
                            place.1 = made;
                        }
                    }
                    None => self.unknown(),
                }
                self.cte(cte, query);
            }
        } else {
            for cte in ctes {
                let query = match cte.ctequery.as_deref() {
                    Some(query) => self.query(query, parent),
                    None => None,
                };
                let Some(query) = query else {
                    self.unknown();
                    continue;
                };
                self.cte(cte, query);
                self.ctes.push((&cte.ctename, query));
            }
        }
    }

    /// What stands around the query of a CTE.
    fn cte(&mut self, cte: &'a CommonTableExpr, query: QueryId) {
        let mut columns: Vec<String> = cte.aliascolnames.iter().filter_map(names::text).map(str::to_owned).collect();
        self.within(query, |walker| {
            if let Some(search) = cte.search_clause.as_ref() {
                walker.searched(&search.search_col_list, search.location);
            }
            if let Some(cycle) = cte.cycle_clause.as_deref() {
                walker.searched(&cycle.cycle_col_list, cycle.location);
                for value in
                    [cycle.cycle_mark_value.as_deref(), cycle.cycle_mark_default.as_deref()].into_iter().flatten()
                {
                    walker.expression(value, At::SHAPING);
                }
            }
        });
        // SEARCH and CYCLE add columns that are made of those they name.
        let search = cte.search_clause.iter().map(|s| &s.search_seq_column);
        let cycle = cte.cycle_clause.iter().flat_map(|c| [&c.cycle_mark_column, &c.cycle_path_column]);
        if let Some(query) = self.of(query) {
            query.columns.append(&mut columns);
            query.extra.extend(search.chain(cycle).cloned());
        }
    }

    /// Columns of a recursive query that SEARCH and CYCLE compare.
    fn searched(&mut self, list: &'a [Node], location: i32) {
        let span = self.span(location);
        for name in list.iter().filter_map(names::text) {
            self.push(What::OutputName(name.to_owned()), At::SHAPING, span);
        }
    }

    /// A statement that can stand in WITH, PREPARE, COPY, …; its rows are those of the query.
    pub(super) fn query(&mut self, node: &'a Node, parent: Option<QueryId>) -> Option<QueryId> {
        match node.node.as_ref() {
            Some(NodeEnum::SelectStmt(select)) => Some(self.select(select, parent)),
            Some(NodeEnum::InsertStmt(insert)) => Some(self.insert(insert, parent)),
            Some(NodeEnum::UpdateStmt(update)) => Some(self.update(update, parent)),
            Some(NodeEnum::DeleteStmt(delete)) => Some(self.delete(delete, parent)),
            Some(NodeEnum::MergeStmt(merge)) => Some(self.merge(merge, parent)),
            _ => {
                self.unknown();
                None
            }
        }
    }

    /// A leaf in the query that is walked now.
    pub(super) fn push(&mut self, what: What, at: At, span: Span) {
        let (scope, path, role) = (self.scope, at.path, at.role);
        self.graph.leaves.push(crate::graph::Leaf { scope, what, path, role, equals: 0, span });
    }
}

/// The number of constants that a column is compared with by `=` or IN.
fn equality(operation: &pg_query::protobuf::AExpr) -> Option<u32> {
    let (left, right) = (operation.lexpr.as_deref()?, operation.rexpr.as_deref()?);
    if operation.name.len() != 1 || names::qualified(&operation.name).1 != "=" {
        return None;
    }
    let is_column = |node: &Node| matches!(node.node, Some(NodeEnum::ColumnRef(_)));
    match operation.kind() {
        AExprKind::AexprOp => {
            let (column, constant) = if is_column(left) { (left, right) } else { (right, left) };
            (is_column(column) && expression::is_constant(constant)).then_some(1)
        }
        AExprKind::AexprIn => {
            let constants = names::items(right);
            (is_column(left) && constants.iter().all(expression::is_constant)).then(|| id(constants.len()))
        }
        _ => None,
    }
}

/// Where the text of a query starts, as far as its first target says.
fn first_location(select: &SelectStmt) -> i32 {
    match select.target_list.first().and_then(|n| n.node.as_ref()) {
        Some(NodeEnum::ResTarget(target)) => target.location,
        _ => -1,
    }
}

impl At {
    pub(super) const OUTPUT: Self = Self { role: Role::Output, path: Path::Carried };
    pub(super) const SHAPING: Self = Self { role: Role::Shaping, path: Path::Carried };
    pub(super) const STORED: Self = Self { role: Role::Stored, path: Path::Carried };
    pub(super) const EVALUATED: Self = Self { role: Role::Evaluated, path: Path::Computed };

    /// The place of an operand.
    pub(super) const fn then(self, path: Path) -> Self {
        Self { role: self.role, path: self.path.around(path) }
    }
}

/// `p.to_json` may be `to_json(p)`.
pub(super) fn attribute_call(qualified: bool, column: &str) -> bool {
    qualified && functions::takes_row(column)
}
