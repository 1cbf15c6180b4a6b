//! Statements about the session: parameters, prepared statements, cursors, channels, EXPLAIN.
//!
//! Parameter names are folded to lower case, since the server compares them so.

use pg_query::NodeEnum;
use pg_query::protobuf::{
    CreateTableAsStmt, DeallocateStmt, DeclareCursorStmt, DefElem, ExecuteStmt, ExplainStmt, FetchStmt, Node,
    PrepareStmt, TransactionStmt, TransactionStmtKind, VariableSetKind, VariableSetStmt, a_const,
};

use super::{At, Walker};
use crate::facts::{Effects, SessionUse, Span};
use crate::graph::{Body, Output, Store};

impl<'a> Walker<'a> {
    pub(super) fn set(&mut self, set: &'a VariableSetStmt) {
        let name = set.name.to_ascii_lowercase();
        let role = matches!(name.as_str(), "role" | "session_authorization");
        for value in &set.args {
            // Values are literals; anything else is not expected here.
            if !matches!(
                value.node,
                Some(NodeEnum::AConst(_) | NodeEnum::TypeCast(_) | NodeEnum::DefElem(_) | NodeEnum::String(_))
            ) {
                self.unknown();
            }
        }
        match set.kind() {
            VariableSetKind::VarSetMulti => {
                self.effects.add(Effects::TRANSACTION);
                if name == "session characteristics" {
                    // Of its later transactions: parameters like others (manual: SET TRANSACTION).
                    let names = ["isolation", "read_only", "deferrable"];
                    let default = |name| (format!("default_transaction_{name}"), None);
                    self.session = SessionUse::SetMany(names.map(default).into());
                }
                return;
            }
            VariableSetKind::VarResetAll => {
                self.effects.add(Effects::DISCARD);
                self.session = SessionUse::Reset("all".to_owned());
                return;
            }
            VariableSetKind::VarReset => self.session = SessionUse::Reset(name),
            VariableSetKind::VarSetValue | VariableSetKind::VarSetDefault | VariableSetKind::VarSetCurrent => {
                let value = (!set.args.is_empty()).then(|| set.args.iter().map(literal).collect::<Vec<_>>().join(", "));
                self.session = SessionUse::Set { name, value };
            }
            VariableSetKind::Undefined => self.unknown(),
        }
        self.effects.add(if role { Effects::SET_ROLE } else { Effects::SET });
    }

    pub(super) fn show(&mut self, name: &str) {
        self.effects.add(Effects::SET);
        self.session = SessionUse::Show(name.to_ascii_lowercase());
        self.computed_output(name);
    }

    /// The rows are one column that is made here, of nothing.
    fn computed_output(&mut self, name: &str) {
        let query = self.open(Some(self.scope), Span::default());
        if let Some(query) = self.of(query) {
            let name = Some(name.to_owned());
            let span = Span::default();
            query.body = Body::Targets(vec![Output { name, star: None, leaves: 0..0, span }]);
        }
        self.graph.root = Some(query);
    }

    pub(super) fn transaction(&mut self, transaction: &'a TransactionStmt) {
        self.effects.add(match transaction.kind() {
            TransactionStmtKind::TransStmtPrepare
            | TransactionStmtKind::TransStmtCommitPrepared
            | TransactionStmtKind::TransStmtRollbackPrepared => Effects::TWO_PHASE,
            TransactionStmtKind::Undefined => Effects::UNKNOWN,
            _ => Effects::TRANSACTION,
        });
    }

    pub(super) fn prepare(&mut self, prepare: &'a PrepareStmt) {
        self.effects.add(Effects::PREPARE);
        self.session = SessionUse::Prepare(prepare.name.clone());
        match prepare.query.as_deref() {
            Some(query) => self.graph.root = self.query(query, Some(self.scope)),
            None => self.unknown(),
        }
    }

    pub(super) fn execute(&mut self, execute: &'a ExecuteStmt) {
        self.effects.add(Effects::PREPARE);
        self.session = SessionUse::Execute(execute.name.clone());
        self.expressions(&execute.params, At::EVALUATED);
    }

    pub(super) fn deallocate(&mut self, deallocate: &'a DeallocateStmt) {
        self.effects.add(Effects::PREPARE);
        let all = deallocate.isall || deallocate.name.is_empty();
        self.session = SessionUse::Deallocate((!all).then(|| deallocate.name.clone()));
    }

