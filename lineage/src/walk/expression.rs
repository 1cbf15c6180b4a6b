//! Expressions: every column reference inside one becomes a leaf.
//!
//! `at` says what the expression is for and what already happens around it; operators add what they do. Subqueries,
//! windows and aggregate clauses shape. A node kind that is not listed makes the statement unknown.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    AExprKind, AIndirection, BoolExprType, FuncCall, JsonAggConstructor, JsonBehavior, JsonKeyValue, JsonValueExpr,
    Node, SubLink, SubLinkType, WindowDef, a_const,
};

use super::query::attribute_call;
use super::{At, Walker, names};
use crate::facts::FunctionStanding;
use crate::functions::{self, total};
use crate::graph::{Path, Wants, What};

impl<'a> Walker<'a> {
    pub(super) fn expression(&mut self, node: &'a Node, at: At) {
        let Some(kind) = node.node.as_ref() else { return self.unknown() };
        let inner = at.then(Path::Computed);
        match kind {
            NodeEnum::AConst(_)
            | NodeEnum::ParamRef(_)
            | NodeEnum::SetToDefault(_)
            | NodeEnum::SqlvalueFunction(_)
            | NodeEnum::MergeSupportFunc(_)
            | NodeEnum::Integer(_)
            | NodeEnum::Float(_)
            | NodeEnum::Boolean(_)
            | NodeEnum::String(_)
            | NodeEnum::BitString(_) => {}
            NodeEnum::CurrentOfExpr(_) => self.of_cursor = true,
            NodeEnum::ColumnRef(reference) => self.column(&reference.fields, reference.location, at),
            NodeEnum::List(list) => self.expressions(&list.items, at),
            NodeEnum::AExpr(operation) => {
                self.operator(&operation.name, operation.location);
                let at = match names::qualified(&operation.name) {
                    (None, "||") if operation.kind() == AExprKind::AexprOp => {
                        at.then(total::join([operation.lexpr.as_deref(), operation.rexpr.as_deref()]))
                    }
                    _ => at.then(Path::Computed),
                };
                self.optional(operation.lexpr.as_deref(), at);
                self.optional(operation.rexpr.as_deref(), at);
            }
            NodeEnum::BoolExpr(logic) => {
                if logic.boolop() == BoolExprType::Undefined {
                    self.unknown();
                }
                self.expressions(&logic.args, at.then(Path::Computed));
            }
            NodeEnum::AIndirection(indirection) => self.indirection(indirection, at),
            NodeEnum::AIndices(indices) => {
                self.optional(indices.lidx.as_deref(), inner);
                self.optional(indices.uidx.as_deref(), inner);
            }
            NodeEnum::AArrayExpr(array) => self.expressions(&array.elements, inner),
            NodeEnum::ResTarget(target) => {
                self.expressions(&target.indirection, at);
                self.optional(target.val.as_deref(), at);
            }
            NodeEnum::MultiAssignRef(reference) => {
                // The source is repeated for each target.
                if reference.colno <= 1 {
                    self.optional(reference.source.as_deref(), at);
                }
            }
            NodeEnum::FuncCall(call) => self.call(call, at),
            NodeEnum::NamedArgExpr(argument) => self.optional(argument.arg.as_deref(), at),
            NodeEnum::SubLink(link) => self.sublink(link, at),
            NodeEnum::TypeCast(cast) => {
                let path = cast.type_name.as_ref().map_or(Path::Computed, total::cast);
                self.optional(cast.arg.as_deref(), at.then(path));
            }
            NodeEnum::CollateClause(collate) => {
                self.optional(collate.arg.as_deref(), at.then(Path::Total(Wants::Text)));
            }
            NodeEnum::CaseExpr(case) => {
                self.optional(case.arg.as_deref(), inner);
                self.expressions(&case.args, inner);
                self.optional(case.defresult.as_deref(), inner);
            }
            NodeEnum::CaseWhen(when) => {
                self.optional(when.expr.as_deref(), inner);
                self.optional(when.result.as_deref(), inner);
            }
            NodeEnum::CoalesceExpr(coalesce) => {
                self.expressions(&coalesce.args, at.then(Path::Total(Wants::Anything)));
            }
            NodeEnum::MinMaxExpr(extreme) => self.expressions(&extreme.args, inner),
            // Whether a value is there is what counts say as well.
            NodeEnum::NullTest(test) => self.optional(test.arg.as_deref(), at.then(Path::Counted)),
            NodeEnum::BooleanTest(test) => self.optional(test.arg.as_deref(), inner),
            NodeEnum::RowExpr(row) => self.expressions(&row.args, inner),
            NodeEnum::GroupingFunc(grouping) => self.expressions(&grouping.args, inner),
            NodeEnum::SortBy(sort) => {
                self.operator(&sort.use_op, sort.location);
                self.optional(sort.node.as_deref(), inner);
            }
            NodeEnum::XmlExpr(xml) => {
                self.expressions(&xml.named_args, inner);
                self.expressions(&xml.args, inner);
            }
            NodeEnum::XmlSerialize(xml) => self.optional(xml.expr.as_deref(), inner),
            NodeEnum::JsonValueExpr(value) => self.json_value(Some(value), inner),
            NodeEnum::JsonParseExpr(json) => self.json_value(json.expr.as_deref(), inner),
            NodeEnum::JsonScalarExpr(json) => self.optional(json.expr.as_deref(), inner),
            NodeEnum::JsonSerializeExpr(json) => self.json_value(json.expr.as_deref(), inner),
            NodeEnum::JsonIsPredicate(json) => self.optional(json.expr.as_deref(), inner),
            NodeEnum::JsonObjectConstructor(json) => self.expressions(&json.exprs, inner),
            NodeEnum::JsonArrayConstructor(json) => self.expressions(&json.exprs, inner),
            NodeEnum::JsonKeyValue(pair) => self.json_pair(pair, inner),
            NodeEnum::JsonArgument(argument) => self.json_value(argument.val.as_deref(), inner),
            NodeEnum::JsonObjectAgg(json) => {
                if let Some(pair) = json.arg.as_deref() {
                    self.json_pair(pair, inner);
                }
                self.json_aggregate(json.constructor.as_deref());
            }
            NodeEnum::JsonArrayAgg(json) => {
                self.json_value(json.arg.as_deref(), inner);
                self.json_aggregate(json.constructor.as_deref());
            }
            NodeEnum::JsonFuncExpr(json) => {
                self.json_value(json.context_item.as_deref(), inner);
                self.optional(json.pathspec.as_deref(), inner);
                self.expressions(&json.passing, inner);
                self.json_behavior(json.on_empty.as_deref(), inner);
                self.json_behavior(json.on_error.as_deref(), inner);
            }
            _ => self.unknown(),
        }
    }

