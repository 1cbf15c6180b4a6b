//! Names of output columns, as the server chooses them when the text gives none.
//!
//! The server prefers a strong name (a column, a function) over a weak one (a type, `case`) and falls back to `?column?`.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    JsonExprOp, MinMaxOp, Node, ResTarget, SelectStmt, SqlValueFunctionOp, SubLinkType, XmlExprOp, a_const,
};

use super::names;

/// The name of a target that is not a star.
pub(super) fn name(target: &ResTarget) -> String {
    if target.name.is_empty() {
        figured(target.val.as_deref()).0.unwrap_or("?column?").to_owned()
    } else {
        target.name.clone()
    }
}

/// `(expression).*`
pub(super) fn expanded(value: &Node) -> bool {
    match value.node.as_ref() {
        Some(NodeEnum::AIndirection(indirection)) => {
            indirection.indirection.last().is_some_and(|n| matches!(n.node, Some(NodeEnum::AStar(_))))
        }
        _ => false,
    }
}

/// The name and whether it is a strong one.
fn figured(node: Option<&Node>) -> (Option<&str>, bool) {
    let Some(kind) = node.and_then(|n| n.node.as_ref()) else { return (None, false) };
    let strong = |name| (Some(name), true);
    match kind {
        NodeEnum::ColumnRef(reference) => {
            let name = reference.fields.iter().rev().find_map(names::text);
            (name, name.is_some())
        }
        NodeEnum::AIndirection(indirection) => match indirection.indirection.iter().rev().find_map(names::text) {
            Some(name) => strong(name),
            None => figured(indirection.arg.as_deref()),
        },
        NodeEnum::FuncCall(call) => strong(names::qualified(&call.funcname).1),
        NodeEnum::AExpr(operation) if operation.kind() == pg_query::protobuf::AExprKind::AexprNullif => {
            strong("nullif")
        }
        NodeEnum::TypeCast(cast) => {
            let inner = figured(cast.arg.as_deref());
            if inner.0.is_some() && inner.1 {
                return inner;
            }
            match cast.type_name.as_ref().and_then(|t| t.names.last()).and_then(names::text) {
                Some(name) => (Some(name), false),
                None => inner,
            }
        }
        NodeEnum::CollateClause(collate) => figured(collate.arg.as_deref()),
        NodeEnum::GroupingFunc(_) => strong("grouping"),
        NodeEnum::MergeSupportFunc(_) => strong("merge_action"),
        NodeEnum::SubLink(link) => match link.sub_link_type() {
            SubLinkType::ExistsSublink => strong("exists"),
            SubLinkType::ArraySublink => strong("array"),
            SubLinkType::ExprSublink => match link.subselect.as_deref().and_then(|n| n.node.as_ref()) {
                Some(NodeEnum::SelectStmt(select)) => subquery(select),
                _ => (None, false),
            },
            _ => (None, false),
        },
        NodeEnum::CaseExpr(case) => {
            let inner = figured(case.defresult.as_deref());
            if inner.0.is_some() && inner.1 { inner } else { (Some("case"), false) }
        }
        NodeEnum::AArrayExpr(_) => strong("array"),
        NodeEnum::RowExpr(_) => strong("row"),
        NodeEnum::CoalesceExpr(_) => strong("coalesce"),
        NodeEnum::MinMaxExpr(extreme) => match extreme.op() {
            MinMaxOp::IsGreatest => strong("greatest"),
            MinMaxOp::IsLeast => strong("least"),
            MinMaxOp::Undefined => (None, false),
        },
        NodeEnum::SqlvalueFunction(value) => value_function(value.op()),
        NodeEnum::XmlExpr(xml) => match xml.op() {
            XmlExprOp::IsXmlconcat => strong("xmlconcat"),
            XmlExprOp::IsXmlelement => strong("xmlelement"),
            XmlExprOp::IsXmlforest => strong("xmlforest"),
            XmlExprOp::IsXmlparse => strong("xmlparse"),
            XmlExprOp::IsXmlpi => strong("xmlpi"),
            XmlExprOp::IsXmlroot => strong("xmlroot"),
            XmlExprOp::IsXmlserialize => strong("xmlserialize"),
            XmlExprOp::IsDocument | XmlExprOp::Undefined => (None, false),
        },
        NodeEnum::XmlSerialize(_) => strong("xmlserialize"),
        NodeEnum::JsonParseExpr(_) => strong("json"),
        NodeEnum::JsonScalarExpr(_) => strong("json_scalar"),
        NodeEnum::JsonSerializeExpr(_) => strong("json_serialize"),
        NodeEnum::JsonObjectConstructor(_) => strong("json_object"),
        NodeEnum::JsonArrayConstructor(_) => strong("json_array"),
        NodeEnum::JsonObjectAgg(_) => strong("json_objectagg"),
        NodeEnum::JsonArrayAgg(_) => strong("json_arrayagg"),
        NodeEnum::JsonFuncExpr(json) => match json.op() {
            JsonExprOp::JsonExistsOp => strong("json_exists"),
            JsonExprOp::JsonQueryOp => strong("json_query"),
            JsonExprOp::JsonValueOp => strong("json_value"),
            _ => (None, false),
        },
        _ => (None, false),
    }
}

fn subquery(select: &SelectStmt) -> (Option<&str>, bool) {
    // A set operation has the names of its leftmost arm.
    let mut arm = select;
    while let Some(left) = arm.larg.as_deref() {
        arm = left;
    }
    if !arm.values_lists.is_empty() {
        return (Some("column1"), true);
    }
    match arm.target_list.first().and_then(|n| n.node.as_ref()) {
        Some(NodeEnum::ResTarget(target)) if !target.name.is_empty() => (Some(&target.name), true),
        Some(NodeEnum::ResTarget(target)) => match target.val.as_deref().and_then(|n| n.node.as_ref()) {
            Some(NodeEnum::AConst(constant)) if matches!(constant.val, Some(a_const::Val::Boolval(_))) => (None, false),
            _ => figured(target.val.as_deref()),
        },
        _ => (None, false),
    }
}

fn value_function(op: SqlValueFunctionOp) -> (Option<&'static str>, bool) {
    let name = match op {
        SqlValueFunctionOp::SvfopCurrentDate => "current_date",
        SqlValueFunctionOp::SvfopCurrentTime | SqlValueFunctionOp::SvfopCurrentTimeN => "current_time",
        SqlValueFunctionOp::SvfopCurrentTimestamp | SqlValueFunctionOp::SvfopCurrentTimestampN => "current_timestamp",
        SqlValueFunctionOp::SvfopLocaltime | SqlValueFunctionOp::SvfopLocaltimeN => "localtime",
        SqlValueFunctionOp::SvfopLocaltimestamp | SqlValueFunctionOp::SvfopLocaltimestampN => "localtimestamp",
        SqlValueFunctionOp::SvfopCurrentRole => "current_role",
        SqlValueFunctionOp::SvfopCurrentUser => "current_user",
        SqlValueFunctionOp::SvfopUser => "user",
        SqlValueFunctionOp::SvfopSessionUser => "session_user",
        SqlValueFunctionOp::SvfopCurrentCatalog => "current_catalog",
        SqlValueFunctionOp::SvfopCurrentSchema => "current_schema",
        SqlValueFunctionOp::SqlvalueFunctionOpUndefined => return (None, false),
    };
    (Some(name), true)
}
