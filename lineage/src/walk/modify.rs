//! INSERT, UPDATE, DELETE, MERGE and COPY.
//!
//! Assigned columns are writes, not uses; what is assigned is. RETURNING is a target list like any other.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CopyStmt, DeleteStmt, IndexElem, InsertStmt, MergeStmt, Node, OnConflictAction, OnConflictClause, RangeVar,
    ReturningClause, UpdateStmt,
};

use super::{Place, Walker, names};
use crate::facts::{Effects, How};

impl<'a> Walker<'a> {
    /// The table a statement changes: a CTE of the same name does not hide it.
    fn changed(&mut self, range: Option<&'a RangeVar>, read: bool) {
        if let Some(range) = range {
            self.range_name(range.alias.as_ref(), &range.relname);
        }
        self.relation(range, read, true);
    }

    pub(super) fn insert(&mut self, insert: &'a InsertStmt, place: Place) {
        self.effects.add(Effects::INSERT);
        let scope = self.ctes.len();
        self.with(insert.with_clause.as_ref());
        let conflict = insert.on_conflict_clause.as_deref();
        let updates = conflict.is_some_and(|c| c.action() == OnConflictAction::OnconflictUpdate);
        self.changed(insert.relation.as_ref(), updates || insert.returning_clause.is_some());
        for column in &insert.cols {
            self.assigned(column);
        }
        if let Some(source) = insert.select_stmt.as_deref() {
            self.query(source, Place::Copied);
        }
        if let Some(conflict) = conflict {
            self.conflict(conflict, updates);
        }
        self.returning(insert.returning_clause.as_ref(), place);
        self.ctes.truncate(scope);
    }

    fn conflict(&mut self, conflict: &'a OnConflictClause, updates: bool) {
        if updates {
            self.effects.add(Effects::UPDATE);
            self.excluded = true;
        }
        if let Some(infer) = conflict.infer.as_deref() {
            for element in &infer.index_elems {
                match element.node.as_ref() {
                    Some(NodeEnum::IndexElem(element)) => self.index_element(element, How::Shaping, infer.location),
                    _ => self.unknown(),
                }
            }
            self.optional(infer.where_clause.as_deref(), How::Shaping);
        }
        self.assignments(&conflict.target_list);
        self.optional(conflict.where_clause.as_deref(), How::Shaping);
    }

    pub(super) fn index_element(&mut self, element: &'a IndexElem, how: How, location: i32) {
        if !element.name.is_empty() {
            let span = self.span(location);
            self.push_use(None, Some(&element.name), how, span);
        }
        self.optional(element.expr.as_deref(), how);
    }

    /// `SET column = value` and the column lists of INSERT: subscripts and values are used, the column is written.
    fn assigned(&mut self, node: &'a Node) {
        match node.node.as_ref() {
            Some(NodeEnum::ResTarget(target)) => {
                for step in &target.indirection {
                    if matches!(step.node, Some(NodeEnum::AIndices(_))) {
                        self.expression(step, How::Expression);
                    }
                }
                self.optional(target.val.as_deref(), How::Expression);
            }
            _ => self.unknown(),
        }
    }

    fn assignments(&mut self, list: &'a [Node]) {
        for node in list {
            self.assigned(node);
        }
    }

    fn returning(&mut self, clause: Option<&'a ReturningClause>, place: Place) {
        let Some(clause) = clause else { return };
        self.effects.add(Effects::READ);
        for option in &clause.options {
            match option.node.as_ref() {
                Some(NodeEnum::ReturningOption(option)) => self.ranges.push(&option.value),
                _ => self.unknown(),
            }
        }
        for node in &clause.exprs {
            match node.node.as_ref() {
                Some(NodeEnum::ResTarget(target)) => self.target(target, place, false),
                _ => self.unknown(),
            }
        }
        // The rows before and after are ranges too.
        self.ranges.extend(["old", "new"]);
    }

    pub(super) fn update(&mut self, update: &'a UpdateStmt, place: Place) {
        self.effects.add(Effects::UPDATE);
        if update.where_clause.is_none() {
            self.effects.add(Effects::UPDATE_ALL);
        }
        let scope = self.ctes.len();
        self.with(update.with_clause.as_ref());
        self.changed(update.relation.as_ref(), true);
        for item in &update.from_clause {
            self.source(item);
        }
        self.assignments(&update.target_list);
        self.optional(update.where_clause.as_deref(), How::Shaping);
        self.returning(update.returning_clause.as_ref(), place);
        self.ctes.truncate(scope);
    }

    pub(super) fn delete(&mut self, delete: &'a DeleteStmt, place: Place) {
        self.effects.add(Effects::DELETE);
        if delete.where_clause.is_none() {
            self.effects.add(Effects::DELETE_ALL);
        }
        let scope = self.ctes.len();
        self.with(delete.with_clause.as_ref());
        self.changed(delete.relation.as_ref(), true);
        for item in &delete.using_clause {
            self.source(item);
        }
        self.optional(delete.where_clause.as_deref(), How::Shaping);
        self.returning(delete.returning_clause.as_ref(), place);
        self.ctes.truncate(scope);
    }

    pub(super) fn merge(&mut self, merge: &'a MergeStmt, place: Place) {
        self.effects.add(Effects::MERGE);
        let scope = self.ctes.len();
        self.with(merge.with_clause.as_ref());
        self.changed(merge.relation.as_ref(), true);
        if let Some(source) = merge.source_relation.as_deref() {
            self.source(source);
        }
        self.optional(merge.join_condition.as_deref(), How::Shaping);
        for clause in &merge.merge_when_clauses {
            match clause.node.as_ref() {
                Some(NodeEnum::MergeWhenClause(clause)) => {
                    self.optional(clause.condition.as_deref(), How::Shaping);
                    self.assignments(&clause.target_list);
                    self.expressions(&clause.values, How::Expression);
                }
                _ => self.unknown(),
            }
        }
        self.returning(merge.returning_clause.as_ref(), place);
        self.ctes.truncate(scope);
    }

    pub(super) fn copy(&mut self, copy: &'a CopyStmt) {
        self.effects.add(match (copy.is_program, copy.filename.is_empty(), copy.is_from) {
            (true, _, _) => Effects::COPY_PROGRAM,
            (false, false, _) => Effects::COPY_FILE,
            (false, true, true) => Effects::COPY_IN,
            (false, true, false) => Effects::COPY_OUT,
        });
        if let Some(range) = copy.relation.as_ref() {
            self.range_name(range.alias.as_ref(), &range.relname);
            self.relation(Some(range), !copy.is_from, copy.is_from);
            if !copy.is_from {
                self.effects.add(Effects::READ);
                let span = self.span(range.location);
                if copy.attlist.is_empty() {
                    self.push_use(Some(&range.relname), None, How::Copied, span);
                }
                for name in copy.attlist.iter().filter_map(names::text) {
                    self.push_use(Some(&range.relname), Some(name), How::Copied, span);
                }
            }
        }
        if let Some(query) = copy.query.as_deref() {
            self.query(query, Place::Copied);
        }
        self.optional(copy.where_clause.as_deref(), How::Shaping);
    }
}
