//! Data definition: which relations a statement defines, changes or drops, and what its expressions use.
//!
//! Relations that are defined on count as written, so that rules on objects reach them. Clauses that name no relation
//! and hold no expression are not looked at: the effect alone says what they are.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableStmt, CreateFunctionStmt, CreateStatsStmt, CreateStmt, CreateTrigStmt, DropStmt, GrantStmt, IndexStmt,
    Node, ObjectType, RangeVar, RuleStmt, ViewStmt,
};

use super::{Place, Walker, names};
use crate::facts::{Effects, How, RelationUse, Span};

impl<'a> Walker<'a> {
    pub(super) fn on_relation(&mut self, effects: Effects, range: Option<&'a RangeVar>) {
        self.effects.add(effects);
        self.relation(range, false, true);
    }

    pub(super) fn range_list(&mut self, list: &'a [Node], read: bool, written: bool) {
        for node in list {
            match node.node.as_ref() {
                Some(NodeEnum::RangeVar(range)) => self.relation(Some(range), read, written),
                _ => self.unknown(),
            }
        }
    }

    /// A relation given as a dotted name without a location.
    fn dotted(&mut self, name: &[Node]) {
        let (schema, name) = names::qualified(name);
        if !name.is_empty() {
            let schema = schema.map(str::to_owned);
            let span = Span::default();
            self.relations.push(RelationUse { schema, name: name.to_owned(), written: true, read: false, span });
        }
    }

    /// The object of COMMENT, DROP, RENAME …: the relation it is or belongs to.
    pub(super) fn object(&mut self, kind: ObjectType, node: Option<&'a Node>) {
        let Some(node) = node else { return };
        let name = names::items(node);
        match kind {
            ObjectType::ObjectTable
            | ObjectType::ObjectView
            | ObjectType::ObjectMatview
            | ObjectType::ObjectForeignTable
            | ObjectType::ObjectSequence
            | ObjectType::ObjectIndex => self.dotted(name),
            ObjectType::ObjectColumn
            | ObjectType::ObjectTrigger
            | ObjectType::ObjectRule
            | ObjectType::ObjectPolicy
            | ObjectType::ObjectTabconstraint => {
                if let Some((_, relation)) = name.split_last() {
                    self.dotted(relation);
                }
            }
            _ => {}
        }
    }

    pub(super) fn drop(&mut self, drop: &'a DropStmt) {
        self.effects.add(Effects::DROP);
        let kind = drop.remove_type();
        if matches!(
            kind,
            ObjectType::ObjectFdw
                | ObjectType::ObjectForeignServer
                | ObjectType::ObjectPublication
                | ObjectType::ObjectAccessMethod
                | ObjectType::ObjectForeignTable
        ) {
            self.effects.add(Effects::SERVER);
        }
        for object in &drop.objects {
            self.object(kind, Some(object));
        }
    }

    pub(super) fn grant(&mut self, grant: &'a GrantStmt) {
        self.effects.add(Effects::GRANT);
        for object in &grant.objects {
            if let Some(NodeEnum::RangeVar(range)) = object.node.as_ref() {
                self.relation(Some(range), false, true);
            }
        }
    }

    pub(super) fn create_table(&mut self, create: &'a CreateStmt) {
        self.on_relation(Effects::CREATE, create.relation.as_ref());
        self.range_list(&create.inh_relations, true, false);
        self.definitions(&create.table_elts);
        self.definitions(&create.constraints);
        for part in create.partspec.iter().flat_map(|p| &p.part_params) {
            self.definition(part);
        }
        if let Some(bound) = create.partbound.as_ref() {
            for list in [&bound.listdatums, &bound.lowerdatums, &bound.upperdatums] {
                self.definitions(list);
            }
        }
    }

    pub(super) fn definitions(&mut self, list: &'a [Node]) {
        for node in list {
            self.definition(node);
        }
    }

