//! What a query sees in its FROM clause, and how names are looked up in it.

use std::rc::Rc;

use super::{
    Column, Derivation, How, Kind, Resolver, Source, Sources, Unresolved, Use, Value, is_system, plain_use, union,
};
use crate::facts::Span;
use crate::graph::{FromItem, FromKind, Qualifier, Query, QueryId, RangeId, Using};

/// Columns every table has without listing them.
const SYSTEM_COLUMNS: &[&str] = &["cmax", "cmin", "ctid", "tableoid", "xmax", "xmin"];

/// Columns of `pg_stat_activity` since PostgreSQL 14; the statements in it are those of other sessions.
const ACTIVITY: &[&str] = &[
    "datid",
    "datname",
    "pid",
    "leader_pid",
    "usesysid",
    "usename",
    "application_name",
    "client_addr",
    "client_hostname",
    "client_port",
    "backend_start",
    "xact_start",
    "query_start",
    "state_change",
    "wait_event_type",
    "wait_event",
    "state",
    "backend_xid",
    "backend_xmin",
    "query_id",
    "query",
    "backend_type",
];

/// The columns of one range.
#[derive(Debug, Default)]
pub(super) struct Visible {
    columns: Vec<Column>,
    /// Several relations have the name, and their columns differ: which columns `*` means is not known.
    uncertain: bool,
    table: bool,
}

/// Gives the first columns the names of an alias list.
pub(super) fn rename(columns: &mut Vec<Column>, names: &[String]) {
    if names.is_empty() {
        return;
    }
    if let Some(open) = columns.iter().position(|c| c.many) {
        // Any of the names may be any of the columns from here on.
        let value = union(&columns[open..]);
        let span = columns.get(open).map_or_else(Span::default, |c| c.span);
        for name in names.iter().skip(open) {
            let name = Some(Rc::from(name.as_str()));
            columns.push(Column { name, value: value.clone(), many: false, span });
        }
    }
    for (column, name) in columns.iter_mut().take_while(|c| !c.many).zip(names) {
        column.name = Some(Rc::from(name.as_str()));
    }
}

