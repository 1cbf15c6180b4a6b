//! INSERT, UPDATE, DELETE, MERGE and COPY.
//!
//! Assigned columns are writes, not uses; what is assigned is stored. RETURNING is a target list like any other.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CmdType, CopyStmt, DeleteStmt, IndexElem, InsertStmt, MergeStmt, Node, OnConflictAction, OnConflictClause,
    RangeVar, ReturningClause, ReturningOptionKind, UpdateStmt,
};

use super::{At, Walker, names};
use crate::facts::{Effects, Span};
use crate::graph::{Body, FromItem, FromKind, Output, Path, QueryId, Store, What};

impl<'a> Walker<'a> {
    /// Opens the query that a change is: its RETURNING list, over the table and what stands beside it.
    fn change<R>(
        &mut self,
        range: Option<&'a RangeVar>,
        parent: Option<QueryId>,
        body: impl FnOnce(&mut Self, QueryId) -> R,
    ) -> QueryId {
        let span = self.span(range.map_or(-1, |r| r.location));
        let query = self.open(parent, span);
        let ctes = self.ctes.len();
        self.within(query, |walker| body(walker, query));
        self.ctes.truncate(ctes);
        query
    }

    pub(super) fn insert(&mut self, insert: &'a InsertStmt, parent: Option<QueryId>) -> QueryId {
        self.effects.add(Effects::INSERT);
        self.change(insert.relation.as_ref(), parent, |walker, query| {
            walker.with(insert.with_clause.as_ref());
            let conflict = insert.on_conflict_clause.as_deref();
            let updates = conflict.is_some_and(|c| c.action() == OnConflictAction::OnconflictUpdate);
            let read = updates || insert.returning_clause.is_some();
            let relation = walker.changed(insert.relation.as_ref(), read, query);
            let mut columns = Vec::new();
            for column in &insert.cols {
                if let Some(NodeEnum::ResTarget(target)) = column.node.as_ref() {
                    columns.push(target.name.clone());
                }
                walker.assigned(column);
            }
            if let Some(source) = insert.select_stmt.as_deref()
                && let Some(source) = walker.query(source, parent)
            {
                walker.graph.stores.push(Store { query: source, relation, columns });
            }
            if let Some(conflict) = conflict {
                walker.conflict(conflict, updates, query);
            }
            walker.returning(insert.returning_clause.as_ref(), relation, query);
        })
    }

    fn conflict(&mut self, conflict: &'a OnConflictClause, updates: bool, query: QueryId) {
        if updates {
            self.effects.add(Effects::UPDATE);
            // The proposed row is made of the statement's own values, which are stored and judged as such.
            self.hidden("excluded", FromKind::Computed, query);
        }
        if let Some(infer) = conflict.infer.as_deref() {
            for element in &infer.index_elems {
                match element.node.as_ref() {
                    Some(NodeEnum::IndexElem(element)) => self.index_element(element, At::SHAPING, infer.location),
                    _ => self.unknown(),
                }
            }
            self.optional(infer.where_clause.as_deref(), At::SHAPING);
        }
        self.assignments(&conflict.target_list);
        self.optional(conflict.where_clause.as_deref(), At::SHAPING);
    }

    pub(super) fn index_element(&mut self, element: &'a IndexElem, at: At, location: i32) {
        if !element.name.is_empty() {
            let span = self.span(location);
            self.push(What::Column(None, element.name.clone()), at, span);
        }
        self.optional(element.expr.as_deref(), at);
    }

    /// `SET column = value` and the column lists of INSERT: subscripts and values are used, the column is written.
    fn assigned(&mut self, node: &'a Node) {
        match node.node.as_ref() {
            Some(NodeEnum::ResTarget(target)) => {
                for step in &target.indirection {
                    if matches!(step.node, Some(NodeEnum::AIndices(_))) {
                        self.expression(step, At::EVALUATED);
                    }
                }
                self.optional(target.val.as_deref(), At::STORED);
            }
            _ => self.unknown(),
        }
    }

    fn assignments(&mut self, list: &'a [Node]) {
        for node in list {
            if let Some(NodeEnum::ResTarget(target)) = node.node.as_ref() {
                self.assigned.push(target.name.clone());
            }
            self.assigned(node);
        }
    }

    fn returning(&mut self, clause: Option<&'a ReturningClause>, relation: Option<u32>, query: QueryId) {
        let Some(clause) = clause else { return };
        self.effects.add(Effects::READ);
        let kind = || relation.map_or(FromKind::Computed, FromKind::Relation);
        // The rows before and after are ranges too.
        let (mut old, mut new) = ("old", "new");
        for option in &clause.options {
            match option.node.as_ref() {
                Some(NodeEnum::ReturningOption(option)) => match option.option() {
                    ReturningOptionKind::ReturningOptionOld => old = &option.value,
                    ReturningOptionKind::ReturningOptionNew => new = &option.value,
                    ReturningOptionKind::Undefined => self.unknown(),
                },
                _ => self.unknown(),
            }
        }
        self.hidden(old, kind(), query);
        self.hidden(new, kind(), query);
        self.targets(&clause.exprs, query);
    }

