//! What a server's row description will say about a statement, predicted from the catalog, so that a plan can be shown
//! without a server.
//!
//! Follows names through scopes as PostgreSQL does for the constructs people write (tables, joins, subselects, common
//! table expressions, RETURNING). What it does not follow is `None`: reports then say that the server decides. Nothing is
//! ever allowed because of a prediction; the gateway plans with the server's own description.

use std::collections::BTreeMap;

use lineage::Catalog;
use lineage::catalog::{Relation, RelationKind};
use pg_query::NodeEnum;
use pg_query::protobuf::{Alias, JoinExpr, JoinType, Node, RangeVar, SelectStmt, SetOperation, WithClause};

/// Longest text tried, and most brackets in it: keeps the walk shallow.
const TEXT_BYTES_MAX: usize = 16_384;
const BRACKETS_MAX: usize = 200;
const COLUMNS_MAX: usize = 1_664;

/// One output column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Output name, if the text decides it.
    pub(crate) name: Option<String>,
    /// OID of the relation, 0 for an expression.
    pub(crate) table: u32,
    /// Attribute number, 0 for an expression.
    pub(crate) attribute: i16,
    /// Type, 0 if not known.
    pub(crate) type_oid: u32,
    /// Schema, relation, column.
    pub(crate) source: Option<(String, String, String)>,
}

impl Shape {
    fn expression(name: Option<String>) -> Self {
        Self { name, ..Self::default() }
    }
    fn named(&self, name: &str) -> Self {
        Self { name: Some(name.to_owned()), ..self.clone() }
    }
}

/// A name in FROM with its columns.
#[derive(Clone)]
struct Range {
    alias: String,
    columns: Vec<Shape>,
}

type Scope = Vec<Range>;

struct Walk<'a> {
    catalog: &'a Catalog,
    /// Common table expressions in sight.
    common: BTreeMap<String, Vec<Shape>>,
}

/// The shapes of each statement of a text; `None` where they are not predicted.
pub(crate) fn predict(text: &str, catalog: &Catalog) -> Vec<Option<Vec<Shape>>> {
    if text.len() > TEXT_BYTES_MAX || text.bytes().filter(|b| matches!(b, b'(' | b'[')).count() > BRACKETS_MAX {
        return Vec::new();
    }
    let Ok(parsed) = pg_query::parse(text, pg_query::ParserOptions::default()) else { return Vec::new() };
    let statements = parsed.protobuf.stmts.iter().map(|raw| {
        let mut walk = Walk { catalog, common: BTreeMap::new() };
        raw.stmt.as_deref().and_then(|n| walk.statement(n))
    });
    statements.collect()
}

