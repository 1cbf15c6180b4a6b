//! Expressions: every column reference inside one is a use.
//!
//! `how` is the use of the place the expression stands in; subqueries, windows and aggregate clauses add shaping uses.
//! A node kind that is not listed makes the statement unknown.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AIndirection, BoolExprType, FuncCall, JsonAggConstructor, JsonBehavior, JsonKeyValue, JsonValueExpr, Node, SubLink,
    SubLinkType, WindowDef, a_const,
};

use super::{Place, Walker, names};
use crate::facts::{FunctionStanding, How};
use crate::functions;

impl<'a> Walker<'a> {
    pub(super) fn expression(&mut self, node: &'a Node, how: How) {
        let Some(kind) = node.node.as_ref() else { return self.unknown() };
        match kind {
            NodeEnum::AConst(_)
            | NodeEnum::ParamRef(_)
            | NodeEnum::SetToDefault(_)
            | NodeEnum::SqlvalueFunction(_)
            | NodeEnum::CurrentOfExpr(_)
            | NodeEnum::MergeSupportFunc(_)
            | NodeEnum::Integer(_)
            | NodeEnum::Float(_)
            | NodeEnum::Boolean(_)
            | NodeEnum::String(_)
            | NodeEnum::BitString(_) => {}
            NodeEnum::ColumnRef(reference) => self.column(&reference.fields, reference.location, how),
            NodeEnum::List(list) => self.expressions(&list.items, how),
            NodeEnum::AExpr(operation) => {
                self.operator(&operation.name, operation.location);
                self.optional(operation.lexpr.as_deref(), how);
                self.optional(operation.rexpr.as_deref(), how);
            }
            NodeEnum::BoolExpr(logic) => {
                if logic.boolop() == BoolExprType::Undefined {
                    self.unknown();
                }
                self.expressions(&logic.args, how);
            }
            NodeEnum::AIndirection(indirection) => self.indirection(indirection, how),
            NodeEnum::AIndices(indices) => {
                self.optional(indices.lidx.as_deref(), how);
                self.optional(indices.uidx.as_deref(), how);
            }
            NodeEnum::AArrayExpr(array) => self.expressions(&array.elements, how),
            NodeEnum::ResTarget(target) => {
                self.expressions(&target.indirection, how);
                self.optional(target.val.as_deref(), how);
            }
            NodeEnum::MultiAssignRef(reference) => {
                // The source is repeated for each target.
                if reference.colno <= 1 {
                    self.optional(reference.source.as_deref(), how);
                }
            }
            NodeEnum::FuncCall(call) => self.call(call, how),
            NodeEnum::NamedArgExpr(argument) => self.optional(argument.arg.as_deref(), how),
            NodeEnum::SubLink(link) => self.sublink(link, how),
            NodeEnum::TypeCast(cast) => self.optional(cast.arg.as_deref(), how),
            NodeEnum::CollateClause(collate) => self.optional(collate.arg.as_deref(), how),
            NodeEnum::CaseExpr(case) => {
                self.optional(case.arg.as_deref(), how);
                self.expressions(&case.args, how);
                self.optional(case.defresult.as_deref(), how);
            }
            NodeEnum::CaseWhen(when) => {
                self.optional(when.expr.as_deref(), how);
                self.optional(when.result.as_deref(), how);
            }
            NodeEnum::CoalesceExpr(coalesce) => self.expressions(&coalesce.args, how),
            NodeEnum::MinMaxExpr(extreme) => self.expressions(&extreme.args, how),
            NodeEnum::NullTest(test) => self.optional(test.arg.as_deref(), how),
            NodeEnum::BooleanTest(test) => self.optional(test.arg.as_deref(), how),
            NodeEnum::RowExpr(row) => self.expressions(&row.args, how),
            NodeEnum::GroupingFunc(grouping) => self.expressions(&grouping.args, how),
            NodeEnum::SortBy(sort) => {
                self.operator(&sort.use_op, sort.location);
                self.optional(sort.node.as_deref(), how);
            }
            NodeEnum::XmlExpr(xml) => {
                self.expressions(&xml.named_args, how);
                self.expressions(&xml.args, how);
            }
            NodeEnum::XmlSerialize(xml) => self.optional(xml.expr.as_deref(), how),
            NodeEnum::JsonValueExpr(value) => self.json_value(Some(value), how),
            NodeEnum::JsonParseExpr(json) => self.json_value(json.expr.as_deref(), how),
            NodeEnum::JsonScalarExpr(json) => self.optional(json.expr.as_deref(), how),
            NodeEnum::JsonSerializeExpr(json) => self.json_value(json.expr.as_deref(), how),
            NodeEnum::JsonIsPredicate(json) => self.optional(json.expr.as_deref(), how),
            NodeEnum::JsonObjectConstructor(json) => self.expressions(&json.exprs, how),
            NodeEnum::JsonArrayConstructor(json) => self.expressions(&json.exprs, how),
            NodeEnum::JsonKeyValue(pair) => self.json_pair(pair, how),
            NodeEnum::JsonArgument(argument) => self.json_value(argument.val.as_deref(), how),
            NodeEnum::JsonObjectAgg(json) => {
                if let Some(pair) = json.arg.as_deref() {
                    self.json_pair(pair, how);
                }
                self.json_aggregate(json.constructor.as_deref());
            }
            NodeEnum::JsonArrayAgg(json) => {
                self.json_value(json.arg.as_deref(), how);
                self.json_aggregate(json.constructor.as_deref());
            }
            NodeEnum::JsonFuncExpr(json) => {
                self.json_value(json.context_item.as_deref(), how);
                self.optional(json.pathspec.as_deref(), how);
                self.expressions(&json.passing, how);
                self.json_behavior(json.on_empty.as_deref(), how);
                self.json_behavior(json.on_error.as_deref(), how);
            }
            _ => self.unknown(),
        }
    }

