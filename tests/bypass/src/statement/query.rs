//! SELECT in all its shapes: relations, joins, subqueries, common table expressions, set operations, windows, aggregates.

use super::{Column, Kind, Maker, Table, Temper, expression::Reach};

/// A query and what its columns hold.
#[derive(Clone, Debug)]
pub(super) struct Query {
    pub(super) text: String,
    pub(super) columns: Vec<Column>,
}

impl Maker<'_> {
    /// A query of bounded depth.
    pub(super) fn query(&mut self, depth: usize) -> Query {
        match self.dice.below(100) {
            0..8 if depth > 0 => self.with_query(depth),
            8..13 if depth > 0 => self.recursive(depth),
            13..23 if depth > 0 => self.set_operation(depth),
            23..38 => self.grouped(depth),
            38..40 => {
                let table = self.table();
                Query { text: format!("table {}", table.name), columns: table.columns }
            }
            _ => self.select(depth),
        }
    }

    fn with_query(&mut self, depth: usize) -> Query {
        let before = self.with.len();
        let mut parts = Vec::new();
        for _ in 0..=self.dice.below(2) {
            let inner = self.query(depth - 1);
            let name = self.name("w");
            let materialised = *self.dice.pick(&["", "", "materialized ", "not materialized "]);
            let columns = self.renamed(&inner.columns);
            let list: Vec<&str> = columns.iter().map(|c| &*c.name).collect();
            parts.push(format!("{name}({}) as {materialised}({})", list.join(", "), inner.text));
            self.with.push(Table { name, columns, writable: false });
        }
        let body = self.select(depth - 1);
        self.with.truncate(before);
        Query { text: format!("with {} {}", parts.join(", "), body.text), columns: body.columns }
    }

    fn recursive(&mut self, depth: usize) -> Query {
        let name = self.name("r");
        let (table, alias) = (self.table(), self.name("t"));
        let scope = reach(&table, &alias);
        let value = self.expression(&scope, Kind::Text, depth - 1);
        let rows = 1 + self.dice.below(6);
        let text = format!(
            "with recursive {name}(n, v) as (select 1, 'start'::text union all select n + 1, (select ({value})::text from {} {alias} limit 1) \
             from {name} where n < {rows}) select n, v from {name}",
            table.name
        );
        Query { text, columns: vec![column("n", Kind::Int, false), column("v", Kind::Text, true)] }
    }

    fn set_operation(&mut self, depth: usize) -> Query {
        let kinds: Vec<Kind> = (0..=self.dice.below(3)).map(|_| self.any_kind()).collect();
        let mut arms = Vec::new();
        for _ in 0..2 + self.dice.below(2) {
            let (from, scope) = self.from(depth - 1);
            let list: Vec<String> = kinds.iter().map(|kind| self.output(&scope, *kind, depth - 1)).collect();
            arms.push(format!("select {} from {from}{}", list.join(", "), self.filter(&scope, depth - 1)));
        }
        let operation =
            *self.dice.pick(&[" union ", " union all ", " union all ", " intersect ", " except ", " except all "]);
        let columns = kinds.iter().enumerate().map(|(i, kind)| column(&format!("u{i}"), *kind, true)).collect();
        let order = if self.dice.percent(20) && self.temper != Temper::Plain { " order by 1" } else { "" };
        Query { text: format!("{}{order} limit 40", arms.join(operation)), columns }
    }

    fn select(&mut self, depth: usize) -> Query {
        let (from, scope) = self.from(depth);
        let mut list = Vec::new();
        let mut columns = Vec::new();
        if self.temper != Temper::Clean && self.dice.percent(12) {
            list.push("*".to_owned());
            columns.extend(scope.iter().map(|c| column(&c.name, c.kind, c.protected)));
        }
        for _ in 0..1 + self.dice.below(4) {
            let kind = self.any_kind();
            let mut text = self.output(&scope, kind, depth);
            let name = self.name("c");
            if self.dice.percent(8) {
                text = self.window(&scope, kind, depth);
            }
            list.push(format!("{text} as {name}"));
            columns.push(column(&name, kind, self.temper != Temper::Clean));
        }
        if self.temper == Temper::Hot && self.dice.percent(6) {
            let (text, name) = (self.whole_row(&from), self.name("c"));
            if let Some(text) = text {
                list.push(format!("{text} as {name}"));
                columns.push(column(&name, Kind::Other, true));
            }
        }
        let distinct = if self.dice.percent(8) && self.temper != Temper::Plain { "distinct " } else { "" };
        let mut text = format!("select {distinct}{} from {from}{}", list.join(", "), self.filter(&scope, depth));
        if self.dice.percent(30) && distinct.is_empty() {
            let kind = self.any_kind();
            text.push_str(&format!(" order by {}", self.expression(&scope, kind, 1).replace("order by", "")));
            if self.dice.percent(40) {
                text.push_str(" desc nulls last");
            }
        }
        if self.dice.percent(85) {
            text.push_str(&format!(" limit {}", 1 + self.dice.below(40)));
            if self.dice.percent(10) {
                text.push_str(&format!(" offset {}", self.dice.below(9)));
            }
        }
        Query { text, columns }
    }

    /// One output column: a column as it is, or an expression.
    fn output(&mut self, scope: &[Reach], kind: Kind, depth: usize) -> String {
        if self.temper == Temper::Plain && self.dice.percent(60) {
            let list: Vec<&Reach> = scope.iter().filter(|c| c.kind == kind).collect();
            if !list.is_empty() {
                return self.dice.pick(&list).text.clone();
            }
        }
        let text = self.expression(scope, kind, depth.min(3));
        // An untyped literal has no type in a set operation or a subquery.
        if kind == Kind::Text && text.starts_with(['\'', 'E', 'U', '$']) { format!("{text}::text") } else { text }
    }

    fn whole_row(&mut self, from: &str) -> Option<String> {
        let alias = from.split_whitespace().nth(1)?.to_owned();
        if !alias.starts_with('t') {
            return None;
        }
        let shapes = [
            "{}",
            "({})::text",
            "row_to_json({})",
            "to_jsonb({})",
            "row({}.*)::text",
            "format('%s', {})",
            "json_build_array({})",
        ];
        Some(self.dice.pick(&shapes).replace("{}", &alias))
    }

    fn window(&mut self, scope: &[Reach], kind: Kind, depth: usize) -> String {
        let order = self.column(scope, Kind::Int).unwrap_or_else(|| "1".into());
        let partition = if self.dice.percent(40) {
            let text = self.column(scope, Kind::Text).unwrap_or_else(|| "1".into());
            format!("partition by {text} ")
        } else {
            String::new()
        };
        let frame =
            *self.dice.pick(&["", "", " rows between 2 preceding and current row", " range unbounded preceding"]);
        let value = self.expression(scope, kind, depth.min(1));
        match self.dice.below(7) {
            0 => format!("count(*) over ({partition}order by {order}{frame})"),
            1 => format!("row_number() over ({partition}order by {order})"),
            2 => format!("lag({value}) over ({partition}order by {order})"),
            3 => format!("first_value({value}) over ({partition}order by {order}{frame})"),
            4 => format!("max({value}::text) over ({partition}order by {order}{frame})"),
            5 => format!("rank() over (order by {value})"),
            _ => format!("ntile(3) over ({partition}order by {order})"),
        }
    }

    fn grouped(&mut self, depth: usize) -> Query {
        let (from, scope) = self.from(depth);
        let keys: Vec<(String, Kind)> = (0..self.dice.below(3))
            .map(|_| {
                let kind = self.any_kind();
                (self.output_key(&scope, kind), kind)
            })
            .collect();
        let mut list: Vec<String> = keys.iter().map(|(text, _)| text.clone()).collect();
        let mut columns: Vec<Column> = keys.iter().map(|(_, kind)| column("g", *kind, true)).collect();
        for _ in 0..1 + self.dice.below(3) {
            let (text, kind) = self.aggregate(&scope, depth);
            list.push(text);
            columns.push(column("a", kind, true));
        }
        let columns = columns.into_iter().map(|c| Column { name: self.name("c"), ..c }).collect::<Vec<_>>();
        let list: Vec<String> = list.iter().zip(&columns).map(|(text, c)| format!("{text} as {}", c.name)).collect();
        let mut text = format!("select {} from {from}{}", list.join(", "), self.filter(&scope, depth));
        if !keys.is_empty() {
            let places: Vec<String> = keys.iter().map(|(text, _)| text.clone()).collect();
            let places = places.join(", ");
            text.push_str(&match self.dice.below(10) {
                0 => format!(" group by rollup ({places})"),
                1 => format!(" group by cube ({places})"),
                2 => format!(" group by grouping sets (({places}), ())"),
                _ => format!(" group by {places}"),
            });
            if self.dice.percent(20) {
                text.push_str(" having count(*) >= 1");
            }
        }
        text.push_str(" limit 40");
        Query { text, columns }
    }

    fn output_key(&mut self, scope: &[Reach], kind: Kind) -> String {
        match self.column(scope, kind) {
            Some(column) => column,
            None => self.column(scope, Kind::Text).unwrap_or_else(|| "'x'::text".into()),
        }
    }

    fn aggregate(&mut self, scope: &[Reach], depth: usize) -> (String, Kind) {
        let filter =
            if self.dice.percent(15) { format!(" filter (where {})", self.condition(scope, 1)) } else { String::new() };
        let depth = depth.min(2);
        let (text, kind) = match self.dice.below(14) {
            0..4 => ("count(*)".to_owned(), Kind::Int),
            4 => {
                let inner = self.any_kind();
                (format!("count(distinct {})", self.expression(scope, inner, depth)), Kind::Int)
            }
            5 => (format!("sum({})", self.expression(scope, Kind::Int, depth)), Kind::Number),
            6 => (format!("avg({})", self.expression(scope, Kind::Number, depth)), Kind::Number),
            7 => (format!("min({})", self.expression(scope, Kind::Text, depth)), Kind::Text),
            8 => (format!("max({})", self.expression(scope, Kind::Date, depth)), Kind::Date),
            9 => (format!("string_agg({}, ',')", self.expression(scope, Kind::Text, depth)), Kind::Text),
            10 => (format!("array_agg({})", self.expression(scope, Kind::Int, depth)), Kind::Other),
            11 => (format!("json_agg({})", self.expression(scope, Kind::Text, depth)), Kind::Other),
            12 => (format!("bool_or({})", self.condition(scope, depth)), Kind::Bool),
            _ => (format!("max({})", self.expression(scope, Kind::Int, depth)), Kind::Int),
        };
        (format!("{text}{filter}"), kind)
    }

    fn filter(&mut self, scope: &[Reach], depth: usize) -> String {
        if self.dice.percent(50) { format!(" where {}", self.condition(scope, depth.min(2))) } else { String::new() }
    }

    /// FROM and what it brings into reach.
    fn from(&mut self, depth: usize) -> (String, Vec<Reach>) {
        let (mut text, mut scope, key) = self.relation(depth);
        if depth > 0 && self.dice.percent(35) {
            let (other, more, other_key) = self.relation(depth - 1);
            match self.dice.below(10) {
                0 if key.is_some() && other_key.is_some() => {
                    // Both sides have the column, and more of the same names may make a name ambiguous: keep to one side.
                    text = format!("{text} natural join {other}");
                    return (text, scope);
                }
                1 => {
                    let shared: Option<String> = scope
                        .iter()
                        .find(|a| more.iter().any(|b| b.name == a.name && b.kind == a.kind) && !a.protected)
                        .map(|a| a.name.clone());
                    if let Some(name) = shared {
                        let join = *self.dice.pick(&["join", "left join", "full join"]);
                        text = format!("{text} {join} {other} using ({name})");
                        scope.extend(more.into_iter().filter(|c| c.name != name));
                        return (text, scope);
                    }
                }
                2 if self.temper == Temper::Hot => {
                    let alias = self.name("l");
                    let value = self.expression(&scope, Kind::Text, depth - 1);
                    text = format!("{text} cross join lateral (select ({value})::text as v) as {alias}");
                    scope.push(Reach {
                        text: format!("{alias}.v"),
                        name: "v".into(),
                        kind: Kind::Text,
                        protected: true,
                    });
                    return (text, scope);
                }
                _ => {}
            }
            let condition = match (key, other_key) {
                (Some(a), Some(b)) => format!("{a} = {b}"),
                _ => "false".into(),
            };
            let join = *self.dice.pick(&["join", "join", "left join", "right join", "full join"]);
            text = format!("{text} {join} {other} on {condition}");
            scope.extend(more);
        }
        (text, scope)
    }

    /// One relation with its alias; what it brings; a whole number to join by.
    fn relation(&mut self, depth: usize) -> (String, Vec<Reach>, Option<String>) {
        let kind = self.dice.below(20);
        if kind < 4 && depth > 0 {
            let inner = self.query(depth - 1);
            let alias = self.name("q");
            let columns = self.renamed(&inner.columns);
            let list: Vec<&str> = columns.iter().map(|c| &*c.name).collect();
            let text = format!("({}) as {alias}({})", inner.text, list.join(", "));
            let scope = reach(&Table { name: String::new(), columns, writable: false }, &alias);
            let key = join_key(&scope);
            return (text, scope, key);
        }
        if kind == 4 {
            let alias = self.name("g");
            let scope = vec![Reach { text: format!("{alias}.n"), name: "n".into(), kind: Kind::Int, protected: false }];
            let key = join_key(&scope);
            return (format!("generate_series(1, {}) as {alias}(n)", 1 + self.dice.below(9)), scope, key);
        }
        if kind == 5 {
            let alias = self.name("v");
            let scope = vec![
                Reach { text: format!("{alias}.n"), name: "n".into(), kind: Kind::Int, protected: false },
                Reach { text: format!("{alias}.w"), name: "w".into(), kind: Kind::Text, protected: false },
            ];
            let key = join_key(&scope);
            return (format!("(values (1, 'a'), (2, 'b'), (3, null)) as {alias}(n, w)"), scope, key);
        }
        let (table, alias) = (self.table(), self.name("t"));
        let scope = reach(&table, &alias);
        let key = join_key(&scope);
        let sample = if kind == 6 && table.writable { " tablesample system (100)" } else { "" };
        (format!("{} {alias}{sample}", table.name), scope, key)
    }

    /// A relation of the database or a common table expression.
    pub(super) fn table(&mut self) -> Table {
        if !self.with.is_empty() && self.dice.percent(60) {
            return self.dice.pick(&self.with).clone();
        }
        self.dice.pick(&self.schema.tables).clone()
    }

    fn renamed(&mut self, columns: &[Column]) -> Vec<Column> {
        columns.iter().map(|c| Column { name: self.name("k"), ..c.clone() }).collect()
    }

    pub(super) fn scalar_subquery(&mut self, scope: &[Reach], kind: Kind, depth: usize) -> String {
        let (table, alias) = (self.table(), self.name("t"));
        let mut all = reach(&table, &alias);
        let value = self.output(&all, kind, depth);
        all.extend(scope.iter().cloned());
        let condition = self.condition(&all, depth.min(1));
        format!("(select {value} from {} {alias} where {condition} limit 1)", table.name)
    }

    pub(super) fn exists(&mut self, scope: &[Reach], depth: usize) -> String {
        let (table, alias) = (self.table(), self.name("t"));
        let mut all = reach(&table, &alias);
        all.extend(scope.iter().cloned());
        let condition = self.condition(&all, depth.min(1));
        match self.dice.below(2) {
            0 => format!("exists (select 1 from {} {alias} where {condition})", table.name),
            _ => format!(
                "{} in (select {} from {} {alias})",
                self.literal(Kind::Int),
                join_key(&all).unwrap_or_else(|| "1".into()),
                table.name
            ),
        }
    }
}

pub(super) fn reach(table: &Table, alias: &str) -> Vec<Reach> {
    let one = |c: &Column| Reach {
        text: format!("{alias}.{}", c.name),
        name: c.name.clone(),
        kind: c.kind,
        protected: c.protected,
    };
    table.columns.iter().map(one).collect()
}

fn join_key(scope: &[Reach]) -> Option<String> {
    let shared = |c: &&Reach| c.kind == Kind::Int && !c.protected;
    scope
        .iter()
        .filter(shared)
        .find(|c| c.name == "patient_id")
        .or_else(|| scope.iter().find(shared))
        .map(|c| c.text.clone())
}

fn column(name: &str, kind: Kind, protected: bool) -> Column {
    Column { name: name.into(), kind, protected }
}