impl<'a> Resolver<'a> {
    fn item(&self, id: RangeId) -> Result<&'a FromItem, Unresolved> {
        self.graph.ranges.get(id as usize).ok_or(Unresolved)
    }

    /// The columns of a range, as its own alias names them.
    fn visible(&mut self, id: RangeId) -> Result<Rc<Visible>, Unresolved> {
        if let Some(Some(known)) = self.ranges.get(id as usize) {
            return Ok(Rc::clone(known));
        }
        let item = self.item(id)?;
        let mut visible = self.deeper(|resolver| resolver.columns_of_range(item))?;
        rename(&mut visible.columns, &item.columns);
        self.step(visible.columns.len())?;
        let visible = Rc::new(visible);
        // What a query that is still underway has can grow.
        if !matches!(item.kind, FromKind::Query(q) if matches!(self.queries.get(q as usize), Some(super::State::Underway(_))))
            && let Some(place) = self.ranges.get_mut(id as usize)
        {
            *place = Some(Rc::clone(&visible));
        }
        Ok(visible)
    }

    fn columns_of_range(&mut self, item: &'a FromItem) -> Result<Visible, Unresolved> {
        Ok(match &item.kind {
            FromKind::Relation(relation) => self.relation(*relation),
            FromKind::Query(query) => {
                Visible { columns: self.columns(*query)?.to_vec(), uncertain: false, table: false }
            }
            FromKind::Computed => {
                let mut columns = Vec::new();
                // A function of one column is called as its alias.
                if !item.alias.is_empty() {
                    let name = Some(Rc::from(item.alias.as_str()));
                    columns.push(Column { name, value: Value::CLEAR, many: true, span: Span::default() });
                }
                columns.push(Column { name: None, value: Value::CLEAR, many: true, span: Span::default() });
                Visible { columns, uncertain: false, table: false }
            }
            FromKind::Join { left, right, using, .. } => {
                let (left, right) = (self.visible(*left)?, self.visible(*right)?);
                let names = merged_names(&left, &right, using);
                let uncertain = left.uncertain || right.uncertain;
                Visible { columns: joined(&left.columns, &right.columns, &names), uncertain, table: false }
            }
        })
    }

    fn relation(&self, relation: u32) -> Visible {
        let many = |value| Column { name: None, value, many: true, span: Span::default() };
        let stranger = || many(Value::direct(Source::Stranger, Kind::Other));
        let Some(used) = self.relations.get(relation as usize) else {
            return Visible { columns: vec![stranger()], uncertain: false, table: true };
        };
        let own = |relation: u32| -> Vec<Column> {
            let entry = self.index.relations.get(relation as usize);
            let columns = entry.map_or(&[][..], |e| e.columns.as_slice()).iter().enumerate();
            columns
                .map(|(i, (name, kind))| Column {
                    name: Some(Rc::from(name.as_str())),
                    value: Value::direct(Source::Column(relation, crate::graph::id(i)), *kind),
                    many: false,
                    span: Span::default(),
                })
                .collect()
        };
        if used.name == "pg_stat_activity" {
            let column = |name: &&str| Column {
                name: Some(Rc::from(*name)),
                value: if *name == "query" { Value::direct(Source::Others, Kind::Text) } else { Value::CLEAR },
                many: false,
                span: Span::default(),
            };
            return Visible { columns: ACTIVITY.iter().map(column).collect(), uncertain: false, table: true };
        }
        let mut candidates = self.index.candidates(used, self.by_path);
        let system = is_system(used);
        let Some(first) = candidates.next() else {
            let columns = vec![if system { many(Value::CLEAR) } else { stranger() }];
            return Visible { columns, uncertain: false, table: true };
        };
        let mut columns = own(first);
        let mut uncertain = false;
        for other in candidates {
            let more = own(other);
            uncertain |= more.len() != columns.len() || more.iter().zip(&columns).any(|(a, b)| a.name != b.name);
            for column in more {
                match columns.iter_mut().find(|c| c.name == column.name) {
                    Some(same) => same.value = same.value.merged(&column.value),
                    None => columns.push(column),
                }
            }
        }
        if system {
            uncertain = true;
            columns.push(many(Value::CLEAR));
        }
        Visible { columns, uncertain, table: true }
    }

    /// `*` or `t.*` in a target list.
    pub(super) fn star(
        &mut self,
        query: &'a Query,
        qualifier: Option<&Qualifier>,
        span: Span,
        columns: &mut Vec<Column>,
    ) -> Result<(), Unresolved> {
        let mut found = false;
        let mut scope = Some(query);
        while let Some(here) = scope {
            for range in &here.from {
                let Some(qualifier) = qualifier else {
                    let item = self.item(*range)?;
                    if !item.hidden {
                        let visible = self.visible(*range)?;
                        expand(&visible, span, columns);
                        found = true;
                    }
                    continue;
                };
                for matching in self.matching(*range, qualifier)? {
                    expand(&matching, span, columns);
                    found = true;
                }
            }
            // Only a qualified star reaches outward.
            scope = if found || qualifier.is_none() { None } else { here.parent.and_then(|p| self.graph.query(p)) };
        }
        if !found && qualifier.is_some() {
            let value = Value::direct(Source::Missing, Kind::Other);
            columns.push(Column { name: None, value, many: true, span });
        }
        self.step(columns.len())
    }

    /// The ranges under `range` that the qualifier names.
    fn matching(&mut self, range: RangeId, qualifier: &Qualifier) -> Result<Vec<Rc<Visible>>, Unresolved> {
        let item = self.item(range)?;
        let schema = item.schema.is_none() || qualifier.schema.is_none() || item.schema == qualifier.schema;
        if !item.alias.is_empty() && item.alias == qualifier.name && schema {
            return Ok(vec![self.visible(range)?]);
        }
        let FromKind::Join { left, right, using, merged_alias } = &item.kind else { return Ok(Vec::new()) };
        if merged_alias.as_deref() == Some(qualifier.name.as_str()) {
            let (left, right) = (self.visible(*left)?, self.visible(*right)?);
            let names = merged_names(&left, &right, using);
            let mut columns = joined(&left.columns, &right.columns, &names);
            columns.truncate(names.len());
            return Ok(vec![Rc::new(Visible { columns, uncertain: false, table: false })]);
        }
        if !item.alias.is_empty() {
            // The alias of a join hides the names inside.
            return Ok(Vec::new());
        }
        let (left, right) = (*left, *right);
        self.deeper(|resolver| {
            let mut found = resolver.matching(left, qualifier)?;
            found.extend(resolver.matching(right, qualifier)?);
            Ok(found)
        })
    }

    /// A column by name; whether it may be a whole row instead.
    pub(super) fn lookup(
        &mut self,
        scope: QueryId,
        qualifier: Option<&Qualifier>,
        name: &str,
    ) -> Result<(Value, bool), Unresolved> {
        let mut open: Option<Value> = None;
        let mut row: Option<Value> = None;
        let mut next = self.graph.query(scope);
        while let Some(query) = next {
            let mut found: Option<Value> = None;
            let mut here_open: Option<Value> = None;
            let mut add = |value: &Value| {
                found = Some(match found.take() {
                    None => value.clone(),
                    Some(before) => before.merged(value),
                });
            };
            for range in &query.from {
                let sides: Vec<Rc<Visible>> = match qualifier {
                    Some(qualifier) => self.matching(*range, qualifier)?,
                    None if self.item(*range)?.hidden => Vec::new(),
                    None => vec![self.visible(*range)?],
                };
                for visible in sides {
                    self.step(visible.columns.len())?;
                    let mut here = false;
                    for column in visible.columns.iter().filter(|c| c.name.as_deref() == Some(name)) {
                        add(&column.value);
                        here = true;
                    }
                    if here {
                        continue;
                    }
                    if let Some(value) = super::many(&visible.columns) {
                        here_open = Some(here_open.take().map_or_else(|| value.clone(), |o: Value| o.merged(&value)));
                    } else if (visible.table || qualifier.is_none()) && SYSTEM_COLUMNS.binary_search(&name).is_ok() {
                        add(&Value::CLEAR);
                    } else if qualifier.is_some() {
                        // `p.function` calls it on the row.
                        let value = union(&visible.columns).computed();
                        row = Some(row.take().map_or_else(|| value.clone(), |r| r.merged(&value)));
                    }
                }
            }
            if let Some(found) = found {
                // Beside a column that is known another of the name would be an error; further in it would hide this one.
                return Ok((open.map_or_else(|| found.clone(), |open| found.merged(&open)), false));
            }
            if let Some(value) = here_open {
                open = Some(open.take().map_or_else(|| value.clone(), |o| o.merged(&value)));
            }
            next = query.parent.and_then(|p| self.graph.query(p));
        }
        if qualifier.is_none() {
            let of = Qualifier { schema: None, name: name.to_owned() };
            row = self.find_row(scope, &of)?.map(Value::computed);
        }
        Ok(match (open, row) {
            (Some(open), Some(row)) if row.sources != Sources::None => (open.merged(&row), true),
            (Some(open), _) => (open, false),
            (None, Some(row)) => {
                let whole = row.sources != Sources::None;
                (row, whole)
            }
            (None, None) => (Value::direct(Source::Missing, Kind::Other), false),
        })
    }

    fn find_row(&mut self, scope: QueryId, qualifier: &Qualifier) -> Result<Option<Value>, Unresolved> {
        let mut next = self.graph.query(scope);
        while let Some(query) = next {
            let mut found: Option<Value> = None;
            for range in &query.from {
                for visible in self.matching(*range, qualifier)? {
                    self.step(visible.columns.len())?;
                    let value = union(&visible.columns);
                    found = Some(found.take().map_or_else(|| value.clone(), |f: Value| f.merged(&value)));
                }
            }
            if found.is_some() {
                return Ok(found);
            }
            next = query.parent.and_then(|p| self.graph.query(p));
        }
        Ok(None)
    }

    /// Every column of a range, or of all of them.
    pub(super) fn row(&mut self, scope: QueryId, qualifier: Option<&Qualifier>) -> Result<Value, Unresolved> {
        if let Some(qualifier) = qualifier {
            let missing = || Value::direct(Source::Missing, Kind::Other);
            return Ok(self.find_row(scope, qualifier)?.unwrap_or_else(missing));
        }
        let mut all: Option<Value> = None;
        for range in self.graph.query(scope).map_or(&[][..], |q| q.from.as_slice()) {
            let visible = self.visible(*range)?;
            self.step(visible.columns.len())?;
            let value = union(&visible.columns);
            all = Some(all.take().map_or_else(|| value.clone(), |a: Value| a.merged(&value)));
        }
        Ok(all.unwrap_or(Value::CLEAR))
    }

    /// `(base).name`: a column of a range, or a part of a column.
    pub(super) fn field(&mut self, scope: QueryId, base: &str, name: &str) -> Result<(Value, bool), Unresolved> {
        let (part, whole) = self.lookup(scope, None, base)?;
        let of = Qualifier { schema: None, name: base.to_owned() };
        let range = self.find_row(scope, &of)?;
        if range.is_some() && (whole || part.sources == Sources::None) {
            let (column, _) = self.lookup(scope, Some(&of), name)?;
            let kind = column.kind;
            return Ok(if part.sources == Sources::None {
                (column.merged(&part).at_least(Derivation::Direct, kind), false)
            } else {
                (column, false)
            });
        }
        Ok((part.computed(), whole))
    }

    /// Columns that a join compares by name.
    pub(super) fn merged_uses(&mut self, range: RangeId, span: Span, uses: &mut Vec<Use>) -> Result<(), Unresolved> {
        let item = self.item(range)?;
        let FromKind::Join { left, right, using, .. } = &item.kind else { return Ok(()) };
        if *using != Using::Nothing {
            let (l, r) = (self.visible(*left)?, self.visible(*right)?);
            let names = merged_names(&l, &r, using);
            self.step((l.columns.len() + r.columns.len()) * (names.len() + 1))?;
            for name in &names {
                for side in [&l, &r] {
                    let value = match super::by_name(&side.columns, name) {
                        Some(value) => Some(value),
                        None => super::many(&side.columns),
                    };
                    if let Some(value) = value.filter(|v| v.sources != Sources::None) {
                        uses.push(plain_use(value.sources, How::Shaping, span));
                    }
                }
            }
            if *using == Using::Common {
                // Columns whose names are not known may have any name of the other side.
                for (open, other) in [(&l, &r), (&r, &l)] {
                    if super::many(&open.columns).is_some() {
                        let value = union(&other.columns);
                        if value.sources != Sources::None {
                            uses.push(plain_use(value.sources, How::Shaping, span));
                        }
                    }
                }
            }
        }
        let (left, right) = (*left, *right);
        self.deeper(|resolver| {
            resolver.merged_uses(left, span, uses)?;
            resolver.merged_uses(right, span, uses)
        })
    }
}