    pub(super) fn expressions(&mut self, list: &'a [Node], how: How) {
        for node in list {
            self.expression(node, how);
        }
    }

    pub(super) fn optional(&mut self, node: Option<&'a Node>, how: How) {
        if let Some(node) = node {
            self.expression(node, how);
        }
    }

    fn column(&mut self, fields: &'a [Node], location: i32, how: How) {
        let span = self.span(location);
        let (qualifier, column) = names::column(fields);
        // `p.to_json` is `to_json(p)` when p has no such column.
        if let (Some(qualifier), Some(_)) = (qualifier, column.filter(|c| functions::takes_row(c))) {
            self.push_use(Some(qualifier), None, how, span);
        }
        self.push_use(qualifier, column, how, span);
    }

    /// Subscripts and fields. A field of a column may be a column of a whole row, so it counts as every column.
    fn indirection(&mut self, indirection: &'a AIndirection, how: How) {
        let fields = indirection.indirection.iter().any(|n| !matches!(n.node, Some(NodeEnum::AIndices(_))));
        for step in &indirection.indirection {
            if matches!(step.node, Some(NodeEnum::AIndices(_))) {
                self.expression(step, how);
            }
        }
        let Some(argument) = indirection.arg.as_deref() else { return self.unknown() };
        if let (true, Some(NodeEnum::ColumnRef(reference))) = (fields, argument.node.as_ref()) {
            let (_, last) = names::column(&reference.fields);
            let span = self.span(reference.location);
            self.push_use(last, None, how, span);
        }
        self.expression(argument, how);
    }

    pub(super) fn call(&mut self, call: &'a FuncCall, how: How) {
        let constant = call.args.iter().all(is_constant);
        self.function(&call.funcname, functions::standing_of_call(&call.funcname, constant), call.location);
        self.setting(call);
        self.expressions(&call.args, how);
        self.expressions(&call.agg_order, How::Shaping);
        self.optional(call.agg_filter.as_deref(), How::Shaping);
        if let Some(window) = call.over.as_deref() {
            self.window(window);
        }
    }