    /// A part of a definition. Parts without relations and expressions are left out on purpose.
    pub(super) fn definition(&mut self, node: &'a Node) {
        match node.node.as_ref() {
            Some(NodeEnum::ColumnDef(column)) => {
                self.optional(column.raw_default.as_deref(), How::Expression);
                self.definitions(&column.constraints);
            }
            Some(NodeEnum::Constraint(constraint)) => {
                self.optional(constraint.raw_expr.as_deref(), How::Expression);
                self.optional(constraint.where_clause.as_deref(), How::Shaping);
                self.relation(constraint.pktable.as_ref(), true, false);
                self.named_columns(&constraint.keys, How::Expression, constraint.location);
                for pair in &constraint.exclusions {
                    self.definitions(names::items(pair));
                }
            }
            Some(NodeEnum::IndexElem(element)) => self.index_element(element, How::Expression, -1),
            Some(NodeEnum::PartitionElem(element)) => self.optional(element.expr.as_deref(), How::Expression),
            Some(NodeEnum::PartitionRangeDatum(datum)) => self.optional(datum.value.as_deref(), How::Expression),
            Some(NodeEnum::TableLikeClause(like)) => self.relation(like.relation.as_ref(), true, false),
            Some(NodeEnum::RangeVar(range)) => self.relation(Some(range), true, true),
            Some(NodeEnum::PartitionCmd(command)) => self.relation(command.name.as_ref(), true, true),
            Some(NodeEnum::StatsElem(element)) => {
                if !element.name.is_empty() {
                    self.push_use(None, Some(&element.name), How::Expression, Span::default());
                }
                self.optional(element.expr.as_deref(), How::Expression);
            }
            Some(NodeEnum::PublicationObjSpec(object)) => {
                if let Some(table) = object.pubtable.as_deref() {
                    self.relation(table.relation.as_ref(), true, true);
                    self.optional(table.where_clause.as_deref(), How::Shaping);
                }
            }
            Some(
                NodeEnum::AConst(_)
                | NodeEnum::FuncCall(_)
                | NodeEnum::AExpr(_)
                | NodeEnum::ColumnRef(_)
                | NodeEnum::TypeCast(_)
                | NodeEnum::BoolExpr(_)
                | NodeEnum::CaseExpr(_)
                | NodeEnum::CoalesceExpr(_)
                | NodeEnum::SqlvalueFunction(_)
                | NodeEnum::AArrayExpr(_)
                | NodeEnum::AIndirection(_)
                | NodeEnum::CollateClause(_)
                | NodeEnum::MinMaxExpr(_)
                | NodeEnum::NullTest(_)
                | NodeEnum::BooleanTest(_)
                | NodeEnum::RowExpr(_)
                | NodeEnum::SubLink(_)
                | NodeEnum::XmlExpr(_)
                | NodeEnum::JsonFuncExpr(_),
            ) => self.expression(node, How::Expression),
            Some(
                NodeEnum::String(_)
                | NodeEnum::Integer(_)
                | NodeEnum::DefElem(_)
                | NodeEnum::List(_)
                | NodeEnum::ReplicaIdentityStmt(_)
                | NodeEnum::RoleSpec(_)
                | NodeEnum::AtalterConstraint(_)
                | NodeEnum::TypeName(_)
                | NodeEnum::ObjectWithArgs(_),
            ) => {}
            _ => self.unknown(),
        }
    }

    pub(super) fn alter_table(&mut self, alter: &'a AlterTableStmt) {
        self.on_relation(Effects::ALTER, alter.relation.as_ref());
        for command in &alter.cmds {
            match command.node.as_ref() {
                Some(NodeEnum::AlterTableCmd(command)) => {
                    if let Some(definition) = command.def.as_deref() {
                        self.definition(definition);
                    }
                }
                _ => self.unknown(),
            }
        }
    }

    pub(super) fn index(&mut self, index: &'a IndexStmt) {
        self.on_relation(Effects::CREATE, index.relation.as_ref());
        self.definitions(&index.index_params);
        self.definitions(&index.index_including_params);
        self.optional(index.where_clause.as_deref(), How::Shaping);
    }

    pub(super) fn statistics(&mut self, statistics: &'a CreateStatsStmt) {
        self.effects.add(Effects::CREATE);
        self.definitions(&statistics.exprs);
        self.range_list(&statistics.relations, true, true);
    }

    pub(super) fn view(&mut self, view: &'a ViewStmt) {
        self.on_relation(Effects::CREATE_VIEW, view.view.as_ref());
        match view.query.as_deref() {
            Some(query) => self.query(query, Place::Copied),
            None => self.unknown(),
        }
    }

    pub(super) fn rule(&mut self, rule: &'a RuleStmt) {
        self.on_relation(Effects::CREATE_VIEW, rule.relation.as_ref());
        self.optional(rule.where_clause.as_deref(), How::Shaping);
        self.ranges.extend(["old", "new"]);
        for action in &rule.actions {
            self.inner(action);
        }
    }

    pub(super) fn trigger(&mut self, trigger: &'a CreateTrigStmt) {
        self.on_relation(Effects::CREATE_CODE, trigger.relation.as_ref());
        self.relation(trigger.constrrel.as_ref(), true, false);
        self.named_function(&trigger.funcname, -1);
        self.ranges.extend(["old", "new"]);
        self.optional(trigger.when_clause.as_deref(), How::Shaping);
    }

    pub(super) fn create_function(&mut self, function: &'a CreateFunctionStmt) {
        self.effects.add(Effects::CREATE_CODE);
        for parameter in &function.parameters {
            if let Some(NodeEnum::FunctionParameter(parameter)) = parameter.node.as_ref() {
                self.optional(parameter.defexpr.as_deref(), How::Expression);
            }
        }
        if let Some(body) = function.sql_body.as_deref() {
            self.inner(body);
        }
    }

    /// A statement inside a definition: its rows go into an object.
    pub(super) fn inner(&mut self, node: &'a Node) {
        match node.node.as_ref() {
            Some(NodeEnum::List(list)) => {
                for item in &list.items {
                    self.inner(item);
                }
            }
            Some(NodeEnum::ReturnStmt(statement)) => self.optional(statement.returnval.as_deref(), How::Copied),
            Some(
                NodeEnum::SelectStmt(_)
                | NodeEnum::InsertStmt(_)
                | NodeEnum::UpdateStmt(_)
                | NodeEnum::DeleteStmt(_)
                | NodeEnum::MergeStmt(_),
            ) => self.query(node, Place::Copied),
            Some(statement) => self.dispatch(statement),
            None => {}
        }
    }
}
