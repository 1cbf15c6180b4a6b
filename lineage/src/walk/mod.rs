//! Walks a parse tree and collects facts.
//!
//! One [`Walker`] per statement. Every column reference becomes an indirect use unless it stands where it merely carries
//! the column; every node kind that is not listed sets `Effects::UNKNOWN`. Names of ranges are collected over the whole
//! statement, and single names that equal one are turned into whole-row uses at the end, because targets come before FROM.
//! Deliberately absent: scopes of columns, catalogs, types.

mod copy;
mod define;
mod effects;
mod expression;
mod modify;
mod names;
mod outputs;
mod query;
mod session;

use pg_query::protobuf::{self, Node, RangeVar, RawStmt};

use crate::facts::{
    ColumnUse, Derivation, Effects, FunctionStanding, FunctionUse, How, NotUnderstood, Output, RelationUse, SessionUse,
    Span, Statement,
};
use crate::functions;
use crate::normalise;

/// Most uses, relations or functions of one statement.
const FACTS_MAX: usize = 100_000;

/// Where the rows of a query go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// To the client.
    Result,
    /// To an enclosing query that sees the columns by name.
    Carried,
    /// Into an object or a COPY stream.
    Copied,
    /// Into an expression that is used in this way.
    Value(How),
    /// Nowhere: EXISTS, EXPLAIN.
    Ignored,
}

/// A bare single-name target that carries a column, unless the name is that of a range.
struct Bare<'a> {
    name: &'a str,
    span: Span,
    output: Option<usize>,
}

/// What is collected while walking.
struct Walker<'a> {
    text: &'a str,
    effects: Effects,
    relations: Vec<RelationUse>,
    functions: Vec<FunctionUse>,
    outputs: Vec<Output>,
    uses: Vec<ColumnUse>,
    renames: Vec<(Option<String>, String)>,
    session: SessionUse,
    literals_matter: bool,
    /// CTE names in scope, innermost last.
    ctes: Vec<&'a str>,
    /// Names of every range whose whole row could be referenced.
    ranges: Vec<&'a str>,
    bare: Vec<Bare<'a>>,
    /// `set_config` calls with literal arguments: index of the function, parameter, value.
    settings: Vec<(usize, &'a str, Option<String>)>,
    /// An ON CONFLICT DO UPDATE makes the range `excluded` visible.
    excluded: bool,
}

/// The facts of one statement, `None` if it is empty.
pub(crate) fn statement(text: &str, raw: &RawStmt) -> Result<Option<Statement>, NotUnderstood> {
    let Some(node) = raw.stmt.as_deref().and_then(|n| n.node.as_ref()) else {
        return Ok(None);
    };
    let span = statement_span(text, raw);
    let mut walker = Walker {
        text,
        effects: Effects::NONE,
        relations: Vec::new(),
        functions: Vec::new(),
        outputs: Vec::new(),
        uses: Vec::new(),
        renames: Vec::new(),
        session: SessionUse::None,
        literals_matter: false,
        ctes: Vec::new(),
        ranges: Vec::new(),
        bare: Vec::new(),
        settings: Vec::new(),
        excluded: false,
    };
    let kind = effects::kind(node);
    walker.top(node);
    walker.finish();
    let full = walker.uses.len().max(walker.relations.len()).max(walker.functions.len()) > FACTS_MAX;
    if full {
        return Err(NotUnderstood { message: "statement has too many parts".to_owned(), position: 0 });
    }
    let copy_out = copy::out(text, span, node);
    let body = text.get(span.start as usize..span.end as usize).unwrap_or(text);
    Ok(Some(Statement {
        kind,
        span,
        effects: walker.effects,
        relations: walker.relations,
        functions: walker.functions,
        outputs: walker.outputs,
        uses: walker.uses,
        renames: walker.renames,
        session: walker.session,
        // The query and the options of a COPY are taken from its text.
        literals_matter: walker.literals_matter || copy_out.is_some(),
        copy_out,
        fingerprint: normalise::fingerprint(body.as_bytes()),
    }))
}

fn statement_span(text: &str, raw: &RawStmt) -> Span {
    let start = usize::try_from(raw.stmt_location).unwrap_or(0).min(text.len());
    let end = match usize::try_from(raw.stmt_len) {
        Ok(length) if length > 0 => (start + length).min(text.len()),
        _ => text.len(),
    };
    let body = text.get(start..end).unwrap_or("");
    let lead = body.len() - body.trim_start().len();
    let body = body.trim();
    Span { start: offset(start + lead), end: offset(start + lead + body.len()) }
}

