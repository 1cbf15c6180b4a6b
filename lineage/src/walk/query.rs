//! Queries: SELECT, VALUES, set operations, WITH, FROM.
//!
//! Targets that are bare columns carry them; everything else in a query is a use. ORDER BY and GROUP BY by position or
//! by output name are resolved to the target they mean.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    Alias, CommonTableExpr, JoinExpr, JsonTableColumn, Node, RangeFunction, RangeSubselect, RangeTableFunc, RangeVar,
    ResTarget, SelectStmt, SetOperation, WithClause, a_const,
};

use super::{Bare, Place, Walker, names, outputs};
use crate::facts::{Derivation, Effects, How, Output};
use crate::functions;

/// One target and the uses its expression made.
struct Target<'a> {
    node: &'a ResTarget,
    uses: std::ops::Range<usize>,
}

impl<'a> Walker<'a> {
    /// A query; `shaped` when whole rows of it are compared (set operation, DISTINCT).
    pub(super) fn select(&mut self, select: &'a SelectStmt, place: Place, shaped: bool) {
        let scope = self.ctes.len();
        self.with(select.with_clause.as_ref());
        let mut place = place;
        if let Some(into) = select.into_clause.as_deref() {
            self.effects.add(Effects::CREATE_AS);
            self.relation(into.rel.as_ref(), false, true);
            place = Place::Copied;
        }
        if !matches!(select.op(), SetOperation::SetopNone | SetOperation::Undefined) {
            self.set_operation(select, place);
        } else if select.values_lists.is_empty() {
            self.plain(select, place, shaped);
        } else {
            self.values(select, place, shaped);
        }
        for limit in [select.limit_count.as_deref(), select.limit_offset.as_deref()].into_iter().flatten() {
            self.expression(limit, How::Shaping);
        }
        if !select.locking_clause.is_empty() {
            self.effects.add(Effects::ROW_LOCK);
        }
        self.ctes.truncate(scope);
    }

    fn set_operation(&mut self, select: &'a SelectStmt, place: Place) {
        self.effects.add(Effects::READ);
        let right = if place == Place::Result { Place::Ignored } else { place };
        let first = self.outputs.len();
        if let Some(arm) = select.larg.as_deref() {
            self.select(arm, place, true);
        }
        // Merged columns have lost their origin in the row description.
        for output in &mut self.outputs[first..] {
            if matches!(output.derivation, Derivation::Direct { .. }) {
                output.derivation = Derivation::Expression;
            }
        }
        if let Some(arm) = select.rarg.as_deref() {
            self.select(arm, right, true);
        }
        // Every target is a shaping use already; only expressions of output names are allowed here.
        for item in &select.sort_clause {
            self.order_item(item, &[]);
        }
    }

    fn values(&mut self, select: &'a SelectStmt, place: Place, shaped: bool) {
        let how = match place {
            _ if shaped => How::Shaping,
            Place::Value(how) => how,
            _ => How::Expression,
        };
        for (index, row) in select.values_lists.iter().enumerate() {
            for (column, value) in names::items(row).iter().enumerate() {
                self.expression(value, how);
                if index == 0 && place == Place::Result {
                    self.outputs.push(Output {
                        name: Some(format!("column{}", column + 1)),
                        derivation: Derivation::Expression,
                        span: self.span(outputs::location(value)),
                    });
                }
            }
        }
        if place == Place::Result {
            self.effects.add(Effects::READ);
        }
        for item in &select.sort_clause {
            self.order_item(item, &[]);
        }
    }

    fn plain(&mut self, select: &'a SelectStmt, place: Place, shaped: bool) {
        self.effects.add(Effects::READ);
        for item in &select.from_clause {
            self.source(item);
        }
        // Plain DISTINCT is a list of one empty node, DISTINCT ON a list of expressions.
        let distinct = select.distinct_clause.first().is_some_and(|n| n.node.is_none());
        let targets = self.targets(&select.target_list, place, shaped || distinct);
        if !distinct {
            for item in &select.distinct_clause {
                self.output_item(item, &targets);
            }
        }
        if let Some(condition) = select.where_clause.as_deref() {
            self.expression(condition, How::Shaping);
        }
        for item in &select.group_clause {
            self.group_item(item, &targets);
        }
        if let Some(condition) = select.having_clause.as_deref() {
            self.expression(condition, How::Shaping);
        }
        for window in &select.window_clause {
            match window.node.as_ref() {
                Some(NodeEnum::WindowDef(window)) => self.window(window),
                _ => self.unknown(),
            }
        }
        for item in &select.sort_clause {
            self.order_item(item, &targets);
        }
    }