impl Walk<'_> {
    fn statement(&mut self, node: &Node) -> Option<Vec<Shape>> {
        let returning =
            |walk: &mut Self, with: Option<&WithClause>, relation: Option<&RangeVar>, from: &[Node], list: &[Node]| {
                if list.is_empty() {
                    return Some(Vec::new());
                }
                walk.with(with)?;
                let mut scope = vec![walk.relation(relation?)?];
                for node in from {
                    walk.from(node, &mut scope)?;
                }
                walk.targets(list, &scope)
            };
        match node.node.as_ref()? {
            NodeEnum::SelectStmt(s) if s.into_clause.is_some() => Some(Vec::new()),
            NodeEnum::SelectStmt(s) => self.select(s),
            NodeEnum::InsertStmt(s) => {
                let list = s.returning_clause.as_ref().map_or(&[][..], |r| &r.exprs);
                returning(self, s.with_clause.as_ref(), s.relation.as_ref(), &[], list)
            }
            NodeEnum::UpdateStmt(s) => {
                let list = s.returning_clause.as_ref().map_or(&[][..], |r| &r.exprs);
                returning(self, s.with_clause.as_ref(), s.relation.as_ref(), &s.from_clause, list)
            }
            NodeEnum::DeleteStmt(s) => {
                let list = s.returning_clause.as_ref().map_or(&[][..], |r| &r.exprs);
                returning(self, s.with_clause.as_ref(), s.relation.as_ref(), &s.using_clause, list)
            }
            _ => None,
        }
    }

    fn with(&mut self, with: Option<&WithClause>) -> Option<()> {
        let Some(with) = with else { return Some(()) };
        for node in &with.ctes {
            let Some(NodeEnum::CommonTableExpr(cte)) = node.node.as_ref() else { return None };
            if with.recursive {
                // Only a self-reference changes shapes; telling needs a fixed point, and the server knows.
                return None;
            }
            let inner = cte.ctequery.as_deref()?;
            let shapes = self.nested(inner)?;
            self.common.insert(cte.ctename.clone(), rename(shapes, &cte.aliascolnames));
        }
        Some(())
    }

    /// A query with names of its own.
    fn nested(&mut self, node: &Node) -> Option<Vec<Shape>> {
        let outside = self.common.clone();
        let shapes = self.statement(node);
        self.common = outside;
        shapes
    }

    fn select(&mut self, s: &SelectStmt) -> Option<Vec<Shape>> {
        self.with(s.with_clause.as_ref())?;
        if s.op() != SetOperation::SetopNone {
            // Set operations carry names, not origins.
            let left = self.select(s.larg.as_deref()?)?;
            return Some(left.into_iter().map(|c| Shape::expression(c.name)).collect());
        }
        if let Some(first) = s.values_lists.first() {
            let Some(NodeEnum::List(row)) = first.node.as_ref() else { return None };
            return Some((1..=row.items.len()).map(|i| Shape::expression(Some(format!("column{i}")))).collect());
        }
        let mut scope = Scope::new();
        for node in &s.from_clause {
            self.from(node, &mut scope)?;
        }
        self.targets(&s.target_list, &scope)
    }

    fn from(&mut self, node: &Node, scope: &mut Scope) -> Option<()> {
        match node.node.as_ref()? {
            NodeEnum::RangeVar(v) => scope.push(self.relation(v)?),
            NodeEnum::RangeSubselect(s) => {
                let shapes = self.nested(s.subquery.as_deref()?)?;
                scope.push(aliased(s.alias.as_ref(), String::new(), shapes));
            }
            NodeEnum::RangeTableSample(s) => return self.from(s.relation.as_deref()?, scope),
            NodeEnum::JoinExpr(j) => self.join(j, scope)?,
            _ => return None,
        }
        Some(())
    }

    fn join(&mut self, j: &JoinExpr, scope: &mut Scope) -> Option<()> {
        // Merged columns and join aliases hide what they are made of; the server decides those.
        if j.is_natural || !j.using_clause.is_empty() || j.alias.is_some() || j.jointype() == JoinType::Undefined {
            return None;
        }
        self.from(j.larg.as_deref()?, scope)?;
        self.from(j.rarg.as_deref()?, scope)
    }

    fn relation(&self, v: &RangeVar) -> Option<Range> {
        if v.schemaname.is_empty()
            && let Some(shapes) = self.common.get(&v.relname)
        {
            return Some(aliased(v.alias.as_ref(), v.relname.clone(), shapes.clone()));
        }
        let relation = self.find(&v.schemaname, &v.relname)?;
        let shapes = relation.columns.iter().map(|c| Shape {
            name: Some(c.name.clone()),
            table: relation.oid,
            attribute: c.number,
            type_oid: c.type_oid,
            source: Some((relation.schema.clone(), relation.name.clone(), c.name.clone())),
        });
        Some(aliased(v.alias.as_ref(), v.relname.clone(), shapes.collect()))
    }

    /// Without a schema: `public`, which is what the pinned search path has.
    fn find(&self, schema: &str, name: &str) -> Option<&Relation> {
        let schema = if schema.is_empty() { "public" } else { schema };
        self.catalog.relations.iter().find(|r| r.name == name && r.schema == schema && r.kind != RelationKind::Sequence)
    }

    fn targets(&mut self, list: &[Node], scope: &Scope) -> Option<Vec<Shape>> {
        let mut shapes = Vec::new();
        for node in list {
            let Some(NodeEnum::ResTarget(target)) = node.node.as_ref() else { return None };
            let given = (!target.name.is_empty()).then_some(target.name.as_str());
            match target.val.as_deref().and_then(|v| v.node.as_ref())? {
                NodeEnum::ColumnRef(reference) => {
                    let names: Option<Vec<&str>> = reference.fields.iter().map(string).collect();
                    match names.as_deref() {
                        Some([column]) => shapes.push(unqualified(column, given, scope)?),
                        Some([.., qualifier, column]) => shapes.push(qualified(qualifier, column, given, scope)?),
                        Some([]) => return None,
                        None => shapes.extend(star(&reference.fields, scope)?),
                    }
                }
                NodeEnum::AIndirection(_) => return None,
                _ => shapes.push(Shape::expression(given.map(ToOwned::to_owned))),
            }
        }
        (shapes.len() <= COLUMNS_MAX).then_some(shapes)
    }
}

