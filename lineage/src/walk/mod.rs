//! Walks a parse tree and collects facts.
//!
//! One [`Walker`] per statement. Every column reference becomes a leaf of the graph, in the query it stands in; every node
//! kind that is not listed sets `Effects::UNKNOWN`. Deliberately absent: catalogs, types, the meaning of names.

mod copy;
mod define;
mod effects;
mod expression;
mod from;
mod modify;
mod names;
mod outputs;
mod query;
mod session;

use pg_query::protobuf::{IntoClause, Node, RangeVar, RawStmt};

use crate::facts::{
    Effects, FunctionStanding, FunctionUse, NotUnderstood, ObjectName, RelationUse, SessionUse, Span, Statement,
};
use crate::functions;
use crate::graph::{FromKind, Graph, Path, QueryId, Role, id};
use crate::normalise;

/// Most leaves, relations or functions of one statement.
const FACTS_MAX: usize = 100_000;

/// What an expression is for, and what happens to its value on the way there.
#[derive(Clone, Copy, Debug)]
struct At {
    role: Role,
    path: Path,
}

/// What is collected while walking.
struct Walker<'a> {
    text: &'a str,
    effects: Effects,
    relations: Vec<RelationUse>,
    functions: Vec<FunctionUse>,
    operators: Vec<String>,
    graph: Graph,
    session: SessionUse,
    literals_matter: bool,
    /// The query that is walked now.
    scope: QueryId,
    /// CTEs in scope, innermost last.
    ctes: Vec<(&'a str, QueryId)>,
    /// SELECT INTO.
    into: Option<&'a IntoClause>,
    /// `set_config` calls with literal arguments: index of the function, parameter, value.
    settings: Vec<(usize, &'a str, Option<String>)>,
    /// Something in the session's own schema is named.
    own: bool,
    of_cursor: bool,
    writable: bool,
    assigned: Vec<String>,
    cascade: bool,
    drops: Vec<ObjectName>,
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
        operators: Vec::new(),
        graph: Graph::default(),
        session: SessionUse::None,
        literals_matter: false,
        scope: 0,
        ctes: Vec::new(),
        into: None,
        settings: Vec::new(),
        own: false,
        of_cursor: false,
        writable: false,
        assigned: Vec::new(),
        cascade: false,
        drops: Vec::new(),
    };
    let _base = walker.open(None, span);
    let kind = effects::kind(node);
    walker.top(node);
    walker.finish();
    let full = walker.graph.leaves.len().max(walker.relations.len()).max(walker.functions.len()) > FACTS_MAX;
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
        operators: walker.operators,
        graph: walker.graph,
        session: walker.session,
        // The query and the options of a COPY are taken from its text.
        literals_matter: walker.literals_matter || copy_out.is_some(),
        copy_out,
        shadows: walker.own && walker.effects.intersects(effects::MAKES),
        of_cursor: walker.of_cursor,
        writable: walker.writable,
        assigned: walker.assigned,
        cascade: walker.cascade,
        drops: walker.drops,
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

    /// Notes a relation; its index among those of the statement.
    fn relation(&mut self, range: Option<&'a RangeVar>, read: bool, written: bool) -> Option<u32> {
        let range = range?;
        // A rule of this view calls set_config (manual 54.24), which a statement's own text need not name.
        if written && range.relname == "pg_settings" && matches!(range.schemaname.as_str(), "" | "pg_catalog") {
            self.hidden_setting(self.span(range.location));
        }
        let temporary = range.relpersistence == "t" || names::is_own(&range.schemaname);
        if temporary && written {
            self.own_name(&range.relname);
        }
        self.relations.push(RelationUse {
            schema: names::owned(&range.schemaname),
            name: range.relname.clone(),
            written,
            read,
            temporary,
            span: self.span(range.location),
        });
        Some(id(self.relations.len() - 1))
    }

    /// It can set parameters without saying which.
    fn hidden_setting(&mut self, span: Span) {
        self.literals_matter = true;
        let (schema, name, standing) = (None, "set_config".to_owned(), FunctionStanding::Dangerous);
        self.functions.push(FunctionUse { schema, name, standing, span });
    }

    /// Something in the session's own schema may have this name from now on. That schema comes before the server's where
    /// types are looked up (manual 20.11.1, `search_path`), and casts to some of the server's are taken for harmless.
    fn own_name(&mut self, name: &str) {
        self.own = true;
        if functions::total::TYPES.contains(&name) {
            self.unknown();
        }
    }

    /// A type that is made.
    fn own_type(&mut self, name: &[Node]) {
        if name.iter().filter_map(names::text).any(names::is_own) {
            self.own_name(names::qualified(name).1);
        }
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
        if name.len() > 1 {
            if names::qualified(name).0 != Some("pg_catalog") {
                self.function(name, Some(FunctionStanding::Unknown), location);
            }
        } else if let Some(name) = name.first().and_then(names::text)
            && !self.operators.iter().any(|o| o == name)
        {
            self.operators.push(name.to_owned());
        }
    }

    /// What can only be decided with the whole statement seen.
    fn finish(&mut self) {
        self.sort_relations();
        // An updatable view over it does what it does, by another name.
        let settings = |r: &RelationUse| r.name == "pg_settings";
        if self.effects.intersects(Effects::CREATE_VIEW)
            && let Some(span) = self.relations.iter().find(|r| settings(r)).map(|r| r.span)
        {
            self.hidden_setting(span);
        }
        self.settle_settings();
        for function in &self.functions {
            match function.standing {
                FunctionStanding::Known => {}
                FunctionStanding::Dangerous => self.effects.add(Effects::DANGEROUS_FUNCTION),
                FunctionStanding::Unknown => self.effects.add(Effects::UNKNOWN_FUNCTION),
            }
        }
    }

    /// Relations are listed in order of appearance; the graph follows.
    fn sort_relations(&mut self) {
        if self.relations.is_sorted_by_key(|r| r.span.start) {
            return;
        }
        let mut order: Vec<usize> = (0..self.relations.len()).collect();
        order.sort_by_key(|i| self.relations.get(*i).map(|r| r.span.start));
        let mut place = vec![u32::MAX; order.len()];
        for (new, old) in order.iter().enumerate() {
            if let Some(place) = place.get_mut(*old) {
                *place = id(new);
            }
        }
        self.relations.sort_by_key(|r| r.span.start);
        let moved = |relation: &mut u32| *relation = place.get(*relation as usize).copied().unwrap_or(u32::MAX);
        for range in &mut self.graph.ranges {
            if let FromKind::Relation(relation) = &mut range.kind {
                moved(relation);
            }
        }
        for store in &mut self.graph.stores {
            if let Some(relation) = &mut store.relation {
                moved(relation);
            }
        }
    }

    /// `set_config` with literal arguments is SET by another spelling, as drivers use it. A call with other arguments, or
    /// one beside another session use, stays dangerous; so does one in a definition, which sets whenever that is used.
    fn settle_settings(&mut self) {
        let calls = self.functions.iter().filter(|f| f.name == "set_config").count();
        let later = self.effects.intersects(effects::DEFINES);
        if self.settings.is_empty() || calls != self.settings.len() || self.session != SessionUse::None || later {
            return;
        }
        let mut settings = Vec::with_capacity(calls);
        for (function, name, value) in std::mem::take(&mut self.settings) {
            let name = name.to_ascii_lowercase();
            if matches!(name.as_str(), "role" | "session_authorization") {
                self.effects.add(Effects::SET_ROLE);
            } else {
                self.effects.add(Effects::SET);
                if let Some(function) = self.functions.get_mut(function) {
                    function.standing = FunctionStanding::Known;
                }
            }
            settings.push((name, value));
        }
        self.session = match (settings.pop(), settings.is_empty()) {
            (Some((name, value)), true) => SessionUse::Set { name, value },
            (last, _) => SessionUse::SetMany(settings.into_iter().chain(last).collect()),
        };
    }
}
