//! What reviewed functions and casts do with a value: return for every input, count, aggregate, or more than that.
//!
//! A function is total here only if no value of its argument can make it fail or take long, given constants elsewhere; what
//! is not listed can fail. Deliberately absent: types, which are checked where the column is known.

use pg_query::NodeEnum;
use pg_query::protobuf::{FuncCall, Node, TypeName, a_const};

use crate::graph::{Path, Wants};

/// Total for every character string.
const TEXT: &[&str] = &[
    "ascii",
    "bit_length",
    "btrim",
    "char_length",
    "character_length",
    "initcap",
    "length",
    "lower",
    "ltrim",
    "md5",
    "octet_length",
    "reverse",
    "rtrim",
    "strpos",
    "translate",
    "upper",
];

/// Total in the first argument if the others are whole numbers.
const TEXT_AND_NUMBERS: &[&str] = &["left", "right"];

/// Total in the arguments that are dates if the others are constants.
const DATE: &[&str] = &["date_part", "date_trunc", "extract", "to_char"];

/// Types that a cast to is total, however it is written.
pub(crate) const TYPES: &[&str] = &["bpchar", "date", "text", "timestamp", "varchar"];

/// Aggregates and window functions that return a value, or something computed from all of them.
const AGGREGATES: &[&str] = &[
    "any_value",
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "cume_dist",
    "every",
    "first_value",
    "json_agg",
    "json_object_agg",
    "jsonb_agg",
    "jsonb_object_agg",
    "lag",
    "last_value",
    "lead",
    "max",
    "min",
    "mode",
    "nth_value",
    "percentile_cont",
    "percentile_disc",
    "range_agg",
    "stddev",
    "string_agg",
    "sum",
    "variance",
    "xmlagg",
];

/// What a call does with each of its arguments.
pub(crate) struct Arguments {
    first: Path,
    others: Path,
}

impl Arguments {
    const fn all(path: Path) -> Self {
        Self { first: path, others: path }
    }

    /// What happens to the argument at `index`.
    pub(crate) const fn of(&self, index: usize) -> Path {
        if index == 0 { self.first } else { self.others }
    }
}

/// What a call does with its arguments.
pub(crate) fn call(call: &FuncCall) -> Arguments {
    let name = match call.funcname.as_slice() {
        [name] => text(name),
        [schema, name] if text(schema) == "pg_catalog" => text(name),
        _ => "",
    };
    let rest = call.args.get(1..).unwrap_or_default();
    let plain = call.over.is_none() && !call.agg_within_group && call.agg_filter.is_none() && !call.func_variadic;
    if name == "count" && !call.agg_within_group {
        // How many different ones there are tells which are the same.
        return Arguments::all(if call.agg_distinct { Path::Aggregated } else { Path::Counted });
    }
    if call.over.is_some() || call.agg_within_group || AGGREGATES.binary_search(&name).is_ok() {
        return Arguments::all(Path::Aggregated);
    }
    if !plain {
        return Arguments::all(Path::Computed);
    }
    if TEXT.binary_search(&name).is_ok() {
        Arguments::all(Path::Total(Wants::Text))
    } else if (TEXT_AND_NUMBERS.contains(&name) && rest.iter().all(is_number))
        || (matches!(name, "substr" | "substring") && rest.iter().all(is_natural))
    {
        Arguments { first: Path::Total(Wants::Text), others: Path::Computed }
    } else if matches!(name, "num_nulls" | "num_nonnulls") {
        Arguments::all(Path::Counted)
    } else if matches!(name, "concat" | "concat_ws") && call.args.iter().all(is_short) {
        Arguments::all(Path::Total(Wants::Company))
    } else if DATE.contains(&name) && call.args.iter().filter(|a| !super::is_literal(a)).count() <= 1 {
        Arguments::all(Path::Total(Wants::Date))
    } else {
        Arguments::all(Path::Computed)
    }
}

/// What a cast to this type does.
pub(crate) fn cast(to: &TypeName) -> Path {
    let name = match to.names.as_slice() {
        [name] => text(name),
        [schema, name] if text(schema) == "pg_catalog" => text(name),
        _ => "",
    };
    if to.array_bounds.is_empty() && !to.setof && matches!(name, "text" | "varchar" | "bpchar") {
        Path::Total(Wants::Anything)
    } else if to.array_bounds.is_empty() && matches!(name, "date" | "timestamp") {
        Path::Total(Wants::Date)
    } else {
        Path::Computed
    }
}

/// What joining two values does. A value that fits beside one and not beside another would tell how long they are, so
/// only literals and columns, changed by functions that do not lengthen them, are joined.
pub(crate) fn join(parts: [Option<&Node>; 2]) -> Path {
    let short = parts.iter().all(|p| p.is_some_and(is_short));
    if short { Path::Total(Wants::Company) } else { Path::Computed }
}

fn is_short(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::ColumnRef(_)) => true,
        Some(NodeEnum::TypeCast(to)) => to.arg.as_deref().is_some_and(is_short),
        Some(NodeEnum::CoalesceExpr(coalesce)) => coalesce.args.iter().all(is_short),
        Some(NodeEnum::AExpr(operation)) => {
            matches!(operation.name.as_slice(), [name] if text(name) == "||")
                && [operation.lexpr.as_deref(), operation.rexpr.as_deref()].iter().all(|p| p.is_some_and(is_short))
        }
        Some(NodeEnum::FuncCall(inner)) => {
            let name = inner.funcname.last().map_or("", text);
            let shortens = TEXT.binary_search(&name).is_ok()
                || TEXT_AND_NUMBERS.contains(&name)
                || matches!(name, "substr" | "substring" | "concat" | "concat_ws");
            shortens && inner.args.iter().all(is_short)
        }
        _ => super::is_literal(node),
    }
}

fn is_number(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::AConst(constant)) => matches!(constant.val, Some(a_const::Val::Ival(_))),
        // A minus sign.
        Some(NodeEnum::AExpr(operation)) => {
            operation.lexpr.is_none() && operation.rexpr.as_deref().is_some_and(is_number)
        }
        _ => false,
    }
}

fn is_natural(node: &Node) -> bool {
    match node.node.as_ref() {
        Some(NodeEnum::AConst(constant)) => {
            matches!(constant.val.as_ref(), Some(a_const::Val::Ival(value)) if value.ival >= 0)
        }
        _ => false,
    }
}

fn text(node: &Node) -> &str {
    match node.node.as_ref() {
        Some(NodeEnum::String(string)) => &string.sval,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_sorted() {
        assert!(TEXT.is_sorted());
        assert!(AGGREGATES.is_sorted());
    }
}