    pub(super) fn declare(&mut self, declare: &'a DeclareCursorStmt) {
        self.effects.add(Effects::CURSOR);
        self.session = SessionUse::Declare(declare.portalname.clone());
        match declare.query.as_deref() {
            Some(query) => self.graph.root = self.query(query, Some(self.scope)),
            None => self.unknown(),
        }
    }

    pub(super) fn fetch(&mut self, fetch: &'a FetchStmt) {
        self.effects.add(Effects::CURSOR);
        self.session = SessionUse::Fetch(fetch.portalname.clone());
    }

    /// Without ANALYZE the inner statement is only planned: nothing is written, and no column reaches the client.
    pub(super) fn explain(&mut self, explain: &'a ExplainStmt) {
        let analyze = explain.options.iter().any(|o| match o.node.as_ref() {
            Some(NodeEnum::DefElem(option)) => option.defname.eq_ignore_ascii_case("analyze") && !is_off(option),
            _ => true,
        });
        let before = self.effects;
        let Some(query) = explain.query.as_deref() else { return self.unknown() };
        match query.node.as_ref() {
            Some(NodeEnum::ExecuteStmt(execute)) => self.execute(execute),
            Some(NodeEnum::CreateTableAsStmt(create)) => self.create_as(create),
            Some(NodeEnum::DeclareCursorStmt(declare)) => self.declare(declare),
            Some(NodeEnum::RefreshMatViewStmt(refresh)) => {
                self.effects.add(Effects::MAINTENANCE);
                let _ = self.relation(refresh.relation.as_ref(), true, true);
            }
            _ => drop(self.query(query, Some(self.scope))),
        }
        if analyze {
            self.effects.add(Effects::EXPLAIN_ANALYZE);
        } else {
            self.graph.stores.clear();
            let unknown = self.effects.contains(Effects::UNKNOWN);
            self.effects = before.with(Effects::READ);
            if unknown {
                self.unknown();
            }
            for relation in &mut self.relations {
                relation.written = false;
                relation.read = true;
            }
            if let SessionUse::Declare(_) = self.session {
                self.session = SessionUse::None;
            }
        }
        self.effects.add(Effects::EXPLAIN);
        self.computed_output("QUERY PLAN");
    }

    pub(super) fn create_as(&mut self, create: &'a CreateTableAsStmt) {
        self.effects.add(Effects::CREATE_AS);
        let Some(query) = create.query.as_deref() else { return self.unknown() };
        if let Some(NodeEnum::ExecuteStmt(execute)) = query.node.as_ref() {
            if let Some(into) = create.into.as_deref() {
                let _ = self.relation(into.rel.as_ref(), false, true);
            }
            return self.execute(execute);
        }
        let Some(query) = self.query(query, Some(self.scope)) else { return };
        match create.into.as_deref() {
            Some(into) => self.store_into(into, query),
            None => self.graph.stores.push(Store { query, relation: None, columns: Vec::new() }),
        }
    }
}

/// The text of a literal.
fn literal(node: &Node) -> String {
    match node.node.as_ref() {
        Some(NodeEnum::AConst(constant)) => match constant.val.as_ref() {
            Some(a_const::Val::Ival(value)) => value.ival.to_string(),
            Some(a_const::Val::Fval(value)) => value.fval.clone(),
            Some(a_const::Val::Boolval(value)) => value.boolval.to_string(),
            Some(a_const::Val::Sval(value)) => value.sval.clone(),
            Some(a_const::Val::Bsval(value)) => value.bsval.clone(),
            None => String::new(),
        },
        Some(NodeEnum::TypeCast(cast)) => cast.arg.as_deref().map(literal).unwrap_or_default(),
        Some(NodeEnum::String(value)) => value.sval.clone(),
        Some(NodeEnum::Integer(value)) => value.ival.to_string(),
        Some(NodeEnum::Float(value)) => value.fval.clone(),
        Some(NodeEnum::Boolean(value)) => value.boolval.to_string(),
        _ => String::new(),
    }
}

/// `ANALYZE off`; anything doubtful is on.
fn is_off(option: &DefElem) -> bool {
    option
        .arg
        .as_deref()
        .is_some_and(|value| matches!(literal(value).to_ascii_lowercase().as_str(), "off" | "false" | "0"))
}
