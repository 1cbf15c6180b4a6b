//! FROM: tables, joins, subqueries, functions.
//!
//! Arguments of functions in FROM are evaluated values: what such a function returns is made of them alone.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    Alias, JoinExpr, JsonTableColumn, Node, RangeFunction, RangeSubselect, RangeTableFunc, RangeVar,
};

use super::{At, Walker, names};
use crate::graph::{FromItem, FromKind, QueryId, RangeId, Using, id};

impl<'a> Walker<'a> {
    /// An item of the FROM clause of `query`.
    pub(super) fn read_item(&mut self, node: &'a Node, query: QueryId) {
        let Some(range) = self.source(node) else { return self.unknown() };
        if let Some(query) = self.of(query) {
            query.from.push(range);
        }
    }

    pub(super) fn add_range(&mut self, range: FromItem) -> RangeId {
        self.graph.ranges.push(range);
        id(self.graph.ranges.len() - 1)
    }

    fn source(&mut self, node: &'a Node) -> Option<RangeId> {
        match node.node.as_ref()? {
            NodeEnum::RangeVar(range) => Some(self.range(range)),
            NodeEnum::RangeSubselect(range) => self.subselect(range),
            NodeEnum::RangeFunction(range) => Some(self.range_function(range)),
            NodeEnum::JoinExpr(join) => self.join(join),
            NodeEnum::RangeTableFunc(range) => Some(self.table_function(range)),
            NodeEnum::JsonTable(table) => {
                self.json_value(table.context_item.as_deref(), At::EVALUATED);
                for argument in &table.passing {
                    self.expression(argument, At::EVALUATED);
                }
                self.json_columns(&table.columns);
                self.json_behavior(table.on_error.as_deref(), At::EVALUATED);
                Some(self.computed(table.alias.as_ref(), ""))
            }
            NodeEnum::RangeTableSample(sample) => {
                let range = self.source(sample.relation.as_deref()?);
                self.function(&sample.method, None, sample.location);
                for argument in sample.args.iter().chain(sample.repeatable.as_deref()) {
                    self.expression(argument, At::SHAPING.then(crate::graph::Path::Computed));
                }
                range
            }
            _ => None,
        }
    }

    fn computed(&mut self, alias: Option<&'a Alias>, otherwise: &str) -> RangeId {
        let (alias, columns) = alias_of(alias, otherwise);
        self.add_range(FromItem { alias, schema: None, columns, hidden: false, kind: FromKind::Computed })
    }

    /// A table, view or CTE that is read.
    fn range(&mut self, range: &'a RangeVar) -> RangeId {
        let (alias, columns) = alias_of(range.alias.as_ref(), &range.relname);
        let cte = self.ctes.iter().rev().find(|(name, _)| range.schemaname.is_empty() && *name == range.relname);
        let kind = match cte {
            Some((_, query)) => FromKind::Query(*query),
            None => FromKind::Relation(self.relation(Some(range), true, false).unwrap_or(u32::MAX)),
        };
        let schema = if range.alias.is_some() { None } else { names::owned(&range.schemaname) };
        self.add_range(FromItem { alias, schema, columns, hidden: false, kind })
    }

    /// The table a statement changes: a CTE of the same name does not hide it.
    pub(super) fn changed(&mut self, range: Option<&'a RangeVar>, read: bool, query: QueryId) -> Option<u32> {
        let range = range?;
        let relation = self.relation(Some(range), read, true)?;
        let (alias, columns) = alias_of(range.alias.as_ref(), &range.relname);
        let schema = if range.alias.is_some() { None } else { names::owned(&range.schemaname) };
        let kind = FromKind::Relation(relation);
        let item = self.add_range(FromItem { alias, schema, columns, hidden: false, kind });
        if let Some(query) = self.of(query) {
            query.from.push(item);
        }
        Some(relation)
    }

    /// A range that only qualified names reach.
    pub(super) fn hidden(&mut self, alias: &str, kind: FromKind, query: QueryId) {
        let alias = alias.to_owned();
        let item = self.add_range(FromItem { alias, schema: None, columns: Vec::new(), hidden: true, kind });
        if let Some(query) = self.of(query) {
            query.from.push(item);
        }
    }

    fn subselect(&mut self, range: &'a RangeSubselect) -> Option<RangeId> {
        let parent = if range.lateral { Some(self.scope) } else { self.outside() };
        let query = self.query(range.subquery.as_deref()?, parent)?;
        let (alias, columns) = alias_of(range.alias.as_ref(), "");
        Some(self.add_range(FromItem { alias, schema: None, columns, hidden: false, kind: FromKind::Query(query) }))
    }

    fn range_function(&mut self, range: &'a RangeFunction) -> RangeId {
        let mut name = "";
        for call in &range.functions {
            // Each is a list of the call and its column definitions.
            let Some(call) = names::items(call).first() else { continue };
            if let Some(NodeEnum::FuncCall(call)) = call.node.as_ref() {
                name = names::qualified(&call.funcname).1;
            }
            self.expression(call, At::EVALUATED);
        }
        self.computed(range.alias.as_ref(), name)
    }

    fn join(&mut self, join: &'a JoinExpr) -> Option<RangeId> {
        let left = self.source(join.larg.as_deref()?)?;
        let right = self.source(join.rarg.as_deref()?)?;
        self.optional(join.quals.as_deref(), At::SHAPING);
        let using = if join.is_natural {
            Using::Common
        } else if join.using_clause.is_empty() {
            Using::Nothing
        } else {
            Using::Names(join.using_clause.iter().filter_map(names::text).map(str::to_owned).collect())
        };
        let (alias, columns) = alias_of(join.alias.as_ref(), "");
        let merged_alias = join.join_using_alias.as_ref().map(|a| a.aliasname.clone());
        let kind = FromKind::Join { left, right, using, merged_alias };
        Some(self.add_range(FromItem { alias, schema: None, columns, hidden: false, kind }))
    }

    fn table_function(&mut self, range: &'a RangeTableFunc) -> RangeId {
        let own = [range.docexpr.as_deref(), range.rowexpr.as_deref()];
        for node in own.into_iter().flatten().chain(&range.namespaces) {
            self.expression(node, At::EVALUATED);
        }
        for column in &range.columns {
            match column.node.as_ref() {
                Some(NodeEnum::RangeTableFuncCol(column)) => {
                    for node in [column.colexpr.as_deref(), column.coldefexpr.as_deref()].into_iter().flatten() {
                        self.expression(node, At::EVALUATED);
                    }
                }
                _ => self.unknown(),
            }
        }
        self.computed(range.alias.as_ref(), "xmltable")
    }

    fn json_columns(&mut self, columns: &'a [Node]) {
        for column in columns {
            match column.node.as_ref() {
                Some(NodeEnum::JsonTableColumn(column)) => {
                    let column: &'a JsonTableColumn = column;
                    self.json_behavior(column.on_empty.as_deref(), At::EVALUATED);
                    self.json_behavior(column.on_error.as_deref(), At::EVALUATED);
                    self.json_columns(&column.columns);
                }
                _ => self.unknown(),
            }
        }
    }
}

fn alias_of(alias: Option<&Alias>, otherwise: &str) -> (String, Vec<String>) {
    match alias {
        Some(alias) => {
            (alias.aliasname.clone(), alias.colnames.iter().filter_map(names::text).map(str::to_owned).collect())
        }
        None => (otherwise.to_owned(), Vec::new()),
    }
}