/// Texts are at most [`crate::grammar::TEXT_BYTES_MAX`] long.
fn offset(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

impl<'a> Walker<'a> {
    /// The range of the possibly qualified name that starts at a location of the grammar.
    fn span(&self, location: i32) -> Span {
        let Ok(start) = usize::try_from(location) else { return Span::default() };
        let mut end = start;
        for (token, from, to) in crate::lex::Lexer::new(self.text.as_bytes().get(start..).unwrap_or(&[])) {
            use crate::lex::Token;
            match token {
                Token::Word | Token::Quoted | Token::Mark(b'.' | b'*') if start + from == end => end = start + to,
                _ => break,
            }
        }
        Span { start: offset(start), end: offset(end) }
    }

    /// Marks the statement as holding something this crate has no meaning for.
    fn unknown(&mut self) {
        self.effects.add(Effects::UNKNOWN);
    }

    fn relation(&mut self, range: Option<&'a RangeVar>, read: bool, written: bool) {
        let Some(range) = range else { return };
        self.relations.push(RelationUse {
            schema: names::owned(&range.schemaname),
            name: range.relname.clone(),
            written,
            read,
            span: self.span(range.location),
        });
    }

    fn function(&mut self, name: &'a [Node], standing: Option<FunctionStanding>, location: i32) {
        let (schema, name) = names::qualified(name);
        let standing = standing.unwrap_or_else(|| functions::standing(schema, name));
        if standing != FunctionStanding::Known || functions::depends_on_literals(name) {
            self.literals_matter = true;
        }
        self.functions.push(FunctionUse {
            schema: schema.map(str::to_owned),
            name: name.to_owned(),
            standing,
            span: self.span(location),
        });
    }

    /// An operator; only a qualified one outside `pg_catalog` is known to be somebody's function.
    fn operator(&mut self, name: &'a [Node], location: i32) {
        if name.len() > 1 && names::qualified(name).0 != Some("pg_catalog") {
            self.function(name, Some(FunctionStanding::Unknown), location);
        }
    }

    fn push_use(&mut self, qualifier: Option<&str>, column: Option<&str>, how: How, span: Span) {
        self.uses.push(ColumnUse {
            qualifier: qualifier.map(str::to_owned),
            column: column.map(str::to_owned),
            how,
            span,
        });
    }

    fn range_name(&mut self, alias: Option<&'a protobuf::Alias>, otherwise: &'a str) {
        let name = alias.map_or(otherwise, |a| a.aliasname.as_str());
        if !name.is_empty() {
            self.ranges.push(name);
        }
    }

    /// What can only be decided with the whole statement seen.
    fn finish(&mut self) {
        self.ranges.sort_unstable();
        self.ranges.dedup();
        if self.excluded && self.ranges.binary_search(&"excluded").is_err() {
            // The proposed row is made of the statement's own values, which are uses by themselves.
            self.uses.retain(|u| u.qualifier.as_deref() != Some("excluded") || u.column.is_none());
        }
        for column in &mut self.uses {
            let Some(name) = column.column.as_deref().filter(|_| column.qualifier.is_none()) else { continue };
            let whole = self.ranges.binary_search(&name).is_ok() || (self.excluded && name == "excluded");
            if whole {
                column.qualifier = column.column.take();
            }
        }
        for bare in std::mem::take(&mut self.bare) {
            if self.ranges.binary_search(&bare.name).is_ok() {
                self.push_use(Some(bare.name), None, How::Expression, bare.span);
                if let Some(output) = bare.output.and_then(|i| self.outputs.get_mut(i)) {
                    output.derivation = Derivation::Expression;
                }
            }
        }
        self.relations.sort_by_key(|r| r.span.start);
        self.settle_settings();
        for function in &self.functions {
            match function.standing {
                FunctionStanding::Known => {}
                FunctionStanding::Dangerous => self.effects.add(Effects::DANGEROUS_FUNCTION),
                FunctionStanding::Unknown => self.effects.add(Effects::UNKNOWN_FUNCTION),
            }
        }
    }

    /// One `set_config` with literal arguments is SET by another spelling, as drivers use it. Several, or one beside
    /// another session use, stay dangerous: the facts have room for one parameter.
    fn settle_settings(&mut self) {
        let calls = self.functions.iter().filter(|f| f.name == "set_config").count();
        let Some((function, name, value)) = self.settings.pop() else { return };
        if calls != 1 || self.session != SessionUse::None {
            return;
        }
        let name = name.to_lowercase();
        if matches!(name.as_str(), "role" | "session_authorization") {
            self.effects.add(Effects::SET_ROLE);
        } else {
            self.effects.add(Effects::SET);
            if let Some(function) = self.functions.get_mut(function) {
                function.standing = FunctionStanding::Known;
            }
        }
        self.session = SessionUse::Set { name, value };
    }
}