    /// `set_config('name', 'value' or $1, …)`. A parameter stands for itself as the value, NULL for the default.
    fn setting(&mut self, call: &'a FuncCall) {
        let (schema, name) = names::qualified(&call.funcname);
        if name != "set_config" || schema.is_some_and(|s| s != "pg_catalog") {
            return;
        }
        let [name, value, local] = call.args.as_slice() else { return };
        let Some(NodeEnum::AConst(name)) = name.node.as_ref() else { return };
        let Some(a_const::Val::Sval(name)) = name.val.as_ref() else { return };
        let value = match value.node.as_ref() {
            Some(NodeEnum::AConst(value)) => match value.val.as_ref() {
                Some(a_const::Val::Sval(text)) => Some(text.sval.clone()),
                None => None,
                Some(_) => return,
            },
            Some(NodeEnum::ParamRef(parameter)) => Some(format!("${}", parameter.number)),
            _ => return,
        };
        if is_constant(local) {
            self.settings.push((self.functions.len() - 1, &name.sval, value));
        }
    }

    pub(super) fn window(&mut self, window: &'a WindowDef) {
        self.expressions(&window.partition_clause, How::Shaping);
        self.expressions(&window.order_clause, How::Shaping);
        self.optional(window.start_offset.as_deref(), How::Shaping);
        self.optional(window.end_offset.as_deref(), How::Shaping);
    }

    fn sublink(&mut self, link: &'a SubLink, how: How) {
        self.optional(link.testexpr.as_deref(), how);
        self.operator(&link.oper_name, link.location);
        let place = match link.sub_link_type() {
            SubLinkType::ExistsSublink => Place::Ignored,
            SubLinkType::AnySublink | SubLinkType::AllSublink => Place::Value(How::Shaping),
            SubLinkType::ExprSublink
            | SubLinkType::ArraySublink
            | SubLinkType::MultiexprSublink
            | SubLinkType::RowcompareSublink => Place::Value(how),
            SubLinkType::CteSublink | SubLinkType::Undefined => return self.unknown(),
        };
        match link.subselect.as_deref() {
            Some(query) => self.query(query, place),
            None => self.unknown(),
        }
    }

    pub(super) fn json_value(&mut self, value: Option<&'a JsonValueExpr>, how: How) {
        if let Some(value) = value {
            self.optional(value.raw_expr.as_deref(), how);
            self.optional(value.formatted_expr.as_deref(), how);
        }
    }

    fn json_pair(&mut self, pair: &'a JsonKeyValue, how: How) {
        self.optional(pair.key.as_deref(), how);
        self.json_value(pair.value.as_deref(), how);
    }

    fn json_aggregate(&mut self, constructor: Option<&'a JsonAggConstructor>) {
        if let Some(constructor) = constructor {
            self.optional(constructor.agg_filter.as_deref(), How::Shaping);
            self.expressions(&constructor.agg_order, How::Shaping);
            if let Some(window) = constructor.over.as_deref() {
                self.window(window);
            }
        }
    }

    pub(super) fn json_behavior(&mut self, behavior: Option<&'a JsonBehavior>, how: How) {
        if let Some(behavior) = behavior {
            self.optional(behavior.expr.as_deref(), how);
        }
    }

    /// A trigger's or CALL's function, which is not part of an expression.
    pub(super) fn named_function(&mut self, name: &'a [Node], location: i32) {
        let (schema, last) = names::qualified(name);
        let standing = functions::standing(schema, last);
        self.function(name, Some(standing).filter(|s| *s != FunctionStanding::Known), location);
    }
}

/// A constant or parameter, cast or not.
fn is_constant(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::AConst(_) | NodeEnum::ParamRef(_)) => true,
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().is_some_and(is_constant),
        Some(NodeEnum::AExpr(operation)) => {
            operation.lexpr.is_none() && operation.rexpr.as_deref().is_some_and(is_constant)
        }
        Some(NodeEnum::FuncCall(call)) => {
            let (schema, name) = names::qualified(&call.funcname);
            functions::standing(schema, name) == FunctionStanding::Known && call.args.iter().all(is_constant)
        }
        _ => false,
    }
}