    pub(super) fn expressions(&mut self, list: &'a [Node], at: At) {
        for node in list {
            self.expression(node, at);
        }
    }

    pub(super) fn optional(&mut self, node: Option<&'a Node>, at: At) {
        if let Some(node) = node {
            self.expression(node, at);
        }
    }

    fn column(&mut self, fields: &'a [Node], location: i32, at: At) {
        let span = self.span(location);
        let (qualifier, column) = names::column(fields);
        match column {
            None => self.push(What::Row(qualifier), at.then(Path::Computed), span),
            Some(column) => {
                if attribute_call(qualifier.is_some(), column) {
                    self.push(What::Row(qualifier.clone()), at.then(Path::Computed), span);
                }
                self.push(What::Column(qualifier, column.to_owned()), at, span);
            }
        }
    }

    /// Subscripts and fields.
    fn indirection(&mut self, indirection: &'a AIndirection, at: At) {
        for step in &indirection.indirection {
            if matches!(step.node, Some(NodeEnum::AIndices(_))) {
                self.expression(step, at.then(Path::Computed));
            }
        }
        let Some(argument) = indirection.arg.as_deref() else { return self.unknown() };
        let field = match indirection.indirection.as_slice() {
            [only] => names::text(only),
            _ => None,
        };
        if let (Some(field), Some(NodeEnum::ColumnRef(reference))) = (field, argument.node.as_ref())
            && let [only] = reference.fields.as_slice()
            && let Some(base) = names::text(only)
        {
            let span = self.span(reference.location);
            self.push(What::Field(base.to_owned(), field.to_owned()), at, span);
            return;
        }
        self.expression(argument, at.then(Path::Computed));
    }

    pub(super) fn call(&mut self, call: &'a FuncCall, at: At) {
        let constant = call.args.iter().all(is_constant);
        self.function(&call.funcname, functions::standing_of_call(&call.funcname, constant), call.location);
        self.setting(call);
        let path = total::call(call);
        for (index, argument) in call.args.iter().enumerate() {
            self.expression(argument, at.then(path.of(index)));
        }
        // Within a group the order is the argument: `mode() WITHIN GROUP (ORDER BY x)`.
        self.expressions(&call.agg_order, At::SHAPING);
        self.optional(call.agg_filter.as_deref(), At::SHAPING);
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
        self.expressions(&window.partition_clause, At::SHAPING);
        self.expressions(&window.order_clause, At::SHAPING);
        self.optional(window.start_offset.as_deref(), At::SHAPING);
        self.optional(window.end_offset.as_deref(), At::SHAPING);
    }

    fn sublink(&mut self, link: &'a SubLink, at: At) {
        let inner = at.then(Path::Computed);
        self.optional(link.testexpr.as_deref(), inner);
        self.operator(&link.oper_name, link.location);
        let Some(query) = link.subselect.as_deref() else { return self.unknown() };
        let Some(query) = self.query(query, Some(self.scope)) else { return };
        let span = self.span(link.location);
        match link.sub_link_type() {
            SubLinkType::ExistsSublink => {}
            SubLinkType::ExprSublink => self.push(What::Query(query), at, span),
            SubLinkType::AnySublink
            | SubLinkType::AllSublink
            | SubLinkType::ArraySublink
            | SubLinkType::MultiexprSublink
            | SubLinkType::RowcompareSublink => self.push(What::Query(query), inner, span),
            SubLinkType::CteSublink | SubLinkType::Undefined => self.unknown(),
        }
    }

    pub(super) fn json_value(&mut self, value: Option<&'a JsonValueExpr>, at: At) {
        if let Some(value) = value {
            self.optional(value.raw_expr.as_deref(), at);
            self.optional(value.formatted_expr.as_deref(), at);
        }
    }

    fn json_pair(&mut self, pair: &'a JsonKeyValue, at: At) {
        self.optional(pair.key.as_deref(), at);
        self.json_value(pair.value.as_deref(), at);
    }

    fn json_aggregate(&mut self, constructor: Option<&'a JsonAggConstructor>) {
        if let Some(constructor) = constructor {
            self.optional(constructor.agg_filter.as_deref(), At::SHAPING);
            self.expressions(&constructor.agg_order, At::SHAPING);
            if let Some(window) = constructor.over.as_deref() {
                self.window(window);
            }
        }
    }

    pub(super) fn json_behavior(&mut self, behavior: Option<&'a JsonBehavior>, at: At) {
        if let Some(behavior) = behavior {
            self.optional(behavior.expr.as_deref(), at);
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
pub(super) fn is_constant(node: &Node) -> bool {
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