fn string(node: &Node) -> Option<&str> {
    match node.node.as_ref() {
        Some(NodeEnum::String(s)) => Some(&s.sval),
        _ => None,
    }
}

fn rename(shapes: Vec<Shape>, names: &[Node]) -> Vec<Shape> {
    let rename = |(i, shape): (usize, Shape)| match names.get(i).and_then(string) {
        Some(name) => shape.named(name),
        None => shape,
    };
    shapes.into_iter().enumerate().map(rename).collect()
}

fn aliased(alias: Option<&Alias>, default: String, shapes: Vec<Shape>) -> Range {
    match alias {
        Some(a) => Range { alias: a.aliasname.clone(), columns: rename(shapes, &a.colnames) },
        None => Range { alias: default, columns: shapes },
    }
}

fn unqualified(column: &str, given: Option<&str>, scope: &Scope) -> Option<Shape> {
    let mut found = scope.iter().flat_map(|r| &r.columns).filter(|c| c.name.as_deref() == Some(column));
    match (found.next(), found.next()) {
        (Some(one), None) => Some(one.named(given.unwrap_or(column))),
        // The name of a table is its whole row.
        (None, None) if scope.iter().any(|r| r.alias == column) => {
            Some(Shape::expression(Some(given.unwrap_or(column).to_owned())))
        }
        _ => None,
    }
}

fn qualified(qualifier: &str, column: &str, given: Option<&str>, scope: &Scope) -> Option<Shape> {
    let range = scope.iter().find(|r| r.alias == qualifier)?;
    let found = range.columns.iter().find(|c| c.name.as_deref() == Some(column))?;
    Some(found.named(given.unwrap_or(column)))
}

/// `*` or `t.*`.
fn star(fields: &[Node], scope: &Scope) -> Option<Vec<Shape>> {
    match fields {
        [_] => Some(scope.iter().flat_map(|r| r.columns.clone()).collect()),
        [.., qualifier, _] => {
            let name = string(qualifier)?;
            scope.iter().find(|r| r.alias == name).map(|r| r.columns.clone())
        }
        [] => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog() -> Catalog {
        let column = |number, name: &str| lineage::catalog::Column {
            number,
            name: name.to_owned(),
            type_oid: 25,
            type_name: "text".to_owned(),
            comment: None,
        };
        let relation = |oid, name: &str, columns| Relation {
            oid,
            schema: "public".to_owned(),
            name: name.to_owned(),
            kind: RelationKind::Table,
            columns,
            comment: None,
            definition: None,
            depends_on: Vec::new(),
            parents: Vec::new(),
            estimated_rows: -1,
        };
        Catalog {
            database: "d".to_owned(),
            server_version: 150_000,
            relations: vec![
                relation(1, "p", vec![column(1, "id"), column(2, "ssn")]),
                relation(2, "q", vec![column(1, "id"), column(3, "x")]),
            ],
        }
    }

    #[test]
    fn origins_follow_names_through_scopes() {
        type Origins = Option<&'static [(u32, i16)]>;
        let cases: &[(&str, Origins)] = &[
            ("select ssn from p", Some(&[(1, 2)])),
            ("select p.* from p", Some(&[(1, 1), (1, 2)])),
            ("select * from p a join q b on a.id = b.id", Some(&[(1, 1), (1, 2), (2, 1), (2, 3)])),
            ("select y.s from (select ssn as s from p) y", Some(&[(1, 2)])),
            ("select b from p t(a, b)", Some(&[(1, 2)])),
            ("with c as (select * from p) select ssn from c", Some(&[(1, 2)])),
            ("with p as (select x from q) select * from p", Some(&[(2, 3)])),
            ("select upper(ssn), 1 from p", Some(&[(0, 0), (0, 0)])),
            ("select ssn from p union select x from q", Some(&[(0, 0)])),
            ("delete from p where id = 1 returning ssn", Some(&[(1, 2)])),
            ("insert into p values (1, 'a')", Some(&[])),
            ("values (1, 2)", Some(&[(0, 0), (0, 0)])),
            // The server decides.
            ("select id from p, q", None),
            ("select * from p natural join q", None),
            ("select * from generate_series(1, 2)", None),
            ("select * from nowhere", None),
            ("with recursive c as (select * from p) select ssn from c", None),
        ];
        for (text, expected) in cases {
            let shapes = predict(text, &catalog()).pop().flatten();
            let found: Option<Vec<_>> = shapes.map(|s| s.iter().map(|c| (c.table, c.attribute)).collect());
            assert_eq!(found.as_deref(), *expected, "{text}");
        }
    }
}
