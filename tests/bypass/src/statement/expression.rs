//! Expressions by kind, over the columns in reach.

use super::{Maker, Temper};

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Whole number.
    Int,
    /// Number with a fraction.
    Number,
    /// Text.
    Text,
    /// Day.
    Date,
    /// Moment.
    Time,
    /// Truth value.
    Bool,
    /// Anything else.
    Other,
}

impl Kind {
    /// By PostgreSQL's name of the type.
    #[must_use]
    pub fn of(name: &str) -> Self {
        match name {
            "integer" | "bigint" | "smallint" => Self::Int,
            "numeric" | "real" | "double precision" => Self::Number,
            "text" | "character varying" | "character" | "name" => Self::Text,
            "date" => Self::Date,
            "boolean" => Self::Bool,
            name if name.starts_with("timestamp") => Self::Time,
            _ => Self::Other,
        }
    }
}

/// A column that an expression may name.
#[derive(Clone, Debug)]
pub(super) struct Reach {
    /// As it is written.
    pub(super) text: String,
    /// Its bare name.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) protected: bool,
}

const KINDS: [Kind; 6] = [Kind::Int, Kind::Text, Kind::Text, Kind::Date, Kind::Number, Kind::Bool];
const WORDS: &[&str] =
    &["'x'", "''", "'OH'", "'Cardiology'", "'%a%'", "'7'", "'-'", "$q$it's$q$", "E'a\\tb'", "U&'\\0041'"];
const COMPARISONS: &[&str] = &["=", "<>", "<", ">", "<=", ">="];