    fn targets(&mut self, list: &'a [Node], place: Place, shaped: bool) -> Vec<Target<'a>> {
        let mut targets = Vec::with_capacity(list.len());
        for item in list {
            let Some(NodeEnum::ResTarget(node)) = item.node.as_ref() else {
                self.unknown();
                continue;
            };
            let start = self.uses.len();
            self.target(node, place, shaped);
            targets.push(Target { node, uses: start..self.uses.len() });
        }
        targets
    }

    /// One entry of a target list or of RETURNING.
    pub(super) fn target(&mut self, target: &'a ResTarget, place: Place, shaped: bool) {
        let Some(value) = target.val.as_deref() else { return };
        if let Some(NodeEnum::ColumnRef(reference)) = value.node.as_ref() {
            let (qualifier, column) = names::column(&reference.fields);
            let attribute_call = qualifier.is_some() && column.is_some_and(functions::takes_row);
            if !attribute_call {
                return self.carried(target, qualifier, column, reference.location, place, shaped);
            }
        }
        let how = match place {
            _ if shaped => How::Shaping,
            Place::Value(how) => how,
            _ => How::Expression,
        };
        self.expression(value, how);
        if place == Place::Result {
            // `float(n)` is one type or another by the literal, and an unnamed cast is named after its type.
            if target.name.is_empty() && matches!(outputs::name(target).as_str(), "float4" | "float8") {
                self.literals_matter = true;
            }
            let star = outputs::expanded(value);
            self.outputs.push(Output {
                name: if star { None } else { Some(outputs::name(target)) },
                derivation: if star { Derivation::Star { qualifier: None } } else { Derivation::Expression },
                span: self.span(target.location),
            });
        }
    }

    fn carried(
        &mut self,
        target: &'a ResTarget,
        qualifier: Option<&'a str>,
        column: Option<&'a str>,
        location: i32,
        place: Place,
        shaped: bool,
    ) {
        let span = self.span(location);
        let mut output = None;
        match place {
            Place::Result => {
                output = Some(self.outputs.len());
                let qualifier = qualifier.map(str::to_owned);
                self.outputs.push(Output {
                    name: column.map(|_| outputs::name(target)),
                    derivation: match column {
                        None => Derivation::Star { qualifier },
                        Some(column) => Derivation::Direct { qualifier, column: column.to_owned() },
                    },
                    span,
                });
            }
            Place::Carried => {
                if let Some(column) = column.filter(|c| !target.name.is_empty() && *c != target.name) {
                    self.renames.push((Some(column.to_owned()), target.name.clone()));
                }
            }
            Place::Copied => self.push_use(qualifier, column, How::Copied, span),
            Place::Value(how) => self.push_use(qualifier, column, how, span),
            Place::Ignored => {}
        }
        if shaped && place != Place::Value(How::Shaping) {
            self.push_use(qualifier, column, How::Shaping, span);
        }
        if let (None, Some(name), Place::Result | Place::Carried) = (qualifier, column, place) {
            self.bare.push(Bare { name, span, output });
        }
    }

    /// The target the item of an ORDER BY, GROUP BY or DISTINCT ON stands for becomes a shaping use.
    fn shape_target(&mut self, target: &Target<'a>) {
        match target.node.val.as_deref().and_then(|n| n.node.as_ref()) {
            Some(NodeEnum::ColumnRef(reference)) => {
                let (qualifier, column) = names::column(&reference.fields);
                let span = self.span(reference.location);
                self.push_use(qualifier, column, How::Shaping, span);
            }
            _ => {
                let mut copied = Vec::new();
                for column in &mut self.uses[target.uses.clone()] {
                    match column.how {
                        How::Expression => column.how = How::Shaping,
                        How::Shaping => {}
                        How::Copied => copied.push(column.clone()),
                    }
                }
                self.uses.extend(copied.into_iter().map(|c| crate::facts::ColumnUse { how: How::Shaping, ..c }));
            }
        }
    }

    /// `ORDER BY 2`: the second target, or anything if a star comes before it.
    fn shape_position(&mut self, constant: &pg_query::protobuf::AConst, targets: &[Target<'a>]) {
        self.literals_matter = true;
        let Some(a_const::Val::Ival(position)) = constant.val.as_ref() else { return };
        let position = usize::try_from(position.ival).unwrap_or(0);
        let star = targets.iter().take(position).any(|t| outputs::is_star(t.node));
        if star || position > targets.len() {
            if targets.iter().any(|t| outputs::is_star(t.node)) {
                let span = self.span(constant.location);
                self.push_use(None, None, How::Shaping, span);
            }
        } else if let Some(target) = position.checked_sub(1).and_then(|i| targets.get(i)) {
            self.shape_target(target);
        }
    }

    /// An item of ORDER BY or DISTINCT ON, where output names come first.
    fn output_item(&mut self, node: &'a Node, targets: &[Target<'a>]) {
        match node.node.as_ref() {
            Some(NodeEnum::AConst(constant)) => self.shape_position(constant, targets),
            Some(NodeEnum::ColumnRef(reference)) if reference.fields.len() == 1 => {
                let Some(name) = reference.fields.first().and_then(names::text) else {
                    return self.expression(node, How::Shaping);
                };
                let mut found = false;
                for target in targets.iter().filter(|t| !outputs::is_star(t.node)) {
                    if outputs::name(target.node) == name {
                        found = true;
                        self.shape_target(target);
                    }
                }
                if !found {
                    self.expression(node, How::Shaping);
                }
            }
            _ => self.expression(node, How::Shaping),
        }
    }

    fn order_item(&mut self, node: &'a Node, targets: &[Target<'a>]) {
        match node.node.as_ref() {
            Some(NodeEnum::SortBy(sort)) => {
                self.operator(&sort.use_op, sort.location);
                if let Some(node) = sort.node.as_deref() {
                    self.output_item(node, targets);
                }
            }
            _ => self.unknown(),
        }
    }