    pub(super) fn update(&mut self, update: &'a UpdateStmt, parent: Option<QueryId>) -> QueryId {
        self.effects.add(Effects::UPDATE);
        if update.where_clause.is_none() {
            self.effects.add(Effects::UPDATE_ALL);
        }
        self.change(update.relation.as_ref(), parent, |walker, query| {
            walker.with(update.with_clause.as_ref());
            let relation = walker.changed(update.relation.as_ref(), true, query);
            for item in &update.from_clause {
                walker.read_item(item, query);
            }
            walker.assignments(&update.target_list);
            if let Some(condition) = update.where_clause.as_deref() {
                walker.condition(condition);
            }
            walker.returning(update.returning_clause.as_ref(), relation, query);
        })
    }

    pub(super) fn delete(&mut self, delete: &'a DeleteStmt, parent: Option<QueryId>) -> QueryId {
        self.effects.add(Effects::DELETE);
        if delete.where_clause.is_none() {
            self.effects.add(Effects::DELETE_ALL);
        }
        self.change(delete.relation.as_ref(), parent, |walker, query| {
            walker.with(delete.with_clause.as_ref());
            let relation = walker.changed(delete.relation.as_ref(), true, query);
            for item in &delete.using_clause {
                walker.read_item(item, query);
            }
            if let Some(condition) = delete.where_clause.as_deref() {
                walker.condition(condition);
            }
            walker.returning(delete.returning_clause.as_ref(), relation, query);
        })
    }

    pub(super) fn merge(&mut self, merge: &'a MergeStmt, parent: Option<QueryId>) -> QueryId {
        self.effects.add(Effects::MERGE);
        self.change(merge.relation.as_ref(), parent, |walker, query| {
            walker.with(merge.with_clause.as_ref());
            let relation = walker.changed(merge.relation.as_ref(), true, query);
            if let Some(source) = merge.source_relation.as_deref() {
                walker.read_item(source, query);
            }
            walker.optional(merge.join_condition.as_deref(), At::SHAPING);
            for clause in &merge.merge_when_clauses {
                match clause.node.as_ref() {
                    Some(NodeEnum::MergeWhenClause(clause)) => {
                        walker.optional(clause.condition.as_deref(), At::SHAPING);
                        match clause.command_type() {
                            CmdType::CmdInsert => {
                                walker.effects.add(Effects::INSERT);
                                clause.target_list.iter().for_each(|column| walker.assigned(column));
                            }
                            CmdType::CmdUpdate => {
                                walker.effects.add(Effects::UPDATE);
                                walker.assignments(&clause.target_list);
                            }
                            CmdType::CmdDelete => walker.effects.add(Effects::DELETE),
                            CmdType::CmdNothing => {}
                            _ => walker.unknown(),
                        }
                        walker.expressions(&clause.values, At::STORED);
                    }
                    _ => walker.unknown(),
                }
            }
            walker.returning(merge.returning_clause.as_ref(), relation, query);
        })
    }

    /// COPY … TO is a query whose rows the client gets in another form.
    pub(super) fn copy(&mut self, copy: &'a CopyStmt) {
        self.effects.add(match (copy.is_program, copy.filename.is_empty(), copy.is_from) {
            (true, _, _) => Effects::COPY_PROGRAM,
            (false, false, _) => Effects::COPY_FILE,
            (false, true, true) => Effects::COPY_IN,
            (false, true, false) => Effects::COPY_OUT,
        });
        let base = self.scope;
        if let Some(range) = copy.relation.as_ref() {
            let span = self.span(range.location);
            let query = self.open(Some(base), span);
            let relation = self.relation(Some(range), !copy.is_from, copy.is_from);
            let kind = relation.map_or(FromKind::Computed, FromKind::Relation);
            let alias = range.relname.clone();
            let item = self.add_range(FromItem { alias, schema: None, columns: Vec::new(), hidden: false, kind });
            if let Some(query) = self.of(query) {
                query.from.push(item);
            }
            self.within(query, |walker| {
                if !copy.is_from {
                    walker.effects.add(Effects::READ);
                    let outputs = walker.copied(&copy.attlist, span);
                    if let Some(query) = walker.of(query) {
                        query.body = Body::Targets(outputs);
                    }
                    walker.graph.root = Some(query);
                }
                walker.optional(copy.where_clause.as_deref(), At::SHAPING.then(Path::Computed));
            });
        }
        if let Some(query) = copy.query.as_deref() {
            self.graph.root = self.query(query, Some(base));
        }
    }

    /// The columns of COPY table (…) TO.
    fn copied(&mut self, names: &'a [Node], span: Span) -> Vec<Output> {
        let start = crate::graph::id(self.graph.leaves.len());
        if names.is_empty() {
            return vec![Output { name: None, star: Some(None), leaves: start..start, span }];
        }
        let mut outputs = Vec::with_capacity(names.len());
        for name in names.iter().filter_map(names::text) {
            let start = crate::graph::id(self.graph.leaves.len());
            self.push(What::Column(None, name.to_owned()), At::OUTPUT, span);
            let name = Some(name.to_owned());
            outputs.push(Output { name, star: None, leaves: start..start + 1, span });
        }
        outputs
    }
}