impl Maker<'_> {
    pub(super) fn any_kind(&mut self) -> Kind {
        *self.dice.pick(&KINDS)
    }

    /// A column of this kind, if one is in reach and the statement's temper lets it be used inside expressions.
    pub(super) fn column(&mut self, scope: &[Reach], kind: Kind) -> Option<String> {
        let hot = self.temper == Temper::Hot && self.dice.percent(55);
        let list: Vec<&Reach> = scope.iter().filter(|c| c.kind == kind && (hot || !c.protected)).collect();
        if list.is_empty() { None } else { Some(self.dice.pick(&list).text.clone()) }
    }

    pub(super) fn literal(&mut self, kind: Kind) -> String {
        let (text, name) = match kind {
            Kind::Int => ((self.dice.below(40) as i64 - 3).to_string(), "int"),
            Kind::Number => (format!("{}.5", self.dice.below(100)), "numeric"),
            Kind::Date => (format!("2020-0{}-1{}", 1 + self.dice.below(9), self.dice.below(10)), "date"),
            Kind::Time => ("2021-05-06 07:08:09+00".into(), "timestamptz"),
            Kind::Bool => ((if self.dice.percent(70) { "true" } else { "false" }).into(), "boolean"),
            Kind::Text | Kind::Other => return self.word(),
        };
        if let Some(parameters) = &mut self.parameters
            && parameters.len() < 8
            && self.dice.percent(40)
        {
            parameters.push(text);
            return format!("${}::{name}", parameters.len());
        }
        match kind {
            Kind::Date | Kind::Time => format!("{name} '{text}'"),
            _ if text.starts_with('-') => format!("({text})"),
            _ => text,
        }
    }

    fn word(&mut self) -> String {
        if let Some(parameters) = &mut self.parameters
            && parameters.len() < 8
            && self.dice.percent(30)
        {
            parameters.push("OH".into());
            return format!("${}::text", parameters.len());
        }
        (*self.dice.pick(WORDS)).to_owned()
    }

    /// An expression of this kind; `depth` bounds it.
    pub(super) fn expression(&mut self, scope: &[Reach], kind: Kind, depth: usize) -> String {
        if depth == 0 || self.dice.percent(35) {
            return match self.column(scope, kind) {
                Some(column) if self.dice.percent(85) => column,
                _ => self.literal(kind),
            };
        }
        if self.dice.percent(4) {
            return self.scalar_subquery(scope, kind, depth - 1);
        }
        let deeper = depth - 1;
        match kind {
            Kind::Int => self.int(scope, deeper),
            Kind::Number => self.number(scope, deeper),
            Kind::Text => self.text(scope, deeper),
            Kind::Date => self.date(scope, deeper),
            Kind::Bool => self.condition(scope, deeper),
            Kind::Time => self
                .column(scope, Kind::Time)
                .unwrap_or_else(|| "now()::timestamptz(0) - now()::timestamptz(0) + timestamptz '2001-01-01'".into()),
            Kind::Other => self.literal(Kind::Text),
        }
    }

    fn int(&mut self, scope: &[Reach], depth: usize) -> String {
        match self.dice.below(12) {
            0 | 1 => {
                let operator = *self.dice.pick(&["+", "-", "*"]);
                format!("({} {operator} {})", self.expression(scope, Kind::Int, depth), self.literal(Kind::Int))
            }
            2 => format!("length({})", self.expression(scope, Kind::Text, depth)),
            3 => format!("ascii({})", self.expression(scope, Kind::Text, depth)),
            4 => format!("position({} in {})", self.word(), self.expression(scope, Kind::Text, depth)),
            5 => format!("extract(year from {})::int", self.expression(scope, Kind::Date, depth)),
            6 => format!("abs({})", self.expression(scope, Kind::Int, depth)),
            7 => format!("({} % 7)", self.expression(scope, Kind::Int, depth)),
            8 => self.case(scope, Kind::Int, depth),
            9 => format!("coalesce({}, 0)", self.expression(scope, Kind::Int, depth)),
            10 => format!("char_length({}::text)", self.expression(scope, Kind::Number, depth)),
            _ => format!("greatest({}, 1)", self.expression(scope, Kind::Int, depth)),
        }
    }

    fn number(&mut self, scope: &[Reach], depth: usize) -> String {
        match self.dice.below(6) {
            0 => format!("round({}, 1)", self.expression(scope, Kind::Number, depth)),
            1 => format!("({} / 2.0)", self.expression(scope, Kind::Int, depth)),
            2 => format!(
                "({} + {})",
                self.expression(scope, Kind::Number, depth),
                self.expression(scope, Kind::Int, depth)
            ),
            3 => self.case(scope, Kind::Number, depth),
            4 => format!("coalesce({}, 0.5)", self.expression(scope, Kind::Number, depth)),
            _ => format!("{}::numeric", self.expression(scope, Kind::Int, depth)),
        }
    }

    fn text(&mut self, scope: &[Reach], depth: usize) -> String {
        let inner = |maker: &mut Self| maker.expression(scope, Kind::Text, depth);
        match self.dice.below(34) {
            0 => format!("upper({})", inner(self)),
            1 => format!("lower({})", inner(self)),
            2 | 3 => format!("({} || {})", inner(self), inner(self)),
            4 => format!("substr({}, {}, {})", inner(self), 1 + self.dice.below(6), 1 + self.dice.below(12)),
            5 => format!("coalesce({}, {})", inner(self), self.word()),
            6 | 7 => self.case(scope, Kind::Text, depth),
            8 => format!("nullif({}, {})", inner(self), self.word()),
            9 => format!("left({}, {})", inner(self), self.dice.below(14)),
            10 => format!("right({}, {})", inner(self), self.dice.below(14)),
            11 => format!("replace({}, '-', {})", inner(self), self.word()),
            12 => format!("reverse({})", inner(self)),
            13 => format!("format('%s/%s', {}, {})", inner(self), self.expression(scope, Kind::Int, depth)),
            14 => format!("concat({}, {})", inner(self), inner(self)),
            15 => format!("concat_ws('-', {}, {})", inner(self), inner(self)),
            16 => format!("trim({})", inner(self)),
            17 => format!("lpad({}, 20, '.')", inner(self)),
            18 => format!(
                "encode(convert_to({}, 'UTF8'), {})",
                inner(self),
                self.dice.pick(&["'hex'", "'base64'", "'escape'"])
            ),
            19 => format!("md5({})", inner(self)),
            20 => format!("{}::text", self.expression(scope, Kind::Int, depth)),
            21 => format!("{}::text", self.expression(scope, Kind::Date, depth)),
            22 => format!("to_char({}, 'YYYY-MM-DD')", self.expression(scope, Kind::Date, depth)),
            23 => format!("cast({} as varchar(40))", inner(self)),
            24 => format!("translate({}, 'abc', 'xyz')", inner(self)),
            25 => format!("regexp_replace({}, '[aeiou]', '', 'g')", inner(self)),
            26 => format!("split_part({}, '-', {})", inner(self), 1 + self.dice.below(3)),
            27 => format!("(array[{}, {}])[{}]", inner(self), inner(self), 1 + self.dice.below(2)),
            28 => format!("quote_literal({})", inner(self)),
            29 => format!("to_jsonb({}) #>> '{{}}'", inner(self)),
            30 => format!("({} collate \"C\")", inner(self)),
            31 => format!("array_to_string(string_to_array({}, '-'), '')", inner(self)),
            32 => format!("greatest({}, {})", inner(self), self.word()),
            _ => format!("initcap({})", inner(self)),
        }
    }

    fn date(&mut self, scope: &[Reach], depth: usize) -> String {
        match self.dice.below(5) {
            0 => format!("({} + {})", self.expression(scope, Kind::Date, depth), self.dice.below(9)),
            1 => format!("date_trunc('month', {})::date", self.expression(scope, Kind::Date, depth)),
            2 => format!("coalesce({}, date '2001-02-03')", self.expression(scope, Kind::Date, depth)),
            3 => self.case(scope, Kind::Date, depth),
            _ => format!("date_trunc('year', {})::date", self.expression(scope, Kind::Time, 0)),
        }
    }

    fn case(&mut self, scope: &[Reach], kind: Kind, depth: usize) -> String {
        let (condition, yes, no) =
            (self.condition(scope, depth), self.expression(scope, kind, depth), self.expression(scope, kind, depth));
        format!("case when {condition} then {yes} else {no} end")
    }

    /// A truth value.
    pub(super) fn condition(&mut self, scope: &[Reach], depth: usize) -> String {
        let deeper = depth.saturating_sub(1);
        match self.dice.below(if depth == 0 { 3 } else { 11 }) {
            0 | 1 => {
                let kind = *self.dice.pick(&[Kind::Int, Kind::Int, Kind::Text, Kind::Date]);
                let comparison = *self.dice.pick(COMPARISONS);
                let left = self.expression(scope, kind, deeper);
                format!("{left} {comparison} {}", self.literal(kind))
            }
            2 => format!("{} is not null", self.expression(scope, Kind::Text, deeper)),
            3 => format!("{} like {}", self.expression(scope, Kind::Text, deeper), self.word()),
            4 => format!("{} in (1, 2, 3, 5, 8, 13)", self.expression(scope, Kind::Int, deeper)),
            5 => format!("{} between 1 and 30", self.expression(scope, Kind::Int, deeper)),
            6 => format!("({} and {})", self.condition(scope, deeper), self.condition(scope, deeper)),
            7 => format!("({} or {})", self.condition(scope, deeper), self.condition(scope, deeper)),
            8 => format!("not ({})", self.condition(scope, deeper)),
            9 => self.exists(scope, deeper),
            _ => format!("{} ~ '^[a-m]'", self.expression(scope, Kind::Text, deeper)),
        }
    }
}