    /// An item of GROUP BY, where a column of the input comes first and an output name second: both are used.
    fn group_item(&mut self, node: &'a Node, targets: &[Target<'a>]) {
        match node.node.as_ref() {
            Some(NodeEnum::AConst(constant)) => self.shape_position(constant, targets),
            Some(NodeEnum::GroupingSet(set)) => {
                for item in &set.content {
                    self.group_item(item, targets);
                }
            }
            Some(NodeEnum::RowExpr(row)) => {
                for item in &row.args {
                    self.group_item(item, targets);
                }
            }
            Some(NodeEnum::ColumnRef(reference)) if reference.fields.len() == 1 => {
                let name = reference.fields.first().and_then(names::text);
                for target in targets.iter().filter(|t| !outputs::is_star(t.node)) {
                    if Some(outputs::name(target.node).as_str()) == name {
                        self.shape_target(target);
                    }
                }
                self.expression(node, How::Shaping);
            }
            _ => self.expression(node, How::Shaping),
        }
    }

    pub(super) fn with(&mut self, with: Option<&'a WithClause>) {
        let Some(with) = with else { return };
        let ctes = with.ctes.iter().filter_map(|n| match n.node.as_ref() {
            Some(NodeEnum::CommonTableExpr(cte)) => Some(cte.as_ref()),
            _ => None,
        });
        if with.recursive {
            self.ctes.extend(ctes.clone().map(|c| c.ctename.as_str()));
        }
        for cte in ctes {
            self.cte(cte);
            if !with.recursive {
                self.ctes.push(&cte.ctename);
            }
        }
    }

    fn cte(&mut self, cte: &'a CommonTableExpr) {
        match cte.ctequery.as_deref() {
            Some(query) => self.query(query, Place::Carried),
            None => self.unknown(),
        }
        self.alias_columns(&cte.aliascolnames);
        if let Some(search) = cte.search_clause.as_ref() {
            self.named_columns(&search.search_col_list, How::Shaping, search.location);
        }
        if let Some(cycle) = cte.cycle_clause.as_deref() {
            self.named_columns(&cycle.cycle_col_list, How::Shaping, cycle.location);
            for value in [cycle.cycle_mark_value.as_deref(), cycle.cycle_mark_default.as_deref()].into_iter().flatten()
            {
                self.expression(value, How::Expression);
            }
        }
    }

    /// A statement that can stand in WITH, PREPARE, COPY, …
    pub(super) fn query(&mut self, node: &'a Node, place: Place) {
        match node.node.as_ref() {
            Some(NodeEnum::SelectStmt(select)) => self.select(select, place, false),
            Some(NodeEnum::InsertStmt(insert)) => self.insert(insert, place),
            Some(NodeEnum::UpdateStmt(update)) => self.update(update, place),
            Some(NodeEnum::DeleteStmt(delete)) => self.delete(delete, place),
            Some(NodeEnum::MergeStmt(merge)) => self.merge(merge, place),
            _ => self.unknown(),
        }
    }

    /// Columns given by name alone.
    pub(super) fn named_columns(&mut self, list: &'a [Node], how: How, location: i32) {
        let span = self.span(location);
        for name in list.iter().filter_map(names::text) {
            self.push_use(None, Some(name), how, span);
        }
    }

    fn alias_columns(&mut self, list: &'a [Node]) {
        self.renames.extend(list.iter().filter_map(names::text).map(|name| (None, name.to_owned())));
    }

    pub(super) fn source(&mut self, node: &'a Node) {
        match node.node.as_ref() {
            Some(NodeEnum::RangeVar(range)) => self.range(range),
            Some(NodeEnum::RangeSubselect(range)) => self.subselect(range),
            Some(NodeEnum::RangeFunction(range)) => self.range_function(range),
            Some(NodeEnum::JoinExpr(join)) => self.join(join),
            Some(NodeEnum::RangeTableFunc(range)) => self.table_function(range),
            Some(NodeEnum::JsonTable(table)) => {
                self.json_value(table.context_item.as_deref(), How::Expression);
                for argument in &table.passing {
                    self.expression(argument, How::Expression);
                }
                self.json_columns(&table.columns);
                self.json_behavior(table.on_error.as_deref(), How::Expression);
            }
            Some(NodeEnum::RangeTableSample(sample)) => {
                if let Some(relation) = sample.relation.as_deref() {
                    self.source(relation);
                }
                self.function(&sample.method, None, sample.location);
                for argument in sample.args.iter().chain(sample.repeatable.as_deref()) {
                    self.expression(argument, How::Shaping);
                }
            }
            _ => self.unknown(),
        }
    }

    /// A table, view or CTE that is read.
    fn range(&mut self, range: &'a RangeVar) {
        self.range_name(range.alias.as_ref(), &range.relname);
        if let Some(alias) = range.alias.as_ref() {
            self.alias_columns(&alias.colnames);
        }
        if !(range.schemaname.is_empty() && self.ctes.contains(&range.relname.as_str())) {
            self.relation(Some(range), true, false);
        }
    }

    fn subselect(&mut self, range: &'a RangeSubselect) {
        let mut computed = false;
        if let Some(query) = range.subquery.as_deref() {
            if let Some(NodeEnum::SelectStmt(select)) = query.node.as_ref() {
                computed = !select.values_lists.is_empty();
            }
            self.query(query, Place::Carried);
        }
        self.range_name(range.alias.as_ref(), "");
        if let Some(alias) = range.alias.as_ref().filter(|_| !computed) {
            self.alias_columns(&alias.colnames);
        }
    }

    /// The row of a function is made of its arguments, and those are uses; so its alias needs no attention.
    fn range_function(&mut self, range: &'a RangeFunction) {
        for call in &range.functions {
            // Each is a list of the call and its column definitions.
            if let Some(call) = names::items(call).first() {
                self.expression(call, How::Expression);
            }
        }
    }

    fn join(&mut self, join: &'a JoinExpr) {
        for side in [join.larg.as_deref(), join.rarg.as_deref()].into_iter().flatten() {
            self.source(side);
        }
        if join.is_natural {
            self.push_use(None, None, How::Shaping, crate::facts::Span::default());
        }
        self.named_columns(&join.using_clause, How::Shaping, -1);
        if let Some(condition) = join.quals.as_deref() {
            self.expression(condition, How::Shaping);
        }
        for alias in [join.alias.as_ref(), join.join_using_alias.as_ref()].into_iter().flatten() {
            let alias: &'a Alias = alias;
            self.range_name(Some(alias), "");
            self.alias_columns(&alias.colnames);
        }
    }

    fn table_function(&mut self, range: &'a RangeTableFunc) {
        let own = [range.docexpr.as_deref(), range.rowexpr.as_deref()];
        for node in own.into_iter().flatten().chain(&range.namespaces) {
            self.expression(node, How::Expression);
        }
        for column in &range.columns {
            match column.node.as_ref() {
                Some(NodeEnum::RangeTableFuncCol(column)) => {
                    for node in [column.colexpr.as_deref(), column.coldefexpr.as_deref()].into_iter().flatten() {
                        self.expression(node, How::Expression);
                    }
                }
                _ => self.unknown(),
            }
        }
    }

    fn json_columns(&mut self, columns: &'a [Node]) {
        for column in columns {
            match column.node.as_ref() {
                Some(NodeEnum::JsonTableColumn(column)) => {
                    let column: &'a JsonTableColumn = column;
                    self.json_behavior(column.on_empty.as_deref(), How::Expression);
                    self.json_behavior(column.on_error.as_deref(), How::Expression);
                    self.json_columns(&column.columns);
                }
                _ => self.unknown(),
            }
        }
    }
}
