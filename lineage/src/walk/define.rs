//! Data definition: which relations a statement defines, changes or drops, and what its expressions use.
//!
//! Relations that are defined on count as written, so that rules on objects reach them. Clauses that name no relation
//! and hold no expression are not looked at: the effect alone says what they are.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AlterTableStmt, CreateFunctionStmt, CreateStatsStmt, CreateStmt, CreateTrigStmt, DropBehavior, DropStmt, GrantStmt,
    GrantTargetType, IndexStmt, Node, ObjectType, RangeVar, RuleStmt, SelectStmt, ViewStmt,
};

use super::{At, Walker, names};
use crate::facts::{Effects, ObjectName, RelationUse, Span};
use crate::graph::{FromKind, Store, What};

impl<'a> Walker<'a> {
    pub(super) fn on_relation(&mut self, effects: Effects, range: Option<&'a RangeVar>) {
        self.effects.add(effects);
        let _ = self.relation(range, false, true);
    }

    /// Like [`Walker::on_relation`]; the expressions of `body` see the relation's columns.
    fn over_relation(
        &mut self,
        effects: Effects,
        range: Option<&'a RangeVar>,
        read: bool,
        body: impl FnOnce(&mut Self),
    ) {
        self.effects.add(effects);
        let query = self.open(Some(self.scope), Span::default());
        let relation = self.changed(range, read, query);
        for alias in ["old", "new"] {
            self.hidden(alias, relation.map_or(FromKind::Computed, FromKind::Relation), query);
        }
        self.within(query, body);
    }