fn expand(visible: &Visible, span: Span, columns: &mut Vec<Column>) {
    if visible.uncertain {
        let value = union(&visible.columns);
        columns.push(Column { name: None, value, many: true, span });
    } else {
        columns.extend(visible.columns.iter().map(|c| Column { span, ..c.clone() }));
    }
}

fn merged_names(left: &Visible, right: &Visible, using: &Using) -> Vec<String> {
    match using {
        Using::Nothing => Vec::new(),
        Using::Names(names) => names.clone(),
        Using::Common => left
            .columns
            .iter()
            .filter_map(|c| c.name.as_deref())
            .filter(|n| right.columns.iter().any(|c| c.name.as_deref() == Some(n)))
            .map(str::to_owned)
            .collect(),
    }
}

/// Merged columns first, then the rest of the left, then the rest of the right.
fn joined(left: &[Column], right: &[Column], names: &[String]) -> Vec<Column> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    for name in names {
        let sides: Vec<Value> =
            [left, right].iter().filter_map(|s| super::by_name(s, name).or_else(|| super::many(s))).collect();
        let mut sides = sides.iter();
        let first = sides.next().cloned().unwrap_or(Value::CLEAR);
        let value = sides.fold(first, |a, b| a.merged(b));
        all.push(Column { name: Some(Rc::from(name.as_str())), value, many: false, span: Span::default() });
    }
    let rest = |side: &[Column]| -> Vec<Column> {
        side.iter().filter(|c| !c.name.as_deref().is_some_and(|n| names.iter().any(|m| m == n))).cloned().collect()
    };
    all.extend(rest(left));
    all.extend(rest(right));
    all
}
