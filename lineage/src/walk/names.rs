//! Names as the grammar gives them: lists of string nodes.
//!
//! The grammar has already folded, unescaped and truncated them; nothing is changed here.

use pg_query::NodeEnum;
use pg_query::protobuf::Node;

use crate::graph::Qualifier;

/// The text of a string node.
pub(super) fn text(node: &Node) -> Option<&str> {
    match node.node.as_ref() {
        Some(NodeEnum::String(string)) => Some(&string.sval),
        _ => None,
    }
}

/// The items of a list node, or the node itself.
pub(super) fn items(node: &Node) -> &[Node] {
    match node.node.as_ref() {
        Some(NodeEnum::List(list)) => &list.items,
        _ => std::slice::from_ref(node),
    }
}

/// Schema and name of a dotted name; a leading database is dropped.
pub(super) fn qualified(name: &[Node]) -> (Option<&str>, &str) {
    let last = name.last().and_then(text).unwrap_or("");
    let schema = name.len().checked_sub(2).and_then(|i| name.get(i)).and_then(text);
    (schema, last)
}

/// A schema that is the session's own, by either of its names. Nobody can make others that begin so.
pub(super) fn is_own(schema: &str) -> bool {
    schema == "pg_temp" || schema.starts_with("pg_temp_")
}

/// `None` for the empty string.
pub(super) fn owned(name: &str) -> Option<String> {
    (!name.is_empty()).then(|| name.to_owned())
}

/// A column reference: qualifier and column (`None` for `*`). A leading database is dropped.
pub(super) fn column(fields: &[Node]) -> (Option<Qualifier>, Option<&str>) {
    let at = |back: usize| fields.len().checked_sub(back).and_then(|i| fields.get(i)).and_then(text);
    let qualifier = at(2).map(|name| Qualifier { schema: at(3).map(str::to_owned), name: name.to_owned() });
    (qualifier, fields.last().and_then(text))
}