    pub(super) fn range_list(&mut self, list: &'a [Node], read: bool, written: bool) {
        for node in list {
            match node.node.as_ref() {
                Some(NodeEnum::RangeVar(range)) => drop(self.relation(Some(range), read, written)),
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
            self.relations.push(RelationUse {
                schema,
                name: name.to_owned(),
                written: true,
                read: false,
                temporary: false,
                span,
            });
        }
    }

    /// Whatever there is in a schema, or in any: what it is, nobody says.
    pub(super) fn everything(&mut self, schema: Option<&str>) {
        let (schema, name, span) = (schema.map(str::to_owned), RelationUse::EVERYTHING.to_owned(), Span::default());
        self.relations.push(RelationUse { schema, name, written: true, read: false, temporary: false, span });
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
            ObjectType::ObjectSchema => self.everything(name.last().and_then(names::text)),
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
        self.cascade |= drop.behavior() == DropBehavior::DropCascade;
        for object in &drop.objects {
            let before = self.relations.len();
            self.object(kind, Some(object));
            if self.relations.len() == before {
                self.dropped(kind, object);
            }
        }
        // Its own objects go with it, CASCADE or not.
        self.cascade |= kind == ObjectType::ObjectExtension;
    }

    /// An object that is no relation, and belongs to none.
    fn dropped(&mut self, kind: ObjectType, object: &Node) {
        let name = match object.node.as_ref() {
            Some(NodeEnum::ObjectWithArgs(object)) => object.objname.as_slice(),
            Some(NodeEnum::TypeName(name)) => name.names.as_slice(),
            // Its access method comes first.
            Some(NodeEnum::List(list)) if matches!(kind, ObjectType::ObjectOpclass | ObjectType::ObjectOpfamily) => {
                list.items.get(1..).unwrap_or(&[])
            }
            _ => names::items(object),
        };
        let (schema, name) = names::qualified(name);
        let name = if name.is_empty() { RelationUse::EVERYTHING } else { name };
        self.drops.push(ObjectName { schema: schema.map(str::to_owned), name: name.to_owned() });
    }

    pub(super) fn grant(&mut self, grant: &'a GrantStmt) {
        self.effects.add(Effects::GRANT);
        let whole = grant.targtype() == GrantTargetType::AclTargetAllInSchema;
        for object in &grant.objects {
            match object.node.as_ref() {
                Some(NodeEnum::RangeVar(range)) => drop(self.relation(Some(range), false, true)),
                Some(NodeEnum::String(schema)) if whole => self.everything(Some(&schema.sval)),
                _ => {}
            }
        }
    }

    pub(super) fn create_table(&mut self, create: &'a CreateStmt) {
        self.on_relation(Effects::CREATE, create.relation.as_ref());
        self.range_list(&create.inh_relations, true, false);
        // The columns that its own expressions name are its own, and nothing is in them yet.
        let query = self.open(Some(self.scope), Span::default());
        let alias = create.relation.as_ref().map_or("", |r| r.relname.as_str());
        self.hidden(alias, FromKind::Computed, query);
        if let Some(range) = self.graph.ranges.last_mut() {
            range.hidden = false;
        }
        self.within(query, |walker| {
            walker.definitions(&create.table_elts);
            walker.definitions(&create.constraints);
            for part in create.partspec.iter().flat_map(|p| &p.part_params) {
                walker.definition(part);
            }
            if let Some(bound) = create.partbound.as_ref() {
                for list in [&bound.listdatums, &bound.lowerdatums, &bound.upperdatums] {
                    walker.definitions(list);
                }
            }
        });
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
                self.optional(column.raw_default.as_deref(), At::EVALUATED);
                self.definitions(&column.constraints);
            }
            Some(NodeEnum::Constraint(constraint)) => {
                self.optional(constraint.raw_expr.as_deref(), At::EVALUATED);
                self.optional(constraint.where_clause.as_deref(), At::SHAPING);
                let _ = self.relation(constraint.pktable.as_ref(), true, false);
                self.named(&constraint.keys, constraint.location);
                for pair in &constraint.exclusions {
                    self.definitions(names::items(pair));
                }
            }
            Some(NodeEnum::IndexElem(element)) => self.index_element(element, At::EVALUATED, -1),
            Some(NodeEnum::PartitionElem(element)) => self.optional(element.expr.as_deref(), At::EVALUATED),
            Some(NodeEnum::PartitionRangeDatum(datum)) => self.optional(datum.value.as_deref(), At::EVALUATED),
            Some(NodeEnum::TableLikeClause(like)) => {
                // Defaults and generated columns may come with it, and they may be calls of anything.
                const DEFAULTS_OR_GENERATED: u32 = 1 << 3 | 1 << 4;
                if like.options & DEFAULTS_OR_GENERATED == 0 {
                    let _ = self.relation(like.relation.as_ref(), true, false);
                    return;
                }
                let query = self.open(Some(self.scope), Span::default());
                let _ = self.changed(like.relation.as_ref(), true, query);
                if let Some(relation) = self.relations.last_mut() {
                    relation.written = false;
                }
                let span = self.span(like.relation.as_ref().map_or(-1, |r| r.location));
                self.within(query, |walker| walker.push(What::Row(None), At::EVALUATED, span));
                self.relations.iter_mut().for_each(|r| r.temporary = false);
            }
            Some(NodeEnum::RangeVar(range)) => drop(self.relation(Some(range), true, true)),
            Some(NodeEnum::PartitionCmd(command)) => drop(self.relation(command.name.as_ref(), true, true)),
            Some(NodeEnum::StatsElem(element)) => {
                if !element.name.is_empty() {
                    self.push(What::Column(None, element.name.clone()), At::EVALUATED, Span::default());
                }
                self.optional(element.expr.as_deref(), At::EVALUATED);
            }
            Some(NodeEnum::PublicationObjSpec(object)) => {
                if let Some(table) = object.pubtable.as_deref() {
                    self.over_relation(Effects::NONE, table.relation.as_ref(), true, |walker| {
                        walker.optional(table.where_clause.as_deref(), At::SHAPING);
                    });
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
            ) => self.expression(node, At::EVALUATED),
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
        self.over_relation(Effects::ALTER, alter.relation.as_ref(), false, |walker| {
            for command in &alter.cmds {
                match command.node.as_ref() {
                    Some(NodeEnum::AlterTableCmd(command)) => {
                        walker.cascade |= command.behavior() == DropBehavior::DropCascade;
                        if let Some(definition) = command.def.as_deref() {
                            walker.definition(definition);
                        }
                    }
                    _ => walker.unknown(),
                }
            }
        });
    }

    pub(super) fn index(&mut self, index: &'a IndexStmt) {
        self.over_relation(Effects::CREATE, index.relation.as_ref(), false, |walker| {
            walker.definitions(&index.index_params);
            walker.definitions(&index.index_including_params);
            walker.optional(index.where_clause.as_deref(), At::SHAPING);
        });
    }

    pub(super) fn statistics(&mut self, statistics: &'a CreateStatsStmt) {
        let relation = match statistics.relations.as_slice() {
            [only] => match only.node.as_ref() {
                Some(NodeEnum::RangeVar(range)) => Some(range),
                _ => None,
            },
            _ => None,
        };
        if relation.is_none() {
            self.unknown();
        }
        self.over_relation(Effects::CREATE, relation, true, |walker| walker.definitions(&statistics.exprs));
    }

    pub(super) fn view(&mut self, view: &'a ViewStmt) {
        self.effects.add(Effects::CREATE_VIEW);
        let relation = self.relation(view.view.as_ref(), false, true);
        let Some(query) = view.query.as_deref() else { return self.unknown() };
        self.writable |= matches!(query.node.as_ref(), Some(NodeEnum::SelectStmt(select)) if is_writable(select));
        if let Some(query) = self.query(query, Some(self.scope)) {
            let columns = view.aliases.iter().filter_map(names::text).map(str::to_owned).collect();
            self.graph.stores.push(Store { query, relation, columns });
        }
    }

    pub(super) fn rule(&mut self, rule: &'a RuleStmt) {
        self.writable = true;
        self.over_relation(Effects::CREATE_VIEW, rule.relation.as_ref(), false, |walker| {
            walker.optional(rule.where_clause.as_deref(), At::SHAPING);
            for action in &rule.actions {
                walker.inner(action);
            }
        });
    }

    pub(super) fn trigger(&mut self, trigger: &'a CreateTrigStmt) {
        let _ = self.relation(trigger.constrrel.as_ref(), true, false);
        self.named_function(&trigger.funcname, -1);
        self.over_relation(Effects::CREATE_CODE, trigger.relation.as_ref(), false, |walker| {
            walker.optional(trigger.when_clause.as_deref(), At::SHAPING);
        });
    }

    /// Columns given by name alone.
    fn named(&mut self, list: &'a [Node], location: i32) {
        let span = self.span(location);
        for name in list.iter().filter_map(names::text) {
            self.push(What::Column(None, name.to_owned()), At::EVALUATED, span);
        }
    }

    pub(super) fn create_function(&mut self, function: &'a CreateFunctionStmt) {
        self.effects.add(Effects::CREATE_CODE);
        for parameter in &function.parameters {
            if let Some(NodeEnum::FunctionParameter(parameter)) = parameter.node.as_ref() {
                self.optional(parameter.defexpr.as_deref(), At::EVALUATED);
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
            Some(NodeEnum::ReturnStmt(statement)) => self.optional(statement.returnval.as_deref(), At::STORED),
            Some(
                NodeEnum::SelectStmt(_)
                | NodeEnum::InsertStmt(_)
                | NodeEnum::UpdateStmt(_)
                | NodeEnum::DeleteStmt(_)
                | NodeEnum::MergeStmt(_),
            ) => {
                if let Some(query) = self.query(node, Some(self.scope)) {
                    self.graph.stores.push(Store { query, relation: None, columns: Vec::new() });
                }
            }
            Some(statement) => self.dispatch(statement),
            None => {}
        }
    }
}

/// A view of this query may be one whose rows can be written (manual, CREATE VIEW, "Updatable Views"). Functions among its
/// outputs can make it one that is not; that is not looked at.
fn is_writable(select: &SelectStmt) -> bool {
    let one = matches!(select.from_clause.as_slice(), [only] if matches!(only.node, Some(NodeEnum::RangeVar(_))));
    let grouped = !select.group_clause.is_empty() || select.having_clause.is_some();
    let cut = select.limit_count.is_some() || select.limit_offset.is_some();
    one && !(grouped || cut) && select.distinct_clause.is_empty() && select.with_clause.is_none()
}
